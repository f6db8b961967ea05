"""One op, wherever it runs: the same status, an equally good answer, a valid proof; on a CPU the same bits.

Paths: eager, in a graph, compiled by XLA, all on the CPU; the same on a GPU where TensorFlow sees one, and else the
CUDA kernels as their host twin, if `make test-gpu-path` has built it. All are compared with eager calls on the CPU,
and with the oracle (SciPy, the certificate).
"""

import functools
import pathlib
import pickle
import tempfile

import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import Assignment
from hungarian_loss._library import ops

INF, NAN = np.inf, np.nan
SEED = 20240612
GPU_PATH = pathlib.Path(__file__).parents[2] / "build" / "gpu_path"

SHAPES = [(3, 1, 1), (2, 1, 5), (2, 6, 1), (4, 4, 5), (2, 13, 6), (2, 24, 24), (2, 2, 3, 4), (1, 60, 70), (1, 131, 129)]
EMPTY = [(0, 0), (0, 3), (3, 0), (0, 2, 3), (2, 0, 3), (2, 3, 0), (2, 0, 4, 4)]
OPTIONS = {
    "plain": {},
    "maximize": {"maximize": True},
    "limit": {"cost_limit": 0.4},
    "negative limit, maximize": {"cost_limit": -0.3, "maximize": True},
    "masks": {"masks": True},
    "masks and limit": {"masks": True, "cost_limit": 0.6},
    "limit NaN": {"cost_limit": NAN},
    "large limit": {"cost_limit": 1e20},
    "largest limit, maximize": {"cost_limit": "least", "maximize": True},
    "large negative limit": {"masks": True, "cost_limit": -1e20},
    "a limit for each": {"cost_limit": "each"},
    "a limit for each, masks, maximize": {"masks": True, "cost_limit": "each", "maximize": True},
}
# Where each problem has its own limit, it is any of these.
LIMITS = [0.4, -0.3, INF, 1e20, -1e20, -INF, 1e30, 0.0, NAN]
EVERY_OPTION = pytest.mark.parametrize("option", OPTIONS)
EVERY_DTYPE = pytest.mark.parametrize("dtype", oracle.DTYPES)


def limit_of(option, batch, real, rng):
    """The limit of an option: one, or one for each problem of a batch of that shape."""
    limit = OPTIONS[option].get("cost_limit", INF)
    if limit == "each":
        return rng.choice(LIMITS, batch).astype(real)
    return real(np.finfo(real).min if limit == "least" else limit)


def calls_of(dtype, option):
    """All calls of one type and option: dicts of numpy arrays, masks and limit among them."""
    options, kind_of = OPTIONS[option], oracle.DTYPES[dtype]
    maximize = options.get("maximize", False)
    rng = np.random.default_rng([SEED, *f"{dtype} {option}".encode()])
    kinds = [*oracle.GENERATORS, *["uniform"] * len(EMPTY)]
    for shape, kind in zip([*SHAPES, *EMPTY], kinds, strict=True):
        cost = oracle.generate(kind, rng, shape, kind_of, maximize)
        if shape == (4, 4, 5):
            # An invalid and an infeasible problem between good ones.
            cost[1, 2, 3] = NAN
            cost[2, :3, 1:] = -INF if maximize else INF
        masks = {"row_mask": np.True_, "col_mask": np.True_}
        if options.get("masks"):
            masks = {
                "row_mask": rng.uniform(size=shape[:-1]) < 0.7,
                "col_mask": rng.uniform(size=[*shape[:-2], shape[-1]]) < 0.7,
            }
        yield {"cost": cost, **masks, "cost_limit": limit_of(option, shape[:-2], oracle.real_type(kind_of), rng)}


def solve_all(calls, maximize):
    return [Assignment(*ops.hungarian_assignment(**call, maximize=maximize)) for call in calls]


def eager(calls, maximize):
    return solve_all(calls, maximize)


def graph(calls, maximize, **options):
    """All calls in one function, which takes masks and limits as arguments, too."""
    return tf.function(lambda calls: solve_all(calls, maximize), **options)(calls)


def xla(calls, maximize):
    return graph(calls, maximize, jit_compile=True)


CPU_PATHS = {"eager": eager, "graph": graph, "XLA": xla}
GPU_PATHS = {"GPU, eager": eager, "GPU, graph": graph, "GPU, XLA": xla}
ON_GPU = list(GPU_PATHS) if tf.config.list_physical_devices("GPU") else ["GPU twin"]


@functools.cache
def answers(path, dtype, option):
    calls = list(calls_of(dtype, option))
    if path == "GPU twin":
        return answers_of_twin()[dtype, option]
    tensors = [{name: tf.constant(value) for name, value in call.items()} for call in calls]
    with tf.device("/CPU:0" if path in CPU_PATHS else "/GPU:0"):
        found = (CPU_PATHS | GPU_PATHS)[path](tensors, OPTIONS[option].get("maximize", False))
    return [tuple(output.numpy() for output in answer) for answer in found]


# In a process of its own: the loader's path and TensorFlow's devices are fixed when a process starts.
TWIN = """
import pickle, sys
from tensorflow.python.framework import load_library
load_library.load_pluggable_device_library(sys.argv[1])
sys.path.insert(0, sys.argv[2])
import test_parity
test_parity.tell_of_twin(sys.argv[3])
"""


def tell_of_twin(path):
    found = {}
    for dtype in oracle.DTYPES:
        for option, options in OPTIONS.items():
            with tf.device("/GPU:0"):
                calls = [{name: tf.constant(value) for name, value in call.items()} for call in calls_of(dtype, option)]
                solved = solve_all(calls, options.get("maximize", False))
            assert all(output.device.endswith("GPU:0") for answer in solved for output in answer)
            found[dtype, option] = [tuple(output.numpy() for output in answer) for answer in solved]
    pathlib.Path(path).write_bytes(pickle.dumps(found))


@functools.cache
def answers_of_twin():
    needed = [GPU_PATH / "driver" / "libcuda.so.1", GPU_PATH / "host_device.so"]
    missing = [str(file.relative_to(GPU_PATH.parents[1])) for file in needed if not file.exists()]
    if missing:
        pytest.skip(f"the GPU path is NOT tested here: no {', '.join(missing)}; `make test-gpu-path` makes them")
    environment = {"LD_LIBRARY_PATH": str(needed[0].parent), "HUNGARIAN_STAND_IN_CUDA": "1"}
    with tempfile.TemporaryDirectory() as folder:
        told = pathlib.Path(folder) / "answers"
        result = oracle.run_python(TWIN, needed[1], pathlib.Path(__file__).parent, told, env=environment)
        assert result.returncode == 0, result.stderr[-5000:]
        return pickle.loads(told.read_bytes())


@EVERY_OPTION
@EVERY_DTYPE
@pytest.mark.parametrize("path", [*CPU_PATHS, *ON_GPU])
def test_every_path_keeps_the_promise(path, dtype, option):
    """Status and objective are SciPy's, and the certificate holds."""
    calls = list(calls_of(dtype, option))
    found = answers(path, dtype, option)
    assert len(found) == len(calls)
    for call, answer in zip(calls, found, strict=True):
        oracle.check_batch(
            call["cost"],
            Assignment(*answer),
            row_mask=call["row_mask"],
            col_mask=call["col_mask"],
            limit=call["cost_limit"],
            maximize=OPTIONS[option].get("maximize", False),
            note=f"{path} {call['cost'].shape}",
        )


@EVERY_OPTION
@EVERY_DTYPE
@pytest.mark.parametrize("path", [*(path for path in CPU_PATHS if path != "eager"), *ON_GPU])
def test_every_path_gives_the_same(path, dtype, option):
    """On a CPU all outputs to the last bit; a GPU may return another of equally good assignments."""
    calls = calls_of(dtype, option)
    for call, got, want in zip(calls, answers(path, dtype, option), answers("eager", dtype, option), strict=True):
        got, want = Assignment(*got), Assignment(*want)
        np.testing.assert_array_equal(got.status, want.status)
        if path in CPU_PATHS:
            for name in Assignment._fields:
                np.testing.assert_array_equal(getattr(got, name), getattr(want, name), name)
        else:
            # Without a limit the totals are the objectives, and equally many rows are matched.
            unlimited = ~np.isfinite(np.broadcast_to(call["cost_limit"], want.status.shape))
            got, want = (Assignment(*(output[unlimited] for output in answer)) for answer in (got, want))
            finite = np.isfinite(want.total_cost)
            np.testing.assert_array_equal(got.total_cost[~finite], want.total_cost[~finite])
            np.testing.assert_array_max_ulp(got.total_cost[finite], want.total_cost[finite], 1)
            np.testing.assert_array_equal((got.row_to_col < 0).sum(-1), (want.row_to_col < 0).sum(-1))
