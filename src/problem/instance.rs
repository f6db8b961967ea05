//! A problem as the solver reads it: a minimisation with no more rows than columns.

use crate::problem::indices::Indices;
use crate::problem::survey::Survey;
use crate::simd::cost::Entry;
use crate::sweep::row::Row;

/// Problems of no more rows and columns than this are *narrow*: several are solved at once, by
/// turns.
pub const WIDEST: usize = 32;

/// Columns to which narrow problems of `rows × cols` are padded: 8, 16 or 32, each of which has a
/// solver compiled for it. `None` if they are not narrow.
#[inline(always)]
pub fn narrow_width(rows: usize, cols: usize) -> Option<usize> {
    match rows.max(cols) {
        0..=8 => Some(8),
        9..=16 => Some(16),
        17..=WIDEST => Some(WIDEST),
        _ => None,
    }
}

/// A minimisation problem with no more rows than columns, in the solver's terms.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a, E> {
    /// Costs from the first row to the end of the last one.
    pub(super) costs: &'a [E],
    /// How far apart rows lie.
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Columns, with padding of +inf at the end of each row.
    pub(super) width: usize,
    /// What the first look at the costs found.
    pub survey: &'a Survey<E>,
    /// Costs of the instance are the user's times this: ±2^k.
    pub(super) factor: f64,
    /// Half of what the limit counts as, see [`crate::problem::prepare`], in the instance's scale;
    /// +inf where every row must be matched.
    pub half_limit: f64,
    /// By how much half the user's limit exceeds half of what it counts as, in the user's sense and
    /// scale: nearly always 0.
    pub half_limit_excess: f64,
    /// Neither scaling the costs nor scaling and halving the limit has rounded anything.
    pub scaling_is_exact: bool,
    /// max |c| over allowed pairs, in the instance's scale.
    pub largest_cost: f64,
    /// max(|c|, |L|), where L is what the limit counts as, in the instance's scale.
    pub largest: f64,
    /// The instance's rows are the user's columns.
    pub transposed: bool,
    /// User's index of each of the instance's rows.
    pub row_indices: &'a Indices,
    /// User's index of each of the instance's columns.
    pub col_indices: &'a Indices,
}

impl<'a, E: Entry> Instance<'a, E> {
    /// Number of rows; never more than [`Instance::cols`].
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Do all columns end up matched, if the instance is feasible?
    #[inline(always)]
    pub fn is_balanced(&self) -> bool {
        self.rows == self.cols && self.half_limit.is_infinite()
    }

    /// The costs of one row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> Row<'a, E> {
        Row::of_matrix(self.costs, self.stride, self.cols, row)
    }

    /// All costs of a narrow instance, padded to a square of its width.
    #[inline(always)]
    pub fn narrow_costs<const COLS: usize>(&self) -> &'a [[E; COLS]; COLS] {
        debug_assert!(self.stride == COLS && self.width == COLS);
        let rows = self.costs.as_chunks().0;
        rows.first_chunk().expect("narrow instances are padded")
    }

    /// Cost of one pair; +inf where it is forbidden.
    #[inline(always)]
    pub fn cost(&self, row: usize, col: usize) -> f64 {
        self.costs[row * self.stride + col].widen()
    }

    /// Do costs differ from the user's by no more than the sign?
    #[inline(always)]
    pub fn is_unscaled(&self) -> bool {
        self.factor.abs() == 1.0
    }

    /// How large most duals are likely to become, to within an order of magnitude or two. That is
    /// often much less than the largest cost, as where a large number stands for pairs that are not
    /// wanted.
    #[inline(always)]
    pub fn likely_dual(&self) -> f64 {
        let typical = 64.0 * self.survey.typical_least;
        if typical > 0.0 {
            typical.min(self.largest)
        } else {
            self.largest
        }
    }

    /// A dual of the instance times this is the user's: ±2^k.
    #[inline(always)]
    pub fn dual_factor(&self) -> f64 {
        1.0 / self.factor
    }
}
