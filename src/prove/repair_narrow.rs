//! Duals in f64 for answers to narrow squares that were found in f32 ([`crate::solve::lead`]).
//!
//! As [`crate::prove::repair`], for eight instances together: v is raised along pairs that are
//! nearly tight until each row's own pair is its cheapest, which proves the matching. The number of
//! pairs is unpredictable, so few branches depend on it.
//!
//! An instance with more near pairs than [`MOST_PER_COLUMN`] for each column is not proven: to go
//! through them over and over would take longer than to solve it in f64.
//!
//! **Why no other pair matters.** A pair (i, j) is passed over if c_ij − v_j ≥ u_i + δ in f32,
//! where u_i = c_im − v_m is that of the row's own pair. Each of these three operations rounds by
//! 2^−24 of its result, so with δ = 2^−17·(max|u| + max|v|) the pair's reduced cost is at least
//! δ·15/16 above its row's. It stays above as long as no v is raised by more than δ/2, which is
//! checked in the end.

use crate::number::arithmetic::larger;
use crate::problem::instance::WIDEST;
use crate::prove::repair::NEAR;
use crate::simd::ops::{Lanes, SINGLES, Vectors};
use crate::solve::lead::Led;
use crate::solve::narrow::UNMATCHED;

/// Would raising the duals leave them as they are, if f32 rounded nothing and they are optimal?
/// Only then may raising be skipped: otherwise an answer's duals would depend on whether f32
/// rounded something in its neighbours.
///
/// Raising takes differences of two costs, and adds v_j. |v_j| ≤ 2·COLS·max|c|, as holds for all
/// duals of shortest paths, so no sum is larger than 2^7·max|c|. All of them are multiples of
/// 2^−24·min|c|, where zeros do not count. If max|c| ≤ 2^22·min|c|, f64 rounds none of them.
#[inline(always)]
pub fn is_raised_exactly<V: Vectors, const COLS: usize>(
    vectors: V,
    costs: &[[f32; COLS]; COLS],
) -> bool {
    const MOST: f32 = (1 << 22) as f32;
    let lanes = vectors.singles();
    let (zero, infinite) = (lanes.splat(0.0), lanes.splat(f32::INFINITY));
    let (mut least, mut largest) = (infinite, zero);
    for costs in costs.as_flattened().as_chunks().0 {
        let magnitude = lanes.larger_magnitude(lanes.load(costs), zero);
        // Neither zeros nor forbidden pairs count.
        let or_infinite = lanes.where_less(zero, magnitude, magnitude, infinite);
        least = lanes.smaller(or_infinite, least);
        let or_zero = lanes.where_less(magnitude, infinite, magnitude, zero);
        largest = lanes.larger(or_zero, largest);
    }
    // The product is exact, or +inf.
    -lanes.least(lanes.subtract(zero, largest)) <= MOST * lanes.least(least)
}

/// Pairs that are nearly as cheap as the own pair of their row.
#[derive(Clone, Copy, Debug)]
pub struct NearPairs<const COLS: usize> {
    /// For each column, the columns of near pairs of the row that is matched with it.
    cols: [u32; COLS],
    /// δ.
    slack: f32,
}

impl<const COLS: usize> NearPairs<COLS> {
    /// None yet.
    pub const NONE: Self = NearPairs {
        cols: [0; COLS],
        slack: 0.0,
    };

    /// Those of an answer.
    #[inline(always)]
    pub fn of<V: Vectors>(vectors: V, costs: &[[f32; COLS]; COLS], led: &Led<COLS>) -> Self {
        let mut row_duals = [0.0; COLS];
        let (mut largest_row_dual, mut largest_col_dual) = (0.0_f32, 0.0_f32);
        for col in 0..COLS {
            let row = led.row_of_col[col];
            // All columns but those of padding are matched.
            if row == UNMATCHED {
                break;
            }
            let dual = led.col_duals[col];
            row_duals[col] = costs[row as usize % COLS][col] - dual;
            largest_row_dual = larger(row_duals[col].abs(), largest_row_dual);
            largest_col_dual = larger(dual.abs(), largest_col_dual);
        }
        let slack = NEAR as f32 * (largest_row_dual + largest_col_dual);
        let mut cols = [0; COLS];
        for col in 0..COLS {
            let row = led.row_of_col[col];
            if row == UNMATCHED {
                break;
            }
            let row = &costs[row as usize % COLS];
            let bound = row_duals[col] + slack;
            cols[col] = below(vectors.singles(), row, &led.col_duals, bound) & !(1 << col);
        }
        NearPairs { cols, slack }
    }
}

/// Bit j is set where c_j − v_j is below a bound.
#[inline(always)]
fn below<L: Lanes<SINGLES, Number = f32>, const COLS: usize>(
    lanes: L,
    costs: &[f32; COLS],
    duals: &[f32; COLS],
    bound: f32,
) -> u32 {
    let bound = lanes.splat(bound);
    let chunks = costs.as_chunks().0.iter().zip(duals.as_chunks().0);
    let mut bits = 0;
    for (chunk, (costs, duals)) in chunks.enumerate() {
        let reduced = lanes.subtract(lanes.load(costs), lanes.load(duals));
        bits |= (lanes.below(reduced, bound) as u32) << (chunk * SINGLES);
    }
    bits
}

/// A near pair (i, j).
#[derive(Clone, Copy, Debug, Default)]
struct NearPair {
    /// Place of v_j.
    place: u8,
    /// Place of v_m, where m is the column matched with row i.
    matched: u8,
    /// c_im − c_ij.
    cheaper: f64,
}

/// Instances whose pairs are listed together: a loop over pairs mispredicts its end once, which for
/// eight instances together is once instead of eight times.
pub const LISTED: usize = 8;

/// Near pairs of an instance for each of its columns, at most. Uniform costs have 0.8, distances
/// between points in a plane 1.
pub const MOST_PER_COLUMN: usize = 2;

/// As many as a byte can index, so that no index has to be checked.
const PLACES: usize = 1 << u8::BITS;
const _: () = assert!(LISTED * WIDEST <= PLACES);

/// Raises the duals of some answers.
#[derive(Clone, Debug)]
pub struct RepairNarrow<const COLS: usize> {
    /// v of column j of the answer `at`, at the place `at * COLS + j`.
    duals: [f64; PLACES],
    /// One bit for each answer that its duals prove.
    proven: u8,
    /// The first `count` are in use. Besides the most that are listed there is room for the pairs
    /// of the row that exceeds them.
    pairs: [[NearPair; COLS]; LISTED * MOST_PER_COLUMN + 1],
    count: usize,
}

impl<const COLS: usize> RepairNarrow<COLS> {
    /// Nothing yet.
    pub const NOTHING: Self = RepairNarrow {
        duals: [0.0; PLACES],
        proven: 0,
        pairs: [[NearPair {
            place: 0,
            matched: 0,
            cheaper: 0.0,
        }; COLS]; LISTED * MOST_PER_COLUMN + 1],
        count: 0,
    };

    /// One bit for each answer that its duals prove.
    #[inline(always)]
    pub fn proven(&self) -> u8 {
        self.proven
    }

    /// v.
    #[inline(always)]
    pub fn col_duals(&self, at: usize) -> &[f64; COLS] {
        &self.duals.as_chunks().0[at]
    }

    /// Begins with no instance.
    #[inline(always)]
    pub fn clear(&mut self) {
        (self.proven, self.count) = (0, 0);
    }

    /// Adds an answer. Without `near` it is known to be proven.
    #[inline(always)]
    pub fn add(
        &mut self,
        at: usize,
        costs: &[[f32; COLS]; COLS],
        led: &Led<COLS>,
        near: Option<&NearPairs<COLS>>,
    ) {
        for (wide, &dual) in self.duals[at * COLS..].iter_mut().zip(&led.col_duals) {
            *wide = f64::from(dual);
        }
        let Some(near) = near else {
            self.proven |= 1 << at;
            return;
        };
        let pairs = self.pairs.as_flattened_mut();
        let first = self.count;
        for col in 0..COLS {
            let mut bits = near.cols[col];
            let row = &costs[led.row_of_col[col] as usize % COLS];
            let own = f64::from(row[col]);
            // Two pairs are written without asking whether they exist; more than two are rare.
            loop {
                for _ in 0..2 {
                    let other = bits.trailing_zeros() as usize % COLS;
                    pairs[self.count] = NearPair {
                        place: (at * COLS + other) as u8,
                        matched: (at * COLS + col) as u8,
                        cheaper: own - f64::from(row[other]),
                    };
                    self.count += usize::from(bits != 0);
                    bits &= bits.wrapping_sub(1);
                }
                if bits == 0 {
                    break;
                }
            }
            if self.count - first > MOST_PER_COLUMN * COLS {
                self.count = first;
                return;
            }
        }
        self.proven |= 1 << at;
    }

    /// Raises v until every own pair is the cheapest of its row. Where that does not come to an
    /// end, the matching need not be optimal, and is not proven.
    #[inline(always)]
    pub fn raise(&mut self, led: &[Led<COLS>], near: &[NearPairs<COLS>]) {
        let pairs = &self.pairs.as_flattened()[..self.count];
        let duals = &mut self.duals;
        let mut raised = true;
        for _ in 0..COLS {
            raised = false;
            for pair in pairs {
                raised |= pair.raise(duals);
            }
            if !raised {
                break;
            }
        }
        if raised {
            for pair in pairs {
                let unproven = u8::from(pair.raise(duals)) << (usize::from(pair.matched) / COLS);
                self.proven &= !unproven;
            }
        }
        for (at, (led, near)) in led.iter().zip(near).enumerate() {
            if self.proven >> at & 1 == 0 {
                continue;
            }
            let most = 0.5 * f64::from(near.slack);
            let mut is_fine = true;
            for (&dual, &before) in self.col_duals(at).iter().zip(&led.col_duals) {
                let before = f64::from(before);
                is_fine &= (dual == before) | (dual - before <= most);
            }
            self.proven &= !(u8::from(!is_fine) << at);
        }
    }
}

impl NearPair {
    /// Raises v_m if this pair would be cheaper.
    #[inline(always)]
    fn raise(&self, duals: &mut [f64; PLACES]) -> bool {
        let offer = duals[usize::from(self.place)] + self.cheaper;
        let dual = &mut duals[usize::from(self.matched)];
        let raises = offer > *dual;
        *dual = if raises { offer } else { *dual };
        raises
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::arrays::ArrayVectors;
    use crate::simd::ops::Work;
    use crate::solve::lead::LeadGroup;
    use crate::solve::narrow::NarrowInstance;
    use hungarian_random::Random;

    const N: usize = 16;

    struct Lead<'a>(&'a [[[f32; N]; N]; LISTED], &'a mut [Led<N>]);

    impl Work for Lead<'_> {
        type Output = ();

        fn run<V: Vectors>(self, vectors: V) {
            let instances = self.0.each_ref().map(|costs| NarrowInstance {
                costs,
                rows: N,
                cols: N,
                half_limit: f64::INFINITY,
            });
            let led = vectors.run_apart(LeadGroup {
                instances: &instances,
                led: self.1,
            });
            assert_eq!(led, 0xff);
        }
    }

    /// Eight problems, and the answers of f32.
    fn solved() -> ([[[f32; N]; N]; LISTED], [Led<N>; LISTED]) {
        let mut random = Random::new(7);
        let mut cost = |_| std::array::from_fn(|_| random.uniform() as f32);
        let costs = std::array::from_fn(|_| std::array::from_fn(&mut cost));
        let mut led = [Led::NOTHING; LISTED];
        ArrayVectors.run(Lead(&costs, &mut led));
        (costs, led)
    }

    fn repair(costs: &[[[f32; N]; N]; LISTED], led: &[Led<N>; LISTED]) -> RepairNarrow<N> {
        let mut repair = RepairNarrow::NOTHING;
        let near: [_; LISTED] =
            std::array::from_fn(|at| NearPairs::of(ArrayVectors, &costs[at], &led[at]));
        repair.clear();
        for at in 0..LISTED {
            repair.add(at, &costs[at], &led[at], Some(&near[at]));
        }
        repair.raise(led, &near);
        repair
    }

    #[test]
    fn own_pairs_become_the_cheapest() {
        let (costs, led) = solved();
        let repair = repair(&costs, &led);
        assert_eq!(repair.proven(), u8::MAX);
        let mut raised = 0;
        for at in 0..LISTED {
            let duals = repair.col_duals(at);
            for col in 0..N {
                let row = costs[at][led[at].row_of_col[col] as usize];
                let reduced = |col: usize| f64::from(row[col]) - duals[col];
                assert!((0..N).all(|other| reduced(other) >= reduced(col)));
                raised += u32::from(duals[col] != f64::from(led[at].col_duals[col]));
            }
        }
        assert!(raised > 0);
    }

    #[test]
    fn what_is_not_optimal_is_not_proven() {
        let (costs, optimal) = solved();
        for at in 0..LISTED {
            let mut led = optimal;
            led[at].row_of_col.swap(3, 5);
            assert_eq!(repair(&costs, &led).proven(), !(1 << at));
            // Duals that are further off than f32 rounds.
            let mut led = optimal;
            led[at].col_duals[4] += 0.5;
            assert_eq!(repair(&costs, &led).proven(), !(1 << at));
        }
    }

    #[test]
    fn a_circle_of_near_pairs_that_are_cheaper_is_not_proven() {
        let (mut costs, led) = solved();
        // The rows of columns 3 and 5 would rather have each other's column, by a little.
        let [three, five] = [3, 5].map(|col| led[2].row_of_col[col] as usize);
        for (row, own, other) in [(three, 3, 5), (five, 5, 3)] {
            let dual = |col: usize| led[2].col_duals[col];
            costs[2][row][other] = costs[2][row][own] - dual(own) + dual(other) - 1e-6;
        }
        assert_eq!(repair(&costs, &led).proven(), !(1 << 2));
    }
}
