"""Cost matrices."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="hungarian_loss")
def compute_euclidean_distance(a: Any, b: Any) -> Any:
    """Euclidean distance of every object of ``a`` from every object of ``b``.

    Differences are taken before they are squared, so near objects keep all their digits. The gradient is finite
    everywhere: 0 where two objects coincide.

    Args:
      a: ``[..., n, features]``.
      b: ``[..., m, features]``, of the same type.

    Returns:
      ``[..., n, m]``, in the units of the features.
    """
    a, b = tf.convert_to_tensor(a), tf.convert_to_tensor(b)
    return distance(a[..., :, tf.newaxis, :], b[..., tf.newaxis, :, :])


def distance(a: Any, b: Any) -> Any:
    """Euclidean distance along the last axis, ``[..., features]`` twice (broadcast) -> ``[...]``."""
    squared = tf.reduce_sum(tf.math.squared_difference(a, b), axis=-1)
    # Root and derivative are taken where both exist: at 0 the root's slope is infinite, and inf · 0 is NaN.
    apart = squared > 0
    root = tf.sqrt(tf.where(apart, squared, tf.ones_like(squared)))
    # A NaN is not "apart" and must not turn into a distance of 0.
    return tf.where(apart, root, squared)
