//! Random batches, and the core solving them with every output computed: what all benches of the
//! core share.

use std::str::FromStr;

use hungarian_loss::batch::{self, Inputs, Outputs, Shape, Tally};
use hungarian_random::Random;

/// What the costs are like; `bench/against_peers.py` has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Independent, in [0, 1).
    Uniform,
    /// Distances of random points with four coordinates.
    Euclidean,
    /// Whole numbers from 0 to 9.
    Integers,
    /// Distances as above, in multiples of 1/64.
    Rounded,
    /// A million and a number in [0, 1), of which f32 keeps four bits.
    Offset,
    /// All the same.
    Equal,
    /// Three different rows, over and over.
    FewRows,
}

impl Kind {
    /// Those without ties.
    pub const UNTIED: [Kind; 2] = [Kind::Uniform, Kind::Euclidean];
    /// Those with many.
    pub const TIED: [Kind; 3] = [Kind::Integers, Kind::Rounded, Kind::Offset];

    /// Those with hardly anything else.
    pub const REPEATED: [Kind; 2] = [Kind::Equal, Kind::FewRows];

    /// The name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Uniform => "uniform",
            Kind::Euclidean => "euclidean",
            Kind::Integers => "integers",
            Kind::Rounded => "rounded",
            Kind::Offset => "offset",
            Kind::Equal => "equal",
            Kind::FewRows => "few_rows",
        }
    }

    /// One problem's costs.
    pub fn draw(self, random: &mut Random, rows: usize, cols: usize) -> Vec<f64> {
        let mut each =
            |cost: fn(f64) -> f64| (0..rows * cols).map(|_| cost(random.uniform())).collect();
        match self {
            Kind::Uniform => each(|uniform| uniform),
            Kind::Integers => each(|uniform| (uniform * 10.0).floor()),
            Kind::Offset => each(|uniform| 1e6 + uniform),
            Kind::Equal => vec![0.1; rows * cols],
            Kind::FewRows => {
                let different: Vec<f64> = (0..3 * cols).map(|_| random.uniform()).collect();
                different.into_iter().cycle().take(rows * cols).collect()
            }
            Kind::Euclidean => distances(random, rows, cols),
            Kind::Rounded => distances(random, rows, cols)
                .into_iter()
                .map(|distance| (distance * 64.0).round() / 64.0)
                .collect(),
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let kinds = [Kind::UNTIED.as_slice(), &Kind::TIED, &Kind::REPEATED].concat();
        let found = kinds.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("{name:?} is no kind of costs"))
    }
}

fn distances(random: &mut Random, rows: usize, cols: usize) -> Vec<f64> {
    let mut points = |count: usize| -> Vec<[f64; 4]> {
        (0..count)
            .map(|_| std::array::from_fn(|_| random.uniform()))
            .collect()
    };
    let (a, b) = (points(rows), points(cols));
    let distance = |x: &[f64; 4], y: &[f64; 4]| {
        let squares = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y));
        squares.sum::<f64>().sqrt()
    };
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
    pairs.map(|(x, y)| distance(x, y)).collect()
}

/// A batch of f32 costs, drawn in f64, and room for every output.
#[derive(Debug)]
pub struct Batch {
    shape: Shape,
    cost: Vec<f32>,
    total_cost: Vec<f32>,
    row_to_col: Vec<i32>,
    col_to_row: Vec<i32>,
    row_duals: Vec<f32>,
    col_duals: Vec<f32>,
    status: Vec<i32>,
}

impl Batch {
    /// Draws a batch: the same one every time.
    pub fn new(kind: Kind, shape: Shape) -> Self {
        let Shape {
            problems,
            rows,
            cols,
        } = shape;
        let mut random = Random::new(1);
        let costs = (0..problems).flat_map(|_| kind.draw(&mut random, rows, cols));
        Batch {
            shape,
            cost: costs.map(|cost| cost as f32).collect(),
            total_cost: vec![0.0; problems],
            row_to_col: vec![0; problems * rows],
            col_to_row: vec![0; problems * cols],
            row_duals: vec![0.0; problems * rows],
            col_duals: vec![0.0; problems * cols],
            status: vec![0; problems],
        }
    }

    /// Solves all of it, on this thread. Never inlined: tests/instructions counts what happens in
    /// here, by its name.
    #[inline(never)]
    pub fn solve(&mut self) -> Tally {
        let inputs = Inputs {
            cost: &self.cost,
            row_mask: &[true],
            col_mask: &[true],
            cost_limit: &[f32::INFINITY],
            maximize: false,
        };
        let mut outputs = Outputs {
            total_cost: &mut self.total_cost,
            row_to_col: &mut self.row_to_col,
            col_to_row: &mut self.col_to_row,
            row_duals: &mut self.row_duals,
            col_duals: &mut self.col_duals,
            status: &mut self.status,
        };
        batch::solve(self.shape, &inputs, &mut outputs).expect("sizes fit")
    }
}
