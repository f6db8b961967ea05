//! Vectors as plain arrays, of any arithmetic: for numbers of twice the precision, for rare work,
//! and as the reference that levels are tested against.

use crate::number::arithmetic::{Arithmetic, larger, smaller};
use crate::simd::ops::{IntegerBits, Lanes, SINGLES, Vectors, Work};

/// Plain arrays, of any arithmetic and width.
#[derive(Clone, Copy, Debug)]
pub struct Arrays<R>(std::marker::PhantomData<R>);

impl<R> Default for Arrays<R> {
    fn default() -> Self {
        Arrays(std::marker::PhantomData)
    }
}

/// [`Arrays`] of both precisions.
#[derive(Clone, Copy, Debug)]
pub struct ArrayVectors;

impl ArrayVectors {
    /// Does work in plain arrays.
    pub fn run<T: Work>(self, work: T) -> T::Output {
        self.run_apart(work)
    }
}

impl Vectors for ArrayVectors {
    type Doubles = Arrays<f64>;
    type Singles = Arrays<f32>;

    fn doubles(self) -> Arrays<f64> {
        Arrays::default()
    }
    fn singles(self) -> Arrays<f32> {
        Arrays::default()
    }
    #[inline(never)]
    fn run_apart<T: Work>(self, work: T) -> T::Output {
        work.run(self)
    }
}

impl<R: Arithmetic, const W: usize> Lanes<W> for Arrays<R> {
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
    fn add(self, a: [R; W], b: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }
    #[inline(always)]
    fn subtract(self, a: [R; W], b: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }
    #[inline(always)]
    fn smaller(self, a: [R; W], b: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| smaller(a[lane], b[lane]))
    }
    #[inline(always)]
    fn larger(self, a: [R; W], b: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| larger(a[lane], b[lane]))
    }
    #[inline(always)]
    fn larger_magnitude(self, a: [R; W], b: [R; W]) -> [R; W] {
        std::array::from_fn(|lane| a[lane].larger_magnitude(b[lane]))
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
    fn store_packed(self, vector: [R; W], bits: u64, numbers: &mut [R; W]) {
        write_packed(vector, bits, numbers);
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

/// [`Lanes::store_packed`] of an array.
#[inline(always)]
pub(super) fn write_packed<R: Copy, const W: usize>(lanes: [R; W], bits: u64, to: &mut [R; W]) {
    let mut count = 0;
    for (lane, &number) in lanes.iter().enumerate() {
        // Overwritten by the next one if this one's bit is not set.
        to[count] = number;
        count += (bits >> lane & 1) as usize;
    }
}

impl IntegerBits for Arrays<f32> {
    #[inline(always)]
    fn not_negative(self, vector: [f32; SINGLES]) -> [f32; SINGLES] {
        self.larger_signed(vector, [0.0; SINGLES])
    }
    #[inline(always)]
    fn smaller_signed(self, a: [f32; SINGLES], b: [f32; SINGLES]) -> [f32; SINGLES] {
        std::array::from_fn(|lane| of_signed(signed(a[lane]).min(signed(b[lane]))))
    }
    #[inline(always)]
    fn larger_signed(self, a: [f32; SINGLES], b: [f32; SINGLES]) -> [f32; SINGLES] {
        std::array::from_fn(|lane| of_signed(signed(a[lane]).max(signed(b[lane]))))
    }
    #[inline(always)]
    fn where_signed_less(
        self,
        a: [f32; SINGLES],
        b: [f32; SINGLES],
        there: [f32; SINGLES],
    ) -> [f32; SINGLES] {
        std::array::from_fn(|lane| match signed(a[lane]) < signed(b[lane]) {
            true => there[lane],
            false => 0.0,
        })
    }
    #[inline(always)]
    fn smaller_unsigned(self, a: [f32; SINGLES], b: [f32; SINGLES]) -> [f32; SINGLES] {
        std::array::from_fn(|lane| f32::from_bits(a[lane].to_bits().min(b[lane].to_bits())))
    }
    #[inline(always)]
    fn least_unsigned(self, vector: [f32; SINGLES]) -> f32 {
        f32::from_bits(
            vector
                .iter()
                .fold(u32::MAX, |least, lane| least.min(lane.to_bits())),
        )
    }
    #[inline(always)]
    fn equal_bits(self, a: [f32; SINGLES], b: [f32; SINGLES]) -> u64 {
        (0..SINGLES).fold(0, |bits, lane| {
            bits | u64::from(a[lane].to_bits() == b[lane].to_bits()) << lane
        })
    }
    #[inline(always)]
    fn with_sign_at(self, mut vector: [f32; SINGLES], lane: usize) -> [f32; SINGLES] {
        if let Some(number) = vector.get_mut(lane % 64) {
            *number = -number.abs();
        }
        vector
    }
}

/// The bits as a signed integer.
#[inline(always)]
fn signed(number: f32) -> i32 {
    number.to_bits().cast_signed()
}

/// The number that has the bits of a signed integer.
#[inline(always)]
fn of_signed(number: i32) -> f32 {
    f32::from_bits(number.cast_unsigned())
}
