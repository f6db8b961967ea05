//! Loading a shared object that holds custom ops.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::slice;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use prost::Message;
use tensorflow_sys as tf;

use crate::meta_graph::OpList;
use crate::owned::Owned;
use crate::status::Status;

/// A loaded shared object of custom ops, such as `_hungarian.so`.
///
/// The ops stay registered for the rest of the process, also after this value is dropped: TensorFlow
/// never unloads a library.
pub struct OpLibrary {
    op_names: Vec<String>,
    op_list: Vec<u8>,
    /// Only bookkeeping by now; deleting it does not unload the library.
    _handle: Owned<tf::TF_Library>,
}

impl OpLibrary {
    /// Loads the shared object at `path` and registers its ops and kernels.
    ///
    /// This runs the code of the shared object, so the path must be one the caller trusts.
    ///
    /// Load libraries before other threads use TensorFlow. The first lookup of an op takes one of TensorFlow's locks
    /// twice, for reading. A library that registers its kernels in between waits for the first reader, and the second
    /// for the library: a deadlock.
    ///
    /// # Errors
    ///
    /// There is no file at `path`, TensorFlow cannot load it (it was built for another version, say), or
    /// it registers no op.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        // TensorFlow tells libraries apart by the text of the path: with one spelling for each file,
        // loading the same one again is harmless.
        let absolute = path.canonicalize();
        let absolute =
            absolute.with_context(|| format!("there is no op library at {}", path.display()))?;
        // Of several threads that begin like this, one registers and the others find it done.
        static LOADING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        Self::load_absolute(&absolute)
            .with_context(|| format!("could not load the op library {}", path.display()))
    }

    fn load_absolute(path: &Path) -> Result<Self> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let status = Status::new()?;
        // SAFETY: the path is a C string and the status is live; both outlive the call.
        let handle = unsafe { tf::TF_LoadLibrary(path.as_ptr(), status.as_ptr()) };
        status.check()?;
        // SAFETY: the call succeeded (`check` above), so the handle is a new object of ours, which
        // TF_DeleteLibraryHandle deletes.
        let handle = unsafe { Owned::new(handle, tf::TF_DeleteLibraryHandle, "a library handle") }?;
        // SAFETY: the handle is live.
        let list = unsafe { tf::TF_GetOpList(handle.as_ptr()) };
        let bytes = if list.length == 0 || list.data.is_null() {
            &[]
        } else {
            // SAFETY: the data is not null and holds `length` bytes (both checked above), which belong
            // to the handle and live as long as it does: to the end of this function at least.
            unsafe { slice::from_raw_parts(list.data.cast::<u8>(), list.length) }
        };
        let ops = OpList::decode(bytes).context("its list of ops cannot be read")?;
        ensure!(!ops.op.is_empty(), "it registers no op");
        Ok(Self {
            op_names: ops.op.into_iter().map(|op| op.name).collect(),
            op_list: bytes.to_vec(),
            _handle: handle,
        })
    }

    /// The names of the ops that the library registers.
    pub fn op_names(&self) -> &[String] {
        &self.op_names
    }

    /// The definitions of those ops: TensorFlow's message OpList, serialized.
    pub fn op_list(&self) -> &[u8] {
        &self.op_list
    }
}
