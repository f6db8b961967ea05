//! Lower bounds of reduced costs: for each row, one number for each quad of columns.
//!
//! v never rises, so the least c_ij − v_j of a quad, as some pass has found it, stays a lower bound
//! of what the quad holds. A search that knows how long its path is at most leaves out the quads
//! whose bounds are beyond that: see [`crate::sweep::near`].
//!
//! Rounding does no harm: it keeps the order of numbers, so c − v as computed does not fall either
//! while v falls.

use crate::number::arithmetic::{Arithmetic, smaller};
use crate::sweep::per_column::{PerQuad, quads};

/// Lower bounds of the rows of an instance, if they are kept. Belongs to a solver and is reused.
#[derive(Debug, Default)]
pub struct Bounds<R> {
    /// Row after row.
    numbers: Vec<R>,
    /// How many numbers a row has, padding included: whole vectors. 0 if none are kept.
    stride: usize,
}

/// Columns from which bounds are kept: a shorter row has few quads that can be left out. (At 640
/// they cost a twentieth more time.)
const COLUMNS: usize = 720;
/// Where there are this many columns for each row, or more, no bounds are kept: few rows compete
/// for a column, so there are hardly any searches.
const COLUMNS_PER_ROW: usize = 2;

impl<R: Arithmetic> Bounds<R> {
    /// Keeps none from now on.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.stride = 0;
    }

    /// Are there bounds?
    #[inline(always)]
    pub fn are_kept(&self) -> bool {
        self.stride > 0
    }

    /// Keeps bounds for an instance of `rows × cols` from now on, if it is large enough: −inf,
    /// until something is known. Without memory for that none are kept: answers do not depend on
    /// it.
    ///
    /// Bounds take a number for each quad of each row (of 64 costs in f32, of 32 in f64), and up to
    /// one vector for each row.
    #[inline(always)]
    pub fn keep<const W: usize>(&mut self, rows: usize, cols: usize) {
        if cols >= COLUMNS && cols / COLUMNS_PER_ROW < rows {
            self.make_room(rows, quads::<W>(cols).next_multiple_of(W));
        }
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, rows: usize, stride: usize) {
        self.numbers.clear();
        if let Some(count) = rows.checked_mul(stride)
            && self.numbers.try_reserve_exact(count).is_ok()
        {
            self.numbers.resize(count, R::NEG_INFINITY);
            self.stride = stride;
        }
    }

    /// The bounds of a row: one for each quad, then padding.
    #[inline(always)]
    pub fn of_row(&self, row: usize) -> &[R] {
        &self.numbers[row * self.stride..][..self.stride]
    }

    /// As [`Bounds::of_row`], to be changed.
    #[inline(always)]
    pub fn of_row_mut(&mut self, row: usize) -> &mut [R] {
        &mut self.numbers[row * self.stride..][..self.stride]
    }

    /// Takes over what a pass over the reduced costs of a row of `cols` columns has found, if
    /// nothing is known of this row yet. (Later passes of row reduction would find little more, for
    /// as much work.) Not inlined, so that it costs nothing where no bounds are kept.
    #[inline(never)]
    pub fn take<const W: usize>(&mut self, row: usize, cols: usize, quad_least: &PerQuad<R>) {
        let quads = quads::<W>(cols);
        let bounds = &mut self.of_row_mut(row)[..quads];
        if bounds[0] > R::NEG_INFINITY {
            return;
        }
        let least_of = quad_least.vectors.quads::<W>(quads);
        for (quad, bound) in bounds.iter_mut().enumerate() {
            // Four at a time, as any processor can.
            let mut least = [R::INFINITY; 4];
            for four in least_of.at(quad)[0].as_chunks::<4>().0 {
                for (least, &value) in least.iter_mut().zip(four) {
                    *least = smaller(value, *least);
                }
            }
            *bound = smaller(smaller(least[3], least[2]), smaller(least[1], least[0]));
        }
    }
}
