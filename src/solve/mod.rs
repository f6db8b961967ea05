//! The algorithm: shortest augmenting paths with duals.
//!
//! [`augment`] is the algorithm as the papers have it, one row at a time; its steps are in [`start`], `reduction` and `search`.
//! [`turns`] has several such solvers take turns. Narrow problems have the same algorithm in another form: [`rows`] by turns,
//! with [`doubles`] in f64 and [`lead`] for squares in f32; where there is a limit, [`side_by_side`], one in each lane of a vector.
//! Nothing here asks whether an answer is exact: that is what [`crate::prove`] does.

pub mod augment;
pub mod doubles;
pub mod equal_rows;
pub mod lead;
pub mod margin;
pub mod octet;
mod reduction;
pub mod rows;
mod search;
pub mod side_by_side;
pub mod start;
pub mod take_over;
pub mod turns;
