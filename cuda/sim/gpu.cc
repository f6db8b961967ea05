// Which GPU it is, and numbers that the environment changes.

#include "gpu.h"

#include <cctype>

namespace sim {

namespace {

Gpu MakeGpu() {
  const string which = EnvText("SIM_GPU", "a100");
  if (which != "a100" && which != "h100")
    Die("SIM_GPU=%s, expected a100 or h100", which.c_str());
  const bool is_h100 = which == "h100";
  const auto number = [&](const char* name, double a100, double h100) {
    string variable = "SIM_";
    for (; *name != 0; ++name)
      variable += static_cast<char>(std::toupper(*name));
    return EnvNumber(variable.c_str(), is_h100 ? h100 : a100);
  };
  Gpu gpu;
#define SET(type, name, a100, h100) \
  gpu.name = static_cast<type>(number(#name, a100, h100));
  GPU_NUMBERS(SET)
#undef SET
  // A part of the GPU has its share of what all multiprocessors have together.
  const double part = gpu.sms / (is_h100 ? 132.0 : 108.0);
  if (gpu.l2_bytes <= 1e9) gpu.l2_bytes *= part;
  gpu.dram_gbs *= part;
  const char* const name =
      is_h100 ? "simulated H100 (SXM, sm_90)" : "simulated A100 (SXM, sm_80)";
  gpu.name = EnvText("SIM_NAME", name);
  return gpu;
}

}  // namespace

const Gpu& TheGpu() {
  static const Gpu gpu = MakeGpu();
  return gpu;
}

}  // namespace sim
