"""Losses over sets: ``hungarian_loss`` and ``HungarianLoss``."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from hungarian_loss._arguments import (
    as_scalar,
    checked_index,
    checked_limit,
    checked_sizes,
    checked_weight,
    is_of_keras,
    one_for_each,
    per_pair,
    plain_function,
    would_broadcast,
)
from hungarian_loss._assignment import linear_assignment
from hungarian_loss._distance import compute_euclidean_distance, distance, undifferentiated_distances
from hungarian_loss._functions import Caller, loaded, saved
from hungarian_loss._inputs import solved_in
from hungarian_loss._loss_types import (
    CostFunction,
    MaskFunction,
    Objects,
    Size,
    SliceLoss,
    UnmatchedLoss,
    Weight,
)
from hungarian_loss._matching import (
    GradientGate,
    Matching,
    is_solved,
    matched_pairs,
    show_status,
    stop_gradient_outside,
    sum_where,
    take,
    take_all,
    unmatched_predictions,
)
from hungarian_loss._objects import (
    Sets,
    as_sets,
    features_like,
    hide,
    per_sample_weight,
    raise_for_keras_mask,
    refuse_what_keras_would_multiply_in,
    shown,
    with_equal_axis,
    with_mask,
)
from hungarian_loss._options import one_of
from hungarian_loss._types import Tensor, TensorLike

_NORMALIZATIONS = ("pairs", "elements")

# So that a saved loss finds it. Registered here, since _distance.py must not need Keras.
keras.saving.register_keras_serializable(package="hungarian_loss")(compute_euclidean_distance)


@keras.saving.register_keras_serializable(package="hungarian_loss")
def hungarian_loss(y_true: Objects, y_pred: Objects, *, normalization: str = "pairs") -> Tensor:
    """Mean distance between matched objects: a drop-in like ``keras.losses.mse``, one value per sample.

    Objects are matched so that the sum of their Euclidean distances is least. No gradient flows into the choice of the
    matching, which is constant between the points where it changes.

    Args:
      y_true: ``[batch, n, features]``.
      y_pred: ``[batch, m, features]``; n and m may differ, and only matched pairs count. Half-precision inputs are
        computed in float32. Either may be a RaggedTensor, with a different number of objects in each sample.
      normalization: ``"pairs"``: the mean over the min(n, m) matched pairs. ``"elements"``: their sum divided by n·m,
        the scale of the package published up to version 1.0.3.

    Returns:
      ``[batch]``, in the units of the features. 0 for a sample with no pair; NaN for one with a NaN in it, +inf for one
      that cannot be matched, both with zero gradient.

    Raises:
      ValueError: an unknown normalization; inputs that are not of rank 3 with equal features; a Keras mask on y_pred,
        which only :class:`HungarianLoss` takes; when Keras calls it, a ``sample_weight`` that is not a scalar,
        ``[batch]`` or ``[batch, 1]``.
      tf.errors.InvalidArgumentError: wrong shapes that show only when run.
    """
    one_of("normalization", normalization, _NORMALIZATIONS)
    if getattr(y_pred, "_keras_mask", None) is not None:
        raise_for_keras_mask()
    sets = as_sets(
        with_mask(y_true, features_like(y_true, "y_pred", y_pred)),
        with_mask(y_pred, features_like(y_pred, "y_true", y_true)),
    )
    weight = refuse_what_keras_would_multiply_in(y_pred, sets.pred)
    true, pred = sets.true, with_equal_axis(sets.true, sets.pred, 2, "features")
    assignment = linear_assignment(
        undifferentiated_distances(tf.stop_gradient(true), tf.stop_gradient(pred)),
        row_mask=sets.true_mask,
        col_mask=sets.pred_mask,
    )
    pairs = matched_pairs(assignment, pred.dtype)
    distances = distance(
        take(true, pairs.true_index, pairs.matched),
        take(pred, pairs.pred_index, pairs.matched),
    )
    divisor = pairs.count
    if normalization == "elements":
        divisor = tf.cast(_number(sets.true_mask, true) * _number(sets.pred_mask, pred), distances.dtype)
    loss = show_status(tf.math.divide_no_nan(sum_where(pairs.matched, distances), divisor), assignment)
    if weight is None:
        return loss
    # Keras multiplies by the weights. The loss only waits here until they are checked.
    with tf.control_dependencies([weight]):
        return tf.identity(loss)


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

    ``call`` takes y_true ``[batch, n, features]`` and y_pred ``[batch, m, features]`` and returns ``[batch]``; n and m
    may differ, and in a RaggedTensor they may vary from sample to sample. Half-precision inputs are computed in
    float32. A sample with no pair has loss 0, unless ``unmatched_losses_fn`` adds to it; one with a NaN has loss NaN,
    one that cannot be matched +inf. A sample whose loss is not finite has zero gradient.

    Functions are called once, on the whole batch. Where sizes are unknown while tracing, or the batch is as large as a
    set, they may be traced once more, to detect a function that was written for one sample. They never see what a mask
    hides: a copy of a real object stands there, or zeros where there is no real object. In slice losses of your own,
    pairs that are not matched are such copies, too, of finite objects, or ones where no matched pair of the batch is
    finite. So no NaN of an unmatched pair reaches a weight trained in the function; a NaN of a matched pair does.

    Args:
      slice_sizes: How many features belong to each slice, in order; they must add up to all features. A pair (true,
        pred) where the two sides differ, such as a sparse label and its logits.
      slice_index_to_compute_assignment: Which slice the cost function gets; None: all features.
      compute_cost_matrix_fn: Gets the slice of y_true ``[B, n, f]`` and of y_pred ``[B, m, f]`` and returns costs
        ``[B, n, m]``; +inf forbids a pair.
      slice_losses_fn: One for each slice: a function, which gets matched objects ``[B, p, f]`` of y_true and of y_pred,
        p = min(n, m), and returns ``[B, p]``; or the name of a Keras loss; or a Keras loss with ``reduction=None``.
        Default: mean squared error.
      slice_weights: One for each slice: a number, or a scalar variable, whose value at each call counts. Default: 1.0.
      slices: The same as ``slice_sizes``, under the name in the documentation of version 1.
      cost_limit: L, a number or a scalar variable, in the units of the costs: in the matching, each true and each
        predicted object may stay unmatched at a cost of L/2, so that no pair that costs more than L is matched. L is no
        part of the loss: a true object without a partner adds nothing to it, and so no gradient. None or infinite: as
        many pairs as the smaller set has objects.
      true_mask_fn: Gets y_true ``[B, n, features]`` and returns bool ``[B, n]``: which objects are real. Default: all.
      pred_mask_fn: Likewise for y_pred, ``[B, m]``. A mask that Keras attached to y_pred applies as well; it is never
        multiplied into the loss.
      unmatched_losses_fn: What predictions without a partner cost, the "no object" case: for each slice a function or
        None. It gets the slice of all predictions ``[B, m, f]`` and returns ``[B, m]``; its values at existing
        unmatched predictions enter the slice's mean, which is then taken over pairs and unmatched predictions together.
      reduction: As in every Keras loss; ``None`` for one value per sample.
      name: Name of the loss.
      dtype: Type to compute in; default: Keras's float type.

    Raises:
      TypeError: no sizes are given, or an argument that should be a list or a function is not.
      ValueError: both ``slices`` and ``slice_sizes`` are given, a list is empty or of the wrong length, an index is out
        of range, a size, weight, limit or the name of a loss is invalid, a Keras loss reduces, or features of unequal
        number would be compared one by one. When called: inputs are not of rank 3, sizes do not add up, a function
        returns another shape than it should, ``sample_weight`` is not a scalar, ``[batch]`` or ``[batch, 1]``.
      tf.errors.InvalidArgumentError: wrong shapes that show only when run.
    """

    def __init__(
        self,
        slice_sizes: Sequence[Size] | None = None,
        slice_index_to_compute_assignment: int | None = 0,
        compute_cost_matrix_fn: CostFunction = compute_euclidean_distance,
        slice_losses_fn: Sequence[SliceLoss] | None = None,
        slice_weights: Sequence[Weight] | None = None,
        *,
        slices: Sequence[Size] | None = None,
        cost_limit: Weight | None = None,
        true_mask_fn: MaskFunction | None = None,
        pred_mask_fn: MaskFunction | None = None,
        unmatched_losses_fn: Sequence[UnmatchedLoss | None] | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "hungarian_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if slices is not None and slice_sizes is not None:
            raise ValueError("got both slices and slice_sizes, expected one of them: they mean the same")
        if slices is None and slice_sizes is None:
            raise TypeError(
                "got neither slices nor slice_sizes, expected one of them: a list of sizes, such as [4, 10]"
            )
        if slices is not None:
            self.slice_sizes = checked_sizes("slices", slices)
        else:
            self.slice_sizes = checked_sizes("slice_sizes", slice_sizes)
        count = len(self.slice_sizes)
        self.slice_index_to_compute_assignment = checked_index(slice_index_to_compute_assignment, count)
        self.compute_cost_matrix_fn = plain_function("compute_cost_matrix_fn", compute_cost_matrix_fn)
        self.slice_losses_fn = [
            per_pair(f"slice_losses_fn[{place}]", function, size, self.dtype)
            for place, (function, size) in enumerate(
                zip(
                    one_for_each("slice_losses_fn", slice_losses_fn, count, keras.losses.mean_squared_error),
                    self.slice_sizes,
                    strict=True,
                )
            )
        ]
        self.slice_weights = [
            checked_weight(f"slice_weights[{place}]", weight)
            for place, weight in enumerate(one_for_each("slice_weights", slice_weights, count, 1.0))
        ]
        self.cost_limit = checked_limit("cost_limit", cost_limit)
        self.true_mask_fn, self.pred_mask_fn = (
            None if function is None else plain_function(argument, function)
            for argument, function in (("true_mask_fn", true_mask_fn), ("pred_mask_fn", pred_mask_fn))
        )
        self.unmatched_losses_fn = [
            None if function is None else plain_function(f"unmatched_losses_fn[{place}]", function)
            for place, function in enumerate(one_for_each("unmatched_losses_fn", unmatched_losses_fn, count, None))
        ]
        index = self.slice_index_to_compute_assignment
        matched_by = self.slice_sizes if index is None else [self.slice_sizes[index]]
        true_size, pred_size = (sum(sizes) for sizes in zip(*matched_by, strict=True))
        if compute_cost_matrix_fn is compute_euclidean_distance and would_broadcast(true_size, pred_size):
            raise ValueError(
                f"compute_euclidean_distance needs equally many features, got {true_size} of y_true and {pred_size} of y_pred "
                "to match by; choose another slice_index_to_compute_assignment or compute_cost_matrix_fn"
            )
        self._ask = Caller()

    def __call__(self, y_true: Objects, y_pred: Objects, sample_weight: TensorLike | None = None) -> Tensor:
        """Loss reduced over the batch, like every Keras loss; ``sample_weight`` is a scalar, ``[batch]`` or
        ``[batch, 1]``."""
        # Keras gets neither a RaggedTensor nor a mask: it would multiply a mask of objects into the losses of samples.
        y_true, y_pred = self._with_masks(y_true, y_pred)
        if sample_weight is not None:
            sample_weight = per_sample_weight(sample_weight, y_pred)
        return super().__call__(y_true, y_pred, sample_weight)

    def match(self, y_true: Objects, y_pred: Objects) -> Matching:
        """The matching that ``call`` uses: the costs ``[batch, n, m]``, the masks, and the assignment."""
        return self._match(self._sets(y_true, y_pred))

    def call(self, y_true: Objects, y_pred: Objects) -> Tensor:
        """Loss of each sample: ``[batch, n, features]``, ``[batch, m, features]`` -> ``[batch]``."""
        sets = self._sets(y_true, y_pred)
        assignment = self._match(sets).assignment
        gate = GradientGate()
        true_slices, pred_slices = self._slices(*gate(sets.true, sets.pred))
        pairs = matched_pairs(assignment, sets.pred.dtype)
        alone = unmatched_predictions(assignment, sets.pred_mask)
        means = []
        for place, (true, pred) in enumerate(zip(true_slices, pred_slices, strict=True)):
            function = self.slice_losses_fn[place]
            if is_of_keras(function):
                matched_true = take(true, pairs.true_index, pairs.matched)
                matched_pred = take(pred, pairs.pred_index, pairs.matched)
            else:
                # A weight may be trained in it, and zero times the slope at a NaN would reach the weight's gradient.
                # The slope of a cosine or a norm is NaN at zeros, so ones are what is left.
                matched_true = hide(take_all(true, pairs.true_index), pairs.matched, 1.0)
                matched_pred = hide(take_all(pred, pairs.pred_index), pairs.matched, 1.0)
            what = f"slice_losses_fn[{place}]: a slice loss"
            values = self._per_object(what, function, matched_true, matched_pred)
            total, count = sum_where(pairs.matched, values), pairs.count
            unmatched_function = self.unmatched_losses_fn[place]
            if unmatched_function is not None:
                # As above. It gets all predictions, so only those of bad samples are replaced.
                alone_pred = stop_gradient_outside(hide(pred, is_solved(assignment)[:, tf.newaxis], 1.0), alone)
                what = f"unmatched_losses_fn[{place}]: an unmatched loss"
                total += sum_where(alone, self._per_object(what, unmatched_function, alone_pred))
                count += tf.reduce_sum(tf.cast(alone, count.dtype), axis=1)
            means.append(tf.math.divide_no_nan(total, count))
        loss = self._weighted(means)
        gate.is_good = tf.math.is_finite(loss) & is_solved(assignment)
        # Once more without samples whose loss is not finite: zero times NaN would reach the gradient of a trained
        # weight.
        good = self._weighted([tf.where(gate.is_good, mean, tf.zeros_like(mean)) for mean in means])
        return show_status(tf.where(gate.is_good, good, tf.stop_gradient(loss)), assignment)

    def _weighted(self, means: list[Any]) -> Any:
        weights = [as_scalar(weight, means[0].dtype) for weight in self.slice_weights]
        return tf.add_n([weight * mean for weight, mean in zip(weights, means, strict=True)]) / len(means)

    def _with_masks(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        true_size, pred_size = (sum(sizes) for sizes in zip(*self.slice_sizes, strict=True))
        return with_mask(y_true, true_size), with_mask(y_pred, pred_size)

    def _sets(self, y_true: Any, y_pred: Any) -> Sets:
        """Both sides, with harmless values in the places of objects that do not exist."""
        sets = as_sets(*self._with_masks(y_true, y_pred))
        true, true_mask = shown(self._ask, "true_mask_fn", self.true_mask_fn, sets.true, sets.true_mask)
        pred, pred_mask = shown(self._ask, "pred_mask_fn", self.pred_mask_fn, sets.pred, sets.pred_mask)
        return Sets(true, pred, true_mask, pred_mask)

    def _match(self, sets: Sets) -> Matching:
        """Matches true objects (rows) with predicted ones (columns). The choice has no gradient."""
        index = self.slice_index_to_compute_assignment
        true_slices, pred_slices = self._slices(tf.stop_gradient(sets.true), tf.stop_gradient(sets.pred))
        true, pred = (sets.true, sets.pred) if index is None else (true_slices[index], pred_slices[index])
        true, pred = tf.stop_gradient(true), tf.stop_gradient(pred)
        if self.compute_cost_matrix_fn is compute_euclidean_distance:
            cost = undifferentiated_distances(true, pred)
        else:
            contract = "[B, n, m] for inputs [B, n, f] and [B, m, f]"
            like = [(true, 0), (true, 1), (pred, 1)]
            cost = self._ask("compute_cost_matrix_fn", contract, self.compute_cost_matrix_fn, [true, pred], like)
        limit: Any = self.cost_limit
        if limit is not None and not isinstance(limit, float):
            limit = as_scalar(limit, solved_in(cost.dtype))
        assignment = linear_assignment(cost, row_mask=sets.true_mask, col_mask=sets.pred_mask, cost_limit=limit)
        are_boxes = sets.true.shape[-1] == sets.pred.shape[-1] == 4
        boxes = (sets.true, sets.pred) if are_boxes else None
        return Matching(cost, sets.true_mask, sets.pred_mask, assignment, boxes, cost_limit=limit)

    def _per_object(self, what: str, function: Any, *objects: Any) -> Any:
        """The function's value ``[B, p]`` at each place of objects ``[B, p, f]``."""
        like = [(objects[0], 0), (objects[0], 1)]
        return tf.cast(self._ask(what, "[B, p] for inputs [B, p, f]", function, objects, like), objects[0].dtype)

    def _slices(self, y_true: Any, y_pred: Any) -> tuple[list[Any], list[Any]]:
        true_slices = _split(y_true, "y_true", [size for size, _ in self.slice_sizes])
        return true_slices, _split(y_pred, "y_pred", [size for _, size in self.slice_sizes])

    def get_config(self) -> dict[str, Any]:
        """Everything that ``from_config`` needs: functions as Keras serializes them, weights as they are now.

        A function that cannot be found on loading, such as a lambda, causes a warning here and an error in
        ``from_config``.
        """

        def each(argument: str, functions: Sequence[Any]) -> list[Any]:
            return [saved(f"{argument}[{place}]", function) for place, function in enumerate(functions)]

        return {
            "slice_sizes": [list(size) for size in self.slice_sizes],
            "slice_index_to_compute_assignment": self.slice_index_to_compute_assignment,
            "compute_cost_matrix_fn": saved("compute_cost_matrix_fn", self.compute_cost_matrix_fn),
            "cost_limit": None if self.cost_limit is None else _as_number(self.cost_limit),
            "slice_losses_fn": each("slice_losses_fn", self.slice_losses_fn),
            "unmatched_losses_fn": each("unmatched_losses_fn", self.unmatched_losses_fn),
            "slice_weights": [_as_number(weight) for weight in self.slice_weights],
            "true_mask_fn": saved("true_mask_fn", self.true_mask_fn),
            "pred_mask_fn": saved("pred_mask_fn", self.pred_mask_fn),
            "reduction": self.reduction,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HungarianLoss":
        """The inverse of :meth:`get_config`.

        Raises:
          ValueError: a function cannot be found; the error names the ways out.
        """
        config = dict(config)
        for argument in config.keys() & {"compute_cost_matrix_fn", "true_mask_fn", "pred_mask_fn"}:
            config[argument] = loaded(argument, config[argument])
        for argument in ("slice_losses_fn", "unmatched_losses_fn"):
            if isinstance(functions := config.get(argument), Sequence) and not isinstance(functions, str):
                functions = enumerate(functions)
                config[argument] = [loaded(f"{argument}[{place}]", function) for place, function in functions]
        return cls(**config)


def _as_number(weight: Weight) -> float:
    """A number, or what a variable holds now."""
    return float(keras.ops.convert_to_numpy(weight))


def _number(mask: Any, objects: Any) -> Any:
    """How many objects exist, as int64: ``[B]`` where there is a mask, else a scalar."""
    return tf.cast(tf.shape(objects)[1], tf.int64) if mask is None else tf.reduce_sum(tf.cast(mask, tf.int64), axis=1)


def _split(objects: Any, name: str, sizes: list[int]) -> list[Any]:
    features = objects.shape[-1] if objects.shape.rank is not None else None
    if features is not None and features != sum(sizes):
        raise ValueError(f"slice sizes {sizes} add up to {sum(sizes)}, but {name} has {features} features")
    # Splitting into one piece would check nothing.
    objects = tf.ensure_shape(objects, [None, None, sum(sizes)])
    return tf.split(objects, sizes, axis=-1)  # type: ignore[no-any-return]
