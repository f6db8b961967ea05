//! Types of costs and limit that do not go together.

use std::fmt::Write as _;

use anyhow::Result;
use hungarian_serving::Tensor;
use tensorflow_sys::TF_DataType::{self, *};

use crate::assignment::{Assignment, Attributes, OP, fed_type};
use crate::eager::Context;
use crate::verdict::verdicts;
use crate::{assert_snapshot, load_library};

/// Runs the kernel for an empty cost matrix with no shape function before it.
fn run_kernel(cost: TF_DataType, limit: TF_DataType) -> Result<()> {
    let context = Context::new()?;
    let number = |data_type, shape: &[usize], value: f64| {
        let count: usize = shape.iter().product();
        let tensor = match data_type {
            TF_DOUBLE => Tensor::new(shape, vec![value; count]),
            _ => Tensor::new(shape, vec![value as f32; count]),
        };
        context.value(&tensor?)
    };
    let fed = fed_type(cost);
    let mut costs = number(fed, &[2, 3], 1.0)?;
    if fed != cost {
        costs = context.run(c"Cast", &[&costs], &[(c"SrcT", fed), (c"DstT", cost)])?;
    }
    let mask = context.value(&Tensor::new(&[], vec![true])?)?;
    let limit_value = number(limit, &[], f64::INFINITY)?;
    let inputs = [&costs, &mask, &mask, &limit_value];
    context.run(OP, &inputs, &[(c"T", cost), (c"U", limit)])?;
    Ok(())
}

#[test]
fn types_that_do_not_fit() {
    load_library();
    let mut text = String::new();
    for (cost, limit, fits) in [
        (TF_HALF, TF_DOUBLE, false),
        (TF_BFLOAT16, TF_DOUBLE, false),
        (TF_FLOAT, TF_DOUBLE, false),
        (TF_DOUBLE, TF_FLOAT, false),
        (TF_HALF, TF_FLOAT, true),
        (TF_BFLOAT16, TF_FLOAT, true),
        (TF_FLOAT, TF_FLOAT, true),
        (TF_DOUBLE, TF_DOUBLE, true),
    ] {
        let attributes = Attributes {
            cost,
            limit,
            ..Attributes::default()
        };
        let inferred = Assignment::of_any_shape(attributes);
        let computed = run_kernel(cost, limit);
        assert_eq!((inferred.is_ok(), computed.is_ok()), (fits, fits));
        let name = |data_type| {
            format!("{data_type:?}")
                .trim_start_matches("TF_")
                .to_lowercase()
        };
        writeln!(text, "T {}, U {}", name(cost), name(limit)).unwrap();
        text += &verdicts(&inferred, &computed);
    }
    assert_snapshot("types", &text);
}
