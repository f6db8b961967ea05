//! Reading NumPy's `.npy` files.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use npyz::{NpyFile, Order};

use crate::tensor::Tensor;

/// The float32 array of any shape in the `.npy` file at `path`.
///
/// # Errors
///
/// The file cannot be read, or it does not hold float32 values in row-major order.
pub fn read_float32(path: impl AsRef<Path>) -> Result<Tensor> {
    let path = path.as_ref();
    read(path).with_context(|| format!("could not read the array in {}", path.display()))
}

fn read(path: &Path) -> Result<Tensor> {
    let file = NpyFile::new(BufReader::new(File::open(path)?))?;
    ensure!(
        file.order() == Order::C,
        "its values are in column-major order, expected row-major"
    );
    let shape: Vec<usize> = file
        .shape()
        .iter()
        .map(|&size| usize::try_from(size))
        .collect::<Result<_, _>>()?;
    let dtype = file.dtype().descr();
    let values = file
        .into_vec::<f32>()
        .with_context(|| format!("got values of NumPy type {dtype}, expected float32"))?;
    Tensor::new(&shape, values)
}
