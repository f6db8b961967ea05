//! A host may round upward, trap what is rounded or invalid, or flush denormals: answers are the
//! same, and it gets its environment back.

mod common;

use common::{Owned, say_skipped, solve};
use host::{Host, read, write};
use hungarian_loss::prove::certificate::Answer;
use hungarian_random::Random;

#[cfg(target_arch = "x86_64")]
mod host {
    use std::arch::asm;

    /// MXCSR: control and flags in one word.
    pub type Host = u32;

    const UPWARD: u32 = 2 << 13;
    const DOWNWARD: u32 = 1 << 13;
    const FLUSH: u32 = 1 << 15 | 1 << 6;
    const TRAPS: u32 = 0x1f80;
    const FLAGS: u32 = 0x3f;

    /// Environments that a host may have, by what is peculiar about them.
    pub fn peculiar(own: Host) -> [(&'static str, Host); 5] {
        [
            ("upward", own | UPWARD),
            ("downward", own | DOWNWARD),
            ("flushed", own | FLUSH),
            // A flag that is up and not masked would trap at once.
            ("trapped", own & !(TRAPS | FLAGS)),
            ("all", (own | UPWARD | FLUSH) & !(TRAPS | FLAGS)),
        ]
    }

    pub fn read() -> Host {
        let mut word = 0u32;
        // SAFETY: stmxcsr writes four bytes to the address given, which is that of `word`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &mut word, options(nostack, preserves_flags)) };
        word
    }

    pub fn write(word: Host) {
        // SAFETY: ldmxcsr reads four bytes from the address given; the word is one that `read`
        // gave, with control bits changed.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &word, options(nostack)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod host {
    use std::arch::asm;

    /// FPCR, the control word, and FPSR, the flags.
    pub type Host = (u64, u64);

    const UPWARD: u64 = 1 << 22;
    const DOWNWARD: u64 = 2 << 22;
    const FLUSH: u64 = 1 << 24;
    const DEFAULT_NAN: u64 = 1 << 25;
    const TRAPS: u64 = 0x1f << 8;
    const FLAGS: u64 = 0x9f;

    /// Environments that a host may have, by what is peculiar about them.
    pub fn peculiar((control, flags): Host) -> [(&'static str, Host); 6] {
        [
            ("upward", (control | UPWARD, flags)),
            ("downward", (control | DOWNWARD, flags)),
            ("flushed", (control | FLUSH, flags)),
            ("default NaN", (control | DEFAULT_NAN, flags)),
            ("trapped", (control | TRAPS, flags & !FLAGS)),
            (
                "all",
                (
                    control | UPWARD | FLUSH | DEFAULT_NAN | TRAPS,
                    flags | FLAGS,
                ),
            ),
        ]
    }

    pub fn read() -> Host {
        let (control, flags): Host;
        // SAFETY: reads registers that every thread may read.
        unsafe {
            asm!("mrs {}, fpcr", "mrs {}, fpsr", out(reg) control, out(reg) flags,
                options(nostack, preserves_flags));
        }
        (control, flags)
    }

    pub fn write((control, flags): Host) {
        // SAFETY: the words are ones that `read` gave, with bits changed that the architecture
        // defines.
        unsafe {
            asm!("msr fpcr, {}", "msr fpsr, {}", in(reg) control, in(reg) flags, options(nostack));
        }
    }
}

/// Says which environments this processor does not have: many arm64 processors trap nothing. The
/// parts of an environment that it does have are tried all the same.
fn report_what_is_lacking() {
    let own = read();
    for (name, host) in host::peculiar(own) {
        write(host);
        let taken = read();
        write(own);
        if taken != host {
            say_skipped(&format!(
                "host environment {name}: this processor takes {taken:x?} for {host:x?}"
            ));
        }
    }
}

/// Solves in an environment, on this thread.
#[inline(never)]
fn solve_under(host: Host, problem: &Owned<f64>) -> (Answer, i32) {
    let own = read();
    write(host);
    let taken = read();
    let solved = solve::<f64, f64>(problem);
    let back = read();
    write(own);
    assert_eq!(
        back, taken,
        "the host's environment is back, flags included"
    );
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
    report_what_is_lacking();
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
        for (name, host) in host::peculiar(read()) {
            let (rows, cols) = (problem.rows, problem.cols);
            let got = bits(&solve_under(host, problem));
            assert_eq!(got, expected, "{rows}x{cols}, {name}");
        }
    }
}
