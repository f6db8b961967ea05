//! Limits of any size: beyond what can change the answer, a limit does not take digits from the
//! costs.

mod common;

use common::{
    F32_ROUNDOFF, F64_ROUNDOFF, Owned, effective_limit, exact_doubled_objective,
    exact_doubled_optimum, solve,
};
use half::{bf16, f16};
use hungarian_loss::batch::Solvable;
use hungarian_loss::problem::given::Options;
use hungarian_loss::prove::certificate::check;
use hungarian_loss::simd::cost::Real;
use hungarian_random::Random;

/// Limits far beyond the costs, as their type may have them.
fn huge(most: f64) -> [f64; 6] {
    [1e20, most, most / 3.0, -1e20, -most, -most / 3.0]
}

fn hold<T: Solvable<Real = U>, U: Real + Into<f64>>(
    most: f64,
    roundoff: f64,
    narrow: impl Fn(f64) -> T,
) {
    for maximize in [false, true] {
        let sign = if maximize { -1.0 } else { 1.0 };
        // Within the range of f16 even where it is padded with 0.
        let cost = [5.0, 1.0, 1.0, 5.0].map(|cost| narrow(sign * cost));
        for limit in huge(most) {
            // Rounded to the limit's type.
            let limit = U::round_from(limit).into();
            let mut problem = Owned::new(2, 2, cost.to_vec());
            problem.options = Options {
                cost_limit: limit,
                maximize,
            };
            let (answer, status) = solve::<T, U>(&problem);
            assert_eq!(status, 0);
            let (pairs, total) = match sign * limit > 0.0 {
                true => ([1, 0], sign * 2.0),
                false => ([-1, -1], 0.0),
            };
            assert_eq!(
                (answer.row_to_col.as_slice(), answer.total_cost),
                (&pairs[..], total),
                "{limit:e}"
            );
            // The certificate's own sums must stay in range.
            if (4.0 * limit).is_finite() {
                check(&problem.view(), &answer, roundoff).unwrap();
            }
        }
    }
}

#[test]
fn the_largest_numbers_are_limits_like_others() {
    hold::<f16, f32>(f32::MAX.into(), F32_ROUNDOFF, f16::from_f64);
    hold::<bf16, f32>(f32::MAX.into(), F32_ROUNDOFF, bf16::from_f64);
    hold::<f32, f32>(f32::MAX.into(), F32_ROUNDOFF, |cost| cost as f32);
    hold::<f64, f64>(f64::MAX, F64_ROUNDOFF, |cost| cost);
}

/// Small problems of every kind against all assignments, in whole numbers.
#[test]
fn random_problems_under_any_limit_are_optimal() {
    let mut random = Random::new(8);
    for _ in 0..4000 {
        let (rows, cols) = (random.index(5), random.index(6));
        let maximize = random.one_in(2);
        let sign = if maximize { -1.0 } else { 1.0 };
        let scale = [1.0, 1e-3, 1e30, 1e-300][random.index(4)];
        let forbid = random.one_in(2);
        let cost = (0..rows * cols).map(|_| match forbid && random.one_in(3) {
            true => sign * f64::INFINITY,
            false => (random.uniform() - 0.4) * scale,
        });
        let mut problem = Owned::new(rows, cols, cost.collect());
        let flags = problem.row_mask.iter_mut().chain(&mut problem.col_mask);
        flags.for_each(|flag| *flag = !random.one_in(5));
        // From limits that decide something to limits far beyond, through the size where they cease
        // to.
        let magnitude = scale * 10f64.powf(random.uniform() * [1.0, 3.0, 300.0][random.index(3)]);
        let cost_limit = magnitude.min(1e306) * if random.one_in(3) { -1.0 } else { 1.0 };
        problem.options = Options {
            cost_limit,
            maximize,
        };
        let (answer, status) = solve::<f64, f64>(&problem);
        assert_eq!(status, 0);
        check(&problem.view(), &answer, F64_ROUNDOFF)
            .unwrap_or_else(|wrong| panic!("{wrong}: {problem:?} {answer:?}"));
        let limit = effective_limit(&problem);
        let gap = exact_doubled_objective(&problem, &limit, &answer.row_to_col)
            - exact_doubled_optimum(&problem, &limit);
        let allowed = common::allowance(&problem, &limit) * 2;
        assert!(
            gap <= allowed,
            "{gap} over {allowed}: {problem:?} {answer:?}"
        );
    }
}

/// Wider than what is solved side by side, and rectangular, with forbidden pairs: then it matters
/// which duals are lifted.
#[test]
fn large_problems_under_huge_limits_match_as_many_as_they_can() {
    let mut random = Random::new(9);
    for (rows, cols) in [(40, 40), (40, 70), (70, 40), (100, 100), (3, 200)] {
        for limit in [1e20, 1e305, 1e6] {
            for forbidden_in_ten in [0, 5, 9] {
                let cost = (0..rows * cols).map(|_| match random.below(10) < forbidden_in_ten {
                    true => f64::INFINITY,
                    false => random.below(100) as f64,
                });
                let mut problem = Owned::new(rows, cols, cost.collect());
                let (unlimited, feasible) = solve::<f64, f64>(&problem);
                problem.options.cost_limit = limit;
                let (answer, status) = solve::<f64, f64>(&problem);
                assert_eq!(status, 0);
                check(&problem.view(), &answer, F64_ROUNDOFF).unwrap();
                if feasible == 0 {
                    // Proven optimal by the certificate of the problem without a limit.
                    check(
                        &Owned {
                            options: Options::default(),
                            ..problem.clone()
                        }
                        .view(),
                        &unlimited,
                        F64_ROUNDOFF,
                    )
                    .unwrap();
                    assert_eq!(answer.total_cost, unlimited.total_cost);
                }
            }
        }
    }
}

/// Where all allowed costs are 0, any limit decides.
#[test]
fn costs_of_zero_are_matched_for_any_limit_above() {
    for (limit, expected) in [(1e-300, 0), (1e300, 0), (-1e-300, -1), (-1e300, -1)] {
        for size in [3, 40] {
            let mut problem = Owned::new(size, size, vec![0.0; size * size]);
            problem.options.cost_limit = limit;
            let (answer, status) = solve::<f64, f64>(&problem);
            assert_eq!((status, answer.row_to_col[0]), (0, expected), "{limit:e}");
            check(&problem.view(), &answer, F64_ROUNDOFF).unwrap();
        }
    }
}
