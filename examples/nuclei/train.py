"""Trains the same network by any of the losses."""

import sys
from typing import Any

import keras
import tensorflow as tf

from data import Scene, Tiles, random_tiles
from hungarian_loss.detection import DetrLoss
from measure import Detections
from model import make_model

SETTINGS: dict[str, Any] = {
    "num_classes": 1,
    # Not DETR's 0.1: where "none" weighs less, scores are too high to be summed up.
    "no_object_weight": 1.0,
    # The class term is a mean over the 256 queries of a tile, the others are means over its nuclei, some 8.
    "class_weight": 32.0,
}
"""Arguments of DetrLoss; all others have its defaults, which are DETR's."""

BATCH = 16
EPOCHS, STEPS_PER_EPOCH = 6, 40
LEARNING_RATE, WEIGHT_DECAY, LARGEST_GRADIENT = 2e-3, 1e-4, 1.0


def train(half: Scene, loss: DetrLoss, seed: int, steps_per_epoch: int = STEPS_PER_EPOCH) -> keras.Model:
    """Trains a network that starts from the same weights, and sees the same tiles, for the same seed."""
    keras.utils.set_random_seed(seed)
    model = make_model()
    rate = _learning_rate(EPOCHS * steps_per_epoch)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, global_clipnorm=LARGEST_GRADIENT)
    model.compile(optimizer=optimizer, loss=loss)
    tiles = random_tiles(half, BATCH, seed)
    progress = 1 if sys.stdout.isatty() else 2
    model.fit(tiles, epochs=EPOCHS, steps_per_epoch=steps_per_epoch, shuffle=False, verbose=progress)
    return model


def detect(model: keras.Model, tiles: Tiles) -> Detections:
    """What the model detects on tiles."""
    predictions = model.predict(tiles.images, verbose=0)
    return Detections(predictions["boxes"], tf.nn.softmax(predictions["logits"]).numpy()[..., 0])


def _learning_rate(steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Rises over a twentieth of the steps, then falls along a cosine."""
    warm_up = max(1, steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=LEARNING_RATE, warmup_steps=warm_up
    )
