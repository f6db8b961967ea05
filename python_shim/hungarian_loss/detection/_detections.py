"""From predictions to detections: boxes, labels and scores, the best first."""

from typing import Any, NamedTuple

import tensorflow as tf

from hungarian_loss._options import one_of, whole_number
from hungarian_loss._shapes import Dimension, sizes_of, with_shape
from hungarian_loss._types import Tensor, TensorLike
from hungarian_loss.detection._classification import CLASSIFICATIONS
from hungarian_loss.detection._real import as_real


class Detections(NamedTuple):
    """What was found, the best first.

    Attributes:
      boxes: ``[..., k, 4]``, written as the predicted ones are.
      labels: int64 ``[..., k]``, 0 to C − 1.
      scores: ``[..., k]``, probabilities, falling.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor


def top_detections(
    boxes: TensorLike, logits: TensorLike, k: int = 100, *, classification: str = "softmax"
) -> Detections:
    """The k best detections among the predictions of a model that was trained with :class:`DetrLoss`; what to do with low scores is left
    to you.

    Args:
      boxes: ``[..., m, 4]``, in any format.
      logits: ``[..., m, channels]``, as :class:`DetrLoss` takes them; half precision is computed in float32.
      k: How many; where there are fewer, all of them.
      classification: As in :class:`DetrLoss`. With ``"softmax"`` a prediction shows one class at most, the likeliest, and its score is that
        class's probability; ``"no object"`` is none. With ``"focal"`` and ``"varifocal"`` it may show several, each with a score of its own.

    Returns:
      :class:`Detections`. Of equal scores the earlier prediction goes first.

    Raises:
      ValueError: ``k`` is no whole number of 1 or more; an unknown classification; shapes do not fit.
      tf.errors.InvalidArgumentError: shapes do not fit, where it shows only when run.

    Source: the post-processing of DETR (Carion et al. 2020, arXiv:2005.12872), and of Deformable DETR (Zhu et al. 2021, arXiv:2010.04159).
    """
    k = whole_number("k", k)
    has_no_object = CLASSIFICATIONS[one_of("classification", classification, CLASSIFICATIONS)].has_no_object
    boxes, logits = tf.convert_to_tensor(boxes), as_real(logits)
    if boxes.shape.rank is None or boxes.shape.rank < 2:
        raise ValueError(f"boxes must be [..., m, 4], of a known rank, got shape {boxes.shape}")
    predictions: list[Dimension] = [(boxes, axis) for axis in range(boxes.shape.rank - 1)]
    boxes = with_shape(boxes, [*predictions, 4], "boxes must be [..., m, 4]")
    logits = with_shape(
        logits, [*predictions, (logits, len(predictions))], "logits must be [..., m, channels] for boxes [..., m, 4]"
    )
    *leading, number, channels = sizes_of(logits)
    if has_no_object:
        candidates = tf.nn.softmax(logits)[..., :-1]
        classes, likeliest = 1, tf.argmax(candidates, axis=-1)
        candidates = tf.reduce_max(candidates, axis=-1)
    else:
        classes, likeliest = channels, None
        candidates = tf.reshape(tf.sigmoid(logits), [*leading, number * channels])
    most = sizes_of(candidates)[-1]
    scores, place = tf.math.top_k(candidates, min(k, most) if isinstance(most, int) else tf.minimum(k, most))
    place = tf.cast(place, tf.int64)
    prediction = place // tf.cast(classes, tf.int64)
    labels = place % tf.cast(classes, tf.int64) if likeliest is None else _taken(likeliest, prediction)
    return Detections(_taken(boxes, prediction), labels, scores)


def _taken(values: Any, prediction: Any) -> Any:
    """``values`` ``[..., m, ...]`` at the places of predictions ``[..., k]``."""
    return tf.gather(values, prediction, batch_dims=prediction.shape.rank - 1)
