"""Pictures of fractals, computed from random maps of the plane."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oodbench.contracts import Dataset, ImageSet, Info, InvalidParameter

SIDE = 32
"""Side of a picture, in pixels."""

POINTS, STEPS, FORGOTTEN = 500, 40, 10
"""Points that move at once, how often they move, and how many of their first places count not."""

EDGE = 0.01
"""Share of the points that may lie beyond each edge of the picture."""


class Fractals(Dataset):
    """Attractors of random iterated function systems, in colours; no download.

    A picture has two to seven affine maps that bring points closer together, each with a colour.
    Points that move by maps drawn at random come to lie on the attractor; a pixel is as bright as
    the logarithm of the points on it, in the mean of the colours of the maps that brought them
    there, on a ground of one colour. Picture i depends on ``seed`` and i alone.

    Args:
        seed: draws the pictures; at least 0.
        count: number of pictures; at least 1.

    Raises:
        InvalidParameter: if one of them is out of its range.
    """

    info = Info(
        name="fractals",
        title="Fractals",
        summary="Attractors of random maps of the plane, 32x32, colour; no download.",
    )
    shape = (3, SIDE, SIDE)
    splits = ("test",)

    def __init__(self, *, seed: int = 0, count: int = 1000) -> None:
        if seed < 0 or count < 1:
            raise InvalidParameter(
                f"seed={seed}, count={count}: seed must be at least 0, count at least 1"
            )
        self.seed = seed
        self.count = count

    def load(self, root: Path, split: str) -> ImageSet:
        """Draw the pictures: (count, 32, 32, 3) uint8."""
        pictures = [
            _picture(np.random.default_rng([self.seed, index])) for index in range(self.count)
        ]
        return ImageSet(np.stack(pictures), np.full(self.count, -1, dtype=np.int64))


def _picture(random: np.random.Generator) -> np.ndarray:
    """Return a picture: (32, 32, 3) uint8."""
    maps = int(random.integers(2, 8))
    places, used = _orbit(random, _maps(random, maps), random.uniform(-1, 1, (maps, 2)))
    low, high = np.quantile(places, [EDGE, 1 - EDGE], axis=0)
    pixels = np.floor((places - low) / np.maximum(high - low, 1e-9) * SIDE).astype(int)
    inside = ((pixels >= 0) & (pixels < SIDE)).all(axis=1)
    cells = pixels[inside, 0] * SIDE + pixels[inside, 1]
    colours = random.random((maps, 3))[used[inside]]
    hits = np.bincount(cells, minlength=SIDE**2)[:, None]
    summed = np.stack(
        [np.bincount(cells, colours[:, each], minlength=SIDE**2) for each in range(3)], axis=1
    )
    density = np.log1p(hits) / np.log1p(hits.max())
    ground = random.random(3) * random.random()
    picture = ground * (1 - density) + summed / np.maximum(hits, 1) * density
    levels: np.ndarray = np.rint(255 * picture).astype(np.uint8)
    return levels.reshape(SIDE, SIDE, 3)


def _maps(random: np.random.Generator, count: int) -> np.ndarray:
    """Return matrices that turn and shrink: (count, 2, 2), all singular values below 1."""
    first, second = random.uniform(0, 2 * np.pi, (2, count))
    shrunk = random.uniform(0.3, 0.9, (count, 2))
    matrices: np.ndarray = _turns(first) * shrunk[:, None, :] @ _turns(second)
    return matrices


def _turns(angles: np.ndarray) -> np.ndarray:
    cosines, sines = np.cos(angles), np.sin(angles)
    return np.stack([cosines, -sines, sines, cosines], axis=1).reshape(-1, 2, 2)


def _orbit(
    random: np.random.Generator, matrices: np.ndarray, shifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return places (n, 2) that points came to, and the numbers (n,) of the maps that moved them.

    Args:
        random: draws the maps, those that shrink less more often.
        matrices: (m, 2, 2).
        shifts: (m, 2).
    """
    weights = np.abs(np.linalg.det(matrices))
    chosen = random.choice(len(matrices), (STEPS, POINTS), p=weights / weights.sum())
    points = np.zeros((POINTS, 2))
    places = []
    for used in chosen:
        points = np.einsum("nij,nj->ni", matrices[used], points) + shifts[used]
        places.append(points)
    return np.concatenate(places[FORGOTTEN:]), chosen[FORGOTTEN:].ravel()
