// The gradient of HungarianAssignment for programs with no Python:
// TF_AddGradients and AddSymbolicGradients find it here. Python has one of its
// own (python_shim/hungarian_loss/_assignment.py), and TensorFlow keeps the two
// apart.

#include <vector>

#include "absl/status/status.h"
#include "tensorflow/cc/framework/grad_op_registry.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/framework/ops.h"
#include "tensorflow/cc/framework/scope.h"
#include "tensorflow/cc/ops/array_ops.h"
#include "tensorflow/cc/ops/const_op.h"
#include "tensorflow/cc/ops/math_ops.h"
#include "tf_op/call.h"

namespace hungarian {
namespace {

using tensorflow::Operation;
using tensorflow::Output;
using tensorflow::Scope;
namespace ops = tensorflow::ops;

// The number of columns: the last size of `cost`. As int32, whose slices stay
// on the host also where the costs are on a GPU.
Output Columns(const Scope& scope, const Output& cost) {
  const auto last = ops::Const(scope, {-1});
  const auto end = ops::Const(scope, {0});
  const auto step = ops::Const(scope, {1});
  // From the last size to the end of the shape, without the dimension: a
  // scalar.
  return ops::StridedSlice(
      scope, ops::Shape(scope, cost), last, end, step,
      ops::StridedSlice::Attrs().EndMask(1).ShrinkAxisMask(1));
}

// d total_cost / d cost = where(matched, upstream, 0), the upstream being that
// of the pair's problem. An unmatched row has the column -1, for which OneHot
// gives a row of false: so a problem whose status is not 0 gets zeros, even if
// its upstream is NaN. Gradients that reach the other outputs end here: indices
// and duals are constants to differentiation.
absl::Status Gradient(const Scope& scope, const Operation& assignment,
                      const std::vector<Output>& upstream,
                      std::vector<Output>* gradients) {
  return WithoutExceptions([&] {
    const Output cost = assignment.input(0);
    const Output row_to_col = assignment.output(1);
    const auto matched =
        ops::OneHot(scope, row_to_col, Columns(scope, cost),
                    ops::Const(scope, true, tensorflow::TensorShape()),
                    ops::Const(scope, false, tensorflow::TensorShape()));
    // [...] -> [..., 1, 1], in the type of the costs.
    const auto per_problem = ops::Cast(scope, upstream[0], cost.type());
    const auto per_row = ops::ExpandDims(scope, per_problem, -1);
    const auto per_pair = ops::ExpandDims(scope, per_row, -1);
    gradients->push_back(ops::SelectV2(scope, matched, per_pair,
                                       ops::ZerosLike(scope, per_pair)));
    // Masks are not differentiable. The total's slope in the limit is 0 or
    // undefined: penalties are no part of it.
    gradients->insert(gradients->end(), 3, tensorflow::NoGradient());
    return scope.status();
  });
}

// Does what REGISTER_GRADIENT_OP does, unless a gradient is registered already.
// That macro ends the process when a second copy of this library is loaded;
// without it the second copy costs an error where the op is next run. If there
// is no memory for it there is no gradient, and TensorFlow says so when one is
// asked for.
bool RegisterOnce() noexcept {
  try {
    ops::GradOpRegistry* const registry = ops::GradOpRegistry::Global();
    ops::GradFunc known;
    return registry->Lookup("HungarianAssignment", &known).ok() ||
           registry->Register("HungarianAssignment", Gradient);
  } catch (...) {
    return false;
  }
}

const bool kRegistered = RegisterOnce();

}  // namespace
}  // namespace hungarian
