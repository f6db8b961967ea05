#include "tf_op/xla/call.h"

#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/partial_tensor_shape.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/platform/errors.h"
#include "tf_op/shape_rule.h"

// From xla/ffi/ffi_api.h, which includes headers that take long to compile.
namespace xla::ffi {
const XLA_FFI_Api* GetXlaFfiApi();
absl::Status TakeStatus(XLA_FFI_Error* error);
}  // namespace xla::ffi

namespace hungarian {
namespace {

using tensorflow::DataType;
using tensorflow::PartialTensorShape;
using xla::ffi::AnyBuffer;

constexpr size_t kOperands = 4;
constexpr size_t kResults = 6;

// TensorFlow's name of a buffer's type, if it is one of the op's; else invalid.
DataType TypeOf(const AnyBuffer& buffer) {
  switch (buffer.element_type()) {
    case xla::ffi::F16:
      return tensorflow::DT_HALF;
    case xla::ffi::BF16:
      return tensorflow::DT_BFLOAT16;
    case xla::ffi::F32:
      return tensorflow::DT_FLOAT;
    case xla::ffi::F64:
      return tensorflow::DT_DOUBLE;
    case xla::ffi::S32:
      return tensorflow::DT_INT32;
    case xla::ffi::PRED:
      return tensorflow::DT_BOOL;
    default:
      return tensorflow::DT_INVALID;
  }
}

absl::Status ShapeOf(const AnyBuffer& buffer, PartialTensorShape* shape) {
  const AnyBuffer::Dimensions dims = buffer.dimensions();
  return PartialTensorShape::MakePartialShape(
      dims.begin(), static_cast<int>(dims.size()), shape);
}

absl::Status CheckBuffer(const AnyBuffer& buffer, const char* name,
                         DataType type, const PartialTensorShape& expected) {
  PartialTensorShape got;
  TF_RETURN_IF_ERROR(ShapeOf(buffer, &got));
  if (TypeOf(buffer) == type && got.IsIdenticalTo(expected)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      kXlaCallTarget, ": ", name, " is ",
      tensorflow::DataTypeString(TypeOf(buffer)), " ", got.DebugString(),
      ", expected ", tensorflow::DataTypeString(type), " ",
      expected.DebugString()));
}

}  // namespace

absl::Status RegisterXlaCall(absl::string_view platform,
                             XLA_FFI_Handler* execute) {
  XLA_FFI_Handler_Bundle handlers{};
  handlers.execute = execute;
  const absl::Status registered =
      xla::ffi::TakeStatus(xla::ffi::Ffi::RegisterStaticHandler(
          xla::ffi::GetXlaFfiApi(),
          std::string_view(kXlaCallTarget.data(), kXlaCallTarget.size()),
          std::string_view(platform.data(), platform.size()), handlers,
          /*traits=*/0));
  if (registered.ok()) return registered;
  return absl::FailedPreconditionError(absl::StrCat(
      "HungarianAssignment cannot be compiled by XLA for ", platform,
      ", which did not take its custom call: ", registered.message(),
      "; load the op's library once per process and by one path, with the "
      "TensorFlow it was built for, or turn jit_compile off"));
}

xla::ffi::Error ToXlaError(const absl::Status& status) {
  if (status.ok()) return xla::ffi::Error::Success();
  // XLA's codes are absl's.
  return {static_cast<XLA_FFI_Error_Code>(status.code()),
          std::string(status.message())};
}

absl::Status XlaCall::Make(xla::ffi::RemainingArgs operands,
                           xla::ffi::RemainingRets results, XlaCall* call) {
  if (operands.size() != kOperands || results.size() != kResults) {
    return absl::InvalidArgumentError(absl::StrCat(
        kXlaCallTarget, ": got ", operands.size(), " operands and ",
        results.size(), " results, expected ", kOperands, " and ", kResults));
  }
  for (size_t index = 0; index < kOperands; ++index) {
    const auto buffer = operands.get<AnyBuffer>(index);
    if (buffer.has_error()) {
      return absl::InternalError(buffer.error().message());
    }
    call->buffers.push_back(*buffer);
  }
  for (size_t index = 0; index < kResults; ++index) {
    auto buffer = results.get<AnyBuffer>(index);
    if (buffer.has_error()) {
      return absl::InternalError(buffer.error().message());
    }
    call->buffers.push_back(**buffer);
  }

  const DataType cost_type = TypeOf(call->cost());
  const DataType real = TypeOf(call->cost_limit());
  TF_RETURN_IF_ERROR(ApplyTypeRule(cost_type, real));
  PartialTensorShape shapes[kOperands];
  for (size_t index = 0; index < kOperands; ++index) {
    TF_RETURN_IF_ERROR(ShapeOf(call->buffers[index], &shapes[index]));
  }
  OutputShapes outputs;
  TF_RETURN_IF_ERROR(
      ApplyShapeRule(shapes[0], shapes[1], shapes[2], shapes[3], &outputs));
  const struct {
    const char* name;
    DataType type;
    const PartialTensorShape& shape;
  } expected[] = {
      {"cost", cost_type, shapes[0]},
      {"row_mask", tensorflow::DT_BOOL, shapes[1]},
      {"col_mask", tensorflow::DT_BOOL, shapes[2]},
      {"cost_limit", real, shapes[3]},
      {"total_cost", real, outputs.per_problem},
      {"row_to_col", tensorflow::DT_INT32, outputs.per_row},
      {"col_to_row", tensorflow::DT_INT32, outputs.per_col},
      {"row_duals", real, outputs.per_row},
      {"col_duals", real, outputs.per_col},
      {"status", tensorflow::DT_INT32, outputs.per_problem},
  };
  size_t index = 0;
  for (const auto& [name, type, shape] : expected) {
    TF_RETURN_IF_ERROR(CheckBuffer(call->buffers[index++], name, type, shape));
  }

  const auto sizes = outputs.per_problem.dim_sizes();
  call->batch.assign(sizes.begin(), sizes.end());
  call->problems = outputs.per_problem.num_elements();
  call->rows = shapes[0].dim_size(shapes[0].dims() - 2);
  call->cols = shapes[0].dim_size(shapes[0].dims() - 1);
  return absl::OkStatus();
}

}  // namespace hungarian
