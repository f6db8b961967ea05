// HungarianAssignment on NVIDIA GPUs: checks shapes, allocates, launches on
// TensorFlow's stream through the CUDA driver (src/cuda). Compiled without
// CUDA: where no driver is found when run, the call fails with a sentence that
// says so.
//
// All inputs and outputs are in the device's memory, the limits included,
// so nothing here waits for the device.

#include <cstdint>

#include "absl/status/status.h"
#include "hungarian-loss/src/cuda/bridge.rs.h"
#include "tensorflow/core/framework/device_base.h"
#include "tensorflow/core/framework/numeric_types.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/types.h"
#include "tf_op/call.h"
#include "tf_op/solver_bridge.h"
#include "xla/stream_executor/stream.h"

namespace hungarian {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

template <typename T>
struct CostsOf;
template <>
struct CostsOf<Eigen::half> {
  static constexpr CudaCosts kType = CudaCosts::Half;
};
template <>
struct CostsOf<Eigen::bfloat16> {
  static constexpr CudaCosts kType = CudaCosts::Bfloat16;
};
template <>
struct CostsOf<float> {
  static constexpr CudaCosts kType = CudaCosts::Float;
};
template <>
struct CostsOf<double> {
  static constexpr CudaCosts kType = CudaCosts::Double;
};

// The stream on which TensorFlow runs this kernel, a CUstream.
absl::Status StreamOf(OpKernelContext* context, uintptr_t* handle) {
  tensorflow::DeviceContext* const device = context->op_device_context();
  if (device == nullptr || device->stream() == nullptr) {
    return absl::InternalError(
        "HungarianAssignment: the device has no stream; place the op on the "
        "CPU and please report it");
  }
  *handle = reinterpret_cast<uintptr_t>(
      device->stream()->platform_specific_handle().stream);
  return absl::OkStatus();
}

uintptr_t AddressOf(const Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.data());
}

template <typename T>
class HungarianAssignmentGpu : public OpKernel {
 public:
  explicit HungarianAssignmentGpu(OpKernelConstruction* context)
      : OpKernel(context) {
    bool validate = false;
    OP_REQUIRES_OK(context, context->GetAttr("maximize", &maximize_));
    OP_REQUIRES_OK(context, context->GetAttr("validate", &validate));
    OP_REQUIRES(context, !validate, NoValidationOnGpu(kPlaceOnCpu));
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, WithoutExceptions([&] { return Solve(context); }));
  }

 private:
  absl::Status Solve(OpKernelContext* context) {
    Call call;
    TF_RETURN_IF_ERROR(Call::Make(context, &call));
    uintptr_t stream = 0;
    TF_RETURN_IF_ERROR(StreamOf(context, &stream));
    const CudaBatch batch{stream,
                          CostsOf<T>::kType,
                          AddressOf(*call.cost),
                          AddressOf(*call.row_mask),
                          AddressOf(*call.col_mask),
                          AddressOf(*call.cost_limit),
                          AddressOf(*call.total_cost),
                          AddressOf(*call.row_to_col),
                          AddressOf(*call.col_to_row),
                          AddressOf(*call.row_duals),
                          AddressOf(*call.col_duals),
                          AddressOf(*call.status),
                          call.problems,
                          call.rows,
                          call.cols,
                          call.row_mask->dims() == 0,
                          call.col_mask->dims() == 0,
                          call.cost_limit->dims() == 0,
                          maximize_};
    uint64_t bytes = 0;
    TF_RETURN_IF_ERROR(ToStatus(cuda_workspace(batch, bytes)));
    // Given back when this returns, before the kernels have run: whatever uses
    // this memory next is on the same stream, behind them.
    Tensor workspace;
    TF_RETURN_IF_ERROR(context->allocate_temp(
        tensorflow::DT_UINT8, TensorShape({static_cast<int64_t>(bytes)}),
        &workspace));
    return ToStatus(cuda_launch(batch, AddressOf(workspace), bytes));
  }

  bool maximize_ = false;
};

#define REGISTER(T, U, ...) \
  HUNGARIAN_REGISTER_KERNEL(tensorflow::DEVICE_GPU, T, U, __VA_ARGS__)
REGISTER(Eigen::half, float, HungarianAssignmentGpu<Eigen::half>);
REGISTER(Eigen::bfloat16, float, HungarianAssignmentGpu<Eigen::bfloat16>);
REGISTER(float, float, HungarianAssignmentGpu<float>);
REGISTER(double, double, HungarianAssignmentGpu<double>);
HUNGARIAN_REGISTER_MISMATCHED_TYPES(tensorflow::DEVICE_GPU);
#undef REGISTER

}  // namespace
}  // namespace hungarian
