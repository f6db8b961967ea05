//! Starts from the duals and the matching of a solver in f32.

use crate::number::arithmetic::Arithmetic;
use crate::problem::instance::Instance;
use crate::simd::cost::Entry;
use crate::simd::ops::Lanes;
use crate::solve::augment::Solver;
use crate::sweep::per_column::BLOCK;
use crate::sweep::reduced_costs::least_reduced_cost;

impl<R: Arithmetic> Solver<R> {
    /// Takes over v from a solver in f32, rounded to multiples of `grid`, a power of two: where
    /// costs are multiples of it, too, arithmetic stays exact. With a grid of 0, v is not rounded.
    #[inline(always)]
    pub fn adopt_duals(&mut self, single: &Solver<f32>, cols: usize, grid: f64) {
        // Adding and subtracting this rounds to multiples of the grid. An f32 far above the grid is
        // such a multiple already.
        let shift = grid * 1.5 * (1u64 << 52) as f64;
        let far = grid * (1u64 << 40) as f64;
        self.col_duals.reset(cols, R::NEG_INFINITY);
        let mut real = cols;
        let blocks = self.col_duals.blocks_mut().iter_mut();
        for (block, single) in blocks.zip(single.col_duals.blocks()) {
            for (dual, &single) in block.0.iter_mut().zip(&single.0).take(real) {
                let single = f64::from(single);
                let rounded = (single + shift) - shift;
                *dual = R::round_from(if single.abs() < far { rounded } else { single });
            }
            real = real.saturating_sub(BLOCK);
        }
    }

    /// As [`Solver::begin`], for a balanced instance, from the duals that were taken over from
    /// `single`. Its pairs are kept where they still are the cheapest of their rows; the other rows
    /// are left to augmentation.
    #[inline(always)]
    pub fn begin_from<L: Lanes<W, Number = R>, E: Entry, const W: usize>(
        &mut self,
        lanes: L,
        instance: &Instance<E>,
        single: &Solver<f32>,
    ) {
        self.reset(instance);
        self.bounds.keep::<W>(instance.rows(), instance.cols());
        for row in 0..instance.rows() {
            let costs = instance.row(row);
            let least = least_reduced_cost(lanes, costs, &self.col_duals);
            let col = single.col_of_row[row];
            let at = col as usize;
            let reduced = R::round_from(instance.cost(row, at)) - self.col_duals.get(at);
            if reduced == least {
                self.col_of_row[row] = col;
                self.row_of_col[at] = row as i32;
                self.unmatched_cols[at / BLOCK] &= !(1 << (at % BLOCK));
                self.row_duals[row] = least;
            } else {
                self.pending.push(row);
            }
        }
        self.search_next(instance, 0);
    }

    /// As [`Solver::begin`], with the pairs of `single`, which the duals taken over from it prove
    /// to be optimal.
    pub fn begin_with_matching<E: Entry>(&mut self, instance: &Instance<E>, single: &Solver<f32>) {
        self.reset(instance);
        self.col_of_row.copy_from_slice(&single.col_of_row);
        self.row_of_col.copy_from_slice(&single.row_of_col);
        for row in 0..instance.rows() {
            self.refresh_row_dual(instance, row);
        }
        self.search_next(instance, 0);
    }
}
