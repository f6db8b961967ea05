"""DetrLoss.detections against a loop in numpy."""

import numpy as np
import pytest
import tensorflow as tf

from hungarian_loss.detection import DetrLoss

CLASSES = 3


def channels(classification):
    return CLASSES + (classification == "softmax")


def by_hand(boxes, logits, k, classification):
    """For one image a list of (box, label, score), the best first; among equal scores the earlier comes first."""
    logits = logits.astype(np.float64)
    found = []
    for box, numbers in zip(boxes, logits, strict=True):
        if classification == "softmax":
            powers = np.exp(numbers - numbers.max())
            scores = powers[:-1] / powers.sum()
            found.append((box, scores.argmax(), scores.max()))
        else:
            found += [(box, label, 1 / (1 + np.exp(-number))) for label, number in enumerate(numbers)]
    return sorted(found, key=lambda one: -one[2])[:k]


@pytest.mark.parametrize("classification", ["softmax", "focal", "varifocal"])
@pytest.mark.parametrize("k", [1, 4, 100])
@pytest.mark.parametrize("how", ["eager", "traced", "open sizes", "XLA"])
def test_against_a_loop(classification, k, how):
    rng = np.random.default_rng([k, len(classification)])
    boxes, logits = rng.uniform(size=(3, 6, 4)), rng.normal(size=(3, 6, channels(classification))) * 3
    loss = DetrLoss(CLASSES, classification=classification, dtype="float64")

    def detect(boxes, logits):
        return loss.detections({"boxes": boxes, "logits": logits}, k)

    if how != "eager":
        known = [None, None] if how == "open sizes" else [3, 6]
        signature = [tf.TensorSpec([*known, size], tf.float64) for size in (4, logits.shape[-1])]
        detect = tf.function(detect, input_signature=signature, jit_compile=how == "XLA")
    found = detect(boxes, logits)
    number = min(k, 6 if classification == "softmax" else 6 * CLASSES)
    assert found.boxes.shape == (3, number, 4) and found.labels.shape == found.scores.shape == (3, number)
    assert found.labels.dtype == tf.int64 and found.scores.dtype == tf.float64
    for image in range(3):
        want = by_hand(boxes[image], logits[image], k, classification)
        np.testing.assert_array_equal(found.boxes[image], [box for box, _, _ in want])
        np.testing.assert_array_equal(found.labels[image], [label for _, label, _ in want])
        np.testing.assert_allclose(found.scores[image], [score for _, _, score in want], rtol=1e-12)


def test_no_object_is_no_class():
    # "No object" is the likeliest twice. There the likelier of the classes counts, with its own probability.
    logits = np.log([[[0.1, 0.3, 0.6], [0.5, 0.2, 0.3], [0.05, 0.05, 0.9]]])
    found = DetrLoss(2).detections({"boxes": np.eye(3, 4)[np.newaxis], "logits": logits})
    np.testing.assert_allclose(found.scores, [[0.5, 0.3, 0.05]], rtol=1e-6)
    np.testing.assert_array_equal(found.labels, [[0, 1, 0]])
    np.testing.assert_array_equal(found.boxes[0], np.eye(3, 4)[[1, 0, 2]])


def test_a_prediction_may_show_several_classes():
    y_pred = {"boxes": np.eye(2, 4)[np.newaxis], "logits": [[[3.0, 2.0], [-1.0, 2.5]]]}
    found = DetrLoss(2, classification="focal").detections(y_pred, 3)
    np.testing.assert_array_equal(found.labels, [[0, 1, 1]])
    np.testing.assert_array_equal(found.boxes[0], np.eye(2, 4)[[0, 1, 0]])


def same(got, want):
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("classification", ["softmax", "focal"])
def test_every_form_that_the_loss_takes(classification):
    """Packed, with layers before the last, denoising and other keys, half precision: the last layer counts."""
    rng = np.random.default_rng(5)
    sizes = 4, channels(classification)
    layers = [tuple(rng.uniform(size=(2, 5, size)).astype(np.float16) for size in sizes) for _ in range(3)]
    loss = DetrLoss(CLASSES, classification=classification)
    *before, last = ({"boxes": boxes, "logits": logits} for boxes, logits in layers)
    want = loss.detections(last, 4)
    assert want.boxes.dtype == want.scores.dtype == tf.float32
    same(loss.detections({**last, "auxiliary": before, "denoising": {}, "other": "x"}, 4), want)
    packed = np.stack([np.concatenate(layer, axis=-1) for layer in layers], axis=1)
    same(loss.detections(packed, 4), want)
    same(loss.detections(packed[:, -1], 4), want)


def test_of_groups_the_first_counts():
    rng = np.random.default_rng(6)
    packed = rng.uniform(size=(2, 6, 4 + CLASSES + 1))
    same(DetrLoss(CLASSES, groups=2).detections(packed), DetrLoss(CLASSES).detections(packed[:, :3]))


def test_what_is_no_number_comes_last():
    """With a NaN among the scores, tf.math.top_k does not sort them."""
    rng = np.random.default_rng(7)
    logits = np.float32([[0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 0, 0], [np.nan] * 3, [3, 0, 0]])
    boxes = np.arange(6, dtype=np.float32)[:, np.newaxis] * np.ones(4, np.float32)
    for _ in range(50):
        order = rng.permutation(6)
        y_pred = {"boxes": boxes[order][np.newaxis], "logits": logits[order][np.newaxis]}
        for loss in [DetrLoss(2), DetrLoss(3, classification="focal")]:
            found = loss.detections(y_pred, 6)
            assert found.boxes[0, :4, 0].numpy().tolist() == [3, 5, 2, 1] and found.scores[0, 0] == max(found.scores[0])
        found = DetrLoss(2).detections(y_pred)
        assert np.isnan(found.scores[0, -1]) and found.boxes[0, -1, 0] == 4


@pytest.mark.parametrize("classification", ["softmax", "focal"])
def test_no_predictions(classification):
    y_pred = {"boxes": np.zeros([2, 0, 4]), "logits": np.zeros([2, 0, channels(classification)])}
    found = DetrLoss(CLASSES, classification=classification).detections(y_pred, 5)
    assert found.boxes.shape == (2, 0, 4) and found.labels.shape == found.scores.shape == (2, 0)


@pytest.mark.parametrize(
    ("y_pred", "k", "message"),
    [
        (np.zeros([2, 3, 8]), 0, "k must be a whole number, 1 or more, got 0"),
        (np.zeros([2, 3, 8]), 2.0, "k must be a whole number"),
        (np.zeros([2, 3, 7]), 1, "packed y_pred must hold 4 box coordinates and 4 logits"),
        (np.zeros([3, 8]), 1, "y_pred must be a dict"),
        ({"boxes": np.zeros([2, 3, 4])}, 1, "y_pred must be a dict with 'logits'"),
        ({"boxes": np.zeros([2, 3, 5]), "logits": np.zeros([2, 3, 4])}, 1, r"\['boxes'\] must be \[B, m, 4\]; got"),
        ({"boxes": np.zeros([3, 4]), "logits": np.zeros([3, 4])}, 1, r"\['boxes'\] must be \[B, m, 4\]; got"),
        ({"boxes": np.zeros([2, 3, 4]), "logits": np.zeros([2, 3, 3])}, 1, r"\['logits'\] must be \[B, m, 4\]"),
        ({"boxes": np.zeros([2, 3, 4]), "logits": np.zeros([2, 5, 4])}, 1, r"\['logits'\] must be \[B, m, 4\]"),
    ],
)
def test_mistakes(y_pred, k, message):
    with pytest.raises(ValueError, match=message):
        DetrLoss(CLASSES).detections(y_pred, k)
