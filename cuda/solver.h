// The assignment problem by shortest augmenting paths, made by a team of
// threads.
//
// Jonker & Volgenant, "A shortest augmenting path algorithm for dense and
// sparse linear assignment problems", Computing 38 (1987), in the rectangular
// form of Crouse, "On implementing 2D rectangular assignment algorithms", IEEE
// Trans. Aerosp. Electron. Syst. 52 (2016), as on the CPU: src/solve/augment.rs
// has it in words. Only column duals v are held; u of a matched row is what its
// pair costs less v there. Throughout,
//
//   (1) every matched pair is the cheapest of its row under c - v;
//   (2) v never rises, and stays at the column ceiling while a column is
//       unmatched. The ceiling is 0, or L/2 with a limit. Where all columns end
//       up matched there is none, and v begins at the column's least cost.
//
// 1. Row reduction: all open rows at once find their cheapest column, a warp
//    for each row. Of those that want the same one, the most eager row takes it
//    (the one whose gap to its second cheapest is largest; then the lowest
//    row). v falls by that gap, which keeps (1), and a row that had the column
//    is open again. In the first round, where all columns are free, v stays.
//    This is the augmenting row reduction of Jonker & Volgenant, or an auction
//    without epsilon, in rounds. Their number is capped; rows that are open
//    then are left to augmentation.
// 2. Augmentation: for one open row after the other, Dijkstra's shortest path
//    over reduced costs to a free column, or to a row that is better off
//    unmatched. Each thread holds some columns; a step finds the nearest column
//    of all and relaxes one row of costs, which takes one exchange among the
//    threads.

#ifndef CUDA_SOLVER_H_
#define CUDA_SOLVER_H_

#include "problem.h"

// What a team knows of the row and of the column of one index.
struct Node {
  // The best bid for the column.
  unsigned bid;
  // The row's column; see enum Partner.
  short col_of_row;
  // The row from which a search reaches the column; in row reduction, the
  // column that the row bids for.
  short predecessor;
};

// The row that a column is matched with.
template <typename R>
struct alignas(8) Match {
  // Its u; in row reduction, by how much the bid of the row of this index
  // lowers v.
  R row_dual;
  // See enum Partner.
  int row;
};

static_assert(sizeof(Node) == kNodeBytes, "a node");
static_assert(sizeof(Match<float>) == kSingleMatchBytes, "a match");
static_assert(sizeof(Match<double>) == kDoubleMatchBytes, "a match");
static_assert(sizeof(Match<DoubleDouble>) == kWideMatchBytes, "a match");

// What a team knows for each index up to the longer side, v included, and its
// lists of open rows.
template <typename R>
class State {
 public:
  __device__ State(const Parameters& parameters, const StatePlaces& places)
      : nodes_(Find<Node>(parameters, places.nodes)),
        matches_(Find<Match<R>>(parameters, places.matches)),
        col_duals_(Find<R>(parameters, places.col_duals)),
        open_rows_(Find<int>(parameters, parameters.open_rows)) {}

  // v; -inf where the column does not exist.
  __device__ R& ColDual(int col) const { return col_duals_[col]; }
  __device__ const R* ColDuals() const { return col_duals_; }
  __device__ R& RowDualByCol(int col) const { return matches_[col].row_dual; }
  __device__ short& ColOfRow(int row) const { return nodes_[row].col_of_row; }
  __device__ int& RowOfCol(int col) const { return matches_[col].row; }
  __device__ const Match<R>& MatchOf(int col) const { return matches_[col]; }
  __device__ short& Predecessor(int col) const {
    return nodes_[col].predecessor;
  }
  __device__ unsigned& Bid(int col) const { return nodes_[col].bid; }
  // Of a row's bid: by how much it lowers v, and where.
  __device__ R& BidGap(int row) const { return matches_[row].row_dual; }
  __device__ short& BidCol(int row) const { return nodes_[row].predecessor; }
  // Two lists in which row reduction keeps open rows, by turns, and their
  // counts.
  __device__ int* OpenRows() const { return open_rows_; }

 private:
  Node* nodes_;
  Match<R>* matches_;
  R* col_duals_;
  int* open_rows_;
};

// What a thread holds of its columns during augmentation: thread, thread +
// threads, ... in slots 0, 1, ...
//
// kAtOnce slots are looked at together: all their loads are issued before the
// first value is used.
//
// Here in registers: loops over slots must be unrolled.
template <typename R, int kMostSlots>
struct ColumnsInRegisters {
  static constexpr bool kIsInRegisters = true;
  static constexpr int kSlots = kMostSlots;
  static constexpr int kAtOnce = kMostSlots < 4 ? kMostSlots : 4;
  static constexpr int kUnroll = kMostSlots;
  // The memory that holds them: none.
  struct Storage {};

  R distances[kSlots];
  R duals[kSlots];

  __device__ explicit ColumnsInRegisters(Storage) {}
  __device__ R& Distance(int slot, int /*col*/) { return distances[slot]; }
  __device__ R& Dual(int slot, int /*col*/) { return duals[slot]; }
};

// Here in memory, where there is room for many.
template <typename R>
struct ColumnsInMemory {
  static constexpr bool kIsInRegisters = false;
  static constexpr int kSlots = kColumnsOfProofThread;
  static constexpr int kAtOnce = 1;
  static constexpr int kUnroll = 1;
  struct Storage {
    R* distances;
    R* duals;
  };

  Storage storage;

  __device__ explicit ColumnsInMemory(Storage storage) : storage(storage) {}
  __device__ R& Distance(int /*slot*/, int col) {
    return storage.distances[col];
  }
  __device__ R& Dual(int /*slot*/, int col) { return storage.duals[col]; }
};

// The open rows among 32 from `first` on, a bit for each. All lanes of a warp
// must call this.
template <typename R>
__device__ inline unsigned OpenRows(const State<R>& state, int rows, int lane,
                                    int first) {
  const int row = first + lane;
  return __ballot_sync(kAllLanes,
                       row < rows && state.ColOfRow(row) == kUnmatched);
}

// Step 2: augmentation.
template <typename R, class TeamType, typename Entry, class Columns>
class Augmentation {
 public:
  __device__ Augmentation(const TeamType& team, const Costs<Entry>& costs,
                          const State<R>& state,
                          const typename Columns::Storage& storage, int rows,
                          int cols, R row_ceiling)
      : team_(team),
        costs_(costs),
        state_(state),
        columns_(storage),
        rows_(rows),
        cols_(cols),
        row_ceiling_(row_ceiling) {}

  // Matches all open rows. Returns false if the allowed pairs cannot.
  __device__ bool Run() {
    Begin();
    bool is_feasible = true;
    for (int first = 0; first < rows_ && is_feasible; first += kWarp) {
      // All warps see the same rows. A row that a search leaves unmatched is
      // out, and not open again.
      unsigned open = OpenRows(state_, rows_, team_.lane(), first);
      for (; open != 0 && is_feasible; open &= open - 1) {
        is_feasible = MatchRow(first + __ffs(static_cast<int>(open)) - 1);
      }
    }
    ForEachColumn([&](int slot, int col) {
      state_.ColDual(col) = columns_.Dual(slot, col);
    });
    team_.Sync();
    return is_feasible;
  }

 private:
  __device__ void Begin() {
    for (int slot = 0; slot < Columns::kSlots; ++slot) {
      if (slot * team_.threads() + team_.thread() >= cols_) {
        is_missing_ |= 1u << slot;
      }
    }
    ForEachColumn([&](int slot, int col) {
      columns_.Dual(slot, col) = state_.ColDual(col);
      const int row = state_.RowOfCol(col);
      if (row >= 0) {
        is_matched_ |= 1u << slot;
        state_.RowDualByCol(col) =
            costs_.template Get<R>(row, col) - state_.ColDual(col);
      }
    });
  }

  // The thread's number. Where columns are many, the compiler must assume that
  // it may have changed: so it does not keep the columns' addresses in
  // registers all the time.
  __device__ int Thread() const {
    int thread = team_.thread();
    if (Columns::kSlots > 4) {
      asm volatile("" : "+r"(thread));
    }
    return thread;
  }

  // Calls action(slot, col) for each column of this thread.
  template <typename Action>
  __device__ void ForEachColumn(Action action) const {
    const int thread = Thread();
#pragma unroll Columns::kUnroll
    for (int slot = 0; slot < Columns::kSlots; ++slot) {
      const int first = slot * team_.threads();
      if (first >= cols_) {
        break;
      }
      const int col = first + thread;
      if (col < cols_) {
        action(slot, col);
      }
    }
  }

  // Calls action(slot, col, cost) for each slot of this thread, with a row's
  // cost there. A slot in registers that has no column gets another column's
  // cost: branches would take longer.
  template <typename Action>
  __device__ void ForEachCost(int row, Action action) const {
    constexpr int kAtOnce = Columns::kAtOnce;
    const Entry* const line = costs_.Row(row);
    const int thread = Thread();
#pragma unroll Columns::kUnroll
    for (int begin = 0; begin < Columns::kSlots; begin += kAtOnce) {
      if (begin * team_.threads() >= cols_) {
        break;
      }
      int cols[kAtOnce];
      R costs[kAtOnce];
#pragma unroll
      for (int place = 0; place < kAtOnce; ++place) {
        const int col = (begin + place) * team_.threads() + thread;
        cols[place] = col < cols_ ? col : cols_ - 1;
        costs[place] = costs_.template At<R>(line, cols[place]);
      }
#pragma unroll
      for (int place = 0; place < kAtOnce; ++place) {
        if (Columns::kIsInRegisters ||
            (is_missing_ >> (begin + place) & 1) == 0) {
          action(begin + place, cols[place], costs[place]);
        }
      }
    }
  }

  // Dijkstra's search from `start`, with u taken as 0 there. False if it leads
  // nowhere.
  __device__ bool MatchRow(int start) {
    const R infinity = Number<R>::Infinity();
    is_settled_ = is_missing_;
    Nearest<R> nearest = {infinity, kNoColumn};
    ForEachCost(start, [&](int slot, int col, R cost) {
      // The cost of what does not exist may be NaN.
      const R distance = Smaller(infinity, cost - columns_.Dual(slot, col));
      columns_.Distance(slot, col) = distance;
      if ((is_missing_ >> slot & 1) == 0) {
        state_.Predecessor(col) = static_cast<short>(start);
      }
      Consider(slot, col, &nearest);
    });
    // The length of the shortest way to end at a row, which loses its column
    // and stays unmatched; and that column, or none for the start.
    R exit = row_ceiling_;
    int exit_col = kUnmatched;
    while (true) {
      COUNT(sizeof(R) == sizeof(float) ? kSteps : kStepsInDouble);
      nearest = team_.Least(nearest);
      if (exit < nearest.value) {
        break;
      }
      if (!(nearest.value < infinity)) {
        return false;
      }
      const int col = static_cast<int>(nearest.rank & (kIsMatched - 1));
      if ((nearest.rank & kIsMatched) == 0) {
        break;
      }
      // The column is settled, and the row that it is matched with is reached.
      const Match<R> match = state_.MatchOf(col);
      const R offset = match.row_dual - nearest.value;
      const R exit_here = row_ceiling_ - offset;
      const bool is_nearer = exit_here < exit;
      exit = is_nearer ? exit_here : exit;
      exit_col = is_nearer ? col : exit_col;
      nearest = Relax(col, match.row, offset);
    }
    const bool ends_at_row = exit < nearest.value;
    const int end = ends_at_row ? exit_col : static_cast<int>(nearest.rank);
    if (team_.thread() == 0) {
      FlipPath(start, end, ends_at_row);
    }
    team_.Sync();
    UpdateDuals(ends_at_row ? exit : nearest.value,
                ends_at_row ? kUnmatched : end);
    return true;
  }

  // Settles `settled`, and looks for shorter ways by way of `row`. Returns the
  // nearest of this thread's columns.
  __device__ Nearest<R> Relax(int settled, int row, R offset) {
    Nearest<R> nearest = {Number<R>::Infinity(), kNoColumn};
    ForEachCost(row, [&](int slot, int col, R cost) {
      is_settled_ |= col == settled ? 1u << slot : 0u;
      const R before = columns_.Distance(slot, col);
      const R distance = cost - columns_.Dual(slot, col) - offset;
      const bool is_open = (is_settled_ >> slot & 1) == 0;
      const bool is_shorter = is_open & (distance < before);
      if (is_shorter) {
        columns_.Distance(slot, col) = distance;
        state_.Predecessor(col) = static_cast<short>(row);
      }
      Consider(slot, col, &nearest);
    });
    return nearest;
  }

  // Is this column the nearest?
  __device__ void Consider(int slot, int col, Nearest<R>* nearest) {
    const unsigned is_matched = (is_matched_ >> slot & 1) * kIsMatched;
    const Nearest<R> one = {columns_.Distance(slot, col),
                            is_matched | static_cast<unsigned>(col)};
    const bool is_open = (is_settled_ >> slot & 1) == 0;
    if (is_open & (one < *nearest)) {
      *nearest = one;
    }
  }

  // Matches along the path, from its end back to its start. One thread does it:
  // each step needs the one before.
  __device__ void FlipPath(int start, int end, bool ends_at_row) const {
    if (ends_at_row) {
      const int row = end < 0 ? start : state_.RowOfCol(end);
      state_.ColOfRow(row) = kOut;
      if (end < 0) {
        return;
      }
    }
    int col = end;
    while (true) {
      const int row = state_.Predecessor(col);
      const int lost = state_.ColOfRow(row);
      state_.ColOfRow(row) = static_cast<short>(col);
      state_.RowOfCol(col) = row;
      if (row == start) {
        return;
      }
      col = lost;
    }
  }

  // Restores (1) after a search of length `length`: a column settled at
  // distance d becomes dearer by length - d, never cheaper.
  __device__ void UpdateDuals(R length, int newly_matched) {
    ForEachColumn([&](int slot, int col) {
      const bool is_settled = (is_settled_ >> slot & 1) != 0;
      if (is_settled && columns_.Distance(slot, col) < length) {
        columns_.Dual(slot, col) =
            columns_.Dual(slot, col) + (columns_.Distance(slot, col) - length);
      }
      if (col == newly_matched) {
        is_matched_ |= 1u << slot;
      }
      if (is_settled || col == newly_matched) {
        const int row = state_.RowOfCol(col);
        state_.RowDualByCol(col) =
            costs_.template Get<R>(row, col) - columns_.Dual(slot, col);
      }
    });
  }

  TeamType team_;
  const Costs<Entry> costs_;
  const State<R> state_;
  Columns columns_;
  const int rows_;
  const int cols_;
  const R row_ceiling_;
  // One bit for each slot of this thread.
  static_assert(Columns::kSlots <= 32, "a bit for each slot");
  unsigned is_matched_ = 0;
  // Slots that have no column count as settled.
  unsigned is_settled_ = 0;
  unsigned is_missing_ = 0;
};

// Matches the rows that are open, or returns false if that cannot be. (1) and
// (2) must hold of the others. A function of its own, with copies of its own of
// all that it needs: then nothing else takes registers from the search. It ends
// with a barrier.
template <class Columns, typename R, class TeamType, typename Entry>
__device__ __noinline__ bool Augment(TeamType team, Costs<Entry> costs,
                                     State<R> state,
                                     typename Columns::Storage storage,
                                     int rows, int cols, R row_ceiling) {
  return Augmentation<R, TeamType, Entry, Columns>(team, costs, state, storage,
                                                   rows, cols, row_ceiling)
      .Run();
}

// Rounds of row reduction, at most: seven bits hold their number. Where several
// warps bid at once, a round takes about as long as one or two steps of
// augmentation, and saves more than that as long as rows still find columns:
// for 300 x 300 uniform costs, up to about 100 rounds. A lone warp makes one
// bid after the other, each about as long as a step. An answer must not depend
// on how many problems there are, so the problem's size decides, not the team.
constexpr unsigned kMostReductionRounds = 127;
constexpr unsigned kFewReductionRounds = 8;
constexpr int kWidestOfFewRounds = kWarp * kColumnsOfWarpThread;

// Step 1: row reduction, from nothing.
template <typename R, class TeamType, typename Entry>
class Reduction {
 public:
  __device__ Reduction(TeamType& team, const Frame& frame,
                       const Costs<Entry>& costs, const State<R>& state)
      : team_(team),
        frame_(frame),
        costs_(costs),
        state_(state),
        row_ceiling_(Number<R>::From(frame.RowCeiling())),
        col_ceiling_(Number<R>::From(frame.ColumnCeiling())) {}

  // False: the allowed pairs cannot match all rows.
  __device__ bool Run() {
    Begin();
    const unsigned rounds =
        frame_.cols <= kWidestOfFewRounds && frame_.IsBalanced()
            ? kFewReductionRounds
            : Smaller(kMostReductionRounds,
                      32 + static_cast<unsigned>(frame_.existing_rows) / 4);
    const int size = Larger(frame_.rows, frame_.cols);
    int* open = state_.OpenRows();
    int* next_open = open + size;
    int* const counts = open + 2 * size;
    int* const is_infeasible = counts + 3;
    // Places of the counts of open rows: of this round, of the next one, and of
    // the one after.
    int now = 0;
    int next = 1;
    int after = 2;
    bool is_hopeless = false;
    for (unsigned round = 0; round < rounds; ++round) {
      COUNT(kRounds);
      const int count = counts[now];
      PlaceBids(round, open, count, is_infeasible);
      team_.Sync();
      // Nobody writes it before the next barrier.
      is_hopeless = *is_infeasible != 0;
      if (team_.thread() == 0) {
        counts[after] = 0;
      }
      const bool has_changed =
          AcceptBids(round, open, count, next_open, &counts[next]);
      if (!team_.Any(has_changed) || is_hopeless) {
        break;
      }
      int* const rows = open;
      open = next_open;
      next_open = rows;
      const int free = now;
      now = next;
      next = after;
      after = free;
    }
    return !is_hopeless;
  }

 private:
  __device__ void Begin() {
    const bool is_balanced = frame_.IsBalanced();
    int* const open = state_.OpenRows();
    int* const counts = open + 2 * Larger(frame_.rows, frame_.cols);
    if (team_.thread() < kOpenRowCounts) {
      counts[team_.thread()] = 0;
    }
    team_.Sync();
    for (int row = team_.thread(); row < frame_.rows; row += team_.threads()) {
      const bool exists = frame_.row_mask.Exists(row);
      state_.ColOfRow(row) = exists ? kUnmatched : kOut;
      state_.BidCol(row) = kUnmatched;
      if (exists) {
        open[atomicAdd(&counts[0], 1)] = row;
      }
    }
    for (int col = team_.thread(); col < frame_.cols; col += team_.threads()) {
      R dual = -Number<R>::Infinity();
      if (frame_.col_mask.Exists(col)) {
        dual = is_balanced ? LeastCost(col) : col_ceiling_;
      }
      state_.ColDual(col) = dual;
      state_.RowOfCol(col) = kUnmatched;
      state_.Bid(col) = 0;
    }
    if (frame_.cols > kWarp) {
      for (int place = team_.thread(); place < kColumnsBehind;
           place += team_.threads()) {
        state_.ColDual(frame_.cols + place) = -Number<R>::Infinity();
      }
    }
    team_.Sync();
  }

  // Column reduction: the least cost of a column.
  __device__ R LeastCost(int col) const {
    R least = Number<R>::Infinity();
    constexpr int kAtOnce = kRowsAtOnce<Entry>;
    ForEachCostOfColumn<Entry>(
        0, kAtOnce, frame_.rows, costs_.stride,
        [&](int place) { return costs_.first[place + col]; },
        [&](int first, const Entry* costs) {
          const unsigned exist =
              frame_.row_mask.Bits<kAtOnce>(first, frame_.rows - 1);
#pragma unroll
          for (int place = 0; place < kAtOnce; ++place) {
            const R cost = costs_.template Cost<R>(costs[place]);
            const bool is_less = cost < least;
            least = is_less & ((exist >> place & 1) != 0) ? cost : least;
          }
        });
    return least;
  }

  // A warp looks for the two least reduced costs of a row.
  __device__ TwoNearest<R> FindTwoNearest(int row) const {
    // Numbers wider than f32 take more registers, and are seldom looked at.
    constexpr bool is_single = sizeof(R) == sizeof(float);
    constexpr int kMany = is_single ? kColumnsBehind / kWarp : 1;
    constexpr int kSome = is_single ? 4 : 1;
    static_assert(kSome <= kMany, "what is behind is enough");
    // What is read behind the row belongs to the next rows.
    const int left = (frame_.rows - row) * costs_.stride;
    if (frame_.cols > kSome * kWarp && left >= frame_.cols + kMany * kWarp) {
      return FindTwoNearest<kMany>(row);
    }
    if (frame_.cols > kWarp && left >= frame_.cols + kSome * kWarp) {
      return FindTwoNearest<kSome>(row);
    }
    return FindTwoNearest<1>(row);
  }

  // A thread loads kAtOnce costs at the same time. If these are more than one,
  // some of them lie behind the row: there, v is -inf.
  template <int kAtOnce>
  __device__ TwoNearest<R> FindTwoNearest(int row) const {
    const R infinity = Number<R>::Infinity();
    TwoNearest<R> found = {infinity, infinity, kNoColumn};
    const Entry* const line = costs_.Row(row);
    for (int first = 0; first < frame_.cols; first += kAtOnce * kWarp) {
      const int begin = first + team_.lane();
      const Entry* const costs = line + begin;
      const R* const duals = state_.ColDuals() + begin;
      R values[kAtOnce];
#pragma unroll
      for (int place = 0; place < kAtOnce; ++place) {
        values[place] = infinity;
        if (kAtOnce > 1 || begin < frame_.cols) {
          values[place] = costs_.template At<R>(costs, place * kWarp) -
                          duals[place * kWarp];
        }
      }
#pragma unroll
      for (int place = 0; place < kAtOnce; ++place) {
        // The cost of what does not exist may be NaN.
        const R value = Smaller(infinity, values[place]);
        const bool is_less = value < found.first;
        found.second = Smaller(found.second, Larger(found.first, value));
        found.rank =
            is_less ? static_cast<unsigned>(begin + place * kWarp) : found.rank;
        found.first = is_less ? value : found.first;
      }
    }
    const R least = LeastOfWarp(found.first);
    if (!(least < infinity)) {
      return {infinity, infinity, kNoColumn};
    }
    const unsigned holders =
        __ballot_sync(kAllLanes, found.first == least ? 1 : 0);
    const int holder = __ffs(static_cast<int>(holders)) - 1;
    const R second =
        LeastOfWarp(team_.lane() == holder ? found.second : found.first);
    if (!(least < second)) {
      return {least, second, FirstOf(line, least)};
    }
    const unsigned col = FromLane(found.rank, holder);
    const bool is_matched = state_.RowOfCol(static_cast<int>(col)) >= 0;
    return {least, second, col | (is_matched ? kIsMatched : 0)};
  }

  // Of the columns where a row's reduced cost is `least`, the first one: see
  // Nearest.
  __device__ unsigned FirstOf(const Entry* line, R least) const {
    unsigned first = kNoColumn;
    for (int col = team_.lane(); col < frame_.cols; col += kWarp) {
      const R value = costs_.template At<R>(line, col) - state_.ColDual(col);
      const unsigned is_matched = state_.RowOfCol(col) >= 0 ? kIsMatched : 0;
      const unsigned rank = is_matched | static_cast<unsigned>(col);
      first = value == least ? Smaller(first, rank) : first;
    }
    return LeastOfWarp(first);
  }

  // A bid is a number of which the largest wins: round, gap and row. Bids of
  // earlier rounds need not be cleared. The gap, not negative, is cut to 13
  // bits: any winner will do, if it is the same one every time.
  __device__ static unsigned Bid(unsigned round, R gap, int row) {
    const float rounded = static_cast<float>(Number<R>::ToDouble(gap));
    const unsigned eagerness = round == 0 ? 0 : __float_as_uint(rounded) >> 18;
    return (round << 25) | (eagerness << 12) |
           (4095u - static_cast<unsigned>(row));
  }

  // The rows are dealt out to the warps.
  __device__ void PlaceBids(unsigned round, const int* open, int count,
                            int* is_infeasible) const {
    for (int place = team_.warp(); place < count; place += team_.warps()) {
      const int row = open[place];
      COUNT(sizeof(R) == sizeof(float) ? kBids : kBidsInDouble);
      const TwoNearest<R> found = FindTwoNearest(row);
      if (team_.lane() == 0) {
        PlaceBid(round, row, found, is_infeasible);
      }
    }
  }

  __device__ void PlaceBid(unsigned round, int row, const TwoNearest<R>& found,
                           int* is_infeasible) const {
    const R infinity = Number<R>::Infinity();
    const R least = found.first;
    if (row_ceiling_ < least) {
      // Better off unmatched, for good.
      state_.BidCol(row) = kOut;
      return;
    }
    if (!(least < infinity)) {
      atomicExch(is_infeasible, 1);
      return;
    }
    const R gap = Smaller(found.second, row_ceiling_) - least;
    // Without a gap the loser would only take the column back. Without a second
    // column the gap is unbounded, and v would be lost. Both are left to the
    // exact search, unless the column is free.
    const bool is_bounded = gap < infinity;
    const bool is_free = (found.rank & kIsMatched) == 0;
    const R zero = Number<R>::From(0.0);
    if (is_free || (is_bounded && zero < gap)) {
      const int col = static_cast<int>(found.rank & (kIsMatched - 1));
      const R lowered = is_bounded && round > 0 ? gap : zero;
      state_.BidGap(row) = lowered;
      state_.BidCol(row) = static_cast<short>(col);
      atomicMax(&state_.Bid(col), Bid(round, lowered, row));
    }
  }

  // Carries out the bids that won, with a thread for each row. Returns whether
  // there were any. Rows that are open then are listed in `next_open`.
  __device__ bool AcceptBids(unsigned round, const int* open, int count,
                             int* next_open, int* next_count) const {
    bool has_changed = false;
    for (int place = team_.thread(); place < count; place += team_.threads()) {
      const int row = open[place];
      const int col = state_.BidCol(row);
      int left = row;
      state_.BidCol(row) = kUnmatched;
      if (col == kOut) {
        state_.ColOfRow(row) = kOut;
        left = kUnmatched;
      } else if (col != kUnmatched) {
        const R lowered = state_.BidGap(row);
        if (state_.Bid(col) == Bid(round, lowered, row)) {
          left = state_.RowOfCol(col);
          if (left >= 0) {
            // It was matched, so it made no bid, and its thread leaves it
            // alone.
            state_.ColOfRow(left) = kUnmatched;
          }
          state_.ColOfRow(row) = static_cast<short>(col);
          state_.RowOfCol(col) = row;
          state_.ColDual(col) = state_.ColDual(col) - lowered;
          has_changed = true;
        }
      }
      if (left >= 0) {
        next_open[atomicAdd(next_count, 1)] = left;
      }
    }
    return has_changed;
  }

  TeamType& team_;
  const Frame& frame_;
  const Costs<Entry> costs_;
  const State<R> state_;
  const R row_ceiling_;
  const R col_ceiling_;
};

// A function of its own, as Augment is.
template <typename R, class TeamType, typename Entry>
__device__ __noinline__ bool ReduceRows(TeamType team, Frame frame,
                                        Costs<Entry> costs, State<R> state) {
  return Reduction<R, TeamType, Entry>(team, frame, costs, state).Run();
}

#endif  // CUDA_SOLVER_H_
