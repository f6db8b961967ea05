// What caches.h declares.

#include "caches.h"

#include "memory.h"

namespace sim {

std::map<int, L2Share>& AllL2Shares() {
  static auto* const shares = new std::map<int, L2Share>;
  return *shares;
}

Done MemoryPath::Access(const u64* address, u32 lanes, int width, bool is_store,
                        u64 t) {
  u64 words[4 * kLanes], lines[kLanes], sectors[2 * kLanes];
  int word_count = 0, line_count = 0, sector_count = 0;
  u32 banks[kLanes] = {};
  bool is_shared = false, is_other = false;
  for (int l = 0; l < kLanes; ++l) {
    if (!Has(lanes, l)) continue;
    switch (WindowOf(address[l])) {
      case WindowOf(kSharedWindow):
        is_shared = true;
        for (int byte = 0; byte < width; byte += 4) {
          const u64 word = (address[l] + byte) >> 2;
          if (std::find(words, words + word_count, word) != words + word_count)
            continue;
          words[word_count++] = word;
          ++banks[word % kLanes];
        }
        break;
      case WindowOf(kLocalWindow):
        is_other = true;
        break;
      default:
        is_other = true;
        lines[line_count++] = address[l] >> 7;
        sectors[sector_count++] = address[l] >> 5;
        sectors[sector_count++] = (address[l] + width - 1) >> 5;
    }
  }
  const auto unique = [](u64* values, int count) {
    std::sort(values, values + count);
    return static_cast<int>(std::unique(values, values + count) - values);
  };
  line_count = unique(lines, line_count);
  sector_count = unique(sectors, sector_count);

  u64 passes = 0;  // through the load and store unit
  if (is_shared) {
    const u32 most = std::max(1u, *std::max_element(banks, banks + kLanes));
    passes += most;
    counts.bank_conflicts += most - 1;
    ++counts.with_banks;
  }
  if (is_other) passes += std::max(1, line_count);
  const u64 start = TakeUnit(passes, t);
  Done done = {start + passes - 1 + (is_shared ? gpu_.lds : 0), kShared};
  if (!is_other) {
    ++counts.shared;
    return done;
  }
  ++counts.other;
  Done slowest = {start + passes - 1 + gpu_.l1, kL1};
  for (int i = 0; i < sector_count; ++i) {
    const u64 sector = sectors[i];
    if (is_store) {
      l2_.cache.Touch(sector, true);
      continue;
    }
    if (l1_.Touch(sector, true)) continue;
    // L2 gives 64 bytes a cycle.
    const double asked = std::max(static_cast<double>(start), l2_free_);
    l2_free_ = asked + 0.5;
    bool is_hit = gpu_.l2_bytes > 1e9 || l2_.cache.Touch(sector, true);
    if (!is_hit && !is_cold_) is_hit = l2_.seen.insert(sector).second;
    Done here;
    if (is_hit) {
      ++counts.sectors_l2;
      here = {static_cast<u64>(asked) + passes - 1 + gpu_.l2,
              slowest.reason == kDram ? kDram : kL2};
    } else {
      ++counts.sectors_dram;
      const double sent = std::max(asked, dram_free_);
      dram_free_ = sent + 32 / dram_rate_;
      here = {static_cast<u64>(sent) + passes - 1 + gpu_.dram, kDram};
    }
    if (here.time > slowest.time) slowest = here;
  }
  return {std::max(done.time, slowest.time), slowest.reason};
}

bool MemoryPath::IsInBuffer(u64 address, int width) {
  if (address < buffer_.first || address + width > buffer_.second)
    buffer_ = TheMemory().BufferOf(address);
  return address + width <= buffer_.second;
}

InstructionCaches::InstructionCaches() {
  for (Cache& cache : own_) cache.Init(gpu_.ic_l0_lines, 1, 4);
  shared_.Init(gpu_.ic_l1_lines, 1, 8);
}

u64 InstructionCaches::Fetch(int quarter, int line, int before) {
  if (gpu_.ic_l1 == 0 || own_[quarter].Touch(line, true)) return 0;
  u64 delay = line == before + 1 ? 0 : gpu_.ic_l1;
  if (!shared_.Touch(line, true)) {
    delay = gpu_.ic_l2;
    for (int i = 1; i < 4; ++i) shared_.Touch(line + i, true);
  }
  for (int i = 1; i < 3; ++i) {
    if (shared_.Touch(line + i, false)) own_[quarter].Touch(line + i, true);
  }
  return delay;
}

}  // namespace sim
