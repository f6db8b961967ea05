//! Ops run one by one, as eager TensorFlow does: straight to the kernel, with no shape function
//! before it.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::os::raw::c_int;
use std::ptr;

use anyhow::{Result, ensure};
use hungarian_serving::raw::{Owned, Status};
use hungarian_serving::{CPU, Tensor};
use tensorflow_sys as tf;

/// What eager ops run in.
pub(crate) struct Context(Owned<tf::TFE_Context>);

/// A tensor that the eager ops of a context take and give.
pub(crate) struct Value<'a> {
    handle: Owned<tf::TFE_TensorHandle>,
    /// TensorFlow's values may refer to their context.
    _context: PhantomData<&'a Context>,
}

impl Value<'_> {
    fn new(handle: Owned<tf::TFE_TensorHandle>) -> Self {
        Self {
            handle,
            _context: PhantomData,
        }
    }
}

impl Context {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: TFE_NewContextOptions gives null or new options that belong to the caller, and
        // TFE_DeleteContextOptions deletes them.
        let options = unsafe {
            Owned::new(
                tf::TFE_NewContextOptions(),
                tf::TFE_DeleteContextOptions,
                "context options",
            )
        }?;
        let status = Status::new()?;
        // SAFETY: the options and the status are live.
        let context = unsafe { tf::TFE_NewContext(options.as_ptr(), status.as_ptr()) };
        status.check()?;
        // SAFETY: the call succeeded (`check` above), so the context is a new object of ours, which
        // TFE_DeleteContext deletes.
        unsafe { Owned::new(context, tf::TFE_DeleteContext, "a context") }.map(Self)
    }

    /// Runs an op on the CPU, given its attributes that are types, and returns the first of its
    /// outputs.
    pub(crate) fn run(
        &self,
        kind: &CStr,
        inputs: &[&Value],
        types: &[(&CStr, tf::TF_DataType)],
    ) -> Result<Value<'_>> {
        let status = Status::new()?;
        // SAFETY: the context and the status are live, and the kind is a C string that outlives the
        // call.
        let op = unsafe { tf::TFE_NewOp(self.0.as_ptr(), kind.as_ptr(), status.as_ptr()) };
        status.check()?;
        // SAFETY: the call succeeded (`check` above), so the op is a new object of ours, which
        // TFE_DeleteOp deletes.
        let op = unsafe { Owned::new(op, tf::TFE_DeleteOp, "an op") }?;
        // SAFETY: the op and the status are live, and the device is a C string that outlives the
        // call.
        unsafe { tf::TFE_OpSetDevice(op.as_ptr(), CPU.as_ptr(), status.as_ptr()) };
        status.check()?;
        for input in inputs {
            // SAFETY: the op, the value and the status are live.
            unsafe { tf::TFE_OpAddInput(op.as_ptr(), input.handle.as_ptr(), status.as_ptr()) };
            status.check()?;
        }
        for &(name, value) in types {
            // SAFETY: the op is live, and the name is a C string that outlives the call.
            unsafe { tf::TFE_OpSetAttrType(op.as_ptr(), name.as_ptr(), value) };
        }
        const ROOM: usize = 8;
        let mut results = [ptr::null_mut(); ROOM];
        let mut count = ROOM as c_int;
        // SAFETY: the op and the status are live, and `results` has room for `count` results. An op
        // with more outputs than that is an error.
        unsafe {
            tf::TFE_Execute(
                op.as_ptr(),
                results.as_mut_ptr(),
                &raw mut count,
                status.as_ptr(),
            );
        }
        status.check()?;
        let count = usize::try_from(count)?;
        ensure!((1..=ROOM).contains(&count), "the op has {count} outputs");
        let values = results[..count].iter().map(|&result| {
            // SAFETY: after a success (`check` above) the first `count` results are new values that
            // belong to the caller, and TFE_DeleteTensorHandle deletes one.
            unsafe { Owned::new(result, tf::TFE_DeleteTensorHandle, "an output") }.map(Value::new)
        });
        let mut values = values.collect::<Result<Vec<_>>>()?;
        Ok(values.swap_remove(0))
    }

    /// A copy of `tensor`.
    pub(crate) fn value(&self, tensor: &Tensor) -> Result<Value<'_>> {
        let tensor = tensor.to_tensorflow()?;
        let status = Status::new()?;
        // SAFETY: the tensor and the status are live. The value keeps the tensor's memory alive by
        // itself.
        let value = unsafe { tf::TFE_NewTensorHandle(tensor.as_ptr(), status.as_ptr()) };
        status.check()?;
        // SAFETY: the call succeeded (`check` above), so the value is a new object of ours, which
        // TFE_DeleteTensorHandle deletes.
        unsafe { Owned::new(value, tf::TFE_DeleteTensorHandle, "a value") }.map(Value::new)
    }
}
