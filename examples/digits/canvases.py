"""Canvases on which several scanned handwritten digits lie, and the set of objects on each."""

from itertools import product
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

CANVAS = 40
"""Height and width of a canvas in pixels."""
OBJECTS = 3
"""Digits on each canvas."""
BOX = 4
"""Numbers of a box: center x, center y, width, height, in fractions of the canvas."""
CLASSES = 10
"""The digits 0 to 9."""

SMALLEST, LARGEST = 10, 16  # Height and width of a digit on the canvas, in pixels.
HELD_OUT_SHARE = 0.2


class Scans(NamedTuple):
    """Scanned digits.

    Attributes:
      images: float32 [scans, 8, 8], ink from 0 (none) to 1.
      digits: int64 [scans], 0 to 9.
    """

    images: np.ndarray
    digits: np.ndarray


class Canvases(NamedTuple):
    """Canvases and what is on them.

    Attributes:
      images: float32 [canvases, CANVAS, CANVAS, 1], ink from 0 (none) to 1.
      objects: float32 [canvases, OBJECTS, BOX + CLASSES]: a box, then the class, one-hot. The order says nothing.
    """

    images: np.ndarray
    objects: np.ndarray


def load_scans(seed: int) -> tuple[Scans, Scans]:
    """The scans that come with scikit-learn, split at random into those to train on and those held out."""
    images, digits = load_digits(return_X_y=True)
    images = (images / 16.0).reshape(-1, 8, 8).astype(np.float32)
    parts = train_test_split(images, digits, test_size=HELD_OUT_SHARE, stratify=digits, random_state=seed)
    return Scans(parts[0], parts[2]), Scans(parts[1], parts[3])


def make_canvases(scans: Scans, count: int, random: np.random.Generator) -> Canvases:
    """Scatters scans over ``count`` canvases, at random places, heights and widths, none upon another."""
    corners, sizes = _places(count, random)
    chosen = random.integers(len(scans.digits), size=(count, OBJECTS))
    boxes = np.concatenate([corners + sizes / 2, sizes], axis=-1) / CANVAS
    classes = np.eye(CLASSES)[scans.digits[chosen]]
    return Canvases(
        images=_draw(scans.images, chosen, corners, sizes),
        objects=np.concatenate([boxes, classes], axis=-1).astype(np.float32),
    )


def _places(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Top left corners and sizes of boxes that do not overlap, in pixels: int64 [count, OBJECTS, (x, y)] each."""
    corners = np.zeros((count, OBJECTS, 2), np.int64)
    sizes = np.zeros((count, OBJECTS, 2), np.int64)
    # A canvas with an overlap is drawn anew as a whole: moving one object would make the order of objects tell.
    left = np.arange(count)
    while left.size:
        sizes[left] = random.integers(SMALLEST, LARGEST + 1, size=(left.size, OBJECTS, 2))
        corners[left] = random.integers(0, CANVAS - sizes[left] + 1)
        left = left[_any_overlap(corners[left], sizes[left])]
    return corners, sizes


def _any_overlap(corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Whether two boxes of a canvas overlap: [count, OBJECTS, 2] twice -> bool [count]."""
    start, end = corners, corners + sizes
    overlap = (start[:, :, None] < end[:, None]) & (start[:, None] < end[:, :, None])
    first, second = np.triu_indices(OBJECTS, k=1)
    return overlap.all(axis=-1)[:, first, second].any(axis=-1)


def _draw(images: np.ndarray, chosen: np.ndarray, corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Resized scans at their places: float32 [count, CANVAS, CANVAS, 1]."""
    drawn = np.zeros((len(chosen), CANVAS, CANVAS, 1), np.float32)
    pixels = range(SMALLEST, LARGEST + 1)
    for width, height in product(pixels, pixels):
        canvas, place = np.nonzero((sizes == (width, height)).all(axis=-1))
        scans = images[chosen[canvas, place], :, :, np.newaxis]
        resized = tf.image.resize(scans, (height, width)).numpy()
        for index, (x, y), scan in zip(canvas, corners[canvas, place], resized, strict=True):
            drawn[index, y : y + height, x : x + width] = scan
    return drawn
