//! Exactness: when the answer found in f64 may stand, and what is done when it may not.
//!
//! 0. From some dozens of columns on, f32 leads: it solves the instance with half the work for a sweep. Its duals are repaired
//!    in f64 ([`crate::repair`]), which proves its matching, if it is optimal: along the few pairs that are nearly tight, or,
//!    where ties make them many, by passes over all pairs. If it is not, f64 goes on from there. Nothing rests
//!    on what f32 rounds away.
//! 1. Solve in f64. If no result was rounded, the answer is exactly optimal: nothing is left to prove. So it is for
//!    whole numbers, and for all costs whose digits fit (see [`crate::solver`], "size of the numbers").
//! 2. Otherwise bound how far the objective can be from the optimum, by the duals: the answer stands if that is
//!    within rows·2^−50·max(|c|, |L|).
//! 3. Otherwise solve again in twice the precision, where rounding is some 2^53 times smaller.

use std::collections::TryReserveError;

use crate::arithmetic::{Arithmetic, DoubleDouble, power_of_two_from};
use crate::float_environment::Exactness;
use crate::lanes::{DOUBLES, Lanes, Portable, SINGLES, Vectors, Work};
use crate::problem::{Entry, Instance};
use crate::repair::{Raised, Repair};
use crate::solver::{Infeasible, Margin, Solver};
use crate::sweep::{self, ANY};

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

/// Instances that are given to the solver at once, at most.
pub const GROUP: usize = 4;

/// Solvers of both precisions for a group of instances. One worker owns one and reuses it.
#[derive(Debug, Default)]
pub struct ExactSolver {
    members: [Member; GROUP],
}

/// What solves one instance of a group.
#[derive(Debug, Default)]
struct Member {
    /// Where f64 starts from.
    single: Solver<f32>,
    /// f64 starts from there.
    near: bool,
    /// No dual in f64 wants to rise any more.
    is_settled: bool,
    repair: Repair,
    double: Solver<f64>,
    // Made room for only when it is needed, which is rare.
    double_double: Solver<DoubleDouble>,
}

/// Is f32 to lead? Then f64 starts from what it led to, with little left to do; it would have come to an answer just as
/// good by itself, so nothing rests on what f32 rounds away.
#[inline(always)]
fn starts_in_single<E: Entry>(instance: &Instance<E>) -> bool {
    // Within this range no sum of f32 overflows, and rounding is relative.
    const RANGE: std::ops::Range<f64> = 1e-30..1e30;
    let has_limit = instance.half_limit.is_finite();
    instance.cols() >= SINGLE_FROM
        && instance.rows() > instance.cols() / COLUMNS_PER_ROW
        && !has_limit
        && RANGE.contains(&instance.largest)
}

/// Columns from which f32 leads.
const SINGLE_FROM: usize = 65;

/// But not where there are as many columns for each row: few rows want the same one, so there are too few sweeps to save on.
const COLUMNS_PER_ROW: usize = 8;

/// How many problems of this size make a group, and take turns: as many as it takes to fill the time in which each waits
/// for its minimum, but no more than fit the cache together.
pub fn group_of(rows: usize, cols: usize, size_of_cost: usize) -> usize {
    const CACHE: usize = 3 << 18;
    let bytes = rows.saturating_mul(cols).saturating_mul(size_of_cost);
    match CACHE / bytes.max(1) {
        0 | 1 => 1,
        2..4 => 2,
        _ => GROUP,
    }
}

/// What became of one instance.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// The allowed pairs cannot match all rows.
    Infeasible,
    /// Solved in f64.
    InDouble(Evidence, &'a Solver<f64>),
    /// Solved again, in twice the precision.
    InDoubleDouble(&'a Solver<DoubleDouble>),
}

/// Does work in a function of its own for rows of at most so many vectors, which fit the registers, or of any number.
macro_rules! run_by_vectors {
    ($vectors:expr, $count:expr, [$($counts:pat => $most:literal),*], $work:ident $fields:tt) => {
        match $count {
            $($counts => run_by_vectors!(@run $vectors, $most, $work $fields),)*
            _ => run_by_vectors!(@run $vectors, ANY, $work $fields),
        }
    };
    (@run $vectors:expr, $most:expr, $work:ident { $($field:ident),* }) => {
        $vectors.run_apart($work::<E, { $most }> { $($field),* })
    };
}

impl ExactSolver {
    /// Makes room for groups of up to `group` problems of up to `rows × cols`, in either orientation.
    pub fn try_reserve(
        &mut self,
        group: usize,
        rows: usize,
        cols: usize,
    ) -> Result<(), TryReserveError> {
        self.members.iter_mut().take(group).try_for_each(|member| {
            if rows.max(cols) >= SINGLE_FROM {
                member.single.try_reserve(rows, cols)?;
                member.repair.try_reserve(rows.min(cols), rows.max(cols))?;
            }
            member.double.try_reserve(rows, cols)
        })
    }

    /// Solves a group of instances, for which room must have been made. A verdict depends on nothing but its
    /// own instance.
    ///
    /// # Errors
    ///
    /// There is no memory for the wider solver.
    #[inline(always)]
    pub fn solve<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instances: &[Option<Instance<E>>; GROUP],
    ) -> Result<[Option<Verdict<'_>>; GROUP], TryReserveError> {
        let mut is_feasible = instances.each_ref().map(Option::is_some);
        if instances.iter().flatten().any(starts_in_single) {
            let count = vectors_of_all::<_, SINGLES>(instances);
            let (members, feasible) = (&mut self.members, &mut is_feasible);
            run_by_vectors!(
                vectors,
                count,
                [7 => 7, 5..=8 => 8],
                StartInSingle {
                    members,
                    instances,
                    feasible
                }
            );
        }
        let exactness = Exactness::watch();
        let count = vectors_of_all::<_, DOUBLES>(instances);
        let (members, feasible) = (&mut self.members, &mut is_feasible);
        run_by_vectors!(
            vectors,
            count,
            [5..=8 => 8],
            SolveInDouble {
                members,
                instances,
                feasible
            }
        );
        let exact = exactness.held(&mut self.members);
        let mut verdicts = [const { None }; GROUP];
        for (index, member) in self.members.iter_mut().enumerate() {
            if let Some(instance) = &instances[index] {
                verdicts[index] = Some(if is_feasible[index] {
                    member.judge(vectors, instance, exact)?
                } else {
                    Verdict::Infeasible
                });
            }
        }
        Ok(verdicts)
    }
}

/// The most vectors of `W` that a row of these instances has, if none needs fewer quads of them.
#[inline(always)]
fn vectors_of_all<E: Entry, const W: usize>(instances: &[Option<Instance<E>>; GROUP]) -> usize {
    let counts = || instances.iter().flatten().map(|one| one.cols().div_ceil(W));
    let most = counts().max().unwrap_or(ANY);
    let quads = |count: usize| count.div_ceil(sweep::QUAD);
    if counts().all(|count| quads(count) == quads(most)) {
        most
    } else {
        ANY
    }
}

/// Solves in f32 the instances that are to start there, their rows being of at most `N` vectors, or of any number.
struct StartInSingle<'a, 'b, E, const N: usize> {
    members: &'a mut [Member; GROUP],
    instances: &'a [Option<Instance<'b, E>>; GROUP],
    feasible: &'a mut [bool; GROUP],
}

impl<E: Entry, const N: usize> Work for StartInSingle<'_, '_, E, N> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let StartInSingle {
            members,
            instances,
            feasible,
        } = self;
        let lanes = vectors.singles();
        for index in 0..GROUP {
            let solver = &mut members[index].single;
            solver.rest();
            if let Some(instance) = &instances[index]
                && starts_in_single(instance)
            {
                let margin = Margin::of(instance.largest);
                let begun = solver.begin::<_, _, SINGLES, N>(lanes, instance, margin);
                feasible[index] = begun.is_ok();
            }
        }
        let solvers = members.each_mut().map(|member| &mut member.single);
        take_turns::<_, _, _, SINGLES, N>(lanes, solvers, instances, feasible);
        for index in 0..GROUP {
            let member = &mut members[index];
            member.near = false;
            if let Some(instance) = &instances[index]
                && feasible[index]
                && starts_in_single(instance)
            {
                let largest_dual = member.adopt_duals(lanes, instance);
                let repair = &mut member.repair;
                repair.list(lanes, instance, &member.single, largest_dual);
            }
        }
    }
}

/// Solves all instances in f64, their rows being of at most `N` vectors, or of any number.
struct SolveInDouble<'a, 'b, E, const N: usize> {
    members: &'a mut [Member; GROUP],
    instances: &'a [Option<Instance<'b, E>>; GROUP],
    feasible: &'a mut [bool; GROUP],
}

impl<E: Entry, const N: usize> Work for SolveInDouble<'_, '_, E, N> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let SolveInDouble {
            members,
            instances,
            feasible,
        } = self;
        let lanes = vectors.doubles();
        for index in 0..GROUP {
            let member = &mut members[index];
            member.double.rest();
            if let Some(instance) = &instances[index]
                && feasible[index]
            {
                feasible[index] = member.begin::<_, _, N>(lanes, instance).is_ok();
            }
        }
        let solvers = members.each_mut().map(|member| &mut member.double);
        take_turns::<_, _, _, DOUBLES, N>(lanes, solvers, instances, feasible);
        for index in 0..GROUP {
            if let Some(instance) = &instances[index]
                && feasible[index]
            {
                members[index].double.normalize_duals(instance);
            }
        }
    }
}

/// A solver that has begun, and what it solves.
struct Turn<'a, 'b, R, E> {
    solver: &'a mut Solver<R>,
    instance: &'a Instance<'b, E>,
    is_feasible: &'a mut bool,
}

/// Has all solvers that have begun make their steps, in turns.
#[inline(always)]
fn take_turns<R: Arithmetic, L: Lanes<W, Number = R>, E: Entry, const W: usize, const N: usize>(
    lanes: L,
    solvers: [&mut Solver<R>; GROUP],
    instances: &[Option<Instance<E>>; GROUP],
    feasible: &mut [bool; GROUP],
) {
    // Those not yet done, and how many they are.
    let mut open = [const { None }; GROUP];
    let mut count = 0;
    for ((solver, instance), is_feasible) in solvers.into_iter().zip(instances).zip(feasible) {
        if let Some(instance) = instance
            && *is_feasible
            && !solver.is_done()
        {
            open[count] = Some(Turn {
                solver,
                instance,
                is_feasible,
            });
            count += 1;
        }
    }
    let mut ahead = Ahead::of(instances);
    while count > 0 {
        for turn in open[..count].iter_mut().flatten() {
            ahead.ask(lanes);
            turn.solver.sweep::<L, E, W, N>(lanes, turn.instance);
        }
        // Behind all sweeps: what is stored here, none of them has to wait for.
        let mut place = 0;
        while place < count {
            if let Some(turn) = &mut open[place] {
                *turn.is_feasible = turn.solver.act(lanes, turn.instance).is_ok();
                if !*turn.is_feasible || turn.solver.is_done() {
                    count -= 1;
                    open.swap(place, count);
                    continue;
                }
            }
            place += 1;
        }
    }
}

/// Costs of the next group, which are asked for while this one is solved.
struct Ahead {
    /// What is asked for next.
    at: *const u8,
    /// How many times there is something to ask for.
    times: usize,
}

impl Ahead {
    /// As many as this group has, behind those that the first look has asked for, if they lie behind those of this one and
    /// looking at them is a good part of the work: not in squares, where it is a small one.
    #[inline(always)]
    fn of<E: Entry>(instances: &[Option<Instance<E>>; GROUP]) -> Self {
        let mut ahead = Ahead {
            at: std::ptr::null(),
            times: 0,
        };
        let mut costs = 0;
        for instance in instances.iter().flatten() {
            let Some(end) = instance.end().filter(|_| !instance.is_balanced()) else {
                return Ahead { times: 0, ..ahead };
            };
            costs += instance.rows() * instance.cols();
            ahead.at = end.cast::<u8>().wrapping_add(sweep::AHEAD);
        }
        ahead.times = costs * size_of::<E>() / sweep::ASKED_FOR_AT_ONCE;
        ahead
    }

    #[inline(always)]
    fn ask<L: Lanes<W>, const W: usize>(&mut self, lanes: L) {
        if self.times > 0 {
            sweep::ask_for(lanes, self.at);
            self.at = self.at.wrapping_add(sweep::ASKED_FOR_AT_ONCE);
            self.times -= 1;
        }
    }
}

impl Member {
    /// Has f64 start from what f32 led to. Returns how large the duals are.
    ///
    /// Duals as large as n/2·max|c| are left alone: from there sums might grow beyond what keeps arithmetic exact, which
    /// from zero they do not (see [`crate::solver`], "size of the numbers").
    #[inline(always)]
    fn adopt_duals<L: Lanes<SINGLES, Number = f32>, E: Entry>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> f64 {
        let (rows, cols) = (instance.rows(), instance.cols());
        let largest = f64::from(self.single.col_duals().widest(lanes, cols));
        self.near = largest <= 0.5 * rows as f64 * instance.largest;
        // Costs that promise exact arithmetic are multiples of this.
        let sums = 2.0 * (rows + cols) as f64 * instance.largest;
        let grid = power_of_two_from(sums * (0.5 * f64::EPSILON));
        self.double.adopt_duals(&self.single, cols, grid);
        largest
    }

    /// Has the solver in f64 begin, near what f32 led to where that was to be.
    #[inline(always)]
    fn begin<L: Lanes<DOUBLES, Number = f64>, E: Entry, const N: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        self.is_settled = true;
        if !(starts_in_single(instance) && self.near) {
            return self
                .double
                .begin::<_, _, DOUBLES, N>(lanes, instance, Margin::none());
        }
        let (single, double) = (&self.single, &mut self.double);
        let mut raised = self.repair.raise(instance, single, double.col_duals_mut());
        if raised == Raised::TooManyPairs {
            self.adopt_duals(Portable::default(), instance);
            let (single, col_duals) = (&self.single, self.double.col_duals_mut());
            let repair = &self.repair;
            if let Some(missed) = repair.raise_by_sweeps(lanes, instance, single, col_duals) {
                self.is_settled = missed == 0.0;
                raised = Raised::Proven;
            }
        }
        if raised == Raised::Proven {
            self.double.begin_solved(instance, &self.single);
            return Ok(());
        }
        if instance.is_balanced() {
            self.adopt_duals(Portable::default(), instance);
            self.double.begin_near(lanes, instance, &self.single);
            return Ok(());
        }
        self.double
            .begin::<_, _, DOUBLES, N>(lanes, instance, Margin::none())
    }

    /// May the answer in f64 stand? `exact`: nothing was rounded in the whole group.
    #[inline(always)]
    fn judge<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instance: &Instance<E>,
        exact: bool,
    ) -> Result<Verdict<'_>, TryReserveError> {
        if exact && self.is_settled && instance.scaling_is_exact {
            return Ok(Verdict::InDouble(Evidence::Exact, &self.double));
        }
        let proof = IsNearEnough {
            instance,
            solver: &self.double,
        };
        if vectors.run_apart(proof) {
            return Ok(Verdict::InDouble(Evidence::Proven, &self.double));
        }
        self.solve_alone(instance)
    }

    /// What another instance of the group made inexact may be exact by itself; if not, twice the precision is needed.
    #[cold]
    #[inline(never)]
    fn solve_alone<E: Entry>(
        &mut self,
        instance: &Instance<E>,
    ) -> Result<Verdict<'_>, TryReserveError> {
        let exactness = Exactness::watch();
        let solved = self.solve_in_double(instance);
        let nothing_rounded = exactness.held(&mut self.double);
        if nothing_rounded && self.is_settled && instance.scaling_is_exact && solved.is_ok() {
            return Ok(Verdict::InDouble(Evidence::Exact, &self.double));
        }
        let wider = &mut self.double_double;
        wider.try_reserve(instance.rows(), instance.cols())?;
        match wider.solve::<_, _, DOUBLES>(Portable::default(), instance) {
            Ok(()) => Ok(Verdict::InDoubleDouble(wider)),
            Err(Infeasible) => Ok(Verdict::Infeasible),
        }
    }

    /// Solves one instance in f64 as in the group, so that a verdict does not depend on the neighbours. A function of its own, as
    /// whoever calls it watches whether anything is rounded: no arithmetic can move past the flag being read.
    #[inline(never)]
    fn solve_in_double<E: Entry>(&mut self, instance: &Instance<E>) -> Result<(), Infeasible> {
        let lanes = Portable::<f64>::default();
        if self.near {
            self.adopt_duals(Portable::default(), instance);
        }
        self.begin::<_, _, ANY>(lanes, instance)?;
        self.double.go_on::<_, _, DOUBLES>(lanes, instance)?;
        self.double.normalize_duals(instance);
        Ok(())
    }
}

/// Is the objective of the solver's answer within rows·2^−50·max(|c|, |L|) of the optimum?
///
/// With u_i lowered to min_j (c_ij − v_j), or to L/2 if that is less, the duals are feasible, so the sum of what they
/// are lowered by bounds the distance from the optimum. The bound itself is computed in f64; two roundings a
/// row are allowed for.
struct IsNearEnough<'a, 'b, E> {
    instance: &'a Instance<'b, E>,
    solver: &'a Solver<f64>,
}

impl<E: Entry> Work for IsNearEnough<'_, '_, E> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> bool {
        let IsNearEnough { instance, solver } = self;
        let lanes = vectors.doubles();
        let mut distance = 0.0;
        let is_limited = instance.half_limit.is_finite();
        for (row, &u) in solver.row_duals().iter().enumerate() {
            // Nothing is cheaper than what is the cheapest with every v at its ceiling, which without a limit is 0.
            if !is_limited && solver.has_least_cost(row) {
                continue;
            }
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
        let col_duals = solver.col_duals().blocks().iter();
        let col_duals = col_duals.flat_map(|block| &block.0).take(instance.cols());
        let magnitude = instance.largest
            + solver.row_duals().iter().fold(0.0, larger)
            + col_duals.fold(0.0, larger)
            + solver.shift().abs();
        distance + 2.0 * rows * ROUNDOFF * magnitude <= 8.0 * rows * ROUNDOFF * instance.largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::PortableVectors;
    use crate::problem::{Layout, Mask, Options, Problem};

    /// Does f64 start from what f32 leads to in a square of which only the diagonal and `chain` pairs above it are allowed?
    /// These pairs drive v down by 2 a column; f32's largest |v| is returned, too.
    fn starts_near(n: usize, chain: usize) -> (bool, f64) {
        let mut cost = vec![f64::INFINITY; n * n];
        for row in 0..n {
            cost[row * n + row] = 1.0;
            if row < chain {
                cost[row * n + row + 1] = -1.0;
            }
        }
        let problem = Problem {
            cost: &cost,
            rows: n,
            cols: n,
            row_mask: Mask::Uniform(true),
            col_mask: Mask::Uniform(true),
            options: Options::default(),
        };
        let mut layout = Layout::default();
        layout.try_reserve(n, n).unwrap();
        let instance = problem.prepare(PortableVectors, &mut layout).ok();
        let mut solver = ExactSolver::default();
        solver.try_reserve(1, n, n).unwrap();
        let verdicts = solver.solve(PortableVectors, &[instance, None, None, None]);
        assert!(matches!(
            verdicts.unwrap()[0],
            Some(Verdict::InDouble(Evidence::Exact, _))
        ));
        let member = &solver.members[0];
        let col_duals = (0..n).map(|col| member.single.col_duals().get(col));
        let largest = col_duals.fold(0.0, |top: f64, dual| top.max(f64::from(dual.abs())));
        (member.near, largest)
    }

    #[test]
    fn only_small_duals_are_taken_over_from_f32() {
        for n in [65, 100, 201] {
            for chain in [0, n / 8, n / 2, n - 1] {
                let (near, largest) = starts_near(n, chain);
                // No cost is larger than 1.
                assert_eq!(near, largest <= 0.5 * n as f64, "{n}, {chain}: {largest}");
            }
            assert!(starts_near(n, 0).0 && !starts_near(n, n - 1).0);
        }
    }
}
