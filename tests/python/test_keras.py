"""The losses inside Keras: fit, policies, saving, masks."""

import functools
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import HungarianLoss, compute_euclidean_distance, explain, hungarian_loss

SEED = 20240609


@pytest.fixture(autouse=True)
def _from_the_same_start():
    keras.utils.set_random_seed(SEED)
    yield
    keras.config.set_dtype_policy("float32")


def training_data(objects=3, features=6):
    """Sets that depend on the input by a random linear map, their objects in random order."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(64, 8)).astype(np.float32)
    sets = (x @ rng.normal(size=(8, objects * features)) / 3).reshape(64, objects, features)
    return x, rng.permuted(sets, axis=1).astype(np.float32)


def set_predictor(objects, features):
    return keras.Sequential(
        [
            keras.Input([8]),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(objects * features),
            keras.layers.Reshape([objects, features], dtype="float32"),
        ]
    )


def sliced():
    return HungarianLoss(
        slices=[4, 2],
        slice_losses_fn=[keras.losses.mean_squared_error, keras.losses.mean_absolute_error],
        slice_weights=[1.0, 0.5],
    )


def values_of(y, pred):
    """The values of `sliced`, by SciPy."""
    losses = [lambda true, pred: ((true - pred) ** 2).mean(), lambda true, pred: np.abs(true - pred).mean()]
    return oracle.sliced_loss(y, pred, [4, 2], [4, 2], losses, [1.0, 0.5])


LOSSES = {"function": (lambda: hungarian_loss, oracle.set_loss), "class": (sliced, values_of)}
EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES)


# Without a GPU "auto" stands for False, so that is left out.
@pytest.mark.parametrize("jit_compile", ["auto", True], ids="jit {}".format)
@pytest.mark.parametrize("objects", [3, 5], ids=lambda objects: f"{objects} predictions")
@EVERY_LOSS
def test_fit_evaluate_predict(loss, objects, jit_compile):
    make, values = LOSSES[loss]
    x, y = training_data()
    model = set_predictor(objects, 6)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=make(), jit_compile=jit_compile)
    before = values(y, model.predict(x, verbose=0)).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(before, rel=1e-4)
    history = model.fit(x, y, epochs=15, batch_size=16, verbose=0).history["loss"]
    after = values(y, model.predict(x, verbose=0)).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(after, rel=1e-4)
    assert after < 0.8 * before and history[-1] < 0.8 * history[0]
    on_batch = values(y[:16], model.predict(x[:16], verbose=0)).mean()
    assert model.train_on_batch(x[:16], y[:16]) == pytest.approx(on_batch, rel=1e-4)
    assert values(y[:16], model.predict(x[:16], verbose=0)).mean() < on_batch


@EVERY_LOSS
def test_loss_and_gradient_compiled_by_xla(loss):
    """The assignments are the same, the sums are XLA's."""
    make, _ = LOSSES[loss]
    _, true = training_data(objects=4)
    pred = np.random.default_rng(SEED).normal(size=(64, 6, 6)).astype(np.float32)
    function = make()

    def loss_and_gradient(true, pred):
        with tf.GradientTape() as tape:
            tape.watch(pred)
            value = tf.reduce_mean(function(true, pred))
        return value, tape.gradient(value, pred)

    compiled = tf.function(loss_and_gradient, jit_compile=True)
    arguments = tf.constant(true), tf.constant(pred)
    for got, want in zip(compiled(*arguments), loss_and_gradient(*arguments), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)
        assert np.abs(want).max() > 0


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("output", ["half", "float32"])
@EVERY_LOSS
def test_mixed_precision(loss, output, policy):
    keras.config.set_dtype_policy(policy)
    make, values = LOSSES[loss]
    x, y = training_data()
    half = policy.removeprefix("mixed_")
    last = "float32" if output == "float32" else None
    model = keras.Sequential(
        [
            keras.Input([8]),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(3 * 6, dtype=last),
            keras.layers.Reshape([3, 6], dtype=last),
        ]
    )
    assert model(x).dtype == ("float32" if output == "float32" else half)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=make())
    before = values(y, np.asarray(tf.cast(model(x), tf.float64))).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(before, rel=2e-2)
    history = model.fit(x, y, epochs=10, batch_size=16, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] < 0.9 * history[0]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_compiled_by_xla(policy):
    """Trains as without XLA, except for rounding in half-precision layers."""
    keras.config.set_dtype_policy(policy)
    x, y = training_data()
    courses = []
    for jit_compile in [True, False]:
        keras.utils.set_random_seed(SEED)
        model = keras.Sequential([keras.Input([8]), keras.layers.Dense(3 * 6), keras.layers.Reshape([3, 6])])
        model.compile(optimizer=keras.optimizers.Adam(0.02), loss=sliced(), jit_compile=jit_compile)
        courses.append(model.fit(x, y, epochs=6, batch_size=16, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*courses, rtol=5e-2)
    assert courses[0][-1] < 0.9 * courses[0][0]


def test_several_outputs():
    x, y = training_data()
    inputs = keras.Input([8])
    outputs = {
        name: keras.layers.Reshape([3, 6], name=name)(keras.layers.Dense(18)(inputs)) for name in ["sets", "others"]
    }
    model = keras.Model(inputs, outputs)
    model.compile(loss={"sets": hungarian_loss, "others": sliced()}, loss_weights={"sets": 2.0, "others": 0.5})
    pred = model.predict(x, verbose=0)
    want = 2 * oracle.set_loss(y, pred["sets"]).mean() + 0.5 * values_of(y, pred["others"]).mean()
    got = model.evaluate(x, {"sets": y, "others": y}, verbose=0, return_dict=True)["loss"]
    assert got == pytest.approx(want, rel=1e-5)


# Saving.


@keras.saving.register_keras_serializable(package="tests")
def city_block(true, pred):
    """A cost of the user's own."""
    return tf.reduce_sum(tf.abs(true[:, :, tf.newaxis] - pred[:, tf.newaxis]), axis=-1)


@keras.saving.register_keras_serializable(package="tests")
def largest_error(true, pred):
    """A slice loss of the user's own."""
    return tf.reduce_max(tf.abs(true - pred), axis=-1)


@keras.saving.register_keras_serializable(package="tests")
def all_real(objects):
    """A mask of the user's own."""
    return tf.ones(tf.shape(objects)[:2], tf.bool)


@keras.saving.register_keras_serializable(package="tests")
def magnitude(pred):
    """A loss of unmatched predictions of the user's own."""
    return tf.reduce_sum(tf.abs(pred), axis=-1)


def everything_set():
    return HungarianLoss(
        slice_sizes=[4, (2, 2)],
        slice_index_to_compute_assignment=None,
        compute_cost_matrix_fn=city_block,
        slice_losses_fn=[largest_error, keras.losses.mean_absolute_error],
        slice_weights=[0.25, 3],
        cost_limit=50,
        true_mask_fn=all_real,
        pred_mask_fn=all_real,
        unmatched_losses_fn=[magnitude, None],
        reduction="sum",
        name="mine",
        dtype="float64",
    )


@pytest.mark.parametrize("make", [everything_set, sliced, lambda: HungarianLoss([6])])
def test_config_round_trip(make):
    loss = make()
    # Through text, as in a saved model.
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is HungarianLoss
    for name, value in vars(loss).items():
        if not name.startswith("_"):
            assert getattr(again, name) == value, name
    assert again.get_config() == loss.get_config()
    x, y = training_data(), training_data(objects=5)
    np.testing.assert_array_equal(loss(x[1], y[1]), again(x[1], y[1]))
    assert loss(x[1], y[1]).dtype == again(x[1], y[1]).dtype == loss.dtype


def test_a_config_of_an_earlier_version_has_no_limit():
    config = sliced().get_config()
    del config["cost_limit"]
    assert HungarianLoss.from_config(config).cost_limit is None


def test_functions_round_trip():
    for function in [hungarian_loss, compute_euclidean_distance]:
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(function)))
        assert keras.saving.deserialize_keras_object(config) is function
    assert keras.losses.deserialize(keras.losses.serialize(sliced())).get_config() == sliced().get_config()


@pytest.mark.parametrize("loss", [lambda: hungarian_loss, sliced, everything_set], ids=["function", "class", "all"])
def test_save_and_load_a_compiled_model(loss, tmp_path):
    x, y = training_data()
    model = set_predictor(4, 6)
    model.compile(optimizer="adam", loss=loss())
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)
    assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)
    if model.loss is hungarian_loss:
        assert again.loss is hungarian_loss
    trained = [one.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"] for one in (model, again)]
    np.testing.assert_allclose(*trained, rtol=1e-4)


def unregistered(true, pred):
    return city_block(true, pred)


class Callable_:
    """An object that can be called; Keras cannot serialize it."""

    def __call__(self, pred):
        return magnitude(pred)


@pytest.mark.filterwarnings("ignore:.*will not be found again")
@pytest.mark.parametrize(
    ("argument", "value", "name"),
    [
        ("compute_cost_matrix_fn", lambda true, pred: city_block(true, pred), "compute_cost_matrix_fn"),
        ("compute_cost_matrix_fn", functools.partial(city_block), "compute_cost_matrix_fn"),
        ("compute_cost_matrix_fn", unregistered, "unregistered"),
        ("slice_losses_fn", [keras.losses.mean_squared_error, lambda t, p: largest_error(t, p)], "slice_losses_fn[1]"),
        ("slice_losses_fn", [functools.partial(largest_error), "mae"], "slice_losses_fn[0]"),
        ("true_mask_fn", lambda objects: all_real(objects), "true_mask_fn"),
        ("pred_mask_fn", functools.partial(all_real), "pred_mask_fn"),
        ("unmatched_losses_fn", [None, lambda pred: magnitude(pred)], "unmatched_losses_fn[1]"),
        ("unmatched_losses_fn", [Callable_(), None], "unmatched_losses_fn[0]"),
    ],
)
def test_what_cannot_be_found_again(argument, value, name, tmp_path):
    """Saved with a warning, after each epoch; refused on loading with an error that names the ways out, all of which
    work."""
    x, y = training_data()
    model = set_predictor(3, 6)
    model.compile(loss=HungarianLoss([4, 2], **{argument: value}))
    with pytest.warns(UserWarning, match=f"(?s){re.escape(argument)}.*register_keras_serializable"):
        history = model.fit(
            x, y, epochs=2, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")]
        )
    assert len(history.history["loss"]) == 2
    for epoch in [1, 2]:
        with pytest.raises(ValueError, match=r"(?s)register_keras_serializable.*custom_objects.*compile=False"):
            keras.saving.load_model(tmp_path / f"{epoch}.keras")
    again = keras.saving.load_model(tmp_path / "2.keras", compile=False)
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)
    function = value[int(name[-2])] if name.endswith("]") else value
    again = keras.saving.load_model(tmp_path / "2.keras", custom_objects={name: function})
    assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)
    found = getattr(again.loss, argument)
    assert (found[int(name[-2])] if name.endswith("]") else found) is function


def test_a_local_function_is_not_taken_for_another_of_its_name():
    def largest_error(true, pred):
        return tf.reduce_sum(true - pred, axis=-1)

    loss = HungarianLoss([6], slice_losses_fn=[largest_error])
    with pytest.warns(UserWarning, match="will not be found again"):
        config = loss.get_config()
    with pytest.raises(ValueError, match="slice_losses_fn"):
        HungarianLoss.from_config(config)


# Masks that Keras attaches to predictions.


def masked_model(objects):
    """Predicts its input; objects that are all zero are masked."""
    inputs = keras.Input([objects, 4])
    return keras.Model(inputs, keras.layers.Masking()(inputs))


@pytest.mark.parametrize("batch", [2, 5, 7], ids=lambda batch: f"batch of {batch}")
def test_a_mask_is_not_multiplied_into_the_loss(batch):
    rng = np.random.default_rng(SEED)
    pred = rng.normal(size=(batch, 5, 4)).astype(np.float32)
    pred[:, 3:] = 0  # Masked.
    # Far from zero, so that the masked ones would not be matched if they could be.
    pred[:, :3] += 10
    true = rng.normal(size=(batch, 2, 4)).astype(np.float32) + 10
    model = masked_model(5)
    assert model(pred)._keras_mask.numpy().tolist() == [[True] * 3 + [False] * 2] * batch
    model.compile(loss=HungarianLoss([4]))
    want = oracle.sliced_loss(true, pred, [4], [4], [lambda true, pred: ((true - pred) ** 2).mean()], [1])
    assert model.evaluate(pred, true, batch_size=batch, verbose=0) == pytest.approx(want.mean(), rel=1e-5)
    weight = rng.uniform(size=batch).astype(np.float32)
    got = model.evaluate(pred, true, batch_size=batch, sample_weight=weight, verbose=0)
    assert got == pytest.approx((weight * want).mean(), rel=1e-5)


@pytest.mark.parametrize("batch", [3, 5], ids=lambda batch: f"batch of {batch}")
def test_a_mask_takes_predictions_out(batch):
    rng = np.random.default_rng(SEED)
    true = rng.normal(size=(batch, 4, 4)).astype(np.float32)
    pred = rng.normal(size=(batch, 5, 4)).astype(np.float32)
    absent = rng.uniform(size=(batch, 5)) < 0.4
    absent[0] = True
    pred[absent] = 0
    masked_by_function = rng.uniform(size=(batch, 5)) < 0.2
    model = masked_model(5)

    def error(true, pred):
        return ((true - pred) ** 2).mean()

    for pred_mask_fn, exists in [(None, ~absent), (lambda objects: ~masked_by_function, ~absent & ~masked_by_function)]:
        loss = HungarianLoss([4], pred_mask_fn=pred_mask_fn)
        want = [
            oracle.sliced_loss(true[[index]], pred[[index]][:, exists[index]], [4], [4], [error], [1])[0]
            for index in range(batch)
        ]
        assert want[0] == 0
        model.compile(loss=loss)
        got = model.evaluate(pred, true, batch_size=batch, verbose=0)
        assert got == pytest.approx(np.mean(want), rel=1e-5), f"seed {SEED}"
        assert loss(true, model(pred)).numpy() == pytest.approx(np.mean(want), rel=1e-5), f"seed {SEED}"


def test_fit_behind_a_mask():
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(40, 5, 8)).astype(np.float32)
    x[rng.uniform(size=(40, 5)) < 0.3] = 0
    y = rng.normal(size=(40, 3, 4)).astype(np.float32) + 1
    inputs = keras.Input([5, 8])
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Masking()(inputs)))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=HungarianLoss([4]))
    losses = model.fit(x, y, epochs=8, batch_size=10, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("eagerly", [False, True], ids=["graph", "eager"])
@pytest.mark.parametrize(
    ("policy", "last"),
    [
        ("float32", None),
        ("mixed_float16", None),
        ("mixed_float16", "float32"),
        ("mixed_bfloat16", None),
        ("float64", None),
    ],
    ids=str,
)
def test_masks_under_every_policy(policy, last, eagerly):
    """The class honours Keras's mask, whatever casts lie between. The function refuses it, however it is wrapped."""
    keras.config.set_dtype_policy(policy)
    rng = np.random.default_rng(SEED)
    # As many samples as objects: there Keras's product has a shape that fits.
    pred, true = rng.integers(1, 9, (3, 3, 4)).astype(np.float32), rng.integers(1, 9, (3, 3, 4)).astype(np.float32)
    pred[:, 2] = 0
    inputs = keras.Input([3, 4])
    outputs = keras.layers.Activation("linear", dtype=last)(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, {"sets": outputs})
    model.compile(loss=HungarianLoss([4]), run_eagerly=eagerly)
    want = oracle.sliced_loss(true, pred[:, :2], [4], [4], [lambda t, p: ((t - p) ** 2).mean()], [1]).mean()
    assert model.evaluate(pred, {"sets": true}, batch_size=3, verbose=0) == pytest.approx(want, rel=1e-6)
    model = keras.Model(inputs, outputs)
    for function in [hungarian_loss, lambda true, pred: 2 * hungarian_loss(true, pred)]:
        model.compile(loss=function, run_eagerly=eagerly)
        with pytest.raises(ValueError, match="Keras mask.*HungarianLoss"):
            model.evaluate(pred, true, batch_size=3, verbose=0)


def test_one_way_in_for_a_mask():
    """The loss, its parts and explain treat Keras's mask alike."""
    rng = np.random.default_rng(SEED)
    true, pred = rng.normal(size=(2, 3, 4)).astype(np.float32), rng.normal(size=(2, 5, 4)).astype(np.float32)
    pred[:, 1:] = 0
    loss = HungarianLoss([4])
    masked = masked_model(5)(pred)
    want = oracle.sliced_loss(true, pred[:, :1], [4], [4], [lambda true, pred: ((true - pred) ** 2).mean()], [1])
    np.testing.assert_allclose(loss.call(true, masked), want, rtol=1e-6)
    assert loss(true, masked).numpy() == pytest.approx(want.mean(), rel=1e-6)
    matching = loss.match(true, masked)
    assert matching.pred_mask.numpy().tolist() == [[True] + [False] * 4] * 2
    assert (matching.assignment.col_to_row.numpy() >= 0).sum(1).tolist() == [1, 1]
    for sample in range(2):
        for explanation in [explain(true, masked, sample, loss=loss), explain(true, masked, sample)]:
            assert explanation.pred_index.tolist() == [0] and len(explanation.unmatched_pred) == 0
            np.testing.assert_allclose(explanation.pair_cost**2 / 4, want[sample : sample + 1], rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", None])
def test_no_reduction_multiplies_a_mask(reduction):
    rng = np.random.default_rng(SEED)
    true, pred = rng.normal(size=(5, 2, 4)).astype(np.float32), rng.normal(size=(5, 5, 4)).astype(np.float32)
    pred[:, 3:] = 0
    weight = rng.uniform(size=5).astype(np.float32)
    loss = HungarianLoss([4], reduction=reduction)
    got = loss(true, masked_model(5)(pred), sample_weight=weight)
    np.testing.assert_allclose(got, loss(true, pred[:, :3], sample_weight=weight), rtol=1e-6)


def test_the_function_refuses_a_keras_mask() -> None:
    """A function could not keep Keras from multiplying a mask of objects into the losses of samples."""
    inputs = keras.Input((3, 2))
    model = keras.Model(inputs, keras.layers.Masking()(inputs))
    model.compile(loss=hungarian_loss)
    with pytest.raises(ValueError, match="HungarianLoss"):
        model.evaluate(np.ones((3, 3, 2)), np.ones((3, 3, 2)), verbose=0)
