//! An answer does not depend on the instruction set, the place in a batch, the neighbours there, or
//! what the thread has solved before. And it is right: its certificate proves it.

mod common;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;

use common::{F32_ROUNDOFF, F64_ROUNDOFF, Owned, say_skipped, solve_batch_at};
use half::{bf16, f16};
use hungarian_loss::batch::Solvable;
use hungarian_loss::problem::given::Options;
use hungarian_loss::prove::certificate::{Answer, check};
use hungarian_loss::simd::cost::Cost;
use hungarian_loss::simd::cost::Real;
use hungarian_loss::simd::level::Level;
use hungarian_random::Random;

/// A cost of one of several kinds: ties, reals, forbidden pairs, large ones, now and then NaN.
fn draw_cost(random: &mut Random, kind: usize) -> f64 {
    let uniform = random.uniform();
    match kind {
        0 => uniform,
        1 => (uniform * 10.0).floor(),
        2 if uniform < 0.3 => f64::INFINITY,
        2 => uniform - 0.6,
        3 => 1e6 + uniform,
        4 if uniform < 1e-3 => f64::NAN,
        _ => (uniform * 64.0).round() / 64.0,
    }
}

/// All outputs, bit for bit. (f32 widens to f64 without loss.)
fn bits((answer, status): &(Answer, i32)) -> (Vec<u64>, Vec<i32>) {
    let numbers = [answer.total_cost]
        .into_iter()
        .chain(answer.row_duals.iter().chain(&answer.col_duals).copied());
    let indices = answer.row_to_col.iter().chain(&answer.col_to_row);
    (
        numbers.map(f64::to_bits).collect(),
        indices.chain([status]).copied().collect(),
    )
}

/// What the status must be: 2 if an existing entry is not a cost, 1 if the allowed pairs cannot
/// match all of the shorter side.
fn expected_status<T: Cost>(problem: &Owned<T>) -> i32 {
    let existing = |mask: &[bool]| -> Vec<usize> {
        let flags = mask.iter().enumerate();
        flags
            .filter(|(_, exists)| **exists)
            .map(|(at, _)| at)
            .collect()
    };
    let (mut shorter, mut longer) = (existing(&problem.row_mask), existing(&problem.col_mask));
    let transposed = shorter.len() > longer.len();
    if transposed {
        std::mem::swap(&mut shorter, &mut longer);
    }
    let sign = problem.options.sign();
    let cost = |left: usize, right: usize| {
        let (row, col) = if transposed {
            (right, left)
        } else {
            (left, right)
        };
        sign * problem.view().cost_of(row, col)
    };
    let mut allowed = vec![Vec::new(); shorter.len()];
    for (pairs, &left) in allowed.iter_mut().zip(&shorter) {
        for (index, &right) in longer.iter().enumerate() {
            let cost = cost(left, right);
            if !cost.is_finite() && cost != f64::INFINITY {
                return 2;
            }
            if cost.is_finite() {
                pairs.push(index);
            }
        }
    }
    if problem.options.cost_limit.is_finite() {
        return 0;
    }
    // A largest matching by augmenting paths.
    fn matches(
        left: usize,
        allowed: &[Vec<usize>],
        partners: &mut [Option<usize>],
        seen: &mut [bool],
    ) -> bool {
        allowed[left].iter().any(|&right| {
            if std::mem::replace(&mut seen[right], true) {
                return false;
            }
            let gives_way = match partners[right] {
                Some(other) => matches(other, allowed, partners, seen),
                None => true,
            };
            if gives_way {
                partners[right] = Some(left);
            }
            gives_way
        })
    }
    let mut partners = vec![None; longer.len()];
    let all = (0..shorter.len()).all(|left| {
        matches(
            left,
            &allowed,
            &mut partners,
            &mut vec![false; longer.len()],
        )
    });
    i32::from(!all)
}

/// A batch of problems of one shape, some masked, of different kinds.
fn draw<T: Cost>(random: &mut Random, from: impl Fn(f64) -> T) -> Vec<Owned<T>> {
    let size = [8, 16, 32, 60, 120, 150, 330][random.index(7)];
    let (rows, cols) = match random.index(3) {
        0 => (size, size),
        _ => (1 + random.index(size), 1 + random.index(size)),
    };
    let cols = if random.index(2) == 0 { rows } else { cols };
    let maximize = random.index(4) == 0;
    let sign = if maximize { -1.0 } else { 1.0 };
    let limits = [f64::INFINITY, f64::INFINITY, f64::INFINITY, 0.5, 5.0, -0.25];
    // One for all of a batch, or one for each.
    let limits_differ = random.index(3) == 0;
    let limit_of_all = limits[random.index(limits.len())];
    let masked = random.index(3) == 0;
    let problems = 1 + random.index(if size <= 32 { 90 } else { 7 });
    (0..problems)
        .map(|_| {
            let kind = random.index(6);
            let cost = (0..rows * cols)
                .map(|_| from(sign * draw_cost(random, kind)))
                .collect();
            let mut problem = Owned::new(rows, cols, cost);
            let limit = match limits_differ {
                true => limits[random.index(limits.len())],
                false => limit_of_all,
            };
            problem.options = Options {
                cost_limit: sign * limit,
                maximize,
            };
            if masked {
                let flags = problem.row_mask.iter_mut().chain(&mut problem.col_mask);
                flags.for_each(|flag| *flag = random.index(5) != 0);
            }
            problem
        })
        .collect()
}

/// Holds the answers to a batch to the same bits at each level, alone and in another order; and to
/// their certificates. Returns them in bits.
fn hold<T: Solvable<Real = U> + Sync, U: Real + Into<f64>>(
    batch: &[Owned<T>],
    roundoff: f64,
) -> Vec<(Vec<u64>, Vec<i32>)> {
    let solve = |level, batch: &[Owned<T>]| -> Vec<_> {
        let (answers, _) = solve_batch_at::<T, U>(level, batch);
        answers.iter().map(bits).collect()
    };
    // This thread keeps a workspace, and with it what is left in there; a new thread has none.
    let (answers, _) = std::thread::scope(|scope| {
        let anew = scope.spawn(|| solve_batch_at::<T, U>(Level::baseline(), batch));
        anew.join().expect("no panic")
    });
    for (problem, (answer, status)) in batch.iter().zip(&answers) {
        assert_eq!(*status, expected_status(problem));
        if *status == 0 {
            check(&problem.view(), answer, roundoff).unwrap_or_else(|wrong| {
                let (rows, cols, options) = (problem.rows, problem.cols, problem.options);
                panic!("{rows}×{cols}, {options:?}: {wrong}")
            });
        }
    }
    let expected: Vec<_> = answers.iter().map(bits).collect();
    for level in Level::all() {
        assert_eq!(solve(level, batch), expected, "{level:?}");
        for (problem, expected) in batch.iter().zip(&expected) {
            let alone = solve(level, std::slice::from_ref(problem));
            assert_eq!(&alone[0], expected, "alone, {level:?}");
        }
        let backwards: Vec<_> = batch.iter().rev().cloned().collect();
        let mut answers = solve(level, &backwards);
        answers.reverse();
        assert_eq!(answers, expected, "backwards, {level:?}");
    }
    expected
}

/// A hash of all answers of a test, to be compared with that of another kind of processor:
/// `make test-arm64` does.
#[derive(Default)]
struct Digest(DefaultHasher);

impl Digest {
    fn add(&mut self, answers: &[(Vec<u64>, Vec<i32>)]) {
        answers.hash(&mut self.0);
    }

    fn print(self, of: &str) {
        println!("\ndigest of the answers, {of}: {:016x}", self.0.finish());
    }
}

fn hold_many<T: Solvable<Real = U> + Sync, U: Real + Into<f64>>(
    seed: u64,
    roundoff: f64,
    from: impl Fn(f64) -> T + Copy,
) {
    println!("levels of this processor: {:?}", Level::all());
    let mut random = Random::new(seed);
    let mut digest = Digest::default();
    for _ in 0..200 {
        digest.add(&hold::<T, U>(&draw(&mut random, from), roundoff));
    }
    digest.print(std::any::type_name::<T>());
}

#[test]
fn f32_is_the_same_everywhere() {
    hold_many::<f32, f32>(0x9e37_79b9_7f4a_7c15, F32_ROUNDOFF, |cost| cost as f32);
}

#[test]
fn f64_is_the_same_everywhere() {
    hold_many::<f64, f64>(0xd1b5_4a32_d192_ed03, F64_ROUNDOFF, |cost| cost);
}

#[test]
fn halves_are_the_same_everywhere() {
    // By way of f32: some processors convert so, and others do not.
    let from = |cost| f16::from_f32(cost as f32);
    hold_many::<f16, f32>(0x8cb9_2ba7_2f3d_8dd7, F32_ROUNDOFF, from);
    hold_many::<bf16, f32>(0xaef1_7502_b3d5_2d47, F32_ROUNDOFF, bf16::from_f64);
}

/// Wide problems whose rows all want the same columns, so that nearly every row is searched for,
/// through most rows before it. Rows near to each other in the plane; whole numbers with many ties;
/// ties but for the last digits.
#[test]
fn long_searches_in_wide_problems_are_the_same_everywhere() {
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    let mut digest = Digest::default();
    // The last is wide enough for f64, and has rows enough for f32 to lead.
    for (rows, cols) in [(24, 2049), (40, 2500), (33, 4100), (290, 2240)] {
        let far: Vec<_> = (0..2 * cols).map(|_| random.uniform()).collect();
        let near: Vec<_> = (0..2 * rows).map(|_| 0.01 * random.uniform()).collect();
        let mut whole = vec![0.0; rows * cols];
        let mut near_ties = whole.clone();
        let mut euclidean = whole.clone();
        for row in 0..rows {
            for col in 0..cols {
                let at = row * cols + col;
                let step = (col * 16 / cols) as f64;
                whole[at] = step + random.index(2) as f64;
                near_ties[at] = 1.0 + step / 8.0 + random.uniform() / (1u64 << 20) as f64;
                let (a, b) = (&near[2 * row..][..2], &far[2 * col..][..2]);
                let (x, y) = (a[0] - b[0], a[1] - b[1]);
                // Not `hypot`, which different mathematical libraries round in different ways.
                euclidean[at] = (x * x + y * y).sqrt();
            }
        }
        for cost in [whole, near_ties, euclidean] {
            let singles = cost.iter().map(|&cost| cost as f32).collect();
            let singles = [Owned::new(rows, cols, singles)];
            digest.add(&hold::<f32, f32>(&singles, F32_ROUNDOFF));
            digest.add(&hold::<f64, f64>(
                &[Owned::new(rows, cols, cost)],
                F64_ROUNDOFF,
            ));
        }
    }
    digest.print("wide problems");
}

/// The costs of the row that a search ends at, and those with which it would go on, have too many
/// digits, but they are not used.
#[test]
fn what_is_not_used_is_rounded_at_no_level() {
    let forbidden = f64::INFINITY;
    let mut problem = Owned::new(2, 2, vec![forbidden, 0.1, forbidden, 1.0]);
    problem.options = Options {
        cost_limit: 0.5,
        ..Options::default()
    };
    for level in Level::all() {
        let (_, tally) = solve_batch_at::<f64, f64>(level, std::slice::from_ref(&problem));
        assert_eq!(tally.exact, 1, "{level:?}: {tally:?}");
    }
}

/// Short rows may be swept at a lower level where that is faster, but never at one above the level
/// that was asked for.
#[test]
fn short_rows_have_this_level_or_one_below() {
    let all: Vec<_> = Level::all()
        .iter()
        .map(|level| format!("{level:?}"))
        .collect();
    for (place, level) in Level::all().into_iter().enumerate() {
        let short = format!("{:?}", level.for_short_rows());
        assert!(
            all[place.saturating_sub(1)..=place].contains(&short),
            "{short} for {level:?}"
        );
        if !all[place].contains("Avx512") {
            assert_eq!(short, all[place]);
        }
    }
}

/// Set where this test runs itself: to print which level it has.
const PRINTS_LEVEL: &str = "HUNGARIAN_TEST_PRINTS_LEVEL";

#[test]
fn the_environment_caps_the_level() {
    if std::env::var_os(PRINTS_LEVEL).is_some() {
        println!("{PRINTS_LEVEL}: {:?}", Level::best());
        return;
    }
    // The variable is read once, so each value needs a process of its own.
    let best_with = |most: &str| {
        let child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", "the_environment_caps_the_level", "--nocapture"])
            .envs([(PRINTS_LEVEL, ""), ("HUNGARIAN_LOSS_MAX_ISA", most)])
            .output()
            .expect("this program runs again");
        let said = String::from_utf8(child.stdout).expect("text");
        let level = said.split_once(&format!("{PRINTS_LEVEL}: "));
        let (_, level) = level.unwrap_or_else(|| panic!("no level in {said:?}"));
        level.lines().next().unwrap_or_default().to_owned()
    };
    let all: Vec<_> = Level::all()
        .iter()
        .map(|level| format!("{level:?}"))
        .collect();
    let named = |name: &str| all.iter().find(|level| level.contains(name));
    for name in ["Avx2", "Avx512"] {
        if cfg!(all(target_arch = "x86_64", not(arrays_only))) && named(name).is_none() {
            say_skipped(&format!(
                "all tests at the level {name}: this processor lacks it"
            ));
        }
    }
    assert_eq!(best_with("portable"), all[0]);
    assert_eq!(&best_with("avx2"), named("Avx2").unwrap_or(&all[0]));
    for most in ["avx512", "", "sse9"] {
        assert_eq!(&best_with(most), all.last().expect("there is a level"));
    }
}
