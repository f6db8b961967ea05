// What report.h declares.

#include "report.h"

#include <algorithm>
#include <cstdio>

namespace sim {

void WriteStatistics(const Kernel& kernel, const Launch& launch, int resident,
                     const Totals& totals) {
  const string path = EnvText("SIM_STATS");
  FILE* const file = path.empty() ? stderr : std::fopen(path.c_str(), "a");
  if (file == nullptr) Die("cannot write %s", path.c_str());
  using Long = unsigned long long;
  std::fprintf(file,
               "%s: %s<<<%u, %u, %u>>> %llu cycles (slowest SM), %.0f mean of "
               "blocks, %.1f us; %llu "
               "warp-instructions, mem "
               "shared/L1+/L2/DRAM %llu/%llu/%llu/%llu, conflicts %llu in "
               "%llu; %d blocks an SM\n",
               TheGpu().name.c_str(), kernel.name.c_str(), launch.grid,
               launch.threads, launch.dynamic_shared, Long{totals.cycles},
               static_cast<double>(totals.sum_of_ends) /
                   static_cast<double>(totals.blocks),
               static_cast<double>(totals.cycles) / (TheGpu().ghz * 1e3),
               Long{totals.issued}, Long{totals.accesses.shared},
               Long{totals.accesses.other}, Long{totals.accesses.sectors_l2},
               Long{totals.accesses.sectors_dram},
               Long{totals.accesses.bank_conflicts},
               Long{totals.accesses.with_banks}, resident);
  std::array<u64, kReasons> by_reason = {};
  u64 all = 0;
  for (const Statistics& s : totals.statistics) {
    for (int r = 0; r < kReasons; ++r) {
      by_reason[r] += s.by_reason[r];
      all += s.by_reason[r];
    }
  }
  std::fprintf(file, "   warp 0 of each block:");
  for (int r = 0; r < kReasons; ++r) {
    if (by_reason[r] * 200 > all)
      std::fprintf(
          file, " %s %.1f%%,", kReasonNames[r],
          100.0 * static_cast<double>(by_reason[r]) / static_cast<double>(all));
  }
  std::fputc('\n', file);
  if (file != stderr) std::fclose(file);
}

// Tabs between: address, times by all warps, times by the first warps of
// blocks, cycles before it in these, the same by reason, stall count, text,
// place in the source.
void WriteProfile(const Kernel& kernel, const Launch& launch,
                  const Totals& totals) {
  const string path = EnvText("SIM_PROFILE");
  if (path.empty()) return;
  FILE* const file = std::fopen(path.c_str(), "a");
  if (file == nullptr) Die("cannot write %s", path.c_str());
  using Long = unsigned long long;
  std::fprintf(file, "#kernel %s grid %u threads %u shared %u cycles %llu\n",
               kernel.name.c_str(), launch.grid, launch.threads,
               launch.dynamic_shared, Long{totals.cycles});
  for (int r = 0; r < kReasons; ++r)
    std::fprintf(file, "%s%s%s", r == 0 ? "#reasons " : "", kReasonNames[r],
                 r + 1 < kReasons ? "," : "\n");
  for (size_t i = 0; i < totals.counts.size(); ++i) {
    if (totals.counts[i] == 0) continue;
    const Instruction& in = kernel.code[i];
    const Statistics& s = totals.statistics[i];
    std::fprintf(file, "%05x\t%llu\t%llu\t%llu\t", in.address,
                 Long{totals.counts[i]}, Long{s.count}, Long{s.cycles});
    for (int r = 0; r < kReasons; ++r)
      std::fprintf(file, "%llu%c", Long{s.by_reason[r]},
                   r + 1 < kReasons ? ',' : '\t');
    std::fprintf(file, "%d\t%s\t%s\n", in.stall, in.text.c_str(),
                 in.where >= 0 ? kernel.where[in.where].c_str() : "");
  }
  std::fclose(file);
}

}  // namespace sim
