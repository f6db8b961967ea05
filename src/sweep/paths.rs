//! Passes of a shortest path search: what each column of a row is offered, and which is the
//! nearest.

use std::collections::TryReserveError;
use std::ops::Range;

use crate::number::arithmetic::Arithmetic;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::sweep::nearest::{Holders, Nearest, nearest, nearest_of};
use crate::sweep::per_column::{BLOCK, PerColumn, PerQuad, QUAD, quads};
use crate::sweep::quad::{least_of_all, least_of_quad, load, store, subtract};
use crate::sweep::row::{Row, costs_of_vectors, for_each_quad};
use crate::sweep::snapshots::Snapshots;

/// State of a shortest path search, column by column.
#[derive(Debug, Default)]
pub struct Paths<R> {
    /// Length of the shortest path known to each column not yet settled; +inf once it is settled.
    pub(super) distance: PerColumn<R>,
    /// v of each column not yet settled; −inf once it is settled, which keeps it out of further
    /// sweeps.
    pub(super) open_duals: PerColumn<R>,
    /// Copies of distances, made where no bounds are kept.
    snapshots: Snapshots<R>,
    // The rest is known only where bounds are kept: see [`crate::sweep::near`].
    /// −inf for each unmatched column, +inf for each other: the larger of that and a distance is
    /// the distance of an unmatched column.
    pub(super) only_unmatched: PerColumn<R>,
    /// The place, among the rows reached, of the first that offered each column its distance.
    pub(super) offered_by: PerColumn<R>,
    /// The least distance of an unmatched column.
    pub(super) nearest_unmatched: R,
}

impl<R: Arithmetic> Paths<R> {
    /// Makes room for `cols` columns.
    pub fn try_reserve(&mut self, cols: usize) -> Result<(), TryReserveError> {
        self.distance.try_reserve(cols)?;
        self.only_unmatched.try_reserve(cols)?;
        self.offered_by.try_reserve(cols)?;
        self.open_duals.try_reserve(cols)
    }

    /// Makes sure that there are `cols` columns.
    #[inline(always)]
    pub fn resize(&mut self, cols: usize) {
        self.distance.resize(cols);
        self.open_duals.resize(cols);
    }

    /// Forgets the copies of distances: another search follows.
    #[inline(always)]
    pub fn forget_offers(&mut self) {
        self.snapshots.clear();
    }

    /// Copies the distances if a copy is due after the offers of `rows` rows.
    #[inline(always)]
    pub fn remember_offers(&mut self, rows: usize) {
        self.snapshots.take_in_time(rows, &self.distance);
    }

    /// A range of the first `rows` rows reached that contains the first one that offered a column
    /// this distance.
    #[inline(always)]
    pub fn rows_that_may_have_offered(&self, rows: usize, col: usize, distance: R) -> Range<usize> {
        self.snapshots
            .rows_that_may_have_offered(rows, col, distance)
    }

    /// Settles a column: no later pass of the search offers it a path or finds it.
    #[inline(always)]
    pub fn settle<L: Lanes<W, Number = R>, const W: usize>(&mut self, lanes: L, col: usize) {
        self.distance.set_infinite(lanes, col);
        self.open_duals.set_minus_infinite(lanes, col);
    }

    /// Of columns equally near, chooses an unmatched one, if there is any.
    #[inline(always)]
    pub fn prefer_unmatched<L: Lanes<W, Number = R>, const W: usize>(
        &self,
        lanes: L,
        nearest: &mut Nearest<R>,
        quad_least: &PerQuad<R>,
        unmatched: &[u64],
    ) {
        if nearest.others != 0 {
            nearest.look_further(lanes, quad_least, unmatched, &InDistances(&self.distance));
        }
    }

    /// The first pass of a search: d_j = c_j − v_j, and a copy of v. Returns the nearest column.
    #[inline(always)]
    pub fn start<L: Lanes<W, Number = R>, E: Entry, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        row: Row<E>,
        col_duals: &PerColumn<R>,
        quad_least: &mut PerQuad<R>,
        unmatched: &[u64],
    ) -> Nearest<R> {
        let mut total = lanes.splat(R::INFINITY);
        if N > 0 {
            let mut filled_up = None;
            let costs = costs_of_vectors::<E, W, N>(row, &mut filled_up);
            let mut values = [lanes.splat(R::INFINITY); N];
            let duals = col_duals.quads(N.div_ceil(QUAD));
            let mut open_duals = self.open_duals.quads_mut(N.div_ceil(QUAD));
            let mut distances = self.distance.quads_mut(N.div_ceil(QUAD));
            for (place, value) in values.iter_mut().enumerate() {
                let duals = lanes.load(duals.vector(place));
                lanes.store(duals, open_duals.vector(place));
                *value = lanes.subtract(E::load(lanes, &costs[place]), duals);
                lanes.store(*value, distances.vector(place));
            }
            let least = lanes.least(least_of_all(lanes, &values));
            return nearest_of(lanes, least, &values, unmatched);
        }
        let quads = quads::<W>(row.cols);
        let duals = col_duals.quads(quads);
        let mut open_duals = self.open_duals.quads_mut(quads);
        let mut distances = self.distance.quads_mut(quads);
        let mut least_of = quad_least.vectors.quads_mut::<W>(quads);
        for_each_quad!(lanes, row, |quad, costs| {
            let duals = load(lanes, duals.at(quad));
            store(lanes, duals, open_duals.at(quad));
            let reduced = subtract(lanes, costs, duals);
            store(lanes, reduced, distances.at(quad));
            let least = least_of_quad(lanes, reduced);
            lanes.store(least, &mut least_of.at(quad)[0]);
            total = lanes.smaller(least, total);
        });
        let (least, holders) = (lanes.least(total), InDistances(&self.distance));
        nearest(lanes, least, quads, quad_least, unmatched, &holders)
    }

    /// Offers every open column the path through a row: d_j ← min(d_j, c_j − v_j − offset). Returns
    /// the nearest.
    #[inline(always)]
    pub fn relax<L: Lanes<W, Number = R>, E: Entry, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        row: Row<E>,
        offset: R,
        quad_least: &mut PerQuad<R>,
        unmatched: &[u64],
    ) -> Nearest<R> {
        let offset = lanes.splat(offset);
        let mut total = lanes.splat(R::INFINITY);
        if N > 0 {
            let mut filled_up = None;
            let costs = costs_of_vectors::<E, W, N>(row, &mut filled_up);
            let mut values = [lanes.splat(R::INFINITY); N];
            let open_duals = self.open_duals.quads(N.div_ceil(QUAD));
            let mut distances = self.distance.quads_mut(N.div_ceil(QUAD));
            for (place, value) in values.iter_mut().enumerate() {
                let duals = open_duals.vector(place);
                let costs = E::load(lanes, &costs[place]);
                *value = offer(lanes, costs, offset, duals, distances.vector(place));
            }
            let least = lanes.least(least_of_all(lanes, &values));
            return nearest_of(lanes, least, &values, unmatched);
        }
        let quads = quads::<W>(row.cols);
        let open_duals = self.open_duals.quads(quads);
        let mut distances = self.distance.quads_mut(quads);
        let mut least_of = quad_least.vectors.quads_mut::<W>(quads);
        for_each_quad!(lanes, row, |quad, costs| {
            let (duals, distances) = (open_duals.at(quad), distances.at(quad));
            let shorter = [
                offer(lanes, costs[0], offset, &duals[0], &mut distances[0]),
                offer(lanes, costs[1], offset, &duals[1], &mut distances[1]),
                offer(lanes, costs[2], offset, &duals[2], &mut distances[2]),
                offer(lanes, costs[3], offset, &duals[3], &mut distances[3]),
            ];
            let least = least_of_quad(lanes, shorter);
            lanes.store(least, &mut least_of.at(quad)[0]);
            total = lanes.smaller(least, total);
        });
        let (least, holders) = (lanes.least(total), InDistances(&self.distance));
        nearest(lanes, least, quads, quad_least, unmatched, &holders)
    }

    /// The nearest of `cols` columns, when all that has changed since the last pass is that some
    /// were settled.
    #[inline(always)]
    pub fn look_again<L: Lanes<W, Number = R>, const W: usize>(
        &self,
        lanes: L,
        cols: usize,
        quad_least: &mut PerQuad<R>,
        unmatched: &[u64],
    ) -> Nearest<R> {
        let quads = quads::<W>(cols);
        let distances = self.distance.quads(quads);
        let mut least_of = quad_least.vectors.quads_mut::<W>(quads);
        let mut total = lanes.splat(R::INFINITY);
        for quad in 0..quads {
            let least = least_of_quad(lanes, load(lanes, distances.at(quad)));
            lanes.store(least, &mut least_of.at(quad)[0]);
            total = lanes.smaller(least, total);
        }
        let (least, holders) = (lanes.least(total), InDistances(&self.distance));
        nearest(lanes, least, quads, quad_least, unmatched, &holders)
    }

    /// Lists those of `cols` columns whose distance is `value`, the last one first. There must be
    /// room for all.
    #[inline(always)]
    pub fn list_columns_at<L: Lanes<W, Number = R>, const W: usize>(
        &self,
        lanes: L,
        cols: usize,
        value: R,
        list: &mut Vec<u32>,
    ) {
        list.clear();
        let value = lanes.splat(value);
        let holders = InDistances(&self.distance);
        for quad in (0..quads::<W>(cols)).rev() {
            let mut holding = holders.of_quad(lanes, quad, value);
            while holding != 0 {
                let place = BLOCK - 1 - holding.leading_zeros() as usize;
                holding &= !(1 << place);
                list.push((quad * QUAD * W + place) as u32);
            }
        }
    }
}

/// Offers a vector of columns the path through a row. Returns their distances.
#[inline(always)]
pub(super) fn offer<L: Lanes<W>, const W: usize>(
    lanes: L,
    costs: L::Vector,
    offset: L::Vector,
    open_duals: &[L::Number; W],
    distances: &mut [L::Number; W],
) -> L::Vector {
    let reduced = lanes.subtract(costs, lanes.load(open_duals));
    let through_row = lanes.subtract(reduced, offset);
    let shorter = lanes.smaller(through_row, lanes.load(distances));
    lanes.store(shorter, distances);
    shorter
}

/// Finds a value among distances.
pub(super) struct InDistances<'a, R>(pub(super) &'a PerColumn<R>);

impl<L: Lanes<W>, const W: usize> Holders<L, W> for InDistances<'_, L::Number> {
    #[inline(always)]
    fn of_quad(&self, lanes: L, quad: usize, value: L::Vector) -> u64 {
        lanes.equal_of_four(load(lanes, self.0.quads(quad + 1).at(quad)), value)
    }
}
