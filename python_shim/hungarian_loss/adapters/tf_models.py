"""Exact matching for TF Models' DETR::

    from hungarian_loss.adapters import tf_models
    from official.projects.detr.ops import matchers

    matchers.hungarian_matching = tf_models.hungarian_matching    # before the first step is traced

The task's criterion, ``build_losses`` in official/projects/detr/tasks/detection.py, looks the function up there each
time. It gets what it got before, many times faster; a batch no longer waits for its slowest problem, and a NaN does not
end the step.
"""

import tensorflow as tf

from hungarian_loss._assignment import assignment_mask, linear_assignment
from hungarian_loss._inputs import as_cost
from hungarian_loss._types import Tensor, TensorLike

__all__ = ["hungarian_matching"]


def hungarian_matching(weights: TensorLike) -> tuple[Tensor, Tensor]:
    """In place of ``official.projects.detr.ops.matchers.hungarian_matching`` of tf-models-official 2.20.

    Args:
      weights: costs ``[..., workers, jobs]``, of any type that :func:`hungarian_loss.linear_assignment` takes. The
        original wants ``[B, n, n]``.

    Returns:
      ``weights, assignment``: the reduced costs, of the same shape, never negative and 0 where a pair is matched; of
      float32 or float64 for integers, else of the same type. And bool of the same shape, true where a pair is matched:
      nowhere in a problem that has a NaN, where the original's answer is undefined.

    Raises:
      TypeError, ValueError, tf.errors.InvalidArgumentError: as :func:`hungarian_loss.linear_assignment`, which calls
        the weights cost.

    Source: Carion et al. 2020, arXiv:2005.12872.
    """
    cost = as_cost(weights)
    matching = linear_assignment(cost)
    assignment = assignment_mask(matching.row_to_col, tf.shape(cost)[-1] if cost.shape[-1] is None else cost.shape[-1])
    duals = matching.row_duals[..., tf.newaxis] + matching.col_duals[..., tf.newaxis, :]
    reduced = tf.maximum(tf.cast(cost, duals.dtype) - duals, 0)
    reduced = tf.where(assignment, tf.zeros_like(reduced), reduced)
    return tf.cast(reduced, cost.dtype) if cost.dtype.is_floating else reduced, assignment
