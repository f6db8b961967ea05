//! How a problem is presented to the solver.
//!
//! [`Problem::prepare`] judges every existing entry and makes an [`Instance`] of the problem: a minimisation with no more rows
//! than columns, its costs in rows of f32 or f64. Entries of rows and columns that a mask hides are not looked at.
//!
//! Where the user's matrix is such an instance as it stands, it is read where it lies, else it is copied: see
//! [`crate::problem::copying`].

use std::collections::TryReserveError;

use crate::problem::copying::CopyCosts;
use crate::problem::given::{Invalid, Problem};
use crate::problem::indices::Indices;
use crate::problem::instance::{Instance, narrow_width};
use crate::problem::survey::{Look, Survey};
use crate::simd::baseline::baseline;
use crate::simd::cost::{Cost, Entry, UNSCALED_EXPONENT};
use crate::simd::ops::Vectors;

/// Why a problem has no instance.
#[derive(Debug)]
pub enum Unprepared {
    /// The problem is invalid.
    Invalid(Invalid),
    /// There is no memory for the copy that it needs.
    Memory(TryReserveError),
}

/// What a problem is prepared in: indices, and a copy of its costs where one is needed. Belongs to a worker and is reused.
#[derive(Debug, Default)]
pub struct Scratch<E> {
    /// Existing rows of the user's matrix.
    rows: Indices,
    /// Existing columns of the user's matrix.
    cols: Indices,
    /// Costs that could not be read where they lie.
    copy: Vec<E>,
    /// Rows of costs on their way into the copy: one that is converted, and as many as are transposed together.
    line: Vec<E>,
    survey: Survey<E>,
}

impl<E: Entry> Scratch<E> {
    /// Makes room for problems of up to `rows × cols`, but not for copies: the first copy allocates that.
    pub fn try_reserve(&mut self, rows: usize, cols: usize) -> Result<(), TryReserveError> {
        self.survey.try_reserve(rows, cols)?;
        self.rows.try_reserve(rows)?;
        self.cols.try_reserve(cols)
    }
}

/// Beyond this magnitude sums along an augmenting path could overflow; below its inverse, half a limit
/// or a difference of costs could lose bits. Costs outside are scaled by a power of two.
const LARGEST_UNSCALED: f64 = f64::from_bits((1023 + UNSCALED_EXPONENT as u64) << 52);
const DOWNSCALE: f64 = f64::from_bits((1023 - 200) << 52); // 2^-200

/// What a finite limit L counts as in a problem whose shorter side has `shorter` rows (or columns) and whose allowed costs are
/// at most `largest` in magnitude: beyond ±4(shorter + 1)·largest it no longer changes which matchings are optimal, and would
/// only take digits from the costs. An infinite limit stays as it is. So does one where `largest` is 0: no other number would do
/// for it, and there are no digits to lose.
fn effective_limit(limit: f64, shorter: usize, largest: f64) -> f64 {
    let bound = 4.0 * (shorter as f64 + 1.0) * largest;
    if limit.is_infinite() || largest == 0.0 {
        limit
    } else {
        limit.clamp(-bound, bound)
    }
}

impl<'a, T: Cost> Problem<'a, T> {
    /// Judges all existing entries and presents the problem to the solver.
    ///
    /// Entries outside the masks are not looked at.
    #[inline(always)]
    pub fn prepare<'b, V: Vectors>(
        &self,
        vectors: V,
        scratch: &'b mut Scratch<T::Entry>,
    ) -> Result<Instance<'b, T::Entry>, Unprepared>
    where
        'a: 'b,
    {
        let limit = self.options.cost_limit;
        if limit.is_nan() {
            return Err(Unprepared::Invalid(Invalid::Limit));
        }
        let Scratch {
            rows,
            cols,
            copy,
            line,
            survey,
        } = scratch;
        rows.fill(self.rows, self.row_mask);
        cols.fill(self.cols, self.col_mask);
        let transposed = rows.count() > cols.count();

        // Where the costs lie, unless that is in the copy.
        let (shorter, longer) = (
            rows.count().min(cols.count()),
            rows.count().max(cols.count()),
        );
        let narrow_width = narrow_width(self.rows, self.cols);
        let width = narrow_width.unwrap_or(longer);
        // Narrow instances are squares of their width.
        let height = narrow_width.unwrap_or(shorter);
        let is_padded = (height, width) != (shorter, longer);
        let mut in_place = if transposed || self.options.maximize || is_padded {
            None
        } else {
            self.in_place(rows, cols)
        };
        let (rows, cols) = (&*rows, &*cols);
        let copy_costs = |copy: &mut _, line: &mut _| {
            let work = CopyCosts {
                problem: self,
                rows,
                cols,
                transposed,
                size: (height, width),
                copy,
                line,
            };
            vectors.run_apart(work).map_err(Unprepared::Memory)
        };
        if in_place.is_none() {
            copy_costs(copy, line)?;
        }
        let (row_indices, col_indices) = if transposed {
            (cols, rows)
        } else {
            (rows, cols)
        };
        let balanced = shorter == longer && limit.is_infinite();
        let mut look = |costs: &[T::Entry], stride| {
            let look = Look {
                survey: &mut *survey,
                costs,
                stride,
                shape: (shorter, longer),
                balanced,
            };
            vectors.run_apart(look)
        };
        let largest_cost = match in_place {
            Some(costs) => look(costs, self.cols),
            None => look(copy, width),
        };
        if !largest_cost.is_finite() {
            return Err(Unprepared::Invalid(self.first_invalid(rows, cols)));
        }
        let limit = effective_limit(limit, shorter, largest_cost);
        let largest = if limit.is_finite() {
            limit.abs().max(largest_cost)
        } else {
            largest_cost
        };

        let scale = if largest > LARGEST_UNSCALED {
            DOWNSCALE
        } else if largest > 0.0 && largest < 1.0 / LARGEST_UNSCALED {
            1.0 / DOWNSCALE
        } else {
            1.0
        };
        let mut scaling_is_exact = true;
        if scale != 1.0 {
            if in_place.take().is_some() {
                copy_costs(copy, line)?;
            }
            for cost in copy.iter_mut() {
                let scaled = cost.times(scale);
                scaling_is_exact &= scaled.times(1.0 / scale).widen() == cost.widen();
                *cost = scaled;
            }
            // For its survey, which has to be of what is solved. The largest magnitude is known: the one from before, scaled.
            look(copy, width);
        }
        let (costs, stride) = match in_place {
            Some(costs) => (costs, self.cols),
            None => (copy.as_slice(), width),
        };
        let factor = self.options.sign() * scale;
        let (half_limit, half_limit_excess) = if limit.is_infinite() {
            (f64::INFINITY, 0.0)
        } else {
            // The difference of halves, since that of the limits could overflow.
            let excess = self.options.cost_limit / 2.0 - limit / 2.0;
            (limit * factor / 2.0, excess)
        };
        Ok(Instance {
            costs,
            stride,
            rows: shorter,
            cols: longer,
            width,
            survey,
            factor,
            half_limit,
            half_limit_excess,
            scaling_is_exact: scaling_is_exact
                && (half_limit.is_infinite() || 2.0 * half_limit / factor == limit),
            largest_cost: largest_cost * scale,
            largest: largest * scale,
            transposed,
            row_indices,
            col_indices,
        })
    }

    /// As [`Problem::prepare`], with the vectors that every processor has. For calls that are rare: this is compiled once.
    #[cold]
    #[inline(never)]
    pub fn prepare_at_baseline<'b>(
        &self,
        scratch: &'b mut Scratch<T::Entry>,
    ) -> Result<Instance<'b, T::Entry>, Unprepared>
    where
        'a: 'b,
    {
        self.prepare(baseline(), scratch)
    }

    /// The costs from the first existing one to the last, if neither existing rows nor existing columns have gaps, and no conversion
    /// is needed.
    #[inline(always)]
    fn in_place(&self, rows: &Indices, cols: &Indices) -> Option<&'a [T::Entry]> {
        let costs = T::as_entries(self.cost)?;
        let start = rows.start()? * self.cols + cols.start()?;
        let end = start + rows.count().saturating_sub(1) * self.cols + cols.count();
        costs.get(start..end)
    }

    /// The first existing entry that is NaN or an infinity of the wrong sign.
    #[cold]
    fn first_invalid(&self, rows: &Indices, cols: &Indices) -> Invalid {
        let forbidden = self.options.sign() * f64::INFINITY;
        rows.iter()
            .flat_map(|row| cols.iter().map(move |col| (row, col)))
            .map(|(row, col)| (row, col, self.cost_of(row, col)))
            .find(|&(_, _, value)| !value.is_finite() && value != forbidden)
            // There is one, unless the host has changed its costs since the first look.
            .map_or(Invalid::Changed, |(row, col, value)| Invalid::Entry {
                row,
                col,
                value,
            })
    }
}
