// A libcuda.so.1 for tests on machines with no GPU: memory is the host's,
// kernels run as the host twin, and any call can be made to fail.
//
// It does nothing unless HUNGARIAN_STAND_IN_CUDA=1 is set, calls its device
// "hungarian-loss stand-in (no GPU)", and has a version that no driver of
// NVIDIA's has. It is built into build/ and is part of no package.
//
//   STAND_IN_CUDA_FAIL="cuModuleLoadDataEx=218,cuInit=100"
//                               what these calls return instead of being done
//   STAND_IN_CUDA_LOG=path      a line for each call, with its result; launches
//                               name their kernel and stream, which the call
//                               that creates it names, too
//   STAND_IN_CUDA_VERSION=11080 what cuDriverGetVersion says
//   STAND_IN_CUDA_CAPABILITY=61 compute capability, 10·major + minor
//   STAND_IN_CUDA_SEED=1        of the twin's schedules
//   STAND_IN_CUDA_SPOIL=prove_half
//                               this kernel leaves a wrong status of its first
//                               problem
//   STAND_IN_CUDA_HANG=prove_half
//                               a launch of this kernel does not return
//
// Where the driver would refuse a call, so does this: no context, a kernel that
// is not in the PTX, more shared memory than was asked for. Everything is done
// when a call returns, as under CUDA_LAUNCH_BLOCKING; but launches of a thread
// that records, as a capturing stream does, are done when they are replayed.

#include <xmmintrin.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cuda/twin/twin.h"

namespace {

// CUresult, as far as it is needed here.
enum Result : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNotInitialized = 3,
  kStubLibrary = 34,
  kInvalidDevice = 101,
  kInvalidContext = 201,
  kInvalidPtx = 218,
  kInvalidHandle = 400,
  kNotFound = 500,
  kLaunchFailed = 719,
  kCaptureUnsupported = 900,
};

struct Named {
  int code;
  const char* name;
  const char* words;
};

// In the driver's words.
constexpr Named kNames[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {4, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE",
     "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {220, "CUDA_ERROR_NVLINK_UNCORRECTABLE",
     "uncorrectable NVLink error detected during the execution"},
    {221, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND", "PTX JIT compiler not found"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain."},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
     "system has unsupported display driver / cuda driver combination"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
};

const Named* Find(int code) {
  for (const Named& named : kNames) {
    if (named.code == code) return &named;
  }
  return nullptr;
}

int Number(const char* variable, int otherwise) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

// What the test ordered `call` to return, or 0.
int Ordered(const char* call) {
  const char* const orders = std::getenv("STAND_IN_CUDA_FAIL");
  if (orders == nullptr) return kSuccess;
  const std::string all = std::string(",") + orders;
  const std::string order = std::string(",") + call + "=";
  const size_t at = all.find(order);
  return at == std::string::npos ? kSuccess
                                 : std::atoi(all.c_str() + at + order.size());
}

void Log(const std::string& call, int result) {
  static const char* const path = std::getenv("STAND_IN_CUDA_LOG");
  if (path == nullptr) return;
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  std::ofstream(path, std::ios::app) << call << ' ' << result << '\n';
}

struct Context {};
Context the_context;
thread_local std::vector<Context*> current;
bool initialized = false;

struct Module {
  std::string ptx;
};

struct Function {
  std::string symbol;
  int shared_bytes = 48 * 1024;
};

struct Stream {};

// As the log names a stream.
std::string NameOf(const Stream* stream) {
  return std::to_string(reinterpret_cast<uintptr_t>(stream));
}

struct Event {
  std::chrono::steady_clock::time_point at;
};

constexpr int kSharedBytesOptin = 163 * 1024;

// Does `work` and says what became of it, unless the test wants it to fail or
// the driver would refuse to do anything.
template <typename Work>
int Do(const char* call, bool needs_context, const Work& work,
       const std::string& detail = "") {
  int result = Ordered(call);
  if (result == kSuccess && !initialized) result = kNotInitialized;
  if (result == kSuccess && needs_context && current.empty()) {
    result = kInvalidContext;
  }
  if (result == kSuccess) result = work();
  Log(call + detail, result);
  return result;
}

void* Allocate(size_t bytes) {
  // What was never written must not look like an answer.
  void* const memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (memory != nullptr) std::memset(memory, 0xcd, bytes);
  return memory;
}

int Copy(uintptr_t to, uintptr_t from, size_t bytes) {
  std::memcpy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from),
              bytes);
  return kSuccess;
}

int Attribute(int attribute, int* value) {
  const int capability = Number("STAND_IN_CUDA_CAPABILITY", 80);
  switch (attribute) {
    case 1:  // MAX_THREADS_PER_BLOCK
      *value = 1024;
      break;
    case 5:  // MAX_GRID_DIM_X
      *value = 2147483647;
      break;
    case 8:  // MAX_SHARED_MEMORY_PER_BLOCK
      *value = 48 * 1024;
      break;
    case 10:  // WARP_SIZE
      *value = 32;
      break;
    case 16:  // MULTIPROCESSOR_COUNT
      *value = 108;
      break;
    case 38:  // L2_CACHE_SIZE
      *value = 64 * 1024;
      break;
    case 39:  // MAX_THREADS_PER_MULTIPROCESSOR
      *value = 2048;
      break;
    case 75:  // COMPUTE_CAPABILITY_MAJOR
      *value = capability / 10;
      break;
    case 76:  // COMPUTE_CAPABILITY_MINOR
      *value = capability % 10;
      break;
    case 81:  // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
      *value = 164 * 1024;
      break;
    case 82:  // MAX_REGISTERS_PER_MULTIPROCESSOR
      *value = 65536;
      break;
    case 106:  // MAX_BLOCKS_PER_MULTIPROCESSOR
      *value = 32;
      break;
    case 111:  // RESERVED_SHARED_MEMORY_PER_BLOCK
      *value = 1024;
      break;
    case 97:  // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
      *value = kSharedBytesOptin;
      break;
    case 115:  // MEMORY_POOLS_SUPPORTED
      *value = 0;
      break;
    default:
      return kInvalidValue;
  }
  return kSuccess;
}

// What this thread has recorded, while it does.
thread_local bool recording = false;
thread_local std::vector<std::function<int()>> recorded;

std::atomic<long long> launches{0};

// Does the test want this of the kernel?
bool IsOrdered(const char* variable, const Function& function) {
  const char* const kernel = std::getenv(variable);
  return kernel != nullptr && function.symbol == kernel;
}

int Launch(const Function& function, unsigned grid, unsigned threads,
           unsigned shared_bytes, const Parameters* parameters) {
  if (grid == 0 || threads == 0 || threads > 1024 ||
      shared_bytes > static_cast<unsigned>(function.shared_bytes)) {
    return kInvalidValue;
  }
  while (IsOrdered("STAND_IN_CUDA_HANG", function)) {
    std::this_thread::sleep_for(std::chrono::hours(1));
  }
  static std::mutex mutex;
  static unsigned long long seed =
      static_cast<unsigned long long>(Number("STAND_IN_CUDA_SEED", 1));
  const std::lock_guard<std::mutex> lock(mutex);
  // A GPU keeps denormals, whatever the calling thread does.
  const unsigned environment = _mm_getcsr();
  _mm_setcsr(0x1f80);
  const int result = twin_launch(function.symbol.c_str(), grid, threads,
                                 shared_bytes, parameters, seed++);
  _mm_setcsr(environment);
  if (IsOrdered("STAND_IN_CUDA_SPOIL", function)) {
    *reinterpret_cast<int32_t*>(parameters->batch.status) += 1;
  }
  if (result == kTwinDone) return ++launches, kSuccess;
  std::fprintf(stderr, "stand-in CUDA: %s<<<%u, %u, %u>>> ended with %d\n",
               function.symbol.c_str(), grid, threads, shared_bytes, result);
  return kLaunchFailed;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// Kernels run so far, for tests to look at.
EXPORT long long stand_in_cuda_launches() { return launches; }

// From here on launches of this thread are recorded.
EXPORT void stand_in_cuda_record() {
  recording = true;
  recorded.clear();
}

// Ends recording. Returns how many launches were recorded.
EXPORT long long stand_in_cuda_recorded() {
  recording = false;
  return static_cast<long long>(recorded.size());
}

EXPORT int stand_in_cuda_replay() {
  for (const auto& launch : recorded) {
    if (const int result = launch(); result != kSuccess) return result;
  }
  return kSuccess;
}

EXPORT int cuInit(unsigned flags) {
  int result = Ordered("cuInit");
  if (result == kSuccess) {
    initialized = Number("HUNGARIAN_STAND_IN_CUDA", 0) == 1 && flags == 0;
    if (!initialized) result = kStubLibrary;
  }
  Log("cuInit", result);
  return result;
}

EXPORT int cuDriverGetVersion(int* version) {
  const int result = Ordered("cuDriverGetVersion");
  // Versions of NVIDIA's drivers end with a 0.
  *version = Number("STAND_IN_CUDA_VERSION", 12001);
  Log("cuDriverGetVersion", result);
  return result;
}

EXPORT int cuGetErrorName(int code, const char** name) {
  const Named* const found = Find(code);
  *name = found == nullptr ? nullptr : found->name;
  return found == nullptr ? kInvalidValue : kSuccess;
}

EXPORT int cuGetErrorString(int code, const char** words) {
  const Named* const found = Find(code);
  *words = found == nullptr ? nullptr : found->words;
  return found == nullptr ? kInvalidValue : kSuccess;
}

// Devices and contexts.

EXPORT int cuDeviceGetCount(int* count) {
  return Do("cuDeviceGetCount", false, [&] { return *count = 1, kSuccess; });
}

EXPORT int cuDeviceGet(int* device, int ordinal) {
  return Do("cuDeviceGet", false, [&] {
    *device = 0;
    return ordinal == 0 ? kSuccess : kInvalidDevice;
  });
}

EXPORT int cuDeviceGetName(char* name, int length, int /*device*/) {
  return Do("cuDeviceGetName", false, [&] {
    std::snprintf(name, static_cast<size_t>(length),
                  "hungarian-loss stand-in (no GPU)");
    return kSuccess;
  });
}

EXPORT int cuDeviceGetAttribute(int* value, int attribute, int /*device*/) {
  return Do("cuDeviceGetAttribute", false,
            [&] { return Attribute(attribute, value); });
}

EXPORT int cuDevicePrimaryCtxRetain(Context** context, int /*device*/) {
  return Do("cuDevicePrimaryCtxRetain", false,
            [&] { return *context = &the_context, kSuccess; });
}

EXPORT int cuDevicePrimaryCtxRelease_v2(int /*device*/) {
  return Do("cuDevicePrimaryCtxRelease_v2", false, [] { return kSuccess; });
}

EXPORT int cuCtxGetCurrent(Context** context) {
  return Do("cuCtxGetCurrent", false, [&] {
    *context = current.empty() ? nullptr : current.back();
    return kSuccess;
  });
}

EXPORT int cuCtxSetCurrent(Context* context) {
  return Do("cuCtxSetCurrent", false, [&] {
    if (!current.empty()) current.pop_back();
    if (context != nullptr) current.push_back(context);
    return kSuccess;
  });
}

EXPORT int cuCtxPushCurrent_v2(Context* context) {
  return Do("cuCtxPushCurrent_v2", false, [&] {
    if (context != &the_context) return kInvalidContext;
    current.push_back(context);
    return kSuccess;
  });
}

EXPORT int cuCtxPopCurrent_v2(Context** context) {
  return Do("cuCtxPopCurrent_v2", true, [&] {
    *context = current.back();
    current.pop_back();
    return kSuccess;
  });
}

EXPORT int cuCtxGetDevice(int* device) {
  return Do("cuCtxGetDevice", true, [&] { return *device = 0, kSuccess; });
}

EXPORT int cuCtxGetId(Context* context, unsigned long long* id) {
  return Do("cuCtxGetId", false, [&] {
    *id = 77;
    return context == &the_context ? kSuccess : kInvalidContext;
  });
}

EXPORT int cuCtxSynchronize() {
  return Do("cuCtxSynchronize", true, [] { return kSuccess; });
}

// Modules and kernels.

EXPORT int cuModuleLoadDataEx(Module** module, const void* image,
                              unsigned count, int* options, void** values) {
  char* log = nullptr;
  size_t log_bytes = 0;
  for (unsigned index = 0; index < count; ++index) {
    if (options[index] == 5) {  // ERROR_LOG_BUFFER
      log = static_cast<char*>(values[index]);
    } else if (options[index] == 6) {  // ERROR_LOG_BUFFER_SIZE_BYTES
      log_bytes = reinterpret_cast<size_t>(values[index]);
    }
  }
  if (Ordered("cuModuleLoadDataEx") == kInvalidPtx && log != nullptr) {
    std::snprintf(log, log_bytes,
                  "ptxas fatal :\n  Unresolved extern function 'f'\n");
  }
  return Do("cuModuleLoadDataEx", true, [&] {
    if (recording) return kCaptureUnsupported;
    const char* const text = static_cast<const char*>(image);
    if (std::strstr(text, ".version ") == nullptr) return kInvalidPtx;
    *module = new Module{text};  // The process keeps it.
    return kSuccess;
  });
}

EXPORT int cuModuleLoadData(Module** module, const void* image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

EXPORT int cuModuleGetFunction(Function** function, Module* module,
                               const char* symbol) {
  return Do("cuModuleGetFunction", true, [&] {
    if (recording) return kCaptureUnsupported;
    const std::string entry = std::string(".entry ") + symbol + "(";
    if (module->ptx.find(entry) == std::string::npos) return kNotFound;
    *function = new Function{symbol};  // The process keeps it.
    return kSuccess;
  });
}

EXPORT int cuFuncSetAttribute(Function* function, int attribute, int value) {
  return Do("cuFuncSetAttribute", true, [&] {
    // MAX_DYNAMIC_SHARED_SIZE_BYTES
    if (attribute != 8 || value > kSharedBytesOptin) return kInvalidValue;
    function->shared_bytes = value;
    return kSuccess;
  });
}

// Nothing was compiled for a device.
EXPORT int cuFuncGetAttribute(int* value, int attribute,
                              Function* /*function*/) {
  return Do("cuFuncGetAttribute", true, [&] {
    // MAX_THREADS_PER_BLOCK; NUM_REGS; all else.
    *value = attribute == 0 ? 1024 : attribute == 4 ? 128 : 0;
    return kSuccess;
  });
}

EXPORT int cuOccupancyMaxActiveBlocksPerMultiprocessor(
    int* blocks, Function* /*function*/, int /*threads*/,
    size_t /*shared_bytes*/) {
  return Do("cuOccupancyMaxActiveBlocksPerMultiprocessor", true,
            [&] { return *blocks = 1, kSuccess; });
}

EXPORT int cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y,
                          unsigned grid_z, unsigned threads_x,
                          unsigned threads_y, unsigned threads_z,
                          unsigned shared_bytes, Stream* stream,
                          void** arguments, void** /*extra*/) {
  return Do(
      "cuLaunchKernel", true,
      [&] {
        if (grid_y != 1 || grid_z != 1 || threads_y != 1 || threads_z != 1) {
          return static_cast<int>(kInvalidValue);
        }
        const auto launch = [=, &function = *function,
                             parameters = *static_cast<const Parameters*>(
                                 arguments[0])] {
          return Launch(function, grid_x, threads_x, shared_bytes, &parameters);
        };
        if (!recording) return launch();
        recorded.emplace_back(launch);
        return static_cast<int>(kSuccess);
      },
      ' ' + function->symbol + ' ' + NameOf(stream));
}

// Streams and events.

EXPORT int cuStreamCreate(Stream** stream, unsigned /*flags*/) {
  std::string detail;
  return Do(
      "cuStreamCreate", true,
      [&] {
        *stream = new Stream;
        detail = ' ' + NameOf(*stream);
        return kSuccess;
      },
      detail);
}

EXPORT int cuStreamDestroy_v2(Stream* stream) {
  return Do("cuStreamDestroy_v2", true, [&] {
    delete stream;
    return kSuccess;
  });
}

EXPORT int cuStreamSynchronize(Stream* /*stream*/) {
  return Do("cuStreamSynchronize", true, [] { return kSuccess; });
}

EXPORT int cuStreamWaitEvent(Stream* /*stream*/, Event* /*event*/,
                             unsigned /*flags*/) {
  return Do("cuStreamWaitEvent", true, [] { return kSuccess; });
}

// The host-memory device has no CUDA context and a null stream; the driver
// would say that the context is invalid.
EXPORT int cuStreamGetCtx(Stream* /*stream*/, Context** context) {
  return Do("cuStreamGetCtx", false,
            [&] { return *context = &the_context, kSuccess; });
}

EXPORT int cuEventCreate(Event** event, unsigned /*flags*/) {
  return Do("cuEventCreate", true,
            [&] { return *event = new Event, kSuccess; });
}

EXPORT int cuEventDestroy_v2(Event* event) {
  return Do("cuEventDestroy_v2", false, [&] {
    delete event;
    return kSuccess;
  });
}

EXPORT int cuEventRecord(Event* event, Stream* /*stream*/) {
  return Do("cuEventRecord", true, [&] {
    event->at = std::chrono::steady_clock::now();
    return kSuccess;
  });
}

EXPORT int cuEventQuery(Event* /*event*/) {
  return Do("cuEventQuery", true, [] { return kSuccess; });
}

EXPORT int cuEventSynchronize(Event* /*event*/) {
  return Do("cuEventSynchronize", true, [] { return kSuccess; });
}

EXPORT int cuEventElapsedTime(float* milliseconds, Event* start, Event* end) {
  return Do("cuEventElapsedTime", true, [&] {
    *milliseconds =
        std::chrono::duration<float, std::milli>(end->at - start->at).count();
    return kSuccess;
  });
}

// Memory.

EXPORT int cuMemAlloc_v2(uintptr_t* address, size_t bytes) {
  return Do("cuMemAlloc_v2", true, [&] {
    if (bytes == 0) return kInvalidValue;
    *address = reinterpret_cast<uintptr_t>(Allocate(bytes));
    return *address == 0 ? kOutOfMemory : kSuccess;
  });
}

EXPORT int cuMemFree_v2(uintptr_t address) {
  return Do("cuMemFree_v2", true, [&] {
    std::free(reinterpret_cast<void*>(address));
    return kSuccess;
  });
}

EXPORT int cuMemsetD8Async(uintptr_t address, unsigned char value, size_t count,
                           Stream* /*stream*/) {
  return Do("cuMemsetD8Async", true, [&] {
    std::memset(reinterpret_cast<void*>(address), value, count);
    return kSuccess;
  });
}

EXPORT int cuMemcpyHtoDAsync_v2(uintptr_t to, const void* from, size_t bytes,
                                Stream* /*stream*/) {
  return Do("cuMemcpyHtoDAsync_v2", true,
            [&] { return Copy(to, reinterpret_cast<uintptr_t>(from), bytes); });
}

EXPORT int cuMemcpyDtoHAsync_v2(void* to, uintptr_t from, size_t bytes,
                                Stream* /*stream*/) {
  return Do("cuMemcpyDtoHAsync_v2", true,
            [&] { return Copy(reinterpret_cast<uintptr_t>(to), from, bytes); });
}
