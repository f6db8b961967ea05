"""On a GPU a step of training never waits for a copy to the host.

Without a GPU this is read from the graph that TensorFlow makes of a step, optimised as it is run, and from the list of
kernels of its CUDA build (gpu_kernels.py). There int32 is a type for sizes: nearly every kernel for it works in host
memory, so what the op returns must become int64 before it is compared, limited or reshaped.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import op_def_registry

import gpu_kernels
from hungarian_loss import (
    HungarianLoss,
    _losses,
    assignment_mask,
    assignment_pairs,
    compute_euclidean_distance,
    hungarian_loss,
    linear_assignment,
)
from hungarian_loss.detection import DetrLoss
from hungarian_loss.recipes import PermutationInvariantLoss, gated_assignment

pytestmark = pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")),
    reason="with a GPU TensorFlow makes another graph; this one is looked at on machines without",
)


@pytest.fixture(autouse=True)
def as_with_a_gpu(monkeypatch):
    """Makes the losses behave as with a GPU: they assert nothing of labels, and use a gradient that needs no shape."""
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: ["one"])


# What TensorFlow's executor feeds and fetches.
ENDS = {"_Arg", "_Retval", "_DeviceArg", "_DeviceRetval", "NoOp"}
ON_DEVICE = {"types": {}, "on_host": []}
# Not in the table: our own op, whose kernel has all of its tensors in the device's memory (tests/gpu), and one that TensorFlow makes for a CPU
# out of several, of which each has such a kernel.
OTHERS = {"HungarianAssignment": ON_DEVICE, "_UnaryOpsComposition": ON_DEVICE}


def optimized(function, arguments):
    """The graph that TensorFlow runs, as a GraphDef."""
    context.enable_run_metadata()
    try:
        function(*arguments)
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_run_metadata()
    return max((graph.post_optimization_graph for graph in graphs), key=lambda graph: len(graph.node))


def names_of(definitions, node):
    """The names of a node's inputs or outputs; that of a list once for each of its tensors."""
    names = []
    for definition in definitions:
        length = 1
        if definition.number_attr:
            length = node.attr[definition.number_attr].i
        elif definition.type_list_attr:
            length = len(node.attr[definition.type_list_attr].list.type)
        names += [definition.name] * length
    return names


def kernel_of(node):
    if node.op in OTHERS:
        return OTHERS[node.op]
    types = {name: tf.as_dtype(value.type).name for name, value in node.attr.items() if value.type}
    return gpu_kernels.kernel_for(node.op, types)


def copies_to_host(graph):
    """Each edge that leads from a GPU's memory to the host's, as text."""
    nodes = {node.name: node for node in graph.node}

    @functools.cache
    def on_host(name, place):
        """Whether an output lies there; a constant does if it is a size or a text."""
        node = nodes[name]
        if node.op == "Const":
            return tf.as_dtype(node.attr["dtype"].type) in (tf.int32, tf.string)
        if node.op in ENDS:
            # An int32 argument of a function lies on the host, all others where they are needed.
            return tf.as_dtype(node.attr["T"].type) == tf.int32
        kernel = kernel_of(node)
        outputs = names_of(op_def_registry.get(node.op).output_arg, node)
        return kernel is None or outputs[place] in kernel["on_host"]

    found = []
    for node in graph.node:
        if node.op in ENDS or node.op == "Const":
            continue
        kernel = kernel_of(node)
        wanted = names_of(op_def_registry.get(node.op).input_arg, node)
        for place, edge in enumerate(edge for edge in node.input if not edge.startswith("^")):
            source, _, index = edge.partition(":")
            wants_host = kernel is None or wanted[place] in kernel["on_host"]
            if wants_host and on_host(source, int(index or 0)) is False:
                found.append(f"{nodes[source].op} {edge} -> {node.op} {node.name}")
    return found


def gradient_step(loss, signature):
    """Loss and gradient by the last argument."""

    @tf.function(autograph=False, input_signature=signature)
    def step(*arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments[-1])
            value = loss(*arguments)
        return value, tape.gradient(value, arguments[-1])

    return step


def uniform(*shape):
    return tf.random.stateless_uniform(shape, [3, len(shape)], 0.1, 0.9)


OPEN = pytest.mark.parametrize("open_sizes", [False, True], ids=["known sizes", "open sizes"])


@OPEN
@pytest.mark.parametrize("labels", [tf.int32, tf.int64, tf.float32], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("classification", ["softmax", "focal", "varifocal"])
def test_detr_loss(classification, labels, open_sizes):
    batch, objects, queries, channels = 2, 3, 5, 4 + (classification == "softmax")
    loss = DetrLoss(4, classification=classification)
    b, n, m = (None, None, None) if open_sizes else (batch, objects, queries)
    step = gradient_step(
        lambda boxes, labels, y_pred: loss({"boxes": boxes, "labels": labels}, y_pred),
        [tf.TensorSpec([b, n, 4]), tf.TensorSpec([b, n], labels), tf.TensorSpec([b, 2, m, 4 + channels])],
    )
    graph = optimized(
        step,
        [
            uniform(batch, objects, 4),
            tf.cast([[0, 3, -1], [1, -1, -1]], labels),
            uniform(batch, 2, queries, 4 + channels),
        ],
    )
    assert copies_to_host(graph) == []


@OPEN
def test_detr_loss_with_denoising_repeats_and_groups(open_sizes):
    loss = DetrLoss(4, classification="focal", repeats=2, groups=2)
    b, n, m, d = (None,) * 4 if open_sizes else (2, 3, 8, 5)

    def of_all(boxes, labels, target, noised, y_pred):
        denoising = {"boxes": noised[..., :4], "logits": noised[..., 4:]}
        given = {"boxes": y_pred[..., :4], "logits": y_pred[..., 4:], "denoising": {**denoising, "target": target}}
        return loss({"boxes": boxes, "labels": labels}, given)

    floats = [tf.TensorSpec([b, size, 8]) for size in (d, m)]
    signature = [tf.TensorSpec([b, n, 4]), tf.TensorSpec([b, n], tf.int64), tf.TensorSpec([b, d], tf.int64), *floats]
    labels, target = tf.constant([[0, 3, -1], [1, -1, -1]], tf.int64), tf.constant([[0, 1, 2, 0, -1]] * 2, tf.int64)
    given = [uniform(2, 3, 4), labels, target, uniform(2, 5, 8), uniform(2, 8, 8)]
    assert copies_to_host(optimized(gradient_step(of_all, signature), given)) == []


def pair_distances(y_true, y_pred):
    return tf.abs(y_true - y_pred)[..., 0]


LOSSES = {
    "hungarian_loss": hungarian_loss,
    "by elements": lambda y_true, y_pred: hungarian_loss(y_true, y_pred, normalization="elements"),
    "HungarianLoss": HungarianLoss([2, 2], slice_losses_fn=[pair_distances] * 2),
    "masks": HungarianLoss(
        [2, 2],
        slice_losses_fn=[pair_distances] * 2,
        true_mask_fn=lambda y_true: y_true[..., 0] > 0.3,
        pred_mask_fn=lambda y_pred: y_pred[..., 0] > 0.2,
    ),
    "no order": PermutationInvariantLoss(pair_distances),
    "no order, by pairs": PermutationInvariantLoss(
        pair_distances, normalization="pairs", true_mask_fn=lambda y_true: y_true[..., 0] > 0.3
    ),
    "a gate": lambda y_true, y_pred: gated_assignment(compute_euclidean_distance(y_true, y_pred), 0.5).total_cost,
}


@OPEN
@pytest.mark.parametrize("sizes", [(4, 6), (6, 4), (5, 5)], ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, sizes, open_sizes):
    shapes = [[None, None, 4] if open_sizes else [3, size, 4] for size in sizes]
    step = gradient_step(LOSSES[name], [tf.TensorSpec(shape) for shape in shapes])
    assert copies_to_host(optimized(step, [uniform(3, size, 4) for size in sizes])) == []


def test_numbers_of_objects():
    """What "elements" divides by where a mask says which objects exist."""

    @tf.function(
        autograph=False, input_signature=[tf.TensorSpec([None, None], tf.bool), tf.TensorSpec([None, None, 4])]
    )
    def number(mask, objects):
        return tf.cast(_losses._number(mask, objects) * _losses._number(None, objects), objects.dtype)

    exists = tf.constant([[True, False, True], [False, False, True]])
    np.testing.assert_array_equal(number(exists, uniform(2, 3, 4)), [6, 3])
    assert copies_to_host(optimized(number, [exists, uniform(2, 3, 4)])) == []


@OPEN
@pytest.mark.parametrize("form", ["total_cost", "mask", "pairs", "counts", "masks"])
def test_assignment(form, open_sizes):
    exists = tf.constant(np.array([True, False, True]))

    def total(cost):
        options = {}
        if form == "counts":
            options = {"num_rows": tf.constant([1, 3], tf.int64), "num_cols": tf.constant([2, 4], tf.int64)}
        if form == "masks":
            options = {"row_mask": tf.broadcast_to(exists, tf.shape(cost)[:-1])}
        assignment = linear_assignment(cost, **options)
        if form == "mask":
            return tf.reduce_sum(tf.where(assignment_mask(assignment.row_to_col, 4), cost, 0.0))
        if form == "pairs":
            pairs = assignment_pairs(assignment.row_to_col)
            places = tf.cast(pairs.row_index + pairs.col_index, cost.dtype)
            return assignment.total_cost + tf.reduce_sum(tf.where(pairs.matched, places, 0.0))
        return assignment.total_cost

    step = gradient_step(total, [tf.TensorSpec([None, None, None] if open_sizes else [2, 3, 4])])
    assert copies_to_host(optimized(step, [uniform(2, 3, 4)])) == []


def test_a_copy_is_seen():
    """The kinds of copies that have occurred: int32 that is reshaped, clipped or compared, booleans for an assertion,
    sizes in int64."""

    def told(function):
        step = tf.function(function, autograph=False, input_signature=[tf.TensorSpec([None, 3, 4])])
        return copies_to_host(optimized(step, [uniform(2, 3, 4)]))

    col = lambda cost: linear_assignment(cost).row_to_col
    assert "Reshape" in told(lambda cost: tf.cast(tf.reshape(col(cost), [-1]), tf.float32))[0]
    # The optimiser changes the places of these two.
    assert "Reshape" in told(lambda cost: tf.abs(tf.reshape(tf.cast(col(cost), tf.int64), [-1])))[0]
    assert "Maximum" in told(lambda cost: tf.cast(tf.maximum(col(cost), 0), tf.float32))[0]
    assert "Range" in told(lambda cost: tf.range(tf.shape(cost, out_type=tf.int64)[0]) + 1)[0]
    assert "Reshape" in told(lambda cost: tf.reshape(cost, tf.constant([-1], tf.int64)))[0]
    asserted = told(lambda cost: [tf.debugging.Assert(tf.reduce_all(cost > 0), ["no"]), tf.identity(cost)][1])
    assert "Assert" in asserted[0]
