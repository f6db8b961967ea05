//! Passes over one row of costs, a vector of columns at a time: all of the solver that takes time.
//!
//! What stands beside the columns (duals, distances) is kept in blocks of 64 columns, padded at the end. Costs are
//! not: they are read where they lie, and the lanes behind the last column read +inf. A pass leaves behind
//! the least value of each block, lane by lane, so that the columns of a value are found without a second pass.

use std::collections::TryReserveError;

use crate::arithmetic::Arithmetic;
use crate::lanes::Lanes;
use crate::problem::Entry;

/// Columns of one block: as many as a word has bits.
pub const BLOCK: usize = 64;

/// One number for each column of a block.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Block<R>(pub [R; BLOCK]);

impl<R> Block<R> {
    /// A vector's worth of the numbers.
    #[inline(always)]
    fn chunk<const W: usize>(&self, chunk: usize) -> &[R; W] {
        &self.0.as_chunks::<W>().0[chunk]
    }

    #[inline(always)]
    fn chunk_mut<const W: usize>(&mut self, chunk: usize) -> &mut [R; W] {
        &mut self.0.as_chunks_mut::<W>().0[chunk]
    }
}

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
        let chunk = self.blocks[col / BLOCK].chunk_mut::<W>(col % BLOCK / W);
        let infinite_there = lanes.one_lane(R::NEG_INFINITY, col % W, R::INFINITY);
        let vector = lanes.larger(infinite_there, lanes.load(chunk));
        lanes.store(vector, chunk);
    }

    /// Replaces the number of one column by −inf.
    #[inline(always)]
    fn lower<L: Lanes<W, Number = R>, const W: usize>(&mut self, lanes: L, col: usize) {
        let chunk = self.blocks[col / BLOCK].chunk_mut::<W>(col % BLOCK / W);
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
        let chunk = self.blocks[col / BLOCK].chunk_mut::<W>(col % BLOCK / W);
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
}

/// The least value of each block in the last pass, lane by lane.
#[derive(Debug)]
pub struct PerBlock<R> {
    /// The first vector of each block; the rest is not used, which makes addresses simple.
    vectors: PerColumn<R>,
}

impl<R> Default for PerBlock<R> {
    fn default() -> Self {
        PerBlock {
            vectors: PerColumn::default(),
        }
    }
}

impl<R: Arithmetic> PerBlock<R> {
    /// Makes room for the blocks of `cols` columns.
    pub fn try_reserve(&mut self, cols: usize) -> Result<(), TryReserveError> {
        self.vectors.try_reserve(cols)
    }

    /// Makes sure of the blocks of `cols` columns.
    #[inline(always)]
    pub fn resize(&mut self, cols: usize) {
        self.vectors.resize(cols);
    }

    #[inline(always)]
    fn get_mut<const W: usize>(&mut self, block: usize) -> &mut [R; W] {
        self.vectors.blocks[block].chunk_mut::<W>(0)
    }
}

/// Least and second least of the reduced costs of a row.
#[derive(Clone, Copy, Debug)]
pub struct Least<R> {
    /// The least.
    pub first: R,
    /// The least of the others; the same number if two columns share it.
    pub second: R,
}

/// Calls `visit` with the costs of each chunk of columns, in order, and `close` behind each block.
///
/// `visit` gets block, chunk in the block, costs, and 0 or 1: two chains of minima hide each other's latency.
#[inline(always)]
fn for_each_chunk<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    state: &mut impl Pass<L, W>,
) {
    let (blocks, tail) = row.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        let (chunks, _) = block.as_chunks::<W>();
        state.open(lanes);
        for (pair, [even, odd]) in chunks.as_chunks::<2>().0.iter().enumerate() {
            state.visit::<0>(lanes, index, 2 * pair, E::load(lanes, even));
            state.visit::<1>(lanes, index, 2 * pair + 1, E::load(lanes, odd));
        }
        state.close(lanes, index);
    }
    if tail.is_empty() {
        return;
    }
    let index = blocks.len();
    let (chunks, rest) = tail.as_chunks::<W>();
    state.open(lanes);
    for (chunk, costs) in chunks.iter().enumerate() {
        // Less than a block is left; the compiler need not check.
        state.visit::<0>(lanes, index, chunk % (BLOCK / W), E::load(lanes, costs));
    }
    if !rest.is_empty() {
        let chunk = chunks.len() % (BLOCK / W);
        state.visit::<1>(lanes, index, chunk, E::load_rest(lanes, rest));
    }
    state.close(lanes, index);
}

/// What is done with the costs of one row.
trait Pass<L: Lanes<W>, const W: usize> {
    /// Before a block.
    fn open(&mut self, lanes: L);
    /// With a chunk of costs. `CHAIN` is 0 or 1.
    fn visit<const CHAIN: usize>(&mut self, lanes: L, block: usize, chunk: usize, costs: L::Vector);
    /// Behind a block.
    fn close(&mut self, lanes: L, block: usize);
}

/// v_j ← min(v_j, c_j).
#[inline(always)]
pub fn lower_to_costs<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    col_duals: &mut PerColumn<L::Number>,
) {
    struct Lower<'a, R>(&'a mut [Block<R>]);
    impl<L: Lanes<W>, const W: usize> Pass<L, W> for Lower<'_, L::Number> {
        #[inline(always)]
        fn open(&mut self, _lanes: L) {}
        #[inline(always)]
        fn visit<const CHAIN: usize>(
            &mut self,
            lanes: L,
            block: usize,
            chunk: usize,
            costs: L::Vector,
        ) {
            let dual = self.0[block].chunk_mut(chunk);
            let lower = lanes.smaller(costs, lanes.load(dual));
            lanes.store(lower, dual);
        }
        #[inline(always)]
        fn close(&mut self, _lanes: L, _block: usize) {}
    }
    for_each_chunk(lanes, row, &mut Lower(&mut col_duals.blocks));
}

/// Least and second least c_j − v_j. `block_least` is left for [`columns_of_reduced_cost`].
#[inline(always)]
pub fn least_two<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    col_duals: &PerColumn<L::Number>,
    block_least: &mut PerBlock<L::Number>,
) -> Least<L::Number> {
    struct LeastTwo<'a, L: Lanes<W>, const W: usize> {
        col_duals: &'a [Block<L::Number>],
        block_least: &'a mut PerBlock<L::Number>,
        block: [L::Vector; 2],
        first: L::Vector,
        second: [L::Vector; 2],
    }
    impl<L: Lanes<W>, const W: usize> Pass<L, W> for LeastTwo<'_, L, W> {
        #[inline(always)]
        fn open(&mut self, lanes: L) {
            self.block = [lanes.splat(L::Number::INFINITY); 2];
        }
        #[inline(always)]
        fn visit<const CHAIN: usize>(
            &mut self,
            lanes: L,
            block: usize,
            chunk: usize,
            costs: L::Vector,
        ) {
            let reduced = lanes.subtract(costs, lanes.load(self.col_duals[block].chunk(chunk)));
            let beaten = lanes.larger(reduced, self.block[CHAIN]);
            self.second[CHAIN] = lanes.smaller(beaten, self.second[CHAIN]);
            self.block[CHAIN] = lanes.smaller(reduced, self.block[CHAIN]);
        }
        #[inline(always)]
        fn close(&mut self, lanes: L, block: usize) {
            let [even, odd] = self.block;
            self.second[1] = lanes.smaller(lanes.larger(even, odd), self.second[1]);
            let least = lanes.smaller(even, odd);
            lanes.store(least, self.block_least.get_mut(block));
            self.second[0] = lanes.smaller(lanes.larger(least, self.first), self.second[0]);
            self.first = lanes.smaller(least, self.first);
        }
    }
    let infinite = lanes.splat(L::Number::INFINITY);
    let mut pass = LeastTwo {
        col_duals: &col_duals.blocks,
        block_least,
        block: [infinite; 2],
        first: infinite,
        second: [infinite; 2],
    };
    for_each_chunk(lanes, row, &mut pass);
    let first = lanes.least(pass.first);
    // The second least is behind the first in its lane, or first in another.
    let holders = lanes.equal(pass.first, lanes.splat(first));
    let lane = holders.trailing_zeros() as usize % W;
    let without_it = lanes.one_lane(L::Number::NEG_INFINITY, lane, L::Number::INFINITY);
    let others = lanes.larger(pass.first, without_it);
    let second = lanes.smaller(pass.second[0], pass.second[1]);
    Least {
        first,
        second: lanes.least(lanes.smaller(others, second)),
    }
}

/// Least c_j − v_j.
#[inline(always)]
pub fn least_reduced_cost<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    col_duals: &PerColumn<L::Number>,
) -> L::Number {
    struct LeastReduced<'a, L: Lanes<W>, const W: usize> {
        col_duals: &'a [Block<L::Number>],
        least: [L::Vector; 2],
    }
    impl<L: Lanes<W>, const W: usize> Pass<L, W> for LeastReduced<'_, L, W> {
        #[inline(always)]
        fn open(&mut self, _lanes: L) {}
        #[inline(always)]
        fn visit<const CHAIN: usize>(
            &mut self,
            lanes: L,
            block: usize,
            chunk: usize,
            costs: L::Vector,
        ) {
            let reduced = lanes.subtract(costs, lanes.load(self.col_duals[block].chunk(chunk)));
            self.least[CHAIN] = lanes.smaller(reduced, self.least[CHAIN]);
        }
        #[inline(always)]
        fn close(&mut self, _lanes: L, _block: usize) {}
    }
    let mut pass = LeastReduced {
        col_duals: &col_duals.blocks,
        least: [lanes.splat(L::Number::INFINITY); 2],
    };
    for_each_chunk(lanes, row, &mut pass);
    lanes.least(lanes.smaller(pass.least[0], pass.least[1]))
}

/// The first pass of a shortest path search: d_j = c_j − v_j, and a copy of v. Returns the least d; `block_least` is
/// left for [`columns_at`].
#[inline(always)]
pub fn start<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    col_duals: &PerColumn<L::Number>,
    open_duals: &mut PerColumn<L::Number>,
    distance: &mut PerColumn<L::Number>,
    block_least: &mut PerBlock<L::Number>,
) -> L::Number {
    struct Start<'a, L: Lanes<W>, const W: usize> {
        col_duals: &'a [Block<L::Number>],
        open_duals: &'a mut [Block<L::Number>],
        distance: &'a mut [Block<L::Number>],
        least: Minimum<'a, L, W>,
    }
    impl<L: Lanes<W>, const W: usize> Pass<L, W> for Start<'_, L, W> {
        #[inline(always)]
        fn open(&mut self, lanes: L) {
            self.least.open(lanes);
        }
        #[inline(always)]
        fn visit<const CHAIN: usize>(
            &mut self,
            lanes: L,
            block: usize,
            chunk: usize,
            costs: L::Vector,
        ) {
            let dual = lanes.load(self.col_duals[block].chunk(chunk));
            lanes.store(dual, self.open_duals[block].chunk_mut(chunk));
            let reduced = lanes.subtract(costs, dual);
            lanes.store(reduced, self.distance[block].chunk_mut(chunk));
            self.least.visit::<CHAIN>(lanes, reduced);
        }
        #[inline(always)]
        fn close(&mut self, lanes: L, block: usize) {
            self.least.close(lanes, block);
        }
    }
    let mut pass = Start {
        col_duals: &col_duals.blocks,
        open_duals: &mut open_duals.blocks,
        distance: &mut distance.blocks,
        least: Minimum::new(lanes, block_least),
    };
    for_each_chunk(lanes, row, &mut pass);
    lanes.least(pass.least.total)
}

/// Offers every open column the path through a row: d_j ← min(d_j, c_j − v_j − offset). Returns the least d;
/// `block_least` is left for [`columns_at`].
#[inline(always)]
pub fn relax<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    row: &[E],
    offset: L::Number,
    open_duals: &PerColumn<L::Number>,
    distance: &mut PerColumn<L::Number>,
    block_least: &mut PerBlock<L::Number>,
) -> L::Number {
    struct Relax<'a, L: Lanes<W>, const W: usize> {
        offset: L::Vector,
        open_duals: &'a [Block<L::Number>],
        distance: &'a mut [Block<L::Number>],
        least: Minimum<'a, L, W>,
    }
    impl<L: Lanes<W>, const W: usize> Pass<L, W> for Relax<'_, L, W> {
        #[inline(always)]
        fn open(&mut self, lanes: L) {
            self.least.open(lanes);
        }
        #[inline(always)]
        fn visit<const CHAIN: usize>(
            &mut self,
            lanes: L,
            block: usize,
            chunk: usize,
            costs: L::Vector,
        ) {
            let reduced = lanes.subtract(costs, lanes.load(self.open_duals[block].chunk(chunk)));
            let through_row = lanes.subtract(reduced, self.offset);
            let distance = self.distance[block].chunk_mut(chunk);
            let shorter = lanes.smaller(through_row, lanes.load(distance));
            lanes.store(shorter, distance);
            self.least.visit::<CHAIN>(lanes, shorter);
        }
        #[inline(always)]
        fn close(&mut self, lanes: L, block: usize) {
            self.least.close(lanes, block);
        }
    }
    let mut pass = Relax {
        offset: lanes.splat(offset),
        open_duals: &open_duals.blocks,
        distance: &mut distance.blocks,
        least: Minimum::new(lanes, block_least),
    };
    for_each_chunk(lanes, row, &mut pass);
    lanes.least(pass.least.total)
}

/// A running minimum, of each block and in all.
struct Minimum<'a, L: Lanes<W>, const W: usize> {
    block: [L::Vector; 2],
    total: L::Vector,
    block_least: &'a mut PerBlock<L::Number>,
}

impl<'a, L: Lanes<W>, const W: usize> Minimum<'a, L, W> {
    #[inline(always)]
    fn new(lanes: L, block_least: &'a mut PerBlock<L::Number>) -> Self {
        let infinite = lanes.splat(L::Number::INFINITY);
        Minimum {
            block: [infinite; 2],
            total: infinite,
            block_least,
        }
    }
    #[inline(always)]
    fn open(&mut self, lanes: L) {
        self.block = [lanes.splat(L::Number::INFINITY); 2];
    }
    #[inline(always)]
    fn visit<const CHAIN: usize>(&mut self, lanes: L, vector: L::Vector) {
        self.block[CHAIN] = lanes.smaller(vector, self.block[CHAIN]);
    }
    #[inline(always)]
    fn close(&mut self, lanes: L, block: usize) {
        let least = lanes.smaller(self.block[0], self.block[1]);
        lanes.store(least, self.block_least.get_mut(block));
        self.total = lanes.smaller(least, self.total);
    }
}

/// A column of distance `least`: the first that is `preferred` if there is one, else the first. The second
/// result tells which of the two.
#[inline(always)]
pub fn columns_at<L: Lanes<W>, const W: usize>(
    lanes: L,
    least: L::Number,
    distance: &PerColumn<L::Number>,
    block_least: &PerBlock<L::Number>,
    preferred: &[u64],
) -> (usize, bool) {
    struct AtDistance<'a, R>(&'a [Block<R>]);
    impl<L: Lanes<W>, const W: usize> Holders<L, W> for AtDistance<'_, L::Number> {
        #[inline(always)]
        fn of_block(&self, lanes: L, block: usize, value: L::Vector) -> u64 {
            let mut bits = 0;
            let (chunks, _) = self.0[block].0.as_chunks::<W>();
            for (chunk, distance) in chunks.iter().enumerate() {
                let holds = lanes.equal(lanes.load(distance), value);
                bits |= holds << (chunk * W);
            }
            bits
        }
    }
    let holders = AtDistance(&distance.blocks);
    find(lanes, least, block_least, preferred, &holders)
}

/// A column of reduced cost `least`, as [`columns_at`].
#[inline(always)]
pub fn columns_of_reduced_cost<L: Lanes<W>, E: Entry, const W: usize>(
    lanes: L,
    least: L::Number,
    row: &[E],
    col_duals: &PerColumn<L::Number>,
    block_least: &PerBlock<L::Number>,
    preferred: &[u64],
) -> (usize, bool) {
    struct OfReducedCost<'a, E, R> {
        row: &'a [E],
        col_duals: &'a [Block<R>],
    }
    impl<L: Lanes<W>, E: Entry, const W: usize> Holders<L, W> for OfReducedCost<'_, E, L::Number> {
        #[inline(always)]
        fn of_block(&self, lanes: L, block: usize, value: L::Vector) -> u64 {
            let duals = &self.col_duals[block];
            let costs = &self.row[block * BLOCK..];
            let mut bits = 0;
            if let Some(costs) = costs.first_chunk::<BLOCK>() {
                let (chunks, _) = costs.as_chunks::<W>();
                for (chunk, costs) in chunks.iter().enumerate() {
                    let reduced =
                        lanes.subtract(E::load(lanes, costs), lanes.load(duals.chunk(chunk)));
                    bits |= lanes.equal(reduced, value) << (chunk * W);
                }
                return bits;
            }
            let (chunks, rest) = costs.as_chunks::<W>();
            for (chunk, costs) in chunks.iter().enumerate() {
                let chunk = chunk % (BLOCK / W);
                let reduced = lanes.subtract(E::load(lanes, costs), lanes.load(duals.chunk(chunk)));
                bits |= lanes.equal(reduced, value) << (chunk * W);
            }
            if !rest.is_empty() {
                let chunk = chunks.len() % (BLOCK / W);
                let reduced =
                    lanes.subtract(E::load_rest(lanes, rest), lanes.load(duals.chunk(chunk)));
                bits |= lanes.equal(reduced, value) << (chunk * W);
            }
            bits
        }
    }
    let holders = OfReducedCost {
        row,
        col_duals: &col_duals.blocks,
    };
    find(lanes, least, block_least, preferred, &holders)
}

/// Which columns hold a value. (A closure would do, but only what is sure to be inlined is compiled for a level.)
trait Holders<L: Lanes<W>, const W: usize> {
    /// One bit for each column of a block.
    fn of_block(&self, lanes: L, block: usize, value: L::Vector) -> u64;
}

/// Settles a column: no later pass of the search offers it a path or finds it.
#[inline(always)]
pub fn settle<L: Lanes<W>, const W: usize>(
    lanes: L,
    col: usize,
    open_duals: &mut PerColumn<L::Number>,
    distance: &mut PerColumn<L::Number>,
) {
    distance.raise(lanes, col);
    open_duals.lower(lanes, col);
}

/// Searches the blocks that hold `value`. `holders` tells which columns of a block do, one bit each.
#[inline(always)]
fn find<L: Lanes<W>, const W: usize>(
    lanes: L,
    value: L::Number,
    block_least: &PerBlock<L::Number>,
    preferred: &[u64],
    holders: &impl Holders<L, W>,
) -> (usize, bool) {
    let value = lanes.splat(value);
    let blocks = block_least.vectors.blocks.as_slice();
    // None of this branches on where the value is: that could not be predicted.
    let mut candidates = 1u64;
    let several = blocks.len() > 1;
    if several {
        candidates = 0;
        for (block, least) in blocks.iter().enumerate().take(64) {
            let holds = lanes.equal(lanes.load(least.chunk(0)), value) != 0;
            candidates |= u64::from(holds) << block;
        }
    }
    if !several || (blocks.len() <= 64 && candidates.is_power_of_two()) {
        // As nearly always: one block holds it.
        let block = candidates.trailing_zeros() as usize;
        let columns = holders.of_block(lanes, block, value);
        let best = columns & preferred[block];
        let chosen = if best != 0 { best } else { columns };
        let col = block * BLOCK + chosen.trailing_zeros() as usize;
        return (col, best != 0);
    }
    let mut first = None;
    for (block, least) in blocks.iter().enumerate() {
        if lanes.equal(lanes.load(least.chunk(0)), value) != 0 {
            let columns = holders.of_block(lanes, block, value);
            let best = columns & preferred[block];
            if best != 0 {
                return (block * BLOCK + best.trailing_zeros() as usize, true);
            }
            first = first.or(Some(block * BLOCK + columns.trailing_zeros() as usize));
        }
    }
    (first.unwrap_or(0), false)
}
