// HungarianAssignment on CPU: checks shapes, allocates, solves on TensorFlow's
// own threads.

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/work_sharder.h"
#include "tf_op/call.h"
#include "tf_op/cpu/host_batch.h"
#include "tf_op/cpu/share.h"

namespace hungarian {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;

// Cycles after which a thread looks whether the step was cancelled: some
// milliseconds. A single problem always runs to its end.
constexpr int64_t kCyclesBetweenLooks = 30'000'000;

HostBuffers BuffersOf(const Call& call, bool maximize) {
  HostBuffers buffers;
  buffers.problems = call.problems;
  buffers.rows = call.rows;
  buffers.cols = call.cols;
  buffers.maximize = maximize;
  buffers.cost = call.cost->data();
  buffers.row_mask = call.row_mask->data();
  buffers.col_mask = call.col_mask->data();
  buffers.cost_limit = call.cost_limit->data();
  buffers.row_mask_is_uniform = call.row_mask->dims() == 0;
  buffers.col_mask_is_uniform = call.col_mask->dims() == 0;
  buffers.cost_limit_is_uniform = call.cost_limit->dims() == 0;
  buffers.total_cost = call.total_cost->data();
  buffers.row_to_col = call.row_to_col->data();
  buffers.col_to_row = call.col_to_row->data();
  buffers.row_duals = call.row_duals->data();
  buffers.col_duals = call.col_duals->data();
  buffers.status = call.status->data();
  return buffers;
}

template <typename T>
class HungarianAssignmentCpu : public OpKernel {
 public:
  explicit HungarianAssignmentCpu(OpKernelConstruction* context)
      : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("maximize", &maximize_));
    OP_REQUIRES_OK(context, context->GetAttr("validate", &validate_));
  }

  void Compute(OpKernelContext* context) override {
    OP_REQUIRES_OK(context, WithoutExceptions([&] { return Solve(context); }));
  }

 private:
  absl::Status Solve(OpKernelContext* context) {
    Call call;
    TF_RETURN_IF_ERROR(Call::Make(context, &call));
    const HostBatch<T> batch(BuffersOf(call, maximize_));
    const int64_t part =
        std::max<int64_t>(1, kCyclesBetweenLooks / batch.cycles_per_problem());
    tensorflow::CancellationManager* const step =
        context->cancellation_manager();
    const auto solve = [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; at += part) {
        if (step != nullptr && step->IsCancelled()) {
          return absl::CancelledError(
              "HungarianAssignment: the step was cancelled");
        }
        TF_RETURN_IF_ERROR(batch.Solve(at, std::min(at + part, end)));
      }
      return absl::OkStatus();
    };
    if (batch.IsSmall()) {
      TF_RETURN_IF_ERROR(solve(0, call.problems));
    } else {
      // TensorFlow's own Shard waits for a thread that sleeps to wake up.
      const auto* const threads =
          context->device()->tensorflow_cpu_worker_threads();
      // As Shard does: no more threads than were set for this one.
      const int most = std::min(threads->num_threads,
                                tensorflow::GetPerThreadMaxParallelism());
      const auto schedule = [threads](auto work) {
        threads->workers->Schedule(std::move(work));
      };
      TF_RETURN_IF_ERROR(Share(most, schedule, call.problems,
                               batch.cycles_per_problem(), solve));
    }
    return validate_ ? batch.Validate(call.per_problem.dim_sizes())
                     : absl::OkStatus();
  }

  bool maximize_ = false;
  bool validate_ = false;
};

#define REGISTER(T, U, ...) \
  HUNGARIAN_REGISTER_KERNEL(tensorflow::DEVICE_CPU, T, U, __VA_ARGS__)
REGISTER(Eigen::half, float, HungarianAssignmentCpu<Eigen::half>);
REGISTER(Eigen::bfloat16, float, HungarianAssignmentCpu<Eigen::bfloat16>);
REGISTER(float, float, HungarianAssignmentCpu<float>);
REGISTER(double, double, HungarianAssignmentCpu<double>);
HUNGARIAN_REGISTER_MISMATCHED_TYPES(tensorflow::DEVICE_CPU);
#undef REGISTER

}  // namespace
}  // namespace hungarian
