//! The assignment problem by shortest augmenting paths.
//!
//! Given costs c (rows ≤ columns; +inf = forbidden), match every row with a column of its own so
//! that the sum of matched costs is least. With a limit L, a row or a column may stay unmatched at
//! L/2 each.
//!
//! **Algorithm.** Jonker & Volgenant, "A shortest augmenting path algorithm for dense and sparse
//! linear assignment problems", Computing 38 (1987), in the rectangular form of Crouse, "On
//! implementing 2D rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52
//! (2016): rectangles are not padded. The number type is a parameter. Costs of every supported type
//! are exact in f64 and wider; a solve in f32 only finds duals and a matching for f64 to start
//! from.
//!
//! The dual problem: maximise Σu + Σv subject to u_i + v_j ≤ c_ij. The solver maintains the column
//! duals v. The row duals follow from them: u_i = c_ij − v_j where row i is matched with column j.
//! Throughout,
//!
//! * (1) every matched pair is the cheapest of its row under c − v, so u_i + v_j ≤ c_ij holds for
//!   matched rows;
//! * (2) v never rises, and v_j stays at the *column ceiling* while column j is unmatched.
//!
//! The column ceiling is 0 for a rectangle, L/2 with a limit, and absent for a square without a
//! limit, where all columns end up matched. The *row ceiling* is L/2 with a limit, else +inf; a row
//! whose least reduced cost is above it is better left unmatched, for good: by (2), reduced costs
//! never fall.
//!
//! 1. **Start** (`start.rs`), from what the first look found ([`crate::problem::survey`]). Squares
//!    without a limit: *column reduction*, v_j = min_i c_ij. Each column belongs to the first row
//!    that has its minimum, and a row takes the first column that belongs to it. *Reduction
//!    transfer* then lowers v of each matched column as far as (1) allows: by the gap between the
//!    two least reduced costs of its row. All other instances: v begins at its ceiling, and a row
//!    takes its cheapest column, the first of several, unless an earlier row has taken it. Either
//!    way (1) holds for the rows matched so far.
//! 2. **Augmenting row reduction** (`reduction.rs`) of the other rows: each takes the column of its
//!    least reduced cost. If that column is matched, or may not stay unmatched, the row lowers v
//!    there as far as (1) allows: by the gap to its second least reduced cost. If it is matched and
//!    there is no gap, the row is left to augmentation. A row that loses its column goes to the end
//!    of the queue: it tries again when the other rows have changed v, and does not fight over one
//!    column with the row that took it. There are at most 5/4 as many tries as rows. (More would
//!    cost at least as many sweeps as they save in augmentation.)
//! 3. **Augmentation** (`search.rs`): for each row that is left, Dijkstra's algorithm over reduced
//!    costs finds a shortest path to an unmatched column, or to a row that is better left
//!    unmatched. The path is flipped, and v is lowered so that (1) holds again.
//!
//! **Ties.** Of columns at equal reduced cost, an unmatched one goes first, then the one of lowest
//! index. A row is left unmatched only where that is strictly cheaper than the path found, so a
//! lone pair at exactly L is matched. All-equal costs match row i with column i. The answer depends
//! on nothing but the problem.
//!
//! **Size of the numbers.** Let C = max(|c|, |L|), where L is what the limit counts as (see
//! [`crate::problem::prepare`]). A path alternates between adding and subtracting a cost, so duals
//! and the lengths of settled paths stay within 2·rows·C + 2C, whatever the order of events. Where
//! costs and L/2 are multiples of some q with 2(rows + columns)·C ≤ 2^53·q, f64 therefore computes
//! everything that decides the answer without rounding, and the answer is exactly optimal.
//!
//! **Cost.** Time O(rows² · columns); a sweep is one pass over a row. Among ties, a sweep of row
//! reduction ends once it knows an unmatched column, and a second column, at the least reduced cost
//! that is possible ([`two_tied_columns`]). A search does not sweep a row that equals one it has
//! swept ([`crate::solve::equal_rows`]). Workspace O(rows + columns), and where lower bounds are
//! kept ([`crate::sweep::bounds`]) a number for each 64 costs in f32, for each 32 in f64, and up to
//! one vector for each row. With bounds, a search reads of all rows but its first only the part
//! that can matter to it. Without, a long search copies all distances now and then, and holds at
//! most 64 copies ([`crate::sweep::snapshots`]).
//!
//! **Steps.** A step is a sweep over one row ([`Solver::sweep`]), then the action on what it found
//! ([`Solver::act`]). Several solvers make their sweeps together, then act: a sweep spends most of
//! its time waiting for a minimum, and the processor fills that time with the other solvers'
//! sweeps. A mispredicted branch on a minimum would discard all of that work, so sweeps and
//! augmenting row reduction avoid branches that depend on costs.

use std::collections::TryReserveError;

use crate::number::arithmetic::{Arithmetic, larger};
use crate::problem::instance::Instance;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::solve::equal_rows::EqualRows;
use crate::solve::margin::Margin;
use crate::sweep::bounds::Bounds;
use crate::sweep::paths::Paths;
use crate::sweep::per_column::{BLOCK, PerColumn, PerQuad};
use crate::sweep::reduced_costs::{TwoNearest, two_nearest_columns, two_tied_columns};
use crate::sweep::row::ANY;

/// Marks a row or a column without a partner, as in the op's outputs.
pub const UNMATCHED: i32 = -1;

/// Returned when the allowed pairs cannot match all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Infeasible;

/// Augmenting row reduction gives up after this many sweeps.
#[inline(always)]
fn most_tries(rows: usize) -> usize {
    rows + rows / 4
}

/// Among ties, how many places ahead in the queue a row's costs are prefetched.
const ROWS_AHEAD: usize = 4;

/// Equal rows are looked for once searches have made more than this many steps for each row.
const STEPS_PER_ROW: u64 = 4;

/// Equal rows are looked for only in instances of this many columns or more, where sweeps are long.
const EQUAL_ROWS_FROM: usize = 256;

/// The solver and its workspace. One worker owns one and reuses it for problem after problem.
#[derive(Debug, Default)]
pub struct Solver<R> {
    /// All columns of the problem at hand end up matched.
    pub(super) is_balanced: bool,
    /// Augmenting row reduction ends at this index of the queue, if not before.
    pub(super) most_tries: usize,
    /// Row ceiling of the problem at hand.
    pub(super) row_ceiling: R,
    /// Column matched with each row, or [`UNMATCHED`]. One entry more than rows: the last belongs
    /// to no row.
    pub(super) col_of_row: Vec<i32>,
    /// Row matched with each column, or [`UNMATCHED`].
    pub(super) row_of_col: Vec<i32>,
    /// One bit for each column, set while it is unmatched.
    pub(super) unmatched_cols: Vec<u64>,
    /// u of matched rows; of all rows after a successful solve.
    pub(super) row_duals: Vec<R>,
    /// Least cost of each row less the column ceiling, where columns may stay unmatched.
    pub(super) row_least: Vec<R>,
    /// The second least reduced cost of each row, at the time when it took its column in augmenting
    /// row reduction, or when reduction transfer lowered v there. As v never rises, the row's other
    /// pairs still cost at least that. −inf for rows that got their columns in another way.
    pub(super) others_least: Vec<R>,
    pub(super) margin: Margin<R>,
    /// v.
    pub(super) col_duals: PerColumn<R>,
    /// Rows that augmenting row reduction is to try, or has tried, in that order.
    pub(super) queue: Vec<usize>,
    /// Rows that column reduction has matched.
    pub(super) claimed: Vec<usize>,
    /// Rows that augmenting row reduction left for augmentation.
    pub(super) pending: Vec<usize>,
    pub(super) phase: Phase,
    /// What the last sweep found.
    pub(super) found: TwoNearest<R>,
    /// The last sweep of row reduction has found two columns at the least reduced cost that is
    /// possible, so the next one is likely to.
    pub(super) is_tied: bool,
    pub(super) quad_least: PerQuad<R>,
    pub(super) bounds: Bounds<R>,
    pub(super) search: Search<R>,
    pub(super) equal_rows: EqualRows<R>,
    /// Equal rows are looked for once searches have made more steps than this.
    pub(super) steps_before_equal_rows: u64,
    /// Steps of searches, including those that needed no sweep.
    pub(super) search_steps: u64,
}

/// Workspace of one shortest path search.
#[derive(Debug, Default)]
pub(super) struct Search<R> {
    pub(super) paths: Paths<R>,
    /// Rows reached, in the order of their distances.
    pub(super) reached: Vec<Reached<R>>,
    /// Length of the shortest path known that ends at a row.
    pub(super) exit: R,
    /// The place of that row among the rows reached.
    pub(super) exit_index: usize,
    /// Columns at the same distance as the last one settled. Listed only where rows are equal.
    pub(super) tied: Vec<u32>,
    /// `tied` is up to date: no column has been offered a path since it was filled.
    pub(super) are_tied_listed: bool,
}

/// What the solver does next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Phase {
    /// Augmenting row reduction, of the row at this index of the queue.
    Reduction { queue_index: usize },
    /// Augmentation, by a search from the pending row at this index.
    Augmentation { pending_index: usize },
    /// Nothing: the instance is solved, or there is none.
    #[default]
    Done,
}

/// A row that a search has reached: the row it starts from, or a row reached by way of the column
/// matched with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached<R> {
    pub(super) row: usize,
    /// The column; meaningless for the start.
    pub(super) col: usize,
    /// The length of the shortest path to it.
    pub(super) length: R,
    /// u of the row, less that length.
    pub(super) offset: R,
}

impl<R: Arithmetic> Solver<R> {
    /// Makes room for problems of up to `rows × cols`, in either orientation, so that solving one
    /// allocates only what it can also do without: lower bounds, copies of distances, and what
    /// equal rows are found with.
    pub fn try_reserve(&mut self, rows: usize, cols: usize) -> Result<(), TryReserveError> {
        let (shorter, longer) = (rows.min(cols), rows.max(cols));
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

    /// Empties the workspace for an instance: nothing is matched.
    #[inline(always)]
    pub(super) fn reset<E: Entry>(&mut self, instance: &Instance<E>) {
        let (rows, cols) = (instance.rows(), instance.cols());
        debug_assert!(rows <= cols);
        self.is_balanced = instance.is_balanced();
        self.most_tries = most_tries(rows);
        self.row_ceiling = R::round_from(instance.half_limit);
        refill(&mut self.col_of_row, rows + 1, UNMATCHED);
        refill(&mut self.row_of_col, cols, UNMATCHED);
        refill(&mut self.unmatched_cols, cols.div_ceil(BLOCK), u64::MAX);
        // Columns that do not exist count as matched, so none is ever taken, whatever the padding
        // holds.
        if let Some(last) = self.unmatched_cols.last_mut() {
            *last >>= (BLOCK - cols % BLOCK) % BLOCK;
        }
        refill(&mut self.row_duals, rows, self.row_ceiling);
        self.quad_least.resize(cols);
        self.search.paths.resize(cols);
        self.row_least.clear();
        refill(&mut self.others_least, rows, R::NEG_INFINITY);
        self.queue.clear();
        self.claimed.clear();
        self.pending.clear();
        self.is_tied = false;
        self.search_steps = 0;
        self.equal_rows.forget();
        self.bounds.forget();
        self.steps_before_equal_rows = if cols < EQUAL_ROWS_FROM {
            u64::MAX
        } else {
            STEPS_PER_ROW * rows as u64
        };
    }

    /// There is no instance to solve.
    pub fn set_done(&mut self) {
        self.phase = Phase::Done;
    }

    /// Is the instance solved?
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Sweeps the next row. The instance must not be solved yet. `N` is the largest number of
    /// vectors in a row, where that is known at compile time, else [`ANY`].
    #[inline(always)]
    pub fn sweep<L: Lanes<W, Number = R>, E: Entry, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) {
        if let Phase::Reduction { queue_index } = self.phase {
            let row = self.queue[queue_index];
            if N == ANY && self.is_tied {
                let floor = self.least_possible(row);
                let (duals, unmatched) = (&self.col_duals, self.unmatched_cols.as_slice());
                let costs = instance.row(row);
                if let Some(found) = two_tied_columns(lanes, costs, duals, floor, unmatched) {
                    self.found = found;
                    if let Some(&row) = self.queue.get(queue_index + ROWS_AHEAD) {
                        // That row's sweep, too, will likely read only costs near this column.
                        instance.row(row).prefetch(lanes, found.first.col);
                    }
                    return;
                }
            }
            self.found = two_nearest_columns::<L, E, W, N>(
                lanes,
                instance.row(row),
                &self.col_duals,
                &mut self.quad_least,
                &self.unmatched_cols,
            );
            let has_gap = self.found.second > self.found.first.value;
            self.is_tied = N == ANY && !has_gap && self.found.second == self.least_possible(row);
            // Where many columns are as near as the nearest, searches are short, and leave nothing
            // out.
            if N == ANY && self.bounds.are_kept() && has_gap {
                let cols = instance.cols();
                self.bounds.take::<W>(row, cols, &self.quad_least);
            }
            return;
        }
        self.search_steps += 1;
        let Search {
            paths,
            reached,
            exit,
            ..
        } = &mut self.search;
        let (quad_least, unmatched) = (&mut self.quad_least, self.unmatched_cols.as_slice());
        let Reached {
            row, col, offset, ..
        } = reached[reached.len() - 1];
        let costs = instance.row(row);
        if N == ANY && self.bounds.are_kept() {
            let (duals, bounds) = (&self.col_duals, self.bounds.of_row_mut(row));
            self.found.first = if reached.len() == 1 {
                paths.start_near(lanes, costs, duals, bounds, quad_least, unmatched)
            } else {
                let (lengths, index) = ((offset, *exit), reached.len() - 1);
                paths.relax_near(
                    lanes, costs, lengths, index, col, duals, bounds, quad_least, unmatched,
                )
            };
            return;
        }
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
            Phase::Reduction { queue_index } => self.reduce_row(lanes, instance, queue_index),
            Phase::Augmentation { pending_index } => {
                self.extend_path(lanes, instance, pending_index)?;
                if self.equal_rows.are_there() {
                    return self.pass_over_equal_rows::<E, W>(instance);
                }
                Ok(())
            }
            Phase::Done => Ok(()),
        }
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

    /// v, to be changed where the matching is proven.
    pub fn col_duals_mut(&mut self) -> &mut PerColumn<R> {
        &mut self.col_duals
    }

    /// Is the matched pair of `row` the cheapest of all its pairs, even if every column were at its
    /// ceiling? Only for instances without a limit, whose ceiling is 0.
    #[inline(always)]
    pub fn has_least_cost(&self, row: usize) -> bool {
        // Where v is at its ceiling of 0, u is the cost itself, and not rounded.
        let at_ceiling = |col: usize| self.col_duals.get(col) == R::ZERO;
        (self.row_least.get(row) == self.row_duals.get(row))
            & at_ceiling(self.col_of_row[row] as usize)
    }

    /// A lower bound of all reduced costs of `row` at any time: v never rises, and in a balanced
    /// instance it begins at the least cost of each column.
    #[inline(always)]
    fn least_possible(&self, row: usize) -> R {
        self.row_least.get(row).copied().unwrap_or(R::ZERO)
    }

    /// Is the matched pair of `row` cheaper than its other pairs by `slack` or more, as far as
    /// `others_least` tells?
    #[inline(always)]
    pub fn is_cheapest_by(&self, slack: R, row: usize) -> bool {
        self.row_duals[row] + slack <= self.others_least[row]
    }

    /// Lower bounds of the reduced costs in each quad of a row, if they are kept: see
    /// [`crate::sweep::bounds`].
    #[inline(always)]
    pub fn bounds_of_row(&self, row: usize) -> Option<&[R]> {
        self.bounds.are_kept().then(|| self.bounds.of_row(row))
    }

    /// Was a part of some gap left as a margin? Then something was rounded.
    #[inline(always)]
    pub fn has_left_margins(&self) -> bool {
        self.margin.has_left_some()
    }

    /// u of a matched row is the reduced cost of its pair; of an unmatched one, the row ceiling.
    #[inline(always)]
    pub(super) fn refresh_row_dual<E: Entry>(&mut self, instance: &Instance<E>, row: usize) {
        let col = self.col_of_row[row];
        self.row_duals[row] = if col == UNMATCHED {
            self.row_ceiling
        } else {
            let col = col as usize;
            R::round_from(instance.cost(row, col)) - self.col_duals.get(col)
        };
    }

    /// Of all equally good duals of a balanced instance, takes those with max v = 0.
    #[inline(always)]
    pub fn normalize_duals<E: Entry>(&mut self, instance: &Instance<E>) {
        if !instance.is_balanced() {
            return;
        }
        const LANES: usize = 16;
        let mut tops = [R::NEG_INFINITY; LANES];
        for block in self.col_duals.blocks() {
            for chunk in block.0.as_chunks::<LANES>().0 {
                for (top, &dual) in tops.iter_mut().zip(chunk) {
                    *top = larger(dual, *top);
                }
            }
        }
        let tops = tops.into_iter();
        let top = tops.fold(R::NEG_INFINITY, |top, dual| larger(dual, top));
        if self.row_duals.is_empty() {
            return;
        }
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

/// Empties `list`, and makes room for `length` values.
pub fn make_room<V>(list: &mut Vec<V>, length: usize) -> Result<(), TryReserveError> {
    // Emptied first: a reservation counts from the present length.
    list.clear();
    list.try_reserve_exact(length)
}

/// Replaces what is in `list` by `length` copies of `value`, within the room that `try_reserve` has
/// made.
#[inline(always)]
fn refill<V: Copy>(list: &mut Vec<V>, length: usize, value: V) {
    list.clear();
    list.resize(length, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::given::{Options, Problem};
    use crate::problem::prepare::Scratch;
    use crate::simd::arrays::{ArrayVectors, Arrays};
    use crate::simd::ops::{DOUBLES, SINGLES};
    use hungarian_random::Random;

    /// How many rows have a pair that the solver knows to be cheaper than all others by more than
    /// f32 may round. They need no proof.
    fn known_cheapest(cost: &[f32], rows: usize, cols: usize, margin: Margin<f32>) -> usize {
        let problem = Problem::plain(cost, rows, cols);
        let mut scratch = Scratch::default();
        scratch.try_reserve(rows, cols).unwrap();
        let instance = problem.prepare(ArrayVectors, &mut scratch).ok().unwrap();
        let lanes = Arrays::<f32>::default();
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

    /// Solves without a proof, with bounds or without. Returns partners, the bits of all duals, and
    /// how many steps of searches it took.
    fn solve<R, L, const W: usize>(
        lanes: L,
        instance: &Instance<f32>,
        with_bounds: bool,
    ) -> (Vec<i32>, Vec<u64>, u64)
    where
        R: Arithmetic,
        L: Lanes<W, Number = R>,
    {
        let mut solver = Solver::<R>::default();
        solver
            .try_reserve(instance.rows(), instance.cols())
            .unwrap();
        let begun = solver.begin::<_, _, W, ANY>(lanes, instance, Margin::none());
        begun.unwrap();
        assert!(solver.bounds.are_kept());
        if !with_bounds {
            solver.bounds.forget();
        }
        solver.go_on(lanes, instance).unwrap();
        let col_duals = (0..instance.cols()).map(|col| solver.col_duals.get(col));
        let duals = solver.row_duals.iter().copied().chain(col_duals);
        let bits = duals.map(|dual| dual.round_to_f64().to_bits()).collect();
        (solver.col_of_row().to_vec(), bits, solver.search_steps)
    }

    #[test]
    fn bounds_change_nothing() {
        let mut random = Random::new(5);
        for (rows, cols) in [(800, 800), (450, 820)] {
            // Hardly any ties; many; rows that are equal; rows that all want the same columns;
            // products of shares, which make searches long and, being whole numbers, have ties.
            for kind in 0..5 {
                let apart = cols + 1;
                let few: Vec<f64> = (0..5 * cols).map(|_| random.uniform()).collect();
                let mut draw = |at: usize| match kind {
                    0 => random.uniform(),
                    1 => (random.uniform() * 200.0).floor(),
                    2 => few[at % (5 * cols)],
                    3 => (at % cols * apart) as f64 * 1e-3 + random.uniform(),
                    _ => ((few[at / cols] * 40.0).floor() * (few[at % cols] * 40.0)).floor(),
                };
                let cost: Vec<f32> = (0..rows * cols).map(|at| draw(at) as f32).collect();
                for cost_limit in [f64::INFINITY, 0.4] {
                    let problem = Problem {
                        options: Options {
                            cost_limit,
                            maximize: false,
                        },
                        ..Problem::plain(&cost, rows, cols)
                    };
                    let mut scratch = Scratch::default();
                    scratch.try_reserve(rows, cols).unwrap();
                    let instance = problem.prepare(ArrayVectors, &mut scratch).ok();
                    let instance = &instance.unwrap();
                    let lanes = Arrays::<f32>::default();
                    let with = solve::<f32, _, SINGLES>(lanes, instance, true);
                    assert!(with == solve::<f32, _, SINGLES>(lanes, instance, false));
                    let lanes = Arrays::<f64>::default();
                    let with = solve::<f64, _, DOUBLES>(lanes, instance, true);
                    assert!(with == solve::<f64, _, DOUBLES>(lanes, instance, false));
                }
            }
        }
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
