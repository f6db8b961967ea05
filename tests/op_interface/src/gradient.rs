//! The gradient of total_cost that is registered in C++: where(matched, upstream, 0), to the last
//! bit.

use hungarian_random::Random;
use hungarian_serving::{Attribute, Elements, Graph, Tensor};
use tensorflow_sys::TF_DataType::{self, *};

use crate::assignment::{Assignment, Attributes};
use crate::load_library;

const INF: f64 = f64::INFINITY;

/// A tensor of costs, totals or limits in the type that they are fed in.
fn numbers(cost: TF_DataType, shape: &[usize], values: &[f64]) -> Tensor {
    let elements = if cost == TF_DOUBLE {
        Elements::from(values.to_vec())
    } else {
        Elements::from(values.iter().map(|&value| value as f32).collect::<Vec<_>>())
    };
    Tensor::new(shape, elements).unwrap()
}

fn to_doubles(tensor: &Tensor) -> Vec<f64> {
    match tensor.elements() {
        Elements::Float32(values) => values.iter().copied().map(f64::from).collect(),
        Elements::Float64(values) => values.clone(),
        _ => panic!("got a tensor of {}", tensor.element_type()),
    }
}

/// A batch of problems: [..., rows, cols], and who takes part.
struct Case {
    name: &'static str,
    shape: &'static [usize],
    row_mask: Option<Vec<bool>>,
    limit: f64,
    maximize: bool,
    /// The problem that gets a NaN among its costs, and one as its upstream.
    bad: Option<usize>,
    /// How many pairs are matched, which makes sure that the case is what its name says. Under a
    /// limit any number in between.
    pairs: std::ops::RangeInclusive<usize>,
}

impl Case {
    fn new(name: &'static str, shape: &'static [usize], pairs: usize) -> Self {
        Self {
            name,
            shape,
            row_mask: None,
            limit: INF,
            maximize: false,
            bad: None,
            pairs: pairs..=pairs,
        }
    }
}

fn cases() -> Vec<Case> {
    vec![
        Case::new("one problem", &[4, 4], 4),
        Case::new("fewer rows", &[3, 3, 5], 9),
        Case::new("fewer columns", &[2, 3, 5, 2], 12),
        Case::new("three batch dimensions", &[2, 1, 3, 4, 4], 24),
        Case::new("large enough for another solver", &[2, 40, 50], 80),
        Case::new("no problem", &[0, 3, 3], 0),
        Case::new("no column", &[2, 3, 0], 0),
        Case {
            maximize: true,
            ..Case::new("maximize", &[3, 4, 4], 12)
        },
        Case {
            row_mask: Some(vec![true, false, true, true]),
            ..Case::new("a masked row", &[4, 4], 3)
        },
        Case {
            limit: 20.0,
            pairs: 1..=39,
            ..Case::new("a limit", &[4, 10, 10], 0)
        },
        Case {
            bad: Some(1),
            ..Case::new("a bad problem between good ones", &[3, 4, 4], 8)
        },
    ]
}

#[test]
fn it_is_the_upstream_where_a_pair_is_matched() {
    load_library();
    let mut random = Random::new(1);
    for data_type in [TF_HALF, TF_BFLOAT16, TF_FLOAT, TF_DOUBLE] {
        for case in cases() {
            let place = format!("{data_type:?}, {}", case.name);
            let gradient = Assignment::of_any_shape(Attributes {
                cost: data_type,
                limit: if data_type == TF_DOUBLE {
                    TF_DOUBLE
                } else {
                    TF_FLOAT
                },
                maximize: case.maximize,
                validate: false,
            });
            let gradient = gradient.unwrap().differentiate().unwrap();

            let (batch, sides) = case.shape.split_at(case.shape.len() - 2);
            let (rows, cols) = (sides[0], sides[1]);
            let problems: usize = batch.iter().product();
            // Whole numbers up to 100 and quarters up to 25, which all four types hold.
            let mut costs: Vec<f64> = (0..problems * rows * cols)
                .map(|_| random.below(101) as f64)
                .collect();
            let mut upstream: Vec<f64> = (0..problems)
                .map(|_| 0.25 * (1 + random.below(100)) as f64)
                .collect();
            if let Some(bad) = case.bad {
                costs[bad * rows * cols] = f64::NAN;
                upstream[bad] = f64::NAN;
            }
            let all = Tensor::new(&[], vec![true]).unwrap();
            let row_mask = match &case.row_mask {
                Some(mask) => Tensor::new(&[rows], mask.clone()).unwrap(),
                None => all.clone(),
            };
            let inputs = [
                &numbers(data_type, case.shape, &costs),
                &row_mask,
                &all,
                &numbers(data_type, &[], &[case.limit]),
            ];
            let upstreams = numbers(data_type, batch, &upstream);
            let [row_to_col, slopes] = gradient.run(inputs, &upstreams).unwrap();

            let mut expected = vec![0.0; costs.len()];
            let mut pairs = 0;
            for (row, &col) in row_to_col.as_int32().unwrap().iter().enumerate() {
                if let Ok(col) = usize::try_from(col) {
                    expected[row * cols + col] = upstream[row / rows];
                    pairs += 1;
                }
            }
            assert!(case.pairs.contains(&pairs), "{place}: {pairs} pairs");
            assert_eq!(slopes.shape(), case.shape, "{place}");
            assert_eq!(to_doubles(&slopes), expected, "{place}");
        }
    }
}

#[test]
fn no_other_input_has_one() {
    load_library();
    let gradient = Assignment::of_any_shape(Attributes::default()).unwrap();
    let gradient = gradient.differentiate().unwrap();
    assert_eq!(gradient.by_others, [false; 3]);
}

/// Costs, all of them existing, with no limit: the op, and what it takes.
fn assignment_of(graph: &mut Graph, costs: &Tensor) -> [hungarian_serving::Node; 2] {
    let mut constant = |name, data_type, tensor: &Tensor| {
        let attributes = [
            (c"dtype", Attribute::Type(data_type)),
            (c"value", Attribute::Tensor(tensor)),
        ];
        graph.add(c"Const", name, &[], &attributes).unwrap()
    };
    let cost = constant(c"cost", TF_FLOAT, costs);
    let all = constant(c"all", TF_BOOL, &Tensor::new(&[], vec![true]).unwrap());
    let no_limit = numbers(TF_FLOAT, &[], &[INF]);
    let no_limit = constant(c"no_limit", TF_FLOAT, &no_limit);
    let inputs = [cost, all, all, no_limit];
    let op = graph
        .add(c"HungarianAssignment", c"assignment", &inputs, &[])
        .unwrap();
    [cost, op]
}

#[test]
fn duals_and_indices_are_constants() {
    load_library();
    let costs = numbers(TF_FLOAT, &[2, 2], &[3.0, 1.0, 1.0, 5.0]);
    let mut graph = Graph::new().unwrap();
    let [cost, op] = assignment_of(&mut graph, &costs);
    // total + row duals: only the total has a slope.
    let both = [op, op.output(3)];
    let gradient = graph.gradients(&both, &[cost], None).unwrap()[0].unwrap();
    let slopes = graph.run(&[], &[gradient]).unwrap();
    assert_eq!(to_doubles(&slopes[0]), [0.0, 1.0, 1.0, 0.0]);
}
