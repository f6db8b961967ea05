//! The gradient that TensorFlow takes in C++ through the op, against what it should be.
//!
//! `make test` builds the op library and says where it is in HUNGARIAN_OP_LIBRARY.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output};

use hungarian_fit_points::{Fit, Point, step};
use hungarian_random::Random;
use hungarian_serving::OpLibrary;

fn library_path() -> PathBuf {
    let path = env::var_os("HUNGARIAN_OP_LIBRARY");
    path.map(PathBuf::from)
        .expect("HUNGARIAN_OP_LIBRARY is not set: run `make test`, which builds what it names")
}

fn fit_to(targets: &[Point]) -> Fit {
    OpLibrary::load(library_path()).unwrap();
    Fit::new(targets).unwrap()
}

fn cloud(random: &mut Random, count: usize) -> Vec<Point> {
    (0..count)
        .map(|_| [random.uniform(), random.uniform()])
        .collect()
}

/// As many points as targets, fewer and more.
const SIZES: [(usize, usize); 5] = [(1, 1), (5, 5), (7, 4), (4, 7), (20, 20)];

#[test]
fn the_gradient_pulls_each_point_to_its_target() {
    let mut random = Random::new(1);
    for (target_count, point_count) in SIZES {
        let targets = cloud(&mut random, target_count);
        let points = cloud(&mut random, point_count);
        let found = fit_to(&targets).evaluate(&points).unwrap();
        // A point with no target stays where it is.
        let mut expected = vec![[0.0; 2]; point_count];
        let mut loss = 0.0;
        for (target, &point) in targets.iter().zip(&found.matches) {
            // −1 has no usize: a target with no point.
            let Ok(point) = usize::try_from(point) else {
                continue;
            };
            for axis in 0..2 {
                let apart = points[point][axis] - target[axis];
                expected[point][axis] = 2.0 * apart;
                loss += apart * apart;
            }
        }
        let place = format!("{target_count} targets, {point_count} points");
        let pulled = expected.iter().filter(|slope| **slope != [0.0; 2]).count();
        assert_eq!(pulled, target_count.min(point_count), "{place}");
        // Exactly: each slope has one term that is not zero.
        assert_eq!(found.gradient, expected, "{place}");
        assert!((found.loss - loss).abs() < 1e-12, "{place}");
    }
}

#[test]
fn the_gradient_is_what_finite_differences_say() {
    const STEP: f64 = 1e-5;
    let mut random = Random::new(2);
    for (target_count, point_count) in SIZES {
        let fit = fit_to(&cloud(&mut random, target_count));
        let points = cloud(&mut random, point_count);
        let found = fit.evaluate(&points).unwrap();
        for index in 0..point_count {
            for axis in 0..2 {
                let loss_at = |change: f64| {
                    let mut moved = points.clone();
                    moved[index][axis] += change;
                    fit.evaluate(&moved).unwrap().loss
                };
                let slope = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
                let gradient = found.gradient[index][axis];
                assert!(
                    (slope - gradient).abs() < 1e-8,
                    "{target_count} targets, {point_count} points, point {index}, axis {axis}: \
                     gradient {gradient}, finite difference {slope}"
                );
            }
        }
    }
}

#[test]
fn a_coordinate_that_is_no_number_moves_nothing() {
    let fit = fit_to(&[[0.0, 0.0], [3.0, 1.0]]);
    let mut points = vec![[0.5, 0.5], [f64::NAN, 0.0]];
    let found = fit.evaluate(&points).unwrap();
    assert!(found.loss.is_nan());
    assert_eq!(found.matches, [-1, -1]);
    step(&mut points, &found.gradient, 0.1);
    assert_eq!(points[0], [0.5, 0.5]);
}

fn run(arguments: &[&str]) -> Output {
    let library = library_path();
    let mut program = Command::new(env!("CARGO_BIN_EXE_fit_points"));
    program.arg("--library").arg(library).args(arguments);
    program.output().unwrap()
}

#[test]
fn the_program_prints_a_loss_that_falls_at_every_step() {
    let output = run(&["--points", "15", "--steps", "30"]);
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}");
    let losses: Vec<f64> = text
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(losses.len(), 31, "{text}");
    // A step shrinks the loss of the pairs as they are, and to match them anew only makes it smaller still.
    assert!(
        losses.is_sorted_by(|before, after| after < before),
        "{text}"
    );
    assert!(losses[30] < 1e-4 * losses[0], "{text}");
}

#[test]
fn the_program_fails_with_one_sentence() {
    let output = run(&["--points", "0"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().last().unwrap();
    assert_eq!(last, "fit_points: got no points, expected at least one");
}
