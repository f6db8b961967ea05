//! Passes over one row of costs, four vectors of columns at a time: all of the solver that takes time.
//!
//! What stands beside the columns (duals, distances) is kept in blocks of 64 columns, padded at the end. Costs are
//! not: they are read where they lie, and the lanes behind the last column read what lies behind the row, see
//! [`row::Row`]. As
//! duals are padded with −inf, reduced costs are +inf there.
//!
//! Nothing in a pass branches on what it finds, for that could not be predicted: a wrong guess costs as much as a
//! sweep of a hundred columns.

pub mod first_look;
pub mod nearest;
pub mod paths;
pub mod per_column;
mod quad;
pub mod reduced_costs;
pub mod row;
