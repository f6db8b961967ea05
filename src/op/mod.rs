//! The boundary to C++.
//!
//! [`bridge`] says what crosses it, and sees to it that nothing unwinds or aborts across it. `fault` makes calls fail on demand, in
//! test builds only.

pub mod bridge;
#[cfg(feature = "fault-injection")]
mod fault;
