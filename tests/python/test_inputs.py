"""What a call accepts: whole numbers as costs; masks, counts and limits that broadcast."""

import itertools
import re

import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import Assignment, linear_assignment
from hungarian_loss.recipes import gated_assignment

SEED = 20261126
MODES = ("eager", "known shapes", "unknown dims", "unknown rank", "jit")
EVERY_MODE = pytest.mark.parametrize("mode", MODES)


def run(mode, function, *arguments):
    """Calls a function of tensors eagerly or traced, with as much known of their shapes as the mode says."""
    tensors = [tf.convert_to_tensor(argument) for argument in arguments]
    if mode == "eager":
        return function(*tensors)

    def shape(tensor):
        return {"known shapes": tensor.shape, "unknown rank": None}.get(mode, [None] * tensor.shape.rank)

    signature = [tf.TensorSpec(shape(tensor), tensor.dtype) for tensor in tensors]
    return tf.function(function, input_signature=signature, jit_compile=mode == "jit")(*tensors)


def in_numpy(answer):
    return Assignment(*(output.numpy() for output in answer))


# Masks.


@EVERY_MODE
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ([3], "bool"),
        ([1, 3], "uint8"),
        ([4, 1], "int64"),
        ([1, 1], "bool"),
        ([1], "int32"),
        ([4, 3], "uint8"),
        ([], "int64"),
    ],
    ids=str,
)
@pytest.mark.parametrize("side", ["row", "col"])
def test_a_mask_broadcasts(side, shape, dtype, mode):
    rng = np.random.default_rng(SEED)
    cost = rng.uniform(size=(4, 3, 5) if side == "row" else (4, 5, 3))
    mask = (rng.uniform(size=shape) < 0.6).astype(dtype)
    answer = run(mode, lambda cost, mask: linear_assignment(cost, **{f"{side}_mask": mask}), cost, mask)
    oracle.check_batch(cost, in_numpy(answer), **{f"{side}_mask": np.broadcast_to(mask, (4, 3)).astype(bool)})


@EVERY_MODE
def test_two_masks_of_many_batch_dimensions(mode):
    rng = np.random.default_rng(SEED)
    cost, rows, cols = rng.uniform(size=(2, 3, 4, 5)), rng.integers(0, 2, (3, 4)), rng.integers(0, 2, (2, 1, 5))
    answer = run(mode, lambda c, r, k: linear_assignment(c, row_mask=r, col_mask=k), cost, rows, cols)
    full = {
        "row_mask": np.broadcast_to(rows, (2, 3, 4)).astype(bool),
        "col_mask": np.broadcast_to(cols, (2, 3, 5)).astype(bool),
    }
    oracle.check_batch(cost, in_numpy(answer), **full)


@EVERY_MODE
def test_a_mask_for_no_problems(mode):
    answer = run(mode, lambda c, m: linear_assignment(c, row_mask=m), np.zeros((0, 2, 3)), np.array([True, False]))
    assert answer.row_to_col.shape == (0, 2)


@pytest.mark.parametrize("mask", [[0, 1, 1], [False, True, True], (0, 2, -1), np.array([0, 1, 1], np.uint16)], ids=str)
def test_a_mask_of_numbers(mask):
    for call in (linear_assignment, tf.function(linear_assignment)):
        assert call([[[1, 2], [3, 5], [5, 9]]], row_mask=mask).row_to_col.numpy().tolist() == [[-1, 1, 0]]
    assert linear_assignment(tf.zeros([2, 0, 3]), row_mask=[]).row_to_col.shape == (2, 0)


@pytest.mark.parametrize("mask", [[0.5, 1.0], np.ones(2, np.float32), tf.ones(2)], ids=["list", "NumPy", "tensor"])
def test_a_mask_of_fractions_is_refused(mask):
    with pytest.raises(TypeError, match="row_mask must be bool, or 0 and 1 as integers of 8 to 64 bits; got float"):
        linear_assignment(tf.ones([2, 3]), row_mask=mask)


def test_nothing_is_added_to_a_graph_where_shapes_are_known_to_fit():
    def ops(cost, mask, **options):
        signature = [tf.TensorSpec(cost), tf.TensorSpec(mask, tf.bool)]
        traced = tf.function(lambda c, m: linear_assignment(c, row_mask=m, **options), input_signature=signature)
        return {op.type for op in traced.get_concrete_function().graph.get_operations()}

    nothing = {"Placeholder", "Const", "HungarianAssignment", "Identity"}
    for cost, mask in [([4, 3, 5], [4, 3]), ([None, 3, 5], []), ([3, 5], [3]), ([None, None, 5], [4, 3])]:
        assert ops(cost, mask) == nothing, (cost, mask)
    # And is where they are not.
    assert ops([4, 3, 5], [3]) == nothing | {"BroadcastTo"}
    assert ops([None, 3, 5], [None, 3]) > nothing


# Counts.


@EVERY_MODE
@pytest.mark.parametrize("shape", [[], [3], [2, 1]], ids=str)
@pytest.mark.parametrize("validate", [False, True])
def test_counts_broadcast(validate, shape, mode):
    rng = np.random.default_rng(SEED)
    cost = rng.uniform(size=(2, 3, 4, 5))
    rows, cols = rng.integers(0, 5, shape), rng.integers(0, 6, shape)
    answer = run(
        mode, lambda c, r, k: linear_assignment(c, num_rows=r, num_cols=k, validate=validate), cost, rows, cols
    )
    full = {
        "row_mask": np.broadcast_to(np.arange(4) < rows[..., np.newaxis], (2, 3, 4)),
        "col_mask": np.broadcast_to(np.arange(5) < cols[..., np.newaxis], (2, 3, 5)),
    }
    oracle.check_batch(cost, in_numpy(answer), **full)


@pytest.mark.parametrize("mode", MODES[:-1])
@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("row_mask", [3], "[..., rows], here [4, 2]"),
        ("row_mask", [3, 2], "[..., rows], here [4, 2]"),
        ("row_mask", [1, 4, 2], "[..., rows], here [4, 2]"),
        ("col_mask", [0], "[..., cols], here [4, 3]"),
        ("num_rows", [3], "[...], here [4]"),
        ("num_cols", [4, 1], "[...], here [4]"),
        ("num_cols", [1, 4], "[...], here [4]"),
        ("cost_limit", [2], "[...], here [4]"),
    ],
    ids=str,
)
def test_a_shape_that_does_not_fit_is_called_by_its_name(name, shape, expected, mode):
    value = tf.zeros(shape, tf.bool if "mask" in name else tf.float32 if name == "cost_limit" else tf.int32)
    by_rank = len(shape) > (2 if "mask" in name else 1)
    known = mode == "known shapes" or (mode == "unknown dims" and by_rank)
    with pytest.raises(ValueError if known else tf.errors.InvalidArgumentError) as raised:
        run(mode, lambda cost, value: linear_assignment(cost, **{name: value}), np.ones((4, 2, 3), np.float32), value)
    # An assertion puts each part in brackets, and no commas into shapes.
    text = " ".join(re.sub(r"[\[\],]", " ", str(raised.value)).split())
    got, target = (" ".join(re.sub(r"[\[\],]", " ", part).split()) for part in (str(shape), expected))
    if mode == "unknown dims" and by_rank:
        # Sizes are not known yet.
        got, target = " ".join(["None"] * len(shape)), target.split(" here")[0]
    assert f"{name} does not fit cost: got shape {got} expected one that broadcasts to {target}" in text


# Whole numbers as costs.

WHOLE = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


def optimum(cost, maximize=False):
    """The best total by trying everything; exact for Python's integers, which never round."""
    rows, cols = range(len(cost)), range(len(cost[0]))
    totals = [
        sum(cost[i][j] for i, j in zip(rows, way, strict=True)) for way in itertools.permutations(cols, len(rows))
    ]
    return max(totals) if maximize else min(totals)


@pytest.mark.parametrize("maximize", [False, True], ids=["min", "max"])
@pytest.mark.parametrize("mode", ["eager", "unknown rank", "jit"])
@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_are_taken_exactly(dtype, mode, maximize):
    rng = np.random.default_rng(SEED)
    if dtype == "bool":
        least, most = 0, 1
    else:
        least, most = max(np.iinfo(dtype).min, -(2**53)), min(np.iinfo(dtype).max, 2**53)
    # The extremes, and near ties beside them that float32 could not tell apart in the wider types.
    some = [least, min(least + 1, most), most, max(most - 1, least), (most + least) // 2]
    cost = rng.choice(np.array(some, dtype), (6, 4, 5))
    answer = run(mode, lambda cost: linear_assignment(cost, maximize=maximize), cost)
    assert answer.total_cost.dtype == (tf.float32 if np.dtype(dtype).itemsize <= 2 else tf.float64)
    assert answer.status.numpy().tolist() == [0] * 6
    for problem, row_to_col, total in zip(cost, answer.row_to_col.numpy(), answer.total_cost.numpy(), strict=True):
        whole = [[int(number) for number in row] for row in problem]
        best = optimum(whole, maximize)
        assert sum(whole[row][col] for row, col in enumerate(row_to_col)) == best
        assert total == pytest.approx(best, rel=2**-23)


@pytest.mark.parametrize(
    ("cost", "dtype"),
    [
        ([[1, 2], [3, 4]], "float32"),
        ([[2**24, -(2**24)]], "float32"),
        ([[2**24 + 1, 2**24]], "float64"),
        ([[-(2**24) - 1, 0.5]], "float64"),
        ([[2**53, 2**53 - 1]], "float64"),
        ([[True, False], [False, True]], "float32"),
        ([[True, 2, 0.5]], "float32"),
        ([[0.1, 0.2]], "float32"),
        (((1, 2), (3, 4)), "float32"),
        ([np.array([2**24 + 1, 2**24])], "float64"),
        ([[np.int32(2**24 + 1), 1.0]], "float64"),
        ([np.array([1, 2], np.int8)], "float32"),
        ([np.array([1.5, 2.5], np.float32)], "float32"),
        ([tf.constant([2**24 + 1, 2**24])], "float64"),
        (np.array([[2**24 + 1, 2**24]], object), "float64"),
    ],
    ids=str,
)
def test_lists(cost, dtype):
    for answer in (linear_assignment(cost), tf.function(lambda: linear_assignment(cost))()):
        assert answer.total_cost.dtype == dtype
        numbers = [[np.dtype(dtype).type(number) for number in row] for row in cost]
        assert answer.total_cost.numpy() == optimum(numbers)


def test_a_list_of_nothing():
    assert linear_assignment([[]]).total_cost.dtype == tf.float32


@pytest.mark.parametrize("cost", [[["a"]], [["1", 2]], [[None]], [[1j]], [[1, 2], [3]]], ids=str)
def test_lists_of_something_else(cost):
    with pytest.raises((TypeError, ValueError)):
        linear_assignment(cost)


# TensorFlow cannot compute with these, and XLA unpacks them wrongly.
@pytest.mark.parametrize("name", ["int4", "uint4"])
def test_integers_of_four_bits(name):
    few = tf.cast([1, 0], getattr(tf.dtypes.experimental, name))
    cost = tf.ones([2, 2])
    for call, message in [
        (
            lambda: linear_assignment(tf.cast([[1, 0], [0, 1]], few.dtype)),
            "cost must be one of float16, .*integers of 8 to 64 bits or bool",
        ),
        (lambda: linear_assignment(few.numpy()), "cost must be one of float16, .*integers of 8 to 64 bits or bool"),
        (lambda: linear_assignment(cost, row_mask=few), "row_mask must be bool, or 0 and 1 as integers of 8 to 64"),
        (lambda: linear_assignment(cost, num_cols=few), "num_cols must be integers of 8 to 64 bits"),
        (lambda: linear_assignment(cost, cost_limit=few), "cost_limit must be float32 here"),
    ]:
        with pytest.raises(TypeError, match=f"{message}.* got {name}$"):
            call()


RAGGED = tf.ragged.constant([[[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0]]])
ROWS_AND_COLUMNS = "and say with num_rows and num_cols how many rows and columns exist"
NO_TENSORS = {
    "ragged cost": (
        RAGGED,
        {},
        TypeError,
        f"cost must be a tensor, got a RaggedTensor; pad it.*to_tensor.*{ROWS_AND_COLUMNS}",
    ),
    "ragged mask": (
        np.ones((2, 2, 2)),
        {"row_mask": RAGGED > 0},
        TypeError,
        "row_mask must be a tensor, got a RaggedTensor",
    ),
    "ragged count": (
        np.ones((2, 2, 2)),
        {"num_cols": RAGGED},
        TypeError,
        "num_cols must be a tensor, got a RaggedTensor",
    ),
    "ragged limit": (
        np.ones((2, 2, 2)),
        {"cost_limit": RAGGED},
        TypeError,
        "cost_limit must be a tensor, got a Ragged",
    ),
    "sparse": (
        tf.sparse.from_dense([[1.0]]),
        {},
        TypeError,
        "cost must be a tensor, got a SparseTensor; tf.sparse.to_dense",
    ),
    "None": (None, {}, TypeError, "cost must be numbers, got None$"),
    "None in a list": ([[1, None]], {}, TypeError, "cost must be numbers, got None among them"),
    "lists of unequal length": (
        [[1.0, 2.0], [3.0]],
        {},
        ValueError,
        f"cost must hold lists of one length; pad.*{ROWS_AND_COLUMNS}",
    ),
    "mask of unequal length": (
        [[1.0]],
        {"col_mask": [[1, 0], [1]]},
        ValueError,
        "col_mask must hold lists of one length",
    ),
    "limits of unequal length": (
        [[1.0]],
        {"cost_limit": [[1, 0], [1]]},
        ValueError,
        "cost_limit must hold lists of one len",
    ),
}


@pytest.mark.parametrize(("cost", "options", "error", "message"), NO_TENSORS.values(), ids=NO_TENSORS)
def test_what_is_no_tensor_is_called_by_its_name(cost, options, error, message):
    for call in (linear_assignment, tf.function(lambda: linear_assignment(cost, **options))):
        with pytest.raises(error, match=message):
            call(cost, **options) if call is linear_assignment else call()


def test_the_cure_for_a_ragged_cost():
    rows, cols = RAGGED.row_lengths(), tf.constant([2, 1])
    answer = linear_assignment(RAGGED.to_tensor(), num_rows=rows, num_cols=cols)
    assert answer.total_cost.numpy().tolist() == [optimum([[1, 2], [3, 4]]), optimum([[1]])]


def with_option(cost, name, value):
    # An argument of the traced function would become a tensor.
    return lambda: linear_assignment(cost, **{name: value})


@pytest.mark.parametrize("name", ["maximize", "validate"])
def test_flags(name):
    cost = [[1.0, 2.0], [0.0, 5.0]]
    for flag in (True, False):
        for value in (flag, np.bool_(flag)):
            solve = with_option(cost, name, value)
            for answer in (solve(), tf.function(solve)()):
                assert answer.total_cost.numpy() == optimum(cost, maximize=flag and name == "maximize")
    for value in (tf.constant(True), np.array([True]), "no", 2, None):
        with pytest.raises(TypeError, match=f"{name} must be True or False, known while tracing; got"):
            linear_assignment(cost, **{name: value})
    with pytest.raises(TypeError, match=f"{name} must be True or False.*tf.Tensor"):
        tf.function(lambda flag: linear_assignment(cost, **{name: flag}))(tf.constant(True))
    with pytest.raises(TypeError, match="validate must be True or False"):
        gated_assignment(cost, 1.0, validate=tf.constant(True))


TOO_LARGE = [
    (2**53 + 1, "int64"),
    (-(2**53) - 1, "int64"),
    (-(2**63), "int64"),
    (2**63 - 1, "int64"),
    (2**64 - 1, "uint64"),
]


@pytest.mark.parametrize(("value", "dtype"), TOO_LARGE)
def test_integers_that_no_float_holds(value, dtype):
    cost = np.array([[[1, 3], [2, 2]], [[0, value], [1, 3]], [[2, 1], [1, 2]]], dtype)

    def solve(mode, **options):
        return run(mode, lambda cost: linear_assignment(cost, **options), cost)

    cases = [(mode, {}) for mode in MODES[:-1]]
    cases += [("eager", options) for options in ({"maximize": True}, {"validate": True}, {"cost_limit": 1})]
    for mode, options in cases:
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"cost holds integers beyond 2\^53") as raised:
            solve(mode, **options)
        assert str(value) in str(raised.value)
    # XLA drops assertions: that problem is invalid, and its neighbours do not notice.
    for maximize, want in ((False, [[0, 1], [-1, -1], [1, 0]]), (True, [[1, 0], [-1, -1], [0, 1]])):
        answer = solve("jit", maximize=maximize)
        assert (answer.status.numpy().tolist(), answer.row_to_col.numpy().tolist()) == ([0, 2, 0], want)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"cost\[1, 0, 1\]"):
        solve("jit", validate=True)
    # What a mask or a count hides is never looked at.
    for mode in ("eager", "unknown rank", "jit"):
        assert solve(mode, col_mask=[True, False]).status.numpy().tolist() == [0, 0, 0]
        assert solve(mode, num_cols=1).status.numpy().tolist() == [0, 0, 0]
    assert solve("eager", row_mask=[0, 1]).status.numpy().tolist() == [0, 0, 0]
    assert solve("eager", row_mask=False).status.numpy().tolist() == [0, 0, 0]


@pytest.mark.parametrize("cost", [[[2**53 + 1, 0]], [[-(2**70), 0]], [[2**53 + 1, 0.5]], [[2**64, -1]]], ids=str)
def test_lists_with_integers_that_no_float_holds(cost):
    for call in (linear_assignment, tf.function(lambda: linear_assignment(cost), jit_compile=True)):
        with pytest.raises(ValueError, match=r"cost holds integers beyond 2\^53.*got \d+ in magnitude"):
            call(cost) if call is linear_assignment else call()


@pytest.mark.parametrize(
    "limit", [3, 3.0, np.float64(3), np.int8(3), tf.constant(3), tf.constant(3, tf.int64)], ids=str
)
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
def test_limits_of_whole_numbers(dtype, limit):
    cost = np.array([[1, 9], [9, 4]], dtype)
    for mode in ("eager", "known shapes", "jit"):
        answer = run(mode, lambda cost: linear_assignment(cost, cost_limit=limit), cost)
        assert (answer.row_to_col.numpy().tolist(), answer.total_cost.numpy()) == ([0, -1], 1)


def test_a_limit_is_of_the_type_that_is_solved_in():
    for dtype, real, other in (("int32", "float64", "float32"), ("int16", "float32", "float64")):
        cost = tf.constant([[1, 9], [9, 4]], dtype)
        assert linear_assignment(cost, cost_limit=tf.constant(3, real)).total_cost.dtype == real
        with pytest.raises(TypeError, match=f"cost_limit must be {real} here, got {other}"):
            linear_assignment(cost, cost_limit=tf.constant(3, other))
    with pytest.raises(TypeError, match="cost_limit must be a number"):
        linear_assignment([[1.0]], cost_limit="3")


@pytest.mark.parametrize("mode", ["eager", "unknown rank", "jit"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
def test_whole_numbers_have_no_gradient(dtype, mode):
    cost, scale = tf.cast([[3, 1], [1, 5]], dtype), tf.constant(2.0)

    def gradients(cost, scale):
        with tf.GradientTape() as tape:
            tape.watch([cost, scale])
            total = scale * tf.cast(linear_assignment(cost).total_cost, tf.float32)
        found = tape.gradient(total, [cost, scale])
        assert found[0] is None
        return found[1]

    # All true, or 1 + 1.
    assert run(mode, gradients, cost, scale).numpy() == 2
