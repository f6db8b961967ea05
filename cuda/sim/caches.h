// How long memory takes: caches, banks and bandwidth.

#ifndef HUNGARIAN_CUDA_SIM_CACHES_H_
#define HUNGARIAN_CUDA_SIM_CACHES_H_

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "instruction.h"

namespace sim {

// A set-associative cache: the least recently used line is replaced first.
class Cache {
 public:
  void Init(double bytes, int line, int ways) {
    ways_ = ways;
    sets_ = static_cast<size_t>(std::max(1.0, bytes / line / ways));
    tags_.assign(sets_ * ways_, ~u64{0});
    used_.assign(sets_ * ways_, 0);
  }

  // Whether it has the line. With `fill`, it has it from now on.
  bool Touch(u64 line, bool fill) {
    const size_t begin = (line * 0x9E3779B97F4A7C15ull >> 20) % sets_ * ways_;
    size_t oldest = begin;
    for (size_t at = begin; at < begin + ways_; ++at) {
      if (tags_[at] == line) {
        used_[at] = ++clock_;
        return true;
      }
      if (used_[at] < used_[oldest]) oldest = at;
    }
    if (fill) {
      tags_[oldest] = line;
      used_[oldest] = ++clock_;
    }
    return false;
  }

 private:
  size_t ways_ = 0, sets_ = 0;
  std::vector<u64> tags_, used_;
  u64 clock_ = 0;
};

// A multiprocessor's share of L2. It outlives launches.
struct L2Share {
  Cache cache;
  std::set<u64> seen;  // sectors that were ever asked for
};

// The shares of L2 by multiprocessor.
std::map<int, L2Share>& AllL2Shares();

// When something is done, and what it is that takes so long.
struct Done {
  u64 time;
  Reason reason;
};

// Counts of accesses, and of what they used.
struct AccessCounts {
  u64 shared = 0,
      other = 0;  // accesses of warps, to shared memory alone or not
  u64 sectors_l2 = 0, sectors_dram = 0;
  u64 bank_conflicts = 0;
  u64 with_banks = 0;  // accesses of warps, to shared memory alone or also
};

// The way from a multiprocessor to memory: its load and store unit, L1, its
// shares of L2 and of DRAM's bandwidth. It keeps no data, only time.
class MemoryPath {
 public:
  // `dram_rate`: bytes a cycle.
  MemoryPath(L2Share* l2, double l1_bytes, double dram_rate)
      : l2_(*l2), dram_rate_(dram_rate) {
    l1_.Init(l1_bytes, 32, 16);
  }

  // A warp's access: banks of shared memory, sectors of 32 bytes of all other.
  Done Access(const u64* address, u32 lanes, int width, bool is_store, u64 t);

  // Takes the load and store unit for some cycles, from `t` on if it is free
  // then. Returns when they begin.
  u64 TakeUnit(u64 cycles, u64 t) {
    const u64 start = std::max(t, unit_free_);
    unit_free_ = start + cycles;
    return start;
  }

  // Whether a buffer of the device has all of these bytes.
  bool IsInBuffer(u64 address, int width);

  AccessCounts counts;

 private:
  const Gpu& gpu_ = TheGpu();
  const bool is_cold_ = EnvNumber("SIM_COLD", 0) != 0;
  Cache l1_;
  L2Share& l2_;
  const double dram_rate_;
  double l2_free_ = 0, dram_free_ = 0;
  u64 unit_free_ = 0;
  std::pair<u64, u64> buffer_ = {0, 0};  // of the last access to global memory
};

// Where instructions come from, line by line: the quarter's cache, the
// multiprocessor's, or L2. A few lines are fetched ahead.
class InstructionCaches {
 public:
  InstructionCaches();

  // Cycles until line `line` is there for a warp of a quarter that had line
  // `before`.
  u64 Fetch(int quarter, int line, int before);

  static constexpr int kInstructionsOfLine = 8;

 private:
  const Gpu& gpu_ = TheGpu();
  Cache own_[4], shared_;
};

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_CACHES_H_
