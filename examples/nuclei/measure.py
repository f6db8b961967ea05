"""How good predictions are: average precision as COCO has it, and how far off a plain count is."""

import contextlib
import io
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data import TILE

LARGEST_OVERLAP = 0.4
"""Intersection over union above which non-maximum suppression takes two boxes for one."""


class Detections(NamedTuple):
    """What a model detects on tiles.

    Attributes:
      boxes: float32 [tiles, queries, (center x, center y, width, height)], in fractions of the tile.
      scores: float32 [tiles, queries]: how probable it is that there is a nucleus.
    """

    boxes: np.ndarray
    scores: np.ndarray


class Quality(NamedTuple):
    """Measures over all tiles.

    Attributes:
      ap: average precision, mean over intersections over union of 0.5, 0.55, ..., 0.95; in percent.
      ap50: average precision at 0.5, in percent.
      counting_error: mean over the tiles of |sum of the scores − number of nuclei|.
    """

    ap: float
    ap50: float
    counting_error: float


def quality(objects: dict[str, np.ndarray], detections: Detections) -> Quality:
    """Measures detections on tiles, of which ``objects`` is the truth as in ``data.Tiles``."""
    # No threshold and no suppression: the sum of a set's scores says how many there are.
    counted = np.sum(detections.scores, axis=1)
    error = np.mean(np.abs(counted - np.sum(objects["labels"] >= 0, axis=1)))
    return Quality(*_average_precisions(objects, detections), float(error))


def suppressed(detections: Detections) -> Detections:
    """Non-maximum suppression: of boxes that overlap the best keeps its score, the others get 0."""
    centers, sizes = detections.boxes[..., :2], detections.boxes[..., 2:]
    corners = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=-1)
    scores = np.zeros_like(detections.scores)
    for tile, (boxes, before) in enumerate(zip(corners, detections.scores, strict=True)):
        kept = tf.image.non_max_suppression(boxes, before, len(boxes), LARGEST_OVERLAP)
        scores[tile, kept] = before[kept]
    return Detections(detections.boxes, scores)


def _average_precisions(objects: dict[str, np.ndarray], detections: Detections) -> tuple[float, float]:
    """AP and AP50 in percent, by COCO's own program."""
    tile, slot = np.nonzero(objects["labels"] >= 0)
    truth = [
        {"id": number, "image_id": int(image), "category_id": 0, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for number, (image, box) in enumerate(zip(tile, _in_pixels(objects["boxes"][tile, slot]), strict=True), start=1)
    ]
    tiles = [{"id": image, "width": TILE, "height": TILE} for image in range(len(detections.scores))]
    image, query = np.nonzero(detections.scores > 0)
    columns = [image, *_in_pixels(detections.boxes[image, query]).T, detections.scores[image, query], 0 * image]
    # COCO's program prints as it goes.
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": tiles, "categories": [{"id": 0}], "annotations": truth}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(np.stack(columns, axis=1)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100 * evaluation.stats[0], 100 * evaluation.stats[1]


def _in_pixels(boxes: np.ndarray) -> np.ndarray:
    """Left, top, width and height."""
    centers, sizes = boxes[:, :2], boxes[:, 2:]
    return TILE * np.concatenate([centers - sizes / 2, sizes], axis=1)
