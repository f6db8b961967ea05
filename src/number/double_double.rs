//! A number of twice the precision of f64.

use std::ops::{Add, Sub};

use crate::number::arithmetic::Arithmetic;

/// A number of some 106 bits: the unevaluated sum of two f64, the second at most half an ulp of the
/// first.
///
/// Sums are those of Dekker, "A floating-point technique for extending the available precision",
/// Numer. Math. 18 (1971), in the accurate form whose relative error is below 2^−104 (Joldes,
/// Muller & Popescu, "Tight and rigorous error bounds for basic building blocks of double-word
/// arithmetic", ACM TOMS 44 (2017), algorithm 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct DoubleDouble {
    // The derived order compares `high` first, which is right for normalised numbers.
    high: f64,
    low: f64,
}

impl From<f64> for DoubleDouble {
    fn from(high: f64) -> Self {
        DoubleDouble { high, low: 0.0 }
    }
}

/// The rounded sum and what rounding took from it (Knuth).
fn two_sum(a: f64, b: f64) -> DoubleDouble {
    let high = a + b;
    let a_part = high - b;
    let b_part = high - a_part;
    let low = (a - a_part) + (b - b_part);
    DoubleDouble { high, low }
}

/// As [`two_sum`], where |a| ≥ |b| (Dekker).
fn fast_two_sum(a: f64, b: f64) -> DoubleDouble {
    let high = a + b;
    DoubleDouble {
        high,
        low: b - (high - a),
    }
}

impl Add for DoubleDouble {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let highs = two_sum(self.high, other.high);
        if !highs.high.is_finite() {
            return DoubleDouble::from(highs.high);
        }
        let lows = two_sum(self.low, other.low);
        let sum = fast_two_sum(highs.high, highs.low + lows.high);
        fast_two_sum(sum.high, sum.low + lows.low)
    }
}

impl Sub for DoubleDouble {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + DoubleDouble {
            high: -other.high,
            low: -other.low,
        }
    }
}

impl Arithmetic for DoubleDouble {
    fn larger_magnitude(self, other: Self) -> Self {
        DoubleDouble::from(self.high.larger_magnitude(other.high))
    }
    #[inline(always)]
    fn round_from(value: f64) -> Self {
        DoubleDouble::from(value)
    }
    #[inline(always)]
    fn round_to_f64(self) -> f64 {
        self.high
    }

    const ZERO: Self = DoubleDouble {
        high: 0.0,
        low: 0.0,
    };
    const INFINITY: Self = DoubleDouble {
        high: f64::INFINITY,
        low: 0.0,
    };
    const NEG_INFINITY: Self = DoubleDouble {
        high: f64::NEG_INFINITY,
        low: 0.0,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_digits_survive() {
        let (large, small) = (DoubleDouble::from(1e16), DoubleDouble::from(0.125));
        let back = (large + small - large).round_to_f64();
        assert_eq!(back, 0.125);
        assert!(large < large + small);
        assert_eq!(1e16 + 0.125, 1e16, "f64 alone would lose it");
    }

    #[test]
    fn infinities_stay_infinite() {
        let one = DoubleDouble::from(1.0);
        assert_eq!(DoubleDouble::INFINITY - one, DoubleDouble::INFINITY);
        assert_eq!(one - DoubleDouble::NEG_INFINITY, DoubleDouble::INFINITY);
        assert_eq!(
            DoubleDouble::INFINITY + DoubleDouble::INFINITY,
            DoubleDouble::INFINITY
        );
    }
}
