//! Each operation of the vectors, at each level of this processor, does to each lane what it does
//! to plain arrays, and raises the inexact flag where that does.

use std::hint::black_box;

use hungarian_loss::number::arithmetic::Arithmetic;
use hungarian_loss::number::environment::Exactness;
use hungarian_loss::simd::arrays::ArrayVectors;
use hungarian_loss::simd::level::Level;
use hungarian_loss::simd::ops::{DOUBLES, IntegerBits, Lanes, SINGLES, TILE, Vectors, Work};
use hungarian_random::Random;

/// What operations gave, in order, by name.
#[derive(Default)]
struct Log(Vec<(&'static str, Vec<u64>)>);

impl Log {
    fn bits(&mut self, name: &'static str, bits: impl IntoIterator<Item = u64>) {
        self.0.push((name, bits.into_iter().collect()));
    }

    /// Numbers, one NaN like another.
    fn numbers<const W: usize>(&mut self, name: &'static str, numbers: [f64; W]) {
        let bits = |number: f64| match number.is_nan() {
            true => f64::NAN.to_bits(),
            false => number.to_bits(),
        };
        self.bits(name, numbers.map(bits));
    }

    /// Where either of equal numbers may be returned, so may either zero.
    fn either_zero<const W: usize>(&mut self, name: &'static str, numbers: [f64; W]) {
        self.numbers(name, numbers.map(|number| number + 0.0));
    }
}

/// Numbers where arithmetic is peculiar: zeros, infinities, denormals and the largest of both
/// types, what f32 rounds to either side or to an infinity, ties and neighbours.
const PECULIAR: [f64; 18] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1.5,
    1.0 + f64::EPSILON,
    1.0 + f32::EPSILON as f64 / 2.0,
    1.0 + f32::EPSILON as f64 * 0.75,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    f32::MAX as f64,
    f32::MIN_POSITIVE as f64,
    -1e-40,
    f64::MIN_POSITIVE,
    -5e-324,
    1e300,
];

fn draw(random: &mut Random) -> f64 {
    match random.index(3) {
        0 => random.uniform() - 0.5,
        _ => PECULIAR[random.index(PECULIAR.len())],
    }
}

fn draw_any(random: &mut Random) -> f64 {
    let number = draw(random);
    if random.one_in(6) {
        number * f64::NAN
    } else {
        number
    }
}

/// `W` numbers of a type.
fn draw_lanes<R: Arithmetic, const W: usize>(
    random: &mut Random,
    draw: impl Fn(&mut Random) -> f64,
) -> [R; W] {
    std::array::from_fn(|_| R::round_from(draw(random)))
}

#[inline(always)]
fn read<L: Lanes<W>, const W: usize>(lanes: L, vector: L::Vector) -> [f64; W] {
    let mut numbers = [L::Number::ZERO; W];
    lanes.store(vector, &mut numbers);
    numbers.map(Arithmetic::round_to_f64)
}

/// Whatever vectors of either type can do.
#[inline(always)]
fn log_lanes<L: Lanes<W>, const W: usize>(lanes: L, random: &mut Random, log: &mut Log) {
    for lane in 0..3 * W {
        let [there, elsewhere] = draw_lanes(random, draw);
        let vector = lanes.one_lane(elsewhere, lane, there);
        log.numbers("one_lane", read(lanes, vector));
    }
    for length in 0..=3 * W {
        let singles: Vec<f32> = (0..length).map(|_| draw(random) as f32).collect();
        let doubles: Vec<f64> = (0..length).map(|_| draw(random)).collect();
        for start in 0..length + 2 {
            let part = lanes.load_part_f32(&singles, start);
            log.numbers("load_part_f32", read(lanes, part));
            let part = lanes.load_part_f64(&doubles, start);
            log.numbers("load_part_f64", read(lanes, part));
        }
    }
    for _ in 0..2000 {
        let [x, y, z, w] = std::array::from_fn(|_| draw_lanes::<L::Number, W>(random, draw));
        let [a, b, c, d] = [
            lanes.load(&x),
            lanes.load(&y),
            lanes.load(&z),
            lanes.load(&w),
        ];
        log.numbers("load, store", read(lanes, a));
        log.numbers("splat", read(lanes, lanes.splat(x[0])));
        log.numbers(
            "load_f32",
            read(lanes, lanes.load_f32(&draw_lanes(random, draw))),
        );
        log.numbers(
            "load_f64",
            read(lanes, lanes.load_f64(&draw_lanes(random, draw))),
        );
        log.numbers("add", read(lanes, lanes.add(a, b)));
        log.numbers("subtract", read(lanes, lanes.subtract(a, b)));
        log.either_zero("smaller", read(lanes, lanes.smaller(a, b)));
        log.either_zero("larger", read(lanes, lanes.larger(a, b)));
        log.bits("equal", [lanes.equal(a, b)]);
        log.bits("below", [lanes.below(a, b)]);
        log.numbers("where_less", read(lanes, lanes.where_less(a, b, c, d)));
        log.either_zero("least", [lanes.least(a).round_to_f64()]);
        log.bits("equal_of_four", [lanes.equal_of_four([a, b, c, d], b)]);
        log.bits("below_of_four", [lanes.below_of_four([a, b, c, d], b)]);
        let (least, second) = lanes.least_two(a, b);
        log.either_zero("least_two", [least, second].map(Arithmetic::round_to_f64));
        // The least twice.
        let (least, second) = lanes.least_two(lanes.smaller(a, lanes.splat(x[0])), b);
        log.either_zero("least_two", [least, second].map(Arithmetic::round_to_f64));
        let square: [[L::Number; TILE]; TILE] = std::array::from_fn(|_| draw_lanes(random, draw));
        for row in lanes.transpose(square.each_ref()) {
            log.numbers("transpose", row.map(Arithmetic::round_to_f64));
        }
        let chosen = random.below(1 << W);
        let mut packed = [L::Number::ZERO; W];
        lanes.store_packed(a, chosen, &mut packed);
        let count = chosen.count_ones() as usize;
        log.bits(
            "store_packed",
            packed[..count]
                .iter()
                .map(|number| number.round_to_f64().to_bits()),
        );
        let a = lanes.load(&draw_lanes(random, draw_any));
        let b = lanes.load(&draw_lanes(random, draw_any));
        log.numbers(
            "larger_magnitude",
            read(lanes, lanes.larger_magnitude(a, b)),
        );
    }
}

/// Operations on bits compared as integers. NaN may occur here, bit for bit.
struct BitOperations {
    seed: u64,
}

impl BitOperations {
    #[inline(always)]
    fn log<L: IntegerBits>(&self, lanes: L) -> Log {
        let (mut random, mut log) = (Random::new(self.seed), Log::default());
        let random = &mut random;
        for _ in 0..2000 {
            let [x, y, there] = std::array::from_fn(|_| lanes.load(&draw_lanes(random, draw_any)));
            log.singles("not_negative", lanes, lanes.not_negative(x));
            for (a, b) in [(x, y), (x, x)] {
                log.singles("smaller_signed", lanes, lanes.smaller_signed(a, b));
                log.singles("larger_signed", lanes, lanes.larger_signed(a, b));
                log.singles("smaller_unsigned", lanes, lanes.smaller_unsigned(a, b));
                let less = lanes.where_signed_less(a, b, there);
                log.singles("where_signed_less", lanes, less);
                log.bits("equal_bits", [lanes.equal_bits(a, b)]);
            }
            let least = lanes.least_unsigned(x).to_bits();
            log.bits("least_unsigned", [least.into()]);
            let holders = lanes.equal_bits(x, lanes.splat(f32::from_bits(least)));
            log.bits("equal_bits to the least", [holders]);
        }
        let vector = lanes.load(&draw_lanes(random, draw_any));
        for lane in (0..64).chain([usize::MAX, usize::MAX - SINGLES]) {
            log.singles("with_sign_at", lanes, lanes.with_sign_at(vector, lane));
        }
        log
    }
}

impl Log {
    #[inline(always)]
    fn singles<L: IntegerBits>(&mut self, name: &'static str, lanes: L, vector: L::Vector) {
        let mut numbers = [0.0; SINGLES];
        lanes.store(vector, &mut numbers);
        self.bits(name, numbers.map(|number| number.to_bits().into()));
    }
}

impl Work for BitOperations {
    type Output = Log;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> Log {
        self.log(vectors.singles())
    }
}

#[test]
fn all_levels_do_the_same_to_bits() {
    let expected = ArrayVectors.run(BitOperations { seed: 3 });
    for level in Level::all() {
        let got = level.run(BitOperations { seed: 3 });
        assert_eq!(got.0.len(), expected.0.len());
        for (got, expected) in got.0.iter().zip(&expected.0) {
            assert_eq!(got, expected, "{level:?}");
        }
    }
}

/// All operations on vectors of both types.
struct Operations {
    seed: u64,
}

impl Work for Operations {
    type Output = Log;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> Log {
        let (mut random, mut log) = (Random::new(self.seed), Log::default());
        log_lanes::<_, DOUBLES>(vectors.doubles(), &mut random, &mut log);
        log_lanes::<_, SINGLES>(vectors.singles(), &mut random, &mut log);
        log
    }
}

#[test]
fn all_levels_do_the_same() {
    for seed in [1, 2] {
        let expected = Operations { seed }.run(ArrayVectors).0;
        for level in Level::all() {
            let got = level.run(Operations { seed }).0;
            assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(&expected) {
                assert_eq!(got, expected, "{level:?}");
            }
        }
    }
}

/// Which operations rounded, in order, by name.
#[derive(Default)]
struct Roundings(Vec<(&'static str, bool)>);

impl Roundings {
    /// Does an operation on numbers that the compiler must not know before the flag is lowered.
    #[inline(always)]
    fn log<I, O>(&mut self, name: &'static str, mut input: I, operation: impl FnOnce(&I) -> O) {
        let exactness = Exactness::watch();
        let input = black_box(&mut input);
        let mut output = operation(input);
        self.0.push((name, !exactness.held(&mut output)));
    }
}

/// A whole number most of the time, so that a vector of them often goes through an operation
/// without rounding.
fn draw_mostly_whole(random: &mut Random) -> f64 {
    match random.one_in(20) {
        true => draw(random),
        false => random.index(100) as f64,
    }
}

#[inline(always)]
fn log_roundings_of_lanes<L: Lanes<W>, const W: usize>(
    lanes: L,
    random: &mut Random,
    log: &mut Roundings,
) {
    for _ in 0..2000 {
        let [x, y, z, w] =
            std::array::from_fn(|_| draw_lanes::<L::Number, W>(random, draw_mostly_whole));
        let inputs = [x, y, z, w];
        macro_rules! log {
            ($name:literal, |$a:ident, $b:ident| $operation:expr) => {
                log.log(
                    $name,
                    inputs,
                    #[inline(always)]
                    |inputs| {
                        let ($a, $b) = (lanes.load(&inputs[0]), lanes.load(&inputs[1]));
                        $operation
                    },
                );
            };
        }
        log!("add", |a, b| read(lanes, lanes.add(a, b)));
        log!("subtract", |a, b| read(lanes, lanes.subtract(a, b)));
        log!("smaller", |a, b| read(lanes, lanes.smaller(a, b)));
        log!("larger", |a, b| read(lanes, lanes.larger(a, b)));
        log!("larger_magnitude", |a, b| {
            read(lanes, lanes.larger_magnitude(a, b))
        });
        log!("equal", |a, b| lanes.equal(a, b));
        log!("below", |a, b| lanes.below(a, b));
        log!("where_less", |a, b| {
            read(lanes, lanes.where_less(a, b, b, a))
        });
        log!("least", |a, _b| lanes.least(a));
        log!("least_two", |a, b| lanes.least_two(a, b));
        log!("equal_of_four", |a, b| lanes.equal_of_four([a, b, a, b], b));
        log!("below_of_four", |a, b| lanes.below_of_four([a, b, a, b], b));
        let chosen = random.below(1 << W);
        log!("store_packed", |a, _b| {
            let mut packed = [L::Number::ZERO; W];
            lanes.store_packed(a, chosen, &mut packed);
            packed
        });
        log.log(
            "load_f32",
            draw_lanes(random, draw_mostly_whole),
            #[inline(always)]
            |costs| read(lanes, lanes.load_f32(costs)),
        );
        let costs = draw_lanes(random, draw_mostly_whole);
        log.log(
            "load_f64",
            costs,
            #[inline(always)]
            |costs| read(lanes, lanes.load_f64(costs)),
        );
        log.log(
            "load_part_f64",
            costs,
            #[inline(always)]
            |costs| read(lanes, lanes.load_part_f64(costs, 3)),
        );
    }
}

/// Operations on vectors of both types, and whether they rounded.
struct FlagsOfOperations;

impl Work for FlagsOfOperations {
    type Output = Roundings;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> Roundings {
        let (mut random, mut log) = (Random::new(3), Roundings::default());
        log_roundings_of_lanes::<_, DOUBLES>(vectors.doubles(), &mut random, &mut log);
        log_roundings_of_lanes::<_, SINGLES>(vectors.singles(), &mut random, &mut log);
        log
    }
}

#[test]
fn all_levels_raise_the_inexact_flag_alike() {
    let expected = FlagsOfOperations.run(ArrayVectors).0;
    for name in ["add", "subtract", "load_f64"] {
        let rounded = |which| expected.contains(&(name, which));
        assert!(rounded(true) && rounded(false), "{name} is tried both ways");
    }
    for level in Level::all() {
        let got = level.run(FlagsOfOperations).0;
        assert_eq!(got.len(), expected.len());
        for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert_eq!(got, expected, "operation {index}, {level:?}");
        }
    }
}
