//! How TensorFlow describes an op: its messages OpList and OpDef, and how they are printed.
//!
//! Names and tags are those of tensorflow/core/framework/{op_def,attr_value}.proto. Fields that no
//! op of ours has any use for are left out; that none was skipped shows when a message, encoded
//! again, is what it was.

use std::fmt::{self, Write as _};

use anyhow::{Context, Result, ensure};
use prost::{Message, Oneof};
use tensorflow_sys::TF_DataType;

/// The ops of a library.
#[derive(Clone, PartialEq, Message)]
struct OpList {
    #[prost(message, repeated, tag = "1")]
    op: Vec<OpDef>,
}

/// One op.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OpDef {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) input_arg: Vec<ArgDef>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) output_arg: Vec<ArgDef>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) attr: Vec<AttrDef>,
    #[prost(string, tag = "5")]
    pub(crate) summary: String,
    #[prost(string, tag = "6")]
    pub(crate) description: String,
    #[prost(bool, tag = "16")]
    pub(crate) is_aggregate: bool,
    #[prost(bool, tag = "17")]
    pub(crate) is_stateful: bool,
    #[prost(bool, tag = "18")]
    pub(crate) is_commutative: bool,
    #[prost(bool, tag = "19")]
    pub(crate) allows_uninitialized_input: bool,
    #[prost(bool, tag = "21")]
    pub(crate) is_distributed_communication: bool,
}

/// An input or output.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ArgDef {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
    /// A value of the enum DataType, or 0 when an attribute says the type.
    #[prost(int32, tag = "3")]
    pub(crate) type_: i32,
    #[prost(string, tag = "4")]
    pub(crate) type_attr: String,
}

/// An attribute.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttrDef {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) type_: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) default_value: Option<AttrValue>,
    #[prost(string, tag = "4")]
    pub(crate) description: String,
    #[prost(message, optional, tag = "7")]
    pub(crate) allowed_values: Option<AttrValue>,
}

/// A value, or a list of them.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttrValue {
    #[prost(oneof = "Value", tags = "1, 5, 6")]
    pub(crate) value: Option<Value>,
}

/// One of the values an attribute of ours can have.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Value {
    #[prost(message, tag = "1")]
    List(ListValue),
    #[prost(bool, tag = "5")]
    Bool(bool),
    #[prost(int32, tag = "6")]
    Type(i32),
}

/// A list of types.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListValue {
    #[prost(int32, repeated, tag = "6")]
    pub(crate) type_: Vec<i32>,
}

/// The ops in a serialized OpList, every field of which must be one that is declared here.
pub(crate) fn decode(op_list: &[u8]) -> Result<Vec<OpDef>> {
    let list = OpList::decode(op_list).context("the list of ops cannot be read")?;
    ensure!(
        list.encode_to_vec() == op_list,
        "an op has a field that is not declared here: {list:?}"
    );
    Ok(list.op)
}

impl OpDef {
    /// Everything but the documentation.
    pub(crate) fn signature(&self) -> String {
        let mut text = self.name.clone();
        let mut part = |title: &str, lines: Vec<String>| {
            // Writing to a string never fails.
            let _ = write!(text, "\n\n{title}");
            for line in lines {
                let _ = write!(text, "\n  {line}");
            }
        };
        part(
            "Inputs",
            self.input_arg.iter().map(ArgDef::to_string).collect(),
        );
        part(
            "Outputs",
            self.output_arg.iter().map(ArgDef::to_string).collect(),
        );
        part(
            "Attributes",
            self.attr.iter().map(AttrDef::to_string).collect(),
        );
        let flags = [
            ("aggregate", self.is_aggregate),
            ("stateful", self.is_stateful),
            ("commutative", self.is_commutative),
            (
                "allows uninitialized input",
                self.allows_uninitialized_input,
            ),
            (
                "distributed communication",
                self.is_distributed_communication,
            ),
        ];
        let flags = flags.map(|(flag, set)| format!("{flag}: {}", if set { "yes" } else { "no" }));
        part("Flags", flags.into());
        text
    }

    /// The documentation.
    pub(crate) fn documentation(&self) -> String {
        let mut text = format!("{}\n\n{}", self.summary, self.description);
        let inputs = self
            .input_arg
            .iter()
            .map(|arg| ("input", &arg.name, &arg.description));
        let outputs = self
            .output_arg
            .iter()
            .map(|arg| ("output", &arg.name, &arg.description));
        let attributes = self
            .attr
            .iter()
            .map(|attr| ("attribute", &attr.name, &attr.description));
        for (kind, name, description) in inputs.chain(outputs).chain(attributes) {
            // Writing to a string never fails.
            let _ = write!(text, "\n\n{kind} {name}\n{description}");
        }
        text
    }
}

impl fmt::Display for ArgDef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.name)?;
        match self.type_ {
            0 => formatter.write_str(&self.type_attr),
            number => formatter.write_str(&type_name(number)),
        }
    }
}

impl fmt::Display for AttrDef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.name, self.type_)?;
        if let Some(values) = &self.allowed_values {
            write!(formatter, ", one of {values}")?;
        }
        match &self.default_value {
            Some(value) => write!(formatter, ", by default {value}"),
            None => formatter.write_str(", required"),
        }
    }
}

impl fmt::Display for AttrValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(Value::Bool(value)) => write!(formatter, "{value}"),
            Some(Value::Type(number)) => formatter.write_str(&type_name(*number)),
            Some(Value::List(list)) => {
                let names: Vec<String> = list.type_.iter().copied().map(type_name).collect();
                formatter.write_str(&names.join(", "))
            }
            None => formatter.write_str("nothing"),
        }
    }
}

/// The name of a type that the op uses, by its number in the enum DataType.
fn type_name(number: i32) -> String {
    const NAMES: [(TF_DataType, &str); 6] = [
        (TF_DataType::TF_HALF, "half"),
        (TF_DataType::TF_BFLOAT16, "bfloat16"),
        (TF_DataType::TF_FLOAT, "float"),
        (TF_DataType::TF_DOUBLE, "double"),
        (TF_DataType::TF_INT32, "int32"),
        (TF_DataType::TF_BOOL, "bool"),
    ];
    let known = NAMES
        .iter()
        .find(|(data_type, _)| *data_type as i32 == number);
    known.map_or_else(
        || format!("type number {number}"),
        |(_, name)| (*name).to_owned(),
    )
}
