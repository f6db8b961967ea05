"""AssignmentMonitor: what it logs, against SciPy on the same predictions."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from hungarian_loss import HungarianLoss, explain
from hungarian_loss._figure import png
from hungarian_loss.detection import DetrLoss, SetPredictionModel
from hungarian_loss.monitor import AssignmentMonitor

SEED = 20261126
BATCH, OBJECTS, PREDICTIONS, CLASSES = 6, 4, 7, 3
NAMES = ["assignment_changed", "assignment_cost", "assignment_unmatched"]


def detector(**options):
    keras.utils.set_random_seed(SEED)
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(16, activation="relu")(inputs)
    hidden = keras.layers.Dropout(0.5)(hidden)  # So that it predicts otherwise while it is trained.
    boxes = keras.layers.Dense(PREDICTIONS * 4, activation="sigmoid")(hidden)
    logits = keras.layers.Dense(PREDICTIONS * (CLASSES + 1))(hidden)
    outputs = {
        "boxes": keras.layers.Reshape((PREDICTIONS, 4))(boxes),
        "logits": keras.layers.Reshape((PREDICTIONS, CLASSES + 1))(logits),
    }
    model = SetPredictionModel(inputs, outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.3), loss=DetrLoss(CLASSES, **options))
    return model


def images():
    rng = np.random.default_rng(SEED)
    boxes = rng.uniform(0.2, 0.8, (BATCH, OBJECTS, 4)).astype(np.float32)
    labels = rng.integers(-1, CLASSES, (BATCH, OBJECTS))
    labels[0] = -1
    return rng.normal(size=(BATCH, 5)).astype(np.float32), {"boxes": boxes, "labels": labels}


class Recorder(keras.callbacks.Callback):
    """The costs before training and after each epoch."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.costs = x, y, []

    def record(self):
        self.costs.append(self.model.loss.match(self.y, self.model(self.x)).cost.numpy())

    def on_train_begin(self, logs=None):
        self.record()

    def on_epoch_end(self, epoch, logs=None):
        self.record()


def expected(costs, labels, repeats=1):
    """What must be logged, by SciPy, from the costs before training and after each epoch, by the set of predictions of
    each object."""
    rows = []
    for cost in costs:
        partners, paid = {}, []
        for sample in range(BATCH):
            real = np.flatnonzero(labels[sample] >= 0)
            partners |= {(sample, one): set() for one in real}
            each = np.repeat(real, repeats)
            of_object = cost[sample, real * repeats][np.repeat(np.arange(len(real)), repeats)]
            for row, col in zip(*linear_sum_assignment(of_object), strict=True):
                partners[sample, each[row]].add(col)
                paid.append(of_object[row, col])
        rows.append((partners, np.mean(paid)))
    return [
        (np.mean([now[key] != before[key] for key in now]), mean, sum(not one for one in now.values()))
        for (before, _), (now, mean) in itertools.pairwise(rows)
    ]


def logged(monitor, model):
    """What is logged for a model that does not change."""
    logs = {}
    monitor.set_model(model)
    monitor.on_train_begin()
    monitor.on_epoch_end(0, logs)
    return logs


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_logs_against_scipy(repeats):
    """With three predictions for each of four objects there are too few, and an object may have none."""
    x, y = images()
    model, recorder = detector(repeats=repeats), Recorder(x, y)
    history = model.fit(x, y, epochs=5, verbose=0, callbacks=[recorder, AssignmentMonitor(x, y)]).history
    got = np.transpose([history[name] for name in NAMES])
    want = np.array(expected(recorder.costs, y["labels"], repeats))
    np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=f"seed {SEED}")
    assert 0 < want[:, 0].mean() < 1, "nothing moved, or everything: this shows nothing"


def test_objects_without_a_prediction():
    """More objects than predictions in one sample, and a NaN in another."""
    y_true = np.zeros((3, 4, 2), np.float32) + np.arange(4, dtype=np.float32)[:, np.newaxis]
    y_true[1, 2:] = -1
    y_true[2, 0] = np.nan
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.Identity()])
    model.compile(loss=HungarianLoss([2], true_mask_fn=lambda objects: ~(objects[:, :, 0] < 0)))
    logs = logged(AssignmentMonitor(np.ones((3, 3, 2), np.float32), y_true), model)
    # One of the first sample, none of the second, all four of the third.
    assert logs["assignment_unmatched"] == 1 + 0 + 4
    assert logs["assignment_changed"] == 0
    # Objects at 0, 1, 2, 3 and three predictions at 1; then 0 and 1 and three at 1. A distance of 1 is √2 on the plane.
    assert logs["assignment_cost"] == pytest.approx(np.sqrt(2) * (1 + 0 + 1 + 1 + 0) / 5)


def test_no_objects():
    x, y = images()
    y["labels"][:] = -1
    logs = logged(AssignmentMonitor(x, y), detector())
    assert np.isnan(logs["assignment_changed"]) and np.isnan(logs["assignment_cost"])
    assert logs["assignment_unmatched"] == 0


@pytest.mark.parametrize("compiled", ["mse", HungarianLoss([2])], ids=["without match", "with match"])
def test_a_loss_that_is_given(compiled):
    """It is used in place of the compiled one, which then needs no ``match`` method."""
    model = keras.Sequential([keras.Input((2, 2)), keras.layers.Identity()])
    model.compile(loss=compiled)
    loss = HungarianLoss(
        [2], None, lambda true, pred: 5 + tf.abs(true[:, :, tf.newaxis, 0] - pred[:, tf.newaxis, :, 0])
    )
    x, y_true = np.array([[[3.0, 0], [1, 0]]], np.float32), np.zeros((1, 1, 2), np.float32)
    assert logged(AssignmentMonitor(x, y_true, loss=loss), model)["assignment_cost"] == 6


def test_a_mask_of_keras_counts():
    """The predictions that a layer masks are not matched, although the layer sets them to zeros, where an object is."""
    model = keras.Sequential([keras.Input((2, 2)), keras.layers.Masking(mask_value=7.0)])
    model.compile(loss=HungarianLoss([2]))
    x, y_true = np.array([[[7.0, 7], [1, 1]]], np.float32), np.array([[[0.0, 0], [1, 1]]], np.float32)
    assert logged(AssignmentMonitor(x, y_true), model) == {
        "assignment_changed": 0,
        "assignment_cost": 0,
        "assignment_unmatched": 1,
    }


def written(log_dir):
    """Scalars and pictures, as PNG, of each tag and step."""
    scalars, pictures = {}, {}
    for file in log_dir.iterdir():
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                tensor = tf.make_ndarray(value.tensor)
                if tensor.dtype.kind == "f":
                    scalars[value.tag, event.step] = float(tensor)
                else:
                    pictures[value.tag, event.step] = tensor[2]
    return scalars, pictures


def pixels(picture):
    return tf.io.decode_png(picture, channels=4).numpy()


def test_tensorboard(tmp_path):
    """After each epoch all is on disk. The pictures are those of explain."""
    x, y = images()
    model, seen, predictions = detector(), [], []

    def look(epoch, logs):
        seen.append(written(tmp_path))
        predictions.append(model(x))

    monitor = AssignmentMonitor(x, y, log_dir=tmp_path, images=2)
    then = keras.callbacks.LambdaCallback(on_epoch_end=look)
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[monitor, then]).history
    for epoch, (scalars, pictures) in enumerate(seen):
        assert scalars.keys() == {(name, step) for name in NAMES for step in range(epoch + 1)}
        assert pictures.keys() == {(f"assignment_{sample}", step) for sample in range(2) for step in range(epoch + 1)}
        for name in NAMES:
            assert scalars[name, epoch] == pytest.approx(history[name][epoch])
        shown = [pixels(pictures[f"assignment_{sample}", epoch]) for sample in range(2)]
        for sample in range(2):
            want = png(explain(y, predictions[epoch], sample, loss=model.loss).figure())
            np.testing.assert_array_equal(shown[sample], pixels(want))
        assert not np.array_equal(*shown)


def test_more_images_than_samples(tmp_path):
    x, y = images()
    for wrong in [-1, 1.5, True, "two"]:
        with pytest.raises(ValueError, match=f"images must be a whole number, 0 or more, got {wrong!r}"):
            AssignmentMonitor(x, y, log_dir=tmp_path, images=wrong)
    logged(AssignmentMonitor(x, y, log_dir=tmp_path, images=tf.constant(BATCH)), detector())
    assert len(written(tmp_path)[1]) == BATCH
    with pytest.raises(ValueError, match=f"got images={BATCH + 1} and a batch of {BATCH}"):
        logged(AssignmentMonitor(x, y, log_dir=tmp_path, images=BATCH + 1), detector())


def test_wrong_arguments():
    x, y = images()
    with pytest.raises(ValueError, match="images=1.*log_dir"):
        AssignmentMonitor(x, y, images=1)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    monitor = AssignmentMonitor(x, y)
    monitor.set_model(model)
    with pytest.raises(TypeError, match="match.*got 'mse'"):
        monitor.on_train_begin()
