//! What the Rust tests share: owned problems, one call of the batch solver, an oracle that tries
//! everything.

// Each test program uses its own part.
#![allow(dead_code)]

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};

use hungarian_loss::batch::{self, Inputs, Outputs, Shape, Solvable, Tally};
use hungarian_loss::problem::given::{Mask, Options, Problem};
use hungarian_loss::prove::certificate::Answer;
use hungarian_loss::simd::cost::Cost;
use hungarian_loss::simd::cost::Real;
use hungarian_loss::simd::level::Level;
use num_bigint::BigInt;

/// The largest relative error of rounding to f32.
pub const F32_ROUNDOFF: f64 = 1.0 / (1u64 << 24) as f64;
/// The same of f64.
pub const F64_ROUNDOFF: f64 = 1.0 / (1u64 << 53) as f64;

/// A problem that owns its data.
#[derive(Clone, Debug)]
pub struct Owned<T> {
    pub rows: usize,
    pub cols: usize,
    pub cost: Vec<T>,
    pub row_mask: Vec<bool>,
    pub col_mask: Vec<bool>,
    pub options: Options,
}

impl<T: Cost> Owned<T> {
    /// A plain minimisation.
    pub fn new(rows: usize, cols: usize, cost: Vec<T>) -> Self {
        assert_eq!(cost.len(), rows * cols);
        Owned {
            rows,
            cols,
            cost,
            row_mask: vec![true; rows],
            col_mask: vec![true; cols],
            options: Options::default(),
        }
    }

    pub fn view(&self) -> Problem<'_, T> {
        Problem {
            cost: &self.cost,
            rows: self.rows,
            cols: self.cols,
            row_mask: Mask::Each(&self.row_mask),
            col_mask: Mask::Each(&self.col_mask),
            options: self.options,
        }
    }
}

/// Says that something is not tested, since this machine lacks what it needs; to stdout itself, as
/// nobody sees what a test that passes prints. Notes it for the end of `make test`, as
/// tests/skips.py does.
pub fn say_skipped(what: &str) {
    let line = format!("SKIPPED: {what}\n");
    io::stdout()
        .write_all(line.as_bytes())
        .expect("stdout is open");
    if let Some(path) = env::var_os("HUNGARIAN_SKIPPED") {
        let list = OpenOptions::new().create(true).append(true).open(path);
        list.and_then(|mut list| list.write_all(line.as_bytes()))
            .expect("the file that HUNGARIAN_SKIPPED names can be written");
    }
}

/// Solves one problem. Outputs start as rubbish, so that one left unwritten shows.
pub fn solve<T: Solvable<Real = U>, U: Real + Into<f64>>(problem: &Owned<T>) -> (Answer, i32) {
    let (answer, status, _) = solve_and_tally::<T, U>(problem);
    (answer, status)
}

/// The same, with the way in which the answer came about.
pub fn solve_and_tally<T: Solvable<Real = U>, U: Real + Into<f64>>(
    problem: &Owned<T>,
) -> (Answer, i32, Tally) {
    let (mut answers, tally) = solve_batch_at(Level::best(), std::slice::from_ref(problem));
    let (answer, status) = answers.pop().expect("one answer");
    (answer, status, tally)
}

/// Solves problems of one shape and sense in one call.
pub fn solve_together<T: Solvable<Real = U>, U: Real + Into<f64>>(
    problems: &[Owned<T>],
) -> Vec<(Answer, i32)> {
    solve_batch_at(Level::best(), problems).0
}

/// The same at a certain level, with the way in which the answers came about.
pub fn solve_batch_at<T: Solvable<Real = U>, U: Real + Into<f64>>(
    level: Level,
    batch: &[Owned<T>],
) -> (Vec<(Answer, i32)>, Tally) {
    solve_batch_with(level, batch, false)
}

/// The same. Masks without gaps, and limits that do not differ, are given as one for all, unless
/// there is to be one `for_each`.
pub fn solve_batch_with<T: Solvable<Real = U>, U: Real + Into<f64>>(
    level: Level,
    batch: &[Owned<T>],
    for_each: bool,
) -> (Vec<(Answer, i32)>, Tally) {
    let Owned {
        rows,
        cols,
        options,
        ..
    } = batch[0];
    let problems = batch.len();
    let shape = Shape {
        problems,
        rows,
        cols,
    };
    let rubbish = U::round_from(-77.0);
    let (mut total_cost, mut status) = (vec![rubbish; problems], vec![-77; problems]);
    let (mut row_to_col, mut col_to_row) = (vec![-77; problems * rows], vec![-77; problems * cols]);
    let mut row_duals = vec![rubbish; problems * rows];
    let mut col_duals = vec![rubbish; problems * cols];
    let limits = batch.iter().map(|problem| {
        let limit = problem.options.cost_limit;
        let rounded = U::round_from(limit);
        let is_kept = rounded.into() == limit || limit.is_nan();
        assert!(is_kept, "the limit {limit:e} is no number of that type");
        rounded
    });
    let mut limits: Vec<U> = limits.collect();
    let is_one = |limit: &U| (*limit).into().to_bits() == limits[0].into().to_bits();
    if !for_each && limits.iter().all(is_one) {
        limits.truncate(1);
    }
    let flat = |part: fn(&Owned<T>) -> &[bool]| -> Vec<bool> {
        let flags: Vec<bool> = batch.iter().flat_map(part).copied().collect();
        if !for_each && flags.iter().all(|&exists| exists) {
            vec![true]
        } else {
            flags
        }
    };
    let tally = batch::solve_at(
        level,
        shape,
        &Inputs {
            cost: &batch
                .iter()
                .flat_map(|problem| &problem.cost)
                .copied()
                .collect::<Vec<T>>(),
            row_mask: &flat(|problem| &problem.row_mask),
            col_mask: &flat(|problem| &problem.col_mask),
            cost_limit: &limits,
            maximize: options.maximize,
        },
        &mut Outputs {
            total_cost: &mut total_cost,
            row_to_col: &mut row_to_col,
            col_to_row: &mut col_to_row,
            row_duals: &mut row_duals,
            col_duals: &mut col_duals,
            status: &mut status,
        },
    )
    .expect("sizes fit");
    let widen = |values: &[U]| values.iter().map(|&value| value.into()).collect();
    let answers = (0..problems).map(|index| {
        let (of_rows, of_cols) = (
            index * rows..(index + 1) * rows,
            index * cols..(index + 1) * cols,
        );
        let answer = Answer {
            total_cost: total_cost[index].into(),
            row_to_col: row_to_col[of_rows.clone()].to_vec(),
            col_to_row: col_to_row[of_cols.clone()].to_vec(),
            row_duals: widen(&row_duals[of_rows]),
            col_duals: widen(&col_duals[of_cols]),
        };
        (answer, status[index])
    });
    (answers.collect(), tally)
}

/// Least objective over all assignments, found by trying them all; `None` if there is none. The
/// objective is doubled, so that with whole costs and limits it is a whole number and every sum is
/// exact.
pub fn doubled_optimum<T: Cost>(problem: &Owned<T>) -> Option<f64> {
    let view = problem.view();
    let sign = problem.options.sign();
    let limit = sign * problem.options.cost_limit;
    let rows: Vec<usize> = (0..problem.rows)
        .filter(|&row| problem.row_mask[row])
        .collect();
    let cols: Vec<usize> = (0..problem.cols)
        .filter(|&col| problem.col_mask[col])
        .collect();
    let costs: Vec<Vec<f64>> = rows
        .iter()
        .map(|&row| {
            cols.iter()
                .map(|&col| sign * view.cost_of(row, col))
                .collect()
        })
        .collect();
    let mut search = Search {
        costs: &costs,
        cols: cols.len(),
        limit: limit.is_finite().then_some(limit),
        required: rows.len().min(cols.len()),
        taken: vec![false; cols.len()],
        best: None,
    };
    search.extend(0, 0, 0.0);
    search.best
}

struct Search<'a> {
    costs: &'a [Vec<f64>],
    cols: usize,
    limit: Option<f64>,
    required: usize,
    taken: Vec<bool>,
    best: Option<f64>,
}

impl Search<'_> {
    /// Tries everything for the rows from `row` on, with `matched` rows before it matched at
    /// `doubled_cost`.
    fn extend(&mut self, row: usize, matched: usize, doubled_cost: f64) {
        if row == self.costs.len() {
            let objective = match self.limit {
                None if matched < self.required => return,
                None => doubled_cost,
                Some(limit) => {
                    doubled_cost + limit * (self.costs.len() + self.cols - 2 * matched) as f64
                }
            };
            self.best = Some(self.best.map_or(objective, |best| best.min(objective)));
            return;
        }
        self.extend(row + 1, matched, doubled_cost);
        for col in 0..self.cols {
            if !self.taken[col] && self.costs[row][col].is_finite() {
                self.taken[col] = true;
                self.extend(
                    row + 1,
                    matched + 1,
                    doubled_cost + 2.0 * self.costs[row][col],
                );
                self.taken[col] = false;
            }
        }
    }
}

/// The answer's objective, doubled.
pub fn doubled_objective<T: Cost>(problem: &Owned<T>, answer: &Answer) -> f64 {
    let sign = problem.options.sign();
    let limit = sign * problem.options.cost_limit;
    let existing = |mask: &[bool]| mask.iter().filter(|&&exists| exists).count();
    let matched = existing_matches(&answer.row_to_col);
    let unmatched = existing(&problem.row_mask) + existing(&problem.col_mask) - 2 * matched;
    let penalty = if limit.is_finite() {
        limit * unmatched as f64
    } else {
        0.0
    };
    2.0 * sign * answer.total_cost + penalty
}

fn existing_matches(row_to_col: &[i32]) -> usize {
    row_to_col.iter().filter(|&&col| col >= 0).count()
}

/// A finite number as a whole multiple of 2^−1074.
pub fn whole(value: f64) -> BigInt {
    let bits = value.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as u32;
    let fraction = bits & ((1 << 52) - 1);
    let magnitude = match exponent {
        0 => BigInt::from(fraction),
        _ => BigInt::from(fraction | 1 << 52) << (exponent - 1),
    };
    if value < 0.0 { -magnitude } else { magnitude }
}

/// Existing rows and columns.
fn existing<T>(problem: &Owned<T>) -> (Vec<usize>, Vec<usize>) {
    let list = |mask: &[bool]| (0..mask.len()).filter(|&index| mask[index]).collect();
    (list(&problem.row_mask), list(&problem.col_mask))
}

/// Existing, allowed costs, to be minimised, as wholes.
fn allowed_costs<T: Cost>(problem: &Owned<T>) -> Vec<BigInt> {
    let (rows, cols) = existing(problem);
    let view = problem.view();
    let pairs = rows
        .iter()
        .flat_map(|&row| cols.iter().map(move |&col| (row, col)));
    let costs = pairs.map(|(row, col)| problem.options.sign() * view.cost_of(row, col));
    costs.filter(|cost| cost.is_finite()).map(whole).collect()
}

/// What a finite limit counts as, when minimising: clamp(L, ±4(min(rows, cols) + 1)·C), and L where
/// C = max|c| is 0.
pub fn effective_limit<T: Cost>(problem: &Owned<T>) -> BigInt {
    let (rows, cols) = existing(problem);
    let costs = allowed_costs(problem);
    let largest = costs.iter().map(|cost| cost.magnitude().clone()).max();
    let largest = BigInt::from(largest.unwrap_or_default());
    let limit = whole(problem.options.sign() * problem.options.cost_limit);
    if largest == BigInt::ZERO {
        return limit;
    }
    let bound = largest * (4 * (rows.len().min(cols.len()) + 1));
    limit.clamp(-bound.clone(), bound)
}

/// rows·2^−50·max(|c|, |L'|), which is what an answer may be off by where rounding could not be
/// avoided.
pub fn allowance<T: Cost>(problem: &Owned<T>, limit: &BigInt) -> BigInt {
    let (rows, cols) = existing(problem);
    let costs = allowed_costs(problem);
    let magnitudes = costs
        .iter()
        .chain([limit])
        .map(|number| number.magnitude().clone());
    (BigInt::from(magnitudes.max().unwrap_or_default()) * rows.len().min(cols.len())) >> 50
}

/// Least doubled objective over all assignments under a limit, exact, found by trying them all.
pub fn exact_doubled_optimum<T: Cost>(problem: &Owned<T>, limit: &BigInt) -> BigInt {
    let (rows, cols) = existing(problem);
    let (view, sign) = (problem.view(), problem.options.sign());
    // Least doubled cost less doubled limits of the pairs so far, by the set of columns taken.
    let mut least = vec![None; 1 << cols.len()];
    least[0] = Some(BigInt::ZERO);
    for &row in &rows {
        let mut next = least.clone();
        for (taken, sum) in least.iter().enumerate() {
            let Some(sum) = sum else { continue };
            for (place, &col) in cols.iter().enumerate() {
                let cost = sign * view.cost_of(row, col);
                if taken >> place & 1 == 0 && cost.is_finite() {
                    let offer = sum + 2 * (whole(cost) - limit);
                    let best = &mut next[taken | 1 << place];
                    if best.as_ref().is_none_or(|best| offer < *best) {
                        *best = Some(offer);
                    }
                }
            }
        }
        least = next;
    }
    let best = least
        .into_iter()
        .flatten()
        .min()
        .expect("nothing need be matched");
    best + limit * (rows.len() + cols.len())
}

/// The doubled objective of a matching under a limit, exact.
pub fn exact_doubled_objective<T: Cost>(
    problem: &Owned<T>,
    limit: &BigInt,
    row_to_col: &[i32],
) -> BigInt {
    let (rows, cols) = existing(problem);
    let (view, sign) = (problem.view(), problem.options.sign());
    let pairs = row_to_col.iter().enumerate().filter(|(_, col)| **col >= 0);
    let of_pairs: BigInt = pairs
        .map(|(row, &col)| 2 * (whole(sign * view.cost_of(row, col as usize)) - limit))
        .sum();
    of_pairs + limit * (rows.len() + cols.len())
}
