"""Exact matching for KerasHub's D-FINE::

    from hungarian_loss.adapters import keras_hub as exact

    exact.switch_on()          # before the first fit, evaluate or compile
    detector.fit(images, {"boxes": boxes, "labels": labels})

docs/hosts.md says file by file what this corrects in KerasHub 0.32, and what it cannot correct. In short: D-FINE's own
matcher pads with 1e9, in which float32 loses what is subtracted from it, so that it solves another problem. Its losses
use indices within an image to look up the targets of all images, so that images after the first learn the first one's
objects. The matching here is exact, and its indices count through the targets of all images.
"""

import contextlib
import importlib
import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from hungarian_loss import _keras
from hungarian_loss._assignment import linear_assignment
from hungarian_loss._types import Tensor, TensorLike
from hungarian_loss.detection import focal_class_cost, giou_cost, l1_cost, softmax_class_cost

_keras.require(__name__)

__all__ = ["exact_matching", "hungarian_matcher", "switch_off", "switch_on"]

_SUPPORTED = "0.32"


def switch_on() -> None:
    """Makes D-FINE match exactly, in one call of the op for all images of a batch. Calling it again changes nothing.

    Keras traces a step once: a model that has been fitted keeps its matcher until ``compile`` or
    ``make_train_function(force=True)`` is called.

    Raises:
      ImportError: KerasHub is not installed, or not version 0.32.
    """
    _d_fine("object_detector").hungarian_matcher = hungarian_matcher


def switch_off() -> None:
    """Gives D-FINE its own matcher back. Models traced in the meantime keep the exact one, as :func:`switch_on` says.

    Raises:
      ImportError: as :func:`switch_on`.
    """
    _d_fine("object_detector").hungarian_matcher = _d_fine("loss").hungarian_matcher


@contextlib.contextmanager
def exact_matching() -> Iterator[None]:
    """Exact matching for what is traced within ``with exact_matching():``; afterwards whichever matcher was there
    before.

    Raises:
      ImportError: as :func:`switch_on`.
    """
    detector = _d_fine("object_detector")
    before = detector.hungarian_matcher
    switch_on()
    try:
        yield
    finally:
        detector.hungarian_matcher = before


def hungarian_matcher(
    outputs: Mapping[str, TensorLike],
    targets: Sequence[Mapping[str, TensorLike]],
    num_targets_per_image: TensorLike,
    use_focal_loss: bool,
    matcher_alpha: float,
    matcher_gamma: float,
    matcher_bbox_cost: float,
    matcher_class_cost: float,
    matcher_ciou_cost: float,
    backbone: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Does what KerasHub's function of this name does, with its arguments and its costs; for a ``compute_loss`` of your
    own, too.

    Args:
      outputs: ``"logits"`` ``[B, queries, classes]`` and ``"pred_boxes"`` ``[B, queries, 4]``, center_xywh.
      targets: one dict, of all images' objects laid end to end: ``"labels"`` integers ``[objects]``, of which negative
        ones mark empty slots, as Keras pads; ``"boxes"`` ``[objects, 4]``.
      num_targets_per_image: integers ``[B]``, how many of the objects belong to each image. Under jit they must be
        known while compiling, as they are in D-FINE's own ``compute_loss``.
      use_focal_loss: whether the class cost is focal, of sigmoids, with ``matcher_alpha`` and ``matcher_gamma``; else
        it is the negative softmax.
      matcher_alpha: see ``use_focal_loss``.
      matcher_gamma: see ``use_focal_loss``.
      matcher_bbox_cost: weight of the L1 distance of boxes.
      matcher_class_cost: weight of the class cost.
      matcher_ciou_cost: weight of the negative complete IoU.
      backbone: not used.

    Returns:
      ``row_indices, col_indices, valid_masks``, int32, int32 and bool ``[B, n]``, n the most objects of an image: a
      place for each object, with the query it is matched with, its index into ``targets``, and whether it is matched at
      all. An image with a NaN among its costs has no matched pair.

    Source: Peng et al. 2024, arXiv:2410.13842 (D-FINE); Carion et al. 2020, arXiv:2005.12872 (the matching).
    """
    counts = tf.cast(num_targets_per_image, tf.int32)
    # The greatest of no counts at all would be the least int32.
    place = tf.range(tf.reduce_max(tf.concat([counts, [0]], axis=0)))
    exists = place < counts[:, tf.newaxis]
    target = tf.where(exists, tf.cumsum(counts, exclusive=True)[:, tf.newaxis] + place, 0)
    labels = tf.gather(tf.cast(targets[0]["labels"], tf.int32), target)
    true_boxes = tf.gather(tf.cast(targets[0]["boxes"], tf.float32), target)
    logits, boxes = tf.cast(outputs["logits"], tf.float32), tf.cast(outputs["pred_boxes"], tf.float32)

    if use_focal_loss:
        class_cost = focal_class_cost(labels, logits, alpha=matcher_alpha, gamma=matcher_gamma)
    else:
        class_cost = softmax_class_cost(labels, logits)
    cost = (
        matcher_bbox_cost * l1_cost(true_boxes, boxes)
        + matcher_class_cost * class_cost
        + matcher_ciou_cost * giou_cost(true_boxes, boxes, iou="ciou")
    )
    query = linear_assignment(cost, row_mask=exists & (labels >= 0)).row_to_col
    return tf.maximum(query, 0), target, query >= 0


def _d_fine(name: str) -> Any:
    """KerasHub's module ``d_fine_<name>``, imported here so that only what uses D-FINE needs KerasHub."""
    try:
        version = importlib.metadata.version("keras-hub")
    except importlib.metadata.PackageNotFoundError:
        version = None
    if version is None or version.split(".")[:2] != _SUPPORTED.split("."):
        raise ImportError(
            f"hungarian_loss.adapters.keras_hub is for KerasHub {_SUPPORTED}, got {version or 'none'}; "
            f"run `pip install keras-hub=={_SUPPORTED}.*`"
        )
    return importlib.import_module(f"keras_hub.src.models.d_fine.d_fine_{name}")
