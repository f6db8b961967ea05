//! The boundary to C++.
//!
//! One function solves, one describes; each exists once per cost type. The C++ side is
//! `tf_op/solver_bridge.h`.
//!
//! # Conventions
//!
//! * Buffers are borrowed slices with their lengths. Every length is checked against the sizes
//!   before use, so a mistake on the other side is an error, not a read past the end.
//! * Nothing unwinds across: a panic is caught here and becomes [`ffi::ErrorKind::Internal`]. A
//!   refused allocation becomes [`ffi::ErrorKind::ResourceExhausted`].
//! * On an error the outputs' content is unspecified and the message is one sentence for the user.
//! * Calls from any number of threads are independent. What a thread keeps is its own, see
//!   `batch::workspace`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use half::slice::HalfBitsSliceExt;
use half::{bf16, f16};

use crate::batch::{self, BatchError, Solvable};
use crate::number::environment::DefaultEnvironment;

/// What both sides agree on. The C++ half is generated from this by cxx.
#[allow(missing_docs)] // cxx generates undocumented items beside ours.
#[cxx::bridge(namespace = "hungarian")]
pub mod ffi {
    /// All of a batch but its costs, limits and outputs.
    #[derive(Debug)]
    struct Batch<'a> {
        /// Number of problems.
        problems: i64,
        /// Rows of each problem.
        rows: i64,
        /// Columns of each problem.
        cols: i64,
        /// `[problems, rows]`, or one flag for all.
        row_mask: &'a [bool],
        /// `[problems, cols]`, or one flag for all.
        col_mask: &'a [bool],
        /// The largest total is sought: as if costs and limits were negated.
        maximize: bool,
    }

    /// Outputs whose totals and duals are f32. Shapes as in `batch::Outputs`.
    #[derive(Debug)]
    struct FloatOutputs<'a> {
        total_cost: &'a mut [f32],
        row_to_col: &'a mut [i32],
        col_to_row: &'a mut [i32],
        row_duals: &'a mut [f32],
        col_duals: &'a mut [f32],
        status: &'a mut [i32],
    }

    /// Outputs whose totals and duals are f64. Shapes as in `batch::Outputs`.
    #[derive(Debug)]
    struct DoubleOutputs<'a> {
        total_cost: &'a mut [f64],
        row_to_col: &'a mut [i32],
        col_to_row: &'a mut [i32],
        row_duals: &'a mut [f64],
        col_duals: &'a mut [f64],
        status: &'a mut [i32],
    }

    /// What kind of error to raise.
    #[derive(Debug)]
    enum ErrorKind {
        /// None: all went well.
        None,
        /// The arguments do not fit together.
        InvalidArgument,
        /// Memory was refused.
        ResourceExhausted,
        /// The machine lacks what the call needs.
        FailedPrecondition,
        /// A defect of this library.
        Internal,
    }

    /// How a call ended.
    #[derive(Debug)]
    struct Outcome {
        /// Error or none.
        kind: ErrorKind,
        /// One sentence, empty without an error.
        message: String,
    }

    extern "Rust" {
        /// Solves a batch; half and bfloat16 costs come as their bits. `limit` is one for each
        /// problem, or one for all.
        fn solve_half(
            batch: &Batch,
            cost: &[u16],
            limit: &[f32],
            outputs: &mut FloatOutputs,
        ) -> Outcome;
        fn solve_bfloat16(
            batch: &Batch,
            cost: &[u16],
            limit: &[f32],
            outputs: &mut FloatOutputs,
        ) -> Outcome;
        fn solve_float(
            batch: &Batch,
            cost: &[f32],
            limit: &[f32],
            outputs: &mut FloatOutputs,
        ) -> Outcome;
        fn solve_double(
            batch: &Batch,
            cost: &[f64],
            limit: &[f64],
            outputs: &mut DoubleOutputs,
        ) -> Outcome;

        /// An error about the first problem whose status is not 0; none if there is no such
        /// problem.
        fn describe_half(
            batch: &Batch,
            cost: &[u16],
            limit: &[f32],
            dims: &[i64],
            status: &[i32],
        ) -> Outcome;
        fn describe_bfloat16(
            batch: &Batch,
            cost: &[u16],
            limit: &[f32],
            dims: &[i64],
            status: &[i32],
        ) -> Outcome;
        fn describe_float(
            batch: &Batch,
            cost: &[f32],
            limit: &[f32],
            dims: &[i64],
            status: &[i32],
        ) -> Outcome;
        fn describe_double(
            batch: &Batch,
            cost: &[f64],
            limit: &[f64],
            dims: &[i64],
            status: &[i32],
        ) -> Outcome;

        /// Processor cycles that one problem of this size is expected to take.
        fn cycles_per_problem(rows: i64, cols: i64) -> i64;
    }
}

use ffi::{Batch, DoubleOutputs, ErrorKind, FloatOutputs, Outcome};

macro_rules! entry_points {
    ($solve:ident, $describe:ident, $bits:ty, $real:ty, $outputs:ident, $reinterpret:expr) => {
        fn $solve(
            batch: &Batch,
            cost: &[$bits],
            limit: &[$real],
            outputs: &mut $outputs,
        ) -> Outcome {
            guard(|| {
                let (shape, inputs) = unpack(batch, $reinterpret(cost), limit)?;
                let mut outputs = batch::Outputs {
                    total_cost: &mut *outputs.total_cost,
                    row_to_col: &mut *outputs.row_to_col,
                    col_to_row: &mut *outputs.col_to_row,
                    row_duals: &mut *outputs.row_duals,
                    col_duals: &mut *outputs.col_duals,
                    status: &mut *outputs.status,
                };
                #[cfg(feature = "fault-injection")]
                crate::op::fault::strike(shape)?;
                batch::solve(shape, &inputs, &mut outputs)?;
                Ok::<(), BatchError>(())
            })
        }

        fn $describe(
            batch: &Batch,
            cost: &[$bits],
            limit: &[$real],
            dims: &[i64],
            status: &[i32],
        ) -> Outcome {
            guard(|| {
                let (shape, inputs) = unpack(batch, $reinterpret(cost), limit)?;
                match batch::describe_first_bad(shape, &inputs, dims, status)? {
                    Some(sentence) => Err(Bad::Problem(sentence)),
                    None => Ok(()),
                }
            })
        }
    };
}

entry_points!(
    solve_half,
    describe_half,
    u16,
    f32,
    FloatOutputs,
    HalfBitsSliceExt::reinterpret_cast::<f16>
);
entry_points!(
    solve_bfloat16,
    describe_bfloat16,
    u16,
    f32,
    FloatOutputs,
    HalfBitsSliceExt::reinterpret_cast::<bf16>
);
entry_points!(
    solve_float,
    describe_float,
    f32,
    f32,
    FloatOutputs,
    std::convert::identity
);
entry_points!(
    solve_double,
    describe_double,
    f64,
    f64,
    DoubleOutputs,
    std::convert::identity
);

fn cycles_per_problem(rows: i64, cols: i64) -> i64 {
    /// Never inlined: arithmetic could move to where the environment is not set.
    #[inline(never)]
    fn estimate(rows: i64, cols: i64) -> i64 {
        // Negative sizes never get here; a saturating cast is all an estimate needs.
        batch::cycles_per_problem(rows.max(0) as f64, cols.max(0) as f64) as i64
    }
    let _ieee = DefaultEnvironment::on_this_thread();
    estimate(rows, cols)
}

/// The batch in the core's terms.
fn unpack<'a, T: Solvable>(
    batch: &Batch<'a>,
    cost: &'a [T],
    cost_limit: &'a [T::Real],
) -> Result<(batch::Shape, batch::Inputs<'a, T>), BatchError> {
    let shape = batch::Shape {
        problems: size(batch.problems)?,
        rows: size(batch.rows)?,
        cols: size(batch.cols)?,
    };
    let inputs = batch::Inputs {
        cost,
        row_mask: batch.row_mask,
        col_mask: batch.col_mask,
        cost_limit,
        maximize: batch.maximize,
    };
    Ok((shape, inputs))
}

fn size(value: i64) -> Result<usize, BatchError> {
    usize::try_from(value).map_err(|_| BatchError::NegativeSize(value))
}

/// An error whose message is a sentence for the user.
pub(crate) trait Failure: std::fmt::Display {
    /// The kind of error that it is raised as.
    fn kind(&self) -> ErrorKind;
}

impl Failure for BatchError {
    fn kind(&self) -> ErrorKind {
        match self {
            BatchError::Memory { .. } => ErrorKind::ResourceExhausted,
            BatchError::Size { .. } | BatchError::NegativeSize(_) | BatchError::TooLarge { .. } => {
                ErrorKind::InvalidArgument
            }
        }
    }
}

/// What is wrong with a batch that has been solved.
#[derive(Debug, thiserror::Error)]
enum Bad {
    /// One of its problems.
    #[error("{0}")]
    Problem(String),
    /// Which problem it is could not be found out.
    #[error("a problem is invalid or infeasible, see the output status; to say which failed: {0}")]
    Batch(#[from] BatchError),
}

impl Failure for Bad {
    fn kind(&self) -> ErrorKind {
        match self {
            Bad::Problem(_) => ErrorKind::InvalidArgument,
            Bad::Batch(error) => error.kind(),
        }
    }
}

/// Runs `work` so that neither an error nor a panic leaves it in any other form than an
/// [`Outcome`].
pub(crate) fn guard<E: Failure>(work: impl FnOnce() -> Result<(), E>) -> Outcome {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => Outcome {
            kind: ErrorKind::None,
            message: String::new(),
        },
        Ok(Err(error)) => Outcome {
            kind: error.kind(),
            message: error.to_string(),
        },
        Err(panic) => Outcome {
            kind: ErrorKind::Internal,
            message: format!(
                "a defect in the assignment solver, please report it: {}",
                panic_message(panic.as_ref())
            ),
        },
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_outcome() {
        let outcome = guard::<BatchError>(|| panic!("row {} is lost", 3));
        assert_eq!(outcome.kind, ErrorKind::Internal);
        insta::assert_snapshot!(outcome.message, @"a defect in the assignment solver, please report it: row 3 is lost");
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let batch = |problems, rows, cols| Batch {
            problems,
            rows,
            cols,
            row_mask: &[true],
            col_mask: &[true],
            maximize: false,
        };
        let solve_with = |batch: Batch, cost: &[f32], limit: &[f32]| {
            let (mut total, mut to_col, mut to_row) = ([0.0], [0; 2], [0; 3]);
            let (mut u, mut v, mut status) = ([0.0; 2], [0.0; 3], [0]);
            let outcome = solve_float(
                &batch,
                cost,
                limit,
                &mut FloatOutputs {
                    total_cost: &mut total,
                    row_to_col: &mut to_col,
                    col_to_row: &mut to_row,
                    row_duals: &mut u,
                    col_duals: &mut v,
                    status: &mut status,
                },
            );
            outcome.message
        };
        let solve = |batch, cost: &[f32]| solve_with(batch, cost, &[f32::INFINITY]);
        assert_eq!(solve(batch(1, 2, 3), &[0.0; 6]), "");
        insta::assert_snapshot!(solve(batch(1, 2, 3), &[0.0; 5]), @"cost has 5 elements, expected 6 for 1 problems of 2 x 3");
        insta::assert_snapshot!(solve_with(batch(1, 2, 3), &[0.0; 6], &[]), @"cost_limit has 0 elements, expected 1 for 1 problems of 2 x 3");
        insta::assert_snapshot!(solve_with(batch(1, 2, 3), &[0.0; 6], &[0.0; 2]), @"cost_limit has 2 elements, expected 1 for 1 problems of 2 x 3");
        insta::assert_snapshot!(solve(batch(1, 3, 2), &[0.0; 6]), @"row_to_col has 2 elements, expected 3 for 1 problems of 3 x 2");
        insta::assert_snapshot!(solve(batch(-1, 2, 3), &[0.0; 6]), @"a size is negative: got -1, expected 0 or more");
        insta::assert_snapshot!(solve(batch(i64::MAX, 2, 3), &[0.0; 6]), @"got 9223372036854775807 problems of 2 x 3, expected at most 2147483647 rows and columns, and fewer than 2^64 entries in all");
        insta::assert_snapshot!(solve(batch(1, 1 << 31, 1), &[0.0; 6]), @"got 1 problems of 2147483648 x 1, expected at most 2147483647 rows and columns, and fewer than 2^64 entries in all");
    }
}
