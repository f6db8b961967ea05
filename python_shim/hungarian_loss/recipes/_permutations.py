"""A loss between sets of anything: signals, masks, sequences of frames."""

import math
from typing import Any

import keras
import tensorflow as tf

from hungarian_loss._arguments import compares_features, is_of_keras, per_pair, plain_function
from hungarian_loss._assignment import linear_assignment
from hungarian_loss._functions import Caller, loaded, saved
from hungarian_loss._inputs import constant
from hungarian_loss._loss_types import MaskFunction, Objects, SliceLoss
from hungarian_loss._matching import GradientGate, Matching, is_solved
from hungarian_loss._objects import (
    MaskedObjects,
    Sets,
    as_sets,
    features_like,
    hide,
    of_numbers,
    padded,
    per_sample_weight,
    shown,
    with_equal_axis,
    with_features,
    with_mask,
)
from hungarian_loss._options import as_flag, one_of
from hungarian_loss._shapes import sizes_of, with_shape
from hungarian_loss._types import Tensor, TensorLike

_NORMALIZATIONS = ("total", "pairs")


@keras.saving.register_keras_serializable(package="hungarian_loss")
class PermutationInvariantLoss(keras.losses.Loss):  # type: ignore[misc]
    """The loss of the best pairing of true with predicted objects, whatever their order and whatever an object is.

    Examples: speakers in a mixture, the voices of a diarization, the slots of slot attention::

        PermutationInvariantLoss("mae")                       # y_true [batch, speakers, samples], y_pred likewise
        PermutationInvariantLoss(si_snr, maximize=True)       # a score of the user's own, in decibels
        PermutationInvariantLoss("binary_crossentropy")       # y_true [batch, speakers, frames] of 0 and 1

    The pairing has the least total of ``pair_loss``, and the loss of a sample is that total. Its gradient is that of
    ``pair_loss`` at the matched pairs. The numbers of true and predicted objects may differ, and only matched pairs
    count.

    ``call`` takes y_true ``[batch, n, ...]`` and y_pred ``[batch, m, ...]`` and returns ``[batch]``, in the units of
    ``pair_loss``; either may be a RaggedTensor, with a different number of objects in each sample. Half-precision
    inputs are computed in float32. A sample with no pair has loss 0, one with a NaN has loss NaN, one that cannot be
    matched +inf. A sample whose loss is not finite has zero gradient, and does not affect the other samples.
    The pairs of an object with a NaN cost NaN, and a ``pair_loss`` of your own never sees it: a copy of a finite one
    stands there, or zeros where there is none. So a NaN cannot mark a missing value: leave objects out with
    ``true_mask_fn``; for parts of an object put zeros there, and say in a further feature which they are.

    Args:
      pair_loss: The loss of every pair; one of:

        * a function, which is called once on the whole batch. It gets y_true as ``[B, n, 1, ...]`` and y_pred as
          ``[B, 1, m, ...]``, so that what is computed feature by feature broadcasts, and returns ``[B, n, m]``: all but
          the first three dimensions are to be reduced. +inf (−inf when maximizing) forbids a pair. Its slope must be
          finite at all pairs, not only at the matched ones: the gradient passes through all pairs, as zero through the
          others. The same holds for its slope by a weight that is trained within it. Where sizes are unknown while
          tracing, or the batch is as large as a set, the function may be traced once more, to detect one that was
          written for one sample.
        * the name of a Keras loss, such as "mse", or a Keras loss with ``reduction=None``: both sides are repeated to
          ``[B, n, m, ...]``, and what the loss returns is averaged over the dimensions after the first three. All but
          sparse_categorical_crossentropy require equal shapes.
      maximize: ``pair_loss`` is a score. The pairing has the greatest total, and the loss is minus that.
      normalization: ``"total"``: the sum over the pairs. ``"pairs"``: their mean.
      true_mask_fn: Gets y_true ``[B, n, ...]`` and returns bool ``[B, n]``: which objects are real. Default: all.
      pred_mask_fn: Likewise for y_pred, ``[B, m]``. A mask that Keras attached to y_pred applies as well; it is never
        multiplied into the loss.
      reduction: As in every Keras loss; ``None`` for one value per sample.
      name: Name of the loss.
      dtype: Type to compute in; default: Keras's float type.

    Raises:
      TypeError: an argument that should be a function is not; ``maximize`` is neither True nor False.
      ValueError: an unknown name or normalization; a Keras loss that reduces. When called: inputs of fewer than two
        dimensions or of unequal batches, a function that returns another shape than it should, ``sample_weight`` that
        is not a scalar, ``[batch]`` or ``[batch, 1]``.
      tf.errors.InvalidArgumentError: wrong shapes that show only when run.

    Source: Yu et al. 2017, arXiv:1607.00325, and Kolbæk et al. 2017, arXiv:1703.06284 (permutation invariant training,
    over all permutations); Locatello et al. 2020, arXiv:2006.15055 (slot attention's set prediction).
    """

    def __init__(
        self,
        pair_loss: SliceLoss,
        *,
        maximize: bool = False,
        normalization: str = "total",
        true_mask_fn: MaskFunction | None = None,
        pred_mask_fn: MaskFunction | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "permutation_invariant_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        # The sizes of features are known only when the loss is called.
        self.pair_loss = per_pair("pair_loss", pair_loss, (1, 1), self.dtype)
        self.maximize = as_flag("maximize", maximize)
        self.normalization = one_of("normalization", normalization, _NORMALIZATIONS)
        self.true_mask_fn, self.pred_mask_fn = (
            None if function is None else plain_function(argument, function)
            for argument, function in (("true_mask_fn", true_mask_fn), ("pred_mask_fn", pred_mask_fn))
        )
        self._ask = Caller()

    def __call__(self, y_true: Objects, y_pred: Objects, sample_weight: TensorLike | None = None) -> Tensor:
        """Loss reduced over the batch, like every Keras loss; ``sample_weight`` is a scalar, ``[batch]`` or
        ``[batch, 1]``."""
        # Keras gets neither a RaggedTensor nor a mask: it would multiply a mask of objects into the losses of samples.
        y_true, y_pred = _with_mask(y_true, "y_pred", y_pred), _with_mask(y_pred, "y_true", y_true)
        if sample_weight is not None:
            sample_weight = per_sample_weight(sample_weight, y_pred)
        return super().__call__(y_true, y_pred, sample_weight)

    def match(self, y_true: Objects, y_pred: Objects) -> Matching:
        """The matching that ``call`` uses: the values of ``pair_loss`` ``[batch, n, m]``, the masks, and the
        assignment.

        With as many predictions as true objects, none of them masked, this puts the predictions into the order of the
        true ones::

            tf.gather(y_pred, loss.match(y_true, y_pred).assignment.row_to_col, batch_dims=1)
        """
        sets, known, sizes = self._sets(y_true, y_pred)
        return self._match(sets, sets.true, sets.pred, known, sizes)

    def call(self, y_true: Objects, y_pred: Objects) -> Tensor:
        """Loss of each sample: ``[batch, n, ...]``, ``[batch, m, ...]`` -> ``[batch]``."""
        sets, known, sizes = self._sets(y_true, y_pred)
        gate = GradientGate()
        true, pred = gate(sets.true, sets.pred)
        assignment = self._match(sets, true, pred, known, sizes).assignment
        solved = is_solved(assignment)
        loss = -assignment.total_cost if self.maximize else assignment.total_cost
        if self.normalization == "pairs":
            # A comparison of int32 would run on the host even where there is a GPU.
            count = tf.reduce_sum(tf.cast(tf.cast(assignment.row_to_col, tf.int64) >= 0, loss.dtype), axis=1)
            loss = tf.where(solved, tf.math.divide_no_nan(loss, count), loss)
        gate.is_good = tf.math.is_finite(loss) & solved
        return tf.where(gate.is_good, loss, tf.stop_gradient(loss))

    def _sets(self, y_true: Any, y_pred: Any) -> tuple[Sets, Any, tuple[list[Any], list[Any]]]:
        """Both sides with one axis of features, and harmless values in hidden places, and in those of objects with a
        NaN where ``pair_loss`` must not see it; bool ``[B, n, m]``, which pairs are of two objects without; the sizes
        that features had."""
        true, true_sizes = _flat("y_true", _with_mask(y_true, "y_pred", y_pred))
        pred, pred_sizes = _flat("y_pred", _with_mask(y_pred, "y_true", y_true))
        sets = as_sets(true, pred)
        true, true_mask = shown(self._ask, "true_mask_fn", self.true_mask_fn, sets.true, sets.true_mask, true_sizes)
        pred, pred_mask = shown(self._ask, "pred_mask_fn", self.pred_mask_fn, sets.pred, sets.pred_mask, pred_sizes)
        # A NaN is the one value that differs from itself. Not tf.math.is_nan: the table of kernels on GPUs by which the
        # tests look for copies to the host does not have it.
        true_known, pred_known = (tf.reduce_all(tf.equal(objects, objects), axis=-1) for objects in (true, pred))
        if not compares_features(self.pair_loss):
            # A NaN is kept from pair_loss: zero times its slope would reach the gradient of a weight that is trained
            # there, and as a label it is an error. A Keras loss that compares features has no weights and no labels.
            true, pred = hide(true, true_known), hide(pred, pred_known)
        sets = Sets(true, pred, true_mask, pred_mask)
        return sets, true_known[:, :, tf.newaxis] & pred_known[:, tf.newaxis, :], (true_sizes, pred_sizes)

    def _match(self, sets: Sets, true: Any, pred: Any, known: Any, sizes: tuple[list[Any], list[Any]]) -> Matching:
        """Matches true objects (rows) with predicted ones (columns)."""
        cost = self._costs(with_features(true, sizes[0]), with_features(pred, sizes[1]))
        cost = tf.where(known, cost, constant(math.nan, cost.dtype))
        masks = {"row_mask": sets.true_mask, "col_mask": sets.pred_mask}
        assignment = linear_assignment(cost, maximize=self.maximize, **masks)
        return Matching(cost, sets.true_mask, sets.pred_mask, assignment, maximize=self.maximize)

    def _costs(self, true: Any, pred: Any) -> Any:
        """``[B, n, ...]``, ``[B, m, ...]`` -> ``[B, n, m]``."""
        dtype = pred.dtype
        if is_of_keras(self.pair_loss):
            # A loss of Keras reduces the last dimension, which must not be that of objects.
            true, pred = (x[..., tf.newaxis] if x.shape.rank == 2 else x for x in (true, pred))
            if compares_features(self.pair_loss):
                pred = _with_equal_features(true, pred)
        true, pred = tf.expand_dims(true, 2), tf.expand_dims(pred, 1)
        like = [(true, 0), (true, 1), (pred, 2)]
        if not is_of_keras(self.pair_loss):
            contract = "[B, n, m] for inputs [B, n, 1, ...] and [B, 1, m, ...]"
            return tf.cast(self._ask("pair_loss", contract, self.pair_loss, [true, pred], like), dtype)
        values = self.pair_loss(_repeated(true, 2, pred), _repeated(pred, 1, true))
        if values.shape.rank > 3:
            values = tf.reduce_mean(values, axis=list(range(3, values.shape.rank)))
        return tf.cast(with_shape(values, like, "pair_loss must leave [B, n, m]"), dtype)

    def get_config(self) -> dict[str, Any]:
        """Everything that ``from_config`` needs: functions as Keras serializes them.

        A function that cannot be found on loading, such as a lambda, causes a warning here and an error in
        ``from_config``.
        """
        return {
            "pair_loss": saved("pair_loss", self.pair_loss),
            "maximize": self.maximize,
            "normalization": self.normalization,
            "true_mask_fn": saved("true_mask_fn", self.true_mask_fn),
            "pred_mask_fn": saved("pred_mask_fn", self.pred_mask_fn),
            "reduction": self.reduction,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PermutationInvariantLoss":
        """The inverse of :meth:`get_config`.

        Raises:
          ValueError: a function cannot be found; the error names the ways out.
        """
        functions = config.keys() & {"pair_loss", "true_mask_fn", "pred_mask_fn"}
        return cls(**{**config, **{argument: loaded(argument, config[argument]) for argument in functions}})


def _with_mask(objects: Any, name: str, other: Any) -> Any:
    """What ``with_mask`` returns, for a RaggedTensor of any further dimensions, too. ``other`` is the other side, whose
    name is ``name``."""
    if isinstance(objects, tf.RaggedTensor) and objects.ragged_rank == 1:
        return padded(objects)
    return with_mask(objects, features_like(objects, name, other))


def _flat(name: str, objects: Any) -> tuple[Any, list[Any]]:
    """Objects ``[B, n, ...]`` as ``[B, n, features]``, with the mask that they may carry; the sizes that features
    had."""
    objects, mask = objects if isinstance(objects, MaskedObjects) else (objects, None)
    objects = of_numbers(name, objects)
    if objects.shape.rank is None or objects.shape.rank < 2:
        raise ValueError(f"{name} must be [batch, objects, ...], got shape {objects.shape}")
    sizes = sizes_of(objects)
    features = 1
    for size in sizes[2:]:
        features = features * size
    flat = tf.reshape(objects, [*sizes[:2], features])
    return flat if mask is None else MaskedObjects(flat, mask), sizes[2:]


def _with_equal_features(true: Any, pred: Any) -> Any:
    """``pred``, certain to have the dimensions of ``true`` behind the first two."""
    if true.shape.rank != pred.shape.rank:
        raise ValueError(
            f"y_true and y_pred must have equally many dimensions, got shapes {true.shape} and {pred.shape}"
        )
    for axis in range(2, true.shape.rank):
        pred = with_equal_axis(true, pred, axis, "features")
    return pred


def _repeated(objects: Any, axis: int, like: Any) -> Any:
    """``objects``, of size 1 along ``axis``, repeated to the size that ``like`` has there."""
    shape = sizes_of(objects)
    shape[axis] = sizes_of(like)[axis]
    return tf.broadcast_to(objects, shape)
