// As much of XLA's runtime for GPUs as a custom call sees, over host memory: it
// looks up the handler that the op's library registered for CUDA, and calls it
// with buffers of the caller's, a stream, and scratch memory that it counts.
// For tests on machines with no GPU, where XLA itself compiles nothing for one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "xla/ffi/api/c_api.h"

// From xla/ffi/ffi_api.h, which includes headers that take long to compile.
namespace xla::ffi {
struct HandlerRegistration {
  XLA_FFI_Metadata metadata;
  XLA_FFI_Handler_Bundle bundle;
};
absl::StatusOr<HandlerRegistration> FindHandler(std::string_view name,
                                                std::string_view platform);
const XLA_FFI_Api* GetXlaFfiApi();
absl::Status TakeStatus(XLA_FFI_Error* error);
}  // namespace xla::ffi

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// Scratch memory so far.
int64_t allocations = 0;
int64_t frees = 0;
bool refuse = false;

// Scratch memory that was given back, which may be somebody else's now. It
// stays allocated, and full of one value, so that a write to it shows.
struct Freed {
  unsigned char* data;
  size_t size;
};
std::vector<Freed> freed;
constexpr unsigned char kSomebodyElses = 0xa5;

// Not the default stream, so that it shows where the default stream is used
// instead. The stand-in for the driver only names it.
char the_stream;

XLA_FFI_Error* StreamGet(XLA_FFI_Stream_Get_Args* args) {
  args->stream = &the_stream;
  return nullptr;
}

XLA_FFI_Error* Allocate(XLA_FFI_DeviceMemory_Allocate_Args* args) {
  args->data = refuse ? nullptr : std::malloc(args->size);
  if (args->data == nullptr) {
    XLA_FFI_Error_Create_Args error{XLA_FFI_Error_Create_Args_STRUCT_SIZE,
                                    nullptr, "refused",
                                    XLA_FFI_Error_Code_RESOURCE_EXHAUSTED};
    return xla::ffi::GetXlaFfiApi()->XLA_FFI_Error_Create(&error);
  }
  ++allocations;
  return nullptr;
}

XLA_FFI_Error* Free(XLA_FFI_DeviceMemory_Free_Args* args) {
  auto* const data = static_cast<unsigned char*>(args->data);
  std::fill_n(data, args->size, kSomebodyElses);
  freed.push_back({data, args->size});
  ++frees;
  return nullptr;
}

// A handler of somebody else's, which does nothing.
XLA_FFI_Error* DoNothing(XLA_FFI_CallFrame* frame) {
  if (frame->extension_start != nullptr &&
      frame->extension_start->type == XLA_FFI_Extension_Metadata) {
    auto* const extension =
        reinterpret_cast<XLA_FFI_Metadata_Extension*>(frame->extension_start);
    extension->metadata->api_version = xla::ffi::GetXlaFfiApi()->api_version;
  }
  return nullptr;
}

void Say(const absl::Status& status, char* message, size_t size) {
  std::snprintf(message, size, "%s", std::string(status.message()).c_str());
}

}  // namespace

// An operand or a result: a number of XLA_FFI_DataType, and where it is.
struct Array {
  int32_t type;
  int32_t rank;
  int64_t* dims;
  void* data;
};

// Does XLA know the custom call, and may it record it into a command buffer?
EXPORT bool runtime_may_record(const char* target) {
  const auto found = xla::ffi::FindHandler(target, "CUDA");
  return found.ok() && (found->metadata.traits &
                        XLA_FFI_HANDLER_TRAITS_COMMAND_BUFFER_COMPATIBLE) != 0;
}

// The stream that all calls are given.
EXPORT uint64_t runtime_stream() {
  return reinterpret_cast<uintptr_t>(&the_stream);
}

// Scratch memory of all calls: allocations and frees.
EXPORT void runtime_counts(int64_t* allocated, int64_t* freed) {
  *allocated = allocations;
  *freed = frees;
}

// Was scratch memory written to after it was given back? Forgets about it.
EXPORT bool runtime_wrote_to_freed_scratch() {
  bool wrote = false;
  for (const auto& [data, size] : freed) {
    wrote |= std::any_of(data, data + size, [](unsigned char byte) {
      return byte != kSomebodyElses;
    });
    std::free(data);
  }
  freed.clear();
  return wrote;
}

EXPORT void runtime_refuse_scratch(bool value) { refuse = value; }

// Registers another handler by that name, which the op's then cannot have.
EXPORT bool runtime_take_name(const char* target, const char* platform,
                              bool recordable) {
  const std::string_view name(target);
  const std::string_view on(platform);
  XLA_FFI_Handler_Register_Args args{};
  args.struct_size = XLA_FFI_Handler_Register_Args_STRUCT_SIZE;
  args.name = {name.data(), name.size()};
  args.platform = {on.data(), on.size()};
  args.bundle = {nullptr, nullptr, nullptr, DoNothing};
  if (recordable) {
    args.traits = XLA_FFI_HANDLER_TRAITS_COMMAND_BUFFER_COMPATIBLE;
  }
  return xla::ffi::TakeStatus(
             xla::ffi::GetXlaFfiApi()->XLA_FFI_Handler_Register(&args))
      .ok();
}

// Calls the handler of that name. Returns the code of the status, as absl
// counts, and its message.
EXPORT int runtime_call(const char* target, Array* operands,
                        int64_t operand_count, Array* results,
                        int64_t result_count, bool maximize, bool validate,
                        char* message, size_t message_size) {
  const auto found = xla::ffi::FindHandler(target, "CUDA");
  if (!found.ok()) {
    Say(found.status(), message, message_size);
    return static_cast<int>(found.status().code());
  }
  XLA_FFI_Api api = *xla::ffi::GetXlaFfiApi();
  api.XLA_FFI_Stream_Get = StreamGet;
  api.XLA_FFI_DeviceMemory_Allocate = Allocate;
  api.XLA_FFI_DeviceMemory_Free = Free;

  const auto wrap = [](Array* arrays, int64_t count) {
    std::vector<XLA_FFI_Buffer> buffers;
    for (int64_t index = 0; index < count; ++index) {
      const Array& array = arrays[index];
      buffers.push_back({XLA_FFI_Buffer_STRUCT_SIZE, nullptr,
                         static_cast<XLA_FFI_DataType>(array.type), array.data,
                         array.rank, array.dims});
    }
    return buffers;
  };
  const auto point = [](std::vector<XLA_FFI_Buffer>& buffers) {
    std::vector<void*> pointers;
    for (XLA_FFI_Buffer& buffer : buffers) pointers.push_back(&buffer);
    return pointers;
  };
  std::vector<XLA_FFI_Buffer> args = wrap(operands, operand_count);
  std::vector<XLA_FFI_Buffer> rets = wrap(results, result_count);
  std::vector<void*> arg_pointers = point(args);
  std::vector<void*> ret_pointers = point(rets);
  std::vector<XLA_FFI_ArgType> arg_types(args.size(), XLA_FFI_ArgType_BUFFER);
  std::vector<XLA_FFI_RetType> ret_types(rets.size(), XLA_FFI_RetType_BUFFER);

  // In the order of their names, as XLA has them.
  XLA_FFI_ByteSpan names[] = {{"maximize", 8}, {"validate", 8}};
  XLA_FFI_ByteSpan* name_pointers[] = {&names[0], &names[1]};
  XLA_FFI_Scalar values[] = {{XLA_FFI_DataType_PRED, &maximize},
                             {XLA_FFI_DataType_PRED, &validate}};
  void* value_pointers[] = {&values[0], &values[1]};
  XLA_FFI_AttrType value_types[] = {XLA_FFI_AttrType_SCALAR,
                                    XLA_FFI_AttrType_SCALAR};

  XLA_FFI_CallFrame frame{};
  frame.struct_size = XLA_FFI_CallFrame_STRUCT_SIZE;
  frame.api = &api;
  frame.stage = XLA_FFI_ExecutionStage_EXECUTE;
  frame.args = {XLA_FFI_Args_STRUCT_SIZE, nullptr, operand_count,
                arg_types.data(), arg_pointers.data()};
  frame.rets = {XLA_FFI_Rets_STRUCT_SIZE, nullptr, result_count,
                ret_types.data(), ret_pointers.data()};
  frame.attrs = {XLA_FFI_Attrs_STRUCT_SIZE,
                 nullptr,
                 2,
                 value_types,
                 name_pointers,
                 value_pointers};
  const absl::Status status =
      xla::ffi::TakeStatus(found->bundle.execute(&frame));
  Say(status, message, message_size);
  return static_cast<int>(status.code());
}
