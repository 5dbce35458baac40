"""Drawing figures one after the other; one that cannot be drawn does not affect the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oodbench.contracts import Figure, RunView
from oodbench.errors import FigureUnavailable, UserError, describe
from oodbench.plot.style import house_style, save
from oodbench.registry.isolation import isolated
from oodbench.store.paths import distinct_names


@dataclass(frozen=True)
class Drawn:
    """The outcome of drawing a figure.

    Attributes:
        name: of the figure.
        paths: the files that were written.
        reason: why there are none; empty if there are.
        failed: whether the figure broke, and not the run lacked something.
    """

    name: str
    paths: Sequence[Path] = field(default_factory=list)
    reason: str = ""
    failed: bool = False


def draw(figures: Sequence[Figure], run: RunView, folder: Path) -> Iterator[Drawn]:
    """Draw figures of a run into a folder, and yield the outcome of each.

    Raises:
        UserError: if the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write figures to '{folder}': {error.strerror}") from error
    for figure in figures:
        try:
            with isolated():
                drawn = Drawn(figure.info.name, _draw_one(figure, run, folder))
        except FigureUnavailable as error:
            drawn = Drawn(figure.info.name, reason=str(error))
        except Exception as error:  # a third-party figure may raise anything
            drawn = Drawn(figure.info.name, reason=describe(error), failed=True)
        yield drawn


def _draw_one(figure: Figure, run: RunView, folder: Path) -> list[Path]:
    paths = []
    with house_style():
        pictures = figure.draw(run)
        endings = distinct_names(filter(None, pictures))  # names of detectors may be any text
        for part, picture in pictures.items():
            name = f"{figure.info.name}-{endings[part]}" if part else figure.info.name
            paths += save(picture, folder, name)
    return paths
