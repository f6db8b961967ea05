"""The op on /GPU:0, from TensorFlow's placement to the kernels' source: the same answers as on the CPU, and no copies.

Under `make test-gpu-path` the GPU is in host memory and the kernels run as their host twin, behind a stand-in for libcuda. `make
test-on-gpu` runs the same tests on a real one, except those that count copies or read the stand-in's log.
"""

import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from on_devices import INF, fetch, solve
from tensorflow.python.framework import kernels

import bad_input_cases
import oracle
import test_bad_input
from bad_input_cases import Refused
from hungarian_loss import Assignment, HungarianLoss, hungarian_loss, linear_assignment
from hungarian_loss._placement import MOST_ON_GPU

NAN = np.nan
SEED = 20240611
CPU, GPU = "/CPU:0", "/GPU:0"


# Answers; all types, options and kinds of costs are tests/python/test_parity.py's.


def test_both_kernels_of_every_type_were_launched(tmp_path, launches):
    """By the log of the stand-in, in a process of its own: a warp for small problems, a block for large ones. All at once."""
    code = """
import sys
sys.path[:0] = sys.argv[1:3]
import conftest
conftest.pytest_configure(None)
import concurrent.futures, itertools
import tensorflow as tf
from on_devices import solve
types = [tf.float16, tf.bfloat16, tf.float32, tf.float64]
with concurrent.futures.ThreadPoolExecutor(8) as threads:
    calls = [
        threads.submit(solve, "/GPU:0", tf.zeros([1, size, size], dtype))
        for dtype, size in itertools.product(types, [5, 140])
    ]
assert all(call.result().status.numpy() == 0 for call in calls)
"""
    log = tmp_path / "log"
    folders = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "..", "python")]
    environment = {**os.environ, "STAND_IN_CUDA_LOG": str(log)}
    subprocess.run([sys.executable, "-c", code, *folders], env=environment, check=True, timeout=300)
    calls = [line.split() for line in log.read_text().splitlines()]
    assert all(result == "0" for *_, result in calls)
    names = [name for name, *_ in calls]
    launched = {rest[0] for name, *rest in calls if name == "cuLaunchKernel"}
    types = ["half", "bfloat16", "float", "double"]
    assert launched == {f"{kernel}_{T}" for kernel in ["search_by_warp", "search_by_block", "prove"] for T in types}
    # Each type's kernels loaded once, each looked up once, contexts given back, and nobody waited for the device.
    assert names.count("cuModuleLoadDataEx") == len(types)
    assert names.count("cuModuleGetFunction") == len(launched)
    assert names.count("cuCtxPushCurrent_v2") == names.count("cuCtxPopCurrent_v2") > 0
    assert not [name for name in names if re.search("Synchronize|Memcpy|Destroy|Release|SetCurrent", name)]


def test_the_answer_is_the_same_in_a_graph():
    rng = np.random.default_rng(SEED)
    cost = rng.uniform(size=(3, 7, 9)).astype(np.float32)

    @tf.function
    def function(cost):
        with tf.device(GPU):
            return tuple(solve(GPU, cost))

    for in_graph, eager in zip(function(cost), solve(GPU, cost), strict=True):
        np.testing.assert_array_equal(in_graph, eager)


# Bad input: the CPU's verdict.


def is_for_gpu(case):
    return case.target == "op" and not case.attributes.get("validate", False)


EVERY_CASE = [
    pytest.param(case, id=name)
    for group in ["shapes", "values", "solver"]
    for name, case in bad_input_cases.cases(group).items()
    if is_for_gpu(case)
]


@pytest.mark.parametrize("case", EVERY_CASE)
def test_bad_input_has_the_cpus_verdict(case):
    verdicts = {}
    for device in (CPU, GPU):
        tensors = {name: bad_input_cases.make_tensor(value) for name, value in case.inputs.items()}
        verdicts[device] = bad_input_cases.attempt(
            lambda device=device, tensors=tensors: {
                "outputs": [bad_input_cases.encode(output) for output in solve(device, **tensors, **case.attributes)]
            }
        )
    on_cpu, on_gpu = verdicts[CPU], verdicts[GPU]
    *batch, rows, cols = [1, 1, *case.inputs["cost"].shape]
    if "error" not in on_cpu and 0 not in batch and max(rows, cols) > MOST_ON_GPU:
        assert re.search(f"expected at most {MOST_ON_GPU} rows and columns on a GPU", on_gpu["message"])
        return
    assert ("error" in on_gpu) == ("error" in on_cpu), verdicts
    if isinstance(case.expected, Refused):
        assert on_gpu["error"] == on_cpu["error"]
        if case.expected.by != "memory":
            assert sentence(on_gpu["message"]) == sentence(on_cpu["message"])
        return
    test_bad_input.check_answer(case, on_gpu["outputs"])
    statuses = [verdict["outputs"][5] for verdict in (on_cpu, on_gpu)]
    assert statuses[0] == statuses[1]


def sentence(message):
    """What the kernel said, without the device that TensorFlow puts before it."""
    return re.sub(r"\{\{function_node [^}]*\}\} ", "", message)


def test_types_that_do_not_go_together_are_refused_as_on_the_cpu():
    for cost, limit in [(np.float32, np.float64), (np.float16, np.float64), (np.float64, np.float32)]:
        messages = []
        for device in (CPU, GPU):
            with pytest.raises(tf.errors.InvalidArgumentError) as refused:
                solve(device, np.ones((2, 2), cost), cost_limit=tf.constant([1], limit)[0])
            messages.append(sentence(str(refused.value)))
        assert messages[0] == messages[1]
        assert "cost_limit (U) must be" in messages[0]


def test_validate_says_what_to_do_instead():
    with pytest.raises(tf.errors.UnimplementedError, match="validate=True is not available on GPU.*output status.*CPU"):
        solve(GPU, np.ones((2, 2), np.float32), validate=True)
    assert solve(CPU, np.ones((2, 2), np.float32), validate=True).status.numpy() == 0


# What a GPU cannot do, `linear_assignment` does on the CPU, wherever it is placed.


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize(
    ("shape", "options"), [((2, 3, 4), {"validate": True}), ((2, 1, MOST_ON_GPU + 1), {})], ids=["validate", "large"]
)
def test_a_program_of_the_cpu_runs_where_there_is_a_gpu(shape, options, wrap, expect_launches):
    cost = np.random.default_rng(SEED).uniform(size=shape).astype(np.float32)

    @wrap
    def solved(cost):
        with tf.device(GPU):
            return tuple(linear_assignment(cost, **options))

    with expect_launches(0):
        answer = solved(cost)
    oracle.check_batch(cost, fetch(Assignment(*answer)))


def test_all_else_runs_on_the_gpu(expect_launches):
    with expect_launches(2), tf.device(GPU):
        answer = linear_assignment(np.ones((1, 1, MOST_ON_GPU), np.float32))
    assert all(output.device.endswith("GPU:0") for output in answer)


# Nothing is copied, nobody waits.


def test_everything_stays_in_the_devices_memory(copies):
    """As eager tensors: what the op is given and returns, limits and int32 outputs included."""
    [kernel] = {
        tuple(kernel.host_memory_arg)
        for kernel in kernels.get_registered_kernels_for_op("HungarianAssignment").kernel
        if kernel.device_type == "GPU"
    }
    assert kernel == ()
    with tf.device(GPU):
        inputs = {"row_mask": tf.constant([True] * 5), "col_mask": tf.constant(True), "cost_limit": tf.constant(0.5)}
        cost = tf.constant(np.random.default_rng(SEED).uniform(size=(5, 6)).astype(np.float32))
        before = copies()
        answer = solve(GPU, cost, **inputs)
    assert copies() == before
    assert all(output.device.endswith("GPU:0") for output in answer)
    # What is read is copied, which shows that copies are counted.
    to_host, to_device = before
    fetch(answer)
    assert copies() == (to_host + 6, to_device)


def test_a_graph_has_no_copies_around_the_op(copies):
    """Not of inputs, nor of outputs used on the device: int32 ones by Cast, which is a kernel of the stand-in device here.

    What a function returns is another matter: TensorFlow's `_Retval` wants int32 in host memory.
    """
    cost = tf.random.stateless_uniform([2, 3, 4], [1, 2])
    row_mask, col_mask, limit = tf.constant([[True, True, False]] * 2), tf.constant(True), tf.constant(INF)

    def run(use):
        @tf.function
        def function(cost, row_mask, col_mask, limit):
            with tf.device(GPU):
                answer = solve(GPU, cost, row_mask=row_mask, col_mask=col_mask, cost_limit=limit)
                return [use(output) for output in answer]

        with tf.device(GPU):
            inputs = [tf.identity(each) for each in (cost, row_mask, col_mask, limit)]
        returned = function(*inputs)
        before = copies()
        returned = function(*inputs)
        copied = tuple(now - then for now, then in zip(copies(), before, strict=True))
        return copied, [each.numpy() for each in returned]

    on_device, cast = run(
        lambda output: tf.cast(output, tf.float32) if output.dtype == tf.int32 else tf.identity(output)
    )
    assert on_device == (0, 0)
    (to_host, to_device), plain = run(lambda output: output)
    assert (to_host, to_device) == (3, 0)
    for one, other in zip(cast, plain, strict=True):
        np.testing.assert_array_equal(one, other)


# Gradient, losses, training. TensorFlow's CPU build has hardly any kernels for GPU: the ops around ours run on the CPU.


def on(device, function):
    with tf.device(device):
        return function()


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("options", [{}, {"maximize": True}, {"cost_limit": 0.4}], ids=str)
def test_gradient(options, compiled, expect_launches):
    cost = tf.constant(np.random.default_rng(SEED).uniform(size=(3, 5, 6)))
    upstream = tf.constant([1.0, -2.0, 3.0], tf.float64)

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(cost)
            total = linear_assignment(cost, **options).total_cost
        return tape.gradient(total, cost, upstream)

    gradients = []
    with expect_launches(2):
        for device in (CPU, GPU):
            function = tf.function(gradient) if compiled else gradient
            gradients.append(on(device, function).numpy())
    np.testing.assert_array_equal(*gradients)
    assert np.abs(gradients[0]).sum() > 0


LOSSES = {
    "hungarian_loss": hungarian_loss,
    "HungarianLoss": HungarianLoss([2, 2], slice_weights=[1.0, 2.0]),
    "HungarianLoss with masks": HungarianLoss([2, 2], true_mask_fn=lambda y_true: y_true[..., 0] > 0.3),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, compiled, expect_launches):
    rng = np.random.default_rng(SEED)
    y_true, y_pred = (tf.constant(rng.uniform(size=(4, n, 4)).astype(np.float32)) for n in (5, 6))

    def loss_and_gradient():
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            loss = LOSSES[name](y_true, y_pred)
        return loss, tape.gradient(loss, y_pred)

    with expect_launches(2):
        results = [
            on(device, tf.function(loss_and_gradient) if compiled else loss_and_gradient) for device in (CPU, GPU)
        ]
    for on_cpu, on_gpu in zip(*results, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-6)
        assert np.abs(on_gpu).sum() > 0


def test_training_steps(expect_launches):
    rng = np.random.default_rng(SEED)
    features = tf.constant(rng.normal(size=(8, 6)).astype(np.float32))
    targets = tf.constant(rng.uniform(size=(8, 4, 3)).astype(np.float32))
    weights = tf.Variable(tf.constant(rng.normal(size=(6, 12)).astype(np.float32)) * 0.1)
    bias = tf.Variable(tf.zeros([12]))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            predicted = tf.reshape(features @ weights + bias, [8, 4, 3])
            with tf.device(GPU):
                loss = tf.reduce_mean(hungarian_loss(targets, predicted))
        for variable, gradient in zip([weights, bias], tape.gradient(loss, [weights, bias]), strict=True):
            variable.assign_sub(0.2 * gradient)
        return loss

    with expect_launches(2 * 30):
        losses = [float(step()) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]
    assert all(later < earlier + 0.05 for earlier, later in itertools.pairwise(losses))
