// How groups of a warp's lanes wait for each other, and predicates.

#include "warp.h"

#include <algorithm>
#include <map>

namespace sim {

int Warp::ReadyGroup() const {
  if (current < static_cast<int>(groups.size()) &&
      groups[current].state == Group::kReady)
    return current;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].state == Group::kReady) return static_cast<int>(i);
  }
  return -1;
}

void Warp::ReleaseGroups() {
  const auto erase = [&](const auto& which) {
    groups.erase(std::remove_if(groups.begin(), groups.end(), which),
                 groups.end());
  };
  for (bool again = true; again;) {
    again = false;
    for (const Group g : groups) {
      if (g.state == Group::kAtBsync) {
        const auto is_here = [&](const Group& h) {
          return h.state == Group::kAtBsync && h.waits_for == g.waits_for &&
                 h.pc == g.pc;
        };
        u32 here = 0;
        for (const Group& h : groups) {
          if (is_here(h)) here |= h.lanes;
        }
        if ((convergence[g.waits_for] & alive & ~here) != 0) continue;
        erase(is_here);
        groups.push_back({here, g.pc + 1});
      } else if (g.state == Group::kAtWarpsync) {
        const auto is_here = [](const Group& h) {
          return h.state == Group::kAtWarpsync;
        };
        u32 here = 0;
        std::map<int, u32> by_pc;
        for (const Group& h : groups) {
          if (!is_here(h)) continue;
          here |= h.lanes;
          by_pc[h.pc] |= h.lanes;
        }
        if ((g.waits_for & alive & ~here) != 0) continue;
        erase(is_here);
        for (const auto& [pc, lanes] : by_pc) groups.push_back({lanes, pc + 1});
      } else {
        continue;
      }
      again = true;
      break;
    }
  }
}

u32 Warp::Predicate(const Operand& o) const {
  u32 value = ~0u;
  if (o.reg != kTrue)
    value = o.kind == Kind::kUniformPredicate
                ? (uniform_predicates[o.reg] ? ~0u : 0u)
                : predicates[o.reg];
  return o.is_not ? ~value : value;
}

u32 Warp::Guard(const Instruction& in) const {
  u32 guard = ~0u;
  if (in.guard != kTrue)
    guard = in.guard_uniform ? (uniform_predicates[in.guard] ? ~0u : 0u)
                             : predicates[in.guard];
  return in.guard_not ? ~guard : guard;
}

}  // namespace sim
