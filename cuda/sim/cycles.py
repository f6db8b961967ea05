"""Compares the simulated cycles of a few small batches with those on record; ``cycles.py --record`` writes them down.

The same PTX takes the same cycles on every machine. More than a tenth above the record is a failure; so is as far below, which
the record should keep. Two of the batches run on four multiprocessors of the GPU, with as many blocks on each as the whole GPU would
have for the batches of docs/cuda.md: 4096x16x16 and 208x300x300.
"""

import pathlib
import sys

import simulator

RECORD = pathlib.Path(__file__).parent / "cycles.txt"
GPU = "a100"
CASES = {"32x100x100": {}, "8x300x300": {"SIM_SMS": "4"}, "152x16x16": {"SIM_SMS": "4"}}
SLACK = 0.1
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


def read_record() -> dict[str, int]:
    lines = RECORD.read_text(encoding="utf-8").splitlines()
    return {case: int(n) for case, n in (line.rsplit(maxsplit=1) for line in lines if not line.startswith("#"))}


def compare(cycles: dict[str, int], record: dict[str, int]) -> int:
    """Prints each case, and returns how many are off."""
    wrong = 0
    for case, number in cycles.items():
        change = number / record[case] - 1
        print(f"{case:>34}: {number:>8} cycles, {change:+.1%}")
        if change > SLACK:
            print(f"  too many: {record[case]} are on record. If that is the price of something, say so in the commit")
        elif change < -SLACK:
            print(f"  far fewer than the {record[case]} on record: record the new ones with make record-sim-cycles")
        wrong += abs(change) > SLACK
    print(f"simulated cycles: {len(cycles) - wrong} of {len(cycles)} within {SLACK:.0%} of the record")
    return wrong


def main() -> None:
    is_recording = sys.argv[1:] == ["--record"]
    simulator.skip_if_impossible("simulated cycles", 1 if is_recording else 0)
    cycles = count()
    if is_recording:
        RECORD.write_text(HEAD + "".join(f"{case} {number}\n" for case, number in cycles.items()), encoding="utf-8")
        print(f"simulated cycles: {len(cycles)} recorded")
        return
    record = read_record()
    if record.keys() != cycles.keys():
        sys.exit(f"simulated cycles: {RECORD.name} has other launches; run `make record-sim-cycles`")
    sys.exit(min(compare(cycles, record), 1))


if __name__ == "__main__":
    main()
