// What one instruction does to a group of lanes, but for control flow.

#ifndef HUNGARIAN_CUDA_SIM_EXECUTION_H_
#define HUNGARIAN_CUDA_SIM_EXECUTION_H_

#include <algorithm>

#include "operands.h"

namespace sim {

class Execution : private Operands {
 public:
  explicit Execution(const Issue& issue) : Operands(issue) {}

  // When the result is there.
  Done Run();

 private:
  // execution.cc
  void Move();
  Done AmongLanes();

  // execution_floats.cc
  void ComputeFloats();
  void Convert();

  // execution_integers.cc
  void ComputeIntegers();
  void AddWithCarry();
  void MultiplyAdd();
  void ShiftAdd();
  void Shift();

  // execution_memory.cc
  void Addresses(const Operand& o, Space space, u64* address) const;
  u8* At(u64 address, int lane, int width);
  Done LoadOrStore();
  Done CopyToShared();
  void CommitCopies();
  void AwaitCopies();
  Done Atomic();
  u32 Extended(u32 value) const;
  Done Local();

  u32 Special(const Operand& o, int lane) const;
  u32 Reduce32(u32 a, u32 b) const;

  // Sets the two results of ISETP and the like, combined with a predicate from
  // before.
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
};

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_EXECUTION_H_
