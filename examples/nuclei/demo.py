"""Finds and counts the nuclei in a micrograph, trained on one half and tested on the other, then the other way round.

With --rivals the same network is also trained by other ways to say which prediction is to show which nucleus, by the same
loss terms, from the same weights, on the same tiles. Ends with an error unless matching finds and counts well.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf

import rivals
from data import Scene, Tiles, load_halves, random_tiles, test_tiles
from export import export
from hungarian_loss.detection import DetrLoss
from measure import Detections, Quality, quality, suppressed
from model import make_model
from picture import draw

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "demo"

BATCH = 16
EPOCHS, STEPS_PER_EPOCH = 6, 40
LEARNING_RATE = 2e-3

MATCHED, DENSE = "matched", "dense assignment"
SETTINGS = {
    "num_classes": 1,
    # Not DETR's 0.1: where "none" weighs less, scores are too high to be summed up.
    "no_object_weight": 1.0,
    # The class term is a mean over the 256 queries of a tile, the others are means over its nuclei, some 8.
    "class_weight": 32.0,
}
RIVALS = {
    "position by position": rivals.position_by_position,
    "greedy": rivals.greedy,
    DENSE: rivals.dense,
}

LEAST_AP50 = 70.0
"""What matching must reach without suppression, in percent."""
MOST_MISCOUNTED = 2.0
"""How far off its count of a tile may be on average."""
LEAST_MISCOUNTED_BY_DENSE = 4.0
"""How far off dense assignment is: less would mean that counting is too easy to tell them apart."""


class Fold(NamedTuple):
    """One half to train on, the other to test on."""

    name: str
    train: Scene
    test: Tiles


class Result(NamedTuple):
    """What a network saw in a half that it was not trained on, and how good that is without and with suppression."""

    fold: Fold
    model: keras.Model
    detections: Detections
    plain: Quality
    with_suppression: Quality


def train(half: Scene, loss: DetrLoss, seed: int, steps_per_epoch: int) -> keras.Model:
    """Trains a network that starts from the same weights, and sees the same tiles, for the same seed."""
    keras.utils.set_random_seed(seed)
    model = make_model()
    steps = EPOCHS * steps_per_epoch
    warm_up = max(1, steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=LEARNING_RATE, warmup_steps=warm_up
    )
    model.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-4, global_clipnorm=1.0), loss=loss)
    model.fit(
        random_tiles(half, BATCH, seed),
        epochs=EPOCHS,
        steps_per_epoch=steps_per_epoch,
        shuffle=False,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    return model


def test(model: keras.Model, fold: Fold) -> Result:
    """Shows it the half that it has not seen."""
    predictions = model.predict(fold.test.images, verbose=0)
    detections = Detections(predictions["boxes"], tf.nn.softmax(predictions["logits"]).numpy()[..., 0])
    plain, with_suppression = (quality(fold.test.objects, one) for one in (detections, suppressed(detections)))
    return Result(fold, model, detections, plain, with_suppression)


def losses(with_rivals: bool) -> dict[str, Callable[[], DetrLoss]]:
    """What is trained, by the names of the rows."""
    ways = RIVALS if with_rivals else {}
    return {
        MATCHED: functools.partial(DetrLoss, **SETTINGS),
        **{name: functools.partial(rivals.LossByWay, way, **SETTINGS) for name, way in ways.items()},
    }


def run(folds: Sequence[Fold], with_rivals: bool, seed: int, steps_per_epoch: int) -> dict[str, list[Result]]:
    """Trains on each half, in each way: a result for each fold, by the names of the rows."""
    keras.utils.set_random_seed(seed)
    untrained = make_model()
    results = {"untrained": [test(untrained, fold) for fold in folds]}
    for name, loss in losses(with_rivals).items():
        results[name] = []
        for fold in folds:
            print(f"\nSeed {seed}, {name}: training on the {fold.name} half", flush=True)
            results[name].append(test(train(fold.train, loss(), seed, steps_per_epoch), fold))
    return results


def print_table(seed: int, results: dict[str, list[Result]]) -> None:
    """A line for each way and half."""
    print(f"\nSeed {seed}: the half that was not trained on  |  with non-maximum suppression")
    print("                       trained on     AP   AP50  miscounted  |    AP   AP50  miscounted")
    for name, both in results.items():
        for fold, _, _, *qualities in both:
            columns = "  |".join(f" {one.ap:5.1f}  {one.ap50:5.1f}  {one.counting_error:10.2f}" for one in qualities)
            print(f"  {name:<20} {fold.name:>10} {columns}")


def failures(results: dict[str, list[Result]]) -> list[str]:
    """A sentence for each promise that is not held."""
    broken = []
    for fold, _, _, plain, _ in results[MATCHED]:
        if plain.ap50 < LEAST_AP50:
            broken.append(f"matched, trained on the {fold.name} half: AP50 {plain.ap50:.1f} is below {LEAST_AP50:g}")
        if plain.counting_error > MOST_MISCOUNTED:
            broken.append(
                f"matched, trained on the {fold.name} half: counts are off by {plain.counting_error:.2f} a tile, "
                f"more than {MOST_MISCOUNTED:g}"
            )
    for fold, _, _, plain, _ in results.get(DENSE, []):
        if plain.counting_error < LEAST_MISCOUNTED_BY_DENSE:
            broken.append(
                f"dense, trained on the {fold.name} half: counts are off by {plain.counting_error:.2f} a tile only, "
                f"less than {LEAST_MISCOUNTED_BY_DENSE:g}"
            )
    return broken


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo; returns 1 when a promise is not held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the picture and the SavedModel")
    parser.add_argument("--seeds", type=int, default=1, help="how many times to repeat it, with seeds 0, 1, ...")
    parser.add_argument("--rivals", action="store_true", help="also train by other ways than matching")
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
    # Who was trained on the left half has been tested on the right one.
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
