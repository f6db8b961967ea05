// What differs between a CUDA compiler and the host twin (twin/device.h).

#ifndef CUDA_PLATFORM_H_
#define CUDA_PLATFORM_H_

#ifdef __CUDACC__

// The shared memory that the launch asked for.
__device__ inline unsigned char* SharedMemory() {
  extern __shared__ double2 dynamic_shared[];
  return reinterpret_cast<unsigned char*>(dynamic_shared);
}

// Counts steps in the twin; here it is nothing.
#define COUNT(kind)
#define BEGIN_PROBLEM()

#else
#include "twin/device.h"
#endif

#endif  // CUDA_PLATFORM_H_
