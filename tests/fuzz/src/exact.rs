//! An oracle that does not round: numbers are whole multiples of 2^−1074, of any length.

use num_bigint::BigInt;

use crate::common::whole;
use crate::judge::Minimisation;

/// Least doubled objective of a feasible problem: row after row, for every set of columns taken so
/// far.
pub fn doubled_optimum(problem: &Minimisation) -> BigInt {
    let (rows, cols) = (problem.rows(), problem.cols());
    let limit = problem.limit.map(whole);
    let mut least: Vec<Option<BigInt>> = vec![None; 1 << cols];
    least[0] = Some(BigInt::ZERO);
    for row in 0..rows {
        let costs: Vec<Option<BigInt>> = (0..cols)
            .map(|col| {
                problem
                    .allows(row, col)
                    .then(|| whole(problem.cost[row][col]) * 2)
            })
            .collect();
        let mut next: Vec<Option<BigInt>> = vec![None; 1 << cols];
        let mut offer = |set: usize, objective: BigInt| match &next[set] {
            Some(known) if *known <= objective => {}
            _ => next[set] = Some(objective),
        };
        for (set, objective) in least.iter().enumerate() {
            let Some(objective) = objective else { continue };
            // Without a limit, the number of matches is judged at the end.
            offer(set, objective + limit.as_ref().unwrap_or(&BigInt::ZERO));
            for (col, cost) in costs.iter().enumerate() {
                if let (Some(cost), 0) = (cost, set >> col & 1) {
                    offer(set | 1 << col, objective + cost);
                }
            }
        }
        least = next;
    }
    let complete = least
        .into_iter()
        .enumerate()
        .filter_map(|(set, objective)| {
            let matched = set.count_ones() as usize;
            match &limit {
                Some(limit) => Some(objective? + limit * (cols - matched)),
                None if matched == rows.min(cols) => objective,
                None => None,
            }
        });
    complete.min().expect("the problem is feasible")
}

/// Doubled objective of a matching.
pub fn doubled_objective(problem: &Minimisation, pairs: &[(usize, usize)]) -> BigInt {
    let matched: BigInt = pairs
        .iter()
        .map(|&(row, col)| whole(problem.cost[row][col]) * 2)
        .sum();
    let unmatched = problem.rows() + problem.cols() - 2 * pairs.len();
    matched + problem.limit.map_or(BigInt::ZERO, whole) * unmatched
}
