//! The operations on vectors that every level provides.
//!
//! A vector has 8 lanes of f64 or 16 of f32 at every level, and every level performs the same IEEE
//! operations on them, so the answer does not depend on the level. [`Lanes`] is all that passes
//! over a row need; narrow problems in f32 also need [`IntegerBits`].

use crate::number::arithmetic::Arithmetic;

/// Lanes of f64 in one vector.
pub const DOUBLES: usize = 8;

/// Lanes of f32 in one vector.
pub const SINGLES: usize = 16;

/// Rows and columns of a square that is transposed.
pub const TILE: usize = 8;

/// Operations on vectors of `W` numbers.
///
/// Where an input is NaN a comparison may say anything, but `larger_magnitude` returns NaN: so the
/// first look notices a NaN, and what else it found is not used. Of equal numbers `smaller` and
/// `larger` may return either.
pub trait Lanes<const W: usize>: Copy {
    /// The type of number in a lane.
    type Number: Arithmetic;
    /// A vector: `W` numbers.
    type Vector: Copy;

    /// Tells the processor that memory at `at` will be read soon. Any address will do, valid or
    /// not.
    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        let _ = at;
    }

    /// The same number in all lanes.
    fn splat(self, number: Self::Number) -> Self::Vector;
    /// Loads `W` numbers.
    fn load(self, numbers: &[Self::Number; W]) -> Self::Vector;
    /// Stores `W` numbers.
    fn store(self, vector: Self::Vector, numbers: &mut [Self::Number; W]);
    /// Loads costs of f32, rounded to the nearest number of a lane.
    fn load_f32(self, costs: &[f32; W]) -> Self::Vector;
    /// Loads the costs from `start` on, up to `W` of them. Lanes beyond the last cost are +inf.
    fn load_part_f32(self, costs: &[f32], start: usize) -> Self::Vector;
    /// Loads costs of f64, rounded to the nearest number of a lane.
    fn load_f64(self, costs: &[f64; W]) -> Self::Vector;
    /// As [`Lanes::load_part_f32`], of f64.
    fn load_part_f64(self, costs: &[f64], start: usize) -> Self::Vector;
    /// a + b, lane by lane.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
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
    /// Bit v·W + l is set where lane l of vector v of `four` equals that of b.
    #[inline(always)]
    fn equal_of_four(self, four: [Self::Vector; 4], b: Self::Vector) -> u64 {
        self.equal(four[0], b)
            | self.equal(four[1], b) << W
            | self.equal(four[2], b) << (2 * W)
            | self.equal(four[3], b) << (3 * W)
    }
    /// Bit v·W + l is set where lane l of vector v of `four` is less than that of b.
    #[inline(always)]
    fn below_of_four(self, four: [Self::Vector; 4], b: Self::Vector) -> u64 {
        self.below(four[0], b)
            | self.below(four[1], b) << W
            | self.below(four[2], b) << (2 * W)
            | self.below(four[3], b) << (3 * W)
    }
    /// `there` in lanes where a < b, `elsewhere` in the others.
    fn where_less(
        self,
        a: Self::Vector,
        b: Self::Vector,
        there: Self::Vector,
        elsewhere: Self::Vector,
    ) -> Self::Vector;
    /// Stores the lanes whose bits are set, in order, at the front of `numbers`. What the other
    /// numbers then are is not specified.
    fn store_packed(self, vector: Self::Vector, bits: u64, numbers: &mut [Self::Number; W]);
    /// The least of all lanes.
    fn least(self, vector: Self::Vector) -> Self::Number;
    /// The least of all lanes of `first`, and the least of its other lanes and those of `second`.
    #[inline(always)]
    fn least_two(self, first: Self::Vector, second: Self::Vector) -> (Self::Number, Self::Number) {
        let least = self.least(first);
        let holders = self.equal(first, self.splat(least));
        let lane = holders.trailing_zeros() as usize % W;
        let without_it = self.one_lane(Self::Number::NEG_INFINITY, lane, Self::Number::INFINITY);
        let others = self.larger(first, without_it);
        (least, self.least(self.smaller(others, second)))
    }

    /// Number l of row c is number c of row l.
    #[inline(always)]
    fn transpose(self, rows: [&[Self::Number; TILE]; TILE]) -> [[Self::Number; TILE]; TILE] {
        let mut transposed = [[Self::Number::ZERO; TILE]; TILE];
        for (row, numbers) in rows.iter().enumerate() {
            for (col, &number) in numbers.iter().enumerate() {
                transposed[col][row] = number;
            }
        }
        transposed
    }

    /// `there` in lane `lane` (taken modulo `W`), `elsewhere` in the others.
    fn one_lane(self, elsewhere: Self::Number, lane: usize, there: Self::Number) -> Self::Vector;
}

/// Operations that compare the bits of f32 as 32-bit integers. The bits of numbers that are not
/// negative sort as the numbers do.
pub trait IntegerBits: Lanes<SINGLES, Number = f32> {
    /// The vector, but 0 in lanes whose sign is set.
    fn not_negative(self, vector: Self::Vector) -> Self::Vector;
    /// The smaller of a and b, lane by lane, as signed integers.
    fn smaller_signed(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger of a and b, lane by lane, as signed integers.
    fn larger_signed(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `there` in lanes where a < b as signed integers, 0 in the others.
    fn where_signed_less(
        self,
        a: Self::Vector,
        b: Self::Vector,
        there: Self::Vector,
    ) -> Self::Vector;
    /// The smaller of a and b, lane by lane, as unsigned integers.
    fn smaller_unsigned(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The least of all lanes, as unsigned integers.
    fn least_unsigned(self, vector: Self::Vector) -> f32;
    /// Bit l is set where all bits of lane l of a are those of b.
    fn equal_bits(self, a: Self::Vector, b: Self::Vector) -> u64;
    /// The vector, with the sign bit of one lane set: of none where `lane`, modulo 64, is no lane.
    fn with_sign_at(self, vector: Self::Vector, lane: usize) -> Self::Vector;
}

/// The vectors of a level, of both precisions.
pub trait Vectors: Copy {
    /// Vectors of f64.
    type Doubles: Lanes<DOUBLES, Number = f64>;
    /// Vectors of f32.
    type Singles: IntegerBits;

    /// The vectors of f64.
    fn doubles(self) -> Self::Doubles;
    /// The vectors of f32.
    fn singles(self) -> Self::Singles;

    /// Does `work` in a function of its own, compiled for this level. So work that is called from
    /// several places is compiled once, not inlined into each.
    fn run_apart<T: Work>(self, work: T) -> T::Output;
}

/// Work that can be done at any level. Implementors mark `run` and all it calls
/// `#[inline(always)]`: only what is inlined is compiled for the level.
pub trait Work {
    /// The result of the work.
    type Output;
    /// Does the work.
    fn run<V: Vectors>(self, vectors: V) -> Self::Output;
}
