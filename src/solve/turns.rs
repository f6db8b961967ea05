//! Solvers that take turns.
//!
//! A sweep waits most of the time for a minimum to be known; another solver's sweep fills that
//! time. So several solvers make their sweeps together, and then act on what they found.

use crate::number::arithmetic::Arithmetic;
use crate::problem::instance::Instance;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::solve::augment::Solver;

/// Instances that are given to the solver at once, at most.
pub const MOST_IN_TURNS: usize = 4;

/// How many problems of this size make a group, and take turns: as many as it takes to fill the
/// time in which each waits for its minimum, but no more than fit the cache together.
pub fn group_of(rows: usize, cols: usize, size_of_cost: usize) -> usize {
    const CACHE: usize = 3 << 18;
    let bytes = rows.saturating_mul(cols).saturating_mul(size_of_cost);
    match CACHE / bytes.max(1) {
        0 | 1 => 1,
        2..4 => 2,
        _ => MOST_IN_TURNS,
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
pub fn take_turns<
    R: Arithmetic,
    L: Lanes<W, Number = R>,
    E: Entry,
    const W: usize,
    const N: usize,
>(
    lanes: L,
    solvers: [&mut Solver<R>; MOST_IN_TURNS],
    instances: &[Option<Instance<E>>; MOST_IN_TURNS],
    feasible: &mut [bool; MOST_IN_TURNS],
) {
    let mut turns = [const { None }; MOST_IN_TURNS];
    let mut count = 0;
    for ((solver, instance), is_feasible) in solvers.into_iter().zip(instances).zip(feasible) {
        if let Some(instance) = instance
            && *is_feasible
            && !solver.is_done()
        {
            turns[count] = Some(Turn {
                solver,
                instance,
                is_feasible,
            });
            count += 1;
        }
    }
    // A solver that is done keeps its place, so that loops are of the same length until the last
    // one is done: a processor can predict that.
    let turns = &mut turns[..count];
    while count > 0 {
        for turn in turns.iter_mut().flatten() {
            turn.solver.sweep::<L, E, W, N>(lanes, turn.instance);
        }
        // After all sweeps, so that none of them waits for what is stored here.
        for place in &mut *turns {
            if let Some(turn) = place {
                let acted = turn.solver.act(lanes, turn.instance);
                if acted.is_err() || turn.solver.is_done() {
                    *turn.is_feasible = acted.is_ok();
                    count -= 1;
                    *place = None;
                }
            }
        }
    }
}
