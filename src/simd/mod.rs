//! Many numbers at a time, on whatever the processor has for it: a *level*.
//!
//! [`ops`] says what is asked of a level. The levels are [`baseline`] (SSE2 or NEON) and `avx2`, both of them made of the crate
//! fearless_simd by `vectors`, and `avx512`, by hand. [`level`] chooses one when the program runs. [`portable`] does it all in plain
//! arrays. [`cost`] has the types of costs as vectors read them.
//!
//! **How code is compiled for a level.** What runs at a level is a [`ops::Work`], a function over any [`ops::Vectors`]. A level's
//! `run_apart` calls it from a function that is marked with the level's instructions, and all that is inlined there is
//! compiled with them; so everything from `Work::run` down is `#[inline(always)]`.
//!
//! **Another level** of fearless_simd takes a file like `avx2`, with no more in it than a prefetch, and three lines in [`level`];
//! `tests/vectors.rs` and `tests/levels.rs` then hold it to the same bits as the others.
//!
//! `--cfg portable_only` leaves out all levels but plain arrays, which compiles in a third of the time; so do unit tests,
//! which are not about levels.

pub mod baseline;
pub mod cost;
pub mod level;
pub mod ops;
pub mod portable;

#[cfg(any(not(target_arch = "x86_64"), portable_only, test))]
mod absent;
#[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
mod avx2;
#[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
mod avx512;
#[cfg(all(
    any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon")
    ),
    not(any(portable_only, test))
))]
mod vectors;
