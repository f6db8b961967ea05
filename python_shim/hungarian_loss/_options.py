"""Checks of options that are known while tracing: flags, names out of a few, whole numbers. Needs no Keras."""

import operator
from collections.abc import Collection
from typing import Any

import numpy as np


def as_flag(name: str, value: Any) -> bool:
    """A flag, which must be known while tracing.

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


def whole_number(argument: str, value: Any) -> int:
    """A whole number, 1 or more.

    Raises:
      ValueError: something else.
    """
    if not is_whole_number(value) or value < 1:
        raise ValueError(f"{argument} must be a whole number, 1 or more, got {value!r}")
    return int(value)


def is_whole_number(number: Any) -> bool:
    """Whether ``number`` is a whole number, or whatever else has ``__index__``; a bool is none."""
    try:
        operator.index(number)
    except (AttributeError, TypeError):  # The former for a tensor of floats.
        return False
    return not isinstance(number, bool)
