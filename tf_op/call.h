// What every kernel of HungarianAssignment does, whatever the device: it checks
// what it was given, allocates the outputs, and lets no exception out.

#ifndef HUNGARIAN_TF_OP_CALL_H_
#define HUNGARIAN_TF_OP_CALL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tf_op/without_exceptions.h"  // IWYU pragma: export

namespace hungarian {

// One call of the op: inputs whose shapes were checked, and outputs allocated
// to match. Their content is not looked at: it may be in a device's memory.
struct Call {
  // The call that `context` stands for.
  static absl::Status Make(tensorflow::OpKernelContext* context, Call* call);

  const tensorflow::Tensor* cost = nullptr;        // T [..., rows, cols]
  const tensorflow::Tensor* row_mask = nullptr;    // [..., rows] or scalar
  const tensorflow::Tensor* col_mask = nullptr;    // [..., cols] or scalar
  const tensorflow::Tensor* cost_limit = nullptr;  // U [...] or scalar

  tensorflow::TensorShape per_problem;  // [...]
  int64_t problems = 0;                 // The product of that.
  int64_t rows = 0;
  int64_t cols = 0;

  tensorflow::Tensor* total_cost = nullptr;  // U [...]
  tensorflow::Tensor* row_to_col = nullptr;  // [..., rows]
  tensorflow::Tensor* col_to_row = nullptr;  // [..., cols]
  tensorflow::Tensor* row_duals = nullptr;   // U [..., rows]
  tensorflow::Tensor* col_duals = nullptr;   // U [..., cols]
  tensorflow::Tensor* status = nullptr;      // [...]
};

// The advice where a GPU cannot do what is asked. XLA compiles a whole function
// for the device that it was placed on: an op in it is not placed by itself.
constexpr absl::string_view kPlaceOnCpu =
    "place the op on the CPU with tf.device('/CPU:0')";
constexpr absl::string_view kCompileForCpu =
    "turn jit_compile off, or call the compiled function under "
    "tf.device('/CPU:0')";

// Why `validate` is not available on a GPU, and what to do instead.
absl::Status NoValidationOnGpu(absl::string_view otherwise);

// The kernel for costs and limits of types that do not go together: it fails
// and says so. Without it TensorFlow would say "no OpKernel was registered".
class MismatchedTypes : public tensorflow::OpKernel {
 public:
  explicit MismatchedTypes(tensorflow::OpKernelConstruction* context);
  void Compute(tensorflow::OpKernelContext* /*context*/) override {}
};

}  // namespace hungarian

// Registers a kernel for costs of type T and a limit of type U on `device`.
#define HUNGARIAN_REGISTER_KERNEL(device, T, U, ...)   \
  REGISTER_KERNEL_BUILDER(Name("HungarianAssignment")  \
                              .Device(device)          \
                              .TypeConstraint<T>("T")  \
                              .TypeConstraint<U>("U"), \
                          __VA_ARGS__)

// For all types that do not go together.
#define HUNGARIAN_REGISTER_MISMATCHED_TYPES(device)                            \
  HUNGARIAN_REGISTER_KERNEL(device, Eigen::half, double, MismatchedTypes);     \
  HUNGARIAN_REGISTER_KERNEL(device, Eigen::bfloat16, double, MismatchedTypes); \
  HUNGARIAN_REGISTER_KERNEL(device, float, double, MismatchedTypes);           \
  HUNGARIAN_REGISTER_KERNEL(device, double, float, MismatchedTypes)

#endif  // HUNGARIAN_TF_OP_CALL_H_
