"""What a pair of a true and a predicted object costs, by class, box or mask."""

from typing import Any

import tensorflow as tf

from hungarian_loss._types import Tensor, TensorLike
from hungarian_loss.detection._boxes import IOU_OF, Boxes, center_and_size, checked_iou, edges
from hungarian_loss.detection._real import as_real, of_one_type


def softmax_class_cost(labels: TensorLike, logits: TensorLike) -> Tensor:
    """Minus the probability that each prediction gives to the class of each true object (DETR, arXiv:2005.12872, eq.
    1).

    Args:
      labels: Whole numbers ``[..., n]``: classes of the true objects. The costs of a negative label are arbitrary. A
        label beyond the channels counts as the last channel.
      logits: ``[..., m, channels]``; a channel beyond the classes may mean "no object".

    Returns:
      ``[..., n, m]`` in [−1, 0], float64 if ``logits`` are, else float32.
    """
    return -_of_class(tf.nn.softmax(as_real(logits)), labels)


def focal_class_cost(labels: TensorLike, logits: TensorLike, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """The change of focal loss when a prediction is to show an object's class (Deformable DETR, arXiv:2010.04159).

    With p = sigmoid(logit): −α (1 − p)^γ log p + (1 − α) p^γ log(1 − p).

    Args:
      labels: Whole numbers ``[..., n]``: classes of the true objects. The costs of a negative label are arbitrary. A
        label beyond the channels counts as the last channel.
      logits: ``[..., m, classes]``.
      alpha: Weight of positives; negatives weigh 1 − α.
      gamma: Exponent that lowers the weight of easy examples.

    Returns:
      ``[..., n, m]``, float64 if ``logits`` are, else float32.
    """
    logits = as_real(logits)
    labels = tf.convert_to_tensor(labels)

    def cost(logits: Any) -> Any:
        return focal_loss(-logits, alpha, gamma) - focal_loss(logits, 1 - alpha, gamma)

    # Computed for each class or for each object, whichever are fewer.
    objects, classes = labels.shape[-1], logits.shape[-1]
    if objects is not None and classes is not None and objects > classes:
        return _of_class(cost(logits), labels)
    return cost(_of_class(logits, labels))


def l1_cost(true: TensorLike, pred: TensorLike, *, box_format: str = "center_xywh") -> Tensor:
    """Sum of the absolute differences in center x, center y, width and height (DETR, arXiv:2005.12872).

    Args:
      true: Boxes ``[..., n, 4]``.
      pred: Boxes ``[..., m, 4]``.
      box_format: How both are written, see :func:`box_iou`. In every format the distance is that of centers and sizes,
        in the boxes' unit.

    Returns:
      ``[..., n, m]``, of a type as in :func:`box_iou`.

    Raises:
      ValueError: as :func:`box_iou`.
    """
    pairs = zip(*(center_and_size(boxes, box_format) for boxes in of_one_type(true, pred)), strict=True)
    return tf.add_n([tf.abs(one[..., :, tf.newaxis] - other[..., tf.newaxis, :]) for one, other in pairs])


def giou_cost(true: TensorLike, pred: TensorLike, *, box_format: str = "center_xywh", iou: str = "giou") -> Tensor:
    """Minus the generalized IoU of every pair.

    Args:
      true: Boxes ``[..., n, 4]``.
      pred: Boxes ``[..., m, 4]``.
      box_format: How both are written, see :func:`box_iou`.
      iou: ``"giou"``, ``"diou"`` or ``"ciou"``.

    Returns:
      ``[..., n, m]`` in [−1, 1], for ``"ciou"`` in [−1, 2], of a type as in :func:`box_iou`.

    Raises:
      ValueError: as :func:`box_iou`, or an unknown ``iou``.
    """
    iou_of = IOU_OF[checked_iou(iou)]
    true, pred = of_one_type(true, pred)
    rows = Boxes(*(edge[..., :, tf.newaxis] for edge in edges(true, box_format)))
    cols = Boxes(*(edge[..., tf.newaxis, :] for edge in edges(pred, box_format)))
    return -iou_of(rows, cols)


def dice_cost(true: TensorLike, logits: TensorLike) -> Tensor:
    """One minus the dice coefficient of every pair of masks, (2 Σtp + 1) / (Σt + Σp + 1), p = sigmoid(logit)
    (MaskFormer, arXiv:2107.06278).

    Args:
      true: ``[..., n, points]``: 1 where the object is, else 0, at sampled points (Mask2Former, arXiv:2112.01527) or at
        all pixels, as one list: an image of H × W pixels has H·W points. Masks ``[B, n, H, W]`` are taken for lists of
        H masks of W points, which is an error only where n and m do not broadcast.
      logits: ``[..., m, points]`` of the predicted masks, at the same points.

    Returns:
      ``[..., n, m]`` in [0, 1), float64 if ``logits`` are, else float32.

    Raises:
      ValueError: shapes do not fit, where that is known while tracing.
      tf.errors.InvalidArgumentError: likewise, when run.
    """
    true, logits = _masks(true, logits)
    pred = tf.sigmoid(logits)
    shared = tf.matmul(true, pred, transpose_b=True)
    both = tf.reduce_sum(true, axis=-1)[..., :, tf.newaxis] + tf.reduce_sum(pred, axis=-1)[..., tf.newaxis, :]
    return 1 - (2 * shared + 1) / (both + 1)


def mask_cost(true: TensorLike, logits: TensorLike, *, alpha: float | None = None, gamma: float = 2.0) -> Tensor:
    """Mean cross entropy over the points, of every pair of masks (Mask2Former, arXiv:2112.01527).

    Args:
      true: ``[..., n, points]``: 1 where the object is, else 0, at sampled points or at all pixels, as in
        :func:`dice_cost`.
      logits: ``[..., m, points]`` of the predicted masks, at the same points.
      alpha: Where given, focal loss with this weight of positives takes the place of cross entropy (MaskFormer,
        arXiv:2107.06278, with 0.25).
      gamma: Exponent that lowers the weight of easy points in focal loss.

    Returns:
      ``[..., n, m]``, float64 if ``logits`` are, else float32; 0 where there is no point.

    Raises:
      ValueError: as :func:`dice_cost`.
      tf.errors.InvalidArgumentError: likewise.
    """
    true, logits = _masks(true, logits)
    if alpha is None:
        inside, outside = tf.nn.softplus(-logits), tf.nn.softplus(logits)
    else:
        inside, outside = focal_loss(-logits, alpha, gamma), focal_loss(logits, 1 - alpha, gamma)
    points = tf.cast(tf.maximum(tf.shape(logits)[-1], 1), logits.dtype)
    # Σ t·inside + (1 − t)·outside, for all pairs at once.
    outside_everywhere = tf.reduce_sum(outside, axis=-1)[..., tf.newaxis, :]
    return (tf.matmul(true, inside - outside, transpose_b=True) + outside_everywhere) / points


def focal_loss(wrong: Any, weight: Any, gamma: float) -> Any:
    """``weight`` · σ(x)^γ · −log(1 − σ(x)), where x is the logit of what is ``wrong`` (Lin et al. 2017,
    arXiv:1708.02002)."""
    return weight * sigmoid_power(wrong, gamma) * tf.nn.softplus(wrong)


def sigmoid_power(logits: Any, exponent: float) -> Any:
    """``sigmoid(logits) ** exponent``, with a finite slope where the sigmoid is 0, whatever the exponent."""
    # The usual exponent is 2, and a square is cheaper.
    return tf.square(tf.sigmoid(logits)) if exponent == 2 else tf.exp(-exponent * tf.nn.softplus(-logits))


def _masks(true: TensorLike, logits: TensorLike) -> tuple[Any, Any]:
    """Both in the type that costs are computed in."""
    logits = as_real(logits)
    true = tf.cast(true, logits.dtype)
    if None in (true.shape.rank, logits.shape.rank):
        return true, logits
    fits = min(true.shape.rank, logits.shape.rank) >= 2 and true.shape[-1:].is_compatible_with(logits.shape[-1:])
    try:
        tf.broadcast_static_shape(true.shape[:-2], logits.shape[:-2])
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"true must be [..., n, points] and logits [..., m, points], got {true.shape} and {logits.shape}; "
            "the pixels of an image are one list, tf.reshape(masks, [B, n, H * W])"
        )
    return true, logits


def _of_class(values: Any, labels: TensorLike) -> Any:
    """The ``values`` ``[..., m, channels]`` at the channels ``labels`` ``[..., n]``: ``[..., n, m]``."""
    values, labels = tf.convert_to_tensor(values), tf.convert_to_tensor(labels)
    # On a GPU TensorFlow would copy int32 to the host to clip it.
    labels = tf.clip_by_value(tf.cast(labels, tf.int64), 0, tf.shape(values, out_type=tf.int64)[-1] - 1)
    lead = None
    if not values.shape[:-2].is_fully_defined() or values.shape[:-2] != labels.shape[:-1]:
        lead = tf.broadcast_dynamic_shape(tf.shape(values)[:-2], tf.shape(labels)[:-1])
        values = tf.broadcast_to(values, tf.concat([lead, tf.shape(values)[-2:]], axis=0))
        labels = tf.broadcast_to(labels, tf.concat([lead, tf.shape(labels)[-1:]], axis=0))
    # Not a product with ones and zeros, which a GPU may round.
    if labels.shape.rank is not None:
        return tf.linalg.matrix_transpose(tf.gather(values, labels, axis=-1, batch_dims=labels.shape.rank - 1))
    # Where the number of leading dimensions is unknown, they become one for the gather.
    problems, rows, cols = tf.reduce_prod(lead), tf.shape(labels)[-1], tf.shape(values)[-2]
    values = tf.reshape(values, [problems, cols, tf.shape(values)[-1]])
    found = tf.linalg.matrix_transpose(tf.gather(values, tf.reshape(labels, [problems, rows]), axis=-1, batch_dims=1))
    return tf.reshape(found, tf.concat([lead, [rows, cols]], axis=0))
