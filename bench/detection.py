"""Criteria of detectors, ours beside others': ratios from one interleaved run, and how many matchings each host gets wrong.

First DetrLoss by itself: what matching adds to the criterion of six decoder layers. In the base step the matching is
given, and its costs are computed all the same; "whole" is the step with the op, "no costs" the base step without the
costs.

Then beside others. A step is loss and gradient in a tf.function, or a training step of a model where the row says so. "theirs / ours" is the median over
interleaved rounds, with its quartiles; "same" is ours against itself in the same rounds. "wrong" counts matchings of random padded
problems of the row's shape, by the host's own matcher with the host's own costs, that cost more than SciPy's or are no
matchings.

Hosts come from the folder given with --hosts (`make bench` fills it).
"""

import argparse
import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from scipy.optimize import linear_sum_assignment
from timing import interleave

from hungarian_loss import Assignment
from hungarian_loss.adapters import keras_hub as exact
from hungarian_loss.detection import DetrLoss

TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"
IMAGES, QUERIES, OBJECTS = 4, 100, 10
# Problems to count wrong matchings on.
PROBLEMS = 34
OWN_HEADER = "| DetrLoss | given, ms | whole | no costs | same |"
HEADER = "| step | ours, ms | theirs / ours | quartiles | same | wrong |"

Step = Callable[[], object]


def use_hosts(folder: pathlib.Path) -> None:
    """Makes the hosts, and the problems that the tests draw, importable."""
    sys.path += [str(TESTS / "python"), str(TESTS / "hosts"), str(folder), str(TESTS / "hosts/stand_ins")]


def line(name: str, ours: Step, theirs: Step, wrong: str, rounds: int) -> str:
    """One line of the table."""
    base, ratios = interleave(ours, {"theirs": theirs}, rounds)
    ratio, same = ratios["theirs"], ratios["same"]
    return f"| {name} | {base * 1e3:.2f} | {ratio} | {ratio.spread()} | {same} ({same.spread()}) | {wrong} |"


def count_wrong(costs: np.ndarray, pairs: list[tuple[np.ndarray, np.ndarray]]) -> str:
    """Of problems ``[k, rows, cols]``, those whose pairs are no matching or cost more than SciPy's."""
    wrong = 0
    for cost, (rows, cols) in zip(np.asarray(costs, np.float64), pairs, strict=True):
        is_matching = len(set(rows)) == len(rows) == len(set(cols)) == min(cost.shape)
        wrong += not is_matching or cost[rows, cols].sum() > cost[linear_sum_assignment(cost)].sum() + 1e-4
    return f"{wrong} of {len(costs)}"


# DetrLoss by itself.


class GivenMatching(DetrLoss):
    """The same loss with a matching that is given, and with its costs or without."""

    def __init__(self, given: Assignment, with_costs: bool, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.given, self.with_costs = given, with_costs

    def _match(self, truth: object, predictions: object) -> tuple[object, Assignment]:
        if not self.with_costs:
            return None, self.given
        # The costs are used, so that TensorFlow does not prune them.
        first = 0.0 * self._costs(truth, predictions)[:, :, 0, 0]
        return None, self.given._replace(total_cost=self.given.total_cost + first)


def detr_steps(rounds: int) -> Iterator[str]:
    """Eight images of 20 objects, six layers: cost, matching, loss and gradient."""
    images, objects, layers, classes = 8, 20, 6, 80
    random = np.random.default_rng(0)
    for classification in ("softmax", "focal"):
        for queries in (100, 300):
            channels = classes + (classification == "softmax")
            y_true = {
                "boxes": tf.constant(random.uniform(0.2, 0.8, (images, objects, 4)), tf.float32),
                "labels": tf.constant(random.integers(0, classes, (images, objects))),
            }
            boxes = random.uniform(0.1, 0.9, (images, layers, queries, 4))
            y_pred = tf.constant(
                np.concatenate([boxes, random.normal(size=(*boxes.shape[:3], channels))], -1), tf.float32
            )
            whole = DetrLoss(classes, classification=classification)
            truth, predictions, _ = whole._read(y_true, y_pred)
            matching = Assignment(*map(tf.identity, whole._match(truth, predictions)[1]))
            given, no_costs = (
                GivenMatching(matching, with_costs, classes, classification=classification)
                for with_costs in (True, False)
            )
            base, ratios = interleave(
                packed_step(given, y_true, y_pred),
                {"whole": packed_step(whole, y_true, y_pred), "no costs": packed_step(no_costs, y_true, y_pred)},
                rounds,
            )
            row = [f"{classification}, {images} × {layers} × {queries}, {objects} objects", f"{base * 1e3:.1f}"]
            row += [f"{ratios[name]} ({ratios[name].spread()})" for name in ("whole", "no costs", "same")]
            yield f"| {' | '.join(row)} |"


def packed_step(loss: DetrLoss, y_true: dict, y_pred: tf.Tensor) -> Step:
    """Loss and gradient with respect to the predictions, traced."""

    @tf.function(autograph=False)
    def step(boxes: tf.Tensor, labels: tf.Tensor, y_pred: tf.Tensor) -> object:
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss({"boxes": boxes, "labels": labels}, y_pred)
        return value, tape.gradient(value, y_pred)

    return lambda: step(y_true["boxes"], y_true["labels"], y_pred)


# TF Models' DETR.


def tf_models_criterion(rounds: int) -> Iterator[str]:
    """One decoder layer: cost, matching, loss and gradient. Each gets the objects in its own form: theirs has a slot
    for each query."""
    from official.projects.detr.configs import detr
    from official.projects.detr.ops import matchers
    from official.projects.detr.tasks import detection

    import detr_problems

    task = detection.DetectionTask(detr.DetrTask())
    loss = DetrLoss(detr_problems.CLASSES, box_format="center_yxhw")
    problems = detr_problems.draw([OBJECTS] * IMAGES, QUERIES)
    compact = problems.compact()

    def theirs(given: detr_problems.Problems) -> tf.Tensor:
        return task.build_losses(*given.for_tf_models())[0]

    def ours(given: detr_problems.Problems) -> tf.Tensor:
        return loss(*given.for_detr_loss())

    np.testing.assert_allclose(ours(compact), theirs(problems), rtol=1e-5)
    many = detr_problems.draw([OBJECTS] * PROBLEMS, QUERIES)
    outputs, labels = many.for_tf_models()
    costs = task._compute_cost(*outputs.values(), *labels.values())
    wrong = count_wrong(costs.numpy(), [np.nonzero(mask) for mask in matchers.hungarian_matching(costs)[1].numpy()])
    shape = f"{IMAGES} × {QUERIES}, {OBJECTS} objects"
    yield line(
        f"TF Models' criterion, one layer, {shape}",
        criterion_step(ours, compact),
        criterion_step(theirs, problems),
        wrong,
        rounds,
    )


def criterion_step(criterion: Callable, problems: tuple) -> Step:
    """Loss and gradient with respect to logits and boxes, traced."""

    @tf.function(autograph=False)
    def step(*arguments: tf.Tensor) -> object:
        given = problems._make(arguments)
        with tf.GradientTape() as tape:
            tape.watch([given.logits, given.boxes])
            value = criterion(given)
        return value, tape.gradient(value, [given.logits, given.boxes])

    return lambda: step(*problems)


# KerasHub's D-FINE.


def d_fine_step(rounds: int) -> Iterator[str]:
    """A training step of a tiny D-FINE with its own matcher, and with ours."""
    wrong = wrong_of_d_fine()
    for jit_compile in (False, True):
        ours, theirs = (d_fine_training_step(matching, jit_compile) for matching in (exact.exact_matching, as_it_is))
        with_jit = "with jit" if jit_compile else "without jit"
        shape = f"{IMAGES} × {QUERIES}, {OBJECTS} objects"
        yield line(f"KerasHub's D-FINE, training step {with_jit}, {shape}", ours, theirs, wrong, rounds)


@contextlib.contextmanager
def as_it_is() -> Iterator[None]:
    """KerasHub with its own matcher."""
    yield


def d_fine_training_step(matching: Callable, jit_compile: bool) -> Step:
    """A training step that was traced with that matcher, and keeps it."""
    import keras

    import tiny_d_fine

    size = 160
    detector = tiny_d_fine.build(QUERIES, size)
    data = tf.nest.map_structure(tf.constant, tiny_d_fine.batch(IMAGES, OBJECTS, size))
    # Nothing is learned, so that every step meets the same problems.
    detector.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=jit_compile)
    detector.make_train_function()
    step = detector.train_function
    with matching():
        step(iter([data]))
    # The loss is read as a number, which is there when the step is over.
    return lambda: float(step(iter([data]))["loss"])


def wrong_of_d_fine() -> str:
    """Random predictions and objects, padded by D-FINE itself to a square."""
    from keras_hub.src.models.d_fine import d_fine_loss

    import host_costs

    logits, boxes, labels, true_boxes = host_costs.random_images([OBJECTS] * PROBLEMS, QUERIES)

    class Backbone:
        num_queries = QUERIES

    @tf.function(jit_compile=True)
    def match(logits: tf.Tensor, boxes: tf.Tensor, labels: tf.Tensor, true_boxes: tf.Tensor) -> object:
        outputs, targets = {"logits": logits, "pred_boxes": boxes}, [{"labels": labels, "boxes": true_boxes}]
        counts = tf.constant([OBJECTS] * PROBLEMS)
        return d_fine_loss.hungarian_matcher(outputs, targets, counts, **host_costs.D_FINE, backbone=Backbone())

    rows, cols, valid = (part.numpy() for part in match(logits, boxes, labels, true_boxes))
    costs = [
        host_costs.d_fine(*image, host_costs.D_FINE)
        for image in zip(
            logits,
            boxes,
            labels.reshape(PROBLEMS, OBJECTS),
            true_boxes.reshape(PROBLEMS, OBJECTS, 4),
            strict=True,
        )
    ]
    return count_wrong(np.stack(costs), [(rows[i][valid[i]], cols[i][valid[i]]) for i in range(PROBLEMS)])


# Each yields lines of the table.
TF_MODELS = [tf_models_criterion]
KERAS_HUB = [d_fine_step]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=pathlib.Path, required=True, help="folder with KerasHub and TF Models")
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    use_hosts(options.hosts)
    print(f"\n{OWN_HEADER}\n|{'---|' * 5}")
    for row in detr_steps(options.rounds):
        print(row, flush=True)
    print(f"\n{HEADER}\n|{'---|' * 6}")
    for rows in [*TF_MODELS, *KERAS_HUB]:
        for row in rows(options.rounds):
            print(row, flush=True)


if __name__ == "__main__":
    main()
