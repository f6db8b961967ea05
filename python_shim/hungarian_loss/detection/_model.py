"""``SetPredictionModel``: a Keras model whose loss sees all outputs and targets at once."""

import functools
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from hungarian_loss._objects import per_sample_weight
from hungarian_loss.detection._detr_loss import DetrLoss, Reduction
from hungarian_loss.detection._normalization import number_of_replicas, over_replicas


@keras.saving.register_keras_serializable(package="hungarian_loss")
class SetPredictionModel(keras.Model):  # type: ignore[misc]
    """A Keras model that is compiled with one loss for all its outputs together, such as :class:`DetrLoss`.

    Keras calls a loss once for each output, and wants targets of the outputs' structure. Here the loss is called once,
    with y and y_pred as they are: dicts, lists within them, ragged targets. Otherwise it is a ``keras.Model``:
    ``SetPredictionModel(inputs, outputs)`` or a subclass of it, with ``fit``, ``evaluate``, saving and compiling as
    usual.

    The loss is a :class:`keras.losses.Loss`, or a function of y and y_pred that returns ``[B]`` or a scalar. Whatever
    else ``compile`` takes, such as names, lists and dicts of losses, Keras applies to each output.

    With a :class:`DetrLoss` the terms of the loss show as metrics beside it, from the same matching; they are means
    over the samples, as "loss" is, and under a ``tf.distribute`` strategy those of one device, too, except in two cases:
    with the reduction "mean_with_sample_weight" each replica takes its own weighted mean, and with the reduction
    ``None`` the "loss" that Keras shows, though not the terms, is not that of one device. Terms that the outputs of a
    step do not have, such as those of auxiliary layers that are there in training only, do not show.

    ``sample_weight`` is one weight for each image, ``[B]``. Where Keras turns it into a dict with the structure of y,
    its first entry is used.

    Raises:
      ValueError: compiled with ``loss_weights`` beside a loss for all outputs, which may have weights of its own;
        fitted with ``jit_compile`` and ragged targets, which XLA cannot pad.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Where inputs and outputs are given, the model's class becomes a subclass that Keras takes for functional."""
        # Keras would make this class itself functional, and with it all its subclasses, functional or not.
        cls: Any = type(self)
        if _are_inputs_and_outputs(args, kwargs) and not issubclass(cls, _functional()):
            self.__class__ = _functional_subclass(cls)
        super().__init__(*args, **kwargs)

    def __reduce__(self) -> Any:
        """For pickle and copy.deepcopy, as Keras does it for its models, by saving and loading."""
        load, *rest = super().__reduce__()
        # The loader of a class that pickle can import. The saved model itself says which class it has.
        cls = vars(type(self)).get("_made_of", type(self))
        return getattr(cls, load.__name__), *rest

    @property
    def metrics(self) -> list[Any]:
        """What Keras tracks, and a mean for each term of the loss."""
        return [*super().metrics, *self._terms.values()]

    @property
    def _terms(self) -> dict[str, Any]:
        return self._known_terms.means

    @property
    def _known_terms(self) -> "_Terms":
        # Not an attribute that Keras tracks: a built model accepts no more of these, and the terms are known only after
        # a call.
        terms, loss = self.__dict__.get("_means_of_terms"), getattr(self, "loss", None)
        if terms is None or terms.loss is not loss:
            terms = self.__dict__["_means_of_terms"] = _Terms(loss)
        return terms

    def get_metrics_result(self) -> dict[str, Any]:
        """As in Keras, without some terms of the loss: in a traced step without those that it does not update, else
        without those that no step has updated since the last reset."""
        results = super().get_metrics_result()
        idle = self._known_terms.idle()
        return {name: result for name, result in results.items() if name not in idle}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss of a batch with the losses of layers, a scalar unless the loss has no reduction. Keras calls it in
        ``fit`` and ``evaluate``."""
        loss: Any = getattr(self, "loss", None)
        is_function = callable(loss) and not isinstance(loss, (type, keras.losses.Loss))
        # With single tensors Keras calls a function only once anyway, and aligns their shapes for it.
        is_function &= tf.nest.is_nested(y) or tf.nest.is_nested(y_pred)
        if not is_function and not isinstance(loss, keras.losses.Loss):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        factors = getattr(self._compile_loss, "_user_loss_weights", None)
        if factors is not None:
            name = getattr(loss, "__name__", type(loss).__name__)
            raise ValueError(
                f"a loss for all outputs takes no loss_weights, got {factors!r}; {name} may have weights itself"
            )
        if self.jit_compile and any(isinstance(one, tf.RaggedTensor) for one in tf.nest.flatten(y)):
            raise ValueError(
                "got ragged targets with jit_compile, and XLA cannot pad a RaggedTensor; pad them, "
                "with tf.data's padded_batch and -1 as the label of an empty slot, or compile with jit_compile=False"
            )
        weights = [weight for weight in tf.nest.flatten(sample_weight) if weight is not None]
        weight = weights[0] if weights else None
        if isinstance(loss, DetrLoss):
            total, terms = loss.with_components(y, y_pred, weight)
            # The number of samples, which Keras takes from x for the mean of the loss. A custom step need not give x.
            boxes = y_pred["boxes"] if isinstance(y_pred, Mapping) else y_pred
            total, samples = _as_shown(total, tf.shape(boxes)[0])
            self._track(terms, samples)
        else:
            total = _reduced(loss(y, y_pred), weight) if is_function else loss(y, y_pred, weight)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        # As Keras does: gradients are summed over the replicas.
        return tf.add_n([total, *(tf.cast(tf.reduce_sum(loss), total.dtype) / replicas for loss in self.losses)])

    def make_train_function(self, force: bool = False) -> Any:
        """As in Keras, but makes the optimizer's variables before a step is traced: TensorFlow traces a function twice
        that makes variables."""
        optimizer = getattr(self, "optimizer", None)
        # A custom step may train other variables. Under a strategy Keras makes the variables itself.
        is_of_keras = type(self).train_step is keras.Model.train_step
        if is_of_keras and self.built and optimizer is not None and not tf.distribute.has_strategy():
            optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def _track(self, terms: dict[str, Any], samples: Any) -> None:
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for name, value in terms.items():
            if name not in self._terms:
                with tf.init_scope(), tf.variable_creator_scope(_not_noticed):
                    self._terms[name] = keras.metrics.Mean(name=name)
            self._terms[name].update_state(tf.stop_gradient(value) * replicas, sample_weight=samples)
        self._known_terms.update(terms)


def _as_shown(loss: Any, samples: Any) -> tuple[Any, Any]:
    """The loss of a replica with the mean over the replicas as its value, and the mean number of samples. A loss that is
    not reduced stays as it is.

    A replica's loss and terms are its parts of those of the batch. So each counts with the same number of samples; and
    since Keras itself weighs losses with each replica's own, all replicas show the same. The gradient is still that of
    the replica's part.
    """
    if number_of_replicas() == 1:
        return loss, samples
    real = tf.float64 if loss.dtype == tf.float64 else tf.float32
    samples = tf.cast(samples, real)
    if loss.shape.rank != 0:
        whole, replicas = over_replicas(samples)
        return loss, whole / replicas
    whole, replicas = over_replicas(tf.stack([samples, tf.cast(loss, real)]))
    samples, mean = tf.unstack(whole / replicas)
    return tf.grad_pass_through(lambda _: tf.cast(mean, loss.dtype))(loss), samples


def _not_noticed(make: Any, **options: Any) -> Any:
    """Makes a variable unnoticed by the function that is being traced, which would otherwise be traced once more."""
    return make(**{**options, "experimental_enable_variable_lifting": False})


def _reduced(values: Any, weight: Any) -> Any:
    """The value of a loss function, reduced to a scalar as in Keras."""
    values = tf.convert_to_tensor(values)
    if weight is not None and values.shape.rank != 0:
        weight = per_sample_weight(weight, values)
    return Reduction()(values, values, weight)


def _are_inputs_and_outputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    given = [*args, *(kwargs[name] for name in ("inputs", "outputs") if name in kwargs)]
    return len(given) >= 2 and all(isinstance(one, keras.KerasTensor) for one in keras.tree.flatten(given[:2]))


@functools.cache
def _functional() -> Any:
    """Keras's class of models made of inputs and outputs, which has no public name."""
    inputs = keras.Input([1], name="inputs")
    return type(keras.Model(inputs, keras.layers.Identity(name="identity")(inputs), name="model"))


@functools.cache
def _functional_subclass(cls: Any) -> Any:
    """A subclass of ``cls`` for models made of inputs and outputs, which are saved as ``cls``."""
    names = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    subclass = type(cls.__name__, (cls, _functional()), {**names, "_made_of": cls})
    package, _, name = keras.saving.get_registered_name(cls).rpartition(">")
    if package:
        for one in (subclass, cls):  # The last is the one that is found by this name.
            keras.saving.register_keras_serializable(package, name)(one)
    return subclass


class _Terms:
    """Means of the terms of a loss. Keras does not track what this object holds."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss
        self.means: dict[str, Any] = {}
        self._graph: Any = None
        self._in_graph: set[str] = set()

    def update(self, names: Iterable[str]) -> None:
        """Notes which terms a step that is being traced updates."""
        if tf.executing_eagerly():
            return
        graph = tf.compat.v1.get_default_graph()
        if self._graph is None or self._graph() is not graph:
            self._graph, self._in_graph = weakref.ref(graph), set()
        self._in_graph |= set(names)

    def idle(self) -> set[str]:
        """Names of the terms that have no value: in a traced step those that it does not update, else those without a
        sample since the last reset."""
        if tf.executing_eagerly():
            return {name for name, mean in self.means.items() if float(tf.convert_to_tensor(mean.count)) == 0}
        is_known = self._graph is not None and self._graph() is tf.compat.v1.get_default_graph()
        return set(self.means) - self._in_graph if is_known else set()
