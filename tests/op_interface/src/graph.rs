//! Graphs built by hand, through TensorFlow's C API.

use std::ffi::CStr;
use std::os::raw::c_int;
use std::ptr::NonNull;

use anyhow::{Context, Result, ensure};
use hungarian_serving::Tensor;
use hungarian_serving::raw::{Owned, Session, Status};
use tensorflow_sys as tf;

use crate::shape::Shape;

/// Where all ops run, also on a machine with a GPU.
pub(crate) const CPU: &CStr = c"/device:CPU:0";

/// A graph and the operations added to it.
pub(crate) struct Graph {
    /// Not null, and live as long as the graph that owns them.
    operations: Vec<NonNull<tf::TF_Operation>>,
    graph: Owned<tf::TF_Graph>,
}

/// An operation of the graph that gave it.
#[derive(Clone, Copy)]
pub(crate) struct Node(usize);

/// The value of an attribute.
#[derive(Clone, Copy)]
pub(crate) enum Attribute {
    Type(tf::TF_DataType),
    Bool(bool),
}

impl Graph {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: TF_NewGraph gives null or a new graph that belongs to the caller, and TF_DeleteGraph
        // deletes it.
        let graph = unsafe { Owned::new(tf::TF_NewGraph(), tf::TF_DeleteGraph, "a graph") }?;
        Ok(Self {
            operations: Vec::new(),
            graph,
        })
    }

    /// Adds an operation, to run on the CPU, that takes the first output of each of `inputs`. This runs its
    /// shape function.
    pub(crate) fn add(
        &mut self,
        kind: &CStr,
        name: &CStr,
        inputs: &[Node],
        attributes: &[(&CStr, Attribute)],
    ) -> Result<Node> {
        // What may fail on our side stands here, because nothing but TF_FinishOperation frees what
        // TF_NewOperation gives.
        let inputs = inputs.iter().map(|&input| self.output(input, 0));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let status = Status::new()?;
        // SAFETY: the graph and the status are live, and all names are C strings that outlive the call.
        // Each input is an existing output of this graph (`output` checked). TF_NewOperation never gives
        // null, and TF_FinishOperation, called once and last, takes the description back. A kind, input
        // or attribute that does not belong there is an error of TF_FinishOperation, not of these calls.
        let operation = unsafe {
            let description =
                tf::TF_NewOperation(self.graph.as_ptr(), kind.as_ptr(), name.as_ptr());
            tf::TF_SetDevice(description, CPU.as_ptr());
            for input in inputs {
                tf::TF_AddInput(description, input);
            }
            for &(attribute, value) in attributes {
                let attribute = attribute.as_ptr();
                match value {
                    Attribute::Type(value) => tf::TF_SetAttrType(description, attribute, value),
                    Attribute::Bool(value) => {
                        tf::TF_SetAttrBool(description, attribute, u8::from(value));
                    }
                }
            }
            tf::TF_FinishOperation(description, status.as_ptr())
        };
        status.check()?;
        self.operations
            .push(NonNull::new(operation).context("TensorFlow gave no operation")?);
        Ok(Node(self.operations.len() - 1))
    }

    /// Says what shape the first output of `node` has, or what parts of it are known.
    pub(crate) fn set_shape(&mut self, node: Node, shape: &Shape) -> Result<()> {
        let output = self.output(node, 0)?;
        let sizes = shape.0.as_deref().unwrap_or_default();
        let rank = match &shape.0 {
            Some(sizes) => c_int::try_from(sizes.len())?,
            None => -1,
        };
        let status = Status::new()?;
        // SAFETY: the graph and the status are live, the output is one of this graph (`output` checked),
        // and `sizes` holds `rank` sizes, or is not looked at where the rank is -1.
        unsafe {
            tf::TF_GraphSetTensorShape(
                self.graph.as_ptr(),
                output,
                sizes.as_ptr(),
                rank,
                status.as_ptr(),
            );
        }
        status.check()
    }

    /// What is known of the shape of an output.
    pub(crate) fn shape(&self, node: Node, index: c_int) -> Result<Shape> {
        let output = self.output(node, index)?;
        let status = Status::new()?;
        // SAFETY: the graph and the status are live, and the output is one of this graph (`output`
        // checked).
        let rank =
            unsafe { tf::TF_GraphGetTensorNumDims(self.graph.as_ptr(), output, status.as_ptr()) };
        status.check()?;
        // Negative when unknown.
        let Ok(length) = usize::try_from(rank) else {
            return Ok(Shape(None));
        };
        let mut sizes = vec![0; length];
        // SAFETY: as above, and `sizes` has room for `rank` sizes.
        unsafe {
            tf::TF_GraphGetTensorShape(
                self.graph.as_ptr(),
                output,
                sizes.as_mut_ptr(),
                rank,
                status.as_ptr(),
            );
        }
        status.check()?;
        Ok(Shape(Some(sizes)))
    }

    /// Feeds tensors to the first outputs of some operations and computes the outputs `fetches`.
    pub(crate) fn run(
        &self,
        feeds: &[(Node, &Tensor)],
        fetches: &[(Node, c_int)],
    ) -> Result<Vec<Tensor>> {
        let mut outputs = Vec::new();
        let mut values = Vec::new();
        for &(node, tensor) in feeds {
            outputs.push(self.output(node, 0)?);
            values.push(tensor.to_tensorflow()?);
        }
        let fetches = fetches
            .iter()
            .map(|&(node, index)| self.output(node, index));
        let fetches = fetches.collect::<Result<Vec<_>>>()?;
        let session = self.session()?;
        // SAFETY: all feeds and fetches are existing outputs of this graph (`output` checked), whose
        // session it is, and which `self` keeps live.
        let results = unsafe { session.run(&outputs, &values, &fetches) }?;
        results.iter().map(Tensor::from_tensorflow).collect()
    }

    fn session(&self) -> Result<Session> {
        // SAFETY: TF_NewSessionOptions gives null or new options that belong to the caller, and
        // TF_DeleteSessionOptions deletes them.
        let options = unsafe {
            Owned::new(
                tf::TF_NewSessionOptions(),
                tf::TF_DeleteSessionOptions,
                "session options",
            )
        }?;
        let status = Status::new()?;
        // SAFETY: the graph, the options and the status are live.
        let session =
            unsafe { tf::TF_NewSession(self.graph.as_ptr(), options.as_ptr(), status.as_ptr()) };
        status.check()?;
        // SAFETY: the call succeeded (`check` above), so the session is a new object of ours.
        unsafe { Session::new(session) }
    }

    /// An output that exists.
    fn output(&self, node: Node, index: c_int) -> Result<tf::TF_Output> {
        let operation = self.operations.get(node.0);
        let operation = operation
            .context("the node is one of another graph")?
            .as_ptr();
        // SAFETY: the operation is live: it belongs to the graph that `self` owns.
        let outputs = unsafe { tf::TF_OperationNumOutputs(operation) };
        ensure!(
            (0..outputs).contains(&index),
            "got output {index} of an operation with {outputs}"
        );
        Ok(tf::TF_Output {
            oper: operation,
            index,
        })
    }
}
