#include "tf_op/cpu/host_batch.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>

namespace hungarian {
namespace {

// Cycles of a whole batch below which it stays on the calling thread: some
// tenth of a millisecond. To wake up another thread takes as long on a virtual
// machine, and what the calling thread pays for that must be little beside the
// batch.
constexpr int64_t kCyclesWorthSharing = 500'000;

#ifdef HUNGARIAN_FAULT_INJECTION
// Throws if the environment asks for it at this place, "" or "_in_worker". For
// tests/faults; what ships has none of it.
void Strike(const std::string& place) {
  const char* const fault = std::getenv("HUNGARIAN_FAULT");
  if (fault == nullptr) return;
  if (fault == "bad_alloc" + place) throw std::bad_alloc();
  if (fault == "exception" + place) {
    throw std::runtime_error("HUNGARIAN_FAULT is set");
  }
}
#endif

// The elements of problems [begin, end), `each` of them for a problem.
template <typename V>
rust::Slice<V> Part(void* data, int64_t begin, int64_t end, int64_t each) {
  return Range(static_cast<V*>(data), begin * each, (end - begin) * each);
}

template <typename V>
rust::Slice<const V> Part(const void* data, int64_t begin, int64_t end,
                          int64_t each) {
  return Range(static_cast<const V*>(data), begin * each, (end - begin) * each);
}

}  // namespace

Mask::Mask(const void* flags, int64_t count, bool uniform)
    : bytes_(static_cast<const uint8_t*>(flags)), uniform_(uniform) {
  const uint8_t* const end = bytes_ + count;
  if (std::all_of(bytes_, end, [](uint8_t byte) { return byte <= 1; })) return;
  normalized_.reserve(static_cast<size_t>(count));
  std::transform(bytes_, end, std::back_inserter(normalized_),
                 [](uint8_t byte) { return uint8_t{byte != 0}; });
  bytes_ = normalized_.data();
}

rust::Slice<const bool> Mask::Of(int64_t begin, int64_t end,
                                 int64_t each) const {
  // Every byte is 0 or 1: see the constructor.
  return uniform_ ? Part<bool>(bytes_, 0, 1, 1)
                  : Part<bool>(bytes_, begin, end, each);
}

template <typename T>
HostBatch<T>::HostBatch(const HostBuffers& buffers)
    : buffers_(buffers),
      row_mask_(
          buffers.row_mask,
          buffers.row_mask_is_uniform ? 1 : buffers.problems * buffers.rows,
          buffers.row_mask_is_uniform),
      col_mask_(
          buffers.col_mask,
          buffers.col_mask_is_uniform ? 1 : buffers.problems * buffers.cols,
          buffers.col_mask_is_uniform) {
#ifdef HUNGARIAN_FAULT_INJECTION
  Strike("");
#endif
}

template <typename T>
Batch HostBatch<T>::Of(int64_t begin, int64_t end) const {
  return Batch{end - begin,
               buffers_.rows,
               buffers_.cols,
               row_mask_.Of(begin, end, buffers_.rows),
               col_mask_.Of(begin, end, buffers_.cols),
               buffers_.maximize};
}

template <typename T>
auto HostBatch<T>::Costs(int64_t begin, int64_t end) const
    -> rust::Slice<const typename Entry::Bits> {
  return Part<typename Entry::Bits>(buffers_.cost, begin, end,
                                    buffers_.rows * buffers_.cols);
}

template <typename T>
auto HostBatch<T>::Limits(int64_t begin, int64_t end) const
    -> rust::Slice<const typename Entry::Real> {
  using Real = typename Entry::Real;
  return buffers_.cost_limit_is_uniform
             ? Part<Real>(buffers_.cost_limit, 0, 1, 1)
             : Part<Real>(buffers_.cost_limit, begin, end, 1);
}

template <typename T>
absl::Status HostBatch<T>::Solve(int64_t begin, int64_t end) const {
#ifdef HUNGARIAN_FAULT_INJECTION
  Strike("_in_worker");
#endif
  using Real = typename Entry::Real;
  const int64_t rows = buffers_.rows;
  const int64_t cols = buffers_.cols;
  typename Entry::Outputs outputs{
      Part<Real>(buffers_.total_cost, begin, end, 1),
      Part<int32_t>(buffers_.row_to_col, begin, end, rows),
      Part<int32_t>(buffers_.col_to_row, begin, end, cols),
      Part<Real>(buffers_.row_duals, begin, end, rows),
      Part<Real>(buffers_.col_duals, begin, end, cols),
      Part<int32_t>(buffers_.status, begin, end, 1)};
  return ToStatus(Entry::kSolve(Of(begin, end), Costs(begin, end),
                                Limits(begin, end), outputs));
}

template <typename T>
absl::Status HostBatch<T>::Validate(absl::Span<const int64_t> dims) const {
  const int64_t problems = buffers_.problems;
  const int32_t* const verdicts = static_cast<const int32_t*>(buffers_.status);
  if (std::all_of(verdicts, verdicts + problems,
                  [](int32_t code) { return code == 0; })) {
    return absl::OkStatus();
  }
  return ToStatus(
      Entry::kDescribe(Of(0, problems), Costs(0, problems), Limits(0, problems),
                       rust::Slice<const int64_t>(dims.data(), dims.size()),
                       Range(verdicts, 0, problems)));
}

template <typename T>
bool HostBatch<T>::IsFirstLimitNan() const {
  using Real = typename Entry::Real;
  return buffers_.problems > 0 &&
         std::isnan(*static_cast<const Real*>(buffers_.cost_limit));
}

template <typename T>
int64_t HostBatch<T>::cycles_per_problem() const {
  return std::max<int64_t>(
      1, hungarian::cycles_per_problem(buffers_.rows, buffers_.cols));
}

template <typename T>
bool HostBatch<T>::IsSmall() const {
  return buffers_.problems <= kCyclesWorthSharing / cycles_per_problem();
}

template class HostBatch<Eigen::half>;
template class HostBatch<Eigen::bfloat16>;
template class HostBatch<float>;
template class HostBatch<double>;

}  // namespace hungarian
