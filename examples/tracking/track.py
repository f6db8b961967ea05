"""Follows people through two videos with `gated_assignment`, and scores the tracks. `make track` runs this.

Only boxes are matched: neither the images nor the identities that came with the detections are used.
"""

import argparse
import time
from pathlib import Path

from draw import draw
from score import Score, score
from tracker import track
from videos import NAMES, load

COLUMNS = ("MOTA", "IDF1", "switches", "misses", "false positives")


def show(name: str, values: Score) -> None:
    """A line of the table."""
    print(f"{name:<44}{values.mota:>8.1%}{values.idf1:>8.1%}" + "".join(f"{value:>17}" for value in values[2:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="the PNG to write")
    output = parser.parse_args().output
    print(f"{'':<44}{COLUMNS[0]:>8}{COLUMNS[1]:>8}" + "".join(f"{name:>17}" for name in COLUMNS[2:]))
    videos, began = {}, time.perf_counter()
    for name in NAMES:
        video = load(name)
        show(f"{name}, identities as they came", score(video, video.detected))
        for prefer in ("pairs", "cost"):
            found = track(video.detected, video.frames, prefer)
            show(f"{name}, prefer={prefer!r}", score(video, found))
            videos.setdefault(name, (video, found))
    print(f"Tracked and scored in {time.perf_counter() - began:.1f} s.")
    output.parent.mkdir(parents=True, exist_ok=True)
    draw(output, videos)
    print(f"The tracks are drawn in {output}.")


if __name__ == "__main__":
    main()
