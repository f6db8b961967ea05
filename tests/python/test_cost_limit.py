"""`cost_limit`: of any size, one for all problems or one for each.

The oracle tries every matching with the user's own limit, in whole numbers, so that no limit is too large for it.
Whether the duals prove the answer is checked in float64, as everywhere.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import Assignment, linear_assignment
from hungarian_loss._library import ops

INF, NAN = np.inf, np.nan
SEED = 20240711
BOTH_SENSES = pytest.mark.parametrize("maximize", [False, True], ids=["min", "max"])
EVERY_DTYPE = pytest.mark.parametrize("dtype", oracle.DTYPES)
SHAPES = [(1, 1), (2, 2), (3, 2), (2, 4), (4, 4)]


def most(real):
    return float(np.finfo(real).max)


def solve(cost, limit, **options):
    """The op run eagerly, answers in numpy."""
    return Assignment(*(output.numpy() for output in linear_assignment(tf.constant(cost), cost_limit=limit, **options)))


# Costs, by how they are drawn: (rng, shape, dtype) -> costs of that dtype.
KINDS = {
    "whole": lambda rng, shape, dtype: rng.integers(-9, 10, shape).astype(dtype),
    "zero": lambda rng, shape, dtype: np.zeros(shape, dtype),
    "equal": lambda rng, shape, dtype: np.full(shape, 3, dtype),
    "uniform": lambda rng, shape, dtype: rng.uniform(-1, 1, shape).astype(dtype),
    "large": lambda rng, shape, dtype: (rng.uniform(-1, 1, shape) * most_of_costs(dtype)).astype(dtype),
    "small": lambda rng, shape, dtype: (rng.integers(-3, 4, shape) * least_of_costs(dtype)).astype(dtype),
    "few allowed": lambda rng, shape, dtype: np.where(
        rng.uniform(size=shape) < 0.6, INF, rng.integers(0, 5, shape)
    ).astype(dtype),
    "none allowed": lambda rng, shape, dtype: np.full(shape, INF, dtype),
}


def most_of_costs(dtype):
    """The largest costs for which a certificate is promised with four rows and columns."""
    return {"float16": 6e4, "float64": 2e307}.get(np.dtype(dtype).name, 4e37)


def least_of_costs(dtype):
    """The least power of two whose half the limits' type can hold, too."""
    return {"float16": 2.0**-24, "float64": 2.0**-1070}.get(np.dtype(dtype).name, 2.0**-120)


def limits_for(costs, real):
    """Limits of any size for one problem, also close to the size from which limits count no more."""
    allowed = costs[np.isfinite(costs)].astype(np.float64)
    largest = float(np.abs(allowed).max(initial=0.0))
    ceiling = real(min(4.0 * (min(costs.shape) + 1) * largest, most(real)))
    sizes = [0.0, 1.0, largest, largest / 2, 2 * largest, 1e20, 1e30, most(real), np.finfo(real).smallest_subnormal]
    ulp = float(np.spacing(ceiling / 2))
    sizes += [float(ceiling) + change for change in (-2 * ulp, 0.0, 2 * ulp, 2.0 * float(ceiling))]
    limits = real([min(size, most(real)) for size in map(float, sizes)])
    return np.concatenate([limits, -limits, real([INF, -INF])])


def batches(dtype, maximize, masked):
    """One batch for each shape, all kinds and limits in it: costs, a limit for each problem, masks."""
    kind_of = oracle.DTYPES[dtype]
    rng = np.random.default_rng([SEED, *f"{dtype} {maximize} {masked}".encode()])
    for shape in SHAPES:
        costs, limits = [], []
        for draw in KINDS.values():
            cost = draw(rng, shape, kind_of)
            cost = -cost if maximize else cost
            own = limits_for(cost, oracle.real_type(kind_of))
            costs += [cost] * len(own)
            limits.append(own)
        # Shuffled, so that neighbouring problems have nothing in common.
        order = rng.permutation(len(costs))
        cost, limit = np.stack(costs)[order], np.concatenate(limits)[order]
        row_mask = rng.uniform(size=cost.shape[:2]) < (0.7 if masked else 2)
        col_mask = rng.uniform(size=(len(cost), shape[1])) < (0.7 if masked else 2)
        cost = np.where(row_mask[:, :, np.newaxis] & col_mask[:, np.newaxis, :], cost, kind_of(NAN)).astype(kind_of)
        yield {"cost": cost, "row_mask": row_mask, "col_mask": col_mask}, limit


# In units of half the least number there is: half a limit is a whole number of them, too.
UNITS = 2**1075


def whole(number):
    """A finite number in units."""
    numerator, denominator = float(number).as_integer_ratio()
    return numerator * (UNITS // denominator)


def exact_objectives(problem):
    """The objective of some pairs among the existing rows and columns, and the least of all matchings (None: there is
    none), in units and in the sense of minimising."""
    rows, cols = problem.existing.shape
    costs = [[whole(cost) if np.isfinite(cost) else None for cost in row] for row in problem.existing]
    limited = np.isfinite(problem.limit)
    half_limit = whole(problem.least_limit) // 2 if limited else 0

    def objective(pairs):
        return sum(costs[row][col] for row, col in pairs) + half_limit * (rows + cols - 2 * len(pairs))

    matchings = (
        list(zip(some_rows, some_cols, strict=True))
        for count in range(0 if limited else min(rows, cols), min(rows, cols) + 1)
        for some_rows in itertools.combinations(range(rows), count)
        for some_cols in itertools.permutations(range(cols), count)
    )
    allowed = (pairs for pairs in matchings if all(costs[row][col] is not None for row, col in pairs))
    return objective, min(map(objective, allowed), default=None)


def hold(call, limit, answer, maximize):
    """Checks a batch against the oracles: the exact one, and the certificate with everything else that is promised."""
    oracle.check_batch(
        call["cost"], answer, row_mask=call["row_mask"], col_mask=call["col_mask"], limit=limit, maximize=maximize
    )
    for index, own in enumerate(np.broadcast_to(limit, len(call["cost"]))):
        problem = oracle.Problem(
            call["cost"][index].astype(np.float64),
            call["row_mask"][index],
            call["col_mask"][index],
            float(own),
            maximize,
        )
        objective, best = exact_objectives(problem)
        assert answer.status[index] == (1 if best is None else 0), problem
        if best is None:
            continue
        row_place, col_place = np.cumsum(problem.row_exists) - 1, np.cumsum(problem.col_exists) - 1
        pairs = [(row_place[row], col_place[col]) for row, col in enumerate(answer.row_to_col[index]) if col >= 0]
        slack = 0 if problem.is_exact() else max(problem.existing.shape) * whole(problem.largest) // 2**50
        over = objective(pairs) - best
        assert 0 <= over <= slack, f"{over / UNITS} over the optimum, allowed {slack / UNITS}\n{problem}\n{pairs}"


@BOTH_SENSES
@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
@EVERY_DTYPE
def test_limits_of_any_size_one_for_each(dtype, masked, maximize):
    for call, limit in batches(dtype, maximize, masked):
        hold(call, limit, solve(limit=limit, maximize=maximize, **call), maximize)


@BOTH_SENSES
@EVERY_DTYPE
def test_limits_of_any_size_one_for_all(dtype, maximize):
    kind_of = oracle.DTYPES[dtype]
    real = oracle.real_type(kind_of)
    for call, _ in batches(dtype, maximize, masked=True):
        few = {name: value[::11] for name, value in call.items()}
        for size in [1e20, most(real), float(np.finfo(real).smallest_subnormal), 2.5]:
            for limit in [size, -size]:
                hold(few, limit, solve(limit=limit, maximize=maximize, **few), maximize)


@pytest.mark.parametrize("limit", [1e20, "most", 5.0, 12.0, 1e3])
@EVERY_DTYPE
def test_a_large_limit_leaves_the_cheapest_pairs(dtype, limit):
    kind_of = oracle.DTYPES[dtype]
    limit = most(oracle.real_type(kind_of)) if limit == "most" else limit
    for sign, maximize in [(1, False), (-1, True)]:
        cost = (sign * np.array([[5, 1], [1, 5]])).astype(kind_of)
        answer = solve(cost, sign * limit, maximize=maximize)
        assert (answer.row_to_col.tolist(), answer.total_cost, answer.status) == ([1, 0], sign * 2, 0)
        # With the other sign no pair pays.
        answer = solve(cost, -sign * limit, maximize=maximize)
        assert (answer.row_to_col.tolist(), answer.total_cost, answer.status) == ([-1, -1], 0, 0)


@BOTH_SENSES
@pytest.mark.parametrize("shape", [(33, 33), (40, 60), (90, 40), (130, 130), (20, 200)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_limits_beyond_what_is_solved_side_by_side(dtype, shape, maximize):
    """Against SciPy, with what the limits count as."""
    kind_of = oracle.DTYPES[dtype]
    rng = np.random.default_rng([SEED, *shape])
    for kind in ["integer ties", "forbidden", "uniform", "offset"]:
        cost = oracle.generate(kind, rng, (6, *shape), kind_of, maximize)
        real = oracle.real_type(kind_of)
        limit = real([1e20, most(real), -1e20, 0.6, INF if kind != "forbidden" else 1e9, 1e7])
        row_mask = rng.uniform(size=(6, shape[0])) < 0.9
        answer = solve(cost, limit, row_mask=row_mask, maximize=maximize)
        oracle.check_batch(cost, answer, row_mask=row_mask, limit=limit, maximize=maximize, note=kind)


# However the op is called: what eager calls answer, to the last bit.


def unknown(dtype):
    return tf.TensorSpec(None, dtype)


@BOTH_SENSES
@EVERY_DTYPE
def test_every_way_to_call_gives_the_same(dtype, maximize):
    for call, limit in batches(dtype, maximize, masked=True):
        tensors = [tf.constant(array) for array in (*call.values(), limit)]

        def assign(cost, row_mask, col_mask, limit):
            return linear_assignment(cost, row_mask=row_mask, col_mask=col_mask, cost_limit=limit, maximize=maximize)

        signature = [unknown(tensor.dtype) for tensor in tensors]
        want = assign(*tensors)
        for way in [tf.function(assign, input_signature=signature), tf.function(assign, jit_compile=True)]:
            for name, got, expected in zip(Assignment._fields, way(*tensors), want, strict=True):
                np.testing.assert_array_equal(got, expected, name)


def test_more_than_one_batch_dimension():
    rng = np.random.default_rng(SEED)
    cost = rng.integers(0, 9, (2, 3, 4, 5)).astype(np.float32)
    limit = np.float32([[1, 1e30, -1], [INF, 4, 20]])
    answer = solve(cost, limit)
    for index in np.ndindex(2, 3):
        alone = solve(cost[index], limit[index])
        for name, got, expected in zip(Assignment._fields, answer, alone, strict=True):
            np.testing.assert_array_equal(got[index], expected, name)


def test_the_limits_shape_says_what_that_of_the_costs_leaves_open():
    @tf.function(input_signature=[tf.TensorSpec([None, None, 1, 3]), tf.TensorSpec([7, None])])
    def solved(cost, limit):
        # Of the op, for linear_assignment broadcasts first.
        answer = Assignment(*ops.hungarian_assignment(cost, True, True, limit))
        assert answer.total_cost.shape.as_list() == [7, None]
        assert answer.row_to_col.shape.as_list() == [7, None, 1]
        return answer.total_cost

    assert solved(tf.zeros([7, 2, 1, 3]), tf.ones([7, 2])).shape == [7, 2]


def test_a_nan_limit_spoils_its_own_problem():
    cost = np.array([[[5, 1], [1, 5]]] * 4, np.float32).reshape(2, 2, 2, 2)
    limit = np.float32([[9, NAN], [INF, 1e30]])
    answer = solve(cost, limit)
    assert answer.status.tolist() == [[0, 2], [0, 0]]
    np.testing.assert_array_equal(answer.total_cost, [[2, NAN], [2, 2]])
    for way in [linear_assignment, tf.function(linear_assignment, jit_compile=True)]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"cost_limit\[0, 1\] is nan, expected a number"):
            way(tf.constant(cost), cost_limit=tf.constant(limit), validate=True)


def test_the_gradient_is_that_of_the_matched_pairs():
    cost = tf.constant([[[5.0, 1.0], [1.0, 5.0]]] * 3)
    limit = tf.constant([1e30, 1.5, -1.0])
    with tf.GradientTape() as tape:
        tape.watch([cost, limit])
        total = linear_assignment(cost, cost_limit=limit).total_cost
    of_cost, of_limit = tape.gradient(total, [cost, limit])
    assert of_limit is None
    np.testing.assert_array_equal(of_cost, [[[0, 1], [1, 0]]] * 2 + [[[0, 0], [0, 0]]])
