"""tf.vectorized_map over linear_assignment: one call of the op for all, equal to a loop."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from hungarian_loss import Assignment, linear_assignment

RNG = np.random.default_rng(20261126)
COST = tf.constant(RNG.uniform(size=(4, 3, 5)).astype(np.float32))
DEEP = tf.constant(RNG.uniform(size=(4, 2, 3, 5)).astype(np.float32))
ROWS = tf.constant(RNG.uniform(size=(4, 3)) < 0.7)
COLS = tf.constant(RNG.uniform(size=(4, 5)) < 0.7)
EACH = tf.constant([True, False, True, True])
COUNTS = tf.constant([0, 1, 2, 3])
LIMITS = tf.constant([0.05, 0.3, np.inf, 2.0], tf.float32)

# What varies between the problems, and a function of one of them.
CASES = {
    "cost": (COST, linear_assignment),
    "cost of a batch": (DEEP, linear_assignment),
    "options": (COST, lambda cost: linear_assignment(cost, maximize=True, cost_limit=0.4)),
    "one mask for all": (COST, lambda cost: linear_assignment(cost, row_mask=ROWS[0], col_mask=COLS[1])),
    "masks": ((COST, ROWS, COLS), lambda each: linear_assignment(each[0], row_mask=each[1], col_mask=each[2])),
    "masks of a batch": ((DEEP, ROWS), lambda each: linear_assignment(each[0], row_mask=each[1])),
    "masks alone": (ROWS, lambda mask: linear_assignment(COST[0], row_mask=mask)),
    "masks alone, a batch": (COLS, lambda mask: linear_assignment(DEEP[0], col_mask=mask)),
    "a scalar mask for each": (EACH, lambda mask: linear_assignment(DEEP[0], row_mask=mask, col_mask=COLS[0])),
    "counts": ((COST, COUNTS), lambda each: linear_assignment(each[0], num_rows=each[1], num_cols=4)),
    "a limit for each": (LIMITS, lambda limit: linear_assignment(COST[0], cost_limit=limit)),
    "a limit and a cost for each": ((DEEP, LIMITS), lambda each: linear_assignment(each[0], cost_limit=each[1])),
    "validated counts": ((COST, COUNTS), lambda each: linear_assignment(each[0], num_rows=each[1], validate=True)),
    "integers": (tf.cast(COST * 9, tf.int64), linear_assignment),
}


def vectorized(function, varying):
    """``tf.vectorized_map``, which fails where TensorFlow would use a loop."""
    return tf.vectorized_map(function, varying, fallback_to_while_loop=False)


def equal(got, want):
    for name, one, other in zip(Assignment._fields, got, want, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        np.testing.assert_array_equal(one, other, name)


@pytest.mark.parametrize("case", CASES)
def test_equals_a_loop(case, caplog):
    varying, function = CASES[case]
    types = Assignment(*(output.dtype for output in function(tf.nest.map_structure(lambda value: value[0], varying))))
    want = tf.map_fn(function, varying, fn_output_signature=types)
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        equal(vectorized(function, varying), want)
        for jit in (False, True):
            equal(tf.function(lambda varying: vectorized(function, varying), jit_compile=jit)(varying), want)
    assert not [record for record in caplog.records if "while_loop" in record.message]


def test_unknown_shapes():
    specs = [(tf.TensorSpec(None, tf.float32), tf.TensorSpec(None, tf.bool), tf.TensorSpec(None, tf.bool))]
    call = tf.function(lambda varying: vectorized(CASES["masks"][1], varying), input_signature=specs)
    for masks in ((ROWS, COLS), (EACH, COLS)):
        equal(
            call((COST, *masks)),
            [np.stack(each) for each in zip(*map(CASES["masks"][1], zip(COST, *masks, strict=True)), strict=True)],
        )


@pytest.mark.parametrize("jit", [None, False, True], ids=["eager", "tf.function", "jit"])
def test_nested_and_differentiated(jit):
    weight = tf.constant(RNG.uniform(size=(4, 2)).astype(np.float32))

    def gradients(solve):
        def of(cost):
            with tf.GradientTape() as tape:
                tape.watch(cost)
                answer = solve(cost)
                total = tf.reduce_sum(answer.total_cost * weight)
            # vectorized_map gathers what it maps over, and the gradient of that is in slices.
            return answer, tf.convert_to_tensor(tape.gradient(total, cost))

        return of if jit is None else tf.function(of, jit_compile=jit)

    inner = lambda cost: vectorized(lambda one: linear_assignment(one, cost_limit=0.5), cost)
    got, slope = gradients(lambda cost: vectorized(inner, cost))(DEEP)
    want, right = gradients(lambda cost: linear_assignment(cost, cost_limit=0.5))(DEEP)
    equal(got, want)
    np.testing.assert_array_equal(slope, right)
    assert np.count_nonzero(slope) > 0


def test_there_is_one_op_and_no_loop():
    traced = tf.function(lambda cost: vectorized(linear_assignment, cost)).get_concrete_function(COST)
    ops = traced.graph.get_operations()
    # The op of the mapped function stays as well, until TensorFlow prunes what is not used.
    solved = [op.inputs[0].shape for op in ops if op.type == "HungarianAssignment"]
    assert sorted(map(len, solved)) == [2, 3] and not any("While" in op.type for op in ops)


def test_a_slope_for_each_problem():
    """The gradient taken inside the mapped function."""

    def slope(cost):
        with tf.GradientTape() as tape:
            tape.watch(cost)
            total = linear_assignment(cost).total_cost
        return tape.gradient(total, cost)

    want = linear_assignment(COST).row_to_col.numpy()[..., np.newaxis] == np.arange(5)
    np.testing.assert_array_equal(vectorized(slope, COST), want)
