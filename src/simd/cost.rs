//! The four types of costs, as the lanes read them, and the two that answers are returned in.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::number::arithmetic::Arithmetic;
use crate::simd::ops::{Lanes, Vectors};

/// Costs are scaled where they are larger than 2 to the power of this, or smaller than the inverse
/// of that.
pub const UNSCALED_EXPONENT: i32 = 900;

/// A cost as it stands in the input. Widening to f64 is exact for every implementor.
pub trait Cost: Copy {
    /// The type as which the solver reads it: f32 or f64.
    type Entry: Entry;

    /// The type in which totals and duals are returned: f32 or f64.
    type Real: Real;

    /// The same number as an f64.
    fn widen(self) -> f64;

    /// The costs as entries, without a copy, if they are of that type.
    fn as_entries(costs: &[Self]) -> Option<&[Self::Entry]>;

    /// Copies costs, converted to entries. Nothing is rounded.
    fn copy_to_entries(costs: &[Self], entries: &mut [Self::Entry]);
}

/// A cost that the solver reads: f32 or f64.
pub trait Entry: Cost<Entry = Self> + Arithmetic + 'static {
    /// No number of this type is so large or small that it has to be scaled.
    const IS_NEVER_SCALED: bool;

    /// Loads a vector of costs.
    fn load<L: Lanes<W>, const W: usize>(lanes: L, costs: &[Self; W]) -> L::Vector;

    /// Loads the costs from `start` on; lanes beyond the last are +inf.
    fn load_part<L: Lanes<W>, const W: usize>(lanes: L, costs: &[Self], start: usize) -> L::Vector;

    /// The costs, where they are of f32.
    fn as_singles<const N: usize>(costs: &[[Self; N]; N]) -> Option<&[[f32; N]; N]>;

    /// The same number times ±2^k, rounded if it must be.
    fn times(self, factor: f64) -> Self;

    /// The number whose bits are `index`, to have an index among numbers. It is selected, moved and
    /// compared, but not computed with.
    fn of_index(index: u32) -> Self;

    /// The index that a number stands for.
    fn to_index(self) -> usize;

    /// Is every cost finite or +inf (a forbidden pair)?
    fn are_valid(costs: &[Self]) -> bool;

    /// Does work in vectors of this type, at the level of `vectors`.
    fn run_in_own_lanes<V: Vectors, T: LanesWork<Self>>(vectors: V, work: T) -> T::Output;
}

/// Work on vectors of one type, whichever level they are of. Implementors mark `run` and all it
/// calls `#[inline(always)]`, as for [`crate::simd::ops::Work`].
pub trait LanesWork<N> {
    /// The result of the work.
    type Output;
    /// Does the work.
    fn run<L: Lanes<W, Number = N>, const W: usize>(self, lanes: L) -> Self::Output;
}

macro_rules! entry {
    ($entry:ident, $vectors:ident, $load:ident, $load_part:ident, $singles:expr) => {
        impl Cost for $entry {
            type Entry = Self;
            type Real = Self;

            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn as_entries(costs: &[Self]) -> Option<&[Self]> {
                Some(costs)
            }
            #[inline(always)]
            fn copy_to_entries(costs: &[Self], entries: &mut [Self]) {
                entries.copy_from_slice(costs);
            }
        }

        impl Entry for $entry {
            const IS_NEVER_SCALED: bool = $entry::MAX_EXP < UNSCALED_EXPONENT;

            #[inline(always)]
            fn load<L: Lanes<W>, const W: usize>(lanes: L, costs: &[Self; W]) -> L::Vector {
                lanes.$load(costs)
            }
            #[inline(always)]
            fn load_part<L: Lanes<W>, const W: usize>(
                lanes: L,
                costs: &[Self],
                start: usize,
            ) -> L::Vector {
                lanes.$load_part(costs, start)
            }
            #[inline(always)]
            fn as_singles<const N: usize>(costs: &[[Self; N]; N]) -> Option<&[[f32; N]; N]> {
                let singles: fn(&[[Self; N]; N]) -> Option<&[[f32; N]; N]> = $singles;
                singles(costs)
            }
            #[inline(always)]
            fn times(self, factor: f64) -> Self {
                (f64::from(self) * factor) as $entry
            }
            #[inline(always)]
            fn of_index(index: u32) -> Self {
                $entry::from_bits(index.into())
            }
            #[inline(always)]
            fn to_index(self) -> usize {
                self.to_bits() as usize
            }
            #[inline(always)]
            fn are_valid(costs: &[Self]) -> bool {
                // False for NaN and for the other infinity only.
                let mut valid = true;
                for &cost in costs {
                    valid &= cost > Self::NEG_INFINITY;
                }
                valid
            }
            #[inline(always)]
            fn run_in_own_lanes<V: Vectors, T: LanesWork<Self>>(vectors: V, work: T) -> T::Output {
                work.run(vectors.$vectors())
            }
        }
    };
}

entry!(f32, singles, load_f32, load_part_f32, |costs| Some(costs));
entry!(f64, doubles, load_f64, load_part_f64, |_| None);

macro_rules! half_cost {
    ($cost:ident) => {
        impl Cost for $cost {
            type Entry = f32;
            type Real = f32;

            fn widen(self) -> f64 {
                self.to_f64()
            }
            fn as_entries(_costs: &[Self]) -> Option<&[f32]> {
                None
            }
            fn copy_to_entries(costs: &[Self], entries: &mut [f32]) {
                costs.convert_to_f32_slice(entries);
            }
        }
    };
}

half_cost!(f16);
half_cost!(bf16);

/// A type in which totals and duals are returned.
pub trait Real: Copy + std::fmt::Debug + Into<f64> {
    /// Rounds to this type: to the nearest number, or to an infinity beyond its range.
    fn round_from(value: f64) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn round_from(value: f64) -> Self {
        value as f32
    }
}

impl Real for f64 {
    #[inline(always)]
    fn round_from(value: f64) -> Self {
        value
    }
}
