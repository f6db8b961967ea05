"""From predictions to detections: boxes, labels and scores, the best first."""

from typing import NamedTuple

import tensorflow as tf

from hungarian_loss._shapes import sizes_of
from hungarian_loss._types import Tensor
from hungarian_loss.detection._sets import Predictions


class Detections(NamedTuple):
    """What was found, the best first.

    Attributes:
      boxes: ``[B, k, 4]``, in the format of the predicted boxes.
      labels: int64 ``[B, k]``, 0 to C − 1.
      scores: ``[B, k]``, probabilities in falling order; NaN comes last.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor


def best_of(predictions: Predictions, k: int, has_no_object: bool) -> Detections:
    """The ``k`` best detections of one layer. With a channel for "no object" a prediction shows its likeliest class,
    else all its classes."""
    boxes, logits = predictions.boxes[:, 0], predictions.logits[:, 0]
    if has_no_object:
        probabilities = tf.nn.softmax(logits)[..., :-1]
        classes, label = 1, tf.argmax(probabilities, axis=-1)
        scores = tf.reduce_max(probabilities, axis=-1)
    else:
        classes, label = logits.shape[-1], None
        images, number, _ = sizes_of(logits)
        scores = tf.reshape(tf.sigmoid(logits), [images, number * classes])
    # With a NaN among the scores, tf.math.top_k does not sort them.
    ranked = tf.where(tf.math.is_nan(scores), -tf.ones([], scores.dtype), scores)
    most = scores.shape[1]
    place = tf.math.top_k(
        ranked, tf.minimum(min(k, tf.int32.max), tf.shape(scores)[1]) if most is None else min(k, most)
    ).indices
    place = tf.cast(place, tf.int64)
    prediction = place // classes
    return Detections(
        tf.gather(boxes, prediction, batch_dims=1),
        place % classes if label is None else tf.gather(label, prediction, batch_dims=1),
        tf.gather(scores, place, batch_dims=1),
    )
