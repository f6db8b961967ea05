"""The flags with which the shim is compiled, one per line: asked of the TensorFlow that this Python has.

build.rs compiles with them, tidy.py checks with them. HUNGARIAN_TENSORFLOW, which build_op.py sets, names a folder
with the same TensorFlow for another processor: then the headers are taken from there.
"""

import os

import tensorflow as tf


def compile_flags() -> list[str]:
    """Flags for g++ and clang; the standard is TensorFlow's own."""
    # TensorFlow's headers are not ours to warn about. The last two folders are needed by headers of XLA.
    other = os.environ.get("HUNGARIAN_TENSORFLOW")
    include = f"{other}/include" if other else tf.sysconfig.get_include()
    folders = ["", "/external/highwayhash", "/external/farmhash_archive/src"]
    own = [flag for flag in tf.sysconfig.get_compile_flags() if not flag.startswith("-I")]
    return [*own, "-fvisibility=hidden", *(f"-isystem{include}{folder}" for folder in folders)]


if __name__ == "__main__":
    print(*compile_flags(), sep="\n")
