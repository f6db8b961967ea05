"""`DetrLoss` under tf.distribute: objects and weights are counted over all replicas, so that losses are those of one
device.

Replicas and workers are fixed when a process starts, so each setting has processes of its own.
"""

import numpy as np
import pytest

import oracle
import replicas

# Images of a batch have ever more objects: the replicas have not equally many.
TRAINING = """
import json
import numpy as np

rng = np.random.default_rng(20250714)
IMAGES, QUERIES, CLASSES = 31, 5, 3
X = rng.normal(size=(IMAGES, 8)).astype(np.float32)
BOXES = rng.uniform(0.2, 0.6, (IMAGES, 4, 4)).astype(np.float32)
COUNTS = np.sort(rng.integers(0, 5, IMAGES))
LABELS = np.where(np.arange(4) < COUNTS[:, None], rng.integers(0, CLASSES, (IMAGES, 4)), -1)
Y = np.concatenate([BOXES, LABELS[..., None]], axis=-1).astype(np.float32)
START = {
    channels: rng.normal(size=(8, 2 * QUERIES * (4 + channels))).astype(np.float32) for channels in (CLASSES, CLASSES + 1)
}

def loop_losses(strategy, classification, rate=0.5, **options):
    # Losses of each step, and the weights behind the last: they stand for the gradients. The replicas have 8 and 7 images
    # of the second batch.
    import tensorflow as tf
    from hungarian_loss.detection import DetrLoss
    channels = CLASSES + (classification == "softmax")
    loss_of = DetrLoss(CLASSES, classification=classification, **options)
    with strategy.scope():
        weights = tf.Variable(START[channels])
    whole = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    sharded = tf.data.Options()
    sharded.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    data = strategy.experimental_distribute_dataset(whole.with_options(sharded))

    def step(x, y):
        with tf.GradientTape() as tape:
            pred = tf.reshape(tf.sigmoid(x @ weights), [-1, 2, QUERIES, 4 + channels])
            loss = loss_of(y, pred)
        gradient = tape.gradient(loss, weights)
        gradient = tf.distribute.get_replica_context().all_reduce("sum", gradient)
        weights.assign_sub(rate * gradient)
        return tf.reduce_sum(loss)

    # One trace for both batches.
    @tf.function(input_signature=data.element_spec)
    def run(x, y):
        return strategy.reduce("sum", strategy.run(step, args=(x, y)), axis=None)

    losses = [float(run(x, y)) for _ in range(2) for x, y in data]
    return losses + weights.numpy().ravel()[::7].tolist()

def all_losses(strategy):
    return {
        "softmax": loop_losses(strategy, "softmax"),
        "by sample": loop_losses(strategy, "softmax", normalization="sample"),
        "focal": loop_losses(strategy, "focal", rate=0.5 / 16, reduction="sum", repeats=2, iou="ciou"),
    }

def fit_history():
    import keras
    import tensorflow as tf
    from hungarian_loss.detection import DetrLoss, SetPredictionModel
    keras.utils.set_random_seed(1)
    inputs = keras.Input([8])
    def head():
        dense = keras.layers.Dense(QUERIES * 8, activation="sigmoid", kernel_regularizer=keras.regularizers.L2(0.01))
        both = keras.layers.Reshape([QUERIES, 8])(dense(inputs))
        return {"boxes": both[..., :4], "logits": both[..., 4:]}
    class InTraining(SetPredictionModel):
        def call(self, x, training=False):
            outputs = super().call(x)
            return outputs if training else {name: outputs[name] for name in ("boxes", "logits")}
    model = InTraining(inputs, {**head(), "auxiliary": [head()]})
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss=DetrLoss(CLASSES))
    # Sets of unknown size: a last batch, of 1 and of 7 images, needs no trace of its own.
    train = tf.data.Dataset.from_tensor_slices((X, {"boxes": BOXES, "labels": LABELS}))
    return model.fit(train.batch(10), epochs=2, shuffle=False, verbose=0, validation_data=train.take(17).batch(10)).history
"""


@pytest.fixture(scope="module")
def on_one_device():
    """Losses and weights of loops, and the history of fit, with no strategy."""
    code = (
        TRAINING
        + """
import tensorflow as tf
print(json.dumps([all_losses(tf.distribute.get_strategy()), fit_history()]))
"""
    )
    loops, fit = oracle.run_json(code)
    assert fit["loss"][-1] < fit["loss"][0] and len(fit) == 11
    for losses in loops.values():
        assert losses[2] < losses[0], losses[:4]
    return loops, fit


def test_two_replicas(on_one_device):
    code = (
        replicas.TWO_DEVICES
        + TRAINING
        + """
with strategy.scope():
    fit = fit_history()
print(json.dumps([all_losses(strategy), fit]))
"""
    )
    (loops, fit), (want_loops, want_fit) = oracle.run_json(code), on_one_device
    for name in loops:
        np.testing.assert_allclose(loops[name], want_loops[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert list(fit) == list(want_fit)
    for name, values in fit.items():
        np.testing.assert_allclose(values, want_fit[name], rtol=1e-4, err_msg=name)


def test_two_workers(on_one_device):
    """A loop of one's own; Keras 3's fit fails there with any loss."""
    code = TRAINING + "print(json.dumps(all_losses(strategy)))"
    for loops in replicas.run_two_workers(code, timeout=600):
        for name, losses in loops.items():
            np.testing.assert_allclose(losses, on_one_device[0][name], rtol=1e-4, atol=1e-5, err_msg=name)
