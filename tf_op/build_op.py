"""Builds the op for the TensorFlow of the Python that runs this: cargo compiles a static library, which is linked to TensorFlow.

Usage: python tf_op/build_op.py LIBRARY [--target-dir FOLDER] [--features LIST] [--arm64 FOLDER]

LIBRARY is the shared object to build; a file beside it gets the version of TensorFlow that it is for. `make build` calls this, and so does pip
where it builds the package from source (backend.py). With --arm64 the op is cross-compiled for that processor.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILT_FOR = "_tensorflow_version.txt"
FEATURES = "tensorflow-op,cuda"
INSTALL_HERE = "`pip install --no-build-isolation` again, in an environment with TensorFlow"
ARM64 = "aarch64-unknown-linux-gnu"
ARM64_COMPILER = "aarch64-linux-gnu-g++"


class CannotBuildError(Exception):
    """What is missing, as a sentence."""


def build(
    library: pathlib.Path,
    target: pathlib.Path = ROOT / "target" / "op",
    features: str = FEATURES,
    arm64: pathlib.Path | None = None,
) -> None:
    """Builds ``library``, and writes the version of TensorFlow that it is for beside it. What cargo compiles is kept in ``target``.

    ``arm64`` is a folder in which a wheel of TensorFlow for arm64 is installed or unpacked; the op is then built for that processor. The wheel is
    only read: flags are asked of the TensorFlow that runs here, so both have to be of one version.

    Raises:
      CannotBuildError: a tool, TensorFlow or its headers are not there.
      subprocess.CalledProcessError: a compiler failed; it has said why.
    """
    compiler = _compiler() if arm64 is None else [ARM64_COMPILER]
    package = "GCC 9 or newer" if arm64 is None else "Debian's package g++-aarch64-linux-gnu"
    for tool, source in (("cargo", "Rust 1.89 or newer"), (compiler[0], package)):
        if shutil.which(tool) is None:
            raise CannotBuildError(f"building the op needs {tool}, which is not on PATH; {source} brings it")
    if importlib.util.find_spec("tensorflow") is None:
        raise CannotBuildError(
            f"the op is built for the TensorFlow that it will run with, and {sys.executable} has none; run {INSTALL_HERE}"
        )
    import tensorflow as tf

    tensorflow = pathlib.Path(tf.sysconfig.get_lib())
    if arm64 is not None:
        version = next(
            (found.version for found in importlib.metadata.distributions(name="tensorflow", path=[str(arm64)])), None
        )
        if version != tf.__version__:
            raise CannotBuildError(
                f"{arm64} has TensorFlow {version}, expected {tf.__version__}, which {sys.executable} has"
            )
        tensorflow = arm64 / "tensorflow"
    header = tensorflow / "include/tensorflow/core/framework/op.h"
    if not header.is_file():
        raise CannotBuildError(f"TensorFlow {tf.__version__} comes without its headers: {header} is not there")

    # For the build script, which compiles the shim with the flags of this Python's TensorFlow.
    environment = {**os.environ, "HUNGARIAN_PYTHON": sys.executable, "CARGO_TARGET_DIR": str(target)}
    # By this alone the build script notices that another TensorFlow has taken this one's place.
    environment["HUNGARIAN_TENSORFLOW_VERSION"] = tf.__version__
    cargo = ["cargo", "build", "--release", "--locked", "--features", features]
    if arm64 is not None:
        environment |= {"HUNGARIAN_TENSORFLOW": str(tensorflow), "TARGET_CXX": ARM64_COMPILER}
        cargo += ["--target", ARM64]
        target /= ARM64
    subprocess.run(cargo, cwd=ROOT, env=environment, check=True)

    archive = target / "release" / "libhungarian_loss.a"
    library.parent.mkdir(parents=True, exist_ok=True)
    # TensorFlow brings its two libraries when it loads the op; all else must be inside (-z defs).
    link = [*compiler, "-shared", "-o", str(library)]
    link += ["-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive"]
    link += [f"-L{tensorflow}", "-l:libtensorflow_framework.so.2", "-l:libtensorflow_cc.so.2"]
    link += ["-Wl,-z,defs", "-Wl,--gc-sections", f"-Wl,--version-script={ROOT / 'tf_op' / 'exports.map'}"]
    link += [f"@{ROOT / 'tf_op' / 'old_systems.txt'}"]
    subprocess.run(link, check=True)
    (library.parent / BUILT_FOR).write_text(f"{tf.__version__}\n", encoding="utf-8")


def _compiler() -> list[str]:
    """CXX as the crate cc, which compiles with it, takes it: a program, or words such as ``ccache g++`` and ``g++ -m64``."""
    given = os.environ.get("CXX", "").strip()
    return [given] if shutil.which(given) else shlex.split(given) or ["g++"]


def main() -> None:
    """Builds as the command line says."""
    parser = argparse.ArgumentParser(description="Builds the op for the TensorFlow of this Python.")
    parser.add_argument("library", type=pathlib.Path, help="the shared object to be")
    parser.add_argument("--target-dir", type=pathlib.Path, default=ROOT / "target" / "op", help="cargo's folder")
    parser.add_argument("--features", default=FEATURES, help="of the crate, such as %(default)s")
    parser.add_argument(
        "--arm64",
        type=pathlib.Path,
        metavar="FOLDER",
        help="build for arm64, where this folder has the same TensorFlow's wheel",
    )
    arguments = parser.parse_args()
    arm64 = arguments.arm64.resolve() if arguments.arm64 else None
    try:
        build(arguments.library.resolve(), arguments.target_dir.resolve(), arguments.features, arm64)
    except CannotBuildError as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error.cmd[0]} failed, as it says above")


if __name__ == "__main__":
    main()
