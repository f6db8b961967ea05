//! A batch held to the CPU's answers, with all of the CPU's threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};
use hungarian_twin::parity::compare;
use hungarian_twin::{Batch, Solution};

use crate::device::OnGpu;

/// Parts for each thread: problems take different times.
const PARTS_PER_THREAD: usize = 4;

/// As [`compare`] with the CPU's answer, which is computed here.
pub fn compare_with_cpu<T: OnGpu>(batch: &Batch<T>, solution: &Solution<T::Real>) -> Result<()> {
    let problems = batch.shape.problems;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let size = problems.div_ceil(PARTS_PER_THREAD * threads).max(1);
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        loop {
            let start = next.fetch_add(size, Ordering::Relaxed);
            if start >= problems {
                return Ok(());
            }
            let range = start..problems.min(start + size);
            let part = batch.part(range.clone());
            let got = solution.part(batch.shape, range);
            compare(&part, &got, &part.solve_on_cpu()?)
                .with_context(|| format!("counted from problem {start}"))?;
        }
    };
    thread::scope(|scope| {
        let count = threads.min(problems.div_ceil(size));
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        // All threads are waited for before the first error is returned.
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        ended
            .into_iter()
            .try_for_each(|ended| ended.unwrap_or_else(|_| Err(anyhow!("the CPU's side panicked"))))
    })
}
