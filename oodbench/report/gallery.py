"""The images of each data set that detectors are most confidently wrong about."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from oodbench.report.layout import clean
from oodbench.report.samples import Judged, Shown

Pixels: TypeAlias = npt.NDArray[np.uint8]
Images: TypeAlias = Callable[[npt.NDArray[np.int64]], Pixels]
"""Returns images of a data set, (n, c, h, w), by their positions (n,) in it."""

IN_A_ROW = 8
"""Images of a detector that are shown at most."""

LARGEST = 96
"""Images with longer sides are made smaller, in pixels."""

_GAP = 2


@dataclass(frozen=True)
class Strip:
    """What a detector is most confidently wrong about.

    Attributes:
        detector: its name.
        count: how many images it is wrong about.
        images: how many there are.
        details: what is known of each image shown, the worst first.
        png: the images side by side; empty if there are none.
    """

    detector: str
    count: int
    images: int
    details: tuple[str, ...]
    png: bytes

    @property
    def columns(self) -> int:
        """Return the number of images that are shown."""
        return len(self.details)


@dataclass(frozen=True)
class Gallery:
    """The images of one data set.

    Attributes:
        caption: what they have in common.
        strips: one for each detector.
    """

    caption: str
    strips: tuple[Strip, ...]


def make_galleries(shown: Shown, images: Mapping[str, Images]) -> tuple[list[Gallery], list[str]]:
    """Return a gallery of each data set whose images are available, and the titles of the others.

    Args:
        shown: how detectors judged the images.
        images: where images are, by title of the data set.
    """
    titles = (shown.id_dataset, *shown.sets)
    galleries = [
        Gallery(_caption(shown.id_dataset, title), tuple(_strips(shown, title, images[title])))
        for title in titles
        if title in images
    ]
    return galleries, [title for title in titles if title not in images]


def _caption(id_dataset: str, title: str) -> str:
    if title == id_dataset:
        return f"{title}: ID images that are rejected, the highest scores first"
    return f"{title}: OOD images that are accepted as {id_dataset}, the lowest scores first"


def _strips(shown: Shown, title: str, images: Images) -> Iterator[Strip]:
    for detector in shown.detectors:
        judged = shown.judged.get((detector, title))
        if judged is None or judged.limit is None:
            continue
        wrong, chosen = most_wrong(judged, is_id=title == shown.id_dataset)
        png = _side_by_side(images(judged.indices[chosen])) if len(chosen) else b""
        details = tuple(_describe(shown, title, judged, int(number)) for number in chosen)
        yield Strip(clean(detector), wrong, len(judged.scores), details, png)


def most_wrong(judged: Judged, *, is_id: bool) -> tuple[int, npt.NDArray[np.intp]]:
    """Return how many images are judged wrongly, and the positions of the worst, worst first.

    Args:
        judged: how a detector judged images.
        is_id: whether they are ID images, which ought to be accepted.
    """
    badness = judged.scores if is_id else -judged.scores
    wrong = judged.rejected if is_id else ~judged.rejected
    order = np.argsort(-badness, kind="stable")
    return int(wrong.sum()), order[wrong[order]][:IN_A_ROW]


def _describe(shown: Shown, title: str, judged: Judged, number: int) -> str:
    label, prediction = int(judged.labels[number]), int(judged.predictions[number])
    own = f"class {shown.class_name(title, label)}, " if label >= 0 else ""
    known = shown.class_name(shown.id_dataset, prediction)
    taken = f"taken for {known}, " if prediction >= 0 else ""
    return f"image {judged.indices[number]}: {own}{taken}score {judged.scores[number]:.4g}"


def _side_by_side(images: Pixels) -> bytes:
    """Return images in a row as PNG, a white line between them."""
    from PIL import Image

    pixels = images.transpose(0, 2, 3, 1)  # (n, h, w, c)
    made = [Image.fromarray(each.squeeze(2) if each.shape[2] == 1 else each) for each in pixels]
    for image in made:
        image.thumbnail((LARGEST, LARGEST))
    width, height = made[0].size
    strip = Image.new("RGB", (len(made) * (width + _GAP) - _GAP, height), "white")
    for number, image in enumerate(made):
        strip.paste(image, (number * (width + _GAP), 0))
    output = io.BytesIO()
    strip.save(output, format="PNG")
    return output.getvalue()
