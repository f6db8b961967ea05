"""A picture of tracks: where they went, and when."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from videos import Boxes, Video

TRUE = "#bbbbbb"
# Told apart by the colorblind too (Okabe & Ito).
TRACKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def draw(path: Path, videos: Mapping[str, tuple[Video, Boxes]]) -> None:
    """Writes the PNG ``path``: for each video the paths of feet in the picture, and their left-right place over time."""
    figure, rows = plt.subplots(len(videos), 2, figsize=(13, 3.6 * len(videos)), layout="constrained", squeeze=False)
    for (name, (video, found)), (picture, time) in zip(videos.items(), rows, strict=True):
        for boxes, is_true in [(video.true, True), (found, False)]:
            for place, identity in enumerate(np.unique(boxes.identity)):
                mine = boxes.identity == identity
                style = _true_style() if is_true else {"color": TRACKS[place % len(TRACKS)], "linewidth": 1.4}
                _draw_track(picture, time, boxes.frame[mine], boxes.box[mine], style)
        picture.set(title=f"{name}: where people's feet went", xlabel="x (pixels)", ylabel="y (pixels)")
        picture.invert_yaxis()
        time.set(title=f"{name}: when; a color changes where a track does", xlabel="frame", ylabel="x (pixels)")
    handles = [plt.Line2D([], [], **_true_style(), label="true"), plt.Line2D([], [], color=TRACKS[0], label="tracks")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _true_style() -> dict[str, object]:
    return {"color": TRUE, "linewidth": 5, "alpha": 0.6, "solid_capstyle": "round"}


def _draw_track(picture: Axes, time: Axes, frame: np.ndarray, box: np.ndarray, style: dict[str, object]) -> None:
    """A line that is broken where nothing was seen for a while."""
    feet = np.stack([box[:, 0] + box[:, 2] / 2, box[:, 1] + box[:, 3]])
    for part in np.split(np.arange(len(frame)), np.flatnonzero(np.diff(frame) > 1) + 1):
        picture.plot(*feet[:, part], **style)
        time.plot(frame[part], feet[0, part], **style)
