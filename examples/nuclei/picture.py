"""One picture of the demo: the whole micrograph with what matching found, and one tile as each network sees it."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from data import Tiles
from measure import Detections

TRUE, FOUND = "#56b4e9", "#e69f00"  # Told apart by the colorblind too.
COLUMNS = 2
"""Tiles side by side in a half."""
DOTS_PER_INCH = 100


def draw(path: Path, halves: Sequence[Tiles], detections: Mapping[str, Sequence[Detections]], whole: str) -> None:
    """Writes the PNG ``path``.

    Args:
      path: the file to write.
      halves: the tiles of the left and of the right half.
      detections: by the name of the table's row, what was detected in the left and in the right half.
      whole: the row that is shown on the whole micrograph.
    """
    figure = plt.figure(figsize=(11.2, 5.8), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[5.6, 5.6], wspace=0.02)
    axes = left.subplots()
    counted = sum(float(half.scores.sum()) for half in detections[whole])
    there = sum(int(half.counts.sum()) for half in halves)
    axes.set_title(
        f"{whole}, each half by the network trained on the other:\n{counted:.1f} counted, {there} there", fontsize=10
    )
    for place, (tiles, seen) in enumerate(zip(halves, detections[whole], strict=True)):
        for tile in range(len(tiles.images)):
            row, column = divmod(tile, COLUMNS)
            _draw_tile(axes, tiles, seen, tile, (COLUMNS * place + column, row))
    rows = len(halves[0].images) // COLUMNS
    axes.set(xlim=(0, COLUMNS * len(halves)), ylim=(rows, 0))

    half, tile = _fullest(halves)
    grid = np.asarray(right.subplots(2, -(-len(detections) // 2), squeeze=False)).ravel()
    for axes, (name, both) in zip(grid, detections.items(), strict=False):
        _draw_tile(axes, halves[half], both[half], tile, (0, 0))
        count = both[half].scores[tile].sum()
        axes.set_title(f"{name}\n{count:.1f} counted, {halves[half].counts[tile]} there", fontsize=9)
    for axes in figure.axes:
        axes.set(xticks=[], yticks=[], aspect="equal")
    for axes in grid[len(detections) :]:
        axes.set_visible(False)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    _save(path)
    plt.close(figure)


def _draw_tile(axes: Axes, tiles: Tiles, seen: Detections, tile: int, place: tuple[int, int]) -> None:
    """One tile with its true and predicted boxes, its left upper corner at ``place``, in tiles."""
    x, y = place
    # Pale, so that lines show.
    axes.imshow(tiles.images[tile, ..., 0], cmap="gray_r", vmin=0, vmax=2, extent=(x, x + 1, y + 1, y))
    exists = tiles.objects["labels"][tile] >= 0
    _draw_boxes(axes, tiles.objects["boxes"][tile, exists], place, TRUE, np.ones(sum(exists)), 2.0)
    # As visible as it is probable: here too there is no threshold.
    _draw_boxes(axes, seen.boxes[tile], place, FOUND, seen.scores[tile], 1.0)


def _draw_boxes(
    axes: Axes, boxes: np.ndarray, place: tuple[int, int], color: str, opacity: np.ndarray, width: float
) -> None:
    corners = boxes[:, :2] - boxes[:, 2:] / 2 + place
    patches = [Rectangle(tuple(corner), *size) for corner, size in zip(corners, boxes[:, 2:], strict=True)]
    colors = [(*matplotlib.colors.to_rgb(color), alpha) for alpha in opacity]
    collection = PatchCollection(patches, facecolors="none", edgecolors=colors, linewidths=width)
    axes.add_collection(collection, autolim=False)


def _fullest(halves: Sequence[Tiles]) -> tuple[int, int]:
    """Which half, and which of its tiles, holds most nuclei."""
    counts = np.stack([half.counts for half in halves])
    half, tile = np.unravel_index(counts.argmax(), counts.shape)
    return int(half), int(tile)


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=TRUE, linewidth=2, label="true"),
        Line2D([], [], color=FOUND, label="predicted, as opaque as its score; none is left out"),
    ]


def _save(path: Path) -> None:
    """In few colors, a third of the size."""
    drawn = io.BytesIO()
    plt.savefig(drawn, dpi=DOTS_PER_INCH)
    Image.open(drawn).convert("RGB").quantize(24).save(path, optimize=True)
