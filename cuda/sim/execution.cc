// Arithmetic, conversions, and what lanes tell each other. Operands stand in
// the order of nvdisasm's text.

#include "execution.h"

#include <cmath>
#include <cstring>

namespace sim {

Done Execution::Run() {
  const Gpu& gpu = TheGpu();
  const auto& o = in_.o;
  Done done = {t_ + gpu.*in_.latency, in_.reason};
  switch (in_.op) {
    case Op::kMov:
      Set(o[0], Int(1));
      break;
    case Op::kR2ur: {
      if (o.size() != 2) Die("not done: %s", in_.text.c_str());
      const Lanes a = Int(1);
      Lanes first;
      first.fill(a[__builtin_ctz(lanes_)]);
      Set(o[0], first);
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
    case Op::kBmov:
      if (o[0].kind == Kind::kConvergence) {
        w_.convergence[o[0].reg] = Raw(o[1])[__builtin_ctz(lanes_)];
      } else {
        SetInt(0, [&](int) { return w_.convergence[o[1].reg]; });
        if (in_.clear) w_.convergence[o[1].reg] = 0;
      }
      break;
    case Op::kHfma2: {
      // ptxas uses it to set a register: 0 * 0 + constant.
      if (o.size() < 4 || o[1].reg != kZeroRegister ||
          o[2].reg != kZeroRegister || o[3].kind != Kind::kImmediate)
        Die("not done: %s", in_.text.c_str());
      Set(o[0], Raw(o[3]));
      break;
    }

    // Integers.
    case Op::kIadd3:
      AddWithCarry();
      break;
    case Op::kImad:
      MultiplyAdd();
      break;
    case Op::kLea:
      ShiftAdd();
      break;
    case Op::kShf:
      Shift();
      break;
    case Op::kLop3: {
      // [p,] d, a, b, c, table, p
      const size_t d = IsPredicate(0) ? 1 : 0;
      const Lanes a = Int(d + 1), b = Int(d + 2), c = Int(d + 3);
      Lanes value;
      Lookup(static_cast<u32>(o[d + 4].immediate), a.data(), b.data(), c.data(),
             value.data(), kLanes);
      const u32 before = d + 5 < o.size() ? Predicate(d + 5) : 0;
      Set(o[d], value);
      if (d == 1)
        SetPredicate(0, Where([&](int l) { return value[l] != 0; }) | before);
      break;
    }
    case Op::kPlop3: {
      // p, p, a, b, c, table, table
      const u32 a = Predicate(2), b = Predicate(3), c = Predicate(4);
      u32 value[2];
      for (int i = 0; i < 2; ++i)
        Lookup(static_cast<u32>(o[5 + i].immediate), &a, &b, &c, &value[i], 1);
      for (int i = 0; i < 2; ++i) SetPredicate(i, value[i]);
      break;
    }
    case Op::kPrmt: {
      const Lanes a = Int(1), selectors = Int(2), c = Int(3);
      SetInt(0, [&](int l) {
        const u64 bytes = Pair(a[l], c[l]);
        u32 value = 0;
        for (int i = 0; i < 4; ++i) {
          const u32 selector = selectors[l] >> (4 * i) & 15;
          u32 byte = bytes >> (8 * (selector & 7)) & 0xff;
          if (selector & 8) byte = byte & 0x80 ? 0xff : 0;  // its sign
          value |= byte << (8 * i);
        }
        return value;
      });
      break;
    }
    case Op::kIabs: {
      const Lanes a = Int(1);
      SetInt(0, [&](int l) {
        return static_cast<i32>(a[l]) < 0 ? 0u - a[l] : a[l];
      });
      break;
    }
    case Op::kBrev: {
      const Lanes a = Int(1);
      SetInt(0, [&](int l) {
        u32 value = 0;
        for (int i = 0; i < 32; ++i) value |= (a[l] >> i & 1) << (31 - i);
        return value;
      });
      break;
    }
    case Op::kFlo: {
      // The highest bit; .SH: how far to shift it to the top.
      const Lanes a = Int(1);
      SetInt(0, [&](int l) {
        return a[l] == 0
                   ? ~0u
                   : static_cast<u32>(in_.shift ? __builtin_clz(a[l])
                                                : 31 - __builtin_clz(a[l]));
      });
      break;
    }
    case Op::kPopc: {
      const Lanes a = Int(1);
      SetInt(0,
             [&](int l) { return static_cast<u32>(__builtin_popcount(a[l])); });
      break;
    }
    case Op::kSel: {
      const Lanes a = Int(1), b = Int(2);
      const u32 p = Predicate(3);
      SetInt(0, [&](int l) { return Has(p, l) ? a[l] : b[l]; });
      break;
    }
    case Op::kImnmx: {
      const Lanes a = Int(1), b = Int(2);
      const u32 is_min = Predicate(3);
      SetInt(0, [&](int l) {
        const bool is_less =
            in_.is_signed ? static_cast<i32>(a[l]) < static_cast<i32>(b[l])
                          : a[l] < b[l];
        return is_less == Has(is_min, l) ? a[l] : b[l];
      });
      break;
    }
    case Op::kViaddmnmx: {
      const Lanes a = Int(1), b = Int(2), c = Int(3);
      const u32 is_min = Predicate(4);
      SetInt(0, [&](int l) {
        const u32 sum = a[l] + b[l];
        const bool is_less =
            in_.is_signed ? static_cast<i32>(sum) < static_cast<i32>(c[l])
                          : sum < c[l];
        return is_less == Has(is_min, l) ? sum : c[l];
      });
      break;
    }
    case Op::kIsetp: {
      const Lanes a = Int(2), b = Int(3);
      const u32 low_halves = in_.ex ? Predicate(5) : 0;
      SetCompared(Where([&](int l) {
        if (in_.ex && a[l] == b[l]) return Has(low_halves, l);
        return in_.is_signed
                   ? Compares(static_cast<i32>(a[l]), static_cast<i32>(b[l]))
                   : Compares(a[l], b[l]);
      }));
      break;
    }

    // f32.
    case Op::kFadd: {
      const FloatLanes a = Float(1), b = Float(2);
      SetFloat(0, [&](int l) { return a[l] + b[l]; });
      break;
    }
    case Op::kFmul: {
      const FloatLanes a = Float(1), b = Float(2);
      SetFloat(0, [&](int l) { return a[l] * b[l]; });
      break;
    }
    case Op::kFfma: {
      const FloatLanes a = Float(1), b = Float(2), c = Float(3);
      SetFloat(0, [&](int l) { return std::fma(a[l], b[l], c[l]); });
      break;
    }
    case Op::kFmnmx: {
      // A number rather than NaN; -0 is less than +0.
      const FloatLanes a = Float(1), b = Float(2);
      const u32 is_min = Predicate(3);
      SetFloat(0, [&](int l) {
        if (a[l] != a[l]) return b[l];
        if (b[l] != b[l]) return a[l];
        const bool is_less =
            a[l] < b[l] || (a[l] == b[l] && std::signbit(a[l]));
        return is_less == Has(is_min, l) ? a[l] : b[l];
      });
      break;
    }
    case Op::kFsel: {
      const FloatLanes a = Float(1), b = Float(2);
      const u32 p = Predicate(3);
      SetInt(0, [&](int l) { return Bits<u32>(Has(p, l) ? a[l] : b[l]); });
      break;
    }
    case Op::kFsetp: {
      const FloatLanes a = Float(2), b = Float(3);
      SetCompared(Where([&](int l) { return Compares(a[l], b[l]); }));
      break;
    }

    // f64.
    case Op::kDadd: {
      const DoubleLanes a = Double(1), b = Double(2);
      SetDouble(0, [&](int l) { return a[l] + b[l]; });
      break;
    }
    case Op::kDmul: {
      const DoubleLanes a = Double(1), b = Double(2);
      SetDouble(0, [&](int l) {
        const double product = a[l] * b[l];
        return in_.up && std::fma(a[l], b[l], -product) > 0
                   ? std::nextafter(product, INFINITY)
                   : product;
      });
      break;
    }
    case Op::kDfma: {
      const DoubleLanes a = Double(1), b = Double(2), c = Double(3);
      SetDouble(0, [&](int l) { return std::fma(a[l], b[l], c[l]); });
      break;
    }
    case Op::kDsetp: {
      const DoubleLanes a = Double(2), b = Double(3);
      if (in_.compare != Compare::kMin && in_.compare != Compare::kMax) {
        SetCompared(Where([&](int l) { return Compares(a[l], b[l]); }));
        break;
      }
      // Half of fmin and fmax: whether it is the first; whether neither is a
      // number.
      const u32 before = Predicate(4);
      SetPredicate(0, before & Where([&](int l) {
                        if (a[l] != a[l] || b[l] != b[l]) return a[l] == a[l];
                        const bool is_less =
                            a[l] < b[l] || (a[l] == b[l] && std::signbit(a[l]));
                        return is_less == (in_.compare == Compare::kMin);
                      }));
      SetPredicate(1, before & Where([&](int l) {
                        return a[l] != a[l] && b[l] != b[l];
                      }));
      break;
    }

    // From one type to another.
    case Op::kF2f:
      if (in_.from == 8 && in_.to == 4) {
        const DoubleLanes a = Double(1);
        SetFloat(0, [&](int l) { return static_cast<float>(a[l]); });
      } else if (in_.from == 4 && in_.to == 8) {
        const FloatLanes a = Float(1);
        SetDouble(0, [&](int l) { return a[l]; });
      } else {
        Die("not done: %s", in_.text.c_str());
      }
      break;
    case Op::kI2f: {
      const Lanes low = Raw(o[1]), high = in_.from >= 3 ? Raw(o[1], true) : low;
      // Long enough for all integers.
      const auto exact = [&](int l) -> long double {
        switch (in_.from) {
          case 1:
            return static_cast<i32>(low[l]);
          case 2:
            return low[l];
          case 3:
            return static_cast<i64>(Pair(low[l], high[l]));
          default:
            return Pair(low[l], high[l]);
        }
      };
      if (in_.to == 8) {
        if (in_.up) Die("not done: %s", in_.text.c_str());
        SetDouble(0, exact);
      } else {
        SetFloat(0, [&](int l) {
          const auto value = static_cast<float>(exact(l));
          return in_.up && value < exact(l) ? std::nextafter(value, INFINITY)
                                            : value;
        });
      }
      break;
    }
    case Op::kF2i: {
      // Towards 0, to what there is.
      const FloatLanes a = Float(1);
      if (in_.is_u64) {
        SetLong(0, [&](int l) {
          return !(a[l] > 0)       ? u64{0}
                 : a[l] >= 0x1p64f ? ~u64{0}
                                   : static_cast<u64>(a[l]);
        });
        break;
      }
      SetInt(0, [&](int l) {
        if (a[l] != a[l]) return 0u;
        if (!in_.is_signed)
          return a[l] <= 0         ? 0u
                 : a[l] >= 0x1p32f ? ~0u
                                   : static_cast<u32>(a[l]);
        return a[l] <= -0x1p31f  ? 0x80000000u
               : a[l] >= 0x1p31f ? 0x7fffffffu
                                 : static_cast<u32>(static_cast<i32>(a[l]));
      });
      break;
    }
    case Op::kMufu:
      // Exact here; on a GPU within a unit in the last place. RCP64H: the upper
      // half of it.
      if (in_.rcp64h) {
        const Lanes a = Int(1);
        SetInt(0, [&](int l) {
          return static_cast<u32>(Bits<u64>(1 / Bits<double>(Pair(0, a[l]))) >>
                                  32);
        });
      } else {
        const FloatLanes a = Float(1);
        SetFloat(0, [&](int l) { return 1 / a[l]; });
      }
      break;

    // Among the lanes of a warp.
    case Op::kVote: {
      // [d,] p, p
      const size_t p = IsPredicate(0) ? 0 : 1;
      const u32 votes = Predicate(p + 1) & lanes_;
      if (p == 1) SetInt(0, [&](int) { return votes; });
      SetPredicate(p, (in_.all ? votes == lanes_ : votes != 0) ? ~0u : 0u);
      break;
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
      done.time = at_.memory->TakeUnit(2, t_) + gpu.redux;
      break;
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
      done.time = at_.memory->TakeUnit(1, t_) + gpu.shfl;
      break;
    }
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

    // Memory.
    case Op::kLoad:
    case Op::kStore:
      return LoadOrStore();
    case Op::kAtom:
      return Atomic();
    case Op::kLdl:
    case Op::kStl:
      return Local();
    case Op::kLdgsts:
      return CopyToShared();
    case Op::kLdgdepbar:
      w_.copies.push_back(std::max(w_.uncommitted_copies, t_));
      w_.uncommitted_copies = 0;
      break;
    case Op::kDepbar: {
      // SB0, n: until at most n commits are on their way.
      if (in_.text.find("SB0") == string::npos)
        Die("not done: %s", in_.text.c_str());
      const size_t left = o[1].immediate;
      while (w_.copies.size() > left) {
        if (w_.copies.front() > w_.next) {
          w_.next = w_.copies.front();
          w_.next_reason = kL2;
        }
        w_.copies.pop_front();
      }
      break;
    }
    case Op::kNop:
      break;
    default:
      Die("not done: %s", in_.text.c_str());
  }
  return done;
}

// d, [p, [p,]] a, b, [c,] [p, [p]]: with up to two carries out and, .X, two in.
// VIADD has two terms.
void Execution::AddWithCarry() {
  const auto& o = in_.o;
  size_t i = 1;
  while (IsPredicate(i)) ++i;
  const size_t carries_out = i - 1;
  u64 sum[kLanes] = {};
  for (; i < o.size() && !IsPredicate(i); ++i) {
    const Lanes term = Raw(o[i]);
    for (int l = 0; l < kLanes; ++l)
      sum[l] += o[i].negate   ? u64{~term[l]} + 1
                : o[i].invert ? u64{~term[l]}
                              : u64{term[l]};
  }
  for (; in_.x && i < o.size(); ++i) {
    const u32 carry = Predicate(i);
    for (int l = 0; l < kLanes; ++l) sum[l] += Has(carry, l);
  }
  SetInt(0, [&](int l) { return static_cast<u32>(sum[l]); });
  for (size_t c = 1; c <= carries_out; ++c) {
    SetPredicate(c, Where([&](int l) { return sum[l] >> 32 >= c; }));
  }
}

// d, [p,] a, b, c, [p]: .WIDE: the product and c have 64 bits; .HI: the upper
// half of that.
void Execution::MultiplyAdd() {
  const auto& o = in_.o;
  const size_t i = IsPredicate(1) ? 2 : 1;
  const Lanes a = Int(i), b = Int(i + 1);
  const Operand& addend = o[i + 2];
  if (!in_.wide && !in_.high) {
    if (i == 2) Die("not done: %s", in_.text.c_str());
    const Lanes c = Int(i + 2);
    const u32 carry = in_.x ? Predicate(i + 3) : 0;
    SetInt(0, [&](int l) { return a[l] * b[l] + c[l] + (carry >> l & 1); });
    return;
  }
  const Lanes low = Raw(addend);
  Lanes high;
  if (addend.kind == Kind::kImmediate) {
    high.fill(in_.is_signed && static_cast<i32>(addend.immediate) < 0 ? ~0u
                                                                      : 0);
  } else {
    high = Raw(addend, true);
  }
  u64 value[kLanes];
  u32 carry = 0;
  for (int l = 0; l < kLanes; ++l) {
    u64 c = Pair(low[l], high[l]);
    if (addend.negate) c = 0 - c;
    if (addend.invert) c = ~c;
    const u64 product = in_.is_signed
                            ? static_cast<u64>(i64{static_cast<i32>(a[l])} *
                                               static_cast<i32>(b[l]))
                            : u64{a[l]} * b[l];
    value[l] = product + c;
    if (value[l] < product) carry |= 1u << l;
  }
  if (in_.wide) {
    SetLong(0, [&](int l) { return value[l]; });
  } else {
    SetInt(0, [&](int l) { return static_cast<u32>(value[l] >> 32); });
  }
  if (i == 2) SetPredicate(1, carry);
}

// d, [p,] a, b, shift, [p]; .HI: d, [p,] a, b, upper half of a, shift, [p];
// .SX32: the upper half is a's sign.
void Execution::ShiftAdd() {
  const auto& o = in_.o;
  size_t i = IsPredicate(1) ? 2 : 1;
  const bool has_carry_out = i == 2;
  const Lanes a = Int(i), b = Int(i + 1);
  i += 2;
  Lanes upper;
  if (in_.high && !in_.sx32) upper = Int(i++);
  const auto shift = static_cast<int>(o[i].immediate);
  const u32 carry = in_.x ? Predicate(i + 1) : 0;
  u64 sum[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    u32 shifted = a[l] << shift;
    if (in_.high) {
      const u32 above =
          in_.sx32 ? static_cast<u32>(static_cast<i32>(a[l]) >> 31) : upper[l];
      shifted = static_cast<u32>(Pair(a[l], above) << shift >> 32);
    }
    sum[l] = u64{shifted} + b[l] + (carry >> l & 1);
  }
  SetInt(0, [&](int l) { return static_cast<u32>(sum[l]); });
  if (has_carry_out)
    SetPredicate(1, Where([&](int l) { return sum[l] >> 32 != 0; }));
}

// d, low, shift, high
void Execution::Shift() {
  const Lanes low = Int(1), by = Int(2), high = Int(3);
  const bool is_long = in_.is_s64 || in_.is_u64;
  SetInt(0, [&](int l) {
    const u64 both = Pair(low[l], high[l]);
    const u32 shift = in_.wraps ? by[l] % 32 : std::min<u32>(by[l], 63);
    if (in_.left)
      return static_cast<u32>(in_.high      ? both << shift >> 32
                              : shift >= 32 ? 0
                                            : low[l] << shift);
    if (is_long) {
      const u64 value = in_.is_s64
                            ? static_cast<u64>(static_cast<i64>(both) >> shift)
                            : both >> shift;
      return static_cast<u32>(in_.high ? value >> 32 : value);
    }
    if (!in_.high) Die("not done: %s", in_.text.c_str());
    if (in_.is_signed)
      return static_cast<u32>(static_cast<i32>(high[l]) >>
                              std::min<u32>(shift, 31));
    return shift >= 32 ? 0 : high[l] >> shift;
  });
}

}  // namespace sim
