// The GPUs: their sizes, and every number that the timing rests on.

#ifndef HUNGARIAN_CUDA_SIM_GPU_H_
#define HUNGARIAN_CUDA_SIM_GPU_H_

#include "basics.h"

namespace sim {

// All that the timing rests on, in cycles unless it says otherwise. Sources:
//   [s] NVIDIA's specifications
//   [m] microbenchmarks: Luo et al., arXiv 2402.13499 (L1, L2, DRAM)
//   [?] guessed, some from older GPUs
// clang-format off
#define GPU_NUMBERS(N)                                                                        \
  /* type    name          A100    H100                                                    */ \
  N(int,    cc,           80,     90)      /*     compute capability                       */ \
  N(int,    sms,          108,    132)     /* [s] multiprocessors                          */ \
  N(double, ghz,          1.41,   1.755)   /* [s] clock                                    */ \
  N(int,    shared_optin, 163,    227)     /* [s] KiB of shared memory, of a block         */ \
  N(int,    shared_sm,    164,    228)     /* [s] the same of a multiprocessor             */ \
  N(int,    l1_kib,       192,    256)     /* [s] KiB of L1 and shared memory together     */ \
  N(double, l2_bytes,     40e6,   50e6)    /* [s] L2; above 1e9: everything is in L2       */ \
  N(double, dram_gbs,     1555,   3350)    /* [s] GB/s                                     */ \
  /* From issue to use of the result. */                                                      \
  N(int,    lds,          33,     33)      /* [m] shared memory: 29, and [?] 4 as generic  */ \
  N(int,    l1,           38,     41)      /* [m] hit in L1                                */ \
  N(int,    l2,           262,    263)     /* [m] hit in L2                                */ \
  N(int,    dram,         466,    479)     /* [m]                                          */ \
  N(int,    shfl,         24,     24)      /* [?] shuffle                                  */ \
  N(int,    redux,        30,     30)      /* [?] redux.sync                               */ \
  N(int,    xu,           22,     22)      /* [?] conversions, reciprocal, flo, brev, popc */ \
  N(int,    fp64,         10,     10)      /* [?] f64 where ptxas sets a scoreboard        */ \
  N(int,    s2r,          22,     22)      /* [?] special registers                        */ \
  N(int,    atoms,        60,     60)      /* [?] atomics                                  */ \
  N(int,    b2r,          18,     18)      /* [?] result of a barrier's vote               */ \
  N(int,    ldc,          30,     30)      /* [?] constants by a register                  */ \
  N(int,    r2ur,         12,     12)      /* [?] to a uniform register                    */ \
  N(int,    misc,         22,     22)      /* [?] anything else that sets a scoreboard     */ \
  N(int,    rdb,          12,     12)      /* [?] until sources have been read             */ \
  /* On top of the stall count. */                                                            \
  N(int,    bar,          28,     28)      /* [?] from the last warp's arrival on          */ \
  N(int,    taken,        7,      7)       /* [?] branch taken, call, return               */ \
  N(int,    bsync,        4,      4)       /* [?] lanes waited for each other              */ \
  /* Instruction fetch: lines of 8 instructions. */                                           \
  N(int,    ic_l1,        20,     20)      /* [?] miss in a quarter's own cache; 0: never  */ \
  N(int,    ic_l2,        230,    230)     /* [?] miss in the multiprocessor's too         */ \
  N(int,    ic_l0_lines,  96,     96)      /* [?]                                          */ \
  N(int,    ic_l1_lines,  1024,   1024)    /* [?]                                          */ \
  /* Cycles that a warp's instruction occupies a pipe of a quarter. */                        \
  N(int,    occ_alu,      2,      2)       /* [s] 16 lanes                                 */ \
  N(int,    occ_fma,      2,      1)       /* [s] f32                                      */ \
  N(int,    occ_imad,     2,      2)       /* [s]                                          */ \
  N(int,    occ_fp64,     4,      2)       /* [s] 8 and 16 lanes                           */ \
  N(int,    occ_xu,       8,      8)       /* [s] 4 lanes                                  */
// clang-format on

struct Gpu {
#define FIELD(type, name, a100, h100) type name;
  GPU_NUMBERS(FIELD)
#undef FIELD
  string name;
};

// What is the same on both.
constexpr int kThreadsOfSm = 2048;
constexpr int kBlocksOfSm = 32;
constexpr int kRegistersOfSm = 65536;
constexpr int kThreadsOfBlock = 1024;
constexpr int kSharedUnasked = 48 * 1024;
constexpr int kSharedReserved = 1024;  // of each block, by the system

// The one that is simulated: SIM_GPU=a100 or h100.
const Gpu& TheGpu();

// Where a block's own shared memory begins: from sm_90 on behind the system's.
inline u64 SharedBegin() { return TheGpu().cc >= 90 ? kSharedReserved : 0; }

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_GPU_H_
