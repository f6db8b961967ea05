"""Installs the wheel beside each TensorFlow, in a bare environment each, runs smoke.py there, and prints a table.

Each TensorFlow is tried on one Python, and each Python with the newest TensorFlow that it can have. A Python that this machine lacks is
counted as skipped. With --sdist the source distribution is built and tried beside one TensorFlow, too, as pip does it where the wheel has
no build that fits.

Usage: python matrix.py WHEEL FIT_POINTS FOLDER TENSORFLOW_VERSION... [--other VERSION] [--sdist SDIST]
"""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent

# The newest TensorFlow that each Python can have, and so all Pythons of the wheel.
NEWEST = {"3.10": "2.21.0", "3.11": "2.21.0", "3.12": "2.21.0", "3.13": "2.21.0", "3.14": "2.22.0rc0"}


class Cell(NamedTuple):
    """One environment: the minor version of Python and its program, TensorFlow's version, and what is installed there."""

    python: str
    program: str
    tensorflow: str
    package: pathlib.Path

    @property
    def what(self) -> str:
        """Wheel or source."""
        return "wheel" if self.package.suffix == ".whl" else "source"


class Outcome(NamedTuple):
    """What came of a cell: passed, failed or skipped, and the last words."""

    cell: Cell
    verdict: str
    words: str


def program_of(python: str) -> str | None:
    """The interpreter of that minor version: on PATH, or among pyenv's."""
    found = shutil.which(f"python{python}")
    if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
        return found
    kept = sorted((pathlib.Path.home() / ".pyenv" / "versions").glob(f"{python}.*/bin/python"))
    return str(kept[-1]) if kept else None


def try_one(cell: Cell, script: list[str], folder: pathlib.Path) -> Outcome:
    """Makes the environment, runs the script in it, and removes it again: each takes a gigabyte and more."""
    environment = folder / f"python{cell.python}-tensorflow{cell.tensorflow}-{cell.what}"
    shutil.rmtree(environment, ignore_errors=True)
    python = str(environment / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # A build from source finds TensorFlow in the environment, and so needs setuptools there.
    install = [[*pip, str(cell.package)]]
    if cell.what == "source":
        install = [[*pip, "setuptools>=77"], [*pip, "--no-build-isolation", str(cell.package)]]
    try:
        for command in (
            [cell.program, "-m", "venv", str(environment)],
            [*pip, f"tensorflow-cpu=={cell.tensorflow}"],
            *install,
            [python, "-I", *script],
        ):
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode != 0:
                return Outcome(cell, "failed", f"{ran.stdout}\n{ran.stderr}".strip()[-3000:])
        return Outcome(cell, "passed", ran.stdout.strip().splitlines()[-1])
    finally:
        shutil.rmtree(environment, ignore_errors=True)


def main() -> None:
    """Runs what the command line names."""
    parser = argparse.ArgumentParser(description="Tries the wheel beside each TensorFlow and on each Python.")
    parser.add_argument("wheel", type=pathlib.Path)
    parser.add_argument("fit_points", type=pathlib.Path, help="the program of examples/fit_points")
    parser.add_argument("folder", type=pathlib.Path, help="where environments are made, and removed again")
    parser.add_argument("tensorflows", nargs="+", help="versions that the wheel has an op for")
    parser.add_argument("--other", help="a version that it has none for, to see what it says there")
    parser.add_argument(
        "--sdist", type=pathlib.Path, help="a source distribution, to build beside the newest TensorFlow"
    )
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    def smoke(version: str) -> list[str]:
        return [str(HERE / "smoke.py"), version, str(arguments.fit_points.resolve())]

    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = [(here, version) for version in arguments.tensorflows]
    wanted += [(python, version) for python, version in NEWEST.items() if version in arguments.tensorflows]
    wheel = arguments.wheel.resolve()
    outcomes, runs = [], []
    for python, version in dict.fromkeys(wanted):
        program = sys.executable if python == here else program_of(python)
        if program is None:
            cell = Cell(python, "", version, wheel)
            outcomes.append(Outcome(cell, "skipped", f"this machine has no Python {python}"))
        else:
            runs.append((Cell(python, program, version, wheel), smoke(version)))
    if arguments.other:
        script = [str(HERE / "refusal.py"), arguments.other, *arguments.tensorflows]
        runs.append((Cell(here, sys.executable, arguments.other, wheel), script))
    if arguments.sdist:
        version = NEWEST[here]
        # First: it takes longest.
        runs.insert(0, (Cell(here, sys.executable, version, arguments.sdist.resolve()), smoke(version)))

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        futures = [pool.submit(try_one, cell, script, arguments.folder) for cell, script in runs]
        for future in concurrent.futures.as_completed(futures):
            outcome = future.result()
            cell = outcome.cell
            print(f"Python {cell.python}, TensorFlow {cell.tensorflow}, {cell.what}: {outcome.verdict}", flush=True)
            if outcome.verdict == "failed":
                print(outcome.words, flush=True)
            outcomes.append(outcome)

    def order(outcome: Outcome) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", f"{outcome.cell.tensorflow} {outcome.cell.python}")]

    print("\n| TensorFlow | Python | from | |\n|---|---|---|---|")
    for outcome in sorted(outcomes, key=order):
        words = "see above" if outcome.verdict == "failed" else outcome.words
        cell = outcome.cell
        print(f"| {cell.tensorflow} | {cell.python} | {cell.what} | {outcome.verdict}: {words} |")
    counts = {verdict: sum(one.verdict == verdict for one in outcomes) for verdict in ("passed", "failed", "skipped")}
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
