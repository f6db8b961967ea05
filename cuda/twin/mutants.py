"""Shows that the twin's checks notice faults: each mutant of the kernels has one fault, and must be caught.

``mutants.py PROGRAM`` builds each mutant with a sanitizer and runs PROGRAM (tests/twin) on it. A missing barrier is to be found
by ThreadSanitizer in the kernel that it is meant for; an index that is off by one by AddressSanitizer, or by the comparison with
the CPU's answers where it stays within the block's memory. Mutants run as kernels do on devices older than sm_80.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

CUDA = pathlib.Path(__file__).resolve().parent.parent
RUNTIMES = {"thread": "libtsan.so", "address": "libasan.so"}


@dataclasses.dataclass
class Mutant:
    """A text that occurs once in a file, and what it is replaced by."""

    kernel: str
    sanitizer: str
    file: str
    before: str
    after: str


WARP, BLOCK, PROOF = "search_by_warp_float", "search_by_block_float", "prove_float"
# Of costs that tie in f32.
PROOF_OF_TIES = "prove_double"
MUTANTS = [
    Mutant(WARP, "thread", "team.h", "    } else {\n      __syncwarp();\n    }", "    }"),
    Mutant(WARP, "thread", "team.h", "    if (!kIsBlock) {\n      __syncwarp();\n", "    if (!kIsBlock) {\n"),
    Mutant(WARP, "thread", "team.h", "    __syncwarp();\n    return __any_sync", "    return __any_sync"),
    Mutant(BLOCK, "thread", "team.h", "    __syncthreads();\n    // Read by all", "    // Read by all"),
    Mutant(BLOCK, "thread", "solver.h", "      team_.Sync();\n      // Nobody writes", "      // Nobody writes"),
    Mutant(BLOCK, "thread", "solver.h", "    team_.Sync();\n    UpdateDuals", "    UpdateDuals"),
    Mutant(PROOF, "thread", "prove.h", "    duals_ = memory_.duals;\n    team_.Sync();", "    duals_ = memory_.duals;"),
    Mutant(PROOF, "thread", "prove.h", "      AddNearPairs();\n      team_.Sync();", "      AddNearPairs();"),
    Mutant(PROOF, "address", "prove.h", "+ static_cast<float>(slack_)", "- 64 * static_cast<float>(slack_)"),
    Mutant(PROOF, "address", "prove.h", "? DualOf(line) : BoundOf(line)", "? BoundOf(line) : DualOf(line)"),
    Mutant(PROOF, "address", "prove.h", "if (!is_copied_ &&", "if (is_copied_ &&"),
    Mutant(WARP, "address", "problem.h", "const int last = (rows - 1) * stride", "const int last = rows * stride"),
    Mutant(WARP, "address", "problem.h", "!= 0 ? 0 : problem] *", "!= 0 ? 0 : problem + 1] *"),
    Mutant(WARP, "address", "problem.h", "4.0 * (existing_rows + 1.0)", "0.25 * (existing_rows + 1.0)"),
    Mutant(PROOF, "address", "problem.h", "(limit - capped) / 2.0", "(limit - capped)"),
    Mutant(PROOF, "address", "prove.h", ">= cols_from ? -by : 0.0", ">= cols_from ? 0.0 : 0.0"),
    Mutant(PROOF_OF_TIES, "address", "prove.h", "fails = fails || least < dual;", "fails = fails || dual < dual;"),
    Mutant(WARP, "address", "problem.h", "begin + place.offset", "begin + place.offset + 16"),
    Mutant(WARP, "address", "solver.h", "state.ColOfRow(row) == kUnmatched", "state.ColOfRow(row + 1) == kUnmatched"),
    Mutant(BLOCK, "address", "solver.h", "if (col < cols_)", "if (col <= cols_)"),
    Mutant(BLOCK, "address", "team.h", "set + warp() * kSlotBytes", "set + (warp() - 1) * kSlotBytes"),
    Mutant(PROOF, "address", "prove.h", "Load(user_.Of(row, col))", "Load(user_.Of(row, col + 1))"),
    Mutant(
        PROOF,
        "address",
        "prove.h",
        "answer.row_of_col[col] = state.RowOfCol(col);",
        "answer.row_of_col[col + 1] = state.RowOfCol(col);",
    ),
]


def write(mutant: Mutant, folder: pathlib.Path) -> pathlib.Path:
    """A copy of the sources with the fault, and one type alone, which compiles faster."""
    copy = folder / "cuda"
    shutil.copytree(CUDA, copy, ignore=shutil.ignore_patterns("*.ptx"))
    path = copy / mutant.file
    text = path.read_text()
    if text.count(mutant.before) != 1:
        raise SystemExit(f"{text.count(mutant.before)} times in {mutant.file}, expected once: {mutant.before!r}")
    path.write_text(text.replace(mutant.before, mutant.after))
    others = {"half", "bfloat16", "float", "double"} - {mutant.kernel.rpartition("_")[2]}
    for name in ("assignment.cu", "twin/kernels.cc"):
        path = copy / name
        text = re.sub(rf"INSTANTIATE\(({'|'.join(others)}), \w+\)\n", "", path.read_text())
        path.write_text(re.sub(rf"KERNELS_OF\(({'|'.join(others)})\),?", "", text))
    return copy


def run(program: str, mutant: Mutant) -> tuple[int, str]:
    """The exit status of the program, and what it says."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        library = folder / "libmutant.so"
        build = [CUDA / "twin/build.sh", library, "-O1", f"-fsanitize={mutant.sanitizer}"]
        sources = {"TWIN_SOURCE": str(write(mutant, folder))}
        subprocess.run(build, check=True, env=os.environ | sources)
        command = ["g++", f"-print-file-name={RUNTIMES[mutant.sanitizer]}"]
        runtime = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        settings = {
            "LD_PRELOAD": runtime,
            "TSAN_OPTIONS": "halt_on_error=1",
            "ASAN_OPTIONS": "detect_leaks=0",
            "RUST_BACKTRACE": "0",
        }
        part = {BLOCK: "wide", PROOF_OF_TIES: "tied"}.get(mutant.kernel, "narrow")
        # ThreadSanitizer wants addresses where it expects them.
        command = [
            "setarch",
            "-R",
            "env",
            *(f"{key}={value}" for key, value in settings.items()),
            program,
            library,
            part,
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr


def caught_by(mutant: Mutant, status: int, report: str) -> str | None:
    """What has noticed the fault; None if nothing has."""
    if mutant.sanitizer == "thread":
        is_found = "WARNING: ThreadSanitizer: data race" in report and mutant.kernel in report
        return "ThreadSanitizer" if is_found else None
    if "ERROR: AddressSanitizer: " in report and mutant.kernel in report:
        return "AddressSanitizer"
    is_wrong = status == 1 and report.lstrip().startswith(("Error: f32 ", "Error: f64 "))
    return "comparison" if is_wrong else None


def main() -> None:
    (program,) = sys.argv[1:]
    missed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as workers:
        outcomes = workers.map(lambda mutant: run(program, mutant), MUTANTS)
        for mutant, (status, report) in zip(MUTANTS, outcomes, strict=True):
            by = caught_by(mutant, status, report)
            missed += by is None
            print(f"{mutant.kernel}, {mutant.file}, {mutant.before.strip()!r}: {by or 'MISSED'}", flush=True)
            if by is None:
                print(report[-2000:])
    print(f"{len(MUTANTS)} mutants, {len(MUTANTS) - missed} caught")
    if missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
