//! f32 leads narrow squares: a row of costs is one vector or two.
//!
//! **Algorithm.** That of [`crate::solve::side_by_side`] for squares without a limit: nothing ends at a row. What f32 rounds away is made
//! good, or noticed, by [`crate::prove::settle`]; where nothing was rounded the answer is exact. It differs in:
//!
//! * **Searches take turns.** A step needs few instructions, but each waits for the one before: for a minimum, and for what is to be
//!   looked up then. So several instances are searched in at once, in two teams. What one team found is acted on after the other
//!   team's sweeps were begun: by then it is known, and a wrong guess at what follows costs none of them.
//! * **A settled column** keeps its distance, with its sign set: it is no longer the least where bits are compared without a sign, and
//!   always less than what is offered where they are compared with one.
//! * **Ties** among matched columns go to the lowest index, too, which makes searches shorter where there are many.
//! * **Predecessors** are numbers of steps, which only grow: the larger one is the last. What each step settled is kept for as
//!   long as a search can be.
//!
//! An instance is given up, and left to f64, where a number leaves what f32 has room for, or an allowed pair is not found.
//!
//! **Cost.** A step is O(columns / 16) vector operations. Workspace O(columns) for each search.

#![expect(
    clippy::needless_range_loop,
    reason = "a chunk of columns is an index into several arrays at once"
)]

use std::hint::select_unpredictable;

use crate::problem::instance::WIDEST;
use crate::simd::cost::Entry;
use crate::simd::ops::{SINGLES, Vectors, WholeNumbers, Work};
use crate::solve::octet::{LaneInstance, OctetInstances, UNMATCHED};

/// What f32 came to.
#[derive(Clone, Copy, Debug)]
pub struct Led<const COLS: usize> {
    /// v, −inf beyond the instance's columns.
    pub col_duals: [f32; COLS],
    /// Row matched with each column, or −1.
    pub row_of_col: [i8; COLS],
}

impl<const COLS: usize> Led<COLS> {
    /// Nothing yet.
    pub const NOTHING: Self = Led {
        col_duals: [0.0; COLS],
        row_of_col: [UNMATCHED; COLS],
    };
}

/// Columns from which f32 leads. With fewer, what it saves is less than it takes to prove what it came to.
const LEADS_FROM: usize = SINGLES;

/// No path that a column is matched by is longer, nor is v larger in the beginning. So |v| stays below 33 times that, and what a search
/// goes on with, c − v − length of a matched pair, stays within the range of f32. A pair beyond it counts as forbidden.
const MOST: f32 = 1e36;

/// Solves the squares of a group in f32. Returns one bit for each instance that has an answer.
pub struct LeadGroup<'a, 'b, E, const COLS: usize> {
    /// The group.
    pub instances: &'a [OctetInstances<'b, E, COLS>],
    /// The answers.
    pub led: &'a mut [Led<COLS>],
}

impl<E: Entry, const COLS: usize> Work for LeadGroup<'_, '_, E, COLS> {
    type Output = u64;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> u64 {
        let instances = self.instances.as_flattened();
        let any = instances.first().filter(|_| COLS >= LEADS_FROM);
        let Some(any) = any.and_then(|any| E::as_singles(any.costs)) else {
            return 0;
        };
        let mut squares = 0;
        for (at, instance) in instances.iter().enumerate() {
            squares |= u64::from(instance.is_balanced()) << at;
        }
        let mut searches = Searches {
            instances,
            led: self.led,
            waiting: squares,
            given_up: 0,
            running: 0,
            ends: [0; TEAMS],
            searches: [Search::idle(any); TEAMS * TEAM],
        };
        searches.run(vectors.singles());
        squares & !searches.given_up
    }
}

/// Searches whose sweeps are begun together.
const TEAM: usize = 4;

/// Teams that take turns.
const TEAMS: usize = 2;

/// All searches, and what they search in.
struct Searches<'a, 'b, E, const COLS: usize> {
    instances: &'a [LaneInstance<'b, E, COLS>],
    led: &'a mut [Led<COLS>],
    /// Instances that nobody has begun.
    waiting: u64,
    /// Instances that f32 has no answer to.
    given_up: u64,
    /// Searches that are not done.
    running: u32,
    /// Those of each team that ended with the last sweep.
    ends: [u32; TEAMS],
    searches: [Search<'b, COLS>; TEAMS * TEAM],
}

impl<E: Entry, const COLS: usize> Searches<'_, '_, E, COLS> {
    #[inline(always)]
    fn run<L: WholeNumbers>(&mut self, lanes: L) {
        for at in 0..self.searches.len() {
            self.search_in_next(lanes, at);
        }
        while self.running != 0 {
            self.sweep(lanes, 0);
            self.act(lanes, 1);
            self.sweep(lanes, 1);
            self.act(lanes, 0);
        }
    }

    /// A sweep of each search of a team.
    #[inline(always)]
    fn sweep<L: WholeNumbers>(&mut self, lanes: L, team: usize) {
        let mut ends = 0;
        for at in team * TEAM..(team + 1) * TEAM {
            ends |= u32::from(self.searches[at].sweep(lanes)) << at;
        }
        self.ends[team] = ends & self.running;
    }

    /// What follows from it, where a search ended.
    #[inline(always)]
    fn act<L: WholeNumbers>(&mut self, lanes: L, team: usize) {
        let mut ends = self.ends[team];
        while ends != 0 {
            let at = ends.trailing_zeros() as usize % (TEAMS * TEAM);
            ends &= ends - 1;
            let search = &mut self.searches[at];
            if search.length < MOST {
                search.update_duals(lanes);
                search.flip_path();
                search.pending &= search.pending - 1;
                if search.pending != 0 {
                    search.begin(lanes);
                    continue;
                }
                search.write(&mut self.led[search.instance]);
            } else {
                self.given_up |= 1 << search.instance;
            }
            self.search_in_next(lanes, at);
        }
    }

    /// Goes on in the next instance that has rows to search from; there may be none.
    #[inline(always)]
    fn search_in_next<L: WholeNumbers>(&mut self, lanes: L, at: usize) {
        let search = &mut self.searches[at];
        while self.waiting != 0 {
            search.instance = self.waiting.trailing_zeros() as usize;
            self.waiting &= self.waiting - 1;
            let instance = &self.instances[search.instance];
            let Some(costs) = E::as_singles(instance.costs) else {
                continue;
            };
            search.costs = costs;
            if !search.reduce_columns(lanes, instance.cols) {
                self.given_up |= 1 << search.instance;
            } else if search.pending == 0 {
                search.write(&mut self.led[search.instance]);
            } else {
                search.begin(lanes);
                self.running |= 1 << at;
                return;
            }
        }
        self.running &= !(1 << at);
    }
}

/// Steps that are remembered: a search settles each column once.
const STEPS: usize = 2 * WIDEST;

/// A search for a shortest augmenting path, and the instance that it searches in.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Search<'a, const COLS: usize> {
    /// v.
    col_duals: [f32; COLS],
    /// Length of the shortest path known to each column, with its sign set where the column is settled.
    distance: [f32; COLS],
    /// The step that found that path.
    found_at: [f32; COLS],
    /// Distances where no path is known yet: +inf, −inf beyond the instance's columns.
    unknown: [f32; COLS],
    row_of_col: [i8; COLS],
    /// The column that a step settled.
    settled: [u8; STEPS],
    costs: &'a [[f32; COLS]; COLS],
    /// Costs of the row that was reached last.
    row: &'a [f32; COLS],
    /// Its u, less the length of the shortest path to it.
    offset: f32,
    /// The distance of the column that was settled last.
    length: f32,
    /// Number of the step.
    step: u32,
    /// The step that began the search.
    first: u32,
    /// One bit for each row that is still to be searched from, the present start included.
    pending: u32,
    /// One bit for each unmatched column.
    unmatched: u32,
    instance: usize,
}

impl<'a, const COLS: usize> Search<'a, COLS> {
    /// A search that has no instance, and reads `any`.
    fn idle(any: &'a [[f32; COLS]; COLS]) -> Self {
        Search {
            col_duals: [0.0; COLS],
            distance: [f32::INFINITY; COLS],
            found_at: [0.0; COLS],
            unknown: [f32::INFINITY; COLS],
            row_of_col: [UNMATCHED; COLS],
            settled: [0; STEPS],
            costs: any,
            row: &any[0],
            offset: 0.0,
            length: 0.0,
            step: 1,
            first: 1,
            pending: 0,
            unmatched: 0,
            instance: 0,
        }
    }

    /// Column reduction. Returns whether f32 has room for the duals.
    #[inline(always)]
    fn reduce_columns<L: WholeNumbers>(&mut self, lanes: L, cols: usize) -> bool {
        let infinite = lanes.splat(f32::INFINITY);
        let mut holders = [0.0; COLS];
        let real = ((1u64 << cols) - 1) as u32;
        let mut least = [infinite; WIDEST / SINGLES];
        // Columns beyond the instance's are held by a row beyond it.
        let nobody = lanes.splat(f32::of_index(COLS as u32 - 1));
        let mut holder = [nobody; WIDEST / SINGLES];
        for (row, costs) in self.costs.iter().take(cols).enumerate() {
            let number = lanes.splat(f32::of_index(row as u32));
            for (chunk, costs) in costs.as_chunks().0.iter().enumerate() {
                let costs = lanes.load(costs);
                holder[chunk] = lanes.where_less(costs, least[chunk], number, holder[chunk]);
                least[chunk] = lanes.smaller(costs, least[chunk]);
            }
        }
        let (most, lowest) = (lanes.splat(MOST), lanes.splat(-MOST));
        let mut fit = 0;
        for chunk in 0..COLS / SINGLES {
            let least = least[chunk];
            let fits = lanes.below(least, most) & lanes.below(lowest, least);
            fit |= (fits as u32) << (chunk * SINGLES);
            lanes.store(least, &mut self.col_duals.as_chunks_mut().0[chunk]);
            lanes.store(infinite, &mut self.unknown.as_chunks_mut().0[chunk]);
            lanes.store(holder[chunk], &mut holders.as_chunks_mut().0[chunk]);
        }
        for col in cols..COLS {
            self.col_duals[col] = f32::NEG_INFINITY;
            self.unknown[col] = f32::NEG_INFINITY;
        }
        let (mut pending, mut matched) = (real, 0);
        for (col, holder) in holders.iter().enumerate() {
            // Each row keeps the first of the columns that it holds.
            let row = holder.to_index() % COLS;
            let keeps = pending >> row & 1;
            self.row_of_col[col] = row as i8 | (keeps as i8 - 1);
            pending &= !(1 << row);
            matched |= keeps << col;
        }
        self.pending = pending;
        self.unmatched = real & !matched;
        real & !fit == 0
    }

    /// The instance is solved.
    #[inline(always)]
    fn write(&self, led: &mut Led<COLS>) {
        led.col_duals = self.col_duals;
        led.row_of_col = self.row_of_col;
    }

    /// Begins the search from the first pending row.
    #[inline(always)]
    fn begin<L: WholeNumbers>(&mut self, lanes: L) {
        self.row = &self.costs[self.pending.trailing_zeros() as usize % COLS];
        self.offset = 0.0;
        self.first = self.step;
        for chunk in 0..COLS / SINGLES {
            let unknown = lanes.load(&self.unknown.as_chunks().0[chunk]);
            lanes.store(unknown, &mut self.distance.as_chunks_mut().0[chunk]);
        }
    }

    /// Offers every column the path through the row, settles the nearest one, and goes on to the row matched with it. Is there none?
    #[inline(always)]
    fn sweep<L: WholeNumbers>(&mut self, lanes: L) -> bool {
        let step = lanes.splat(f32::of_index(self.step));
        let offset = lanes.splat(self.offset);
        let costs = self.row.as_chunks().0;
        let col_duals = self.col_duals.as_chunks().0;
        let distances = self.distance.as_chunks_mut().0;
        let found_at = self.found_at.as_chunks_mut().0;
        let mut distance = [lanes.splat(0.0); WIDEST / SINGLES];
        let mut nearest = lanes.splat(f32::from_bits(u32::MAX));
        for chunk in 0..COLS / SINGLES {
            let reduced = lanes.subtract(lanes.load(&costs[chunk]), lanes.load(&col_duals[chunk]));
            // Never below 0 but for rounding.
            let through_row = lanes.not_negative(lanes.subtract(reduced, offset));
            let before = lanes.load(&distances[chunk]);
            let now = lanes.where_whole_less(through_row, before, step);
            let found = lanes.larger_whole(lanes.load(&found_at[chunk]), now);
            lanes.store(found, &mut found_at[chunk]);
            distance[chunk] = lanes.smaller_whole(through_row, before);
            nearest = lanes.smaller_unsigned(distance[chunk], nearest);
        }
        self.length = lanes.least_unsigned(nearest);
        let nearest = lanes.splat(self.length);
        let mut holders = 0;
        for chunk in 0..COLS / SINGLES {
            holders |= (lanes.equal_whole(distance[chunk], nearest) as u32) << (chunk * SINGLES);
        }
        // Of equals the first unmatched one, or else the first.
        let free = holders & self.unmatched;
        let holder = select_unpredictable(free != 0, free, holders);
        let col = holder.trailing_zeros() as usize % COLS;
        for chunk in 0..COLS / SINGLES {
            let lane = col.wrapping_sub(chunk * SINGLES);
            let settled = lanes.with_sign_at(distance[chunk], lane);
            lanes.store(settled, &mut distances[chunk]);
        }
        self.settled[self.step as usize % STEPS] = col as u8;
        self.step += 1;
        let row = self.row_of_col[col];
        self.row = &self.costs[row as usize % COLS];
        self.offset = self.row[col] - self.col_duals[col] - self.length;
        row == UNMATCHED
    }

    /// v of a column settled at distance d falls by length − d.
    #[inline(always)]
    fn update_duals<L: WholeNumbers>(&mut self, lanes: L) {
        let length = lanes.splat(self.length);
        let zero = lanes.splat(0.0);
        for chunk in 0..COLS / SINGLES {
            // No other column is nearer than the path is long.
            let distance = lanes.load(&self.distance.as_chunks().0[chunk]);
            let nearer_by = lanes.subtract(length, lanes.larger_magnitude(distance, zero));
            let col_duals = &mut self.col_duals.as_chunks_mut().0[chunk];
            let dual = lanes.subtract(lanes.load(col_duals), lanes.not_negative(nearer_by));
            lanes.store(dual, col_duals);
        }
    }

    /// Flips the shortest path, from the column that was settled last back to its start.
    #[inline(always)]
    fn flip_path(&mut self) {
        let settled = |step: u32| usize::from(self.settled[step as usize % STEPS]) % COLS;
        let mut col = settled(self.step - 1);
        self.unmatched &= !(1 << col);
        let start = self.pending.trailing_zeros() as i8;
        let mut flip = || {
            let step = self.found_at[col].to_bits();
            let before = settled(step.wrapping_sub(1));
            let begins = step == self.first;
            self.row_of_col[col] = select_unpredictable(begins, start, self.row_of_col[before]);
            col = select_unpredictable(begins, col, before);
            begins
        };
        // Most paths are short. What is flipped whether there is something left or not need not be guessed.
        flip();
        while !flip() {}
    }
}
