//! Many random problems from structured families against an independent solver in whole numbers.
//!
//! `cargo test` runs a hundred thousand; `make soak` sets HUNGARIAN_PROBLEMS to a million. A
//! failure names the family and the seed, from which it can be reproduced.

mod common;

use std::env;

use common::{F32_ROUNDOFF, F64_ROUNDOFF, Owned, solve_and_tally};
use half::{bf16, f16};
use hungarian_loss::batch::{Solvable, Tally};
use hungarian_loss::problem::given::Options;
use hungarian_loss::prove::certificate::check;
use hungarian_loss::simd::cost::Cost;
use hungarian_loss::simd::cost::Real;
use hungarian_random::Random;
use indicatif::{ProgressBar, ProgressStyle};
use pathfinding::kuhn_munkres::kuhn_munkres_min;
use pathfinding::matrix::Matrix;

/// Costs are whole numbers times a power of two, so that the oracle can be exact.
#[derive(Clone, Copy, Debug)]
enum Family {
    /// 0 … 2.
    FewValues,
    /// 0 … 9.
    Digits,
    /// −1000 … 1000.
    Whole,
    /// 1 + k·2^−52, k < 4: neighbouring f64.
    OneUlpApart,
    /// 10^6 + U(0, 1) to the 24 digits of f32.
    Offset,
    /// U(0, 1) to all 53 digits.
    Uniform,
    /// ±2^k, k < 40.
    WideRange,
    /// i·j, the worst case for augmenting paths.
    Products,
    /// a_i + b_j: all assignments of a square tie.
    Separable,
    /// |x_i − y_j| on a line: many near ties.
    Line,
    /// U(0, 1) to 20 digits, and 10^7 for pairs that are not wanted, perhaps all of a column.
    Unwanted,
}

const FAMILIES: [Family; 11] = [
    Family::FewValues,
    Family::Digits,
    Family::Whole,
    Family::OneUlpApart,
    Family::Offset,
    Family::Uniform,
    Family::WideRange,
    Family::Products,
    Family::Separable,
    Family::Line,
    Family::Unwanted,
];

impl Family {
    /// Whole costs, and the exponent of their unit.
    fn draw(self, random: &mut Random, rows: usize, cols: usize) -> (Vec<i64>, i32) {
        let points = |random: &mut Random, count: usize, bound: u64| -> Vec<i64> {
            (0..count).map(|_| random.below(bound) as i64).collect()
        };
        let table = |left: Vec<i64>, right: Vec<i64>, cost: fn(i64, i64) -> i64| {
            left.iter()
                .flat_map(|&a| right.iter().map(move |&b| cost(a, b)))
                .collect()
        };
        let mut each = |draw: &dyn Fn(&mut Random) -> i64| -> Vec<i64> {
            (0..rows * cols).map(|_| draw(random)).collect()
        };
        match self {
            Family::FewValues => (each(&|random| random.below(3) as i64), 0),
            Family::Digits => (each(&|random| random.below(10) as i64), 0),
            Family::Whole => (each(&|random| random.below(2001) as i64 - 1000), 0),
            Family::OneUlpApart => (each(&|random| (1 << 52) + random.below(4) as i64), -52),
            Family::Offset => (each(&|random| 16_000_000 + random.below(17) as i64), -4),
            Family::Uniform => (each(&|random| (random.next() >> 11) as i64), -53),
            Family::WideRange => {
                let draw = |random: &mut Random| {
                    let magnitude = 1i64 << random.below(40);
                    if random.one_in(2) {
                        -magnitude
                    } else {
                        magnitude
                    }
                };
                (each(&draw), 0)
            }
            Family::Products => {
                let count = |length: usize| (1..=length as i64).collect();
                (table(count(rows), count(cols), |a, b| a * b), 0)
            }
            Family::Separable => {
                let (a, b) = (points(random, rows, 50), points(random, cols, 50));
                (table(a, b, |a, b| a + b), 0)
            }
            Family::Line => {
                let (a, b) = (points(random, rows, 1000), points(random, cols, 1000));
                (table(a, b, |a, b| (a - b).abs()), -10)
            }
            Family::Unwanted => {
                const UNWANTED: i64 = 10_000_000 << 20;
                let mut costs = each(&|random| match random.one_in(2) {
                    true => UNWANTED,
                    false => random.below(1 << 20) as i64,
                });
                if random.one_in(2) {
                    for cost in costs.iter_mut().step_by(cols.max(1)) {
                        *cost = UNWANTED;
                    }
                }
                (costs, -20)
            }
        }
    }
}

/// A problem in whole numbers; `None` is forbidden. Always a minimisation.
struct Whole {
    rows: usize,
    cols: usize,
    cost: Vec<Option<i64>>,
    row_mask: Vec<bool>,
    col_mask: Vec<bool>,
    /// A whole number, as costs are; half of it need not be, so objectives are doubled.
    limit: Option<i64>,
    exponent: i32,
}

impl Whole {
    fn draw(family: Family, random: &mut Random) -> Self {
        // Now and then so many columns that f32 leads.
        let longest = match random.below(400) {
            0 => 130,
            1..=8 => 48,
            _ => 9,
        };
        let (mut rows, mut cols) = (
            random.below(longest) as usize,
            random.below(longest) as usize,
        );
        // Now and then more columns than words of the solver have bits for; in turn, more rows.
        if random.one_in(500) {
            (rows, cols) = (random.index(4), 2049 + random.index(2200));
            if random.one_in(2) {
                (rows, cols) = (cols, rows);
            }
        }
        let (whole, exponent) = family.draw(random, rows, cols);
        let forbidden_in_ten = if random.one_in(3) { random.below(9) } else { 0 };
        let cost = whole
            .iter()
            .map(|&cost| (random.below(10) >= forbidden_in_ten).then_some(cost))
            .collect();
        let mask = |random: &mut Random, length: usize| {
            let masked = random.one_in(4);
            (0..length).map(|_| !masked || random.one_in(2)).collect()
        };
        let (row_mask, col_mask) = (mask(random, rows), mask(random, cols));
        let limit = random.one_in(3).then(|| {
            // Near the costs, so that it decides something; a pair at exactly the limit now and
            // then.
            let near = whole.get(random.below(whole.len().max(1) as u64) as usize);
            let near = near.copied().unwrap_or(0);
            match random.below(4) {
                // Far above or below all costs.
                0 => 1 << (45 + random.below(18)),
                1 => -1 << (45 + random.below(18)),
                _ => near + random.below(5) as i64 - 2,
            }
        });
        Whole {
            rows,
            cols,
            cost,
            row_mask,
            col_mask,
            limit,
            exponent,
        }
    }

    /// The least doubled objective, by the Hungarian algorithm of another library in i128. Without
    /// a limit the shorter side is matched.
    fn doubled_optimum(&self) -> Option<i128> {
        let index = |mask: &[bool]| -> Vec<usize> {
            (0..mask.len()).filter(|&index| mask[index]).collect()
        };
        let (rows, cols) = (index(&self.row_mask), index(&self.col_mask));
        let cost = |row: usize, col: usize| {
            self.cost[rows[row] * self.cols + cols[col]].map(|cost| 2 * i128::from(cost))
        };
        // One forbidden pair outweighs all that could be gained elsewhere.
        let largest = self.largest_cost().max(self.limit_magnitude()) as i128;
        let forbidden = 8 * (largest + 1) * (rows.len() + cols.len() + 1) as i128;
        let weights = match self.limit.map(i128::from) {
            // Each row may also be matched with a column of its own, which costs nothing.
            Some(limit) if !rows.is_empty() => {
                Matrix::from_fn(rows.len(), cols.len() + rows.len(), |(i, j)| match j {
                    _ if j < cols.len() => cost(i, j).map_or(forbidden, |cost| cost - 2 * limit),
                    _ if j - cols.len() == i => 0,
                    _ => forbidden,
                })
            }
            Some(limit) => return Some(limit * cols.len() as i128),
            None if rows.is_empty() || cols.is_empty() => return Some(0),
            None if rows.len() <= cols.len() => {
                Matrix::from_fn(rows.len(), cols.len(), |(i, j)| {
                    cost(i, j).unwrap_or(forbidden)
                })
            }
            None => Matrix::from_fn(cols.len(), rows.len(), |(j, i)| {
                cost(i, j).unwrap_or(forbidden)
            }),
        };
        let (total, partners) = kuhn_munkres_min(&weights);
        let used_forbidden = partners
            .iter()
            .enumerate()
            .any(|(i, &j)| weights[(i, j)] == forbidden);
        let all_unmatched = match self.limit {
            Some(limit) => i128::from(limit) * (rows.len() + cols.len()) as i128,
            None => 0,
        };
        (!used_forbidden).then_some(total + all_unmatched)
    }

    /// max |c| over all allowed pairs that exist.
    fn largest_cost(&self) -> u64 {
        let pairs = (0..self.rows * self.cols)
            .filter(|index| self.row_mask[index / self.cols] && self.col_mask[index % self.cols]);
        let costs = pairs.filter_map(|index| self.cost[index]);
        costs.map(i64::unsigned_abs).max().unwrap_or(0)
    }

    fn limit_magnitude(&self) -> u64 {
        self.limit.map_or(0, i64::unsigned_abs)
    }

    fn in_floats<T: Cost>(&self, maximize: bool, narrow: impl Fn(f64) -> T) -> Owned<T> {
        let unit = 2f64.powi(self.exponent) * if maximize { -1.0 } else { 1.0 };
        let cost = (0..self.rows * self.cols).map(|index| {
            let exists = self.row_mask[index / self.cols] && self.col_mask[index % self.cols];
            narrow(match self.cost[index] {
                _ if !exists => f64::NAN,
                None => unit.signum() * f64::INFINITY,
                Some(cost) => cost as f64 * unit,
            })
        });
        Owned {
            rows: self.rows,
            cols: self.cols,
            cost: cost.collect(),
            row_mask: self.row_mask.clone(),
            col_mask: self.col_mask.clone(),
            options: Options {
                cost_limit: self
                    .limit
                    .map_or(f64::INFINITY, |limit| limit as f64 * unit),
                maximize,
            },
        }
    }

    /// Doubled objective of a matching, exact.
    fn doubled_objective(&self, row_to_col: &[i32]) -> i128 {
        let existing = |mask: &[bool]| mask.iter().filter(|&&exists| exists).count() as i128;
        let pairs = row_to_col.iter().enumerate().filter(|(_, col)| **col >= 0);
        let mut objective = self.limit.map_or(0, i128::from)
            * (existing(&self.row_mask) + existing(&self.col_mask));
        for (row, &col) in pairs {
            let cost = self.cost[row * self.cols + col as usize].expect("an allowed pair");
            objective += 2 * (i128::from(cost) - self.limit.map_or(0, i128::from));
        }
        objective
    }
}

/// Whether every cost is the same number in `T`, and the limit one in `U`.
fn fits<T: Cost>(whole: &Whole, narrow: impl Fn(f64) -> T, limit_digits: u32) -> bool {
    let unit = 2f64.powi(whole.exponent);
    let same = |number: i64| {
        let number = number as f64 * unit;
        narrow(number).widen() == number
    };
    let limit = whole.limit_magnitude();
    let used = match limit {
        0 => 0,
        _ => u64::BITS - limit.leading_zeros() - limit.trailing_zeros(),
    };
    whole.cost.iter().flatten().all(|&cost| same(cost)) && used <= limit_digits
}

/// Solves in one type and holds the answer to the oracle and to its certificate.
fn hold<T: Solvable<Real = U>, U: Real + Into<f64>>(
    whole: &Whole,
    optimum: Option<i128>,
    maximize: bool,
    narrow: impl Fn(f64) -> T,
    roundoff: f64,
) -> Result<Tally, String> {
    let problem = whole.in_floats(maximize, narrow);
    let (answer, status, tally) = solve_and_tally::<T, U>(&problem);
    let Some(optimum) = optimum else {
        return if status == 1 {
            Ok(tally)
        } else {
            Err(format!("status {status}, expected 1"))
        };
    };
    if status != 0 {
        return Err(format!("status {status}, expected 0"));
    }
    let gap = whole.doubled_objective(&answer.row_to_col) - optimum;
    // Where nothing was rounded the optimum itself is due; else rows·2^−50·max(|c|, |L'|), doubled,
    // where L' is what the limit counts as.
    let existing = |mask: &[bool]| mask.iter().filter(|&&exists| exists).count() as u128;
    let shorter = existing(&whole.row_mask).min(existing(&whole.col_mask));
    let (cost, limit) = (
        u128::from(whole.largest_cost()),
        u128::from(whole.limit_magnitude()),
    );
    let largest = match cost {
        0 => limit,
        _ => cost.max(limit.min(4 * (shorter + 1) * cost)),
    };
    let allowed = match tally.exact {
        1 => 0,
        _ => (2 * shorter * largest) >> 50,
    };
    if gap < 0 {
        return Err(format!("better than the oracle by {}", -gap));
    }
    if gap as u128 > allowed {
        return Err(format!(
            "{gap} over the optimum {optimum}, allowed {allowed}"
        ));
    }
    check(&problem.view(), &answer, roundoff).map_err(|violation| violation.to_string())?;
    Ok(tally)
}

#[test]
fn random_problems_are_optimal_and_proven() {
    let count: u64 = match env::var("HUNGARIAN_PROBLEMS") {
        Ok(count) => count.parse().expect("HUNGARIAN_PROBLEMS is a number"),
        Err(_) => 100_000,
    };
    let bar = ProgressBar::new(count);
    let style = "{bar:40} {pos}/{len} problems, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
    let mut total = Tally::default();
    for seed in 0..count {
        let mut random = Random::new(seed);
        let family = FAMILIES[(seed % FAMILIES.len() as u64) as usize];
        let whole = Whole::draw(family, &mut random);
        let optimum = whole.doubled_optimum();
        let maximize = random.one_in(3);
        // A type that holds the costs exactly, picked at random.
        let kind = random.below(4);
        let outcome = if kind == 0 && fits(&whole, f16::from_f64, 24) {
            hold::<f16, f32>(&whole, optimum, maximize, f16::from_f64, F32_ROUNDOFF)
        } else if kind == 1 && fits(&whole, bf16::from_f64, 24) {
            hold::<bf16, f32>(&whole, optimum, maximize, bf16::from_f64, F32_ROUNDOFF)
        } else if kind <= 2 && fits(&whole, |cost| cost as f32, 24) {
            hold::<f32, f32>(&whole, optimum, maximize, |cost| cost as f32, F32_ROUNDOFF)
        } else {
            hold::<f64, f64>(&whole, optimum, maximize, |cost| cost, F64_ROUNDOFF)
        };
        match outcome {
            Ok(tally) => {
                total.exact += tally.exact;
                total.proven += tally.proven;
                total.redone += tally.redone;
                total.bad += tally.bad;
            }
            Err(wrong) => panic!("{family:?}, seed {seed}: {wrong}"),
        }
        bar.inc(1);
    }
    bar.finish();
    println!("{count} problems: {total:?}; 0 not optimal, 0 certificates refused");
    assert!(
        total.exact > 0 && total.bad > 0,
        "the families must be of several kinds: {total:?}"
    );
}
