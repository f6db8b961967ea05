"""How types, maximizing, masks and a second thread change the time of the op, as ratios from interleaved rounds.

First table: time per problem against plain float32 costs, one thread. "+ 1": each cost is one more, which keeps the
matching, but changes how costs are rounded. "Transposed": rows and columns change places, as where rows are a
detector's predictions. Masks hide a quarter of the rows and of the columns, so they are compared with plain problems of
the size that is left; in "forbidden" three in ten pairs are forbidden at random, which makes it another problem, with
more searching. In "unwanted" these pairs have a large cost instead, 1e5, as is common in trackers.

Second table: how many times faster two threads are than one, beside what two processes that only count achieve in the same
rounds: the two cores of a shared machine are seldom two whole ones. Their quotient is what the op loses by itself. Each
thread count has a process of its own, since TensorFlow fixes it when it starts.
"""

import argparse
import functools
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
import tensorflow as tf
from timing import interleave, ratio_of, seconds

from hungarian_loss import linear_assignment

SHAPES = [(16384, 8, 8), (4096, 16, 16), (256, 100, 100), (1024, 20, 300), (32, 300, 300), (256, 100, 300)]
SHARED = [
    (16384, 8, 8),
    (4096, 16, 16),
    (1024, 32, 32),
    (256, 100, 100),
    (16, 100, 100),
    (1024, 20, 300),
    (32, 300, 300),
]


def euclidean(shape: tuple[int, int, int]) -> np.ndarray:
    """Distances of random points with four coordinates."""
    random = np.random.default_rng(0)
    batch, rows, cols = shape
    a, b = random.random((batch, rows, 4)), random.random((batch, cols, 4))
    return np.stack([np.sqrt(np.square(x[:, None] - y).sum(-1)) for x, y in zip(a, b, strict=True)])


def keep_most(count: int, of: int) -> np.ndarray:
    """A mask with gaps that leaves ``count`` of ``of``."""
    kept = np.zeros(of, bool)
    kept[np.random.default_rng(1).permutation(of)[:count]] = True
    return kept


def variants(shape: tuple[int, int, int], rounds: int) -> str:
    """One line of the first table."""
    batch, rows, cols = shape
    distances = euclidean(shape)
    plain, double = tf.constant(distances, tf.float32), tf.constant(distances, tf.float64)
    negative, more, transposed = -plain, plain + 1, tf.linalg.matrix_transpose(plain)
    few_rows, few_cols = rows * 3 // 4, cols * 3 // 4
    row_mask = tf.constant(np.broadcast_to(keep_most(few_rows, rows), (batch, rows)))
    col_mask = tf.constant(np.broadcast_to(keep_most(few_cols, cols), (batch, cols)))
    compact = tf.boolean_mask(tf.boolean_mask(plain, row_mask[0], axis=1), col_mask[0], axis=2)
    forbidden = np.where(np.random.default_rng(2).random(shape) < 0.3, np.inf, distances)
    # Every row keeps a column of its own, so that there is a matching.
    forbidden[:, range(min(rows, cols)), range(min(rows, cols))] = distances[
        :, range(min(rows, cols)), range(min(rows, cols))
    ]
    some = tf.constant(forbidden, tf.float32)
    unwanted = tf.where(tf.math.is_finite(some), some, 1e5)
    base, ratios = interleave(
        lambda: linear_assignment(plain),
        {
            "float64": lambda: linear_assignment(double),
            "+ 1": lambda: linear_assignment(more),
            "transposed": lambda: linear_assignment(transposed),
            "maximize": lambda: linear_assignment(negative, maximize=True),
            "forbidden": lambda: linear_assignment(some),
            "unwanted": lambda: linear_assignment(unwanted),
        },
        rounds,
    )
    _, masked = interleave(
        lambda: linear_assignment(compact),
        {"masks": lambda: linear_assignment(plain, row_mask=row_mask, col_mask=col_mask)},
        rounds,
    )
    same = f"{ratios['same']} ({ratios['same'].spread()})"
    cells = [
        f"{base / batch * 1e6:.2f}",
        *(str(ratios[name]) for name in ("float64", "+ 1", "transposed", "maximize", "forbidden", "unwanted")),
        str(masked["masks"]),
    ]
    return f"| {' × '.join(map(str, shape))} | {' | '.join([*cells, same])} |"


def spin() -> float:
    """Seconds of a loop that needs no memory."""
    start = time.perf_counter()
    count = 0
    while count < 1_000_000:
        count += 1
    return time.perf_counter() - start


def serve(threads: int, requests: Connection) -> None:
    """Answers requests until one is None: "spin" with the seconds of a loop, "op" with those of the op on the costs that
    were sent last. Costs are answered with 0 once the op has solved them."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    solve: Callable[[], object] = spin
    while (request := requests.recv()) is not None:
        if isinstance(request, np.ndarray):
            solve = functools.partial(linear_assignment, tf.constant(request))
            solve()
            requests.send(0.0)
        elif request == "spin":
            requests.send(spin())
        else:
            # Long enough for the clock, and for the pool's threads to be awake.
            requests.send(seconds(solve, max(1, round(0.02 / seconds(solve)))))


def scaling(rounds: int) -> list[str]:
    """The second table's lines."""
    context = multiprocessing.get_context("spawn")
    ends = []
    for threads in (1, 2):
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(threads, theirs), daemon=True).start()
        ends.append(ours)
    one, two = ends

    def ask(request: object, *whom: Connection) -> float:
        for end in whom:
            end.send(request)
        return max(end.recv() for end in whom)

    lines = []
    for shape in SHARED:
        ask(euclidean(shape).astype(np.float32), one, two)
        op, loop, quotients = [], [], []
        for _ in range(rounds):
            alone = ask("spin", one)
            op.append(ask("op", one) / ask("op", two))
            loop.append(2 * alone / ask("spin", one, two))
            quotients.append(op[-1] / loop[-1])
        quotient = ratio_of(quotients)
        cells = f"{statistics.median(op):.2f} | {statistics.median(loop):.2f} | {quotient} ({quotient.spread()})"
        lines.append(f"| {' × '.join(map(str, shape))} | {cells} |")
    for end in ends:
        end.send(None)
    return lines


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    print(
        "\n| batch × rows × cols | plain, µs a problem | float64 | + 1 | transposed | maximize | 30 % forbidden | unwanted | masks | same |"
    )
    print(f"|{'---|' * 10}")
    for shape in SHAPES:
        print(variants(shape, options.rounds), flush=True)
    print("\n| batch × rows × cols, two threads against one | the op | a loop | op / loop |\n|---|---|---|---|")
    print("\n".join(scaling(options.rounds)))


if __name__ == "__main__":
    main()
