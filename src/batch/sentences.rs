//! What is wrong with a problem, as a sentence for the user.

use crate::batch::status::Status;
use crate::batch::tensors::{BatchError, Inputs, Shape, expect_size};
use crate::number::environment::DefaultEnvironment;
use crate::problem::given::Invalid;
use crate::problem::instance::Instance;
use crate::problem::prepare::{Scratch, Unprepared};
use crate::simd::cost::{Cost, Entry};

/// One sentence on the first problem whose status is not 0, or `None`.
///
/// `batch_dims` are the leading dimensions of the cost tensor, for naming an entry as the user
/// would.
///
/// # Errors
///
/// Sizes are wrong, or there is no memory to look at that problem again.
pub fn describe_first_bad<T: Cost>(
    shape: Shape,
    inputs: &Inputs<T>,
    batch_dims: &[i64],
    status: &[i32],
) -> Result<Option<String>, BatchError> {
    inputs.check(shape)?;
    expect_size("status", status.len(), shape.problems, shape)?;
    let no_memory = |source| BatchError::Memory {
        rows: shape.rows,
        cols: shape.cols,
        source,
    };
    let bad = |&code: &i32| code != Status::Optimal.code();
    let Some(index) = status.iter().position(bad) else {
        return Ok(None);
    };
    let _ieee = DefaultEnvironment::on_this_thread();
    let mut scratch = Scratch::default();
    scratch
        .try_reserve(shape.rows, shape.cols)
        .map_err(no_memory)?;
    let problem = inputs.problem(shape, index);
    let prepared = match problem.prepare_at_baseline(&mut scratch) {
        // It was invalid when it was judged: its costs have changed since.
        Ok(_) if status[index] == Status::Invalid.code() => Err(Invalid::Changed),
        Ok(instance) => Ok(instance),
        Err(Unprepared::Invalid(invalid)) => Err(invalid),
        Err(Unprepared::Memory(source)) => return Err(no_memory(source)),
    };
    Ok(Some(sentence_of(inputs, batch_dims, index, prepared)))
}

/// What is wrong with the problem at `index`: why there is no instance of it, or else why that is
/// infeasible.
fn sentence_of<T: Cost>(
    inputs: &Inputs<T>,
    batch_dims: &[i64],
    index: usize,
    prepared: Result<Instance<T::Entry>, Invalid>,
) -> String {
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
    match prepared {
        Err(Invalid::Limit) => {
            let which = match inputs.cost_limit {
                [_] => "",
                _ => &of_problem,
            };
            format!("cost_limit{which} is nan, expected a number")
        }
        Err(Invalid::Changed) => {
            format!("{where_} is invalid: its costs changed while they were read")
        }
        Err(Invalid::Entry { row, col, value }) => {
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
    }
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
        return Some((sides[0], instance.row_indices.get(row)));
    }
    let col = (0..cols).find(|&col| (0..rows).all(|row| forbidden(row, col)));
    // On the longer side some may stay unmatched.
    col.filter(|_| rows == cols)
        .map(|col| (sides[1], instance.col_indices.get(col)))
}

/// "2, 0, " for the problem at `index` of a batch with dimensions `batch_dims`.
fn batch_index(index: usize, batch_dims: &[i64]) -> String {
    // A batch that exists has no more problems than i64 can count.
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
