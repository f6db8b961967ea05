//! Duals in f64 for an answer that was found in f32.
//!
//! What f32 rounds away seldom changes which columns are matched, but nearly always some dual:
//! another pair of a row is then cheaper than the matched one, by a few units in the last place.
//! For a matching that is optimal, raising
//!
//! v_m ← max(v_m, v_j + c_im − c_ij), where m is the column matched with row i,
//!
//! over and over (Bellman & Ford) ends with duals that prove it: every row's own pair is its
//! cheapest. Columns are never lowered, so those that are unmatched keep their ceiling. As every v
//! was nearly right, only *near-tight* pairs can matter, those whose reduced cost is within δ of
//! that of the matched pair. One pass in f32 finds them; there are few. The raising is done in f64,
//! which rounds nothing where costs allow it.
//!
//! **Why no other pair matters.** Let M = max|u| + max|v|, and δ = 2^−17·M ([`NEAR`]). A pair is
//! passed over if c − v ≥ u + δ in f32, where u = c_im − v_m; or if row reduction has found that
//! for an earlier v, which lay between the first v and the last: M counts the larger of both. Where
//! c − v is at most 2M, |c| ≤ 3M, and |c_im| ≤ M. Each of six roundings is by 2^−24 of its result:
//! 3M (c), 2M (c − v), M (c_im, u, u + δ) and δ, less than 9·2^−24·M together. Where c − v is
//! larger, it is more than 1.9·M, whatever was rounded, and u no more than M. So a pair that was
//! passed over has a reduced cost of at least δ·7/8 above its row's. When f64 takes v over, it is
//! rounded to multiples of at most δ/2, which raises u by no more than δ/4. So the pair keeps a
//! reduced cost ≥ 0 as long as no v is raised by more than δ/2, rounding included, which is checked
//! in the end. Where the check fails, and where raising does not end or passes a ceiling (then the
//! matching need not be optimal), the answer is not used; see [`crate::prove::group`]. Where there
//! are too many near-tight pairs, duals are raised by all pairs: [`Repair::raise_by_sweeps`].
//!
//! A row whose own pair would be the cheapest even with every v at its ceiling is not looked at:
//! most rows of rectangles are like that.
//!
//! **Cost.** One sweep for each row, none of which waits for another, and as many raises as there
//! are near-tight pairs, or a few times that.

use std::collections::TryReserveError;
use std::hint::select_unpredictable;

use crate::number::arithmetic::power_of_two_from;
use crate::problem::instance::Instance;
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, Lanes, SINGLES};
use crate::solve::augment::{Solver, make_room};
use crate::sweep::first_look::largest_of;
use crate::sweep::per_column::{PerColumn, QUAD};
use crate::sweep::reduced_costs::{columns_below, least_reduced_cost, near_columns_below};
use crate::sweep::row::ANY;

/// A pair (i, j) that is nearly as cheap as the matched pair (i, m).
#[derive(Clone, Copy, Debug)]
struct NearTight {
    /// j.
    col: u32,
    /// m.
    matched: u32,
    /// c_im − c_ij.
    cheaper: f64,
}

/// The near-tight pairs of an instance. A worker owns one and reuses it.
#[derive(Debug, Default)]
pub struct Repair {
    /// Quads with near-tight pairs, row by row, and one bit for each pair.
    quads: Vec<(u32, u64)>,
    /// Rows, and where the quads of each end.
    ends: Vec<(u32, u32)>,
    pairs: Vec<NearTight>,
    /// The last pair with each column, or [`NONE`].
    first: Vec<u32>,
    /// For each pair, the one before it with the same column.
    next: Vec<u32>,
    /// Columns that were raised, in that order.
    raised: Vec<u32>,
    /// All near-tight pairs were listed.
    is_complete: bool,
    /// δ.
    slack: f64,
}

/// An instance has at most so many times its rows of quads with near-tight pairs, of near-tight
/// pairs, and of raises. On average there is about one pair for each row.
const PAIRS_PER_ROW: usize = 8;

/// What became of raising the duals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised {
    /// They prove the matching: every row's own pair is its cheapest.
    Proven,
    /// They prove it, but rows' own pairs may miss being the cheapest by a rounding error.
    ProvenToRounding,
    /// The matching may not be optimal.
    Failed,
}

impl Repair {
    /// As [`Repair::raise`], by all pairs: for instances full of ties, where near-tight pairs are a
    /// good part of all.
    ///
    /// Where reduced costs are equal but for rounding, as those of costs that are sums of a row's
    /// and a column's share, rounding errors along a cycle of pairs add up to a small saving, and
    /// duals rise by it, round after round. Then a second attempt lets each row's own pair miss
    /// being its cheapest by one such error: so errors do not add up, and the duals still prove the
    /// answer to within a few roundings.
    ///
    /// In an instance that promises exact arithmetic, a difference is either 0 or too large to be a
    /// rounding error (see [`crate::solve::augment`], "size of the numbers").
    #[inline(always)]
    pub fn raise_by_sweeps<L: Lanes<DOUBLES, Number = f64>, E: Entry>(
        &self,
        lanes: L,
        instance: &Instance<E>,
        solved: &Solver<f32>,
        col_duals: &mut PerColumn<f64>,
    ) -> Raised {
        let matched = || solved.col_of_row().iter().map(|&col| col as usize);
        let rounding = instance.largest * f64::EPSILON;
        for allowed in [0.0, rounding] {
            // In the first attempt neither way of lowering rounds: duals are whole multiples of a
            // power of two that is far below these amounts, see `crate::prove::group`.
            let (ceiling, lowered) = if instance.is_balanced() {
                // Duals may have drifted far down together, and what is large is rounded more.
                let duals = matched().map(|col| col_duals.get(col));
                (f64::INFINITY, duals.fold(f64::NEG_INFINITY, f64::max))
            } else {
                // A dual that f32 has left a little too high must not raise others above their
                // ceiling. All are lowered by more than that; those that are then too low rise
                // again.
                (0.0, power_of_two_from(16.0 * self.slack))
            };
            for col in matched() {
                col_duals.set(col, col_duals.get(col) - lowered);
            }
            let mut raised_before = f64::INFINITY;
            loop {
                let (mut raised, mut most_missed) = (0.0, 0.0);
                for (row, col) in matched().enumerate() {
                    let least = least_reduced_cost(lanes, instance.row(row), col_duals);
                    let (dual, wanted) = (col_duals.get(col), instance.cost(row, col) - least);
                    most_missed = (wanted - dual).max(most_missed);
                    if wanted - allowed > dual {
                        let risen = (wanted - allowed).min(ceiling);
                        col_duals.set(col, risen);
                        raised += risen - dual;
                    }
                }
                // 1.5, as the difference is rounded, too.
                if raised == 0.0 && most_missed <= 1.5 * rounding {
                    return if most_missed > 0.0 {
                        Raised::ProvenToRounding
                    } else {
                        Raised::Proven
                    };
                }
                if raised == 0.0 || raised > 0.5 * raised_before {
                    break;
                }
                raised_before = raised;
            }
        }
        Raised::Failed
    }
}

/// δ as a part of the largest duals, see [`crate::prove::repair`].
pub const NEAR: f64 = 1.0 / (1u64 << 17) as f64;

/// The least δ: far above the rounding errors of f32 among denormal numbers.
const LEAST_SLACK: f64 = f64::from_bits((1023 - 120) << 52); // 2^-120

/// Stands for no pair.
const NONE: u32 = u32::MAX;

impl Repair {
    /// Makes room for instances of up to `rows` rows and `cols` columns.
    pub fn try_reserve(&mut self, rows: usize, cols: usize) -> Result<(), TryReserveError> {
        let most = rows.saturating_mul(PAIRS_PER_ROW);
        make_room(&mut self.quads, most.saturating_add(cols + 1))?;
        make_room(&mut self.ends, rows + 1)?;
        make_room(&mut self.first, cols)?;
        make_room(&mut self.next, most)?;
        make_room(&mut self.raised, most)?;
        make_room(&mut self.pairs, most)
    }

    /// Lists the near-tight pairs of `solved`, whose duals are at most `largest_dual` in magnitude.
    #[inline(always)]
    pub fn list<L: Lanes<SINGLES, Number = f32>, E: Entry, const N: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        solved: &Solver<f32>,
        largest_dual: f64,
    ) {
        let largest_row_dual = largest_of(lanes, solved.row_duals());
        let largest_begun = instance.survey.largest_least.widen();
        let largest = f64::from(largest_row_dual) + largest_dual.max(largest_begun);
        self.slack = (NEAR * largest).max(LEAST_SLACK);
        let most = instance.rows() * PAIRS_PER_ROW;
        let room = most + instance.cols() + 1;
        if self.quads.len() < room {
            self.quads.resize(room, (0, 0));
        }
        self.is_complete = true;
        let (slack, col_duals) = (self.slack as f32, solved.col_duals());
        // First the rows that have to be looked at, without a branch: it would be unpredictable.
        self.ends.resize(instance.rows() + 1, (0, 0));
        let mut rows = 0;
        for row in 0..instance.rows() {
            // No v is above its ceiling, so a pair that is the cheapest with every v at its ceiling
            // is the cheapest now. (Of f64 costs, which f32 has rounded, that is not known.)
            let has_least = size_of::<E>() == size_of::<f32>() && solved.has_least_cost(row);
            self.ends[rows] = (row as u32, 0);
            rows += usize::from(!(has_least | solved.is_cheapest_by(slack, row)));
        }
        self.ends.truncate(rows);
        let mut count = 0;
        for (row, end) in &mut self.ends {
            if count > most {
                self.is_complete = false;
                return;
            }
            let row = *row as usize;
            let (costs, quads) = (instance.row(row), &mut self.quads[count..]);
            let (own, below) = (
                solved.col_of_row()[row] as usize,
                solved.row_duals()[row] + slack,
            );
            count += match solved.bounds_of_row(row) {
                Some(bounds) if N == ANY => {
                    near_columns_below(lanes, costs, col_duals, bounds, own, below, quads)
                }
                _ => columns_below::<_, _, SINGLES, N>(lanes, costs, col_duals, own, below, quads),
            };
            *end = count as u32;
        }
    }

    /// May duals be rounded to multiples of `grid` before they are raised along the pairs that were
    /// listed?
    #[inline(always)]
    pub fn can_take(&self, grid: f64) -> bool {
        grid <= self.slack / 2.0
    }

    /// Raises `col_duals` until every pair of `solved` is the cheapest of its row. `None`, and
    /// nothing is raised, if there are too many near-tight pairs to be listed: then there is
    /// [`Repair::raise_by_sweeps`].
    pub fn raise<E: Entry>(
        &mut self,
        instance: &Instance<E>,
        solved: &Solver<f32>,
        col_duals: &mut PerColumn<f64>,
    ) -> Option<Raised> {
        const WIDTH: usize = QUAD * SINGLES;
        if !self.is_complete {
            return None;
        }
        if self.ends.is_empty() {
            return Some(Raised::Proven);
        }
        self.pairs.clear();
        let most = instance.rows() * PAIRS_PER_ROW;
        let mut start = 0;
        for &(row, end) in &self.ends {
            let matched = solved.col_of_row()[row as usize] as usize;
            let own = instance.cost(row as usize, matched);
            for &(quad, bits) in &self.quads[start..end as usize] {
                let first = quad as usize * WIDTH;
                let mut bits = bits;
                // At least one, and seldom more: a branch that can be predicted.
                loop {
                    if self.pairs.len() == most {
                        return None;
                    }
                    let col = first + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    self.pairs.push(NearTight {
                        col: col as u32,
                        matched: matched as u32,
                        cheaper: own - instance.cost(row as usize, col),
                    });
                    if bits == 0 {
                        break;
                    }
                }
            }
            start = end as usize;
        }
        let has_ended = self.raise_along_pairs(instance.cols(), col_duals, most);
        let ceiling = if instance.is_balanced() {
            f64::INFINITY
        } else {
            0.0
        };
        let is_fine = |&(row, _): &(u32, u32)| {
            let matched = solved.col_of_row()[row as usize] as usize;
            let dual = col_duals.get(matched);
            let before = f64::from(solved.col_duals().get(matched));
            dual <= ceiling && dual - before <= 0.5 * self.slack
        };
        Some(if has_ended && self.ends.iter().all(is_fine) {
            Raised::Proven
        } else {
            Raised::Failed
        })
    }

    /// Raises `col_duals` until no pair raises any of them. Returns false if that takes more than
    /// `most` raises.
    fn raise_along_pairs(
        &mut self,
        cols: usize,
        col_duals: &mut PerColumn<f64>,
        most: usize,
    ) -> bool {
        let Repair {
            pairs,
            first,
            next,
            raised,
            ..
        } = self;
        first.clear();
        first.resize(cols, NONE);
        next.clear();
        raised.clear();
        for (index, pair) in pairs.iter().enumerate() {
            next.push(std::mem::replace(
                &mut first[pair.col as usize],
                index as u32,
            ));
            raised.push(pair.matched);
            let left = raised.len() - usize::from(!pair.raise(col_duals));
            raised.truncate(left);
        }
        // What was raised may raise others.
        let mut place = 0;
        while let Some(&col) = raised.get(place) {
            place += 1;
            let mut index = first[col as usize];
            while index != NONE {
                let pair = &pairs[index as usize];
                if pair.raise(col_duals) {
                    if raised.len() == most {
                        return false;
                    }
                    raised.push(pair.matched);
                }
                index = next[index as usize];
            }
        }
        true
    }
}

impl NearTight {
    /// Raises v_m if this pair would be cheaper. (Whether it does is unpredictable, so there is no
    /// branch.)
    #[inline(always)]
    fn raise(&self, col_duals: &mut PerColumn<f64>) -> bool {
        let offer = col_duals.get(self.col as usize) + self.cheaper;
        let dual = col_duals.get_mut(self.matched as usize);
        let raises = offer > *dual;
        *dual = select_unpredictable(raises, offer, *dual);
        raises
    }
}
