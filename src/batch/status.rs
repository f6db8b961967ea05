//! The verdicts on one problem, as the op's output `status` carries them.

/// Verdict on one problem. The numbers are the op's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// The assignment is optimal and the duals prove it. Where costs are so large that totals or
    /// duals leave the range of their type, as with f32 of ±3e38, some are infinite, and those
    /// prove nothing.
    Optimal = 0,
    /// The allowed pairs cannot match min(existing rows, existing columns).
    Infeasible = 1,
    /// An existing entry is NaN or an infinity of the wrong sign, or the limit is NaN.
    /// Outranks [`Status::Infeasible`].
    Invalid = 2,
}

impl Status {
    /// The number written to the op's output.
    pub fn code(self) -> i32 {
        self as i32
    }
}
