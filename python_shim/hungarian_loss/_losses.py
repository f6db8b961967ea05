"""Losses over sets: ``hungarian_loss`` and ``HungarianLoss``."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from hungarian_loss._assignment import Assignment, linear_assignment
from hungarian_loss._distance import compute_euclidean_distance, distance
from hungarian_loss._matching import MatchedPairs, matched_pairs, mean_over_pairs, show_status, take

Function = Callable[[Any, Any], Any]
Size = int | tuple[int, int]

_NORMALIZATIONS = ("pairs", "elements")


@keras.saving.register_keras_serializable(package="hungarian_loss")
def hungarian_loss(y_true: Any, y_pred: Any, *, normalization: str = "pairs") -> Any:
    """Mean distance between matched objects: a drop-in like ``keras.losses.mse``, one value per sample.

    Objects are matched so that the sum of their Euclidean distances is least. No gradient flows into the choice of the
    matching, which is constant between the points where it changes.

    Args:
      y_true: ``[batch, n, features]``.
      y_pred: ``[batch, m, features]``; n and m may differ, and only matched pairs count. Half-precision inputs are
        computed in float32.
      normalization: ``"pairs"``: the mean over the min(n, m) matched pairs. ``"elements"``: their sum divided by n·m,
        the scale of the package published up to version 1.0.3.

    Returns:
      ``[batch]``, in the units of the features. 0 for a sample with no pair; NaN for one with a NaN in it, +inf for one
      that cannot be matched, both with zero gradient.

    Raises:
      ValueError: an unknown normalization, or inputs that are not of rank 3 with equal features.
    """
    if normalization not in _NORMALIZATIONS:
        raise ValueError(f"normalization must be one of {_NORMALIZATIONS}, got {normalization!r}")
    y_true, y_pred = _as_objects(y_true, y_pred)
    _expect_equal_features(y_true, y_pred)
    assignment = _assign(compute_euclidean_distance, y_true, y_pred)
    pairs = matched_pairs(assignment, y_pred.dtype)
    distances = distance(
        take(y_true, pairs.true_index, pairs.matched),
        take(y_pred, pairs.pred_index, pairs.matched),
    )
    divisor = None
    if normalization == "elements":
        divisor = tf.cast(tf.shape(y_true)[1] * tf.shape(y_pred)[1], distances.dtype)
    return show_status(mean_over_pairs(distances, pairs, divisor), assignment)


@keras.saving.register_keras_serializable(package="hungarian_loss")
class HungarianLoss(keras.losses.Loss):  # type: ignore[misc]
    """Matches objects by one slice of their features, then applies a loss to each slice of the matched pairs.

    Example: four box coordinates and ten class probabilities, matched by the boxes::

        HungarianLoss(
            slices=[4, 10],
            slice_losses_fn=[tf.keras.losses.mse, tf.keras.losses.categorical_crossentropy],
            slice_weights=[1.0, 2.0],
        )

    The loss of a sample is Σ weight · (mean of the slice's loss over the matched pairs) / number of slices.

    ``call`` takes y_true ``[batch, n, features]`` and y_pred ``[batch, m, features]`` and returns ``[batch]``; n and m may
    differ. Half-precision inputs are computed in float32. A sample with no pair has loss 0; one with a NaN cost NaN, one
    that cannot be matched +inf, both with zero gradient.

    Args:
      slice_sizes: How many features belong to each slice, in order; they must add up to all. A pair (true, pred) where the
        two differ, such as a sparse label and its logits.
      slice_index_to_compute_assignment: Which slice the cost function gets; None: all features.
      compute_cost_matrix_fn: Gets the slice of y_true ``[B, n, f]`` and of y_pred ``[B, m, f]`` and returns costs
        ``[B, n, m]``; +inf forbids a pair. Called once, on the whole batch.
      slice_losses_fn: One function for each slice: gets matched objects ``[B, p, f]`` of y_true and of y_pred,
        p = min(n, m), and returns ``[B, p]``. Default: mean squared error.
      slice_weights: One number for each slice. Default: 1.0.
      slices: The same as ``slice_sizes``, by the name that the documentation of version 1 used.
      reduction: As in every Keras loss; ``None`` for one value per sample.
      name: Name of the loss.
      dtype: Type to compute in; default: Keras's float type.

    Raises:
      TypeError: no sizes are given.
      ValueError: both ``slices`` and ``slice_sizes`` are given, a list is empty or of the wrong length, an index is out
        of range, a size is not positive. When called: inputs are not of rank 3, sizes do not add up, a function
        returns another shape than it should.
    """

    def __init__(
        self,
        slice_sizes: Sequence[Size] | None = None,
        slice_index_to_compute_assignment: int | None = 0,
        compute_cost_matrix_fn: Function = compute_euclidean_distance,
        slice_losses_fn: Sequence[Function] | None = None,
        slice_weights: Sequence[float] | None = None,
        *,
        slices: Sequence[Size] | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "hungarian_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if slices is not None and slice_sizes is not None:
            raise ValueError("got both slices and slice_sizes, expected one of them: they mean the same")
        sizes = slices if slices is not None else slice_sizes
        if sizes is None:
            raise TypeError("slice_sizes must be a list of sizes, got None")
        if len(sizes) == 0:
            raise ValueError("slice_sizes must hold at least one size, got an empty list")
        index = slice_index_to_compute_assignment
        if index is not None and not 0 <= index < len(sizes):
            raise ValueError(
                f"slice_index_to_compute_assignment must lie in [0, {len(sizes)}), the number of slices, "
                f"or be None; got {index}"
            )
        for argument, values in (("slice_losses_fn", slice_losses_fn), ("slice_weights", slice_weights)):
            if values is not None and len(values) != len(sizes):
                raise ValueError(f"{argument} must have one entry for each of {len(sizes)} slices, got {len(values)}")
        self.slice_sizes = [_true_and_pred_size(size) for size in sizes]
        self.slice_index_to_compute_assignment = index
        self.compute_cost_matrix_fn = compute_cost_matrix_fn
        self.slice_losses_fn = [keras.losses.mean_squared_error] * len(sizes)
        if slice_losses_fn is not None:
            self.slice_losses_fn = list(slice_losses_fn)
        self.slice_weights = [1.0] * len(sizes)
        if slice_weights is not None:
            self.slice_weights = [float(weight) for weight in slice_weights]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each sample: ``[batch, n, features]``, ``[batch, m, features]`` -> ``[batch]``."""
        y_true, y_pred = _as_objects(y_true, y_pred)
        true_slices = _split(y_true, "y_true", [size for size, _ in self.slice_sizes])
        pred_slices = _split(y_pred, "y_pred", [size for _, size in self.slice_sizes])
        index = self.slice_index_to_compute_assignment
        assignment = _assign(
            self.compute_cost_matrix_fn,
            y_true if index is None else true_slices[index],
            y_pred if index is None else pred_slices[index],
        )
        pairs = matched_pairs(assignment, y_pred.dtype)
        loss = tf.zeros_like(pairs.count)
        for function, weight, true, pred in zip(
            self.slice_losses_fn, self.slice_weights, true_slices, pred_slices, strict=True
        ):
            loss += weight * mean_over_pairs(_slice_loss(function, true, pred, pairs), pairs)
        return show_status(loss / len(self.slice_sizes), assignment)

    def get_config(self) -> dict[str, Any]:
        """Everything that ``from_config`` needs; functions as Keras serializes them.

        Raises:
          ValueError: a function, such as a lambda, could not be found again on loading.
        """
        return {
            "slice_sizes": [list(size) for size in self.slice_sizes],
            "slice_index_to_compute_assignment": self.slice_index_to_compute_assignment,
            "compute_cost_matrix_fn": _serialize("compute_cost_matrix_fn", self.compute_cost_matrix_fn),
            "slice_losses_fn": [_serialize("slice_losses_fn", function) for function in self.slice_losses_fn],
            "slice_weights": list(self.slice_weights),
            "reduction": self.reduction,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HungarianLoss":
        """The inverse of :meth:`get_config`."""
        config = dict(config)
        config["slice_sizes"] = [tuple(size) for size in config["slice_sizes"]]
        config["compute_cost_matrix_fn"] = _deserialize(config["compute_cost_matrix_fn"])
        config["slice_losses_fn"] = [_deserialize(function) for function in config["slice_losses_fn"]]
        return cls(**config)


def _as_objects(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as tensors ``[batch, objects, features]`` of one type: float64 if y_pred is, else float32."""
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    dtype = tf.float64 if y_pred.dtype == tf.float64 else tf.float32
    for name, objects in (("y_true", y_true), ("y_pred", y_pred)):
        if objects.shape.rank not in (None, 3):
            raise ValueError(f"{name} must be [batch, objects, features], got shape {objects.shape}")
    return tf.cast(y_true, dtype), tf.cast(y_pred, dtype)


def _expect_equal_features(y_true: Any, y_pred: Any) -> None:
    if not y_true.shape[2:].is_compatible_with(y_pred.shape[2:]):
        raise ValueError(
            f"y_true and y_pred must have equally many features, got shapes {y_true.shape} and {y_pred.shape}"
        )


def _assign(cost_function: Function, true: Any, pred: Any) -> Assignment:
    """Matches true objects (rows) with predicted ones (columns). The choice has no gradient."""
    cost = tf.convert_to_tensor(cost_function(tf.stop_gradient(true), tf.stop_gradient(pred)))
    expected = tf.TensorShape([true.shape[0], true.shape[1], pred.shape[1]])
    _expect_shape("compute_cost_matrix_fn", "[B, n, m] for inputs [B, n, f] and [B, m, f]", cost, expected)
    return linear_assignment(cost)


def _slice_loss(function: Function, true: Any, pred: Any, pairs: MatchedPairs) -> Any:
    """``[B, n, f]`` and ``[B, m, f]`` -> the function's value at each pair, ``[B, p]``."""
    values = tf.convert_to_tensor(
        function(take(true, pairs.true_index, pairs.matched), take(pred, pairs.pred_index, pairs.matched))
    )
    _expect_shape("slice loss", "[B, p] for inputs [B, p, f]", values, pairs.matched.shape)
    return tf.cast(values, pairs.count.dtype)


def _expect_shape(what: str, contract: str, got: Any, expected: Any) -> None:
    if not got.shape.is_compatible_with(expected):
        raise ValueError(
            f"{what} must return {contract}, here {expected}; got {got.shape}. It is called once on the whole batch: "
            "wrap a function of one sample in tf.vectorized_map"
        )


def _split(objects: Any, name: str, sizes: list[int]) -> list[Any]:
    features = objects.shape[-1] if objects.shape.rank is not None else None
    if features is not None and features != sum(sizes):
        raise ValueError(f"slice sizes {sizes} add up to {sum(sizes)}, but {name} has {features} features")
    return tf.split(objects, sizes, axis=-1)  # type: ignore[no-any-return]


def _true_and_pred_size(size: Size) -> tuple[int, int]:
    true, pred = (size, size) if isinstance(size, int) else size
    if true < 1 or pred < 1:
        raise ValueError(f"a slice size must be 1 or more, got {size}")
    return int(true), int(pred)


def _serialize(argument: str, function: Function) -> Any:
    config = keras.saving.serialize_keras_object(function)
    try:
        found = _deserialize(config)
    except Exception:  # Keras raises several kinds.
        found = None
    if found is not function:
        raise ValueError(
            f"{argument} {function!r} cannot be saved, since it could not be found again on loading; use a named "
            "function registered with @keras.saving.register_keras_serializable()"
        )
    return config


def _deserialize(config: Any) -> Any:
    return config if callable(config) else keras.saving.deserialize_keras_object(config)
