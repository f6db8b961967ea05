//! Many problems one after the other: each solved on its own, outputs rounded and written.
//!
//! A worker gets a contiguous range of problems. A bad problem gets its status and placeholder outputs and
//! leaves its neighbours alone.

use std::collections::TryReserveError;
use std::ops::Range;

use crate::arithmetic::Arithmetic;
use crate::exact::{Evidence, ExactSolver, GROUP, Verdict, group_of};
use crate::float_environment::DefaultEnvironment;
use crate::lanes::{DOUBLES, LaneWise, Level, PortableVectors, Vectors, Work};
use crate::lift::Lift;
use crate::narrow::{self, Narrow};
use crate::problem::{
    Cost, Entry, Instance, Invalid, Layout, Mask, Names, Options, Problem, Unprepared, WIDEST,
};
use crate::solver::{Solver, UNMATCHED};
use crate::status::Status;
use crate::sum::compensated_sum;
use crate::sweep::BLOCK;
use crate::workspace::{Keep, in_workspace};

/// What totals and duals are returned in.
pub trait Real: Copy + std::fmt::Debug + Into<f64> {
    /// The nearest number of this type; beyond its range, an infinity.
    fn round_from(value: f64) -> Self;

    /// Writes a vector, rounded likewise.
    fn store<L: LaneWise>(lanes: L, vector: L::Vector, numbers: &mut [Self; DOUBLES]);

    /// Number c of row l is lane l of vector c, rounded likewise.
    fn transpose<L: LaneWise>(
        lanes: L,
        vectors: [L::Vector; DOUBLES],
    ) -> [[Self; DOUBLES]; DOUBLES];
}

impl Real for f32 {
    #[inline(always)]
    fn round_from(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn store<L: LaneWise>(lanes: L, vector: L::Vector, numbers: &mut [Self; DOUBLES]) {
        lanes.store_f32(vector, numbers);
    }
    #[inline(always)]
    fn transpose<L: LaneWise>(
        lanes: L,
        vectors: [L::Vector; DOUBLES],
    ) -> [[Self; DOUBLES]; DOUBLES] {
        lanes.transpose_to_f32(vectors)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn round_from(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn store<L: LaneWise>(lanes: L, vector: L::Vector, numbers: &mut [Self; DOUBLES]) {
        lanes.store(vector, numbers);
    }
    #[inline(always)]
    fn transpose<L: LaneWise>(
        lanes: L,
        vectors: [L::Vector; DOUBLES],
    ) -> [[Self; DOUBLES]; DOUBLES] {
        lanes.transpose_to_f64(vectors)
    }
}

/// Sizes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of problems.
    pub problems: usize,
    /// Rows of each problem.
    pub rows: usize,
    /// Columns of each problem.
    pub cols: usize,
}

/// Inputs of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a, T: Solvable> {
    /// `[problems, rows, cols]`, row-major.
    pub cost: &'a [T],
    /// `[problems, rows]`, or one flag for all.
    pub row_mask: &'a [bool],
    /// `[problems, cols]`, or one flag for all.
    pub col_mask: &'a [bool],
    /// `[problems]`, or one limit for all; see [`Options::cost_limit`].
    pub cost_limit: &'a [T::Real],
    /// As if costs and limits were negated.
    pub maximize: bool,
}

/// Outputs of a batch; every element is written.
#[derive(Debug)]
pub struct Outputs<'a, U> {
    /// `[problems]`.
    pub total_cost: &'a mut [U],
    /// `[problems, rows]`.
    pub row_to_col: &'a mut [i32],
    /// `[problems, cols]`.
    pub col_to_row: &'a mut [i32],
    /// `[problems, rows]`.
    pub row_duals: &'a mut [U],
    /// `[problems, cols]`.
    pub col_duals: &'a mut [U],
    /// `[problems]`.
    pub status: &'a mut [i32],
}

/// Why a batch could not be run at all.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BatchError {
    /// A buffer does not have the size that the shape asks for.
    #[error("{name} has {got} elements, expected {expected} for {shape}")]
    Size {
        /// Which buffer.
        name: &'static str,
        /// Its number of elements.
        got: usize,
        /// What the shape asks for.
        expected: usize,
        /// The shape.
        shape: Shape,
    },
    /// A size is negative.
    #[error("a size is negative: got {0}, expected 0 or more")]
    NegativeSize(i64),
    /// The sizes multiply to more than this machine can address, or indices would not fit int32.
    #[error(
        "got {0}, expected at most {max} rows and columns and at most 2^64 entries in all",
        max = i32::MAX
    )]
    TooLarge(Shape),
    /// The workspace could not be had.
    #[error("no memory for the workspace of a {rows} x {cols} problem: {source}")]
    Memory {
        /// Rows of the problem.
        rows: usize,
        /// Columns of the problem.
        cols: usize,
        /// What the allocator said.
        source: TryReserveError,
    },
}

/// Element counts that follow from a shape, multiplied with care.
struct Counts {
    cost: usize,
    rows: usize,
    cols: usize,
}

impl Shape {
    fn counts(&self) -> Result<Counts, BatchError> {
        let too_large = BatchError::TooLarge(*self);
        if self.rows.max(self.cols) > i32::MAX as usize {
            return Err(too_large);
        }
        let rows = self.problems.checked_mul(self.rows);
        let cols = self.problems.checked_mul(self.cols);
        let cost = rows.and_then(|rows| rows.checked_mul(self.cols));
        match (cost, rows, cols) {
            (Some(cost), Some(rows), Some(cols)) => Ok(Counts { cost, rows, cols }),
            _ => Err(too_large),
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shape {
            problems,
            rows,
            cols,
        } = self;
        write!(f, "{problems} problems of {rows} x {cols}")
    }
}

/// Processor cycles that one problem is expected to take, for a scheduler, as measured: one pass over the matrix, and sweeps
/// that are many where all columns are wanted and few where there is a choice. Saturates at infinity.
pub fn cycles_per_problem(rows: f64, cols: f64) -> f64 {
    const FIXED: f64 = 500.0;
    const CYCLES_PER_ENTRY: f64 = 0.5;
    const CYCLES_PER_ENTRY_OF_SQUARES: f64 = 4.5;
    // Narrow problems, several at once.
    const FIXED_IF_NARROW: f64 = 100.0;
    const CYCLES_PER_ENTRY_IF_NARROW: f64 = 5.5;
    let (shorter, longer) = (rows.min(cols), rows.max(cols));
    if longer <= WIDEST as f64 {
        return FIXED_IF_NARROW + CYCLES_PER_ENTRY_IF_NARROW * rows * cols;
    }
    let sweeps = CYCLES_PER_ENTRY_OF_SQUARES * (shorter / longer).powi(2);
    FIXED + rows * cols * (CYCLES_PER_ENTRY + sweeps)
}

impl<'a, T: Solvable> Inputs<'a, T> {
    /// Checks the sizes of all inputs against `shape`.
    pub fn check(&self, shape: Shape) -> Result<(), BatchError> {
        let counts = shape.counts()?;
        expect_size("cost", self.cost.len(), counts.cost, shape)?;
        if self.row_mask.len() != 1 {
            expect_size("row_mask", self.row_mask.len(), counts.rows, shape)?;
        }
        if self.col_mask.len() != 1 {
            expect_size("col_mask", self.col_mask.len(), counts.cols, shape)?;
        }
        let limits = self.cost_limit.len();
        if limits != 1 {
            expect_size("cost_limit", limits, shape.problems, shape)?;
        }
        Ok(())
    }

    /// The problem at `index`. The sizes must have been checked.
    pub fn problem(&self, shape: Shape, index: usize) -> Problem<'a, T> {
        let Shape { rows, cols, .. } = shape;
        fn mask(flags: &[bool], length: usize, index: usize) -> Mask<'_> {
            match flags {
                [flag] => Mask::Uniform(*flag),
                _ => Mask::Each(&flags[index * length..][..length]),
            }
        }
        Problem {
            cost: &self.cost[index * rows * cols..][..rows * cols],
            rows,
            cols,
            row_mask: mask(self.row_mask, rows, index),
            col_mask: mask(self.col_mask, cols, index),
            options: Options {
                cost_limit: match self.cost_limit {
                    [limit] => *limit,
                    limits => limits[index],
                }
                .into(),
                maximize: self.maximize,
            },
        }
    }
}

fn expect_size(
    name: &'static str,
    got: usize,
    expected: usize,
    shape: Shape,
) -> Result<(), BatchError> {
    if got == expected {
        return Ok(());
    }
    Err(BatchError::Size {
        name,
        got,
        expected,
        shape,
    })
}

/// How the answers of a batch came about; see [`crate::exact`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Problems in whose solution nothing was rounded.
    pub exact: u64,
    /// Problems whose answer was proven near enough to the optimum.
    pub proven: u64,
    /// Problems that were solved again in twice the precision.
    pub redone: u64,
    /// Problems without an answer.
    pub bad: u64,
}

/// Solves all problems of a batch.
///
/// Values never make this fail: a problem that is invalid or infeasible says so in its status.
///
/// # Errors
///
/// Sizes that do not fit together, or no memory for the workspace. No output is to be relied on then.
pub fn solve<T: Solvable>(
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<T::Real>,
) -> Result<Tally, BatchError> {
    solve_at(Level::best(), shape, inputs, outputs)
}

/// As [`solve`], with the vector instructions of a certain level. The result does not depend on it.
///
/// # Errors
///
/// As [`solve`].
pub fn solve_at<T: Solvable>(
    level: Level,
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<T::Real>,
) -> Result<Tally, BatchError> {
    T::solve_at(level, shape, inputs, outputs)
}

/// A type of costs that a batch may have: all that [`Cost`] is implemented for.
///
/// Everything behind this is compiled in this crate, once. Generic functions would be compiled again in every crate that calls
/// them, which takes minutes.
pub trait Solvable: Cost {
    /// What totals and duals are returned in.
    type Real: Real;

    #[doc(hidden)]
    fn solve_at(
        level: Level,
        shape: Shape,
        inputs: &Inputs<Self>,
        outputs: &mut Outputs<Self::Real>,
    ) -> Result<Tally, BatchError>;
}

macro_rules! solvable {
    ($cost:ty, $real:ty) => {
        impl Solvable for $cost {
            type Real = $real;

            #[inline(never)]
            fn solve_at(
                level: Level,
                shape: Shape,
                inputs: &Inputs<Self>,
                outputs: &mut Outputs<$real>,
            ) -> Result<Tally, BatchError> {
                solve_any(level, shape, inputs, outputs)
            }
        }
    };
}
solvable!(half::f16, f32);
solvable!(half::bf16, f32);
solvable!(f32, f32);
solvable!(f64, f64);

fn solve_any<T: Solvable>(
    level: Level,
    shape: Shape,
    inputs: &Inputs<T>,
    outputs: &mut Outputs<T::Real>,
) -> Result<Tally, BatchError>
where
    Wide<T::Entry>: Keep,
    Narrow<T::Entry, 8>: Keep,
    Narrow<T::Entry, 16>: Keep,
    Narrow<T::Entry, 32>: Keep,
{
    inputs.check(shape)?;
    let counts = shape.counts()?;
    for (name, got, expected) in [
        ("total_cost", outputs.total_cost.len(), shape.problems),
        ("row_to_col", outputs.row_to_col.len(), counts.rows),
        ("col_to_row", outputs.col_to_row.len(), counts.cols),
        ("row_duals", outputs.row_duals.len(), counts.rows),
        ("col_duals", outputs.col_duals.len(), counts.cols),
        ("status", outputs.status.len(), shape.problems),
    ] {
        expect_size(name, got, expected, shape)?;
    }

    let Shape { rows, cols, .. } = shape;
    let out_of_memory = |source| BatchError::Memory { rows, cols, source };
    #[cfg(feature = "fault-injection")]
    crate::fault::strike().map_err(out_of_memory)?;
    let _ieee = DefaultEnvironment::on_this_thread();
    if rows.max(cols) <= WIDEST {
        return narrow::solve_at(level, shape, inputs, outputs).map_err(out_of_memory);
    }
    let group = group_of(rows, cols, size_of::<T::Entry>()).min(shape.problems);
    in_workspace((rows, cols), |workspace: &mut Wide<T::Entry>| {
        workspace.try_reserve(group, rows, cols)?;
        level.run(SolveAll {
            shape,
            inputs,
            outputs,
            group,
            workspace,
        })
    })
    .map_err(out_of_memory)
}

/// What a thread solves problems in, other than narrow ones.
#[derive(Debug)]
pub struct Wide<E> {
    layouts: [Layout<E>; GROUP],
    solver: ExactSolver,
}

impl<E> Default for Wide<E> {
    fn default() -> Self {
        Wide {
            layouts: Default::default(),
            solver: ExactSolver::default(),
        }
    }
}

impl<E: Entry> Wide<E> {
    /// Makes room for groups of up to `group` problems of up to `rows × cols`.
    fn try_reserve(
        &mut self,
        group: usize,
        rows: usize,
        cols: usize,
    ) -> Result<(), TryReserveError> {
        let mut layouts = self.layouts.iter_mut().take(group);
        layouts.try_for_each(|layout| layout.try_reserve(rows, cols))?;
        self.solver.try_reserve(group, rows, cols)
    }
}

/// A batch whose sizes have been checked, and room to solve it in.
struct SolveAll<'a, 'b, 'c, T: Solvable> {
    shape: Shape,
    inputs: &'a Inputs<'b, T>,
    outputs: &'a mut Outputs<'c, T::Real>,
    /// How many problems take turns.
    group: usize,
    workspace: &'a mut Wide<T::Entry>,
}

impl<T: Solvable> Work for SolveAll<'_, '_, '_, T> {
    type Output = Result<Tally, TryReserveError>;

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) -> Self::Output {
        let count = self.shape.problems;
        let outputs = self.outputs;
        let Wide { layouts, solver } = self.workspace;
        let mut tally = Tally::default();
        let group = self.group;
        for first in (0..count).step_by(group.max(1)) {
            let mut problems = [const { None }; GROUP];
            let mut prepared = [const { None }; GROUP];
            for (member, layout) in layouts.iter_mut().enumerate() {
                if member < group && first + member < count {
                    let problem =
                        problems[member].insert(self.inputs.problem(self.shape, first + member));
                    prepared[member] = match problem.prepare(vectors, layout) {
                        Ok(instance) => Some(instance),
                        Err(Unprepared::Invalid(_)) => None,
                        Err(Unprepared::Memory(source)) => return Err(source),
                    };
                }
            }
            let verdicts = solver.solve(vectors, &prepared)?;
            for (member, verdict) in verdicts.iter().enumerate() {
                let Some(problem) = &problems[member] else {
                    break;
                };
                let mut answer = outputs.of_problem(self.shape, first + member);
                let sign = problem.options.sign();
                let (total_cost, status) = match (&prepared[member], verdict) {
                    (Some(instance), Some(Verdict::InDouble(evidence, solver))) => {
                        tally.exact += u64::from(*evidence == Evidence::Exact);
                        tally.proven += u64::from(*evidence == Evidence::Proven);
                        answer.write(instance, solver);
                        (total_cost(problem, answer.row_to_col), Status::Optimal)
                    }
                    (Some(instance), Some(Verdict::InDoubleDouble(solver))) => {
                        tally.redone += 1;
                        answer.write(instance, solver);
                        (total_cost(problem, answer.row_to_col), Status::Optimal)
                    }
                    (_, Some(Verdict::Infeasible)) => {
                        answer.clear();
                        (sign * f64::INFINITY, Status::Infeasible)
                    }
                    (None, _) | (_, None) => {
                        answer.clear();
                        (f64::NAN, Status::Invalid)
                    }
                };
                answer.total_cost[0] = T::Real::round_from(total_cost);
                answer.status[0] = status.code();
                tally.bad += u64::from(status != Status::Optimal);
            }
        }
        Ok(tally)
    }
}

/// Outputs of one side: the rows' or the columns'.
pub(crate) struct Side<'a, U> {
    pub partners: &'a mut [i32],
    pub duals: &'a mut [U],
}

impl<U: Real> Outputs<'_, U> {
    /// The part that belongs to one problem.
    #[inline(always)]
    pub(crate) fn of_problem(&mut self, shape: Shape, index: usize) -> Outputs<'_, U> {
        self.of_problems(shape, index..index + 1)
    }

    /// The part that belongs to some problems.
    #[inline(always)]
    pub(crate) fn of_problems(&mut self, shape: Shape, range: Range<usize>) -> Outputs<'_, U> {
        let Shape { rows, cols, .. } = shape;
        let rows = range.start * rows..range.end * rows;
        let cols = range.start * cols..range.end * cols;
        Outputs {
            total_cost: &mut self.total_cost[range.clone()],
            row_to_col: &mut self.row_to_col[rows.clone()],
            col_to_row: &mut self.col_to_row[cols.clone()],
            row_duals: &mut self.row_duals[rows],
            col_duals: &mut self.col_duals[cols],
            status: &mut self.status[range],
        }
    }

    /// Nothing matched, all duals 0: what a bad problem answers, and masked rows and columns always.
    pub(crate) fn clear(&mut self) {
        self.row_to_col.fill(UNMATCHED);
        self.col_to_row.fill(UNMATCHED);
        self.row_duals.fill(U::round_from(0.0));
        self.col_duals.fill(U::round_from(0.0));
    }

    /// What is written of the solver's rows and of its columns.
    #[inline(always)]
    pub(crate) fn sides(&mut self, transposed: bool) -> [Side<'_, U>; 2] {
        let rows = Side {
            partners: &mut *self.row_to_col,
            duals: &mut *self.row_duals,
        };
        let cols = Side {
            partners: &mut *self.col_to_row,
            duals: &mut *self.col_duals,
        };
        if transposed {
            [cols, rows]
        } else {
            [rows, cols]
        }
    }

    /// Writes the solver's answer in the user's orientation, order, sense and scale.
    #[inline(always)]
    pub(crate) fn write<R: Arithmetic, E: Entry>(
        &mut self,
        instance: &Instance<E>,
        solver: &Solver<R>,
    ) {
        let [of_rows, of_cols] = self.sides(instance.transposed);
        let Instance {
            row_names,
            col_names,
            ..
        } = *instance;
        write_partners(of_rows.partners, solver.col_of_row(), row_names, col_names);
        write_partners(of_cols.partners, solver.row_of_col(), col_names, row_names);
        let factor = instance.dual_factor();
        // Adding zero turns -0.0 into 0.0.
        let round = |dual: R| U::round_from(dual.round_to_f64() * factor + 0.0);
        write_duals(of_rows.duals, solver.row_duals(), row_names, round);
        let col_duals = of_cols.duals;
        if col_names.len() == col_duals.len() {
            let blocks = solver.col_duals().blocks().iter();
            for (outputs, block) in col_duals.chunks_mut(BLOCK).zip(blocks) {
                for (output, &dual) in outputs.iter_mut().zip(&block.0) {
                    *output = round(dual);
                }
            }
        } else {
            col_duals.fill(U::round_from(0.0));
            for (index, name) in col_names.iter().enumerate() {
                col_duals[name] = round(solver.col_duals().get(index));
            }
        }
        if instance.half_limit_excess != 0.0 {
            self.lift_duals(instance, &SolvedDuals(solver));
        }
    }

    /// Writes the duals of an answer again where the limit counted as less than it is: see [`crate::lift`].
    #[cold]
    #[inline(never)]
    pub(crate) fn lift_duals<E: Entry>(&mut self, instance: &Instance<E>, duals: &dyn Duals) {
        let (rows, cols) = (0..instance.rows(), 0..instance.cols());
        let lift = Lift::of(
            instance.half_limit,
            instance.largest_cost,
            rows.clone().map(|row| duals.of_row(row)),
            cols.clone().map(|col| duals.of_col(col)),
        );
        let (factor, excess) = (instance.dual_factor(), instance.half_limit_excess);
        let lifted = |dual: f64, rise: f64| U::round_from(dual * factor + rise * excess + 0.0);
        let [of_rows, of_cols] = self.sides(instance.transposed);
        for (row, name) in rows.zip(instance.row_names.iter()) {
            let (dual, col) = (duals.of_row(row), duals.col_of_row(row));
            let partner = col.map(|col| duals.of_col(col));
            of_rows.duals[name] = lifted(dual, lift.of_row(dual, partner));
        }
        for (col, name) in cols.zip(instance.col_names.iter()) {
            let (dual, row) = (duals.of_col(col), duals.row_of_col(col));
            let partner = row.map(|row| duals.of_row(row));
            of_cols.duals[name] = lifted(dual, lift.of_col(dual, partner));
        }
    }
}

/// An answer in an instance's terms, whichever solver found it.
pub(crate) trait Duals {
    /// u.
    fn of_row(&self, row: usize) -> f64;
    /// v.
    fn of_col(&self, col: usize) -> f64;
    /// The column matched with a row.
    fn col_of_row(&self, row: usize) -> Option<usize>;
    /// The row matched with a column.
    fn row_of_col(&self, col: usize) -> Option<usize>;
}

struct SolvedDuals<'a, R>(&'a Solver<R>);

impl<R: Arithmetic> Duals for SolvedDuals<'_, R> {
    fn of_row(&self, row: usize) -> f64 {
        self.0.row_duals()[row].round_to_f64()
    }
    fn of_col(&self, col: usize) -> f64 {
        self.0.col_duals().get(col).round_to_f64()
    }
    fn col_of_row(&self, row: usize) -> Option<usize> {
        usize::try_from(self.0.col_of_row()[row]).ok()
    }
    fn row_of_col(&self, col: usize) -> Option<usize> {
        usize::try_from(self.0.row_of_col()[col]).ok()
    }
}

/// Writes the partners of the rows (or columns) named by `names`, whose partners are named by `partner_names`.
#[inline(always)]
fn write_partners(outputs: &mut [i32], partners: &[i32], names: &Names, partner_names: &Names) {
    if names.len() == outputs.len() && partner_names.is_identity() {
        outputs.copy_from_slice(partners);
        return;
    }
    outputs.fill(UNMATCHED);
    for (name, &partner) in names.iter().zip(partners) {
        if partner != UNMATCHED {
            outputs[name] = partner_names.get(partner as usize) as i32;
        }
    }
}

/// Writes the duals of the rows named by `names`; others get 0.
#[inline(always)]
fn write_duals<R: Copy, U: Real>(
    outputs: &mut [U],
    duals: &[R],
    names: &Names,
    round: impl Fn(R) -> U,
) {
    if names.len() == outputs.len() {
        for (output, &dual) in outputs.iter_mut().zip(duals) {
            *output = round(dual);
        }
        return;
    }
    outputs.fill(U::round_from(0.0));
    for (name, &dual) in names.iter().zip(duals) {
        outputs[name] = round(dual);
    }
}

/// Sum over the matched pairs.
#[inline(always)]
pub(crate) fn total_cost<T: Cost>(problem: &Problem<T>, row_to_col: &[i32]) -> f64 {
    let matched = || {
        row_to_col
            .iter()
            .enumerate()
            .filter(|(_, col)| **col >= 0)
            .map(|(row, &col)| problem.cost_of(row, col as usize))
    };
    let sum = compensated_sum(matched());
    if sum.is_finite() {
        return sum;
    }
    // A partial sum left the range of f64; the total need not.
    const SCALE: f64 = 1.0 / (1u64 << 40) as f64;
    compensated_sum(matched().map(|cost| cost * SCALE)) / SCALE
}

/// One sentence on the first problem whose status is not 0, or `None`.
///
/// `batch_dims` are the leading dimensions of the cost tensor, for naming an entry as the user would.
pub fn describe_first_bad<T: Solvable>(
    shape: Shape,
    inputs: &Inputs<T>,
    batch_dims: &[i64],
    status: &[i32],
) -> Option<String> {
    let index = status
        .iter()
        .position(|&code| code != Status::Optimal.code())?;
    let _ieee = DefaultEnvironment::on_this_thread();
    let problem = inputs.problem(shape, index);
    let place = batch_index(index, batch_dims);
    let of_problem = match batch_dims {
        [] => String::new(),
        _ => format!("[{}]", place.trim_end_matches(", ")),
    };
    let where_ = match batch_dims {
        [] => "the problem".to_string(),
        _ => format!("problem {of_problem}"),
    };
    let forbidden = if inputs.maximize { "-inf" } else { "+inf" };
    let mut layout = Layout::default();
    layout.try_reserve(shape.rows, shape.cols).ok()?;
    Some(match problem.prepare(PortableVectors, &mut layout) {
        Err(Unprepared::Memory(_)) => return None,
        Err(Unprepared::Invalid(Invalid::Limit)) => {
            let which = match inputs.cost_limit {
                [_] => "",
                _ => &of_problem,
            };
            format!("cost_limit{which} is nan, expected a number")
        }
        Err(Unprepared::Invalid(Invalid::Entry { row, col, value })) => {
            let value = if value.is_nan() {
                "nan"
            } else if value > 0.0 {
                "+inf"
            } else {
                "-inf"
            };
            format!(
                "{where_} is invalid: cost[{place}{row}, {col}] is {value}, \
                 expected a finite cost or {forbidden} (a forbidden pair)"
            )
        }
        Ok(instance) => {
            let required = instance.rows();
            let reason = match barred(&instance) {
                Some((side, name)) => format!("{side} {name} has no allowed pair"),
                None => format!(
                    "the allowed pairs (cost not {forbidden}) cannot match {required} pairs at once"
                ),
            };
            format!(
                "{where_} is infeasible: {reason}; \
                 expected min(existing rows, existing columns) = {required} matches"
            )
        }
    })
}

/// A row or column that has to be matched and has no allowed pair, as the user calls it.
fn barred<E: Entry>(instance: &Instance<E>) -> Option<(&'static str, usize)> {
    let (rows, cols) = (instance.rows(), instance.cols());
    let sides = if instance.transposed {
        ["column", "row"]
    } else {
        ["row", "column"]
    };
    let forbidden = |row, col| instance.cost(row, col) == f64::INFINITY;
    let row = (0..rows).find(|&row| (0..cols).all(|col| forbidden(row, col)));
    if let Some(row) = row {
        return Some((sides[0], instance.row_names.get(row)));
    }
    let col = (0..cols).find(|&col| (0..rows).all(|row| forbidden(row, col)));
    // On the longer side some may stay unmatched.
    col.filter(|_| rows == cols)
        .map(|col| (sides[1], instance.col_names.get(col)))
}

/// "2, 0, " for the problem at `index` of a batch with dimensions `batch_dims`.
fn batch_index(index: usize, batch_dims: &[i64]) -> String {
    // A position in a batch that exists fits.
    let mut rest = index as i64;
    let mut place = Vec::new();
    for &dim in batch_dims.iter().rev() {
        place.push(rest % dim.max(1));
        rest /= dim.max(1);
    }
    place
        .iter()
        .rev()
        .map(|coordinate| format!("{coordinate}, "))
        .collect()
}
