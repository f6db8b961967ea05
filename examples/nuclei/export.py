"""Writes a trained model as a SavedModel that predicts, matches and goes on learning without Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from data import SLOTS, TILE, Tiles
from hungarian_loss import assignment_mask
from hungarian_loss.detection import DetrLoss

LEARNING_RATE = 1e-4


class NucleusFinder:
    """The model, its loss and an optimizer, behind three functions to export.

    All take ``tiles``, float32 [batch, TILE, TILE, 1]; ``match`` and ``train_step`` also take ``objects``, float32
    [batch, SLOTS, 5]: a box and its label each, −1 for an empty slot.
    """

    def __init__(self, model: keras.Model, loss: DetrLoss) -> None:
        self._model = model
        self._loss = loss
        self._optimizer = keras.optimizers.AdamW(LEARNING_RATE, global_clipnorm=1.0)
        # A SavedModel can only hold variables that exist before its functions are traced.
        self._optimizer.build(model.trainable_variables)

    def variables(self) -> list[tf.Variable]:
        """All that the functions read and write.

        These are TensorFlow's variables, taken out of the Keras ones. A SavedModel that holds a Keras model or variable
        itself gets its values back in Python only: through the C API each variable appears twice, and the copy that is
        read stays empty.
        """
        return [variable.value for variable in (*self._model.variables, *self._optimizer.variables)]

    def predict(self, tiles: tf.Tensor) -> dict[str, tf.Tensor]:
        """``boxes`` float32 [batch, queries, 4] in fractions, ``scores`` float32 [batch, queries]."""
        predictions = self._model(tiles)
        return {"boxes": predictions["boxes"], "scores": tf.nn.softmax(predictions["logits"])[..., 0]}

    def match(self, tiles: tf.Tensor, objects: tf.Tensor) -> dict[str, tf.Tensor]:
        """The matching that the loss makes.

        ``row_to_col`` int32 [batch, SLOTS], the prediction matched with each true object, −1 in empty slots; ``cost``
        float32 [batch, SLOTS], of that pair; ``loss`` float32 [batch].
        """
        predictions = self._model(tiles)
        matching = self._loss.match(objects, predictions)
        row_to_col = matching.assignment.row_to_col
        matched = assignment_mask(row_to_col, tf.shape(matching.cost)[-1])
        return {
            "row_to_col": row_to_col,
            "cost": tf.reduce_sum(tf.where(matched, matching.cost, 0.0), axis=-1),
            "loss": self._loss.call(objects, predictions),
        }

    def train_step(self, tiles: tf.Tensor, objects: tf.Tensor) -> dict[str, tf.Tensor]:
        """One step of the optimizer; ``loss`` float32 [], the mean over the batch before the step."""
        with tf.GradientTape() as tape:
            loss = self._loss(objects, self._model(tiles, training=True))
        variables = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


def export(model: keras.Model, loss: DetrLoss, examples: Tiles, folder: Path) -> Path:
    """Writes ``folder``/saved_model, whose path it returns, and the examples: tiles.npy and objects.npy."""
    finder = NucleusFinder(model, loss)
    module = tf.Module()
    module.all_variables = finder.variables()
    tiles = tf.TensorSpec([None, TILE, TILE, 1], tf.float32, name="tiles")
    objects = tf.TensorSpec([None, SLOTS, 5], tf.float32, name="objects")
    signatures = {
        "predict": _trace(finder.predict, tiles),
        "match": _trace(finder.match, tiles, objects),
        "train_step": _trace(finder.train_step, tiles, objects),
    }
    saved_model = folder / "saved_model"
    tf.saved_model.save(module, str(saved_model), signatures=signatures)
    np.save(folder / "tiles.npy", examples.images)
    np.save(folder / "objects.npy", packed(examples.objects))
    return saved_model


def packed(objects: dict[str, np.ndarray]) -> np.ndarray:
    """Boxes and labels in one array, [tiles, SLOTS, 5], which DetrLoss takes as well."""
    return np.concatenate([objects["boxes"], objects["labels"][..., np.newaxis]], axis=-1).astype(np.float32)


def _trace(function: Callable[..., dict[str, tf.Tensor]], *inputs: tf.TensorSpec) -> Any:
    # No Python branches or loops depend on a tensor here, so there is nothing for autograph to convert.
    return tf.function(function, autograph=False).get_concrete_function(*inputs)
