// The kernels and their names. This file, and nothing else of the twin, is
// compiled with sanitizers.

#include "../assignment.cu"

#define KERNELS_OF(name)                                    \
  {"search_by_warp_" #name, search_by_warp_##name},         \
      {"search_by_block_" #name, search_by_block_##name}, { \
    "prove_" #name, prove_##name                            \
  }

using Kernel = void (*)(Parameters);

extern "C" Kernel twin_find_kernel(const char* name) {
  static const struct {
    const char* name;
    Kernel kernel;
  } kernels[] = {KERNELS_OF(half), KERNELS_OF(bfloat16), KERNELS_OF(float),
                 KERNELS_OF(double)};
  for (const auto& known : kernels) {
    if (std::strcmp(known.name, name) == 0) {
      return known.kernel;
    }
  }
  return nullptr;
}
