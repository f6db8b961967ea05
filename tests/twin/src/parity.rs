//! Random batches, and what a device's solution of one is held to.

use anyhow::{Context, Result, ensure};
use hungarian_loss::batch::Shape;
use hungarian_loss::cuda::plan::CostType;
use hungarian_loss::problem::given::Problem;
use hungarian_loss::prove::certificate::check;
use hungarian_loss::simd::cost::Real;
use hungarian_loss::simd::sum::compensated_sum;
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
    /// Gives a limit, or one to each problem: one of the costs, or as large as it can be.
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
    let limits: Vec<T::Real> = (0..problems.max(1))
        .map(|_| {
            T::Real::round_from(match random.below(6) {
                0 => 1e20,
                1 => largest_real::<T>(),
                2 => -largest_real::<T>(),
                _ if cost.is_empty() => 0.0,
                _ => cost[random.index(cost.len())].widen(),
            })
        })
        .collect();
    if traits.forbids {
        let one_in = 2 + random.below(4);
        for cost in &mut cost {
            if random.one_in(one_in) {
                *cost = T::narrow(sign * f64::INFINITY);
            }
        }
    }
    let mut batch = Batch::new(shape, cost);
    batch.maximize = traits.maximize;
    if traits.limit {
        batch.cost_limit_is_uniform = random.one_in(2);
        let count = if batch.cost_limit_is_uniform {
            1
        } else {
            problems
        };
        batch.cost_limit = limits[..count].to_vec();
        // Some of them have none, or one that spoils the problem.
        for value in [f64::INFINITY, f64::NAN] {
            if count > 1 && random.one_in(4) {
                batch.cost_limit[random.index(count)] = T::Real::round_from(value);
            }
        }
    } else if random.one_in(3) {
        batch.cost_limit = vec![T::Real::round_from(f64::NEG_INFINITY)];
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
    batch
}

/// The largest number of the type that totals, duals and limits have.
fn largest_real<T: Number>() -> f64 {
    match T::COST_TYPE {
        CostType::Double => f64::MAX,
        _ => f64::from(f32::MAX),
    }
}

/// What a solution is judged by: all in multiples of the largest magnitude C of an allowed cost, so
/// that nothing overflows.
struct Scale {
    /// C, or 1 where it is 0.
    unit: f64,
    /// What the limit counts as: at most 4 (m + 1) C, where m is the number of rows or columns,
    /// whichever is less. 0 for none.
    limit: f64,
    /// Rows and columns that exist.
    existing: usize,
}

impl Scale {
    fn of<T: Number>(problem: &Problem<T>) -> Self {
        let rows = problem.row_mask.existing(problem.rows);
        let cols = problem.col_mask.existing(problem.cols);
        let pairs = rows
            .iter()
            .flat_map(|&row| cols.iter().map(move |&col| (row, col)));
        let costs = pairs.map(|(row, col)| problem.cost[row * problem.cols + col].widen().abs());
        let largest = costs.filter(|cost| cost.is_finite()).fold(0.0, f64::max);
        let limit = problem.options.cost_limit;
        let shorter = rows.len().min(cols.len());
        let most = 4.0 * (shorter + 1) as f64;
        let unit = if largest > 0.0 { largest } else { 1.0 };
        Scale {
            unit,
            limit: match (limit.is_finite(), largest > 0.0) {
                (false, _) => 0.0,
                (true, true) => (limit / unit).clamp(-most, most),
                // All costs are 0: its sign is what counts.
                (true, false) if limit == 0.0 => 0.0,
                (true, false) => limit.signum(),
            },
            existing: rows.len() + cols.len(),
        }
    }

    /// The sum of the pairs' costs.
    fn total<T: Number>(&self, problem: &Problem<T>, row_to_col: &[i32]) -> f64 {
        let pairs = row_to_col.iter().enumerate().filter(|(_, col)| **col >= 0);
        let costs =
            pairs.map(|(row, &col)| problem.cost[row * problem.cols + col as usize].widen());
        compensated_sum(costs.map(|cost| cost / self.unit))
    }

    /// The total, and what is paid for all that is not matched.
    fn objective<T: Number>(&self, problem: &Problem<T>, row_to_col: &[i32]) -> f64 {
        let matched = row_to_col.iter().filter(|&&col| col >= 0).count();
        self.total(problem, row_to_col) + self.limit / 2.0 * (self.existing - 2 * matched) as f64
    }
}

/// Holds a solution to the CPU's: the same verdicts, a certificate that holds, an objective as
/// good.
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
            let scale = Scale::of(problem);
            let shorter = problem.rows.min(problem.cols) as f64;
            let got = scale.objective(problem, &answer.row_to_col);
            let best = scale.objective(problem, &reference.row_to_col);
            // Both may be off by rows * 2^-50 of the largest magnitude; sums of theirs were rounded
            // here.
            let tolerance = 4.0 * shorter * scale.limit.abs().max(1.0) / (1u64 << 50) as f64;
            ensure!(
                (got - best).abs() <= tolerance,
                "problem {index}: objective {got:e} times the largest cost, expected {best:e}"
            );
            let sum = scale.total(problem, &answer.row_to_col);
            let total = answer.total_cost / scale.unit;
            let (existing, most) = (scale.existing as f64, largest_real::<T>());
            let tolerance = 2.0 * T::ROUNDOFF * shorter;
            let is_right = match total.is_infinite() {
                // The sum is out of range, but for what rounding allows.
                true => sum * total.signum() + tolerance >= most / scale.unit,
                false => (total - sum).abs() <= tolerance,
            };
            ensure!(
                is_right,
                "problem {index}: total {total:e} times the largest cost, expected {sum:e}"
            );
            if scale.unit > most / (4.0 * existing) {
                // No certificate is promised.
                return Ok(());
            }
            let limit = problem.options.cost_limit;
            if limit.is_finite() && limit.abs() > f64::MAX / (4.0 * existing) {
                // The certificate's sums would leave the range of f64.
                return Ok(());
            }
            check(problem, &answer, T::ROUNDOFF)
                .with_context(|| format!("problem {index}: {answer:?}"))
        })?;
    }
    Ok(())
}
