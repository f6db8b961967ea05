// HungarianAssignment in a program that XLA compiled for an NVIDIA GPU: the
// same launch as the GPU kernel, on XLA's stream, with scratch memory of XLA's
// allocator. Compiled without CUDA.
//
// XLA must not record it into a command buffer (a CUDA graph), so the handler
// has no traits: a recording is replayed after scratch memory was given back,
// the first call loads a module, and an empty batch would record nothing.
// Nothing here waits for the device.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "hungarian-loss/src/cuda/bridge.rs.h"
#include "tf_op/call.h"
#include "tf_op/solver_bridge.h"
#include "tf_op/xla/call.h"
#include "xla/ffi/api/ffi.h"

namespace hungarian {
namespace {

namespace ffi = xla::ffi;

uintptr_t AddressOf(const ffi::AnyBuffer& buffer) {
  return reinterpret_cast<uintptr_t>(buffer.untyped_data());
}

absl::Status CostsOf(const ffi::AnyBuffer& cost, CudaCosts* costs) {
  switch (cost.element_type()) {
    case ffi::F16:
      *costs = CudaCosts::Half;
      return absl::OkStatus();
    case ffi::BF16:
      *costs = CudaCosts::Bfloat16;
      return absl::OkStatus();
    case ffi::F32:
      *costs = CudaCosts::Float;
      return absl::OkStatus();
    case ffi::F64:
      *costs = CudaCosts::Double;
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(kXlaCallTarget, ": cost must be f16, bf16, f32 or f64"));
  }
}

// Replaces the advice of src/cuda, which is for TensorFlow's kernel.
absl::Status WithAdviceForXla(const absl::Status& status) {
  constexpr absl::string_view kAdvice = "place the op on the CPU";
  std::string message(status.message());
  const size_t at = message.find(kAdvice.data(), 0, kAdvice.size());
  if (at == std::string::npos) return status;
  message.replace(at, kAdvice.size(), kCompileForCpu.data(),
                  kCompileForCpu.size());
  return {status.code(), message};
}

absl::Status Launch(void* stream, ffi::ScratchAllocator& scratch,
                    ffi::RemainingArgs operands, ffi::RemainingRets results,
                    bool maximize, bool validate) {
  if (validate) return NoValidationOnGpu(kCompileForCpu);
  XlaCall call;
  absl::Status status = XlaCall::Make(operands, results, &call);
  if (!status.ok()) return status;
  CudaCosts costs{};
  status = CostsOf(call.cost(), &costs);
  if (!status.ok()) return status;
  const CudaBatch batch{reinterpret_cast<uintptr_t>(stream),
                        costs,
                        AddressOf(call.cost()),
                        AddressOf(call.row_mask()),
                        AddressOf(call.col_mask()),
                        AddressOf(call.cost_limit()),
                        AddressOf(call.total_cost()),
                        AddressOf(call.row_to_col()),
                        AddressOf(call.col_to_row()),
                        AddressOf(call.row_duals()),
                        AddressOf(call.col_duals()),
                        AddressOf(call.status()),
                        call.problems,
                        call.rows,
                        call.cols,
                        call.row_mask().dimensions().size() == 0,
                        call.col_mask().dimensions().size() == 0,
                        call.cost_limit().dimensions().size() == 0,
                        maximize};
  uint64_t bytes = 0;
  status = WithAdviceForXla(ToStatus(cuda_workspace(batch, bytes)));
  if (!status.ok()) return status;
  // Given back when the call returns, before the kernels have run: whatever
  // uses this memory next is on the same stream, behind them.
  std::optional<void*> workspace = nullptr;
  if (bytes > 0) {
    workspace = scratch.Allocate(bytes);
  }
  if (!workspace.has_value()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("HungarianAssignment: no GPU memory for ", bytes,
                     " bytes of workspace; make the batch smaller"));
  }
  return WithAdviceForXla(ToStatus(
      cuda_launch(batch, reinterpret_cast<uintptr_t>(*workspace), bytes)));
}

ffi::Error Handle(void* stream, ffi::ScratchAllocator scratch,
                  ffi::RemainingArgs operands, ffi::RemainingRets results,
                  bool maximize, bool validate) {
  return ToXlaError(WithoutExceptions([&] {
    return Launch(stream, scratch, operands, results, maximize, validate);
  }));
}

XLA_FFI_DEFINE_HANDLER(kHandler, Handle,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::PlatformStream<void*>>()
                           .Ctx<ffi::ScratchAllocator>()
                           .RemainingArgs()
                           .RemainingRets()
                           .Attr<bool>("maximize")
                           .Attr<bool>("validate"));

// Registers while the library is being loaded.
[[maybe_unused]] const absl::Status& registered = CudaCallRegistration();

}  // namespace

const absl::Status& CudaCallRegistration() noexcept {
  static const absl::Status status =
      WithoutExceptions([] { return RegisterXlaCall("CUDA", kHandler); });
  return status;
}

}  // namespace hungarian
