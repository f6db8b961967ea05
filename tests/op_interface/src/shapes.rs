//! What the shape function infers.

use crate::assignment::{Assignment, Attributes, OUTPUTS};
use crate::shape::Shape;
use crate::{assert_snapshot, load_library};

/// Shapes of cost, row_mask, col_mask and cost_limit.
const INPUTS: [[&str; 4]; 33] = [
    // All is known.
    ["[2, 3]", "[]", "[]", "[]"],
    ["[2, 3]", "[2]", "[3]", "[]"],
    ["[5, 2, 3]", "[]", "[5, 3]", "[]"],
    ["[4, 5, 2, 3]", "[4, 5, 2]", "[4, 5, 3]", "[]"],
    ["[0, 2, 3]", "[0, 2]", "[0, 3]", "[]"],
    ["[5, 0, 3]", "[5, 0]", "[5, 3]", "[]"],
    ["[2^31-1, 0]", "[]", "[]", "[]"],
    ["[0, 2^31-1]", "[]", "[]", "[]"],
    ["[5, 2, 3]", "[]", "[]", "[5]"],
    // The masks or the limit may turn out anything.
    ["[5, 2, 3]", "?", "?", "?"],
    ["?", "?", "?", "?"],
    ["?", "?", "?", "[]"],
    ["?", "[]", "[]", "[]"],
    // Masks teach what cost leaves open.
    ["?", "[5, 2]", "?", "[]"],
    ["?", "?", "[5, 3]", "[]"],
    ["?", "[2]", "[]", "[]"],
    ["?", "[5, 2]", "[5, 3]", "[]"],
    ["?", "[?, 2]", "[5, ?]", "[]"],
    ["?", "[4, ?, 2]", "[?, 5, 3]", "[]"],
    ["[?, ?]", "[2]", "[3]", "[]"],
    ["[?, ?, ?]", "?", "?", "?"],
    ["[?, ?, ?]", "[5, 2]", "[]", "[]"],
    ["[?, ?, ?]", "[]", "[5, 3]", "[]"],
    ["[?, ?, ?]", "[5, ?]", "[?, 3]", "[]"],
    ["[?, 2, ?]", "?", "[5, 3]", "[]"],
    ["[4, ?, 2, ?]", "[4, 5, ?]", "[?, ?, 3]", "[]"],
    // So do limits.
    ["?", "?", "?", "[5]"],
    ["?", "[?, 2]", "[]", "[5]"],
    ["[?, ?, ?]", "?", "?", "[5]"],
    ["[4, ?, ?, ?]", "[]", "[?, ?, 3]", "[?, 5]"],
    ["[?, ?]", "?", "?", "?"],
    // Several sizes too large for any tensor to have: what is fed will tell.
    ["[2^40, 2^40, 0]", "[]", "[]", "[]"],
    ["[2^40, 2^40, 0]", "[5, 2]", "[5, 3]", "[]"],
];

#[test]
fn inferred_shapes() {
    load_library();
    let mut table = vec![
        [
            "cost",
            "row_mask",
            "col_mask",
            "cost_limit",
            "total_cost",
            "row_to_col",
            "col_to_row",
        ]
        .map(str::to_owned),
    ];
    for inputs in INPUTS {
        let shapes = inputs.map(|text| Shape::parse(text).unwrap());
        let assignment = Assignment::build(Attributes::default(), &shapes).unwrap();
        let outputs: Vec<String> = (0..OUTPUTS)
            .map(|output| assignment.shape(output).unwrap().to_string())
            .collect();
        // Duals are shaped like indices, status like totals.
        assert_eq!(outputs[3..], [&*outputs[1], &outputs[2], &outputs[0]]);
        let [cost, row_mask, col_mask, cost_limit] = inputs.map(str::to_owned);
        table.push([
            cost,
            row_mask,
            col_mask,
            cost_limit,
            outputs[0].clone(),
            outputs[1].clone(),
            outputs[2].clone(),
        ]);
    }
    let line = |[
        cost,
        row_mask,
        col_mask,
        limit,
        total,
        row_to_col,
        col_to_row,
    ]: &[String; 7]| {
        format!(
            "{cost:15}  {row_mask:9}  {col_mask:9}  {limit:10}  ->  {total:10}  {row_to_col:12}  {col_to_row}"
        )
    };
    let lines: Vec<String> = table.iter().map(line).collect();
    assert_snapshot("inferred_shapes", &lines.join("\n"));
}
