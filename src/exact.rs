//! Exactness: when the answer found in f64 may stand, and what is done when it may not.
//!
//! 1. Solve in f64. If no result was rounded, the answer is exactly optimal: nothing is left to prove. So it is for
//!    whole numbers, and for all costs whose digits fit (see [`crate::solver`], "size of the numbers").
//! 2. Otherwise bound how far the objective can be from the optimum, by the duals: the answer stands if that is
//!    within rows·2^−50·max(|c|, |L|).
//! 3. Otherwise solve again in twice the precision, where rounding is some 2^53 times smaller.

use std::collections::TryReserveError;

use crate::arithmetic::{Arithmetic, DoubleDouble};
use crate::float_environment::is_exact;
use crate::problem::{Cost, Instance};
use crate::solver::{Infeasible, Solver, UNMATCHED};

/// Which of the three steps an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing was rounded.
    Exact,
    /// The duals prove the objective near enough to the optimum.
    Proven,
    /// Solved again in twice the precision.
    Redone,
}

/// Solvers of both precisions. One worker owns one and reuses it.
#[derive(Debug, Default)]
pub struct ExactSolver {
    double: Solver<f64>,
    // Made room for only when it is needed, which is rare.
    double_double: Solver<DoubleDouble>,
    /// A row of costs, for the proof.
    costs: Vec<f64>,
    solution: Solution,
}

/// An answer in the instance's terms.
#[derive(Debug, Default)]
pub struct Solution {
    /// Column matched with each row, or [`UNMATCHED`].
    pub col_of_row: Vec<usize>,
    /// u, rounded to f64.
    pub row_duals: Vec<f64>,
    /// v, rounded to f64.
    pub col_duals: Vec<f64>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The allowed pairs cannot match all rows.
    Infeasible,
    /// No memory for the wider solver.
    Memory(TryReserveError),
}

impl From<Infeasible> for Failure {
    fn from(_: Infeasible) -> Self {
        Failure::Infeasible
    }
}

impl From<TryReserveError> for Failure {
    fn from(error: TryReserveError) -> Self {
        Failure::Memory(error)
    }
}

impl ExactSolver {
    /// Makes room for problems of up to `rows × cols`, in either orientation.
    pub fn try_reserve(&mut self, rows: usize, cols: usize) -> Result<(), TryReserveError> {
        let (shorter, longer) = (rows.min(cols), rows.max(cols));
        let Solution {
            col_of_row,
            row_duals,
            col_duals,
        } = &mut self.solution;
        col_of_row.clear();
        col_of_row.try_reserve_exact(shorter)?;
        row_duals.clear();
        row_duals.try_reserve_exact(shorter)?;
        col_duals.clear();
        col_duals.try_reserve_exact(longer)?;
        self.costs.clear();
        self.costs.try_reserve_exact(longer)?;
        self.double.try_reserve(rows, cols)
    }

    /// Solves `instance`. Room must have been made for it.
    pub fn solve<T: Cost>(
        &mut self,
        instance: &Instance<T>,
    ) -> Result<(&Solution, Evidence), Failure> {
        let (solved, exact) = is_exact(|| self.double.solve(instance));
        solved?;
        let evidence = if exact && instance.limit_is_exact {
            Evidence::Exact
        } else if self.is_near_enough(instance) {
            Evidence::Proven
        } else {
            let (rows, cols) = (instance.rows(), instance.cols());
            self.double_double.try_reserve(rows, cols)?;
            self.double_double.solve(instance)?;
            Evidence::Redone
        };
        match evidence {
            Evidence::Redone => self.solution.copy(&self.double_double),
            _ => self.solution.copy(&self.double),
        }
        Ok((&self.solution, evidence))
    }

    /// Is the objective within rows·2^−50·max(|c|, |L|) of the optimum?
    ///
    /// With u_i lowered to min_j (c_ij − v_j), or to L/2 if that is less, the duals are feasible, so the sum of what they are lowered by bounds the
    /// distance from the optimum. The bound itself is computed in f64; two roundings a row are allowed for.
    fn is_near_enough<T: Cost>(&mut self, instance: &Instance<T>) -> bool {
        let solver = &self.double;
        self.costs.clear();
        self.costs.resize(instance.cols(), 0.0);
        let mut distance = 0.0;
        for (row, &u) in solver.row_duals().iter().enumerate() {
            instance.load_row(row, &mut self.costs);
            // A row may also be unmatched, at half the limit; without a limit that is +inf.
            let mut least = instance.half_limit;
            for (&cost, &v) in self.costs.iter().zip(solver.col_duals()) {
                let reduced = cost - v;
                least = if reduced < least { reduced } else { least };
            }
            if least < u {
                distance += u - least;
            }
        }
        const ROUNDOFF: f64 = f64::EPSILON / 2.0;
        let rows = instance.rows() as f64;
        let largest = |duals: &[f64]| duals.iter().fold(0.0, |top: f64, dual| top.max(dual.abs()));
        let magnitude = instance.largest
            + largest(solver.row_duals())
            + largest(solver.col_duals())
            + solver.shift().abs();
        distance + 2.0 * rows * ROUNDOFF * magnitude <= 8.0 * rows * ROUNDOFF * instance.largest
    }
}

impl Solution {
    fn copy<R: Arithmetic>(&mut self, solver: &Solver<R>) {
        self.col_of_row.clear();
        self.col_of_row.extend_from_slice(solver.col_of_row());
        self.row_duals.clear();
        self.row_duals
            .extend(solver.row_duals().iter().map(|&dual| dual.into()));
        self.col_duals.clear();
        self.col_duals
            .extend(solver.col_duals().iter().map(|&dual| dual.into()));
    }

    /// The pairs, row by row.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let partners = self.col_of_row.iter().copied().enumerate();
        partners.filter(|&(_, col)| col != UNMATCHED)
    }
}
