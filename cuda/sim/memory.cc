// Buffers at addresses of their own.

#include "memory.h"

#include <sys/mman.h>

#include <cstring>

namespace sim {

namespace {

constexpr u64 kPage = 4096;

}  // namespace

void* DeviceMemory::Allocate(size_t bytes) {
  const size_t whole = (bytes + kPage - 1) / kPage * kPage;
  void* const at =
      mmap(reinterpret_cast<void*>(next_), whole, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (at != reinterpret_cast<void*>(next_)) return nullptr;
  std::memset(at, 0xcd, bytes);
  buffers_[next_] = bytes;
  next_ += whole + kPage;
  return at;
}

bool DeviceMemory::Free(u64 address) {
  const auto found = buffers_.find(address);
  if (found == buffers_.end()) return false;
  munmap(reinterpret_cast<void*>(address),
         (found->second + kPage - 1) / kPage * kPage);
  buffers_.erase(found);
  return true;
}

std::pair<u64, u64> DeviceMemory::BufferOf(u64 address) const {
  auto next = buffers_.upper_bound(address);
  if (next == buffers_.begin()) return {0, 0};
  --next;
  return address < next->first + next->second
             ? std::make_pair(next->first, next->first + next->second)
             : std::make_pair(u64{0}, u64{0});
}

DeviceMemory& TheMemory() {
  static auto* const memory = new DeviceMemory;
  return *memory;
}

}  // namespace sim
