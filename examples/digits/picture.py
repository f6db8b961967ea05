"""One picture of the demo: what the models see on held-out canvases, and how they learned."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from canvases import BOX, Canvases
from hungarian_loss import compute_euclidean_distance, linear_assignment
from measure import digits_found

TRUE = "#555555"
PREDICTIONS = ("#0072b2", "#d55e00", "#009e73")  # One for each; told apart by the colorblind too.
CURVES = ("black", "#cc79a7")


class Course(NamedTuple):
    """How a training went.

    Attributes:
      loss: mean over the training canvases, one value for each epoch.
      found: share of digits found on the held-out canvases, 0 to 1: before training, then after each epoch.
    """

    loss: list[float]
    found: list[float]


def draw(
    path: Path,
    canvases: Canvases,
    predictions: Mapping[str, np.ndarray],
    courses: Mapping[str, Course],
) -> None:
    """Writes the PNG ``path``: a row of canvases for each entry of ``predictions``, a curve for each of two ``courses``.

    Args:
      path: the file to write.
      canvases: the canvases to show.
      predictions: by the name of the model, [canvases, objects, BOX + CLASSES] each.
      courses: by the name of the model; a model has one color in both plots.
    """
    columns = len(canvases.images)
    figure = plt.figure(figsize=(2.1 * columns + 5.2, 2.25 * len(predictions) + 0.3), layout="constrained")
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=[2.1 * columns, 5.2], wspace=0.03))

    grid = np.asarray(left.subplots(len(predictions), columns, squeeze=False))
    for row, (name, predicted) in zip(grid, predictions.items(), strict=True):
        row[0].set_ylabel(name, fontsize=11)
        for axes, image, true, pred in zip(row, canvases.images, canvases.objects, predicted, strict=True):
            _draw_canvas(axes, image, true, pred)
    left.legend(handles=_legend(), loc="outside lower center", ncols=3, frameon=False, fontsize=10)

    found, loss = right.subplots(2, 1)
    for color, (name, course) in zip(CURVES, courses.items(), strict=True):
        style = {"marker": "o", "color": color, "label": name}
        found.plot(range(len(course.found)), [100 * share for share in course.found], **style)
        loss.plot(range(1, len(course.loss) + 1), course.loss, **style)
    found.set(title="Digits found on held-out canvases (%)", ylim=(-3, 103))
    loss.set(title="Training loss", xlabel="Epoch")
    loss.set_ylim(bottom=0)
    for axes in (found, loss):
        axes.set_xlim(found.get_xlim())
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    found.legend(loc="center right", frameon=False)

    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_canvas(axes: Axes, image: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> None:
    """One canvas with its true and predicted boxes, and a line from each true center to the matched one."""
    axes.imshow(image[..., 0], cmap="gray_r", vmax=1.6, extent=(0, 1, 1, 0))
    axes.set(xticks=[], yticks=[], xlim=(-0.04, 1.04), ylim=(1.04, -0.04))
    found = round(digits_found(true[np.newaxis], predicted[np.newaxis]) * len(true))
    axes.set_title(f"{found} of {len(true)} found", fontsize=9, pad=3)
    row_to_col = linear_assignment(compute_euclidean_distance(true[:, :BOX], predicted[:, :BOX])).row_to_col
    for object_, column in zip(true, np.asarray(row_to_col), strict=True):
        prediction, color = predicted[column], PREDICTIONS[column]
        _draw_box(axes, object_, TRUE, "-", "left")
        _draw_box(axes, prediction, color, "--", "right")
        axes.plot(*zip(object_[:2], prediction[:2], strict=True), color=color, linewidth=1.5)
        axes.plot(*object_[:2], "o", color=TRUE, markersize=4)
        axes.plot(*prediction[:2], "o", color=color, markersize=4)


def _draw_box(axes: Axes, numbers: np.ndarray, color: str, style: str, side: str) -> None:
    """A box with its most probable class: above its left end, or below its right end."""
    (x, y), (width, height) = numbers[:2] - numbers[2:BOX] / 2, numbers[2:BOX]
    axes.add_patch(Rectangle((x, y), width, height, fill=False, color=color, linestyle=style, linewidth=1.5))
    axes.text(
        x if side == "left" else x + width,
        y if side == "left" else y + height,
        str(numbers[BOX:].argmax()),
        color="white",
        fontsize=8,
        ha="center",
        va="center",
        bbox={"boxstyle": "round,pad=0.15", "facecolor": color, "edgecolor": "none"},
    )


def _legend() -> list[Line2D]:
    prediction = PREDICTIONS[0]
    return [
        Line2D([], [], color=TRUE, label="true box and digit"),
        Line2D([], [], color=prediction, linestyle="--", label="predicted (a color each)"),
        Line2D([], [], color=prediction, marker="o", markersize=4, label="who is matched with whom"),
    ]
