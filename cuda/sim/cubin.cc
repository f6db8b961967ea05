// Reads ELF: its header, sections, names and symbols.

#include "cubin.h"

#include <algorithm>
#include <utility>

namespace sim {

namespace {

// Of an ELF file of 64 bits.
constexpr u64 kProgramsAt = 0x20, kSectionsAt = 0x28, kProgramSize = 0x36;
constexpr u64 kPrograms = 0x38, kSectionSize = 0x3a, kSections = 0x3c;
constexpr u64 kNamesAt = 0x3e, kHeaderBytes = 64, kSymbolBytes = 24;

}  // namespace

Cubin::Cubin(string all) : bytes(std::move(all)) {
  const auto header = Read<u64>(kSectionsAt);
  const auto size = Read<u16>(kSectionSize), count = Read<u16>(kSections);
  const auto names = Read<u64>(header + Read<u16>(kNamesAt) * size + 24);
  for (u64 i = 0; i < count; ++i) {
    const u64 at = header + i * size;
    constexpr u32 kNoBits = 8;
    sections_[Text(names + Read<u32>(at))] = {
        Read<u64>(at + 24), Read<u64>(at + 32), Read<u32>(at + 4) != kNoBits};
  }
}

string Cubin::Copy(const char* image) {
  if (std::memcmp(image,
                  "\x7f"
                  "ELF",
                  4) != 0)
    return "";
  const auto read = [&](u64 at, auto value) {
    std::memcpy(&value, image + at, sizeof value);
    return u64{value};
  };
  const u64 programs = read(kProgramsAt, u64{}) +
                       read(kPrograms, u16{}) * read(kProgramSize, u16{});
  const u64 sections = read(kSectionsAt, u64{}) +
                       read(kSections, u16{}) * read(kSectionSize, u16{});
  return string(image, std::max({programs, sections, kHeaderBytes}));
}

const Section* Cubin::Find(const string& name) const {
  const auto found = sections_.find(name);
  return found == sections_.end() ? nullptr : &found->second;
}

// The section .nv.info has them for each function, by its symbol's number.
Resources Cubin::ResourcesOf(const string& function) const {
  constexpr u8 kLeastStack = 0x12, kRegisters = 0x2f;
  const Section* const info = Find(".nv.info");
  const Section* const symbols = Find(".symtab");
  const Section* const names = Find(".strtab");
  Resources resources;
  if (info == nullptr || symbols == nullptr || names == nullptr)
    Die("a cubin does not say what %s needs", function.c_str());
  ForEachAttribute(*info, [&](u8 name, u64 at) {
    if (name != kLeastStack && name != kRegisters) return;
    const u64 symbol = symbols->offset + kSymbolBytes * Read<u32>(at);
    if (Text(names->offset + Read<u32>(symbol)) != function) return;
    (name == kRegisters ? resources.registers : resources.local_bytes) =
        static_cast<int>(Read<u32>(at + 4));
  });
  return resources;
}

}  // namespace sim
