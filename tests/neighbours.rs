//! An answer depends on its own problem, and not on what else is solved in the same call.

mod common;

use common::{Owned, solve, solve_together};
use hungarian_random::Random;

/// The first `n` rows and columns of a problem of `size`.
fn padded(n: usize, size: usize, cost: impl Fn(usize, usize) -> f32) -> Owned<f32> {
    let costs = (0..size * size).map(|at| match (at / size, at % size) {
        (row, col) if row < n && col < n => cost(row, col),
        _ => 0.0,
    });
    let mut problem = Owned::new(size, size, costs.collect());
    problem.row_mask = (0..size).map(|row| row < n).collect();
    problem.col_mask = problem.row_mask.clone();
    problem
}

/// Ties, and one cost whose digits lie far from those of the others: what f32 rounds depends on
/// which differences are taken.
fn tied_but_one(n: usize, random: &mut Random) -> Vec<f32> {
    let mut cost = vec![4.0; n * n];
    let small: Vec<f32> = (0..n).map(|_| random.index(16) as f32 / 65536.0).collect();
    for row in 1..n - 1 {
        for _ in 0..1 + random.index(4) {
            let col = 2 + random.index(n - 2);
            cost[row * n + col] = small[col];
        }
        let col = 2 + row % (n - 2);
        cost[row * n + col] = small[col];
    }
    for row in [0, n - 1] {
        cost[row * n] = 0.0;
        cost[row * n + 1] = 0.0;
    }
    let last = (64..n)
        .max_by(|&a, &b| small[a].total_cmp(&small[b]))
        .expect("more than 64");
    cost[(n - 1) * n + last] = 1e10;
    cost
}

#[test]
fn problems_of_other_sizes_change_nothing() {
    let (n, size) = (100, 130);
    let neighbour = padded(size, size, |row, col| if row == col { 1.0 } else { 3.0 });
    let mut random = Random::new(11);
    for _ in 0..100 {
        let cost = tied_but_one(n, &mut random);
        let problem = padded(n, size, |row, col| cost[row * n + col]);
        let alone = solve::<f32, f32>(&problem);
        let together = solve_together::<f32, f32>(&[neighbour.clone(), problem.clone()]);
        assert_eq!(format!("{:?}", together[1]), format!("{alone:?}"));
    }
}

/// Whole numbers, few allowed pairs, and a chain of pairs that drives v far down: f64, which goes
/// on from the result of f32, may have to solve the problem again.
fn chained(n: usize, random: &mut Random) -> Vec<f32> {
    let most = [40_000, 65_535, 1 << 20, 1 << 23][random.index(4)];
    let forbidden = [0.5, 0.9, 0.95][random.index(3)];
    let chain = 5 + random.index(35);
    let mut cost = vec![f32::INFINITY; n * n];
    for row in 0..chain {
        cost[row * n + row] = most as f32;
        cost[row * n + row + 1] = if random.one_in(20) { 0.0 } else { -most as f32 };
    }
    for row in chain..n {
        for col in chain..n {
            if random.uniform() >= forbidden {
                cost[row * n + col] = random.index(most as usize) as f32;
            }
        }
    }
    cost
}

#[test]
fn what_is_solved_again_is_solved_as_alone() {
    let size = 130;
    let mut random = Random::new(13);
    for _ in 0..60 {
        let cost = chained(100, &mut random);
        let problem = padded(100, size, |row, col| cost[row * 100 + col]);
        let mut draw = |n: usize, draw: &dyn Fn(&mut Random) -> f32| {
            let costs: Vec<f32> = (0..n * n).map(|_| draw(&mut random)).collect();
            padded(n, size, |row, col| costs[row * n + col])
        };
        let rounded = draw(100, &|random| {
            let scale = if random.one_in(2) { 1e10 } else { 1e-10 };
            (scale * random.uniform()) as f32
        });
        let of_another_size = draw(120, &|random| random.index(9) as f32);
        let alone = format!("{:?}", solve::<f32, f32>(&problem));
        let batch = [problem.clone(), rounded, of_another_size, problem];
        let together = solve_together::<f32, f32>(&batch);
        assert_eq!(format!("{:?}", together[0]), alone);
        assert_eq!(format!("{:?}", together[3]), alone);
    }
}

#[test]
fn what_is_taken_over_from_f32_is_not_taken_for_rounded() {
    // Little more than the diagonal is allowed, so f64 rounds nothing; but to take over what f32
    // makes of the two odd costs rounds.
    let n = 100;
    let mut cost = vec![f64::INFINITY; n * n];
    for row in 0..n {
        cost[row * n + row] = 1.0;
        if row < 10 {
            cost[row * n + row + 1] = -1.0;
        }
    }
    cost[50 * n + 50] = 0.5 + 2f64.powi(-30);
    cost[60 * n + 60] = 2f64.powi(-45);
    let exact = Owned::new(n, n, cost);
    let mut random = Random::new(14);
    let mut of_any_size = || random.uniform() * 10f64.powf(10.0 * random.uniform());
    let rounded = (0..n * n).map(|_| of_any_size()).collect();
    let rounded = Owned::new(n, n, rounded);
    let alone = format!("{:?}", solve::<f64, f64>(&exact));
    for batch in [[rounded.clone(), exact.clone()], [exact, rounded]] {
        let together = solve_together::<f64, f64>(&batch);
        assert!(together.iter().any(|one| format!("{one:?}") == alone));
    }
}

#[test]
fn what_f32_rounds_in_neighbours_changes_nothing() {
    // Duals so unlike in size that f64 rounds their sums; as f32 has them, they are optimal.
    let n = 16;
    let mut cost = vec![f32::INFINITY; n * n];
    for row in 0..n {
        for col in 0..n {
            cost[row * n + col] = match (row, col) {
                (2, 2) => 1e-10,
                (2, _) | (_, 2) => f32::INFINITY,
                (_, 0) => -1e10,
                _ => -1e-10,
            };
        }
    }
    let exact = Owned::new(n, n, cost);
    let mut random = Random::new(12);
    let mut rounded = exact.clone();
    rounded
        .cost
        .iter_mut()
        .for_each(|cost| *cost = random.uniform() as f32);
    let alone = format!("{:?}", solve::<f32, f32>(&exact));
    for batch in [
        vec![exact.clone(), rounded.clone()],
        vec![rounded, exact.clone()],
        vec![exact; 100],
    ] {
        let is_rounded = |problem: &Owned<f32>| problem.cost[0] > 0.0;
        for (problem, answer) in batch.iter().zip(solve_together::<f32, f32>(&batch)) {
            assert!(is_rounded(problem) || format!("{answer:?}") == alone);
        }
    }
}
