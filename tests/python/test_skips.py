"""Where a tool is missing, checks say so, count what they skip, and leave a line for the end of `make test`; what is no
check fails."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NO_VALGRIND = "valgrind is not installed; Debian's package valgrind brings it"
NO_PTXAS = "no ptxas: pip could not install its package from PyPI"
SIMULATOR, CYCLES = ROOT / "cuda" / "sim" / "run.py", ROOT / "cuda" / "sim" / "cycles.py"


@pytest.fixture
def run(tmp_path):
    """A function that runs a command where there are few tools, and returns what it says and the lines that it left."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "env", "tee", "true"):
        (tools / tool).symlink_to(shutil.which(tool))
    noted = tmp_path / "skipped.txt"
    here = {"PATH": str(tools), "HUNGARIAN_SKIPPED": str(noted)}
    nowhere = dict.fromkeys(("SIM_PTXAS", "SIM_NVDISASM"), str(tmp_path / "ptxas"))

    def run_there(*command):
        ended = subprocess.run(
            command, env=os.environ | here | nowhere, capture_output=True, text=True, cwd=ROOT, check=False
        )
        return ended, noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []

    return run_there


CHECKS = {
    "instructions": (
        [sys.executable, ROOT / "tests" / "instructions" / "check.py", "program"],
        "instructions: 0 checked,",
        NO_VALGRIND,
    ),
    "boundary": ([ROOT / "tests" / "cpp" / "run.sh", "true", "true"], "boundary:", NO_VALGRIND),
    "sim-check": ([sys.executable, SIMULATOR, "check"], "sim-check: 0 checked,", NO_PTXAS),
    "test-sim-cycles": ([sys.executable, CYCLES], "simulated cycles: 0 checked,", NO_PTXAS),
}


@pytest.mark.parametrize(("command", "what", "reason"), CHECKS.values(), ids=CHECKS)
def test_a_check_that_cannot_run_is_counted_as_skipped(command, what, reason, run):
    ended, noted = run(*command)
    assert ended.returncode == 0, ended.stderr
    (line,) = noted
    counted = rf"[1-9]\d* skipped \({re.escape(reason)}\)"
    assert re.fullmatch(f"SKIPPED: {what} {counted}", line)
    assert line in ended.stdout.splitlines()
    assert re.search(f"{counted}$", ended.stdout.splitlines()[-1])


OTHERS = {
    "record-instructions": (
        [*CHECKS["instructions"][0], "--record"],
        f"instructions: nothing recorded: {NO_VALGRIND}\n",
    ),
    "sim-time": ([sys.executable, SIMULATOR, "time"], f"sim-time: {NO_PTXAS}\n"),
    "sim-profile": ([sys.executable, SIMULATOR, "profile"], f"sim-profile: {NO_PTXAS}\n"),
    "record-sim-cycles": ([sys.executable, CYCLES, "--record"], f"simulated cycles: {NO_PTXAS}\n"),
}


@pytest.mark.parametrize(("command", "words"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_check_fails(command, words, run):
    ended, noted = run(*command)
    assert (ended.returncode, ended.stderr, noted) == (1, words, [])


@pytest.mark.parametrize("options", [[], ["--numprocesses", "2"]], ids=" ".join)
def test_pytest_leaves_a_line_for_each_file_and_reason(options, run):
    ended, noted = run(sys.executable, "-m", "pytest", *options, "tests/sim")
    assert ended.returncode == 0, ended.stdout
    (line,) = noted
    assert line.startswith("SKIPPED: tests/sim/test_simulator.py: ") and line.endswith(f" skipped ({NO_PTXAS})")
    assert f"{line.split()[2]} skipped in" in ended.stdout.splitlines()[-1] and NO_PTXAS in ended.stdout


def test_pytest_shows_what_was_skipped_before_it(run, tmp_path):
    (tmp_path / "skipped.txt").write_text("SKIPPED: tea (no kettle)\n", encoding="utf-8")
    ended, _ = run(sys.executable, "-m", "pytest", "tests/sim")
    *above, last = ended.stdout.splitlines()
    assert "SKIPPED: tea (no kettle)" in above and " skipped in " in last
