//! What the solver asks of a level's vectors.
//!
//! A vector has 8 lanes of f64 or 16 of f32 at every level, and every level performs the same IEEE operations on them, so the
//! answer does not depend on the level. [`Lanes`] is all that passes over a row ask; [`LaneWise`] is what problems side by
//! side, one in each lane, ask beyond that.

use crate::number::arithmetic::Arithmetic;

/// Lanes of f64 in one vector.
pub const DOUBLES: usize = 8;

/// Lanes of f32 in one vector.
pub const SINGLES: usize = 16;

/// Operations on vectors of `W` numbers.
///
/// No input is NaN. Of equal numbers `smaller` and `larger` may return either.
pub trait Lanes<const W: usize>: Copy {
    /// What is in a lane.
    type Number: Arithmetic;
    /// `W` of them.
    type Vector: Copy;

    /// Says that what lies at `at`, wherever that is, will be read soon.
    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        let _ = at;
    }

    /// The same number in all lanes.
    fn splat(self, number: Self::Number) -> Self::Vector;
    /// Reads numbers.
    fn load(self, numbers: &[Self::Number; W]) -> Self::Vector;
    /// Writes numbers.
    fn store(self, vector: Self::Vector, numbers: &mut [Self::Number; W]);
    /// Reads costs, rounded to the nearest if they must be.
    fn load_f32(self, costs: &[f32; W]) -> Self::Vector;
    /// Reads those of `costs` from `start` on; the lanes behind the last are +inf.
    fn load_part_f32(self, costs: &[f32], start: usize) -> Self::Vector;
    /// Reads costs, rounded to the nearest if they must be.
    fn load_f64(self, costs: &[f64; W]) -> Self::Vector;
    /// Reads those of `costs` from `start` on; the lanes behind the last are +inf.
    fn load_part_f64(self, costs: &[f64], start: usize) -> Self::Vector;
    /// a − b, lane by lane.
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The smaller of a and b, lane by lane.
    fn smaller(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger of a and b, lane by lane.
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger magnitude of a and b, lane by lane, as [`Arithmetic::larger_magnitude`].
    fn larger_magnitude(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Bit l is set where lane l of a equals that of b.
    fn equal(self, a: Self::Vector, b: Self::Vector) -> u64;
    /// Bit l is set where lane l of a is less than that of b.
    fn below(self, a: Self::Vector, b: Self::Vector) -> u64;
    /// Where a < b, `there`; `elsewhere` in the other lanes.
    fn where_less(
        self,
        a: Self::Vector,
        b: Self::Vector,
        there: Self::Vector,
        elsewhere: Self::Vector,
    ) -> Self::Vector;
    /// The lanes l of which bit l is set, in order; then any.
    fn pack(self, vector: Self::Vector, bits: u64) -> Self::Vector;
    /// The least of all lanes.
    fn least(self, vector: Self::Vector) -> Self::Number;

    /// `there` in lane `lane` (taken modulo `W`), `elsewhere` in the others.
    fn one_lane(self, elsewhere: Self::Number, lane: usize, there: Self::Number) -> Self::Vector;
}

/// What problems side by side, one in each lane, ask of the hardware beyond [`Lanes`]: choices made lane by lane.
pub trait LaneWise: Lanes<DOUBLES, Number = f64> {
    /// A yes or no for each lane.
    type Mask: Copy;

    /// Yes in lane l where bit l is set.
    fn mask(self, bits: u8) -> Self::Mask;
    /// Bit l is set where the mask says yes in lane l.
    fn bits(self, mask: Self::Mask) -> u8;
    /// Both.
    fn both(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Either or both.
    fn either(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Is a < b? No where one is NaN.
    fn less(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// Is a ≤ b? No where one is NaN.
    fn at_most(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// `yes` where the mask says so, else `no`, bit for bit.
    fn select(self, mask: Self::Mask, yes: Self::Vector, no: Self::Vector) -> Self::Vector;
    /// a + b, lane by lane.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Writes numbers, rounded to the nearest.
    fn store_f32(self, vector: Self::Vector, numbers: &mut [f32; DOUBLES]);
    /// Lane l of vector c is number c of row l.
    fn transpose_f32(self, rows: [&[f32; DOUBLES]; DOUBLES]) -> [Self::Vector; DOUBLES];
    /// The same from f64.
    fn transpose_f64(self, rows: [&[f64; DOUBLES]; DOUBLES]) -> [Self::Vector; DOUBLES];
    /// The reverse: number c of row l is lane l of vector c, rounded to the nearest.
    fn transpose_to_f32(self, vectors: [Self::Vector; DOUBLES]) -> [[f32; DOUBLES]; DOUBLES];
    /// The same in f64.
    fn transpose_to_f64(self, vectors: [Self::Vector; DOUBLES]) -> [[f64; DOUBLES]; DOUBLES];
}

/// Vectors of both precisions.
pub trait Vectors: Copy {
    /// Of f64.
    type Doubles: LaneWise;
    /// Of f32.
    type Singles: Lanes<SINGLES, Number = f32>;

    /// Of f64.
    fn doubles(self) -> Self::Doubles;
    /// Of f32.
    fn singles(self) -> Self::Singles;

    /// Does `work` in a function of its own, compiled for the same level. Code that is wanted in several places is
    /// compiled once that way.
    fn run_apart<T: Work>(self, work: T) -> T::Output;
}

/// Work that can be done at any level. Implementors mark `run` and all it calls `#[inline(always)]`: only
/// what is inlined is compiled for the level.
pub trait Work {
    /// What comes of it.
    type Output;
    /// Does it.
    fn run<V: Vectors>(self, vectors: V) -> Self::Output;
}
