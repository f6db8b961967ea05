"""Runs clang-tidy on the shim with the flags that it is compiled with. Exits with clang-tidy's status."""

import pathlib
import subprocess
import sys

from flags import compile_flags

FOLDER = pathlib.Path(__file__).resolve().parent
# cargo leaves the header that cxx generated here.
GENERATED = FOLDER.parent / "target" / "cxxbridge"

command = [
    str(pathlib.Path(sys.executable).parent / "clang-tidy"),
    "--quiet",
    *map(str, sorted(FOLDER.rglob("*.cc"))),
    "--",
    *compile_flags(),
    # As build.rs has it.
    "-DHUNGARIAN_CUDA",
    f"-I{FOLDER.parent}",
    f"-isystem{GENERATED}",
]
sys.exit(subprocess.run(command, check=False).returncode)
