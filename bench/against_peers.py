"""How many times faster the op is than other matchers: ratios from one interleaved run.

One thread, the raw op called eagerly, float32 costs drawn in float64, all outputs computed, with the duals that prove
them. Each figure is the median over rounds in which all were timed one after the other, so that a change of the
machine's speed affects all of them; "same" is the op against itself in the same rounds, with its quartiles, which show
how far the figures can be trusted, and "best" the fastest of the other exact solvers on that row. The last line is the
geometric mean over the random problems of up to a thousand rows. HUNGARIAN_LOSS_MAX_ISA=avx2 times the op without
AVX-512.

Peers come from the folder given with --peers (`make bench` fills it); one that is not there is shown as missing.
"published" is what this package replaces: hungarian-loss 1.0.3 from PyPI, whose matchings may be incomplete, and which may not
return: it gets a process of its own and a time-out.
"""

import argparse
import importlib
import importlib.util
import itertools
import math
import multiprocessing
import pathlib
import statistics
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

import matplotlib
import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment
from timing import Ratio, ratio_of, seconds

import hungarian_loss

matplotlib.use("Agg")
from matplotlib import pyplot

Shape = tuple[int, int, int]
Matcher = Callable[[np.ndarray], object]

SHAPES: list[Shape] = [
    (16384, 8, 8),
    (4096, 16, 16),
    (1024, 32, 32),
    (256, 100, 100),
    (1024, 20, 300),
    (256, 100, 300),
    (32, 300, 300),
    (4, 1000, 1000),
]
LARGE_SHAPES: list[Shape] = [(1, 2000, 2000), (4, 500, 3000), (1, 3000, 3000), (1, 5000, 5000)]
TIED_SHAPES: list[Shape] = [(4096, 16, 16), (256, 100, 100), (32, 300, 300), (4, 1000, 1000), (1, 3000, 3000)]
# For problems of this many entries or more, three rounds must do.
FEW_ROUNDS_FROM = 1_500_000
FEW_ROUNDS = 3
# The solvers that are exact on all rows of the table.
EXACT = ("SciPy", "laprust", "lapcpp", "lapx", "fastlap")
# A matcher that takes longer than this for a whole batch, in seconds, is timed on a part of it.
LONGEST = 0.5
# These take squares only, and larger ones than this take them minutes each.
LARGEST_FOR = {"TF Models": 32, "published": 32}
# Seconds after which the published package is taken to have frozen.
FROZEN = 20


def uniform(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Independent costs in [0, 1)."""
    return random.random(shape)


def euclidean(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Distances of random points with four coordinates."""
    batch, rows, cols = shape
    a, b = random.random((batch, rows, 4)), random.random((batch, cols, 4))
    return np.stack([np.sqrt(np.square(x[:, None] - y).sum(-1)) for x, y in zip(a, b, strict=True)])


def integers(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Whole numbers from 0 to 9."""
    return random.integers(0, 10, shape)


def rounded(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Distances as above, in multiples of 1/64."""
    return np.round(euclidean(random, shape) * 64) / 64


def offset(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """A million and a number in [0, 1), of which float32 keeps four bits."""
    return 1e6 + random.random(shape)


def load_published(folder: pathlib.Path) -> Matcher:
    """The published package's matcher. Its module has the name of ours, so it is loaded under another."""
    found = folder / "hungarian_loss" / "__init__.py"
    spec = importlib.util.spec_from_file_location("published", found, submodule_search_locations=[str(found.parent)])
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["published"] = package
    spec.loader.exec_module(package)
    steps = importlib.import_module("published.steps")
    match = tf.function(lambda cost: steps.select_optimal_assignment_mask(steps.reduce_matrix(cost)))
    return lambda cost: [match(tf.constant(problem)) for problem in cost]


def serve_published(folder: pathlib.Path, requests: Connection) -> None:
    """Matches each batch that it receives, until the other end is closed."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    match = load_published(folder)
    requests.send("ready")
    while True:
        match(requests.recv())
        requests.send("done")


class Published:
    """The published package, in a process that can be ended when it freezes."""

    def __init__(self, folder: pathlib.Path) -> None:
        if not folder.exists():
            raise ImportError(f"no {folder.name} in {folder.parent}")
        self.folder = folder
        self.process: multiprocessing.process.BaseProcess | None = None

    def __call__(self, cost: np.ndarray) -> object:
        """Matches the batch; raises a TimeoutError if that takes too long."""
        if self.process is None:
            context = multiprocessing.get_context("spawn")
            self.requests, theirs = context.Pipe()
            self.process = context.Process(target=serve_published, args=(self.folder, theirs), daemon=True)
            self.process.start()
            theirs.close()
            self.requests.recv()
        self.requests.send(cost)
        if not self.requests.poll(FROZEN):
            self.process.kill()
            self.process = None
            raise TimeoutError
        return self.requests.recv()


def peers(folder: pathlib.Path | None) -> dict[str, Matcher | None]:
    """The other matchers, by name; None where one is missing."""

    def one(name: str, make: Callable[[], Matcher]) -> Matcher | None:
        try:
            return make()
        except ImportError as error:
            print(f"{name} is missing: {error}", file=sys.stderr)
            return None

    def of(module: str, make: Callable) -> Matcher | None:
        return one(module, lambda: make(importlib.import_module(module)))

    def each(solve: Callable[[np.ndarray], object]) -> Matcher:
        return lambda cost: [solve(problem) for problem in cost]

    return {
        "SciPy": each(linear_sum_assignment),
        "laprust": of("laprust", lambda m: lambda cost: m.lapjv_batch(cost, extend_cost=True, n_threads=1)),
        "lapcpp": of("lapcpp", lambda m: lambda cost: m.lapjv_batch(cost, extend_cost=True, n_threads=1)),
        "lapx": of("lap", lambda m: each(lambda problem: m.lapjv(problem, extend_cost=True))),
        "fastlap": of("fastlap", lambda m: each(m.solve_lap)),
        "TF Models": of(
            "official.projects.detr.ops.matchers", lambda m: lambda cost: m.hungarian_matching(tf.constant(cost))
        ),
        "published": one("published", lambda: Published(folder / "published")) if folder else None,
    }


def our_op() -> Callable[[tf.Tensor], object]:
    """The raw op, all outputs."""
    solve = tf.load_op_library(hungarian_loss.op_library_path()).hungarian_assignment
    exists, no_limit = tf.constant(True), tf.constant(math.inf)
    return lambda costs: solve(costs, exists, exists, no_limit)


def measure(cost: np.ndarray, matchers: dict[str, Matcher | None], rounds: int) -> dict[str, Ratio]:
    """Ratios to the op's own time per problem, and the op's own spread as "same"."""
    op, costs = our_op(), tf.constant(cost)

    def ours() -> object:
        return op(costs)

    ours()
    # How many problems of the batch each is timed on.
    counts = {}
    for name, matcher in matchers.items():
        largest = LARGEST_FOR.get(name)
        if matcher is None or (largest and not cost.shape[1] == cost.shape[2] <= largest):
            continue
        count = 1
        try:
            matcher(cost[:1])
            while True:
                took = seconds(lambda matcher=matcher, part=cost[:count]: matcher(part))
                counts[name] = count
                if took >= LONGEST / 4 or count == len(cost):
                    break
                count = min(4 * count, len(cost))
        except (TimeoutError, EOFError):
            print(f"{name} does not return within {FROZEN} s from {count} of {cost.shape}", file=sys.stderr)
    ratios: dict[str, list[float]] = {"same": []}
    if cost[0].size >= FEW_ROUNDS_FROM:
        rounds = min(rounds, FEW_ROUNDS)
    for _ in range(rounds):
        own = seconds(ours) / len(cost)
        for name, count in counts.items():
            matcher, part = matchers[name], cost[:count]
            other = seconds(lambda matcher=matcher, part=part: matcher(part)) / count
            ratios.setdefault(name, []).append(other / own)
        ratios["same"].append(seconds(ours) / len(cost) / own)
    found = {name: ratio_of(values) for name, values in ratios.items()}
    exact = [found[name] for name in EXACT if name in found]
    return {**found, "best": min(exact, key=lambda ratio: ratio.median)} if exact else found


def draw(table: dict[str, dict[str, Ratio]], names: list[str], path: pathlib.Path) -> None:
    """The table as a picture."""
    figure, axes = pyplot.subplots(figsize=(9, 0.32 * len(table) + 1.2), layout="constrained")
    for name in names:
        points = [(cells[name].median, label) for label, cells in table.items() if name in cells]
        if points:
            axes.plot(*zip(*points, strict=True), "o", label=name)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(xscale="log", xlabel="times as long as this op takes, one thread")
    axes.invert_yaxis()
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Prints the table and draws it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=pathlib.Path, help="folder with the packages to compare with")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--picture", type=pathlib.Path, help="where to draw the table")
    options = parser.parse_args()
    if options.peers:
        sys.path.append(str(options.peers))
    tf.config.threading.set_intra_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    matchers = peers(options.peers)
    names = [*matchers, "best", "same"]
    print(f"| batch × rows × cols | costs | {' | '.join(names)} |")
    print(f"|---|---|{'---|' * len(names)}")
    untied = itertools.product([*SHAPES, *LARGE_SHAPES], [uniform, euclidean])
    tied = itertools.product(TIED_SHAPES, [integers, rounded, offset])
    table = {}
    logarithms: dict[str, list[float]] = {}
    for shape, kind in [*untied, *tied]:
        cells = measure(kind(random, shape).astype(np.float32), matchers, options.rounds)
        label = " × ".join(map(str, shape))
        table[f"{label} {kind.__name__}"] = cells
        if kind in (uniform, euclidean) and shape in SHAPES:
            for name, ratio in cells.items():
                logarithms.setdefault(name, []).append(math.log(ratio.median))
        texts = [str(cells[name]) if name in cells else "–" for name in names[:-1]]
        texts.append(f"{cells['same']} ({cells['same'].spread()})")
        print(f"| {label} | {kind.__name__} | {' | '.join(texts)} |", flush=True)
    means = [f"{math.exp(statistics.mean(logarithms[name])):.2f}" if name in logarithms else "–" for name in names]
    print(f"| geometric mean | uniform, euclidean | {' | '.join(means)} |")
    if options.picture:
        draw(table, list(matchers), options.picture)


if __name__ == "__main__":
    main()
