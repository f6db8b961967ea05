//! AVX2: a vector is two halves of 256 bits.
//!
//! # Safety
//!
//! All operations are methods of [`Doubles`] and [`Singles`], which hold an [`Avx2`] and so prove that the processor has the
//! instructions. The free functions below them cannot, and are unsafe.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::*;

use crate::simd::ops::{DOUBLES, LaneWise, Lanes, SINGLES, Vectors, Work};
use crate::simd::portable::packed;

/// Proof that this processor has the level: only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    /// The level, if this processor has it.
    pub fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        is_there.then_some(Avx2(()))
    }

    /// Does work at this level.
    #[inline(always)]
    pub fn run<T: Work>(self, work: T) -> T::Output {
        // SAFETY: `self` proves AVX2.
        unsafe { run(self, work) }
    }
}

impl Vectors for Avx2 {
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
/// The processor must have AVX2, which a value of [`Avx2`] proves.
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
#[inline(never)]
unsafe fn run<W: Work>(level: Avx2, work: W) -> W::Output {
    work.run(level)
}

/// Vectors of f64.
#[derive(Clone, Copy)]
pub struct Doubles(Avx2);

/// Vectors of f32.
#[derive(Clone, Copy)]
pub struct Singles(Avx2);

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

/// The same of f32.
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

/// Operations on two halves of 256 bits, those that f64 and f32 share.
macro_rules! avx2_operations {
    ($number:ident, $width:ident, $vector:ident, $set:ident, $load:ident, $store:ident,
     $subtract:ident, $smaller:ident, $larger:ident, $compare:ident, $bits:ident, $blend:ident) => {
        type Number = $number;
        type Vector = [$vector; 2];

        #[inline(always)]
        fn prefetch<T>(self, at: *const T) {
            // SAFETY: a prefetch reads nothing, and an address that is none does not matter to it.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
        }
        #[inline(always)]
        fn splat(self, number: $number) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [$set(number); 2] }
        }
        #[inline(always)]
        fn load(self, numbers: &[$number; $width]) -> Self::Vector {
            let at = numbers.as_ptr();
            // SAFETY: `self` proves AVX2; `$width` numbers can be read, at any alignment.
            unsafe { [$load(at), $load(at.add($width / 2))] }
        }
        #[inline(always)]
        fn store(self, vector: Self::Vector, numbers: &mut [$number; $width]) {
            let at = numbers.as_mut_ptr();
            // SAFETY: as in `load`.
            unsafe {
                $store(at, vector[0]);
                $store(at.add($width / 2), vector[1]);
            }
        }
        #[inline(always)]
        fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [$subtract(a[0], b[0]), $subtract(a[1], b[1])] }
        }
        #[inline(always)]
        fn smaller(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [$smaller(a[0], b[0]), $smaller(a[1], b[1])] }
        }
        #[inline(always)]
        fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [$larger(a[0], b[0]), $larger(a[1], b[1])] }
        }
        #[inline(always)]
        fn equal(self, a: Self::Vector, b: Self::Vector) -> u64 {
            // SAFETY: `self` proves AVX2.
            unsafe {
                let low = $bits($compare::<_CMP_EQ_OQ>(a[0], b[0]));
                let high = $bits($compare::<_CMP_EQ_OQ>(a[1], b[1]));
                (low | high << ($width / 2)) as u64
            }
        }
        #[inline(always)]
        fn below(self, a: Self::Vector, b: Self::Vector) -> u64 {
            // SAFETY: `self` proves AVX2.
            unsafe {
                let low = $bits($compare::<_CMP_LT_OQ>(a[0], b[0]));
                let high = $bits($compare::<_CMP_LT_OQ>(a[1], b[1]));
                (low | high << ($width / 2)) as u64
            }
        }
        #[inline(always)]
        fn pack(self, vector: Self::Vector, bits: u64) -> Self::Vector {
            let mut numbers = [0.0; $width];
            self.store(vector, &mut numbers);
            self.load(&packed(numbers, bits))
        }
        #[inline(always)]
        fn where_less(
            self,
            a: Self::Vector,
            b: Self::Vector,
            there: Self::Vector,
            elsewhere: Self::Vector,
        ) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe {
                let low = $compare::<_CMP_LT_OQ>(a[0], b[0]);
                let high = $compare::<_CMP_LT_OQ>(a[1], b[1]);
                [
                    $blend(elsewhere[0], there[0], low),
                    $blend(elsewhere[1], there[1], high),
                ]
            }
        }
    };
}

/// 0, 1, 2, … as f64 and f32 compare them.
static NUMBERS: [i64; DOUBLES] = [0, 1, 2, 3, 4, 5, 6, 7];

static NUMBERS_OF_SINGLES: [i32; SINGLES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

impl Lanes<DOUBLES> for Doubles {
    avx2_operations!(
        f64,
        DOUBLES,
        __m256d,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_sub_pd,
        _mm256_min_pd,
        _mm256_max_pd,
        _mm256_cmp_pd,
        _mm256_movemask_pd,
        _mm256_blendv_pd
    );

    #[inline(always)]
    fn larger_magnitude(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: `self` proves AVX2.
        unsafe {
            [
                larger_magnitude_of_four(a[0], b[0]),
                larger_magnitude_of_four(a[1], b[1]),
            ]
        }
    }

    #[inline(always)]
    fn load_f32(self, costs: &[f32; DOUBLES]) -> Self::Vector {
        let at = costs.as_ptr();
        // SAFETY: `self` proves AVX2; eight numbers can be read, at any alignment.
        unsafe {
            [
                _mm256_cvtps_pd(_mm_loadu_ps(at)),
                _mm256_cvtps_pd(_mm_loadu_ps(at.add(4))),
            ]
        }
    }
    #[inline(always)]
    fn load_part_f32(self, costs: &[f32], start: usize) -> Self::Vector {
        let (at, count) = part(costs, start, DOUBLES);
        // SAFETY: `self` proves AVX2; a masked load reads where the mask is set, which is where `part` found costs;
        // the mask lies within its table since that found no more than a vector's.
        unsafe {
            let mask = LEADING_SINGLES.as_ptr().add(SINGLES - count);
            let filled = part_of_singles(at, mask);
            [
                _mm256_cvtps_pd(_mm256_castps256_ps128(filled)),
                _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(filled)),
            ]
        }
    }
    #[inline(always)]
    fn load_f64(self, costs: &[f64; DOUBLES]) -> Self::Vector {
        self.load(costs)
    }
    #[inline(always)]
    fn load_part_f64(self, costs: &[f64], start: usize) -> Self::Vector {
        let (at, count) = part(costs, start, DOUBLES);
        // SAFETY: as in `load_part_f32`; `wrapping_add` because the second half may start beyond `costs`, in
        // which case its mask is zero.
        unsafe {
            let mask = LEADING.as_ptr().add(DOUBLES - count);
            [
                part_of_doubles(at, mask),
                part_of_doubles(at.wrapping_add(4), mask.add(4)),
            ]
        }
    }
    #[inline(always)]
    fn least(self, vector: Self::Vector) -> f64 {
        // SAFETY: `self` proves AVX2.
        unsafe { least_of_four(_mm256_min_pd(vector[0], vector[1])) }
    }
    #[inline(always)]
    fn one_lane(self, elsewhere: f64, lane: usize, there: f64) -> Self::Vector {
        let numbers = NUMBERS.as_ptr();
        // SAFETY: `self` proves AVX2; the table has eight numbers.
        unsafe {
            let lane = _mm256_set1_epi64x((lane % DOUBLES) as i64);
            let low = _mm256_cmpeq_epi64(_mm256_loadu_si256(numbers.cast()), lane);
            let high = _mm256_cmpeq_epi64(_mm256_loadu_si256(numbers.add(4).cast()), lane);
            let (elsewhere, there) = (_mm256_set1_pd(elsewhere), _mm256_set1_pd(there));
            [
                _mm256_blendv_pd(elsewhere, there, _mm256_castsi256_pd(low)),
                _mm256_blendv_pd(elsewhere, there, _mm256_castsi256_pd(high)),
            ]
        }
    }
}

/// One bit for each lane.
static LANE_BITS: [i64; DOUBLES] = [1, 2, 4, 8, 16, 32, 64, 128];

impl LaneWise for Doubles {
    /// All bits of a lane are set, or none.
    type Mask = [__m256d; 2];

    #[inline(always)]
    fn mask(self, bits: u8) -> [__m256d; 2] {
        let lane_bits = LANE_BITS.as_ptr();
        // SAFETY: `self` proves AVX2; the table has eight numbers.
        unsafe {
            let bits = _mm256_set1_epi64x(i64::from(bits));
            let low = _mm256_loadu_si256(lane_bits.cast());
            let high = _mm256_loadu_si256(lane_bits.add(4).cast());
            let low = _mm256_cmpeq_epi64(_mm256_and_si256(bits, low), low);
            let high = _mm256_cmpeq_epi64(_mm256_and_si256(bits, high), high);
            [_mm256_castsi256_pd(low), _mm256_castsi256_pd(high)]
        }
    }
    #[inline(always)]
    fn bits(self, mask: [__m256d; 2]) -> u8 {
        // SAFETY: `self` proves AVX2.
        unsafe { (_mm256_movemask_pd(mask[0]) | _mm256_movemask_pd(mask[1]) << 4) as u8 }
    }
    #[inline(always)]
    fn both(self, a: [__m256d; 2], b: [__m256d; 2]) -> [__m256d; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_and_pd(a[0], b[0]), _mm256_and_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn either(self, a: [__m256d; 2], b: [__m256d; 2]) -> [__m256d; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_or_pd(a[0], b[0]), _mm256_or_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn less(self, a: [__m256d; 2], b: [__m256d; 2]) -> [__m256d; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe {
            [
                _mm256_cmp_pd::<_CMP_LT_OQ>(a[0], b[0]),
                _mm256_cmp_pd::<_CMP_LT_OQ>(a[1], b[1]),
            ]
        }
    }
    #[inline(always)]
    fn at_most(self, a: [__m256d; 2], b: [__m256d; 2]) -> [__m256d; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe {
            [
                _mm256_cmp_pd::<_CMP_LE_OQ>(a[0], b[0]),
                _mm256_cmp_pd::<_CMP_LE_OQ>(a[1], b[1]),
            ]
        }
    }
    #[inline(always)]
    fn select(self, mask: [__m256d; 2], yes: [__m256d; 2], no: [__m256d; 2]) -> [__m256d; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe {
            [
                _mm256_blendv_pd(no[0], yes[0], mask[0]),
                _mm256_blendv_pd(no[1], yes[1], mask[1]),
            ]
        }
    }
    #[inline(always)]
    fn add(self, a: [__m256d; 2], b: [__m256d; 2]) -> [__m256d; 2] {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_add_pd(a[0], b[0]), _mm256_add_pd(a[1], b[1])] }
    }
    #[inline(always)]
    fn store_f32(self, vector: [__m256d; 2], numbers: &mut [f32; DOUBLES]) {
        // SAFETY: `self` proves AVX2; eight numbers can be written, at any alignment.
        unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), narrow(vector[0], vector[1])) }
    }
    #[inline(always)]
    fn transpose_f32(self, rows: [&[f32; DOUBLES]; DOUBLES]) -> [[__m256d; 2]; DOUBLES] {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let mut vectors = [[_mm256_setzero_pd(); 2]; DOUBLES];
            for (vector, singles) in vectors.iter_mut().zip(transpose_singles(rows)) {
                *vector = [
                    _mm256_cvtps_pd(_mm256_castps256_ps128(singles)),
                    _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(singles)),
                ];
            }
            vectors
        }
    }
    #[inline(always)]
    fn transpose_f64(self, rows: [&[f64; DOUBLES]; DOUBLES]) -> [[__m256d; 2]; DOUBLES] {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let mut vectors = [[_mm256_setzero_pd(); 2]; DOUBLES];
            for half in 0..2 {
                let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[4 * half + row].as_chunks().0);
                for part in 0..2 {
                    let columns = transpose_four([&a[part], &b[part], &c[part], &d[part]]);
                    for (col, column) in columns.into_iter().enumerate() {
                        vectors[4 * part + col][half] = column;
                    }
                }
            }
            vectors
        }
    }
    #[inline(always)]
    fn transpose_to_f32(self, vectors: [[__m256d; 2]; DOUBLES]) -> [[f32; DOUBLES]; DOUBLES] {
        let mut columns = [[0.0; DOUBLES]; DOUBLES];
        for (column, vector) in columns.iter_mut().zip(vectors) {
            self.store_f32(vector, column);
        }
        let mut rows = [[0.0; DOUBLES]; DOUBLES];
        // SAFETY: `self` proves AVX2; eight numbers can be written to each row.
        unsafe {
            for (row, vector) in rows.iter_mut().zip(transpose_singles(columns.each_ref())) {
                _mm256_storeu_ps(row.as_mut_ptr(), vector);
            }
        }
        rows
    }
    #[inline(always)]
    fn transpose_to_f64(self, vectors: [[__m256d; 2]; DOUBLES]) -> [[f64; DOUBLES]; DOUBLES] {
        let mut columns = [[0.0; DOUBLES]; DOUBLES];
        for (column, vector) in columns.iter_mut().zip(vectors) {
            self.store(vector, column);
        }
        let mut rows = [[0.0; DOUBLES]; DOUBLES];
        for (row, vector) in rows.iter_mut().zip(self.transpose_f64(columns.each_ref())) {
            self.store(vector, row);
        }
        rows
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
unsafe fn transpose_four(rows: [&[f64; 4]; 4]) -> [__m256d; 4] {
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

impl Lanes<SINGLES> for Singles {
    avx2_operations!(
        f32,
        SINGLES,
        __m256,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_sub_ps,
        _mm256_min_ps,
        _mm256_max_ps,
        _mm256_cmp_ps,
        _mm256_movemask_ps,
        _mm256_blendv_ps
    );

    #[inline(always)]
    fn larger_magnitude(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: `self` proves AVX2.
        unsafe {
            [
                larger_magnitude_of_eight(a[0], b[0]),
                larger_magnitude_of_eight(a[1], b[1]),
            ]
        }
    }

    #[inline(always)]
    fn load_f32(self, costs: &[f32; SINGLES]) -> Self::Vector {
        self.load(costs)
    }
    #[inline(always)]
    fn load_part_f32(self, costs: &[f32], start: usize) -> Self::Vector {
        let (at, count) = part(costs, start, SINGLES);
        // SAFETY: as in `load_part_f64` above.
        unsafe {
            let mask = LEADING_SINGLES.as_ptr().add(SINGLES - count);
            [
                part_of_singles(at, mask),
                part_of_singles(at.wrapping_add(8), mask.add(8)),
            ]
        }
    }
    #[inline(always)]
    fn load_f64(self, costs: &[f64; SINGLES]) -> Self::Vector {
        let at = costs.as_ptr();
        // SAFETY: `self` proves AVX2; sixteen numbers can be read, at any alignment.
        unsafe {
            [
                narrow(_mm256_loadu_pd(at), _mm256_loadu_pd(at.add(4))),
                narrow(_mm256_loadu_pd(at.add(8)), _mm256_loadu_pd(at.add(12))),
            ]
        }
    }
    #[inline(always)]
    fn load_part_f64(self, costs: &[f64], start: usize) -> Self::Vector {
        let doubles = Doubles(self.0);
        let low = doubles.load_part_f64(costs, start);
        let high = doubles.load_part_f64(costs, start + DOUBLES);
        // SAFETY: `self` proves AVX2.
        unsafe { [narrow(low[0], low[1]), narrow(high[0], high[1])] }
    }
    #[inline(always)]
    fn least(self, vector: Self::Vector) -> f32 {
        // SAFETY: `self` proves AVX2.
        unsafe { least_of_eight(_mm256_min_ps(vector[0], vector[1])) }
    }
    #[inline(always)]
    fn one_lane(self, elsewhere: f32, lane: usize, there: f32) -> Self::Vector {
        let numbers = NUMBERS_OF_SINGLES.as_ptr();
        // SAFETY: `self` proves AVX2; the table has sixteen numbers.
        unsafe {
            let lane = _mm256_set1_epi32((lane % SINGLES) as i32);
            let low = _mm256_cmpeq_epi32(_mm256_loadu_si256(numbers.cast()), lane);
            let high = _mm256_cmpeq_epi32(_mm256_loadu_si256(numbers.add(8).cast()), lane);
            let (elsewhere, there) = (_mm256_set1_ps(elsewhere), _mm256_set1_ps(there));
            [
                _mm256_blendv_ps(elsewhere, there, _mm256_castsi256_ps(low)),
                _mm256_blendv_ps(elsewhere, there, _mm256_castsi256_ps(high)),
            ]
        }
    }
}

/// # Safety
///
/// The processor must have AVX2, four flags must lie at `mask`, and numbers at `at` where they are set.
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
/// The processor must have AVX2, eight flags must lie at `mask`, and numbers at `at` where they are set.
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

/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
unsafe fn narrow(low: __m256d, high: __m256d) -> __m256 {
    // SAFETY: promised by the caller.
    unsafe { _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low)) }
}

/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
unsafe fn larger_magnitude_of_four(a: __m256d, b: __m256d) -> __m256d {
    // SAFETY: promised by the caller.
    unsafe {
        let magnitude = _mm256_set1_epi64x(i64::MAX);
        let a = _mm256_and_si256(_mm256_castpd_si256(a), magnitude);
        let b = _mm256_and_si256(_mm256_castpd_si256(b), magnitude);
        let larger = _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(b, a));
        _mm256_castsi256_pd(larger)
    }
}

/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
unsafe fn larger_magnitude_of_eight(a: __m256, b: __m256) -> __m256 {
    // SAFETY: promised by the caller.
    unsafe {
        let magnitude = _mm256_set1_epi32(i32::MAX);
        let a = _mm256_and_si256(_mm256_castps_si256(a), magnitude);
        let b = _mm256_and_si256(_mm256_castps_si256(b), magnitude);
        _mm256_castsi256_ps(_mm256_max_epu32(a, b))
    }
}

/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
pub(super) unsafe fn least_of_four(vector: __m256d) -> f64 {
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
pub(super) unsafe fn least_of_eight(vector: __m256) -> f32 {
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
