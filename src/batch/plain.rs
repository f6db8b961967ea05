//! Groups of *plain* narrow problems: squares of a width that needs no padding, read where they lie, all rows and columns there.
//!
//! Judging and writing them is done for all at once. At a tenth of a microsecond for a problem, that is as much work as
//! solving them.

use crate::batch::status::Status;
use crate::batch::tally::Tally;
use crate::batch::tensors::{Inputs, Outputs, Shape};
use crate::batch::write::total_cost;
use crate::prove::octets::OctetSolver;
use crate::simd::cost::{Cost, Entry, Real};
use crate::simd::ops::{DOUBLES, LaneWise, Vectors};
use crate::solve::octet::{LaneInstance, Octet};
use crate::solve::side_by_side::{GROUP, OCTETS};

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

/// Asks for the costs of the next group.
#[inline(always)]
pub fn prefetch<L: LaneWise, E: Entry, const COLS: usize>(lanes: L, costs: &[[[E; COLS]; COLS]]) {
    let entries = costs.as_flattened().as_flattened();
    let entries = &entries[..entries.len().min(GROUP * COLS * COLS)];
    for line in entries.chunks(64 / size_of::<E>()) {
        lanes.prefetch(line.as_ptr());
    }
}

/// A group of a plain batch, and room to solve it in.
pub struct PlainGroup<'s, 'a, 'c, T: Cost, const COLS: usize> {
    /// Sizes of the batch.
    pub shape: Shape,
    /// Inputs of the batch.
    pub inputs: &'s Inputs<'a, T>,
    /// Outputs of the batch.
    pub outputs: &'s mut Outputs<'c, T::Real>,
    /// The first problem of the group.
    pub first: usize,
    /// Costs of the group.
    pub costs: &'a [[[T::Entry; COLS]; COLS]],
    /// What solves it.
    pub solver: &'s mut OctetSolver<COLS>,
    /// What counts the answers.
    pub tally: &'s mut Tally,
}

impl<T: Cost, const COLS: usize> PlainGroup<'_, '_, '_, T, COLS> {
    /// Solves the group, if all its costs are valid. Returns, for each octet, one bit for each problem whose answer was not
    /// proven and has to be found in another way.
    #[inline(always)]
    pub fn solve<V: Vectors>(self, vectors: V) -> Option<[u8; OCTETS]> {
        let PlainGroup {
            shape,
            inputs,
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
        let empty = LaneInstance {
            costs: any,
            rows: 0,
            cols: 0,
            half_limit: f64::INFINITY,
        };
        let mut lane_instances = [[empty; DOUBLES]; OCTETS];
        for (lane_instance, costs) in lane_instances.as_flattened_mut().iter_mut().zip(costs) {
            *lane_instance = LaneInstance {
                costs,
                rows: COLS,
                cols: COLS,
                half_limit: f64::INFINITY,
            };
        }
        let exact = solver.solve(vectors, &lane_instances[..costs.len().div_ceil(DOUBLES)]);
        let mut unproven = [0; OCTETS];
        for (index, costs) in costs.chunks(DOUBLES).enumerate() {
            let octet = &solver.octets()[index];
            let first = first + index * DOUBLES;
            let mut answers = outputs.of_problems(shape, first..first + costs.len());
            answers.write_octet(vectors.doubles(), octet);
            let real = u8::MAX >> (DOUBLES - costs.len());
            let feasible = real & !octet.infeasible();
            if exact {
                tally.exact += u64::from(feasible.count_ones());
            } else {
                let mut largest = [0.0; DOUBLES];
                for (largest, costs) in largest.iter_mut().zip(costs) {
                    *largest = largest_allowed(costs.as_flattened());
                }
                let proven =
                    feasible & solver.prove(vectors, index, &lane_instances[index], largest);
                tally.proven += u64::from(proven.count_ones());
                unproven[index] = feasible & !proven;
            }
            for lane in 0..costs.len() {
                let is_feasible = feasible >> lane & 1 != 0;
                if is_feasible && octet.total_cost(lane).is_finite() {
                    continue;
                }
                let mut answer = answers.of_problem(shape, lane);
                if is_feasible {
                    let problem = inputs.problem(shape, first + lane);
                    answer.conclude(total_cost(&problem, answer.row_to_col));
                } else {
                    tally.bad += 1;
                    answer.conclude_infeasible(1.0);
                }
            }
        }
        Some(unproven)
    }
}

/// The largest magnitude of the allowed ones among valid costs.
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
    /// Writes all outputs of the problems of a plain octet, as if all of them were feasible.
    #[inline(always)]
    fn write_octet<L: LaneWise, const COLS: usize>(&mut self, lanes: L, octet: &Octet<COLS>) {
        // Adding zero turns -0.0 into 0.0.
        let zero = lanes.splat(0.0);
        let partners = self.row_to_col.as_chunks_mut::<COLS>().0.iter_mut();
        for (lane, row_to_col) in partners.enumerate().take(DOUBLES) {
            *row_to_col = octet.col_of_row(lane).map(i32::from);
        }
        let partners = self.col_to_row.as_chunks_mut::<COLS>().0.iter_mut();
        for (lane, col_to_row) in partners.enumerate().take(DOUBLES) {
            *col_to_row = octet.row_of_col(lane).map(i32::from);
        }
        let row_duals = self.row_duals.as_chunks_mut::<COLS>().0.iter_mut();
        for (lane, outputs) in row_duals.enumerate().take(DOUBLES) {
            let duals = octet.row_duals(lane).as_chunks::<DOUBLES>().0.iter();
            for (outputs, duals) in outputs.as_chunks_mut().0.iter_mut().zip(duals) {
                U::store(lanes, lanes.add(lanes.load(duals), zero), outputs);
            }
        }
        for chunk in 0..COLS / DOUBLES {
            let mut duals = [zero; DOUBLES];
            for (col, dual) in duals.iter_mut().enumerate() {
                let of_col = lanes.load(octet.col_dual(chunk * DOUBLES + col));
                *dual = lanes.add(of_col, zero);
            }
            let rows = U::transpose(lanes, duals);
            let outputs = self.col_duals.as_chunks_mut::<COLS>().0.iter_mut();
            for (outputs, duals) in outputs.zip(rows) {
                outputs.as_chunks_mut().0[chunk] = duals;
            }
        }
        let mut totals = [U::round_from(0.0); DOUBLES];
        U::store(lanes, lanes.load(octet.total_costs()), &mut totals);
        for (output, total) in self.total_cost.iter_mut().zip(totals) {
            *output = total;
        }
        self.status.fill(Status::Optimal.code());
    }
}
