// A launch: how many blocks a multiprocessor holds, and the run on all of them.

#ifndef HUNGARIAN_CUDA_SIM_LAUNCH_H_
#define HUNGARIAN_CUDA_SIM_LAUNCH_H_

#include "module.h"

namespace sim {

struct Launch {
  u32 grid, threads, dynamic_shared;
  string constants;  // bank 0
};

// Warps that a multiprocessor has registers for.
int WarpsByRegisters(const Kernel& kernel);

// Blocks that a multiprocessor has room for, as NVIDIA's occupancy calculator
// has it.
int ResidentBlocks(const Kernel& kernel, int threads, int dynamic_shared);

// Runs a kernel to its end, as many blocks at a time on a multiprocessor.
// Returns its milliseconds.
double Run(const Kernel& kernel, Launch launch, int resident, void** arguments);

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_LAUNCH_H_
