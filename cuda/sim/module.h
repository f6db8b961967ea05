// PTX compiled to machine code, and a kernel of it.

#ifndef HUNGARIAN_CUDA_SIM_MODULE_H_
#define HUNGARIAN_CUDA_SIM_MODULE_H_

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "instruction.h"

namespace sim {

// Machine code, and nvdisasm's listing of it.
struct Module {
  string cubin_path, sass_path;
  string log;  // ptxas's words
};

enum class Loaded { kYes, kRefused, kForAnotherGpu };

// `image`: PTX, which ptxas compiles, or a cubin.
Loaded Load(const char* image, Module* module);

struct Kernel {
  string name;
  std::vector<Instruction> code;
  std::map<int, string> banks;  // constants, but for bank 0
  std::vector<string> where;    // places in the source, as nvdisasm has them
  std::vector<std::pair<int, int>> parameters;  // offset and size
  int registers = 0;
  int static_shared = 0;
  int max_threads = kThreadsOfBlock;
  int local_bytes = 0;  // a thread's stack
  int constant_bytes = 0;
};

// Null where the module has no kernel of that name.
std::unique_ptr<Kernel> LoadKernel(const Module& module, const string& name);

string ReadFile(const string& path);

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_MODULE_H_
