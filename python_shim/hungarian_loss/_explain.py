"""Who was matched with whom, at what cost, and how close the next best was."""

import base64
import dataclasses
import importlib.util
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from hungarian_loss._assignment import linear_assignment
from hungarian_loss._distance import compute_euclidean_distance
from hungarian_loss._figure import draw, png
from hungarian_loss._losses import HungarianLoss
from hungarian_loss._matching import Matcher

Numbers: TypeAlias = npt.NDArray[np.floating[Any]]
Indices: TypeAlias = npt.NDArray[np.integer[Any]]

_STATUS = {
    0: "optimal",
    1: "infeasible: the allowed pairs cannot match min(true, predicted) objects",
    2: "invalid: a cost is NaN or -inf (+inf when maximizing)",
}


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One sample's matching in numbers; ``print`` shows it as a table.

    Where a loss maximizes, costs are scores: ``cost``, ``pair_cost`` and ``total_cost`` are as given, ``margin`` and ``rise`` say how much
    less is scored.

    Attributes:
      status: 0 optimal, 1 infeasible, 2 invalid.
      cost: ``[n, m]``.
      true_index: ``[p]``, true object of each matched pair.
      pred_index: ``[p]``, predicted object of each matched pair.
      pair_cost: ``[p]``.
      runner_up: ``[p]``, the predicted object that would replace ``pred_index`` first; −1 where the true object would
        rather stay alone, or there is no other way.
      margin: ``[p]``, the least reduced cost c − u − v of the true object's other ways, and that of the predicted
        object's: by the duals, a matching without this pair costs at least their sum more. +inf where there is no other way.
      rise: ``[p]``, how much more it really costs: the pair forbidden and the sample solved again. Never less than
        ``margin``, up to rounding; 0 at a tie, +inf where nothing else can be matched.
      total_cost: Sum of the pairs' costs; NaN if invalid, +inf (−inf when maximizing) if infeasible.
      unmatched_true: Existing true objects without a partner.
      unmatched_pred: Existing predicted objects without a partner.
      boxes: True ``[n, 4]`` and predicted ones ``[m, 4]`` (center x, center y, width, height) where objects are boxes or have four
        features, for the figure; else None.
    """

    status: int
    cost: Numbers
    true_index: Indices
    pred_index: Indices
    pair_cost: Numbers
    runner_up: Indices
    margin: Numbers
    rise: Numbers
    total_cost: float
    unmatched_true: Indices
    unmatched_pred: Indices
    boxes: tuple[Numbers, Numbers] | None = None

    def __str__(self) -> str:
        lines = [f"status {self.status}, {_STATUS[self.status]}"]
        if self.status == 0:
            lines.append(f"total cost {self.total_cost:.6g} over {len(self.true_index)} pairs")
            lines += [
                f"{true:>6} {pred:>10} {cost:>12} {runner_up:>10} {margin:>12} {rise:>12}"
                for true, pred, cost, runner_up, margin, rise in self._rows()
            ]
            lines += self._unmatched()
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What a notebook shows: the table, and the picture where matplotlib is installed."""
        lines = [f"<p>status {self.status}, {_STATUS[self.status]}</p>"]
        if self.status == 0:
            lines.append(f"<p>total cost {self.total_cost:.6g} over {len(self.true_index)} pairs</p><table>")
            for row, tag in zip(self._rows(), ["th", *["td"] * len(self.true_index)], strict=True):
                lines.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in row) + "</tr>")
            lines.append("</table>")
            lines += [f"<p>{line}</p>" for line in self._unmatched()]
        if importlib.util.find_spec("matplotlib") is not None:
            encoded = base64.b64encode(png(self.figure())).decode()
            lines.append(f'<img alt="costs and matched pairs" src="data:image/png;base64,{encoded}">')
        return "\n".join(lines)

    def _rows(self) -> list[tuple[str, ...]]:
        """The table as text, its head first."""
        rows: list[tuple[str, ...]] = [("true", "predicted", "cost", "runner-up", "margin", "rise")]
        columns = (self.true_index, self.pred_index, self.pair_cost, self.runner_up, self.margin, self.rise)
        for true, pred, cost, runner_up, margin, rise in zip(*columns, strict=True):
            other = "-" if runner_up < 0 else str(runner_up)
            rows.append((str(true), str(pred), f"{cost:.6g}", other, f"{margin:.6g}", f"{rise:.6g}"))
        return rows

    def _unmatched(self) -> list[str]:
        sides = (("true", self.unmatched_true), ("predicted", self.unmatched_pred))
        return [f"unmatched {name}: {', '.join(map(str, indices))}" for name, indices in sides if len(indices)]

    def figure(self) -> Any:
        """A matplotlib figure: the cost matrix with its matched cells and, for four features, the boxes with lines that
        join matched ones. Features are taken as (center x, center y, width, height).

        Raises:
          ImportError: matplotlib is not installed.
        """
        pairs = list(zip(self.true_index.tolist(), self.pred_index.tolist(), strict=True))
        exists = (
            sorted({*self.true_index.tolist(), *self.unmatched_true.tolist()}),
            sorted({*self.pred_index.tolist(), *self.unmatched_pred.tolist()}),
        )
        return draw(self.cost, pairs, self.boxes, exists, f"status {self.status}, total cost {self.total_cost:.4g}")


def explain(y_true: Any, y_pred: Any, sample: int = 0, *, loss: Matcher | None = None) -> Explanation:
    """Explains the matching of one sample.

    Args:
      y_true: What the loss takes; by default ``[batch, n, features]``, like y_pred a RaggedTensor too.
      y_pred: Likewise; by default ``[batch, m, features]``. A mask that Keras attached to it holds here as in the loss.
      sample: Which sample of the batch.
      loss: The :class:`HungarianLoss`, :class:`DetrLoss` or :class:`PermutationInvariantLoss` whose costs and masks to use; default:
        Euclidean distance over all features, as in :func:`hungarian_loss`. With a ``DetrLoss`` of ``repeats`` an object is in several
        pairs, and is unmatched if one of its copies is; with ``groups`` the first group is explained, and no others are predicted objects.

    Returns:
      An :class:`Explanation`. ``print`` it, or call its ``figure``.

    Raises:
      TypeError: dicts without a loss.
      ValueError: ``sample`` is not in the batch, or shapes do not fit.
    """
    if loss is None:
        if isinstance(y_true, Mapping) or isinstance(y_pred, Mapping):
            raise TypeError(
                "y_true and y_pred are dicts: explain needs the loss that takes them, such as loss=DetrLoss(...)"
            )
        features = tf.convert_to_tensor(y_pred.flat_values if isinstance(y_pred, tf.RaggedTensor) else y_pred).shape[-1]
        loss = HungarianLoss([features], 0, compute_euclidean_distance)
    matching = loss.match(y_true, y_pred)
    batch = int(matching.cost.shape[0])
    if not 0 <= sample < batch:
        raise ValueError(f"sample must lie in [0, {batch}), the batch; got {sample}")
    assignment, boxes = matching.assignment, matching.boxes
    cost = np.asarray(tf.cast(matching.cost, tf.float64)[sample])
    rows, cols = cost.shape
    # Rows that are copies of one true object stand side by side.
    objects = np.arange(rows) // matching.repeats
    row_exists = _existing(matching.true_mask, sample, rows)
    col_exists = _existing(matching.pred_mask, sample, cols)
    row_to_col = assignment.row_to_col.numpy()[sample]
    col_to_row = assignment.col_to_row.numpy()[sample]
    true_index = np.flatnonzero(row_to_col >= 0)
    pred_index = row_to_col[true_index]
    # Below, less is better.
    sense = -1.0 if matching.maximize else 1.0
    row_duals = sense * assignment.row_duals.numpy()[sample].astype(np.float64)
    col_duals = sense * assignment.col_duals.numpy()[sample].astype(np.float64)
    runner_up, margin = _runners_up(
        sense * cost, objects, row_duals, col_duals, true_index, pred_index, row_exists, col_exists
    )
    return Explanation(
        status=int(assignment.status.numpy()[sample]),
        cost=cost[:: matching.repeats],
        true_index=objects[true_index],
        pred_index=pred_index,
        pair_cost=cost[true_index, pred_index],
        runner_up=runner_up,
        margin=margin,
        rise=_rises(sense * cost, objects, true_index, pred_index, row_exists, col_exists),
        total_cost=float(assignment.total_cost.numpy()[sample]),
        unmatched_true=np.unique(objects[(row_to_col < 0) & row_exists]),
        unmatched_pred=np.flatnonzero((col_to_row < 0) & col_exists),
        boxes=(
            None if boxes is None else (np.asarray(boxes[0][sample])[:: matching.repeats], np.asarray(boxes[1][sample]))
        ),
    )


def _existing(mask: Any, sample: int, size: int) -> Any:
    return np.ones(size, bool) if mask is None else np.asarray(mask[sample])


def _runners_up(
    cost: Any,
    objects: Any,
    row_duals: Any,
    col_duals: Any,
    true_index: Any,
    pred_index: Any,
    row_exists: Any,
    col_exists: Any,
) -> tuple[Any, Any]:
    """Column of the least reduced cost c − u − v of each matched row among its other ways, and the margin of the pair.

    A matching without pair (i, j) matches i elsewhere, which by the duals costs at least that much more; or, where u_i
    could be 0, not at all, which costs at least −u_i more. So it is with j, in another pair: the margins add up. Of rows that are
    copies of one of the ``objects`` some row then goes where none of them is.
    """
    rows_may_be_alone = row_exists.sum() > col_exists.sum()
    cols_may_be_alone = col_exists.sum() > row_exists.sum()
    runner_up = np.full(len(true_index), -1)
    margin = np.full(len(true_index), np.inf)
    for place, (row, col) in enumerate(zip(true_index, pred_index, strict=True)):
        of_row = np.where(col_exists, cost[row] - row_duals[row] - col_duals, np.inf)
        of_col = np.where(row_exists, cost[:, col] - row_duals - col_duals[col], np.inf)
        copies = objects == objects[row]
        of_row[pred_index[copies[true_index]]] = of_col[copies] = np.inf
        best = of_row.argmin()
        row_alone = -row_duals[row] if rows_may_be_alone else np.inf
        col_alone = -col_duals[col] if cols_may_be_alone else np.inf
        if of_row[best] <= row_alone and np.isfinite(of_row[best]):
            runner_up[place] = best
        # Rounding of the duals may leave a tie an ulp below zero.
        margin[place] = max(0.0, min(of_row[best], row_alone)) + max(0.0, min(of_col.min(), col_alone))
    return runner_up, margin


def _rises(cost: Any, objects: Any, true_index: Any, pred_index: Any, row_exists: Any, col_exists: Any) -> Any:
    """Rise of the total cost when each pair in turn is forbidden, to all copies of its object, ``[p]``."""
    cost = np.where(row_exists[:, np.newaxis] & col_exists, cost, 0.0)
    total = cost[true_index, pred_index].sum()
    rises = np.zeros(len(true_index))
    for place, (row, col) in enumerate(zip(true_index, pred_index, strict=True)):
        without = cost.copy()
        without[objects == objects[row], col] = np.inf
        again = linear_assignment(without, row_mask=row_exists, col_mask=col_exists)
        rises[place] = max(float(again.total_cost) - total, 0.0)
    return rises
