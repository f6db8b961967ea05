//! One assignment problem, from what the user gave to what the solver reads.
//!
//! [`given`] is the user's problem. [`prepare`] judges it and makes an [`instance`] of it, with the
//! help of [`indices`] (which rows and columns exist), [`copying`] (costs that cannot be read where
//! they lie) and [`survey`] (the first look at all costs).

pub mod copying;
pub mod given;
pub mod indices;
pub mod instance;
pub mod prepare;
pub mod survey;
