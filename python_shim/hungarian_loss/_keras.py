"""Whether Keras is there as the losses need it: 3.8 or newer with its TensorFlow backend. The assignment needs no Keras."""

import importlib.metadata
import os
import re

# Under a strategy older ones scale losses otherwise, so that gradients would be too large.
_OLDEST = (3, 8)
_WANTED = f"Keras {_OLDEST[0]}.{_OLDEST[1]} or newer"
_CURE = "set KERAS_BACKEND=tensorflow or change ~/.keras/keras.json"


def why_not() -> str | None:
    """Why the losses cannot work here, with a cure; None where they can. Keras of another kind is not imported."""
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "")
    if legacy.lower() in ("1", "true"):
        return (
            f"the losses of hungarian_loss need {_WANTED}, and TF_USE_LEGACY_KERAS={legacy} asks for Keras 2; unset it"
        )
    version = _installed()
    if version is None:
        return f"the losses of hungarian_loss need {_WANTED}, and keras is not installed; run `pip install keras`"
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < _OLDEST:
        return f"the losses of hungarian_loss need {_WANTED}, got Keras {version}; run `pip install --upgrade keras`"
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend == "tensorflow":
        try:
            import keras
        except (ImportError, AttributeError, RuntimeError, ValueError) as error:
            # Perhaps another backend, chosen in Keras's own file, that is not installed.
            return (
                f"the losses of hungarian_loss need {_WANTED} with its tensorflow backend, and keras cannot be imported: "
                f"{error}; {_CURE}"
            )
        backend = keras.config.backend()
    if backend == "tensorflow":
        return None
    return f"the losses of hungarian_loss need Keras's tensorflow backend, got {backend!r}; {_CURE}"


def _installed() -> str | None:
    # The second one is what release candidates of TensorFlow bring.
    for name in ("keras", "keras-nightly"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
