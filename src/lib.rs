//! Exact set matching: a batched solver of the linear assignment problem.
//!
//! | module | its one job |
//! |---|---|
//! | [`problem`] | what one assignment problem is, which inputs are invalid, how it is presented to the solver |
//! | [`survey`] | the first look at all costs, which tells the solver where to begin |
//! | [`solver`] | shortest augmenting paths with duals: the algorithm |
//! | [`side_by_side`] | the same for narrow problems, eight at once |
//! | [`equal_rows`] | rows with equal costs, which a search need not sweep twice |
//! | [`sweep`] | its passes over a row, eight columns at a time |
//! | [`lanes`] | the vector instructions that those passes use, and the choice among them |
//! | [`repair`] | duals in f64 for an answer found in f32 |
//! | [`exact`] | when an answer in f64 may stand, and what is done when not |
//! | [`arithmetic`] | f64, and twice its precision |
//! | [`batch`] | many problems one after the other, outputs rounded and written |
//! | [`narrow`] | the same for narrow problems, which are solved side by side |
//! | [`lift`] | duals for a limit that counted as less than it is |
//! | [`certificate`] | the check that an answer is optimal, from its duals alone |
//! | [`status`] | the verdicts on one problem |
//! | [`sum`] | sums that hardly depend on the order of their terms |
//! | [`float_environment`] | the floating point environment, inside a host that may have any |
//! | [`cuda`] | the same on CUDA devices: which kernels to launch, how, with what |
//! | [`bridge`] | the boundary to C++: nothing unwinds or aborts across it |
//! | `fault` | failures on demand, in test builds only |
//!
//! Nothing here knows TensorFlow; `tf_op/` does.

pub mod arithmetic;
pub mod batch;
pub mod bridge;
pub mod certificate;
pub mod copying;
pub mod cuda;
pub mod equal_rows;
pub mod exact;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod float_environment;
pub mod lanes;
pub mod lift;
pub mod narrow;
pub mod problem;
pub mod repair;
pub mod side_by_side;
pub mod solver;
pub mod status;
pub mod sum;
pub mod survey;
pub mod sweep;
pub mod workspace;
