"""`make gpu-check` on machines that have no GPU: it says so; and its code is run on the stand-in, which it says loudly."""

import os
import subprocess
import time

import pytest

PROGRAM = os.environ["HUNGARIAN_GPU_CHECK"]
# In half precision; a warp searches each problem.
HALF = ("--quick", "--case", ": f16 1 x 16 x 16")


def run(*arguments, **environment):
    environment = {**os.environ, **environment}
    command = [PROGRAM, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def cases(ended):
    """The names of the cases that were begun."""
    lines = ended.stdout.splitlines()
    return [line.split(" ... ")[0] for line in lines if line.startswith(("check ", "time "))]


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


def test_on_the_stand_in_all_is_right_and_marked_as_no_gpu():
    ended = run()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "THIS IS NO GPU" in ended.stdout and "THAT WAS NO GPU" in ended.stdout
    assert "all 12 kernels were launched" in ended.stdout
    names = cases(ended)
    assert f"{len(names)} cases, all right" in ended.stdout
    assert [name.split(" ")[0] for name in names] == ["check"] * 44 + ["time"] * 5
    assert len(set(names)) == len(names)


def test_rows_name_kernels_caches_and_the_device():
    ended = run("--case", "time f32 4096 x 16 x 16")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [line.strip() for line in ended.stdout.splitlines() if " | " in line]
    assert all("stand-in (no GPU)" in row for row in rows)
    assert sum(row.startswith("kernel | ") and " registers, " in row and " local memory" in row for row in rows) == 12
    assert any(row.startswith("load: the driver compiles the kernels ... ") for row in rows)
    for kernel in ("search_by_warp_float", "prove_float"):
        assert any(row.startswith("launch | ") and f"{kernel}: 1 blocks of 32 threads" in row for row in rows)
    for state in ("warm", "cold"):
        (row,) = (row for row in rows if row.startswith(f"L2 {state} | time f32 4096 x 16 x 16 | "))
        assert "search_by_warp_float " in row and "prove_float " in row and "sum " in row
        assert "NO GPU, one problem, times mean nothing" in row


@pytest.mark.parametrize("runs", [1, 3])
def test_runs_are_how_often_a_batch_is_launched(runs, tmp_path):
    """With a cold and a warm cache, and once for the answer."""
    log = tmp_path / "log"
    ended = run("--case", "time f32 4096", "--runs", str(runs), STAND_IN_CUDA_LOG=str(log))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    calls = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    streams = {rest[0] for name, *rest in calls if name == "cuStreamCreate"}
    launched = [rest for name, *rest in calls if name == "cuLaunchKernel"]
    assert len([kernel for kernel, *_ in launched if kernel == "prove_float"]) == 2 * runs + 1
    # All on a stream of the program's own.
    assert streams and "0" not in streams
    assert all(stream in streams and result == "0" for _, stream, result in launched)


def test_times_may_come_first():
    names = cases(run("--time-first", "--quick", "--case", "16 x 16"))
    assert [name.split(" ")[0] for name in names] == ["time"] + ["check"] * 8


def test_the_quick_part_is_part_of_all():
    """The same name stands for the same case, and a case's random numbers do not depend on the other cases."""
    some = cases(run(*HALF))
    assert len(some) == 2
    assert set(some) <= set(cases(run("--case", ": f16 1 x 16 x 16 ")))


def test_it_goes_on_behind_a_case():
    text = ("--quick", "--case", "x 16 x 16")
    names = cases(run(*text))
    assert cases(run(*text, "--after", names[3])) == names[4:]


def test_memory_may_be_left_as_it_is(tmp_path):
    """Without the option each output is uploaded, full of a value that no kernel writes, and the workspace is
    filled."""
    uploads = []
    for options in ((), ("--uninitialized",)):
        log = tmp_path / f"log{len(uploads)}"
        ended = run("--quick", "--case", ": f16 1 x 100 x 100", *options, STAND_IN_CUDA_LOG=str(log))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        text = log.read_text(encoding="utf-8")
        uploads.append((text.count("cuMemcpyHtoDAsync_v2"), text.count("cuMemsetD8Async")))
    # Only costs, two masks and a limit are uploaded.
    assert uploads == [(4 + 2 * 6, 2), (4, 0)]


def test_help():
    ended = run("--help")
    assert ended.returncode == 0
    for option in ("time-first", "quick", "case", "after", "runs", "uninitialized", "patience", "help"):
        assert f"  --{option} " in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fast"], "unknown option --fast"),
        (["quick"], "unknown option quick"),
        (["--case"], "--case needs a value"),
        (["--patience", "soon"], "--patience needs a whole number above 0, got soon"),
        (["--runs", "0"], "--runs needs a whole number above 0, got 0"),
        (["--case", "nothing like it"], "the options leave no case"),
        (["--after", "check 0"], "--after: no case is called 'check 0'"),
    ],
)
def test_what_is_not_understood_is_no_check(arguments, message):
    ended = run(*arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"gpu-check: {message}\n") and "Usage: gpu-check" in ended.stderr


def test_wrong_answers_are_listed_and_the_rest_is_run():
    ended = run("--quick", "--case", "x 16 x 16", STAND_IN_CUDA_SPOIL="prove_half")
    assert ended.returncode == 1
    names = cases(ended)
    wrong = [name for name in names if ": f16 " in name]
    assert len(names) == 9 and len(wrong) == 2
    listed = ended.stdout.split("FAILED, for 2 reasons:\n")[1].splitlines()
    assert [line.strip().split(": counted from problem 0: status")[0] for line in listed] == wrong
    assert ended.stdout.count("right, ") == 7 and ended.stdout.count("WRONG: ") == 2
    assert ended.stdout.index("THAT WAS NO GPU") < ended.stdout.index("FAILED")


def test_errors_are_listed_and_the_rest_is_run():
    ended = run(*HALF, STAND_IN_CUDA_FAIL="cuLaunchKernel=719")
    assert ended.returncode == 1
    listed = ended.stdout.split("FAILED, for 2 reasons:\n")[1].splitlines()
    assert len(listed) == 2 and all("CUDA_ERROR_LAUNCH_FAILED" in line for line in listed)


def test_nothing_more_is_asked_of_a_gpu_that_is_lost():
    ended = run(*HALF, STAND_IN_CUDA_FAIL="cuMemAlloc_v2=700")
    assert ended.returncode == 1
    (name,) = cases(ended)
    assert f"LOST: go on behind it with --after '{name}'\n" in ended.stdout
    assert "the GPU answers no more: 1 cases were not run" in ended.stdout


def test_what_hangs_is_named_and_ended():
    start = time.monotonic()
    ended = run("--quick", "--case", "x 16 x 16", "--patience", "1", STAND_IN_CUDA_HANG="prove_half")
    assert ended.returncode == 1 and time.monotonic() - start < 60
    *others, name = cases(ended)
    assert ": f16 " in name and others and not any(": f16 " in other for other in others)
    assert f"  {name}: HANGS: the GPU has not ended it in 1 s\n" in ended.stdout
    assert ended.stdout.endswith(f"HANGS: go on behind it with --after '{name}'\n")
