// The functions of the CUDA driver that the project calls.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "caches.h"
#include "gpu.h"
#include "launch.h"
#include "listing.h"
#include "memory.h"
#include "module.h"

using namespace sim;

namespace {

// CUresult, as far as it is needed here.
enum Result : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kInvalidContext = 201,
  kNoBinary = 209,
  kInvalidPtx = 218,
  kNotFound = 500,
  kLaunchOutOfResources = 701,
};

// In the driver's words.
struct Named {
  int code;
  const char* name;
  const char* words;
};
constexpr Named kNames[] = {
    {kSuccess, "CUDA_SUCCESS", "no error"},
    {kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kNoBinary, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {kInvalidPtx, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {kLaunchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
};

const Named* Find(int code) {
  const auto* const found =
      std::find_if(std::begin(kNames), std::end(kNames),
                   [&](const Named& named) { return named.code == code; });
  return found == std::end(kNames) ? nullptr : found;
}

struct Function {
  std::unique_ptr<Kernel> kernel;
  int dynamic_shared = kSharedUnasked;
  int carve_out = -1;
};

struct LoadedModule {
  Module module;
  std::map<string, Function> functions;
};

struct Context {};
struct Stream {};
struct Event {
  double milliseconds;
};

Context the_context;
thread_local std::vector<Context*> context_stack;
std::mutex launch_mutex;
double device_milliseconds = 0;                // that the device has worked
constexpr double kLaunchMilliseconds = 0.002;  // what each launch adds to that

int LoadModule(LoadedModule** loaded, const void* image, string* log) {
  if (context_stack.empty()) return kInvalidContext;
  auto module = std::make_unique<LoadedModule>();
  const string other = EnvText("SIM_PTX");
  const Loaded outcome =
      other.empty() ? Load(static_cast<const char*>(image), &module->module)
                    : Load(ReadFile(other).c_str(), &module->module);
  *log = module->module.log;
  switch (outcome) {
    case Loaded::kForAnotherGpu:
      return kNoBinary;
    case Loaded::kRefused:
      std::fprintf(stderr, "simulator: ptxas: %s", log->c_str());
      return kInvalidPtx;
    case Loaded::kYes:
      break;
  }
  *loaded = module.release();
  return kSuccess;
}

// How many threads a block gets: as SIM_BLOCK_THREADS says, or else as many as
// the program wants.
u32 ThreadsOf(const string& kernel, u32 threads) {
  for (const string& rule : Split(EnvText("SIM_BLOCK_THREADS"), ',')) {
    const size_t equals = rule.find('=');
    if (equals != string::npos &&
        kernel.compare(0, equals, rule, 0, equals) == 0)
      return static_cast<u32>(std::atoi(rule.c_str() + equals + 1));
  }
  return threads;
}

template <typename T>
int Give(T* where, T value) {
  *where = value;
  return kSuccess;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int cuInit(unsigned) { return kSuccess; }

EXPORT int cuDriverGetVersion(int* version) { return Give(version, 12090); }

EXPORT int cuGetErrorName(int code, const char** name) {
  const Named* const named = Find(code);
  *name = named == nullptr ? nullptr : named->name;
  return named == nullptr ? kInvalidValue : kSuccess;
}

EXPORT int cuGetErrorString(int code, const char** words) {
  const Named* const named = Find(code);
  *words = named == nullptr ? nullptr : named->words;
  return named == nullptr ? kInvalidValue : kSuccess;
}

// ---- Device and context

EXPORT int cuDeviceGetCount(int* count) { return Give(count, 1); }

EXPORT int cuDeviceGet(int* device, int) { return Give(device, 0); }

EXPORT int cuDeviceGetName(char* name, int length, int) {
  std::snprintf(name, length, "%s", TheGpu().name.c_str());
  return kSuccess;
}

EXPORT int cuDeviceGetAttribute(int* value, int attribute, int) {
  const Gpu& gpu = TheGpu();
  const std::map<int, int> attributes = {
      {1, kThreadsOfBlock},                   // MAX_THREADS_PER_BLOCK
      {2, kThreadsOfBlock},                   // MAX_BLOCK_DIM_X
      {3, kThreadsOfBlock},                   // MAX_BLOCK_DIM_Y
      {4, 64},                                // MAX_BLOCK_DIM_Z
      {5, 2147483647},                        // MAX_GRID_DIM_X
      {6, 65535},                             // MAX_GRID_DIM_Y
      {7, 65535},                             // MAX_GRID_DIM_Z
      {8, kSharedUnasked},                    // MAX_SHARED_MEMORY_PER_BLOCK
      {10, kLanes},                           // WARP_SIZE
      {12, kRegistersOfSm},                   // MAX_REGISTERS_PER_BLOCK
      {13, static_cast<int>(gpu.ghz * 1e6)},  // CLOCK_RATE, in kHz
      {16, gpu.sms},                          // MULTIPROCESSOR_COUNT
      {38, static_cast<int>(std::min(gpu.l2_bytes, 2e9))},  // L2_CACHE_SIZE
      {39, kThreadsOfSm},             // MAX_THREADS_PER_MULTIPROCESSOR
      {75, gpu.cc / 10},              // COMPUTE_CAPABILITY_MAJOR
      {76, gpu.cc % 10},              // COMPUTE_CAPABILITY_MINOR
      {81, gpu.shared_sm * 1024},     // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
      {82, kRegistersOfSm},           // MAX_REGISTERS_PER_MULTIPROCESSOR
      {97, gpu.shared_optin * 1024},  // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
      {106, kBlocksOfSm},             // MAX_BLOCKS_PER_MULTIPROCESSOR
      {111, kSharedReserved},         // RESERVED_SHARED_MEMORY_PER_BLOCK
      {115, 0},                       // MEMORY_POOLS_SUPPORTED
  };
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? kInvalidValue : Give(value, found->second);
}

EXPORT int cuDevicePrimaryCtxRetain(Context** context, int) {
  return Give(context, &the_context);
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int) { return kSuccess; }

EXPORT int cuCtxGetCurrent(Context** context) {
  return Give(context, context_stack.empty() ? nullptr : context_stack.back());
}

EXPORT int cuCtxSetCurrent(Context* context) {
  if (!context_stack.empty()) context_stack.pop_back();
  if (context != nullptr) context_stack.push_back(context);
  return kSuccess;
}

EXPORT int cuCtxPushCurrent_v2(Context* context) {
  context_stack.push_back(context);
  return kSuccess;
}

EXPORT int cuCtxPopCurrent_v2(Context** context) {
  if (context_stack.empty()) return kInvalidContext;
  if (context != nullptr) *context = context_stack.back();
  context_stack.pop_back();
  return kSuccess;
}

EXPORT int cuCtxGetDevice(int* device) {
  return context_stack.empty() ? kInvalidContext : Give(device, 0);
}

EXPORT int cuCtxGetId(Context*, unsigned long long* id) {
  return Give(id, 1ull);
}

EXPORT int cuCtxSynchronize() { return kSuccess; }

// ---- Modules and functions

EXPORT int cuModuleLoadData(LoadedModule** module, const void* image) {
  string log;
  return LoadModule(module, image, &log);
}

// The logs are ptxas's: what it tells where it succeeds, its complaints where
// it does not. Other options change nothing here.
EXPORT int cuModuleLoadDataEx(LoadedModule** module, const void* image,
                              unsigned count, const int* options,
                              void** values) {
  constexpr int kInfoLog = 3, kInfoLogSize = 4, kErrorLog = 5,
                kErrorLogSize = 6;
  string log;
  const int result = LoadModule(module, image, &log);
  const auto fill = [&](int buffer, int size, const string& text) {
    char* to = nullptr;
    void** length = nullptr;
    for (unsigned i = 0; i < count; ++i) {
      if (options[i] == buffer) to = static_cast<char*>(values[i]);
      if (options[i] == size) length = &values[i];
    }
    if (to == nullptr || length == nullptr || *length == nullptr) return;
    // The driver is given the buffer's size there, and gives back what it used.
    const size_t room =
        static_cast<u32>(reinterpret_cast<uintptr_t>(*length)) - 1;
    const size_t used = std::min(text.size(), room);
    std::memcpy(to, text.data(), used);
    to[used] = 0;
    *length = reinterpret_cast<void*>(used);
  };
  fill(kInfoLog, kInfoLogSize, result == kSuccess ? log : "");
  fill(kErrorLog, kErrorLogSize, result == kSuccess ? "" : log);
  return result;
}

EXPORT int cuModuleUnload(LoadedModule* module) {
  delete module;
  return kSuccess;
}

EXPORT int cuModuleGetFunction(Function** function, LoadedModule* module,
                               const char* symbol) {
  const std::lock_guard<std::mutex> lock(launch_mutex);
  auto found = module->functions.find(symbol);
  if (found == module->functions.end()) {
    std::unique_ptr<Kernel> kernel = LoadKernel(module->module, symbol);
    if (kernel == nullptr) return kNotFound;
    found = module->functions.emplace(symbol, Function()).first;
    found->second.kernel = std::move(kernel);
  }
  *function = &found->second;
  return kSuccess;
}

EXPORT int cuFuncGetAttribute(int* value, int attribute,
                              const Function* function) {
  const Kernel& kernel = *function->kernel;
  switch (attribute) {
    case 0:  // MAX_THREADS_PER_BLOCK
      return Give(value, std::min(kernel.max_threads,
                                  WarpsByRegisters(kernel) * kLanes));
    case 1:  // SHARED_SIZE_BYTES
      return Give(value, kernel.static_shared);
    case 2:  // CONST_SIZE_BYTES
      return Give(value, kernel.constant_bytes);
    case 3:  // LOCAL_SIZE_BYTES
      return Give(value, kernel.local_bytes);
    case 4:  // NUM_REGS
      return Give(value, kernel.registers);
    case 5:  // PTX_VERSION
    case 6:  // BINARY_VERSION
      return Give(value, TheGpu().cc);
    case 7:  // CACHE_MODE_CA
      return Give(value, 0);
    case 8:  // MAX_DYNAMIC_SHARED_SIZE_BYTES
      return Give(value, function->dynamic_shared);
    case 9:  // PREFERRED_SHARED_MEMORY_CARVEOUT
      return Give(value, function->carve_out);
    default:
      return kInvalidValue;
  }
}

EXPORT int cuFuncSetAttribute(Function* function, int attribute, int value) {
  switch (attribute) {
    case 8:  // MAX_DYNAMIC_SHARED_SIZE_BYTES
      if (value < 0 || value + function->kernel->static_shared >
                           TheGpu().shared_optin * 1024)
        return kInvalidValue;
      function->dynamic_shared = value;
      return kSuccess;
    case 9:  // PREFERRED_SHARED_MEMORY_CARVEOUT: kept, not obeyed
      function->carve_out = value;
      return kSuccess;
    default:
      return kInvalidValue;
  }
}

EXPORT int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks,
                                                       const Function* function,
                                                       int threads,
                                                       size_t dynamic_shared) {
  if (threads < 1 ||
      dynamic_shared > static_cast<size_t>(TheGpu().shared_sm) * 1024)
    return kInvalidValue;
  *blocks = ResidentBlocks(*function->kernel, threads,
                           static_cast<int>(dynamic_shared));
  return kSuccess;
}

EXPORT int cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y,
                          unsigned grid_z, unsigned block_x, unsigned block_y,
                          unsigned block_z, unsigned dynamic_shared, Stream*,
                          void** arguments, void** extra) {
  const std::lock_guard<std::mutex> lock(launch_mutex);
  if (context_stack.empty()) return kInvalidContext;
  if (grid_y != 1 || grid_z != 1 || block_y != 1 || block_z != 1 ||
      extra != nullptr)
    Die("not done: a launch of more than one dimension, or with extra");
  const Kernel& kernel = *function->kernel;
  const u32 threads = ThreadsOf(kernel.name, block_x);
  if (grid_x == 0 || threads == 0 || threads > kThreadsOfBlock)
    return kInvalidValue;
  if (static_cast<int>(dynamic_shared) > function->dynamic_shared)
    return kInvalidValue;
  int resident = ResidentBlocks(kernel, static_cast<int>(threads),
                                static_cast<int>(dynamic_shared));
  if (resident == 0) return kLaunchOutOfResources;
  resident = static_cast<int>(EnvNumber("SIM_RESIDENT", resident));
  device_milliseconds +=
      kLaunchMilliseconds +
      Run(kernel, {grid_x, threads, dynamic_shared, ""}, resident, arguments);
  return kSuccess;
}

// ---- Streams and events: all is done when a call returns

EXPORT int cuStreamCreate(Stream** stream, unsigned) {
  return Give(stream, new Stream);
}

EXPORT int cuStreamDestroy_v2(Stream* stream) {
  delete stream;
  return kSuccess;
}

EXPORT int cuStreamSynchronize(Stream*) { return kSuccess; }

EXPORT int cuStreamWaitEvent(Stream*, Event*, unsigned) { return kSuccess; }

EXPORT int cuStreamGetCtx(Stream*, Context** context) {
  return Give(context, &the_context);
}

EXPORT int cuEventCreate(Event** event, unsigned) {
  return Give(event, new Event{0});
}

EXPORT int cuEventDestroy_v2(Event* event) {
  delete event;
  return kSuccess;
}

EXPORT int cuEventRecord(Event* event, Stream*) {
  return Give(&event->milliseconds, device_milliseconds);
}

EXPORT int cuEventQuery(Event*) { return kSuccess; }

EXPORT int cuEventSynchronize(Event*) { return kSuccess; }

EXPORT int cuEventElapsedTime(float* milliseconds, const Event* begin,
                              const Event* end) {
  return Give(milliseconds,
              static_cast<float>(end->milliseconds - begin->milliseconds));
}

// ---- Memory

EXPORT int cuMemAlloc_v2(u64* address, size_t bytes) {
  if (context_stack.empty()) return kInvalidContext;
  if (bytes == 0) return kInvalidValue;
  void* const memory = TheMemory().Allocate(bytes);
  if (memory == nullptr) return kOutOfMemory;
  *address = reinterpret_cast<u64>(memory);
  return kSuccess;
}

// What comes next is another batch: it finds empty caches.
EXPORT int cuMemFree_v2(u64 address) {
  if (!TheMemory().Free(address)) return kInvalidValue;
  AllL2Shares().clear();
  return kSuccess;
}

EXPORT int cuMemsetD8Async(u64 address, unsigned char value, size_t bytes,
                           Stream*) {
  std::memset(reinterpret_cast<void*>(address), value, bytes);
  return kSuccess;
}

EXPORT int cuMemcpyHtoDAsync_v2(u64 to, const void* from, size_t bytes,
                                Stream*) {
  std::memcpy(reinterpret_cast<void*>(to), from, bytes);
  return kSuccess;
}

EXPORT int cuMemcpyDtoHAsync_v2(void* to, u64 from, size_t bytes, Stream*) {
  std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
  return kSuccess;
}

EXPORT int cuMemcpyHtoD_v2(u64 to, const void* from, size_t bytes) {
  return cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr);
}

EXPORT int cuMemcpyDtoH_v2(void* to, u64 from, size_t bytes) {
  return cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr);
}
