"""Losses over sets: ``hungarian_loss`` and ``HungarianLoss``."""

import numbers
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from hungarian_loss._assignment import linear_assignment
from hungarian_loss._distance import compute_euclidean_distance, distance, undifferentiated_distances
from hungarian_loss._matching import (
    Matching,
    matched_pairs,
    show_status,
    stop_gradient_outside,
    sum_where,
    take,
    unmatched_predictions,
)

Function = Callable[..., Any]
MaskFunction = Callable[[Any], Any]
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
      ValueError: an unknown normalization, a Keras mask on y_pred (:class:`HungarianLoss` takes it), or inputs that are not of rank 3 with equal features.
    """
    if normalization not in _NORMALIZATIONS:
        raise ValueError(f"normalization must be one of {_NORMALIZATIONS}, got {normalization!r}")
    if getattr(y_pred, "_keras_mask", None) is not None:
        # Keras multiplies that mask of objects into the losses of samples, and a function cannot keep it from it.
        raise ValueError("y_pred carries a Keras mask, which hungarian_loss cannot honour; use HungarianLoss")
    y_true, y_pred = _as_objects(y_true, y_pred)
    y_pred = _with_equal_axis(y_true, y_pred, 2, "features")
    assignment = _match(compute_euclidean_distance, y_true, y_pred).assignment
    pairs = matched_pairs(assignment, y_pred.dtype)
    distances = distance(
        take(y_true, pairs.true_index, pairs.matched),
        take(y_pred, pairs.pred_index, pairs.matched),
    )
    divisor = pairs.count
    if normalization == "elements":
        divisor = tf.cast(tf.shape(y_true)[1] * tf.shape(y_pred)[1], distances.dtype)
    return show_status(tf.math.divide_no_nan(sum_where(pairs.matched, distances), divisor), assignment)


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
      true_mask_fn: Gets y_true ``[B, n, features]`` and returns bool ``[B, n]``: which objects are real. Default: all.
      pred_mask_fn: Likewise for y_pred, ``[B, m]``. A mask that Keras attached to y_pred holds as well; it is never
        multiplied into the loss.
      unmatched_losses_fn: What predictions without a partner cost, the "no object" case: for each slice a function or None.
        It gets the slice of all predictions ``[B, m, f]`` and returns ``[B, m]``; its values at existing unmatched
        predictions enter the slice's mean, which is then taken over pairs and unmatched predictions together.
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
        true_mask_fn: MaskFunction | None = None,
        pred_mask_fn: MaskFunction | None = None,
        unmatched_losses_fn: Sequence[Function | None] | None = None,
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
        for argument, values in (
            ("slice_losses_fn", slice_losses_fn),
            ("slice_weights", slice_weights),
            ("unmatched_losses_fn", unmatched_losses_fn),
        ):
            if values is not None and len(values) != len(sizes):
                raise ValueError(f"{argument} must have one entry for each of {len(sizes)} slices, got {len(values)}")
        self.slice_sizes = [_true_and_pred_size(size) for size in sizes]
        self.slice_index_to_compute_assignment = index
        self.compute_cost_matrix_fn = compute_cost_matrix_fn
        self.slice_losses_fn = [keras.losses.mean_squared_error] * len(sizes)
        if slice_losses_fn is not None:
            self.slice_losses_fn = list(slice_losses_fn)
        self.true_mask_fn = true_mask_fn
        self.pred_mask_fn = pred_mask_fn
        self.unmatched_losses_fn: list[Function | None] = [None] * len(sizes)
        if unmatched_losses_fn is not None:
            self.unmatched_losses_fn = list(unmatched_losses_fn)
        self.slice_weights = [1.0] * len(sizes)
        if slice_weights is not None:
            self.slice_weights = [float(weight) for weight in slice_weights]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Loss reduced over the batch, like every Keras loss; ``sample_weight`` is ``[batch]`` or ``[batch, 1]``."""
        keras_mask = getattr(y_pred, "_keras_mask", None)
        if keras_mask is not None:
            # Keras would multiply this mask of objects into the losses of samples. It never sees it here.
            y_pred = _MaskedObjects(tf.identity(y_pred), tf.convert_to_tensor(keras_mask))
        return super().__call__(y_true, y_pred, sample_weight)

    def match(self, y_true: Any, y_pred: Any) -> Matching:
        """What ``call`` matches by: the costs ``[batch, n, m]``, who exists, and the assignment."""
        keras_mask = None
        if isinstance(y_pred, _MaskedObjects):
            y_pred, keras_mask = y_pred
        y_true, y_pred = _as_objects(y_true, y_pred)
        row_mask = _mask("true_mask_fn", self.true_mask_fn, y_true)
        col_mask = _mask("pred_mask_fn", self.pred_mask_fn, y_pred)
        if keras_mask is not None:
            keras_mask = tf.cast(keras_mask, tf.bool)
            col_mask = keras_mask if col_mask is None else col_mask & keras_mask
        index = self.slice_index_to_compute_assignment
        true, pred = y_true, y_pred
        true_slices, pred_slices = self._slices(y_true, y_pred)
        if index is not None:
            true, pred = true_slices[index], pred_slices[index]
        return _match(self.compute_cost_matrix_fn, true, pred, row_mask, col_mask)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each sample: ``[batch, n, features]``, ``[batch, m, features]`` -> ``[batch]``."""
        matching = self.match(y_true, y_pred)
        assignment = matching.assignment
        if isinstance(y_pred, _MaskedObjects):
            y_pred = y_pred.objects
        y_true, y_pred = _as_objects(y_true, y_pred)
        true_slices, pred_slices = self._slices(y_true, y_pred)
        pairs = matched_pairs(assignment, y_pred.dtype)
        alone = unmatched_predictions(assignment, matching.pred_mask)
        loss = tf.zeros_like(pairs.count)
        for function, unmatched_function, weight, true, pred in zip(
            self.slice_losses_fn,
            self.unmatched_losses_fn,
            self.slice_weights,
            true_slices,
            pred_slices,
            strict=True,
        ):
            matched_true = take(true, pairs.true_index, pairs.matched)
            matched_pred = take(pred, pairs.pred_index, pairs.matched)
            values = _per_object("slice loss", function, pairs.matched, matched_true, matched_pred)
            total, count = sum_where(pairs.matched, values), pairs.count
            if unmatched_function is not None:
                alone_pred = stop_gradient_outside(pred, alone)
                total += sum_where(alone, _per_object("unmatched loss", unmatched_function, alone, alone_pred))
                count += tf.reduce_sum(tf.cast(alone, count.dtype), axis=1)
            loss += weight * tf.math.divide_no_nan(total, count)
        return show_status(loss / len(self.slice_sizes), assignment)

    def _slices(self, y_true: Any, y_pred: Any) -> tuple[list[Any], list[Any]]:
        true_slices = _split(y_true, "y_true", [size for size, _ in self.slice_sizes])
        return true_slices, _split(y_pred, "y_pred", [size for _, size in self.slice_sizes])

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
            "unmatched_losses_fn": [_serialize("unmatched_losses_fn", f) for f in self.unmatched_losses_fn],
            "slice_weights": list(self.slice_weights),
            "true_mask_fn": _serialize("true_mask_fn", self.true_mask_fn),
            "pred_mask_fn": _serialize("pred_mask_fn", self.pred_mask_fn),
            "reduction": self.reduction,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HungarianLoss":
        """The inverse of :meth:`get_config`."""
        config = dict(config)
        config["slice_sizes"] = [tuple(size) for size in config["slice_sizes"]]
        for argument in ("compute_cost_matrix_fn", "true_mask_fn", "pred_mask_fn"):
            config[argument] = _deserialize(config[argument])
        for argument in ("slice_losses_fn", "unmatched_losses_fn"):
            config[argument] = [_deserialize(function) for function in config[argument]]
        return cls(**config)


class _MaskedObjects(NamedTuple):
    """Predictions and the mask that Keras had attached to them, on their way from ``__call__`` to ``call``."""

    objects: Any
    mask: Any


def _as_objects(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as tensors ``[batch, objects, features]`` of one type: float64 if y_pred is, else float32."""
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    dtype = tf.float64 if y_pred.dtype == tf.float64 else tf.float32
    for name, objects in (("y_true", y_true), ("y_pred", y_pred)):
        if objects.shape.rank not in (None, 3):
            raise ValueError(f"{name} must be [batch, objects, features], got shape {objects.shape}")
    rank = [None, None, None]
    y_true, y_pred = tf.ensure_shape(y_true, rank), tf.ensure_shape(y_pred, rank)
    y_true, y_pred = tf.cast(y_true, dtype), tf.cast(y_pred, dtype)
    return y_true, _with_equal_axis(y_true, y_pred, 0, "samples")


def _with_equal_axis(y_true: Any, y_pred: Any, axis: int, what: str) -> Any:
    """``y_pred``, certain to be as long as ``y_true`` along ``axis``; broadcasting would hide a mistake."""
    true_size, pred_size = y_true.shape[axis], y_pred.shape[axis]
    if true_size is not None and pred_size is not None:
        if true_size != pred_size:
            raise ValueError(
                f"y_true and y_pred must have equally many {what}, got shapes {y_true.shape} and {y_pred.shape}"
            )
        return y_pred
    # An assertion would vanish under XLA; a reshape to what the other has fails wherever it runs.
    shape = tf.unstack(tf.shape(y_pred), num=3)
    shape[axis] = tf.shape(y_true)[axis]
    return tf.reshape(y_pred, shape)


def _mask(argument: str, function: MaskFunction | None, objects: Any) -> Any:
    if function is None:
        return None
    mask = tf.convert_to_tensor(function(objects))
    _expect_shape(argument, "[B, n] for inputs [B, n, f]", mask, objects.shape[:2])
    if mask.dtype != tf.bool:
        raise ValueError(f"{argument} must return bool, got {mask.dtype.name}")
    return mask


def _match(cost_function: Function, true: Any, pred: Any, true_mask: Any = None, pred_mask: Any = None) -> Matching:
    """Matches true objects (rows) with predicted ones (columns). The choice has no gradient."""
    if cost_function is compute_euclidean_distance:
        cost_function = undifferentiated_distances
    cost = tf.convert_to_tensor(cost_function(tf.stop_gradient(true), tf.stop_gradient(pred)))
    expected = tf.TensorShape([true.shape[0], true.shape[1], pred.shape[1]])
    _expect_shape("compute_cost_matrix_fn", "[B, n, m] for inputs [B, n, f] and [B, m, f]", cost, expected)
    assignment = linear_assignment(cost, row_mask=true_mask, col_mask=pred_mask)
    return Matching(cost, true_mask, pred_mask, assignment)


def _per_object(what: str, function: Callable[..., Any], places: Any, *objects: Any) -> Any:
    """The function's value at each place ``[B, p]`` of objects ``[B, p, f]``."""
    values = tf.convert_to_tensor(function(*objects))
    _expect_shape(what, "[B, p] for inputs [B, p, f]", values, places.shape)
    return tf.cast(values, objects[0].dtype)


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
    # Splitting into one piece would check nothing.
    objects = tf.ensure_shape(objects, [None, None, sum(sizes)])
    return tf.split(objects, sizes, axis=-1)  # type: ignore[no-any-return]


def _true_and_pred_size(size: Size) -> tuple[int, int]:
    true, pred = (size, size) if isinstance(size, numbers.Integral) else size  # type: ignore[misc]
    if true < 1 or pred < 1:
        raise ValueError(f"a slice size must be 1 or more, got {size}")
    return int(true), int(pred)


def _serialize(argument: str, function: Callable[..., Any] | None) -> Any:
    """Keras's form of a function, tried out: what cannot be loaded again is refused now rather than then."""
    if function is None:
        return None
    try:
        config = keras.saving.serialize_keras_object(function)
        _deserialize(config)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{argument} {function!r} cannot be saved, since it could not be found again on loading; use a named "
            "function registered with @keras.saving.register_keras_serializable()"
        ) from error
    return config


def _deserialize(config: Any) -> Any:
    return config if config is None or callable(config) else keras.saving.deserialize_keras_object(config)
