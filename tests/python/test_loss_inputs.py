"""What users pass to the losses: functions of one sample, weights per object, ragged sets, NaN in odd places, wrong
arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

import oracle
from hungarian_loss import HungarianLoss, compute_euclidean_distance, explain, hungarian_loss
from hungarian_loss.recipes import PermutationInvariantLoss

INF, NAN = np.inf, np.nan
SEED = 20240615
MODES = pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
ERRORS = (ValueError, tf.errors.InvalidArgumentError)


def traced(function, mode):
    """The function as it is, in a graph, or compiled by XLA; called with NumPy arrays, so with known shapes."""
    return function if mode == "eager" else tf.function(function, jit_compile=mode == "jit")


def open_shapes(function, mode, features, *more):
    """Traced for any batch of any number of objects."""
    specs = [tf.TensorSpec([None, None, features])] * 2
    return tf.function(function, input_signature=[*specs, *more], jit_compile=mode == "jit")


def random_sets(*shape, seed=0):
    return np.random.default_rng([SEED, seed]).normal(size=shape).astype(np.float32)


def value_and_slopes(loss):
    def run(y_true, y_pred):
        y_true, y_pred = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        with tf.GradientTape() as tape:
            tape.watch([y_true, y_pred])
            value = loss(y_true, y_pred)
        return value, *tape.gradient(value, [y_true, y_pred])

    return run


def mse(true, pred):
    return ((true - pred) ** 2).mean()


# Functions that are not what they should be.


def cost_of_one(true, pred):
    """[n, f], [m, f] -> [n, m], the kind of version 1."""
    return tf.norm(true[:, tf.newaxis] - pred[tf.newaxis], axis=-1)


def cost_of_batch(true, pred):
    return tf.norm(true[:, :, tf.newaxis] - pred[:, tf.newaxis], axis=-1)


@pytest.mark.parametrize("batch", [4, 3], ids=["batch of 4", "batch as large as a set"])
@pytest.mark.parametrize("mode", ["eager", "graph", "jit", "open", "open jit", "fit"])
def test_a_cost_function_of_one_sample(mode, batch):
    y_true, y_pred = random_sets(batch, 3, 2), random_sets(batch, 3, 2, seed=1)
    want = oracle.sliced_loss(y_true, y_pred, [2], [2], [mse], [1])
    for function in [cost_of_one, cost_of_batch]:
        loss = HungarianLoss([2], compute_cost_matrix_fn=function)
        run = traced(loss.call, mode)
        if mode.startswith("open"):
            run = open_shapes(loss.call, mode.removeprefix("open "), 2)
        if mode == "fit":
            model = keras.Sequential([keras.Input([3, 2]), keras.layers.Identity()])
            model.compile(loss=loss)
            want = want.mean()
            run = lambda true, pred, model=model: model.evaluate(pred, true, batch_size=batch, verbose=0)
        if function is cost_of_batch:
            np.testing.assert_allclose(run(y_true, y_pred), want, rtol=1e-5)
        else:
            with pytest.raises(ValueError, match=r"compute_cost_matrix_fn must return.*tf\.vectorized_map"):
                run(y_true, y_pred)


def hidden_shape(function):
    """The same function; what it returns has no shape while tracing."""

    def run(*objects):
        result = function(*objects)
        return tf.reshape(result, tf.concat([tf.shape(result), tf.zeros([0], tf.int32)], axis=0)[: tf.rank(result)])

    return run


WRONG = {
    "cost": (
        "compute_cost_matrix_fn",
        lambda f: f,
        lambda true, pred: tf.transpose(cost_of_batch(true, pred), [0, 2, 1]),
    ),
    "cost of one sample": ("compute_cost_matrix_fn", lambda f: f, lambda true, pred: cost_of_batch(true, pred)[0]),
    "slice loss": ("slice_losses_fn", lambda f: [f], lambda true, pred: tf.reduce_mean((true - pred) ** 2, axis=1)),
    "slice loss of a scalar": ("slice_losses_fn", lambda f: [f], lambda true, pred: tf.reduce_mean((true - pred) ** 2)),
    "unmatched loss": ("unmatched_losses_fn", lambda f: [f], lambda pred: tf.reduce_mean(pred, axis=1)),
    "true mask": ("true_mask_fn", lambda f: f, lambda objects: objects[:, 0] > -9),
    "pred mask": ("pred_mask_fn", lambda f: f, lambda objects: tf.transpose(objects[:, :, 0] > -9)),
}


@pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_shapes_of_functions(wrong, mode):
    """Shapes that show only when run: an error, which without XLA says what design.md promises."""
    argument, wrap, function = WRONG[wrong]
    loss = HungarianLoss([2], **{argument: wrap(hidden_shape(function))})
    run = loss.call if mode == "eager" else open_shapes(loss.call, mode, 2)
    with pytest.raises(ERRORS, match=None if mode == "jit" else rf"{argument}.*must return.*tf\.vectorized_map"):
        run(random_sets(4, 3, 2), random_sets(4, 5, 2))


@pytest.mark.parametrize(
    "argument", ["compute_cost_matrix_fn", "slice_losses_fn", "unmatched_losses_fn", "pred_mask_fn"]
)
def test_a_function_that_returns_nothing(argument):
    def nothing(*_):
        pass

    given = nothing if argument in ("compute_cost_matrix_fn", "pred_mask_fn") else [nothing]
    with pytest.raises(ValueError, match=rf"{argument}.*must return \[B.*got NoneType"):
        HungarianLoss([2], **{argument: given})(random_sets(2, 3, 2), random_sets(2, 3, 2))


# Weights.


@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (1, 3), (2, 3), (3, 1, 1), (2,), (1,)])
@MODES
def test_weights_of_objects_are_refused(shape, mode):
    y_true, y_pred, weight = random_sets(3, 3, 2), random_sets(3, 3, 2, seed=1), np.ones(shape, np.float32)
    loss = HungarianLoss([2])
    with pytest.raises(ValueError, match=r"sample_weight must be a scalar, \[batch\] or \[batch, 1\].*got shape"):
        traced(lambda *arguments: loss(*arguments), mode)(y_true, y_pred, weight)
    if mode != "eager":
        # Of a shape of unknown rank only the number of elements can be checked, one for each sample, as in (3, 1, 1).
        for known in [[None] * len(shape), None] if len(shape) < 3 else [[None] * 3]:
            late = open_shapes(lambda *arguments: loss(*arguments), mode, 2, tf.TensorSpec(known))
            with pytest.raises(ERRORS, match="sample_weight" if mode == "graph" else None):
                late(y_true, y_pred, weight)


@pytest.mark.parametrize("loss", [hungarian_loss, HungarianLoss([2])], ids=["function", "class"])
@pytest.mark.parametrize("batch", [1, 3, 4])
def test_weights_in_fit(loss, batch):
    y_true, y_pred = random_sets(batch, 3, 2), random_sets(batch, 3, 2, seed=1)
    model = keras.Sequential([keras.Input([3, 2]), keras.layers.Identity()])
    model.compile(loss=loss)
    with pytest.raises(ValueError, match=r"sample_weight must be.*\[batch, 1\]"):
        model.evaluate(y_pred, y_true, sample_weight=np.ones((batch, 3)), batch_size=batch, verbose=0)
    values = oracle.set_loss(y_true, y_pred)
    if loss is not hungarian_loss:
        values = oracle.sliced_loss(y_true, y_pred, [2], [2], [mse], [1])
    weight = np.arange(1.0, batch + 1)
    for shape in [(batch,), (batch, 1)]:
        # Traced anew: for weights of two ranks TensorFlow traces once for any, which Keras refuses.
        model.compile(loss=loss)
        got = model.evaluate(y_pred, y_true, sample_weight=weight.reshape(shape), batch_size=batch, verbose=0)
        assert got == pytest.approx((weight * values).mean(), rel=1e-5)


@pytest.mark.parametrize("loss", [hungarian_loss, HungarianLoss([2])], ids=["function", "class"])
@pytest.mark.parametrize("jit_compile", [False, True], ids="jit {}".format)
def test_weights_of_open_shapes_in_fit(loss, jit_compile):
    """What Keras multiplies into the values of a function is checked before it does."""
    y_true, y_pred = random_sets(3, 3, 2), random_sets(3, 3, 2, seed=1)

    def evaluate(weight):
        # A new model each time: for another rank Keras would trace again with an unknown rank, which it cannot handle
        # itself.
        model = keras.Sequential([keras.Input([3, 2]), keras.layers.Identity()])
        model.compile(loss=loss, jit_compile=jit_compile)
        known = tf.TensorSpec([None] * weight.ndim)
        weights = tf.data.Dataset.from_generator(lambda: iter([weight]), output_signature=known)
        sets = tf.data.Dataset.from_tensors((y_pred, y_true))
        return model.evaluate(tf.data.Dataset.zip((sets, weights)).map(lambda sets, w: (*sets, w)), verbose=0)

    for shape in [(3, 3), (1, 3)]:
        with pytest.raises(ERRORS, match=None if jit_compile else "sample_weight must be"):
            evaluate(np.ones(shape, np.float32))


@pytest.mark.parametrize("mode", ["graph", "jit"])
@pytest.mark.parametrize("known", [[None], [None, None], [None, 1], None])
def test_weights_of_open_shapes(known, mode):
    y_true, y_pred, weight = random_sets(3, 3, 2), random_sets(3, 3, 2, seed=1), np.float32([1, 2, 4])
    loss = HungarianLoss([2])
    late = open_shapes(lambda *arguments: loss(*arguments), mode, 2, tf.TensorSpec(known))
    got = late(y_true, y_pred, weight if known in ([None], None) else weight[:, np.newaxis])
    want = (weight * oracle.sliced_loss(y_true, y_pred, [2], [2], [mse], [1])).mean()
    assert got.numpy() == pytest.approx(want, rel=1e-5)


# Samples whose loss is not finite.


def log_loss(true, pred):
    return tf.reduce_sum(-true * tf.math.log(pred), axis=-1)


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 0.0])
@MODES
def test_a_loss_that_is_not_finite_has_no_gradient(mode, bad):
    """In a slice that takes no part in the matching; 0 makes a logarithm infinite. Trained weights stay finite, too."""
    y_true, y_pred = random_sets(4, 3, 4), random_sets(4, 5, 4, seed=1)
    y_true[:, :, 2:], y_pred[:, :, 2:] = np.abs(y_true[:, :, 2:]) + 0.1, np.abs(y_pred[:, :, 2:]) + 0.1
    bad_pred = y_pred.copy()
    bad_pred[1, :, 2] = bad
    weight = tf.Variable(0.5)
    loss = HungarianLoss(
        [2, 2],
        slice_losses_fn=["mse", log_loss],
        unmatched_losses_fn=[None, lambda pred: tf.reduce_sum(tf.math.log(pred), axis=-1)],
        slice_weights=[1.0, weight],
    ).call

    def run(y_true, y_pred):
        with tf.GradientTape() as outer:
            outer.watch(y_pred)
            with tf.GradientTape() as tape:
                tape.watch([y_true, y_pred])
                value = loss(y_true, y_pred)
            slopes = tape.gradient(value, [y_true, y_pred, weight])
        return value, *slopes, outer.gradient(slopes[1], y_pred)

    run = traced(run, mode)
    got = [x.numpy() for x in run(tf.constant(y_true), tf.constant(bad_pred))]
    alone = [x.numpy() for x in run(tf.constant(y_true[[0, 2, 3]]), tf.constant(y_pred[[0, 2, 3]]))]
    assert not np.isfinite(got[0][1])
    for place in [0, 1, 2, 4]:  # The values, both slopes, the second derivative.
        np.testing.assert_allclose(got[place][[0, 2, 3]], alone[place], rtol=1e-5, atol=1e-7)
        assert place == 0 or (got[place][1] == 0).all() and alone[place].any()
    np.testing.assert_allclose(got[3], alone[3], rtol=1e-5)


def test_check_numerics():
    """In a process of its own: what it turns on stays on. Values and gradients of all kinds of traced losses."""
    result = oracle.run_python("""
        import numpy as np, tensorflow as tf
        tf.debugging.enable_check_numerics()
        from hungarian_loss import HungarianLoss, hungarian_loss
        rng = np.random.default_rng(0)
        true, pred = (tf.constant(rng.normal(size=(4, n, 3)), tf.float32) for n in (3, 5))
        real = lambda objects: objects[:, :, 0] > 0
        for loss in [
            hungarian_loss,
            HungarianLoss([2, 1]).call,
            HungarianLoss([2, 1], true_mask_fn=real, pred_mask_fn=real, unmatched_losses_fn=[lambda p: p[:, :, 0], None]).call,
            HungarianLoss([2, 1], compute_cost_matrix_fn=lambda a, b: tf.norm(a[:, :, None] - b[:, None], axis=-1)).call,
        ]:
            @tf.function
            def run(true, pred):
                with tf.GradientTape() as tape:
                    tape.watch([true, pred])
                    value = loss(true, pred)
                return value, tape.gradient(value, [true, pred])
            assert np.isfinite(run(true, pred)[0]).all()
    """)
    assert result.returncode == 0, result.stderr[-3000:]


# What a mask hides.


def is_real(objects):
    return objects[:, :, 2] >= 0


@MODES
def test_functions_never_see_what_is_hidden(mode):
    """-1 is no label, and Keras's cross entropy says so, on the CPU with an error."""
    rng = np.random.default_rng(SEED)
    exists = np.array([[True, True, False], [False, False, True], [False] * 3])
    true = np.concatenate([rng.normal(size=(3, 3, 2)), rng.integers(0, 4, (3, 3, 1))], -1).astype(np.float32)
    pred = np.concatenate([rng.normal(size=(3, 4, 2)), rng.uniform(0.1, 1, (3, 4, 4))], -1).astype(np.float32)
    shown = true.copy()
    true[~exists] = [NAN, NAN, -1]
    loss = HungarianLoss(
        [2, (1, 4)], slice_losses_fn=["mse", keras.losses.sparse_categorical_crossentropy], true_mask_fn=is_real
    ).call

    def entropy(label, probabilities):
        return -np.log(probabilities[int(label[0])] / probabilities.sum())

    want = [
        oracle.sliced_loss(shown[[i]][:, exists[i]], pred[[i]], [2, 1], [2, 4], [mse, entropy], [1, 1])[0]
        for i in range(3)
    ]
    value, true_slope, pred_slope = (x.numpy() for x in traced(value_and_slopes(loss), mode)(true, pred))
    np.testing.assert_allclose(value, want, rtol=1e-5)
    assert np.isfinite(pred_slope).all() and pred_slope[0].any() and not pred_slope[2].any()
    assert not true_slope[~exists].any()


@pytest.mark.parametrize("none", [False, True], ids=["some", "none"])
def test_what_stands_in_a_hidden_place(none):
    """A copy of a real and finite object; zeros where there is none."""
    true, pred = random_sets(2, 3, 3), random_sets(2, 4, 3, seed=1)
    true[:, :, 2] = -1
    if not none:
        true[0, 1] = [NAN, 0, 1]
        true[1, 2] = [5, 6, 1]
    seen = []

    def see(true, pred):
        seen.append(true.numpy())
        return compute_euclidean_distance(true, pred)

    HungarianLoss([3], compute_cost_matrix_fn=see, true_mask_fn=is_real)(true, pred)
    want = np.tile(np.float32([0, 0, 0] if none else [5, 6, 1]), (2, 3, 1))
    if not none:
        want[0, 1] = true[0, 1]
    np.testing.assert_array_equal(seen[0], want)


# Ragged sets.


@pytest.fixture
def ragged():
    """Sets of 2, 0, 3 and 1 true objects, of 4, 2, 2 and 1 predicted ones, as arrays."""
    rng = np.random.default_rng(SEED)
    return [[rng.normal(size=(size, 3)).astype(np.float32) for size in sizes] for sizes in ([2, 0, 3, 1], [4, 2, 2, 1])]


def as_ragged(sets):
    return tf.RaggedTensor.from_row_lengths(np.concatenate(sets), [len(objects) for objects in sets])


RAGGED = {
    "function": (hungarian_loss, lambda true, pred: oracle.set_loss(true[None], pred[None])[0]),
    "elements": (
        lambda true, pred: hungarian_loss(true, pred, normalization="elements"),
        lambda true, pred: oracle.set_loss(true[None], pred[None], "elements")[0],
    ),
    "class": (
        HungarianLoss([2, 1], reduction=None),
        lambda true, pred: oracle.sliced_loss(true[None], pred[None], [2, 1], [2, 1], [mse, mse], [1, 1])[0],
    ),
}


@pytest.mark.parametrize("who", ["true", "both"])
@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("name", RAGGED)
def test_ragged_sets(name, mode, who, ragged):
    loss, alone = RAGGED[name]
    true, pred = ragged if who == "both" else (ragged[0], list(random_sets(4, 3, 3)))
    want = [alone(*sample) for sample in zip(true, pred, strict=True)]
    given = as_ragged(pred) if who == "both" else np.stack(pred)
    np.testing.assert_allclose(traced(loss, mode)(as_ragged(true), given), want, rtol=1e-5)
    # Ragged all the way down, as tf.ragged.constant makes them.
    deep = tf.ragged.constant([objects.tolist() for objects in true], dtype=tf.float32)
    assert deep.ragged_rank == 2
    np.testing.assert_allclose(traced(loss, mode)(deep, given), want, rtol=1e-5)
    if name == "class":
        for other, size in [(given, len(pred[2])), (deep, 3)]:
            for options in [{"loss": loss}, {}]:
                seen = explain(as_ragged(true), other, 2, **options)
                assert len(seen.true_index) == min(3, size) and seen.status == 0


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_ragged_sets_without_an_object_in_the_batch(mode, ragged):
    """As tf.ragged.constant makes them, they do not show how many features an object has."""
    sets, none = random_sets(2, 4, 3), tf.ragged.constant([[], []], ragged_rank=2, dtype=tf.float32)
    losses = [hungarian_loss, HungarianLoss([2, 1], reduction=None), PermutationInvariantLoss("mse", reduction=None)]
    for loss in losses:
        for given in [(none, sets), (sets, none), (none, none)]:
            assert traced(loss, mode)(*given).numpy().tolist() == [0, 0]
    if mode == "graph":
        # As in fit, one function for all batches.
        spec = tf.RaggedTensorSpec([None, None, None], ragged_rank=2)
        late = tf.function(hungarian_loss, input_signature=[spec, tf.TensorSpec([None, None, None])])
        deep = tf.ragged.constant([objects.tolist() for objects in ragged[0][:2]], dtype=tf.float32)
        want = [RAGGED["function"][1](*sample) for sample in zip(ragged[0], sets, strict=False)]
        np.testing.assert_allclose(late(deep, sets), want, rtol=1e-5)
        assert late(none, sets).numpy().tolist() == [0, 0]


@pytest.mark.parametrize("loss", [hungarian_loss, HungarianLoss([3])], ids=["function", "class"])
def test_ragged_targets_in_fit(loss, ragged):
    x = random_sets(4, 5)
    data = tf.data.Dataset.from_generator(
        lambda: zip(x, ragged[0], strict=True),
        output_signature=(tf.TensorSpec([5]), tf.TensorSpec([None, 3])),
    ).ragged_batch(2)
    model = keras.Sequential([keras.Input([5]), keras.layers.Dense(6), keras.layers.Reshape([2, 3])])
    pred = model(x).numpy()
    alone = RAGGED["function"][1]
    if loss is not hungarian_loss:
        alone = lambda true, pred: oracle.sliced_loss(true[None], pred[None], [3], [3], [mse], [1])[0]
    want = np.mean([alone(*sample) for sample in zip(ragged[0], pred, strict=True)])
    # By itself Keras compiles with XLA where there is a GPU.
    model.compile(optimizer="sgd", loss=loss, jit_compile=False)
    assert model.evaluate(data, verbose=0) == pytest.approx(want, rel=1e-5)
    losses = model.fit(data, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.compile(loss=loss, jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="use_padded_batch"):
        model.evaluate(data, verbose=0)


# Sizes that would broadcast.


@pytest.mark.parametrize("function", [None, ["mse", "mse"], [keras.losses.mean_absolute_error] * 2])
def test_unequal_slices_are_not_compared_feature_by_feature(function):
    with pytest.raises(ValueError, match=r"slice_losses_fn\[1\].*1 features of y_true and 3 of y_pred"):
        HungarianLoss([4, (1, 3)], slice_losses_fn=function)
    with pytest.raises(ValueError, match="equally many features, got 1 of y_true and 3 of y_pred"):
        HungarianLoss([(1, 3)], slice_losses_fn=[lambda true, pred: pred[:, :, 0]])
    HungarianLoss([4, (1, 3)], slice_losses_fn=["mse", "sparse_categorical_crossentropy"])


@MODES
@pytest.mark.parametrize("features", [(1, 4), (4, 1), (4, 3), (1, 9)])
def test_distances_of_unequal_features(features, mode):
    a, b = (tf.ones([2, 3, size]) for size in features)
    with pytest.raises(ValueError, match="equally many features, got shapes"):
        traced(compute_euclidean_distance, mode)(a, b)
    if mode != "eager":
        late = open_shapes(compute_euclidean_distance, mode, None)
        np.testing.assert_array_equal(late(a, 2 * a), np.full((2, 3, 3), features[0] ** 0.5, np.float32))
        with pytest.raises(tf.errors.InvalidArgumentError, match="equally_many_features"):
            late(a, b)


# Arguments.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"slice_sizes": 4}, "slice_sizes must be a list of sizes"),
        ({"slices": 4}, "slices must be a list of sizes"),
        ({"slice_sizes": "44"}, "slice_sizes must be a list"),
        ({"slice_sizes": [4.5, 4]}, r"slice_sizes\[0\].*whole number.*4.5"),
        ({"slice_sizes": [4, True]}, r"slice_sizes\[1\].*whole number.*True"),
        ({"slice_sizes": [4, None]}, r"slice_sizes\[1\].*whole number.*None"),
        ({"slice_sizes": [4, (1, 2, 3)]}, r"slice_sizes\[1\].*pair"),
        ({"slice_sizes": [[[1, 2], 3]]}, r"slice_sizes\[0\].*pair"),
        ({"slice_sizes": [4], "slice_index_to_compute_assignment": False}, "slice_index_to_compute.*got False"),
        ({"slice_sizes": [4], "slice_index_to_compute_assignment": 0.0}, "slice_index_to_compute.*got 0.0"),
        ({"slice_sizes": [4], "slice_losses_fn": keras.losses.mean_squared_error}, "slice_losses_fn must be a list"),
        ({"slice_sizes": [4, 4, 4], "slice_losses_fn": "mse"}, "slice_losses_fn must be a list"),
        (
            {"slice_sizes": [4], "slice_losses_fn": [keras.losses.MeanSquaredError()]},
            r"slice_losses_fn\[0\].*write MeanSquaredError\(reduction=None\)",
        ),
        (
            {"slice_sizes": [4], "slice_losses_fn": [keras.losses.MeanSquaredError]},
            r"slice_losses_fn\[0\].*reduction=None",
        ),
        ({"slice_sizes": [4], "slice_losses_fn": ["no such loss"]}, r"slice_losses_fn\[0\].*'no such loss'"),
        ({"slice_sizes": [4], "slice_losses_fn": [None]}, r"slice_losses_fn\[0\] must be a function"),
        ({"slice_sizes": [4], "slice_weights": 2.0}, "slice_weights must be a list"),
        ({"slice_sizes": [4], "slice_weights": [None]}, r"slice_weights\[0\] must be a finite number"),
        ({"slice_sizes": [4], "slice_weights": ["1"]}, r"slice_weights\[0\] must be a finite number"),
        ({"slice_sizes": [4], "slice_weights": [True]}, r"slice_weights\[0\] must be a finite number"),
        ({"slice_sizes": [4], "slice_weights": [NAN]}, r"slice_weights\[0\] must be a finite number"),
        ({"slice_sizes": [4], "slice_weights": [[1.0]]}, r"slice_weights\[0\] must be a finite number"),
        (
            {"slice_sizes": [4], "slice_weights": [tf.Variable([1.0])]},
            r"slice_weights\[0\] must be a finite number or a scalar variable",
        ),
        ({"slice_sizes": [4], "unmatched_losses_fn": tf.abs}, "unmatched_losses_fn must be a list"),
        ({"slice_sizes": [4], "unmatched_losses_fn": ["mse"]}, r"unmatched_losses_fn\[0\] must be a function"),
        ({"slice_sizes": [4], "compute_cost_matrix_fn": None}, "compute_cost_matrix_fn must be a function"),
        ({"slice_sizes": [4], "true_mask_fn": [True]}, "true_mask_fn must be a function"),
        ({"slice_sizes": [4], "pred_mask_fn": "mask"}, "pred_mask_fn must be a function"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        HungarianLoss(**arguments)


@pytest.mark.parametrize(
    "given",
    [
        "mse",
        "MeanSquaredError",
        keras.losses.MeanSquaredError(reduction=None),
        keras.losses.MeanSquaredError(reduction="none"),
    ],
)
def test_slice_losses_by_name_and_as_objects(given):
    y_true, y_pred = random_sets(4, 3, 4), random_sets(4, 5, 4, seed=1)
    loss = HungarianLoss([4], slice_losses_fn=[given], reduction=None)
    want = oracle.sliced_loss(y_true, y_pred, [4], [4], [mse], [1])
    np.testing.assert_allclose(loss(y_true, y_pred), want, rtol=1e-5)
    again = HungarianLoss.from_config(loss.get_config())
    np.testing.assert_array_equal(again(y_true, y_pred), loss(y_true, y_pred))


def test_a_config_of_ones_own_may_leave_out_what_has_a_default():
    again = HungarianLoss.from_config({"slice_sizes": [4]})
    assert again.get_config() == HungarianLoss([4]).get_config()
    again = HungarianLoss.from_config({"slices": [4], "slice_losses_fn": ["mae"], "unmatched_losses_fn": None})
    assert again.get_config() == HungarianLoss([4], slice_losses_fn=["mae"]).get_config()
    again = PermutationInvariantLoss.from_config({"pair_loss": "mae"})
    assert again.get_config() == PermutationInvariantLoss("mae").get_config()
    with pytest.raises(TypeError, match="slice_losses_fn must be a list"):
        HungarianLoss.from_config({"slice_sizes": [4], "slice_losses_fn": "mae"})


@pytest.mark.parametrize("name", ["mse", "MeanSquaredError"])
def test_float64_keeps_all_digits(name):
    """Of Python's numbers, too: weights and limits would be rounded on the way if they became float32 first."""
    y_true, y_pred = (random_sets(4, 3, 4, seed=seed).astype(np.float64) / 3 for seed in (1, 2))
    weights, limit, of_samples = [0.1, 0.7], 1 / 3, [0.1, 0.2, 0.3, 0.4]
    want = oracle.sliced_loss(y_true, y_pred, [2, 2], [2, 2], [mse, mse], weights)
    options = {"slice_losses_fn": [name] * 2, "slice_weights": weights, "reduction": None, "dtype": "float64"}
    loss = HungarianLoss([2, 2], **options)
    for one in [loss, HungarianLoss.from_config(loss.get_config())]:
        np.testing.assert_allclose(one(y_true, y_pred), want, rtol=1e-14)
        np.testing.assert_allclose(one(y_true, y_pred, of_samples), want * of_samples, rtol=1e-14)
    # At exactly the limit a pair is matched, or not, by the last digit.
    limited = HungarianLoss([1], cost_limit=limit, reduction=None, dtype="float64")
    near, far = (np.full((1, 1, 1), np.nextafter(limit, to)) for to in (0, 1))
    assert [limited.match(0 * near, one).assignment.row_to_col.numpy().item() for one in (near, far)] == [0, -1]
    pairs = PermutationInvariantLoss(name, reduction=None, dtype="float64")
    pairs = PermutationInvariantLoss.from_config(pairs.get_config())
    costs = ((y_true[:, :, np.newaxis] - y_pred[:, np.newaxis]) ** 2).mean(axis=-1)
    best = [cost[linear_sum_assignment(cost)].sum() for cost in costs]
    np.testing.assert_allclose(pairs(y_true, y_pred), best, rtol=1e-14)


def test_a_keras_loss_follows_keras_float_type_when_loaded_unless_it_has_another():
    of_keras, of_its_own = (keras.losses.MeanSquaredError(reduction=None, dtype=dtype) for dtype in (None, "float16"))
    config = HungarianLoss([2, 2], slice_losses_fn=[of_keras, of_its_own]).get_config()
    try:
        keras.config.set_floatx("float64")
        again = HungarianLoss.from_config(config)
    finally:
        keras.config.set_floatx("float32")
    assert [one.dtype for one in again.slice_losses_fn] == ["float64", "float16"]


def test_what_is_no_tensor_of_numbers():
    sets = random_sets(2, 4, 3)
    unequal, text = [[[1.0, 2.0, 3.0]], []], [[["a"] * 3]] * 2
    deep = tf.ragged.constant([[[1.0, 2.0, 3.0]], []], ragged_rank=2)
    for loss in [hungarian_loss, HungarianLoss([3]).call, PermutationInvariantLoss("mse").call]:
        with pytest.raises(ValueError, match="y_true must be a tensor of numbers; got list.*non-rectangular"):
            loss(unequal, sets)
        with pytest.raises(ValueError, match="y_pred must be a tensor of numbers; got list.*non-rectangular"):
            loss(deep, unequal)
        with pytest.raises(ValueError, match="y_pred must be real numbers, got string"):
            loss(sets, text)


def test_numbers_of_numpy():
    loss = HungarianLoss(np.array([2, 2]), np.int64(1), slice_weights=np.float32([1, 3]))
    assert loss.get_config()["slice_sizes"] == [[2, 2], [2, 2]] and loss.get_config()["slice_weights"] == [1, 3]
    y_true, y_pred = random_sets(4, 3, 4), random_sets(4, 5, 4, seed=1)
    want = oracle.sliced_loss(y_true, y_pred, [2, 2], [2, 2], [mse, mse], [1, 3], index=1)
    np.testing.assert_allclose(loss.call(y_true, y_pred), want, rtol=1e-5)


@pytest.mark.parametrize("make", [tf.Variable, keras.Variable])
@MODES
def test_a_weight_that_is_a_variable_is_followed(mode, make):
    weight = make(1.0)
    loss = HungarianLoss([2, 2], slice_weights=[weight, 1])
    run = traced(loss.call, mode)
    y_true, y_pred = random_sets(4, 3, 4), random_sets(4, 5, 4, seed=1)
    for value in [1.0, 5.0]:
        weight.assign(value)
        want = oracle.sliced_loss(y_true, y_pred, [2, 2], [2, 2], [mse, mse], [value, 1])
        np.testing.assert_allclose(run(y_true, y_pred), want, rtol=1e-5)
        assert loss.get_config()["slice_weights"] == [value, 1]


# Sizes that XLA only bounds.


@pytest.mark.parametrize("of_predictions", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_where_a_mask_bounds_the_sizes(masked, of_predictions):
    y_true, y_pred = random_sets(5, 3, 3), random_sets(5, 4, 3, seed=1)
    losses = [HungarianLoss([2, 1]).call, hungarian_loss]
    if masked:
        masks = {"true_mask_fn": is_real, "pred_mask_fn": is_real}
        losses = [
            HungarianLoss([2, 1], unmatched_losses_fn=[lambda pred: tf.reduce_sum(pred**2, -1), None], **masks).call
        ]
    keep, keep_pred = tf.constant([True, False, True, True, False]), tf.constant([True, False, True, True])
    for loss in losses:

        def run(true, pred, loss=loss):
            true, pred = tf.boolean_mask(true, keep), tf.boolean_mask(pred, keep)
            if of_predictions:
                pred = tf.boolean_mask(pred, keep_pred, axis=1)
            return value_and_slopes(loss)(true, pred)

        got, want = tf.function(run, jit_compile=True)(y_true, y_pred), run(y_true, y_pred)
        assert np.abs(want[2]).max() > 0
        for one, other in zip(got, want, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
