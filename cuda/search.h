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

// Holds columns in as few registers as they need: a step takes time for each
// register, used or not.
template <class TeamType>
__device__ bool AugmentInRegisters(const TeamType& team, const Frame& frame,
                                   const Costs<float>& costs,
                                   const State<float>& state) {
  constexpr int kMost = TeamType::kMostThreads == kWarp ? kColumnsOfWarpThread
                                                        : kColumnsOfBlockThread;
  const float row_ceiling = Number<float>::From(frame.RowCeiling());
  if (frame.cols <= team.threads()) {
    return Augment<ColumnsInRegisters<float, 1>>(
        team, costs, state, {}, frame.rows, frame.cols, row_ceiling);
  }
  if (frame.cols <= 2 * team.threads()) {
    return Augment<ColumnsInRegisters<float, 2>>(
        team, costs, state, {}, frame.rows, frame.cols, row_ceiling);
  }
  return Augment<ColumnsInRegisters<float, kMost>>(
      team, costs, state, {}, frame.rows, frame.cols, row_ceiling);
}

template <typename T, class TeamType>
__device__ void SearchProblem(TeamType& team, const Parameters& parameters,
                              long long problem, const State<float>& state) {
  using Real = typename TypesOf<T>::Real;
  const DeviceBatch& batch = parameters.batch;
  Frame frame = FrameOf<Real>(team, batch, problem);
  const double sign = batch.maximize != 0 ? -1.0 : 1.0;
  const T* const user =
      static_cast<const T*>(batch.cost) + problem * batch.rows * batch.cols;
  // A copy in shared memory is made because it is nearer; elsewhere one is made
  // only for its order or type. Where nothing exists there may be no place for
  // a copy, and there is nothing to read.
  const bool copies =
      (parameters.copy.memory == kShared || !AreReadInPlace<T, float>(frame)) &&
      frame.existing_rows > 0;
  float* const copy =
      copies ? Find<float>(parameters, parameters.copy) : nullptr;
  const Survey survey =
      Look(team, frame, user, sign, copy, CopyStride(parameters, frame));
  const Costs<float> costs =
      copies ? Costs<float>{copy, CopyStride(parameters, frame), 1.0f}
             : Costs<float>{reinterpret_cast<const float*>(user),
                            static_cast<int>(batch.cols),
                            static_cast<float>(sign)};
  if (!survey.is_valid || !(frame.limit == frame.limit)) {
    WriteBad(team, frame, Answer<Real>(batch, frame), kInvalid,
             InfinityOfDouble() - InfinityOfDouble());
    return;
  }
  frame.CapLimit(survey.largest);
  bool is_searched = false;
  if (IsSafeInSingle(frame.Largest(survey.largest))) {
    if (!ReduceRows(team, frame, costs, state) ||
        !AugmentInRegisters(team, frame, costs, state)) {
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
    // The prover needs max|c|, and replaces it by the total. Nothing is
    // rounded: it is one of the costs.
    *answer.total_cost = static_cast<Real>(survey.largest);
    *answer.status = is_searched ? kSearched : kNotSearched;
  }
}

template <typename T, bool kIsBlock>
__device__ void Search(const Parameters& parameters) {
  const DeviceBatch& batch = parameters.batch;
  Team<kIsBlock> team(Find<unsigned char>(parameters, parameters.exchange));
  const State<float> state(parameters, parameters.state);
  for (long long problem = blockIdx.x; problem < batch.problems;
       problem += gridDim.x) {
    BEGIN_PROBLEM();
    SearchProblem<T>(team, parameters, problem, state);
    team.Sync();
  }
}

#endif  // CUDA_SEARCH_H_
