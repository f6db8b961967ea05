"""The two losses that the demo compares. They differ only in who is compared with whom."""

import tensorflow as tf

from canvases import BOX, CLASSES
from hungarian_loss import HungarianLoss, compute_euclidean_distance


def matched_loss() -> HungarianLoss:
    """Each true object against the prediction matched with it: the boxes as near to each other as can be."""
    return _loss(compute_euclidean_distance, "matched")


def position_by_position_loss() -> HungarianLoss:
    """The first true object against the first prediction, the second against the second, and so on."""
    return _loss(_cost_by_position, "position_by_position")


def _loss(cost_matrix, name: str) -> HungarianLoss:
    return HungarianLoss(
        slices=[BOX, CLASSES],
        slice_index_to_compute_assignment=0,
        compute_cost_matrix_fn=cost_matrix,
        slice_losses_fn=[tf.keras.losses.mse, tf.keras.losses.categorical_crossentropy],
        slice_weights=[1.0, 2.0],
        name=name,
    )


def _cost_by_position(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """0 where the positions in the list are equal and 1 elsewhere: [batch, n, n] for two [batch, n, features].

    The cheapest matching is then the given order, and all else about the loss stays as it is.
    """
    shape = tf.shape(y_true)
    return 1.0 - tf.eye(shape[1], y_pred.shape[1], batch_shape=[shape[0]], dtype=y_pred.dtype)
