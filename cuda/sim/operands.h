// The values of an instruction's operands in each lane.

#ifndef HUNGARIAN_CUDA_SIM_OPERANDS_H_
#define HUNGARIAN_CUDA_SIM_OPERANDS_H_

#include "caches.h"
#include "launch.h"
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
  Done usual;  // its result, where nothing takes longer
};

// Reads operands in all lanes, and writes them in those that execute the
// instruction. Operands are numbered as nvdisasm writes them, from 0 on.
class Operands {
 protected:
  explicit Operands(const Issue& issue)
      : at_(issue),
        w_(*issue.warp),
        in_(issue.instruction),
        lanes_(issue.lanes),
        t_(issue.time) {}

  // Operand i, a predicate.
  u32 Predicate(size_t i) const { return w_.Predicate(in_.o[i]); }

  // The operand's bits; `high`: the second register of a pair.
  Lanes Raw(const Operand& o, bool high = false) const;

  // Operand i, with its modifiers, such as negation, applied.
  Lanes Int(size_t i) const;
  FloatLanes Float(size_t i) const;
  DoubleLanes Double(size_t i) const;

  void Set(const Operand& o, const Lanes& value, bool high = false);
  void SetPredicate(size_t i, u32 value);
  bool IsPredicate(size_t i) const {
    return i < in_.o.size() && (in_.o[i].kind == Kind::kPredicate ||
                                in_.o[i].kind == Kind::kUniformPredicate);
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

  const Issue at_;
  Warp& w_;
  const Instruction& in_;
  const u32 lanes_;
  const u64 t_;

 private:
  u32 Constant(int bank, i64 offset) const;
};

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_OPERANDS_H_
