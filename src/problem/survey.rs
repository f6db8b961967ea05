//! The first look at an instance: one pass over all costs, in their own type.
//!
//! It judges the costs, and tells the solver where to begin. In a *balanced* instance (a square
//! without a limit) that is the least cost of each column and the first row that has it; otherwise
//! it is the cheapest column of each row.

use std::collections::TryReserveError;

use crate::simd::cost::{Entry, LanesWork};
use crate::simd::ops::{Lanes, Vectors, Work};
use crate::sweep::first_look::{
    cheapest_column, largest_magnitude, largest_of_lanes, reduce_columns, take_allowed_magnitudes,
};
use crate::sweep::per_column::{BLOCK, PerColumn, PerQuad};

/// What the first look found. Belongs to a worker and is reused.
#[derive(Debug, Default)]
pub struct Survey<E> {
    /// Least cost of each column, if the instance is balanced.
    pub col_least: PerColumn<E>,
    /// The first row that has the least cost of its column, by [`Entry::of_index`].
    pub col_holders: PerColumn<E>,
    /// Least cost of each row and the first column that has it, if the instance is not balanced.
    pub row_least: Vec<(E, u32)>,
    /// The largest magnitude of these least costs; infinite if a column (or row) has no allowed
    /// pair.
    pub largest_least: E,
    /// The geometric mean of their magnitudes, to within a factor of two, zeros left out; 0 if all
    /// are zero.
    pub typical_least: f64,
    quad_least: PerQuad<E>,
}

impl<E: Entry> Survey<E> {
    /// Makes room for problems of up to `rows × cols`, in either orientation.
    pub fn try_reserve(&mut self, rows: usize, cols: usize) -> Result<(), TryReserveError> {
        let longer = rows.max(cols);
        self.col_least.try_reserve(longer)?;
        self.col_holders.try_reserve(longer)?;
        self.quad_least.try_reserve(longer)?;
        self.row_least.clear();
        self.row_least.try_reserve_exact(rows.min(cols))
    }
}

/// Looks at all costs of a matrix to be minimised. Returns the largest magnitude, where +inf
/// (forbidden pairs) counts as 0: NaN or infinite if there is a NaN or another infinity.
pub struct Look<'a, E> {
    /// Where the findings go.
    pub survey: &'a mut Survey<E>,
    /// The costs.
    pub costs: &'a [E],
    /// How far apart rows lie.
    pub stride: usize,
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Do all columns end up matched?
    pub balanced: bool,
}

impl<E: Entry> Work for Look<'_, E> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> f64 {
        E::run_in_own_lanes(vectors, self)
    }
}

impl<E: Entry> LanesWork<E> for Look<'_, E> {
    type Output = f64;

    #[inline(always)]
    fn run<L: Lanes<W, Number = E>, const W: usize>(self, lanes: L) -> f64 {
        let Look {
            survey,
            costs,
            stride,
            shape: (rows, cols),
            balanced,
        } = self;
        survey.row_least.clear();
        survey.largest_least = E::ZERO;
        let mut typical = MeanExponent::default();
        if balanced {
            survey.col_least.reset(cols, E::INFINITY);
            survey.col_holders.reset(cols, E::of_index(0));
        } else {
            survey.quad_least.resize(cols);
        }
        if cols == 0 {
            return 0.0;
        }
        let mut largest = lanes.splat(E::ZERO);
        if balanced {
            let (least, holders) = (&mut survey.col_least, &mut survey.col_holders);
            reduce_columns(
                lanes,
                costs,
                stride,
                (rows, cols),
                &mut largest,
                least,
                holders,
            );
            survey.largest_least = largest_magnitude(lanes, &survey.col_least, cols);
            let blocks = survey.col_least.blocks().iter();
            for (block, first) in blocks.zip((0..cols).step_by(BLOCK)) {
                // A loop over a slice, which the compiler vectorizes.
                for &least in &block.0[..BLOCK.min(cols - first)] {
                    typical.add(least);
                }
            }
        } else {
            for row in 0..rows {
                let costs = &costs[row * stride..][..cols];
                let cheapest = cheapest_column(lanes, costs, &mut largest, &mut survey.quad_least);
                survey.largest_least = survey.largest_least.larger_magnitude(cheapest.0);
                typical.add(cheapest.0);
                survey.row_least.push(cheapest);
            }
        }
        survey.typical_least = typical.power_of_two();
        let largest = largest_of_lanes(lanes, largest);
        if largest != E::INFINITY {
            // NaN if there is one.
            return largest.widen();
        }
        // Some costs are infinite: pairs that are forbidden, or invalid with the other infinity.
        let mut largest = lanes.splat(E::ZERO);
        for row in 0..rows {
            largest = take_allowed_magnitudes(lanes, largest, &costs[row * stride..][..cols]);
        }
        largest_of_lanes(lanes, largest).widen()
    }
}

/// The mean exponent of numbers, zeros left out.
#[derive(Default)]
struct MeanExponent {
    sum: u64,
    count: u64,
}

impl MeanExponent {
    #[inline(always)]
    fn add<E: Entry>(&mut self, number: E) {
        let exponent = number.widen().abs().to_bits() >> (f64::MANTISSA_DIGITS - 1);
        self.sum += exponent;
        self.count += u64::from(exponent != 0);
    }

    /// 2 to that power; 0 if there was no number.
    #[inline(always)]
    fn power_of_two(&self) -> f64 {
        let mean = self.sum.checked_div(self.count).unwrap_or(0);
        f64::from_bits(mean << (f64::MANTISSA_DIGITS - 1))
    }
}
