//! One row of costs, and how vectors of them are read.

use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::sweep::per_column::QUAD;

/// One row of costs.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, E> {
    /// The row's costs, and behind them those of the matrix that may be read, so that vectors
    /// seldom have to be loaded in part. What is read behind the row has no effect, and is neither
    /// NaN nor −inf.
    pub(super) costs: &'a [E],
    /// How many costs are the row's.
    pub(super) cols: usize,
}

impl<'a, E> Row<'a, E> {
    /// Row `row` of a matrix of `cols` columns whose rows lie `stride` apart. All of `costs` must
    /// be the matrix's.
    #[inline(always)]
    pub fn of_matrix(costs: &'a [E], stride: usize, cols: usize, row: usize) -> Self {
        let costs = &costs[row * stride..];
        // Between rows that do not lie side by side there may be anything.
        let readable = if stride == cols { costs.len() } else { cols };
        Row {
            costs: &costs[..readable],
            cols,
        }
    }

    /// How many quads can be loaded whole.
    #[inline(always)]
    pub(super) fn whole_quads<const W: usize>(&self) -> usize {
        self.costs.len() / (QUAD * W)
    }

    /// Tells the processor that costs of a quad from column `col` on will be read soon, and as many
    /// behind them.
    #[inline(always)]
    pub fn prefetch<L: Lanes<W>, const W: usize>(&self, lanes: L, col: usize) {
        let at = self.costs.as_ptr().wrapping_add(col);
        prefetch_quad(lanes, at);
        prefetch_quad(lanes, at.wrapping_add(QUAD * W));
    }

    /// The row's own costs.
    pub fn costs(&self) -> &'a [E] {
        &self.costs[..self.cols]
    }
}

/// How far ahead, in bytes, costs are prefetched by the first look at a rectangle, and by a copy.
/// At a problem's end that is into the next one, which memory delivers while this one is solved.
pub const PREFETCH_DISTANCE: usize = 1 << 14;

/// Does something with the costs of each quad of a row, in order. Two loops: the first need not ask
/// whether a quad can be loaded whole. (A macro, since only what is sure to be inlined is compiled
/// for a level, and closures are not.)
macro_rules! for_each_quad {
    ($lanes:ident, $row:ident, |$quad:ident, $costs:ident| $body:block) => {
        let quads = crate::sweep::per_column::quads::<W>($row.cols);
        let whole = $row.whole_quads::<W>().min(quads);
        for $quad in 0..whole {
            let $costs = crate::sweep::row::load_whole_quad($lanes, $row, $quad);
            $body
        }
        for $quad in whole..quads {
            let $costs = crate::sweep::row::load_part_of_costs($lanes, $row.costs, $quad);
            $body
        }
    };
}
pub(super) use for_each_quad;

/// The costs of a quad.
#[inline(always)]
pub(super) fn load_costs<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    quad: usize,
) -> [L::Vector; QUAD] {
    match load_costs_from(lanes, row.costs, quad * QUAD * W) {
        Some(costs) => costs,
        None => load_part_of_costs(lanes, row.costs, quad),
    }
}

/// The costs of one of the quads that can be loaded whole.
#[inline(always)]
pub(super) fn load_whole_quad<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    quad: usize,
) -> [L::Vector; QUAD] {
    let quads = row.costs.as_chunks::<W>().0.as_chunks().0;
    load_chunks(lanes, &quads[quad])
}

/// A quad of costs that are all there.
#[inline(always)]
pub(super) fn load_chunks<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    chunks: &[[E; W]; QUAD],
) -> [L::Vector; QUAD] {
    [
        E::load(lanes, &chunks[0]),
        E::load(lanes, &chunks[1]),
        E::load(lanes, &chunks[2]),
        E::load(lanes, &chunks[3]),
    ]
}

/// A quad of costs from column `start` on, if the row has as many.
#[inline(always)]
fn load_costs_from<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    start: usize,
) -> Option<[L::Vector; QUAD]> {
    let costs = row.get(start..)?.get(..QUAD * W)?;
    Some(load_chunks(lanes, costs.as_chunks::<W>().0.first_chunk()?))
}

/// A quad of costs that reaches beyond the end of the row, loaded in part. A little slower than
/// [`load_costs_from`].
#[inline(always)]
pub(super) fn load_part_of_costs<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    quad: usize,
) -> [L::Vector; QUAD] {
    let start = quad * QUAD * W;
    [
        E::load_part(lanes, row, start),
        E::load_part(lanes, row, start + W),
        E::load_part(lanes, row, start + 2 * W),
        E::load_part(lanes, row, start + 3 * W),
    ]
}

/// A quad of costs. The last quad of a row ends with the row and overlaps the one before, so that
/// no lane has to be masked. Only a row shorter than a quad is loaded in part.
#[inline(always)]
pub(super) fn load_overlapping<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    quad: usize,
) -> [L::Vector; QUAD] {
    match load_costs_from(lanes, row, start_of_overlapping::<W>(row.len(), quad)) {
        Some(costs) => costs,
        None => load_part_of_costs(lanes, row, 0),
    }
}

/// The first column of a quad as [`load_overlapping`] loads it.
#[inline(always)]
pub(super) fn start_of_overlapping<const W: usize>(cols: usize, quad: usize) -> usize {
    (quad * QUAD * W).min(cols.saturating_sub(QUAD * W))
}

/// Stands for the largest number of vectors in a row where that is not known at compile time.
pub const ANY: usize = 0;

/// The costs of `N` vectors: in place, where all can be read there, else copied to `filled_up`,
/// with +inf behind the last one.
#[inline(always)]
pub(super) fn costs_of_vectors<'a, E: Entry, const W: usize, const N: usize>(
    row: Row<'a, E>,
    filled_up: &'a mut Option<[[E; W]; N]>,
) -> &'a [[E; W]; N] {
    match row.costs.as_chunks::<W>().0.first_chunk() {
        Some(chunks) => chunks,
        None => {
            let chunks = filled_up.insert([[E::INFINITY; W]; N]);
            chunks.as_flattened_mut()[..row.costs.len()].copy_from_slice(row.costs);
            chunks
        }
    }
}

/// Prefetches the costs of a quad that begins at `at`, valid or not.
#[inline(always)]
pub(super) fn prefetch_quad<L: Lanes<W>, E, const W: usize>(lanes: L, at: *const E) {
    for vector in 0..QUAD {
        lanes.prefetch(at.wrapping_add(vector * W));
    }
}
