//! The parity suite: the kernels' own source, run by the host twin, against the CPU's solver.
//!
//! `hungarian-twin LIBRARY parity` runs all of it, `sample` a small part (for sanitizers), `narrow`
//! and `wide` still smaller ones of f32 only (for mutants), which use the kernels for warps and
//! those for blocks, and `tied` one of f64, whose costs tie in f32. `steps` counts the steps that
//! problems of some shapes take.

use std::env;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};
use hungarian_loss::batch::Shape;
use hungarian_loss::simd::cost::Real;
use hungarian_random::Random;
use hungarian_twin::parity::{FAMILIES, Family, Traits, compare, draw};
use hungarian_twin::{Batch, Counts, Number, Solution, Twin, device};

/// What was run.
#[derive(Debug, Default)]
struct Tally {
    problems: usize,
    runs: usize,
    by_status: [usize; 3],
    raised: usize,
    in_double: usize,
    in_double_double: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [optimal, infeasible, invalid] = self.by_status;
        write!(
            f,
            "{} problems ({optimal} optimal, {infeasible} infeasible, {invalid} invalid) in {} runs; batches with duals \
             raised: {}, with a search in f64: {}, in twice its precision: {}; 0 differ",
            self.problems, self.runs, self.raised, self.in_double, self.in_double_double
        )
    }
}

impl Tally {
    /// About half of what a part counts today: otherwise it would go unnoticed if a draw no longer
    /// made the cases that it is for.
    fn least(part: Part) -> Self {
        match part {
            Part::All => Tally {
                problems: 2800,
                runs: 8000,
                by_status: [2400, 30, 300],
                raised: 160,
                in_double: 300,
                in_double_double: 6,
            },
            Part::Sample => Tally {
                problems: 300,
                runs: 300,
                by_status: [250, 4, 40],
                raised: 23,
                in_double: 27,
                in_double_double: 1,
            },
            // What these parts are for is seen by the mutants that they catch.
            Part::Narrow | Part::Wide | Part::Tied => Tally::default(),
        }
    }

    fn counts(&self) -> [usize; 8] {
        let [optimal, infeasible, invalid] = self.by_status;
        [
            self.problems,
            self.runs,
            optimal,
            infeasible,
            invalid,
            self.raised,
            self.in_double,
            self.in_double_double,
        ]
    }

    /// Is nothing less than that?
    fn reaches(&self, least: &Tally) -> bool {
        let mut pairs = self.counts().into_iter().zip(least.counts());
        pairs.all(|(count, least)| count >= least)
    }
}

struct Suite {
    twin: Twin,
    tally: Tally,
}

impl Suite {
    /// Runs a batch under several schedules and holds it to the CPU's answer. Returns the solution.
    fn hold<T: Number>(
        &mut self,
        name: &str,
        device_name: &str,
        batch: &Batch<T>,
        schedules: u64,
    ) -> Result<Solution<T::Real>> {
        let device = device(device_name);
        let solution = self.twin.solve(&device, batch, 0)?;
        for seed in 1..schedules {
            let other = self.twin.solve(&device, batch, seed)?;
            ensure!(
                other.bits() == solution.bits(),
                "schedule {seed} of {name} differs"
            );
        }
        // Taken after all schedules, so that no count is left for the next batch.
        let Counts {
            raises,
            searches_in_double,
            in_double_double,
            ..
        } = self.twin.take_counts();
        self.tally.raised += usize::from(raises > 1);
        self.tally.in_double += usize::from(searches_in_double > 0);
        self.tally.in_double_double += usize::from(in_double_double > 0);
        let expected = batch.solve_on_cpu()?;
        compare(batch, &solution, &expected).with_context(|| name.to_string())?;
        self.tally.problems += batch.shape.problems;
        self.tally.runs += batch.shape.problems * schedules as usize;
        for &status in &solution.status {
            self.tally.by_status[status as usize] += 1;
        }
        Ok(solution)
    }
}

/// Sizes for all families: rows, columns.
const SMALL: [(usize, usize); 12] = [
    (1, 1),
    (1, 5),
    (6, 1),
    (2, 2),
    (4, 4),
    (5, 9),
    (9, 6),
    (16, 16),
    (20, 33),
    (40, 40),
    (70, 30),
    (31, 65),
];

/// Sizes for a few families, across the change from warps to blocks and beyond shared memory: rows,
/// columns, device.
const LARGE: [(usize, usize, &str); 12] = [
    (128, 128, "H100"),
    (128, 128, "T4"),
    (129, 129, "H100"),
    (129, 129, "T4"),
    (150, 40, "A100"),
    (40, 150, "V100"),
    (200, 200, "H100"),
    (200, 200, "T4"),
    (260, 250, "T4"),
    (3, 4096, "H100"),
    (4096, 2, "T4"),
    (1100, 5, "A100"),
];

/// A part of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    Sample,
    Narrow,
    Wide,
    Tied,
}

fn run_type<T: Number>(suite: &mut Suite, part: Part) -> Result<()> {
    let type_name = std::any::type_name::<T>();
    let mut random = Random::new(1);
    let is_sample = part != Part::All;
    let schedules = if is_sample { 1 } else { 3 };
    for (place, &(rows, cols)) in SMALL.iter().enumerate() {
        for (index, family) in FAMILIES.into_iter().enumerate() {
            if is_sample && (index + place) % 6 != 0 || part == Part::Wide {
                continue;
            }
            for variant in 0..if is_sample { 2 } else { 4 } {
                let traits = Traits {
                    forbids: random.one_in(3),
                    masks: variant % 2 == 1,
                    limit: if is_sample {
                        random.one_in(2)
                    } else {
                        variant >= 2
                    },
                    maximize: random.one_in(3),
                    spoils: random.one_in(6),
                };
                let problems = 1 + random.index(3);
                let shape = Shape {
                    problems,
                    rows,
                    cols,
                };
                let batch = draw::<T>(family, shape, traits, &mut random);
                let name = format!("{type_name} {family:?} {shape} {traits:?}");
                suite.hold(
                    &name,
                    ["H100", "T4"][(index + variant) % 2],
                    &batch,
                    schedules,
                )?;
            }
        }
    }
    for (index, &(rows, cols, device)) in LARGE.iter().enumerate() {
        let families = match is_sample {
            true => vec![Family::Uniform],
            false => vec![
                FAMILIES[(2 * index) % FAMILIES.len()],
                Family::Uniform,
                Family::Line,
            ],
        };
        let is_heavy = rows * cols > 17000 || rows.max(cols) > 2000;
        let is_wide = rows.max(cols) > 128;
        if is_sample && (is_heavy || part == Part::Narrow || part == Part::Wide && !is_wide) {
            continue;
        }
        for family in families {
            for masks in [false, true] {
                let traits = Traits {
                    forbids: random.one_in(4),
                    masks,
                    limit: random.one_in(3),
                    maximize: random.one_in(3),
                    spoils: false,
                };
                let shape = Shape {
                    problems: if device == "T4" { 2 } else { 1 },
                    rows,
                    cols,
                };
                let batch = draw::<T>(family, shape, traits, &mut random);
                let name = format!("{type_name} {family:?} {shape} {traits:?} on {device}");
                suite.hold(&name, device, &batch, if is_sample { 1 } else { 2 })?;
            }
        }
    }
    // Batches and problems that are empty in every way.
    for (problems, rows, cols) in [(0, 3, 3), (2, 0, 0), (2, 0, 4), (2, 4, 0), (1, 0, 200)] {
        for cost_limit in [f64::INFINITY, 1.5, f64::NAN] {
            let shape = Shape {
                problems,
                rows,
                cols,
            };
            let mut batch = Batch::<T>::new(shape, Vec::new());
            batch.cost = vec![T::narrow(1.0); problems * rows * cols];
            batch.cost_limit = vec![T::Real::round_from(cost_limit)];
            suite.hold(&format!("{type_name} {shape}"), "H100", &batch, schedules)?;
        }
    }
    for rows in [3, 140] {
        let shape = Shape {
            problems: 2,
            rows,
            cols: rows,
        };
        let mut batch = Batch::new(shape, vec![T::narrow(1.0); 2 * rows * rows]);
        for (of_rows, of_cols) in [(0, 1), (1, 0), (0, 0)] {
            (batch.row_mask, batch.col_mask) = (vec![of_rows], vec![of_cols]);
            suite.hold(
                &format!("{type_name} {shape}, none exist"),
                "H100",
                &batch,
                schedules,
            )?;
        }
    }
    for rows in [64, 140] {
        if part == Part::Narrow && rows > 128 || part == Part::Wide && rows <= 128 {
            continue;
        }
        let shape = Shape {
            problems: 1,
            rows,
            cols: rows,
        };
        // Half of the only matching's costs are the largest there are, all others the same,
        // negated: partial sums leave the range of f64.
        let mut cost = vec![T::narrow(f64::INFINITY); rows * rows];
        for row in 0..rows {
            let sign = if row < rows / 2 { 1.0 } else { -1.0 };
            cost[row * rows + row] = T::narrow(sign * T::LARGEST);
        }
        let name = format!("{type_name} {shape}, huge that cancel");
        let solution = suite.hold(&name, "H100", &Batch::new(shape, cost), schedules)?;
        let total: f64 = solution.total_cost[0].into();
        ensure!(total == 0.0, "{name}: total {total}");
    }
    Ok(())
}

/// What f64 cannot prove, and what f32 cannot tell apart: see tests/exactness.rs.
fn run_hard(suite: &mut Suite) -> Result<()> {
    let mut random = Random::new(7);
    for n in [60, 150] {
        let shape = Shape {
            problems: 1,
            rows: n,
            cols: n,
        };
        // Duals many times larger than any cost.
        let mut cost = vec![f64::INFINITY; n * n];
        for row in 0..n {
            cost[row * n + row] = 1.0 + random.uniform() / 8.0;
            if row + 1 < n {
                cost[row * n + row + 1] = -1.0 - random.uniform() / 8.0;
            }
        }
        let before = suite.tally.in_double_double;
        suite.hold("duals beyond f64", "H100", &Batch::new(shape, cost), 2)?;
        ensure!(
            suite.tally.in_double_double > before,
            "f64 cannot have proven that"
        );
        for slimmer in [0, 7] {
            let shape = Shape {
                rows: n - slimmer,
                ..shape
            };
            hold_tied(suite, shape, &mut random)?;
        }
    }
    Ok(())
}

/// Many small problems whose costs tie in f32: what f64 has to correct differs from one to the
/// next.
fn run_tied(suite: &mut Suite) -> Result<()> {
    let mut random = Random::new(11);
    for (rows, cols) in [(20, 20), (17, 20), (20, 17)] {
        let shape = Shape {
            problems: 36,
            rows,
            cols,
        };
        hold_tied(suite, shape, &mut random)?;
    }
    Ok(())
}

/// The costs of [`hold_tied`] are multiples of one part in so many.
const PARTS: f64 = (1u64 << 46) as f64;

/// Multiples of 1/64, told apart only below the last digit of f32: without a limit, and with one
/// about which such a digit decides, too.
fn hold_tied(suite: &mut Suite, shape: Shape, random: &mut Random) -> Result<()> {
    let tied =
        |whole: u64, behind: u64| whole as f64 / 64.0 * (1.0 + behind as f64 / (1u64 << 40) as f64);
    let count = shape.problems * shape.rows * shape.cols;
    let cost: Vec<f64> = (0..count)
        .map(|_| tied(1 + random.below(64), random.below(64)))
        .collect();
    for cost_limit in [f64::INFINITY, tied(4, 32)] {
        for maximize in [false, true] {
            let sign = if maximize { -1.0 } else { 1.0 };
            let mut batch = Batch::new(shape, cost.iter().map(|cost| sign * cost).collect());
            batch.cost_limit = vec![sign * cost_limit];
            batch.maximize = maximize;
            let name = format!("f64 {shape}, ties in f32, limit {cost_limit}, maximize {maximize}");
            let solution = suite.hold(&name, "H100", &batch, 2)?;
            let expected = batch.solve_on_cpu()?;
            for problem in 0..shape.problems {
                let exact = exact_objective(&batch, problem, &solution);
                let best = exact_objective(&batch, problem, &expected);
                ensure!(
                    exact == best,
                    "{name}: problem {problem}: {exact} parts, expected {best}"
                );
            }
        }
    }
    Ok(())
}

/// The sum over matched pairs of the cost less the limit, if there is one, in multiples of
/// 1 / [`PARTS`], as all costs and limits are. With these limits taken off, what is paid for
/// unmatched rows and columns is the same for all matchings.
fn exact_objective(batch: &Batch<f64>, problem: usize, solution: &Solution<f64>) -> i128 {
    let Shape { rows, cols, .. } = batch.shape;
    let in_parts = |value: f64| (value * PARTS) as i128;
    let limit = match batch.cost_limit[0] {
        limit if limit.is_finite() => in_parts(limit),
        _ => 0,
    };
    let answer = solution.answer(batch.shape, problem);
    let pairs = answer.row_to_col.iter().enumerate();
    pairs
        .filter(|(_, col)| **col >= 0)
        .map(|(row, &col)| {
            in_parts(batch.cost[(problem * rows + row) * cols + col as usize]) - limit
        })
        .sum()
}

/// The steps of some problems of each shape, on average and of the slowest.
fn count_steps(twin: &Twin) -> Result<()> {
    println!("mean and most of each problem; in how many f64 had to search");
    println!(
        "shape          sampled       rounds         bids        steps       raises    f64  steps in f64"
    );
    for (problems, rows, cols) in [
        (32, 100, 100),
        (208, 300, 100),
        (208, 300, 300),
        (208, 300, 600),
        (4096, 16, 16),
    ] {
        let sampled = problems.min(2_000_000 / (rows * cols)).max(32);
        let mut random = Random::new(3);
        let mut all = Vec::new();
        for _ in 0..sampled {
            let shape = Shape {
                problems: 1,
                rows,
                cols,
            };
            let cost = (0..rows * cols).map(|_| random.uniform() as f32);
            twin.solve(&device("H100"), &Batch::new(shape, cost.collect()), 0)?;
            all.push(twin.take_counts());
        }
        let show = |count: fn(&Counts) -> i64| {
            let sum: i64 = all.iter().map(count).sum();
            let most = all.iter().map(count).max().unwrap_or(0);
            format!("{:.1} {most:5}", sum as f64 / sampled as f64)
        };
        let in_double = all.iter().filter(|counts| counts.searches_in_double > 0);
        println!(
            "{:14}{sampled:8} {:>12} {:>12} {:>12} {:>12} {:6} {:>12}",
            format!("{problems}x{rows}x{cols}"),
            show(|counts| counts.rounds),
            show(|counts| counts.bids),
            show(|counts| counts.steps),
            show(|counts| counts.raises),
            in_double.count(),
            show(|counts| counts.steps_in_double),
        );
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let [_, library, task] = arguments.as_slice() else {
        bail!("got {arguments:?}, expected a library and a task");
    };
    let twin = Twin::load(Path::new(library))?;
    let part = match task.as_str() {
        "steps" => return count_steps(&twin),
        "parity" => Part::All,
        "sample" => Part::Sample,
        "narrow" => Part::Narrow,
        "wide" => Part::Wide,
        "tied" => Part::Tied,
        _ => bail!("got {task}, expected parity, sample, narrow, wide, tied or steps"),
    };
    let mut suite = Suite {
        twin,
        tally: Tally::default(),
    };
    if part != Part::Tied {
        run_type::<f32>(&mut suite, part)?;
    }
    if matches!(part, Part::All | Part::Sample) {
        run_type::<f64>(&mut suite, part)?;
        run_type::<f16>(&mut suite, part)?;
        run_type::<bf16>(&mut suite, part)?;
    }
    if part == Part::All {
        run_hard(&mut suite)?;
    }
    if matches!(part, Part::All | Part::Tied) {
        run_tied(&mut suite)?;
    }
    println!("{}", suite.tally);
    let least = Tally::least(part);
    ensure!(
        suite.tally.reaches(&least),
        "that is not what {part:?} is for, which is at least {least:?}"
    );
    Ok(())
}
