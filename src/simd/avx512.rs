//! AVX-512: a vector is one register, and a choice between lanes is a mask.
//!
//! Written by hand, for processors whose AVX-512 is older than Ice Lake's: for these fearless_simd
//! has only AVX2, with which small problems take up to twice as long.
//!
//! # Safety
//!
//! All operations are methods of [`Doubles`] and [`Singles`], which hold an [`Avx512`] and so prove
//! that the processor has the instructions. The free functions on vectors have no such proof, and
//! are unsafe.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::*;

use crate::simd::avx2::{four_of, part, transpose_four, transpose_singles};
use crate::simd::ops::{DOUBLES, IntegerBits, Lanes, SINGLES, TILE, Vectors, Work};

/// Proof that this processor has the level: only [`Avx512::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

impl Avx512 {
    /// The level, if this processor has it.
    pub fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw");
        is_there.then_some(Avx512(()))
    }

    /// The three parts of the vendor's name, and the signature, which has the family.
    pub fn processor(self) -> ([u32; 3], u32) {
        let vendor = cpuid(0);
        ([vendor.ebx, vendor.edx, vendor.ecx], cpuid(1).eax)
    }

    /// Does work at this level.
    #[inline(always)]
    pub fn run<T: Work>(self, work: T) -> T::Output {
        // SAFETY: `self` proves AVX-512.
        unsafe { run(self, work) }
    }
}

#[allow(
    unused_unsafe,
    reason = "unsafe in the oldest Rust that builds this, not in newer ones"
)]
fn cpuid(leaf: u32) -> CpuidResult {
    // SAFETY: every processor of x86-64 has the instruction, and this is compiled for no other. For
    // a leaf that it lacks it returns other numbers, and does no harm.
    unsafe { __cpuid(leaf) }
}

impl Vectors for Avx512 {
    type Doubles = Doubles;
    type Singles = Singles;

    #[inline(always)]
    fn doubles(self) -> Doubles {
        Doubles(self)
    }
    #[inline(always)]
    fn singles(self) -> Singles {
        Singles(self)
    }
    #[inline(always)]
    fn run_apart<T: Work>(self, work: T) -> T::Output {
        self.run(work)
    }
}

/// # Safety
///
/// The processor must have AVX-512, which a value of [`Avx512`] proves.
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512vl,avx512dq,avx512bw")]
#[inline(never)]
unsafe fn run<W: Work>(level: Avx512, work: W) -> W::Output {
    work.run(level)
}

/// Vectors of f64.
#[derive(Clone, Copy)]
pub struct Doubles(Avx512);

/// Vectors of f32.
#[derive(Clone, Copy)]
pub struct Singles(Avx512);

/// Operations on 512 bits, those that f64 and f32 share.
macro_rules! avx512_operations {
    ($number:ident, $width:ident, $vector:ident, $mask:ident, $set:ident, $load:ident, $store:ident,
     $add:ident, $subtract:ident, $smaller:ident, $larger:ident, $compare:ident, $blend:ident, $pack:ident) => {
        type Number = $number;
        type Vector = $vector;

        #[inline(always)]
        fn prefetch<T>(self, at: *const T) {
            // SAFETY: a prefetch reads nothing, and any address will do.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
        }
        #[inline(always)]
        fn splat(self, number: $number) -> $vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { $set(number) }
        }
        #[inline(always)]
        fn load(self, numbers: &[$number; $width]) -> $vector {
            // SAFETY: `self` proves AVX-512; `$width` numbers can be read, at any alignment.
            unsafe { $load(numbers.as_ptr()) }
        }
        #[inline(always)]
        fn store(self, vector: $vector, numbers: &mut [$number; $width]) {
            // SAFETY: as in `load`.
            unsafe { $store(numbers.as_mut_ptr(), vector) }
        }
        #[inline(always)]
        fn add(self, a: $vector, b: $vector) -> $vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { $add(a, b) }
        }
        #[inline(always)]
        fn subtract(self, a: $vector, b: $vector) -> $vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { $subtract(a, b) }
        }
        #[inline(always)]
        fn smaller(self, a: $vector, b: $vector) -> $vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { $smaller(a, b) }
        }
        #[inline(always)]
        fn larger(self, a: $vector, b: $vector) -> $vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { $larger(a, b) }
        }
        #[inline(always)]
        fn equal(self, a: $vector, b: $vector) -> u64 {
            // SAFETY: `self` proves AVX-512.
            unsafe { u64::from($compare::<_CMP_EQ_OQ>(a, b)) }
        }
        #[inline(always)]
        fn below(self, a: $vector, b: $vector) -> u64 {
            // SAFETY: `self` proves AVX-512.
            unsafe { u64::from($compare::<_CMP_LT_OQ>(a, b)) }
        }
        #[inline(always)]
        fn where_less(self, a: $vector, b: $vector, there: $vector, elsewhere: $vector) -> $vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { $blend(elsewhere, $compare::<_CMP_LT_OQ>(a, b), there) }
        }
        #[inline(always)]
        fn store_packed(self, vector: $vector, bits: u64, numbers: &mut [$number; $width]) {
            // SAFETY: `self` proves AVX-512.
            self.store(unsafe { $pack(bits as $mask, vector) }, numbers);
        }
        #[inline(always)]
        fn one_lane(self, elsewhere: $number, lane: usize, there: $number) -> $vector {
            let mask: $mask = 1 << (lane % $width);
            // SAFETY: `self` proves AVX-512.
            unsafe { $blend($set(elsewhere), mask, $set(there)) }
        }
    };
}

/// One bit for each of the first `count` lanes.
#[inline(always)]
fn leading(count: usize) -> u32 {
    (1u32 << (count % 32)) - 1
}

impl Lanes<DOUBLES> for Doubles {
    avx512_operations!(
        f64,
        DOUBLES,
        __m512d,
        __mmask8,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_min_pd,
        _mm512_max_pd,
        _mm512_cmp_pd_mask,
        _mm512_mask_mov_pd,
        _mm512_maskz_compress_pd
    );

    #[inline(always)]
    fn larger_magnitude(self, a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let magnitude = _mm512_set1_epi64(i64::MAX);
            let a = _mm512_and_si512(_mm512_castpd_si512(a), magnitude);
            let b = _mm512_and_si512(_mm512_castpd_si512(b), magnitude);
            _mm512_castsi512_pd(_mm512_max_epu64(a, b))
        }
    }

    #[inline(always)]
    fn load_f32(self, costs: &[f32; DOUBLES]) -> __m512d {
        // SAFETY: `self` proves AVX-512; eight numbers can be read, at any alignment.
        unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(costs.as_ptr())) }
    }
    #[inline(always)]
    fn load_part_f32(self, costs: &[f32], start: usize) -> __m512d {
        let (at, count) = part(costs, start, DOUBLES);
        let mask = leading(count) as __mmask8;
        // SAFETY: `self` proves AVX-512; a masked load reads where the mask is set, which is where
        // `part` found costs.
        unsafe {
            let infinite = _mm256_set1_ps(f32::INFINITY);
            _mm512_cvtps_pd(_mm256_mask_loadu_ps(infinite, mask, at))
        }
    }
    #[inline(always)]
    fn load_f64(self, costs: &[f64; DOUBLES]) -> __m512d {
        self.load(costs)
    }
    #[inline(always)]
    fn load_part_f64(self, costs: &[f64], start: usize) -> __m512d {
        let (at, count) = part(costs, start, DOUBLES);
        let mask = leading(count) as __mmask8;
        // SAFETY: as in `load_part_f32`.
        unsafe { _mm512_mask_loadu_pd(_mm512_set1_pd(f64::INFINITY), mask, at) }
    }
    #[inline(always)]
    fn least(self, vector: __m512d) -> f64 {
        // SAFETY: `self` proves AVX-512, and with it AVX2.
        unsafe {
            least_of_four(_mm256_min_pd(
                _mm512_castpd512_pd256(vector),
                _mm512_extractf64x4_pd::<1>(vector),
            ))
        }
    }

    #[inline(always)]
    fn transpose(self, rows: [&[f64; TILE]; TILE]) -> [[f64; TILE]; TILE] {
        let mut transposed = [[0.0; TILE]; TILE];
        for half in 0..2 {
            for part in 0..2 {
                // SAFETY: `self` proves AVX-512, and with it AVX2; four numbers can be written to
                // each half of a row.
                unsafe {
                    let vectors = transpose_four(four_of(rows, 4 * half, part));
                    for (row, vector) in vectors.into_iter().enumerate() {
                        let to = &mut transposed[4 * part + row].as_chunks_mut::<4>().0[half];
                        _mm256_storeu_pd(to.as_mut_ptr(), vector);
                    }
                }
            }
        }
        transposed
    }
}

impl Lanes<SINGLES> for Singles {
    avx512_operations!(
        f32,
        SINGLES,
        __m512,
        __mmask16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_min_ps,
        _mm512_max_ps,
        _mm512_cmp_ps_mask,
        _mm512_mask_mov_ps,
        _mm512_maskz_compress_ps
    );

    #[inline(always)]
    fn larger_magnitude(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let magnitude = _mm512_set1_epi32(i32::MAX);
            let a = _mm512_and_si512(_mm512_castps_si512(a), magnitude);
            let b = _mm512_and_si512(_mm512_castps_si512(b), magnitude);
            _mm512_castsi512_ps(_mm512_max_epu32(a, b))
        }
    }

    #[inline(always)]
    fn load_f32(self, costs: &[f32; SINGLES]) -> __m512 {
        self.load(costs)
    }
    #[inline(always)]
    fn load_part_f32(self, costs: &[f32], start: usize) -> __m512 {
        let (at, count) = part(costs, start, SINGLES);
        let mask = leading(count) as __mmask16;
        // SAFETY: as in `load_part_f32` of `Doubles`.
        unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(f32::INFINITY), mask, at) }
    }
    #[inline(always)]
    fn load_f64(self, costs: &[f64; SINGLES]) -> __m512 {
        let at = costs.as_ptr();
        // SAFETY: `self` proves AVX-512; sixteen numbers can be read, at any alignment.
        unsafe {
            let low = _mm512_cvtpd_ps(_mm512_loadu_pd(at));
            let high = _mm512_cvtpd_ps(_mm512_loadu_pd(at.add(DOUBLES)));
            _mm512_insertf32x8::<1>(_mm512_castps256_ps512(low), high)
        }
    }
    #[inline(always)]
    fn load_part_f64(self, costs: &[f64], start: usize) -> __m512 {
        let doubles = Doubles(self.0);
        let low = doubles.load_part_f64(costs, start);
        let high = doubles.load_part_f64(costs, start + DOUBLES);
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let (low, high) = (_mm512_cvtpd_ps(low), _mm512_cvtpd_ps(high));
            _mm512_insertf32x8::<1>(_mm512_castps256_ps512(low), high)
        }
    }
    #[inline(always)]
    fn least(self, vector: __m512) -> f32 {
        // SAFETY: `self` proves AVX-512, and with it AVX2.
        unsafe {
            least_of_eight(_mm256_min_ps(
                _mm512_castps512_ps256(vector),
                _mm512_extractf32x8_ps::<1>(vector),
            ))
        }
    }
    #[inline(always)]
    fn least_two(self, first: __m512, second: __m512) -> (f32, f32) {
        // SAFETY: `self` proves AVX-512, and with it AVX2.
        unsafe {
            // Halves against halves: the second least is the larger of two firsts, or was a second
            // before.
            let (a, b) = (
                _mm512_castps512_ps256(first),
                _mm512_extractf32x8_ps::<1>(first),
            );
            let (c, d) = (
                _mm512_castps512_ps256(second),
                _mm512_extractf32x8_ps::<1>(second),
            );
            let first = _mm256_min_ps(a, b);
            let second = _mm256_min_ps(_mm256_max_ps(a, b), _mm256_min_ps(c, d));
            let (a, b) = (
                _mm256_castps256_ps128(first),
                _mm256_extractf128_ps::<1>(first),
            );
            let (c, d) = (
                _mm256_castps256_ps128(second),
                _mm256_extractf128_ps::<1>(second),
            );
            let a_b = _mm_min_ps(a, b);
            let c_d = _mm_min_ps(_mm_max_ps(a, b), _mm_min_ps(c, d));
            let (a, b) = (a_b, _mm_movehl_ps(a_b, a_b));
            let (c, d) = (c_d, _mm_movehl_ps(c_d, c_d));
            let a_b = _mm_min_ps(a, b);
            let c_d = _mm_min_ps(_mm_max_ps(a, b), _mm_min_ps(c, d));
            let (a, b) = (a_b, _mm_movehdup_ps(a_b));
            let (c, d) = (c_d, _mm_movehdup_ps(c_d));
            (
                _mm_cvtss_f32(_mm_min_ss(a, b)),
                _mm_cvtss_f32(_mm_min_ss(_mm_max_ss(a, b), _mm_min_ss(c, d))),
            )
        }
    }

    #[inline(always)]
    fn transpose(self, rows: [&[f32; TILE]; TILE]) -> [[f32; TILE]; TILE] {
        let mut transposed = [[0.0; TILE]; TILE];
        // SAFETY: `self` proves AVX-512, and with it AVX2; eight numbers can be written to each
        // row.
        unsafe {
            for (row, vector) in transposed.iter_mut().zip(transpose_singles(rows)) {
                _mm256_storeu_ps(row.as_mut_ptr(), vector);
            }
        }
        transposed
    }
}

impl IntegerBits for Singles {
    #[inline(always)]
    fn not_negative(self, vector: __m512) -> __m512 {
        self.larger_signed(vector, self.splat(0.0))
    }
    #[inline(always)]
    fn smaller_signed(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            _mm512_castsi512_ps(_mm512_min_epi32(a, b))
        }
    }
    #[inline(always)]
    fn larger_signed(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            _mm512_castsi512_ps(_mm512_max_epi32(a, b))
        }
    }
    #[inline(always)]
    fn where_signed_less(self, a: __m512, b: __m512, there: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            _mm512_maskz_mov_ps(_mm512_cmplt_epi32_mask(a, b), there)
        }
    }
    #[inline(always)]
    fn smaller_unsigned(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            _mm512_castsi512_ps(_mm512_min_epu32(a, b))
        }
    }
    #[inline(always)]
    fn least_unsigned(self, vector: __m512) -> f32 {
        // SAFETY: `self` proves AVX-512, and with it AVX2.
        unsafe {
            let sixteen = _mm512_castps_si512(vector);
            let eight = _mm256_min_epu32(
                _mm512_castsi512_si256(sixteen),
                _mm512_extracti64x4_epi64::<1>(sixteen),
            );
            let four = _mm_min_epu32(
                _mm256_castsi256_si128(eight),
                _mm256_extracti128_si256::<1>(eight),
            );
            let two = _mm_min_epu32(four, _mm_unpackhi_epi64(four, four));
            let one = _mm_min_epu32(two, _mm_shuffle_epi32::<1>(two));
            _mm_cvtss_f32(_mm_castsi128_ps(one))
        }
    }
    #[inline(always)]
    fn equal_bits(self, a: __m512, b: __m512) -> u64 {
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
            u64::from(_mm512_cmpeq_epi32_mask(a, b))
        }
    }
    #[inline(always)]
    fn with_sign_at(self, vector: __m512, lane: usize) -> __m512 {
        let mask = (1_u64 << (lane % 64)) as __mmask16;
        // SAFETY: `self` proves AVX-512.
        unsafe {
            let bits = _mm512_castps_si512(vector);
            let sign = _mm512_set1_epi32(i32::MIN);
            _mm512_castsi512_ps(_mm512_mask_or_epi32(bits, mask, bits, sign))
        }
    }
}

/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
unsafe fn least_of_four(vector: __m256d) -> f64 {
    // SAFETY: promised by the caller.
    unsafe {
        let two = _mm_min_pd(
            _mm256_castpd256_pd128(vector),
            _mm256_extractf128_pd::<1>(vector),
        );
        _mm_cvtsd_f64(_mm_min_sd(two, _mm_unpackhi_pd(two, two)))
    }
}

/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
unsafe fn least_of_eight(vector: __m256) -> f32 {
    // SAFETY: promised by the caller.
    unsafe {
        let four = _mm_min_ps(
            _mm256_castps256_ps128(vector),
            _mm256_extractf128_ps::<1>(vector),
        );
        let two = _mm_min_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)))
    }
}
