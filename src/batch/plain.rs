//! Groups of *plain* narrow problems: squares of a width that needs no padding, without masks,
//! limits or maximisation. They are read where they lie.
//!
//! Judging and writing them is done for all at once. At a tenth of a microsecond for a problem,
//! that is as much work as solving them.

use crate::batch::status::Status;
use crate::batch::tally::Tally;
use crate::batch::tensors::{Inputs, Outputs, Shape};
use crate::batch::write::{ColsOfNarrow, RowsOfNarrow, SideAnswer};
use crate::prove::narrow::{NarrowSolver, Solved};
use crate::simd::cost::{Cost, Entry, Real};
use crate::simd::ops::{DOUBLES, Lanes, Vectors};
use crate::solve::narrow::{NARROW_GROUP, NarrowAnswer, NarrowInstance};

/// Costs of all problems, if the batch is plain.
pub fn costs_of<'a, T: Cost, const COLS: usize>(
    shape: Shape,
    inputs: &Inputs<'a, T>,
) -> Option<&'a [[[T::Entry; COLS]; COLS]]> {
    let is_plain = T::Entry::IS_NEVER_SCALED
        && (shape.rows, shape.cols) == (COLS, COLS)
        && (inputs.row_mask, inputs.col_mask) == (&[true], &[true])
        && !inputs.maximize
        && (inputs.cost_limit.iter()).all(|&limit| limit.into() == f64::INFINITY);
    let costs = T::as_entries(inputs.cost).filter(|_| is_plain)?;
    Some(costs.as_chunks().0.as_chunks().0)
}

/// Prefetches the costs of the next group.
#[inline(always)]
pub fn prefetch<L: Lanes<DOUBLES>, E: Entry, const COLS: usize>(
    lanes: L,
    costs: &[[[E; COLS]; COLS]],
) {
    let entries = costs.as_flattened().as_flattened();
    let entries = &entries[..entries.len().min(NARROW_GROUP * COLS * COLS)];
    for line in entries.chunks(64 / size_of::<E>()) {
        lanes.prefetch(line.as_ptr());
    }
}

/// A group of a plain batch, and room to solve it in.
pub struct PlainGroup<'s, 'a, 'c, T: Cost, const COLS: usize> {
    /// Sizes of the batch.
    pub shape: Shape,
    /// Outputs of the batch.
    pub outputs: &'s mut Outputs<'c, T::Real>,
    /// The first problem of the group.
    pub first: usize,
    /// Costs of the group.
    pub costs: &'a [[[T::Entry; COLS]; COLS]],
    /// What solves it.
    pub solver: &'s mut NarrowSolver<COLS>,
    /// What counts the answers.
    pub tally: &'s mut Tally,
}

impl<T: Cost, const COLS: usize> PlainGroup<'_, '_, '_, T, COLS> {
    /// Solves the group, if all its costs are valid. Returns one bit for each problem whose answer
    /// was not proven and has to be found in another way.
    #[inline(always)]
    pub fn solve<V: Vectors>(self, vectors: V) -> Option<u64> {
        let PlainGroup {
            shape,
            outputs,
            first,
            costs,
            solver,
            tally,
        } = self;
        let any = costs.first()?;
        if !T::Entry::are_valid(costs.as_flattened().as_flattened()) {
            return None;
        }
        let instance = |costs| NarrowInstance {
            costs,
            rows: COLS,
            cols: COLS,
            half_limit: f64::INFINITY,
        };
        let mut instances = [instance(any); NARROW_GROUP];
        for (to, costs) in instances.iter_mut().zip(costs) {
            *to = instance(costs);
        }
        let instances = &instances[..costs.len()];
        let Solved { answered, exact } = solver.solve(vectors, instances);
        let mut answers = outputs.of_problems(shape, first..first + costs.len());
        answers.write_plain(solver.answers());
        let mut unproven = 0;
        if exact {
            tally.exact += u64::from(answered.count_ones());
        }
        for (index, instance) in instances.iter().enumerate() {
            let is_feasible = answered >> index & 1 != 0;
            if is_feasible && !exact {
                let largest = largest_allowed(instance.costs.as_flattened());
                let is_proven = solver.prove(vectors, index, instance, largest);
                tally.proven += u64::from(is_proven);
                unproven |= u64::from(!is_proven) << index;
            }
            // Feasible problems are done: the total of so few costs of f32 is finite.
            if !is_feasible {
                tally.bad += 1;
                answers.of_problem(shape, index).conclude_infeasible(1.0);
            }
        }
        Some(unproven)
    }
}

/// The largest magnitude of an allowed cost. All costs are valid.
#[inline(always)]
fn largest_allowed<E: Entry>(costs: &[E]) -> f64 {
    let mut largest = 0.0;
    for cost in costs {
        let magnitude = cost.widen().abs();
        if magnitude < f64::INFINITY && magnitude > largest {
            largest = magnitude;
        }
    }
    largest
}

impl<U: Real> Outputs<'_, U> {
    /// Writes all outputs of plain problems, as if all of them were feasible.
    #[inline(always)]
    fn write_plain<const COLS: usize>(&mut self, answers: &[NarrowAnswer<COLS>]) {
        let outputs = self.row_to_col.as_chunks_mut::<COLS>().0.iter_mut();
        for (outputs, answer) in outputs.zip(answers) {
            RowsOfNarrow(answer).write_partners(outputs);
        }
        let outputs = self.col_to_row.as_chunks_mut::<COLS>().0.iter_mut();
        for (outputs, answer) in outputs.zip(answers) {
            ColsOfNarrow(answer).write_partners(outputs);
        }
        let outputs = self.row_duals.as_chunks_mut::<COLS>().0.iter_mut();
        for (outputs, answer) in outputs.zip(answers) {
            RowsOfNarrow(answer).write_duals(outputs, 1.0);
        }
        let outputs = self.col_duals.as_chunks_mut::<COLS>().0.iter_mut();
        for (outputs, answer) in outputs.zip(answers) {
            ColsOfNarrow(answer).write_duals(outputs, 1.0);
        }
        for (output, answer) in self.total_cost.iter_mut().zip(answers) {
            *output = U::round_from(answer.total_cost);
        }
        self.status.fill(Status::Optimal.code());
    }
}
