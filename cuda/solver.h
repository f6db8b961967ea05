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
//    for each row. Of those that want the same one, the row takes it that is
//    most eager (the gap to its second cheapest is largest; then the lowest
//    row). v falls by that gap, which keeps (1), and a row that had the column
//    is open again. In the first round, where all columns are free, v stays.
//    This is the augmenting row reduction of Jonker & Volgenant, or an auction
//    without epsilon, in rounds. Their number is capped; what is open then is
//    left to
// 2. Augmentation: for one open row after the other Dijkstra's shortest path
//    over reduced costs to a free column, or to a row that had better be
//    unmatched. Each thread holds some columns; a step finds the nearest column
//    of all and relaxes one row of costs, which is one exchange among the
//    threads.

#ifndef CUDA_SOLVER_H_
#define CUDA_SOLVER_H_

#include "problem.h"

// What a team knows of the row and of the column of one index. Side by side,
// for one address is then enough for all.
template <typename R>
struct Node {
  // v; -inf where the column does not exist.
  R col_dual;
  // u of the row that the column is matched with; in row reduction, by how much
  // the row's bid lowers v.
  R row_dual;
  // The best bid for the column.
  unsigned bid;
  // Partners; see enum Partner.
  short col_of_row;
  short row_of_col;
  // The row from which a search reaches the column; in row reduction, the
  // column that the row bids for.
  short predecessor;
};

static_assert(sizeof(Node<float>) == kSingleNodeBytes, "a node");
static_assert(sizeof(Node<double>) == kDoubleNodeBytes, "a node");
static_assert(sizeof(Node<DoubleDouble>) == kWideNodeBytes, "a node");

// A node for each index up to the longer side.
template <typename R>
class State {
 public:
  __device__ State(const Parameters& parameters, const Place& place)
      : nodes_(Find<Node<R>>(parameters, place)) {}

  __device__ R& ColDual(int col) const { return nodes_[col].col_dual; }
  __device__ R& RowDualByCol(int col) const { return nodes_[col].row_dual; }
  __device__ short& ColOfRow(int row) const { return nodes_[row].col_of_row; }
  __device__ short& RowOfCol(int col) const { return nodes_[col].row_of_col; }
  __device__ short& Predecessor(int col) const {
    return nodes_[col].predecessor;
  }
  __device__ unsigned& Bid(int col) const { return nodes_[col].bid; }
  // Of a row's bid: by how much it lowers v, and where.
  __device__ R& BidGap(int row) const { return nodes_[row].row_dual; }
  __device__ short& BidCol(int row) const { return nodes_[row].predecessor; }

 private:
  Node<R>* nodes_;
};

// What a thread holds of its columns during augmentation: thread, thread +
// threads, ... in slots 0, 1, ...
//
// Here in registers: loops over slots must be unrolled.
template <typename R, int kMostSlots>
struct ColumnsInRegisters {
  static constexpr int kSlots = kMostSlots;
  static constexpr int kUnroll = kMostSlots;
  // What they are held in.
  struct Storage {};

  R distances[kSlots];
  R duals[kSlots];

  __device__ explicit ColumnsInRegisters(Storage) {}
  __device__ R& Distance(int slot, int /*col*/) { return distances[slot]; }
  __device__ R& Dual(int slot, int /*col*/) { return duals[slot]; }
};

// Here in memory, where it may be many.
template <typename R>
struct ColumnsInMemory {
  static constexpr int kSlots = kColumnsOfProofThread;
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
// must ask.
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

  // Matches all open rows. False: the allowed pairs cannot.
  __device__ bool Run() {
    Begin();
    bool is_feasible = true;
    for (int first = 0; first < rows_ && is_feasible; first += kWarp) {
      // All warps see the same; rows that are left out by the way are no longer
      // open.
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

  // Calls action(slot, col) for each column of this thread.
  template <typename Action>
  __device__ void ForEachColumn(Action action) const {
#pragma unroll Columns::kUnroll
    for (int slot = 0; slot < Columns::kSlots; ++slot) {
      const int first = slot * team_.threads();
      if (first >= cols_) {
        break;
      }
      const int col = first + team_.thread();
      if (col < cols_) {
        action(slot, col);
      }
    }
  }

  // Dijkstra's search from `start`, with u taken as 0 there. False if it leads
  // nowhere.
  __device__ bool MatchRow(int start) {
    const R infinity = Number<R>::Infinity();
    is_settled_ = 0;
    ForEachColumn([&](int slot, int col) {
      const R distance =
          costs_.template Get<R>(start, col) - columns_.Dual(slot, col);
      // NaN may be what does not exist.
      columns_.Distance(slot, col) = distance < infinity ? distance : infinity;
    });
    ForEachColumn([&](int /*slot*/, int col) {
      state_.Predecessor(col) = static_cast<short>(start);
    });
    // The cheapest way to end at a row, which loses its column and stays
    // unmatched: that column, or none for the start.
    R exit = row_ceiling_;
    int exit_col = kUnmatched;
    Nearest<R> nearest;
    while (true) {
      COUNT(sizeof(R) == sizeof(float) ? kSteps : kStepsInDouble);
      nearest = FindNearest();
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
      const int row = state_.RowOfCol(col);
      const R offset = state_.RowDualByCol(col) - nearest.value;
      if (row_ceiling_ - offset < exit) {
        exit = row_ceiling_ - offset;
        exit_col = col;
      }
      Relax(col, row, offset);
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

  __device__ Nearest<R> FindNearest() {
    Nearest<R> nearest = {Number<R>::Infinity(), kNoColumn};
    ForEachColumn([&](int slot, int col) {
      const unsigned is_matched =
          (is_matched_ >> slot & 1) != 0 ? kIsMatched : 0;
      const Nearest<R> one = {columns_.Distance(slot, col),
                              is_matched | static_cast<unsigned>(col)};
      if ((is_settled_ >> slot & 1) == 0 && one < nearest) {
        nearest = one;
      }
    });
    return team_.Least(nearest);
  }

  // Settles `settled`, and looks for shorter ways by way of `row`. What it
  // finds is stored behind all loads, which need not wait for each other then.
  __device__ void Relax(int settled, int row, R offset) {
    unsigned is_shorter = 0;
    ForEachColumn([&](int slot, int col) {
      if (col == settled) {
        is_settled_ |= 1u << slot;
      }
      const R distance =
          costs_.template Get<R>(row, col) - columns_.Dual(slot, col) - offset;
      if ((is_settled_ >> slot & 1) == 0 &&
          distance < columns_.Distance(slot, col)) {
        columns_.Distance(slot, col) = distance;
        is_shorter |= 1u << slot;
      }
    });
    ForEachColumn([&](int slot, int col) {
      if ((is_shorter >> slot & 1) != 0) {
        state_.Predecessor(col) = static_cast<short>(row);
      }
    });
  }

  // From its end back to its start. One thread does it: each step needs the one
  // before.
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
      state_.RowOfCol(col) = static_cast<short>(row);
      if (row == start) {
        return;
      }
      col = lost;
    }
  }

  // Restores (1) after a search of that length: a column settled at distance d
  // becomes dearer by length - d, never cheaper.
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
  unsigned is_settled_ = 0;
};

// A function of its own, with copies of its own of all that it needs: then
// nothing else takes registers from the search. It ends with a barrier.
template <typename R, class TeamType, typename Entry, class Columns>
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
// bid after the other, each about as long as a step.
constexpr unsigned kMostReductionRounds = 127;
constexpr unsigned kReductionRoundsOfWarp = 8;

template <typename R, class TeamType, typename Entry, class Columns>
class Solver {
 public:
  __device__ Solver(TeamType& team, const Frame& frame,
                    const Costs<Entry>& costs, const State<R>& state)
      : team_(team),
        frame_(frame),
        costs_(costs),
        state_(state),
        row_ceiling_(Number<R>::From(frame.RowCeiling())),
        col_ceiling_(Number<R>::From(frame.ColumnCeiling())) {}

  // Solves from nothing. False: the allowed pairs cannot match all rows.
  __device__ bool Solve(const typename Columns::Storage& storage) {
    Begin();
    const unsigned rounds =
        team_.warps() == 1 && frame_.IsBalanced()
            ? kReductionRoundsOfWarp
            : Smaller(kMostReductionRounds,
                      32 + static_cast<unsigned>(frame_.existing_rows) / 4);
    for (unsigned round = 0; round < rounds; ++round) {
      COUNT(kRounds);
      bool is_infeasible = false;
      PlaceBids(round, &is_infeasible);
      if (team_.Any(is_infeasible)) {
        return false;
      }
      const bool has_changed = AcceptBids(round);
      if (!team_.Any(has_changed)) {
        break;
      }
    }
    return AugmentOpenRows(storage);
  }

  // Matches the rows that are open. (1) and (2) must hold of the others.
  __device__ bool AugmentOpenRows(const typename Columns::Storage& storage) {
    return Augment<R, TeamType, Entry, Columns>(
        team_, costs_, state_, storage, frame_.rows, frame_.cols, row_ceiling_);
  }

 private:
  __device__ void Begin() {
    const bool is_balanced = frame_.IsBalanced();
    for (int row = team_.thread(); row < frame_.rows; row += team_.threads()) {
      state_.ColOfRow(row) = frame_.row_mask.Exists(row) ? kUnmatched : kOut;
      state_.BidCol(row) = kUnmatched;
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
    team_.Sync();
  }

  // Column reduction: the least cost of a column.
  __device__ R LeastCost(int col) const {
    R least = Number<R>::Infinity();
#pragma unroll 4
    for (int row = 0; row < frame_.rows; ++row) {
      const R cost = costs_.template Get<R>(row, col);
      if (frame_.row_mask.Exists(row) && cost < least) {
        least = cost;
      }
    }
    return least;
  }

  __device__ Nearest<R> NearestAt(int col, R value) const {
    const unsigned is_matched = state_.RowOfCol(col) >= 0 ? kIsMatched : 0;
    return {value, is_matched | static_cast<unsigned>(col)};
  }

  // A warp looks for the two least reduced costs of a row.
  __device__ TwoNearest<R> FindTwoNearest(int row) const {
    const R infinity = Number<R>::Infinity();
    TwoNearest<R> found = {{infinity, kNoColumn}, infinity};
#pragma unroll 4
    for (int col = team_.lane(); col < frame_.cols; col += kWarp) {
      const R value = costs_.template Get<R>(row, col) - state_.ColDual(col);
      // False for NaN too, which may be what does not exist.
      if (value < infinity) {
        found = Merge(found, {NearestAt(col, value), infinity});
      }
    }
    return LeastTwoOfWarp(found);
  }

  // A bid is a number of which the largest wins: round, gap and row. Bids of
  // earlier rounds need not be cleared. The gap, not negative, is cut to 13
  // bits: any winner will do, if it only is the same one every time.
  __device__ static unsigned Bid(unsigned round, R gap, int row) {
    const float rounded = static_cast<float>(Number<R>::ToDouble(gap));
    const unsigned eagerness = round == 0 ? 0 : __float_as_uint(rounded) >> 18;
    return (round << 25) | (eagerness << 12) |
           (4095u - static_cast<unsigned>(row));
  }

  // The rows are dealt out to the warps.
  __device__ void PlaceBids(unsigned round, bool* is_infeasible) const {
    int ordinal = 0;
    for (int first = 0; first < frame_.rows; first += kWarp) {
      for (unsigned open = OpenRows(state_, frame_.rows, team_.lane(), first);
           open != 0; open &= open - 1) {
        const int row = first + __ffs(static_cast<int>(open)) - 1;
        if (ordinal++ % team_.warps() != team_.warp()) {
          continue;
        }
        COUNT(sizeof(R) == sizeof(float) ? kBids : kBidsInDouble);
        const TwoNearest<R> found = FindTwoNearest(row);
        if (team_.lane() == 0) {
          PlaceBid(round, row, found, is_infeasible);
        }
      }
    }
  }

  __device__ void PlaceBid(unsigned round, int row, const TwoNearest<R>& found,
                           bool* is_infeasible) const {
    const R infinity = Number<R>::Infinity();
    const R least = found.first.value;
    if (row_ceiling_ < least) {
      // Better off unmatched, for good.
      state_.BidCol(row) = kOut;
      return;
    }
    if (!(least < infinity)) {
      *is_infeasible = true;
      return;
    }
    const R gap = Smaller(found.second, row_ceiling_) - least;
    // Without a gap the loser would only take the column back. Without a second
    // column the gap is unbounded, and v would be lost. Both are left to the
    // exact search, unless the column is free.
    const bool is_bounded = gap < infinity;
    const bool is_free = (found.first.rank & kIsMatched) == 0;
    const R zero = Number<R>::From(0.0);
    if (is_free || (is_bounded && zero < gap)) {
      const int col = static_cast<int>(found.first.rank);
      const R lowered = is_bounded && round > 0 ? gap : zero;
      state_.BidGap(row) = lowered;
      state_.BidCol(row) = static_cast<short>(col & (kIsMatched - 1));
      atomicMax(&state_.Bid(col & (kIsMatched - 1)), Bid(round, lowered, row));
    }
  }

  // The bids that won are carried out, by a thread for each row. True if there
  // were any.
  __device__ bool AcceptBids(unsigned round) const {
    bool has_changed = false;
    for (int row = team_.thread(); row < frame_.rows; row += team_.threads()) {
      const int col = state_.BidCol(row);
      if (col == kUnmatched) {
        continue;
      }
      state_.BidCol(row) = kUnmatched;
      if (col == kOut) {
        state_.ColOfRow(row) = kOut;
        continue;
      }
      const R lowered = state_.BidGap(row);
      if (state_.Bid(col) != Bid(round, lowered, row)) {
        continue;
      }
      const int loser = state_.RowOfCol(col);
      if (loser >= 0) {
        // It was matched, so it made no bid, and its thread leaves it alone.
        state_.ColOfRow(loser) = kUnmatched;
      }
      state_.ColOfRow(row) = static_cast<short>(col);
      state_.RowOfCol(col) = static_cast<short>(row);
      state_.ColDual(col) = state_.ColDual(col) - lowered;
      has_changed = true;
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

#endif  // CUDA_SOLVER_H_
