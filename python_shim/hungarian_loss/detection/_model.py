"""``SetPredictionModel``: a Keras model whose loss sees all outputs and targets at once."""

from typing import Any

import keras
import tensorflow as tf

from hungarian_loss.detection._detr_loss import DetrLoss


@keras.saving.register_keras_serializable(package="hungarian_loss")
class SetPredictionModel(keras.Model):  # type: ignore[misc]
    """A Keras model that is compiled with one loss for all that it predicts, such as :class:`DetrLoss`.

    Keras calls a loss once for each output, and wants targets of the outputs' structure. Here the loss is called once, with y and
    y_pred as they are: dicts, lists within them, ragged targets. Otherwise it is a ``keras.Model``: ``SetPredictionModel(inputs, outputs)``
    or a subclass of it, with ``fit``, ``evaluate``, saving and compiling as ever.

    With a :class:`DetrLoss` the terms of the loss show as metrics beside it, matched once; they are means over the samples, as "loss" is.

    ``sample_weight`` is one weight for each image, ``[B]``. Where Keras makes a dict of it, of the structure of y, the first of its
    entries counts.

    Raises:
      ValueError: when fitted with ``jit_compile`` and ragged targets, which XLA cannot pad.
    """

    @property
    def metrics(self) -> list[Any]:
        """What Keras tracks, and a mean for each term of the loss."""
        return [*super().metrics, *self._terms.values()]

    @property
    def _terms(self) -> dict[str, Any]:
        # Not an attribute that Keras tracks: a built model takes no more of these, and only a loss that is called knows its terms.
        return self.__dict__.setdefault("_means_of_terms", _Untracked()).means  # type: ignore[no-any-return]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss of a batch, a scalar, with what layers add; Keras calls it in ``fit`` and ``evaluate``."""
        if not isinstance(self.loss, keras.losses.Loss):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        if self.jit_compile and any(isinstance(one, tf.RaggedTensor) for one in tf.nest.flatten(y)):
            raise ValueError(
                "got ragged targets with jit_compile, and XLA cannot pad a RaggedTensor; pad them, "
                "with tf.data's padded_batch and -1 as the label of an empty slot, or compile with jit_compile=False"
            )
        weights = [weight for weight in tf.nest.flatten(sample_weight) if weight is not None]
        weight = weights[0] if weights else None
        if isinstance(self.loss, DetrLoss):
            total, terms = self.loss.with_components(y, y_pred, weight)
            self._track(terms, tf.shape(tf.nest.flatten(x)[0])[0])
        else:
            total = self.loss(y, y_pred, weight)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        # As Keras does: gradients are summed over the replicas.
        return tf.add_n([total, *(tf.cast(tf.reduce_sum(loss), total.dtype) / replicas for loss in self.losses)])

    def _track(self, terms: dict[str, Any], samples: Any) -> None:
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        for name, value in terms.items():
            if name not in self._terms:
                with tf.init_scope():
                    self._terms[name] = keras.metrics.Mean(name=name)
            self._terms[name].update_state(tf.stop_gradient(value) * replicas, sample_weight=samples)


class _Untracked:
    """Holds what Keras is not to track."""

    def __init__(self) -> None:
        self.means: dict[str, Any] = {}
