//! Solves one batch over and over, with no TensorFlow around it: for profilers, instruction counts and quick timings.

use std::time::Instant;

use hungarian_loss::batch::{self, Inputs, Outputs, Shape};
use hungarian_loss::problem::Options;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn costs(random: &mut Random, kind: &str, shape: Shape) -> Vec<f64> {
    let Shape {
        problems,
        rows,
        cols,
    } = shape;
    let mut costs = Vec::new();
    for _ in 0..problems {
        if kind == "euclidean" || kind == "rounded" {
            let a: Vec<[f64; 4]> = (0..rows)
                .map(|_| [(); 4].map(|()| random.uniform()))
                .collect();
            let b: Vec<[f64; 4]> = (0..cols)
                .map(|_| [(); 4].map(|()| random.uniform()))
                .collect();
            for x in &a {
                for y in &b {
                    let d: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
                    let d = d.sqrt();
                    costs.push(if kind == "rounded" {
                        (d * 64.0).round() / 64.0
                    } else {
                        d
                    });
                }
            }
        } else {
            for _ in 0..rows * cols {
                let u = random.uniform();
                costs.push(match kind {
                    "integers" => (u * 10.0).floor(),
                    "offset" => 1e6 + u,
                    _ => u,
                });
            }
        }
    }
    costs
}

fn run(shape: Shape, kind: &str, rounds: usize) {
    let Shape {
        problems,
        rows,
        cols,
    } = shape;
    let mut random = Random(1);
    let cost: Vec<f32> = costs(&mut random, kind, shape)
        .into_iter()
        .map(|c| c as f32)
        .collect();
    let mut total_cost = vec![0f32; problems];
    let mut row_to_col = vec![0; problems * rows];
    let mut col_to_row = vec![0; problems * cols];
    let mut row_duals = vec![0f32; problems * rows];
    let mut col_duals = vec![0f32; problems * cols];
    let mut status = vec![0; problems];
    let mut best = f64::INFINITY;
    let mut tally = None;
    for _ in 0..rounds {
        let start = Instant::now();
        tally = Some(
            batch::solve(
                shape,
                &Inputs {
                    cost: &cost,
                    row_mask: &[true],
                    col_mask: &[true],
                    options: Options::default(),
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
            .expect("sizes fit"),
        );
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{problems:>6}x{rows}x{cols} {kind:>10}: {:>10.3} us  {tally:?}",
        best / problems as f64 * 1e6
    );
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rounds: usize = args.first().map_or(5, |a| a.parse().expect("rounds"));
    let only = args.get(1).map_or("", |a| a.as_str());
    let shapes = [
        (8192, 8, 8),
        (2048, 16, 16),
        (512, 32, 32),
        (128, 100, 100),
        (512, 20, 300),
        (128, 100, 300),
        (16, 300, 300),
        (4, 1000, 1000),
    ];
    for (problems, rows, cols) in shapes {
        for kind in ["uniform", "euclidean", "integers", "rounded", "offset"] {
            let tied = !matches!(kind, "uniform" | "euclidean");
            if tied && !matches!((rows, cols), (8, 8) | (16, 16) | (100, 100) | (300, 300)) {
                continue;
            }
            let name = format!("{rows}x{cols}");
            if !only.is_empty() && !only.split(',').any(|o| o == name) {
                continue;
            }
            run(
                Shape {
                    problems,
                    rows,
                    cols,
                },
                kind,
                rounds,
            );
        }
    }
}
