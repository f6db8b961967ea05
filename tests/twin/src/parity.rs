//! Random batches, and what a device's solution of one is held to.

use anyhow::{Context, Result, ensure};
use hungarian_loss::batch::Shape;
use hungarian_loss::certificate::check;
use hungarian_loss::problem::Problem;
use hungarian_random::Random;

use crate::{Batch, Number, Solution};

/// How costs are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 0 … 2.
    FewValues,
    /// −1000 … 1000.
    Whole,
    /// 1 + k ulps, k < 4.
    UlpsApart,
    /// 10^6 + U(0, 1).
    Offset,
    /// U(0, 1).
    Uniform,
    /// ±10^U(−4, 4).
    WideRange,
    /// i·j, the worst case for augmenting paths.
    Products,
    /// a_i + b_j: all assignments of a square tie.
    Separable,
    /// |x_i − y_j| on a line: many near ties.
    Line,
    /// All the same.
    Equal,
    /// ± the largest there is: sums overflow.
    Huge,
    /// A few of the smallest, twice: half the limit is a number too.
    Denormal,
}

/// All of them.
pub const FAMILIES: [Family; 12] = [
    Family::FewValues,
    Family::Whole,
    Family::UlpsApart,
    Family::Offset,
    Family::Uniform,
    Family::WideRange,
    Family::Products,
    Family::Separable,
    Family::Line,
    Family::Equal,
    Family::Huge,
    Family::Denormal,
];

impl Family {
    /// One problem's costs.
    pub fn draw<T: Number>(self, random: &mut Random, rows: usize, cols: usize) -> Vec<T> {
        let points = |random: &mut Random, count: usize| -> Vec<f64> {
            (0..count).map(|_| random.uniform()).collect()
        };
        let (a, b) = (points(random, rows), points(random, cols));
        let mut costs = Vec::with_capacity(rows * cols);
        for (row, &a) in a.iter().enumerate() {
            for (col, &b) in b.iter().enumerate() {
                let sign = if random.one_in(2) { -1.0 } else { 1.0 };
                costs.push(T::narrow(match self {
                    Family::FewValues => random.below(3) as f64,
                    Family::Whole => random.below(2001) as f64 - 1000.0,
                    Family::UlpsApart => 1.0 + random.below(4) as f64 * T::ULP_OF_ONE,
                    Family::Offset => (1e6f64).min(T::LARGEST / 2.0) + random.uniform(),
                    Family::Uniform => random.uniform(),
                    Family::WideRange => sign * 10f64.powf(8.0 * random.uniform() - 4.0),
                    Family::Products => ((row + 1) * (col + 1)) as f64,
                    Family::Separable => (50.0 * a).floor() + (50.0 * b).floor(),
                    Family::Line => (a - b).abs(),
                    Family::Equal => -3.5,
                    Family::Huge => sign * T::LARGEST * (1.0 - 0.25 * random.uniform()),
                    Family::Denormal => sign * 2.0 * random.below(4) as f64 * T::SMALLEST,
                }));
            }
        }
        costs
    }
}

/// What is done to a batch beside drawing its costs.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Forbids pairs.
    pub forbids: bool,
    /// Masks rows and columns; what is masked may be NaN.
    pub masks: bool,
    /// Gives a limit that is one of the costs.
    pub limit: bool,
    /// As if costs and limit were negated.
    pub maximize: bool,
    /// Makes two entries invalid.
    pub spoils: bool,
}

/// A batch of a family.
pub fn draw<T: Number>(
    family: Family,
    shape: Shape,
    traits: Traits,
    random: &mut Random,
) -> Batch<T> {
    let Shape {
        problems,
        rows,
        cols,
    } = shape;
    let mut cost = Vec::new();
    for _ in 0..problems {
        cost.extend(family.draw::<T>(random, rows, cols));
    }
    let sign = if traits.maximize { -1.0 } else { 1.0 };
    let near = match cost.is_empty() {
        true => 0.0,
        false => cost[random.index(cost.len())].widen(),
    };
    if traits.forbids {
        let one_in = 2 + random.below(4);
        for cost in &mut cost {
            if random.one_in(one_in) {
                *cost = T::narrow(sign * f64::INFINITY);
            }
        }
    }
    let mut batch = Batch::new(shape, cost);
    batch.options.maximize = traits.maximize;
    if traits.limit {
        batch.options.cost_limit = near;
    } else if random.one_in(3) {
        batch.options.cost_limit = f64::NEG_INFINITY;
    }
    if traits.masks {
        let mut mask = |length: usize| -> Vec<u8> {
            let density = 2 + random.below(4);
            (0..problems * length)
                .map(|_| {
                    if random.one_in(density) {
                        0
                    } else {
                        1 + random.below(255) as u8
                    }
                })
                .collect()
        };
        // One of them only, now and then.
        let (row_mask, col_mask) = (mask(rows), mask(cols));
        if !random.one_in(4) {
            (batch.row_mask, batch.row_mask_is_uniform) = (row_mask, false);
        }
        if !random.one_in(4) {
            (batch.col_mask, batch.col_mask_is_uniform) = (col_mask, false);
        }
        for row in 0..problems * rows {
            for col in 0..cols {
                let problem = row / rows;
                let exists = (batch.row_mask_is_uniform || batch.row_mask[row] != 0)
                    && (batch.col_mask_is_uniform || batch.col_mask[problem * cols + col] != 0);
                if !exists && random.one_in(2) {
                    batch.cost[row * cols + col] = T::narrow(f64::NAN);
                }
            }
        }
    }
    if traits.spoils && !batch.cost.is_empty() {
        for value in [f64::NAN, -sign * f64::INFINITY] {
            let place = random.index(batch.cost.len());
            batch.cost[place] = T::narrow(value);
        }
    }
    // As the op has it: in the type of totals.
    if T::ROUNDOFF > 1e-10 {
        batch.options.cost_limit = f64::from(batch.options.cost_limit as f32);
    }
    batch
}

/// The objective, and how large its terms are.
fn objective<T: Number>(problem: &Problem<T>, total: f64, row_to_col: &[i32]) -> (f64, f64) {
    let limit = problem.options.cost_limit;
    let count =
        |length: usize, exists: &dyn Fn(usize) -> bool| (0..length).filter(|&i| exists(i)).count();
    let existing = count(problem.rows, &|row| problem.row_mask.exists(row))
        + count(problem.cols, &|col| problem.col_mask.exists(col));
    let matched = row_to_col.iter().filter(|&&col| col >= 0).count();
    let penalty = if limit.is_finite() {
        limit / 2.0 * (existing - 2 * matched) as f64
    } else {
        0.0
    };
    (total + penalty, total.abs().max(penalty.abs()))
}

/// Holds a solution to the CPU's: the same verdicts, a certificate that holds, an objective as good.
///
/// # Errors
///
/// What is wrong with it, and with which problem.
pub fn compare<T: Number>(
    batch: &Batch<T>,
    solution: &Solution<T::Real>,
    expected: &Solution<T::Real>,
) -> Result<()> {
    ensure!(
        solution.status == expected.status,
        "status {:?}, expected {:?}",
        solution.status,
        expected.status
    );
    for index in 0..batch.shape.problems {
        let answer = solution.answer(batch.shape, index);
        let reference = expected.answer(batch.shape, index);
        batch.with_problem(index, |problem| -> Result<()> {
            if solution.status[index] != 0 {
                // Placeholders, the same to the last bit.
                ensure!(
                    answer.total_cost.to_bits() == reference.total_cost.to_bits()
                        || answer.total_cost.is_nan() && reference.total_cost.is_nan(),
                    "problem {index}: total {} of a bad problem",
                    answer.total_cost
                );
                ensure!(
                    answer.row_to_col == reference.row_to_col
                        && answer.col_to_row == reference.col_to_row
                        && answer.row_duals == reference.row_duals
                        && answer.col_duals == reference.col_duals,
                    "problem {index}: {answer:?}"
                );
                return Ok(());
            }
            let costs = problem.cost.iter().map(|cost| cost.widen().abs());
            let largest = costs.filter(|cost| cost.is_finite()).fold(0.0, f64::max);
            let (rows, cols) = (problem.rows, problem.cols);
            let most = if T::ROUNDOFF > 1e-10 {
                f64::from(f32::MAX)
            } else {
                f64::MAX
            };
            if largest > most / (4 * (rows + cols).max(1)) as f64 {
                // No certificate is promised, and totals may be out of range: the same pairs, or as good ones.
                let total = |row_to_col: &[i32]| -> f64 {
                    let pairs = row_to_col.iter().enumerate().filter(|(_, col)| **col >= 0);
                    pairs
                        .map(|(row, &col)| {
                            problem.cost[row * cols + col as usize].widen() / largest
                        })
                        .sum()
                };
                let (got, best) = (total(&answer.row_to_col), total(&reference.row_to_col));
                let limited = problem.options.cost_limit.is_finite();
                ensure!(
                    limited || (got - best).abs() <= 1e-14 * rows.max(1) as f64,
                    "problem {index}: {got} times the largest cost, expected {best}"
                );
                return Ok(());
            }
            check(problem, &answer, T::ROUNDOFF)
                .with_context(|| format!("problem {index}: {answer:?}"))?;
            let (got, _) = objective(problem, answer.total_cost, &answer.row_to_col);
            let (best, terms) = objective(problem, reference.total_cost, &reference.row_to_col);
            let limit = problem.options.cost_limit;
            let largest = largest.max(if limit.is_finite() { limit.abs() } else { 0.0 });
            let inexact = rows.min(cols) as f64 * largest / (1u64 << 50) as f64;
            let tolerance = 4.0 * T::ROUNDOFF * terms + 2.0 * inexact + f64::MIN_POSITIVE;
            ensure!(
                (got - best).abs() <= tolerance,
                "problem {index}: objective {got:e}, expected {best:e}"
            );
            Ok(())
        })?;
    }
    Ok(())
}
