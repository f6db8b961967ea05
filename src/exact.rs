//! Exactness: when the answer found in f64 may stand, and what is done when it may not.
//!
//! 1. Solve in f64. If no result was rounded, the answer is exactly optimal: nothing is left to prove. So it is for
//!    whole numbers, and for all costs whose digits fit (see [`crate::solver`], "size of the numbers").
//! 2. Otherwise bound how far the objective can be from the optimum, by the duals: the answer stands if that is
//!    within rows·2^−50·max(|c|, |L|).
//! 3. Otherwise solve again in twice the precision, where rounding is some 2^53 times smaller.

use std::collections::TryReserveError;

use crate::arithmetic::DoubleDouble;
use crate::float_environment::Exactness;
use crate::lanes::{Lanes, Portable};
use crate::problem::{Entry, Instance};
use crate::solver::{Infeasible, Solver};
use crate::sweep;

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
}

/// Where the answer is.
#[derive(Debug)]
pub enum Solved<'a> {
    /// In the solver that works in f64.
    InDouble(&'a Solver<f64>),
    /// In the one of twice its precision.
    InDoubleDouble(&'a Solver<DoubleDouble>),
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
        self.double.try_reserve(rows, cols)
    }

    /// Solves `instance`. Room must have been made for it.
    #[inline(always)]
    pub fn solve<L: Lanes<Number = f64>, E: Entry>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> Result<(Solved<'_>, Evidence), Failure> {
        let exactness = Exactness::watch();
        self.double.solve(lanes, instance)?;
        if exactness.held(&mut self.double) && instance.limit_is_exact {
            return Ok((Solved::InDouble(&self.double), Evidence::Exact));
        }
        if is_near_enough(lanes, instance, &self.double) {
            return Ok((Solved::InDouble(&self.double), Evidence::Proven));
        }
        self.solve_again(instance)?;
        Ok((
            Solved::InDoubleDouble(&self.double_double),
            Evidence::Redone,
        ))
    }

    #[cold]
    #[inline(never)]
    fn solve_again<E: Entry>(&mut self, instance: &Instance<E>) -> Result<(), Failure> {
        let solver = &mut self.double_double;
        solver.try_reserve(instance.rows(), instance.cols())?;
        solver.solve(Portable::default(), instance)?;
        Ok(())
    }
}

/// Is the objective of the solver's answer within rows·2^−50·max(|c|, |L|) of the optimum?
///
/// With u_i lowered to min_j (c_ij − v_j), or to L/2 if that is less, the duals are feasible, so the sum of what they
/// are lowered by bounds the distance from the optimum. The bound itself is computed in f64; two roundings a
/// row are allowed for.
#[inline(always)]
fn is_near_enough<L: Lanes<Number = f64>, E: Entry>(
    lanes: L,
    instance: &Instance<E>,
    solver: &Solver<f64>,
) -> bool {
    let mut distance = 0.0;
    for (row, &u) in solver.row_duals().iter().enumerate() {
        let least = sweep::least_reduced_cost(lanes, instance.row(row), solver.col_duals());
        // A row may also be unmatched, at half the limit; without a limit that is +inf.
        let least = least.min(instance.half_limit);
        if least < u {
            distance += u - least;
        }
    }
    const ROUNDOFF: f64 = f64::EPSILON / 2.0;
    let rows = instance.rows() as f64;
    let larger = |top: f64, dual: &f64| top.max(dual.abs());
    let col_duals = solver.col_duals().chunks().iter();
    let col_duals = col_duals.flat_map(|chunk| &chunk.0).take(instance.cols());
    let magnitude = instance.largest
        + solver.row_duals().iter().fold(0.0, larger)
        + col_duals.fold(0.0, larger)
        + solver.shift().abs();
    distance + 2.0 * rows * ROUNDOFF * magnitude <= 8.0 * rows * ROUNDOFF * instance.largest
}
