// One problem of a batch, as the solver sees it: a minimisation with no more
// rows than columns.
//
// Nothing is renumbered. Where more rows exist than columns the two change
// places. Rows and columns that a mask hides keep their indices, and take no
// part: such a row is never tried, and such a column's dual is -inf, so that no
// pair with it is ever cheap.

#ifndef CUDA_PROBLEM_H_
#define CUDA_PROBLEM_H_

#include "parameters.h"
#include "team.h"

// Status codes. Negative ones are used between the kernels only.
enum Status : int {
  kOptimal = 0,
  kInfeasible = 1,
  kInvalid = 2,
  // Solved in f32, not yet proven.
  kSearched = -1,
  // Left to f64 altogether.
  kNotSearched = -2,
};

// In place of a partner.
enum Partner : short {
  // The row is to be matched, the column is free.
  kUnmatched = -1,
  // The row takes no part: it does not exist, or it is better off unmatched,
  // for good.
  kOut = -2,
};

// An array of this block, where the plan has put it; nullptr if it is nowhere.
template <typename V>
__device__ inline V* Find(const Parameters& parameters, const Place& place) {
  if (place.memory == kNowhere) {
    return nullptr;
  }
  unsigned char* const begin =
      place.memory == kShared
          ? SharedMemory()
          : parameters.workspace + blockIdx.x * parameters.workspace_per_block;
  return reinterpret_cast<V*>(begin + place.offset);
}

// How many costs of a column a thread loads at the same time: as many as the
// threads of a multiprocessor need to keep its memory busy, as far as there are
// registers for them.
#if __CUDA_ARCH__ >= 800
template <typename V>
constexpr int kRowsAtOnce = sizeof(V) > sizeof(float) ? 8 : 16;
#else
template <typename V>
constexpr int kRowsAtOnce = 8;
#endif

// Which rows (or columns) of a problem exist.
struct Mask {
  const unsigned char* flags;
  // There is one flag for all; that flag is true.
  bool is_uniform;
  bool is_true;

  __device__ Mask(const unsigned char* flags, bool is_uniform)
      : flags(flags),
        is_uniform(is_uniform),
        is_true(is_uniform && flags[0] != 0) {}

  __device__ bool Exists(int index) const {
    return is_uniform ? is_true : flags[index] != 0;
  }
  // A bit for each of kCount indices from `first` on. Those beyond `last` count
  // as `last`.
  template <int kCount>
  __device__ unsigned Bits(int first, int last) const {
    unsigned bits = is_true ? 0xffffffffu : 0u;
    if (!is_uniform) {
#pragma unroll
      for (int place = 0; place < kCount; ++place) {
        const bool exists = flags[Smaller(first + place, last)] != 0;
        bits |= exists ? 1u << place : 0u;
      }
    }
    return bits;
  }
};

// A problem's shape, seen so that no more rows exist than columns.
struct Frame {
  long long problem;
  // Numbers of rows and columns, and how many of them exist.
  int rows;
  int cols;
  int existing_rows;
  int existing_cols;
  Mask row_mask;
  Mask col_mask;
  // The user's rows are the columns here.
  bool is_transposed;
  // L in the sense of minimising; +inf: none. May be NaN. Once it is capped,
  // what it counts as.
  double limit;
  // Half of what was cut off L, in the user's scale.
  double half_excess;

  // Beyond this size a limit can no longer change which matchings are optimal.
  // A larger limit counts as this size: in a sum with it, costs would lose
  // digits. Where all costs are 0, no limit is too large.
  __device__ void CapLimit(double largest_cost) {
    const double most = 4.0 * (existing_rows + 1.0) * largest_cost;
    if (HasLimit() && largest_cost > 0.0) {
      const double capped = Larger(-most, Smaller(limit, most));
      half_excess = (limit - capped) / 2.0;
      limit = capped;
    }
  }
  // max(|c|, |L|), once the limit is capped.
  __device__ double Largest(double largest_cost) const {
    return HasLimit() ? Larger(largest_cost, fabs(limit)) : largest_cost;
  }

  __device__ bool HasLimit() const { return limit < InfinityOfDouble(); }
  // Do all columns end up matched?
  __device__ bool IsBalanced() const {
    return existing_rows == existing_cols && !HasLimit();
  }
  // What v may not exceed, and equals where a column is unmatched; see
  // solver.h.
  __device__ double ColumnCeiling() const {
    return HasLimit() ? limit / 2.0 : 0.0;
  }
  __device__ double RowCeiling() const {
    return HasLimit() ? limit / 2.0 : InfinityOfDouble();
  }
};

template <typename Real>
__device__ inline double LimitOf(const DeviceBatch& batch, long long problem) {
  const Real* const limits = static_cast<const Real*>(batch.cost_limit);
  const double limit = limits[batch.cost_limit_is_uniform != 0 ? 0 : problem] *
                       (batch.maximize != 0 ? -1.0 : 1.0);
  // Either infinity means that there is none.
  return limit == -InfinityOfDouble() ? InfinityOfDouble() : limit;
}

template <class TeamType>
__device__ int CountExisting(TeamType& team, const Mask& mask, int length) {
  if (mask.is_uniform) {
    return mask.Exists(0) ? length : 0;
  }
  int count = 0;
  for (int index = team.thread(); index < length; index += team.threads()) {
    count += mask.Exists(index) ? 1 : 0;
  }
  return team.Reduce(count, 0, [](int a, int b) { return a + b; });
}

template <typename Real, class TeamType>
__device__ Frame FrameOf(TeamType& team, const DeviceBatch& batch,
                         long long problem) {
  const int rows = static_cast<int>(batch.rows);
  const int cols = static_cast<int>(batch.cols);
  const bool one_for_rows = batch.row_mask_is_uniform != 0;
  const bool one_for_cols = batch.col_mask_is_uniform != 0;
  const Mask row_mask(
      batch.row_mask + (one_for_rows ? 0 : problem * batch.rows), one_for_rows);
  const Mask col_mask(
      batch.col_mask + (one_for_cols ? 0 : problem * batch.cols), one_for_cols);
  const int existing_rows = CountExisting(team, row_mask, rows);
  const int existing_cols = CountExisting(team, col_mask, cols);
  const double limit = LimitOf<Real>(batch, problem);
  if (existing_rows > existing_cols) {
    return {problem,  cols,     rows, existing_cols, existing_rows,
            col_mask, row_mask, true, limit,         0.0};
  }
  return {problem,  rows,     cols,  existing_rows, existing_cols,
          row_mask, col_mask, false, limit,         0.0};
}

// The outputs of a problem, rows and columns as in its frame.
template <typename Real>
struct Answer {
  Real* total_cost;
  int* status;
  int* col_of_row;
  int* row_of_col;
  Real* row_duals;
  Real* col_duals;

  __device__ Answer(const DeviceBatch& batch, const Frame& frame) {
    const long long first_row = frame.problem * batch.rows;
    const long long first_col = frame.problem * batch.cols;
    total_cost = static_cast<Real*>(batch.total_cost) + frame.problem;
    status = batch.status + frame.problem;
    col_of_row = batch.row_to_col + first_row;
    row_of_col = batch.col_to_row + first_col;
    row_duals = static_cast<Real*>(batch.row_duals) + first_row;
    col_duals = static_cast<Real*>(batch.col_duals) + first_col;
    if (frame.is_transposed) {
      int* const partners = col_of_row;
      col_of_row = row_of_col;
      row_of_col = partners;
      Real* const duals = row_duals;
      row_duals = col_duals;
      col_duals = duals;
    }
  }
};

// Writes the outputs of a problem without an answer: nothing is matched.
template <typename Real, class TeamType>
__device__ void WriteBad(const TeamType& team, const Frame& frame,
                         const Answer<Real>& answer, Status status,
                         double total) {
  for (int row = team.thread(); row < frame.rows; row += team.threads()) {
    answer.col_of_row[row] = kUnmatched;
    answer.row_duals[row] = 0;
  }
  for (int col = team.thread(); col < frame.cols; col += team.threads()) {
    answer.row_of_col[col] = kUnmatched;
    answer.col_duals[col] = 0;
  }
  if (team.thread() == 0) {
    *answer.total_cost = static_cast<Real>(total);
    *answer.status = status;
  }
}

// The costs of one problem as the solver reads them, rows and columns as in its
// frame: the user's where they lie, or a copy in another order or type.
template <typename Entry>
struct Costs {
  const Entry* first;
  // From a row to the next. 32 bits suffice for the place of an entry among
  // those of one problem, and are multiplied in one instruction.
  int stride;
  // What turns entries into costs to be minimised: 1, -1, or that times a power
  // of two.
  Entry factor;

  __device__ const Entry* Row(int row) const { return first + row * stride; }
  // What an entry counts as.
  template <typename R>
  __device__ R Cost(Entry entry) const {
    return Number<R>::From(entry * factor);
  }
  template <typename R>
  __device__ R At(const Entry* line, int col) const {
    return Cost<R>(line[col]);
  }
  template <typename R>
  __device__ R Get(int row, int col) const {
    return At<R>(Row(row), col);
  }
};

// The user's costs may be read where they lie if they are of that type, and the
// user's rows are the rows here.
template <typename T, typename Entry>
__device__ inline bool AreReadInPlace(const Frame& frame) {
  return IsSame<T, Entry>::value && !frame.is_transposed;
}

// From a row of the problem's copy to the next.
__device__ inline int CopyStride(const Parameters& parameters,
                                 const Frame& frame) {
  return static_cast<int>(frame.is_transposed
                              ? parameters.transposed_copy_stride
                              : parameters.copy_stride);
}

// What a first look at the costs finds.
struct Survey {
  // No existing entry is NaN or an infinity of the wrong sign.
  bool is_valid;
  // Largest magnitude of the allowed costs.
  double largest;
};

// Where a thread begins in a pass over all costs, and how far it steps: it
// looks at some columns, at all their rows or, where there are threads to
// spare, at some of them, kAtOnce rows at a time.
struct Part {
  int first_col;
  int col_step;
  int first_row;
  int row_step;
};

template <int kAtOnce, class TeamType>
__device__ inline Part PartOf(const TeamType& team, int cols) {
  int width = team.threads();
  int shares = 1;
  int share = 0;
  int first_col = team.thread();
  while (width >= 2 * cols && width % 2 == 0) {
    width /= 2;
    shares *= 2;
    share = 2 * share + (first_col >= width ? 1 : 0);
    first_col -= first_col >= width ? width : 0;
  }
  return {first_col, width, share * kAtOnce, shares * kAtOnce};
}

// Calls action(first, costs) for kRowsAtOnce rows at a time; in place of rows
// behind the last one it gets the last one's cost again. The next costs are on
// their way, not yet converted, while the action looks at those before.
template <typename V, class LoadCost, class Action>
__device__ inline void ForEachCostOfColumn(int first, int step, int rows,
                                           int stride, LoadCost load_cost,
                                           Action action) {
  if (first >= rows) {
    return;
  }
  constexpr int kAtOnce = kRowsAtOnce<V>;
  const int last = (rows - 1) * stride;
  V ahead[kAtOnce];
#pragma unroll
  for (int place = 0; place < kAtOnce; ++place) {
    ahead[place] = load_cost(Smaller((first + place) * stride, last));
  }
  for (; first < rows; first += step) {
    V costs[kAtOnce];
    const int next = (first + step) * stride;
#pragma unroll
    for (int place = 0; place < kAtOnce; ++place) {
      costs[place] = ahead[place];
      ahead[place] = load_cost(Smaller(next + place * stride, last));
    }
    action(first, costs);
  }
}

// Looks at all existing costs, in the order in which they lie, and copies them,
// times `factor`, unless `copy` is null. `stride`: as of Costs.
template <typename T, typename Entry, class TeamType>
__device__ Survey Look(TeamType& team, const Frame& frame, const T* user,
                       double factor, Entry* copy, int stride) {
  const int rows = frame.is_transposed ? frame.cols : frame.rows;
  const int cols = frame.is_transposed ? frame.rows : frame.cols;
  const Mask row_mask = frame.is_transposed ? frame.col_mask : frame.row_mask;
  const Mask col_mask = frame.is_transposed ? frame.row_mask : frame.col_mask;
  const int row_step = frame.is_transposed ? 1 : stride;
  const int col_step = frame.is_transposed ? stride : 1;
  // f64 only where costs are: it is slow on most cards.
  using Wide = typename TypesOf<T>::Exact;
  const Wide narrow_factor = static_cast<Wide>(factor);
  const Wide infinity = Number<Wide>::Infinity();
  bool is_valid = true;
  Wide largest = 0;
  constexpr int kAtOnce = kRowsAtOnce<T>;
  const Part part = PartOf<kAtOnce>(team, cols);
  for (int col = part.first_col; col < cols; col += part.col_step) {
    const bool col_exists = col_mask.Exists(col);
    const T* const column = user + col;
    ForEachCostOfColumn<T>(
        part.first_row, part.row_step, rows, cols,
        [column](int place) { return Load(column + place); },
        [&](int first, const T* costs) {
          const unsigned exist =
              col_exists ? row_mask.Bits<kAtOnce>(first, rows - 1) : 0u;
#pragma unroll
          for (int place = 0; place < kAtOnce; ++place) {
            const Wide cost = Widen(costs[place]) * narrow_factor;
            const Wide seen = (exist >> place & 1) != 0 ? cost : 0;
            const Wide magnitude = seen < 0 ? -seen : seen;
            // False for NaN.
            is_valid &= seen > -infinity;
            largest = Larger(largest, magnitude < infinity ? magnitude : 0);
            if (copy != nullptr) {
              const int row = Smaller(first + place, rows - 1);
              copy[row * row_step + col * col_step] = static_cast<Entry>(cost);
            }
          }
        });
  }
  const Wide all = team.Reduce(largest, static_cast<Wide>(0),
                               [](Wide a, Wide b) { return Larger(a, b); });
  return {!team.Any(!is_valid), static_cast<double>(all)};
}

#endif  // CUDA_PROBLEM_H_
