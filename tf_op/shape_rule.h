// The shape rule of HungarianAssignment. It stands here once: the shape
// function applies it to what is known while tracing, the kernels to the shapes
// of real tensors.

#ifndef HUNGARIAN_TF_OP_SHAPE_RULE_H_
#define HUNGARIAN_TF_OP_SHAPE_RULE_H_

#include "absl/status/status.h"
#include "tensorflow/core/framework/partial_tensor_shape.h"
#include "tensorflow/core/framework/types.pb.h"

namespace hungarian {

// Shapes of all outputs, as far as they are known.
struct OutputShapes {
  tensorflow::PartialTensorShape per_problem;  // [...]: total_cost, status
  tensorflow::PartialTensorShape per_row;      // [..., rows]
  tensorflow::PartialTensorShape per_col;      // [..., cols]
};

// Applies the rule to shapes of which nothing need be known, not even the rank:
//   cost [..., rows, cols]; row_mask [..., rows] or scalar; col_mask [...,
//   cols] or scalar; cost_limit [...] or scalar; rows and cols at most
//   2^31 - 1.
// An error is InvalidArgument and says what was got and what was expected.
absl::Status ApplyShapeRule(const tensorflow::PartialTensorShape& cost,
                            const tensorflow::PartialTensorShape& row_mask,
                            const tensorflow::PartialTensorShape& col_mask,
                            const tensorflow::PartialTensorShape& cost_limit,
                            OutputShapes* outputs);

// Applies the type rule: U is double exactly when T is double.
absl::Status ApplyTypeRule(tensorflow::DataType cost_type,
                           tensorflow::DataType limit_type);

}  // namespace hungarian

#endif  // HUNGARIAN_TF_OP_SHAPE_RULE_H_
