//! Numbers: f32, f64, and one of twice the precision of f64; sums; and what the processor does when it rounds.

pub mod arithmetic;
pub mod double_double;
pub mod environment;
pub mod sum;
