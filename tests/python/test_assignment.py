"""The assignment op: optimal, proven and well behaved, whatever it is given and however it is called."""

import functools
import itertools
import re
import zlib

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

import oracle
from hungarian_loss import Assignment, assignment_mask, assignment_pairs, linear_assignment, op_library_path

INF, NAN = np.inf, np.nan
BOTH_SENSES = pytest.mark.parametrize("maximize", [False, True], ids=["min", "max"])
EVERY_DTYPE = pytest.mark.parametrize("dtype", oracle.DTYPES)
EVERY_KIND = pytest.mark.parametrize("kind", oracle.GENERATORS)


def solve(cost, **options):
    """The op run eagerly, answers in numpy."""
    return Assignment(*(output.numpy() for output in linear_assignment(tf.constant(cost), **options)))


def random_generator(*name):
    """A generator of its own for each case, and a note that says how to make it again."""
    seed = zlib.crc32(repr(name).encode())
    return np.random.default_rng(seed), f"seed {seed} of {name}"


def assert_same(left, right, note=""):
    """Every output equal to the last bit."""
    for name, one, other in zip(Assignment._fields, left, right, strict=True):
        assert (one.shape, one.tobytes()) == (other.shape, other.tobytes()), f"{name}: {one} and {other}; {note}"


def limits_for(cost, rng):
    """Limits that leave none, some and all unmatched, one on a cost exactly, and one below zero."""
    finite = cost[np.isfinite(cost)].astype(np.float64)
    if finite.size == 0:
        return [0.0, 1.0, -1.0]
    low, middle = np.quantile(finite, [0.1, 0.5])
    spread = float(finite.max() - finite.min()) + 1.0
    wanted = [low, middle, float(rng.choice(finite)), float(finite.min()) - spread, 3.0 * float(finite.max()) + spread]
    wanted += [0.0, -0.3 * spread]
    return [float(oracle.real_type(cost.dtype)(limit)) for limit in wanted]


# The oracle itself.


def test_oracle_agrees_with_trying_every_matching():
    rng, note = random_generator("brute force")
    for rows, cols in itertools.product(range(4), range(5)):
        for limit, maximize in itertools.product([INF, -INF, 1.0, 3.0, -1.0], [False, True]):
            for kind in ["integer ties", "forbidden", "half-rounded"]:
                cost = oracle.generate(kind, rng, (rows, cols), np.float64, maximize)
                if kind == "half-rounded":
                    cost = 4 * cost - 1
                everything = np.full(rows, True), np.full(cols, True)
                problem = oracle.Problem(cost, *everything, limit, maximize)
                status, objective = oracle.reference(problem)
                want_status, want = oracle.brute_force(problem)
                assert status == want_status, f"{note}: {problem}"
                assert objective == want or abs(objective - want) < 1e-14, f"{note}: {problem}"


def test_oracle_refuses_wrong_answers():
    cost = np.array([[1.0, 2.0, 4.0], [2.0, 5.0, 9.0]])
    problem = oracle.Problem(cost, np.full(2, True), np.full(3, True))
    right = solve(cost)
    oracle.check(problem, right, np.float64)
    limited = oracle.Problem(cost, np.full(2, True), np.full(3, True), limit=3.0)
    right_limited = solve(cost, cost_limit=3.0)
    oracle.check(limited, right_limited, np.float64)

    def changed(answer, **fields):
        return answer._replace(**{name: np.asarray(value) for name, value in fields.items()})

    assert right.row_to_col.tolist() == [1, 0]
    wrong = [
        changed(right, total_cost=right.total_cost + 1e-9),
        changed(right, status=1),
        changed(right, row_to_col=[0, 1], col_to_row=[0, 1, -1], total_cost=6.0),
        changed(right, row_to_col=[1, 0], col_to_row=[1, -1, 0]),
        changed(right, row_to_col=[1, -1], col_to_row=[-1, 0, -1], total_cost=2.0),
        changed(right, row_duals=right.row_duals + [1e-9, 0]),
        changed(right, row_duals=right.row_duals - [0, 1e-9]),
        changed(right, col_duals=right.col_duals + [0, 0, 1e-9]),
        changed(right, row_duals=right.row_duals - 1, col_duals=right.col_duals + 1),
        changed(right, row_duals=right.row_duals * NAN),
    ]
    for answer in wrong:
        with pytest.raises(AssertionError):
            oracle.check(problem, answer, np.float64)
    wrong_limited = [
        changed(right_limited, row_duals=right_limited.row_duals + 1e-9),
        changed(right_limited, col_duals=right_limited.col_duals - 1e-9),
    ]
    for answer in wrong_limited:
        with pytest.raises(AssertionError):
            oracle.check(limited, answer, np.float64)


# Optimal, with proof.


@BOTH_SENSES
@EVERY_KIND
@EVERY_DTYPE
def test_every_shape(dtype, kind, maximize):
    rng, note = random_generator(dtype, kind, maximize)
    for rows, cols in oracle.SHAPES:
        cost = oracle.generate(kind, rng, (3, rows, cols), oracle.DTYPES[dtype], maximize)
        oracle.check_batch(cost, solve(cost, maximize=maximize), maximize=maximize, note=f"{note}, {rows}x{cols}")


@BOTH_SENSES
@EVERY_KIND
@EVERY_DTYPE
def test_limit(dtype, kind, maximize):
    rng, note = random_generator("limit", dtype, kind, maximize)
    for rows, cols in [(0, 0), (0, 2), (3, 0), (1, 1), (1, 4), (4, 4), (5, 8), (9, 4), (15, 15)]:
        cost = oracle.generate(kind, rng, (2, rows, cols), oracle.DTYPES[dtype], maximize)
        for limit in limits_for(cost, rng):
            answer = solve(cost, maximize=maximize, cost_limit=limit)
            oracle.check_batch(
                cost, answer, limit=limit, maximize=maximize, note=f"{note}, {rows}x{cols}, limit {limit!r}"
            )


@BOTH_SENSES
@EVERY_KIND
@EVERY_DTYPE
def test_masks(dtype, kind, maximize):
    rng, note = random_generator("masks", dtype, kind, maximize)
    for rows, cols in [(0, 3), (3, 0), (1, 1), (2, 5), (6, 6), (8, 5), (12, 20)]:
        shown = oracle.generate(kind, rng, (5, rows, cols), oracle.DTYPES[dtype], maximize)
        row_mask, col_mask = rng.uniform(size=(5, rows)) < 0.7, rng.uniform(size=(5, cols)) < 0.7
        row_mask[0] = False
        cost = shown.copy()
        hidden = ~(row_mask[:, :, np.newaxis] & col_mask[:, np.newaxis, :])
        cost[hidden] = rng.choice(np.array([NAN, INF, -INF, 7], cost.dtype), hidden.sum())
        for limit in [INF, *limits_for(shown, rng)[1:3]]:
            options = {"row_mask": row_mask, "col_mask": col_mask, "maximize": maximize}
            answer = solve(cost, cost_limit=limit, **options)
            oracle.check_batch(cost, answer, limit=limit, note=f"{note}, {rows}x{cols}, limit {limit!r}", **options)
            # What is hidden does not matter.
            assert_same(answer, solve(shown, cost_limit=limit, **options), note)


@BOTH_SENSES
def test_one_mask_alone_and_scalar_masks(maximize):
    rng, note = random_generator("scalar masks", maximize)
    cost = oracle.generate("forbidden", rng, (4, 5, 7), np.float32, maximize)
    each_row, each_col = rng.uniform(size=(4, 5)) < 0.5, rng.uniform(size=(4, 7)) < 0.5
    for row_mask, col_mask in itertools.product([None, True, False, each_row], [None, True, False, each_col]):
        options = {"row_mask": row_mask, "col_mask": col_mask, "maximize": maximize}
        oracle.check_batch(cost, solve(cost, **options), note=f"{note}, {row_mask}, {col_mask}", **options)


def test_a_mask_that_leaves_a_bad_entry_out_mends_a_problem():
    cost = np.array([[NAN, 1.0], [2.0, 3.0]])
    assert solve(cost).status == 2
    assert solve(cost, row_mask=[False, True]).status == 0
    assert solve(cost, col_mask=[False, True]).status == 0
    assert solve(cost, row_mask=[True, False]).status == 2


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3), (2, 1, 3), (0,), (2, 0), (0, 3, 2)], ids=str)
def test_batch_dimensions(batch):
    rng, note = random_generator("batch", batch)
    for rows, cols in [(0, 0), (0, 4), (3, 0), (3, 5), (5, 3)]:
        cost = oracle.generate("forbidden", rng, (*batch, rows, cols), np.float64)
        oracle.check_batch(cost, solve(cost), note=note)
        options = {
            "row_mask": rng.uniform(size=(*batch, rows)) < 0.7,
            "col_mask": rng.uniform(size=(*batch, cols)) < 0.7,
        }
        oracle.check_batch(cost, solve(cost, **options), note=note, **options)
        oracle.check_batch(cost, solve(cost, cost_limit=0.5), limit=0.5, note=note)


@BOTH_SENSES
def test_counts_are_masks_of_leading_ones(maximize):
    rng, note = random_generator("counts", maximize)
    cost = oracle.generate("integer ties", rng, (2, 6, 4, 5), np.float32, maximize)
    num_rows, num_cols = rng.integers(0, 5, (2, 6)), rng.integers(0, 6, (2, 6))
    row_mask, col_mask = np.arange(4) < num_rows[..., np.newaxis], np.arange(5) < num_cols[..., np.newaxis]
    by_mask = solve(cost, row_mask=row_mask, col_mask=col_mask, maximize=maximize)
    oracle.check_batch(cost, by_mask, row_mask=row_mask, col_mask=col_mask, maximize=maximize, note=note)
    for dtype in [np.int32, np.int64]:
        counts = {"num_rows": num_rows.astype(dtype), "num_cols": num_cols.astype(dtype)}
        assert_same(by_mask, solve(cost, maximize=maximize, **counts), note)
        assert_same(by_mask, solve(cost, maximize=maximize, validate=True, **counts), note)
    assert_same(
        solve(cost, row_mask=row_mask, maximize=maximize), solve(cost, num_rows=num_rows, maximize=maximize), note
    )


@BOTH_SENSES
def test_an_infinite_limit_of_either_sign_is_none(maximize):
    rng, note = random_generator("infinite limit")
    for kind in ["uniform", "forbidden"]:
        cost = oracle.generate(kind, rng, (6, 4, 5), np.float32, maximize)
        for limit in [INF, -INF, tf.constant(-INF, tf.float32)]:
            assert_same(solve(cost, maximize=maximize), solve(cost, maximize=maximize, cost_limit=limit), note)


@EVERY_DTYPE
@pytest.mark.parametrize(("maximize", "sign"), [(False, 1), (True, -1)])
def test_a_lone_pair_at_the_limit_is_matched_and_one_beyond_is_not(dtype, maximize, sign):
    cost = np.full((1, 1), sign * 3.0).astype(oracle.DTYPES[dtype])
    real = oracle.real_type(cost.dtype)
    at = solve(cost, maximize=maximize, cost_limit=sign * 3.0)
    assert (at.row_to_col.tolist(), at.total_cost) == ([0], sign * 3.0)
    beyond = solve(cost, maximize=maximize, cost_limit=float(sign * np.nextafter(real(3), real(0))))
    assert (beyond.row_to_col.tolist(), beyond.total_cost) == ([-1], 0.0)


def test_maximize_is_minimize_of_the_negated():
    rng, note = random_generator("negated")
    cost = oracle.generate("uniform", rng, (5, 6, 8), np.float64)
    for limit in [INF, 0.3]:
        least, most = solve(cost, cost_limit=limit), solve(-cost, cost_limit=-limit, maximize=True)
        for name in ["row_to_col", "col_to_row", "status"]:
            np.testing.assert_array_equal(getattr(least, name), getattr(most, name), note)
        for name in ["total_cost", "row_duals", "col_duals"]:
            np.testing.assert_array_equal(getattr(least, name), -getattr(most, name), note)


def test_near_ties_are_told_apart_at_size():
    # 2 (rows + cols) max / q < 2^53, so the answer is exactly optimal although entries differ by one ulp of f32.
    rng, note = random_generator("near ties at size")
    for dtype in [np.float32, np.float64]:
        cost = oracle.generate("near ties", rng, (150, 150), dtype)
        oracle.check_batch(cost, solve(cost), note=note)
        cost = oracle.generate("offset", rng, (90, 130), dtype)
        oracle.check_batch(cost, solve(cost), note=note)


@pytest.mark.parametrize("n", [1, 2, 10, 60])
def test_the_worst_case_for_augmenting_paths(n):
    index = np.arange(1.0, n + 1)
    answer = solve(np.outer(index, index))
    assert answer.total_cost == n * (n + 1) * (n + 2) / 6


@EVERY_DTYPE
def test_all_equal_matches_i_to_i(dtype):
    for rows, cols in [(1, 1), (4, 4), (3, 7), (7, 3), (20, 20)]:
        for value in [0.0, -0.0, 1.0, -3.5]:
            for options in [{}, {"maximize": True}, {"cost_limit": 4.0}, {"cost_limit": -4.0, "maximize": True}]:
                cost = np.full((2, rows, cols), value).astype(oracle.DTYPES[dtype])
                want = [row if row < cols else -1 for row in range(rows)]
                assert solve(cost, **options).row_to_col.tolist() == [want, want], (rows, cols, value, options)


@pytest.mark.parametrize("parallel", [False, True], ids=["one thread", "the pool"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_denormal_costs_are_taken_exactly(dtype, parallel):
    rng, note = random_generator("denormals", dtype)
    kind = oracle.DTYPES[dtype]
    step = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 2.0**-1074}[dtype]
    shape = (400, 12, 12) if parallel else (3, 4, 5)
    # Multiples of the least number above zero, all of them denormal: for float32 around 1e-40.
    most = {"float16": 1000, "bfloat16": 100, "float32": 100_000, "float64": 10**9}[dtype]
    multiples = rng.integers(-most, most, shape).astype(np.float64)
    cost = (multiples * step).astype(kind)
    assert (cost.astype(np.float64) == multiples * step).all()
    assert (np.abs(cost.astype(np.float64))).max() < {"float16": 6.2e-5, "float64": 2.3e-308}.get(dtype, 1.2e-38)
    outputs = tf.function(linear_assignment)(tf.constant(cost))
    answer = Assignment(*(output.numpy() for output in outputs))
    chosen = np.take_along_axis(multiples, answer.row_to_col[..., np.newaxis], -1).sum((-2, -1))
    # The same problems a long way from zero, where no setting of the processor matters.
    want = [oracle.reference(oracle.Problem(one, *(np.full(size, True) for size in one.shape)))[1] for one in multiples]
    np.testing.assert_array_equal(chosen, want, note)
    np.testing.assert_array_equal(answer.total_cost.astype(np.float64), np.array(want) * step, note)
    for index in range(3):
        oracle.check_batch(cost[index], Assignment(*(output[index] for output in answer)), note=note)


@pytest.mark.parametrize(("dtype", "huge"), [("float32", 3.4e38), ("float64", 1.7e308), ("bfloat16", 3.3e38)])
def test_sums_beyond_the_range(dtype, huge):
    kind = oracle.DTYPES[dtype]
    for cost in [
        np.full((3, 3), huge),
        np.full((4, 2), -huge),
        huge * (1 - 2 * np.eye(5)),
        np.array([[huge, INF, INF], [INF, huge, INF], [INF, INF, -huge]]),
    ]:
        cost = cost.astype(kind)
        oracle.check_batch(cost, solve(cost), note=str(cost))
    assert solve(np.full((3, 3), huge).astype(kind)).total_cost == INF
    assert solve(np.full((3, 3), huge).astype(kind)).status == 0


def test_types_of_python_and_numpy_numbers():
    assert linear_assignment([[1.0, 2.0]]).total_cost.dtype == tf.float32
    assert linear_assignment([[1, 2]]).total_cost.dtype == tf.float32
    assert linear_assignment(np.ones((1, 2))).total_cost.dtype == tf.float64
    assert linear_assignment(tf.ones((1, 2), tf.bfloat16)).col_duals.dtype == tf.float32


# Bad problems.


@EVERY_DTYPE
@pytest.mark.parametrize(
    ("bad", "options", "status"),
    [
        ([[NAN, 1], [2, 3]], {}, 2),
        ([[1, 1], [2, -INF]], {}, 2),
        ([[1, 1], [2, INF]], {"maximize": True}, 2),
        ([[1, NAN], [2, 3]], {"cost_limit": 1.0}, 2),
        ([[INF, INF], [2, 3]], {}, 1),
        ([[INF, 1], [INF, 3]], {}, 1),
        ([[-INF, 1], [-INF, 3]], {"maximize": True}, 1),
        ([[INF, INF], [2, NAN]], {}, 2),
        ([[INF, INF], [2, -INF]], {}, 2),
        ([[INF, INF], [2, 3]], {"cost_limit": -INF}, 1),
        ([[INF, INF], [INF, INF]], {"cost_limit": 1.0}, 0),
        ([[INF, INF], [INF, INF]], {"cost_limit": -1.0}, 0),
        ([[INF, 1], [INF, 3]], {"row_mask": [False, True]}, 0),
        ([[INF, 1], [INF, 3]], {"col_mask": [False, True]}, 0),
        ([[INF, 1], [INF, 3]], {"col_mask": [True, False]}, 1),
    ],
)
def test_status(dtype, bad, options, status):
    cost = np.array(bad).astype(oracle.DTYPES[dtype])
    answer = solve(cost, **options)
    assert answer.status == status
    named = {"limit" if name == "cost_limit" else name: value for name, value in options.items()}
    oracle.check_batch(cost, answer, **named)


@pytest.mark.parametrize("shape", [(2, 2), (0, 3), (3, 0), (4, 0, 0), (2, 3, 4)], ids=str)
def test_a_limit_that_is_nan_makes_every_problem_invalid(shape):
    cost = np.ones(shape, np.float32)
    answer = solve(cost, cost_limit=NAN)
    assert (answer.status == 2).all()
    oracle.check_batch(cost, answer, limit=NAN)


def test_matrices_where_a_naive_loop_never_ends():
    for bad in [[[1, INF], [2, INF]], [[1, INF, INF], [1, INF, INF], [1, 2, 3]], [[INF]], [[INF, INF]]]:
        for cost in [np.array(bad), np.array(bad).T]:
            assert solve(cost).status == 1
            oracle.check_batch(cost, solve(cost))


@BOTH_SENSES
@EVERY_DTYPE
def test_a_bad_problem_leaves_its_neighbours_alone(dtype, maximize):
    rng, note = random_generator("neighbours", dtype, maximize)
    good = oracle.generate("uniform", rng, (9, 5, 6), oracle.DTYPES[dtype])
    wrong_sign = INF if maximize else -INF
    mixed = good.copy()
    mixed[1, 2, 3] = NAN
    mixed[4, 0] = -wrong_sign
    mixed[5, 4, 5] = wrong_sign
    mixed[8] = NAN
    answer, alone = solve(mixed, maximize=maximize), solve(good, maximize=maximize)
    assert answer.status.tolist() == [0, 2, 0, 0, 1, 2, 0, 0, 2], note
    oracle.check_batch(mixed, answer, maximize=maximize, note=note)
    rest = [0, 2, 3, 6, 7]
    assert_same((output[rest] for output in answer), (output[rest] for output in alone), note)


# Deterministic.


def test_the_place_in_the_batch_does_not_matter():
    rng, note = random_generator("place")
    for kind in ["integer ties", "forbidden", "uniform"]:
        cost = oracle.generate(kind, rng, (40, 9, 11), np.float32)
        order = rng.permutation(40)
        assert_same((output[order] for output in solve(cost)), solve(cost[order]), note)
        assert_same(solve(cost), (output[0] for output in solve(np.stack([cost, cost]))), note)


@pytest.mark.parametrize("options", [{}, {"maximize": True}, {"cost_limit": 0.4}], ids=str)
def test_a_large_batch_equals_its_problems_one_by_one(options):
    rng, note = random_generator("large batch")
    cost = oracle.generate("half-rounded", rng, (257, 16, 18), np.float32)
    row_mask = rng.uniform(size=(257, 16)) < 0.9
    batch = solve(cost, row_mask=row_mask, **options)
    for index in range(257):
        one = solve(cost[index], row_mask=row_mask[index], **options)
        assert_same((output[index] for output in batch), one, f"{note}, problem {index}")
    for index in range(0, 257, 16):
        named = {"limit" if name == "cost_limit" else name: value for name, value in options.items()}
        one = Assignment(*(output[index] for output in batch))
        oracle.check_batch(cost[index], one, row_mask=row_mask[index], note=f"{note}, problem {index}", **named)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_number_of_threads_does_not_matter(threads, tmp_path):
    rng, note = random_generator("threads")
    cost = oracle.generate("integer ties", rng, (300, 20, 20), np.float32)
    np.save(tmp_path / "cost.npy", cost)
    used = oracle.run_json(
        """
        import json, sys
        import numpy as np, tensorflow as tf
        folder, threads = sys.argv[1], int(sys.argv[2])
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        from hungarian_loss import linear_assignment
        answer = linear_assignment(tf.constant(np.load(folder + "/cost.npy")))
        np.savez(folder + "/answer.npz", **{name: output.numpy() for name, output in answer._asdict().items()})
        print(json.dumps(tf.config.threading.get_intra_op_parallelism_threads()))
        """,
        tmp_path,
        threads,
    )
    assert used == threads
    with np.load(tmp_path / "answer.npz") as answer:
        assert_same((answer[name] for name in Assignment._fields), solve(cost), note)


# validate


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "tf.function"])
@pytest.mark.parametrize(
    ("place", "value", "options", "expected"),
    [
        ((1, 2, 0, 1), NAN, {}, ["[1, 2]", "cost[1, 2, 0, 1]", "nan", "invalid"]),
        ((0, 1, 1, 2), -INF, {}, ["[0, 1]", "cost[0, 1, 1, 2]", "-inf", "invalid"]),
        ((0, 1, 1, 2), INF, {"maximize": True}, ["cost[0, 1, 1, 2]", "inf", "invalid"]),
        ((0, 2, 1), INF, {}, ["[0, 2]", "row 1", "infeasible"]),
        ((0, 2, 1), -INF, {"maximize": True}, ["[0, 2]", "row 1", "infeasible"]),
        ((0, 0, slice(None), 2), INF, {"row_mask": True, "num_cols": [[3] * 3] * 2}, None),
        ((0, 0, 0, 0), 1.0, {"cost_limit": NAN}, ["cost_limit", "nan"]),
    ],
)
def test_validate_names_the_first_bad_problem(place, value, options, expected, traced):
    cost = np.random.default_rng(3).uniform(size=(2, 3, 2, 3))
    cost[place] = value
    if expected is not None:
        cost[1, 2, 1, 1] = NAN  # A later one, not to be named.
    call = functools.partial(linear_assignment, validate=True, **options)
    if traced:
        call = tf.function(call)
    if expected is None:
        assert (call(tf.constant(cost)).status.numpy() == 0).all()
        return
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        call(tf.constant(cost))
    for part in expected:
        assert part in str(error.value)
    assert ("cost[1, 2, 1, 1]" in str(error.value)) == (place == (1, 2, 1, 1))


def test_validate_names_rows_as_the_user_counts_them():
    cost = np.array([[NAN, 1, 2], [1, 2, 3], [INF, INF, 5]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="row 2"):
        solve(cost, row_mask=[False, True, True], col_mask=[True, True, False], validate=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape("cost[0, 0]")):
        solve(cost, validate=True)


def test_validate_lets_good_problems_pass():
    rng, note = random_generator("validate")
    cost = oracle.generate("forbidden", rng, (20, 6, 30), np.float32)
    assert (solve(cost).status == 0).all(), note
    assert_same(solve(cost), solve(cost, validate=True), note)
    # A batch without problems has no bad one.
    assert solve(np.zeros((0, 2, 2)), validate=True, cost_limit=NAN).status.shape == (0,)


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "tf.function"])
@pytest.mark.parametrize(("side", "count"), [("row", 3), ("row", -1), ("col", 4), ("col", -2)])
def test_validate_checks_counts(side, count, traced):
    cost, counts = tf.ones((2, 2, 3)), tf.constant([1, count])

    def call(counts):
        return linear_assignment(cost, validate=True, **{f"num_{side}s": counts}).status

    with pytest.raises(tf.errors.InvalidArgumentError, match=f"num_{side}s"):
        (tf.function(call) if traced else call)(counts)


def test_validate_is_pruned_with_the_outputs_that_nobody_uses():
    """As the docstring says; TensorFlow prunes ops without effects."""
    cost = tf.constant([[NAN]])

    @tf.function
    def unused(cost):
        linear_assignment(cost, validate=True)
        return cost

    @tf.function
    def used(cost):
        return linear_assignment(cost, validate=True).status

    unused(cost)
    with pytest.raises(tf.errors.InvalidArgumentError, match="invalid"):
        used(cost)


# Shapes and types that do not fit.

F32 = np.float32
MISFITS = {
    "rank 0": ([F32(1.0)], {}, "cost"),
    "rank 1": ([np.ones(3, F32)], {}, "cost"),
    "rank 1 with a count": ([np.ones(3, F32)], {"num_rows": 1}, "cost"),
    "row_mask too long": ([np.ones((2, 3), F32)], {"row_mask": np.full(3, True)}, "row_mask"),
    "row_mask with another batch": ([np.ones((4, 2, 3), F32)], {"row_mask": np.full((3, 2), True)}, "row_mask"),
    "col_mask too short": ([np.ones((2, 3), F32)], {"col_mask": np.full(2, True)}, "col_mask"),
    "col_mask of too high a rank": ([np.ones((2, 3), F32)], {"col_mask": np.full((1, 3), True)}, "col_mask"),
    "cost_limit a vector": ([np.ones((2, 3), F32)], {"cost_limit": np.ones(1, F32)}, "cost_limit"),
    "cost_limit of another batch": ([np.ones((4, 2, 3), F32)], {"cost_limit": np.ones(3, F32)}, "cost_limit"),
    "counts of another batch": ([np.ones((4, 2, 3), F32)], {"num_rows": [1, 2, 3]}, "num_rows"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_shapes_that_do_not_fit(misfit):
    arguments, options, named = MISFITS[misfit]
    tensors = {name: tf.constant(value) for name, value in options.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=named):
        linear_assignment(*map(tf.constant, arguments), **tensors)

    def call(cost, tensors):
        return linear_assignment(cost, **tensors)

    with pytest.raises(ValueError, match=named):
        tf.function(call)(*map(tf.constant, arguments), tensors)
    # Nothing known while tracing: the same verdict when run.
    unknown = {name: tf.TensorSpec(None, tensor.dtype) for name, tensor in tensors.items()}
    late = tf.function(call, input_signature=[tf.TensorSpec(None, tf.float32), unknown])
    with pytest.raises(tf.errors.InvalidArgumentError, match=named):
        late(*map(tf.constant, arguments), tensors)


@pytest.mark.parametrize("dtype", ["complex64", "string", "float8_e5m2"])
def test_types_of_cost_that_are_not_supported(dtype):
    cost = tf.constant([["a"]]) if dtype == "string" else tf.cast([[1.0]], dtype)
    with pytest.raises(TypeError, match="cost must be one of.*got"):
        linear_assignment(cost)
    with pytest.raises(TypeError, match="cost must be one of.*got"):
        tf.function(linear_assignment)(cost)


@pytest.mark.parametrize(("cost", "limit"), [("float64", "float32"), ("float32", "float64"), ("float16", "float64")])
def test_a_limit_of_the_wrong_type(cost, limit):
    arguments = tf.cast([[1.0]], cost), tf.constant(1, limit)

    def call(cost, limit):
        return linear_assignment(cost, cost_limit=limit)

    with pytest.raises(TypeError, match=f"cost_limit.*got {limit}"):
        call(*arguments)
    with pytest.raises(TypeError, match=f"cost_limit.*got {limit}"):
        tf.function(call)(*arguments)

    # The op itself says so too.
    op = tf.load_op_library(op_library_path()).hungarian_assignment
    everything = tf.constant(True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="cost_limit.*got"):
        op(arguments[0], everything, everything, arguments[1])
    with pytest.raises((ValueError, TypeError), match="cost_limit.*got"):
        tf.function(op)(arguments[0], everything, everything, arguments[1])


def test_a_mask_and_a_count_together():
    for side, mask in [("row", [True, True]), ("col", [True, True, False])]:
        with pytest.raises(ValueError, match=f"{side}_mask and num_{side}s"):
            linear_assignment(tf.ones((2, 3)), **{f"{side}_mask": mask, f"num_{side}s": 1})


def test_counts_that_are_not_integers():
    for count in [1.5, tf.constant(1.5)]:
        with pytest.raises((TypeError, ValueError)):
            linear_assignment(tf.ones((2, 3)), num_rows=count)


def test_sizes_beyond_int32():
    # Cost tensors of no elements, whose outputs could not hold an index.
    with pytest.raises(tf.errors.InvalidArgumentError, match="cost has too many rows.*got 2147483648.*expected"):
        linear_assignment(tf.zeros((1, 2**31, 0)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="cost has too many cols.*got 2147483648.*expected"):
        linear_assignment(tf.zeros((0, 3, 2**31)))
    assert linear_assignment(tf.zeros((0, 2**31 - 1, 2**31 - 1))).row_to_col.shape == (0, 2**31 - 1)


# tf.function


def test_unknown_rank_and_unknown_dimensions():
    rng, note = random_generator("unknown shapes")
    bools = tf.TensorSpec(None, tf.bool)
    any_rank = tf.function(
        lambda cost, row_mask, col_mask: linear_assignment(cost, row_mask=row_mask, col_mask=col_mask),
        input_signature=[tf.TensorSpec(None, tf.float32), bools, bools],
    )
    any_sizes = tf.function(linear_assignment, input_signature=[tf.TensorSpec([None] * 3, tf.float32)])
    for shape in [(3, 4), (4, 3), (0, 2), (2, 5, 3), (1, 2, 3, 3), (0, 2, 2), (2, 0, 3), (2, 3, 0)]:
        cost = oracle.generate("uniform", rng, shape, np.float32)
        row_mask, col_mask = rng.uniform(size=shape[:-1]) < 0.7, rng.uniform(size=(*shape[:-2], shape[-1])) < 0.7
        outputs = [output.numpy() for output in any_rank(cost, row_mask, col_mask)]
        assert_same(outputs, solve(cost, row_mask=row_mask, col_mask=col_mask), note)
        assert_same([output.numpy() for output in any_rank(cost, True, True)], solve(cost), note)
        if len(shape) == 3:
            assert_same([output.numpy() for output in any_sizes(cost)], solve(cost), note)
    assert any_rank.experimental_get_tracing_count() == 1


def traced_shapes(cost, row_mask=(), col_mask=()):
    """Static shapes of the outputs for static shapes of the inputs."""
    seen = []

    @tf.function(
        input_signature=[tf.TensorSpec(cost), *(tf.TensorSpec(mask, tf.bool) for mask in (row_mask, col_mask))]
    )
    def trace(cost, row_mask, col_mask):
        seen.extend(output.shape for output in linear_assignment(cost, row_mask=row_mask, col_mask=col_mask))
        return cost

    trace.get_concrete_function()
    return [None if shape.rank is None else shape.as_list() for shape in seen]


def test_static_shapes():
    def of(batch, rows, cols):
        return [batch, [*batch, rows], [*batch, cols], [*batch, rows], [*batch, cols], batch]

    assert traced_shapes([3, 4]) == of([], 3, 4)
    assert traced_shapes([2, None, 3, 4]) == of([2, None], 3, 4)
    assert traced_shapes([None, None, None]) == of([None], None, None)
    assert traced_shapes(None) == [None] * 6
    # Masks give the sizes that the cost leaves unknown.
    assert traced_shapes([None, None, None], row_mask=[2, 3]) == of([2], 3, None)
    assert traced_shapes([None, None, None], [2, None], [None, 5]) == of([2], None, 5)
    # But not how many problems there are, where it may broadcast.
    assert traced_shapes(None, row_mask=[2, 3]) == [None] * 6
    assert traced_shapes([3, 4], None, None) == of([], 3, 4)


def test_cost_and_limit_that_are_known_only_when_run():
    rng, note = random_generator("limit in a graph")
    cost = oracle.generate("uniform", rng, (3, 5, 4), np.float64)
    call = tf.function(lambda cost, limit: linear_assignment(cost, cost_limit=limit))
    for limit in [0.2, -0.4, INF]:
        outputs = [output.numpy() for output in call(cost, tf.constant(limit, tf.float64))]
        assert_same(outputs, solve(cost, cost_limit=limit), note)


# assignment_pairs


@pytest.mark.parametrize("jit", [None, False, True], ids=["eager", "unknown rank", "jit"])
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (2, 0), (0, 2)], ids=str)
def test_assignment_pairs_are_scipys(shape, jit):
    rng, note = random_generator("pairs", shape)
    cost = rng.uniform(size=(2, *shape))
    call = assignment_pairs
    if jit is not None:
        signature = [tf.TensorSpec([2, shape[0]] if jit else None, tf.int32)]
        call = tf.function(assignment_pairs, input_signature=signature, jit_compile=jit)
    pairs = call(linear_assignment(cost).row_to_col)
    assert [part.dtype for part in pairs] == [tf.int64, tf.int64, tf.bool]
    for problem, row, col, matched in zip(cost, *pairs, strict=True):
        assert row.shape == col.shape == matched.shape == shape[:1]
        want = linear_sum_assignment(problem)
        np.testing.assert_array_equal(tf.boolean_mask(row, matched), want[0], note)
        np.testing.assert_array_equal(tf.boolean_mask(col, matched), want[1], note)
        # Safe to gather by.
        assert (col.numpy() >= 0).all() and (col.numpy() < max(shape[1], 1)).all()


def test_assignment_pairs_of_one_problem_and_of_none():
    pairs = assignment_pairs([2, -1, 0])
    assert [part.numpy().tolist() for part in pairs] == [[0, 1, 2], [2, 0, 0], [True, False, True]]
    assert [part.shape for part in assignment_pairs(tf.zeros([0, 3], tf.int32))] == [(0, 3)] * 3


# assignment_mask


@pytest.mark.parametrize("dtype", [tf.bool, tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.int32])
def test_assignment_mask(dtype):
    rng, note = random_generator("mask")
    cost = oracle.generate("uniform", rng, (3, 5, 4), np.float64)
    row_to_col = solve(cost).row_to_col
    want = row_to_col[..., np.newaxis] == np.arange(4)
    for columns, index_type in [(4, tf.int32), (tf.constant(4), tf.int64)]:
        mask = assignment_mask(tf.cast(row_to_col, index_type), columns, dtype=dtype)
        assert mask.dtype == dtype
        np.testing.assert_array_equal(mask.numpy().astype(bool), want, note)
    assert want.sum() == 3 * 4
    np.testing.assert_allclose((want * cost).sum((1, 2)), solve(cost).total_cost, rtol=1e-15, err_msg=note)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
def test_assignment_mask_for_a_number_of_any_type(dtype):
    want = [[False, False, True], [False, False, False]]
    for cols in (tf.constant(3, dtype), np.dtype(dtype).type(3), np.array(3, dtype)):
        assert assignment_mask([2, -1], cols).numpy().tolist() == want
    assert tf.function(assignment_mask)(tf.constant([2, -1]), tf.constant(3, dtype)).numpy().tolist() == want


@pytest.mark.parametrize("dtype", ["uint32", "int64", "uint64"])
def test_assignment_mask_for_a_number_beyond_int32(dtype):
    """Not for what is left of it in 32 bits, here 3."""
    number = tf.constant(np.array(2**31 + 3 if dtype == "uint32" else 2**32 + 3, dtype))
    for call in (assignment_mask, tf.function(assignment_mask)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="depth must be non-negative"):
            call(tf.constant([2, -1]), number)


def test_assignment_mask_of_nothing():
    assert assignment_mask(tf.zeros([2, 0], tf.int32), 3).shape == (2, 0, 3)
    assert assignment_mask(tf.constant([-1, -1]), 0).shape == (2, 0)
    assert assignment_mask(tf.constant([-1, 0])[:1], 2).numpy().tolist() == [[False, False]]


@pytest.mark.parametrize("byte", [1, 2, 128, 254, 255])
def test_any_byte_but_zero_is_true(byte: int) -> None:
    """A bool tensor may hold bytes other than 0 and 1, and TensorFlow takes all but 0 for true."""
    cost = tf.eye(4)
    flags = tf.io.decode_raw(tf.constant([bytes([byte, 0, byte, byte])]), tf.bool)[0]
    for mask, kept in ((flags, [0, 2, 3]), (flags[0], [0, 1, 2, 3]), (flags[1], [])):
        row_to_col = linear_assignment(cost, row_mask=mask).row_to_col.numpy()
        assert np.flatnonzero(row_to_col >= 0).tolist() == kept
