//! Compiles the C++ side: the bridge's glue and, with the feature `tensorflow-op`, the TensorFlow shim.
//!
//! Everything ends up in the one static library that `make build` links into `_hungarian.so`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

/// Names the Python whose TensorFlow the shim is built for.
const PYTHON: &str = "HUNGARIAN_PYTHON";

const SHIM_SOURCES: [&str; 3] = ["op.cc", "shape_rule.cc", "cpu_kernel.cc"];

fn main() -> anyhow::Result<()> {
    println!("cargo::rerun-if-changed=src/bridge.rs");
    println!("cargo::rerun-if-changed=tf_op");
    println!("cargo::rerun-if-env-changed={PYTHON}");

    cxx_build::bridge("src/bridge.rs")
        .std("c++17")
        .flag("-fvisibility=hidden")
        .compile("hungarian_bridge");

    if env::var_os("CARGO_FEATURE_TENSORFLOW_OP").is_some() {
        compile_shim()?;
    }
    Ok(())
}

fn compile_shim() -> anyhow::Result<()> {
    let python = env::var(PYTHON).with_context(|| {
        format!("the feature tensorflow-op needs {PYTHON}, the path of a Python that has TensorFlow; `make build` sets it")
    })?;
    let tensorflow = TensorFlow::of(&python)?;

    let mut shim = cc::Build::new();
    shim.cpp(true).std("c++17").flag("-fvisibility=hidden");
    for flag in &tensorflow.flags {
        shim.flag(flag);
    }
    // TensorFlow's headers are not ours to warn about.
    for folder in ["", "external/highwayhash", "external/farmhash_archive/src"] {
        shim.flag("-isystem").flag(tensorflow.include.join(folder));
    }
    // The header that cxx generated, and ours by their full names.
    let generated = PathBuf::from(env::var("OUT_DIR")?).join("cxxbridge/include");
    shim.include(generated).include(".");
    for source in SHIM_SOURCES {
        shim.file(PathBuf::from("tf_op").join(source));
    }
    shim.try_compile("hungarian_tf_op")?;
    Ok(())
}

/// What TensorFlow itself says it was built with.
struct TensorFlow {
    include: PathBuf,
    flags: Vec<String>,
}

impl TensorFlow {
    fn of(python: &str) -> anyhow::Result<Self> {
        let program = "import tensorflow as tf\n\
                       print(tf.sysconfig.get_include())\n\
                       print(*tf.sysconfig.get_compile_flags(), sep='\\n')";
        let output = Command::new(python)
            .args(["-c", program])
            .env("TF_CPP_MIN_LOG_LEVEL", "3")
            .output()
            .with_context(|| format!("{PYTHON}={python} cannot be run"))?;
        ensure!(
            output.status.success(),
            "{python} cannot import tensorflow: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        let mut lines = text.lines();
        let include = lines.next().context("tf.sysconfig gave no include path")?;
        Ok(TensorFlow {
            include: PathBuf::from(include),
            // Include paths are passed by us; the language standard too.
            flags: lines
                .filter(|flag| !flag.starts_with("-I") && !flag.starts_with("--std"))
                .map(str::to_string)
                .collect(),
        })
    }
}
