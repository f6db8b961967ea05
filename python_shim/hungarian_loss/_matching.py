"""From an assignment to the pairs of objects that it matched."""

from typing import Any, NamedTuple

import tensorflow as tf

from hungarian_loss._assignment import Assignment


class MatchedPairs(NamedTuple):
    """Which objects are paired, in ``p = min(n, m)`` places a sample.

    Attributes:
      true_index: int64 ``[B, p]``, an index into the true objects.
      pred_index: int64 ``[B, p]``, an index into the predicted objects.
      matched: bool ``[B, p]``; where false the place is empty and both indices are arbitrary.
      count: ``[B]``, number of pairs, of the losses' type.
    """

    true_index: Any
    pred_index: Any
    matched: Any
    count: Any


def matched_pairs(assignment: Assignment, dtype: Any) -> MatchedPairs:
    """Lists the pairs from the shorter side, in its order: ``[B, n]`` rows and ``[B, m]`` columns -> p = min(n, m)."""
    # int32 comparisons and slices run on the host even on a GPU, int64 ones do not.
    row_to_col = tf.cast(assignment.row_to_col, tf.int64)
    col_to_row = tf.cast(assignment.col_to_row, tf.int64)
    rows, cols = row_to_col.shape[1], col_to_row.shape[1]
    if rows is not None and cols is not None:
        rows_are_shorter = rows <= cols
        places = min(rows, cols)
        partner = row_to_col if rows_are_shorter else col_to_row
    else:
        rows, cols = tf.shape(row_to_col)[1], tf.shape(col_to_row)[1]
        rows_are_shorter = rows <= cols
        places = tf.minimum(rows, cols)
        partner = tf.where(rows_are_shorter, row_to_col[:, :places], col_to_row[:, :places])
    matched = partner >= 0
    partner = tf.maximum(partner, 0)
    itself = tf.broadcast_to(tf.range(tf.cast(places, tf.int64)), tf.shape(partner))
    return MatchedPairs(
        true_index=tf.where(rows_are_shorter, itself, partner),
        pred_index=tf.where(rows_are_shorter, partner, itself),
        matched=matched,
        count=tf.reduce_sum(tf.cast(matched, dtype), axis=1),
    )


def take(objects: Any, index: Any, matched: Any) -> Any:
    """The objects at ``index``: ``[B, n, f]``, ``[B, p]`` -> ``[B, p, f]``. No gradient passes through empty places.

    An empty place holds some object's values, so that functions applied to it see nothing unusual. What they make
    of it is dropped; a NaN in their gradient is stopped here.
    """
    taken = tf.gather(objects, index, batch_dims=1)
    return tf.where(matched[..., tf.newaxis], taken, tf.stop_gradient(taken))


def mean_over_pairs(values: Any, pairs: MatchedPairs, divisor: Any = None) -> Any:
    """Mean of ``[B, p]`` over the matched pairs of each sample, ``[B]``; 0 where there are none.

    ``divisor`` replaces the number of pairs.
    """
    kept = tf.where(pairs.matched, values, tf.zeros_like(values))
    return tf.math.divide_no_nan(tf.reduce_sum(kept, axis=1), pairs.count if divisor is None else divisor)


def show_status(loss: Any, assignment: Assignment) -> Any:
    """Lets a bad sample show: NaN where invalid, +inf where infeasible, with no gradient; else ``loss`` ``[B]``."""
    good = tf.equal(tf.cast(assignment.status, loss.dtype), 0)
    # The op answers NaN or +inf there.
    bad = tf.stop_gradient(tf.cast(assignment.total_cost, loss.dtype))
    return tf.where(good, loss, bad)
