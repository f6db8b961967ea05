"""Checks of the losses' arguments at construction: sizes of slices, weights, functions."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hungarian_loss._functions import takes_dtype
from hungarian_loss._loss_types import Weight
from hungarian_loss._options import is_whole_number


def checked_sizes(argument: str, sizes: Any) -> list[tuple[int, int]]:
    """Sizes of the slices as pairs (true, predicted).

    Raises:
      TypeError: not a list.
      ValueError: an empty list, or a size that is neither a whole number of 1 or more nor a pair of these.
    """
    if not _is_list(sizes):
        raise TypeError(f"{argument} must be a list of sizes, such as [4, 10], got {sizes!r}")
    if len(sizes) == 0:
        raise ValueError(f"{argument} must hold at least one size, got an empty list")
    return [_true_and_pred_size(f"{argument}[{place}]", size) for place, size in enumerate(sizes)]


def checked_index(index: Any, count: int) -> int | None:
    """Which slice to match by, or None.

    Raises:
      ValueError: not the index of one of ``count`` slices.
    """
    if index is None:
        return None
    if not is_whole_number(index) or not 0 <= index < count:
        raise ValueError(
            f"slice_index_to_compute_assignment must lie in [0, {count}), the number of slices, or be None; got {index!r}"
        )
    return int(index)


def one_for_each(argument: str, values: Any, count: int, default: Any) -> list[Any]:
    """``values`` as a list with one entry for each slice; for None, ``default`` for each.

    Raises:
      TypeError: not a list.
      ValueError: a list of another length than ``count``.
    """
    if values is None:
        return [default] * count
    if not _is_list(values):
        raise TypeError(
            f"{argument} must be a list with one entry for each of {count} slices, got {values!r}; write [...]"
        )
    if len(values) != count:
        raise ValueError(f"{argument} must have one entry for each of {count} slices, got {len(values)}")
    return list(values)


def checked_weight(argument: str, weight: Any) -> Weight:
    """The weight as a float. A variable is returned as it is, so that the loss uses the value that it has at each call.

    Raises:
      ValueError: neither a finite number nor a scalar variable.
    """
    if isinstance(weight, (tf.Variable, keras.Variable)):
        if tuple(weight.shape) == ():
            return weight
    elif math.isfinite(number := _number(weight)):
        return number
    raise ValueError(f"{argument} must be a finite number or a scalar variable, got {weight!r}")


def checked_limit(argument: str, limit: Any) -> Weight | None:
    """The limit as a float, or a variable as it is; None for no limit, which an infinite number means too.

    Raises:
      ValueError: not a number, a scalar variable or None; NaN is not a number.
    """
    if limit is None or math.isinf(_number(limit)):
        return None
    try:
        return checked_weight(argument, limit)
    except ValueError as error:
        raise ValueError(f"{argument} must be a number, a scalar variable or None, got {limit!r}") from error


def as_scalar(weight: Weight, dtype: Any) -> Any:
    """What :func:`checked_weight` returned as a tensor of ``dtype``; a number without being rounded to float32
    before."""
    return tf.constant(weight, dtype) if isinstance(weight, float) else tf.cast(tf.convert_to_tensor(weight), dtype)


def per_pair(argument: str, function: Any, size: tuple[int, int], dtype: str) -> Callable[..., Any]:
    """A slice loss as a function that returns one value for each pair. ``size``: features of y_true and of y_pred;
    ``dtype``: of the loss that it is a part of.

    Raises:
      TypeError: it is neither the name of a Keras loss, nor a Keras loss, nor a function.
      ValueError: a name that Keras does not know; a Keras loss that reduces; a Keras loss that compares feature with
        feature, where a single feature would be broadcast.
    """
    given = function
    if isinstance(function, str):
        try:
            function = keras.losses.get(function)
        except ValueError as error:
            raise ValueError(f"{argument} must be a function or the name of a Keras loss, got {given!r}") from error
        if isinstance(function, keras.losses.Loss):
            options: dict[str, Any] = {"reduction": None}
            # Left alone it would cast to Keras's float type. Half-precision is computed in float32.
            if takes_dtype(function):
                options["dtype"] = "float64" if dtype == "float64" else "float32"
            function = type(function)(**options)
    elif isinstance(function, type) or not callable(function):
        raise TypeError(
            f"{argument} must be a function, the name of a Keras loss or a Keras loss with reduction=None, got {given!r}"
        )
    elif isinstance(function, keras.losses.Loss) and function.reduction not in (None, "none"):
        raise ValueError(
            f"{argument} must return one value for each pair, got {type(function).__name__} with reduction="
            f"{function.reduction!r}; write {type(function).__name__}(reduction=None)"
        )
    if would_broadcast(*size) and compares_features(function):
        raise ValueError(
            f"{argument}, {getattr(function, '__name__', function)!r}, compares feature with feature, got slices of {size[0]} "
            f"features of y_true and {size[1]} of y_pred, which would broadcast; give a function of your own for this slice"
        )
    return function  # type: ignore[no-any-return]


def plain_function(argument: str, function: Any) -> Callable[..., Any]:
    """The function itself.

    Raises:
      TypeError: it is not a function; a class and a Keras loss are none here.
    """
    if not callable(function) or isinstance(function, (type, keras.losses.Loss)):
        raise TypeError(f"{argument} must be a function, got {function!r}")
    return function  # type: ignore[no-any-return]


def compares_features(function: Any) -> bool:
    """Whether ``function`` is a Keras loss that compares feature with feature: any but
    sparse_categorical_crossentropy."""
    return (
        is_of_keras(function) and getattr(function, "fn", function) is not keras.losses.sparse_categorical_crossentropy
    )


def is_of_keras(function: Any) -> bool:
    """Whether ``function`` is a Keras loss, as a function or an object."""
    module = getattr(getattr(function, "fn", function), "__module__", None) or ""
    return module.startswith("keras.")


def would_broadcast(true_size: int, pred_size: int) -> bool:
    """Whether a comparison of feature with feature would broadcast: the sizes differ, and one of them is 1."""
    return true_size != pred_size and 1 in (true_size, pred_size)


def _number(value: Any) -> float:
    """``value`` as a float; NaN where it is not a plain number."""
    if isinstance(value, (bool, np.bool_, str, bytes, tf.Variable, keras.Variable)) or np.ndim(value) != 0:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _is_list(values: Any) -> bool:
    if isinstance(values, np.ndarray):
        return values.ndim > 0
    return isinstance(values, Sequence) and not isinstance(values, (str, bytes))


def _true_and_pred_size(argument: str, size: Any) -> tuple[int, int]:
    pair = (size, size) if is_whole_number(size) else size
    if isinstance(pair, (tuple, list)) and len(pair) == 2 and all(is_whole_number(one) and one >= 1 for one in pair):
        return int(pair[0]), int(pair[1])
    raise ValueError(
        f"{argument}, a slice size, must be a whole number, 1 or more, or a pair (true, predicted), got {size!r}"
    )
