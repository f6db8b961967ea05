//! Stands in for levels that are not compiled: on another architecture, where compiling is to be
//! quick, and in unit tests.
//!
//! These types have no values, so nothing runs at them, and in [`crate::simd::level`] only imports
//! are conditional.

use crate::simd::ops::Work;

macro_rules! absent {
    ($($level:ident),*) => { $(
        /// A level that is not compiled.
        #[derive(Clone, Copy, Debug)]
        pub enum $level {}

        impl $level {
            /// Always `None`.
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

impl Avx512 {
    /// Never called.
    pub fn processor(self) -> ([u32; 3], u32) {
        match self {}
    }
}
