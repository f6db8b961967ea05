//! One assignment problem: a cost matrix, who exists, what may stay unmatched.
//!
//! [`Problem`] is what the user gave. [`Problem::prepare`] judges every existing entry and presents the
//! problem to the solver as an [`Instance`]: a minimisation with no more rows than columns, its costs in rows of
//! f32 or f64. Where the user's matrix is one as it stands, it is read where it lies; where masks with gaps,
//! transposition, maximisation, 16-bit costs or costs of extreme size stand against that, it is copied.

use std::collections::TryReserveError;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::arithmetic::Arithmetic;
use crate::copying::{self, CopyCosts};
use crate::lanes::{DOUBLES, LaneWise, Lanes, Vectors};
use crate::survey::Survey;
use crate::sweep::Row;

/// A cost as it stands in the input. Widening to f64 is exact for every implementor.
pub trait Cost: Copy {
    /// The form in which the solver reads it.
    type Entry: Entry;

    /// The same number as an f64.
    fn widen(self) -> f64;

    /// The costs as entries, if they are.
    fn as_entries(costs: &[Self]) -> Option<&[Self::Entry]>;

    /// Writes the same numbers as entries.
    fn copy_to_entries(costs: &[Self], entries: &mut [Self::Entry]);
}

/// A cost that the solver reads: f32 or f64.
pub trait Entry: Cost<Entry = Self> + Arithmetic + 'static {
    /// No cost is so large or small that it has to be scaled.
    const IS_NEVER_SCALED: bool;

    /// Reads a vector of them.
    fn load<L: Lanes<W>, const W: usize>(lanes: L, costs: &[Self; W]) -> L::Vector;

    /// Reads those of `costs` from `start` on; the lanes behind the last are +inf.
    fn load_part<L: Lanes<W>, const W: usize>(lanes: L, costs: &[Self], start: usize) -> L::Vector;

    /// Lane l of vector c is number c of row l.
    fn transpose<L: LaneWise>(lanes: L, rows: [&[Self; DOUBLES]; DOUBLES]) -> [L::Vector; DOUBLES];

    /// The same number times ±2^k, rounded if it must be.
    fn times(self, factor: f64) -> Self;

    /// Is every one of them finite or forbidden?
    fn are_valid(costs: &[Self]) -> bool;

    /// [`Survey::look`], in vectors of this type.
    fn survey<V: Vectors>(
        vectors: V,
        survey: &mut Survey<Self>,
        costs: &[Self],
        stride: usize,
        shape: (usize, usize),
        balanced: bool,
    ) -> f64;

    /// [`copying::keep_columns`], in vectors of this type.
    fn keep<V: Vectors>(vectors: V, costs: &[Self], cols: &Names, negate: bool, to: &mut [Self]);
}

macro_rules! entry {
    ($entry:ident, $vectors:ident, $load:ident, $load_part:ident, $transpose:ident) => {
        impl Cost for $entry {
            type Entry = Self;

            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn as_entries(costs: &[Self]) -> Option<&[Self]> {
                Some(costs)
            }
            #[inline(always)]
            fn copy_to_entries(costs: &[Self], entries: &mut [Self]) {
                entries.copy_from_slice(costs);
            }
        }

        impl Entry for $entry {
            const IS_NEVER_SCALED: bool = $entry::MAX_EXP < 900;

            #[inline(always)]
            fn load<L: Lanes<W>, const W: usize>(lanes: L, costs: &[Self; W]) -> L::Vector {
                lanes.$load(costs)
            }
            #[inline(always)]
            fn load_part<L: Lanes<W>, const W: usize>(
                lanes: L,
                costs: &[Self],
                start: usize,
            ) -> L::Vector {
                lanes.$load_part(costs, start)
            }
            #[inline(always)]
            fn transpose<L: LaneWise>(
                lanes: L,
                rows: [&[Self; DOUBLES]; DOUBLES],
            ) -> [L::Vector; DOUBLES] {
                lanes.$transpose(rows)
            }
            #[inline(always)]
            fn times(self, factor: f64) -> Self {
                (f64::from(self) * factor) as $entry
            }
            #[inline(always)]
            fn are_valid(costs: &[Self]) -> bool {
                // False for NaN and for the other infinity only.
                let mut valid = true;
                for &cost in costs {
                    valid &= cost > Self::NEG_INFINITY;
                }
                valid
            }
            #[inline(always)]
            fn survey<V: Vectors>(
                vectors: V,
                survey: &mut Survey<Self>,
                costs: &[Self],
                stride: usize,
                shape: (usize, usize),
                balanced: bool,
            ) -> f64 {
                survey.look(vectors.$vectors(), costs, stride, shape, balanced)
            }
            #[inline(always)]
            fn keep<V: Vectors>(
                vectors: V,
                costs: &[Self],
                cols: &Names,
                negate: bool,
                to: &mut [Self],
            ) {
                copying::keep_columns(vectors.$vectors(), costs, cols, negate, to);
            }
        }
    };
}
entry!(f32, singles, load_f32, load_part_f32, transpose_f32);
entry!(f64, doubles, load_f64, load_part_f64, transpose_f64);

macro_rules! half_cost {
    ($cost:ident) => {
        impl Cost for $cost {
            type Entry = f32;

            fn widen(self) -> f64 {
                self.to_f64()
            }
            fn as_entries(_costs: &[Self]) -> Option<&[f32]> {
                None
            }
            fn copy_to_entries(costs: &[Self], entries: &mut [f32]) {
                costs.convert_to_f32_slice(entries);
            }
        }
    };
}
half_cost!(f16);
half_cost!(bf16);

/// Which rows (or columns) of a problem exist.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// All of them, or none: a scalar mask.
    Uniform(bool),
    /// One flag each.
    Each(&'a [bool]),
}

impl Mask<'_> {
    /// Does the row (or column) at `index` exist?
    pub fn exists(&self, index: usize) -> bool {
        match self {
            Mask::Uniform(exists) => *exists,
            Mask::Each(flags) => flags[index],
        }
    }
}

/// What may stay unmatched, and what is better.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Finite L: a row or column may stay unmatched at L/2 each. Infinite, either sign: as many pairs as
    /// the shorter side has are required. NaN: the problem is invalid.
    pub cost_limit: f64,
    /// As if costs and limit were negated.
    pub maximize: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cost_limit: f64::INFINITY,
            maximize: false,
        }
    }
}

impl Options {
    /// The sign that turns the problem into a minimisation.
    pub fn sign(&self) -> f64 {
        if self.maximize { -1.0 } else { 1.0 }
    }
}

/// One problem as the user gave it. `cost` is row-major, `rows × cols`.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a, T> {
    /// Row-major costs, `rows * cols` of them.
    pub cost: &'a [T],
    /// Number of rows, masked ones included.
    pub rows: usize,
    /// Number of columns, masked ones included.
    pub cols: usize,
    /// Which rows exist.
    pub row_mask: Mask<'a>,
    /// Which columns exist.
    pub col_mask: Mask<'a>,
    /// Sense and limit.
    pub options: Options,
}

/// Why a problem is invalid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Invalid {
    /// The limit is NaN.
    Limit,
    /// An existing entry is NaN or an infinity of the wrong sign.
    Entry {
        /// Its row.
        row: usize,
        /// Its column.
        col: usize,
        /// What stands there.
        value: f64,
    },
}

/// Why a problem has no instance.
#[derive(Debug)]
pub enum Unprepared {
    /// The problem is invalid.
    Invalid(Invalid),
    /// There is no memory for the copy that it needs.
    Memory(TryReserveError),
}

/// Names and copies of a problem's costs. Belongs to a worker and is reused.
#[derive(Debug)]
pub struct Layout<E> {
    /// Existing rows of the user's matrix.
    rows: Names,
    /// Existing columns of the user's matrix.
    cols: Names,
    /// Costs that could not be read where they lie.
    copy: Vec<E>,
    /// One line of costs on its way into the copy.
    line: Vec<E>,
    survey: Survey<E>,
}

impl<E> Default for Layout<E> {
    fn default() -> Self {
        Layout {
            rows: Names::default(),
            cols: Names::default(),
            copy: Vec::new(),
            line: Vec::new(),
            survey: Survey::default(),
        }
    }
}

impl<E: Entry> Layout<E> {
    /// Makes room for problems of up to `rows × cols`. What copies need is allocated with the first of them.
    pub fn try_reserve(&mut self, rows: usize, cols: usize) -> Result<(), TryReserveError> {
        self.survey.try_reserve(rows, cols)?;
        self.rows.try_reserve(rows)?;
        self.cols.try_reserve(cols)
    }
}

/// Indices that share a word.
const FLAGS: usize = u64::BITS as usize;

/// The user's indices of an instance's rows or columns, ascending.
#[derive(Debug, Default)]
pub struct Names {
    list: Vec<i32>,
    /// One bit for each index, where a mask has one flag for each.
    flags: Vec<u64>,
    /// The indices are without gaps, as far as the list goes.
    contiguous: bool,
}

impl Names {
    fn try_reserve(&mut self, length: usize) -> Result<(), TryReserveError> {
        self.list.clear();
        self.contiguous = false;
        self.flags.clear();
        self.flags.try_reserve_exact(length.div_ceil(FLAGS))?;
        self.list.try_reserve_exact(length)
    }

    /// Lists those of the first `length` indices that exist. Indices fit int32, which the batch checks.
    #[inline(always)]
    fn fill(&mut self, length: usize, mask: Mask) {
        if let Mask::Uniform(true) = mask
            && self.contiguous
            && self.list.len() == length
            && self.list.first().is_none_or(|&first| first == 0)
        {
            return; // As the last problem left it.
        }
        self.list.clear();
        self.flags.clear();
        match mask {
            Mask::Uniform(false) => {}
            Mask::Uniform(true) => self.list.extend(0..length as i32),
            Mask::Each(flags) => self.fill_from(flags),
        }
        self.contiguous = match (self.list.first(), self.list.last()) {
            (Some(&first), Some(&last)) => (last - first) as usize + 1 == self.list.len(),
            _ => true,
        };
    }

    /// Lists those whose flag is set, without a branch on each.
    #[inline(always)]
    fn fill_from(&mut self, flags: &[bool]) {
        for (chunk, first) in flags.chunks(FLAGS).zip((0..).step_by(FLAGS)) {
            let mut word = 0;
            for (bit, &flag) in chunk.iter().enumerate() {
                word |= u64::from(flag) << bit;
            }
            self.flags.push(word);
            while word != 0 {
                self.list.push(first + word.trailing_zeros() as i32);
                word &= word - 1;
            }
        }
    }

    /// One bit for each of the `count` indices from `start` on, which is a multiple of it, as a mask with gaps has them.
    #[inline(always)]
    pub fn bits(&self, start: usize, count: usize) -> u64 {
        self.flags[start / FLAGS] >> (start % FLAGS) & (u64::MAX >> (FLAGS - count))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.list.iter().map(|&index| index as usize)
    }

    /// The user's index of the instance's row (or column) `index`.
    #[inline(always)]
    pub fn get(&self, index: usize) -> usize {
        self.list[index] as usize
    }

    /// Are they 0, 1, 2, …?
    #[inline(always)]
    pub fn is_identity(&self) -> bool {
        self.start() == Some(0)
    }

    /// Where they start, if they are without gaps.
    pub fn start(&self) -> Option<usize> {
        self.contiguous
            .then(|| self.list.first().map_or(0, |&first| first as usize))
    }
}

/// A minimisation problem with no more rows than columns, in the solver's terms.
#[derive(Clone, Copy, Debug)]
pub struct Instance<'a, E> {
    /// Costs of the first row, then on to the end of the last one.
    costs: &'a [E],
    /// From one row to the next.
    stride: usize,
    rows: usize,
    cols: usize,
    /// Columns and padding: costs of +inf, at the end of each row.
    width: usize,
    /// What the first look at the costs found.
    pub survey: &'a Survey<E>,
    /// The user's cost times this is the instance's: ±2^k.
    factor: f64,
    /// Half of what the limit counts as, see [`effective_limit`], in the instance's scale; +inf where every row must be matched.
    pub half_limit: f64,
    /// By how much half the user's limit is more than that, in the user's sense and scale: nearly always 0.
    pub half_limit_excess: f64,
    /// Scaling rounded nothing away from the costs, nor scaling and halving from the limit.
    pub scaling_is_exact: bool,
    /// Costs are read where the user has them.
    is_in_place: bool,
    /// max |c| over allowed pairs, in the instance's scale.
    pub largest_cost: f64,
    /// The same, or what the limit counts as if that is larger.
    pub largest: f64,
    /// The instance's rows are the user's columns.
    pub transposed: bool,
    /// User's index of each of the instance's rows.
    pub row_names: &'a Names,
    /// User's index of each of the instance's columns.
    pub col_names: &'a Names,
}

/// Instances of no more columns than this are solved side by side, see [`crate::side_by_side`].
pub const WIDEST: usize = 32;

/// Beyond this magnitude sums along an augmenting path could overflow; below its inverse, half a limit
/// or a difference of costs could lose bits. Costs outside are scaled by a power of two.
const LARGEST_UNSCALED: f64 = f64::from_bits((1023 + 900) << 52); // 2^900
const DOWNSCALE: f64 = f64::from_bits((1023 - 200) << 52); // 2^-200

/// What a finite limit L counts as in a problem whose shorter side has `shorter` rows (or columns) and whose allowed costs are
/// at most `largest` in magnitude: beyond ±4(shorter + 1)·largest it no longer changes which matchings are optimal, and would
/// only take digits from the costs. An infinite limit stays as it is; so does one where all allowed costs are 0, or there are
/// none: 0 would not do for it, and there are no digits to lose.
fn effective_limit(limit: f64, shorter: usize, largest: f64) -> f64 {
    let bound = 4.0 * (shorter as f64 + 1.0) * largest;
    if limit.is_infinite() || largest == 0.0 {
        limit
    } else {
        limit.clamp(-bound, bound)
    }
}

impl<'a, T: Cost> Problem<'a, T> {
    /// The user's cost of a pair.
    #[inline(always)]
    pub fn cost_of(&self, row: usize, col: usize) -> f64 {
        self.cost[row * self.cols + col].widen()
    }

    /// Is this a problem to be solved side by side with others?
    #[inline(always)]
    pub fn is_narrow(&self) -> bool {
        self.rows.max(self.cols) <= WIDEST
    }

    /// Columns with padding, if the problem is narrow: a width that the solver knows when it is compiled. It is the same for
    /// all problems of a batch.
    #[inline(always)]
    pub fn narrow_width(&self) -> Option<usize> {
        match self.rows.max(self.cols) {
            0..=8 => Some(8),
            9..=16 => Some(16),
            17..=WIDEST => Some(WIDEST),
            _ => None,
        }
    }

    /// Judges all existing entries and lays the problem out for the solver.
    ///
    /// Entries outside the masks are not looked at.
    #[inline(always)]
    pub fn prepare<'b, V: Vectors>(
        &self,
        vectors: V,
        layout: &'b mut Layout<T::Entry>,
    ) -> Result<Instance<'b, T::Entry>, Unprepared>
    where
        'a: 'b,
    {
        let limit = self.options.cost_limit;
        if limit.is_nan() {
            return Err(Unprepared::Invalid(Invalid::Limit));
        }
        let Layout {
            rows,
            cols,
            copy,
            line,
            survey,
        } = layout;
        rows.fill(self.rows, self.row_mask);
        cols.fill(self.cols, self.col_mask);
        let transposed = rows.len() > cols.len();

        // Where the costs lie, unless that is in the copy.
        let (shorter, longer) = (rows.len().min(cols.len()), rows.len().max(cols.len()));
        let width = match self.narrow_width() {
            Some(width) => width,
            None => longer,
        };
        // Narrow instances are squares of their width.
        let is_padded = width != longer || self.is_narrow() && width != shorter;
        let mut in_place = if transposed || self.options.maximize || is_padded {
            None
        } else {
            self.in_place(rows, cols)
        };
        let (rows, cols) = (&*rows, &*cols);
        let size = (if self.is_narrow() { width } else { shorter }, width);
        let copy_costs = |copy: &mut _, line: &mut _| {
            let work = CopyCosts {
                problem: self,
                rows,
                cols,
                transposed,
                size,
                copy,
                line,
            };
            vectors.run_apart(work).map_err(Unprepared::Memory)
        };
        if in_place.is_none() {
            copy_costs(copy, line)?;
        }
        let (row_names, col_names) = if transposed {
            (cols, rows)
        } else {
            (rows, cols)
        };
        let balanced = shorter == longer && limit.is_infinite();
        let shape = (shorter, longer);
        let entries = match in_place {
            Some(costs) => T::Entry::survey(vectors, survey, costs, self.cols, shape, balanced),
            None => T::Entry::survey(vectors, survey, copy, width, shape, balanced),
        };
        if !entries.is_finite() {
            return Err(Unprepared::Invalid(self.first_invalid(rows, cols)));
        }
        let limit = effective_limit(limit, shorter, entries);
        let largest = if limit.is_finite() {
            limit.abs().max(entries)
        } else {
            entries
        };

        let scale = if largest > LARGEST_UNSCALED {
            DOWNSCALE
        } else if largest > 0.0 && largest < 1.0 / LARGEST_UNSCALED {
            1.0 / DOWNSCALE
        } else {
            1.0
        };
        let mut scaling_is_exact = true;
        if scale != 1.0 {
            if in_place.take().is_some() {
                copy_costs(copy, line)?;
            }
            for cost in copy.iter_mut() {
                let scaled = cost.times(scale);
                scaling_is_exact &= scaled.times(1.0 / scale).widen() == cost.widen();
                *cost = scaled;
            }
            T::Entry::survey(vectors, survey, copy, width, shape, balanced);
        }
        let (costs, stride) = match in_place {
            Some(costs) => (costs, self.cols),
            None => (copy.as_slice(), width),
        };
        let factor = self.options.sign() * scale;
        let (half_limit, half_limit_excess) = if limit.is_infinite() {
            (f64::INFINITY, 0.0)
        } else {
            // Halves, whose difference cannot overflow.
            let excess = self.options.cost_limit / 2.0 - limit / 2.0;
            (limit * factor / 2.0, excess)
        };
        Ok(Instance {
            costs,
            stride,
            rows: shorter,
            cols: longer,
            width,
            survey,
            factor,
            half_limit,
            half_limit_excess,
            is_in_place: in_place.is_some(),
            scaling_is_exact: scaling_is_exact
                && (half_limit.is_infinite() || 2.0 * half_limit / factor == limit),
            largest_cost: entries * scale,
            largest: largest * scale,
            transposed,
            row_names,
            col_names,
        })
    }

    /// The costs from the first existing one on, if those of existing rows and columns lie side by side.
    #[inline(always)]
    fn in_place(&self, rows: &Names, cols: &Names) -> Option<&'a [T::Entry]> {
        let costs = T::as_entries(self.cost)?;
        let start = rows.start()? * self.cols + cols.start()?;
        costs.get(start..)
    }

    /// The first existing entry that is NaN or an infinity of the wrong sign.
    #[cold]
    fn first_invalid(&self, rows: &Names, cols: &Names) -> Invalid {
        let forbidden = self.options.sign() * f64::INFINITY;
        rows.iter()
            .flat_map(|row| cols.iter().map(move |col| (row, col)))
            .map(|(row, col)| (row, col, self.cost_of(row, col)))
            .find(|&(_, _, value)| !value.is_finite() && value != forbidden)
            .map_or(Invalid::Limit, |(row, col, value)| Invalid::Entry {
                row,
                col,
                value,
            })
    }
}

impl<'a, E: Entry> Instance<'a, E> {
    /// Number of rows; never more than [`Instance::cols`].
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Where costs end that are read where they lie, and perhaps those of the next problem begin.
    #[inline(always)]
    pub fn end(&self) -> Option<*const E> {
        self.is_in_place.then_some(self.costs.as_ptr_range().end)
    }

    /// Do all columns end up matched, if the instance is feasible?
    #[inline(always)]
    pub fn is_balanced(&self) -> bool {
        self.rows == self.cols && self.half_limit.is_infinite()
    }

    /// The costs of one row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> Row<'a, E> {
        Row::of_matrix(self.costs, self.stride, (self.rows, self.cols), row)
    }

    /// All costs of a narrow instance, padded to a square of its width.
    #[inline(always)]
    pub fn narrow_costs<const COLS: usize>(&self) -> &'a [[E; COLS]; COLS] {
        debug_assert!(self.stride == COLS && self.width == COLS);
        let rows = self.costs.as_chunks().0;
        rows.first_chunk().expect("narrow instances are padded")
    }

    /// Cost of one pair; +inf where it is forbidden.
    #[inline(always)]
    pub fn cost(&self, row: usize, col: usize) -> f64 {
        self.costs[row * self.stride + col].widen()
    }

    /// Are costs the user's but for the sign?
    #[inline(always)]
    pub fn is_unscaled(&self) -> bool {
        self.factor.abs() == 1.0
    }

    /// What turns a dual value into the user's sense and scale: ±2^k.
    #[inline(always)]
    pub fn dual_factor(&self) -> f64 {
        1.0 / self.factor
    }
}
