//! The boundary to C++ of the CUDA path, beside [`crate::op::bridge`] and with its conventions.
//!
//! Addresses are the device's, and travel as numbers; nothing behind them is looked at here.

use crate::op::bridge::{Failure, guard};

use crate::cuda::driver::{Cause, DriverError, Stream};
use crate::cuda::launch::{self, LaunchError, Workspace};
use crate::cuda::parameters::DeviceBatch;
use crate::cuda::plan::{CostType, PlanError};

/// What both sides agree on. The C++ half is generated from this by cxx.
#[allow(missing_docs)] // cxx generates undocumented items beside ours.
#[cxx::bridge(namespace = "hungarian")]
pub mod ffi {
    /// The type of costs.
    #[derive(Debug)]
    enum CudaCosts {
        Half,
        Bfloat16,
        Float,
        Double,
    }

    /// A batch in device memory, and the stream on which it is to be solved. As
    /// `parameters::DeviceBatch`.
    #[derive(Debug)]
    struct CudaBatch {
        /// A `CUstream`.
        stream: usize,
        costs: CudaCosts,
        cost: usize,
        row_mask: usize,
        col_mask: usize,
        cost_limit: usize,
        total_cost: usize,
        row_to_col: usize,
        col_to_row: usize,
        row_duals: usize,
        col_duals: usize,
        status: usize,
        problems: i64,
        rows: i64,
        cols: i64,
        row_mask_is_uniform: bool,
        col_mask_is_uniform: bool,
        cost_limit_is_uniform: bool,
        maximize: bool,
    }

    extern "C++" {
        include!("hungarian-loss/src/op/bridge.rs.h");
        type Outcome = crate::op::bridge::ffi::Outcome;
    }

    extern "Rust" {
        /// Bytes of workspace that `cuda_launch` needs for this batch, whose addresses need not be
        /// known yet.
        ///
        /// # Safety
        ///
        /// The stream must exist.
        unsafe fn cuda_workspace(batch: &CudaBatch, bytes: &mut u64) -> Outcome;

        /// Launches what solves the batch, and returns before it has run.
        ///
        /// # Safety
        ///
        /// As of `launch::launch`.
        unsafe fn cuda_launch(batch: &CudaBatch, workspace: usize, bytes: u64) -> Outcome;
    }
}

use crate::op::bridge::ffi::{ErrorKind, Outcome};
use ffi::{CudaBatch, CudaCosts};

unsafe fn cuda_workspace(batch: &CudaBatch, bytes: &mut u64) -> Outcome {
    guard(|| {
        // SAFETY: the caller's promise.
        let stream = unsafe { stream_of(batch) };
        *bytes = launch::workspace_bytes(stream, costs_of(batch), &unpack(batch))?;
        Ok::<(), LaunchError>(())
    })
}

unsafe fn cuda_launch(batch: &CudaBatch, workspace: usize, bytes: u64) -> Outcome {
    guard(|| {
        let workspace = Workspace {
            address: workspace as u64,
            bytes,
        };
        // SAFETY: the caller's promise.
        unsafe { launch::launch(stream_of(batch), costs_of(batch), unpack(batch), workspace) }
    })
}

/// # Safety
///
/// As [`Stream::borrow`].
unsafe fn stream_of(batch: &CudaBatch) -> Stream {
    // SAFETY: the caller's promise.
    unsafe { Stream::borrow(batch.stream as *mut _) }
}

fn costs_of(batch: &CudaBatch) -> CostType {
    match batch.costs {
        CudaCosts::Half => CostType::Half,
        CudaCosts::Bfloat16 => CostType::Bfloat16,
        CudaCosts::Float => CostType::Float,
        CudaCosts::Double => CostType::Double,
        _ => unreachable!("C++ has no other type of costs"),
    }
}

fn unpack(batch: &CudaBatch) -> DeviceBatch {
    DeviceBatch {
        cost: batch.cost as u64,
        row_mask: batch.row_mask as u64,
        col_mask: batch.col_mask as u64,
        cost_limit: batch.cost_limit as u64,
        total_cost: batch.total_cost as u64,
        row_to_col: batch.row_to_col as u64,
        col_to_row: batch.col_to_row as u64,
        row_duals: batch.row_duals as u64,
        col_duals: batch.col_duals as u64,
        status: batch.status as u64,
        problems: batch.problems,
        rows: batch.rows,
        cols: batch.cols,
        row_mask_is_uniform: i32::from(batch.row_mask_is_uniform),
        col_mask_is_uniform: i32::from(batch.col_mask_is_uniform),
        cost_limit_is_uniform: i32::from(batch.cost_limit_is_uniform),
        maximize: i32::from(batch.maximize),
    }
}

impl Failure for LaunchError {
    fn kind(&self) -> ErrorKind {
        match self {
            LaunchError::Plan(PlanError::TooOld(_)) => ErrorKind::FailedPrecondition,
            LaunchError::Plan(_) => ErrorKind::InvalidArgument,
            LaunchError::Memory(_) => ErrorKind::ResourceExhausted,
            LaunchError::Workspace { .. } => ErrorKind::Internal,
            LaunchError::Driver(
                DriverError::Missing | DriverError::TooOld(_) | DriverError::MissingFunction(_),
            ) => ErrorKind::FailedPrecondition,
            LaunchError::Driver(DriverError::Refused(refusal)) => match refusal.cause() {
                Cause::Memory => ErrorKind::ResourceExhausted,
                Cause::Device | Cause::Image | Cause::Installation => ErrorKind::FailedPrecondition,
                Cause::Earlier | Cause::Other => ErrorKind::Internal,
            },
        }
    }
}
