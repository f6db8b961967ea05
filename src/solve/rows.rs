//! Narrow problems: searches that take turns, each a row of costs at a time. They run in f64
//! ([`crate::solve::doubles`]); those in f32 squares of 9 to 32 columns without a limit run in f32
//! first ([`crate::solve::lead`]).
//!
//! **Algorithm.** This is [`crate::solve::augment`], with its invariants (1) and (2), its ceilings
//! and its tie policy. Squares without a limit begin with column reduction; then each unmatched row
//! is searched from for a shortest augmenting path. What differs:
//!
//! * **Searches take turns.** A step has few instructions, but each waits for the one before: for a
//!   minimum, and then for what is looked up by it. So several instances are searched at once, in
//!   two teams. The results of one team are acted on after the sweeps of the other team have begun:
//!   by then the results are known, and a mispredicted branch on them discards none of those
//!   sweeps.
//! * **Augmenting row reduction** is left out: by count, it makes more steps than it saves.
//! * **Predecessors** are step numbers, which only grow: the larger of two is the later. The column
//!   that each step settled is kept until the search ends.
//!
//! Searches share nothing, so an answer depends neither on the other instances nor on their order.

use std::hint::select_unpredictable;

use crate::number::arithmetic::Arithmetic;
use crate::problem::instance::WIDEST;
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, Lanes};
use crate::solve::narrow::{NarrowInstance, UNMATCHED};

/// One bit for each instance of a group, set where `is_one` holds.
#[inline(always)]
pub(crate) fn each_of<'a, E: Entry, const COLS: usize>(
    instances: &[NarrowInstance<'a, E, COLS>],
    is_one: impl Fn(&NarrowInstance<'a, E, COLS>) -> bool,
) -> u64 {
    let mut bits = 0;
    for (at, instance) in instances.iter().enumerate() {
        bits |= u64::from(is_one(instance)) << at;
    }
    bits
}

/// The least cost of each column among the first `rows` rows, and the first row that has it, by
/// [`Entry::of_index`].
#[inline(always)]
pub(crate) fn least_of_columns<L, E, const W: usize, const COLS: usize>(
    lanes: L,
    costs: &[[E; COLS]; COLS],
    rows: usize,
) -> ([L::Number; COLS], [L::Number; COLS])
where
    L: Lanes<W, Number: Entry>,
    E: Entry,
{
    let mut least = [lanes.splat(L::Number::INFINITY); WIDEST / DOUBLES];
    // Columns beyond the instance's are held by a row beyond it.
    let mut holder = [lanes.splat(L::Number::of_index(COLS as u32 - 1)); WIDEST / DOUBLES];
    for (row, costs) in costs.iter().take(rows).enumerate() {
        let number = lanes.splat(L::Number::of_index(row as u32));
        for (chunk, costs) in costs.as_chunks().0.iter().enumerate() {
            let costs = E::load(lanes, costs);
            holder[chunk] = lanes.where_less(costs, least[chunk], number, holder[chunk]);
            least[chunk] = lanes.smaller(costs, least[chunk]);
        }
    }
    let mut found = ([L::Number::INFINITY; COLS], [L::Number::INFINITY; COLS]);
    for (chunk, to) in found.0.as_chunks_mut().0.iter_mut().enumerate() {
        lanes.store(least[chunk], to);
    }
    for (chunk, to) in found.1.as_chunks_mut().0.iter_mut().enumerate() {
        lanes.store(holder[chunk], to);
    }
    found
}

/// The searches in one instance, in vectors `L`, with their workspace.
pub(crate) trait Search<'a, E, L, const COLS: usize>: Copy {
    /// What they answer.
    type Answer;

    /// Takes an instance, and sets its first duals and pairs. Returns whether it can be solved, as
    /// far as that is known.
    fn take(&mut self, lanes: L, instance: &NarrowInstance<'a, E, COLS>) -> bool;
    /// Begins the search from the first pending row.
    fn begin(&mut self, lanes: L);
    /// Offers every column the path through the row, settles the nearest one, and goes on to the
    /// row matched with it. Returns true where the search ends: at an unmatched column, or at a
    /// row.
    fn sweep(&mut self, lanes: L) -> bool;
    /// Was a path found?
    fn has_path(&self) -> bool;
    /// Changes duals and partners by the path that was found.
    fn augment(&mut self, lanes: L);
    /// What is known of paths, and the matching.
    fn paths(&self) -> &NarrowPaths<COLS>;
    /// Writes the answer.
    fn write(&self, answer: &mut Self::Answer);
}

/// Searches whose sweeps are begun together.
const TEAM: usize = 4;

/// Teams that take turns.
const TEAMS: usize = 2;

/// All searches, and the instances that they search.
pub(crate) struct Searches<'a, 'b, E, A, S, const COLS: usize> {
    instances: &'a [NarrowInstance<'b, E, COLS>],
    answers: &'a mut [A],
    /// One bit for each instance that no search has begun.
    waiting: u64,
    /// One bit for each instance that has no answer.
    given_up: u64,
    /// One bit for each search that has an instance.
    running: u32,
    /// For each team, one bit for each of its searches that ended with the last sweep.
    ends: [u32; TEAMS],
    /// A search without an instance.
    idle: S,
    searches: [S; TEAMS * TEAM],
    /// The instance of each search.
    taken: [usize; TEAMS * TEAM],
}

impl<'a, 'b, E: Entry, A, S, const COLS: usize> Searches<'a, 'b, E, A, S, COLS> {
    /// Solves the instances that have a bit in `these`. Returns one bit for each that has an
    /// answer.
    #[inline(always)]
    pub(crate) fn solve<L: Copy>(
        lanes: L,
        these: u64,
        instances: &'a [NarrowInstance<'b, E, COLS>],
        answers: &'a mut [A],
        idle: S,
    ) -> u64
    where
        S: Search<'b, E, L, COLS, Answer = A>,
    {
        let mut searches = Searches {
            instances,
            answers,
            waiting: these,
            given_up: 0,
            running: 0,
            ends: [0; TEAMS],
            idle,
            searches: [idle; TEAMS * TEAM],
            taken: [0; TEAMS * TEAM],
        };
        for at in 0..TEAMS * TEAM {
            searches.search_in_next(lanes, at);
        }
        while searches.running != 0 {
            searches.sweep(lanes, 0);
            searches.act(lanes, 1);
            searches.sweep(lanes, 1);
            searches.act(lanes, 0);
        }
        these & !searches.given_up
    }

    /// A sweep of each search of a team.
    #[inline(always)]
    fn sweep<L: Copy>(&mut self, lanes: L, team: usize)
    where
        S: Search<'b, E, L, COLS, Answer = A>,
    {
        let mut ends = 0;
        for at in team * TEAM..(team + 1) * TEAM {
            ends |= u32::from(self.searches[at].sweep(lanes)) << at;
        }
        self.ends[team] = ends & self.running;
    }

    /// Acts on the last sweep of a team, where a search has ended.
    #[inline(always)]
    fn act<L: Copy>(&mut self, lanes: L, team: usize)
    where
        S: Search<'b, E, L, COLS, Answer = A>,
    {
        let mut ends = self.ends[team];
        while ends != 0 {
            let at = ends.trailing_zeros() as usize % (TEAMS * TEAM);
            ends &= ends - 1;
            let search = &mut self.searches[at];
            if search.has_path() {
                search.augment(lanes);
                if search.paths().pending != 0 {
                    search.begin(lanes);
                    continue;
                }
                search.write(&mut self.answers[self.taken[at]]);
            } else {
                self.given_up |= 1 << self.taken[at];
            }
            self.search_in_next(lanes, at);
        }
    }

    /// Gives the search at `at` the next instance that has rows to search from, if there is one.
    #[inline(always)]
    fn search_in_next<L: Copy>(&mut self, lanes: L, at: usize)
    where
        S: Search<'b, E, L, COLS, Answer = A>,
    {
        let search = &mut self.searches[at];
        while self.waiting != 0 {
            let instance = self.waiting.trailing_zeros() as usize;
            self.taken[at] = instance;
            self.waiting &= self.waiting - 1;
            if !search.take(lanes, &self.instances[instance]) {
                self.given_up |= 1 << instance;
            } else if search.paths().pending == 0 {
                search.write(&mut self.answers[instance]);
            } else {
                search.begin(lanes);
                self.running |= 1 << at;
                return;
            }
        }
        self.running &= !(1 << at);
        *search = self.idle;
    }
}

/// Steps that are remembered: all steps of a search. A search settles matched columns, each once,
/// and ends at the first unmatched one, of which there is one while a row is pending. So it makes
/// no more steps than there are columns.
const STEPS: usize = WIDEST;

/// What a search knows of paths, and the matching.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NarrowPaths<const COLS: usize> {
    /// Row matched with each column, or [`UNMATCHED`].
    pub(crate) row_of_col: [i8; COLS],
    /// The column that a step settled, by the step's number modulo [`STEPS`].
    settled: [u8; STEPS],
    /// Number of the current step.
    pub(crate) step: u32,
    /// The step that began the search.
    first: u32,
    /// One bit for each row that is still to be searched from, the present start included.
    pending: u32,
    /// One bit for each unmatched column.
    unmatched: u32,
}

impl<const COLS: usize> NarrowPaths<COLS> {
    pub(crate) const NONE: Self = NarrowPaths {
        row_of_col: [UNMATCHED; COLS],
        settled: [0; STEPS],
        step: 1,
        first: 1,
        pending: 0,
        unmatched: 0,
    };

    /// After column reduction: each row keeps the first of the columns that it holds. `holders` are
    /// rows, by [`Entry::of_index`].
    #[inline(always)]
    pub(crate) fn keep<N: Entry>(&mut self, holders: &[N; COLS], cols: usize) {
        let real = ((1u64 << cols) - 1) as u32;
        let (mut pending, mut matched) = (real, 0);
        for (col, holder) in holders.iter().enumerate() {
            let row = holder.to_index() % COLS;
            let keeps = pending >> row & 1;
            self.row_of_col[col] = row as i8 | (keeps as i8 - 1);
            pending &= !(1 << row);
            matched |= keeps << col;
        }
        self.pending = pending;
        self.unmatched = real & !matched;
    }

    /// All rows are pending, and all columns unmatched.
    #[inline(always)]
    pub(crate) fn match_nobody(&mut self, rows: usize, cols: usize) {
        self.row_of_col = [UNMATCHED; COLS];
        self.pending = ((1u64 << rows) - 1) as u32;
        self.unmatched = ((1u64 << cols) - 1) as u32;
    }

    /// Begins a search, and returns the row that it starts from.
    #[inline(always)]
    pub(crate) fn begin(&mut self) -> usize {
        self.first = self.step;
        self.pending.trailing_zeros() as usize % COLS
    }

    /// Settles one of the nearest columns, each of which has a bit in `holders`, and returns it:
    /// the first unmatched one, or else the first.
    #[inline(always)]
    pub(crate) fn settle(&mut self, holders: u32) -> usize {
        let free = holders & self.unmatched;
        let holder = select_unpredictable(free != 0, free, holders);
        let col = holder.trailing_zeros() as usize % COLS;
        self.settled[self.step as usize % STEPS] = col as u8;
        self.step += 1;
        col
    }

    /// Flips the shortest path, from the column that was settled last back to the row where the
    /// search began, which is then no longer pending. `found_at` has, for each column, the step
    /// that found the shortest path to it, in the last 32 bits of a number.
    #[inline(always)]
    pub(crate) fn flip<N: Entry>(&mut self, found_at: &[N; COLS]) {
        let col = settled_by::<COLS>(&self.settled, self.step - 1);
        self.unmatched &= !(1 << col);
        self.flip_from(col, found_at);
        self.pending &= self.pending - 1;
    }

    /// As [`NarrowPaths::flip`], where the path ends at the row that `step` swept. That row ends up
    /// unmatched: unless it is the start, the row before it on the path takes its column.
    #[inline(always)]
    pub(crate) fn flip_from_row<N: Entry>(&mut self, step: u32, found_at: &[N; COLS]) {
        if step != self.first {
            self.flip_from(settled_by::<COLS>(&self.settled, step - 1), found_at);
        }
        self.pending &= self.pending - 1;
    }

    #[inline(always)]
    fn flip_from<N: Entry>(&mut self, mut col: usize, found_at: &[N; COLS]) {
        debug_assert!((self.step - self.first) as usize <= STEPS.min(COLS));
        let start = self.pending.trailing_zeros() as i8;
        let mut flip = || {
            let step = found_at[col].to_index() as u32;
            // For the first step this may be any column, and is not used.
            let before = settled_by::<COLS>(&self.settled, step.wrapping_sub(1));
            let begins = step == self.first;
            debug_assert!(self.first <= step && step < self.step);
            self.row_of_col[col] = select_unpredictable(begins, start, self.row_of_col[before]);
            col = select_unpredictable(begins, col, before);
            begins
        };
        // Most paths are short. The second flip is made even where the first one was the last, and
        // then repeats it, so that paths of one and of two columns take the same branches.
        flip();
        while !flip() {}
    }
}

/// The column that a step settled.
#[inline(always)]
fn settled_by<const COLS: usize>(settled: &[u8; STEPS], step: u32) -> usize {
    usize::from(settled[step as usize % STEPS]) % COLS
}
