//! Many numbers at a time, on whatever the processor has for it: a *level*.
//!
//! [`ops`] has the operations that every level provides. The levels are [`baseline`] (SSE2 or NEON)
//! and `avx2`, both of which `vectors` makes of the crate fearless_simd, and `avx512`, written by
//! hand. [`level`] chooses one when the program runs. [`arrays`] provides the same operations in
//! plain arrays. [`cost`] has the types of costs as vectors read them. [`sum`] adds up without
//! losing small terms.
//!
//! **How code is compiled for a level.** What runs at a level is a [`ops::Work`], a function over
//! any [`ops::Vectors`]. A level's `run_apart` calls it from a function that is marked with the
//! level's instructions, and all that is inlined there is compiled with them; so everything from
//! `Work::run` down is `#[inline(always)]`.
//!
//! **To add a level** that fearless_simd has:
//!
//! 1. a file like `avx2`, with a type, its `detect`, and its `vectors::Native`, of which only
//!    `prefetch` is required (`Sse2` in [`baseline`] has no more);
//! 2. its `mod` line here, and its name in `absent`, for when it is not compiled;
//! 3. in [`level`] its import, a variant, a name in `detect`, and an arm in `run`;
//! 4. its name in `tests/python/test_instruction_sets.py`.
//!
//! `tests/vectors.rs` and `tests/levels.rs` then check that it gives the same bits as the other
//! levels. A level written by hand, like `avx512`, implements the traits of [`ops`] itself.
//!
//! With `--cfg arrays_only`, and in unit tests, there are plain arrays only, which compile in a
//! third of the time.

pub mod arrays;
pub mod baseline;
pub mod cost;
pub mod level;
pub mod ops;
pub mod sum;

#[cfg(any(not(target_arch = "x86_64"), arrays_only, test))]
mod absent;
#[cfg(all(target_arch = "x86_64", not(any(arrays_only, test))))]
mod avx2;
#[cfg(all(target_arch = "x86_64", not(any(arrays_only, test))))]
mod avx512;
#[cfg(all(
    any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon")
    ),
    not(any(arrays_only, test))
))]
mod vectors;
