//! Lets the program and its tests find TensorFlow's libraries when they start; the why stands in examples/serving/build.rs.

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let help = "TensorFlow's tensorflow.pc was not found: run `make test`, or write it with \
                examples/serving/link_tensorflow.py and name its directory in PKG_CONFIG_PATH";
    pkg_config::probe_library("tensorflow").context(help)?;
    // Another TensorFlow behind the same PKG_CONFIG_PATH changes this file and nothing else.
    let directory = pkg_config::get_variable("tensorflow", "pcfiledir").context(help)?;
    println!("cargo:rerun-if-changed={directory}/tensorflow.pc");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
