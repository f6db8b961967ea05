//! A host may round upward, trap what is rounded or invalid, or flush denormals: answers are the same, and it gets its
//! environment back.

#![cfg(target_arch = "x86_64")]

mod common;

use std::arch::asm;

use common::{Owned, solve};
use hungarian_loss::prove::certificate::Answer;
use hungarian_random::Random;

fn read() -> u32 {
    let mut word = 0u32;
    // SAFETY: stmxcsr writes four bytes to the address given, which is that of `word`.
    unsafe { asm!("stmxcsr [{}]", in(reg) &mut word, options(nostack, preserves_flags)) };
    word
}

fn write(word: u32) {
    // SAFETY: ldmxcsr reads four bytes from the address given; the word is one that `read` gave, with control bits changed.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &word, options(nostack, preserves_flags)) };
}

/// Solves with some bits of the control word set and others cleared, on this thread.
#[inline(never)]
fn solve_under(set: u32, clear: u32, problem: &Owned<f64>) -> (Answer, i32) {
    let own = read();
    let host = (own | set) & !clear;
    write(host);
    let solved = solve::<f64, f64>(problem);
    let back = read();
    write(own);
    assert_eq!(back, host, "the host's environment is back, flags included");
    solved
}

fn bits((answer, status): &(Answer, i32)) -> (Vec<i32>, Vec<u64>, i32) {
    let mut numbers = answer.row_duals.clone();
    numbers.extend(&answer.col_duals);
    numbers.push(answer.total_cost);
    let numbers = numbers.into_iter().map(f64::to_bits).collect();
    (answer.row_to_col.clone(), numbers, *status)
}

#[test]
fn a_host_that_rounds_or_traps_changes_nothing() {
    const UPWARD: u32 = 2 << 13;
    const DOWNWARD: u32 = 1 << 13;
    const FLUSH: u32 = 1 << 15 | 1 << 6;
    const TRAPS: u32 = 0x1f80;
    const FLAGS: u32 = 0x3f;
    let mut random = Random::new(4);
    let mut problems = vec![
        Owned::new(1, 1, vec![f64::INFINITY]),
        Owned::new(1, 1, vec![f64::NAN]),
        Owned::new(1, 2, vec![-f64::INFINITY, 1.0]),
        Owned::new(2, 2, vec![1e308, -1e308, 1e-310, f64::MAX]),
    ];
    for (rows, cols) in [(5, 5), (7, 30), (40, 40), (100, 100), (90, 70), (3, 200)] {
        // Sums of these are rounded; some are denormal.
        let scale = [1.0, 1e-308][random.index(2)];
        let cost = (0..rows * cols).map(|_| random.uniform() * scale).collect();
        let mut problem = Owned::new(rows, cols, cost);
        problems.push(problem.clone());
        problem.options.cost_limit = 0.3 * scale;
        problems.push(problem);
    }
    for problem in &problems {
        let expected = bits(&solve::<f64, f64>(problem));
        for (set, clear) in [
            (UPWARD, 0),
            (DOWNWARD, 0),
            (FLUSH, 0),
            // A flag that is up and not masked would trap at once.
            (0, TRAPS | FLAGS),
            (UPWARD | FLUSH, TRAPS | FLAGS),
        ] {
            let (rows, cols) = (problem.rows, problem.cols);
            let got = bits(&solve_under(set, clear, problem));
            assert_eq!(got, expected, "{rows}x{cols} under {set:x} less {clear:x}");
        }
    }
}
