"""All that half an hour on a real GPU is for: checks and times, compute-sanitizer and ncu, JAX, another's kernel.

Usage: python run_on_gpu.py [--output FOLDER] [--only a|b|c] [--stand-in]

Needs a driver and Python 3.10; uses what is there of compute-sanitizer, ncu, JAX, a C++ compiler, Triton, PyTorch and CuPy. Steps for which
something is missing are reported as SKIPPED. `make gpu-package` puts what must lie beside this file into one archive.

Three parts of 8, 10 and 8 minutes at most; a step that fails or takes too long ends alone. Everything that is printed goes to
FOLDER, a file for each step, and `summary.txt` there names all steps. Exits with 0 if none failed, 1 if one did, 77 if all were skipped.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE / "gpu-check"
# gpu-check and the scripts beside this one exit with it where something is missing.
SKIPPED = 77
MINUTES = {"a": 8, "b": 10, "c": 8}
# With less of a part's time left, no step is begun.
LEAST_SECONDS = 3
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
TIMED = ("32 x 100 x 100", "208 x 300 x 100", "208 x 300 x 300", "208 x 300 x 600", "4096 x 16 x 16")
# How gpu-check says where to go on.
GO_ON = re.compile(r"^(?:HANGS|LOST): go on behind it with --after '(.*)'$", re.MULTILINE)


@dataclasses.dataclass
class Step:
    """How a step went."""

    name: str
    outcome: str
    seconds: float
    note: str


class Session:
    """Runs steps within the time of their part."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.steps: list[Step] = []
        self.deadline = 0.0
        # The driver's cache of what it compiled is empty at first, so that the first step shows how long that takes.
        self.environment = {**os.environ, "CUDA_CACHE_PATH": str(folder / "driver_cache")}

    def begin(self, part: str) -> None:
        """The part's time runs from now on."""
        self.deadline = time.monotonic() + 60 * MINUTES[part]
        print(f"\n==== part {part}: {MINUTES[part]} minutes at most ====", flush=True)

    def add(self, name: str, outcome: str, seconds: float = 0.0, note: str = "") -> None:
        """One more step, said at once and kept in the summary, whatever comes next."""
        step = Step(name, outcome, seconds, note)
        self.steps.append(step)
        print(f"{outcome}: {name}, {seconds:.0f} s{f': {note}' if note else ''}", flush=True)
        self.write_summary()

    def write_summary(self) -> str:
        """All steps, the ones that were skipped or failed in capitals."""
        lines = [f"{step.outcome:8} {step.seconds:5.0f} s  {step.name}  {step.note}".rstrip() for step in self.steps]
        counts = {
            outcome: sum(step.outcome == outcome for step in self.steps) for outcome in ("ok", "FAILED", "SKIPPED")
        }
        lines.append(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
        text = "\n".join(lines) + "\n"
        (self.folder / "summary.txt").write_text(text, encoding="utf-8")
        return text

    def run(self, name: str, command: list, limit: float, bad: str = "") -> tuple[str, str]:
        """Runs a step, `limit` seconds at most, and returns its outcome and what it printed.

        A tool may exit with 0 where it could do nothing: output that `bad` is found in is a failure.
        """
        left = self.deadline - time.monotonic()
        if left < LEAST_SECONDS:
            self.add(name, "SKIPPED", note="the part's time is over")
            return "SKIPPED", ""
        path = self.folder / (re.sub(r"\W+", "_", name).strip("_") + ".txt")
        print(f"-- {name}: see {path.name}", flush=True)
        start = time.monotonic()
        with path.open("w", encoding="utf-8") as file:
            file.write(f"$ {' '.join(map(str, command))}\n")
            file.flush()
            # A group of its own: what the command starts ends with it.
            process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
            try:
                status = process.wait(min(limit, left))
            except subprocess.TimeoutExpired:
                status = None
            finally:
                end_group(process)
        text = path.read_text(encoding="utf-8", errors="replace")
        seconds = time.monotonic() - start
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:200]
        if status is None:
            outcome, note = "FAILED", f"no end in {seconds:.0f} s; the last it said: {last}"
        elif status == SKIPPED:
            outcome, note = "SKIPPED", last
        elif status != 0:
            outcome, note = "FAILED", f"status {status}: {last}"
        elif bad and (found := re.search(bad, text)):
            outcome, note = "FAILED", f"status 0, but it says: {found[0]}"
        else:
            outcome, note = "ok", last
        self.add(name, outcome, seconds, note)
        return outcome, text


def tool_named(name: str) -> str | None:
    """Where a program is: on PATH, or where CUDA is installed."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/cuda/bin")


def end_group(process: subprocess.Popen) -> None:
    """Ends all that a step started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        process.wait(LEAST_SECONDS)
    except subprocess.TimeoutExpired:
        # The operating system waits for the GPU. Later steps may fare no better, but they are tried.
        print(f"process {process.pid} cannot be ended", flush=True)


def check_and_time(session: Session) -> None:
    """Runs gpu-check, and again from behind each case that hung or lost the GPU."""
    if tool := tool_named("nvidia-smi"):
        session.run("nvidia-smi", [tool, "-q"], 20)
    else:
        session.add("nvidia-smi", "SKIPPED", note="it is not there")
    options: list[str] = []
    for attempt in range(1, 21):
        name = "gpu-check" if attempt == 1 else f"gpu-check, attempt {attempt}"
        _, text = session.run(name, [PROGRAM, "--time-first", *options], 60 * MINUTES["a"])
        last = GO_ON.search(text)
        if last is None:
            return
        options = ["--after", last[1]]


def sanitize_and_profile(session: Session) -> None:
    """Four tools on some 40 problems, then counters of five batches."""
    if tool := tool_named("compute-sanitizer"):
        for kind in TOOLS:
            command = [tool, "--tool", kind, "--error-exitcode", "1", PROGRAM, "--quick", "--case", "check "]
            command += ["--patience", "600"]
            # initcheck finds reads of unwritten memory only where gpu-check does not fill the memory first.
            command += ["--uninitialized"] if kind == "initcheck" else []
            session.run(f"compute-sanitizer {kind}", command, 90)
    else:
        session.add("compute-sanitizer", "SKIPPED", note="it is not there")
    tool = tool_named("ncu")
    if tool is None:
        session.add("ncu", "SKIPPED", note="it is not there")
        return
    for sizes in TIMED:
        report = session.folder / f"ncu_{sizes.replace(' ', '')}"
        command = [
            tool,
            "--set",
            "full",
            "--launch-count",
            "3",
            "--force-overwrite",
            "--export",
            report,
            "--page",
            "details",
        ]
        command += [PROGRAM, "--case", f"time f32 {sizes}", "--runs", "1", "--patience", "600"]
        session.run(f"ncu {sizes}", command, 45, bad=r"==ERROR==.*|No kernels were profiled")


def jax_and_peer(session: Session, stand_in: bool) -> None:
    """Our kernels in JAX's programs, and another's kernel on the same GPU."""
    command = [sys.executable, HERE / "jax_check.py", *(["--stand-in"] if stand_in else [])]
    session.run("JAX", command, 330)
    session.run("torch-linear-assignment", [sys.executable, HERE / "time_peer.py", HERE / "peer"], 150)


def main() -> int:
    """Runs the parts in their order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("results"), help="a folder (%(default)s)")
    parser.add_argument("--only", choices=sorted(MINUTES), help="one of the parts")
    parser.add_argument("--stand-in", action="store_true", help="JAX, too, on the stand-in of our tests, without a GPU")
    arguments = parser.parse_args()
    folder = arguments.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    session = Session(folder)
    parts = {
        "a": check_and_time,
        "b": sanitize_and_profile,
        "c": lambda session: jax_and_peer(session, arguments.stand_in),
    }
    for part, work in parts.items():
        if arguments.only in (None, part):
            session.begin(part)
            work(session)
    print(f"\n==== summary, also in {folder / 'summary.txt'} ====\n{session.write_summary()}", end="", flush=True)
    outcomes = {step.outcome for step in session.steps}
    return 1 if "FAILED" in outcomes else 0 if "ok" in outcomes else SKIPPED


if __name__ == "__main__":
    sys.exit(main())
