//! Passes over one row of costs, four vectors of columns at a time: all of the solver that takes time.
//!
//! What stands beside the columns (duals, distances) is kept in blocks of 64 columns, padded at the end. Costs are
//! not: they are read where they lie, and the lanes behind the last column read what lies behind the row, see [`Row`]. As
//! duals are padded with −inf, reduced costs are +inf there. A pass that looks for the nearest
//! column leaves behind the least value of each *quad* of vectors, lane by lane, so that the column of a value is found
//! in one quad, without a second pass.
//!
//! Nothing in a pass branches on what it finds, for that could not be predicted: a wrong guess costs as much as a
//! sweep of a hundred columns.

use std::collections::TryReserveError;
use std::hint::select_unpredictable;
use std::ops::Range;

use crate::arithmetic::Arithmetic;
use crate::lanes::{Lanes, Portable};
use crate::problem::Entry;

/// Columns of one block: as many as a word has bits.
pub const BLOCK: usize = 64;

/// Vectors that a pass takes at a time.
pub const QUAD: usize = 4;

/// Stands for the number of vectors in a row where that is not known when this is compiled.
pub const ANY: usize = 0;

/// One number for each column of a block.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Block<R>(pub [R; BLOCK]);

/// A number for each column.
#[derive(Debug)]
pub struct PerColumn<R> {
    blocks: Vec<Block<R>>,
}

impl<R> Default for PerColumn<R> {
    fn default() -> Self {
        PerColumn { blocks: Vec::new() }
    }
}

impl<R: Arithmetic> PerColumn<R> {
    /// Makes room for `cols` columns.
    pub fn try_reserve(&mut self, cols: usize) -> Result<(), TryReserveError> {
        self.blocks.clear();
        self.blocks.try_reserve_exact(cols.div_ceil(BLOCK))
    }

    /// Starts anew with `cols` columns, all of the same number, padding included.
    #[inline(always)]
    pub fn reset(&mut self, cols: usize, number: R) {
        self.blocks.clear();
        self.blocks
            .resize(cols.div_ceil(BLOCK), Block([number; BLOCK]));
    }

    /// The same, padded with −inf.
    #[inline(always)]
    pub fn reset_padded(&mut self, cols: usize, number: R) {
        self.reset(cols, number);
        if let Some(last) = self.blocks.last_mut() {
            last.0[(cols - 1) % BLOCK + 1..].fill(R::NEG_INFINITY);
        }
    }

    /// Makes sure of `cols` columns, whatever their numbers.
    #[inline(always)]
    pub fn resize(&mut self, cols: usize) {
        self.blocks
            .resize(cols.div_ceil(BLOCK), Block([R::ZERO; BLOCK]));
    }

    /// The number of one column.
    #[inline(always)]
    pub fn get(&self, col: usize) -> R {
        self.blocks[col / BLOCK].0[col % BLOCK]
    }

    /// Replaces the number of one column.
    #[inline(always)]
    pub fn set(&mut self, col: usize, number: R) {
        self.blocks[col / BLOCK].0[col % BLOCK] = number;
    }

    // The three below change one number by way of a whole vector: the next pass reads vectors, and would have to wait
    // for a store that is narrower.

    /// Replaces the number of one column by +inf.
    #[inline(always)]
    fn raise<L: Lanes<W, Number = R>, const W: usize>(&mut self, lanes: L, col: usize) {
        let chunk = self.chunk_mut::<W>(col / W);
        let infinite_there = lanes.one_lane(R::NEG_INFINITY, col % W, R::INFINITY);
        let vector = lanes.larger(infinite_there, lanes.load(chunk));
        lanes.store(vector, chunk);
    }

    /// Replaces the number of one column by −inf.
    #[inline(always)]
    fn lower<L: Lanes<W, Number = R>, const W: usize>(&mut self, lanes: L, col: usize) {
        let chunk = self.chunk_mut::<W>(col / W);
        let infinite_there = lanes.one_lane(R::INFINITY, col % W, R::NEG_INFINITY);
        let vector = lanes.smaller(infinite_there, lanes.load(chunk));
        lanes.store(vector, chunk);
    }

    /// Subtracts from the number of one column.
    #[inline(always)]
    pub fn subtract<L: Lanes<W, Number = R>, const W: usize>(
        &mut self,
        lanes: L,
        col: usize,
        number: R,
    ) {
        let chunk = self.chunk_mut::<W>(col / W);
        let number_there = lanes.one_lane(R::ZERO, col % W, number);
        let vector = lanes.subtract(lanes.load(chunk), number_there);
        lanes.store(vector, chunk);
    }

    /// The largest magnitude of the first `cols` columns.
    #[inline(always)]
    pub fn widest<L: Lanes<W, Number = R>, const W: usize>(&self, lanes: L, cols: usize) -> R
    where
        R: Entry,
    {
        let mut widest = lanes.splat(R::ZERO);
        for (block, first) in self.blocks.iter().zip((0..cols).step_by(BLOCK)) {
            widest = wider(lanes, widest, &block.0[..BLOCK.min(cols - first)]);
        }
        widest_of_all(lanes, widest)
    }

    /// The numbers of all columns, block by block; the last may hold padding.
    #[inline(always)]
    pub fn blocks(&self) -> &[Block<R>] {
        &self.blocks
    }

    /// As [`PerColumn::blocks`], to be changed.
    #[inline(always)]
    pub fn blocks_mut(&mut self) -> &mut [Block<R>] {
        &mut self.blocks
    }

    /// A vector's worth of numbers.
    #[inline(always)]
    fn chunk_mut<const W: usize>(&mut self, chunk: usize) -> &mut [R; W] {
        let of_block = BLOCK / W;
        let block = &mut self.blocks[chunk / of_block];
        &mut block.0.as_chunks_mut::<W>().0[chunk % of_block]
    }

    /// The first `count` quads.
    #[inline(always)]
    fn quads<const W: usize>(&self, count: usize) -> Quads<'_, R, W> {
        Quads(&self.blocks[..count.div_ceil(BLOCK / (QUAD * W))])
    }

    #[inline(always)]
    fn quads_mut<const W: usize>(&mut self, count: usize) -> QuadsMut<'_, R, W> {
        QuadsMut(&mut self.blocks[..count.div_ceil(BLOCK / (QUAD * W))])
    }
}

/// Numbers of columns, four vectors of `W` at a time. A pass borrows as many as it goes over, so that where they lie and how
/// many there are is known before it begins.
#[derive(Clone, Copy)]
struct Quads<'a, R, const W: usize>(&'a [Block<R>]);

impl<R, const W: usize> Quads<'_, R, W> {
    #[inline(always)]
    fn at(&self, quad: usize) -> &[[R; W]; QUAD] {
        let of_block = BLOCK / (QUAD * W);
        let chunks = self.0[quad / of_block].0.as_chunks::<W>().0;
        &chunks.as_chunks::<QUAD>().0[quad % of_block]
    }

    #[inline(always)]
    fn vector(&self, place: usize) -> &[R; W] {
        &self.at(place / QUAD)[place % QUAD]
    }
}

/// As [`Quads`], to be changed.
struct QuadsMut<'a, R, const W: usize>(&'a mut [Block<R>]);

impl<R, const W: usize> QuadsMut<'_, R, W> {
    #[inline(always)]
    fn at(&mut self, quad: usize) -> &mut [[R; W]; QUAD] {
        let of_block = BLOCK / (QUAD * W);
        let chunks = self.0[quad / of_block].0.as_chunks_mut::<W>().0;
        &mut chunks.as_chunks_mut::<QUAD>().0[quad % of_block]
    }

    #[inline(always)]
    fn vector(&mut self, place: usize) -> &mut [R; W] {
        &mut self.at(place / QUAD)[place % QUAD]
    }
}

/// Quads of a row of `cols` columns.
#[inline(always)]
fn quads<const W: usize>(cols: usize) -> usize {
    cols.div_ceil(QUAD * W)
}

/// One row of costs.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a, E> {
    /// The costs, and what may be read behind them, so that seldom a vector has to be read in part. That counts for
    /// nothing, but is neither NaN nor −inf.
    costs: &'a [E],
    /// How many costs are the row's.
    cols: usize,
}

impl<'a, E> Row<'a, E> {
    /// Row `row` of a matrix whose rows lie `stride` apart.
    #[inline(always)]
    pub fn of_matrix(
        costs: &'a [E],
        stride: usize,
        (rows, cols): (usize, usize),
        row: usize,
    ) -> Self {
        let start = row * stride;
        // Between rows that do not lie side by side there may be anything.
        let readable = if stride == cols {
            (rows - row) * cols
        } else {
            cols
        };
        Row {
            costs: &costs[start..][..readable],
            cols,
        }
    }

    /// The row's own costs.
    pub fn costs(&self) -> &'a [E] {
        &self.costs[..self.cols]
    }
}

/// So many bytes ahead the first look at a rectangle asks for costs, and a copy does: memory goes on while a problem that
/// has been looked at is solved.
pub const AHEAD: usize = 1 << 14;

/// The costs of a quad.
#[inline(always)]
fn load_costs<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    quad: usize,
) -> [L::Vector; QUAD] {
    match load_costs_from(lanes, row.costs, quad * QUAD * W) {
        Some(costs) => costs,
        None => load_part_of_costs(lanes, row.costs, quad),
    }
}

/// A quad of costs from column `start` on, if the row has as many.
#[inline(always)]
fn load_costs_from<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    start: usize,
) -> Option<[L::Vector; QUAD]> {
    let costs = row.get(start..)?.get(..QUAD * W)?;
    let chunks = costs.as_chunks::<W>().0;
    Some([
        E::load(lanes, &chunks[0]),
        E::load(lanes, &chunks[1]),
        E::load(lanes, &chunks[2]),
        E::load(lanes, &chunks[3]),
    ])
}

/// The same where the row ends within the quad; a little slower.
#[inline(always)]
fn load_part_of_costs<L: Lanes<W>, E: Entry, const W: usize>(
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

/// A quad of a row, of which the last ends where the row ends, and holds some columns of the one before again: so it needs
/// no masks. Only a row shorter than a quad is read as [`load_part_of_costs`] does.
#[inline(always)]
fn load_overlapping<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    quad: usize,
) -> [L::Vector; QUAD] {
    match load_costs_from(lanes, row, start_of_overlapping::<W>(row.len(), quad)) {
        Some(costs) => costs,
        None => load_part_of_costs(lanes, row, 0),
    }
}

/// The first column of such a quad.
#[inline(always)]
fn start_of_overlapping<const W: usize>(cols: usize, quad: usize) -> usize {
    (quad * QUAD * W).min(cols.saturating_sub(QUAD * W))
}

/// `N` vectors of costs.
#[inline(always)]
fn load_vectors<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
) -> [L::Vector; N] {
    let mut vectors = [lanes.splat(L::Number::INFINITY); N];
    if let Some(costs) = row.costs.get(..N * W) {
        let chunks = costs.as_chunks::<W>().0;
        for (vector, costs) in vectors.iter_mut().zip(chunks) {
            *vector = E::load(lanes, costs);
        }
    } else {
        for (place, vector) in vectors.iter_mut().enumerate() {
            *vector = E::load_part(lanes, row.costs, place * W);
        }
    }
    vectors
}

/// The least of `N` vectors, lane by lane.
#[inline(always)]
fn least_of_all<L: Lanes<W>, const W: usize, const N: usize>(
    lanes: L,
    values: &[L::Vector; N],
) -> L::Vector {
    let (quads, rest) = values.as_chunks::<QUAD>();
    let mut total = least_of_quad(lanes, quads[0]);
    for &quad in &quads[1..] {
        total = lanes.smaller(total, least_of_quad(lanes, quad));
    }
    for &one in rest {
        total = lanes.smaller(total, one);
    }
    total
}

// Not closures over arrays, which would be compiled without the level's instructions.

#[inline(always)]
fn load<L: Lanes<W>, const W: usize>(
    lanes: L,
    numbers: &[[L::Number; W]; QUAD],
) -> [L::Vector; QUAD] {
    [
        lanes.load(&numbers[0]),
        lanes.load(&numbers[1]),
        lanes.load(&numbers[2]),
        lanes.load(&numbers[3]),
    ]
}

#[inline(always)]
fn store<L: Lanes<W>, const W: usize>(
    lanes: L,
    vectors: [L::Vector; QUAD],
    numbers: &mut [[L::Number; W]; QUAD],
) {
    lanes.store(vectors[0], &mut numbers[0]);
    lanes.store(vectors[1], &mut numbers[1]);
    lanes.store(vectors[2], &mut numbers[2]);
    lanes.store(vectors[3], &mut numbers[3]);
}

#[inline(always)]
fn subtract<L: Lanes<W>, const W: usize>(
    lanes: L,
    a: [L::Vector; QUAD],
    b: [L::Vector; QUAD],
) -> [L::Vector; QUAD] {
    [
        lanes.subtract(a[0], b[0]),
        lanes.subtract(a[1], b[1]),
        lanes.subtract(a[2], b[2]),
        lanes.subtract(a[3], b[3]),
    ]
}

#[inline(always)]
fn smaller<L: Lanes<W>, const W: usize>(
    lanes: L,
    a: [L::Vector; QUAD],
    b: [L::Vector; QUAD],
) -> [L::Vector; QUAD] {
    [
        lanes.smaller(a[0], b[0]),
        lanes.smaller(a[1], b[1]),
        lanes.smaller(a[2], b[2]),
        lanes.smaller(a[3], b[3]),
    ]
}

/// The least of four, lane by lane.
#[inline(always)]
fn least_of_quad<L: Lanes<W>, const W: usize>(lanes: L, quad: [L::Vector; QUAD]) -> L::Vector {
    lanes.smaller(
        lanes.smaller(quad[0], quad[1]),
        lanes.smaller(quad[2], quad[3]),
    )
}

/// Bit i is set where number i of a quad equals `value`.
#[inline(always)]
fn equal<L: Lanes<W>, const W: usize>(lanes: L, quad: [L::Vector; QUAD], value: L::Vector) -> u64 {
    lanes.equal(quad[0], value)
        | lanes.equal(quad[1], value) << W
        | lanes.equal(quad[2], value) << (2 * W)
        | lanes.equal(quad[3], value) << (3 * W)
}

/// Bit i is set where number i of quad a is less than that of `b`.
#[inline(always)]
fn below<L: Lanes<W>, const W: usize>(lanes: L, a: [L::Vector; QUAD], b: L::Vector) -> u64 {
    lanes.below(a[0], b)
        | lanes.below(a[1], b) << W
        | lanes.below(a[2], b) << (2 * W)
        | lanes.below(a[3], b) << (3 * W)
}

/// The least value of each quad in the last pass, lane by lane.
#[derive(Debug)]
pub struct PerQuad<R> {
    /// Only the first vector of each quad is used, which makes addresses simple.
    vectors: PerColumn<R>,
}

impl<R> Default for PerQuad<R> {
    fn default() -> Self {
        PerQuad {
            vectors: PerColumn::default(),
        }
    }
}

impl<R: Arithmetic> PerQuad<R> {
    /// Makes room for the quads of `cols` columns.
    pub fn try_reserve(&mut self, cols: usize) -> Result<(), TryReserveError> {
        self.vectors.try_reserve(cols)
    }

    /// Makes sure of the quads of `cols` columns.
    #[inline(always)]
    pub fn resize(&mut self, cols: usize) {
        self.vectors.resize(cols);
    }
}

/// The nearest column of a row.
#[derive(Clone, Copy, Debug)]
pub struct Nearest<R> {
    /// Its value: the least.
    pub value: R,
    /// The column. Of equal ones the first that is unmatched, or else the first; but see `others`.
    pub col: usize,
    /// Is it unmatched?
    pub is_unmatched: bool,
    /// One bit for each other quad that holds the least value, too, and may have an unmatched column: see
    /// [`Nearest::prefer_unmatched`]. The last bit, [`BEHIND`], stands for all quads that have no bit of their own.
    pub others: u64,
}

/// Stands for the quads from this one on, in a word of one bit for each quad.
const BEHIND: usize = BLOCK - 1;

/// Which columns of a quad hold a value. (A closure would do, but only what is sure to be inlined is compiled for a level.)
trait Holders<L: Lanes<W>, const W: usize> {
    /// One bit for each column of the quad.
    fn of_quad(&self, lanes: L, quad: usize, value: L::Vector) -> u64;
}

/// The column that holds `least`. `unmatched` has one bit for each column.
#[inline(always)]
fn nearest<L: Lanes<W>, const W: usize>(
    lanes: L,
    least: L::Number,
    quads: usize,
    quad_least: &PerQuad<L::Number>,
    unmatched: &[u64],
    holders: &impl Holders<L, W>,
) -> Nearest<L::Number> {
    let value = lanes.splat(least);
    let width = QUAD * W;
    let quad_least = quad_least.vectors.quads::<W>(quads);
    let mut candidates = 0u64;
    for quad in 0..quads.min(BEHIND) {
        let least = lanes.load(&quad_least.at(quad)[0]);
        candidates |= u64::from(lanes.equal(least, value) != 0) << quad;
    }
    let mut quad = candidates.trailing_zeros() as usize;
    let mut others = candidates & candidates.wrapping_sub(1);
    if quads > BEHIND {
        others |= 1 << BEHIND;
        if candidates == 0 {
            quad = next_holder(lanes, value, &quad_least, BEHIND..quads);
        }
    }
    let quad = quad.min(quads - 1);
    let mut found = Nearest {
        value: least,
        col: 0,
        is_unmatched: false,
        others,
    };
    let holding = holders.of_quad(lanes, quad, value);
    found.choose(
        holding,
        bits_of_quad(unmatched, quad, width),
        quad * width,
        width,
    );
    found
}

/// The first of some quads that holds a value; the end if none does.
#[inline(always)]
fn next_holder<L: Lanes<W>, const W: usize>(
    lanes: L,
    value: L::Vector,
    quad_least: &Quads<L::Number, W>,
    mut quads: Range<usize>,
) -> usize {
    while quads.start < quads.end
        && lanes.equal(lanes.load(&quad_least.at(quads.start)[0]), value) == 0
    {
        quads.start += 1;
    }
    quads.start
}

impl<R: Arithmetic> Nearest<R> {
    /// A matched column, when there is no unmatched one as near.
    #[inline(always)]
    pub fn matched(value: R, col: usize) -> Self {
        Nearest {
            value,
            col,
            is_unmatched: false,
            others: 0,
        }
    }

    /// Of the columns that hold the least value in a quad, chooses one.
    #[inline(always)]
    fn choose(&mut self, holding: u64, unmatched: u64, first: usize, width: usize) {
        let free = holding & unmatched;
        self.is_unmatched = free != 0;
        let chosen = select_unpredictable(self.is_unmatched, free, holding);
        self.col = first + chosen.trailing_zeros() as usize % width;
    }

    /// Looks for an unmatched column in the other quads, if none is found yet. That there are others is seldom, but not
    /// seldom enough to be predicted: that is why a pass leaves it to be done apart.
    #[inline(always)]
    fn look_further<L: Lanes<W, Number = R>, const W: usize>(
        &mut self,
        lanes: L,
        quad_least: &PerQuad<R>,
        unmatched: &[u64],
        holders: &(impl Holders<L, W> + Holders<Portable<R>, W>),
    ) {
        let (value, width) = (lanes.splat(self.value), QUAD * W);
        let mut quads = self.others & !(1 << BEHIND);
        while quads != 0 && !self.is_unmatched {
            let quad = quads.trailing_zeros() as usize;
            quads &= quads - 1;
            let unmatched = bits_of_quad(unmatched, quad, width);
            let holding = holders.of_quad(lanes, quad, value);
            if holding & unmatched != 0 {
                self.choose(holding, unmatched, quad * width, width);
            }
        }
        if self.others >> BEHIND != 0 && !self.is_unmatched {
            self.look_behind::<W>(quad_least, unmatched, holders);
        }
    }

    /// The same in the quads that have no bit of their own. Apart, so that it does not stand in the way where there are none.
    #[cold]
    #[inline(never)]
    fn look_behind<const W: usize>(
        &mut self,
        quad_least: &PerQuad<R>,
        unmatched: &[u64],
        holders: &impl Holders<Portable<R>, W>,
    ) {
        let lanes = Portable::default();
        let (value, width) = (lanes.splat(self.value), QUAD * W);
        let quads = unmatched.len() * (BLOCK / width);
        let quad_least = quad_least.vectors.quads::<W>(quads);
        let mut quad = BEHIND;
        while !self.is_unmatched {
            quad = next_holder(lanes, value, &quad_least, quad..quads);
            if quad == quads {
                return;
            }
            let unmatched = bits_of_quad(unmatched, quad, width);
            let holding = holders.of_quad(lanes, quad, value);
            if holding & unmatched != 0 {
                self.choose(holding, unmatched, quad * width, width);
            }
            quad += 1;
        }
    }

    /// Of columns equally near in reduced cost, makes sure of an unmatched one, if there is any.
    #[inline(always)]
    pub fn prefer_unmatched<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        row: Row<E>,
        col_duals: &PerColumn<R>,
        quad_least: &PerQuad<R>,
        unmatched: &[u64],
    ) {
        if self.others != 0 {
            let holders = InReducedCosts { row, col_duals };
            self.look_further(lanes, quad_least, unmatched, &holders);
        }
    }
}

/// As [`nearest`], of values that are all at hand.
#[inline(always)]
fn nearest_of<L: Lanes<W>, const W: usize, const N: usize>(
    lanes: L,
    least: L::Number,
    values: &[L::Vector; N],
    unmatched: &[u64],
) -> Nearest<L::Number> {
    let value = lanes.splat(least);
    let width = QUAD * W;
    const NONE: usize = usize::MAX;
    let unmatched = &unmatched[..(N * W).div_ceil(BLOCK)];
    let (mut first, mut first_free) = (0, NONE);
    for (quad, vectors) in values.chunks(QUAD).enumerate().rev() {
        let mut bits = 0;
        for (place, &vector) in vectors.iter().enumerate() {
            bits |= lanes.equal(vector, value) << (place * W);
        }
        let free = bits & bits_of_quad(unmatched, quad, width);
        let col = quad * width + bits.trailing_zeros() as usize % width;
        let free_col = quad * width + free.trailing_zeros() as usize % width;
        first = select_unpredictable(bits != 0, col, first);
        first_free = select_unpredictable(free != 0, free_col, first_free);
    }
    let is_unmatched = first_free != NONE;
    Nearest {
        value: least,
        col: select_unpredictable(is_unmatched, first_free, first),
        is_unmatched,
        others: 0,
    }
}

/// The bits of a quad of `width` columns.
#[inline(always)]
fn bits_of_quad(bits: &[u64], quad: usize, width: usize) -> u64 {
    let first = quad * width;
    let mask = u64::MAX >> (BLOCK - width);
    bits.get(first / BLOCK)
        .map_or(0, |word| word >> (first % BLOCK) & mask)
}

/// Least and second least of the reduced costs of a row.
#[derive(Clone, Copy, Debug)]
pub struct TwoNearest<R> {
    /// The column of the least.
    pub first: Nearest<R>,
    /// The least of the others; the same number if two columns share it.
    pub second: R,
}

/// Column reduction of a matrix whose rows lie `stride` apart: `least` becomes min_i c_ij, and `holders` the number of the
/// first row that has it. `widest` becomes that of [`wider`].
#[inline(always)]
pub fn reduce_columns<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    costs: &[E],
    stride: usize,
    (rows, cols): (usize, usize),
    widest: &mut L::Vector,
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
            let mut wide = [lanes.splat(L::Number::ZERO); QUAD];
            for row in first..rows.min(first + ROWS) {
                // The processor foresees a row, but not a jump to the rows behind these.
                let ahead = costs
                    .as_ptr()
                    .wrapping_add((row + ROWS) * stride + quad * QUAD * W);
                ask_for_quad::<L, E, W>(lanes, ahead);
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
                wide = [
                    lanes.wider(wide[0], costs[0]),
                    lanes.wider(wide[1], costs[1]),
                    lanes.wider(wide[2], costs[2]),
                    lanes.wider(wide[3], costs[3]),
                ];
            }
            store(lanes, low, least.at(quad));
            store(lanes, held, holders.at(quad));
            *widest = wider_within(lanes, *widest, wide, cols - quad * QUAD * W);
        }
    }
}

/// Says that the costs of a quad that begins at `at`, wherever that is, will be read soon.
#[inline(always)]
fn ask_for_quad<L: Lanes<W>, E, const W: usize>(lanes: L, at: *const E) {
    for vector in 0..QUAD {
        lanes.prefetch(at.wrapping_add(vector * W));
    }
}

/// Bytes that [`ask_for`] asks for.
pub const ASKED_FOR_AT_ONCE: usize = 1 << 10;

/// Says that what begins at `at`, wherever that is, will be read soon.
#[inline(always)]
pub fn ask_for<L: Lanes<W>, const W: usize>(lanes: L, at: *const u8) {
    const LINE: usize = 64;
    for start in (0..ASKED_FOR_AT_ONCE).step_by(LINE) {
        lanes.prefetch(at.wrapping_add(start));
    }
}

/// `widest` and the first `cols` columns of a quad, whichever is larger, lane by lane.
#[inline(always)]
fn wider_within<L: Lanes<W>, const W: usize>(
    lanes: L,
    widest: L::Vector,
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
    let low = lanes.wider(quad[0], quad[1]);
    let high = lanes.wider(quad[2], quad[3]);
    lanes.wider(widest, lanes.wider(low, high))
}

/// Where c_j − v_j has a value.
struct InReducedCosts<'a, E, R> {
    row: Row<'a, E>,
    col_duals: &'a PerColumn<R>,
}

impl<L: Lanes<W>, E: Entry, const W: usize> Holders<L, W> for InReducedCosts<'_, E, L::Number> {
    #[inline(always)]
    fn of_quad(&self, lanes: L, quad: usize, value: L::Vector) -> u64 {
        let costs = load_costs(lanes, self.row, quad);
        let duals = load(lanes, self.col_duals.quads(quad + 1).at(quad));
        equal(lanes, subtract(lanes, costs, duals), value)
    }
}

/// `widest` and the magnitudes of all costs, whichever is larger, lane by lane.
#[inline(always)]
pub fn wider<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    mut widest: L::Vector,
    row: &[E],
) -> L::Vector {
    let (chunks, rest) = row.as_chunks::<W>();
    for chunk in chunks {
        widest = lanes.wider(widest, E::load(lanes, chunk));
    }
    if rest.is_empty() {
        return widest;
    }
    if let Some(chunk) = row.last_chunk::<W>() {
        // Some of it a second time, which does no harm.
        return lanes.wider(widest, E::load(lanes, chunk));
    }
    let mut chunk = [E::ZERO; W];
    chunk[..rest.len()].copy_from_slice(rest);
    lanes.wider(widest, E::load(lanes, &chunk))
}

/// As [`wider`], where +inf counts as 0. There must be no NaN.
#[inline(always)]
pub fn wider_allowed<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    mut widest: L::Vector,
    row: &[E],
) -> L::Vector {
    let (zero, infinite) = (
        lanes.splat(L::Number::ZERO),
        lanes.splat(L::Number::INFINITY),
    );
    for start in (0..row.len()).step_by(W) {
        let costs = E::load_part(lanes, row, start);
        let allowed = lanes.where_less(costs, infinite, costs, zero);
        widest = lanes.wider(widest, allowed);
    }
    widest
}

/// The largest magnitude of all lanes.
#[inline(always)]
pub fn widest_of_all<L: Lanes<W>, const W: usize>(lanes: L, widest: L::Vector) -> L::Number {
    let mut numbers = [L::Number::ZERO; W];
    lanes.store(widest, &mut numbers);
    let mut largest = L::Number::ZERO;
    for number in numbers {
        largest = largest.wider(number);
    }
    largest
}

/// Least c_j and the first column that has it. `widest` becomes that of [`wider`].
#[inline(always)]
pub fn cheapest_column<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    widest: &mut L::Vector,
    quad_least: &mut PerQuad<L::Number>,
) -> (L::Number, u32) {
    let quads = quads::<W>(row.len());
    let at = row.as_ptr().wrapping_add(AHEAD / size_of::<E>());
    let mut quad_least = quad_least.vectors.quads_mut::<W>(quads);
    let mut total = lanes.splat(L::Number::INFINITY);
    for quad in 0..quads {
        ask_for_quad::<L, E, W>(lanes, at.wrapping_add(quad * QUAD * W));
        let costs = load_overlapping(lanes, row, quad);
        let least = least_of_quad(lanes, costs);
        lanes.store(least, &mut quad_least.at(quad)[0]);
        total = lanes.smaller(least, total);
        *widest = wider_within(lanes, *widest, costs, row.len());
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

/// Least c_j − v_j and its column, and the second least.
#[inline(always)]
pub fn two_nearest_columns<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    quad_least: &mut PerQuad<L::Number>,
    unmatched: &[u64],
) -> TwoNearest<L::Number> {
    let infinite = lanes.splat(L::Number::INFINITY);
    let mut two = LeastTwo {
        first: infinite,
        second: infinite,
    };
    if N > 0 {
        let values = reduced_costs::<L, E, W, N>(lanes, row, col_duals);
        two.take_all(lanes, &values);
        let (least, second) = two.of_all(lanes);
        return TwoNearest {
            second,
            first: nearest_of(lanes, least, &values, unmatched),
        };
    }
    let quads = quads::<W>(row.cols);
    let duals = col_duals.quads(quads);
    let mut least_of = quad_least.vectors.quads_mut::<W>(quads);
    for quad in 0..quads {
        let costs = load_costs(lanes, row, quad);
        let reduced = subtract(lanes, costs, load(lanes, duals.at(quad)));
        let least = two.take(lanes, reduced);
        lanes.store(least, &mut least_of.at(quad)[0]);
    }
    let (least, second) = two.of_all(lanes);
    let holders = InReducedCosts { row, col_duals };
    TwoNearest {
        second,
        first: nearest(lanes, least, quads, quad_least, unmatched, &holders),
    }
}

/// Least and second least c_j − v_j.
#[inline(always)]
pub fn two_least<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
) -> (L::Number, L::Number) {
    let infinite = lanes.splat(L::Number::INFINITY);
    let mut two = LeastTwo {
        first: infinite,
        second: infinite,
    };
    if N > 0 {
        two.take_all(lanes, &reduced_costs::<L, E, W, N>(lanes, row, col_duals));
    } else {
        let quads = quads::<W>(row.cols);
        let duals = col_duals.quads(quads);
        for quad in 0..quads {
            let costs = load_costs(lanes, row, quad);
            two.take(lanes, subtract(lanes, costs, load(lanes, duals.at(quad))));
        }
    }
    two.of_all(lanes)
}

/// c_j − v_j in `N` vectors.
#[inline(always)]
fn reduced_costs<L: Lanes<W>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
) -> [L::Vector; N] {
    let mut values = load_vectors::<L, E, W, N>(lanes, row);
    let duals = col_duals.quads(N.div_ceil(QUAD));
    for (place, value) in values.iter_mut().enumerate() {
        *value = lanes.subtract(*value, lanes.load(duals.vector(place)));
    }
    values
}

/// Least and second least, lane by lane.
struct LeastTwo<V> {
    first: V,
    second: V,
}

impl<V: Copy> LeastTwo<V> {
    /// Takes in four more in each lane, and returns the least of those.
    #[inline(always)]
    fn take<L: Lanes<W, Vector = V>, const W: usize>(&mut self, lanes: L, four: [V; QUAD]) -> V {
        // The least of each half, then of all; beaten were one in each half, then one of the halves.
        let halves = [
            lanes.smaller(four[0], four[1]),
            lanes.smaller(four[2], four[3]),
        ];
        let beaten = lanes.smaller(
            lanes.larger(four[0], four[1]),
            lanes.larger(four[2], four[3]),
        );
        let least = lanes.smaller(halves[0], halves[1]);
        let beaten = lanes.smaller(beaten, lanes.larger(halves[0], halves[1]));
        let beaten = lanes.smaller(beaten, lanes.larger(least, self.first));
        self.second = lanes.smaller(beaten, self.second);
        self.first = lanes.smaller(least, self.first);
        least
    }

    /// Takes in one more in each lane.
    #[inline(always)]
    fn take_one<L: Lanes<W, Vector = V>, const W: usize>(&mut self, lanes: L, one: V) {
        self.second = lanes.smaller(self.second, lanes.larger(self.first, one));
        self.first = lanes.smaller(self.first, one);
    }

    /// Takes in `N` more in each lane.
    #[inline(always)]
    fn take_all<L: Lanes<W, Vector = V>, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        values: &[V; N],
    ) {
        let (quads, rest) = values.as_chunks::<QUAD>();
        for &quad in quads {
            self.take(lanes, quad);
        }
        for &one in rest {
            self.take_one(lanes, one);
        }
    }

    /// The same of all lanes.
    #[inline(always)]
    fn of_all<L: Lanes<W, Vector = V>, const W: usize>(&self, lanes: L) -> (L::Number, L::Number) {
        let least = lanes.least(self.first);
        // The second least is behind the first in its lane, or first in another.
        let holders = lanes.equal(self.first, lanes.splat(least));
        let lane = holders.trailing_zeros() as usize % W;
        let without_it = lanes.one_lane(L::Number::NEG_INFINITY, lane, L::Number::INFINITY);
        let others = lanes.larger(self.first, without_it);
        (least, lanes.least(lanes.smaller(others, self.second)))
    }
}

/// Least c_j − v_j.
#[inline(always)]
pub fn least_reduced_cost<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
) -> L::Number {
    let mut total = lanes.splat(L::Number::INFINITY);
    let quads = quads::<W>(row.cols);
    let duals = col_duals.quads(quads);
    for quad in 0..quads {
        let costs = load_costs(lanes, row, quad);
        let reduced = subtract(lanes, costs, load(lanes, duals.at(quad)));
        total = lanes.smaller(least_of_quad(lanes, reduced), total);
    }
    lanes.least(total)
}

/// Puts the columns other than `own` with c_j − v_j < `bound` into `found`: for each quad that has some, its number and one
/// bit for each column. Returns how many those quads are. There must be room for all quads, and one more.
#[inline(always)]
pub fn columns_below<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: Row<E>,
    col_duals: &PerColumn<L::Number>,
    own: usize,
    bound: L::Number,
    found: &mut [(u32, u64)],
) -> usize {
    let bound = lanes.splat(bound);
    let mut count = 0;
    let quads = quads::<W>(row.cols);
    let duals = col_duals.quads(quads);
    for quad in 0..quads {
        let costs = load_costs(lanes, row, quad);
        let reduced = subtract(lanes, costs, load(lanes, duals.at(quad)));
        let own_bit = u64::from(own / (QUAD * W) == quad) << (own % (QUAD * W));
        let bits = below(lanes, reduced, bound) & !own_bit;
        found[count] = (quad as u32, bits);
        count += usize::from(bits != 0);
    }
    count
}

/// Where distances have a value.
struct InDistances<'a, R>(&'a PerColumn<R>);

impl<L: Lanes<W>, const W: usize> Holders<L, W> for InDistances<'_, L::Number> {
    #[inline(always)]
    fn of_quad(&self, lanes: L, quad: usize, value: L::Vector) -> u64 {
        equal(lanes, load(lanes, self.0.quads(quad + 1).at(quad)), value)
    }
}

/// State of a shortest path search, column by column.
#[derive(Debug)]
pub struct Paths<R> {
    /// Length of the shortest path known to each column not yet settled; +inf once it is settled.
    distance: PerColumn<R>,
    /// v of each column not yet settled; −inf once it is settled, which keeps it out of further sweeps.
    open_duals: PerColumn<R>,
}

impl<R> Default for Paths<R> {
    fn default() -> Self {
        Paths {
            distance: PerColumn::default(),
            open_duals: PerColumn::default(),
        }
    }
}

impl<R: Arithmetic> Paths<R> {
    /// Makes room for `cols` columns.
    pub fn try_reserve(&mut self, cols: usize) -> Result<(), TryReserveError> {
        self.distance.try_reserve(cols)?;
        self.open_duals.try_reserve(cols)
    }

    /// Makes sure of `cols` columns.
    #[inline(always)]
    pub fn resize(&mut self, cols: usize) {
        self.distance.resize(cols);
        self.open_duals.resize(cols);
    }

    /// Settles a column: no later pass of the search offers it a path or finds it.
    #[inline(always)]
    pub fn settle<L: Lanes<W, Number = R>, const W: usize>(&mut self, lanes: L, col: usize) {
        self.distance.raise(lanes, col);
        self.open_duals.lower(lanes, col);
    }

    /// Of columns equally near, makes sure of an unmatched one, if there is any.
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
            let mut values = load_vectors::<L, E, W, N>(lanes, row);
            let duals = col_duals.quads(N.div_ceil(QUAD));
            let mut open_duals = self.open_duals.quads_mut(N.div_ceil(QUAD));
            let mut distances = self.distance.quads_mut(N.div_ceil(QUAD));
            for (place, value) in values.iter_mut().enumerate() {
                let duals = lanes.load(duals.vector(place));
                lanes.store(duals, open_duals.vector(place));
                *value = lanes.subtract(*value, duals);
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
        for quad in 0..quads {
            let costs = load_costs(lanes, row, quad);
            let duals = load(lanes, duals.at(quad));
            store(lanes, duals, open_duals.at(quad));
            let reduced = subtract(lanes, costs, duals);
            store(lanes, reduced, distances.at(quad));
            let least = least_of_quad(lanes, reduced);
            lanes.store(least, &mut least_of.at(quad)[0]);
            total = lanes.smaller(least, total);
        }
        let (least, holders) = (lanes.least(total), InDistances(&self.distance));
        nearest(lanes, least, quads, quad_least, unmatched, &holders)
    }

    /// Offers every open column the path through a row: d_j ← min(d_j, c_j − v_j − offset). Returns the nearest.
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
            let mut values = load_vectors::<L, E, W, N>(lanes, row);
            let open_duals = self.open_duals.quads(N.div_ceil(QUAD));
            let mut distances = self.distance.quads_mut(N.div_ceil(QUAD));
            for (place, value) in values.iter_mut().enumerate() {
                let duals = open_duals.vector(place);
                *value = offer(lanes, *value, offset, duals, distances.vector(place));
            }
            let least = lanes.least(least_of_all(lanes, &values));
            return nearest_of(lanes, least, &values, unmatched);
        }
        let quads = quads::<W>(row.cols);
        let open_duals = self.open_duals.quads(quads);
        let mut distances = self.distance.quads_mut(quads);
        let mut least_of = quad_least.vectors.quads_mut::<W>(quads);
        for quad in 0..quads {
            let costs = load_costs(lanes, row, quad);
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
        }
        let (least, holders) = (lanes.least(total), InDistances(&self.distance));
        nearest(lanes, least, quads, quad_least, unmatched, &holders)
    }

    /// The nearest of `cols` columns, when nothing has changed since the last pass but that some were settled.
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

    /// Lists those of `cols` columns whose distance is `value`, the last one first. There must be room for all.
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
fn offer<L: Lanes<W>, const W: usize>(
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
