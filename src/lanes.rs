//! Eight numbers at a time, on whatever the processor has for it.
//!
//! [`Lanes`] is all that the solver's passes over a row ask of the hardware. Every level works on eight lanes and
//! performs the same IEEE operations on them, so the answer does not depend on the level. [`Level::run`] is the one
//! place where a level is chosen.

use crate::arithmetic::Arithmetic;

/// Numbers in one vector.
pub const LANES: usize = 8;

/// Numbers that one vector holds, as they lie in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub struct Chunk<R>(pub [R; LANES]);

/// Operations on vectors of eight numbers.
///
/// No input is NaN. Of equal numbers `smaller` and `larger` may return either.
pub trait Lanes: Copy {
    /// What is in a lane.
    type Number: Arithmetic;
    /// Eight of them.
    type Vector: Copy;

    /// The same number in all lanes.
    fn splat(self, number: Self::Number) -> Self::Vector;
    /// Reads a chunk.
    fn load(self, chunk: &Chunk<Self::Number>) -> Self::Vector;
    /// Writes a chunk.
    fn store(self, vector: Self::Vector, chunk: &mut Chunk<Self::Number>);
    /// Reads eight costs; widening is exact.
    fn load_f32(self, costs: &[f32; LANES]) -> Self::Vector;
    /// Reads fewer than eight costs; the lanes behind them are +inf.
    fn load_rest_f32(self, costs: &[f32]) -> Self::Vector;
    /// Reads eight costs.
    fn load_f64(self, costs: &[f64; LANES]) -> Self::Vector;
    /// Reads fewer than eight costs; the lanes behind them are +inf.
    fn load_rest_f64(self, costs: &[f64]) -> Self::Vector;
    /// a − b, lane by lane.
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The smaller of a and b, lane by lane.
    fn smaller(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The larger of a and b, lane by lane.
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Bit l is set where lane l of a equals that of b.
    fn equal(self, a: Self::Vector, b: Self::Vector) -> u8;
    /// `there` in lane `lane` (taken modulo 8), `elsewhere` in the others.
    #[inline(always)]
    fn one_lane(self, elsewhere: Self::Number, lane: usize, there: Self::Number) -> Self::Vector {
        let mut chunk = Chunk([elsewhere; LANES]);
        chunk.0[lane % LANES] = there;
        self.load(&chunk)
    }
    /// The least of all lanes.
    fn least(self, vector: Self::Vector) -> Self::Number;
}

/// Work that can be done at any level. Implementors mark `run` and all it calls `#[inline(always)]`: only
/// what is inlined is compiled for the level.
pub trait Work {
    /// What comes of it.
    type Output;
    /// Does it.
    fn run<L: Lanes<Number = f64>>(self, lanes: L) -> Self::Output;
}

/// A set of vector instructions that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

// Private, so that a level that the processor lacks cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The level that every processor has: what the compiler makes of plain arrays (SSE2 on x86-64, NEON on aarch64).
    pub const PORTABLE: Level = Level(Kind::Portable);

    /// The fastest level of this processor.
    pub fn best() -> Level {
        #[cfg(target_arch = "x86_64")]
        {
            if x86::has_avx512() {
                return Level(Kind::Avx512);
            }
            if x86::has_avx2() {
                return Level(Kind::Avx2);
            }
        }
        Level::PORTABLE
    }

    /// All levels of this processor, slowest first.
    pub fn all() -> Vec<Level> {
        let mut levels = vec![Level::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(x86::has_avx2().then_some(Level(Kind::Avx2)));
            levels.extend(x86::has_avx512().then_some(Level(Kind::Avx512)));
        }
        levels
    }

    /// Does `work` at this level.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            Kind::Portable => work.run(Portable::default()),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best` and `all`, which alone make this kind, saw that the processor has these features.
            Kind::Avx2 => unsafe { x86::run_with_avx2(work) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Kind::Avx512 => unsafe { x86::run_with_avx512(work) },
        }
    }
}

/// Plain arrays, of any arithmetic.
#[derive(Clone, Copy, Debug)]
pub struct Portable<R>(std::marker::PhantomData<R>);

impl<R> Default for Portable<R> {
    fn default() -> Self {
        Portable(std::marker::PhantomData)
    }
}

impl<R: Arithmetic> Lanes for Portable<R> {
    type Number = R;
    type Vector = [R; LANES];

    #[inline(always)]
    fn splat(self, number: R) -> Self::Vector {
        [number; LANES]
    }
    #[inline(always)]
    fn load(self, chunk: &Chunk<R>) -> Self::Vector {
        chunk.0
    }
    #[inline(always)]
    fn store(self, vector: Self::Vector, chunk: &mut Chunk<R>) {
        chunk.0 = vector;
    }
    #[inline(always)]
    fn load_f32(self, costs: &[f32; LANES]) -> Self::Vector {
        costs.map(|cost| R::from(f64::from(cost)))
    }
    #[inline(always)]
    fn load_rest_f32(self, costs: &[f32]) -> Self::Vector {
        std::array::from_fn(|lane| match costs.get(lane) {
            Some(&cost) => R::from(f64::from(cost)),
            None => R::INFINITY,
        })
    }
    #[inline(always)]
    fn load_f64(self, costs: &[f64; LANES]) -> Self::Vector {
        costs.map(R::from)
    }
    #[inline(always)]
    fn load_rest_f64(self, costs: &[f64]) -> Self::Vector {
        std::array::from_fn(|lane| costs.get(lane).map_or(R::INFINITY, |&cost| R::from(cost)))
    }
    #[inline(always)]
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }
    #[inline(always)]
    fn smaller(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        std::array::from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    fn equal(self, a: Self::Vector, b: Self::Vector) -> u8 {
        (0..LANES).fold(0, |bits, lane| bits | u8::from(a[lane] == b[lane]) << lane)
    }
    #[inline(always)]
    fn least(self, vector: Self::Vector) -> R {
        let halves = |a: R, b: R| if a < b { a } else { b };
        let four: [R; 4] = std::array::from_fn(|lane| halves(vector[lane], vector[lane + 4]));
        let two: [R; 2] = std::array::from_fn(|lane| halves(four[lane], four[lane + 2]));
        halves(two[0], two[1])
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::is_x86_feature_detected;
    use std::arch::x86_64::*;

    use super::{Chunk, LANES, Lanes, Work};

    pub fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
    }

    pub fn has_avx512() -> bool {
        has_avx2()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
    }

    /// # Safety
    ///
    /// [`has_avx2`] must be true.
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub unsafe fn run_with_avx2<W: Work>(work: W) -> W::Output {
        work.run(Avx2(()))
    }

    /// # Safety
    ///
    /// [`has_avx512`] must be true.
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512vl,avx512dq,avx512bw")]
    pub unsafe fn run_with_avx512<W: Work>(work: W) -> W::Output {
        work.run(Avx512(()))
    }

    /// Exists only below [`run_with_avx2`], which makes its instructions sound.
    #[derive(Clone, Copy)]
    pub struct Avx2(());

    /// Exists only below [`run_with_avx512`], which makes its instructions sound.
    #[derive(Clone, Copy)]
    pub struct Avx512(());

    /// All ones, then all zeros: a mask for `n` leading lanes starts `LANES − n` from the front.
    static LEADING: [i64; 2 * LANES] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    static LEADING_32: [i32; 2 * LANES] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    static LANE_NUMBERS: Chunk<i64> = Chunk([0, 1, 2, 3, 4, 5, 6, 7]);

    impl Lanes for Avx2 {
        type Number = f64;
        type Vector = [__m256d; 2];

        #[inline(always)]
        fn splat(self, number: f64) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [_mm256_set1_pd(number); 2] }
        }
        #[inline(always)]
        fn load(self, chunk: &Chunk<f64>) -> Self::Vector {
            let at = chunk.0.as_ptr();
            // SAFETY: `self` proves AVX2; a chunk has eight numbers and is aligned to 64 bytes.
            unsafe { [_mm256_load_pd(at), _mm256_load_pd(at.add(4))] }
        }
        #[inline(always)]
        fn store(self, vector: Self::Vector, chunk: &mut Chunk<f64>) {
            let at = chunk.0.as_mut_ptr();
            // SAFETY: as in `load`.
            unsafe {
                _mm256_store_pd(at, vector[0]);
                _mm256_store_pd(at.add(4), vector[1]);
            }
        }
        #[inline(always)]
        fn load_f32(self, costs: &[f32; LANES]) -> Self::Vector {
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
        fn load_rest_f32(self, costs: &[f32]) -> Self::Vector {
            assert!(costs.len() < LANES);
            // SAFETY: `self` proves AVX2; a masked load reads where the mask is set, which is `costs`; the
            // mask lies within its table as checked above.
            unsafe {
                let mask = LEADING_32.as_ptr().add(LANES - costs.len());
                let mask = _mm256_loadu_si256(mask.cast());
                let loaded = _mm256_maskload_ps(costs.as_ptr(), mask);
                let infinite = _mm256_set1_ps(f32::INFINITY);
                let filled = _mm256_blendv_ps(infinite, loaded, _mm256_castsi256_ps(mask));
                [
                    _mm256_cvtps_pd(_mm256_castps256_ps128(filled)),
                    _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(filled)),
                ]
            }
        }
        #[inline(always)]
        fn load_f64(self, costs: &[f64; LANES]) -> Self::Vector {
            let at = costs.as_ptr();
            // SAFETY: as in `load_f32`.
            unsafe { [_mm256_loadu_pd(at), _mm256_loadu_pd(at.add(4))] }
        }
        #[inline(always)]
        fn load_rest_f64(self, costs: &[f64]) -> Self::Vector {
            assert!(costs.len() < LANES);
            // SAFETY: as in `load_rest_f32`; `wrapping_add` because the second half may start beyond `costs`, in
            // which case its mask is zero.
            unsafe {
                let mask = LEADING.as_ptr().add(LANES - costs.len());
                let masks = [
                    _mm256_loadu_si256(mask.cast()),
                    _mm256_loadu_si256(mask.add(4).cast()),
                ];
                let infinite = _mm256_set1_pd(f64::INFINITY);
                let at = costs.as_ptr();
                let low = _mm256_maskload_pd(at, masks[0]);
                let high = _mm256_maskload_pd(at.wrapping_add(4), masks[1]);
                [
                    _mm256_blendv_pd(infinite, low, _mm256_castsi256_pd(masks[0])),
                    _mm256_blendv_pd(infinite, high, _mm256_castsi256_pd(masks[1])),
                ]
            }
        }
        #[inline(always)]
        fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [_mm256_sub_pd(a[0], b[0]), _mm256_sub_pd(a[1], b[1])] }
        }
        #[inline(always)]
        fn smaller(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [_mm256_min_pd(a[0], b[0]), _mm256_min_pd(a[1], b[1])] }
        }
        #[inline(always)]
        fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [_mm256_max_pd(a[0], b[0]), _mm256_max_pd(a[1], b[1])] }
        }
        #[inline(always)]
        fn equal(self, a: Self::Vector, b: Self::Vector) -> u8 {
            // SAFETY: `self` proves AVX2.
            unsafe {
                let low = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_EQ_OQ>(a[0], b[0]));
                let high = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_EQ_OQ>(a[1], b[1]));
                (low | high << 4) as u8
            }
        }
        #[inline(always)]
        fn one_lane(self, elsewhere: f64, lane: usize, there: f64) -> Self::Vector {
            // SAFETY: `self` proves AVX2; the table has eight numbers and is aligned to 64 bytes.
            unsafe {
                let lane = _mm256_set1_epi64x((lane % LANES) as i64);
                let numbers = LANE_NUMBERS.0.as_ptr();
                let low = _mm256_cmpeq_epi64(_mm256_load_si256(numbers.cast()), lane);
                let high = _mm256_cmpeq_epi64(_mm256_load_si256(numbers.add(4).cast()), lane);
                let (elsewhere, there) = (_mm256_set1_pd(elsewhere), _mm256_set1_pd(there));
                [
                    _mm256_blendv_pd(elsewhere, there, _mm256_castsi256_pd(low)),
                    _mm256_blendv_pd(elsewhere, there, _mm256_castsi256_pd(high)),
                ]
            }
        }
        #[inline(always)]
        fn least(self, vector: Self::Vector) -> f64 {
            // SAFETY: `self` proves AVX2.
            unsafe { least_of_four(_mm256_min_pd(vector[0], vector[1])) }
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

    /// One bit for each of the first `count` lanes.
    #[inline(always)]
    fn leading(count: usize) -> u8 {
        assert!(count < LANES);
        (1 << count) - 1
    }

    impl Lanes for Avx512 {
        type Number = f64;
        type Vector = __m512d;

        #[inline(always)]
        fn splat(self, number: f64) -> Self::Vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { _mm512_set1_pd(number) }
        }
        #[inline(always)]
        fn load(self, chunk: &Chunk<f64>) -> Self::Vector {
            // SAFETY: `self` proves AVX-512; a chunk has eight numbers and is aligned to 64 bytes.
            unsafe { _mm512_load_pd(chunk.0.as_ptr()) }
        }
        #[inline(always)]
        fn store(self, vector: Self::Vector, chunk: &mut Chunk<f64>) {
            // SAFETY: as in `load`.
            unsafe { _mm512_store_pd(chunk.0.as_mut_ptr(), vector) }
        }
        #[inline(always)]
        fn load_f32(self, costs: &[f32; LANES]) -> Self::Vector {
            // SAFETY: `self` proves AVX-512; eight numbers can be read, at any alignment.
            unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(costs.as_ptr())) }
        }
        #[inline(always)]
        fn load_rest_f32(self, costs: &[f32]) -> Self::Vector {
            let mask = leading(costs.len());
            // SAFETY: `self` proves AVX-512; a masked load reads where the mask is set, which is `costs`.
            unsafe {
                let infinite = _mm256_set1_ps(f32::INFINITY);
                _mm512_cvtps_pd(_mm256_mask_loadu_ps(infinite, mask, costs.as_ptr()))
            }
        }
        #[inline(always)]
        fn load_f64(self, costs: &[f64; LANES]) -> Self::Vector {
            // SAFETY: as in `load_f32`.
            unsafe { _mm512_loadu_pd(costs.as_ptr()) }
        }
        #[inline(always)]
        fn load_rest_f64(self, costs: &[f64]) -> Self::Vector {
            let mask = leading(costs.len());
            // SAFETY: as in `load_rest_f32`.
            unsafe { _mm512_mask_loadu_pd(_mm512_set1_pd(f64::INFINITY), mask, costs.as_ptr()) }
        }
        #[inline(always)]
        fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { _mm512_sub_pd(a, b) }
        }
        #[inline(always)]
        fn smaller(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { _mm512_min_pd(a, b) }
        }
        #[inline(always)]
        fn larger(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX-512.
            unsafe { _mm512_max_pd(a, b) }
        }
        #[inline(always)]
        fn equal(self, a: Self::Vector, b: Self::Vector) -> u8 {
            // SAFETY: `self` proves AVX-512.
            unsafe { _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b) }
        }
        #[inline(always)]
        fn one_lane(self, elsewhere: f64, lane: usize, there: f64) -> Self::Vector {
            // SAFETY: `self` proves AVX-512.
            unsafe {
                let mask = 1 << (lane % LANES);
                _mm512_mask_mov_pd(_mm512_set1_pd(elsewhere), mask, _mm512_set1_pd(there))
            }
        }
        #[inline(always)]
        fn least(self, vector: Self::Vector) -> f64 {
            // SAFETY: `self` proves AVX-512, and with it AVX2.
            unsafe {
                least_of_four(_mm256_min_pd(
                    _mm512_castpd512_pd256(vector),
                    _mm512_extractf64x4_pd::<1>(vector),
                ))
            }
        }
    }
}
