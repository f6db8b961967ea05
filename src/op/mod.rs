//! The boundary to C++: what crosses it, and that nothing unwinds or aborts across it.

pub mod bridge;
#[cfg(feature = "fault-injection")]
mod fault;
