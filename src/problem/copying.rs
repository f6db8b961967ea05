//! Copies of costs that cannot be read where they lie.
//!
//! What stands against it: a mask with gaps, more rows than columns, maximisation, costs of 16 bits, or a narrow problem that has
//! to be padded.

use std::collections::TryReserveError;

use crate::number::arithmetic::Arithmetic;
use crate::problem::given::Problem;
use crate::problem::indices::Indices;
use crate::simd::cost::{Cost, Entry, LanesWork};
use crate::simd::ops::{Lanes, Vectors, Work};
use crate::sweep::row::PREFETCH_DISTANCE;

/// Copies the costs of existing rows and columns, in the sense of minimising.
pub struct CopyCosts<'c, 'a, T: Cost> {
    /// The problem whose costs are copied.
    pub problem: &'c Problem<'a, T>,
    /// Existing rows of the user's matrix.
    pub rows: &'c Indices,
    /// Existing columns.
    pub cols: &'c Indices,
    /// The copy is transposed: the user's rows become its columns.
    pub transposed: bool,
    /// Rows and columns of the copy, padding included. Padding becomes +inf.
    pub size: (usize, usize),
    /// The copy.
    pub copy: &'c mut Vec<T::Entry>,
    /// Room for one line of costs on its way into the copy.
    pub line: &'c mut Vec<T::Entry>,
}

impl<T: Cost> Work for CopyCosts<'_, '_, T> {
    type Output = Result<(), TryReserveError>;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> Self::Output {
        let CopyCosts {
            problem,
            rows,
            cols,
            transposed,
            size: (height, width),
            copy,
            line,
        } = self;
        // A part of a matrix that exists, or with padding still a small one: the product fits.
        make_size(copy, height * width)?;
        let negate = problem.options.maximize;
        let all_exist = rows.count() * cols.count() == problem.cost.len();
        if all_exist && !transposed && !negate && width == problem.cols {
            // Nothing but the type stands against it.
            let (costs, padding) = copy.split_at_mut(problem.cost.len());
            T::copy_to_entries(problem.cost, costs);
            padding.fill(T::Entry::INFINITY);
            return Ok(());
        }
        // As the user has it, if that is in another type; and what is kept of it, if that is to be transposed.
        make_size(line, 2 * problem.cols)?;
        let (line, kept) = line.split_at_mut(problem.cols);
        let real_rows = if transposed {
            cols.count()
        } else {
            rows.count()
        };
        for (index, row) in rows.iter().enumerate() {
            let costs = &problem.cost[row * problem.cols..][..problem.cols];
            let costs = T::as_entries(costs).unwrap_or_else(|| {
                T::copy_to_entries(costs, line);
                line
            });
            if transposed {
                let kept = &mut kept[..cols.count()];
                keep(vectors, costs, cols, negate, kept);
                for (to, &cost) in copy.chunks_exact_mut(width).zip(&*kept) {
                    to[index] = cost;
                }
            } else {
                let (to, padding) = copy[index * width..][..width].split_at_mut(cols.count());
                keep(vectors, costs, cols, negate, to);
                padding.fill(T::Entry::INFINITY);
            }
        }
        if transposed && width > rows.count() {
            for row in copy.chunks_exact_mut(width).take(real_rows) {
                row[rows.count()..].fill(T::Entry::INFINITY);
            }
        }
        copy[real_rows * width..].fill(T::Entry::INFINITY);
        Ok(())
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

/// Copies those costs of one row that belong to existing columns.
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
            to,
        } = self;
        let zero = lanes.splat(E::ZERO);
        if let Some(start) = cols.start() {
            let costs = &costs[start..][..to.len()];
            if !negate {
                to.copy_from_slice(costs);
                return;
            }
            let (chunks, rest) = costs.as_chunks::<W>();
            let (to_chunks, to_rest) = to.as_chunks_mut::<W>();
            for (to, costs) in to_chunks.iter_mut().zip(chunks) {
                lanes.prefetch(
                    costs
                        .as_ptr()
                        .wrapping_add(PREFETCH_DISTANCE / size_of::<E>()),
                );
                lanes.store(lanes.subtract(zero, lanes.load(costs)), to);
            }
            for (to, &cost) in to_rest.iter_mut().zip(rest) {
                *to = E::ZERO - cost;
            }
            return;
        }
        let mut at = 0;
        for start in (0..costs.len()).step_by(W) {
            lanes.prefetch(
                costs
                    .as_ptr()
                    .wrapping_add(start + PREFETCH_DISTANCE / size_of::<E>()),
            );
            let bits = cols.bits(start, W);
            let mut kept = lanes.pack(E::load_part(lanes, costs, start), bits);
            if negate {
                kept = lanes.subtract(zero, kept);
            }
            let end = at + bits.count_ones() as usize;
            if let Some(to) = to[at..].first_chunk_mut::<W>() {
                // What is written behind those that are kept is written over.
                lanes.store(kept, to);
            } else {
                let mut numbers = [E::ZERO; W];
                lanes.store(kept, &mut numbers);
                to[at..end].copy_from_slice(&numbers[..end - at]);
            }
            at = end;
        }
    }
}
