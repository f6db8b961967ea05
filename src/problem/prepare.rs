//! How a problem is presented to the solver.
//!
//! [`Problem::prepare`] judges every existing entry and makes an [`Instance`] of the problem: a
//! minimisation with no more rows than columns, its costs in rows of f32 or f64. Entries of rows
//! and columns that a mask hides are not looked at.
//!
//! Where the user's matrix is such an instance as it stands, it is read where it lies, else it is
//! copied: see [`crate::problem::copying`].

use std::collections::TryReserveError;

use crate::problem::copying::{CopyCosts, Layout};
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

/// What a problem is prepared in: indices, and a copy of its costs where one is needed. Belongs to
/// a worker and is reused.
#[derive(Debug, Default)]
pub struct Scratch<E> {
    /// Existing rows of the user's matrix.
    rows: Indices,
    /// Existing columns of the user's matrix.
    cols: Indices,
    /// Costs that could not be read where they lie.
    copy: Vec<E>,
    /// Rows of costs on their way into the copy: one that is converted, and as many as are
    /// transposed together.
    line: Vec<E>,
    survey: Survey<E>,
}

impl<E: Entry> Scratch<E> {
    /// Makes room for problems of up to `rows × cols`, but not for copies: the first copy allocates
    /// that.
    pub fn try_reserve(&mut self, rows: usize, cols: usize) -> Result<(), TryReserveError> {
        self.survey.try_reserve(rows, cols)?;
        self.rows.try_reserve(rows)?;
        self.cols.try_reserve(cols)
    }
}

/// Beyond this magnitude sums along an augmenting path could overflow; below its inverse, half a
/// limit or a difference of costs could lose bits. Costs outside are scaled by a power of two.
const LARGEST_UNSCALED: f64 = f64::from_bits((1023 + UNSCALED_EXPONENT as u64) << 52);
const DOWNSCALE: f64 = f64::from_bits((1023 - 200) << 52); // 2^-200

/// What a finite limit L counts as in a problem whose shorter side has `shorter` rows (or columns)
/// and whose allowed costs are at most `largest` in magnitude: beyond ±4(shorter + 1)·largest it no
/// longer changes which matchings are optimal, and would only take digits from the costs. An
/// infinite limit stays as it is. So does any limit where `largest` is 0: the bound, 0, would
/// change which matchings are optimal, and there are no digits to lose.
fn effective_limit(limit: f64, shorter: usize, largest: f64) -> f64 {
    let bound = 4.0 * (shorter as f64 + 1.0) * largest;
    if limit.is_infinite() || largest == 0.0 {
        limit
    } else {
        limit.clamp(-bound, bound)
    }
}

/// What costs are multiplied by, where the largest of them and of what the limit counts as is
/// `largest`.
#[inline(always)]
fn scale_of(largest: f64) -> f64 {
    if largest > LARGEST_UNSCALED {
        DOWNSCALE
    } else if largest > 0.0 && largest < 1.0 / LARGEST_UNSCALED {
        1.0 / DOWNSCALE
    } else {
        1.0
    }
}

/// Scales costs. Returns whether nothing was rounded.
#[cold]
#[inline(never)]
fn scale_costs<E: Entry>(costs: &mut [E], scale: f64) -> bool {
    let mut is_exact = true;
    for cost in costs {
        let scaled = cost.times(scale);
        is_exact &= scaled.times(1.0 / scale).widen() == cost.widen();
        *cost = scaled;
    }
    is_exact
}

/// Half of what the limit counts as, in the instance's sense and scale; +inf where every row must
/// be matched.
#[inline(always)]
fn half_limit(limit: f64, factor: f64) -> f64 {
    if limit.is_infinite() {
        f64::INFINITY
    } else {
        limit * factor / 2.0
    }
}

/// By how much half the user's limit exceeds half of what it counts as.
#[inline(always)]
fn half_limit_excess(given: f64, counts_as: f64) -> f64 {
    if given.is_infinite() {
        0.0
    } else {
        // The difference of halves, since that of the limits could overflow.
        given / 2.0 - counts_as / 2.0
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
        if self.options.cost_limit.is_nan() {
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
        let (rows, cols) = (&*rows, &*cols);
        let layout = self.layout(rows, cols);
        let (shorter, longer) = layout.shape;
        let (_, width) = layout.size;

        // Where the costs lie, unless that is in the copy.
        let mut in_place = if layout.transposed || layout.is_padded() || self.options.maximize {
            None
        } else {
            self.in_place(rows, cols)
        };
        let copy_costs = |copy: &mut _, line: &mut _| {
            let work = CopyCosts {
                problem: self,
                rows,
                cols,
                layout,
                copy,
                line,
            };
            vectors.run_apart(work).map_err(Unprepared::Memory)
        };
        if in_place.is_none() {
            copy_costs(copy, line)?;
        }
        let balanced = shorter == longer && self.options.cost_limit.is_infinite();
        let mut look = |costs: &[T::Entry], stride| {
            let look = Look {
                survey: &mut *survey,
                costs,
                stride,
                shape: layout.shape,
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
        let limit = effective_limit(self.options.cost_limit, shorter, largest_cost);
        let largest = if limit.is_finite() {
            limit.abs().max(largest_cost)
        } else {
            largest_cost
        };

        let scale = scale_of(largest);
        let mut scaling_is_exact = true;
        if scale != 1.0 {
            if in_place.take().is_some() {
                copy_costs(copy, line)?;
            }
            scaling_is_exact = scale_costs(copy, scale);
            // For the survey, which has to be of the scaled costs. The largest magnitude is known:
            // the one from before, scaled.
            look(copy, width);
        }
        let (costs, stride) = match in_place {
            Some(costs) => (costs, self.cols),
            None => (copy.as_slice(), width),
        };
        let factor = self.options.sign() * scale;
        let half_limit = half_limit(limit, factor);
        let (row_indices, col_indices) = if layout.transposed {
            (cols, rows)
        } else {
            (rows, cols)
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
            half_limit_excess: half_limit_excess(self.options.cost_limit, limit),
            scaling_is_exact: scaling_is_exact
                && (half_limit.is_infinite() || 2.0 * half_limit / factor == limit),
            largest_cost: largest_cost * scale,
            largest: largest * scale,
            transposed: layout.transposed,
            row_indices,
            col_indices,
        })
    }

    /// How the costs of those rows and columns lie in an instance.
    #[inline(always)]
    fn layout(&self, rows: &Indices, cols: &Indices) -> Layout {
        let (rows, cols) = (rows.count(), cols.count());
        let shape = (rows.min(cols), rows.max(cols));
        // Narrow instances are squares of their width.
        let narrow = narrow_width(self.rows, self.cols).map(|width| (width, width));
        Layout {
            transposed: rows > cols,
            shape,
            size: narrow.unwrap_or(shape),
        }
    }

    /// As [`Problem::prepare`], with the vectors that every processor has. For calls that are rare:
    /// this is compiled once.
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

    /// The costs from the first existing one to the last, if neither existing rows nor existing
    /// columns have gaps, and no conversion is needed.
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
