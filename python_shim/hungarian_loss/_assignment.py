"""The assignment op as a Python function, and its gradient."""

from typing import Any, NamedTuple

import tensorflow as tf

from hungarian_loss._inputs import as_cost, as_limit, as_mask, count_as_mask, nan_unless, whole_as_real
from hungarian_loss._library import ops
from hungarian_loss._types import Tensor, TensorLike
from hungarian_loss._vectorize import register_converter


class Assignment(NamedTuple):
    """An optimal assignment and its proof. ``U`` is float64 for float64 costs, else float32.

    Attributes:
      total_cost: U ``[...]``, sum of the matched costs; NaN for an invalid problem, +inf (−inf when maximizing) for
        an infeasible one. The only output with a gradient.
      row_to_col: int32 ``[..., rows]``, the column matched with each row, −1 = none.
      col_to_row: int32 ``[..., cols]``, the row matched with each column, −1 = none.
      row_duals: U ``[..., rows]``, u. With v a proof of optimality: u_i + v_j ≤ cost_ij, with equality for matched
        pairs (turned round when maximizing). A constant to differentiation.
      col_duals: U ``[..., cols]``, v.
      status: int32 ``[...]``, 0 optimal, 1 infeasible, 2 invalid (NaN or an infinity of the wrong sign).
    """

    total_cost: Any
    row_to_col: Any
    col_to_row: Any
    row_duals: Any
    col_duals: Any
    status: Any


def linear_assignment(
    cost: Any,
    *,
    row_mask: Any = None,
    col_mask: Any = None,
    num_rows: Any = None,
    num_cols: Any = None,
    maximize: bool = False,
    cost_limit: Any = None,
    validate: bool = False,
) -> Assignment:
    """Matches rows with columns one to one so that the sum of matched costs is least. Exact and batched.

    Args:
      cost: ``[..., rows, cols]``, float16, bfloat16, float32 or float64; taken exactly as given. +inf (−inf when
        maximizing) forbids a pair. Lists of Python numbers are taken as float32.
      row_mask: bool ``[..., rows]`` or a scalar: which rows exist. What a mask hides is never looked at, not even NaN.
      col_mask: bool ``[..., cols]`` or a scalar: which columns exist.
      num_rows: integer ``[...]``, in place of ``row_mask``: the leading ``num_rows`` rows exist.
      num_cols: integer ``[...]``, in place of ``col_mask``: the leading ``num_cols`` columns exist.
      maximize: As if costs and limit were negated.
      cost_limit: Scalar L in the units of ``cost``: a row or a column may stay unmatched at L/2 each, decided jointly
        with the matching, so that no pair above L is worth having. None or an infinity: as many pairs are required
        as the shorter side has.
      validate: Raise on the first problem whose status is not 0, and on counts outside [0, rows] or [0, cols]; under
        XLA the error takes such counts for a limit that is NaN. Not available on GPU.

    Returns:
      An :class:`Assignment`. Values never raise without ``validate``: a bad problem shows in its status and leaves
      its neighbours alone.

    Raises:
      TypeError: ``cost`` or ``cost_limit`` is of a type that is not supported.
      ValueError: both a mask and a count are given, or, while tracing, shapes do not fit.
      tf.errors.InvalidArgumentError: when run, shapes do not fit; or ``validate`` found a bad problem.

    Source: Jonker & Volgenant, Computing 38 (1987); Crouse, IEEE TAES 52 (2016).
    """
    cost = as_cost(cost)
    masks, in_range = [], []
    for side, mask, count in (("row", row_mask, num_rows), ("col", col_mask, num_cols)):
        if mask is not None and count is not None:
            raise ValueError(f"got both {side}_mask and num_{side}s, expected one of them")
        if count is None:
            masks.append(as_mask(side, mask, cost))
            continue
        by_count = count_as_mask(side, count, cost, validate)
        masks.append(by_count.mask)
        in_range.append(by_count.in_range)
    cost = whole_as_real(cost, *masks)
    limit = as_limit(cost_limit, cost)
    if validate:
        for each in in_range:
            limit = nan_unless(each, limit)
    outputs = ops.hungarian_assignment(
        cost=cost,
        row_mask=masks[0],
        col_mask=masks[1],
        cost_limit=limit,
        maximize=maximize,
        validate=validate,
    )
    return Assignment(*outputs)


def assignment_mask(row_to_col: Any, num_cols: Any, dtype: Any = tf.bool) -> Any:
    """The assignment as a matrix: ``[..., rows, cols]``, one (true) where a row is matched with a column.

    Args:
      row_to_col: int32 or int64 ``[..., rows]``; −1 gives a row of zeros.
      num_cols: scalar, the number of columns.
      dtype: of the result.
    """
    dtype = tf.as_dtype(dtype)
    on, off = (True, False) if dtype == tf.bool else (1, 0)
    return tf.one_hot(row_to_col, num_cols, on_value=on, off_value=off, dtype=dtype)


def _gradient(op: Any, *upstream: Any) -> list[Any]:
    """d total_cost / d cost is 1 where a pair is matched and 0 elsewhere.

    That holds wherever the optimum is unique; at a tie it is one of the subgradients. A problem whose status is not 0 has
    no matched pairs, so its gradient is zero. Made of plain TensorFlow ops, so it differentiates again.
    """
    cost, row_to_col = op.inputs[0], op.outputs[1]
    cols = cost.shape[-1] if cost.shape.rank is not None else None
    matched = assignment_mask(row_to_col, tf.shape(cost)[-1] if cols is None else cols)
    per_pair = tf.cast(upstream[0], cost.dtype)[..., tf.newaxis, tf.newaxis]
    return [tf.where(matched, per_pair, tf.zeros([], cost.dtype)), None, None, None]


try:
    tf.RegisterGradient("HungarianAssignment")(_gradient)
except KeyError:
    pass  # By an earlier import.
register_converter()
