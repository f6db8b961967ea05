"""HungarianLoss over sets of which some objects do not exist, against numpy that simply leaves them out."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

import oracle
from hungarian_loss import HungarianLoss, compute_euclidean_distance

INF, NAN = np.inf, np.nan
SEED = 20240612
SIZES = [(3, 3), (4, 6), (6, 4), (1, 5), (5, 1), (0, 3), (3, 0)]
register = keras.saving.register_keras_serializable(package="test_variable_sets")


# The reference: one sample at a time, of the objects that exist.


def reference(y_true, y_pred, loss_of, *, exists=(None, None), weights, cost_of, unmatched_of=None):
    """Losses of the samples in float64.

    `loss_of` has a function of one pair (true, pred) for each slice, `unmatched_of` a function of a prediction or None
    for each slice, and `cost_of` is a function of one sample's existing objects. All get objects with all their
    features.
    """
    values = []
    for sample in range(len(y_true)):
        true, pred = y_true[sample], y_pred[sample]
        if exists[0] is not None:
            true = true[exists[0][sample]]
        if exists[1] is not None:
            pred = pred[exists[1][sample]]
        cost = cost_of(true, pred)
        if np.isnan(cost).any() or np.isneginf(cost).any():
            values.append(NAN)
            continue
        try:
            pairs = list(zip(*linear_sum_assignment(cost), strict=True))
        except ValueError:
            values.append(INF)
            continue
        alone = set(range(len(pred))) - {j for _, j in pairs}
        total = 0.0
        for place, (loss, weight) in enumerate(zip(loss_of, weights, strict=True)):
            items = [loss(true[i], pred[j]) for i, j in pairs]
            if unmatched_of is not None and unmatched_of[place] is not None:
                items += [unmatched_of[place](pred[j]) for j in alone]
            total += weight * sum(items) / max(len(items), 1)
        values.append(total / len(loss_of))
    return np.array(values)


# Objects of five features: two of place, two more, and one that says whether they are real (>= 0).


@register
def is_real(objects):
    return objects[:, :, 4] >= 0


@register
def far_from_zero(pred):
    return tf.reduce_sum(tf.abs(pred) ** 3, -1)


@register
def root(pred):
    return tf.sqrt(tf.reduce_sum(pred**2, -1))


@register
def rmse(true, pred):
    return tf.sqrt(tf.reduce_mean((true - pred) ** 2, -1))


SLICES = [2, 2, 1]
WEIGHTS = [1.0, 0.5, 3.0]
LOSS_OF = [
    lambda true, pred: np.sqrt(((true[:2] - pred[:2]) ** 2).mean()),
    lambda true, pred: np.abs(true[2:4] - pred[2:4]).mean(),
    lambda true, pred: ((true[4] - pred[4]) ** 2).mean(),
]
UNMATCHED = {
    "none": (None, None),
    "one": ([None, far_from_zero, None], [None, lambda pred: (np.abs(pred[2:4]) ** 3).sum(), None]),
    "all": (
        [root, far_from_zero, root],
        [
            lambda pred: np.sqrt((pred[:2] ** 2).sum()),
            lambda pred: (np.abs(pred[2:4]) ** 3).sum(),
            lambda pred: np.abs(pred[4]),
        ],
    ),
}


def distances(true, pred):
    return oracle.cdist(true[:, :2], pred[:, :2])


def make_loss(*, unmatched=None, reduction=None, dtype="float64", **options):
    return HungarianLoss(
        SLICES,
        slice_losses_fn=[rmse, keras.losses.mean_absolute_error, keras.losses.mean_squared_error],
        slice_weights=WEIGHTS,
        unmatched_losses_fn=unmatched,
        reduction=reduction,
        dtype=dtype,
        **options,
    )


def sets(n, m, batch=6):
    """Random sets, and which objects are real: sample 0 has no true object, sample 1 no prediction, sample 2 neither, 3
    has all."""
    rng = np.random.default_rng([SEED, n, m])
    objects, exists = [], []
    for size, without in [(n, (0, 2)), (m, (1, 2))]:
        values = rng.normal(size=(batch, size, 5))
        real = rng.uniform(size=(batch, size)) < 0.6
        real[list(without)] = False
        real[3] = True
        values[:, :, 4] = np.where(real, np.abs(values[:, :, 4]), -1 - np.abs(values[:, :, 4]))
        objects.append(values)
        exists.append(real)
    return *objects, *exists


def with_keras_mask(y_pred, mask):
    """Predictions as a Masking layer leaves them."""
    y_pred = tf.identity(y_pred)
    y_pred._keras_mask = tf.constant(mask)
    return y_pred


def slopes(loss, y_true, y_pred, keras_mask=None):
    """Gradients of the sum over samples, with respect to true and predicted objects."""
    y_true, y_pred = tf.constant(y_true), tf.constant(y_pred)
    with tf.GradientTape() as tape:
        tape.watch([y_true, y_pred])
        given = y_pred if keras_mask is None else with_keras_mask(y_pred, keras_mask)
        value = tf.reduce_sum(loss(y_true, given))
    unconnected = tf.UnconnectedGradients.ZERO
    return [slope.numpy() for slope in tape.gradient(value, [y_true, y_pred], unconnected_gradients=unconnected)]


def moved(loss, y_true, y_pred):
    """The same by finite differences of the reference."""
    return [
        differences(lambda objects: loss(objects, y_pred).sum(), y_true),
        differences(lambda objects: loss(y_true, objects).sum(), y_pred),
    ]


def differences(function, at):
    return oracle.finite_differences(function, at) if at.size else np.zeros_like(at)


# Values.

MASKS = {"true": (True, False), "pred": (False, True), "both": (True, True), "none": (False, False)}


@pytest.mark.parametrize("unmatched", UNMATCHED)
@pytest.mark.parametrize("masked", MASKS)
@pytest.mark.parametrize(("n", "m"), SIZES, ids=str)
def test_against_leaving_objects_out(n, m, masked, unmatched):
    y_true, y_pred, true_exists, pred_exists = sets(n, m)
    by_true, by_pred = MASKS[masked]
    functions, unmatched_of = UNMATCHED[unmatched]
    loss = make_loss(
        unmatched=functions, true_mask_fn=is_real if by_true else None, pred_mask_fn=is_real if by_pred else None
    )

    def want(y_true, y_pred):
        exists = true_exists if by_true else None, pred_exists if by_pred else None
        return reference(
            y_true, y_pred, LOSS_OF, exists=exists, weights=WEIGHTS, cost_of=distances, unmatched_of=unmatched_of
        )

    got = loss(y_true, y_pred)
    assert (got.shape, got.dtype) == ((6,), tf.float64)
    np.testing.assert_allclose(got, want(y_true, y_pred), rtol=1e-12, err_msg=f"seed {SEED}")
    for slope, difference in zip(slopes(loss, y_true, y_pred), moved(want, y_true, y_pred), strict=True):
        np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-7, err_msg=f"seed {SEED}")


@pytest.mark.parametrize("unmatched", UNMATCHED)
@pytest.mark.parametrize("with_function", [False, True])
@pytest.mark.parametrize("batch", [6, 5, 1])
def test_a_mask_of_keras(batch, with_function, unmatched):
    # Five predictions: in a batch of five Keras could multiply its mask into the losses unnoticed.
    y_true, y_pred, _, pred_exists = (array[-batch:] for array in sets(4, 5))
    by_keras = np.random.default_rng(SEED).uniform(size=(batch, 5)) < 0.6
    functions, unmatched_of = UNMATCHED[unmatched]
    loss = make_loss(unmatched=functions, pred_mask_fn=is_real if with_function else None)
    exists = None, by_keras & pred_exists if with_function else by_keras

    def want(y_true, y_pred):
        return reference(
            y_true, y_pred, LOSS_OF, exists=exists, weights=WEIGHTS, cost_of=distances, unmatched_of=unmatched_of
        )

    got = loss(y_true, with_keras_mask(y_pred, by_keras))
    np.testing.assert_allclose(got, want(y_true, y_pred), rtol=1e-12, err_msg=f"seed {SEED}")
    for slope, difference in zip(slopes(loss, y_true, y_pred, by_keras), moved(want, y_true, y_pred), strict=True):
        np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-7, err_msg=f"seed {SEED}")
    assert not slopes(loss, y_true, y_pred, by_keras)[1][~exists[1]].any()

    # The weights of samples and the reduction are as without a mask.
    weight = np.arange(1.0, batch + 1)
    reduced = make_loss(
        unmatched=functions, pred_mask_fn=is_real if with_function else None, reduction="sum_over_batch_size"
    )
    for shape in [(batch,), (batch, 1)]:
        value = reduced(y_true, with_keras_mask(y_pred, by_keras), sample_weight=weight.reshape(shape))
        assert value.numpy() == pytest.approx((weight * want(y_true, y_pred)).mean(), rel=1e-12)


def test_samples_without_a_real_pair_are_zero():
    y_true, y_pred, _, pred_exists = sets(4, 5)
    loss = make_loss(true_mask_fn=is_real, pred_mask_fn=is_real)
    value = loss(y_true, y_pred).numpy()
    assert value[:3].tolist() == [0, 0, 0]
    assert (value[3:] > 0).all()
    for slope in slopes(loss, y_true, y_pred):
        assert not slope[:3].any() and slope[3].any()
    # "No object" is still a loss where predictions exist.
    value = make_loss(unmatched=UNMATCHED["all"][0], true_mask_fn=is_real, pred_mask_fn=is_real)(y_true, y_pred).numpy()
    assert value[1:3].tolist() == [0, 0]
    assert pred_exists[0].any() and value[0] > 0


# What is hidden.


@pytest.mark.parametrize("unmatched", UNMATCHED)
@pytest.mark.parametrize("hidden", [NAN, INF, -INF, 1e300, 0.0], ids=str)
def test_hidden_objects_do_not_matter(hidden, unmatched):
    y_true, y_pred, true_exists, pred_exists = sets(4, 6)
    loss = make_loss(unmatched=UNMATCHED[unmatched][0], true_mask_fn=is_real, pred_mask_fn=is_real)
    other_true, other_pred = y_true.copy(), y_pred.copy()
    other_true[:, :, :4][~true_exists] = hidden
    other_pred[:, :, :4][~pred_exists] = hidden
    assert not np.array_equal(other_true, y_true) and not np.array_equal(other_pred, y_pred)
    np.testing.assert_array_equal(loss(other_true, other_pred), loss(y_true, y_pred))
    assert np.isfinite(loss(y_true, y_pred)).all()
    for slope, same in zip(slopes(loss, other_true, other_pred), slopes(loss, y_true, y_pred), strict=True):
        np.testing.assert_array_equal(slope, same)
    true_slope, pred_slope = slopes(loss, other_true, other_pred)
    assert not true_slope[~true_exists].any() and not pred_slope[~pred_exists].any()
    assert true_slope.any() and pred_slope.any()


@pytest.mark.parametrize("hidden", [NAN, INF, 0.0], ids=str)
def test_what_a_mask_of_keras_hides_does_not_matter(hidden):
    y_true, y_pred, _, pred_exists = sets(4, 6)
    loss = make_loss(unmatched=UNMATCHED["all"][0])
    other_pred = y_pred.copy()
    other_pred[~pred_exists] = hidden
    masked = [with_keras_mask(objects, pred_exists) for objects in (other_pred, y_pred)]
    np.testing.assert_array_equal(loss(y_true, masked[0]), loss(y_true, masked[1]))
    other, same = (slopes(loss, y_true, objects, pred_exists) for objects in (other_pred, y_pred))
    for slope, wanted in zip(other, same, strict=True):
        np.testing.assert_array_equal(slope, wanted)


def test_matched_objects_that_coincide_with_hidden_ones():
    """The slope of a root is infinite where two objects coincide: at places that do not count the gradient must not
    become NaN."""
    y_true, y_pred, true_exists, pred_exists = sets(4, 6)
    y_pred[:, :, :4] = np.where(pred_exists[..., np.newaxis], y_pred[:, :, :4], 0)
    y_true[:, :, :4] = np.where(true_exists[..., np.newaxis], y_true[:, :, :4], 0)
    loss = make_loss(unmatched=UNMATCHED["all"][0], true_mask_fn=is_real, pred_mask_fn=is_real)
    for slope in slopes(loss, y_true, y_pred):
        assert np.isfinite(slope).all() and slope.any()


# Unmatched predictions.


@register
def nothing(true, pred):
    return tf.zeros_like(true[:, :, 0])


def test_the_unmatched_loss_reaches_unmatched_predictions_alone():
    y_true, y_pred, _, pred_exists = sets(3, 7)
    loss = HungarianLoss(
        SLICES,
        slice_losses_fn=[nothing] * 3,
        unmatched_losses_fn=[root, None, None],
        true_mask_fn=is_real,
        pred_mask_fn=is_real,
        reduction=None,
        dtype="float64",
    )
    true_slope, pred_slope = slopes(loss, y_true, y_pred)
    assert not true_slope.any()
    assert not pred_slope[:, :, 2:].any()
    alone = pred_exists & (loss.match(y_true, y_pred).assignment.col_to_row.numpy() < 0)
    assert alone.any() and (pred_exists & ~alone).any()
    np.testing.assert_array_equal(pred_slope[:, :, :2].any(-1), alone)
    # A third of (the mean over pairs and unmatched predictions of) the root, whose slope has length 1.
    share = 1 / 3 / np.maximum(pred_exists.sum(1), 1)
    length = np.sqrt((pred_slope**2).sum(-1))
    np.testing.assert_allclose(length, np.where(alone, share[:, np.newaxis], 0), rtol=1e-12)


def test_the_unmatched_loss_is_asked_once_about_all_predictions():
    y_true, y_pred, _, _ = sets(3, 7)
    seen = []

    def see(pred):
        seen.append(pred.shape.as_list())
        return tf.reduce_sum(pred, -1)

    make_loss(unmatched=[see, None, None], true_mask_fn=is_real)(y_true, y_pred)
    assert seen == [[6, 7, 2]]


@pytest.mark.parametrize(
    "wrong",
    [lambda pred: pred, lambda pred: tf.reduce_sum(pred), lambda pred: pred[:, 0, 0], lambda pred: pred[:, :1, 0]],
)
def test_an_unmatched_loss_of_another_shape(wrong):
    loss = make_loss(unmatched=[wrong, None, None])
    for call in [loss, tf.function(loss)]:
        with pytest.raises(ValueError, match=r"(?s)unmatched loss must return.*got .*tf\.vectorized_map"):
            call(tf.zeros([2, 3, 5], tf.float64), tf.zeros([2, 4, 5], tf.float64))


def test_unmatched_losses_of_another_number():
    for functions in [[], [root], [root] * 4]:
        with pytest.raises(
            ValueError, match=f"unmatched_losses_fn must have one entry.*3 slices, got {len(functions)}"
        ):
            make_loss(unmatched=functions)


# Bad samples.


@register
def blocked_distance(true, pred):
    """Distances; a true object of place (7, .) cannot be matched, one of place (8, .) costs minus infinity."""
    cost = compute_euclidean_distance(true, pred)
    cost = tf.where(true[:, :, tf.newaxis, 0] == 7, tf.constant(INF, cost.dtype), cost)
    return tf.where(true[:, :, tf.newaxis, 0] == 8, tf.constant(-INF, cost.dtype), cost)


def blocked_distances(true, pred):
    cost = distances(true, pred)
    cost[true[:, 0] == 7] = INF
    cost[true[:, 0] == 8] = -INF
    return cost


@pytest.mark.parametrize("unmatched", UNMATCHED)
def test_bad_samples_show_and_leave_their_neighbours_alone(unmatched):
    y_true, y_pred, true_exists, pred_exists = sets(4, 6, batch=12)
    for sample in range(4, 12):
        true_exists[sample], pred_exists[sample] = True, True
    y_true[:, :, 4] = np.where(true_exists, 1, -1)
    y_pred[:, :, 4] = np.where(pred_exists, 1, -1)
    bad_true, bad_pred = y_true.copy(), y_pred.copy()
    bad_true[5, 1, 0] = 7
    bad_true[6, 2, 0] = NAN
    bad_pred[7, 3, 1] = NAN
    bad_true[9, 0, 0] = 8
    bad_true[10, 0, 0], bad_true[10, 1, 1] = 7, NAN
    bad_pred[11, :, 0] = NAN
    functions, unmatched_of = UNMATCHED[unmatched]
    loss = make_loss(
        unmatched=functions, compute_cost_matrix_fn=blocked_distance, true_mask_fn=is_real, pred_mask_fn=is_real
    )
    want = reference(
        bad_true,
        bad_pred,
        LOSS_OF,
        exists=(true_exists, pred_exists),
        weights=WEIGHTS,
        cost_of=blocked_distances,
        unmatched_of=unmatched_of,
    )
    bad = [5, 6, 7, 9, 10, 11]
    np.testing.assert_array_equal(want[bad], [INF, NAN, NAN, NAN, NAN, NAN])
    got, alone = loss(bad_true, bad_pred).numpy(), loss(y_true, y_pred).numpy()
    np.testing.assert_allclose(got, want, rtol=1e-12)
    rest = [sample for sample in range(12) if sample not in bad]
    np.testing.assert_array_equal(got[rest], alone[rest])
    for slope, slope_alone in zip(slopes(loss, bad_true, bad_pred), slopes(loss, y_true, y_pred), strict=True):
        assert (slope[bad] == 0).all() and slope_alone[bad].any()
        np.testing.assert_array_equal(slope[rest], slope_alone[rest])
    # Reduced, it shows as well.
    reduced = make_loss(
        unmatched=functions,
        compute_cost_matrix_fn=blocked_distance,
        true_mask_fn=is_real,
        pred_mask_fn=is_real,
        reduction="sum_over_batch_size",
    )
    assert np.isnan(reduced(bad_true, bad_pred))
    assert reduced(bad_true[:6], bad_pred[:6]) == INF


def test_a_bad_feature_that_does_not_enter_the_matching_shows_in_its_sample_alone():
    y_true, y_pred, true_exists, _ = sets(4, 6)
    bad_true = y_true.copy()
    bad_true[3, 2, 2] = NAN  # Of the second slice; matched by the first.
    bad_true[5][~true_exists[5], 2] = NAN
    loss = make_loss(true_mask_fn=is_real)
    got, alone = loss(bad_true, y_pred).numpy(), loss(y_true, y_pred).numpy()
    assert np.isnan(got).tolist() == [False, False, False, True, False, False]
    np.testing.assert_array_equal(got[[0, 1, 2, 4, 5]], alone[[0, 1, 2, 4, 5]])


# A detection transformer: y_true is (box, class) with class -1 for padding; y_pred is (box, logits), the last for "no
# object". Boxes are (center x, center y, width, height).

CLASSES = 4


def corners(boxes):
    return boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2


def generalized_iou(true, pred):
    """[..., 4] twice (broadcast) -> [...]."""
    (true_low, true_high), (pred_low, pred_high) = corners(true), corners(pred)
    shared = tf.maximum(tf.minimum(true_high, pred_high) - tf.maximum(true_low, pred_low), 0)
    hull = tf.maximum(true_high, pred_high) - tf.minimum(true_low, pred_low)
    intersection, enclosing = tf.reduce_prod(shared, -1), tf.reduce_prod(hull, -1)
    union = tf.reduce_prod(true[..., 2:], -1) + tf.reduce_prod(pred[..., 2:], -1) - intersection
    return intersection / union - (enclosing - union) / enclosing


@register
def has_class(objects):
    return objects[:, :, 4] >= 0


@register
def detection_cost(true, pred):
    """Class probability, L1 and generalized IoU, weighted as in DETR: [B, n, 5], [B, m, 4 + C] -> [B, n, m]."""
    label = tf.maximum(tf.cast(true[:, :, 4], tf.int32), 0)
    probability = tf.nn.softmax(pred[:, :, 4:])
    of_label = tf.gather(tf.transpose(probability, [0, 2, 1]), label, batch_dims=1)
    true_boxes, pred_boxes = true[:, :, tf.newaxis, :4], pred[:, tf.newaxis, :, :4]
    apart = tf.reduce_sum(tf.abs(true_boxes - pred_boxes), -1)
    return -of_label + 5 * apart - 2 * generalized_iou(true_boxes, pred_boxes)


@register
def box_loss(true, pred):
    return 5 * tf.reduce_sum(tf.abs(true - pred), -1) + 2 * (1 - generalized_iou(true, pred))


@register
def class_loss(true, pred):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(tf.cast(true[:, :, 0], tf.int32), 0), pred)


@register
def no_object_loss(pred):
    return -0.1 * tf.nn.log_softmax(pred)[:, :, CLASSES - 1]


# The same in numpy, one pair at a time.


def pair_iou(true, pred):
    intersection, enclosing = 1.0, 1.0
    for axis in (0, 1):
        low = [box[axis] - box[axis + 2] / 2 for box in (true, pred)]
        high = [box[axis] + box[axis + 2] / 2 for box in (true, pred)]
        intersection *= max(min(high) - max(low), 0.0)
        enclosing *= max(high) - min(low)
    union = true[2] * true[3] + pred[2] * pred[3] - intersection
    return intersection / union - (enclosing - union) / enclosing


def log_probability(pred, label):
    return pred[4 + label] - np.log(np.exp(pred[4:]).sum())


def pair_cost(true, pred):
    apart = np.abs(true[:4] - pred[:4]).sum()
    return -np.exp(log_probability(pred, int(true[4]))) + 5 * apart - 2 * pair_iou(true, pred)


def detection_costs(true, pred):
    return np.array([[pair_cost(t, p) for p in pred] for t in true]).reshape(len(true), len(pred))


def detection_loss():
    return HungarianLoss(
        slice_sizes=[4, (1, CLASSES)],
        slice_index_to_compute_assignment=None,
        compute_cost_matrix_fn=detection_cost,
        slice_losses_fn=[box_loss, class_loss],
        unmatched_losses_fn=[None, no_object_loss],
        slice_weights=[1.0, 2.0],
        true_mask_fn=has_class,
        reduction=None,
        dtype="float64",
    )


def detection_reference(y_true, y_pred):
    return reference(
        y_true,
        y_pred,
        [
            lambda true, pred: 5 * np.abs(true[:4] - pred[:4]).sum() + 2 * (1 - pair_iou(true, pred)),
            lambda true, pred: -log_probability(pred, int(true[4])),
        ],
        exists=(y_true[:, :, 4] >= 0, None),
        weights=[1.0, 2.0],
        cost_of=detection_costs,
        unmatched_of=[None, lambda pred: -0.1 * log_probability(pred, CLASSES - 1)],
    )


def detections(n, m, batch=5):
    """True boxes with classes, padded with -1 and NaN: none in sample 0, all in sample 1. Predictions with logits."""
    rng = np.random.default_rng([SEED, n, m])
    boxes = [
        np.concatenate([rng.uniform(0.2, 0.8, (batch, size, 2)), rng.uniform(0.1, 0.4, (batch, size, 2))], -1)
        for size in (n, m)
    ]
    exists = rng.uniform(size=(batch, n)) < 0.6
    exists[0], exists[1] = False, True
    label = np.where(exists, rng.integers(0, CLASSES - 1, (batch, n)), -1)[..., np.newaxis]
    y_true = np.concatenate([np.where(exists[..., np.newaxis], boxes[0], NAN), label], -1)
    return y_true, np.concatenate([boxes[1], rng.normal(size=(batch, m, CLASSES))], -1)


@pytest.mark.parametrize(("n", "m"), [(3, 6), (4, 4), (5, 3), (1, 1), (0, 3), (3, 0)], ids=str)
def test_a_detection_transformer(n, m):
    y_true, y_pred = detections(n, m)
    loss, want = detection_loss(), detection_reference(y_true, y_pred)
    np.testing.assert_allclose(loss(y_true, y_pred), want, rtol=1e-11, err_msg=f"seed {SEED}")
    assert np.isfinite(want).all()
    cost = loss.match(y_true, y_pred).cost.numpy()
    for sample, exists in enumerate(y_true[:, :, 4] >= 0):
        shown = detection_costs(y_true[sample, exists], y_pred[sample])
        np.testing.assert_allclose(cost[sample, exists], shown, rtol=1e-11, atol=1e-12)
    got = slopes(loss, y_true, y_pred)[1]
    difference = differences(lambda objects: detection_reference(y_true, objects).sum(), y_pred)
    np.testing.assert_allclose(got, difference, rtol=1e-5, atol=1e-6, err_msg=f"seed {SEED}")
    single = loss.from_config({**loss.get_config(), "dtype": "float32"})
    value = single(y_true.astype(np.float32), y_pred.astype(np.float32))
    assert value.dtype == tf.float32
    np.testing.assert_allclose(value, want, rtol=2e-5, err_msg=f"seed {SEED}")


def test_the_detection_cost_matters():
    """Matched by boxes alone, or without a mask, the loss is another."""
    y_true, y_pred = detections(3, 6)
    shown = np.where(np.isnan(y_true), 0.5, y_true)
    config = detection_loss().get_config()
    by_boxes = HungarianLoss.from_config(
        {**config, "slice_index_to_compute_assignment": 0, "compute_cost_matrix_fn": compute_euclidean_distance}
    )
    unmasked = HungarianLoss.from_config({**config, "true_mask_fn": None})
    value = detection_loss()(shown, y_pred).numpy()
    np.testing.assert_allclose(value, detection_reference(y_true, y_pred), rtol=1e-11)
    assert not np.allclose(by_boxes(shown, y_pred), value)
    assert not np.allclose(unmasked(shown, y_pred), value)


# Shapes known only when run.


@pytest.mark.parametrize("known", [[None, None, "f"], [6, None, "f"], [None, None, None], None], ids=str)
@pytest.mark.parametrize("unmatched", ["none", "all"])
def test_shapes_known_only_when_run(unmatched, known):
    loss = make_loss(unmatched=UNMATCHED[unmatched][0], true_mask_fn=is_real, pred_mask_fn=is_real)
    check_traced(loss, known, [sets(n, m)[:2] for n, m in SIZES], 5, 5)


@pytest.mark.parametrize("known", [[None, None, "f"], [None, None, None], None], ids=str)
def test_detection_of_shapes_known_only_when_run(known):
    check_traced(
        detection_loss(), known, [detections(n, m) for n, m in [(3, 6), (5, 3), (0, 3), (3, 0)]], 5, 4 + CLASSES
    )


def check_traced(loss, known, objects, *features):
    """One trace for all sizes: values and gradients as eagerly."""
    shapes = [known and [size if size != "f" else width for size in known] for width in features]
    traces = []

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float64) for shape in shapes])
    def run(y_true, y_pred):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch([y_true, y_pred])
            value = loss(y_true, y_pred)
        return value, tape.gradient(value, [y_true, y_pred])

    for y_true, y_pred in objects:
        value, got = run(y_true, y_pred)
        note = f"{y_true.shape} and {y_pred.shape}, seed {SEED}"
        np.testing.assert_allclose(value, loss(y_true, y_pred), rtol=1e-13, err_msg=note)
        for slope, eager in zip(got, slopes(loss, y_true, y_pred), strict=True):
            np.testing.assert_allclose(slope, eager, rtol=1e-12, atol=1e-14, err_msg=note)
    assert len(traces) == 1


def test_a_mask_of_keras_in_a_traced_function():
    y_true, y_pred, _, pred_exists = sets(4, 6)
    loss = make_loss(unmatched=UNMATCHED["all"][0])

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None], tf.float64)] * 2 + [tf.TensorSpec([None, None], bool)]
    )
    def run(y_true, y_pred, mask):
        y_pred = tf.identity(y_pred)
        y_pred._keras_mask = mask
        return loss(y_true, y_pred)

    want = loss(y_true, with_keras_mask(y_pred, pred_exists))
    np.testing.assert_allclose(run(y_true, y_pred, pred_exists), want, rtol=1e-13)
    assert not np.allclose(loss(y_true, y_pred), want)


# Saving.


def test_saved_and_loaded_they_are_the_same_loss():
    y_true, y_pred, _, _ = sets(4, 6)
    masked = make_loss(
        unmatched=[root, None, far_from_zero],
        compute_cost_matrix_fn=blocked_distance,
        true_mask_fn=is_real,
        pred_mask_fn=is_real,
    )
    for loss, objects in [(masked, (y_true, y_pred)), (detection_loss(), detections(3, 6))]:
        text = json.dumps(keras.saving.serialize_keras_object(loss))
        again = keras.saving.deserialize_keras_object(json.loads(text))
        assert isinstance(again, HungarianLoss) and again is not loss
        for name in ["unmatched_losses_fn", "true_mask_fn", "pred_mask_fn", "compute_cost_matrix_fn", "slice_sizes"]:
            assert getattr(again, name) == getattr(loss, name), name
        assert again.get_config() == loss.get_config()
        np.testing.assert_array_equal(again(*objects), loss(*objects))
        copy = HungarianLoss.from_config(loss.get_config())
        np.testing.assert_array_equal(copy(*objects), loss(*objects))


def test_arguments_change_the_config():
    """The round trip above would not notice an argument that is neither saved nor used."""
    plain = make_loss().get_config()
    for name, value in [("true_mask_fn", is_real), ("pred_mask_fn", is_real)]:
        config = make_loss(**{name: value}).get_config()
        assert [key for key in plain if plain[key] != config[key]] == [name]
    config = make_loss(unmatched=[root, None, None]).get_config()
    assert [key for key in plain if plain[key] != config[key]] == ["unmatched_losses_fn"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("true_mask_fn", {"true_mask_fn": lambda objects: is_real(objects)}),
        ("pred_mask_fn", {"pred_mask_fn": lambda objects: is_real(objects)}),
        ("unmatched_losses_fn", {"unmatched": [None, lambda pred: root(pred), None]}),
    ],
)
def test_what_cannot_be_found_again_is_saved_with_a_warning(name, options):
    loss = make_loss(**options)
    loss(*sets(3, 4)[:2])
    with pytest.warns(UserWarning, match=rf"{name}.* will not be found again"):
        config = loss.get_config()
    with pytest.raises(ValueError, match=f"{name}.*register_keras_serializable.*custom_objects.*compile=False"):
        HungarianLoss.from_config(config)
