// HungarianAssignment in a program that XLA compiled for the host: the same
// solver as the CPU kernel, on XLA's threads.

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tf_op/cpu/host_batch.h"
#include "tf_op/cpu/share.h"
#include "tf_op/without_exceptions.h"
#include "tf_op/xla/call.h"
#include "xla/ffi/api/ffi.h"

namespace hungarian {
namespace {

namespace ffi = xla::ffi;

template <typename T>
absl::Status SolveAs(const XlaCall& call, const XlaAttributes& attributes,
                     ffi::ThreadPool& pool) {
  HostBuffers buffers;
  buffers.problems = call.problems;
  buffers.rows = call.rows;
  buffers.cols = call.cols;
  buffers.maximize = attributes.maximize;
  buffers.cost = call.cost().untyped_data();
  buffers.row_mask = call.row_mask().untyped_data();
  buffers.col_mask = call.col_mask().untyped_data();
  buffers.cost_limit = call.cost_limit().untyped_data();
  buffers.row_mask_is_uniform = call.row_mask().dimensions().size() == 0;
  buffers.col_mask_is_uniform = call.col_mask().dimensions().size() == 0;
  buffers.cost_limit_is_uniform = call.cost_limit().dimensions().size() == 0;
  buffers.total_cost = call.total_cost().untyped_data();
  buffers.row_to_col = call.row_to_col().untyped_data();
  buffers.col_to_row = call.col_to_row().untyped_data();
  buffers.row_duals = call.row_duals().untyped_data();
  buffers.col_duals = call.col_duals().untyped_data();
  buffers.status = call.status().untyped_data();

  const HostBatch<T> batch(buffers);
  const auto solve = [&batch](int64_t begin, int64_t end) {
    return batch.Solve(begin, end);
  };
  if (batch.IsSmall()) {
    const absl::Status solved = solve(0, call.problems);
    if (!solved.ok()) return solved;
  } else {
    const auto schedule = [&pool](auto work) {
      pool.Schedule(std::move(work));
    };
    const absl::Status solved =
        Share(pool.num_threads(), schedule, call.problems,
              batch.cycles_per_problem(), solve);
    if (!solved.ok()) return solved;
  }
  if (!attributes.validate) return absl::OkStatus();
  if (attributes.nan_may_mean_sizes && batch.IsFirstLimitNan()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kXlaCallTarget,
                     ": row_mask, col_mask or cost_limit does not fit cost, "
                     "whose sizes are known only when this runs; or cost_limit "
                     "is nan, expected a number"));
  }
  return batch.Validate(call.batch);
}

absl::Status Solve(ffi::RemainingArgs operands, ffi::RemainingRets results,
                   const XlaAttributes& attributes, ffi::ThreadPool& pool) {
  XlaCall call;
  const absl::Status made = XlaCall::Make(operands, results, &call);
  if (!made.ok()) return made;
  switch (call.cost().element_type()) {
    case ffi::F16:
      return SolveAs<Eigen::half>(call, attributes, pool);
    case ffi::BF16:
      return SolveAs<Eigen::bfloat16>(call, attributes, pool);
    case ffi::F32:
      return SolveAs<float>(call, attributes, pool);
    case ffi::F64:
      return SolveAs<double>(call, attributes, pool);
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(kXlaCallTarget, ": cost must be f16, bf16, f32 or f64"));
  }
}

ffi::Error Handle(ffi::ThreadPool pool, ffi::RemainingArgs operands,
                  ffi::RemainingRets results, bool maximize, bool validate,
                  bool nan_may_mean_sizes) {
  const XlaAttributes attributes{maximize, validate, nan_may_mean_sizes};
  return ToXlaError(WithoutExceptions(
      [&] { return Solve(operands, results, attributes, pool); }));
}

XLA_FFI_DEFINE_HANDLER(kHandler, Handle,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .RemainingArgs()
                           .RemainingRets()
                           .Attr<bool>("maximize")
                           .Attr<bool>("validate")
                           .Attr<bool>("nan_may_mean_sizes"));

// Registers while the library is being loaded.
[[maybe_unused]] const absl::Status& registered = HostCallRegistration();

}  // namespace

const absl::Status& HostCallRegistration() noexcept {
  static const absl::Status status =
      WithoutExceptions([] { return RegisterXlaCall("Host", kHandler); });
  return status;
}

}  // namespace hungarian
