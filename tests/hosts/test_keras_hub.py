"""KerasHub's own D-FINE: what its matcher and its losses get wrong, and that the adapter puts it right."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_hub.src.models.d_fine import d_fine_layers, d_fine_loss, d_fine_object_detector
from scipy.optimize import linear_sum_assignment

import host_costs
import tiny_d_fine
from hungarian_loss.adapters import keras_hub as exact

QUERIES, OBJECTS, IMAGES = 12, 4, 34


@pytest.fixture(autouse=True)
def _switch_off():
    yield
    exact.switch_off()


class Backbone:
    """All that D-FINE's own matcher wants of one."""

    num_queries = QUERIES


def run(matcher, images, counts, jit_compile=True):
    """row_indices, col_indices, valid_masks of one of the matchers, as NumPy arrays."""

    @tf.function(jit_compile=jit_compile)
    def match(logits, boxes, labels, true_boxes):
        outputs, targets = {"logits": logits, "pred_boxes": boxes}, [{"labels": labels, "boxes": true_boxes}]
        return matcher(outputs, targets, tf.constant(counts), **host_costs.D_FINE, backbone=Backbone())

    return [part.numpy() for part in match(*map(tf.convert_to_tensor, images))]


def excess(images, counts, answer, offset):
    """By how much each image's matching costs more than SciPy's, in float64; +inf where it is no matching at all.

    ``offset``: whether column indices count through all images.
    """
    logits, boxes, labels, true_boxes = images
    first = np.cumsum([0, *counts])
    excesses = []
    for image, (rows, cols, valid) in enumerate(zip(*answer, strict=True)):
        own = slice(first[image], first[image + 1])
        cost = host_costs.d_fine(logits[image], boxes[image], labels[own], true_boxes[own], host_costs.D_FINE)
        rows, cols = rows[valid], cols[valid] - offset * first[image]
        if len(rows) != min(cost.shape) or len(set(rows)) != len(rows) or sorted(set(cols)) != sorted(cols):
            excesses.append(np.inf)
        else:
            excesses.append(cost[rows, cols].sum() - cost[linear_sum_assignment(cost)].sum())
    return np.array(excesses)


def test_own_matcher_is_wrong_and_ours_is_not():
    """The host: one image at a time padded from 4 to 12 columns with 1e9."""
    counts = [OBJECTS] * IMAGES
    images = host_costs.random_images(counts, QUERIES)
    theirs = excess(images, counts, run(d_fine_loss.hungarian_matcher, images, counts), offset=False)
    ours = excess(images, counts, run(exact.hungarian_matcher, images, counts), offset=True)
    print(f"\nwrong: {(theirs > 1e-4).sum()} of {IMAGES}, by {np.median(theirs):.2f} in the median")
    assert (theirs > 1e-4).all()
    assert (ours < 1e-4).all()


def test_the_padding_is_why():
    """With nothing to pad it is right: as many objects as queries."""
    counts = [QUERIES] * 4
    images = host_costs.random_images(counts, QUERIES)
    theirs = run(d_fine_loss.hungarian_matcher, images, counts)
    assert (excess(images, counts, theirs, offset=False) < 1e-4).all()
    # And where only one matching is optimal, it is the same.
    rows, cols, valid = run(exact.hungarian_matcher, images, counts)
    assert valid.all()
    by_query = np.argsort(rows, axis=1)
    np.testing.assert_array_equal(np.take_along_axis(cols, by_query, axis=1) - 12 * np.arange(4)[:, None], theirs[1])


def perfect(first_query):
    """Two images of two objects each, found exactly: by the queries ``first_query`` and the next, with no doubt."""
    random = np.random.default_rng(0)
    labels, true_boxes = np.array([[0, 1], [2, 2]]), random.uniform(0.3, 0.6, (2, 2, 4)).astype(np.float32)
    boxes = random.uniform(0.3, 0.6, (2, QUERIES, 4)).astype(np.float32)
    boxes[:, first_query : first_query + 2] = true_boxes
    logits = np.full((2, QUERIES, 3), -20, np.float32)
    for image in range(2):
        for k in range(2):
            logits[image, first_query + k, labels[image, k]] = 20
    return logits, boxes, labels.reshape(-1).astype(np.int32), true_boxes.reshape(-1, 4)


def losses(images, indices):
    """The host's losses of boxes and classes."""
    outputs = {"logits": tf.constant(images[0]), "pred_boxes": tf.constant(images[1])}
    targets = [{"labels": tf.constant(images[2]), "boxes": tf.constant(images[3])}]
    indices = tuple(map(tf.constant, indices))
    values = d_fine_loss.compute_box_losses(outputs, targets, indices, 4.0)
    values |= d_fine_loss.compute_vfl_loss(outputs, targets, indices, 4.0, 3, 0.25, 2.0)
    return {name: float(value) for name, value in values.items()}


def by_query(first_query):
    """The only optimal matching of :func:`perfect`, as the host's own matcher writes it: a place for each query."""
    rows = np.tile(np.arange(QUERIES, dtype=np.int32), (2, 1))
    cols, valid = np.zeros_like(rows), np.zeros(rows.shape, bool)
    cols[:, first_query + 1], valid[:, first_query : first_query + 2] = 1, True
    return rows, cols, valid


def test_own_losses_take_the_first_images_objects_for_all():
    """Their indices lack the image's offset. So predictions without a fault have a loss, but in a batch of one."""
    images = perfect(first_query=3)
    theirs = losses(images, by_query(3))
    assert theirs["loss_bbox"] > 0.1 and theirs["loss_ciou"] > 0.1 and theirs["loss_vfl"] > 0.1
    # The offset alone makes the difference.
    rows, cols, valid = by_query(3)
    cols[1] += 2
    assert max(losses(images, (rows, cols, valid)).values()) < 1e-4
    # Ours has it.
    assert max(losses(images, run(exact.hungarian_matcher, images, [2, 2])).values()) < 1e-4


def test_own_class_loss_overwrites_the_first_query_of_the_first_image():
    """Places without a pair all point at it, and write "no object" there."""
    images = perfect(first_query=0)
    rows, cols, valid = by_query(0)
    cols[1] += 2
    theirs = losses(images, (rows, cols, valid))
    assert theirs["loss_vfl"] > 0.1 and theirs["loss_bbox"] < 1e-4
    assert max(losses(images, run(exact.hungarian_matcher, images, [2, 2])).values()) < 1e-4


def test_own_matcher_gives_an_object_to_several_queries_under_jit():
    """Where a prediction is in no doubt, its cost is infinite."""
    images = perfect(first_query=3)
    _, _, valid = run(d_fine_loss.hungarian_matcher, images, [2, 2])
    assert (valid.sum(axis=1) > 2).all()
    rows, _, valid = run(exact.hungarian_matcher, images, [2, 2])
    assert valid.all() and rows.tolist() == [[3, 4]] * 2


def test_own_denoising_takes_places_among_queries_for_objects():
    """No matter for the adapter: denoising queries are not matched. Two groups of two objects, each first well, then badly
    noised: queries 0, 1, 4 and 5 are to find objects 0, 1, 0 and 1."""
    group = d_fine_layers.DFineContrastiveDenoisingGroupGenerator(
        num_labels=3, num_denoising=4, label_noise_ratio=0.0, box_noise_scale=0.0, seed=0
    )
    boxes, labels = np.random.default_rng(0).uniform(0.3, 0.6, (2, 4)).astype(np.float32), np.array([2, 1], np.int32)
    classes, _, _, meta = group([{"boxes": boxes, "labels": labels}], num_queries=QUERIES)
    rows, cols, valid = (np.array(part)[0] for part in d_fine_loss.get_cdn_matched_indices(meta))
    assert np.array(classes)[0].tolist() == [2, 1] * 4
    assert valid.all()
    assert cols.tolist() == [0, 1, 4, 5]
    assert rows.tolist() == [0, 1, 2, 3]


def test_switching():
    own = d_fine_loss.hungarian_matcher
    assert d_fine_object_detector.hungarian_matcher is own and own is not exact.hungarian_matcher
    exact.switch_off()
    assert d_fine_object_detector.hungarian_matcher is own
    for _ in range(2):
        exact.switch_on()
        assert d_fine_object_detector.hungarian_matcher is exact.hungarian_matcher
        assert d_fine_loss.hungarian_matcher is own
    exact.switch_off()
    assert d_fine_object_detector.hungarian_matcher is own
    with pytest.raises(RuntimeError, match="a step that failed"), exact.exact_matching():
        assert d_fine_object_detector.hungarian_matcher is exact.hungarian_matcher
        raise RuntimeError("a step that failed")
    assert d_fine_object_detector.hungarian_matcher is own
    exact.switch_on()
    with exact.exact_matching():
        pass
    assert d_fine_object_detector.hungarian_matcher is exact.hungarian_matcher


def test_a_step_is_matched_as_by_scipy(monkeypatch):
    """The last decoder layer, the one before it, and the encoder: the same pairs, and so the same loss."""
    pixels, truth = tiny_d_fine.batch(images=3, objects=4)
    detector = tiny_d_fine.build(QUERIES)
    predictions = detector(pixels)

    def scipys(outputs, targets, counts, *_):
        rows = []
        for image, objects in enumerate(np.split(np.arange(12), 3)):
            parts = outputs["logits"][image], outputs["pred_boxes"][image]
            own = targets[0]["labels"].numpy()[objects], targets[0]["boxes"].numpy()[objects]
            cost = host_costs.d_fine(*parts, *own, host_costs.D_FINE)
            rows.append(linear_sum_assignment(cost.T)[1])
        rows = np.stack(rows).astype(np.int32)
        answers.append(rows)
        return rows, np.arange(12, dtype=np.int32).reshape(3, 4), np.ones((3, 4), bool)

    def ours(*arguments):
        answer = exact.hungarian_matcher(*arguments)
        answers.append(answer[0].numpy())
        return answer

    taken = []
    for matcher in (scipys, ours):
        answers: list[np.ndarray] = []
        monkeypatch.setattr(d_fine_object_detector, "hungarian_matcher", matcher)
        loss = detector.compute_loss(pixels, truth, predictions, None)
        taken.append((float(loss), np.stack(answers)))
    assert taken[0][1].shape == (3, 3, 4)
    np.testing.assert_array_equal(taken[1][1], taken[0][1])
    np.testing.assert_allclose(taken[1][0], taken[0][0], rtol=1e-6)


def test_fit_with_jit_and_without():
    """A step of each: the same loss, which is the one that the criterion has by itself; and weights that moved."""
    pixels, truth = tiny_d_fine.batch(images=3, objects=4)
    losses = []
    with exact.exact_matching():
        for jit_compile in (False, True):
            detector = tiny_d_fine.build(QUERIES)
            before = [weight.numpy() for weight in detector.trainable_weights]
            if not losses:
                losses.append(float(detector.compute_loss(pixels, truth, detector(pixels, training=True), None)))
                detector = tiny_d_fine.build(QUERIES)
            detector.compile(optimizer=keras.optimizers.SGD(1e-3), jit_compile=jit_compile)
            losses += detector.fit(pixels, truth, batch_size=3, verbose=0).history["loss"]
            moved = [
                not np.array_equal(old, new.numpy())
                for old, new in zip(before, detector.trainable_weights, strict=True)
            ]
            assert np.mean(moved) > 0.5
    np.testing.assert_allclose(losses, losses[0], rtol=1e-4)
