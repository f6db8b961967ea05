// The definition of HungarianAssignment: one for every device and compiler.

#include "tensorflow/core/framework/op.h"

#include <cstdint>
#include <vector>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf_op/shape_rule.h"

namespace hungarian {
namespace {

using tensorflow::PartialTensorShape;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

PartialTensorShape KnownPart(InferenceContext* context, int input) {
  const ShapeHandle shape = context->input(input);
  if (!context->RankKnown(shape)) return PartialTensorShape();
  std::vector<int64_t> sizes;
  for (int dim = 0; dim < context->Rank(shape); ++dim) {
    // -1 stands for unknown on both sides.
    sizes.push_back(context->Value(context->Dim(shape, dim)));
  }
  PartialTensorShape known;
  // Only sizes whose product overflows fail here. They are left unknown: no
  // tensor can have them, and the kernel judges real tensors.
  if (!PartialTensorShape::MakePartialShape(
           sizes.data(), static_cast<int>(sizes.size()), &known)
           .ok()) {
    return PartialTensorShape();
  }
  return known;
}

absl::Status InferShapes(InferenceContext* context) {
  tensorflow::DataType cost_type;
  tensorflow::DataType limit_type;
  TF_RETURN_IF_ERROR(context->GetAttr("T", &cost_type));
  TF_RETURN_IF_ERROR(context->GetAttr("U", &limit_type));
  TF_RETURN_IF_ERROR(ApplyTypeRule(cost_type, limit_type));

  OutputShapes outputs;
  TF_RETURN_IF_ERROR(
      ApplyShapeRule(KnownPart(context, 0), KnownPart(context, 1),
                     KnownPart(context, 2), KnownPart(context, 3), &outputs));
  const PartialTensorShape* const in_order[] = {
      &outputs.per_problem, &outputs.per_row, &outputs.per_col,
      &outputs.per_row,     &outputs.per_col, &outputs.per_problem};
  int index = 0;
  for (const PartialTensorShape* shape : in_order) {
    ShapeHandle handle;
    TF_RETURN_IF_ERROR(
        context->MakeShapeFromPartialTensorShape(*shape, &handle));
    context->set_output(index++, handle);
  }
  return absl::OkStatus();
}

}  // namespace

REGISTER_OP("HungarianAssignment")
    .Input("cost: T")
    .Input("row_mask: bool")
    .Input("col_mask: bool")
    .Input("cost_limit: U")
    .Output("total_cost: U")
    .Output("row_to_col: int32")
    .Output("col_to_row: int32")
    .Output("row_duals: U")
    .Output("col_duals: U")
    .Output("status: int32")
    .Attr("T: {half, bfloat16, float, double}")
    .Attr("U: {float, double} = DT_FLOAT")
    .Attr("maximize: bool = false")
    .Attr("validate: bool = false")
    .SetShapeFn(InferShapes)
    .Doc(R"doc(
Solves a batch of linear assignment problems exactly.

Each problem matches rows with columns one to one so that the sum of matched
costs is least. Rows and columns may differ in number. The assignment comes with
dual values that prove it optimal.

A bad problem never raises (unless `validate` is set) and never touches the
problems beside it. It answers by `status`, with -1 for all indices, 0 for all
duals and NaN (invalid) or +inf (infeasible; -inf when maximizing) for its total.

The result is deterministic. Of equally good assignments, the one returned
depends on nothing but the problem; an all-equal matrix matches i to i.

cost: `[..., rows, cols]`, any number of batch dimensions. +inf (-inf when
  maximizing) forbids a pair. Entries outside the masks are never looked at.
row_mask: `[..., rows]`, or a scalar for all: which rows exist.
col_mask: `[..., cols]`, or a scalar for all: which columns exist.
cost_limit: `[...]`, or a scalar for all. Finite L: a row or a column may stay
  unmatched at L/2 each, decided jointly with the matching, so that no pair
  above L is worth having; a lone pair at exactly L is matched. Beyond the size
  at which L can no longer change which matchings are optimal, it counts as
  that size: 4 (min(existing rows, existing columns) + 1) times the largest
  magnitude of an allowed cost. Infinite, either sign:
  min(existing rows, existing columns) pairs are required. NaN: the problem is
  invalid.
total_cost: `[...]`, sum of the matched costs, without what unmatched rows and
  columns cost under a limit. A sum beyond the range of U is infinite.
row_to_col: `[..., rows]`, the column matched with each row; -1 for a row that
  is unmatched or masked.
col_to_row: `[..., cols]`, the row matched with each column; likewise.
row_duals: `[..., rows]`, u. With v, when minimizing: u_i + v_j <= cost_ij for all
  allowed pairs, with equality for matched ones. Under a limit u_i, v_j <= L/2,
  with equality where unmatched. Else, on the longer side of a
  rectangle, duals are <= 0, and 0 where unmatched; in a square, max v = 0. When
  maximizing, the inequalities are turned round. 0 where masked.
col_duals: `[..., cols]`, v.
status: `[...]`: 0 optimal; 1 infeasible, the allowed pairs cannot match as many
  as required; 2 invalid, an existing entry is NaN or an infinity of the wrong
  sign, or its limit is NaN. 2 outranks 1.
T: Type of the costs. They are taken exactly as given.
U: Type of limits, totals and duals: double exactly when T is double.
maximize: As if costs and limits were negated: the sum of matched costs is
  greatest, an unmatched row or column earns L/2, and pairs above L are worth
  keeping.
validate: Raises InvalidArgument on the first problem whose status is not 0,
  naming the entry and the reason. On CPU, compiled by XLA or not; on GPU it is
  Unimplemented.
)doc");

}  // namespace hungarian
