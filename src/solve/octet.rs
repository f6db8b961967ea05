//! Eight narrow instances, one in each lane of a vector: their state, how it begins, and how it is finished.

#![expect(
    clippy::needless_range_loop,
    reason = "a lane or a column is an index into several arrays at once"
)]

use crate::problem::instance::{Instance, WIDEST};
use crate::simd::cost::Entry;
use crate::simd::ops::{DOUBLES, LaneWise};

/// Marks a column without a partner; as [`crate::solve::augment::UNMATCHED`], in a byte.
pub(crate) const UNMATCHED: i8 = -1;

/// A flag for each column and lane. That of column j in lane l is bit 8·(j mod 8) + l of word j / 8.
pub(crate) type Flags = [u64; WIDEST / DOUBLES];

/// The flags of one column, a bit for each lane.
#[inline(always)]
pub(crate) fn flags_of(flags: &Flags, col: usize) -> u8 {
    (flags[col / DOUBLES] >> (col % DOUBLES * DOUBLES)) as u8
}

/// The flag of one column in one lane, which has to be shifted to word `col / 8`.
#[inline(always)]
pub(crate) fn flag(col: usize, lane: usize) -> u64 {
    1 << (col % DOUBLES * DOUBLES + lane)
}

/// `new` in some lanes, `old` in the others.
#[inline(always)]
pub(crate) fn merge_flags(lanes: u8, new: &Flags, old: &Flags) -> Flags {
    let new_lanes = repeated(lanes);
    let mut merged = *old;
    for (merged, new) in merged.iter_mut().zip(new) {
        *merged = *merged & !new_lanes | new & new_lanes;
    }
    merged
}

/// Eight flags, repeated for each of eight columns.
#[inline(always)]
fn repeated(bits: u8) -> u64 {
    u64::from(bits) * 0x0101_0101_0101_0101
}

/// A number for each lane.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct PerLane(pub(crate) [f64; DOUBLES]);

impl PerLane {
    pub(crate) const ZEROS: PerLane = PerLane([0.0; DOUBLES]);
}

/// What a lane reads of an instance.
#[derive(Clone, Copy, Debug)]
pub struct LaneInstance<'a, E, const COLS: usize> {
    /// Costs, +inf beyond the instance's rows and columns.
    pub costs: &'a [[E; COLS]; COLS],
    /// Number of rows; not more than columns.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Half the limit; +inf where every row must be matched.
    pub half_limit: f64,
}

/// The instances of an octet.
pub type OctetInstances<'a, E, const COLS: usize> = [LaneInstance<'a, E, COLS>; DOUBLES];

impl<'a, E: Entry, const COLS: usize> LaneInstance<'a, E, COLS> {
    /// What a lane reads of `instance`.
    #[inline(always)]
    pub fn of(instance: &Instance<'a, E>) -> Self {
        LaneInstance {
            costs: instance.narrow_costs(),
            rows: instance.rows(),
            cols: instance.cols(),
            half_limit: instance.half_limit,
        }
    }

    /// This without rows and columns, of which nothing is asked: for lanes that have no instance.
    #[inline(always)]
    pub fn without_rows(self) -> Self {
        LaneInstance {
            rows: 0,
            cols: 0,
            ..self
        }
    }

    #[inline(always)]
    pub(crate) fn is_balanced(&self) -> bool {
        self.rows == self.cols && self.is_unlimited()
    }

    #[inline(always)]
    pub(crate) fn is_unlimited(&self) -> bool {
        self.rows > 0 && self.half_limit.is_infinite()
    }
}

/// Eight instances of a group, as far as they are solved.
#[derive(Clone, Debug)]
pub struct Octet<const COLS: usize> {
    /// v.
    pub(crate) col_duals: [PerLane; COLS],
    /// u, in each lane.
    pub(crate) row_duals: [[f64; COLS]; DOUBLES],
    /// Row matched with each column, in each lane, or [`UNMATCHED`].
    pub(crate) row_of_col: [[i8; COLS]; DOUBLES],
    /// Column matched with each row, in each lane, or [`UNMATCHED`].
    pub(crate) col_of_row: [[i8; COLS]; DOUBLES],
    /// The column is there.
    pub(crate) real: Flags,
    /// The column is there and unmatched.
    pub(crate) unmatched: Flags,
    /// One bit for each row that is still to be searched from.
    pub(crate) pending: [u32; DOUBLES],
    pub(crate) row_ceiling: PerLane,
    /// Lanes in which all columns end up matched.
    pub(crate) balanced: u8,
    /// Lanes whose allowed pairs cannot match all rows.
    pub(crate) infeasible: u8,
    pub(crate) total_costs: PerLane,
}

impl<const COLS: usize> Octet<COLS> {
    pub(crate) const EMPTY: Self = Octet {
        col_duals: [PerLane::ZEROS; COLS],
        row_duals: [[0.0; COLS]; DOUBLES],
        row_of_col: [[UNMATCHED; COLS]; DOUBLES],
        col_of_row: [[UNMATCHED; COLS]; DOUBLES],
        real: [0; WIDEST / DOUBLES],
        unmatched: [0; WIDEST / DOUBLES],
        pending: [0; DOUBLES],
        row_ceiling: PerLane::ZEROS,
        balanced: 0,
        infeasible: 0,
        total_costs: PerLane::ZEROS,
    };

    /// One bit for each lane whose instance's allowed pairs cannot match all rows.
    #[inline(always)]
    pub fn infeasible(&self) -> u8 {
        self.infeasible
    }

    /// Column matched with each row, or −1.
    #[inline(always)]
    pub fn col_of_row(&self, lane: usize) -> &[i8; COLS] {
        &self.col_of_row[lane]
    }

    /// Row matched with each column, or −1.
    #[inline(always)]
    pub fn row_of_col(&self, lane: usize) -> &[i8; COLS] {
        &self.row_of_col[lane]
    }

    /// u.
    #[inline(always)]
    pub fn row_duals(&self, lane: usize) -> &[f64; COLS] {
        &self.row_duals[lane]
    }

    /// v of one column, in all lanes.
    #[inline(always)]
    pub fn col_dual(&self, col: usize) -> &[f64; DOUBLES] {
        &self.col_duals[col].0
    }

    /// Sum of matched costs, with the rounding errors added back as in [`crate::number::sum`]. Not finite where a partial sum
    /// left the range of f64.
    #[inline(always)]
    pub fn total_cost(&self, lane: usize) -> f64 {
        self.total_costs.0[lane]
    }

    /// As [`Octet::total_cost`], of all lanes.
    #[inline(always)]
    pub fn total_costs(&self) -> &[f64; DOUBLES] {
        &self.total_costs.0
    }
}

impl<const COLS: usize> Octet<COLS> {
    /// Forgets all instances.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.real = [0; WIDEST / DOUBLES];
        self.unmatched = self.real;
        (self.balanced, self.infeasible) = (0, 0);
    }

    /// Takes into a lane that its instance has no matching of all rows.
    #[inline(always)]
    pub(crate) fn adopt_infeasible(&mut self, lane: usize) {
        self.infeasible |= 1 << lane;
    }

    /// Takes an answer to an instance of that shape, without a limit, into a lane. v is −inf beyond its columns.
    #[inline(always)]
    pub(crate) fn adopt(
        &mut self,
        lane: usize,
        (rows, cols): (usize, usize),
        col_duals: &[f64; COLS],
        row_of_col: &[i8; COLS],
    ) {
        if rows == cols {
            self.balanced |= 1 << lane;
        } else {
            for (col, &row) in row_of_col.iter().enumerate().take(cols) {
                self.unmatched[col / DOUBLES] |= u64::from(row == UNMATCHED) * flag(col, lane);
            }
        }
        self.row_ceiling.0[lane] = f64::INFINITY;
        self.row_of_col[lane] = *row_of_col;
        for col in 0..COLS {
            self.col_duals[col].0[lane] = col_duals[col];
        }
        for (word, real) in self.real.iter_mut().enumerate() {
            let cols = cols.saturating_sub(word * DOUBLES).min(DOUBLES);
            // 0 if there are none.
            let each = repeated(1).checked_shr(((DOUBLES - cols) * DOUBLES) as u32);
            *real |= each.unwrap_or(0) << lane;
        }
    }
}

impl<const COLS: usize> Octet<COLS> {
    /// Nobody is matched, and v is at its ceiling.
    #[inline(always)]
    pub(crate) fn begin<L: LaneWise, E: Entry>(
        &mut self,
        lanes: L,
        instances: &OctetInstances<E, COLS>,
    ) {
        let mut cols = PerLane::ZEROS;
        let mut col_ceiling = PerLane::ZEROS;
        self.clear();
        for (lane, instance) in instances.iter().enumerate() {
            cols.0[lane] = instance.cols as f64;
            self.row_ceiling.0[lane] = instance.half_limit;
            if instance.half_limit.is_finite() {
                col_ceiling.0[lane] = instance.half_limit;
            }
            self.row_of_col[lane] = [UNMATCHED; COLS];
            self.pending[lane] = ((1u64 << instance.rows) - 1) as u32;
        }
        let (cols, ceiling) = (lanes.load(&cols.0), lanes.load(&col_ceiling.0));
        // Below all real ones when the largest is sought, and +inf less this is still +inf.
        let padding = lanes.splat(f64::NEG_INFINITY);
        for col in 0..COLS {
            let real = lanes.less(lanes.splat(col as f64), cols);
            self.real[col / DOUBLES] |= u64::from(lanes.bits(real)) << (col % DOUBLES * DOUBLES);
            lanes.store(
                lanes.select(real, ceiling, padding),
                &mut self.col_duals[col].0,
            );
        }
        self.unmatched = self.real;
    }

    /// When all are matched: of all equally good duals of a square, takes those with max v = 0; then u, columns of rows,
    /// and totals.
    #[inline(always)]
    pub(crate) fn finish<L: LaneWise, E: Entry>(
        &mut self,
        lanes: L,
        instances: &OctetInstances<E, COLS>,
    ) {
        let zero = lanes.splat(0.0);
        let mut top = lanes.splat(f64::NEG_INFINITY);
        for dual in &self.col_duals {
            top = lanes.larger(lanes.load(&dual.0), top);
        }
        let shift = lanes.select(lanes.mask(self.balanced), top, zero);
        for lane in 0..DOUBLES {
            if self.balanced >> lane & 1 == 0 {
                self.row_duals[lane] = [self.row_ceiling.0[lane]; COLS];
                self.col_of_row[lane] = [UNMATCHED; COLS];
            }
        }
        // Sums of matched costs: `crate::number::sum::compensated_sum` in each lane.
        let mut sum = zero;
        let mut lost = zero;
        for col in 0..COLS {
            let mut costs = PerLane::ZEROS;
            for lane in 0..DOUBLES {
                let row = self.row_of_col[lane][col] as usize % COLS;
                costs.0[lane] = instances[lane].costs[row][col].widen();
            }
            let dual = lanes.subtract(lanes.load(&self.col_duals[col].0), shift);
            lanes.store(dual, &mut self.col_duals[col].0);
            let matched = flags_of(&self.real, col) & !flags_of(&self.unmatched, col);
            let cost = lanes.load(&costs.0);
            let mut row_duals = PerLane::ZEROS;
            lanes.store(lanes.subtract(cost, dual), &mut row_duals.0);
            for lane in 0..DOUBLES {
                // Where all are matched, as in most groups, there is nothing to guess.
                if matched == u8::MAX || matched >> lane & 1 != 0 {
                    let row = self.row_of_col[lane][col] as usize % COLS;
                    self.row_duals[lane][row] = row_duals.0[lane];
                    self.col_of_row[lane][row] = col as i8;
                }
            }
            let term = lanes.select(lanes.mask(matched), cost, zero);
            let next = lanes.add(sum, term);
            let term_is_larger = lanes.less(magnitude(lanes, sum), magnitude(lanes, term));
            let larger = lanes.select(term_is_larger, term, sum);
            let smaller = lanes.select(term_is_larger, sum, term);
            let missed = lanes.add(lanes.subtract(larger, next), smaller);
            lost = lanes.add(lost, missed);
            sum = next;
        }
        lanes.store(lanes.add(sum, lost), &mut self.total_costs.0);
    }
}

/// The same row in each lane.
#[inline(always)]
pub(crate) fn rows_at<'a, E: Entry, const COLS: usize>(
    instances: &OctetInstances<'a, E, COLS>,
    row: usize,
) -> [&'a [E; COLS]; DOUBLES] {
    let mut rows = [&instances[0].costs[row]; DOUBLES];
    for lane in 1..DOUBLES {
        rows[lane] = &instances[lane].costs[row];
    }
    rows
}

/// Eight columns of one row in each lane.
#[inline(always)]
pub(crate) fn transpose_chunk<L: LaneWise, E: Entry, const COLS: usize>(
    lanes: L,
    rows: [&[E; COLS]; DOUBLES],
    chunk: usize,
) -> [L::Vector; DOUBLES] {
    let mut chunks = [&rows[0].as_chunks().0[chunk]; DOUBLES];
    for lane in 1..DOUBLES {
        chunks[lane] = &rows[lane].as_chunks().0[chunk];
    }
    E::transpose(lanes, chunks)
}

/// Most rows of any.
#[inline(always)]
pub(crate) fn most_rows<E, const COLS: usize>(instances: &OctetInstances<E, COLS>) -> usize {
    let mut most = 0;
    for instance in instances {
        most = instance.rows.max(most);
    }
    most.min(COLS)
}

/// |x|, lane by lane.
#[inline(always)]
pub(crate) fn magnitude<L: LaneWise>(lanes: L, vector: L::Vector) -> L::Vector {
    lanes.larger(vector, lanes.subtract(lanes.splat(0.0), vector))
}
