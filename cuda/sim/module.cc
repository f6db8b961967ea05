// Runs ptxas and nvdisasm, keeps what they made, and reads a kernel's needs
// from the cubin (an ELF file) and from ptxas's words.

#include "module.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "listing.h"

namespace sim {

namespace {

// What a program writes, and whether it says that it succeeded.
bool RunTool(const string& command, string* output) {
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) Die("cannot run %s", command.c_str());
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, pipe))
    output->append(buffer, n);
  return pclose(pipe) == 0;
}

// Another process may be at it, too: a file appears whole.
void WriteFile(const string& path, const string& content) {
  const string temporary = path + "." + std::to_string(getpid());
  std::ofstream(temporary, std::ios::binary) << content;
  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    Die("cannot write %s", path.c_str());
}

string Quoted(const string& path) { return "'" + path + "'"; }

}  // namespace

string ReadFile(const string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Die("cannot read %s", path.c_str());
  return string(std::istreambuf_iterator<char>(file), {});
}

bool Compile(Module* module) {
  const bool has_lines = module->ptx.find("\t.loc") != string::npos ||
                         module->ptx.find("\n.loc") != string::npos;
  string flags = " -arch=sm_" + std::to_string(TheGpu().cc);
  if (has_lines) flags += " -lineinfo";
  u64 hash = 1469598103934665603ull;
  for (char c : module->ptx + flags)
    hash = (hash ^ static_cast<u8>(c)) * 1099511628211ull;
  char stem[64];
  std::snprintf(stem, sizeof stem, "/%016llx_%d",
                static_cast<unsigned long long>(hash), TheGpu().cc);
  const string folder = EnvText("SIM_CACHE", "sim_cache");
  const string path = folder + stem;
  module->cubin_path = path + ".cubin";
  module->sass_path = path + ".sass";
  const string log_path = path + ".log";
  string ignored;
  if (!RunTool("mkdir -p " + Quoted(folder), &ignored))
    Die("cannot make %s", folder.c_str());
  if (!std::ifstream(module->sass_path)) {
    const string ptx_path = path + ".ptx";
    const string temporary =
        module->cubin_path + "." + std::to_string(getpid());
    WriteFile(ptx_path, module->ptx);
    const string ptxas = Quoted(EnvText("SIM_PTXAS", "ptxas")) + " -v" + flags;
    if (!RunTool(ptxas + " -o " + Quoted(temporary) + " " + Quoted(ptx_path),
                 &module->log))
      return false;
    std::rename(temporary.c_str(), module->cubin_path.c_str());
    const string nvdisasm = Quoted(EnvText("SIM_NVDISASM", "nvdisasm")) +
                            " -c -hex " + (has_lines ? "-gi " : "");
    string sass;
    if (!RunTool(nvdisasm + Quoted(module->cubin_path), &sass))
      Die("nvdisasm: %s", sass.c_str());
    WriteFile(log_path, module->log);
    WriteFile(module->sass_path, sass);
  } else {
    module->log = ReadFile(log_path);
  }
  return true;
}

namespace {

// Of a cubin, an ELF file.
struct Section {
  u64 offset, size;
  bool has_bytes;
};

struct Cubin {
  string bytes;
  std::map<string, Section> sections;

  explicit Cubin(const string& path) : bytes(ReadFile(path)) {
    const auto header = Read<u64>(0x28);
    const auto entry_size = Read<u16>(0x3a), count = Read<u16>(0x3c),
               names_at = Read<u16>(0x3e);
    const auto names = Read<u64>(header + names_at * entry_size + 24);
    for (u64 i = 0; i < count; ++i) {
      const u64 at = header + i * entry_size;
      const string name = &bytes[names + Read<u32>(at)];
      constexpr u32 kNoBits = 8;
      sections[name] = {Read<u64>(at + 24), Read<u64>(at + 32),
                        Read<u32>(at + 4) != kNoBits};
    }
  }

  template <typename T>
  T Read(u64 at) const {
    T value;
    if (at + sizeof value > bytes.size())
      Die("a cubin ends at %zu", bytes.size());
    std::memcpy(&value, &bytes[at], sizeof value);
    return value;
  }

  const Section* Find(const string& name) const {
    const auto found = sections.find(name);
    return found == sections.end() ? nullptr : &found->second;
  }
};

// Of the section .nv.info.<kernel>: attributes, each of a format, a name, and a
// size or a value.
void ReadAttributes(const Cubin& cubin, const Section& section,
                    Kernel* kernel) {
  constexpr u8 kSized = 4, kMaxThreads = 0x05, kParameter = 0x17;
  for (u64 at = section.offset; at + 4 <= section.offset + section.size;) {
    const auto format = cubin.Read<u8>(at), name = cubin.Read<u8>(at + 1);
    const u64 size = format == kSized ? cubin.Read<u16>(at + 2) : 0;
    if (format == kSized && name == kMaxThreads) {
      kernel->max_threads =
          static_cast<int>(cubin.Read<u32>(at + 4) * cubin.Read<u32>(at + 8) *
                           cubin.Read<u32>(at + 12));
    } else if (format == kSized && name == kParameter) {
      const auto ordinal = cubin.Read<u16>(at + 8);
      if (kernel->parameters.size() <= ordinal)
        kernel->parameters.resize(ordinal + 1);
      kernel->parameters[ordinal] = {
          cubin.Read<u16>(at + 10),
          static_cast<int>(cubin.Read<u32>(at + 12) >> 18)};
    }
    at += 4 + size;
  }
}

// Of ptxas's log: registers and stack of a thread, both with the functions that
// the kernel calls.
void ReadLog(const string& log, Kernel* kernel) {
  const string begin = "Compiling entry function '" + kernel->name + "'";
  const size_t at = log.find(begin);
  if (at == string::npos) Die("ptxas did not mention %s", kernel->name.c_str());
  const string part =
      log.substr(at, log.find("Compiling entry function", at + 1) - at);
  const auto number_before = [&](const char* words) {
    const size_t end = part.find(words);
    return end == string::npos
               ? 0
               : std::atoi(part.c_str() +
                           part.find_last_not_of("0123456789", end - 1) + 1);
  };
  kernel->registers = number_before(" registers");
  kernel->local_bytes = std::max(number_before(" bytes stack frame"),
                                 number_before(" bytes cumulative stack size"));
}

}  // namespace

std::unique_ptr<Kernel> LoadKernel(const Module& module, const string& name) {
  auto kernel = std::make_unique<Kernel>();
  kernel->name = name;
  const Cubin cubin(module.cubin_path);
  if (cubin.Find(".text." + name) == nullptr) return nullptr;
  ReadLog(module.log, kernel.get());
  if (const Section* shared = cubin.Find(".nv.shared." + name))
    kernel->static_shared = static_cast<int>(shared->size - SharedBegin());
  if (const Section* info = cubin.Find(".nv.info." + name))
    ReadAttributes(cubin, *info, kernel.get());
  for (int bank = 1; bank < 8; ++bank) {
    const string of_all = ".nv.constant" + std::to_string(bank);
    for (const string& section : {of_all, of_all + "." + name}) {
      const Section* const constants = cubin.Find(section);
      if (constants == nullptr || !constants->has_bytes) continue;
      kernel->banks[bank] =
          cubin.bytes.substr(constants->offset, constants->size);
      if (bank == 3)
        kernel->constant_bytes =
            static_cast<int>(constants->size);  // __constant__
    }
  }

  Listing listing = ReadListing(module.sass_path, name);
  kernel->code = std::move(listing.code);
  kernel->where = std::move(listing.where);
  return kernel;
}

}  // namespace sim
