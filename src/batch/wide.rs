//! Batches of problems other than narrow ones: one group after another is prepared, solved and
//! written.

use std::collections::TryReserveError;

use crate::batch::tally::Tally;
use crate::batch::tensors::{Inputs, Outputs, Shape};
use crate::batch::workspace::{Keep, in_workspace, keep};
use crate::batch::write::{ColsOf, RowsOf, total_cost};
use crate::problem::prepare::{Scratch, Unprepared};
use crate::prove::group::GroupSolver;
use crate::prove::ladder::Verdict;
use crate::simd::cost::{Cost, Entry};
use crate::simd::level::Level;
use crate::simd::ops::{Vectors, Work};
use crate::solve::turns::{MOST_IN_TURNS, group_of};

/// Solves a batch whose sizes have been checked and which is not narrow, with the vector
/// instructions of a certain level.
pub fn solve_at<T: Cost>(
    level: Level,
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<T::Real>,
) -> Result<Tally, TryReserveError>
where
    Wide<T::Entry>: Keep,
{
    let Shape { rows, cols, .. } = shape;
    let group = group_of(rows, cols, size_of::<T::Entry>()).min(shape.problems);
    in_workspace((rows, cols), |workspace: &mut Wide<T::Entry>| {
        workspace.try_reserve(group, rows, cols)?;
        level.run(SolveAll {
            shape,
            inputs,
            outputs,
            group,
            workspace,
        })
    })
}

/// A thread's workspace for groups of problems.
#[derive(Debug, Default)]
pub struct Wide<E> {
    scratch: [Scratch<E>; MOST_IN_TURNS],
    solver: GroupSolver,
}

keep!(Wide<f32>, Wide<f64>);

impl<E: Entry> Wide<E> {
    /// Makes room for groups of up to `group` problems of up to `rows × cols`.
    fn try_reserve(
        &mut self,
        group: usize,
        rows: usize,
        cols: usize,
    ) -> Result<(), TryReserveError> {
        let mut scratch = self.scratch.iter_mut().take(group);
        scratch.try_for_each(|scratch| scratch.try_reserve(rows, cols))?;
        self.solver.try_reserve(group, rows, cols)
    }
}

/// A batch whose sizes have been checked, and room to solve it in.
struct SolveAll<'a, 'b, 'c, T: Cost> {
    shape: Shape,
    inputs: &'a Inputs<'b, T>,
    outputs: &'a mut Outputs<'c, T::Real>,
    /// How many problems take turns.
    group: usize,
    workspace: &'a mut Wide<T::Entry>,
}

impl<T: Cost> Work for SolveAll<'_, '_, '_, T> {
    type Output = Result<Tally, TryReserveError>;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> Self::Output {
        let count = self.shape.problems;
        let outputs = self.outputs;
        let Wide { scratch, solver } = self.workspace;
        let mut tally = Tally::default();
        let group = self.group;
        for first in (0..count).step_by(group.max(1)) {
            let mut problems = [const { None }; MOST_IN_TURNS];
            let mut prepared = [const { None }; MOST_IN_TURNS];
            for (member, scratch) in scratch.iter_mut().enumerate() {
                if member < group && first + member < count {
                    let problem =
                        problems[member].insert(self.inputs.problem(self.shape, first + member));
                    prepared[member] = match problem.prepare(vectors, scratch) {
                        Ok(instance) => Some(instance),
                        Err(Unprepared::Invalid(_)) => None,
                        Err(Unprepared::Memory(source)) => return Err(source),
                    };
                }
            }
            let verdicts = solver.solve(vectors, &prepared)?;
            for (member, verdict) in verdicts.iter().enumerate() {
                let Some(problem) = &problems[member] else {
                    break;
                };
                let mut answer = outputs.of_problem(self.shape, first + member);
                let (Some(instance), Some(verdict)) = (&prepared[member], verdict) else {
                    tally.bad += 1;
                    answer.conclude_invalid();
                    continue;
                };
                tally.count(verdict);
                match verdict {
                    Verdict::InDouble(_, solver) => {
                        answer.write(instance, &RowsOf(*solver), &ColsOf(*solver));
                    }
                    Verdict::InDoubleDouble(solver) => {
                        answer.write(instance, &RowsOf(*solver), &ColsOf(*solver));
                    }
                    Verdict::Infeasible => {
                        answer.conclude_infeasible(problem.options.sign());
                        continue;
                    }
                }
                answer.conclude(total_cost(problem, answer.row_to_col));
            }
        }
        Ok(tally)
    }
}
