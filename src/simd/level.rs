//! Which level is chosen: the one place that asks the processor.

use crate::simd::ops::Work;
use crate::simd::portable::PortableVectors;

#[cfg(any(not(target_arch = "x86_64"), portable_only, test))]
use crate::simd::absent::{Avx2, Avx512};
#[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
use crate::simd::{avx2::Avx2, avx512::Avx512};

/// A set of vector instructions that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

/// Each with the proof that this processor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    Avx2(Avx2),
    Avx512(Avx512),
}

impl Level {
    /// The level that every processor has.
    pub const PORTABLE: Level = Level(Kind::Portable);

    /// The fastest level of this processor.
    pub fn best() -> Level {
        Level::each().next_back().unwrap_or(Level::PORTABLE)
    }

    /// All levels of this processor, slowest first.
    pub fn all() -> Vec<Level> {
        Level::each().collect()
    }

    fn each() -> impl DoubleEndedIterator<Item = Level> {
        let kinds = [
            Some(Kind::Portable),
            Avx2::detect().map(Kind::Avx2),
            Avx512::detect().map(Kind::Avx512),
        ];
        kinds.into_iter().flatten().map(Level)
    }

    /// Does `work` at this level.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            Kind::Portable => work.run(PortableVectors),
            Kind::Avx2(avx2) => avx2.run(work),
            Kind::Avx512(avx512) => avx512.run(work),
        }
    }
}
