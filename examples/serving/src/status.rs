//! TensorFlow's way of reporting errors, turned into Rust's.

use std::ffi::CStr;

use anyhow::{Result, bail};
use tensorflow_sys as tf;

use crate::owned::Owned;

/// A status that one call to TensorFlow fills in.
pub(crate) struct Status(Owned<tf::TF_Status>);

impl Status {
    /// A new status, which says OK until a call changes it.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: TF_NewStatus gives null or a new status that belongs to the caller, and
        // TF_DeleteStatus deletes it.
        unsafe { Owned::new(tf::TF_NewStatus(), tf::TF_DeleteStatus, "a status") }.map(Self)
    }

    /// The pointer for the call that is to fill the status in.
    pub(crate) fn as_ptr(&self) -> *mut tf::TF_Status {
        self.0.as_ptr()
    }

    /// The error that the last call reported, as one line, if it reported one.
    pub(crate) fn check(&self) -> Result<()> {
        // SAFETY: the status is live. TensorFlow folds any code it does not know into TF_UNKNOWN, and
        // the codes it knows are those of TF_Code.
        let code = unsafe { tf::TF_GetCode(self.as_ptr()) };
        if code == tf::TF_Code::TF_OK {
            return Ok(());
        }
        // SAFETY: the message is a C string that lives until the status changes, which nothing below
        // does before it is copied.
        let message = unsafe { CStr::from_ptr(tf::TF_Message(self.as_ptr())) }.to_string_lossy();
        // TensorFlow lays long messages out over several lines; here they become part of a sentence.
        let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        bail!("TensorFlow reports {code:?}: {line}")
    }
}
