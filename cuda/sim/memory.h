// The device's memory, and the windows that addresses lead through.

#ifndef HUNGARIAN_CUDA_SIM_MEMORY_H_
#define HUNGARIAN_CUDA_SIM_MEMORY_H_

#include <map>
#include <utility>

#include "basics.h"

namespace sim {

// Generic addresses of shared and local memory; all others are global.
constexpr u64 kSharedWindow = u64{1} << 56, kLocalWindow = u64{2} << 56;
constexpr int kLocalBytes = 4096;  // of a lane
constexpr u32 WindowOf(u64 address) { return static_cast<u32>(address >> 56); }

// Buffers are always at the same addresses, so that caches behave the same in
// each run; and there is nothing behind a buffer, so that an access out of
// bounds is noticed.
class DeviceMemory {
 public:
  // Null where there is no room.
  void* Allocate(size_t bytes);

  // Whether there was such a buffer.
  bool Free(u64 address);

  // The buffer that an address lies in: its bounds; {0, 0} if in none.
  std::pair<u64, u64> BufferOf(u64 address) const;

 private:
  u64 next_ = u64{1} << 44;
  std::map<u64, u64> buffers_;
};

DeviceMemory& TheMemory();

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_MEMORY_H_
