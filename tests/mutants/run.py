"""Puts small faults into the files that decide, one at a time, each of which a test must notice.

    run.py CARGO_MUTANTS OUTPUT [argument of cargo-mutants ...]

Arguments like `--shard 3/40` try a part. Survivors are compared with accepted.txt; any other is an error.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# What cargo-mutants exits with: all caught, some missed, some timed out. Anything else means that it could not do its work.
DONE = {0, 2, 3}


def name(line: str) -> str:
    """The mutant without its line and column, which change with every edit."""
    return re.sub(r":\d+:\d+:", ":", line.strip())


def read(path: Path) -> set[str]:
    return {name(line) for line in path.read_text().splitlines() if line.strip()}


def accepted() -> dict[str, str]:
    lines = (HERE / "accepted.txt").read_text().splitlines()
    pairs = [line.split(" — ", 1) for line in lines if line.strip() and not line.startswith("#")]
    return {mutant.strip(): reason for mutant, reason in pairs}


def main() -> int:
    tool, output, *arguments = sys.argv[1:]
    command = [tool, "mutants", "--config", str(HERE / "config.toml"), "--output", output, *arguments]
    # One level of vectors and little optimisation: a mutant is compiled in a fraction of the time. Few random problems: most
    # faults show with the first, and the others are found by tests that look for them.
    environment = os.environ | {
        "RUSTFLAGS": "--cfg portable_only",
        "CARGO_PROFILE_TEST_OPT_LEVEL": "1",
        "CARGO_PROFILE_TEST_DEBUG": "false",
        "CARGO_PROFILE_TEST_LTO": "off",
        "HUNGARIAN_PROBLEMS": "1000",
    }
    status = subprocess.run(command, env=environment, check=False).returncode
    if status not in DONE or "--list" in arguments:
        return status
    results = Path(output) / "mutants.out"
    caught, missed, timed_out = (read(results / f"{kind}.txt") for kind in ("caught", "missed", "timeout"))
    known = accepted()
    unexpected = sorted(missed - known.keys())
    for mutant in unexpected:
        print(f"survived: {mutant}")
    for mutant in sorted(known.keys() & (caught | timed_out)):
        print(f"in accepted.txt, but noticed: {mutant}")
    print(
        f"{len(caught)} noticed, {len(timed_out)} timed out, {len(missed)} survived, {len(unexpected)} of them unexpected"
    )
    return int(bool(unexpected))


if __name__ == "__main__":
    sys.exit(main())
