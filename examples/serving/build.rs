//! Lets the programs of this package, and of those that name this file as theirs, find TensorFlow's libraries when they start.
//!
//! tensorflow-sys makes the linker find TensorFlow, but the run path in tensorflow.pc is a linker
//! argument, and Cargo applies those only to the package whose build script printed them. So this
//! script asks pkg-config once more: the answer is printed for this package's own programs and tests,
//! which then start with no LD_LIBRARY_PATH.

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let help = "TensorFlow's tensorflow.pc was not found: run `make test`, or write it with \
                examples/serving/link_tensorflow.py and name its directory in PKG_CONFIG_PATH";
    pkg_config::probe_library("tensorflow").context(help)?;
    // Another TensorFlow behind the same PKG_CONFIG_PATH changes this file and nothing else.
    let directory = pkg_config::get_variable("tensorflow", "pcfiledir").context(help)?;
    println!("cargo:rerun-if-changed={directory}/tensorflow.pc");
    Ok(())
}
