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

#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    pub type Word = u32;
    /// MXCSR bits 15 (flush to zero) and 6 (denormals are zero).
    pub const FLUSH: Word = 1 << 15 | 1 << 6;

    pub fn read() -> Word {
        let mut word: Word = 0;
        // SAFETY: stmxcsr writes four bytes to the address given, which is that of `word`.
        unsafe { asm!("stmxcsr [{}]", in(reg) &mut word, options(nostack, preserves_flags)) };
        word
    }

    pub fn write(word: Word) {
        // SAFETY: ldmxcsr reads four bytes from the address given, which is that of `word`. It faults
        // on reserved bits only, and `word` is what `read` gave, with bits cleared at most.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &word, options(nostack, preserves_flags, readonly)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    pub type Word = u64;
    /// FPCR bit 24 (flush to zero, inputs and outputs).
    pub const FLUSH: Word = 1 << 24;

    pub fn read() -> Word {
        let word: Word;
        // SAFETY: reads a register that every thread may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
        word
    }

    pub fn write(word: Word) {
        // SAFETY: `word` is what `read` gave, with bits cleared at most.
        unsafe { asm!("msr fpcr, {}", in(reg) word, options(nomem, nostack, preserves_flags)) };
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
