#include "tf_op/shape_rule.h"

#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/types.h"

namespace hungarian {
namespace {

using tensorflow::PartialTensorShape;

// The first `count` dimensions of `shape`, whose rank is known to be no less.
absl::Status FirstDims(const PartialTensorShape& shape, int count,
                       PartialTensorShape* first) {
  const auto sizes = shape.dim_sizes();
  return PartialTensorShape::MakePartialShape(sizes.data(), count, first);
}

// Says of an output that no tensor can be that large, whatever memory there is.
absl::Status TooLarge(const PartialTensorShape& batch,
                      const std::string& items) {
  return absl::InvalidArgumentError(
      absl::StrCat("an output would have too many elements: got a batch of ",
                   batch.DebugString(), " times ", items,
                   ", expected fewer than 2^63 in all"));
}

// [..., items]: one output's shape. A cost tensor of no elements may ask for
// more than a tensor can have, as in [2^40, 0, 2^31 - 1].
absl::Status Append(const PartialTensorShape& batch, int64_t items,
                    PartialTensorShape* per_item) {
  if (batch.ConcatenateWithStatus(items, per_item).ok()) {
    return absl::OkStatus();
  }
  return TooLarge(batch, absl::StrCat(items));
}

absl::Status CheckSide(const char* side, const PartialTensorShape& cost,
                       int dim) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (cost.dim_size(dim) > kMost) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cost has too many ", side, ": got ", cost.dim_size(dim), " in shape ",
        cost.DebugString(), ", expected at most ", kMost));
  }
  return absl::OkStatus();
}

// Learns from a mask or from limits what the cost shape left open: `per_item`
// is [..., rows], [..., cols] or [...] on entry, and that merged with `shape`
// on return.
absl::Status Merge(const char* name, const PartialTensorShape& shape,
                   PartialTensorShape* per_item) {
  // A scalar says nothing; neither does an unknown rank, which may turn out to
  // be a scalar's.
  if (shape.unknown_rank() || shape.dims() == 0) return absl::OkStatus();
  if (!per_item->IsCompatibleWith(shape)) {
    const std::string each =
        per_item->dims() == 0
            ? ""
            : absl::StrCat(" or shape ", per_item->DebugString());
    return absl::InvalidArgumentError(
        absl::StrCat(name, " does not fit cost: got shape ",
                     shape.DebugString(), ", expected a scalar", each));
  }
  PartialTensorShape merged;
  if (!per_item->MergeWith(shape, &merged).ok()) {
    return TooLarge(*per_item, shape.DebugString());
  }
  *per_item = merged;
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyShapeRule(const PartialTensorShape& cost,
                            const PartialTensorShape& row_mask,
                            const PartialTensorShape& col_mask,
                            const PartialTensorShape& cost_limit,
                            OutputShapes* outputs) {
  *outputs = OutputShapes();
  if (!cost.unknown_rank()) {
    const int rank = cost.dims();
    if (rank < 2) {
      return absl::InvalidArgumentError(absl::StrCat(
          "cost must have rank 2 or more, [..., rows, cols]; got shape ",
          cost.DebugString()));
    }
    TF_RETURN_IF_ERROR(CheckSide("rows", cost, rank - 2));
    TF_RETURN_IF_ERROR(CheckSide("cols", cost, rank - 1));
    TF_RETURN_IF_ERROR(FirstDims(cost, rank - 2, &outputs->per_problem));
    TF_RETURN_IF_ERROR(Append(outputs->per_problem, cost.dim_size(rank - 2),
                              &outputs->per_row));
    TF_RETURN_IF_ERROR(Append(outputs->per_problem, cost.dim_size(rank - 1),
                              &outputs->per_col));
  }
  PartialTensorShape per_limit = outputs->per_problem;
  TF_RETURN_IF_ERROR(Merge("row_mask", row_mask, &outputs->per_row));
  TF_RETURN_IF_ERROR(Merge("col_mask", col_mask, &outputs->per_col));
  TF_RETURN_IF_ERROR(Merge("cost_limit", cost_limit, &per_limit));

  // What one of them says about the batch holds for every output.
  const struct {
    const PartialTensorShape& shape;
    int items;  // Dimensions that are not the batch's.
  } learned[] = {{outputs->per_row, 1}, {outputs->per_col, 1}, {per_limit, 0}};
  for (const auto& [shape, items] : learned) {
    if (shape.unknown_rank()) continue;
    PartialTensorShape batch;
    PartialTensorShape merged;
    TF_RETURN_IF_ERROR(FirstDims(shape, shape.dims() - items, &batch));
    if (!outputs->per_problem.MergeWith(batch, &merged).ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "row_mask [..., rows], col_mask [..., cols] and cost_limit [...] "
          "must have the same batch dimensions, got shapes ",
          row_mask.DebugString(), ", ", col_mask.DebugString(), " and ",
          cost_limit.DebugString()));
    }
    outputs->per_problem = merged;
  }
  if (outputs->per_problem.unknown_rank()) return absl::OkStatus();
  for (PartialTensorShape* per_item : {&outputs->per_row, &outputs->per_col}) {
    const int64_t last = per_item->unknown_rank()
                             ? -1
                             : per_item->dim_size(per_item->dims() - 1);
    TF_RETURN_IF_ERROR(Append(outputs->per_problem, last, per_item));
  }
  return absl::OkStatus();
}

absl::Status ApplyTypeRule(tensorflow::DataType cost_type,
                           tensorflow::DataType limit_type) {
  const tensorflow::DataType expected = cost_type == tensorflow::DT_DOUBLE
                                            ? tensorflow::DT_DOUBLE
                                            : tensorflow::DT_FLOAT;
  if (limit_type == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "cost_limit (U) must be ", tensorflow::DataTypeString(expected),
      " when cost (T) is ", tensorflow::DataTypeString(cost_type), ", got ",
      tensorflow::DataTypeString(limit_type)));
}

}  // namespace hungarian
