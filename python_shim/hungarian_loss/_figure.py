"""The picture of an explanation. Needs matplotlib."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hungarian_loss._explain import Explanation

_TRUE, _PRED, _MATCH = "#1b7f3b", "#c0392b", "#2c3e50"


def draw(explanation: "Explanation") -> Any:
    """Cost matrix with matched cells outlined, and the boxes with lines that join matched ones."""
    from matplotlib.figure import Figure

    panels = 1 if explanation.boxes is None else 2
    figure = Figure(figsize=(5.5 * panels, 5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, panels))
    _draw_costs(axes[0], explanation)
    if explanation.boxes is not None:
        _draw_boxes(axes[1], explanation)
    return figure


def _draw_costs(axes: Any, explanation: "Explanation") -> None:
    from matplotlib.patches import Rectangle

    rows, cols = explanation.cost.shape
    finite = np.where(np.isfinite(explanation.cost), explanation.cost, np.nan)
    image = axes.imshow(finite, cmap="viridis_r", aspect="auto")
    axes.figure.colorbar(image, ax=axes, label="cost")
    if rows * cols <= 144:
        for row in range(rows):
            for col in range(cols):
                cost = explanation.cost[row, col]
                axes.text(
                    col, row, f"{cost:.3g}", ha="center", va="center", color="white", fontsize=8
                ).set_path_effects(_outline())
    for true, pred in zip(explanation.true_index, explanation.pred_index, strict=True):
        axes.add_patch(Rectangle((pred - 0.5, true - 0.5), 1, 1, fill=False, edgecolor=_PRED, linewidth=2.5))
    axes.set(
        xlabel="predicted object",
        ylabel="true object",
        title=f"status {explanation.status}, total cost {explanation.total_cost:.4g}",
    )
    if max(rows, cols) <= 30:
        axes.set(xticks=range(cols), yticks=range(rows))


def _draw_boxes(axes: Any, explanation: "Explanation") -> None:
    from matplotlib.patches import Rectangle

    # For mypy: `draw` has looked.
    assert explanation.boxes is not None
    for objects, color, name in zip(explanation.boxes, (_TRUE, _PRED), ("true", "predicted"), strict=True):
        for index, (x, y, width, height) in enumerate(objects):
            axes.add_patch(
                Rectangle((x - width / 2, y - height / 2), width, height, fill=False, edgecolor=color, linewidth=1.5)
            )
            axes.annotate(str(index), (x - width / 2, y - height / 2), color=color, fontsize=9, va="bottom")
        axes.plot([], [], color=color, label=name)
    true_boxes, pred_boxes = explanation.boxes
    for true, pred in zip(explanation.true_index, explanation.pred_index, strict=True):
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
