//! Levels that cannot be had: on another architecture, where only the portable one is wanted, and in unit tests.
//!
//! Their proofs have no values, so what would run at them needs no code, and [`crate::simd::level`] no conditions.

use crate::simd::ops::Work;

/// AVX2, which is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Avx2 {}

/// AVX-512, which is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Avx512 {}

impl Avx2 {
    /// Never.
    pub fn detect() -> Option<Self> {
        None
    }

    /// Never called.
    pub fn run<T: Work>(self, _work: T) -> T::Output {
        match self {}
    }
}

impl Avx512 {
    /// Never.
    pub fn detect() -> Option<Self> {
        None
    }

    /// Never called.
    pub fn run<T: Work>(self, _work: T) -> T::Output {
        match self {}
    }
}
