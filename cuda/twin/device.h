// What a CUDA compiler provides and the kernels use, for the host: a thread is
// a fiber (runtime.cc).
//
// Only barriers order memory, as on a device: what shuffles and votes exchange
// says nothing about other memory.

#ifndef CUDA_TWIN_DEVICE_H_
#define CUDA_TWIN_DEVICE_H_

#include <cmath>
#include <cstring>

#define __device__
#define __global__
#define __launch_bounds__(...)
#define __noinline__

using std::fabs;
using std::fmaxf;
using std::fminf;

// What counters count; see twin_take_counts.
enum Counter {
  // Rounds of row reduction.
  kRounds,
  // Bids that the first warp makes in them: in f32, in f64.
  kBids,
  kBidsInDouble,
  // Steps of shortest path searches: in f32, in f64.
  kSteps,
  kStepsInDouble,
  // Rounds of raising duals.
  kRaises,
  // Problems that f64 had to search in.
  kSearchesInDouble,
  // Problems solved in twice the precision.
  kSolvedInDoubleDouble,
  kCounters
};

extern "C" {
// The thread that runs.
struct TwinThread {
  unsigned thread;
  unsigned block;
  unsigned threads;
  unsigned blocks;
  unsigned char* shared;
};
extern const TwinThread* twin_current;

// Waits for all lanes of the warp. Returns what each of them brought; valid
// until the lane's next exchange but one.
const unsigned long long* twin_exchange(unsigned long long mine);
// Barriers.
void twin_sync_warp();
int twin_sync_block(int mine);
void twin_count(int counter);
void twin_begin_problem();
}

#define COUNT(counter) twin_count(counter)
#define BEGIN_PROBLEM() twin_begin_problem()

struct TwinIndex {
  unsigned x;
};
#define threadIdx (TwinIndex{twin_current->thread})
#define blockIdx (TwinIndex{twin_current->block})
#define blockDim (TwinIndex{twin_current->threads})
#define gridDim (TwinIndex{twin_current->blocks})

inline unsigned char* SharedMemory() { return twin_current->shared; }

// ---- Bits ----

template <typename To, typename From>
inline To TwinBits(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same size");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}
inline unsigned __float_as_uint(float value) {
  return TwinBits<unsigned>(value);
}
inline float __uint_as_float(unsigned bits) { return TwinBits<float>(bits); }
inline long long __double_as_longlong(double value) {
  return TwinBits<long long>(value);
}
inline double __longlong_as_double(long long bits) {
  return TwinBits<double>(bits);
}
inline int __ffs(int bits) { return __builtin_ffs(bits); }

template <typename V>
inline V __ldg(const V* address) {
  return *address;
}

inline unsigned atomicMax(unsigned* address, unsigned value) {
  unsigned before = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (before < value &&
         !__atomic_compare_exchange_n(address, &before, value, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return before;
}

inline int atomicAdd(int* address, int value) {
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
inline int atomicExch(int* address, int value) {
  return __atomic_exchange_n(address, value, __ATOMIC_RELAXED);
}

// ---- Warps. All lanes take part, always. ----

inline void __syncwarp() { twin_sync_warp(); }

inline unsigned long long TwinOther(unsigned long long mine, int bit) {
  return twin_exchange(
      mine)[(twin_current->thread % 32) ^ static_cast<unsigned>(bit)];
}
inline int __shfl_xor_sync(unsigned, int value, int bit) {
  return static_cast<int>(TwinOther(static_cast<unsigned>(value), bit));
}
inline unsigned __shfl_xor_sync(unsigned, unsigned value, int bit) {
  return static_cast<unsigned>(TwinOther(value, bit));
}
inline float __shfl_xor_sync(unsigned, float value, int bit) {
  return __uint_as_float(
      static_cast<unsigned>(TwinOther(__float_as_uint(value), bit)));
}
inline double __shfl_xor_sync(unsigned, double value, int bit) {
  return TwinBits<double>(TwinOther(TwinBits<unsigned long long>(value), bit));
}

inline unsigned __shfl_sync(unsigned, unsigned value, int lane) {
  return static_cast<unsigned>(twin_exchange(value)[lane]);
}

inline unsigned __ballot_sync(unsigned, int predicate) {
  const unsigned long long* const all = twin_exchange(predicate != 0 ? 1 : 0);
  unsigned bits = 0;
  for (int lane = 0; lane < 32; ++lane) {
    bits |= static_cast<unsigned>(all[lane]) << lane;
  }
  return bits;
}
inline int __any_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) != 0 ? 1 : 0;
}

inline unsigned __reduce_min_sync(unsigned, unsigned value) {
  const unsigned long long* const all = twin_exchange(value);
  unsigned least = value;
  for (int lane = 0; lane < 32; ++lane) {
    least = all[lane] < least ? static_cast<unsigned>(all[lane]) : least;
  }
  return least;
}

// ---- Blocks ----

inline void __syncthreads() { twin_sync_block(0); }
inline int __syncthreads_or(int predicate) {
  return twin_sync_block(predicate);
}

#endif  // CUDA_TWIN_DEVICE_H_
