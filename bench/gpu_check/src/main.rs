//! On a real GPU: is every kernel right, and how fast is it? Needs NVIDIA's driver and nothing else; the PTX is in the program.
//!
//! Exits with 0 if all is right, 1 if not, 77 if there is no GPU to look at.

mod device;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use device::{Gpu, OnGpu};
use half::{bf16, f16};
use hungarian_loss::batch::Shape;
use hungarian_loss::cuda::driver::{Cause, Driver, DriverError};
use hungarian_loss::cuda::launch::IMAGES;
use hungarian_random::Random;
use hungarian_twin::Batch;
use hungarian_twin::parity::{FAMILIES, Family, Traits, compare, draw};

const SKIPPED: u8 = 77;

/// Sizes for all families: both kinds of search, and where one gives way to the other.
const SMALL: [(usize, usize); 14] = [
    (1, 1),
    (1, 7),
    (7, 1),
    (3, 3),
    (8, 8),
    (16, 16),
    (20, 33),
    (40, 12),
    (64, 64),
    (100, 100),
    (127, 128),
    (129, 128),
    (131, 140),
    (200, 90),
];

/// Sizes for a few families: beyond shared memory, and up to what the kernels take.
const LARGE: [(usize, usize); 8] = [
    (300, 300),
    (300, 600),
    (700, 300),
    (1000, 1000),
    (1025, 1030),
    (3, 4096),
    (4096, 5),
    (2000, 2100),
];

/// Problems, rows, columns; and what torch-hungarian publishes for an A100, in ms.
const TIMED: [(usize, usize, usize, Option<f32>); 5] = [
    (32, 100, 100, None),
    (208, 300, 100, Some(1.3)),
    (208, 300, 300, Some(11.6)),
    (208, 300, 600, Some(4.4)),
    (4096, 16, 16, None),
];

fn main() -> ExitCode {
    match Driver::get() {
        Ok(driver) => {
            let version = driver.version();
            println!("driver for CUDA {}.{}", version / 1000, version % 1000 / 10);
        }
        Err(error) if is_without_gpu(&error) => {
            println!("SKIPPED, nothing was checked: there is no GPU here: {error}");
            return ExitCode::from(SKIPPED);
        }
        Err(error) => {
            println!("FAILED: {error}");
            return ExitCode::FAILURE;
        }
    }
    match check_and_time() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_without_gpu(error: &DriverError) -> bool {
    /// `CUDA_ERROR_STUB_LIBRARY`: something to link with, not a driver.
    const STUB: i32 = 34;
    match error {
        DriverError::Missing => true,
        DriverError::Refused(refusal) => refusal.cause() == Cause::Device || refusal.code == STUB,
        DriverError::TooOld(_) | DriverError::MissingFunction(_) => false,
    }
}

fn check_and_time() -> Result<()> {
    let mut gpu = Gpu::first()?;
    let (major, minor) = gpu.capability()?;
    println!("{}, compute capability {major}.{minor}", gpu.name()?);
    let is_stand_in = gpu.is_stand_in()?;
    if is_stand_in {
        println!(
            "**** THIS IS NO GPU but the stand-in of our tests: a small part is checked, and times mean nothing ****"
        );
    }
    let start = Instant::now();
    let mut checked = 0;
    checked += check_type::<f32>(&mut gpu, is_stand_in)?;
    checked += check_type::<f64>(&mut gpu, is_stand_in)?;
    checked += check_type::<f16>(&mut gpu, is_stand_in)?;
    checked += check_type::<bf16>(&mut gpu, is_stand_in)?;
    println!(
        "{checked} problems as the CPU solves them, each proven, in {:.0} s",
        start.elapsed().as_secs_f64()
    );
    let missed: Vec<_> = kernels().difference(&gpu.launched).copied().collect();
    ensure!(
        missed.is_empty(),
        "kernels that were not launched: {missed:?}"
    );
    println!("all {} kernels were launched", gpu.launched.len());
    time(&mut gpu, is_stand_in)?;
    if is_stand_in {
        println!("**** THAT WAS NO GPU: times mean nothing ****");
    }
    Ok(())
}

/// The kernels in the PTX.
fn kernels() -> BTreeSet<&'static str> {
    let entries = IMAGES
        .into_iter()
        .flat_map(|(_, ptx)| ptx.split(".entry ").skip(1));
    entries
        .filter_map(|entry| entry.split('(').next())
        .map(str::trim)
        .collect()
}

fn check_type<T: OnGpu>(gpu: &mut Gpu, is_sample: bool) -> Result<usize> {
    let mut random = Random::new(11);
    let mut checked = 0;
    for (place, &(rows, cols)) in SMALL.iter().enumerate() {
        for (index, family) in FAMILIES.into_iter().enumerate() {
            if is_sample && (index + place) % FAMILIES.len() != 0 {
                continue;
            }
            for variant in 0..if is_sample { 2 } else { 8 } {
                let traits = Traits {
                    forbids: random.one_in(3),
                    masks: variant % 2 == 1,
                    limit: variant % 4 >= 2,
                    maximize: random.one_in(3),
                    spoils: random.one_in(6),
                };
                let problems = 1 + random.index(if is_sample { 2 } else { 300 });
                let shape = Shape {
                    problems,
                    rows,
                    cols,
                };
                checked += hold::<T>(gpu, family, shape, traits, &mut random)?;
            }
        }
    }
    for &(rows, cols) in LARGE.iter().take(if is_sample { 1 } else { LARGE.len() }) {
        for family in [Family::Uniform, Family::Line, Family::Whole] {
            let traits = Traits {
                forbids: random.one_in(4),
                masks: random.one_in(2),
                limit: random.one_in(3),
                maximize: random.one_in(3),
                spoils: false,
            };
            let shape = Shape {
                problems: if is_sample { 1 } else { 3 },
                rows,
                cols,
            };
            checked += hold::<T>(gpu, family, shape, traits, &mut random)?;
        }
    }
    for (problems, rows, cols) in [(0, 3, 3), (2, 0, 0), (2, 0, 4), (2, 4, 0)] {
        let shape = Shape {
            problems,
            rows,
            cols,
        };
        let traits = Traits {
            forbids: false,
            masks: false,
            limit: false,
            maximize: false,
            spoils: false,
        };
        checked += hold::<T>(gpu, Family::Uniform, shape, traits, &mut random)?;
    }
    Ok(checked)
}

/// Solves a batch here and there, and twice here.
fn hold<T: OnGpu>(
    gpu: &mut Gpu,
    family: Family,
    shape: Shape,
    traits: Traits,
    random: &mut Random,
) -> Result<usize> {
    let batch = draw::<T>(family, shape, traits, random);
    let what = || {
        format!(
            "{} {family:?} {shape} {traits:?}",
            std::any::type_name::<T>()
        )
    };
    let solution = gpu.solve(&batch).with_context(what)?;
    let again = gpu.solve(&batch).with_context(what)?;
    ensure!(
        solution.bits() == again.bits(),
        "{}: the second answer differs",
        what()
    );
    compare(&batch, &solution, &batch.solve_on_cpu()?).with_context(what)?;
    Ok(shape.problems)
}

fn time(gpu: &mut Gpu, is_stand_in: bool) -> Result<()> {
    println!();
    println!("f32, uniform costs, all outputs; ms, median and best of the runs, by CUDA events");
    println!("batch                 median     best   torch-hungarian on A100, as published");
    for (problems, rows, cols, published) in TIMED {
        let shape = Shape {
            problems: if is_stand_in { 1 } else { problems },
            rows,
            cols,
        };
        let mut random = Random::new(3);
        let count = shape.problems * rows * cols;
        let cost = (0..count).map(|_| random.uniform() as f32).collect();
        let batch = Batch::new(shape, cost);
        let runs = if is_stand_in { 1 } else { 25 };
        // The first ones warm up.
        let mut times = gpu.time(&batch, runs)?;
        times.drain(..times.len() / 5);
        times.sort_by(f32::total_cmp);
        compare(&batch, &gpu.solve(&batch)?, &batch.solve_on_cpu()?)?;
        println!(
            "{:18}{:10.3}{:9.3}   {}{}",
            format!("{problems} x {rows} x {cols}"),
            times[times.len() / 2],
            times[0],
            published.map_or("-".to_string(), |ms| format!("{ms}")),
            if is_stand_in {
                " (NO GPU: one problem, on the stand-in)"
            } else {
                ""
            }
        );
    }
    Ok(())
}
