//! Narrow squares, row by row ([`crate::solve::rows`]), in f32, which leads: it solves first, and
//! f64 proves. A row of costs is one vector or two.
//!
//! What f32 rounds is made good, or noticed, by [`crate::prove::repair_narrow`]; where nothing was
//! rounded the answer is exact.
//!
//! Other than in [`crate::solve::doubles`], a settled column keeps its distance, with the sign bit
//! set: compared as unsigned integers it is never the least, and compared as signed integers it is
//! less than any offer.
//!
//! An instance is given up, and left to f64, where a number is too large for f32, or no path over
//! allowed pairs is found.
//!
//! **Cost.** A step is O(columns / 16) vector operations. Workspace O(columns) for each search.

#![expect(
    clippy::needless_range_loop,
    reason = "a chunk of columns is an index into several arrays at once"
)]

use crate::problem::instance::WIDEST;
use crate::simd::cost::Entry;
use crate::simd::ops::{IntegerBits, SINGLES, Vectors, Work};
use crate::solve::narrow::{Found, NarrowInstance, UNMATCHED};
use crate::solve::rows::{self, NarrowPaths, Searches, each_of, least_of_columns};

/// The answer of f32.
pub type Led<const COLS: usize> = Found<f32, COLS>;

/// Columns from which f32 leads, padding included. With fewer, it saves less than the proof of its
/// answer takes.
const LEADS_FROM: usize = SINGLES;

/// No path that is flipped is as long as this, nor is |v| as large after column reduction. So |v|
/// stays below 33 times this, and what a search goes on with, c − v − length of a matched pair,
/// stays within the range of f32. Where the shortest path is that long, the instance is given up,
/// and f64 solves it.
const MOST: f32 = 1e36;

/// Solves the squares of a group in f32. Returns one bit for each instance that has an answer.
pub struct LeadGroup<'a, 'b, E, const COLS: usize> {
    /// The group.
    pub instances: &'a [NarrowInstance<'b, E, COLS>],
    /// The answers.
    pub led: &'a mut [Led<COLS>],
}

impl<E: Entry, const COLS: usize> Work for LeadGroup<'_, '_, E, COLS> {
    type Output = u64;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> u64 {
        let LeadGroup { instances, led } = self;
        let first = instances.first();
        if COLS < LEADS_FROM || first.is_none_or(|first| E::as_singles(first.costs).is_none()) {
            return 0;
        }
        let forbidden = [[f32::INFINITY; COLS]; COLS];
        let idle = Search::idle(&forbidden);
        Searches::solve(
            vectors.singles(),
            each_of(instances, NarrowInstance::is_balanced),
            instances,
            led,
            idle,
        )
    }
}

/// A search for a shortest augmenting path, and the instance that it searches in.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Search<'a, const COLS: usize> {
    /// v.
    col_duals: [f32; COLS],
    /// Length of the shortest path known to each column, with its sign set where the column is
    /// settled.
    distance: [f32; COLS],
    /// The step that found that path.
    found_at: [f32; COLS],
    /// `distance` when a search begins: +inf, and −inf beyond the instance's columns.
    unknown: [f32; COLS],
    paths: NarrowPaths<COLS>,
    costs: &'a [[f32; COLS]; COLS],
    /// Costs of the row that was reached last.
    row: &'a [f32; COLS],
    /// Its u, less the length of the shortest path to it.
    offset: f32,
    /// The distance of the column that was settled last.
    length: f32,
}

impl<'a, const COLS: usize> Search<'a, COLS> {
    /// A search without an instance. As all its costs are forbidden, its arithmetic rounds nothing.
    fn idle(forbidden: &'a [[f32; COLS]; COLS]) -> Self {
        Search {
            col_duals: [0.0; COLS],
            distance: [f32::INFINITY; COLS],
            found_at: [0.0; COLS],
            unknown: [f32::INFINITY; COLS],
            paths: NarrowPaths::NONE,
            costs: forbidden,
            row: &forbidden[0],
            offset: 0.0,
            length: 0.0,
        }
    }

    /// Column reduction. Returns whether f32 has room for the duals.
    #[inline(always)]
    fn reduce_columns<L: IntegerBits>(&mut self, lanes: L, cols: usize) -> bool {
        let (least, holders) = least_of_columns(lanes, self.costs, cols);
        self.col_duals = least;
        let infinite = lanes.splat(f32::INFINITY);
        let (most, lowest) = (lanes.splat(MOST), lanes.splat(-MOST));
        let mut fit = 0;
        for chunk in 0..COLS / SINGLES {
            let least = lanes.load(&least.as_chunks().0[chunk]);
            let fits = lanes.below(least, most) & lanes.below(lowest, least);
            fit |= fits << (chunk * SINGLES);
            lanes.store(infinite, &mut self.unknown.as_chunks_mut().0[chunk]);
        }
        for col in cols..COLS {
            self.col_duals[col] = f32::NEG_INFINITY;
            self.unknown[col] = f32::NEG_INFINITY;
        }
        self.paths.keep(&holders, cols);
        ((1u64 << cols) - 1) & !fit == 0
    }

    /// v of a column settled at distance d falls by length − d.
    #[inline(always)]
    fn update_duals<L: IntegerBits>(&mut self, lanes: L) {
        let length = lanes.splat(self.length);
        let zero = lanes.splat(0.0);
        for chunk in 0..COLS / SINGLES {
            // Columns that are not settled are no nearer than the path is long: their v stays.
            let distance = lanes.load(&self.distance.as_chunks().0[chunk]);
            let nearer_by = lanes.subtract(length, lanes.larger_magnitude(distance, zero));
            let col_duals = &mut self.col_duals.as_chunks_mut().0[chunk];
            let dual = lanes.subtract(lanes.load(col_duals), lanes.not_negative(nearer_by));
            lanes.store(dual, col_duals);
        }
    }
}

impl<'a, E: Entry, L: IntegerBits, const COLS: usize> rows::Search<'a, E, L, COLS>
    for Search<'a, COLS>
{
    type Answer = Led<COLS>;

    #[inline(always)]
    fn take(&mut self, lanes: L, instance: &NarrowInstance<'a, E, COLS>) -> bool {
        let Some(costs) = E::as_singles(instance.costs) else {
            return false;
        };
        self.costs = costs;
        self.reduce_columns(lanes, instance.cols)
    }

    #[inline(always)]
    fn begin(&mut self, lanes: L) {
        self.row = &self.costs[self.paths.begin()];
        self.offset = 0.0;
        for chunk in 0..COLS / SINGLES {
            let unknown = lanes.load(&self.unknown.as_chunks().0[chunk]);
            lanes.store(unknown, &mut self.distance.as_chunks_mut().0[chunk]);
        }
    }

    #[inline(always)]
    fn sweep(&mut self, lanes: L) -> bool {
        let step = lanes.splat(f32::of_index(self.paths.step));
        let offset = lanes.splat(self.offset);
        let costs = self.row.as_chunks().0;
        let col_duals = self.col_duals.as_chunks().0;
        let distances = self.distance.as_chunks_mut().0;
        let found_at = self.found_at.as_chunks_mut().0;
        let mut distance = [lanes.splat(0.0); WIDEST / SINGLES];
        let mut nearest = lanes.splat(f32::from_bits(u32::MAX));
        for chunk in 0..COLS / SINGLES {
            let reduced = lanes.subtract(lanes.load(&costs[chunk]), lanes.load(&col_duals[chunk]));
            // Never below 0 but for rounding.
            let through_row = lanes.not_negative(lanes.subtract(reduced, offset));
            let before = lanes.load(&distances[chunk]);
            let now = lanes.where_signed_less(through_row, before, step);
            let found = lanes.larger_signed(lanes.load(&found_at[chunk]), now);
            lanes.store(found, &mut found_at[chunk]);
            distance[chunk] = lanes.smaller_signed(through_row, before);
            nearest = lanes.smaller_unsigned(distance[chunk], nearest);
        }
        self.length = lanes.least_unsigned(nearest);
        let nearest = lanes.splat(self.length);
        let mut holders = 0;
        for chunk in 0..COLS / SINGLES {
            holders |= (lanes.equal_bits(distance[chunk], nearest) as u32) << (chunk * SINGLES);
        }
        let col = self.paths.settle(holders);
        for chunk in 0..COLS / SINGLES {
            let lane = col.wrapping_sub(chunk * SINGLES);
            let settled = lanes.with_sign_at(distance[chunk], lane);
            lanes.store(settled, &mut distances[chunk]);
        }
        let row = self.paths.row_of_col[col];
        self.row = &self.costs[row as usize % COLS];
        self.offset = self.row[col] - self.col_duals[col] - self.length;
        row == UNMATCHED
    }

    #[inline(always)]
    fn has_path(&self) -> bool {
        self.length < MOST
    }

    #[inline(always)]
    fn augment(&mut self, lanes: L) {
        self.update_duals(lanes);
        self.paths.flip(&self.found_at);
    }

    #[inline(always)]
    fn paths(&self) -> &NarrowPaths<COLS> {
        &self.paths
    }

    #[inline(always)]
    fn write(&self, answer: &mut Led<COLS>) {
        answer.col_duals = self.col_duals;
        answer.row_of_col = self.paths.row_of_col;
    }
}
