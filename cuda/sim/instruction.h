// An instruction as the interpreter reads it.

#ifndef HUNGARIAN_CUDA_SIM_INSTRUCTION_H_
#define HUNGARIAN_CUDA_SIM_INSTRUCTION_H_

#include <vector>

#include "basics.h"
#include "gpu.h"

namespace sim {

// clang-format off

// What an instruction waited for, as reported.
enum Reason : u8 {
  kIssue, kShared, kL1, kL2, kDram, kShuffle, kRedux, kXu, kBarrier, kBranch, kFetch, kPort, kOther, kReasons
};
constexpr const char* kReasonNames[] = {
    "issue+fixed", "shared", "L1", "L2", "DRAM", "shuffle", "redux", "convert/mufu", "barrier", "branch", "instr fetch",
    "pipe/port", "other"};

enum class Pipe : u8 { kAlu, kFma, kImad, kFp64, kXu, kLsu, kUniform, kControl, kCount };

enum class Op : u8 {
  kAtom, kB2r, kBar, kBmov, kBra, kBreak, kBrev, kBssy, kBsync, kCall, kCs2r, kDadd, kDepbar, kDfma, kDmul, kDsetp,
  kExit, kF2f, kF2i, kFadd, kFfma, kFlo, kFmnmx, kFmul, kFsel, kFsetp, kHfma2, kI2f, kIabs, kIadd3, kImad, kImnmx,
  kIsetp, kLdc, kLdgdepbar, kLdgsts, kLdl, kLea, kLoad, kLop3, kMov, kMufu, kNop, kP2r, kPlop3, kPopc, kPrmt, kR2p,
  kR2ur, kRedux, kRet, kS2r, kSel, kShf, kShfl, kStl, kStore, kViaddmnmx, kVote, kWarpsync
};

// What an operand is.
enum class Kind : u8 {
  kNone, kRegister, kUniform, kPredicate, kUniformPredicate, kImmediate, kConstant, kMemory, kLabel, kSpecial,
  kConvergence, kPredicates
};

enum class Space : u8 { kGeneric, kShared };
enum class Compare : u8 { kLt, kEq, kLe, kGt, kNe, kGe, kLtu, kEqu, kLeu, kGtu, kNeu, kGeu, kNan, kNum, kMin, kMax };
enum class Combine : u8 { kAnd, kOr, kXor };
enum class Shuffle : u8 { kButterfly, kIndex, kUp, kDown };
// Of atomics, and of what warps and blocks reduce.
enum class Reduction : u8 { kNone, kAdd, kMin, kMax, kAnd, kOr, kXor, kExchange, kCompareAndSwap, kCount };
enum class SpecialRegister : u8 { kZero, kTid, kCtaid, kLane, kClock, kSharedWindowHigh, kLtMask };

// clang-format on

constexpr int kZeroRegister = 255;  // RZ
constexpr int kZeroUniform = 63;    // URZ
constexpr int kTrue = 7;            // PT, UPT
constexpr int kNoScoreboard = 7;

struct Operand {
  Kind kind = Kind::kNone;
  bool negate = false, absolute = false, invert = false, is_not = false;
  int reg = kZeroRegister;  // number of the register, also of an address's
  int uniform = -1;         // uniform register of an address
  bool is_wide = false;     // an address's register is a pair
  int scale = 1;            // of an address's register
  int bank = 0;             // of a constant
  i64 offset = 0;           // of an address or a constant
  u64 immediate = 0;        // an integer, or a number's bits
  int target = -1;          // of a label: index of an instruction
  SpecialRegister special = SpecialRegister::kZero;
};

struct Instruction {
  Op op = Op::kNop;
  Pipe pipe = Pipe::kAlu;
  // From issue to use, if it sets a scoreboard.
  int Gpu::* latency = &Gpu::misc;
  Reason reason = kOther;
  int guard = kTrue;
  bool guard_not = false, guard_uniform = false;
  std::vector<Operand> o;
  // Modifiers.
  Space space = Space::kGeneric;
  Compare compare = Compare::kEq;
  Combine combine = Combine::kAnd;
  Shuffle shuffle = Shuffle::kButterfly;
  Reduction reduction = Reduction::kNone;
  int width = 4;             // bytes a lane, of an access
  bool sign_extend = false;  // of what is loaded
  // Of conversions: 4 f32, 8 f64; I2F from: 1 s32, 2 u32, 3 s64, 4 u64.
  int from = 0, to = 0;
  bool is_signed = true;      // no .U32
  bool x = false;             // .X: with carry
  bool ex = false;            // .EX: goes on with a comparison of low halves
  bool wide = false;          // .WIDE: a product of 64 bits
  bool high = false;          // .HI: the upper half
  bool sx32 = false;          // .SX32: a sign for an upper half
  bool left = false;          // .L
  bool wraps = false;         // .W: of a distance its last five bits count
  bool is_s64 = false;        // .S64
  bool is_u64 = false;        // .U64
  bool shift = false;         // .SH: how far, rather than where
  bool up = false;            // .RP: rounds up
  bool rcp64h = false;        // .RCP64H
  bool all = false;           // .ALL
  bool votes = false;         // BAR.RED
  bool says_whether = false;  // .CAST: whether it was equal
  bool clear = false;         // .CLEAR
  bool collective = false;    // .COLLECTIVE
  bool conv = false;          // .CONV
  bool div = false;           // .DIV
  // From the control code: cycles until the next one, and scoreboards that
  // it sets when it has written or read, and that it waits for.
  int stall = 1;
  int write_scoreboard = kNoScoreboard, read_scoreboard = kNoScoreboard;
  u32 wait = 0;
  u32 address = 0;
  string text;
  int where = -1;  // in Kernel::where
};

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_INSTRUCTION_H_
