"""The targets of predictions, and their losses against these."""

from typing import Any, NamedTuple

import tensorflow as tf

from hungarian_loss._assignment import Assignment
from hungarian_loss._matching import MatchedPairs, matched_pairs, sum_where, take
from hungarian_loss._shapes import summed
from hungarian_loss.detection._boxes import IOU_OF, center_and_size, edges, iou_of
from hungarian_loss.detection._classification import Classification, Settings
from hungarian_loss.detection._sets import Denoising, Predictions, Truth, merged


class Targets(NamedTuple):
    """The targets of ``R`` sets of predictions, those of an image one after the other.

    Attributes:
      boxes: ``[R, n + 1, 4]``, of the objects; behind them zeros, for predictions without an object.
      labels: int64 ``[R, n + 1]``, of the objects; behind them the number of classes, which means "no object".
      object_of: int64 ``[R, m]``: the object of each prediction; n for none.
      pairs: The same as a list of pairs, ``[R, p]``.
    """

    boxes: Any
    labels: Any
    object_of: Any
    pairs: MatchedPairs


class Sums(NamedTuple):
    """Sums over the predictions of a layer, ``[B, layers]`` each.

    Attributes:
      classes: Of the class losses.
      weights: Of the predictions' weights in the mean of the class losses; None where those are divided by the number
        of objects.
      boxes: Of the L1 distances of pairs.
      ious: Of 1 − IoU of pairs.
    """

    classes: Any
    weights: Any
    boxes: Any
    ious: Any


def of_assignment(assignment: Assignment, truth: Truth, num_classes: int) -> Targets:
    """Targets from the matching: rows are the objects, columns the predictions of ``[B, sets]`` problems."""
    # On a GPU TensorFlow would copy int32 to the host to reshape it. The maximum, which changes nothing, keeps
    # TensorFlow's optimiser from reshaping before the cast.
    partners = (assignment.row_to_col, assignment.col_to_row)
    row_to_col, col_to_row = (merged(tf.maximum(tf.cast(one, tf.int64), -1)) for one in partners)
    flat = assignment._replace(row_to_col=row_to_col, col_to_row=col_to_row)
    boxes, labels = _for_each_set(truth, assignment.row_to_col.shape[1], num_classes)
    object_of = tf.where(col_to_row < 0, _none(truth), col_to_row)
    return Targets(boxes, labels, object_of, matched_pairs(flat, boxes.dtype))


def of_denoising(denoising: Denoising, truth: Truth, num_classes: int) -> Targets:
    """Targets as given. An empty slot means no object."""
    layers = denoising.predictions.layers
    none = _none(truth)
    boxes, labels = _for_each_set(truth, layers, num_classes)
    target = merged(_repeated(denoising.target, layers))
    target = tf.where((target >= 0) & (target < none), target, none)
    matched = (tf.gather(labels, target, batch_dims=1) >= 0) & (target < none)
    target = tf.where(matched, target, none)
    pairs = MatchedPairs(target, None, matched, tf.reduce_sum(tf.cast(matched, boxes.dtype), axis=1))
    return Targets(boxes, labels, target, pairs)


def sums_of(
    predictions: Predictions,
    targets: Targets,
    layers: int,
    classification: Classification,
    settings: Settings,
    iou: str,
    box_format: str,
) -> Sums:
    """The losses of predictions ``[B, sets, m, ...]`` against their targets, summed over each of the layers."""
    batch = tf.shape(predictions.boxes)[0]
    boxes, logits = predictions.flat()
    labels = tf.gather(targets.labels, targets.object_of, batch_dims=1)
    overlap = None
    if classification.needs_iou:
        overlap = _overlap(boxes, targets, box_format)
    class_losses = classification.loss(logits, labels, overlap, settings)
    weights = None
    if classification.weight is not None:
        weights = classification.weight(labels, logits, settings)

    pairs = targets.pairs
    # Without an index the pairs are those of all objects, in their order.
    objects = targets.boxes[:, :-1] if pairs.true_index is None else targets.boxes
    true = take(objects, pairs.true_index, pairs.matched)
    pred = take(boxes, pairs.pred_index, pairs.matched)
    coordinates = zip(center_and_size(true, box_format), center_and_size(pred, box_format), strict=True)
    distances = tf.add_n([tf.abs(one - other) for one, other in coordinates])
    ious = IOU_OF[iou](edges(true, box_format), edges(pred, box_format))

    def by_layer(values: Any) -> Any:
        # The sets of a layer, its groups, are adjacent.
        return summed(tf.reshape(values, [batch, layers, predictions.layers // layers]), axis=2)

    return Sums(
        by_layer(summed(class_losses, axis=1)),
        None if weights is None else by_layer(summed(weights, axis=1)),
        by_layer(sum_where(pairs.matched, distances)),
        by_layer(sum_where(pairs.matched, 1 - ious)),
    )


def _overlap(boxes: Any, targets: Targets, box_format: str) -> Any:
    """IoU of each prediction with its object, ``[R, m]``; a finite number where there is none."""
    true = tf.gather(targets.boxes, targets.object_of, batch_dims=1)
    return iou_of(edges(true, box_format), edges(boxes, box_format))


def _for_each_set(truth: Truth, sets: int, num_classes: int) -> tuple[Any, Any]:
    """Boxes and labels as in :class:`Targets`."""
    boxes = tf.pad(truth.boxes, [[0, 0], [0, 1], [0, 0]])
    # tf.pad has no kernel for int64 on a GPU.
    labels = tf.minimum(truth.labels, num_classes)
    labels = tf.concat([labels, tf.fill([tf.shape(labels)[0], 1], tf.constant(num_classes, tf.int64))], axis=1)
    return merged(_repeated(boxes, sets)), merged(_repeated(labels, sets))


def _none(truth: Truth) -> Any:
    """n, the place behind all objects, which stands for none of them."""
    return tf.shape(truth.labels, out_type=tf.int64)[1]


def _repeated(tensor: Any, times: int) -> Any:
    """``[B, ...]`` -> ``[B, times, ...]``."""
    return tf.repeat(tensor[:, tf.newaxis], times, axis=1)
