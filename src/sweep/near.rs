//! Passes of a shortest path search over the near part of a row.
//!
//! A search ends at the nearest unmatched column, if not before. So columns beyond the nearest
//! unmatched one that is known so far do not matter, and a quad of columns whose lower bound
//! ([`crate::sweep::bounds`]) is beyond it can be left out. A quad whose bound is as near as that
//! column is not left out, so ties are decided as in [`crate::sweep::paths`], and the distances of
//! all columns that matter are the same.
//!
//! Each search begins with a pass over a whole row. From there on the least distance of each quad
//! is kept as one number, and found again only for the quads that are read. In an instance large
//! enough for this few quads are read, so a pass branches on whether to read one. It branches on
//! nothing else, since that could not be predicted.

use crate::number::arithmetic::Arithmetic;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::sweep::nearest::{Holders, Nearest, bits_of_quad};
use crate::sweep::paths::{InDistances, Paths, offer};
use crate::sweep::per_column::{BLOCK, PerColumn, PerQuad, QUAD, quads};
use crate::sweep::quad::{larger, least_of_quad, load, store, subtract};
use crate::sweep::row::{Row, for_each_quad, load_costs};

impl<R: Arithmetic> Paths<R> {
    /// Takes over which of `cols` columns are unmatched, before the first search.
    pub fn begin_near(&mut self, cols: usize, unmatched: &[u64]) {
        self.only_unmatched.reset(cols, R::INFINITY);
        for col in 0..cols {
            if unmatched[col / BLOCK] >> (col % BLOCK) & 1 != 0 {
                self.only_unmatched.set(col, R::NEG_INFINITY);
            }
        }
    }

    /// A column is no longer unmatched.
    #[inline(always)]
    pub fn take_column(&mut self, col: usize) {
        self.only_unmatched.set(col, R::INFINITY);
    }

    /// The place, among the rows reached, of the first that offered a column its distance.
    #[inline(always)]
    pub fn offered_by(&self, col: usize) -> usize {
        // By way of u32: a conversion to usize also computes the number less 2^63, which is
        // rounded, and would be taken for rounding of what is solved.
        self.offered_by.get(col).round_to_f64() as u32 as usize
    }

    /// As [`Paths::start`], where bounds are kept; `bounds` are the row's.
    #[inline(always)]
    pub fn start_near<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        row: Row<E>,
        col_duals: &PerColumn<R>,
        bounds: &mut [R],
        quad_least: &mut PerQuad<R>,
        unmatched: &[u64],
    ) -> Nearest<R> {
        let quads = quads::<W>(row.cols);
        let duals = col_duals.quads(quads);
        let mut open_duals = self.open_duals.quads_mut(quads);
        let mut distances = self.distance.quads_mut(quads);
        let only_unmatched = self.only_unmatched.quads(quads);
        let bounds = &mut bounds[..quads];
        let mut nearest_unmatched = lanes.splat(R::INFINITY);
        self.offered_by.reset(row.cols, R::ZERO);
        for_each_quad!(lanes, row, |quad, costs| {
            let duals = load(lanes, duals.at(quad));
            store(lanes, duals, open_duals.at(quad));
            let reduced = subtract(lanes, costs, duals);
            store(lanes, reduced, distances.at(quad));
            let least = lanes.least(least_of_quad(lanes, reduced));
            bounds[quad] = least;
            quad_least.set(quad, least);
            let unmatched = larger(lanes, reduced, load(lanes, only_unmatched.at(quad)));
            nearest_unmatched = lanes.smaller(nearest_unmatched, least_of_quad(lanes, unmatched));
        });
        for padding in quads..quads.next_multiple_of(W) {
            quad_least.set(padding, R::INFINITY);
        }
        self.nearest_unmatched = lanes.least(nearest_unmatched);
        self.nearest_of_quads(lanes, quads, quad_least, unmatched)
    }

    /// As [`Paths::relax`], but what is beyond the nearest unmatched column, or beyond `most`, may
    /// be left out. `bounds` are the row's, `reached_index` is its place among the rows reached,
    /// and `settled` is the column that the search has settled last.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a pass over several arrays")]
    pub fn relax_near<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        row: Row<E>,
        (offset, most): (R, R),
        reached_index: usize,
        settled: usize,
        col_duals: &PerColumn<R>,
        bounds: &mut [R],
        quad_least: &mut PerQuad<R>,
        unmatched: &[u64],
    ) -> Nearest<R> {
        let quads = quads::<W>(row.cols);
        let duals = col_duals.quads(quads);
        let open_duals = self.open_duals.quads(quads);
        let mut distances = self.distance.quads_mut(quads);
        let offsets = lanes.splat(offset);
        let only_unmatched = self.only_unmatched.quads(quads);
        let mut offered_by = self.offered_by.quads_mut(quads);
        let this_row = lanes.splat(R::round_from(reached_index as f64));
        let zero = lanes.splat(R::ZERO);
        let mut nearest_unmatched = lanes.splat(self.nearest_unmatched);
        let farthest = lanes.smaller(lanes.splat(most), nearest_unmatched);
        // So many quads at a time as a word has bits.
        for (word, bounds) in bounds.chunks_mut(BLOCK).enumerate() {
            let first = word * BLOCK;
            let mut beyond = 0;
            for (place, bounds) in bounds.as_chunks::<W>().0.iter().enumerate() {
                let least = lanes.subtract(lanes.load(bounds), offsets);
                beyond |= lanes.below(farthest, least) << (place * W);
            }
            let mut near = !beyond & (u64::MAX >> (BLOCK - (quads - first).min(BLOCK)));
            // The quad of the settled column is read in any case: its least distance has changed.
            let settled = settled / (QUAD * W);
            near |= u64::from(settled / BLOCK == word) << (settled % BLOCK);
            while near != 0 {
                let place = near.trailing_zeros() as usize;
                near &= near - 1;
                let quad = first + place;
                let costs = load_costs(lanes, row, quad);
                // With v of settled columns, too: they are left out of this search only, and bounds
                // outlast it.
                let reduced = subtract(lanes, costs, load(lanes, duals.at(quad)));
                bounds[place] = lanes.least(least_of_quad(lanes, reduced));
                let (open_duals, distances) = (open_duals.at(quad), distances.at(quad));
                let offered_by = offered_by.at(quad);
                let mut shorter = costs;
                for (vector, shorter) in shorter.iter_mut().enumerate() {
                    let (duals, distances) = (&open_duals[vector], &mut distances[vector]);
                    let before = lanes.load(distances);
                    *shorter = offer(lanes, costs[vector], offsets, duals, distances);
                    // Places only grow, so where this row offers a shorter path its place is the
                    // larger. (Not a choice between it and what is stored: that becomes a masked
                    // store, which takes an AMD with AVX2 many times as long.)
                    let by = lanes.where_less(*shorter, before, this_row, zero);
                    let by = lanes.larger(by, lanes.load(&offered_by[vector]));
                    lanes.store(by, &mut offered_by[vector]);
                }
                quad_least.set(quad, lanes.least(least_of_quad(lanes, shorter)));
                let unmatched = larger(lanes, shorter, load(lanes, only_unmatched.at(quad)));
                nearest_unmatched =
                    lanes.smaller(nearest_unmatched, least_of_quad(lanes, unmatched));
            }
        }
        self.nearest_unmatched = lanes.least(nearest_unmatched);
        self.nearest_of_quads(lanes, quads, quad_least, unmatched)
    }

    /// Finds the least distance of one quad again, where a column was settled and no pass over a
    /// row follows.
    pub fn look_again_near<L: Lanes<W, Number = R>, const W: usize>(
        &self,
        lanes: L,
        settled: usize,
        quad_least: &mut PerQuad<R>,
    ) {
        let quad = settled / (QUAD * W);
        let distances = self.distance.quads::<W>(quad + 1);
        let least = lanes.least(least_of_quad(lanes, load(lanes, distances.at(quad))));
        quad_least.set(quad, least);
    }

    /// The nearest column, from the least distances of all quads.
    #[inline(always)]
    pub fn nearest_of_quads<L: Lanes<W, Number = R>, const W: usize>(
        &self,
        lanes: L,
        quads: usize,
        quad_least: &PerQuad<R>,
        unmatched: &[u64],
    ) -> Nearest<R> {
        let vectors = quads.div_ceil(W);
        let least_of = quad_least.vectors.quads::<W>(vectors.div_ceil(QUAD));
        let mut total = lanes.splat(R::INFINITY);
        for place in 0..vectors {
            total = lanes.smaller(lanes.load(least_of.vector(place)), total);
        }
        let least = lanes.least(total);
        let value = lanes.splat(least);
        let holders = InDistances(&self.distance);
        let width = QUAD * W;
        let is_unmatched = least == self.nearest_unmatched;
        let mut nearest = Nearest::matched(least, 0);
        for place in 0..vectors {
            let mut holding = lanes.equal(lanes.load(least_of.vector(place)), value);
            while holding != 0 {
                let quad = place * W + holding.trailing_zeros() as usize;
                holding &= holding - 1;
                let mut cols = holders.of_quad(lanes, quad, value);
                if is_unmatched {
                    cols &= bits_of_quad(unmatched, quad, width);
                }
                if cols != 0 {
                    nearest.col = quad * width + cols.trailing_zeros() as usize;
                    nearest.is_unmatched = is_unmatched;
                    return nearest;
                }
            }
        }
        // There is no path to any column.
        nearest
    }
}
