"""The installed wheel beside one TensorFlow: does everything that it is there for work at all?

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


def check_what_is_installed(version: str) -> None:
    """It is the wheel that is tested, with the library for this TensorFlow."""
    assert tf.__version__ == version, f"TensorFlow is {tf.__version__}, expected {version}"
    package = pathlib.Path(hungarian_loss.__file__).resolve()
    assert package.is_relative_to(pathlib.Path(sys.prefix).resolve()), f"{package} is not from this environment"
    library = pathlib.Path(hungarian_loss.op_library_path())
    assert library.parent.name == version, f"{library} is not the one for TensorFlow {version}"
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
    check_gradient_in_cpp(sys.argv[2])
    print(
        f"wheel beside TensorFlow {tf.__version__}: installed, matched, differentiated, trained, saved, run by C++: OK"
    )


if __name__ == "__main__":
    main()
