//! Which level is chosen: the one place that asks the processor.

use std::sync::LazyLock;

use crate::simd::baseline::{Baseline, baseline};
use crate::simd::ops::Work;

#[cfg(any(not(target_arch = "x86_64"), arrays_only, test))]
use crate::simd::absent::{Avx2, Avx512};
#[cfg(all(target_arch = "x86_64", not(any(arrays_only, test))))]
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

    /// The fastest level of this processor that the environment variable HUNGARIAN_LOSS_MAX_ISA allows: `portable` (the
    /// baseline), `avx2`, `avx512`. It is read once. Answers do not depend on it.
    pub fn best() -> Level {
        static BEST: LazyLock<Level> = LazyLock::new(|| {
            let most = std::env::var("HUNGARIAN_LOSS_MAX_ISA").unwrap_or_default();
            let levels = Level::detect();
            let named = levels.iter().position(|(name, _)| *name == most);
            if named.is_none() && !most.is_empty() {
                let names = levels.map(|(name, _)| name).join(", ");
                eprintln!(
                    "hungarian-loss: HUNGARIAN_LOSS_MAX_ISA is {most}, expected one of {names}; it is ignored"
                );
            }
            let allowed = &levels[..=named.unwrap_or(levels.len() - 1)];
            let fastest = allowed.iter().rev().find_map(|(_, level)| *level);
            fastest.unwrap_or(Level::baseline())
        });
        *BEST
    }

    /// All levels of this processor, slowest first.
    pub fn all() -> Vec<Level> {
        let levels = Level::detect().into_iter();
        levels.filter_map(|(_, level)| level).collect()
    }

    /// All levels by name, slowest first, and whether this processor has them.
    fn detect() -> [(&'static str, Option<Level>); 3] {
        [
            ("portable", Some(Level::baseline())),
            ("avx2", Avx2::detect().map(|avx2| Level(Kind::Avx2(avx2)))),
            (
                "avx512",
                Avx512::detect().map(|avx512| Level(Kind::Avx512(avx512))),
            ),
        ]
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
