"""TensorFlow's own ways to run a training step: clusters that XLA compiles by itself, replicas, workers.

Each is fixed when a process starts, so each has processes of its own, compared with one that trains without a strategy.
"""

import numpy as np
import pytest

import oracle
import replicas

# A model, data, and losses of a few steps: by Keras's fit, and by a loop of one's own.
TRAINING = """
import json
import numpy as np

rng = np.random.default_rng(20240613)
X = rng.normal(size=(32, 8)).astype(np.float32)
Y = rng.normal(size=(32, 3, 4)).astype(np.float32)
START = rng.normal(size=(8, 12)).astype(np.float32)

def make_model():
    import keras
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input([8]), keras.layers.Dense(12), keras.layers.Reshape([3, 4])])

def fit_losses(jit_compile=False):
    import keras
    from hungarian_loss import HungarianLoss
    model = make_model()
    loss = HungarianLoss([2, 2], slice_weights=[1.0, 2.0])
    model.compile(optimizer=keras.optimizers.SGD(0.05), loss=loss, jit_compile=jit_compile)
    return model.fit(X, Y, batch_size=16, epochs=4, shuffle=False, verbose=0).history["loss"]

def loop_losses(strategy):
    import tensorflow as tf
    from hungarian_loss import hungarian_loss
    with strategy.scope():
        weights = tf.Variable(START)
    whole = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    data = strategy.experimental_distribute_dataset(whole.with_options(options))

    def step(x, y):
        with tf.GradientTape() as tape:
            pred = tf.reshape(x @ weights, [-1, 3, 4])
            loss = tf.reduce_sum(hungarian_loss(y, pred)) / 16
        gradient = tape.gradient(loss, weights)
        gradient = tf.distribute.get_replica_context().all_reduce("sum", gradient)
        weights.assign_sub(0.05 * gradient)
        return loss

    @tf.function
    def run(x, y):
        return strategy.reduce("sum", strategy.run(step, args=(x, y)), axis=None)

    return [float(run(x, y)) for _ in range(3) for x, y in data]
"""


@pytest.fixture(scope="module")
def on_one_device():
    """Losses of the two loops with no strategy."""
    code = (
        TRAINING
        + """
import tensorflow as tf
print(json.dumps([fit_losses(), loop_losses(tf.distribute.get_strategy())]))
"""
    )
    fit, loop = oracle.run_json(code)
    assert fit[-1] < fit[0] and sum(loop[-2:]) < sum(loop[:2])
    return fit, loop


def test_two_replicas(on_one_device):
    code = (
        replicas.TWO_DEVICES
        + TRAINING
        + """
with strategy.scope():
    fit = fit_losses()
print(json.dumps([fit, loop_losses(strategy)]))
"""
    )
    for got, want in zip(oracle.run_json(code), on_one_device, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_two_workers(on_one_device):
    """A loop of one's own; Keras 3's fit fails there with any loss."""
    for losses in replicas.run_two_workers(TRAINING + "print(json.dumps(loop_losses(strategy)))", timeout=240):
        np.testing.assert_allclose(losses, on_one_device[1], rtol=1e-5)


def test_clusters_that_xla_compiles_by_itself(on_one_device, tmp_path):
    """XLA's dumps show that it compiled the op, so that this is known not to be a run without XLA."""
    code = (
        TRAINING
        + """
import tensorflow as tf
print(json.dumps(loop_losses(tf.distribute.get_strategy())))
"""
    )
    flags = "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit --tf_xla_enable_lazy_compilation=false"
    dumps = f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text"
    got = oracle.run_json(code, env={"TF_XLA_FLAGS": flags, "XLA_FLAGS": dumps})
    np.testing.assert_allclose(got, on_one_device[1], rtol=1e-5)
    assert any('custom_call_target="HungarianAssignment"' in dump.read_text() for dump in tmp_path.glob("*.txt"))
