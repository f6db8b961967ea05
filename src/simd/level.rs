//! Which level is chosen: the one place that asks the processor.

use std::io::Write;
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

    /// The fastest level of this processor that the environment variable HUNGARIAN_LOSS_MAX_ISA
    /// allows: `portable` (the baseline), `avx2`, `avx512`. It is read once. Answers do not depend
    /// on it.
    pub fn best() -> Level {
        static BEST: LazyLock<Level> = LazyLock::new(|| {
            let most = std::env::var("HUNGARIAN_LOSS_MAX_ISA").unwrap_or_default();
            let levels = Level::detect();
            if !most.is_empty() && levels.iter().all(|(name, _)| *name != most) {
                let names = levels.map(|(name, _)| name).join(", ");
                // A warning that cannot be written does no harm.
                let _ = writeln!(
                    std::io::stderr(),
                    "hungarian-loss: HUNGARIAN_LOSS_MAX_ISA is {most}, expected one of {names}; it is ignored"
                );
            }
            fastest(&levels, &most).unwrap_or(Level::baseline())
        });
        *BEST
    }

    /// The level for narrow problems, whose rows are a few vectors: this one, but AVX2 in place of
    /// AVX-512 on AMD's family 25 (Zen 4). That executes 512 bits in two halves, and takes longer
    /// than others from a comparison to its bits, for which a step of a short row waits. AVX2 takes
    /// 0.7 to 1.0 of the time there, from 8×8 to 32×32.
    pub fn for_short_rows(self) -> Level {
        match (self.0, Avx2::detect()) {
            (Kind::Avx512(avx512), Some(avx2)) if is_family_25_of_amd(avx512.processor()) => {
                Level(Kind::Avx2(avx2))
            }
            _ => self,
        }
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

/// The last of `levels` that this processor has, up to the one named `most`. Any other name allows
/// all.
fn fastest<L: Copy>(levels: &[(&str, Option<L>)], most: &str) -> Option<L> {
    let named = levels.iter().position(|(name, _)| *name == most);
    let allowed = named.map_or(levels, |named| &levels[..=named]);
    allowed.iter().rev().find_map(|(_, level)| *level)
}

/// Is that an AMD of family 25, by the three parts of the vendor's name and by the signature?
fn is_family_25_of_amd((name, signature): ([u32; 3], u32)) -> bool {
    let is_amd = name.map(u32::to_le_bytes) == [*b"Auth", *b"enti", *b"cAMD"];
    // What does not fit the four bits of the family is in the extended family.
    let family = (signature >> 8 & 0xf) + (signature >> 20 & 0xff);
    is_amd && family == 25
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_holds_by_name() {
        let all = [
            ("portable", Some(0)),
            ("avx2", Some(1)),
            ("avx512", Some(2)),
        ];
        assert_eq!(fastest(&all, "portable"), Some(0));
        assert_eq!(fastest(&all, "avx2"), Some(1));
        assert_eq!(fastest(&all, "avx512"), Some(2));
        assert_eq!(fastest(&all, ""), Some(2));
        assert_eq!(fastest(&all, "AVX2"), Some(2));
        let without_avx2 = [("portable", Some(0)), ("avx2", None), ("avx512", Some(2))];
        assert_eq!(fastest(&without_avx2, "avx2"), Some(0));
        assert_eq!(fastest(&without_avx2, ""), Some(2));
    }

    #[test]
    fn families_are_told_apart() {
        const AMD: [u32; 3] = [0x6874_7541, 0x6974_6e65, 0x444d_4163];
        const INTEL: [u32; 3] = [0x756e_6547, 0x4965_6e69, 0x6c65_746e];
        // Zen 4 and Zen 3; Zen 2 and Zen 5.
        assert!(is_family_25_of_amd((AMD, 0x00a1_0f11)));
        assert!(is_family_25_of_amd((AMD, 0x00a2_0f12)));
        assert!(!is_family_25_of_amd((AMD, 0x0083_0f10)));
        assert!(!is_family_25_of_amd((AMD, 0x00b0_0f21)));
        // Sapphire Rapids, and a signature that it does not have.
        assert!(!is_family_25_of_amd((INTEL, 0x0008_06f8)));
        assert!(!is_family_25_of_amd((INTEL, 0x00a1_0f11)));
    }
}
