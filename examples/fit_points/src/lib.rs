//! Moves points onto a target set by gradient descent. Which point goes to which target is not given: the op
//! HungarianAssignment finds that out at every step, and the gradient goes through the op.
//!
//! All of it through TensorFlow's C API: the graph is built by hand and differentiated by TF_AddGradients, which
//! finds the op's gradient in `_hungarian.so`. No Python, and no model from Python either.

use anyhow::{Context, Result};
use hungarian_serving::{Attribute, ElementType, Elements, Graph, Node, Tensor};
use tensorflow_sys::TF_DataType;

/// A point in the plane.
pub type Point = [f64; 2];

/// A set of targets, and how far a set of points is from it.
pub struct Fit {
    graph: Graph,
    points: Node,
    loss: Node,
    row_to_col: Node,
    gradient: Node,
}

/// The result at one set of points.
pub struct Evaluation {
    /// The sum of squared distances between the targets and the points matched with them.
    pub loss: f64,
    /// Its gradient: how it changes with each point.
    pub gradient: Vec<Point>,
    /// The point matched with each target; −1 for a target that has none, because there are fewer points.
    pub matches: Vec<i32>,
}

impl Fit {
    /// Builds the graph: points → squared distances → assignment → loss, and its gradient.
    ///
    /// # Errors
    ///
    /// The op is not registered: load its library first, with `OpLibrary::load`.
    pub fn new(targets: &[Point]) -> Result<Self> {
        let mut graph = Graph::new()?;
        let points = graph.add(
            c"Placeholder",
            c"points",
            &[],
            &[(c"dtype", Attribute::Type(TF_DataType::TF_DOUBLE))],
        )?;
        graph.set_shape(points, Some(&[-1, 2]))?;
        let mut constant = |name, tensor: Tensor| {
            let data_type = match tensor.element_type() {
                ElementType::Bool => TF_DataType::TF_BOOL,
                ElementType::Int32 => TF_DataType::TF_INT32,
                _ => TF_DataType::TF_DOUBLE,
            };
            let attributes = [
                (c"dtype", Attribute::Type(data_type)),
                (c"value", Attribute::Tensor(&tensor)),
            ];
            graph.add(c"Const", name, &[], &attributes)
        };
        let targets = constant(c"targets", to_tensor(targets)?)?;
        let first = constant(c"first", Tensor::new(&[], vec![0_i32])?)?;
        let second = constant(c"second", Tensor::new(&[], vec![1_i32])?)?;
        let last = constant(c"last", Tensor::new(&[], vec![-1_i32])?)?;
        let all = constant(c"all", Tensor::new(&[], vec![true])?)?;
        let no_limit = constant(c"no_limit", Tensor::new(&[], vec![f64::INFINITY])?)?;

        // [1, points, 2] − [targets, 1, 2]: every point from every target.
        let columns = graph.add(c"ExpandDims", c"columns", &[points, first], &[])?;
        let rows = graph.add(c"ExpandDims", c"rows", &[targets, second], &[])?;
        let apart = graph.add(c"Sub", c"apart", &[columns, rows], &[])?;
        let squares = graph.add(c"Square", c"squares", &[apart], &[])?;
        let cost = graph.add(c"Sum", c"cost", &[squares, last], &[])?;
        let assignment = graph.add(
            c"HungarianAssignment",
            c"assignment",
            &[cost, all, all, no_limit],
            &[],
        )?;
        // Its first output is the total cost.
        let loss = assignment;
        let gradients = graph.gradients(&[loss], &[points], None)?;
        let gradient = gradients.into_iter().flatten().next();
        Ok(Self {
            graph,
            points,
            loss,
            row_to_col: assignment.output(1),
            gradient: gradient.context("no gradient reaches the points")?,
        })
    }

    /// The loss at `points`, its gradient, and the matching behind them.
    ///
    /// # Errors
    ///
    /// TensorFlow reports a failure.
    pub fn evaluate(&self, points: &[Point]) -> Result<Evaluation> {
        let outputs = self.graph.run(
            &[(self.points, &to_tensor(points)?)],
            &[self.loss, self.gradient, self.row_to_col],
        )?;
        Ok(Evaluation {
            loss: *numbers(&outputs[0])?.first().context("the loss is empty")?,
            gradient: numbers(&outputs[1])?.as_chunks().0.to_vec(),
            matches: outputs[2].as_int32()?.to_vec(),
        })
    }
}

/// One step of gradient descent.
pub fn step(points: &mut [Point], gradient: &[Point], rate: f64) {
    for (point, slope) in points.iter_mut().zip(gradient) {
        for (coordinate, slope) in point.iter_mut().zip(slope) {
            *coordinate -= rate * slope;
        }
    }
}

fn to_tensor(points: &[Point]) -> Result<Tensor> {
    Tensor::new(&[points.len(), 2], points.as_flattened().to_vec())
}

fn numbers(tensor: &Tensor) -> Result<&[f64]> {
    match tensor.elements() {
        Elements::Float64(values) => Ok(values),
        _ => anyhow::bail!(
            "got a tensor of {}, expected float64",
            tensor.element_type()
        ),
    }
}
