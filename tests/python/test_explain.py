"""explain(): its numbers against every possible matching, its text, its figure."""

import base64
import dataclasses
import html.parser
import io
import itertools
import math
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

import oracle
from hungarian_loss import HungarianLoss, explain, explain_assignment, hungarian_loss, linear_assignment
from hungarian_loss.detection import DetrLoss
from hungarian_loss.recipes import PermutationInvariantLoss

INF, NAN = np.inf, np.nan
SEED = 20240611
SIZES = [(1, 1), (1, 4), (4, 1), (2, 2), (3, 3), (3, 4), (4, 3), (2, 5), (5, 2), (4, 4)]


def explain_cost(cost, exists=None):
    """Explains a cost matrix of our own; `exists`: which true and which predicted objects."""
    cost = np.asarray(cost, np.float64)
    masks = {}
    if exists is not None:
        masks = {
            "true_mask_fn": lambda objects: tf.constant([exists[0]]),
            "pred_mask_fn": lambda objects: tf.constant([exists[1]]),
        }
    loss = HungarianLoss([1], compute_cost_matrix_fn=lambda true, pred: tf.constant(cost[np.newaxis]), **masks)
    rows, cols = cost.shape
    return explain(np.zeros((1, rows, 1)), np.zeros((1, cols, 1)), loss=loss)


def optimum(cost, exists=None, limit=INF):
    """(status, least total) by trying every matching; with a limit, the total includes half of it for each unmatched
    object."""
    rows, cols = exists if exists is not None else (np.full(size, True) for size in cost.shape)
    return oracle.brute_force(oracle.Problem(np.asarray(cost, np.float64), np.asarray(rows), np.asarray(cols), limit))


def check(explanation, cost, exists=None, slack=1e-12, limit=INF):
    """Checks every number against brute force. Costs that are small integers are not rounded: slack 0."""
    cost = np.asarray(cost, np.float64)
    row_exists, col_exists = exists if exists is not None else (np.full(size, True) for size in cost.shape)
    status, least = optimum(cost, exists, limit)
    assert explanation.status == status == 0
    pairs = list(zip(explanation.true_index.tolist(), explanation.pred_index.tolist(), strict=True))
    objects = int(np.sum(row_exists) + np.sum(col_exists))
    if math.isinf(limit):
        assert len(pairs) == min(np.sum(row_exists), np.sum(col_exists))
        alone = 0.0
    else:
        alone = limit / 2 * (objects - 2 * len(pairs))
    assert explanation.total_cost + alone == pytest.approx(least, abs=slack, rel=0)
    np.testing.assert_array_equal(explanation.pair_cost, [cost[pair] for pair in pairs])
    assert math.fsum(explanation.pair_cost) + alone == pytest.approx(least, abs=slack, rel=0)
    assert explanation.unmatched_true.tolist() == sorted(set(np.flatnonzero(row_exists)) - {i for i, _ in pairs})
    assert explanation.unmatched_pred.tolist() == sorted(set(np.flatnonzero(col_exists)) - {j for _, j in pairs})
    for (i, j), runner_up, margin, rise in zip(
        pairs, explanation.runner_up, explanation.margin, explanation.rise, strict=True
    ):
        without = cost.copy()
        without[i, j] = INF
        bad, next_best = optimum(without, exists, limit)
        assert rise == (INF if bad else pytest.approx(next_best - least, abs=slack, rel=0)), (cost, i, j)
        assert 0 <= margin <= rise + slack, (cost, i, j)
        if bad:
            assert runner_up == -1
            continue
        # With the runner-up, or unmatched, the total is no more than that without the pair.
        if runner_up >= 0:
            assert runner_up != j
            without[i, np.arange(cost.shape[1]) != runner_up] = INF
            _, again = optimum(without, exists, limit)
        else:
            others = np.array(row_exists)
            others[i] = False
            _, again = optimum(without, (others, col_exists), limit)
            again += 0 if math.isinf(limit) else limit / 2
        assert again == pytest.approx(next_best, abs=slack, rel=0), (cost, i, j, runner_up)


@pytest.mark.parametrize(("rows", "cols"), SIZES, ids=str)
def test_numbers_against_every_matching(rows, cols):
    rng = np.random.default_rng([SEED, rows, cols])
    for _ in range(12):
        whole = rng.integers(-3, 6, (rows, cols)).astype(float)
        check(explain_cost(whole), whole, slack=0)
        sparse = np.where(rng.uniform(size=whole.shape) < 0.3, INF, whole)
        np.fill_diagonal(sparse, 1.0)  # So that it can be matched.
        check(explain_cost(sparse), sparse, slack=0)
        real = rng.normal(size=(rows, cols))
        check(explain_cost(real), real)


@pytest.mark.parametrize(("rows", "cols"), SIZES, ids=str)
def test_numbers_of_distances_against_every_matching(rows, cols):
    rng = np.random.default_rng([SEED, rows, cols])
    y_true, y_pred = rng.normal(size=(2, rows, 3)), rng.normal(size=(2, cols, 3))
    for sample in range(2):
        explanation = explain(y_true, y_pred, sample)
        cost = oracle.cdist(y_true[sample], y_pred[sample])
        np.testing.assert_allclose(explanation.cost, cost, rtol=1e-14)
        check(explanation, explanation.cost)
        loss = hungarian_loss(y_true, y_pred).numpy()[sample]
        assert explanation.total_cost / min(rows, cols) == pytest.approx(loss, rel=1e-14)
        single = explain(y_true.astype(np.float32), y_pred.astype(np.float32), sample)
        check(single, single.cost, slack=2e-6)


@pytest.mark.parametrize(("rows", "cols"), [(3, 3), (4, 5), (5, 4), (2, 6)], ids=str)
def test_masked_objects_take_no_part(rows, cols):
    rng = np.random.default_rng([SEED, rows, cols])
    for _ in range(10):
        exists = rng.uniform(size=rows) < 0.7, rng.uniform(size=cols) < 0.7
        cost = rng.integers(0, 9, (rows, cols)).astype(float)
        shown = np.where(exists[0][:, np.newaxis] & exists[1], cost, NAN)
        explanation = explain_cost(shown, exists)
        check(explanation, np.where(np.isnan(shown), 1e6, shown), exists, slack=0)
        # The same as for the existing objects alone.
        alone = explain_cost(cost[np.ix_(*exists)]) if exists[0].any() and exists[1].any() else None
        if alone is not None:
            places = [np.flatnonzero(side) for side in exists]
            np.testing.assert_array_equal(explanation.true_index, places[0][alone.true_index])
            np.testing.assert_array_equal(explanation.pred_index, places[1][alone.pred_index])
            np.testing.assert_array_equal(explanation.rise, alone.rise)
            np.testing.assert_array_equal(explanation.margin, alone.margin)
        else:
            assert len(explanation.true_index) == 0 and explanation.total_cost == 0


@pytest.mark.parametrize(("rows", "cols"), SIZES, ids=str)
def test_an_assignment_against_every_matching(rows, cols):
    """Of a cost matrix alone: masks, forbidden pairs, limits small enough to count in full; and of scores, the
    negatives of costs."""
    rng = np.random.default_rng([SEED, rows, cols, 1])
    matched = 0
    for limit in [None, 2, 5.0, -1, 0, 8]:
        for _ in range(4):
            cost = rng.integers(-3, 6, (rows, cols)).astype(float)
            exists = rng.uniform(size=rows) < 0.8, rng.uniform(size=cols) < 0.8
            if limit is not None:
                cost[rng.uniform(size=cost.shape) < 0.2] = INF
            shown = np.where(exists[0][:, np.newaxis] & exists[1], cost, NAN)
            masks = {"row_mask": exists[0], "col_mask": exists[1]}
            want = {"cost": np.where(np.isnan(shown), 1e6, shown), "exists": exists, "slack": 0}
            want["limit"] = INF if limit is None else limit
            explanation = explain_assignment(shown, cost_limit=limit, **masks)
            check(explanation, **want)
            matched += len(explanation.true_index)
            scored = explain_assignment(-shown, maximize=True, cost_limit=None if limit is None else -limit, **masks)
            as_costs = dataclasses.replace(
                scored, cost=-scored.cost, pair_cost=-scored.pair_cost, total_cost=-scored.total_cost
            )
            check(as_costs, **want)
    assert matched > 0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_limit_that_is_too_large_to_matter(dtype):
    """The numbers are those without a limit, and no margin exceeds the rise, although the op's duals have lost the
    costs' digits."""
    rng = np.random.default_rng([SEED, 2])
    margins = []
    for limit in [1e6, 1e9, 1e30, INF, -INF]:
        for shape in [(3, 2), (2, 3), (5, 6)] * 4:
            cost = rng.uniform(0, 9, shape).astype(dtype)
            explanation = explain_assignment(cost, cost_limit=limit)
            np.testing.assert_allclose(explanation.rise, explain_assignment(cost).rise, rtol=1e-12)
            assert (explanation.margin <= explanation.rise + 1e-9).all()
            margins += explanation.margin.tolist()
    assert 0 < max(margins) < 100


@pytest.mark.parametrize("maximize", [False, True], ids="maximize {}".format)
@pytest.mark.parametrize("limit", [None, 1.5])
def test_totals_beyond_float64(limit, maximize):
    """All is as with costs that are less by a power of two, as far as float64 holds it."""
    cost, huge = np.array([[1, 1, 1.5], [1, 1.875, INF]]), 2.0**1023
    cost = np.where(np.isinf(cost) & maximize, -INF, cost)
    small = explain_assignment(cost, cost_limit=limit, maximize=maximize)
    with np.errstate(all="raise"):
        got = explain_assignment(cost * huge, cost_limit=None if limit is None else limit * huge, maximize=maximize)
    assert len(small.true_index) > 0 and small.rise.any()
    np.testing.assert_array_equal(got.runner_up, small.runner_up)
    np.testing.assert_array_equal(got.rise, small.rise * huge)
    np.testing.assert_array_equal(got.margin, small.margin * huge)


def test_the_runner_up_is_who_comes_when_the_pair_is_forbidden():
    # By reduced costs row 0 would take column 2, which another row then needs.
    assert explain_assignment([[0.0, 12, 1], [26, 29, 2]]).runner_up.tolist() == [1, 0]
    # And here it stays unmatched.
    explanation = explain_assignment([[5.0, 7, 28], [1, 24, 19], [14, 25, 24]], cost_limit=15)
    assert explanation.pred_index.tolist() == [1, 0] and explanation.runner_up.tolist()[0] == -1


def test_there_are_no_values_in_a_graph():
    for name, call in [
        ("explain_assignment", lambda: explain_assignment(tf.zeros([2, 2]))),
        ("explain", lambda: explain(tf.zeros([1, 2, 2]), tf.zeros([1, 2, 2]))),
    ]:
        with pytest.raises(RuntimeError, match=f"{name} looks at values.*outside of tf.function"):
            tf.function(call)()


def test_counts_in_place_of_masks():
    cost = np.arange(12.0).reshape(3, 4) % 5
    counted = explain_assignment(cost, num_rows=2, num_cols=3)
    masked = explain_assignment(cost, row_mask=[True, True, False], col_mask=[True, True, True, False])
    assert str(counted) == str(masked)
    assert "or the limit is NaN" in str(explain_assignment(cost, cost_limit=NAN))


def test_an_assignment_by_hand():
    # Under a limit of 3 the pair at 4 is not matched. Without 0-1, which costs 1, both stay unmatched at 1.5 each.
    explanation = explain_assignment([[9, 1], [4, 9]], cost_limit=3)
    assert explanation.true_index.tolist() == [0] and explanation.pred_index.tolist() == [1]
    assert (explanation.total_cost, explanation.rise.tolist(), explanation.runner_up.tolist()) == (1, [2], [-1])
    # Both ceilings are 1.5, and the duals add up to the cost.
    assert explanation.margin.tolist() == [2]
    assert explanation.unmatched_true.tolist() == [1] and explanation.unmatched_pred.tolist() == [0]
    lines = str(explanation).splitlines()
    assert lines[2].split() == ["row", "column", "cost", "runner-up", "margin", "rise"]
    assert lines[-2:] == ["unmatched row: 1", "unmatched column: 0"]
    axes = panels(explanation.figure())[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("row", "column")


@pytest.mark.parametrize("shape", [(2, 3, 4), (3,), ()], ids=str)
def test_an_assignment_is_explained_one_at_a_time(shape):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="rank|one problem"):
        explain_assignment(np.zeros(shape))


def explain_score(score, exists):
    """The same of a loss that finds the greatest total."""
    rows, cols = score.shape
    loss = PermutationInvariantLoss(
        lambda true, pred: tf.constant(score[np.newaxis]),
        maximize=True,
        true_mask_fn=lambda objects: tf.constant([exists[0]]),
        pred_mask_fn=lambda objects: tf.constant([exists[1]]),
        dtype="float64",
    )
    return explain(np.zeros((1, rows, 1)), np.zeros((1, cols, 1)), loss=loss)


@pytest.mark.parametrize(("rows", "cols"), [(2, 2), (3, 3), (4, 5), (5, 4)], ids=str)
def test_scores_that_are_maximized_against_every_matching(rows, cols):
    """The numbers are those of the costs whose negatives the scores are; -inf forbids."""
    rng = np.random.default_rng([SEED, rows, cols])
    for forbidden in [0.0, 0.3]:
        for _ in range(6):
            # The diagonal stays allowed, so that all can be matched; or there are masks.
            exists = [rng.uniform(size=size) < (1 if forbidden else 0.7) for size in (rows, cols)]
            score = rng.integers(-3, 6, (rows, cols)).astype(float)
            score[(rng.uniform(size=score.shape) < forbidden) & ~np.eye(rows, cols, dtype=bool)] = -INF
            got = explain_score(score, exists)
            np.testing.assert_array_equal(got.cost, score)
            as_costs = dataclasses.replace(got, cost=-got.cost, pair_cost=-got.pair_cost, total_cost=-got.total_cost)
            check(as_costs, -score, exists, slack=0)


def test_scores_by_hand():
    both = np.full(2, True), np.full(2, True)
    # 10 + 9; without 0-0, or 1-1, 1 + 2.
    explanation = explain_score(np.array([[10.0, 1], [2, 9]]), both)
    assert (explanation.total_cost, explanation.rise.tolist(), explanation.runner_up.tolist()) == (19, [16, 16], [1, 0])
    assert explanation.margin.sum() > 0
    # There is no other way.
    explanation = explain_score(np.array([[10.0, -INF], [-INF, 9]]), both)
    assert explanation.rise.tolist() == explanation.margin.tolist() == [INF, INF]
    assert "nan" not in str(explanation)
    draw(explanation.figure())


def test_masks_of_the_loss():
    """Masks come from the objects themselves: the last feature of a real one is not negative."""

    def is_real(objects):
        return objects[:, :, -1] >= 0

    rng = np.random.default_rng(SEED)
    y_true, y_pred = rng.normal(size=(3, 4, 3)), rng.normal(size=(3, 5, 3))
    y_true[:, :, 2], y_pred[:, :, 2] = 1, 1
    y_true[1, [0, 2], 2] = y_pred[1, 3, 2] = -1
    y_true[1, 0, :2] = NAN
    loss = HungarianLoss([2, 1], true_mask_fn=is_real, pred_mask_fn=is_real)
    explanation = explain(y_true, y_pred, 1, loss=loss)
    cost = oracle.cdist(y_true[1, :, :2], y_pred[1, :, :2])
    exists = y_true[1, :, 2] >= 0, y_pred[1, :, 2] >= 0
    check(explanation, np.where(np.isnan(cost), 1e6, cost), exists)
    assert explanation.true_index.tolist() == [1, 3]
    assert len(explanation.unmatched_pred) == 2 and 3 not in explanation.unmatched_pred
    assert explain(y_true, y_pred, 0, loss=loss).true_index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("rows", "cols"), [(2, 3), (4, 4), (5, 3)], ids=str)
def test_the_limit_of_the_loss(rows, cols):
    rng = np.random.default_rng([SEED, rows, cols])
    y_true, y_pred = rng.normal(size=(2, rows, 3)), rng.normal(size=(2, cols, 3))
    for limit in [0.5, 1.5, 3.0, None]:
        loss = HungarianLoss([3], cost_limit=limit, dtype="float64")
        for sample in range(2):
            explanation = explain(y_true, y_pred, sample, loss=loss)
            check(explanation, explanation.cost, limit=INF if limit is None else limit)


def test_the_margin_is_that_of_the_duals():
    """The dual of a row or column that may stay unmatched has a ceiling: 0, or with a limit half of it."""
    rng = np.random.default_rng(SEED)
    # None above 1: a limit that is too large to matter is lowered, but never below 1.
    limits, positive = [None, -0.5, 0.0, 0.5, 1.0], set()
    for (rows, cols), limit in itertools.product(SIZES, limits):
        cost = rng.normal(size=(rows, cols))
        explanation = explain_cost(cost) if limit is None else explain_assignment(cost, cost_limit=limit)
        solved = linear_assignment(cost, cost_limit=limit)
        u, v = solved.row_duals.numpy(), solved.col_duals.numpy()
        reduced = cost - u[:, np.newaxis] - v
        for place, (i, j) in enumerate(zip(explanation.true_index, explanation.pred_index, strict=True)):
            ways = [reduced[i, col] for col in range(cols) if col != j]
            others = [reduced[row, j] for row in range(rows) if row != i]
            if limit is not None or rows > cols:
                ways.append((limit or 0) / 2 - u[i])
            if limit is not None or cols > rows:
                others.append((limit or 0) / 2 - v[j])
            margin = max(min(ways, default=INF), 0) + max(min(others, default=INF), 0)
            assert explanation.margin[place] == pytest.approx(margin, abs=1e-14), (cost, limit)
            if margin > 0.01:
                positive.add(limit)
    assert positive == set(limits)


def test_an_example_by_hand():
    # 0-0 and 1-1 cost 3; without 0-0 the next is 0-1 and 1-0 at 9; without 1-1 it is the same.
    explanation = explain_cost([[1, 4], [5, 2]])
    assert explanation.total_cost == 3
    assert explanation.rise.tolist() == [6, 6]
    assert explanation.runner_up.tolist() == [1, 0]
    # Without its pair the first stays unmatched.
    explanation = explain_cost([[1], [3]])
    assert (explanation.true_index.tolist(), explanation.unmatched_true.tolist()) == ([0], [1])
    assert (explanation.margin.tolist(), explanation.rise.tolist()) == ([2], [2])
    assert explanation.runner_up.tolist() == [-1]
    # There is no other way.
    explanation = explain_cost([[1, INF], [INF, 2]])
    assert explanation.rise.tolist() == explanation.margin.tolist() == [INF, INF]
    assert explanation.runner_up.tolist() == [-1, -1]


def test_ties_have_no_margin():
    for shape in [(3, 3), (2, 4), (4, 2)]:
        explanation = explain_cost(np.full(shape, 2.0))
        assert not explanation.margin.any() and not explanation.rise.any()


def test_a_sample_of_a_batch_is_that_sample():
    rng = np.random.default_rng(SEED)
    y_true, y_pred = rng.normal(size=(5, 3, 4)), rng.normal(size=(5, 4, 4))
    seen = [str(explain(y_true, y_pred, sample)) for sample in range(5)]
    assert seen == [str(explain(y_true[sample : sample + 1], y_pred[sample : sample + 1])) for sample in range(5)]
    assert len(set(seen)) == 5
    assert seen[0] == str(explain(y_true, y_pred))
    boxes = explain(y_true, y_pred, 2).boxes
    np.testing.assert_array_equal(boxes[0], y_true[2])
    np.testing.assert_array_equal(boxes[1], y_pred[2])


@pytest.mark.parametrize("sample", [-1, -5, 5, 100, True, 2.0, "a", None], ids=repr)
def test_a_sample_out_of_range(sample):
    with pytest.raises(ValueError, match=rf"sample must be a whole number in \[0, 5\).*got {sample!r}"):
        explain(np.zeros((5, 3, 4)), np.zeros((5, 3, 4)), sample)


def test_a_sample_may_be_any_whole_number():
    for place in [1, np.int64(1), np.array(1), tf.constant(1)]:
        assert explain(np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), place).total_cost == 0
    with pytest.raises(ValueError, match="sample must be a whole number"):
        explain(np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), tf.constant(1.0))


@pytest.mark.parametrize(
    ("true_shape", "pred_shape", "sample"),
    [
        ((3, 4), (3, 4), 0),
        ((2, 3, 4), (2, 3, 5), 0),
        ((4,), (4,), 0),
        ((2, 3, 4), (1, 3, 4), 1),
        ((0, 3, 4), (0, 3, 4), 0),
    ],
)
def test_shapes_that_do_not_fit(true_shape, pred_shape, sample):
    with pytest.raises(ValueError):
        explain(np.zeros(true_shape), np.zeros(pred_shape), sample)


def test_dicts_need_their_loss():
    with pytest.raises(TypeError, match=r"dicts: explain needs the loss that takes them, such as loss=DetrLoss"):
        explain({"boxes": np.zeros((1, 2, 4)), "labels": [[0, 1]]}, {"boxes": np.zeros((1, 3, 4))})


@pytest.mark.parametrize(("rows", "cols"), [(0, 3), (3, 0), (0, 0)], ids=str)
def test_no_objects(rows, cols):
    explanation = explain(np.zeros((1, rows, 4)), np.zeros((1, cols, 4)))
    assert (explanation.status, explanation.total_cost, len(explanation.true_index)) == (0, 0, 0)
    assert explanation.unmatched_true.tolist() == list(range(rows))
    assert explanation.unmatched_pred.tolist() == list(range(cols))
    assert "over 0 pairs" in str(explanation)
    assert len(panels(explanation.figure())) == 2


# Words.

BAD = {
    "infeasible": ([[1, 2, INF], [3, 4, INF], [5, 6, INF]], 1, INF),
    "invalid": ([[1, 2], [NAN, 4]], 2, NAN),
    "invalid, -inf": ([[1, 2], [-INF, 4]], 2, NAN),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_sample_says_why(name):
    cost, status, total = BAD[name]
    explanation = explain_cost(cost)
    assert explanation.status == status
    np.testing.assert_equal(explanation.total_cost, total)
    for numbers in ["true_index", "pred_index", "pair_cost", "runner_up", "margin", "rise"]:
        assert len(getattr(explanation, numbers)) == 0
    assert explanation.unmatched_true.tolist() == explanation.unmatched_pred.tolist() == list(range(len(cost)))
    assert re.match(rf"status {status}, {name.split(',')[0]}\b", str(explanation))
    assert str(explanation).count("\n") == 0
    assert len(panels(explanation.figure())) == 1
    draw(explanation.figure())


def test_nan_in_a_sample_leaves_the_others_alone():
    rng = np.random.default_rng(SEED)
    y_true, y_pred = rng.normal(size=(3, 3, 4)), rng.normal(size=(3, 4, 4))
    bad = y_pred.copy()
    bad[1, 2, 3] = NAN
    assert [explain(y_true, bad, sample).status for sample in range(3)] == [0, 2, 0]
    assert str(explain(y_true, bad, 2)) == str(explain(y_true, y_pred, 2))
    draw(explain(y_true, bad, 1).figure())


def test_the_table():
    explanation = explain_cost([[1.5, 4, INF], [5, 2.25, 9]])
    lines = str(explanation).splitlines()
    assert lines[0] == "status 0, optimal"
    assert lines[1] == "total cost 3.75 over 2 pairs"
    assert lines[2].split() == ["true", "predicted", "cost", "runner-up", "margin", "rise"]
    rows = [line.split() for line in lines[3:5]]
    assert [row[:4] for row in rows] == [["0", "0", "1.5", "1"], ["1", "1", "2.25", "0"]]
    # Without 0-0: 0-1 and 1-0, 9. Without 1-1: 0-0 and 1-2, 10.5, or 0-1 and 1-0, 9.
    assert [float(row[5]) for row in rows] == [5.25, 5.25]
    assert lines[5:] == ["unmatched predicted: 2"]
    assert str(explain_cost([[1], [3], [2]])).splitlines()[-1] == "unmatched true: 1, 2"
    assert str(explain_cost([[1]])).splitlines()[-1].split() == ["0", "0", "1", "-", "inf", "inf"]


class Table(html.parser.HTMLParser):
    """The rows of a table, and the pictures."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "img":
            self.pictures.append(dict(attributes)["src"])

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data.strip()


def test_a_notebook_shows_the_table_and_the_picture():
    explanation = explain_cost([[1.5, 4, INF], [5, 2.25, 9]])
    table = Table(explanation._repr_html_())
    words = [line.split() for line in str(explanation).splitlines()[2:5]]
    assert table.rows[:2] == words[:2]
    assert [cell for row in table.rows for cell in row][: 3 * 6 - 1] == [cell for row in words for cell in row][:-1]
    kind, picture = table.pictures[0].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_a_notebook_shows_why_there_is_no_matching(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    table = Table(text := explain_cost([[NAN]])._repr_html_())
    assert "invalid" in text
    assert not table.rows and not table.pictures


# The picture.


def panels(figure):
    """The axes, without the scale of colours."""
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def draw(figure):
    """As PNG; matplotlib finds many mistakes only now."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    assert stream.getvalue().startswith(b"\x89PNG")


def colour(artist_colour):
    from matplotlib.colors import to_hex

    return to_hex(artist_colour)


def outlined(axes):
    """Cells with a frame, as (true, predicted)."""
    cells = []
    for patch in axes.patches:
        # Red, which the colour scale does not have.
        assert colour(patch.get_edgecolor()) == "#c0392b" and not patch.get_fill()
        assert (patch.get_width(), patch.get_height()) == (1, 1)
        x, y = patch.get_xy()
        cells.append((y + 0.5, x + 0.5))
    return sorted(cells)


def written_in_cells(axes):
    """The text at the middle of each cell, by (true, predicted)."""
    return {text.get_position()[::-1]: text.get_text() for text in axes.texts}


def legend_of(axes):
    """Colours by what they stand for."""
    legend = axes.get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    return {name: colour(line.get_color()) for name, line in zip(names, legend.get_lines(), strict=True)}


def drawn_boxes(axes):
    """Boxes by the name of their side and the number at their upper left corner: (left, top, width, height)."""
    sides = {by: name for name, by in legend_of(axes).items()}
    drawn = {"true": {}, "predicted": {}}
    for patch, note in zip(axes.patches, axes.texts, strict=True):
        assert note.xy == patch.get_xy() and colour(note.get_color()) == colour(patch.get_edgecolor())
        assert not patch.get_fill()
        side = drawn[sides[colour(patch.get_edgecolor())]]
        side[int(note.get_text())] = (*patch.get_xy(), patch.get_width(), patch.get_height())
    assert sum(map(len, drawn.values())) == len(axes.patches)
    return drawn


@pytest.mark.parametrize(("true_features", "pred_features", "count"), [(4, 4, 2), (3, 3, 1), (5, 5, 1)])
def test_the_figure(true_features, pred_features, count):
    from matplotlib.figure import Figure

    rng = np.random.default_rng(SEED)
    for rows, cols in [(3, 4), (4, 3), (1, 1), (13, 14), (40, 3)]:
        y_true, y_pred = rng.uniform(1, 2, (1, rows, true_features)), rng.uniform(1, 2, (1, cols, pred_features))
        explanation = explain(y_true, y_pred)
        figure = explanation.figure()
        assert isinstance(figure, Figure)
        axes = panels(figure)
        assert len(axes) == count
        pairs = sorted(zip(explanation.true_index.tolist(), explanation.pred_index.tolist(), strict=True))
        assert outlined(axes[0]) == pairs
        np.testing.assert_array_equal(axes[0].images[0].get_array(), explanation.cost)
        assert axes[0].get_title() == f"status 0, total cost {explanation.total_cost:.4g}"
        assert (axes[0].get_ylabel(), axes[0].get_xlabel()) == ("true", "predicted")
        # Numbers where there is room for them.
        want = {place: f"{cost:.3g}" for place, cost in np.ndenumerate(explanation.cost)} if rows * cols < 150 else {}
        assert written_in_cells(axes[0]) == want
        if count == 2:
            boxes = drawn_boxes(axes[1])
            for side, objects in [("true", y_true[0]), ("predicted", y_pred[0])]:
                assert sorted(boxes[side]) == list(range(len(objects)))
                for index, (x, y, width, height) in enumerate(objects):
                    assert boxes[side][index] == (x - width / 2, y - height / 2, width, height)
            legend = legend_of(axes[1])
            assert list(legend) == ["true", "predicted", "matched"] and len(set(legend.values())) == 3
            # As in an image, whose first line is the upper one.
            assert axes[1].yaxis_inverted() and axes[1].get_title() == "boxes"
            joining = [line for line in axes[1].lines if len(line.get_xydata())]
            assert {colour(line.get_color()) for line in joining} == {legend["matched"]}
            ends = [(y_true[0, i, :2], y_pred[0, j, :2]) for i, j in pairs]
            np.testing.assert_array_equal(
                sorted([np.ravel(line.get_xydata()) for line in joining], key=tuple),
                sorted(map(np.ravel, ends), key=tuple),
            )
        draw(figure)


def test_boxes_of_unequal_width_are_not_drawn():
    """Sparse labels: the two sides have different numbers of features."""

    def cost(true, pred):
        return tf.reduce_sum(tf.abs(true[:, :, tf.newaxis, :2] - pred[:, tf.newaxis, :, :2]), -1)

    loss = HungarianLoss([2, (2, 3)], None, cost)
    rng = np.random.default_rng(SEED)
    explanation = explain(rng.normal(size=(1, 2, 4)), rng.normal(size=(1, 3, 5)), loss=loss)
    assert explanation.boxes is None
    assert len(panels(explanation.figure())) == 1
    check(explanation, explanation.cost)


def test_hidden_boxes_are_not_drawn():
    rng = np.random.default_rng(SEED)
    loss = HungarianLoss([4], true_mask_fn=lambda objects: objects[:, :, 0] >= 0)
    y_true = rng.uniform(1, 2, (1, 3, 4)) * [[[1], [-1], [1]]]
    axes = panels(explain(y_true, rng.uniform(1, 2, (1, 2, 4)), loss=loss).figure())[1]
    assert {side: list(boxes) for side, boxes in drawn_boxes(axes).items()} == {"true": [0, 2], "predicted": [0, 1]}


def test_a_detr_loss():
    """Its costs, its boxes as center and size, and the empty slots left out."""
    rng = np.random.default_rng(SEED)
    corners = rng.uniform(0, 0.5, (2, 7, 4)) + [0, 0, 0.5, 0.5]
    y_true = {"boxes": corners[:, :3], "labels": np.array([[0, 1, -1], [1, -1, -1]])}
    y_pred = {"boxes": corners[:, 3:], "logits": rng.normal(size=(2, 4, 3))}
    loss = DetrLoss(2, box_format="xyxy", dtype="float64")
    explanation = explain(y_true, y_pred, 0, loss=loss)
    check(explanation, explanation.cost, (np.array([True, True, False]), np.full(4, True)))
    center_and_size = np.concatenate(
        [(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], -1
    )
    np.testing.assert_allclose(explanation.boxes[0], center_and_size[0, :3], rtol=1e-12)
    np.testing.assert_allclose(explanation.boxes[1], center_and_size[0, 3:], rtol=1e-12)
    assert len(panels(explanation.figure())[1].patches) == 2 + 4


def test_the_figure_without_matplotlib(monkeypatch):
    explanation = explain_cost([[1.0]])
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="matplotlib"):
        explanation.figure()
    assert "optimal" in str(explanation)


def test_what_else_can_be_explained():
    """Ragged sets, lists, half precision, and a loss that matches by all features."""
    rng = np.random.default_rng(SEED)
    sets = [rng.normal(size=(count, 2)).tolist() for count in (1, 3)]
    alone = [str(explain([each], [each[::-1]])) for each in sets]
    for rank in (1, 2):
        true, pred = (tf.ragged.constant(side, ragged_rank=rank) for side in (sets, [each[::-1] for each in sets]))
        assert [str(explain(true, pred, sample)) for sample in range(2)] == alone
    none = tf.ragged.constant([[], []], ragged_rank=2, dtype=tf.float64)
    nobody = explain(true, none, 1)
    assert (nobody.total_cost, nobody.unmatched_true.tolist(), len(nobody.unmatched_pred)) == (0, [0, 1, 2], 0)
    assert (explain(none, none).total_cost, explain(none, none).cost.shape) == (0, (0, 0))
    y_true, y_pred = rng.normal(size=(1, 3, 2)).astype(np.float32), rng.normal(size=(1, 4, 2)).astype(np.float32)
    assert str(explain(y_true.tolist(), y_pred.tolist())) == str(explain(y_true, y_pred))
    half = tf.cast(y_true, tf.float16), tf.cast(y_pred, tf.float16)
    assert str(explain(*half)) == str(explain(*(tf.cast(objects, tf.float32) for objects in half)))
    for rows, cols in itertools.product([2, 4], repeat=2):
        y_true, y_pred = rng.normal(size=(1, rows, 2)), rng.normal(size=(1, cols, 2))
        loss = HungarianLoss(
            [1, 1], None, lambda true, pred: 2 * tf.reduce_sum(true[:, :, None] - pred[:, None], -1) ** 2
        )
        explanation = explain(y_true, y_pred, loss=loss)
        want = 2 * (y_true[0].sum(-1)[:, np.newaxis] - y_pred[0].sum(-1)) ** 2
        np.testing.assert_allclose(explanation.cost, want, rtol=1e-12, atol=1e-14)
        check(explanation, explanation.cost)


@pytest.mark.parametrize("repeats", [2, 3])
def test_copies_of_an_object_stand_for_one(repeats):
    """An object may be in several pairs. What forbidding a pair costs is measured for the object, not for one of its
    copies."""
    rng = np.random.default_rng([SEED, repeats])
    objects, predictions = 2, repeats * 2 + 1
    labels = np.zeros((1, objects), np.int32)
    y_true = {"boxes": rng.uniform(0.2, 0.6, (1, objects, 4)), "labels": labels}
    y_pred = {"boxes": rng.uniform(0.2, 0.6, (1, predictions, 4)), "logits": rng.normal(size=(1, predictions, 3))}
    loss = DetrLoss(2, repeats=repeats, dtype="float64")
    explanation = explain(y_true, y_pred, loss=loss)
    assert explanation.cost.shape == (objects, predictions) and explanation.boxes[0].shape == (objects, 4)
    assert explanation.true_index.tolist() == sorted([*range(objects)] * repeats)
    np.testing.assert_array_equal(
        explanation.pair_cost, explanation.cost[explanation.true_index, explanation.pred_index]
    )
    assert len(explanation.unmatched_true) == 0 and len(explanation.unmatched_pred) == 1
    copies = np.repeat(explanation.cost, repeats, axis=0)
    _, least = optimum(copies)
    for true, pred, runner_up, margin, rise in zip(
        explanation.true_index,
        explanation.pred_index,
        explanation.runner_up,
        explanation.margin,
        explanation.rise,
        strict=True,
    ):
        without = copies.copy()
        without[true * repeats : (true + 1) * repeats, pred] = INF
        _, next_best = optimum(without)
        assert rise == pytest.approx(next_best - least, abs=1e-9, rel=0) and rise > 0
        assert 0 <= margin <= rise + 1e-9
        assert runner_up not in explanation.pred_index[explanation.true_index == true]
    assert max(explanation.margin) > 0
    # By the duals: an object takes a column that none of its copies has. The dual of an unmatched column, and so the
    # ceiling of all, is 0.
    solved = linear_assignment(copies)
    u, v = solved.row_duals.numpy(), solved.col_duals.numpy()
    reduced = copies - u[:, np.newaxis] - v
    for row, (true, pred) in enumerate(zip(explanation.true_index, explanation.pred_index, strict=True)):
        elsewhere = ~np.isin(np.arange(predictions), explanation.pred_index[explanation.true_index == true])
        of_others = np.arange(len(copies)) // repeats != true
        margin = max(reduced[row, elsewhere].min(), 0) + max(min(reduced[of_others, pred].min(), -v[pred]), 0)
        assert explanation.margin[row] == pytest.approx(margin, abs=1e-14)
