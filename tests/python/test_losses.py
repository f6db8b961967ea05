"""The losses: documented numbers and examples, gradients, bad samples, errors."""

import functools
import itertools
import runpy

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import (
    HungarianLoss,
    assignment_mask,
    compute_euclidean_distance,
    hungarian_loss,
    linear_assignment,
)

INF, NAN = np.inf, np.nan
SEED = 20240608

# The document's example.
TRUE = np.array([[[1.0, 2, 3, 4], [5, 6, 7, 8]]], np.float32)
PRED = np.array([[[1.0, 1, 1, 1], [2, 2, 2, 2]]], np.float32)


def root_mean_squared_error(true, pred):
    return tf.sqrt(tf.reduce_mean((true - pred) ** 2, axis=-1))


def per_sample(loss, y_true, y_pred):
    """A Keras loss before its reduction."""
    return loss.call(tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)).numpy()


def random_sets(*shape, seed=SEED, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def slopes_of(loss, y_true, y_pred):
    """Gradients of the sum over samples, with respect to both arguments, as tensors."""
    y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
    with tf.GradientTape() as tape:
        tape.watch([y_true, y_pred])
        value = tf.reduce_sum(loss(y_true, y_pred))
    return tape.gradient(value, [y_true, y_pred])


def slopes(loss, y_true, y_pred):
    """The same as arrays."""
    return [slope.numpy() for slope in slopes_of(loss, y_true, y_pred)]


# Documented numbers.


def test_distances_of_the_document():
    want = [[3.7416575, 2.449489], [11.224972, 9.273619]]
    np.testing.assert_allclose(compute_euclidean_distance(TRUE, PRED)[0], want, rtol=5e-7)


def test_assignment_of_the_document():
    assert linear_assignment(compute_euclidean_distance(TRUE, PRED)).row_to_col.numpy().tolist() == [[0, 1]]


def test_numbers_of_the_document():
    assert hungarian_loss(TRUE, PRED).shape == (1,)
    assert hungarian_loss(TRUE, PRED)[0].numpy() == pytest.approx(6.50763825, rel=1e-7)
    assert hungarian_loss(TRUE.tolist(), PRED.tolist())[0].numpy() == pytest.approx(6.50763825, rel=1e-7)
    by_elements = hungarian_loss(TRUE, PRED, normalization="elements")
    assert by_elements[0].numpy() == pytest.approx(6.50763825 / 2, rel=1e-7)


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        ({"slice_sizes": [4]}, 12.5),
        ({"slice_sizes": [4], "slice_losses_fn": [root_mean_squared_error]}, 3.25381912),
        ({"slice_sizes": [2, 2], "slice_weights": [1, 2]}, 21.75),
    ],
)
def test_numbers_of_the_class(arguments, want):
    assert HungarianLoss(**arguments)(TRUE, PRED).numpy() == pytest.approx(want, rel=1e-6)
    renamed = {"slices" if name == "slice_sizes" else name: value for name, value in arguments.items()}
    assert HungarianLoss(**renamed)(TRUE, PRED).numpy() == pytest.approx(want, rel=1e-6)
    assert HungarianLoss([4], 0, compute_euclidean_distance, None, None)(TRUE, PRED).numpy() == 12.5


# Documented examples, as written; `model = ...` is a model of the reader's own.

FUNCTION_EXAMPLE = """
from hungarian_loss import hungarian_loss

model = ...

model.compile(
    optimizer='adam',
    loss={"bbox": hungarian_loss},
    loss_weights={"bbox": 1},
)
"""

CLASS_EXAMPLE = """
import tensorflow as tf
from hungarian_loss import HungarianLoss, compute_euclidean_distance

loss = HungarianLoss(
    slices=[4, 10],                        # 4 bbox coords + 10 class logits
    slice_index_to_compute_assignment=0,   # use bbox coords for matching
    compute_cost_matrix_fn=compute_euclidean_distance,
    slice_losses_fn=[
        tf.keras.losses.mse,               # bbox regression loss
        tf.keras.losses.categorical_crossentropy,  # class loss
    ],
    slice_weights=[1.0, 2.0],             # relative weight of each part
)

model.compile(optimizer='adam', loss=loss)
"""


def run_example(text, folder, **names):
    (folder / "example.py").write_text(text, encoding="utf-8")
    runpy.run_path(str(folder / "example.py"), init_globals=names)


def test_the_function_example(tmp_path):
    keras.utils.set_random_seed(SEED)
    image = keras.Input([12])
    boxes = keras.layers.Reshape([3, 4], name="bbox")(keras.layers.Dense(12)(image))
    model = keras.Model(image, {"bbox": boxes})
    run_example(FUNCTION_EXAMPLE.replace("...", "given", 1), tmp_path, given=model)
    x, y = random_sets(16, 12, dtype=np.float32), random_sets(16, 3, 4, seed=1, dtype=np.float32)
    want = oracle.set_loss(y, model.predict(x, verbose=0)["bbox"]).mean()
    assert model.evaluate(x, {"bbox": y}, verbose=0) == pytest.approx(want, rel=1e-5)
    losses = model.fit(x, {"bbox": y}, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def mse(true, pred):
    return ((true - pred) ** 2).mean()


def cross_entropy(true, pred):
    return -(true * np.log(pred / pred.sum())).sum()


def test_the_class_example(tmp_path):
    keras.utils.set_random_seed(SEED)
    image = keras.Input([12])
    objects = keras.layers.Reshape([3, 14])(keras.layers.Dense(3 * 14)(image))
    boxes, classes = objects[:, :, :4], keras.layers.Softmax()(objects[:, :, 4:])
    model = keras.Model(image, keras.layers.Concatenate()([boxes, classes]))
    run_example(CLASS_EXAMPLE, tmp_path, model=model)
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(16, 12)).astype(np.float32)
    y = np.concatenate([rng.normal(size=(16, 3, 4)), np.eye(10)[rng.integers(0, 10, (16, 3))]], -1).astype(np.float32)
    pred = model.predict(x, verbose=0)
    want = oracle.sliced_loss(y, pred, [4, 10], [4, 10], [mse, cross_entropy], [1.0, 2.0]).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(want, rel=1e-5)
    losses = model.fit(x, y, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


# Values.

SIZES = [(3, 3), (2, 5), (5, 2), (1, 4), (4, 1), (0, 3), (3, 0), (0, 0)]


@pytest.mark.parametrize("normalization", ["pairs", "elements"])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_function_against_scipy(n, m, normalization):
    y_true, y_pred = random_sets(6, n, 4), random_sets(6, m, 4, seed=2)
    want = oracle.set_loss(y_true, y_pred, normalization)
    got = hungarian_loss(y_true, y_pred, normalization=normalization)
    assert got.dtype == tf.float64
    np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=f"seed {SEED}")
    single = hungarian_loss(y_true.astype(np.float32), y_pred.astype(np.float32), normalization=normalization)
    assert single.dtype == tf.float32
    np.testing.assert_allclose(single, want, rtol=1e-5, err_msg=f"seed {SEED}")


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_class_against_scipy(n, m):
    y_true, y_pred = random_sets(6, n, 7), random_sets(6, m, 7, seed=2)
    losses = [keras.losses.mean_squared_error, keras.losses.mean_absolute_error, root_mean_squared_error]
    loss = HungarianLoss([2, 4, 1], 1, slice_losses_fn=losses, slice_weights=[0.5, 2, -1.5], dtype="float64")
    by_hand = [mse, lambda true, pred: np.abs(true - pred).mean(), lambda true, pred: np.sqrt(mse(true, pred))]
    want = oracle.sliced_loss(y_true, y_pred, [2, 4, 1], [2, 4, 1], by_hand, [0.5, 2, -1.5], index=1)
    np.testing.assert_allclose(per_sample(loss, y_true, y_pred), want, rtol=1e-12, err_msg=f"seed {SEED}")
    assert loss(y_true, y_pred).dtype == tf.float64
    np.testing.assert_allclose(loss(y_true, y_pred), want.mean(), rtol=1e-12, err_msg=f"seed {SEED}")
    single = HungarianLoss([2, 4, 1], 1, slice_losses_fn=losses, slice_weights=[0.5, 2, -1.5])
    assert single(y_true, y_pred).dtype == tf.float32
    np.testing.assert_allclose(single(y_true, y_pred), want.mean(), rtol=1e-5, err_msg=f"seed {SEED}")


def test_empty_batch():
    assert hungarian_loss(np.zeros((0, 3, 4)), np.zeros((0, 2, 4))).shape == (0,)
    assert per_sample(HungarianLoss([4], dtype="float64"), np.zeros((0, 3, 4)), np.zeros((0, 2, 4))).shape == (0,)


def test_the_order_of_objects_does_not_matter():
    y_true, y_pred = random_sets(8, 5, 4), random_sets(8, 6, 4, seed=2)
    rng = np.random.default_rng(SEED)
    shuffled = y_true[:, rng.permutation(5)], y_pred[:, rng.permutation(6)]
    for loss in [hungarian_loss, functools.partial(per_sample, HungarianLoss([3, 1], dtype="float64"))]:
        np.testing.assert_allclose(loss(y_true, y_pred), loss(*shuffled), rtol=1e-14)


def test_slices_keep_their_order_and_weights():
    y_true, y_pred = random_sets(8, 5, 6), random_sets(8, 6, 6, seed=2)

    def value(order, sizes, index, losses, weights):
        def arrange(objects):
            slices = np.split(objects, [1, 3], axis=-1)
            return np.concatenate([slices[place] for place in order], -1)

        loss = HungarianLoss(
            [sizes[place] for place in order],
            order.index(index),
            slice_losses_fn=[losses[place] for place in order],
            slice_weights=[weights[place] for place in order],
            dtype="float64",
        )
        return per_sample(loss, arrange(y_true), arrange(y_pred))

    losses = [keras.losses.mean_squared_error, keras.losses.mean_absolute_error, root_mean_squared_error]
    straight = value([0, 1, 2], [1, 2, 3], 2, losses, [1.0, 10.0, 100.0])
    np.testing.assert_allclose(value([2, 0, 1], [1, 2, 3], 2, losses, [1.0, 10.0, 100.0]), straight, rtol=1e-13)
    assert not np.allclose(value([0, 1, 2], [1, 2, 3], 2, losses, [10.0, 1.0, 100.0]), straight)
    assert not np.allclose(value([0, 1, 2], [1, 2, 3], 0, losses, [1.0, 10.0, 100.0]), straight)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_are_computed_in_float32(dtype):
    y_true, y_pred = random_sets(6, 4, 4, dtype=np.float32), random_sets(6, 5, 4, seed=2, dtype=np.float32)
    half = tf.cast(y_true, dtype), tf.cast(y_pred, dtype)
    exact = [tf.cast(objects, tf.float32) for objects in half]
    got = hungarian_loss(*half)
    assert got.dtype == tf.float32
    np.testing.assert_array_equal(got, hungarian_loss(*exact))
    np.testing.assert_array_equal(hungarian_loss(exact[0], half[1]), hungarian_loss(*exact))
    loss = HungarianLoss([3, 1], dtype=dtype)
    np.testing.assert_array_equal(per_sample(loss, *half), per_sample(loss, *exact))
    assert per_sample(loss, *half).dtype == np.float32
    for slope, half_type in zip(slopes(hungarian_loss, *half), half, strict=True):
        assert slope.dtype == half_type.dtype and np.isfinite(slope.astype(np.float32)).all() and slope.any()


def test_slice_index_none_gives_the_cost_all_features():
    y_true, y_pred = random_sets(4, 3, 5), random_sets(4, 6, 5, seed=2)
    seen = []

    def detection_cost(true, pred):
        seen.append((true.shape, pred.shape))
        boxes = tf.reduce_sum(tf.abs(true[:, :, None, :4] - pred[:, None, :, :4]), -1)
        return boxes + 5 * tf.abs(true[:, :, None, 4] - pred[:, None, :, 4])

    def by_hand(true, pred):
        return (np.abs(true[:, None] - pred) * [1, 1, 1, 1, 5]).sum(-1)

    loss = HungarianLoss([4, 1], None, detection_cost, dtype="float64")
    want = oracle.sliced_loss(y_true, y_pred, [4, 1], [4, 1], [mse, mse], [1, 1], by_hand, None)
    np.testing.assert_allclose(per_sample(loss, y_true, y_pred), want, rtol=1e-12, err_msg=f"seed {SEED}")
    assert seen == [((4, 3, 5), (4, 6, 5))]
    assert not np.allclose(per_sample(HungarianLoss([4, 1], dtype="float64"), y_true, y_pred), want)


def test_sparse_labels_are_narrower_than_their_logits():
    rng = np.random.default_rng(SEED)
    boxes, labels = rng.normal(size=(4, 3, 4)), rng.integers(0, 10, (4, 3))
    sparse = np.concatenate([boxes, labels[..., np.newaxis]], -1)
    dense = np.concatenate([boxes, np.eye(10)[labels]], -1)
    y_pred = np.concatenate([rng.normal(size=(4, 5, 4)), rng.uniform(0.1, 1, (4, 5, 10))], -1)
    losses = [keras.losses.mean_squared_error, keras.losses.sparse_categorical_crossentropy]
    loss = HungarianLoss([4, (1, 10)], slice_losses_fn=losses, slice_weights=[1, 2], dtype="float64")
    got = per_sample(loss, sparse, y_pred)
    want = oracle.sliced_loss(dense, y_pred, [4, 10], [4, 10], [mse, cross_entropy], [1, 2])
    np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=f"seed {SEED}")
    with pytest.raises(ValueError, match="y_true"):
        loss(dense, y_pred)


@pytest.mark.parametrize(
    "loss", [hungarian_loss, HungarianLoss([3, 1], dtype="float64").call], ids=["function", "class"]
)
@pytest.mark.parametrize("known", [[None, None, 4], [None, None, None], [2, None, 4], None], ids=str)
def test_shapes_known_only_when_run(known, loss):
    traced = tf.function(loss, input_signature=[tf.TensorSpec(known, tf.float64)] * 2)

    @tf.function(input_signature=[tf.TensorSpec(known, tf.float64)] * 2)
    def traced_slope(y_true, y_pred):
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred)
        return tape.gradient(value, y_pred)

    for n, m in SIZES:
        y_true, y_pred = random_sets(2, n, 4), random_sets(2, m, 4, seed=2)
        np.testing.assert_allclose(traced(y_true, y_pred), loss(y_true, y_pred), rtol=1e-14, err_msg=f"{n} and {m}")
        np.testing.assert_allclose(traced_slope(y_true, y_pred), slopes(loss, y_true, y_pred)[1], rtol=1e-14)


# Gradients.


def by_the_op(y_true, y_pred):
    """The same loss through the gradient of the op."""
    pairs = min(y_true.shape[1], y_pred.shape[1])
    return linear_assignment(compute_euclidean_distance(y_true, y_pred)).total_cost / pairs


def by_the_mask(y_true, y_pred):
    """The same loss with a mask over all costs in place of gathered pairs."""
    cost = compute_euclidean_distance(y_true, y_pred)
    mask = assignment_mask(linear_assignment(cost).row_to_col, cost.shape[-1])
    return tf.reduce_sum(tf.where(mask, cost, 0), axis=[1, 2]) / min(cost.shape[1:])


@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 5), (5, 2)])
def test_gradient_against_the_op_and_finite_differences(n, m):
    y_true, y_pred = random_sets(2, n, 3), random_sets(2, m, 3, seed=2)
    got = slopes(hungarian_loss, y_true, y_pred)
    for the_same in (by_the_op, by_the_mask):
        for slope, other in zip(got, slopes(the_same, y_true, y_pred), strict=True):
            np.testing.assert_allclose(slope, other, rtol=1e-12, atol=1e-15, err_msg=f"seed {SEED}")
    wanted = [
        oracle.finite_differences(lambda objects: tf.reduce_sum(hungarian_loss(objects, y_pred)).numpy(), y_true),
        oracle.finite_differences(lambda objects: tf.reduce_sum(hungarian_loss(y_true, objects)).numpy(), y_pred),
    ]
    for slope, want in zip(got, wanted, strict=True):
        np.testing.assert_allclose(slope, want, atol=1e-8, err_msg=f"seed {SEED}")
        assert np.abs(want).max() > 0.05


@pytest.mark.parametrize(("n", "m"), [(3, 5), (5, 2)])
def test_gradient_of_the_class_against_finite_differences(n, m):
    y_true, y_pred = random_sets(2, n, 4), random_sets(2, m, 4, seed=2)
    loss = HungarianLoss(
        [2, 2],
        slice_losses_fn=[root_mean_squared_error, keras.losses.mean_squared_error],
        slice_weights=[1, 3],
        dtype="float64",
    )
    got = slopes(loss.call, y_true, y_pred)
    wanted = [
        oracle.finite_differences(lambda objects: per_sample(loss, objects, y_pred).sum(), y_true),
        oracle.finite_differences(lambda objects: per_sample(loss, y_true, objects).sum(), y_pred),
    ]
    for slope, want in zip(got, wanted, strict=True):
        np.testing.assert_allclose(slope, want, atol=1e-8, err_msg=f"seed {SEED}")
        assert np.abs(want).max() > 0.05


def test_gradient_is_finite_where_objects_coincide():
    y_true = random_sets(2, 3, 4)
    y_pred = y_true[:, ::-1].copy()
    y_pred[1, 0] += 1
    for slope in slopes(compute_euclidean_distance, y_true, y_true):
        assert np.isfinite(slope).all()
    for slope in slopes(hungarian_loss, y_true, y_pred):
        assert np.isfinite(slope).all() and not slope[0].any() and slope[1].any()
    same = slopes(compute_euclidean_distance, y_true[:, :1], y_true[:, :1])
    assert not same[0].any() and not same[1].any()


def test_gradient_through_distances_against_finite_differences():
    a, b = random_sets(2, 3, 4), random_sets(2, 5, 4, seed=2)
    weight = random_sets(2, 3, 5, seed=3)

    def weighted(a, b):
        return weight * compute_euclidean_distance(a, b)

    for place, slope in enumerate(slopes(weighted, a, b)):

        def moved(objects, place=place):
            return tf.reduce_sum(weighted(*((objects, b) if place == 0 else (a, objects)))).numpy()

        np.testing.assert_allclose(slope, oracle.finite_differences(moved, [a, b][place]), atol=1e-8)


@pytest.mark.parametrize("features", [1, 2, 8, 9, 30])
@pytest.mark.parametrize("known", [True, False])
def test_distances_of_few_and_many_features_against_scipy(features, known):
    """A few features, if their number is known, are summed one at a time."""
    a, b = random_sets(2, 3, features), random_sets(2, 4, features, seed=2)
    a[1, 2] = b[1, 3]
    a[0, 1, 0] = NAN
    shape = [None, None, features if known else None]
    run = tf.function(
        lambda a, b: [compute_euclidean_distance(a, b), *slopes_of(compute_euclidean_distance, a, b)],
        input_signature=[tf.TensorSpec(shape, tf.float64)] * 2,
    )
    got, *gradient = (value.numpy() for value in run(a, b))
    want = np.stack([oracle.cdist(*pair) for pair in zip(a, b, strict=True)])
    np.testing.assert_allclose(got, want, rtol=1e-14)
    assert np.isnan(got[0, 1]).all() and got[1, 2, 3] == 0
    steps = a[:, :, None] - b[:, None]
    with np.errstate(invalid="ignore"):
        unit = np.where(got[..., None] == 0, 0, steps / got[..., None])
    np.testing.assert_allclose(gradient[0][1], unit[1].sum(1), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(gradient[1][1], -unit[1].sum(0), rtol=1e-12, atol=1e-15)


def test_distances_of_any_rank_against_scipy_keep_their_digits():
    a, b = random_sets(2, 3, 5, 4), random_sets(2, 3, 6, 4, seed=2)
    got = compute_euclidean_distance(a, b)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(got[index], oracle.cdist(a[index], b[index]), rtol=1e-14)
    np.testing.assert_allclose(compute_euclidean_distance(a[0, 0], b[0, 0]), got[0, 0], rtol=1e-15)
    # |a|^2 + |b|^2 - 2ab would lose all of it.
    near = compute_euclidean_distance([[1000.0, 0.0]], [[1000.0, 0.001]])
    assert near.numpy()[0, 0] == pytest.approx(0.001, rel=1e-6)
    assert np.isnan(compute_euclidean_distance([[NAN]], [[1.0]])).all()


@pytest.mark.parametrize("features", [2, 12])
def test_distances_of_whole_numbers_against_scipy(features):
    rng = np.random.default_rng(SEED)
    a, b = rng.integers(0, 100, (4, features)), rng.integers(0, 100, (5, features))
    want = oracle.cdist(a, b)
    for dtype in [np.int8, np.uint8, np.int32, np.int64]:
        got = compute_euclidean_distance(a.astype(dtype), b.astype(dtype))
        assert got.dtype == tf.float32
        np.testing.assert_allclose(got, want, rtol=1e-6)
        for one in [compute_euclidean_distance(a.astype(dtype), b * 1.0), compute_euclidean_distance(a * 1.0, b)]:
            assert one.dtype == tf.float64
            np.testing.assert_allclose(one, want, rtol=1e-14)
    np.testing.assert_allclose(compute_euclidean_distance(a.tolist(), b.tolist()), want, rtol=1e-6)
    np.testing.assert_allclose(compute_euclidean_distance(a > 50, b > 50), oracle.cdist(a > 50, b > 50), rtol=1e-6)
    for one, other in [("float32", "float64"), ("complex64", "complex64"), ("int32", "complex64")]:
        with pytest.raises(TypeError, match=f"a and b must be of one float type, got {one} and {other}"):
            compute_euclidean_distance(a.astype(one), b.astype(other))


def test_what_has_no_type_of_its_own_takes_the_other():
    """Tracks in NumPy, which is float64 unless told otherwise, beside what a network detects."""
    values = [[3.0, 4.0]]
    for dtype in ["float16", "bfloat16", "float32", "float64"]:
        tensor, array = tf.zeros([1, 2], dtype), np.zeros([1, 2], tf.as_dtype(dtype).as_numpy_dtype)
        for firm, loose in [
            (tensor, np.array(values)),
            (tensor, values),
            (array, values),
            (tf.Variable(tensor), values),
        ]:
            for got in [compute_euclidean_distance(firm, loose), compute_euclidean_distance(loose, firm)]:
                assert got.dtype == dtype and got.numpy().tolist() == [[5.0]]
    for exact in [tf.constant([[0.1]], "float64"), np.array([[0.1]])]:
        assert compute_euclidean_distance([[0.1]], exact).numpy().tolist() == [[0.0]]
    for one, other in [("float32", "float64"), ("float16", "float32"), ("bfloat16", "float16")]:
        with pytest.raises(TypeError, match=f"got {one} and {other}; cast one of them"):
            compute_euclidean_distance(tf.zeros([1, 2], one), tf.zeros([1, 2], other))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("features", [2, 12])
def test_distances_of_half_types_are_computed_in_float32(dtype, features):
    """Where squares of float16 would overflow or be 0; the result is rounded once."""
    for scale in [1e-6, 1.0, 3e3]:
        a, b = (tf.cast(scale * random_sets(3, features, seed=seed), dtype) for seed in (1, 2))
        exact = [tf.cast(one, tf.float64).numpy() for one in (a, b)]
        got = compute_euclidean_distance(a, b)
        assert got.dtype == dtype
        unit, least = float(ml_dtypes.finfo(dtype).eps), float(ml_dtypes.finfo(dtype).smallest_subnormal)
        np.testing.assert_allclose(
            got.numpy().astype(np.float64), oracle.cdist(*exact), rtol=0.51 * unit, atol=0.51 * least
        )
        half, full = (slopes(compute_euclidean_distance, *given) for given in ((a, b), exact))
        for slope, right in zip(half, full, strict=True):
            assert slope.dtype == a.dtype.as_numpy_dtype
            np.testing.assert_allclose(slope.astype(np.float64), right, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("empty", [(0, 3), (3, 0), (0, 0)])
def test_no_object_no_gradient(empty):
    n, m = empty
    for loss in [hungarian_loss, HungarianLoss([4], dtype="float64").call]:
        y_true, y_pred = np.ones((2, n, 4)), np.ones((2, m, 4))
        assert loss(y_true, y_pred).numpy().tolist() == [0, 0]
        got = slopes(loss, y_true, y_pred)
        assert [slope.shape for slope in got] == [(2, n, 4), (2, m, 4)]
        assert not any(slope.any() for slope in got)


def test_objects_without_features():
    """By the formula their distance is 0."""
    for n, m in [(3, 3), (2, 3), (3, 2)]:
        y_true, y_pred = np.ones((2, n, 0)), np.ones((2, m, 0))
        for normalization in ["pairs", "elements"]:
            assert hungarian_loss(y_true, y_pred, normalization=normalization).numpy().tolist() == [0, 0]
        assert [slope.shape for slope in slopes(hungarian_loss, y_true, y_pred)] == [(2, n, 0), (2, m, 0)]
        compiled = tf.function(hungarian_loss, jit_compile=True)
        assert compiled(tf.constant(y_true), tf.constant(y_pred)).numpy().tolist() == [0, 0]


# Bad samples.


@pytest.mark.parametrize("who", ["true", "pred"])
@pytest.mark.parametrize(
    "loss",
    [
        hungarian_loss,
        HungarianLoss([4], dtype="float64").call,
        HungarianLoss([4], slice_losses_fn=[root_mean_squared_error], dtype="float64").call,
    ],
    ids=["function", "mse", "rmse"],
)
def test_nan_stays_in_its_sample(loss, who):
    y_true, y_pred = random_sets(4, 3, 4), random_sets(4, 5, 4, seed=2)
    bad_true, bad_pred = y_true.copy(), y_pred.copy()
    (bad_true if who == "true" else bad_pred)[1, 2, 3] = NAN
    value, alone = loss(bad_true, bad_pred).numpy(), loss(y_true, y_pred).numpy()
    assert np.isnan(value).tolist() == [False, True, False, False]
    np.testing.assert_array_equal(value[[0, 2, 3]], alone[[0, 2, 3]])
    for slope, slope_alone in zip(slopes(loss, bad_true, bad_pred), slopes(loss, y_true, y_pred), strict=True):
        assert (slope[1] == 0).all()
        np.testing.assert_array_equal(slope[[0, 2, 3]], slope_alone[[0, 2, 3]])
        assert slope_alone[1].any()


@pytest.mark.parametrize("bad", [NAN, INF])
def test_what_is_not_matched_reaches_no_trained_weight(bad):
    weight = tf.Variable(2.0, dtype=tf.float64)

    def slice_loss(true, pred):
        return weight * tf.reduce_sum(tf.abs(true - pred), axis=-1)

    def unmatched_loss(pred):
        return weight * tf.reduce_sum(pred**2, axis=-1)

    def slope(loss, y_true, y_pred):
        with tf.GradientTape() as tape:
            value = loss.call(y_true, y_pred)
        return tape.gradient(value, weight).numpy()

    y_true, y_pred = random_sets(3, 2, 4), random_sets(3, 3, 4, seed=2)
    others = [0, 2]
    for who in range(2):
        broken = [y_true.copy(), y_pred.copy()]
        broken[who][1] = bad  # The sample cannot be matched.
        loss = HungarianLoss([4], slice_losses_fn=[slice_loss], unmatched_losses_fn=[unmatched_loss], dtype="float64")
        assert slope(loss, *broken) == pytest.approx(slope(loss, y_true[others], y_pred[others]), rel=1e-12)

    # Nothing finite is left to copy.
    def cosine(true, pred):
        return weight * tf.reduce_sum(true * pred, axis=-1) / (tf.norm(true, axis=-1) * tf.norm(weight * pred, axis=-1))

    loss = HungarianLoss(
        [4], slice_losses_fn=[cosine], unmatched_losses_fn=[lambda pred: cosine(pred, pred)], dtype="float64"
    )
    for batch in (1, 3):
        assert slope(loss, np.full((batch, 2, 4), bad), y_pred[:batch]) == 0
        assert slope(loss, y_true[:batch], np.full((batch, 3, 4), bad)) == 0

    # Beyond the limit, in the second slice: the first object has no partner.
    y_true[1, 0, 0] = 1e3
    loss = HungarianLoss([2, 2], slice_losses_fn=["mse", slice_loss], cost_limit=100.0, dtype="float64")
    want = slope(loss, y_true, y_pred)
    y_true[1, 0, 2:] = bad
    assert slope(loss, y_true, y_pred) == pytest.approx(want, rel=1e-12)


def test_a_sample_that_cannot_be_matched_is_infinite():
    y_true, y_pred = random_sets(4, 3, 4), random_sets(4, 5, 4, seed=2)
    blocked = np.zeros((4, 3, 5))
    blocked[1, 2] = INF  # Row 2 of sample 1 has no partner.
    blocked[3, :, 0] = INF  # Harmless: other columns are left.

    def cost(true, pred):
        return compute_euclidean_distance(true, pred) + blocked

    def free(true, pred):
        return compute_euclidean_distance(true, pred) + np.where(blocked == INF, 1e6, 0)

    loss = HungarianLoss([4], compute_cost_matrix_fn=cost, dtype="float64").call
    alone = HungarianLoss([4], compute_cost_matrix_fn=free, dtype="float64").call
    value = loss(y_true, y_pred).numpy()
    assert value[1] == INF
    np.testing.assert_array_equal(value[[0, 2, 3]], alone(y_true, y_pred).numpy()[[0, 2, 3]])
    for slope, slope_alone in zip(slopes(loss, y_true, y_pred), slopes(alone, y_true, y_pred), strict=True):
        assert (slope[1] == 0).all()
        np.testing.assert_array_equal(slope[[0, 2, 3]], slope_alone[[0, 2, 3]])


# Who exists.


def is_real(objects):
    """Real objects have a last feature that is not negative."""
    return objects[:, :, -1] >= 0


def with_absent(seed, *shape):
    """Random sets of which some objects say that they do not exist; one sample is empty."""
    objects = random_sets(*shape, seed=seed)
    absent = np.random.default_rng(seed).uniform(size=shape[:2]) < 0.4
    absent[0] = True
    objects[:, :, -1] = np.where(absent, -9.0, np.abs(objects[:, :, -1]))
    return objects, ~absent


def test_masks_leave_objects_out():
    y_true, true_exists = with_absent(4, 6, 4, 3)
    y_pred, pred_exists = with_absent(7, 6, 5, 3)
    surplus = pred_exists.sum(1) - true_exists.sum(1)
    assert surplus.min() < 0 < surplus.max()
    pred_exists[0] = True
    y_pred[0, :, -1] = 1
    bad_true = np.where(true_exists[..., np.newaxis], y_true, [[[0, NAN, -9]]])
    for true_mask, pred_mask in [(is_real, is_real), (is_real, None), (None, is_real)]:
        loss = HungarianLoss([2, 1], true_mask_fn=true_mask, pred_mask_fn=pred_mask, dtype="float64").call
        want = [
            oracle.sliced_loss(
                true[np.newaxis, real_true if true_mask else slice(None)],
                pred[np.newaxis, real_pred if pred_mask else slice(None)],
                *([2, 1], [2, 1], [mse, mse], [1, 1]),
            )[0]
            for true, pred, real_true, real_pred in zip(y_true, y_pred, true_exists, pred_exists, strict=True)
        ]
        np.testing.assert_allclose(loss(y_true, y_pred), want, rtol=1e-12, err_msg=f"seeds 4 and 7, {true_mask}")
        if true_mask:
            assert want[0] == 0
            # What is masked may be anything.
            np.testing.assert_array_equal(loss(bad_true, y_pred), loss(y_true, y_pred))
            for slope, clean in zip(slopes(loss, bad_true, y_pred), slopes(loss, y_true, y_pred), strict=True):
                np.testing.assert_array_equal(slope, clean)
            assert not slopes(loss, y_true, y_pred)[0][~true_exists].any()
        if pred_mask:
            assert not slopes(loss, y_true, y_pred)[1][~pred_exists].any()


def test_masks_that_are_not_masks():
    for name in ["true_mask_fn", "pred_mask_fn"]:
        for wrong in [
            lambda objects: objects[:, :, 0],
            lambda objects: objects >= 0,
            lambda objects: objects[0, :, 0] >= 0,
        ]:
            with pytest.raises(ValueError, match=f"{name} must return"):
                HungarianLoss([4], **{name: wrong})(tf.zeros([2, 3, 4]), tf.zeros([2, 5, 4]))


def test_unmatched_predictions_enter_the_mean():
    y_true, true_exists = with_absent(4, 6, 4, 3)
    y_pred, pred_exists = with_absent(7, 6, 5, 3)
    surplus = pred_exists.sum(1) - true_exists.sum(1)
    assert surplus.min() < 0 < surplus.max()

    def alone(pred):
        return tf.reduce_sum(pred**4, -1)

    loss = HungarianLoss(
        [2, 1],
        slice_weights=[1, 3],
        true_mask_fn=is_real,
        pred_mask_fn=is_real,
        unmatched_losses_fn=[alone, None],
        dtype="float64",
    )
    want = []
    for true, pred, real_true, real_pred in zip(y_true, y_pred, true_exists, pred_exists, strict=True):
        true, pred = true[real_true], pred[real_pred]
        rows, cols = oracle.matched_pairs(oracle.cdist(true[:, :2], pred[:, :2]))
        single = np.setdiff1d(np.arange(len(pred)), cols)
        first = [mse(true[row, :2], pred[col, :2]) for row, col in zip(rows, cols, strict=True)]
        first += [(pred[col, :2] ** 4).sum() for col in single]
        second = [mse(true[row, 2:], pred[col, 2:]) for row, col in zip(rows, cols, strict=True)]
        want.append((sum(first) / max(len(first), 1) + 3 * sum(second) / max(len(second), 1)) / 2)
    np.testing.assert_allclose(loss.call(y_true, y_pred), want, rtol=1e-12, err_msg="seeds 4 and 7")
    got = slopes(loss.call, y_true, y_pred)[1]
    moved = oracle.finite_differences(lambda pred: tf.reduce_sum(loss.call(y_true, pred)).numpy(), y_pred)
    np.testing.assert_allclose(got, moved, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("limit", [0.8, 1.6])
def test_a_limit_leaves_far_objects_alone(limit):
    """Against SciPy, with a dummy partner at half the limit for each object."""
    rng = np.random.default_rng(8)
    y_true, y_pred = rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 5, 3))

    def alone(pred):
        return tf.reduce_sum(pred**4, -1)

    loss = HungarianLoss([2, 1], cost_limit=limit, unmatched_losses_fn=[alone, None], dtype="float64")
    want, numbers = [], set()
    for true, pred in zip(y_true, y_pred, strict=True):
        cost = np.full((9, 9), limit / 2)
        cost[:4, :5], cost[4:, 5:] = oracle.cdist(true[:, :2], pred[:, :2]), 0
        pairs = [(row, col) for row, col in zip(*oracle.matched_pairs(cost), strict=True) if row < 4 and col < 5]
        numbers.add(len(pairs))
        single = np.setdiff1d(np.arange(5), [col for _, col in pairs])
        first = [mse(true[row, :2], pred[col, :2]) for row, col in pairs] + [
            (pred[col, :2] ** 4).sum() for col in single
        ]
        second = [mse(true[row, 2:], pred[col, 2:]) for row, col in pairs]
        want.append((sum(first) / max(len(first), 1) + sum(second) / max(len(second), 1)) / 2)
    assert len(numbers) > 1 and max(numbers) < 5
    np.testing.assert_allclose(loss.call(y_true, y_pred), want, rtol=1e-12)
    got = slopes(loss.call, y_true, y_pred)[1]
    moved = oracle.finite_differences(lambda pred: tf.reduce_sum(loss.call(y_true, pred)).numpy(), y_pred)
    np.testing.assert_allclose(got, moved, rtol=1e-6, atol=1e-7)
    assert HungarianLoss([3], cost_limit=np.inf).cost_limit is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_limit_that_is_a_variable_is_followed(dtype):
    limit = tf.Variable(1.0)
    loss = HungarianLoss([1], cost_limit=limit, dtype=dtype)
    assert loss([[[0.0]]], [[[2.0]]]) == 0
    limit.assign(10.0)
    assert loss([[[0.0]]], [[[2.0]]]) == 4
    assert loss.get_config()["cost_limit"] == 10


@pytest.mark.parametrize("costs", ["int16", "int64", "bfloat16"])
def test_so_is_one_beside_costs_of_another_type(costs):
    limit = tf.Variable(1.0)
    loss = HungarianLoss(
        [1],
        compute_cost_matrix_fn=lambda true, pred: tf.cast(abs(true - tf.linalg.matrix_transpose(pred)), costs),
        cost_limit=limit,
    )
    assert loss([[[0.0]]], [[[2.0]]]) == 0
    limit.assign(10.0)
    assert loss([[[0.0]]], [[[2.0]]]) == 4


# As Keras calls it.


@pytest.mark.parametrize("shape", [(5,), (5, 1)], ids=str)
def test_sample_weight(shape):
    y_true, y_pred = random_sets(5, 3, 4, dtype=np.float32), random_sets(5, 4, 4, seed=2, dtype=np.float32)
    weight = np.array([1.0, 0.0, 2.0, 0.5, 3.0], np.float32)
    each = oracle.sliced_loss(y_true, y_pred, [4], [4], [mse], [1])
    got = HungarianLoss([4])(y_true, y_pred, sample_weight=weight.reshape(shape))
    assert got.numpy() == pytest.approx((weight * each).mean(), rel=1e-5)

    model = keras.Sequential([keras.Input([4, 4]), keras.layers.Identity()])
    for loss, values in [(hungarian_loss, oracle.set_loss(y_true, y_pred)), (HungarianLoss([4]), each)]:
        model.compile(loss=loss)
        got = model.evaluate(y_pred, y_true, sample_weight=weight.reshape(shape), batch_size=5, verbose=0)
        assert got == pytest.approx((weight * values).mean(), rel=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None])
def test_reductions(reduction):
    y_true, y_pred = random_sets(5, 3, 4, dtype=np.float32), random_sets(5, 4, 4, seed=2, dtype=np.float32)
    weight = np.array([1.0, 0.0, 2.0, 0.5, 3.0], np.float32)
    each = oracle.sliced_loss(y_true, y_pred, [4], [4], [mse], [1])
    weighted = weight * each
    want = {
        "sum_over_batch_size": (each.mean(), weighted.mean()),
        "mean": (each.mean(), weighted.mean()),
        "sum": (each.sum(), weighted.sum()),
        "mean_with_sample_weight": (each.mean(), weighted.sum() / weight.sum()),
    }.get(reduction, (each, weighted))
    loss = HungarianLoss([4], reduction=reduction)
    np.testing.assert_allclose(loss(y_true, y_pred), want[0], rtol=1e-5)
    np.testing.assert_allclose(loss(y_true, y_pred, sample_weight=weight), want[1], rtol=1e-5)


def test_user_functions_are_called_once_a_trace():
    calls = []

    def cost(true, pred):
        calls.append("cost")
        return compute_euclidean_distance(true, pred)

    def each(true, pred):
        calls.append("loss")
        return tf.reduce_mean((true - pred) ** 2, -1)

    loss = HungarianLoss([3, 1], 0, cost, [each, each])
    y_true, y_pred = random_sets(5, 3, 4, dtype=np.float32), random_sets(5, 4, 4, dtype=np.float32)
    loss(y_true, y_pred)
    assert calls == ["cost", "loss", "loss"]
    calls.clear()
    traced = tf.function(lambda y_true, y_pred: loss(y_true, y_pred))
    for _ in range(3):
        traced(y_true, y_pred)
    assert calls == ["cost", "loss", "loss"]


def test_user_functions_get_what_was_promised():
    y_true, y_pred = random_sets(5, 3, 4), random_sets(5, 6, 4, seed=2)
    seen = []

    def cost(true, pred):
        seen.append((true.shape, pred.shape))
        return compute_euclidean_distance(true, pred)

    def each(true, pred):
        seen.append((true.shape, pred.shape))
        return tf.reduce_mean((true - pred) ** 2, -1)

    per_sample(HungarianLoss([3, 1], 0, cost, [each, each], dtype="float64"), y_true, y_pred)
    assert seen == [((5, 3, 3), (5, 6, 3)), ((5, 3, 3), (5, 3, 3)), ((5, 3, 1), (5, 3, 1))]


def test_a_cost_function_has_no_gradient():
    y_true, y_pred = random_sets(2, 3, 4), random_sets(2, 3, 4, seed=2)

    def steep(true, pred):
        return 1e6 * compute_euclidean_distance(true, pred)

    got = slopes(HungarianLoss([4], 0, steep, dtype="float64").call, y_true, y_pred)
    want = slopes(HungarianLoss([4], dtype="float64").call, y_true, y_pred)
    np.testing.assert_array_equal(got, want)


# Mistakes.


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "neither slices nor slice_sizes"),
        ({"slice_sizes": None}, TypeError, "neither slices nor slice_sizes"),
        ({"slices": None}, TypeError, "neither slices nor slice_sizes"),
        ({"slice_sizes": []}, ValueError, "slice_sizes"),
        ({"slices": []}, ValueError, "slice"),
        ({"slice_sizes": [4], "slices": [4]}, ValueError, "slices and slice_sizes"),
        ({"slice_sizes": [4, 0]}, ValueError, "size"),
        ({"slice_sizes": [4, -1]}, ValueError, "size"),
        ({"slice_sizes": [4, (1, 0)]}, ValueError, "size"),
        ({"slice_sizes": [2, 2], "slice_index_to_compute_assignment": 2}, ValueError, "slice_index.*got 2"),
        ({"slice_sizes": [2, 2], "slice_index_to_compute_assignment": -1}, ValueError, "slice_index.*got -1"),
        (
            {"slice_sizes": [2, 2], "slice_losses_fn": [keras.losses.mean_squared_error]},
            ValueError,
            "slice_losses_fn.*got 1",
        ),
        ({"slice_sizes": [2, 2], "slice_losses_fn": []}, ValueError, "slice_losses_fn.*got 0"),
        (
            {"slice_sizes": [4], "slice_losses_fn": [keras.losses.mean_squared_error] * 2},
            ValueError,
            "slice_losses_fn.*got 2",
        ),
        ({"slice_sizes": [2, 2], "slice_weights": [1]}, ValueError, "slice_weights.*got 1"),
        ({"slice_sizes": [2, 2], "slice_weights": [1, 2, 3]}, ValueError, "slice_weights.*got 3"),
        ({"slice_sizes": [2, 2], "unmatched_losses_fn": [None]}, ValueError, "unmatched_losses_fn.*got 1"),
        ({"slice_sizes": [4], "cost_limit": "3"}, ValueError, "cost_limit.*got '3'"),
        ({"slice_sizes": [4], "cost_limit": np.nan}, ValueError, "cost_limit.*got nan"),
        ({"slice_sizes": [4], "cost_limit": [1.0]}, ValueError, "cost_limit.*got"),
        ({"slice_sizes": [4], "cost_limit": b"3"}, ValueError, "cost_limit.*got"),
        ({"slice_sizes": [4], "cost_limit": 10**400}, ValueError, "cost_limit.*got 1000"),
        ({"slice_sizes": [4], "reduction": "average"}, ValueError, "reduction"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        HungarianLoss(**arguments)


def traced_and_eager(loss):
    return [loss, tf.function(lambda y_true, y_pred: loss(y_true, y_pred))]


@pytest.mark.parametrize("sizes", [[3], [5], [2, 1], [4, 10], [(4, 3)], [(3, 4)]], ids=str)
def test_sizes_that_do_not_add_up(sizes):
    for loss in traced_and_eager(HungarianLoss(sizes)):
        with pytest.raises(ValueError, match=r"y_(true|pred) has 4 features"):
            loss(tf.constant(TRUE), tf.constant(PRED))
    late = tf.function(HungarianLoss(sizes).call, input_signature=[tf.TensorSpec([None] * 3)] * 2)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        late(TRUE, PRED)


@pytest.mark.parametrize("name", ["sum", "mean", "", None, "Pairs"])
def test_unknown_normalization(name):
    with pytest.raises(ValueError, match="normalization must be one of.*pairs.*elements"):
        hungarian_loss(TRUE, PRED, normalization=name)


def test_ranks_other_than_three():
    for wrong in [TRUE[0], TRUE[np.newaxis], TRUE[0, 0], np.float32(1)]:
        for loss in [*traced_and_eager(hungarian_loss), *traced_and_eager(HungarianLoss([4]).call)]:
            with pytest.raises(ValueError, match="y_true must be.*got shape"):
                loss(tf.constant(wrong), tf.constant(PRED))
            with pytest.raises(ValueError, match="y_pred must be.*got shape"):
                loss(tf.constant(TRUE), tf.constant(wrong))


def test_sets_that_do_not_belong_together():
    for loss in traced_and_eager(hungarian_loss):
        with pytest.raises(ValueError, match="equally many features.*got shapes"):
            loss(tf.constant(TRUE), tf.constant(PRED[:, :, :3]))


@pytest.mark.parametrize("loss", [hungarian_loss, HungarianLoss([4]).call], ids=["function", "class"])
@pytest.mark.parametrize(
    ("true", "pred", "known"),
    [
        *itertools.product([(2, 3, 4)], [(5, 3, 4), (1, 3, 4), (2, 3, 1)], [None, (None,) * 3]),
        *itertools.product([(5, 3, 4), (1, 3, 4), (2, 3, 1)], [(2, 3, 4)], [None, (None,) * 3]),
        ((2, 3, 4), (2, 2, 3, 4), None),
        ((2, 2, 3, 4), (2, 2, 3, 4), None),
        ((3, 4), (3, 4), None),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_found_when_run(true, pred, known, loss):
    sets = tf.ones(true), tf.ones(pred)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        loss(*sets)
    late = tf.function(loss, input_signature=[tf.TensorSpec(known)] * 2)
    # Sets that do belong together pass, so what is refused below is these shapes.
    assert late(tf.ones((2, 3, 4)), tf.ones((2, 3, 4))).shape == (2,)
    with pytest.raises(tf.errors.InvalidArgumentError):
        late(*sets)


WRONG_COSTS = {
    "of one sample": lambda true, pred: tf.zeros([3, 5]),
    "scalar": lambda true, pred: tf.constant(1.0),
    "one per object": lambda true, pred: tf.zeros([2, 3]),
    "turned round": lambda true, pred: tf.zeros([2, 5, 3]),
    "square": lambda true, pred: tf.zeros([2, 3, 3]),
    "too deep": lambda true, pred: tf.zeros([2, 3, 5, 4]),
    "another batch": lambda true, pred: tf.zeros([1, 3, 5]),
}


@pytest.mark.parametrize("wrong", WRONG_COSTS)
def test_a_cost_function_that_returns_another_shape(wrong):
    loss = HungarianLoss([4], compute_cost_matrix_fn=WRONG_COSTS[wrong])
    for call in traced_and_eager(loss):
        with pytest.raises(ValueError, match=r"(?s)compute_cost_matrix_fn must return.*got .*tf\.vectorized_map"):
            call(tf.zeros([2, 3, 4]), tf.zeros([2, 5, 4]))


WRONG_LOSSES = {
    "scalar": lambda true, pred: tf.constant(1.0),
    "one per sample": lambda true, pred: tf.zeros([2]),
    "one per feature": lambda true, pred: (true - pred) ** 2,
    "too many pairs": lambda true, pred: tf.zeros([2, 5]),
    "a pair of one": lambda true, pred: tf.zeros([2, 1]),
}


@pytest.mark.parametrize("wrong", WRONG_LOSSES)
def test_a_slice_loss_that_returns_another_shape(wrong):
    loss = HungarianLoss([4], slice_losses_fn=[WRONG_LOSSES[wrong]])
    for call in traced_and_eager(loss):
        with pytest.raises(ValueError, match=r"(?s)must return.*got .*tf\.vectorized_map"):
            call(tf.zeros([2, 3, 4]), tf.zeros([2, 5, 4]))


def test_a_function_of_one_sample_in_vectorized_map():
    y_true, y_pred = random_sets(5, 3, 4), random_sets(5, 6, 4, seed=2)

    def one_sample(sets):
        true, pred = sets
        return tf.norm(true[:, tf.newaxis] - pred, axis=-1)

    loss = HungarianLoss(
        [4], compute_cost_matrix_fn=lambda true, pred: tf.vectorized_map(one_sample, (true, pred)), dtype="float64"
    )
    want = oracle.sliced_loss(y_true, y_pred, [4], [4], [mse], [1])
    np.testing.assert_allclose(per_sample(loss, y_true, y_pred), want, rtol=1e-12)


class OfFrames(keras.losses.Loss):
    """Calls ``hungarian_loss`` with a batch of its own making: every frame of every video."""

    def call(self, y_true, y_pred):
        frames = [tf.reshape(one, [-1, *one.shape[2:]]) for one in (y_true, y_pred)]
        return tf.reshape(hungarian_loss(*frames), tf.shape(y_pred)[:2])


def test_weights_of_another_batch_are_left_to_its_loss():
    rng = np.random.default_rng(SEED)
    y_true, y_pred = (rng.normal(size=(2, 5, 3, 4)).astype("float32") for _ in range(2))
    each = OfFrames(reduction=None)(y_true, y_pred).numpy()
    for weight in [rng.uniform(size=(2, 5)), rng.uniform(size=(2, 1)), rng.uniform(size=2)]:
        weight = weight.astype("float32")
        want = each * weight.reshape(2, -1)
        got = OfFrames(reduction=None)(y_true, y_pred, sample_weight=weight.reshape(2, -1))
        np.testing.assert_allclose(got, want, rtol=1e-6)


def test_forward_mode_says_that_there_is_none():
    y_true, y_pred = tf.random.normal([2, 3, 4]), tf.random.normal([2, 3, 4])
    forward = tf.autodiff.ForwardAccumulator(y_pred, tf.ones_like(y_pred))
    with forward, pytest.raises(NotImplementedError, match="no forward-mode gradient.*tf.GradientTape"):
        HungarianLoss([4])(y_true, y_pred)
