"""Files of pictures, scored by a guard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from oodbench.errors import InvalidData, PluginError, UserError, describe
from oodbench.guard.guard import Guard
from oodbench.images.folders import read_folder
from oodbench.images.geometry import to_geometry
from oodbench.images.pictures import read_picture

AT_ONCE = 500
"""Pictures that are in memory at a time."""

ACCEPTED, REJECTED, UNREADABLE = "accepted", "rejected", "unreadable"


@dataclass(frozen=True)
class Row:
    """What a guard makes of a picture; None where there is no score.

    Attributes:
        path: of the picture.
        prediction: the class that the classifier takes it for.
        confidence: its largest softmax output.
        score: the detector's.
        p_value: its conformal p-value.
        decision: `ACCEPTED`, `REJECTED` or `UNREADABLE`.
        error: why there is no score.
    """

    path: Path
    prediction: int | None = None
    confidence: float | None = None
    score: float | None = None
    p_value: float | None = None
    decision: str = UNREADABLE
    error: str = ""


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are named, and the pictures in the folders that are.

    Raises:
        UserError: if there is nothing at a path, or no picture in a folder.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UserError(f"'{path}' does not exist; name pictures, or folders of them")
        if not path.is_dir():
            found.append(path)
        elif pictures := read_folder(path).pictures:
            found += pictures
        else:
            raise UserError(f"'{path}' holds no pictures")
    return found


def score_pictures(
    guard: Guard, paths: Sequence[Path], alpha: float, threads: int = 1
) -> Iterator[Row]:
    """Yield what a guard makes of each picture, in order.

    A picture that cannot be read, or that the detector has no score of, is `UNREADABLE`.

    Args:
        guard: the guard.
        paths: of the pictures.
        alpha: rate of false alarms, in (0, 1).
        threads: pictures are read in as many threads.
    """

    def read(path: Path) -> Row | npt.NDArray[np.uint8]:
        try:
            return to_geometry(read_picture(path, guard.shape[1:])[None], guard.shape)
        except InvalidData as error:
            return Row(path, error=str(error).removeprefix(f"{path}: "))

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), AT_ONCE):
            some = paths[start : start + AT_ONCE]
            read_ones = dict(zip(some, pool.map(read, some), strict=True))
            images = {
                path: each for path, each in read_ones.items() if isinstance(each, np.ndarray)
            }
            rows = _judge(guard, images, alpha)
            for path in some:
                found = read_ones[path]
                yield found if isinstance(found, Row) else rows[path]


def _judge(
    guard: Guard, images: Mapping[Path, npt.NDArray[np.uint8]], alpha: float
) -> dict[Path, Row]:
    """Return the rows of images (1, c, h, w), by path."""
    if not images:
        return {}
    try:
        judged = guard(torch.from_numpy(np.concatenate([*images.values()])))
    except PluginError as error:
        if len(images) == 1:
            return {path: Row(path, error=describe(error)) for path in images}
        # One of them has no score: each is judged on its own, so that only that one is lost.
        apart = (_judge(guard, {path: image}, alpha) for path, image in images.items())
        return {path: row for rows in apart for path, row in rows.items()}
    columns = (judged.predictions, judged.confidences, judged.scores, judged.p_values)
    accepted = judged.accepted(alpha)
    return {
        path: Row(
            path,
            int(prediction),
            float(confidence),
            float(score),
            float(p_value),
            ACCEPTED if kept else REJECTED,
        )
        for path, prediction, confidence, score, p_value, kept in zip(
            images, *columns, accepted, strict=True
        )
    }
