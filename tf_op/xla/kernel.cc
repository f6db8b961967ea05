// HungarianAssignment for XLA: checks shapes while compiling, and leaves a
// custom call in the program, which xla/host_call.cc or xla/cuda_call.cc
// answers when it runs.
//
// The headers of XLA's compiler take a minute to compile: they are needed here
// and nowhere else.

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tensorflow/compiler/tf2xla/xla_op_kernel.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/partial_tensor_shape.h"
#include "tf_op/call.h"
#include "tf_op/shape_rule.h"
#include "tf_op/xla/call.h"
#include "xla/hlo/builder/xla_builder.h"
#include "xla/shape.h"
#include "xla/shape_util.h"

namespace hungarian {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::PartialTensorShape;
using tensorflow::XlaOpKernel;
using tensorflow::XlaOpKernelContext;
using xla::XlaOp;

// XLA counts an array's bytes in 63 bits, dimension by dimension. A larger
// array, for which there is no memory anyway, would end the process.
absl::Status CheckBytes(xla::PrimitiveType type,
                        const std::vector<int64_t>& dims) {
  int64_t bytes = xla::ShapeUtil::ByteSizeOfPrimitiveType(type);
  for (const int64_t size : dims) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "HungarianAssignment: XLA has no arrays of shape [",
          absl::StrJoin(dims, ","),
          "], whose bytes, multiplied from the left, exceed 2^63; make the "
          "batch smaller or turn jit_compile off"));
    }
  }
  return absl::OkStatus();
}

// An input of the program. A dimension that XLA cannot know is `bounded`: the
// array has its greatest size, and the actual one is known when run.
struct Input {
  static absl::Status Make(XlaOpKernelContext* context, int index,
                           Input* input) {
    input->type = context->input_xla_type(index);
    // The shape as TensorFlow has it, with bounds in place of sizes. XLA is
    // asked only after the check: there are shapes that TensorFlow can have,
    // and that XLA cannot even be asked about.
    const auto sizes =
        context->op_kernel_context()->input(index).shape().dim_sizes();
    input->dims.assign(sizes.begin(), sizes.end());
    TF_RETURN_IF_ERROR(CheckBytes(input->type, input->dims));
    TF_ASSIGN_OR_RETURN(const xla::Shape shape, context->InputXlaShape(index));
    if (shape.is_unbounded_dynamic()) {
      return absl::UnimplementedError(
          absl::StrCat("HungarianAssignment under XLA needs sizes or bounds "
                       "for all dimensions, got ",
                       shape.ToString()));
    }
    input->array = context->Input(index);
    for (int dim = 0; dim < input->rank(); ++dim) {
      if (!shape.is_dynamic_dimension(dim)) continue;
      // The actual size is taken before it is forgotten.
      input->bounded.emplace_back(dim,
                                  xla::GetDimensionSize(input->array, dim));
    }
    for (const auto& [dim, size] : input->bounded) {
      input->array = xla::RemoveDynamicDimension(input->array, dim);
    }
    return absl::OkStatus();
  }

  int rank() const { return static_cast<int>(dims.size()); }

  absl::Status PartialShape(PartialTensorShape* shape) const {
    return PartialTensorShape::MakePartialShape(dims.data(), rank(), shape);
  }

  xla::PrimitiveType type = xla::PRIMITIVE_TYPE_INVALID;
  XlaOp array;
  std::vector<int64_t> dims;
  std::vector<std::pair<int, XlaOp>> bounded;  // Dimension, actual size.
};

// In place of a side, for outputs and limits of shape [...].
constexpr int kNoSide = -1;

// The bounded dimensions of a cost [..., rows, cols] that [..., rows], [...,
// cols] or [...] has too, by their place in the latter. `side` is the place of
// rows or cols in the cost, or kNoSide.
std::vector<std::pair<int, XlaOp>> WithoutOtherSide(const Input& cost,
                                                    int side) {
  const int batch_rank = cost.rank() - 2;
  std::vector<std::pair<int, XlaOp>> kept;
  for (const auto& [dim, size] : cost.bounded) {
    if (dim < batch_rank) kept.emplace_back(dim, size);
    if (dim == side) kept.emplace_back(batch_rank, size);
  }
  return kept;
}

// Whether masks and limits have the sizes that cost has, dimension by dimension
// where one of the two is bounded: the rule for shapes knows only the bounds.
class Agreement {
 public:
  explicit Agreement(xla::XlaBuilder* builder) : builder_(builder) {}

  // Takes a mask or limits into account; `side` as in WithoutOtherSide.
  absl::Status Add(const Input& cost, int side, const Input& input) {
    if (input.rank() == 0) return absl::OkStatus();
    const std::vector<std::pair<int, XlaOp>> wanted =
        WithoutOtherSide(cost, side);
    for (int dim = 0; dim < input.rank(); ++dim) {
      const XlaOp* const want = Find(wanted, dim);
      const XlaOp* const got = Find(input.bounded, dim);
      if (want == nullptr && got == nullptr) continue;
      if (input.dims[dim] > std::numeric_limits<int32_t>::max()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "HungarianAssignment: XLA compares sizes that it merely bounds as "
            "int32, got a size of ",
            input.dims[dim], ", expected at most 2147483647"));
      }
      const XlaOp bound = xla::ConstantR0<int32_t>(
          builder_, static_cast<int32_t>(input.dims[dim]));
      const XlaOp equal = xla::Eq(want == nullptr ? bound : *want,
                                  got == nullptr ? bound : *got);
      agree_ = agree_.valid() ? xla::And(agree_, equal) : equal;
    }
    return absl::OkStatus();
  }

  // Is anything to be compared when run?
  bool IsAsked() const { return agree_.valid(); }

  // A program of XLA cannot raise by itself. Limits of NaN make every problem
  // invalid instead, and raise where the op is to validate.
  void Enforce(Input* limit) const {
    if (!agree_.valid()) return;
    const XlaOp agree = xla::Broadcast(agree_, limit->dims);
    const XlaOp nan = xla::Broadcast(
        xla::ConvertElementType(
            xla::ConstantR0<float>(builder_,
                                   std::numeric_limits<float>::quiet_NaN()),
            limit->type),
        limit->dims);
    limit->array = xla::Select(agree, limit->array, nan);
  }

 private:
  static const XlaOp* Find(const std::vector<std::pair<int, XlaOp>>& bounded,
                           int dim) {
    for (const auto& [place, size] : bounded) {
      if (place == dim) return &size;
    }
    return nullptr;
  }

  xla::XlaBuilder* builder_;
  XlaOp agree_;  // A scalar, if anything is bounded.
};

// Where sizes are bounded, makes a mask false beyond the actual sizes of cost
// and mask, so that what lies there is never looked at. Limits likewise: `side`
// is kNoSide, and they become 0 there, for what happens to lie there might be
// NaN.
absl::Status Confine(xla::XlaBuilder* builder, const Input& cost, int side,
                     Input* input) {
  std::vector<std::pair<int, XlaOp>> bounds = WithoutOtherSide(cost, side);
  if (bounds.empty() && input->bounded.empty()) return absl::OkStatus();
  if (input->rank() == 0) {
    input->dims.assign(cost.dims.begin(), cost.dims.end() - 2);
    if (side != kNoSide) input->dims.push_back(cost.dims[side]);
    input->array = xla::Broadcast(input->array, input->dims);
  }
  bounds.insert(bounds.end(), input->bounded.begin(), input->bounded.end());
  TF_ASSIGN_OR_RETURN(
      const xla::Shape indices,
      xla::ShapeUtil::MakeValidatedShape(xla::S32, input->dims));
  const XlaOp nothing =
      xla::Broadcast(xla::ConvertElementType(
                         xla::ConstantR0<bool>(builder, false), input->type),
                     input->dims);
  for (const auto& [dim, size] : bounds) {
    input->array = xla::Select(xla::Lt(xla::Iota(builder, indices, dim), size),
                               input->array, nothing);
  }
  return absl::OkStatus();
}

class HungarianAssignmentXla : public XlaOpKernel {
 public:
  explicit HungarianAssignmentXla(OpKernelConstruction* context)
      : XlaOpKernel(context), on_gpu_(context->device_type() == "XLA_GPU_JIT") {
    OP_REQUIRES_OK(context, context->GetAttr("maximize", &maximize_));
    OP_REQUIRES_OK(context, context->GetAttr("validate", &validate_));
    OP_REQUIRES_OK(
        context, ApplyTypeRule(context->input_type(0), context->input_type(3)));
    OP_REQUIRES(context, !(on_gpu_ && validate_),
                NoValidationOnGpu(kCompileForCpu));
  }

  void Compile(XlaOpKernelContext* context) override {
    OP_REQUIRES_OK(context, WithoutExceptions([&] { return Emit(context); }));
  }

 private:
  absl::Status Registration() const {
#ifdef HUNGARIAN_CUDA
    if (on_gpu_) return CudaCallRegistration();
#endif
    return HostCallRegistration();
  }

  absl::Status Emit(XlaOpKernelContext* context) {
    TF_RETURN_IF_ERROR(Registration());
    std::vector<Input> inputs(4);
    std::vector<PartialTensorShape> known(4);
    for (int index = 0; index < 4; ++index) {
      TF_RETURN_IF_ERROR(Input::Make(context, index, &inputs[index]));
      TF_RETURN_IF_ERROR(inputs[index].PartialShape(&known[index]));
    }
    OutputShapes outputs;
    TF_RETURN_IF_ERROR(
        ApplyShapeRule(known[0], known[1], known[2], known[3], &outputs));
    const Input& cost = inputs[0];
    const int row_side = cost.rank() - 2;
    const int col_side = cost.rank() - 1;
    xla::XlaBuilder* const builder = context->builder();
    Agreement agreement(builder);
    const int sides[] = {row_side, col_side, kNoSide};
    for (int index = 1; index < 4; ++index) {
      TF_RETURN_IF_ERROR(agreement.Add(cost, sides[index - 1], inputs[index]));
      TF_RETURN_IF_ERROR(
          Confine(builder, cost, sides[index - 1], &inputs[index]));
    }
    agreement.Enforce(&inputs[3]);

    // The shapes of operands and results are dense and row-major.
    std::vector<XlaOp> operands;
    std::vector<xla::Shape> operand_shapes;
    for (const Input& input : inputs) {
      TF_ASSIGN_OR_RETURN(
          operand_shapes.emplace_back(),
          xla::ShapeUtil::MakeValidatedShapeWithDescendingLayout(input.type,
                                                                 input.dims));
      operands.push_back(input.array);
    }
    const xla::PrimitiveType real = inputs[3].type;
    const struct {
      xla::PrimitiveType type;
      const PartialTensorShape& shape;
      std::vector<std::pair<int, XlaOp>> bounded;
    } results[] = {
        {real, outputs.per_problem, WithoutOtherSide(cost, kNoSide)},
        {xla::S32, outputs.per_row, WithoutOtherSide(cost, row_side)},
        {xla::S32, outputs.per_col, WithoutOtherSide(cost, col_side)},
        {real, outputs.per_row, WithoutOtherSide(cost, row_side)},
        {real, outputs.per_col, WithoutOtherSide(cost, col_side)},
        {xla::S32, outputs.per_problem, WithoutOtherSide(cost, kNoSide)},
    };
    std::vector<xla::Shape> result_shapes;
    for (const auto& [type, shape, bounded] : results) {
      const auto sizes = shape.dim_sizes();
      const std::vector<int64_t> dims(sizes.begin(), sizes.end());
      TF_RETURN_IF_ERROR(CheckBytes(type, dims));
      TF_ASSIGN_OR_RETURN(
          result_shapes.emplace_back(),
          xla::ShapeUtil::MakeValidatedShapeWithDescendingLayout(type, dims));
    }

    const auto word = [](bool value) { return value ? "true" : "false"; };
    std::string attributes = absl::StrCat("maximize = ", word(maximize_),
                                          ", validate = ", word(validate_));
    if (!on_gpu_) {
      absl::StrAppend(&attributes,
                      ", nan_may_mean_sizes = ", word(agreement.IsAsked()));
    }
    // To raise is an effect: the call then stays even if nothing uses its
    // results.
    const XlaOp call = xla::CustomCallWithLayout(
        builder, std::string(kXlaCallTarget), operands,
        xla::ShapeUtil::MakeTupleShape(result_shapes), operand_shapes,
        absl::StrCat("{", attributes, "}"),
        /*has_side_effect=*/validate_, /*output_operand_aliasing=*/{},
        /*literal=*/nullptr, xla::CustomCallSchedule::SCHEDULE_NONE,
        xla::CustomCallApiVersion::API_VERSION_TYPED_FFI);
    int index = 0;
    for (const auto& [type, shape, bounded] : results) {
      XlaOp output = xla::GetTupleElement(call, index);
      for (const auto& [dim, size] : bounded) {
        output = xla::SetDimensionSize(output, size, dim);
      }
      context->SetOutput(index++, output);
    }
    return absl::OkStatus();
  }

  bool on_gpu_;
  bool maximize_ = false;
  bool validate_ = false;
};

// Not REGISTER_XLA_OP: what is registered so after the process has compiled
// something with XLA is never found.
REGISTER_KERNEL_BUILDER(Name("HungarianAssignment").Device("XLA_CPU_JIT"),
                        HungarianAssignmentXla);
#ifdef HUNGARIAN_CUDA
REGISTER_KERNEL_BUILDER(Name("HungarianAssignment").Device("XLA_GPU_JIT"),
                        HungarianAssignmentXla);
#endif

}  // namespace
}  // namespace hungarian
