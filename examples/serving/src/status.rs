//! TensorFlow's way of reporting errors, turned into Rust's.

use std::error::Error;
use std::ffi::CStr;
use std::fmt;

use anyhow::Result;
use tensorflow_sys as tf;

use crate::owned::Owned;

/// An error that TensorFlow reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The kind of error.
    pub code: tf::TF_Code,
    /// TensorFlow's own words, which may have several lines.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // TensorFlow lays long messages out over several lines; here they become part of a sentence.
        let line = self.message.split_whitespace().collect::<Vec<_>>();
        write!(
            formatter,
            "TensorFlow reports {:?}: {}",
            self.code,
            line.join(" ")
        )
    }
}

impl Error for Failure {}

/// A status that one call to TensorFlow fills in.
pub struct Status(Owned<tf::TF_Status>);

impl Status {
    /// A new status, which says OK until a call changes it.
    ///
    /// # Errors
    ///
    /// TensorFlow has no memory for one.
    pub fn new() -> Result<Self> {
        // SAFETY: TF_NewStatus gives null or a new status that belongs to the caller, and
        // TF_DeleteStatus deletes it.
        unsafe { Owned::new(tf::TF_NewStatus(), tf::TF_DeleteStatus, "a status") }.map(Self)
    }

    /// The pointer for the call that is to fill the status in.
    pub fn as_ptr(&self) -> *mut tf::TF_Status {
        self.0.as_ptr()
    }

    /// Whether the last call went well.
    ///
    /// # Errors
    ///
    /// The [`Failure`] that the last call reported.
    pub fn check(&self) -> Result<()> {
        // SAFETY: the status is live. TensorFlow folds any code it does not know into TF_UNKNOWN, and
        // the codes it knows are those of TF_Code.
        let code = unsafe { tf::TF_GetCode(self.as_ptr()) };
        if code == tf::TF_Code::TF_OK {
            return Ok(());
        }
        // SAFETY: the message is a C string that lives until the status changes, which nothing below
        // does before it is copied.
        let message = unsafe { CStr::from_ptr(tf::TF_Message(self.as_ptr())) };
        let message = message.to_string_lossy().into_owned();
        Err(Failure { code, message }.into())
    }
}
