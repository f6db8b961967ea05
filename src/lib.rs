//! Exact set matching: a batched solver of the linear assignment problem.
//!
//! The layers. Each imports only from those above it in this table (`tests/layers.rs` checks that):
//!
//! | folder | its one job |
//! |---|---|
//! | [`number`] | f32, f64, twice f64; the floating point environment and its inexact flag |
//! | [`simd`] | vectors: operations, the instruction sets that have them, which is chosen; sums |
//! | [`sweep`] | passes over one row of costs |
//! | [`problem`] | one problem, from what the user gave to what the solver reads |
//! | [`solve`] | shortest augmenting paths with duals: the algorithm |
//! | [`prove`] | when an answer is exact, proven, or found again in double-double; certificate |
//! | [`batch`] | many problems at once: tensors in, tensors out |
//! | [`op`] | the boundary to C++ |
//! | [`cuda`] | the same on CUDA devices: which kernels to launch, how, with what |
//!
//! **The way of a cost matrix**: [`op::bridge`] → [`batch::solve`] → [`problem::prepare`] →
//! [`prove::group`] → [`solve::augment`] → [`sweep`], and back by way of [`prove::ladder`] and
//! `batch::write`. Narrow problems, of up to [`problem::instance::WIDEST`] rows and columns, go
//! through [`prove::narrow`] and [`solve::rows`] instead.
//!
//! Nothing here knows TensorFlow; `tf_op/` does.

pub mod batch;
pub mod cuda;
pub mod number;
pub mod op;
pub mod problem;
pub mod prove;
pub mod simd;
pub mod solve;
pub mod sweep;
