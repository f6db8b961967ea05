// Instructions that say where lanes go on, or that they wait: branches, calls,
// reconvergence, barriers.

#include <algorithm>
#include <iterator>
#include <map>

#include "multiprocessor.h"

namespace sim {

// __syncthreads, and those that vote.
void Multiprocessor::Barrier(Warp* w, const Instruction& in, u32 lanes, u64 t) {
  Block* const block = w->block;
  w->groups[w->current].state = Group::kAtBarrier;
  w->lanes_at_barrier |= lanes;
  if ((w->lanes_at_barrier & w->alive) != w->alive) {
    w->current = w->ReadyGroup();
    if (w->current < 0)
      Die("lanes of a warp wait at different barriers in %s at %x",
          kernel_.name.c_str(), in.address);
    return;
  }
  w->at_barrier = true;
  ++block->warps_arrived;
  ReleaseBarrier(block, t);
}

// Releases the barrier if all warps have arrived.
void Multiprocessor::ReleaseBarrier(Block* block, u64 t) {
  if (block->warps_arrived == 0 || block->warps_arrived < block->warps_alive)
    return;
  block->warps_arrived = 0;
  switch (block->vote) {
    case Reduction::kAnd:
      block->result = block->votes == block->voters;
      break;
    case Reduction::kOr:
      block->result = block->votes != 0;
      break;
    default:
      block->result = block->votes;
  }
  block->votes = block->voters = 0;
  for (const auto& w : block->warps) {
    if (!w->at_barrier) continue;
    w->at_barrier = false;
    w->lanes_at_barrier = 0;
    for (Group& g : w->groups) {
      if (g.state != Group::kAtBarrier) continue;
      g.state = Group::kReady;
      ++g.pc;
    }
    if (t + gpu_.bar > w->next) {
      w->next = t + gpu_.bar;
      w->next_reason = kBarrier;
    }
    const int g = w->ReadyGroup();
    if (g >= 0) Fetch(w.get(), w->groups[g].pc, w->next);
    Refresh(w.get());
  }
}

// An instruction that says where lanes go on. `active`: those of the group that
// its guard lets through.
void Multiprocessor::Control(Warp* w, const Instruction& in, u32 lanes,
                             u32 active, u64 t) {
  const int group = w->current;
  const int following = w->groups[group].pc + 1;
  const auto delay = [&](int cycles) {
    w->next += cycles;
    w->next_reason = kBranch;
  };
  // Some lanes of the group go elsewhere, the rest goes on.
  const auto go = [&](u32 leaving, int to) {
    Group& g = w->groups[group];
    g.pc = following;
    if (leaving == lanes) {
      g.pc = to;
      delay(gpu_.taken);
    } else if (leaving != 0) {
      g.lanes = lanes & ~leaving;
      w->groups.push_back({leaving, to});
    }
  };
  // The group waits for others, which may have come already.
  const auto wait = [&](Group::State state, u32 waits_for) {
    w->groups[group].state = state;
    w->groups[group].waits_for = waits_for;
    w->ReleaseGroups();
    w->current = std::max(0, w->ReadyGroup());
    delay(gpu_.bsync + gpu_.taken);
  };

  switch (in.op) {
    case Op::kBra: {
      const int target = in.o.back().target;
      if (target < 0) Die("no such label: %s", in.text.c_str());
      u32 taken = active;
      if (in.div || in.conv) {
        // .DIV: if not all lanes of the mask are here; .CONV: if they are.
        const Operand& mask = in.o[0];
        u32 expected = ~0u;
        if (mask.kind == Kind::kUniform && mask.reg != kZeroUniform)
          expected =
              mask.invert ? ~w->uniforms[mask.reg] : w->uniforms[mask.reg];
        const bool is_converged = (expected & w->alive & ~lanes) == 0;
        if (is_converged == in.div) taken = 0;
      } else if (in.o.size() == 2) {
        taken &= w->Predicate(in.o[0]);
      }
      go(taken, target);
      break;
    }
    case Op::kCall:
      if (in.o[0].target < 0) Die("no such label: %s", in.text.c_str());
      go(active, in.o[0].target);
      break;
    case Op::kRet: {
      if (active != lanes)
        Die("not done: some lanes only: %s", in.text.c_str());
      std::map<u32, u32> by_address;
      for (int l = 0; l < kLanes; ++l) {
        if (Has(lanes, l)) by_address[w->registers[in.o[0].reg][l]] |= 1u << l;
      }
      const auto first = by_address.begin();
      w->groups[group] = {first->second, static_cast<int>(first->first / 16)};
      for (auto other = std::next(first); other != by_address.end(); ++other) {
        w->groups.push_back(
            {other->second, static_cast<int>(other->first / 16)});
      }
      delay(gpu_.taken);
      break;
    }
    case Op::kExit:
      if (active == 0) {
        w->groups[group].pc = following;
        break;
      }
      w->alive &= ~active;
      if (active == lanes) {
        w->groups.erase(w->groups.begin() + group);
      } else {
        w->groups[group].lanes = lanes & ~active;
        w->groups[group].pc = following;
      }
      w->current = 0;
      w->ReleaseGroups();
      if (w->alive == 0) {
        w->is_done = true;
        --w->block->warps_alive;
        ReleaseBarrier(w->block, t);
      }
      break;
    case Op::kBssy:
      w->convergence[in.o[0].reg] = lanes;
      w->groups[group].pc = following;
      break;
    case Op::kBreak: {
      const u32 leaving =
          in.o.size() == 2 ? active & w->Predicate(in.o[0]) : active;
      w->convergence[in.o.back().reg] &= ~leaving;
      w->groups[group].pc = following;
      w->ReleaseGroups();
      break;
    }
    case Op::kBsync: {
      if (active == 0) {
        w->groups[group].pc = following;
        break;
      }
      if (active != lanes) {
        w->groups.push_back({lanes & ~active, following});
        w->groups[group].lanes = active;
      }
      const int barrier = in.o[0].reg;
      if ((w->convergence[barrier] & w->alive & ~active) == 0) {
        w->groups[group].pc = following;
      } else {
        wait(Group::kAtBsync, barrier);
      }
      break;
    }
    case Op::kWarpsync: {
      if (in.collective)
        Die("not done: a shuffle or vote of lanes that have not converged, %s "
            "at %x",
            kernel_.name.c_str(), in.address);
      u32 expected = ~0u;
      if (!in.all && !in.o.empty()) {
        const Operand& mask = in.o[0];
        if (mask.kind == Kind::kImmediate)
          expected = static_cast<u32>(mask.immediate);
        if (mask.kind == Kind::kRegister)
          expected = w->registers[mask.reg][__builtin_ctz(lanes)];
      }
      if ((expected & w->alive & ~lanes) == 0) {
        w->groups[group].pc = following;
      } else {
        wait(Group::kAtWarpsync, expected);
      }
      break;
    }
    case Op::kBar: {
      if (active != lanes)
        Die("not done: some lanes only: %s", in.text.c_str());
      if (in.o[0].kind != Kind::kImmediate || in.o[0].immediate != 0)
        Die("not done: a barrier other than 0: %s", in.text.c_str());
      if (in.votes) {
        w->block->vote = in.reduction;
        w->block->votes += __builtin_popcount(w->Predicate(in.o[1]) & lanes);
        w->block->voters += __builtin_popcount(lanes);
      }
      Barrier(w, in, lanes, t);
      break;
    }
    default:
      Die("not done: %s", in.text.c_str());
  }
}

}  // namespace sim
