//! A graph of one HungarianAssignment op whose inputs are fed.

use std::ffi::CStr;
use std::os::raw::c_int;

use anyhow::Result;
use hungarian_serving::Tensor;
use tensorflow_sys::TF_DataType;

use crate::graph::{Attribute, Graph, Node};
use crate::shape::Shape;

pub(crate) const OP: &CStr = c"HungarianAssignment";
pub(crate) const INPUTS: [&CStr; 4] = [c"cost", c"row_mask", c"col_mask", c"cost_limit"];
pub(crate) const OUTPUTS: c_int = 6;

/// The attributes of the op.
#[derive(Clone, Copy)]
pub(crate) struct Attributes {
    /// T.
    pub(crate) cost: TF_DataType,
    /// U.
    pub(crate) limit: TF_DataType,
    pub(crate) maximize: bool,
    pub(crate) validate: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            cost: TF_DataType::TF_FLOAT,
            limit: TF_DataType::TF_FLOAT,
            maximize: false,
            validate: false,
        }
    }
}

/// The type that costs are fed in. Those of 16 bits are fed as float and cast by TensorFlow.
pub(crate) fn fed_type(cost: TF_DataType) -> TF_DataType {
    match cost {
        TF_DataType::TF_HALF | TF_DataType::TF_BFLOAT16 => TF_DataType::TF_FLOAT,
        other => other,
    }
}

/// The graph.
pub(crate) struct Assignment {
    graph: Graph,
    placeholders: Vec<Node>,
    op: Node,
}

impl Assignment {
    /// Builds the graph with what is known of the shapes of the four inputs. Fails where the op's shape
    /// function does.
    pub(crate) fn build(attributes: Attributes, shapes: &[Shape; 4]) -> Result<Self> {
        let Attributes {
            cost,
            limit,
            maximize,
            validate,
        } = attributes;
        let mut graph = Graph::new()?;
        let types = [
            fed_type(cost),
            TF_DataType::TF_BOOL,
            TF_DataType::TF_BOOL,
            limit,
        ];
        let mut placeholders = Vec::new();
        for ((name, data_type), shape) in INPUTS.into_iter().zip(types).zip(shapes) {
            let data_type = [(c"dtype", Attribute::Type(data_type))];
            let placeholder = graph.add(c"Placeholder", name, &[], &data_type)?;
            graph.set_shape(placeholder, shape)?;
            placeholders.push(placeholder);
        }
        let mut inputs = placeholders.clone();
        if cost != types[0] {
            let types = [
                (c"SrcT", Attribute::Type(types[0])),
                (c"DstT", Attribute::Type(cost)),
            ];
            inputs[0] = graph.add(c"Cast", c"cast", &inputs[..1], &types)?;
        }
        let op = graph.add(
            OP,
            c"assignment",
            &inputs,
            &[
                (c"maximize", Attribute::Bool(maximize)),
                (c"validate", Attribute::Bool(validate)),
            ],
        )?;
        Ok(Self {
            graph,
            placeholders,
            op,
        })
    }

    /// Builds the graph with nothing known of any shape, so that only the kernel can judge what is fed.
    pub(crate) fn of_any_shape(attributes: Attributes) -> Result<Self> {
        Self::build(attributes, &[const { Shape(None) }; 4])
    }

    /// What is known of the shape of an output.
    pub(crate) fn shape(&self, output: c_int) -> Result<Shape> {
        self.graph.shape(self.op, output)
    }

    /// Runs the op and returns its outputs in their order.
    pub(crate) fn run(&self, inputs: [&Tensor; 4]) -> Result<Vec<Tensor>> {
        let feeds: Vec<_> = self.placeholders.iter().copied().zip(inputs).collect();
        let fetches: Vec<_> = (0..OUTPUTS).map(|output| (self.op, output)).collect();
        self.graph.run(&feeds, &fetches)
    }
}
