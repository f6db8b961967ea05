//! Many numbers at a time, on whatever the processor has for it.
//!
//! [`Lanes`] is all that the solver's passes over a row ask of the hardware. A vector has 8 lanes of f64 or 16 of f32 at
//! every level, and every level performs the same IEEE operations on them, so the answer does not depend on
//! the level. [`Level::run`] is the one place where a level is chosen. `--cfg portable_only` leaves out all others, which compiles
//! in a third of the time; so do unit tests, which are not about levels.

use crate::arithmetic::Arithmetic;

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
    /// The larger magnitude of a and b, lane by lane, as [`Arithmetic::wider`].
    fn wider(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
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

/// Lanes of f64 in one vector.
pub const DOUBLES: usize = 8;
/// Lanes of f32 in one vector.
pub const SINGLES: usize = 16;

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

/// A set of vector instructions that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

// Private, so that a level that the processor lacks cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
    Avx2,
    #[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
    Avx512,
}

impl Level {
    /// The level that every processor has: what the compiler makes of plain arrays (SSE2 on x86-64, NEON on aarch64).
    pub const PORTABLE: Level = Level(Kind::Portable);

    /// The fastest level of this processor.
    pub fn best() -> Level {
        #[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
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
        [
            Some(Level::PORTABLE),
            #[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
            x86::has_avx2().then_some(Level(Kind::Avx2)),
            #[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
            x86::has_avx512().then_some(Level(Kind::Avx512)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Does `work` at this level.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            Kind::Portable => work.run(PortableVectors),
            #[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
            // SAFETY: `best` and `all`, which alone make this kind, saw that the processor has these features.
            Kind::Avx2 => unsafe { x86::run_with_avx2(work) },
            #[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
            // SAFETY: as above.
            Kind::Avx512 => unsafe { x86::run_with_avx512(work) },
        }
    }
}

/// Plain arrays, of any arithmetic and width.
#[derive(Clone, Copy, Debug)]
pub struct Portable<R>(std::marker::PhantomData<R>);

impl<R> Default for Portable<R> {
    fn default() -> Self {
        Portable(std::marker::PhantomData)
    }
}

/// [`Portable`] of both precisions.
#[derive(Clone, Copy, Debug)]
pub struct PortableVectors;

impl Vectors for PortableVectors {
    type Doubles = Portable<f64>;
    type Singles = Portable<f32>;

    fn doubles(self) -> Portable<f64> {
        Portable::default()
    }
    fn singles(self) -> Portable<f32> {
        Portable::default()
    }
    #[inline(never)]
    fn run_apart<T: Work>(self, work: T) -> T::Output {
        work.run(self)
    }
}

impl<R: Arithmetic, const W: usize> Lanes<W> for Portable<R> {
    type Number = R;
    type Vector = [R; W];

    #[inline(always)]
    fn splat(self, number: R) -> [R; W] {
        [number; W]
    }
    #[inline(always)]
    fn load(self, numbers: &[R; W]) -> [R; W] {
        *numbers
    }
    #[inline(always)]
    fn store(self, vector: [R; W], numbers: &mut [R; W]) {
        *numbers = vector;
    }
    #[inline(always)]
    fn load_f32(self, costs: &[f32; W]) -> [R; W] {
        costs.map(|cost| R::round_from(f64::from(cost)))
    }
    #[inline(always)]
    fn load_part_f32(self, costs: &[f32], start: usize) -> [R; W] {
        std::array::from_fn(|lane| match costs.get(start + lane) {
            Some(&cost) => R::round_from(f64::from(cost)),
            None => R::INFINITY,
        })
    }
    #[inline(always)]
    fn load_f64(self, costs: &[f64; W]) -> [R; W] {
        costs.map(R::round_from)
    }
    #[inline(always)]
    fn load_part_f64(self, costs: &[f64], start: usize) -> [R; W] {
        std::array::from_fn(|lane| {
            costs
                .get(start + lane)
                .map_or(R::INFINITY, |&cost| R::round_from(cost))
        })
    }
    #[inline(always)]
    fn subtract(self, a: [R; W], b: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }
    #[inline(always)]
    fn smaller(self, a: [R; W], b: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    fn larger(self, a: [R; W], b: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    fn wider(self, a: [R; W], b: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| a[lane].wider(b[lane]))
    }
    #[inline(always)]
    fn equal(self, a: [R; W], b: [R; W]) -> u64 {
        (0..W).fold(0, |bits, lane| bits | u64::from(a[lane] == b[lane]) << lane)
    }
    #[inline(always)]
    fn below(self, a: [R; W], b: [R; W]) -> u64 {
        (0..W).fold(0, |bits, lane| bits | u64::from(a[lane] < b[lane]) << lane)
    }
    #[inline(always)]
    fn where_less(self, a: [R; W], b: [R; W], there: [R; W], elsewhere: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| {
            if a[lane] < b[lane] {
                there[lane]
            } else {
                elsewhere[lane]
            }
        })
    }
    #[inline(always)]
    fn pack(self, vector: [R; W], bits: u64) -> [R; W] {
        packed(vector, bits)
    }
    #[inline(always)]
    fn least(self, mut vector: [R; W]) -> R {
        // Halves against halves, which vectorizes.
        let mut width = W;
        while width > 1 {
            width /= 2;
            for lane in 0..width {
                if vector[lane + width] < vector[lane] {
                    vector[lane] = vector[lane + width];
                }
            }
        }
        vector[0]
    }
    #[inline(always)]
    fn one_lane(self, elsewhere: R, lane: usize, there: R) -> [R; W] {
        let mut vector = [elsewhere; W];
        vector[lane % W] = there;
        vector
    }
}

/// [`Lanes::pack`] of an array.
#[inline(always)]
fn packed<R: Copy, const W: usize>(numbers: [R; W], bits: u64) -> [R; W] {
    let mut packed = numbers;
    let mut count = 0;
    for (lane, &number) in numbers.iter().enumerate() {
        // Written over by the next one if this one is not to be there.
        packed[count] = number;
        count += (bits >> lane & 1) as usize;
    }
    packed
}

impl LaneWise for Portable<f64> {
    type Mask = [bool; DOUBLES];

    #[inline(always)]
    fn mask(self, bits: u8) -> [bool; DOUBLES] {
        std::array::from_fn(|lane| bits >> lane & 1 != 0)
    }
    #[inline(always)]
    fn bits(self, mask: [bool; DOUBLES]) -> u8 {
        (0..DOUBLES).fold(0, |bits, lane| bits | u8::from(mask[lane]) << lane)
    }
    #[inline(always)]
    fn both(self, a: [bool; DOUBLES], b: [bool; DOUBLES]) -> [bool; DOUBLES] {
        std::array::from_fn(|lane| a[lane] & b[lane])
    }
    #[inline(always)]
    fn either(self, a: [bool; DOUBLES], b: [bool; DOUBLES]) -> [bool; DOUBLES] {
        std::array::from_fn(|lane| a[lane] | b[lane])
    }
    #[inline(always)]
    fn less(self, a: [f64; DOUBLES], b: [f64; DOUBLES]) -> [bool; DOUBLES] {
        std::array::from_fn(|lane| a[lane] < b[lane])
    }
    #[inline(always)]
    fn at_most(self, a: [f64; DOUBLES], b: [f64; DOUBLES]) -> [bool; DOUBLES] {
        std::array::from_fn(|lane| a[lane] <= b[lane])
    }
    #[inline(always)]
    fn select(
        self,
        mask: [bool; DOUBLES],
        yes: [f64; DOUBLES],
        no: [f64; DOUBLES],
    ) -> [f64; DOUBLES] {
        std::array::from_fn(|lane| if mask[lane] { yes[lane] } else { no[lane] })
    }
    #[inline(always)]
    fn add(self, a: [f64; DOUBLES], b: [f64; DOUBLES]) -> [f64; DOUBLES] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }
    #[inline(always)]
    fn store_f32(self, vector: [f64; DOUBLES], numbers: &mut [f32; DOUBLES]) {
        *numbers = vector.map(|number| number as f32);
    }
    #[inline(always)]
    fn transpose_f32(self, rows: [&[f32; DOUBLES]; DOUBLES]) -> [[f64; DOUBLES]; DOUBLES] {
        std::array::from_fn(|col| std::array::from_fn(|lane| f64::from(rows[lane][col])))
    }
    #[inline(always)]
    fn transpose_f64(self, rows: [&[f64; DOUBLES]; DOUBLES]) -> [[f64; DOUBLES]; DOUBLES] {
        std::array::from_fn(|col| std::array::from_fn(|lane| rows[lane][col]))
    }
    #[inline(always)]
    fn transpose_to_f32(self, vectors: [[f64; DOUBLES]; DOUBLES]) -> [[f32; DOUBLES]; DOUBLES] {
        std::array::from_fn(|lane| std::array::from_fn(|col| vectors[col][lane] as f32))
    }
    #[inline(always)]
    fn transpose_to_f64(self, vectors: [[f64; DOUBLES]; DOUBLES]) -> [[f64; DOUBLES]; DOUBLES] {
        std::array::from_fn(|lane| std::array::from_fn(|col| vectors[col][lane]))
    }
}

#[cfg(all(target_arch = "x86_64", not(any(portable_only, test))))]
mod x86 {
    use std::arch::is_x86_feature_detected;
    use std::arch::x86_64::*;

    use super::{DOUBLES, LaneWise, Lanes, SINGLES, Vectors, Work, packed};

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
    #[inline(never)]
    pub unsafe fn run_with_avx2<W: Work>(work: W) -> W::Output {
        work.run(Avx2(()))
    }

    /// # Safety
    ///
    /// [`has_avx512`] must be true.
    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512vl,avx512dq,avx512bw")]
    #[inline(never)]
    pub unsafe fn run_with_avx512<W: Work>(work: W) -> W::Output {
        work.run(Avx512(()))
    }

    /// Exists only below [`run_with_avx2`], which makes its instructions sound.
    #[derive(Clone, Copy)]
    pub struct Avx2(());

    /// Exists only below [`run_with_avx512`], which makes its instructions sound.
    #[derive(Clone, Copy)]
    pub struct Avx512(());

    /// Vectors of f64, made of nothing but the proof that the level is there.
    #[derive(Clone, Copy)]
    pub struct Doubles<Level>(Level);

    /// Vectors of f32, likewise.
    #[derive(Clone, Copy)]
    pub struct Singles<Level>(Level);

    macro_rules! vectors {
        ($level:ident, $run:ident) => {
            impl Vectors for $level {
                type Doubles = Doubles<$level>;
                type Singles = Singles<$level>;

                #[inline(always)]
                fn doubles(self) -> Self::Doubles {
                    Doubles(self)
                }
                #[inline(always)]
                fn singles(self) -> Self::Singles {
                    Singles(self)
                }
                #[inline(always)]
                fn run_apart<T: Work>(self, work: T) -> T::Output {
                    // SAFETY: `self` proves the level.
                    unsafe { $run(work) }
                }
            }
        };
    }
    vectors!(Avx2, run_with_avx2);
    vectors!(Avx512, run_with_avx512);

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
    fn part<E>(costs: &[E], start: usize, width: usize) -> (*const E, usize) {
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
    static NUMBERS_OF_SINGLES: [i32; SINGLES] =
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    impl Lanes<DOUBLES> for Doubles<Avx2> {
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
        fn wider(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [wider_of_four(a[0], b[0]), wider_of_four(a[1], b[1])] }
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

    impl LaneWise for Doubles<Avx2> {
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
    unsafe fn transpose_singles(rows: [&[f32; 8]; 8]) -> [__m256; 8] {
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

    impl Lanes<SINGLES> for Singles<Avx2> {
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
        fn wider(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
            // SAFETY: `self` proves AVX2.
            unsafe { [wider_of_eight(a[0], b[0]), wider_of_eight(a[1], b[1])] }
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
    unsafe fn wider_of_four(a: __m256d, b: __m256d) -> __m256d {
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
    unsafe fn wider_of_eight(a: __m256, b: __m256) -> __m256 {
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

    /// Operations on 512 bits, those that f64 and f32 share.
    macro_rules! avx512_operations {
        ($number:ident, $width:ident, $vector:ident, $mask:ident, $set:ident, $load:ident, $store:ident,
         $subtract:ident, $smaller:ident, $larger:ident, $compare:ident, $blend:ident, $pack:ident) => {
            type Number = $number;
            type Vector = $vector;

            #[inline(always)]
            fn prefetch<T>(self, at: *const T) {
                // SAFETY: a prefetch reads nothing, and an address that is none does not matter to it.
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
            fn where_less(
                self,
                a: $vector,
                b: $vector,
                there: $vector,
                elsewhere: $vector,
            ) -> $vector {
                // SAFETY: `self` proves AVX-512.
                unsafe { $blend(elsewhere, $compare::<_CMP_LT_OQ>(a, b), there) }
            }
            #[inline(always)]
            fn pack(self, vector: $vector, bits: u64) -> $vector {
                // SAFETY: `self` proves AVX-512.
                unsafe { $pack(bits as $mask, vector) }
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

    impl Lanes<DOUBLES> for Doubles<Avx512> {
        avx512_operations!(
            f64,
            DOUBLES,
            __m512d,
            __mmask8,
            _mm512_set1_pd,
            _mm512_loadu_pd,
            _mm512_storeu_pd,
            _mm512_sub_pd,
            _mm512_min_pd,
            _mm512_max_pd,
            _mm512_cmp_pd_mask,
            _mm512_mask_mov_pd,
            _mm512_maskz_compress_pd
        );

        #[inline(always)]
        fn wider(self, a: __m512d, b: __m512d) -> __m512d {
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
            // SAFETY: `self` proves AVX-512; a masked load reads where the mask is set, which is where `part` found costs.
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
    }

    impl LaneWise for Doubles<Avx512> {
        type Mask = __mmask8;

        #[inline(always)]
        fn mask(self, bits: u8) -> __mmask8 {
            bits
        }
        #[inline(always)]
        fn bits(self, mask: __mmask8) -> u8 {
            mask
        }
        #[inline(always)]
        fn both(self, a: __mmask8, b: __mmask8) -> __mmask8 {
            a & b
        }
        #[inline(always)]
        fn either(self, a: __mmask8, b: __mmask8) -> __mmask8 {
            a | b
        }
        #[inline(always)]
        fn less(self, a: __m512d, b: __m512d) -> __mmask8 {
            // SAFETY: `self` proves AVX-512.
            unsafe { _mm512_cmp_pd_mask::<_CMP_LT_OQ>(a, b) }
        }
        #[inline(always)]
        fn at_most(self, a: __m512d, b: __m512d) -> __mmask8 {
            // SAFETY: `self` proves AVX-512.
            unsafe { _mm512_cmp_pd_mask::<_CMP_LE_OQ>(a, b) }
        }
        #[inline(always)]
        fn select(self, mask: __mmask8, yes: __m512d, no: __m512d) -> __m512d {
            // SAFETY: `self` proves AVX-512.
            unsafe { _mm512_mask_mov_pd(no, mask, yes) }
        }
        #[inline(always)]
        fn add(self, a: __m512d, b: __m512d) -> __m512d {
            // SAFETY: `self` proves AVX-512.
            unsafe { _mm512_add_pd(a, b) }
        }
        #[inline(always)]
        fn store_f32(self, vector: __m512d, numbers: &mut [f32; DOUBLES]) {
            // SAFETY: `self` proves AVX-512; eight numbers can be written, at any alignment.
            unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), _mm512_cvtpd_ps(vector)) }
        }
        #[inline(always)]
        fn transpose_f32(self, rows: [&[f32; DOUBLES]; DOUBLES]) -> [__m512d; DOUBLES] {
            // SAFETY: `self` proves AVX-512, and with it AVX2.
            unsafe {
                let mut vectors = [_mm512_setzero_pd(); DOUBLES];
                for (vector, singles) in vectors.iter_mut().zip(transpose_singles(rows)) {
                    *vector = _mm512_cvtps_pd(singles);
                }
                vectors
            }
        }
        #[inline(always)]
        fn transpose_f64(self, rows: [&[f64; DOUBLES]; DOUBLES]) -> [__m512d; DOUBLES] {
            // SAFETY: `self` proves AVX-512.
            unsafe {
                // Pairs of columns of the even rows and of the odd ones.
                let even = transpose_pairs([rows[0], rows[2], rows[4], rows[6]]);
                let odd = transpose_pairs([rows[1], rows[3], rows[5], rows[7]]);
                let mut vectors = [_mm512_setzero_pd(); DOUBLES];
                for pair in 0..DOUBLES / 2 {
                    vectors[2 * pair] = _mm512_unpacklo_pd(even[pair], odd[pair]);
                    vectors[2 * pair + 1] = _mm512_unpackhi_pd(even[pair], odd[pair]);
                }
                vectors
            }
        }
        #[inline(always)]
        fn transpose_to_f32(self, vectors: [__m512d; DOUBLES]) -> [[f32; DOUBLES]; DOUBLES] {
            let mut columns = [[0.0; DOUBLES]; DOUBLES];
            for (column, vector) in columns.iter_mut().zip(vectors) {
                self.store_f32(vector, column);
            }
            let mut rows = [[0.0; DOUBLES]; DOUBLES];
            // SAFETY: `self` proves AVX-512, and with it AVX2; eight numbers can be written to each row.
            unsafe {
                for (row, vector) in rows.iter_mut().zip(transpose_singles(columns.each_ref())) {
                    _mm256_storeu_ps(row.as_mut_ptr(), vector);
                }
            }
            rows
        }
        #[inline(always)]
        fn transpose_to_f64(self, vectors: [__m512d; DOUBLES]) -> [[f64; DOUBLES]; DOUBLES] {
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

    /// Columns 2p and 2p + 1 of all rows stand in vector p, row by row.
    ///
    /// # Safety
    ///
    /// The processor must have AVX-512.
    #[inline(always)]
    unsafe fn transpose_pairs(rows: [&[f64; 8]; 4]) -> [__m512d; 4] {
        // SAFETY: AVX-512 is promised by the caller; each row has eight numbers.
        unsafe {
            let a = _mm512_loadu_pd(rows[0].as_ptr());
            let b = _mm512_loadu_pd(rows[1].as_ptr());
            let c = _mm512_loadu_pd(rows[2].as_ptr());
            let d = _mm512_loadu_pd(rows[3].as_ptr());
            let low_ab = _mm512_shuffle_f64x2::<0b01_00_01_00>(a, b);
            let low_cd = _mm512_shuffle_f64x2::<0b01_00_01_00>(c, d);
            let high_ab = _mm512_shuffle_f64x2::<0b11_10_11_10>(a, b);
            let high_cd = _mm512_shuffle_f64x2::<0b11_10_11_10>(c, d);
            [
                _mm512_shuffle_f64x2::<0b10_00_10_00>(low_ab, low_cd),
                _mm512_shuffle_f64x2::<0b11_01_11_01>(low_ab, low_cd),
                _mm512_shuffle_f64x2::<0b10_00_10_00>(high_ab, high_cd),
                _mm512_shuffle_f64x2::<0b11_01_11_01>(high_ab, high_cd),
            ]
        }
    }

    impl Lanes<SINGLES> for Singles<Avx512> {
        avx512_operations!(
            f32,
            SINGLES,
            __m512,
            __mmask16,
            _mm512_set1_ps,
            _mm512_loadu_ps,
            _mm512_storeu_ps,
            _mm512_sub_ps,
            _mm512_min_ps,
            _mm512_max_ps,
            _mm512_cmp_ps_mask,
            _mm512_mask_mov_ps,
            _mm512_maskz_compress_ps
        );

        #[inline(always)]
        fn wider(self, a: __m512, b: __m512) -> __m512 {
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
            // SAFETY: as in the same of f64 above.
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
    }
}
