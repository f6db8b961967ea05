"""The installed package beside one TensorFlow: does everything that it is there for work at all?

Usage: python -I smoke.py TENSORFLOW_VERSION FIT_POINTS

FIT_POINTS is the program of examples/fit_points. It calls TensorFlow's C API only, so it runs with any TensorFlow.
"""

import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

import hungarian_loss
from hungarian_loss import detection


def _as_pip_has_it(version: str) -> str:
    """TensorFlow itself has a hyphen before rc0."""
    return version.replace("-", "")


def check_what_is_installed(version: str) -> None:
    """It is the installed package that is tested, with the library for this TensorFlow."""
    assert _as_pip_has_it(tf.__version__) == version, f"TensorFlow is {tf.__version__}, expected {version}"
    package = pathlib.Path(hungarian_loss.__file__).resolve()
    assert package.is_relative_to(pathlib.Path(sys.prefix).resolve()), f"{package} is not from this environment"
    library = pathlib.Path(hungarian_loss.op_library_path())
    built_for = (library.parent / "_tensorflow_version.txt").read_text(encoding="utf-8").strip()
    assert _as_pip_has_it(built_for) == version, f"{library} is for TensorFlow {built_for}, not {version}"
    # Above everything that was ever published under the name.
    assert int(importlib.metadata.version("hungarian-loss").split(".")[0]) >= 2


def check_losses() -> None:
    """The document's example."""
    true, pred = [[[1.0, 2, 3, 4], [5, 6, 7, 8]]], [[[1.0, 1, 1, 1], [2, 2, 2, 2]]]
    np.testing.assert_allclose(hungarian_loss.hungarian_loss(true, pred), [6.507638], rtol=1e-6)
    np.testing.assert_allclose(hungarian_loss.HungarianLoss([4])(true, pred), 12.5, rtol=1e-6)


def check_assignments() -> None:
    """All four types, eagerly and in a graph, with a gradient."""
    for dtype in [tf.float16, tf.bfloat16, tf.float32, tf.float64]:
        costs = tf.constant([[[4, 1, 3], [2, 0, 5], [3, 2, 2]]], dtype)
        for solve in [hungarian_loss.linear_assignment, tf.function(hungarian_loss.linear_assignment)]:
            with tf.GradientTape() as tape:
                tape.watch(costs)
                answer = solve(costs)
                total = tf.reduce_sum(answer.total_cost)
            assert answer.row_to_col.numpy().tolist() == [[1, 0, 2]]
            assert answer.total_cost.numpy().tolist() == [5]
            slope = tf.cast(tape.gradient(total, costs), tf.float32)
            assert slope.numpy().tolist() == [[[0, 1, 0], [1, 0, 0], [0, 0, 1]]]


def check_training_and_saving() -> None:
    """A Keras model that learns, is saved, and comes back with its loss."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 6)).astype(np.float32)
    # The same sets in reverse order: only matching finds out what belongs together.
    y = x.reshape(64, 3, 2)[:, ::-1]
    model = keras.Sequential([keras.Input([6]), keras.layers.Dense(6), keras.layers.Reshape([3, 2])])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=hungarian_loss.HungarianLoss([2]))
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0], losses
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        again = keras.saving.load_model(path)
    np.testing.assert_allclose(again.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-6)


def has_xla() -> bool:
    """Whether this build of the op has a kernel for XLA: from TensorFlow 2.20 on."""
    return tuple(map(int, tf.__version__.split(".")[:2])) >= (2, 20)


def check_a_detector() -> None:
    """DetrLoss in `fit`, with jit_compile as it may be; the terms of the loss show; what was matched can be explained."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 6)).astype(np.float32)
    y = {
        "boxes": rng.uniform(0.2, 0.8, (16, 3, 4)).astype(np.float32),
        "labels": rng.integers(-1, 2, (16, 3)).astype(np.int32),
    }
    losses = []
    for jit in [False, "auto", True] if has_xla() else [False, "auto"]:
        keras.utils.set_random_seed(0)
        inputs = keras.Input([6])
        hidden = keras.layers.Dense(16, activation="relu")(inputs)
        outputs = {
            "boxes": keras.layers.Reshape([5, 4])(keras.layers.Dense(20, activation="sigmoid")(hidden)),
            "logits": keras.layers.Reshape([5, 3])(keras.layers.Dense(15)(hidden)),
        }
        model = detection.SetPredictionModel(inputs, outputs)
        model.compile(optimizer=keras.optimizers.Adam(0.01), loss=detection.DetrLoss(2), jit_compile=jit)
        history = model.fit(x, y, epochs=3, verbose=0, shuffle=False).history
        assert {"class", "box", "giou", "loss"} <= set(history), sorted(history)
        losses.append(history["loss"])
    np.testing.assert_allclose(losses, [losses[0]] * len(losses), rtol=1e-4)
    assert losses[0][-1] < losses[0][0], losses
    assert "optimal" in str(hungarian_loss.explain(y, model(x), loss=model.loss))


SERVE = """
import sys
import numpy as np
import tensorflow as tf
tf.load_op_library(sys.argv[1])
answer = tf.saved_model.load(sys.argv[2]).signatures["serving_default"](cost=tf.constant([[[4.0, 1.0], [2.0, 0.0]]]))
assert answer["row_to_col"].numpy().tolist() == [[1, 0]], answer
assert "hungarian_loss" not in sys.modules
"""


def check_a_saved_model() -> None:
    """Exported, then served by a fresh process that knows the op's library only."""

    class Matcher(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, None], tf.float32, name="cost")])
        def serve(self, cost: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"row_to_col": hungarian_loss.linear_assignment(cost).row_to_col}

    matcher = Matcher()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(matcher, folder, signatures=matcher.serve)
        command = [sys.executable, "-I", "-c", SERVE, hungarian_loss.op_library_path(), folder]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def check_gradient_in_cpp(program: str) -> None:
    """With no Python: TensorFlow's own C++ differentiates through the op, and the loss falls."""
    libraries = str(pathlib.Path(tf.__file__).resolve().parent)
    command = [program, "--library", hungarian_loss.op_library_path()]
    ran = subprocess.run(
        command, env={**os.environ, "LD_LIBRARY_PATH": libraries}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    losses = [float(line.split()[1]) for line in ran.stdout.splitlines()[1:]]
    assert len(losses) > 10 and losses[-1] < 0.01 * losses[0], ran.stdout


def main() -> None:
    """Runs all checks for the TensorFlow named on the command line."""
    if len(sys.argv) != 3:
        sys.exit("usage: smoke.py TENSORFLOW_VERSION FIT_POINTS")
    check_what_is_installed(sys.argv[1])
    check_losses()
    check_assignments()
    check_training_and_saving()
    check_a_detector()
    check_a_saved_model()
    check_gradient_in_cpp(sys.argv[2])
    jit = "with and without jit_compile" if has_xla() else "without jit_compile, which needs 2.20"
    print(f"matched, differentiated, trained {jit}, saved, served, run by C++")


if __name__ == "__main__":
    main()
