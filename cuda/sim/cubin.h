// What a cubin, an ELF file, says of itself and of its kernels.

#ifndef HUNGARIAN_CUDA_SIM_CUBIN_H_
#define HUNGARIAN_CUDA_SIM_CUBIN_H_

#include <map>

#include "basics.h"

namespace sim {

struct Section {
  u64 offset, size;
  bool has_bytes;
};

// A thread's needs.
struct Resources {
  int registers = 0;
  int local_bytes = 0;  // of its stack
};

class Cubin {
 public:
  explicit Cubin(string bytes);

  // The bytes of the cubin at `image`, which says how large it is; "" if that
  // is no cubin.
  static string Copy(const char* image);

  // 10·major + minor of the devices that it is for.
  int Architecture() const { return static_cast<int>(Read<u32>(0x30) & 0xff); }

  // Null where there is no such section.
  const Section* Find(const string& name) const;

  // The needs of a function with all that it calls.
  Resources ResourcesOf(const string& function) const;

  template <typename T>
  T Read(u64 at) const {
    T value;
    if (at + sizeof value > bytes.size())
      Die("a cubin ends at %zu", bytes.size());
    std::memcpy(&value, &bytes[at], sizeof value);
    return value;
  }

  // Calls `f` with the name of each attribute of a section of .nv.info, and the
  // place of its value. Attributes that have their value in their head are left
  // out.
  template <typename F>
  void ForEachAttribute(const Section& section, F f) const {
    constexpr u8 kSized = 4;
    for (u64 at = section.offset; at + 4 <= section.offset + section.size;) {
      const u64 size = Read<u8>(at) == kSized ? Read<u16>(at + 2) : 0;
      if (size > 0) f(Read<u8>(at + 1), at + 4);
      at += 4 + size;
    }
  }

  const string bytes;

 private:
  // The text at a place in a section of names.
  string Text(u64 at) const { return &bytes[at]; }

  std::map<string, Section> sections_;
};

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_CUBIN_H_
