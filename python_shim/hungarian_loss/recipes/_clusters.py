"""How well clusters agree with classes, where it is not given which cluster stands for which class."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from hungarian_loss._assignment import Assignment, linear_assignment
from hungarian_loss._checks import require
from hungarian_loss._options import whole_number
from hungarian_loss._shapes import with_shape
from hungarian_loss._types import Tensor, TensorLike
from hungarian_loss._whole import as_whole, is_whole


@keras.saving.register_keras_serializable(package="hungarian_loss")
class ClusteringAccuracy(keras.metrics.Metric):  # type: ignore[misc]
    """Share of samples whose cluster stands for their class, under the best choice of what each cluster stands for.

    No cluster stands for two classes, and no class is shared by two clusters. The choice is made anew for all samples
    seen so far: what is kept from batch to batch is how many samples of each class were in each cluster.

    Example: an encoder with 10 outputs that was trained without labels::

        accuracy = ClusteringAccuracy(10)
        accuracy.update_state(labels, encoder.predict(images))
        print(accuracy.result())

    In ``compile(metrics=[ClusteringAccuracy(10)])`` it works for a model whose loss takes the same labels as targets.

    Args:
      num_classes: How many classes there are.
      num_clusters: How many clusters there are; default: as many as classes. Where there are more clusters than
        classes, the samples of those that are left over count as wrong; likewise where there are more classes.
      name: Name of the metric.
      dtype: Type of the result; default: Keras's float type. Counts are kept in float64.

    Raises:
      ValueError: a number that is not a whole one of 1 or more; when called: shapes that do not belong together, or
        those of one-hot classes beside scores.
      tf.errors.InvalidArgumentError: when run, a class of ``num_classes`` or more, a class or a cluster that is no
        whole number. XLA drops these checks; there such a sample is wrong.

    Source: ACC in Xie et al. 2016 (DEC), arXiv:1511.06335; the choice by Kuhn 1955.
    """

    def __init__(
        self,
        num_classes: int,
        num_clusters: int | None = None,
        name: str = "clustering_accuracy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_classes = whole_number("num_classes", num_classes)
        self.num_clusters = self.num_classes if num_clusters is None else whole_number("num_clusters", num_clusters)
        # float32 stops counting at 2^24.
        self.confusion = self.add_variable(
            (self.num_classes, self.num_clusters), "zeros", dtype="float64", name="confusion"
        )
        self.seen = self.add_variable((), "zeros", dtype="float64", name="seen")

    def update_state(self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None) -> None:
        """Counts a batch.

        Args:
          y_true: The classes, whole numbers ``[...]`` or ``[..., 1]``, not one-hot. Samples of a negative class are
            left out.
          y_pred: The clusters, whole numbers of the same shape; or a score for each cluster, ``[..., num_clusters]``,
            of which the greatest counts. A number outside [0, num_clusters), such as −1 for noise, is no cluster: the
            sample is wrong, and so is one with a NaN among its scores. With ``num_clusters=1``, ``[..., 1]`` holds
            scores if it is of a float type.
          sample_weight: How much each sample counts: ``[...]``, or its leading dimensions, or a scalar. A mask that
            Keras attached to ``y_pred`` leaves samples out.
        """
        mask = getattr(y_pred, "_keras_mask", None)
        y_true, y_pred = self._labels(tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred))
        # A number that is not whole becomes one that is no class and no cluster.
        classes, clusters = _whole(y_true, self.num_classes), _whole(y_pred, -1)
        counted = classes >= 0
        if mask is not None:
            counted &= _spread(tf.cast(mask, tf.bool), classes, "the mask of y_pred")
        sentence = f"y_true must be less than num_classes={self.num_classes}, got"
        are_known = tf.reduce_all((classes < self.num_classes) | ~counted)
        checks = [
            *_require_whole("y_true", y_true, counted),
            *_require_whole("y_pred", y_pred, counted),
            *require(are_known, lambda: [sentence, tf.reduce_max(classes)]),
        ]
        with tf.control_dependencies(checks):
            weight = tf.cast(counted, tf.float64)
        if sample_weight is not None:
            given = tf.cast(tf.convert_to_tensor(sample_weight, dtype_hint=tf.float64), tf.float64)
            weight = tf.where(counted, _spread(given, classes, "sample_weight"), tf.zeros_like(weight))
        in_cluster = counted & (classes < self.num_classes) & (clusters >= 0) & (clusters < self.num_clusters)
        # Samples in no cluster are counted in a cell of their own, behind all others.
        cells = self.num_classes * self.num_clusters
        cell = tf.where(in_cluster, classes * self.num_clusters + clusters, tf.constant(cells, tf.int64))
        counts = tf.math.unsorted_segment_sum(tf.reshape(weight, [-1]), tf.reshape(cell, [-1]), cells + 1)
        self.confusion.assign_add(tf.reshape(counts[:-1], [self.num_classes, self.num_clusters]))
        self.seen.assign_add(tf.reduce_sum(weight))

    def result(self) -> Tensor:
        """A scalar in [0, 1]; 0 where nothing has been counted."""
        return tf.cast(tf.math.divide_no_nan(self._best().total_cost, tf.convert_to_tensor(self.seen)), self.dtype)

    def cluster_to_class(self) -> Tensor:
        """int32 ``[num_clusters]``: the class that each cluster stands for, −1 = none."""
        return self._best().col_to_row

    def merge_state(self, metrics: Sequence["ClusteringAccuracy"]) -> None:
        """Adds what other such metrics have counted, for example on other shards of the data.

        Raises:
          ValueError: one of them counts other numbers of classes or clusters.
        """
        for metric in metrics:
            if metric.confusion.shape != self.confusion.shape:
                raise ValueError(
                    f"expected metrics of {self.num_classes} classes and {self.num_clusters} clusters, "
                    f"got {metric.num_classes} and {metric.num_clusters}"
                )
        for metric in metrics:
            self.confusion.assign_add(tf.convert_to_tensor(metric.confusion))
            self.seen.assign_add(tf.convert_to_tensor(metric.seen))

    def get_config(self) -> dict[str, Any]:
        """Everything that ``from_config`` needs."""
        return {**super().get_config(), "num_classes": self.num_classes, "num_clusters": self.num_clusters}

    def _best(self) -> Assignment:
        return linear_assignment(tf.convert_to_tensor(self.confusion), maximize=True)

    def _labels(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Classes and clusters of one shape, of any type."""
        if y_true.shape.rank is None or y_pred.shape.rank is None:
            raise ValueError(f"the ranks of y_true and y_pred must be known, got {y_true.shape} and {y_pred.shape}")
        if y_pred.dtype.is_floating and y_true.shape.rank == y_pred.shape.rank > 1:
            sizes = self.num_classes, self.num_clusters
            if min(sizes) > 1 and (y_true.shape[-1], y_pred.shape[-1]) == sizes:
                raise ValueError(
                    f"y_true must be whole numbers, one for each sample, got shapes {y_true.shape} and {y_pred.shape}, as of one-hot "
                    "classes and scores; give tf.argmax(y_true, axis=-1), and clusters that are no scores as integers"
                )
        # Keras makes [batch, 1] of [batch].
        if y_true.shape.rank > 0 and y_true.shape[-1] == 1 and y_pred.shape.rank <= y_true.shape.rank:
            y_true = tf.squeeze(y_true, -1)
        if y_pred.shape.rank == y_true.shape.rank + 1:
            # With a single cluster [..., 1] may be a score; an integer is none.
            if y_pred.shape[-1] == 1 and not (self.num_clusters == 1 and y_pred.dtype.is_floating):
                y_pred = tf.squeeze(y_pred, -1)
            elif y_pred.shape[-1] in (None, self.num_clusters):
                scores = tf.ensure_shape(y_pred, [*y_pred.shape[:-1], self.num_clusters])
                y_pred = tf.argmax(scores, axis=-1)
                if scores.dtype.is_floating:
                    # A NaN is neither greater nor less than the other scores.
                    y_pred = tf.where(~tf.reduce_any(tf.math.is_nan(scores), axis=-1), y_pred, -1)
        sentence = f"y_pred must be clusters of the shape of y_true, or {self.num_clusters} scores for each sample"
        return y_true, with_shape(y_pred, [(y_true, axis) for axis in range(y_true.shape.rank)], sentence)


def _whole(values: Any, otherwise: int) -> Any:
    """As int64. Floats are clipped at 2^53 in magnitude, which is beyond all classes and clusters."""
    return as_whole(values, -(2.0**53), 2.0**53, otherwise)


def _require_whole(name: str, values: Any, counted: Any) -> list[Any]:
    """Raises where a sample that counts has a number that is not whole. Returns what to wait for."""
    if not values.dtype.is_floating:
        return []
    known = tf.reduce_all(is_whole(values) | ~counted)
    return require(known, lambda: [f"{name} must be whole numbers, got", values])


def _spread(values: Any, classes: Any, name: str) -> Any:
    """``values``, with leading dimensions of ``classes`` or with one more of size 1, broadcast to the shape of
    ``classes``."""
    if values.shape.rank == classes.shape.rank + 1 and values.shape[-1] == 1:
        values = tf.squeeze(values, -1)
    if values.shape.rank is None or values.shape.rank > classes.shape.rank:
        raise ValueError(
            f"{name} must have at most the dimensions of the labels, got shapes {values.shape} and {classes.shape}"
        )
    for _ in range(classes.shape.rank - values.shape.rank if values.shape.rank > 0 else 0):
        values = values[..., tf.newaxis]
    return tf.broadcast_to(values, tf.shape(classes))
