// Problems of a batch shared between the calling thread and a pool's.

#ifndef HUNGARIAN_LOSS_TF_OP_CPU_SHARE_H_
#define HUNGARIAN_LOSS_TF_OP_CPU_SHARE_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "tf_op/without_exceptions.h"

namespace hungarian {

// Cycles of a part below which handing it to another thread costs more than it
// brings.
inline constexpr int64_t kCyclesPerPart = 200'000;

// Parts per thread: more than one, so that no thread waits long for the
// slowest.
inline constexpr int64_t kPartsPerThread = 4;

// Parts of some work, which threads take one by one. The calling thread takes
// parts too, and waits only for those that another thread has begun: the
// calling thread may be one of the pool's own, and all others may be waiting
// likewise.
class Parts {
 public:
  explicit Parts(int64_t count) : count_(count) {}

  // Does part after part until none is left. `work` is only touched for a part
  // that was taken, so a thread that comes late touches nothing of a call that
  // may have returned.
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

// Calls `solve(begin, end)` for all problems, on this thread and those of a
// pool of `pool_threads`: `schedule(work)` has one of them do some work.
template <typename Schedule, typename Solve>
absl::Status Share(int64_t pool_threads, const Schedule& schedule,
                   int64_t problems, int64_t cycles_per_problem,
                   const Solve& solve) {
  const int64_t threads = std::max<int64_t>(1, pool_threads);
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
      schedule([parts, &solve_part] { parts->TakeAll(solve_part); });
      return absl::OkStatus();
    });
    if (!scheduled.ok()) break;
  }
  parts->TakeAll(solve_part);
  return parts->Wait();
}

}  // namespace hungarian

#endif  // HUNGARIAN_LOSS_TF_OP_CPU_SHARE_H_
