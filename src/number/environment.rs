//! The floating point environment that the solver needs, inside a host that may have any.
//!
//! TensorFlow's threads run with flush-to-zero and denormals-are-zero set, under which 1e-40 is 0.
//! A host may also round upward, or have the processor trap what is rounded or invalid. Costs are
//! to be taken exactly as given and answers are the same everywhere, so the solver works in an
//! environment of its own and gives the host's back afterwards.

/// IEEE's defaults on this thread until dropped: to the nearest, denormals kept, nothing traps.
/// Then the host's environment is back, flags included.
#[must_use]
pub struct DefaultEnvironment {
    saved: control::Environment,
    // The saved words belong to this thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl DefaultEnvironment {
    /// Saves the host's environment and sets the default.
    pub fn on_this_thread() -> Self {
        let saved = control::read();
        control::write(control::DEFAULT);
        DefaultEnvironment {
            saved,
            _not_send: std::marker::PhantomData,
        }
    }
}

impl Drop for DefaultEnvironment {
    fn drop(&mut self) {
        control::write(self.saved);
    }
}

/// Watches whether arithmetic on this thread is exact: the processor raises a flag when a result
/// had to be rounded.
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
    /// May say no of arithmetic that was exact, never the reverse: the compiler can add arithmetic
    /// to a function, but not leave out what its result depends on. `result` has to be behind a
    /// reference that came from outside.
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

    /// MXCSR: control and flags in one word.
    pub type Environment = u32;
    /// All exceptions masked (bits 7 to 12), no flag up, all else 0: to the nearest, nothing
    /// flushed.
    pub const DEFAULT: Environment = 0x1f80;
    /// Bit 5: a result was rounded.
    const INEXACT: Environment = 1 << 5;

    pub fn lower_inexact() {
        write(read() & !INEXACT);
    }

    pub fn inexact_is_raised() -> bool {
        read() & INEXACT != 0
    }

    pub fn read() -> Environment {
        let mut word: Environment = 0;
        // SAFETY: stmxcsr writes four bytes to the address given, which is that of `word`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &mut word, options(nostack, preserves_flags)) };
        word
    }

    pub fn write(word: Environment) {
        // SAFETY: ldmxcsr reads four bytes from the address given, which is that of `word`. It
        // faults on reserved bits only, and `word` is DEFAULT, or what `read` gave, with one flag
        // lowered at most. Not marked as free of memory effects, so that loads and stores do not
        // move across. Arithmetic in registers may, so callers work behind a call that is never
        // inlined. Nor marked as preserving flags: MXCSR's are flags.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &word, options(nostack)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    /// FPCR, the control word, and FPSR, the flags.
    pub type Environment = (u64, u64);
    /// All bits 0: to the nearest, nothing flushed, nothing traps, no flag up.
    pub const DEFAULT: Environment = (0, 0);
    /// FPSR bit 4: a result was rounded.
    const INEXACT: u64 = 1 << 4;

    pub fn lower_inexact() {
        let (control, flags) = read();
        write((control, flags & !INEXACT));
    }

    pub fn inexact_is_raised() -> bool {
        read().1 & INEXACT != 0
    }

    pub fn read() -> Environment {
        let (control, flags): Environment;
        // SAFETY: reads registers that every thread may read.
        unsafe {
            asm!("mrs {}, fpcr", "mrs {}, fpsr", out(reg) control, out(reg) flags,
                options(nostack, preserves_flags));
        }
        (control, flags)
    }

    pub fn write((control, flags): Environment) {
        // SAFETY: the words are those of DEFAULT, or what `read` gave, with one flag lowered at
        // most.
        unsafe {
            asm!("msr fpcr, {}", "msr fpsr, {}", in(reg) control, in(reg) flags, options(nostack));
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "this architecture's floating point environment is not known: add it to src/number/environment.rs"
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

    /// What hosts were seen to have: denormals flushed, another rounding, exceptions that trap,
    /// flags that are up.
    #[cfg(target_arch = "x86_64")]
    fn hosts(own: control::Environment) -> Vec<control::Environment> {
        const FLUSH: u32 = 1 << 15 | 1 << 6;
        const UPWARD: u32 = 2 << 13;
        const MASKS: u32 = 0x1f80;
        vec![own | FLUSH, own | UPWARD, own & !MASKS, own | 0x3f]
    }

    /// The same in FPCR and FPSR, and that every NaN becomes the default one; no traps, which many
    /// processors do not have.
    #[cfg(target_arch = "aarch64")]
    fn hosts((control, flags): control::Environment) -> Vec<control::Environment> {
        const FLUSH: u64 = 1 << 24;
        const UPWARD: u64 = 1 << 22;
        const DEFAULT_NAN: u64 = 1 << 25;
        vec![
            (control | FLUSH, flags),
            (control | UPWARD, flags),
            (control | DEFAULT_NAN, flags),
            (control, flags | 0x1f),
        ]
    }

    #[test]
    fn any_host_gets_its_environment_back_and_nothing_of_it_is_felt() {
        let own = control::read();
        for host in hosts(own) {
            control::write(host);
            assert_eq!(control::read(), host);
            let (doubled, rounded, invalid) = {
                let _guard = DefaultEnvironment::on_this_thread();
                let doubled = black_box(f32::from_bits(3)) * black_box(2.0);
                let rounded = black_box(1.0) + black_box(f64::EPSILON / 4.0);
                let invalid = black_box(f64::INFINITY) - black_box(f64::INFINITY);
                (black_box(doubled), black_box(rounded), black_box(invalid))
            };
            let back = control::read();
            control::write(own);
            assert_eq!(back, host);
            assert_eq!((doubled, rounded), (f32::from_bits(6), 1.0));
            assert!(invalid.is_nan());
        }
    }
}
