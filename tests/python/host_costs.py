"""The costs of other packages' detectors, one image at a time, in NumPy's float64 and straight from the papers' formulas."""

import math

import numpy as np


def corners(boxes):
    """center_xywh ``[..., 4]`` as left, top, right, bottom, each ``[...]``."""
    x, y, w, h = np.moveaxis(np.asarray(boxes, np.float64), -1, 0)
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def complete_iou(a, b):
    """CIoU of boxes center_xywh ``[..., 4]`` that broadcast: Zheng et al. 2020, arXiv:1911.08287."""
    (left, top, right, bottom), (left_b, top_b, right_b, bottom_b) = corners(a), corners(b)
    width, height, width_b, height_b = right - left, bottom - top, right_b - left_b, bottom_b - top_b
    across = np.minimum(right, right_b) - np.maximum(left, left_b)
    down = np.minimum(bottom, bottom_b) - np.maximum(top, top_b)
    intersection = np.maximum(across, 0) * np.maximum(down, 0)
    iou = intersection / (width * height + width_b * height_b - intersection)
    diagonal = (np.maximum(right, right_b) - np.minimum(left, left_b)) ** 2
    diagonal = diagonal + (np.maximum(bottom, bottom_b) - np.minimum(top, top_b)) ** 2
    distance = ((left + right - left_b - right_b) / 2) ** 2 + ((top + bottom - top_b - bottom_b) / 2) ** 2
    v = 4 / math.pi**2 * (np.arctan(width_b / height_b) - np.arctan(width / height)) ** 2
    return iou - distance / diagonal - v * v / (1 - iou + v)


def d_fine(logits, boxes, labels, true_boxes, options):
    """D-FINE's costs ``[queries, objects]``; ``options`` as :data:`D_FINE`."""
    logits = np.asarray(logits, np.float64)
    boxes, true_boxes = np.asarray(boxes, np.float64)[:, np.newaxis], np.asarray(true_boxes, np.float64)
    if options["use_focal_loss"]:
        alpha, gamma = options["matcher_alpha"], options["matcher_gamma"]
        x = logits[:, labels]
        p, not_p = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))
        class_cost = alpha * not_p**gamma * np.logaddexp(0, -x) - (1 - alpha) * p**gamma * np.logaddexp(0, x)
    else:
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        class_cost = -(odds / odds.sum(axis=1, keepdims=True))[:, labels]
    return (
        options["matcher_bbox_cost"] * np.abs(boxes - true_boxes).sum(axis=-1)
        + options["matcher_class_cost"] * class_cost
        - options["matcher_ciou_cost"] * complete_iou(boxes, true_boxes)
    )


# The defaults of KerasHub's DFineObjectDetector.
D_FINE = {
    "use_focal_loss": True,
    "matcher_alpha": 0.25,
    "matcher_gamma": 2.0,
    "matcher_bbox_cost": 5.0,
    "matcher_class_cost": 2.0,
    "matcher_ciou_cost": 2.0,
}


def random_images(counts, queries=12, classes=5, seed=0):
    """Predictions and objects at random: logits ``[B, queries, classes]``, boxes ``[B, queries, 4]``; labels and boxes of
    ``counts`` objects an image, laid end to end."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(len(counts), queries, classes)).astype(np.float32)
    boxes, true_boxes = (
        random.uniform(0.1, 0.9, (*shape, 4)).astype(np.float32) for shape in ((len(counts), queries), (sum(counts),))
    )
    return logits, boxes, random.integers(0, classes, sum(counts)).astype(np.int32), true_boxes
