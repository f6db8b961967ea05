"""A small network that sees a canvas and predicts the set of digits on it."""

import keras
import numpy as np
from keras import layers, ops

from canvases import BOX, CANVAS, CLASSES, OBJECTS


def make_model() -> keras.Model:
    """Canvases [batch, CANVAS, CANVAS, 1] -> objects [batch, OBJECTS, BOX + CLASSES], both float32.

    An object is a box (center x, center y, width, height in fractions of the canvas) and ten class probabilities.
    """
    canvases = keras.Input((CANVAS, CANVAS, 1), name="canvases")
    features = canvases
    for filters, stride in ((24, 2), (48, 2), (64, 1)):
        features = layers.Conv2D(filters, 3, stride, padding="same", activation="relu")(features)
    side = features.shape[1]

    # Where to look: for each object a weight for each cell, decided from the canvas as a whole, since only so can
    # one object leave to another what that one looks at.
    whole = layers.Flatten()(layers.Conv2D(16, 1, activation="relu")(features))
    whole = layers.Dense(128, activation="relu")(whole)
    weights = layers.Reshape((OBJECTS, side * side))(layers.Dense(OBJECTS * side * side)(whole))
    weights = layers.Softmax(name="weights")(weights)

    # What is there: the same layers for every object.
    place = ops.matmul(weights, _cell_centers(side))
    cells = layers.Reshape((side * side, features.shape[-1]))(features)
    seen = layers.Concatenate()([place, ops.matmul(weights, cells)])
    seen = layers.Dense(96, activation="relu")(seen)
    center = place + layers.Dense(2, kernel_initializer="zeros")(seen)
    size = layers.Dense(BOX - 2, activation="sigmoid")(seen)
    classes = layers.Dense(CLASSES, activation="softmax")(seen)
    return keras.Model(canvases, layers.Concatenate(name="objects")([center, size, classes]))


def _cell_centers(side: int) -> np.ndarray:
    """Centers of the cells of a grid, row by row: float32 [side * side, (x, y)], in fractions of the canvas."""
    centers = (np.arange(side, dtype=np.float32) + 0.5) / side
    x, y = np.meshgrid(centers, centers)
    return np.stack([x.ravel(), y.ravel()], axis=-1)
