"""What counts as a digit found; and that the exported model works where Python knows only the op library."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import hungarian_loss
from canvases import BOX, CLASSES, load_scans, make_canvases
from export import export
from measure import LEAST_OVERLAP, digits_found, overlap, same_class
from model import make_model

TRAIN_STEPS = 30


def canvas(*objects: tuple[float, float, float, float, int]) -> np.ndarray:
    """One canvas with objects (center x, center y, width, height, digit): [1, objects, BOX + CLASSES]."""
    rows = [[*numbers, *np.eye(CLASSES)[digit]] for *numbers, digit in objects]
    return np.array([rows], np.float32)


def test_overlap_of_known_boxes() -> None:
    """Equal, half covered, shifted by half, one corner in common, apart, and without area."""
    box = np.array([[0.5, 0.5, 0.2, 0.2]])
    others = np.array(
        [
            [0.5, 0.5, 0.2, 0.2],
            [0.5, 0.5, 0.1, 0.2],
            [0.6, 0.5, 0.2, 0.2],
            [0.7, 0.7, 0.2, 0.2],
            [0.9, 0.5, 0.2, 0.2],
            [0.5, 0.5, 0.0, 0.2],
            [0.5, 0.5, -0.2, -0.2],
        ]
    )
    np.testing.assert_allclose(overlap(box, others), [[1, 1 / 2, 1 / 3, 0, 0, 0, 0]], atol=1e-12)


def test_overlap_of_two_boxes_without_area_is_nothing() -> None:
    empty = np.array([[0.5, 0.5, 0.0, 0.0]])
    assert overlap(empty, empty) == [[0.0]]


def test_class_and_place_must_both_be_right() -> None:
    true = canvas((0.2, 0.2, 0.2, 0.2, 3), (0.7, 0.7, 0.2, 0.2, 5))
    assert digits_found(true, true) == 1.0
    wrong_class = canvas((0.2, 0.2, 0.2, 0.2, 4), (0.7, 0.7, 0.2, 0.2, 5))
    assert digits_found(true, wrong_class) == 0.5
    wrong_place = canvas((0.4, 0.2, 0.2, 0.2, 3), (0.7, 0.7, 0.2, 0.2, 5))
    assert digits_found(true, wrong_place) == 0.5
    classes_exchanged = canvas((0.2, 0.2, 0.2, 0.2, 5), (0.7, 0.7, 0.2, 0.2, 3))
    assert digits_found(true, classes_exchanged) == 0.0


def test_an_overlap_of_just_the_least_counts() -> None:
    # Numbers that binary fractions hold exactly.
    true = canvas((0.5, 0.5, 0.5, 0.5, 0))
    assert digits_found(true, canvas((0.5, 0.5, 0.25, 0.5, 0))) == 1.0
    assert digits_found(true, canvas((0.5, 0.5, 0.2499, 0.5, 0))) == 0.0


def test_each_prediction_is_used_once() -> None:
    """Three equal true digits and one good prediction: one is found. Nor do two predictions find a digit twice."""
    place = (0.5, 0.5, 0.2, 0.2, 7)
    elsewhere = (0.1, 0.1, 0.1, 0.1, 7)
    assert digits_found(canvas(place, place, place), canvas(place, elsewhere, elsewhere)) == 1 / 3
    assert digits_found(canvas(place), canvas(place, place)) == 1.0


def test_the_largest_matching_counts_where_a_greedy_one_finds_less() -> None:
    """The first true digit overlaps both predictions, the first one best; the second digit overlaps only that one."""
    true = canvas((0.50, 0.5, 0.4, 0.4, 1), (0.40, 0.5, 0.4, 0.4, 1))
    predictions = canvas((0.49, 0.5, 0.4, 0.4, 1), (0.60, 0.5, 0.4, 0.4, 1))
    overlaps = overlap(true[..., :BOX], predictions[..., :BOX])[0]
    np.testing.assert_array_equal(overlaps >= LEAST_OVERLAP, [[True, True], [True, False]])
    assert overlaps.argmax() == 0, "by the first true digit, or by the best overlap, greed takes the pair (0, 0)"
    assert digits_found(true, predictions) == 1.0


def random_case(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """200 canvases with 4 objects and 5 predictions, crowded, of 2 classes, so that many can hit each other."""

    def objects(count: int) -> np.ndarray:
        boxes = random.uniform([0.4, 0.4, 0.3, 0.3], [0.6, 0.6, 0.5, 0.5], size=(200, count, 4))
        classes = np.eye(CLASSES)[random.integers(2, size=(200, count))]
        return np.concatenate([boxes, classes], axis=-1).astype(np.float32)

    return objects(4), objects(5)


def test_order_does_not_matter() -> None:
    random = np.random.default_rng(1)
    true, predictions = random_case(random)
    found = digits_found(true, predictions)
    assert 0.1 < found < 0.99
    for _ in range(5):
        shuffled = random.permuted(np.tile(np.arange(4), (200, 1)), axis=1)
        others = random.permuted(np.tile(np.arange(5), (200, 1)), axis=1)
        assert found == digits_found(
            np.take_along_axis(true, shuffled[..., np.newaxis], axis=1),
            np.take_along_axis(predictions, others[..., np.newaxis], axis=1),
        )


def test_agrees_with_scipy() -> None:
    true, predictions = random_case(np.random.default_rng(2))
    hits = same_class(true, predictions) & (overlap(true[..., :BOX], predictions[..., :BOX]) >= LEAST_OVERLAP)
    found = sum(matrix[linear_sum_assignment(matrix, maximize=True)].sum() for matrix in hits)
    assert digits_found(true, predictions) == found / (200 * 4)


def test_no_scan_is_both_trained_on_and_held_out() -> None:
    train, held_out = load_scans(seed=0)
    trained_on = {scan.tobytes() for scan in train.images}
    assert not any(scan.tobytes() in trained_on for scan in held_out.images)
    assert len(train.images) + len(held_out.images) == 1797


def test_canvases_show_their_objects() -> None:
    """All ink lies in the boxes, each box holds ink, and the same seed gives the same canvases."""
    train, _ = load_scans(seed=0)
    images, objects = make_canvases(train, 50, np.random.default_rng(3))
    assert images.dtype == objects.dtype == np.float32
    for image, boxes in zip(images, objects[..., :BOX], strict=True):
        outside = image.copy()
        for center, size in zip(boxes[:, :2], boxes[:, 2:], strict=True):
            left, top = np.rint((center - size / 2) * len(image)).astype(int)
            width, height = np.rint(size * len(image)).astype(int)
            assert image[top : top + height, left : left + width].max() > 0.5
            outside[top : top + height, left : left + width] = 0.0
        assert not outside.any()
    again = make_canvases(train, 50, np.random.default_rng(3))
    np.testing.assert_array_equal(images, again.images)


# Knows nothing of hungarian_loss but the path of its library.
USE_EXPORT = f"""
import json, sys
import numpy as np
import tensorflow as tf

library, folder = sys.argv[1:]
tf.load_op_library(library)
model = folder + "/saved_model"
canvases, objects = np.load(folder + "/canvases.npy"), np.load(folder + "/objects.npy")

# A session restores variables as the C API does, in another way than tf.saved_model.load.
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    predict = tf.compat.v1.saved_model.load(session, ["serve"], model).signature_def["predict"]
    names = [predict.outputs[name].name for name in ("boxes", "classes")]
    in_session = session.run(names, {{predict.inputs["canvases"].name: canvases}})

signatures = tf.saved_model.load(model).signatures
canvases, objects = tf.constant(canvases), tf.constant(objects)
outputs = signatures["predict"](canvases=canvases) | signatures["match"](canvases=canvases, objects=objects)
losses = [
    float(signatures["train_step"](canvases=canvases, objects=objects)["loss"]) for _ in range({TRAIN_STEPS})
]
assert "hungarian_loss" not in sys.modules
outputs = {{name: tensor.numpy().tolist() for name, tensor in outputs.items()}}
print(json.dumps({{**outputs, "in_session": np.concatenate(in_session, axis=-1).tolist(), "losses": losses}}))
"""


def test_export_learns_in_a_process_that_knows_only_the_op_library(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = make_model()
    _, held_out = load_scans(seed=0)
    examples = make_canvases(held_out, 2, np.random.default_rng(0))
    export(model, examples, tmp_path)
    command = [sys.executable, "-c", USE_EXPORT, hungarian_loss.op_library_path(), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout.splitlines()[-1])

    predictions = model.predict(examples.images, verbose=0)
    np.testing.assert_allclose(outputs["boxes"], predictions[..., :BOX], atol=1e-5)
    np.testing.assert_allclose(outputs["classes"], predictions[..., BOX:], atol=1e-5)
    np.testing.assert_allclose(outputs["in_session"], predictions, atol=1e-5)

    boxes = examples.objects[..., :BOX]
    distances = np.linalg.norm(boxes[:, :, np.newaxis] - predictions[:, np.newaxis, :, :BOX], axis=-1)
    for index, distance in enumerate(distances):
        rows, columns = linear_sum_assignment(distance)
        assert outputs["row_to_col"][index] == columns.tolist()
        np.testing.assert_allclose(outputs["cost"][index], distance[rows, columns], rtol=1e-4)

    losses = outputs["losses"]
    assert losses[0] == pytest.approx(np.mean(outputs["loss"]), rel=1e-5)
    assert losses[-1] < 0.9 * losses[0], losses
