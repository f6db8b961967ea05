//! Passes over one row of costs, eight columns at a time: all of the solver that takes time.
//!
//! What stands beside the columns (duals, distances) is kept in blocks of 64 columns, padded at the end. Costs are
//! not: they are read where they lie, and the lanes behind the last column read +inf. A pass leaves behind
//! the least value of each block, lane by lane, so that the columns of a value are found without a second pass.

use crate::arithmetic::Arithmetic;
use crate::lanes::{Chunk, LANES, Lanes};
use crate::problem::Entry;

/// Chunks of one block.
const CHUNKS: usize = 8;
/// Columns of one block: as many as a word has bits.
pub const BLOCK: usize = CHUNKS * LANES;

/// One number for each of 64 columns.
pub type Block<R> = [Chunk<R>; CHUNKS];

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
    pub fn try_reserve(&mut self, cols: usize) -> Result<(), std::collections::TryReserveError> {
        self.blocks.clear();
        self.blocks.try_reserve_exact(cols.div_ceil(BLOCK))
    }

    /// Starts anew with `cols` columns, all of the same number, padding included.
    #[inline(always)]
    pub fn reset(&mut self, cols: usize, number: R) {
        self.blocks.clear();
        let block = [Chunk([number; LANES]); CHUNKS];
        self.blocks.resize(cols.div_ceil(BLOCK), block);
    }

    /// Makes sure of `cols` columns, whatever their numbers.
    #[inline(always)]
    pub fn resize(&mut self, cols: usize) {
        let block = [Chunk([R::ZERO; LANES]); CHUNKS];
        self.blocks.resize(cols.div_ceil(BLOCK), block);
    }

    /// The number of one column.
    #[inline(always)]
    pub fn get(&self, col: usize) -> R {
        self.blocks[col / BLOCK][col % BLOCK / LANES].0[col % LANES]
    }

    /// Replaces the number of one column.
    #[inline(always)]
    pub fn set(&mut self, col: usize, number: R) {
        self.blocks[col / BLOCK][col % BLOCK / LANES].0[col % LANES] = number;
    }

    // The three below change one number by way of a whole vector: the next pass reads vectors, and would have to wait
    // for a store that is narrower.

    /// Replaces the number of one column by +inf.
    #[inline(always)]
    fn raise<L: Lanes<Number = R>>(&mut self, lanes: L, col: usize) {
        let chunk = &mut self.blocks[col / BLOCK][col % BLOCK / LANES];
        let infinite_there = lanes.one_lane(R::NEG_INFINITY, col % LANES, R::INFINITY);
        let vector = lanes.larger(infinite_there, lanes.load(chunk));
        lanes.store(vector, chunk);
    }

    /// Replaces the number of one column by −inf.
    #[inline(always)]
    fn lower<L: Lanes<Number = R>>(&mut self, lanes: L, col: usize) {
        let chunk = &mut self.blocks[col / BLOCK][col % BLOCK / LANES];
        let infinite_there = lanes.one_lane(R::INFINITY, col % LANES, R::NEG_INFINITY);
        let vector = lanes.smaller(infinite_there, lanes.load(chunk));
        lanes.store(vector, chunk);
    }

    /// Subtracts from the number of one column.
    #[inline(always)]
    pub fn subtract<L: Lanes<Number = R>>(&mut self, lanes: L, col: usize, number: R) {
        let chunk = &mut self.blocks[col / BLOCK][col % BLOCK / LANES];
        let number_there = lanes.one_lane(R::ZERO, col % LANES, number);
        let vector = lanes.subtract(lanes.load(chunk), number_there);
        lanes.store(vector, chunk);
    }

    /// The numbers of all columns, chunk by chunk; the last ones may hold padding.
    #[inline(always)]
    pub fn chunks(&self) -> &[Chunk<R>] {
        self.blocks.as_flattened()
    }

    /// As [`PerColumn::chunks`], to be changed.
    #[inline(always)]
    pub fn chunks_mut(&mut self) -> &mut [Chunk<R>] {
        self.blocks.as_flattened_mut()
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
fn for_each_chunk<L: Lanes, E: Entry>(lanes: L, row: &[E], state: &mut impl Pass<L>) {
    let (blocks, tail) = row.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        let (chunks, _) = block.as_chunks::<LANES>();
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
    let (chunks, rest) = tail.as_chunks::<LANES>();
    state.open(lanes);
    for (chunk, costs) in chunks.iter().enumerate() {
        // Less than a block is left; the compiler need not check.
        state.visit::<0>(lanes, index, chunk % CHUNKS, E::load(lanes, costs));
    }
    if !rest.is_empty() {
        let chunk = chunks.len() % CHUNKS;
        state.visit::<1>(lanes, index, chunk, E::load_rest(lanes, rest));
    }
    state.close(lanes, index);
}

/// What is done with the costs of one row.
trait Pass<L: Lanes> {
    /// Before a block.
    fn open(&mut self, lanes: L);
    /// With a chunk of costs. `CHAIN` is 0 or 1.
    fn visit<const CHAIN: usize>(&mut self, lanes: L, block: usize, chunk: usize, costs: L::Vector);
    /// Behind a block.
    fn close(&mut self, lanes: L, block: usize);
}

/// v_j ← min(v_j, c_j).
#[inline(always)]
pub fn lower_to_costs<L: Lanes, E: Entry>(
    lanes: L,
    row: &[E],
    col_duals: &mut PerColumn<L::Number>,
) {
    struct Lower<'a, R>(&'a mut [Block<R>]);
    impl<L: Lanes> Pass<L> for Lower<'_, L::Number> {
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
            let dual = &mut self.0[block][chunk];
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
pub fn least_two<L: Lanes, E: Entry>(
    lanes: L,
    row: &[E],
    col_duals: &PerColumn<L::Number>,
    block_least: &mut [Chunk<L::Number>],
) -> Least<L::Number> {
    struct LeastTwo<'a, L: Lanes> {
        col_duals: &'a [Block<L::Number>],
        block_least: &'a mut [Chunk<L::Number>],
        block: [L::Vector; 2],
        first: L::Vector,
        second: [L::Vector; 2],
    }
    impl<L: Lanes> Pass<L> for LeastTwo<'_, L> {
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
            let reduced = lanes.subtract(costs, lanes.load(&self.col_duals[block][chunk]));
            let beaten = lanes.larger(reduced, self.block[CHAIN]);
            self.second[CHAIN] = lanes.smaller(beaten, self.second[CHAIN]);
            self.block[CHAIN] = lanes.smaller(reduced, self.block[CHAIN]);
        }
        #[inline(always)]
        fn close(&mut self, lanes: L, block: usize) {
            let [even, odd] = self.block;
            self.second[1] = lanes.smaller(lanes.larger(even, odd), self.second[1]);
            let least = lanes.smaller(even, odd);
            lanes.store(least, &mut self.block_least[block]);
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
    let lane = holders.trailing_zeros() as usize % LANES;
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
pub fn least_reduced_cost<L: Lanes, E: Entry>(
    lanes: L,
    row: &[E],
    col_duals: &PerColumn<L::Number>,
) -> L::Number {
    struct LeastReduced<'a, L: Lanes> {
        col_duals: &'a [Block<L::Number>],
        least: [L::Vector; 2],
    }
    impl<L: Lanes> Pass<L> for LeastReduced<'_, L> {
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
            let reduced = lanes.subtract(costs, lanes.load(&self.col_duals[block][chunk]));
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
pub fn start<L: Lanes, E: Entry>(
    lanes: L,
    row: &[E],
    col_duals: &PerColumn<L::Number>,
    open_duals: &mut PerColumn<L::Number>,
    distance: &mut PerColumn<L::Number>,
    block_least: &mut [Chunk<L::Number>],
) -> L::Number {
    struct Start<'a, L: Lanes> {
        col_duals: &'a [Block<L::Number>],
        open_duals: &'a mut [Block<L::Number>],
        distance: &'a mut [Block<L::Number>],
        least: Minimum<'a, L>,
    }
    impl<L: Lanes> Pass<L> for Start<'_, L> {
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
            let dual = lanes.load(&self.col_duals[block][chunk]);
            lanes.store(dual, &mut self.open_duals[block][chunk]);
            let reduced = lanes.subtract(costs, dual);
            lanes.store(reduced, &mut self.distance[block][chunk]);
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
pub fn relax<L: Lanes, E: Entry>(
    lanes: L,
    row: &[E],
    offset: L::Number,
    open_duals: &PerColumn<L::Number>,
    distance: &mut PerColumn<L::Number>,
    block_least: &mut [Chunk<L::Number>],
) -> L::Number {
    struct Relax<'a, L: Lanes> {
        offset: L::Vector,
        open_duals: &'a [Block<L::Number>],
        distance: &'a mut [Block<L::Number>],
        least: Minimum<'a, L>,
    }
    impl<L: Lanes> Pass<L> for Relax<'_, L> {
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
            let reduced = lanes.subtract(costs, lanes.load(&self.open_duals[block][chunk]));
            let through_row = lanes.subtract(reduced, self.offset);
            let distance = &mut self.distance[block][chunk];
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
struct Minimum<'a, L: Lanes> {
    block: [L::Vector; 2],
    total: L::Vector,
    block_least: &'a mut [Chunk<L::Number>],
}

impl<'a, L: Lanes> Minimum<'a, L> {
    #[inline(always)]
    fn new(lanes: L, block_least: &'a mut [Chunk<L::Number>]) -> Self {
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
        lanes.store(least, &mut self.block_least[block]);
        self.total = lanes.smaller(least, self.total);
    }
}

/// A column of distance `least`: the first that is `preferred` if there is one, else the first. The second
/// result tells which of the two.
#[inline(always)]
pub fn columns_at<L: Lanes>(
    lanes: L,
    least: L::Number,
    distance: &PerColumn<L::Number>,
    block_least: &[Chunk<L::Number>],
    preferred: &[u64],
) -> (usize, bool) {
    struct AtDistance<'a, R>(&'a [Block<R>]);
    impl<L: Lanes> Holders<L> for AtDistance<'_, L::Number> {
        #[inline(always)]
        fn of_block(&self, lanes: L, block: usize, value: L::Vector) -> u64 {
            let mut bits = 0;
            for (chunk, distance) in self.0[block].iter().enumerate() {
                let holds = lanes.equal(lanes.load(distance), value);
                bits |= u64::from(holds) << (chunk * LANES);
            }
            bits
        }
    }
    let holders = AtDistance(&distance.blocks);
    find(lanes, least, block_least, preferred, &holders)
}

/// A column of reduced cost `least`, as [`columns_at`].
#[inline(always)]
pub fn columns_of_reduced_cost<L: Lanes, E: Entry>(
    lanes: L,
    least: L::Number,
    row: &[E],
    col_duals: &PerColumn<L::Number>,
    block_least: &[Chunk<L::Number>],
    preferred: &[u64],
) -> (usize, bool) {
    struct OfReducedCost<'a, E, R> {
        row: &'a [E],
        col_duals: &'a [Block<R>],
    }
    impl<L: Lanes, E: Entry> Holders<L> for OfReducedCost<'_, E, L::Number> {
        #[inline(always)]
        fn of_block(&self, lanes: L, block: usize, value: L::Vector) -> u64 {
            let duals = &self.col_duals[block];
            let costs = &self.row[block * BLOCK..];
            let mut bits = 0;
            if let Some(costs) = costs.first_chunk::<BLOCK>() {
                let (chunks, _) = costs.as_chunks::<LANES>();
                for (chunk, costs) in chunks.iter().enumerate() {
                    let reduced = lanes.subtract(E::load(lanes, costs), lanes.load(&duals[chunk]));
                    bits |= u64::from(lanes.equal(reduced, value)) << (chunk * LANES);
                }
                return bits;
            }
            let (chunks, rest) = costs.as_chunks::<LANES>();
            for (chunk, costs) in chunks.iter().enumerate() {
                let chunk = chunk % CHUNKS;
                let reduced = lanes.subtract(E::load(lanes, costs), lanes.load(&duals[chunk]));
                bits |= u64::from(lanes.equal(reduced, value)) << (chunk * LANES);
            }
            if !rest.is_empty() {
                let chunk = chunks.len() % CHUNKS;
                let reduced = lanes.subtract(E::load_rest(lanes, rest), lanes.load(&duals[chunk]));
                bits |= u64::from(lanes.equal(reduced, value)) << (chunk * LANES);
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
trait Holders<L: Lanes> {
    /// One bit for each column of a block.
    fn of_block(&self, lanes: L, block: usize, value: L::Vector) -> u64;
}

/// Settles a column: no later pass of the search offers it a path or finds it.
#[inline(always)]
pub fn settle<L: Lanes>(
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
fn find<L: Lanes>(
    lanes: L,
    value: L::Number,
    block_least: &[Chunk<L::Number>],
    preferred: &[u64],
    holders: &impl Holders<L>,
) -> (usize, bool) {
    let value = lanes.splat(value);
    let mut first = None;
    // Which blocks hold the value is found without a branch for each: it could not be predicted.
    for (group, blocks) in block_least.chunks(64).enumerate() {
        let mut candidates = 1u64;
        if block_least.len() > 1 {
            candidates = 0;
            for (block, least) in blocks.iter().enumerate() {
                let holds = lanes.equal(lanes.load(least), value) != 0;
                candidates |= u64::from(holds) << block;
            }
        }
        while candidates != 0 {
            let block = group * 64 + candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            let columns = holders.of_block(lanes, block, value);
            let best = columns & preferred[block];
            if best != 0 {
                return (block * BLOCK + best.trailing_zeros() as usize, true);
            }
            if first.is_none() && columns != 0 {
                first = Some(block * BLOCK + columns.trailing_zeros() as usize);
            }
        }
    }
    (first.unwrap_or(0), false)
}
