//! A number for each column, in blocks of 64: as many columns as a word has bits.

use std::collections::TryReserveError;

use crate::number::arithmetic::Arithmetic;
use crate::simd::ops::Lanes;

/// Columns of one block: as many as a word has bits.
pub const BLOCK: usize = 64;

/// Vectors that a pass takes at a time: a *quad*.
pub const QUAD: usize = 4;

/// Half a quad, for passes that keep more of each vector in registers.
pub const PAIR: usize = 2;

/// One number for each column of a block.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Block<R>(pub [R; BLOCK]);

/// A number for each column.
#[derive(Debug, Default)]
pub struct PerColumn<R> {
    blocks: Vec<Block<R>>,
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

    /// As [`PerColumn::reset`], but the padding is −inf.
    #[inline(always)]
    pub fn reset_padded(&mut self, cols: usize, number: R) {
        self.reset(cols, number);
        if let Some(last) = self.blocks.last_mut() {
            last.0[(cols - 1) % BLOCK + 1..].fill(R::NEG_INFINITY);
        }
    }

    /// Makes sure that there are `cols` columns, whatever their numbers.
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

    /// The number of one column, to be changed.
    #[inline(always)]
    pub fn get_mut(&mut self, col: usize) -> &mut R {
        &mut self.blocks[col / BLOCK].0[col % BLOCK]
    }

    /// Replaces the number of one column.
    #[inline(always)]
    pub fn set(&mut self, col: usize, number: R) {
        *self.get_mut(col) = number;
    }

    // The three below change one number by way of a whole vector: the next pass reads vectors, and
    // would have to wait for a store that is narrower.

    /// Replaces the number of one column by +inf.
    #[inline(always)]
    pub(super) fn set_infinite<L: Lanes<W, Number = R>, const W: usize>(
        &mut self,
        lanes: L,
        col: usize,
    ) {
        let chunk = self.chunk_mut::<W>(col / W);
        let infinite_there = lanes.one_lane(R::NEG_INFINITY, col % W, R::INFINITY);
        let vector = lanes.larger(infinite_there, lanes.load(chunk));
        lanes.store(vector, chunk);
    }

    /// Replaces the number of one column by −inf.
    #[inline(always)]
    pub(super) fn set_minus_infinite<L: Lanes<W, Number = R>, const W: usize>(
        &mut self,
        lanes: L,
        col: usize,
    ) {
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

    /// The pair of vectors at a place.
    #[inline(always)]
    pub(super) fn pair_mut<const W: usize>(&mut self, pair: usize) -> &mut [[R; W]; PAIR] {
        let of_block = BLOCK / (PAIR * W);
        let chunks = self.blocks[pair / of_block].0.as_chunks_mut::<W>().0;
        &mut chunks.as_chunks_mut::<PAIR>().0[pair % of_block]
    }

    /// The first `count` quads.
    #[inline(always)]
    pub(super) fn quads<const W: usize>(&self, count: usize) -> Quads<'_, R, W> {
        Quads(&self.blocks[..count.div_ceil(BLOCK / (QUAD * W))])
    }

    /// As [`PerColumn::quads`], to be changed.
    #[inline(always)]
    pub(super) fn quads_mut<const W: usize>(&mut self, count: usize) -> QuadsMut<'_, R, W> {
        QuadsMut(&mut self.blocks[..count.div_ceil(BLOCK / (QUAD * W))])
    }
}

/// The numbers of all columns as quads: four vectors of `W`. A pass borrows them before it begins,
/// so that bounds are checked once.
#[derive(Clone, Copy)]
pub(super) struct Quads<'a, R, const W: usize>(&'a [Block<R>]);

impl<R, const W: usize> Quads<'_, R, W> {
    /// The quad at a place.
    #[inline(always)]
    pub(super) fn at(&self, quad: usize) -> &[[R; W]; QUAD] {
        let of_block = BLOCK / (QUAD * W);
        let chunks = self.0[quad / of_block].0.as_chunks::<W>().0;
        &chunks.as_chunks::<QUAD>().0[quad % of_block]
    }

    /// The vector at a place, counted through all quads.
    #[inline(always)]
    pub(super) fn vector(&self, place: usize) -> &[R; W] {
        &self.at(place / QUAD)[place % QUAD]
    }
}

/// As [`Quads`], to be changed.
pub(super) struct QuadsMut<'a, R, const W: usize>(&'a mut [Block<R>]);

impl<R, const W: usize> QuadsMut<'_, R, W> {
    #[inline(always)]
    pub(super) fn at(&mut self, quad: usize) -> &mut [[R; W]; QUAD] {
        let of_block = BLOCK / (QUAD * W);
        let chunks = self.0[quad / of_block].0.as_chunks_mut::<W>().0;
        &mut chunks.as_chunks_mut::<QUAD>().0[quad % of_block]
    }

    #[inline(always)]
    pub(super) fn vector(&mut self, place: usize) -> &mut [R; W] {
        &mut self.at(place / QUAD)[place % QUAD]
    }
}

/// Quads of a row of `cols` columns.
#[inline(always)]
pub fn quads<const W: usize>(cols: usize) -> usize {
    cols.div_ceil(QUAD * W)
}

/// The least value of each quad in the last pass, lane by lane.
#[derive(Debug, Default)]
pub struct PerQuad<R> {
    /// Only the first vector of each quad is used, which makes addresses simple. Where bounds are
    /// kept, searches keep one number for each quad here instead, those of all quads side by side:
    /// see [`crate::sweep::near`].
    pub(super) vectors: PerColumn<R>,
}

impl<R: Arithmetic> PerQuad<R> {
    /// Makes room for the quads of `cols` columns.
    pub fn try_reserve(&mut self, cols: usize) -> Result<(), TryReserveError> {
        self.vectors.try_reserve(cols)
    }

    /// Replaces the least value of one quad, where one number is kept for each instead of a vector.
    #[inline(always)]
    pub(super) fn set(&mut self, quad: usize, least: R) {
        self.vectors.set(quad, least);
    }

    /// Makes sure that there are the quads of `cols` columns.
    #[inline(always)]
    pub fn resize(&mut self, cols: usize) {
        self.vectors.resize(cols);
    }
}
