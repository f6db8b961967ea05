//! What is claimed of an answer is so: exact where nothing was rounded, proven where its duals are
//! small enough to prove it.

mod common;

use std::cmp::Ordering;
use std::slice::from_ref;

use common::{F32_ROUNDOFF, F64_ROUNDOFF, Owned, solve_batch_at};
use hungarian_loss::batch::{Solvable, Tally};
use hungarian_loss::problem::given::Options;
use hungarian_loss::prove::certificate::{Answer, check};
use hungarian_loss::simd::cost::Cost;
use hungarian_loss::simd::cost::Real;
use hungarian_loss::simd::level::Level;
use hungarian_random::Random;

fn solve_alone_at<T: Solvable<Real = U>, U: Real + Into<f64>>(
    level: Level,
    problem: &Owned<T>,
) -> (Answer, Tally) {
    let (answers, tally) = solve_batch_at::<T, U>(level, from_ref(problem));
    let (answer, status) = answers.into_iter().next().expect("one problem");
    assert_eq!(status, 0);
    (answer, tally)
}

/// Shapes that take all ways through the solver: narrow; in f64; begun in f32; wider than what
/// passes keep in one word, in f64 and begun in f32.
const SHAPES: [(usize, usize); 14] = [
    (5, 8),
    (8, 8),
    (16, 16),
    (20, 31),
    (32, 32),
    (33, 33),
    (40, 64),
    (20, 300),
    (65, 65),
    (60, 200),
    (100, 100),
    (160, 160),
    (30, 2100),
    (265, 2110),
];

fn transpose<T: Cost>(problem: &Owned<T>) -> Owned<T> {
    let (rows, cols) = (problem.rows, problem.cols);
    let cost = (0..rows * cols).map(|at| problem.cost[at % rows * cols + at / rows]);
    let mut transposed = Owned::new(cols, rows, cost.collect());
    transposed.options = problem.options;
    transposed
}

/// Whole numbers, which f64 adds and subtracts exactly, where they are to fit; otherwise costs
/// whose differences f64 has to round: they have all digits of a mantissa, and many magnitudes. One
/// column is so cheap that all rows want it, so that differences are taken. `draw` takes mantissa
/// and power.
fn drawn<T: Cost>(
    random: &mut Random,
    (rows, cols): (usize, usize),
    options: Options,
    fits: bool,
    draw: impl Fn(f64, i32) -> T,
) -> Owned<T> {
    let cheap = random.index(cols);
    let cost = (0..rows * cols).map(|at| {
        if fits {
            return draw(options.sign() * random.index(1000) as f64, 0);
        }
        let power = random.index(30) + if at % cols == cheap { 40 } else { 0 };
        draw(options.sign() * (1.0 + random.uniform()), -(power as i32))
    });
    let mut problem = Owned::new(rows, cols, cost.collect());
    problem.options = options;
    problem
}

/// The problem, transposed half of the time.
fn turned<T: Cost>(random: &mut Random, problem: Owned<T>) -> Owned<T> {
    if random.one_in(2) {
        transpose(&problem)
    } else {
        problem
    }
}

fn double(mantissa: f64, power: i32) -> f64 {
    mantissa * 2f64.powi(power)
}

/// As [`double`], with magnitudes farther apart, since f32 has fewer digits.
fn single(mantissa: f64, power: i32) -> f32 {
    mantissa as f32 * 2f32.powi(power + power / 2)
}

#[test]
fn what_rounds_is_never_called_exact_and_whole_numbers_always_are() {
    let mut random = Random::new(0x5851_f42d_4c95_7f2d);
    for (shape, maximize, limited) in SHAPES.into_iter().flat_map(|shape| {
        [(false, false), (true, false), (false, true), (true, true)].map(|(a, b)| (shape, a, b))
    }) {
        let sign = if maximize { -1.0 } else { 1.0 };
        let options = Options {
            cost_limit: sign * if limited { 1.5 } else { f64::INFINITY },
            maximize,
        };
        let draws = if shape.1 > 64 { 1 } else { 4 };
        for fits in [false, true].repeat(draws) {
            let wide = drawn(&mut random, shape, options, fits, double);
            hold_evidence::<f64, f64>(&turned(&mut random, wide), fits, F64_ROUNDOFF);
            let narrow = drawn(&mut random, shape, options, fits, single);
            hold_evidence::<f32, f32>(&turned(&mut random, narrow), fits, F32_ROUNDOFF);
        }
    }
}

fn hold_evidence<T: Solvable<Real = U>, U: Real + Into<f64>>(
    problem: &Owned<T>,
    fits: bool,
    roundoff: f64,
) {
    for level in Level::all() {
        let (answer, tally) = solve_alone_at::<T, U>(level, problem);
        let (rows, cols, options) = (problem.rows, problem.cols, problem.options);
        let exact = u64::from(fits);
        assert_eq!(
            tally.exact, exact,
            "{rows}×{cols}, {options:?}, {level:?}, {tally:?}"
        );
        check(&problem.view(), &answer, roundoff)
            .unwrap_or_else(|wrong| panic!("{rows}×{cols}, {options:?}, {level:?}: {wrong}"));
    }
}

/// The same in batches, where neighbours share the flag that tells whether something was rounded.
#[test]
fn neighbours_that_round_make_nothing_exact_that_is_not() {
    let mut random = Random::new(0x1405_7b7e_f767_814f);
    for shape in SHAPES {
        let problems = if shape.1 > 300 { 3 } else { 70 };
        for fitting in [None, Some(random.index(problems))] {
            let batch: Vec<_> = (0..problems)
                .map(|index| {
                    let fits = fitting == Some(index);
                    drawn(&mut random, shape, Options::default(), fits, double)
                })
                .collect();
            for level in Level::all() {
                let (answers, tally) = solve_batch_at::<f64, f64>(level, &batch);
                // One that fits may count as proven, where a neighbour has rounded.
                let most = u64::from(fitting.is_some());
                assert!(tally.exact <= most, "{shape:?}: {tally:?}, {fitting:?}");
                for (problem, (answer, _)) in batch.iter().zip(&answers) {
                    check(&problem.view(), answer, F64_ROUNDOFF).unwrap();
                }
            }
        }
    }
}

/// Where a large number stands for pairs that are not wanted, as in trackers, the answer of f32 is
/// proven along the few pairs that are nearly tight, as if that number were not there. (That rounds
/// nothing. Passes over all pairs would.)
#[test]
fn large_numbers_for_pairs_that_are_not_wanted_make_no_others_alike() {
    let mut random = Random::new(0x51f1_5eed);
    for (rows, cols) in [(70, 70), (100, 100), (100, 300), (300, 300)] {
        let costs = (0..rows * cols).map(|_| match random.uniform() < 0.7 {
            true => 1e5,
            false => random.uniform() as f32,
        });
        let problem = Owned::new(rows, cols, costs.collect());
        for level in Level::all() {
            let (answer, tally) = solve_alone_at::<f32, f32>(level, &problem);
            assert_eq!(tally.exact, 1, "{rows}×{cols}, {level:?}, {tally:?}");
            check(&problem.view(), &answer, F32_ROUNDOFF).unwrap();
        }
    }
}

/// A column that no row wants: its dual is as large as its costs, and after the shift of all duals
/// so are all others. Answers are proven nevertheless.
#[test]
fn a_column_that_nobody_wants_needs_no_second_solve() {
    let mut random = Random::new(0x0dd_c01);
    for (rows, cols) in [(16, 16), (50, 50), (100, 100), (150, 150)] {
        let costs = (0..rows * cols).map(|at| match at % cols == 0 || random.uniform() < 0.7 {
            true => 1e7,
            false => random.uniform(),
        });
        let problem = Owned::new(rows, cols, costs.collect());
        for level in Level::all() {
            let (answer, tally) = solve_alone_at::<f64, f64>(level, &problem);
            assert_eq!(tally.redone, 0, "{rows}×{cols}, {level:?}, {tally:?}");
            check(&problem.view(), &answer, F64_ROUNDOFF).unwrap();
            if rows <= 50 {
                assert!(is_optimal(&problem, &answer));
            }
        }
    }
}

/// Costs so large that the multiples that keep f64 exact are coarse beside the other costs: the
/// duals of f32, rounded to these, prove nothing.
#[test]
fn duals_that_have_lost_their_digits_are_no_proof() {
    let n = 65;
    for large in [1e6, 1e9, 1e12] {
        let mut cost = vec![large; n * n];
        for row in 0..n {
            cost[row * n + row] = 0.0;
            if row >= 3 {
                cost[row * n + row - 1] = 0.0;
            }
        }
        cost[2 * n..3 * n].fill(f64::INFINITY);
        cost[2 * n + 2] = 0.0;
        cost[1] = f64::from(0.02f32);
        cost[2] = f64::from(0.025f32);
        cost[n + 2] = f64::from(0.02f32);
        let problem = Owned::new(n, n, cost);
        for level in Level::all() {
            let (answer, _) = solve_alone_at::<f64, f64>(level, &problem);
            check(&problem.view(), &answer, F64_ROUNDOFF).unwrap();
        }
    }
}

/// Is the answer to a plain minimisation optimal, in exact arithmetic? If not, some rows can change
/// columns, one taking that of the next, and save something: a cycle of negative length, which
/// Bellman & Ford's passes go round for ever.
fn is_optimal(problem: &Owned<f64>, answer: &Answer) -> bool {
    if problem.rows > problem.cols {
        let mut answer = answer.clone();
        std::mem::swap(&mut answer.row_to_col, &mut answer.col_to_row);
        return is_optimal(&transpose(problem), &answer);
    }
    let (rows, cols) = (problem.rows, problem.cols);
    let whole = |row: usize, col: usize| {
        let scaled = problem.cost[row * cols + col] * 2f64.powi(64);
        assert!(scaled == f64::INFINITY || scaled as i128 as f64 == scaled);
        scaled.is_finite().then_some(scaled as i128)
    };
    // The least that it takes to free each column; a last place stands for all unmatched ones,
    // which are free.
    let mut least = vec![0; cols + 1];
    for _ in 0..=cols + 1 {
        let before = least.clone();
        let free = (0..cols).filter(|&col| answer.col_to_row[col] < 0);
        least[cols] = free.map(|col| least[col]).min().unwrap_or(least[cols]);
        for row in 0..rows {
            let own = answer.row_to_col[row] as usize;
            let own_cost = whole(row, own).expect("matched pairs are allowed");
            // A row that takes the last place leaves its own column free.
            least[own] = least[own].min(least[cols]);
            for col in (0..cols).filter(|&col| col != own) {
                if let Some(cost) = whole(row, col) {
                    least[col] = least[col].min(least[own] + cost - own_cost);
                }
            }
        }
        if least == before {
            return true;
        }
    }
    false
}

/// Costs with any number of digits at any place: what is called exact is optimal without any
/// tolerance; what is called proven has duals of the size that the bound allows: those of the
/// shorter side are no larger than 4·max|c|.
#[test]
fn exact_answers_need_no_tolerance() {
    let mut random = Random::new(0x27bb_2ee6_87b0_b0fd);
    for shape in SHAPES {
        let (mut exact, mut proven, mut redone) = (0, 0, 0);
        let draws = if shape.1 > 300 { 4 } else { 40 };
        for draw in 0..draws {
            // How many digits most costs have, and those at a few places.
            let digits = [16, 44, 52, 53][draw % 4];
            let others = [16, 44, 52, 53][random.index(4)];
            // Some shift all costs, some drive duals down along a chain.
            let offset = [0.0, 1.0, -1.0][random.index(3)];
            let chain = [0, 0, 3, 12][random.index(4)].min(shape.0 - 1);
            let (rows, cols) = shape;
            let cost = (0..rows * cols).map(|at| {
                let digits = if random.one_in(50) { others } else { digits };
                let grid = 2f64.powi(digits);
                let uniform = (random.uniform() * grid).floor() / grid;
                let (row, col) = (at / cols, at % cols);
                if chain > 0 && row <= chain && col <= chain {
                    match col.cmp(&row) {
                        Ordering::Equal => 1.0 + uniform / 8.0 + offset,
                        _ if col == row + 1 => -1.0 - uniform / 8.0 + offset,
                        _ => f64::INFINITY,
                    }
                } else if chain > 0 && (row <= chain || col <= chain) {
                    f64::INFINITY
                } else {
                    uniform + offset
                }
            });
            let cost: Vec<f64> = cost.collect();
            let problem = Owned::new(rows, cols, cost);
            let problem = turned(&mut random, problem);
            for level in Level::all() {
                let (answer, tally) = solve_alone_at::<f64, f64>(level, &problem);
                let name = format!("{shape:?}, {digits} digits, {others}, {offset}, {chain}");
                if tally.exact == 1 {
                    assert!(is_optimal(&problem, &answer), "{name}, {level:?}");
                }
                if tally.proven == 1 {
                    assert!(
                        largest_payment(&problem, &answer) <= 4.0,
                        "{name}, {level:?}"
                    );
                }
                check(&problem.view(), &answer, F64_ROUNDOFF)
                    .unwrap_or_else(|wrong| panic!("{name}, {level:?}: {wrong}"));
                exact += tally.exact;
                proven += tally.proven;
                redone += tally.redone;
            }
        }
        println!("{shape:?}: {exact} exact, {proven} proven, {redone} redone");
        assert!(exact > 0 && proven + redone > 0, "{shape:?}");
    }
}

/// The largest magnitude of a dual of the shorter side, in units of max|c|: so much its rows (or
/// columns) pay at most.
fn largest_payment(problem: &Owned<f64>, answer: &Answer) -> f64 {
    let widest = |numbers: &[f64]| {
        let finite = numbers.iter().filter(|number| number.is_finite());
        finite.fold(0.0, |widest: f64, number| widest.max(number.abs()))
    };
    let duals = match problem.rows > problem.cols {
        true => &answer.col_duals,
        false => &answer.row_duals,
    };
    widest(duals) / widest(&problem.cost)
}

/// Duals of squares are shifted in the end, so that max v = 0. What was rounded before the shift,
/// in c − v for a v as large as the shift, does not matter: v as it is in the end proves the
/// matching.
#[test]
fn duals_prove_as_they_are_after_the_shift() {
    let n = 40;
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut cost = vec![f64::INFINITY; n * n];
        for row in 0..n {
            cost[row * n + row] = 1.0 - random.uniform() / 64.0;
        }
        cost[1] = 0.45;
        cost[n + 1] = 1.0 - f64::EPSILON / 2.0;
        let problem = Owned::new(n, n, cost);
        for level in Level::all() {
            let (answer, tally) = solve_alone_at::<f64, f64>(level, &problem);
            check(&problem.view(), &answer, F64_ROUNDOFF).unwrap();
            assert_eq!(
                (tally.exact, tally.proven, tally.redone),
                (0, 1, 0),
                "{seed}"
            );
        }
    }
}

/// Costs near the largest of f64 are scaled down, which takes the digits of the smallest. Then
/// nothing is exact, even where nothing else is rounded; and where the smallest would decide, the
/// answer may be the wrong one.
#[test]
fn scaling_that_loses_digits_is_never_called_exact() {
    let large = 2f64.powi(1000);
    let denormal = f64::from_bits(1);
    for n in [8, 40, 100] {
        // Duals are small; or so large that f64 can prove nothing by them.
        for chain in [0, n - 3] {
            for (first, second) in [(1.0, 2.0), (2.0, 1.0), (0.0, 0.0)] {
                let mut cost = vec![f64::INFINITY; n * n];
                for row in 0..n {
                    cost[row * n + row] = large;
                    if row >= 2 && row - 2 < chain {
                        cost[row * n + row + 1] = -large;
                    }
                }
                // Rows 0 and 1 may change places: then they cost `second` denormals instead of
                // `first`.
                cost[0] = first * denormal;
                cost[n] = second * denormal;
                cost[1] = large;
                let problem = Owned::new(n, n, cost);
                let fits = first == second;
                for level in Level::all() {
                    let (_, tally) = solve_alone_at::<f64, f64>(level, &problem);
                    assert_eq!(
                        tally.exact,
                        u64::from(fits),
                        "{n}, {chain}, {first}, {level:?}"
                    );
                }
            }
        }
    }
}

/// A square with two matchings, the diagonal and all the way round: row i + 1 with column i, row 0
/// with the last column. To f32 all pairs cost the same but that last one, which is dearer by
/// `gap`; in truth each of the others saves 2·`step`, too little for f32 to see. Returns whether
/// the way round is the cheaper one: all sums are exact.
fn way_round(cost: &mut [f64], stride: usize, n: usize, base: f64, step: f64, gap: f64) -> bool {
    for row in 0..n {
        cost[row * stride + row] = base + step;
        if row > 0 {
            cost[row * stride + row - 1] = base - step;
        }
    }
    cost[n - 1] = base + gap;
    (2 * n - 1) as f64 * step > gap
}

fn assert_way(answer: &Answer, n: usize, round: bool, name: &str) {
    let expected = (0..n).map(|row| match round {
        true => (row + n - 1) % n,
        false => row,
    });
    let expected: Vec<i32> = expected.map(|col| col as i32).collect();
    assert_eq!(&answer.row_to_col[..n], expected, "{name}");
}

/// Duals that f32 left a little too low are raised one after the other, each by a little more than
/// the one before. After hundreds of them that is more than the margin by which other pairs were
/// passed over.
#[test]
fn many_small_raises_add_up() {
    for n in [70, 150, 300, 450] {
        let mut ways = [0; 2];
        // Sanitizers make the larger ones slow.
        let step = if n < 300 { 1 } else { 6 };
        for times in (1..40).step_by(step) {
            let gap = f64::from(times) * 2f64.powi(-20);
            let mut cost = vec![f64::INFINITY; n * n];
            let round = way_round(&mut cost, n, n, 0.75, 7.0 * 2f64.powi(-28), gap);
            ways[usize::from(round)] += 1;
            let problem = Owned::new(n, n, cost);
            for level in Level::all() {
                let (answer, tally) = solve_alone_at::<f64, f64>(level, &problem);
                let name = format!("{n}, {gap:e}, {level:?}");
                assert_way(&answer, n, round, &name);
                assert_eq!(tally.exact, 1, "{name}");
            }
        }
        assert!(ways[0] > 0 && ways[1] > 0, "{n}: {ways:?}");
    }
}

/// The same beside a problem that rounds. Duals are too large for a proof (the last rows see to
/// that), so it is solved again, alone: from the duals of f32, as the first time.
#[test]
fn what_a_neighbour_spoils_is_solved_again_as_if_alone() {
    // So large that two f64 problems take turns.
    let n = 218;
    let mut random = Random::new(5);
    let neighbour = drawn(&mut random, (n, n), Options::default(), false, double);
    for gap in (16..48)
        .step_by(3)
        .map(|times| f64::from(times) * 2f64.powi(-20))
    {
        let mut cost = vec![f64::INFINITY; n * n];
        let base = 1.0 + 1.0 / 1024.0;
        let last = n - 5;
        let round = way_round(&mut cost, n, last, base, 7.0 * 2f64.powi(-27), gap);
        for row in last..n {
            cost[row * n + row] = 1.0;
            if row + 1 < n {
                cost[row * n + row + 1] = -1.0;
            }
        }
        // `way_round` put its last pair into its own last column.
        let problem = Owned::new(n, n, cost);
        for level in Level::all() {
            let name = format!("{gap:e}, {level:?}");
            let (alone, tally) = solve_alone_at::<f64, f64>(level, &problem);
            assert_eq!(tally.exact, 1, "{name}");
            assert_way(&alone, last, round, &name);
            for batch in [[&problem, &neighbour], [&neighbour, &problem]] {
                let own = usize::from(std::ptr::eq(batch[1], &problem));
                let (answers, tally) = solve_batch_at::<f64, f64>(level, &batch.map(Clone::clone));
                assert_eq!(answers[own], (alone.clone(), 0), "{name}");
                assert_eq!(tally.exact, 1, "{name}: {tally:?}");
            }
        }
    }
}
