//! Numbers.
//!
//! [`arithmetic`] is what the solver asks of a number: f32 and f64 have it, and so has
//! [`double_double`], of twice the precision. [`environment`] sets how the processor rounds, and
//! tells whether it has rounded.

pub mod arithmetic;
pub mod double_double;
pub mod environment;
