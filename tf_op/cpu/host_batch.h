// A batch in host memory, and its solver: what the CPU kernel and XLA's custom
// call on the host have in common. Which threads solve which part is up to
// those two.

#ifndef HUNGARIAN_TF_OP_CPU_HOST_BATCH_H_
#define HUNGARIAN_TF_OP_CPU_HOST_BATCH_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "tf_op/solver_bridge.h"

namespace hungarian {

// Inputs and outputs, dense and row-major, of shapes that were checked against
// the shape rule.
struct HostBuffers {
  int64_t problems = 0;
  int64_t rows = 0;
  int64_t cols = 0;
  bool maximize = false;

  const void* cost = nullptr;        // T [problems, rows, cols]
  const void* row_mask = nullptr;    // bool [problems, rows] or one
  const void* col_mask = nullptr;    // bool [problems, cols] or one
  const void* cost_limit = nullptr;  // U [problems] or one
  bool row_mask_is_uniform = false;
  bool col_mask_is_uniform = false;
  bool cost_limit_is_uniform = false;

  void* total_cost = nullptr;  // U [problems]
  void* row_to_col = nullptr;  // int32 [problems, rows]
  void* col_to_row = nullptr;  // int32 [problems, cols]
  void* row_duals = nullptr;   // U [problems, rows]
  void* col_duals = nullptr;   // U [problems, cols]
  void* status = nullptr;      // int32 [problems]
};

// One mask: its flags for all problems, or a single flag.
//
// A bool tensor may hold any byte (decode_raw makes such), and TensorFlow takes
// all but 0 for true. A bool of C++ or Rust must be 0 or 1: a mask with other
// bytes is copied.
class Mask {
 public:
  Mask(const void* flags, int64_t count, bool uniform);

  // It may point into itself.
  Mask(const Mask&) = delete;
  Mask& operator=(const Mask&) = delete;

  // The flags of problems [begin, end) of `each` items.
  rust::Slice<const bool> Of(int64_t begin, int64_t end, int64_t each) const;

 private:
  const uint8_t* bytes_;
  bool uniform_;
  std::vector<uint8_t> normalized_;
};

// The batch with costs of type T. The buffers must outlive it.
template <typename T>
class HostBatch {
 public:
  explicit HostBatch(const HostBuffers& buffers);

  // Solves problems [begin, end). May be called from any thread.
  absl::Status Solve(int64_t begin, int64_t end) const;

  // InvalidArgument on the first problem whose status is not 0, if there is
  // one: all must have been solved. `dims` is the shape of the batch.
  absl::Status Validate(absl::Span<const int64_t> dims) const;

  // Is the limit of the first problem NaN, if there is one?
  bool IsFirstLimitNan() const;

  // Processor cycles that one problem is expected to take, at least 1.
  int64_t cycles_per_problem() const;

  // Is it better solved on the calling thread alone?
  bool IsSmall() const;

 private:
  using Entry = EntryPoints<T>;

  // All of problems [begin, end) but their costs and limits, and these two.
  Batch Of(int64_t begin, int64_t end) const;
  rust::Slice<const typename Entry::Bits> Costs(int64_t begin,
                                                int64_t end) const;
  rust::Slice<const typename Entry::Real> Limits(int64_t begin,
                                                 int64_t end) const;

  HostBuffers buffers_;
  Mask row_mask_;
  Mask col_mask_;
};

}  // namespace hungarian

#endif  // HUNGARIAN_TF_OP_CPU_HOST_BATCH_H_
