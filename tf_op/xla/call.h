// The custom call that stands for HungarianAssignment in a program of XLA: what
// the kernel that emits it (xla/kernel.cc) and the handlers that XLA runs
// (xla/host_call.cc, xla/cuda_call.cc) have to agree on.
//
// Operands and results are the op's inputs and outputs in their order, dense
// and row-major. Attributes: those of XlaAttributes.

#ifndef HUNGARIAN_TF_OP_XLA_CALL_H_
#define HUNGARIAN_TF_OP_XLA_CALL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "xla/ffi/api/ffi.h"

namespace hungarian {

constexpr absl::string_view kXlaCallTarget = "HungarianAssignment";

struct XlaAttributes {
  bool maximize = false;
  bool validate = false;
  // Sizes of which XLA knows only bounds are compared when run. Where they
  // disagree all limits are NaN; true says that NaN may mean this. Only for the
  // host, which validates.
  bool nan_may_mean_sizes = false;
};

// The outcome of registering the handler for XLA on a platform: an error says
// what to do. Known once the library is loaded.
const absl::Status& HostCallRegistration() noexcept;
const absl::Status& CudaCallRegistration() noexcept;

// ---- For the handlers ----

// Registers the handler that XLA calls when the program runs. None of ours has
// traits.
absl::Status RegisterXlaCall(absl::string_view platform,
                             XLA_FFI_Handler* execute);

xla::ffi::Error ToXlaError(const absl::Status& status);

// The buffers of one call. A program of XLA need not come from our kernel:
// types and shapes are checked here once more.
struct XlaCall {
  static absl::Status Make(xla::ffi::RemainingArgs operands,
                           xla::ffi::RemainingRets results, XlaCall* call);

  const xla::ffi::AnyBuffer& cost() const { return buffers[0]; }
  const xla::ffi::AnyBuffer& row_mask() const { return buffers[1]; }
  const xla::ffi::AnyBuffer& col_mask() const { return buffers[2]; }
  const xla::ffi::AnyBuffer& cost_limit() const { return buffers[3]; }
  const xla::ffi::AnyBuffer& total_cost() const { return buffers[4]; }
  const xla::ffi::AnyBuffer& row_to_col() const { return buffers[5]; }
  const xla::ffi::AnyBuffer& col_to_row() const { return buffers[6]; }
  const xla::ffi::AnyBuffer& row_duals() const { return buffers[7]; }
  const xla::ffi::AnyBuffer& col_duals() const { return buffers[8]; }
  const xla::ffi::AnyBuffer& status() const { return buffers[9]; }

  std::vector<xla::ffi::AnyBuffer> buffers;
  std::vector<int64_t> batch;  // The shape of the batch.
  int64_t problems = 0;        // The product of that.
  int64_t rows = 0;
  int64_t cols = 0;
};

}  // namespace hungarian

#endif  // HUNGARIAN_TF_OP_XLA_CALL_H_
