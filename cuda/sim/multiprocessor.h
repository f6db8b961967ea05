// A multiprocessor, which runs a launch's blocks.
//
// ptxas has written into each instruction how many cycles the next one of the
// warp must wait (the stall count), and which of six scoreboards it sets or
// waits for. Both are obeyed. gpu.h says how long the work takes that a
// scoreboard stands for.

#ifndef HUNGARIAN_CUDA_SIM_MULTIPROCESSOR_H_
#define HUNGARIAN_CUDA_SIM_MULTIPROCESSOR_H_

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "caches.h"
#include "launch.h"
#include "module.h"
#include "warp.h"

namespace sim {

// Of one instruction, over the first warps of all blocks.
struct Statistics {
  u64 count = 0, cycles = 0;
  std::array<u64, kReasons> by_reason = {};
};

// A multiprocessor: issues the instructions of its warps, one at a time in each
// quarter, and counts cycles.
class Multiprocessor {
 public:
  Multiprocessor(const Kernel& kernel, const Launch& launch, int resident,
                 const MemoryPath& memory)
      : memory(memory), kernel_(kernel), launch_(launch), resident_(resident) {
    statistics.resize(kernel.code.size());
    counts.resize(kernel.code.size());
  }

  // Runs the blocks, as many at a time as there is room for.
  void Run(const std::vector<u32>& ids);

  // Results.
  std::vector<Statistics> statistics;
  std::vector<u64> counts;  // of all warps
  u64 end = 0, sum_of_ends = 0, issued = 0;
  MemoryPath memory;

 private:
  void StartBlock(u32 id, u64 now);
  void EndBlock(Block* block, u64 now);
  void Refresh(Warp* w);
  void Fetch(Warp* w, int pc, u64 t);
  void Step(Warp* w, u64 t);
  // In divergence.cc.
  void Control(Warp* w, const Instruction& in, u32 lanes, u32 active, u64 t);
  void Barrier(Warp* w, const Instruction& in, u32 lanes, u64 t);
  void ReleaseBarrier(Block* block, u64 t);

  int Occupancy(Pipe pipe) const {
    switch (pipe) {
      case Pipe::kAlu:
        return gpu_.occ_alu;
      case Pipe::kFma:
        return gpu_.occ_fma;
      case Pipe::kImad:
        return gpu_.occ_imad;
      case Pipe::kFp64:
        return gpu_.occ_fp64;
      case Pipe::kXu:
        return gpu_.occ_xu;
      case Pipe::kUniform:
        return 2;
      default:
        return 1;
    }
  }

  const Gpu& gpu_ = TheGpu();
  const bool is_traced_ = EnvNumber("SIM_TRACE", 0) != 0;
  const Kernel& kernel_;
  const Launch& launch_;
  const int resident_;
  InstructionCaches instructions_;
  u64 port_free_[4] = {}, pipe_free_[4][static_cast<int>(Pipe::kCount)] = {};
  int slots_ = 0;  // warps started
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<Warp*> warps_;  // of these
  std::deque<u32> waiting_;   // blocks that have not started
};

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_MULTIPROCESSOR_H_
