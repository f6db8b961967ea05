"""Boxes and costs of `hungarian_loss.detection`: against exact fractions, counted cells, Keras, and plain loops."""

import fractions
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from keras.utils import bounding_boxes

import detection_reference as reference
from hungarian_loss.detection import (
    box_iou,
    complete_iou,
    dice_cost,
    distance_iou,
    focal_class_cost,
    generalized_iou,
    giou_cost,
    l1_cost,
    mask_cost,
    softmax_class_cost,
)

SEED = 20250712
FUNCTIONS = {"iou": box_iou, "giou": generalized_iou, "diou": distance_iou, "ciou": complete_iou}
EVERY_FUNCTION = pytest.mark.parametrize("name", FUNCTIONS)
OURS = ["xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw"]


def random_boxes(*shape, seed=SEED):
    """By their edges; some overlap, some do not."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 10, (*shape, 2))
    return np.concatenate([start, start + rng.uniform(0.5, 6, (*shape, 2))], axis=-1)


def whole_boxes(count, seed=SEED):
    """Of whole numbers in a grid of 8 × 8, each of some size."""
    rng = np.random.default_rng(seed)
    edges = np.sort(np.stack([rng.choice(9, 2, replace=False) for _ in range(2 * count)]).reshape(count, 2, 2), axis=-1)
    return edges.transpose(0, 2, 1).reshape(count, 4)


def cells(box):
    """The cells of the grid that a box covers."""
    left, top, right, bottom = box
    return set(itertools.product(range(left, right), range(top, bottom)))


@pytest.mark.parametrize("box_format", reference.FORMATS)
@EVERY_FUNCTION
def test_against_counted_cells(name, box_format):
    """Exact fractions of numbers of cells, which share no formula with the code but CIoU's."""
    a, b = whole_boxes(60), whole_boxes(60, seed=SEED + 1)
    want = []
    for one, other in zip(a, b, strict=True):
        mine, others = cells(one), cells(other)
        both = np.array([one, other])
        hull = [*both.min(axis=0)[:2].tolist(), *both.max(axis=0)[2:].tolist()]
        value = fractions.Fraction(len(mine & others), len(mine | others))
        if name == "giou":
            value -= fractions.Fraction(len(cells(hull) - mine - others), len(cells(hull)))
        if name in ("diou", "ciou"):
            apart = sum(((one[i] + one[i + 2]).item() - (other[i] + other[i + 2]).item()) ** 2 for i in range(2))
            value -= fractions.Fraction(apart, 4 * ((hull[2] - hull[0]) ** 2 + (hull[3] - hull[1]) ** 2))
        if name == "ciou":
            angles = [math.atan2(box[2] - box[0], box[3] - box[1]) for box in (one, other)]
            v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
            overlap = len(mine & others) / len(mine | others)
            value = float(value) - (v * v / (1 - overlap + v) if v else 0)
        want.append(float(value))
    written = [np.stack(reference.written(*boxes.T.astype(float), box_format), axis=-1) for boxes in (a, b)]
    got = FUNCTIONS[name](*written, box_format=box_format)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13, err_msg=f"seed {SEED}")
    assert got.dtype == tf.float64
    single = FUNCTIONS[name](*(boxes.astype(np.float32) for boxes in written), box_format=box_format)
    assert single.dtype == tf.float32
    np.testing.assert_allclose(single, want, rtol=1e-5, atol=1e-6, err_msg=f"seed {SEED}")
    whole = [boxes.astype(np.int32) for boxes in written]
    if all((boxes == of).all() for boxes, of in zip(whole, written, strict=True)):
        np.testing.assert_array_equal(FUNCTIONS[name](*whole, box_format=box_format), single)


@pytest.mark.parametrize("box_format", ["xyxy", "yxyx", "xywh", "center_xywh"])
def test_formats_are_those_of_keras(box_format):
    boxes = random_boxes(20)
    theirs = bounding_boxes.convert_format(boxes, "xyxy", box_format, dtype="float64")
    np.testing.assert_allclose(box_iou(theirs, theirs, box_format=box_format), np.ones(20), rtol=1e-14)
    np.testing.assert_allclose(
        l1_cost(theirs, np.zeros((1, 4)), box_format=box_format),
        l1_cost(boxes, np.zeros((1, 4)), box_format="xyxy"),
        rtol=1e-13,
    )
    others = random_boxes(20, seed=2)
    their_others = bounding_boxes.convert_format(others, "xyxy", box_format, dtype="float64")
    for function in FUNCTIONS.values():
        got = function(theirs, their_others, box_format=box_format)
        np.testing.assert_allclose(got, function(boxes, others, box_format="xyxy"), rtol=1e-12, atol=1e-14)


def test_ious_are_those_of_keras():
    a, b = random_boxes(30).astype(np.float32), random_boxes(30, seed=2).astype(np.float32)
    theirs = bounding_boxes.compute_ciou(a, b, bounding_box_format="xyxy")
    np.testing.assert_allclose(complete_iou(a, b, box_format="xyxy"), np.squeeze(theirs), rtol=1e-4, atol=1e-5)
    theirs = bounding_boxes.compute_iou(a, b, bounding_box_format="xyxy")
    pairs = box_iou(a[:, np.newaxis], b[np.newaxis], box_format="xyxy")
    np.testing.assert_allclose(pairs, theirs, rtol=1e-5, atol=1e-6)


@EVERY_FUNCTION
def test_what_holds_of_every_pair(name):
    function = FUNCTIONS[name]
    a, b = random_boxes(200), random_boxes(200, seed=2)
    value = function(a, b, box_format="xyxy").numpy()
    least = {"iou": 0, "giou": -1, "diou": -1, "ciou": -2}[name]
    assert (value >= least).all() and (value < 1).all() and (value != value[0]).any()
    np.testing.assert_allclose(function(a, a, box_format="xyxy"), np.ones(200), rtol=1e-13)
    # Neither order, nor place, nor unit matters.
    np.testing.assert_allclose(function(b, a, box_format="xyxy"), value, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(function(100 * a + 7, 100 * b + 7, box_format="xyxy"), value, rtol=1e-9, atol=1e-11)


@EVERY_FUNCTION
def test_broadcast(name):
    function = FUNCTIONS[name]
    a, b = random_boxes(2, 1, 3, 1), random_boxes(4, 1, 5, seed=2)
    got = function(a, b, box_format="xyxy")
    assert got.shape == (2, 4, 3, 5)
    for index in np.ndindex(2, 4, 3, 5):
        one, other = a[index[0], 0, index[2], 0], b[index[1], 0, index[3]]
        np.testing.assert_allclose(got[index], function(one, other, box_format="xyxy"), rtol=1e-13)
    assert function(a[0, 0, 0, 0].tolist(), b[0, 0, 0].tolist(), box_format="xyxy").shape == ()
    assert function(a[:0], b[:1], box_format="xyxy").shape == (0, 1, 3, 5)


@EVERY_FUNCTION
@pytest.mark.parametrize("box_format", ["xyxy", "center_xywh"])
def test_gradient_against_finite_differences(name, box_format):
    """CIoU's alpha has no gradient: it is fixed at its value where the slope is taken."""
    edges = random_boxes(12).reshape(2, 6, 4)
    a, b = (np.stack(reference.written(*boxes.T, box_format), axis=-1) for boxes in edges)
    function = FUNCTIONS[name]
    variables = [tf.constant(a), tf.constant(b)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        total = tf.reduce_sum(function(*variables, box_format=box_format))
    slopes = tape.gradient(total, variables)

    def value(one, other, still):
        if name == "iou":
            return reference.iou(one, other, box_format)
        return reference.IOU_OF[name](one, other, box_format, still)

    step = 1e-6
    for index in np.ndindex(6, 4):
        moved = np.zeros(4)
        moved[index[1]] = step
        one, other = a[index[0]], b[index[0]]
        want = (value(one, other + moved, other) - value(one, other - moved, other)) / (2 * step)
        np.testing.assert_allclose(slopes[1][index], want, rtol=1e-6, atol=1e-8, err_msg=f"{index}, seed {SEED}")
        # They are symmetric.
        want = (value(other, one + moved, one) - value(other, one - moved, one)) / (2 * step)
        np.testing.assert_allclose(slopes[0][index], want, rtol=1e-6, atol=1e-8, err_msg=f"{index}, seed {SEED}")


# Boxes as center_xywh, and the value of each of the four functions; None where only a finite number is promised.
ODD = {
    "equal": ([0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2], [1, 1, 1, 1]),
    "touching": ([0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 0.5, 0.5], [0, 0, -0.25 / 1.25, -0.25 / 1.25]),
    "the same point": ([0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0, 0, 0, 0]),
    "two points": ([0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.0, 0.0], [0, -1, -1, -1]),
    "the same line": ([0.5, 0.5, 0.0, 0.2], [0.5, 0.5, 0.0, 0.2], [0, 0, 0, 0]),
    "a point within": ([0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.0, 0.0], [0, 0, 0, None]),
    # Empty, at its left edge, 0.6, and within the other.
    "a negative width": ([0.5, 0.5, 0.4, 0.4], [0.5, 0.5, -0.2, 0.4], [0, 0, -0.01 / 0.32, None]),
    "negative sizes": ([0.5, 0.5, -0.1, -0.1], [0.5, 0.45, -0.2, -0.3], [0, -1, -1, -1]),
    "far": ([0.0, 0.0, 1.0, 1.0], [1e6, 0.0, 1.0, 1.0], [0, -1, -1, -1]),
    "huge": ([0.5, 0.5, 0.2, 0.2], [1e30, -1e30, 1e30, 1e30], [0, -5 / 9, -4 / 9, None]),
    "two huge": ([0.0, 0.0, 1e18, 1e18], [0.0, 0.0, 2e18, 1e18], [None] * 4),
    "tiny": ([0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 1e-30, 1e-30], [0, 0, 0, None]),
    "small": ([0.0, 0.0, 1e-6, 1e-6], [0.0, 0.0, 2e-6, 1e-6], [0.5, 0.5, 0.5, None]),
    "two tiny": ([0.0, 0.0, 1e-20, 1e-20], [0.0, 0.0, 1e-20, 2e-20], [None] * 4),
    "denormal": ([0.0, 0.0, 1e-40, 1e-40], [0.0, 0.0, 1e-40, 2e-40], [None] * 4),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@EVERY_FUNCTION
def test_odd_boxes(name, dtype):
    """Values, and finite slopes; in either order of the boxes, and by XLA."""
    a, b = (np.array([boxes[side] for boxes in ODD.values()], dtype) for side in (0, 1))

    def run(one, other):
        with tf.GradientTape() as tape:
            tape.watch([one, other])
            value = FUNCTIONS[name](one, other)
        return [value, *tape.gradient(value, [one, other])]

    for compiled in [False, True][: 2 if dtype == np.float32 else 1]:
        function = tf.function(run, jit_compile=True) if compiled else run
        for one, other in [(a, b), (b, a)]:
            value, *slopes = (result.numpy() for result in function(tf.constant(one), tf.constant(other)))
            for place, (case, boxes) in enumerate(ODD.items()):
                want = boxes[2][list(FUNCTIONS).index(name)]
                note = f"{case}, by XLA: {compiled}"
                assert np.isfinite(value[place]), note
                assert -2 <= value[place] <= 1, f"{note}: {value[place]}"
                assert all(np.isfinite(slope[place]).all() for slope in slopes), f"{note}: {[s[place] for s in slopes]}"
                if want is not None:
                    np.testing.assert_allclose(value[place], want, rtol=1e-4, atol=2e-5, err_msg=note)


@EVERY_FUNCTION
def test_what_is_no_number_shows(name):
    box, function = np.array([0.5, 0.5, 0.2, 0.2]), FUNCTIONS[name]
    spoilt = np.where(np.eye(4), np.nan, box)
    for box_format in OURS:
        assert np.isnan(function(spoilt, box, box_format=box_format)).all()
        assert np.isnan(function(box, spoilt, box_format=box_format)).all()
    for compiled in [False, True]:
        assert np.isnan(tf.function(function, jit_compile=compiled)(box, spoilt)).all()
    if name != "iou":
        assert np.isnan(function(np.where(np.eye(4), np.inf, box), box)).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@EVERY_FUNCTION
def test_half_types_are_computed_in_float32(name, dtype):
    """An area of 300 × 300 pixels is beyond the range of float16."""
    boxes = [tf.constant(np.round(30 * random_boxes(20, seed=seed)), dtype) for seed in (1, 2)]
    got = FUNCTIONS[name](*boxes, box_format="xyxy")
    assert got.dtype == tf.float32
    np.testing.assert_array_equal(got, FUNCTIONS[name](*(tf.cast(one, tf.float32) for one in boxes), box_format="xyxy"))
    assert np.isfinite(got).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_costs_of_half_types_are_computed_in_float32(dtype):
    """A mask of 256 × 256 pixels has more of them than float16 can count."""
    rng = np.random.default_rng(SEED)
    logits = tf.cast(rng.normal(0, 3, (2, 5, 256 * 256)), dtype)
    masks = rng.uniform(size=(2, 3, 256 * 256)) < 0.5
    labels = rng.integers(0, 3, (2, 3))
    costs = {
        "dice": lambda x: dice_cost(masks, x),
        "mask": lambda x: mask_cost(masks, x),
        "focal mask": lambda x: mask_cost(masks, x, alpha=0.25),
        "softmax": lambda x: softmax_class_cost(labels, x[..., :4]),
        "focal": lambda x: focal_class_cost(labels, x[..., :4]),
    }
    for name, cost in costs.items():
        got = cost(logits)
        assert got.dtype == tf.float32 and np.isfinite(got).all(), name
        np.testing.assert_array_equal(got, cost(tf.cast(logits, tf.float32)), err_msg=name)


@pytest.mark.parametrize("function", [*FUNCTIONS.values(), l1_cost, giou_cost])
def test_numpys_float64_takes_the_type_of_tensors(function):
    array = random_boxes(4, seed=1)
    single = tf.constant(random_boxes(4, seed=2), tf.float32)
    for one, other in [(array, single), (single, array)]:
        want = function(tf.cast(one, tf.float32), tf.cast(other, tf.float32))
        got = function(one, other)
        assert got.dtype == tf.float32
        np.testing.assert_array_equal(got, want)
    # A tensor of float64 is meant.
    assert function(tf.constant(array, tf.float64), single).dtype == tf.float64
    assert function(array, array).dtype == tf.float64


def test_wrong_boxes():
    good = np.zeros((2, 4))
    for function in [*FUNCTIONS.values(), l1_cost, giou_cost]:
        with pytest.raises(ValueError, match=r"boxes must be \[..., 4\], got shape \(2, 5\)"):
            function(good, np.zeros((2, 5)))
        with pytest.raises(ValueError, match=r"boxes must be \[..., 4\], got shape \(\)"):
            function(1.0, good)
        with pytest.raises(ValueError, match="box_format must be one of xyxy, yxyx, .*, rel_center_yxhw, got 'cxcywh'"):
            function(good, good, box_format="cxcywh")
    with pytest.raises(ValueError, match="iou must be one of giou, diou, ciou, got 'iou'"):
        giou_cost(good, good, iou="iou")


# Costs.


@pytest.mark.parametrize("box_format", OURS)
def test_costs_of_boxes_against_loops(box_format):
    true, pred = (
        np.stack(reference.written(*np.moveaxis(boxes, -1, 0), box_format), axis=-1)
        for boxes in (random_boxes(2, 3), random_boxes(2, 5, seed=2))
    )
    got = {"l1": l1_cost(true, pred, box_format=box_format)}
    got |= {iou: giou_cost(true, pred, box_format=box_format, iou=iou) for iou in reference.IOU_OF}
    np.testing.assert_array_equal(giou_cost(true, pred, box_format=box_format), got["giou"])
    for image, row, col in np.ndindex(2, 3, 5):
        pair = true[image, row], pred[image, col]
        want = {"l1": reference.l1(*pair, box_format)}
        want |= {name: -function(*pair, box_format, pair[1]) for name, function in reference.IOU_OF.items()}
        for name, value in want.items():
            np.testing.assert_allclose(got[name][image, row, col], value, rtol=1e-11, atol=1e-13, err_msg=name)
    for function in [l1_cost, giou_cost]:
        assert function(true[:, :0], pred).shape == (2, 0, 5) and function(true, pred[:, :0]).shape == (2, 3, 0)
        broadcast = function(true[:1], pred, box_format=box_format)
        np.testing.assert_allclose(broadcast[1], function(true[0], pred[1], box_format=box_format), rtol=1e-13)


@pytest.mark.parametrize(("n", "classes"), [(2, 4), (6, 3), (0, 3)], ids=str)
@pytest.mark.parametrize("gamma", [2.0, 1.5, 0.0])
def test_costs_of_classes_against_loops(gamma, n, classes):
    """The cost is computed for classes or for objects, whichever are fewer."""
    rng = np.random.default_rng(SEED)
    labels, logits = rng.integers(0, classes, (2, n)), rng.normal(size=(2, 5, classes))
    focal = {"classification": "focal", "focal_alpha": 0.3, "focal_gamma": gamma}
    got = {
        "softmax": softmax_class_cost(labels, logits),
        "focal": focal_class_cost(labels, logits, alpha=0.3, gamma=gamma),
    }
    assert all(cost.shape == (2, n, 5) for cost in got.values())
    for image, row, col in np.ndindex(2, n, 5):
        for name, options in [("softmax", {"classification": "softmax"}), ("focal", focal)]:
            want = reference.class_cost(labels[image, row], logits[image, col], options)
            np.testing.assert_allclose(got[name][image, row, col], want, rtol=1e-11, err_msg=f"{name}, seed {SEED}")


@pytest.mark.parametrize("function", [softmax_class_cost, focal_class_cost])
def test_costs_of_classes_broadcast(function):
    rng = np.random.default_rng(SEED)
    labels, logits = rng.integers(0, 3, (2, 1, 4)), rng.normal(size=(2, 3, 5, 3)).astype(np.float32)
    want = np.stack([function(labels[:, 0], logits[:, layer]) for layer in range(3)], axis=1)
    np.testing.assert_allclose(function(labels, logits), want, rtol=1e-5, atol=1e-7)
    assert function(labels, logits).dtype == tf.float32
    np.testing.assert_allclose(
        function(labels[0, 0].tolist(), logits), function(labels[:1], logits), rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(function(labels, logits[0, 0]), function(labels, logits[:1, :1]), rtol=1e-5, atol=1e-7)
    open_sizes = [tf.TensorSpec([None, None, None], tf.int64), tf.TensorSpec([None] * 4, tf.float32)]
    traced = tf.function(function, input_signature=open_sizes)
    np.testing.assert_allclose(traced(labels, logits), want, rtol=1e-5, atol=1e-7)
    # With any number of dimensions.
    for labels_shape, logits_shape in [(None, None), (None, [2, 3, 5, 3]), ([2, 1, 4], None), (None, [None] * 4)]:
        open_ranks = [tf.TensorSpec(labels_shape, tf.int64), tf.TensorSpec(logits_shape, tf.float32)]
        traced = tf.function(function, input_signature=open_ranks)
        np.testing.assert_allclose(traced(labels, logits), want, rtol=1e-5, atol=1e-7)
        if labels_shape is logits_shape is None:
            np.testing.assert_allclose(traced(labels[0, 0], logits[0, 1]), want[0, 1], rtol=1e-5, atol=1e-7)
            assert traced(labels[:0], logits[:0]).shape == (0, 3, 4, 5)
    # The costs of a negative label are finite.
    assert np.isfinite(function(np.where(labels == 1, -7, labels), logits)).all()


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_costs_of_masks_against_loops(alpha):
    rng = np.random.default_rng(SEED)
    true, logits = rng.uniform(size=(2, 3, 7)) < 0.4, 3 * rng.normal(size=(2, 5, 7))
    dice, mask = dice_cost(true, logits), mask_cost(true, logits, alpha=alpha, gamma=1.5)
    for image, row, col in np.ndindex(2, 3, 5):
        inside, p = true[image, row], reference.sigmoid(logits[image, col])
        want = 1 - (2 * p[inside].sum() + 1) / (inside.sum() + p.sum() + 1)
        np.testing.assert_allclose(dice[image, row, col], want, rtol=1e-11, err_msg=f"seed {SEED}")
        paid = np.where(inside, -np.log(p), -np.log(1 - p))
        if alpha is not None:
            paid *= np.where(inside, alpha * (1 - p) ** 1.5, (1 - alpha) * p**1.5)
        np.testing.assert_allclose(mask[image, row, col], paid.mean(), rtol=1e-10, err_msg=f"seed {SEED}")


@pytest.mark.parametrize("function", [dice_cost, mask_cost])
def test_costs_of_masks_say_what_they_take(function):
    for true, logits in [
        ((2, 3, 8, 8), (2, 10, 8, 8)),
        ((2, 3, 64), (2, 10, 63)),
        ((2, 3, 64), (3, 10, 64)),
        (64, (10, 64)),
    ]:
        with pytest.raises(ValueError, match=r"got \(.* and \(.*; the pixels of an image are one list"):
            function(np.zeros(true), np.zeros(logits))
    late = tf.function(function, input_signature=[tf.TensorSpec(None), tf.TensorSpec([None] * 3)])
    with pytest.raises(tf.errors.InvalidArgumentError):
        late(np.zeros((2, 3, 8), np.float32), np.zeros((2, 10, 7), np.float32))
    assert late(np.zeros((3, 8), np.float32), np.zeros((2, 10, 8), np.float32)).shape == (2, 3, 10)


def test_costs_of_masks_at_the_edges():
    true, logits = np.ones((2, 3, 4), np.float32), np.full((2, 5, 4), 50, np.float32)
    np.testing.assert_allclose(dice_cost(true, logits), np.zeros((2, 3, 5)), atol=1e-6)
    np.testing.assert_allclose(mask_cost(true, logits), np.zeros((2, 3, 5)), atol=1e-5)
    np.testing.assert_allclose(mask_cost(1 - true, logits), np.full((2, 3, 5), 50), rtol=1e-5)
    for function in [dice_cost, mask_cost]:
        assert function(true[:1], logits).shape == (2, 3, 5)
        assert function(true[0].astype(int).tolist(), logits).shape == (2, 3, 5)
        nothing = function(true[..., :0], logits[..., :0])
        assert nothing.shape == (2, 3, 5) and not np.any(nothing)
        assert function(true[:, :0], logits).shape == (2, 0, 5)
        with tf.GradientTape() as tape:
            variable = tf.constant(10 * logits)
            tape.watch(variable)
            cost = function(true, variable)
        assert np.isfinite(tape.gradient(cost, variable)).all()
