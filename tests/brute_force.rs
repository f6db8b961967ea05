//! Every kind of small problem against an oracle that tries all assignments, with the certificate
//! checked on each.

mod common;

use common::{F32_ROUNDOFF, F64_ROUNDOFF, Owned, doubled_objective, doubled_optimum, solve};
use half::{bf16, f16};
use hungarian_loss::batch::Solvable;
use hungarian_loss::problem::given::Options;
use hungarian_loss::prove::certificate::check;
use hungarian_loss::simd::cost::Real;
use hungarian_random::Random;
use proptest::prelude::*;
use proptest::sample::subsequence;

/// Failures print their minimal input; nothing is written to the source tree.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: count,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Whole costs, of which any sum is exact in f32.
fn whole_cost() -> impl Strategy<Value = Option<i32>> {
    prop_oneof![
        3 => (0..3).prop_map(Some),
        3 => (-40..40).prop_map(Some),
        1 => Just(None),
    ]
}

fn mask(length: usize) -> impl Strategy<Value = Vec<bool>> {
    prop_oneof![
        2 => Just(vec![true; length]),
        1 => prop::collection::vec(any::<bool>(), length),
    ]
}

fn limit() -> impl Strategy<Value = f64> {
    prop_oneof![
        2 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        3 => (-50..100).prop_map(f64::from),
        1 => (0..4).prop_map(f64::from),
    ]
}

prop_compose! {
    /// A problem of whole costs in every option: masks, forbidden pairs, limit, either sense.
    /// Masked entries are NaN.
    fn problem(largest: usize)(rows in 0..=largest, cols in 0..=largest)(
        entries in prop::collection::vec(whole_cost(), rows * cols),
        // Half of the problems forbid nothing.
        forbid in any::<bool>(),
        row_mask in mask(rows),
        col_mask in mask(cols),
        cost_limit in limit(),
        maximize in any::<bool>(),
        rows in Just(rows),
        cols in Just(cols),
    ) -> Owned<f64> {
        let forbidden = if maximize { f64::NEG_INFINITY } else { f64::INFINITY };
        let cost = entries.iter().enumerate().map(|(index, entry)| {
            let exists = row_mask[index / cols] && col_mask[index % cols];
            match entry {
                _ if !exists => f64::NAN,
                None if forbid => forbidden,
                None => 7.0,
                Some(cost) => f64::from(*cost),
            }
        }).collect();
        Owned { rows, cols, cost, row_mask, col_mask, options: Options { cost_limit, maximize } }
    }
}

/// Solves in another cost type and compares with the optimum.
fn expect_optimal<T: Solvable<Real = U>, U: Real + Into<f64>>(
    problem: &Owned<f64>,
    narrow: impl Fn(f64) -> T,
    roundoff: f64,
) -> Result<(), TestCaseError> {
    let narrowed = Owned {
        rows: problem.rows,
        cols: problem.cols,
        cost: problem.cost.iter().map(|&cost| narrow(cost)).collect(),
        row_mask: problem.row_mask.clone(),
        col_mask: problem.col_mask.clone(),
        options: problem.options,
    };
    let (answer, status) = solve::<T, U>(&narrowed);
    match doubled_optimum(problem) {
        None => {
            prop_assert_eq!(status, 1);
            prop_assert_eq!(answer.total_cost, problem.options.sign() * f64::INFINITY);
            prop_assert!(
                answer
                    .row_to_col
                    .iter()
                    .chain(&answer.col_to_row)
                    .all(|&index| index == -1)
            );
            prop_assert!(
                answer
                    .row_duals
                    .iter()
                    .chain(&answer.col_duals)
                    .all(|&dual| dual == 0.0)
            );
        }
        Some(optimum) => {
            prop_assert_eq!(status, 0);
            prop_assert_eq!(doubled_objective(problem, &answer), optimum);
            let proof = check(&narrowed.view(), &answer, roundoff);
            prop_assert!(proof.is_ok(), "{}", proof.unwrap_err());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn small_problems_of_whole_costs_are_solved_exactly(problem in problem(5)) {
        expect_optimal::<f64, f64>(&problem, |cost| cost, F64_ROUNDOFF)?;
        expect_optimal::<f32, f32>(&problem, |cost| cost as f32, F32_ROUNDOFF)?;
        // Whole numbers up to 128 are exact in both half types.
        expect_optimal::<f16, f32>(&problem, f16::from_f64, F32_ROUNDOFF)?;
        expect_optimal::<bf16, f32>(&problem, bf16::from_f64, F32_ROUNDOFF)?;
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn larger_problems_of_whole_costs_are_solved_exactly(problem in problem(7)) {
        expect_optimal::<f64, f64>(&problem, |cost| cost, F64_ROUNDOFF)?;
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// The objective must not depend on the order of rows and columns.
    #[test]
    fn the_objective_survives_a_permutation(
        problem in problem(6),
        seed in any::<u64>(),
    ) {
        let mut random = Random::new(seed);
        let mut shuffled = |length: usize| {
            let mut positions: Vec<usize> = (0..length).collect();
            for last in (1..length).rev() {
                positions.swap(last, random.index(last + 1));
            }
            positions
        };
        let (row_order, col_order) = (shuffled(problem.rows), shuffled(problem.cols));
        let permuted = Owned {
            cost: row_order.iter().flat_map(|row| col_order.iter().map(move |col| (row, col)))
                .map(|(row, col)| problem.cost[row * problem.cols + col]).collect(),
            row_mask: row_order.iter().map(|&row| problem.row_mask[row]).collect(),
            col_mask: col_order.iter().map(|&col| problem.col_mask[col]).collect(),
            ..problem.clone()
        };
        let (one, one_status) = solve::<f64, f64>(&problem);
        let (other, other_status) = solve::<f64, f64>(&permuted);
        prop_assert_eq!(one_status, other_status);
        if one_status == 0 {
            prop_assert_eq!(doubled_objective(&problem, &one), doubled_objective(&permuted, &other));
        }
    }

    /// A few random reals: the certificate must hold to rounding at any size.
    #[test]
    fn certificates_hold_for_reals(
        rows in 1usize..40, cols in 1usize..40,
        seed in any::<u64>(), scale in -300i32..300, offset in prop_oneof![Just(0.0), Just(1e6)],
        cost_limit in prop_oneof![Just(f64::INFINITY), (-1.0..3.0)],
        maximize in any::<bool>(),
    ) {
        let mut random = Random::new(seed);
        let scale = 10f64.powi(scale);
        let cost = (0..rows * cols).map(|_| scale * (offset + random.uniform())).collect();
        let mut problem = Owned::new(rows, cols, cost);
        problem.options = Options { cost_limit: cost_limit * scale, maximize };
        let (answer, status) = solve::<f64, f64>(&problem);
        prop_assert_eq!(status, 0);
        let proof = check(&problem.view(), &answer, F64_ROUNDOFF);
        prop_assert!(proof.is_ok(), "{}", proof.unwrap_err());
    }
}

proptest! {
    #![proptest_config(cases(500))]

    /// The certificate is only worth something if it rejects what is not optimal.
    #[test]
    fn the_check_rejects_every_other_assignment(
        cost in prop::collection::vec(0..1000, 25),
        swapped in subsequence((0..5usize).collect::<Vec<_>>(), 2),
    ) {
        let problem = Owned::new(5, 5, cost.into_iter().map(f64::from).collect());
        let (mut answer, _) = solve::<f64, f64>(&problem);
        check(&problem.view(), &answer, F64_ROUNDOFF).unwrap();
        answer.row_to_col.swap(swapped[0], swapped[1]);
        for (row, &col) in answer.row_to_col.iter().enumerate() {
            answer.col_to_row[col as usize] = row as i32;
        }
        let total = answer.row_to_col.iter().enumerate()
            .map(|(row, &col)| problem.cost[row * 5 + col as usize]).sum::<f64>();
        // A tie is as good; anything else must be refused.
        prop_assume!(total != answer.total_cost);
        answer.total_cost = total;
        prop_assert!(check(&problem.view(), &answer, F64_ROUNDOFF).is_err());
    }
}
