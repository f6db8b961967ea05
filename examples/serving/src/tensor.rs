//! Tensors that Rust owns, and their copies in TensorFlow's memory.

use std::fmt;
use std::slice;

use anyhow::{Context, Result, bail, ensure};
use libc::c_int;
use tensorflow_sys as tf;

use crate::owned::Owned;

/// The most dimensions a TensorFlow tensor can have; asked for more, TensorFlow ends the process.
const MOST_DIMENSIONS: usize = 254;

unsafe extern "C" {
    /// TF_TensorType, but with the plain number as its result. The declaration in tensorflow-sys returns
    /// an enum with the types of TensorFlow 2.13, and a type added since (float8, int4) would not be a
    /// value of that enum, which Rust does not allow to exist.
    #[link_name = "TF_TensorType"]
    fn tensor_type_number(tensor: *const tf::TF_Tensor) -> c_int;
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit floating point.
    Float32,
    /// 64-bit floating point.
    Float64,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit signed integer.
    Int64,
    /// True or false.
    Bool,
    /// Any other type, by its number in TensorFlow's enum DataType. No [`Tensor`] can hold it.
    Other(i32),
}

impl ElementType {
    /// The type with this number in TensorFlow's enum DataType.
    pub(crate) fn from_number(number: i32) -> Self {
        const FLOAT: i32 = tf::TF_DataType::TF_FLOAT as i32;
        const DOUBLE: i32 = tf::TF_DataType::TF_DOUBLE as i32;
        const INT32: i32 = tf::TF_DataType::TF_INT32 as i32;
        const INT64: i32 = tf::TF_DataType::TF_INT64 as i32;
        const BOOL: i32 = tf::TF_DataType::TF_BOOL as i32;
        match number {
            FLOAT => Self::Float32,
            DOUBLE => Self::Float64,
            INT32 => Self::Int32,
            INT64 => Self::Int64,
            BOOL => Self::Bool,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float32 => formatter.write_str("float32"),
            Self::Float64 => formatter.write_str("float64"),
            Self::Int32 => formatter.write_str("int32"),
            Self::Int64 => formatter.write_str("int64"),
            Self::Bool => formatter.write_str("bool"),
            Self::Other(number) => write!(formatter, "TensorFlow's data type number {number}"),
        }
    }
}

/// The elements of a tensor, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// float32
    Float32(Vec<f32>),
    /// float64
    Float64(Vec<f64>),
    /// int32
    Int32(Vec<i32>),
    /// int64
    Int64(Vec<i64>),
    /// bool
    Bool(Vec<bool>),
}

impl From<Vec<f32>> for Elements {
    fn from(values: Vec<f32>) -> Self {
        Self::Float32(values)
    }
}

impl From<Vec<f64>> for Elements {
    fn from(values: Vec<f64>) -> Self {
        Self::Float64(values)
    }
}

impl From<Vec<i32>> for Elements {
    fn from(values: Vec<i32>) -> Self {
        Self::Int32(values)
    }
}

impl From<Vec<i64>> for Elements {
    fn from(values: Vec<i64>) -> Self {
        Self::Int64(values)
    }
}

impl From<Vec<bool>> for Elements {
    fn from(values: Vec<bool>) -> Self {
        Self::Bool(values)
    }
}

impl Elements {
    fn len(&self) -> usize {
        match self {
            Self::Float32(values) => values.len(),
            Self::Float64(values) => values.len(),
            Self::Int32(values) => values.len(),
            Self::Int64(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    /// The elements as TensorFlow has them in memory.
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Float32(values) => values
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect(),
            Self::Float64(values) => values
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect(),
            Self::Int32(values) => values
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect(),
            Self::Int64(values) => values
                .iter()
                .flat_map(|value| value.to_ne_bytes())
                .collect(),
            Self::Bool(values) => values.iter().map(|&value| u8::from(value)).collect(),
        }
    }

    /// The elements from `bytes`, as TensorFlow has them in memory.
    fn from_bytes(element_type: ElementType, bytes: &[u8]) -> Result<Self> {
        Ok(match element_type {
            ElementType::Float32 => Self::Float32(convert(bytes, f32::from_ne_bytes)?),
            ElementType::Float64 => Self::Float64(convert(bytes, f64::from_ne_bytes)?),
            ElementType::Int32 => Self::Int32(convert(bytes, i32::from_ne_bytes)?),
            ElementType::Int64 => Self::Int64(convert(bytes, i64::from_ne_bytes)?),
            ElementType::Bool => Self::Bool(convert(bytes, |[byte]| byte != 0)?),
            ElementType::Other(_) => bail!("a tensor of {element_type} cannot be read"),
        })
    }
}

/// Reads values of `SIZE` bytes one by one, so that `bytes` may lie at any address.
fn convert<const SIZE: usize, T>(bytes: &[u8], value: fn([u8; SIZE]) -> T) -> Result<Vec<T>> {
    let (chunks, rest) = bytes.as_chunks::<SIZE>();
    ensure!(
        rest.is_empty(),
        "got {} bytes, expected a multiple of {SIZE}",
        bytes.len()
    );
    Ok(chunks.iter().copied().map(value).collect())
}

/// How many elements a shape has.
///
/// Counted in i64 and from left to right because TensorFlow counts so, and ends the process where it
/// overflows; here that is an error.
fn count_elements(dimensions: &[i64]) -> Result<usize> {
    let count = dimensions.iter().try_fold(1_i64, |count, &size| {
        count.checked_mul(size).filter(|_| size >= 0)
    });
    count
        .and_then(|count| usize::try_from(count).ok())
        .with_context(|| format!("shape {dimensions:?} has too many elements to count"))
}

/// A dense tensor: a shape, and as many elements as it asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    elements: Elements,
}

impl Tensor {
    /// A tensor of the given shape (`[]` for a scalar) and elements in row-major order.
    ///
    /// # Errors
    ///
    /// The number of elements is not the one that the shape asks for, or the shape has more dimensions
    /// or elements than TensorFlow can count.
    pub fn new(shape: &[usize], elements: impl Into<Elements>) -> Result<Self> {
        let elements = elements.into();
        let tensor = Self {
            shape: shape.to_vec(),
            elements,
        };
        let (got, expected) = (
            tensor.elements.len(),
            count_elements(&tensor.dimensions()?)?,
        );
        ensure!(
            got == expected,
            "a tensor of shape {shape:?} got {got} elements, expected {expected}"
        );
        Ok(tensor)
    }

    /// The size of each dimension; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in row-major order.
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// The type of the elements; never [`ElementType::Other`].
    pub fn element_type(&self) -> ElementType {
        match self.elements {
            Elements::Float32(_) => ElementType::Float32,
            Elements::Float64(_) => ElementType::Float64,
            Elements::Int32(_) => ElementType::Int32,
            Elements::Int64(_) => ElementType::Int64,
            Elements::Bool(_) => ElementType::Bool,
        }
    }

    /// The elements of a float32 tensor in row-major order; an error for any other type.
    pub fn as_float32(&self) -> Result<&[f32]> {
        match &self.elements {
            Elements::Float32(values) => Ok(values),
            _ => bail!("got a tensor of {}, expected float32", self.element_type()),
        }
    }

    /// The elements of an int32 tensor in row-major order; an error for any other type.
    pub fn as_int32(&self) -> Result<&[i32]> {
        match &self.elements {
            Elements::Int32(values) => Ok(values),
            _ => bail!("got a tensor of {}, expected int32", self.element_type()),
        }
    }

    /// The shape in TensorFlow's own types.
    fn dimensions(&self) -> Result<Vec<i64>> {
        let shape = &self.shape;
        ensure!(
            shape.len() <= MOST_DIMENSIONS,
            "got a tensor of {} dimensions, expected at most {MOST_DIMENSIONS}",
            shape.len()
        );
        let sizes = shape.iter().map(|&size| i64::try_from(size));
        sizes
            .collect::<Result<_, _>>()
            .with_context(|| format!("shape {shape:?} is too large for TensorFlow"))
    }

    /// A copy in TensorFlow's memory.
    ///
    /// # Errors
    ///
    /// TensorFlow has no memory for it.
    pub fn to_tensorflow(&self) -> Result<Owned<tf::TF_Tensor>> {
        let data_type = match self.elements {
            Elements::Float32(_) => tf::TF_DataType::TF_FLOAT,
            Elements::Float64(_) => tf::TF_DataType::TF_DOUBLE,
            Elements::Int32(_) => tf::TF_DataType::TF_INT32,
            Elements::Int64(_) => tf::TF_DataType::TF_INT64,
            Elements::Bool(_) => tf::TF_DataType::TF_BOOL,
        };
        let dimensions = self.dimensions()?;
        let rank = c_int::try_from(dimensions.len())?;
        let bytes = self.elements.to_bytes();
        // SAFETY: `dimensions` holds `rank` sizes. `new` checked that they can be counted and that there
        // are as many elements as they say, so `bytes` is exactly as long as TensorFlow expects.
        let pointer =
            unsafe { tf::TF_AllocateTensor(data_type, dimensions.as_ptr(), rank, bytes.len()) };
        // SAFETY: TF_AllocateTensor gives null or a new tensor that belongs to the caller, and
        // TF_DeleteTensor deletes it.
        let tensor = unsafe { Owned::new(pointer, tf::TF_DeleteTensor, "a tensor") }?;
        if !bytes.is_empty() {
            // SAFETY: the tensor is live.
            let data = unsafe { tf::TF_TensorData(tensor.as_ptr()) }.cast::<u8>();
            ensure!(!data.is_null(), "TensorFlow gave a tensor no memory");
            // SAFETY: the memory is not null (checked above), was allocated with `bytes.len()` bytes, is
            // nobody else's yet, and is not where the Rust vector is.
            unsafe { data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        Ok(tensor)
    }

    /// A copy of a tensor in TensorFlow's memory.
    ///
    /// # Errors
    ///
    /// The tensor has a type that no [`Tensor`] can hold.
    pub fn from_tensorflow(tensor: &Owned<tf::TF_Tensor>) -> Result<Self> {
        let pointer = tensor.as_ptr();
        // SAFETY: `Owned` keeps the tensor live, here and in the next two blocks.
        let (number, rank) = unsafe { (tensor_type_number(pointer), tf::TF_NumDims(pointer)) };
        // SAFETY: as above, and each index is below the rank.
        let dimensions = (0..rank).map(|index| unsafe { tf::TF_Dim(pointer, index) });
        let dimensions: Vec<i64> = dimensions.collect();
        // SAFETY: as above.
        let (length, data) =
            unsafe { (tf::TF_TensorByteSize(pointer), tf::TF_TensorData(pointer)) };
        let bytes = if length == 0 {
            &[]
        } else {
            ensure!(!data.is_null(), "TensorFlow gave a tensor no memory");
            // SAFETY: the memory is not null (checked above), holds `length` bytes that TensorFlow has
            // written, and stays unchanged while `tensor` is borrowed: a value that a session returned
            // belongs to the caller alone.
            unsafe { slice::from_raw_parts(data.cast::<u8>(), length) }
        };
        let shape: Vec<usize> = dimensions
            .iter()
            .map(|&size| usize::try_from(size))
            .collect::<Result<_, _>>()
            .with_context(|| format!("TensorFlow gave a tensor the shape {dimensions:?}"))?;
        let elements = Elements::from_bytes(ElementType::from_number(number), bytes)?;
        Self::new(&shape, elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(tensor: &Tensor) -> Tensor {
        Tensor::from_tensorflow(&tensor.to_tensorflow().unwrap()).unwrap()
    }

    #[test]
    fn every_element_type_survives_the_way_through_tensorflow() {
        for elements in [
            Elements::from(vec![1.5_f32, f32::INFINITY, -0.0, 4.0, 5.0, 6.0]),
            Elements::from(vec![1.5_f64, f64::MIN_POSITIVE, 3.0, 4.0, 5.0, 6.0]),
            Elements::from(vec![1_i32, i32::MIN, 3, 4, 5, i32::MAX]),
            Elements::from(vec![1_i64, i64::MIN, 3, 4, 5, i64::MAX]),
            Elements::from(vec![true, false, true, true, false, false]),
        ] {
            let tensor = Tensor::new(&[2, 1, 3], elements).unwrap();
            assert_eq!(round_trip(&tensor), tensor);
        }
    }

    #[test]
    fn scalars_and_empty_tensors_survive_the_way_through_tensorflow() {
        let scalar = Tensor::new(&[], vec![7_i32]).unwrap();
        assert_eq!(round_trip(&scalar), scalar);
        let empty = Tensor::new(&[3, 0, 2], Vec::<f32>::new()).unwrap();
        assert_eq!(round_trip(&empty), empty);
    }

    #[test]
    fn a_wrong_number_of_elements_is_an_error() {
        let error = Tensor::new(&[2, 3], vec![0.0_f32; 5]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a tensor of shape [2, 3] got 5 elements, expected 6"
        );
    }

    #[test]
    fn shapes_on_which_tensorflow_would_abort_are_errors() {
        // The product fits in 64 bits without a sign, but TensorFlow counts with one.
        let error = Tensor::new(&[1 << 62, 3, 0], Vec::<f32>::new()).unwrap_err();
        assert!(error.to_string().contains("too many elements"), "{error}");
        let error = Tensor::new(&[usize::MAX, 0], Vec::<f32>::new()).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
        let error = Tensor::new(&[1; 255], vec![0.0_f32]).unwrap_err();
        assert!(error.to_string().contains("at most 254"), "{error}");
    }
}
