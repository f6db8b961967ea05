//! Many problems at once: tensors in, tensors out.
//!
//! [`solve`] is the way in. A batch of narrow problems goes to `narrow`, any other to `wide`; both
//! prepare problems, have them solved and proven, and `write` the answers. A bad problem gets its
//! status and placeholder outputs and leaves its neighbours alone.

mod estimate;
mod narrow;
mod plain;
mod sentences;
pub mod status;
mod tally;
mod tensors;
mod wide;
mod workspace;
mod write;

use std::sync::LazyLock;

use crate::number::environment::DefaultEnvironment;
use crate::problem::instance::narrow_width;
use crate::simd::cost::Cost;
use crate::simd::level::Level;

pub use estimate::cycles_per_problem;
pub use sentences::describe_first_bad;
pub use tally::Tally;
pub use tensors::{BatchError, Inputs, Outputs, Shape};

/// Solves all problems of a batch.
///
/// Values never make this fail: a problem that is invalid or infeasible says so in its status.
///
/// # Errors
///
/// Sizes that do not fit together, or no memory for the workspace. No output is to be relied on
/// then.
pub fn solve<T: Solvable>(
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<T::Real>,
) -> Result<Tally, BatchError> {
    // Asked once: CPUID makes a virtual machine leave to its host.
    static FOR_NARROW: LazyLock<Level> = LazyLock::new(|| Level::best().for_short_rows());
    let is_narrow = narrow_width(shape.rows, shape.cols).is_some();
    let level = if is_narrow {
        *FOR_NARROW
    } else {
        Level::best()
    };
    solve_at(level, shape, inputs, outputs)
}

/// As [`solve`], with the vector instructions of a certain level. The result does not depend on it.
///
/// # Errors
///
/// As [`solve`].
pub fn solve_at<T: Solvable>(
    level: Level,
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<T::Real>,
) -> Result<Tally, BatchError> {
    T::solve_at(level, shape, inputs, outputs)
}

/// A type of costs that a batch may have: all that [`Cost`] is implemented for.
///
/// Everything behind this is compiled in this crate, once. Generic functions would be compiled
/// again in every crate that calls them, which takes minutes.
pub trait Solvable: Cost {
    #[doc(hidden)]
    fn solve_at(
        level: Level,
        shape: Shape,
        inputs: &Inputs<Self>,
        outputs: &mut Outputs<Self::Real>,
    ) -> Result<Tally, BatchError>;
}

macro_rules! solvable {
    ($($cost:ty),*) => { $(
        impl Solvable for $cost {
            #[inline(never)]
            fn solve_at(
                level: Level,
                shape: Shape,
                inputs: &Inputs<Self>,
                outputs: &mut Outputs<Self::Real>,
            ) -> Result<Tally, BatchError> {
                inputs.check(shape)?;
                outputs.check(shape)?;
                let _ieee = DefaultEnvironment::on_this_thread();
                let Shape { rows, cols, .. } = shape;
                match narrow_width(rows, cols) {
                    Some(width) => narrow::solve_at(level, width, shape, inputs, outputs),
                    None => wide::solve_at(level, shape, inputs, outputs),
                }
                .map_err(|source| BatchError::Memory { rows, cols, source })
            }
        }
    )* };
}
solvable!(half::f16, half::bf16, f32, f64);
