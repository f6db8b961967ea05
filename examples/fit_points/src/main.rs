//! Fits a cloud of points to a circle of targets and prints how the loss falls.

use std::f64::consts::TAU;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use hungarian_fit_points::{Fit, Point, step};
use hungarian_serving::OpLibrary;

/// Fits points to a set of targets by gradient descent through HungarianAssignment, without Python.
#[derive(Parser)]
struct Arguments {
    /// The shared object with the op HungarianAssignment (_hungarian.so)
    #[arg(long)]
    library: PathBuf,
    /// How many points, and how many targets
    #[arg(long, default_value_t = 12)]
    points: usize,
    /// How many steps of gradient descent
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// How far a step goes along the gradient; at less than 1 the loss falls at every step
    #[arg(long, default_value_t = 0.1)]
    rate: f64,
}

fn main() -> ExitCode {
    match fit(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fit_points: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn fit(arguments: &Arguments) -> Result<()> {
    ensure!(arguments.points > 0, "got no points, expected at least one");
    OpLibrary::load(&arguments.library)?;
    let fit = Fit::new(&circle(arguments.points))?;
    let mut points = spiral(arguments.points);

    println!("step        loss");
    for number in 0..=arguments.steps {
        let found = fit.evaluate(&points)?;
        println!("{number:>4}  {:>10.3e}", found.loss);
        step(&mut points, &found.gradient, arguments.rate);
    }
    Ok(())
}

/// The targets: evenly spread over a circle of radius 1.
fn circle(count: usize) -> Vec<Point> {
    let angle = |index: usize| TAU * index as f64 / count as f64;
    let point = |index: usize| [angle(index).cos(), angle(index).sin()];
    (0..count).map(point).collect()
}

/// Where the points begin: in a small spiral off the circle's centre, of two turns.
fn spiral(count: usize) -> Vec<Point> {
    let part = |index: usize| index as f64 / count as f64;
    let point = |index: usize| {
        let (radius, angle) = (0.3 * part(index), 2.0 * TAU * part(index));
        [0.2 + radius * angle.cos(), radius * angle.sin()]
    };
    (0..count).map(point).collect()
}
