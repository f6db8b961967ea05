// Which warp issues when, and what it waited for.

#include "multiprocessor.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "execution.h"
#include "gpu.h"

namespace sim {

namespace {

// What an instruction's registers hold now in the first lane, and its
// predicates in all.
void Trace(const Warp& w, const Instruction& in, u32 active, u64 t) {
  std::fprintf(stderr, "%8llu %05x %08x %s", static_cast<unsigned long long>(t),
               in.address, active, in.text.c_str());
  for (const Operand& o : in.o) {
    if (o.kind == Kind::kRegister && o.reg != kZeroRegister)
      std::fprintf(stderr, " R%d=%08x,%08x", o.reg, w.registers[o.reg][0],
                   w.registers[o.reg + 1][0]);
    if (o.kind == Kind::kUniform && o.reg != kZeroUniform)
      std::fprintf(stderr, " UR%d=%08x", o.reg, w.uniforms[o.reg]);
    if (o.kind == Kind::kPredicate && o.reg != kTrue)
      std::fprintf(stderr, " P%d=%08x", o.reg, w.predicates[o.reg]);
  }
  std::fputc('\n', stderr);
}

}  // namespace

void Multiprocessor::Run(const std::vector<u32>& ids) {
  waiting_.assign(ids.begin(), ids.end());
  for (int i = 0; i < resident_ && !waiting_.empty(); ++i) {
    StartBlock(waiting_.front(), 0);
    waiting_.pop_front();
  }
  while (!warps_.empty()) {
    // The warp that can issue first; of several the one that has waited
    // longest.
    Warp* best = nullptr;
    u64 time = ~u64{0};
    for (Warp* w : warps_) {
      if (w->at_barrier) continue;
      u64 t = std::max(w->ready, port_free_[w->quarter]);
      if (w->ready_pipe != Pipe::kLsu)
        t = std::max(t,
                     pipe_free_[w->quarter][static_cast<int>(w->ready_pipe)]);
      if (t < time || (t == time && best != nullptr && w->last < best->last)) {
        best = w;
        time = t;
      }
    }
    if (best == nullptr)
      Die("all warps wait at a barrier in %s", kernel_.name.c_str());
    Block* const block = best->block;
    Step(best, time);
    if (!best->is_done) {
      if (!best->at_barrier) Refresh(best);
    } else {
      warps_.erase(std::find(warps_.begin(), warps_.end(), best));
      if (block->warps_alive == 0) EndBlock(block, time + 1);
    }
  }
}

void Multiprocessor::StartBlock(u32 id, u64 now) {
  blocks_.push_back(std::make_unique<Block>());
  Block* const block = blocks_.back().get();
  block->id = id;
  // Rubbish, so that what is read before it was written shows.
  constexpr u8 kRubbish = 0xcd;
  block->shared.assign(kernel_.static_shared + launch_.dynamic_shared,
                       kRubbish);
  block->warps_alive =
      static_cast<int>((launch_.threads + kLanes - 1) / kLanes);
  for (int i = 0; i < block->warps_alive; ++i) {
    auto w = std::make_unique<Warp>();
    std::memset(w->registers, kRubbish, sizeof w->registers);
    std::memset(w->uniforms, kRubbish, sizeof w->uniforms);
    std::memset(w->predicates, 0, sizeof w->predicates);
    std::memset(w->uniform_predicates, 0, sizeof w->uniform_predicates);
    std::memset(w->convergence, 0, sizeof w->convergence);
    const u32 lanes = std::min<u32>(kLanes, launch_.threads - i * kLanes);
    w->alive = w->groups[0].lanes = lanes == kLanes ? ~0u : (1u << lanes) - 1;
    w->block = block;
    w->index = i;
    w->quarter = slots_++ % 4;
    w->next = w->last = now;
    Fetch(w.get(), 0, now);
    Refresh(w.get());
    warps_.push_back(w.get());
    block->warps.push_back(std::move(w));
  }
}

void Multiprocessor::EndBlock(Block* block, u64 now) {
  end = std::max(end, now);
  sum_of_ends += now;
  blocks_.erase(std::find_if(blocks_.begin(), blocks_.end(),
                             [&](const auto& b) { return b.get() == block; }));
  if (waiting_.empty()) return;
  StartBlock(waiting_.front(), now);
  waiting_.pop_front();
}

void Multiprocessor::Refresh(Warp* w) {
  const int g = w->ReadyGroup();
  if (g < 0)
    Die("warp %d of block %u is stuck in %s", w->index, w->block->id,
        kernel_.name.c_str());
  const Instruction& in = kernel_.code[w->groups[g].pc];
  w->ready = w->next;
  w->ready_reason = w->next_reason;
  w->ready_pipe = in.pipe;
  for (int i = 0; i < 6; ++i) {
    if (!Has(in.wait, i) || w->scoreboards[i] <= w->ready) continue;
    w->ready = w->scoreboards[i];
    w->ready_reason = w->scoreboard_reasons[i];
  }
  if (w->fetched > w->ready) {
    w->ready = w->fetched;
    w->ready_reason = kFetch;
  }
}

void Multiprocessor::Fetch(Warp* w, int pc, u64 t) {
  const int line = pc / InstructionCaches::kInstructionsOfLine;
  if (line == w->last_line) return;
  const u64 delay = instructions_.Fetch(w->quarter, line, w->last_line);
  w->last_line = line;
  if (delay > 0) w->fetched = std::max(w->fetched, t + delay);
}

// Issues the warp's next instruction at time t.
void Multiprocessor::Step(Warp* w, u64 t) {
  w->current = w->ReadyGroup();
  Group& g = w->groups[w->current];
  const int pc = g.pc;
  const u32 lanes = g.lanes;
  const Instruction& in = kernel_.code[pc];
  ++counts[pc];
  ++issued;
  if (w->index == 0) {
    Statistics& s = statistics[pc];
    const u64 fixed = std::clamp(w->next_fixed, w->last, t),
              ready = std::clamp(w->ready, fixed, t);
    ++s.count;
    s.cycles += t - w->last;
    s.by_reason[kIssue] += fixed - w->last;
    s.by_reason[w->ready_reason] += ready - fixed;
    s.by_reason[kPort] += t - ready;
  }
  w->last = t;
  w->next = w->next_fixed = t + in.stall;
  w->next_reason = kIssue;
  port_free_[w->quarter] = t + 1;
  pipe_free_[w->quarter][static_cast<int>(in.pipe)] = t + Occupancy(in.pipe);

  const u32 active = lanes & w->Guard(in);
  Done done = {t + gpu_.*in.latency, in.reason};
  switch (in.op) {
    case Op::kBar:
    case Op::kBra:
    case Op::kBreak:
    case Op::kBssy:
    case Op::kBsync:
    case Op::kCall:
    case Op::kExit:
    case Op::kRet:
    case Op::kWarpsync:
      Control(w, in, lanes, active, t);
      break;
    default:
      g.pc = pc + 1;
      if (active != 0) {
        done = Execution({kernel_, launch_, &memory, w, in, active, t, done})
                   .Run();
      } else if (in.op == Op::kLoad || in.op == Op::kStore) {
        done.time = t + 2;
      }
  }
  if (is_traced_ && w->index == 0 && w->block->id == 0)
    Trace(*w, in, active, t);
  const auto set = [&](int scoreboard, u64 time, Reason reason) {
    if (scoreboard >= 6 || time < w->scoreboards[scoreboard]) return;
    w->scoreboards[scoreboard] = time;
    w->scoreboard_reasons[scoreboard] = reason;
  };
  set(in.write_scoreboard, done.time, done.reason);
  set(in.read_scoreboard, t + gpu_.rdb, kOther);
  if (w->is_done) return;
  const int next = w->ReadyGroup();
  if (next >= 0) Fetch(w, w->groups[next].pc, w->next);
}

}  // namespace sim
