//! Rows with equal costs, which a search need not sweep twice.
//!
//! A row that a search has reached offers each column a path of length c − v − offset. If the search has reached another row
//! with the same costs before, and with an offset as large or larger, each of these offers is at least that row's: nothing
//! changes, whatever the rounding, and the sweep can be left out. Where few rows are distinct, as when each object is
//! repeated, a search reaches hundreds that say nothing new.
//!
//! They are looked for when searches turn out to be long. A sample of its costs tells nearly every row from the others; only
//! where many look alike are all costs of those compared.

use std::collections::TryReserveError;

use crate::arithmetic::Arithmetic;
use crate::problem::{Entry, Instance};

/// Classes of equal rows of an instance. Belongs to a solver and is reused.
#[derive(Debug)]
pub struct EqualRows<R> {
    /// The class of each row, if there are rows that are equal.
    class_of_row: Vec<u32>,
    /// The largest offset of the rows of each class that the search at hand has swept; −inf: none yet.
    offset_of_class: Vec<R>,
    /// Rows in the order of the hashes of their costs.
    order: Vec<(u64, u32)>,
    /// The instance has been looked at.
    are_known: bool,
}

impl<R> Default for EqualRows<R> {
    fn default() -> Self {
        EqualRows {
            class_of_row: Vec::new(),
            offset_of_class: Vec::new(),
            order: Vec::new(),
            are_known: false,
        }
    }
}

impl<R: Arithmetic> EqualRows<R> {
    /// Nothing is known of the next instance.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.are_known = false;
        self.class_of_row.clear();
    }

    /// Has the instance been looked at, or could it not be?
    pub fn are_known(&self) -> bool {
        self.are_known
    }

    /// Are there rows that are equal, as far as is known?
    #[inline(always)]
    pub fn are_there(&self) -> bool {
        !self.class_of_row.is_empty()
    }

    /// Looks for equal rows. Without memory for that, none are found: answers do not depend on it.
    #[cold]
    #[inline(never)]
    pub fn find<E: Entry>(&mut self, instance: &Instance<E>) {
        self.are_known = true;
        if self.try_reserve(instance.rows()).is_err() {
            return;
        }
        self.order.clear();
        for row in 0..instance.rows() {
            let hash = sample(instance.row(row).costs()).fold(0, hash_with);
            self.order.push((hash, row as u32));
        }
        self.order.sort_unstable();
        let distinct = self.order.chunk_by(|a, b| a.0 == b.0).count();
        if distinct > instance.rows() / 8 * 7 {
            return;
        }
        let alike = self.order.chunk_by_mut(|a, b| a.0 == b.0);
        for rows in alike.filter(|rows| rows.len() > 1) {
            for (hash, row) in &mut *rows {
                let costs = instance.row(*row as usize).costs();
                *hash = costs.iter().fold(*hash, hash_with);
            }
            rows.sort_unstable();
        }
        self.class_of_row.resize(instance.rows(), 0);
        // Two rows of one hash are equal, or nearly so: then they are taken for different.
        let mut classes = 0;
        let mut first: Option<(u64, u32)> = None;
        for &(hash, row) in &self.order {
            let costs = |row: u32| instance.row(row as usize).costs();
            let is_equal = first.is_some_and(|(of_first, first)| {
                of_first == hash && same_numbers(costs(first), costs(row))
            });
            if !is_equal {
                first = Some((hash, row));
                classes += 1;
            }
            self.class_of_row[row as usize] = classes - 1;
        }
        if classes as usize == instance.rows() {
            self.class_of_row.clear();
        }
    }

    fn try_reserve(&mut self, rows: usize) -> Result<(), TryReserveError> {
        self.class_of_row.clear();
        self.class_of_row.try_reserve_exact(rows)?;
        self.offset_of_class.clear();
        self.offset_of_class.try_reserve_exact(rows)?;
        self.order.clear();
        self.order.try_reserve_exact(rows)
    }

    /// A search begins.
    pub fn begin_search(&mut self) {
        if self.are_there() {
            self.offset_of_class.clear();
            // Within what was set aside.
            let classes = self.class_of_row.len();
            self.offset_of_class.resize(classes, R::NEG_INFINITY);
        }
    }

    /// Has the search swept an equal row with an offset as large or larger? If not, it is about to sweep this one.
    pub fn has_swept_equal(&mut self, row: usize, offset: R) -> bool {
        let Some(&class) = self.class_of_row.get(row) else {
            return false;
        };
        let largest = &mut self.offset_of_class[class as usize];
        if offset <= *largest {
            return true;
        }
        *largest = offset;
        false
    }
}

/// A few costs from all over a row.
fn sample<E>(costs: &[E]) -> impl Iterator<Item = &E> {
    const PLACES: usize = 4;
    let apart = costs.len().div_ceil(PLACES).max(1);
    costs
        .chunks(apart)
        .flat_map(|part| part.iter().take(PLACES))
}

/// Takes one more cost into a hash.
fn hash_with<E: Entry>(hash: u64, cost: &E) -> u64 {
    // 2^64 divided by the golden ratio: Knuth, The Art of Computer Programming 3, section 6.4.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    (hash.rotate_left(5) ^ cost.widen().to_bits()).wrapping_mul(SPREAD)
}

/// Are the costs of two rows the same, forbidden pairs included?
fn same_numbers<E: Entry>(a: &[E], b: &[E]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}
