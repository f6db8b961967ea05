// Numbers: the types of costs, and the arithmetics that the solver is written
// in.

#ifndef CUDA_NUMBER_H_
#define CUDA_NUMBER_H_

#include "platform.h"

// The 16-bit types, as bits. Both are converted here, exactly, since the
// toolkit's headers are not available everywhere.
struct Half {
  unsigned short bits;
};
struct Bfloat16 {
  unsigned short bits;
};

// About twice the precision of f64: an unevaluated sum. See Dekker, "A
// floating-point technique for extending the available precision", Numer. Math.
// 18 (1971). Contraction to fused multiply-adds is off for all kernels.
struct DoubleDouble {
  double high;
  double low;
};

template <typename A, typename B>
struct IsSame {
  static constexpr bool value = false;
};
template <typename A>
struct IsSame<A, A> {
  static constexpr bool value = true;
};

// The type of outputs, and the type that costs are widened to.
template <typename T>
struct TypesOf {
  using Real = float;
  using Exact = float;
};
template <>
struct TypesOf<double> {
  using Real = double;
  using Exact = double;
};

__device__ inline double InfinityOfDouble() {
  return __longlong_as_double(0x7ff0000000000000LL);
}

// ---- Conversions ----

__device__ inline float Widen(float cost) { return cost; }
__device__ inline double Widen(double cost) { return cost; }
__device__ inline float Widen(Bfloat16 cost) {
  const unsigned bits = cost.bits;
  return __uint_as_float(bits << 16);
}
__device__ inline float Widen(Half cost) {
  const unsigned bits = cost.bits;
  const unsigned sign = (bits & 0x8000u) << 16;
  const unsigned exponent = (bits >> 10) & 0x1fu;
  const unsigned fraction = bits & 0x3ffu;
  if (exponent == 0) {
    // Zero or denormal: a whole multiple of 2^-24.
    const float magnitude =
        static_cast<float>(fraction) * __uint_as_float((127u - 24u) << 23);
    return __uint_as_float(__float_as_uint(magnitude) | sign);
  }
  const unsigned widened = exponent == 0x1fu ? 0xffu : exponent + (127u - 15u);
  return __uint_as_float(sign | (widened << 23) | (fraction << 13));
}

// Reads one of the user's costs, to which no kernel writes.
__device__ inline float Load(const float* cost) { return __ldg(cost); }
__device__ inline double Load(const double* cost) { return __ldg(cost); }
template <typename T>
__device__ inline T Load(const T* cost) {
  return {__ldg(&cost->bits)};
}

// Number<R>: what is needed of an arithmetic beside +, - and <.
template <typename R>
struct Number;

template <>
struct Number<float> {
  __device__ static float From(double value) {
    return static_cast<float>(value);
  }
  __device__ static float From(float value) { return value; }
  __device__ static double ToDouble(float value) { return value; }
  __device__ static float Infinity() { return __uint_as_float(0x7f800000u); }
};

template <>
struct Number<double> {
  __device__ static double From(double value) { return value; }
  __device__ static double ToDouble(double value) { return value; }
  __device__ static double Infinity() { return InfinityOfDouble(); }
};

template <>
struct Number<DoubleDouble> {
  __device__ static DoubleDouble From(double value) { return {value, 0.0}; }
  __device__ static double ToDouble(DoubleDouble value) { return value.high; }
  __device__ static DoubleDouble Infinity() {
    return {InfinityOfDouble(), 0.0};
  }
};

// ---- DoubleDouble ----

// a + b, and what was rounded away (Knuth).
__device__ inline DoubleDouble TwoSum(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

// The same where |a| >= |b|.
__device__ inline DoubleDouble QuickTwoSum(double a, double b) {
  const double sum = a + b;
  return {sum, b - (sum - a)};
}

__device__ inline DoubleDouble operator+(DoubleDouble a, DoubleDouble b) {
  const DoubleDouble highs = TwoSum(a.high, b.high);
  if (!(fabs(highs.high) < InfinityOfDouble())) {
    return {highs.high, 0.0};
  }
  const DoubleDouble lows = TwoSum(a.low, b.low);
  const DoubleDouble sum = QuickTwoSum(highs.high, highs.low + lows.high);
  return QuickTwoSum(sum.high, sum.low + lows.low);
}
__device__ inline DoubleDouble operator-(DoubleDouble a) {
  return {-a.high, -a.low};
}
__device__ inline DoubleDouble operator-(DoubleDouble a, DoubleDouble b) {
  return a + -b;
}
__device__ inline bool operator<(DoubleDouble a, DoubleDouble b) {
  return a.high < b.high || (a.high == b.high && a.low < b.low);
}
__device__ inline bool operator==(DoubleDouble a, DoubleDouble b) {
  return a.high == b.high && a.low == b.low;
}

// ---- Small things ----

template <typename V>
__device__ inline V Smaller(V a, V b) {
  return b < a ? b : a;
}
template <typename V>
__device__ inline V Larger(V a, V b) {
  return a < b ? b : a;
}

// One instruction each. Where one argument is NaN they return the other.
__device__ inline float Smaller(float a, float b) { return fminf(a, b); }
__device__ inline float Larger(float a, float b) { return fmaxf(a, b); }

// The least power of two that is not below `value`, which is positive and
// normal; 0 for 0.
__device__ inline double PowerOfTwoFrom(double value) {
  const long long fraction = (1LL << 52) - 1;
  return __longlong_as_double((__double_as_longlong(value) + fraction) &
                              ~fraction);
}

// The largest power of two that divides `value`, which is finite and not 0.
__device__ inline double PowerOfTwoIn(double value) {
  const long long bits = __double_as_longlong(value);
  const long long fraction = bits & ((1LL << 52) - 1);
  const int exponent = static_cast<int>((bits >> 52) & 0x7ff);
  const long long whole = exponent == 0 ? fraction : fraction | (1LL << 52);
  // The value is whole * 2^unit, and the result is the lowest bit of whole
  // alone, times 2^unit.
  const double lowest = static_cast<double>(whole & -whole);
  const int unit = (exponent == 0 ? 1 : exponent) - 1075;
  // In two steps, each within range.
  const int half = unit / 2;
  const double first =
      __longlong_as_double(static_cast<long long>(1023 + half) << 52);
  const double second =
      __longlong_as_double(static_cast<long long>(1023 + unit - half) << 52);
  return lowest * first * second;
}

#endif  // CUDA_NUMBER_H_
