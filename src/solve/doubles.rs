//! Narrow problems in f64, row by row ([`crate::solve::rows`]).
//!
//! Squares without a limit begin with column reduction. All others begin with v at its ceiling,
//! where it stays while a column is unmatched, and a search begins at each row. With a limit a path
//! may end at a row, which is then unmatched: at the first row where that is cheapest, if it is
//! cheaper than to end at any column.
//!
//! **Exactness.** Additions and subtractions are those of [`crate::solve::augment`] and stay within
//! the same bounds, so the same costs are solved exactly. A number that is not used is either not
//! computed or computed alike at every level: whether something was rounded must not depend on the
//! level.
//!
//! Where no path is found, there is no matching of all rows.
//!
//! **Cost.** A step is O(columns / 8) vector operations. Workspace O(columns) for each search.

#![expect(
    clippy::needless_range_loop,
    reason = "a chunk of columns is an index into several arrays at once"
)]

use std::hint::select_unpredictable;

use crate::number::arithmetic::{larger, smaller};
use crate::problem::instance::WIDEST;
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, Lanes, Vectors, Work};
use crate::solve::narrow::{NarrowAnswer, NarrowInstance, UNMATCHED};
use crate::solve::rows::{self, NarrowPaths, Searches, each_of, least_of_columns};

/// Solves instances of a group in f64. [`FinishGroup`](crate::solve::narrow::FinishGroup) does the
/// rest.
pub struct SolveInDouble<'a, 'b, E, const COLS: usize> {
    /// The group.
    pub instances: &'a [NarrowInstance<'b, E, COLS>],
    /// One bit for each that is to be solved.
    pub these: u64,
    /// The answers.
    pub answers: &'a mut [NarrowAnswer<COLS>],
}

impl<E: Entry, const COLS: usize> Work for SolveInDouble<'_, '_, E, COLS> {
    /// One bit for each that has an answer. The others have no matching of all rows.
    type Output = u64;

    #[inline(always)]
    fn run<V: Vectors>(mut self, vectors: V) -> u64 {
        let limited = self.these
            & each_of(self.instances, |instance: &NarrowInstance<E, COLS>| {
                instance.half_limit.is_finite()
            });
        let mut solved = self.solve::<V, false>(vectors, self.these & !limited);
        if limited != 0 {
            solved |= self.solve::<V, true>(vectors, limited);
        }
        solved
    }
}

impl<E: Entry, const COLS: usize> SolveInDouble<'_, '_, E, COLS> {
    #[inline(always)]
    fn solve<V: Vectors, const LIMITED: bool>(&mut self, vectors: V, these: u64) -> u64 {
        let forbidden = [[E::INFINITY; COLS]; COLS];
        let idle = Search::<E, COLS, LIMITED>::idle(&forbidden);
        Searches::solve(vectors.doubles(), these, self.instances, self.answers, idle)
    }
}

/// A search for a shortest augmenting path, and the instance that it searches in.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Search<'a, E, const COLS: usize, const LIMITED: bool> {
    /// v.
    col_duals: [f64; COLS],
    /// Length of the shortest path known to each column.
    distance: [f64; COLS],
    /// The step that found that path.
    found_at: [f64; COLS],
    /// +inf where a column is settled or beyond the instance's, −inf elsewhere.
    closed: [f64; COLS],
    /// `closed` as it is when a search begins.
    absent: [f64; COLS],
    paths: NarrowPaths<COLS>,
    costs: &'a [[E; COLS]; COLS],
    /// Costs of the row that was reached last.
    row: &'a [E; COLS],
    /// Its u, less the length of the shortest path to it.
    offset: f64,
    /// Length of the path: to the column that was settled last, or to the row where it ends.
    length: f64,
    /// u where a row is unmatched: half the limit.
    row_ceiling: f64,
    /// The length of the shortest path that ends at a row.
    exit: f64,
    /// The step that sweeps that row.
    exit_step: u32,
    /// That path is shorter than those to all columns.
    ends_at_row: bool,
}

/// A step as it is kept in `found_at`: a number whose last 32 bits are the step, so that a later
/// step is a larger number. It is not denormal, as that of [`Entry::of_index`] would be.
#[inline(always)]
fn of_step(step: u32) -> f64 {
    f64::from_bits(1f64.to_bits() | u64::from(step))
}

impl<'a, E: Entry, const COLS: usize, const LIMITED: bool> Search<'a, E, COLS, LIMITED> {
    /// A search without an instance. As all its costs are forbidden, its arithmetic rounds nothing.
    fn idle(forbidden: &'a [[E; COLS]; COLS]) -> Self {
        Search {
            col_duals: [0.0; COLS],
            distance: [f64::INFINITY; COLS],
            found_at: [0.0; COLS],
            closed: [f64::INFINITY; COLS],
            absent: [f64::INFINITY; COLS],
            paths: NarrowPaths::NONE,
            costs: forbidden,
            row: &forbidden[0],
            offset: 0.0,
            length: 0.0,
            row_ceiling: f64::INFINITY,
            exit: f64::INFINITY,
            exit_step: 0,
            ends_at_row: false,
        }
    }

    /// Column reduction. Returns whether each column has a cost that is allowed.
    #[inline(always)]
    fn reduce_columns<L: Lanes<DOUBLES, Number = f64>>(&mut self, lanes: L, cols: usize) -> bool {
        let (least, holders) = least_of_columns(lanes, self.costs, cols);
        self.col_duals = least;
        let infinite = lanes.splat(f64::INFINITY);
        let mut allowed = 0;
        for chunk in 0..COLS / DOUBLES {
            let least = lanes.load(&least.as_chunks().0[chunk]);
            allowed |= lanes.below(least, infinite) << (chunk * DOUBLES);
        }
        self.leave_out_beyond(cols);
        self.paths.keep(&holders, cols);
        ((1u64 << cols) - 1) & !allowed == 0
    }

    /// Nobody is matched, and v is at its ceiling.
    #[inline(always)]
    fn begin_at_ceiling(&mut self, rows: usize, cols: usize) {
        let is_limited = self.row_ceiling < f64::INFINITY;
        self.col_duals = [if is_limited { self.row_ceiling } else { 0.0 }; COLS];
        self.leave_out_beyond(cols);
        self.paths.match_nobody(rows, cols);
    }

    /// Leaves out the columns that the instance does not have: from `cols` on.
    #[inline(always)]
    fn leave_out_beyond(&mut self, cols: usize) {
        for col in 0..COLS {
            let is_absent = col >= cols;
            self.absent[col] = [f64::NEG_INFINITY, f64::INFINITY][usize::from(is_absent)];
            self.col_duals[col] = smaller(self.col_duals[col], -self.absent[col]);
        }
    }

    /// v of a column settled at distance d falls by length − d.
    #[inline(always)]
    fn update_duals<L: Lanes<DOUBLES, Number = f64>>(&mut self, lanes: L) {
        let length = lanes.splat(self.length);
        let zero = lanes.splat(0.0);
        for chunk in 0..COLS / DOUBLES {
            // Columns that are not settled are no nearer than the path is long: their v stays.
            let distance = lanes.load(&self.distance.as_chunks().0[chunk]);
            let nearer_by = lanes.larger(lanes.subtract(length, distance), zero);
            let col_duals = &mut self.col_duals.as_chunks_mut().0[chunk];
            let dual = lanes.subtract(lanes.load(col_duals), nearer_by);
            lanes.store(dual, col_duals);
        }
    }
}

impl<'a, E: Entry, L: Lanes<DOUBLES, Number = f64>, const COLS: usize, const LIMITED: bool>
    rows::Search<'a, E, L, COLS> for Search<'a, E, COLS, LIMITED>
{
    type Answer = NarrowAnswer<COLS>;

    #[inline(always)]
    fn take(&mut self, lanes: L, instance: &NarrowInstance<'a, E, COLS>) -> bool {
        self.costs = instance.costs;
        self.row_ceiling = instance.half_limit;
        if instance.is_balanced() {
            return self.reduce_columns(lanes, instance.cols);
        }
        self.begin_at_ceiling(instance.rows, instance.cols);
        true
    }

    #[inline(always)]
    fn begin(&mut self, lanes: L) {
        self.row = &self.costs[self.paths.begin()];
        self.offset = 0.0;
        self.exit = f64::INFINITY;
        let infinite = lanes.splat(f64::INFINITY);
        for chunk in 0..COLS / DOUBLES {
            let absent = lanes.load(&self.absent.as_chunks().0[chunk]);
            lanes.store(absent, &mut self.closed.as_chunks_mut().0[chunk]);
            lanes.store(infinite, &mut self.distance.as_chunks_mut().0[chunk]);
        }
    }

    #[inline(always)]
    fn sweep(&mut self, lanes: L) -> bool {
        if LIMITED {
            let end_here = self.row_ceiling - self.offset;
            let is_shorter = end_here < self.exit;
            self.exit = smaller(end_here, self.exit);
            self.exit_step = select_unpredictable(is_shorter, self.paths.step, self.exit_step);
        }
        let step = lanes.splat(of_step(self.paths.step));
        let zero = lanes.splat(0.0);
        let offset = lanes.splat(self.offset);
        let costs = self.row.as_chunks().0;
        let col_duals = self.col_duals.as_chunks().0;
        let distances = self.distance.as_chunks_mut().0;
        let found_at = self.found_at.as_chunks_mut().0;
        let closed = self.closed.as_chunks().0;
        let mut distance = [lanes.splat(0.0); WIDEST / DOUBLES];
        let mut nearest = lanes.splat(f64::INFINITY);
        for chunk in 0..COLS / DOUBLES {
            let closed = lanes.load(&closed[chunk]);
            // Settled columns are masked before anything is subtracted: what is not used must not
            // be rounded.
            let cost = lanes.larger(E::load(lanes, &costs[chunk]), closed);
            let reduced = lanes.subtract(cost, lanes.load(&col_duals[chunk]));
            let through_row = lanes.subtract(reduced, offset);
            let before = lanes.load(&distances[chunk]);
            // Steps only grow, so where this one found a path it is the larger. (Not a choice
            // between it and what is stored: that becomes a masked store, which takes an AMD with
            // AVX2 many times as long.)
            let found_now = lanes.where_less(through_row, before, step, zero);
            let found = lanes.larger(found_now, lanes.load(&found_at[chunk]));
            lanes.store(found, &mut found_at[chunk]);
            let now = lanes.smaller(through_row, before);
            lanes.store(now, &mut distances[chunk]);
            distance[chunk] = lanes.larger(now, closed);
            nearest = lanes.smaller(distance[chunk], nearest);
        }
        let least = lanes.least(nearest);
        let nearest = lanes.splat(least);
        let mut holders = 0;
        for chunk in 0..COLS / DOUBLES {
            holders |= (lanes.equal(distance[chunk], nearest) as u32) << (chunk * DOUBLES);
        }
        let col = self.paths.settle(holders);
        self.closed[col] = f64::INFINITY;
        let row = self.paths.row_of_col[col];
        let mut ends = row == UNMATCHED;
        self.row = &self.costs[row as usize % COLS];
        let dual = self.col_duals[col];
        let mut cost = self.row[col].widen();
        self.length = least;
        if LIMITED {
            self.ends_at_row = self.exit < least;
            self.length = smaller(self.exit, least);
            ends |= self.ends_at_row;
            // Where the search ends the offset is not used, so it must not be rounded: +inf less
            // anything is not.
            const LEAST: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];
            cost = larger(cost, LEAST[usize::from(ends)]);
        }
        self.offset = cost - dual - least;
        ends
    }

    #[inline(always)]
    fn has_path(&self) -> bool {
        self.length < f64::INFINITY
    }

    #[inline(always)]
    fn augment(&mut self, lanes: L) {
        self.update_duals(lanes);
        if LIMITED & self.ends_at_row {
            self.paths.flip_from_row(self.exit_step, &self.found_at);
        } else {
            self.paths.flip(&self.found_at);
        }
    }

    #[inline(always)]
    fn paths(&self) -> &NarrowPaths<COLS> {
        &self.paths
    }

    #[inline(always)]
    fn write(&self, answer: &mut NarrowAnswer<COLS>) {
        answer.found.col_duals = self.col_duals;
        answer.found.row_of_col = self.paths.row_of_col;
    }
}
