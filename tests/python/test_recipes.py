"""Recipes, each against something simpler: every matching tried, SciPy, the loops of the packages that they replace."""

import itertools
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix

import oracle
from hungarian_loss.recipes import ClusteringAccuracy, PermutationInvariantLoss, gated_assignment

INF, NAN = np.inf, np.nan
SEED = 20240610


@pytest.fixture(autouse=True)
def _from_the_same_start():
    keras.utils.set_random_seed(SEED)
    yield
    keras.config.set_dtype_policy("float32")


# Pairs within a gate.


def every_matching(distances, gate):
    """(number of pairs, total, pairs) of every matching within the gate, the empty one among them."""
    rows, cols = distances.shape
    for size in range(min(rows, cols) + 1):
        for some_rows in itertools.combinations(range(rows), size):
            for some_cols in itertools.permutations(range(cols), size):
                chosen = distances[some_rows, some_cols]
                if (chosen <= gate).all() and np.isfinite(chosen).all():
                    yield size, math.fsum(chosen), chosen


def best(distances, gate, prefer):
    """By trying every matching: (pairs, total), or what the pairs are worth."""
    found = list(every_matching(distances, gate))
    if prefer == "pairs" or np.isinf(gate):
        most = max(size for size, *_ in found)
        return most, min(total for size, total, _ in found if size == most)
    return max(math.fsum(gate - chosen) for *_, chosen in found)


def chosen_by(answer, distances, gate, prefer):
    """The answer in the form that `best` returns."""
    rows = np.flatnonzero(answer.row_to_col >= 0)
    chosen = distances[rows, answer.row_to_col[rows]]
    assert (chosen <= gate).all() and np.isfinite(chosen).all()
    if prefer == "pairs" or np.isinf(gate):
        return len(rows), math.fsum(chosen)
    return math.fsum(gate - chosen)


def limit_of(distances, gate, prefer):
    """The limit for which the duals prove the answer, as documented; of existing rows and columns only."""
    allowed = np.abs(distances[(distances <= gate) & np.isfinite(distances)])
    ample = 2 * (min(distances.shape) + 1) * allowed.max(initial=0)
    return gate if prefer == "cost" and np.isfinite(gate) else ample or 1.0


def one_of(answer, index):
    return type(answer)(*(output[index].numpy() for output in answer))


@pytest.mark.parametrize("prefer", ["pairs", "cost"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int32", "int8"])
def test_gated_against_every_matching(dtype, prefer):
    """Few different whole numbers, so that there are ties, pairs at exactly the gate, and negative distances."""
    rng = np.random.default_rng(SEED)
    for shape in [(4, 4), (3, 5), (5, 2), (1, 4), (2, 1), (0, 3), (3, 0)]:
        distances = rng.integers(-2, 9, (40, *shape))
        gates = rng.integers(-3, 9, 40)
        given = tf.cast(distances, dtype)
        answer = gated_assignment(given, gates, prefer=prefer)
        real = np.float64 if dtype in ("float64", "int32") else np.float32
        beyond = np.where(distances <= gates[:, None, None], distances.astype(real), INF)
        limits = [limit_of(*each, prefer) for each in zip(distances.astype(float), gates, strict=True)]
        note = f"seed {SEED}, {shape}"
        oracle.check_batch(beyond, type(answer)(*(x.numpy() for x in answer)), limit=np.array(limits), note=note)
        for index in range(40):
            one = distances[index].astype(float), float(gates[index]), prefer
            assert chosen_by(one_of(answer, index), *one) == best(*one), f"{note}, problem {index}"


@pytest.mark.parametrize("prefer", ["pairs", "cost"])
def test_gated_with_masks_and_counts(prefer):
    """Distances that do not exist may be anything; they change neither the matching nor the duals."""
    rng = np.random.default_rng(SEED)
    distances = rng.integers(0, 9, (30, 4, 5)).astype(np.float32)
    row_mask, col_mask = rng.uniform(size=(30, 4)) < 0.7, rng.uniform(size=5) < 0.7
    hidden = ~(row_mask[:, :, np.newaxis] & col_mask)
    spoilt = np.where(hidden, rng.choice([NAN, -INF, 1e30, -1e30, INF], distances.shape), distances).astype(np.float32)
    answer = gated_assignment(spoilt, 5.0, prefer=prefer, row_mask=row_mask, col_mask=col_mask)
    limits = []
    for index in range(30):
        exists = np.ix_(row_mask[index], col_mask)
        small = distances[index][exists].astype(float)
        got = one_of(answer, index)
        # Where in `small` the partners stand, −1 if nowhere.
        place = np.append(np.where(col_mask, np.cumsum(col_mask) - 1, -9), -1)
        came_to = got._replace(row_to_col=place[got.row_to_col[row_mask[index]]])
        one = small, 5.0, prefer
        assert chosen_by(came_to, *one) == best(*one), f"seed {SEED}, problem {index}"
        allowed = small[small <= 5]
        limits.append(5.0 if prefer == "cost" else 2 * (4 + 1) * allowed.max(initial=0) or 1.0)
    beyond = np.where(spoilt > 5, np.float32(INF), spoilt)
    answer = type(answer)(*(output.numpy() for output in answer))
    masks = {"row_mask": row_mask, "col_mask": col_mask}
    oracle.check_batch(beyond, answer, limit=np.array(limits), note=f"seed {SEED}", **masks)
    counted = gated_assignment(distances, 5.0, prefer=prefer, num_rows=3, num_cols=np.full(30, 2))
    alone = gated_assignment(distances[:, :3, :2], 5.0, prefer=prefer)
    np.testing.assert_array_equal(counted.row_to_col[:, :3], alone.row_to_col)
    np.testing.assert_array_equal(counted.row_to_col[:, 3], -1)
    np.testing.assert_array_equal(counted.total_cost, alone.total_cost)


def as_motmetrics_does(distances, gate):
    """motmetrics 1.4.0: a pair beyond the gate costs more than all others together, and is dropped afterwards."""
    allowed = distances <= gate
    if not allowed.any():
        return []
    outweighs = 2 * min(distances.shape) * (np.abs(distances[allowed]).max() + 1) + 1
    pairs = zip(*linear_sum_assignment(np.where(allowed, distances, outweighs)), strict=True)
    return [pair for pair in pairs if allowed[pair]]


def as_deep_sort_does(distances, gate):
    """deep_sort's linear_assignment.min_cost_matching."""
    beyond = distances > gate
    pairs = zip(*linear_sum_assignment(np.where(beyond, gate + 1e-5, distances)), strict=True)
    return [pair for pair in pairs if not beyond[pair]]


def as_lap_does(distances, limit):
    """lap.lapjv(cost, extend_cost=True, cost_limit=limit): a dummy for each row and column."""
    rows, cols = distances.shape
    extended = np.full((rows + cols, rows + cols), limit / 2)
    extended[:rows, :cols] = distances
    extended[rows:, cols:] = 0
    pairs = zip(*linear_sum_assignment(extended), strict=True)
    return [(row, col) for row, col in pairs if row < rows and col < cols]


THE_SAME_AS = {
    "motmetrics": (as_motmetrics_does, "pairs"),
    "deep_sort": (as_deep_sort_does, "cost"),
    "lap": (as_lap_does, "cost"),
}


@pytest.mark.parametrize("package", THE_SAME_AS)
@pytest.mark.parametrize("shape", [(7, 9), (30, 30), (60, 25)], ids=str)
def test_gated_against_what_others_do(package, shape):
    """Distances of random positions, as in tracking; they have no ties, so the pairs are the same, too."""
    theirs, prefer = THE_SAME_AS[package]
    rng = np.random.default_rng(SEED)
    distances = np.stack([oracle.cdist(*(rng.uniform(size=(size, 2)) for size in shape)) for _ in range(20)])
    counts = []
    for gate in [0.02, 0.1, 0.3]:
        answer = gated_assignment(distances, gate, prefer=prefer)
        for index in range(20):
            want = theirs(distances[index], gate)
            got = one_of(answer, index).row_to_col
            assert [(row, col) for row, col in enumerate(got) if col >= 0] == want, f"seed {SEED}, gate {gate}, {index}"
            counts.append(len(want))
    assert min(counts) < 5 < max(counts)


def as_sort_does(distances, gate):
    """SORT matches without a gate, and drops pairs afterwards."""
    return [pair for pair in zip(*linear_sum_assignment(distances), strict=True) if distances[pair] <= gate]


def test_what_sort_does_is_neither():
    fewer = np.array([[0.0, 4.0], [4.0, 7.5]])
    assert len(as_sort_does(fewer, 4.0)) == 1 and best(fewer, 4.0, "pairs") == (2, 8.0)
    assert gated_assignment(fewer, 4.0).row_to_col.numpy().tolist() == [1, 0]
    dearer = np.array([[2.0, 0.0, 9.0], [9.0, 2.0, 0.5], [9.0, 9.0, 5.0]])
    assert as_sort_does(dearer, 4.0) == [(0, 0), (1, 1)]
    for prefer in ["pairs", "cost"]:
        assert gated_assignment(dearer, 4.0, prefer=prefer).row_to_col.numpy().tolist() == [1, 2, -1]


def test_more_pairs_or_less_cost():
    """One near pair, or two pairs that are less near."""
    distances = [[0.25, 2.75], [2.5, 9.0]]
    assert gated_assignment(distances, 3.0).row_to_col.numpy().tolist() == [1, 0]
    assert gated_assignment(distances, 3.0, prefer="cost").row_to_col.numpy().tolist() == [0, -1]


@pytest.mark.parametrize("prefer", ["pairs", "cost"])
def test_gates_and_distances_out_of_the_ordinary(prefer):
    distances = np.array([[1.0, 2.0, INF], [3.0, INF, INF]])

    def columns(distances, gate):
        answer = gated_assignment(distances, gate, prefer=prefer)
        return answer.status.numpy().tolist(), answer.row_to_col.numpy().tolist()

    assert columns(distances, INF) == (0, [1, 0])
    # Forbidden pairs do not affect the limit that the duals prove.
    answer = gated_assignment(distances, INF, prefer=prefer)
    oracle.check_batch(distances, type(answer)(*(x.numpy() for x in answer)), limit=limit_of(distances, INF, prefer))
    assert columns(distances, 1e308) == (0, [1, 0])
    assert columns(distances, -INF) == (0, [-1, -1])
    assert columns(distances, 0.5) == (0, [-1, -1])
    assert columns(distances, NAN) == (2, [-1, -1])
    assert columns(np.zeros((2, 3)), 0.0) == (0, [0, 1])
    assert columns(np.full((2, 2), INF), 1.0) == (0, [-1, -1])
    assert columns([[1.0, -INF]], 1.0) == (2, [-1])
    assert columns([[[1.0, NAN]], [[1.0, 2.0]]], 5.0) == ([2, 0], [[-1], [0]])
    # Even a NaN is found that an infinite gate would let pass.
    assert columns([[1.0, NAN]], -INF) == (2, [-1])
    # A limit that outweighs such a distance overflows, and an infinite one would require the forbidden pairs, too.
    for dtype in [np.float32, np.float64]:
        greatest = np.finfo(dtype).max
        far = np.array([[INF, INF], [INF, 0.9 * greatest]], dtype)
        assert columns(far, dtype(0.95 * greatest)) == (0, [-1, 1])


def test_a_gate_for_each_problem():
    distances = np.tile(np.array([[1.0, 2.0], [3.0, 4.0]]), [2, 3, 1, 1])
    gates = np.array([[0.5, 1.0, 2.0], [3.0, 4.0, INF]])
    counts = (gated_assignment(distances, gates).row_to_col.numpy() >= 0).sum(-1)
    assert counts.tolist() == [[0, 1, 1], [2, 2, 2]]
    by_last = (gated_assignment(distances, gates[:1]).row_to_col.numpy() >= 0).sum(-1)
    assert by_last.tolist() == [[0, 1, 1]] * 2


@pytest.mark.parametrize("prefer", ["pairs", "cost"])
@pytest.mark.parametrize("jit_compile", [False, True], ids="jit {}".format)
def test_gated_in_a_graph_with_its_gradient(prefer, jit_compile):
    rng = np.random.default_rng(SEED)
    distances = tf.constant(rng.uniform(size=(6, 5, 7)).astype(np.float32))
    gate, count = tf.constant(0.2), tf.constant([5, 0, 1, 5, 5, 5])

    def both(distances, gate, count):
        with tf.GradientTape() as tape:
            tape.watch(distances)
            answer = gated_assignment(distances, gate, prefer=prefer, num_rows=count)
            total = tf.reduce_sum(answer.total_cost)
        return answer, tape.gradient(total, distances)

    known = None if jit_compile else [tf.TensorSpec([None] * 3), tf.TensorSpec([]), tf.TensorSpec(None, tf.int32)]
    answer, slope = tf.function(both, jit_compile=jit_compile, input_signature=known)(distances, gate, count)
    eager, eager_slope = both(distances, gate, count)
    for one, other in zip(answer, eager, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(slope, eager_slope)
    matched = tf.one_hot(eager.row_to_col, 7).numpy()
    assert matched.any() and (distances.numpy()[matched > 0] <= 0.2).all()
    np.testing.assert_array_equal(slope, matched)


@pytest.mark.parametrize(
    ("distances", "gate", "arguments", "error", "message"),
    [
        ([[1.0]], 1.0, {"prefer": "most"}, ValueError, "prefer must be one of.*pairs.*cost.*got 'most'"),
        ([1.0], 1.0, {}, ValueError, r"distances must be \[\.\.\., rows, cols\], got shape \(1,\)"),
        ([[1.0]], "near", {}, TypeError, "gate must be a number, got 'near'"),
        ([[1.0]], None, {}, TypeError, "gate must be a number, got None"),
        ([[1.0]], tf.constant(1.0, tf.float64), {}, TypeError, "gate must be float32 here, got float64"),
        (np.ones((2, 1, 1)), [1.0, 2.0, 3.0], {}, tf.errors.InvalidArgumentError, "gate does not fit"),
        ([[1.0]], 1.0, {"num_rows": 1, "row_mask": [True]}, ValueError, "row_mask and num_rows"),
        ([[NAN]], 1.0, {"validate": True}, tf.errors.InvalidArgumentError, "NaN|nan"),
        ([[1.0]], 1.0, {"num_rows": 2, "validate": True}, tf.errors.InvalidArgumentError, "num_rows must lie in"),
    ],
)
def test_mistakes_with_a_gate(distances, gate, arguments, error, message):
    with pytest.raises(error, match=message):
        gated_assignment(distances, gate, **arguments)


# Clusters.


def clustering_accuracy(classes, clusters, weight=None):
    """The formula, by SciPy: pairs of a class and a cluster with the greatest weight in both; clusters of −1 are none."""
    weight = np.ones(len(classes)) if weight is None else weight
    table = np.array(
        [
            [weight[(classes == one) & (clusters == other)].sum() for other in range(max(clusters.max(), 0) + 1)]
            for one in range(classes.max() + 1)
        ]
    )
    return table[linear_sum_assignment(table, maximize=True)].sum() / weight[classes >= 0].sum()


def labels(classes, clusters, size=200, seed=SEED):
    """Clusters that are mostly one class each, in another order."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, size)
    pred = np.where(rng.uniform(size=size) < 0.7, (true * 7 + 3) % clusters, rng.integers(0, clusters, size))
    return true, pred


@pytest.mark.parametrize("jit_compile", [None, False, True], ids="jit {}".format)
@pytest.mark.parametrize(("classes", "clusters"), [(4, 4), (3, 5), (5, 3), (1, 1), (2, 1)])
def test_accuracy_against_scipy_and_every_naming(classes, clusters, jit_compile):
    true, pred = labels(classes, clusters)
    metric = ClusteringAccuracy(classes, clusters)
    update, result = metric.update_state, metric.result
    if jit_compile is not None:
        update, result = (tf.function(each, jit_compile=jit_compile) for each in (update, result))
    assert result() == 0
    for part in np.split(np.arange(200), [3, 3, 120]):
        update(tf.constant(true[part]), tf.constant(pred[part]))
    want = clustering_accuracy(true, pred)
    assert result().numpy() == pytest.approx(want, rel=1e-6), f"seed {SEED}"
    table = contingency_matrix(true, pred)
    # Each label of the longer side stands for one of the shorter side, or for none.
    table = table if classes <= clusters else table.T
    namings = itertools.permutations(range(table.shape[1]), table.shape[0])
    by_hand = max(sum(table[row, col] for row, col in enumerate(naming)) for naming in namings) / 200
    assert want == pytest.approx(by_hand)
    names = metric.cluster_to_class().numpy()
    assert np.mean(names[pred] == true) == pytest.approx(want)
    assert (names >= 0).sum() == min(classes, clusters)
    metric.reset_state()
    assert metric.result() == 0


def test_accuracy_of_all_is_not_the_mean_of_batches():
    """What clusters stand for is chosen once for all samples."""
    metric = ClusteringAccuracy(2)
    for true, pred in [([0, 1, 1], [0, 1, 1]), ([0, 1], [1, 0])]:
        assert ClusteringAccuracy(2)(true, pred) == 1
        metric.update_state(true, pred)
    assert metric.result().numpy() == pytest.approx(3 / 5)


def test_accuracy_takes_labels_and_scores_of_any_shape():
    true, pred = labels(4, 5)
    want = clustering_accuracy(true, pred)
    scores = np.random.default_rng(SEED).uniform(size=(200, 5)) + 2 * np.eye(5)[pred]
    for one, other in [
        (true, pred),
        (true.astype(np.float32), pred.astype(np.float32)),
        (true.tolist(), pred.tolist()),
        (true[:, np.newaxis], pred),
        (true, pred[:, np.newaxis]),
        (true[:, np.newaxis], pred[:, np.newaxis]),
        (true, scores),
        (true[:, np.newaxis], scores),
        (true.reshape(20, 10), pred.reshape(20, 10)),
        (true.reshape(20, 10), scores.reshape(20, 10, 5)),
        (true.reshape(20, 10, 1), scores.reshape(20, 10, 5)),
    ]:
        assert ClusteringAccuracy(4, 5)(one, other).numpy() == pytest.approx(want, rel=1e-6), np.shape(other)
    assert ClusteringAccuracy(4, 5)(true[0], pred[0]) == 1
    # With one cluster an integer is its number, and a float beside it a score.
    for one, want in [([0, -1, 0], 2 / 3), ([[0], [-1], [0]], 2 / 3), ([[0.0], [-1.0], [0.0]], 1)]:
        assert ClusteringAccuracy(1)([0, 0, 0], one).numpy() == pytest.approx(want), one


@pytest.mark.parametrize("clusters", [1, 3])
def test_scores_with_a_nan_are_of_no_cluster(clusters):
    scores = np.full((5, clusters), 0.5)
    scores[1, 0] = scores[2, -1] = scores[3] = NAN
    metric = ClusteringAccuracy(2, clusters)
    for update in (metric.update_state, tf.function(metric.update_state, jit_compile=True)):
        update(tf.zeros(5), tf.constant(scores))
    assert (metric.result().numpy(), metric.seen.numpy()) == (pytest.approx(2 / 5), 10)


def test_accuracy_with_weights_and_what_is_left_out():
    rng = np.random.default_rng(SEED)
    true, pred = labels(4, 4)
    true[:20], pred[10:50] = -1, -1
    weight = rng.uniform(size=200)
    want = clustering_accuracy(true, pred, weight)
    for shaped in [weight, weight[:, np.newaxis]]:
        assert ClusteringAccuracy(4)(true, pred, sample_weight=shaped).numpy() == pytest.approx(want, rel=1e-6)
    # A number beyond the clusters is no cluster either. A sample that is left out may have weight NaN.
    weight[:20] = NAN
    beyond = np.where(pred < 0, 4, pred)
    assert ClusteringAccuracy(4)(true, beyond, sample_weight=weight).numpy() == pytest.approx(want, rel=1e-6)
    # A weight of each sequence for all its labels; Keras's mask for some.
    true, pred = (each.reshape(20, 10) for each in labels(4, 4))
    true[:5, :5] = -1
    each, shown = rng.uniform(size=20), rng.uniform(size=(20, 10)) < 0.6
    weight = np.where(true >= 0, each[:, np.newaxis] * shown, 0)
    want = clustering_accuracy(true.ravel(), pred.ravel(), weight.ravel())
    masked = tf.constant(pred)
    masked._keras_mask = tf.constant(shown)
    assert ClusteringAccuracy(4)(true, masked, sample_weight=each).numpy() == pytest.approx(want, rel=1e-6)
    assert ClusteringAccuracy(4)(true, pred, sample_weight=0.0) == 0


def test_accuracy_counts_beyond_what_float32_holds():
    metric = ClusteringAccuracy(2, dtype="float64")
    metric.update_state([0, 1], [0, 0], sample_weight=[2.0**24, 0.0])
    for _ in range(3):
        metric.update_state([0, 1], [0, 1])
    assert metric.result().numpy() == 1 and metric.seen.numpy() == 2**24 + 6
    metric.reset_state()
    metric.update_state([0, 1], [0, 1], sample_weight=[0.1, 0.0])
    assert metric.seen.numpy() == 0.1


def test_accuracy_merges():
    true, pred = labels(4, 5)
    parts = [ClusteringAccuracy(4, 5) for _ in range(3)]
    for part, where in zip(parts, np.split(np.arange(200), [50, 120]), strict=True):
        part.update_state(true[where], pred[where])
    parts[0].merge_state(parts[1:])
    assert parts[0].result().numpy() == pytest.approx(clustering_accuracy(true, pred), rel=1e-6)
    with pytest.raises(ValueError, match="of 4 classes and 5 clusters, got 4 and 4"):
        parts[0].merge_state([parts[1], ClusteringAccuracy(4)])
    # Nothing was added by the call that failed.
    assert parts[0].seen.numpy() == 200


@pytest.mark.parametrize("jit_compile", [False, True], ids="jit {}".format)
def test_accuracy_in_a_model(jit_compile, tmp_path):
    true, pred = labels(3, 4, size=70)
    x = np.eye(4, dtype=np.float32)[pred]
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(4, kernel_initializer="identity")])
    plain, weighted = (ClusteringAccuracy(3, 4, name=name) for name in ["plain", "weighted"])
    model.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        metrics=[plain],
        weighted_metrics=[weighted],
        jit_compile=jit_compile,
    )
    weight = np.random.default_rng(SEED).uniform(size=70)
    got = model.evaluate(x, true, sample_weight=weight, batch_size=35, verbose=0, return_dict=True)
    assert got["plain"] == pytest.approx(clustering_accuracy(true, pred), rel=1e-6)
    assert got["weighted"] == pytest.approx(clustering_accuracy(true, pred, weight), rel=1e-6)
    assert {"plain", "weighted"} <= set(model.fit(x, true, epochs=1, batch_size=35, verbose=0).history)
    if not jit_compile:
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert again.evaluate(x, true, verbose=0) == pytest.approx(model.evaluate(x, true, verbose=0), rel=1e-5)


def test_accuracy_config_round_trip():
    metric = ClusteringAccuracy(3, 5, name="mine", dtype="float64")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    again = keras.saving.deserialize_keras_object(config)
    assert (
        again.get_config()
        == metric.get_config()
        == {
            "name": "mine",
            "dtype": "float64",
            "num_classes": 3,
            "num_clusters": 5,
        }
    )


def test_mistakes_with_clusters():
    for wrong in [0, -1, 2.0, "3", True, None]:
        with pytest.raises(ValueError, match="num_classes must be a whole number.*got"):
            ClusteringAccuracy(wrong)
    with pytest.raises(ValueError, match="num_clusters must be a whole number, 1 or more, got 0"):
        ClusteringAccuracy(3, 0)
    metric = ClusteringAccuracy(3, 4)
    for true, pred in [([0, 1], [0, 1, 2]), ([0, 1], np.zeros((2, 3))), ([[0, 1]], [0, 1]), ([0, 1], 1)]:
        with pytest.raises(ValueError, match="y_pred must be clusters of the shape of y_true, or 4 scores.*got shape"):
            metric.update_state(true, pred)
    with pytest.raises(ValueError, match="sample_weight must have at most the dimensions of the labels"):
        metric.update_state([0, 1], [0, 1], sample_weight=[[1.0, 2.0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="less than num_classes=3, got"):
        metric.update_state([0, 3], [0, 1])
    late = tf.function(metric.update_state, input_signature=[tf.TensorSpec([None], tf.int32)] * 2)
    with pytest.raises(tf.errors.InvalidArgumentError):
        late([0, 1], [0])
    assert metric.seen.numpy() == 0
    # XLA cannot raise: the sample is wrong.
    compiled = tf.function(metric.update_state, jit_compile=True)
    compiled(tf.constant([0, 3]), tf.constant([0, 1]))
    assert metric.result().numpy() == 0.5


def test_one_hot_classes_are_refused():
    """Beside scores they would be taken for three samples each, and the scores for cluster 0."""
    true, _ = labels(3, 3)
    scores = np.random.default_rng(SEED).dirichlet(np.ones(3), 200)
    one_hot = np.eye(3)[true]
    metric = ClusteringAccuracy(3)
    for classes in [one_hot, one_hot.astype(int)]:
        with pytest.raises(ValueError, match=r"y_true must be whole numbers, one for each.*one-hot.*tf.argmax\(y_true"):
            metric.update_state(classes, scores)
    # Where the sizes are unknown it shows when run.
    late = tf.function(metric.update_state, input_signature=[tf.TensorSpec([None, None])] * 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="y_pred must be whole numbers, got"):
        late(one_hot.astype(np.float32), scores.astype(np.float32))
    assert metric.seen.numpy() == 0
    metric.update_state(tf.argmax(one_hot, axis=-1), scores)
    assert metric.result().numpy() == pytest.approx(clustering_accuracy(true, scores.argmax(-1)), rel=1e-6)


@pytest.mark.parametrize("bad", [0.5, -0.5, NAN])
def test_numbers_that_are_not_whole_are_no_classes_and_no_clusters(bad):
    metric = ClusteringAccuracy(2)
    for name, true, pred in [("y_true", [0, 1.0, bad], [0, 1, 1]), ("y_pred", [0, 1, 1], [0, 1.0, bad])]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"^{name} must be whole numbers, got"):
            metric.update_state(true, pred)
        assert metric.seen.numpy() == 0
        # XLA cannot raise: the sample is wrong. Samples that are left out may be anything.
        tf.function(metric.update_state, jit_compile=True)(tf.constant(true), tf.constant(pred))
        assert metric.result().numpy() == pytest.approx(2 / 3)
        metric.reset_state()
    hidden = tf.constant([0, 1.0, bad])
    hidden._keras_mask = tf.constant([True, True, False])
    metric.update_state([0, 1, 0], hidden)
    metric.update_state([0, 1, -1], [0, 1, bad])
    assert (metric.result().numpy(), metric.seen.numpy()) == (1, 4)


# Permutation invariant losses.


def every_pairing(values, sign=1.0):
    """The least total of [n, m] over all pairings of the shorter side, and how many pairs there are; the greatest where sign is −1."""
    values = values if values.shape[0] <= values.shape[1] else values.T
    rows, cols = values.shape
    totals = [
        sum(values[row, col] for row, col in enumerate(some)) for some in itertools.permutations(range(cols), rows)
    ]
    return min(sign * total for total in totals), rows


def by_hand(pair, y_true, y_pred, normalization="total", maximize=False):
    """The loss by trying every pairing; `pair` gets two objects."""
    losses = []
    for true, pred in zip(np.asarray(y_true, np.float64), np.asarray(y_pred, np.float64), strict=True):
        values = np.array([[pair(one, other) for other in pred] for one in true]).reshape(len(true), len(pred))
        total, pairs = every_pairing(values, -1.0 if maximize else 1.0)
        losses.append(total / max(pairs, 1) if normalization == "pairs" else total)
    return np.array(losses)


def random_sets(*shape, seed=SEED):
    return np.random.default_rng(seed).normal(size=shape)


@keras.saving.register_keras_serializable(package="tests")
def largest_difference(true, pred):
    """[B, n, 1, ...], [B, 1, m, ...] -> [B, n, m]."""
    difference = tf.abs(true - pred)
    return tf.reduce_max(difference, axis=list(range(3, difference.shape.rank)))


@keras.saving.register_keras_serializable(package="tests")
def similarity(true, pred):
    """A score; [B, n, 1, f], [B, 1, m, f] -> [B, n, m]."""
    return tf.reduce_sum(true * pred, axis=-1) / tf.norm(true, axis=-1) / tf.norm(pred, axis=-1)


def cosine(true, pred):
    return true @ pred / np.linalg.norm(true) / np.linalg.norm(pred)


def huber(difference):
    return np.where(difference <= 1, difference**2 / 2, difference - 0.5)


PAIR_LOSSES = {
    "mse": ("mse", lambda true, pred: ((true - pred) ** 2).mean()),
    "an object of Keras": (
        lambda: keras.losses.MeanAbsoluteError(reduction=None, dtype="float64"),
        lambda true, pred: np.abs(true - pred).mean(),
    ),
    "a function of Keras": (lambda: keras.losses.huber, lambda true, pred: huber(np.abs(true - pred)).mean()),
    "a function": (lambda: largest_difference, lambda true, pred: np.abs(true - pred).max()),
}
NUMBERS = [(3, 3), (2, 4), (4, 2), (1, 3), (0, 3), (3, 0), (0, 0)]


@pytest.mark.parametrize("normalization", ["total", "pairs"])
@pytest.mark.parametrize("pair_loss", PAIR_LOSSES)
@pytest.mark.parametrize("features", [(), (5,), (2, 3), (2, 1, 3)], ids=str)
def test_permutations_against_every_pairing(features, pair_loss, normalization):
    given, pair = PAIR_LOSSES[pair_loss]
    loss = PermutationInvariantLoss(
        given if isinstance(given, str) else given(), normalization=normalization, dtype="float64"
    )
    for n, m in NUMBERS:
        y_true, y_pred = random_sets(4, n, *features), random_sets(4, m, *features, seed=2)
        want = by_hand(pair, y_true, y_pred, normalization)
        np.testing.assert_allclose(loss.call(y_true, y_pred), want, rtol=1e-12, err_msg=f"{n} and {m}, seed {SEED}")
        assert loss(y_true, y_pred).numpy() == pytest.approx(want.mean(), rel=1e-12)


def test_permutations_of_scores():
    loss = PermutationInvariantLoss(similarity, maximize=True, dtype="float64")
    for n, m in NUMBERS:
        y_true, y_pred = random_sets(4, n, 5), random_sets(4, m, 5, seed=2)
        want = by_hand(cosine, y_true, y_pred, maximize=True)
        np.testing.assert_allclose(loss.call(y_true, y_pred), want, rtol=1e-12, err_msg=f"{n} and {m}, seed {SEED}")


def test_permutations_of_labels():
    """Sparse labels are compared with scores, at each place of a sequence too."""
    rng = np.random.default_rng(SEED)

    def cross_entropy(true, pred):
        shares = pred / pred.sum(-1, keepdims=True)
        return -np.log(np.take_along_axis(shares, true.astype(int)[..., np.newaxis], -1)).mean()

    loss = PermutationInvariantLoss("sparse_categorical_crossentropy", dtype="float64")
    for shape in [(), (1,), (6,)]:
        y_true, y_pred = rng.integers(0, 5, (3, 2, *shape)), rng.uniform(0.1, 1, (3, 4, *shape, 5))
        if shape == (1,):
            y_pred = y_pred[..., 0, :]
            want = by_hand(lambda true, pred: cross_entropy(true[0], pred), y_true, y_pred)
        else:
            want = by_hand(cross_entropy, y_true, y_pred)
        np.testing.assert_allclose(loss.call(y_true, y_pred), want, rtol=1e-9, err_msg=f"{shape}, seed {SEED}")


def slopes(loss, *sets):
    sets = [tf.convert_to_tensor(each) for each in sets]
    with tf.GradientTape() as tape:
        tape.watch(sets)
        value = tf.reduce_sum(loss(*sets))
    return [slope.numpy() for slope in tape.gradient(value, sets)]


@pytest.mark.parametrize("maximize", [False, True], ids="maximize {}".format)
@pytest.mark.parametrize(("n", "m"), [(3, 3), (2, 4), (4, 2)])
def test_gradient_against_finite_differences_of_every_pairing(n, m, maximize):
    y_true, y_pred = random_sets(2, n, 4), random_sets(2, m, 4, seed=2)
    loss = PermutationInvariantLoss(similarity, maximize=maximize, dtype="float64")
    got = slopes(loss.call, y_true, y_pred)
    wanted = [
        oracle.finite_differences(lambda sets: by_hand(cosine, sets, y_pred, maximize=maximize).sum(), y_true),
        oracle.finite_differences(lambda sets: by_hand(cosine, y_true, sets, maximize=maximize).sum(), y_pred),
    ]
    for slope, want in zip(got, wanted, strict=True):
        np.testing.assert_allclose(slope, want, atol=1e-8, err_msg=f"seed {SEED}")
        assert np.abs(want).max() > 0.05
    # Unmatched predictions have no gradient.
    alone = loss.match(y_true, y_pred).assignment.col_to_row.numpy() < 0
    assert alone.sum() == 2 * max(m - n, 0) and not got[1][alone].any()


def test_match_puts_predictions_into_the_order_of_the_truth():
    y_true = random_sets(4, 5, 3, 2)
    order = np.stack([np.random.default_rng(seed).permutation(5) for seed in range(4)])
    y_pred = np.take_along_axis(y_true, order[:, :, np.newaxis, np.newaxis], axis=1)
    loss = PermutationInvariantLoss("mse", dtype="float64")
    matching = loss.match(y_true, y_pred)
    np.testing.assert_array_equal(tf.gather(y_pred, matching.assignment.row_to_col, batch_dims=1), y_true)
    want = ((y_true[:, :, np.newaxis] - y_pred[:, np.newaxis]) ** 2).mean((3, 4))
    np.testing.assert_allclose(matching.cost, want, rtol=1e-12, atol=1e-15)
    assert loss(y_true, y_pred) == 0


@pytest.mark.parametrize("who", ["true", "pred"])
@pytest.mark.parametrize("bad", [NAN, INF])
@pytest.mark.parametrize("maximize", [False, True], ids="maximize {}".format)
def test_a_bad_sample_leaves_the_others_alone(maximize, bad, who):
    y_true, y_pred = random_sets(4, 3, 4), random_sets(4, 5, 4, seed=2)
    bad_true, bad_pred = y_true.copy(), y_pred.copy()
    (bad_true if who == "true" else bad_pred)[1, 2, 3] = bad
    loss = PermutationInvariantLoss(similarity, maximize=maximize, dtype="float64").call
    value, alone = loss(bad_true, bad_pred).numpy(), loss(y_true, y_pred).numpy()
    assert np.isfinite(value).tolist() == [True, False, True, True]
    np.testing.assert_array_equal(value[[0, 2, 3]], alone[[0, 2, 3]])
    for slope, slope_alone in zip(slopes(loss, bad_true, bad_pred), slopes(loss, y_true, y_pred), strict=True):
        assert (slope[1] == 0).all() and slope_alone[1].any()
        np.testing.assert_array_equal(slope[[0, 2, 3]], slope_alone[[0, 2, 3]])


@pytest.mark.parametrize("who", ["true", "pred"])
def test_a_nan_reaches_no_weight_that_is_trained_in_the_pair_loss(who):
    y_true, y_pred = random_sets(3, 2, 4), random_sets(3, 3, 4, seed=2)
    weight = tf.Variable(2.0, dtype=tf.float64)
    loss = PermutationInvariantLoss(lambda true, pred: weight * largest_difference(true, pred), dtype="float64")
    costs = loss.match(y_true, y_pred).cost.numpy()
    want = loss.call(y_true, y_pred).numpy() / 2
    sets = y_true if who == "true" else y_pred
    sets[1, 1, 2] = NAN
    with tf.GradientTape() as tape:
        losses = tf.function(loss.call)(y_true, y_pred)
    assert tape.gradient(losses, weight).numpy() == pytest.approx(want[0] + want[2], rel=1e-12)
    assert np.isnan(losses).tolist() == [False, True, False]
    # The pairs of that object cost NaN, and no others.
    costs[1][(1,) if who == "true" else (slice(None), 1)] = NAN
    np.testing.assert_array_equal(loss.match(y_true, y_pred).cost, costs)


@pytest.mark.parametrize("who", ["true", "pred"])
@pytest.mark.parametrize(
    "name", ["mse", "huber", "hinge", "kl_divergence", "categorical_crossentropy", "sparse_categorical_crossentropy"]
)
def test_a_nan_in_a_keras_loss(name, who):
    rng = np.random.default_rng(SEED)
    y_true, y_pred = rng.uniform(0.1, 0.9, (3, 2, 4)), rng.uniform(0.1, 0.9, (3, 3, 4))
    if name.startswith("sparse"):
        y_true = rng.integers(0, 4, (3, 2, 1)).astype(float)
    loss = PermutationInvariantLoss(name, dtype="float64").call
    alone, slope_alone = loss(y_true, y_pred).numpy(), slopes(loss, y_true, y_pred)[1]
    (y_true if who == "true" else y_pred)[1, 1, 0] = NAN
    value, slope = loss(y_true, y_pred).numpy(), slopes(loss, y_true, y_pred)[1]
    assert np.isnan(value).tolist() == [False, True, False] and (slope[1] == 0).all()
    np.testing.assert_array_equal(value[[0, 2]], alone[[0, 2]])
    np.testing.assert_array_equal(slope[[0, 2]], slope_alone[[0, 2]])


@pytest.mark.parametrize("normalization", ["total", "pairs"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sample_that_cannot_be_paired_is_infinite(sign, normalization):
    y_true, y_pred = random_sets(3, 2, 4), random_sets(3, 3, 4, seed=2)
    forbidden = np.zeros((3, 2, 3))
    forbidden[1, 0] = sign * INF  # No partner is left.
    forbidden[2, :, 1] = sign * INF

    def pair(true, pred):
        return sign * largest_difference(true, pred) + forbidden

    loss = PermutationInvariantLoss(pair, maximize=sign < 0, normalization=normalization, dtype="float64").call
    value = loss(y_true, y_pred).numpy()
    assert value[1] == INF and np.isfinite(value[[0, 2]]).all()
    differences = np.abs(y_true[2][:, np.newaxis] - y_pred[2][[0, 2]]).max(-1)
    pairs = 2 if normalization == "pairs" else 1
    assert value[2] == pytest.approx(every_pairing(differences)[0] / pairs)
    for slope in slopes(loss, y_true, y_pred):
        assert not slope[1].any() and slope[0].any() and slope[2].any() and np.isfinite(slope).all()


def test_a_total_beyond_the_type_has_no_gradient():
    y_true, y_pred = np.zeros((2, 2, 3), np.float32), np.ones((2, 2, 3), np.float32)
    y_pred[1] = 3e38
    loss = PermutationInvariantLoss(largest_difference).call
    assert loss(y_true, y_pred).numpy().tolist() == [2, INF]
    for slope in slopes(loss, y_true, y_pred):
        assert slope[0].any() and not slope[1].any()


def existing(sets):
    """Objects exist whose first number is not negative."""
    return tf.reshape(sets, tf.concat([tf.shape(sets)[:2], [-1]], axis=0))[..., 0] >= 0


def test_masks_and_ragged_sets():
    """Masks by function, by Keras and by raggedness; masked objects may be anything."""
    rng = np.random.default_rng(SEED)
    y_true, y_pred = rng.uniform(size=(6, 4, 3, 2)), rng.uniform(size=(6, 5, 3, 2))
    counts = [(0, 3), (4, 5), (2, 5), (4, 1), (3, 3), (1, 0)]

    def difference(true, pred):
        return np.abs(true - pred).max()

    want = [
        by_hand(difference, true[np.newaxis, :n], pred[np.newaxis, :m])[0]
        for true, pred, (n, m) in zip(y_true, y_pred, counts, strict=True)
    ]
    true_exists, pred_exists = (
        np.arange(size) < np.array(each)[:, np.newaxis]
        for size, each in zip((4, 5), zip(*counts, strict=True), strict=True)
    )
    spoilt_true, spoilt_pred = y_true.copy(), y_pred.copy()
    spoilt_true[~true_exists], spoilt_pred[~pred_exists] = NAN, NAN
    spoilt_true[~true_exists, 0, 0], spoilt_pred[~pred_exists, 0, 0] = -1, -1
    plain = PermutationInvariantLoss(largest_difference, dtype="float64")
    by_function = PermutationInvariantLoss(
        largest_difference, true_mask_fn=existing, pred_mask_fn=existing, dtype="float64"
    )
    ragged = [
        tf.RaggedTensor.from_tensor(sets, lengths=list(number))
        for sets, number in zip((y_true, y_pred), zip(*counts, strict=True), strict=True)
    ]
    assert ragged[0].ragged_rank == 1
    masked = tf.constant(spoilt_pred)
    masked._keras_mask = tf.constant(pred_exists)
    partly = PermutationInvariantLoss(largest_difference, true_mask_fn=existing, dtype="float64")
    for loss, true, pred in [
        (by_function, spoilt_true, spoilt_pred),
        (plain, *ragged),
        (partly, spoilt_true, masked),
        (partly, spoilt_true, ragged[1]),
    ]:
        np.testing.assert_allclose(loss.call(true, pred), want, rtol=1e-12, err_msg=f"seed {SEED}")
        assert loss(true, pred).numpy() == pytest.approx(np.mean(want))
        weight = np.arange(6.0)
        assert loss(true, pred, sample_weight=weight).numpy() == pytest.approx(np.mean(weight * want))
    for slope, exists in zip(
        slopes(by_function.call, spoilt_true, spoilt_pred), (true_exists, pred_exists), strict=True
    ):
        assert np.isfinite(slope).all() and not slope[~exists].any() and slope.any()
    lines = tf.ragged.constant([[1.0, 5.0], [2.0]]), tf.ragged.constant([[4.0], [9.0, 2.5]])
    assert PermutationInvariantLoss("mae").call(*lines).numpy().tolist() == [1, 0.5]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_computed_in_float32(dtype):
    half = tf.cast(random_sets(6, 4, 4), dtype), tf.cast(random_sets(6, 5, 4, seed=2), dtype)
    exact = [tf.cast(sets, tf.float32) for sets in half]
    loss = PermutationInvariantLoss(largest_difference, dtype=dtype)
    got = loss.call(*half)
    assert got.dtype == tf.float32
    np.testing.assert_array_equal(got, loss.call(*exact))


@pytest.mark.parametrize("known", [[None] * 4, [None, None, 3, None], [2, None, None, 2]], ids=str)
@pytest.mark.parametrize("pair_loss", ["mse", largest_difference], ids=["mse", "function"])
def test_permutations_of_shapes_known_only_when_run(pair_loss, known):
    loss = PermutationInvariantLoss(pair_loss, true_mask_fn=existing, dtype="float64")

    @tf.function(input_signature=[tf.TensorSpec(known, tf.float64)] * 2)
    def traced(y_true, y_pred):
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss.call(y_true, y_pred)
        return value, tape.gradient(value, y_pred)

    for n, m in NUMBERS:
        sets = random_sets(2, n, 3, 2), random_sets(2, m, 3, 2, seed=2)
        value, slope = traced(*sets)
        np.testing.assert_allclose(value, loss.call(*sets), rtol=1e-14, err_msg=f"{n} and {m}")
        np.testing.assert_allclose(slope, slopes(loss.call, *sets)[1], rtol=1e-14, atol=1e-15)


def separator(sources=2, samples=6):
    """Predicts signals from their mixture."""
    return keras.Sequential(
        [
            keras.Input([8]),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(sources * samples),
            keras.layers.Reshape([sources, samples]),
        ]
    )


def signals(sources=2, samples=6):
    rng = np.random.default_rng(SEED)
    x = rng.normal(size=(64, 8)).astype(np.float32)
    sets = (x @ rng.normal(size=(8, sources * samples)) / 3).reshape(64, sources, samples)
    return x, rng.permuted(sets, axis=1).astype(np.float32)


@pytest.mark.parametrize(("policy", "jit_compile"), [("float32", False), ("mixed_float16", True)])
def test_fit_save_and_load(policy, jit_compile, tmp_path):
    keras.config.set_dtype_policy(policy)
    x, y = signals()
    model = separator()
    loss = PermutationInvariantLoss(similarity, maximize=True, normalization="pairs", name="mine")
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, jit_compile=jit_compile)
    rel = 1e-5 if policy == "float32" else 2e-2
    pred = np.asarray(tf.cast(model(x), tf.float64))
    want = by_hand(cosine, y, pred, "pairs", maximize=True)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(want.mean(), rel=rel)
    weight = np.random.default_rng(SEED).uniform(size=64)
    got = model.evaluate(x, y, sample_weight=weight, batch_size=64, verbose=0)
    assert got == pytest.approx((weight * want).mean(), rel=rel)
    losses = model.fit(x, y, epochs=10, batch_size=16, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0] - 0.1
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == loss.get_config() and again.loss.pair_loss is similarity
    assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)


@pytest.mark.parametrize("pair_loss", ["mae", "MeanAbsoluteError", similarity])
def test_permutations_config_round_trip(pair_loss):
    loss = PermutationInvariantLoss(
        pair_loss, maximize=True, normalization="pairs", reduction="sum", name="mine", dtype="float64"
    )
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(loss))))
    assert again.get_config() == loss.get_config()
    sets = random_sets(4, 3, 5), random_sets(4, 4, 5, seed=2)
    np.testing.assert_array_equal(loss(*sets), again(*sets))


def test_a_lambda_is_saved_with_a_warning():
    loss = PermutationInvariantLoss(lambda true, pred: similarity(true, pred))
    with pytest.warns(UserWarning, match="pair_loss.*register_keras_serializable"):
        config = loss.get_config()
    with pytest.raises(ValueError, match="pair_loss was not found.*custom_objects"):
        PermutationInvariantLoss.from_config(config)
    with keras.saving.custom_object_scope({"pair_loss": similarity}):
        assert PermutationInvariantLoss.from_config(config).pair_loss is similarity


def test_a_pair_loss_is_called_once_with_what_was_promised():
    seen = []

    def pair(true, pred):
        seen.append((true.shape, pred.shape))
        return tf.reduce_sum(tf.abs(true - pred), axis=[-2, -1])

    PermutationInvariantLoss(pair).call(random_sets(7, 3, 4, 5), random_sets(7, 2, 4, 5))
    assert seen == [((7, 3, 1, 4, 5), (7, 1, 2, 4, 5))]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "pair_loss must be a function, the name of a Keras loss"),
        (("no such loss",), ValueError, "pair_loss must be a function or the name of a Keras loss, got 'no such loss'"),
        (
            (keras.losses.MeanSquaredError(),),
            ValueError,
            "pair_loss must return one value for each pair.*reduction=None",
        ),
    ],
)
def test_what_is_no_pair_loss(arguments, error, message):
    with pytest.raises(error, match=message):
        PermutationInvariantLoss(*arguments)


def test_mistakes_with_permutations():
    with pytest.raises(TypeError, match="maximize must be True or False.*got 'False'"):
        PermutationInvariantLoss("mse", maximize="False")
    with pytest.raises(ValueError, match="normalization must be one of.*total.*pairs.*got 'mean'"):
        PermutationInvariantLoss("mse", normalization="mean")
    with pytest.raises(TypeError, match="true_mask_fn must be a function, got 3"):
        PermutationInvariantLoss("mse", true_mask_fn=3)
    loss = PermutationInvariantLoss("mse")
    sets = tf.zeros([3, 2, 5])
    for wrong, message in [
        (tf.zeros([3]), r"y_pred must be \[batch, objects, \.\.\.\], got shape \(3,\)"),
        (tf.zeros([4, 2, 5]), "equally many samples, got shapes"),
        (tf.zeros([3, 2, 4]), "equally many features, got shapes"),
        (tf.zeros([3, 2, 1]), "equally many features, got shapes"),
        (tf.zeros([3, 2]), "equally many features, got shapes"),
        (tf.zeros([3, 2, 5, 1]), "equally many dimensions, got shapes"),
    ]:
        for call in [loss, tf.function(lambda true, pred: loss(true, pred))]:
            with pytest.raises(ValueError, match=message):
                call(sets, wrong)
    with pytest.raises(ValueError, match=r"sample_weight must be a scalar, \[batch\] or \[batch, 1\]"):
        loss(sets, sets, sample_weight=tf.ones([3, 2]))
    for wrong in [
        lambda true, pred: (true - pred) ** 2,  # One for each feature.
        lambda true, pred: tf.reduce_mean((true - pred) ** 2, axis=[-2, -1]),  # One for each object.
        lambda true, pred: tf.reduce_mean((true - pred) ** 2, axis=0),  # Objects for samples.
        lambda true, pred: tf.transpose(tf.reduce_mean((true - pred) ** 2, axis=-1), [0, 2, 1]),
    ]:
        with pytest.raises(ValueError, match=r"pair_loss must return \[B, n, m\].*got"):
            PermutationInvariantLoss(wrong)(sets, tf.zeros([3, 4, 5]))
    with pytest.raises(ValueError, match="true_mask_fn must return bool"):
        PermutationInvariantLoss("mse", true_mask_fn=lambda sets: sets[..., 0])(sets, sets)
    late = tf.function(loss.call, input_signature=[tf.TensorSpec([None, None, None])] * 2)
    with pytest.raises(tf.errors.InvalidArgumentError):
        late(sets, tf.zeros([3, 2, 1]))
