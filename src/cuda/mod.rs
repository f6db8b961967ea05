//! The solver on CUDA devices.
//!
//! The kernels are `cuda/assignment.cu`. [`parameters`] is what they are given, [`plan`] which of
//! them are launched, with how many threads and how much memory, and where in it their arrays lie;
//! neither needs a driver. With the feature `cuda`, `image` has the kernels as PTX, `driver` the
//! calls of the driver, `launch` puts a batch on a stream, `once` keeps what was made for a
//! context, and `bridge` is how C++ asks for all that.

#[cfg(feature = "cuda")]
pub mod bridge;
#[cfg(feature = "cuda")]
pub mod driver;
#[cfg(feature = "cuda")]
pub mod image;
#[cfg(feature = "cuda")]
pub mod launch;
#[cfg(feature = "cuda")]
pub mod once;
pub mod parameters;
pub mod plan;
