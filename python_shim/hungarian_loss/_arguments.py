"""What HungarianLoss is made of, checked when it is made: sizes, weights, functions."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hungarian_loss._loss_types import Weight
from hungarian_loss._options import is_whole_number


def checked_sizes(argument: str, sizes: Any) -> list[tuple[int, int]]:
    """Sizes of the slices as pairs (true, predicted).

    Raises:
      TypeError: no list.
      ValueError: an empty list, or a size that is not a whole number of 1 or more, nor a pair of them.
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
    """``values`` as a list of one entry for each slice; where None, that many times ``default``.

    Raises:
      TypeError: no list.
      ValueError: of another length.
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
    """A number; a variable as it is, so that it is followed while it is trained.

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
    """A finite number; a variable as it is; None, which an infinite number is, too, for no limit.

    Raises:
      ValueError: something else.
    """
    if limit is None or math.isinf(_number(limit)):
        return None
    try:
        return checked_weight(argument, limit)
    except ValueError as error:
        raise ValueError(f"{argument} must be a number, a scalar variable or None, got {limit!r}") from error


def per_pair(argument: str, function: Any, size: tuple[int, int]) -> Callable[..., Any]:
    """A slice loss as a function that reduces no pairs. ``size``: features of y_true and of y_pred.

    Raises:
      TypeError: it is neither the name of a Keras loss, nor a Keras loss, nor a function.
      ValueError: a name that Keras does not know; a Keras loss that reduces; one that compares feature with feature where one of
        them would be compared with all.
    """
    given = function
    if isinstance(function, str):
        try:
            function = keras.losses.get(function)
        except ValueError as error:
            raise ValueError(f"{argument} must be a function or the name of a Keras loss, got {given!r}") from error
        if isinstance(function, keras.losses.Loss):
            function = type(function)(reduction=None)
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
      TypeError: it is no function.
    """
    if not callable(function) or isinstance(function, (type, keras.losses.Loss)):
        raise TypeError(f"{argument} must be a function, got {function!r}")
    return function  # type: ignore[no-any-return]


def compares_features(function: Any) -> bool:
    """Whether it is a loss of Keras that compares feature with feature, as all do but for one."""
    return (
        is_of_keras(function) and getattr(function, "fn", function) is not keras.losses.sparse_categorical_crossentropy
    )


def is_of_keras(function: Any) -> bool:
    """Whether it is a loss of Keras: a function or an object."""
    module = getattr(getattr(function, "fn", function), "__module__", None) or ""
    return module.startswith("keras.")


def would_broadcast(true_size: int, pred_size: int) -> bool:
    """Whether slices of these sizes can be compared feature with feature, and should not."""
    return true_size != pred_size and 1 in (true_size, pred_size)


def _number(value: Any) -> float:
    """A scalar as a float, NaN where it is none."""
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
