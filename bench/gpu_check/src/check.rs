//! One check: a batch is solved twice on the GPU, and once on the CPU.

use anyhow::{Result, ensure};
use half::{bf16, f16};
use hungarian_twin::Batch;
use hungarian_twin::parity::draw;

use crate::cases::{Check, Type};
use crate::device::{Gpu, OnGpu};
use crate::in_parts::compare_with_cpu;
use crate::watchdog::Watchdog;

/// Holds the GPU to the CPU's answer.
///
/// # Errors
///
/// What is wrong with the GPU's answer.
pub fn run(gpu: &mut Gpu, watchdog: &Watchdog, name: &str, check: &Check) -> Result<()> {
    match check.costs {
        Type::F32 => hold::<f32>(gpu, watchdog, name, check),
        Type::F64 => hold::<f64>(gpu, watchdog, name, check),
        Type::F16 => hold::<f16>(gpu, watchdog, name, check),
        Type::Bf16 => hold::<bf16>(gpu, watchdog, name, check),
    }
}

fn hold<T: OnGpu>(gpu: &mut Gpu, watchdog: &Watchdog, name: &str, check: &Check) -> Result<()> {
    let batch: Batch<T> = draw(check.family, check.shape, check.traits, &mut check.random());
    let watch = watchdog.watch(name);
    let uploaded = gpu.upload(&batch)?;
    let solution = gpu.solve_uploaded(&uploaded)?;
    let again = gpu.solve_uploaded(&uploaded)?;
    drop(uploaded);
    drop(watch);
    ensure!(
        solution.bits() == again.bits(),
        "the second answer differs from the first"
    );
    compare_with_cpu(&batch, &solution)
}
