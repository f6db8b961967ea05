//! Distances of a shortest path search as they were, to find out which row offered a column its distance.
//!
//! Where whole rows are swept this is not written down: it would cost each sweep more than to compute the offers to the few columns
//! of the path again. But in a long search that would be an offer of each row reached, for each column of a long path. So distances
//! are copied once in a while. They never rise before a column is settled, so a column's row is one of those between the last
//! copy with another distance and the first with this one.

use std::ops::Range;

use crate::number::arithmetic::Arithmetic;
use crate::sweep::per_column::{BLOCK, Block, PerColumn};

/// Rows between a copy and the next: with fewer, searches of middle length would pay for copies that they do not need.
const APART: usize = 16;

/// Copies of all distances, made by the search at hand.
#[derive(Debug)]
pub struct Snapshots<R> {
    /// Copy after copy.
    blocks: Vec<Block<R>>,
    /// How many there are.
    count: usize,
}

impl<R> Default for Snapshots<R> {
    fn default() -> Self {
        Snapshots {
            blocks: Vec::new(),
            count: 0,
        }
    }
}

impl<R: Arithmetic> Snapshots<R> {
    /// Another search follows.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.blocks.clear();
        self.count = 0;
    }

    /// Copies the distances if it is time: `rows` have offered. Without memory for that, there are only the copies made before:
    /// answers do not depend on it.
    #[inline(always)]
    pub fn take_in_time(&mut self, rows: usize, distances: &PerColumn<R>) {
        if rows == (self.count + 1) * APART {
            self.take(distances.blocks());
        }
    }

    #[cold]
    #[inline(never)]
    fn take(&mut self, distances: &[Block<R>]) {
        if self.blocks.try_reserve(distances.len()).is_ok() {
            self.blocks.extend_from_slice(distances);
            self.count += 1;
        }
    }

    /// Of the first `rows` rows reached, those among which the first is that offered a column this distance. The column was not
    /// settled before the last of them offered.
    #[inline(always)]
    pub fn rows_that_may_have_offered(&self, rows: usize, col: usize, distance: R) -> Range<usize> {
        // One made after the last row's offer shows the column settled, or was not made.
        let complete = (rows - 1) / APART;
        let of_each = self.blocks.len() / self.count.max(1);
        let is_there = |copy: &usize| {
            let block = &self.blocks[copy * of_each + col / BLOCK];
            block.0[col % BLOCK] == distance
        };
        let copies = 0..self.count.min(complete);
        match copies.clone().find(is_there) {
            Some(copy) => copy * APART..(copy + 1) * APART,
            None => copies.end * APART..rows,
        }
    }
}
