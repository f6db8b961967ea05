"""Whole numbers, such as labels, that may come as floats."""

from typing import Any

import tensorflow as tf

from hungarian_loss._inputs import constant


def is_whole(values: Any) -> Any:
    """Which floats are whole numbers; an infinity counts as one, NaN does not."""
    return tf.equal(values, tf.round(values))


def as_whole(values: Any, least: float, most: float, otherwise: int) -> Any:
    """``values`` as int64. Floats are clipped to [``least``, ``most``], since int64 has no infinity; ``otherwise``
    where they are not whole."""
    if not values.dtype.is_floating:
        return tf.cast(values, tf.int64)
    limited = tf.clip_by_value(tf.cast(values, tf.float64), least, most)
    return tf.where(is_whole(values), tf.cast(limited, tf.int64), constant(otherwise, tf.int64))
