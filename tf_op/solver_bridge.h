// The C++ half of the bridge to the Rust solver (src/op/bridge.rs): picks the
// entry point for a cost type, and turns an outcome into a Status.

#ifndef HUNGARIAN_TF_OP_SOLVER_BRIDGE_H_
#define HUNGARIAN_TF_OP_SOLVER_BRIDGE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "hungarian-loss/src/op/bridge.rs.h"
#include "rust/cxx.h"
#include "tensorflow/core/framework/numeric_types.h"

namespace hungarian {

// What differs between cost types: the form in which costs cross the bridge,
// the type of totals and duals, and the entry points.
template <typename T>
struct EntryPoints;

template <>
struct EntryPoints<Eigen::half> {
  using Bits = uint16_t;
  using Real = float;
  using Outputs = FloatOutputs;
  static constexpr auto kSolve = solve_half;
  static constexpr auto kDescribe = describe_half;
};

template <>
struct EntryPoints<Eigen::bfloat16> {
  using Bits = uint16_t;
  using Real = float;
  using Outputs = FloatOutputs;
  static constexpr auto kSolve = solve_bfloat16;
  static constexpr auto kDescribe = describe_bfloat16;
};

template <>
struct EntryPoints<float> {
  using Bits = float;
  using Real = float;
  using Outputs = FloatOutputs;
  static constexpr auto kSolve = solve_float;
  static constexpr auto kDescribe = describe_float;
};

template <>
struct EntryPoints<double> {
  using Bits = double;
  using Real = double;
  using Outputs = DoubleOutputs;
  static constexpr auto kSolve = solve_double;
  static constexpr auto kDescribe = describe_double;
};

// A slice of `count` elements starting `offset` elements into `data`.
template <typename V>
rust::Slice<V> Range(V* data, int64_t offset, int64_t count) {
  return rust::Slice<V>(data + offset, static_cast<size_t>(count));
}

inline absl::Status ToStatus(const Outcome& outcome) {
  const std::string message(outcome.message);
  switch (outcome.kind) {
    case ErrorKind::None:
      return absl::OkStatus();
    case ErrorKind::InvalidArgument:
      return absl::InvalidArgumentError(message);
    case ErrorKind::ResourceExhausted:
      return absl::ResourceExhaustedError(message);
    case ErrorKind::FailedPrecondition:
      return absl::FailedPreconditionError(message);
    case ErrorKind::Internal:
      break;
  }
  return absl::InternalError(message);
}

}  // namespace hungarian

#endif  // HUNGARIAN_TF_OP_SOLVER_BRIDGE_H_
