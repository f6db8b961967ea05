"""Whether Keras is there as the losses need it: 3.8 or newer with its TensorFlow backend. Assignment and costs need no Keras."""

import importlib.metadata
import os
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

# Under a strategy older ones scale losses otherwise, so that gradients would be too large.
_OLDEST = (3, 8)
_WANTED = f"Keras {_OLDEST[0]}.{_OLDEST[1]} or newer"
_CURE = "set KERAS_BACKEND=tensorflow or change ~/.keras/keras.json"


def why_not() -> str | None:
    """What is needed and not there, with a cure, as the end of a sentence; None where the losses work.

    Keras of another kind is not imported.
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
            # Perhaps another backend, chosen in Keras's own file, that is not installed.
            return f"needs {_WANTED} with its tensorflow backend, and keras cannot be imported: {error}; {_CURE}"
        backend = keras.config.backend()
    if backend == "tensorflow":
        return None
    return f"needs Keras's tensorflow backend, got {backend!r}; {_CURE}"


def require(module: str) -> None:
    """For a module of which all needs Keras.

    Raises:
      ImportError: Keras cannot be used, and why.
    """
    reason = why_not()
    if reason is not None:
        raise ImportError(f"{module} {reason}")


def refuse(module: str, names: Sequence[str], reason: str) -> Callable[[str], NoReturn]:
    """``__getattr__`` of a module where Keras cannot be used: says why when one of the ``names`` that need it is asked for."""

    def get(name: str) -> NoReturn:
        if name in names:
            raise ImportError(f"{module}.{name} {reason}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return get


def _installed() -> str | None:
    # The second one is what release candidates of TensorFlow bring.
    for name in ("keras", "keras-nightly"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
