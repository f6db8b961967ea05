//! IEEE arithmetic inside a host that flushes denormals.
//!
//! TensorFlow's threads run with flush-to-zero and denormals-are-zero set, under which 1e-40 is 0. Costs
//! are to be taken exactly as given, so the solver runs with both off and puts them back afterwards.

/// Clears flush-to-zero and denormals-are-zero on this thread until dropped.
#[must_use]
pub struct KeepDenormals {
    saved: control::Word,
    // The saved word belongs to this thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl KeepDenormals {
    /// Saves the control word and clears what alters denormals.
    pub fn on_this_thread() -> Self {
        let saved = control::read();
        control::write(saved & !control::FLUSH);
        KeepDenormals {
            saved,
            _not_send: std::marker::PhantomData,
        }
    }
}

impl Drop for KeepDenormals {
    fn drop(&mut self) {
        control::write(self.saved);
    }
}

/// Watches whether arithmetic on this thread is exact: the processor raises a flag when a result had to be rounded.
#[must_use]
pub struct Exactness(());

impl Exactness {
    /// Lowers the flag.
    #[inline(always)]
    pub fn watch() -> Self {
        control::lower_inexact();
        Exactness(())
    }

    /// Did the flag stay down while `result` was computed?
    ///
    /// May say no of arithmetic that was exact, never the reverse: the compiler can add arithmetic to a function, but
    /// not leave out what its result depends on. `result` has to be behind a reference that came from outside.
    #[inline(always)]
    pub fn held<V: ?Sized>(self, result: &mut V) -> bool {
        // Opaque to the compiler, so that all of the result is in memory before the flag is read.
        std::hint::black_box(result);
        !control::inexact_is_raised()
    }
}

#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    pub type Word = u32;
    /// MXCSR bits 15 (flush to zero) and 6 (denormals are zero).
    pub const FLUSH: Word = 1 << 15 | 1 << 6;
    /// MXCSR bit 5: a result was rounded.
    const INEXACT: Word = 1 << 5;

    pub fn lower_inexact() {
        write(read() & !INEXACT);
    }

    pub fn inexact_is_raised() -> bool {
        read() & INEXACT != 0
    }

    pub fn read() -> Word {
        let mut word: Word = 0;
        // SAFETY: stmxcsr writes four bytes to the address given, which is that of `word`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &mut word, options(nostack, preserves_flags)) };
        word
    }

    pub fn write(word: Word) {
        // SAFETY: ldmxcsr reads four bytes from the address given, which is that of `word`. It faults
        // on reserved bits only, and `word` is what `read` gave, with bits that have a meaning changed.
        // Not marked as free of memory effects: arithmetic must not move across.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &word, options(nostack, preserves_flags)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    pub type Word = u64;
    /// FPCR bit 24 (flush to zero, inputs and outputs).
    pub const FLUSH: Word = 1 << 24;
    /// FPSR bit 4: a result was rounded.
    const INEXACT: Word = 1 << 4;

    pub fn lower_inexact() {
        let cleared = status() & !INEXACT;
        // SAFETY: the word is what the register held, with one flag cleared.
        unsafe { asm!("msr fpsr, {}", in(reg) cleared, options(nostack, preserves_flags)) };
    }

    pub fn inexact_is_raised() -> bool {
        status() & INEXACT != 0
    }

    fn status() -> Word {
        let word: Word;
        // SAFETY: reads a register that every thread may read.
        unsafe { asm!("mrs {}, fpsr", out(reg) word, options(nostack, preserves_flags)) };
        word
    }

    pub fn read() -> Word {
        let word: Word;
        // SAFETY: reads a register that every thread may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nostack, preserves_flags)) };
        word
    }

    pub fn write(word: Word) {
        // SAFETY: `word` is what `read` gave, with bits cleared at most.
        unsafe { asm!("msr fpcr, {}", in(reg) word, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "how this architecture flushes denormals is not known: add it to float_environment.rs"
);

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn rounding_is_noticed() {
        let sum = |a: f64, b: f64| {
            let exactness = Exactness::watch();
            let mut sum = black_box(a) + black_box(b);
            let held = exactness.held(&mut sum);
            (sum, held)
        };
        assert_eq!(sum(1.0, 2.0), (3.0, true));
        assert_eq!(sum(0.1, 0.2), (0.1 + 0.2, false));
        assert_eq!(sum(f64::INFINITY, 0.1), (f64::INFINITY, true));
        assert_eq!(
            sum(1.0, 2.0),
            (3.0, true),
            "the flag is lowered before each use"
        );
    }

    #[test]
    fn denormals_survive_inside_and_the_host_gets_its_setting_back() {
        let before = control::read();
        control::write(before | control::FLUSH);
        let double = |x: f32| black_box(black_box(x) * 2.0);
        assert_eq!(
            double(f32::from_bits(3)),
            0.0,
            "the test's own setting does not flush"
        );
        {
            let _guard = KeepDenormals::on_this_thread();
            assert_eq!(double(f32::from_bits(3)), f32::from_bits(6));
        }
        let flushed = double(f32::from_bits(3));
        control::write(before);
        assert_eq!(flushed, 0.0);
    }
}
