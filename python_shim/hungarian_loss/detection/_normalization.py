"""What the terms of a loss are divided by: counts of the batch, over all replicas, or of the sample."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf


class Divisors:
    """Divides each sample's sums by counts of the whole batch, over all replicas of a strategy, or by the sample's own
    counts.

    Keras takes the mean over the samples of a replica, then over replicas. So a sum that is divided by a count of the
    whole batch is multiplied by the number of samples and of replicas.
    """

    def __init__(self, counts: list[Any], *, over_batch: bool) -> None:
        """``counts``: ``[B, k]`` each, k known."""
        self._counts, self._factor = counts, None
        if over_batch:
            totals = tf.concat([tf.reduce_sum(tf.stop_gradient(count), axis=0) for count in counts], axis=0)
            totals, replicas = _over_replicas(totals)
            self._counts = tf.split(totals, [count.shape[1] for count in counts])
            self._factor = tf.cast(tf.shape(counts[0])[0] * replicas, totals.dtype)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """For each count a function that divides ``sums`` ``[B, k]`` by it, but by no less than ``at_least``; 0 where
        that is 0."""
        return (self._by(count) for count in self._counts)

    def _by(self, count: Any) -> Callable[..., Any]:
        def divided(sums: Any, *, at_least: float) -> Any:
            sums = sums if self._factor is None else sums * self._factor
            return tf.math.divide_no_nan(sums, tf.maximum(count, tf.constant(at_least, count.dtype)))

        return divided


def _over_replicas(totals: Any) -> tuple[Any, int]:
    """``totals`` summed over all replicas, and their number; unchanged outside of a strategy's replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return totals, 1
    return context.all_reduce(tf.distribute.ReduceOp.SUM, totals), context.num_replicas_in_sync
