"""Whether the losses can use Keras: 3.8 or newer, with its TensorFlow backend. Assignment and costs need no Keras."""

import importlib.metadata
import os
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

# Older versions scale losses differently under a tf.distribute strategy, so that gradients would be too large.
_OLDEST = (3, 8)
_WANTED = f"Keras {_OLDEST[0]}.{_OLDEST[1]} or newer"
_CURE = "set KERAS_BACKEND=tensorflow or change ~/.keras/keras.json"


def why_not() -> str | None:
    """What is missing, and how to get it, as the end of a sentence; None where the losses work.

    A Keras that is seen to be unusable is not imported.
    """
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "")
    if legacy.lower() in ("1", "true"):
        return f"needs {_WANTED}, and TF_USE_LEGACY_KERAS={legacy} asks for Keras 2; unset it"
    version = _installed()
    if version is None:
        return f"needs {_WANTED}, and keras is not installed; run `pip install keras`"
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST:
        return f"needs {_WANTED}, got Keras {version}; run `pip install --upgrade keras`"
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend == "tensorflow":
        try:
            import keras
        except (ImportError, AttributeError, RuntimeError, ValueError) as error:
            # Perhaps Keras's own configuration file chooses another backend, which is not installed.
            return f"needs {_WANTED} with its tensorflow backend, and keras cannot be imported: {error}; {_CURE}"
        backend = keras.config.backend()
    if backend == "tensorflow":
        return None
    return f"needs Keras's tensorflow backend, got {backend!r}; {_CURE}"


def require(module: str) -> None:
    """For a module that as a whole needs Keras.

    Raises:
      ImportError: Keras cannot be used; the sentence says why.
    """
    reason = why_not()
    if reason is not None:
        raise ImportError(f"{module} {reason}")


def refuse(module: str, names: Sequence[str], reason: str) -> Callable[[str], NoReturn]:
    """``__getattr__`` of a module where Keras cannot be used: raises an ImportError with the reason for ``names`` that
    need it."""

    def get(name: str) -> NoReturn:
        if name in names:
            raise ImportError(f"{module}.{name} {reason}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return get


def _installed() -> str | None:
    # Release candidates of TensorFlow bring the second one.
    for name in ("keras", "keras-nightly"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
