"""What the terms of a loss are divided by: counts of the batch, over all replicas, or of the sample."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf


class Divisors:
    """Divides each sample's sums by counts of the whole batch, over all replicas of a strategy, or by the sample's own
    counts.

    The values of all samples of the batch then have the loss as their mean: a sum that is divided by a count of the
    batch is multiplied by the number of samples. Keras takes the mean over the samples of a replica, then over
    replicas, which may have samples in unequal numbers. So with ``in_means`` each value is multiplied by the samples of
    its replica and by the number of replicas, and divided by the samples of the batch.
    """

    def __init__(self, counts: list[Any], *, over_batch: bool, in_means: bool) -> None:
        """``counts``: ``[B, k]`` each, k known."""
        self._counts, self._factor = counts, None
        samples = tf.cast(tf.shape(counts[0])[:1], counts[0].dtype)
        if over_batch:
            totals = [tf.reduce_sum(tf.stop_gradient(count), axis=0) for count in counts]
            if number_of_replicas() == 1:
                self._counts, self._factor = totals, samples
            else:
                totals, replicas = over_replicas(tf.concat([*totals, samples], axis=0))
                *self._counts, all_samples = tf.split(totals, [*(count.shape[1] for count in counts), 1])
                self._factor = samples * replicas if in_means else all_samples
        elif in_means and number_of_replicas() > 1:
            all_samples, replicas = over_replicas(samples)
            self._factor = tf.math.divide_no_nan(samples * replicas, all_samples)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """For each count a function that divides ``sums`` ``[B, k]`` by it, but by no less than ``at_least``; 0 where
        that is 0."""
        return (self._by(count) for count in self._counts)

    def _by(self, count: Any) -> Callable[..., Any]:
        def divided(sums: Any, *, at_least: float) -> Any:
            sums = sums if self._factor is None else sums * self._factor
            return tf.math.divide_no_nan(sums, tf.maximum(count, tf.constant(at_least, count.dtype)))

        return divided


def over_replicas(totals: Any) -> tuple[Any, int]:
    """``totals`` summed over all replicas, and their number; unchanged outside of a strategy's replicas."""
    replicas = number_of_replicas()
    if replicas == 1:
        return totals, 1
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, totals), replicas


def number_of_replicas() -> int:
    """1 outside of a strategy's replicas."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else int(context.num_replicas_in_sync)
