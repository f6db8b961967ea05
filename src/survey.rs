//! The first look at an instance: one pass over all costs, in their own type, of which no row waits for another.
//!
//! It judges the costs, and tells the solver where to begin. In a balanced instance that is the least cost of each column
//! and the first row that has it; otherwise, where the columns' duals begin alike, the cheapest column of each row.

use std::collections::TryReserveError;

use crate::lanes::Lanes;
use crate::problem::Entry;
use crate::sweep::{self, PerColumn, PerQuad};

/// What the first look found. Belongs to a worker and is reused.
#[derive(Debug)]
pub struct Survey<E> {
    /// Least cost of each column, if the instance is balanced.
    pub col_least: PerColumn<E>,
    /// Number of the first row that has it.
    pub col_holders: PerColumn<E>,
    /// Least cost of each row and the first column that has it, if the instance is not balanced.
    pub row_least: Vec<(E, u32)>,
    quad_least: PerQuad<E>,
}

impl<E> Default for Survey<E> {
    fn default() -> Self {
        Survey {
            col_least: PerColumn::default(),
            col_holders: PerColumn::default(),
            row_least: Vec::new(),
            quad_least: PerQuad::default(),
        }
    }
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

    /// Looks at all costs of a matrix to be minimised, which lie `stride` apart from row to row. Returns the largest
    /// magnitude, where +inf (forbidden pairs) counts as 0: NaN or infinite if there is a NaN or another infinity.
    #[inline(always)]
    pub fn look<L: Lanes<W, Number = E>, const W: usize>(
        &mut self,
        lanes: L,
        costs: &[E],
        stride: usize,
        (rows, cols): (usize, usize),
        balanced: bool,
    ) -> f64 {
        self.row_least.clear();
        if balanced {
            self.col_least.reset(cols, E::INFINITY);
            self.col_holders.reset(cols, E::ZERO);
        } else {
            self.quad_least.resize(cols);
        }
        if cols == 0 {
            return 0.0;
        }
        let mut widest = lanes.splat(E::ZERO);
        if balanced {
            let (least, holders) = (&mut self.col_least, &mut self.col_holders);
            sweep::reduce_columns(
                lanes,
                costs,
                stride,
                (rows, cols),
                &mut widest,
                least,
                holders,
            );
        } else {
            for row in 0..rows {
                let costs = &costs[row * stride..][..cols];
                let cheapest =
                    sweep::cheapest_column(lanes, costs, &mut widest, &mut self.quad_least);
                self.row_least.push(cheapest);
            }
        }
        let largest = sweep::widest_of_all(lanes, widest);
        if largest != E::INFINITY {
            // NaN if there is one.
            return largest.widen();
        }
        // Some pairs are forbidden, or invalid: the other infinity.
        let mut widest = lanes.splat(E::ZERO);
        for row in 0..rows {
            widest = sweep::wider_allowed(lanes, widest, &costs[row * stride..][..cols]);
        }
        sweep::widest_of_all(lanes, widest).widen()
    }
}
