//! The tensors of a batch: their shapes, and which part of them belongs to a problem.

use std::collections::TryReserveError;
use std::ops::Range;

use crate::problem::given::{Mask, Options, Problem};
use crate::simd::cost::Cost;

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
pub struct Inputs<'a, T: Cost> {
    /// `[problems, rows, cols]`, row-major.
    pub cost: &'a [T],
    /// `[problems, rows]`, or one flag for all.
    pub row_mask: &'a [bool],
    /// `[problems, cols]`, or one flag for all.
    pub col_mask: &'a [bool],
    /// `[problems]`, or one limit for all; see [`Options::cost_limit`].
    pub cost_limit: &'a [T::Real],
    /// The largest total is sought: as if costs and limits were negated.
    pub maximize: bool,
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
        "got {0}, expected at most {max} rows and columns, and fewer than 2^64 entries in all",
        max = i32::MAX
    )]
    TooLarge(Shape),
    /// The workspace could not be allocated.
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

/// Element counts that follow from a shape, checked for overflow.
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
        let limits = self.cost_limit.len();
        if limits != 1 {
            expect_size("cost_limit", limits, shape.problems, shape)?;
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
            options: Options {
                cost_limit: match self.cost_limit {
                    [limit] => *limit,
                    limits => limits[index],
                }
                .into(),
                maximize: self.maximize,
            },
        }
    }
}

impl<U> Outputs<'_, U> {
    /// Checks the sizes of all outputs against `shape`.
    pub fn check(&self, shape: Shape) -> Result<(), BatchError> {
        let counts = shape.counts()?;
        expect_size("total_cost", self.total_cost.len(), shape.problems, shape)?;
        expect_size("row_to_col", self.row_to_col.len(), counts.rows, shape)?;
        expect_size("col_to_row", self.col_to_row.len(), counts.cols, shape)?;
        expect_size("row_duals", self.row_duals.len(), counts.rows, shape)?;
        expect_size("col_duals", self.col_duals.len(), counts.cols, shape)?;
        expect_size("status", self.status.len(), shape.problems, shape)
    }

    /// The part that belongs to one problem.
    #[inline(always)]
    pub fn of_problem(&mut self, shape: Shape, index: usize) -> Outputs<'_, U> {
        self.of_problems(shape, index..index + 1)
    }

    /// The part that belongs to some problems.
    #[inline(always)]
    pub fn of_problems(&mut self, shape: Shape, range: Range<usize>) -> Outputs<'_, U> {
        let Shape { rows, cols, .. } = shape;
        let rows = range.start * rows..range.end * rows;
        let cols = range.start * cols..range.end * cols;
        Outputs {
            total_cost: &mut self.total_cost[range.clone()],
            row_to_col: &mut self.row_to_col[rows.clone()],
            col_to_row: &mut self.col_to_row[cols.clone()],
            row_duals: &mut self.row_duals[rows],
            col_duals: &mut self.col_duals[cols],
            status: &mut self.status[range],
        }
    }
}

/// An error if a buffer of `got` elements should have `expected`.
pub(super) fn expect_size(
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
