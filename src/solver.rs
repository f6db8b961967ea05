//! The assignment problem by shortest augmenting paths.
//!
//! Given costs c (rows ≤ columns; +inf = forbidden), match every row with a column of its own so that
//! the sum of matched costs is least. With a limit L, a row or a column may stay unmatched at L/2 each.
//!
//! **Algorithm.** Jonker & Volgenant, "A shortest augmenting path algorithm for dense and sparse linear
//! assignment problems", Computing 38 (1987), in the rectangular form of Crouse, "On implementing 2D
//! rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52 (2016): rectangles are not
//! padded. The arithmetic is a parameter, f64 or wider; costs of every supported type are exact in it.
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

use std::collections::TryReserveError;

use crate::arithmetic::Arithmetic;
use crate::problem::{Cost, Instance};

/// Marks a row or a column without a partner.
pub const UNMATCHED: usize = usize::MAX;

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

/// The solver and its workspace. One worker owns one and reuses it for problem after problem.
#[derive(Debug)]
pub struct Solver<R> {
    /// Row ceiling of the problem at hand.
    row_ceiling: R,
    /// Column matched with each row, or [`UNMATCHED`].
    col_of_row: Vec<usize>,
    /// Row matched with each column, or [`UNMATCHED`].
    row_of_col: Vec<usize>,
    /// u; complete only after a successful solve.
    row_duals: Vec<R>,
    /// v.
    col_duals: Vec<R>,
    /// The row of costs under the present sweep.
    costs: Vec<f64>,
    /// Rows that augmenting row reduction left for augmentation.
    pending: Vec<usize>,
    search: Search<R>,
    /// By how much the duals of a square problem were shifted in the end.
    shift: R,
    sweeps: Sweeps,
}

/// Workspace of one shortest path search.
#[derive(Debug)]
struct Search<R> {
    /// Length of the shortest path known to each column not yet settled; +inf once it is settled.
    distance: Vec<R>,
    /// The row from which that path reaches the column.
    predecessor: Vec<usize>,
    /// v of each column not yet settled; −inf once it is settled, which keeps it out of further sweeps.
    open_duals: Vec<R>,
    /// Settled columns, in the order of their distances.
    settled: Vec<(usize, R)>,
}

/// Where a shortest path ends.
enum Sink {
    /// At an unmatched column.
    Column(usize),
    /// At a row that had better be unmatched.
    Row(usize),
}

impl<R: Arithmetic> Default for Solver<R> {
    fn default() -> Self {
        Solver {
            row_ceiling: R::ZERO,
            col_of_row: Vec::new(),
            row_of_col: Vec::new(),
            row_duals: Vec::new(),
            col_duals: Vec::new(),
            costs: Vec::new(),
            pending: Vec::new(),
            search: Search {
                distance: Vec::new(),
                predecessor: Vec::new(),
                open_duals: Vec::new(),
                settled: Vec::new(),
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
        make_room(&mut self.col_of_row, shorter)?;
        make_room(&mut self.row_duals, shorter)?;
        make_room(&mut self.pending, shorter)?;
        make_room(&mut self.row_of_col, longer)?;
        make_room(&mut self.col_duals, longer)?;
        make_room(&mut self.costs, longer)?;
        make_room(&mut self.search.distance, longer)?;
        make_room(&mut self.search.predecessor, longer)?;
        make_room(&mut self.search.open_duals, longer)?;
        make_room(&mut self.search.settled, longer)
    }

    /// Solves `instance`. On success [`Solver::col_of_row`] and the duals hold the answer.
    pub fn solve<T: Cost>(&mut self, instance: &Instance<T>) -> Result<(), Infeasible> {
        let (rows, cols) = (instance.rows(), instance.cols());
        debug_assert!(rows <= cols);
        let limited = instance.half_limit.is_finite();
        self.row_ceiling = R::from(instance.half_limit);
        let col_ceiling = if limited { self.row_ceiling } else { R::ZERO };
        refill(&mut self.col_of_row, rows, UNMATCHED);
        refill(&mut self.row_of_col, cols, UNMATCHED);
        refill(&mut self.row_duals, rows, R::ZERO);
        refill(&mut self.col_duals, cols, col_ceiling);
        refill(&mut self.costs, cols, 0.0);
        self.pending.clear();
        self.shift = R::ZERO;
        self.sweeps = Sweeps::default();

        let all_columns_matched = rows == cols && !limited;
        if all_columns_matched {
            self.reduce_columns(instance)?;
        }
        self.reduce_rows(instance)?;
        for position in 0..self.pending.len() {
            self.augment(instance, self.pending[position])?;
        }
        self.derive_row_duals(instance);
        if all_columns_matched {
            self.shift_duals();
        }
        Ok(())
    }

    /// Column matched with each row, or [`UNMATCHED`].
    pub fn col_of_row(&self) -> &[usize] {
        &self.col_of_row
    }

    /// Row matched with each column, or [`UNMATCHED`].
    pub fn row_of_col(&self) -> &[usize] {
        &self.row_of_col
    }

    /// u: one dual for each row.
    pub fn row_duals(&self) -> &[R] {
        &self.row_duals
    }

    /// v: one dual for each column.
    pub fn col_duals(&self) -> &[R] {
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
    fn reduce_columns<T: Cost>(&mut self, instance: &Instance<T>) -> Result<(), Infeasible> {
        self.col_duals.fill(R::INFINITY);
        for row in 0..instance.rows() {
            instance.load_row(row, &mut self.costs);
            for (dual, &cost) in self.col_duals.iter_mut().zip(&self.costs) {
                let cost = R::from(cost);
                *dual = if cost < *dual { cost } else { *dual };
            }
        }
        if self.col_duals.contains(&R::INFINITY) {
            return Err(Infeasible);
        }
        Ok(())
    }

    /// Augmenting row reduction over all rows. Rows that it cannot settle go to `pending`, in order.
    fn reduce_rows<T: Cost>(&mut self, instance: &Instance<T>) -> Result<(), Infeasible> {
        let rows = instance.rows();
        let mut tries = 2 * rows as u64;
        for first in 0..rows {
            let mut row = first;
            loop {
                if tries == 0 {
                    self.pending.push(row);
                    break;
                }
                tries -= 1;
                self.sweeps.reduction += 1;
                instance.load_row(row, &mut self.costs);
                let best = self.cheapest_columns();
                if best.least > self.row_ceiling {
                    break; // Better off unmatched, for good.
                }
                if best.least == R::INFINITY {
                    return Err(Infeasible);
                }
                let second = if best.second < self.row_ceiling {
                    best.second
                } else {
                    self.row_ceiling
                };
                let loser = self.row_of_col[best.column];
                // Without a gap the loser would only take the column back. Without a second column the
                // gap is unbounded and v would be lost. Both are left to the exact search.
                let gap = second - best.least;
                if loser != UNMATCHED && !(gap > R::ZERO && gap < R::INFINITY) {
                    self.pending.push(row);
                    break;
                }
                if gap < R::INFINITY {
                    self.col_duals[best.column] = self.col_duals[best.column] - gap;
                }
                self.col_of_row[row] = best.column;
                self.row_of_col[best.column] = row;
                if loser == UNMATCHED {
                    break;
                }
                self.col_of_row[loser] = UNMATCHED;
                row = loser;
            }
        }
        self.pending.sort_unstable();
        Ok(())
    }

    /// Least and second least reduced cost of the row in `costs`.
    fn cheapest_columns(&self) -> CheapestColumns<R> {
        let mut best = CheapestColumns {
            column: 0,
            least: R::INFINITY,
            second: R::INFINITY,
        };
        for (column, (&cost, &dual)) in self.costs.iter().zip(&self.col_duals).enumerate() {
            let reduced = R::from(cost) - dual;
            if reduced < best.second {
                if reduced < best.least {
                    best.second = best.least;
                    best.least = reduced;
                    best.column = column;
                } else {
                    best.second = reduced;
                }
            }
        }
        if best.second == best.least && self.row_of_col[best.column] != UNMATCHED {
            let tied = |&column: &usize| {
                R::from(self.costs[column]) - self.col_duals[column] == best.least
                    && self.row_of_col[column] == UNMATCHED
            };
            if let Some(unmatched) = (0..self.costs.len()).find(tied) {
                best.column = unmatched;
            }
        }
        best
    }

    /// Augmentation: finds the shortest path from the unmatched row `start`, updates v, flips the path.
    fn augment<T: Cost>(&mut self, instance: &Instance<T>, start: usize) -> Result<(), Infeasible> {
        let (sink, length) = self.shortest_path(instance, start)?;

        // Restores (1): a column settled at distance d becomes dearer by length − d, never cheaper.
        for &(column, distance) in &self.search.settled {
            if distance < length {
                self.col_duals[column] = self.col_duals[column] + (distance - length);
            }
        }

        // Flips the path, from its end back to `start`.
        let mut column = match sink {
            Sink::Column(column) => column,
            Sink::Row(row) => std::mem::replace(&mut self.col_of_row[row], UNMATCHED),
        };
        while column != UNMATCHED {
            let row = self.search.predecessor[column];
            self.row_of_col[column] = row;
            std::mem::swap(&mut self.col_of_row[row], &mut column);
        }
        Ok(())
    }

    /// Dijkstra's search from `start` over reduced costs c − v − u, with u_start taken as 0. Returns the end
    /// of the shortest path and its length.
    fn shortest_path<T: Cost>(
        &mut self,
        instance: &Instance<T>,
        start: usize,
    ) -> Result<(Sink, R), Infeasible> {
        let search = &mut self.search;
        let cols = instance.cols();
        refill(&mut search.distance, cols, R::INFINITY);
        refill(&mut search.predecessor, cols, UNMATCHED);
        search.open_duals.clear();
        search.open_duals.extend_from_slice(&self.col_duals);
        search.settled.clear();

        let mut row = start;
        // u of the row under the sweep, less the length of the path to it.
        let mut offset = R::ZERO;
        // The cheapest way to end at a row, and that row.
        let mut exit = R::INFINITY;
        let mut exit_row = start;
        loop {
            self.sweeps.augmentation += 1;
            if self.row_ceiling - offset < exit {
                exit = self.row_ceiling - offset;
                exit_row = row;
            }
            instance.load_row(row, &mut self.costs);
            search.relax(row, offset, &self.costs);

            let (column, length) = search.nearest_column(&self.row_of_col);
            if exit < length {
                return Ok((Sink::Row(exit_row), exit));
            }
            if length == R::INFINITY {
                return Err(Infeasible);
            }
            if self.row_of_col[column] == UNMATCHED {
                return Ok((Sink::Column(column), length));
            }
            search.settle(column, length);
            row = self.row_of_col[column];
            offset = R::from(instance.cost(row, column)) - self.col_duals[column] - length;
        }
    }

    /// u_i = c_ij − v_j where row i is matched with j; the ceiling where it is unmatched.
    fn derive_row_duals<T: Cost>(&mut self, instance: &Instance<T>) {
        for (row, (dual, &column)) in self.row_duals.iter_mut().zip(&self.col_of_row).enumerate() {
            *dual = if column == UNMATCHED {
                self.row_ceiling
            } else {
                R::from(instance.cost(row, column)) - self.col_duals[column]
            };
        }
    }

    /// Of all equally good duals of a square problem, takes those with max v = 0.
    fn shift_duals(&mut self) {
        let larger = |a, b| if b > a { b } else { a };
        let Some(top) = self.col_duals.iter().copied().reduce(larger) else {
            return;
        };
        self.shift = top;
        self.col_duals
            .iter_mut()
            .for_each(|dual| *dual = *dual - top);
        self.row_duals
            .iter_mut()
            .for_each(|dual| *dual = *dual + top);
    }
}

struct CheapestColumns<R> {
    column: usize,
    least: R,
    second: R,
}

impl<R: Arithmetic> Search<R> {
    /// Offers every open column the path through `row`.
    fn relax(&mut self, row: usize, offset: R, costs: &[f64]) {
        let columns = self
            .distance
            .iter_mut()
            .zip(&mut self.predecessor)
            .zip(costs.iter().zip(&self.open_duals));
        for ((distance, predecessor), (&cost, &dual)) in columns {
            let through_row = R::from(cost) - dual - offset;
            let shorter = through_row < *distance;
            *distance = if shorter { through_row } else { *distance };
            *predecessor = if shorter { row } else { *predecessor };
        }
    }

    /// The open column of least distance: an unmatched one if there is one among equals, else the first.
    fn nearest_column(&self, row_of_col: &[usize]) -> (usize, R) {
        let least = minimum(&self.distance);
        let mut nearest = None;
        for (column, &distance) in self.distance.iter().enumerate() {
            if distance == least {
                if row_of_col[column] == UNMATCHED {
                    return (column, least);
                }
                nearest = nearest.or(Some(column));
            }
        }
        (nearest.unwrap_or(0), least)
    }

    /// Closes a column: its shortest path is known.
    fn settle(&mut self, column: usize, length: R) {
        self.settled.push((column, length));
        self.distance[column] = R::INFINITY;
        self.open_duals[column] = R::NEG_INFINITY;
    }
}

/// Least of `values`, none of which is NaN; +inf if there are none.
fn minimum<R: Arithmetic>(values: &[R]) -> R {
    const LANES: usize = 8;
    let smaller = |a: R, b: R| if b < a { b } else { a };
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut least = [R::INFINITY; LANES];
    for chunk in chunks {
        for (least, &value) in least.iter_mut().zip(chunk) {
            *least = smaller(*least, value);
        }
    }
    least.iter().chain(rest).copied().fold(R::INFINITY, smaller)
}

/// Empties `list` and fills it anew, within what `try_reserve` set aside.
fn refill<V: Copy>(list: &mut Vec<V>, length: usize, value: V) {
    list.clear();
    list.resize(length, value);
}
