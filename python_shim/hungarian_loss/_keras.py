"""Whether Keras is there as the losses need it: Keras 3 with its TensorFlow backend. The assignment itself needs no Keras."""

import importlib.metadata
import json
import os
import pathlib


def why_not() -> str | None:
    """Why the losses cannot work here; None where they can. Imports Keras only where it is the one that is wanted."""
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "")
    if legacy.lower() in ("1", "true"):
        return f"the losses of hungarian_loss need Keras 3, and TF_USE_LEGACY_KERAS={legacy} asks for Keras 2; unset it"
    try:
        version = importlib.metadata.version("keras")
    except importlib.metadata.PackageNotFoundError:
        return "the losses of hungarian_loss need Keras 3, and keras is not installed; run `pip install keras`"
    if int(version.split(".")[0]) < 3:
        return f"the losses of hungarian_loss need Keras 3, got Keras {version}; run `pip install 'keras>=3'`"
    backend = _chosen_backend()
    if backend == "tensorflow":
        try:
            import keras
        except (ImportError, AttributeError, RuntimeError, ValueError) as error:
            return f"the losses of hungarian_loss need Keras 3, and keras cannot be imported: {error!r}; mend or reinstall it"
        backend = keras.config.backend()
    if backend == "tensorflow":
        return None
    return (
        f"the losses of hungarian_loss need Keras's tensorflow backend, got {backend!r}; "
        "set KERAS_BACKEND=tensorflow or change ~/.keras/keras.json"
    )


def _chosen_backend() -> str:
    """What Keras will choose when it is imported: by the environment, else by its own file, else TensorFlow."""
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen:
        return chosen
    home = os.environ.get("KERAS_HOME")
    if home is None:
        base = pathlib.Path.home()
        home = str((base if os.access(base, os.W_OK) else pathlib.Path("/tmp")) / ".keras")
    try:
        settings = json.loads((pathlib.Path(home).expanduser() / "keras.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "tensorflow"
    return str(settings.get("backend", "tensorflow")) if isinstance(settings, dict) else "tensorflow"
