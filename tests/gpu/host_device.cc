// A TensorFlow device of type GPU in host memory, for tests on machines with no
// GPU: TensorFlow places kernels that are registered for DEVICE_GPU on it and
// keeps their tensors apart from the host's. Load it with
// load_pluggable_device_library. Everything is done when a call returns.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tensorflow/c/experimental/stream_executor/stream_executor.h"
#include "tensorflow/c/kernels.h"

namespace {

// Copies between this device's memory and the host's, for tests to look at.
std::atomic<int64_t> copies_to_host{0};
std::atomic<int64_t> copies_to_device{0};

using Clock = std::chrono::steady_clock;

void Succeed(TF_Status* status) { TF_SetStatus(status, TF_OK, ""); }

void Copy(void* to, const void* from, uint64_t bytes, TF_Status* status) {
  std::memcpy(to, from, bytes);
  Succeed(status);
}

void Allocate(const SP_Device* /*device*/, uint64_t bytes, int64_t /*space*/,
              SP_DeviceMemoryBase* memory) {
  memory->struct_size = SP_DEVICE_MEMORY_BASE_STRUCT_SIZE;
  memory->opaque = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  memory->size = memory->opaque == nullptr ? 0 : bytes;
  // What was never written must not look like an answer.
  if (memory->opaque != nullptr) std::memset(memory->opaque, 0xcd, bytes);
}

void Deallocate(const SP_Device* /*device*/, SP_DeviceMemoryBase* memory) {
  std::free(memory->opaque);
  memory->opaque = nullptr;
  memory->size = 0;
}

void* AllocateOnHost(const SP_Device* /*device*/, uint64_t bytes) {
  return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
}

void DeallocateOnHost(const SP_Device* /*device*/, void* memory) {
  std::free(memory);
}

TF_Bool NoStatistics(const SP_Device* /*device*/,
                     SP_AllocatorStats* /*statistics*/) {
  return 0;
}

TF_Bool MemoryUsage(const SP_Device* /*device*/, int64_t* free,
                    int64_t* total) {
  *free = *total = int64_t{1} << 32;
  return 1;
}

void CreateExecutor(const SP_Platform* /*platform*/,
                    SE_CreateStreamExecutorParams* params, TF_Status* status) {
  SP_StreamExecutor* const executor = params->stream_executor;
  executor->struct_size = SP_STREAMEXECUTOR_STRUCT_SIZE;
  executor->allocate = Allocate;
  executor->deallocate = Deallocate;
  executor->host_memory_allocate = AllocateOnHost;
  executor->host_memory_deallocate = DeallocateOnHost;
  executor->unified_memory_allocate = AllocateOnHost;
  executor->unified_memory_deallocate = DeallocateOnHost;
  executor->get_allocator_stats = NoStatistics;
  executor->device_memory_usage = MemoryUsage;

  // Streams and events have nothing to remember.
  executor->create_stream = [](const SP_Device*, SP_Stream* stream,
                               TF_Status* status) {
    *stream = nullptr;
    Succeed(status);
  };
  executor->destroy_stream = [](const SP_Device*, SP_Stream) {};
  executor->create_stream_dependency = [](const SP_Device*, SP_Stream,
                                          SP_Stream, TF_Status* status) {
    Succeed(status);
  };
  executor->get_stream_status = [](const SP_Device*, SP_Stream,
                                   TF_Status* status) { Succeed(status); };
  executor->create_event = [](const SP_Device*, SP_Event* event,
                              TF_Status* status) {
    *event = nullptr;
    Succeed(status);
  };
  executor->destroy_event = [](const SP_Device*, SP_Event) {};
  executor->get_event_status = [](const SP_Device*, SP_Event) {
    return SE_EVENT_COMPLETE;
  };
  executor->record_event = [](const SP_Device*, SP_Stream, SP_Event,
                              TF_Status* status) { Succeed(status); };
  executor->wait_for_event = [](const SP_Device*, SP_Stream, SP_Event,
                                TF_Status* status) { Succeed(status); };
  executor->create_timer = [](const SP_Device*, SP_Timer* timer,
                              TF_Status* status) {
    *timer = nullptr;
    Succeed(status);
  };
  executor->destroy_timer = [](const SP_Device*, SP_Timer) {};
  executor->start_timer = [](const SP_Device*, SP_Stream, SP_Timer,
                             TF_Status* status) { Succeed(status); };
  executor->stop_timer = [](const SP_Device*, SP_Stream, SP_Timer,
                            TF_Status* status) { Succeed(status); };
  executor->block_host_for_event = [](const SP_Device*, SP_Event,
                                      TF_Status* status) { Succeed(status); };
  executor->block_host_until_done = [](const SP_Device*, SP_Stream,
                                       TF_Status* status) { Succeed(status); };
  executor->synchronize_all_activity = [](const SP_Device*, TF_Status* status) {
    Succeed(status);
  };
  executor->host_callback = [](const SP_Device*, SP_Stream,
                               SE_StatusCallbackFn callback,
                               void* argument) -> TF_Bool {
    TF_Status* const status = TF_NewStatus();
    callback(argument, status);
    const bool succeeded = TF_GetCode(status) == TF_OK;
    TF_DeleteStatus(status);
    return succeeded ? 1 : 0;
  };

  executor->memcpy_dtoh = [](const SP_Device*, SP_Stream, void* to,
                             const SP_DeviceMemoryBase* from, uint64_t bytes,
                             TF_Status* status) {
    ++copies_to_host;
    Copy(to, from->opaque, bytes, status);
  };
  executor->memcpy_htod = [](const SP_Device*, SP_Stream,
                             SP_DeviceMemoryBase* to, const void* from,
                             uint64_t bytes, TF_Status* status) {
    ++copies_to_device;
    Copy(to->opaque, from, bytes, status);
  };
  executor->memcpy_dtod =
      [](const SP_Device*, SP_Stream, SP_DeviceMemoryBase* to,
         const SP_DeviceMemoryBase* from, uint64_t bytes,
         TF_Status* status) { Copy(to->opaque, from->opaque, bytes, status); };
  executor->sync_memcpy_dtoh = [](const SP_Device*, void* to,
                                  const SP_DeviceMemoryBase* from,
                                  uint64_t bytes, TF_Status* status) {
    ++copies_to_host;
    Copy(to, from->opaque, bytes, status);
  };
  executor->sync_memcpy_htod = [](const SP_Device*, SP_DeviceMemoryBase* to,
                                  const void* from, uint64_t bytes,
                                  TF_Status* status) {
    ++copies_to_device;
    Copy(to->opaque, from, bytes, status);
  };
  executor->sync_memcpy_dtod = [](const SP_Device*, SP_DeviceMemoryBase* to,
                                  const SP_DeviceMemoryBase* from,
                                  uint64_t bytes, TF_Status* status) {
    Copy(to->opaque, from->opaque, bytes, status);
  };
  executor->mem_zero = [](const SP_Device*, SP_Stream, SP_DeviceMemoryBase* at,
                          uint64_t bytes, TF_Status* status) {
    std::memset(at->opaque, 0, bytes);
    Succeed(status);
  };
  executor->memset = [](const SP_Device*, SP_Stream, SP_DeviceMemoryBase* at,
                        uint8_t pattern, uint64_t bytes, TF_Status* status) {
    std::memset(at->opaque, pattern, bytes);
    Succeed(status);
  };
  executor->memset32 = [](const SP_Device*, SP_Stream, SP_DeviceMemoryBase* at,
                          uint32_t pattern, uint64_t bytes, TF_Status* status) {
    for (uint64_t word = 0; word < bytes / 4; ++word) {
      static_cast<uint32_t*>(at->opaque)[word] = pattern;
    }
    Succeed(status);
  };
  Succeed(status);
}

uint64_t Nanoseconds(SP_Timer /*timer*/) { return 0; }

// Cast from int32 to float, in this device's memory as on a real GPU: the CPU
// build of TensorFlow has no kernel for a GPU that takes an index output.
void CastIndices(void* /*kernel*/, TF_OpKernelContext* context) {
  TF_Status* const status = TF_NewStatus();
  TF_Tensor* input = nullptr;
  TF_GetInput(context, 0, &input, status);
  std::vector<int64_t> sizes(static_cast<size_t>(TF_NumDims(input)));
  for (size_t dim = 0; dim < sizes.size(); ++dim) {
    sizes[dim] = TF_Dim(input, static_cast<int>(dim));
  }
  const auto count = static_cast<size_t>(TF_TensorElementCount(input));
  TF_Tensor* const output = TF_AllocateOutput(
      context, 0, TF_FLOAT, sizes.data(), static_cast<int>(sizes.size()),
      count * sizeof(float), status);
  if (TF_GetCode(status) == TF_OK) {
    const auto* const from = static_cast<const int32_t*>(TF_TensorData(input));
    std::copy(from, from + count, static_cast<float*>(TF_TensorData(output)));
    TF_DeleteTensor(output);
  } else {
    TF_OpKernelContext_Failure(context, status);
  }
  TF_DeleteTensor(input);
  TF_DeleteStatus(status);
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// Copies in both directions so far.
EXPORT void host_device_copies(int64_t* to_host, int64_t* to_device) {
  *to_host = copies_to_host;
  *to_device = copies_to_device;
}

EXPORT void TF_InitKernel() {
  TF_Status* const status = TF_NewStatus();
  TF_KernelBuilder* const cast =
      TF_NewKernelBuilder("Cast", "GPU", nullptr, CastIndices, nullptr);
  TF_KernelBuilder_TypeConstraint(cast, "SrcT", TF_INT32, status);
  TF_KernelBuilder_TypeConstraint(cast, "DstT", TF_FLOAT, status);
  TF_RegisterKernelBuilder("CastIndices", cast, status);
  if (TF_GetCode(status) != TF_OK) std::abort();
  TF_DeleteStatus(status);
}

EXPORT void SE_InitPlugin(SE_PlatformRegistrationParams* params,
                          TF_Status* status) {
  params->platform->struct_size = SP_PLATFORM_STRUCT_SIZE;
  params->platform->name = "HUNGARIAN_HOST_MEMORY";
  params->platform->type = "GPU";
  // An allocation for each tensor: nothing is reused unseen.
  params->platform->use_bfc_allocator = 0;
  params->destroy_platform = [](SP_Platform*) {};
  params->destroy_platform_fns = [](SP_PlatformFns*) {};

  SP_PlatformFns* const functions = params->platform_fns;
  functions->get_device_count = [](const SP_Platform*, int* count,
                                   TF_Status* status) {
    *count = 1;
    Succeed(status);
  };
  functions->create_device =
      [](const SP_Platform*, SE_CreateDeviceParams* params, TF_Status* status) {
        params->device->struct_size = SP_DEVICE_STRUCT_SIZE;
        params->device->ordinal = params->ordinal;
        params->device->hardware_name = "hungarian-loss stand-in (no GPU)";
        Succeed(status);
      };
  functions->destroy_device = [](const SP_Platform*, SP_Device*) {};
  functions->create_device_fns = [](const SP_Platform*,
                                    SE_CreateDeviceFnsParams* params,
                                    TF_Status* status) {
    params->device_fns->struct_size = SP_DEVICE_FNS_STRUCT_SIZE;
    Succeed(status);
  };
  functions->destroy_device_fns = [](const SP_Platform*, SP_DeviceFns*) {};
  functions->create_stream_executor = CreateExecutor;
  functions->destroy_stream_executor = [](const SP_Platform*,
                                          SP_StreamExecutor*) {};
  functions->create_timer_fns = [](const SP_Platform*, SP_TimerFns* functions,
                                   TF_Status* status) {
    functions->struct_size = SP_TIMER_FNS_STRUCT_SIZE;
    functions->nanoseconds = Nanoseconds;
    Succeed(status);
  };
  functions->destroy_timer_fns = [](const SP_Platform*, SP_TimerFns*) {};
  Succeed(status);
}
