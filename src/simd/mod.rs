//! Many numbers at a time, on whatever the processor has for it: a *level*.
//!
//! [`ops`] says what is asked of a level, [`portable`], `avx2` and `avx512` are the levels, and [`level`] chooses one when the
//! program runs. [`cost`] has the types of costs as vectors read them.
//!
//! **How code is compiled for a level.** What runs at a level is a [`ops::Work`], a function over any [`ops::Vectors`]. A level's
//! `run_apart` calls it from a function that is marked with the level's instructions, and all that is inlined there is
//! compiled with them; so everything from `Work::run` down is `#[inline(always)]`.
//!
//! **Another level** takes a file like `avx2` and three lines in [`level`]; `tests/vectors.rs` and `tests/levels.rs` then hold it to the
//! same bits as the others. (NEON would also want its stand-in in `absent.rs`.)
//!
//! `--cfg portable_only` leaves out all levels but one, which compiles in a third of the time; so do unit tests, which are
//! not about levels.

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
