//! Which level is chosen: the one place that asks the processor.

use std::sync::LazyLock;

use crate::simd::baseline::{Baseline, baseline};
use crate::simd::ops::Work;

#[cfg(any(not(target_arch = "x86_64"), portable_only, test))]
use crate::simd::absent::{Avx2, Avx512};
#[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
use crate::simd::{avx2::Avx2, avx512::Avx512};

/// A set of vector instructions that this processor has.
#[derive(Clone, Copy, Debug)]
pub struct Level(Kind);

/// Each with the proof that this processor has it.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Baseline(Baseline),
    Avx2(Avx2),
    Avx512(Avx512),
}

impl Level {
    /// The level that every processor of this architecture has.
    pub fn baseline() -> Level {
        Level(Kind::Baseline(baseline()))
    }

    /// The fastest level of this processor, or the fastest that the environment variable HUNGARIAN_LOSS_MAX_ISA allows:
    /// `portable`, `avx2`, `avx512`. It is read once. Answers do not depend on it.
    pub fn best() -> Level {
        static BEST: LazyLock<Level> = LazyLock::new(|| {
            let most = std::env::var("HUNGARIAN_LOSS_MAX_ISA").unwrap_or_default();
            let known = ["portable", "avx2", "avx512"].into_iter();
            let allowed = match known.enumerate().find(|(_, name)| *name == most) {
                Some((place, _)) => place + 1,
                None => usize::MAX,
            };
            if allowed == usize::MAX && !most.is_empty() {
                eprintln!(
                    "hungarian-loss: HUNGARIAN_LOSS_MAX_ISA is {most}, expected portable, avx2 or avx512; it is ignored"
                );
            }
            Level::each()
                .take(allowed)
                .last()
                .unwrap_or(Level::baseline())
        });
        *BEST
    }

    /// All levels of this processor, slowest first.
    pub fn all() -> Vec<Level> {
        Level::each().collect()
    }

    fn each() -> impl DoubleEndedIterator<Item = Level> {
        let kinds = [
            Some(Kind::Baseline(baseline())),
            Avx2::detect().map(Kind::Avx2),
            Avx512::detect().map(Kind::Avx512),
        ];
        kinds.into_iter().flatten().map(Level)
    }

    /// Does `work` at this level.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            Kind::Baseline(baseline) => baseline.run(work),
            Kind::Avx2(avx2) => avx2.run(work),
            Kind::Avx512(avx512) => avx512.run(work),
        }
    }
}
