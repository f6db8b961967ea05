"""What `make sim-check`, `make sim-time` and `make sim-profile` do; README.md beside this file explains it.

``run.py check``, ``run.py time --gpu a100 --batch 32x100x100 4096x16x16``, ``run.py profile --gpu a100 --batch 32x100x100``.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import profiles
import simulator


def check(settings: dict[str, str]) -> None:
    """gpu-check on both GPUs. It takes a sample where it is told that the device is the stand-in of tests/gpu."""
    source = (simulator.ROOT / "bench/gpu_check/src/device.rs").read_text(encoding="utf-8")
    stand_in = re.search(r'STAND_IN: &str = "(.*)";', source)[1]
    settings = {**settings, "SIM_NAME": stand_in, "SIM_STATS": os.devnull}

    def run(gpu: str) -> subprocess.CompletedProcess:
        environment = simulator.environment(gpu, settings)
        command = [os.environ["HUNGARIAN_GPU_CHECK"]]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    # Launches of one block each keep one thread busy, so both at the same time.
    failed = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for gpu, ended in zip(simulator.GPUS, pool.map(run, simulator.GPUS), strict=True):
            print(f"---- {gpu}, simulated\n{ended.stdout}{ended.stderr}", end="", flush=True)
            if ended.returncode != 0:
                failed.append(gpu)
    if failed:
        sys.exit(f"sim-check: FAILED on {', '.join(failed)}")
    print(f"sim-check: the kernels answer as the CPU does, on {' and '.join(simulator.GPUS)}")


def time(gpus: list[str], batches: list[str], settings: dict[str, str], seed: str, costs: str) -> None:
    """A markdown table, each row when it is known; then what each launch waited for."""
    reports = []
    for gpu in gpus:
        print(
            f"\n| {costs}, simulated {gpu.upper()} | search, ms | proof, ms | sum, ms |\n|---|---|---|---|", flush=True
        )
        for batch in batches:
            launches = simulator.solve(gpu, batch, settings, seed, costs)
            search = sum(launch.microseconds for launch in launches if launch.is_search) / 1000
            proof = sum(launch.microseconds for launch in launches if not launch.is_search) / 1000
            print(f"| {batch.replace('x', ' x ')} | {search:.3f} | {proof:.3f} | {search + proof:.3f} |", flush=True)
            reports += [f"\n{gpu}, {batch}:", *(launch.report for launch in launches)]
    print("\n".join(reports))


def profile(
    gpus: list[str], batches: list[str], settings: dict[str, str], kernels: pathlib.Path, seed: str, costs: str
) -> None:
    for gpu in gpus:
        for batch in batches:
            with tempfile.NamedTemporaryFile("r") as output:
                launches = simulator.solve(gpu, batch, {**settings, "SIM_PROFILE": output.name}, seed, costs)
                print(f"\n{gpu}, {batch}:", *(launch.report for launch in launches), sep="\n")
                profiles.tabulate(output.read(), kernels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("check", "time", "profile"))
    parser.add_argument("--gpu", nargs="+", choices=simulator.GPUS, default=["a100"])
    parser.add_argument("--batch", nargs="+", default=["32x100x100"])
    parser.add_argument("--kernels", type=pathlib.Path, help="an edited copy of cuda/")
    parser.add_argument("--seed", default="3")
    parser.add_argument("--type", default="f32", choices=("f32", "f64", "f16", "bf16"))
    arguments = parser.parse_args()
    simulator.end_if_impossible(f"sim-{arguments.command}", len(simulator.GPUS) if arguments.command == "check" else 0)
    with tempfile.TemporaryDirectory() as folder:
        settings = {}
        kernels = arguments.kernels
        if kernels is None and arguments.command == "profile":
            kernels = simulator.ROOT / "cuda"
        if kernels is not None:
            ptx = pathlib.Path(folder) / "kernels.ptx"
            simulator.compile_kernels(kernels, ptx)
            settings["SIM_PTX"] = str(ptx)
        if arguments.command == "check":
            check(settings)
        elif arguments.command == "time":
            time(arguments.gpu, arguments.batch, settings, arguments.seed, arguments.type)
        else:
            profile(arguments.gpu, arguments.batch, settings, kernels, arguments.seed, arguments.type)


if __name__ == "__main__":
    main()
