//! f32 leads narrow squares: [`crate::solve::side_by_side`] in half the vectors.
//!
//! **Algorithm.** That of [`crate::solve::side_by_side`], with its ties, for squares without a limit: nothing ends at a row. What f32
//! rounds away is made good, or noticed, by [`crate::prove::settle`]; where nothing was rounded the answer is that of f64, bit
//! for bit. It differs in:
//!
//! * **A settled column** gets a distance of +inf and a dual of −inf in its lane, so no mask has to keep it out. The true dual
//!   stands beside.
//! * **Ties** are decided as whole numbers, as which the bits of distances sort alike: those of unmatched columns count as one less.
//! * **Predecessors** are numbers of steps, which only grow: the larger one is the last. What each step settled is kept for as
//!   long as a search can be.
//! * **A lane takes the next instance** of the group that nobody has begun.
//!
//! An instance is given up, and left to f64, where a number leaves what f32 has room for, or an allowed pair is not found.
//!
//! **Cost.** As there.

use std::hint::select_unpredictable;

use crate::problem::instance::WIDEST;
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, SideBySide, SideBySideWork};
use crate::solve::octet::{LaneInstance, OctetInstances, UNMATCHED};

/// What f32 came to.
#[derive(Clone, Copy, Debug)]
pub struct Led<const COLS: usize> {
    /// v, −inf beyond the instance's columns.
    pub col_duals: [f32; COLS],
    /// Row matched with each column, or −1.
    pub row_of_col: [i8; COLS],
    /// One bit for each row that is still to be searched from.
    pending: u32,
}

impl<const COLS: usize> Led<COLS> {
    /// Nothing yet.
    pub const NOTHING: Self = Led {
        col_duals: [0.0; COLS],
        row_of_col: [UNMATCHED; COLS],
        pending: 0,
    };
}

/// Columns from which f32 leads. With fewer, what it saves is less than it takes to prove what it came to.
const LEADS_FROM: usize = 16;

/// No dual or distance is larger, so no sum of them leaves the range of f32.
const MOST: f32 = 1e36;

/// Solves the squares of a group in f32. Returns one bit for each instance that has an answer.
pub struct LeadGroup<'a, 'b, E, const COLS: usize> {
    /// The group.
    pub instances: &'a [OctetInstances<'b, E, COLS>],
    /// The answers.
    pub led: &'a mut [Led<COLS>],
}

impl<E: Entry, const COLS: usize> SideBySideWork for LeadGroup<'_, '_, E, COLS> {
    type Output = u64;

    #[inline(always)]
    fn run<L: SideBySide<W>, const W: usize>(self, lanes: L) -> u64 {
        let LeadGroup { instances, led } = self;
        let instances = instances.as_flattened();
        let any = instances.first().filter(|_| COLS >= LEADS_FROM);
        let Some(any) = any.and_then(|any| E::as_singles(any.costs)) else {
            return 0;
        };
        let mut taken = 0;
        for first in (0..instances.len()).step_by(W) {
            let mut members = Members::<COLS, W>::idle(any);
            for (lane, instance) in instances[first..].iter().take(W).enumerate() {
                if let Some(costs) =
                    E::as_singles(instance.costs).filter(|_| instance.is_balanced())
                {
                    members.costs[lane] = costs;
                    members.cols[lane] = instance.cols as f32;
                    members.rows = members.rows.max(instance.rows).min(COLS);
                    members.there |= 1 << lane;
                }
            }
            if members.there != 0 {
                taken |= members.begin(lanes, &mut led[first..]) << first;
            }
        }
        let mut searches = Searches::<COLS, W>::new(any);
        searches.waiting = taken;
        for lane in 0..W {
            searches.search_in_next(lane, instances, led);
        }
        while searches.running != 0 {
            searches.step(lanes, instances, led);
        }
        taken & !searches.given_up
    }
}

/// A number in each lane.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Each<const W: usize>([f32; W]);

/// An index as a number in a lane: the number's last bits are the index.
#[inline(always)]
fn numbered(index: usize) -> f32 {
    const BASE: f32 = (1u32 << 23) as f32;
    f32::from_bits(BASE.to_bits() | index as u32)
}

/// The index of a number that [`numbered`] made, modulo `END`, a power of two.
#[inline(always)]
fn index<const END: usize>(number: f32) -> usize {
    number.to_bits() as usize % END
}

/// Instances whose columns are reduced together.
struct Members<'a, const COLS: usize, const W: usize> {
    costs: [&'a [[f32; COLS]; COLS]; W],
    cols: [f32; W],
    /// Most rows of any.
    rows: usize,
    /// Lanes that have one.
    there: u64,
}

impl<'a, const COLS: usize, const W: usize> Members<'a, COLS, W> {
    fn idle(any: &'a [[f32; COLS]; COLS]) -> Self {
        Members {
            costs: [any; W],
            cols: [0.0; W],
            rows: 0,
            there: 0,
        }
    }

    /// Column reduction. Returns lanes that are not given up.
    #[inline(always)]
    fn begin<L: SideBySide<W>>(&self, lanes: L, led: &mut [Led<COLS>]) -> u64 {
        let infinite = lanes.splat(f32::INFINITY);
        let padding = lanes.splat(f32::NEG_INFINITY);
        let cols = lanes.load(&self.cols);
        let mut given_up = 0;
        for (lane, led) in led.iter_mut().take(W).enumerate() {
            let rows = self.cols[lane] as i32 as u32;
            led.pending = ((1u64 << rows) - 1) as u32;
        }
        for chunk in 0..COLS / DOUBLES {
            let mut least = [infinite; DOUBLES];
            let mut holder = [lanes.splat(numbered(0)); DOUBLES];
            for row in 0..self.rows {
                let costs = transpose_chunk(lanes, rows_at(&self.costs, row), chunk);
                let number = lanes.splat(numbered(row));
                for col in 0..DOUBLES {
                    holder[col] = lanes.where_less(costs[col], least[col], number, holder[col]);
                    least[col] = lanes.smaller(costs[col], least[col]);
                }
            }
            for col in 0..DOUBLES {
                let at = chunk * DOUBLES + col;
                let place = lanes.splat(at as f32);
                let real = lanes.below(place, cols);
                let fits = lanes.below(least[col], lanes.splat(MOST))
                    & lanes.below(lanes.splat(-MOST), least[col]);
                given_up |= real & !fits;
                let (mut duals, mut holders) = (Each([0.0; W]), Each([0.0; W]));
                let dual = lanes.where_less(place, cols, least[col], padding);
                lanes.store(dual, &mut duals.0);
                lanes.store(holder[col], &mut holders.0);
                for (lane, led) in led.iter_mut().take(W).enumerate() {
                    led.col_duals[at] = duals.0[lane];
                    // Each row keeps the first of the columns that it holds.
                    let row = index::<COLS>(holders.0[lane]);
                    let keeps = led.pending >> row & (real >> lane) as u32 & 1;
                    led.row_of_col[at] = row as i8 | (keeps as i8 - 1);
                    led.pending &= !(keeps << row);
                }
            }
        }
        self.there & !given_up
    }
}

/// The same row in each lane.
#[inline(always)]
fn rows_at<'a, const COLS: usize, const W: usize>(
    costs: &[&'a [[f32; COLS]; COLS]; W],
    row: usize,
) -> [&'a [f32; COLS]; W] {
    let mut rows = [&costs[0][row]; W];
    for lane in 1..W {
        rows[lane] = &costs[lane][row];
    }
    rows
}

/// Eight columns of one row in each lane.
#[inline(always)]
fn transpose_chunk<L: SideBySide<W>, const COLS: usize, const W: usize>(
    lanes: L,
    rows: [&[f32; COLS]; W],
    chunk: usize,
) -> [L::Vector; DOUBLES] {
    let mut chunks = [&rows[0].as_chunks().0[chunk]; W];
    for lane in 1..W {
        chunks[lane] = &rows[lane].as_chunks().0[chunk];
    }
    lanes.transpose(chunks)
}

/// Steps that are remembered: a search settles each column once.
const STEPS: usize = 2 * WIDEST;

/// That an unmatched column goes first where it is as near as others: −1, read as a whole number.
const UNMATCHED_FIRST: f32 = f32::from_bits(u32::MAX);

/// Where the search in each lane stands.
struct Searches<'a, const COLS: usize, const W: usize> {
    /// Lanes that are not done.
    running: u64,
    /// Instances that no lane has begun.
    waiting: u64,
    /// Instances that f32 has no answer to.
    given_up: u64,
    /// Number of the step.
    step: usize,
    /// The step that began the search.
    first: [usize; W],
    /// The instance.
    instance: [usize; W],
    costs: [&'a [[f32; COLS]; COLS]; W],
    /// Costs of the row that was reached last.
    row: [&'a [f32; COLS]; W],
    /// One bit for each row that is still to be searched from, the present start included.
    pending: [u32; W],
    row_of_col: [[i8; COLS]; W],
    /// v of all columns, settled or not.
    col_duals: [[f32; COLS]; W],
    /// u of the row reached last, less the length of the shortest path to it.
    offset: Each<W>,
    /// +inf in lanes that begin a search, which forget all distances; −inf in the others.
    fresh: Each<W>,
    /// v of columns that are not settled, −inf of others.
    open_duals: [Each<W>; COLS],
    /// Length of the shortest path known to each column that is not settled, +inf of others.
    distance: [Each<W>; COLS],
    /// The step that found that path.
    found_at: [Each<W>; COLS],
    /// [`UNMATCHED_FIRST`] or 0.
    handicap: [Each<W>; COLS],
    /// The column that a step settled, and its distance.
    settled: [Each<W>; STEPS],
    length: [Each<W>; STEPS],
}

impl<'a, const COLS: usize, const W: usize> Searches<'a, COLS, W> {
    /// No lane is running. `any` gives idle lanes something to read.
    fn new(any: &'a [[f32; COLS]; COLS]) -> Self {
        let [zeros, infinite, lowest] =
            [0.0, f32::INFINITY, f32::NEG_INFINITY].map(|n| Each([n; W]));
        Searches {
            running: 0,
            waiting: 0,
            given_up: 0,
            step: 1,
            first: [1; W],
            instance: [0; W],
            costs: [any; W],
            row: [&any[0]; W],
            pending: [0; W],
            row_of_col: [[UNMATCHED; COLS]; W],
            col_duals: [[0.0; COLS]; W],
            offset: zeros,
            fresh: infinite,
            open_duals: [lowest; COLS],
            distance: [infinite; COLS],
            found_at: [zeros; COLS],
            handicap: [zeros; COLS],
            settled: [zeros; STEPS],
            length: [zeros; STEPS],
        }
    }

    /// Goes on in the next instance that has rows to search from; there may be none.
    #[inline(always)]
    fn search_in_next<E: Entry>(
        &mut self,
        lane: usize,
        instances: &[LaneInstance<'a, E, COLS>],
        led: &[Led<COLS>],
    ) {
        while self.waiting != 0 {
            let instance = self.waiting.trailing_zeros() as usize;
            self.waiting &= self.waiting - 1;
            let led = &led[instance];
            if led.pending == 0 {
                continue;
            }
            let Some(costs) = E::as_singles(instances[instance].costs) else {
                continue;
            };
            self.instance[lane] = instance;
            self.costs[lane] = costs;
            self.pending[lane] = led.pending;
            self.row_of_col[lane] = led.row_of_col;
            self.col_duals[lane] = led.col_duals;
            for col in 0..COLS {
                let dual = led.col_duals[col];
                self.open_duals[col].0[lane] = dual;
                let is_free = led.row_of_col[col] == UNMATCHED && dual > f32::NEG_INFINITY;
                self.handicap[col].0[lane] = if is_free { UNMATCHED_FIRST } else { 0.0 };
            }
            self.running |= 1 << lane;
            self.search_from_next(lane);
            return;
        }
        // Nothing is rounded in an idle lane.
        self.running &= !(1 << lane);
        for col in 0..COLS {
            self.open_duals[col].0[lane] = f32::NEG_INFINITY;
        }
    }

    /// Begins the search from the first pending row, at the next step.
    #[inline(always)]
    fn search_from_next(&mut self, lane: usize) {
        let row = self.pending[lane].trailing_zeros() as usize % COLS;
        self.row[lane] = &self.costs[lane][row];
        self.first[lane] = self.step;
    }

    /// One sweep in each lane, and what follows from it.
    #[inline(always)]
    fn step<E: Entry>(
        &mut self,
        lanes: impl SideBySide<W>,
        instances: &[LaneInstance<'a, E, COLS>],
        led: &mut [Led<COLS>],
    ) {
        let infinite = lanes.splat(f32::INFINITY);
        let zero = lanes.splat(0.0);
        let offset = lanes.load(&self.offset.0);
        let fresh = lanes.load(&self.fresh.0);
        let step = lanes.splat(numbered(self.step));
        let mut least = infinite;
        let mut nearest = lanes.splat(numbered(0));
        for chunk in (0..COLS / DOUBLES).rev() {
            let costs = transpose_chunk(lanes, self.row, chunk);
            for col in (0..DOUBLES).rev() {
                let at = chunk * DOUBLES + col;
                let reduced = lanes.subtract(costs[col], lanes.load(&self.open_duals[at].0));
                // Never below 0 but for rounding.
                let through_row = lanes.not_negative(lanes.subtract(reduced, offset));
                let distance = lanes.larger(lanes.load(&self.distance[at].0), fresh);
                // Not a choice between old and new, which the compiler would make a masked store.
                let found_at = lanes.where_less(through_row, distance, step, zero);
                let found_at = lanes.larger(lanes.load(&self.found_at[at].0), found_at);
                lanes.store(found_at, &mut self.found_at[at].0);
                let distance = lanes.smaller(through_row, distance);
                lanes.store(distance, &mut self.distance[at].0);
                // The columns come last to first: of equals the first unmatched one stays.
                let handicap = lanes.load(&self.handicap[at].0);
                let number = lanes.splat(numbered(at));
                nearest = lanes.where_nearer(distance, handicap, least, number, nearest);
                least = lanes.smaller(distance, least);
            }
        }

        let memory = self.step % STEPS;
        self.step += 1;
        lanes.store(nearest, &mut self.settled[memory].0);
        lanes.store(least, &mut self.length[memory].0);
        let failing = self.running & !lanes.below(least, lanes.splat(MOST));
        let mut reduced = Each([0.0; W]);
        let mut ends = failing;
        for lane in 0..W {
            let col = index::<COLS>(self.settled[memory].0[lane]);
            let row = self.row_of_col[lane][col];
            ends |= u64::from(row as u8 >> 7) << lane;
            let row = &self.costs[lane][row as usize % COLS];
            reduced.0[lane] = row[col] - self.open_duals[col].0[lane];
            self.row[lane] = row;
            self.open_duals[col].0[lane] = f32::NEG_INFINITY;
            self.distance[col].0[lane] = f32::INFINITY;
        }
        let over = ends | !self.running;
        let offset = lanes.subtract(lanes.load(&reduced.0), least);
        lanes.store(lanes.where_set(over, zero, offset), &mut self.offset.0);
        let lowest = lanes.splat(f32::NEG_INFINITY);
        lanes.store(lanes.where_set(over, infinite, lowest), &mut self.fresh.0);
        ends &= self.running;
        while ends != 0 {
            let lane = ends.trailing_zeros() as usize % W;
            ends &= ends - 1;
            if failing >> lane & 1 != 0 {
                self.given_up |= 1 << self.instance[lane];
                self.pending[lane] = 0;
            } else {
                self.update_duals(lane);
                self.flip_path(lane);
                self.pending[lane] &= self.pending[lane] - 1;
            }
            if self.pending[lane] != 0 {
                self.search_from_next(lane);
            } else {
                let done = &mut led[self.instance[lane]];
                done.col_duals = self.col_duals[lane];
                done.row_of_col = self.row_of_col[lane];
                self.search_in_next(lane, instances, led);
            }
        }
    }

    /// v of a column settled at distance d falls by length − d. No column is settled any more.
    ///
    /// How many there are cannot be guessed: four are visited at once, the last one again where there are less.
    #[inline(always)]
    fn update_duals(&mut self, lane: usize) {
        let last = self.step - 1;
        let length = self.length[last % STEPS].0[lane];
        let mut step = self.first[lane];
        while step <= last {
            for _ in 0..4 {
                let memory = step.min(last) % STEPS;
                let col = index::<COLS>(self.settled[memory].0[lane]);
                let excess = length - self.length[memory].0[lane];
                let dual = self.col_duals[lane][col] - excess;
                self.open_duals[col].0[lane] = dual;
                self.col_duals[lane][col] = dual;
                step += 1;
            }
        }
    }

    /// Flips the shortest path, from the column that was settled last back to its start.
    #[inline(always)]
    fn flip_path(&mut self, lane: usize) {
        let last = self.step - 1;
        let mut col = index::<COLS>(self.settled[last % STEPS].0[lane]);
        self.handicap[col].0[lane] = 0.0;
        let first = self.first[lane] % STEPS;
        let start = self.pending[lane].trailing_zeros() as i8;
        let row_of_col = &mut self.row_of_col[lane];
        let mut flip = || {
            let step = index::<STEPS>(self.found_at[col].0[lane]);
            let before = index::<COLS>(self.settled[(step + STEPS - 1) % STEPS].0[lane]);
            let begins = step == first;
            row_of_col[col] = select_unpredictable(begins, start, row_of_col[before]);
            col = select_unpredictable(begins, col, before);
            begins
        };
        // Most paths are short. What is flipped whether there is something left or not need not be guessed.
        flip();
        while !flip() {}
    }
}
