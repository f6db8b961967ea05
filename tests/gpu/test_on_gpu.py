"""The archive of `make gpu-package`, unpacked as on a machine with a GPU, and run on the stand-in or without any
driver."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tarfile
import time

import pytest

PACKAGE = os.environ["HUNGARIAN_GPU_PACKAGE"]
JAX = os.environ["HUNGARIAN_JAX"]
# What a shell script needs, and a compiler, but no tool of CUDA's.
PLAIN_PATH = "/usr/bin:/bin"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The package, unpacked."""
    target = tmp_path_factory.mktemp("package")
    with tarfile.open(PACKAGE) as archive:
        archive.extractall(target, filter="data")
    return target / "gpu_package"


@pytest.fixture(scope="module")
def script(folder):
    """run_on_gpu.py as a module."""
    spec = importlib.util.spec_from_file_location("run_on_gpu", folder / "run_on_gpu.py")
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up.
    sys.modules["run_on_gpu"] = module
    spec.loader.exec_module(module)
    return module


def run(path, *arguments, **environment):
    environment = {**os.environ, "PATH": PLAIN_PATH, **environment}
    command = [sys.executable, str(path), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def write_program(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
    path.chmod(0o755)


def summary(output):
    """The outcome of each step by its name."""
    lines = (output / "summary.txt").read_text(encoding="utf-8").splitlines()
    return {line[18:].split("  ")[0]: line.split()[0] for line in lines[:-1]}


def test_where_nothing_is_there_all_is_skipped_and_said_so(folder, tmp_path):
    ended = run(folder / "run_on_gpu.py", "--output", tmp_path, LD_LIBRARY_PATH="", PYTHONPATH="")
    assert ended.returncode == 77, ended.stdout + ended.stderr
    outcomes = summary(tmp_path)
    expected = ["nvidia-smi", "gpu-check", "compute-sanitizer", "ncu", "JAX", "torch-linear-assignment"]
    assert outcomes == dict.fromkeys(expected, "SKIPPED")
    assert ended.stdout.endswith("0 ok, 0 FAILED, 6 SKIPPED\n")
    assert "SKIPPED, nothing was checked: there is no GPU here" in (tmp_path / "gpu_check.txt").read_text(
        encoding="utf-8"
    )


def test_on_the_stand_in_each_step_is_run(folder, tmp_path):
    """In place of CUDA's tools there are scripts that run the program that they are given."""
    log, tools, output = tmp_path / "log", tmp_path / "tools", tmp_path / "output"
    note = f'echo "$(basename $0) $*" >> {log}\n'
    write_program(tools / "nvidia-smi", note)
    write_program(tools / "compute-sanitizer", f'{note}shift 4\nexec "$@"\n')
    write_program(tools / "ncu", f'{note}shift 9\nexec "$@"\n')
    path = f"{tools}:{PLAIN_PATH}"
    ended = run(folder / "run_on_gpu.py", "--stand-in", "--output", output, PATH=path, PYTHONPATH=JAX)
    texts = [file.read_text(encoding="utf-8") for file in output.glob("*.txt")]
    assert ended.returncode == 0, ended.stdout + ended.stderr + "\n".join(texts)
    outcomes = summary(output)
    assert outcomes.pop("torch-linear-assignment") == "SKIPPED"
    assert len(outcomes) == 2 + 4 + 5 + 1 and set(outcomes.values()) == {"ok"}
    calls = log.read_text(encoding="utf-8").splitlines()
    assert [call.split(" ")[0] for call in calls] == ["nvidia-smi"] + ["compute-sanitizer"] * 4 + ["ncu"] * 5
    assert [" --uninitialized" in call for call in calls[1:5]] == [" initcheck " in call for call in calls[1:5]]
    sanitized = (output / "compute_sanitizer_racecheck.txt").read_text(encoding="utf-8")
    assert "\n44 cases, all right\n" in sanitized
    profiled = (output / "ncu_208_x_300_x_300.txt").read_text(encoding="utf-8")
    assert "\ntime f32 208 x 300 x 300 ... " in profiled and "\n1 cases, all right\n" in profiled
    checked = (output / "JAX.txt").read_text(encoding="utf-8")
    assert "THIS IS NO GPU" in checked and checked.endswith(
        "\nwith JAX all is right: answers, stream, scratch, command buffers; 2 skipped\n"
    )
    parts = [line for line in checked.splitlines() if line.endswith(": right")]
    assert parts == [f"{part}: right" for part in ("answers", "stream", "scratch", "command buffers")]


def test_wrong_answers_in_jax_are_a_failure(folder):
    ended = run(
        folder / "jax_check.py", "--stand-in", "--only", "scratch", PYTHONPATH=JAX, STAND_IN_CUDA_SPOIL="prove_half"
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "scratch: WRONG, 1\n" in ended.stdout and ended.stdout.endswith("FAILED: scratch\n")


def test_what_only_a_gpu_can_show_is_not_called_right(folder):
    ended = run(folder / "jax_check.py", "--stand-in", "--only", "recorded", PYTHONPATH=JAX)
    assert ended.returncode == 77, ended.stdout + ended.stderr
    assert "SKIPPED: recorded: without a GPU nothing is recorded\n" in ended.stdout
    assert ended.stdout.endswith("SKIPPED, nothing was checked with JAX: no part has a verdict here\n")


def test_it_goes_on_behind_what_hangs(folder, script, tmp_path, monkeypatch):
    """gpu-check ends with the case that hangs, and is started again behind it."""
    program = tmp_path / "gpu-check"
    hang = "HANGS: go on behind it with --after 'check 3: f16'"
    write_program(
        program, f'echo "$*" >> {tmp_path}/log\ncase "$*" in *--after*) ;; *) echo "{hang}"; exit 1 ;; esac\n'
    )
    monkeypatch.setattr(script, "PROGRAM", program)
    monkeypatch.setenv("PATH", PLAIN_PATH)
    session = script.Session(tmp_path)
    session.begin("a")
    script.check_and_time(session)
    assert [(step.name, step.outcome) for step in session.steps[-2:]] == [
        ("gpu-check", "FAILED"),
        ("gpu-check, attempt 2", "ok"),
    ]
    calls = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert calls == ["--time-first", "--time-first --after check 3: f16"]


def test_a_step_that_does_not_end_is_ended_with_all_that_it_started(script, tmp_path):
    session = script.Session(tmp_path)
    session.begin("a")
    start = time.monotonic()
    outcome, _ = session.run("slow", ["sh", "-c", f"sleep 100 & echo $! > {tmp_path}/pid; echo begun; wait"], 0.5)
    assert outcome == "FAILED" and time.monotonic() - start < 30
    assert "no end in" in session.steps[0].note and "begun" in session.steps[0].note
    child = pathlib.Path("/proc") / (tmp_path / "pid").read_text(encoding="utf-8").strip()
    while child.exists() and "State:\tZ" not in (child / "status").read_text(encoding="utf-8"):
        assert time.monotonic() - start < 30
        time.sleep(0.05)
    outcome, text = session.run("next", ["echo", "still here"], 5)
    assert outcome == "ok" and "still here" in text


def test_nothing_is_begun_when_the_time_is_over(script, tmp_path):
    session = script.Session(tmp_path)
    session.begin("b")
    session.deadline = time.monotonic() + 1
    assert session.run("late", ["touch", tmp_path / "touched"], 5)[0] == "SKIPPED"
    assert not (tmp_path / "touched").exists()
    assert "SKIPPED" in (tmp_path / "summary.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "outcome"), [("exit 3", "FAILED"), ("exit 77", "SKIPPED"), ("echo '==ERROR== no permission'", "FAILED")]
)
def test_how_a_step_ends(script, tmp_path, command, outcome):
    session = script.Session(tmp_path)
    session.begin("c")
    assert session.run("step", ["sh", "-c", command], 5, bad="==ERROR==.*")[0] == outcome


def test_another_kernel_is_not_timed_where_it_cannot_be(folder, tmp_path):
    ended = run(folder / "time_peer.py", tmp_path)
    assert ended.returncode == 77 and "SKIPPED, torch-linear-assignment was not timed: its source" in ended.stdout
    ended = run(folder / "time_peer.py", folder / "peer")
    assert (
        ended.returncode == 77
        and ended.stdout == "SKIPPED, torch-linear-assignment was not timed: there is no Triton here\n"
    )
