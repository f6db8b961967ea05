"""The costs and losses of KerasHub's D-FINE and of Keras, against ours: the same numbers, and where a convention differs, how."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_hub.src.models.d_fine import d_fine_loss

import host_costs
from hungarian_loss.detection import (
    DetrLoss,
    box_iou,
    complete_iou,
    focal_class_cost,
    giou_cost,
    l1_cost,
    softmax_class_cost,
)

IMAGES, QUERIES, OBJECTS, CLASSES = 3, 9, 4, 5


def problem(seed=0):
    """y_true, y_pred of DetrLoss, without an empty slot: D-FINE's losses know none."""
    logits, boxes, labels, true_boxes = host_costs.random_images([OBJECTS] * IMAGES, QUERIES, CLASSES, seed)
    y_true = {"boxes": true_boxes.reshape(IMAGES, OBJECTS, 4), "labels": labels.reshape(IMAGES, OBJECTS)}
    return y_true, {"boxes": tf.constant(boxes), "logits": tf.constant(logits)}


def theirs(y_true, y_pred, row_to_col):
    """D-FINE's losses of classes and boxes, unweighted, for a matching that is given; with indices that count through all images."""
    outputs = {"logits": y_pred["logits"], "pred_boxes": y_pred["boxes"]}
    targets = [
        {"labels": tf.constant(y_true["labels"].reshape(-1)), "boxes": tf.constant(y_true["boxes"].reshape(-1, 4))}
    ]
    every = tf.reshape(tf.range(IMAGES * OBJECTS), [IMAGES, OBJECTS])
    indices = row_to_col, every, tf.ones_like(every, tf.bool)
    number = float(IMAGES * OBJECTS)
    losses = d_fine_loss.compute_vfl_loss(outputs, targets, indices, number, CLASSES, 0.25, 2.0)
    return losses | d_fine_loss.compute_box_losses(outputs, targets, indices, number)


# The matcher's α is 0.25 for positives. The varifocal loss knows no positive's α: D-FINE's weighs negatives by that same 0.25, where
# DetrLoss, as RT-DETR's own code, weighs them by 1 − focal_alpha.
LOSS = {"classification": "varifocal", "focal_alpha": 0.75, "iou": "ciou", "box_weight": 1.0, "giou_weight": 1.0}


@pytest.mark.parametrize("seed", range(5))
def test_varifocal_and_box_losses(seed):
    y_true, y_pred = problem(seed)
    loss = DetrLoss(CLASSES, **LOSS)
    want = theirs(y_true, y_pred, loss.match(y_true, y_pred).assignment.row_to_col)
    got = loss.components(y_true, y_pred)
    for ours, name in (("class", "loss_vfl"), ("box", "loss_bbox"), ("giou", "loss_ciou")):
        np.testing.assert_allclose(got[ours], want[name], rtol=1e-5, err_msg=name)


def gradients(terms, y_pred):
    """Of the sum of the terms, by logits and boxes."""
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        total = tf.add_n(terms())
    slopes = tape.gradient(total, y_pred, unconnected_gradients="zero")
    return slopes["logits"].numpy(), slopes["boxes"].numpy()


def test_gradients_of_varifocal_and_l1():
    """The IoU, target and weight of the class term, has no gradient here or there."""
    y_true, y_pred = problem()
    loss = DetrLoss(CLASSES, **LOSS)
    row_to_col = loss.match(y_true, y_pred).assignment.row_to_col

    def ours():
        terms = loss.components(y_true, y_pred)
        return [terms["class"], terms["box"]]

    def host():
        terms = theirs(y_true, y_pred, row_to_col)
        return [terms["loss_vfl"], terms["loss_bbox"]]

    for got, want in zip(gradients(ours, y_pred), gradients(host, y_pred), strict=True):
        assert np.abs(want).max() > 0
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


def test_costs_that_d_fine_matches_by(monkeypatch):
    """What reaches its solver, first image first: queries for rows, and 1e9 behind the objects."""
    y_true, y_pred = problem()
    seen = []

    def watched(cost, num_queries):
        seen.append(np.array(cost))
        return tf.range(num_queries), tf.range(num_queries), tf.ones([num_queries], tf.bool)

    monkeypatch.setattr(d_fine_loss, "hungarian_assignment", watched)
    outputs = {"logits": y_pred["logits"], "pred_boxes": y_pred["boxes"]}
    targets = [{"labels": y_true["labels"].reshape(-1), "boxes": y_true["boxes"].reshape(-1, 4)}]

    class Backbone:
        num_queries = QUERIES

    for focal in (True, False):
        seen.clear()
        options = {**host_costs.D_FINE, "use_focal_loss": focal}
        d_fine_loss.hungarian_matcher(outputs, targets, tf.fill([IMAGES], OBJECTS), **options, backbone=Backbone())
        if focal:
            of_class = focal_class_cost(y_true["labels"], y_pred["logits"], alpha=0.25, gamma=2.0)
        else:
            of_class = softmax_class_cost(y_true["labels"], y_pred["logits"])
        parts = (
            2.0 * of_class,
            5.0 * l1_cost(y_true["boxes"], y_pred["boxes"]),
            2.0 * giou_cost(y_true["boxes"], y_pred["boxes"], iou="ciou"),
        )
        want = tf.linalg.matrix_transpose(tf.add_n(parts))
        assert len(seen) == IMAGES
        np.testing.assert_allclose(np.stack(seen)[:, :, :OBJECTS], want, rtol=1e-5, atol=1e-5)
        assert (np.stack(seen)[:, :, OBJECTS:] == 1e9).all()


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.6, 1.5)])
def test_focal_loss(alpha, gamma):
    """Keras's, which KerasHub's RetinaNet is trained with, is a mean over classes and places; DetrLoss sums, and divides by objects."""
    y_true, y_pred = problem()
    loss = DetrLoss(CLASSES, classification="focal", focal_alpha=alpha, focal_gamma=gamma)
    row_to_col = loss.match(y_true, y_pred).assignment.row_to_col.numpy()
    is_class = np.zeros((IMAGES, QUERIES, CLASSES), np.float32)
    for image in range(IMAGES):
        is_class[image, row_to_col[image], y_true["labels"][image]] = 1
    keras_loss = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=alpha, gamma=gamma, from_logits=True, reduction="sum"
    )
    want = CLASSES * keras_loss(is_class, y_pred["logits"]) / (IMAGES * OBJECTS)
    np.testing.assert_allclose(loss.components(y_true, y_pred)["class"], want, rtol=1e-5)


FORMATS = ["center_xywh", "xyxy", "yxyx", "xywh"]


def boxes_in(box_format, number, seed):
    boxes = np.random.default_rng(seed).uniform(0.1, 0.6, (2, number, 4)).astype(np.float32)
    return keras.utils.bounding_boxes.convert_format(boxes, source="center_xywh", target=box_format).numpy()


@pytest.mark.parametrize("box_format", FORMATS)
def test_box_iou(box_format):
    """Keras divides by the union plus 1e-7, and takes every pair."""
    a, b = boxes_in(box_format, 5, 0), boxes_in(box_format, 7, 1)
    want = keras.utils.bounding_boxes.compute_iou(a, b, bounding_box_format=box_format)
    got = box_iou(a[:, :, np.newaxis], b[:, np.newaxis], box_format=box_format)
    assert np.max(want) > 0.1
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("box_format", FORMATS)
def test_complete_iou(box_format):
    """Keras adds 1e-7 to heights, unions and the diagonal."""
    a, b = boxes_in(box_format, 50, 0), boxes_in(box_format, 50, 1)
    want = keras.utils.bounding_boxes.compute_ciou(a, b, bounding_box_format=box_format)
    np.testing.assert_allclose(complete_iou(a, b, box_format=box_format), want, rtol=1e-4, atol=1e-5)


def test_gradient_of_complete_iou():
    """In the paper α, the weight of the proportions, is a constant to differentiation, and so it is here. In Keras it is not:
    the two gradients differ by v·dα, and are the same where proportions are."""
    a, b = boxes_in("center_xywh", 50, 0), boxes_in("center_xywh", 50, 1)
    # The second box of each pair with the first one's proportions, at twice its size.
    alike = np.concatenate([b[..., :2], 2 * a[..., 2:]], axis=-1)

    def slopes(function, other):
        given = tf.constant(a)
        with tf.GradientTape() as tape:
            tape.watch(given)
            total = tf.reduce_sum(function(given, other))
        return tape.gradient(total, given).numpy()

    def of_keras(one, other):
        return keras.utils.bounding_boxes.compute_ciou(one, other, bounding_box_format="center_xywh")

    np.testing.assert_allclose(slopes(complete_iou, alike), slopes(of_keras, alike), rtol=1e-3, atol=1e-4)
    assert np.abs(slopes(complete_iou, b) - slopes(of_keras, b)).max() > 1e-2
