"""True and predicted sets as users hand them over, dicts or packed, in one form."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from hungarian_loss._checks import require
from hungarian_loss._inputs import constant
from hungarian_loss._objects import checked_numbers, of_numbers, with_equal_features
from hungarian_loss._placement import has_gpu
from hungarian_loss._shapes import Dimension, range_int64, sizes_of, with_shape
from hungarian_loss._whole import as_whole

# In place of a label or a slot that is not a whole number, such as NaN. Too large to be valid, it makes its image's
# loss NaN.
NO_NUMBER = tf.int64.max

_LABELS = "y_true's labels must be [B, n], one for each box"
_PADDING = "XLA_cannot_pad_a_RaggedTensor_use_padded_batch_with_minus_1"


class Truth(NamedTuple):
    """The true objects.

    Attributes:
      boxes: ``[B, n, 4]``; arbitrary in empty slots.
      labels: int64 ``[B, n]``; negative in empty slots.
    """

    boxes: Any
    labels: Any

    @property
    def exists(self) -> Any:
        """Bool ``[B, n]``: which slots hold an object."""
        return self.labels >= 0

    def repeated(self, times: int) -> "Truth":
        """Each object that many times, with its copies adjacent."""
        return self if times == 1 else Truth(*(tf.repeat(one, times, axis=1) for one in self))


class Predictions(NamedTuple):
    """What was detected by each layer of a decoder, the last layer last.

    Attributes:
      boxes: ``[B, layers, m, 4]``.
      logits: ``[B, layers, m, channels]``.
    """

    boxes: Any
    logits: Any

    @property
    def layers(self) -> int:
        return int(self.boxes.shape[1])

    def in_groups(self, groups: int) -> "Predictions":
        """Groups of m / groups predictions each, as if they were layers: ``[B, layers · groups, m / groups, ...]``.

        Raises:
          ValueError: m is not a multiple of ``groups``.
          tf.errors.InvalidArgumentError: the same, when run.
        """
        if groups == 1:
            return self
        number = self.boxes.shape[2]
        if number is not None and number % groups:
            raise ValueError(f"the number of predictions must be a multiple of groups, {groups}; got {number}")
        size = number // groups if number is not None else tf.shape(self.boxes)[2] // groups
        with tf.name_scope("the_number_of_predictions_must_be_a_multiple_of_groups"):
            batch = tf.shape(self.boxes)[0]
            sets = self.layers * groups
            return Predictions(*(tf.reshape(one, [batch, sets, size, one.shape[-1]]) for one in self))

    def flat(self) -> "Predictions":
        """``[B · layers, m, ...]``."""
        return Predictions(*(merged(one) for one in self))


class Denoising(NamedTuple):
    """Predictions from noised objects, whose objects are given, so that they bypass the matcher.

    Attributes:
      predictions: ``[B, layers, d, ...]``.
      target: int64 ``[B, d]``: the slot of each prediction's object; negative where it has none and is to say "no
        object".
    """

    predictions: Predictions
    target: Any


def read_truth(y_true: Any, dtype: Any) -> Truth:
    """``{"boxes": [B, n, 4], "labels": [B, n]}`` or packed ``[B, n, 5]``, ragged along n or padded.

    Raises:
      ValueError: something else.
      tf.errors.InvalidArgumentError: the same, where it shows only when run.
    """
    if isinstance(y_true, Mapping):
        given_boxes, given_labels = _entry("y_true", y_true, "boxes"), _entry("y_true", y_true, "labels")
        boxes, labels = _padded("y_true's boxes", given_boxes, 4), _padded("y_true's labels", given_labels, 1)
        boxes = with_shape(boxes, [(boxes, 0), (boxes, 1), 4], "y_true's boxes must be [B, n, 4]")
        labels = _labels_or_slots(with_shape(_without_column(labels), [(boxes, 0), (boxes, 1)], _LABELS))
        if isinstance(given_boxes, tf.RaggedTensor):
            labels = _one_for_each_box(labels, given_boxes, given_labels)
    else:
        sentence = (
            "y_true must be a dict of boxes [B, n, 4] and labels [B, n], or packed [B, n, 5], a box and its label"
        )
        packed = _one_tensor(y_true, sentence)
        packed = _padded("y_true", packed, 5) if isinstance(packed, tf.RaggedTensor) else packed
        cure = "; Keras calls a loss once for each output of a model, so dicts need a SetPredictionModel"
        # Keras hands over the names of a dict, too, so the shape comes first.
        packed = checked_numbers("y_true", with_shape(packed, [(packed, 0), (packed, 1), 5], sentence, cure))
        boxes, labels = packed[..., :4], _labels_or_slots(packed[..., 4])
    return Truth(tf.stop_gradient(tf.cast(boxes, dtype)), labels)


def read_predictions(y_pred: Any, truth: Truth, channels: int, dtype: Any) -> tuple[Predictions, Denoising | None]:
    """``{"boxes": [B, m, 4], "logits": [B, m, channels], "auxiliary": [...], "denoising": {...}}``, or packed
    ``[B, m, 4 + channels]`` or ``[B, layers, m, 4 + channels]``, the last layer last.

    Raises:
      ValueError: something else.
      tf.errors.InvalidArgumentError: the same, where it shows only when run.
    """
    if not isinstance(y_pred, Mapping):
        return _unpacked(y_pred, truth.boxes, channels, dtype), None
    auxiliary = y_pred.get("auxiliary", ())
    if isinstance(auxiliary, Mapping) or not isinstance(auxiliary, Sequence):
        raise ValueError(  # noqa: TRY004 - as for any other wrong form
            f"y_pred['auxiliary'] must be a list of dicts of boxes and logits, got {type(auxiliary).__name__}"
        )
    layers = [(f"y_pred['auxiliary'][{place}]", layer) for place, layer in enumerate(auxiliary)]
    layers.append(("y_pred", y_pred))
    predictions = _stacked(layers, truth.boxes, channels, dtype)
    if "denoising" not in y_pred:
        return predictions, None
    noised = [(f"{name}['denoising']", _entry(name, layer, "denoising")) for name, layer in layers]
    target = of_numbers("y_pred['denoising']['target']", _entry("y_pred['denoising']", y_pred["denoising"], "target"))
    denoised = _stacked(noised, truth.boxes, channels, dtype)
    like = denoised.boxes[:, 0]
    sentence = "y_pred['denoising']['target'] must be [B, d], a slot of y_true for each box"
    target = with_shape(target, [(like, 0), (like, 1)], sentence)
    return predictions, Denoising(denoised, _labels_or_slots(target))


def read_last_layer(y_pred: Any, channels: int, dtype: Any) -> Predictions:
    """The last layer of what :func:`read_predictions` takes, where there is no truth.

    Raises:
      ValueError: something else.
      tf.errors.InvalidArgumentError: the same, where it shows only when run.
    """
    if isinstance(y_pred, Mapping):
        return _stacked([("y_pred", y_pred)], None, channels, dtype)
    predictions = _unpacked(y_pred, None, channels, dtype)
    return Predictions(*(one[:, -1:] for one in predictions))


def _stacked(layers: Sequence[tuple[str, Any]], images: Any, channels: int, dtype: Any) -> Predictions:
    """Predictions for as many images as ``images`` has along its first axis; for any number if that is None."""
    of_truth = "" if images is None else " for the images of y_true, as many in every layer"
    boxes: list[Any] = []
    logits: list[Any] = []
    for name, layer in layers:
        one = of_numbers(f"{name}['boxes']", _entry(name, layer, "boxes"))
        first = boxes[0] if boxes else one
        batch = (first if images is None else images, 0)
        boxes.append(with_shape(one, [batch, (first, 1), 4], f"{name}['boxes'] must be [B, m, 4]{of_truth}"))
        other = of_numbers(f"{name}['logits']", _entry(name, layer, "logits"))
        sentence = f"{name}['logits'] must be [B, m, {channels}] with this classification and num_classes"
        logits.append(with_shape(other, [batch, (first, 1), channels], sentence))
    return Predictions(*(tf.stack([tf.cast(one, dtype) for one in ones], axis=1) for ones in (boxes, logits)))


def _unpacked(y_pred: Any, images: Any, channels: int, dtype: Any) -> Predictions:
    """Predictions for as many images as ``images`` has along its first axis; for any number if that is None."""
    sentence = (
        "y_pred must be a dict of boxes [B, m, 4] and logits [B, m, channels], or packed [B, m, 4 + channels] or "
        "[B, layers, m, 4 + channels], with a known number of layers"
    )
    packed = tf.cast(of_numbers("y_pred", _one_tensor(y_pred, sentence)), dtype)
    if packed.shape.rank == 3:
        packed = packed[:, tf.newaxis]
    if packed.shape.rank != 4 or packed.shape[1] is None:
        raise ValueError(f"{sentence}; got shape {packed.shape}")
    first = packed if images is None else images
    dimensions: list[Dimension] = [(first, 0), (packed, 1), (packed, 2), 4 + channels]
    sentence = (
        f"packed y_pred must hold 4 box coordinates and {channels} logits with this classification and num_classes"
    )
    packed = with_shape(packed, dimensions, sentence)
    return Predictions(packed[..., :4], packed[..., 4:])


def _one_for_each_box(labels: Any, ragged_boxes: Any, given_labels: Any) -> Any:
    """Padded ``labels``, checked to have none for the padding of ``ragged_boxes``: ``given_labels`` are ragged with the
    same lengths, or are negative there.

    Raises:
      tf.errors.InvalidArgumentError: others. Where there is a GPU the image's labels are no numbers instead, as the
        check would wait for the device.
    """
    boxes = tf.cast(ragged_boxes.row_lengths(), tf.int64)
    if isinstance(given_labels, tf.RaggedTensor):
        number = tf.cast(given_labels.row_lengths(), tf.int64)
        fits = tf.equal(number, boxes)
        sentence = _LABELS
    else:
        places = range_int64(tf.shape(labels)[1])
        number = tf.reduce_max(tf.where(labels >= 0, places + 1, tf.zeros_like(places)), axis=1)
        fits = number <= boxes
        sentence = f"{_LABELS}, and negative behind the last box of an image"
    checks = []
    if not has_gpu():
        checks = require(tf.reduce_all(fits), lambda: [f"{sentence}; got", number, "labels for", boxes, "boxes"])
    with tf.control_dependencies(checks):
        return tf.where(fits[:, tf.newaxis], labels, constant(NO_NUMBER, tf.int64))


def _labels_or_slots(values: Any) -> Any:
    """As int64. Floats are clipped at 1e9, which is too large for a class or a slot."""
    return as_whole(values, -1.0, 1e9, NO_NUMBER)


def merged(tensor: Any) -> Any:
    """``[a, b, ...]`` as ``[a · b, ...]``. No size is inferred, since that fails where another is 0."""
    first, second, *others = sizes_of(tensor)
    return tf.reshape(tensor, [first * second, *others])


def _one_tensor(values: Any, sentence: str) -> Any:
    """``values`` as a tensor, ragged or not; a tuple of boxes and labels is refused.

    Raises:
      ValueError: ``sentence``, with what was got.
    """
    if isinstance(values, tf.RaggedTensor):
        return values
    if isinstance(values, tuple):
        raise ValueError(f"{sentence}; got a tuple")  # noqa: TRY004 - as for any other wrong form
    try:
        return tf.convert_to_tensor(values)
    except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(
            f"{sentence}; got {type(values).__name__}, of which no single tensor can be made: {error}"
        ) from error


def _entry(name: str, values: Any, key: str) -> Any:
    if not isinstance(values, Mapping) or key not in values:
        got = sorted(values) if isinstance(values, Mapping) else type(values).__name__
        raise ValueError(f"{name} must be a dict with {key!r}, got {got}")
    return values[key]


def _without_column(labels: Any) -> Any:
    """Labels ``[B, n, 1]`` as ``[B, n]``, where their rank is unknown, too; others as they are."""
    rank = labels.shape.rank
    if rank == 3 and labels.shape[-1] == 1:
        return labels[..., 0]
    if rank is not None and (rank != 3 or labels.shape[-1] is not None):
        return labels
    shape = tf.shape(labels)
    is_column = tf.equal(tf.size(shape), 3) & tf.equal(tf.concat([shape, [1, 1, 1]], axis=0)[2], 1)
    return tf.reshape(labels, shape[: tf.size(shape) - tf.cast(is_column, tf.int32)])


def _padded(name: str, values: Any, features: int) -> Any:
    """A RaggedTensor as a tensor, with −1 where there was nothing. ``features`` is how many numbers each of its objects
    should have."""
    if not isinstance(values, tf.RaggedTensor):
        return of_numbers(name, values)
    checked_numbers(name, values)
    if values.dtype.is_unsigned:
        values = tf.cast(values, tf.int64)  # There is no -1.
    values = with_equal_features(values, features)
    width = values.shape[-1] if values.shape.rank == 3 else None
    # Where XLA refuses it, the error shows this name.
    with tf.name_scope(_PADDING):
        padded = values.to_tensor(default_value=tf.constant(-1, values.dtype))
    return padded if width is None else tf.ensure_shape(padded, [None, None, width])
