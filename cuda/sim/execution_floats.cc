// f32, f64, and from one type to another.

#include <cmath>

#include "execution.h"

namespace sim {

void Execution::ComputeFloats() {
  switch (in_.op) {
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
    case Op::kFsetp: {
      const FloatLanes a = Float(2), b = Float(3);
      SetCompared(Where([&](int l) { return Compares(a[l], b[l]); }));
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
      // A part of fmin and fmax: whether the result is the first operand;
      // whether neither is a number.
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
    default:
      Die("not done: %s", in_.text.c_str());
  }
}

void Execution::Convert() {
  const auto& o = in_.o;
  switch (in_.op) {
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
      // Towards 0, and no further than the range of the type.
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
    default:
      Die("not done: %s", in_.text.c_str());
  }
}

}  // namespace sim
