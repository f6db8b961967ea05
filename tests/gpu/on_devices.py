"""The op and the assignment API on a named device."""

import numpy as np
import tensorflow as tf

from hungarian_loss import Assignment
from hungarian_loss._library import ops

INF = np.inf


def solve(device, cost, *, row_mask=True, col_mask=True, cost_limit=INF, **attributes):
    """The raw op, eagerly, its outputs left where they are."""
    with tf.device(device):
        cost = tf.convert_to_tensor(cost)
        real = tf.float64 if cost.dtype == tf.float64 else tf.float32
        limit = (
            tf.constant(cost_limit, real) if isinstance(cost_limit, float | list) else tf.convert_to_tensor(cost_limit)
        )
        inputs = {"cost": cost, "row_mask": row_mask, "col_mask": col_mask, "cost_limit": limit}
        return Assignment(*ops.hungarian_assignment(**inputs, **attributes))


def fetch(answer):
    return Assignment(*(output.numpy() for output in answer))
