//! Batches of narrow problems: one group after another is prepared, solved by turns and written.

use std::collections::TryReserveError;

use crate::batch::plain::{self, PlainGroup};
use crate::batch::tally::Tally;
use crate::batch::tensors::{Inputs, Outputs, Shape};
use crate::batch::workspace::{Keep, in_workspace, keep};
use crate::batch::write::{ColsOf, ColsOfNarrow, RowsOf, RowsOfNarrow, total_cost};
use crate::problem::given::Problem;
use crate::problem::instance::Instance;
use crate::problem::prepare::{Scratch, Unprepared};
use crate::prove::ladder::{Verdict, evidence};
use crate::prove::narrow::{NarrowSolver, Solved};
use crate::simd::cost::{Cost, Entry, Real};
use crate::simd::level::Level;
use crate::simd::ops::{Vectors, Work};
use crate::solve::narrow::{NARROW_GROUP, NarrowAnswer, NarrowInstance};

/// Solves a batch whose sizes have been checked, of problems that are padded to `width` columns
/// (see [`crate::problem::instance::narrow_width`]), with the vector instructions of a certain
/// level.
pub fn solve_at<T: Cost>(
    level: Level,
    width: usize,
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<T::Real>,
) -> Result<Tally, TryReserveError>
where
    Narrow<T::Entry, 8>: Keep,
    Narrow<T::Entry, 16>: Keep,
    Narrow<T::Entry, 32>: Keep,
{
    match width {
        8 => solve_padded::<T, 8>(level, shape, inputs, outputs),
        16 => solve_padded::<T, 16>(level, shape, inputs, outputs),
        _ => solve_padded::<T, 32>(level, shape, inputs, outputs),
    }
}

/// The same for problems that are padded to `COLS` columns.
fn solve_padded<T: Cost, const COLS: usize>(
    level: Level,
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<T::Real>,
) -> Result<Tally, TryReserveError>
where
    Narrow<T::Entry, COLS>: Keep,
{
    in_workspace((COLS, COLS), |workspace: &mut Narrow<T::Entry, COLS>| {
        workspace.solver.try_reserve()?;
        level.run(SolveNarrow {
            shape,
            inputs,
            outputs,
            workspace,
        })
    })
}

/// A thread's workspace for problems that are padded to `COLS` columns.
#[derive(Debug, Default)]
pub struct Narrow<E, const COLS: usize> {
    scratch: Vec<Scratch<E>>,
    solver: NarrowSolver<COLS>,
}

keep!(
    Narrow<f32, 8>,
    Narrow<f32, 16>,
    Narrow<f32, 32>,
    Narrow<f64, 8>,
    Narrow<f64, 16>,
    Narrow<f64, 32>,
);

impl<E: Entry, const COLS: usize> Narrow<E, COLS> {
    /// Makes room for what `count` problems of `rows × cols` are prepared in.
    fn reserve_scratch(
        &mut self,
        count: usize,
        rows: usize,
        cols: usize,
    ) -> Result<(), TryReserveError> {
        if self.scratch.is_empty() {
            self.scratch.try_reserve_exact(NARROW_GROUP)?;
            self.scratch.resize_with(NARROW_GROUP, Scratch::default);
        }
        let mut scratch = self.scratch.iter_mut().take(count);
        scratch.try_for_each(|scratch| scratch.try_reserve(rows, cols))
    }
}

/// A batch of problems that are padded to `COLS` columns, and room to solve it in.
struct SolveNarrow<'a, 'b, 'c, T: Cost, const COLS: usize> {
    shape: Shape,
    inputs: &'a Inputs<'b, T>,
    outputs: &'a mut Outputs<'c, T::Real>,
    workspace: &'a mut Narrow<T::Entry, COLS>,
}

impl<T: Cost, const COLS: usize> Work for SolveNarrow<'_, '_, '_, T, COLS> {
    type Output = Result<Tally, TryReserveError>;

    #[inline(always)]
    fn run<V: Vectors>(mut self, vectors: V) -> Self::Output {
        let mut plain_costs = plain::costs_of(self.shape, self.inputs);
        let mut has_scratch = false;
        let mut tally = Tally::default();
        for first in (0..self.shape.problems).step_by(NARROW_GROUP) {
            let last = self.shape.problems.min(first + NARROW_GROUP);
            // No closure, as its body would not be compiled for the level.
            let unproven = match plain_costs {
                Some(costs) => {
                    plain::prefetch(vectors.doubles(), &costs[last..]);
                    let group = PlainGroup::<T, COLS> {
                        shape: self.shape,
                        outputs: self.outputs,
                        first,
                        costs: &costs[first..last],
                        solver: &mut self.workspace.solver,
                        tally: &mut tally,
                    };
                    group.solve(vectors)
                }
                None => None,
            };
            if let Some(unproven) = unproven {
                if unproven != 0 {
                    self.solve_again(vectors, first, unproven, &mut tally)?;
                }
                continue;
            }
            // Where one group has invalid costs, others are likely to, and trying costs time.
            plain_costs = None;
            if !std::mem::replace(&mut has_scratch, true) {
                let Shape { rows, cols, .. } = self.shape;
                self.workspace.reserve_scratch(last - first, rows, cols)?;
            }
            vectors.run_apart(SolveGroup {
                batch: &mut self,
                first,
                last,
                tally: &mut tally,
            })?;
        }
        Ok(tally)
    }
}

impl<T: Cost, const COLS: usize> SolveNarrow<'_, '_, '_, T, COLS> {
    /// Solves problems again whose answers could not be proven: those whose bits are set, from
    /// `first` on.
    #[cold]
    #[inline(never)]
    fn solve_again<V: Vectors>(
        &mut self,
        vectors: V,
        first: usize,
        unproven: u64,
        tally: &mut Tally,
    ) -> Result<(), TryReserveError> {
        self.workspace
            .reserve_scratch(1, self.shape.rows, self.shape.cols)?;
        let Narrow { scratch, solver } = &mut *self.workspace;
        for at in (0..NARROW_GROUP).filter(|at| unproven >> at & 1 != 0) {
            let problem = self.inputs.problem(self.shape, first + at);
            let mut answer = self.outputs.of_problem(self.shape, first + at);
            match problem.prepare_at_baseline(&mut scratch[0]) {
                Ok(instance) => {
                    let verdict = solver.solve_again(vectors, &instance)?;
                    tally.count(&verdict);
                    answer.conclude_again(&problem, &instance, verdict);
                }
                Err(Unprepared::Memory(source)) => return Err(source),
                // Only if the host has changed its costs since they were judged.
                Err(Unprepared::Invalid(_)) => {
                    tally.bad += 1;
                    answer.conclude_invalid();
                }
            }
        }
        Ok(())
    }
}

/// A group of problems in a batch.
struct SolveGroup<'s, 'a, 'b, 'c, T: Cost, const COLS: usize> {
    batch: &'s mut SolveNarrow<'a, 'b, 'c, T, COLS>,
    first: usize,
    last: usize,
    tally: &'s mut Tally,
}

impl<T: Cost, const COLS: usize> Work for SolveGroup<'_, '_, '_, '_, T, COLS> {
    type Output = Result<(), TryReserveError>;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> Self::Output {
        let SolveGroup {
            batch,
            first,
            last,
            tally,
        } = self;
        let SolveNarrow {
            shape,
            inputs,
            outputs,
            workspace: Narrow { scratch, solver },
        } = batch;
        let shape = *shape;
        let mut instances = [const { None }; NARROW_GROUP];
        // Those that are valid, without gaps.
        let mut narrow_instances = None;
        let mut count = 0;
        for ((index, scratch), place) in (first..last).zip(scratch).zip(&mut instances) {
            match inputs.problem(shape, index).prepare(vectors, scratch) {
                Ok(instance) => {
                    let narrow_instance = NarrowInstance::of(&instance);
                    let narrow_instances =
                        narrow_instances.get_or_insert([narrow_instance; NARROW_GROUP]);
                    narrow_instances[count] = narrow_instance;
                    count += 1;
                    *place = Some(instance);
                }
                Err(Unprepared::Invalid(_)) => {}
                Err(Unprepared::Memory(source)) => return Err(source),
            }
        }
        let narrow_instances: &[NarrowInstance<T::Entry, COLS>] = match &narrow_instances {
            Some(narrow_instances) => &narrow_instances[..count],
            None => &[],
        };
        let Solved { answered, exact } = solver.solve(vectors, narrow_instances);
        let mut at = 0;
        for (index, instance) in (first..last).zip(&instances) {
            let mut answer = outputs.of_problem(shape, index);
            let Some(instance) = instance else {
                tally.bad += 1;
                answer.conclude_invalid();
                continue;
            };
            let narrow_instance = &narrow_instances[at];
            let verdict = if answered >> at & 1 == 0 {
                Verdict::Infeasible
            } else {
                let is_proven = || solver.prove(vectors, at, narrow_instance, instance.largest);
                match evidence(instance, exact, is_proven) {
                    Some(evidence) => Verdict::InDouble(evidence, &solver.answers()[at]),
                    None => solver.solve_again(vectors, instance)?,
                }
            };
            at += 1;
            tally.count(&verdict);
            let problem = inputs.problem(shape, index);
            answer.conclude_verdict(&problem, instance, verdict);
        }
        Ok(())
    }
}

impl<U: Real> Outputs<'_, U> {
    /// As [`Outputs::conclude_verdict`], compiled once for all levels.
    #[cold]
    #[inline(never)]
    fn conclude_again<T: Cost, const COLS: usize>(
        &mut self,
        problem: &Problem<T>,
        instance: &Instance<T::Entry>,
        verdict: Verdict<'_, &NarrowAnswer<COLS>>,
    ) {
        self.conclude_verdict(problem, instance, verdict);
    }

    /// Writes all outputs of one problem.
    #[inline(always)]
    fn conclude_verdict<T: Cost, const COLS: usize>(
        &mut self,
        problem: &Problem<T>,
        instance: &Instance<T::Entry>,
        verdict: Verdict<'_, &NarrowAnswer<COLS>>,
    ) {
        let sign = problem.options.sign();
        match verdict {
            Verdict::InDouble(_, answer) => {
                self.write(instance, &RowsOfNarrow(answer), &ColsOfNarrow(answer));
                // The sum is that of the user's costs, unless those were scaled.
                let mut total = sign * answer.total_cost + 0.0;
                if !instance.is_unscaled() || !total.is_finite() {
                    total = total_cost(problem, self.row_to_col);
                }
                self.conclude(total);
            }
            Verdict::InDoubleDouble(solver) => {
                self.write(instance, &RowsOf(solver), &ColsOf(solver));
                self.conclude(total_cost(problem, self.row_to_col));
            }
            Verdict::Infeasible => self.conclude_infeasible(sign),
        }
    }
}
