//! Loading a SavedModel and running its signatures.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::slice;

use anyhow::{Context, Result, bail, ensure};
use libc::c_int;
use prost::Message;
use tensorflow_sys as tf;

use crate::meta_graph::{MetaGraphDef, SignatureDef, TensorInfo};
use crate::owned::Owned;
use crate::session::Session;
use crate::status::Status;
use crate::tensor::{ElementType, Tensor};

/// What the model says about one input or output of a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// The type of the elements.
    pub element_type: ElementType,
    /// The size of each dimension, `None` where it is open; `None` as a whole when even the number of
    /// dimensions is open.
    pub shape: Option<Vec<Option<usize>>>,
    /// Where the tensor is in the graph, as `operation:output`.
    graph_name: String,
}

impl TensorSpec {
    fn new(info: TensorInfo) -> Self {
        // A negative size stands for an open one.
        let size = |size: i64| usize::try_from(size).ok();
        let shape = info.tensor_shape.filter(|shape| !shape.unknown_rank);
        Self {
            element_type: ElementType::from_number(info.dtype),
            shape: shape.map(|shape| shape.dim.iter().map(|dim| size(dim.size)).collect()),
            graph_name: info.name,
        }
    }

    /// An error with got and expected unless `tensor` is what the model asks for.
    fn check(&self, tensor: &Tensor) -> Result<()> {
        let (got, expected) = (tensor.element_type(), self.element_type);
        ensure!(got == expected, "got {got}, expected {expected}");
        if let Some(expected) = &self.shape {
            let got = tensor.shape();
            let fits = got.len() == expected.len()
                && got
                    .iter()
                    .zip(expected)
                    .all(|(&got, expected)| expected.is_none_or(|size| size == got));
            ensure!(fits, "got shape {got:?}, expected {}", ShapeText(expected));
        }
        Ok(())
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Some(shape) => write!(formatter, "{} {}", self.element_type, ShapeText(shape)),
            None => write!(formatter, "{} of any shape", self.element_type),
        }
    }
}

/// Writes a shape as `[?, 28, 28, 1]`.
struct ShapeText<'a>(&'a [Option<usize>]);

impl fmt::Display for ShapeText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |size: &Option<usize>| size.map_or("?".to_owned(), |size| size.to_string());
        let sizes: Vec<String> = self.0.iter().map(size).collect();
        write!(formatter, "[{}]", sizes.join(", "))
    }
}

/// One way to call the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// What it takes, by name.
    pub inputs: BTreeMap<String, TensorSpec>,
    /// What it gives, by name.
    pub outputs: BTreeMap<String, TensorSpec>,
}

impl Signature {
    fn new(definition: SignatureDef) -> Self {
        let specs = |tensors: BTreeMap<String, TensorInfo>| {
            let spec = |(name, info)| (name, TensorSpec::new(info));
            tensors.into_iter().map(spec).collect()
        };
        Self {
            inputs: specs(definition.inputs),
            outputs: specs(definition.outputs),
        }
    }

    /// An error unless `inputs` are exactly the inputs of this signature, each of the right type and shape.
    fn check(&self, inputs: &[(&str, &Tensor)]) -> Result<()> {
        for (position, (name, tensor)) in inputs.iter().enumerate() {
            let spec = self.inputs.get(*name).with_context(|| {
                format!(
                    "it has no input `{name}`; its inputs are {}",
                    list(self.inputs.keys())
                )
            })?;
            spec.check(tensor)
                .with_context(|| format!("input `{name}`"))?;
            let given_before = inputs[..position].iter().any(|(other, _)| other == name);
            ensure!(!given_before, "input `{name}` was given twice");
        }
        for (name, spec) in &self.inputs {
            let given = inputs.iter().any(|(other, _)| other == name);
            ensure!(given, "its input `{name}` ({spec}) was not given");
        }
        Ok(())
    }
}

/// Names as they stand in a sentence.
fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() {
        "none".to_owned()
    } else {
        quoted.join(", ")
    }
}

/// A loaded model: its graph, its variables and its signatures.
///
/// Each one has variables of its own: a signature that trains changes this model in memory, and neither
/// the files nor another loaded copy.
pub struct SavedModel {
    signatures: BTreeMap<String, Signature>,
    // Declared before the graph that it uses, so that it is dropped first.
    session: Session,
    graph: Owned<tf::TF_Graph>,
}

impl SavedModel {
    /// Loads the model for serving from `directory`, as `tf.saved_model.save` wrote it, and restores its
    /// variables. The ops it uses must be known by then: load their [`OpLibrary`](crate::OpLibrary) first.
    ///
    /// # Errors
    ///
    /// There is no model in `directory`, it uses an op that is not registered, or TensorFlow cannot load
    /// it for another reason.
    pub fn load(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref();
        load(directory)
            .with_context(|| format!("could not load the SavedModel in {}", directory.display()))
    }

    /// The signatures by name.
    pub fn signatures(&self) -> &BTreeMap<String, Signature> {
        &self.signatures
    }

    /// Runs a signature on inputs given by name, in any order, and returns its outputs by name.
    ///
    /// # Errors
    ///
    /// There is no such signature; an input is missing, unknown, given twice, or not of the type and
    /// shape that the signature asks for; an output has a type that no [`Tensor`] can hold; or an op of
    /// the model fails.
    pub fn run(
        &self,
        signature: &str,
        inputs: &[(&str, &Tensor)],
    ) -> Result<BTreeMap<String, Tensor>> {
        let found = self.signatures.get(signature).with_context(|| {
            let known = list(self.signatures.keys());
            format!("the model has no signature `{signature}`; its signatures are {known}")
        })?;
        self.run_signature(found, inputs)
            .with_context(|| format!("could not run signature `{signature}`"))
    }

    fn run_signature(
        &self,
        signature: &Signature,
        inputs: &[(&str, &Tensor)],
    ) -> Result<BTreeMap<String, Tensor>> {
        signature.check(inputs)?;
        let mut feeds = Vec::new();
        let mut values = Vec::new();
        for (name, tensor) in inputs {
            feeds.push(self.find(&signature.inputs[*name])?);
            values.push(tensor.to_tensorflow()?);
        }
        let fetches = signature
            .outputs
            .iter()
            .map(|(name, spec)| self.find(spec).with_context(|| format!("output `{name}`")))
            .collect::<Result<Vec<_>>>()?;
        // SAFETY: every feed and fetch is an existing output of an operation in this session's graph
        // (`find` checked), which `self` keeps live.
        let results = unsafe { self.session.run(&feeds, &values, &fetches) }?;
        let outputs = signature.outputs.keys().zip(&results);
        outputs
            .map(|(name, result)| {
                let tensor = Tensor::from_tensorflow(result);
                Ok((
                    name.clone(),
                    tensor.with_context(|| format!("output `{name}`"))?,
                ))
            })
            .collect()
    }

    /// The tensor in the graph that the model gives as an input or output.
    fn find(&self, spec: &TensorSpec) -> Result<tf::TF_Output> {
        if let ElementType::Other(_) = spec.element_type {
            bail!("a tensor of {} cannot be read", spec.element_type);
        }
        let name = &spec.graph_name;
        let (operation, index) = name.split_once(':').with_context(|| {
            format!("got `{name}` as a graph tensor, expected `operation:output`")
        })?;
        let index: c_int = index.parse()?;
        let operation_name = CString::new(operation)?;
        // SAFETY: the graph is live, and the name is a C string that outlives the call.
        let operation =
            unsafe { tf::TF_GraphOperationByName(self.graph.as_ptr(), operation_name.as_ptr()) };
        ensure!(
            !operation.is_null(),
            "the graph has no operation {operation_name:?}"
        );
        // SAFETY: the operation is not null (checked above), and belongs to the live graph.
        let outputs = unsafe { tf::TF_OperationNumOutputs(operation) };
        ensure!(
            (0..outputs).contains(&index),
            "got output {index} of the graph's operation {operation_name:?}, which has {outputs}"
        );
        Ok(tf::TF_Output {
            oper: operation,
            index,
        })
    }
}

fn load(directory: &Path) -> Result<SavedModel> {
    let directory = CString::new(directory.as_os_str().as_bytes())?;
    // SAFETY: each of the three functions gives null or a new object that belongs to the caller, and is
    // paired with the function that deletes it.
    let (options, graph, meta_graph) = unsafe {
        (
            Owned::new(
                tf::TF_NewSessionOptions(),
                tf::TF_DeleteSessionOptions,
                "session options",
            )?,
            Owned::new(tf::TF_NewGraph(), tf::TF_DeleteGraph, "a graph")?,
            Owned::new(tf::TF_NewBuffer(), tf::TF_DeleteBuffer, "a buffer")?,
        )
    };
    let tags = [c"serve".as_ptr()];
    let status = Status::new()?;
    // SAFETY: all objects are live, the graph and the buffer are new and empty as the function wants
    // them, the directory and the one tag are C strings, and there are no run options.
    let session = unsafe {
        tf::TF_LoadSessionFromSavedModel(
            options.as_ptr(),
            ptr::null(),
            directory.as_ptr(),
            tags.as_ptr(),
            1,
            graph.as_ptr(),
            meta_graph.as_ptr(),
            status.as_ptr(),
        )
    };
    status.check()?;
    // SAFETY: the call succeeded (`check` above), so the session is a new object of ours.
    let session = unsafe { Session::new(session) }?;
    Ok(SavedModel {
        signatures: read_signatures(&meta_graph)?,
        session,
        graph,
    })
}

/// The signatures in a serialized MetaGraphDef.
fn read_signatures(meta_graph: &Owned<tf::TF_Buffer>) -> Result<BTreeMap<String, Signature>> {
    // SAFETY: the buffer is live, and nobody changes it while it is borrowed.
    let buffer = unsafe { &*meta_graph.as_ptr() };
    ensure!(
        !buffer.data.is_null(),
        "TensorFlow gave no description of the model"
    );
    // SAFETY: the data is not null (checked above), holds `length` bytes, and belongs to the buffer,
    // which outlives this function.
    let bytes = unsafe { slice::from_raw_parts(buffer.data.cast::<u8>(), buffer.length) };
    let definition = MetaGraphDef::decode(bytes).context("its description cannot be read")?;
    Ok(definition
        .signature_def
        .into_iter()
        // The signature by which the loader itself initializes the model; not one to call.
        .filter(|(name, _)| name != "__saved_model_init_op")
        .map(|(name, signature)| (name, Signature::new(signature)))
        .collect())
}
