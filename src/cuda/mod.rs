//! The solver on CUDA devices.
//!
//! The kernels are `cuda/assignment.cu`. [`parameters`] is what they are given, [`plan`] which of them are launched, with how
//! many threads and how much memory; neither needs a driver.

pub mod parameters;
pub mod plan;
