"""Runs the project's programs on the simulated GPU, and reads what it says about each launch.

make/sim.mk sets what is read from the environment here: where the programs are, and the tools that the simulator needs.
"""

import dataclasses
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))
import skips

GPUS = ("a100", "h100")


@dataclasses.dataclass
class Launch:
    """A kernel's run. `report` is what the simulator wrote."""

    kernel: str
    cycles: int
    microseconds: float
    report: str

    @property
    def is_search(self) -> bool:
        return self.kernel.startswith("search")


def why_not() -> str | None:
    """What keeps the simulator from running here, if anything does."""
    for variable in ("SIM_PTXAS", "SIM_NVDISASM"):
        tool = pathlib.Path(os.environ[variable])
        if not tool.exists():
            return f"no {tool.name}: pip could not install its package from PyPI"
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        try:
            subprocess.run([tool, "--version"], check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"{tool.name} does not run here: {error}"
    return None


def end_if_impossible(what: str, checks: int = 0) -> None:
    """Ends the program where the simulator cannot run: with status 0 where `checks` are skipped, else with a failure."""
    reason = why_not()
    if reason is not None and not checks:
        sys.exit(f"{what}: {reason}")
    if reason is not None:
        skips.say(f"{what}: 0 checked, {checks} skipped ({reason})")
        sys.exit()


def environment(gpu: str, settings: dict[str, str]) -> dict[str, str]:
    """Where the simulated GPU is the only one. `settings` are those that README.md lists."""
    return {
        "SIM_THREADS": str(len(os.sched_getaffinity(0))),
        **os.environ,
        "SIM_GPU": gpu,
        "LD_LIBRARY_PATH": str(pathlib.Path(os.environ["HUNGARIAN_SIM_DRIVER"]).parent),
        **settings,
    }


def compile_kernels(folder: pathlib.Path, output: pathlib.Path) -> None:
    """PTX with line numbers, of the kernels in a folder."""
    command = [sys.executable, ROOT / "cuda/ptx.py", os.environ["HUNGARIAN_CUDA_TOOLS"], "--line-info", folder, output]
    subprocess.run(command, check=True)


def solve(gpu: str, batch: str, settings: dict[str, str], *seed_and_type: str) -> list[Launch]:
    """Solves a batch of uniform costs, and compares it with the CPU's answer. A difference ends the program."""
    with tempfile.NamedTemporaryFile("r") as statistics:
        settings = {**settings, "SIM_STATS": statistics.name}
        command = [os.environ["HUNGARIAN_GPU_BATCH"], batch, *seed_and_type]
        ended = subprocess.run(command, env=environment(gpu, settings), stdout=subprocess.DEVNULL, check=False)
        if ended.returncode != 0:
            sys.exit(f"{gpu}, {batch}: gpu-batch ended with {ended.returncode}")
        return read_launches(statistics.read())


def read_launches(statistics: str) -> list[Launch]:
    """Of the lines that the simulator writes, two for each launch."""
    launches = []
    for entry in re.findall(r"^\S.*\n +.*\n", statistics, re.MULTILINE):
        name, cycles, microseconds = re.search(r": (\w+)<<<.*>>> (\d+) cycles .*, ([\d.]+) us;", entry).groups()
        launches.append(Launch(name, int(cycles), float(microseconds), entry.split(": ", 1)[1].rstrip()))
    return launches
