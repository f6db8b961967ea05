"""Options that are decided while tracing: flags, and names of which there are a few. Needs no Keras."""

from collections.abc import Collection
from typing import Any

import numpy as np


def as_flag(name: str, value: Any) -> bool:
    """An option of the op, which is decided while tracing.

    Raises:
      TypeError: neither True nor False.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, known while tracing; got {value!r}")
    return bool(value)


def one_of(argument: str, value: Any, choices: Collection[str]) -> str:
    """One of the names in ``choices``.

    Raises:
      ValueError: something else.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{argument} must be one of {', '.join(choices)}, got {value!r}")
    return value
