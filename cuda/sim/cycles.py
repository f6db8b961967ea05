"""Compares the simulated cycles of a few small batches with those on record; ``cycles.py --record`` writes them down.

The same PTX takes the same cycles on every machine. Two of the batches run on four multiprocessors of the GPU, with as many blocks on each as the whole GPU would
have for the batches of docs/cuda.md: 4096x16x16 and 208x300x300.
"""

import pathlib
import sys

import simulator

sys.path.insert(0, str(simulator.ROOT / "tests"))
import on_record

RECORD = pathlib.Path(__file__).parent / "cycles.txt"
GPU = "a100"
CASES = {"32x100x100": {}, "8x300x300": {"SIM_SMS": "4"}, "152x16x16": {"SIM_SMS": "4"}}
HEAD = """\
# Simulated cycles of each launch on an A100 (code for sm_80): uniform f32 costs, seed 3. Batches other than 32x100x100 are on four of
# its multiprocessors. Written by `make record-sim-cycles`, compared by `make test-sim-cycles`: cycles.py.
"""


def count() -> dict[str, int]:
    """Cycles by batch and kernel."""
    cycles: dict[str, int] = {}
    for batch, settings in CASES.items():
        for launch in simulator.solve(GPU, batch, settings):
            case = f"{batch} {launch.kernel}"
            cycles[case] = cycles.get(case, 0) + launch.cycles
    return cycles


def main() -> None:
    is_recording = sys.argv[1:] == ["--record"]
    simulator.end_if_impossible("simulated cycles", 0 if is_recording else len(on_record.read(RECORD)))
    cycles = count()
    if is_recording:
        on_record.write(RECORD, HEAD, cycles, "simulated cycles")
        return
    on_record.compare(RECORD, cycles, "simulated cycles", "cycles", "make record-sim-cycles")


if __name__ == "__main__":
    main()
