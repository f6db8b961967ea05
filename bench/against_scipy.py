"""How many times faster the op is than SciPy's linear_sum_assignment: ratios from one interleaved run.

One thread, eager calls, float32 costs, every output computed. Each figure is the median over pairs of runs made one
after the other, so that a change of the machine's speed meets both; "same" is the op against itself in the same
run, which shows how far the figures can be trusted.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from hungarian_loss import linear_assignment

SHAPES = [
    (4096, 8, 8),
    (1024, 16, 16),
    (512, 32, 32),
    (64, 100, 100),
    (128, 20, 300),
    (64, 100, 300),
    (8, 300, 300),
    (1, 1000, 1000),
]
PAIRS = 11


def uniform(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Independent costs in [0, 1)."""
    return random.random(shape)


def euclidean(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Distances of random points with four coordinates."""
    batch, rows, cols = shape
    a, b = random.random((batch, rows, 1, 4)), random.random((batch, 1, cols, 4))
    return np.sqrt(np.square(a - b).sum(-1))


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Prints the table."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    print("| batch × rows × cols | uniform | Euclidean | same |")
    print("|---|---|---|---|")
    for shape in SHAPES:
        cells = []
        for draw in (uniform, euclidean):
            cost = draw(random, shape).astype(np.float32)
            tensor = tf.constant(cost)

            def ours(tensor: tf.Tensor = tensor) -> object:
                return linear_assignment(tensor).total_cost.numpy()

            def scipys(cost: np.ndarray = cost) -> object:
                return [linear_sum_assignment(problem) for problem in cost]

            ours()
            times = [(seconds(ours), seconds(scipys), seconds(ours)) for _ in range(PAIRS)]
            cells.append(statistics.median(scipy / own for own, scipy, _ in times))
            same = statistics.median(again / own for own, _, again in times)
        print(f"| {' × '.join(map(str, shape))} | {cells[0]:.1f} | {cells[1]:.1f} | {same:.2f} |", flush=True)


if __name__ == "__main__":
    main()
