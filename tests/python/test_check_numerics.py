"""Settings of TensorFlow that stay on for a whole process, so that they share one.

tf.debugging.enable_check_numerics: what the package itself adds to a graph passes, although "no limit" is an infinity.
experimental_enable_numpy_behavior: Python's integers count as int32, also where the package needs wider ones.
"""

import pytest

import oracle

CODE = """
import json, sys
import numpy as np
import tensorflow as tf
from hungarian_loss import linear_assignment

tf.debugging.enable_check_numerics()
cost = tf.constant([[[3.0, 1.0], [1.0, 5.0]]])
unknown = [tf.TensorSpec(None, tf.float32)]
options = {
    "none": {},
    "infinite limit": {"cost_limit": np.inf, "maximize": True},
    "infinite limits": {"cost_limit": -np.inf, "row_mask": [1, 0]},
    "limit": {"cost_limit": 1.5},
    "masks": {"row_mask": [[True, False]], "col_mask": tf.constant([True, True])},
    "counts": {"num_rows": [1], "num_cols": 2},
    "validate": {"num_rows": [1], "num_cols": 2, "validate": True},
    "count too large": {"num_rows": 3, "validate": True},
}

def solve(cost, options):
    with tf.GradientTape() as tape:
        tape.watch(cost)
        total = linear_assignment(cost, **options).total_cost
    return total, tape.gradient(total, cost)

def attempt(call, *arguments):
    try:
        return [output.numpy().tolist() for output in call(*arguments)]
    except tf.errors.InvalidArgumentError as error:
        return str(error)

results = {}
for name, given in options.items():
    def call(cost, given=given):
        return solve(cost, given)
    results[name] = [attempt(call, cost), attempt(tf.function(call), cost), attempt(tf.function(call, input_signature=unknown), cost)]

whole = tf.function(lambda cost: [linear_assignment(cost).total_cost])
results["integers"] = attempt(whole, tf.constant([[2**53, 1], [1, 5]]))
from hungarian_loss.detection import DetrLoss, SetPredictionModel

numbers = np.random.default_rng(0)
x = numbers.normal(size=(4, 3)).astype(np.float32)
boxes = numbers.uniform(0.2, 0.8, (4, 2, 4)).astype(np.float32)
y_true = {"boxes": boxes, "labels": np.array([[0, -1], [1, 0], [-1, -1], [1, 1]])}
for name, channels in [("softmax", 3), ("focal", 2), ("varifocal", 2)]:
    inputs = tf.keras.Input([3])
    dense = lambda size: tf.keras.layers.Reshape([4, size])(tf.keras.layers.Dense(4 * size, "sigmoid")(inputs))
    model = SetPredictionModel(inputs, {"boxes": dense(4), "logits": dense(channels)})
    loss = DetrLoss(2, classification=name)
    model.compile(optimizer="sgd", loss=loss, jit_compile=False)
    eager = float(loss(y_true, model(x)))
    traced = attempt(tf.function(lambda: [loss(y_true, model(x))]))
    results[name] = [[eager], traced, attempt(lambda: [tf.constant(model.fit(x, y_true, verbose=0).history["loss"][0])])]

eager_after_fit = float(loss(y_true, model(x)))
results["on"] = [attempt(call, tf.constant([-1.0])) for call in (tf.math.log, tf.function(tf.math.log))]

tf.experimental.numpy.experimental_enable_numpy_behavior(dtype_conversion_mode="all")
wide = tf.constant([[3, 1], [1, 5]], tf.int64)
ragged = {
    "boxes": tf.RaggedTensor.from_row_lengths(np.concatenate([boxes[0, :1], boxes[1], boxes[3]]), [1, 2, 0, 2]),
    "labels": tf.RaggedTensor.from_row_lengths(np.array([0, 1, 0, 1, 1]), [1, 2, 0, 2]),
}
few = [1, tf.constant(1, tf.uint64), np.uint64(2**64 - 1), 2**40]
results["numpy"] = {
    "costs": [attempt(whole, tf.cast(wide, dtype)) for dtype in (tf.int64, tf.uint64)],
    "too large": attempt(whole, tf.constant(np.array([[2**53 + 1, 1], [1, 5]]))),
    "counts": [attempt(lambda: [linear_assignment(cost, num_rows=count).total_cost]) for count in few],
    "ragged": float(loss(ragged, model(x))),
    "detector": [float(loss({**y_true, "labels": y_true["labels"].astype(dtype)}, model(x))) for dtype in (int, float)],
}
results["before"] = eager_after_fit
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results():
    """In a process of its own, since the settings stay on."""
    return oracle.run_json(CODE)


def test_it_is_on(results):
    assert all("Infinity or NaN" in said for said in results["on"])


@pytest.mark.parametrize(
    ("name", "total", "matched"),
    [
        ("none", 2, [[0, 1], [1, 0]]),
        ("infinite limit", 8, [[1, 0], [0, 1]]),
        ("infinite limits", 1, [[0, 1], [0, 0]]),
        ("limit", 2, [[0, 1], [1, 0]]),
        ("masks", 1, [[0, 1], [0, 0]]),
        ("counts", 1, [[0, 1], [0, 0]]),
        ("validate", 1, [[0, 1], [0, 0]]),
    ],
)
def test_values_and_gradients_are_as_ever(name, total, matched, results):
    assert results[name] == [[[total], [matched]]] * 3


def test_what_is_wrong_is_called_what_it_is(results):
    for said in results["count too large"]:
        assert "num_rows must lie in [0, rows]" in said and "Infinity or NaN" not in said


@pytest.mark.parametrize("classification", ["softmax", "focal", "varifocal"])
def test_a_detectors_loss(classification, results):
    eager, *others = results[classification]
    assert len(others) == 2 and eager[0] > 0
    for loss in others:
        assert loss == pytest.approx(eager, rel=1e-6)


def test_integers(results):
    assert results["integers"] == [2]


def test_with_numpys_behavior(results):
    got = results["numpy"]
    assert got["costs"] == [[2], [2]]
    assert "cost holds integers beyond 2^53 in magnitude" in got["too large"]
    # One row, or both.
    assert got["counts"] == [[[1]], [[1]], [[2]], [[2]]]
    assert got["ragged"] == pytest.approx(results["before"], rel=1e-6)
    assert got["detector"] == pytest.approx([results["before"]] * 2, rel=1e-6)
