//! Values that make a problem invalid or infeasible: an error with `validate`, and only then.

use std::fmt::Write as _;

use anyhow::Result;
use hungarian_serving::{Elements, Tensor};
use tensorflow_sys::TF_DataType::{self, *};

use crate::assignment::{Assignment, Attributes};
use crate::verdict::verdict;
use crate::{assert_snapshot, load_library};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// A batch of problems and its attributes.
struct Problems {
    data_type: TF_DataType,
    shape: Vec<usize>,
    costs: Vec<f64>,
    /// Without batch dimensions.
    row_mask: Option<Vec<bool>>,
    col_mask: Option<Vec<bool>>,
    /// One for all, or one for each problem.
    limits: Vec<f64>,
    maximize: bool,
}

impl Problems {
    /// Problems to minimise, with nothing masked and no limit. `matrices` lists their costs one
    /// after the other.
    fn new<const COUNT: usize, const ROWS: usize, const COLS: usize>(
        data_type: TF_DataType,
        batch: &[usize],
        matrices: [[[f64; COLS]; ROWS]; COUNT],
    ) -> Self {
        assert_eq!(batch.iter().product::<usize>(), COUNT);
        Self {
            data_type,
            shape: [batch, &[ROWS, COLS]].concat(),
            costs: matrices.concat().concat(),
            row_mask: None,
            col_mask: None,
            limits: vec![INF],
            maximize: false,
        }
    }

    fn maximize(self) -> Self {
        Self {
            maximize: true,
            ..self
        }
    }

    fn limit(self, limit: f64) -> Self {
        self.limits(&[limit])
    }

    fn limits(self, limits: &[f64]) -> Self {
        Self {
            limits: limits.to_vec(),
            ..self
        }
    }

    fn row_mask<const ROWS: usize>(self, mask: [bool; ROWS]) -> Self {
        Self {
            row_mask: Some(mask.into()),
            ..self
        }
    }

    fn col_mask<const COLS: usize>(self, mask: [bool; COLS]) -> Self {
        Self {
            col_mask: Some(mask.into()),
            ..self
        }
    }

    fn run(&self, validate: bool) -> Result<Vec<Tensor>> {
        let double = self.data_type == TF_DOUBLE;
        let numbers = |shape: &[usize], values: &[f64]| {
            let elements = if double {
                Elements::from(values.to_vec())
            } else {
                Elements::from(values.iter().map(|&value| value as f32).collect::<Vec<_>>())
            };
            Tensor::new(shape, elements)
        };
        let mask = |mask: &Option<Vec<bool>>| match mask {
            Some(mask) => Tensor::new(&[mask.len()], mask.clone()),
            None => Tensor::new(&[], vec![true]),
        };
        let attributes = Attributes {
            cost: self.data_type,
            limit: if double { TF_DOUBLE } else { TF_FLOAT },
            maximize: self.maximize,
            validate,
        };
        Assignment::of_any_shape(attributes)?.run([
            &numbers(&self.shape, &self.costs)?,
            &mask(&self.row_mask)?,
            &mask(&self.col_mask)?,
            &match self.limits[..] {
                [limit] => numbers(&[], &[limit]),
                _ => numbers(&self.shape[..self.shape.len() - 2], &self.limits),
            }?,
        ])
    }

    /// The verdicts on the single problems.
    fn statuses(&self) -> Vec<i32> {
        let outputs = self.run(false).unwrap();
        outputs[5].as_int32().unwrap().to_vec()
    }
}

/// Nothing wrong here.
const GOOD: [[f64; 2]; 2] = [[1.0, 2.0], [3.0, 4.0]];

fn bad_problems() -> Vec<(&'static str, Problems)> {
    let batch_with = |position: usize, matrix| {
        let mut matrices = [GOOD; 6];
        matrices[position] = matrix;
        matrices
    };
    vec![
        (
            "float, NaN",
            Problems::new(TF_FLOAT, &[], [[[1.0, 2.0, 3.0], [4.0, 5.0, NAN]]]),
        ),
        (
            "half, NaN, in a batch of shape [3]",
            Problems::new(TF_HALF, &[3], [GOOD, GOOD, [[1.0, 2.0], [NAN, 4.0]]]),
        ),
        (
            "bfloat16, NaN, in a batch of shape [3, 2]",
            Problems::new(
                TF_BFLOAT16,
                &[3, 2],
                batch_with(2, [[NAN, 2.0], [3.0, 4.0]]),
            ),
        ),
        (
            "double, NaN, in a batch of shape [2, 1, 3]",
            Problems::new(
                TF_DOUBLE,
                &[2, 1, 3],
                batch_with(5, [[1.0, NAN], [3.0, 4.0]]),
            ),
        ),
        (
            "float, -inf when minimizing",
            Problems::new(TF_FLOAT, &[], [[[1.0, -INF], [3.0, 4.0]]]),
        ),
        (
            "half, -inf when minimizing",
            Problems::new(TF_HALF, &[], [[[1.0, 2.0], [-INF, 4.0]]]),
        ),
        (
            "bfloat16, +inf when maximizing",
            Problems::new(TF_BFLOAT16, &[], [[[1.0, 2.0], [3.0, INF]]]).maximize(),
        ),
        (
            "double, +inf when maximizing, in a batch of shape [3, 2]",
            Problems::new(TF_DOUBLE, &[3, 2], batch_with(3, [[INF, 2.0], [3.0, 4.0]])).maximize(),
        ),
        (
            "several wrong entries: the first one is named",
            Problems::new(TF_FLOAT, &[], [[[1.0, INF], [-INF, NAN]]]),
        ),
        (
            "a wrong entry beside masked ones: its place in the whole matrix",
            Problems::new(
                TF_FLOAT,
                &[],
                [[[NAN, NAN, NAN], [NAN, 1.0, 2.0], [NAN, 3.0, NAN]]],
            )
            .row_mask([false, true, true])
            .col_mask([false, true, true]),
        ),
        (
            "float, limit NaN",
            Problems::new(TF_FLOAT, &[], [GOOD]).limit(NAN),
        ),
        (
            "double, limit NaN, in a batch of shape [3, 2]",
            Problems::new(TF_DOUBLE, &[3, 2], [GOOD; 6]).limit(NAN),
        ),
        (
            "float, limits NaN of two problems in a batch of shape [3, 2]",
            Problems::new(TF_FLOAT, &[3, 2], [GOOD; 6]).limits(&[9.0, INF, -INF, NAN, 1.0, NAN]),
        ),
        (
            "half, limit NaN and a cost NaN",
            Problems::new(TF_HALF, &[], [[[NAN, 2.0], [3.0, 4.0]]]).limit(NAN),
        ),
        (
            "float, a row with no allowed pair",
            Problems::new(TF_FLOAT, &[], [[[1.0, 2.0, 3.0], [INF, INF, INF]]]),
        ),
        (
            "half, a row with no allowed pair when maximizing",
            Problems::new(TF_HALF, &[], [[[-INF, -INF], [3.0, 4.0]]]).maximize(),
        ),
        (
            "bfloat16, a row with no allowed pair, in a batch of shape [3]",
            Problems::new(TF_BFLOAT16, &[3], [GOOD, [[1.0, 2.0], [INF, INF]], GOOD]),
        ),
        (
            "double, a row with no allowed pair among the existing columns",
            Problems::new(
                TF_DOUBLE,
                &[],
                [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [INF, 8.0, INF]]],
            )
            .row_mask([true, false, true])
            .col_mask([true, false, true]),
        ),
        (
            "float, a column with no allowed pair, more rows than columns",
            Problems::new(TF_FLOAT, &[], [[[1.0, INF], [3.0, INF], [5.0, INF]]]),
        ),
        (
            "double, a column with no allowed pair, in a batch of shape [1, 2]",
            Problems::new(
                TF_DOUBLE,
                &[1, 2],
                [
                    [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
                    [[INF, 2.0], [INF, 4.0], [INF, 6.0]],
                ],
            ),
        ),
        (
            "float, a column with no allowed pair, as many rows as columns",
            Problems::new(TF_FLOAT, &[], [[[1.0, INF], [3.0, INF]]]),
        ),
        (
            "float, a column with no allowed pair, fewer rows than columns (none is needed), and a bottleneck",
            Problems::new(TF_FLOAT, &[], [[[1.0, INF, INF], [3.0, INF, INF]]]),
        ),
        (
            "half, a bottleneck: three rows that share two columns",
            Problems::new(
                TF_HALF,
                &[],
                [[
                    [1.0, 2.0, INF, INF],
                    [3.0, 4.0, INF, INF],
                    [5.0, 6.0, INF, INF],
                ]],
            ),
        ),
        (
            "bfloat16, a bottleneck, more rows than columns, when maximizing",
            Problems::new(TF_BFLOAT16, &[], [[[-INF, -INF], [3.0, 4.0], [-INF, -INF]]]).maximize(),
        ),
        (
            "double, a bottleneck, in a batch of shape [3, 2]",
            Problems::new(TF_DOUBLE, &[3, 2], batch_with(2, [[1.0, INF], [3.0, INF]])),
        ),
        (
            "infeasible with limit -inf, which is no limit either",
            Problems::new(TF_FLOAT, &[], [[[1.0, 2.0], [INF, INF]]]).limit(-INF),
        ),
        (
            "invalid and infeasible: invalid outranks",
            Problems::new(TF_FLOAT, &[], [[[INF, INF], [3.0, NAN]]]),
        ),
        (
            "several bad problems: the first one is named",
            Problems::new(
                TF_FLOAT,
                &[3],
                [GOOD, [[INF, INF], [3.0, 4.0]], [[NAN, 2.0], [3.0, 4.0]]],
            ),
        ),
    ]
}

#[test]
fn bad_values_fail_with_validate_only() {
    load_library();
    let mut text = String::new();
    for (case, problems) in bad_problems() {
        let statuses = problems.statuses();
        assert!(statuses.iter().any(|&status| status != 0), "{case}");
        let validated = problems.run(true);
        assert!(validated.is_err(), "{case}");
        writeln!(text, "{case}\n    {}", verdict(&validated)).unwrap();
    }
    assert_snapshot("bad_values", &text);
}

#[test]
fn good_values_pass_validate() {
    load_library();
    for (case, problems) in [
        (
            "wrong entries outside the masks",
            Problems::new(TF_FLOAT, &[], [[[NAN, -INF], [3.0, NAN]]])
                .row_mask([false, true])
                .col_mask([true, false]),
        ),
        (
            "nothing exists",
            Problems::new(TF_HALF, &[], [[[NAN; 2]; 2]]).row_mask([false; 2]),
        ),
        (
            "nothing can be matched, and under a limit nothing need be",
            Problems::new(TF_DOUBLE, &[], [[[INF; 2]; 2]]).limit(1.0),
        ),
        (
            "a row with no allowed pair that may stay unmatched",
            Problems::new(TF_BFLOAT16, &[], [[[INF, INF], [3.0, 4.0], [5.0, 6.0]]]),
        ),
        (
            "no problem",
            Problems::new(TF_FLOAT, &[0], [[[NAN; 2]; 2]; 0]),
        ),
        ("no column", Problems::new(TF_FLOAT, &[2], [[[]; 3]; 2])),
    ] {
        let statuses = problems.statuses();
        assert!(statuses.iter().all(|&status| status == 0), "{case}");
        assert_eq!(verdict(&problems.run(true)), "OK", "{case}");
    }
}
