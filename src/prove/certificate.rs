//! The check that an answer is optimal, from its duals alone.
//!
//! Weak duality: any u, v that keep the inequalities below bound the objective of every assignment. An
//! assignment that meets them with equality where it should is therefore optimal, and no second solver
//! is needed to know it. [`check`] looks at nothing but the problem and the answer, and shares no code with
//! the solver but how numbers are summed.
//!
//! Stated for minimising; maximising turns the inequalities round.
//!
//! * u_i + v_j ≤ c_ij on allowed pairs, with equality on matched ones.
//! * No limit, rows < columns: all rows matched, v_j ≤ 0, and v_j = 0 where column j is unmatched. Rows > columns: the mirror.
//!   Square: max v = 0.
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
/// `unit_roundoff` is that of the type in which the duals were returned (2^−24 or 2^−53): each relation may be off
/// by 4 of it at the largest magnitude among all costs, duals and the limit, sums by as much per term. So duals must not be larger
/// than the solver's can be: beside one of 1e300 any relation would hold.
pub fn check<T: Cost>(
    problem: &Problem<T>,
    answer: &Answer,
    unit_roundoff: f64,
) -> Result<(), Violation> {
    let sign = problem.options.sign();
    let limit = sign * problem.options.cost_limit;
    let limited = limit.is_finite();
    let rows: Vec<usize> = (0..problem.rows)
        .filter(|&row| problem.row_mask.exists(row))
        .collect();
    let cols: Vec<usize> = (0..problem.cols)
        .filter(|&col| problem.col_mask.exists(col))
        .collect();
    let matched = check_matching(problem, answer, &rows, &cols)?;
    if !limited && matched != rows.len().min(cols.len()) {
        return Err(Violation::Matching(format!(
            "{matched} pairs matched of {} required",
            rows.len().min(cols.len())
        )));
    }

    // In the sense of minimising from here on.
    let u = |row: usize| sign * answer.row_duals[row];
    let v = |col: usize| sign * answer.col_duals[col];
    let duals = rows
        .iter()
        .map(|&row| u(row))
        .chain(cols.iter().map(|&col| v(col)));
    let costs = rows
        .iter()
        .flat_map(|&row| cols.iter().map(move |&col| problem.cost_of(row, col)))
        .filter(|cost| cost.is_finite());
    let largest_of = |largest: f64, value: f64| largest.max(value.abs());
    let largest_given = costs.chain(limited.then_some(limit)).fold(0.0, largest_of);
    let most = most_per_dual(rows.len().min(cols.len()));
    // By a quotient, as the product may be infinite. Written so that NaN fails.
    let is_too_large = |dual: &f64| !(dual.abs() / most <= largest_given);
    if let Some(dual) = duals.clone().find(is_too_large) {
        return Err(Violation::Relation {
            relation: "|dual| <= bound".into(),
            left: dual.abs(),
            right: most * largest_given,
            tolerance: 0.0,
        });
    }
    let largest = duals.clone().fold(largest_given, largest_of);
    // A zero tolerance would ask denormal duals to be exact.
    let tolerance = 4.0 * unit_roundoff * largest + f64::MIN_POSITIVE;

    let at_most = |relation: String, left: f64, right: f64, tolerance: f64| {
        // Written so that NaN fails.
        if left <= right + tolerance {
            return Ok(());
        }
        Err(Violation::Relation {
            relation,
            left,
            right,
            tolerance,
        })
    };
    let equal = |relation: String, left: f64, right: f64, tolerance: f64| {
        if (left - right).abs() <= tolerance {
            return Ok(());
        }
        Err(Violation::Relation {
            relation,
            left,
            right,
            tolerance,
        })
    };

    for &row in &rows {
        for &col in &cols {
            let cost = sign * problem.cost_of(row, col);
            at_most(
                format!("u[{row}] + v[{col}] <= c"),
                u(row) + v(col),
                cost,
                tolerance,
            )?;
            if answer.row_to_col[row] == col as i32 {
                equal(
                    format!("u[{row}] + v[{col}] = c"),
                    u(row) + v(col),
                    cost,
                    tolerance,
                )?;
            }
        }
    }

    // The ceiling of each side's duals, and whether unmatched ones must reach it.
    let (row_ceiling, col_ceiling) = if limited {
        (limit / 2.0, limit / 2.0)
    } else if rows.len() < cols.len() {
        (f64::INFINITY, 0.0)
    } else if rows.len() > cols.len() {
        (0.0, f64::INFINITY)
    } else {
        let top = cols.iter().map(|&col| v(col)).reduce(f64::max);
        equal("max v = 0".into(), top.unwrap_or(0.0), 0.0, tolerance)?;
        (f64::INFINITY, f64::INFINITY)
    };
    for &row in &rows {
        at_most(
            format!("u[{row}] <= ceiling"),
            u(row),
            row_ceiling,
            tolerance,
        )?;
        if answer.row_to_col[row] < 0 {
            equal(
                format!("u[{row}] = ceiling"),
                u(row),
                row_ceiling,
                tolerance,
            )?;
        }
    }
    for &col in &cols {
        at_most(
            format!("v[{col}] <= ceiling"),
            v(col),
            col_ceiling,
            tolerance,
        )?;
        if answer.col_to_row[col] < 0 {
            equal(
                format!("v[{col}] = ceiling"),
                v(col),
                col_ceiling,
                tolerance,
            )?;
        }
    }

    let unmatched = (rows.len() + cols.len() - 2 * matched) as f64;
    let penalty = if limited {
        limit / 2.0 * unmatched
    } else {
        0.0
    };
    let terms = (rows.len() + cols.len() + 1) as f64;
    equal(
        "sum u + sum v = objective".into(),
        compensated_sum(duals),
        sign * answer.total_cost + penalty,
        terms * tolerance,
    )
}

/// How many times max(|c|, |L|) a dual may be, where the shorter side has `shorter` rows or columns.
///
/// In the solver none exceeds 2·shorter + 2, see [`crate::solve::augment`], "size of the numbers". Normalizing moves a dual by another, which
/// doubles that; and [`crate::prove::lift`] moves it by L/2 at most. The sum is less than 4·shorter + 5, and twice as much leaves room
/// for rounding.
fn most_per_dual(shorter: usize) -> f64 {
    8.0 * (shorter as f64 + 2.0)
}

/// Checks the index outputs against each other and the masks. Returns the number of matched pairs.
fn check_matching<T: Cost>(
    problem: &Problem<T>,
    answer: &Answer,
    rows: &[usize],
    cols: &[usize],
) -> Result<usize, Violation> {
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
        if !rows.contains(&row) || !cols.contains(&col) {
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
