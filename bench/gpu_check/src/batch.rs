//! `gpu-batch PROBLEMSxROWSxCOLS [SEED [TYPE]]` solves one batch of uniform costs on the first GPU,
//! by the plan and launches of the op, and compares the answer with the CPU's. `make sim-time` runs
//! it on a simulated GPU.

// gpu-check uses the rest.
#[allow(dead_code)]
mod device;

use std::env;

use anyhow::{Context, Result, bail};
use device::{Gpu, OnGpu};
use half::{bf16, f16};
use hungarian_loss::batch::Shape;
use hungarian_random::Random;
use hungarian_twin::parity::compare;
use hungarian_twin::{Batch, Number};

const USAGE: &str = "expected PROBLEMSxROWSxCOLS [SEED [f32|f64|f16|bf16]]";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (shape, seed, costs) = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [shape] => (*shape, "3", "f32"),
        [shape, seed] => (*shape, *seed, "f32"),
        [shape, seed, costs] => (*shape, *seed, *costs),
        _ => bail!(USAGE),
    };
    let shape = parse_shape(shape)?;
    let seed = seed.parse().context(USAGE)?;
    match costs {
        "f32" => solve::<f32>(shape, seed, costs),
        "f64" => solve::<f64>(shape, seed, costs),
        "f16" => solve::<f16>(shape, seed, costs),
        "bf16" => solve::<bf16>(shape, seed, costs),
        _ => bail!(USAGE),
    }
}

fn parse_shape(text: &str) -> Result<Shape> {
    let sizes: Vec<usize> = text
        .split('x')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context(USAGE)?;
    let [problems, rows, cols] = sizes[..] else {
        bail!(USAGE)
    };
    Ok(Shape {
        problems,
        rows,
        cols,
    })
}

fn solve<T: OnGpu + Number>(shape: Shape, seed: u64, costs: &str) -> Result<()> {
    let mut gpu = Gpu::first()?;
    let mut random = Random::new(seed);
    let count = shape.problems * shape.rows * shape.cols;
    let cost = (0..count).map(|_| T::narrow(random.uniform())).collect();
    let batch = Batch::new(shape, cost);
    let solution = gpu.solve(&batch)?;
    compare(&batch, &solution, &batch.solve_on_cpu()?)?;
    let sum: f64 = solution.total_cost.iter().map(|&total| total.into()).sum();
    println!(
        "{}, {shape}, {costs}, seed {seed}: as the CPU solves them, proven; objectives sum to {sum:.6}",
        gpu.name()?
    );
    Ok(())
}
