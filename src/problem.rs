//! One assignment problem: a cost matrix, who exists, what may stay unmatched.
//!
//! [`Problem`] is what the user gave. [`Problem::prepare`] judges every existing entry and presents the
//! problem to the solver as an [`Instance`]: a minimisation with no more rows than columns. Masks and
//! transposition vanish into two lists of offsets, `maximize` and the guard against overflow into one
//! factor, so the solver meets neither and nothing of size rows × columns is ever copied.

use std::collections::TryReserveError;

use half::{bf16, f16};

/// A cost as it stands in the input. Widening to f64 is exact for every implementor.
pub trait Cost: Copy {
    /// The same number as an f64.
    fn widen(self) -> f64;
}

impl Cost for f64 {
    fn widen(self) -> f64 {
        self
    }
}

impl Cost for f32 {
    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Cost for f16 {
    fn widen(self) -> f64 {
        self.to_f64()
    }
}

impl Cost for bf16 {
    fn widen(self) -> f64 {
        self.to_f64()
    }
}

/// Which rows (or columns) of a problem exist.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// All of them, or none: a scalar mask.
    Uniform(bool),
    /// One flag each.
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
}

/// What holds for every problem of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Finite L: a row or column may stay unmatched at L/2 each. Infinite, either sign: as many pairs as
    /// the shorter side has are required. NaN: every problem is invalid.
    pub cost_limit: f64,
    /// As if costs and limit were negated.
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

/// Why a problem is invalid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Invalid {
    /// The limit is NaN.
    Limit,
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

/// Where the existing rows and columns lie in the cost matrix. Belongs to a worker and is reused.
#[derive(Debug, Default)]
pub struct Layout {
    /// Existing rows of the user's matrix.
    rows: Vec<usize>,
    /// Existing columns of the user's matrix.
    cols: Vec<usize>,
    /// Offset of each of the instance's rows from the start of the matrix.
    row_offsets: Vec<usize>,
    /// Offset of each of the instance's columns from the start of its row.
    col_offsets: Vec<usize>,
}

impl Layout {
    /// Makes room for problems of up to `rows × cols`, so that preparing one allocates nothing.
    pub fn try_reserve(&mut self, rows: usize, cols: usize) -> Result<(), TryReserveError> {
        let longer = rows.max(cols);
        for list in [
            &mut self.rows,
            &mut self.cols,
            &mut self.row_offsets,
            &mut self.col_offsets,
        ] {
            list.clear();
            list.try_reserve_exact(longer)?;
        }
        Ok(())
    }
}

/// A minimisation problem with no more rows than columns, in the solver's terms.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a, T> {
    cost: &'a [T],
    row_offsets: &'a [usize],
    col_offsets: &'a [usize],
    /// Columns lie side by side from the start of each row.
    contiguous: bool,
    /// The user's cost times this is the instance's: ±2^k.
    factor: f64,
    /// Half the limit, in the instance's scale; +inf where every row must be matched.
    pub half_limit: f64,
    /// Halving and scaling rounded nothing away from the limit.
    pub limit_is_exact: bool,
    /// max(|c|, |L|) over allowed pairs, in the instance's scale.
    pub largest: f64,
    /// The instance's rows are the user's columns.
    pub transposed: bool,
    /// User's index of each of the instance's rows.
    pub row_names: &'a [usize],
    /// User's index of each of the instance's columns.
    pub col_names: &'a [usize],
}

/// Beyond this magnitude sums along an augmenting path could overflow; below its inverse, half a limit
/// or a difference of costs could lose bits. Costs outside are scaled by a power of two.
const LARGEST_UNSCALED: f64 = f64::from_bits((1023 + 900) << 52); // 2^900
const DOWNSCALE: f64 = f64::from_bits((1023 - 200) << 52); // 2^-200

impl<'a, T: Cost> Problem<'a, T> {
    /// The user's cost of a pair.
    pub fn cost_of(&self, row: usize, col: usize) -> f64 {
        self.cost[row * self.cols + col].widen()
    }

    /// Judges all existing entries and lays the problem out for the solver. Reads the matrix once.
    ///
    /// Entries outside the masks are not looked at.
    pub fn prepare<'b>(&self, layout: &'b mut Layout) -> Result<Instance<'b, T>, Invalid>
    where
        'a: 'b,
    {
        if self.options.cost_limit.is_nan() {
            return Err(Invalid::Limit);
        }
        let Layout {
            rows,
            cols,
            row_offsets,
            col_offsets,
        } = layout;
        rows.clear();
        rows.extend((0..self.rows).filter(|&row| self.row_mask.exists(row)));
        cols.clear();
        cols.extend((0..self.cols).filter(|&col| self.col_mask.exists(col)));

        let largest = self.largest_magnitude(rows, cols)?;
        let scale = if largest > LARGEST_UNSCALED {
            DOWNSCALE
        } else if largest < 1.0 / LARGEST_UNSCALED {
            1.0 / DOWNSCALE
        } else {
            1.0
        };
        let factor = self.options.sign() * scale;
        let half_limit = if self.options.cost_limit.is_infinite() {
            f64::INFINITY
        } else {
            self.options.cost_limit * factor / 2.0
        };

        let transposed = rows.len() > cols.len();
        row_offsets.clear();
        col_offsets.clear();
        if transposed {
            row_offsets.extend_from_slice(cols);
            col_offsets.extend(rows.iter().map(|row| row * self.cols));
        } else {
            row_offsets.extend(rows.iter().map(|row| row * self.cols));
            col_offsets.extend_from_slice(cols);
        }
        let (row_names, col_names) = if transposed {
            (cols, rows)
        } else {
            (rows, cols)
        };
        Ok(Instance {
            cost: self.cost,
            contiguous: col_offsets.iter().copied().eq(0..col_offsets.len()),
            row_offsets,
            col_offsets,
            factor,
            half_limit,
            limit_is_exact: half_limit.is_infinite()
                || 2.0 * half_limit / factor == self.options.cost_limit,
            largest: largest * scale,
            transposed,
            row_names,
            col_names,
        })
    }

    /// Largest finite magnitude among the existing entries and the limit, or the first invalid entry.
    fn largest_magnitude(&self, rows: &[usize], cols: &[usize]) -> Result<f64, Invalid> {
        let forbidden = self.options.sign() * f64::INFINITY;
        let mut largest = 0.0;
        if self.options.cost_limit.is_finite() {
            largest = self.options.cost_limit.abs();
        }
        for &row in rows {
            for &col in cols {
                let value = self.cost_of(row, col);
                if value.is_finite() {
                    largest = value.abs().max(largest);
                } else if value != forbidden {
                    return Err(Invalid::Entry { row, col, value });
                }
            }
        }
        Ok(largest)
    }
}

impl<T: Cost> Instance<'_, T> {
    /// Number of rows; never more than [`Instance::cols`].
    pub fn rows(&self) -> usize {
        self.row_offsets.len()
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.col_offsets.len()
    }

    /// Cost of one pair; +inf where it is forbidden.
    pub fn cost(&self, row: usize, col: usize) -> f64 {
        self.cost[self.row_offsets[row] + self.col_offsets[col]].widen() * self.factor
    }

    /// Writes the costs of `row`, one for each column.
    pub fn load_row(&self, row: usize, costs: &mut [f64]) {
        let line = &self.cost[self.row_offsets[row]..];
        if self.contiguous {
            for (cost, entry) in costs.iter_mut().zip(line) {
                *cost = entry.widen() * self.factor;
            }
        } else {
            for (cost, &offset) in costs.iter_mut().zip(self.col_offsets) {
                *cost = line[offset].widen() * self.factor;
            }
        }
    }

    /// A dual value in the user's sense and scale.
    pub fn unscale(&self, dual: f64) -> f64 {
        // Adding zero turns -0.0 into 0.0.
        dual / self.factor + 0.0
    }
}
