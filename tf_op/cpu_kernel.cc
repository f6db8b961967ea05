// HungarianAssignment on CPU: checks shapes, allocates, solves on TensorFlow's
// own threads.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/cancellation.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/platform/threadpool.h"
#include "tf_op/shape_rule.h"
#include "tf_op/solver_bridge.h"

namespace hungarian {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::PartialTensorShape;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// One mask: its flags for all problems, or a single flag.
//
// A bool tensor may hold any byte (decode_raw makes such), and TensorFlow takes
// all but 0 for true. A bool of C++ or Rust must not: such a mask is copied.
class Mask {
 public:
  explicit Mask(const Tensor& tensor)
      : bytes_(reinterpret_cast<const uint8_t*>(tensor.flat<bool>().data())),
        uniform_(tensor.dims() == 0) {
    const uint8_t* const end = bytes_ + tensor.NumElements();
    if (std::all_of(bytes_, end, [](uint8_t byte) { return byte <= 1; })) {
      return;
    }
    normalized_.reserve(static_cast<size_t>(tensor.NumElements()));
    std::transform(bytes_, end, std::back_inserter(normalized_),
                   [](uint8_t byte) { return uint8_t{byte != 0}; });
    bytes_ = normalized_.data();
  }

  // It may point into itself.
  Mask(const Mask&) = delete;
  Mask& operator=(const Mask&) = delete;

  // The flags of problems [begin, end) of `each` items.
  rust::Slice<const bool> Of(int64_t begin, int64_t end, int64_t each) const {
    // Every byte is 0 or 1: see the constructor.
    const bool* const flags = reinterpret_cast<const bool*>(bytes_);
    return uniform_ ? Range(flags, 0, 1)
                    : Range(flags, begin * each, (end - begin) * each);
  }

 private:
  const uint8_t* bytes_;
  bool uniform_;
  std::vector<uint8_t> normalized_;
};

// Cycles after which a thread looks whether the step was cancelled: some
// milliseconds. A single problem always runs to its end.
constexpr int64_t kCyclesBetweenLooks = 30'000'000;

// Cycles of a whole batch below which it stays on the calling thread: some
// third of a millisecond. TensorFlow would share from a tenth of that on, but
// on a virtual machine it takes 0.1 to 0.2 ms until another thread has woken
// up.
constexpr int64_t kCyclesWorthSharing = 1'000'000;

// What `work` returns. TensorFlow expects no exception from a kernel, and one
// that left a thread of its pool would end the process.
template <typename Work>
absl::Status WithoutExceptions(const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("HungarianAssignment: out of memory");
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(
        "HungarianAssignment: unexpected exception: ", error.what()));
  } catch (...) {
    return absl::InternalError("HungarianAssignment: unexpected exception");
  }
}

#ifdef HUNGARIAN_FAULT_INJECTION
// Throws if the environment asks for it at this place, "" or "_in_worker". For
// tests/faults; what ships has none of it.
void Strike(const std::string& place) {
  const char* const fault = std::getenv("HUNGARIAN_FAULT");
  if (fault == nullptr) return;
  if (fault == "bad_alloc" + place) throw std::bad_alloc();
  if (fault == "exception" + place) {
    throw std::runtime_error("HUNGARIAN_FAULT is set");
  }
}
#endif

template <typename T>
class HungarianAssignmentCpu : public OpKernel {
 public:
  using Entry = EntryPoints<T>;
  using Bits = typename Entry::Bits;
  using Real = typename Entry::Real;

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
    const Tensor& cost = context->input(0);
    const Tensor& row_mask = context->input(1);
    const Tensor& col_mask = context->input(2);
    const Tensor& cost_limit = context->input(3);

    OutputShapes shapes;
    TF_RETURN_IF_ERROR(ApplyShapeRule(cost.shape(), row_mask.shape(),
                                      col_mask.shape(), cost_limit.shape(),
                                      &shapes));
    TensorShape per_problem;
    TensorShape per_row;
    TensorShape per_col;
    TF_RETURN_IF_ERROR(Known(shapes.per_problem, &per_problem));
    TF_RETURN_IF_ERROR(Known(shapes.per_row, &per_row));
    TF_RETURN_IF_ERROR(Known(shapes.per_col, &per_col));
    Tensor* total_cost = nullptr;
    Tensor* row_to_col = nullptr;
    Tensor* col_to_row = nullptr;
    Tensor* row_duals = nullptr;
    Tensor* col_duals = nullptr;
    Tensor* status = nullptr;
    TF_RETURN_IF_ERROR(context->allocate_output(0, per_problem, &total_cost));
    TF_RETURN_IF_ERROR(context->allocate_output(1, per_row, &row_to_col));
    TF_RETURN_IF_ERROR(context->allocate_output(2, per_col, &col_to_row));
    TF_RETURN_IF_ERROR(context->allocate_output(3, per_row, &row_duals));
    TF_RETURN_IF_ERROR(context->allocate_output(4, per_col, &col_duals));
    TF_RETURN_IF_ERROR(context->allocate_output(5, per_problem, &status));

    const int64_t problems = per_problem.num_elements();
    const int64_t rows = cost.dim_size(cost.dims() - 2);
    const int64_t cols = cost.dim_size(cost.dims() - 1);
    const Mask rows_existing(row_mask);
    const Mask cols_existing(col_mask);
    const double limit = static_cast<double>(cost_limit.scalar<Real>()());
    const Bits* const costs =
        reinterpret_cast<const Bits*>(cost.flat<T>().data());

    const auto batch_of = [&](int64_t begin, int64_t end) {
      return Batch{end - begin,
                   rows,
                   cols,
                   rows_existing.Of(begin, end, rows),
                   cols_existing.Of(begin, end, cols),
                   limit,
                   maximize_};
    };
#ifdef HUNGARIAN_FAULT_INJECTION
    Strike("");
#endif
    const auto solve_part = [&](int64_t begin, int64_t end) {
#ifdef HUNGARIAN_FAULT_INJECTION
      Strike("_in_worker");
#endif
      const int64_t count = end - begin;
      typename Entry::Outputs outputs{
          Range(total_cost->flat<Real>().data(), begin, count),
          Range(row_to_col->flat<int32_t>().data(), begin * rows, count * rows),
          Range(col_to_row->flat<int32_t>().data(), begin * cols, count * cols),
          Range(row_duals->flat<Real>().data(), begin * rows, count * rows),
          Range(col_duals->flat<Real>().data(), begin * cols, count * cols),
          Range(status->flat<int32_t>().data(), begin, count)};
      const Outcome outcome = Entry::kSolve(
          batch_of(begin, end),
          Range(costs, begin * rows * cols, count * rows * cols), outputs);
      return ToStatus(outcome);
    };
    const int64_t cycles = std::max<int64_t>(1, cycles_per_problem(rows, cols));
    const int64_t part = std::max<int64_t>(1, kCyclesBetweenLooks / cycles);
    tensorflow::CancellationManager* const step =
        context->cancellation_manager();
    std::mutex failure_mutex;
    absl::Status failure;
    const auto solve_range = [&](int64_t begin, int64_t end) {
      const absl::Status ended = WithoutExceptions([&] {
        for (int64_t at = begin; at < end; at += part) {
          if (step != nullptr && step->IsCancelled()) {
            return absl::CancelledError(
                "HungarianAssignment: the step was cancelled");
          }
          TF_RETURN_IF_ERROR(solve_part(at, std::min(at + part, end)));
        }
        return absl::OkStatus();
      });
      if (!ended.ok()) {
        const std::lock_guard<std::mutex> lock(failure_mutex);
        failure.Update(ended);
      }
    };
    using tensorflow::thread::ThreadPool;
    if (problems <= kCyclesWorthSharing / cycles) {
      solve_range(0, problems);
    } else {
      context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(
          problems, ThreadPool::SchedulingParams::Adaptive(cycles),
          solve_range);
    }
    TF_RETURN_IF_ERROR(failure);
    const int32_t* const verdicts = status->flat<int32_t>().data();
    if (!validate_ || std::all_of(verdicts, verdicts + problems,
                                  [](int32_t code) { return code == 0; })) {
      return absl::OkStatus();
    }

    const auto dims = per_problem.dim_sizes();
    const rust::String bad = Entry::kDescribe(
        batch_of(0, problems), Range(costs, 0, cost.NumElements()),
        Range(dims.data(), 0, per_problem.dims()),
        Range(verdicts, 0, problems));
    if (bad.empty()) {
      return absl::InvalidArgumentError(
          "a problem is invalid or infeasible, and there was no memory to say "
          "which; see the output status");
    }
    return absl::InvalidArgumentError(std::string(bad));
  }

  // Real tensors leave nothing unknown.
  static absl::Status Known(const PartialTensorShape& shape,
                            TensorShape* known) {
    if (shape.AsTensorShape(known)) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(
        "an output's shape is not known when run: ", shape.DebugString()));
  }

  bool maximize_ = false;
  bool validate_ = false;
};

// Costs and limit of types that do not go together. Without a kernel of its own
// this would be TensorFlow's "no OpKernel was registered".
class MismatchedTypes : public OpKernel {
 public:
  explicit MismatchedTypes(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(
        context, ApplyTypeRule(context->input_type(0), context->input_type(3)));
  }
  void Compute(OpKernelContext* /*context*/) override {}
};

#define REGISTER_CPU(T, U, ...)                               \
  REGISTER_KERNEL_BUILDER(Name("HungarianAssignment")         \
                              .Device(tensorflow::DEVICE_CPU) \
                              .TypeConstraint<T>("T")         \
                              .TypeConstraint<U>("U"),        \
                          __VA_ARGS__)
REGISTER_CPU(Eigen::half, float, HungarianAssignmentCpu<Eigen::half>);
REGISTER_CPU(Eigen::bfloat16, float, HungarianAssignmentCpu<Eigen::bfloat16>);
REGISTER_CPU(float, float, HungarianAssignmentCpu<float>);
REGISTER_CPU(double, double, HungarianAssignmentCpu<double>);
REGISTER_CPU(Eigen::half, double, MismatchedTypes);
REGISTER_CPU(Eigen::bfloat16, double, MismatchedTypes);
REGISTER_CPU(float, double, MismatchedTypes);
REGISTER_CPU(double, float, MismatchedTypes);
#undef REGISTER_CPU

}  // namespace
}  // namespace hungarian
