"""`make gpu-check` on machines that have no GPU: it says so; and its code is run on the stand-in, which it says loudly."""

import os
import subprocess

PROGRAM = os.environ["HUNGARIAN_GPU_CHECK"]


def run(**environment):
    environment = {**os.environ, **environment}
    return subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_without_a_driver_it_skips_and_says_so():
    ended = run(LD_LIBRARY_PATH="")
    assert ended.returncode == 77
    assert ended.stdout.startswith("SKIPPED, nothing was checked: there is no GPU here: found no CUDA driver")


def test_without_a_gpu_it_skips_and_says_so():
    ended = run(STAND_IN_CUDA_FAIL="cuInit=100")
    assert ended.returncode == 77
    assert "SKIPPED, nothing was checked" in ended.stdout and "CUDA_ERROR_NO_DEVICE" in ended.stdout


def test_a_driver_too_old_is_a_failure():
    ended = run(STAND_IN_CUDA_VERSION="11080")
    assert ended.returncode == 1
    assert ended.stdout.startswith("FAILED: the CUDA driver is too old")


def test_a_kernel_that_fails_is_a_failure():
    ended = run(STAND_IN_CUDA_FAIL="cuLaunchKernel=719")
    assert ended.returncode == 1
    assert "FAILED: " in ended.stdout and "CUDA_ERROR_LAUNCH_FAILED" in ended.stdout


def test_on_the_stand_in_all_is_right_and_marked_as_no_gpu():
    ended = run()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "THIS IS NO GPU" in ended.stdout and "THAT WAS NO GPU" in ended.stdout
    assert "all 12 kernels were launched" in ended.stdout
    timed = [line for line in ended.stdout.splitlines() if " x " in line]
    assert len(timed) == 5 and all("NO GPU" in line for line in timed)
