#include "tf_op/call.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/partial_tensor_shape.h"
#include "tf_op/shape_rule.h"

namespace hungarian {
namespace {

using tensorflow::PartialTensorShape;
using tensorflow::TensorShape;

// Real tensors leave nothing unknown.
absl::Status Known(const PartialTensorShape& shape, TensorShape* known) {
  if (shape.AsTensorShape(known)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "an output's shape is not known when run: ", shape.DebugString()));
}

}  // namespace

absl::Status Call::Make(tensorflow::OpKernelContext* context, Call* call) {
  call->cost = &context->input(0);
  call->row_mask = &context->input(1);
  call->col_mask = &context->input(2);
  call->cost_limit = &context->input(3);

  OutputShapes shapes;
  TF_RETURN_IF_ERROR(ApplyShapeRule(
      call->cost->shape(), call->row_mask->shape(), call->col_mask->shape(),
      call->cost_limit->shape(), &shapes));
  TensorShape per_row;
  TensorShape per_col;
  TF_RETURN_IF_ERROR(Known(shapes.per_problem, &call->per_problem));
  TF_RETURN_IF_ERROR(Known(shapes.per_row, &per_row));
  TF_RETURN_IF_ERROR(Known(shapes.per_col, &per_col));
  call->problems = call->per_problem.num_elements();
  call->rows = call->cost->dim_size(call->cost->dims() - 2);
  call->cols = call->cost->dim_size(call->cost->dims() - 1);

  const TensorShape& per_problem = call->per_problem;
  TF_RETURN_IF_ERROR(
      context->allocate_output(0, per_problem, &call->total_cost));
  TF_RETURN_IF_ERROR(context->allocate_output(1, per_row, &call->row_to_col));
  TF_RETURN_IF_ERROR(context->allocate_output(2, per_col, &call->col_to_row));
  TF_RETURN_IF_ERROR(context->allocate_output(3, per_row, &call->row_duals));
  TF_RETURN_IF_ERROR(context->allocate_output(4, per_col, &call->col_duals));
  return context->allocate_output(5, per_problem, &call->status);
}

absl::Status NoValidationOnGpu(absl::string_view otherwise) {
  return absl::UnimplementedError(absl::StrCat(
      "validate=True is not available on GPU, where raising would have the "
      "host wait for the device: look at the output status instead, or ",
      otherwise));
}

MismatchedTypes::MismatchedTypes(tensorflow::OpKernelConstruction* context)
    : OpKernel(context) {
  OP_REQUIRES_OK(context,
                 ApplyTypeRule(context->input_type(0), context->input_type(3)));
}

}  // namespace hungarian
