//! The vectors of any level of fearless_simd, a crate of vectors that need no unsafe code.
//!
//! Its types have eight f64 or sixteen f32 at every level, in as many registers as that takes.
//! [`Native`] adds what the crate lacks; [`baseline`](crate::simd::baseline) and `avx2` implement
//! it for their levels.

use fearless_simd::prelude::*;
use fearless_simd::{f32x8, f32x16, f64x8, i32x16, i64x8, mask32x8, u32x16};

use crate::simd::arrays::write_packed;
use crate::simd::ops::{DOUBLES, IntegerBits, Lanes, SINGLES, TILE, Vectors, Work};

/// What fearless_simd lacks. What stands here works at any level; a level may have something
/// better.
pub trait Native: Simd {
    /// As [`Lanes::prefetch`].
    fn prefetch<T>(self, at: *const T);

    /// As [`Lanes::load_part_f32`], of eight lanes.
    #[inline(always)]
    fn load_part_of_eight(self, costs: &[f32], start: usize) -> f32x8<Self> {
        f32x8::load_array(self, part(costs, start, f32::INFINITY))
    }

    /// As [`Lanes::load_part_f32`].
    #[inline(always)]
    fn load_part_f32(self, costs: &[f32], start: usize) -> f32x16<Self> {
        f32x16::load_array(self, part(costs, start, f32::INFINITY))
    }

    /// As [`Lanes::load_part_f64`].
    #[inline(always)]
    fn load_part_f64(self, costs: &[f64], start: usize) -> f64x8<Self> {
        f64x8::load_array(self, part(costs, start, f64::INFINITY))
    }

    /// As [`Lanes::store_packed`], of f32. (Quicker than the crate's compressing, which goes byte
    /// by byte.)
    #[inline(always)]
    fn store_packed_f32(self, vector: f32x16<Self>, bits: u64, numbers: &mut [f32; SINGLES]) {
        let mut lanes = [0.0; SINGLES];
        vector.store_array(&mut lanes);
        write_packed(lanes, bits, numbers);
    }

    /// As [`Lanes::store_packed`], of f64.
    #[inline(always)]
    fn store_packed_f64(self, vector: f64x8<Self>, bits: u64, numbers: &mut [f64; DOUBLES]) {
        let mut lanes = [0.0; DOUBLES];
        vector.store_array(&mut lanes);
        write_packed(lanes, bits, numbers);
    }

    /// One bit for each lane of four masks.
    #[inline(always)]
    fn bits_of_four(self, masks: [mask32x8<Self>; 4]) -> u32 {
        let [a, b, c, d] = masks;
        let bits = a.to_bitmask() | b.to_bitmask() << 8 | c.to_bitmask() << 16;
        (bits | d.to_bitmask() << 24) as u32
    }

    /// Loads eight rows and transposes them: lane l of vector c is number c of row l.
    #[inline(always)]
    fn transpose_f32(self, rows: [&[f32; 8]; 8]) -> [f32x8<Self>; 8] {
        let mut vectors = [f32x8::splat(self, 0.0); 8];
        for (vector, row) in vectors.iter_mut().zip(rows) {
            *vector = f32x8::load_array_ref(self, row);
        }
        // Each round interleaves the lanes of the first half of the vectors with those of the
        // second half.
        for _ in 0..3 {
            let from = vectors;
            for pair in 0..4 {
                let (low, high) = from[pair].interleave(from[pair + 4]);
                (vectors[2 * pair], vectors[2 * pair + 1]) = (low, high);
            }
        }
        vectors
    }

    /// As [`Native::transpose_f32`], of f64.
    #[inline(always)]
    fn transpose_f64(self, rows: [&[f64; 8]; 8]) -> [f64x8<Self>; 8] {
        let mut vectors = [f64x8::splat(self, 0.0); 8];
        for (vector, row) in vectors.iter_mut().zip(rows) {
            *vector = f64x8::load_array_ref(self, row);
        }
        for _ in 0..3 {
            let from = vectors;
            for pair in 0..4 {
                let (low, high) = from[pair].interleave(from[pair + 4]);
                (vectors[2 * pair], vectors[2 * pair + 1]) = (low, high);
            }
        }
        vectors
    }
}

/// The costs from `start` on, filled up with `rest`.
#[inline(always)]
fn part<E: Copy, const W: usize>(costs: &[E], start: usize, rest: E) -> [E; W] {
    let costs = costs.get(start..).unwrap_or(&[]);
    let mut part = [rest; W];
    for (to, &cost) in part.iter_mut().zip(costs) {
        *to = cost;
    }
    part
}

/// Does `work` at the level of `simd`, in a function of its own.
#[inline(never)]
fn run<S: Native, W: Work>(simd: S, work: W) -> W::Output {
    simd.vectorize(
        #[inline(always)]
        move || work.run(At(simd)),
    )
}

/// A level, by fearless_simd's proof that the processor has it.
#[derive(Clone, Copy, Debug)]
pub struct At<S>(pub S);

impl<S: Native> At<S> {
    /// Does work at this level.
    #[inline(always)]
    pub fn run<T: Work>(self, work: T) -> T::Output {
        run(self.0, work)
    }
}

/// Vectors of f64.
#[derive(Clone, Copy)]
pub struct Doubles<S>(S);
/// Vectors of f32.
#[derive(Clone, Copy)]
pub struct Singles<S>(S);

impl<S: Native> Vectors for At<S> {
    type Doubles = Doubles<S>;
    type Singles = Singles<S>;

    #[inline(always)]
    fn doubles(self) -> Doubles<S> {
        Doubles(self.0)
    }
    #[inline(always)]
    fn singles(self) -> Singles<S> {
        Singles(self.0)
    }
    #[inline(always)]
    fn run_apart<T: Work>(self, work: T) -> T::Output {
        run(self.0, work)
    }
}

macro_rules! operations {
    ($number:ident, $width:ident, $vector:ident, $integers:ident, $integer:ident, $transpose:ident, $store_packed:ident, $numbers:expr) => {
        type Number = $number;
        type Vector = $vector<S>;

        #[inline(always)]
        fn prefetch<T>(self, at: *const T) {
            self.0.prefetch(at);
        }
        #[inline(always)]
        fn splat(self, number: $number) -> $vector<S> {
            $vector::splat(self.0, number)
        }
        #[inline(always)]
        fn load(self, numbers: &[$number; $width]) -> $vector<S> {
            $vector::load_array_ref(self.0, numbers)
        }
        #[inline(always)]
        fn store(self, vector: $vector<S>, numbers: &mut [$number; $width]) {
            vector.store_array(numbers);
        }
        #[inline(always)]
        fn add(self, a: $vector<S>, b: $vector<S>) -> $vector<S> {
            a + b
        }
        #[inline(always)]
        fn subtract(self, a: $vector<S>, b: $vector<S>) -> $vector<S> {
            a - b
        }
        #[inline(always)]
        fn smaller(self, a: $vector<S>, b: $vector<S>) -> $vector<S> {
            a.min(b)
        }
        #[inline(always)]
        fn larger(self, a: $vector<S>, b: $vector<S>) -> $vector<S> {
            a.max(b)
        }
        #[inline(always)]
        fn larger_magnitude(self, a: $vector<S>, b: $vector<S>) -> $vector<S> {
            let a: $integers<S> = a.abs().bitcast();
            let b: $integers<S> = b.abs().bitcast();
            a.max(b).bitcast()
        }
        #[inline(always)]
        fn equal(self, a: $vector<S>, b: $vector<S>) -> u64 {
            a.simd_eq(b).to_bitmask()
        }
        #[inline(always)]
        fn below(self, a: $vector<S>, b: $vector<S>) -> u64 {
            a.simd_lt(b).to_bitmask()
        }
        #[inline(always)]
        fn where_less(
            self,
            a: $vector<S>,
            b: $vector<S>,
            there: $vector<S>,
            elsewhere: $vector<S>,
        ) -> $vector<S> {
            a.simd_lt(b).select(there, elsewhere)
        }
        #[inline(always)]
        fn store_packed(self, vector: $vector<S>, bits: u64, numbers: &mut [$number; $width]) {
            self.0.$store_packed(vector, bits, numbers);
        }
        #[inline(always)]
        fn least(self, vector: $vector<S>) -> $number {
            vector.reduce_min()
        }
        #[inline(always)]
        fn transpose(self, rows: [&[$number; TILE]; TILE]) -> [[$number; TILE]; TILE] {
            let mut transposed = [[0.0; TILE]; TILE];
            for (row, vector) in transposed.iter_mut().zip(self.0.$transpose(rows)) {
                vector.store_array(row);
            }
            transposed
        }
        #[inline(always)]
        fn one_lane(self, elsewhere: $number, lane: usize, there: $number) -> $vector<S> {
            let numbers = $integers::load_array(self.0, $numbers);
            let lane = $integers::splat(self.0, (lane % $width) as $integer);
            numbers
                .simd_eq(lane)
                .select(self.splat(there), self.splat(elsewhere))
        }
    };
}

impl<S: Native> Lanes<DOUBLES> for Doubles<S> {
    operations!(
        f64,
        DOUBLES,
        f64x8,
        i64x8,
        i64,
        transpose_f64,
        store_packed_f64,
        [0, 1, 2, 3, 4, 5, 6, 7]
    );

    #[inline(always)]
    fn load_f32(self, costs: &[f32; DOUBLES]) -> f64x8<S> {
        widen(f32x8::load_array_ref(self.0, costs))
    }
    #[inline(always)]
    fn load_part_f32(self, costs: &[f32], start: usize) -> f64x8<S> {
        widen(self.0.load_part_of_eight(costs, start))
    }
    #[inline(always)]
    fn load_f64(self, costs: &[f64; DOUBLES]) -> f64x8<S> {
        self.load(costs)
    }
    #[inline(always)]
    fn load_part_f64(self, costs: &[f64], start: usize) -> f64x8<S> {
        self.0.load_part_f64(costs, start)
    }
}

/// Eight f32 as f64.
#[inline(always)]
fn widen<S: Simd>(singles: f32x8<S>) -> f64x8<S> {
    singles.combine(singles).widen().0
}

/// One bit for each lane of four vectors, set where `compare` holds for it and the same lane of
/// `b`.
macro_rules! bits_of_quad {
    ($self:ident, $four:ident, $b:ident, $compare:ident) => {{
        let [x, y, z, w] = $four;
        let ((x, y), (z, w)) = ((x.split(), y.split()), (z.split(), w.split()));
        let b = $b.split();
        let low = [
            x.0.$compare(b.0),
            x.1.$compare(b.1),
            y.0.$compare(b.0),
            y.1.$compare(b.1),
        ];
        let high = [
            z.0.$compare(b.0),
            z.1.$compare(b.1),
            w.0.$compare(b.0),
            w.1.$compare(b.1),
        ];
        u64::from($self.0.bits_of_four(low)) | u64::from($self.0.bits_of_four(high)) << 32
    }};
}

impl<S: Native> Lanes<SINGLES> for Singles<S> {
    operations!(
        f32,
        SINGLES,
        f32x16,
        i32x16,
        i32,
        transpose_f32,
        store_packed_f32,
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    );

    #[inline(always)]
    fn equal_of_four(self, four: [f32x16<S>; 4], b: f32x16<S>) -> u64 {
        bits_of_quad!(self, four, b, simd_eq)
    }
    #[inline(always)]
    fn below_of_four(self, four: [f32x16<S>; 4], b: f32x16<S>) -> u64 {
        bits_of_quad!(self, four, b, simd_lt)
    }
    #[inline(always)]
    fn least_two(self, first: f32x16<S>, second: f32x16<S>) -> (f32, f32) {
        // Halves against halves: the second least is the larger of two firsts, or was a second
        // before.
        let ((a, b), (c, d)) = (first.split(), second.split());
        let (first, second) = (a.min(b), a.max(b).min(c.min(d)));
        let ((a, b), (c, d)) = (first.split(), second.split());
        let (mut first, mut second) = (a.min(b), a.max(b).min(c.min(d)));
        for _ in 0..2 {
            let ((a, b), (c, d)) = (first.interleave(first), second.interleave(second));
            (first, second) = (a.min(b), a.max(b).min(c.min(d)));
        }
        (first[0], second[0])
    }
    #[inline(always)]
    fn load_f32(self, costs: &[f32; SINGLES]) -> f32x16<S> {
        self.load(costs)
    }
    #[inline(always)]
    fn load_part_f32(self, costs: &[f32], start: usize) -> f32x16<S> {
        self.0.load_part_f32(costs, start)
    }
    #[inline(always)]
    fn load_f64(self, costs: &[f64; SINGLES]) -> f32x16<S> {
        let halves = costs.as_chunks().0;
        let low = f64x8::load_array_ref(self.0, &halves[0]);
        low.narrow(f64x8::load_array_ref(self.0, &halves[1]))
    }
    #[inline(always)]
    fn load_part_f64(self, costs: &[f64], start: usize) -> f32x16<S> {
        let low = self.0.load_part_f64(costs, start);
        low.narrow(self.0.load_part_f64(costs, start + DOUBLES))
    }
}

impl<S: Native> IntegerBits for Singles<S> {
    #[inline(always)]
    fn not_negative(self, vector: f32x16<S>) -> f32x16<S> {
        self.larger_signed(vector, self.splat(0.0))
    }
    #[inline(always)]
    fn smaller_signed(self, a: f32x16<S>, b: f32x16<S>) -> f32x16<S> {
        let [a, b]: [i32x16<S>; 2] = [a.bitcast(), b.bitcast()];
        a.min(b).bitcast()
    }
    #[inline(always)]
    fn larger_signed(self, a: f32x16<S>, b: f32x16<S>) -> f32x16<S> {
        let [a, b]: [i32x16<S>; 2] = [a.bitcast(), b.bitcast()];
        a.max(b).bitcast()
    }
    #[inline(always)]
    fn where_signed_less(self, a: f32x16<S>, b: f32x16<S>, there: f32x16<S>) -> f32x16<S> {
        let [a, b]: [i32x16<S>; 2] = [a.bitcast(), b.bitcast()];
        a.simd_lt(b).select(there, self.splat(0.0))
    }
    #[inline(always)]
    fn smaller_unsigned(self, a: f32x16<S>, b: f32x16<S>) -> f32x16<S> {
        let [a, b]: [u32x16<S>; 2] = [a.bitcast(), b.bitcast()];
        a.min(b).bitcast()
    }
    #[inline(always)]
    fn least_unsigned(self, vector: f32x16<S>) -> f32 {
        let vector: u32x16<S> = vector.bitcast();
        f32::from_bits(vector.reduce_min())
    }
    #[inline(always)]
    fn equal_bits(self, a: f32x16<S>, b: f32x16<S>) -> u64 {
        let [a, b]: [i32x16<S>; 2] = [a.bitcast(), b.bitcast()];
        a.simd_eq(b).to_bitmask()
    }
    #[inline(always)]
    fn with_sign_at(self, vector: f32x16<S>, lane: usize) -> f32x16<S> {
        // A −0 among zeros.
        static SIGN: [f32; 64 + SINGLES] = {
            let mut sign = [0.0; 64 + SINGLES];
            sign[64 - 1] = -0.0;
            sign
        };
        let sign = SIGN[63 - lane % 64..].as_chunks().0;
        let [vector, sign]: [i32x16<S>; 2] = [vector.bitcast(), self.load(&sign[0]).bitcast()];
        (vector | sign).bitcast()
    }
}
