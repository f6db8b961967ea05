"""What matching adds to a training step: loss and gradient in a tf.function, as ratios to the same step with a fixed matching.

The step: costs are Euclidean distances, written out plainly, of y_true [batch, objects, 4] and of predictions that need a gradient;
the loss is the sum of the matched costs. In the base step the matching is a mask that is given. "op" takes it from the op, as
total_cost; "op, by mask" as a mask from row_to_col. "drop-in" is hungarian_loss, which gathers the matched pairs and
so differentiates no matrix. The last columns are the same with compute_euclidean_distance as the cost, which is faster than the
plain one: the rest of the step shrinks, and so the op's share of it grows.

Medians of interleaved rounds; "same" is the base step against itself, with its quartiles.
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from timing import interleave, seconds

from hungarian_loss import (
    assignment_mask,
    compute_euclidean_distance,
    hungarian_loss,
    linear_assignment,
    op_library_path,
)

SHAPES = [(32, 10), (32, 20), (16, 100)]
FEATURES = 4

Tensor = tf.Tensor
Cost = Callable[[Tensor, Tensor], Tensor]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def plain_distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances as they are commonly written."""
    return tf.sqrt(tf.reduce_sum(tf.math.squared_difference(a[:, :, tf.newaxis], b[:, tf.newaxis]), axis=-1))


def masked_sum(mask: Tensor, cost: Tensor) -> Tensor:
    """Sum of the matched costs."""
    return tf.reduce_sum(tf.where(mask, cost, tf.zeros_like(cost)), axis=[1, 2])


def fixed(cost: Cost) -> Loss:
    """With the matching given."""
    return lambda y_true, y_pred, mask: masked_sum(mask, cost(y_true, y_pred))


def matched(cost: Cost) -> Loss:
    """With the op, and its own gradient."""
    return lambda y_true, y_pred, _: linear_assignment(cost(y_true, y_pred)).total_cost


def matched_by_mask(cost: Cost) -> Loss:
    """With the op, and the gradient through the mask."""

    def loss(y_true: Tensor, y_pred: Tensor, _: Tensor) -> Tensor:
        costs = cost(y_true, y_pred)
        return masked_sum(assignment_mask(linear_assignment(costs).row_to_col, y_pred.shape[1]), costs)

    return loss


def step(loss: Loss, *arguments: Tensor) -> Callable[[], object]:
    """Loss and gradient, traced."""

    @tf.function(autograph=False)
    def loss_and_gradient(y_true: Tensor, y_pred: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred, mask)
        return value, tape.gradient(value, y_pred)

    return lambda: loss_and_gradient(*arguments)


def steps(batch: int, objects: int, rounds: int) -> str:
    """One line of the table."""
    random = np.random.default_rng(0)
    y_true, y_pred = (tf.constant(random.random((batch, objects, FEATURES)), tf.float32) for _ in range(2))
    mask = assignment_mask(linear_assignment(plain_distance(y_true, y_pred)).row_to_col, objects)
    losses = {
        "op": matched(plain_distance),
        "op, by mask": matched_by_mask(plain_distance),
        "drop-in": lambda y_true, y_pred, _: hungarian_loss(y_true, y_pred),
        "fixed, our distance": fixed(compute_euclidean_distance),
        "op, our distance": matched(compute_euclidean_distance),
    }
    others = {name: step(loss, y_true, y_pred, mask) for name, loss in losses.items()}
    base, ratios = interleave(step(fixed(plain_distance), y_true, y_pred, mask), others, rounds)
    cells = [
        f"{base * 1e6:.0f}",
        *(str(ratios[name]) for name in losses),
        f"{ratios['same']} ({ratios['same'].spread()})",
    ]
    return f"| {batch} × {objects} | {' | '.join(cells)} |"


def fixed_costs() -> list[str]:
    """What a call costs beside solving: problems of one entry."""
    op = tf.load_op_library(op_library_path()).hungarian_assignment
    exists, no_limit = tf.constant(True), tf.constant(math.inf)
    cost = tf.constant([[[1.0]]])

    @tf.function(autograph=False)
    def plain(cost: Tensor) -> Tensor:
        return tf.exp(cost)[:, 0, 0]

    @tf.function(autograph=False)
    def solving(cost: Tensor) -> Tensor:
        return linear_assignment(tf.exp(cost)).total_cost

    runs = {
        "tf.raw_ops.Neg, eager": lambda: tf.raw_ops.Neg(x=cost),
        "the raw op, eager": lambda: op(cost, exists, exists, no_limit),
        "a tf.function without it": lambda: plain(cost),
        "a tf.function with it": lambda: solving(cost),
    }
    for run in runs.values():
        run()
    took: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(21):
        for name, run in runs.items():
            took[name].append(seconds(run, 200))
    return [f"| {name} | {np.median(times) * 1e6:.1f} |" for name, times in took.items()]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as TensorFlow likes")
    parser.add_argument("--rounds", type=int, default=61)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    threads = f"{options.threads} thread" if options.threads else "default threads"
    print(f"\n| batch × objects, {threads} | fixed, µs | op | op, by mask | drop-in | fixed, ours | op, ours | same |")
    print(f"|{'---|' * 8}")
    for batch, objects in SHAPES:
        print(steps(batch, objects, options.rounds), flush=True)
    print(f"\n| one problem of one entry, {threads} | µs |\n|---|---|")
    print("\n".join(fixed_costs()))


if __name__ == "__main__":
    main()
