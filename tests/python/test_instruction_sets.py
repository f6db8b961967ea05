"""HUNGARIAN_LOSS_MAX_ISA caps the vector instructions. Answers do not depend on it."""

import os
import re
import subprocess
import sys

from hungarian_loss import op_library_path

SOLVE = """
import hashlib
import numpy as np
from hungarian_loss import linear_assignment

digest = hashlib.sha256()
rng = np.random.default_rng(7)
for shape in [(9, 8, 8), (3, 20, 31), (2, 70, 70), (2, 50, 300)]:
    for cost in [rng.random(shape, np.float32), rng.random(shape), rng.integers(0, 4, shape)]:
        for output in linear_assignment(cost, cost_limit=0.9):
            digest.update(output.numpy().tobytes())
        for output in linear_assignment(cost):
            digest.update(output.numpy().tobytes())
print(digest.hexdigest())
"""


def solve_with(most: str) -> tuple[str, str]:
    """The outputs of a process of its own, as a digest, and what it says on standard error."""
    environment = {**os.environ, "HUNGARIAN_LOSS_MAX_ISA": most}
    run = subprocess.run([sys.executable, "-c", SOLVE], env=environment, check=True, capture_output=True, text=True)
    return run.stdout, run.stderr


# tests/levels.rs tests in Rust that the name chooses the level, and all levels. Here the op runs at the slowest and the
# fastest.
def test_the_slowest_level_has_the_answers_of_the_fastest() -> None:
    (slowest, said), (fastest, complaint) = solve_with("portable"), solve_with("sse9")
    assert slowest == fastest
    assert "HUNGARIAN_LOSS_MAX_ISA" not in said
    assert "HUNGARIAN_LOSS_MAX_ISA is sse9, expected one of portable, avx2, avx512; it is ignored" in complaint


def test_no_operation_on_vectors_is_a_function_of_its_own():
    """An operation that the compiler does not inline is called for every vector: f64 once took up to ten times as long
    with AVX2."""
    symbols = subprocess.run(["nm", "--demangle", op_library_path()], check=True, capture_output=True, text=True).stdout
    assert "hungarian_loss" in symbols, "the library has no symbols to look at"
    found = set(re.findall(r"\bcore::core_arch::\S+", symbols))
    # Queries of the processor, which are made once.
    asked_once = re.compile(r"::(_xgetbv|__cpuid\w*|has_cpuid)$")
    assert not {name for name in found if not asked_once.search(name)}
