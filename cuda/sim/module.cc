// Runs ptxas and nvdisasm, keeps what they made, and puts a kernel together.

#include "module.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "cubin.h"
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

// Another process may write the same file: it appears whole, or not at all.
void WriteFile(const string& path, const string& content) {
  const string temporary = path + "." + std::to_string(getpid());
  std::ofstream(temporary, std::ios::binary) << content;
  if (std::rename(temporary.c_str(), path.c_str()) != 0)
    Die("cannot write %s", path.c_str());
}

string Quoted(const string& path) { return "'" + path + "'"; }

// The path at which what is made of an image is kept, without the ending.
string CachePath(const string& image) {
  u64 hash = 1469598103934665603ull;
  for (char c : image) hash = (hash ^ static_cast<u8>(c)) * 1099511628211ull;
  char stem[64];
  std::snprintf(stem, sizeof stem, "/%016llx_%d",
                static_cast<unsigned long long>(hash), TheGpu().cc);
  const string folder = EnvText("SIM_CACHE", "sim_cache");
  string ignored;
  if (!RunTool("mkdir -p " + Quoted(folder), &ignored))
    Die("cannot make %s", folder.c_str());
  return folder + stem;
}

// Whether ptxas took it; `module->log` has what it said.
bool Compile(const string& ptx, const string& path, bool has_lines,
             Module* module) {
  const string ptx_path = path + ".ptx";
  const string temporary = module->cubin_path + "." + std::to_string(getpid());
  WriteFile(ptx_path, ptx);
  const string command = Quoted(EnvText("SIM_PTXAS", "ptxas")) +
                         " -v -arch=sm_" + std::to_string(TheGpu().cc) +
                         (has_lines ? " -lineinfo" : "") + " -o " +
                         Quoted(temporary) + " " + Quoted(ptx_path);
  if (!RunTool(command, &module->log)) return false;
  std::rename(temporary.c_str(), module->cubin_path.c_str());
  return true;
}

}  // namespace

string ReadFile(const string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Die("cannot read %s", path.c_str());
  return string(std::istreambuf_iterator<char>(file), {});
}

Loaded Load(const char* image, Module* module) {
  const string cubin = Cubin::Copy(image);
  if (!cubin.empty() && Cubin(cubin).Architecture() != TheGpu().cc)
    return Loaded::kForAnotherGpu;
  const string content = cubin.empty() ? string(image) : cubin;
  const string path = CachePath(content);
  const string log_path = path + ".log";
  module->cubin_path = path + ".cubin";
  module->sass_path = path + ".sass";
  if (std::ifstream(module->sass_path)) {
    module->log = ReadFile(log_path);
    return Loaded::kYes;
  }
  const bool has_lines = content.find("\t.loc") != string::npos ||
                         content.find("\n.loc") != string::npos;
  if (!cubin.empty()) {
    WriteFile(module->cubin_path, cubin);
  } else if (!Compile(content, path, has_lines, module)) {
    return Loaded::kRefused;
  }
  string sass;
  const string nvdisasm = Quoted(EnvText("SIM_NVDISASM", "nvdisasm")) +
                          " -c -hex " + (has_lines ? "-gi " : "");
  if (!RunTool(nvdisasm + Quoted(module->cubin_path), &sass))
    Die("nvdisasm: %s", sass.c_str());
  WriteFile(log_path, module->log);
  WriteFile(module->sass_path, sass);
  return Loaded::kYes;
}

namespace {

// Of the section .nv.info.<kernel>.
void ReadAttributes(const Cubin& cubin, const Section& section,
                    Kernel* kernel) {
  constexpr u8 kMaxThreads = 0x05, kParameter = 0x17;
  cubin.ForEachAttribute(section, [&](u8 name, u64 at) {
    if (name == kMaxThreads)
      kernel->max_threads =
          static_cast<int>(cubin.Read<u32>(at) * cubin.Read<u32>(at + 4) *
                           cubin.Read<u32>(at + 8));
    if (name != kParameter) return;
    const auto ordinal = cubin.Read<u16>(at + 4);
    if (kernel->parameters.size() <= ordinal)
      kernel->parameters.resize(ordinal + 1);
    kernel->parameters[ordinal] = {
        cubin.Read<u16>(at + 6),
        static_cast<int>(cubin.Read<u32>(at + 8) >> 18)};
  });
}

}  // namespace

std::unique_ptr<Kernel> LoadKernel(const Module& module, const string& name) {
  auto kernel = std::make_unique<Kernel>();
  kernel->name = name;
  const Cubin cubin(ReadFile(module.cubin_path));
  if (cubin.Find(".text." + name) == nullptr) return nullptr;
  const Resources resources = cubin.ResourcesOf(name);
  kernel->registers = resources.registers;
  kernel->local_bytes = resources.local_bytes;
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
