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
# All tests of the core but those that compare levels of vectors, of which there is one here.
TESTS = [
    "brute_force",
    "edge_cases",
    "evidence",
    "exactness",
    "host_environment",
    "limits",
    "plain",
    "random_problems",
    "side_by_side",
    "ties",
    "vectors",
]
# As in config.toml.
TIMEOUTS = ["--timeout-multiplier", "3", "--minimum-test-timeout", "60"]
# One level of vectors and little optimisation: a mutant is compiled in a fraction of the time. Few random problems: most faults
# show with the first, and the others are found by tests that look for them.
ENVIRONMENT = os.environ | {
    "RUSTFLAGS": "--cfg arrays_only",
    "CARGO_PROFILE_TEST_OPT_LEVEL": "1",
    "CARGO_PROFILE_TEST_DEBUG": "false",
    "HUNGARIAN_PROBLEMS": "1000",
}


def name(line: str) -> str:
    """The mutant without its line and column, which change with every edit."""
    return re.sub(r":\d+:\d+:", ":", line.strip())


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def accepted() -> dict[str, str]:
    """Reasons by mutant."""
    lines = [line for line in lines_of(HERE / "accepted.txt") if line.strip() and not line.startswith("#")]
    return {mutant.strip(): reason for mutant, reason in (line.split(" — ", 1) for line in lines)}


def try_mutants(tool: str, output: Path, arguments: list[str], tests: list[str]) -> int:
    """Has cargo-mutants hold its mutants against some tests."""
    output.mkdir(parents=True, exist_ok=True)
    command = [tool, "mutants", "--output", output, *arguments, "--", *tests]
    return subprocess.run(command, env=ENVIRONMENT, check=False).returncode


def main() -> int:
    """Tries, compares, reports."""
    tool, folder, *arguments = sys.argv[1:]
    output = Path(folder)
    all_of_these = ["--config", str(HERE / "config.toml"), *arguments]
    status = try_mutants(tool, output, all_of_these, [f"--test={test}" for test in TESTS])
    if status not in DONE or "--list" in arguments:
        return status
    caught, missed, timed_out = (
        lines_of(output / "mutants.out" / f"{kind}.txt") for kind in ("caught", "missed", "timeout")
    )
    # Unit tests are a second compilation of the core, which only survivors have to pay for.
    if missed:
        # With the configuration, all that it names would be tried again, too.
        only_these = ["--no-config", *TIMEOUTS, "--re", "^(" + "|".join(re.escape(line) for line in missed) + ")$"]
        status = try_mutants(tool, output / "unit", only_these, ["--lib"])
        if status not in DONE:
            return status
        missed = lines_of(output / "unit" / "mutants.out" / "missed.txt")
    noticed = len(caught) + len(lines_of(output / "unit" / "mutants.out" / "caught.txt"))
    known = accepted()
    unexpected = [line for line in missed if name(line) not in known]
    for mutant in unexpected:
        print(f"survived: {mutant}")
    for mutant in sorted(known.keys() & {name(line) for line in caught}):
        print(f"in accepted.txt, but noticed: {mutant}")
    print(
        f"{noticed} noticed, {len(timed_out)} timed out, {len(missed)} survived, {len(unexpected)} of them unexpected"
    )
    return int(bool(unexpected))


if __name__ == "__main__":
    sys.exit(main())
