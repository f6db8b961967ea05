//! The check that an answer is optimal, from its duals alone.
//!
//! Weak duality: any u, v that keep the inequalities below bound the objective of every assignment.
//! An assignment that meets the equalities below too is therefore optimal, and no second solver is
//! needed to know it. [`check`] looks at nothing but the problem and the answer, and shares no code
//! with the solver but how numbers are summed.
//!
//! Stated for minimising; maximising turns the inequalities round.
//!
//! * u_i + v_j ≤ c_ij on allowed pairs, with equality on matched ones.
//! * No limit, rows < columns: all rows matched, v_j ≤ 0, and v_j = 0 where column j is unmatched.
//!   Rows > columns: the mirror. Square: max v = 0.
//! * Limit L: u_i ≤ L/2 and v_j ≤ L/2, with equality where unmatched.
//! * Σu + Σv = total_cost, plus L/2 for each unmatched row and column.

use crate::problem::given::Problem;
use crate::simd::cost::Cost;
use crate::simd::sum::compensated_sum;

/// An answer in the form of the op's outputs, widened to f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Sum over matched pairs.
    pub total_cost: f64,
    /// Column of each row; −1 = unmatched or masked.
    pub row_to_col: Vec<i32>,
    /// Row of each column; −1 = unmatched or masked.
    pub col_to_row: Vec<i32>,
    /// u.
    pub row_duals: Vec<f64>,
    /// v.
    pub col_duals: Vec<f64>,
}

/// The first thing found wrong with an answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Violation {
    /// The two index outputs do not describe one matching, or match what they must not.
    #[error("not a matching: {0}")]
    Matching(String),
    /// A relation of the certificate does not hold.
    #[error("{relation} fails: {left:e} against {right:e}, tolerance {tolerance:e}")]
    Relation {
        /// Which one.
        relation: String,
        /// Its left side.
        left: f64,
        /// Its right side.
        right: f64,
        /// How far apart they may be.
        tolerance: f64,
    },
}

/// Proves `answer` optimal for `problem`, or says what is wrong with it.
///
/// `unit_roundoff` is that of the type in which the duals were returned (2^−24 or 2^−53): each
/// relation may be off by 4 unit roundoffs of the largest magnitude among all costs, duals and the
/// limit, sums by as much per term. (Among denormal numbers f32 rounds by more, as in half of a
/// limit of 1e-45: such answers are refused.) As this tolerance grows with the duals, they must not
/// be larger than the solver's can be: beside one of 1e300 any relation would hold.
pub fn check<T: Cost>(
    problem: &Problem<T>,
    answer: &Answer,
    unit_roundoff: f64,
) -> Result<(), Violation> {
    let certificate = Certificate::of(problem, answer, unit_roundoff)?;
    certificate.check_pairs()?;
    certificate.check_ceilings()?;
    certificate.check_sum()
}

/// A matching, and duals small enough to tell costs apart.
struct Certificate<'a, T> {
    problem: &'a Problem<'a, T>,
    answer: &'a Answer,
    /// Existing rows.
    rows: Vec<usize>,
    /// Existing columns.
    cols: Vec<usize>,
    /// How many pairs are matched.
    matched: usize,
    /// How far each relation may be off.
    tolerance: f64,
}

impl<'a, T: Cost> Certificate<'a, T> {
    fn of(
        problem: &'a Problem<'a, T>,
        answer: &'a Answer,
        unit_roundoff: f64,
    ) -> Result<Self, Violation> {
        let matched = check_matching(problem, answer)?;
        let mut certificate = Certificate {
            problem,
            answer,
            rows: problem.row_mask.existing(problem.rows),
            cols: problem.col_mask.existing(problem.cols),
            matched,
            tolerance: 0.0,
        };
        let shorter = certificate.rows.len().min(certificate.cols.len());
        if certificate.limit().is_none() && matched != shorter {
            return Err(Violation::Matching(format!(
                "{matched} pairs matched of {shorter} required"
            )));
        }
        let largest = certificate.largest_given();
        let most = most_per_dual(shorter);
        // By a quotient, as the product may be infinite. Written so that NaN fails.
        let is_within = |dual: f64| dual.abs() / most <= largest;
        if let Some(dual) = certificate.duals().find(|&dual| !is_within(dual)) {
            return Err(Violation::Relation {
                relation: "|dual| <= bound".into(),
                left: dual.abs(),
                right: most * largest,
                tolerance: 0.0,
            });
        }
        let largest = certificate.duals().fold(largest, larger_magnitude);
        // A zero tolerance would ask denormal duals to be exact.
        certificate.tolerance = 4.0 * unit_roundoff * largest + f64::MIN_POSITIVE;
        Ok(certificate)
    }

    /// L, if there is one. This and all numbers below are in the sense of minimising.
    fn limit(&self) -> Option<f64> {
        let options = &self.problem.options;
        Some(options.sign() * options.cost_limit).filter(|limit| limit.is_finite())
    }

    /// c.
    fn cost(&self, row: usize, col: usize) -> f64 {
        self.problem.options.sign() * self.problem.cost_of(row, col)
    }

    /// u of a row.
    fn u(&self, row: usize) -> f64 {
        self.problem.options.sign() * self.answer.row_duals[row]
    }

    /// v of a column.
    fn v(&self, col: usize) -> f64 {
        self.problem.options.sign() * self.answer.col_duals[col]
    }

    /// u and v.
    fn duals(&self) -> impl Iterator<Item = f64> {
        let rows = self.rows.iter().map(|&row| self.u(row));
        rows.chain(self.cols.iter().map(|&col| self.v(col)))
    }

    /// max(|c|, |L|), of allowed pairs.
    fn largest_given(&self) -> f64 {
        let of_row = |&row| self.cols.iter().map(move |&col| self.cost(row, col));
        let costs = self.rows.iter().flat_map(of_row);
        let allowed = costs.filter(|cost| cost.is_finite());
        allowed.chain(self.limit()).fold(0.0, larger_magnitude)
    }

    /// No sum u + v is above its cost, and those of matched pairs are not below.
    fn check_pairs(&self) -> Result<(), Violation> {
        for &row in &self.rows {
            for &col in &self.cols {
                let (sum, cost) = (self.u(row) + self.v(col), self.cost(row, col));
                at_most(sum, cost, self.tolerance, || {
                    format!("u[{row}] + v[{col}] <= c")
                })?;
                if self.answer.row_to_col[row] == col as i32 {
                    equal(sum, cost, self.tolerance, || {
                        format!("u[{row}] + v[{col}] = c")
                    })?;
                }
            }
        }
        Ok(())
    }

    /// No dual is above its ceiling, and those of unmatched rows and columns are not below.
    fn check_ceilings(&self) -> Result<(), Violation> {
        let (row_ceiling, col_ceiling) = match (self.limit(), self.rows.len(), self.cols.len()) {
            (Some(limit), ..) => (limit / 2.0, limit / 2.0),
            (None, rows, cols) if rows < cols => (f64::INFINITY, 0.0),
            (None, rows, cols) if rows > cols => (0.0, f64::INFINITY),
            _ => {
                let top = self.cols.iter().map(|&col| self.v(col)).reduce(f64::max);
                let relation = || "max v = 0".into();
                return equal(top.unwrap_or(0.0), 0.0, self.tolerance, relation);
            }
        };
        for &row in &self.rows {
            let is_unmatched = self.answer.row_to_col[row] < 0;
            let name = || format!("u[{row}]");
            self.check_ceiling(self.u(row), row_ceiling, is_unmatched, name)?;
        }
        for &col in &self.cols {
            let is_unmatched = self.answer.col_to_row[col] < 0;
            let name = || format!("v[{col}]");
            self.check_ceiling(self.v(col), col_ceiling, is_unmatched, name)?;
        }
        Ok(())
    }

    fn check_ceiling(
        &self,
        dual: f64,
        ceiling: f64,
        is_unmatched: bool,
        name: impl Fn() -> String,
    ) -> Result<(), Violation> {
        let relation = |is: &str| format!("{} {is} ceiling", name());
        at_most(dual, ceiling, self.tolerance, || relation("<="))?;
        if is_unmatched {
            equal(dual, ceiling, self.tolerance, || relation("="))?;
        }
        Ok(())
    }

    /// The duals add up to the objective.
    fn check_sum(&self) -> Result<(), Violation> {
        let count = self.rows.len() + self.cols.len();
        let unmatched = (count - 2 * self.matched) as f64;
        let penalty = self.limit().map_or(0.0, |limit| limit / 2.0 * unmatched);
        let total_cost = self.problem.options.sign() * self.answer.total_cost;
        let tolerance = (count + 1) as f64 * self.tolerance;
        let sum = compensated_sum(self.duals());
        equal(sum, total_cost + penalty, tolerance, || {
            "sum u + sum v = objective".into()
        })
    }
}

fn larger_magnitude(largest: f64, value: f64) -> f64 {
    largest.max(value.abs())
}

/// How many times max(|c|, |L|) a dual may be, where the shorter side has `shorter` rows or
/// columns.
///
/// In the solver none exceeds 2·shorter + 2, see [`crate::solve::augment`], "size of the numbers".
/// Normalizing shifts all duals by one of them, which doubles that; and [`crate::prove::lift`]
/// moves it by L/2 at most. The sum is less than 4·shorter + 5, and twice as much leaves room for
/// rounding.
fn most_per_dual(shorter: usize) -> f64 {
    8.0 * (shorter as f64 + 2.0)
}

fn at_most(
    left: f64,
    right: f64,
    tolerance: f64,
    relation: impl FnOnce() -> String,
) -> Result<(), Violation> {
    // Written so that NaN fails.
    hold(left <= right + tolerance, left, right, tolerance, relation)
}

fn equal(
    left: f64,
    right: f64,
    tolerance: f64,
    relation: impl FnOnce() -> String,
) -> Result<(), Violation> {
    let is_near = (left - right).abs() <= tolerance;
    hold(is_near, left, right, tolerance, relation)
}

fn hold(
    holds: bool,
    left: f64,
    right: f64,
    tolerance: f64,
    relation: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        return Ok(());
    }
    Err(Violation::Relation {
        relation: relation(),
        left,
        right,
        tolerance,
    })
}

/// Checks the index outputs against each other and the masks. Returns the number of matched pairs.
fn check_matching<T: Cost>(problem: &Problem<T>, answer: &Answer) -> Result<usize, Violation> {
    let wrong = |what: String| Err(Violation::Matching(what));
    let mut matched = 0;
    for row in 0..problem.rows {
        let col = answer.row_to_col[row];
        if col == -1 {
            continue;
        }
        let Some(col) = usize::try_from(col).ok().filter(|&col| col < problem.cols) else {
            return wrong(format!("row_to_col[{row}] = {col}"));
        };
        if !problem.row_mask.exists(row) || !problem.col_mask.exists(col) {
            return wrong(format!("({row}, {col}) is masked"));
        }
        if answer.col_to_row[col] != row as i32 {
            return wrong(format!(
                "row_to_col[{row}] = {col}, col_to_row[{col}] = {}",
                answer.col_to_row[col]
            ));
        }
        if !problem.cost_of(row, col).is_finite() {
            return wrong(format!("({row}, {col}) is forbidden"));
        }
        matched += 1;
    }
    let matched_cols = answer.col_to_row.iter().filter(|&&row| row != -1).count();
    if matched_cols != matched {
        return wrong(format!(
            "{matched} rows matched with {matched_cols} columns"
        ));
    }
    let masked = |exists: bool, dual: f64| !exists && dual != 0.0;
    if (0..problem.rows).any(|row| masked(problem.row_mask.exists(row), answer.row_duals[row]))
        || (0..problem.cols).any(|col| masked(problem.col_mask.exists(col), answer.col_duals[col]))
    {
        return wrong("a masked row or column has a dual".into());
    }
    Ok(matched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duals_too_large_to_tell_costs_apart_prove_nothing() {
        let cost = [
            [0.0, 100.0, f64::INFINITY],
            [100.0, 0.0, f64::INFINITY],
            [f64::INFINITY, f64::INFINITY, 1.0],
        ];
        let problem = Problem::plain(cost.as_flattened(), 3, 3);
        let check = |answer: &Answer| check(&problem, answer, f64::EPSILON / 2.0);
        let optimal = Answer {
            total_cost: 1.0,
            row_to_col: vec![0, 1, 2],
            col_to_row: vec![0, 1, 2],
            row_duals: vec![0.0, 0.0, 1.0],
            col_duals: vec![0.0, 0.0, 0.0],
        };
        assert_eq!(check(&optimal), Ok(()));
        // Beside such duals a difference of 100 is rounded away.
        for large in [1e300, f64::INFINITY, f64::NAN] {
            let wrong = Answer {
                total_cost: 201.0,
                row_to_col: vec![1, 0, 2],
                col_to_row: vec![1, 0, 2],
                row_duals: vec![large, large, 1.0],
                col_duals: vec![-large, -large, 0.0],
            };
            assert!(check(&wrong).is_err(), "{large:e}");
        }
    }
}
