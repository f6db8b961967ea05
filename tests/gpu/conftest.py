"""Under `make test-gpu-path` TensorFlow has a GPU in host memory, and the stand-in for libcuda is on the loader's path.

`make test-on-gpu` runs test_gpu_kernel.py on a real GPU: there HUNGARIAN_GPU_PATH is not set, and nothing counts launches or copies.
"""

import contextlib
import ctypes
import os
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(os.environ["HUNGARIAN_GPU_PATH"]) if "HUNGARIAN_GPU_PATH" in os.environ else None
sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "python")]
pytest.register_assert_rewrite("oracle", "test_bad_input")


def pytest_configure(config):
    if FOLDER is not None:
        # Before TensorFlow makes its devices.
        from tensorflow.python.framework import load_library

        load_library.load_pluggable_device_library(str(FOLDER / "host_device.so"))

    import tensorflow as tf

    if FOLDER is None and not tf.config.list_physical_devices("GPU"):
        pytest.exit("SKIPPED: TensorFlow sees no GPU here, so nothing was tested on one", returncode=77)
    # The device has hardly any kernels but ours; what it lacks, such as zeros for a gradient, may run on the CPU. That
    # is TensorFlow's default, but eager calls after a function that names devices were seen to run without it.
    tf.config.set_soft_device_placement(True)


@pytest.fixture
def copies():
    """A function that returns the copies so far: from the device, to the device."""
    if FOLDER is None:
        pytest.skip("only the stand-in's device counts copies")
    library = ctypes.CDLL(str(FOLDER / "host_device.so"))

    def count():
        numbers = ctypes.c_int64(), ctypes.c_int64()
        library.host_device_copies(*map(ctypes.byref, numbers))
        return tuple(number.value for number in numbers)

    return count


@pytest.fixture
def launches():
    """A function that returns how many kernels have run on the stand-in so far: two for each call of the op."""
    if FOLDER is None:
        pytest.skip("only the stand-in for the driver counts launches")
    count = ctypes.CDLL("libcuda.so.1").stand_in_cuda_launches
    count.restype = ctypes.c_longlong
    return count


@pytest.fixture
def expect_launches(request):
    """A context manager that checks how many launches happen in it. A real driver counts none: there it checks
    nothing."""

    @contextlib.contextmanager
    def expect(expected):
        if FOLDER is None:
            yield
            return
        count = request.getfixturevalue("launches")
        before = count()
        yield
        assert count() - before == expected

    return expect
