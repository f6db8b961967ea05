//! Sums that hardly depend on the order of their terms.

/// Sum of `terms` with the rounding errors added back (Neumaier, "Rundungsfehleranalyse einiger Verfahren zur
/// Summation endlicher Summen", ZAMM 54 (1974)): within an ulp or two unless terms cancel.
pub fn compensated_sum(terms: impl Iterator<Item = f64>) -> f64 {
    let mut sum = 0.0;
    let mut lost = 0.0;
    for term in terms {
        let next: f64 = sum + term;
        let (larger, smaller) = if f64::abs(sum) >= f64::abs(term) {
            (sum, term)
        } else {
            (term, sum)
        };
        lost += (larger - next) + smaller;
        sum = next;
    }
    sum + lost
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
