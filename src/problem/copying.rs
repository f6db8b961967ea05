//! Copies of costs that cannot be read where they lie.
//!
//! That is so with a mask with gaps, more rows than columns, maximisation, costs of 16 bits or of
//! extreme size, or a narrow problem that has to be padded.

use std::collections::TryReserveError;

use crate::number::arithmetic::Arithmetic;
use crate::problem::given::Problem;
use crate::problem::indices::{Indices, WORD};
use crate::simd::cost::{Cost, Entry, LanesWork};
use crate::simd::ops::{Lanes, TILE, Vectors, Work};
use crate::sweep::row::PREFETCH_DISTANCE;

/// How the costs of a problem lie in an instance.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The user's rows are the instance's columns.
    pub transposed: bool,
    /// Rows and columns of the instance.
    pub shape: (usize, usize),
    /// Rows and columns of a copy, padding included. Padding is +inf.
    pub size: (usize, usize),
}

impl Layout {
    /// Does a copy have padding?
    #[inline(always)]
    pub fn is_padded(&self) -> bool {
        self.size != self.shape
    }
}

/// Copies the costs of existing rows and columns, in the sense of minimising.
pub struct CopyCosts<'c, 'a, T: Cost> {
    /// The problem whose costs are copied.
    pub problem: &'c Problem<'a, T>,
    /// Existing rows of the user's matrix.
    pub rows: &'c Indices,
    /// Existing columns.
    pub cols: &'c Indices,
    /// How they lie in the copy.
    pub layout: Layout,
    /// The copy.
    pub copy: &'c mut Vec<T::Entry>,
    /// Room for rows of costs on their way into the copy.
    pub line: &'c mut Vec<T::Entry>,
}

impl<T: Cost> Work for CopyCosts<'_, '_, T> {
    type Output = Result<(), TryReserveError>;

    #[inline(always)]
    fn run<V: Vectors>(mut self, vectors: V) -> Self::Output {
        let Layout {
            transposed,
            shape: (real_rows, _),
            size: (height, width),
        } = self.layout;
        // A part of a matrix that exists, or with padding still a small one: the product fits.
        make_size(self.copy, height * width)?;
        let all_exist = self.rows.count() * self.cols.count() == self.problem.cost.len();
        let is_changed = transposed || self.problem.options.maximize;
        if all_exist && !is_changed && width == self.problem.cols {
            self.copy_all();
            return Ok(());
        }
        if transposed {
            self.copy_transposed(vectors)?;
        } else {
            self.copy_rows(vectors)?;
        }
        self.copy[real_rows * width..].fill(T::Entry::INFINITY);
        Ok(())
    }
}

impl<T: Cost> CopyCosts<'_, '_, T> {
    /// Copies all rows as they are. They could be read where they lie, but for their type or
    /// magnitude or missing rows of padding.
    #[inline(always)]
    fn copy_all(&mut self) {
        let cost = self.problem.cost;
        let (costs, padding) = self.copy.split_at_mut(cost.len());
        T::copy_to_entries(cost, costs);
        padding.fill(T::Entry::INFINITY);
    }

    /// Copies rows one by one, without what does not exist.
    #[inline(always)]
    fn copy_rows<V: Vectors>(&mut self, vectors: V) -> Result<(), TryReserveError> {
        let (problem, cols) = (self.problem, self.cols);
        let (_, width) = self.layout.size;
        let line = room(self.line, converted(problem))?;
        for (row, start) in self.rows.iter().zip((0..).step_by(width.max(1))) {
            let costs = entries_of(problem, row, line);
            // What is written behind the row, the next one overwrites.
            let to = &mut self.copy[start..];
            keep(vectors, costs, cols, problem.options.maximize, to);
            to[cols.count()..width].fill(T::Entry::INFINITY);
        }
        Ok(())
    }

    /// Copies rows as columns.
    #[inline(always)]
    fn copy_transposed<V: Vectors>(&mut self, vectors: V) -> Result<(), TryReserveError> {
        let (problem, rows, cols) = (self.problem, self.rows, self.cols);
        let (_, width) = self.layout.size;
        // Rows that do not fill a tile are copied one by one.
        let fills_tile = cols.count() >= TILE;
        // All costs and the first existing column, if rows can be transposed where they lie.
        let plain = T::as_entries(problem.cost).zip(cols.start());
        let plain = plain.filter(|_| fills_tile && !problem.options.maximize);
        let kept_rows = match (plain.is_some(), fills_tile) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => TILE,
        };
        let of_line = converted(problem);
        let line = room(self.line, of_line + kept_rows * cols.count())?;
        let (line, kept) = line.split_at_mut(of_line);
        let mut columns = CopyTransposed {
            problem,
            rows,
            cols,
            plain,
            width,
            copy: self.copy,
            line,
            kept,
        };
        if fills_tile {
            columns.by_tiles(vectors);
        } else {
            columns.row_by_row(vectors);
        }
        for row in self.copy.chunks_exact_mut(width).take(cols.count()) {
            row[rows.count()..].fill(T::Entry::INFINITY);
        }
        Ok(())
    }
}

/// How much room a row takes that has to be converted.
#[inline(always)]
fn converted<T: Cost>(problem: &Problem<T>) -> usize {
    match T::as_entries(problem.cost) {
        Some(_) => 0,
        None => problem.cols,
    }
}

/// A row of the user's matrix; in `line`, if it is of another type.
#[inline(always)]
fn entries_of<'b, 'a: 'b, T: Cost>(
    problem: &Problem<'a, T>,
    row: usize,
    line: &'b mut [T::Entry],
) -> &'b [T::Entry] {
    let costs = &problem.cost[row * problem.cols..][..problem.cols];
    match T::as_entries(costs) {
        Some(entries) => entries,
        None => {
            T::copy_to_entries(costs, line);
            line
        }
    }
}

/// Copies costs so that the user's rows become columns. There are more rows than columns.
struct CopyTransposed<'c, 'a, T: Cost> {
    problem: &'c Problem<'a, T>,
    rows: &'c Indices,
    cols: &'c Indices,
    /// All costs and the first existing column, if rows can be transposed where they lie.
    plain: Option<(&'a [T::Entry], usize)>,
    /// Columns of the copy, padding included.
    width: usize,
    copy: &'c mut [T::Entry],
    line: &'c mut [T::Entry],
    /// Room for what is kept of a row, or of the rows of a tile.
    kept: &'c mut [T::Entry],
}

impl<T: Cost> CopyTransposed<'_, '_, T> {
    #[inline(always)]
    fn row_by_row<V: Vectors>(&mut self, vectors: V) {
        let negate = self.problem.options.maximize;
        for (place, row) in self.rows.iter().enumerate() {
            let costs = entries_of(self.problem, row, self.line);
            keep(vectors, costs, self.cols, negate, self.kept);
            for (to, &cost) in self.copy.chunks_exact_mut(self.width).zip(&*self.kept) {
                to[place] = cost;
            }
        }
    }

    /// Takes as many rows at a time as a tile has: to write a single column touches a cache line
    /// for each number.
    #[inline(always)]
    fn by_tiles<V: Vectors>(&mut self, vectors: V) {
        let (problem, rows, cols) = (self.problem, self.rows, self.cols);
        let (count, length) = (rows.count(), cols.count());
        let negate = problem.options.maximize;
        for first in (0..count).step_by(TILE) {
            // The last one overlaps the one before.
            let first = first.min(count - TILE);
            if self.plain.is_none() {
                for place in 0..TILE {
                    let costs = entries_of(problem, rows.get(first + place), self.line);
                    let kept = &mut self.kept[place * length..];
                    keep(vectors, costs, cols, negate, kept);
                }
            }
            let mut tile: [&[T::Entry]; TILE] = [&[]; TILE];
            for (place, row) in tile.iter_mut().enumerate() {
                *row = match self.plain {
                    Some((costs, start)) => {
                        &costs[rows.get(first + place) * problem.cols + start..][..length]
                    }
                    None => &self.kept[place * length..][..length],
                };
            }
            let work = Transpose {
                rows: &tile,
                width: self.width,
                to: &mut self.copy[first..],
            };
            T::Entry::run_in_own_lanes(vectors, work);
        }
    }
}

/// Writes rows of equal length, a tile's or more, as columns, at the front of rows of `width`.
struct Transpose<'c, E> {
    rows: &'c [&'c [E]; TILE],
    width: usize,
    to: &'c mut [E],
}

impl<E: Entry> LanesWork<E> for Transpose<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<W, Number = E>, const W: usize>(self, lanes: L) {
        let Transpose { rows, width, to } = self;
        let length = rows[0].len();
        let whole = length / TILE;
        let mut parts: [&[[E; TILE]]; TILE] = [&[]; TILE];
        for (parts, row) in parts.iter_mut().zip(rows) {
            *parts = &row.as_chunks().0[..whole];
        }
        let zeros = [E::ZERO; TILE];
        let mut tile = [&zeros; TILE];
        for part in 0..whole {
            for (row, parts) in tile.iter_mut().zip(&parts) {
                *row = &parts[part];
                // A cache line holds two parts, or one of f64.
                if part % 2 == 0 {
                    prefetch_after(lanes, *row);
                }
            }
            write_tile(lanes.transpose(tile), part * TILE * width, width, to);
        }
        if whole * TILE < length {
            // Overlaps the one before.
            for (last, row) in tile.iter_mut().zip(rows) {
                *last = row.last_chunk().expect("a row is as long as a tile");
            }
            write_tile(lanes.transpose(tile), (length - TILE) * width, width, to);
        }
    }
}

/// Writes a tile whose rows begin `width` apart, the first of them at `start`.
#[inline(always)]
fn write_tile<E: Entry>(tile: [[E; TILE]; TILE], mut start: usize, width: usize, to: &mut [E]) {
    for numbers in &tile {
        let to = to[start..].first_chunk_mut();
        *to.expect("a row has room for a tile") = *numbers;
        start += width;
    }
}

/// Gives a list a size. What was in it need not be kept.
fn make_size<E: Entry>(list: &mut Vec<E>, size: usize) -> Result<(), TryReserveError> {
    if list.len() != size {
        list.clear();
        list.try_reserve_exact(size)?;
        list.resize(size, E::INFINITY);
    }
    Ok(())
}

/// The first `size` numbers of a list that is made longer if need be. Their values are unspecified.
fn room<E: Entry>(list: &mut Vec<E>, size: usize) -> Result<&mut [E], TryReserveError> {
    if list.len() < size {
        make_size(list, size)?;
    }
    Ok(&mut list[..size])
}

/// Copies those costs of one row that belong to existing columns to the front of `to`, and may
/// write anything behind them.
#[inline(always)]
fn keep<V: Vectors, E: Entry>(vectors: V, costs: &[E], cols: &Indices, negate: bool, to: &mut [E]) {
    let work = KeepColumns {
        costs,
        cols,
        negate,
        to,
    };
    E::run_in_own_lanes(vectors, work);
}

/// As [`keep`], in vectors of some type.
struct KeepColumns<'a, E> {
    costs: &'a [E],
    cols: &'a Indices,
    negate: bool,
    to: &'a mut [E],
}

impl<E: Entry> LanesWork<E> for KeepColumns<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes<W, Number = E>, const W: usize>(self, lanes: L) {
        let KeepColumns {
            costs,
            cols,
            negate,
            mut to,
        } = self;
        if let Some(start) = cols.start() {
            let (costs, to) = (&costs[start..][..cols.count()], &mut to[..cols.count()]);
            if !negate {
                to.copy_from_slice(costs);
                return;
            }
            let (chunks, rest) = costs.as_chunks::<W>();
            let (to_chunks, to_rest) = to.as_chunks_mut::<W>();
            for (to, costs) in to_chunks.iter_mut().zip(chunks) {
                prefetch_after(lanes, costs);
                lanes.store(signed(lanes, lanes.load(costs), true), to);
            }
            for (to, &cost) in to_rest.iter_mut().zip(rest) {
                *to = E::ZERO - cost;
            }
            return;
        }
        for (&word, costs) in cols.words().iter().zip(costs.chunks(WORD)) {
            let (chunks, rest) = costs.as_chunks::<W>();
            let mut bits = word;
            for costs in chunks {
                prefetch_after(lanes, costs);
                to = pack(lanes, signed(lanes, lanes.load(costs), negate), bits, to);
                bits = bits.unbounded_shr(W as u32);
            }
            if !rest.is_empty() {
                let costs = E::load_part(lanes, rest, 0);
                to = pack(lanes, signed(lanes, costs, negate), bits, to);
            }
        }
    }
}

/// The numbers, or those of the other sign.
#[inline(always)]
fn signed<L: Lanes<W>, const W: usize>(lanes: L, numbers: L::Vector, negate: bool) -> L::Vector {
    if negate {
        lanes.subtract(lanes.splat(L::Number::ZERO), numbers)
    } else {
        numbers
    }
}

/// Writes those numbers whose bit is set, of the lowest `W`, to the front of `to`, and returns what
/// follows them there, where anything may have been written.
#[inline(always)]
fn pack<L: Lanes<W, Number = E>, E: Entry, const W: usize>(
    lanes: L,
    numbers: L::Vector,
    bits: u64,
    to: &mut [E],
) -> &mut [E] {
    let bits = bits & (u64::MAX >> (WORD - W));
    let count = bits.count_ones() as usize;
    if let Some(to) = to.first_chunk_mut() {
        lanes.store_packed(numbers, bits, to);
    } else {
        let mut packed = [E::ZERO; W];
        lanes.store_packed(numbers, bits, &mut packed);
        to[..count].copy_from_slice(&packed[..count]);
    }
    &mut to[count..]
}

/// Asks for the costs that lie [`PREFETCH_DISTANCE`] behind some.
#[inline(always)]
fn prefetch_after<L: Lanes<W>, E, const W: usize>(lanes: L, costs: &[E]) {
    let at = costs.as_ptr();
    lanes.prefetch(at.wrapping_add(PREFETCH_DISTANCE / size_of::<E>()));
}
