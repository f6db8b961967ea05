// Reads what nvdisasm writes.

#ifndef HUNGARIAN_CUDA_SIM_LISTING_H_
#define HUNGARIAN_CUDA_SIM_LISTING_H_

#include <vector>

#include "instruction.h"

namespace sim {

struct Listing {
  std::vector<Instruction> code;
  std::vector<string> where;  // places in the source, innermost first
};

// A kernel's code in the listing of a cubin, with `nvdisasm -c -hex` and
// perhaps -gi.
Listing ReadListing(const string& path, const string& kernel);

// The parts of a text between `c`, but not within brackets.
std::vector<string> Split(const string& s, char c);

}  // namespace sim

#endif  // HUNGARIAN_CUDA_SIM_LISTING_H_
