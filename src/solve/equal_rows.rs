//! Rows with equal costs, which a search need not sweep twice.
//!
//! A row that a search has reached offers each column a path of length c − v − offset. If the
//! search has reached another row with the same costs before, and with an offset as large or
//! larger, each of these offers is at least that row's: nothing changes, whatever the rounding, and
//! the sweep can be left out. Where few rows are distinct, as when each object is repeated, a
//! search reaches hundreds of rows that offer nothing new.
//!
//! Equal rows are looked for when searches turn out to be long, at first among a few rows only. A
//! hash of a sample of its costs tells nearly every row from the others; only where many rows share
//! a hash are all costs of those compared.

use std::collections::TryReserveError;

use crate::number::arithmetic::Arithmetic;
use crate::problem::instance::Instance;
use crate::simd::cost::Entry;

/// Classes of equal rows of an instance. Belongs to a solver and is reused.
#[derive(Debug, Default)]
pub struct EqualRows<R> {
    /// The class of each row, if there are rows that are equal.
    class_of_row: Vec<u32>,
    /// The largest offset of the rows of each class that the search at hand has swept; −inf: none
    /// yet.
    offset_of_class: Vec<R>,
    /// Rows in the order of the hashes of their costs.
    order: Vec<Hashed>,
    /// Equal rows have been looked for.
    are_known: bool,
}

impl<R: Arithmetic> EqualRows<R> {
    /// Forgets what is known: another instance follows.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.are_known = false;
        self.class_of_row.clear();
    }

    /// Have equal rows been looked for, even if memory for that was lacking?
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
        let rows = instance.rows();
        if self.list(instance, draw(rows)) == self.order.len()
            || self.list(instance, 0..rows) > rows / 8 * 7
        {
            return;
        }
        let alike = self.order.chunk_by_mut(Hashed::is_alike);
        for rows in alike.filter(|rows| rows.len() > 1) {
            for hashed in &mut *rows {
                let row = hashed.row();
                let costs = instance.row(row).costs();
                *hashed = Hashed::new(costs.iter().fold(0, hash_with), row);
            }
            rows.sort_unstable();
        }
        self.class_of_row.resize(rows, 0);
        // Rows of one hash need not be equal, so each is compared with the first of its class.
        // Where a row that only shares the hash stands between equal ones, they get two classes:
        // that costs a sweep and changes no answer.
        let mut classes = 0;
        let mut first: Option<Hashed> = None;
        for hashed in &self.order {
            let costs = |hashed: &Hashed| instance.row(hashed.row()).costs();
            let is_equal = first.is_some_and(|first| {
                first.is_alike(hashed) && same_numbers(costs(&first), costs(hashed))
            });
            if !is_equal {
                first = Some(*hashed);
                classes += 1;
            }
            self.class_of_row[hashed.row()] = classes - 1;
        }
        if classes as usize == rows {
            self.class_of_row.clear();
        }
    }

    /// Lists some rows, each once, in the order of the hashes of samples of their costs. Returns
    /// how many different hashes there are.
    fn list<E: Entry>(
        &mut self,
        instance: &Instance<E>,
        rows: impl Iterator<Item = usize>,
    ) -> usize {
        self.order.clear();
        for row in rows {
            let hash = sample(instance.row(row).costs()).fold(0, hash_with);
            self.order.push(Hashed::new(hash, row));
        }
        self.order.sort_unstable();
        self.order.dedup();
        self.order.chunk_by(Hashed::is_alike).count()
    }

    fn try_reserve(&mut self, rows: usize) -> Result<(), TryReserveError> {
        self.class_of_row.clear();
        self.class_of_row.try_reserve_exact(rows)?;
        self.offset_of_class.clear();
        self.offset_of_class.try_reserve_exact(rows)?;
        self.order.clear();
        self.order.try_reserve_exact(rows)
    }

    /// Prepares for a search.
    pub fn begin_search(&mut self) {
        if self.are_there() {
            self.offset_of_class.clear();
            // Within what was set aside.
            let classes = self.class_of_row.len();
            self.offset_of_class.resize(classes, R::NEG_INFINITY);
        }
    }

    /// Has the search swept an equal row with an offset as large or larger? If not, it is about to
    /// sweep this one.
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

/// 32 bits of a hash of a row's costs, then the row's index. One word, as it is sorted faster than
/// a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Hashed(u64);

impl Hashed {
    fn new(hash: u64, row: usize) -> Self {
        Hashed(hash >> 32 << 32 | row as u64)
    }

    /// Fewer than 2^31, as the op's outputs are i32.
    fn row(self) -> usize {
        self.0 as u32 as usize
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.0 >> 32 == other.0 >> 32
    }
}

/// 2^64 divided by the golden ratio: Knuth, The Art of Computer Programming 3, section 6.4.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Draws 3√n of n rows, as if at random. That many show whether most rows have an equal: if n/2
/// pairs are equal, both rows of four or five pairs are drawn ("birthday problem").
fn draw(rows: usize) -> impl Iterator<Item = usize> {
    let draws = (3 * rows.isqrt()).min(rows) as u64;
    // Squares, as multiples alone would be spread too evenly.
    let fractions = (0..draws).map(|draw| (draw * draw).wrapping_mul(SPREAD) >> 32);
    fractions.map(move |fraction| ((fraction * rows as u64) >> 32) as usize)
}

/// A few costs from all over a row.
fn sample<E>(costs: &[E]) -> impl Iterator<Item = &E> {
    const PLACES: usize = 8;
    let apart = costs.len().div_ceil(PLACES);
    (0..PLACES).filter_map(move |place| costs.get(place * apart))
}

/// Takes one more cost into a hash.
fn hash_with<E: Entry>(hash: u64, cost: &E) -> u64 {
    (hash.rotate_left(5) ^ cost.widen().to_bits()).wrapping_mul(SPREAD)
}

/// Are the costs of two rows the same, forbidden pairs included?
fn same_numbers<E: Entry>(a: &[E], b: &[E]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}
