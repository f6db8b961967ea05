"""`DetrLoss`: values and gradients against NumPy with all options; empty sets, numbers that are not finite, wrong
arguments."""

import itertools
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

import detection_reference as reference
from hungarian_loss.detection import DetrLoss

SEED = 20250711
NAN, INF = np.nan, np.inf
CLASSES = 3


def channels_of(options):
    return CLASSES + (options.get("classification", "softmax") == "softmax")


def random_boxes(rng, shape, box_format="center_xywh", unit=1.0):
    left, top = rng.uniform(0, 0.6, shape), rng.uniform(0, 0.6, shape)
    width, height = rng.uniform(0.1, 0.4, shape), rng.uniform(0.1, 0.4, shape)
    return unit * np.stack(reference.written(left, top, left + width, top + height, box_format), axis=-1)


def scene(n=3, m=6, *, batch=3, auxiliary=0, denoising=None, seed=SEED, **options):
    """Targets and predictions. Image 0 has no object, image 1 as many as there are slots; empty slots hold NaN."""
    rng = np.random.default_rng([seed, n, m])
    box_format = options.get("box_format", "center_xywh")

    def predictions(size):
        return {
            "boxes": random_boxes(rng, (batch, size), box_format),
            "logits": rng.normal(size=(batch, size, channels_of(options))),
        }

    exists = rng.uniform(size=(batch, n)) < 0.6
    exists[:1], exists[1:2] = False, True
    y_true = {
        "boxes": np.where(exists[..., np.newaxis], random_boxes(rng, (batch, n), box_format), NAN),
        "labels": np.where(exists, rng.integers(0, CLASSES, (batch, n)), rng.integers(-5, 0, (batch, n))),
    }
    y_pred = predictions(m)
    if auxiliary:
        y_pred["auxiliary"] = [predictions(m) for _ in range(auxiliary)]
    if denoising is not None:
        for layer in [*y_pred.get("auxiliary", []), y_pred]:
            layer["denoising"] = predictions(denoising)
        # Some say none, some point at an empty slot.
        y_pred["denoising"]["target"] = rng.integers(-2, n, (batch, denoising))
        y_pred["denoising"]["target"][1:2, :1] = min(0, n - 1)
    return y_true, y_pred


def cast(nested, dtype):
    """Casts floats; whole numbers stay as they are."""
    return tf.nest.map_structure(lambda one: one.astype(dtype) if one.dtype.kind == "f" else one, nested)


def packed_true(y_true):
    return np.concatenate([y_true["boxes"], y_true["labels"][..., np.newaxis]], axis=-1)


def packed_pred(y_pred):
    layers = [np.concatenate([one["boxes"], one["logits"]], axis=-1) for one in [*y_pred.get("auxiliary", []), y_pred]]
    return np.stack(layers, axis=1) if "auxiliary" in y_pred else layers[0]


def floats(y_pred):
    """The tensors that have a gradient, as a flat list."""
    return [one for one in tf.nest.flatten(y_pred) if one.dtype.kind == "f"]


def with_floats(y_pred, values):
    """The same structure with other numbers."""
    values = iter(values)
    flat = [next(values) if one.dtype.kind == "f" else one for one in tf.nest.flatten(y_pred)]
    return tf.nest.pack_sequence_as(y_pred, flat)


def value_and_slopes(function, y_pred):
    """The value of a function of predictions, and the gradients of its sum, as arrays in the order of `floats`."""
    variables = [tf.constant(one) for one in floats(y_pred)]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        value = function(with_floats(y_pred, variables))
        total = tf.reduce_sum(value)
    slopes = tape.gradient(total, variables, unconnected_gradients="zero")
    return value.numpy(), [slope.numpy() for slope in slopes]


# By hand.


def test_a_loss_by_hand():
    """One object, two predictions that say nothing about classes."""
    y_true = {"boxes": [[[0.5, 0.5, 0.2, 0.2]]], "labels": [[0]]}
    boxes = [[[0.6, 0.5, 0.2, 0.2], [0.1, 0.9, 0.1, 0.1]]]
    got = DetrLoss(1, dtype="float64").components(y_true, {"boxes": boxes, "logits": np.zeros((1, 2, 2))})
    # IoU 0.02 / 0.06, and the hull is the union.
    want = {"class": math.log(2), "box": 5 * 0.1, "giou": 2 * (1 - 1 / 3)}
    assert {name: value.numpy() for name, value in got.items()} == pytest.approx(want, rel=1e-6)
    focal = DetrLoss(1, classification="focal").components(y_true, {"boxes": boxes, "logits": np.zeros((1, 2, 1))})
    assert focal["class"].numpy() == pytest.approx((0.25 + 0.75) * 0.5**2 * math.log(2), rel=1e-6)
    varifocal = DetrLoss(1, classification="varifocal", focal_alpha=0.75)
    got = varifocal.components(y_true, {"boxes": boxes, "logits": np.zeros((1, 2, 1))})
    assert got["class"].numpy() == pytest.approx((1 / 3 + 0.25 * 0.5**2) * math.log(2), rel=1e-6)


def test_the_class_term_is_that_of_detr():
    """Three objects in a hundred queries: divided by 3 + 97 × 0.1, and not by the number of queries or of those without object."""
    y_true, y_pred = scene(3, 100, batch=2)
    y_true = {"boxes": y_true["boxes"][1:], "labels": y_true["labels"][1:]}
    y_pred = {name: value[1:] for name, value in y_pred.items()}
    loss = DetrLoss(CLASSES, dtype="float64")
    columns = loss.match(y_true, y_pred).assignment.row_to_col.numpy()[0]
    want = np.full(100, CLASSES)
    want[columns] = y_true["labels"][0]
    entropy = np.array([-np.log(reference.softmax(y_pred["logits"][0, place])[want[place]]) for place in range(100)])
    weight = np.where(want == CLASSES, 0.1, 1.0)
    got = loss.components(y_true, y_pred)["class"]
    np.testing.assert_allclose(got, (weight * entropy).sum() / (3 + 97 * 0.1), rtol=1e-12)


# In all options.

CHOICES = {
    "classification": ["softmax", "focal", "varifocal"],
    "iou": ["giou", "diou", "ciou"],
    "box_format": reference.FORMATS,
    "normalization": ["batch", "sample"],
    "repeats": [1, 2],
    "groups": [1, 3],
    "no_object_weight": [0.1, 0.0, 0.7],
    "focal_gamma": [2.0, 1.5, 0.0],
    "focal_alpha": [0.25, 0.6],
    "auxiliary_weight": [1.0, 0.4],
    "class_cost": [1.0, 0.0, 2.5],
    "box_cost": [5.0, 0.0],
    "giou_cost": [2.0, 0.3],
    "class_weight": [1.0, 0.5],
    "box_weight": [5.0, 0.0],
    "giou_weight": [2.0, 0.0, 1.5],
    "auxiliary": [0, 2],
    "denoising": [None, 4],
    "sizes": [(3, 6), (2, 12), (5, 3), (1, 3)],
}


def draws(count):
    rng = np.random.default_rng(SEED)
    for _ in range(count):
        yield {name: values[rng.integers(len(values))] for name, values in CHOICES.items()}


DRAWS = list(draws(60))


def split_draw(draw):
    """Arguments of DetrLoss and of `scene`."""
    options = {name: value for name, value in draw.items() if name in reference.DEFAULTS}
    n, m = draw["sizes"]
    return options, {"n": n, "m": m, "auxiliary": draw["auxiliary"], "denoising": draw["denoising"], **options}


def test_every_pair_of_what_changes_shapes_or_formulas_is_drawn():
    names = ["classification", "iou", "normalization", "repeats", "groups", "auxiliary", "denoising", "sizes"]
    for one, other in itertools.combinations(names, 2):
        wanted = set(itertools.product(CHOICES[one], CHOICES[other]))
        assert {(draw[one], draw[other]) for draw in DRAWS} == wanted, (one, other)
    for name, values in CHOICES.items():
        assert {draw[name] for draw in DRAWS} == set(values), name


def names_of_terms(layers, denoising):
    names = []
    for part in ["", "denoising_"] if denoising else [""]:
        prefixes = [part, *(f"auxiliary_{layer}_{part}" for layer in range(layers))]
        names += [f"{prefix}{term}" for prefix in prefixes for term in ("class", "box", "giou")]
    return names


@pytest.mark.parametrize("place", range(len(DRAWS)))
def test_against_numpy_in_all_options(place):
    options, sizes = split_draw(DRAWS[place])
    note = f"seed {SEED}, {DRAWS[place]}"
    y_true, y_pred = scene(seed=SEED + place, **sizes)
    want = reference.terms(y_true, y_pred, options)
    total = sum(want.values())
    assert np.isfinite(total).all() and total.max() > 0

    loss = DetrLoss(CLASSES, dtype="float64", **options)
    value, slopes = value_and_slopes(lambda pred: loss.call(y_true, pred), y_pred)
    np.testing.assert_allclose(value, total, rtol=1e-11, err_msg=note)

    mean, got = loss.with_components(y_true, y_pred)
    assert list(got) == names_of_terms(sizes["auxiliary"], sizes["denoising"]), note
    for name, term in got.items():
        assert term.shape == () and term.dtype == tf.float64
        np.testing.assert_allclose(term, want[name].mean(), rtol=1e-11, atol=1e-15, err_msg=f"{name}, {note}")
    np.testing.assert_allclose(mean, total.mean(), rtol=1e-11, err_msg=note)
    np.testing.assert_allclose(loss(y_true, y_pred), total.mean(), rtol=1e-11, err_msg=note)

    single = DetrLoss(CLASSES, **options)(cast(y_true, np.float32), cast(y_pred, np.float32))
    assert single.dtype == tf.float32
    np.testing.assert_allclose(single, total.mean(), rtol=2e-5, err_msg=note)

    rng, step = np.random.default_rng(SEED), 1e-6
    for _ in range(3):
        way = [rng.normal(size=one.shape) for one in floats(y_pred)]

        def along(distance, way=way):
            moved = [one + distance * each for one, each in zip(floats(y_pred), way, strict=True)]
            return reference.loss(y_true, with_floats(y_pred, moved), options, detached=y_pred).sum()

        difference = (along(step) - along(-step)) / (2 * step)
        slope = sum((each * slope).sum() for each, slope in zip(way, slopes, strict=True))
        np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-6, err_msg=note)


@pytest.mark.parametrize(
    "options",
    [
        {"auxiliary": 1, "no_object_weight": 0.3, "auxiliary_weight": 0.5},
        {"classification": "focal", "iou": "diou", "groups": 2, "box_format": "yxyx"},
        {"classification": "varifocal", "iou": "ciou", "denoising": 3, "repeats": 2, "normalization": "sample"},
    ],
    ids=lambda options: options.get("classification", "softmax"),
)
def test_every_gradient_against_finite_differences(options):
    """Also those of predictions without an object, and of boxes that enter no term."""
    y_true, y_pred = scene(2, 4, batch=2, **options)
    options = {name: value for name, value in options.items() if name in reference.DEFAULTS}
    loss = DetrLoss(CLASSES, dtype="float64", **options)
    _, slopes = value_and_slopes(lambda pred: loss.call(y_true, pred), y_pred)
    for place, (slope, at) in enumerate(zip(slopes, floats(y_pred), strict=True)):
        want, step = np.zeros_like(at), 1e-6
        for index in np.ndindex(*at.shape):
            sides = []
            for sign in (1, -1):
                moved = [one.copy() for one in floats(y_pred)]
                moved[place][index] += sign * step
                moved = with_floats(y_pred, moved)
                sides.append(reference.loss(y_true, moved, options, detached=y_pred).sum())
            want[index] = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(slope, want, rtol=1e-6, atol=1e-7, err_msg=f"{place}, seed {SEED}")
        assert np.abs(want).max() > 1e-2


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"iou": "ciou", "repeats": 2}, {}),
        ({"classification": "varifocal", "groups": 2}, {"auxiliary": 1}),
    ],
    ids=["softmax", "varifocal"],
)
def test_compiled_by_xla(options, parts):
    y_true, y_pred = cast(scene(2, 6, **parts, **options), np.float32)
    loss = DetrLoss(CLASSES, **options)
    flat = [tf.constant(one) for one in tf.nest.flatten(y_pred)]

    def run(flat):
        variables = [one for one in flat if one.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            value = loss.call(y_true, tf.nest.pack_sequence_as(y_pred, flat))
        return [value, *tape.gradient(value, variables)]

    for got, want in zip(tf.function(run, jit_compile=True)(flat), run(flat), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6, err_msg=f"seed {SEED}")


# The ways to hand sets over.


def ragged(y_true):
    """The same without empty slots."""
    exists = y_true["labels"] >= 0
    lengths = exists.sum(axis=1)
    boxes = tf.RaggedTensor.from_row_lengths(y_true["boxes"][exists], lengths)
    return {"boxes": boxes, "labels": tf.RaggedTensor.from_row_lengths(y_true["labels"][exists], lengths)}


@pytest.mark.parametrize("classification", ["softmax", "focal"])
@pytest.mark.parametrize("auxiliary", [0, 2])
def test_dicts_packed_and_ragged_are_the_same(auxiliary, classification):
    y_true, y_pred = scene(4, 6, auxiliary=auxiliary, classification=classification)
    loss = DetrLoss(CLASSES, classification=classification, dtype="float64")
    want = reference.loss(y_true, y_pred, {"classification": classification})
    exists = y_true["labels"] >= 0
    packed_ragged = tf.RaggedTensor.from_row_lengths(packed_true(y_true)[exists], exists.sum(axis=1))
    as_column = {**y_true, "labels": y_true["labels"][..., np.newaxis]}
    rows = [packed_true(y_true)[image][there].tolist() for image, there in enumerate(exists)]
    short = y_true["labels"].astype(np.int8)
    unsigned = tf.cast(ragged(y_true)["labels"], tf.uint8)
    for true in [
        y_true,
        packed_true(y_true),
        packed_ragged,
        ragged(y_true),
        as_column,
        tf.ragged.constant(rows, dtype=tf.float64, ragged_rank=1, inner_shape=(5,)),
        tf.ragged.constant(rows, dtype=tf.float64),
        {**y_true, "labels": short},
        {**ragged(y_true), "labels": unsigned},
        {**y_true, "labels": np.where(exists, y_true["labels"], -INF), "scores": None},
    ]:
        for pred in [y_pred, packed_pred(y_pred), {**y_pred, "queries": "ignored"}]:
            np.testing.assert_allclose(loss.call(true, pred), want, rtol=1e-11, err_msg=f"seed {SEED}")
    if not auxiliary:
        np.testing.assert_allclose(loss.call(y_true, packed_pred(y_pred)[:, np.newaxis]), want, rtol=1e-11)


def test_ragged_sets_without_an_object_in_the_batch():
    """As tf.ragged.constant makes them, they do not show how wide an object is."""
    _, y_pred = scene(1, 6, batch=2)
    loss = DetrLoss(CLASSES, dtype="float64")
    want = reference.loss({"boxes": np.zeros((2, 0, 4)), "labels": np.zeros((2, 0), int)}, y_pred, {})
    flat, deep = (tf.ragged.constant([[], []], ragged_rank=rank, dtype=tf.float32) for rank in (1, 2))
    for true in [deep, {"boxes": deep, "labels": flat}, {"boxes": deep, "labels": deep}]:
        np.testing.assert_allclose(loss.call(true, y_pred), want, rtol=1e-11)
    np.testing.assert_allclose(tf.function(loss.call)(deep, y_pred), want, rtol=1e-11)


def test_ragged_objects_of_different_width_are_refused():
    loss = DetrLoss(CLASSES)
    y_pred = packed_pred(scene(2, 4, batch=1)[1])
    with pytest.raises(tf.errors.InvalidArgumentError):
        loss(tf.ragged.constant([[[0.5, 0.5, 0.2, 0.2, 1.0], [0.5, 0.5, 0.2, 0.2]]]), y_pred)


def test_ragged_boxes_and_labels_of_different_lengths_are_refused(monkeypatch):
    """Padding would be taken for objects. Beside labels that are padded, ragged boxes may be ragged."""
    _, y_pred = scene(2, 4, batch=2)
    loss = DetrLoss(CLASSES, reduction=None)
    boxes = tf.ragged.constant([[[0.5, 0.5, 0.2, 0.2]], [[0.5, 0.5, 0.2, 0.2]] * 2], ragged_rank=1)
    right = tf.ragged.constant([[2], [0, 1]])
    want = loss({"boxes": boxes, "labels": right}, y_pred)
    np.testing.assert_array_equal(loss({"boxes": boxes, "labels": right.to_tensor(-1)}, y_pred), want)
    wrong = {
        r"one for each box; got \[2 1\] labels for \[1 2\] boxes": tf.ragged.constant([[2, 0], [1]]),
        r"negative behind the last box of an image; got \[2 1\] labels for \[1 2\] boxes": [[2, 0], [1, -1]],
    }
    for message, labels in wrong.items():
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            loss({"boxes": boxes, "labels": labels}, y_pred)
        labels = tf.convert_to_tensor(labels) if isinstance(labels, list) else labels
        with pytest.raises(tf.errors.InvalidArgumentError, match="(?s)labels must be .*one for each box"):
            tf.function(loss.call)({"boxes": boxes, "labels": labels}, y_pred)
    # A GPU does not wait for the check, and the loss shows what is wrong.
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["one"])
    for labels, bad in zip(wrong.values(), [[True, True], [True, False]], strict=True):
        assert np.isnan(loss({"boxes": boxes, "labels": labels}, y_pred)).tolist() == bad


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_are_computed_in_float32(dtype):
    y_true, y_pred = scene(3, 6, auxiliary=1)
    y_true["boxes"] = np.nan_to_num(y_true["boxes"])
    for true, pred in [(y_true, y_pred), (packed_true(y_true), packed_pred(y_pred))]:
        halves = [
            tf.nest.map_structure(lambda one: tf.cast(one, dtype) if one.dtype.kind == "f" else one, nested)
            for nested in (true, pred)
        ]
        exact = [
            tf.nest.map_structure(
                lambda one: tf.cast(one, tf.float32) if tf.as_dtype(one.dtype).is_floating else one, nested
            )
            for nested in halves
        ]
        for loss in [DetrLoss(CLASSES), DetrLoss(CLASSES, dtype=dtype)]:
            got = loss.call(*halves)
            assert got.dtype == tf.float32
            np.testing.assert_array_equal(got, loss.call(*exact))
        variables = [tf.identity(one) for one in tf.nest.flatten(halves[1])]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            value = DetrLoss(CLASSES)(halves[0], tf.nest.pack_sequence_as(halves[1], variables))
        for slope in tape.gradient(value, variables):
            slope = tf.cast(slope, tf.float32).numpy()
            assert np.isfinite(slope).all() and slope.any()


UNKNOWN = {
    "batch": lambda shape: [None, *shape[1:]],
    "objects": lambda shape: [*shape[:-2], None, shape[-1]],
    "both": lambda shape: [None, *shape[1:-2], None, shape[-1]],
    "width too": lambda shape: [None, *shape[1:-2], None, None],
}


@pytest.mark.parametrize(
    ("auxiliary", "options"),
    [(0, {}), (2, {"classification": "focal", "groups": 2, "repeats": 2, "box_cost": 0, "giou_cost": 0})],
    ids=["one layer", "three layers"],
)
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_shapes_known_only_when_run(unknown, auxiliary, options):
    loss = DetrLoss(CLASSES, dtype="float64", **options)
    scenes = [
        [packed_true(y_true), packed_pred(y_pred)]
        for y_true, y_pred in (scene(n, m, auxiliary=auxiliary, **options) for n, m in [(3, 6), (5, 2), (0, 4), (3, 0)])
    ]
    traces = []

    @tf.function(input_signature=[tf.TensorSpec(UNKNOWN[unknown](one.shape), tf.float64) for one in scenes[0]])
    def run(y_true, y_pred):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss.call(y_true, y_pred)
        return value, tape.gradient(value, y_pred)

    for y_true, y_pred in scenes[:1] if unknown == "batch" else scenes:
        value, slopes = value_and_slopes(lambda pred, true=y_true: loss.call(true, pred), y_pred)
        got = run(y_true, y_pred)
        np.testing.assert_allclose(got[0], value, rtol=1e-12, err_msg=f"{y_true.shape}, seed {SEED}")
        np.testing.assert_allclose(got[1], slopes[0], rtol=1e-11, atol=1e-14, err_msg=f"{y_true.shape}, seed {SEED}")
    assert len(traces) == 1


def test_dicts_of_shapes_known_only_when_run():
    y_true, y_pred = scene(3, 6, auxiliary=1, denoising=4)
    flat = [np.asarray(one) for one in tf.nest.flatten((y_true, y_pred))]
    loss = DetrLoss(CLASSES, dtype="float64")
    # Also the ranks of tensors that need not fit another one.
    for spec in [lambda shape: [None] * len(shape), lambda shape: [None, None, *shape[2:]]]:

        @tf.function(input_signature=[tf.TensorSpec(spec(one.shape), one.dtype) for one in flat])
        def run(*flat):
            return loss.call(*tf.nest.pack_sequence_as((y_true, y_pred), flat))

        np.testing.assert_allclose(run(*flat), reference.loss(y_true, y_pred, {}), rtol=1e-11, err_msg=f"seed {SEED}")
    unknown = tf.function(
        loss.call, input_signature=[tf.TensorSpec(None, tf.float64), tf.TensorSpec([None] * 3, tf.float64)]
    )
    y_pred = {name: y_pred[name] for name in ("boxes", "logits")}
    got = unknown(packed_true(y_true), packed_pred(y_pred))
    np.testing.assert_allclose(got, reference.loss(y_true, y_pred, {}), rtol=1e-11)


# What is not there.


@pytest.mark.parametrize("normalization", ["batch", "sample"])
@pytest.mark.parametrize("classification", ["softmax", "focal", "varifocal"])
@pytest.mark.parametrize(("n", "m", "d"), [(0, 4, 3), (3, 0, 3), (0, 0, 0), (3, 4, 0), (5, 2, 3)], ids=str)
def test_of_something_there_is_none(n, m, d, classification, normalization):
    options = {"classification": classification, "normalization": normalization}
    y_true, y_pred = scene(n, m, auxiliary=1, denoising=d, **options)
    loss = DetrLoss(CLASSES, dtype="float64", **options)
    value, slopes = value_and_slopes(lambda pred: loss.call(y_true, pred), y_pred)
    np.testing.assert_allclose(value, reference.loss(y_true, y_pred, options), rtol=1e-11, err_msg=f"seed {SEED}")
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_no_object_in_the_whole_batch():
    y_true, y_pred = scene(3, 4)
    y_true["labels"][:] = -1
    for classification in ["softmax", "focal"]:
        logits = y_pred["logits"][..., : channels_of({"classification": classification})]
        pred = {**y_pred, "logits": logits}
        loss = DetrLoss(CLASSES, classification=classification, dtype="float64")
        value, slopes = value_and_slopes(lambda pred, loss=loss: loss.call(y_true, pred), pred)
        np.testing.assert_allclose(value, reference.loss(y_true, pred, {"classification": classification}), rtol=1e-11)
        assert (slopes[0] == 0).all() and (slopes[1] != 0).all()
    # Then no prediction has any weight.
    nothing = DetrLoss(CLASSES, no_object_weight=0, dtype="float64")
    value, slopes = value_and_slopes(lambda pred: nothing.call(y_true, pred), y_pred)
    assert (value == 0).all() and not any(slope.any() for slope in slopes)


def test_no_image():
    y_true, y_pred = scene(3, 4, batch=0, auxiliary=1, denoising=2)
    loss = DetrLoss(CLASSES)
    assert loss.call(y_true, y_pred).shape == (0,)
    assert all(np.sum(value) == 0 for value in loss.components(y_true, y_pred).values())


# Odd boxes.

ODD = {
    "equal": ([0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.2]),
    "touching": ([0.5, 0.5, 0.2, 0.2], [0.7, 0.5, 0.2, 0.2]),
    "a corner": ([0.5, 0.5, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]),
    "a point": ([0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.0, 0.0]),
    "two points": ([0.5, 0.5, 0.0, 0.0], [0.2, 0.2, 0.0, 0.0]),
    "the same point": ([0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]),
    "a line": ([0.5, 0.5, 0.0, 0.2], [0.5, 0.5, 0.0, 0.2]),
    "crossing lines": ([0.5, 0.5, 0.0, 0.2], [0.5, 0.5, 0.2, 0.0]),
    "zeros": ([0.0] * 4, [0.0] * 4),
    "a negative size": ([0.5, 0.5, 0.2, 0.2], [0.5, 0.5, -0.2, 0.2]),
    "negative sizes": ([0.5, 0.5, -0.1, -0.1], [0.5, 0.4, -0.2, -0.3]),
    "huge": ([0.5, 0.5, 0.2, 0.2], [1e30, -1e30, 1e30, 1e30]),
    "two huge": ([0.0, 0.0, 1e30, 1e30], [0.0, 0.0, 2e30, 1e30]),
    "tiny": ([0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 1e-30, 1e-30]),
    "two tiny": ([0.0, 0.0, 1e-20, 1e-20], [0.0, 0.0, 1e-20, 2e-20]),
    "denormal": ([0.0, 0.0, 1e-40, 1e-40], [0.0, 0.0, 1e-40, 2e-40]),
}


@pytest.mark.parametrize("iou", ["giou", "diou", "ciou"])
def test_odd_boxes_give_numbers(iou):
    """Each in an image of its own, beside a common one; in either order of the two boxes."""
    common = [0.3, 0.3, 0.1, 0.2]
    for swapped in [False, True]:
        pairs = [pair[::-1] if swapped else pair for pair in ODD.values()]
        y_true = {
            "boxes": np.array([[true, common] for true, _ in pairs], np.float32),
            "labels": np.tile([0, 1], [len(pairs), 1]),
        }
        boxes = np.array([[pred, common, [0.9, 0.9, 0.1, 0.1]] for _, pred in pairs], np.float32)
        for classification in ["softmax", "varifocal"]:
            channels = channels_of({"classification": classification})
            y_pred = {"boxes": boxes, "logits": np.zeros((len(pairs), 3, channels), np.float32)}
            loss = DetrLoss(CLASSES, iou=iou, classification=classification)
            value, slopes = value_and_slopes(lambda pred, loss=loss, true=y_true: loss.call(true, pred), y_pred)
            for place, name in enumerate(ODD):
                assert np.isfinite(value[place]), (name, value[place])
                assert all(np.isfinite(slope[place]).all() for slope in slopes), (name, slopes[0][place])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("classification", ["softmax", "focal", "varifocal"])
def test_saturated_logits_give_numbers(classification, gamma):
    y_true, y_pred = cast(scene(3, 4, classification=classification), np.float32)
    y_pred["logits"] = (
        np.sign(y_pred["logits"]) * np.float32([200, 1e4, 1e30])[: len(y_pred["logits"]), np.newaxis, np.newaxis]
    )
    loss = DetrLoss(CLASSES, classification=classification, focal_gamma=gamma)
    value, slopes = value_and_slopes(lambda pred: loss.call(y_true, pred), y_pred)
    assert np.isfinite(value).all(), value
    assert all(np.isfinite(slope).all() for slope in slopes)


# What is no number.


@pytest.mark.parametrize("what", [NAN, INF, -INF], ids=str)
@pytest.mark.parametrize("where", ["boxes", "logits", "auxiliary", "denoising", "true boxes"])
def test_one_bad_image(where, what):
    y_true, y_pred = scene(3, 6, batch=4, auxiliary=1, denoising=3)
    y_true["labels"][2] = [0, 1, 2]
    y_true["boxes"][2] = random_boxes(np.random.default_rng(1), (3,))
    y_pred["denoising"]["target"][2] = [0, 1, 2]
    clean = reference.terms(y_true, y_pred, {})
    spoilt = {
        "boxes": y_pred["boxes"],
        "logits": y_pred["logits"],
        "auxiliary": y_pred["auxiliary"][0]["boxes"],
        "denoising": y_pred["denoising"]["boxes"],
        "true boxes": y_true["boxes"],
    }[where]
    spoilt[2, 1, 1] = what
    loss = DetrLoss(CLASSES, dtype="float64")
    value, slopes = value_and_slopes(lambda pred: loss.call(y_true, pred), y_pred)
    assert not np.isfinite(value[2])
    if math.isnan(what):
        assert np.isnan(value[2])
    assert all((slope[2] == 0).all() and np.isfinite(slope).all() and slope.any() for slope in slopes)
    for name, term in loss.components(y_true, y_pred).items():
        assert not np.isfinite(term), name
    # Its objects still count, and its neighbours are matched as before. Where it is not matched, its predictions have
    # the weight of those without an object.
    others = [0, 1, 3]
    boxes_and_ious = [name for name in clean if not name.endswith("class")]
    no_class = DetrLoss(CLASSES, dtype="float64", class_weight=0).call(y_true, y_pred).numpy()
    np.testing.assert_allclose(no_class[others], sum(clean[name] for name in boxes_and_ious)[others], rtol=1e-11)


def test_neighbours_of_a_bad_image():
    y_true, y_pred = scene(3, 6, batch=4, auxiliary=1)
    for where, what in [(y_pred["auxiliary"][0]["boxes"], NAN), (y_true["boxes"], INF)]:
        kept, where[1, 0, 0] = where[1, 0, 0], what
        got = DetrLoss(CLASSES, dtype="float64").call(y_true, y_pred).numpy()
        where[1, 0, 0] = kept
        assert not np.isfinite(got[1])
        want = reference.terms(y_true, y_pred, {})
        layers = ["", "auxiliary_0_"] if math.isinf(what) else ["auxiliary_0_"]
        alone = reference.terms(y_true, y_pred, {}, unmatched=[1])
        for layer in layers:
            want[f"{layer}class"] = alone[f"{layer}class"]
        others = [0, 2, 3]
        np.testing.assert_allclose(got[others], sum(want.values())[others], rtol=1e-11, err_msg=f"seed {SEED}, {what}")


def test_a_bad_image_without_objects():
    """There is nothing to match in it, and yet its loss is not finite."""
    y_true, y_pred = scene(3, 6)
    y_pred["logits"][0, 2, 1] = NAN
    value, slopes = value_and_slopes(lambda pred: DetrLoss(CLASSES, dtype="float64").call(y_true, pred), y_pred)
    assert np.isnan(value).tolist() == [True, False, False]
    assert all((slope[0] == 0).all() and np.isfinite(slope).all() for slope in slopes)


@pytest.fixture(scope="module")
def losses_by_xla():
    """A function of labels [3, 3]: losses of each image, with gradients and terms; compiled once."""
    y_true, y_pred = cast(scene(3, 6), np.float32)
    loss = DetrLoss(CLASSES)

    @tf.function(jit_compile=True)
    def run(labels, boxes, logits):
        true, pred = {**y_true, "labels": labels}, {"boxes": boxes, "logits": logits}
        with tf.GradientTape() as tape:
            tape.watch([boxes, logits])
            value = loss.call(true, pred)
        return value, tape.gradient(value, [boxes, logits]), loss.components(true, pred)

    return lambda labels, **pred: run(*map(tf.constant, [labels, *({**y_pred, **pred}.values())]))


@pytest.mark.parametrize("label", [CLASSES, 1000, 2**40])
def test_a_label_beyond_the_classes(label, losses_by_xla):
    y_true, y_pred = cast(scene(3, 6), np.float32)
    y_true["labels"][1, 2] = label
    loss = DetrLoss(CLASSES)
    message = f"labels must be below num_classes, {CLASSES}"
    for true in [y_true, packed_true(y_true).astype(np.float32)]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s)^{message}.*{label if label < 2**30 else ''}"):
            loss(true, y_pred)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tf.function(loss)(y_true, y_pred)
    value, slopes, terms = losses_by_xla(y_true["labels"])
    assert np.isnan(value).tolist() == [False, True, False]
    assert all((slope[1] == 0).all() and np.isfinite(slope).all() for slope in map(np.asarray, slopes))
    assert all(np.isnan(term) for term in terms.values())


def test_a_bad_image_compiled_by_xla(losses_by_xla):
    y_true, y_pred = cast(scene(3, 6), np.float32)
    y_pred["boxes"][1, 0, 0] = NAN
    value, slopes, _ = losses_by_xla(y_true["labels"], boxes=y_pred["boxes"])
    assert np.isnan(value).tolist() == [False, True, False]
    assert all((slope[1] == 0).all() and np.isfinite(slope).all() for slope in map(np.asarray, slopes))


@pytest.mark.parametrize("label", [INF, 1e20])
def test_an_infinite_label_is_none_of_an_empty_slot(label):
    y_true, y_pred = scene(3, 6)
    y_true["labels"] = y_true["labels"].astype(float)
    y_true["labels"][1, 2] = label
    with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be below num_classes"):
        DetrLoss(CLASSES)(y_true, y_pred)


@pytest.mark.parametrize("label", [NAN, 0.5])
def test_a_label_that_is_no_whole_number(label):
    """Its image's loss is NaN; the others, divided by their own objects, are unchanged."""
    y_true, y_pred = scene(3, 6, batch=4)
    options = {"normalization": "sample", "dtype": "float64"}
    want = sum(reference.terms(y_true, y_pred, {"normalization": "sample"}).values())
    y_true["labels"] = y_true["labels"].astype(float)
    y_true["labels"][1, 2] = label
    for true in [y_true, packed_true(y_true)]:
        value, slopes = value_and_slopes(lambda pred, true=true: DetrLoss(CLASSES, **options).call(true, pred), y_pred)
        assert np.isnan(value).tolist() == [False, True, False, False]
        np.testing.assert_allclose(np.delete(value, 1), np.delete(want, 1), rtol=1e-11, err_msg=f"seed {SEED}")
        assert all((slope[1] == 0).all() and np.isfinite(slope).all() and slope.any() for slope in slopes)
        compiled = tf.function(DetrLoss(CLASSES, **options).call, jit_compile=True)(true, y_pred)
        np.testing.assert_allclose(compiled, value, rtol=1e-11)


def test_a_denoising_target_beyond_the_slots():
    """As a label beyond the classes: an error, under XLA NaN. One that is no number: NaN."""
    y_true, y_pred = scene(3, 6, denoising=4)
    loss, target = DetrLoss(CLASSES, dtype="float64"), y_pred["denoising"]["target"]
    np.testing.assert_allclose(loss.call(y_true, y_pred), reference.loss(y_true, y_pred, {}), rtol=1e-11)

    def call(target):
        return loss.call(y_true, {**y_pred, "denoising": {**y_pred["denoising"], "target": target}})

    for beyond in [3, 99]:
        target[1, 2] = beyond
        message = rf"(?s)target.* must be slots of y_true, negative for none; the largest is.*{beyond}"
        for run in [call, tf.function(call)]:
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                run(tf.constant(target))
        value = tf.function(call, jit_compile=True)(tf.constant(target)).numpy()
        assert np.isnan(value).tolist() == [False, True, False]
    target = target.astype(float)
    target[1, 2] = NAN
    assert np.isnan(call(target)).tolist() == [False, True, False]


# Matching.


@pytest.mark.parametrize(
    "options", [{}, {"classification": "focal", "iou": "ciou"}, {"repeats": 2}, {"groups": 2}], ids=str
)
def test_match_against_scipy(options):
    y_true, y_pred = scene(4, 8, batch=5, auxiliary=1, **options)
    matching = DetrLoss(CLASSES, dtype="float64", **options).match(y_true, y_pred)
    full = {**reference.DEFAULTS, **options}
    repeats, size = full["repeats"], 8 // full["groups"]
    labels = np.repeat(y_true["labels"], repeats, axis=1)
    boxes = np.repeat(y_true["boxes"], repeats, axis=1)
    np.testing.assert_array_equal(matching.true_mask, labels >= 0)
    assert matching.pred_mask is None and matching.cost.shape == (5, 4 * repeats, size)
    for image in range(5):
        rows = np.flatnonzero(labels[image] >= 0)
        cost = np.zeros((len(rows), size))
        for place, col in np.ndindex(*cost.shape):
            box, logits = y_pred["boxes"][image, col], y_pred["logits"][image, col]
            true = boxes[image, rows[place]]
            overlap = reference.IOU_OF[full["iou"]](true, box, "center_xywh", box)
            cost[place, col] = reference.class_cost(labels[image, rows[place]], logits, full)
            cost[place, col] += 5 * reference.l1(true, box, "center_xywh") - 2 * overlap
        np.testing.assert_allclose(matching.cost.numpy()[image, rows], cost, rtol=1e-11, err_msg=f"seed {SEED}")
        total = cost[linear_sum_assignment(cost)].sum()
        np.testing.assert_allclose(matching.assignment.total_cost[image], total, rtol=1e-12)
        partners = matching.assignment.row_to_col.numpy()[image]
        assert (partners[labels[image] < 0] == -1).all()
        assert len(set(partners[rows].tolist())) == min(len(rows), size) + (len(rows) > size)


def test_layers_and_groups_are_matched_in_one_call_of_the_op():
    y_true, y_pred = scene(3, 6, auxiliary=3, denoising=2)
    loss = DetrLoss(CLASSES, groups=2, repeats=2)
    for function in [loss, loss.with_components]:
        graph = tf.function(function).get_concrete_function(y_true, y_pred).graph
        assert [op.type for op in graph.get_operations()].count("HungarianAssignment") == 1


def test_the_choice_has_no_gradient_and_targets_have_none():
    y_true, y_pred = scene(2, 4)
    y_true["boxes"] = np.nan_to_num(y_true["boxes"])
    true, logits = tf.constant(y_true["boxes"]), tf.constant(y_pred["logits"])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([true, logits])
        loss = DetrLoss(CLASSES, class_weight=0, dtype="float64")
        value = loss({**y_true, "boxes": true}, {**y_pred, "logits": logits})
    assert tape.gradient(value, true) is None
    assert not tape.gradient(value, logits, unconnected_gradients="zero").numpy().any()


# Reduction, weights.


def test_reductions_and_weights():
    y_true, y_pred = scene(3, 6, batch=4, auxiliary=1)
    want = reference.terms(y_true, y_pred, {})
    weight = np.array([0.5, 0.0, 2.0, 1.0])
    for reduction, reduce in [
        ("sum_over_batch_size", lambda values: values.mean()),
        ("sum", lambda values: values.sum()),
        ("mean", lambda values: values.mean()),
    ]:
        loss = DetrLoss(CLASSES, dtype="float64", reduction=reduction)
        for given in [weight, weight[:, np.newaxis], weight.tolist()]:
            total, terms = loss.with_components(y_true, y_pred, given)
            for name, value in terms.items():
                np.testing.assert_allclose(value, reduce(weight * want[name]), rtol=1e-11, err_msg=name)
            np.testing.assert_allclose(total, reduce(weight * sum(want.values())), rtol=1e-11)
            np.testing.assert_allclose(loss(y_true, y_pred, sample_weight=given), total, rtol=1e-12)
        np.testing.assert_allclose(loss(y_true, y_pred, sample_weight=3.0), reduce(3 * sum(want.values())), rtol=1e-11)
    each = DetrLoss(CLASSES, dtype="float64", reduction=None)
    np.testing.assert_allclose(each(y_true, y_pred, weight), weight * sum(want.values()), rtol=1e-11)
    for name, value in each.components(y_true, y_pred, weight).items():
        np.testing.assert_allclose(value, (weight * want[name]).mean(), rtol=1e-11)
    weighted = DetrLoss(CLASSES, dtype="float64", reduction="mean_with_sample_weight")
    got = weighted(y_true, y_pred, weight)
    np.testing.assert_allclose(got, (weight * sum(want.values())).sum() / weight.sum(), rtol=1e-11)


# Saving.

OTHER = {
    "classification": "focal",
    "class_cost": 2.0,
    "box_cost": 3.0,
    "giou_cost": 4.0,
    "class_weight": 0.5,
    "box_weight": 1.5,
    "giou_weight": 2.5,
    "no_object_weight": 0.2,
    "focal_alpha": 0.5,
    "focal_gamma": 1.0,
    "iou": "ciou",
    "box_format": "xyxy",
    "normalization": "sample",
    "auxiliary_weight": 0.7,
    "repeats": 2,
    "groups": 3,
    "reduction": "sum",
    "name": "mine",
    "dtype": "float64",
}


@pytest.mark.parametrize("options", [{}, OTHER], ids=["defaults", "all"])
def test_config_round_trip(options):
    loss = DetrLoss(np.int64(CLASSES), **options)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is DetrLoss and again.get_config() == loss.get_config()
    assert {**loss.get_config(), **options, "num_classes": CLASSES} == loss.get_config()
    y_true, y_pred = scene(3, 6, auxiliary=1, **{**reference.DEFAULTS, **options})
    np.testing.assert_array_equal(again(y_true, y_pred), loss(y_true, y_pred))
    assert again(y_true, y_pred).dtype == options.get("dtype", "float32")


def test_each_argument_is_saved():
    plain = DetrLoss(CLASSES).get_config()
    for name, value in OTHER.items():
        config = DetrLoss(CLASSES, **{name: value}).get_config()
        assert [key for key in plain if plain[key] != config[key]] == [name]


def test_a_subclass_has_a_config():
    class Mine(DetrLoss):
        def __init__(self, scale, **arguments):
            super().__init__(**arguments)
            self.scale = scale

        def get_config(self):
            return {**super().get_config(), "scale": self.scale}

    loss = Mine(2.0, num_classes=CLASSES, iou="diou")
    again = Mine.from_config(loss.get_config())
    assert (again.scale, again.iou, again.num_classes) == (2.0, "diou", CLASSES)


# What is wrong.

WRONG_ARGUMENTS = {
    "num_classes": [0, -1, 2.0, True, "3", None],
    "repeats": [0, 1.5, None],
    "groups": [0, "2"],
    "classification": ["sigmoid", None, ["softmax"]],
    "iou": ["iou", None, ["giou"]],
    "box_format": ["cxcywh", "rel_", None, ["xyxy"]],
    "normalization": ["pairs", None],
    **{
        name: [-1.0, NAN, INF, "1", None, True, [1.0], 1j]
        for name in reference.DEFAULTS
        if name.endswith(("_cost", "_weight", "gamma"))
    },
    "focal_alpha": [-0.1, 1.1, NAN, None],
}


@pytest.mark.parametrize("name", WRONG_ARGUMENTS)
def test_wrong_arguments(name):
    for value in WRONG_ARGUMENTS[name]:
        with pytest.raises(ValueError, match=f"{name} must be ") as caught:
            DetrLoss(**{"num_classes": CLASSES, name: value})
        assert f"got {value!r}" in str(caught.value)


def test_wrong_arguments_together():
    with pytest.raises(ValueError, match="class_cost, box_cost and giou_cost must be above 0"):
        DetrLoss(CLASSES, class_cost=0, box_cost=0.0, giou_cost=0)
    with pytest.raises(ValueError, match="reduction"):
        DetrLoss(CLASSES, reduction="median")


BOXES, LABELS, LOGITS = np.zeros((2, 3, 4)), np.zeros((2, 3), int), np.zeros((2, 5, 4))
TRUE = {"boxes": BOXES, "labels": LABELS}
PRED = {"boxes": np.zeros((2, 5, 4)), "logits": LOGITS}
NOISED = {**PRED, "target": np.zeros((2, 5), int)}
NO_LIST = "y_pred['auxiliary'] must be a list of dicts of boxes and logits"

# y_true, y_pred, and what the error says.
WRONG_SHAPES = {
    "no labels": ({"boxes": BOXES}, PRED, "y_true must be a dict with 'labels', got ['boxes']"),
    "boxes of 5": ({**TRUE, "boxes": np.zeros((2, 3, 5))}, PRED, "boxes must be [B, n, 4]; got shape (2, 3, 5)"),
    "boxes of rank 2": ({**TRUE, "boxes": np.zeros((2, 4))}, PRED, "boxes must be [B, n, 4]; got shape (2, 4)"),
    "a number for boxes": ({**TRUE, "boxes": 1.0}, PRED, "boxes must be [B, n, 4]; got shape ()"),
    "a label too few": (
        {**TRUE, "labels": LABELS[:, :2]},
        PRED,
        "labels must be [B, n], one for each box; got shape (2, 2), expected (2, 3)",
    ),
    "labels of one-hot": (
        {**TRUE, "labels": np.zeros((2, 3, 4))},
        PRED,
        "labels must be [B, n], one for each box; got shape (2, 3, 4), expected (2, 3)",
    ),
    "packed of 6": (np.zeros((2, 3, 6)), PRED, "packed [B, n, 5], a box and its label; got shape (2, 3, 6)"),
    "packed of rank 2": (np.zeros((2, 5)), PRED, "packed [B, n, 5], a box and its label; got shape (2, 5)"),
    "a tuple": ((BOXES, LABELS), PRED, "must be a dict of boxes [B, n, 4] and labels [B, n], or packed [B, n, 5]"),
    "no truth": (None, PRED, "a box and its label; got NoneType, of which no single tensor can be made"),
    "lists of unequal length": (
        {**TRUE, "boxes": [[[0.5, 0.5, 0.2, 0.2]], []]},
        PRED,
        "y_true's boxes must be a tensor of numbers; got list, of which none can be made: Can't convert non-rectangular",
    ),
    "packed lists of unequal length": (
        [[[0.5, 0.5, 0.2, 0.2, 1]], []],
        PRED,
        "a box and its label; got list, of which no single tensor can be made: Can't convert non-rectangular",
    ),
    "labels of text": ({**TRUE, "labels": [["cat"] * 3] * 2}, PRED, "y_true's labels must be real numbers, got string"),
    "packed text": (np.full((2, 3, 5), "cat"), PRED, "y_true must be real numbers, got string"),
    "ragged labels of text": (
        {**TRUE, "labels": tf.ragged.constant([["cat"] * 3] * 2)},
        PRED,
        "y_true's labels must be real numbers, got string",
    ),
    "ragged predictions": (
        TRUE,
        {**PRED, "logits": tf.RaggedTensor.from_tensor(LOGITS)},
        "y_pred['logits'] must be a tensor, of one shape for all samples; got a RaggedTensor",
    ),
    "packed ragged predictions": (
        TRUE,
        tf.RaggedTensor.from_tensor(np.zeros((2, 5, 8))),
        "y_pred must be a tensor, of one shape for all samples; got a RaggedTensor",
    ),
    "ragged denoising targets": (
        TRUE,
        {**PRED, "denoising": {**NOISED, "target": tf.RaggedTensor.from_tensor(NOISED["target"])}},
        "y_pred['denoising']['target'] must be a tensor, of one shape for all samples; got a RaggedTensor",
    ),
    "predictions as a list": (TRUE, [PRED["boxes"], LOGITS[..., :3]], "y_pred must be a dict of boxes"),
    "predictions as a tuple": (TRUE, (PRED["boxes"], LOGITS), "known number of layers; got a tuple"),
    "no logits": (TRUE, {"boxes": PRED["boxes"]}, "y_pred must be a dict with 'logits', got ['boxes']"),
    "another batch": (TRUE, {**PRED, "boxes": np.zeros((1, 5, 4))}, "got shape (1, 5, 4), expected (2, 5, 4)"),
    "logits of another batch": (
        TRUE,
        {**PRED, "logits": np.zeros((1, 5, 4))},
        "got shape (1, 5, 4), expected (2, 5, 4)",
    ),
    "one class too many": (TRUE, {**PRED, "logits": np.zeros((2, 5, 5))}, "expected (2, 5, 4)"),
    "logits of fewer": (
        TRUE,
        {**PRED, "logits": np.zeros((2, 4, 4))},
        "y_pred['logits'] must be [B, m, 4] with this classification and num_classes; got shape (2, 4, 4), expected (2, 5, 4)",
    ),
    "packed predictions of 9": (
        TRUE,
        np.zeros((2, 5, 9)),
        "must hold 4 box coordinates and 4 logits with this classification and num_classes",
    ),
    "packed predictions of rank 2": (TRUE, np.zeros((2, 8)), "packed [B, m, 4 + channels]"),
    "packed predictions of another batch": (TRUE, np.zeros((3, 5, 8)), "expected (2, 1, 5, 8)"),
    # As for any other wrong form, and in Keras, it is a ValueError, not a TypeError.
    "auxiliary no list": (TRUE, {**PRED, "auxiliary": PRED}, f"{NO_LIST}, got dict"),
    "auxiliary None": (TRUE, {**PRED, "auxiliary": None}, f"{NO_LIST}, got NoneType"),
    "auxiliary a tensor": (TRUE, {**PRED, "auxiliary": LOGITS}, f"{NO_LIST}, got ndarray"),
    "auxiliary of None": (
        TRUE,
        {**PRED, "auxiliary": [None]},
        "['auxiliary'][0] must be a dict with 'boxes', got NoneType",
    ),
    "auxiliary of fewer": (
        TRUE,
        {**PRED, "auxiliary": [{"boxes": np.zeros((2, 4, 4)), "logits": np.zeros((2, 4, 4))}]},
        "y_pred['boxes'] must be [B, m, 4] for the images of y_true, as many in every layer; got shape (2, 5, 4), expected (2, 4, 4)",
    ),
    "auxiliary without logits": (
        TRUE,
        {**PRED, "auxiliary": [PRED, {"boxes": PRED["boxes"]}]},
        "y_pred['auxiliary'][1] must be a dict with 'logits', got ['boxes']",
    ),
    "auxiliary of tensors": (
        TRUE,
        {**PRED, "auxiliary": [LOGITS]},
        "y_pred['auxiliary'][0] must be a dict with 'boxes', got ndarray",
    ),
    "denoising without a target": (
        TRUE,
        {**PRED, "denoising": PRED},
        "y_pred['denoising'] must be a dict with 'target', got ['boxes', 'logits']",
    ),
    "denoising of a layer missing": (
        TRUE,
        {**PRED, "auxiliary": [PRED], "denoising": NOISED},
        "y_pred['auxiliary'][0] must be a dict with 'denoising', got ['boxes', 'logits']",
    ),
    "denoising targets too few": (
        TRUE,
        {**PRED, "denoising": {**NOISED, "target": np.zeros((2, 4), int)}},
        "y_pred['denoising']['target'] must be [B, d], a slot of y_true for each box; got shape (2, 4), expected (2, 5)",
    ),
}


@pytest.mark.parametrize("case", WRONG_SHAPES)
def test_wrong_shapes(case):
    y_true, y_pred, message = WRONG_SHAPES[case]
    loss = DetrLoss(CLASSES)
    for function in [loss, loss.match, loss.components]:
        with pytest.raises(ValueError) as caught:
            function(y_true, y_pred)
        assert message in str(caught.value)


def test_wrong_shapes_that_show_only_when_run():
    loss = DetrLoss(CLASSES)
    three, four = ([tf.TensorSpec([None] * rank, tf.float32)] for rank in (3, 4))
    run = tf.function(loss.call, input_signature=three + three)
    for true, pred, message in [
        ((2, 3, 5), (2, 5, 9), "must hold 4 box coordinates and 4 logits"),
        ((2, 3, 6), (2, 5, 8), r"packed \[B, n, 5\], a box and its label"),
        ((2, 3, 5), (3, 5, 8), "must hold 4 box coordinates and 4 logits"),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            run(np.zeros(true), np.zeros(pred))
    with pytest.raises(ValueError, match=r"known number of layers; got shape \(None, None, None, None\)"):
        tf.function(loss.call, input_signature=three + four).get_concrete_function()


@pytest.mark.parametrize("known", [None, [None] * 3], ids=["unknown rank", "unknown sizes"])
def test_labels_as_a_column_whose_shape_shows_only_when_run(known):
    y_true, y_pred = scene(3, 6)
    loss = DetrLoss(CLASSES, reduction=None)
    run = tf.function(
        lambda labels: loss({**y_true, "labels": labels}, y_pred), input_signature=[tf.TensorSpec(known, tf.int64)]
    )
    want, column = loss(y_true, y_pred), y_true["labels"][..., np.newaxis]
    np.testing.assert_allclose(run(column), want, rtol=1e-5)
    if known is None:
        np.testing.assert_allclose(run(y_true["labels"]), want, rtol=1e-5)
    for labels in [np.repeat(column, 2, axis=2), column[:1]]:
        with pytest.raises(tf.errors.InvalidArgumentError, match="(?s)labels must be .*one for each box"):
            run(labels)


def test_groups_must_divide_the_predictions():
    loss = DetrLoss(CLASSES, groups=2)
    with pytest.raises(ValueError, match="must be a multiple of groups, 2; got 5"):
        loss(TRUE, PRED)
    open_number = [tf.TensorSpec([2, 3, 5]), tf.TensorSpec([2, None, 8])]
    with pytest.raises(tf.errors.InvalidArgumentError, match="the_number_of_predictions_must_be_a_multiple_of_groups"):
        tf.function(loss.call, input_signature=open_number)(np.zeros((2, 3, 5)), np.zeros((2, 5, 8)))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 1), (3, 1)], ids=str)
def test_weights_must_be_of_images(shape):
    with pytest.raises(ValueError, match=r"sample_weight must be a scalar, \[batch\] or \[batch, 1\]"):
        DetrLoss(CLASSES)(TRUE, PRED, np.ones(shape))
    with pytest.raises(ValueError, match="sample_weight must be"):
        DetrLoss(CLASSES).components(TRUE, PRED, np.ones(shape))


def test_nothing_warns_in_a_function_of_ones_own(recwarn, capfd):
    """AutoGraph logs what it cannot convert."""
    y_true, y_pred = scene(3, 6)

    @tf.function
    def run():
        return DetrLoss(CLASSES)(y_true, y_pred)

    run()
    assert "AutoGraph" not in capfd.readouterr().err
    assert not [one for one in recwarn if "hungarian" in str(one.filename)]
