// The state of a warp and of a block. The lanes of a warp run in groups, which
// diverge and converge as BSSY, BSYNC, BREAK and WARPSYNC say.

#ifndef HUNGARIAN_CUDA_SIM_WARP_H_
#define HUNGARIAN_CUDA_SIM_WARP_H_

#include <deque>
#include <memory>
#include <vector>

#include "instruction.h"

namespace sim {

// Lanes of a warp that run together.
struct Group {
  enum State : u8 { kReady, kAtBsync, kAtWarpsync, kAtBarrier };
  u32 lanes;
  int pc;
  State state = kReady;
  u32 waits_for = 0;  // BSYNC: the convergence register; WARPSYNC: lanes
};

struct Block;

struct Warp {
  u32 registers[256][kLanes];
  u32 uniforms[64];
  u32 predicates[8];
  bool uniform_predicates[8];
  u32 convergence[16];
  Block* block;
  int index;    // in its block
  int quarter;  // of the multiprocessor
  u32 alive = ~0u;
  std::vector<Group> groups = {{~0u, 0}};
  int current = 0;  // the group that goes on while it can
  bool is_done = false;
  std::vector<u8> local;
  // Time.
  u64 next = 0;        // of the next issue, but for scoreboards and fetch
  u64 next_fixed = 0;  // the same by the stall count alone
  Reason next_reason = kIssue;
  u64 last = 0;        // when the last one was issued
  u64 fetched = 0;     // when the next one is there
  int last_line = -1;  // of instructions
  u64 scoreboards[6] = {};
  Reason scoreboard_reasons[6] = {};
  std::deque<u64> copies;  // asynchronous, by commit: when they are done
  u64 uncommitted_copies = 0;
  // At a barrier.
  bool at_barrier = false;
  u32 lanes_at_barrier = 0;
  // When it can issue, and why not before, ports and pipes apart; kept up by
  // Multiprocessor::Refresh.
  u64 ready = 0;
  Reason ready_reason = kIssue;
  Pipe ready_pipe = Pipe::kControl;

  // The group that goes on next, the current one if it can; -1 if all wait.
  int ReadyGroup() const;

  // Lets groups go on that have all that they wait for.
  void ReleaseGroups();

  // An operand that is a predicate, in all lanes.
  u32 Predicate(const Operand& o) const;

  // The lanes that an instruction's guard lets through.
  u32 Guard(const Instruction& in) const;
};

struct Block {
  u32 id;
  std::vector<u8> shared;
  std::vector<std::unique_ptr<Warp>> warps;
  int warps_alive = 0, warps_arrived = 0;
  u32 votes = 0, voters = 0;  // lanes that voted for; all at the barrier
  Reduction vote = Reduction::kNone;
  u32 result = 0;  // of the last vote
};

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_WARP_H_
