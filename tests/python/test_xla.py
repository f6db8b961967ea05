"""What only XLA does: sizes that it merely bounds, threads of its own, compiling before the op was known."""

import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import Assignment, linear_assignment
from hungarian_loss._library import ops

SEED = 20240615


def compiled(function):
    return tf.function(function, jit_compile=True)


def assert_same(got, want):
    for name, one, other in zip(Assignment._fields, got, want, strict=True):
        assert one.shape == other.shape, name
        np.testing.assert_array_equal(one, other, name)


# A limit for each of four problems.
EACH = np.float32([0.5, np.inf, -0.1, 0.2])

# Sizes that are known only when run, by the axes of which a mask keeps some: XLA has the greatest size as a bound.


@pytest.mark.parametrize("options", [{}, {"maximize": True}, {"cost_limit": 0.5}, {"cost_limit": EACH}], ids=str)
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_sizes_that_are_only_bounded(axes, options):
    rng = np.random.default_rng(SEED)
    cost = rng.uniform(size=(4, 5, 6)).astype(np.float32)

    def solve(cost, keeps):
        for axis in axes:
            cost = tf.boolean_mask(cost, keeps[str(axis)], axis=axis)
        limits = options.get("cost_limit")
        if limits is EACH and 0 in axes:
            return linear_assignment(cost, cost_limit=tf.boolean_mask(limits, keeps["0"]))
        return linear_assignment(cost, **options)

    call = compiled(solve)
    for share in (0.6, 0.0):
        keeps = {str(axis): rng.uniform(size=cost.shape[axis]) < share for axis in axes}
        assert_same(call(cost, keeps), solve(cost, keeps))


def test_masks_and_gradient_where_sizes_are_only_bounded():
    rng = np.random.default_rng(SEED)
    cost = tf.constant(rng.uniform(size=(3, 6, 7)))
    keep, exists = rng.uniform(size=6) < 0.7, tf.constant(rng.uniform(size=(3, 6)) < 0.7)
    assert 0 < keep.sum() < 6

    def solve(cost, keep):
        with tf.GradientTape() as tape:
            tape.watch(cost)
            kept = tf.boolean_mask(cost, keep, axis=1)
            answer = linear_assignment(kept, row_mask=tf.boolean_mask(exists, keep, axis=1))
        return answer, tape.gradient(answer.total_cost, cost)

    (got, gradient), (want, expected) = compiled(solve)(cost, keep), solve(cost, keep)
    assert_same(got, want)
    np.testing.assert_array_equal(gradient, expected)
    assert np.sum(expected) > 0


@pytest.mark.parametrize(
    ("each", "keep"), [(True, [False, True, True]), (True, [False] * 3), (False, [False] * 3)], ids=str
)
def test_limits_beyond_a_bound_are_not_looked_at(each, keep):
    """A limit of NaN lies beyond the bound: `boolean_mask` fills up with the first. Or no problem is left that it could
    spoil."""
    cost = tf.random.stateless_uniform([3, 2, 2], [3, SEED])

    def solve(cost, limits, keep):
        limits = tf.boolean_mask(limits, keep) if each else limits[0]
        return linear_assignment(tf.boolean_mask(cost, keep), cost_limit=limits, validate=True)

    limits = tf.constant([np.nan, 0.5, 0.1])
    assert_same(compiled(solve)(cost, limits, keep), solve(cost, limits, keep))


@pytest.mark.parametrize("shape", [[], [2], [2, 3]], ids=str)
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "XLA"])
def test_a_limit_for_each_problem_whose_rank_is_not_known(jit, shape):
    cost = tf.random.stateless_uniform([*shape, 4, 5], [4, SEED])
    limits = tf.random.stateless_uniform(shape, [5, SEED])
    unknown = tf.TensorSpec(None, tf.float32)
    solve = tf.function(
        lambda cost, limits: linear_assignment(cost, cost_limit=limits),
        input_signature=None if jit else [unknown, unknown],
        jit_compile=jit,
    )
    assert_same(solve(cost, limits), linear_assignment(cost, cost_limit=limits))


def test_a_mask_of_another_bound_is_refused():
    cost, keep = tf.zeros([3, 4]), tf.constant([True, False, True])

    def solve(cost, keep):
        return linear_assignment(tf.boolean_mask(cost, keep), row_mask=tf.constant([True, True])).status

    assert solve(cost, keep).numpy() == 0
    with pytest.raises(
        (ValueError, tf.errors.InvalidArgumentError), match=r"row_mask does not fit cost: got shape \[2\]"
    ):
        compiled(solve)(cost, keep)


# How many of three are kept, of the costs and of a mask or limits. None: all, which XLA knows while compiling.
DISAGREEING = [(3, 2), (2, 3), (2, None), (None, 2), (0, 2)]
GIVEN = {
    "row_mask": lambda kept: kept > 0,
    "col_mask": lambda kept: kept > 0,
    "num_rows": lambda kept: tf.cast(kept, tf.int32),
    "cost_limit": lambda kept: kept,
}


def keep(tensor, count, axis):
    """The first ``count``, a number of which XLA knows only a bound."""
    return tensor if count is None else tf.boolean_mask(tensor, tf.range(3) < count, axis=axis)


@pytest.mark.parametrize(
    ("name", "by_op"),
    [(name, by_op) for name in GIVEN for by_op in (False, True) if (name, by_op) != ("num_rows", True)],
)
@pytest.mark.parametrize("kept", DISAGREEING, ids=str)
def test_sizes_that_disagree_when_run_are_no_answer(kept, name, by_op):
    """Without XLA they are an error. XLA cannot raise it, and would take what lies beyond a size for values."""
    axis = {"row_mask": 1, "col_mask": 2}.get(name, 0)
    cost = tf.random.stateless_uniform([3, 3, 3], [6, SEED])
    values = tf.ones([3, 3] if axis else [3])

    def solve(cost_kept, values_kept, validate):
        given = {name: GIVEN[name](keep(values, values_kept, min(axis, 1)))}
        kept_cost = keep(cost, cost_kept, axis)
        if not by_op:
            return linear_assignment(kept_cost, validate=validate, **given)
        given = {"row_mask": True, "col_mask": True, "cost_limit": np.float32(np.inf), **given}
        return Assignment(*ops.hungarian_assignment(cost=kept_cost, maximize=False, validate=validate, **given))

    sizes = [None if count is None else tf.constant(count) for count in kept]
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name} does not fit cost"):
        solve(*sizes, validate=False)
    call = compiled(solve)
    got = call(*sizes, validate=False)
    assert np.all(got.status == 2) and np.all(np.isnan(got.total_cost)) and np.all(got.row_to_col == -1)
    if got.status.shape != [0]:  # Without problems none is bad.
        with pytest.raises(tf.errors.InvalidArgumentError, match="does not fit cost, whose sizes are known only when"):
            call(*sizes, validate=True)
    # The same where they agree.
    sizes = [size if size is None else tf.constant(3 if None in kept else 2) for size in sizes]
    assert_same(call(*sizes, validate=True), solve(*sizes, validate=True))


@pytest.mark.parametrize("shape", [[2], [1], [1, 2], [3, 1], [1, 1]], ids=str)
def test_a_mask_is_broadcast_to_sizes_that_are_only_bounded(shape):
    cost = tf.random.stateless_uniform([3, 2, 3], [7, SEED])
    mask = tf.random.stateless_uniform(shape, [8, SEED]) < 0.6

    def solve(count):
        of_cost = keep(mask, count, 0) if shape[0] == 3 else mask
        return linear_assignment(keep(cost, count, 0), row_mask=of_cost)

    call = compiled(solve)
    for count in (0, 1, 2, 3):
        assert_same(call(tf.constant(count)), solve(count))


# Raising.


def test_validate_says_what_it_says_without_xla():
    cost = np.random.default_rng(SEED).uniform(size=(2, 3, 4, 5)).astype(np.float32)
    cost[1, 2, 3, 1] = np.nan

    def solve(cost):
        return linear_assignment(cost, validate=True).total_cost

    messages = []
    for call in (solve, compiled(solve)):
        with pytest.raises(tf.errors.InvalidArgumentError) as raised:
            call(tf.constant(cost))
        messages.append(raised.value.message.split("}} ")[-1].split(" [Op:")[0].strip())
    assert messages[0] == messages[1]
    assert "cost[1, 2, 3, 1] is nan" in messages[0]
    cost[1, 2, 3, 1] = 0
    np.testing.assert_array_equal(compiled(solve)(cost), solve(cost))


# Threads.


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_batch_large_enough_to_be_shared(dtype):
    cost = tf.cast(tf.random.stateless_uniform([20_001, 7, 8], [1, SEED]), dtype)
    assert_same(compiled(linear_assignment)(cost), linear_assignment(cost))


def test_many_calls_at_once():
    """More calls than XLA's pool has threads, each with parts for all of them: there is no deadlock."""
    costs = [tf.random.stateless_uniform([4000, 8, 8], [index, SEED]) for index in range(16)]
    solve = compiled(lambda cost: linear_assignment(cost).row_to_col)
    solve(costs[0])
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        together = list(pool.map(solve, costs, timeout=120))
    for got, cost in zip(together, costs, strict=True):
        np.testing.assert_array_equal(got, linear_assignment(cost).row_to_col)


def test_calls_within_one_program():
    """XLA runs calls that do not depend on each other side by side, on threads that they share."""
    costs = tf.random.stateless_uniform([12, 3000, 8, 8], [2, SEED])

    def solve(costs):
        return [linear_assignment(cost) for cost in tf.unstack(costs)]

    for got, want in zip(compiled(solve)(costs), solve(costs), strict=True):
        assert_same(got, want)


def test_loaded_after_xla_has_compiled_something():
    code = """
    import json
    import tensorflow as tf
    tf.function(lambda x: x + 1, jit_compile=True)(tf.constant(1.0))
    from hungarian_loss import linear_assignment
    solve = tf.function(lambda cost: linear_assignment(cost).row_to_col, jit_compile=True)
    print(json.dumps(solve(tf.constant([[4.0, 1.0], [2.0, 3.0]])).numpy().tolist()))
    """
    assert oracle.run_json(code) == [1, 0]
