//! Passes that look at costs for the first time: the least of each column or row, and the largest
//! magnitude of all.

use std::hint::select_unpredictable;

use crate::number::arithmetic::Arithmetic;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::sweep::per_column::{BLOCK, PAIR, PerColumn, PerQuad, QUAD, quads};
use crate::sweep::quad::least_of_quad;
use crate::sweep::row::{
    PREFETCH_DISTANCE, load_chunks, load_overlapping, prefetch_quad, start_of_overlapping,
};

/// Column reduction of a matrix whose rows lie `stride` apart. `least` becomes min_i c_ij of each
/// column, `holders` the first row that has it, by [`Entry::of_index`]. Magnitudes of all costs go
/// into `largest`, as by [`take_magnitudes`].
#[inline(always)]
pub fn reduce_columns<L: Lanes<W, Number = E>, E: Entry, const W: usize>(
    lanes: L,
    costs: &[E],
    stride: usize,
    (rows, cols): (usize, usize),
    largest: &mut L::Vector,
    least: &mut PerColumn<E>,
    holders: &mut PerColumn<E>,
) {
    // So many rows are read one after the other, while the minima of two vectors of columns stay in
    // registers, and the rows that have them: AVX2 has sixteen.
    const ROWS: usize = 16;
    let width = PAIR * W;
    for first in (0..rows).step_by(ROWS) {
        let end = rows.min(first + ROWS);
        for pair in 0..cols.div_ceil(width) {
            let col = pair * width;
            let (least, holders) = (least.pair_mut(pair), holders.pair_mut(pair));
            let mut low = [lanes.load(&least[0]), lanes.load(&least[1])];
            let mut held = [lanes.load(&holders[0]), lanes.load(&holders[1])];
            let mut magnitudes = lanes.splat(L::Number::ZERO);
            // (A macro: see `for_each_quad`.)
            macro_rules! take {
                ($row:ident, $new:expr) => {
                    let number = lanes.splat(E::of_index($row as u32));
                    held = [
                        lanes.where_less($new[0], low[0], number, held[0]),
                        lanes.where_less($new[1], low[1], number, held[1]),
                    ];
                    low = [
                        lanes.smaller($new[0], low[0]),
                        lanes.smaller($new[1], low[1]),
                    ];
                };
            }
            // Rows of which whole vectors can be read: within the row, or on into the matrix's next
            // one.
            let whole = if col + width <= cols {
                end
            } else if stride == cols {
                let last = costs.len().checked_sub(col + width);
                last.map_or(0, |last| last / stride + 1).clamp(first, end)
            } else {
                first
            };
            for row in first..whole {
                let at = row * stride + col;
                // The processor prefetches along a row by itself, but not across the jump to the
                // rows after these.
                let ahead = costs.as_ptr().wrapping_add(at + ROWS * stride);
                lanes.prefetch(ahead);
                lanes.prefetch(ahead.wrapping_add(W));
                let chunks = costs[at..][..width].as_chunks::<W>().0;
                let new = [E::load(lanes, &chunks[0]), E::load(lanes, &chunks[1])];
                magnitudes = lanes.larger_magnitude(magnitudes, new[0]);
                magnitudes = lanes.larger_magnitude(magnitudes, new[1]);
                take!(row, new);
            }
            for row in whole..end {
                let costs = &costs[row * stride..][col..cols];
                let costs = &costs[..costs.len().min(width)];
                magnitudes = take_magnitudes(lanes, magnitudes, costs);
                let new = [E::load_part(lanes, costs, 0), E::load_part(lanes, costs, W)];
                take!(row, new);
            }
            lanes.store(low[0], &mut least[0]);
            lanes.store(low[1], &mut least[1]);
            lanes.store(held[0], &mut holders[0]);
            lanes.store(held[1], &mut holders[1]);
            *largest = lanes.larger_magnitude(*largest, magnitudes);
        }
    }
}

/// The least cost of a row and the first column that has it. Magnitudes of all costs go into
/// `largest`, as by [`take_magnitudes`].
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
    // From zero, so that the compiler knows that it has no sign.
    let mut magnitudes = lanes.splat(L::Number::ZERO);
    let whole = row.as_chunks::<W>().0.as_chunks::<QUAD>().0;
    for (quad, costs) in whole.iter().enumerate() {
        prefetch_quad::<L, E, W>(lanes, at.wrapping_add(quad * QUAD * W));
        let costs = load_chunks(lanes, costs);
        let least = least_of_quad(lanes, costs);
        lanes.store(least, &mut quad_least.at(quad)[0]);
        total = lanes.smaller(least, total);
        magnitudes = take_quad_magnitudes(lanes, magnitudes, costs);
    }
    if whole.len() < quads {
        prefetch_quad::<L, E, W>(lanes, at.wrapping_add(whole.len() * QUAD * W));
        let costs = load_overlapping(lanes, row, whole.len());
        let least = least_of_quad(lanes, costs);
        lanes.store(least, &mut quad_least.at(whole.len())[0]);
        total = lanes.smaller(least, total);
        magnitudes = if whole.is_empty() {
            take_magnitudes(lanes, magnitudes, row)
        } else {
            take_quad_magnitudes(lanes, magnitudes, costs)
        };
    }
    *largest = lanes.larger_magnitude(*largest, magnitudes);
    let least = lanes.least(total);
    let value = lanes.splat(least);
    // From the back, so that the first one stays.
    let mut first = quads - 1;
    for quad in (0..quads).rev() {
        let holding = lanes.equal(lanes.load(&quad_least.at(quad)[0]), value);
        first = select_unpredictable(holding != 0, quad, first);
    }
    let holding = lanes.equal_of_four(load_overlapping(lanes, row, first), value);
    let place = holding.trailing_zeros() as usize % (QUAD * W);
    (
        least,
        (start_of_overlapping::<W>(row.len(), first) + place) as u32,
    )
}

/// The larger of `largest` and the magnitudes of a quad, lane by lane.
#[inline(always)]
fn take_quad_magnitudes<L: Lanes<W>, const W: usize>(
    lanes: L,
    largest: L::Vector,
    quad: [L::Vector; QUAD],
) -> L::Vector {
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

/// The largest magnitude of some numbers.
#[inline(always)]
pub fn largest_of<L: Lanes<W>, const W: usize>(lanes: L, numbers: &[L::Number]) -> L::Number
where
    L::Number: Entry,
{
    let zero = lanes.splat(L::Number::ZERO);
    largest_of_lanes(lanes, take_magnitudes(lanes, zero, numbers))
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
