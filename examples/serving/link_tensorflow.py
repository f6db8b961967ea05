"""Writes what pkg-config and the linker need to find the TensorFlow of this Python.

Usage: python link_tensorflow.py DIRECTORY

The wheel ships its libraries under versioned names only, and no tensorflow.pc. tensorflow-sys asks
pkg-config for `tensorflow` and links `libtensorflow.so`, so DIRECTORY gets links of that name and a
tensorflow.pc that points at them. Run it again at any time: what is already right is left untouched,
so that nothing is rebuilt.
"""

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

LIBRARIES = {
    "libtensorflow.so": "libtensorflow_cc.so.2",
    "libtensorflow_framework.so": "libtensorflow_framework.so.2",
}


def find_tensorflow() -> Path:
    """The directory of the installed tensorflow package, found without importing it (that takes seconds)."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        sys.exit(f"{sys.executable} has no tensorflow package: run `make build` first")
    return Path(spec.origin).resolve().parent


def tensorflow_version() -> str:
    """The version of the installed wheel, whose name depends on the build."""
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "0"


def link(path: Path, target: Path) -> None:
    """Makes `path` a symbolic link to `target`."""
    if not target.is_file():
        sys.exit(f"TensorFlow's library {target} does not exist: this TensorFlow is not the wheel for Linux")
    if path.is_symlink() and path.readlink() == target:
        return
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def write_if_changed(path: Path, text: str) -> None:
    """Writes `text` to `path` unless it is there already, so that the file's date stays."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def main() -> None:
    """Fills the directory named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: link_tensorflow.py DIRECTORY")
    directory = Path(sys.argv[1]).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    wheel = find_tensorflow()
    for name, target in LIBRARIES.items():
        link(directory / name, wheel / target)
    # The links serve the linker. At run time the loader looks for the versioned names, which only the
    # wheel's own directory has: hence the run path.
    write_if_changed(
        directory / "tensorflow.pc",
        f"libdir={directory}\n"
        f"wheel={wheel}\n"
        "\n"
        "Name: TensorFlow\n"
        "Description: The TensorFlow C API, from the libraries of the Python wheel\n"
        f"Version: {tensorflow_version()}\n"
        "Libs: -L${libdir} -ltensorflow -ltensorflow_framework -Wl,-rpath,${wheel}\n",
    )


if __name__ == "__main__":
    main()
