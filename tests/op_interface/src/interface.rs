//! The public interface of the op HungarianAssignment, pinned by snapshots: its definition and
//! documentation, the shapes it infers, its gradient in C++, every sentence it fails with, and what
//! its library exports and needs. All of it through TensorFlow's C API, with no Python.
//!
//! `make test` builds the op library and says where it is in HUNGARIAN_OP_LIBRARY. It also sets
//! TF_ENABLE_ONEDNN_OPTS=0, without which the refusal of too much memory takes half a minute of
//! waiting.
//!
//! A snapshot that is missing or differs is a failure. INSTA_UPDATE=always accepts what was meant
//! to change; the difference then shows in version control.

mod assignment;
mod eager;
mod op_def;
mod shape;
mod verdict;

mod definition;
mod gradient;
mod library;
mod shapes;
mod types;
mod values;
mod wrong_shapes;

use std::env;
use std::path::PathBuf;

use hungarian_serving::OpLibrary;

/// Where the op library is.
fn library_path() -> PathBuf {
    let path = env::var_os("HUNGARIAN_OP_LIBRARY");
    path.map(PathBuf::from).expect(
        "HUNGARIAN_OP_LIBRARY is not set: run `make test`, which builds the library it names",
    )
}

/// Registers the op; doing so again is harmless.
fn load_library() -> OpLibrary {
    OpLibrary::load(library_path()).unwrap()
}

/// Compares `text` with the snapshot of that name in the package's directory `snapshots`.
fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
