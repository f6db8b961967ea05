"""Loads the shared object that holds the op, once, and refuses clearly where it cannot work."""

import functools
import pathlib
from typing import Any

from hungarian_loss._version import __version__

# A build is a folder with these two: the shared object, and the version of the TensorFlow it was built for.
_LIBRARY = "_hungarian.so"
_BUILT_FOR = "_tensorflow_version.txt"
# Not from PyPI, which has other versions only.
_INSTALL_HERE = (
    f"`pip install --no-build-isolation .` in a clone or a source distribution of hungarian-loss {__version__}, "
    "which needs cargo and g++"
)
_FOLDER = pathlib.Path(__file__).resolve().parent


def op_library_path() -> str:
    """Absolute path of the shared object that holds the op ``HungarianAssignment``.

    For ``tf.load_op_library`` or ``TF_LoadLibrary`` in a process that does not import this package, such as one
    that serves a SavedModel. Load it by exactly this path: TensorFlow takes another name of the same file for a second
    library. The file fits the TensorFlow of this process; a wheel holds one for each minor version of TensorFlow.
    """
    return str(_library())


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _builds() -> dict[str, pathlib.Path]:
    """The shared objects that are here, by the minor version of TensorFlow that each was built for.

    `make build` makes one, beside this file; a wheel brings several, each in a folder of its own.
    """
    builds: dict[str, pathlib.Path] = {}
    for folder in [_FOLDER, *sorted((_FOLDER / "_builds").glob("*"))]:
        library, built_for = folder / _LIBRARY, folder / _BUILT_FOR
        if library.exists() and built_for.exists():
            version = _minor(built_for.read_text(encoding="utf-8").strip())
            # The build beside this file comes first, and takes precedence.
            builds.setdefault(version, library)
    return builds


@functools.cache
def _library() -> pathlib.Path:
    """The shared object for the TensorFlow that is installed. Raises an ImportError where there is none."""
    builds = _builds()
    if not builds:
        raise ImportError(
            f"hungarian_loss has not been built: {_LIBRARY} is missing; run `make build` in its repository, or {_INSTALL_HERE}"
        )
    import tensorflow as tf

    library = builds.get(_minor(tf.__version__))
    if library is None:
        raise ImportError(
            f"hungarian_loss was built for TensorFlow {' and '.join(builds)} and this is TensorFlow {tf.__version__}; "
            "C++ ops work with the minor version they were built for: install such a TensorFlow, or build the op for this one with "
            f"{_INSTALL_HERE}"
        )
    return library


def load() -> Any:
    """Returns the module of op wrappers that ``tf.load_op_library`` makes.

    Raises:
      ImportError: the op has not been built, it was built for another TensorFlow, or it cannot be loaded.
    """
    library = _library()
    import tensorflow as tf

    try:
        module = tf.load_op_library(str(library))
    except (tf.errors.OpError, RuntimeError) as error:
        raise ImportError(f"hungarian_loss cannot load its op from {library}: {error}") from error
    if not hasattr(module, "hungarian_assignment"):
        raise ImportError(
            f"the op library was loaded before under another name; load it as {library}, or import hungarian_loss first"
        )
    return module


ops = load()
