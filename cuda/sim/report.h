// What is written about a launch.

#ifndef HUNGARIAN_CUDA_SIM_REPORT_H_
#define HUNGARIAN_CUDA_SIM_REPORT_H_

#include <vector>

#include "multiprocessor.h"

namespace sim {

// Over all multiprocessors.
struct Totals {
  u64 cycles = 0, blocks = 0, sum_of_ends = 0, issued = 0;
  AccessCounts accesses;
  std::vector<Statistics> statistics;
  std::vector<u64> counts;

  void Add(const Multiprocessor& sm, size_t blocks_of_sm) {
    cycles = std::max(cycles, sm.end);
    blocks += blocks_of_sm;
    sum_of_ends += sm.sum_of_ends;
    issued += sm.issued;
    accesses.shared += sm.memory.counts.shared;
    accesses.other += sm.memory.counts.other;
    accesses.sectors_l2 += sm.memory.counts.sectors_l2;
    accesses.sectors_dram += sm.memory.counts.sectors_dram;
    accesses.bank_conflicts += sm.memory.counts.bank_conflicts;
    accesses.with_banks += sm.memory.counts.with_banks;
    statistics.resize(sm.statistics.size());
    counts.resize(sm.counts.size());
    for (size_t i = 0; i < counts.size(); ++i) {
      counts[i] += sm.counts[i];
      statistics[i].count += sm.statistics[i].count;
      statistics[i].cycles += sm.statistics[i].cycles;
      for (int r = 0; r < kReasons; ++r)
        statistics[i].by_reason[r] += sm.statistics[i].by_reason[r];
    }
  }
};

// Two lines, for people and for run.py, to SIM_STATS.
void WriteStatistics(const Kernel& kernel, const Launch& launch, int resident,
                     const Totals& totals);

// A line for each instruction that was executed, to SIM_PROFILE.
void WriteProfile(const Kernel& kernel, const Launch& launch,
                  const Totals& totals);

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_REPORT_H_
