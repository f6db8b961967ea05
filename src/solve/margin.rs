//! What a row leaves of a gap when it lowers v, so that rounding in f32 cannot hide which of its
//! pairs is the cheapest.

use std::hint::select_unpredictable;

use crate::number::arithmetic::{Arithmetic, power_of_two_from};

/// By how much a row that lowers v stays below what (1) allows. Its own pair then is cheaper than
/// all others by that much, which is more than rounding can hide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Margin<R> {
    amount: R,
    /// Adding this to a number and subtracting it again changes all numbers but multiples of 16
    /// margins.
    rounding: R,
    /// Some gap was not taken whole.
    has_left_some: bool,
}

impl<R: Arithmetic> Margin<R> {
    /// No margin: v is lowered by all of a gap.
    pub fn none() -> Self {
        Margin {
            amount: R::ZERO,
            rounding: R::ZERO,
            has_left_some: false,
        }
    }

    /// By how much v is lowered: the gap less the margin. A gap of few digits, as whole numbers
    /// have, is taken whole, so that duals stay whole numbers. So is a gap smaller than two
    /// margins.
    #[inline(always)]
    pub fn below(&mut self, gap: R) -> R {
        let is_small = gap < self.amount + self.amount;
        // A small gap is not rounded here: that would raise the inexact flag, as if the solver had
        // rounded.
        let large = select_unpredictable(is_small, R::ZERO, gap);
        let is_whole = (large + self.rounding) - self.rounding == large;
        self.has_left_some |= !is_whole;
        select_unpredictable(is_whole, gap, gap - self.amount)
    }
}

impl<R> Margin<R> {
    /// Was some gap not taken whole? Then the test for that has rounded a sum.
    pub fn has_left_some(&self) -> bool {
        self.has_left_some
    }
}

impl Margin<f32> {
    /// A margin of some 2^−15 of the largest dual that is likely, four times the error of f32 at
    /// that size. Where duals are larger, `Solver::is_cheapest_by` finds the margin too small.
    pub fn of(likely_dual: f64) -> Self {
        const DIGITS: f64 = 1.5 * (1u32 << 23) as f64;
        let amount = power_of_two_from(likely_dual) / (1u32 << 15) as f64;
        Margin {
            amount: amount as f32,
            rounding: (DIGITS * 16.0 * amount) as f32,
            has_left_some: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hungarian_random::Random;

    #[test]
    fn a_margin_leaves_a_part_of_a_gap_but_whole_numbers_whole() {
        let mut random = Random::new(1);
        for largest in [1e-20, 0.3, 1.0, 1000.0, 1e20] {
            let mut margin = Margin::of(largest);
            let part = |times: f64| (times * largest / f64::from(1u32 << 15)) as f32;
            let mut left_something = 0;
            for _ in 0..1000 {
                let gap = random.uniform() as f32 * largest as f32;
                let left = gap - margin.below(gap);
                if left == 0.0 {
                    continue;
                }
                left_something += 1;
                assert!(left > part(0.99) && left < part(2.01), "{left} of {gap}");
                assert!(left < gap, "v is lowered");
            }
            assert!(left_something > 900, "{left_something}");
            // Few digits: multiples of 1/1024 of the largest cost's power of two.
            let unit = power_of_two_from(largest) / 1024.0;
            for times in 0..1024 {
                let gap = (f64::from(times) * unit) as f32;
                assert_eq!(margin.below(gap), gap);
            }
            // Smaller than what would be left.
            assert_eq!(margin.below(part(0.5)), part(0.5));
        }
        let mut none = Margin::<f32>::none();
        for gap in [0.0, 1e-30, 0.1, 1e30] {
            assert_eq!(none.below(gap), gap);
        }
    }
}
