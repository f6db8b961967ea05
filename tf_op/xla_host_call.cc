// HungarianAssignment in a program that XLA compiled for the host: the same
// solver as the CPU kernel, on XLA's threads.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tf_op/host_batch.h"
#include "tf_op/without_exceptions.h"
#include "tf_op/xla_call.h"
#include "xla/ffi/api/ffi.h"

namespace hungarian {
namespace {

namespace ffi = xla::ffi;

// Cycles of a part below which handing it to another thread costs more than it
// brings.
constexpr int64_t kCyclesPerPart = 200'000;

// Parts per thread: some, so that none waits long for the slowest.
constexpr int64_t kPartsPerThread = 4;

// Parts of some work, which threads take one by one. The calling thread takes
// parts too, and waits only for those that another thread has begun: it may
// be one of the pool's own, and the others may all be waiting as it would.
class Parts {
 public:
  explicit Parts(int64_t count) : count_(count) {}

  // Does part after part until none is left. `work` is only touched for a part
  // that was taken, so a thread that comes late finds nothing of the call.
  template <typename Work>
  void TakeAll(const Work& work) {
    for (;;) {
      const int64_t part = next_.fetch_add(1);
      if (part >= count_) return;
      const absl::Status done = work(part);
      const std::lock_guard<std::mutex> lock(mutex_);
      failure_.Update(done);
      if (++done_ == count_) all_done_.notify_all();
    }
  }

  // After TakeAll has returned on this thread.
  absl::Status Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    all_done_.wait(lock, [this] { return done_ == count_; });
    return failure_;
  }

 private:
  const int64_t count_;
  std::atomic<int64_t> next_{0};
  std::mutex mutex_;
  std::condition_variable all_done_;
  int64_t done_ = 0;
  absl::Status failure_;
};

// Calls `solve(begin, end)` for all problems, on `pool` and this thread.
template <typename Solve>
absl::Status Share(ffi::ThreadPool& pool, int64_t problems,
                   int64_t cycles_per_problem, const Solve& solve) {
  const int64_t threads = std::max<int64_t>(1, pool.num_threads());
  const int64_t least =
      std::max<int64_t>(1, kCyclesPerPart / cycles_per_problem);
  const int64_t most_parts = threads * kPartsPerThread;
  const int64_t size =
      std::max(least, problems / most_parts + (problems % most_parts != 0));
  const int64_t count = problems / size + (problems % size != 0);

  const auto solve_part = [&solve, problems, size](int64_t part) {
    const int64_t begin = part * size;
    return WithoutExceptions(
        [&] { return solve(begin, std::min(size, problems - begin) + begin); });
  };
  const auto parts = std::make_shared<Parts>(count);
  const int64_t helpers = std::min(threads, count) - 1;
  for (int64_t helper = 0; helper < helpers; ++helper) {
    // A pool that refuses leaves more to this thread.
    const absl::Status scheduled = WithoutExceptions([&] {
      pool.Schedule([parts, &solve_part] { parts->TakeAll(solve_part); });
      return absl::OkStatus();
    });
    if (!scheduled.ok()) break;
  }
  parts->TakeAll(solve_part);
  return parts->Wait();
}

template <typename T>
absl::Status SolveAs(const XlaCall& call, bool maximize, bool validate,
                     ffi::ThreadPool& pool) {
  HostBuffers buffers;
  buffers.problems = call.problems;
  buffers.rows = call.rows;
  buffers.cols = call.cols;
  buffers.maximize = maximize;
  buffers.cost = call.cost().untyped_data();
  buffers.row_mask = call.row_mask().untyped_data();
  buffers.col_mask = call.col_mask().untyped_data();
  buffers.cost_limit = call.cost_limit().untyped_data();
  buffers.row_mask_is_uniform = call.row_mask().dimensions().size() == 0;
  buffers.col_mask_is_uniform = call.col_mask().dimensions().size() == 0;
  buffers.total_cost = call.total_cost().untyped_data();
  buffers.row_to_col = call.row_to_col().untyped_data();
  buffers.col_to_row = call.col_to_row().untyped_data();
  buffers.row_duals = call.row_duals().untyped_data();
  buffers.col_duals = call.col_duals().untyped_data();
  buffers.status = call.status().untyped_data();

  const HostBatch<T> batch(buffers);
  const auto solve = [&batch](int64_t begin, int64_t end) {
    return batch.Solve(begin, end);
  };
  if (batch.IsSmall()) {
    const absl::Status solved = solve(0, call.problems);
    if (!solved.ok()) return solved;
  } else {
    const absl::Status solved =
        Share(pool, call.problems, batch.cycles_per_problem(), solve);
    if (!solved.ok()) return solved;
  }
  return validate ? batch.Validate(call.batch) : absl::OkStatus();
}

absl::Status Solve(ffi::RemainingArgs operands, ffi::RemainingRets results,
                   bool maximize, bool validate, ffi::ThreadPool& pool) {
  XlaCall call;
  const absl::Status made = XlaCall::Make(operands, results, &call);
  if (!made.ok()) return made;
  switch (call.cost().element_type()) {
    case ffi::F16:
      return SolveAs<Eigen::half>(call, maximize, validate, pool);
    case ffi::BF16:
      return SolveAs<Eigen::bfloat16>(call, maximize, validate, pool);
    case ffi::F32:
      return SolveAs<float>(call, maximize, validate, pool);
    case ffi::F64:
      return SolveAs<double>(call, maximize, validate, pool);
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(kXlaCallTarget, ": cost must be f16, bf16, f32 or f64"));
  }
}

ffi::Error Handle(ffi::ThreadPool pool, ffi::RemainingArgs operands,
                  ffi::RemainingRets results, bool maximize, bool validate) {
  return ToXlaError(WithoutExceptions(
      [&] { return Solve(operands, results, maximize, validate, pool); }));
}

XLA_FFI_DEFINE_HANDLER(kHandler, Handle,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .RemainingArgs()
                           .RemainingRets()
                           .Attr<bool>("maximize")
                           .Attr<bool>("validate"));

// While the library is loaded.
[[maybe_unused]] const absl::Status& registered = HostCallRegistration();

}  // namespace

const absl::Status& HostCallRegistration() noexcept {
  static const absl::Status status = WithoutExceptions([] {
    return RegisterXlaCall(
        "Host", XLA_FFI_Handler_Bundle{nullptr, nullptr, nullptr, kHandler}, 0);
  });
  return status;
}

}  // namespace hungarian
