"""Checks when run, with the same error sentence eagerly and in graphs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from hungarian_loss._types import Tensor

_SHOWN = 10


def require(condition: Tensor, describe: Callable[[], list[Any]]) -> list[Any]:
    """Raises where the condition does not hold when run. XLA drops such checks.

    Args:
      condition: A bool scalar.
      describe: Returns the sentence in parts, texts and tensors.

    Returns:
      Control dependencies: the check in a graph, else none.

    Raises:
      tf.errors.InvalidArgumentError: the sentence.
    """
    if not tf.executing_eagerly():
        check = tf.debugging.Assert(condition, describe(), summarize=_SHOWN)
        return [] if check is None else [check]
    if not condition:
        parts = (part if isinstance(part, str) else _text(part.numpy()) for part in describe())
        raise tf.errors.InvalidArgumentError(None, None, " ".join(parts))
    return []


def _text(value: Any) -> str:
    return np.array2string(value, threshold=_SHOWN) if np.ndim(value) else str(value)
