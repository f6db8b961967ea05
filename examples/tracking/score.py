"""Scores tracks with motmetrics."""

from typing import NamedTuple

import motmetrics
import numpy as np

from videos import Boxes, Video, overlap_distance

# True and found boxes belong together if at least half of their union is in common.
GATE = 0.5


class Score(NamedTuple):
    """What motmetrics measures.

    Attributes:
      mota: 1 − (misses + false positives + switches) / true boxes (CLEAR MOT, Bernardin & Stiefelhagen 2008).
      idf1: F1 of the boxes that the right track has, identities paired once for the whole video (Ristani et al. 2016).
      num_switches: how often a person's track changes.
      num_misses: true boxes without a partner.
      num_false_positives: boxes of tracks without a partner.
    """

    mota: float
    idf1: float
    num_switches: int
    num_misses: int
    num_false_positives: int


def score(video: Video, found: Boxes) -> Score:
    """Compares tracks with the truth."""
    accumulator = motmetrics.MOTAccumulator()
    for frame in range(1, video.frames + 1):
        true, here = video.true.of(frame), found.of(frame)
        # Its own iou_matrix does not work with NumPy 2.
        distances = overlap_distance(true.box, here.box)
        distances[distances > GATE] = np.nan
        accumulator.update(true.identity, here.identity, distances, frameid=frame)
    summary = motmetrics.metrics.create().compute(accumulator, metrics=list(Score._fields))
    return Score(*(kind(summary[name].iloc[0]) for name, kind in Score.__annotations__.items()))
