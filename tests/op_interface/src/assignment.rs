//! A graph of one HungarianAssignment op whose inputs are fed.

use std::ffi::CStr;
use std::os::raw::c_int;

use anyhow::{Context, Result, anyhow};
use hungarian_serving::{Attribute, Graph, Node, Tensor};
use tensorflow_sys::TF_DataType;

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
    /// What the op takes: the placeholders, or a cast of one.
    inputs: Vec<Node>,
    op: Node,
    attributes: Attributes,
}

impl Assignment {
    /// Builds the graph with what is known of the shapes of the four inputs. Fails where the op's
    /// shape function does.
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
            graph.set_shape(placeholder, shape.0.as_deref())?;
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
            inputs,
            op,
            attributes,
        })
    }

    /// Builds the graph with nothing known of any shape, so that only the kernel can judge what is
    /// fed.
    pub(crate) fn of_any_shape(attributes: Attributes) -> Result<Self> {
        Self::build(attributes, &[const { Shape(None) }; 4])
    }

    /// What is known of the shape of an output.
    pub(crate) fn shape(&self, output: c_int) -> Result<Shape> {
        self.graph.shape(self.op.output(output)).map(Shape)
    }

    /// Runs the op and returns its outputs in their order.
    pub(crate) fn run(&self, inputs: [&Tensor; 4]) -> Result<Vec<Tensor>> {
        let feeds: Vec<_> = self.placeholders.iter().copied().zip(inputs).collect();
        let fetches: Vec<_> = (0..OUTPUTS).map(|output| self.op.output(output)).collect();
        self.graph.run(&feeds, &fetches)
    }

    /// Adds the gradient of total_cost.
    pub(crate) fn differentiate(mut self) -> Result<Gradient> {
        let Attributes { cost, limit, .. } = self.attributes;
        let data_type = [(c"dtype", Attribute::Type(limit))];
        let upstream = self
            .graph
            .add(c"Placeholder", c"upstream", &[], &data_type)?;
        let by_input = self
            .graph
            .gradients(&[self.op], &self.inputs, Some(&[upstream]))?;
        let mut by_cost = by_input[0].context("no gradient reaches the costs")?;
        if cost != fed_type(cost) {
            let types = [
                (c"SrcT", Attribute::Type(cost)),
                (c"DstT", Attribute::Type(fed_type(cost))),
            ];
            by_cost = self.graph.add(c"Cast", c"wide", &[by_cost], &types)?;
        }
        Ok(Gradient {
            upstream,
            by_cost,
            by_others: by_input[1..].iter().map(Option::is_some).collect(),
            assignment: self,
        })
    }
}

/// The graph, and the gradient of total_cost in it.
pub(crate) struct Gradient {
    assignment: Assignment,
    upstream: Node,
    /// In the type that costs are fed in, which holds all values of the others.
    by_cost: Node,
    /// Whether there is one with respect to each of the other inputs.
    pub(crate) by_others: Vec<bool>,
}

impl Gradient {
    /// Runs both, and returns row_to_col and the gradient with respect to the costs.
    pub(crate) fn run(&self, inputs: [&Tensor; 4], upstream: &Tensor) -> Result<[Tensor; 2]> {
        let Assignment {
            graph,
            placeholders,
            op,
            ..
        } = &self.assignment;
        let mut feeds: Vec<_> = placeholders.iter().copied().zip(inputs).collect();
        feeds.push((self.upstream, upstream));
        let outputs = graph.run(&feeds, &[op.output(1), self.by_cost])?;
        <[Tensor; 2]>::try_from(outputs)
            .map_err(|outputs| anyhow!("got {} outputs, expected 2", outputs.len()))
    }
}
