// The first kernel of a batch: judges each problem and solves it in f32, which
// rounds. What it finds it leaves in the outputs, for the second kernel
// (prove.h) to prove or to correct.

#ifndef CUDA_SEARCH_H_
#define CUDA_SEARCH_H_

#include "solver.h"

// Within this range no sum of f32 overflows, and rounding is relative.
__device__ inline bool IsSafeInSingle(double largest) {
  return largest == 0.0 || (largest > 1e-30 && largest < 1e30);
}

// Is a copy of the costs needed? That one: the kernel reads Entry. Where masks
// decide, it may be.
template <typename T, typename Entry>
__device__ inline bool MayNeedCopy(const DeviceBatch& batch) {
  return !IsSame<T, Entry>::value || batch.rows > batch.cols ||
         batch.row_mask_is_uniform == 0 || batch.col_mask_is_uniform == 0;
}

__device__ inline int LongerSide(const DeviceBatch& batch) {
  return static_cast<int>(batch.rows < batch.cols ? batch.cols : batch.rows);
}

template <typename T, class TeamType>
__device__ void SearchProblem(TeamType& team, const DeviceBatch& batch,
                              long long problem, const State<float>& state,
                              float* copy, bool copies_all) {
  using Real = typename TypesOf<T>::Real;
  Frame frame = FrameOf<Real>(team, batch, problem);
  const double sign = batch.maximize != 0 ? -1.0 : 1.0;
  const T* const user =
      static_cast<const T*>(batch.cost) + problem * batch.rows * batch.cols;
  // Where nothing exists there may be no place for a copy, and there is nothing
  // to read.
  const bool copies = (copies_all || !AreReadInPlace<T, float>(frame)) &&
                      frame.existing_rows > 0;
  const Survey survey = Look(team, frame, user, sign, copies ? copy : nullptr);
  const Costs<float> costs =
      copies ? Costs<float>{copy, PackedStride(frame.cols), 1.0f}
             : Costs<float>{reinterpret_cast<const float*>(user), batch.cols,
                            static_cast<float>(sign)};
  if (!survey.is_valid || !(frame.limit == frame.limit)) {
    WriteBad(team, frame, Answer<Real>(batch, frame), kInvalid,
             InfinityOfDouble() - InfinityOfDouble());
    return;
  }
  frame.CapLimit(survey.largest);
  bool is_searched = false;
  if (IsSafeInSingle(frame.Largest(survey.largest))) {
    using Columns = ColumnsInRegisters<float, TeamType::kMostThreads == kWarp
                                                  ? kColumnsOfWarpThread
                                                  : kColumnsOfBlockThread>;
    Solver<float, TeamType, float, Columns> solver(team, frame, costs, state);
    if (!solver.Solve({})) {
      WriteBad(team, frame, Answer<Real>(batch, frame), kInfeasible,
               sign * InfinityOfDouble());
      return;
    }
    is_searched = true;
  }
  const Answer<Real> answer(batch, frame);
  if (is_searched) {
    for (int row = team.thread(); row < frame.rows; row += team.threads()) {
      answer.col_of_row[row] = state.ColOfRow(row);
    }
    for (int col = team.thread(); col < frame.cols; col += team.threads()) {
      answer.row_of_col[col] = state.RowOfCol(col);
      answer.col_duals[col] = state.ColDual(col);
    }
  }
  if (team.thread() == 0) {
    // The prover wants to know it, and writes the total in its place. Nothing
    // is rounded: it is one of the costs.
    *answer.total_cost = static_cast<Real>(survey.largest);
    *answer.status = is_searched ? kSearched : kNotSearched;
  }
}

template <typename T, bool kIsBlock>
__device__ void Search(const Parameters& parameters) {
  const DeviceBatch& batch = parameters.batch;
  Arena arena(parameters);
  Team<kIsBlock> team(kIsBlock ? arena.Take<unsigned char>(kExchangeBytes)
                               : nullptr);
  const State<float> state(arena, LongerSide(batch));
  const long long count = PackedCount(batch);
  // In shared memory costs are nearer; elsewhere a copy is made only for its
  // order.
  const bool copies_all = arena.FitsShared<float>(count);
  float* const copy = arena.Take<float>(count);
  for (long long problem = blockIdx.x; problem < batch.problems;
       problem += gridDim.x) {
    BEGIN_PROBLEM();
    SearchProblem<T>(team, batch, problem, state, copy, copies_all);
    team.Sync();
  }
}

#endif  // CUDA_SEARCH_H_
