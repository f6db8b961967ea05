//! Narrow instances, of up to [`WIDEST`](crate::problem::instance::WIDEST) columns, and answers to
//! them.

use std::hint::select_unpredictable;

use crate::problem::instance::Instance;
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, Lanes, Vectors, Work};
use crate::simd::sum::CompensatedSums;

/// Marks a column without a partner; as [`crate::solve::augment::UNMATCHED`], in a byte.
pub(crate) const UNMATCHED: i8 = -1;

/// Most instances of a group: as many as a word has bits.
pub const NARROW_GROUP: usize = u64::BITS as usize;

/// What a search reads of an instance.
#[derive(Clone, Copy, Debug)]
pub struct NarrowInstance<'a, E, const COLS: usize> {
    /// Costs, +inf beyond the instance's rows and columns.
    pub costs: &'a [[E; COLS]; COLS],
    /// Number of rows; not more than columns.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Half the limit; +inf where every row must be matched.
    pub half_limit: f64,
}

impl<'a, E: Entry, const COLS: usize> NarrowInstance<'a, E, COLS> {
    /// What a search reads of `instance`.
    #[inline(always)]
    pub fn of(instance: &Instance<'a, E>) -> Self {
        NarrowInstance {
            costs: instance.narrow_costs(),
            rows: instance.rows(),
            cols: instance.cols(),
            half_limit: instance.half_limit,
        }
    }

    /// Do all columns end up matched, if the instance is feasible?
    #[inline(always)]
    pub(crate) fn is_balanced(&self) -> bool {
        self.rows == self.cols && self.half_limit.is_infinite()
    }
}

/// The result of searches, in numbers of type `N`.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Found<N, const COLS: usize> {
    /// v, −inf beyond the instance's columns.
    pub col_duals: [N; COLS],
    /// Row matched with each column, or −1.
    pub row_of_col: [i8; COLS],
}

impl<N: Entry, const COLS: usize> Found<N, COLS> {
    /// Nothing yet.
    pub const NOTHING: Self = Found {
        col_duals: [N::INFINITY; COLS],
        row_of_col: [UNMATCHED; COLS],
    };
}

/// An answer in f64.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct NarrowAnswer<const COLS: usize> {
    /// v and the rows of columns.
    pub found: Found<f64, COLS>,
    /// u; the second array takes what unmatched columns write.
    row_duals: [[f64; COLS]; 2],
    /// Column matched with each row, or −1; the second array likewise.
    col_of_row: [[i8; COLS]; 2],
    /// [`CompensatedSums`] of matched costs.
    pub total_cost: f64,
}

impl<const COLS: usize> NarrowAnswer<COLS> {
    /// Nothing yet.
    pub const NOTHING: Self = NarrowAnswer {
        found: Found::NOTHING,
        row_duals: [[0.0; COLS]; 2],
        col_of_row: [[UNMATCHED; COLS]; 2],
        total_cost: 0.0,
    };

    /// u.
    #[inline(always)]
    pub fn row_duals(&self) -> &[f64; COLS] {
        &self.row_duals[0]
    }

    /// Column matched with each row, or −1.
    #[inline(always)]
    pub fn col_of_row(&self) -> &[i8; COLS] {
        &self.col_of_row[0]
    }

    /// Completes an answer when its searches have ended: of all equally good duals of a square
    /// without a limit, takes those with max v = 0; then finds u, and the column of each row. The
    /// cost of each column's pair, or 0 if it has none, goes to `lane` of `matched_costs`.
    #[inline(always)]
    fn finish<L, E>(
        &mut self,
        lanes: L,
        instance: &NarrowInstance<E, COLS>,
        matched_costs: &mut [[f64; TOGETHER]; COLS],
        lane: usize,
    ) where
        L: Lanes<DOUBLES, Number = f64>,
        E: Entry,
    {
        let Found {
            col_duals,
            row_of_col,
        } = &mut self.found;
        if instance.is_balanced() {
            let zero = lanes.splat(0.0);
            let mut lowest = lanes.splat(f64::INFINITY);
            for duals in col_duals.as_chunks().0 {
                lowest = lanes.smaller(lanes.subtract(zero, lanes.load(duals)), lowest);
            }
            let top = lanes.splat(-lanes.least(lowest));
            for duals in col_duals.as_chunks_mut().0 {
                lanes.store(lanes.subtract(lanes.load(duals), top), duals);
            }
        }
        self.row_duals[0] = [instance.half_limit; COLS];
        self.col_of_row[0] = [UNMATCHED; COLS];
        let row_duals = self.row_duals.as_flattened_mut();
        let col_of_row = self.col_of_row.as_flattened_mut();
        // One by one: loads of vectors would have to wait for narrower stores.
        for (col, &row) in row_of_col.iter().enumerate() {
            let cost = instance.costs[row as usize % COLS][col].widen();
            row_duals[row as usize % (2 * COLS)] = cost - col_duals[col];
            col_of_row[row as usize % (2 * COLS)] = col as i8;
            matched_costs[col][lane] = select_unpredictable(row == UNMATCHED, 0.0, cost);
        }
    }
}

/// Answers that are finished together, a lane for each: so many sums are no more work than one.
const TOGETHER: usize = DOUBLES;

/// Duals, partners and totals of a group that is solved.
pub struct FinishGroup<'a, 'b, E, const COLS: usize> {
    /// The group.
    pub instances: &'a [NarrowInstance<'b, E, COLS>],
    /// The answers.
    pub answers: &'a mut [NarrowAnswer<COLS>],
}

impl<E: Entry, const COLS: usize> Work for FinishGroup<'_, '_, E, COLS> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let lanes = vectors.doubles();
        let instances = self.instances.chunks(TOGETHER);
        for (answers, instances) in self.answers.chunks_mut(TOGETHER).zip(instances) {
            let mut matched_costs = [[0.0; TOGETHER]; COLS];
            for (lane, (answer, instance)) in answers.iter_mut().zip(instances).enumerate() {
                answer.finish(lanes, instance, &mut matched_costs, lane);
            }
            let mut sums = CompensatedSums::zero(lanes);
            for costs in &matched_costs {
                sums.add(lanes, lanes.load(costs));
            }
            let mut total_costs = [0.0; TOGETHER];
            lanes.store(sums.get(lanes), &mut total_costs);
            for (answer, total_cost) in answers.iter_mut().zip(total_costs) {
                answer.total_cost = total_cost;
            }
        }
    }
}
