"""Interleaved timing: ratios of runs made one after the other, so that all meet a change of the machine's speed."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Ratio(NamedTuple):
    """Median of the ratios of the rounds, and the quartiles around it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f}"

    def spread(self) -> str:
        """The quartiles."""
        return f"{self.low:.2f}–{self.high:.2f}"


def ratio_of(ratios: list[float]) -> Ratio:
    """Median and quartiles."""
    if len(ratios) < 2:
        return Ratio(ratios[0], ratios[0], ratios[0])
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high)


def seconds(run: Callable[[], object], times: int = 1) -> float:
    """Wall time of one run, as a mean over ``times``."""
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def interleave(
    base: Callable[[], object], others: dict[str, Callable[[], object]], rounds: int, at_least: float = 0.005
) -> tuple[float, dict[str, Ratio]]:
    """Median seconds of ``base``, and the ratios of the others to it; "same" is ``base`` itself. Each runs for
    ``at_least`` s a round.

    Many short rounds, most of which nothing interrupts, tell more than few long ones.
    """
    runs = {"base": base, **others, "same": base}
    times = {}
    for name, run in runs.items():
        run()
        times[name] = max(1, round(at_least / seconds(run, 3)))
    took: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            took[name].append(seconds(run, times[name]))
    ratios = {
        name: ratio_of([other / own for other, own in zip(took[name], took["base"], strict=True)])
        for name in runs
        if name != "base"
    }
    return statistics.median(took["base"]), ratios
