"""A small network that sees a tile and predicts the set of nuclei on it."""

import keras
import numpy as np
from keras import layers, ops

from data import TILE
from hungarian_loss.detection import SetPredictionModel

STRIDE = 4
"""A query for each cell, which is this many pixels wide: about four cells for a nucleus, so that they must settle which
one shows it."""
GRID = TILE // STRIDE
WIDTH = 64
"""Features of each query."""
REACH = 2.0
"""How far from its cell's center a query can place its box, in cells."""
TYPICAL_SIZE = 12 / TILE
LOGIT_OF_AN_OBJECT = -2.0
"""What the untrained network predicts: most queries have no object."""


def make_model() -> SetPredictionModel:
    """Tiles float32 [batch, TILE, TILE, 1] -> a dict for each of the GRID² cells, row by row.

    "boxes" [batch, GRID², (center x, center y, width, height)] in fractions of the tile, and "logits" [batch, GRID², 2] of "a
    nucleus" and "none".
    """
    tiles = keras.Input((TILE, TILE, 1), name="tiles")
    features = _convolution(4 * tiles - 2, WIDTH // 4, stride=2)
    features = _convolution(features, WIDTH // 2, stride=2)
    features = _residual(features)
    features = _convolution(features, WIDTH)
    for _ in range(2):
        features = _residual(features)

    # By attention the cells settle which of them shows a nucleus. Convolutions alone would give neighboring cells,
    # which see nearly the same, nearly the same answer.
    queries = layers.Reshape((GRID * GRID, WIDTH))(features)
    queries = layers.LayerNormalization()(_attention(queries, _positions()))
    return SetPredictionModel(tiles, predictions_of(queries))


def predictions_of(queries: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
    """Boxes and logits of each query."""
    hidden = layers.Dense(WIDTH, activation="relu")(queries)
    near_zero = keras.initializers.RandomNormal(stddev=0.01)
    center = layers.Dense(2, kernel_initializer=near_zero)(hidden)
    center = REACH / GRID * ops.tanh(center) + cell_centers()
    size = layers.Dense(2, kernel_initializer=near_zero)(hidden)
    # The exponent is held within ±2.5.
    size = TYPICAL_SIZE * ops.exp(2.5 * ops.tanh(size / 2.5))
    logits = layers.Dense(2, kernel_initializer=near_zero)(hidden) + np.float32([LOGIT_OF_AN_OBJECT, 0])
    return {"boxes": layers.Concatenate()([center, size]), "logits": logits}


def _convolution(
    features: keras.KerasTensor, filters: int, stride: int = 1, activation: str = "relu"
) -> keras.KerasTensor:
    convolved = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(
        features
    )
    # The training is short: averages are over fewer steps than Keras's default.
    return layers.Activation(activation)(layers.BatchNormalization(momentum=0.95)(convolved))


def _residual(features: keras.KerasTensor) -> keras.KerasTensor:
    filters = features.shape[-1]
    change = _convolution(_convolution(features, filters), filters, activation="linear")
    return layers.Activation("relu")(features + change)


def _attention(queries: keras.KerasTensor, positions: np.ndarray) -> keras.KerasTensor:
    """A layer of a transformer's encoder: normalized first, with positions added to what attention compares, as in
    DETR."""
    normalized = layers.LayerNormalization()(queries)
    placed = normalized + positions
    queries = queries + layers.MultiHeadAttention(4, WIDTH // 4)(placed, value=normalized, key=placed)
    hidden = layers.Dense(2 * WIDTH, activation="gelu")(layers.LayerNormalization()(queries))
    return queries + layers.Dense(WIDTH)(hidden)


def cell_centers() -> np.ndarray:
    """Float32 [GRID², (x, y)], row by row, in fractions of the tile."""
    centers = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID
    x, y = np.meshgrid(centers, centers)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def _positions() -> np.ndarray:
    """Sines and cosines of each cell's place, in wavelengths from 2 tiles to 2 cells: float32 [GRID², WIDTH]."""
    frequencies = np.pi * np.geomspace(1, GRID, WIDTH // 4)
    angles = cell_centers()[:, ::-1, np.newaxis] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).reshape(GRID * GRID, WIDTH).astype(np.float32)
