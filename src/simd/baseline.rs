//! The level that every processor of an architecture has: SSE2 on x86-64, NEON on aarch64, plain
//! arrays elsewhere and where compiling is to be quick.

#[cfg(all(target_arch = "x86_64", not(any(arrays_only, test))))]
mod chosen {
    use fearless_simd::x86::Sse2;

    use crate::simd::vectors::{At, Native};

    pub type Baseline = At<Sse2>;

    pub fn baseline() -> Baseline {
        // SAFETY: every processor of x86-64 has SSE, SSE2 and FXSR, and this is compiled for no
        // other.
        At(unsafe { Sse2::assume_supported() })
    }

    impl Native for Sse2 {
        #[inline(always)]
        fn prefetch<T>(self, at: *const T) {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            // SAFETY: a prefetch reads nothing, and any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
        }
    }
}

#[cfg(all(
    target_arch = "aarch64",
    target_feature = "neon",
    not(any(arrays_only, test))
))]
mod chosen {
    use fearless_simd::aarch64::Neon;

    use crate::simd::vectors::{At, Native};

    pub type Baseline = At<Neon>;

    pub fn baseline() -> Baseline {
        // SAFETY: this is compiled only for targets that have NEON.
        At(unsafe { Neon::assume_supported() })
    }

    impl Native for Neon {
        /// Nothing: stable Rust has no such instruction.
        #[inline(always)]
        fn prefetch<T>(self, _at: *const T) {}
    }
}

#[cfg(any(
    not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon")
    )),
    arrays_only,
    test
))]
mod chosen {
    use crate::simd::arrays::ArrayVectors;

    pub type Baseline = ArrayVectors;

    pub fn baseline() -> Baseline {
        ArrayVectors
    }
}

/// The vectors of the level.
pub type Baseline = chosen::Baseline;

/// The level, which needs no detection.
pub fn baseline() -> Baseline {
    chosen::baseline()
}
