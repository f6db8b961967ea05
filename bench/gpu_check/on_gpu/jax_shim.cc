// The kernels as calls of JAX programs: jax_check.py builds this on the machine
// with the GPU, against JAX's headers and libhungarian_loss.a (our crate with
// the feature cuda; no TensorFlow), and checks the answers.
//
// Operands: cost [problems, rows, cols]; row_mask [problems, rows], col_mask
// [problems, cols] and cost_limit [problems], or scalars. Results: the op's.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "hungarian-loss/src/cuda/bridge.rs.h"
#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;
using ffi::RemainingArgs, ffi::RemainingRets;
using hungarian::CudaBatch, hungarian::CudaCosts;

constexpr size_t kOperands = 4, kResults = 6;

uintptr_t AddressOf(const ffi::AnyBuffer &buffer) {
  return reinterpret_cast<uintptr_t>(buffer.untyped_data());
}

std::optional<CudaCosts> CostsOf(ffi::DataType type) {
  switch (type) {
  case ffi::F16:
    return CudaCosts::Half;
  case ffi::BF16:
    return CudaCosts::Bfloat16;
  case ffi::F32:
    return CudaCosts::Float;
  case ffi::F64:
    return CudaCosts::Double;
  default:
    return std::nullopt;
  }
}

ffi::Error ToError(const hungarian::Outcome &outcome) {
  if (outcome.kind == hungarian::ErrorKind::None)
    return ffi::Error::Success();
  return ffi::Error::Internal(std::string(outcome.message));
}

// `allocate` takes a number of bytes, and returns memory that lives until
// Launch has returned, or nothing.
template <typename Allocate>
ffi::Error Launch(void *stream, const Allocate &allocate,
                  const RemainingArgs &operands, const RemainingRets &results,
                  bool maximize) {
  if (operands.size() != kOperands || results.size() != kResults) {
    return ffi::Error::InvalidArgument("expected 4 operands and 6 results");
  }
  // Each is a buffer, if its index is in range.
  const auto operand = [&](size_t index) {
    return *operands.get<ffi::AnyBuffer>(index);
  };
  const auto result = [&](size_t index) {
    return AddressOf(**results.get<ffi::AnyBuffer>(index));
  };
  const auto sizes = operand(0).dimensions();
  const std::optional<CudaCosts> costs = CostsOf(operand(0).element_type());
  if (sizes.size() != 3 || !costs.has_value()) {
    return ffi::Error::InvalidArgument(
        "cost must be of rank 3, and f16, bf16, f32 or f64");
  }
  const auto is_scalar = [&](size_t index) {
    return operand(index).dimensions().size() == 0;
  };
  const CudaBatch batch{reinterpret_cast<uintptr_t>(stream),
                        *costs,
                        AddressOf(operand(0)),
                        AddressOf(operand(1)),
                        AddressOf(operand(2)),
                        AddressOf(operand(3)),
                        result(0),
                        result(1),
                        result(2),
                        result(3),
                        result(4),
                        result(5),
                        sizes[0],
                        sizes[1],
                        sizes[2],
                        is_scalar(1),
                        is_scalar(2),
                        is_scalar(3),
                        maximize};
  uint64_t bytes = 0;
  if (ffi::Error error = ToError(cuda_workspace(batch, bytes));
      error.failure()) {
    return error;
  }
  std::optional<void *> workspace = nullptr;
  if (bytes > 0)
    workspace = allocate(bytes);
  if (!workspace.has_value()) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted, "no workspace");
  }
  return ToError(
      cuda_launch(batch, reinterpret_cast<uintptr_t>(*workspace), bytes));
}

ffi::Error OnGpu(void *stream, ffi::ScratchAllocator scratch,
                 RemainingArgs operands, RemainingRets results, bool maximize) {
  const auto allocate = [&](size_t bytes) { return scratch.Allocate(bytes); };
  return Launch(stream, allocate, operands, results, maximize);
}

auto BindOnGpu() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::PlatformStream<void *>>()
      .Ctx<ffi::ScratchAllocator>()
      .RemainingArgs()
      .RemainingRets()
      .Attr<bool>("maximize");
}

// For machines that have no GPU, where our stand-in for the driver takes host
// memory for the device's, and a call has been done when it returns.
ffi::Error OnStandIn(RemainingArgs operands, RemainingRets results,
                     bool maximize) {
  std::unique_ptr<void, decltype(&std::free)> memory(nullptr, std::free);
  const auto allocate = [&](size_t bytes) -> std::optional<void *> {
    memory.reset(std::malloc(bytes));
    if (memory == nullptr)
      return std::nullopt;
    return memory.get();
  };
  return Launch(nullptr, allocate, operands, results, maximize);
}

} // namespace

// As TensorFlow's op has it (tf_op/xla/cuda_call.cc): no traits.
XLA_FFI_DEFINE_HANDLER_SYMBOL(HungarianOnGpu, OnGpu, BindOnGpu());

// A call with a trait that the op must not have, to see what comes of it: XLA
// may record the call, and replay the recording after the workspace was given
// back.
XLA_FFI_DEFINE_HANDLER_SYMBOL(HungarianRecorded, OnGpu, BindOnGpu(),
                              {ffi::Traits::kCmdBufferCompatible});

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    HungarianOnStandIn, OnStandIn,
    ffi::Ffi::Bind().RemainingArgs().RemainingRets().Attr<bool>("maximize"));
