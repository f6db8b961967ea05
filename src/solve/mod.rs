//! The algorithm: shortest augmenting paths with duals.
//!
//! [`augment`] is the algorithm as the papers have it, one row at a time; its steps are in
//! [`start`], `reduction` and `search`. [`turns`] has several such solvers take turns. Narrow
//! problems have the same algorithm in another form: [`rows`] by turns, with [`doubles`] in f64 and
//! [`lead`] for squares in f32; [`narrow`] is what they read and come to. Nothing here asks whether
//! an answer is exact: that is what [`crate::prove`] does.

pub mod augment;
pub mod doubles;
pub mod equal_rows;
pub mod lead;
pub mod margin;
pub mod narrow;
mod reduction;
pub mod rows;
mod search;
pub mod start;
pub mod take_over;
pub mod turns;
