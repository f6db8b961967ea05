//! Batches of narrow problems: a group after the other is prepared, solved side by side and written.

use std::collections::TryReserveError;

use crate::batch::plain::{self, PlainGroup};
use crate::batch::tally::Tally;
use crate::batch::tensors::{Inputs, Outputs, Shape};
use crate::batch::workspace::{Keep, in_workspace, keep};
use crate::batch::write::{ColsOf, ColsOfLane, RowsOf, RowsOfLane, total_cost};
use crate::problem::given::Problem;
use crate::problem::instance::Instance;
use crate::problem::prepare::{Scratch, Unprepared};
use crate::prove::ladder::{Verdict, evidence};
use crate::prove::octets::OctetSolver;
use crate::simd::cost::{Cost, Entry, Real};
use crate::simd::level::Level;
use crate::simd::ops::{DOUBLES, Vectors, Work};
use crate::solve::octet::{LaneInstance, Octet, OctetInstances};
use crate::solve::side_by_side::{GROUP, OCTETS};

/// Solves a batch whose sizes have been checked, of problems that are padded to `width` columns (see
/// [`crate::problem::instance::narrow_width`]), with the vector instructions of a certain level.
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

/// What a thread solves problems in that are padded to `COLS` columns.
#[derive(Debug)]
pub struct Narrow<E, const COLS: usize> {
    scratch: Vec<Scratch<E>>,
    solver: OctetSolver<COLS>,
}

impl<E, const COLS: usize> Default for Narrow<E, COLS> {
    fn default() -> Self {
        Narrow {
            scratch: Vec::new(),
            solver: OctetSolver::default(),
        }
    }
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
            self.scratch.try_reserve_exact(GROUP)?;
            self.scratch.resize_with(GROUP, Scratch::default);
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
        for first in (0..self.shape.problems).step_by(GROUP) {
            let last = self.shape.problems.min(first + GROUP);
            // No closure, as what it holds would not be compiled for the level.
            let unproven = match plain_costs {
                Some(costs) => {
                    plain::prefetch(vectors.doubles(), &costs[last..]);
                    let group = PlainGroup {
                        shape: self.shape,
                        inputs: self.inputs,
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
                for (octet, unproven) in unproven.into_iter().enumerate() {
                    if unproven != 0 {
                        self.solve_again(vectors, first + octet * DOUBLES, unproven, &mut tally)?;
                    }
                }
                continue;
            }
            // Where one group has what is invalid, others are likely to, and trying costs time.
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
    /// Solves problems again whose answers could not be proven: those whose bits are set, from `first` on.
    #[cold]
    #[inline(never)]
    fn solve_again<V: Vectors>(
        &mut self,
        vectors: V,
        first: usize,
        unproven: u8,
        tally: &mut Tally,
    ) -> Result<(), TryReserveError> {
        self.workspace
            .reserve_scratch(1, self.shape.rows, self.shape.cols)?;
        let Narrow { scratch, solver } = &mut *self.workspace;
        for lane in (0..DOUBLES).filter(|lane| unproven >> lane & 1 != 0) {
            let problem = self.inputs.problem(self.shape, first + lane);
            let mut answer = self.outputs.of_problem(self.shape, first + lane);
            match problem.prepare_at_baseline(&mut scratch[0]) {
                Ok(instance) => {
                    let verdict = solver.solve_again(vectors, &instance)?;
                    tally.count(&verdict);
                    answer.conclude_again(&problem, &instance, verdict);
                }
                Err(Unprepared::Memory(source)) => return Err(source),
                // Its costs were judged before, and there is no limit.
                Err(Unprepared::Invalid(_)) => unreachable!("the costs are valid"),
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
        let mut instances = [const { None }; GROUP];
        let mut any = None;
        for ((index, scratch), place) in (first..last).zip(scratch).zip(&mut instances) {
            match inputs.problem(shape, index).prepare(vectors, scratch) {
                Ok(instance) => {
                    any = Some(LaneInstance::of(&instance));
                    *place = Some(instance);
                }
                Err(Unprepared::Invalid(_)) => {}
                Err(Unprepared::Memory(source)) => return Err(source),
            }
        }
        let octets = (last - first).div_ceil(DOUBLES);
        let mut exact = false;
        let mut lane_instances: Option<[OctetInstances<T::Entry, COLS>; OCTETS]> = None;
        if let Some(any) = any {
            let mut filled = [[any.without_rows(); DOUBLES]; OCTETS];
            for (lane_instance, instance) in filled.as_flattened_mut().iter_mut().zip(&instances) {
                if let Some(instance) = instance {
                    *lane_instance = LaneInstance::of(instance);
                }
            }
            exact = solver.solve(vectors, &filled[..octets]);
            lane_instances = Some(filled);
        }
        for octet in 0..octets {
            let instances = &instances.as_chunks::<DOUBLES>().0[octet];
            let mut proven = 0;
            // Exact answers to scaled problems are not exact if scaling was not: those need the proof, too, whatever their
            // neighbours are.
            let are_scaled_exactly = instances
                .iter()
                .flatten()
                .all(|instance| instance.scaling_is_exact);
            if let Some(lane_instances) = &lane_instances
                && !(exact && are_scaled_exactly)
            {
                let mut largest = [0.0; DOUBLES];
                for (largest, instance) in largest.iter_mut().zip(instances) {
                    *largest = instance.as_ref().map_or(0.0, |instance| instance.largest);
                }
                proven = solver.prove(vectors, octet, &lane_instances[octet], largest);
            }
            let first = first + octet * DOUBLES;
            for (lane, index) in (first..last.min(first + DOUBLES)).enumerate() {
                let mut answer = outputs.of_problem(shape, index);
                let problem = inputs.problem(shape, index);
                let Some(instance) = &instances[lane] else {
                    tally.bad += 1;
                    answer.conclude_invalid();
                    continue;
                };
                let answers = &solver.octets()[octet];
                let verdict = if answers.infeasible() >> lane & 1 != 0 {
                    Verdict::Infeasible
                } else {
                    let is_proven = || proven >> lane & 1 != 0;
                    match evidence(instance, exact, is_proven) {
                        Some(evidence) => Verdict::InDouble(evidence, (answers, lane)),
                        None => solver.solve_again(vectors, instance)?,
                    }
                };
                tally.count(&verdict);
                answer.conclude_verdict(&problem, instance, verdict);
            }
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
        verdict: Verdict<'_, (&Octet<COLS>, usize)>,
    ) {
        self.conclude_verdict(problem, instance, verdict);
    }

    /// Writes all outputs of one problem. An answer in f64 is a lane of an octet.
    #[inline(always)]
    fn conclude_verdict<T: Cost, const COLS: usize>(
        &mut self,
        problem: &Problem<T>,
        instance: &Instance<T::Entry>,
        verdict: Verdict<'_, (&Octet<COLS>, usize)>,
    ) {
        let sign = problem.options.sign();
        match verdict {
            Verdict::InDouble(_, (octet, lane)) => {
                self.write(instance, &RowsOfLane(octet, lane), &ColsOfLane(octet, lane));
                // The sum is that of the user's costs, unless those were scaled.
                let mut total = sign * octet.total_cost(lane) + 0.0;
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
