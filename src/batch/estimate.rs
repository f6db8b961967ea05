//! What a problem is expected to cost, for a scheduler.

use crate::problem::instance::WIDEST;

/// Processor cycles that one problem is expected to take, for a scheduler, as measured: one pass
/// over the matrix, and sweeps that are many where all columns are wanted and few where there is a
/// choice. Saturates at infinity.
pub fn cycles_per_problem(rows: f64, cols: f64) -> f64 {
    const FIXED: f64 = 500.0;
    const CYCLES_PER_ENTRY: f64 = 0.5;
    const CYCLES_PER_ENTRY_OF_SQUARES: f64 = 4.5;
    // Narrow problems, several at once.
    const FIXED_IF_NARROW: f64 = 100.0;
    const CYCLES_PER_ENTRY_IF_NARROW: f64 = 5.5;
    let (shorter, longer) = (rows.min(cols), rows.max(cols));
    if longer <= WIDEST as f64 {
        return FIXED_IF_NARROW + CYCLES_PER_ENTRY_IF_NARROW * rows * cols;
    }
    let sweeps = CYCLES_PER_ENTRY_OF_SQUARES * (shorter / longer).powi(2);
    FIXED + rows * cols * (CYCLES_PER_ENTRY + sweeps)
}
