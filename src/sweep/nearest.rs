//! The column that holds the least value of a pass.
//!
//! A pass leaves behind the least value of each *quad* of vectors, lane by lane, so that the column
//! of a value is found in one quad, without a second pass.

use std::hint::select_unpredictable;
use std::ops::Range;

use crate::number::arithmetic::Arithmetic;
use crate::simd::arrays::Arrays;
use crate::simd::ops::Lanes;
use crate::sweep::per_column::{BLOCK, PerQuad, QUAD, Quads};
use crate::sweep::quad::quad_of;

/// The nearest column of a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nearest<R> {
    /// Its value: the least.
    pub value: R,
    /// The column. Of equal ones the first that is unmatched, or else the first; but see `others`.
    pub col: usize,
    /// Is it unmatched?
    pub is_unmatched: bool,
    /// One bit for each other quad that holds the least value, too, and may have an unmatched
    /// column: see `Nearest::look_further`. The last bit stands for all quads that have no bit of
    /// their own.
    pub others: u64,
}

/// In a word of one bit for each quad, the bit that stands for all quads from this one on.
const BEHIND: usize = BLOCK - 1;

/// Tells which columns of a quad hold a value. (Not a closure: only what is sure to be inlined is
/// compiled for a level.)
pub(super) trait Holders<L: Lanes<W>, const W: usize> {
    /// One bit for each column of the quad.
    fn of_quad(&self, lanes: L, quad: usize, value: L::Vector) -> u64;
}

/// The column that holds `least`. `unmatched` has one bit for each column.
#[inline(always)]
pub(super) fn nearest<L: Lanes<W>, const W: usize>(
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
    let holding = holders.of_quad(lanes, quad, value);
    Nearest {
        others,
        ..Nearest::of_quad(least, holding, unmatched, quad, width)
    }
}

/// The first of `quads` that holds a value, or their end if none does.
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

    /// The column to choose among those of a quad that hold `value`, one bit for each, when nothing
    /// is known of other quads.
    #[inline(always)]
    pub(super) fn of_quad(
        value: R,
        holding: u64,
        unmatched: &[u64],
        quad: usize,
        width: usize,
    ) -> Self {
        let mut found = Nearest::matched(value, 0);
        let unmatched = bits_of_quad(unmatched, quad, width);
        found.choose(holding, unmatched, quad * width, width);
        found
    }

    /// Of the columns that hold the least value in a quad, chooses one.
    #[inline(always)]
    fn choose(&mut self, holding: u64, unmatched: u64, first: usize, width: usize) {
        let free = holding & unmatched;
        self.is_unmatched = free != 0;
        let chosen = select_unpredictable(self.is_unmatched, free, holding);
        self.col = first + chosen.trailing_zeros() as usize % width;
    }

    /// Looks for an unmatched column in the other quads that hold the value, if none is found yet.
    /// This is not part of the pass: there seldom are other quads, but not so seldom that the
    /// branch could be predicted.
    #[inline(always)]
    pub(super) fn look_further<L: Lanes<W, Number = R>, const W: usize>(
        &mut self,
        lanes: L,
        quad_least: &PerQuad<R>,
        unmatched: &[u64],
        holders: &(impl Holders<L, W> + Holders<Arrays<R>, W>),
    ) {
        let (value, width) = (lanes.splat(self.value), QUAD * W);
        let mut quads = self.others & !(1 << BEHIND);
        while quads != 0 && !self.is_unmatched {
            let quad = quads.trailing_zeros() as usize;
            quads &= quads - 1;
            let unmatched = bits_of_quad(unmatched, quad, width);
            if unmatched == 0 {
                continue;
            }
            let holding = holders.of_quad(lanes, quad, value);
            if holding & unmatched != 0 {
                self.choose(holding, unmatched, quad * width, width);
            }
        }
        if self.others >> BEHIND != 0 && !self.is_unmatched {
            self.look_behind::<W>(quad_least, unmatched, holders);
        }
    }

    /// Looks further in the quads that have no bit of their own: those behind the first 63.
    #[cold]
    #[inline(never)]
    fn look_behind<const W: usize>(
        &mut self,
        quad_least: &PerQuad<R>,
        unmatched: &[u64],
        holders: &impl Holders<Arrays<R>, W>,
    ) {
        let lanes = Arrays::default();
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
}

/// As [`nearest`], where the values of the whole row are in registers.
#[inline(always)]
pub(super) fn nearest_of<L: Lanes<W>, const W: usize, const N: usize>(
    lanes: L,
    least: L::Number,
    values: &[L::Vector; N],
    unmatched: &[u64],
) -> Nearest<L::Number> {
    // So many words have a bit for each column.
    const WORDS: usize = 2;
    const { assert!(N * W <= WORDS * BLOCK) };
    let value = lanes.splat(least);
    let width = QUAD * W;
    let (mut holding, mut free) = ([0; WORDS], [0; WORDS]);
    for quad in 0..N.div_ceil(QUAD) {
        let bits = lanes.equal_of_four(quad_of(lanes, values, quad), value);
        holding[quad * width / BLOCK] |= bits << (quad * width % BLOCK);
    }
    let unmatched = &unmatched[..(N * W).div_ceil(BLOCK)];
    for (free, (holding, unmatched)) in free.iter_mut().zip(holding.iter().zip(unmatched)) {
        *free = holding & unmatched;
    }
    let is_unmatched = free[0] | free[1] != 0;
    let chosen = select_unpredictable(is_unmatched, free, holding);
    let is_in_first = chosen[0] != 0;
    let word = select_unpredictable(is_in_first, chosen[0], chosen[1]);
    let first = select_unpredictable(is_in_first, 0, BLOCK);
    Nearest {
        value: least,
        col: first + word.trailing_zeros() as usize % BLOCK,
        is_unmatched,
        others: 0,
    }
}

/// The bits of a quad of `width` columns.
#[inline(always)]
pub(super) fn bits_of_quad(bits: &[u64], quad: usize, width: usize) -> u64 {
    let first = quad * width;
    let mask = u64::MAX >> (BLOCK - width);
    bits.get(first / BLOCK)
        .map_or(0, |word| word >> (first % BLOCK) & mask)
}
