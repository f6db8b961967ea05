//! How the answers of a batch came about.

use crate::prove::ladder::{Evidence, Verdict};

/// Answers, by how they came about: see [`crate::prove::ladder`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Problems in whose solution nothing was rounded.
    pub exact: u64,
    /// Problems whose answer was proven near enough to the optimum.
    pub proven: u64,
    /// Problems that were solved again in twice the precision.
    pub redone: u64,
    /// Problems without an answer.
    pub bad: u64,
}

impl Tally {
    /// Counts an answer.
    #[inline(always)]
    pub fn count<A>(&mut self, verdict: &Verdict<'_, A>) {
        match verdict {
            Verdict::InDouble(Evidence::Exact, _) => self.exact += 1,
            Verdict::InDouble(Evidence::Proven, _) => self.proven += 1,
            Verdict::InDoubleDouble(_) => self.redone += 1,
            Verdict::Infeasible => self.bad += 1,
        }
    }
}
