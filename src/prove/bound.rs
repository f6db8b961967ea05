//! How far an answer can be from the optimum.
//!
//! An answer is *near enough* if its objective is within rows·2^−50·max(|c|, |L|) of the optimum. With u_i lowered to
//! min_j (c_ij − v_j), or to L/2 if that is less, the duals are feasible, so the sum of what they are lowered by bounds the
//! distance from the optimum.

#![expect(
    clippy::needless_range_loop,
    reason = "a lane or a column is an index into several arrays at once"
)]

use crate::problem::instance::Instance;
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, LaneWise, Lanes, Vectors, Work};
use crate::solve::augment::Solver;
use crate::solve::octet::{
    Octet, OctetInstances, PerLane, flags_of, magnitude, most_rows, rows_at, transpose_chunk,
};
use crate::sweep::reduced_costs::least_reduced_cost;

/// Is an objective near enough, which by the duals is within `distance` of the optimum? That was computed in f64, from numbers
/// that add up to `magnitude` at most: two roundings a row are allowed for. `largest` is max(|c|, |L|).
fn is_near_enough(distance: f64, rows: usize, magnitude: f64, largest: f64) -> bool {
    const ROUNDOFF: f64 = f64::EPSILON / 2.0;
    let rows = rows as f64;
    distance + 2.0 * rows * ROUNDOFF * magnitude <= 8.0 * rows * ROUNDOFF * largest
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
        let mut distance = 0.0;
        let is_limited = instance.half_limit.is_finite();
        for (row, &u) in solver.row_duals().iter().enumerate() {
            // Nothing is cheaper than what is the cheapest with every v at its ceiling, which without a limit is 0.
            if !is_limited && solver.has_least_cost(row) {
                continue;
            }
            let least = least_reduced_cost(lanes, instance.row(row), solver.col_duals());
            // A row may also be unmatched, at half the limit; without a limit that is +inf.
            let least = least.min(instance.half_limit);
            if least < u {
                distance += u - least;
            }
        }
        let larger = |top: f64, dual: &f64| top.max(dual.abs());
        let col_duals = solver.col_duals().blocks().iter();
        let col_duals = col_duals.flat_map(|block| &block.0).take(instance.cols());
        let magnitude = instance.largest
            + solver.row_duals().iter().fold(0.0, larger)
            + col_duals.fold(0.0, larger)
            + solver.shift().abs();
        is_near_enough(distance, instance.rows(), magnitude, instance.largest)
    }
}

/// Are the objectives of an octet's answers near enough to the optimum? [`IsNearEnough`], eight at once.
pub struct AreNearEnough<'a, 'b, E, const COLS: usize> {
    /// What was solved.
    pub instances: &'a OctetInstances<'b, E, COLS>,
    /// The answers.
    pub octet: &'a Octet<COLS>,
    /// max(|c|, |L|) of each.
    pub largest: [f64; DOUBLES],
}

impl<E: Entry, const COLS: usize> Work for AreNearEnough<'_, '_, E, COLS> {
    /// One bit for each lane.
    type Output = u8;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> u8 {
        let AreNearEnough {
            instances,
            octet,
            largest,
        } = self;
        let lanes = vectors.doubles();
        let zero = lanes.splat(0.0);
        let ceiling = lanes.load(&octet.row_ceiling.0);
        let mut distance = zero;
        let mut largest_row_dual = zero;
        let mut largest_col_dual = zero;
        for row in 0..most_rows(instances) {
            let costs = rows_at(instances, row);
            // A row may also be unmatched, at half the limit; without a limit that is +inf.
            let mut least = ceiling;
            for chunk in 0..COLS / DOUBLES {
                let costs = transpose_chunk(lanes, costs, chunk);
                for col in 0..DOUBLES {
                    let dual = lanes.load(&octet.col_duals[chunk * DOUBLES + col].0);
                    least = lanes.smaller(lanes.subtract(costs[col], dual), least);
                }
            }
            let mut u = PerLane::ZEROS;
            let mut is_row = 0u8;
            for lane in 0..DOUBLES {
                u.0[lane] = octet.row_duals[lane][row];
                is_row |= u8::from(row < instances[lane].rows) << lane;
            }
            let u = lanes.load(&u.0);
            let is_row = lanes.mask(is_row);
            let too_high = lanes.both(is_row, lanes.less(least, u));
            let excess = lanes.select(too_high, lanes.subtract(u, least), zero);
            distance = lanes.add(distance, excess);
            let u = lanes.select(is_row, magnitude(lanes, u), zero);
            largest_row_dual = lanes.larger(u, largest_row_dual);
        }
        for col in 0..COLS {
            let v = lanes.load(&octet.col_duals[col].0);
            let real = lanes.mask(flags_of(&octet.real, col));
            let v = lanes.select(real, magnitude(lanes, v), zero);
            largest_col_dual = lanes.larger(v, largest_col_dual);
        }
        let duals = lanes.add(largest_row_dual, largest_col_dual);
        let [mut distances, mut magnitudes] = [[0.0; DOUBLES]; 2];
        lanes.store(distance, &mut distances);
        lanes.store(duals, &mut magnitudes);
        let mut proven = 0;
        for (lane, instance) in instances.iter().enumerate() {
            let magnitude = largest[lane] + magnitudes[lane];
            let is_near = is_near_enough(distances[lane], instance.rows, magnitude, largest[lane]);
            proven |= u8::from(is_near) << lane;
        }
        proven
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::given::Problem;
    use crate::problem::prepare::Scratch;
    use crate::prove::octets::OctetSolver;
    use crate::simd::portable::{Portable, PortableVectors};
    use crate::solve::octet::LaneInstance;
    use hungarian_random::Random;

    fn uniform(n: usize) -> Vec<f64> {
        let mut random = Random::new(n as u64);
        (0..n * n).map(|_| random.uniform()).collect()
    }

    /// Raises that are too large one by one, and some that only add up to too much.
    const ONE: f64 = 1e-9;
    const EACH: f64 = 16.0 * f64::EPSILON;

    #[test]
    fn duals_that_are_too_high_are_not_near() {
        let n = 40;
        let cost = uniform(n);
        let mut scratch = Scratch::default();
        scratch.try_reserve(n, n).unwrap();
        let instance = Problem::plain(&cost, n, n).prepare(PortableVectors, &mut scratch);
        let instance = instance.ok().unwrap();
        let mut solver = Solver::<f64>::default();
        solver.try_reserve(n, n).unwrap();
        let solved = solver.solve::<_, _, DOUBLES>(Portable::default(), &instance);
        solved.unwrap();
        let is_near = |solver: &Solver<f64>| {
            PortableVectors.run(IsNearEnough {
                instance: &instance,
                solver,
            })
        };
        assert!(is_near(&solver));
        let raise = |solver: &mut Solver<f64>, col: usize, by: f64| {
            let dual = solver.col_duals().get(col);
            solver.col_duals_mut().set(col, dual + by);
        };
        for col in 0..n {
            raise(&mut solver, col, ONE);
            assert!(!is_near(&solver), "column {col}");
            raise(&mut solver, col, -ONE);
        }
        (0..n / 8).for_each(|col| raise(&mut solver, col, EACH));
        assert!(is_near(&solver));
        (n / 8..n).for_each(|col| raise(&mut solver, col, EACH));
        assert!(!is_near(&solver));
    }

    #[test]
    fn of_eight_the_one_that_is_too_high_is_not_near() {
        const N: usize = 16;
        let cost = uniform(N);
        let mut scratch = Scratch::default();
        scratch.try_reserve(N, N).unwrap();
        let instance = Problem::plain(&cost, N, N).prepare(PortableVectors, &mut scratch);
        let instances = [LaneInstance::<_, N>::of(&instance.ok().unwrap()); DOUBLES];
        let mut solver = OctetSolver::default();
        solver.try_reserve().unwrap();
        solver.solve(PortableVectors, &[instances]);
        let near = |octet: &Octet<N>| {
            PortableVectors.run(AreNearEnough {
                instances: &instances,
                octet,
                largest: [1.0; DOUBLES],
            })
        };
        let mut octet = solver.octets()[0].clone();
        assert_eq!(near(&octet), u8::MAX);
        for lane in 0..DOUBLES {
            for col in 0..N {
                octet.col_duals[col].0[lane] += ONE;
                assert_eq!(near(&octet), !(1 << lane), "column {col}");
                octet.col_duals[col].0[lane] -= ONE;
            }
        }
        (0..N / 8).for_each(|col| octet.col_duals[col].0[3] += EACH);
        assert_eq!(near(&octet), u8::MAX);
        (N / 8..N).for_each(|col| octet.col_duals[col].0[3] += EACH);
        assert_eq!(near(&octet), !(1 << 3));
    }
}
