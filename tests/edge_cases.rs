//! Single cases that random ones hardly hit.

mod common;

use common::{F64_ROUNDOFF, Owned, doubled_objective, solve, solve_together};
use hungarian_loss::batch::{self, Inputs, Outputs, Shape};
use hungarian_loss::problem::given::Options;
use hungarian_loss::prove::certificate::check;
use hungarian_random::Random;

const INF: f64 = f64::INFINITY;

fn optimal(problem: &Owned<f64>) -> hungarian_loss::prove::certificate::Answer {
    let (answer, status) = solve::<f64, f64>(problem);
    assert_eq!(status, 0, "{problem:?}");
    check(&problem.view(), &answer, F64_ROUNDOFF).unwrap();
    answer
}

#[test]
fn all_equal_matches_i_to_i() {
    for (rows, cols) in [(1, 1), (4, 4), (3, 7), (7, 3), (40, 40), (100, 20)] {
        for value in [0.0, -0.0, 1.0, -3.5, 1e9] {
            for cost_limit in [INF, 4e9] {
                for maximize in [false, true] {
                    let mut problem = Owned::new(rows, cols, vec![value; rows * cols]);
                    problem.options = Options {
                        cost_limit: if maximize { -cost_limit } else { cost_limit },
                        maximize,
                    };
                    let answer = optimal(&problem);
                    let expected: Vec<i32> = (0..rows)
                        .map(|row| if row < cols { row as i32 } else { -1 })
                        .collect();
                    assert_eq!(
                        answer.row_to_col, expected,
                        "{rows}x{cols} {value} {cost_limit}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_lone_pair_at_the_limit_is_matched_and_above_it_is_not() {
    for (maximize, sign) in [(false, 1.0), (true, -1.0)] {
        let mut problem = Owned::new(1, 1, vec![sign * 3.0]);
        problem.options = Options {
            cost_limit: sign * 3.0,
            maximize,
        };
        assert_eq!(optimal(&problem).row_to_col, [0]);
        problem.options.cost_limit = sign * 2.9;
        let answer = optimal(&problem);
        assert_eq!((answer.row_to_col[0], answer.total_cost), (-1, 0.0));
    }
}

#[test]
fn the_worst_case_for_augmenting_paths() {
    for n in [1u64, 2, 10, 100, 300, 800] {
        let cost = (1..=n)
            .flat_map(|i| (1..=n).map(move |j| (i * j) as f64))
            .collect();
        let answer = optimal(&Owned::new(n as usize, n as usize, cost));
        assert_eq!(answer.total_cost, (n * (n + 1) * (n + 2) / 6) as f64);
    }
}

#[test]
fn forbidden_patterns() {
    let status = |rows, cols, cost| solve::<f64, f64>(&Owned::new(rows, cols, cost)).1;
    // A row, a column, and a bottleneck of two rows that allow one column only.
    assert_eq!(status(2, 2, vec![1.0, INF, 2.0, INF]), 1);
    assert_eq!(status(2, 2, vec![INF, INF, 2.0, 1.0]), 1);
    assert_eq!(status(2, 3, vec![1.0, INF, INF, 2.0, INF, INF]), 1);
    assert_eq!(status(3, 2, vec![1.0, INF, 2.0, INF, 3.0, INF]), 1);
    assert_eq!(status(1, 1, vec![INF]), 1);
    // A forbidden column does no harm where it may stay unmatched.
    assert_eq!(status(2, 3, vec![1.0, INF, 2.0, 2.0, INF, 2.0]), 0);
    // The only matching is the reverse diagonal.
    let n = 50;
    let mut cost = vec![INF; n * n];
    for row in 0..n {
        cost[row * n + n - 1 - row] = row as f64;
    }
    let answer = optimal(&Owned::new(n, n, cost));
    assert_eq!(answer.row_to_col, (0..n as i32).rev().collect::<Vec<_>>());
}

#[test]
fn sums_that_overflow_do_no_harm() {
    let huge = 1.7e308;
    // The optimum is 0 + 0 + ..., beside sums that overflow both ways.
    let n = 5;
    let cost: Vec<f64> = (0..n * n)
        .map(|index| if index / n == index % n { -huge } else { huge })
        .collect();
    let (answer, status) = solve::<f64, f64>(&Owned::new(n, n, cost.clone()));
    assert_eq!(status, 0);
    assert_eq!(answer.row_to_col, [0, 1, 2, 3, 4]);
    assert_eq!(answer.total_cost, -INF, "beyond the range");
    // A total within range whose partial sums are not.
    let answer = optimal_indices(&[huge, INF, INF, INF, huge, INF, INF, INF, -huge], 3);
    assert_eq!(answer, (vec![0, 1, 2], huge));
}

fn optimal_indices(cost: &[f64], n: usize) -> (Vec<i32>, f64) {
    let (answer, status) = solve::<f64, f64>(&Owned::new(n, n, cost.to_vec()));
    assert_eq!(status, 0);
    (answer.row_to_col, answer.total_cost)
}

#[test]
fn denormals_count() {
    let tiny = f64::from_bits(1);
    let answer = optimal(&Owned::new(2, 2, vec![tiny, 0.0, 0.0, 2.0 * tiny]));
    assert_eq!((answer.row_to_col, answer.total_cost), (vec![1, 0], 0.0));
    let mut problem = Owned::new(1, 1, vec![2.0 * tiny]);
    problem.options.cost_limit = tiny;
    assert_eq!(optimal(&problem).row_to_col, [-1]);
    problem.cost[0] = tiny;
    assert_eq!(optimal(&problem).row_to_col, [0]);
}

#[test]
fn a_bad_problem_leaves_its_neighbours_alone() {
    let shape = Shape {
        problems: 4,
        rows: 2,
        cols: 2,
    };
    let cost = [
        [1.0f32, 9.0, 9.0, 1.0],
        [1.0, f32::NAN, 2.0, 3.0],
        [f32::INFINITY, f32::INFINITY, 0.0, 0.0],
        [9.0, 1.0, 1.0, 9.0],
    ]
    .concat();
    let (mut total_cost, mut status) = ([0.0f32; 4], [9; 4]);
    let (mut row_to_col, mut col_to_row) = ([9; 8], [9; 8]);
    let (mut row_duals, mut col_duals) = ([9.0f32; 8], [9.0; 8]);
    let inputs = Inputs {
        cost: &cost,
        row_mask: &[true],
        col_mask: &[true],
        cost_limit: &[f32::INFINITY],
        maximize: false,
    };
    batch::solve(
        shape,
        &inputs,
        &mut Outputs {
            total_cost: &mut total_cost,
            row_to_col: &mut row_to_col,
            col_to_row: &mut col_to_row,
            row_duals: &mut row_duals,
            col_duals: &mut col_duals,
            status: &mut status,
        },
    )
    .unwrap();
    assert_eq!(status, [0, 2, 1, 0]);
    assert_eq!(
        (total_cost[0], total_cost[2], total_cost[3]),
        (2.0, f32::INFINITY, 2.0)
    );
    assert!(total_cost[1].is_nan());
    assert_eq!(row_to_col, [0, 1, -1, -1, -1, -1, 1, 0]);
    assert_eq!(col_to_row, row_to_col);
    assert_eq!(row_duals[2..6], [0.0; 4]);
    assert_eq!(col_duals[2..6], [0.0; 4]);
}

#[test]
fn invalid_outranks_infeasible_and_a_nan_limit_spoils_all() {
    let status = |problem: &Owned<f64>| solve::<f64, f64>(problem).1;
    assert_eq!(status(&Owned::new(2, 2, vec![INF, INF, INF, f64::NAN])), 2);
    assert_eq!(status(&Owned::new(1, 2, vec![-INF, 0.0])), 2);
    let mut maximizing = Owned::new(1, 2, vec![INF, 0.0]);
    maximizing.options.maximize = true;
    assert_eq!(status(&maximizing), 2);
    maximizing.cost[0] = -INF;
    assert_eq!(status(&maximizing), 0);
    for (rows, cols) in [(0, 0), (0, 3), (2, 2)] {
        let mut problem = Owned::new(rows, cols, vec![0.0; rows * cols]);
        problem.options.cost_limit = f64::NAN;
        assert_eq!(status(&problem), 2);
    }
}

/// Limits of one batch: above, among and below the costs, none, and one that spoils its problem.
const LIMITS: [f64; 7] = [9.0, INF, 3.0, f64::NAN, -INF, -4.0, 1e300];

/// Batches in which each problem has a limit of its own, in any order, against each problem alone.
/// Up to 32 columns many are solved at once, beyond that a few by turns: no group may apply one
/// problem's limit to all.
#[test]
fn each_problem_has_its_own_limit() {
    for (rows, cols) in [
        (1, 1),
        (8, 8),
        (5, 7),
        (16, 16),
        (32, 20),
        (33, 33),
        (60, 90),
        (90, 60),
    ] {
        for maximize in [false, true] {
            let problems: Vec<Owned<f64>> = (0..75)
                .map(|index| {
                    let cost =
                        (0..rows * cols).map(|place| ((place * 37 + index * 11) % 13) as f64);
                    let mut problem = Owned::new(rows, cols, cost.collect());
                    let limit = LIMITS[index * index % 11 % LIMITS.len()];
                    problem.options = Options {
                        cost_limit: limit,
                        maximize,
                    };
                    problem
                })
                .collect();
            let alone: Vec<_> = problems.iter().map(solve::<f64, f64>).collect();
            for (problem, (answer, status)) in problems.iter().zip(&alone) {
                let limit = problem.options.cost_limit;
                assert_eq!(
                    *status,
                    if limit.is_nan() { 2 } else { 0 },
                    "{rows} x {cols}, {limit}"
                );
                if *status == 0 {
                    check(&problem.view(), answer, F64_ROUNDOFF).unwrap();
                }
            }
            let backwards: Vec<_> = problems.iter().rev().cloned().collect();
            let forth = solve_together(&problems);
            let mut back = solve_together(&backwards);
            back.reverse();
            for (index, expected) in alone.iter().enumerate() {
                let expected = format!("{expected:?}");
                assert_eq!(
                    format!("{:?}", forth[index]),
                    expected,
                    "{rows} x {cols}, problem {index}"
                );
                assert_eq!(
                    format!("{:?}", back[index]),
                    expected,
                    "{rows} x {cols}, problem {index}"
                );
            }
        }
    }
}

/// A NaN limit is reported for its own problem.
#[test]
fn a_nan_limit_is_named() {
    let shape = Shape {
        problems: 6,
        rows: 1,
        cols: 1,
    };
    let limits = [1.0, 1.0, INF, 1.0, f64::NAN, f64::NAN];
    let describe = |cost_limit: &[f64], dims: &[i64], status: &[i32]| {
        let inputs = Inputs {
            cost: &[0.0; 6],
            row_mask: &[true],
            col_mask: &[true],
            cost_limit,
            maximize: false,
        };
        batch::describe_first_bad(shape, &inputs, dims, status)
            .unwrap()
            .unwrap()
    };
    let of_each = describe(&limits, &[2, 3], &[0, 0, 0, 0, 2, 2]);
    assert_eq!(of_each, "cost_limit[1, 1] is nan, expected a number");
    let of_all = describe(&[f64::NAN], &[2, 3], &[2; 6]);
    assert_eq!(of_all, "cost_limit is nan, expected a number");
}

#[test]
fn the_first_invalid_entry_is_named() {
    let describe = |cost: &[f64], row_mask: &[bool], maximize: bool| {
        let inputs = Inputs {
            cost,
            row_mask,
            col_mask: &[true],
            cost_limit: &[INF],
            maximize,
        };
        let shape = Shape {
            problems: 1,
            rows: 3,
            cols: 2,
        };
        batch::describe_first_bad(shape, &inputs, &[], &[2])
            .unwrap()
            .unwrap()
    };
    let nan = f64::NAN;
    // Neither forbidden pairs before it nor what a mask hides is named.
    let named = describe(
        &[INF, nan, INF, 1.0, nan, -INF],
        &[false, true, true],
        false,
    );
    assert!(named.contains("cost[2, 0] is nan"), "{named}");
    let named = describe(&[-INF, 1.0, -INF, INF, nan, 2.0], &[true], true);
    assert!(named.contains("cost[1, 1] is +inf"), "{named}");
    // The problem was invalid when it was solved, and is valid now.
    let named = describe(&[1.0; 6], &[true], false);
    assert!(
        named.contains("costs changed while they were read"),
        "{named}"
    );
}

#[test]
fn rejection_is_decided_jointly() {
    // Filtering afterwards would keep (0, 0) at 1 and drop (1, 1) at 10; better is the pair (0,
    // 1) + (1, 0) at 8.
    let mut problem = Owned::new(2, 2, vec![1.0, 4.0, 4.0, 10.0]);
    problem.options.cost_limit = 9.0;
    let answer = optimal(&problem);
    assert_eq!(answer.row_to_col, [1, 0]);
    assert_eq!(doubled_objective(&problem, &answer), 16.0);
}

#[test]
fn large_problems_are_proven_by_their_certificates() {
    let mut random = Random::new(88172645463325252);
    for (rows, cols) in [(400, 400), (150, 600), (600, 150), (1, 2000)] {
        for (spread, forbid) in [(u64::MAX, 0), (10, 0), (1000, 30)] {
            let cost = (0..rows * cols)
                .map(|index| {
                    let draw = random.next();
                    let on_diagonal = index / cols == index % cols;
                    if draw % 100 < forbid && !on_diagonal {
                        INF
                    } else {
                        ((draw >> 20) % spread) as f64
                    }
                })
                .collect();
            optimal(&Owned::new(rows, cols, cost));
        }
    }
}

/// Instances whose optimum is known by construction: whole duals, a hidden matching on which
/// u + v = c, and slack elsewhere. Dense, and sparse with almost everything forbidden, up to the
/// sizes of the OR-Library's instances.
#[test]
fn large_instances_of_known_optimum() {
    let mut random = Random::new(0x2545_f491_4f6c_dd1d);
    let mut below = |bound: u64| random.below(bound);
    for (n, allowed_in_thousand, slack) in [
        (100, 1000, 100),
        (400, 1000, 3),
        (800, 1000, 100),
        (800, 20, 100),
        (1500, 10, 2),
        (1500, 3, 1000),
    ] {
        let mut partner: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            partner.swap(last, below(last as u64 + 1) as usize);
        }
        let u: Vec<f64> = (0..n).map(|_| below(1000) as f64).collect();
        let v: Vec<f64> = (0..n).map(|_| below(1000) as f64 - 500.0).collect();
        let mut cost = vec![INF; n * n];
        for row in 0..n {
            for col in 0..n {
                let hidden = partner[row] == col;
                if hidden || below(1000) < allowed_in_thousand {
                    let gap = if hidden { 0.0 } else { below(slack) as f64 };
                    cost[row * n + col] = u[row] + v[col] + gap;
                }
            }
        }
        let optimum = u.iter().chain(&v).sum::<f64>();
        let answer = optimal(&Owned::new(n, n, cost));
        assert_eq!(
            answer.total_cost, optimum,
            "{n}, {allowed_in_thousand}, {slack}"
        );
    }
}

#[test]
fn columns_that_do_not_exist_are_never_taken() {
    // Widths that fill the last vector only in part, in problems that f64 solves alone; all rows
    // want the same two columns.
    for (rows, cols, limit) in [
        (3, 2049, INF),
        (20, 2064, INF),
        (3, 2080, INF),
        (10, 4100, INF),
        (20, 8400, INF),
        (300, 2049, 10.0),
    ] {
        let cost = (0..rows * cols).map(|at| if at % cols < 2 { 5.0 } else { 7.0 });
        let mut problem = Owned::new(rows, cols, cost.collect());
        // Search ends at zero where the least reduced cost is zero.
        for shift in [0.0, 5.0] {
            problem.cost.iter_mut().for_each(|cost| *cost -= shift);
            problem.options.cost_limit = limit - shift;
            let total = 2.0 * (5.0 - shift) + (rows - 2) as f64 * (7.0 - shift);
            assert_eq!(optimal(&problem).total_cost, total, "{rows}x{cols}");
        }
    }
}
