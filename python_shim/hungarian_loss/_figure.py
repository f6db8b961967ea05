"""The picture of an explanation. Needs matplotlib."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_TRUE, _PRED, _MATCH = "#1b7f3b", "#c0392b", "#2c3e50"


def draw(
    cost: npt.NDArray[Any],
    pairs: Sequence[tuple[int, int]],
    boxes: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None,
    exists: tuple[Sequence[int], Sequence[int]],
    sides: tuple[str, str],
    title: str,
) -> Any:
    """Cost matrix ``[n, m]`` with the cells of matched pairs outlined. Beside it boxes ``[n, 4]`` and ``[m, 4]``
    (center x, center y, width, height), if there are any, with lines that join matched ones. Only boxes that exist are
    drawn.
    """
    from matplotlib.figure import Figure

    panels = 1 if boxes is None else 2
    figure = Figure(figsize=(5.5 * panels, 5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, panels))
    _draw_costs(axes[0], cost, pairs, sides, title)
    if boxes is not None:
        _draw_boxes(axes[1], *boxes, exists, pairs)
    return figure


def png(figure: Any) -> bytes:
    """A matplotlib figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _draw_costs(
    axes: Any, cost: npt.NDArray[Any], pairs: Sequence[tuple[int, int]], sides: tuple[str, str], title: str
) -> None:
    from matplotlib.patches import Rectangle

    rows, cols = cost.shape
    finite = np.where(np.isfinite(cost), cost, np.nan)
    image = axes.imshow(finite, cmap="viridis_r", aspect="auto")
    axes.figure.colorbar(image, ax=axes, label="cost")
    if rows * cols <= 144:
        for row in range(rows):
            for col in range(cols):
                axes.text(
                    col, row, f"{cost[row, col]:.3g}", ha="center", va="center", color="white", fontsize=8
                ).set_path_effects(_outline())
    for true, pred in pairs:
        axes.add_patch(Rectangle((pred - 0.5, true - 0.5), 1, 1, fill=False, edgecolor=_PRED, linewidth=2.5))
    axes.set(
        xlabel=sides[1],
        ylabel=sides[0],
        title=title,
    )
    if max(rows, cols) <= 30:
        axes.set(xticks=range(cols), yticks=range(rows))


def _draw_boxes(
    axes: Any,
    true_boxes: npt.NDArray[Any],
    pred_boxes: npt.NDArray[Any],
    exists: tuple[Sequence[int], Sequence[int]],
    pairs: Sequence[tuple[int, int]],
) -> None:
    from matplotlib.patches import Rectangle

    sides = ((true_boxes, exists[0], _TRUE, "true"), (pred_boxes, exists[1], _PRED, "predicted"))
    for objects, indices, color, name in sides:
        for index in indices:
            x, y, width, height = objects[index]
            axes.add_patch(
                Rectangle((x - width / 2, y - height / 2), width, height, fill=False, edgecolor=color, linewidth=1.5)
            )
            axes.annotate(str(index), (x - width / 2, y - height / 2), color=color, fontsize=9, va="bottom")
        axes.plot([], [], color=color, label=name)
    for true, pred in pairs:
        ends = np.stack([true_boxes[true, :2], pred_boxes[pred, :2]])
        axes.plot(ends[:, 0], ends[:, 1], color=_MATCH, linestyle="--", marker="o", markersize=3)
    axes.plot([], [], color=_MATCH, linestyle="--", label="matched")
    axes.autoscale_view()
    axes.invert_yaxis()
    axes.set(aspect="equal", title="boxes")
    axes.legend(loc="best", fontsize=8)


def _outline() -> list[Any]:
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.5, foreground="black")]
