"""Loads the shared object that holds the op, once, and refuses clearly where it cannot work."""

import importlib.metadata
import os
import pathlib
from typing import Any

_FOLDER = pathlib.Path(__file__).resolve().parent
_LIBRARY = _FOLDER / "_hungarian.so"
_BUILT_FOR = _FOLDER / "_tensorflow_version.txt"


def op_library_path() -> str:
    """Absolute path of the shared object that holds the op ``HungarianAssignment``.

    For ``tf.load_op_library`` or ``TF_LoadLibrary`` in a process that does not import this package, such as one
    that serves a SavedModel. Load it by this one path: TensorFlow takes two names for two libraries.
    """
    return str(_LIBRARY)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _check_keras() -> None:
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "")
    if legacy.lower() in ("1", "true"):
        raise ImportError(
            f"hungarian_loss works with Keras 3, and TF_USE_LEGACY_KERAS={legacy} asks TensorFlow for Keras 2; unset it"
        )
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ImportError(_other_backend(backend))


def _other_backend(backend: str) -> str:
    return (
        f"hungarian_loss works with Keras's tensorflow backend, got {backend!r}; "
        "set KERAS_BACKEND=tensorflow or change ~/.keras/keras.json"
    )


def _check_tensorflow() -> None:
    if not _LIBRARY.exists() or not _BUILT_FOR.exists():
        raise ImportError(f"hungarian_loss has not been built: {_LIBRARY.name} is missing; run `make build`")
    built_for = _minor(_BUILT_FOR.read_text(encoding="utf-8").strip())
    import tensorflow as tf

    if _minor(tf.__version__) != built_for:
        raise ImportError(
            f"hungarian_loss was built for TensorFlow {built_for} and this is TensorFlow {tf.__version__}; "
            "C++ ops work with the minor version they were built for: install that one, or build again with `make build`"
        )


def load() -> Any:
    """Returns the module of op wrappers that ``tf.load_op_library`` makes.

    Raises:
      ImportError: legacy Keras or another Keras backend is in use, the op has not been built, it was built for
        another TensorFlow, or it cannot be loaded.
    """
    _check_keras()
    try:
        importlib.metadata.version("keras")
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError("hungarian_loss needs TensorFlow with Keras 3; keras is not installed") from error
    _check_tensorflow()
    try:
        import keras
    except ImportError as error:
        # Another backend, chosen in Keras's own file, that is not installed either.
        raise ImportError(
            "hungarian_loss works with Keras's tensorflow backend, and Keras cannot be imported as it is set up: "
            f"{error}; set KERAS_BACKEND=tensorflow or change ~/.keras/keras.json"
        ) from error
    import tensorflow as tf

    if keras.config.backend() != "tensorflow":
        raise ImportError(_other_backend(keras.config.backend()))
    try:
        module = tf.load_op_library(op_library_path())
    except (tf.errors.OpError, RuntimeError) as error:
        raise ImportError(f"hungarian_loss cannot load its op from {_LIBRARY}: {error}") from error
    if not hasattr(module, "hungarian_assignment"):
        raise ImportError(
            f"the op library was loaded before under another name; load it as {op_library_path()}, "
            "or import hungarian_loss first"
        )
    return module


ops = load()
