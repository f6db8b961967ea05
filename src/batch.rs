//! Many problems one after the other: each solved on its own, outputs rounded and written.
//!
//! A worker gets a contiguous range of problems. A bad problem gets its status and placeholder outputs and
//! leaves its neighbours alone.

use std::collections::TryReserveError;

use crate::float_environment::KeepDenormals;
use crate::problem::{Cost, Instance, Invalid, Layout, Mask, Options, Problem};
use crate::solver::{Solver, UNMATCHED};
use crate::status::Status;
use crate::sum::compensated_sum;

/// What totals and duals are returned in.
pub trait Real: Copy {
    /// The nearest number of this type; beyond its range, an infinity.
    fn round_from(value: f64) -> Self;
}

impl Real for f32 {
    fn round_from(value: f64) -> Self {
        value as f32
    }
}

impl Real for f64 {
    fn round_from(value: f64) -> Self {
        value
    }
}

/// Sizes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of problems.
    pub problems: usize,
    /// Rows of each problem.
    pub rows: usize,
    /// Columns of each problem.
    pub cols: usize,
}

/// Inputs of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a, T> {
    /// `[problems, rows, cols]`, row-major.
    pub cost: &'a [T],
    /// `[problems, rows]`, or one flag for all.
    pub row_mask: &'a [bool],
    /// `[problems, cols]`, or one flag for all.
    pub col_mask: &'a [bool],
    /// Sense and limit, the same for all problems.
    pub options: Options,
}

/// Outputs of a batch; every element is written.
#[derive(Debug)]
pub struct Outputs<'a, U> {
    /// `[problems]`.
    pub total_cost: &'a mut [U],
    /// `[problems, rows]`.
    pub row_to_col: &'a mut [i32],
    /// `[problems, cols]`.
    pub col_to_row: &'a mut [i32],
    /// `[problems, rows]`.
    pub row_duals: &'a mut [U],
    /// `[problems, cols]`.
    pub col_duals: &'a mut [U],
    /// `[problems]`.
    pub status: &'a mut [i32],
}

/// Why a batch could not be run at all.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BatchError {
    /// A buffer does not have the size that the shape asks for.
    #[error("{name} has {got} elements, expected {expected} for {shape}")]
    Size {
        /// Which buffer.
        name: &'static str,
        /// Its number of elements.
        got: usize,
        /// What the shape asks for.
        expected: usize,
        /// The shape.
        shape: Shape,
    },
    /// A size is negative.
    #[error("a size is negative: got {0}, expected 0 or more")]
    NegativeSize(i64),
    /// The sizes multiply to more than this machine can address, or indices would not fit int32.
    #[error(
        "got {0}, expected at most {max} rows and columns and at most 2^64 entries in all",
        max = i32::MAX
    )]
    TooLarge(Shape),
    /// The workspace could not be had.
    #[error("no memory for the workspace of a {rows} x {cols} problem: {source}")]
    Memory {
        /// Rows of the problem.
        rows: usize,
        /// Columns of the problem.
        cols: usize,
        /// What the allocator said.
        source: TryReserveError,
    },
}

/// Element counts that follow from a shape, multiplied with care.
struct Counts {
    cost: usize,
    rows: usize,
    cols: usize,
}

impl Shape {
    fn counts(&self) -> Result<Counts, BatchError> {
        let too_large = BatchError::TooLarge(*self);
        if self.rows.max(self.cols) > i32::MAX as usize {
            return Err(too_large);
        }
        let rows = self.problems.checked_mul(self.rows);
        let cols = self.problems.checked_mul(self.cols);
        let cost = rows.and_then(|rows| rows.checked_mul(self.cols));
        match (cost, rows, cols) {
            (Some(cost), Some(rows), Some(cols)) => Ok(Counts { cost, rows, cols }),
            _ => Err(too_large),
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shape {
            problems,
            rows,
            cols,
        } = self;
        write!(f, "{problems} problems of {rows} x {cols}")
    }
}

/// Processor cycles that one problem is expected to take, for a scheduler: one pass over the matrix, and some
/// three sweeps for each row of the shorter side. Saturates at infinity.
pub fn cycles_per_problem(rows: f64, cols: f64) -> f64 {
    const FIXED: f64 = 500.0;
    const CYCLES_PER_ENTRY: f64 = 4.0;
    const SWEEPS_PER_ROW: f64 = 3.0;
    FIXED + CYCLES_PER_ENTRY * rows * cols * (1.0 + SWEEPS_PER_ROW)
}

impl<'a, T: Cost> Inputs<'a, T> {
    /// Checks the sizes of all inputs against `shape`.
    pub fn check(&self, shape: Shape) -> Result<(), BatchError> {
        let counts = shape.counts()?;
        expect_size("cost", self.cost.len(), counts.cost, shape)?;
        if self.row_mask.len() != 1 {
            expect_size("row_mask", self.row_mask.len(), counts.rows, shape)?;
        }
        if self.col_mask.len() != 1 {
            expect_size("col_mask", self.col_mask.len(), counts.cols, shape)?;
        }
        Ok(())
    }

    /// The problem at `index`. The sizes must have been checked.
    pub fn problem(&self, shape: Shape, index: usize) -> Problem<'a, T> {
        let Shape { rows, cols, .. } = shape;
        fn mask(flags: &[bool], length: usize, index: usize) -> Mask<'_> {
            match flags {
                [flag] => Mask::Uniform(*flag),
                _ => Mask::Each(&flags[index * length..][..length]),
            }
        }
        Problem {
            cost: &self.cost[index * rows * cols..][..rows * cols],
            rows,
            cols,
            row_mask: mask(self.row_mask, rows, index),
            col_mask: mask(self.col_mask, cols, index),
            options: self.options,
        }
    }
}

fn expect_size(
    name: &'static str,
    got: usize,
    expected: usize,
    shape: Shape,
) -> Result<(), BatchError> {
    if got == expected {
        return Ok(());
    }
    Err(BatchError::Size {
        name,
        got,
        expected,
        shape,
    })
}

/// Solves all problems of a batch.
///
/// Values never make this fail: a problem that is invalid or infeasible says so in its status.
///
/// # Errors
///
/// Sizes that do not fit together, or no memory for the workspace. No output is to be relied on then.
pub fn solve<T: Cost, U: Real>(
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<U>,
) -> Result<(), BatchError> {
    inputs.check(shape)?;
    let counts = shape.counts()?;
    for (name, got, expected) in [
        ("total_cost", outputs.total_cost.len(), shape.problems),
        ("row_to_col", outputs.row_to_col.len(), counts.rows),
        ("col_to_row", outputs.col_to_row.len(), counts.cols),
        ("row_duals", outputs.row_duals.len(), counts.rows),
        ("col_duals", outputs.col_duals.len(), counts.cols),
        ("status", outputs.status.len(), shape.problems),
    ] {
        expect_size(name, got, expected, shape)?;
    }

    let Shape { rows, cols, .. } = shape;
    let mut layout = Layout::default();
    let mut solver = Solver::default();
    layout
        .try_reserve(rows, cols)
        .and_then(|()| solver.try_reserve(rows, cols))
        .map_err(|source| BatchError::Memory { rows, cols, source })?;

    let _ieee = KeepDenormals::on_this_thread();
    for index in 0..shape.problems {
        let mut answer = Outputs {
            total_cost: &mut outputs.total_cost[index..=index],
            row_to_col: &mut outputs.row_to_col[index * rows..][..rows],
            col_to_row: &mut outputs.col_to_row[index * cols..][..cols],
            row_duals: &mut outputs.row_duals[index * rows..][..rows],
            col_duals: &mut outputs.col_duals[index * cols..][..cols],
            status: &mut outputs.status[index..=index],
        };
        answer.clear();
        let problem = inputs.problem(shape, index);
        let (total_cost, status) = match problem.prepare(&mut layout) {
            Err(_) => (f64::NAN, Status::Invalid),
            Ok(instance) => match solver.solve(&instance) {
                Err(_) => (problem.options.sign() * f64::INFINITY, Status::Infeasible),
                Ok(()) => {
                    answer.write(&instance, &solver);
                    (total_cost(&problem, answer.row_to_col), Status::Optimal)
                }
            },
        };
        answer.total_cost[0] = U::round_from(total_cost);
        answer.status[0] = status.code();
    }
    Ok(())
}

impl<U: Real> Outputs<'_, U> {
    /// Nothing matched, all duals 0: what a bad problem answers, and masked rows and columns always.
    fn clear(&mut self) {
        self.row_to_col.fill(-1);
        self.col_to_row.fill(-1);
        self.row_duals.fill(U::round_from(0.0));
        self.col_duals.fill(U::round_from(0.0));
    }

    /// Writes the solver's answer in the user's orientation, order, sense and scale.
    fn write<T: Cost>(&mut self, instance: &Instance<T>, solver: &Solver) {
        let (to_col, to_row, row_duals, col_duals) = if instance.transposed {
            (
                &mut *self.col_to_row,
                &mut *self.row_to_col,
                &mut *self.col_duals,
                &mut *self.row_duals,
            )
        } else {
            (
                &mut *self.row_to_col,
                &mut *self.col_to_row,
                &mut *self.row_duals,
                &mut *self.col_duals,
            )
        };
        for (row, &name) in instance.row_names.iter().enumerate() {
            row_duals[name] = U::round_from(instance.unscale(solver.row_duals()[row]));
            let col = solver.col_of_row()[row];
            if col != UNMATCHED {
                let partner = instance.col_names[col];
                // The sizes were checked to fit int32.
                to_col[name] = partner as i32;
                to_row[partner] = name as i32;
            }
        }
        for (col, &name) in instance.col_names.iter().enumerate() {
            col_duals[name] = U::round_from(instance.unscale(solver.col_duals()[col]));
        }
    }
}

/// Sum over the matched pairs.
fn total_cost<T: Cost>(problem: &Problem<T>, row_to_col: &[i32]) -> f64 {
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

/// One sentence on the first problem whose status is not 0, or `None`.
///
/// `batch_dims` are the leading dimensions of the cost tensor, for naming an entry as the user would.
pub fn describe_first_bad<T: Cost>(
    shape: Shape,
    inputs: &Inputs<T>,
    batch_dims: &[i64],
    status: &[i32],
) -> Option<String> {
    let index = status
        .iter()
        .position(|&code| code != Status::Optimal.code())?;
    let problem = inputs.problem(shape, index);
    let place = batch_index(index, batch_dims);
    let where_ = if batch_dims.is_empty() {
        "the problem".to_string()
    } else {
        format!("problem [{}]", place.trim_end_matches(", "))
    };
    let forbidden = if inputs.options.maximize {
        "-inf"
    } else {
        "+inf"
    };
    let mut layout = Layout::default();
    layout.try_reserve(shape.rows, shape.cols).ok()?;
    Some(match problem.prepare(&mut layout) {
        Err(Invalid::Limit) => format!("{where_} is invalid: cost_limit is nan, expected a number"),
        Err(Invalid::Entry { row, col, value }) => format!(
            "{where_} is invalid: cost[{place}{row}, {col}] is {}, expected a finite cost or {forbidden} (a forbidden pair)",
            value.to_string().to_lowercase()
        ),
        Ok(instance) => {
            let required = instance.rows();
            let (side, names) = if instance.transposed {
                ("column", instance.row_names)
            } else {
                ("row", instance.row_names)
            };
            let barred = (0..required).find(|&row| {
                (0..instance.cols()).all(|col| instance.cost(row, col) == f64::INFINITY)
            });
            let reason = match barred {
                Some(row) => format!("{side} {} has no allowed pair", names[row]),
                None => format!(
                    "the allowed pairs (cost not {forbidden}) cannot match {required} pairs at once"
                ),
            };
            format!(
                "{where_} is infeasible: {reason}; expected min(existing rows, existing cols) = {required} matches"
            )
        }
    })
}

/// "2, 0, " for the problem at `index` of a batch with dimensions `batch_dims`.
fn batch_index(index: usize, batch_dims: &[i64]) -> String {
    // A position in a batch that exists fits.
    let mut rest = index as i64;
    let mut place = Vec::new();
    for &dim in batch_dims.iter().rev() {
        place.push(rest % dim.max(1));
        rest /= dim.max(1);
    }
    place
        .iter()
        .rev()
        .map(|coordinate| format!("{coordinate}, "))
        .collect()
}
