"""The parts from which the demo's figures come, a short run of the whole demo, and what it exports."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

import demo
import hungarian_loss
import rivals
from data import IMAGES, SLOTS, TILE, Scene, Tiles, load_halves, random_tiles
from data import test_tiles as tiles_to_test_on
from export import packed
from hungarian_loss.detection import DetrLoss
from measure import Detections, quality, suppressed
from model import GRID, cell_centers, make_model
from train import SETTINGS

TRAIN_STEPS = 10


@pytest.fixture(scope="module")
def halves() -> tuple[Scene, Scene]:
    if not (IMAGES / "img2d.tif").exists():
        pytest.skip("the micrograph is not here: make build/nuclei/.complete")
    return load_halves()


def objects(*tiles: list[tuple[float, float, float, float]]) -> dict[str, np.ndarray]:
    """Tiles with these boxes."""
    boxes, labels = np.zeros((len(tiles), 4, 4), np.float32), np.full((len(tiles), 4), -1)
    for tile, here in enumerate(tiles):
        boxes[tile, : len(here)], labels[tile, : len(here)] = np.reshape(here, (-1, 4)), 0
    return {"boxes": boxes, "labels": labels}


FIRST, SECOND, ELSEWHERE = (0.2, 0.2, 0.2, 0.2), (0.7, 0.7, 0.2, 0.2), (0.2, 0.7, 0.1, 0.1)


def seen(*rows: tuple[tuple[float, float, float, float], float]) -> Detections:
    """One tile with boxes and their scores."""
    boxes, scores = zip(*rows, strict=True)
    return Detections(np.float32([boxes]), np.float32([scores]))


def test_each_nucleus_is_tested_once(halves: tuple[Scene, Scene]) -> None:
    assert sum(len(half.boxes) for half in halves) == 125
    for half in halves:
        tiles = tiles_to_test_on(half)
        assert tiles.counts.sum() == len(half.boxes)
        assert tiles.images.shape == (8, TILE, TILE, 1)


def test_tiles_show_their_nuclei(halves: tuple[Scene, Scene]) -> None:
    """Boxes lie within their tile and are brighter than what lies around them, however the tile was turned."""
    tiles = next(random_tiles(halves[0], 64, seed=0))
    assert tiles.images.dtype == tiles.objects["boxes"].dtype == np.float32
    assert 0 <= tiles.images.min() < tiles.images.max() <= 1
    assert tiles.counts.max() < SLOTS
    inside, outside = [], []
    for image, boxes, labels in zip(tiles.images[..., 0], *tiles.objects.values(), strict=True):
        is_inside = np.zeros_like(image, bool)
        for center_x, center_y, width, height in TILE * boxes[labels >= 0]:
            left, top = center_x - width / 2, center_y - height / 2
            assert min(left, top) > -1e-3 and max(left + width, top + height) < TILE + 1e-3
            is_inside[round(top) : round(top + height), round(left) : round(left + width)] = True
        inside.append(image[is_inside])
        outside.append(image[~is_inside])
    assert np.concatenate(inside).mean() > 1.5 * np.concatenate(outside).mean()


def test_the_same_seed_gives_the_same_tiles(halves: tuple[Scene, Scene]) -> None:
    one, other = (next(random_tiles(halves[1], 4, seed=3)) for _ in range(2))
    np.testing.assert_equal(one, other)


def test_what_is_right_is_perfect() -> None:
    right = quality(objects([FIRST, SECOND]), seen((SECOND, 1.0), (FIRST, 1.0), (ELSEWHERE, 0.0)))
    assert right == pytest.approx((100, 100, 0))


def test_a_nucleus_seen_twice_is_miscounted_until_it_is_suppressed() -> None:
    near = (0.21, 0.2, 0.2, 0.2)
    twice = seen((FIRST, 1.0), (near, 0.75), (SECOND, 0.5))
    truth = objects([FIRST, SECOND])
    plain, with_suppression = quality(truth, twice), quality(truth, suppressed(twice))
    assert plain.counting_error == pytest.approx(0.25)
    assert with_suppression.counting_error == pytest.approx(0.5)
    assert suppressed(twice).scores.tolist() == [[1.0, 0.0, 0.5]]
    # Of the three the second is wrong: precision is 1 up to a recall of a half (51 of COCO's 101 points), then 2/3.
    assert plain.ap50 == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)
    assert with_suppression.ap50 == pytest.approx(100)


def test_counting_is_by_tile() -> None:
    """One too many in one tile and one too few in another do not cancel out."""
    both = Detections(np.zeros((2, 4, 4), np.float32) + 0.1, np.float32([[0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0]]))
    assert quality(objects([FIRST], [FIRST]), both).counting_error == pytest.approx(1)


def random_case(seed: int) -> tuple[dict[str, np.ndarray], dict[str, tf.Tensor]]:
    """Three tiles with 4, 1 and no nuclei, and random predictions."""
    random = np.random.default_rng(seed)
    boxes = [[tuple(box) for box in random.uniform(0.2, 0.8, (count, 4))] for count in (4, 1, 0)]
    predictions = {
        "boxes": tf.constant(random.uniform(0.1, 0.9, (3, GRID * GRID, 4)), tf.float32),
        "logits": tf.constant(random.normal(size=(3, GRID * GRID, 2)), tf.float32),
    }
    return objects(*boxes), predictions


def test_by_the_matching_itself_the_loss_is_that_of_detr() -> None:
    """So rivals differ in the assignment, and in nothing else."""
    truth, predictions = random_case(0)
    matched = DetrLoss(**SETTINGS)
    given = rivals.AssignedLoss(lambda *both: matched.match(*both).assignment.col_to_row, **SETTINGS)
    np.testing.assert_allclose(given.call(truth, predictions), matched.call(truth, predictions), rtol=1e-5)
    terms, expected = given.with_components(truth, predictions)[1], matched.components(truth, predictions)
    assert terms.keys() == expected.keys()
    for name, term in terms.items():
        np.testing.assert_allclose(term, expected[name], rtol=1e-5)


def test_position_by_position() -> None:
    target = rivals.position_by_position(*random_case(1)).numpy()
    assert target[0, :6].tolist() == [0, 1, 2, 3, -1, -1]
    assert (target[:, 4:] == -1).all() and target.shape == (3, GRID * GRID)


def test_greedy_takes_the_cheapest_that_is_left() -> None:
    truth, predictions = random_case(2)
    target = rivals.greedy(truth, predictions).numpy()
    costs = DetrLoss(num_classes=1).match(truth, predictions).cost.numpy()
    for tile, count in enumerate((4, 1, 0)):
        taken: list[int] = []
        for slot in range(count):
            free = np.delete(np.arange(GRID * GRID), taken)
            taken.append(int(free[costs[tile, slot, free].argmin()]))
        expected = np.full(GRID * GRID, -1)
        expected[taken] = range(count)
        np.testing.assert_array_equal(target[tile], expected)


def test_dense_assignment_takes_the_middle_of_each_nucleus() -> None:
    """All cells there, of the nearest nucleus where two overlap; at least one for a nucleus that is smaller than a cell."""
    large, beside, small = (0.5, 0.5, 0.5, 0.5), (0.6, 0.5, 0.25, 0.5), (0.1, 0.9, 0.01, 0.01)
    target = rivals.dense(objects([large, beside, small], []), random_case(3)[1]).numpy()
    assert (target[1] == -1).all()
    for cell, (x, y) in enumerate(cell_centers()):
        middles = [abs(x - 0.5) < 0.125 and abs(y - 0.5) < 0.125, abs(x - 0.6) < 0.0625 and abs(y - 0.5) < 0.125]
        distances = [abs(x - 0.5), abs(x - 0.6)]
        expected = min((distances[slot], slot) for slot in (0, 1) if middles[slot])[1] if any(middles) else -1
        if np.hypot(x - 0.1, y - 0.9) < 0.5 / GRID:
            expected = 2
        assert target[0, cell] == expected, (x, y)


def test_the_model_says_none_before_it_has_learned() -> None:
    keras.utils.set_random_seed(0)
    predictions = make_model()(np.zeros((1, TILE, TILE, 1), np.float32))
    np.testing.assert_allclose(tf.nn.softmax(predictions["logits"])[..., 0], 1 / (1 + np.e**2), atol=0.02)
    centers = predictions["boxes"][0, :, :2].numpy()
    assert np.abs(centers - cell_centers()).max() < 0.5 / GRID


# Knows nothing of hungarian_loss but the path of its library.
USE_EXPORT = f"""
import json, sys
import numpy as np
import tensorflow as tf

library, folder = sys.argv[1:]
tf.load_op_library(library)
model = folder + "/saved_model"
tiles, objects = np.load(folder + "/tiles.npy"), np.load(folder + "/objects.npy")

# A session restores variables as the C API does, in another way than tf.saved_model.load.
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    predict = tf.compat.v1.saved_model.load(session, ["serve"], model).signature_def["predict"]
    in_session = session.run(predict.outputs["boxes"].name, {{predict.inputs["tiles"].name: tiles}})

signatures = tf.saved_model.load(model).signatures
tiles, objects = tf.constant(tiles), tf.constant(objects)
outputs = signatures["predict"](tiles=tiles) | signatures["match"](tiles=tiles, objects=objects)
losses = [float(signatures["train_step"](tiles=tiles, objects=objects)["loss"]) for _ in range({TRAIN_STEPS})]
assert "hungarian_loss" not in sys.modules
outputs = {{name: tensor.numpy().tolist() for name, tensor in outputs.items()}}
print(json.dumps({{**outputs, "in_session": in_session.tolist(), "losses": losses}}))
"""


def test_the_whole_demo_and_what_it_exports(
    halves: tuple[Scene, Scene], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A few steps of it; the model is then used by a process that knows only the op's library."""
    assert demo.main(["--quick", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Seed 0, matched: training on the right half" in printed
    assert {"box:", "class:", "giou:", "loss:"} <= set(printed.split()), "the progress shows the loss's terms"
    assert (tmp_path / "nuclei.png").stat().st_size > 0

    command = [sys.executable, "-c", USE_EXPORT, hungarian_loss.op_library_path(), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(outputs["in_session"], outputs["boxes"], atol=1e-5)

    tiles = tiles_to_test_on(halves[1])
    np.testing.assert_array_equal(np.load(tmp_path / "objects.npy"), packed(tiles.objects))
    scores = np.array(outputs["scores"])
    predictions = {
        "boxes": tf.constant(outputs["boxes"], tf.float32),
        "logits": tf.constant(np.log(np.stack([scores, 1 - scores], axis=-1)), tf.float32),
    }
    costs = DetrLoss(**SETTINGS).match(tiles.objects, predictions).cost.numpy()
    for tile, count in enumerate(tiles.counts):
        rows, columns = linear_sum_assignment(costs[tile, :count])
        assert outputs["row_to_col"][tile] == [*columns, *[-1] * (SLOTS - count)]
        np.testing.assert_allclose(outputs["cost"][tile][:count], costs[tile, rows, columns], rtol=1e-3, atol=1e-4)

    losses = outputs["losses"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0], losses


def test_a_promise_that_is_not_held_is_named() -> None:
    fold = demo.Fold("left", Scene(np.zeros(0), np.zeros(0)), Tiles(np.zeros(0), {}))

    def result(ap50: float, counting_error: float) -> demo.Result:
        measured = demo.Quality(40.0, ap50, counting_error)
        return demo.Result(fold, keras.Model(), Detections(np.zeros(0), np.zeros(0)), measured, measured)

    assert demo.failures({demo.MATCHED: [result(70, 2)], demo.DENSE: [result(0, 4)]}) == []
    (found,) = demo.failures({demo.MATCHED: [result(69.9, 2)]})
    assert "AP50 69.9 is below 70" in found
    (counted,) = demo.failures({demo.MATCHED: [result(70, 2.01)]})
    assert "off by 2.01 a tile, more than 2" in counted
    (dense,) = demo.failures({demo.MATCHED: [result(70, 2)], demo.DENSE: [result(99, 3.99)]})
    assert "off by 3.99 a tile only, less than 4" in dense
