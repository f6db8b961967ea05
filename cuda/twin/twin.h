// The host twin: the kernels of assignment.cu, compiled for the host and run
// there, a fiber for each CUDA thread.
//
// The library is built by cuda/twin/build.sh; tests and a stand-in for libcuda
// load or link it.

#ifndef CUDA_TWIN_TWIN_H_
#define CUDA_TWIN_TWIN_H_

#include <cstddef>

#include "../parameters.h"

// The same numbers are in a test of src/cuda/parameters.rs. (Device compilers
// have no offsetof without headers.)
static_assert(offsetof(DeviceBatch, problems) == 80, "problems");
static_assert(offsetof(DeviceBatch, maximize) == 116, "maximize");
static_assert(offsetof(Place, offset) == 8, "offset");
static_assert(offsetof(Parameters, workspace) == 120, "workspace");
static_assert(offsetof(Parameters, copy_stride) == 136, "copy_stride");
static_assert(offsetof(Parameters, exchange) == 152, "exchange");

extern "C" {

// What twin_launch returns.
enum TwinResult {
  kTwinDone = 0,
  kTwinUnknownKernel = 1,
  // Threads wait for each other at different barriers, or for one that has
  // ended.
  kTwinDeadlock = 2,
  // A size that no device would take: no blocks or threads, more than 1024
  // threads, threads that are not whole warps.
  kTwinBadLaunch = 3,
};

// Runs a kernel, all its blocks one after the other, and returns when it is
// done. Every address in `parameters` is one of this process. Which thread runs
// when is drawn from `seed`. Not to be called from two threads at once.
int twin_launch(const char* kernel, unsigned grid, unsigned threads,
                unsigned shared_bytes, const Parameters* parameters,
                unsigned long long seed);

// What counters of the kernels showed since the last call, for one problem: the
// largest number of steps of each kind. See Counter in device.h.
void twin_take_counts(long long* counts, int count);
}

#endif  // CUDA_TWIN_TWIN_H_
