//! A problem as the solver reads it: a minimisation with no more rows than columns.

use crate::problem::indices::Indices;
use crate::problem::survey::Survey;
use crate::simd::cost::Entry;
use crate::sweep::row::Row;

/// Problems of no more rows and columns than this are *narrow*: they are solved side by side, several at once.
pub const WIDEST: usize = 32;

/// Columns, padding included, of narrow problems of `rows × cols`: a width that the solver knows when it is compiled. `None` if
/// they are not narrow.
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
    /// Costs of the first row, then on to the end of the last one.
    pub(super) costs: &'a [E],
    /// From one row to the next.
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Columns and padding: costs of +inf, at the end of each row.
    pub(super) width: usize,
    /// What the first look at the costs found.
    pub survey: &'a Survey<E>,
    /// The user's cost times this is the instance's: ±2^k.
    pub(super) factor: f64,
    /// Half of what the limit counts as, see [`crate::problem::prepare`], in the instance's scale; +inf where every row must be matched.
    pub half_limit: f64,
    /// By how much half the user's limit is more than that, in the user's sense and scale: nearly always 0.
    pub half_limit_excess: f64,
    /// Scaling rounded nothing away from the costs, nor scaling and halving from the limit.
    pub scaling_is_exact: bool,
    /// max |c| over allowed pairs, in the instance's scale.
    pub largest_cost: f64,
    /// The same, or what the limit counts as if that is larger.
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
        Row::of_matrix(self.costs, self.stride, (self.rows, self.cols), row)
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

    /// Are costs the user's but for the sign?
    #[inline(always)]
    pub fn is_unscaled(&self) -> bool {
        self.factor.abs() == 1.0
    }

    /// What turns a dual value into the user's sense and scale: ±2^k.
    #[inline(always)]
    pub fn dual_factor(&self) -> f64 {
        1.0 / self.factor
    }
}
