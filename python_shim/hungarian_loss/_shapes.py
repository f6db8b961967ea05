"""Checks of shapes: while tracing where they are known, else when run, under XLA too.

XLA drops assertions. What remains there is a reshape, which fails unless the number of elements is right.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from hungarian_loss._checks import require

# What a dimension must be: a number, or that of another tensor, (tensor, axis).
Dimension: TypeAlias = int | tuple[Any, int]


def with_shape(tensor: Any, dimensions: Sequence[Dimension], sentence: str, cure: str = "") -> Any:
    """``tensor``, certain to have these ``dimensions``. Adds no op where all of them are known.

    Raises:
      ValueError: ``sentence``, with what was got and expected, then ``cure``, where that shows while tracing.
      tf.errors.InvalidArgumentError: the same when run; under XLA from a reshape.
    """
    rank = len(dimensions)
    expected = [known_size(dimension) for dimension in dimensions]
    if not tensor.shape.is_compatible_with(expected):
        raise ValueError(f"{sentence}; got shape {tensor.shape}, expected {tf.TensorShape(expected)}{cure}")
    got = [None] * rank if tensor.shape.rank is None else tensor.shape.as_list()
    open_axes = [axis for axis in range(rank) if got[axis] is None or expected[axis] is None]
    if not open_axes:
        return tensor
    sizes = [_size(dimension) for dimension in dimensions]
    shape = tf.shape(tensor)
    # Padded where the rank is unknown, so that a shape of another rank can be compared at all. No size is -1.
    padded = shape if tensor.shape.rank is not None else tf.concat([shape, tf.fill([rank], -1)], axis=0)[:rank]
    same = all_zero(tf.concat([padded - sizes, [tf.size(shape) - rank]], axis=0))
    checks = require(same, lambda: [f"{sentence}; got shape", shape, "expected", tf.stack(sizes), cure])
    with tf.control_dependencies(checks):
        tensor = tf.identity(tensor)
    if tensor.shape.rank is None:
        tensor = tf.ensure_shape(tensor, [None] * rank)
    # One at a time: a reshape of all would take [m, n] for [n, m].
    # Where one fails, the error shows the sentence as its name.
    with tf.name_scope(re.sub(r"\W+", "_", sentence + cure)):
        for axis in open_axes:
            tensor = with_size(tensor, axis, sizes[axis])
    return tensor


def all_zero(numbers: Any) -> Any:
    """Whether int32 ``numbers``, differences of sizes, are all 0.

    Uses int32 alone, which TensorFlow computes on the host even where there is a GPU. Booleans would be reduced on the
    GPU, and the host would wait for it.
    """
    return tf.equal(tf.reduce_max(tf.abs(numbers)), 0)


def summed(values: Any, axis: int) -> Any:
    """``tf.reduce_sum`` along an axis.

    Where sizes are unknown while tracing, the gradient of ``tf.reduce_sum`` has a GPU compute a shape, for which the
    host waits. With ``keepdims`` it does not.
    """
    if values.shape.is_fully_defined():
        return tf.reduce_sum(values, axis=axis)
    return tf.squeeze(tf.reduce_sum(values, axis=axis, keepdims=True), axis=axis)


def range_int64(size: Any) -> Any:
    """0, 1, 2, … as int64. ``tf.range`` runs on the host, so a ``size`` in int64 would be copied there from a GPU."""
    return tf.cast(tf.range(size), tf.int64)


def with_size(tensor: Any, axis: int, size: Any) -> Any:
    """``tensor``, of a known rank, certain to be of ``size`` along ``axis``."""
    shape = sizes_of(tensor)
    shape[axis] = size
    return tf.reshape(tensor, shape)


def sizes_of(tensor: Any) -> list[Any]:
    """The size along each axis of a tensor of a known rank: a number where it is known, else a scalar tensor."""
    return [tf.shape(tensor)[axis] if known is None else known for axis, known in enumerate(tensor.shape)]


def known_size(dimension: Dimension) -> int | None:
    """The size that a dimension must have; None where it is not known while tracing."""
    if isinstance(dimension, int):
        return dimension
    tensor, axis = dimension
    # With too low a rank the check fails anyway, whatever is returned here.
    return None if tensor.shape.rank is None or axis >= tensor.shape.rank else tensor.shape[axis]


def _size(dimension: Dimension) -> Any:
    known = known_size(dimension)
    return tf.shape(dimension[0])[dimension[1]] if known is None else known  # type: ignore[index]
