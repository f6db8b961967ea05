"""top_detections against a loop in numpy."""

import numpy as np
import pytest
import tensorflow as tf

from hungarian_loss.detection import top_detections


def by_hand(boxes, logits, k, classification):
    """Of one image: a list of (box, label, score), the best first, of equal ones the earlier first."""
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
    boxes, logits = rng.uniform(size=(3, 6, 4)), rng.normal(size=(3, 6, 4)) * 3

    def detect(boxes, logits):
        return top_detections(boxes, logits, k, classification=classification)

    if how != "eager":
        known = [None, None, 4] if how == "open sizes" else [3, 6, 4]
        signature = [tf.TensorSpec(known, tf.float64)] * 2
        detect = tf.function(detect, input_signature=signature, jit_compile=how == "XLA")
    found = detect(boxes, logits)
    number = min(k, 6 if classification == "softmax" else 24)
    assert found.boxes.shape == (3, number, 4) and found.labels.shape == found.scores.shape == (3, number)
    assert found.labels.dtype == tf.int64 and found.scores.dtype == tf.float64
    for image in range(3):
        want = by_hand(boxes[image], logits[image], k, classification)
        np.testing.assert_array_equal(found.boxes[image], [box for box, _, _ in want])
        np.testing.assert_array_equal(found.labels[image], [label for _, label, _ in want])
        np.testing.assert_allclose(found.scores[image], [score for _, _, score in want], rtol=1e-12)


def test_no_object_is_no_class():
    # Twice "no object" is the likeliest. What is left is the likelier class, with its own probability.
    logits = np.log([[0.1, 0.3, 0.6], [0.5, 0.2, 0.3], [0.05, 0.05, 0.9]])
    found = top_detections(np.eye(3, 4), logits)
    np.testing.assert_allclose(found.scores, [0.5, 0.3, 0.05])
    np.testing.assert_array_equal(found.labels, [0, 1, 0])
    np.testing.assert_array_equal(found.boxes, np.eye(3, 4)[[1, 0, 2]])


def test_a_prediction_may_show_several_classes():
    found = top_detections(np.eye(2, 4), [[3.0, 2.0], [-1.0, 2.5]], 3, classification="focal")
    np.testing.assert_array_equal(found.labels, [0, 1, 1])
    np.testing.assert_array_equal(found.boxes, np.eye(2, 4)[[0, 1, 0]])


@pytest.mark.parametrize("classification", ["softmax", "focal"])
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)], ids=str)
def test_what_leads_and_what_is_half(classification, leading):
    rng = np.random.default_rng(5)
    boxes, logits = rng.uniform(size=(*leading, 5, 4)), rng.normal(size=(*leading, 5, 3)).astype(np.float16)
    found = top_detections(tf.cast(boxes, tf.float16), logits, 2, classification=classification)
    assert found.boxes.dtype == tf.float16 and found.scores.dtype == tf.float32
    wide = top_detections(boxes, logits.astype(np.float32), 2, classification=classification)
    assert found.boxes.shape == (*leading, 2, 4)
    np.testing.assert_array_equal(found.labels, wide.labels)
    np.testing.assert_array_equal(found.scores, wide.scores)
    np.testing.assert_array_equal(found.boxes, tf.cast(wide.boxes, tf.float16))


def test_no_predictions():
    found = top_detections(np.zeros([2, 0, 4]), np.zeros([2, 0, 3]), 5)
    assert found.boxes.shape == (2, 0, 4) and found.labels.shape == found.scores.shape == (2, 0)


@pytest.mark.parametrize(
    ("boxes", "logits", "options", "message"),
    [
        ([2, 3, 4], [2, 3, 3], {"k": 0}, "k must be a whole number, 1 or more, got 0"),
        ([2, 3, 4], [2, 3, 3], {"k": 2.0}, "k must be a whole number"),
        ([2, 3, 4], [2, 3, 3], {"classification": "softmin"}, "classification must be one of"),
        ([2, 3, 5], [2, 3, 3], {}, r"boxes must be \[..., m, 4\]; got shape \(2, 3, 5\)"),
        ([2, 3, 4], [2, 4, 3], {}, r"logits must be \[..., m, channels\].*got shape \(2, 4, 3\)"),
        ([3, 4], [2, 3, 3], {}, r"logits must be.*got shape \(2, 3, 3\)"),
        ([4], [3], {}, r"boxes must be \[..., m, 4\].*got shape \(4,\)"),
    ],
)
def test_mistakes(boxes, logits, options, message):
    with pytest.raises(ValueError, match=message):
        top_detections(tf.zeros(boxes), tf.zeros(logits), **options)


def test_sizes_that_disagree_when_run():
    detect = tf.function(
        top_detections, input_signature=[tf.TensorSpec([None, None, 4]), tf.TensorSpec([None, None, 3])]
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="logits must be"):
        detect(tf.zeros([2, 3, 4]), tf.zeros([2, 4, 3]))
