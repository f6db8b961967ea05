//! The assignment problem by shortest augmenting paths.
//!
//! Given costs c (rows ≤ columns; +inf = forbidden), match every row with a column of its own so that
//! the sum of matched costs is least. With a limit L, a row or a column may stay unmatched at L/2 each.
//!
//! **Algorithm.** Jonker & Volgenant, "A shortest augmenting path algorithm for dense and sparse linear
//! assignment problems", Computing 38 (1987), in the rectangular form of Crouse, "On implementing 2D
//! rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52 (2016): rectangles are not
//! padded. The arithmetic is a parameter. Costs of every supported type are exact in f64 and wider; f32 only serves to
//! find duals from which those can start.
//!
//! The dual problem: maximise Σu + Σv subject to u_i + v_j ≤ c_ij. The solver holds only the column
//! duals v. Row duals follow: u_i = c_ij − v_j for a matched row. Throughout,
//!
//! * (1) every matched pair is the cheapest of its row under c − v, so u_i + v_j ≤ c_ij holds for matched rows;
//! * (2) v never rises, and v_j stays at the *column ceiling* while column j is unmatched.
//!
//! The column ceiling is 0 for a rectangle, L/2 with a limit, and absent for a square without a limit, where
//! all columns end up matched. The *row ceiling* is L/2 with a limit, else +inf; a row whose cheapest
//! reduced cost is above it is better off unmatched, and stays so because of (2).
//!
//! 1. **Start**, from what the first look found ([`crate::survey`]). Squares: column reduction, v_j = min_i c_ij, and a
//!    row takes the first column whose minimum it was the first to have. *Reduction transfer* then lowers v of each column
//!    that was taken by as much as keeps (1), that is by the gap between the two least reduced costs of its row. Otherwise
//!    v begins at its ceiling, and a row takes its cheapest column, the first of several, unless a row before it did.
//!    Either way (1) holds for rows that took one.
//! 2. **Augmenting row reduction** of the other rows: each takes the column of its least reduced cost. Where that belongs to
//!    another row, or to nobody and may not stay so, it lowers v there by as much as keeps (1), that is by the gap to its
//!    second least. A row that loses its column tries again behind all others: so each fights over prices that the others
//!    have left behind, not over one column with the row that took it. There are 5/4 as many tries as rows, at most. (With
//!    more, augmentation saves no more sweeps than that costs.)
//! 3. **Augmentation**: for each row still unmatched, Dijkstra's shortest path over reduced costs to an unmatched
//!    column, or to a row that had better be unmatched; then v is updated so that (1) holds again, and the
//!    path is flipped.
//!
//! **Ties.** Of equal reduced costs an unmatched column goes first, then the column of lowest index. A row is
//! left unmatched only where that is strictly cheaper than what its search found, so a lone pair at exactly L
//! is matched. All-equal costs match i to i. Nothing depends on anything but the problem itself.
//!
//! **Size of the numbers.** Let C = max(|c|, |L|), where L is what the limit counts as (see [`crate::problem`]). A path
//! alternates between adding and subtracting a cost, so duals and the lengths of settled paths stay within
//! 2·rows·C + 2C, whatever the order of events. Where costs and L/2 are multiples of some q with
//! 2(rows + columns)·C ≤ 2^53·q, f64 therefore computes everything that decides the answer without rounding, and the
//! answer is exactly optimal.
//!
//! **Cost.** Time O(rows² · columns); a sweep is one pass over a row. A search leaves out rows that are equal to one that it has
//! swept ([`crate::equal_rows`]), and goes from one column to the next of several as near. Workspace O(rows + columns).
//!
//! **Steps.** A step is a sweep over one row ([`Solver::sweep`]), and what follows from what it found ([`Solver::act`]).
//! Several solvers make their sweeps together, then act: a sweep waits most of the time for a minimum to be known, and the
//! processor fills that time with the others' sweeps, as long as it need not guess what a minimum leads to. A wrong guess
//! throws all of it away, so a sweep has no branch that depends on costs, and augmenting row reduction has none either.

use std::collections::TryReserveError;
use std::hint::select_unpredictable;

use crate::arithmetic::{Arithmetic, power_of_two_from};
use crate::equal_rows::EqualRows;
use crate::lanes::{Lanes, Portable};
use crate::problem::{Entry, Instance};
use crate::survey::Survey;
use crate::sweep::{self, ANY, BLOCK, Nearest, Paths, PerColumn, PerQuad, TwoNearest};

/// Marks a row or a column without a partner, as in the op's outputs.
pub const UNMATCHED: i32 = -1;

/// Returned when the allowed pairs cannot match all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Infeasible;

/// How much work a solve was. A sweep reads one row of costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweeps {
    /// Sweeps of reduction transfer and augmenting row reduction.
    pub reduction: u64,
    /// Sweeps of shortest path searches.
    pub augmentation: u64,
}

/// Augmenting row reduction gives up after as many sweeps as this.
#[inline(always)]
fn most_tries(rows: usize) -> usize {
    rows + rows / 4
}

/// After so many sweeps of searches for each row, equal rows are looked for,
const SWEEPS_PER_ROW: u64 = 4;
/// if sweeps are so long.
const WIDE: usize = 256;

/// The solver and its workspace. One worker owns one and reuses it for problem after problem.
#[derive(Debug)]
pub struct Solver<R> {
    /// Row ceiling of the problem at hand.
    row_ceiling: R,
    /// Column matched with each row, or [`UNMATCHED`]; one more behind the last row, which belongs to nobody.
    col_of_row: Vec<i32>,
    /// Row matched with each column, or [`UNMATCHED`].
    row_of_col: Vec<i32>,
    /// One bit for each column, set while it is unmatched.
    unmatched_cols: Vec<u64>,
    /// u of matched rows; of all rows after a successful solve.
    row_duals: Vec<R>,
    /// Least cost of each row less the column ceiling, where columns may stay unmatched.
    row_least: Vec<R>,
    /// The second least reduced cost of each row, when it took its column in augmenting row reduction, or v was lowered there
    /// by reduction transfer. As v never rises, all its other pairs still are at least that. −inf for rows that came to
    /// their columns otherwise.
    others_least: Vec<R>,
    margin: Margin<R>,
    /// v.
    col_duals: PerColumn<R>,
    /// Rows that augmenting row reduction is to try, or has tried, in that order.
    queue: Vec<usize>,
    /// Rows that column reduction has matched.
    claimed: Vec<usize>,
    /// Rows that augmenting row reduction left for augmentation.
    pending: Vec<usize>,
    phase: Phase,
    /// What the last sweep found.
    found: TwoNearest<R>,
    quad_least: PerQuad<R>,
    search: Search<R>,
    equal_rows: EqualRows<R>,
    /// After so many sweeps of searches equal rows are looked for.
    sweeps_before_equal_rows: u64,
    /// By how much the duals of a square problem were shifted in the end.
    shift: R,
    sweeps: Sweeps,
}

/// Workspace of one shortest path search.
#[derive(Debug)]
struct Search<R> {
    paths: Paths<R>,
    /// Rows reached, in the order of their distances.
    reached: Vec<Reached<R>>,
    /// The cheapest way to end at a row so far.
    exit: R,
    /// That row's place among the rows reached.
    exit_place: usize,
    /// Columns as near as the last that was settled, where that need not be found out by a sweep.
    tied: Vec<u32>,
    /// They are listed, and none has been offered a path since.
    are_tied_listed: bool,
}

/// By how much a row that lowers v stays below what (1) allows. Its own pair then is cheaper than all others by that much,
/// which is more than rounding can hide.
#[derive(Clone, Copy, Debug)]
pub struct Margin<R> {
    amount: R,
    /// Added to a number and subtracted again it leaves multiples of 16 margins as they are, and no others.
    rounding: R,
}

impl<R: Arithmetic> Margin<R> {
    /// v is lowered by all of a gap.
    pub fn none() -> Self {
        Margin {
            amount: R::ZERO,
            rounding: R::ZERO,
        }
    }

    /// What a gap leaves. One of few digits, as whole numbers have, stays whole, and so do duals; one that is no
    /// larger than two margins does, too.
    #[inline(always)]
    fn below(self, gap: R) -> R {
        let is_coarse = (gap + self.rounding) - self.rounding == gap;
        let is_whole = is_coarse | (gap < self.amount + self.amount);
        select_unpredictable(is_whole, gap, gap - self.amount)
    }
}

impl Margin<f32> {
    /// Of some 2^−15 of the largest cost. Where v is no larger than that, as in most instances, f32 rounds no more than 2^−22
    /// of it; where it is, [`Solver::is_cheapest_by`] will not find the margin wide enough.
    pub fn of(largest: f64) -> Self {
        const DIGITS: f64 = 1.5 * (1u32 << 23) as f64;
        let amount = power_of_two_from(largest) / (1u32 << 15) as f64;
        Margin {
            amount: amount as f32,
            rounding: (DIGITS * 16.0 * amount) as f32,
        }
    }
}

/// What the solver is about.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Augmenting row reduction is at this place of its queue.
    Reduction { place: usize },
    /// Augmentation searches from the pending row at `position`.
    Augmentation { position: usize },
    /// Nothing is left to do.
    Done,
}

/// A row that a search has reached: its start, or by way of the column that it was matched with.
#[derive(Clone, Copy, Debug)]
struct Reached<R> {
    row: usize,
    /// The column; meaningless for the start.
    col: usize,
    /// The length of the shortest path to it.
    length: R,
    /// u of the row, less that length.
    offset: R,
}

/// Where a shortest path ends.
enum Sink {
    /// At an unmatched column.
    Column(usize),
    /// At a row that had better be unmatched: its place among the rows reached.
    Row(usize),
}

impl<R: Arithmetic> Default for Solver<R> {
    fn default() -> Self {
        Solver {
            row_ceiling: R::ZERO,
            col_of_row: Vec::new(),
            row_of_col: Vec::new(),
            unmatched_cols: Vec::new(),
            row_duals: Vec::new(),
            row_least: Vec::new(),
            others_least: Vec::new(),
            margin: Margin::none(),
            col_duals: PerColumn::default(),
            queue: Vec::new(),
            claimed: Vec::new(),
            pending: Vec::new(),
            phase: Phase::Done,
            found: TwoNearest {
                first: Nearest {
                    value: R::ZERO,
                    col: 0,
                    is_unmatched: false,
                    others: 0,
                },
                second: R::ZERO,
            },
            quad_least: PerQuad::default(),
            search: Search {
                paths: Paths::default(),
                reached: Vec::new(),
                exit: R::ZERO,
                exit_place: 0,
                tied: Vec::new(),
                are_tied_listed: false,
            },
            equal_rows: EqualRows::default(),
            sweeps_before_equal_rows: 0,
            shift: R::ZERO,
            sweeps: Sweeps::default(),
        }
    }
}

impl<R: Arithmetic> Solver<R> {
    /// Makes room for problems of up to `rows × cols`, in either orientation, so that solving one
    /// allocates nothing.
    pub fn try_reserve(&mut self, rows: usize, cols: usize) -> Result<(), TryReserveError> {
        let (shorter, longer) = (rows.min(cols), rows.max(cols));
        // Emptied first: a reservation counts from the present length.
        fn make_room<V>(list: &mut Vec<V>, length: usize) -> Result<(), TryReserveError> {
            list.clear();
            list.try_reserve_exact(length)
        }
        let blocks = longer.div_ceil(BLOCK);
        make_room(&mut self.col_of_row, shorter + 1)?;
        make_room(&mut self.row_duals, shorter)?;
        make_room(&mut self.row_least, shorter)?;
        make_room(&mut self.others_least, shorter)?;
        make_room(&mut self.queue, shorter + most_tries(shorter) + 1)?;
        make_room(&mut self.claimed, shorter + 1)?;
        make_room(&mut self.pending, shorter + 1)?;
        make_room(&mut self.row_of_col, longer)?;
        make_room(&mut self.unmatched_cols, blocks)?;
        self.col_duals.try_reserve(longer)?;
        self.quad_least.try_reserve(longer)?;
        self.search.paths.try_reserve(longer)?;
        make_room(&mut self.search.tied, longer)?;
        // One for each row at most, and one more.
        make_room(&mut self.search.reached, shorter + 1)
    }

    /// Solves `instance`. On success [`Solver::col_of_row`] and the duals hold the answer.
    #[inline(always)]
    pub fn solve<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        self.begin::<L, E, W, ANY>(lanes, instance, Margin::none())?;
        self.go_on(lanes, instance)?;
        self.normalize_duals(instance);
        Ok(())
    }

    /// Makes all steps that are left.
    #[inline(always)]
    pub fn go_on<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        while !self.is_done() {
            self.sweep::<L, E, W, ANY>(lanes, instance);
            self.act(lanes, instance)?;
        }
        Ok(())
    }

    /// Begins, with what the first look at the instance found. Steps of [`Solver::sweep`] and [`Solver::act`] do the rest.
    #[inline(always)]
    pub fn begin<L: Lanes<W, Number = R>, E: Entry, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        margin: Margin<R>,
    ) -> Result<(), Infeasible> {
        self.reset(instance);
        self.margin = margin;
        if instance.is_balanced() {
            self.reduce_columns(instance)?;
            self.transfer_reductions::<L, E, W, N>(lanes, instance);
        } else {
            self.claim_columns(instance)?;
        }
        self.reduce_next(instance, 0);
        Ok(())
    }

    /// Takes over v from a solver of lesser precision, to start from with [`Solver::begin_near`], in multiples of `grid`, a
    /// power of two: costs that are multiples of it keep arithmetic exact then.
    #[inline(always)]
    pub fn adopt_duals(&mut self, near: &Solver<f32>, cols: usize, grid: f64) {
        // Adding and subtracting this rounds to multiples of the grid. Far above it an f32 is one already.
        let shift = grid * 1.5 * (1u64 << 52) as f64;
        let far = grid * (1u64 << 40) as f64;
        self.col_duals.reset(cols, R::NEG_INFINITY);
        let mut real = cols;
        let blocks = self.col_duals.blocks_mut().iter_mut();
        for (block, near) in blocks.zip(near.col_duals.blocks()) {
            for (dual, &near) in block.0.iter_mut().zip(&near.0).take(real) {
                let near = f64::from(near);
                let rounded = (near + shift) - shift;
                *dual = R::round_from(if near.abs() < far { rounded } else { near });
            }
            real = real.saturating_sub(BLOCK);
        }
    }

    /// As [`Solver::begin`], for a balanced instance, from the duals that were taken over from `near`. Its pairs are kept
    /// where they still are the cheapest of their rows; the other rows are searched for anew.
    #[inline(always)]
    pub fn begin_near<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        near: &Solver<f32>,
    ) {
        self.reset(instance);
        for row in 0..instance.rows() {
            let costs = instance.row(row);
            let least = sweep::least_reduced_cost(lanes, costs, &self.col_duals);
            let col = near.col_of_row[row];
            let at = col as usize;
            let reduced = R::round_from(instance.cost(row, at)) - self.col_duals.get(at);
            if reduced == least {
                self.col_of_row[row] = col;
                self.row_of_col[at] = row as i32;
                self.unmatched_cols[at / BLOCK] &= !(1 << (at % BLOCK));
                self.row_duals[row] = least;
            } else {
                self.pending.push(row);
            }
        }
        self.search_next(instance, 0);
    }

    /// As [`Solver::begin`], with the pairs of `near`, which the duals taken over from it prove to be optimal.
    pub fn begin_solved<E: Entry>(&mut self, instance: &Instance<E>, near: &Solver<f32>) {
        self.reset(instance);
        self.col_of_row.copy_from_slice(&near.col_of_row);
        self.row_of_col.copy_from_slice(&near.row_of_col);
        for row in 0..instance.rows() {
            self.refresh_row_dual(instance, row);
        }
        self.search_next(instance, 0);
    }

    /// Nothing is matched.
    #[inline(always)]
    fn reset<E: Entry>(&mut self, instance: &Instance<E>) {
        let (rows, cols) = (instance.rows(), instance.cols());
        debug_assert!(rows <= cols);
        self.row_ceiling = R::round_from(instance.half_limit);
        refill(&mut self.col_of_row, rows + 1, UNMATCHED);
        refill(&mut self.row_of_col, cols, UNMATCHED);
        // Bits of columns that do not exist do no harm: such columns are at +inf.
        refill(&mut self.unmatched_cols, cols.div_ceil(BLOCK), u64::MAX);
        refill(&mut self.row_duals, rows, self.row_ceiling);
        self.quad_least.resize(cols);
        self.search.paths.resize(cols);
        self.row_least.clear();
        refill(&mut self.others_least, rows, R::NEG_INFINITY);
        self.queue.clear();
        self.claimed.clear();
        self.pending.clear();
        self.shift = R::ZERO;
        self.sweeps = Sweeps::default();
        self.equal_rows.forget();
        self.sweeps_before_equal_rows = if cols < WIDE {
            u64::MAX
        } else {
            SWEEPS_PER_ROW * rows as u64
        };
    }

    /// There is nothing to do.
    pub fn rest(&mut self) {
        self.phase = Phase::Done;
    }

    /// Is the instance solved?
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Sweeps the row that is next. It must not be done. `N` is the most vectors that a row has if that is known
    /// when this is compiled, else [`ANY`].
    #[inline(always)]
    pub fn sweep<L: Lanes<W, Number = R>, E: Entry, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) {
        if let Phase::Reduction { place } = self.phase {
            self.sweeps.reduction += 1;
            let row = self.queue[place];
            self.found = sweep::two_nearest_columns::<L, E, W, N>(
                lanes,
                instance.row(row),
                &self.col_duals,
                &mut self.quad_least,
                &self.unmatched_cols,
            );
            return;
        }
        self.sweeps.augmentation += 1;
        let Search { paths, reached, .. } = &mut self.search;
        let (quad_least, unmatched) = (&mut self.quad_least, self.unmatched_cols.as_slice());
        let Reached { row, offset, .. } = reached[reached.len() - 1];
        let costs = instance.row(row);
        self.found.first = if reached.len() == 1 {
            paths.start::<L, E, W, N>(lanes, costs, &self.col_duals, quad_least, unmatched)
        } else {
            paths.relax::<L, E, W, N>(lanes, costs, offset, quad_least, unmatched)
        };
    }

    /// Acts on what the last sweep found.
    #[inline(always)]
    pub fn act<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        match self.phase {
            Phase::Reduction { place } => self.reduce_row(lanes, instance, place),
            Phase::Augmentation { position } => {
                self.extend_path(lanes, instance, position)?;
                if self.equal_rows.are_there() {
                    return self.pass_over_equal_rows::<E, W>(instance);
                }
                Ok(())
            }
            Phase::Done => Ok(()),
        }
    }

    /// Goes on without sweeps while the row that the search has reached last is equal to one that it has swept. Apart, so that
    /// it does not stand in the way where no rows are equal.
    #[cold]
    #[inline(never)]
    fn pass_over_equal_rows<E: Entry, const W: usize>(
        &mut self,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        let lanes = Portable::<R>::default();
        while let Phase::Augmentation { position } = self.phase {
            let last = self.search.reached[self.search.reached.len() - 1];
            if !self.equal_rows.has_swept_equal(last.row, last.offset) {
                self.search.are_tied_listed = false;
                break;
            }
            self.sweeps.augmentation += 1;
            self.find_nearest_again::<W>(instance.cols(), last.length);
            self.extend_path::<_, E, W>(lanes, instance, position)?;
        }
        Ok(())
    }

    /// Finds the nearest column when the row reached last, at a distance of `length`, offers nothing new.
    fn find_nearest_again<const W: usize>(&mut self, cols: usize, length: R) {
        let lanes = Portable::<R>::default();
        let Search {
            paths,
            tied,
            are_tied_listed,
            ..
        } = &mut self.search;
        if !*are_tied_listed {
            // None of them is unmatched: that one would have been nearer than the last.
            paths.list_columns_at::<_, W>(lanes, cols, length, tied);
            *are_tied_listed = true;
        }
        self.found.first = match tied.pop() {
            Some(col) => Nearest::matched(length, col as usize),
            None => {
                *are_tied_listed = false;
                let unmatched = self.unmatched_cols.as_slice();
                paths.look_again::<_, W>(lanes, cols, &mut self.quad_least, unmatched)
            }
        };
    }

    /// Column matched with each row, or [`UNMATCHED`].
    pub fn col_of_row(&self) -> &[i32] {
        &self.col_of_row[..self.row_duals.len()]
    }

    /// Row matched with each column, or [`UNMATCHED`].
    pub fn row_of_col(&self) -> &[i32] {
        &self.row_of_col
    }

    /// u: one dual for each row.
    pub fn row_duals(&self) -> &[R] {
        &self.row_duals
    }

    /// v: one dual for each column.
    pub fn col_duals(&self) -> &PerColumn<R> {
        &self.col_duals
    }

    /// As [`Solver::col_duals`], to be changed.
    pub fn col_duals_mut(&mut self) -> &mut PerColumn<R> {
        &mut self.col_duals
    }

    /// Is the matched pair of `row` the cheapest of all its pairs, even if every column were at its ceiling?
    #[inline(always)]
    pub fn has_least_cost(&self, row: usize) -> bool {
        // With v there at its ceiling u is the cost, and not rounded.
        let at_ceiling = |col: usize| self.col_duals.get(col) == R::ZERO;
        self.row_least.get(row) == self.row_duals.get(row)
            && at_ceiling(self.col_of_row[row] as usize)
    }

    /// Are all other pairs of `row` dearer than its own by `slack` or more, for all that augmenting row reduction knows?
    #[inline(always)]
    pub fn is_cheapest_by(&self, slack: R, row: usize) -> bool {
        self.row_duals[row] + slack <= self.others_least[row]
    }

    /// By how much the duals of a square problem were shifted in the end; else 0.
    pub fn shift(&self) -> R {
        self.shift
    }

    /// Work done on the last problem.
    pub fn sweeps(&self) -> Sweeps {
        self.sweeps
    }

    /// Column reduction: v_j = min_i c_ij. Only sound where all columns end up matched. A row takes the first column whose
    /// least cost it has, if it was the first to have it.
    #[inline(always)]
    fn reduce_columns<E: Entry>(&mut self, instance: &Instance<E>) -> Result<(), Infeasible> {
        let (rows, cols) = (instance.rows(), instance.cols());
        let Survey {
            col_least,
            col_holders,
            ..
        } = instance.survey;
        self.col_duals.reset(cols, R::NEG_INFINITY);
        let mut real = cols;
        let blocks = self.col_duals.blocks_mut().iter_mut();
        for (duals, least) in blocks.zip(col_least.blocks()) {
            // Padding stays below all real ones, for when the largest is sought, and +inf less that is still +inf.
            for (dual, least) in duals.0.iter_mut().zip(&least.0).take(real) {
                *dual = R::round_from(least.widen());
            }
            if duals.0.contains(&R::INFINITY) {
                return Err(Infeasible);
            }
            real = real.saturating_sub(BLOCK);
        }
        for col in 0..cols {
            // Signed, as without AVX-512 a conversion to unsigned numbers subtracts 2^63 first, which raises the inexact flag.
            let row = col_holders.get(col).widen() as i32 as usize;
            let takes = self.col_of_row[row] == UNMATCHED;
            self.col_of_row[row] = select_unpredictable(takes, col as i32, self.col_of_row[row]);
            self.row_of_col[col] = select_unpredictable(takes, row as i32, UNMATCHED);
            self.unmatched_cols[col / BLOCK] &= !(u64::from(takes) << (col % BLOCK));
        }
        for row in 0..rows {
            let is_matched = self.col_of_row[row] != UNMATCHED;
            put_if(&mut self.queue, row, !is_matched);
            put_if(&mut self.claimed, row, is_matched);
        }
        Ok(())
    }

    /// Reduction transfer: v of a column that column reduction has matched is lowered by as much as keeps (1). So other rows
    /// find it dearer, and seldom take it away.
    #[inline(always)]
    fn transfer_reductions<L: Lanes<W, Number = R>, E: Entry, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) {
        // So many rows together, none of which then waits for another: as v only falls, what it was before will do.
        const TOGETHER: usize = 4;
        self.sweeps.reduction += self.claimed.len() as u64;
        for rows in self.claimed.chunks(TOGETHER) {
            let mut gaps = [R::ZERO; TOGETHER];
            for (gap, &row) in gaps.iter_mut().zip(rows) {
                let costs = instance.row(row);
                let (least, second) = sweep::two_least::<L, E, W, N>(lanes, costs, &self.col_duals);
                self.others_least[row] = second;
                *gap = second - least;
            }
            for (&gap, &row) in gaps.iter().zip(rows) {
                // Without a second column the gap is unbounded and v would be lost.
                let bid = self.margin.below(gap);
                let lowered = select_unpredictable(gap < R::INFINITY, bid, R::ZERO);
                let col = self.col_of_row[row] as usize;
                self.col_duals.subtract(lanes, col, lowered);
            }
        }
    }

    /// Where columns may stay unmatched they all begin at their ceiling, and each row takes its cheapest column unless
    /// another was first.
    #[inline(always)]
    fn claim_columns<E: Entry>(&mut self, instance: &Instance<E>) -> Result<(), Infeasible> {
        let limited = instance.half_limit.is_finite();
        let col_ceiling = if limited { self.row_ceiling } else { R::ZERO };
        self.col_duals.reset_padded(instance.cols(), col_ceiling);
        for (row, &(cost, col)) in instance.survey.row_least.iter().enumerate() {
            let (least, col) = (R::round_from(cost.widen()) - col_ceiling, col as usize);
            self.row_least.push(least);
            if least > self.row_ceiling {
                // Better off unmatched, for good.
                continue;
            }
            if least == R::INFINITY {
                return Err(Infeasible);
            }
            let owner = self.row_of_col[col];
            let takes = owner == UNMATCHED;
            self.col_of_row[row] = select_unpredictable(takes, col as i32, UNMATCHED);
            self.row_of_col[col] = select_unpredictable(takes, row as i32, owner);
            self.unmatched_cols[col / BLOCK] &= !(1 << (col % BLOCK));
            put_if(&mut self.queue, row, !takes);
        }
        Ok(())
    }

    /// Augmenting row reduction goes on with the row at `place` of its queue, or gives way to augmentation.
    #[inline(always)]
    fn reduce_next<E: Entry>(&mut self, instance: &Instance<E>, place: usize) {
        self.phase = Phase::Reduction { place };
        if place == self.queue.len() || place == most_tries(instance.rows()) {
            self.end_reduction(instance, place);
        }
    }

    /// What was not tried is left to augmentation.
    #[inline(never)]
    fn end_reduction<E: Entry>(&mut self, instance: &Instance<E>, place: usize) {
        self.pending.extend_from_slice(&self.queue[place..]);
        for row in 0..instance.rows() {
            self.refresh_row_dual(instance, row);
        }
        self.search_next(instance, 0);
    }

    /// Augmenting row reduction acts on the sweep of the row at `place`. One that it cannot settle goes to `pending`.
    ///
    /// What a sweep finds cannot be guessed, so nothing here branches on it but what is rare.
    #[inline(always)]
    fn reduce_row<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        place: usize,
    ) -> Result<(), Infeasible> {
        let row = self.queue[place];
        let first = &mut self.found.first;
        first.prefer_unmatched(
            lanes,
            instance.row(row),
            &self.col_duals,
            &self.quad_least,
            &self.unmatched_cols,
        );
        let Nearest {
            value: least,
            col,
            is_unmatched,
            ..
        } = *first;
        if least > self.row_ceiling {
            // Better off unmatched, for good.
            self.reduce_next(instance, place + 1);
            return Ok(());
        }
        if least == R::INFINITY {
            return Err(Infeasible);
        }
        let second = self.found.second;
        let second = if second < self.row_ceiling {
            second
        } else {
            self.row_ceiling
        };
        // Without a gap the loser would only take the column back. Without a second column the
        // gap is unbounded and v would be lost. Both are left to the exact search.
        let gap = second - least;
        let is_bounded = gap < R::INFINITY;
        let takes = is_unmatched | ((gap > R::ZERO) & is_bounded);
        let displaces = takes & !is_unmatched;
        // A column that nobody had keeps its ceiling, if it has one.
        let lowers = displaces | (takes & instance.is_balanced());
        let bid = self.margin.below(gap);
        let lowered = select_unpredictable(lowers & is_bounded, bid, R::ZERO);
        self.col_duals.subtract(lanes, col, lowered);
        let loser = self.row_of_col[col];
        self.row_of_col[col] = select_unpredictable(takes, row as i32, loser);
        let loser = select_unpredictable(displaces, loser as usize, instance.rows());
        self.col_of_row[row] = select_unpredictable(takes, col as i32, UNMATCHED);
        self.col_of_row[loser] = UNMATCHED;
        self.others_least[row] = second;
        self.unmatched_cols[col / BLOCK] &= !(u64::from(takes) << (col % BLOCK));
        put_if(&mut self.pending, row, !takes);
        put_if(&mut self.queue, loser, displaces);
        self.reduce_next(instance, place + 1);
        Ok(())
    }

    /// u of a matched row is the reduced cost of its pair; of an unmatched one, the row ceiling.
    #[inline(always)]
    fn refresh_row_dual<E: Entry>(&mut self, instance: &Instance<E>, row: usize) {
        let col = self.col_of_row[row];
        self.row_duals[row] = if col == UNMATCHED {
            self.row_ceiling
        } else {
            let col = col as usize;
            R::round_from(instance.cost(row, col)) - self.col_duals.get(col)
        };
    }

    /// Augmentation goes on with the pending row at `position`; behind the last one the instance is solved.
    #[inline(always)]
    fn search_next<E: Entry>(&mut self, instance: &Instance<E>, position: usize) {
        let Some(&row) = self.pending.get(position) else {
            self.phase = Phase::Done;
            return;
        };
        if self.sweeps.augmentation > self.sweeps_before_equal_rows {
            self.begin_search_among_equal_rows(instance);
        }
        let search = &mut self.search;
        search.reached.clear();
        search.reached.push(Reached {
            row,
            col: 0,
            length: R::ZERO,
            offset: R::ZERO,
        });
        search.exit = self.row_ceiling;
        search.exit_place = 0;
        self.phase = Phase::Augmentation { position };
    }

    /// Searches have been long: looks for equal rows, if that has not been done, and begins anew with what is known of them.
    #[cold]
    #[inline(never)]
    fn begin_search_among_equal_rows<E: Entry>(&mut self, instance: &Instance<E>) {
        if !self.equal_rows.are_known() {
            self.equal_rows.find(instance);
        }
        self.equal_rows.begin_search();
        self.search.are_tied_listed = false;
    }

    /// Dijkstra's search over reduced costs c − v − u, with u taken as 0 for the row where it starts: goes on to
    /// the nearest column, whose shortest path is now known. Where that ends the search, the path is flipped.
    #[inline(always)]
    fn extend_path<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        position: usize,
    ) -> Result<(), Infeasible> {
        let first = &mut self.found.first;
        let paths = &self.search.paths;
        paths.prefer_unmatched(lanes, first, &self.quad_least, &self.unmatched_cols);
        let Nearest {
            value: length,
            col,
            is_unmatched,
            ..
        } = *first;
        let Search {
            paths,
            reached,
            exit,
            exit_place,
            ..
        } = &mut self.search;
        if *exit < length {
            let (place, length) = (*exit_place, *exit);
            self.augment(instance, Sink::Row(place), length);
            self.search_next(instance, position + 1);
            return Ok(());
        }
        if length == R::INFINITY {
            return Err(Infeasible);
        }
        if is_unmatched {
            self.augment(instance, Sink::Column(col), length);
            self.search_next(instance, position + 1);
            return Ok(());
        }
        paths.settle(lanes, col);
        let row = self.row_of_col[col] as usize;
        let offset = self.row_duals[row] - length;
        if self.row_ceiling - offset < *exit {
            *exit = self.row_ceiling - offset;
            *exit_place = reached.len();
        }
        reached.push(Reached {
            row,
            col,
            length,
            offset,
        });
        Ok(())
    }

    /// Flips the shortest path and updates the duals.
    #[inline(never)]
    fn augment<E: Entry>(&mut self, instance: &Instance<E>, sink: Sink, length: R) {
        // Flips the path, from its end back to its start. `place` is that of a row that loses its column, or the end of
        // the list.
        let Search { reached, .. } = &self.search;
        let (mut end, mut place) = match sink {
            Sink::Column(col) => {
                self.unmatched_cols[col / BLOCK] &= !(1 << (col % BLOCK));
                (Some((col, length)), reached.len())
            }
            Sink::Row(place) => {
                self.col_of_row[reached[place].row] = UNMATCHED;
                (reached[place].way_in(place), place)
            }
        };
        while let Some((col, distance)) = end {
            let col_dual = self.col_duals.get(col);
            place = predecessor(instance, &reached[..place], col, col_dual, distance);
            let row = reached[place].row;
            self.col_of_row[row] = col as i32;
            self.row_of_col[col] = row as i32;
            self.others_least[row] = R::NEG_INFINITY;
            end = reached[place].way_in(place);
        }

        // Restores (1): a column settled at distance d becomes dearer by length − d, never cheaper.
        for reached in &self.search.reached[1..] {
            if reached.length < length {
                let dual = self.col_duals.get(reached.col) + (reached.length - length);
                self.col_duals.set(reached.col, dual);
            }
        }
        for place in 0..self.search.reached.len() {
            self.refresh_row_dual(instance, self.search.reached[place].row);
        }
    }

    /// Of all equally good duals of a balanced instance, takes those with max v = 0.
    #[inline(always)]
    pub fn normalize_duals<E: Entry>(&mut self, instance: &Instance<E>) {
        if !instance.is_balanced() {
            return;
        }
        let larger = |a: R, b: R| if b > a { b } else { a };
        const LANES: usize = 16;
        let mut tops = [R::NEG_INFINITY; LANES];
        for block in self.col_duals.blocks() {
            for chunk in block.0.as_chunks::<LANES>().0 {
                for (top, &dual) in tops.iter_mut().zip(chunk) {
                    *top = larger(*top, dual);
                }
            }
        }
        let top = tops.into_iter().fold(R::NEG_INFINITY, larger);
        if self.row_duals.is_empty() {
            return;
        }
        self.shift = top;
        for block in self.col_duals.blocks_mut() {
            for dual in &mut block.0 {
                *dual = *dual - top;
            }
        }
        for dual in &mut self.row_duals {
            *dual = *dual + top;
        }
    }
}

impl<R: Copy> Reached<R> {
    /// The column by way of which the row was reached, and its distance; `None` for the start.
    #[inline(always)]
    fn way_in(&self, place: usize) -> Option<(usize, R)> {
        (place > 0).then_some((self.col, self.length))
    }
}

/// The place of the row from which the shortest path reaches `col`: the first that offered its distance. It was not
/// written down, for that would have cost more than to compute the offers to the few columns of the path again.
#[inline(always)]
fn predecessor<R: Arithmetic, E: Entry>(
    instance: &Instance<E>,
    reached: &[Reached<R>],
    col: usize,
    col_dual: R,
    distance: R,
) -> usize {
    reached
        .iter()
        .position(|reached| {
            let reduced = R::round_from(instance.cost(reached.row, col)) - col_dual;
            reduced - reached.offset == distance
        })
        .expect("a column's distance was offered by a row reached before it")
}

/// Empties `list` and fills it anew, within what `try_reserve` set aside.
#[inline(always)]
fn refill<V: Copy>(list: &mut Vec<V>, length: usize, value: V) {
    list.clear();
    list.resize(length, value);
}

/// Puts `value` at the end of `list` if `wanted`, without a branch. There must be room for one more.
#[inline(always)]
fn put_if(list: &mut Vec<usize>, value: usize, wanted: bool) {
    list.push(value);
    list.truncate(list.len() - usize::from(!wanted));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{Portable, PortableVectors, SINGLES};
    use crate::problem::{Layout, Mask, Options, Problem};
    use hungarian_random::Random;

    #[test]
    fn a_margin_leaves_a_part_of_a_gap_but_whole_numbers_whole() {
        let mut random = Random::new(1);
        for largest in [1e-20, 0.3, 1.0, 1000.0, 1e20] {
            let margin = Margin::of(largest);
            let part = |times: f64| (times * largest / f64::from(1u32 << 15)) as f32;
            let mut left_something = 0;
            for _ in 0..1000 {
                let gap = random.uniform() as f32 * largest as f32;
                let left = gap - margin.below(gap);
                if left == 0.0 {
                    continue;
                }
                left_something += 1;
                assert!(left > part(0.99) && left < part(2.01), "{left} of {gap}");
                assert!(left < gap, "v is lowered");
            }
            assert!(left_something > 900, "{left_something}");
            // Few digits: multiples of 1/1024 of the largest cost's power of two.
            let unit = power_of_two_from(largest) / 1024.0;
            for times in 0..1024 {
                let gap = (f64::from(times) * unit) as f32;
                assert_eq!(margin.below(gap), gap);
            }
            // Smaller than what would be left.
            assert_eq!(margin.below(part(0.5)), part(0.5));
        }
        let none = Margin::<f32>::none();
        for gap in [0.0, 1e-30, 0.1, 1e30] {
            assert_eq!(none.below(gap), gap);
        }
    }

    /// Rows whose own pair the solver knows to be cheaper than all others by what f32 may be wrong about, which need no proof.
    fn known_cheapest(cost: &[f32], rows: usize, cols: usize, margin: Margin<f32>) -> usize {
        let problem = Problem {
            cost,
            rows,
            cols,
            row_mask: Mask::Uniform(true),
            col_mask: Mask::Uniform(true),
            options: Options::default(),
        };
        let mut layout = Layout::default();
        layout.try_reserve(rows, cols).unwrap();
        let instance = problem.prepare(PortableVectors, &mut layout).ok().unwrap();
        let lanes = Portable::<f32>::default();
        let mut solver = Solver::<f32>::default();
        solver.try_reserve(rows, cols).unwrap();
        let begun = solver.begin::<_, _, SINGLES, ANY>(lanes, &instance, margin);
        begun.unwrap();
        solver.go_on::<_, _, SINGLES>(lanes, &instance).unwrap();
        let slack = 2.0 / (1u32 << 17) as f32;
        let known = |&row: &usize| solver.is_cheapest_by(slack, row);
        for row in (0..rows).filter(known) {
            let own = solver.col_of_row()[row] as usize;
            let reduced = |col: usize| {
                f64::from(cost[row * cols + col]) - f64::from(solver.col_duals().get(col))
            };
            let others = (0..cols).filter(|&col| col != own).map(reduced);
            let least = others.fold(f64::INFINITY, f64::min);
            assert!(least > reduced(own) + 0.9 * f64::from(slack), "row {row}");
        }
        (0..rows).filter(known).count()
    }

    #[test]
    fn margins_are_what_tells_rows_that_need_no_proof() {
        let mut random = Random::new(3);
        for (rows, cols) in [(100, 100), (100, 130), (60, 80)] {
            let cost: Vec<f32> = (0..rows * cols).map(|_| random.uniform() as f32).collect();
            let with = known_cheapest(&cost, rows, cols, Margin::of(1.0));
            let without = known_cheapest(&cost, rows, cols, Margin::none());
            assert!(
                with > without + rows / 10,
                "{rows}×{cols}: {with} with margins, {without} without"
            );
        }
    }
}
