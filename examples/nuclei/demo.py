"""Finds and counts the nuclei in a micrograph, trained on one half and tested on the other, then the other way round.

With --rivals the same network is also trained by other assignments, with the same loss terms, from the same weights, on the
same tiles. Ends with an error unless matching finds and counts well.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from data import Scene, Tiles, load_halves, test_tiles
from export import export
from hungarian_loss.detection import DetrLoss
from measure import Detections, Quality, quality, suppressed
from model import make_model
from picture import draw
from rivals import AssignedLoss, dense, greedy, position_by_position
from train import SETTINGS, STEPS_PER_EPOCH, detect, train

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "demo"

MATCHED, DENSE = "matched", "dense assignment"
RIVALS = {
    "position by position": position_by_position,
    "greedy": greedy,
    DENSE: dense,
}

LEAST_AP50 = 70.0
"""What matching must reach without suppression, in percent."""
MOST_MISCOUNTED = 2.0
"""How far off its count of a tile may be on average."""
LEAST_MISCOUNTED_BY_DENSE = 4.0
"""How far off the count by dense assignment must be: less would mean that counting is too easy to tell them apart."""


class Fold(NamedTuple):
    """One half to train on, the other to test on."""

    name: str
    train: Scene
    test: Tiles


class Result(NamedTuple):
    """What a network detects in a half that it was not trained on, and how good that is without and with
    suppression."""

    fold: Fold
    model: keras.Model
    detections: Detections
    plain: Quality
    with_suppression: Quality


def examine(model: keras.Model, fold: Fold) -> Result:
    """Tests the model on the half that it was not trained on."""
    detections = detect(model, fold.test)
    plain, with_suppression = (quality(fold.test.objects, one) for one in (detections, suppressed(detections)))
    return Result(fold, model, detections, plain, with_suppression)


def losses(with_rivals: bool) -> dict[str, Callable[[], DetrLoss]]:
    """Makes each of the losses to train with, by the names of the table's rows."""
    found = {MATCHED: functools.partial(DetrLoss, **SETTINGS)}
    if with_rivals:
        found |= {name: functools.partial(AssignedLoss, assign, **SETTINGS) for name, assign in RIVALS.items()}
    return found


def run(folds: Sequence[Fold], with_rivals: bool, seed: int, steps_per_epoch: int) -> dict[str, list[Result]]:
    """Trains on each half, with each assignment: a result for each fold, by the names of the table's rows."""
    keras.utils.set_random_seed(seed)
    untrained = make_model()
    results = {"untrained": [examine(untrained, fold) for fold in folds]}
    for name, loss in losses(with_rivals).items():
        results[name] = []
        for fold in folds:
            print(f"\nSeed {seed}, {name}: training on the {fold.name} half", flush=True)
            results[name].append(examine(train(fold.train, loss(), seed, steps_per_epoch), fold))
    return results


def print_table(seed: int, results: dict[str, list[Result]]) -> None:
    """A line for each assignment and half."""
    print(f"\nSeed {seed}: the half that was not trained on  |  with non-maximum suppression")
    print("                       trained on     AP   AP50  miscounted  |    AP   AP50  miscounted")
    for name, both in results.items():
        for fold, _, _, *qualities in both:
            columns = "  |".join(f" {one.ap:5.1f}  {one.ap50:5.1f}  {one.counting_error:10.2f}" for one in qualities)
            print(f"  {name:<20} {fold.name:>10} {columns}")


def failures(results: dict[str, list[Result]]) -> list[str]:
    """A sentence for each promise that is not held. All are about the mean over both halves, without suppression."""

    def mean(name: str) -> Quality:
        return Quality(*(float(value) for value in np.mean([one.plain for one in results[name]], axis=0)))

    matched = mean(MATCHED)
    # Written so that NaN breaks a promise.
    promises = [
        (matched.ap50 >= LEAST_AP50, f"{MATCHED}: AP50 {matched.ap50:.1f} is below {LEAST_AP50:g}"),
        (
            matched.counting_error <= MOST_MISCOUNTED,
            f"{MATCHED}: counts are off by {matched.counting_error:.2f} a tile, more than {MOST_MISCOUNTED:g}",
        ),
    ]
    if DENSE in results:
        by_dense = mean(DENSE).counting_error
        sentence = f"{DENSE}: counts are off by {by_dense:.2f} a tile only, less than {LEAST_MISCOUNTED_BY_DENSE:g}"
        promises.append((by_dense >= LEAST_MISCOUNTED_BY_DENSE, sentence))
    return [sentence for is_held, sentence in promises if not is_held]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; returns 1 when a promise is not held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the picture and the SavedModel")
    parser.add_argument("--seeds", type=int, default=1, help="how many times to repeat it, with seeds 0, 1, ...")
    parser.add_argument("--rivals", action="store_true", help="also train by other assignments")
    parser.add_argument("--quick", action="store_true", help="a step an epoch, to try the program: nothing is promised")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds must be 1 or more, got {options.seeds}")
    options.output.mkdir(parents=True, exist_ok=True)

    left, right = load_halves()
    folds = [Fold("left", left, test_tiles(right)), Fold("right", right, test_tiles(left))]
    broken = []
    for seed in range(options.seeds):
        results = run(folds, options.rivals, seed, 1 if options.quick else STEPS_PER_EPOCH)
        print_table(seed, results)
        broken += [f"seed {seed}, {sentence}" for sentence in failures(results)]
        if seed == 0:
            first = results

    picture = options.output / "nuclei.png"
    # What was trained on the left half has been tested on the right one.
    shown = {name: [one.detections for one in reversed(both)] for name, both in first.items()}
    draw(picture, [fold.test for fold in reversed(folds)], shown, MATCHED)
    fold, model, *_ = first[MATCHED][0]
    saved_model = export(model, DetrLoss(**SETTINGS), fold.test, options.output)
    print(f"\nPicture:    {picture}\nSavedModel: {saved_model}")
    if options.quick:
        return 0
    for sentence in broken:
        print(f"demo: {sentence}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
