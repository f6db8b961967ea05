// The second kernel of a batch: proves in f64 what the first has found in f32,
// corrects it where it is not optimal, and writes the outputs. As on the CPU
// (src/prove), nothing rests on what f32 rounded away:
//
// 1. The duals v are taken over, on a grid that keeps f64 exact where costs
//    allow it, and raised until every matched pair is the cheapest of its row
//    (Bellman & Ford):
//
//      v_m <- max(v_m, c_im - min_j (c_ij - v_j)),
//
//    where m is the column matched with row i, for all rows at once. If that
//    settles, with v nowhere above its ceiling and no row that is out wanting a
//    column, the matching is optimal.
// 2. Otherwise f64 goes on: where all columns are matched, from these duals,
//    with the rows whose pair is not their cheapest open again; else from
//    nothing.
// 3. The duals bound how far the objective can be from the optimum. If that is
//    more than rows * 2^-50 * max(|c|, |L|), and costs have too many digits for
//    f64 to be exact, the problem is solved again in twice the precision.
//
// L is the limit as capped (Frame::CapLimit). Where something was cut off it,
// duals are lifted in the end, so that they prove the answer for the user's L.

#ifndef CUDA_PROVE_H_
#define CUDA_PROVE_H_

#include "search.h"

// Costs of extreme size are scaled by a power of two, so that no sum overflows
// or sinks below the range.
__device__ inline double ScaleFor(double largest) {
  const double most = __longlong_as_double((1023LL + 900) << 52);
  const double down = __longlong_as_double((1023LL - 200) << 52);
  if (largest > most) {
    return down;
  }
  return largest > 0.0 && largest < 1.0 / most ? 1.0 / down : 1.0;
}

// Rounds of raising, at most. Those that look at a list take a fraction of a
// step of a search in f64, and there may be as many as there are rows, after
// which Bellman & Ford know that raising never ends; others are passes over all
// costs.
constexpr int kRaiseRounds = 32;
constexpr int kRaiseRoundsByList = 512;

// A pair that is nearly as cheap as its row's own.
struct NearPair {
  double cost;
  short col;
  // The next pair of the row, or kNoPair.
  short next;
};
static_assert(sizeof(NearPair) == kNearPairBytes, "a pair");

// In place of the number of a row's first pair.
enum NearPairs : short {
  kNoPair = -1,
  // The row does not exist.
  kNoRow = -2,
};

// The user's costs where they lie. Most proofs read no more than one pass over
// them, and the costs of a few pairs.
template <typename T>
struct UserCosts {
  using Entry = typename TypesOf<T>::Exact;

  const T* first;
  // From one of the user's rows to the next.
  int stride;
  // The user's rows are the columns here.
  bool is_transposed;
  Entry factor;

  __device__ const T* Of(int row, int col) const {
    return first + (is_transposed ? col * stride + row : row * stride + col);
  }
  // What an entry counts as.
  __device__ Entry Cost(T entry) const { return Widen(entry) * factor; }
  __device__ Entry Get(int row, int col) const {
    return Cost(Load(Of(row, col)));
  }
};

// The memory of a prover.
struct ProofMemory {
  State<double> state;
  // v while it is raised, and v of the next round; in a search, the distances
  // are in `next`.
  double* duals;
  double* next;
  // v for which near pairs were listed.
  double* listed_duals;
  // For each of the user's rows, what its costs are compared with. If it is a
  // row here: how large a near pair's cost less v can be. If it is a column
  // here: v.
  float* lines;
  // Of each row: the cost of its own pair; its first near pair. Behind the last
  // head, the number of pairs.
  double* own_costs;
  int* heads;
  NearPair* pairs;

  __device__ explicit ProofMemory(const Parameters& parameters)
      : state(parameters, parameters.state),
        duals(Find<double>(parameters, parameters.duals)),
        next(Find<double>(parameters, parameters.next_duals)),
        listed_duals(Find<double>(parameters, parameters.listed_duals)),
        lines(Find<float>(parameters, parameters.lines)),
        own_costs(Find<double>(parameters, parameters.own_costs)),
        heads(Find<int>(parameters, parameters.near_heads)),
        pairs(Find<NearPair>(parameters, parameters.near_pairs)) {}
};

template <typename R, class TeamType, typename Entry>
__device__ bool AugmentInMemory(const TeamType& team, const Frame& frame,
                                const Costs<Entry>& costs,
                                const State<R>& state,
                                typename ColumnsInMemory<R>::Storage storage) {
  return Augment<ColumnsInMemory<R>>(team, costs, state, storage, frame.rows,
                                     frame.cols,
                                     Number<R>::From(frame.RowCeiling()));
}

// A function of its own: it is seldom called.
template <typename T, class TeamType, typename Entry>
__device__ __noinline__ void CopyCosts(TeamType team, Frame frame,
                                       const T* user, double factor,
                                       Entry* copy, int stride) {
  Look(team, frame, user, factor, copy, stride);
}

template <typename T, class TeamType>
class Prover {
 public:
  using Real = typename TypesOf<T>::Real;
  using Entry = typename TypesOf<T>::Exact;
  using CostsType = Costs<Entry>;

  // `largest_cost` is max|c| and `largest` max(|c|, |L|), in the scale of
  // costs, which are those of the user times `factor`.
  __device__ Prover(TeamType& team, const Frame& frame,
                    const Parameters& parameters, const ProofMemory& memory,
                    const T* user, double factor, double largest_cost,
                    double largest)
      : team_(team),
        frame_(frame),
        parameters_(parameters),
        user_({user, static_cast<int>(parameters.batch.cols),
               frame.is_transposed, static_cast<Entry>(factor)}),
        factor_(factor),
        memory_(memory),
        state_(memory.state),
        largest_cost_(largest_cost),
        largest_(largest),
        is_scaled_(fabs(factor) != 1.0) {}

  // The costs in the order and type in which a search reads them: the user's
  // own if they have these, else a copy, made when it is first asked for.
  __device__ CostsType AllCosts() {
    if (AreReadInPlace<T, Entry>(frame_)) {
      return {reinterpret_cast<const Entry*>(user_.first), user_.stride,
              user_.factor};
    }
    Entry* const copy = Find<Entry>(parameters_, parameters_.copy);
    const int stride = CopyStride(parameters_, frame_);
    // Where nothing exists there may be no place for a copy.
    if (!is_copied_ && frame_.existing_rows > 0) {
      CopyCosts(team_, frame_, user_.first, factor_, copy, stride);
    }
    is_copied_ = true;
    return {copy, stride, 1};
  }

  // Tries to prove what the search left in `answer`, or to correct it. False:
  // f64 has to begin from nothing.
  __device__ bool Adopt(const Answer<Real>& answer) {
    for (int row = team_.thread(); row < frame_.rows; row += team_.threads()) {
      const int col = answer.col_of_row[row];
      state_.ColOfRow(row) = static_cast<short>(col >= 0 ? col : kOut);
    }
    double largest_dual = 0.0;
    for (int col = team_.thread(); col < frame_.cols; col += team_.threads()) {
      if (frame_.col_mask.Exists(col)) {
        largest_dual = Larger(largest_dual,
                              fabs(static_cast<double>(answer.col_duals[col])));
      }
    }
    largest_dual = team_.Reduce(largest_dual, 0.0, LargerOf());
    // Sums that begin with larger duals might grow beyond what keeps f64 exact,
    // which sums that begin with 0 do not.
    if (largest_dual > 0.5 * frame_.existing_rows * largest_) {
      return false;
    }
    // Where v has a ceiling, f32 may have rounded duals to above what f64
    // allows. From duals a little lower, on the grid too, raising comes to the
    // least duals that prove the matching, if any do.
    const double margin = PowerOfTwoFrom((largest_ + largest_dual) /
                                         static_cast<double>(1LL << 20));
    const int attempts = frame_.IsBalanced() ? 1 : 2;
    for (int attempt = 0; attempt < attempts; ++attempt) {
      TakeDuals(answer, attempt * margin);
      if (Raise(largest_dual)) {
        return true;
      }
    }
    if (!frame_.IsBalanced()) {
      return false;
    }
    OpenRowsNotTight();
    COUNT(kSearchesInDouble);
    is_current_ = false;
    return AugmentInMemory(team_, frame_, AllCosts(), state_,
                           {memory_.next, memory_.duals});
  }

  // Solves in f64 from nothing. False: infeasible.
  __device__ bool Solve() {
    COUNT(kSearchesInDouble);
    is_current_ = false;
    const CostsType costs = AllCosts();
    return ReduceRows(team_, frame_, costs, state_) &&
           AugmentInMemory(team_, frame_, costs, state_,
                           {memory_.next, memory_.duals});
  }

  // After Adopt or Solve: may the answer stand?
  __device__ bool IsNearEnough() {
    const double largest_dual = TakeOverDuals();
    if (!is_current_) {
      SetSlack(largest_dual);
      ListNearPairs();
    }
    double distance = 0.0;
    double largest_row_dual = 0.0;
    ForEachRow(
        [&](int /*row*/, int col, double /*cost*/, double dual, double least) {
          if (least < dual) {
            distance += dual - least;
          }
          largest_row_dual = Larger(largest_row_dual, fabs(dual));
          if (col >= 0) {
            state_.RowDualByCol(col) = dual;
          }
        });
    distance =
        team_.Reduce(distance, 0.0, [](double a, double b) { return a + b; });
    largest_row_dual = team_.Reduce(largest_row_dual, 0.0, LargerOf());
    // Two roundings a row are allowed for. The duals may yet be shifted by as
    // much as the largest of them.
    const double roundoff = __longlong_as_double((1023LL - 53) << 52);
    const double rows = frame_.existing_rows;
    const double magnitude = largest_ + largest_row_dual + 2.0 * largest_dual;
    return distance + 2.0 * rows * roundoff * magnitude <=
               8.0 * rows * roundoff * largest_ ||
           IsExact();
  }

  // Writes the answer that `state` holds.
  template <typename R>
  __device__ void Write(const State<R>& state, const Answer<Real>& answer) {
    R shift = Number<R>::From(0.0);
    if (frame_.IsBalanced() && frame_.existing_rows > 0) {
      // Of all equally good duals of a square problem, those with max v = 0.
      const R lowest = -Number<R>::Infinity();
      R top = lowest;
      for (int col = team_.thread(); col < frame_.cols;
           col += team_.threads()) {
        top = Larger(top, state.ColDual(col));
      }
      shift = team_.Reduce(top, lowest, LargerOf());
    }
    const Lift lift = FindLift(state);
    const double factor = 1.0 / factor_;
    // Adding zero turns -0 into 0.
    const auto round = [factor](R dual, double lifted) {
      return static_cast<Real>(Number<R>::ToDouble(dual) * factor + lifted);
    };
    for (int row = team_.thread(); row < frame_.rows; row += team_.threads()) {
      const int col = state.ColOfRow(row);
      answer.col_of_row[row] = col >= 0 ? col : kUnmatched;
      Real dual = 0;
      if (col >= 0) {
        dual = round(state.RowDualByCol(col) + shift, lift.OfRow(state, col));
      } else if (frame_.row_mask.Exists(row)) {
        dual = round(Number<R>::From(frame_.RowCeiling()), lift.by);
      }
      answer.row_duals[row] = dual;
    }
    for (int col = team_.thread(); col < frame_.cols; col += team_.threads()) {
      answer.row_of_col[col] = state.RowOfCol(col);
      Real dual = 0;
      if (frame_.col_mask.Exists(col)) {
        const double lifted =
            state.RowOfCol(col) >= 0 ? -lift.OfRow(state, col) : lift.by;
        dual = round(state.ColDual(col) - shift, lifted + 0.0);
      }
      answer.col_duals[col] = dual;
    }
    double total = Total(state, 1.0);
    if (!(fabs(total) < InfinityOfDouble())) {
      // A partial sum left the range of f64; the total need not.
      const double scale = 1.0 / static_cast<double>(1LL << 40);
      total = Total(state, scale) / scale;
    }
    if (team_.thread() == 0) {
      *answer.total_cost = static_cast<Real>(total);
      *answer.status = kOptimal;
    }
  }

 private:
  struct LargerOf {
    template <typename V>
    __device__ V operator()(V a, V b) const {
      return Larger(a, b);
    }
  };

  // By half of what was cut off the limit, duals near half the limit are to be
  // lifted: u of rows and v of columns that are unmatched, then the duals that
  // bind these by way of a pair, and so on. The duals of their partners fall by
  // as much. A gap of more than 2 max|c| ends such a chain: for two rows i and
  // k and the column of k, u_i <= c_i - v and u_k = c_k - v, so that u_i <=
  // u_k + 2 max|c|. A chain has at most existing_rows smaller gaps, so lifted u
  // and v stay above max|c| / 2, and no pair has both.
  struct Lift {
    // By how much, in the user's sense and scale; 0: none is lifted.
    double by;
    // u and v from which on they are lifted.
    double rows_from;
    double cols_from;

    // By how much the row that this column is matched with is lifted; the
    // column is lifted by the opposite.
    template <typename R>
    __device__ double OfRow(const State<R>& state, int col) const {
      if (by == 0.0) {
        return 0.0;
      }
      if (Number<R>::ToDouble(state.RowDualByCol(col)) >= rows_from) {
        return by;
      }
      return Number<R>::ToDouble(state.ColDual(col)) >= cols_from ? -by : 0.0;
    }
  };

  template <typename R>
  __device__ Lift FindLift(const State<R>& state) {
    const double excess = frame_.half_excess;
    if (excess == 0.0) {
      return {0.0, 0.0, 0.0};
    }
    // All that is not matched is at the ceiling.
    const auto row_dual = [&state](int col) {
      return state.RowOfCol(col) >= 0
                 ? Number<R>::ToDouble(state.RowDualByCol(col))
                 : InfinityOfDouble();
    };
    const auto col_dual = [&state](int col) {
      return Number<R>::ToDouble(state.ColDual(col));
    };
    return {factor_ < 0.0 ? -excess : excess, EndOfChain(row_dual),
            EndOfChain(col_dual)};
  }

  // The least dual that a chain from the ceiling leads to. `dual_of` has a dual
  // for each column.
  template <typename DualOf>
  __device__ double EndOfChain(DualOf dual_of) {
    // A little more than 2 max|c|, for duals are rounded.
    const double gap =
        (2.0 + 1.0 / static_cast<double>(frame_.existing_rows)) * largest_cost_;
    double end = frame_.limit / 2.0;
    while (true) {
      double least = end;
      for (int col = team_.thread(); col < frame_.cols;
           col += team_.threads()) {
        const double dual = dual_of(col);
        if (dual >= end - gap) {
          least = Smaller(least, dual);
        }
      }
      least = team_.Reduce(least, end,
                           [](double a, double b) { return Smaller(a, b); });
      if (!(least < end)) {
        return end;
      }
      end = least;
    }
  }

  // Takes v over, in multiples of a grid that divides all costs, if f64 is to
  // be exact (see src/solve/augment.rs, "size of the numbers"). Matched columns
  // below their ceiling begin lower by `margin`.
  __device__ void TakeDuals(const Answer<Real>& answer, double margin) {
    const double sums =
        2.0 * (frame_.existing_rows + frame_.existing_cols) * largest_;
    const double grid =
        PowerOfTwoFrom(sums * __longlong_as_double((1023LL - 53) << 52));
    // Adding and subtracting this rounds to multiples of the grid. Far above
    // the grid an f32 is a multiple already.
    const double shift = grid * 1.5 * static_cast<double>(1LL << 52);
    const double far = grid * static_cast<double>(1LL << 40);
    const double ceiling =
        frame_.IsBalanced() ? InfinityOfDouble() : frame_.ColumnCeiling();
    for (int col = team_.thread(); col < frame_.cols; col += team_.threads()) {
      const int row = answer.row_of_col[col];
      double dual = -InfinityOfDouble();
      if (frame_.col_mask.Exists(col)) {
        const double near = answer.col_duals[col];
        const double rounded = fabs(near) < far ? (near + shift) - shift : near;
        dual = row >= 0 && rounded < ceiling ? rounded - margin : ceiling;
      }
      state_.RowOfCol(col) = row;
      // The dual of a column that is not matched is never raised: it is the
      // same in both arrays.
      memory_.duals[col] = dual;
      memory_.next[col] = dual;
    }
    duals_ = memory_.duals;
    team_.Sync();
  }

  // A pair that f32 finds dearer than its row's own by more than the slack is
  // dearer, and stays so while no v rises by more than half the slack: let M be
  // max(|c|, |L|) + max|v|; c, v, c - v and the bound are rounded by 2^-24 of
  // at most 2M each. While v is raised it may grow to 2M, no more.
  __device__ void SetSlack(double largest_dual) {
    slack_ = (largest_ + largest_dual) / static_cast<double>(1LL << 17);
  }

  // Raises v until nothing changes. False where that does not prove the
  // matching.
  __device__ bool Raise(double largest_dual) {
    SetSlack(largest_dual);
    ListNearPairs();
    const double most = 2.0 * (largest_ + largest_dual);
    const double ceiling = frame_.IsBalanced() ? most : frame_.ColumnCeiling();
    double* next = memory_.next;
    bool is_settled = false;
    bool has_failed = false;
    const int rounds_by_list =
        Larger(kRaiseRounds, Smaller(kRaiseRoundsByList, frame_.existing_rows));
    for (int round = 0; round < (is_listed_ ? rounds_by_list : kRaiseRounds) &&
                        !is_settled && !has_failed;
         ++round) {
      COUNT(kRaises);
      bool raises = false;
      bool fails = false;
      bool is_far = false;
      ForEachRow(
          [&](int /*row*/, int col, double cost, double dual, double least) {
            if (col < 0) {
              fails = fails || least < dual;
              return;
            }
            const double offer = cost - least;
            const double before = duals_[col];
            const double after = Larger(before, offer);
            raises = raises || before < after;
            fails = fails || (before < after && ceiling < after);
            is_far = is_far || memory_.listed_duals[col] + 0.5 * slack_ < after;
            next[col] = after;
          });
      is_settled = !team_.Any(raises);
      double* const duals = duals_;
      duals_ = next;
      next = duals;
      if (team_.Any(fails || is_far)) {
        has_failed = team_.Any(fails);
        ListNearPairs();
      }
    }
    for (int col = team_.thread(); col < frame_.cols; col += team_.threads()) {
      state_.ColDual(col) = duals_[col];
    }
    return is_settled && !has_failed;
  }

  // Opens the rows whose pair is not their cheapest.
  __device__ void OpenRowsNotTight() {
    ForEachRow(
        [&](int row, int col, double cost, double /*dual*/, double least) {
          if (duals_[col] < cost - least) {
            state_.ColOfRow(row) = kUnmatched;
            state_.RowOfCol(col) = kUnmatched;
          }
        });
    team_.Sync();
  }

  // v is what `state` holds; returns max|v|.
  __device__ double TakeOverDuals() {
    duals_ = memory_.duals;
    double largest_dual = 0.0;
    for (int col = team_.thread(); col < frame_.cols; col += team_.threads()) {
      duals_[col] = state_.ColDual(col);
      if (frame_.col_mask.Exists(col)) {
        largest_dual = Larger(largest_dual, fabs(duals_[col]));
      }
    }
    return team_.Reduce(largest_dual, 0.0, LargerOf());
  }

  // Lists the pairs that are nearly as cheap as their row's own, which f32
  // finds in one pass over all costs, for the matching and v as they are. Pairs
  // that are not listed do not matter until a v has risen by half the slack: so
  // most problems need one pass, however often v is raised. Where there are too
  // many such pairs, or where f32 cannot tell, none is listed, and ForEachRow
  // looks at all of them.
  __device__ void ListNearPairs() {
    const int rows = frame_.rows;
    is_current_ = true;
    is_listed_ = !is_scaled_ && IsSafeInSingle(largest_);
    for (int row = team_.thread(); row < rows; row += team_.threads()) {
      const bool exists = frame_.row_mask.Exists(row);
      const int own = state_.ColOfRow(row);
      if (exists && own >= 0) {
        memory_.own_costs[row] = user_.Get(row, own);
        memory_.listed_duals[own] = duals_[own];
      }
      memory_.heads[row] = exists ? kNoPair : kNoRow;
    }
    // Of each row, a thread reads only what it has written itself: there is no
    // barrier.
    const int lines = Lines();
    for (int line = team_.thread(); line < lines + kLinesBehind;
         line += team_.threads()) {
      float value = Number<float>::Infinity() - Number<float>::Infinity();
      if (line < lines) {
        value = user_.is_transposed ? DualOf(line) : BoundOf(line);
      }
      memory_.lines[line] = value;
    }
    if (team_.thread() == 0) {
      memory_.heads[rows] = 0;
    }
    team_.Sync();
    if (is_listed_ && frame_.existing_rows > 0) {
      AddNearPairs();
      team_.Sync();
      is_listed_ = memory_.heads[rows] <= kNearPairsPerIndex * frame_.cols;
    }
  }

  // How many rows the user has.
  __device__ int Lines() const {
    return user_.is_transposed ? frame_.cols : frame_.rows;
  }

  __device__ float DualOf(int col) const {
    return static_cast<float>(duals_[col]);
  }

  // A pair of this row is near if its cost less v is not above this. NaN, which
  // no number is below, if the row does not exist.
  __device__ float BoundOf(int row) const {
    double bound = InfinityOfDouble() - InfinityOfDouble();
    if (frame_.row_mask.Exists(row)) {
      const int own = state_.ColOfRow(row);
      bound =
          own >= 0 ? memory_.own_costs[row] - duals_[own] : frame_.RowCeiling();
    }
    return static_cast<float>(bound) + static_cast<float>(slack_);
  }

  // The user's costs are read as they lie, so that those that a warp reads are
  // neighbours: a thread looks at the same place in each of the user's rows.
  __device__ void AddNearPairs() const {
    constexpr int kAtOnce = kRowsAtOnce<T>;
    static_assert(kAtOnce <= kLinesBehind, "what is behind is enough");
    struct alignas(16) Values {
      float of[kAtOnce];
    };
    const bool is_transposed = user_.is_transposed;
    const int lines = Lines();
    const int places = is_transposed ? frame_.rows : frame_.cols;
    const Part part = PartOf<kAtOnce>(team_, places);
    for (int place = part.first_col; place < places; place += part.col_step) {
      const float here = is_transposed ? BoundOf(place) : DualOf(place);
      const int own_line =
          is_transposed ? state_.ColOfRow(place) : state_.RowOfCol(place);
      const T* const column = user_.first + place;
      ForEachCostOfColumn<T>(
          part.first_row, part.row_step, lines, user_.stride,
          [column](int offset) { return Load(column + offset); },
          [&](int first, const T* costs) {
            const auto values =
                *reinterpret_cast<const Values*>(&memory_.lines[first]);
            unsigned near = 0;
#pragma unroll
            for (int index = 0; index < kAtOnce; ++index) {
              const auto cost = static_cast<float>(user_.Cost(costs[index]));
              const float there = values.of[index];
              const float dual = is_transposed ? there : here;
              const float bound = is_transposed ? here : there;
              near |= cost - dual <= bound ? 1u << index : 0u;
            }
            // The row's own pair is not listed.
            const unsigned own = static_cast<unsigned>(own_line - first);
            near &= own < kAtOnce ? ~(1u << own) : ~0u;
            for (; near != 0; near &= near - 1) {
              const int line = first + __ffs(static_cast<int>(near)) - 1;
              AddNearPair(is_transposed ? place : line,
                          is_transposed ? line : place);
            }
          });
    }
  }

  __device__ void AddNearPair(int row, int col) const {
    const int pair = atomicAdd(&memory_.heads[frame_.rows], 1);
    if (pair < kNearPairsPerIndex * frame_.cols) {
      const int next = atomicExch(&memory_.heads[row], pair);
      memory_.pairs[pair] = {user_.Get(row, col), static_cast<short>(col),
                             static_cast<short>(next)};
    }
  }

  // Calls action(row, col, cost, dual, least) for each existing row, in one
  // thread: its column, if it has one, its cost and the row's dual by it, and
  // the least number that the row's dual must not exceed.
  template <typename Action>
  __device__ void ForEachRow(Action action) {
    if (is_listed_) {
      for (int row = team_.thread(); row < frame_.rows;
           row += team_.threads()) {
        ActOnRow(row, action);
      }
      return;
    }
    const CostsType costs = AllCosts();
    for (int row = team_.warp(); row < frame_.rows; row += team_.warps()) {
      ActOnRowOfAllPairs(row, costs, action);
    }
  }

  // Looks at the row's listed pairs.
  template <typename Action>
  __device__ void ActOnRow(int row, Action action) const {
    int pair = memory_.heads[row];
    if (pair == kNoRow) {
      return;
    }
    const int own = state_.ColOfRow(row);
    const double cost = own >= 0 ? memory_.own_costs[row] : 0.0;
    const double dual = own >= 0 ? cost - duals_[own] : frame_.RowCeiling();
    double least = Smaller(dual, frame_.RowCeiling());
    while (pair != kNoPair) {
      const NearPair near = memory_.pairs[pair];
      least = Smaller(least, near.cost - duals_[near.col]);
      pair = near.next;
    }
    action(row, own, cost, dual, least);
  }

  // A warp looks at all pairs of a row in f64.
  template <typename Action>
  __device__ void ActOnRowOfAllPairs(int row, const CostsType& costs,
                                     Action action) const {
    if (memory_.heads[row] == kNoRow) {
      return;
    }
    const int own = state_.ColOfRow(row);
    const double cost = own >= 0 ? memory_.own_costs[row] : 0.0;
    const double dual = own >= 0 ? cost - duals_[own] : frame_.RowCeiling();
    double least = Smaller(dual, frame_.RowCeiling());
#pragma unroll 4
    for (int col = team_.lane(); col < frame_.cols; col += kWarp) {
      // The cost of what does not exist may be NaN, which is never smaller.
      least =
          Smaller(least, costs.template Get<double>(row, col) - duals_[col]);
    }
    least = ReduceWarp(least, [](double a, double b) { return Smaller(a, b); });
    // The action may change what all lanes have read.
    __syncwarp();
    if (team_.lane() == 0) {
      action(row, own, cost, dual, least);
    }
  }

  // Are costs and L/2 multiples of a q with 2 (rows + cols) max(|c|, |L|) <
  // 2^53 q? Then f64 rounded nothing.
  __device__ bool IsExact() {
    if (is_scaled_) {
      return false;
    }
    double unit = frame_.HasLimit() && frame_.limit != 0.0
                      ? PowerOfTwoIn(frame_.limit / 2.0)
                      : InfinityOfDouble();
    const CostsType costs = AllCosts();
    for (int row = team_.warp(); row < frame_.rows; row += team_.warps()) {
      for (int col = team_.lane(); col < frame_.cols; col += kWarp) {
        if (frame_.row_mask.Exists(row) && frame_.col_mask.Exists(col)) {
          const double cost = costs.template Get<double>(row, col);
          if (cost != 0.0 && cost < InfinityOfDouble()) {
            unit = Smaller(unit, PowerOfTwoIn(cost));
          }
        }
      }
    }
    unit = team_.Reduce(unit, InfinityOfDouble(),
                        [](double a, double b) { return Smaller(a, b); });
    const double sums =
        2.0 * (frame_.existing_rows + frame_.existing_cols) * largest_;
    return sums * __longlong_as_double((1023LL - 53) << 52) < unit;
  }

  // Sum over the matched pairs of the user's costs times `scale`.
  template <typename R>
  __device__ double Total(const State<R>& state, double scale) {
    DoubleDouble sum = {0.0, 0.0};
    for (int row = team_.thread(); row < frame_.rows; row += team_.threads()) {
      const int col = state.ColOfRow(row);
      if (col >= 0) {
        const double cost = Widen(Load(user_.Of(row, col)));
        sum = sum + DoubleDouble{cost * scale, 0.0};
      }
    }
    const DoubleDouble none = {0.0, 0.0};
    return team_
        .Reduce(sum, none, [](DoubleDouble a, DoubleDouble b) { return a + b; })
        .high;
  }

  TeamType& team_;
  const Frame& frame_;
  const Parameters& parameters_;
  const UserCosts<T> user_;
  const double factor_;
  const ProofMemory& memory_;
  const State<double>& state_;
  const double largest_cost_;
  const double largest_;
  const bool is_scaled_;
  // How much dearer than its row's own a near pair is, at most.
  double slack_ = 0.0;
  // v as it is now.
  double* duals_ = nullptr;
  // ListNearPairs was called for the matching and v as they are, or v was
  // raised since.
  bool is_current_ = false;
  // It has listed all pairs that matter.
  bool is_listed_ = false;
  // There is a copy of the costs.
  bool is_copied_ = false;
};

template <typename T, class TeamType>
__device__ void ProveProblem(TeamType& team, const Parameters& parameters,
                             long long problem) {
  using Real = typename TypesOf<T>::Real;
  const DeviceBatch& batch = parameters.batch;
  const int status = batch.status[problem];
  if (status >= 0) {
    return;
  }
  Frame frame = FrameOf<Real>(team, batch, problem);
  const Answer<Real> answer(batch, frame);
  const double largest_cost = *answer.total_cost;
  frame.CapLimit(largest_cost);
  const double largest = frame.Largest(largest_cost);
  const double scale = ScaleFor(largest);
  frame.limit *= scale;
  const double factor = (batch.maximize != 0 ? -1.0 : 1.0) * scale;
  const T* const user =
      static_cast<const T*>(batch.cost) + problem * batch.rows * batch.cols;
  const ProofMemory memory(parameters);
  Prover<T, TeamType> prover(team, frame, parameters, memory, user, factor,
                             largest_cost * scale, largest * scale);
  bool is_feasible = status == kSearched && prover.Adopt(answer);
  if (!is_feasible) {
    is_feasible = prover.Solve();
  }
  if (is_feasible && prover.IsNearEnough()) {
    prover.Write(memory.state, answer);
    return;
  }
  const State<DoubleDouble> wide(parameters, parameters.wide_state);
  if (is_feasible) {
    COUNT(kSolvedInDoubleDouble);
    const auto costs = prover.AllCosts();
    is_feasible =
        ReduceRows(team, frame, costs, wide) &&
        AugmentInMemory(
            team, frame, costs, wide,
            {Find<DoubleDouble>(parameters, parameters.wide_distances),
             Find<DoubleDouble>(parameters, parameters.wide_duals)});
  }
  if (is_feasible) {
    prover.Write(wide, answer);
  } else {
    WriteBad(team, frame, answer, kInfeasible, factor * InfinityOfDouble());
  }
}

template <typename T>
__device__ void Prove(const Parameters& parameters) {
  const DeviceBatch& batch = parameters.batch;
  Team<true> team(Find<unsigned char>(parameters, parameters.exchange));
  for (long long problem = blockIdx.x; problem < batch.problems;
       problem += gridDim.x) {
    BEGIN_PROBLEM();
    ProveProblem<T>(team, parameters, problem);
    team.Sync();
  }
}

#endif  // CUDA_PROVE_H_
