// Names and small helpers of the whole simulator.

#ifndef HUNGARIAN_CUDA_SIM_BASICS_H_
#define HUNGARIAN_CUDA_SIM_BASICS_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

namespace sim {

using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using i32 = int32_t;
using i64 = int64_t;
using std::string;

constexpr int kLanes = 32;  // of a warp
using Lanes = std::array<u32, kLanes>;
using FloatLanes = std::array<float, kLanes>;
using DoubleLanes = std::array<double, kLanes>;

// Ends the process with a sentence.
[[noreturn]] __attribute__((format(printf, 1, 2))) void Die(const char* format,
                                                            ...);

// An environment variable, or `otherwise` where it is not set.
string EnvText(const char* name, const char* otherwise = "");
double EnvNumber(const char* name, double otherwise);

// The same bits as another type.
template <typename To, typename From>
To Bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// Whether a bit is set: that of a lane, mostly.
inline bool Has(u32 lanes, int lane) { return (lanes >> lane & 1) != 0; }

// Two registers that hold 64 bits.
inline u64 Pair(u32 low, u32 high) { return u64{high} << 32 | low; }

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_BASICS_H_
