"""From an assignment to the pairs of objects that it matched."""

from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from hungarian_loss._assignment import Assignment
from hungarian_loss._placement import has_gpu
from hungarian_loss._shapes import range_int64, summed


class Matching(NamedTuple):
    """True objects (rows) matched with predicted ones (columns).

    Attributes:
      cost: ``[B, n, m]``, the cost of each pair, or its score.
      true_mask: bool ``[B, n]``, which true objects exist; None: all.
      pred_mask: bool ``[B, m]``, likewise.
      assignment: Which objects are matched.
      boxes: Where objects are boxes, the true ones ``[B, n, 4]`` and the predicted ones ``[B, m, 4]``, each as center
        x, center y, width and height; else None.
      maximize: Whether costs are scores, and the assignment has the greatest total.
      repeats: How many adjacent rows are copies of one true object.
      cost_limit: As in :func:`linear_assignment`, a number or a scalar tensor for all samples; None: no limit.
    """

    cost: Any
    true_mask: Any
    pred_mask: Any
    assignment: Assignment
    boxes: tuple[Any, Any] | None = None
    maximize: bool = False
    repeats: int = 1
    cost_limit: Any = None


class Matcher(Protocol):
    """A loss with a ``match`` method: :class:`HungarianLoss`, :class:`DetrLoss`, or one of the same form."""

    def match(self, y_true: Any, y_pred: Any) -> Matching:
        """Costs, masks and the assignment of a batch."""


class MatchedPairs(NamedTuple):
    """Which objects are paired, in ``p = min(n, m)`` places a sample.

    Attributes:
      true_index: int64 ``[B, p]``, an index into the true objects; None: these are all of them, in their order.
      pred_index: int64 ``[B, p]``, an index into the predicted objects, or None likewise.
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
        partner = row_to_col if rows_are_shorter else col_to_row
    else:
        rows, cols = tf.shape(row_to_col)[1], tf.shape(col_to_row)[1]
        rows_are_shorter = rows <= cols
        places = tf.minimum(rows, cols)
        partner = tf.where(rows_are_shorter, row_to_col[:, :places], col_to_row[:, :places])
    matched = partner >= 0
    partner = tf.maximum(partner, 0)
    if isinstance(rows_are_shorter, bool):
        true_index, pred_index = (None, partner) if rows_are_shorter else (partner, None)
    else:
        itself = tf.broadcast_to(range_int64(places), tf.shape(partner))
        true_index = tf.where(rows_are_shorter, itself, partner)
        pred_index = tf.where(rows_are_shorter, partner, itself)
    return MatchedPairs(true_index, pred_index, matched, tf.reduce_sum(tf.cast(matched, dtype), axis=1))


def unmatched_predictions(assignment: Assignment, pred_mask: Any) -> Any:
    """Bool ``[B, m]``: existing predictions without a partner; none in a sample whose status is not 0."""
    alone = tf.cast(assignment.col_to_row, tf.int64) < 0
    alone &= is_solved(assignment)[:, tf.newaxis]
    return alone if pred_mask is None else alone & pred_mask


def take(objects: Any, index: Any, matched: Any) -> Any:
    """The objects at ``index``: ``[B, n, f]``, ``[B, p]`` -> ``[B, p, f]``. No gradient passes through empty places."""
    return stop_gradient_outside(take_all(objects, index), matched)


def take_all(objects: Any, index: Any) -> Any:
    """The same with a gradient through all places."""
    if index is not None and objects.shape[-1] == 0:
        # gather_nd refuses a tensor without elements.
        objects = tf.gather(objects, index, batch_dims=1)
    elif index is not None:
        # The gradient of gather_nd is a single op, that of a batched gather dozens.
        sample = range_int64(tf.shape(index)[0])[:, tf.newaxis]
        place = tf.stack([tf.broadcast_to(sample, tf.shape(index)), index], axis=-1)
        objects = tf.gather_nd(objects, place) if _may_use_its_gradient(objects) else _gather(objects, place)
    return objects


def _may_use_its_gradient(objects: Any) -> bool:
    """Whether the gradient of ``tf.gather_nd`` can be used, which is the quickest on a CPU.

    That gradient takes the shape of ``objects`` as an input. XLA cannot compile it where it knows only bounds of the
    shape, and on a GPU even a constant shape is copied to the host, since it is int64.
    """
    return objects.shape.is_fully_defined() and not has_gpu()


def _gather(objects: Any, place: Any) -> Any:
    """``tf.gather_nd`` with a gradient that takes no shape."""

    @tf.custom_gradient
    def gather(objects: Any) -> Any:
        return tf.gather_nd(objects, place), lambda upstream: _scatter(upstream, place, objects)

    return gather(objects)


def _scatter(values: Any, place: Any, like: Any) -> Any:
    """The transpose of :func:`_gather`: ``values`` added up where they came from, in the shape of ``like``."""

    @tf.custom_gradient
    def scatter(values: Any) -> Any:
        summed = tf.tensor_scatter_nd_add(tf.zeros_like(like), place, values)
        return summed, lambda upstream: _gather(upstream, place)

    return scatter(values)


def stop_gradient_outside(objects: Any, kept: Any) -> Any:
    """The same values ``[B, p, f]``, with gradient only where ``kept`` ``[B, p]``.

    Places that are not kept hold ordinary values, so that functions applied to them see nothing unusual. The results at
    such places are dropped; a NaN in their gradient is stopped here.
    """
    return tf.where(kept[..., tf.newaxis], objects, tf.stop_gradient(objects))


def sum_where(kept: Any, values: Any) -> Any:
    """Sum of ``values`` ``[B, p]`` where ``kept``, ``[B]``; what is not kept may be NaN."""
    return summed(tf.where(kept, values, tf.zeros_like(values)), axis=1)


def show_status(loss: Any, assignment: Assignment) -> Any:
    """Lets a bad sample show: NaN where invalid, +inf where infeasible, with no gradient; else ``loss`` ``[B]``."""
    # The op answers NaN or +inf there.
    bad = tf.stop_gradient(tf.cast(assignment.total_cost, loss.dtype))
    return tf.where(is_solved(assignment), loss, bad)


def is_solved(assignment: Assignment) -> Any:
    """Bool ``[B]``: whether the status is 0."""
    # int32 comparisons run on the host even on a GPU.
    return tf.equal(tf.cast(assignment.status, tf.float32), 0)


class GradientGate:
    """Objects pass unchanged; in the backward pass the gradient of a sample passes only if the sample is good.

    Whether it is shows only after its losses are computed. Sending a zero gradient back through the losses is not
    enough: where a loss is not finite, zero times its slope is often NaN.

    Attributes:
      is_good: bool ``[B]``, to be set before a gradient is taken.
    """

    def __init__(self) -> None:
        self.is_good: Any = None

    def __call__(self, *objects: Any) -> Any:
        """``objects``, each ``[B, ...]``."""

        @tf.custom_gradient
        def gate(*objects: Any) -> Any:
            def gradient(*upstream: Any) -> list[Any]:
                if self.is_good is None:
                    raise NotImplementedError(
                        "the losses of hungarian_loss have no forward-mode gradient (tf.autodiff.ForwardAccumulator); "
                        "take it in reverse, with tf.GradientTape"
                    )
                return [tf.where(_in_front(self.is_good, slope), slope, tf.zeros_like(slope)) for slope in upstream]

            return objects, gradient

        return gate(*objects)


def _in_front(flags: Any, values: Any) -> Any:
    """``flags`` ``[B]``, so that they broadcast to ``values`` ``[B, ...]``."""
    return flags[(..., *(tf.newaxis,) * (values.shape.rank - 1))]
