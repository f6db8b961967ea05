"""Runs under `make test-gpu-path`: TensorFlow with a GPU in host memory, and the stand-in for libcuda on the loader's path."""

import ctypes
import os
import pathlib
import sys

import pytest

FOLDER = pathlib.Path(os.environ["HUNGARIAN_GPU_PATH"])
sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1] / "python")]
pytest.register_assert_rewrite("oracle", "test_bad_input")


def pytest_configure(config):
    # Before TensorFlow makes its devices.
    from tensorflow.python.framework import load_library

    load_library.load_pluggable_device_library(str(FOLDER / "host_device.so"))

    import tensorflow as tf

    # The device has next to no kernels but ours; what it lacks, as zeros for a gradient, may run on the CPU. That is
    # TensorFlow's default, but eager calls behind a function that names devices were seen to go without.
    tf.config.set_soft_device_placement(True)


@pytest.fixture
def copies():
    """A function that returns the copies so far: from the device, to the device."""
    library = ctypes.CDLL(str(FOLDER / "host_device.so"))

    def count():
        numbers = ctypes.c_int64(), ctypes.c_int64()
        library.host_device_copies(*map(ctypes.byref, numbers))
        return tuple(number.value for number in numbers)

    return count


@pytest.fixture
def launches():
    """A function that returns how many kernels have run on the stand-in so far: two for each call of the op."""
    count = ctypes.CDLL("libcuda.so.1").stand_in_cuda_launches
    count.restype = ctypes.c_longlong
    return count
