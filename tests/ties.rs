//! Ties, where columns are many: the documented policy at any width, and answers that are proven
//! however many are equal.

mod common;

use std::slice::from_ref;

use common::{Owned, solve, solve_batch_at};
use hungarian_loss::batch::Solvable;
use hungarian_loss::prove::certificate::check;
use hungarian_loss::simd::cost::Cost;
use hungarian_loss::simd::cost::Real;
use hungarian_loss::simd::level::Level;
use hungarian_random::Random;

/// Widths around those where words of 64 bits, and quads of eight and of sixteen lanes, come to an
/// end.
const WIDTHS: [usize; 12] = [
    33, 64, 65, 128, 129, 2000, 2016, 2049, 2100, 4032, 4097, 10_000,
];

fn row_to_col<T: Solvable<Real = U>, U: Real + Into<f64>>(
    rows: usize,
    cols: usize,
    cost: Vec<T>,
    roundoff: f64,
) -> Vec<i32> {
    let problem = Owned::new(rows, cols, cost);
    let (answer, status) = solve::<T, U>(&problem);
    assert_eq!(status, 0);
    check(&problem.view(), &answer, roundoff).unwrap();
    answer.row_to_col
}

/// Solves in both types that the solver reads.
fn in_both(rows: usize, cols: usize, cost: &[f32]) -> Vec<i32> {
    let in_f32 = row_to_col::<f32, f32>(rows, cols, cost.to_vec(), 1.0 / (1u64 << 24) as f64);
    let wide = cost.iter().map(|cost| cost.widen()).collect();
    let in_f64 = row_to_col::<f64, f64>(rows, cols, wide, 1.0 / (1u64 << 53) as f64);
    assert_eq!(in_f32, in_f64, "{rows}x{cols}");
    in_f32
}

#[test]
fn of_equal_columns_the_unmatched_one_goes_first_then_the_lowest() {
    let mut random = Random::new(3);
    for cols in WIDTHS {
        for _ in 0..8 {
            // Row 0 takes column 0. Row 1 finds column 0 as near as some others, none of which is
            // matched.
            let others: Vec<usize> = (0..3).map(|_| 1 + random.index(cols - 1)).collect();
            let mut cost = vec![1.0; cols];
            let mut second = vec![2.0; cols];
            second[0] = 1.0;
            others.iter().for_each(|&col| second[col] = 1.0);
            cost.extend(second);
            let lowest = *others.iter().min().expect("three") as i32;
            assert_eq!(in_both(2, cols, &cost), [0, lowest], "{cols}: {others:?}");
        }
        let mut cost = vec![1.0; cols];
        cost.extend(vec![2.0; cols]);
        (cost[cols], cost[2 * cols - 1]) = (1.0, 1.0);
        assert_eq!(in_both(2, cols, &cost), [0, cols as i32 - 1]);
    }
}

#[test]
fn all_equal_matches_i_to_i_at_any_width() {
    for (rows, cols) in [(2112, 2112), (40, 5000), (4200, 30), (4100, 4100)] {
        let expected: Vec<i32> = (0..rows as i32)
            .map(|row| if row < cols as i32 { row } else { -1 })
            .collect();
        assert_eq!(in_both(rows, cols, &vec![0.1; rows * cols]), expected);
    }
}

/// A matrix of few different rows, or columns, or both.
fn repeated(random: &mut Random, rows: usize, cols: usize, different: (usize, usize)) -> Vec<f64> {
    let table: Vec<f64> = (0..different.0 * different.1)
        .map(|_| random.uniform())
        .collect();
    let kinds = |random: &mut Random, count: usize, different: usize| -> Vec<usize> {
        match different == count {
            true => (0..count).collect(),
            false => (0..count).map(|_| random.index(different)).collect(),
        }
    };
    let of_rows = kinds(random, rows, different.0);
    let of_cols = kinds(random, cols, different.1);
    let line = |row: &usize| {
        let start = row * different.1;
        let table = &table;
        of_cols.iter().map(move |col| table[start + col])
    };
    of_rows.iter().flat_map(line).collect()
}

/// Equal rows are swept once a search, and tied instances are proven by passes over all pairs: the
/// certificate says whether that comes out right. Costs that f32 cannot tell apart are among them.
#[test]
fn few_different_rows_or_columns_are_solved_and_proven() {
    let mut random = Random::new(5);
    for (rows, cols) in [(300, 300), (300, 900), (700, 300), (260, 2100)] {
        for different in [
            (1, cols),
            (3, cols),
            (40, cols),
            (rows, 1),
            (rows, 3),
            (5, 8),
        ] {
            let cost = repeated(&mut random, rows, cols, different);
            let narrow = cost.iter().map(|&cost| cost as f32).collect();
            row_to_col::<f32, f32>(rows, cols, narrow, 1.0 / (1u64 << 24) as f64);
            row_to_col::<f64, f64>(rows, cols, cost, 1.0 / (1u64 << 53) as f64);
        }
    }
}

/// Each cost is the sum of a row's and a column's share, rounded: all ways to match a set of
/// columns cost the same but for rounding. f32 decides, and f64 proves it: twice the digits would
/// take a thousand times as long.
#[test]
fn sums_that_differ_by_rounding_only_are_proven_in_f64() {
    let mut random = Random::new(7);
    for (rows, cols) in [(300, 300), (300, 900), (1800, 600)] {
        for magnitudes in [1, 8] {
            let mut share = || (1.0 + random.uniform()) / (1u64 << random.index(magnitudes)) as f64;
            let of_rows: Vec<f64> = (0..rows).map(|_| share()).collect();
            let of_cols: Vec<f64> = (0..cols).map(|_| share()).collect();
            let sums = of_rows
                .iter()
                .flat_map(|a| of_cols.iter().map(move |b| a + b));
            let problem = Owned::new(rows, cols, sums.collect::<Vec<f64>>());
            for level in Level::all() {
                let (answers, tally) = solve_batch_at::<f64, f64>(level, from_ref(&problem));
                check(&problem.view(), &answers[0].0, 1.0 / (1u64 << 53) as f64).unwrap();
                assert_eq!(tally.redone, 0, "{rows}x{cols}, {magnitudes}, {level:?}");
            }
        }
    }
}

/// Few different rows under a limit and with forbidden pairs, where f64 searches from the
/// beginning.
#[test]
fn few_different_rows_under_a_limit_are_solved_and_proven() {
    let mut random = Random::new(6);
    for (rows, cols) in [(300, 300), (300, 700), (700, 300)] {
        for different in [(1, cols), (3, cols), (5, 8)] {
            for (limit, maximize) in [(0.3, false), (0.6, true), (50.0, false), (1e20, false)] {
                let mut cost = repeated(&mut random, rows, cols, different);
                let forbidden = if maximize {
                    -f64::INFINITY
                } else {
                    f64::INFINITY
                };
                for _ in 0..rows {
                    cost[random.index(rows * cols)] = forbidden;
                }
                let mut problem = Owned::new(rows, cols, cost);
                problem.options.cost_limit = limit;
                problem.options.maximize = maximize;
                let (answer, status) = solve::<f64, f64>(&problem);
                assert_eq!(status, 0);
                check(&problem.view(), &answer, 1.0 / (1u64 << 53) as f64)
                    .unwrap_or_else(|wrong| panic!("{rows}x{cols} {different:?} {limit}: {wrong}"));
            }
        }
    }
}
