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

BOX_NUMBERS = 4
CLASSES = 10


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


def predict(canvases: tf.Tensor) -> dict[str, tf.Tensor]:
    """The same three objects for every canvas: digits 3, 1 and 4 from left to right."""
    boxes = tf.constant([[[0.2, 0.5, 0.1, 0.2], [0.5, 0.5, 0.1, 0.2], [0.8, 0.5, 0.1, 0.2]]])
    classes = 0.9 * tf.one_hot([[3, 1, 4]], CLASSES) + 0.01
    batch = tf.shape(canvases)[0]
    return {"boxes": tf.repeat(boxes, batch, axis=0), "classes": tf.repeat(classes, batch, axis=0)}


def match(canvases: tf.Tensor, true_objects: tf.Tensor) -> dict[str, tf.Tensor]:
    """Matches true objects with the predicted ones; an all-zero row is no object."""
    predicted = predict(canvases)
    predictions = tf.concat([predicted["boxes"], predicted["classes"]], axis=-1)
    cost = hungarian_loss.compute_euclidean_distance(true_objects, predictions)
    is_object = tf.reduce_any(true_objects != 0.0, axis=-1)
    assignment = hungarian_loss.linear_assignment(cost, row_mask=is_object)
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
    canvases = tf.TensorSpec([None, 8, 8, 1], tf.float32, name="canvases")
    signatures = {
        "infer": tf.function(infer).get_concrete_function(
            y_true=objects("y_true", None, FEATURES), y_pred=objects("y_pred", None, FEATURES)
        ),
        # Bound beforehand: a signature may use a variable but not take one.
        "train_step": tf.function(partial(train_step, model.weights)).get_concrete_function(
            x=objects("x", OBJECTS, FEATURES), y_true=objects("y_true", OBJECTS, FEATURES)
        ),
        "predict": tf.function(predict).get_concrete_function(canvases),
        "match": tf.function(match).get_concrete_function(canvases, objects("objects", None, BOX_NUMBERS + CLASSES)),
    }
    tf.saved_model.save(model, sys.argv[1], signatures=signatures)


if __name__ == "__main__":
    main()
