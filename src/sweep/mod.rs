//! Passes over one row of costs, four vectors of columns at a time. The solver spends its time
//! here.
//!
//! [`row`] is a row of costs, [`per_column`] a number for each column (a dual, a distance). The
//! passes are in [`first_look`] (before the solver begins), [`reduced_costs`] (the two least, for
//! row reduction and for proofs), [`paths`] (shortest path searches) and [`near`] (the same where
//! lower bounds are kept, in [`bounds`]). [`nearest`] finds the column of a least value,
//! [`snapshots`] the row that offered a distance.
//!
//! **Padding.** Numbers of which there is one for each column are kept in blocks of 64, padded at
//! the end. Costs are not padded: they are read in place, and lanes beyond the last column read
//! what lies behind the row. Duals are padded with −inf, so reduced costs are +inf there, whatever
//! valid cost was read.
//!
//! A pass over a whole row does not branch on what it finds, for that could not be predicted: a
//! misprediction costs as much as a sweep of a hundred columns. Only passes that leave out parts of
//! a row branch, on what to leave out.

pub mod bounds;
pub mod first_look;
pub mod near;
pub mod nearest;
pub mod paths;
pub mod per_column;
mod quad;
pub mod reduced_costs;
pub mod row;
pub mod snapshots;
