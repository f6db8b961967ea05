//! Duals for a limit that counted as less than it is.
//!
//! A limit L beyond some size counts as L', see `crate::problem::prepare`: the same matchings are
//! optimal. The solver's duals prove that with L'/2 as their ceiling, which is the dual of
//! unmatched rows and columns; the user's proof needs the ceiling L/2. So duals at the ceiling are
//! lifted by Δ = (L − L')/2, and with them all duals that depend on them, as said below; the duals
//! of their partners fall by Δ.
//!
//! **Which those are.** Let C = max |c|, and m the number of rows, so that L' = ±4(m + 1)·C. If row
//! i may take the column of row k, then u_i + v ≤ c_i and u_k + v = c_k, so u_i ≤ u_k + 2C. So
//! where no row has a dual between T − 2C and T, no row with a dual of T or more may take a column
//! whose row has less. Begin with T = L'/2, and lower T to the least dual that is less than 2C
//! below it, as long as there is one: at most m times, and so T stays above 2C if L is positive.
//! Likewise for columns, with a bound S on v. No allowed pair has a row of T or more and a column
//! of S or more, since T + S > C. Rows of T or more rise by Δ and their columns fall; columns of S
//! or more rise and their rows fall. So u + v stays the same on matched pairs, and rises on no
//! allowed pair. If L is negative nothing is matched, and all duals are at the ceiling.
//!
//! **Cost.** O(rows² + rows · columns) at worst, and one pass over the duals in nearly all cases.

/// Tells which duals are lifted. Rows and columns are those of an instance.
#[derive(Clone, Copy, Debug)]
pub struct Lift {
    /// T.
    row_bound: f64,
    /// S.
    col_bound: f64,
}

impl Lift {
    /// For duals whose ceiling is `half_limit`, of an instance with `largest_cost` = C > 0 and as
    /// many rows as `rows` has duals.
    pub fn of(
        half_limit: f64,
        largest_cost: f64,
        rows: impl ExactSizeIterator<Item = f64> + Clone,
        cols: impl Iterator<Item = f64> + Clone,
    ) -> Self {
        // A little more than 2C, since duals are rounded: m times that is still less than L'/2 − C.
        let gap = largest_cost * (2.0 + 0.5 / rows.len().max(1) as f64);
        Lift {
            row_bound: bound(half_limit, gap, rows),
            col_bound: bound(half_limit, gap, cols),
        }
    }

    /// By how many Δ the dual of a row rises, where `partner` is the dual of the column matched
    /// with it.
    pub fn of_row(&self, dual: f64, partner: Option<f64>) -> f64 {
        rise(dual, self.row_bound, partner, self.col_bound)
    }

    /// By how many Δ the dual of a column rises, where `partner` is the dual of the row matched
    /// with it.
    pub fn of_col(&self, dual: f64, partner: Option<f64>) -> f64 {
        rise(dual, self.col_bound, partner, self.row_bound)
    }
}

/// The least dual that can be reached from the ceiling, from one dual to the next, in steps of at
/// most `gap`.
fn bound(ceiling: f64, gap: f64, duals: impl Iterator<Item = f64> + Clone) -> f64 {
    let mut bound = ceiling;
    loop {
        let within = duals.clone().filter(|&dual| dual >= bound - gap);
        let least = within.fold(bound, f64::min);
        if least == bound {
            return bound;
        }
        bound = least;
    }
}

fn rise(dual: f64, bound: f64, partner: Option<f64>, partner_bound: f64) -> f64 {
    if dual >= bound {
        1.0
    } else if partner.is_some_and(|partner| partner >= partner_bound) {
        -1.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hangs_together_with_the_ceiling_is_lifted() {
        // Ten rows, C = 1: L'/2 = 22. Duals within 2C of one that is lifted are lifted too.
        let rows = [22.0, 20.5, 18.6, 16.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let cols = [22.0, 19.0, 1.0];
        let lift = Lift::of(22.0, 1.0, rows.into_iter(), cols.into_iter());
        let of_rows = rows.map(|dual| lift.of_row(dual, None));
        assert_eq!(of_rows, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(cols.map(|dual| lift.of_col(dual, None)), [1.0, 0.0, 0.0]);
        // Partners of lifted rows and columns fall.
        assert_eq!(lift.of_row(3.0, Some(22.0)), -1.0);
        assert_eq!(lift.of_row(3.0, Some(19.0)), 0.0);
        assert_eq!(lift.of_col(1.0, Some(18.6)), -1.0);
        assert_eq!(lift.of_col(1.0, Some(16.0)), 0.0);
    }
}
