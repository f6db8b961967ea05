"""The assignment op as a Python function, its gradient, and forms of its answer."""

from typing import Any, NamedTuple

import tensorflow as tf

from hungarian_loss._inputs import WHOLE_TYPES, as_limit, as_problems, constant, nan_unless
from hungarian_loss._library import ops
from hungarian_loss._options import as_flag
from hungarian_loss._placement import able_device
from hungarian_loss._shapes import range_int64
from hungarian_loss._types import Tensor, TensorLike
from hungarian_loss._vectorize import register_converter


class Assignment(NamedTuple):
    """An optimal assignment and the duals that prove it. ``U`` is float64 where costs are solved in float64, else
    float32.

    Where several assignments are optimal, a device always returns the same one for the same problem; a GPU may return a
    different one than the CPU.

    The duals u and v prove that no assignment is better, also where unmatched rows and columns have a cost. For all
    allowed pairs u_i + v_j ≤ cost_ij, with equality for matched ones. Without a limit the duals of the longer side of a
    rectangle are ≤ 0, and 0 where unmatched; in a square max v = 0. With a limit L, u_i and v_j are ≤ L/2, and equal to
    it where unmatched. When maximizing, ≤ becomes ≥ and max becomes min. Duals are rounded; beyond the range of U they
    are infinite and prove nothing.

    Attributes:
      total_cost: U ``[...]``, sum of the matched costs, without what unmatched rows and columns cost under a limit; NaN
        for an invalid problem, +inf (−inf when maximizing) for an infeasible one. A sum beyond the range of U is
        infinite too. The only output with a gradient.
      row_to_col: int32 ``[..., rows]``, the column matched with each row, −1 = none.
      col_to_row: int32 ``[..., cols]``, the row matched with each column, −1 = none.
      row_duals: U ``[..., rows]``, u; 0 where a mask hides the row. Differentiation takes it as a constant.
      col_duals: U ``[..., cols]``, v; likewise.
      status: int32 ``[...]``, 0 optimal, 1 infeasible, 2 invalid. Infeasible: the allowed pairs cannot match the whole
        shorter side. Invalid: the cost of an existing pair is NaN or −inf (+inf when maximizing), or the limit is NaN.
    """

    total_cost: Tensor
    row_to_col: Tensor
    col_to_row: Tensor
    row_duals: Tensor
    col_duals: Tensor
    status: Tensor


class AssignmentPairs(NamedTuple):
    """The matched pairs as indices, one for each row, in the order of the rows. All are valid for ``tf.gather``, unless
    there are no columns.

    Attributes:
      row_index: int64 ``[..., rows]``: 0, 1, 2, …
      col_index: int64 ``[..., rows]``, the column matched with the row; 0 where the row is unmatched.
      matched: bool ``[..., rows]``, whether the row is matched.
    """

    row_index: Tensor
    col_index: Tensor
    matched: Tensor


def linear_assignment(
    cost: TensorLike,
    *,
    row_mask: TensorLike | None = None,
    col_mask: TensorLike | None = None,
    num_rows: TensorLike | None = None,
    num_cols: TensorLike | None = None,
    maximize: bool = False,
    cost_limit: TensorLike | None = None,
    validate: bool = False,
) -> Assignment:
    """Matches rows with columns one to one so that the sum of matched costs is least. Exact and batched.

    Args:
      cost: ``[..., rows, cols]``, float16, bfloat16, float32, float64, integers of 8 to 64 bits or bool; taken exactly
        as given. +inf (−inf when maximizing) forbids a pair. Integers of up to 16 bits and bool are solved in float32,
        wider ones in float64, up to 2^53 in magnitude. Lists of Python numbers are taken as float32; as float64 where
        an integer among them is beyond 2^24 in magnitude or a number is beyond float32's range: above 3.4e38 in
        magnitude, or below 1.2e-38 and not 0. Lists and integers of up to 16 bits are solved in float64 too where
        float32 might round an integer ``cost_limit``.
      row_mask: bool ``[..., rows]``, or what broadcasts to that: which rows exist. Integers of 0 and 1 are taken as
        bool. Costs that a mask hides have no effect, not even NaN.
      col_mask: bool ``[..., cols]``, likewise: which columns exist.
      num_rows: integer ``[...]``, or what broadcasts to that, in place of ``row_mask``: the leading ``num_rows`` rows
        exist.
      num_cols: integer ``[...]``, likewise in place of ``col_mask``.
      maximize: Makes the sum of matched costs greatest instead of least, as if costs and limit were negated.
      cost_limit: L, in the units of ``cost``: a scalar for all problems or what broadcasts to ``[...]``, of type U or
        integers. Each row and each column may stay unmatched at a cost of L/2. This is decided jointly with the
        matching, so that no pair above L is matched. A pair at exactly L is matched if its row and column would
        otherwise both stay unmatched. When maximizing, an unmatched row or column earns L/2, and no pair below L is
        matched: with a limit of 0.5 on IoU, none below 0.5. None or an infinity means no limit: the whole shorter side
        must be matched.
      validate: Raise for the first problem whose status is not 0, and for counts outside [0, rows] or [0, cols]; under
        XLA the error reports such counts as a limit that is NaN. With ``validate`` the op runs on the CPU even where
        there is a GPU; XLA supports ``validate`` on the CPU only. In a ``tf.function`` that uses none of the outputs,
        TensorFlow prunes the op and the check with it: use one, such as ``status``.

    Returns:
      An :class:`Assignment`. Without ``validate`` a bad problem raises no error: it shows in its status, and does not
      affect the other problems.

    Raises:
      TypeError: a mask, a count, ``cost`` or ``cost_limit`` is of a type that is not supported, such as a RaggedTensor;
        ``maximize`` or ``validate`` is not a bool.
      ValueError: both a mask and a count are given; a count does not fit int64; a list holds an integer that cannot be
        taken exactly, such as one beyond 2^53 in magnitude, or lists of unequal length; or, while tracing, shapes do
        not fit.
      tf.errors.InvalidArgumentError: when run, shapes do not fit; a tensor holds an existing integer beyond 2^53 in
        magnitude (under XLA that problem's status is 2 instead, and so is that of all problems where sizes that XLA
        knows only as bounds do not fit); or ``validate`` found a bad problem.

    Source: Jonker & Volgenant, Computing 38 (1987); Crouse, IEEE TAES 52 (2016).
    """
    maximize, validate = as_flag("maximize", maximize), as_flag("validate", validate)
    given = as_problems(cost, (row_mask, num_rows), (col_mask, num_cols), cost_limit, validate)
    limit = nan_unless(as_limit(cost_limit, given.cost), given.conditions)
    with able_device(given.cost, validate):
        outputs = ops.hungarian_assignment(
            cost=given.cost,
            row_mask=given.row_mask,
            col_mask=given.col_mask,
            cost_limit=limit,
            maximize=maximize,
            validate=validate,
        )
    return Assignment(*outputs)


def assignment_mask(row_to_col: TensorLike, num_cols: TensorLike, dtype: Any = tf.bool) -> Tensor:
    """The assignment as a matrix: ``[..., rows, cols]``, one (true) where a row is matched with a column.

    Args:
      row_to_col: int32 or int64 ``[..., rows]``; −1 gives a row of zeros.
      num_cols: integer scalar, the number of columns.
      dtype: of the result.
    """
    if tf.is_tensor(num_cols) and num_cols.dtype in WHOLE_TYPES:
        given, num_cols = num_cols, tf.cast(num_cols, tf.int32)
        if given.dtype.max > tf.int32.max:
            # -1, which is refused, not what the cast makes of a larger number.
            num_cols = tf.where(given > constant(tf.int32.max, given.dtype), -1, num_cols)
    dtype = tf.as_dtype(dtype)
    on, off = (True, False) if dtype == tf.bool else (1, 0)
    return tf.one_hot(row_to_col, num_cols, on_value=on, off_value=off, dtype=dtype)


def assignment_pairs(row_to_col: TensorLike) -> AssignmentPairs:
    """The assignment as pairs of indices that are safe to gather by, without −1::

        pairs = assignment_pairs(linear_assignment(cost).row_to_col)
        matched_objects = tf.gather(objects, pairs.col_index, batch_dims=1)     # object 0 where the row is unmatched
        total = tf.reduce_sum(tf.where(pairs.matched, loss(matched_objects), 0.0))

    For one problem, what ``scipy.optimize.linear_sum_assignment`` returns::

        row_ind = tf.boolean_mask(pairs.row_index, pairs.matched)
        col_ind = tf.boolean_mask(pairs.col_index, pairs.matched)

    Args:
      row_to_col: integer ``[..., rows]``, the column matched with each row; negative = none.
    """
    # int64, since TensorFlow compares int32 on the host even on a GPU.
    col = tf.cast(row_to_col, tf.int64)
    row = range_int64(tf.shape(col)[-1]) + tf.zeros_like(col)
    return AssignmentPairs(row, tf.maximum(col, 0), col >= 0)


def _gradient(op: Any, *upstream: Any) -> list[Any]:
    """d total_cost / d cost is 1 where a pair is matched and 0 elsewhere.

    That holds wherever the optimum is unique; at a tie it is one of the subgradients. A problem whose status is not 0
    has no matched pairs, so its gradient is zero. Made of plain TensorFlow ops, so it differentiates again.
    """
    cost, row_to_col = op.inputs[0], op.outputs[1]
    cols = cost.shape[-1] if cost.shape.rank is not None else None
    matched = assignment_mask(row_to_col, tf.shape(cost)[-1] if cols is None else cols)
    # Where totals are gathered upstream is an IndexedSlices.
    per_pair = tf.cast(tf.convert_to_tensor(upstream[0]), cost.dtype)[..., tf.newaxis, tf.newaxis]
    return [tf.where(matched, per_pair, tf.zeros([], cost.dtype)), None, None, None]


try:
    tf.RegisterGradient("HungarianAssignment")(_gradient)
except KeyError:
    pass  # Registered by an earlier import.
register_converter()
