// The bridge (src/op/bridge.rs) from the side that calls it: every entry point,
// every kind of argument, and what no caller should send. tests/cpp/run.sh runs
// this plainly, under sanitizers and under valgrind.
//
// Usage: boundary [PROBLEMS [SIZE]]: random problems for each cost type, and
// the size of the large ones.
//
// Valgrind does not model the processor's "inexact" flag, by which the solver
// knows that f64 was not enough. All costs here are whole numbers, so that this
// flag never matters and every sum of the oracle is exact.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hungarian-loss/src/op/bridge.rs.h"
#include "rust/cxx.h"

namespace {

using hungarian::Batch;
using hungarian::DoubleOutputs;
using hungarian::ErrorKind;
using hungarian::FloatOutputs;
using hungarian::Outcome;

// Not assert: these must hold in every build.
#define CHECK(condition)                         \
  do {                                           \
    if (!(condition)) {                          \
      std::cerr << __FILE__ << ":" << __LINE__   \
                << ": not so: " #condition "\n"; \
      std::exit(1);                              \
    }                                            \
  } while (false)

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int32_t kOptimal = 0;
constexpr int32_t kInfeasible = 1;
constexpr int32_t kInvalid = 2;

// The cost types: how a cost crosses the bridge, and what the answers are in.

uint32_t FloatBits(double value) {
  const float narrow = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &narrow, sizeof(bits));
  return bits;
}

struct Half {
  using Bits = uint16_t;
  using Real = float;
  using Outputs = FloatOutputs;
  static constexpr auto kSolve = hungarian::solve_half;
  static constexpr auto kDescribe = hungarian::describe_half;
  // Right for what half holds exactly in its normal range.
  static Bits Encode(double value) {
    const uint32_t bits = FloatBits(value);
    const uint32_t sign = bits >> 16 & 0x8000;
    if (value == 0) return sign;
    if (std::isnan(value)) return 0x7e00;
    if (std::isinf(value)) return sign | 0x7c00;
    return sign | (((bits >> 23 & 0xff) - 127 + 15) << 10) |
           (bits >> 13 & 0x3ff);
  }
};

struct Bfloat16 {
  using Bits = uint16_t;
  using Real = float;
  using Outputs = FloatOutputs;
  static constexpr auto kSolve = hungarian::solve_bfloat16;
  static constexpr auto kDescribe = hungarian::describe_bfloat16;
  static Bits Encode(double value) { return FloatBits(value) >> 16; }
};

struct Float {
  using Bits = float;
  using Real = float;
  using Outputs = FloatOutputs;
  static constexpr auto kSolve = hungarian::solve_float;
  static constexpr auto kDescribe = hungarian::describe_float;
  static Bits Encode(double value) { return static_cast<float>(value); }
};

struct Double {
  using Bits = double;
  using Real = double;
  using Outputs = DoubleOutputs;
  static constexpr auto kSolve = hungarian::solve_double;
  static constexpr auto kDescribe = hungarian::describe_double;
  static Bits Encode(double value) { return value; }
};

// A buffer on the heap of exactly its size, so that one step outside is seen.
// Its content is left undefined: valgrind then sees what is read unwritten.
template <typename V>
struct Buffer {
  explicit Buffer(size_t count) : size(count), data(new V[count]) {}
  rust::Slice<V> Write() { return {data.get(), size}; }
  rust::Slice<const V> Read() const { return {data.get(), size}; }
  V& operator[](size_t index) { return data[index]; }
  const V& operator[](size_t index) const { return data[index]; }

  size_t size;
  std::unique_ptr<V[]> data;
};

template <typename T>
struct Answer {
  using Real = typename T::Real;
  Answer(int64_t problems, int64_t rows, int64_t cols)
      : total_cost(problems),
        row_to_col(problems * rows),
        col_to_row(problems * cols),
        row_duals(problems * rows),
        col_duals(problems * cols),
        status(problems) {}
  typename T::Outputs Outputs() {
    return {total_cost.Write(), row_to_col.Write(), col_to_row.Write(),
            row_duals.Write(),  col_duals.Write(),  status.Write()};
  }

  Buffer<Real> total_cost;
  Buffer<int32_t> row_to_col;
  Buffer<int32_t> col_to_row;
  Buffer<Real> row_duals;
  Buffer<Real> col_duals;
  Buffer<int32_t> status;
};

// A batch that owns its data. A mask of size 1 is one flag for all; limits
// likewise.
struct Input {
  Input(int64_t problems, int64_t rows, int64_t cols)
      : problems(problems),
        rows(rows),
        cols(cols),
        cost(problems * rows * cols, 0.0),
        row_mask(1),
        col_mask(1) {
    row_mask[0] = col_mask[0] = true;
  }

  bool RowExists(int64_t problem, int64_t row) const {
    return row_mask.size == 1 ? row_mask[0] : row_mask[problem * rows + row];
  }
  bool ColExists(int64_t problem, int64_t col) const {
    return col_mask.size == 1 ? col_mask[0] : col_mask[problem * cols + col];
  }
  double Cost(int64_t problem, int64_t row, int64_t col) const {
    return cost[(problem * rows + row) * cols + col];
  }
  Batch Header() const {
    return {problems, rows, cols, row_mask.Read(), col_mask.Read(), maximize};
  }
  double Limit(int64_t problem) const {
    return limits[limits.size() == 1 ? 0 : problem];
  }
  template <typename T>
  Buffer<typename T::Real> Limits() const {
    Buffer<typename T::Real> rounded(limits.size());
    std::copy(limits.begin(), limits.end(), rounded.data.get());
    return rounded;
  }

  // The costs as they cross the bridge. What does not exist stays unwritten.
  template <typename T>
  Buffer<typename T::Bits> Encode() const {
    Buffer<typename T::Bits> bits(cost.size());
    for (int64_t problem = 0; problem < problems; ++problem) {
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t col = 0; col < cols; ++col) {
          if (RowExists(problem, row) && ColExists(problem, col)) {
            bits[(problem * rows + row) * cols + col] =
                T::Encode(Cost(problem, row, col));
          }
        }
      }
    }
    return bits;
  }

  int64_t problems;
  int64_t rows;
  int64_t cols;
  std::vector<double> cost;
  Buffer<bool> row_mask;
  Buffer<bool> col_mask;
  std::vector<double> limits = {kInfinity};
  bool maximize = false;
};

template <typename T>
Answer<T> Solve(const Input& input) {
  const auto bits = input.Encode<T>();
  Answer<T> answer(input.problems, input.rows, input.cols);
  auto outputs = answer.Outputs();
  const auto limits = input.Limits<T>();
  const Outcome outcome =
      T::kSolve(input.Header(), bits.Read(), limits.Read(), outputs);
  CHECK(outcome.kind == ErrorKind::None);
  CHECK(outcome.message.empty());
  return answer;
}

// The oracle: all ways to match, in the sense of minimising. The objective is
// doubled, so that half a limit is a whole number.
class BruteForce {
 public:
  BruteForce(const Input& input, int64_t problem)
      : input_(input), problem_(problem) {
    for (int64_t row = 0; row < input.rows; ++row) {
      if (input.RowExists(problem, row)) rows_.push_back(row);
    }
    for (int64_t col = 0; col < input.cols; ++col) {
      if (input.ColExists(problem, col)) cols_.push_back(col);
    }
    taken_.resize(cols_.size());
    Extend(0, 0, 0);
  }

  // +inf if nothing is allowed.
  double DoubledOptimum() const { return best_; }

  double DoubledObjective(double sum, size_t matched) const {
    const size_t required = std::min(rows_.size(), cols_.size());
    const double limit = input_.Limit(problem_);
    if (std::isinf(limit)) return matched < required ? kInfinity : 2 * sum;
    const size_t unmatched = rows_.size() + cols_.size() - 2 * matched;
    return 2 * sum + Sign() * limit * static_cast<double>(unmatched);
  }

  double Sign() const { return input_.maximize ? -1 : 1; }
  bool Invalid() const {
    bool invalid = std::isnan(input_.Limit(problem_));
    for (const int64_t row : rows_) {
      for (const int64_t col : cols_) {
        const double cost = Sign() * input_.Cost(problem_, row, col);
        invalid = invalid || std::isnan(cost) || cost == -kInfinity;
      }
    }
    return invalid;
  }

 private:
  void Extend(size_t row, size_t matched, double sum) {
    if (row == rows_.size()) {
      best_ = std::min(best_, DoubledObjective(sum, matched));
      return;
    }
    Extend(row + 1, matched, sum);
    for (size_t col = 0; col < cols_.size(); ++col) {
      const double cost =
          Sign() * input_.Cost(problem_, rows_[row], cols_[col]);
      if (taken_[col] || !std::isfinite(cost)) continue;
      taken_[col] = true;
      Extend(row + 1, matched + 1, sum + cost);
      taken_[col] = false;
    }
  }

  const Input& input_;
  int64_t problem_;
  std::vector<int64_t> rows_;
  std::vector<int64_t> cols_;
  std::vector<bool> taken_;
  double best_ = kInfinity;
};

// Holds one answer to the oracle. Whole costs leave no room for tolerances.
template <typename T>
void CheckProblem(const Input& input, const Answer<T>& answer,
                  int64_t problem) {
  const BruteForce oracle(input, problem);
  const double optimum = oracle.DoubledOptimum();
  const double total = answer.total_cost[problem];
  size_t matched = 0;
  double sum = 0;
  for (int64_t row = 0; row < input.rows; ++row) {
    const int32_t col = answer.row_to_col[problem * input.rows + row];
    if (col == -1) continue;
    CHECK(0 <= col && col < input.cols);
    CHECK(input.RowExists(problem, row) && input.ColExists(problem, col));
    CHECK(answer.col_to_row[problem * input.cols + col] == row);
    sum += input.Cost(problem, row, col);
    ++matched;
  }
  size_t matched_cols = 0;
  for (int64_t col = 0; col < input.cols; ++col) {
    matched_cols += answer.col_to_row[problem * input.cols + col] != -1;
  }
  CHECK(matched == matched_cols);
  double dual_sum = 0;
  for (int64_t row = 0; row < input.rows; ++row) {
    dual_sum += answer.row_duals[problem * input.rows + row];
  }
  for (int64_t col = 0; col < input.cols; ++col) {
    dual_sum += answer.col_duals[problem * input.cols + col];
  }
  if (oracle.Invalid()) {
    CHECK(answer.status[problem] == kInvalid);
    CHECK(matched == 0 && dual_sum == 0 && std::isnan(total));
  } else if (optimum == kInfinity) {
    CHECK(answer.status[problem] == kInfeasible);
    CHECK(matched == 0 && dual_sum == 0);
    CHECK(total == oracle.Sign() * kInfinity);
  } else {
    CHECK(answer.status[problem] == kOptimal);
    CHECK(total == sum);
    CHECK(oracle.DoubledObjective(oracle.Sign() * sum, matched) == optimum);
    CHECK(2 * oracle.Sign() * dual_sum == optimum);
  }
}

using Random = std::mt19937_64;

int64_t Below(Random& random, int64_t bound) {
  return static_cast<int64_t>(random() % static_cast<uint64_t>(bound));
}

Input Draw(Random& random) {
  Input input(Below(random, 4), Below(random, 6), Below(random, 6));
  input.maximize = Below(random, 2) == 0;
  const double forbidden = input.maximize ? -kInfinity : kInfinity;
  const int64_t forbidden_in_ten = Below(random, 3) == 0 ? Below(random, 8) : 0;
  const bool spoiled = Below(random, 10) == 0;
  for (double& cost : input.cost) {
    cost = static_cast<double>(Below(random, 21) - 10);
    if (Below(random, 10) < forbidden_in_ten) cost = forbidden;
    if (spoiled && Below(random, 20) == 0) cost = kNan;
    if (spoiled && Below(random, 20) == 0) cost = -forbidden;
  }
  for (Buffer<bool>* mask : {&input.row_mask, &input.col_mask}) {
    const int64_t length = mask == &input.row_mask ? input.rows : input.cols;
    const int64_t kind = Below(random, 4);
    if (kind == 0) (*mask)[0] = false;
    if (kind >= 2) continue;
    *mask = Buffer<bool>(input.problems * length);
    for (size_t index = 0; index < mask->size; ++index) {
      (*mask)[index] = Below(random, 3) > 0;
    }
  }
  if (Below(random, 3) == 0) {
    input.limits.resize(static_cast<size_t>(input.problems));
  }
  for (double& limit : input.limits) {
    const int64_t kind = Below(random, 4);
    limit = kInfinity;
    if (kind == 0) limit = static_cast<double>(Below(random, 21) - 10);
    if (kind == 1) limit = -kInfinity;
    if (Below(random, 40) == 0) limit = kNan;
  }
  return input;
}

template <typename T>
void RandomProblems(int64_t count) {
  Random random(1);
  for (int64_t index = 0; index < count; ++index) {
    const Input input = Draw(random);
    const Answer<T> answer = Solve<T>(input);
    bool bad = false;
    for (int64_t problem = 0; problem < input.problems; ++problem) {
      CheckProblem(input, answer, problem);
      bad = bad || answer.status[problem] != kOptimal;
    }
    const int64_t dims[] = {input.problems};
    const Outcome described =
        T::kDescribe(input.Header(), input.Encode<T>().Read(),
                     input.Limits<T>().Read(), {dims, 1}, answer.status.Read());
    CHECK(described.kind ==
          (bad ? ErrorKind::InvalidArgument : ErrorKind::None));
    CHECK(described.message.empty() == !bad);
  }
}

template <typename T>
void ZeroSizes() {
  for (const int64_t problems : {0, 1, 3}) {
    for (const int64_t rows : {0, 2}) {
      for (const int64_t cols : {0, 2}) {
        const Input input(problems, rows, cols);
        const Answer<T> answer = Solve<T>(input);
        for (int64_t problem = 0; problem < problems; ++problem) {
          CheckProblem(input, answer, problem);
        }
      }
    }
  }
  // Empty buffers need not point anywhere.
  const bool all = true;
  typename T::Outputs nothing{};
  const Batch batch{0, 0, 0, {&all, 1}, {&all, 1}, false};
  CHECK(T::kSolve(batch, {}, {}, nothing).kind == ErrorKind::None);
  CHECK(T::kDescribe(batch, {}, {}, {}, {}).kind == ErrorKind::None);
}

// Sizes that do not fit together must be errors, whatever the buffers hold.
template <typename T>
void WrongSizes() {
  constexpr int64_t kProblems = 2;
  constexpr int64_t kRows = 3;
  constexpr int64_t kCols = 4;
  const auto refused = [](int64_t problems, int64_t rows, int64_t cols,
                          int buffer, int64_t change) {
    // Buffer by buffer: how much longer than it should be.
    const auto size = [&](int index, int64_t right) {
      return static_cast<size_t>(right + (index == buffer ? change : 0));
    };
    Buffer<typename T::Bits> cost(size(0, kProblems * kRows * kCols));
    Buffer<bool> row_mask(size(1, kProblems * kRows));
    Buffer<bool> col_mask(size(2, kProblems * kCols));
    Buffer<typename T::Real> limit(size(9, kProblems));
    std::fill_n(cost.data.get(), cost.size, T::Encode(1));
    std::fill_n(limit.data.get(), limit.size, 1);
    std::fill_n(row_mask.data.get(), row_mask.size, true);
    std::fill_n(col_mask.data.get(), col_mask.size, true);
    Answer<T> answer(0, 0, 0);
    answer.total_cost = Buffer<typename T::Real>(size(3, kProblems));
    answer.row_to_col = Buffer<int32_t>(size(4, kProblems * kRows));
    answer.col_to_row = Buffer<int32_t>(size(5, kProblems * kCols));
    answer.row_duals = Buffer<typename T::Real>(size(6, kProblems * kRows));
    answer.col_duals = Buffer<typename T::Real>(size(7, kProblems * kCols));
    answer.status = Buffer<int32_t>(size(8, kProblems));
    // The last status is bad: where there is one too many, describing it would
    // look past all problems.
    std::fill_n(answer.status.data.get(), answer.status.size, kOptimal);
    answer.status[answer.status.size - 1] = kInvalid;
    auto outputs = answer.Outputs();
    const Batch batch{problems,        rows, cols, row_mask.Read(),
                      col_mask.Read(), false};
    const Outcome outcome =
        T::kSolve(batch, cost.Read(), limit.Read(), outputs);
    // Describing is refused as well, or says what is wrong with the last
    // problem, an error of the same kind.
    const Outcome described = T::kDescribe(batch, cost.Read(), limit.Read(), {},
                                           answer.status.Read());
    CHECK(described.kind == outcome.kind);
    if (outcome.kind == ErrorKind::None) return false;
    CHECK(outcome.kind == ErrorKind::InvalidArgument);
    CHECK(!outcome.message.empty());
    return true;
  };
  constexpr int kNone = -1;
  CHECK(!refused(kProblems, kRows, kCols, kNone, 0));
  for (int buffer = 0; buffer < 10; ++buffer) {
    // One limit less than two is one for all.
    CHECK(refused(kProblems, kRows, kCols, buffer, buffer == 9 ? -2 : -1));
    CHECK(refused(kProblems, kRows, kCols, buffer, 1));
  }
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  for (const int64_t size : {int64_t{-1}, kLeast, kMost, int64_t{1} << 31,
                             int64_t{1} << 32, int64_t{1} << 62, int64_t{0}}) {
    CHECK(refused(size, kRows, kCols, kNone, 0));
    CHECK(refused(kProblems, size, kCols, kNone, 0));
    CHECK(refused(kProblems, kRows, size, kNone, 0));
    CHECK(refused(size, size, size, kNone, 0));
    CHECK(hungarian::cycles_per_problem(size, size) >= 0);
  }
}

// Too large for brute force: held to a known optimum and to the duals.
template <typename T>
void LargeProblems(int64_t size) {
  // c_ij = i·j is the worst case for augmenting paths.
  Input products(1, size, size);
  for (int64_t row = 0; row < size; ++row) {
    for (int64_t col = 0; col < size; ++col) {
      products.cost[row * size + col] =
          static_cast<double>((row + 1) * (col + 1));
    }
  }
  const auto worst = Solve<T>(products);
  CHECK(worst.status[0] == kOptimal);
  CHECK(worst.total_cost[0] ==
        static_cast<double>(size * (size + 1) * (size + 2) / 6));

  Random random(2);
  for (const auto& [rows, cols] :
       {std::pair(size, size + size / 2), std::pair(size + size / 2, size)}) {
    Input input(1, rows, cols);
    for (double& cost : input.cost) {
      cost = static_cast<double>(Below(random, 1000));
    }
    const auto answer = Solve<T>(input);
    CHECK(answer.status[0] == kOptimal);
    double sum = 0;
    double dual_sum = 0;
    int64_t matched = 0;
    for (int64_t row = 0; row < rows; ++row) {
      dual_sum += answer.row_duals[row];
      for (int64_t col = 0; col < cols; ++col) {
        const double cost = input.Cost(0, row, col);
        const double duals = answer.row_duals[row] + answer.col_duals[col];
        CHECK(duals <= cost);
        if (answer.row_to_col[row] != col) continue;
        CHECK(answer.col_to_row[col] == row);
        CHECK(duals == cost);
        sum += cost;
        ++matched;
      }
    }
    for (int64_t col = 0; col < cols; ++col) dual_sum += answer.col_duals[col];
    const auto& longer = rows < cols ? answer.col_duals : answer.row_duals;
    for (size_t index = 0; index < longer.size; ++index) {
      CHECK(longer[index] <= 0);
    }
    CHECK(matched == size);
    CHECK(answer.total_cost[0] == sum);
    CHECK(dual_sum == sum);
  }
}

// Many threads read one input and write disjoint parts of one output, as
// TensorFlow's do, and all answers are those of one thread.
void ManyThreads() {
  constexpr int64_t kThreads = 8;
  constexpr int64_t kEach = 12;
  constexpr int64_t kRows = 5;
  constexpr int64_t kCols = 4;
  Random random(3);
  Input input(kThreads * kEach, kRows, kCols);
  for (double& cost : input.cost) {
    cost = static_cast<double>(Below(random, 9));
  }
  input.limits = {8};
  const auto bits = input.Encode<Float>();
  const auto limits = input.Limits<Float>();
  const auto alone = Solve<Float>(input);
  for (int64_t problem = 0; problem < input.problems; ++problem) {
    CheckProblem(input, alone, problem);
  }

  Answer<Float> together(input.problems, kRows, kCols);
  std::vector<std::thread> threads;
  for (int64_t begin = 0; begin < input.problems; begin += kEach) {
    threads.emplace_back([&, begin] {
      const auto part = [&](auto& buffer, int64_t each) {
        return rust::Slice(&buffer[begin * each],
                           static_cast<size_t>(kEach * each));
      };
      Batch batch = input.Header();
      batch.problems = kEach;
      for (int repeat = 0; repeat < 20; ++repeat) {
        FloatOutputs outputs{
            part(together.total_cost, 1),     part(together.row_to_col, kRows),
            part(together.col_to_row, kCols), part(together.row_duals, kRows),
            part(together.col_duals, kCols),  part(together.status, 1)};
        const Outcome outcome = hungarian::solve_float(
            batch, part(bits, kRows * kCols), limits.Read(), outputs);
        CHECK(outcome.kind == ErrorKind::None);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto same = [](const auto& left, const auto& right) {
    return std::equal(left.data.get(), left.data.get() + left.size,
                      right.data.get());
  };
  CHECK(same(alone.total_cost, together.total_cost));
  CHECK(same(alone.row_to_col, together.row_to_col));
  CHECK(same(alone.col_to_row, together.col_to_row));
  CHECK(same(alone.row_duals, together.row_duals));
  CHECK(same(alone.col_duals, together.col_duals));
  CHECK(same(alone.status, together.status));
}

template <typename T>
void AllOf(int64_t problems) {
  ZeroSizes<T>();
  WrongSizes<T>();
  RandomProblems<T>(problems);
}

}  // namespace

int main(int count, char** arguments) {
  const int64_t problems = count > 1 ? std::atoll(arguments[1]) : 3000;
  const int64_t size = count > 2 ? std::atoll(arguments[2]) : 200;
  AllOf<Half>(problems);
  AllOf<Bfloat16>(problems);
  AllOf<Float>(problems);
  AllOf<Double>(problems);
  // Sums stay whole in f32 up to 2^24.
  LargeProblems<Float>(std::min<int64_t>(size, 200));
  LargeProblems<Double>(size);
  ManyThreads();
  std::cout << "boundary: passed, " << problems
            << " random batches for each cost type\n";
}
