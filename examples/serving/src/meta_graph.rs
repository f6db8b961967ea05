//! The few messages, and of them the few fields, that this crate reads from TensorFlow's protocol
//! buffers. Names and tags are those of tensorflow/core/protobuf/meta_graph.proto and
//! tensorflow/core/framework/{tensor_shape,op_def}.proto; every other field is skipped.

use std::collections::BTreeMap;

use prost::Message;

/// What a SavedModel says about one graph.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetaGraphDef {
    #[prost(btree_map = "string, message", tag = "5")]
    pub(crate) signature_def: BTreeMap<String, SignatureDef>,
}

/// One way to call the graph: names for some of its tensors.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignatureDef {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) inputs: BTreeMap<String, TensorInfo>,
    #[prost(btree_map = "string, message", tag = "2")]
    pub(crate) outputs: BTreeMap<String, TensorInfo>,
}

/// One tensor of the graph.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorInfo {
    /// `operation:output`; empty for what is no plain dense tensor.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// A value of TensorFlow's enum DataType.
    #[prost(int32, tag = "2")]
    pub(crate) dtype: i32,
    #[prost(message, optional, tag = "3")]
    pub(crate) tensor_shape: Option<TensorShape>,
}

/// A shape of which parts may be open.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub(crate) dim: Vec<Dimension>,
    #[prost(bool, tag = "3")]
    pub(crate) unknown_rank: bool,
}

/// One dimension; −1 means any size.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dimension {
    #[prost(int64, tag = "1")]
    pub(crate) size: i64,
}

/// The ops of a library.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpList {
    #[prost(message, repeated, tag = "1")]
    pub(crate) op: Vec<OpDef>,
}

/// One op.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpDef {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}
