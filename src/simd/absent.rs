//! Levels that cannot be had: on another architecture, where compiling is to be quick, and in unit
//! tests.
//!
//! Their proofs have no values, so what would run at them needs no code, and [`crate::simd::level`]
//! no conditions.

use crate::simd::ops::Work;

macro_rules! absent {
    ($($level:ident),*) => { $(
        /// A level that is not there.
        #[derive(Clone, Copy, Debug)]
        pub enum $level {}

        impl $level {
            /// Never.
            pub fn detect() -> Option<Self> {
                None
            }

            /// Never called.
            pub fn run<T: Work>(self, _work: T) -> T::Output {
                match self {}
            }
        }
    )* };
}
absent!(Avx2, Avx512);
