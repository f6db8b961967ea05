//! Narrow problems side by side: eight at once, one in each lane of a vector.
//!
//! Up to [`WIDEST`] columns a sweep over one row is over before the processor knows what to do next. Here a sweep serves
//! eight instances, each of which goes on by itself: what is a branch in [`crate::solver`] is a choice between lanes.
//!
//! **Algorithm.** That of [`crate::solver`], with its invariants (1) and (2) and its ceilings, started differently:
//!
//! 1. **Column reduction** (squares without a limit only): v_j = min_i c_ij, as there. Then, as Jonker & Volgenant do,
//!    each column is matched with the row that holds its minimum, if no column before it was: such a row has nothing
//!    cheaper, for its reduced costs are not negative and this one is 0.
//! 2. **Augmentation** by Dijkstra's shortest paths for the rows that are left, in order. There is no augmenting row
//!    reduction: counted, it makes more steps than it saves.
//!
//! A *step* sweeps, in each lane, the row that the lane's search has just reached, finds the nearest column, and either
//! goes on to the row matched with it or ends the search and begins the next.
//!
//! **Lanes do not wait for each other.** A *group* is several *octets* of instances. The columns of an octet are reduced
//! together; then each lane makes its searches in the instance that it has in the first octet, in the second, and so
//! on. So how long a lane takes evens out: of eight single instances the slowest takes half again as long as the mean.
//!
//! **Ties.** Of equal distances an unmatched column goes first, then the column of lowest index; among matched columns
//! the one of highest index, which saves a comparison. Of equal costs in a column the first row holds it. A row is left
//! unmatched only where that is strictly cheaper. All-equal costs match i to i. No lane knows of another, so nothing
//! depends on the neighbours or on the place among them.
//!
//! **Exactness.** As in [`crate::exact`]: where nothing was rounded in the group, its answers are exact. Otherwise each has
//! to be proven near enough, and what cannot be is solved again, alone, and then in twice the precision. Additions
//! and subtractions are those of [`crate::solver`] and stay within the same bounds, so the same costs are exact.
//!
//! **Cost.** A step is O(columns) vector operations. Workspace O(rows + columns) for each instance of a group.

#![expect(
    clippy::needless_range_loop,
    reason = "a lane or a column is an index into several arrays at once"
)]

use std::collections::TryReserveError;

use crate::arithmetic::DoubleDouble;
use crate::float_environment::Exactness;
use crate::lanes::{DOUBLES, LaneWise, Lanes, Portable, Vectors, Work};
use crate::problem::{Entry, Instance};
use crate::solver::{Infeasible, Solver};

pub use crate::problem::WIDEST;

/// Octets of a group.
const OCTETS: usize = 8;

/// Instances of a group.
pub const TOGETHER: usize = OCTETS * DOUBLES;

/// Marks a column without a partner; as [`crate::solver::UNMATCHED`], in a byte.
const UNMATCHED: i8 = -1;

/// A yes or no for each column and lane: bit 8·(j mod 8) + l of word j / 8 is that of column j in lane l.
type Flags = [u64; WIDEST / DOUBLES];

/// The flags of one column, a bit for each lane.
#[inline(always)]
fn flags_of(flags: &Flags, col: usize) -> u8 {
    (flags[col / DOUBLES] >> (col % DOUBLES * DOUBLES)) as u8
}

/// The flag of one column in one lane, which has to be shifted to word `col / 8`.
#[inline(always)]
fn flag(col: usize, lane: usize) -> u64 {
    1 << (col % DOUBLES * DOUBLES + lane)
}

/// The same bits for each of eight columns.
#[inline(always)]
fn repeated(bits: u8) -> u64 {
    u64::from(bits) * 0x0101_0101_0101_0101
}

/// `new` in some lanes, `old` in the others.
#[inline(always)]
fn merge_flags(lanes: u8, new: &Flags, old: &Flags) -> Flags {
    let new_lanes = repeated(lanes);
    let mut merged = *old;
    for (merged, new) in merged.iter_mut().zip(new) {
        *merged = *merged & !new_lanes | new & new_lanes;
    }
    merged
}

/// A number for each lane.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct PerLane([f64; DOUBLES]);

impl PerLane {
    const ZEROS: PerLane = PerLane([0.0; DOUBLES]);
}

/// An instance as the lanes read it.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a, E, const COLS: usize> {
    /// Costs, +inf beyond the instance's rows and columns.
    pub costs: &'a [[E; COLS]; COLS],
    /// Number of rows; not more than columns.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Half the limit; +inf where every row must be matched.
    pub half_limit: f64,
}

/// The instances of an octet.
pub type SeatsOfOctet<'a, E, const COLS: usize> = [Seat<'a, E, COLS>; DOUBLES];

impl<'a, E: Entry, const COLS: usize> Seat<'a, E, COLS> {
    /// That of an instance.
    #[inline(always)]
    pub fn of(instance: &Instance<'a, E>) -> Self {
        Seat {
            costs: instance.narrow_costs(),
            rows: instance.rows(),
            cols: instance.cols(),
            half_limit: instance.half_limit,
        }
    }

    /// The same, taken. An instance without rows asks for nothing.
    #[inline(always)]
    pub fn left_empty(self) -> Self {
        Seat {
            rows: 0,
            cols: 0,
            ..self
        }
    }

    #[inline(always)]
    fn is_balanced(&self) -> bool {
        self.rows == self.cols && self.rows > 0 && self.half_limit.is_infinite()
    }
}

/// Eight instances of a group, as far as they are solved.
#[derive(Clone, Debug)]
pub struct Octet<const COLS: usize> {
    /// v.
    col_duals: [PerLane; COLS],
    /// u, in each lane.
    row_duals: [[f64; COLS]; DOUBLES],
    /// Row matched with each column, in each lane, or [`UNMATCHED`].
    row_of_col: [[i8; COLS]; DOUBLES],
    /// Column matched with each row, in each lane, or [`UNMATCHED`].
    col_of_row: [[i8; COLS]; DOUBLES],
    /// The column is there.
    real: Flags,
    /// It is, and it is unmatched.
    unmatched: Flags,
    /// One bit for each row that is still to be searched from.
    pending: [u32; DOUBLES],
    row_ceiling: PerLane,
    /// Lanes in which all columns end up matched.
    balanced: u8,
    /// Lanes whose allowed pairs cannot match all rows.
    infeasible: u8,
    total_costs: PerLane,
}

impl<const COLS: usize> Octet<COLS> {
    const EMPTY: Self = Octet {
        col_duals: [PerLane::ZEROS; COLS],
        row_duals: [[0.0; COLS]; DOUBLES],
        row_of_col: [[UNMATCHED; COLS]; DOUBLES],
        col_of_row: [[UNMATCHED; COLS]; DOUBLES],
        real: [0; WIDEST / DOUBLES],
        unmatched: [0; WIDEST / DOUBLES],
        pending: [0; DOUBLES],
        row_ceiling: PerLane::ZEROS,
        balanced: 0,
        infeasible: 0,
        total_costs: PerLane::ZEROS,
    };

    /// Can the allowed pairs of this lane's instance not match all rows?
    #[inline(always)]
    pub fn is_infeasible(&self, lane: usize) -> bool {
        self.infeasible >> lane & 1 != 0
    }

    /// One bit for each lane whose instance's allowed pairs cannot match all rows.
    #[inline(always)]
    pub fn infeasible(&self) -> u8 {
        self.infeasible
    }

    /// Column matched with each row, or −1.
    #[inline(always)]
    pub fn col_of_row(&self, lane: usize) -> &[i8; COLS] {
        &self.col_of_row[lane]
    }

    /// Row matched with each column, or −1.
    #[inline(always)]
    pub fn row_of_col(&self, lane: usize) -> &[i8; COLS] {
        &self.row_of_col[lane]
    }

    /// u.
    #[inline(always)]
    pub fn row_duals(&self, lane: usize) -> &[f64; COLS] {
        &self.row_duals[lane]
    }

    /// v of one column, in all lanes.
    #[inline(always)]
    pub fn col_dual(&self, col: usize) -> &[f64; DOUBLES] {
        &self.col_duals[col].0
    }

    /// Sum of matched costs, with the rounding errors added back as in [`crate::sum`]. Not finite where a partial sum
    /// left the range of f64.
    #[inline(always)]
    pub fn total_cost(&self, lane: usize) -> f64 {
        self.total_costs.0[lane]
    }

    /// The same in all lanes.
    #[inline(always)]
    pub fn total_costs(&self) -> &[f64; DOUBLES] {
        &self.total_costs.0
    }
}

/// Solvers of both precisions for groups of instances. One worker owns one and reuses it.
#[derive(Debug)]
pub struct SideBySide<const COLS: usize> {
    octets: Vec<Octet<COLS>>,
    /// Of an instance that is solved again; usually none.
    alone: Vec<Octet<COLS>>,
    // Made room for only when it is needed, which is rare.
    double_double: Solver<DoubleDouble>,
}

impl<const COLS: usize> Default for SideBySide<COLS> {
    fn default() -> Self {
        SideBySide {
            octets: Vec::new(),
            alone: Vec::new(),
            double_double: Solver::default(),
        }
    }
}

/// What became of an instance that was solved again.
#[derive(Debug)]
pub enum Again<'a, const COLS: usize> {
    /// The allowed pairs cannot match all rows.
    Infeasible,
    /// Nothing was rounded: solved in the first lane of an octet.
    Exact(&'a Octet<COLS>),
    /// Solved in twice the precision.
    InDoubleDouble(&'a Solver<DoubleDouble>),
}

impl<const COLS: usize> SideBySide<COLS> {
    /// Makes room for a group.
    pub fn try_reserve(&mut self) -> Result<(), TryReserveError> {
        self.octets.try_reserve_exact(OCTETS - self.octets.len())
    }

    /// The answers to the last group.
    #[inline(always)]
    pub fn octets(&self) -> &[Octet<COLS>] {
        &self.octets
    }

    /// Solves a group: octets of instances, at most [`TOGETHER`] in all. Was nothing rounded?
    #[inline(always)]
    pub fn solve<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        seats: &[SeatsOfOctet<E, COLS>],
    ) -> bool {
        // Within what was set aside.
        self.octets.resize(seats.len().min(OCTETS), Octet::EMPTY);
        solve_and_watch(vectors, seats, &mut self.octets)
    }

    /// Lanes of an octet whose answers are proven near enough to the optimum, where `largest` is max(|c|, |L|) of each.
    #[inline(always)]
    pub fn prove<V: Vectors, E: Entry>(
        &self,
        vectors: V,
        octet: usize,
        seats: &SeatsOfOctet<E, COLS>,
        largest: [f64; DOUBLES],
    ) -> u8 {
        vectors.run_apart(AreNearEnough {
            seats,
            octet: &self.octets[octet],
            largest,
        })
    }

    /// What others of the group made inexact may be exact by itself; if not, twice the precision is needed.
    #[cold]
    #[inline(never)]
    pub fn solve_again<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instance: &Instance<E>,
    ) -> Result<Again<'_, COLS>, TryReserveError> {
        let seat = Seat::of(instance);
        let mut seats = [seat.left_empty(); DOUBLES];
        seats[0] = seat;
        self.alone.clear();
        self.alone.try_reserve_exact(1)?;
        self.alone.push(Octet::EMPTY);
        // By the same code as the group, which rounds where that does and nowhere else.
        let exact = solve_and_watch(vectors, &[seats], &mut self.alone);
        if exact && instance.scaling_is_exact && self.alone[0].infeasible == 0 {
            return Ok(Again::Exact(&self.alone[0]));
        }
        let wider = &mut self.double_double;
        wider.try_reserve(instance.rows(), instance.cols())?;
        match wider.solve::<_, _, DOUBLES>(Portable::default(), instance) {
            Ok(()) => Ok(Again::InDoubleDouble(wider)),
            Err(Infeasible) => Ok(Again::Infeasible),
        }
    }
}

/// In place of a column, where a path starts.
const START: usize = WIDEST;

/// Columns and [`START`], to the next power of two.
const PLACES: usize = 2 * WIDEST;

/// An index in a lane, as a number whose last bits it is.
#[inline(always)]
fn numbered(index: usize) -> f64 {
    const BASE: f64 = (1u64 << 52) as f64;
    f64::from_bits(BASE.to_bits() | index as u64)
}

/// The index, which is less than `END`, a power of two.
#[inline(always)]
fn index<const END: usize>(number: f64) -> usize {
    number.to_bits() as usize % END
}

/// Solves a group and finishes its answers. Was nothing rounded that decides them?
///
/// What is watched is done behind a call that is never inlined, so that no arithmetic can move past the flag being read.
#[inline(always)]
fn solve_and_watch<V: Vectors, E: Entry, const COLS: usize>(
    vectors: V,
    seats: &[SeatsOfOctet<E, COLS>],
    octets: &mut [Octet<COLS>],
) -> bool {
    let exactness = Exactness::watch();
    vectors.run_apart(SolveGroup {
        seats,
        octets: &mut *octets,
    });
    let exact = exactness.held(octets);
    vectors.run_apart(FinishGroup { seats, octets });
    exact
}

/// Solves a group, all but what [`FinishGroup`] does.
struct SolveGroup<'a, 'b, E, const COLS: usize> {
    seats: &'a [SeatsOfOctet<'b, E, COLS>],
    octets: &'a mut [Octet<COLS>],
}

impl<E: Entry, const COLS: usize> Work for SolveGroup<'_, '_, E, COLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let SolveGroup { seats, octets } = self;
        let lanes = vectors.doubles();
        for (octet, seats) in octets.iter_mut().zip(seats) {
            octet.begin(lanes, seats);
        }
        let mut searches = Searches::new(&seats[0][0]);
        for lane in 0..DOUBLES {
            searches.search_in_next(lanes, lane, seats, octets);
        }
        while searches.running != 0 {
            searches.step(lanes, seats, octets);
        }
    }
}

/// Duals, partners and totals of a group that is solved.
struct FinishGroup<'a, 'b, E, const COLS: usize> {
    seats: &'a [SeatsOfOctet<'b, E, COLS>],
    octets: &'a mut [Octet<COLS>],
}

impl<E: Entry, const COLS: usize> Work for FinishGroup<'_, '_, E, COLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let lanes = vectors.doubles();
        for (octet, seats) in self.octets.iter_mut().zip(self.seats) {
            octet.finish(lanes, seats);
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

/// Eight columns of one row in each lane.
#[inline(always)]
fn transpose_chunk<L: LaneWise, E: Entry, const COLS: usize>(
    lanes: L,
    rows: [&[E; COLS]; DOUBLES],
    chunk: usize,
) -> [L::Vector; DOUBLES] {
    let mut chunks = [&rows[0].as_chunks().0[chunk]; DOUBLES];
    for lane in 1..DOUBLES {
        chunks[lane] = &rows[lane].as_chunks().0[chunk];
    }
    E::transpose(lanes, chunks)
}

/// The same row in each lane.
#[inline(always)]
fn rows_at<'a, E: Entry, const COLS: usize>(
    seats: &SeatsOfOctet<'a, E, COLS>,
    row: usize,
) -> [&'a [E; COLS]; DOUBLES] {
    let mut rows = [&seats[0].costs[row]; DOUBLES];
    for lane in 1..DOUBLES {
        rows[lane] = &seats[lane].costs[row];
    }
    rows
}

/// Most rows of any.
#[inline(always)]
fn most_rows<E, const COLS: usize>(seats: &SeatsOfOctet<E, COLS>) -> usize {
    let mut most = 0;
    for seat in seats {
        most = seat.rows.max(most);
    }
    most.min(COLS)
}

/// |x|, lane by lane.
#[inline(always)]
fn magnitude<L: LaneWise>(lanes: L, vector: L::Vector) -> L::Vector {
    lanes.larger(vector, lanes.subtract(lanes.splat(0.0), vector))
}

impl<const COLS: usize> Octet<COLS> {
    /// Column reduction where columns all end up matched; elsewhere v starts at its ceiling.
    #[inline(always)]
    fn begin<L: LaneWise, E: Entry>(&mut self, lanes: L, seats: &SeatsOfOctet<E, COLS>) {
        let mut cols = PerLane::ZEROS;
        let mut col_ceiling = PerLane::ZEROS;
        self.balanced = 0;
        for lane in 0..DOUBLES {
            let seat = &seats[lane];
            cols.0[lane] = seat.cols as f64;
            self.row_ceiling.0[lane] = seat.half_limit;
            if seat.half_limit.is_finite() {
                col_ceiling.0[lane] = seat.half_limit;
            }
            self.balanced |= u8::from(seat.is_balanced()) << lane;
        }
        let cols = lanes.load(&cols.0);
        self.real = [0; WIDEST / DOUBLES];
        for col in 0..COLS {
            let real = lanes.bits(lanes.less(lanes.splat(col as f64), cols));
            self.real[col / DOUBLES] |= u64::from(real) << (col % DOUBLES * DOUBLES);
        }
        self.unmatched = self.real;
        let mut holders = [PerLane([numbered(0); DOUBLES]); COLS];
        self.reduce_columns(lanes, seats, &col_ceiling, &mut holders);
        for lane in 0..DOUBLES {
            let rows = seats[lane].rows;
            let mut pending = ((1u64 << rows) - 1) as u32;
            if self.balanced >> lane & 1 != 0 {
                // Each row keeps the first of the columns that it holds.
                for col in 0..COLS {
                    let row = index::<COLS>(holders[col].0[lane]);
                    let is_real = flags_of(&self.real, col) >> lane;
                    let keeps = pending >> row & u32::from(is_real) & 1;
                    self.row_of_col[lane][col] = row as i8 | (keeps as i8 - 1);
                    pending &= !(keeps << row);
                    self.unmatched[col / DOUBLES] &= !(u64::from(keeps) * flag(col, lane));
                }
            } else {
                self.row_of_col[lane] = [UNMATCHED; COLS];
            }
            let feasible = self.infeasible >> lane & 1 == 0;
            self.pending[lane] = if feasible { pending } else { 0 };
        }
    }

    /// v_j, and the row that holds the minimum.
    #[inline(always)]
    fn reduce_columns<L: LaneWise, E: Entry>(
        &mut self,
        lanes: L,
        seats: &SeatsOfOctet<E, COLS>,
        col_ceiling: &PerLane,
        holders: &mut [PerLane; COLS],
    ) {
        let rows = if self.balanced == 0 {
            0
        } else {
            most_rows(seats)
        };
        let infinite = lanes.splat(f64::INFINITY);
        let balanced = lanes.mask(self.balanced);
        let ceiling = lanes.load(&col_ceiling.0);
        // Below all real ones when the largest is sought, and +inf less this is still +inf.
        let padding = lanes.splat(f64::NEG_INFINITY);
        self.infeasible = 0;
        for chunk in 0..COLS / DOUBLES {
            let mut least = [infinite; DOUBLES];
            let mut holder = [lanes.splat(numbered(0)); DOUBLES];
            for row in 0..rows {
                let costs = transpose_chunk(lanes, rows_at(seats, row), chunk);
                let number = lanes.splat(numbered(row));
                for col in 0..DOUBLES {
                    let cheaper = lanes.less(costs[col], least[col]);
                    holder[col] = lanes.select(cheaper, number, holder[col]);
                    least[col] = lanes.smaller(costs[col], least[col]);
                }
            }
            for col in 0..DOUBLES {
                let at = chunk * DOUBLES + col;
                let real = lanes.mask(flags_of(&self.real, at));
                let dual = lanes.select(balanced, least[col], ceiling);
                let dual = lanes.select(real, dual, padding);
                self.infeasible |= lanes.equal(dual, infinite) as u8;
                lanes.store(dual, &mut self.col_duals[at].0);
                lanes.store(holder[col], &mut holders[at].0);
            }
        }
    }

    /// When all are matched: of all equally good duals of a square, takes those with max v = 0; then u, columns of rows,
    /// and totals.
    #[inline(always)]
    fn finish<L: LaneWise, E: Entry>(&mut self, lanes: L, seats: &SeatsOfOctet<E, COLS>) {
        let zero = lanes.splat(0.0);
        let mut top = lanes.splat(f64::NEG_INFINITY);
        for dual in &self.col_duals {
            top = lanes.larger(lanes.load(&dual.0), top);
        }
        let shift = lanes.select(lanes.mask(self.balanced), top, zero);
        for lane in 0..DOUBLES {
            if self.balanced >> lane & 1 == 0 {
                self.row_duals[lane] = [self.row_ceiling.0[lane]; COLS];
                self.col_of_row[lane] = [UNMATCHED; COLS];
            }
        }
        // Sums of matched costs: `crate::sum::compensated_sum` in each lane.
        let mut sum = zero;
        let mut lost = zero;
        for col in 0..COLS {
            let mut costs = PerLane::ZEROS;
            for lane in 0..DOUBLES {
                let row = self.row_of_col[lane][col] as usize % COLS;
                costs.0[lane] = seats[lane].costs[row][col].widen();
            }
            let dual = lanes.subtract(lanes.load(&self.col_duals[col].0), shift);
            lanes.store(dual, &mut self.col_duals[col].0);
            let matched = flags_of(&self.real, col) & !flags_of(&self.unmatched, col);
            let cost = lanes.load(&costs.0);
            let mut row_duals = PerLane::ZEROS;
            lanes.store(lanes.subtract(cost, dual), &mut row_duals.0);
            for lane in 0..DOUBLES {
                // Where all are matched, as in most groups, there is nothing to guess.
                if matched == u8::MAX || matched >> lane & 1 != 0 {
                    let row = self.row_of_col[lane][col] as usize % COLS;
                    self.row_duals[lane][row] = row_duals.0[lane];
                    self.col_of_row[lane][row] = col as i8;
                }
            }
            let term = lanes.select(lanes.mask(matched), cost, zero);
            let next = lanes.add(sum, term);
            let term_is_larger = lanes.less(magnitude(lanes, sum), magnitude(lanes, term));
            let larger = lanes.select(term_is_larger, term, sum);
            let smaller = lanes.select(term_is_larger, sum, term);
            let missed = lanes.add(lanes.subtract(larger, next), smaller);
            lost = lanes.add(lost, missed);
            sum = next;
        }
        lanes.store(lanes.add(sum, lost), &mut self.total_costs.0);
    }
}

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
    fn new(any: &Seat<'a, E, COLS>) -> Self {
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
        seats: &[SeatsOfOctet<'a, E, COLS>],
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
                self.costs[lane] = seats[self.octet[lane]][lane].costs;
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
        seats: &[SeatsOfOctet<'a, E, COLS>],
        octets: &mut [Octet<COLS>],
    ) {
        let infinite = lanes.splat(f64::INFINITY);
        let way_in = lanes.load(&self.way_in.0);
        let offset = lanes.load(&self.offset.0);

        // The row may be the cheapest to end at.
        let here = lanes.subtract(lanes.load(&self.row_ceiling.0), offset);
        let exit = lanes.load(&self.exit.0);
        let is_cheaper = lanes.less(here, exit);
        let exit = lanes.smaller(here, exit);
        lanes.store(exit, &mut self.exit.0);
        let exit_way_in = lanes.select(is_cheaper, way_in, lanes.load(&self.exit_way_in.0));
        lanes.store(exit_way_in, &mut self.exit_way_in.0);

        // Offers every open column the path through the row, and finds the nearest one.
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
                let reduced = lanes.subtract(costs[col], lanes.load(&self.col_duals[at].0));
                let through_row = lanes.select(open, lanes.subtract(reduced, offset), infinite);
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

        // To end at a row, or at an unmatched column, or to go on to the row matched with the column.
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
        let offset = lanes.subtract(lanes.load(&reduced.0), length);
        ends = ends & self.running | infeasible;
        let ending = lanes.mask(ends);
        let start = lanes.splat(numbered(START));
        let zero = lanes.splat(0.0);
        lanes.store(lanes.select(ending, start, nearest), &mut self.way_in.0);
        lanes.store(lanes.select(ending, zero, offset), &mut self.offset.0);
        lanes.store(lanes.select(ending, infinite, exit), &mut self.exit.0);
        if ends == 0 {
            return;
        }

        // Restores (1): a column settled at distance d becomes dearer by length − d, never cheaper.
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
                self.search_in_next(lanes, lane, seats, octets);
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

/// Are the objectives of an octet's answers within rows·2^−50·max(|c|, |L|) of the optimum? The bound is that of
/// [`crate::exact`], eight at once.
struct AreNearEnough<'a, 'b, E, const COLS: usize> {
    seats: &'a SeatsOfOctet<'b, E, COLS>,
    octet: &'a Octet<COLS>,
    largest: [f64; DOUBLES],
}

impl<E: Entry, const COLS: usize> Work for AreNearEnough<'_, '_, E, COLS> {
    /// One bit for each lane.
    type Output = u8;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> u8 {
        let AreNearEnough {
            seats,
            octet,
            largest,
        } = self;
        let lanes = vectors.doubles();
        let zero = lanes.splat(0.0);
        let ceiling = lanes.load(&octet.row_ceiling.0);
        let mut distance = zero;
        let mut largest_row_dual = zero;
        let mut largest_col_dual = zero;
        for row in 0..most_rows(seats) {
            let costs = rows_at(seats, row);
            // A row may also be unmatched, at half the limit; without a limit that is +inf.
            let mut least = ceiling;
            for chunk in 0..COLS / DOUBLES {
                let costs = transpose_chunk(lanes, costs, chunk);
                for col in 0..DOUBLES {
                    let dual = lanes.load(&octet.col_duals[chunk * DOUBLES + col].0);
                    least = lanes.smaller(lanes.subtract(costs[col], dual), least);
                }
            }
            let mut u = PerLane::ZEROS;
            let mut is_row = 0u8;
            for lane in 0..DOUBLES {
                u.0[lane] = octet.row_duals[lane][row];
                is_row |= u8::from(row < seats[lane].rows) << lane;
            }
            let u = lanes.load(&u.0);
            let is_row = lanes.mask(is_row);
            let too_high = lanes.both(is_row, lanes.less(least, u));
            let excess = lanes.select(too_high, lanes.subtract(u, least), zero);
            distance = lanes.add(distance, excess);
            let u = lanes.select(is_row, magnitude(lanes, u), zero);
            largest_row_dual = lanes.larger(u, largest_row_dual);
        }
        for col in 0..COLS {
            let v = lanes.load(&octet.col_duals[col].0);
            let real = lanes.mask(flags_of(&octet.real, col));
            let v = lanes.select(real, magnitude(lanes, v), zero);
            largest_col_dual = lanes.larger(v, largest_col_dual);
        }
        let duals = lanes.add(largest_row_dual, largest_col_dual);
        let [mut distances, mut magnitudes] = [[0.0; DOUBLES]; 2];
        lanes.store(distance, &mut distances);
        lanes.store(duals, &mut magnitudes);
        let mut proven = 0;
        for (lane, seat) in seats.iter().enumerate() {
            const ROUNDOFF: f64 = f64::EPSILON / 2.0;
            let rows = seat.rows as f64;
            let bound =
                distances[lane] + 2.0 * rows * ROUNDOFF * (largest[lane] + magnitudes[lane]);
            let allowed = 8.0 * rows * ROUNDOFF * largest[lane];
            proven |= u8::from(bound <= allowed) << lane;
        }
        proven
    }
}
