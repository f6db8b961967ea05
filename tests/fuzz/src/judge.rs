//! What must hold of every answer.

use half::{bf16, f16};
use hungarian_loss::batch::{self, Inputs, Outputs, Shape, Solvable, Tally};
use hungarian_loss::problem::given::Options;
use hungarian_loss::prove::certificate::{Answer, check};
use hungarian_loss::simd::cost::Cost;
use hungarian_loss::simd::cost::Real;
use num_bigint::BigInt;

use crate::case::{Case, Kind};
use crate::common::{Owned, solve_and_tally, whole};
use crate::exact::{doubled_objective, doubled_optimum};

const OPTIMAL: i32 = 0;
const INFEASIBLE: i32 = 1;
const INVALID: i32 = 2;

/// Beyond so many on the shorter side, the oracle would take most of the time.
const LARGEST_FOR_ORACLE: usize = 5;

/// The type of totals and duals.
#[derive(Clone, Copy)]
struct Format {
    digits: u32,
    most: f64,
    least_normal: f64,
}

const F32: Format = Format {
    digits: 24,
    most: f32::MAX as f64,
    least_normal: f32::MIN_POSITIVE as f64,
};
const F64: Format = Format {
    digits: 53,
    most: f64::MAX,
    // The certificate itself makes room for what lies below.
    least_normal: 0.0,
};

/// The existing part of a problem, in the sense of minimising. Made from the case, not from the
/// solver's view of it.
#[derive(Debug)]
pub struct Minimisation {
    /// Row by row; +inf is forbidden.
    pub cost: Vec<Vec<f64>>,
    /// Number of existing columns; there may be no row to tell it.
    cols: usize,
    /// Finite, or none.
    pub limit: Option<f64>,
    invalid: bool,
}

impl Minimisation {
    fn of<T: Cost>(problem: &Owned<T>) -> Self {
        let sign = if problem.options.maximize { -1.0 } else { 1.0 };
        let existing = |mask: &[bool]| -> Vec<usize> {
            (0..mask.len()).filter(|&index| mask[index]).collect()
        };
        let cols = existing(&problem.col_mask);
        let cost: Vec<Vec<f64>> = existing(&problem.row_mask)
            .into_iter()
            .map(|row| {
                cols.iter()
                    .map(|col| sign * problem.cost[row * problem.cols + col].widen())
                    .collect()
            })
            .collect();
        let limit = sign * problem.options.cost_limit;
        let wrong = |cost: &f64| cost.is_nan() || *cost == f64::NEG_INFINITY;
        Minimisation {
            invalid: limit.is_nan() || cost.iter().flatten().any(wrong),
            cols: cols.len(),
            cost,
            limit: limit.is_finite().then_some(limit),
        }
    }

    pub fn rows(&self) -> usize {
        self.cost.len()
    }

    pub fn cols(&self) -> usize {
        self.cols
    }

    pub fn allows(&self, row: usize, col: usize) -> bool {
        self.cost[row][col] < f64::INFINITY
    }

    fn shorter(&self) -> usize {
        self.rows().min(self.cols())
    }

    /// max(|c|, |L|).
    fn largest(&self) -> f64 {
        let costs = self.cost.iter().flatten().copied();
        costs
            .chain(self.limit)
            .filter(|cost| cost.is_finite())
            .fold(0.0, |largest, cost| largest.max(cost.abs()))
    }

    /// max(|c|, |L'|), where L' is what the limit counts as: no more than 4(min(rows, cols) + 1)
    /// times the largest cost, unless that is 0.
    fn largest_that_counts(&self) -> BigInt {
        let costs = self.cost.iter().flatten().copied();
        let largest = costs
            .filter(|cost| cost.is_finite())
            .fold(0.0, |largest: f64, cost| largest.max(cost.abs()));
        let limit = whole(self.limit.unwrap_or(0.0).abs());
        if largest == 0.0 {
            return limit;
        }
        let bound = whole(largest) * (4 * (self.shorter() + 1));
        whole(largest).max(limit.min(bound))
    }

    fn verdict(&self) -> i32 {
        if self.invalid {
            INVALID
        } else if self.limit.is_some() || self.most_matches() == self.shorter() {
            OPTIMAL
        } else {
            INFEASIBLE
        }
    }

    /// Size of a largest matching of allowed pairs, by augmenting paths.
    fn most_matches(&self) -> usize {
        let mut row_of_col = vec![None; self.cols()];
        (0..self.rows())
            .filter(|&row| self.augment(row, &mut vec![false; self.cols()], &mut row_of_col))
            .count()
    }

    fn augment(&self, row: usize, seen: &mut [bool], row_of_col: &mut [Option<usize>]) -> bool {
        for col in 0..self.cols() {
            if !self.allows(row, col) || std::mem::replace(&mut seen[col], true) {
                continue;
            }
            if row_of_col[col].is_none_or(|other| self.augment(other, seen, row_of_col)) {
                row_of_col[col] = Some(row);
                return true;
            }
        }
        false
    }
}

/// Panics on the first thing that does not hold.
pub fn hold(case: &Case) {
    match case.kind {
        Kind::Half => hold_as::<f16, f32>(case, f16::from_f64, F32),
        Kind::Bfloat16 => hold_as::<bf16, f32>(case, bf16::from_f64, F32),
        Kind::Float => hold_as::<f32, f32>(case, |cost| cost as f32, F32),
        Kind::Double => hold_as::<f64, f64>(case, |cost| cost, F64),
    }
}

fn hold_as<T: Solvable<Real = U>, U: Real + Into<f64>>(
    case: &Case,
    narrow: fn(f64) -> T,
    format: Format,
) {
    let cost: Vec<T> = case.cost.iter().map(|&cost| narrow(cost)).collect();
    let together = solve_batch::<T, U>(case, &cost);
    for (index, (answer, status)) in together.iter().enumerate() {
        let problem = single(case, &cost, index);
        let (alone, status_alone, tally) = solve_and_tally::<T, U>(&problem);
        assert_eq!(
            *status, status_alone,
            "problem {index} depends on its neighbours"
        );
        assert_eq!(
            bits(answer),
            bits(&alone),
            "problem {index} depends on its neighbours: {answer:?}, alone {alone:?}"
        );
        let minimisation = Minimisation::of(&problem);
        assert_eq!(
            *status,
            minimisation.verdict(),
            "status of problem {index}: {minimisation:?}"
        );
        if *status == OPTIMAL {
            hold_optimal(&problem, &minimisation, answer, tally, format);
        } else {
            hold_bad(&problem, answer, *status);
        }
    }
}

/// The problem at `index` alone, with masks written out.
fn single<T: Cost>(case: &Case, cost: &[T], index: usize) -> Owned<T> {
    let mask = |flags: &[bool], length: usize| match flags {
        [flag] => vec![*flag; length],
        _ => flags[index * length..][..length].to_vec(),
    };
    let size = case.rows * case.cols;
    Owned {
        rows: case.rows,
        cols: case.cols,
        cost: cost[index * size..][..size].to_vec(),
        row_mask: mask(&case.row_mask, case.rows),
        col_mask: mask(&case.col_mask, case.cols),
        options: Options {
            cost_limit: match case.cost_limit[..] {
                [limit] => limit,
                _ => case.cost_limit[index],
            },
            maximize: case.maximize,
        },
    }
}

/// Solves all problems in one call, and has the first bad one described.
fn solve_batch<T: Solvable<Real = U>, U: Real + Into<f64>>(
    case: &Case,
    cost: &[T],
) -> Vec<(Answer, i32)> {
    let &Case {
        problems,
        rows,
        cols,
        ..
    } = case;
    let shape = Shape {
        problems,
        rows,
        cols,
    };
    let limits = case.cost_limit.iter();
    let cost_limit: Vec<U> = limits.map(|&limit| U::round_from(limit)).collect();
    let inputs = Inputs {
        cost,
        row_mask: &case.row_mask,
        col_mask: &case.col_mask,
        cost_limit: &cost_limit,
        maximize: case.maximize,
    };
    let rubbish = U::round_from(-77.0);
    let (mut total_cost, mut status) = (vec![rubbish; problems], vec![-77; problems]);
    let (mut row_to_col, mut col_to_row) = (vec![-77; problems * rows], vec![-77; problems * cols]);
    let (mut row_duals, mut col_duals) = (
        vec![rubbish; problems * rows],
        vec![rubbish; problems * cols],
    );
    let mut outputs = Outputs {
        total_cost: &mut total_cost,
        row_to_col: &mut row_to_col,
        col_to_row: &mut col_to_row,
        row_duals: &mut row_duals,
        col_duals: &mut col_duals,
        status: &mut status,
    };
    batch::solve(shape, &inputs, &mut outputs).expect("sizes fit");

    let sentence = batch::describe_first_bad(shape, &inputs, &[problems as i64], &status);
    let sentence = sentence.expect("sizes fit");
    let bad = status.iter().any(|&code| code != OPTIMAL);
    assert_eq!(sentence.is_some(), bad, "{sentence:?}");

    let part = |values: &[U], index: usize, length: usize| {
        let values = &values[index * length..][..length];
        values.iter().map(|&value| value.into()).collect()
    };
    (0..problems)
        .map(|index| {
            let answer = Answer {
                total_cost: total_cost[index].into(),
                row_to_col: row_to_col[index * rows..][..rows].to_vec(),
                col_to_row: col_to_row[index * cols..][..cols].to_vec(),
                row_duals: part(&row_duals, index, rows),
                col_duals: part(&col_duals, index, cols),
            };
            (answer, status[index])
        })
        .collect()
}

/// Everything in an answer, in a form that can be compared where it is NaN.
fn bits(answer: &Answer) -> (Vec<u64>, &[i32], &[i32]) {
    let reals = answer.row_duals.iter().chain(&answer.col_duals);
    let reals = reals.chain([&answer.total_cost]).map(|real| real.to_bits());
    (reals.collect(), &answer.row_to_col, &answer.col_to_row)
}

fn hold_bad<T>(problem: &Owned<T>, answer: &Answer, status: i32) {
    let total = match status {
        INVALID => f64::NAN,
        _ if problem.options.maximize => f64::NEG_INFINITY,
        _ => f64::INFINITY,
    };
    assert!(answer.total_cost == total || answer.total_cost.is_nan() && total.is_nan());
    let mut indices = answer.row_to_col.iter().chain(&answer.col_to_row);
    assert!(indices.all(|&index| index == -1));
    let mut duals = answer.row_duals.iter().chain(&answer.col_duals);
    assert!(duals.all(|&dual| dual == 0.0));
}

fn hold_optimal<T: Cost>(
    problem: &Owned<T>,
    minimisation: &Minimisation,
    answer: &Answer,
    tally: Tally,
    format: Format,
) {
    let largest = minimisation.largest();
    let sides = (minimisation.rows() + minimisation.cols()) as f64;
    // Duals are sums of at most so many costs and limits. Below this range, half a limit may be no
    // number of the type.
    let range = format.least_normal..format.most / (4.0 * (sides + 1.0));
    if largest == 0.0 || range.contains(&largest) {
        let mut duals = answer.row_duals.iter().chain(&answer.col_duals);
        assert!(duals.all(|dual| dual.is_finite()) && answer.total_cost.is_finite());
        let roundoff = 0.5f64.powi(format.digits as i32);
        check(&problem.view(), answer, roundoff).unwrap_or_else(|violation| {
            panic!("{violation}; {tally:?}, {minimisation:?}, {answer:?}");
        });
    }

    let pairs = existing_pairs(problem, answer);
    hold_total(
        minimisation,
        &pairs,
        problem.options.sign() * answer.total_cost,
        format,
    );
    if minimisation.shorter() > LARGEST_FOR_ORACLE {
        return;
    }
    let gap = doubled_objective(minimisation, &pairs) - doubled_optimum(&minimisation.narrow());
    let allowed = match tally.exact {
        1 => BigInt::ZERO,
        _ => (minimisation.largest_that_counts() * (2 * minimisation.shorter())) >> 50,
    };
    assert!(
        BigInt::ZERO <= gap && gap <= allowed,
        "doubled objective is over the optimum by {gap} of 2^-1074, allowed {allowed}; \
         {tally:?}, {minimisation:?}, {answer:?}"
    );
}

impl Minimisation {
    /// The same with no more columns than rows, which is what the oracle's time depends on.
    fn narrow(&self) -> Self {
        let transposed = self.cols() > self.rows();
        let cost = if transposed {
            (0..self.cols())
                .map(|col| self.cost.iter().map(|line| line[col]).collect())
                .collect()
        } else {
            self.cost.clone()
        };
        Minimisation {
            cost,
            cols: self.shorter(),
            limit: self.limit,
            invalid: self.invalid,
        }
    }
}

/// The matched pairs, counted among existing rows and columns.
fn existing_pairs<T>(problem: &Owned<T>, answer: &Answer) -> Vec<(usize, usize)> {
    let rank = |mask: &[bool], index: usize| mask[..index].iter().filter(|&&exists| exists).count();
    let partners = answer.row_to_col.iter().enumerate();
    partners
        .filter(|&(_, &col)| col != -1)
        .map(|(row, &col)| {
            let col = usize::try_from(col).expect("an index or -1");
            assert!(
                problem.row_mask[row] && problem.col_mask[col],
                "a masked pair"
            );
            assert_eq!(usize::try_from(answer.col_to_row[col]), Ok(row));
            (rank(&problem.row_mask, row), rank(&problem.col_mask, col))
        })
        .collect()
}

/// The total is the sum of the matched costs, but for rounding; infinite only beyond the range.
fn hold_total(minimisation: &Minimisation, pairs: &[(usize, usize)], total: f64, format: Format) {
    let costs = || {
        pairs
            .iter()
            .map(|&(row, col)| whole(minimisation.cost[row][col]))
    };
    let sum: BigInt = costs().sum();
    let magnitude = |value: BigInt| BigInt::from(value.magnitude().clone());
    if total.is_infinite() {
        assert!(
            magnitude(sum) > whole(format.most),
            "the total {total} is infinite too early"
        );
        return;
    }
    // Some ulps of the sum, and what may be lost where terms cancel. Sums of denormals are exact.
    let terms: BigInt = costs().map(magnitude).sum();
    let allowed = (magnitude(sum.clone()) >> (format.digits - 2)) + (terms >> 96);
    let error = magnitude(whole(total) - &sum);
    assert!(
        error <= allowed,
        "the total {total:e} is off by {error} of 2^-1074, allowed {allowed}; {minimisation:?}, {pairs:?}"
    );
}
