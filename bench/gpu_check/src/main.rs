//! On a real GPU: is every kernel right, and how fast is it? Needs NVIDIA's driver and nothing
//! else; the PTX is in the program.
//!
//! `gpu-check --help` says what it can be asked, and how it exits.

mod cases;
mod check;
mod device;
mod findings;
mod in_parts;
mod kernels;
mod options;
mod timing;
mod watchdog;

use std::env;
use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use cases::Case;
use cudarc::driver::sys::CUdevice_attribute as Attribute;
use device::Gpu;
use findings::Findings;
use hungarian_loss::cuda::driver::{Cause, Driver, DriverError};
use kernels::Kernels;
use options::{Options, Request, USAGE};
use watchdog::Watchdog;

const MISUSED: u8 = 2;
const SKIPPED: u8 = 77;

/// How long a GPU may take for a case, unless the options say so.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let options = match Options::parse(env::args_os().skip(1)) {
        Ok(Request::Run(options)) => options,
        Ok(Request::Help) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprint!("gpu-check: {message}\n\n{USAGE}");
            return ExitCode::from(MISUSED);
        }
    };
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
    match check_and_time(&options) {
        Ok(status) => status,
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

fn check_and_time(options: &Options) -> Result<ExitCode> {
    let mut gpu = Gpu::first()?;
    gpu.uninitialized = options.uninitialized;
    describe(&gpu)?;
    let is_stand_in = gpu.is_stand_in()?;
    // The stand-in does only the quick checks, unless cases are asked for by name: then it does all
    // of these.
    let quick = options.quick || (is_stand_in && options.case.is_none());
    let cases = match cases::select(options, quick) {
        Ok(cases) => cases,
        Err(message) => {
            eprint!("gpu-check: {message}\n\n{USAGE}");
            return Ok(ExitCode::from(MISUSED));
        }
    };
    let findings = Findings::default();
    // No limit for the stand-in: it runs on the processor, which others may keep busy.
    let usual = if is_stand_in { Duration::MAX } else { PATIENCE };
    let patience = options.patience.unwrap_or(usual);
    let watchdog = Watchdog::start(patience, findings.clone());
    let kernels = load(&gpu, &watchdog)?;
    println!("{}", timing::LEGEND);
    let all_run = run(&mut gpu, options, &kernels, &watchdog, &findings, &cases);
    if all_run && options.takes_all() {
        let missed: Vec<_> = kernels::all_names()
            .filter(|kernel| !gpu.launched.contains(kernel))
            .collect();
        match missed.is_empty() {
            true => println!("all {} kernels were launched", gpu.launched.len()),
            false => findings.add(format!("kernels that were not launched: {missed:?}")),
        }
    }
    if is_stand_in {
        println!("**** THAT WAS NO GPU: times mean nothing ****");
    }
    if !findings.is_empty() {
        findings.list();
        return Ok(ExitCode::FAILURE);
    }
    println!("{} cases, all right", cases.len());
    Ok(ExitCode::SUCCESS)
}

fn describe(gpu: &Gpu) -> Result<()> {
    println!(
        "{}, compute capability {}.{}, {} multiprocessors, {} bytes of L2 cache",
        gpu.name()?,
        gpu.attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        gpu.attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        gpu.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        gpu.attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?,
    );
    if gpu.is_stand_in()? {
        println!(
            "**** THIS IS NO GPU but the stand-in of our tests: a small part is checked, and times mean nothing ****"
        );
    }
    Ok(())
}

fn load(gpu: &Gpu, watchdog: &Watchdog) -> Result<Kernels> {
    announce("load: the driver compiles the kernels");
    let watch = watchdog.watch("load");
    let kernels = Kernels::load(gpu)?;
    drop(watch);
    let times = kernels.load_times.iter();
    let times = times.map(|(costs, time)| format!("{costs:?} {:.3} s", time.as_secs_f64()));
    println!(
        "{}, or what reading them from the driver's own cache took | {}",
        times.collect::<Vec<_>>().join(", "),
        gpu.name()?
    );
    for kernel in kernels.attributes() {
        let (name, attributes) = kernel?;
        println!("  kernel | {name} | {attributes} | {}", gpu.name()?);
    }
    Ok(kernels)
}

/// Runs the cases. Returns whether all were run: not if the GPU answers no more after one of them.
fn run(
    gpu: &mut Gpu,
    options: &Options,
    kernels: &Kernels,
    watchdog: &Watchdog,
    findings: &Findings,
    cases: &[Case],
) -> bool {
    for (place, case) in cases.iter().enumerate() {
        let name = case.to_string();
        announce(&name);
        let start = Instant::now();
        let ended = match case {
            Case::Check(check) => check::run(gpu, watchdog, &name, check),
            Case::Time(timed) => {
                println!();
                timing::run(gpu, kernels, watchdog, &name, timed, options.runs)
            }
        };
        match ended {
            Ok(()) => println!("right, {:.2} s", start.elapsed().as_secs_f64()),
            Err(error) => {
                println!("WRONG: {error:#}");
                findings.add(format!("{name}: {error:#}"));
                let watch = watchdog.watch(&name);
                let is_alive = gpu.is_alive();
                drop(watch);
                if !is_alive {
                    let left = cases.len() - place - 1;
                    findings.add(format!(
                        "the GPU answers no more: {left} cases were not run"
                    ));
                    println!("LOST: go on behind it with --after '{name}'");
                    return false;
                }
            }
        }
    }
    true
}

/// Names what comes before anything is launched: whatever happens next, the name has been printed.
fn announce(name: &str) {
    print!("{name} ... ");
    // If this cannot be written, nothing else can.
    let _ = stdout().flush();
}
