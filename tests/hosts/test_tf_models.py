"""TF Models' own DETR: its matcher and the adapter, its criterion and DetrLoss."""

import numpy as np
import pytest
import tensorflow as tf
from official.projects.detr.configs import detr
from official.projects.detr.ops import matchers
from official.projects.detr.tasks import detection
from official.vision.ops import box_ops
from scipy.optimize import linear_sum_assignment

import detr_problems
from hungarian_loss.adapters import tf_models
from hungarian_loss.detection import DetrLoss, generalized_iou, giou_cost, l1_cost, softmax_class_cost

QUERIES = 12
COUNTS = [4, 0, 12, 1]


@pytest.fixture
def task():
    return detection.DetectionTask(detr.DetrTask())


@pytest.fixture
def loss():
    """Of DetrLoss's defaults only the format differs."""
    return DetrLoss(detr_problems.CLASSES, box_format="center_yxhw")


def cost_of(task, problems):
    outputs, labels = problems.for_tf_models()
    return task._compute_cost(*outputs.values(), *labels.values())


def total_and_gradients(criterion, problems):
    """The scalars that a criterion returns; and the gradient of the first, the total, by logits and boxes."""

    @tf.function
    def run(logits, boxes):
        with tf.GradientTape() as tape:
            tape.watch([logits, boxes])
            values = criterion(problems._replace(logits=logits, boxes=boxes))
        return values, tape.gradient(values[0], [logits, boxes])

    values, gradients = run(problems.logits, problems.boxes)
    return [value.numpy() for value in values], [gradient.numpy() for gradient in gradients]


def wrong(costs, mask):
    """How many matchings are none, or cost more than SciPy's."""
    count = 0
    for cost, chosen in zip(np.asarray(costs, np.float64), mask, strict=True):
        perfect = (chosen.sum(axis=0) == 1).all() and (chosen.sum(axis=1) == 1).all()
        count += not perfect or cost[chosen].sum() > cost[linear_sum_assignment(cost)].sum() + 1e-4
    return count


def test_own_matcher_and_ours_are_right(task):
    """Its test for zeros is exact, and yet none of these is wrong: slow is all that it is."""
    costs = cost_of(task, detr_problems.draw([4] * 200, QUERIES))
    theirs, ours = matchers.hungarian_matching(costs), tf_models.hungarian_matching(costs)
    for theirs_part, ours_part in zip(theirs, ours, strict=True):
        assert (theirs_part.dtype, theirs_part.shape) == (ours_part.dtype, ours_part.shape)
    print(f"\nwrong: {wrong(costs, theirs[1].numpy())} of {len(costs)}")
    assert wrong(costs, theirs[1].numpy()) == 0
    assert wrong(costs, ours[1].numpy()) == 0
    # What comes with the mask: never negative, and 0 where matched.
    for weights, mask in (theirs, ours):
        assert (weights.numpy() >= 0).all()
        assert (weights.numpy()[mask.numpy()] == 0).all()


def test_where_only_one_matching_is_optimal_it_is_the_same():
    costs = tf.constant(np.random.default_rng(0).uniform(size=(50, QUERIES, QUERIES)), tf.float32)
    np.testing.assert_array_equal(tf_models.hungarian_matching(costs)[1], matchers.hungarian_matching(costs)[1])


def test_criterion_with_the_adapter(task, monkeypatch):
    """The same losses and gradients as before."""
    problems = detr_problems.draw(COUNTS, QUERIES)
    theirs = total_and_gradients(lambda given: task.build_losses(*given.for_tf_models()), problems)
    called = []

    def watched(costs):
        called.append(costs.shape)
        return tf_models.hungarian_matching(costs)

    monkeypatch.setattr(matchers, "hungarian_matching", watched)
    ours = total_and_gradients(lambda given: task.build_losses(*given.for_tf_models()), problems)
    assert called == [(len(COUNTS), QUERIES, QUERIES)]
    for theirs_part, ours_part in zip(theirs[0] + theirs[1], ours[0] + ours[1], strict=True):
        np.testing.assert_allclose(ours_part, theirs_part, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("counts", [COUNTS, [0, 0], [3], [12, 12, 12]], ids=str)
def test_detr_loss_has_the_same_terms_and_gradients(task, loss, counts):
    """Total, class, box, IoU. With no object at all both divide 0 by something."""
    problems = detr_problems.draw(counts, QUERIES)

    def ours(given):
        total, terms = loss.with_components(*given.for_detr_loss())
        return total, terms["class"], terms["box"], terms["giou"]

    got = total_and_gradients(ours, problems)
    want = total_and_gradients(lambda given: task.build_losses(*given.for_tf_models()), problems)
    for got_part, want_part in zip(got[0] + got[1], want[0] + want[1], strict=True):
        np.testing.assert_allclose(got_part, want_part, rtol=1e-5, atol=1e-6)


def test_detr_loss_matches_by_the_same_costs(task, loss):
    """Theirs have queries for rows, and one constant in the columns of empty slots, which DetrLoss does not look at."""
    problems = detr_problems.draw(COUNTS, QUERIES)
    want = tf.linalg.matrix_transpose(cost_of(task, problems)).numpy()
    matching = loss.match(*problems.for_detr_loss())
    is_object = problems.classes.numpy() > 0
    np.testing.assert_allclose(matching.cost.numpy()[is_object], want[is_object], rtol=1e-5, atol=1e-5)
    # And the building blocks add up to it.
    y_true, y_pred = problems.for_detr_loss()
    parts = (
        1.0 * softmax_class_cost(y_true["labels"], y_pred["logits"]),
        5.0 * l1_cost(y_true["boxes"], y_pred["boxes"], box_format="center_yxhw"),
        2.0 * giou_cost(y_true["boxes"], y_pred["boxes"], box_format="center_yxhw"),
    )
    np.testing.assert_allclose(tf.add_n(parts).numpy()[is_object], want[is_object], rtol=1e-5, atol=1e-5)


def test_layers_before_the_last_add_up(task, loss):
    """Theirs: the criterion once for each decoder layer, matched each by itself, and added up with equal weight."""
    layers = [detr_problems.draw(COUNTS, QUERIES)]
    layers += [
        layers[0]._replace(logits=other.logits, boxes=other.boxes)
        for other in (detr_problems.draw(COUNTS, QUERIES, seed) for seed in (1, 2))
    ]
    want = sum(float(task.build_losses(*layer.for_tf_models())[0]) for layer in layers)
    y_true, y_pred = layers[-1].for_detr_loss()
    y_pred["auxiliary"] = [layer.for_detr_loss()[1] for layer in layers[:-1]]
    np.testing.assert_allclose(loss(y_true, y_pred), want, rtol=1e-5)


def test_generalized_iou(task):
    """Theirs adds 1e-8 to the union and the hull, so that an empty box has IoU 0; and takes every pair."""
    random = np.random.default_rng(0)
    a, b = (random.uniform(0.1, 0.6, (2, number, 4)).astype(np.float32) for number in (5, 7))
    want = box_ops.bbox_generalized_overlap(box_ops.cycxhw_to_yxyx(a), box_ops.cycxhw_to_yxyx(b))
    got = generalized_iou(a[:, :, np.newaxis], b[:, np.newaxis], box_format="center_yxhw")
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
