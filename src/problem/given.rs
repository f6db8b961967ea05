//! A problem as the user gave it: a cost matrix, which rows and columns exist, a limit, and a
//! sense.

use crate::simd::cost::Cost;

/// One problem as the user gave it. `cost` is row-major, `rows × cols`.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a, T> {
    /// Row-major costs, `rows * cols` of them.
    pub cost: &'a [T],
    /// Number of rows, masked ones included.
    pub rows: usize,
    /// Number of columns, masked ones included.
    pub cols: usize,
    /// Which rows exist.
    pub row_mask: Mask<'a>,
    /// Which columns exist.
    pub col_mask: Mask<'a>,
    /// Sense and limit.
    pub options: Options,
}

/// Which rows (or columns) of a problem exist.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// All of them exist, or none does: a scalar mask.
    Uniform(bool),
    /// One flag for each.
    Each(&'a [bool]),
}

impl Mask<'_> {
    /// Does the row (or column) at `index` exist?
    pub fn exists(&self, index: usize) -> bool {
        match self {
            Mask::Uniform(exists) => *exists,
            Mask::Each(flags) => flags[index],
        }
    }

    /// Those of `count` rows (or columns) that exist.
    pub fn existing(&self, count: usize) -> Vec<usize> {
        (0..count).filter(|&index| self.exists(index)).collect()
    }
}

/// The limit and the sense of a problem.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Finite L: a row or column may stay unmatched at L/2 each. Infinite, either sign: as many
    /// pairs as the shorter side has are required. NaN: the problem is invalid.
    pub cost_limit: f64,
    /// The largest total is sought: as if costs and limit were negated.
    pub maximize: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cost_limit: f64::INFINITY,
            maximize: false,
        }
    }
}

impl Options {
    /// The sign that turns the problem into a minimisation.
    pub fn sign(&self) -> f64 {
        if self.maximize { -1.0 } else { 1.0 }
    }
}

/// Why a problem is invalid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Invalid {
    /// The limit is NaN.
    Limit,
    /// Costs changed while they were read.
    Changed,
    /// An existing entry is NaN or an infinity of the wrong sign.
    Entry {
        /// Its row.
        row: usize,
        /// Its column.
        col: usize,
        /// What stands there.
        value: f64,
    },
}

#[cfg(test)]
impl<'a, T> Problem<'a, T> {
    /// A minimisation in which every row and column exists, and there is no limit.
    pub(crate) fn plain(cost: &'a [T], rows: usize, cols: usize) -> Self {
        Problem {
            cost,
            rows,
            cols,
            row_mask: Mask::Uniform(true),
            col_mask: Mask::Uniform(true),
            options: Options::default(),
        }
    }
}

impl<T: Cost> Problem<'_, T> {
    /// The user's cost of a pair.
    #[inline(always)]
    pub fn cost_of(&self, row: usize, col: usize) -> f64 {
        self.cost[row * self.cols + col].widen()
    }
}
