"""Numbers that a narrower type would round, wrap or turn into an infinity, on their way to the op."""

import re

import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import linear_assignment

WIDE = 2**24 + 1  # The least integer that float32 cannot hold.
HUGE = 1e300


# An unmatched row and column cost L/2 each, so a single pair pays up to L. These pairs cost 1 more than that.
@pytest.mark.parametrize("limit", [-WIDE, np.int64(-WIDE), np.array(-WIDE), tf.constant(-WIDE)], ids=repr)
@pytest.mark.parametrize("traced", [False, True], ids=["eager", "tf.function"])
def test_a_limit_of_whole_numbers_is_not_rounded(limit, traced):
    def call():
        return linear_assignment([[1 - WIDE]], cost_limit=limit)

    answer = (tf.function(call) if traced else call)()
    assert (answer.row_to_col.numpy().tolist(), answer.total_cost.dtype) == ([-1], tf.float64)
    small = linear_assignment(tf.constant([[-5]], tf.int8), cost_limit=limit)
    assert (small.row_to_col.numpy().tolist(), small.total_cost.dtype) == ([-1], tf.float64)


@pytest.mark.parametrize("limit", [-6, np.int64(-6), np.array(-6), np.float64(-6), tf.constant(-6, tf.int8)], ids=repr)
def test_a_limit_that_float32_holds_does_not_widen(limit):
    for cost in [[[-5]], tf.constant([[-5]], tf.int16)]:
        answer = linear_assignment(cost, cost_limit=limit)
        assert (answer.row_to_col.numpy().tolist(), answer.total_cost.dtype) == ([-1], tf.float32)


# With any finite limit a problem has an answer, even if all of its pairs are forbidden.
@pytest.mark.parametrize("dtype", oracle.DTYPES)
@pytest.mark.parametrize("limit", [3.5e38, 1e39, HUGE, np.float64(HUGE), 10**40, 10**400, [10**400]], ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_finite_limit_beyond_the_type_stays_a_limit(dtype, limit, sign):
    cost = np.array([[[np.inf, np.inf], [np.inf, 2]]]).astype(oracle.DTYPES[dtype])
    limit = [-number for number in limit] if sign < 0 and isinstance(limit, list) else sign * limit
    answer = linear_assignment(cost, cost_limit=limit)
    assert answer.status.numpy().tolist() == [0]
    assert answer.row_to_col.numpy().tolist() == [[-1, 1 if sign > 0 else -1]]


def test_python_numbers_beyond_float32_are_not_forbidden_pairs():
    answer = linear_assignment([[HUGE, HUGE], [HUGE, 1.0]])
    assert (answer.status.numpy(), answer.total_cost.dtype) == (0, tf.float64)
    assert answer.row_to_col.numpy().tolist() == [0, 1]
    # What is infinite already forbids its pair, and asks for nothing.
    answer = linear_assignment([[np.inf, 3.0], [1.0, np.inf]])
    assert (answer.row_to_col.numpy().tolist(), answer.total_cost.dtype) == ([1, 0], tf.float32)


TINY = float(np.finfo(np.float32).tiny)


# Denormals of float32 too: they have fewer digits, down to none.
@pytest.mark.parametrize("unit", [1e-50, 1e-42, TINY / 4, -1e-50])
def test_python_numbers_below_float32_are_not_zeros(unit):
    one, two = unit, unit * 1.01
    if unit < 0:
        one, two = two, one
    answer = linear_assignment([[two, one], [one, two]])
    assert (answer.row_to_col.numpy().tolist(), answer.total_cost.dtype) == ([1, 0], tf.float64)
    assert answer.total_cost.numpy() == 2 * one
    traced = tf.function(lambda: linear_assignment([[two, one], [one, two]]))()
    assert traced.row_to_col.numpy().tolist() == [1, 0]


def test_zeros_and_the_least_normal_number_do_not_widen():
    assert linear_assignment([[0.0, -0.0], [TINY, -TINY]]).total_cost.dtype == tf.float32


@pytest.mark.parametrize(
    ("tensor", "number"),
    [
        (tf.constant([1.0, 2.0]), WIDE),
        (tf.constant([1.0, 2.0], tf.float16), 2**11 + 1),
        (tf.constant([1, 2], tf.uint8), 300),
        (tf.constant([1, 2], tf.int8), 255),
        (tf.constant([1.0, 2.0]), HUGE),
        (tf.constant([1.0, 2.0]), -1e-50),
        (tf.constant([1.0, 2.0], tf.float16), 1e5),
    ],
    ids=["float32", "float16", "uint8", "int8", "infinite", "zero", "infinite in float16"],
)
@pytest.mark.parametrize("traced", [False, True], ids=["eager", "tf.function"])
def test_numbers_beside_tensors_that_cannot_hold_them(tensor, number, traced):
    def call(number):
        return lambda: linear_assignment([tensor, [number, 5]]).total_cost

    run = tf.function if traced else lambda function: function
    with pytest.raises(
        ValueError, match=f"cost is a list with {tensor.dtype.name} tensors.*{re.escape(str(number))}.*cast"
    ):
        run(call(number))()
    # 1 + 5 < 2 + 7.
    assert float(run(call(7))()) == 6


@pytest.mark.parametrize("mask", [[True, 0], [1, False], (np.True_, 0), [np.int64(1), 0]], ids=repr)
def test_a_mask_of_python_numbers_of_both_kinds(mask):
    assert linear_assignment([[1.0, 2.0], [3.0, 4.0]], row_mask=mask).row_to_col.numpy().tolist() == [0, -1]
    assert tf.function(lambda: linear_assignment([[1.0], [3.0]], row_mask=mask).total_cost)().numpy() == 1


def test_an_empty_list_masks_no_rows():
    assert linear_assignment(tf.zeros((0, 2)), row_mask=[]).row_to_col.shape == (0,)


def test_types_of_limits_that_are_refused():
    for limit in ["1", [None], 1j, [[1.0], ["a"]]]:
        with pytest.raises((TypeError, ValueError)):
            linear_assignment([[1.0]], cost_limit=limit)
