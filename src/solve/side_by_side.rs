//! The algorithm for narrow problems: eight side by side, one in each lane of a vector.
//!
//! Up to [`WIDEST`] columns a sweep over one row is over before the processor knows what to do next. Here a sweep serves
//! eight instances, each of which goes on by itself: what is a branch in [`crate::solve::augment`] is a choice between lanes.
//!
//! Problems without a limit go another way ([`crate::solve::rows`]).
//!
//! **Algorithm.** This is [`crate::solve::augment`] written for lanes, with its invariants (1) and (2) and its ceilings. It differs in:
//!
//! * **Start.** No row takes its cheapest column: all are left to searches.
//! * **Augmenting row reduction** is left out. Counted, it makes more steps than it saves.
//! * **Predecessors** are written down (`from`), not computed again from the lengths of paths.
//! * **Ties** among matched columns go to the highest index, not to the lowest, which saves a comparison. All else is as there: of
//!   equal distances an unmatched column goes first, and of those the lowest index; a row is left unmatched only where that is
//!   strictly cheaper. So all-equal costs match i to i.
//! * **A column that is settled** loses its bit in `open`, instead of getting a distance of +inf and a dual of −inf.
//!
//! A *step* sweeps, in each lane, the row that the lane's search has just reached, finds the nearest column, and either
//! goes on to the row matched with it or ends the search and begins the next.
//!
//! **Lanes do not wait for each other.** A *group* is several *octets* of instances. Each lane makes its searches in the
//! instance that it has in the first octet, in the second, and so on. So how long a lane takes evens out: of eight single
//! instances the slowest takes half again as long as the mean. No lane knows of another, so an answer depends neither on the
//! neighbours nor on the place among them.
//!
//! **Exactness.** Additions and subtractions are those of [`crate::solve::augment`] and stay within the same bounds, so the same
//! costs are solved exactly.
//!
//! **Cost.** A step is O(columns) vector operations. Workspace O(rows + columns) for each instance of a group.

#![expect(
    clippy::needless_range_loop,
    reason = "a lane or a column is an index into several arrays at once"
)]

use crate::problem::instance::WIDEST;
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, LaneWise, Vectors, Work};
use crate::solve::octet::{
    Flags, LaneInstance, Octet, OctetInstances, PerLane, UNMATCHED, flag, flags_of, merge_flags,
    transpose_chunk,
};

/// Octets of a group.
pub const OCTETS: usize = 8;

/// Instances of a group.
pub const GROUP: usize = OCTETS * DOUBLES;

/// Solves a group, all but what [`FinishGroup`] does.
pub struct SolveGroup<'a, 'b, E, const COLS: usize> {
    /// The group.
    pub instances: &'a [OctetInstances<'b, E, COLS>],
    /// The answers.
    pub octets: &'a mut [Octet<COLS>],
}

impl<E: Entry, const COLS: usize> Work for SolveGroup<'_, '_, E, COLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let SolveGroup { instances, octets } = self;
        let lanes = vectors.doubles();
        for (octet, instances) in octets.iter_mut().zip(instances) {
            octet.begin(lanes, instances);
        }
        let mut searches = Searches::new(&instances[0][0]);
        for lane in 0..DOUBLES {
            searches.search_in_next(lanes, lane, instances, octets);
        }
        while searches.running != 0 {
            searches.step(lanes, instances, octets);
        }
    }
}

/// Duals, partners and totals of a group that is solved.
pub struct FinishGroup<'a, 'b, E, const COLS: usize> {
    /// The group.
    pub instances: &'a [OctetInstances<'b, E, COLS>],
    /// The answers.
    pub octets: &'a mut [Octet<COLS>],
}

impl<E: Entry, const COLS: usize> Work for FinishGroup<'_, '_, E, COLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let lanes = vectors.doubles();
        for (octet, instances) in self.octets.iter_mut().zip(self.instances) {
            octet.finish(lanes, instances);
        }
    }
}

/// An index as a number in a lane: the number's last bits are the index.
#[inline(always)]
fn numbered(index: usize) -> f64 {
    const BASE: f64 = (1u64 << 52) as f64;
    f64::from_bits(BASE.to_bits() | index as u64)
}

/// The index of a number that [`numbered`] made. It is less than `END`, a power of two.
#[inline(always)]
fn index<const END: usize>(number: f64) -> usize {
    number.to_bits() as usize % END
}

/// In place of a column, where a path starts.
const START: usize = WIDEST;

/// Columns and [`START`], to the next power of two.
const PLACES: usize = 2 * WIDEST;

/// Where the search in each lane stands.
struct Searches<'a, E, const COLS: usize> {
    /// Lanes that are not done.
    running: u8,
    /// The octet whose instance a lane is searching in.
    octet: [usize; DOUBLES],
    /// Costs of that instance.
    costs: [&'a [[E; COLS]; COLS]; DOUBLES],
    /// One bit for each row of it that is still to be searched from, the present start included.
    pending: [u32; DOUBLES],
    /// The row that was reached last.
    row: [usize; DOUBLES],
    /// Number of the column by way of which it was reached; [`START`] if it is the start.
    way_in: PerLane,
    /// Its u, less the length of the shortest path to it.
    offset: PerLane,
    /// Row matched with each column, or [`UNMATCHED`]; at [`START`] the row where the search started.
    row_of_col: [[i8; PLACES]; DOUBLES],
    /// The column is there.
    real: Flags,
    /// It is, and it is not settled.
    open: Flags,
    /// It is, and it is unmatched.
    unmatched: Flags,
    row_ceiling: PerLane,
    col_duals: [PerLane; COLS],
    /// Length of the shortest path known to each column.
    distance: [PerLane; COLS],
    /// The way into the row before the column, on that path.
    from: [PerLane; COLS],
    /// The cheapest way to end at a row so far.
    exit: PerLane,
    /// The way into that row.
    exit_way_in: PerLane,
}

impl<'a, E: Entry, const COLS: usize> Searches<'a, E, COLS> {
    /// No lane is running. `any` gives idle lanes something to read.
    #[inline(always)]
    fn new(any: &LaneInstance<'a, E, COLS>) -> Self {
        Searches {
            running: 0,
            octet: [0; DOUBLES],
            costs: [any.costs; DOUBLES],
            pending: [0; DOUBLES],
            row: [0; DOUBLES],
            way_in: PerLane([numbered(START); DOUBLES]),
            offset: PerLane::ZEROS,
            row_of_col: [[UNMATCHED; PLACES]; DOUBLES],
            real: Flags::default(),
            open: Flags::default(),
            unmatched: Flags::default(),
            row_ceiling: PerLane([f64::INFINITY; DOUBLES]),
            col_duals: [PerLane::ZEROS; COLS],
            distance: [PerLane([f64::INFINITY; DOUBLES]); COLS],
            from: [PerLane([numbered(START); DOUBLES]); COLS],
            exit: PerLane([f64::INFINITY; DOUBLES]),
            exit_way_in: PerLane([numbered(START); DOUBLES]),
        }
    }

    /// Goes on in the next octet where the lane has rows to search from; there may be none.
    #[inline(always)]
    fn search_in_next<L: LaneWise>(
        &mut self,
        lanes: L,
        lane: usize,
        instances: &[OctetInstances<'a, E, COLS>],
        octets: &[Octet<COLS>],
    ) {
        let bit = 1 << lane;
        self.running &= !bit;
        while let Some(octet) = octets.get(self.octet[lane]) {
            if octet.pending[lane] != 0 {
                let here = lanes.mask(bit);
                for col in 0..COLS {
                    merge(lanes, here, &octet.col_duals[col], &mut self.col_duals[col]);
                }
                merge(lanes, here, &octet.row_ceiling, &mut self.row_ceiling);
                self.real = merge_flags(bit, &octet.real, &self.real);
                self.open = merge_flags(bit, &octet.real, &self.open);
                self.unmatched = merge_flags(bit, &octet.unmatched, &self.unmatched);
                self.row_of_col[lane][..COLS].copy_from_slice(&octet.row_of_col[lane]);
                self.pending[lane] = octet.pending[lane];
                self.costs[lane] = instances[self.octet[lane]][lane].costs;
                self.running |= bit;
                self.search_from_next(lane);
                return;
            }
            self.octet[lane] += 1;
        }
    }

    /// Begins the search from the first pending row.
    #[inline(always)]
    fn search_from_next(&mut self, lane: usize) {
        let row = self.pending[lane].trailing_zeros() as usize % COLS;
        self.row_of_col[lane][START] = row as i8;
        self.row[lane] = row;
    }

    /// Leaves a lane's instance, which is solved.
    #[inline(always)]
    fn leave(&mut self, lane: usize, octets: &mut [Octet<COLS>]) {
        let bit = 1 << lane;
        let octet = &mut octets[self.octet[lane]];
        // One number at a time: it will be long before vectors of them are read.
        for col in 0..COLS {
            octet.col_duals[col].0[lane] = self.col_duals[col].0[lane];
        }
        octet.unmatched = merge_flags(bit, &self.unmatched, &octet.unmatched);
        octet.row_of_col[lane].copy_from_slice(&self.row_of_col[lane][..COLS]);
        self.octet[lane] += 1;
    }

    /// One sweep in each lane, and what follows from it.
    #[inline(always)]
    fn step<L: LaneWise>(
        &mut self,
        lanes: L,
        instances: &[OctetInstances<'a, E, COLS>],
        octets: &mut [Octet<COLS>],
    ) {
        let infinite = lanes.splat(f64::INFINITY);
        let way_in = lanes.load(&self.way_in.0);
        let offset = lanes.load(&self.offset.0);

        // The row may be the cheapest to end at. (`extend_path` asks that in the end, when a row is reached.)
        let here = lanes.subtract(lanes.load(&self.row_ceiling.0), offset);
        let exit = lanes.load(&self.exit.0);
        let is_cheaper = lanes.less(here, exit);
        let exit = lanes.smaller(here, exit);
        lanes.store(exit, &mut self.exit.0);
        let exit_way_in = lanes.select(is_cheaper, way_in, lanes.load(&self.exit_way_in.0));
        lanes.store(exit_way_in, &mut self.exit_way_in.0);

        // Offers every open column the path through the row, and finds the nearest one. (`Paths::start` and `Paths::relax`: the first
        // is the second with an offset of 0 and distances of +inf.)
        let mut rows = [&self.costs[0][self.row[0] % COLS]; DOUBLES];
        for lane in 1..DOUBLES {
            rows[lane] = &self.costs[lane][self.row[lane] % COLS];
        }
        let mut least = infinite;
        let mut nearest = lanes.splat(numbered(0));
        for chunk in (0..COLS / DOUBLES).rev() {
            let costs = transpose_chunk(lanes, rows, chunk);
            for col in (0..DOUBLES).rev() {
                let at = chunk * DOUBLES + col;
                let open = lanes.mask(flags_of(&self.open, at));
                // Settled columns are masked before anything is subtracted: what no level uses may be rounded at none, or answers
                // would depend on the level.
                let cost = lanes.select(open, costs[col], infinite);
                let reduced = lanes.subtract(cost, lanes.load(&self.col_duals[at].0));
                let through_row = lanes.subtract(reduced, offset);
                let distance = lanes.load(&self.distance[at].0);
                let shorter = lanes.less(through_row, distance);
                let distance = lanes.smaller(through_row, distance);
                lanes.store(distance, &mut self.distance[at].0);
                let from = lanes.select(shorter, way_in, lanes.load(&self.from[at].0));
                lanes.store(from, &mut self.from[at].0);
                // The columns come last to first. An unmatched one is taken even if it is only as near as the
                // nearest so far: so of equals the first unmatched one stays.
                let distance = lanes.select(open, distance, infinite);
                let unmatched = lanes.mask(flags_of(&self.unmatched, at));
                let as_near = lanes.both(unmatched, lanes.at_most(distance, least));
                let nearer = lanes.either(lanes.less(distance, least), as_near);
                nearest = lanes.select(nearer, lanes.splat(numbered(at)), nearest);
                least = lanes.smaller(distance, least);
            }
        }

        // To end at a row, or at an unmatched column, or to go on to the row matched with the column. (`extend_path`.)
        let exits = lanes.bits(lanes.less(exit, least));
        let length = lanes.smaller(exit, least);
        let infeasible = lanes.equal(length, infinite) as u8 & self.running;
        let mut cols = PerLane::ZEROS;
        lanes.store(nearest, &mut cols.0);
        let mut reduced = PerLane::ZEROS;
        let mut ends = exits;
        for lane in 0..DOUBLES {
            let col = index::<COLS>(cols.0[lane]);
            let row = self.row_of_col[lane][col];
            ends |= (row as u8 >> 7) << lane;
            self.open[col / DOUBLES] &= !flag(col, lane);
            let row = row as usize % COLS;
            reduced.0[lane] = self.costs[lane][row][col].widen() - self.col_duals[col].0[lane];
            self.row[lane] = row;
        }
        ends = ends & self.running | infeasible;
        let ending = lanes.mask(ends);
        let start = lanes.splat(numbered(START));
        let zero = lanes.splat(0.0);
        lanes.store(lanes.select(ending, start, nearest), &mut self.way_in.0);
        // Chosen before anything is subtracted, as above. It passes through memory that the compiler does not see into, or it would choose
        // between differences again.
        let chosen = lanes.select(ending, zero, lanes.load(&reduced.0));
        lanes.store(chosen, &mut reduced.0);
        let chosen = lanes.load(&std::hint::black_box(&mut reduced).0);
        let offset = lanes.subtract(chosen, lanes.select(ending, zero, length));
        lanes.store(offset, &mut self.offset.0);
        lanes.store(lanes.select(ending, infinite, exit), &mut self.exit.0);
        if ends == 0 {
            return;
        }

        // Restores (1): v of a column settled at distance d falls by length − d. (`augment_path` visits the columns of the rows
        // reached. Here all columns are visited: those that are not settled are at least as far as the path is long.)
        let solvable = lanes.mask(ends & !infeasible);
        let lowest = lanes.splat(f64::NEG_INFINITY);
        let length = lanes.select(solvable, length, lowest);
        let raised = lanes.select(ending, infinite, lowest);
        for col in 0..COLS {
            let distance = lanes.load(&self.distance[col].0);
            let excess = lanes.larger(lanes.subtract(length, distance), zero);
            let dual = lanes.subtract(lanes.load(&self.col_duals[col].0), excess);
            lanes.store(dual, &mut self.col_duals[col].0);
            // Not a choice, which the compiler would make a masked store: the next load would have to wait for it.
            let distance = lanes.larger(distance, raised);
            lanes.store(distance, &mut self.distance[col].0);
        }
        self.open = merge_flags(ends, &self.real, &self.open);
        while ends != 0 {
            let lane = ends.trailing_zeros() as usize % DOUBLES;
            ends &= ends - 1;
            if infeasible >> lane & 1 != 0 {
                octets[self.octet[lane]].infeasible |= 1 << lane;
                self.pending[lane] = 0;
            } else {
                self.flip_path(lane, cols.0[lane], exits >> lane & 1 != 0);
                self.pending[lane] &= self.pending[lane] - 1;
            }
            if self.pending[lane] != 0 {
                self.search_from_next(lane);
            } else {
                self.leave(lane, octets);
                self.search_in_next(lanes, lane, instances, octets);
            }
        }
    }

    /// Flips the shortest path, from its end back to its start. It ends at the column of number `nearest`, or at a
    /// row, which then loses its column to the row before.
    #[inline(always)]
    fn flip_path(&mut self, lane: usize, nearest: f64, exits: bool) {
        let mut col = if exits {
            self.exit_way_in.0[lane].to_bits() as usize % PLACES
        } else {
            let col = index::<COLS>(nearest);
            self.unmatched[col / DOUBLES] &= !flag(col, lane);
            col
        };
        // Most paths are short. Steps that are made whether there is something to flip or not need not be guessed.
        let row_of_col = &mut self.row_of_col[lane];
        for _ in 0..2 {
            let before = index::<PLACES>(self.from[col % COLS].0[lane]);
            let before = if col == START { START } else { before };
            row_of_col[col] = row_of_col[before];
            col = before;
        }
        while col != START {
            let before = index::<PLACES>(self.from[col % COLS].0[lane]);
            row_of_col[col % PLACES] = row_of_col[before];
            col = before;
        }
    }
}

/// Replaces the numbers in some lanes. Not by a choice, which the compiler would make a masked store: the next load would
/// have to wait for it.
#[inline(always)]
fn merge<L: LaneWise>(lanes: L, here: L::Mask, new: &PerLane, numbers: &mut PerLane) {
    let new = lanes.load(&new.0);
    let at_least = lanes.select(here, new, lanes.splat(f64::NEG_INFINITY));
    let at_most = lanes.select(here, new, lanes.splat(f64::INFINITY));
    let merged = lanes.larger(lanes.load(&numbers.0), at_least);
    lanes.store(lanes.smaller(merged, at_most), &mut numbers.0);
}
