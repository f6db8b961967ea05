"""How good a set of predictions is, whatever order it comes in."""

import numpy as np

from canvases import BOX
from hungarian_loss import linear_assignment

LEAST_OVERLAP = 0.5
"""Intersection over union from which on a predicted box counts as being where the true one is."""


def digits_found(objects: np.ndarray, predictions: np.ndarray) -> float:
    """Share of true digits for which a prediction has the right class and a box that overlaps enough, 0 to 1.

    Each prediction serves one digit at most. Among all ways to pair them the one that finds most digits counts: the
    largest matching of the 0/1 matrix of hits, which ``linear_assignment(maximize=True)`` gives.

    Args:
      objects: [canvases, n, BOX + CLASSES], the true digits; classes one-hot.
      predictions: [canvases, m, BOX + CLASSES]; the class is the most probable one.
    """
    hits = (overlap(objects[..., :BOX], predictions[..., :BOX]) >= LEAST_OVERLAP) & same_class(objects, predictions)
    found = linear_assignment(hits.astype(np.float32), maximize=True).total_cost
    return float(np.sum(found)) / (objects.shape[0] * objects.shape[1])


def overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of every box with every other: [..., n, BOX], [..., m, BOX] -> [..., n, m].

    Boxes are center x, center y, width, height. One without an area overlaps nothing.
    """
    start, end, area = _corners_and_area(boxes[..., :, np.newaxis, :])
    other_start, other_end, other_area = _corners_and_area(others[..., np.newaxis, :, :])
    sides = np.minimum(end, other_end) - np.maximum(start, other_start)
    intersection = np.maximum(sides, 0.0).prod(axis=-1)
    union = area + other_area - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0.0)


def same_class(objects: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Whether a true object and a prediction show the same digit: bool [..., n, m]."""
    true, predicted = objects[..., BOX:].argmax(axis=-1), predictions[..., BOX:].argmax(axis=-1)
    return true[..., :, np.newaxis] == predicted[..., np.newaxis, :]


def _corners_and_area(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    center, size = boxes[..., :2], np.maximum(boxes[..., 2:], 0.0)
    return center - size / 2, center + size / 2, size.prod(axis=-1)
