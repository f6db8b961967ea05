"""Which objects were matched, at what cost, and how close the second best choice was. Needs no Keras."""

import base64
import dataclasses
import importlib.util
import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from hungarian_loss._assignment import Assignment, linear_assignment
from hungarian_loss._figure import draw, png
from hungarian_loss._inputs import as_limit, as_problems
from hungarian_loss._matching import Matching
from hungarian_loss._options import is_whole_number
from hungarian_loss._types import TensorLike

Numbers: TypeAlias = npt.NDArray[np.floating[Any]]
Indices: TypeAlias = npt.NDArray[np.integer[Any]]

_STATUS = {
    0: "optimal",
    1: "infeasible: the allowed pairs cannot match min(true, predicted) objects",
    2: "invalid: a cost is NaN or -inf (+inf when maximizing), or the limit is NaN",
}


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One sample's matching in numbers; ``print`` shows it as a table.

    When maximizing, costs are scores: ``cost``, ``pair_cost`` and ``total_cost`` are as given, ``margin`` and ``rise``
    say how much lower the total score is.

    Attributes:
      status: 0 optimal, 1 infeasible, 2 invalid.
      cost: float64 ``[n, m]``.
      true_index: ``[p]``, true object of each matched pair.
      pred_index: ``[p]``, predicted object of each matched pair.
      pair_cost: ``[p]``.
      runner_up: ``[p]``, the predicted object that the true object gets when the pair is forbidden and the sample
        solved again; −1 where the true object then stays unmatched, or no other matching exists.
      margin: ``[p]``, a lower bound on ``rise`` from the duals: the least reduced cost c − u − v of the true object's
        alternatives, plus that of the predicted object's. +inf where one of them has no alternative.
      rise: ``[p]``, how much higher the total cost is when the pair is forbidden and the sample solved again. Never
        less than ``margin``, up to rounding; 0 at a tie, +inf where no other matching exists. With a limit L,
        ``margin`` and ``rise`` count L/2 for each object that stays unmatched.
      total_cost: Sum of the pairs' costs; NaN if invalid, +inf (−inf when maximizing) if infeasible.
      unmatched_true: Indices of existing true objects without a partner.
      unmatched_pred: Indices of existing predicted objects without a partner.
      boxes: True ``[n, 4]`` and predicted ones ``[m, 4]`` (center x, center y, width, height) where objects are boxes
        or have four features, for the figure; else None.
      sides: What rows and columns are called in the table and the figure.
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
    sides: tuple[str, str] = ("true", "predicted")

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
        rows: list[tuple[str, ...]] = [(*self.sides, "cost", "runner-up", "margin", "rise")]
        columns = (self.true_index, self.pred_index, self.pair_cost, self.runner_up, self.margin, self.rise)
        for true, pred, cost, runner_up, margin, rise in zip(*columns, strict=True):
            other = "-" if runner_up < 0 else str(runner_up)
            rows.append((str(true), str(pred), f"{cost:.6g}", other, f"{margin:.6g}", f"{rise:.6g}"))
        return rows

    def _unmatched(self) -> list[str]:
        sides = zip(self.sides, (self.unmatched_true, self.unmatched_pred), strict=True)
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
        title = f"status {self.status}, total cost {self.total_cost:.4g}"
        return draw(self.cost, pairs, self.boxes, exists, self.sides, title)


def explain_assignment(
    cost: TensorLike,
    *,
    row_mask: TensorLike | None = None,
    col_mask: TensorLike | None = None,
    num_rows: TensorLike | None = None,
    num_cols: TensorLike | None = None,
    maximize: bool = False,
    cost_limit: TensorLike | None = None,
) -> Explanation:
    """Explains the assignment of one matrix of costs: rows are the true objects, columns the predicted ones.

    The assignment is that of :func:`linear_assignment`. By default :func:`gated_assignment` solves another problem: it
    matches as many pairs as possible.

    Args:
      cost: ``[rows, cols]``, as in :func:`linear_assignment`. For a batch, give one problem, such as ``cost[3]``.
      row_mask: bool ``[rows]``: which rows exist. Default: all.
      col_mask: bool ``[cols]``, likewise.
      num_rows: A number, in place of ``row_mask``: the first ``num_rows`` rows exist.
      num_cols: Likewise in place of ``col_mask``.
      maximize: As in :func:`linear_assignment`.
      cost_limit: A number, as in :func:`linear_assignment`.

    Returns:
      An :class:`Explanation`. ``print`` it, or call its ``figure``.

    Raises:
      TypeError, ValueError, tf.errors.InvalidArgumentError: as :func:`linear_assignment`; a ValueError also where
        ``cost`` is not of rank 2.
      RuntimeError: called in a ``tf.function``.
    """
    require_values("explain_assignment")
    given = as_problems(cost, (row_mask, num_rows), (col_mask, num_cols), cost_limit, False)
    if given.cost.shape.rank != 2:
        raise ValueError(
            f"cost must be one problem, [rows, cols], got shape {given.cost.shape}; of a batch give cost[i]"
        )
    limit = as_limit(cost_limit, given.cost)
    assignment = linear_assignment(
        given.cost, row_mask=given.row_mask, col_mask=given.col_mask, maximize=maximize, cost_limit=limit
    )
    rows, cols = given.cost.shape
    matching = Matching(
        given.cost[tf.newaxis],
        tf.broadcast_to(given.row_mask, [1, rows]),
        tf.broadcast_to(given.col_mask, [1, cols]),
        Assignment(*(output[tf.newaxis] for output in assignment)),
        maximize=maximize,
        cost_limit=limit,
    )
    return dataclasses.replace(explanation_of(matching, 0), sides=("row", "column"))


def require_values(function: str) -> None:
    """Raises a RuntimeError in a ``tf.function``, where there are no values yet."""
    if not tf.executing_eagerly():
        raise RuntimeError(f"{function} looks at values, got none while tracing: call it outside of tf.function")


def explanation_of(matching: Matching, sample: int) -> Explanation:
    """Explains one sample of a batch.

    Raises:
      ValueError: ``sample`` is no whole number, or is not in the batch.
    """
    batch = int(matching.cost.shape[0])
    if not is_whole_number(sample) or not 0 <= sample < batch:
        raise ValueError(f"sample must be a whole number in [0, {batch}), the batch; got {sample!r}")
    sample = int(sample)
    assignment, boxes = matching.assignment, matching.boxes
    cost = np.asarray(tf.cast(matching.cost, tf.float64)[sample])
    limit = math.inf if matching.cost_limit is None else float(matching.cost_limit)
    rows, cols = cost.shape
    row_exists = _existing(matching.true_mask, sample, rows)
    col_exists = _existing(matching.pred_mask, sample, cols)
    scale = _scale(cost[np.ix_(row_exists, col_exists)], limit)
    # From here on, less is better.
    factor = -scale if matching.maximize else scale
    problem = _Problem(
        cost=factor * cost,
        # Rows that are copies of one true object stand side by side.
        objects=np.arange(rows) // matching.repeats,
        row_exists=row_exists,
        col_exists=col_exists,
        limit=factor * limit if math.isfinite(limit) else math.inf,
    )
    row_to_col = assignment.row_to_col.numpy()[sample]
    col_to_row = assignment.col_to_row.numpy()[sample]
    true_index = np.flatnonzero(row_to_col >= 0)
    pred_index = row_to_col[true_index]
    runner_up, rise = problem.without_each(true_index, pred_index)
    with np.errstate(over="ignore"):
        margin, rise = problem.margins(true_index, pred_index) / scale, rise / scale
    return Explanation(
        status=int(assignment.status.numpy()[sample]),
        cost=cost[:: matching.repeats],
        true_index=problem.objects[true_index],
        pred_index=pred_index,
        pair_cost=cost[true_index, pred_index],
        runner_up=runner_up,
        margin=margin,
        rise=rise,
        total_cost=float(assignment.total_cost.numpy()[sample]),
        unmatched_true=np.unique(problem.objects[(row_to_col < 0) & problem.row_exists]),
        unmatched_pred=np.flatnonzero((col_to_row < 0) & problem.col_exists),
        boxes=(
            None if boxes is None else (np.asarray(boxes[0][sample])[:: matching.repeats], np.asarray(boxes[1][sample]))
        ),
    )


def _existing(mask: Any, sample: int, size: int) -> Any:
    return np.ones(size, bool) if mask is None else np.asarray(mask[sample])


def _scale(cost: Any, limit: float) -> float:
    """A power of two by which no sum of costs and limits leaves the range of float64: else a rise is infinity less
    infinity. It is 1 unless they are huge."""
    largest = np.abs(cost[np.isfinite(cost)]).max(initial=abs(limit) if math.isfinite(limit) else 0.0)
    _, exponent = math.frexp(largest)
    return math.ldexp(1.0, min(0, 1020 - exponent - sum(cost.shape).bit_length()))


@dataclasses.dataclass(frozen=True)
class _Problem:
    """One problem, whose total is to be least.

    Attributes:
      cost: ``[rows, cols]``.
      objects: ``[rows]``, the object that each row is a copy of.
      row_exists: bool ``[rows]``.
      col_exists: bool ``[cols]``.
      limit: Each row or column may stay unmatched at half of it; infinite: the whole shorter side must be matched.
    """

    cost: Any
    objects: Any
    row_exists: Any
    col_exists: Any
    limit: float

    def margins(self, true_index: Any, pred_index: Any) -> Any:
        """For each pair a lower bound, from the duals, on how much more a matching without it costs, ``[p]``.

        Without pair (i, j), row i is matched with another column, which adds at least the least reduced cost c − u − v
        of those; or, where that is allowed, it stays unmatched, which adds at least the difference between u_i and its
        ceiling. The same holds for column j, in another pair, so the two bounds add up. If several rows are copies of
        one of the ``objects``, one of them must then take a column that none of them had.
        """
        margins = np.full(len(true_index), np.inf)
        if len(true_index) == 0:
            return margins
        # Solved in float64, whose duals keep digits beside a large limit; and a limit larger than the costs can need is
        # lowered.
        limit = self.limit
        if math.isfinite(limit):
            limit = min(limit, 2 * np.abs(self.cost[self._is_allowed()]).sum() + 1)
        solved = self._solve(self.cost, limit)
        row_duals, col_duals = solved.row_duals.numpy(), solved.col_duals.numpy()
        row_ceiling = self._ceiling(row_duals, self.row_exists, true_index)
        col_ceiling = self._ceiling(col_duals, self.col_exists, pred_index)
        for place, (row, col) in enumerate(zip(true_index, pred_index, strict=True)):
            of_row = np.where(self.col_exists, self.cost[row] - row_duals[row] - col_duals, np.inf)
            of_col = np.where(self.row_exists, self.cost[:, col] - row_duals - col_duals[col], np.inf)
            copies = self.objects == self.objects[row]
            of_row[pred_index[copies[true_index]]] = of_col[copies] = np.inf
            row_margin = min(of_row.min(), row_ceiling - row_duals[row])
            col_margin = min(of_col.min(), col_ceiling - col_duals[col])
            # Rounding of the duals may leave a tie an ulp below zero.
            margins[place] = max(0.0, row_margin) + max(0.0, col_margin)
        return margins

    def without_each(self, true_index: Any, pred_index: Any) -> tuple[Any, Any]:
        """Forbids each pair in turn, for all copies of its object. Returns the column that takes its place, or −1, and
        the rise of the total."""
        shown = np.where(self.row_exists[:, np.newaxis] & self.col_exists, self.cost, 0.0)
        total = shown[true_index, pred_index].sum()
        runner_up, rise = np.full(len(true_index), -1), np.zeros(len(true_index))
        for place, (row, col) in enumerate(zip(true_index, pred_index, strict=True)):
            copies = self.objects == self.objects[row]
            without = shown.copy()
            without[copies, col] = np.inf
            again = self._solve(without, self.limit)
            row_to_col = again.row_to_col.numpy()
            new = np.setdiff1d(row_to_col[copies], [-1, *pred_index[copies[true_index]]])
            runner_up[place] = new[0] if len(new) else -1
            rise[place] = float(again.total_cost) - total
            if math.isfinite(self.limit):
                # Each pair less leaves a row and a column unmatched, at half of the limit each.
                rise[place] += self.limit * (len(true_index) - int(np.sum(row_to_col >= 0)))
        return runner_up, np.maximum(rise, 0.0)

    def _solve(self, cost: Any, limit: float) -> Assignment:
        return linear_assignment(cost, row_mask=self.row_exists, col_mask=self.col_exists, cost_limit=limit)

    def _is_allowed(self) -> Any:
        return self.row_exists[:, np.newaxis] & self.col_exists & np.isfinite(self.cost)

    def _ceiling(self, duals: Any, exists: Any, matched: Any) -> float:
        """The dual of an unmatched row or column; infinite where none may stay unmatched."""
        alone = exists.copy()
        alone[matched] = False
        # All that are unmatched have this dual: 0, or with a limit half of it.
        return float(duals[alone][0]) if alone.any() else self.limit / 2
