// No exception leaves a kernel: each becomes a Status.

#ifndef HUNGARIAN_TF_OP_WITHOUT_EXCEPTIONS_H_
#define HUNGARIAN_TF_OP_WITHOUT_EXCEPTIONS_H_

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace hungarian {

// What `work` returns. TensorFlow and XLA expect no exception from a kernel,
// and one that left a thread of one of their pools would end the process.
template <typename Work>
absl::Status WithoutExceptions(const Work& work) noexcept {
  try {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("HungarianAssignment: out of memory");
    } catch (const std::exception& error) {
      return absl::InternalError(absl::StrCat(
          "HungarianAssignment: unexpected exception: ", error.what()));
    } catch (...) {
      return absl::InternalError("HungarianAssignment: unexpected exception");
    }
  } catch (...) {
    // No memory for a sentence either; without one nothing is allocated.
    return absl::Status(absl::StatusCode::kResourceExhausted, "");
  }
}

}  // namespace hungarian

#endif  // HUNGARIAN_TF_OP_WITHOUT_EXCEPTIONS_H_
