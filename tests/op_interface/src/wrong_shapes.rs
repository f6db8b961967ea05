//! Shapes that do not fit, as the shape function and as the kernel judge them.

use std::fmt::Write as _;

use anyhow::Result;
use hungarian_serving::Tensor;

use crate::assignment::{Assignment, Attributes};
use crate::shape::Shape;
use crate::verdict::{verdict, verdicts};
use crate::{assert_snapshot, load_library};

/// A case, and shapes of cost, row_mask, col_mask and cost_limit.
type Case = (&'static str, [&'static str; 4]);

const WRONG: [Case; 24] = [
    ("cost of rank 0", ["[]", "[]", "[]", "[]"]),
    ("cost of rank 1", ["[3]", "[]", "[]", "[]"]),
    ("row_mask too long", ["[2, 3]", "[3]", "[]", "[]"]),
    ("row_mask too short", ["[5, 2, 3]", "[5, 1]", "[]", "[]"]),
    ("col_mask too long", ["[2, 3]", "[]", "[4]", "[]"]),
    ("col_mask too short", ["[5, 2, 3]", "[]", "[5, 2]", "[]"]),
    ("masks exchanged", ["[2, 3]", "[3]", "[2]", "[]"]),
    (
        "row_mask without batch dimension",
        ["[5, 2, 3]", "[2]", "[]", "[]"],
    ),
    (
        "row_mask of the rank of cost",
        ["[2, 3]", "[1, 2]", "[]", "[]"],
    ),
    (
        "col_mask without batch dimension",
        ["[5, 2, 3]", "[]", "[3]", "[]"],
    ),
    (
        "col_mask of the rank of cost",
        ["[2, 3]", "[]", "[1, 3]", "[]"],
    ),
    (
        "row_mask of another batch",
        ["[5, 2, 3]", "[4, 2]", "[]", "[]"],
    ),
    (
        "row_mask to be broadcast",
        ["[5, 2, 3]", "[1, 2]", "[]", "[]"],
    ),
    (
        "col_mask of another batch",
        ["[4, 5, 2, 3]", "[]", "[5, 4, 3]", "[]"],
    ),
    (
        "col_mask to be broadcast",
        ["[4, 5, 2, 3]", "[]", "[1, 5, 3]", "[]"],
    ),
    ("cost_limit of one element", ["[2, 3]", "[]", "[]", "[1]"]),
    (
        "cost_limit to be broadcast",
        ["[5, 2, 3]", "[]", "[]", "[1]"],
    ),
    (
        "cost_limit of another batch",
        ["[4, 5, 2, 3]", "[]", "[]", "[5, 4]"],
    ),
    (
        "cost_limit of the last batch dimension only",
        ["[4, 5, 2, 3]", "[]", "[]", "[5]"],
    ),
    ("cost_limit of no element", ["[2, 3]", "[]", "[]", "[0, 2]"]),
    ("too many rows", ["[2^31, 0]", "[]", "[]", "[]"]),
    ("too many cols", ["[0, 2^31]", "[]", "[]", "[]"]),
    (
        "too many rows of no problem",
        ["[0, 2^31, 2^31]", "[]", "[]", "[]"],
    ),
    (
        "too many cols in all",
        ["[2^40, 0, 2^31-1]", "[]", "[]", "[]"],
    ),
];

/// Shapes that no tensors can have, as far as they are known.
const CONTRADICTORY: [Case; 13] = [
    (
        "row_mask of another number of rows",
        ["[?, 2, ?]", "[?, 3]", "?", "?"],
    ),
    (
        "col_mask of another number of cols",
        ["[?, ?, 3]", "?", "[5, 2]", "?"],
    ),
    ("row_mask of another rank", ["[?, ?, ?]", "[?]", "?", "?"]),
    (
        "masks of different batches",
        ["?", "[4, 2]", "[5, 3]", "[]"],
    ),
    ("masks of different ranks", ["?", "[5, 2]", "[3]", "[]"]),
    (
        "masks of different batches, cost of known rank",
        ["[?, ?, ?]", "[4, ?]", "[5, ?]", "[]"],
    ),
    (
        "cost_limit of another rank",
        ["[?, ?, ?]", "?", "?", "[?, ?]"],
    ),
    (
        "cost_limit of another batch than row_mask",
        ["?", "[5, 2]", "?", "[4]"],
    ),
    (
        "cost_limit of another rank than col_mask",
        ["?", "[]", "[5, 2]", "[4, 5]"],
    ),
    (
        "too many rows beside what is unknown",
        ["[?, 2^31, ?]", "?", "?", "?"],
    ),
    (
        "too many rows in all, says row_mask",
        ["[2^40, ?, 0]", "[?, 2^31-1]", "[]", "[]"],
    ),
    (
        "too many cols in all, however many rows",
        ["[2^40, ?, 2^31-1]", "?", "?", "?"],
    ),
    (
        "too many cols in all, say both masks together",
        ["?", "[2^40, 2]", "[?, 2^31-1]", "[]"],
    ),
];

/// Shapes that fit, and outputs that no machine can hold: each would take 2^48 bytes or more, which
/// is more than a process can address.
const TOO_LARGE: [Case; 4] = [
    ("too many problems", ["[2^46, 0, 0]", "[]", "[]", "[]"]),
    (
        "too many problems for their bytes to be counted",
        ["[2^62, 0, 0]", "[]", "[]", "[]"],
    ),
    (
        "too many rows in all",
        ["[2^15, 2^31-1, 0]", "[]", "[]", "[]"],
    ),
    (
        "too many cols in all",
        ["[2^15, 0, 2^31-1]", "[]", "[]", "[]"],
    ),
];

fn parse(shapes: [&str; 4]) -> [Shape; 4] {
    shapes.map(|text| Shape::parse(text).unwrap())
}

fn infer(shapes: [&str; 4]) -> Result<Assignment> {
    Assignment::build(Attributes::default(), &parse(shapes))
}

/// Runs the op on tensors of these shapes, which it does not know while its graph is built.
fn compute(shapes: [&str; 4]) -> Result<Vec<Tensor>> {
    let [cost, row_mask, col_mask, cost_limit] = parse(shapes).map(|shape| shape.sizes().unwrap());
    let zeros = |shape: &[usize]| Tensor::new(shape, vec![0.0_f32; shape.iter().product()]);
    let trues = |shape: &[usize]| Tensor::new(shape, vec![true; shape.iter().product()]);
    Assignment::of_any_shape(Attributes::default())?.run([
        &zeros(&cost)?,
        &trues(&row_mask)?,
        &trues(&col_mask)?,
        &zeros(&cost_limit)?,
    ])
}

fn title(case: &str, [cost, row_mask, col_mask, limit]: [&str; 4]) -> String {
    format!("{case}: cost {cost}, row_mask {row_mask}, col_mask {col_mask}, cost_limit {limit}")
}

#[test]
fn wrong_shapes_fail_while_tracing_and_at_run_time() {
    load_library();
    let mut text = String::new();
    for (case, shapes) in WRONG {
        let (inferred, computed) = (infer(shapes), compute(shapes));
        assert!(inferred.is_err() && computed.is_err(), "{case}");
        writeln!(text, "{}", title(case, shapes)).unwrap();
        text += &verdicts(&inferred, &computed);
    }
    assert_snapshot("wrong_shapes", &text);
}

#[test]
fn contradictory_shapes_fail_while_tracing() {
    load_library();
    let mut text = String::new();
    for (case, shapes) in CONTRADICTORY {
        let inferred = infer(shapes);
        assert!(inferred.is_err(), "{case}");
        writeln!(text, "{}", title(case, shapes)).unwrap();
        writeln!(text, "    shape function: {}", verdict(&inferred)).unwrap();
    }
    assert_snapshot("contradictory_shapes", &text);
}

#[test]
fn outputs_too_large_for_memory_fail_at_run_time() {
    load_library();
    let mut text = String::new();
    for (case, shapes) in TOO_LARGE {
        // With oneDNN, TensorFlow waits ten seconds for memory to become free before it gives up.
        let (inferred, computed) = (infer(shapes), compute(shapes));
        assert!(inferred.is_ok() && computed.is_err(), "{case}");
        writeln!(text, "{}", title(case, shapes)).unwrap();
        writeln!(text, "    kernel: {}", verdict(&computed)).unwrap();
    }
    assert_snapshot("too_large", &text);
}
