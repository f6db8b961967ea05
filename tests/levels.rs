//! Nothing that an answer does not depend on changes it: the instruction set, the place in a batch, the neighbours there,
//! what the thread has solved before.

mod common;

use common::Owned;
use half::{bf16, f16};
use hungarian_loss::batch::{Inputs, Outputs, Real, Shape, Solvable, solve_at};
use hungarian_loss::lanes::Level;
use hungarian_loss::problem::{Cost, Options};
use hungarian_random::Random;

/// A cost of one of several kinds: ties, reals, forbidden pairs, large ones, now and then NaN.
fn draw_cost(random: &mut Random, kind: usize) -> f64 {
    let uniform = random.uniform();
    match kind {
        0 => uniform,
        1 => (uniform * 10.0).floor(),
        2 if uniform < 0.3 => f64::INFINITY,
        2 => uniform - 0.6,
        3 => 1e6 + uniform,
        4 if uniform < 1e-3 => f64::NAN,
        _ => (uniform * 64.0).round() / 64.0,
    }
}

/// All outputs, bit for bit.
#[derive(Debug, PartialEq, Clone)]
struct Bits {
    totals: Vec<u64>,
    indices: Vec<i32>,
    duals: Vec<u64>,
    status: Vec<i32>,
}

fn solve<T: Solvable<Real = U>, U: Real + Into<f64>>(
    level: Level,
    batch: &[Owned<T>],
) -> Vec<Bits> {
    let (rows, cols) = (batch[0].rows, batch[0].cols);
    let problems = batch.len();
    let cost: Vec<T> = batch
        .iter()
        .flat_map(|problem| problem.cost.clone())
        .collect();
    let row_mask: Vec<bool> = batch
        .iter()
        .flat_map(|problem| problem.row_mask.clone())
        .collect();
    let col_mask: Vec<bool> = batch
        .iter()
        .flat_map(|problem| problem.col_mask.clone())
        .collect();
    let cost_limit: Vec<U> = batch
        .iter()
        .map(|problem| U::round_from(problem.options.cost_limit))
        .collect();
    let rubbish = U::round_from(7.0);
    let mut total_cost = vec![rubbish; problems];
    let mut row_to_col = vec![7; problems * rows];
    let mut col_to_row = vec![7; problems * cols];
    let mut row_duals = vec![rubbish; problems * rows];
    let mut col_duals = vec![rubbish; problems * cols];
    let mut status = vec![7; problems];
    solve_at(
        level,
        Shape {
            problems,
            rows,
            cols,
        },
        &Inputs {
            cost: &cost,
            row_mask: &row_mask,
            col_mask: &col_mask,
            cost_limit: &cost_limit,
            maximize: batch[0].options.maximize,
        },
        &mut Outputs {
            total_cost: &mut total_cost,
            row_to_col: &mut row_to_col,
            col_to_row: &mut col_to_row,
            row_duals: &mut row_duals,
            col_duals: &mut col_duals,
            status: &mut status,
        },
    )
    .expect("sizes fit");
    let bits = |value: &U| Into::<f64>::into(*value).to_bits();
    (0..problems)
        .map(|index| Bits {
            totals: vec![bits(&total_cost[index])],
            indices: [
                &row_to_col[index * rows..][..rows],
                &col_to_row[index * cols..][..cols],
            ]
            .concat(),
            duals: row_duals[index * rows..][..rows]
                .iter()
                .chain(&col_duals[index * cols..][..cols])
                .map(bits)
                .collect(),
            status: vec![status[index]],
        })
        .collect()
}

/// A batch of problems of one shape, some masked, of different kinds.
fn draw<T: Cost>(random: &mut Random, from: impl Fn(f64) -> T) -> Vec<Owned<T>> {
    let size = [8, 16, 32, 60, 120, 150, 330][random.index(7)];
    let (rows, cols) = match random.index(3) {
        0 => (size, size),
        _ => (1 + random.index(size), 1 + random.index(size)),
    };
    let cols = if random.index(2) == 0 { rows } else { cols };
    let mut options = Options {
        cost_limit: [f64::INFINITY, f64::INFINITY, 0.5][random.index(3)],
        maximize: random.index(4) == 0,
    };
    let has_limit_each = random.index(4) == 0;
    let masked = random.index(3) == 0;
    let problems = 1 + random.index(if size <= 32 { 90 } else { 7 });
    (0..problems)
        .map(|_| {
            let kind = random.index(6);
            let sign = options.sign();
            let cost = (0..rows * cols)
                .map(|_| from(sign * draw_cost(random, kind)))
                .collect();
            let mut problem = Owned::new(rows, cols, cost);
            if has_limit_each {
                options.cost_limit = [f64::INFINITY, 0.5, -0.25, f64::NAN][random.index(4)];
            }
            problem.options = options;
            if masked {
                let flags = problem.row_mask.iter_mut().chain(&mut problem.col_mask);
                flags.for_each(|flag| *flag = random.index(5) != 0);
            }
            problem
        })
        .collect()
}

fn hold<T: Solvable<Real = U> + Sync, U: Real + Into<f64>>(
    seed: u64,
    from: impl Fn(f64) -> T + Copy,
) {
    let levels = Level::all();
    println!("levels of this processor: {levels:?}");
    let mut random = Random::new(seed);
    for _ in 0..200 {
        let batch = draw(&mut random, from);
        // This thread keeps a workspace, and with it what is left in there; a new thread has none.
        let expected = std::thread::scope(|scope| {
            let anew = scope.spawn(|| solve::<T, U>(Level::PORTABLE, &batch));
            anew.join().expect("no panic")
        });
        for &level in &levels {
            assert_eq!(solve::<T, U>(level, &batch), expected, "{level:?}");
            for (problem, expected) in batch.iter().zip(&expected) {
                let alone = solve::<T, U>(level, std::slice::from_ref(problem));
                assert_eq!(&alone[0], expected, "alone, {level:?}");
            }
            let backwards: Vec<_> = batch.iter().rev().cloned().collect();
            let mut answers = solve::<T, U>(level, &backwards);
            answers.reverse();
            assert_eq!(answers, expected, "backwards, {level:?}");
        }
    }
}

#[test]
fn f32_is_the_same_everywhere() {
    hold::<f32, f32>(0x9e37_79b9_7f4a_7c15, |cost| cost as f32);
}

#[test]
fn f64_is_the_same_everywhere() {
    hold::<f64, f64>(0xd1b5_4a32_d192_ed03, |cost| cost);
}

#[test]
fn halves_are_the_same_everywhere() {
    hold::<f16, f32>(0x8cb9_2ba7_2f3d_8dd7, f16::from_f64);
    hold::<bf16, f32>(0xaef1_7502_b3d5_2d47, bf16::from_f64);
}
