"""What XLA runs on a GPU: the custom call's handler for CUDA, up to the kernels' source.

XLA compiles for a GPU only where there is one, so xla_runtime.cc stands in for its runtime. That XLA emits the call is
tested on the CPU, where the same TensorFlow kernel emits it.
"""

import ctypes
import itertools
import os
import pathlib

import numpy as np
import pytest

import oracle
from hungarian_loss import Assignment

SEED = 20240614
FOLDER = pathlib.Path(os.environ["HUNGARIAN_GPU_PATH"])
TARGET = b"HungarianAssignment"
INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED = 3, 8, 12
# Within a program an op has no device of its own to be placed on.
ADVICE = "turn jit_compile off, or call the compiled function under tf.device('/CPU:0')"
# XLA_FFI_DataType.
TYPES = {"bool": 1, "int32": 4, "float16": 10, "float32": 11, "float64": 12, "bfloat16": 16}


class Array(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("dims", ctypes.POINTER(ctypes.c_int64)),
        ("data", ctypes.c_void_p),
    ]


def arrays(values):
    described = []
    for value in values:
        dims = (ctypes.c_int64 * value.ndim)(*value.shape)
        described.append(Array(TYPES[value.dtype.name], value.ndim, dims, value.ctypes.data))
    return (Array * len(described))(*described)


@pytest.fixture(scope="module")
def runtime():
    library = ctypes.CDLL(str(FOLDER / "xla_runtime.so"))
    library.runtime_may_record.restype = ctypes.c_bool
    library.runtime_wrote_to_freed_scratch.restype = ctypes.c_bool
    library.runtime_stream.restype = ctypes.c_uint64
    return library


@pytest.fixture(scope="module")
def driver():
    library = ctypes.CDLL("libcuda.so.1")
    library.stand_in_cuda_recorded.restype = ctypes.c_longlong
    return library


def scratch(runtime):
    counts = ctypes.c_int64(), ctypes.c_int64()
    runtime.runtime_counts(*map(ctypes.byref, counts))
    return tuple(count.value for count in counts)


def call(runtime, inputs, maximize=False, validate=False, outputs=None):
    """(code, message, outputs) of one call; outputs begin with arbitrary values."""
    cost = inputs[0]
    *batch, rows, cols = cost.shape if cost.ndim > 1 else (1, 1)
    real = oracle.real_type(cost.dtype)
    if outputs is None:
        shapes = [(real, batch), (np.int32, [*batch, rows]), (np.int32, [*batch, cols])]
        shapes += [(real, [*batch, rows]), (real, [*batch, cols]), (np.int32, batch)]
        outputs = [np.full(shape, 77, dtype) for dtype, shape in shapes]
    message = ctypes.create_string_buffer(1000)
    code = runtime.runtime_call(
        TARGET,
        arrays(inputs),
        ctypes.c_int64(len(inputs)),
        arrays(outputs),
        ctypes.c_int64(len(outputs)),
        ctypes.c_bool(maximize),
        ctypes.c_bool(validate),
        message,
        ctypes.c_size_t(len(message)),
    )
    return code, message.value.decode(), outputs


def inputs_of(cost, row_mask=True, col_mask=True, cost_limit=np.inf):
    real = oracle.real_type(cost.dtype)
    return [cost, np.array(row_mask), np.array(col_mask), np.array(cost_limit, real)]


# Command buffers. XLA records a custom call once, where the handler's traits allow that, and replays what was launched.


def recorded(runtime, driver, inputs, outputs=None):
    """(code, message, outputs) of a call that was recorded, launches recorded, result of replaying them."""
    driver.stand_in_cuda_record()
    try:
        answer = call(runtime, inputs, outputs=outputs)
    finally:
        count = driver.stand_in_cuda_recorded()
    return answer, count, driver.stand_in_cuda_replay()


def test_xla_may_not_record_it_into_a_command_buffer(runtime):
    assert runtime.runtime_take_name(b"recordable", b"CUDA", True)
    assert runtime.runtime_may_record(b"recordable")
    assert not runtime.runtime_may_record(TARGET)


def test_why_it_may_not_be_recorded(runtime, driver):
    """What XLA would replay: launches that write to scratch memory that was given back; nothing, for an empty batch."""
    cost = np.random.default_rng(SEED).uniform(size=(2, 300, 300))
    # The module and these kernels are loaded, which cannot be done while recording.
    assert call(runtime, inputs_of(cost))[0] == 0
    (code, *_), launched, replayed = recorded(runtime, driver, inputs_of(cost))
    assert (code, launched, replayed) == (0, 2, 0)
    assert runtime.runtime_wrote_to_freed_scratch()
    (code, *_), launched, replayed = recorded(runtime, driver, inputs_of(cost[:0]))
    assert (code, launched, replayed) == (0, 0, 0)
    # As XLA calls it: all is done on scratch memory that is the call's own.
    assert call(runtime, inputs_of(cost))[:2] == (0, "")
    assert not runtime.runtime_wrote_to_freed_scratch()


def test_why_the_first_call_may_not_be_recorded():
    """It loads the module, which a driver refuses to a thread that records."""
    code = """
    import ctypes, json, sys
    sys.path[:0] = sys.argv[1:]
    import numpy as np
    import test_xla_call as tests
    runtime, driver = tests.runtime.__wrapped__(), tests.driver.__wrapped__()
    inputs = tests.inputs_of(np.ones((2, 3, 4), np.float32))
    (code, message, _), launched, _ = tests.recorded(runtime, driver, inputs)
    print(json.dumps([code, message, launched, tests.call(runtime, inputs)[0]]))
    """
    folders = [pathlib.Path(__file__).parent, pathlib.Path(oracle.__file__).parent]
    code, message, launched, later = oracle.run_json(code, *folders)
    assert code != 0 and "cuModuleLoadDataEx" in message and "(900)" in message
    assert (launched, later) == (0, 0)


def test_kernels_run_on_the_stream_of_xla(tmp_path):
    """On another stream they would not wait for the kernels that compute the costs."""
    code = """
    import json, sys
    sys.path[:0] = sys.argv[1:]
    import numpy as np
    import test_xla_call as tests
    runtime = tests.runtime.__wrapped__()
    codes = [tests.call(runtime, tests.inputs_of(np.ones((2, size, size))))[0] for size in [3, 140]]
    print(json.dumps([codes, runtime.runtime_stream()]))
    """
    folders = [pathlib.Path(__file__).parent, pathlib.Path(oracle.__file__).parent]
    log = tmp_path / "log"
    codes, stream = oracle.run_json(code, *folders, env={"STAND_IN_CUDA_LOG": str(log)})
    calls = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    launched = [tuple(rest[:2]) for name, *rest in calls if name == "cuLaunchKernel"]
    kernels = ["search_by_warp_double", "prove_double", "search_by_block_double", "prove_double"]
    assert codes == [0, 0] and stream != 0
    assert launched == [(kernel, str(stream)) for kernel in kernels]


@pytest.mark.parametrize("maximize", [False, True], ids=["min", "max"])
@pytest.mark.parametrize("dtype", oracle.DTYPES)
def test_answers(dtype, maximize, runtime, launches):
    rng = np.random.default_rng(SEED)
    shapes = [(3, 4, 5), (2, 7, 3), (2, 2, 6, 6), (4, 5), (1, 40, 50), (2, 0, 3), (0, 3, 4)]
    sign = -1.0 if maximize else 1.0
    limits = itertools.cycle([np.inf, 0.4 * sign, "each"])
    for shape, limit, masked in zip(shapes, limits, itertools.cycle([False, True, True])):
        cost = oracle.generate("uniform", rng, shape, oracle.DTYPES[dtype], maximize)
        masks = {}
        if masked:
            row_mask = rng.uniform(size=shape[:-1]) < 0.7
            masks = {"row_mask": row_mask, "col_mask": rng.uniform(size=[*shape[:-2], shape[-1]]) < 0.7}
        if limit == "each":
            limit = sign * rng.uniform(-0.5, 1, size=shape[:-2])
        inputs = inputs_of(cost, cost_limit=limit, **masks)
        before, scratch_before = launches(), scratch(runtime)
        code, message, outputs = call(runtime, inputs, maximize)
        assert (code, message) == (0, "")
        assert (launches() > before) == (0 not in shape[:-2])
        # What XLA's allocator gave was given back.
        allocated, freed = (now - then for now, then in zip(scratch(runtime), scratch_before, strict=True))
        assert allocated == freed <= 1
        oracle.check_batch(cost, Assignment(*outputs), limit=inputs[3], maximize=maximize, note=f"{shape}", **masks)


def test_scratch_that_is_refused(runtime):
    """The largest problems need some."""
    inputs = inputs_of(np.random.default_rng(SEED).uniform(size=(2, 300, 300)))
    before = scratch(runtime)
    code, message, _ = call(runtime, inputs)
    assert (code, message) == (0, "") and scratch(runtime)[0] == before[0] + 1
    runtime.runtime_refuse_scratch(ctypes.c_bool(True))
    try:
        code, message, _ = call(runtime, inputs)
    finally:
        runtime.runtime_refuse_scratch(ctypes.c_bool(False))
    assert code == RESOURCE_EXHAUSTED
    assert "no GPU memory for" in message and "make the batch smaller" in message


def test_what_does_not_fit_is_refused(runtime, launches):
    """A program need not have been made by our kernel."""
    cost = np.ones((2, 3, 4), np.float32)
    good = inputs_of(cost)
    before = launches()
    refusals = [
        (inputs_of(np.ones(3, np.float32)), {}, "cost must have rank 2"),
        (inputs_of(cost, row_mask=np.full((2, 4), True)), {}, r"row_mask does not fit cost: got shape \[2,4\]"),
        (
            inputs_of(cost, cost_limit=[1.0] * 3),
            {},
            r"cost_limit does not fit cost: got shape \[3\], expected .* \[2\]",
        ),
        ([*good[:3], np.array(1.0)], {}, r"cost_limit \(U\) must be float when cost \(T\) is float, got double"),
        ([good[0], np.array(1, np.int32), *good[2:]], {}, "row_mask is int32 .*, expected bool"),
        (good[:3], {}, "got 3 operands and 6 results, expected 4 and 6"),
        (good, {"outputs": call(runtime, inputs_of(cost[:1]))[2]}, r"total_cost is float \[1\], expected float \[2\]"),
    ]
    launched = launches() - before
    for inputs, options, pattern in refusals:
        code, message, _ = call(runtime, inputs, **options)
        assert code == INVALID_ARGUMENT
        assert oracle.matches(pattern, message), message
    assert launches() == before + launched
    code, message, _ = call(runtime, good, validate=True)
    assert code == UNIMPLEMENTED and "validate=True is not available on GPU" in message
    assert message.endswith(f"look at the output status instead, or {ADVICE}")
    code, message, _ = call(runtime, inputs_of(np.ones((1, 1, 4097), np.float32)))
    assert (code, message) == (
        INVALID_ARGUMENT,
        f"got problems of 1 x 4097, expected at most 4096 rows and columns on a GPU; {ADVICE}",
    )


def test_a_name_that_is_taken_is_told_at_first_use():
    """XLA takes one handler for each name. The op is loaded all the same, and works without XLA."""
    code = """
    import ctypes, json, sys
    import tensorflow as tf
    runtime = ctypes.CDLL(sys.argv[1])
    assert runtime.runtime_take_name(b"HungarianAssignment", b"Host", False)
    from hungarian_loss import linear_assignment
    cost = tf.constant([[4.0, 1.0], [2.0, 3.0]])
    assert linear_assignment(cost).row_to_col.numpy().tolist() == [1, 0]
    try:
        tf.function(linear_assignment, jit_compile=True)(cost)
    except tf.errors.FailedPreconditionError as error:
        print(json.dumps(error.message))
    """
    message = oracle.run_json(code, FOLDER / "xla_runtime.so")
    assert oracle.matches(
        "cannot be compiled by XLA for Host.*load the op's library once.*turn jit_compile off", message
    )
