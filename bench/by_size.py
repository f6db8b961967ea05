"""Draws the time of one square problem against its size, for the op and its peers.

One thread, float32 costs drawn in float64, medians of rounds in which all were timed one after the other: uniform and Euclidean costs, and whole
numbers from 0 to 9. A matcher that has taken longer than --longest seconds for a size is left out of larger ones.
"""

import argparse
import pathlib
import statistics
import sys

import matplotlib
import numpy as np
import tensorflow as tf
from against_peers import EXACT, Matcher, euclidean, integers, our_op, peers, uniform
from timing import seconds

matplotlib.use("Agg")
from matplotlib import pyplot

OURS = "this op"
SIZES = (4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000, 4000, 7000, 10000)
KINDS = (uniform, euclidean, integers)
# Smaller problems are timed in batches of this many entries, so that the fixed cost of a call does not show.
ENTRIES = 1 << 18
MOST_PROBLEMS = 4096
# A batch of up to this many entries is solved once before it is timed.
WARM_UP_TO = 1 << 22
ROUNDS = 5


def measure(
    kind: str, costs: np.ndarray, matchers: dict[str, Matcher], longest: float, slow: set[tuple[str, str]]
) -> dict[str, float]:
    """Median seconds for each problem; a matcher that is too slow for larger ones is added to ``slow``."""
    took: dict[str, list[float]] = {name: [] for name in matchers if (kind, name) not in slow}
    # The op takes a tensor, the others an array.
    inputs = {name: tf.constant(costs) if name == OURS else costs for name in took}
    for _ in range(ROUNDS):
        for name, times in took.items():
            if not times or times[0] < longest:
                if costs.size <= WARM_UP_TO:
                    # So that the caches hold the costs again, which another matcher has displaced.
                    matchers[name](inputs[name])
                times.append(seconds(lambda name=name: matchers[name](inputs[name])))
    slow.update((kind, name) for name, times in took.items() if times[0] > longest)
    return {name: statistics.median(times) / len(costs) for name, times in took.items()}


def draw(table: dict[str, dict[str, dict[int, float]]], path: pathlib.Path) -> None:
    """A panel for each kind of costs."""
    figure, panels = pyplot.subplots(1, len(table), figsize=(4.2 * len(table), 4.4), sharey=True, layout="constrained")
    for axes, (kind, lines) in zip(panels, table.items(), strict=True):
        for name, line in lines.items():
            style = {"color": "black", "linewidth": 2} if name == OURS else {"linewidth": 1}
            axes.plot(list(line), list(line.values()), "o-", markersize=3, label=name, **style)
        axes.set(xscale="log", yscale="log", title=kind, xlabel="rows and columns")
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="seconds a problem, one thread")
    panels[0].legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Prints a row for each size and draws all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=pathlib.Path, help="folder with the packages to compare with")
    parser.add_argument("--longest", type=float, default=5.0)
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    parser.add_argument("--picture", type=pathlib.Path, help="where to draw it")
    options = parser.parse_args()
    if options.peers:
        sys.path.append(str(options.peers))
    tf.config.threading.set_intra_op_parallelism_threads(1)
    others = {name: matcher for name, matcher in peers(None).items() if matcher is not None and name in EXACT}
    matchers = {OURS: our_op(), **others}
    random = np.random.default_rng(0)
    slow: set[tuple[str, str]] = set()
    table = {kind.__name__: {name: {} for name in matchers} for kind in KINDS}
    print(f"| size | costs | {' | '.join(matchers)} |")
    print(f"|---|---|{'---|' * len(matchers)}")
    for size in SIZES:
        if size > options.largest:
            break
        for kind in KINDS:
            shape = (min(MOST_PROBLEMS, max(1, ENTRIES // size**2)), size, size)
            times = measure(kind.__name__, kind(random, shape).astype(np.float32), matchers, options.longest, slow)
            for name, time in times.items():
                table[kind.__name__][name][size] = time
            cells = [f"{times[name]:.2e}" if name in times else "–" for name in matchers]
            print(f"| {size} | {kind.__name__} | {' | '.join(cells)} |", flush=True)
    if options.picture:
        draw(table, options.picture)


if __name__ == "__main__":
    main()
