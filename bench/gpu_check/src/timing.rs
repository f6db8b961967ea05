//! One batch, timed launch by launch.

use anyhow::Result;
use hungarian_loss::batch::Shape;
use hungarian_loss::cuda::plan::Launch;
use hungarian_random::Random;
use hungarian_twin::Batch;

use crate::cases::Timed;
use crate::device::Gpu;
use crate::in_parts::compare_with_cpu;
use crate::kernels::Kernels;
use crate::watchdog::Watchdog;

/// What the rows say, for whoever reads them.
pub const LEGEND: &str = "\
times: f32, uniform costs, all outputs; ms by CUDA events around each launch: median (best) of the runs, the first fifth of
which is not counted; L2 warm: straight after the run before; L2 cold: behind a write of twice the cache's size";

/// Prints the batch's rows, and holds its answer to the CPU's.
///
/// # Errors
///
/// An error of the driver, or what is wrong with the answer.
pub fn run(
    gpu: &mut Gpu,
    kernels: &Kernels,
    watchdog: &Watchdog,
    name: &str,
    timed: &Timed,
    runs: Option<usize>,
) -> Result<()> {
    // The stand-in is slow, and its times mean nothing.
    let is_stand_in = gpu.is_stand_in()?;
    let (problems, usual_runs) = match is_stand_in {
        true => (1, 1),
        false => (timed.shape.problems, 25),
    };
    let runs = runs.unwrap_or(usual_runs);
    let shape = Shape {
        problems,
        ..timed.shape
    };
    let mut random = Random::new(3);
    let count = shape.problems * shape.rows * shape.cols;
    let cost = (0..count).map(|_| random.uniform() as f32).collect();
    let batch = Batch::new(shape, cost);

    let watch = watchdog.watch(name);
    let uploaded = gpu.upload(&batch)?;
    let launches = uploaded.plan().launches.clone();
    let warm = gpu.time(&uploaded, runs, |_| Ok(()))?;
    let cold = gpu.time(&uploaded, runs, gpu.cache_filler()?)?;
    drop(uploaded);
    let solution = gpu.solve(&batch)?;
    drop(watch);

    let mut device = gpu.name()?;
    if is_stand_in {
        device += ": NO GPU, one problem, times mean nothing";
    }
    for launch in &launches {
        let Launch {
            kernel,
            grid,
            threads,
            shared_bytes,
            ..
        } = launch;
        println!(
            "  launch | {name} | {kernel}: {grid} blocks of {threads} threads, {shared_bytes} bytes of dynamic shared memory; \
             a multiprocessor holds {} | {device}",
            kernels.resident_blocks(launch)?
        );
    }
    let published = match timed.published {
        Some(ms) => format!("torch-hungarian on an A100, as published: {ms}"),
        None => "nothing published".to_owned(),
    };
    for (state, mut times) in [("warm", warm), ("cold", cold)] {
        // The first ones warm up.
        times.drain(..times.len() / 5);
        let all = summary(times.iter().map(|run| run.iter().sum()));
        let each = launches.iter().enumerate().map(|(index, launch)| {
            let summary = summary(times.iter().map(|run| run[index]));
            format!("{} {summary} | ", launch.kernel)
        });
        println!(
            "  L2 {state} | {name} | {}sum {all} | {published} | {device}",
            each.collect::<String>()
        );
    }
    compare_with_cpu(&batch, &solution)
}

/// "1.234 (1.200)": median and best.
fn summary(times: impl Iterator<Item = f32>) -> String {
    let mut times: Vec<f32> = times.collect();
    times.sort_by(f32::total_cmp);
    format!("{:.3} ({:.3})", times[times.len() / 2], times[0])
}
