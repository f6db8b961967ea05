"""Learns to find handwritten digits, with and without matching, and shows which of the two works.

The same network is trained twice on the same canvases: once comparing each true digit with the prediction that is
matched with it, once the first with the first, the second with the second. Both are scored on canvases made of scans
that neither was trained on. Ends with an error unless matching wins clearly.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from canvases import Canvases, load_scans, make_canvases
from export import export
from losses import matched_loss, position_by_position_loss
from measure import digits_found
from model import make_model
from picture import Course, draw

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "demo"

TRAINING_CANVASES = 16_000
HELD_OUT_CANVASES = 1_000
BATCH = 64
EPOCHS = 6
LEARNING_RATE = 2e-3

LEAST_GAIN = 0.20
"""By how much matching must win, as a share of the digits."""
MOST_BY_LUCK = 0.05
"""What share of the digits an untrained model must stay below, or the measure would mean nothing."""


class Outcome(NamedTuple):
    """What one seed gave: the held-out canvases, an untrained model, and the two trained ones."""

    held_out: Canvases
    untrained: keras.Model
    position: keras.Model
    position_course: Course
    matched: keras.Model
    matched_course: Course


class DigitsFound(keras.callbacks.Callback):
    """Measures on held-out canvases before training and after each epoch, and adds it to what Keras logs."""

    def __init__(self, held_out: Canvases) -> None:
        super().__init__()
        self.held_out = held_out
        self.shares: list[float] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """The measure of the untrained model."""
        self.shares.append(measure(self.model, self.held_out))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The measure so far."""
        self.shares.append(measure(self.model, self.held_out))
        if logs is not None:
            logs["digits_found"] = self.shares[-1]


def measure(model: keras.Model, held_out: Canvases) -> float:
    """Share of the held-out digits that the model finds, 0 to 1."""
    return digits_found(held_out.objects, model.predict(held_out.images, batch_size=250, verbose=0))


def train(
    loss: keras.losses.Loss, data: Canvases, held_out: Canvases, seed: int, jit: bool | str
) -> tuple[keras.Model, Course]:
    """Trains a model that starts from the same weights, and sees the same batches, for the same seed."""
    keras.utils.set_random_seed(seed)
    model = make_model()
    steps = EPOCHS * -(-len(data.images) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(optimizer=keras.optimizers.Adam(schedule), loss=loss, jit_compile=jit)
    found = DigitsFound(held_out)
    history = model.fit(
        data.images,
        data.objects,
        batch_size=BATCH,
        epochs=EPOCHS,
        callbacks=[found],
        verbose=1 if sys.stdout.isatty() else 2,
    )
    return model, Course(history.history["loss"], found.shares)


def run(seed: int, jit: bool | str) -> Outcome:
    """Makes the canvases and trains both models."""
    random = np.random.default_rng(seed)
    train_scans, held_out_scans = load_scans(seed)
    data = make_canvases(train_scans, TRAINING_CANVASES, random)
    held_out = make_canvases(held_out_scans, HELD_OUT_CANVASES, random)
    keras.utils.set_random_seed(seed)
    untrained = make_model()
    print(f"\nSeed {seed}: training position by position", flush=True)
    position = train(position_by_position_loss(), data, held_out, seed, jit)
    print(f"\nSeed {seed}: training matched", flush=True)
    matched = train(matched_loss(), data, held_out, seed, jit)
    return Outcome(held_out, untrained, *position, *matched)


def show(outcome: Outcome, output: Path) -> tuple[Path, Path]:
    """Draws the picture and exports the matched model; returns where both are."""
    examples = Canvases(*(part[:4] for part in outcome.held_out))
    models = {
        "Untrained": outcome.untrained,
        "Position by position": outcome.position,
        "Matched": outcome.matched,
    }
    picture = output / "digits.png"
    draw(
        picture,
        examples,
        {name: model.predict(examples.images, verbose=0) for name, model in models.items()},
        {"Matched": outcome.matched_course, "Position by position": outcome.position_course},
    )
    return picture, export(outcome.matched, examples, output)


def main() -> int:
    """Runs the demo; returns 1 when the measure is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the picture and the SavedModel")
    parser.add_argument("--seeds", type=int, default=1, help="how many times to repeat it, with seeds 0, 1, ...")
    parser.add_argument(
        "--jit",
        action=argparse.BooleanOptionalAction,
        default="auto",
        help="compile the training steps with XLA, or do not; Keras decides if nothing is said",
    )
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds must be 1 or more, got {arguments.seeds}")
    arguments.output.mkdir(parents=True, exist_ok=True)

    scores = []
    for seed in range(arguments.seeds):
        outcome = run(seed, arguments.jit)
        untrained = outcome.matched_course.found[0]
        scores.append((untrained, outcome.position_course.found[-1], outcome.matched_course.found[-1]))
        if seed == 0:
            picture, saved_model = show(outcome, arguments.output)

    print(f"\nDigits found on {HELD_OUT_CANVASES} held-out canvases: right class, and intersection over union ≥ 0.5")
    print("  seed  untrained  position by position  matched")
    for seed, (untrained, position, matched) in enumerate(scores):
        print(f"  {seed:>4}  {untrained:>9.1%}  {position:>20.1%}  {matched:>7.1%}")
    print(f"\nPicture:    {picture}\nSavedModel: {saved_model}")
    if any(untrained >= MOST_BY_LUCK for untrained, _, _ in scores):
        print(f"demo: an untrained model found {MOST_BY_LUCK:.0%} or more: the measure is too easy", file=sys.stderr)
        return 1
    if any(matched < position + LEAST_GAIN for _, position, matched in scores):
        print(f"demo: matching did not win by {100 * LEAST_GAIN:.0f} points", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
