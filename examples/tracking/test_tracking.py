"""Real boxes: all frames in one call give SciPy's pairs, motmetrics agrees with its own table, and the tracker works. `make test-tracking` runs this."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

motmetrics = pytest.importorskip(
    "motmetrics", reason="the videos lie in motmetrics, which is not here; run `make test-tracking`"
)

from hungarian_loss.recipes import gated_assignment
from score import GATE, score
from tracker import track
from videos import NAMES, Boxes, load, overlap_distance

# True boxes with a detection: 359 − 150 and 1156 − 452 in the table that motmetrics prints in its README.
PAIRS = {"TUD-Campus": 209, "TUD-Stadtmitte": 704}


def all_frames(boxes: Boxes, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of all frames, [frames, most, 4], empty places NaN, and how many each frame has."""
    counts = np.bincount(boxes.frame, minlength=frames + 1)[1:]
    padded = np.full((frames, counts.max(), 4), np.nan)
    for frame in range(frames):
        padded[frame, : counts[frame]] = boxes.of(frame + 1).box
    return padded, counts


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("names", [NAMES[:1], NAMES[1:], NAMES], ids=" and ".join)
def test_all_frames_in_one_call_are_the_pairs_of_scipy(names: tuple[str, ...], dtype: type) -> None:
    """As motmetrics asks SciPy, frame by frame. The last case has both videos, 250 frames, in one call."""
    want, problems = [], []
    for name in names:
        video = load(name)
        for frame in range(1, video.frames + 1):
            distances = overlap_distance(video.true.of(frame).box, video.detected.of(frame).box).astype(dtype)
            problems.append(distances)
            gated = np.where(distances > GATE, np.nan, distances)
            rows, cols = motmetrics.lap.linear_sum_assignment(gated, solver="scipy")
            want.append(list(zip(rows.tolist(), cols.tolist(), strict=True)))
    most = np.max([distances.shape for distances in problems], axis=0)
    # Empty places are NaN, so that reading one would show.
    batch = np.full((len(problems), *most), np.nan, dtype)
    for place, distances in zip(batch, problems, strict=True):
        place[: distances.shape[0], : distances.shape[1]] = distances
    rows, cols = np.transpose([distances.shape for distances in problems])
    answer = gated_assignment(batch, GATE, num_rows=rows, num_cols=cols)
    got = [[(row, col) for row, col in enumerate(frame.tolist()) if col >= 0] for frame in answer.row_to_col.numpy()]
    assert got == want
    assert (answer.status.numpy() == 0).all()
    assert sum(map(len, got)) == sum(PAIRS[name] for name in names)


def test_totals_of_all_frames_are_those_of_scipy() -> None:
    """From padded boxes: the distances of all frames are computed at once, too."""
    for name in NAMES:
        video = load(name)
        (true, rows), (detected, cols) = (all_frames(boxes, video.frames) for boxes in (video.true, video.detected))
        distances = overlap_distance(true, detected)
        answer = gated_assignment(distances, GATE, num_rows=rows, num_cols=cols)
        assert (answer.row_to_col.numpy() >= 0).sum() == PAIRS[name]
        gated = np.nan_to_num(np.where(distances > GATE, np.nan, distances), nan=1e3)
        for frame, cost in enumerate(gated):
            chosen = cost[linear_sum_assignment(cost)]
            assert answer.total_cost.numpy()[frame] == pytest.approx(chosen[chosen < 1e3].sum(), abs=1e-12)


def test_scores_are_those_of_motmetrics_readme() -> None:
    """Its own table for these files, so that the tracker is scored as others are."""
    table = {"TUD-Campus": (0.526, 0.558, 7, 150, 13), "TUD-Stadtmitte": (0.564, 0.645, 7, 452, 45)}
    for name in NAMES:
        video = load(name)
        assert score(video, video.detected) == pytest.approx(table[name], abs=5e-4), name


@pytest.mark.parametrize("prefer", ["pairs", "cost"])
def test_the_tracker_is_as_good_as_what_made_the_detections(prefer: str) -> None:
    """From boxes alone; the order in which a frame's detections come does not matter."""
    for name in NAMES:
        video = load(name)
        came = score(video, video.detected)
        found = track(video.detected, video.frames, prefer)
        got = score(video, found)
        assert got.mota > came.mota and got.idf1 > came.idf1 and got.num_switches < came.num_switches, name
        shuffled = np.random.default_rng(0).permutation(len(video.detected.frame))
        again = score(video, track(Boxes(*(column[shuffled] for column in video.detected)), video.frames, prefer))
        assert again == pytest.approx(got)


def test_people_who_cross_keep_their_tracks() -> None:
    """Two people walk toward each other at the same height and pass; one is not seen for some frames."""
    frames = np.arange(1, 31)
    left = np.stack([10.0 * frames, 0 * frames, 30 + 0 * frames, 60 + 0 * frames], axis=1)
    right = np.stack([310 - 10.0 * frames, 0 * frames, 30 + 0 * frames, 60 + 0 * frames], axis=1)
    seen = (frames < 14) | (frames > 18)
    boxes = Boxes(
        np.concatenate([frames, frames[seen]]),
        np.concatenate([0 * frames, 1 + 0 * frames[seen]]),
        np.concatenate([left, right[seen]]),
    )
    found = track(boxes, 30)
    assert len(set(found.identity)) == 2
    assert len(set(zip(found.identity, boxes.identity, strict=True))) == 2


def test_overlap_distance_is_that_of_motmetrics() -> None:
    random = np.random.default_rng(0)
    some, others = random.uniform(0, 10, (5, 4)), random.uniform(0, 10, (7, 4))
    want = 1 - motmetrics.distances.boxiou(some[:, np.newaxis], others)
    np.testing.assert_allclose(overlap_distance(some, others), want, rtol=1e-12)
    assert overlap_distance(np.zeros((1, 4)), np.zeros((1, 4))) == 1
