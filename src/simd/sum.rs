//! Sums that hardly depend on the order of their terms.

use crate::number::arithmetic::Arithmetic;
use crate::simd::arrays::Arrays;
use crate::simd::ops::Lanes;

/// A sum in each lane, with its rounding errors added back (Neumaier, "Rundungsfehleranalyse
/// einiger Verfahren zur Summation endlicher Summen", ZAMM 54 (1974)): within an ulp or two unless
/// terms cancel. Not finite where a partial sum leaves the range of numbers.
#[derive(Clone, Copy, Debug)]
pub struct CompensatedSums<V> {
    sums: V,
    lost: V,
}

impl<V: Copy> CompensatedSums<V> {
    /// Of no terms.
    #[inline(always)]
    pub fn zero<L: Lanes<W, Vector = V>, const W: usize>(lanes: L) -> Self {
        let zero = lanes.splat(L::Number::ZERO);
        CompensatedSums {
            sums: zero,
            lost: zero,
        }
    }

    /// Adds a term to each. What is rounded away is found without asking which number is larger
    /// (Knuth, "The Art of Computer Programming", volume 2, 4.2.2, theorem B).
    #[inline(always)]
    pub fn add<L: Lanes<W, Vector = V>, const W: usize>(&mut self, lanes: L, terms: V) {
        let next = lanes.add(self.sums, terms);
        let of_terms = lanes.subtract(next, self.sums);
        let of_sums = lanes.subtract(next, of_terms);
        let missed_of_sums = lanes.subtract(self.sums, of_sums);
        let missed = lanes.add(missed_of_sums, lanes.subtract(terms, of_terms));
        self.lost = lanes.add(self.lost, missed);
        self.sums = next;
    }

    /// The sums of all terms.
    #[inline(always)]
    pub fn get<L: Lanes<W, Vector = V>, const W: usize>(self, lanes: L) -> V {
        lanes.add(self.sums, self.lost)
    }
}

/// [`CompensatedSums`] of one sum.
pub fn compensated_sum(terms: impl Iterator<Item = f64>) -> f64 {
    let lanes = Arrays::<f64>::default();
    let mut sum = CompensatedSums::zero::<_, 1>(lanes);
    terms.for_each(|term| sum.add(lanes, [term]));
    let [sum] = sum.get(lanes);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_are_not_lost() {
        assert_eq!(compensated_sum([1e16, 1.0, -1e16, 1.0].into_iter()), 2.0);
        assert_eq!([1e16, 1.0, -1e16, 1.0].into_iter().sum::<f64>(), 1.0);
    }
}
