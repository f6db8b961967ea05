//! How far an answer can be from the optimum.
//!
//! An answer is *near enough* if its objective is within rows·2^−50·max(|c|, |L|) of the optimum. A
//! row i that is matched with column m pays c_im − v_m, an unmatched row L/2. With u_i = min_j
//! (c_ij − v_j), or L/2 if that is less, the duals are feasible, so the sum of what rows pay beyond
//! u bounds the distance from the optimum.

use crate::problem::instance::Instance;
use crate::simd::cost::Entry;
use crate::simd::ops::{Lanes, Vectors, Work};
use crate::solve::augment::Solver;
use crate::solve::narrow::{NarrowAnswer, NarrowInstance};
use crate::sweep::first_look::largest_of;
use crate::sweep::reduced_costs::least_reduced_cost;

/// Is an objective near enough that the duals place within `distance` of the optimum? `distance` is
/// a sum over rows, each term the difference of two rounded numbers: what the row pays, at most
/// `magnitude`, and u. `largest` is max(|c|, |L|).
fn is_near_enough(distance: f64, rows: usize, magnitude: f64, largest: f64) -> bool {
    const ROUNDOFF: f64 = f64::EPSILON / 2.0;
    // |u| may exceed `magnitude`, by no more than the distance; and the sum was rounded.
    const ROUNDED: f64 = 1.01;
    let rows = rows as f64;
    ROUNDED * distance + 2.0 * rows * ROUNDOFF * magnitude <= 8.0 * rows * ROUNDOFF * largest
}

/// Is the objective of a solver's answer near enough to the optimum?
pub struct IsNearEnough<'a, 'b, E> {
    /// What was solved.
    pub instance: &'a Instance<'b, E>,
    /// The answer.
    pub solver: &'a Solver<f64>,
}

impl<E: Entry> Work for IsNearEnough<'_, '_, E> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> bool {
        let IsNearEnough { instance, solver } = self;
        let lanes = vectors.doubles();
        let (mut distance, mut magnitude) = (0.0, 0.0_f64);
        let is_limited = instance.half_limit.is_finite();
        for (row, &col) in solver.col_of_row().iter().enumerate() {
            // No v is above its ceiling, 0 without a limit: a pair that is its row's cheapest with
            // every v there is the cheapest now, and the row pays u.
            if !is_limited && solver.has_least_cost(row) {
                continue;
            }
            let pays = match usize::try_from(col) {
                Ok(col) => instance.cost(row, col) - solver.col_duals().get(col),
                Err(_) => instance.half_limit,
            };
            let least = least_reduced_cost(lanes, instance.row(row), solver.col_duals());
            // A row may also be unmatched, at half the limit; without a limit that is +inf.
            distance += (pays - least.min(instance.half_limit)).max(0.0);
            magnitude = magnitude.max(pays.abs());
        }
        is_near_enough(distance, instance.rows(), magnitude, instance.largest)
    }
}

/// As [`IsNearEnough`], of a narrow instance.
pub struct IsNarrowNearEnough<'a, 'b, E, const COLS: usize> {
    /// What was solved.
    pub instance: &'a NarrowInstance<'b, E, COLS>,
    /// The answer.
    pub answer: &'a NarrowAnswer<COLS>,
    /// max(|c|, |L|).
    pub largest: f64,
}

impl<E: Entry, const COLS: usize> Work for IsNarrowNearEnough<'_, '_, E, COLS> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> bool {
        let IsNarrowNearEnough {
            instance,
            answer,
            largest,
        } = self;
        let lanes = vectors.doubles();
        let col_duals = &answer.found.col_duals;
        let row_duals = &answer.row_duals()[..instance.rows];
        let mut distance = 0.0;
        for (costs, &u) in instance.costs.iter().zip(row_duals) {
            // A row may also be unmatched, at half the limit; without a limit that is +inf.
            let mut least = lanes.splat(instance.half_limit);
            let chunks = costs.as_chunks().0.iter().zip(col_duals.as_chunks().0);
            for (costs, duals) in chunks {
                let reduced = lanes.subtract(E::load(lanes, costs), lanes.load(duals));
                least = lanes.smaller(reduced, least);
            }
            // No branch: it would be unpredictable.
            distance += (u - lanes.least(least)).max(0.0);
        }
        // u is what the row pays.
        is_near_enough(
            distance,
            instance.rows,
            largest_of(lanes, row_duals),
            largest,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::given::Problem;
    use crate::problem::prepare::Scratch;
    use crate::prove::narrow::NarrowSolver;
    use crate::simd::arrays::{ArrayVectors, Arrays};
    use crate::simd::ops::DOUBLES;
    use hungarian_random::Random;

    fn uniform(n: usize) -> Vec<f64> {
        let mut random = Random::new(n as u64);
        (0..n * n).map(|_| random.uniform()).collect()
    }

    /// A raise of a dual that is too large by itself, and one that is too large only where most
    /// columns have it.
    const ONE: f64 = 1e-9;
    const EACH: f64 = 16.0 * f64::EPSILON;

    #[test]
    fn duals_that_prove_too_little_are_not_near() {
        let n = 40;
        let cost = uniform(n);
        let mut scratch = Scratch::default();
        scratch.try_reserve(n, n).unwrap();
        let instance = Problem::plain(&cost, n, n).prepare(ArrayVectors, &mut scratch);
        let instance = instance.ok().unwrap();
        let mut solver = Solver::<f64>::default();
        solver.try_reserve(n, n).unwrap();
        let solved = solver.solve::<_, _, DOUBLES>(Arrays::default(), &instance);
        solved.unwrap();
        let is_near = |solver: &Solver<f64>| {
            ArrayVectors.run(IsNearEnough {
                instance: &instance,
                solver,
            })
        };
        assert!(is_near(&solver));
        // By a plain loop: what rows pay beyond their cheapest pair, as a fraction of what is
        // allowed.
        let distance = |solver: &Solver<f64>| {
            let reduced =
                |row: usize, col: usize| cost[row * n + col] - solver.col_duals().get(col);
            let beyond = solver.col_of_row().iter().enumerate().map(|(row, &col)| {
                let least = (0..n).map(|col| reduced(row, col));
                reduced(row, col as usize) - least.fold(f64::INFINITY, f64::min)
            });
            beyond.sum::<f64>() / (4.0 * f64::EPSILON * n as f64)
        };
        let mut random = Random::new(1);
        let (mut near, mut far) = (0, 0);
        for round in 0..400 {
            let spoilt: Vec<_> = (0..n)
                .map(|col| (col, solver.col_duals().get(col)))
                .collect();
            let by = f64::EPSILON * f64::from(1 << (round % 20));
            for &(col, dual) in &spoilt {
                let by = by * f64::from(random.one_in(2));
                solver.col_duals_mut().set(col, dual - by);
            }
            let (distance, is_near) = (distance(&solver), is_near(&solver));
            for &(col, dual) in &spoilt {
                solver.col_duals_mut().set(col, dual);
            }
            // A quarter of what is allowed is for the rounding of costs of 1.
            if distance < 0.7 {
                assert!(is_near, "{distance}");
                near += 1;
            } else if distance > 1.0 {
                assert!(!is_near, "{distance}");
                far += 1;
            }
        }
        assert!(near > 50 && far > 50, "{near}, {far}");
    }

    #[test]
    fn narrow_ones_that_are_too_high_are_not_near() {
        const N: usize = 16;
        let cost = uniform(N);
        let mut scratch = Scratch::default();
        scratch.try_reserve(N, N).unwrap();
        let instance = Problem::plain(&cost, N, N).prepare(ArrayVectors, &mut scratch);
        let instance = NarrowInstance::<_, N>::of(&instance.ok().unwrap());
        let mut solver = NarrowSolver::default();
        solver.try_reserve().unwrap();
        solver.solve(ArrayVectors, &[instance]);
        let is_near = |answer: &NarrowAnswer<N>| {
            ArrayVectors.run(IsNarrowNearEnough {
                instance: &instance,
                answer,
                largest: 1.0,
            })
        };
        let mut answer = solver.answers()[0];
        assert!(is_near(&answer));
        for col in 0..N {
            answer.found.col_duals[col] += ONE;
            assert!(!is_near(&answer), "column {col}");
            answer.found.col_duals[col] -= ONE;
        }
        (0..N / 8).for_each(|col| answer.found.col_duals[col] += EACH);
        assert!(is_near(&answer));
        (N / 8..N).for_each(|col| answer.found.col_duals[col] += EACH);
        assert!(!is_near(&answer));
    }
}
