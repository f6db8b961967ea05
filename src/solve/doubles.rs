//! Narrow problems without a limit in f64, row by row ([`crate::solve::rows`]).
//!
//! Squares begin with column reduction. Where there are more columns than rows v begins at 0, where it stays for a column that stays
//! unmatched, and each row is searched from.
//!
//! **Exactness.** Additions and subtractions are those of [`crate::solve::side_by_side`] and stay within the same bounds, so the same
//! costs are solved exactly.
//!
//! Where no path is found, there is no matching of all rows.
//!
//! **Cost.** A step is O(columns / 8) vector operations. Workspace O(columns) for each search.

#![expect(
    clippy::needless_range_loop,
    reason = "a chunk of columns is an index into several arrays at once"
)]

use crate::problem::instance::WIDEST;
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, LaneWise, Vectors, Work};
use crate::solve::octet::{LaneInstance, OctetInstances, UNMATCHED};
use crate::solve::rows::{self, Answer, Paths, Searches, each_of, least_of_columns};

/// One bit for each instance of a group.
#[derive(Clone, Copy, Debug)]
pub struct Unlimited {
    /// That has rows, and no limit.
    pub all: u64,
    /// Of these, that has an answer. The others have no matching.
    pub solved: u64,
}

/// Solves the instances of a group that have no limit.
pub struct SolveUnlimited<'a, 'b, E, const COLS: usize> {
    /// The group.
    pub instances: &'a [OctetInstances<'b, E, COLS>],
    /// The answers.
    pub answers: &'a mut [Answer<f64, COLS>],
}

impl<E: Entry, const COLS: usize> Work for SolveUnlimited<'_, '_, E, COLS> {
    type Output = Unlimited;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> Unlimited {
        let SolveUnlimited { instances, answers } = self;
        let all = each_of(instances, LaneInstance::is_unlimited);
        let forbidden = [[E::INFINITY; COLS]; COLS];
        let idle = Search::idle(&forbidden);
        let solved = Searches::solve(vectors.doubles(), all, instances, answers, idle);
        Unlimited { all, solved }
    }
}

/// A search for a shortest augmenting path, and the instance that it searches in.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Search<'a, E, const COLS: usize> {
    /// v.
    col_duals: [f64; COLS],
    /// Length of the shortest path known to each column.
    distance: [f64; COLS],
    /// The step that found that path.
    found_at: [f64; COLS],
    /// +inf where a column is settled or not there, −inf elsewhere.
    closed: [f64; COLS],
    /// The same when a search begins.
    absent: [f64; COLS],
    paths: Paths<COLS>,
    costs: &'a [[E; COLS]; COLS],
    /// Costs of the row that was reached last.
    row: &'a [E; COLS],
    /// Its u, less the length of the shortest path to it.
    offset: f64,
    /// The distance of the column that was settled last.
    length: f64,
}

impl<'a, E: Entry, const COLS: usize> Search<'a, E, COLS> {
    /// A search that has no instance. Nothing that is made of costs which are all forbidden is rounded.
    fn idle(forbidden: &'a [[E; COLS]; COLS]) -> Self {
        Search {
            col_duals: [0.0; COLS],
            distance: [f64::INFINITY; COLS],
            found_at: [0.0; COLS],
            closed: [f64::INFINITY; COLS],
            absent: [f64::INFINITY; COLS],
            paths: Paths::NONE,
            costs: forbidden,
            row: &forbidden[0],
            offset: 0.0,
            length: 0.0,
        }
    }

    /// Column reduction. Returns whether each column has a cost that is allowed.
    #[inline(always)]
    fn reduce_columns<L: LaneWise>(&mut self, lanes: L, cols: usize) -> bool {
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

    /// Nobody is matched, and v is 0.
    #[inline(always)]
    fn begin_at_zero(&mut self, rows: usize, cols: usize) {
        self.col_duals = [0.0; COLS];
        self.leave_out_beyond(cols);
        self.paths.match_nobody(rows, cols);
    }

    /// Only the first `cols` columns are there.
    #[inline(always)]
    fn leave_out_beyond(&mut self, cols: usize) {
        self.absent = [f64::NEG_INFINITY; COLS];
        for col in cols..COLS {
            self.col_duals[col] = f64::NEG_INFINITY;
            self.absent[col] = f64::INFINITY;
        }
    }

    /// v of a column settled at distance d falls by length − d.
    #[inline(always)]
    fn update_duals<L: LaneWise>(&mut self, lanes: L) {
        let length = lanes.splat(self.length);
        let zero = lanes.splat(0.0);
        for chunk in 0..COLS / DOUBLES {
            // No other column is nearer than the path is long.
            let distance = lanes.load(&self.distance.as_chunks().0[chunk]);
            let nearer_by = lanes.larger(lanes.subtract(length, distance), zero);
            let col_duals = &mut self.col_duals.as_chunks_mut().0[chunk];
            let dual = lanes.subtract(lanes.load(col_duals), nearer_by);
            lanes.store(dual, col_duals);
        }
    }
}

impl<'a, E: Entry, L: LaneWise, const COLS: usize> rows::Search<'a, E, L, COLS>
    for Search<'a, E, COLS>
{
    type Number = f64;

    #[inline(always)]
    fn take(&mut self, lanes: L, instance: &LaneInstance<'a, E, COLS>) -> bool {
        self.costs = instance.costs;
        if instance.is_balanced() {
            return self.reduce_columns(lanes, instance.cols);
        }
        self.begin_at_zero(instance.rows, instance.cols);
        true
    }

    #[inline(always)]
    fn begin(&mut self, lanes: L) {
        self.row = &self.costs[self.paths.begin()];
        self.offset = 0.0;
        let infinite = lanes.splat(f64::INFINITY);
        for chunk in 0..COLS / DOUBLES {
            let absent = lanes.load(&self.absent.as_chunks().0[chunk]);
            lanes.store(absent, &mut self.closed.as_chunks_mut().0[chunk]);
            lanes.store(infinite, &mut self.distance.as_chunks_mut().0[chunk]);
        }
    }

    #[inline(always)]
    fn sweep(&mut self, lanes: L) -> bool {
        let step = lanes.splat(f64::of_index(self.paths.step));
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
            // Settled columns are masked before anything is subtracted: what is not used must not be rounded.
            let cost = lanes.larger(E::load(lanes, &costs[chunk]), closed);
            let reduced = lanes.subtract(cost, lanes.load(&col_duals[chunk]));
            let through_row = lanes.subtract(reduced, offset);
            let before = lanes.load(&distances[chunk]);
            let found = lanes.load(&found_at[chunk]);
            let found = lanes.where_less(through_row, before, step, found);
            lanes.store(found, &mut found_at[chunk]);
            let now = lanes.smaller(through_row, before);
            lanes.store(now, &mut distances[chunk]);
            distance[chunk] = lanes.larger(now, closed);
            nearest = lanes.smaller(distance[chunk], nearest);
        }
        self.length = lanes.least(nearest);
        let nearest = lanes.splat(self.length);
        let mut holders = 0;
        for chunk in 0..COLS / DOUBLES {
            holders |= (lanes.equal(distance[chunk], nearest) as u32) << (chunk * DOUBLES);
        }
        let col = self.paths.settle(holders);
        self.closed[col] = f64::INFINITY;
        let row = self.paths.row_of_col[col];
        self.row = &self.costs[row as usize % COLS];
        self.offset = self.row[col].widen() - self.col_duals[col] - self.length;
        row == UNMATCHED
    }

    #[inline(always)]
    fn has_path(&self) -> bool {
        self.length < f64::INFINITY
    }

    #[inline(always)]
    fn augment(&mut self, lanes: L) {
        self.update_duals(lanes);
        self.paths.flip(&self.found_at);
    }

    #[inline(always)]
    fn paths(&self) -> &Paths<COLS> {
        &self.paths
    }

    #[inline(always)]
    fn write(&self, answer: &mut Answer<f64, COLS>) {
        answer.col_duals = self.col_duals;
        answer.row_of_col = self.paths.row_of_col;
    }
}
