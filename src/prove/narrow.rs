//! Groups of narrow instances, solved by turns and proven.

use std::collections::TryReserveError;

use crate::number::double_double::DoubleDouble;
use crate::number::environment::Exactness;
use crate::problem::instance::Instance;
use crate::prove::bound::IsNarrowNearEnough;
use crate::prove::ladder::{Verdict, evidence, solve_in_double_double};
use crate::prove::repair_narrow::{LISTED, NearPairs, RepairNarrow, is_raised_exactly};
use crate::simd::cost::Entry;
use crate::simd::ops::{Vectors, Work};
use crate::solve::augment::Solver;
use crate::solve::doubles::SolveInDouble;
use crate::solve::lead::{LeadGroup, Led};
use crate::solve::narrow::{FinishGroup, NARROW_GROUP, NarrowAnswer, NarrowInstance};

/// Solves groups of narrow instances. One worker owns one and reuses it.
#[derive(Debug, Default)]
pub struct NarrowSolver<const COLS: usize> {
    answers: Vec<NarrowAnswer<COLS>>,
    leads: Leads<COLS>,
    /// The answer to an instance that is solved again; usually none.
    alone: Vec<NarrowAnswer<COLS>>,
    // Made room for only when it is needed, which is rare.
    double_double: Solver<DoubleDouble>,
}

/// What became of a group.
#[derive(Clone, Copy, Debug)]
pub struct Solved {
    /// One bit for each instance that has an answer. The allowed pairs of the others cannot match
    /// all rows.
    pub answered: u64,
    /// Nothing was rounded that decides the answers.
    pub exact: bool,
}

impl<const COLS: usize> NarrowSolver<COLS> {
    /// Makes room for a group.
    pub fn try_reserve(&mut self) -> Result<(), TryReserveError> {
        let more = NARROW_GROUP - self.answers.len();
        self.answers.try_reserve_exact(more)?;
        // Within the room that was made.
        self.answers.resize(NARROW_GROUP, NarrowAnswer::NOTHING);
        self.leads.try_reserve()
    }

    /// The answers to the last group; their content is unspecified where there is none.
    #[inline(always)]
    pub fn answers(&self) -> &[NarrowAnswer<COLS>] {
        &self.answers
    }

    /// Solves a group: at most [`NARROW_GROUP`] instances.
    #[inline(always)]
    pub fn solve<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instances: &[NarrowInstance<E, COLS>],
    ) -> Solved {
        let answers = &mut self.answers[..instances.len()];
        solve_and_watch(vectors, instances, &mut self.leads, answers)
    }

    /// Is an answer to the last group proven near enough to the optimum, where `largest` is
    /// max(|c|, |L|)?
    #[inline(always)]
    pub fn prove<V: Vectors, E: Entry>(
        &self,
        vectors: V,
        index: usize,
        instance: &NarrowInstance<E, COLS>,
        largest: f64,
    ) -> bool {
        vectors.run_apart(IsNarrowNearEnough {
            instance,
            answer: &self.answers[index],
            largest,
        })
    }

    /// Steps 3 and 4 of [`crate::prove::ladder`]: solves the instance alone, and if that will not
    /// do, in twice the precision.
    #[cold]
    #[inline(never)]
    pub fn solve_again<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instance: &Instance<E>,
    ) -> Result<Verdict<'_, &NarrowAnswer<COLS>>, TryReserveError> {
        self.alone.clear();
        self.alone.try_reserve_exact(1)?;
        self.alone.push(NarrowAnswer::NOTHING);
        // By the same code as the group, so that the answer does not depend on the neighbours.
        let instances = [NarrowInstance::of(instance)];
        let solved = solve_and_watch(vectors, &instances, &mut self.leads, &mut self.alone);
        match evidence(instance, solved.exact, || false) {
            Some(evidence) if solved.answered != 0 => {
                Ok(Verdict::InDouble(evidence, &self.alone[0]))
            }
            _ => solve_in_double_double(&mut self.double_double, instance),
        }
    }
}

/// The results of f32 for a group.
#[derive(Debug, Default)]
struct Leads<const COLS: usize> {
    led: Vec<Led<COLS>>,
    near: Vec<NearPairs<COLS>>,
    /// A list of one, so that room for it can be asked for.
    repair: Vec<RepairNarrow<COLS>>,
}

impl<const COLS: usize> Leads<COLS> {
    fn try_reserve(&mut self) -> Result<(), TryReserveError> {
        self.led.try_reserve_exact(NARROW_GROUP - self.led.len())?;
        self.near
            .try_reserve_exact(NARROW_GROUP - self.near.len())?;
        // Within the room that was made.
        self.led.resize(NARROW_GROUP, Led::NOTHING);
        self.near.resize(NARROW_GROUP, NearPairs::NONE);
        self.repair.try_reserve_exact(1 - self.repair.len())?;
        self.repair.resize(1, RepairNarrow::NOTHING);
        Ok(())
    }
}

/// Solves a group and finishes its answers.
///
/// What is watched runs in calls that are never inlined, so that no arithmetic can move past the
/// reading of the flag.
#[inline(always)]
fn solve_and_watch<V: Vectors, E: Entry, const COLS: usize>(
    vectors: V,
    instances: &[NarrowInstance<E, COLS>],
    leads: &mut Leads<COLS>,
    answers: &mut [NarrowAnswer<COLS>],
) -> Solved {
    let Leads { led, near, repair } = leads;
    let exactness = Exactness::watch();
    let led_ones = vectors.run_apart(LeadGroup {
        instances,
        led: &mut *led,
    });
    // If f32 rounded nothing, its duals are exact, and f64 has nothing to raise.
    let is_proven = exactness.held(&mut **led)
        && vectors.run_apart(AreRaisedExactly {
            instances,
            led_ones,
        });
    if !is_proven {
        vectors.run_apart(ListNearPairs {
            instances,
            led,
            led_ones,
            near: &mut *near,
        });
    }
    let exactness = Exactness::watch();
    let answered = vectors.run_apart(RepairAndSolve {
        instances,
        led,
        led_ones,
        near: (!is_proven).then_some(near),
        repair: &mut repair[0],
        answers: &mut *answers,
    });
    let exact = exactness.held(&mut *answers);
    vectors.run_apart(FinishGroup { instances, answers });
    Solved { answered, exact }
}

/// The costs of the instance at `index`, as f32, if f32 has an answer to it: its bit in `led_ones`
/// says so.
#[inline(always)]
fn led_costs<'a, E: Entry, const COLS: usize>(
    instance: &NarrowInstance<'a, E, COLS>,
    led_ones: u64,
    index: usize,
) -> Option<&'a [[f32; COLS]; COLS]> {
    if led_ones >> index & 1 == 0 {
        return None;
    }
    E::as_singles(instance.costs)
}

/// [`is_raised_exactly`] of all instances that f32 has an answer to.
struct AreRaisedExactly<'a, 'b, E, const COLS: usize> {
    instances: &'a [NarrowInstance<'b, E, COLS>],
    led_ones: u64,
}

impl<E: Entry, const COLS: usize> Work for AreRaisedExactly<'_, '_, E, COLS> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> bool {
        for (index, instance) in self.instances.iter().enumerate() {
            if let Some(costs) = led_costs(instance, self.led_ones, index)
                && !is_raised_exactly(vectors, costs)
            {
                return false;
            }
        }
        true
    }
}

/// Lists the near pairs of the answers of f32.
struct ListNearPairs<'a, 'b, E, const COLS: usize> {
    instances: &'a [NarrowInstance<'b, E, COLS>],
    led: &'a [Led<COLS>],
    /// One bit for each instance that f32 has an answer to.
    led_ones: u64,
    near: &'a mut [NearPairs<COLS>],
}

impl<E: Entry, const COLS: usize> Work for ListNearPairs<'_, '_, E, COLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let instances = self.instances.iter();
        for (index, ((instance, led), near)) in instances.zip(self.led).zip(self.near).enumerate() {
            if let Some(costs) = led_costs(instance, self.led_ones, index) {
                *near = NearPairs::of(vectors, costs, led);
            }
        }
    }
}

/// Adopts the answers of f32 that f64 proves, and solves all other instances in f64.
struct RepairAndSolve<'a, 'b, E, const COLS: usize> {
    instances: &'a [NarrowInstance<'b, E, COLS>],
    led: &'a [Led<COLS>],
    led_ones: u64,
    /// `None` if all answers of f32 are known to be optimal.
    near: Option<&'a [NearPairs<COLS>]>,
    repair: &'a mut RepairNarrow<COLS>,
    answers: &'a mut [NarrowAnswer<COLS>],
}

impl<E: Entry, const COLS: usize> Work for RepairAndSolve<'_, '_, E, COLS> {
    /// One bit for each instance that has an answer.
    type Output = u64;

    #[inline(always)]
    fn run<V: Vectors>(mut self, vectors: V) -> u64 {
        let mut adopted = 0;
        if self.led_ones != 0 {
            for first in (0..self.instances.len()).step_by(LISTED) {
                adopted |= u64::from(self.adopt(first)) << first;
            }
        }
        let missing = NARROW_GROUP - self.instances.len();
        let all = u64::MAX.checked_shr(missing as u32).unwrap_or(0);
        let others = all & !adopted;
        if others == 0 {
            return all;
        }
        adopted
            | vectors.run_apart(SolveInDouble {
                instances: self.instances,
                these: others,
                answers: self.answers,
            })
    }
}

impl<E: Entry, const COLS: usize> RepairAndSolve<'_, '_, E, COLS> {
    /// Adopts the answers that are proven, of at most [`LISTED`] instances from `first` on. Returns
    /// one bit for each instance whose answer is.
    #[inline(always)]
    fn adopt(&mut self, first: usize) -> u8 {
        let repair = &mut *self.repair;
        let last = self.instances.len().min(first + LISTED);
        let instances = &self.instances[first..last];
        let led = &self.led[first..last];
        let near = self.near.as_ref().map(|near| &near[first..last]);
        repair.clear();
        for (at, instance) in instances.iter().enumerate() {
            if let Some(costs) = led_costs(instance, self.led_ones, first + at) {
                repair.add(at, costs, &led[at], near.map(|near| &near[at]));
            }
        }
        if let Some(near) = near {
            repair.raise(led, near);
        }
        for (at, answer) in self.answers[first..last].iter_mut().enumerate() {
            if repair.proven() >> at & 1 != 0 {
                answer.found.col_duals = *repair.col_duals(at);
                answer.found.row_of_col = led[at].row_of_col;
            }
        }
        repair.proven()
    }
}
