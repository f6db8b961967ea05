"""Class losses of predictions: three kinds, each with one value for each prediction."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from hungarian_loss._shapes import summed
from hungarian_loss.detection._costs import focal_class_cost, focal_loss, sigmoid_power, softmax_class_cost


class Settings(NamedTuple):
    """Numbers of the classification losses, as in :class:`DetrLoss`."""

    no_object_weight: float
    focal_alpha: float
    focal_gamma: float


class Classification(NamedTuple):
    """A kind of class loss, and the cost of classes in the matching.

    Attributes:
      has_no_object: Whether a channel beyond the classes means "no object".
      needs_iou: Whether ``loss`` uses the IoU of the boxes.
      cost: From labels ``[..., n]`` and logits ``[..., m, channels]`` the cost ``[..., n, m]``.
      loss: From logits ``[..., m, channels]``, labels ``[..., m]``, where the number of classes means "no object", and
        IoU ``[..., m]`` the loss of each prediction, ``[..., m]``.
      weight: From labels and logits the weight of each prediction in the mean, ``[..., m]``; None where the sum is
        divided by the number of objects instead.
    """

    has_no_object: bool
    needs_iou: bool
    cost: Callable[[Any, Any, Settings], Any]
    loss: Callable[[Any, Any, Any, Settings], Any]
    weight: Callable[[Any, Any, Settings], Any] | None


def _softmax_cost(labels: Any, logits: Any, settings: Settings) -> Any:
    return softmax_class_cost(labels, logits)


def _softmax_loss(logits: Any, labels: Any, iou: Any, settings: Settings) -> Any:
    """Weighted cross entropy (Carion et al. 2020, arXiv:2005.12872)."""
    # Flattened: for other ranks TensorFlow first asserts that the shapes fit, and on a GPU the host waits for that.
    flat_labels, flat_logits = tf.reshape(labels, [-1]), tf.reshape(logits, [-1, logits.shape[-1]])
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=flat_labels, logits=flat_logits)
    return tf.reshape(entropy, tf.shape(labels)) * _softmax_weight(labels, logits, settings)


def _softmax_weight(labels: Any, logits: Any, settings: Settings) -> Any:
    no_object = logits.shape[-1] - 1
    return tf.where(labels < no_object, tf.ones([], logits.dtype), tf.constant(settings.no_object_weight, logits.dtype))


def _focal_cost(labels: Any, logits: Any, settings: Settings) -> Any:
    return focal_class_cost(labels, logits, alpha=settings.focal_alpha, gamma=settings.focal_gamma)


def _focal_loss(logits: Any, labels: Any, iou: Any, settings: Settings) -> Any:
    """Focal loss (Lin et al. 2017, arXiv:1708.02002), summed over the classes, as in Deformable DETR."""
    is_class = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
    # For the true class, σ(−x) is the probability that the prediction lacks.
    wrong = tf.where(is_class, -logits, logits)
    alpha = tf.constant(settings.focal_alpha, logits.dtype)
    weight = tf.where(is_class, alpha, 1 - alpha)
    return summed(focal_loss(wrong, weight, settings.focal_gamma), axis=-1)


def _varifocal_loss(logits: Any, labels: Any, iou: Any, settings: Settings) -> Any:
    """Varifocal loss (Zhang et al. 2021, arXiv:2008.13367), summed over the classes, as in RT-DETR (arXiv:2304.08069).

    The target of the true class is the IoU, which also is its weight; others weigh (1 − α) p^γ. Neither target nor
    weights have a gradient.
    """
    is_class = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
    target = tf.where(is_class, tf.stop_gradient(iou)[..., tf.newaxis], tf.zeros([], logits.dtype))
    easy = (1 - settings.focal_alpha) * sigmoid_power(tf.stop_gradient(logits), settings.focal_gamma)
    weight = tf.where(is_class, target, easy)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits)
    return summed(weight * entropy, axis=-1)


# By the names that DetrLoss takes.
CLASSIFICATIONS = {
    "softmax": Classification(True, False, _softmax_cost, _softmax_loss, _softmax_weight),
    "focal": Classification(False, False, _focal_cost, _focal_loss, None),
    "varifocal": Classification(False, True, _focal_cost, _varifocal_loss, None),
}
