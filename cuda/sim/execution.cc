// Which function executes an instruction; those that move bits, and those by
// which lanes exchange values. Operands stand in the order of nvdisasm's text.

#include "execution.h"

#include "memory.h"

namespace sim {

Done Execution::Run() {
  switch (in_.op) {
    case Op::kMov:
    case Op::kSel:
    case Op::kFsel:
    case Op::kHfma2:
    case Op::kLdc:
    case Op::kCs2r:
    case Op::kS2r:
    case Op::kB2r:
    case Op::kP2r:
    case Op::kR2p:
    case Op::kR2ur:
    case Op::kBmov:
      Move();
      return at_.usual;
    case Op::kIadd3:
    case Op::kImad:
    case Op::kLea:
    case Op::kShf:
    case Op::kLop3:
    case Op::kPlop3:
    case Op::kPrmt:
    case Op::kIabs:
    case Op::kBrev:
    case Op::kFlo:
    case Op::kPopc:
    case Op::kImnmx:
    case Op::kViaddmnmx:
    case Op::kIsetp:
      ComputeIntegers();
      return at_.usual;
    case Op::kFadd:
    case Op::kFmul:
    case Op::kFfma:
    case Op::kFmnmx:
    case Op::kFsetp:
    case Op::kMufu:
    case Op::kDadd:
    case Op::kDmul:
    case Op::kDfma:
    case Op::kDsetp:
      ComputeFloats();
      return at_.usual;
    case Op::kF2f:
    case Op::kI2f:
    case Op::kF2i:
      Convert();
      return at_.usual;
    case Op::kVote:
    case Op::kRedux:
    case Op::kShfl:
      return AmongLanes();
    case Op::kLoad:
    case Op::kStore:
      return LoadOrStore();
    case Op::kLdl:
    case Op::kStl:
      return Local();
    case Op::kAtom:
      return Atomic();
    case Op::kLdgsts:
      return CopyToShared();
    case Op::kLdgdepbar:
      CommitCopies();
      return at_.usual;
    case Op::kDepbar:
      AwaitCopies();
      return at_.usual;
    case Op::kNop:
      return at_.usual;
    default:
      Die("not done: %s", in_.text.c_str());
  }
}

void Execution::Move() {
  const auto& o = in_.o;
  switch (in_.op) {
    case Op::kMov:
      Set(o[0], Int(1));
      break;
    case Op::kSel: {
      const Lanes a = Int(1), b = Int(2);
      const u32 p = Predicate(3);
      SetInt(0, [&](int l) { return Has(p, l) ? a[l] : b[l]; });
      break;
    }
    case Op::kFsel: {
      const FloatLanes a = Float(1), b = Float(2);
      const u32 p = Predicate(3);
      SetInt(0, [&](int l) { return Bits<u32>(Has(p, l) ? a[l] : b[l]); });
      break;
    }
    case Op::kHfma2: {
      // ptxas uses it to set a register: 0 * 0 + constant.
      if (o.size() < 4 || o[1].reg != kZeroRegister ||
          o[2].reg != kZeroRegister || o[3].kind != Kind::kImmediate)
        Die("not done: %s", in_.text.c_str());
      Set(o[0], Raw(o[3]));
      break;
    }
    case Op::kLdc: {
      const Lanes low = Raw(o[1]),
                  high = in_.width == 8 ? Raw(o[1], true) : low;
      Set(o[0], low);
      if (in_.width == 8) Set(o[0], high, true);
      break;
    }
    case Op::kCs2r:
      SetInt(0, [&](int l) { return Special(o[1], l); });
      if (in_.text.find("CS2R.32") == string::npos) {
        Lanes high;
        high.fill(o[1].special == SpecialRegister::kClock
                      ? static_cast<u32>(t_ >> 32)
                      : 0);
        Set(o[0], high, true);
      }
      break;
    case Op::kS2r:
      SetInt(0, [&](int l) { return Special(o[1], l); });
      break;
    case Op::kB2r: {
      const u32 result = w_.block->result;
      SetInt(0, [&](int) { return result; });
      if (o.size() > 1) SetPredicate(1, result != 0 ? ~0u : 0u);
      break;
    }
    case Op::kP2r: {
      const Lanes a = Int(2);
      const auto mask = static_cast<u32>(o[3].immediate);
      SetInt(0, [&](int l) {
        u32 bits = 0;
        for (int i = 0; i < 7; ++i) bits |= (w_.predicates[i] >> l & 1) << i;
        return (a[l] & ~mask) | (bits & mask);
      });
      break;
    }
    case Op::kR2p: {
      const Lanes a = Int(1);
      for (int i = 0; i < 7; ++i) {
        if (!Has(static_cast<u32>(o[2].immediate), i)) continue;
        const u32 value = Where([&](int l) { return Has(a[l], i); });
        w_.predicates[i] = (w_.predicates[i] & ~lanes_) | (value & lanes_);
      }
      break;
    }
    case Op::kR2ur: {
      if (o.size() != 2) Die("not done: %s", in_.text.c_str());
      const Lanes a = Int(1);
      Lanes first;
      first.fill(a[__builtin_ctz(lanes_)]);
      Set(o[0], first);
      break;
    }
    case Op::kBmov:
      if (o[0].kind == Kind::kConvergence) {
        w_.convergence[o[0].reg] = Raw(o[1])[__builtin_ctz(lanes_)];
      } else {
        SetInt(0, [&](int) { return w_.convergence[o[1].reg]; });
        if (in_.clear) w_.convergence[o[1].reg] = 0;
      }
      break;
    default:
      Die("not done: %s", in_.text.c_str());
  }
}

u32 Execution::Special(const Operand& o, int lane) const {
  switch (o.special) {
    case SpecialRegister::kZero:
      return 0;
    case SpecialRegister::kTid:
      return w_.index * kLanes + lane;
    case SpecialRegister::kCtaid:
      return w_.block->id;
    case SpecialRegister::kLane:
      return lane;
    case SpecialRegister::kClock:
      return static_cast<u32>(t_);
    case SpecialRegister::kSharedWindowHigh:
      return kSharedWindow >> 32;
    case SpecialRegister::kLtMask:
      return (1u << lane) - 1;
  }
  return 0;
}

Done Execution::AmongLanes() {
  const auto& o = in_.o;
  switch (in_.op) {
    case Op::kVote: {
      // [d,] p, p
      const size_t p = IsPredicate(0) ? 0 : 1;
      const u32 votes = Predicate(p + 1) & lanes_;
      if (p == 1) SetInt(0, [&](int) { return votes; });
      SetPredicate(p, (in_.all ? votes == lanes_ : votes != 0) ? ~0u : 0u);
      return at_.usual;
    }
    case Op::kRedux: {
      const Lanes a = Int(1);
      const int first = __builtin_ctz(lanes_);
      Lanes value;
      value.fill(a[first]);
      for (int l = first + 1; l < kLanes; ++l) {
        if (Has(lanes_, l)) value[0] = Reduce32(value[0], a[l]);
      }
      value.fill(value[0]);
      Set(o[0], value);
      return {at_.memory->TakeUnit(2, t_) + TheGpu().redux, in_.reason};
    }
    case Op::kShfl: {
      // p, d, value, lane or mask, segments and the last lane of each
      const Lanes a = Int(2), b = Int(3), c = Int(4);
      Lanes value;
      u32 is_within = 0;
      for (int l = 0; l < kLanes; ++l) {
        const int segment = c[l] >> 8 & 31, clamp = c[l] & 31, by = b[l] & 31;
        const int least = l & segment, most = least | (clamp & ~segment);
        int from = l;
        bool is_in = true;
        switch (in_.shuffle) {
          case Shuffle::kButterfly:
            from = l ^ by;
            is_in = from <= most;
            break;
          case Shuffle::kIndex:
            from = least | (by & ~segment);
            is_in = from <= most;
            break;
          case Shuffle::kUp:
            from = l - by;
            is_in = from >= most;
            break;
          case Shuffle::kDown:
            from = l + by;
            is_in = from <= most;
            break;
        }
        if (is_in) is_within |= 1u << l;
        if (!is_in || !Has(lanes_, from)) from = l;
        value[l] = a[from];
      }
      Set(o[1], value);
      SetPredicate(0, is_within);
      return {at_.memory->TakeUnit(1, t_) + TheGpu().shfl, in_.reason};
    }
    default:
      Die("not done: %s", in_.text.c_str());
  }
}

u32 Execution::Reduce32(u32 a, u32 b) const {
  return in_.is_signed ? static_cast<u32>(
                             Reduce(static_cast<i32>(a), static_cast<i32>(b)))
                       : Reduce(a, b);
}

}  // namespace sim
