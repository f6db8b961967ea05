"""Boxes: the formats they are written in, and how much two of them overlap."""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from hungarian_loss._options import one_of
from hungarian_loss._types import Tensor, TensorLike
from hungarian_loss.detection._real import as_real, of_one_type

# KerasHub's names. "rel_" before one changes nothing: an overlap is the same in pixels and in parts of the image.
_FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw")
BOX_FORMATS = (*_FORMATS, *(f"rel_{name}" for name in _FORMATS))


class Boxes(NamedTuple):
    """Boxes by their edges, each a tensor ``[...]``; no edge is beyond the opposite one."""

    left: Any
    top: Any
    right: Any
    bottom: Any

    @property
    def width(self) -> Any:
        return self.right - self.left

    @property
    def height(self) -> Any:
        return self.bottom - self.top

    @property
    def area(self) -> Any:
        """``[...]``."""
        return self.width * self.height

    @property
    def center(self) -> tuple[Any, Any]:
        """x and y, each ``[...]``."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def checked_format(box_format: str) -> str:
    """The format itself.

    Raises:
      ValueError: not one of ``BOX_FORMATS``.
    """
    return one_of("box_format", box_format, BOX_FORMATS)


def edges(boxes: TensorLike, box_format: str) -> Boxes:
    """Boxes ``[..., 4]`` by their edges, limited to a range where areas and gradients are finite.

    A box of negative size is empty: its right edge is its left one, its bottom edge its top one.

    Raises:
      ValueError: not four numbers a box, or an unknown format.
    """
    boxes = _four_numbers(boxes)
    # Limited so that the area of a hull is finite. An infinity stays one, and shows in the result.
    limit = boxes.dtype.max**0.4
    boxes = tf.where(tf.math.is_finite(boxes), tf.clip_by_value(boxes, -limit, limit), boxes)
    left, top, right, bottom = _edges(boxes, box_format)
    return Boxes(left, top, tf.maximum(right, left), tf.maximum(bottom, top))


def center_and_size(boxes: TensorLike, box_format: str) -> tuple[Any, Any, Any, Any]:
    """Center x, center y, width and height of boxes ``[..., 4]``, each ``[...]``: what DETR takes the L1 distance
    of."""
    boxes = _four_numbers(boxes)
    one, two, three, four = tf.unstack(boxes, num=4, axis=-1)
    order = checked_format(box_format).removeprefix("rel_")
    if order == "center_xywh":
        return one, two, three, four
    if order == "center_yxhw":
        return two, one, four, three
    if order == "xywh":
        return one + three / 2, two + four / 2, three, four
    left, top, right, bottom = _edges(boxes, box_format)
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def box_iou(a: TensorLike, b: TensorLike, *, box_format: str = "center_xywh") -> Tensor:
    """Intersection over union of two boxes.

    Args:
      a: ``[..., 4]``.
      b: ``[..., 4]``; the dimensions in front broadcast: ``a[..., :, None, :]`` and ``b[..., None, :, :]`` give every
        pair.
      box_format: How boxes are written: ``"xyxy"``, ``"yxyx"``, ``"xywh"``, ``"center_xywh"``, ``"center_yxhw"``, or
        one of these after ``"rel_"``. Both in the same unit.

    Returns:
      ``[...]`` in [0, 1]; 0 where the union is empty. Boxes of negative size are empty. Value and gradient are finite
      for all boxes of finite numbers. Float64 if a tensor among the boxes is, or, where none is a tensor, an array;
      else float32, also for half-precision and integers.

    Raises:
      ValueError: an unknown format, or not four numbers a box.
    """
    return iou_of(*_edges_of_both(a, b, box_format))


def generalized_iou(a: TensorLike, b: TensorLike, *, box_format: str = "center_xywh") -> Tensor:
    """Generalized intersection over union (Rezatofighi et al. 2019, arXiv:1902.09630).

    That is the IoU minus the share of the hull, the smallest box around both, that neither box covers.

    Args:
      a: ``[..., 4]``.
      b: ``[..., 4]``; broadcasts as in :func:`box_iou`.
      box_format: As in :func:`box_iou`.

    Returns:
      ``[...]`` in [−1, 1]: 1 for equal boxes, toward −1 for distant ones; otherwise as :func:`box_iou`.

    Raises:
      ValueError: as :func:`box_iou`.
    """
    return giou_of(*_edges_of_both(a, b, box_format))


def distance_iou(a: TensorLike, b: TensorLike, *, box_format: str = "center_xywh") -> Tensor:
    """Distance IoU (Zheng et al. 2020, arXiv:1911.08287): the IoU minus (distance of the centers / diagonal of the
    hull)².

    Args:
      a: ``[..., 4]``.
      b: ``[..., 4]``; broadcasts as in :func:`box_iou`.
      box_format: As in :func:`box_iou`.

    Returns:
      ``[...]`` in [−1, 1]; otherwise as :func:`box_iou`.

    Raises:
      ValueError: as :func:`box_iou`.
    """
    return diou_of(*_edges_of_both(a, b, box_format))


def complete_iou(a: TensorLike, b: TensorLike, *, box_format: str = "center_xywh") -> Tensor:
    """Complete IoU (Zheng et al. 2020, arXiv:1911.08287): the distance IoU minus a penalty for unequal proportions.

    The penalty is α·v with v = 4/π² (arctan(width/height) of a − that of b)² and α = v / (1 − IoU + v). As in the paper
    α has no gradient.

    Args:
      a: ``[..., 4]``.
      b: ``[..., 4]``; broadcasts as in :func:`box_iou`.
      box_format: As in :func:`box_iou`.

    Returns:
      ``[...]`` in [−2, 1]; otherwise as :func:`box_iou`.

    Raises:
      ValueError: as :func:`box_iou`.
    """
    return ciou_of(*_edges_of_both(a, b, box_format))


# The same for boxes by their edges.


def iou_of(a: Boxes, b: Boxes) -> Any:
    """Intersection over union ``[...]``."""
    intersection, union = _intersection_and_union(a, b)
    return tf.math.divide_no_nan(intersection, union)


def giou_of(a: Boxes, b: Boxes) -> Any:
    """Generalized IoU ``[...]``."""
    intersection, union = _intersection_and_union(a, b)
    hull = _hull(a, b).area
    return tf.math.divide_no_nan(intersection, union) - tf.math.divide_no_nan(hull - union, hull)


def diou_of(a: Boxes, b: Boxes) -> Any:
    """Distance IoU ``[...]``."""
    hull = _hull(a, b)
    diagonal = tf.square(hull.width) + tf.square(hull.height)
    apart = tf.add_n([tf.math.squared_difference(one, other) for one, other in zip(a.center, b.center, strict=True)])
    return iou_of(a, b) - tf.math.divide_no_nan(apart, diagonal)


def ciou_of(a: Boxes, b: Boxes) -> Any:
    """Complete IoU ``[...]``."""
    unlike = 4 / math.pi**2 * tf.math.squared_difference(_proportion(a), _proportion(b))
    weight = tf.stop_gradient(tf.math.divide_no_nan(unlike, 1 - iou_of(a, b) + unlike))
    return diou_of(a, b) - weight * unlike


# By the names that DetrLoss takes.
IOU_OF = {"giou": giou_of, "diou": diou_of, "ciou": ciou_of}


def checked_iou(iou: str) -> str:
    """The name itself.

    Raises:
      ValueError: not one of ``IOU_OF``.
    """
    return one_of("iou", iou, IOU_OF)


def _intersection_and_union(a: Boxes, b: Boxes) -> tuple[Any, Any]:
    width = tf.minimum(a.right, b.right) - tf.maximum(a.left, b.left)
    height = tf.minimum(a.bottom, b.bottom) - tf.maximum(a.top, b.top)
    intersection = tf.nn.relu(width) * tf.nn.relu(height)
    return intersection, a.area + b.area - intersection


def _hull(a: Boxes, b: Boxes) -> Boxes:
    """The smallest box around both."""
    return Boxes(
        tf.minimum(a.left, b.left),
        tf.minimum(a.top, b.top),
        tf.maximum(a.right, b.right),
        tf.maximum(a.bottom, b.bottom),
    )


def _proportion(boxes: Boxes) -> Any:
    """arctan(width/height), 0 for a point."""
    # Divided by the longer side: the gradient of atan2 divides by the sum of their squares, which could underflow.
    longer = tf.stop_gradient(tf.maximum(boxes.width, boxes.height))
    is_point = tf.equal(longer, 0)
    longer = tf.where(is_point, tf.ones_like(longer), longer)
    width, height = boxes.width / longer, boxes.height / longer
    return tf.atan2(width, tf.where(is_point, tf.ones_like(height), height))


def _edges(boxes: Any, box_format: str) -> tuple[Any, Any, Any, Any]:
    """Left, top, right and bottom, as they are."""
    one, two, three, four = tf.unstack(boxes, num=4, axis=-1)
    # No match statement: AutoGraph would warn of it.
    order = checked_format(box_format).removeprefix("rel_")
    if order == "xyxy":
        return one, two, three, four
    if order == "yxyx":
        return two, one, four, three
    if order == "xywh":
        return one, two, one + three, two + four
    if order == "center_xywh":
        return one - three / 2, two - four / 2, one + three / 2, two + four / 2
    return two - four / 2, one - three / 2, two + four / 2, one + three / 2


def _edges_of_both(a: TensorLike, b: TensorLike, box_format: str) -> list[Boxes]:
    return [edges(one, box_format) for one in of_one_type(a, b)]


def _four_numbers(boxes: TensorLike) -> Any:
    boxes = as_real(boxes)
    if boxes.shape.rank is not None and (boxes.shape.rank == 0 or boxes.shape[-1] not in (None, 4)):
        raise ValueError(f"boxes must be [..., 4], got shape {boxes.shape}")
    return boxes
