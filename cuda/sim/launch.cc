// Shares blocks, caches and bandwidth out among multiprocessors, and runs
// these. Each runs by itself: block b on number b % count.

#include "launch.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "caches.h"
#include "memory.h"
#include "multiprocessor.h"
#include "report.h"

namespace sim {

// Each warp gets a multiple of 256 registers, from one of the register file's
// four quarters.
int WarpsByRegisters(const Kernel& kernel) {
  const int of_warp =
      (std::max(1, kernel.registers) * kLanes + 255) / 256 * 256;
  return kRegistersOfSm / 4 / of_warp * 4;
}

int ResidentBlocks(const Kernel& kernel, int threads, int dynamic_shared) {
  const int warps = (threads + kLanes - 1) / kLanes;
  if (threads > kernel.max_threads || warps == 0) return 0;
  const int shared =
      (kernel.static_shared + dynamic_shared + kSharedReserved + 127) / 128 *
      128;
  return std::min({WarpsByRegisters(kernel) / warps,
                   TheGpu().shared_sm * 1024 / shared,
                   kThreadsOfSm / kLanes / warps, kBlocksOfSm});
}

namespace {

// Bank 0, as the driver fills it; the rest of it is 0.
string Constants(const Kernel& kernel, const Launch& launch, void** arguments) {
  const size_t parameters_at = TheGpu().cc >= 90 ? 0x210 : 0x160;
  size_t size = parameters_at;
  for (const auto& [offset, bytes] : kernel.parameters)
    size = std::max(size, parameters_at + offset + bytes);
  string constants(size, 0);
  const auto put = [&](size_t at, auto value) {
    std::memcpy(&constants[at], &value, sizeof value);
  };
  const std::array<u32, 6> block_and_grid = {launch.threads, 1, 1,
                                             launch.grid,    1, 1};
  put(0, block_and_grid);
  put(0x18, kSharedWindow);
  put(0x20, kLocalWindow);
  put(0x28, u32{kLocalBytes});  // where the stack begins
  put(0x2c, launch.dynamic_shared);
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    std::memcpy(&constants[parameters_at + kernel.parameters[i].first],
                arguments[i], kernel.parameters[i].second);
  }
  return constants;
}

}  // namespace

double Run(const Kernel& kernel, Launch launch, int resident,
           void** arguments) {
  launch.constants = Constants(kernel, launch, arguments);
  const Gpu& gpu = TheGpu();
  const int sms = static_cast<int>(std::min<u32>(gpu.sms, launch.grid));
  const int blocks_of_sm = std::min<int>(
      resident, static_cast<int>((launch.grid + gpu.sms - 1) / gpu.sms));
  // L1 is what shared memory leaves, which is one of these, in KiB.
  constexpr int kCarveOuts[] = {0, 8, 16, 32, 64, 100, 132, 164, 196, 228};
  const int needed =
      (blocks_of_sm * static_cast<int>(launch.dynamic_shared +
                                       kernel.static_shared + kSharedReserved) +
       1023) /
      1024;
  int carve_out = 228;
  for (int kib : kCarveOuts) {
    if (kib < needed) continue;
    carve_out = kib;
    break;
  }
  const double l1_bytes = 1024 * std::max(8, gpu.l1_kib - carve_out);
  const double dram_rate = std::min(64.0, gpu.dram_gbs / gpu.ghz / sms);

  std::vector<std::vector<u32>> blocks(sms);
  for (u32 b = 0; b < launch.grid; ++b) blocks[b % gpu.sms].push_back(b);
  std::vector<L2Share*> l2_shares;
  for (int s = 0; s < sms; ++s) {
    const auto [share, is_new] = AllL2Shares().try_emplace(s);
    if (is_new)
      share->second.cache.Init(std::min(gpu.l2_bytes, 64e6) / launch.grid *
                                   static_cast<double>(blocks[s].size()),
                               32, 16);
    l2_shares.push_back(&share->second);
  }

  Totals totals;
  std::mutex mutex;
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int s; (s = next++) < sms;) {
      Multiprocessor sm(kernel, launch, resident,
                        MemoryPath(l2_shares[s], l1_bytes, dram_rate));
      sm.Run(blocks[s]);
      const std::lock_guard<std::mutex> lock(mutex);
      totals.Add(sm, blocks[s].size());
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < static_cast<int>(EnvNumber("SIM_THREADS", 1)); ++i)
    threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  WriteStatistics(kernel, launch, resident, totals);
  WriteProfile(kernel, launch, totals);
  return static_cast<double>(totals.cycles) / (gpu.ghz * 1e6);
}

}  // namespace sim
