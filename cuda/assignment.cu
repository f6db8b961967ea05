// The kernels. Each batch takes two launches, planned by src/cuda/plan.rs: a
// search, by a warp or by a block for each problem, and the proof. Blocks
// stride over the problems, so a grid may have any size. A thread of a search
// by a warp, or of a proof, has 128 registers at most, so that a
// multiprocessor has room for 16 warps of it. In a proof, what does not fit is
// spilled by the parts that few problems come to.

#include "prove.h"

#define INSTANTIATE(name, T)                                                  \
  extern "C" __global__ void __launch_bounds__(Team<false>::kMostThreads, 16) \
      search_by_warp_##name(Parameters parameters) {                          \
    Search<T, false>(parameters);                                             \
  }                                                                           \
  extern "C" __global__ void __launch_bounds__(Team<true>::kMostThreads, 1)   \
      search_by_block_##name(Parameters parameters) {                         \
    Search<T, true>(parameters);                                              \
  }                                                                           \
  extern "C" __global__ void __launch_bounds__(kMostProofThreads, 2)          \
      prove_##name(Parameters parameters) {                                   \
    Prove<T>(parameters);                                                     \
  }

INSTANTIATE(half, Half)
INSTANTIATE(bfloat16, Bfloat16)
INSTANTIATE(float, float)
INSTANTIATE(double, double)
