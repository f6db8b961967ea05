"""Which device the op must run on, and whether there is a GPU. All else is TensorFlow's choice, or the user's."""

import contextlib
from typing import Any

import tensorflow as tf

# The longest side of a problem that the kernels for GPUs can solve.
MOST_ON_GPU = 4096


def has_gpu() -> bool:
    """Whether TensorFlow has a GPU, on which a program that is traced now is likely to run."""
    return bool(tf.config.list_logical_devices("GPU"))


def able_device(cost: Any, validate: bool) -> contextlib.AbstractContextManager[Any]:
    """A context that places the op on the CPU where a GPU cannot do what is asked for; this costs a copy of ``cost``.
    Sides that are known only when run are not considered."""
    sides = [size for size in cost.shape[-2:] if size is not None] if cost.shape.rank is not None else []
    if validate or max(sides, default=0) > MOST_ON_GPU:
        device: contextlib.AbstractContextManager[Any] = tf.device("/CPU:0")
        return device
    return contextlib.nullcontext()
