"""Training with `DetrLoss` in Keras: SetPredictionModel, and packed tensors in any model."""

import copy
import math
import pickle
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import detection_reference as reference
import oracle
from hungarian_loss.detection import DetrLoss, SetPredictionModel

SEED = 20250713
CLASSES, QUERIES, OBJECTS, IMAGES = 2, 5, 3, 24
CHANNELS = CLASSES + 1


@pytest.fixture(autouse=True)
def _from_the_same_start():
    keras.utils.set_random_seed(SEED)
    yield
    keras.config.set_dtype_policy("float32")


def data():
    """Boxes that depend on the input, 0 to 3 an image."""
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(IMAGES, 8)).astype(np.float32)
    centers = 0.5 + 0.1 * (x @ rng.normal(size=(8, OBJECTS * 2)) / 3).reshape(IMAGES, OBJECTS, 2)
    boxes = np.concatenate([centers, rng.uniform(0.1, 0.3, (IMAGES, OBJECTS, 2))], axis=-1).astype(np.float32)
    labels = np.where(rng.uniform(size=(IMAGES, OBJECTS)) < 0.7, rng.integers(0, CLASSES, (IMAGES, OBJECTS)), -1)
    return x, {"boxes": boxes, "labels": labels}


def packed(y):
    return np.concatenate([y["boxes"], y["labels"][..., np.newaxis]], axis=-1).astype(np.float32)


def heads(features, name=""):
    """Boxes and logits of each query."""
    boxes = keras.layers.Dense(QUERIES * 4, activation="sigmoid")(features)
    logits = keras.layers.Dense(QUERIES * CHANNELS)(features)
    return {
        "boxes": keras.layers.Reshape([QUERIES, 4], dtype="float32")(boxes),
        "logits": keras.layers.Reshape([QUERIES, CHANNELS], dtype="float32")(logits),
    }


def detector(auxiliary=1, **regularized):
    inputs = keras.Input([8])
    features = keras.layers.Dense(16, activation="relu", **regularized)(inputs)
    outputs = heads(features)
    if auxiliary:
        outputs["auxiliary"] = [heads(features) for _ in range(auxiliary)]
    return SetPredictionModel(inputs, outputs)


def packed_detector(layers=0):
    """A Sequential model, as an example of any other class; with ``layers`` of a decoder."""
    shape = [layers, QUERIES, 4 + CHANNELS] if layers else [QUERIES, 4 + CHANNELS]
    return keras.Sequential(
        [
            keras.Input([8]),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(math.prod(shape), activation="sigmoid"),
            keras.layers.Reshape(shape),
        ]
    )


def as_dict(pred):
    """A packed prediction as a dict."""
    if pred.ndim == 3:
        return {"boxes": pred[..., :4], "logits": pred[..., 4:]}
    *before, last = (as_dict(pred[:, layer]) for layer in range(pred.shape[1]))
    return {**last, "auxiliary": before}


def wanted(y, pred, weight=1.0, batch=IMAGES):
    """Terms of the loss as Keras shows them, by NumPy: means over images, although each batch divides by its own number
    of objects."""
    found = []
    for start in range(0, IMAGES, batch):

        def part(one, start=start):
            return np.asarray(one, np.float64)[start : start + batch]

        truth = {"boxes": part(y["boxes"]), "labels": part(y["labels"]).astype(int)}
        weights = part(np.broadcast_to(weight, IMAGES))
        terms = reference.terms(truth, tf.nest.map_structure(part, pred), {})
        found.append({name: (weights * value).mean() for name, value in terms.items()})
    sizes = [min(batch, IMAGES - start) for start in range(0, IMAGES, batch)]
    terms = {name: np.average([one[name] for one in found], weights=sizes) for name in found[0]}
    return {"loss": sum(terms.values()), **terms}


def adam(rate=0.02):
    return keras.optimizers.Adam(rate)


def same(got, want, rel=2e-5):
    assert {name: float(value) for name, value in got.items()} == pytest.approx(want, rel=rel, abs=1e-6)


# SetPredictionModel.


def test_fit_evaluate_predict():
    x, y = data()
    model = detector()
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
    pred = model.predict(x, verbose=0)
    # Batches of 24, of 8, and of 10, 10 and 4, each of which counts by its size.
    for batch in [IMAGES, 8, 10]:
        same(model.evaluate(x, y, batch_size=batch, verbose=0, return_dict=True), wanted(y, pred, batch=batch))
    history = model.fit(x, y, epochs=6, batch_size=8, verbose=0, validation_data=(x, y)).history
    names = ["class", "box", "giou", "auxiliary_0_class", "auxiliary_0_box", "auxiliary_0_giou"]
    assert sorted(history) == sorted(["loss", "val_loss", *names, *(f"val_{name}" for name in names)])
    for prefix in ["", "val_"]:
        total = np.sum([history[f"{prefix}{name}"] for name in names], axis=0)
        np.testing.assert_allclose(total, history[f"{prefix}loss"], rtol=1e-5)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    after = wanted(y, model.predict(x, verbose=0), batch=8)
    assert history["val_loss"][-1] == pytest.approx(after["loss"], rel=1e-4)
    before = wanted(y, model.predict(x, verbose=0))
    same(model.train_on_batch(x, y, return_dict=True), before, rel=1e-4)
    assert wanted(y, model.predict(x, verbose=0))["loss"] < before["loss"]
    same(model.test_on_batch(x, y, return_dict=True), wanted(y, model.predict(x, verbose=0)), rel=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_step_is_traced_once(jit_compile):
    """Keras makes the optimizer's variables within the first step, for which TensorFlow would trace it twice."""
    x, y = data()
    traced = []

    class Counting(DetrLoss):
        def with_components(self, *arguments):
            traced.append(tf.executing_eagerly())
            return super().with_components(*arguments)

    model = detector()
    model.compile(optimizer=adam(), loss=Counting(CLASSES), jit_compile=jit_compile)
    model.fit(x, y, epochs=2, batch_size=8, verbose=0)
    assert traced == [False]
    model.evaluate(x, y, batch_size=8, verbose=0)
    assert traced == [False, False]


def test_a_step_of_ones_own_may_train_other_variables():
    x, y = data()
    factor = keras.Variable(1.0, name="factor")

    class Scaled(SetPredictionModel):
        def train_step(self, batch):
            x, y = batch
            variables = [*self.trainable_variables, factor]
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True)) * factor
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    outputs = detector()
    model = Scaled(outputs.inputs, outputs.output)
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
    model.fit(x, y, epochs=2, batch_size=8, verbose=0)
    assert float(factor) != 1


def test_jit_and_eager_train_alike():
    x, y = data()
    courses = []
    for options in [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}, {"steps_per_execution": 3}]:
        keras.utils.set_random_seed(SEED)
        model = detector()
        model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), **options)
        courses.append(model.fit(x, y, epochs=2, batch_size=8, shuffle=False, verbose=0).history)
    for course in courses[1:]:
        assert list(course) == list(courses[0])
        for name, values in course.items():
            np.testing.assert_allclose(values, courses[0][name], rtol=1e-3, err_msg=name)


def test_weights_of_images():
    """As an array, of which Keras makes a dict; as the third element of a Dataset; and as a dict."""
    x, y = data()
    weight = np.random.default_rng(SEED).uniform(0, 2, IMAGES).astype(np.float32)
    model = detector()
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
    want = wanted(y, model.predict(x, verbose=0), weight)
    assert want["loss"] != pytest.approx(wanted(y, model.predict(x, verbose=0))["loss"], rel=1e-3)
    for given in [weight, {"boxes": weight, "labels": weight}]:
        same(model.evaluate(x, y, sample_weight=given, verbose=0, return_dict=True), want)
    triples = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(IMAGES)
    same(model.evaluate(triples, verbose=0, return_dict=True), want)
    with pytest.raises(ValueError, match="sample_weight must be a scalar"):
        model.evaluate(tf.data.Dataset.from_tensor_slices((x, y, np.ones((IMAGES, OBJECTS)))).batch(8), verbose=0)


def test_regularization_is_added():
    x, y = data()
    model = detector(kernel_regularizer=keras.regularizers.L2(0.1), activity_regularizer=keras.regularizers.L1(0.01))
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
    got = model.evaluate(x, y, verbose=0, return_dict=True)
    model(x)
    added = sum(float(loss) for loss in model.losses)
    assert added > 0.1
    want = wanted(y, model.predict(x, verbose=0))
    same(got, {**want, "loss": want["loss"] + added})


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    x, y = data()
    inputs = keras.Input([8])
    features = keras.layers.Dense(16, activation="relu")(inputs)
    # In half precision to the end.
    both = keras.layers.Reshape([QUERIES, 4 + CHANNELS])(
        keras.layers.Dense(QUERIES * (4 + CHANNELS), activation="sigmoid")(features)
    )
    model = SetPredictionModel(inputs, {"boxes": both[..., :4], "logits": both[..., 4:]})
    assert model(x)["boxes"].dtype == policy.removeprefix("mixed_")
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
    pred = tf.nest.map_structure(lambda one: tf.cast(one, tf.float32).numpy(), model(x))
    same(model.evaluate(x, y, verbose=0, return_dict=True), wanted(y, pred), rel=2e-2)
    history = model.fit(x, y, epochs=6, batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"]).all() and history["loss"][-1] < 0.9 * history["loss"][0]


def trained_alike(model, again, x, y):
    """Checks that both models, when trained on, have the same losses and terms."""
    courses = [one.fit(x, y, epochs=2, shuffle=False, verbose=0).history for one in (model, again)]
    assert list(courses[0]) == list(courses[1]) and len(courses[0]["loss"]) == 2
    for name, values in courses[0].items():
        np.testing.assert_allclose(courses[1][name], values, rtol=1e-4, err_msg=name)


def test_save_and_load(tmp_path):
    x, y = data()
    model = detector()
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES, iou="ciou", no_object_weight=0.3))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, SetPredictionModel) and again.loss.get_config() == model.loss.get_config()
    assert again.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(
        model.evaluate(x, y, verbose=0, return_dict=True), rel=1e-5
    )
    trained_alike(model, again, x, y)
    assert again.count_params() == model.count_params()


@keras.saving.register_keras_serializable(package="tests")
class OwnDetector(SetPredictionModel):
    """Not made of inputs and outputs."""

    def __init__(self, width, queries, **arguments):
        super().__init__(**arguments)
        self.width, self.queries = width, queries
        self.features = keras.layers.Dense(width, activation="relu")
        self.boxes = keras.layers.Dense(queries * 4, activation="sigmoid")
        self.logits = keras.layers.Dense(queries * CHANNELS)

    def call(self, x):
        features = self.features(x)
        return {
            "boxes": keras.ops.reshape(self.boxes(features), [-1, self.queries, 4]),
            "logits": keras.ops.reshape(self.logits(features), [-1, self.queries, CHANNELS]),
        }

    def get_config(self):
        return {**super().get_config(), "width": self.width, "queries": self.queries}


@keras.saving.register_keras_serializable(package="tests")
class OwnStep(SetPredictionModel):
    """Made of inputs and outputs, with a step of its own."""

    def train_step(self, data):
        return {**super().train_step(data), "mine": tf.constant(7.0)}


def test_subclasses(tmp_path):
    """One that is made of inputs and outputs, as its own base was before, does not spoil the one that is not."""
    x, y = data()
    detector()
    outputs = detector(auxiliary=0)
    of_outputs = OwnStep(outputs.inputs, outputs.output)
    for model, extra in [(of_outputs, ["mine"]), (OwnDetector(16, QUERIES), [])]:
        model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
        history = model.fit(x, y, epochs=4, batch_size=8, verbose=0).history
        assert sorted(history) == sorted(["loss", "class", "box", "giou", *extra])
        assert history["loss"][-1] < history["loss"][0]
        same(model.evaluate(x, y, verbose=0, return_dict=True), wanted(y, model.predict(x, verbose=0)))
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert isinstance(again, type(model).__mro__[1] if extra else OwnDetector)
        assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)


@keras.saving.register_keras_serializable(package="tests")
class MakesItsOutputs(SetPredictionModel):
    """Hands Keras inputs and outputs of its own making, as KerasHub's models do."""

    def __init__(self, queries, **arguments):
        outputs = detector(auxiliary=0)
        super().__init__(inputs=outputs.inputs, outputs=outputs.output, **arguments)
        self.queries = queries

    def get_config(self):
        return {"queries": self.queries}


def test_one_that_makes_its_outputs_spoils_no_other(tmp_path):
    x, y = data()
    for model in [OwnDetector(16, QUERIES), MakesItsOutputs(QUERIES), OwnDetector(16, QUERIES)]:
        # Eagerly, as the copies then are too: each of them would be traced anew.
        model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), run_eagerly=True)
        model.fit(x, y, verbose=0)
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)


def test_pickle_and_deepcopy(tmp_path):
    x, y = data()
    outputs = detector(auxiliary=0)
    for model in [detector(), OwnStep(outputs.inputs, outputs.output), OwnDetector(16, QUERIES)]:
        # Eagerly, as the copies then are too: each of them would be traced anew.
        model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), run_eagerly=True)
        model.fit(x, y, verbose=0)
        want = model.evaluate(x, y, verbose=0, return_dict=True)
        for again in [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]:
            assert type(again) is type(model)
            assert again.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(want, rel=1e-5)
    model = detector()
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    # A process that has imported nothing.
    said = oracle.run_json(
        """
        import json, pickle, sys
        with open(sys.argv[1], "rb") as file:
            model = pickle.load(file)
        print(json.dumps([type(model).__name__, [one.tolist() for one in model.get_weights()]]))
        """,
        tmp_path / "model.pkl",
    )
    assert said[0] == "SetPredictionModel"
    for got, want in zip(said[1], model.get_weights(), strict=True):
        np.testing.assert_array_equal(np.float32(got), want)


class StepFromTheGuide(SetPredictionModel):
    """With the step that Keras's guides show, which gives compute_loss no x."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {metric.name: metric.result() for metric in self.metrics if metric.name != "loss"}


def test_a_step_that_gives_no_x():
    x, y = data()
    outputs = detector()
    model = StepFromTheGuide(outputs.input, outputs.output)
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
    want = wanted(y, model.predict(x, verbose=0))
    assert float(model.compute_loss(y=y, y_pred=model(x))) == pytest.approx(want.pop("loss"), rel=2e-5)
    history = model.fit(x, y, epochs=6, batch_size=IMAGES, verbose=0).history
    same({name: values[0] for name, values in history.items()}, want)
    assert sum(values[-1] for values in history.values()) < 0.9 * sum(want.values())


def test_terms_of_another_loss_go():
    x, y = data()
    model = detector()
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
    assert "auxiliary_0_box" in model.evaluate(x, y, verbose=0, return_dict=True)
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
    assert [metric.name for metric in model.metrics] == ["loss"]


def ragged(y):
    exists = y["labels"] >= 0
    lengths = exists.sum(axis=1)
    return {name: tf.RaggedTensor.from_row_lengths(one[exists], lengths) for name, one in y.items()}


def ragged_batches(x, y, batch=8):
    return tf.data.Dataset.from_tensor_slices((x, ragged(y))).ragged_batch(batch)


@pytest.mark.parametrize("how", [{"jit_compile": False}, {"run_eagerly": True}], ids=["graph", "eager"])
def test_terms_that_are_there_in_training_only(how):
    class InTraining(SetPredictionModel):
        def call(self, x, training=False):
            outputs = super().call(x)
            return outputs if training else {name: outputs[name] for name in ("boxes", "logits")}

    x, y = data()
    whole = detector()
    model = InTraining(whole.inputs, whole.output)
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=DetrLoss(CLASSES), **how)
    last = ["loss", "class", "box", "giou"]
    for _ in range(2):
        got = model.fit(x, y, batch_size=IMAGES, epochs=2, verbose=0, validation_data=(x, y)).history
        every = [*last, "auxiliary_0_class", "auxiliary_0_box", "auxiliary_0_giou"]
        assert set(got) == {*every, *(f"val_{name}" for name in last)}
        for losses in ([got[name] for name in every], [got[f"val_{name}"] for name in last]):
            np.testing.assert_allclose(losses[0], np.sum(losses[1:], axis=0), rtol=1e-5)
        assert len(model.evaluate(x, y, verbose=0)) == 4


def test_ragged_targets():
    x, y = data()
    model = detector()
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), jit_compile=False)
    want = wanted(y, model.predict(x, verbose=0), batch=8)
    same(model.evaluate(ragged_batches(x, y), verbose=0, return_dict=True), want)
    assert model.fit(ragged_batches(x, y), epochs=3, verbose=0).history["loss"][-1] < want["loss"]
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), jit_compile=True)
    with pytest.raises(ValueError, match="ragged targets with jit_compile.*padded_batch and -1.*jit_compile=False"):
        model.fit(ragged_batches(x, y), verbose=0)


def test_what_has_weights_of_its_own_takes_no_others():
    x, y = data()
    model = detector()
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), loss_weights=[2.0])
    with pytest.raises(ValueError, match=r"takes no loss_weights, got \[2.0\]; DetrLoss"):
        model.evaluate(x, y, verbose=0)


def test_other_losses_are_those_of_keras():
    x, _ = data()
    rng = np.random.default_rng(SEED)
    y = {"boxes": rng.normal(size=(IMAGES, QUERIES, 4)), "logits": rng.normal(size=(IMAGES, QUERIES, CHANNELS))}
    outputs = detector(auxiliary=0)
    for cls in [SetPredictionModel, keras.Model]:
        model = cls(outputs.inputs, {name: outputs.output[name] for name in ("boxes", "logits")})
        model.compile(
            optimizer="sgd", loss={"boxes": "mse", "logits": "mae"}, loss_weights={"boxes": 2.0, "logits": 1.0}
        )
        pred = model.predict(x, verbose=0)
        want = 2 * ((pred["boxes"] - y["boxes"]) ** 2).mean() + np.abs(pred["logits"] - y["logits"]).mean()
        assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(want, rel=1e-5)
        model = cls(outputs.inputs, outputs.output["boxes"])
        for loss in ["mse", keras.losses.MeanSquaredError()]:
            model.compile(optimizer="sgd", loss=loss, metrics=["mae"])
            got = model.evaluate(x, y["boxes"], verbose=0, return_dict=True)
            want = {
                "loss": ((pred["boxes"] - y["boxes"]) ** 2).mean(),
                "mae": np.abs(pred["boxes"] - y["boxes"]).mean(),
            }
            assert got == pytest.approx(want, rel=1e-5)
        model.fit(x, y["boxes"], verbose=0)


@keras.saving.register_keras_serializable(package="tests")
class EverythingAtOnce(keras.losses.Loss):
    """A user's own loss over all outputs."""

    def call(self, y_true, y_pred):
        return keras.ops.mean(y_pred["boxes"], axis=[1, 2]) + keras.ops.sum(y_true["labels"], axis=1)


def test_a_loss_of_ones_own_sees_everything():
    x, y = data()
    model = detector()
    model.compile(optimizer="sgd", loss=EverythingAtOnce())
    want = model.predict(x, verbose=0)["boxes"].mean() + y["labels"].sum(axis=1).mean()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(want, rel=1e-5)
    model.fit(x, y, verbose=0)


def everything_at_once(y_true, y_pred):
    return EverythingAtOnce().call({**y_true, "labels": keras.ops.cast(y_true["labels"], "float32")}, y_pred)


@pytest.mark.parametrize("loss", [everything_at_once, lambda y, pred: tf.reduce_mean(everything_at_once(y, pred))])
def test_so_does_a_function(loss):
    """A function is called once, as a loss object is: keras.Model would call it for each output."""
    x, y = data()
    model = detector()
    model.compile(optimizer="sgd", loss=loss)
    want = model.predict(x, verbose=0)["boxes"].mean(axis=(1, 2)) + y["labels"].sum(axis=1)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(want.mean(), rel=1e-5)
    model.fit(x, y, verbose=0)
    if loss is everything_at_once:
        weight = np.random.default_rng(SEED).uniform(0, 2, IMAGES).astype(np.float32)
        want = model.predict(x, verbose=0)["boxes"].mean(axis=(1, 2)) + y["labels"].sum(axis=1)
        got = model.evaluate(x, y, sample_weight=weight, verbose=0)
        assert got == pytest.approx((weight * want).mean(), rel=1e-5)
    model.compile(optimizer="sgd", loss=loss, loss_weights=[2.0])
    with pytest.raises(ValueError, match="takes no loss_weights.*may have weights itself"):
        model.evaluate(x, y, verbose=0)


def test_metrics_before_anything_else():
    assert detector().metrics == []
    model = detector()
    model.compile(optimizer="sgd", loss=DetrLoss(CLASSES))
    assert [metric.name for metric in model.metrics] == ["loss"]


@pytest.mark.parametrize("names", [("boxes", "labels"), ("boxes", "logits")])
def test_dicts_in_another_model(names):
    x, y = data()
    outputs = detector(auxiliary=0)
    model = keras.Model(outputs.inputs, outputs.output)
    model.compile(optimizer="sgd", loss=DetrLoss(CLASSES))
    with pytest.raises(ValueError, match="once for each output of a model, so dicts need a SetPredictionModel"):
        model.fit(x, dict(zip(names, y.values(), strict=True)), verbose=0)


# Packed tensors in any model.


@pytest.mark.parametrize(("layers", "jit_compile"), [(0, True), (2, False)], ids=str)
def test_packed(layers, jit_compile, tmp_path):
    x, y = data()
    model = packed_detector(layers)
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), jit_compile=jit_compile)
    want = wanted(y, as_dict(model.predict(x, verbose=0)), batch=8)
    assert model.evaluate(x, packed(y), batch_size=8, verbose=0) == pytest.approx(want["loss"], rel=2e-5)
    history = model.fit(x, packed(y), epochs=6, batch_size=8, verbose=0, validation_split=0.25).history
    assert sorted(history) == ["loss", "val_loss"]
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    if jit_compile:
        return
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, packed(y), verbose=0) == pytest.approx(model.evaluate(x, packed(y), verbose=0), rel=1e-5)
    trained_alike(model, again, x, packed(y))


def test_packed_with_weights_of_images():
    x, y = data()
    weight = np.random.default_rng(SEED).uniform(0, 2, IMAGES).astype(np.float32)
    model = packed_detector()
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES))
    want = wanted(y, as_dict(model.predict(x, verbose=0)), weight)["loss"]
    assert model.evaluate(x, packed(y), sample_weight=weight, verbose=0) == pytest.approx(want, rel=2e-5)
    triples = tf.data.Dataset.from_tensor_slices((x, packed(y), weight)).batch(IMAGES)
    assert model.evaluate(triples, verbose=0) == pytest.approx(want, rel=2e-5)
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), loss_weights=[2.0])
    assert model.evaluate(triples, verbose=0) == pytest.approx(2 * want, rel=2e-5)


def test_packed_ragged_targets():
    x, y = data()
    exists = y["labels"] >= 0
    targets = tf.RaggedTensor.from_row_lengths(packed(y)[exists], exists.sum(axis=1))
    batches = tf.data.Dataset.from_tensor_slices((x, targets)).ragged_batch(8)
    model = packed_detector()
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), jit_compile=False)
    want = wanted(y, as_dict(model.predict(x, verbose=0)), batch=8)["loss"]
    assert model.evaluate(batches, verbose=0) == pytest.approx(want, rel=2e-5)
    assert model.fit(batches, epochs=3, verbose=0).history["loss"][-1] < want
    model.compile(optimizer=adam(), loss=DetrLoss(CLASSES), jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        model.fit(batches, verbose=0)
    assert re.search("XLA_cannot_pad_a_RaggedTensor_use_padded_batch_with_minus_1", str(caught.value))


def test_one_of_several_outputs():
    x, y = data()
    inputs = keras.Input([8])
    sets = keras.layers.Reshape([QUERIES, 4 + CHANNELS], name="sets")(
        keras.layers.Dense(QUERIES * (4 + CHANNELS), activation="sigmoid")(inputs)
    )
    model = keras.Model(inputs, {"sets": sets, "count": keras.layers.Dense(1, name="count")(inputs)})
    model.compile(
        optimizer="sgd", loss={"sets": DetrLoss(CLASSES), "count": "mse"}, loss_weights={"sets": 0.5, "count": 1.0}
    )
    count = (y["labels"] >= 0).sum(axis=1, keepdims=True)
    pred = model.predict(x, verbose=0)
    want = 0.5 * wanted(y, as_dict(pred["sets"]))["loss"] + ((pred["count"] - count) ** 2).mean()
    got = model.evaluate(x, {"sets": packed(y), "count": count}, verbose=0, return_dict=True)
    assert got["loss"] == pytest.approx(want, rel=2e-5)
