// share.h, by which the CPU kernel and XLA's call on the host give parts of a
// batch to the threads of a pool. With a pool of our own and under
// ThreadSanitizer: what is solved is plain memory, so that a part taken twice,
// or one that the caller does not wait for, is a data race if not a wrong
// count.

#include "tf_op/cpu/share.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <mutex>
#include <queue>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using hungarian::kCyclesPerPart;
using hungarian::kPartsPerThread;
using hungarian::Share;

// Not assert: these must hold in every build.
#define CHECK(condition)                         \
  do {                                           \
    if (!(condition)) {                          \
      std::cerr << __FILE__ << ":" << __LINE__   \
                << ": not so: " #condition "\n"; \
      std::exit(1);                              \
    }                                            \
  } while (false)

// So long that each problem is worth a part of its own.
constexpr int64_t kLong = 2 * kCyclesPerPart;

// Threads that do what is scheduled, in that order.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int thread = 0; thread < threads; ++thread) {
      threads_.emplace_back([this] { Run(); });
    }
  }

  // Does first what is still scheduled.
  ~Pool() {
    for (size_t thread = 0; thread < threads_.size(); ++thread) {
      Schedule(nullptr);
    }
    for (std::thread& thread : threads_) thread.join();
  }

  void Schedule(std::function<void()> work) {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push(std::move(work));
    has_work_.notify_one();
  }

 private:
  void Run() {
    // Finished work is kept: to destroy what it shares with the call would
    // order the two in time, and hide that nothing else does.
    std::vector<std::function<void()>> done;
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      has_work_.wait(lock, [this] { return !queue_.empty(); });
      std::function<void()> work = std::move(queue_.front());
      queue_.pop();
      lock.unlock();
      if (!work) return;
      work();
      done.push_back(std::move(work));
    }
  }

  std::mutex mutex_;
  std::condition_variable has_work_;
  std::queue<std::function<void()>> queue_;
  std::vector<std::thread> threads_;
};

// Something that threads wait for.
class Gate {
 public:
  void Open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_open_ = true;
    opened_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    opened_.wait(lock, [this] { return is_open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool is_open_ = false;
};

// Solves `problems` by the pool; each must be solved once, and seen here.
void SolveAll(Pool& pool, int64_t threads, int64_t problems, int64_t cycles) {
  std::vector<int> times(static_cast<size_t>(problems));
  const auto schedule = [&pool](auto work) { pool.Schedule(std::move(work)); };
  const auto solve = [&times](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) ++times[static_cast<size_t>(at)];
    return absl::OkStatus();
  };
  CHECK(Share(threads, schedule, problems, cycles, solve).ok());
  for (const int count : times) CHECK(count == 1);
}

void EveryProblemIsSolvedOnce() {
  for (const int threads : {1, 2, 4}) {
    Pool pool(threads);
    for (const int64_t problems : {0, 1, 2, 3, 7, 16, 17, 100, 1000}) {
      for (const int64_t cycles : {int64_t{1}, int64_t{20'000}, kLong}) {
        for (int repeat = 0; repeat < 20; ++repeat) {
          SolveAll(pool, threads, problems, cycles);
        }
      }
    }
  }
}

// Two threads that meet in every part, and so go for the next one at the same
// time.
void NoPartIsTakenTwice() {
  Pool pool(1);
  const auto schedule = [&pool](auto work) { pool.Schedule(std::move(work)); };
  for (int repeat = 0; repeat < 20000; ++repeat) {
    std::vector<int> times(2 * kPartsPerThread);
    std::atomic<size_t> arrived{0};
    const auto solve = [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) ++times[static_cast<size_t>(at)];
      const size_t all_of_pair = (arrived.fetch_add(1) | 1) + 1;
      // A thread that yields comes late.
      for (int turn = 1; arrived < std::min(all_of_pair, times.size());
           ++turn) {
        if (turn % 1000 == 0) std::this_thread::yield();
      }
      return absl::OkStatus();
    };
    CHECK(Share(2, schedule, 2 * kPartsPerThread, kLong, solve).ok());
    for (const int count : times) CHECK(count == 1);
  }
}

// Callers on threads of the pool, and more of them than it has: each finds all
// others busy, and none may wait for what nobody has begun.
void CallersMayBeOfThePool() {
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::atomic<int> done{0};
    Gate all_done;
    Pool pool(2);
    for (int caller = 0; caller < 5; ++caller) {
      pool.Schedule([&] {
        SolveAll(pool, 2, 40, kLong);
        if (done.fetch_add(1) == 4) all_done.Open();
      });
    }
    all_done.Wait();
  }
}

// Threads that are busy until the call is over find nothing of it then.
void NobodyWaitsForABusyPool() {
  Gate released;
  std::atomic<int> late{0};
  {
    Pool pool(3);
    for (int thread = 0; thread < 3; ++thread) {
      pool.Schedule([&released] { released.Wait(); });
    }
    {
      const auto schedule = [&](auto work) {
        pool.Schedule([work = std::move(work), &late] {
          work();
          ++late;
        });
      };
      std::vector<int> times(40);
      bool is_over = false;
      const auto solve = [&](int64_t begin, int64_t end) {
        CHECK(!is_over);
        for (int64_t at = begin; at < end; ++at) {
          ++times[static_cast<size_t>(at)];
        }
        return absl::OkStatus();
      };
      CHECK(Share(4, schedule, 40, kLong, solve).ok());
      is_over = true;
      for (const int count : times) CHECK(count == 1);
    }
    CHECK(late == 0);
    released.Open();
  }
  CHECK(late == 3);
}

// A part that another thread has begun is waited for, however long it takes.
void BegunPartsAreWaitedFor() {
  for (int repeat = 0; repeat < 50; ++repeat) {
    Pool pool(1);
    Gate begun;
    const std::thread::id caller = std::this_thread::get_id();
    int solved_by_other = 0;
    const auto schedule = [&pool](auto work) {
      pool.Schedule(std::move(work));
    };
    const auto solve = [&](int64_t, int64_t) {
      if (std::this_thread::get_id() == caller) {
        // Not before the other has one too.
        begun.Wait();
      } else {
        begun.Open();
        usleep(1000);
        ++solved_by_other;
      }
      return absl::OkStatus();
    };
    CHECK(Share(2, schedule, 2, kLong, solve).ok());
    CHECK(solved_by_other >= 1);
  }
}

// What goes wrong in a part is the call's status; the other parts are solved.
void FailuresAreTold() {
  Pool pool(3);
  const auto schedule = [&pool](auto work) { pool.Schedule(std::move(work)); };
  for (const int64_t bad : {0, 5, 31}) {
    for (const bool throws : {false, true}) {
      std::vector<int> times(32);
      const auto solve = [&](int64_t begin, int64_t end) {
        for (int64_t at = begin; at < end; ++at) {
          ++times[static_cast<size_t>(at)];
          if (at == bad && throws) throw std::runtime_error("thrown");
          if (at == bad) return absl::DataLossError("told");
        }
        return absl::OkStatus();
      };
      const absl::Status status = Share(4, schedule, 32, kLong, solve);
      CHECK(status.code() == (throws ? absl::StatusCode::kInternal
                                     : absl::StatusCode::kDataLoss));
      const std::string message(status.message());
      CHECK(message.find(throws ? "thrown" : "told") != std::string::npos);
      int64_t solved = 0;
      for (const int count : times) {
        CHECK(count <= 1);
        solved += count;
      }
      // Parts are of two problems; in the bad one, nothing is solved behind the
      // failure.
      CHECK(solved >= 31);
    }
  }
}

// A pool that takes nothing, or nothing any more, leaves all to the caller.
void APoolMayRefuse() {
  for (const int most : {0, 1}) {
    Pool pool(1);
    int taken = 0;
    std::vector<int> times(32);
    const auto schedule = [&](auto work) {
      if (taken++ == most) throw std::runtime_error("refused");
      pool.Schedule(std::move(work));
    };
    const auto solve = [&times](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) {
        ++times[static_cast<size_t>(at)];
      }
      return absl::OkStatus();
    };
    CHECK(Share(8, schedule, 32, kLong, solve).ok());
    for (const int count : times) CHECK(count == 1);
  }
}

// Parts follow each other from the first problem to the last, none is empty,
// and they are neither too many nor, but for the last, too small.
void PartsTileTheBatch() {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const int64_t threads :
       {int64_t{0}, int64_t{1}, int64_t{3}, int64_t{64}}) {
    for (const int64_t problems :
         {int64_t{0}, int64_t{1}, int64_t{5}, int64_t{255}, int64_t{256},
          int64_t{257}, int64_t{100'000}, kMost - 1, kMost}) {
      for (const int64_t cycles : {int64_t{1}, int64_t{999}, kLong, kMost}) {
        int64_t at = 0;
        int64_t parts = 0;
        int64_t helpers = 0;
        const auto schedule = [&helpers](auto) { ++helpers; };
        const auto solve = [&](int64_t begin, int64_t end) {
          CHECK(begin == at && begin < end && end <= problems);
          CHECK(end == problems || (end - begin) >= kCyclesPerPart / cycles);
          at = end;
          ++parts;
          return absl::OkStatus();
        };
        CHECK(Share(threads, schedule, problems, cycles, solve).ok());
        CHECK(at == problems);
        CHECK(parts <= std::max<int64_t>(1, threads) * kPartsPerThread);
        CHECK(helpers <= std::max<int64_t>(0, threads - 1));
        CHECK(helpers < std::max<int64_t>(1, parts));
      }
    }
  }
}

}  // namespace

int main() {
  // Ends the program if something waits for ever.
  alarm(300);
  PartsTileTheBatch();
  EveryProblemIsSolvedOnce();
  NoPartIsTakenTwice();
  CallersMayBeOfThePool();
  NobodyWaitsForABusyPool();
  BegunPartsAreWaitedFor();
  FailuresAreTold();
  APoolMayRefuse();
  std::cout << "share: passed\n";
}
