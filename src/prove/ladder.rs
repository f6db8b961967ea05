//! The ladder of precision: when an answer may stand, and what is done when it may not.
//!
//! 1. Solve in f64. If no result was rounded, the answer is exactly optimal: nothing is left to
//!    prove. So it is for whole numbers, and for all costs whose digits fit (see
//!    [`crate::solve::augment`], "size of the numbers").
//! 2. Otherwise bound how far the objective can be from the optimum, by the duals
//!    ([`crate::prove::bound`]): the answer stands if that is within rows·2^−50·max(|c|, |L|).
//! 3. Otherwise solve again, alone: what was rounded may have been another instance of the group.
//! 4. Otherwise solve in twice the precision, where rounding is some 2^53 times smaller.
//!
//! Both solvers follow it: [`crate::prove::group`] and, for narrow instances,
//! [`crate::prove::narrow`].

use std::collections::TryReserveError;

use crate::number::double_double::DoubleDouble;
use crate::problem::instance::Instance;
use crate::simd::arrays::Arrays;
use crate::simd::cost::Entry;
use crate::simd::ops::DOUBLES;
use crate::solve::augment::{Infeasible, Solver};

/// Why an answer in f64 may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing was rounded.
    Exact,
    /// The duals prove the objective near enough to the optimum.
    Proven,
}

/// What became of one instance, where `A` is an answer in f64.
#[derive(Debug)]
pub enum Verdict<'a, A> {
    /// The allowed pairs cannot match all rows.
    Infeasible,
    /// Solved in f64.
    InDouble(Evidence, A),
    /// Solved again, in twice the precision.
    InDoubleDouble(&'a Solver<DoubleDouble>),
}

/// Steps 1 and 2: why the answer to `instance` may stand, if it may.
#[inline(always)]
pub fn evidence<E: Entry>(
    instance: &Instance<E>,
    nothing_was_rounded: bool,
    is_near_enough: impl FnOnce() -> bool,
) -> Option<Evidence> {
    if nothing_was_rounded && instance.scaling_is_exact {
        Some(Evidence::Exact)
    } else if is_near_enough() {
        Some(Evidence::Proven)
    } else {
        None
    }
}

/// Step 4. Room for `solver` is made here, as it is rarely needed.
///
/// # Errors
///
/// There is no memory for it.
pub fn solve_in_double_double<'a, E: Entry, A>(
    solver: &'a mut Solver<DoubleDouble>,
    instance: &Instance<E>,
) -> Result<Verdict<'a, A>, TryReserveError> {
    /// Compiled once, whatever answers in f64 are.
    #[cold]
    #[inline(never)]
    fn solve<E: Entry>(
        solver: &mut Solver<DoubleDouble>,
        instance: &Instance<E>,
    ) -> Result<Result<(), Infeasible>, TryReserveError> {
        solver.try_reserve(instance.rows(), instance.cols())?;
        Ok(solver.solve::<_, _, DOUBLES>(Arrays::default(), instance))
    }
    match solve(solver, instance)? {
        Ok(()) => Ok(Verdict::InDoubleDouble(solver)),
        Err(Infeasible) => Ok(Verdict::Infeasible),
    }
}
