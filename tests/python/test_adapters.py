"""Adapters for other packages' detectors, without those packages; `make test-hosts` tests with the real ones."""

import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

import host_costs
import oracle
from hungarian_loss.adapters import keras_hub, tf_models

NAN = np.nan
SOFTMAX = {**host_costs.D_FINE, "use_focal_loss": False}
ASYMMETRIC = {**host_costs.D_FINE, "matcher_alpha": 0.6, "matcher_gamma": 1.5, "matcher_bbox_cost": 1.0}

eager_graph_jit = pytest.mark.parametrize(
    "compiled",
    [lambda f: f, tf.function, lambda f: tf.function(f, jit_compile=True)],
    ids=["eager", "graph", "jit"],
)


def match(images, counts, options, compiled=lambda f: f):
    """The adapter's answer as NumPy arrays."""
    logits, boxes, labels, true_boxes = map(tf.convert_to_tensor, images)

    # The counts are known while compiling, as in D-FINE's own criterion.
    @compiled
    def run(logits, boxes, labels, true_boxes):
        outputs, targets = {"logits": logits, "pred_boxes": boxes}, [{"labels": labels, "boxes": true_boxes}]
        return keras_hub.hungarian_matcher(outputs, targets, tf.constant(counts), **options)

    return [part.numpy() for part in run(logits, boxes, labels, true_boxes)]


def check_is_optimal(images, counts, options, answer):
    """In each image there are as many pairs as SciPy's, and they cost as little."""
    logits, boxes, labels, true_boxes = images
    rows, targets, valid = answer
    assert rows.shape == targets.shape == valid.shape == (len(counts), max(counts))
    assert (rows.dtype, targets.dtype, valid.dtype) == (np.int32, np.int32, bool)
    offsets = np.cumsum([0, *counts])
    for image in range(len(counts)):
        objects = np.arange(offsets[image], offsets[image + 1])
        real = objects[labels[objects] >= 0]
        cost = host_costs.d_fine(logits[image], boxes[image], labels[real], true_boxes[real], options)
        query, target = rows[image][valid[image]], targets[image][valid[image]]
        assert len(set(query)) == len(query) == min(cost.shape)
        assert np.isin(target, real).all() and len(set(target)) == len(target)
        least = cost[linear_sum_assignment(cost)].sum()
        np.testing.assert_allclose(cost[query, np.searchsorted(real, target)].sum(), least, rtol=1e-5, atol=1e-5)


@eager_graph_jit
@pytest.mark.parametrize("options", [host_costs.D_FINE, SOFTMAX, ASYMMETRIC], ids=["focal", "softmax", "asymmetric"])
def test_d_fine_is_matched_as_scipy_does(compiled, options):
    """One image with as many objects as queries, one with more, one with none, one with an empty slot."""
    counts = [3, 12, 15, 0, 4]
    images = host_costs.random_images(counts)
    images[2][31] = -1
    check_is_optimal(images, counts, options, match(images, counts, options, compiled))


def test_d_fine_in_half_precision():
    """Costs are computed in float32."""
    counts = [4, 4]
    logits, boxes, labels, true_boxes = host_costs.random_images(counts)
    images = logits.astype(np.float16), boxes.astype(np.float16), labels, true_boxes.astype(np.float16)
    check_is_optimal(images, counts, host_costs.D_FINE, match(images, counts, host_costs.D_FINE))


def test_d_fine_without_any_object():
    images = host_costs.random_images([0, 0])
    assert [part.shape for part in match(images, [0, 0], host_costs.D_FINE)] == [(2, 0)] * 3
    # No images.
    images = [part[:0] for part in images]
    assert [part.shape for part in match(images, [], host_costs.D_FINE)] == [(0, 0)] * 3


def test_nan_in_an_image_of_d_fine_stays_there():
    counts = [3, 3]
    images = host_costs.random_images(counts)
    good = match(images, counts, host_costs.D_FINE)
    images[1][1, 0] = NAN
    rows, targets, valid = match(images, counts, host_costs.D_FINE)
    assert valid.tolist() == [[True] * 3, [False] * 3]
    np.testing.assert_array_equal(rows[0], good[0][0])
    assert (rows >= 0).all() and (targets >= 0).all()


@eager_graph_jit
def test_d_fine_predictions_in_no_doubt(compiled):
    """Where the probability is 1 in float32, and that of another class 0."""
    counts = [4, 5]
    logits, boxes, labels, true_boxes = host_costs.random_images(counts)
    images = 30 * logits, boxes, labels, true_boxes
    check_is_optimal(images, counts, host_costs.D_FINE, match(images, counts, host_costs.D_FINE, compiled))


def test_d_fine_takes_one_call_of_the_op():
    """There is no loop either."""
    counts = [3, 5]
    parts = [tf.convert_to_tensor(part) for part in host_costs.random_images(counts)]

    @tf.function
    def run(logits, boxes, labels, true_boxes):
        outputs, targets = {"logits": logits, "pred_boxes": boxes}, [{"labels": labels, "boxes": true_boxes}]
        return keras_hub.hungarian_matcher(outputs, targets, tf.constant(counts), **host_costs.D_FINE)

    kinds = [operation.type for operation in run.get_concrete_function(*parts).graph.get_operations()]
    assert kinds.count("HungarianAssignment") == 1
    assert not any("While" in kind or "Map" in kind for kind in kinds)


VERSIONS = [None, "0.31.4", "0.33.0", "1.32.0"]


def test_another_keras_hub_is_refused():
    """One sentence; and nothing of KerasHub was imported before that."""
    said = oracle.run_json(
        f"""
        import importlib.metadata, json, sys
        import hungarian_loss.adapters.keras_hub as exact
        found, sentences = importlib.metadata.version, []
        for version in {VERSIONS!r}:
            def stand_in(name):
                if name != "keras-hub":
                    return found(name)
                if version is None:
                    raise importlib.metadata.PackageNotFoundError(name)
                return version

            importlib.metadata.version = stand_in
            for switch in (exact.switch_on, exact.switch_off, lambda: exact.exact_matching().__enter__()):
                try:
                    switch()
                except ImportError as error:
                    sentences.append(str(error))
        assert "keras_hub" not in sys.modules and "official" not in sys.modules
        print(json.dumps(sentences))
        """
    )
    assert said == [
        f"hungarian_loss.adapters.keras_hub is for KerasHub 0.32, got {version or 'none'}; "
        "run `pip install keras-hub==0.32.*`"
        for version in VERSIONS
        for _ in range(3)
    ]


def test_keras_hub_is_switched(monkeypatch):
    """In the module that looks the matcher up, and back to the one that KerasHub defines."""
    monkeypatch.setattr("importlib.metadata.version", lambda name: {"keras-hub": "0.32.1"}[name])
    d_fine = "keras_hub.src.models.d_fine"
    parts = d_fine.split(".")
    for name in [".".join(parts[:count]) for count in range(1, len(parts) + 1)]:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    theirs, another = object(), object()
    modules = [types.SimpleNamespace(hungarian_matcher=theirs) for _ in range(2)]
    for name, module in zip(["object_detector", "loss"], modules, strict=True):
        monkeypatch.setitem(sys.modules, f"{d_fine}.d_fine_{name}", module)
    detector, loss = modules
    for _ in range(2):
        keras_hub.switch_on()
        assert (detector.hungarian_matcher, loss.hungarian_matcher) == (keras_hub.hungarian_matcher, theirs)
    for _ in range(2):
        keras_hub.switch_off()
        assert (detector.hungarian_matcher, loss.hungarian_matcher) == (theirs, theirs)
    for before in [theirs, another, keras_hub.hungarian_matcher]:
        detector.hungarian_matcher = before
        with pytest.raises(KeyError, match="inside"), keras_hub.exact_matching():
            assert detector.hungarian_matcher is keras_hub.hungarian_matcher
            raise KeyError("inside")
        assert (detector.hungarian_matcher, loss.hungarian_matcher) == (before, theirs)


def test_keras_hub_on_another_backend_is_refused():
    said = oracle.run_json(
        """
        import json
        try:
            import hungarian_loss.adapters.keras_hub
        except ImportError as error:
            print(json.dumps(str(error)))
        """,
        env={"KERAS_BACKEND": "jax"},
    )
    assert oracle.matches("needs Keras's tensorflow backend, got 'jax'; set KERAS_BACKEND", said)


@eager_graph_jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shape", [(3, 6, 6), (2, 4, 7), (2, 7, 4), (5, 5), (1, 1, 1)])
def test_tf_models_matching(compiled, dtype, shape):
    """Reduced costs, never negative, 0 where a pair is matched; and the mask, which costs what SciPy's does."""
    costs = np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)
    weights, mask = (part.numpy() for part in compiled(tf_models.hungarian_matching)(tf.constant(costs)))
    assert weights.shape == mask.shape == shape
    assert (weights.dtype, mask.dtype) == (dtype, bool)
    assert (weights >= 0).all() and (weights[mask] == 0).all()
    for problem, chosen in zip(costs.reshape(-1, *shape[-2:]), mask.reshape(-1, *shape[-2:]), strict=True):
        assert chosen.sum() == min(shape[-2:])
        assert chosen.sum(axis=0).max(initial=0) <= 1 and chosen.sum(axis=1).max(initial=0) <= 1
        exact = problem.astype(np.float64)
        np.testing.assert_allclose(exact[chosen].sum(), exact[linear_sum_assignment(exact)].sum(), rtol=1e-12)


def test_tf_models_reduced_costs_differ_from_the_costs_by_rows_and_columns():
    """A Hungarian algorithm subtracts a number from each row and each column. So every double difference stays as it
    is."""
    costs = np.random.default_rng(1).uniform(0, 1, (4, 8, 8))
    weights, _ = tf_models.hungarian_matching(costs)
    taken = costs - weights.numpy()
    differences = taken[:, 1:, 1:] - taken[:, :-1, 1:] - taken[:, 1:, :-1] + taken[:, :-1, :-1]
    np.testing.assert_allclose(differences, 0, atol=1e-12)


def test_tf_models_takes_what_linear_assignment_takes():
    """Lists with numbers that float32 does not hold; what it refuses, with its sentences."""
    for first in (1e300, 16777217):
        weights, mask = tf_models.hungarian_matching([[first, 0], [0, 0]])
        assert (weights.dtype, mask.numpy().tolist()) == (tf.float64, [[False, True], [True, False]])
        np.testing.assert_array_equal(weights, [[first, 0], [0, 0]])
    with pytest.raises(TypeError, match="cost must be a tensor, got a RaggedTensor"):
        tf_models.hungarian_matching(tf.ragged.constant([[0.0], [0.0, 1.0]]))


def test_tf_models_nan_stays_in_its_problem():
    costs = np.random.default_rng(0).uniform(size=(2, 3, 3)).astype(np.float32)
    good = tf_models.hungarian_matching(costs)[1].numpy()
    costs[1, 0, 0] = NAN
    mask = tf_models.hungarian_matching(costs)[1].numpy()
    np.testing.assert_array_equal(mask[0], good[0])
    assert not mask[1].any()


def test_tf_models_unknown_shapes():
    costs = np.random.default_rng(0).uniform(size=(2, 3, 5)).astype(np.float32)
    want = [part.numpy() for part in tf_models.hungarian_matching(costs)]
    for spec in ([None, None, None], None):
        run = tf.function(tf_models.hungarian_matching, input_signature=[tf.TensorSpec(spec, tf.float32)])
        for got, expected in zip(run(costs), want, strict=True):
            np.testing.assert_array_equal(got, expected)
