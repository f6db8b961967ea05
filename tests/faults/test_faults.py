"""What goes wrong inside a call stays inside: a clean error, the process lives, and the next call is right.

Faults are ordered from a build of the op that has hooks for it (HUNGARIAN_FAULT); `make test-faults` makes it. The
shipped library has none, and its own part here is to be cancelled.
"""

import os
import pathlib
import subprocess
import sys

import pytest

FAULTY = os.environ["HUNGARIAN_FAULTY_OP"]
SHIPPED = os.environ["HUNGARIAN_OP_LIBRARY"]

PRELUDE = """
import os, sys, threading, time
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import cancellation

op = tf.load_op_library(sys.argv[1])

def solve(cost):
    return op.hungarian_assignment(cost=cost, row_mask=True, col_mask=True, cost_limit=np.inf)

def next_call_is_right():
    assert solve(tf.constant([[4.0, 1.0], [2.0, 3.0]])).row_to_col.numpy().tolist() == [1, 0]
"""


def run(library: str, script: str, *arguments: str) -> str:
    """Runs `script` in a process of its own that has loaded `library`; returns what it printed."""
    command = [sys.executable, "-c", PRELUDE + script, library, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, f"status {ended.returncode}\n{ended.stdout}\n{ended.stderr[-5000:]}"
    return ended.stdout


# Enough problems for more than one thread. One process has to live through all faults.
ORDER_FAULTS = """
cost = tf.random.stateless_uniform([20_000, 8, 8], seed=[1, 2])
right = solve(cost).row_to_col
for fault in sys.argv[2:]:
    for call in (solve, tf.function(solve)):
        os.environ["HUNGARIAN_FAULT"] = fault
        try:
            call(cost)
            raise SystemExit(f"{fault}: there was no error")
        except tf.errors.OpError as error:
            print(fault, type(error).__name__, repr(error.message), sep="|")
        del os.environ["HUNGARIAN_FAULT"]
        tf.debugging.assert_equal(call(cost).row_to_col, right)
        next_call_is_right()
"""

EXPECTED = {
    "panic": "InternalError|a defect in the assignment solver, please report it: HUNGARIAN_FAULT is set",
    "out_of_memory": "ResourceExhaustedError|no memory for the workspace of a 8 x 8 problem: ",
    "bad_alloc": "ResourceExhaustedError|HungarianAssignment: out of memory",
    "exception": "InternalError|HungarianAssignment: unexpected exception: HUNGARIAN_FAULT is set",
    "bad_alloc_in_worker": "ResourceExhaustedError|HungarianAssignment: out of memory",
    "exception_in_worker": "InternalError|HungarianAssignment: unexpected exception: HUNGARIAN_FAULT is set",
}


def test_a_fault_is_an_error_and_no_more() -> None:
    lines = [line.split("|") for line in run(FAULTY, ORDER_FAULTS, *EXPECTED).splitlines()]
    # Once eagerly, once in a graph.
    assert [fault for fault, _, _ in lines] == [fault for fault in EXPECTED for _ in range(2)]
    for fault, kind, message in lines:
        expected_kind, sentence = EXPECTED[fault].split("|")
        assert kind == expected_kind and sentence in message, fault


def test_what_ships_has_no_hooks() -> None:
    hook = b"HUNGARIAN_FAULT"
    assert hook in pathlib.Path(FAULTY).read_bytes(), "the hook would not be found by this name"
    assert hook not in pathlib.Path(SHIPPED).read_bytes()


# c_ij = i·j is the worst case for augmenting paths, so that few bytes take long. One problem runs to its end; the processor
# time of a whole batch follows from that of one. Processor time, unlike wall time, is not another process's business;
# what is certain is that a batch that was not stopped would take all of it.
LONG_BATCH = """
PROBLEMS, SIZE, THREADS = 96, 700, 2
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
line = np.arange(1, SIZE + 1, dtype=np.float32)
batch = np.tile(np.outer(line, line), [PROBLEMS, 1, 1])
solve(batch[:1])
start = time.process_time()
solve(batch[:4])
whole = (time.process_time() - start) * PROBLEMS / 4
until_cancelled = whole / THREADS / 10

def ended_soon(start):
    taken = time.process_time() - start
    print(f"took {taken:.2f} s of processor time, the whole batch would have taken {whole:.2f} s")
    assert taken < whole / 2
"""

TIMEOUT = """
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    cost = tf.compat.v1.placeholder(tf.float32, [None, None, None])
    status = solve(cost).status
    session.run(status, {cost: batch[:1]})
    options = tf.compat.v1.RunOptions(timeout_in_ms=int(until_cancelled * 1000))
    start = time.process_time()
    try:
        session.run(status, {cost: batch}, options=options)
        raise SystemExit("there was no error")
    except tf.errors.DeadlineExceededError:
        ended_soon(start)
    assert session.run(status, {cost: batch[:1]}).tolist() == [0]
next_call_is_right()
"""

CANCELLATION = """
manager = cancellation.CancellationManager()
function = tf.function(solve).get_concrete_function(tf.TensorSpec([None, None, None]))
cancelable = manager.get_cancelable_function(function)
cost = tf.constant(batch)
cancelable(cost[:1])
start = time.process_time()
threading.Timer(until_cancelled, manager.start_cancel).start()
try:
    cancelable(cost)
    raise SystemExit("there was no error")
except tf.errors.CancelledError:
    ended_soon(start)
assert function(cost[:1]).status.numpy().tolist() == [0]
next_call_is_right()
"""


@pytest.mark.parametrize("script", [TIMEOUT, CANCELLATION], ids=["session_timeout", "cancellation_manager"])
def test_a_cancelled_step_ends_soon(script: str) -> None:
    print(run(SHIPPED, LONG_BATCH + script))
