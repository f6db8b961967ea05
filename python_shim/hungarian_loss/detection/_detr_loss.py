"""``DetrLoss``: the loss of the DETR family."""

import inspect
import math
import numbers
from typing import Any

import keras
import tensorflow as tf

from hungarian_loss._assignment import Assignment, linear_assignment
from hungarian_loss._checks import require
from hungarian_loss._inputs import constant
from hungarian_loss._matching import GradientGate, Matching, is_solved
from hungarian_loss._objects import per_sample_weight
from hungarian_loss._options import one_of, whole_number
from hungarian_loss._placement import has_gpu
from hungarian_loss._types import Tensor, TensorLike
from hungarian_loss.detection._boxes import center_and_size, checked_format, checked_iou
from hungarian_loss.detection._classification import CLASSIFICATIONS, Classification, Settings
from hungarian_loss.detection._costs import giou_cost, l1_cost
from hungarian_loss.detection._detections import Detections, best_of
from hungarian_loss.detection._normalization import Divisors, over_replicas
from hungarian_loss.detection._sets import (
    NO_NUMBER,
    Denoising,
    Predictions,
    Truth,
    read_last_layer,
    read_predictions,
    read_truth,
)
from hungarian_loss.detection._targets import Sums, Targets, of_assignment, of_denoising, sums_of

_NORMALIZATIONS = ("batch", "sample")


@keras.saving.register_keras_serializable(package="hungarian_loss")
class DetrLoss(keras.losses.Loss):  # type: ignore[misc]
    """The loss of DETR and its family: objects and predictions matched one to one, then class, L1 and IoU terms.

    Example::

        model = SetPredictionModel(inputs, {"boxes": boxes, "logits": logits})
        model.compile(optimizer="adamw", loss=DetrLoss(num_classes=20))
        model.fit(images, {"boxes": true_boxes, "labels": true_labels})

    Predictions without an object learn to say "no object". All layers of a decoder are matched in one call of the op,
    each on its own. No gradient flows into the choice of the matching, nor into y_true.

    ``call`` returns ``[B]``, whose mean over the batch is the loss of DETR: with ``objects`` the number of real objects
    in the batch, at least 1,

    * class: Σ w·cross entropy / Σ w over all predictions, where w is 1 with an object and ``no_object_weight`` without;
      for focal and varifocal Σ loss / objects;
    * box: Σ (\\|Δ center x| + \\|Δ center y| + \\|Δ width| + \\|Δ height|) / objects;
    * giou: Σ (1 − IoU of the chosen kind) / objects.

    A sample whose loss is not finite has loss NaN or +inf and zero gradient; the matching of the other samples is
    unaffected. Its objects and weights still count in the divisors of all samples.

    Under a ``tf.distribute`` strategy objects and weights are counted over all replicas. Losses and gradients, added up
    over the replicas, are those of one device with the whole batch, also where a last batch leaves replicas with
    unequal numbers of samples; except that with the reduction "mean_with_sample_weight" each replica takes its own
    weighted mean. The "loss" that Keras shows is that of one device for a :class:`SetPredictionModel`, unless the
    reduction is ``None`` or "mean_with_sample_weight". For another model unequal replicas bias what is shown, not the
    training.

    **y_true**: ``{"boxes": [B, n, 4], "labels": [B, n]}`` with a negative label in empty slots, or packed
    ``[B, n, 5]``, a box and its label. Both may be ragged along n. Labels beside ragged boxes are ragged with the same
    lengths, or padded with negative ones.

    **y_pred**: ``{"boxes": [B, m, 4], "logits": [B, m, channels]}``, or packed ``[B, m, 4 + channels]``, or
    ``[B, layers, m, 4 + channels]`` with the last decoder layer last. ``channels`` is ``num_classes + 1`` for softmax,
    the last one "no object", else ``num_classes``. A dict may also hold

    * ``"auxiliary"``: a list of such dicts, one for each decoder layer before the last;
    * ``"denoising"``: ``{"boxes": [B, d, 4], "logits": [B, d, channels], "target": [B, d]}``, predictions from noised
      objects, which bypass the matcher: target is the slot of each prediction's object in y_true, negative for none
      (DN-DETR, arXiv:2203.01305). Then each auxiliary dict has ``"denoising"`` too, without a target. In their terms
      ``objects`` is the number of these predictions that have an object.

    Other keys are ignored. Keras itself calls a loss once for each output of a model, so dicts need a
    :class:`SetPredictionModel`; packed tensors go with any model. Half-precision inputs are computed in float32. A mask
    that Keras attaches to predictions is ignored: all of them count.

    Args:
      num_classes: Number of classes C; labels are 0 to C − 1.
      classification: ``"softmax"`` (DETR, Carion et al. 2020), ``"focal"`` (Deformable DETR, Zhu et al. 2021) or
        ``"varifocal"`` (RT-DETR, Zhao et al. 2024). The default weights below are DETR's for all three; the other two
        were published with ``class_cost=2.0``, Deformable DETR with ``class_weight=2.0`` too.
      class_cost: Weight of the class cost in the matching: :func:`softmax_class_cost`, or :func:`focal_class_cost` for
        the other two.
      box_cost: Weight of :func:`l1_cost` in the matching.
      giou_cost: Weight of :func:`giou_cost` in the matching.
      class_weight: Weight of the class term in the loss.
      box_weight: Weight of the box term in the loss.
      giou_weight: Weight of the IoU term in the loss.
      no_object_weight: Weight of a prediction without an object, for softmax.
      focal_alpha: Weight α of positives in the focal cost and loss; negatives weigh 1 − α. In the varifocal loss a
        positive is weighted by its IoU, and only the weight of negatives is used.
      focal_gamma: Exponent that lowers the weight of easy examples.
      iou: ``"giou"``, ``"ciou"`` or ``"diou"``, in matching and loss.
      box_format: How all boxes are written, see :func:`box_iou`. In every format L1 is that of centers and sizes, in
        the boxes' unit.
      normalization: ``"batch"``, as above, or ``"sample"``: each image is divided by its own objects and weights.
      auxiliary_weight: Weight of each layer before the last.
      repeats: How many predictions each object may be matched with (one-to-many, H-DETR, arXiv:2207.13080); it then
        counts as that many objects.
      groups: Number of groups of queries, one after the other in m, each matched on its own (Group DETR,
        arXiv:2207.13085); objects count once for each. Predictions are always split into that many groups, in
        ``evaluate`` too, even if the model then returns a single group.
      reduction: As in every Keras loss; ``None`` for one value per sample.
      name: Name of the loss.
      dtype: Type of the loss; default: Keras's float type. With float64 all is computed in that, else in float32.

    Raises:
      ValueError: an argument is invalid. When called: y_true or y_pred is not of the form above, shapes do not fit,
        ``sample_weight`` is not a scalar, ``[B]`` or ``[B, 1]``.
      tf.errors.InvalidArgumentError: shapes do not fit, an image of ragged boxes has more or fewer labels than boxes, a
        label is not below ``num_classes``, or a denoising target is beyond the slots of y_true, and this shows only
        when run. Under XLA and where there is a GPU all but the first make the sample's loss NaN instead. A label or
        target that is not a whole number makes it NaN everywhere.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        classification: str = "softmax",
        class_cost: float = 1.0,
        box_cost: float = 5.0,
        giou_cost: float = 2.0,
        class_weight: float = 1.0,
        box_weight: float = 5.0,
        giou_weight: float = 2.0,
        no_object_weight: float = 0.1,
        focal_alpha: float = 0.25,
        focal_gamma: float = 2.0,
        iou: str = "giou",
        box_format: str = "center_xywh",
        normalization: str = "batch",
        auxiliary_weight: float = 1.0,
        repeats: int = 1,
        groups: int = 1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "detr_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.num_classes = whole_number("num_classes", num_classes)
        self.classification = one_of("classification", classification, CLASSIFICATIONS)
        self.class_cost = _number("class_cost", class_cost)
        self.box_cost = _number("box_cost", box_cost)
        self.giou_cost = _number("giou_cost", giou_cost)
        self.class_weight = _number("class_weight", class_weight)
        self.box_weight = _number("box_weight", box_weight)
        self.giou_weight = _number("giou_weight", giou_weight)
        self.no_object_weight = _number("no_object_weight", no_object_weight)
        self.focal_alpha = _number("focal_alpha", focal_alpha, most=1.0)
        self.focal_gamma = _number("focal_gamma", focal_gamma)
        self.iou = checked_iou(iou)
        self.box_format = checked_format(box_format)
        self.normalization = one_of("normalization", normalization, _NORMALIZATIONS)
        self.auxiliary_weight = _number("auxiliary_weight", auxiliary_weight)
        self.repeats = whole_number("repeats", repeats)
        self.groups = whole_number("groups", groups)
        if self.class_cost == self.box_cost == self.giou_cost == 0:
            raise ValueError("one of class_cost, box_cost and giou_cost must be above 0: nothing else is matched by")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: TensorLike | None = None) -> Tensor:
        """Loss reduced over the batch, like every Keras loss; ``sample_weight`` is a scalar, ``[B]`` or ``[B, 1]``."""
        with tf.name_scope(self.name):
            losses = self.call(y_true, y_pred)
            return self._reduced(losses, _checked_weight(sample_weight, losses), self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """Loss of each image, ``[B]``."""
        return tf.add_n(list(self._values(y_true, y_pred).values()))

    def components(self, y_true: Any, y_pred: Any, sample_weight: TensorLike | None = None) -> dict[str, Tensor]:
        """The terms of the loss, weighted, reduced over the batch: they add up to the loss.

        Args:
          y_true: As in the loss.
          y_pred: As in the loss.
          sample_weight: A scalar, ``[B]`` or ``[B, 1]``.

        Returns:
          Scalars ``"class"``, ``"box"`` and ``"giou"`` of the last layer, ``"auxiliary_0_class"`` and so on of those
          before it, then ``"denoising_class"``, ``"auxiliary_0_denoising_class"`` and so on. With ``reduction=None``
          they are means over the batch.
        """
        return self.with_components(y_true, y_pred, sample_weight)[1]

    def with_components(
        self, y_true: Any, y_pred: Any, sample_weight: TensorLike | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its :meth:`components`, with one matching for both."""
        with tf.name_scope(self.name):
            values = self._values(y_true, y_pred)
            losses = tf.add_n(list(values.values()))
            weight = _checked_weight(sample_weight, losses)
            reduction = "sum" if self._is_unreduced else self.reduction
            terms = {name: self._reduced(value, weight, reduction) for name, value in values.items()}
            if self._is_unreduced:
                samples, _ = over_replicas(tf.cast(tf.shape(losses)[0], losses.dtype))
                terms = {
                    name: tf.math.divide_no_nan(sum_, tf.cast(samples, sum_.dtype)) for name, sum_ in terms.items()
                }
            return self._reduced(losses, weight, self.reduction), terms

    @tf.autograph.experimental.do_not_convert
    def match(self, y_true: Any, y_pred: Any) -> Matching:
        """The matching of the last layer: costs ``[B, n, m]``, masks, and the assignment.

        With ``repeats`` n counts each object that many times, with its copies adjacent. With ``groups`` it is the
        matching of the first group, the one that is used after training.
        """
        truth, predictions, _ = self._read(y_true, y_pred)
        objects = truth.repeated(self.repeats)
        last = Predictions(predictions.boxes[:, -1:], predictions.logits[:, -1:]).in_groups(self.groups)
        first = Predictions(last.boxes[:, :1], last.logits[:, :1])
        cost, assignment = self._match(objects, first)
        boxes = tuple(
            tf.stack(center_and_size(one, self.box_format), axis=-1) for one in (objects.boxes, first.boxes[:, 0])
        )
        assignment = Assignment(*(output[:, 0] for output in assignment))
        return Matching(cost[:, 0], objects.exists, None, assignment, boxes, repeats=self.repeats)

    @tf.autograph.experimental.do_not_convert
    def detections(self, y_pred: Any, k: int = 100) -> Detections:
        """The ``k`` best detections in each image, from the last layer; in a graph, too. Low scores are not left out.

        With softmax a prediction shows one class, the likeliest, and its score is that class's probability. With focal
        and varifocal it may show several, each with a score of its own. With ``groups`` the first group counts, as in
        :meth:`match`; with ``repeats`` an object may be found that many times.

        Args:
          y_pred: As in the loss, without a truth: a dict with ``"boxes"`` and ``"logits"``, or packed.
          k: How many; where there are fewer, all of them.

        Returns:
          :class:`Detections`. At equal scores the earlier prediction comes first.

        Raises:
          ValueError: ``k`` is no whole number, 1 or more; y_pred is not of the form that the loss takes.
          tf.errors.InvalidArgumentError: the latter, where it shows only when run.

        Source: the post-processing of DETR (Carion et al. 2020) and of Deformable DETR (Zhu et al. 2021).
        """
        k = whole_number("k", k)
        last = read_last_layer(y_pred, self._channels, self._real).in_groups(self.groups)
        return best_of(last, k, self._classification.has_no_object)

    def _reduced(self, values: Any, weight: Any, reduction: str | None) -> Any:
        return Reduction(reduction=reduction, dtype=self.dtype)(values, values, weight)

    def _read(self, y_true: Any, y_pred: Any) -> tuple[Truth, Predictions, Denoising | None]:
        truth = read_truth(y_true, self._real)
        predictions, denoising = read_predictions(y_pred, truth, self._channels, self._real)
        sentence = f"labels must be below num_classes, {self.num_classes}, and negative in empty slots; the largest is"
        truth = Truth(truth.boxes, _with_checked_largest(truth.labels, self.num_classes, sentence))
        if denoising is not None:
            sentence = "y_pred['denoising']['target'] must be slots of y_true, negative for none; the largest is"
            target = _with_checked_largest(denoising.target, _slots(truth), sentence)
            denoising = Denoising(denoising.predictions, target)
        return truth, predictions, denoising

    @property
    def _is_unreduced(self) -> bool:
        return self.reduction in (None, "none")

    @property
    def _real(self) -> Any:
        """The type of boxes and logits."""
        return tf.float64 if self.dtype == "float64" else tf.float32

    @property
    def _channels(self) -> int:
        return self.num_classes + self._classification.has_no_object

    @property
    def _classification(self) -> Classification:
        return CLASSIFICATIONS[self.classification]

    @property
    def _settings(self) -> Settings:
        return Settings(self.no_object_weight, self.focal_alpha, self.focal_gamma)

    def _match(self, truth: Truth, predictions: Predictions) -> tuple[Any, Assignment]:
        """Costs ``[B, layers, n, m]`` and the assignments of each layer. The choice has no gradient."""
        cost = self._costs(truth, predictions)
        return cost, linear_assignment(cost, row_mask=truth.exists[:, tf.newaxis])

    def _costs(self, truth: Truth, predictions: Predictions) -> Any:
        boxes, logits = (tf.stop_gradient(one) for one in predictions)
        true_boxes, labels = truth.boxes[:, tf.newaxis], truth.labels[:, tf.newaxis]
        terms = []
        if self.class_cost:
            terms.append(self.class_cost * self._classification.cost(labels, logits, self._settings))
        if self.box_cost:
            terms.append(self.box_cost * l1_cost(true_boxes, boxes, box_format=self.box_format))
        if self.giou_cost:
            terms.append(self.giou_cost * giou_cost(true_boxes, boxes, box_format=self.box_format, iou=self.iou))
        return tf.add_n(terms)

    # Nothing here needs autograph, which would take seconds to read it.
    @tf.autograph.experimental.do_not_convert
    def _values(self, y_true: Any, y_pred: Any) -> dict[str, Any]:
        """The terms of each image's loss, ``[B]`` each, by their names."""
        truth, predictions, denoising = self._read(y_true, y_pred)
        gate = GradientGate()
        predictions = Predictions(*gate(*predictions))
        objects, sets = truth.repeated(self.repeats), predictions.in_groups(self.groups)
        _, assignment = self._match(objects, sets)
        number = self.groups * tf.reduce_sum(tf.cast(objects.exists, objects.boxes.dtype), axis=1, keepdims=True)
        targets = of_assignment(assignment, objects, self.num_classes)
        parts = [("", self._sums(sets, targets, predictions.layers), number)]
        if denoising is not None:
            noised = Predictions(*gate(*denoising.predictions))
            targets = of_denoising(denoising, truth, self.num_classes)
            number = tf.reshape(targets.pairs.count, [-1, noised.layers])[:, :1]
            parts.append(("denoising_", self._sums(noised, targets, noised.layers), number))

        values = self._means(parts)
        total = tf.add_n(list(values.values()))
        solved = is_solved(assignment)
        known = tf.reduce_all(truth.labels < self.num_classes, axis=1)
        if denoising is not None:
            known &= tf.reduce_all(denoising.target < _slots(truth), axis=1)
        gate.is_good = tf.reduce_all(solved, axis=1) & known & tf.math.is_finite(total)
        # The op's total cost is NaN or +inf where it cannot solve a problem.
        bad = tf.reduce_sum(tf.where(solved, tf.zeros_like(assignment.total_cost), assignment.total_cost), axis=1)
        bad = tf.where(known, tf.cast(bad, total.dtype) + total, constant(math.nan, total.dtype))
        return {name: tf.where(gate.is_good, value, tf.stop_gradient(bad)) for name, value in values.items()}

    def _sums(self, predictions: Predictions, targets: Targets, layers: int) -> Sums:
        return sums_of(predictions, targets, layers, self._classification, self._settings, self.iou, self.box_format)

    def _means(self, parts: list[tuple[str, Sums, Any]]) -> dict[str, Any]:
        """Weighted means by name, those of the last layer first. Each part holds its number of objects, ``[B, 1]``."""
        counts = [count for _, sums, number in parts for count in (number, sums.weights) if count is not None]
        in_means = not self._is_unreduced and self.reduction != "sum"
        divisors = iter(Divisors(counts, over_batch=self.normalization == "batch", in_means=in_means))
        values: dict[str, Any] = {}
        for part, sums, _ in parts:
            per_object = next(divisors)
            per_weight = per_object if sums.weights is None else next(divisors)
            means = {
                "class": self.class_weight
                * per_weight(sums.classes, at_least=0.0 if sums.weights is not None else 1.0),
                "box": self.box_weight * per_object(sums.boxes, at_least=1.0),
                "giou": self.giou_weight * per_object(sums.ious, at_least=1.0),
            }
            *before, last = range(sums.boxes.shape[1])
            for layer in (last, *before):
                prefix, weight = ("", 1.0) if layer == last else (f"auxiliary_{layer}_", self.auxiliary_weight)
                values |= {f"{prefix}{part}{name}": weight * mean[:, layer] for name, mean in means.items()}
        return values

    def get_config(self) -> dict[str, Any]:
        """Everything that ``from_config`` needs."""
        # Also for a subclass, which may have further arguments, only those of DetrLoss.
        return {name: getattr(self, name) for name in inspect.signature(DetrLoss).parameters}


class Reduction(keras.losses.Loss):  # type: ignore[misc]
    """Weights and reduces losses ``[B]`` as every Keras loss does. DetrLoss itself cannot: Keras casts labels to floats
    before ``call``."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


def _slots(truth: Truth) -> Any:
    return tf.shape(truth.labels, out_type=tf.int64)[1]


def _with_checked_largest(values: Any, below: Any, sentence: str) -> Any:
    """``values``, checked to be less than ``below`` where no GPU makes that slow. What is not a whole number passes: it
    makes the loss NaN."""
    if has_gpu():
        return values  # The check would wait for the device. A sample with such values has loss NaN.
    no_number, passes = constant(NO_NUMBER, tf.int64), constant(-1, tf.int64)
    largest = tf.reduce_max(tf.where(tf.equal(values, no_number), passes, values))
    with tf.control_dependencies(require(largest < below, lambda: [sentence, largest])):
        return tf.identity(values)


def _checked_weight(sample_weight: TensorLike | None, losses: Any) -> Any:
    return None if sample_weight is None else per_sample_weight(sample_weight, losses)


def _number(argument: str, value: Any, most: float = math.inf) -> float:
    """``value`` as a float, finite and in [0, ``most``]."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan
    if not 0 <= number <= most or math.isinf(number):
        expected = "a finite number, 0 or more" if math.isinf(most) else f"a number in [0, {most:g}]"
        raise ValueError(f"{argument} must be {expected}, got {value!r}")
    return number
