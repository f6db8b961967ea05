//! Runs a TensorFlow SavedModel from Rust, custom ops included, through TensorFlow's C API: no Python.
//!
//! Three steps: [`OpLibrary::load`] registers the ops of a shared object, [`SavedModel::load`] loads the
//! model that uses them, and [`SavedModel::run`] runs one of its signatures on [`Tensor`]s.
//!
//! ```no_run
//! use hungarian_serving::{OpLibrary, SavedModel, Tensor};
//!
//! # fn main() -> anyhow::Result<()> {
//! let library = OpLibrary::load("_hungarian.so")?;
//! let model = SavedModel::load("saved_model")?;
//! let truth = Tensor::new(&[1, 2, 1], vec![0.0_f32, 1.0])?;
//! let prediction = Tensor::new(&[1, 2, 1], vec![1.0_f32, 0.0])?;
//! let outputs = model.run("infer", &[("y_true", &truth), ("y_pred", &prediction)])?;
//! println!("{:?} of {:?}", outputs["row_to_col"], library.op_names());
//! # Ok(())
//! # }
//! ```
//!
//! A [`Graph`] is built by hand, and differentiated: `examples/fit_points` does that.
//!
//! Every error is an [`anyhow::Error`] whose chain, printed with `{:#}`, is one sentence.

mod graph;
mod library;
mod meta_graph;
mod npy;
mod owned;
mod saved_model;
mod session;
mod status;
mod tensor;

pub use graph::{Attribute, CPU, Graph, Node};
pub use library::OpLibrary;
pub use npy::read_float32;
pub use saved_model::{SavedModel, Signature, TensorSpec};
pub use tensor::{ElementType, Elements, Tensor};

/// The parts that this crate is built of, for programs that call more of the C API: the tests in tests/op_interface
/// do.
pub mod raw {
    pub use crate::owned::Owned;
    pub use crate::session::Session;
    pub use crate::status::{Failure, Status};
}
