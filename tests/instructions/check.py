"""Counts the core's instructions per problem under callgrind and compares them with those on record.

Usage: check.py PROGRAM [--record]. PROGRAM is bench/core's. Valgrind shows every program the same processor, with AVX2
and no more, so the counts hold for that level, and do not depend on the machine or on what else it does.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import on_record
import skips

RECORD = pathlib.Path(__file__).parent / "record.txt"
# Shape, and as many problems as make one call's fixed cost small.
SHAPES = [("8x8", 512), ("16x16", 256), ("32x32", 128), ("100x100", 16), ("20x300", 64), ("300x300", 4)]
# Shape, kind of costs, problems. The last ones are full of ties, where columns are many.
CASES = [(shape, kind, n) for shape, n in SHAPES for kind in ["uniform", "euclidean"]]
CASES += [("4200x4200", "equal", 1), ("500x1500", "few_rows", 1)]


def why_not() -> str | None:
    """What is missing to count here."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed; Debian's package valgrind brings it"
    if " avx2 " not in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").replace("\n", " "):
        return "the processor has no AVX2, so valgrind cannot show it either"
    return None


def count(program: str, shape: str, kind: str, problems: int) -> int:
    """Instructions per problem of one solve; drawing the costs is not counted."""
    with tempfile.NamedTemporaryFile("r") as profile:
        subprocess.run(
            [
                "valgrind",
                "--quiet",
                "--tool=callgrind",
                f"--callgrind-out-file={profile.name}",
                "--toggle-collect=*hungarian_core_bench*Batch*solve*",
                *(program, "1", shape, kind, str(problems)),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        total = re.search(r"^totals: (\d+)$", profile.read(), re.MULTILINE)
    if total is None or int(total[1]) == 0:
        sys.exit("instructions: callgrind counted nothing; is Batch::solve still there?")
    return round(int(total[1]) / problems)


def main() -> None:
    """Compares, or records."""
    program, *options = sys.argv[1:]
    reason = why_not()
    if reason is not None and options == ["--record"]:
        sys.exit(f"instructions: nothing recorded: {reason}")
    if reason is not None:
        skips.say(f"instructions: 0 checked, {len(CASES)} skipped ({reason})")
        return
    counts = {f"{shape} {kind}": count(program, shape, kind, n) for shape, kind, n in CASES}
    if options == ["--record"]:
        on_record.write(RECORD, "", counts, "instructions")
        return
    on_record.compare(RECORD, counts, "instructions", "instructions per problem", "make record-instructions")


if __name__ == "__main__":
    main()
