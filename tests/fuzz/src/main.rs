//! Bytes become a small batch, the batch is solved, and a judge that shares no code with the solver
//! looks at every answer. `make fuzz` searches with the coverage that libFuzzer sees;
//! `tests/fuzz/corpus` is where it starts.

#![no_main]

mod case;
mod exact;
mod judge;

// Owned problems, and one call of the batch solver.
#[path = "../../common/mod.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|case: case::Case| judge::hold(&case));
