"""The gradient of total_cost: right, zero where it must be, and differentiable again."""

import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import Assignment, assignment_mask, linear_assignment

INF, NAN = np.inf, np.nan
OPTIONS = {
    "plain": {},
    "maximize": {"maximize": True},
    "limit": {"cost_limit": 0.45},
    "maximize to a limit": {"maximize": True, "cost_limit": 0.55},
    "negative limit": {"cost_limit": -0.5},
    "masks": {"row_mask": [True, True, False, True], "col_mask": [True, False, True, True, True]},
}
EVERY_OPTION = pytest.mark.parametrize("option", OPTIONS)
SEED = 20240607


def total(cost, **options):
    return linear_assignment(cost, **options).total_cost


def gradient(function, *arguments, upstream=None):
    """The gradient of a function of tensors with respect to the first."""
    first, *rest = (tf.convert_to_tensor(argument) for argument in arguments)
    with tf.GradientTape() as tape:
        tape.watch(first)
        value = function(first, *rest)
    return tape.gradient(value, first, output_gradients=upstream)


def clear_optimum(rng, shape, **options):
    """Random costs whose optimum stays the same when entries move by less than 0.001."""
    limit = options.get("cost_limit", INF)
    mask = np.array(options.get("row_mask", [True] * shape[0])), np.array(options.get("col_mask", [True] * shape[1]))
    while True:
        cost = rng.uniform(size=shape)

        def objective(cost):
            problem = oracle.Problem(cost, *mask, limit, options.get("maximize", False))
            return oracle.reference(problem)[1]

        best = objective(cost)
        # One step towards or away from any single pair changes the objective by all of the step or by nothing.
        step = 4e-3
        slopes = [(objective(cost + step * move) - best) / step for move in each_entry(shape)]
        slopes += [(best - objective(cost - step * move)) / step for move in each_entry(shape)]
        if all(min(abs(slope), abs(abs(slope) - 1)) < 1e-6 for slope in slopes):
            return cost


def each_entry(shape):
    for index in np.ndindex(*shape):
        move = np.zeros(shape)
        move[index] = 1
        yield move


@EVERY_OPTION
def test_against_finite_differences(option):
    rng = np.random.default_rng(SEED)
    options = OPTIONS[option]
    for _ in range(3):
        cost = clear_optimum(rng, (4, 5), **options)
        got = gradient(lambda cost: total(cost, **options), cost)
        want = oracle.finite_differences(lambda cost: total(tf.constant(cost), **options).numpy(), cost)
        np.testing.assert_allclose(got, want, atol=1e-8, err_msg=f"seed {SEED}, {cost}")
        if option == "plain":
            assert (want > 0.5).sum() == 4


@EVERY_OPTION
def test_is_the_mask_times_upstream(option):
    rng = np.random.default_rng(SEED)
    cost = tf.constant(rng.uniform(size=(6, 4, 5)), tf.float32)
    upstream = tf.constant(rng.normal(size=6), tf.float32)
    answer = linear_assignment(cost, **broadcast_masks(OPTIONS[option], 6))
    got = gradient(lambda cost: total(cost, **broadcast_masks(OPTIONS[option], 6)), cost, upstream=upstream)
    matched = answer.row_to_col.numpy()[:, :, np.newaxis] == np.arange(5)
    np.testing.assert_array_equal(got, np.where(matched, upstream.numpy()[:, np.newaxis, np.newaxis], 0))
    if option == "negative limit":
        assert not matched.any()


def broadcast_masks(options, batch):
    return {
        name: np.broadcast_to(value, (batch, len(value))) if name.endswith("mask") else value
        for name, value in options.items()
    }


def test_batch_of_several_dimensions_and_none():
    rng = np.random.default_rng(SEED)
    for shape in [(3, 4), (2, 3, 4, 3), (0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0)]:
        cost = rng.uniform(size=shape)
        weight = rng.normal(size=shape[:-2])
        got = gradient(lambda cost, weight: tf.reduce_sum(weight * total(cost)), cost, weight)
        want = weight[..., np.newaxis, np.newaxis] * assignment_mask(
            linear_assignment(cost).row_to_col, shape[-1], tf.float64
        )
        np.testing.assert_array_equal(got, want, f"seed {SEED}, {shape}")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_has_the_type_of_the_costs(dtype):
    rng = np.random.default_rng(SEED)
    cost = tf.cast(rng.uniform(size=(3, 4, 4)), dtype)
    got = gradient(lambda cost: 3.0 * total(cost), cost)
    assert got.dtype == dtype
    np.testing.assert_array_equal(
        tf.cast(got, tf.float64), 3.0 * assignment_mask(linear_assignment(cost).row_to_col, 4, tf.float64).numpy()
    )


@pytest.mark.parametrize("maximize", [False, True])
def test_is_zero_for_a_bad_problem(maximize):
    rng = np.random.default_rng(SEED)
    good = rng.uniform(size=(4, 3, 3))
    bad = good.copy()
    bad[1, 0, 0] = NAN
    bad[2] = -INF if maximize else INF

    # The square makes upstream NaN and infinite for the bad ones.
    def loss(cost):
        return tf.reduce_sum(total(cost, maximize=maximize) ** 2)

    got, alone = gradient(loss, bad).numpy(), gradient(loss, good).numpy()
    assert linear_assignment(bad, maximize=maximize).status.numpy().tolist() == [0, 2, 1, 0]
    assert (got[1:3] == 0).all()
    np.testing.assert_array_equal(got[[0, 3]], alone[[0, 3]])
    assert (alone != 0).sum() == 12


def test_is_finite_beside_forbidden_and_hidden_entries():
    cost = np.array([[INF, 1.0, 2.0], [0.5, INF, NAN]])
    got = gradient(lambda cost: total(cost, col_mask=[True, True, False]) ** 2, cost)
    np.testing.assert_array_equal(got, [[0, 3, 0], [3, 0, 0]])


def test_in_a_function():
    rng = np.random.default_rng(SEED)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float64)])
    def slope(cost):
        return gradient(lambda cost: total(cost) ** 2, cost)

    for shape in [(3, 4), (2, 4, 3), (2, 2, 3, 3), (0, 3, 3)]:
        cost = rng.uniform(size=shape)
        np.testing.assert_array_equal(slope(cost), gradient(lambda cost: total(cost) ** 2, cost), f"seed {SEED}")
    assert slope.experimental_get_tracing_count() == 1


# TensorFlow passes the gradient of these as IndexedSlices, which may name a problem twice.
GATHERS = {
    "gather": lambda totals, index: tf.gather(totals, index),
    "gather_nd": lambda totals, index: tf.gather_nd(totals, index[:, tf.newaxis]),
    "embedding_lookup": lambda totals, index: tf.nn.embedding_lookup(totals, index),
}


@pytest.mark.parametrize("mode", ["eager", "function", "jit"])
@pytest.mark.parametrize("gather", GATHERS.values(), ids=GATHERS)
def test_of_gathered_totals(gather, mode):
    def slope(cost):
        return gradient(lambda cost: gather(total(cost), tf.constant([2, 0, 2])), cost)

    cost = tf.constant(np.random.default_rng(SEED).uniform(size=(4, 3, 2)), tf.float32)
    run = slope if mode == "eager" else tf.function(slope, jit_compile=mode == "jit")
    times = np.array([1, 0, 2, 0])[:, np.newaxis, np.newaxis]
    np.testing.assert_array_equal(run(cost), times * assignment_mask(linear_assignment(cost).row_to_col, 2, tf.float32))


def test_only_the_total_has_one():
    cost = np.random.default_rng(SEED).uniform(size=(3, 3))
    for name in Assignment._fields:
        if name == "total_cost":
            continue
        got = gradient(lambda cost, name=name: tf.cast(getattr(linear_assignment(cost), name), tf.float64), cost)
        assert got is None or not got.numpy().any(), name
    # Nor does it leak into the gradient of the total.
    both = gradient(lambda cost: total(cost) + tf.reduce_sum(linear_assignment(cost).row_duals), cost)
    np.testing.assert_array_equal(both, gradient(total, cost))


def test_none_for_a_limit():
    got = gradient(lambda limit: total(tf.constant([[1.0, 2.0]]), cost_limit=limit), 5.0)
    assert got is None or got.numpy() == 0


# Twice.


def curved(points, options=None):
    """A cost that is not linear in the points, and a loss of it: [B, 4] -> [B]."""
    cost = (points[:, :, np.newaxis] - tf.range(5, dtype=tf.float64) / 5) ** 2 + tf.sin(points)[:, :, np.newaxis]
    return total(cost, **(options or {})) ** 2


@pytest.mark.parametrize("option", ["plain", "maximize", "limit"])
def test_second_derivative_against_finite_differences(option):
    rng = np.random.default_rng(SEED)
    # Far enough from the points where the matching changes.
    points = rng.uniform(-1, 1, size=(3, 4))
    options = {"cost_limit": 2.0} if option == "limit" else OPTIONS[option]

    def slope(points):
        return gradient(lambda points: tf.reduce_sum(curved(points, options)), points)

    pairs = [curved_pairs(points + move, options) for move in [0.0, *(1e-4 * each for each in each_entry((3, 4)))]]
    assert all((pair == pairs[0]).all() for pair in pairs), f"seed {SEED}: the matching changes"
    want = oracle.finite_differences(lambda points: slope(points).numpy(), points)

    watched = tf.constant(points)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(watched)
        first = slope(watched)
        direction = tf.reduce_sum(first * tf.constant(rng.normal(size=(3, 4))))
    got = outer.jacobian(first, watched)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg=f"seed {SEED}")
    assert np.abs(want).max() > 0.1
    # The same without pfor, one direction at a time.
    assert outer.gradient(direction, watched).shape == (3, 4)
    unvectorized = outer.jacobian(first, watched, experimental_use_pfor=False)
    np.testing.assert_allclose(unvectorized, got, rtol=1e-12)


def curved_pairs(points, options):
    cost = (points[:, :, np.newaxis] - np.arange(5) / 5) ** 2 + np.sin(points)[:, :, np.newaxis]
    return linear_assignment(cost, **options).row_to_col.numpy()


def test_second_derivative_in_a_function_and_of_bad_problems():
    rng = np.random.default_rng(SEED)
    points = rng.uniform(-1, 1, size=(3, 4))
    points[1, 2] = NAN

    def curvature(points):
        with tf.GradientTape() as outer:
            outer.watch(points)
            with tf.GradientTape() as inner:
                inner.watch(points)
                # Squaring happens inside, so that a NaN would spread if the gradient let it.
                value = tf.reduce_sum(total(points[:, :, np.newaxis] * tf.range(1.0, 6.0, dtype=tf.float64)) ** 2)
            first = inner.gradient(value, points)
        return first, outer.gradient(first, points)

    eager, traced = curvature(tf.constant(points)), tf.function(curvature)(tf.constant(points))
    for one, other in zip(eager, traced, strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.isfinite(one).all() and (one.numpy()[1] == 0).all() and (one.numpy()[[0, 2]] != 0).all()


def test_jacobian_of_a_batch_of_totals():
    rng = np.random.default_rng(SEED)
    cost = tf.constant(rng.uniform(size=(3, 2, 4)))
    with tf.GradientTape() as tape:
        tape.watch(cost)
        totals = total(cost)
    got = tape.jacobian(totals, cost)
    mask = assignment_mask(linear_assignment(cost).row_to_col, 4, tf.float64).numpy()
    want = np.zeros((3, 3, 2, 4))
    want[np.arange(3), np.arange(3)] = mask
    np.testing.assert_array_equal(got, want)
