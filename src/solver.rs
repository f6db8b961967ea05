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
//! 1. **Column reduction** (squares only): v_j = min_i c_ij.
//! 2. **Augmenting row reduction**: each row takes the column of its least reduced cost and lowers v there by as much
//!    as keeps (1), that is by the gap to its second least. A row that loses its column tries again, at most
//!    `2 · rows` tries in all. (Run over all rows, the first round is also JV's reduction transfer.)
//! 3. **Augmentation**: for each row still unmatched, Dijkstra's shortest path over reduced costs to an unmatched
//!    column, or to a row that had better be unmatched; then v is updated so that (1) holds again, and the
//!    path is flipped.
//!
//! **Ties.** Of equal reduced costs an unmatched column goes first, then the column of lowest index. A row is
//! left unmatched only where that is strictly cheaper than what its search found, so a lone pair at exactly L
//! is matched. All-equal costs match i to i. Nothing depends on anything but the problem itself.
//!
//! **Size of the numbers.** Let C = max(|c|, |L|). A path alternates between adding and subtracting a cost, so
//! duals and the lengths of settled paths stay within 2·rows·C + 2C, whatever the order of events. Where costs and
//! L/2 are multiples of some q with 2(rows + columns)·C ≤ 2^53·q, f64 therefore computes everything that decides
//! the answer without rounding, and the answer is exactly optimal.
//!
//! **Cost.** Time O(rows² · columns); a sweep is one pass over a row. Workspace O(rows + columns).
//!
//! **Steps.** The solver advances by one sweep at a time and can be left between two, so that several may take turns. A
//! step acts on what the last one found and then sweeps; see [`Solver::advance`].

use std::collections::TryReserveError;

use crate::arithmetic::Arithmetic;
use crate::lanes::Lanes;
use crate::problem::{Entry, Instance};
use crate::sweep::{self, BLOCK, PerBlock, PerColumn};

/// Marks a row or a column without a partner, as in the op's outputs.
pub const UNMATCHED: i32 = -1;

/// Returned when the allowed pairs cannot match all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Infeasible;

/// How much work a solve was. A sweep reads one row of costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweeps {
    /// Sweeps of augmenting row reduction.
    pub reduction: u64,
    /// Sweeps of shortest path searches.
    pub augmentation: u64,
}

/// By how many instances of the batch the costs are asked for ahead of their use.
const INSTANCES_AHEAD: usize = 2;

/// Augmenting row reduction gives up after as many sweeps as this, for each row of the problem.
const TRIES_PER_ROW: u64 = 2;

/// The solver and its workspace. One worker owns one and reuses it for problem after problem.
#[derive(Debug)]
pub struct Solver<R> {
    /// Row ceiling of the problem at hand.
    row_ceiling: R,
    /// Column matched with each row, or [`UNMATCHED`].
    col_of_row: Vec<i32>,
    /// Row matched with each column, or [`UNMATCHED`].
    row_of_col: Vec<i32>,
    /// One bit for each column, set while it is unmatched.
    unmatched_cols: Vec<u64>,
    /// u of matched rows; of all rows after a successful solve.
    row_duals: Vec<R>,
    /// v.
    col_duals: PerColumn<R>,
    /// Rows that augmenting row reduction left for augmentation.
    pending: Vec<usize>,
    phase: Phase,
    found: Found<R>,
    search: Search<R>,
    /// By how much the duals of a square problem were shifted in the end.
    shift: R,
    sweeps: Sweeps,
}

/// Workspace of one shortest path search.
#[derive(Debug)]
struct Search<R> {
    /// Length of the shortest path known to each column not yet settled; +inf once it is settled.
    distance: PerColumn<R>,
    /// v of each column not yet settled; −inf once it is settled, which keeps it out of further sweeps.
    open_duals: PerColumn<R>,
    /// Least value of each block in the last sweep.
    block_least: PerBlock<R>,
    /// Rows reached, in the order of their distances.
    reached: Vec<Reached<R>>,
    /// The cheapest way to end at a row so far.
    exit: R,
    /// That row's place among the rows reached.
    exit_place: usize,
}

/// What the solver is about, between two steps.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Augmenting row reduction is to begin.
    Begun,
    /// Augmentation is to begin.
    Reduced,
    /// Augmenting row reduction has swept `row`; rows from `next` on have not been tried, and `tries` are left.
    Reduction { row: usize, next: usize, tries: u64 },
    /// The search from the pending row at `position` has swept the last row that it reached.
    Augmentation { position: usize },
    /// Nothing is left to do.
    Done,
}

/// What a sweep found.
#[derive(Clone, Copy, Debug)]
struct Found<R> {
    /// The least reduced cost, or the length of the shortest path to an open column.
    least: R,
    /// The second least reduced cost.
    second: R,
    /// A column of the least.
    col: usize,
    is_unmatched: bool,
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
            col_duals: PerColumn::default(),
            pending: Vec::new(),
            phase: Phase::Done,
            found: Found {
                least: R::ZERO,
                second: R::ZERO,
                col: 0,
                is_unmatched: false,
            },
            search: Search {
                distance: PerColumn::default(),
                open_duals: PerColumn::default(),
                block_least: PerBlock::default(),
                reached: Vec::new(),
                exit: R::ZERO,
                exit_place: 0,
            },
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
        make_room(&mut self.col_of_row, shorter)?;
        make_room(&mut self.row_duals, shorter)?;
        make_room(&mut self.pending, shorter)?;
        make_room(&mut self.row_of_col, longer)?;
        make_room(&mut self.unmatched_cols, blocks)?;
        self.col_duals.try_reserve(longer)?;
        self.search.distance.try_reserve(longer)?;
        self.search.open_duals.try_reserve(longer)?;
        self.search.block_least.try_reserve(longer)?;
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
        self.begin(lanes, instance)?;
        while !self.is_done() {
            self.advance(lanes, instance)?;
        }
        Ok(())
    }

    /// Prepares the steps that [`Solver::advance`] makes.
    #[inline(always)]
    pub fn begin<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        let limited = instance.half_limit.is_finite();
        let half_limit = R::round_from(instance.half_limit);
        let col_ceiling = if limited { half_limit } else { R::ZERO };
        self.col_duals.reset(instance.cols(), col_ceiling);
        self.reset(instance);
        if instance.is_balanced() {
            self.reduce_columns(lanes, instance)?;
        }
        self.phase = Phase::Begun;
        Ok(())
    }

    /// Takes over v from a solver of lesser precision, to start from with [`Solver::begin_near`], in multiples of `grid`, a
    /// power of two: costs that are multiples of it keep arithmetic exact then.
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
        self.phase = Phase::Reduced;
    }

    /// Nothing is matched.
    #[inline(always)]
    fn reset<E: Entry>(&mut self, instance: &Instance<E>) {
        let (rows, cols) = (instance.rows(), instance.cols());
        debug_assert!(rows <= cols);
        self.row_ceiling = R::round_from(instance.half_limit);
        refill(&mut self.col_of_row, rows, UNMATCHED);
        refill(&mut self.row_of_col, cols, UNMATCHED);
        // Bits of columns that do not exist do no harm: such columns are at +inf.
        refill(&mut self.unmatched_cols, cols.div_ceil(BLOCK), u64::MAX);
        refill(&mut self.row_duals, rows, self.row_ceiling);
        self.search.distance.reset(cols, R::INFINITY);
        self.search.open_duals.resize(cols);
        self.search.block_least.resize(cols);
        self.pending.clear();
        self.shift = R::ZERO;
        self.sweeps = Sweeps::default();
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

    /// Makes one step: acts on what the last sweep found, and makes the next sweep.
    ///
    /// Steps of several solvers may alternate. Each waits most of the time for a minimum to be known; the
    /// processor fills that time with the others' sweeps, as long as it need not guess what the minimum will lead to.
    /// Therefore nothing is decided in the step that finds it.
    #[inline(always)]
    pub fn advance<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        match self.phase {
            Phase::Begun => {
                let tries = TRIES_PER_ROW * instance.rows() as u64;
                self.try_next(instance, 0, tries);
            }
            Phase::Reduction { row, next, tries } => {
                self.reduce_row(lanes, instance, row, next, tries)?;
            }
            Phase::Reduced => self.search_next(instance, 0),
            Phase::Augmentation { position } => self.extend_path(lanes, instance, position)?,
            Phase::Done => {}
        }
        match self.phase {
            Phase::Reduction { row, .. } => {
                // One after another these reach all rows of the instances that come next.
                let ahead = instance.row_ahead(row, INSTANCES_AHEAD);
                for col in (0..instance.cols()).step_by(64 / size_of::<E>()) {
                    lanes.prefetch(ahead.wrapping_add(col));
                }
                self.sweep_for_reduction(lanes, instance.row(row));
            }
            Phase::Augmentation { .. } => self.sweep_for_augmentation(lanes, instance),
            Phase::Begun | Phase::Reduced | Phase::Done => {}
        }
        Ok(())
    }

    #[inline(always)]
    fn sweep_for_reduction<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        costs: &[E],
    ) {
        self.sweeps.reduction += 1;
        let block_least = &mut self.search.block_least;
        let least = sweep::least_two(lanes, costs, &self.col_duals, block_least);
        let (col, is_unmatched) = sweep::columns_of_reduced_cost(
            lanes,
            least.first,
            costs,
            &self.col_duals,
            block_least,
            &self.unmatched_cols,
        );
        self.found = Found {
            least: least.first,
            second: least.second,
            col,
            is_unmatched,
        };
    }

    #[inline(always)]
    fn sweep_for_augmentation<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) {
        self.sweeps.augmentation += 1;
        let Search {
            distance,
            open_duals,
            block_least,
            reached,
            ..
        } = &mut self.search;
        let Reached { row, offset, .. } = reached[reached.len() - 1];
        let costs = instance.row(row);
        let least = if reached.len() == 1 {
            let col_duals = &self.col_duals;
            sweep::start(lanes, costs, col_duals, open_duals, distance, block_least)
        } else {
            sweep::relax(lanes, costs, offset, open_duals, distance, block_least)
        };
        let (col, is_unmatched) =
            sweep::columns_at(lanes, least, distance, block_least, &self.unmatched_cols);
        self.found = Found {
            least,
            second: least,
            col,
            is_unmatched,
        };
    }

    /// Column matched with each row, or [`UNMATCHED`].
    pub fn col_of_row(&self) -> &[i32] {
        &self.col_of_row
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

    /// By how much the duals of a square problem were shifted in the end; else 0.
    pub fn shift(&self) -> R {
        self.shift
    }

    /// Work done on the last problem.
    pub fn sweeps(&self) -> Sweeps {
        self.sweeps
    }

    /// Column reduction: v_j = min_i c_ij. Only sound where all columns end up matched.
    #[inline(always)]
    fn reduce_columns<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        let cols = instance.cols();
        self.col_duals.reset(cols, R::INFINITY);
        for row in 0..instance.rows() {
            sweep::lower_to_costs(lanes, instance.row(row), &mut self.col_duals);
        }
        let mut real = cols;
        for block in self.col_duals.blocks_mut() {
            let (real_part, padding) = block.0.split_at_mut(real.min(BLOCK));
            if real_part.contains(&R::INFINITY) {
                return Err(Infeasible);
            }
            // Below all real ones when the largest is sought, and +inf less this is still +inf.
            padding.fill(R::NEG_INFINITY);
            real -= real_part.len();
        }
        Ok(())
    }

    /// Augmenting row reduction goes on with the next row, or gives way to augmentation.
    #[inline(always)]
    fn try_next<E: Entry>(&mut self, instance: &Instance<E>, next: usize, tries: u64) {
        if next < instance.rows() && tries > 0 {
            self.phase = Phase::Reduction {
                row: next,
                next: next + 1,
                tries,
            };
            return;
        }
        self.pending.extend(next..instance.rows());
        self.search_next(instance, 0);
    }

    /// Augmenting row reduction acts on the sweep of `row`. A row that it cannot settle goes to `pending`.
    #[inline(always)]
    fn reduce_row<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        row: usize,
        next: usize,
        tries: u64,
    ) -> Result<(), Infeasible> {
        let tries = tries - 1;
        let Found {
            least,
            second,
            col,
            is_unmatched,
        } = self.found;
        if least > self.row_ceiling {
            // Better off unmatched, for good.
            self.try_next(instance, next, tries);
            return Ok(());
        }
        if least == R::INFINITY {
            return Err(Infeasible);
        }
        let second = if second < self.row_ceiling {
            second
        } else {
            self.row_ceiling
        };
        // Without a gap the loser would only take the column back. Without a second column the
        // gap is unbounded and v would be lost. Both are left to the exact search.
        let gap = second - least;
        let takes_over = gap > R::ZERO && gap < R::INFINITY;
        if !is_unmatched && !takes_over {
            self.pending.push(row);
            self.try_next(instance, next, tries);
            return Ok(());
        }
        if gap < R::INFINITY {
            self.col_duals.subtract(lanes, col, gap);
        }
        let loser = self.row_of_col[col];
        self.col_of_row[row] = col as i32;
        self.row_of_col[col] = row as i32;
        self.row_duals[row] = R::round_from(instance.cost(row, col)) - self.col_duals.get(col);
        if is_unmatched {
            self.unmatched_cols[col / BLOCK] &= !(1 << (col % BLOCK));
            self.try_next(instance, next, tries);
            return Ok(());
        }
        let loser = loser as usize;
        self.col_of_row[loser] = UNMATCHED;
        self.row_duals[loser] = self.row_ceiling;
        if tries == 0 {
            self.pending.push(loser);
            self.try_next(instance, next, tries);
            return Ok(());
        }
        self.phase = Phase::Reduction {
            row: loser,
            next,
            tries,
        };
        Ok(())
    }

    /// Augmentation goes on with the pending row at `position`; behind the last one the instance is solved.
    #[inline(always)]
    fn search_next<E: Entry>(&mut self, instance: &Instance<E>, position: usize) {
        let Some(&row) = self.pending.get(position) else {
            if instance.is_balanced() {
                self.shift_duals();
            }
            self.phase = Phase::Done;
            return;
        };
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

    /// Dijkstra's search over reduced costs c − v − u, with u taken as 0 for the row where it starts: goes on to
    /// the nearest column, whose shortest path is now known. Where that ends the search, the path is flipped.
    #[inline(always)]
    fn extend_path<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        position: usize,
    ) -> Result<(), Infeasible> {
        let Found {
            least: length,
            col,
            is_unmatched,
            ..
        } = self.found;
        let Search {
            distance,
            open_duals,
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
        sweep::settle(lanes, col, open_duals, distance);
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
    #[inline(always)]
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
            end = reached[place].way_in(place);
        }

        // Restores (1): a column settled at distance d becomes dearer by length − d, never cheaper.
        for reached in &self.search.reached[1..] {
            if reached.length < length {
                let dual = self.col_duals.get(reached.col) + (reached.length - length);
                self.col_duals.set(reached.col, dual);
            }
        }
        for &Reached { row, .. } in &self.search.reached {
            let col = self.col_of_row[row];
            self.row_duals[row] = if col == UNMATCHED {
                self.row_ceiling
            } else {
                let col = col as usize;
                R::round_from(instance.cost(row, col)) - self.col_duals.get(col)
            };
        }
    }

    /// Of all equally good duals of a square problem, takes those with max v = 0.
    #[inline(always)]
    fn shift_duals(&mut self) {
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
