//! The core on one thread: a group for each shape, a line for each kind of costs, throughput in
//! problems. `make bench-core`; `make bench-core ARGUMENTS=8x8` for one group.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hungarian_core_bench::{Batch, Kind};
use hungarian_loss::batch::Shape;

fn solve(criterion: &mut Criterion) {
    // Some milliseconds a batch.
    for (problems, rows, cols) in [
        (4096, 8, 8),
        (1024, 16, 16),
        (256, 32, 32),
        (32, 100, 100),
        (512, 20, 300),
        (128, 100, 300),
        (8, 300, 300),
        (1, 1000, 1000),
    ] {
        let mut group = criterion.benchmark_group(format!("{rows}x{cols}"));
        group.throughput(Throughput::Elements(problems as u64));
        for kind in [Kind::UNTIED.as_slice(), Kind::TIED.as_slice()].concat() {
            let shape = Shape {
                problems,
                rows,
                cols,
            };
            let mut batch = Batch::new(kind, shape);
            group.bench_function(kind.name(), |bencher| bencher.iter(|| batch.solve()));
        }
        group.finish();
    }
}

fn brief() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = benches;
    config = brief();
    targets = solve
}
criterion_main!(benches);
