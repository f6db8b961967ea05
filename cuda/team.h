// The threads that solve a problem together: a warp, or a block.

#ifndef CUDA_TEAM_H_
#define CUDA_TEAM_H_

#include "number.h"
#include "parameters.h"

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kMostWarps = 32;
// Bytes of a slot, for a value that the warps of a team exchange.
constexpr int kSlotBytes = 32;
// Two slots for each warp.
static_assert(kExchangeBytes == 2 * kMostWarps * kSlotBytes, "exchange");

// A column that a search may go to next.
template <typename R>
struct alignas(8) Nearest {
  R value;
  // Decides between equals: unmatched columns first, then the lowest.
  unsigned rank;
};

constexpr unsigned kIsMatched = 1u << 16;
constexpr unsigned kNoColumn = 0xffffffffu;

template <typename R>
__device__ inline bool operator<(const Nearest<R>& a, const Nearest<R>& b) {
  // No branches.
  const bool is_less = a.value < b.value;
  const bool is_equal = a.value == b.value;
  const bool is_before = a.rank < b.rank;
  return is_less | (is_equal & is_before);
}

// The two least reduced costs of a row.
template <typename R>
struct TwoNearest {
  R first;
  R second;
  // Where the first one is; kIsMatched is set if that column is matched.
  unsigned rank;
};

// ---- The value of the lane whose number differs by `bit` ----

__device__ inline int FromOther(int value, int bit) {
  return __shfl_xor_sync(kAllLanes, value, bit);
}
__device__ inline unsigned FromOther(unsigned value, int bit) {
  return __shfl_xor_sync(kAllLanes, value, bit);
}
__device__ inline float FromOther(float value, int bit) {
  return __shfl_xor_sync(kAllLanes, value, bit);
}
__device__ inline double FromOther(double value, int bit) {
  return __shfl_xor_sync(kAllLanes, value, bit);
}
__device__ inline DoubleDouble FromOther(DoubleDouble value, int bit) {
  return {FromOther(value.high, bit), FromOther(value.low, bit)};
}
template <typename R>
__device__ inline Nearest<R> FromOther(const Nearest<R>& value, int bit) {
  return {FromOther(value.value, bit), FromOther(value.rank, bit)};
}
// The value of a lane.
__device__ inline unsigned FromLane(unsigned value, int lane) {
  return __shfl_sync(kAllLanes, value, lane);
}
// Combines the values of a warp's lanes; `combine` is commutative and
// associative, so that every lane gets the same.
template <typename V, typename Combine>
__device__ inline V ReduceWarp(V value, Combine combine) {
#pragma unroll
  for (int bit = kWarp / 2; bit > 0; bit /= 2) {
    value = combine(value, FromOther(value, bit));
  }
  return value;
}

template <typename R>
__device__ inline Nearest<R> LeastOfWarp(const Nearest<R>& mine) {
  return ReduceWarp(mine, [](const Nearest<R>& a, const Nearest<R>& b) {
    return b < a ? b : a;
  });
}

template <typename R>
__device__ inline R LeastOfWarp(R mine) {
  return ReduceWarp(mine, [](R a, R b) { return Smaller(a, b); });
}

// The form in which threads that look for the least value exchange theirs.
template <typename V>
struct Exchanged {
  using Type = V;
  __device__ static V To(const V& value) { return value; }
  __device__ static V From(const V& value) { return value; }
};

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
// One instruction instead of five or ten shuffles: with its bits arranged so,
// an f32 sorts like an unsigned integer.
__device__ inline unsigned KeyOf(float value) {
  // Adding zero makes -0 the same as 0.
  const unsigned bits = __float_as_uint(value + 0.0f);
  return bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u);
}
__device__ inline float FromKey(unsigned key) {
  return __uint_as_float(key ^ ((key >> 31) != 0 ? 0x80000000u : 0xffffffffu));
}

struct alignas(8) NearestKey {
  unsigned key;
  unsigned rank;
};

template <>
struct Exchanged<Nearest<float>> {
  using Type = NearestKey;
  __device__ static NearestKey To(const Nearest<float>& value) {
    return {KeyOf(value.value), value.rank};
  }
  __device__ static Nearest<float> From(const NearestKey& value) {
    return {FromKey(value.key), value.rank};
  }
};

__device__ inline NearestKey LeastOfWarp(const NearestKey& mine) {
  const unsigned least = __reduce_min_sync(kAllLanes, mine.key);
  const unsigned rank =
      __reduce_min_sync(kAllLanes, mine.key == least ? mine.rank : kNoColumn);
  return {least, rank};
}
__device__ inline float LeastOfWarp(float mine) {
  return FromKey(__reduce_min_sync(kAllLanes, KeyOf(mine)));
}
#endif

// A team: with kIsBlock, all threads of the block, with its barrier; otherwise
// the block is one warp, which needs none.
//
// Reduce, Least and Any are barriers too: what a thread wrote before one is
// seen by all others after it.
template <bool kIsBlock>
class Team {
 public:
  static constexpr int kMostThreads = kIsBlock ? kMostSearchThreads : kWarp;

  __device__ explicit Team(unsigned char* slots) : slots_(slots) {}

  __device__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ int threads() const {
    return kIsBlock ? static_cast<int>(blockDim.x) : kWarp;
  }
  __device__ int lane() const { return thread() % kWarp; }
  __device__ int warp() const { return kIsBlock ? thread() / kWarp : 0; }
  __device__ int warps() const { return threads() / kWarp; }

  __device__ void Sync() const {
    if (kIsBlock) {
      __syncthreads();
    } else {
      __syncwarp();
    }
  }

  // Is it true for any thread?
  __device__ bool Any(bool mine) const {
    if (kIsBlock) {
      return __syncthreads_or(mine ? 1 : 0) != 0;
    }
    __syncwarp();
    return __any_sync(kAllLanes, mine ? 1 : 0) != 0;
  }

  // Combines a value of each thread; `none` changes nothing that it is combined
  // with.
  template <typename V, typename Combine>
  __device__ V Reduce(V mine, V none, Combine combine) {
    return AcrossWarps(
        ReduceWarp(mine, combine), none,
        [combine](const V& value) { return ReduceWarp(value, combine); });
  }

  // The nearest of all columns.
  template <typename R>
  __device__ Nearest<R> Least(const Nearest<R>& mine) {
    using Exchange = Exchanged<Nearest<R>>;
    using Type = typename Exchange::Type;
    const Nearest<R> none = {Number<R>::Infinity(), kNoColumn};
    return Exchange::From(
        AcrossWarps(LeastOfWarp(Exchange::To(mine)), Exchange::To(none),
                    [](const Type& value) { return LeastOfWarp(value); }));
  }

 private:
  // Combines what each warp has found.
  template <typename V, typename ReduceLanes>
  __device__ V AcrossWarps(const V& of_warp, const V& none,
                           ReduceLanes reduce_lanes) {
    if (!kIsBlock) {
      __syncwarp();
      return of_warp;
    }
    static_assert(sizeof(V) <= kSlotBytes, "a value fits a slot");
    // Two sets of slots take turns: nobody writes to a set before all have read
    // it, for the other set's barrier lies between. So one barrier is enough.
    unsigned char* const set = slots_ + turn_ * (kMostWarps * kSlotBytes);
    turn_ ^= 1;
    if (lane() == 0) {
      *reinterpret_cast<V*>(set + warp() * kSlotBytes) = of_warp;
    }
    __syncthreads();
    // Read by all lanes: a choice between addresses would put `none` into
    // memory.
    const int warp = lane() < warps() ? lane() : 0;
    V other = *reinterpret_cast<const V*>(set + warp * kSlotBytes);
    if (lane() >= warps()) {
      other = none;
    }
    return reduce_lanes(other);
  }

  unsigned char* slots_;
  int turn_ = 0;
};

#endif  // CUDA_TEAM_H_
