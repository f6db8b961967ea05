"""Two videos of pedestrians, as boxes: true ones and detected ones.

TUD-Campus and TUD-Stadtmitte were filmed in Darmstadt (Andriluka, Roth & Schiele, CVPR 2008 and 2010). The boxes are those of MOTChallenge
2015 (Leal-Taixé et al., arXiv:1504.01942; CC BY-NC-SA 3.0). They lie in the motmetrics wheel (MIT), which `make track` installs under
build/. No images are needed.
"""

import pathlib
from typing import NamedTuple

import numpy as np

NAMES = ("TUD-Campus", "TUD-Stadtmitte")


class Boxes(NamedTuple):
    """Boxes in all frames of a video.

    Attributes:
      frame: int ``[boxes]``, counted from 1.
      identity: int ``[boxes]``, who it is.
      box: float64 ``[boxes, 4]``: left, top, width, height in pixels.
    """

    frame: np.ndarray
    identity: np.ndarray
    box: np.ndarray

    def of(self, frame: int) -> "Boxes":
        """Those of one frame."""
        here = self.frame == frame
        return Boxes(*(column[here] for column in self))


class Video(NamedTuple):
    """A video.

    Attributes:
      true: what a person marked.
      detected: what a detector and tracker of 2010 made of it. Its identities are not used to track, only to compare with.
      frames: how many frames there are.
    """

    true: Boxes
    detected: Boxes
    frames: int


def load(name: str) -> Video:
    """One of ``NAMES``.

    Raises:
      ModuleNotFoundError: motmetrics is not there; `make track` installs it.
    """
    import motmetrics

    folder = pathlib.Path(motmetrics.__file__).parent / "data" / name
    true, detected = (_read(folder / file) for file in ("gt.txt", "test.txt"))
    return Video(true, detected, int(max(true.frame.max(), detected.frame.max())))


def _read(file: pathlib.Path) -> Boxes:
    """MOTChallenge's text: frame, identity, left, top, width, height, and what is not needed here."""
    table = np.loadtxt(file, delimiter=",", usecols=range(6))
    table = table[np.argsort(table[:, 0], kind="stable")]
    # Pixels are counted from 1 there, as Matlab does.
    return Boxes(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:] - [1, 1, 0, 0])


def overlap_distance(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """1 − intersection over union: ``[..., n, 4]``, ``[..., m, 4]`` -> ``[..., n, m]``; 1 where nothing is in common."""
    boxes, others = boxes[..., :, np.newaxis, :], others[..., np.newaxis, :, :]
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., :2] + boxes[..., 2:], others[..., :2] + others[..., 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    union = np.prod(boxes[..., 2:], axis=-1) + np.prod(others[..., 2:], axis=-1) - common
    return 1 - np.divide(common, union, out=np.zeros_like(common), where=union > 0)
