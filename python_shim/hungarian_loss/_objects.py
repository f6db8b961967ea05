"""Sets of objects as tensors, and which of them exist: padding, masks, values for hidden places."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from hungarian_loss._functions import Caller
from hungarian_loss._inputs import constant
from hungarian_loss._shapes import sizes_of, with_shape, with_size


class MaskedObjects(NamedTuple):
    """Objects ``[B, n, f]`` and which of them exist, ``[B, n]``. Keras carries it from ``__call__`` to ``call`` as it
    is."""

    objects: Any
    mask: Any


class Sets(NamedTuple):
    """True and predicted objects of one type and batch, ``[B, n, f]`` and ``[B, m, f']``; a mask of None: all exist."""

    true: Any
    pred: Any
    true_mask: Any
    pred_mask: Any


def with_mask(objects: Any, features: Any) -> Any:
    """Objects as they are; with a mask of their own, as :class:`MaskedObjects`.

    Keras attaches such a mask, for example by a Masking layer in the model. A RaggedTensor, with a set for each sample,
    is padded, and its mask shows which objects it held. ``features`` is how many features each has where it held none.
    """
    if isinstance(objects, MaskedObjects):
        return objects
    if isinstance(objects, tf.RaggedTensor):
        return _padded_sets(objects, features)
    keras_mask = getattr(objects, "_keras_mask", None)
    # A copy without that attribute: Keras would multiply a mask of objects into the losses of samples.
    return objects if keras_mask is None else MaskedObjects(tf.identity(objects), tf.convert_to_tensor(keras_mask))


def features_like(objects: Any, name: str, other: Any) -> Any:
    """For :func:`with_mask`: as many features as ``other``, the side called ``name``, has, where ``objects`` may not
    show how many they have."""
    return features_of(name, other) if isinstance(objects, tf.RaggedTensor) and objects.ragged_rank > 1 else 0


def features_of(name: str, objects: Any) -> Any:
    """How many features objects ``[batch, objects, features]`` have: a number where it is known, else a scalar
    tensor.

    Raises:
      ValueError: no tensor of numbers.
    """
    if isinstance(objects, tf.RaggedTensor):
        known = objects.shape[-1]
        if known is not None:
            return known
        return objects.values.bounding_shape(axis=1) if objects.ragged_rank > 1 else tf.shape(objects.flat_values)[-1]
    objects = of_numbers(name, objects.objects if isinstance(objects, MaskedObjects) else objects)
    if objects.shape.rank == 0:
        return 0  # Refused later.
    return tf.shape(objects)[-1] if objects.shape.rank is None or objects.shape[-1] is None else objects.shape[-1]


def as_sets(y_true: Any, y_pred: Any) -> Sets:
    """Both as tensors ``[batch, objects, features]`` of one type: float64 if y_pred is, else float32."""
    true, true_mask = _split_off_mask("y_true", y_true)
    pred, pred_mask = _split_off_mask("y_pred", y_pred)
    dtype = tf.float64 if pred.dtype == tf.float64 else tf.float32
    true, pred = tf.cast(true, dtype), tf.cast(pred, dtype)
    return Sets(true, with_equal_axis(true, pred, 0, "samples"), true_mask, pred_mask)


def with_equal_axis(y_true: Any, y_pred: Any, axis: int, what: str) -> Any:
    """``y_pred``, certain to be as long as ``y_true`` along ``axis``; broadcasting would hide a mistake."""
    true_size, pred_size = y_true.shape[axis], y_pred.shape[axis]
    if true_size is None or pred_size is None:
        with tf.name_scope(f"y_true_and_y_pred_must_have_equally_many_{what}"):
            return with_size(y_pred, axis, tf.shape(y_true)[axis])
    if true_size != pred_size:
        raise ValueError(
            f"y_true and y_pred must have equally many {what}, got shapes {y_true.shape} and {y_pred.shape}"
        )
    return y_pred


def hide(objects: Any, mask: Any, otherwise: float = 0.0) -> Any:
    """Objects ``[B, n, f]`` with something harmless in the places that ``mask`` ``[B, n]`` hides; None hides nothing.

    It is a copy of the first object in the batch that exists and is finite; if there is none, each of its features is
    ``otherwise``. So what stands in a hidden place is a valid label, probability or box, whatever a function requires.
    """
    if mask is None:
        return objects
    usable = mask & tf.reduce_all(tf.math.is_finite(objects), axis=-1)
    features = tf.shape(objects)[-1]
    # What stands in front is taken where nothing is usable.
    in_front = tf.fill([1, features], constant(otherwise, objects.dtype))
    candidates = tf.concat([in_front, tf.reshape(tf.stop_gradient(objects), [-1, features])], axis=0)
    first = tf.argmax(tf.pad(tf.cast(tf.reshape(usable, [-1]), tf.float32), [[1, 0]]))
    return tf.where(mask[..., tf.newaxis], objects, tf.gather(candidates, first))


def shown(
    ask: Caller, argument: str, function: Any, objects: Any, mask: Any, sizes: Sequence[Any] | None = None
) -> Any:
    """Objects ``[B, n, f]`` with the rest hidden, and which are left, ``[B, n]`` or None: those that both ``mask`` and
    ``function`` show.

    Where ``sizes`` are given, ``function`` gets objects with dimensions of these sizes in place of the features.

    Raises:
      ValueError: ``function``, the one given as ``argument``, does not return a mask.
    """
    objects = hide(objects, mask)
    if function is None:
        return objects, mask
    features = "f" if sizes is None else "..."
    seen = objects if sizes is None else with_features(objects, sizes)
    contract = f"[B, n] for inputs [B, n, {features}]"
    found = ask(argument, contract, function, [seen], [(objects, 0), (objects, 1)])
    if found.dtype != tf.bool:
        raise ValueError(f"{argument} must return bool, got {found.dtype.name}")
    return hide(objects, found), both(mask, found)


def with_features(objects: Any, sizes: Sequence[Any]) -> Any:
    """Objects ``[B, n, f]`` as ``[B, n, *sizes]``; a size is a number or a scalar tensor."""
    return tf.reshape(objects, [*sizes_of(objects)[:2], *sizes])


def both(mask: Any, other: Any) -> Any:
    """What both masks show; None shows all."""
    if mask is None or other is None:
        return other if mask is None else mask
    return mask & other


def refuse_what_keras_would_multiply_in(y_pred: Any, objects: Any) -> Any:
    """For a loss function: raises where Keras would multiply values of objects into its losses of samples.

    A loss function can neither prevent nor see that: before the call Keras casts y_pred, which drops the mask that
    y_pred carried, and it never passes ``sample_weight`` on. Both are read from the stack frame of the calling Keras
    loss. They are ignored where that loss passes another batch than its own y_pred.

    Args:
      y_pred: What the function was given.
      objects: The same as a tensor ``[batch, m, features]``.

    Returns:
      The weights, None without any. The loss must wait for them: where their shape is unknown while tracing, they are
      checked when run.

    Raises:
      ValueError: a mask of objects on y_pred, or a sample_weight that is not one for each sample.
      tf.errors.InvalidArgumentError: the latter, when run.
    """
    frame = sys._getframe(1)
    while frame is not None and frame.f_code is not keras.losses.Loss.__call__.__code__:
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None or not _may_be_the_same_batch(frame.f_locals.get("y_pred"), y_pred):
        return None
    if frame.f_locals.get("in_mask") is not None:
        raise_for_keras_mask()
    weight = frame.f_locals.get("sample_weight")
    return None if weight is None else per_sample_weight(weight, objects)


def _may_be_the_same_batch(of_keras: Any, y_pred: Any) -> bool:
    shapes = [getattr(one, "shape", None) for one in (of_keras, y_pred)]
    if of_keras is y_pred or any(shape is None for shape in shapes):
        return True
    one, other = (tf.TensorShape(shape) for shape in shapes)
    if None in (one.rank, other.rank):
        return True
    return one.rank == other.rank and bool(one[:1].is_compatible_with(other[:1]))


def raise_for_keras_mask() -> None:
    """Says what to do about a Keras mask in a function.

    Raises:
      ValueError: always.
    """
    raise ValueError("y_pred carries a Keras mask, which hungarian_loss cannot honour; use HungarianLoss")


def check_sample_weight(shape: Any) -> None:
    """Raises where ``shape``, as far as it is known, is not that of one weight for each sample.

    Raises:
      ValueError: not a scalar, ``[batch]`` or ``[batch, 1]``.
    """
    if shape.rank is not None and (shape.rank > 2 or shape.rank == 2 and shape[1] not in (None, 1)):
        raise ValueError(f"{_SAMPLE_WEIGHT}; got shape {shape}")


def per_sample_weight(sample_weight: Any, y_pred: Any) -> Any:
    """``sample_weight`` as a scalar or ``[batch]``, certain to be that.

    Raises:
      ValueError: it is not a scalar, ``[batch]`` or ``[batch, 1]``.
      tf.errors.InvalidArgumentError: the same, when run.
    """
    # Python's numbers as float64: Keras casts weights to the type of the loss.
    weight = tf.convert_to_tensor(sample_weight, dtype_hint=tf.float64)
    check_sample_weight(weight.shape)
    if weight.shape.rank == 0:
        return weight
    objects = y_pred.objects if isinstance(y_pred, MaskedObjects) else tf.convert_to_tensor(y_pred)
    if weight.shape.rank is None:
        # Nothing but [batch] and [batch, 1] has as many elements as its first dimension says.
        with tf.name_scope("sample_weight_must_be_batch_or_batch_by_1"):
            weight = tf.reshape(weight, tf.shape(weight)[:1])
    if weight.shape.rank == 2:
        weight = with_shape(weight, [(objects, 0), 1], _SAMPLE_WEIGHT)[:, 0]
    return with_shape(weight, [(objects, 0)], _SAMPLE_WEIGHT)


_SAMPLE_WEIGHT = (
    "sample_weight must be a scalar, [batch] or [batch, 1]: one weight for each sample, not for each object"
)


def of_numbers(name: str, values: Any) -> Any:
    """``values`` as a tensor of real numbers.

    Raises:
      ValueError: something else.
    """
    if isinstance(values, (tf.RaggedTensor, tf.SparseTensor)):
        raise ValueError(  # noqa: TRY004 - as for any other wrong form
            f"{name} must be a tensor, of one shape for all samples; got a {type(values).__name__}"
        )
    try:
        tensor = tf.convert_to_tensor(values)
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(
            f"{name} must be a tensor of numbers; got {type(values).__name__}, of which none can be made: {error}"
        ) from error
    return checked_numbers(name, tensor)


def checked_numbers(name: str, tensor: Any) -> Any:
    """A tensor as it is, ragged or not.

    Raises:
      ValueError: it does not hold real numbers.
    """
    if not (tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool):
        raise ValueError(f"{name} must be real numbers, got {tensor.dtype.name}")
    return tensor


def _split_off_mask(name: str, objects: Any) -> tuple[Any, Any]:
    objects, mask = objects if isinstance(objects, MaskedObjects) else (objects, None)
    objects = of_numbers(name, objects)
    if objects.shape.rank not in (None, 3):
        raise ValueError(f"{name} must be [batch, objects, features], got shape {objects.shape}")
    objects = tf.ensure_shape(objects, [None] * 3)
    if mask is not None:
        # Keras casts the mask along with the objects, between `__call__` and `call`.
        mask = tf.cast(mask, tf.bool)
        mask = with_shape(mask, [(objects, 0), (objects, 1)], f"the mask of {name} must be [batch, objects]")
    return objects, mask


def with_equal_features(ragged: Any, features: Any) -> Any:
    """``ragged``, ``[batch, (objects), features]`` or ``[batch, (objects)]``, as a RaggedTensor that is ragged along
    objects only. Where it holds no object, it shows no number of features, and gets ``features``.

    Raises:
      tf.errors.InvalidArgumentError: objects of different numbers of features.
    """
    if ragged.ragged_rank < 2:
        return ragged
    # The reshape fails if they are not equal.
    with tf.name_scope("every_object_must_have_equally_many_features"):
        rows, width = ragged.values, ragged.shape[-1]
        if width is None:
            width = rows.bounding_shape(axis=1)
            width = tf.where(tf.equal(rows.nrows(), 0), tf.cast(features, width.dtype), width)
        values = tf.reshape(rows.flat_values, [rows.nrows(), width])
    return ragged.with_values(values)


def _padded_sets(ragged: Any, features: Any) -> MaskedObjects:
    """A RaggedTensor ``[batch, (objects), features]`` as a tensor, with a mask of the objects that it held."""
    if ragged.shape.rank != 3:
        raise ValueError(f"a RaggedTensor must be [batch, (objects), features], got shape {ragged.shape}")
    return padded(with_equal_features(ragged, features))


def padded(ragged: Any) -> MaskedObjects:
    """The same for ``[batch, (objects), ...]`` that is ragged along objects only."""
    lengths = ragged.row_lengths()
    # Where XLA refuses it, the error shows this name.
    with tf.name_scope("XLA_cannot_pad_a_RaggedTensor_use_padded_batch_and_a_mask"):
        objects = ragged.to_tensor()
    return MaskedObjects(objects, tf.sequence_mask(lengths, tf.shape(objects)[1]))
