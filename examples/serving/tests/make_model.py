"""Makes the SavedModel that tests/serving.rs runs from Rust.

Usage: python make_model.py DIRECTORY

`infer`, `train_step` and `match` hold the custom op HungarianAssignment. `train_step` learns through the
op's gradient, which is part of the exported graph. `predict` and `match` have the form that the program
`serve` asks for, on predictions that are always the same.
"""

import sys
from functools import partial

import tensorflow as tf

import hungarian_loss

FEATURES = 3
OBJECTS = 5
LEARNING_RATE = 0.1

OBJECT_NUMBERS = 5  # A box and a label.


def objects(name: str, count: int | None, features: int) -> tf.TensorSpec:
    """A batch of sets of objects: float32 [batch, count, features]."""
    return tf.TensorSpec([None, count, features], tf.float32, name=name)


def infer(y_true: tf.Tensor, y_pred: tf.Tensor) -> dict[str, tf.Tensor]:
    """The cheapest assignment by Euclidean distance."""
    cost = hungarian_loss.compute_euclidean_distance(y_true, y_pred)
    assignment = hungarian_loss.linear_assignment(cost)
    return {"total_cost": assignment.total_cost, "row_to_col": assignment.row_to_col}


def train_step(weights: tf.Variable, x: tf.Tensor, y_true: tf.Tensor) -> dict[str, tf.Tensor]:
    """One step of gradient descent on `weights`; returns the mean loss before the step."""
    with tf.GradientTape() as tape:
        y_pred = tf.einsum("bof,fg->bog", x, weights)
        loss = tf.reduce_mean(hungarian_loss.hungarian_loss(y_true, y_pred))
    weights.assign_sub(LEARNING_RATE * tape.gradient(loss, weights))
    return {"loss": loss}


def predict(tiles: tf.Tensor) -> dict[str, tf.Tensor]:
    """The same four predictions for every tile: three probable ones from left to right, and one that is not."""
    boxes = tf.constant([[[0.2, 0.5, 0.1, 0.2], [0.5, 0.5, 0.1, 0.2], [0.8, 0.5, 0.1, 0.2], [0.5, 0.9, 0.1, 0.2]]])
    scores = tf.constant([[0.9, 1.0, 0.95, 0.125]])
    batch = tf.shape(tiles)[0]
    return {"boxes": tf.repeat(boxes, batch, axis=0), "scores": tf.repeat(scores, batch, axis=0)}


def match(tiles: tf.Tensor, true_objects: tf.Tensor) -> dict[str, tf.Tensor]:
    """Matches true objects with the predicted ones by their boxes; a negative label means that there is no object."""
    boxes, labels = tf.split(true_objects, [OBJECT_NUMBERS - 1, 1], axis=-1)
    cost = hungarian_loss.compute_euclidean_distance(boxes, predict(tiles)["boxes"])
    assignment = hungarian_loss.linear_assignment(cost, row_mask=labels[..., 0] >= 0)
    matched = hungarian_loss.assignment_mask(assignment.row_to_col, tf.shape(cost)[-1])
    return {
        "row_to_col": assignment.row_to_col,
        "cost": tf.reduce_sum(tf.where(matched, cost, 0.0), axis=-1),
        "loss": assignment.total_cost,
    }


def main() -> None:
    """Writes the model to the directory named on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: make_model.py DIRECTORY")
    model = tf.Module()
    model.weights = tf.Variable(0.3 * tf.eye(FEATURES), name="weights")
    tiles = tf.TensorSpec([None, 8, 8, 1], tf.float32, name="tiles")
    signatures = {
        "infer": tf.function(infer).get_concrete_function(
            y_true=objects("y_true", None, FEATURES), y_pred=objects("y_pred", None, FEATURES)
        ),
        # Bound beforehand: a signature may use a variable but not take one.
        "train_step": tf.function(partial(train_step, model.weights)).get_concrete_function(
            x=objects("x", OBJECTS, FEATURES), y_true=objects("y_true", OBJECTS, FEATURES)
        ),
        "predict": tf.function(predict).get_concrete_function(tiles),
        "match": tf.function(match).get_concrete_function(tiles, objects("objects", None, OBJECT_NUMBERS)),
    }
    tf.saved_model.save(model, sys.argv[1], signatures=signatures)


if __name__ == "__main__":
    main()
