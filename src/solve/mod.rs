//! The algorithm: shortest augmenting paths with duals.
//!
//! [`augment`] is the algorithm as the papers have it, one row at a time; its steps are in [`start`], `reduction` and `search`.
//! [`turns`] has several such solvers take turns. [`side_by_side`] is the same algorithm for narrow problems, one in each lane
//! of a vector; [`lead`] does that in f32. Nothing here asks whether an answer is exact: that is what [`crate::prove`] does.

pub mod augment;
pub mod equal_rows;
pub mod lead;
pub mod margin;
pub mod octet;
mod reduction;
mod search;
pub mod side_by_side;
pub mod start;
pub mod take_over;
pub mod turns;
