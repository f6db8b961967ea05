//! Solves batches over and over, with no TensorFlow around it: for profilers, instruction counts
//! and quick timings.
//!
//! ```text
//! hungarian-core-bench [ROUNDS [SHAPES [KINDS [PROBLEMS]]]]
//! hungarian-core-bench 5 8x8,20x300 uniform,integers 1000
//! ```
//!
//! "all" for all shapes or kinds. A line gives the least time per problem over the rounds.

use std::time::Instant;

use hungarian_core_bench::{Batch, Kind};
use hungarian_loss::batch::Shape;

const SHAPES: [(usize, usize, usize); 8] = [
    (8192, 8, 8),
    (2048, 16, 16),
    (512, 32, 32),
    (128, 100, 100),
    (512, 20, 300),
    (128, 100, 300),
    (16, 300, 300),
    (4, 1000, 1000),
];
const TIED_SHAPES: [(usize, usize); 4] = [(8, 8), (16, 16), (100, 100), (300, 300)];

fn run(kind: Kind, shape: Shape, rounds: usize) {
    let Shape {
        problems,
        rows,
        cols,
    } = shape;
    let mut batch = Batch::new(kind, shape);
    let mut best = f64::INFINITY;
    let mut tally = None;
    for _ in 0..rounds {
        let start = Instant::now();
        tally = Some(batch.solve());
        best = best.min(start.elapsed().as_secs_f64());
    }
    let kind = kind.name();
    let micros = best / problems as f64 * 1e6;
    println!("{problems:>6}x{rows}x{cols} {kind:>10}: {micros:>10.3} us  {tally:?}");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |place: usize| arguments.get(place).map(String::as_str);
    let number = |text: &str| text.parse().expect("a number");
    // None: all.
    let list = |place| -> Option<Vec<&str>> {
        let text = argument(place).filter(|text| *text != "all");
        text.map(|text| text.split(',').collect())
    };
    let rounds = argument(0).map_or(5, number);
    let kinds = list(2).map(|names| {
        let kinds = names.into_iter().map(|name| name.parse().expect("a kind"));
        kinds.collect::<Vec<Kind>>()
    });
    let problems = argument(3).map(number);

    let shapes: Vec<(usize, usize, usize)> = match list(1) {
        None => SHAPES.to_vec(),
        Some(names) => names
            .into_iter()
            .map(|name| {
                let (rows, cols) = name.split_once('x').expect("ROWSxCOLS");
                let (rows, cols) = (number(rows), number(cols));
                let known = SHAPES
                    .iter()
                    .find(|shape| (shape.1, shape.2) == (rows, cols));
                (known.map_or(16, |shape| shape.0), rows, cols)
            })
            .collect(),
    };
    for (usual, rows, cols) in shapes {
        let shape = Shape {
            problems: problems.unwrap_or(usual),
            rows,
            cols,
        };
        let tied = if TIED_SHAPES.contains(&(rows, cols)) {
            Kind::TIED.as_slice()
        } else {
            &[]
        };
        let usual = [Kind::UNTIED.as_slice(), tied].concat();
        for &kind in kinds.as_ref().unwrap_or(&usual) {
            run(kind, shape, rounds);
        }
    }
}
