"""What a user reads when the driver is missing, too old, or refuses a call: each call that we make is made to fail in
turn.

A failure ends one call of the op. It is not remembered, and the next call is right.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
FOLDER = pathlib.Path(os.environ["HUNGARIAN_GPU_PATH"])

PRELUDE = """
import os, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import conftest
conftest.pytest_configure(None)
import numpy as np
import tensorflow as tf
from on_devices import solve

def attempt(cost=np.ones((2, 2), np.float32)):
    try:
        print("OK", solve("/GPU:0", cost).row_to_col.numpy().tolist(), sep="|")
    except tf.errors.OpError as error:
        message = error.message.split("}} ")[-1].split(" [Op:")[0]
        print(type(error).__name__, message, sep="|")
"""


def run(script, *arguments, **environment):
    """What the script prints, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-c", PRELUDE + script, str(HERE), str(HERE.parent / "python"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, f"status {ended.returncode}\n{ended.stdout}\n{ended.stderr[-5000:]}"
    return ended.stdout.splitlines()


RIGHT = "OK|[0, 1]"
REPORT = "please report it with the GPU's name and the driver's version, and place the op on the CPU until then"
MEMORY = (
    "free memory of the GPU: run a smaller batch, or leave the driver more than TensorFlow does by itself "
    "(tf.config.experimental.set_memory_growth)"
)
DEVICE = "see whether nvidia-smi and CUDA_VISIBLE_DEVICES show the GPU to this process, or place the op on the CPU"
IMAGE = (
    "the driver must be able to compile PTX for this GPU: update it to R525 or later with its PTX compiler "
    "(libnvidia-ptxjitcompiler.so), and see that CUDA_DISABLE_PTX_JIT is not set; or place the op on the CPU"
)
INSTALLATION = (
    "what was found as libcuda is not a whole driver: after an update restart the machine, take folders of stubs out of "
    "LD_LIBRARY_PATH, or install NVIDIA's driver again; or place the op on the CPU"
)
EARLIER = (
    "a kernel that was launched before has failed, not necessarily one of this op: run with CUDA_LAUNCH_BLOCKING=1 to "
    "see which, and start the process again"
)
FULL = "CUDA_ERROR_OUT_OF_MEMORY (2), out of memory"
INVALID = "CUDA_ERROR_INVALID_VALUE (1), invalid argument"

VERSION, CAPABILITY = "STAND_IN_CUDA_VERSION", "STAND_IN_CUDA_CAPABILITY"

# What goes wrong (a call and its result, or what the driver says of itself) and what is said, in the order in which the calls
# are made: a call that has succeeded is not made again.
FAILURES = {
    f"{VERSION}=11080": "FailedPreconditionError|the CUDA driver is too old: got one for CUDA 11.8, expected 12.0 or later: "
    "update NVIDIA's driver to R525 or later, or place the op on the CPU",
    "cuDriverGetVersion=1": f"InternalError|cuDriverGetVersion failed: {INVALID}; {REPORT}",
    "cuInit=100": "FailedPreconditionError|cuInit failed: CUDA_ERROR_NO_DEVICE (100), no CUDA-capable device is detected; "
    + DEVICE,
    "cuInit=803": "FailedPreconditionError|cuInit failed: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803), system has unsupported "
    f"display driver / cuda driver combination; {INSTALLATION}",
    "cuStreamGetCtx=1": f"InternalError|cuStreamGetCtx failed: {INVALID}; {REPORT}",
    "cuCtxGetId=1": f"InternalError|cuCtxGetId failed: {INVALID}; {REPORT}",
    "cuCtxPushCurrent_v2=1": f"InternalError|cuCtxPushCurrent_v2 failed: {INVALID}; {REPORT}",
    "cuCtxGetDevice=101": "FailedPreconditionError|cuCtxGetDevice failed: CUDA_ERROR_INVALID_DEVICE (101), invalid device "
    f"ordinal; {DEVICE}",
    "cuDeviceGetAttribute=1": f"InternalError|cuDeviceGetAttribute failed: {INVALID}; {REPORT}",
    f"{CAPABILITY}=61": "FailedPreconditionError|got a GPU of compute capability 6.1, expected 7.0 (Volta) or later; place "
    "the op on the CPU",
    "cuModuleLoadDataEx=209": "FailedPreconditionError|cuModuleLoadDataEx failed: CUDA_ERROR_NO_BINARY_FOR_GPU (209), no "
    f"kernel image is available for execution on the device; {IMAGE}",
    "cuModuleLoadDataEx=218": "FailedPreconditionError|cuModuleLoadDataEx failed: CUDA_ERROR_INVALID_PTX (218), a PTX JIT "
    f"compilation failed: ptxas fatal : Unresolved extern function 'f'; {IMAGE}",
    "cuModuleLoadDataEx=221": "FailedPreconditionError|cuModuleLoadDataEx failed: CUDA_ERROR_JIT_COMPILER_NOT_FOUND (221), "
    f"PTX JIT compiler not found; {IMAGE}",
    "cuModuleLoadDataEx=222": "FailedPreconditionError|cuModuleLoadDataEx failed: CUDA_ERROR_UNSUPPORTED_PTX_VERSION (222), "
    f"the provided PTX was compiled with an unsupported toolchain; {IMAGE}",
    "cuModuleLoadDataEx=2": f"ResourceExhaustedError|cuModuleLoadDataEx failed: {FULL}; {MEMORY}",
    "cuModuleGetFunction=500": "InternalError|cuModuleGetFunction failed: CUDA_ERROR_NOT_FOUND (500), named symbol not "
    f"found; {REPORT}",
    "cuFuncGetAttribute=1": f"InternalError|cuFuncGetAttribute failed: {INVALID}; {REPORT}",
    "cuCtxPopCurrent_v2=201": "InternalError|cuCtxPopCurrent_v2 failed: CUDA_ERROR_INVALID_CONTEXT (201), invalid device "
    f"context; {REPORT}",
    "cuFuncSetAttribute=1": f"InternalError|cuFuncSetAttribute failed: {INVALID}; {REPORT}",
    "cuLaunchKernel=2": f"ResourceExhaustedError|cuLaunchKernel failed: {FULL}; {MEMORY}",
    "cuLaunchKernel=700": "InternalError|cuLaunchKernel failed: CUDA_ERROR_ILLEGAL_ADDRESS (700), an illegal memory access "
    f"was encountered; {EARLIER}",
    "cuLaunchKernel=701": "InternalError|cuLaunchKernel failed: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701), too many resources "
    f"requested for launch; {REPORT}",
    "cuLaunchKernel=220": "InternalError|cuLaunchKernel failed: CUDA_ERROR_NVLINK_UNCORRECTABLE (220), uncorrectable NVLink error "
    f"detected during the execution; {EARLIER}",
    # CONTAINED and TENSOR_MEMORY_LEAK, which drivers for CUDA 12.8 and later have.
    "cuLaunchKernel=226": f"InternalError|cuLaunchKernel failed: result 226, which the driver has no name for; {EARLIER}",
    "cuLaunchKernel=721": f"InternalError|cuLaunchKernel failed: result 721, which the driver has no name for; {EARLIER}",
    # One that cudarc's enumeration does not have.
    "cuLaunchKernel=4711": "InternalError|cuLaunchKernel failed: result 4711, which the driver has no name for; "
    + REPORT,
}

EACH_FAILURE = """
for order in sys.argv[3:]:
    variable, value = order.split("=") if order.startswith("STAND_IN") else ("STAND_IN_CUDA_FAIL", order)
    os.environ[variable] = value
    # The first kernel of this one needs more shared memory than there is without asking.
    attempt(np.zeros((120, 120)))
    del os.environ[variable]
attempt()
"""


def test_each_call_fails_with_a_sentence():
    *got, after = run(EACH_FAILURE, *FAILURES)
    assert dict(zip(FAILURES, got, strict=True)) == FAILURES
    assert after == RIGHT


def test_every_call_that_is_made_was_made_to_fail():
    source = (HERE.parents[1] / "src/cuda/driver.rs").read_text()
    tables = re.findall(r"^calls! \{\n(.*?)^\}", source, re.DOTALL | re.MULTILINE)
    called = {name for table in tables for name in re.findall(r"^    (cu\w+)\(", table, re.MULTILINE)}
    assert called == {order.split("=")[0] for order in FAILURES if not order.startswith("STAND_IN")}


def test_no_driver_on_the_machine():
    [got] = run("attempt()", LD_LIBRARY_PATH="")
    assert got == (
        "FailedPreconditionError|found no CUDA driver (libcuda.so.1), expected that of the GPU on which this runs: install "
        "NVIDIA's driver, R525 or later, or place the op on the CPU"
    )


def test_another_library_of_that_name():
    [got] = run("attempt()", LD_LIBRARY_PATH=str(FOLDER / "no_driver"))
    assert got == (
        "FailedPreconditionError|the CUDA driver has no function cuDriverGetVersion: what was found as libcuda.so.1 is not NVIDIA's "
        "driver of version R525 or later; see which file that is (ldconfig -p), or place the op on the CPU"
    )


def test_a_stub_beside_the_driver_is_not_taken_for_it(tmp_path):
    """CUDA's folders of stubs have a libcuda.so, without the number by which TensorFlow opens the driver."""
    shutil.copy(FOLDER / "no_driver" / "libcuda.so.1", tmp_path / "libcuda.so")
    [got] = run("attempt()", LD_LIBRARY_PATH=f"{tmp_path}:{FOLDER / 'driver'}")
    assert got == RIGHT


def test_a_driver_that_lacks_later_functions_is_too_old():
    [got] = run("attempt()", LD_LIBRARY_PATH=str(FOLDER / "old_driver"))
    assert got == FAILURES[f"{VERSION}=11080"].replace("11.8", "11.4")


def test_the_stand_in_does_nothing_outside_tests():
    [got] = run("attempt()", HUNGARIAN_STAND_IN_CUDA="")
    assert got == (
        "FailedPreconditionError|cuInit failed: CUDA_ERROR_STUB_LIBRARY (34), CUDA driver is a stub library; "
        + INSTALLATION
    )


def test_without_a_driver_the_cpu_still_solves():
    [got] = run("print(solve('/CPU:0', np.ones((2, 2), np.float32)).row_to_col.numpy().tolist())", LD_LIBRARY_PATH="")
    assert got == "[0, 1]"


def test_a_driver_that_was_not_asked_for_is_not_opened():
    script = """
solve("/CPU:0", np.ones((2, 2), np.float32))
solve("/GPU:0", np.ones((0, 2, 2), np.float32))
print("libcuda" in open("/proc/self/maps").read())
attempt()
print("libcuda" in open("/proc/self/maps").read())
"""
    assert run(script) == ["False", RIGHT, "True"]


@pytest.mark.parametrize("bytes_of_package", [b"STAND_IN_CUDA", b"hungarian-loss stand-in"])
def test_the_package_has_nothing_of_the_stand_in(bytes_of_package):
    assert bytes_of_package in (FOLDER / "driver/libcuda.so.1").read_bytes()
    assert bytes_of_package not in pathlib.Path(os.environ["HUNGARIAN_OP_LIBRARY"]).read_bytes()
