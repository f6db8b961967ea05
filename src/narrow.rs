//! Batches of narrow problems: judged, solved side by side, outputs rounded and written.
//!
//! What [`crate::batch`] does for one problem after the other is done here for a group at once where the batch is *plain*:
//! squares of a width that needs no padding, read where they lie, all rows and columns there. At a tenth of a
//! microsecond for a problem, that is as much work as solving them.

use std::collections::TryReserveError;

use crate::batch::{Duals, Inputs, Outputs, Real, Shape, Solvable, Tally, total_cost};
use crate::lanes::{DOUBLES, LaneWise, Level, Vectors, Work};
use crate::problem::{Cost, Entry, Instance, Layout, Names, Problem, Unprepared};
use crate::side_by_side::{Again, Octet, Seat, SeatsOfOctet, SideBySide, TOGETHER};
use crate::solver::UNMATCHED;
use crate::status::Status;
use crate::workspace::{Keep, in_workspace};

/// Solves a batch whose sizes have been checked and are narrow, with the vector instructions of a certain level.
pub fn solve_at<T: Solvable>(
    level: Level,
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<T::Real>,
) -> Result<Tally, TryReserveError>
where
    Narrow<T::Entry, 8>: Keep,
    Narrow<T::Entry, 16>: Keep,
    Narrow<T::Entry, 32>: Keep,
{
    match shape.rows.max(shape.cols) {
        0..=8 => solve_padded::<T, 8>(level, shape, inputs, outputs),
        9..=16 => solve_padded::<T, 16>(level, shape, inputs, outputs),
        _ => solve_padded::<T, 32>(level, shape, inputs, outputs),
    }
}

/// The same for problems that are padded to `COLS` columns.
fn solve_padded<T: Solvable, const COLS: usize>(
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
    layouts: Vec<Layout<E>>,
    solver: SideBySide<COLS>,
}

impl<E, const COLS: usize> Default for Narrow<E, COLS> {
    fn default() -> Self {
        Narrow {
            layouts: Vec::new(),
            solver: SideBySide::default(),
        }
    }
}

impl<E: Entry, const COLS: usize> Narrow<E, COLS> {
    /// Makes room for what `count` problems of `rows × cols` are prepared in.
    fn reserve_layouts(
        &mut self,
        count: usize,
        rows: usize,
        cols: usize,
    ) -> Result<(), TryReserveError> {
        if self.layouts.is_empty() {
            self.layouts.try_reserve_exact(TOGETHER)?;
            self.layouts.resize_with(TOGETHER, Layout::default);
        }
        let mut layouts = self.layouts.iter_mut().take(count);
        layouts.try_for_each(|layout| layout.try_reserve(rows, cols))
    }
}

/// A batch of problems that are padded to `COLS` columns, and room to solve it in.
struct SolveNarrow<'a, 'b, 'c, T: Solvable, const COLS: usize> {
    shape: Shape,
    inputs: &'a Inputs<'b, T>,
    outputs: &'a mut Outputs<'c, T::Real>,
    workspace: &'a mut Narrow<T::Entry, COLS>,
}

impl<'b, T: Solvable, const COLS: usize> SolveNarrow<'_, 'b, '_, T, COLS> {
    /// Costs of all problems, if the batch is plain.
    fn plain_costs(&self) -> Option<&'b [[[T::Entry; COLS]; COLS]]> {
        let is_plain = T::Entry::IS_NEVER_SCALED
            && (self.shape.rows, self.shape.cols) == (COLS, COLS)
            && (self.inputs.row_mask, self.inputs.col_mask) == (&[true], &[true])
            && !self.inputs.maximize
            && (self.inputs.cost_limit.iter()).all(|&limit| limit.into() == f64::INFINITY);
        let costs = T::as_entries(self.inputs.cost).filter(|_| is_plain)?;
        Some(costs.as_chunks().0.as_chunks().0)
    }
}

impl<T: Solvable, const COLS: usize> Work for SolveNarrow<'_, '_, '_, T, COLS> {
    type Output = Result<Tally, TryReserveError>;

    #[inline(always)]
    fn run<V: Vectors>(mut self, vectors: V) -> Self::Output {
        let mut plain_costs = self.plain_costs();
        let mut has_layouts = false;
        let mut tally = Tally::default();
        for first in (0..self.shape.problems).step_by(TOGETHER) {
            let last = self.shape.problems.min(first + TOGETHER);
            let was_plain = match plain_costs {
                Some(costs) => {
                    prefetch(vectors.doubles(), &costs[last..]);
                    self.solve_plain(vectors, first, &costs[first..last], &mut tally)?
                }
                None => false,
            };
            if !was_plain {
                // Where one group has what is invalid, others are likely to, and trying costs time.
                plain_costs = None;
                if !std::mem::replace(&mut has_layouts, true) {
                    let Shape { rows, cols, .. } = self.shape;
                    self.workspace.reserve_layouts(last - first, rows, cols)?;
                }
                self.solve_group(vectors, first, last, &mut tally)?;
            }
        }
        Ok(tally)
    }
}

/// Asks for the costs of the next group.
#[inline(always)]
fn prefetch<L: LaneWise, E: Entry, const COLS: usize>(lanes: L, costs: &[[[E; COLS]; COLS]]) {
    let entries = costs.as_flattened().as_flattened();
    let entries = &entries[..entries.len().min(TOGETHER * COLS * COLS)];
    for line in entries.chunks(64 / size_of::<E>()) {
        lanes.prefetch(line.as_ptr());
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

impl<T: Solvable, const COLS: usize> SolveNarrow<'_, '_, '_, T, COLS> {
    /// Solves a group of a plain batch, if all its costs are valid.
    #[inline(always)]
    fn solve_plain<V: Vectors>(
        &mut self,
        vectors: V,
        first: usize,
        costs: &[[[T::Entry; COLS]; COLS]],
        tally: &mut Tally,
    ) -> Result<bool, TryReserveError> {
        let entries = costs.as_flattened().as_flattened();
        let Some(any) = costs.first() else {
            return Ok(false);
        };
        if !T::Entry::are_valid(entries) {
            return Ok(false);
        }
        let empty = Seat {
            costs: any,
            rows: 0,
            cols: 0,
            half_limit: f64::INFINITY,
        };
        let mut seats = [[empty; DOUBLES]; TOGETHER / DOUBLES];
        for (seat, costs) in seats.as_flattened_mut().iter_mut().zip(costs) {
            *seat = Seat {
                costs,
                rows: COLS,
                cols: COLS,
                half_limit: f64::INFINITY,
            };
        }
        let octets = costs.len().div_ceil(DOUBLES);
        let exact = self.workspace.solver.solve(vectors, &seats[..octets]);
        for (index, costs) in costs.chunks(DOUBLES).enumerate() {
            let octet = &self.workspace.solver.octets()[index];
            let first = first + index * DOUBLES;
            let last = first + costs.len();
            let mut answers = self.outputs.of_problems(self.shape, first..last);
            answers.write_octet(vectors.doubles(), octet);
            let real = u8::MAX >> (DOUBLES - costs.len());
            let feasible = real & !octet.infeasible();
            let mut unproven = 0;
            if exact {
                tally.exact += u64::from(feasible.count_ones());
            } else {
                let mut largest = [0.0; DOUBLES];
                for (largest, costs) in largest.iter_mut().zip(costs) {
                    *largest = largest_allowed(costs.as_flattened());
                }
                let solver = &self.workspace.solver;
                let proven = feasible & solver.prove(vectors, index, &seats[index], largest);
                tally.proven += u64::from(proven.count_ones());
                unproven = feasible & !proven;
            }
            for lane in 0..costs.len() {
                let is_feasible = feasible >> lane & 1 != 0;
                if is_feasible && octet.total_cost(lane).is_finite() {
                    continue;
                }
                let mut answer = answers.of_problem(self.shape, lane);
                if is_feasible {
                    let problem = self.inputs.problem(self.shape, first + lane);
                    let total = total_cost(&problem, answer.row_to_col);
                    answer.conclude(total, Status::Optimal, tally);
                } else {
                    answer.conclude_infeasible(1.0, tally);
                }
            }
            if unproven != 0 {
                self.solve_again(vectors, first, unproven, tally)?;
            }
        }
        Ok(true)
    }

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
            .reserve_layouts(1, self.shape.rows, self.shape.cols)?;
        let Narrow { layouts, solver } = &mut *self.workspace;
        for lane in (0..DOUBLES).filter(|lane| unproven >> lane & 1 != 0) {
            let problem = self.inputs.problem(self.shape, first + lane);
            let mut answer = self.outputs.of_problem(self.shape, first + lane);
            match problem.prepare(vectors, &mut layouts[0]) {
                Ok(instance) => {
                    let again = solver.solve_again(vectors, &instance)?;
                    answer.conclude_again(&problem, &instance, again, tally);
                }
                Err(Unprepared::Memory(source)) => return Err(source),
                // Its costs were judged before, and there is no limit.
                Err(Unprepared::Invalid(_)) => unreachable!("the costs are valid"),
            }
        }
        Ok(())
    }

    /// Solves a group of any problems.
    #[inline(always)]
    fn solve_group<V: Vectors>(
        &mut self,
        vectors: V,
        first: usize,
        last: usize,
        tally: &mut Tally,
    ) -> Result<(), TryReserveError> {
        vectors.run_apart(SolveAnyGroup {
            batch: self,
            first,
            last,
            tally,
        })
    }
}

/// A group of problems in a batch.
struct SolveAnyGroup<'s, 'a, 'b, 'c, T: Solvable, const COLS: usize> {
    batch: &'s mut SolveNarrow<'a, 'b, 'c, T, COLS>,
    first: usize,
    last: usize,
    tally: &'s mut Tally,
}

impl<T: Solvable, const COLS: usize> Work for SolveAnyGroup<'_, '_, '_, '_, T, COLS> {
    type Output = Result<(), TryReserveError>;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> Self::Output {
        let SolveAnyGroup {
            batch,
            first,
            last,
            tally,
        } = self;
        let SolveNarrow {
            shape,
            inputs,
            outputs,
            workspace: Narrow { layouts, solver },
        } = batch;
        let shape = *shape;
        let mut instances = [const { None }; TOGETHER];
        let mut any = None;
        for ((index, layout), place) in (first..last).zip(layouts).zip(&mut instances) {
            match inputs.problem(shape, index).prepare(vectors, layout) {
                Ok(instance) => {
                    any = Some(Seat::of(&instance));
                    *place = Some(instance);
                }
                Err(Unprepared::Invalid(_)) => {}
                Err(Unprepared::Memory(source)) => return Err(source),
            }
        }
        let octets = (last - first).div_ceil(DOUBLES);
        let mut exact = false;
        let mut seats: Option<[SeatsOfOctet<T::Entry, COLS>; TOGETHER / DOUBLES]> = None;
        if let Some(any) = any {
            let mut filled = [[any.left_empty(); DOUBLES]; TOGETHER / DOUBLES];
            for (seat, instance) in filled.as_flattened_mut().iter_mut().zip(&instances) {
                if let Some(instance) = instance {
                    *seat = Seat::of(instance);
                }
            }
            exact = solver.solve(vectors, &filled[..octets]);
            seats = Some(filled);
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
            if let Some(seats) = &seats
                && !(exact && are_scaled_exactly)
            {
                let mut largest = [0.0; DOUBLES];
                for (largest, instance) in largest.iter_mut().zip(instances) {
                    *largest = instance.as_ref().map_or(0.0, |instance| instance.largest);
                }
                proven = solver.prove(vectors, octet, &seats[octet], largest);
            }
            let first = first + octet * DOUBLES;
            for (lane, index) in (first..last.min(first + DOUBLES)).enumerate() {
                let mut answer = outputs.of_problem(shape, index);
                let problem = inputs.problem(shape, index);
                let sign = problem.options.sign();
                let Some(instance) = &instances[lane] else {
                    answer.clear();
                    answer.conclude(f64::NAN, Status::Invalid, tally);
                    continue;
                };
                let answers = &solver.octets()[octet];
                if answers.is_infeasible(lane) {
                    answer.conclude_infeasible(sign, tally);
                    continue;
                }
                if exact && instance.scaling_is_exact {
                    tally.exact += 1;
                    answer.conclude_lane(&problem, instance, answers, lane, tally);
                    continue;
                }
                if proven >> lane & 1 != 0 {
                    tally.proven += 1;
                    answer.conclude_lane(&problem, instance, answers, lane, tally);
                    continue;
                }
                let again = solver.solve_again(vectors, instance)?;
                answer.conclude_again(&problem, instance, again, tally);
            }
        }
        Ok(())
    }
}

/// One lane's answer.
struct LaneDuals<'a, const COLS: usize>(&'a Octet<COLS>, usize);

impl<const COLS: usize> Duals for LaneDuals<'_, COLS> {
    fn of_row(&self, row: usize) -> f64 {
        self.0.row_duals(self.1)[row]
    }
    fn of_col(&self, col: usize) -> f64 {
        self.0.col_dual(col)[self.1]
    }
    fn col_of_row(&self, row: usize) -> Option<usize> {
        usize::try_from(self.0.col_of_row(self.1)[row]).ok()
    }
    fn row_of_col(&self, col: usize) -> Option<usize> {
        usize::try_from(self.0.row_of_col(self.1)[col]).ok()
    }
}

impl<U: Real> Outputs<'_, U> {
    /// Writes the total and the verdict on one problem.
    #[inline(always)]
    fn conclude(&mut self, total_cost: f64, status: Status, tally: &mut Tally) {
        self.total_cost[0] = U::round_from(total_cost);
        self.status[0] = status.code();
        tally.bad += u64::from(status != Status::Optimal);
    }

    /// Writes what an infeasible problem answers, where +inf times `sign` is the worst total.
    fn conclude_infeasible(&mut self, sign: f64, tally: &mut Tally) {
        self.clear();
        self.conclude(sign * f64::INFINITY, Status::Infeasible, tally);
    }

    /// Writes all outputs of a problem that was solved again.
    fn conclude_again<T: Cost, const COLS: usize>(
        &mut self,
        problem: &Problem<T>,
        instance: &Instance<T::Entry>,
        again: Again<'_, COLS>,
        tally: &mut Tally,
    ) {
        match again {
            Again::Exact(answers) => {
                tally.exact += 1;
                self.conclude_lane(problem, instance, answers, 0, tally);
            }
            Again::InDoubleDouble(solver) => {
                tally.redone += 1;
                self.write(instance, solver);
                let total = total_cost(problem, self.row_to_col);
                self.conclude(total, Status::Optimal, tally);
            }
            Again::Infeasible => self.conclude_infeasible(problem.options.sign(), tally),
        }
    }

    /// Writes all outputs of one problem, from its lane.
    #[inline(always)]
    fn conclude_lane<T: Cost, const COLS: usize>(
        &mut self,
        problem: &Problem<T>,
        instance: &Instance<T::Entry>,
        octet: &Octet<COLS>,
        lane: usize,
        tally: &mut Tally,
    ) {
        let [of_rows, of_cols] = self.sides(instance.transposed);
        let (rows, cols) = (instance.row_names, instance.col_names);
        let factor = instance.dual_factor();
        write_line(
            of_rows.partners,
            of_rows.duals,
            rows,
            cols,
            octet.col_of_row(lane),
            |row| octet.row_duals(lane)[row] * factor,
        );
        write_line(
            of_cols.partners,
            of_cols.duals,
            cols,
            rows,
            octet.row_of_col(lane),
            |col| octet.col_dual(col)[lane] * factor,
        );
        if instance.half_limit_excess != 0.0 {
            self.lift_duals(instance, &LaneDuals(octet, lane));
        }
        // The sum is that of the user's costs, unless those were scaled.
        let mut total = problem.options.sign() * octet.total_cost(lane) + 0.0;
        if !instance.is_unscaled() || !total.is_finite() {
            total = total_cost(problem, self.row_to_col);
        }
        self.conclude(total, Status::Optimal, tally);
    }

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

/// Writes partners and duals of the rows (or columns) named by `names`, whose partners are named by `partner_names`; others
/// get none, and 0.
#[inline(always)]
fn write_line<U: Real>(
    outputs: &mut [i32],
    duals: &mut [U],
    names: &Names,
    partner_names: &Names,
    partners: &[i8],
    dual: impl Fn(usize) -> f64,
) {
    outputs.fill(UNMATCHED);
    duals.fill(U::round_from(0.0));
    for (index, name) in names.iter().enumerate() {
        if let Ok(partner) = usize::try_from(partners[index]) {
            outputs[name] = partner_names.get(partner) as i32;
        }
        // Adding zero turns -0.0 into 0.0.
        duals[name] = U::round_from(dual(index) + 0.0);
    }
}
