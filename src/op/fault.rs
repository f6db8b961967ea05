//! Failures on demand, for tests/faults. Only the feature `fault-injection` compiles this; what
//! ships has none of it.

use crate::batch::{BatchError, Shape};

/// Fails as the environment variable HUNGARIAN_FAULT says: `panic`, or `out_of_memory` for a
/// refused reservation.
///
/// # Errors
///
/// That of a batch whose workspace no machine can grant.
pub fn strike(shape: Shape) -> Result<(), BatchError> {
    match std::env::var("HUNGARIAN_FAULT").as_deref() {
        Ok("panic") => panic!("HUNGARIAN_FAULT is set"),
        Ok("out_of_memory") => Vec::<u8>::new()
            .try_reserve_exact(isize::MAX as usize)
            .map_err(|source| BatchError::Memory {
                rows: shape.rows,
                cols: shape.cols,
                source,
            }),
        _ => Ok(()),
    }
}
