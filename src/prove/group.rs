//! Groups of instances that are solved by turns. Each is proven by itself.
//!
//! Instances of 65 columns or more, without a limit and with fewer than eight columns for each row,
//! are solved in f32 first, unless their costs are too unlike in size: there a sweep is half the
//! work. If f32 rounded nothing, as with whole numbers, its answer is exact, and f64 takes it over.
//! Otherwise its duals are repaired in f64 ([`crate::prove::repair`]): along the few pairs that are
//! nearly tight, or, where ties make those many, by passes over all pairs. If the matching is
//! optimal, this proves it. If not, f64 goes on from the duals of f32 in squares, and begins again
//! in rectangles. No proof rests on what f32 rounds away. Then [`crate::prove::ladder`] says
//! whether the answer may stand.

use std::collections::TryReserveError;

use crate::number::arithmetic::power_of_two_from;
use crate::number::double_double::DoubleDouble;
use crate::number::environment::Exactness;
use crate::problem::instance::Instance;
use crate::prove::bound::IsNearEnough;
use crate::prove::ladder::{Verdict, evidence, solve_in_double_double};
use crate::prove::repair::{Raised, Repair};
use crate::simd::arrays::Arrays;
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, Lanes, SINGLES, Vectors, Work};
use crate::solve::augment::{Infeasible, Solver};
use crate::solve::margin::Margin;
use crate::solve::turns::{MOST_IN_TURNS, take_turns};
use crate::sweep::first_look::largest_magnitude;
use crate::sweep::row::ANY;

/// Solves groups of instances. One worker owns one and reuses it.
#[derive(Debug, Default)]
pub struct GroupSolver {
    members: [Member; MOST_IN_TURNS],
}

/// What solves one instance of a group.
#[derive(Debug, Default)]
struct Member {
    /// Solves the instance first, where f32 leads.
    single: Solver<f32>,
    /// f64 starts from the result of f32.
    is_led: bool,
    /// f32 has rounded nothing.
    is_single_exact: bool,
    repair: Repair,
    /// What became of the duals that f64 has taken over, if they had to be repaired.
    raised: Option<Raised>,
    double: Solver<f64>,
    // Made room for only when it is needed, which is rare.
    double_double: Solver<DoubleDouble>,
}

/// Does f32 lead? Then f64 starts from the result of f32, with little left to do. By itself f64
/// would find an answer just as good, so nothing rests on what f32 rounds away.
#[inline(always)]
fn starts_in_single<E: Entry>(instance: &Instance<E>) -> bool {
    // Within this range no sum of f32 overflows, and rounding is relative.
    const RANGE: std::ops::Range<f64> = 1e-30..1e30;
    let has_limit = instance.half_limit.is_finite();
    let likely_dual = instance.likely_dual();
    let sums = (instance.rows() + instance.cols()) as f64 * instance.largest;
    instance.cols() >= SINGLE_FROM
        && sums <= MOST_DIGITS * likely_dual
        && instance.survey.largest_least.widen() <= MOST_SPREAD * likely_dual
        && instance.rows() > instance.cols() / COLUMNS_PER_ROW
        && !has_limit
        && RANGE.contains(&instance.largest)
}

/// Where sums of costs exceed duals by more than this factor, the multiples that keep arithmetic
/// exact are too coarse for duals that are taken over.
const MOST_DIGITS: f64 = (1u64 << 34) as f64;

/// Where some duals exceed most by more than this factor, as that of a column that no row wants,
/// f32 rounds them by more than pairs differ.
const MOST_SPREAD: f64 = (1u64 << 10) as f64;

/// Columns from which f32 leads.
const SINGLE_FROM: usize = 65;

/// With as many columns for each row, or more, f32 does not lead: few rows want the same column, so
/// there are too few sweeps to save on.
const COLUMNS_PER_ROW: usize = 8;

/// Does work in a function of its own, compiled for rows of at most so many vectors, which fit the
/// registers, or of any number.
macro_rules! run_by_vectors {
    ($vectors:expr, singles of $likeness:expr, $work:ident $fields:tt) => {
        match $likeness.singles {
            7 => run_by_vectors!(@run $vectors, 7, $work $fields),
            8 => run_by_vectors!(@run $vectors, 8, $work $fields),
            _ => run_by_vectors!(@run $vectors, ANY, $work $fields),
        }
    };
    ($vectors:expr, doubles of $likeness:expr, $work:ident $fields:tt) => {
        match $likeness.doubles {
            8 => run_by_vectors!(@run $vectors, 8, $work $fields),
            _ => run_by_vectors!(@run $vectors, ANY, $work $fields),
        }
    };
    (@run $vectors:expr, $most:expr, $work:ident { $($field:ident),* }) => {
        $vectors.run_apart($work::<E, { $most }> { $($field),* })
    };
}

/// What instances that are solved together have in common: the most vectors of a row for which the
/// code that reads their rows is compiled. It decides what is read past the end of a row, and how
/// ties are looked for, and so what may be rounded. That must not depend on the neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Likeness {
    singles: usize,
    doubles: usize,
}

impl Likeness {
    #[inline(always)]
    fn of<E: Entry>(instance: &Instance<E>) -> Self {
        Likeness {
            singles: match instance.cols().div_ceil(SINGLES) {
                7 => 7,
                5..=8 => 8,
                _ => ANY,
            },
            doubles: match instance.cols().div_ceil(DOUBLES) {
                5..=8 => 8,
                _ => ANY,
            },
        }
    }
}

impl GroupSolver {
    /// Makes room for groups of up to `group` problems of up to `rows × cols`, in either
    /// orientation.
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

    /// Solves a group of instances, for which room must have been made. An answer depends on
    /// nothing but its own instance; whether it is called exact or proven may depend on what was
    /// rounded in others.
    ///
    /// # Errors
    ///
    /// There is no memory for the solver in twice the precision.
    #[inline(always)]
    pub fn solve<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instances: &[Option<Instance<E>>; MOST_IN_TURNS],
    ) -> Result<[Option<Verdict<'_, &Solver<f64>>>; MOST_IN_TURNS], TryReserveError> {
        let mut is_feasible = instances.each_ref().map(Option::is_some);
        let mut is_exact = [false; MOST_IN_TURNS];
        for member in &mut self.members {
            member.is_led = false;
            member.raised = None;
        }
        let likeness = instances
            .each_ref()
            .map(|one| one.as_ref().map(Likeness::of));
        for index in 0..MOST_IN_TURNS {
            // Instances like an earlier one were solved together with it.
            let Some(likeness_of_these) = likeness[index] else {
                continue;
            };
            if likeness[..index].contains(&likeness[index]) {
                continue;
            }
            let mut alike = *instances;
            for (one, other) in alike.iter_mut().zip(&likeness) {
                if *other != likeness[index] {
                    *one = None;
                }
            }
            self.solve_alike(
                vectors,
                likeness_of_these,
                &alike,
                &mut is_feasible,
                &mut is_exact,
            );
        }
        let mut verdicts = [const { None }; MOST_IN_TURNS];
        for (index, member) in self.members.iter_mut().enumerate() {
            if let Some(instance) = &instances[index] {
                verdicts[index] = Some(if is_feasible[index] {
                    member.judge(vectors, instance, is_exact[index])?
                } else {
                    Verdict::Infeasible
                });
            }
        }
        Ok(verdicts)
    }

    /// Solves instances that are alike. Sets `is_exact` of those in which f64 is known to have
    /// rounded nothing.
    #[inline(always)]
    fn solve_alike<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        likeness: Likeness,
        instances: &[Option<Instance<E>>; MOST_IN_TURNS],
        feasible: &mut [bool; MOST_IN_TURNS],
        is_exact: &mut [bool; MOST_IN_TURNS],
    ) {
        let mut is_repair_exact = true;
        if instances.iter().flatten().any(starts_in_single) {
            self.lead(vectors, likeness, instances, feasible);
            is_repair_exact = self.repair_duals(vectors, instances, feasible);
        }
        let exactness = Exactness::watch();
        let members = &mut self.members;
        run_by_vectors!(
            vectors,
            doubles of likeness,
            SolveInDouble {
                members,
                instances,
                feasible
            }
        );
        let exact = exactness.held(&mut self.members);
        for index in 0..MOST_IN_TURNS {
            if instances[index].is_some() {
                is_exact[index] = exact && self.members[index].is_proof_exact(is_repair_exact);
            }
        }
    }

    /// Repairs the duals that f64 has taken over, where needed. Returns whether nothing was rounded
    /// in any instance.
    #[inline(always)]
    fn repair_duals<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instances: &[Option<Instance<E>>; MOST_IN_TURNS],
        feasible: &[bool; MOST_IN_TURNS],
    ) -> bool {
        let exactness = Exactness::watch();
        let members = &mut self.members;
        vectors.run_apart(RepairDuals {
            members,
            instances,
            feasible,
        });
        let is_exact = exactness.held(&mut self.members);
        for (member, instance) in self.members.iter_mut().zip(instances) {
            if let Some(instance) = instance {
                member.restore_duals(instance);
            }
        }
        is_exact
    }

    /// Has f32 solve the instances that it leads, and prepares what f64 needs of the results.
    #[inline(always)]
    fn lead<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        likeness: Likeness,
        instances: &[Option<Instance<E>>; MOST_IN_TURNS],
        feasible: &mut [bool; MOST_IN_TURNS],
    ) {
        let are_exact = self.start_in_single(vectors, likeness, instances, feasible);
        let is_alone = instances.iter().flatten().count() == 1;
        for index in 0..MOST_IN_TURNS {
            if let Some(instance) = &instances[index]
                && feasible[index]
                && starts_in_single(instance)
            {
                let mut is_exact = self.members[index].may_be_exact(instance);
                if is_exact && !are_exact {
                    // What was rounded may have been another instance.
                    let mut alone = [const { None }; MOST_IN_TURNS];
                    alone[index] = Some(*instance);
                    is_exact = !is_alone
                        && self.start_in_single(vectors, likeness, &alone, &mut feasible.clone());
                }
                self.members[index].is_single_exact = is_exact;
            }
        }
        let members = &mut self.members;
        run_by_vectors!(
            vectors,
            singles of likeness,
            Adopt {
                members,
                instances,
                feasible
            }
        );
    }

    /// Has f32 solve the instances that it leads. Returns whether nothing was rounded in any of
    /// them.
    #[inline(never)]
    fn start_in_single<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        likeness: Likeness,
        instances: &[Option<Instance<E>>; MOST_IN_TURNS],
        feasible: &mut [bool; MOST_IN_TURNS],
    ) -> bool {
        let exactness = Exactness::watch();
        let members = &mut self.members;
        run_by_vectors!(
            vectors,
            singles of likeness,
            StartInSingle {
                members,
                instances,
                feasible
            }
        );
        exactness.held(&mut self.members)
    }
}

/// Solves in f32 the instances that f32 leads. Their rows are of at most `N` vectors, or of any
/// number.
struct StartInSingle<'a, 'b, E, const N: usize> {
    members: &'a mut [Member; MOST_IN_TURNS],
    instances: &'a [Option<Instance<'b, E>>; MOST_IN_TURNS],
    feasible: &'a mut [bool; MOST_IN_TURNS],
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
        for index in 0..MOST_IN_TURNS {
            let solver = &mut members[index].single;
            solver.set_done();
            if let Some(instance) = &instances[index]
                && starts_in_single(instance)
            {
                let margin = Margin::of(instance.likely_dual());
                let begun = solver.begin::<_, _, SINGLES, N>(lanes, instance, margin);
                feasible[index] = begun.is_ok();
            }
        }
        let solvers = members.each_mut().map(|member| &mut member.single);
        take_turns::<_, _, _, SINGLES, N>(lanes, solvers, instances, feasible);
    }
}

/// Has f64 take over the duals of f32 and, unless they are exact, lists the pairs along which they
/// are to be repaired.
struct Adopt<'a, 'b, E, const N: usize> {
    members: &'a mut [Member; MOST_IN_TURNS],
    instances: &'a [Option<Instance<'b, E>>; MOST_IN_TURNS],
    feasible: &'a [bool; MOST_IN_TURNS],
}

impl<E: Entry, const N: usize> Work for Adopt<'_, '_, E, N> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let lanes = vectors.singles();
        for (index, member) in self.members.iter_mut().enumerate() {
            if let Some(instance) = &self.instances[index]
                && self.feasible[index]
                && starts_in_single(instance)
            {
                let (largest_dual, grid) = member.adopt_duals(lanes, instance);
                if !member.is_single_exact {
                    let repair = &mut member.repair;
                    repair.list::<_, _, N>(lanes, instance, &member.single, largest_dual);
                    member.is_led &= repair.can_take(grid);
                }
            }
        }
    }
}

/// Repairs the duals that f64 has taken over, where needed.
struct RepairDuals<'a, 'b, E> {
    members: &'a mut [Member; MOST_IN_TURNS],
    instances: &'a [Option<Instance<'b, E>>; MOST_IN_TURNS],
    feasible: &'a [bool; MOST_IN_TURNS],
}

impl<E: Entry> Work for RepairDuals<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        for (index, member) in self.members.iter_mut().enumerate() {
            if let Some(instance) = &self.instances[index]
                && self.feasible[index]
            {
                member.repair_duals(vectors.doubles(), instance);
            }
        }
    }
}

/// Solves all instances in f64. Their rows are of at most `N` vectors, or of any number.
struct SolveInDouble<'a, 'b, E, const N: usize> {
    members: &'a mut [Member; MOST_IN_TURNS],
    instances: &'a [Option<Instance<'b, E>>; MOST_IN_TURNS],
    feasible: &'a mut [bool; MOST_IN_TURNS],
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
        for index in 0..MOST_IN_TURNS {
            let member = &mut members[index];
            member.double.set_done();
            if let Some(instance) = &instances[index]
                && feasible[index]
            {
                feasible[index] = member.begin::<_, _, N>(lanes, instance).is_ok();
            }
        }
        let solvers = members.each_mut().map(|member| &mut member.double);
        take_turns::<_, _, _, DOUBLES, N>(lanes, solvers, instances, feasible);
        for index in 0..MOST_IN_TURNS {
            if let Some(instance) = &instances[index]
                && feasible[index]
            {
                members[index].double.normalize_duals(instance);
            }
        }
    }
}

impl Member {
    /// Has f64 take over the duals of f32, rounded to multiples of a power of two that keeps
    /// arithmetic exact, or as they are if they are exact. Returns the largest magnitude of a
    /// column's dual, and that power of two, or 0.
    ///
    /// Duals beyond rows/2·max|c| do not lead f64: sums that begin there might grow beyond what
    /// keeps arithmetic exact, which sums that begin at zero do not (see [`crate::solve::augment`],
    /// "size of the numbers").
    #[inline(always)]
    fn adopt_duals<L: Lanes<SINGLES, Number = f32>, E: Entry>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> (f64, f64) {
        let (rows, cols) = (instance.rows(), instance.cols());
        let largest = f64::from(largest_magnitude(lanes, self.single.col_duals(), cols));
        self.is_led = largest <= 0.5 * rows as f64 * instance.largest;
        // Of `grid`: costs that promise exact arithmetic are multiples of it.
        let sums = 2.0 * (rows + cols) as f64 * instance.largest;
        let grid = if self.is_single_exact {
            0.0
        } else {
            power_of_two_from(sums * (0.5 * f64::EPSILON))
        };
        self.double.adopt_duals(&self.single, cols, grid);
        (largest, grid)
    }

    /// Can f32 have rounded nothing in this instance? It must have left no margins, and not have
    /// rounded the rows' duals, which it has computed from their matched pairs. (The inexact flag
    /// does not suffice: under valgrind it stays down whatever is rounded.)
    #[inline(always)]
    fn may_be_exact<E: Entry>(&self, instance: &Instance<E>) -> bool {
        let matched = self.single.col_of_row().iter().enumerate();
        let mut duals = matched.zip(self.single.row_duals());
        !self.single.has_left_margins()
            && duals.all(|((row, &col), &dual)| {
                let col_dual = self.single.col_duals().get(col as usize);
                instance.cost(row, col as usize) - f64::from(col_dual) == f64::from(dual)
            })
    }

    /// Has the solver in f64 begin, from the result of f32 where that leads.
    #[inline(always)]
    fn begin<L: Lanes<DOUBLES, Number = f64>, E: Entry, const N: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) -> Result<(), Infeasible> {
        let (single, double) = (&self.single, &mut self.double);
        let is_led = starts_in_single(instance) && self.is_led;
        match self.raised {
            Some(Raised::Failed) if instance.is_balanced() => {
                double.begin_from(lanes, instance, single);
            }
            // Where f64 is led and no duals had to be raised, f32 is exact.
            None | Some(Raised::Proven | Raised::ProvenToRounding) if is_led => {
                double.begin_with_matching(instance, single);
            }
            _ => return double.begin::<_, _, DOUBLES, N>(lanes, instance, Margin::none()),
        }
        Ok(())
    }

    /// Raises the duals that f64 has taken over, if it is led by them and they are not exact, until
    /// they prove the matching of f32.
    #[inline(always)]
    fn repair_duals<L: Lanes<DOUBLES, Number = f64>, E: Entry>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) {
        if !self.is_led || self.is_single_exact || !starts_in_single(instance) {
            return;
        }
        let (repair, single) = (&mut self.repair, &self.single);
        let duals = self.double.col_duals_mut();
        let raised = repair.raise(instance, single, duals);
        self.raised =
            raised.or_else(|| Some(repair.raise_by_sweeps(lanes, instance, single, duals)));
    }

    /// Takes over the duals of f32 again, where raising them did not help and f64 is to start from
    /// them.
    #[inline(never)]
    fn restore_duals<E: Entry>(&mut self, instance: &Instance<E>) {
        if self.raised == Some(Raised::Failed) && instance.is_balanced() {
            self.adopt_duals(Arrays::default(), instance);
        }
    }

    /// Is the matching as exact as the arithmetic that came after the repair of its duals? If it
    /// rests on the repair, nothing may have been rounded in the repair, and no row's own pair may
    /// miss being its cheapest by a rounding error.
    fn is_proof_exact(&self, is_repair_exact: bool) -> bool {
        match self.raised {
            None | Some(Raised::Failed) => true,
            Some(Raised::Proven) => is_repair_exact,
            Some(Raised::ProvenToRounding) => false,
        }
    }

    /// Says whether the answer may stand, by [`crate::prove::ladder`], and solves the instance
    /// again if not. `exact`: nothing was rounded in it, nor in those that it was solved with.
    #[inline(always)]
    fn judge<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instance: &Instance<E>,
        exact: bool,
    ) -> Result<Verdict<'_, &Solver<f64>>, TryReserveError> {
        let evidence = evidence(instance, exact, || {
            vectors.run_apart(IsNearEnough {
                instance,
                solver: &self.double,
            })
        });
        match evidence {
            Some(evidence) => Ok(Verdict::InDouble(evidence, &self.double)),
            None => self.solve_again(instance),
        }
    }

    /// Steps 3 and 4 of [`crate::prove::ladder`]: solves the instance alone, and if that will not
    /// do, in twice the precision.
    #[cold]
    #[inline(never)]
    fn solve_again<E: Entry>(
        &mut self,
        instance: &Instance<E>,
    ) -> Result<Verdict<'_, &Solver<f64>>, TryReserveError> {
        // Taking duals over rounds them, which does not matter: it is not watched, as in the group.
        self.raised = None;
        if self.is_led {
            self.adopt_duals(Arrays::default(), instance);
        }
        let exactness = Exactness::watch();
        self.repair_alone(instance);
        let is_repair_exact = exactness.held(&mut self.double);
        self.restore_duals(instance);
        let exactness = Exactness::watch();
        let solved = self.solve_alone(instance);
        let nothing_was_rounded =
            exactness.held(&mut self.double) && self.is_proof_exact(is_repair_exact);
        match evidence(instance, nothing_was_rounded, || false) {
            Some(evidence) if solved.is_ok() => Ok(Verdict::InDouble(evidence, &self.double)),
            _ => solve_in_double_double(&mut self.double_double, instance),
        }
    }

    /// A function of its own, for the reason that [`Member::solve_alone`] is one.
    #[inline(never)]
    fn repair_alone<E: Entry>(&mut self, instance: &Instance<E>) {
        self.repair_duals(Arrays::<f64>::default(), instance);
    }

    /// Solves one instance in f64 as in the group, so that its answer does not depend on the
    /// neighbours. A function of its own, since its caller watches whether anything is rounded: no
    /// arithmetic can move past the reading of the flag.
    #[inline(never)]
    fn solve_alone<E: Entry>(&mut self, instance: &Instance<E>) -> Result<(), Infeasible> {
        let lanes = Arrays::<f64>::default();
        self.begin::<_, _, ANY>(lanes, instance)?;
        self.double.go_on::<_, _, DOUBLES>(lanes, instance)?;
        self.double.normalize_duals(instance);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::given::Problem;
    use crate::problem::prepare::Scratch;
    use crate::prove::ladder::Evidence;
    use crate::simd::arrays::ArrayVectors;
    use hungarian_random::Random;

    /// Solves a square by itself. Returns whether the answer is known to be exact, and the solver.
    fn solve_alone(cost: &[f64], n: usize) -> (bool, GroupSolver) {
        let problem = Problem::plain(cost, n, n);
        let mut scratch = Scratch::default();
        scratch.try_reserve(n, n).unwrap();
        let instance = problem.prepare(ArrayVectors, &mut scratch).ok();
        let mut solver = GroupSolver::default();
        solver.try_reserve(1, n, n).unwrap();
        let verdicts = solver.solve(ArrayVectors, &[instance, None, None, None]);
        let verdict = &verdicts.unwrap()[0];
        let is_exact = matches!(verdict, Some(Verdict::InDouble(Evidence::Exact, _)));
        (is_exact, solver)
    }

    /// Solves a square of which only the diagonal and `chain` pairs above it are allowed, which
    /// drive v down by 2 a column. Returns whether f64 starts from the result of f32, and the
    /// largest |v| of f32.
    fn is_led_by_single(n: usize, chain: usize) -> (bool, f64) {
        let mut cost = vec![f64::INFINITY; n * n];
        for row in 0..n {
            cost[row * n + row] = 1.0;
            if row < chain {
                cost[row * n + row + 1] = -1.0;
            }
        }
        let (is_exact, solver) = solve_alone(&cost, n);
        assert!(is_exact);
        let member = &solver.members[0];
        let col_duals = (0..n).map(|col| member.single.col_duals().get(col));
        let largest = col_duals.fold(0.0, |top: f64, dual| top.max(f64::from(dual.abs())));
        (member.is_led, largest)
    }

    #[test]
    fn only_small_duals_are_taken_over_from_f32() {
        for n in [65, 100, 201] {
            for chain in [0, n / 8, n / 2, n - 1] {
                let (is_led, largest) = is_led_by_single(n, chain);
                // No cost is larger than 1.
                assert_eq!(is_led, largest <= 0.5 * n as f64, "{n}, {chain}: {largest}");
            }
            assert!(is_led_by_single(n, 0).0 && !is_led_by_single(n, n - 1).0);
        }
    }

    /// The solver, after it has solved problems as one group.
    fn solver_of(costs: &[&[f32]], rows: usize, cols: usize) -> GroupSolver {
        let mut scratch = [const { None }; MOST_IN_TURNS];
        let mut instances = [const { None }; MOST_IN_TURNS];
        for ((cost, scratch), instance) in costs.iter().zip(&mut scratch).zip(&mut instances) {
            let problem = Problem::plain(cost, rows, cols);
            let scratch = scratch.insert(Scratch::default());
            scratch.try_reserve(rows, cols).unwrap();
            *instance = problem.prepare(ArrayVectors, scratch).ok();
        }
        let mut solver = GroupSolver::default();
        solver.try_reserve(MOST_IN_TURNS, rows, cols).unwrap();
        solver.solve(ArrayVectors, &instances).unwrap();
        solver
    }

    /// Solves problems as one group. Returns for each whether f32 is known to have rounded nothing,
    /// and all duals, bit for bit.
    fn solve(costs: &[&[f32]], rows: usize, cols: usize) -> Vec<(bool, Vec<u64>)> {
        let solver = solver_of(costs, rows, cols);
        let members = solver.members.iter().take(costs.len());
        let answers = members.map(|member| {
            let col_duals = (0..cols).map(|col| member.double.col_duals().get(col));
            let duals = member.double.row_duals().iter().copied().chain(col_duals);
            (member.is_single_exact, duals.map(f64::to_bits).collect())
        });
        answers.collect()
    }

    #[test]
    fn what_f32_has_not_rounded_is_exact_whatever_the_neighbours() {
        let mut random = Random::new(1);
        // The last shape is large enough for lower bounds to be kept.
        for (rows, cols) in [(100, 100), (150, 150), (70, 200), (100, 300), (800, 800)] {
            let mut draw = |cost: fn(f64) -> f64| -> Vec<f32> {
                let costs = (0..rows * cols).map(|_| cost(random.uniform()) as f32);
                costs.collect()
            };
            let whole = draw(|uniform| (uniform * 10.0).floor());
            let offset = draw(|uniform| 1e6 + uniform);
            let real = draw(|uniform| uniform);
            let alone = [&whole, &offset, &real].map(|cost| solve(&[cost], rows, cols).remove(0));
            assert_eq!(
                alone.each_ref().map(|(is_exact, _)| *is_exact),
                [true, true, false],
                "{rows}x{cols}"
            );
            let together = solve(&[&real, &whole, &offset], rows, cols);
            assert_eq!(together[0], alone[2], "{rows}x{cols}");
            assert_eq!(together[1..], alone[..2], "{rows}x{cols}");
            assert_eq!(solve(&[&whole, &offset], rows, cols), alone[..2]);
        }
    }

    /// The matching of f32 is seldom optimal then, and to find that out rounds. The answer, which
    /// f64 finds afterwards, is exact all the same.
    #[test]
    fn large_whole_numbers_are_solved_exactly() {
        let mut random = Random::new(3);
        for n in [65, 100, 101] {
            let largest = 2f64.powi(53) / (4 * n) as f64;
            let shares: Vec<f64> = (0..2 * n)
                .map(|_| random.uniform() * largest / 2.0)
                .collect();
            for family in 0..3 {
                let draw = |at: usize| match family {
                    0 => shares[at / n] + shares[n + at % n],
                    1 => largest - random.uniform() * 100.0,
                    _ => [1.0, largest][random.index(2)],
                };
                let cost: Vec<f64> = (0..n * n).map(draw).map(f64::floor).collect();
                assert!(solve_alone(&cost, n).0, "{n}, family {family}");
            }
        }
    }

    /// Costs far from 0 have duals of few digits, which are not rounded in the end. Margins tell
    /// that something else was: to solve each problem once more to find out took as long as all the
    /// rest.
    #[test]
    fn costs_far_from_zero_are_known_to_have_been_rounded() {
        let mut random = Random::new(2);
        for (rows, cols) in [(70, 70), (100, 100), (100, 300)] {
            let mut draw = |cost: fn(f64) -> f64| -> Vec<f32> {
                let costs = (0..rows * cols).map(|_| cost(random.uniform()) as f32);
                costs.collect()
            };
            let far = draw(|uniform| 1.0 + uniform);
            let whole = draw(|uniform| (uniform * 10.0).floor());
            for (cost, is_known) in [(far, true), (whole, false)] {
                let solver = solver_of(&[&cost], rows, cols);
                let single = &solver.members[0].single;
                assert_eq!(single.has_left_margins(), is_known, "{rows}x{cols}");
            }
        }
    }
}
