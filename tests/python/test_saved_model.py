"""A saved model runs, and trains, in a process that only loads the op library."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import HungarianLoss, hungarian_loss, linear_assignment, op_library_path

SEED = 20240610


class SetPredictor(tf.Module):
    """Sets of 4 objects from 6 numbers, with a signature to infer and one to train."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(SEED)
        self.kernel = tf.Variable(rng.normal(size=(6, 4 * 3)) / 3, dtype=tf.float32)
        self.sliced = HungarianLoss([2, 1], slice_losses_fn=[keras.losses.mean_absolute_error] * 2)

    def predict(self, x):
        return tf.reshape(x @ self.kernel, [-1, 4, 3])

    @tf.function(input_signature=[tf.TensorSpec([None, 6]), tf.TensorSpec([None, None, 3])])
    def infer(self, x, y):
        """The matching and its cost."""
        distance = tf.norm(y[:, :, tf.newaxis] - self.predict(x)[:, tf.newaxis], axis=-1)
        answer = linear_assignment(distance, cost_limit=2.5)
        return {**answer._asdict(), "distance": distance}

    @tf.function(input_signature=[tf.TensorSpec([None, 6]), tf.TensorSpec([None, None, 3])])
    def train_step(self, x, y):
        """One step of gradient descent; the loss before it."""
        with tf.GradientTape() as tape:
            pred = self.predict(x)
            loss = tf.reduce_mean(hungarian_loss(y, pred)) + self.sliced(y, pred)
        self.kernel.assign_sub(0.1 * tape.gradient(loss, self.kernel))
        return {"loss": loss}


SERVE = """
import json, sys
import numpy as np, tensorflow as tf
folder, library = sys.argv[1:]
said = {}
first, second = tf.load_op_library(library), tf.load_op_library(library)
said["both have the op"] = all(hasattr(module, "hungarian_assignment") for module in (first, second))

model = tf.saved_model.load(folder + "/model")
data = {name: tf.constant(value) for name, value in np.load(folder + "/data.npz").items()}
infer, train = model.signatures["infer"], model.signatures["train_step"]
np.savez(folder + "/inferred.npz", **{name: output.numpy() for name, output in infer(**data).items()})
said["losses"] = [float(train(**data)["loss"]) for _ in range(30)]
said["imported"] = "hungarian_loss" in sys.modules

def slope():
    with tf.GradientTape() as tape:
        cost = tf.constant([[3.0, 1.0], [1.0, 5.0]])
        tape.watch(cost)
        loss = model.signatures["solve"](cost=cost)["total_cost"]
    return tape.gradient(loss, cost).numpy().tolist()

try:
    said["gradient without the package"] = slope()
except LookupError as error:
    said["gradient without the package"] = "LookupError: " + str(error)
import hungarian_loss
said["gradient with the package"] = slope()
said["same path"] = hungarian_loss.op_library_path() == library
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """What a fresh process made of the saved model, and what this one makes of it."""
    folder = tmp_path_factory.mktemp("served")
    rng = np.random.default_rng(SEED)
    data = {"x": rng.normal(size=(16, 6)).astype(np.float32), "y": rng.normal(size=(16, 3, 3)).astype(np.float32)}
    np.savez(folder / "data.npz", **data)
    model = SetPredictor()
    model.solve = tf.function(
        lambda cost: {"total_cost": linear_assignment(cost).total_cost},
        input_signature=[tf.TensorSpec([None, None], name="cost")],
    )
    signatures = {name: getattr(model, name) for name in ["infer", "train_step", "solve"]}
    tf.saved_model.save(model, str(folder / "model"), signatures=signatures)
    said = oracle.run_json(SERVE, folder, op_library_path())
    with np.load(folder / "inferred.npz") as inferred:
        said["inferred"] = dict(inferred)
    return said, data, model


def test_runs_without_the_package(served):
    said, data, model = served
    assert said["both have the op"] and not said["imported"]
    here = model.infer(**data)
    assert sorted(here) == sorted(said["inferred"])
    for name, output in here.items():
        np.testing.assert_array_equal(output, said["inferred"][name], f"{name}, seed {SEED}")
    matched = said["inferred"]["row_to_col"] >= 0
    assert matched.any() and not matched.all()  # The limit leaves some unmatched.
    for index, distance in enumerate(said["inferred"]["distance"].astype(np.float64)):
        everything = (np.full(size, True) for size in distance.shape)
        _, want = oracle.reference(oracle.Problem(distance, *everything, limit=2.5))
        singles = sum(distance.shape) - 2 * matched[index].sum()
        got = said["inferred"]["total_cost"][index] + 2.5 / 2 * singles
        assert got == pytest.approx(want, rel=1e-6)


def test_trains_without_the_package(served):
    said, data, model = served
    losses = said["losses"]
    assert all(np.isfinite(losses)) and losses[-1] < 0.8 * losses[0]
    # The first loss is that of the saved weights.
    pred = model.predict(data["x"])
    first = oracle.set_loss(data["y"], pred).mean()
    errors = [lambda true, pred: np.abs(true - pred).mean()] * 2
    first += oracle.sliced_loss(data["y"], pred, [2, 1], [2, 1], errors, [1, 1]).mean()
    assert losses[0] == pytest.approx(first, rel=1e-5)
    here = [float(model.train_step(**data)["loss"]) for _ in range(30)]
    np.testing.assert_allclose(here, losses, rtol=1e-5)


def test_new_gradients_need_the_package(served):
    said, _, _ = served
    assert said["gradient without the package"].startswith("LookupError")
    assert "HungarianAssignment" in said["gradient without the package"]
    assert said["gradient with the package"] == [[0, 1], [1, 0]]


def test_the_library_path(served):
    said, _, _ = served
    path = pathlib.Path(op_library_path())
    assert said["same path"]
    assert path.is_absolute() and path.is_file() and path.resolve() == path
    again = tf.load_op_library(op_library_path())
    answer = again.hungarian_assignment([[3.0, 1.0], [1.0, 5.0]], True, True, float("inf"))
    assert answer.row_to_col.numpy().tolist() == [1, 0]


def test_saved_and_loaded_here(tmp_path):
    model = SetPredictor()
    signatures = {"train_step": model.train_step}
    tf.saved_model.save(model, str(tmp_path / "model"), signatures=signatures)
    again = tf.saved_model.load(str(tmp_path / "model"))
    rng = np.random.default_rng(SEED)
    # Sets of a size that the model was not saved with.
    data = {
        "x": tf.constant(rng.normal(size=(5, 6)), tf.float32),
        "y": tf.constant(rng.normal(size=(5, 7, 3)), tf.float32),
    }
    with tf.GradientTape() as tape:
        tape.watch(data["x"])
        inferred = again.infer(**data)
        total = tf.reduce_sum(inferred["total_cost"])
    slope = tape.gradient(total, data["x"])
    # Each matched pair pulls its prediction along the line between the two.
    pred, pull = model.predict(data["x"]).numpy(), np.zeros((5, 4, 3))
    for sample, row in np.argwhere(inferred["row_to_col"].numpy() >= 0):
        col = inferred["row_to_col"].numpy()[sample, row]
        apart = pred[sample, col] - data["y"][sample, row].numpy()
        pull[sample, col] = apart / np.linalg.norm(apart)
    assert pull.any()
    np.testing.assert_allclose(slope, pull.reshape(5, 12) @ model.kernel.numpy().T, atol=1e-5, err_msg=f"seed {SEED}")
    losses = [float(again.signatures["train_step"](**data)["loss"]) for _ in range(20)]
    assert losses[-1] < losses[0]


# TensorFlow's own TFLite answers, which the README passes on. In a process of their own: the converter prints a lot.
CONVERT = """
import json
import keras, numpy as np, tensorflow as tf
import hungarian_loss
said = {}

model = keras.Sequential([keras.Input([6]), keras.layers.Dense(6), keras.layers.Reshape([3, 2])])
model.compile(loss=hungarian_loss.hungarian_loss)
x = np.random.default_rng(0).normal(size=(1, 6)).astype(np.float32)
model.fit(x, x.reshape(1, 3, 2), verbose=0)
interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
interpreter.allocate_tensors()
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
interpreter.invoke()
lite = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
said["the model"] = float(np.abs(lite - model(x)).max())

solve = tf.function(lambda cost: hungarian_loss.linear_assignment(cost).row_to_col)
solve = solve.get_concrete_function(tf.TensorSpec([3, 3]))
plain, select = tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS
for case, ops, custom, user in [
    ("plain", [plain], False, []),
    ("select", [plain, select], False, []),
    ("custom", [plain], True, []),
    ("user", [plain, select], False, ["HungarianAssignment"]),
]:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([solve])
    converter.target_spec.supported_ops = ops
    converter.target_spec.experimental_select_user_tf_ops = user
    converter.allow_custom_ops = custom
    try:
        content = converter.convert()
    except Exception as error:
        said[case] = ["not converted", str(error)]
        continue
    try:
        tf.lite.Interpreter(model_content=content).allocate_tensors()
    except RuntimeError as error:
        said[case] = ["not run", str(error)]
    else:
        said[case] = ["run", ""]
print(json.dumps(said))
"""


def test_tflite():
    said = oracle.run_json(CONVERT)
    assert said["the model"] < 1e-5
    for case, outcome, message in [
        ("plain", "not converted", "Some ops in the model are custom ops"),
        ("select", "not converted", "neither a custom op nor a flex op"),
        ("custom", "not run", "unresolved custom op: HungarianAssignment"),
        ("user", "not run", "Flex delegate"),
    ]:
        assert said[case][0] == outcome, said[case]
        assert message in said[case][1] and "HungarianAssignment" in said[case][1], said[case]
