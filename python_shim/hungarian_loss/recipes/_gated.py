"""Pairs for a tracker: none farther apart than a gate."""

from typing import Any

import numpy as np
import tensorflow as tf

from hungarian_loss._assignment import Assignment, linear_assignment
from hungarian_loss._inputs import Given, as_limit, as_problems, constant, nan_unless
from hungarian_loss._options import as_flag, one_of
from hungarian_loss._types import TensorLike

_PREFERENCES = ("pairs", "cost")


def gated_assignment(
    distances: TensorLike,
    gate: TensorLike,
    *,
    prefer: str = "pairs",
    row_mask: TensorLike | None = None,
    col_mask: TensorLike | None = None,
    num_rows: TensorLike | None = None,
    num_cols: TensorLike | None = None,
    validate: bool = False,
) -> Assignment:
    """Matches tracks (rows) with detections (columns) that are no farther apart than a gate. Exact and batched.

    Nothing has to be matched: a track may have ended, a detection may begin one. So there are two ways to choose,
    and they differ where one near pair stands in the way of two that are less near:

    * ``prefer="pairs"``: as many pairs as the gate allows, and of all such choices the one with the least total.
      motmetrics does so: it replaces what is beyond the gate by NaN, and that by a number that outweighs all others.
    * ``prefer="cost"``: a pair at distance d is worth gate − d, and the sum of what the pairs are worth is greatest.
      That is ``cost_limit`` of lap and lapx (ByteTrack's ``thresh``). deep_sort puts ``max_distance`` + 1e-5 beyond the
      gate, matches all, and then drops what is beyond: the same, but for the 1e-5.

    SORT does neither: it matches without a gate, and drops pairs afterwards. A pair beyond the gate can displace better
    ones.

    Args:
      distances: ``[..., rows, cols]``, of any type that :func:`hungarian_loss.linear_assignment` takes, whose
        documentation says what Python's numbers become. Less is better; negative ones are fine. +inf forbids a pair
        whatever the gate.
      gate: The greatest distance of a pair, in the units of ``distances``, one for all problems or what broadcasts to
        ``[...]``. Pairs at exactly the gate are allowed; with ``prefer="cost"`` they are worth nothing, and matched
        where neither of the two has another partner. Infinite: all pairs are allowed that are not forbidden, and as
        many are matched as can be, whatever is preferred.
      prefer: ``"pairs"`` or ``"cost"``.
      row_mask: bool ``[..., rows]``, or what broadcasts to that: which tracks exist. Integers of 0 and 1 are taken as
        bool.
      col_mask: bool ``[..., cols]``, likewise: which detections exist.
      num_rows: integer ``[...]``, or what broadcasts to that, in place of ``row_mask``: the leading ``num_rows`` exist.
      num_cols: integer ``[...]``, likewise in place of ``col_mask``.
      validate: As in :func:`hungarian_loss.linear_assignment`.

    Returns:
      An :class:`hungarian_loss.Assignment`: ``row_to_col`` and ``col_to_row`` are −1 where there is no partner, and
      ``total_cost``, the sum of the matched distances, has a gradient. Status is 0, or 2 where an existing distance or
      the gate is NaN, or a distance is −inf; it is never 1. The duals prove the assignment for a ``cost_limit`` that is
      the gate or, where pairs are preferred or the gate is infinite, 2(n + 1)·d, with n = min(rows, cols) and d the
      greatest magnitude within the gate; 1 if d is 0.

    Raises:
      ValueError: ``prefer`` is neither; ``distances`` have fewer than two dimensions; otherwise as
        ``linear_assignment``.
      TypeError: ``distances``, ``gate``, a mask or a count is of a type that is not supported. The errors of
        ``linear_assignment`` call the distances cost.
      tf.errors.InvalidArgumentError: as ``linear_assignment``.

    The number of pairs is exact as long as 2(n + 1)·d is finite in the type of ``total_cost``. The total is exactly
    least, or within rows·(n + 1)·2^−49·d of that, under the conditions that README.md names for a limit.

    Distances beyond the gate become +inf inside, which ``tf.debugging.enable_check_numerics`` reports. TensorFlow takes
    denormal numbers for 0 where it compares with the gate: where pairs are preferred, distances of less than 1.2e-38 in
    magnitude (2.3e-308 in float64) pass any gate of 0 or more.

    Source: Bernardin & Stiefelhagen, EURASIP JIVP 2008 (pairs); Wojke et al. 2017, arXiv:1703.07402 (cost).
    """
    one_of("prefer", prefer, _PREFERENCES)
    if gate is None:
        raise TypeError("gate must be a number, got None; math.inf leaves only forbidden pairs apart")
    validate = as_flag("validate", validate)
    given = as_problems(distances, (row_mask, num_rows), (col_mask, num_cols), gate, validate)
    if given.cost.shape.rank is not None and given.cost.shape.rank < 2:
        raise ValueError(f"distances must be [..., rows, cols], got shape {given.cost.shape}")
    gate = as_limit(gate, given.cost, "gate")
    exact = tf.cast(given.cost, gate.dtype)
    each = gate if gate.shape.rank == 0 else gate[..., tf.newaxis, tf.newaxis]
    # A NaN is not beyond the gate: the op shall find it.
    cost = tf.where(exact > each, constant(np.inf, given.cost.dtype), given.cost)
    allowed = (exact <= each) & tf.math.is_finite(exact)
    ample = _more_than_any_pair_costs(tf.where(allowed & _exists(given), tf.abs(exact), tf.zeros_like(exact)))
    # To the op an infinite limit means none, and then it requires as many pairs as the shorter side has.
    limit = tf.where(tf.math.is_nan(gate) if prefer == "pairs" else ~tf.math.is_inf(gate), gate, ample)
    limit = nan_unless(limit, given.conditions)
    return linear_assignment(
        cost, row_mask=given.row_mask, col_mask=given.col_mask, cost_limit=limit, validate=validate
    )


def _more_than_any_pair_costs(magnitudes: Any) -> Any:
    """A limit ``[...]`` at which one more pair always pays. ``magnitudes``: ``[..., rows, cols]`` of allowed pairs,
    else 0.

    A pair is added along an augmenting path, which replaces some k pairs by k + 1. With d the greatest magnitude, that
    costs at most (2k + 1)·d, which is less than 2n·d. The limit is hardly more than that, since the larger it is, the
    fewer digits are left for costs.
    """
    pairs = tf.cast(tf.minimum(tf.shape(magnitudes)[-2], tf.shape(magnitudes)[-1]), magnitudes.dtype)
    # Without any pair the greatest is −inf.
    greatest = tf.maximum(tf.reduce_max(magnitudes, axis=[-2, -1]), tf.zeros([], magnitudes.dtype))
    limit = tf.minimum(2 * (pairs + 1) * greatest, magnitudes.dtype.max)
    return tf.where(greatest > 0, limit, tf.ones_like(limit))


def _exists(given: Given) -> Any:
    """Bool, broadcasts to ``[..., rows, cols]``."""
    row, col = given.row_mask, given.col_mask
    row = row if row.shape.rank == 0 else row[..., :, tf.newaxis]
    return row & (col if col.shape.rank == 0 else col[..., tf.newaxis, :])
