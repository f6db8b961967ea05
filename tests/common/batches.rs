//! Batches of owned problems of one shape, solved in one call at a certain level.

use hungarian_loss::batch::{Inputs, Outputs, Real, Shape, Solvable, Tally, solve_at};
use hungarian_loss::certificate::Answer;
use hungarian_loss::lanes::Level;

use crate::common::Owned;

/// Answer and status of each problem, and how the answers came about. All problems must have the shape and the sense of
/// the first. Outputs start as rubbish, so that one left unwritten shows.
pub fn solve_batch_at<T: Solvable<Real = U>, U: Real + Into<f64>>(
    level: Level,
    batch: &[Owned<T>],
) -> (Vec<(Answer, i32)>, Tally) {
    let (problems, rows, cols) = (batch.len(), batch[0].rows, batch[0].cols);
    let cost: Vec<T> = batch.iter().flat_map(|one| one.cost.clone()).collect();
    let row_mask: Vec<bool> = batch.iter().flat_map(|one| one.row_mask.clone()).collect();
    let col_mask: Vec<bool> = batch.iter().flat_map(|one| one.col_mask.clone()).collect();
    let limit = |one: &Owned<T>| U::round_from(one.options.cost_limit);
    let cost_limit: Vec<U> = batch.iter().map(limit).collect();
    let rubbish = U::round_from(7.0);
    let mut total_cost = vec![rubbish; problems];
    let mut row_to_col = vec![7; problems * rows];
    let mut col_to_row = vec![7; problems * cols];
    let mut row_duals = vec![rubbish; problems * rows];
    let mut col_duals = vec![rubbish; problems * cols];
    let mut status = vec![7; problems];
    let tally = solve_at(
        level,
        Shape {
            problems,
            rows,
            cols,
        },
        &Inputs {
            cost: &cost,
            row_mask: &row_mask,
            col_mask: &col_mask,
            cost_limit: &cost_limit,
            maximize: batch[0].options.maximize,
        },
        &mut Outputs {
            total_cost: &mut total_cost,
            row_to_col: &mut row_to_col,
            col_to_row: &mut col_to_row,
            row_duals: &mut row_duals,
            col_duals: &mut col_duals,
            status: &mut status,
        },
    )
    .expect("sizes fit");
    let widen = |values: &[U]| values.iter().map(|&value| value.into()).collect();
    let answers = (0..problems).map(|index| {
        let answer = Answer {
            total_cost: total_cost[index].into(),
            row_to_col: row_to_col[index * rows..][..rows].to_vec(),
            col_to_row: col_to_row[index * cols..][..cols].to_vec(),
            row_duals: widen(&row_duals[index * rows..][..rows]),
            col_duals: widen(&col_duals[index * cols..][..cols]),
        };
        (answer, status[index])
    });
    (answers.collect(), tally)
}
