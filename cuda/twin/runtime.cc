// Runs kernels: a fiber for each thread of a block, one block after the other.
// Which fiber runs is drawn at random each time that one has to wait.
// ThreadSanitizer, if it is there, is told about fibers and about what orders
// memory: barriers.

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#ifndef __x86_64__
#include <ucontext.h>
#endif

#include "device.h"
#include "twin.h"

using Kernel = void (*)(Parameters);
extern "C" Kernel twin_find_kernel(const char* name);

// Of ThreadSanitizer's runtime, where it is loaded.
extern "C" {
__attribute__((weak)) void* __tsan_create_fiber(unsigned flags);
__attribute__((weak)) void* __tsan_get_current_fiber();
__attribute__((weak)) void __tsan_switch_to_fiber(void* fiber, unsigned flags);
__attribute__((weak)) void __tsan_acquire(void* address);
__attribute__((weak)) void __tsan_release(void* address);
}

extern "C" {
const TwinThread* twin_current = nullptr;
}

namespace {

constexpr unsigned kWarpSize = 32;
constexpr unsigned kMostThreads = 1024;
constexpr std::size_t kStackBytes = 256 * 1024;

bool IsUnderTsan() { return __tsan_create_fiber != nullptr; }

void Acquire(void* address) {
  if (IsUnderTsan()) {
    __tsan_acquire(address);
  }
}

void Release(void* address) {
  if (IsUnderTsan()) {
    __tsan_release(address);
  }
}

// ---- Switching from one stack to another ----

#ifdef __x86_64__
using Context = void*;

// Saves what a function must preserve on the stack, and goes on where `to` was
// saved.
extern "C" void twin_switch(Context* from, Context to);
asm(R"(
.text
.globl twin_switch
.hidden twin_switch
.type twin_switch, @function
twin_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size twin_switch, .-twin_switch
)");

void Prepare(Context* context, unsigned char* stack, void (*entry)()) {
  // Six registers, the address to return to, and one word more: a function
  // expects the stack to be off by 8.
  void** top = reinterpret_cast<void**>(stack + kStackBytes) - 8;
  std::memset(top, 0, 8 * sizeof(void*));
  top[6] = reinterpret_cast<void*>(entry);
  *context = top;
}
#else
using Context = ucontext_t;
void twin_switch(Context* from, Context& to) { swapcontext(from, &to); }
void Prepare(Context* context, unsigned char* stack, void (*entry)()) {
  getcontext(context);
  context->uc_stack.ss_sp = stack;
  context->uc_stack.ss_size = kStackBytes;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
}
#endif

enum class State {
  kRunnable,
  kInExchange,
  kInWarpBarrier,
  kInBlockBarrier,
  kDone
};

struct Fiber {
  TwinThread thread = {};
  State state = State::kDone;
  Context context = {};
  unsigned char* stack = nullptr;
  void* tsan = nullptr;
  // Which of the two boards its next exchange uses.
  unsigned exchanges = 0;
};

struct Warp {
  unsigned waiting = 0;
  State barrier = State::kRunnable;
  // Two boards take turns: nobody can be two exchanges ahead.
  unsigned long long boards[2][kWarpSize] = {};
};

// Everything that runs; there is one, for launches do not overlap.
struct Machine {
  Kernel kernel = nullptr;
  Parameters parameters = {};
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Warp> warps;
  unsigned threads = 0;
  unsigned waiting_for_block = 0;
  int predicate = 0;
  int last_predicate = 0;
  unsigned long long random = 0;
  Context scheduler = {};
  void* scheduler_tsan = nullptr;
  std::vector<unsigned> runnable;
  Fiber* current = nullptr;
  bool has_failed = false;
  // Their addresses stand for the memory that barriers order.
  char block_order = 0;
  char launch_order = 0;

  long long counts[kCounters] = {};
  long long most[kCounters] = {};

  unsigned Draw(unsigned bound) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return static_cast<unsigned>((random >> 20) % bound);
  }

  void Resume(Fiber& fiber) {
    current = &fiber;
    twin_current = &fiber.thread;
    if (IsUnderTsan()) {
      // 1: the switch itself orders nothing.
      __tsan_switch_to_fiber(fiber.tsan, 1);
    }
    twin_switch(&scheduler, fiber.context);
  }

  // The running fiber waits, or has ended.
  void Leave(State state) {
    current->state = state;
    Fiber& fiber = *current;
    if (IsUnderTsan()) {
      __tsan_switch_to_fiber(scheduler_tsan, 1);
    }
    twin_switch(&fiber.context, scheduler);
  }

  void Wake(unsigned thread) {
    fibers[thread]->state = State::kRunnable;
    runnable.push_back(thread);
  }

  void FoldCounts() {
    for (int counter = 0; counter < kCounters; ++counter) {
      most[counter] =
          counts[counter] > most[counter] ? counts[counter] : most[counter];
      counts[counter] = 0;
    }
  }

  // The running fiber waits for its warp, at a barrier or in an exchange.
  void WaitForWarp(State barrier) {
    Warp& warp = warps[current->thread.thread / kWarpSize];
    if (warp.waiting == 0) {
      warp.barrier = barrier;
    }
    if (warp.barrier != barrier) {
      has_failed = true;
    }
    ++warp.waiting;
    const unsigned first = current->thread.thread / kWarpSize * kWarpSize;
    if (warp.waiting == kWarpSize) {
      warp.waiting = 0;
      for (unsigned lane = 0; lane < kWarpSize; ++lane) {
        Wake(first + lane);
      }
      current->state = State::kRunnable;
      LeaveRunnable();
      return;
    }
    Leave(barrier);
  }

  void LeaveRunnable() { Leave(State::kRunnable); }
};

Machine machine;

void RunThread() {
  while (true) {
    Acquire(&machine.launch_order);
    machine.kernel(machine.parameters);
    Release(&machine.launch_order);
    machine.Leave(State::kDone);
  }
}

bool RunBlock(unsigned block, unsigned grid, unsigned shared_bytes) {
  // Exactly as large as asked for, and full of rubbish.
  void* shared = nullptr;
  if (posix_memalign(&shared, 16, shared_bytes == 0 ? 1 : shared_bytes) != 0) {
    return false;
  }
  std::memset(shared, 0xa5, shared_bytes);
  machine.runnable.clear();
  machine.waiting_for_block = 0;
  machine.predicate = 0;
  machine.warps.assign(machine.threads / kWarpSize, Warp());
  Release(&machine.launch_order);
  for (unsigned thread = 0; thread < machine.threads; ++thread) {
    Fiber& fiber = *machine.fibers[thread];
    fiber.thread = {thread, block, machine.threads, grid,
                    static_cast<unsigned char*>(shared)};
    fiber.exchanges = 0;
    machine.Wake(thread);
  }
  while (!machine.runnable.empty() && !machine.has_failed) {
    const unsigned place =
        machine.Draw(static_cast<unsigned>(machine.runnable.size()));
    const unsigned thread = machine.runnable[place];
    machine.runnable[place] = machine.runnable.back();
    machine.runnable.pop_back();
    machine.Resume(*machine.fibers[thread]);
  }
  for (unsigned thread = 0; thread < machine.threads; ++thread) {
    machine.has_failed =
        machine.has_failed || machine.fibers[thread]->state != State::kDone;
  }
  Acquire(&machine.launch_order);
  std::free(shared);
  machine.FoldCounts();
  return !machine.has_failed;
}

}  // namespace

extern "C" {

const unsigned long long* twin_exchange(unsigned long long mine) {
  Fiber& fiber = *machine.current;
  unsigned long long* const board =
      machine.warps[fiber.thread.thread / kWarpSize]
          .boards[fiber.exchanges++ % 2];
  board[fiber.thread.thread % kWarpSize] = mine;
  machine.WaitForWarp(State::kInExchange);
  return board;
}

void twin_sync_warp() {
  Warp* const warp = &machine.warps[machine.current->thread.thread / kWarpSize];
  Release(warp);
  machine.WaitForWarp(State::kInWarpBarrier);
  Acquire(warp);
}

int twin_sync_block(int mine) {
  Release(&machine.block_order);
  machine.predicate |= mine;
  if (++machine.waiting_for_block == machine.threads) {
    machine.waiting_for_block = 0;
    machine.last_predicate = machine.predicate;
    machine.predicate = 0;
    for (unsigned thread = 0; thread < machine.threads; ++thread) {
      machine.Wake(thread);
    }
    machine.LeaveRunnable();
  } else {
    machine.Leave(State::kInBlockBarrier);
  }
  Acquire(&machine.block_order);
  return machine.last_predicate != 0 ? 1 : 0;
}

void twin_count(int counter) {
  if (machine.current->thread.thread == 0) {
    ++machine.counts[counter];
  }
}

void twin_begin_problem() {
  if (machine.current->thread.thread == 0) {
    machine.FoldCounts();
  }
}

void twin_take_counts(long long* counts, int count) {
  for (int counter = 0; counter < count && counter < kCounters; ++counter) {
    counts[counter] = machine.most[counter];
    machine.most[counter] = 0;
  }
}

int twin_launch(const char* kernel, unsigned grid, unsigned threads,
                unsigned shared_bytes, const Parameters* parameters,
                unsigned long long seed) {
  machine.kernel = twin_find_kernel(kernel);
  if (machine.kernel == nullptr) {
    return kTwinUnknownKernel;
  }
  if (grid == 0 || threads == 0 || threads > kMostThreads ||
      threads % kWarpSize != 0) {
    return kTwinBadLaunch;
  }
  machine.parameters = *parameters;
  machine.threads = threads;
  machine.has_failed = false;
  // Any state but 0 will do; those of neighbouring seeds are far apart.
  machine.random = (seed + 1) * 0x9e3779b97f4a7c15ull | 1;
  if (IsUnderTsan()) {
    machine.scheduler_tsan = __tsan_get_current_fiber();
  }
  while (machine.fibers.size() < threads) {
    auto fiber = std::make_unique<Fiber>();
    void* const stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) {
      return kTwinBadLaunch;
    }
    fiber->stack = static_cast<unsigned char*>(stack);
    if (IsUnderTsan()) {
      fiber->tsan = __tsan_create_fiber(0);
    }
    Prepare(&fiber->context, fiber->stack, RunThread);
    machine.fibers.push_back(std::move(fiber));
  }
  for (unsigned block = 0; block < grid; ++block) {
    if (!RunBlock(block, grid, shared_bytes)) {
      // Fibers that still wait cannot be used again.
      machine.fibers.clear();
      return kTwinDeadlock;
    }
  }
  return kTwinDone;
}
}
