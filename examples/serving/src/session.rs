//! Running a graph.

use std::ptr;

use anyhow::{Result, ensure};
use libc::c_int;
use tensorflow_sys as tf;

use crate::owned::Owned;
use crate::status::Status;

/// A session of TensorFlow: what runs a graph. Drop it before its graph.
pub struct Session(Owned<tf::TF_Session>);

impl Session {
    /// Takes a session over, to close and delete it in the end.
    ///
    /// # Errors
    ///
    /// `pointer` is null.
    ///
    /// # Safety
    ///
    /// Unless null, `pointer` is a live session that nobody else deletes.
    pub unsafe fn new(pointer: *mut tf::TF_Session) -> Result<Self> {
        // SAFETY: the caller promises a live session that is ours, and `close_session` deletes one.
        unsafe { Owned::new(pointer, close_session, "a session") }.map(Self)
    }

    /// Feeds `values` to the tensors `feeds` of the graph and computes its tensors `fetches`.
    ///
    /// # Errors
    ///
    /// There is not one value for each feed, or TensorFlow reports a failure.
    ///
    /// # Safety
    ///
    /// Every feed and every fetch is an existing output of an operation in this session's graph, and
    /// the graph is live.
    pub unsafe fn run(
        &self,
        feeds: &[tf::TF_Output],
        values: &[Owned<tf::TF_Tensor>],
        fetches: &[tf::TF_Output],
    ) -> Result<Vec<Owned<tf::TF_Tensor>>> {
        ensure!(
            feeds.len() == values.len(),
            "got {} values, expected one for each of {} inputs",
            values.len(),
            feeds.len()
        );
        let values: Vec<*mut tf::TF_Tensor> = values.iter().map(Owned::as_ptr).collect();
        let mut results = vec![ptr::null_mut(); fetches.len()];
        let (feed_count, fetch_count) = (
            c_int::try_from(feeds.len())?,
            c_int::try_from(fetches.len())?,
        );
        let status = Status::new()?;
        // SAFETY: each list is as long as the count beside it (feeds and values: checked above). The
        // caller promises that the feeds and fetches exist; every value is a live tensor that stays
        // ours. The optional arguments are null.
        unsafe {
            tf::TF_SessionRun(
                self.0.as_ptr(),
                ptr::null(),
                feeds.as_ptr(),
                values.as_ptr(),
                feed_count,
                fetches.as_ptr(),
                results.as_mut_ptr(),
                fetch_count,
                ptr::null(),
                0,
                ptr::null_mut(),
                status.as_ptr(),
            );
        }
        // On failure TensorFlow leaves only nulls in `results`, so nothing leaks here.
        status.check()?;
        results
            .into_iter()
            // SAFETY: after a success each result is a new tensor that belongs to the caller, and
            // TF_DeleteTensor deletes it.
            .map(|result| unsafe { Owned::new(result, tf::TF_DeleteTensor, "an output") })
            .collect()
    }
}

/// Ends a session and frees it. An error while it ends is not reported: there is no caller to take it.
unsafe extern "C" fn close_session(session: *mut tf::TF_Session) {
    let Ok(status) = Status::new() else { return };
    // SAFETY: the caller hands over a live session for deletion, and the status is live.
    unsafe {
        tf::TF_CloseSession(session, status.as_ptr());
        tf::TF_DeleteSession(session, status.as_ptr());
    }
}
