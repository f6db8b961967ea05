//! Step 1 of [`crate::solve::augment`]: the start.

use std::hint::select_unpredictable;

use crate::number::arithmetic::Arithmetic;
use crate::problem::instance::Instance;
use crate::problem::survey::Survey;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::solve::augment::{Infeasible, Solver, UNMATCHED};
use crate::solve::margin::Margin;
use crate::solve::reduction::put_if;
use crate::sweep::per_column::BLOCK;
use crate::sweep::reduced_costs::{two_least, two_least_by_quads};
use crate::sweep::row::ANY;

impl<R: Arithmetic> Solver<R> {
    /// Begins, with what the first look at the instance found. Steps of [`Solver::sweep`] and
    /// [`Solver::act`] do the rest.
    #[inline(always)]
    pub fn begin<L: Lanes<W, Number = R>, E: Entry, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        margin: Margin<R>,
    ) -> Result<(), Infeasible> {
        self.reset(instance);
        self.margin = margin;
        if N == ANY {
            self.bounds.keep::<W>(instance.rows(), instance.cols());
        }
        if instance.is_balanced() {
            self.reduce_columns(instance)?;
            self.transfer_reductions::<L, E, W, N>(lanes, instance);
        } else {
            self.claim_columns(instance)?;
        }
        self.reduce_next(instance, 0);
        Ok(())
    }

    /// Column reduction: v_j = min_i c_ij. Only sound where all columns end up matched. Each column
    /// belongs to the first row that has its least cost, and a row takes the first column that
    /// belongs to it.
    #[inline(always)]
    fn reduce_columns<E: Entry>(&mut self, instance: &Instance<E>) -> Result<(), Infeasible> {
        let (rows, cols) = (instance.rows(), instance.cols());
        let Survey {
            col_least,
            col_holders,
            ..
        } = instance.survey;
        self.col_duals.reset(cols, R::NEG_INFINITY);
        let mut real = cols;
        let blocks = self.col_duals.blocks_mut().iter_mut();
        for (duals, least) in blocks.zip(col_least.blocks()) {
            // Padding stays −inf: below all real duals, for when the largest is sought, and +inf
            // less −inf is still +inf.
            for (dual, least) in duals.0.iter_mut().zip(&least.0).take(real) {
                *dual = R::round_from(least.widen());
            }
            if duals.0.contains(&R::INFINITY) {
                return Err(Infeasible);
            }
            real = real.saturating_sub(BLOCK);
        }
        let blocks = col_holders.blocks().iter().zip(&mut self.unmatched_cols);
        for ((holders, unmatched), first) in blocks.zip((0..).step_by(BLOCK)) {
            let row_of_col = self.row_of_col[first..].iter_mut();
            for (place, (row_of_col, holder)) in row_of_col.zip(&holders.0).enumerate() {
                let row = holder.to_index();
                let col_of_row = &mut self.col_of_row[row];
                let takes = *col_of_row == UNMATCHED;
                *col_of_row = select_unpredictable(takes, (first + place) as i32, *col_of_row);
                *row_of_col = select_unpredictable(takes, row as i32, UNMATCHED);
                *unmatched &= !(u64::from(takes) << place);
            }
        }
        // Each list is given every row, and keeps those that belong to it: without a branch.
        self.queue.resize(rows, 0);
        self.claimed.resize(rows, 0);
        let (mut queued, mut claimed) = (0, 0);
        for (row, &col) in self.col_of_row[..rows].iter().enumerate() {
            self.queue[queued] = row;
            self.claimed[claimed] = row;
            queued += usize::from(col == UNMATCHED);
            claimed += usize::from(col != UNMATCHED);
        }
        self.queue.truncate(queued);
        self.claimed.truncate(claimed);
        Ok(())
    }

    /// Reduction transfer: v of each column that column reduction has matched is lowered as far as
    /// (1) allows. So the column is dearer for other rows, which seldom take it away.
    #[inline(always)]
    fn transfer_reductions<L: Lanes<W, Number = R>, E: Entry, const W: usize, const N: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
    ) {
        // So many rows are swept before v is lowered for any of them, so that none waits for
        // another. As v only falls, no gap found under earlier v is too large.
        const ROWS_AT_ONCE: usize = 4;
        for rows in self.claimed.chunks(ROWS_AT_ONCE) {
            let mut gaps = [R::ZERO; ROWS_AT_ONCE];
            for (gap, &row) in gaps.iter_mut().zip(rows) {
                let costs = instance.row(row);
                let duals = &self.col_duals;
                let (least, second) = if N == ANY && self.bounds.are_kept() {
                    let quad_least = &mut self.quad_least;
                    let two = two_least_by_quads(lanes, costs, duals, quad_least);
                    self.bounds.take::<W>(row, instance.cols(), quad_least);
                    two
                } else {
                    two_least::<L, E, W, N>(lanes, costs, duals)
                };
                self.others_least[row] = second;
                self.is_tied = second == R::ZERO;
                *gap = second - least;
            }
            for (&gap, &row) in gaps.iter().zip(rows) {
                // Without a second column the gap is unbounded and v would be lost.
                let bid = self.margin.below(gap);
                let lowered = select_unpredictable(gap < R::INFINITY, bid, R::ZERO);
                let col = self.col_of_row[row] as usize;
                self.col_duals.subtract(lanes, col, lowered);
            }
        }
    }

    /// Where columns may stay unmatched, v begins at its ceiling, and each row takes its cheapest
    /// column unless an earlier row has taken it.
    #[inline(always)]
    fn claim_columns<E: Entry>(&mut self, instance: &Instance<E>) -> Result<(), Infeasible> {
        let limited = instance.half_limit.is_finite();
        let col_ceiling = if limited { self.row_ceiling } else { R::ZERO };
        self.col_duals.reset_padded(instance.cols(), col_ceiling);
        for (row, &(cost, col)) in instance.survey.row_least.iter().enumerate() {
            let (least, col) = (R::round_from(cost.widen()) - col_ceiling, col as usize);
            self.row_least.push(least);
            if least > self.row_ceiling {
                // Better left unmatched, for good.
                continue;
            }
            if least == R::INFINITY {
                return Err(Infeasible);
            }
            let owner = self.row_of_col[col];
            let takes = owner == UNMATCHED;
            self.col_of_row[row] = select_unpredictable(takes, col as i32, UNMATCHED);
            self.row_of_col[col] = select_unpredictable(takes, row as i32, owner);
            self.unmatched_cols[col / BLOCK] &= !(1 << (col % BLOCK));
            put_if(&mut self.queue, row, !takes);
        }
        Ok(())
    }
}
