// HungarianAssignment on CPU: checks shapes, allocates, solves on TensorFlow's
// own threads.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
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
#include "tensorflow/core/util/work_sharder.h"
#include "tf_op/call.h"
#include "tf_op/solver_bridge.h"

namespace hungarian {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

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
    Call call;
    TF_RETURN_IF_ERROR(Call::Make(context, &call));
    const int64_t problems = call.problems;
    const int64_t rows = call.rows;
    const int64_t cols = call.cols;
    const Mask rows_existing(*call.row_mask);
    const Mask cols_existing(*call.col_mask);
    const double limit = static_cast<double>(call.cost_limit->scalar<Real>()());
    const Bits* const costs =
        reinterpret_cast<const Bits*>(call.cost->flat<T>().data());

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
          Range(call.total_cost->flat<Real>().data(), begin, count),
          Range(call.row_to_col->flat<int32_t>().data(), begin * rows,
                count * rows),
          Range(call.col_to_row->flat<int32_t>().data(), begin * cols,
                count * cols),
          Range(call.row_duals->flat<Real>().data(), begin * rows,
                count * rows),
          Range(call.col_duals->flat<Real>().data(), begin * cols,
                count * cols),
          Range(call.status->flat<int32_t>().data(), begin, count)};
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
    if (problems <= kCyclesWorthSharing / cycles) {
      solve_range(0, problems);
    } else {
      // The pool's own ParallelFor takes other arguments from 2.20 on.
      const auto* const threads =
          context->device()->tensorflow_cpu_worker_threads();
      tensorflow::Shard(threads->num_threads, threads->workers, problems,
                        cycles, solve_range);
    }
    TF_RETURN_IF_ERROR(failure);
    const int32_t* const verdicts = call.status->flat<int32_t>().data();
    if (!validate_ || std::all_of(verdicts, verdicts + problems,
                                  [](int32_t code) { return code == 0; })) {
      return absl::OkStatus();
    }

    const auto dims = call.per_problem.dim_sizes();
    const rust::String bad = Entry::kDescribe(
        batch_of(0, problems), Range(costs, 0, call.cost->NumElements()),
        Range(dims.data(), 0, call.per_problem.dims()),
        Range(verdicts, 0, problems));
    if (bad.empty()) {
      return absl::InvalidArgumentError(
          "a problem is invalid or infeasible, and there was no memory to say "
          "which; see the output status");
    }
    return absl::InvalidArgumentError(std::string(bad));
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
