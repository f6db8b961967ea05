"""A fluorescence micrograph with 125 cell nuclei: two halves, and the tiles that the network sees of them.

Image and mask are those that the stardist package brings for its own tests (BSD-3-Clause), taken from the 2018 Data Science
Bowl (Caicedo et al. 2019, Nature Methods 16; image set BBBC038v1 of the Broad Bioimage Benchmark Collection, CC0).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

IMAGES = Path(__file__).resolve().parents[2] / "build" / "nuclei" / "stardist" / "data" / "images"
"""Where make puts img2d.tif and mask2d.tif, see make/nuclei.mk."""

TILE = 64
"""Height and width of a tile in pixels."""
SLOTS = 32
"""For how many nuclei a tile has room; the fullest ones hold some 20."""
SCALE = 0.5
"""The micrograph is looked at in half its resolution: a nucleus is then about 14 pixels wide."""

ZOOMS = np.exp(np.linspace(-0.25, 0.25, 7))
"""The network learns at these magnifications."""
CONTRAST, BRIGHTNESS = 0.25, 0.25
"""Both vary by up to this much in training, as logarithms."""
AROUND_A_NUCLEUS = 0.5
"""Share of the training tiles that are placed so as to hold a nucleus; the others may be empty."""
LEAST_VISIBLE = 0.5
"""What share of a box must lie in a tile to count there, so that adjacent tiles divide the nuclei among them."""


class Scene(NamedTuple):
    """An image and what is on it.

    Attributes:
      image: uint8 [height, width].
      boxes: float32 [nuclei, (left, top, right, bottom)], in pixels.
    """

    image: np.ndarray
    boxes: np.ndarray


class Tiles(NamedTuple):
    """A batch of tiles in the form that the model and DetrLoss take.

    Attributes:
      images: float32 [tiles, TILE, TILE, 1], from 0 to 1.
      objects: "boxes", float32 [tiles, SLOTS, (center x, center y, width, height)] in fractions of the tile, and
        "labels", int64 [tiles, SLOTS]: 0 for a nucleus, −1 for an empty slot. The order is arbitrary.
    """

    images: np.ndarray
    objects: dict[str, np.ndarray]

    @property
    def counts(self) -> np.ndarray:
        """Number of nuclei of each tile."""
        return np.sum(self.objects["labels"] >= 0, axis=1)


def load_halves(folder: Path = IMAGES) -> tuple[Scene, Scene]:
    """The left and the right half of the micrograph. A nucleus belongs to the half in which most of it lies.

    Raises:
      FileNotFoundError: `make build/nuclei/.complete` has not been run.
    """
    image, mask = (np.asarray(Image.open(folder / name)) for name in ("img2d.tif", "mask2d.tif"))
    # Both halves at once: they are one exposure.
    image = _brightened(image)
    middle = image.shape[1] // 2
    columns = np.arange(image.shape[1])
    halves = []
    for inside in (columns < middle, columns >= middle):
        here = mask[:, inside]
        whole, part = np.bincount(mask.ravel()), np.bincount(here.ravel(), minlength=mask.max() + 1)
        nuclei = [nucleus for nucleus in range(1, len(whole)) if 0 < whole[nucleus] <= 2 * part[nucleus]]
        boxes = np.array([_bounds(here == nucleus) for nucleus in nuclei], np.float32)
        halves.append(Scene(image[:, inside], boxes))
    return halves[0], halves[1]


def test_tiles(half: Scene) -> Tiles:
    """Adjacent tiles that cover the half, and hold each of its nuclei once."""
    image, boxes = _zoomed(half, SCALE)
    corners = [(x, y) for y in range(0, image.shape[0], TILE) for x in range(0, image.shape[1], TILE)]
    images = [image[y : y + TILE, x : x + TILE] for x, y in corners]
    return _batch(images, [_in_tile(boxes, x, y) for x, y in corners])


def random_tiles(half: Scene, batch: int, seed: int) -> Iterator[Tiles]:
    """Batches without end for training: random places, sizes, reflections and contrast."""
    random = np.random.default_rng(seed)
    scenes = [_zoomed(half, SCALE * zoom) for zoom in ZOOMS]
    while True:
        images, boxes = zip(
            *(_random_tile(scenes[random.integers(len(scenes))], random) for _ in range(batch)), strict=True
        )
        yield _batch(images, boxes)


def _bounds(inside: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(inside)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def _brightened(image: np.ndarray) -> np.ndarray:
    """In 8 bits, the darker nuclei brought out by a square root."""
    dark, bright = np.percentile(image, [1, 99.5])
    return np.uint8(255 * np.sqrt(np.clip((image - dark) / (bright - dark), 0, 1)))


def _zoomed(scene: Scene, scale: float) -> Scene:
    height, width = (round(side * scale) for side in scene.image.shape)
    image = np.asarray(Image.fromarray(scene.image).resize((width, height), Image.Resampling.BOX))
    factors = np.float32([width, height]) / scene.image.shape[::-1]
    return Scene(image, np.float32(scene.boxes * np.tile(factors, 2)))


def _in_tile(boxes: np.ndarray, x: int, y: int) -> np.ndarray:
    """The boxes that the tile at (x, y) shows, cut off at its edges: [nuclei, 4], as in ``Tiles``."""
    boxes = boxes - [x, y, x, y]
    shown = np.clip(boxes, 0, TILE)
    shown = shown[_areas(shown) >= LEAST_VISIBLE * _areas(boxes)]
    start, end = shown[:, :2], shown[:, 2:]
    return np.concatenate([(start + end) / 2, end - start], axis=1) / TILE


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def _random_tile(scene: Scene, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An image [TILE, TILE] and its boxes."""
    room = np.array(scene.image.shape[::-1]) - TILE
    corner = random.integers(room + 1)
    if random.random() < AROUND_A_NUCLEUS:
        left, top, right, bottom = scene.boxes[random.integers(len(scene.boxes))]
        center = np.array([left + right, top + bottom]) / 2
        corner = np.clip(center - random.uniform(0, TILE, size=2), 0, room).astype(int)
    x, y = corner
    image, boxes = scene.image[y : y + TILE, x : x + TILE], _in_tile(scene.boxes, x, y)
    if random.random() < 0.5:
        image, boxes = image[:, ::-1], boxes * [-1, 1, 1, 1] + [1, 0, 0, 0]
    if random.random() < 0.5:
        image, boxes = image[::-1], boxes * [1, -1, 1, 1] + [0, 1, 0, 0]
    if random.random() < 0.5:
        image, boxes = image.T, boxes[:, [1, 0, 3, 2]]
    contrast, brightness = np.exp(random.uniform([-CONTRAST, -BRIGHTNESS], [CONTRAST, BRIGHTNESS]))
    mean = image.mean()
    image = np.clip((image - mean) * contrast + mean * brightness, 0, 255)
    return image, random.permutation(boxes)


def _batch(images: list[np.ndarray], boxes: list[np.ndarray]) -> Tiles:
    padded = np.zeros((len(boxes), SLOTS, 4), np.float32)
    labels = np.full((len(boxes), SLOTS), -1)
    for tile, here in enumerate(boxes):
        padded[tile, : len(here)] = here
        labels[tile, : len(here)] = 0
    return Tiles(np.float32(images)[..., np.newaxis] / 255, {"boxes": padded, "labels": labels})
