"""Writes a trained model as a SavedModel that predicts, matches and goes on learning without Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from canvases import BOX, CANVAS, CLASSES, OBJECTS, Canvases
from hungarian_loss import assignment_mask, compute_euclidean_distance, linear_assignment
from losses import matched_loss

LEARNING_RATE = 1e-3


class DigitFinder:
    """The model, its loss and an optimizer, behind three functions to export.

    All take ``canvases``, float32 [batch, CANVAS, CANVAS, 1]; ``match`` and ``train_step`` also take ``objects``,
    float32 [batch, OBJECTS, BOX + CLASSES].
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._loss = matched_loss()
        self._optimizer = keras.optimizers.Adam(LEARNING_RATE)
        # A SavedModel can only hold variables that exist before its functions are traced.
        self._optimizer.build(model.trainable_variables)

    def variables(self) -> list[tf.Variable]:
        """All that the functions read and write.

        These are TensorFlow's variables, taken out of the Keras ones. A SavedModel of a Keras model or variable as it
        is gets its values back in Python only: through the C API each variable appears twice, and the copy that is
        read stays empty.
        """
        return [variable.value for variable in (*self._model.variables, *self._optimizer.variables)]

    def predict(self, canvases: tf.Tensor) -> dict[str, tf.Tensor]:
        """``boxes`` float32 [batch, OBJECTS, BOX] in fractions, ``classes`` float32 [batch, OBJECTS, CLASSES]."""
        boxes, classes = tf.split(self._model(canvases), [BOX, CLASSES], axis=-1)
        return {"boxes": boxes, "classes": classes}

    def match(self, canvases: tf.Tensor, objects: tf.Tensor) -> dict[str, tf.Tensor]:
        """The matching that the loss makes.

        ``row_to_col`` int32 [batch, OBJECTS], the prediction matched with each true object; ``cost`` float32
        [batch, OBJECTS], the distance between their boxes; ``loss`` float32 [batch].
        """
        predictions = self._model(canvases)
        cost = compute_euclidean_distance(objects[..., :BOX], predictions[..., :BOX])
        row_to_col = linear_assignment(cost).row_to_col
        matched = assignment_mask(row_to_col, tf.shape(cost)[-1])
        return {
            "row_to_col": row_to_col,
            "cost": tf.reduce_sum(tf.where(matched, cost, 0.0), axis=-1),
            "loss": self._loss.call(objects, predictions),
        }

    def train_step(self, canvases: tf.Tensor, objects: tf.Tensor) -> dict[str, tf.Tensor]:
        """One step of the optimizer; ``loss`` float32 [], the mean over the batch before the step."""
        with tf.GradientTape() as tape:
            loss = self._loss(objects, self._model(canvases, training=True))
        variables = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


def export(model: keras.Model, examples: Canvases, folder: Path) -> Path:
    """Writes ``folder``/saved_model, whose path it returns, and the examples: canvases.npy and objects.npy."""
    finder = DigitFinder(model)
    module = tf.Module()
    module.all_variables = finder.variables()
    canvases = tf.TensorSpec([None, CANVAS, CANVAS, 1], tf.float32, name="canvases")
    objects = tf.TensorSpec([None, OBJECTS, BOX + CLASSES], tf.float32, name="objects")
    signatures = {
        "predict": _trace(finder.predict, canvases),
        "match": _trace(finder.match, canvases, objects),
        "train_step": _trace(finder.train_step, canvases, objects),
    }
    saved_model = folder / "saved_model"
    tf.saved_model.save(module, str(saved_model), signatures=signatures)
    np.save(folder / "canvases.npy", examples.images)
    np.save(folder / "objects.npy", examples.objects)
    return saved_model


def _trace(function: Callable[..., dict[str, tf.Tensor]], *inputs: tf.TensorSpec) -> Any:
    # No Python branches or loops depend on a tensor here, so there is nothing for autograph to convert.
    return tf.function(function, autograph=False).get_concrete_function(*inputs)
