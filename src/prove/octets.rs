//! Groups of narrow instances, solved side by side and proven eight at once.

use std::collections::TryReserveError;

use crate::number::double_double::DoubleDouble;
use crate::number::environment::Exactness;
use crate::problem::instance::Instance;
use crate::prove::bound::AreNearEnough;
use crate::prove::ladder::{Verdict, evidence, solve_in_double_double};
use crate::prove::settle::{NearPairs, Settle, is_raised_exactly};
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, Vectors, Work};
use crate::solve::augment::Solver;
use crate::solve::doubles::SolveUnlimited;
use crate::solve::lead::{LeadGroup, Led};
use crate::solve::octet::{LaneInstance, Octet, OctetInstances};
use crate::solve::rows::Answer;
use crate::solve::side_by_side::{FinishGroup, GROUP, OCTETS, SolveGroup};

/// Solves groups of narrow instances. One worker owns one and reuses it.
#[derive(Debug)]
pub struct OctetSolver<const COLS: usize> {
    octets: Vec<Octet<COLS>>,
    leads: Leads<COLS>,
    /// Of an instance that is solved again; usually none.
    alone: Vec<Octet<COLS>>,
    // Made room for only when it is needed, which is rare.
    double_double: Solver<DoubleDouble>,
}

impl<const COLS: usize> Default for OctetSolver<COLS> {
    fn default() -> Self {
        OctetSolver {
            octets: Vec::new(),
            leads: Leads::default(),
            alone: Vec::new(),
            double_double: Solver::default(),
        }
    }
}

impl<const COLS: usize> OctetSolver<COLS> {
    /// Makes room for a group.
    pub fn try_reserve(&mut self) -> Result<(), TryReserveError> {
        self.octets.try_reserve_exact(OCTETS - self.octets.len())?;
        self.leads.try_reserve()
    }

    /// The answers to the last group.
    #[inline(always)]
    pub fn octets(&self) -> &[Octet<COLS>] {
        &self.octets
    }

    /// Solves a group: octets of instances, at most [`crate::solve::side_by_side::GROUP`] in all. Was nothing rounded?
    #[inline(always)]
    pub fn solve<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instances: &[OctetInstances<E, COLS>],
    ) -> bool {
        // Within what was set aside.
        self.octets
            .resize(instances.len().min(OCTETS), Octet::EMPTY);
        solve_and_watch(vectors, instances, &mut self.leads, &mut self.octets)
    }

    /// Lanes of an octet whose answers are proven near enough to the optimum, where `largest` is max(|c|, |L|) of each.
    #[inline(always)]
    pub fn prove<V: Vectors, E: Entry>(
        &self,
        vectors: V,
        octet: usize,
        instances: &OctetInstances<E, COLS>,
        largest: [f64; DOUBLES],
    ) -> u8 {
        vectors.run_apart(AreNearEnough {
            instances,
            octet: &self.octets[octet],
            largest,
        })
    }

    /// Steps 3 and 4.
    #[cold]
    #[inline(never)]
    pub fn solve_again<V: Vectors, E: Entry>(
        &mut self,
        vectors: V,
        instance: &Instance<E>,
    ) -> Result<Verdict<'_, (&Octet<COLS>, usize)>, TryReserveError> {
        let lane_instance = LaneInstance::of(instance);
        let mut instances = [lane_instance.without_rows(); DOUBLES];
        instances[0] = lane_instance;
        self.alone.clear();
        self.alone.try_reserve_exact(1)?;
        self.alone.push(Octet::EMPTY);
        // By the same code as the group, so that a verdict does not depend on the neighbours.
        let exact = solve_and_watch(vectors, &[instances], &mut self.leads, &mut self.alone);
        match evidence(instance, exact, || false) {
            Some(evidence) if self.alone[0].infeasible() == 0 => {
                Ok(Verdict::InDouble(evidence, (&self.alone[0], 0)))
            }
            _ => solve_in_double_double(&mut self.double_double, instance),
        }
    }
}

/// What f32 came to in a group.
#[derive(Debug)]
struct Leads<const COLS: usize> {
    led: Vec<Led<COLS>>,
    near: Vec<NearPairs<COLS>>,
    /// One.
    settle: Vec<Settle<COLS>>,
    /// What f64 came to where there is no limit.
    answers: Vec<Answer<f64, COLS>>,
}

impl<const COLS: usize> Default for Leads<COLS> {
    fn default() -> Self {
        Leads {
            led: Vec::new(),
            near: Vec::new(),
            settle: Vec::new(),
            answers: Vec::new(),
        }
    }
}

impl<const COLS: usize> Leads<COLS> {
    fn try_reserve(&mut self) -> Result<(), TryReserveError> {
        self.led.try_reserve_exact(GROUP - self.led.len())?;
        self.near.try_reserve_exact(GROUP - self.near.len())?;
        // Within what was set aside.
        self.led.resize(GROUP, Led::NOTHING);
        self.near.resize(GROUP, NearPairs::NONE);
        self.settle.try_reserve_exact(1 - self.settle.len())?;
        self.settle.resize(1, Settle::NOTHING);
        self.answers.try_reserve_exact(GROUP - self.answers.len())?;
        self.answers.resize(GROUP, Answer::NOTHING);
        Ok(())
    }
}

/// Solves a group and finishes its answers. Was nothing rounded that decides them?
///
/// What is watched is done behind a call that is never inlined, so that no arithmetic can move past the flag being read.
#[inline(always)]
fn solve_and_watch<V: Vectors, E: Entry, const COLS: usize>(
    vectors: V,
    instances: &[OctetInstances<E, COLS>],
    leads: &mut Leads<COLS>,
    octets: &mut [Octet<COLS>],
) -> bool {
    let Leads {
        led,
        near,
        settle,
        answers,
    } = leads;
    let exactness = Exactness::watch();
    let led_ones = vectors.run_apart(LeadGroup {
        instances,
        led: &mut *led,
    });
    // Then its duals are exact, and f64 has nothing to raise.
    let is_settled = exactness.held(&mut **led)
        && vectors.run_apart(AreRaisedExactly {
            instances,
            led_ones,
        });
    if !is_settled {
        vectors.run_apart(ListNearPairs {
            instances,
            led,
            led_ones,
            near: &mut *near,
        });
    }
    let exactness = Exactness::watch();
    vectors.run_apart(SettleAndSolve {
        instances,
        led,
        led_ones,
        near: (!is_settled).then_some(near),
        settle: &mut settle[0],
        answers,
        octets: &mut *octets,
    });
    let exact = exactness.held(octets);
    vectors.run_apart(FinishGroup { instances, octets });
    exact
}

/// [`is_raised_exactly`] of all instances that f32 has an answer to.
struct AreRaisedExactly<'a, 'b, E, const COLS: usize> {
    instances: &'a [OctetInstances<'b, E, COLS>],
    led_ones: u64,
}

impl<E: Entry, const COLS: usize> Work for AreRaisedExactly<'_, '_, E, COLS> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> bool {
        for (index, instance) in self.instances.as_flattened().iter().enumerate() {
            if let Some(costs) = E::as_singles(instance.costs)
                && self.led_ones >> index & 1 != 0
                && !is_raised_exactly(vectors, costs)
            {
                return false;
            }
        }
        true
    }
}

/// Lists the near pairs of what f32 came to.
struct ListNearPairs<'a, 'b, E, const COLS: usize> {
    instances: &'a [OctetInstances<'b, E, COLS>],
    led: &'a [Led<COLS>],
    /// One bit for each instance that f32 has an answer to.
    led_ones: u64,
    near: &'a mut [NearPairs<COLS>],
}

impl<E: Entry, const COLS: usize> Work for ListNearPairs<'_, '_, E, COLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let instances = self.instances.as_flattened().iter();
        for (index, ((instance, led), near)) in instances.zip(self.led).zip(self.near).enumerate() {
            if let Some(costs) = E::as_singles(instance.costs)
                && self.led_ones >> index & 1 != 0
            {
                *near = NearPairs::of(vectors, costs, led);
            }
        }
    }
}

/// Adopts what f32 came to, where f64 proves it, and solves all else in f64.
struct SettleAndSolve<'a, 'b, E, const COLS: usize> {
    instances: &'a [OctetInstances<'b, E, COLS>],
    led: &'a [Led<COLS>],
    led_ones: u64,
    /// `None` if it is proven.
    near: Option<&'a [NearPairs<COLS>]>,
    settle: &'a mut Settle<COLS>,
    answers: &'a mut [Answer<f64, COLS>],
    octets: &'a mut [Octet<COLS>],
}

impl<E: Entry, const COLS: usize> Work for SettleAndSolve<'_, '_, E, COLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(mut self, vectors: V) {
        if self.led_ones == 0 {
            solve_in_double(vectors, self.instances, self.answers, self.octets);
            return;
        }
        let mut adopted = 0;
        for octet in 0..self.instances.len() {
            self.octets[octet].clear();
            adopted |= u64::from(self.adopt(octet)) << (octet * DOUBLES);
        }
        if let Some(others) = without(self.instances, adopted) {
            let others = &others[..self.instances.len()];
            solve_in_double(vectors, others, self.answers, self.octets);
            // All lanes of an octet were written.
            for octet in 0..self.instances.len() {
                self.adopt(octet);
            }
        }
    }
}

impl<E: Entry, const COLS: usize> SettleAndSolve<'_, '_, E, COLS> {
    /// Adopts what is proven: one bit for each lane.
    #[inline(always)]
    fn adopt(&mut self, octet: usize) -> u8 {
        let settle = &mut *self.settle;
        let instances = &self.instances[octet];
        let first = octet * DOUBLES;
        let led = &self.led[first..first + DOUBLES];
        let near = self.near.as_ref().map(|near| &near[first..first + DOUBLES]);
        settle.clear();
        for (lane, instance) in instances.iter().enumerate() {
            if let Some(costs) = E::as_singles(instance.costs)
                && self.led_ones >> (first + lane) & 1 != 0
            {
                settle.add(lane, costs, &led[lane], near.map(|near| &near[lane]));
            }
        }
        if let Some(near) = near {
            settle.raise(led, near);
        }
        for (lane, instance) in instances.iter().enumerate() {
            if settle.settled() >> lane & 1 != 0 {
                let (shape, partners) = ((instance.rows, instance.cols), &led[lane].row_of_col);
                self.octets[octet].adopt(lane, shape, settle.col_duals(lane), partners);
            }
        }
        settle.settled()
    }
}

/// Solves a group in f64: what has no limit row by row, and all else eight side by side.
#[inline(always)]
fn solve_in_double<V: Vectors, E: Entry, const COLS: usize>(
    vectors: V,
    instances: &[OctetInstances<E, COLS>],
    answers: &mut [Answer<f64, COLS>],
    octets: &mut [Octet<COLS>],
) {
    let unlimited = vectors.run_apart(SolveUnlimited {
        instances,
        answers: &mut *answers,
    });
    match without(instances, unlimited.all) {
        Some(others) => vectors.run_apart(SolveGroup {
            instances: &others[..instances.len()],
            octets: &mut *octets,
        }),
        None => octets.iter_mut().for_each(Octet::clear),
    }
    let instances = instances.as_flattened().iter();
    for (at, (instance, answer)) in instances.zip(answers).enumerate() {
        let (octet, lane) = (&mut octets[at / DOUBLES], at % DOUBLES);
        if unlimited.solved >> at & 1 != 0 {
            let Answer {
                col_duals,
                row_of_col,
            } = answer;
            octet.adopt(lane, (instance.rows, instance.cols), col_duals, row_of_col);
        } else if unlimited.all >> at & 1 != 0 {
            octet.adopt_infeasible(lane);
        }
    }
}

/// The instances without rows where they have a bit in `done`; `None` if no other has any.
#[inline(always)]
fn without<'a, E: Entry, const COLS: usize>(
    instances: &[OctetInstances<'a, E, COLS>],
    done: u64,
) -> Option<[OctetInstances<'a, E, COLS>; OCTETS]> {
    let mut is_left = false;
    for (at, instance) in instances.as_flattened().iter().enumerate() {
        is_left |= done >> at & 1 == 0 && instance.cols > 0;
    }
    if !is_left {
        return None;
    }
    let mut others = [instances[0]; OCTETS];
    for (octet, (others, instances)) in others.iter_mut().zip(instances).enumerate() {
        for (lane, (other, instance)) in others.iter_mut().zip(instances).enumerate() {
            *other = match done >> (octet * DOUBLES + lane) & 1 {
                0 => *instance,
                _ => instance.without_rows(),
            };
        }
    }
    Some(others)
}
