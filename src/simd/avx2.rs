//! AVX2: the vectors of fearless_simd, but for what it lacks or does in twice as many instructions.
//!
//! # Safety
//!
//! The methods of [`Native`] have a value of [`x86::Avx2`], which proves that the processor has the
//! instructions. The free functions on vectors have no such proof, and are unsafe.

use std::arch::x86_64::*;

use fearless_simd::prelude::*;
use fearless_simd::{f32x8, f32x16, f64x4, f64x8, mask32x8, x86};

use crate::simd::ops::{DOUBLES, SINGLES};
use crate::simd::vectors::{At, Native};

/// The vectors of the level.
pub type Avx2 = At<x86::Avx2>;

impl Avx2 {
    /// The level, if this processor has it.
    pub fn detect() -> Option<Self> {
        fearless_simd::Level::new().as_avx2().map(At)
    }
}

impl Native for x86::Avx2 {
    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        // SAFETY: a prefetch reads nothing, and any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    fn load_part_of_eight(self, costs: &[f32], start: usize) -> f32x8<Self> {
        let (at, count) = part(costs, start, DOUBLES);
        // SAFETY: `self` proves AVX2; a masked load reads where the mask is set, which is where
        // `part` found costs; the mask lies within its table since that found no more than a
        // vector's.
        unsafe {
            let mask = LEADING_SINGLES.as_ptr().add(SINGLES - count);
            part_of_singles(at, mask).simd_into(self)
        }
    }

    #[inline(always)]
    fn load_part_f32(self, costs: &[f32], start: usize) -> f32x16<Self> {
        let (at, count) = part(costs, start, SINGLES);
        // SAFETY: as in `load_part_of_eight`; `wrapping_add` because the second half may start
        // beyond `costs`, in which case its mask is zero.
        unsafe {
            let mask = LEADING_SINGLES.as_ptr().add(SINGLES - count);
            let low: f32x8<Self> = part_of_singles(at, mask).simd_into(self);
            low.combine(part_of_singles(at.wrapping_add(8), mask.add(8)))
        }
    }

    #[inline(always)]
    fn load_part_f64(self, costs: &[f64], start: usize) -> f64x8<Self> {
        let (at, count) = part(costs, start, DOUBLES);
        // SAFETY: as in `load_part_f32`.
        unsafe {
            let mask = LEADING.as_ptr().add(DOUBLES - count);
            let low: f64x4<Self> = part_of_doubles(at, mask).simd_into(self);
            low.combine(part_of_doubles(at.wrapping_add(4), mask.add(4)))
        }
    }

    #[inline(always)]
    fn store_packed_f32(self, vector: f32x16<Self>, bits: u64, numbers: &mut [f32; SINGLES]) {
        let (low, high) = vector.split();
        let [low_bits, high_bits, ..] = bits.to_le_bytes();
        // SAFETY: `self` proves AVX2.
        let packed = unsafe { [packed(low.into(), low_bits), packed(high.into(), high_bits)] };
        let [low, high]: [f32x8<Self>; 2] = [packed[0].simd_into(self), packed[1].simd_into(self)];
        low.store_slice(&mut numbers[..8]);
        // At most eight of the lower lanes are packed, so the upper eight fit behind them.
        high.store_slice(&mut numbers[low_bits.count_ones() as usize..][..8]);
    }

    #[inline(always)]
    fn store_packed_f64(self, vector: f64x8<Self>, bits: u64, numbers: &mut [f64; DOUBLES]) {
        let (low, high) = vector.split();
        let (low_bits, high_bits) = (bits as u8 % 16, bits as u8 >> 4);
        // SAFETY: `self` proves AVX2.
        let packed = unsafe {
            [
                packed_doubles(low.into(), low_bits),
                packed_doubles(high.into(), high_bits),
            ]
        };
        let [low, high]: [f64x4<Self>; 2] = [packed[0].simd_into(self), packed[1].simd_into(self)];
        low.store_slice(&mut numbers[..4]);
        high.store_slice(&mut numbers[low_bits.count_ones() as usize..][..4]);
    }

    #[inline(always)]
    fn bits_of_four(self, masks: [mask32x8<Self>; 4]) -> u32 {
        let [a, b, c, d] = masks;
        // SAFETY: `self` proves AVX2.
        unsafe { bits_of_four([a.into(), b.into(), c.into(), d.into()]) }
    }

    #[inline(always)]
    fn transpose_f32(self, rows: [&[f32; 8]; 8]) -> [f32x8<Self>; 8] {
        // SAFETY: `self` proves AVX2.
        let transposed = unsafe { transpose_singles(rows) };
        let mut vectors = [f32x8::splat(self, 0.0); 8];
        for (vector, transposed) in vectors.iter_mut().zip(transposed) {
            *vector = transposed.simd_into(self);
        }
        vectors
    }

    #[inline(always)]
    fn transpose_f64(self, rows: [&[f64; 8]; 8]) -> [f64x8<Self>; 8] {
        let mut vectors = [f64x8::splat(self, 0.0); 8];
        for part in 0..2 {
            // SAFETY: `self` proves AVX2.
            let (upper, lower) = unsafe {
                (
                    transpose_four(four_of(rows, 0, part)),
                    transpose_four(four_of(rows, 4, part)),
                )
            };
            for col in 0..4 {
                let low: f64x4<Self> = upper[col].simd_into(self);
                vectors[4 * part + col] = low.combine(lower[col]);
            }
        }
        vectors
    }
}

/// Half of each of four rows. (Not `map` of an array: the compiler may not inline it, and compiles
/// it then, and every operation in it, without AVX2.)
#[inline(always)]
pub(super) fn four_of(rows: [&[f64; 8]; 8], first: usize, part: usize) -> [&[f64; 4]; 4] {
    let mut four = [&rows[first].as_chunks().0[part]; 4];
    for (row, half) in four.iter_mut().enumerate() {
        *half = &rows[first + row].as_chunks().0[part];
    }
    four
}

/// All ones, then all zeros: a mask for `n` leading lanes starts `n` before the zeros.
static LEADING: [i64; 2 * DOUBLES] = {
    let mut mask = [0; 2 * DOUBLES];
    let mut lane = 0;
    while lane < DOUBLES {
        mask[lane] = -1;
        lane += 1;
    }
    mask
};

/// As [`LEADING`], for f32.
static LEADING_SINGLES: [i32; 2 * SINGLES] = {
    let mut mask = [0; 2 * SINGLES];
    let mut lane = 0;
    while lane < SINGLES {
        mask[lane] = -1;
        lane += 1;
    }
    mask
};

/// Where the costs from `start` on lie, and how many of a vector of `width` there are.
#[inline(always)]
pub(super) fn part<E>(costs: &[E], start: usize, width: usize) -> (*const E, usize) {
    let count = costs.len().saturating_sub(start).min(width);
    (costs.as_ptr().wrapping_add(start), count)
}

/// # Safety
///
/// The processor must have AVX2, four flags must lie at `mask`, and numbers at `at` where they are
/// set.
#[inline(always)]
unsafe fn part_of_doubles(at: *const f64, mask: *const i64) -> __m256d {
    // SAFETY: promised by the caller.
    unsafe {
        let mask = _mm256_loadu_si256(mask.cast());
        let loaded = _mm256_maskload_pd(at, mask);
        let infinite = _mm256_set1_pd(f64::INFINITY);
        _mm256_blendv_pd(infinite, loaded, _mm256_castsi256_pd(mask))
    }
}

/// # Safety
///
/// The processor must have AVX2, eight flags must lie at `mask`, and numbers at `at` where they are
/// set.
#[inline(always)]
unsafe fn part_of_singles(at: *const f32, mask: *const i32) -> __m256 {
    // SAFETY: promised by the caller.
    unsafe {
        let mask = _mm256_loadu_si256(mask.cast());
        let loaded = _mm256_maskload_ps(at, mask);
        let infinite = _mm256_set1_ps(f32::INFINITY);
        _mm256_blendv_ps(infinite, loaded, _mm256_castsi256_ps(mask))
    }
}

/// For each set of eight lanes, in bits: its lanes in order, then zeros.
static LANES_OF: [[u8; 8]; 256] = {
    let mut lanes_of = [[0; 8]; 256];
    let mut bits = 0;
    while bits < 256 {
        let (mut count, mut lane) = (0, 0);
        while lane < 8 {
            if bits >> lane & 1 == 1 {
                lanes_of[bits][count] = lane as u8;
                count += 1;
            }
            lane += 1;
        }
        bits += 1;
    }
    lanes_of
};

/// The lanes whose bits are set, in order, in front.
///
/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
unsafe fn packed(vector: __m256, bits: u8) -> __m256 {
    let lanes = &LANES_OF[usize::from(bits)];
    // SAFETY: AVX2 is promised by the caller; the table has eight bytes for each set of lanes.
    unsafe {
        let lanes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(lanes.as_ptr().cast()));
        _mm256_permutevar8x32_ps(vector, lanes)
    }
}

/// As [`packed`], of four f64. `bits` is less than 16.
///
/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
unsafe fn packed_doubles(vector: __m256d, bits: u8) -> __m256d {
    // Each f64 is moved as two f32.
    let spread = (bits & 1) | (bits & 2) << 1 | (bits & 4) << 2 | (bits & 8) << 3;
    // SAFETY: promised by the caller.
    unsafe { _mm256_castps_pd(packed(_mm256_castpd_ps(vector), spread * 3)) }
}

/// One bit for each lane of four masks of eight lanes.
///
/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
unsafe fn bits_of_four(masks: [__m256i; 4]) -> u32 {
    let [a, b, c, d] = masks;
    // SAFETY: promised by the caller.
    unsafe {
        // A byte for each lane: first the lower four lanes of all masks, then the upper four.
        let bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        let in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        _mm256_movemask_epi8(_mm256_permutevar8x32_epi32(bytes, in_order)) as u32
    }
}

/// Lane l of vector c is number c of row l.
///
/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
pub(super) unsafe fn transpose_singles(rows: [&[f32; 8]; 8]) -> [__m256; 8] {
    // SAFETY: AVX2 is promised by the caller; each row has two times four numbers.
    unsafe {
        let mut vectors = [_mm256_setzero_ps(); 8];
        for part in 0..2 {
            // Rows l and l + 4, four columns of each.
            let mut pairs = [_mm256_setzero_ps(); 4];
            for (row, pair) in pairs.iter_mut().enumerate() {
                let low = _mm_loadu_ps(rows[row].as_ptr().add(4 * part));
                let high = _mm_loadu_ps(rows[row + 4].as_ptr().add(4 * part));
                *pair = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high);
            }
            let [a, b, c, d] = pairs;
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            vectors[4 * part] = _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd);
            vectors[4 * part + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd);
            let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            vectors[4 * part + 2] = _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd);
            vectors[4 * part + 3] = _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd);
        }
        vectors
    }
}

/// Lane l of vector c is number c of row l.
///
/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
pub(super) unsafe fn transpose_four(rows: [&[f64; 4]; 4]) -> [__m256d; 4] {
    // SAFETY: AVX2 is promised by the caller; each row has four numbers.
    unsafe {
        let a = _mm256_loadu_pd(rows[0].as_ptr());
        let b = _mm256_loadu_pd(rows[1].as_ptr());
        let c = _mm256_loadu_pd(rows[2].as_ptr());
        let d = _mm256_loadu_pd(rows[3].as_ptr());
        let (even_ab, even_cd) = (_mm256_unpacklo_pd(a, b), _mm256_unpacklo_pd(c, d));
        let (odd_ab, odd_cd) = (_mm256_unpackhi_pd(a, b), _mm256_unpackhi_pd(c, d));
        [
            _mm256_permute2f128_pd::<0x20>(even_ab, even_cd),
            _mm256_permute2f128_pd::<0x20>(odd_ab, odd_cd),
            _mm256_permute2f128_pd::<0x31>(even_ab, even_cd),
            _mm256_permute2f128_pd::<0x31>(odd_ab, odd_cd),
        ]
    }
}
