//! Compiles the C++ side: the bridge's glue and, with the feature `tensorflow-op`, the TensorFlow
//! shim.
//!
//! Everything ends up in the one static library that `make build` links into `_hungarian.so`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Names the Python whose TensorFlow the shim is built for.
const PYTHON: &str = "HUNGARIAN_PYTHON";

/// Names the folder of the same TensorFlow for another processor, to build for that: flags.py takes
/// the headers from there.
const TENSORFLOW: &str = "HUNGARIAN_TENSORFLOW";

/// Names the version of that TensorFlow. Another version may be installed in the same folder, with
/// files older than what was compiled, which cargo would not notice.
const TENSORFLOW_VERSION: &str = "HUNGARIAN_TENSORFLOW_VERSION";

const SHIM_SOURCES: [&str; 7] = [
    "op.cc",
    "shape_rule.cc",
    "call.cc",
    "cpu/host_batch.cc",
    "cpu/kernel.cc",
    "gradient.cc",
    "old_systems.cc",
];
const CUDA_SOURCE: &str = "gpu/kernel.cc";
const XLA_SOURCES: [&str; 3] = ["xla/kernel.cc", "xla/call.cc", "xla/host_call.cc"];
const XLA_CUDA_SOURCE: &str = "xla/cuda_call.cc";

/// The header that a TensorFlow ships if XLA's kernel compiles against it: 2.20 and newer.
const XLA_HEADER: &str = "xla/ffi/api/ffi.h";

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=src/op/bridge.rs");
    println!("cargo::rerun-if-changed=src/cuda/bridge.rs");
    println!("cargo::rerun-if-changed=tf_op");
    println!("cargo::rerun-if-env-changed={PYTHON}");
    println!("cargo::rerun-if-env-changed={TENSORFLOW}");
    println!("cargo::rerun-if-env-changed={TENSORFLOW_VERSION}");

    let with_cuda = env::var_os("CARGO_FEATURE_CUDA").is_some();
    let bridges = ["src/op/bridge.rs", "src/cuda/bridge.rs"];
    cxx_build::bridges(&bridges[..1 + usize::from(with_cuda)])
        .std("c++17")
        .flag("-fvisibility=hidden")
        .compile("hungarian_bridge");

    if env::var_os("CARGO_FEATURE_TENSORFLOW_OP").is_some() {
        compile_shim(with_cuda)?;
    }
    Ok(())
}

fn compile_shim(with_cuda: bool) -> anyhow::Result<()> {
    let python = env::var(PYTHON).with_context(|| {
        format!("the feature tensorflow-op needs {PYTHON}, the path of a Python that has TensorFlow; `make build` sets it")
    })?;
    let mut shim = cc::Build::new();
    // Cargo tells cc that there is debug information, not that it is line tables only.
    shim.cpp(true).flag("-g1");
    let flags = flags(&python)?;
    for flag in flags.lines() {
        shim.flag(flag);
    }
    // The header that cxx generated, and ours by their full names.
    let generated = PathBuf::from(env::var("OUT_DIR")?).join("cxxbridge/include");
    shim.include(generated).include(".");
    let mut sources = Vec::new();
    if env::var_os("CARGO_FEATURE_FAULT_INJECTION").is_some() {
        // Without XLA, whose headers take longest to compile: no test injects a fault there.
        shim.define("HUNGARIAN_FAULT_INJECTION", None);
    } else if has_header(&flags, XLA_HEADER) {
        // First, for they take longest: cc compiles as many at a time as cargo's jobs allow.
        sources.extend(XLA_SOURCES);
        sources.extend(with_cuda.then_some(XLA_CUDA_SOURCE));
    } else {
        println!(
            "cargo::warning=this TensorFlow ships no {XLA_HEADER}, as before 2.20: the op is built without XLA, and a \
             function or a model with jit_compile=True cannot hold it"
        );
    }
    sources.extend(SHIM_SOURCES);
    if with_cuda {
        shim.define("HUNGARIAN_CUDA", None);
        sources.push(CUDA_SOURCE);
    }
    shim.files(sources.iter().map(|source| Path::new("tf_op").join(source)));
    shim.try_compile("hungarian_tf_op")?;
    Ok(())
}

/// The compiler flags that fit the TensorFlow of this Python, one per line.
fn flags(python: &str) -> anyhow::Result<String> {
    let output = Command::new(python)
        .arg("tf_op/flags.py")
        .env("TF_CPP_MIN_LOG_LEVEL", "3")
        .output()
        .with_context(|| format!("{PYTHON}={python} cannot be run"))?;
    ensure!(
        output.status.success(),
        "{python} tf_op/flags.py failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a folder among those that `flags` name has the header.
fn has_header(flags: &str, header: &str) -> bool {
    let mut folders = flags
        .lines()
        .filter_map(|flag| flag.strip_prefix("-isystem"));
    folders.any(|folder| Path::new(folder).join(header).is_file())
}
