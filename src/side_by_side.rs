//! Small problems side by side: eight at once, one in each lane of a vector.
//!
//! Up to [`WIDEST`] columns a sweep over one row is over before the processor knows what to do next. Here a sweep serves
//! eight instances, each of which goes on by itself: what is a branch in [`crate::solver`] is a choice between lanes.
//!
//! **Algorithm.** That of [`crate::solver`], with its invariants (1) and (2) and its ceilings, started differently:
//!
//! 1. **Column reduction** (squares without a limit only): v_j = min_i c_ij, as there. Then, as Jonker & Volgenant do,
//!    each column is matched with the row that holds its minimum, if no column before it was: such a row has nothing
//!    cheaper, for its reduced costs are not negative and this one is 0.
//! 2. **Augmentation** by Dijkstra's shortest paths for the rows that are left, in order. There is no augmenting row
//!    reduction: counted, it makes more steps than it saves.
//!
//! A *step* sweeps, in each lane, the row that the lane's search has just reached, finds the nearest column, and either
//! goes on to the row matched with it or ends the search and begins the next. Lanes do not wait for each other; the
//! group is done when all are.
//!
//! **Ties.** Of equal distances an unmatched column goes first, then the column of lowest index; among matched columns
//! the one of highest index, which saves a comparison. Of equal costs in a column the first row holds it. A
//! row is left unmatched only where that is strictly cheaper. All-equal costs match i to i. No lane knows of another, so
//! nothing depends on the neighbours or on the place among them.
//!
//! **Exactness.** As in [`crate::exact`]: where nothing was rounded in the group, its answers are exact. Otherwise each has
//! to be proven near enough, and what cannot be is solved again, alone, and then in twice the precision. Additions
//! and subtractions are those of [`crate::solver`] and stay within the same bounds, so the same costs are exact.
//!
//! **Cost.** A step is O(columns) vector operations, of which the transposition of eight rows is a quarter. Workspace
//! O(rows + columns) for each lane, on the stack or in [`Answers`].

use std::collections::TryReserveError;

use crate::arithmetic::DoubleDouble;
use crate::exact::Evidence;
use crate::float_environment::Exactness;
use crate::lanes::{DOUBLES, LaneWise, Level, Portable, Vectors, Work};
use crate::problem::{Entry, Instance, WIDEST};
use crate::solver::{Infeasible, Solver, UNMATCHED};

/// A number for each lane.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct PerLane([f64; DOUBLES]);

/// A group of instances; lanes without one are idle. All are of the same width.
pub type Group<'a, E> = [Option<Instance<'a, E>>; DOUBLES];

/// The answers to a group of instances. One worker owns this and reuses it.
#[derive(Debug)]
pub struct Answers {
    /// v.
    col_duals: [PerLane; WIDEST],
    /// u.
    row_duals: [PerLane; WIDEST],
    /// Cost of each row's pair; 0 where the row is unmatched.
    matched_costs: [PerLane; WIDEST],
    col_of_row: [[i32; WIDEST]; DOUBLES],
    row_of_col: [[i32; WIDEST]; DOUBLES],
    /// Lanes whose allowed pairs cannot match all rows.
    infeasible: u8,
    /// Nothing was rounded in any lane.
    exact: bool,
    /// Lanes whose answers were proven near enough to the optimum. Only sought where something was rounded.
    proven: u8,
    total_costs: PerLane,
}

impl Default for Answers {
    fn default() -> Self {
        const ZEROS: PerLane = PerLane([0.0; DOUBLES]);
        Answers {
            col_duals: [ZEROS; WIDEST],
            row_duals: [ZEROS; WIDEST],
            matched_costs: [ZEROS; WIDEST],
            col_of_row: [[UNMATCHED; WIDEST]; DOUBLES],
            row_of_col: [[UNMATCHED; WIDEST]; DOUBLES],
            infeasible: 0,
            exact: false,
            proven: 0,
            total_costs: ZEROS,
        }
    }
}

impl Answers {
    /// Solves the instances of a group.
    #[inline(always)]
    pub fn solve<V: Vectors, E: Entry>(&mut self, vectors: V, group: &Group<E>) {
        let width = group.iter().flatten().next().map_or(0, Instance::width);
        macro_rules! in_width {
            ($width:literal) => {
                vectors.run_apart(SolveGroup::<E, $width> {
                    group,
                    answers: self,
                })
            };
        }
        match width {
            0 => {}
            8 => in_width!(8),
            16 => in_width!(16),
            _ => in_width!(32),
        }
    }

    /// Column matched with each row, or [`UNMATCHED`].
    #[inline(always)]
    pub fn col_of_row(&self, lane: usize) -> &[i32; WIDEST] {
        &self.col_of_row[lane]
    }

    /// Row matched with each column, or [`UNMATCHED`].
    #[inline(always)]
    pub fn row_of_col(&self, lane: usize) -> &[i32; WIDEST] {
        &self.row_of_col[lane]
    }

    /// u of one row.
    #[inline(always)]
    pub fn row_dual(&self, lane: usize, row: usize) -> f64 {
        self.row_duals[row].0[lane]
    }

    /// v of one column.
    #[inline(always)]
    pub fn col_dual(&self, lane: usize, col: usize) -> f64 {
        self.col_duals[col].0[lane]
    }

    /// Sum of the instance's matched costs, with the rounding errors added back as in [`crate::sum`]. Not finite where a
    /// partial sum left the range of f64.
    #[inline(always)]
    pub fn total_cost(&self, lane: usize) -> f64 {
        self.total_costs.0[lane]
    }
}

/// Solvers of both precisions for a group of instances. One worker owns one and reuses it.
#[derive(Debug, Default)]
pub struct SideBySide {
    /// Of the group.
    answers: Answers,
    /// Of an instance that was solved again, alone in its lane.
    alone: Answers,
    // Made room for only when it is needed, which is rare.
    double_double: Solver<DoubleDouble>,
}

/// What became of the instance in one lane.
#[derive(Debug)]
pub enum InLane<'a> {
    /// The allowed pairs cannot match all rows.
    Infeasible,
    /// Solved in f64: the answer stands in the lane.
    InDouble(Evidence, &'a Answers),
    /// Solved again, in twice the precision.
    InDoubleDouble(&'a Solver<DoubleDouble>),
}

impl SideBySide {
    /// Solves a group of instances.
    #[inline(always)]
    pub fn solve<V: Vectors, E: Entry>(&mut self, vectors: V, group: &Group<E>) {
        self.answers.solve(vectors, group);
    }

    /// What became of the instance in a lane. It depends on nothing but the instance.
    ///
    /// # Errors
    ///
    /// There is no memory for the wider solver.
    #[inline(always)]
    pub fn verdict<E: Entry>(
        &mut self,
        instance: &Instance<E>,
        lane: usize,
    ) -> Result<InLane<'_>, TryReserveError> {
        if self.answers.infeasible >> lane & 1 != 0 {
            Ok(InLane::Infeasible)
        } else if self.answers.exact && instance.scaling_is_exact {
            Ok(InLane::InDouble(Evidence::Exact, &self.answers))
        } else if self.answers.proven >> lane & 1 != 0 {
            Ok(InLane::InDouble(Evidence::Proven, &self.answers))
        } else {
            self.solve_alone(instance, lane)
        }
    }

    /// What another instance of the group made inexact may be exact by itself; if not, twice the precision is needed.
    #[cold]
    #[inline(never)]
    fn solve_alone<E: Entry>(
        &mut self,
        instance: &Instance<E>,
        lane: usize,
    ) -> Result<InLane<'_>, TryReserveError> {
        let mut group = [const { None }; DOUBLES];
        group[lane] = Some(*instance);
        Level::PORTABLE.run(Alone {
            group: &group,
            answers: &mut self.alone,
        });
        if self.alone.exact && instance.scaling_is_exact {
            return Ok(InLane::InDouble(Evidence::Exact, &self.alone));
        }
        let wider = &mut self.double_double;
        wider.try_reserve(instance.rows(), instance.cols())?;
        match wider.solve::<_, _, DOUBLES>(Portable::default(), instance) {
            Ok(()) => Ok(InLane::InDoubleDouble(wider)),
            Err(Infeasible) => Ok(InLane::Infeasible),
        }
    }
}

/// Solves a group from code that is not specialised for a level.
struct Alone<'a, 'b, E> {
    group: &'a Group<'b, E>,
    answers: &'a mut Answers,
}

impl<E: Entry> Work for Alone<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        self.answers.solve(vectors, self.group);
    }
}

/// An index in a lane, as a number whose last bits it is.
#[inline(always)]
fn numbered(index: usize) -> f64 {
    const BASE: f64 = (1u64 << 52) as f64;
    f64::from_bits(BASE.to_bits() | index as u64)
}

/// The index, which is less than `COLS`, a power of two.
#[inline(always)]
fn index<const COLS: usize>(number: f64) -> usize {
    number.to_bits() as usize % COLS
}

/// Solves a group of instances of width `COLS`.
struct SolveGroup<'a, 'b, E, const COLS: usize> {
    group: &'a Group<'b, E>,
    answers: &'a mut Answers,
}

impl<E: Entry, const COLS: usize> Work for SolveGroup<'_, '_, E, COLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let SolveGroup { group, answers } = self;
        let lanes = vectors.doubles();
        let exactness = Exactness::watch();
        let shapes = Shapes::<E, COLS>::new(lanes, group);
        let mut searches = Searches::begin(lanes, &shapes, answers);
        while searches.running != 0 {
            searches.step(lanes, &shapes, answers);
        }
        let shift = shapes.finish(lanes, answers);
        answers.exact = exactness.held(answers);
        answers.proven = 0;
        if !answers.exact {
            answers.proven = shapes.near_enough(lanes, answers, shift, group);
        }
        shapes.add_up(lanes, answers);
    }
}

/// What the instances of a group are like.
struct Shapes<'a, E, const COLS: usize> {
    /// Rows of costs.
    costs: [&'a [[E; COLS]]; DOUBLES],
    /// Most rows of any instance.
    most_rows: usize,
    /// Bit l of number j says that the instance in lane l has column j.
    real: [u8; COLS],
    /// Number of rows.
    rows: PerLane,
    /// Row ceilings.
    row_ceiling: PerLane,
    /// Column ceilings.
    col_ceiling: PerLane,
    /// Lanes whose columns all end up matched.
    balanced: u8,
}

impl<'a, E: Entry, const COLS: usize> Shapes<'a, E, COLS> {
    #[inline(always)]
    fn new<L: LaneWise>(lanes: L, group: &'a Group<E>) -> Self {
        let mut shapes = Shapes {
            costs: [&[]; DOUBLES],
            most_rows: 0,
            real: [0; COLS],
            rows: PerLane([0.0; DOUBLES]),
            row_ceiling: PerLane([f64::INFINITY; DOUBLES]),
            col_ceiling: PerLane([0.0; DOUBLES]),
            balanced: 0,
        };
        let mut cols = PerLane([0.0; DOUBLES]);
        for lane in 0..DOUBLES {
            if let Some(instance) = &group[lane] {
                let rows = instance.rows();
                shapes.costs[lane] = instance.narrow_rows();
                shapes.most_rows = shapes.most_rows.max(rows);
                shapes.rows.0[lane] = rows as f64;
                cols.0[lane] = instance.cols() as f64;
                shapes.row_ceiling.0[lane] = instance.half_limit;
                if instance.half_limit.is_finite() {
                    shapes.col_ceiling.0[lane] = instance.half_limit;
                }
                let balanced = instance.is_balanced() && rows > 0;
                shapes.balanced |= u8::from(balanced) << lane;
            }
        }
        shapes.most_rows = shapes.most_rows.min(COLS);
        let cols = lanes.load(&cols.0);
        for col in 0..COLS {
            shapes.real[col] = lanes.bits(lanes.less(lanes.splat(col as f64), cols));
        }
        shapes
    }

    /// One row of each lane.
    #[inline(always)]
    fn rows_at(&self, row: usize) -> [&'a [E; COLS]; DOUBLES] {
        let mut rows = [blank_row(); DOUBLES];
        for lane in 0..DOUBLES {
            rows[lane] = self.costs[lane].get(row).unwrap_or(blank_row());
        }
        rows
    }

    /// Column reduction: v_j, and the row that holds it.
    #[inline(always)]
    fn reduce_columns<L: LaneWise>(
        &self,
        lanes: L,
        col_duals: &mut [PerLane; COLS],
        holders: &mut [PerLane; COLS],
    ) {
        let balanced = lanes.mask(self.balanced);
        let ceiling = lanes.load(&self.col_ceiling.0);
        // Below all real ones when the largest is sought, and +inf less this is still +inf.
        let padding = lanes.splat(f64::NEG_INFINITY);
        for chunk in 0..COLS / DOUBLES {
            let mut least = [lanes.splat(f64::INFINITY); DOUBLES];
            let mut holder = [lanes.splat(numbered(0)); DOUBLES];
            if self.balanced != 0 {
                for row in 0..self.most_rows {
                    let costs = transpose_chunk(lanes, self.rows_at(row), chunk);
                    let number = lanes.splat(numbered(row));
                    for col in 0..DOUBLES {
                        let cheaper = lanes.less(costs[col], least[col]);
                        holder[col] = lanes.select(cheaper, number, holder[col]);
                        least[col] = lanes.smaller(costs[col], least[col]);
                    }
                }
            }
            for col in 0..DOUBLES {
                let at = chunk * DOUBLES + col;
                let dual = lanes.select(balanced, least[col], ceiling);
                let dual = lanes.select(lanes.mask(self.real[at]), dual, padding);
                lanes.store(dual, &mut col_duals[at].0);
                lanes.store(holder[col], &mut holders[at].0);
            }
        }
    }

    /// When all are matched: of all equally good duals of a square, takes those with max v = 0; then u, and what was
    /// matched at which cost. Returns by how much duals were shifted.
    #[inline(always)]
    fn finish<L: LaneWise>(&self, lanes: L, answers: &mut Answers) -> L::Vector {
        let col_duals = narrow::<_, COLS>(&mut answers.col_duals);
        let mut top = lanes.splat(f64::NEG_INFINITY);
        for dual in col_duals.iter() {
            top = lanes.larger(lanes.load(&dual.0), top);
        }
        let shift = lanes.select(lanes.mask(self.balanced), top, lanes.splat(0.0));
        for dual in col_duals.iter_mut() {
            let shifted = lanes.subtract(lanes.load(&dual.0), shift);
            lanes.store(shifted, &mut dual.0);
        }
        for row in 0..self.most_rows {
            let mut costs = PerLane([0.0; DOUBLES]);
            let mut duals = PerLane([0.0; DOUBLES]);
            let mut unmatched = 0u8;
            let rows = self.rows_at(row);
            for lane in 0..DOUBLES {
                let col = answers.col_of_row[lane][row];
                unmatched |= u8::from(col < 0) << lane;
                let at = col as usize % COLS;
                costs.0[lane] = rows[lane][at].widen();
                duals.0[lane] = col_duals[at].0[lane];
            }
            let unmatched = lanes.mask(unmatched);
            let cost = lanes.load(&costs.0);
            let u = lanes.subtract(cost, lanes.load(&duals.0));
            let u = lanes.select(unmatched, lanes.load(&self.row_ceiling.0), u);
            lanes.store(u, &mut answers.row_duals[row].0);
            let cost = lanes.select(unmatched, lanes.splat(0.0), cost);
            lanes.store(cost, &mut answers.matched_costs[row].0);
        }
        shift
    }

    /// Sums of the matched costs: [`crate::sum::compensated_sum`] in each lane.
    #[inline(always)]
    fn add_up<L: LaneWise>(&self, lanes: L, answers: &mut Answers) {
        let mut sum = lanes.splat(0.0);
        let mut lost = lanes.splat(0.0);
        for cost in &answers.matched_costs[..self.most_rows] {
            let term = lanes.load(&cost.0);
            let next = lanes.add(sum, term);
            let term_is_larger = lanes.less(magnitude(lanes, sum), magnitude(lanes, term));
            let larger = lanes.select(term_is_larger, term, sum);
            let smaller = lanes.select(term_is_larger, sum, term);
            let missed = lanes.add(lanes.subtract(larger, next), smaller);
            lost = lanes.add(lost, missed);
            sum = next;
        }
        lanes.store(lanes.add(sum, lost), &mut answers.total_costs.0);
    }

    /// Lanes in which the objective is within rows·2^−50·max(|c|, |L|) of the optimum: the bound of [`crate::exact`].
    #[inline(always)]
    fn near_enough<L: LaneWise>(
        &self,
        lanes: L,
        answers: &Answers,
        shift: L::Vector,
        group: &Group<E>,
    ) -> u8 {
        let zero = lanes.splat(0.0);
        let rows = lanes.load(&self.rows.0);
        let ceiling = lanes.load(&self.row_ceiling.0);
        let mut distance = zero;
        let mut largest_row_dual = zero;
        let mut largest_col_dual = zero;
        for row in 0..self.most_rows {
            let costs = self.rows_at(row);
            // A row may also be unmatched, at half the limit; without a limit that is +inf.
            let mut least = ceiling;
            for chunk in 0..COLS / DOUBLES {
                let costs = transpose_chunk(lanes, costs, chunk);
                for col in 0..DOUBLES {
                    let dual = lanes.load(&answers.col_duals[chunk * DOUBLES + col].0);
                    least = lanes.smaller(lanes.subtract(costs[col], dual), least);
                }
            }
            let u = lanes.load(&answers.row_duals[row].0);
            let is_row = lanes.less(lanes.splat(row as f64), rows);
            let too_high = lanes.both(is_row, lanes.less(least, u));
            let excess = lanes.select(too_high, lanes.subtract(u, least), zero);
            distance = lanes.add(distance, excess);
            let u = lanes.select(is_row, magnitude(lanes, u), zero);
            largest_row_dual = lanes.larger(u, largest_row_dual);
        }
        for col in 0..COLS {
            let v = lanes.load(&answers.col_duals[col].0);
            let v = lanes.select(lanes.mask(self.real[col]), magnitude(lanes, v), zero);
            largest_col_dual = lanes.larger(v, largest_col_dual);
        }
        let [mut distances, mut magnitudes] = [[0.0; DOUBLES]; 2];
        let duals = lanes.add(largest_row_dual, largest_col_dual);
        lanes.store(distance, &mut distances);
        lanes.store(
            lanes.add(duals, magnitude(lanes, shift)),
            &mut magnitudes,
        );
        let mut proven = 0;
        for (lane, instance) in group.iter().enumerate() {
            if let Some(instance) = instance {
                const ROUNDOFF: f64 = f64::EPSILON / 2.0;
                let rows = instance.rows() as f64;
                let magnitude = instance.largest + magnitudes[lane];
                let bound = distances[lane] + 2.0 * rows * ROUNDOFF * magnitude;
                let allowed = 8.0 * rows * ROUNDOFF * instance.largest;
                proven |= u8::from(bound <= allowed) << lane;
            }
        }
        proven
    }
}

/// Where the search in each lane stands.
struct Searches<'a, E, const COLS: usize> {
    /// Lanes that are not done.
    running: u8,
    /// One bit for each row that is still to be searched from, the present one included.
    pending: [u32; DOUBLES],
    /// Costs of the row that was reached last.
    costs: [&'a [E; COLS]; DOUBLES],
    /// Its number.
    row: PerLane,
    /// Its u, less the length of the shortest path to it.
    offset: PerLane,
    /// Lanes in which a column is not settled.
    open: [u8; COLS],
    /// Lanes in which a column is unmatched.
    unmatched: [u8; COLS],
    /// Length of the shortest path known to each column.
    distance: [PerLane; COLS],
    /// Number of the row before the column on that path.
    from: [PerLane; COLS],
    /// The cheapest way to end at a row so far.
    exit: PerLane,
    /// Number of that row.
    exit_row: PerLane,
}

impl<'a, E: Entry, const COLS: usize> Searches<'a, E, COLS> {
    /// Column reduction, and the first searches.
    #[inline(always)]
    fn begin<L: LaneWise>(lanes: L, shapes: &Shapes<'a, E, COLS>, answers: &mut Answers) -> Self {
        let mut searches = Searches {
            running: 0,
            pending: [0; DOUBLES],
            costs: [blank_row(); DOUBLES],
            row: PerLane([numbered(0); DOUBLES]),
            offset: PerLane([0.0; DOUBLES]),
            open: shapes.real,
            unmatched: shapes.real,
            distance: [PerLane([f64::INFINITY; DOUBLES]); COLS],
            from: [PerLane([numbered(0); DOUBLES]); COLS],
            exit: PerLane([f64::INFINITY; DOUBLES]),
            exit_row: PerLane([numbered(0); DOUBLES]),
        };
        let col_duals = narrow(&mut answers.col_duals);
        // The place of predecessors is free until there are some.
        shapes.reduce_columns(lanes, col_duals, &mut searches.from);
        answers.infeasible = 0;
        for col in 0..COLS {
            let is_infinite = lanes.equal(
                lanes.load(&col_duals[col].0),
                lanes.splat(f64::INFINITY),
            );
            answers.infeasible |= is_infinite as u8;
        }
        if answers.infeasible != 0 {
            // What is done in these lanes does not matter, as long as no NaN comes of it.
            let infeasible = lanes.mask(answers.infeasible);
            for dual in col_duals.iter_mut() {
                let finite = lanes.select(infeasible, lanes.splat(0.0), lanes.load(&dual.0));
                lanes.store(finite, &mut dual.0);
            }
        }
        for lane in 0..DOUBLES {
            let col_of_row = narrow::<_, COLS>(&mut answers.col_of_row[lane]);
            let row_of_col = narrow::<_, COLS>(&mut answers.row_of_col[lane]);
            *col_of_row = [UNMATCHED; COLS];
            *row_of_col = [UNMATCHED; COLS];
            let rows = shapes.costs[lane].len();
            let mut pending = ((1u64 << rows) - 1) as u32;
            if shapes.balanced >> lane & 1 != 0 {
                let holders = &searches.from;
                // Of the columns that a row holds the first one stays.
                for col in (0..COLS).rev() {
                    let row = index::<COLS>(holders[col].0[lane]);
                    if col < rows {
                        col_of_row[row] = col as i32;
                        pending &= !(1 << row);
                    }
                }
                for col in 0..COLS {
                    let row = index::<COLS>(holders[col].0[lane]);
                    if col_of_row[row] == col as i32 {
                        row_of_col[col] = row as i32;
                        searches.unmatched[col] &= !(1 << lane);
                    }
                }
            }
            searches.pending[lane] = pending;
            if answers.infeasible >> lane & 1 == 0 {
                searches.search_next(lane, shapes);
            }
        }
        searches
    }

    /// Begins the search from the first pending row of a lane, if there is one.
    #[inline(always)]
    fn search_next(&mut self, lane: usize, shapes: &Shapes<'a, E, COLS>) {
        let pending = self.pending[lane];
        let row = pending.trailing_zeros() as usize % COLS;
        let is_running = pending != 0;
        self.running = self.running & !(1 << lane) | u8::from(is_running) << lane;
        self.row.0[lane] = numbered(row);
        self.costs[lane] = match shapes.costs[lane].get(row) {
            Some(costs) if is_running => costs,
            _ => blank_row(),
        };
    }

    /// One sweep in each lane, and what follows from it.
    #[inline(always)]
    fn step<L: LaneWise>(
        &mut self,
        lanes: L,
        shapes: &Shapes<'a, E, COLS>,
        answers: &mut Answers,
    ) {
        let infinite = lanes.splat(f64::INFINITY);
        let row = lanes.load(&self.row.0);
        let offset = lanes.load(&self.offset.0);
        let col_duals = narrow::<_, COLS>(&mut answers.col_duals);

        // The row may be the cheapest to end at.
        let here = lanes.subtract(lanes.load(&shapes.row_ceiling.0), offset);
        let exit = lanes.load(&self.exit.0);
        let is_cheaper = lanes.less(here, exit);
        let exit = lanes.smaller(here, exit);
        lanes.store(exit, &mut self.exit.0);
        let exit_row = lanes.select(is_cheaper, row, lanes.load(&self.exit_row.0));
        lanes.store(exit_row, &mut self.exit_row.0);

        // Offers every open column the path through the row, and finds the nearest one.
        let mut least = infinite;
        let mut nearest = lanes.splat(numbered(0));
        for chunk in (0..COLS / DOUBLES).rev() {
            let costs = transpose_chunk(lanes, self.costs, chunk);
            for col in (0..DOUBLES).rev() {
                let at = chunk * DOUBLES + col;
                let open = lanes.mask(self.open[at]);
                let reduced = lanes.subtract(costs[col], lanes.load(&col_duals[at].0));
                let through_row = lanes.subtract(reduced, offset);
                let distance = lanes.load(&self.distance[at].0);
                let shorter = lanes.both(open, lanes.less(through_row, distance));
                let distance = lanes.select(shorter, through_row, distance);
                lanes.store(distance, &mut self.distance[at].0);
                let from = lanes.select(shorter, row, lanes.load(&self.from[at].0));
                lanes.store(from, &mut self.from[at].0);
                // The columns come last to first. An unmatched one is taken even if it is only as near as the
                // nearest so far: so of equals the first unmatched one stays.
                let distance = lanes.select(open, distance, infinite);
                let unmatched = lanes.mask(self.unmatched[at]);
                let as_near = lanes.both(unmatched, lanes.at_most(distance, least));
                let nearer = lanes.either(lanes.less(distance, least), as_near);
                nearest = lanes.select(nearer, lanes.splat(numbered(at)), nearest);
                least = lanes.smaller(distance, least);
            }
        }

        // To end at a row, or at an unmatched column, or to go on to the row matched with the column.
        let exits = lanes.less(exit, least);
        let length = lanes.smaller(exit, least);
        let exits = lanes.bits(exits);
        let infeasible = lanes.equal(length, infinite) as u8 & self.running;
        answers.infeasible |= infeasible;
        self.running &= !infeasible;
        let mut cols = PerLane([0.0; DOUBLES]);
        lanes.store(nearest, &mut cols.0);
        let mut reduced = PerLane([0.0; DOUBLES]);
        let mut ends = exits;
        for lane in 0..DOUBLES {
            let col = index::<COLS>(cols.0[lane]);
            let partner = answers.row_of_col[lane][col];
            ends |= u8::from(partner == UNMATCHED) << lane;
            self.open[col] &= !(1 << lane);
            let row = partner as usize % COLS;
            let costs = shapes.costs[lane].get(row).unwrap_or(blank_row());
            reduced.0[lane] = costs[col].widen() - col_duals[col].0[lane];
            self.row.0[lane] = numbered(row);
            self.costs[lane] = costs;
        }
        let u = lanes.load(&reduced.0);
        lanes.store(lanes.subtract(u, length), &mut self.offset.0);
        ends &= self.running;
        if ends == 0 {
            return;
        }

        // Restores (1): a column settled at distance d becomes dearer by length − d, never cheaper.
        let ending = lanes.mask(ends);
        let zero = lanes.splat(0.0);
        let length = lanes.select(ending, length, lanes.splat(f64::NEG_INFINITY));
        for col in 0..COLS {
            let distance = lanes.load(&self.distance[col].0);
            let excess = lanes.larger(lanes.subtract(length, distance), zero);
            let dual = lanes.subtract(lanes.load(&col_duals[col].0), excess);
            lanes.store(dual, &mut col_duals[col].0);
            let distance = lanes.select(ending, infinite, distance);
            lanes.store(distance, &mut self.distance[col].0);
        }
        for col in 0..COLS {
            self.open[col] = self.open[col] & !ends | shapes.real[col] & ends;
        }
        let offset = lanes.select(ending, zero, lanes.load(&self.offset.0));
        lanes.store(offset, &mut self.offset.0);
        lanes.store(lanes.select(ending, infinite, exit), &mut self.exit.0);
        while ends != 0 {
            let lane = ends.trailing_zeros() as usize % DOUBLES;
            ends &= ends - 1;
            let col_of_row = narrow::<_, COLS>(&mut answers.col_of_row[lane]);
            let row_of_col = narrow::<_, COLS>(&mut answers.row_of_col[lane]);
            // Flips the path, from its end back to its start, which has no column.
            let mut col = if exits >> lane & 1 == 0 {
                let col = index::<COLS>(cols.0[lane]);
                self.unmatched[col] &= !(1 << lane);
                col as i32
            } else {
                let row = index::<COLS>(self.exit_row.0[lane]);
                std::mem::replace(&mut col_of_row[row], UNMATCHED)
            };
            while col != UNMATCHED {
                let at = col as usize % COLS;
                let row = index::<COLS>(self.from[at].0[lane]);
                row_of_col[at] = row as i32;
                col = std::mem::replace(&mut col_of_row[row], col);
            }
            self.pending[lane] &= self.pending[lane].wrapping_sub(1);
            self.search_next(lane, shapes);
        }
    }
}

/// Eight columns of one row of each lane.
#[inline(always)]
fn transpose_chunk<L: LaneWise, E: Entry, const COLS: usize>(
    lanes: L,
    rows: [&[E; COLS]; DOUBLES],
    chunk: usize,
) -> [L::Vector; DOUBLES] {
    let mut chunks = [blank_row(); DOUBLES];
    for lane in 0..DOUBLES {
        chunks[lane] = &rows[lane].as_chunks().0[chunk];
    }
    E::transpose(lanes, chunks)
}

/// What stands where there is no row.
#[inline(always)]
fn blank_row<E: Entry, const COLS: usize>() -> &'static [E; COLS] {
    E::FORBIDDEN_ROW
        .first_chunk()
        .expect("no group is wider than the widest")
}

/// The first `COLS` of the numbers.
#[inline(always)]
fn narrow<T, const COLS: usize>(numbers: &mut [T; WIDEST]) -> &mut [T; COLS] {
    numbers
        .first_chunk_mut()
        .expect("no group is wider than the widest")
}

/// |x|, lane by lane.
#[inline(always)]
fn magnitude<L: LaneWise>(lanes: L, vector: L::Vector) -> L::Vector {
    lanes.larger(vector, lanes.subtract(lanes.splat(0.0), vector))
}
