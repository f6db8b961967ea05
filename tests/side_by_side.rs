//! Narrow problems are solved many at once. Each gets its own answer, whatever stands beside it.

mod common;

use common::{F32_ROUNDOFF, Owned, doubled_objective, doubled_optimum, solve_batch_at};
use hungarian_loss::problem::given::Options;
use hungarian_loss::prove::certificate::check;
use hungarian_loss::simd::level::Level;
use proptest::prelude::*;

/// What makes a problem of a batch unlike its neighbours.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Whole costs.
    Plain,
    /// Whole costs, many of them equal.
    Tied,
    /// Half of the pairs are forbidden.
    Sparse,
    /// No pair is allowed.
    Barred,
    /// A cost is NaN.
    Invalid,
    /// A cost needs more digits than f64 has beside the others.
    Inexact,
}

prop_compose! {
    fn costs(count: usize)(
        kind in prop::sample::select(vec![
            Kind::Plain, Kind::Plain, Kind::Tied, Kind::Sparse, Kind::Barred, Kind::Invalid, Kind::Inexact,
        ]),
        entries in prop::collection::vec((-40..40, any::<bool>()), count),
    ) -> (Kind, Vec<f32>) {
        let cost = |(index, &(entry, forbid)): (usize, &(i32, bool))| match kind {
            Kind::Plain => entry as f32,
            Kind::Tied => (entry % 2) as f32,
            Kind::Sparse if forbid => f32::INFINITY,
            Kind::Sparse => entry as f32,
            Kind::Barred => f32::INFINITY,
            Kind::Invalid if index == 0 => f32::NAN,
            Kind::Invalid => entry as f32,
            Kind::Inexact if index == 0 => f32::from_bits(1),
            Kind::Inexact => entry as f32,
        };
        (kind, entries.iter().enumerate().map(cost).collect())
    }
}

prop_compose! {
    /// Problems of one shape, from one to more than fill a group.
    fn batch_of_problems()(rows in 1usize..6, cols in 1usize..6, limited in any::<bool>(), maximize in any::<bool>())(
        problems in prop::collection::vec(costs(rows * cols), 1..80),
        flags in prop::collection::vec(0..4, 80 * (rows + cols)),
        masked in any::<bool>(),
        has_limit_each in any::<bool>(),
        rows in Just(rows),
        cols in Just(cols),
        limited in Just(limited),
        maximize in Just(maximize),
    ) -> Vec<(Kind, Owned<f32>)> {
        let sign = if maximize { -1.0 } else { 1.0 };
        problems.into_iter().zip(flags.chunks(rows + cols)).enumerate().map(|(index, ((kind, cost), flags))| {
            let mut problem = Owned::new(rows, cols, cost.iter().map(|cost| sign * cost).collect());
            // Those of a batch may have different limits, and some none.
            let limited = if has_limit_each { index % 3 != 0 } else { limited };
            let limit = if has_limit_each { index % 5 } else { 8 };
            let cost_limit = if limited { f64::from(sign) * limit as f64 } else { f64::INFINITY };
            problem.options = Options { cost_limit, maximize };
            if masked {
                let mut exists = flags.iter().map(|&flag| flag != 0);
                problem.row_mask.fill_with(|| exists.next().unwrap_or(true));
                problem.col_mask.fill_with(|| exists.next().unwrap_or(true));
            }
            (kind, problem)
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn neighbours_do_not_matter(batch in batch_of_problems()) {
        let (rows, cols) = (batch[0].1.rows, batch[0].1.cols);
        let problems: Vec<_> = batch.iter().map(|(_, problem)| problem.clone()).collect();
        let (answers, tally) = solve_batch_at(Level::best(), &problems);
        prop_assert_eq!(tally.exact + tally.proven + tally.redone + tally.bad, batch.len() as u64);
        for ((kind, problem), (answer, status)) in batch.iter().zip(answers) {
            let is_invalid = matches!(kind, Kind::Invalid) && problem.row_mask[0] && problem.col_mask[0];
            if is_invalid {
                prop_assert_eq!(status, 2);
                prop_assert!(answer.total_cost.is_nan());
                continue;
            }
            // What is not there must not be looked at by the oracle either.
            let Some(optimum) = doubled_optimum(problem) else {
                prop_assert_eq!(status, 1);
                continue;
            };
            prop_assert_eq!(status, 0);
            let objective = doubled_objective(problem, &answer);
            // What the contract allows where the digits of the costs do not fit f64.
            let allowed = match kind {
                Kind::Inexact => 2.0 * rows.min(cols) as f64 * 40.0 / (1u64 << 50) as f64,
                _ => 0.0,
            };
            prop_assert!(
                objective as f32 == optimum as f32 || (objective - optimum).abs() <= allowed,
                "objective {objective:e}, optimum {optimum:e}"
            );
            let proof = check(&problem.view(), &answer, F32_ROUNDOFF);
            prop_assert!(proof.is_ok(), "{}", proof.unwrap_err());
        }
    }
}
