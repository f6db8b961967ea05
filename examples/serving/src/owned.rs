//! One owner for every object that TensorFlow's C API hands out.

use std::ptr::NonNull;

use anyhow::{Context, Result};

/// A TensorFlow object that is deleted when its owner goes out of scope.
pub struct Owned<T> {
    pointer: NonNull<T>,
    delete: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes `pointer` over, to delete it with `delete`. If it is null, the error names `what`.
    ///
    /// # Errors
    ///
    /// `pointer` is null.
    ///
    /// # Safety
    ///
    /// Unless null, `pointer` is a live object that nobody else deletes, and `delete` is the function
    /// that TensorFlow gives for deleting it.
    pub unsafe fn new(
        pointer: *mut T,
        delete: unsafe extern "C" fn(*mut T),
        what: &str,
    ) -> Result<Self> {
        let pointer =
            NonNull::new(pointer).with_context(|| format!("TensorFlow could not create {what}"))?;
        Ok(Self { pointer, delete })
    }

    /// The pointer to hand to TensorFlow: not null, and live as long as `self`.
    pub fn as_ptr(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `new` was promised that the object is live, that `delete` is made for it, and that
        // nobody else deletes it; `drop` runs once.
        unsafe { (self.delete)(self.pointer.as_ptr()) }
    }
}
