// Integers, truth tables and single bits.

#include <algorithm>

#include "execution.h"

namespace sim {

namespace {

// What a truth table of LOP3 or PLOP3 makes of three words.
void Lookup(u32 table, const u32* a, const u32* b, const u32* c, u32* value,
            int count) {
  std::fill(value, value + count, 0);
  for (int i = 0; i < 8; ++i) {
    if (!Has(table, i)) continue;
    const u32 flip_a = i & 4 ? 0 : ~0u, flip_b = i & 2 ? 0 : ~0u,
              flip_c = i & 1 ? 0 : ~0u;
    for (int l = 0; l < count; ++l)
      value[l] |= (a[l] ^ flip_a) & (b[l] ^ flip_b) & (c[l] ^ flip_c);
  }
}

}  // namespace

void Execution::ComputeIntegers() {
  const auto& o = in_.o;
  switch (in_.op) {
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
    default:
      Die("not done: %s", in_.text.c_str());
  }
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
  if (in_.x) Die("not done: %s", in_.text.c_str());
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
