//! Graphs built by hand, through TensorFlow's C API.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::ptr::{self, NonNull};

use anyhow::{Context, Result, ensure};
use libc::c_int;
use tensorflow_sys as tf;

use crate::owned::Owned;
use crate::session::Session;
use crate::status::Status;
use crate::tensor::Tensor;

/// Where operations that are added by hand run, also on a machine with a GPU.
pub const CPU: &CStr = c"/device:CPU:0";

/// A graph and the operations added to it.
pub struct Graph {
    /// Not null, and live as long as the graph that owns them.
    operations: Vec<NonNull<tf::TF_Operation>>,
    /// Made by the first run. Dropped before the graph, as it has to be: fields are dropped in their order.
    session: OnceCell<Session>,
    graph: Owned<tf::TF_Graph>,
}

/// An output of an operation in the graph that gave it: the first, unless asked for another.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    operation: usize,
    output: c_int,
}

impl Node {
    /// The output of that number of the same operation, counted from 0.
    pub fn output(self, output: c_int) -> Self {
        Self { output, ..self }
    }
}

/// The value of an attribute.
#[derive(Clone, Copy)]
pub enum Attribute<'a> {
    /// An element type.
    Type(tf::TF_DataType),
    /// A flag.
    Bool(bool),
    /// A constant.
    Tensor(&'a Tensor),
}

impl Graph {
    /// An empty graph.
    ///
    /// # Errors
    ///
    /// TensorFlow has no memory for one.
    pub fn new() -> Result<Self> {
        // SAFETY: TF_NewGraph gives null or a new graph that belongs to the caller, and TF_DeleteGraph
        // deletes it.
        let graph = unsafe { Owned::new(tf::TF_NewGraph(), tf::TF_DeleteGraph, "a graph") }?;
        Ok(Self {
            operations: Vec::new(),
            session: OnceCell::new(),
            graph,
        })
    }

    /// Adds an operation, to run on the CPU, that takes `inputs`. This runs its shape function.
    ///
    /// # Errors
    ///
    /// The operation does not exist, or TensorFlow refuses its inputs, attributes or shapes.
    pub fn add(
        &mut self,
        kind: &CStr,
        name: &CStr,
        inputs: &[Node],
        attributes: &[(&CStr, Attribute)],
    ) -> Result<Node> {
        // What may fail on our side stands here, because nothing but TF_FinishOperation frees what
        // TF_NewOperation gives.
        let inputs = inputs.iter().map(|&input| self.output(input));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let tensors = attributes.iter().map(|&(_, value)| match value {
            Attribute::Tensor(tensor) => tensor.to_tensorflow().map(Some),
            Attribute::Type(_) | Attribute::Bool(_) => Ok(None),
        });
        let tensors = tensors.collect::<Result<Vec<_>>>()?;
        let (status, tensor_status) = (Status::new()?, Status::new()?);
        // SAFETY: the graph, both statuses and the tensors are live, and all names are C strings that outlive the call.
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
            for (&(attribute, value), tensor) in attributes.iter().zip(&tensors) {
                let attribute = attribute.as_ptr();
                match value {
                    Attribute::Type(value) => tf::TF_SetAttrType(description, attribute, value),
                    Attribute::Bool(value) => {
                        tf::TF_SetAttrBool(description, attribute, u8::from(value));
                    }
                    Attribute::Tensor(_) => {
                        // Made above, from the same list.
                        if let Some(tensor) = tensor {
                            let (tensor, status) = (tensor.as_ptr(), tensor_status.as_ptr());
                            tf::TF_SetAttrTensor(description, attribute, tensor, status);
                        }
                    }
                }
            }
            tf::TF_FinishOperation(description, status.as_ptr())
        };
        tensor_status.check()?;
        status.check()?;
        self.operations
            .push(NonNull::new(operation).context("TensorFlow gave no operation")?);
        Ok(self.newest(0))
    }

    /// Says what is known of the shape of `node`: its sizes, -1 for one that is not known;
    /// `None` where not even their number is.
    ///
    /// # Errors
    ///
    /// It contradicts what is known already.
    pub fn set_shape(&mut self, node: Node, shape: Option<&[i64]>) -> Result<()> {
        let output = self.output(node)?;
        let rank = match shape {
            Some(sizes) => c_int::try_from(sizes.len())?,
            None => -1,
        };
        let sizes = shape.unwrap_or_default();
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

    /// What is known of the shape of `node`, in the form that [`Graph::set_shape`] takes.
    ///
    /// # Errors
    ///
    /// There is no such output.
    pub fn shape(&self, node: Node) -> Result<Option<Vec<i64>>> {
        let output = self.output(node)?;
        let status = Status::new()?;
        // SAFETY: the graph and the status are live, and the output is one of this graph (`output`
        // checked).
        let rank =
            unsafe { tf::TF_GraphGetTensorNumDims(self.graph.as_ptr(), output, status.as_ptr()) };
        status.check()?;
        // Negative when unknown.
        let Ok(length) = usize::try_from(rank) else {
            return Ok(None);
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
        Ok(Some(sizes))
    }

    /// Adds the operations that compute the gradient of the sum of `losses` with respect to `variables`. What it
    /// starts from at each loss is in `upstream`, or ones where that is `None`.
    ///
    /// The result has one entry for each variable: `None` where no gradient reaches it. No Python takes part:
    /// TensorFlow looks for the gradient of each operation among those that were registered in C++.
    ///
    /// # Errors
    ///
    /// An operation on the way has no gradient in C++.
    pub fn gradients(
        &mut self,
        losses: &[Node],
        variables: &[Node],
        upstream: Option<&[Node]>,
    ) -> Result<Vec<Option<Node>>> {
        let outputs = |nodes: &[Node]| -> Result<Vec<tf::TF_Output>> {
            nodes.iter().map(|&node| self.output(node)).collect()
        };
        let (mut losses, mut variables) = (outputs(losses)?, outputs(variables)?);
        let mut upstream = upstream.map(outputs).transpose()?;
        if let Some(upstream) = &upstream {
            ensure!(
                upstream.len() == losses.len(),
                "got {} upstream gradients, expected one for each of {} losses",
                upstream.len(),
                losses.len()
            );
        }
        let none = tf::TF_Output {
            oper: ptr::null_mut(),
            index: 0,
        };
        let mut gradients = vec![none; variables.len()];
        let (loss_count, variable_count) = (
            c_int::try_from(losses.len())?,
            c_int::try_from(variables.len())?,
        );
        let status = Status::new()?;
        // SAFETY: the graph and the status are live, and each list is as long as the count that goes with it:
        // `upstream`, unless null, as long as `losses` (checked above), `gradients` as long as `variables`.
        // All are existing outputs of this graph (`output` checked).
        unsafe {
            tf::TF_AddGradients(
                self.graph.as_ptr(),
                losses.as_mut_ptr(),
                loss_count,
                variables.as_mut_ptr(),
                variable_count,
                upstream
                    .as_mut()
                    .map_or(ptr::null_mut(), |upstream| upstream.as_mut_ptr()),
                status.as_ptr(),
                gradients.as_mut_ptr(),
            );
        }
        status.check()?;
        let gradients = gradients.into_iter().map(|gradient| {
            // Null where nothing reaches the variable.
            let operation = NonNull::new(gradient.oper)?;
            self.operations.push(operation);
            Some(self.newest(gradient.index))
        });
        Ok(gradients.collect())
    }

    /// Computes `fetches`, where the values of some nodes are given.
    ///
    /// # Errors
    ///
    /// An output does not exist, or TensorFlow reports a failure.
    pub fn run(&self, feeds: &[(Node, &Tensor)], fetches: &[Node]) -> Result<Vec<Tensor>> {
        let mut outputs = Vec::new();
        let mut values = Vec::new();
        for &(node, tensor) in feeds {
            outputs.push(self.output(node)?);
            values.push(tensor.to_tensorflow()?);
        }
        let fetches = fetches.iter().map(|&node| self.output(node));
        let fetches = fetches.collect::<Result<Vec<_>>>()?;
        let session = match self.session.get() {
            Some(session) => session,
            None => {
                let session = self.new_session()?;
                self.session.get_or_init(|| session)
            }
        };
        // SAFETY: all feeds and fetches are existing outputs of this graph (`output` checked), whose
        // session it is, and which `self` keeps live.
        let results = unsafe { session.run(&outputs, &values, &fetches) }?;
        results.iter().map(Tensor::from_tensorflow).collect()
    }

    fn new_session(&self) -> Result<Session> {
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

    /// An output of the operation that was added last.
    fn newest(&self, output: c_int) -> Node {
        let operation = self.operations.len() - 1;
        Node { operation, output }
    }

    /// The node in TensorFlow's own form, of which it is known that it exists.
    fn output(&self, node: Node) -> Result<tf::TF_Output> {
        let operation = self.operations.get(node.operation);
        let operation = operation
            .context("the node is one of another graph")?
            .as_ptr();
        // SAFETY: the operation is live: it belongs to the graph that `self` owns.
        let outputs = unsafe { tf::TF_OperationNumOutputs(operation) };
        let index = node.output;
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
