//! Failures on demand, for tests/faults. Only the feature `fault-injection` compiles this; what ships has none of it.

use std::collections::TryReserveError;

/// Fails as the environment variable HUNGARIAN_FAULT says: `panic`, or `out_of_memory` for a refused reservation.
///
/// # Errors
///
/// What the allocator said to a request that no machine can grant.
pub fn strike() -> Result<(), TryReserveError> {
    match std::env::var("HUNGARIAN_FAULT").as_deref() {
        Ok("panic") => panic!("HUNGARIAN_FAULT is set"),
        Ok("out_of_memory") => Vec::<u8>::new().try_reserve_exact(isize::MAX as usize),
        _ => Ok(()),
    }
}
