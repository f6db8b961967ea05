"""A tracker in a page: boxes move on steadily, and each frame's detections are matched with where they should be."""

import numpy as np

from hungarian_loss.recipes import gated_assignment
from videos import Boxes, overlap_distance

# Chosen by hand on the two videos, so the figures say what the tracker can do there, not what it will do elsewhere.
GATE = 0.6
PATIENCE = 12
INERTIA = 0.8


class _Track:
    """One person.

    Attributes:
      identity: its number.
      box: float64 ``[4]``, where it was last seen, or where it should be by now.
      speed: float64 ``[2]``, pixels a frame.
      unseen: frames since it was last seen.
    """

    def __init__(self, identity: int, box: np.ndarray) -> None:
        self.identity, self.box, self.speed, self.unseen, self.seen = identity, box, np.zeros(2), 0, 1

    def move_on(self) -> None:
        """Moves the box on to the next frame."""
        self.box = np.concatenate([self.box[:2] + self.speed, self.box[2:]])
        self.unseen += 1

    def meet(self, box: np.ndarray) -> None:
        """Takes in that the person was seen at ``box``."""
        center, found = (one[:2] + one[2:] / 2 for one in (self.box, box))
        # Young tracks know little of their speed.
        inertia = min(INERTIA, 1 - 1 / self.seen)
        self.speed = self.speed + (1 - inertia) * (found - center) / self.unseen
        self.box, self.unseen, self.seen = box, 0, self.seen + 1


def track(detected: Boxes, frames: int, prefer: str = "pairs") -> Boxes:
    """The detections with identities of the tracker's own; those that they came with are not used.

    Args:
      detected: what was detected.
      frames: how many frames there are.
      prefer: as ``gated_assignment`` takes it.
    """
    tracks: list[_Track] = []
    identity = np.zeros(len(detected.frame), int)
    count = 0
    for frame in range(1, frames + 1):
        here = np.flatnonzero(detected.frame == frame)
        boxes = detected.box[here]
        for each in tracks:
            each.move_on()
        tracks = [each for each in tracks if each.unseen <= PATIENCE]
        should_be = np.reshape([each.box for each in tracks], [-1, 4])
        answer = gated_assignment(overlap_distance(should_be, boxes), GATE, prefer=prefer)
        for each, place in zip(tracks, answer.row_to_col.numpy(), strict=True):
            if place >= 0:
                each.meet(boxes[place])
                identity[here[place]] = each.identity
        for place in np.flatnonzero(answer.col_to_row.numpy() < 0):
            count += 1
            tracks.append(_Track(count, boxes[place]))
            identity[here[place]] = count
    return detected._replace(identity=identity)
