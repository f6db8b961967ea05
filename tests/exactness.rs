//! What is claimed of rounding, against an oracle that does not round: costs as whole multiples of
//! 2^−1074, sums of any length.

mod common;

use common::{F32_ROUNDOFF, F64_ROUNDOFF, Owned, solve, solve_and_tally, whole};
use hungarian_loss::batch::{Solvable, Tally};
use hungarian_loss::prove::certificate::{Answer, check};
use hungarian_loss::simd::cost::Cost;
use hungarian_loss::simd::cost::Real;
use hungarian_random::Random;
use num_bigint::BigInt;

/// Least exact sum over all ways to match every row, for rows ≤ columns.
fn optimum<T: Cost>(problem: &Owned<T>) -> BigInt {
    let view = problem.view();
    let costs: Vec<Vec<BigInt>> = (0..problem.rows)
        .map(|row| {
            (0..problem.cols)
                .map(|col| whole(view.cost_of(row, col)))
                .collect()
        })
        .collect();
    // Least sum for the first rows with exactly the columns of a set.
    let mut least = vec![None; 1 << problem.cols];
    least[0] = Some(BigInt::ZERO);
    for taken in 1usize..1 << problem.cols {
        let row = taken.count_ones() as usize - 1;
        if row >= problem.rows {
            continue;
        }
        least[taken] = (0..problem.cols)
            .filter(|col| taken & 1 << col != 0)
            .filter_map(|col| Some(least[taken & !(1 << col)].as_ref()? + &costs[row][col]))
            .min();
    }
    let complete = least.into_iter().enumerate();
    complete
        .filter(|(taken, _)| taken.count_ones() as usize == problem.rows)
        .filter_map(|(_, sum)| sum)
        .min()
        .expect("nothing is forbidden")
}

fn exact_total<T: Cost>(problem: &Owned<T>, answer: &Answer) -> BigInt {
    let view = problem.view();
    answer
        .row_to_col
        .iter()
        .enumerate()
        .map(|(row, &col)| whole(view.cost_of(row, usize::try_from(col).expect("matched"))))
        .sum()
}

/// max |c| · count · 2^−50, which is what an answer may be off by where rounding could not be
/// avoided.
fn allowance<T: Cost>(problem: &Owned<T>) -> BigInt {
    let largest = problem
        .cost
        .iter()
        .map(|cost| cost.widen().abs())
        .fold(0.0, f64::max);
    (whole(largest) * problem.rows) >> 50
}

/// Whether f64 can hold every sum that decides: 2(rows + columns)·max|c| ≤ 2^53·q.
fn promised_exact<T: Cost>(problem: &Owned<T>) -> bool {
    let wholes: Vec<BigInt> = problem
        .cost
        .iter()
        .map(|cost| whole(cost.widen()))
        .collect();
    let largest = wholes
        .iter()
        .map(|value| value.magnitude().clone())
        .max()
        .unwrap_or_default();
    let digits = wholes
        .iter()
        .filter_map(BigInt::trailing_zeros)
        .min()
        .unwrap_or(0);
    largest * (2 * (problem.rows + problem.cols)) <= num_bigint::BigUint::from(1u64 << 53) << digits
}

fn add(to: &mut Tally, tally: Tally) {
    to.exact += tally.exact;
    to.proven += tally.proven;
    to.redone += tally.redone;
    to.bad += tally.bad;
}

/// Solves `count` problems of a family and holds each to what is promised of it.
fn hold<T: Solvable<Real = U> + std::fmt::Debug, U: Real + Into<f64>>(
    name: &str,
    count: usize,
    roundoff: f64,
    mut draw: impl FnMut(&mut Random, usize, usize) -> Vec<T>,
) -> Tally {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let mut tally = Tally::default();
    let mut promised = 0;
    for index in 0..count {
        let rows = 1 + (random.next() % 7) as usize;
        let cols = rows + (random.next() % 3) as usize;
        let problem = Owned::new(rows, cols, draw(&mut random, rows, cols));
        let (answer, status, own) = solve_and_tally::<T, U>(&problem);
        assert_eq!(status, 0);
        let gap = exact_total(&problem, &answer) - optimum(&problem);
        let is_promised = promised_exact(&problem);
        promised += usize::from(is_promised);
        let allowed = if is_promised || own.exact == 1 {
            BigInt::ZERO
        } else {
            allowance(&problem)
        };
        assert!(
            gap <= allowed,
            "{name} {index}: {gap} > {allowed}, {problem:?}"
        );
        check(&problem.view(), &answer, roundoff)
            .unwrap_or_else(|wrong| panic!("{name} {index}: {wrong}"));
        add(&mut tally, own);
    }
    println!("{name}: {promised} of {count} promised exact; {tally:?}");
    tally
}

#[test]
fn costs_one_ulp_apart() {
    let ulps = |random: &mut Random| f64::from_bits(1f64.to_bits() + random.next() % 4);
    hold::<f64, f64>(
        "one ulp apart, f64",
        3000,
        F64_ROUNDOFF,
        |random, rows, cols| (0..rows * cols).map(|_| ulps(random)).collect(),
    );
    let tally = hold::<f32, f32>(
        "one ulp apart, f32",
        3000,
        F32_ROUNDOFF,
        |random, rows, cols| {
            (0..rows * cols)
                .map(|_| f32::from_bits(1f32.to_bits() + (random.next() % 4) as u32))
                .collect()
        },
    );
    assert_eq!(tally.exact, 3000, "f64 holds these sums");
}

#[test]
fn a_large_offset() {
    let tally = hold::<f32, f32>(
        "1e6 + U(0, 1), f32",
        3000,
        F32_ROUNDOFF,
        |random, rows, cols| {
            (0..rows * cols)
                .map(|_| (1e6 + random.uniform()) as f32)
                .collect()
        },
    );
    assert_eq!(tally.exact, 3000, "f64 holds these sums");
    hold::<f64, f64>(
        "1e12 + U(0, 1), f64",
        3000,
        F64_ROUNDOFF,
        |random, rows, cols| (0..rows * cols).map(|_| 1e12 + random.uniform()).collect(),
    );
}

#[test]
fn many_orders_of_magnitude() {
    hold::<f64, f64>("10^U(-12, 12)", 3000, F64_ROUNDOFF, |random, rows, cols| {
        (0..rows * cols)
            .map(|_| 10f64.powf(24.0 * random.uniform() - 12.0))
            .collect()
    });
    hold::<f32, f32>(
        "10^U(-20, 20), f32",
        3000,
        F32_ROUNDOFF,
        |random, rows, cols| {
            (0..rows * cols)
                .map(|_| 10f64.powf(40.0 * random.uniform() - 20.0) as f32)
                .collect()
        },
    );
    hold::<f64, f64>("all of f64", 3000, F64_ROUNDOFF, |random, rows, cols| {
        (0..rows * cols)
            .map(|_| {
                loop {
                    let value = f64::from_bits(random.next());
                    // Totals of up to seven have to stay in range for the certificate.
                    if value.abs() < 1e307 {
                        break value;
                    }
                }
            })
            .collect()
    });
}

/// Duals many times larger than any cost leave f64 too few digits to prove anything. Here the
/// tempting pairs (i, i + 1) drive v down by 2 a column; the only matching is the diagonal.
#[test]
fn what_f64_cannot_prove_is_solved_again() {
    let n = 200;
    let mut random = Random::new(7);
    let mut cost = vec![f64::INFINITY; n * n];
    for row in 0..n {
        cost[row * n + row] = 1.0 + random.uniform() / 8.0;
        if row + 1 < n {
            cost[row * n + row + 1] = -1.0 - random.uniform() / 8.0;
        }
    }
    let problem = Owned::new(n, n, cost);
    let (answer, status, tally) = solve_and_tally::<f64, f64>(&problem);
    assert_eq!((status, tally.redone), (0, 1));
    check(&problem.view(), &answer, F64_ROUNDOFF).unwrap();
    let diagonal: Vec<i32> = (0..n as i32).collect();
    assert_eq!(answer.row_to_col, diagonal);
    let deepest = answer.col_duals.iter().copied().fold(0.0, f64::min);
    assert!(deepest < -300.0, "{deepest}");
}

#[test]
fn reals_and_near_ties() {
    hold::<f64, f64>("U(0, 1), f64", 3000, F64_ROUNDOFF, |random, rows, cols| {
        (0..rows * cols).map(|_| random.uniform()).collect()
    });
    // Sums of row and column terms tie everywhere, up to rounding.
    hold::<f64, f64>(
        "a_i + b_j rounded, f64",
        3000,
        F64_ROUNDOFF,
        |random, rows, cols| {
            let a: Vec<f64> = (0..rows).map(|_| random.uniform()).collect();
            let b: Vec<f64> = (0..cols).map(|_| random.uniform()).collect();
            a.iter()
                .flat_map(|a| b.iter().map(move |b| a + b))
                .collect()
        },
    );
    hold::<f64, f64>("products, f64", 3000, F64_ROUNDOFF, |random, rows, cols| {
        let scale = random.uniform();
        (1..=rows)
            .flat_map(|i| (1..=cols).map(move |j| (i * j) as f64 * scale))
            .collect()
    });
}

/// Large squares are solved in f32 first, to which these costs are whole multiples of 1/64: what
/// decides is below its last digit, and must not be lost.
#[test]
fn what_f32_cannot_tell_apart() {
    let n = 150;
    let mut random = Random::new(11);
    let mut told_apart = 0;
    for _ in 0..10 {
        let points: Vec<f64> = (0..8 * n).map(|_| random.uniform()).collect();
        let (a, b) = points.split_at(4 * n);
        let mut cost = Vec::new();
        for a in a.chunks(4) {
            for b in b.chunks(4) {
                let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
                let tied = (squares.sqrt() * 64.0).round() / 64.0;
                let step = (random.next() % 64) as f64 / (1u64 << 40) as f64;
                cost.push(tied * (1.0 + step));
            }
        }
        let blurred: Vec<f64> = cost.iter().map(|&cost| f64::from(cost as f32)).collect();
        let problem = Owned::new(n, n, cost);
        let (answer, status, tally) = solve_and_tally::<f64, f64>(&problem);
        assert_eq!((status, tally.exact), (0, 1));
        check(&problem.view(), &answer, F64_ROUNDOFF).unwrap();
        let (blurred, _, _) = solve_and_tally::<f64, f64>(&Owned::new(n, n, blurred));
        let (best, other) = (
            exact_total(&problem, &answer),
            exact_total(&problem, &blurred),
        );
        assert!(best <= other);
        told_apart += usize::from(best < other);
    }
    assert!(
        told_apart > 0,
        "an answer to the costs as f32 sees them would have done"
    );
}

/// What f32 has found is corrected in f64 wherever the costs lie: the duals of squares are shifted
/// in the end, up or down, and in rectangles a row may be passed over because of what its last
/// sweep found.
#[test]
fn duals_hold_in_f64_wherever_costs_lie() {
    let mut random = Random::new(12);
    for (rows, cols) in [
        (70, 70),
        (100, 100),
        (130, 130),
        (70, 100),
        (100, 300),
        (300, 100),
    ] {
        for offset in [-10.0, -1.0, -0.5, 0.0, 10.0] {
            let cost = (0..rows * cols).map(|_| random.uniform() + offset);
            let problem = Owned::new(rows, cols, cost.collect());
            let (answer, status) = solve::<f64, f64>(&problem);
            assert_eq!(status, 0);
            check(&problem.view(), &answer, F64_ROUNDOFF)
                .unwrap_or_else(|error| panic!("{rows}×{cols} from {offset} on: {error}"));
        }
    }
}
