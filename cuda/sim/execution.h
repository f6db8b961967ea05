// What one instruction does to a group of lanes, but for control flow.

#ifndef HUNGARIAN_CUDA_SIM_EXECUTION_H_
#define HUNGARIAN_CUDA_SIM_EXECUTION_H_

#include <algorithm>
#include <utility>

#include "caches.h"
#include "launch.h"
#include "memory.h"
#include "module.h"
#include "warp.h"

namespace sim {

// An instruction that is issued.
struct Issue {
  const Kernel& kernel;
  const Launch& launch;
  MemoryPath* memory;
  Warp* warp;
  const Instruction& instruction;
  u32 lanes;  // that execute it: at least one
  u64 time;
};

// Of a group of lanes, but for control flow.
class Execution {
 public:
  explicit Execution(const Issue& issue)
      : at_(issue),
        w_(*issue.warp),
        in_(issue.instruction),
        lanes_(issue.lanes),
        t_(issue.time) {}

  // When the result is there.
  Done Run();

 private:
  u32 Predicate(size_t i) const { return w_.Predicate(in_.o[i]); }

  // The operand's bits; `high`: the second register of a pair.
  Lanes Raw(const Operand& o, bool high = false) const {
    Lanes value;
    switch (o.kind) {
      case Kind::kRegister:
        if (o.reg == kZeroRegister) {
          value.fill(0);
        } else {
          std::memcpy(value.data(), w_.registers[o.reg + high], sizeof value);
        }
        break;
      case Kind::kUniform:
        value.fill(o.reg == kZeroUniform ? 0 : w_.uniforms[o.reg + high]);
        break;
      case Kind::kImmediate:
        value.fill(static_cast<u32>(high ? o.immediate >> 32 : o.immediate));
        break;
      case Kind::kConstant:
        if (o.reg == kZeroRegister) {
          value.fill(Constant(o.bank, o.offset + 4 * high));
        } else {
          for (int l = 0; l < kLanes; ++l)
            value[l] = Has(lanes_, l)
                           ? Constant(o.bank,
                                      static_cast<i32>(w_.registers[o.reg][l]) +
                                          o.offset + 4 * high)
                           : 0;
        }
        break;
      default:
        Die("not done: a source of %s", in_.text.c_str());
    }
    return value;
  }

  u32 Constant(int bank, i64 offset) const {
    const string* bytes = &at_.launch.constants;
    if (bank != 0) {
      const auto found = at_.kernel.banks.find(bank);
      if (found == at_.kernel.banks.end())
        Die("no constants in bank %d: %s", bank, in_.text.c_str());
      bytes = &found->second;
    }
    if (offset < 0 || static_cast<u64>(offset) + 4 > bytes->size())
      Die("no constant at %lld: %s", static_cast<long long>(offset),
          in_.text.c_str());
    u32 value;
    std::memcpy(&value, bytes->data() + offset, sizeof value);
    return value;
  }

  Lanes Int(size_t i) const {
    const Operand& o = in_.o[i];
    Lanes value = Raw(o);
    if (o.negate) {
      for (u32& v : value) v = 0u - v;
    } else if (o.invert) {
      for (u32& v : value) v = ~v;
    } else if (o.absolute) {
      for (u32& v : value) v = static_cast<i32>(v) < 0 ? 0u - v : v;
    }
    return value;
  }

  FloatLanes Float(size_t i) const {
    const Operand& o = in_.o[i];
    const Lanes raw = Raw(o);
    const u32 keep = o.absolute ? 0x7fffffffu : ~0u,
              flip = o.negate ? 0x80000000u : 0;
    FloatLanes value;
    for (int l = 0; l < kLanes; ++l)
      value[l] = Bits<float>((raw[l] & keep) ^ flip);
    return value;
  }

  DoubleLanes Double(size_t i) const {
    const Operand& o = in_.o[i];
    const Lanes low = Raw(o), high = Raw(o, true);
    const u32 keep = o.absolute ? 0x7fffffffu : ~0u,
              flip = o.negate ? 0x80000000u : 0;
    DoubleLanes value;
    for (int l = 0; l < kLanes; ++l)
      value[l] = Bits<double>(Pair(low[l], (high[l] & keep) ^ flip));
    return value;
  }

  void Set(const Operand& o, const Lanes& value, bool high = false) {
    if (o.kind == Kind::kUniform) {
      if (o.reg != kZeroUniform) w_.uniforms[o.reg + high] = value[0];
      return;
    }
    if (o.reg == kZeroRegister) return;
    u32* const to = w_.registers[o.reg + high];
    if (lanes_ == ~0u) {
      std::memcpy(to, value.data(), sizeof value);
      return;
    }
    for (int l = 0; l < kLanes; ++l) {
      if (Has(lanes_, l)) to[l] = value[l];
    }
  }

  void SetPredicate(size_t i, u32 value) {
    const Operand& o = in_.o[i];
    if (o.reg == kTrue) return;
    if (o.kind == Kind::kUniformPredicate) {
      w_.uniform_predicates[o.reg] = (value & 1) != 0;
    } else {
      w_.predicates[o.reg] =
          (w_.predicates[o.reg] & ~lanes_) | (value & lanes_);
    }
  }

  // Sets operand i to what `f` gives for each lane.
  template <typename F>
  void SetInt(size_t i, F f) {
    Lanes value;
    for (int l = 0; l < kLanes; ++l) value[l] = f(l);
    Set(in_.o[i], value);
  }

  // The same with 64 bits.
  template <typename F>
  void SetLong(size_t i, F f) {
    Lanes low, high;
    for (int l = 0; l < kLanes; ++l) {
      const u64 value = f(l);
      low[l] = static_cast<u32>(value);
      high[l] = static_cast<u32>(value >> 32);
    }
    Set(in_.o[i], low);
    Set(in_.o[i], high, true);
  }

  template <typename F>
  void SetFloat(size_t i, F f) {
    constexpr u32 kNan = 0x7fffffff;
    SetInt(i, [&](int l) {
      const float value = f(l);
      return value == value ? Bits<u32>(value) : kNan;
    });
  }

  template <typename F>
  void SetDouble(size_t i, F f) {
    SetLong(i, [&](int l) { return Bits<u64>(static_cast<double>(f(l))); });
  }

  // The lanes for which `f` holds.
  template <typename F>
  static u32 Where(F f) {
    u32 lanes = 0;
    for (int l = 0; l < kLanes; ++l)
      lanes |= static_cast<u32>(static_cast<bool>(f(l))) << l;
    return lanes;
  }

  bool IsPredicate(size_t i) const {
    return i < in_.o.size() && (in_.o[i].kind == Kind::kPredicate ||
                                in_.o[i].kind == Kind::kUniformPredicate);
  }

  // Of ISETP and the like: two results, with what came before.
  void SetCompared(u32 holds) {
    const u32 before = Predicate(4);
    const auto combined = [&](u32 value) {
      return in_.combine == Combine::kAnd  ? value & before
             : in_.combine == Combine::kOr ? value | before
                                           : value ^ before;
    };
    SetPredicate(0, combined(holds));
    SetPredicate(1, combined(~holds));
  }

  template <typename T>
  bool Compares(T a, T b) const {
    switch (in_.compare) {
      case Compare::kLt:
        return a < b;
      case Compare::kEq:
        return a == b;
      case Compare::kLe:
        return a <= b;
      case Compare::kGt:
        return a > b;
      case Compare::kGe:
        return a >= b;
      case Compare::kNe:
        return a < b || a > b;
      case Compare::kLtu:
        return !(a >= b);
      case Compare::kEqu:
        return !(a < b || a > b);
      case Compare::kLeu:
        return !(a > b);
      case Compare::kGtu:
        return !(a <= b);
      case Compare::kNeu:
        return !(a == b);
      case Compare::kGeu:
        return !(a < b);
      case Compare::kNan:
        return a != a || b != b;
      case Compare::kNum:
        return a == a && b == b;
      default:
        Die("not done: %s", in_.text.c_str());
    }
  }

  // What a truth table of LOP3 or PLOP3 makes of three words.
  static void Lookup(u32 table, const u32* a, const u32* b, const u32* c,
                     u32* value, int count) {
    std::fill(value, value + count, 0);
    for (int i = 0; i < 8; ++i) {
      if (!Has(table, i)) continue;
      const u32 flip_a = i & 4 ? 0 : ~0u, flip_b = i & 2 ? 0 : ~0u,
                flip_c = i & 1 ? 0 : ~0u;
      for (int l = 0; l < count; ++l)
        value[l] |= (a[l] ^ flip_a) & (b[l] ^ flip_b) & (c[l] ^ flip_c);
    }
  }

  u32 Special(const Operand& o, int lane) const {
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

  template <typename T>
  T Reduce(T a, T b) const {
    switch (in_.reduction) {
      case Reduction::kAdd:
        return a + b;
      case Reduction::kMin:
        return std::min(a, b);
      case Reduction::kMax:
        return std::max(a, b);
      case Reduction::kAnd:
        return a & b;
      case Reduction::kOr:
        return a | b;
      case Reduction::kXor:
        return a ^ b;
      case Reduction::kExchange:
        return b;
      default:
        Die("not done: %s", in_.text.c_str());
    }
  }

  u32 Reduce32(u32 a, u32 b) const {
    return in_.is_signed ? static_cast<u32>(
                               Reduce(static_cast<i32>(a), static_cast<i32>(b)))
                         : Reduce(a, b);
  }

  void Addresses(const Operand& o, Space space, u64* address) const;
  u8* At(u64 address, int lane, int width);
  Done LoadOrStore();
  Done CopyToShared();
  Done Atomic();
  Done Local();
  void AddWithCarry();
  void MultiplyAdd();
  void ShiftAdd();
  void Shift();

  const Issue at_;
  Warp& w_;
  const Instruction& in_;
  const u32 lanes_;
  const u64 t_;
};

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_EXECUTION_H_
