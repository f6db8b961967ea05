"""Simple, slow answers to compare the package with: SciPy, dummies for a limit, the dual certificate in numpy."""

import dataclasses
import fractions
import itertools
import json
import math
import os
import re
import subprocess
import sys
import textwrap

import ml_dtypes
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

DTYPES = {
    "float64": np.float64,
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}

SHAPES = [(0, 0), (0, 3), (3, 0), (1, 1), (1, 5), (5, 1), (2, 2), (3, 4), (4, 3), (7, 7), (6, 13), (13, 6), (24, 24)]


def real_type(dtype):
    """The type of totals, duals and limit: U for T."""
    return np.float64 if dtype == np.float64 else np.float32


# Problem generators: (rng, shape [..., rows, cols], dtype) -> costs of that dtype.


def _uniform(rng, shape, dtype):
    return rng.uniform(-1, 1, shape).astype(dtype)


def _integer_ties(rng, shape, dtype):
    return rng.integers(-2, 4, shape).astype(dtype)


def _euclidean(rng, shape, dtype):
    *batch, rows, cols = shape
    costs = np.empty(shape)
    for index in np.ndindex(*batch):
        costs[index] = cdist(rng.normal(size=(rows, 4)), rng.normal(size=(cols, 4)))
    return costs.astype(dtype)


def _offset(rng, shape, dtype):
    offset = 1e3 if dtype == np.float16 else 1e6
    return (offset + rng.uniform(0, 1, shape)).astype(np.float32).astype(dtype)


def _forbidden(rng, shape, dtype):
    costs = rng.uniform(0, 1, shape)
    costs[rng.uniform(size=shape) < 0.3] = np.inf
    return costs.astype(dtype)


def _half_rounded(rng, shape, dtype):
    return rng.uniform(0, 1, shape).astype(ml_dtypes.bfloat16).astype(dtype)


def _near_ties(rng, shape, dtype):
    ulp = {np.float16: 2.0**-10, ml_dtypes.bfloat16: 2.0**-7}.get(dtype, 2.0**-23)
    return (1 + ulp * rng.integers(0, 3, shape)).astype(dtype)


def _sentinels(rng, shape, dtype):
    costs = rng.uniform(0, 1, shape)
    costs[rng.uniform(size=shape) < 0.3] = 6e4 if dtype == np.float16 else 1e9
    return costs.astype(dtype)


def _wide(rng, shape, dtype):
    decades = 4 if dtype == np.float16 else 20
    return (10.0 ** rng.uniform(-decades, decades, shape)).astype(dtype)


GENERATORS = {
    "uniform": _uniform,
    "integer ties": _integer_ties,
    "euclidean": _euclidean,
    "offset": _offset,
    "forbidden": _forbidden,
    "half-rounded": _half_rounded,
    "near ties": _near_ties,
    "sentinels": _sentinels,
    "wide": _wide,
}


def generate(kind, rng, shape, dtype, maximize=False):
    """Costs of a kind; forbidden pairs have the sign that forbids them."""
    costs = GENERATORS[kind](rng, shape, dtype)
    if maximize:
        costs = np.where(np.isinf(costs), -costs, costs)
    return costs


# References.


@dataclasses.dataclass(frozen=True)
class Problem:
    """One problem. `cost` is float64 and holds exactly what the op was given."""

    cost: np.ndarray
    row_exists: np.ndarray
    col_exists: np.ndarray
    limit: float = np.inf
    maximize: bool = False

    @property
    def sign(self):
        return -1.0 if self.maximize else 1.0

    @property
    def existing(self):
        """Costs of existing rows and columns, in the sense of minimising."""
        return self.sign * self.cost[np.ix_(self.row_exists, self.col_exists)]

    @property
    def least_limit(self):
        """The limit in the sense of minimising; +inf if there is none."""
        return self.sign * self.limit if np.isfinite(self.limit) else np.inf

    @property
    def largest_cost(self):
        """C: max|c| of the allowed pairs."""
        return np.abs(self.existing[np.isfinite(self.existing)]).max(initial=0.0)

    @property
    def counted_limit(self):
        """L', what the limit counts as, in the sense of minimising: not beyond 4 (min(rows, cols) + 1) C, unless C is 0."""
        most = 4.0 * (min(self.existing.shape) + 1) * float(self.largest_cost)
        if not np.isfinite(self.least_limit) or most == 0:
            return self.least_limit
        return min(max(self.least_limit, -most), most)

    @property
    def largest(self):
        """max(C, |L'|)."""
        limit = self.counted_limit
        return max(self.largest_cost, abs(limit) if np.isfinite(limit) else 0.0)

    def is_exact(self):
        """Does design.md promise an exactly optimal answer: 2 (rows + cols) max(C, |L'|) / q <= 2^53?"""
        values = np.append(self.existing.ravel(), self.counted_limit)
        with np.errstate(invalid="ignore", divide="ignore"):
            fraction, exponent = np.frexp(values)
            digits = np.abs(fraction * 2.0**53).astype(np.int64)
            lowest_set = exponent - 53 + np.log2((digits & -digits).astype(np.float64)).astype(int)
        # For half of the limit, which the type cannot hold if the limit is its least number.
        lowest_set[-1] -= 1
        lowest_set = lowest_set[np.isfinite(values) & (values != 0)]
        if lowest_set.size == 0:
            return True
        quantum = fractions.Fraction(2) ** int(lowest_set.min())
        return 2 * sum(self.existing.shape) * fractions.Fraction(self.largest) <= 2**53 * quantum


def reference(problem):
    """(status, objective with L' in the sense of minimising) by SciPy; the objective is None for a bad problem."""
    cost, limit = problem.existing, problem.counted_limit
    if math.isnan(problem.limit) or np.isnan(cost).any() or np.isneginf(cost).any():
        return 2, None
    rows, cols = cost.shape
    # A power of two keeps SciPy's sums in range and changes no digit.
    scale = 2.0**-200 if problem.largest > 2.0**900 else 1.0
    extended = cost * scale
    if np.isfinite(limit):
        # A dummy for each row and each column, so that any of them may stay single at L/2.
        extended = np.full((rows + cols, cols + rows), limit * scale / 2)
        extended[:rows, :cols] = cost * scale
        extended[rows:, cols:] = 0
    try:
        chosen = linear_sum_assignment(extended)
    except ValueError as error:
        assert "infeasible" in str(error)
        return 1, None
    return 0, exact_sum(extended[chosen]) / scale


def exact_sum(values):
    """The sum as if with infinite precision and range, rounded once; beyond the range an infinity."""
    try:
        return math.fsum(values)
    except OverflowError:
        scaled = math.fsum(value * 2.0**-60 for value in values)
        return scaled * 2.0**60


def brute_force(problem):
    """Like `reference`, by trying every partial matching; for a handful of rows and columns."""
    cost, limit = problem.existing, problem.counted_limit
    rows, cols = cost.shape
    found = []
    for pairs in range(min(rows, cols) + 1):
        if not np.isfinite(limit) and pairs < min(rows, cols):
            continue
        for some_rows in itertools.combinations(range(rows), pairs):
            for some_cols in itertools.permutations(range(cols), pairs):
                total = math.fsum(cost[some_rows, some_cols])
                if np.isfinite(limit):
                    total += limit / 2 * (rows + cols - 2 * pairs)
                found.append(total)
    least = min(found)
    return (1, None) if np.isinf(least) else (0, least)


# Checks of an answer: anything with the fields of `hungarian_loss.Assignment`, as numpy arrays.


def check_batch(cost, answer, *, row_mask=None, col_mask=None, limit=np.inf, maximize=False, note=""):
    """Checks types, shapes, and every problem of a batch with `check`. Masks may be None, scalars or arrays, limits too."""
    *batch, rows, cols = cost.shape
    real = real_type(cost.dtype)
    row_exists = np.broadcast_to(True if row_mask is None else row_mask, (*batch, rows))
    col_exists = np.broadcast_to(True if col_mask is None else col_mask, (*batch, cols))
    limits = np.broadcast_to(limit, batch)
    for name, shape, dtype in [
        ("total_cost", (*batch,), real),
        ("row_to_col", (*batch, rows), np.int32),
        ("col_to_row", (*batch, cols), np.int32),
        ("row_duals", (*batch, rows), real),
        ("col_duals", (*batch, cols), real),
        ("status", (*batch,), np.int32),
    ]:
        output = getattr(answer, name)
        assert (output.shape, output.dtype) == (shape, dtype), f"{name}: {output.shape} {output.dtype}; {note}"
    for index in np.ndindex(*batch):
        problem = Problem(
            cost[index].astype(np.float64), row_exists[index], col_exists[index], float(limits[index]), bool(maximize)
        )
        one = type(answer)(*(output[index] for output in answer))
        check(problem, one, real, note=f"{note}, problem {list(index)}")


def check(problem, answer, real, note=""):
    """Asserts that an answer keeps what design.md promises: status, matching, certificate, objective."""

    def expect(holds, what):
        assert holds, f"{what}\n{note}\n{problem}\n{answer}"

    want_status, want_objective = reference(problem)
    expect(answer.status == want_status, f"status {answer.status}, expected {want_status}")
    if want_status != 0:
        expect((answer.row_to_col == -1).all() and (answer.col_to_row == -1).all(), "a bad problem has pairs")
        expect((answer.row_duals == 0).all() and (answer.col_duals == 0).all(), "a bad problem has duals")
        total = np.nan if want_status == 2 else problem.sign * np.inf
        expect(np.array_equal(answer.total_cost, total, equal_nan=True), f"total of a bad problem, expected {total}")
        return

    rows, cols = np.flatnonzero(problem.row_exists), np.flatnonzero(problem.col_exists)
    matched = np.flatnonzero(answer.row_to_col >= 0)
    partners = answer.row_to_col[matched]
    expect((answer.row_to_col >= -1).all() and (partners < problem.cost.shape[1]).all(), "row_to_col out of range")
    backward = np.full(problem.cost.shape[1], -1)
    backward[partners] = matched
    expect(len(set(partners.tolist())) == len(matched), "a column is matched twice")
    expect((backward == answer.col_to_row).all(), "row_to_col and col_to_row differ")
    expect(np.isin(matched, rows).all() and np.isin(partners, cols).all(), "something masked is matched")
    pair_costs = problem.cost[matched, partners]
    expect(np.isfinite(pair_costs).all(), "a forbidden pair is matched")
    limited = np.isfinite(problem.limit)
    expect(limited or len(matched) == min(len(rows), len(cols)), "too few pairs")

    # The total is the sum of the pairs, rounded once.
    total = exact_sum(pair_costs)
    with np.errstate(over="ignore"):
        rounded = real(total)
    if np.isinf(rounded):
        expect(answer.total_cost == rounded, f"total beyond the range, expected {rounded}")
    else:
        expect(abs(float(answer.total_cost) - total) <= np.spacing(np.abs(rounded)), f"total, expected {total!r}")

    # The pairs are as good as SciPy's.
    singles = len(rows) + len(cols) - 2 * len(matched)
    penalty = problem.counted_limit / 2 * singles if limited else 0.0
    objective = exact_sum([*(problem.sign * pair_costs), penalty])
    slack = 0.0 if problem.is_exact() else max(len(rows), len(cols)) * 2.0**-50 * problem.largest
    same = objective == want_objective or abs(objective - want_objective) <= slack
    expect(same, f"objective {objective!r}, expected {want_objective!r} within {slack!r}")

    with np.errstate(over="ignore"):
        if 2 * max(len(rows), len(cols), 1) * problem.largest_cost <= np.finfo(real).max:
            check_certificate(problem, answer, real, expect)


def check_certificate(problem, answer, real, expect):
    """Every line of design.md's "Certificate", within 4 ulps of U at the largest magnitude."""
    expect((answer.row_duals[~problem.row_exists] == 0).all(), "a masked row has a dual")
    expect((answer.col_duals[~problem.col_exists] == 0).all(), "a masked column has a dual")
    # In the sense of minimising from here on.
    cost, limit = problem.existing, problem.least_limit
    u = problem.sign * answer.row_duals[problem.row_exists].astype(np.float64)
    v = problem.sign * answer.col_duals[problem.col_exists].astype(np.float64)
    expect(np.isfinite(u).all() and np.isfinite(v).all(), "a dual is not finite")
    # The duals prove the answer for the user's own limit.
    largest = max(
        problem.largest_cost,
        abs(limit) if np.isfinite(limit) else 0.0,
        np.abs(u).max(initial=0.0),
        np.abs(v).max(initial=0.0),
    )
    # np.spacing of the largest number would overflow.
    slack = 4 * 2 * float(np.spacing(real(largest / 2)))

    reduced = cost - u[:, np.newaxis] - v
    expect((reduced >= -slack).all(), f"u + v <= c: {reduced.min(initial=0.0)!r}")
    # Where each existing row's partner stands among the existing columns.
    place = np.cumsum(problem.col_exists) - 1
    to_col = answer.row_to_col[problem.row_exists]
    on = np.flatnonzero(to_col >= 0)
    expect((np.abs(reduced[on, place[to_col[on]]]) <= slack).all(), "u + v = c on matched pairs")

    single_u, single_v = u[to_col < 0], v[answer.col_to_row[problem.col_exists] < 0]
    if np.isfinite(limit):
        expect((u <= limit / 2 + slack).all() and (v <= limit / 2 + slack).all(), "duals <= L/2")
        expect((np.abs(single_u - limit / 2) <= slack).all(), "u = L/2 where unmatched")
        expect((np.abs(single_v - limit / 2) <= slack).all(), "v = L/2 where unmatched")
        penalty = fractions.Fraction(limit) / 2 * (len(single_u) + len(single_v))
    else:
        penalty = fractions.Fraction(0)
        if len(u) < len(v):
            expect((v <= slack).all() and (np.abs(single_v) <= slack).all(), "v <= 0, and 0 where unmatched")
        elif len(u) > len(v):
            expect((u <= slack).all() and (np.abs(single_u) <= slack).all(), "u <= 0, and 0 where unmatched")
        elif len(v) > 0:
            expect(abs(v.max()) <= slack, "max v = 0")
    # Beyond the range of f64 a sum may go, and come back.
    objective = fractions.Fraction(problem.sign * float(answer.total_cost)) + penalty
    gap = sum(map(fractions.Fraction, [*u, *v]), -objective)
    expect(abs(gap) <= (len(u) + len(v) + 1) * fractions.Fraction(slack), f"sum u + sum v = objective: {float(gap)!r}")


# The losses, one sample at a time.


def matched_pairs(cost):
    """SciPy's pairs of one cost matrix."""
    return linear_sum_assignment(cost) if cost.size else (np.array([], int), np.array([], int))


def set_loss(y_true, y_pred, normalization="pairs"):
    """`hungarian_loss` by SciPy in float64: [B, n, f], [B, m, f] -> [B]."""
    losses = []
    for true, pred in zip(np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64), strict=True):
        cost = cdist(true, pred)
        chosen = cost[matched_pairs(cost)]
        divisor = len(chosen) if normalization == "pairs" else cost.size
        losses.append(chosen.sum() / max(divisor, 1))
    return np.array(losses)


def sliced_loss(y_true, y_pred, true_sizes, pred_sizes, losses, weights, cost_of=cdist, index=0):
    """`HungarianLoss` by SciPy in float64; `losses` get one pair's features."""
    result = []
    for true, pred in zip(np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64), strict=True):
        trues = np.split(true, np.cumsum(true_sizes)[:-1], axis=1)
        preds = np.split(pred, np.cumsum(pred_sizes)[:-1], axis=1)
        cost = cost_of(true, pred) if index is None else cost_of(trues[index], preds[index])
        pairs = list(zip(*matched_pairs(cost), strict=True))
        total = 0.0
        for loss, weight, t, p in zip(losses, weights, trues, preds, strict=True):
            total += weight * sum(loss(t[i], p[j]) for i, j in pairs) / max(len(pairs), 1)
        result.append(total / len(losses))
    return np.array(result)


def finite_differences(function, at, step=1e-5):
    """Central differences of a function of one float64 array: its gradient, or jacobian [*value, *argument]."""
    at = np.asarray(at, np.float64)
    columns = []
    for index in np.ndindex(*at.shape):
        moved = np.zeros_like(at)
        moved[index] = step
        columns.append((np.asarray(function(at + moved)) - np.asarray(function(at - moved))) / (2 * step))
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *at.shape)


# Fresh processes.


def run_python(code, *arguments, env=None, cwd=None):
    """Runs code in a fresh interpreter with `env` on top of this one's environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KERAS_", "TF_USE_LEGACY"))}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**clean, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def run_json(code, *arguments, env=None, cwd=None):
    """Like `run_python` for code that ends well and prints JSON as its last line."""
    result = run_python(code, *arguments, env=env, cwd=cwd)
    assert result.returncode == 0, f"exit status {result.returncode}\n{result.stderr[-5000:]}"
    return json.loads(result.stdout.splitlines()[-1])


def matches(pattern, text):
    """Whether the text holds the pattern and is a single paragraph."""
    return re.search(pattern, text) is not None and "Traceback" not in text
