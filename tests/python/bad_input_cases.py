"""Bad input by class: the calls, what they must return or raise, and, in a process of its own, what they do.

`run(group)` prints a line of JSON before each call and its verdict after it, so that a crash is known by the last line.
Only `run` needs TensorFlow.
"""

import dataclasses
import functools
import itertools
import json
import os

import numpy as np

import oracle

INF, NAN = np.inf, np.nan
SEED = 20240609

# How each case is run; "jit" is XLA. A case of shapes alone is only traced.
CALLS = ("eager", "known shapes", "unknown dims", "unknown rank", "jit")
TRACE = ("trace",)

INVALID, TRACING, MEMORY, PYTHON = (
    "InvalidArgumentError",
    "ValueError",
    "ResourceExhaustedError",
    "TypeError|ValueError",
)

# The type of the error by what shows the mistake: ranks, sizes, what the tensors hold, or what Python hands over.
ERRORS = {
    "rank": {"eager": INVALID, "known shapes": TRACING, "unknown dims": TRACING, "unknown rank": INVALID},
    "size": {"eager": INVALID, "known shapes": TRACING, "unknown dims": INVALID, "unknown rank": INVALID},
    "value": dict.fromkeys(CALLS, INVALID),
    "memory": dict.fromkeys(CALLS, MEMORY),
    "type": {**dict.fromkeys(CALLS, "TypeError"), "eager": INVALID},
    "python": dict.fromkeys(CALLS, PYTHON),
    "trace": {"trace": TRACING},
}


@dataclasses.dataclass(frozen=True)
class Zeros:
    """A tensor of zeros (false) that numpy cannot make: of more dimensions or greater sizes than it allows."""

    shape: list
    dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class Refused:
    """An error: by what the mistake shows (a key of `ERRORS`), and a pattern for the message."""

    by: str
    message: str


@dataclasses.dataclass(frozen=True)
class Middle:
    """What is known of the answer to the middle one of three problems."""

    value: object


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of a target. Its result is a `Refused`, or an answer of which some outputs are given here.

    Under XLA the result may be another.
    """

    name: str
    expected: Refused | dict
    attributes: dict
    target: str
    inputs: dict
    # Masks that the counts among the inputs stand for.
    means: dict
    jit: Refused | dict

    @property
    def modes(self):
        return TRACE if self.target == "trace" else CALLS if self.inputs else ("eager",)


def case(name, expected, attributes=None, *, target="op", means=None, jit=None, **inputs):
    return Case(name, expected, attributes or {}, target, inputs, means or {}, expected if jit is None else jit)


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def true(*shape):
    return np.full(shape, True)


ANY = {}  # An answer, which the oracle checks.
NO_MATRIX = "cost must have rank 2"
LOW = Refused("rank", NO_MATRIX)
LIMIT_BY_RANK, LIMIT_BY_SIZE = (Refused(by, "cost_limit does not fit cost") for by in ("rank", "size"))
ROWS_BY_RANK, ROWS_BY_SIZE = (Refused(by, "row_mask does not fit cost") for by in ("rank", "size"))
COLS_BY_RANK, COLS_BY_SIZE = (Refused(by, "col_mask does not fit cost") for by in ("rank", "size"))


def rank_assumed():
    deep = {"status": 0, "total_cost": 0}
    yield case("cost of rank 0", LOW, cost=ones())
    yield case("cost of rank 1", LOW, cost=ones(3))
    yield case("cost of rank 1, float64", LOW, cost=ones(3, dtype=np.float64), cost_limit=np.float64(1))
    yield case("cost of rank 1, masks", LOW, cost=ones(3), row_mask=true(3), col_mask=true(3))
    yield case("cost of rank 1, validate", LOW, {"validate": True}, cost=ones(3))
    yield case("cost of rank 254", {"row_to_col": [0, 1], **deep}, cost=Zeros([1] * 252 + [2, 3]))
    yield case("all of rank 254", {"row_to_col": -1, **deep}, cost=Zeros([1] * 254), row_mask=Zeros([1] * 253, "bool"))
    yield case("row_mask of rank 254", ROWS_BY_RANK, cost=ones(2, 3), row_mask=Zeros([1] * 254, "bool"))
    yield case("row_mask of rank 2", ROWS_BY_RANK, cost=ones(2, 3), row_mask=true(1, 2))
    yield case("col_mask of rank 2", COLS_BY_RANK, cost=ones(2, 3), col_mask=true(2, 3))
    yield case("row_mask without batch", ROWS_BY_RANK, cost=ones(4, 2, 3), row_mask=true(2))
    yield case("col_mask without batch", COLS_BY_RANK, cost=ones(4, 2, 3), col_mask=true(3))
    yield case("cost_limit of rank 1", LIMIT_BY_RANK, cost=ones(2, 3), cost_limit=ones(1))
    yield case("cost_limit of rank 3", LIMIT_BY_RANK, cost=ones(2, 3), cost_limit=ones(1, 1, 1))
    yield case("cost_limit of rank 254", LIMIT_BY_RANK, cost=ones(2, 3), cost_limit=Zeros([1] * 254))
    # Either of two causes may be reported.
    low = Refused("rank", "")
    yield case("cost of rank 0, counts", low, target="linear_assignment", cost=ones(), num_rows=np.int32(1))
    yield case("cost of rank 1, counts", low, target="linear_assignment", cost=ones(3), num_cols=np.int32(1))


def empty_tensor():
    yield case("cost of rank 1", LOW, cost=ones(0))
    yield case("cost [0, 0]", {"status": 0, "total_cost": 0}, cost=ones(0, 0))
    yield case("cost [0, 0, 0]", ANY, cost=ones(0, 0, 0))
    yield case("row_mask", ROWS_BY_SIZE, cost=ones(2, 3), row_mask=true(0))
    yield case("col_mask", COLS_BY_SIZE, cost=ones(2, 3), col_mask=true(0))
    yield case("row_mask of a batch", ROWS_BY_SIZE, cost=ones(4, 2, 3), row_mask=true(0, 2))
    yield case("cost_limit", LIMIT_BY_RANK, cost=ones(2, 3), cost_limit=ones(0))
    yield case("cost_limit and cost", LIMIT_BY_RANK, cost=ones(0, 3), cost_limit=ones(0))
    yield case("cost_limit of a batch", LIMIT_BY_SIZE, cost=ones(4, 2, 3), cost_limit=ones(0))
    yield case("cost_limit of no problem", ANY, cost=ones(0, 2, 3), cost_limit=ones(0))
    yield case("cost, but not its mask", ROWS_BY_SIZE, cost=ones(0, 3), row_mask=true(2))
    yield case("cost and its masks", {"status": 0}, cost=ones(0, 0), row_mask=true(0), col_mask=true(0))
    yield case("cost, gradient", ANY, target="gradient", cost=ones(0, 0))
    yield case("cost of a batch, gradient", ANY, target="gradient", cost=ones(0, 2, 3))


def zero_dimension():
    shapes = [(0, 4), (4, 0), (5, 0, 3), (5, 3, 0), (0, 3, 4), (2, 0, 3, 4), (0, 2, 3, 4), (2000, 0, 0)]
    options = [
        ("", {}, {}),
        (", maximize", {"maximize": True}, {}),
        (", limit", {}, {"cost_limit": np.float32(1)}),
        (", limit NaN", {}, {"cost_limit": np.float32(NAN)}),
        (", validate", {"validate": True}, {}),
        (", masks false", {}, {"row_mask": np.False_, "col_mask": np.False_}),
    ]
    for shape, (option, attributes, inputs) in itertools.product(shapes, options):
        yield case(f"cost {list(shape)}{option}", ANY, attributes, cost=ones(*shape), **inputs)
    for shape in shapes[:4]:
        yield case(f"cost {list(shape)}, gradient", ANY, target="gradient", cost=ones(*shape))


def sizes_that_disagree():
    batch = ones(4, 2, 3)
    yield case("row_mask too long", ROWS_BY_SIZE, cost=ones(2, 3), row_mask=true(1000))
    yield case("row_mask too short", ROWS_BY_SIZE, cost=ones(200, 3), row_mask=true(199))
    yield case("row_mask to be broadcast", ROWS_BY_SIZE, cost=ones(2, 3), row_mask=true(1))
    yield case("col_mask too long", COLS_BY_SIZE, cost=ones(2, 3), col_mask=true(4))
    yield case("col_mask too short", COLS_BY_SIZE, cost=ones(2, 300), col_mask=true(1))
    yield case("masks exchanged", ROWS_BY_SIZE, cost=ones(2, 3), row_mask=true(3), col_mask=true(2))
    yield case("row_mask transposed", ROWS_BY_SIZE, cost=batch, row_mask=true(2, 4))
    yield case("row_mask of one problem", ROWS_BY_SIZE, cost=batch, row_mask=true(1, 2))
    yield case("col_mask of fewer problems", COLS_BY_SIZE, cost=ones(400, 2, 3), col_mask=true(399, 3))
    yield case("col_mask of more problems", COLS_BY_SIZE, cost=batch, col_mask=true(5, 3))
    yield case("batch dimensions exchanged", ROWS_BY_SIZE, cost=ones(2, 6, 2, 3), row_mask=true(6, 2, 2))
    yield case("validate", ROWS_BY_SIZE, {"validate": True}, cost=batch, row_mask=true(3, 2))
    yield case("cost_limit of one problem", LIMIT_BY_SIZE, cost=batch, cost_limit=ones(1))
    yield case("cost_limit of more problems", LIMIT_BY_SIZE, cost=batch, cost_limit=ones(5))
    yield case("cost_limit of some batch dimensions", LIMIT_BY_RANK, cost=ones(2, 4, 2, 3), cost_limit=ones(4))
    yield case("cost_limit transposed", LIMIT_BY_SIZE, cost=ones(2, 4, 2, 3), cost_limit=ones(4, 2))
    target = "linear_assignment"
    rows, cols = Refused("size", "num_rows does not fit cost"), Refused("rank", "num_cols does not fit cost")
    # XLA drops assertions, and finds shapes that cannot be added.
    late = Refused("size", "num_rows")
    yield case("counts of another batch", rows, target=target, jit=late, cost=batch, num_rows=np.array([1, 2, 3]))
    yield case("counts of another rank", cols, target=target, cost=batch, num_cols=np.array([[1, 2, 3, 0]]))


def shape_function_assumes_a_rank():
    def traced(name, outputs, **shapes):
        expected = Refused("trace", outputs) if isinstance(outputs, str) else {"shapes": outputs}
        return case(name, expected, target="trace", **shapes)

    def shapes(problem, row, col):
        return [problem, row, col, row, col, problem]

    unknown, most = [None] * 6, 2**31 - 1
    yield traced("nothing is known", unknown, cost=None, row_mask=None, col_mask=None, cost_limit=None)
    yield traced("cost of unknown rank", unknown, cost=None)
    yield traced("scalar masks", unknown, cost=None, row_mask=[], col_mask=[])
    yield traced("row_mask alone", shapes([2], [2, 3], [2, None]), cost=None, row_mask=[2, 3])
    yield traced("col_mask alone", shapes([], [None], [4]), cost=None, col_mask=[4])
    yield traced("both masks", shapes([2], [2, 3], [2, 4]), cost=None, row_mask=[2, 3], col_mask=[None, 4])
    yield traced("masks of two ranks", "the same batch", cost=None, row_mask=[3], col_mask=[2, 3])
    yield traced("masks of two batches", "the same batch", cost=None, row_mask=[2, 3], col_mask=[4, 3])
    yield traced("cost of unknown sizes", shapes([], [None], [None]), cost=[None, None], row_mask=None, col_mask=None)
    yield traced("mask says more", shapes([7], [7, 5], [7, 3]), cost=[None, None, 3], row_mask=[7, 5])
    yield traced("mask of another rank", ROWS_BY_RANK.message, cost=[None, None, 3], row_mask=[None])
    yield traced("mask of another size", COLS_BY_SIZE.message, cost=[None, None, 3], col_mask=[None, 2])
    yield traced("cost_limit alone", shapes([2], [2, None], [2, None]), cost=None, cost_limit=[2])
    yield traced("cost_limit says more", shapes([7], [7, None], [7, 3]), cost=[None, None, 3], cost_limit=[7])
    yield traced("cost_limit of another rank", LIMIT_BY_RANK.message, cost=[None, 2, 3], cost_limit=[None, None])
    yield traced("cost_limit and a mask of two batches", "the same batch", cost=None, row_mask=[2, 3], cost_limit=[4])
    yield traced("cost of rank 1", NO_MATRIX, cost=[None], row_mask=None, cost_limit=None)
    yield traced("cost of rank 0", NO_MATRIX, cost=[], col_mask=None)
    yield traced("too many in all", "too many elements", cost=[None, None, most], row_mask=[2**40, 2])
    large = [None, 2**40, 2**40]
    yield traced("too many, but one may be 0", shapes(large, [*large, 2], [*large, 2]), cost=[*large, 2, 2])
    yield traced("too many rows", "too many rows", cost=[None, 2**31, 3])
    yield traced("too many columns", "too many cols", cost=[None, None, 2**32 + 3])


def product_of_dimensions_overflows():
    def huge(shape, expected, jit=None, **inputs):
        name = ", ".join([f"cost {shape}", *(f"{name} {zeros.shape}" for name, zeros in inputs.items())])
        return case(name, expected, jit=jit, cost=Zeros(shape), **inputs)

    most = 2**31 - 1
    # Costs without entries whose outputs would have 2^63 elements or more; more bytes than a machine can address; none.
    for shape in [[2**40, 0, most], [2**33, 0, most], [2**20, 2**20, 0, most]]:
        yield huge(shape, Refused("size", "too many elements"))
    for shape in [[2**58, 0, 0], [2**61, 0, 0], [2**62, 0, 0], [2**40, 0, 2**22]]:
        yield huge(shape, Refused("memory", ""))
    no_array = Refused("memory", "XLA has no arrays of shape")
    for shape in [[0, 2**32, 2**32, 2, 2], [0, most, most]]:
        yield huge(shape, ANY)
    yield huge([2**62, 0, 3, 3], ANY, jit=no_array)
    rows, cols = Zeros([2**61, 0, 3], "bool"), Zeros([2**61, 0, 4], "bool")
    yield huge([2**61, 0, 3, 4], ANY, jit=no_array, row_mask=rows, col_mask=cols)
    yield huge([2**60, 0, 3, 4], ROWS_BY_SIZE, row_mask=rows)
    yield huge([2**60, 0, 3, 4], COLS_BY_SIZE, col_mask=cols)


def int64_to_int32_truncation():
    rows, cols = Refused("size", "too many rows"), Refused("size", "too many cols")
    for shape in [[2**31, 0], [2**32, 0], [2**32 + 2, 0], [0, 2**31, 3], [0, 2**62, 2**62], [0, 2**32, 2**32 + 1]]:
        yield case(f"cost {shape}", rows, cost=Zeros(shape))
    for shape in [[0, 2**31], [0, 2**32 + 3], [0, 2, 2**32 + 3], [2**62, 0, 2**32]]:
        yield case(f"cost {shape}", cols, cost=Zeros(shape))
    # As a 32-bit number the mask would have 3 rows.
    mask = Zeros([0, 2**32 + 3], "bool")
    yield case("row_mask [0, 2^32 + 3]", ROWS_BY_SIZE, cost=ones(0, 3, 4), row_mask=mask)
    cost = np.random.default_rng(SEED).uniform(size=(4, 5)).astype(np.float32)
    for count in [2**32, 2**32 + 1, 2**33 + 2]:
        means = {"row_mask": true(4)}
        yield case(
            f"num_rows {count}", ANY, target="linear_assignment", means=means, cost=cost, num_rows=np.int64(count)
        )
    yield case(
        "indices beyond 2^32",
        {"mask": np.zeros((3, 4), bool)},
        target="assignment_mask",
        row_to_col=np.array([2**32, 2**32 + 1, -(2**32) + 2]),
        num_cols=np.int32(4),
    )


def negative_count():
    cost = np.random.default_rng(SEED).uniform(size=(3, 4, 5)).astype(np.float32)

    def count(values, size, side, dtype):
        values = np.array(values, dtype)
        for validate in [False, True]:
            expected = Refused("value", f"num_{side}s must lie in") if validate else ANY
            exists = [[index < each for index in range(size)] for each in np.atleast_1d(values).tolist()]
            means = {f"{side}_mask": np.broadcast_to(exists, (3, size))}
            name = f"num_{side}s {values.tolist()} {np.dtype(dtype)}{', validate' * validate}"
            options = {"validate": validate}
            # A batch of counts even where all are equal: a scalar count is a mask of one problem.
            each = {f"num_{side}s": np.broadcast_to(values, 3)}
            # XLA drops assertions; the op raises in their place, and knows less.
            jit = Refused("value", "cost_limit is nan") if validate else ANY
            yield case(name, expected, options, target="linear_assignment", means=means, jit=jit, cost=cost, **each)

    for values, dtype in [
        (-1, np.int32),
        (-1, np.int8),
        (-(2**31), np.int32),
        (-(2**63), np.int64),
        ([2, -1, 5], np.int64),
        ([2, -1, -(2**31)], np.int32),
        (2**31 - 1, np.int32),
        (2**63 - 1, np.int64),
        (2**32 - 1, np.uint32),
        (2**64 - 1, np.uint64),
    ]:
        yield from count(values, 4, "row", dtype)
        yield from count(values, 5, "col", dtype)
    negative = Refused("value", "depth|non-negative|negative")
    for number in [-1, -(2**31)]:
        inputs = {"row_to_col": np.array([0, 1], np.int32), "num_cols": np.int32(number)}
        yield case(f"assignment_mask of {number} columns", negative, target="assignment_mask", **inputs)


def index_from_data():
    def mask(name, row_to_col, num_cols):
        wanted = np.array(row_to_col)[..., np.newaxis] == np.arange(num_cols)
        inputs = {"row_to_col": row_to_col, "num_cols": np.int32(num_cols)}
        return case(name, {"mask": wanted}, target="assignment_mask", **inputs)

    yield mask("beyond the columns", np.array([3, 4, 1, 2**31 - 1], np.int32), 3)
    yield mask("below -1", np.array([-2, -(2**31), 0], np.int32), 3)
    yield mask("beyond the columns, int64", np.array([[2**63 - 1, 0], [3, -(2**63)]]), 3)
    yield mask("no columns", np.array([0, 1, -1], np.int32), 0)
    yield mask("no rows", np.zeros((2, 0), np.int32), 3)
    yield mask("one index", np.int32(7), 3)
    for name, value in [("nothing matched", INF), ("invalid", NAN)]:
        cost = np.full((3, 4, 4), value)
        cost[0] = np.arange(16).reshape(4, 4) % 5
        yield case(f"gradient of -1, {name}", ANY, target="gradient", cost=cost)


def huge_or_nan_float():
    rng = np.random.default_rng(SEED)
    for dtype in [np.float32, np.float64]:
        most, least = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
        cost = rng.uniform(-1, 1, (2, 4, 5)).astype(dtype)
        for limit in [most, -most, most / 2, 1e19, -1e19, 2.0**63, 1e38, least, -least, 0.0, -0.0, INF, -INF, NAN]:
            for maximize in [False, True]:
                name = f"limit {limit:.3g}, {np.dtype(dtype)}{', maximize' * maximize}"
                status = {"status": 2 if np.isnan(limit) else 0}
                yield case(name, status, {"maximize": maximize}, cost=cost, cost_limit=dtype(limit))
        yield case(
            f"limit NaN, {np.dtype(dtype)}, validate",
            Refused("value", "cost_limit"),
            {"validate": True},
            cost=cost,
            cost_limit=dtype(NAN),
        )
        for name, value in [
            ("huge", 1e30),
            ("beyond int64", 2.0**63),
            ("NaN", NAN),
            ("infinite", INF),
            ("a half", 1.5),
        ]:
            for side in ["row", "col"]:
                inputs = {f"num_{side}s": dtype(value)}
                name_of = f"num_{side}s {name}, {np.dtype(dtype)}"
                yield case(name_of, Refused("python", ""), target="linear_assignment", cost=cost, **inputs)
    cost = rng.uniform(size=(4, 5)).astype(np.float32)
    python, target = Refused("python", ""), "linear_assignment"
    for value in [NAN, INF, 1e30, 1.5, 10**30, -(10**30), 2**63]:
        yield case(f"num_rows {value} of Python", python, {"num_rows": value}, target=target, cost=cost)
    for value in [NAN, INF, 1e39, -1e39, 1e38, 10**30, -(10**30), 2**63]:
        status = {"status": 2 if np.isnan(float(value)) else 0}
        yield case(f"cost_limit {value} of Python", status, {"cost_limit": value}, target=target, cost=cost)
    inputs = {"row_to_col": np.array([0, 1], np.int32), "num_cols": np.float32(NAN)}
    yield case("assignment_mask of NaN columns", Refused("type", "int32"), target="assignment_mask", **inputs)


def matrices(dtype):
    """(name, matrix, status, what is known of the answer) for minimising without a limit."""
    huge, least, ulp, sentinels, decades = MAGNITUDES[dtype]
    rng = np.random.default_rng(SEED)
    yield "NaN", [[1, NAN, 2], [2, 3, 4], [3, 4, 6]], 2, {}
    yield "nothing but NaN", np.full((3, 3), NAN), 2, {}
    yield "-inf", [[1, 2], [-INF, 3]], 2, {}
    yield "-inf and NaN", [[INF, NAN], [-INF, 3]], 2, {}
    yield "a row of inf", [[INF, INF], [1, 2]], 1, {}
    yield "a column of inf", [[INF, 1], [INF, 2]], 1, {}
    yield "a column of inf, others left", [[INF, 1, 2], [INF, 3, 5]], 0, {"total_cost": 5}
    yield "a row of inf, others left", [[INF, INF], [1, 2], [3, 5]], 0, {"total_cost": 5, "row_to_col": [-1, 1, 0]}
    yield "a cycle of inf", [[1, INF, 9], [9, 2, INF], [INF, 9, 4]], 0, {"total_cost": 7}
    yield "a diagonal of inf", [[INF, 1, 9], [9, INF, 2], [4, 9, INF]], 0, {"total_cost": 7}
    yield "nothing but inf", np.full((4, 4), INF), 1, {}
    yield "inf and NaN", [[INF, INF], [1, NAN]], 2, {}
    yield "two rows, one column", [[1, INF], [2, INF]], 1, {}
    yield "two columns, one row", [[1, 2], [INF, INF]], 1, {}
    yield "three rows, two columns", [[1, 2, INF], [3, 4, INF], [5, 6, INF]], 1, {}
    yield "huge alike", np.full((4, 4), huge), 0, {"row_to_col": range(4)}
    yield "huge negative alike", np.full((4, 4), -huge), 0, {"row_to_col": range(4)}
    yield "huge of both signs", huge * (1 - 2 * np.eye(5)), 0, {"row_to_col": range(5)}
    yield "huge that cancel", [[huge, -huge], [huge, -huge]], 0, {"total_cost": 0}
    # Partial sums leave the range, however they are made.
    diagonal = np.where(np.eye(64) == 1, np.repeat([huge, -huge], 32), INF)
    yield "huge that cancel, 64 x 64", diagonal, 0, {"total_cost": 0, "row_to_col": range(64)}
    yield "huge and inf", [[huge, INF, INF], [INF, huge, INF], [INF, INF, -huge]], 0, {"row_to_col": range(3)}
    yield "huge, not square", huge * rng.choice([-1, -0.5, 0.5, 1], (4, 7)), 0, {}
    yield "denormals", least * rng.integers(-50, 50, (5, 5)), 0, {}
    yield "denormals, not square", least * rng.integers(1, 100, (6, 3)), 0, {}
    yield "denormal and huge", [[least, huge], [huge, least]], 0, {"row_to_col": range(2)}
    yield "all equal", np.full((6, 6), 7.0), 0, {"total_cost": 42, "row_to_col": range(6)}
    yield "-0.0", np.full((4, 4), -0.0), 0, {"total_cost": 0, "row_to_col": range(4)}
    yield "zeros of both signs", np.copysign(0.0, rng.choice([-1, 1], (5, 4))), 0, {"total_cost": 0}
    yield "sentinels", rng.choice(sentinels, (6, 6)), 0, {}
    yield "sentinels only", np.full((2, 3), sentinels[0]), 0, {"row_to_col": range(2)}
    for n in [1, 2, 30, 100] if dtype in ("float32", "float64") else [1, 2, 15]:
        index = np.arange(1.0, n + 1)
        total = n * (n + 1) * (n + 2) / 6
        yield f"i * j, n = {n}", np.outer(index, index), 0, {"total_cost": total, "row_to_col": range(n)[::-1]}
    wide = 10.0 ** rng.uniform(-decades, decades, (12, 12))
    yield "wide", wide, 0, {}
    yield "wide, both signs", wide * rng.choice([-1, 1], wide.shape), 0, {}
    yield "wide, not square", wide[:5], 0, {}
    yield "near ties", 1 + ulp * rng.integers(0, 3, (9, 9)), 0, {}
    yield "near ties, not square", 1 + ulp * rng.integers(0, 3, (9, 5)), 0, {}
    yield "1 x n", rng.permutation(8.0 + np.arange(8))[np.newaxis], 0, {"total_cost": 8}
    yield "n x 1", rng.permutation(8.0 + np.arange(8))[:, np.newaxis], 0, {"total_cost": 8}
    yield "1 x n, inf but one", [[INF, INF, 3, INF]], 0, {"total_cost": 3}
    yield "1 x n, inf", [[INF, INF, INF]], 1, {}
    yield "n x 1, inf", [[INF], [INF]], 1, {}
    yield "0 x n", np.zeros((0, 5)), 0, {"total_cost": 0}
    yield "n x 0", np.zeros((5, 0)), 0, {"total_cost": 0}


# By cost type: a number near the largest, the least above zero, an ulp of 1, honest costs that look like flags, and how
# many powers of ten fit on either side of 1.
MAGNITUDES = {
    "float16": (65504.0, 2.0**-24, 2.0**-10, [65504.0, 6e4, 1e4, 1.0, -1.0], 4),
    "bfloat16": (3.38e38, 2.0**-133, 2.0**-7, [3.38e38, 1e6, 1e9, 1.0, -1.0], 20),
    "float32": (3.4e38, 2.0**-149, 2.0**-23, [3.4028234663852886e38, 1e6, 1e9, 1.0, -1.0], 20),
    "float64": (1.7e308, 2.0**-1074, 2.0**-52, [3.4028234663852886e38, 1e6, 1e9, 1.0, -1.0], 20),
}


def solver_cases():
    """Each matrix between two good problems, which must not notice."""
    rng = np.random.default_rng(SEED)
    for dtype, kind in oracle.DTYPES.items():
        real = oracle.real_type(kind)
        for name, matrix, status, known in matrices(dtype):
            matrix = np.array(matrix, np.float64)
            good = rng.uniform(size=matrix.shape)
            cost = np.stack([good, matrix, good]).astype(kind)
            statuses = {"status": [0, status, 0]}
            known = {**statuses, **{output: Middle(value) for output, value in known.items()}}
            yield case(f"{name}, {dtype}", known, cost=cost)
            if dtype in ("float32", "float64"):
                yield case(f"{name}, {dtype}, maximize", statuses, {"maximize": True}, cost=-cost)
                # With a limit nothing is infeasible.
                limited = {"status": [0, 2 if status == 2 else 0, 0]}
                yield case(f"{name}, {dtype}, limit", limited, cost=cost, cost_limit=real(2.5))
                if status == 2 or name.startswith("huge"):
                    yield case(f"{name}, {dtype}, gradient", statuses, target="gradient", cost=cost)


def masks_all_false():
    rng = np.random.default_rng(SEED)
    nothing = {"status": 0, "total_cost": 0, "row_to_col": -1, "col_to_row": -1, "row_duals": 0, "col_duals": 0}
    for shape in [(3, 4), (4, 3), (2, 3, 3)]:
        *batch, rows, cols = shape
        for name, cost in [
            ("", rng.uniform(size=shape)),
            (", NaN", np.full(shape, NAN)),
            (", -inf", np.full(shape, -INF)),
        ]:
            no_rows, no_cols = np.full((*batch, rows), False), np.full((*batch, cols), False)
            for which, masks in {
                "rows": {"row_mask": no_rows},
                "columns": {"col_mask": no_cols},
                "both": {"row_mask": no_rows, "col_mask": no_cols},
                "all by a scalar": {"row_mask": np.False_},
            }.items():
                yield case(f"{which} of {list(shape)}{name}", nothing, cost=cost, **masks)
                limit = {"cost_limit": np.float64(0.5)}
                yield case(f"{which} of {list(shape)}{name}, limit", {"status": 0}, cost=cost, **masks, **limit)
    cost = np.full((3, 4), NAN)
    inputs = {"cost": cost, "row_mask": np.full(3, False)}
    yield case("gradient", nothing, target="gradient", **inputs)


def harness():
    """Shows that a crash is not taken for an answer, and that the cases behind it still run."""
    yield case("answers", {}, target="echo")
    yield case("aborts", {}, target="abort")
    yield case("answers again", {}, target="echo")


# Classes by the process that runs them.
GROUPS = {
    "shapes": {
        "rank assumed": rank_assumed,
        "empty tensor": empty_tensor,
        "zero dimension": zero_dimension,
        "sizes that disagree": sizes_that_disagree,
        "shape function assumes a rank": shape_function_assumes_a_rank,
        "product of dimensions overflows": product_of_dimensions_overflows,
        "int64 to int32 truncation": int64_to_int32_truncation,
    },
    "values": {
        "negative count": negative_count,
        "index from data": index_from_data,
        "huge or NaN float": huge_or_nan_float,
        "masks all false": masks_all_false,
    },
    "solver": {"solver": solver_cases},
    "harness": {"harness": harness},
}


def cases(group):
    """{name with its class: case} of a group, in order."""
    named = {}
    for name_of_class, make in GROUPS[group].items():
        for each in make():
            name = f"{name_of_class}: {each.name}"
            assert name not in named, name
            named[name] = each
    return named


# In a process of its own.


def run(group, skip):
    """Runs a group's calls in order, without the first `skip`. Each prints its name, and then its verdict."""
    targets = {"echo": list, "abort": os.abort} if group == "harness" else load_targets()
    calls = [(name, each, mode) for name, each in cases(group).items() for mode in each.modes]
    for name, each, mode in calls[skip:]:
        tell({"case": name, "mode": mode})
        tell({"verdict": verdict(targets, each, mode)})
    tell({"end": True})


def tell(line):
    print(json.dumps(line), flush=True)


def verdict(targets, each, mode):
    target = targets[each.target]
    if not each.inputs:
        return {"outputs": target()}
    if mode == "trace":
        return attempt(lambda: {"shapes": targets["trace"](each.inputs)})
    tensors = {name: make_tensor(value) for name, value in each.inputs.items()}
    function = make_function(mode, target, tuple(each.attributes.items()), signature(tensors, mode))
    return attempt(lambda: {"outputs": [encode(output) for output in function(*tensors.values())]})


def signature(tensors, mode):
    """((name, shape, type), ...) as far as the mode lets it be known."""

    def shape(tensor):
        if mode in ("eager", "unknown rank"):
            return None
        return (None,) * tensor.shape.rank if mode == "unknown dims" else tuple(tensor.shape)

    return tuple((name, shape(tensor), tensor.dtype) for name, tensor in tensors.items())


@functools.cache
def make_function(mode, target, attributes, signature):
    """The target as the mode calls it; a traced one is made once for all that fits its signature."""
    import tensorflow as tf

    def function(*values):
        return target({name: value for (name, _, _), value in zip(signature, values, strict=True)}, dict(attributes))

    if mode == "eager":
        return function
    specs = [tf.TensorSpec(shape, dtype) for _, shape, dtype in signature]
    return tf.function(function, input_signature=specs, jit_compile=mode == "jit")


def attempt(work):
    """What the work returns, or its error. Errors of other kinds end the process, as a crash does."""
    import tensorflow as tf

    try:
        return work()
    except (tf.errors.OpError, TypeError, ValueError, ArithmeticError) as error:
        return {"error": type(error).__name__, "message": str(error)}


def make_tensor(value):
    import tensorflow as tf

    if isinstance(value, Zeros):
        return tf.zeros(value.shape, value.dtype)
    return tf.constant(value)


def encode(output):
    """[type, shape, bytes]; flattened first, since numpy knows neither 254 dimensions nor sizes of 2^62."""
    import tensorflow as tf

    values = tf.reshape(output, [-1]).numpy()
    return [values.dtype.name, output.shape.as_list(), values.tobytes().hex()]


def load_targets():
    import tensorflow as tf

    from hungarian_loss import assignment_mask, linear_assignment
    from hungarian_loss._library import ops

    def op(inputs, attributes):
        real = tf.float64 if inputs["cost"].dtype == tf.float64 else tf.float32
        everything = tf.constant(True)
        absent = {"row_mask": everything, "col_mask": everything, "cost_limit": tf.constant(INF, real)}
        return ops.hungarian_assignment(**{**absent, **inputs}, **attributes)

    def gradient(inputs, attributes):
        with tf.GradientTape() as tape:
            tape.watch(inputs["cost"])
            outputs = op(inputs, attributes)
        return [*outputs, tape.gradient(outputs.total_cost, inputs["cost"])]

    def trace(shapes):
        names = list(shapes)
        types = {"cost": tf.float32, "cost_limit": tf.float32}
        signature = [tf.TensorSpec(shapes[name], types.get(name, tf.bool)) for name in names]
        traced = tf.function(lambda *values: op(dict(zip(names, values, strict=True)), {}), input_signature=signature)
        return [
            None if output.shape.rank is None else output.shape.as_list()
            for output in traced.get_concrete_function().outputs
        ]

    return {
        "op": op,
        "gradient": gradient,
        "trace": trace,
        "linear_assignment": lambda inputs, attributes: linear_assignment(**inputs, **attributes),
        "assignment_mask": lambda inputs, attributes: [assignment_mask(**inputs)],
    }
