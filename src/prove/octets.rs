//! Groups of narrow instances, solved side by side and proven eight at once.

use std::collections::TryReserveError;

use crate::number::double_double::DoubleDouble;
use crate::problem::instance::Instance;
use crate::prove::bound::AreNearEnough;
use crate::prove::ladder::{Verdict, evidence, solve_in_double_double};
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, Vectors};
use crate::solve::augment::Solver;
use crate::solve::octet::{LaneInstance, Octet, OctetInstances};
use crate::solve::side_by_side::{OCTETS, solve_and_watch};

/// Solves groups of narrow instances. One worker owns one and reuses it.
#[derive(Debug)]
pub struct OctetSolver<const COLS: usize> {
    octets: Vec<Octet<COLS>>,
    /// Of an instance that is solved again; usually none.
    alone: Vec<Octet<COLS>>,
    // Made room for only when it is needed, which is rare.
    double_double: Solver<DoubleDouble>,
}

impl<const COLS: usize> Default for OctetSolver<COLS> {
    fn default() -> Self {
        OctetSolver {
            octets: Vec::new(),
            alone: Vec::new(),
            double_double: Solver::default(),
        }
    }
}

impl<const COLS: usize> OctetSolver<COLS> {
    /// Makes room for a group.
    pub fn try_reserve(&mut self) -> Result<(), TryReserveError> {
        self.octets.try_reserve_exact(OCTETS - self.octets.len())
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
        solve_and_watch(vectors, instances, &mut self.octets)
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
        let exact = solve_and_watch(vectors, &[instances], &mut self.alone);
        match evidence(instance, exact, || false) {
            Some(evidence) if self.alone[0].infeasible() == 0 => {
                Ok(Verdict::InDouble(evidence, (&self.alone[0], 0)))
            }
            _ => solve_in_double_double(&mut self.double_double, instance),
        }
    }
}
