//! The algorithm: shortest augmenting paths with duals.
//!
//! [`augment`] is the algorithm as the papers have it, one row at a time; its steps are in [`start`], `reduction` and `search`.
//! [`turns`] has several such solvers take turns. Narrow problems have the same algorithm in another form: [`rows`] for squares, by
//! turns, with [`squares`] in f64 and [`lead`] in f32; [`side_by_side`] for all else, one in each lane of a vector. Nothing here asks whether an answer is exact: that is what [`crate::prove`] does.

pub mod augment;
pub mod equal_rows;
pub mod lead;
pub mod margin;
pub mod octet;
mod reduction;
pub mod rows;
mod search;
pub mod side_by_side;
pub mod squares;
pub mod start;
pub mod take_over;
pub mod turns;
