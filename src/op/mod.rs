//! The boundary to C++.
//!
//! [`bridge`] says what crosses it, and sees to it that nothing unwinds across it, and that a
//! refused allocation becomes an error, unless it is as small as that of a message. `fault` makes
//! calls fail on demand, in test builds only.

pub mod bridge;
#[cfg(feature = "fault-injection")]
mod fault;
