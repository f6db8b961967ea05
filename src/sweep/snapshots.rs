//! Copies of the distances of a shortest path search, to find out which row offered a column its
//! distance.
//!
//! Where whole rows are swept, a sweep does not record which row that is: it would cost each sweep
//! more than it costs to compute the offers to the few columns of the path again. But in a long
//! search that would take the offers of all rows reached, for each column of a long path. So
//! distances are copied now and then. A distance never rises before its column is settled, so the
//! row is one of those between the last copy with another distance and the first with this one.

use std::ops::Range;

use crate::number::arithmetic::Arithmetic;
use crate::sweep::per_column::{BLOCK, Block, PerColumn};

/// Rows between a copy and the next, at first: with fewer, searches of middle length would pay for
/// copies that they do not need.
const APART: usize = 16;

/// Copies held at most. Before there would be more, every second one is dropped.
const MOST: usize = 64;

/// Copies of all distances, made by the search at hand.
#[derive(Debug, Default)]
pub struct Snapshots<R> {
    /// Copy after copy.
    blocks: Vec<Block<R>>,
    /// How many there are.
    count: usize,
    /// Rows between a copy and the next.
    apart: usize,
}

impl<R: Arithmetic> Snapshots<R> {
    /// Forgets all copies: another search follows.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.blocks.clear();
        self.count = 0;
        self.apart = APART;
    }

    /// Copies the distances if a copy is due after the offers of `rows` rows. Without memory for
    /// that, there are only the copies made before: answers do not depend on it.
    #[inline(always)]
    pub fn take_in_time(&mut self, rows: usize, distances: &PerColumn<R>) {
        if rows == (self.count + 1) * self.apart {
            self.take(distances.blocks());
        }
    }

    #[cold]
    #[inline(never)]
    fn take(&mut self, distances: &[Block<R>]) {
        let of_each = distances.len();
        if self.count == MOST {
            self.apart *= 2;
            self.count = MOST / 2;
            for copy in 0..self.count {
                let kept = (2 * copy + 1) * of_each;
                self.blocks
                    .copy_within(kept..kept + of_each, copy * of_each);
            }
            self.blocks.truncate(self.count * of_each);
        } else if self.blocks.try_reserve(of_each).is_ok() {
            self.blocks.extend_from_slice(distances);
            self.count += 1;
        }
    }

    /// A range of the first `rows` rows reached that contains the first one that offered a column
    /// this distance. The column must not have been settled before the last of them made its offer.
    #[inline(always)]
    pub fn rows_that_may_have_offered(&self, rows: usize, col: usize, distance: R) -> Range<usize> {
        // A copy made after the last row's offer shows the column settled, if there is one.
        let complete = (rows - 1) / self.apart;
        let of_each = self.blocks.len() / self.count.max(1);
        let is_there = |copy: &usize| {
            let block = &self.blocks[copy * of_each + col / BLOCK];
            block.0[col % BLOCK] == distance
        };
        let copies = 0..self.count.min(complete);
        match copies.clone().find(is_there) {
            Some(copy) => copy * self.apart..(copy + 1) * self.apart,
            None => copies.end * self.apart..rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hungarian_random::Random;

    #[test]
    fn the_row_that_offered_a_distance_is_among_few() {
        const ROWS: usize = 5000;
        const COLS: usize = 70;
        let mut random = Random::new(1);
        let mut snapshots = Snapshots::<f64>::default();
        let mut distances = PerColumn::default();
        distances.reset(COLS, 0.0);
        snapshots.clear();
        // The rows that offered each column a shorter distance: −1, then −2, and so on.
        let mut offered_by = vec![Vec::new(); COLS];
        for row in 0..ROWS {
            for (col, by) in offered_by.iter_mut().enumerate() {
                if random.uniform() < 0.01 {
                    by.push(row);
                    distances.set(col, -(by.len() as f64));
                }
            }
            snapshots.take_in_time(row + 1, &distances);
        }
        assert!(snapshots.count <= MOST);
        for (col, by) in offered_by.iter().enumerate() {
            for (index, &row) in by.iter().enumerate() {
                let distance = -(index as f64 + 1.0);
                // A distance that lasted long enough to be copied, and one that did not.
                let until = by.get(index + 1).copied().unwrap_or(ROWS);
                let range = snapshots.rows_that_may_have_offered(until, col, distance);
                assert!(range.contains(&row), "{row} is not in {range:?}");
            }
        }
        let ends = snapshots.rows_that_may_have_offered(ROWS, 0, 1.0);
        assert!(ends.len() <= 2 * ROWS / MOST, "{ends:?}");
    }
}
