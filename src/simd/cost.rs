//! The four types of costs, as the lanes read them, and the two that answers are returned in.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::number::arithmetic::Arithmetic;
use crate::simd::ops::{DOUBLES, LaneWise, Lanes, Vectors};

/// A cost as it stands in the input. Widening to f64 is exact for every implementor.
pub trait Cost: Copy {
    /// The form in which the solver reads it.
    type Entry: Entry;

    /// What totals and duals are returned in.
    type Real: Real;

    /// The same number as an f64.
    fn widen(self) -> f64;

    /// The costs as entries, if they are.
    fn as_entries(costs: &[Self]) -> Option<&[Self::Entry]>;

    /// Writes the same numbers as entries.
    fn copy_to_entries(costs: &[Self], entries: &mut [Self::Entry]);
}

/// A cost that the solver reads: f32 or f64.
pub trait Entry: Cost<Entry = Self> + Arithmetic + 'static {
    /// No cost is so large or small that it has to be scaled.
    const IS_NEVER_SCALED: bool;

    /// Reads a vector of them.
    fn load<L: Lanes<W>, const W: usize>(lanes: L, costs: &[Self; W]) -> L::Vector;

    /// Reads those of `costs` from `start` on; the lanes behind the last are +inf.
    fn load_part<L: Lanes<W>, const W: usize>(lanes: L, costs: &[Self], start: usize) -> L::Vector;

    /// Lane l of vector c is number c of row l.
    fn transpose<L: LaneWise>(lanes: L, rows: [&[Self; DOUBLES]; DOUBLES]) -> [L::Vector; DOUBLES];

    /// The same number times ±2^k, rounded if it must be.
    fn times(self, factor: f64) -> Self;

    /// Is every one of them finite or forbidden?
    fn are_valid(costs: &[Self]) -> bool;

    /// Does work in vectors of this type.
    fn run_in_own_lanes<V: Vectors, T: LanesWork<Self>>(vectors: V, work: T) -> T::Output;
}

/// Work on vectors of one type, whichever level they are of. Implementors mark `run` and all it calls `#[inline(always)]`, as
/// for [`crate::simd::ops::Work`].
pub trait LanesWork<N> {
    /// What comes of it.
    type Output;
    /// Does it.
    fn run<L: Lanes<W, Number = N>, const W: usize>(self, lanes: L) -> Self::Output;
}

macro_rules! entry {
    ($entry:ident, $vectors:ident, $load:ident, $load_part:ident, $transpose:ident) => {
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
            const IS_NEVER_SCALED: bool = $entry::MAX_EXP < 900;

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
            fn transpose<L: LaneWise>(
                lanes: L,
                rows: [&[Self; DOUBLES]; DOUBLES],
            ) -> [L::Vector; DOUBLES] {
                lanes.$transpose(rows)
            }
            #[inline(always)]
            fn times(self, factor: f64) -> Self {
                (f64::from(self) * factor) as $entry
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

entry!(f32, singles, load_f32, load_part_f32, transpose_f32);
entry!(f64, doubles, load_f64, load_part_f64, transpose_f64);

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

/// What totals and duals are returned in.
pub trait Real: Copy + std::fmt::Debug + Into<f64> {
    /// The nearest number of this type; beyond its range, an infinity.
    fn round_from(value: f64) -> Self;

    /// Writes a vector, rounded likewise.
    fn store<L: LaneWise>(lanes: L, vector: L::Vector, numbers: &mut [Self; DOUBLES]);

    /// Number c of row l is lane l of vector c, rounded likewise.
    fn transpose<L: LaneWise>(
        lanes: L,
        vectors: [L::Vector; DOUBLES],
    ) -> [[Self; DOUBLES]; DOUBLES];
}

impl Real for f32 {
    #[inline(always)]
    fn round_from(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn store<L: LaneWise>(lanes: L, vector: L::Vector, numbers: &mut [Self; DOUBLES]) {
        lanes.store_f32(vector, numbers);
    }
    #[inline(always)]
    fn transpose<L: LaneWise>(
        lanes: L,
        vectors: [L::Vector; DOUBLES],
    ) -> [[Self; DOUBLES]; DOUBLES] {
        lanes.transpose_to_f32(vectors)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn round_from(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn store<L: LaneWise>(lanes: L, vector: L::Vector, numbers: &mut [Self; DOUBLES]) {
        lanes.store(vector, numbers);
    }
    #[inline(always)]
    fn transpose<L: LaneWise>(
        lanes: L,
        vectors: [L::Vector; DOUBLES],
    ) -> [[Self; DOUBLES]; DOUBLES] {
        lanes.transpose_to_f64(vectors)
    }
}
