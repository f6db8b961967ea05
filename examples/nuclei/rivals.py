"""Assignments other than the matching, and a DetrLoss that learns by them.

Each is a function of the truth and the predictions, as DetrLoss takes them, that gives [batch, queries]: the slot of the
nucleus that a prediction is to show, −1 for none.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from hungarian_loss.detection import DetrLoss
from model import cell_centers

MIDDLE = 0.25
"""How far from a nucleus's center its middle reaches, as a share of width and height."""

Assign = Callable[[Mapping[str, Any], Mapping[str, Any]], tf.Tensor]


class AssignedLoss(DetrLoss):
    """DetrLoss with another assignment in the place of its matching.

    In DetrLoss predictions whose object is given bypass the matcher, for the denoising queries of DN-DETR. Here all do.
    So terms, weights and divisors are those of DetrLoss itself.
    """

    def __init__(self, assign: Assign, **settings: Any) -> None:
        super().__init__(**settings)
        self._assign = assign

    def call(self, y_true: Mapping[str, Any], y_pred: Mapping[str, Any]) -> tf.Tensor:
        """Loss of each tile, [batch]."""
        return super().call(y_true, self._with_targets(y_true, y_pred))

    def with_components(
        self, y_true: Mapping[str, Any], y_pred: Mapping[str, Any], sample_weight: Any = None
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss and its terms, by the names that they have when matched."""
        loss, terms = super().with_components(y_true, self._with_targets(y_true, y_pred), sample_weight)
        return loss, {name: terms[f"denoising_{name}"] for name in ("class", "box", "giou")}

    def _with_targets(self, y_true: Mapping[str, Any], y_pred: Mapping[str, Any]) -> dict[str, Any]:
        none_to_match = {name: values[:, :0] for name, values in y_pred.items()}
        target = self._assign(y_true, tf.nest.map_structure(tf.stop_gradient, dict(y_pred)))
        return {**none_to_match, "denoising": {**y_pred, "target": target}}


def position_by_position(truth: Mapping[str, Any], predictions: Mapping[str, Any]) -> tf.Tensor:
    """The first nucleus to the first prediction, the second to the second."""
    batch, queries = tf.unstack(tf.shape(predictions["boxes"])[:2])
    slots = tf.shape(truth["labels"])[1]
    index = tf.range(queries)
    # DetrLoss takes a slot without a nucleus for no object.
    return tf.repeat(tf.where(index < slots, index, -1)[tf.newaxis], batch, axis=0)


def greedy(truth: Mapping[str, Any], predictions: Mapping[str, Any]) -> tf.Tensor:
    """By the costs of the matching: one nucleus after the other takes the cheapest prediction left."""
    costs = DetrLoss(num_classes=1).match(truth, predictions).cost
    queries = tf.shape(costs)[2]
    target = tf.fill(tf.shape(costs[:, 0]), -1)
    for slot in range(truth["labels"].shape[1]):
        left = tf.where(target < 0, costs[:, slot], float("inf"))
        taken = tf.one_hot(tf.argmin(left, axis=1), queries, on_value=True, off_value=False)
        target = tf.where(taken & (truth["labels"][:, slot, tf.newaxis] >= 0), slot, target)
    return target


def dense(truth: Mapping[str, Any], predictions: Mapping[str, Any]) -> tf.Tensor:
    """Every query in the middle of a nucleus takes it, and the nearest query always does, as in detectors with
    suppression."""
    centers, sizes = tf.split(truth["boxes"][:, :, tf.newaxis], 2, axis=-1)
    apart = centers - cell_centers()
    exists = truth["labels"][..., tf.newaxis] >= 0
    distances = tf.where(exists, tf.norm(apart, axis=-1), float("inf"))
    nearest = tf.one_hot(tf.argmin(distances, axis=-1), tf.shape(distances)[-1], on_value=True, off_value=False)
    in_the_middle = tf.reduce_all(tf.abs(apart) < MIDDLE * sizes, axis=-1)
    # Of several nuclei a query takes the nearest one.
    distances = tf.where(nearest | in_the_middle, distances, float("inf"))
    target = tf.argmin(distances, axis=1, output_type=tf.int32)
    return tf.where(tf.reduce_min(distances, axis=1) < float("inf"), target, -1)
