//! Step 2 of [`crate::solve::augment`]: augmenting row reduction.

use std::hint::select_unpredictable;

use crate::number::arithmetic::{Arithmetic, smaller};
use crate::problem::instance::Instance;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::solve::augment::{Infeasible, Phase, Solver, UNMATCHED};
use crate::sweep::nearest::Nearest;
use crate::sweep::per_column::BLOCK;
use crate::sweep::reduced_costs::prefer_unmatched;

impl<R: Arithmetic> Solver<R> {
    /// Augmenting row reduction goes on with the row at `queue_index` of its queue, or gives way to
    /// augmentation.
    #[inline(always)]
    pub(super) fn reduce_next<E: Entry>(&mut self, instance: &Instance<E>, queue_index: usize) {
        self.phase = Phase::Reduction { queue_index };
        if queue_index == self.queue.len() || queue_index == self.most_tries {
            self.end_reduction(instance, queue_index);
        }
    }

    /// Rows that were not tried are left to augmentation.
    #[inline(never)]
    fn end_reduction<E: Entry>(&mut self, instance: &Instance<E>, queue_index: usize) {
        self.pending.extend_from_slice(&self.queue[queue_index..]);
        for row in 0..instance.rows() {
            self.refresh_row_dual(instance, row);
        }
        self.search_next(instance, 0);
    }

    /// Augmenting row reduction acts on the sweep of the row at `queue_index`. A row that takes no
    /// column goes to `pending`.
    ///
    /// What a sweep finds cannot be predicted, so only rare cases branch on it.
    #[inline(always)]
    pub(super) fn reduce_row<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        queue_index: usize,
    ) -> Result<(), Infeasible> {
        let row = self.queue[queue_index];
        let first = &mut self.found.first;
        if first.others != 0 {
            prefer_unmatched(
                lanes,
                first,
                instance.row(row),
                &self.col_duals,
                &self.quad_least,
                &self.unmatched_cols,
            );
        }
        let Nearest {
            value: least,
            col,
            is_unmatched,
            ..
        } = *first;
        if least > self.row_ceiling {
            // Better left unmatched, for good.
            self.reduce_next(instance, queue_index + 1);
            return Ok(());
        }
        if least == R::INFINITY {
            return Err(Infeasible);
        }
        let second = smaller(self.found.second, self.row_ceiling);
        // Without a gap the loser would only take the column back. Without a second column the
        // gap is unbounded and v would be lost. Both are left to the exact search.
        let gap = second - least;
        let is_bounded = gap < R::INFINITY;
        let takes = is_unmatched | ((gap > R::ZERO) & is_bounded);
        let displaces = takes & !is_unmatched;
        // A column that was unmatched keeps v at its ceiling, if it has one.
        let lowers = takes & is_bounded & (!is_unmatched | self.is_balanced);
        let lowered = select_unpredictable(lowers, self.margin.below(gap), R::ZERO);
        self.col_duals.subtract(lanes, col, lowered);
        let loser = self.row_of_col[col];
        self.row_of_col[col] = select_unpredictable(takes, row as i32, loser);
        let loser = select_unpredictable(displaces, loser as usize, instance.rows());
        self.col_of_row[row] = select_unpredictable(takes, col as i32, UNMATCHED);
        self.col_of_row[loser] = UNMATCHED;
        self.others_least[row] = second;
        self.unmatched_cols[col / BLOCK] &= !(u64::from(takes) << (col % BLOCK));
        put_if(&mut self.pending, row, !takes);
        put_if(&mut self.queue, loser, displaces);
        self.reduce_next(instance, queue_index + 1);
        Ok(())
    }
}

/// Puts `value` at the end of `list` if `wanted`, without a branch. There must be room for one
/// more.
#[inline(always)]
pub(super) fn put_if(list: &mut Vec<usize>, value: usize, wanted: bool) {
    list.push(value);
    list.truncate(list.len() - usize::from(!wanted));
}
