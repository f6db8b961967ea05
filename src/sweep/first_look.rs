//! Passes that look at costs for the first time: the least of each column or row, and the largest magnitude of all.

use std::hint::select_unpredictable;

use crate::number::arithmetic::Arithmetic;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::sweep::per_column::{BLOCK, PerColumn, PerQuad, QUAD, quads};
use crate::sweep::quad::{equal, least_of_quad, load, smaller, store};
use crate::sweep::row::{
    PREFETCH_DISTANCE, Row, load_costs, load_overlapping, prefetch_quad, start_of_overlapping,
};

/// Column reduction of a matrix whose rows lie `stride` apart. `least` becomes min_i c_ij of each column, `holders` the number of
/// the first row that has it. Magnitudes of all costs go into `largest`, as by [`take_magnitudes`].
#[inline(always)]
pub fn reduce_columns<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    costs: &[E],
    stride: usize,
    (rows, cols): (usize, usize),
    largest: &mut L::Vector,
    least: &mut PerColumn<L::Number>,
    holders: &mut PerColumn<L::Number>,
) {
    // So many rows of a quad one after the other, while what is known of its columns stays in registers.
    const ROWS: usize = 8;
    let count = quads::<W>(cols);
    let (mut least, mut holders) = (least.quads_mut::<W>(count), holders.quads_mut::<W>(count));
    for first in (0..rows).step_by(ROWS) {
        for quad in 0..count {
            let mut low = load(lanes, least.at(quad));
            let mut held = load(lanes, holders.at(quad));
            let mut magnitudes = [lanes.splat(L::Number::ZERO); QUAD];
            for row in first..rows.min(first + ROWS) {
                // The processor foresees a row, but not a jump to the rows behind these.
                let ahead = costs
                    .as_ptr()
                    .wrapping_add((row + ROWS) * stride + quad * QUAD * W);
                prefetch_quad::<L, E, W>(lanes, ahead);
                let costs = Row::of_matrix(costs, stride, (rows, cols), row);
                let costs = load_costs(lanes, costs, quad);
                // Exact: a matrix of 2^24 rows and columns could not be addressed.
                let number = lanes.splat(L::Number::round_from(row as f64));
                held = [
                    lanes.where_less(costs[0], low[0], number, held[0]),
                    lanes.where_less(costs[1], low[1], number, held[1]),
                    lanes.where_less(costs[2], low[2], number, held[2]),
                    lanes.where_less(costs[3], low[3], number, held[3]),
                ];
                low = smaller(lanes, costs, low);
                magnitudes = [
                    lanes.larger_magnitude(magnitudes[0], costs[0]),
                    lanes.larger_magnitude(magnitudes[1], costs[1]),
                    lanes.larger_magnitude(magnitudes[2], costs[2]),
                    lanes.larger_magnitude(magnitudes[3], costs[3]),
                ];
            }
            store(lanes, low, least.at(quad));
            store(lanes, held, holders.at(quad));
            *largest = take_quad_magnitudes(lanes, *largest, magnitudes, cols - quad * QUAD * W);
        }
    }
}

/// The least cost of a row and the first column that has it. Magnitudes of all costs go into `largest`, as by [`take_magnitudes`].
#[inline(always)]
pub fn cheapest_column<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    largest: &mut L::Vector,
    quad_least: &mut PerQuad<L::Number>,
) -> (L::Number, u32) {
    let quads = quads::<W>(row.len());
    let at = row
        .as_ptr()
        .wrapping_add(PREFETCH_DISTANCE / size_of::<E>());
    let mut quad_least = quad_least.vectors.quads_mut::<W>(quads);
    let mut total = lanes.splat(L::Number::INFINITY);
    for quad in 0..quads {
        prefetch_quad::<L, E, W>(lanes, at.wrapping_add(quad * QUAD * W));
        let costs = load_overlapping(lanes, row, quad);
        let least = least_of_quad(lanes, costs);
        lanes.store(least, &mut quad_least.at(quad)[0]);
        total = lanes.smaller(least, total);
        *largest = take_quad_magnitudes(lanes, *largest, costs, row.len());
    }
    let least = lanes.least(total);
    let value = lanes.splat(least);
    // From the back, so that the first one stays.
    let mut first = quads - 1;
    for quad in (0..quads).rev() {
        let holding = lanes.equal(lanes.load(&quad_least.at(quad)[0]), value);
        first = select_unpredictable(holding != 0, quad, first);
    }
    let holding = equal(lanes, load_overlapping(lanes, row, first), value);
    let place = holding.trailing_zeros() as usize % (QUAD * W);
    (
        least,
        (start_of_overlapping::<W>(row.len(), first) + place) as u32,
    )
}

/// The larger of `largest` and the magnitudes of the first `cols` columns of a quad, lane by lane.
#[inline(always)]
fn take_quad_magnitudes<L: Lanes<W>, const W: usize>(
    lanes: L,
    largest: L::Vector,
    quad: [L::Vector; QUAD],
    cols: usize,
) -> L::Vector {
    let mut quad = quad;
    if cols < QUAD * W {
        // What is behind the end was loaded as +inf.
        let mut numbers = [[L::Number::ZERO; W]; QUAD];
        store(lanes, quad, &mut numbers);
        numbers.as_flattened_mut()[cols..].fill(L::Number::ZERO);
        quad = load(lanes, &numbers);
    }
    let low = lanes.larger_magnitude(quad[0], quad[1]);
    let high = lanes.larger_magnitude(quad[2], quad[3]);
    lanes.larger_magnitude(largest, lanes.larger_magnitude(low, high))
}

/// The larger of `largest` and the magnitudes of all costs of a row, lane by lane.
#[inline(always)]
pub fn take_magnitudes<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    mut largest: L::Vector,
    row: &[E],
) -> L::Vector {
    let (chunks, rest) = row.as_chunks::<W>();
    for chunk in chunks {
        largest = lanes.larger_magnitude(largest, E::load(lanes, chunk));
    }
    if rest.is_empty() {
        return largest;
    }
    if let Some(chunk) = row.last_chunk::<W>() {
        // Some of it a second time, which does no harm.
        return lanes.larger_magnitude(largest, E::load(lanes, chunk));
    }
    let mut chunk = [E::ZERO; W];
    chunk[..rest.len()].copy_from_slice(rest);
    lanes.larger_magnitude(largest, E::load(lanes, &chunk))
}

/// As [`take_magnitudes`], where +inf counts as 0. There must be no NaN.
#[inline(always)]
pub fn take_allowed_magnitudes<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    mut largest: L::Vector,
    row: &[E],
) -> L::Vector {
    let (zero, infinite) = (
        lanes.splat(L::Number::ZERO),
        lanes.splat(L::Number::INFINITY),
    );
    for start in (0..row.len()).step_by(W) {
        let costs = E::load_part(lanes, row, start);
        let allowed = lanes.where_less(costs, infinite, costs, zero);
        largest = lanes.larger_magnitude(largest, allowed);
    }
    largest
}

/// The largest magnitude of all lanes.
#[inline(always)]
pub fn largest_of_lanes<L: Lanes<W>, const W: usize>(lanes: L, largest: L::Vector) -> L::Number {
    let mut numbers = [L::Number::ZERO; W];
    lanes.store(largest, &mut numbers);
    let mut largest = L::Number::ZERO;
    for number in numbers {
        largest = largest.larger_magnitude(number);
    }
    largest
}

/// The largest magnitude among the numbers of the first `cols` columns.
#[inline(always)]
pub fn largest_magnitude<L: Lanes<W>, const W: usize>(
    lanes: L,
    numbers: &PerColumn<L::Number>,
    cols: usize,
) -> L::Number
where
    L::Number: Entry,
{
    let mut largest = lanes.splat(L::Number::ZERO);
    for (block, first) in numbers.blocks().iter().zip((0..cols).step_by(BLOCK)) {
        largest = take_magnitudes(lanes, largest, &block.0[..BLOCK.min(cols - first)]);
    }
    largest_of_lanes(lanes, largest)
}
