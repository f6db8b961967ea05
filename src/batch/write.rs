//! Answers rounded and written, in the user's orientation, order, sense and scale.

use crate::batch::status::Status;
use crate::batch::tensors::Outputs;
use crate::number::arithmetic::Arithmetic;
use crate::problem::given::Problem;
use crate::problem::indices::Indices;
use crate::problem::instance::Instance;
use crate::prove::lift::Lift;
use crate::simd::cost::{Cost, Entry, Real};
use crate::simd::sum::compensated_sum;
use crate::solve::augment::{Solver, UNMATCHED};
use crate::solve::narrow::NarrowAnswer;
use crate::sweep::per_column::BLOCK;

/// What an answer says of one side of an instance, of its rows or of its columns, whichever solver
/// found it.
pub trait SideAnswer {
    /// The partner of a row (or column), or [`UNMATCHED`].
    fn partner(&self, index: usize) -> i32;

    /// The dual of a row (or column).
    fn dual(&self, index: usize) -> f64;

    /// Writes the partner of each; there are as many outputs.
    fn write_partners(&self, outputs: &mut [i32]);

    /// Writes the dual of each, times `factor`.
    fn write_duals<U: Real>(&self, outputs: &mut [U], factor: f64)
    where
        Self: Sized;
}

/// Adding zero turns -0.0 into 0.0.
#[inline(always)]
fn rounded<U: Real>(dual: f64) -> U {
    U::round_from(dual + 0.0)
}

/// The rows of an instance that a [`Solver`] has solved.
pub struct RowsOf<'a, R>(pub &'a Solver<R>);

impl<R: Arithmetic> SideAnswer for RowsOf<'_, R> {
    #[inline(always)]
    fn partner(&self, row: usize) -> i32 {
        self.0.col_of_row()[row]
    }
    #[inline(always)]
    fn dual(&self, row: usize) -> f64 {
        self.0.row_duals()[row].round_to_f64()
    }
    #[inline(always)]
    fn write_partners(&self, outputs: &mut [i32]) {
        outputs.copy_from_slice(self.0.col_of_row());
    }
    #[inline(always)]
    fn write_duals<U: Real>(&self, outputs: &mut [U], factor: f64) {
        for (output, dual) in outputs.iter_mut().zip(self.0.row_duals()) {
            *output = rounded(dual.round_to_f64() * factor);
        }
    }
}

/// Its columns.
pub struct ColsOf<'a, R>(pub &'a Solver<R>);

impl<R: Arithmetic> SideAnswer for ColsOf<'_, R> {
    #[inline(always)]
    fn partner(&self, col: usize) -> i32 {
        self.0.row_of_col()[col]
    }
    #[inline(always)]
    fn dual(&self, col: usize) -> f64 {
        self.0.col_duals().get(col).round_to_f64()
    }
    #[inline(always)]
    fn write_partners(&self, outputs: &mut [i32]) {
        outputs.copy_from_slice(self.0.row_of_col());
    }
    #[inline(always)]
    fn write_duals<U: Real>(&self, outputs: &mut [U], factor: f64) {
        let blocks = self.0.col_duals().blocks().iter();
        for (outputs, block) in outputs.chunks_mut(BLOCK).zip(blocks) {
            for (output, dual) in outputs.iter_mut().zip(&block.0) {
                *output = rounded(dual.round_to_f64() * factor);
            }
        }
    }
}

/// The rows of a narrow instance.
pub struct RowsOfNarrow<'a, const COLS: usize>(pub &'a NarrowAnswer<COLS>);

impl<const COLS: usize> SideAnswer for RowsOfNarrow<'_, COLS> {
    #[inline(always)]
    fn partner(&self, row: usize) -> i32 {
        self.0.col_of_row()[row].into()
    }
    #[inline(always)]
    fn dual(&self, row: usize) -> f64 {
        self.0.row_duals()[row]
    }
    #[inline(always)]
    fn write_partners(&self, outputs: &mut [i32]) {
        widen(self.0.col_of_row(), outputs);
    }
    #[inline(always)]
    fn write_duals<U: Real>(&self, outputs: &mut [U], factor: f64) {
        round(self.0.row_duals(), outputs, factor);
    }
}

/// Its columns.
pub struct ColsOfNarrow<'a, const COLS: usize>(pub &'a NarrowAnswer<COLS>);

impl<const COLS: usize> SideAnswer for ColsOfNarrow<'_, COLS> {
    #[inline(always)]
    fn partner(&self, col: usize) -> i32 {
        self.0.found.row_of_col[col].into()
    }
    #[inline(always)]
    fn dual(&self, col: usize) -> f64 {
        self.0.found.col_duals[col]
    }
    #[inline(always)]
    fn write_partners(&self, outputs: &mut [i32]) {
        widen(&self.0.found.row_of_col, outputs);
    }
    #[inline(always)]
    fn write_duals<U: Real>(&self, outputs: &mut [U], factor: f64) {
        round(&self.0.found.col_duals, outputs, factor);
    }
}

#[inline(always)]
fn widen<const COLS: usize>(partners: &[i8; COLS], outputs: &mut [i32]) {
    let mut wide = [0; COLS];
    for (wide, &partner) in wide.iter_mut().zip(partners) {
        *wide = partner.into();
    }
    write_first(&wide, outputs);
}

#[inline(always)]
fn round<U: Real, const COLS: usize>(duals: &[f64; COLS], outputs: &mut [U], factor: f64) {
    let mut narrow = [U::round_from(0.0); COLS];
    for (narrow, &dual) in narrow.iter_mut().zip(duals) {
        *narrow = rounded(dual * factor);
    }
    write_first(&narrow, outputs);
}

/// Writes as many numbers as there are outputs. Where that is all of them, the size is known to the
/// compiler, and nothing is called.
#[inline(always)]
fn write_first<U: Copy, const COLS: usize>(numbers: &[U; COLS], outputs: &mut [U]) {
    match outputs.as_chunks_mut().0 {
        [outputs] => *outputs = *numbers,
        _ => (outputs.iter_mut().zip(numbers)).for_each(|(output, &number)| *output = number),
    }
}

/// Where a [`SideAnswer`] is written.
struct Side<'a, U> {
    partners: &'a mut [i32],
    duals: &'a mut [U],
    /// The user's index of each row (or column).
    indices: &'a Indices,
}

impl<U: Real> Side<'_, U> {
    /// Do all of the user's rows (or columns) exist?
    #[inline(always)]
    fn all_exist(&self) -> bool {
        self.indices.count() == self.partners.len()
    }

    /// Writes duals; that of a row (or column) that does not exist is 0.
    #[inline(always)]
    fn write_duals(&mut self, answer: &impl SideAnswer, factor: f64) {
        if self.all_exist() {
            answer.write_duals(self.duals, factor);
            return;
        }
        self.duals.fill(U::round_from(0.0));
        for (index, user_index) in self.indices.iter().enumerate() {
            self.duals[user_index] = rounded(answer.dual(index) * factor);
        }
    }
}

impl<U: Real> Outputs<'_, U> {
    /// Writes the answer to the one problem of these outputs: for the instance's rows and for its
    /// columns.
    #[inline(always)]
    pub fn write<E: Entry>(
        &mut self,
        instance: &Instance<E>,
        rows: &impl SideAnswer,
        cols: &impl SideAnswer,
    ) {
        let [mut of_rows, mut of_cols] = self.sides(instance);
        if of_rows.all_exist() && of_cols.all_exist() {
            rows.write_partners(of_rows.partners);
            cols.write_partners(of_cols.partners);
        } else {
            // What does not exist has no partner, and partners are mutual.
            of_rows.partners.fill(UNMATCHED);
            of_cols.partners.fill(UNMATCHED);
            for (row, user_row) in of_rows.indices.iter().enumerate() {
                if let Ok(col) = usize::try_from(rows.partner(row)) {
                    let user_col = of_cols.indices.get(col);
                    of_rows.partners[user_row] = user_col as i32;
                    of_cols.partners[user_col] = user_row as i32;
                }
            }
        }
        let factor = instance.dual_factor();
        of_rows.write_duals(rows, factor);
        of_cols.write_duals(cols, factor);
        if instance.half_limit_excess != 0.0 {
            self.lift_duals(instance, rows, cols);
        }
    }

    /// What is written of the instance's rows and of its columns.
    #[inline(always)]
    fn sides<'a, E>(&'a mut self, instance: &Instance<'a, E>) -> [Side<'a, U>; 2] {
        let Instance {
            row_indices,
            col_indices,
            ..
        } = *instance;
        let (rows_to, cols_to) = (
            (&mut *self.row_to_col, &mut *self.row_duals),
            (&mut *self.col_to_row, &mut *self.col_duals),
        );
        let (rows_to, cols_to) = if instance.transposed {
            (cols_to, rows_to)
        } else {
            (rows_to, cols_to)
        };
        [
            Side {
                partners: rows_to.0,
                duals: rows_to.1,
                indices: row_indices,
            },
            Side {
                partners: cols_to.0,
                duals: cols_to.1,
                indices: col_indices,
            },
        ]
    }

    /// Writes the duals of an answer again where the limit counted as less than it is: see
    /// [`crate::prove::lift`].
    #[cold]
    #[inline(never)]
    fn lift_duals<E: Entry>(
        &mut self,
        instance: &Instance<E>,
        rows: &dyn SideAnswer,
        cols: &dyn SideAnswer,
    ) {
        let lift = Lift::of(
            instance.half_limit,
            instance.largest_cost,
            (0..instance.rows()).map(|row| rows.dual(row)),
            (0..instance.cols()).map(|col| cols.dual(col)),
        );
        let (factor, excess) = (instance.dual_factor(), instance.half_limit_excess);
        let lifted = |dual: f64, rise: f64| rounded(dual * factor + rise * excess);
        let [of_rows, of_cols] = self.sides(instance);
        for (row, user_index) in of_rows.indices.iter().enumerate() {
            let partner = usize::try_from(rows.partner(row)).ok();
            let (dual, of_partner) = (rows.dual(row), partner.map(|col| cols.dual(col)));
            of_rows.duals[user_index] = lifted(dual, lift.of_row(dual, of_partner));
        }
        for (col, user_index) in of_cols.indices.iter().enumerate() {
            let partner = usize::try_from(cols.partner(col)).ok();
            let (dual, of_partner) = (cols.dual(col), partner.map(|row| rows.dual(row)));
            of_cols.duals[user_index] = lifted(dual, lift.of_col(dual, of_partner));
        }
    }

    /// Writes the total and the verdict on one problem that has an answer.
    #[inline(always)]
    pub fn conclude(&mut self, total_cost: f64) {
        self.total_cost[0] = U::round_from(total_cost);
        self.status[0] = Status::Optimal.code();
    }

    /// Writes what an invalid problem answers.
    pub fn conclude_invalid(&mut self) {
        self.conclude_without_answer(f64::NAN, Status::Invalid);
    }

    /// Writes what an infeasible problem answers, where +inf times `sign` is the worst total.
    pub fn conclude_infeasible(&mut self, sign: f64) {
        self.conclude_without_answer(sign * f64::INFINITY, Status::Infeasible);
    }

    /// Nothing matched, all duals 0.
    fn conclude_without_answer(&mut self, total_cost: f64, status: Status) {
        self.row_to_col.fill(UNMATCHED);
        self.col_to_row.fill(UNMATCHED);
        self.row_duals.fill(U::round_from(0.0));
        self.col_duals.fill(U::round_from(0.0));
        self.total_cost[0] = U::round_from(total_cost);
        self.status[0] = status.code();
    }
}

/// Sum over the matched pairs.
#[inline(always)]
pub fn total_cost<T: Cost>(problem: &Problem<T>, row_to_col: &[i32]) -> f64 {
    let matched = || {
        row_to_col
            .iter()
            .enumerate()
            .filter(|(_, col)| **col >= 0)
            .map(|(row, &col)| problem.cost_of(row, col as usize))
    };
    let sum = compensated_sum(matched());
    if sum.is_finite() {
        return sum;
    }
    // A partial sum left the range of f64; the total need not.
    const SCALE: f64 = 1.0 / (1u64 << 40) as f64;
    compensated_sum(matched().map(|cost| cost * SCALE)) / SCALE
}
