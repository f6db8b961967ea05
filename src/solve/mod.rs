//! The algorithm: shortest augmenting paths with duals.
//!
//! [`augment`] is the algorithm of the papers, one row at a time; its three steps are in [`start`],
//! `reduction` and `search`. [`turns`] has several such solvers take turns. For narrow problems the
//! algorithm has another form: in [`rows`] several searches take turns, those of [`doubles`] in f64
//! and those of [`lead`] in f32 squares; [`narrow`] has what they read and what they answer.
//! Whether an answer is exact is decided in [`crate::prove`], not here.

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
