"""Some classes of a data set as a data set: ``mnist[3]``, ``mnist[!3]``, ``mnist[0,3-5]``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from oodbench.contracts import Dataset, ImageSet
from oodbench.errors import InvalidData, UserError

_BRACKETS = re.compile(r"(?P<whole>.+)\[(?P<classes>[^\[\]]*)\]")

ALL_BUT = "!"
"""Asks, before classes, for all others."""


def split_classes(name: str) -> tuple[str, str | None]:
    """Return the name of a data set, and the classes that are asked for in brackets behind it.

    These are None without brackets, and where the brackets are part of a path that exists.
    """
    found = _BRACKETS.fullmatch(name)
    if found is None:
        return name, None
    with suppress(OSError, RuntimeError):  # a name that is too long, a user who is unknown
        if os.sep in name and Path(name).expanduser().exists():
            return name, None
    return found["whole"], found["classes"]


class ClassSubset(Dataset):
    """The images of some classes of a data set, whose labels are their positions among these.

    Args:
        whole: the data set.
        classes: labels in the whole set, ascending, by the names of the classes.
        which: what to call these classes in titles, such as ``"classes 0-5"``.
    """

    def __init__(self, *, whole: Dataset, classes: Mapping[str, int], which: str) -> None:
        self.whole = whole
        self.classes = classes
        self.which = which
        label = f"{whole.info.label}, {which}"
        self.info = replace(whole.info, name=f"{whole.info.name} ({which})", title=label)
        self.shape = whole.shape
        self.num_classes = len(classes)
        self.splits = whole.splits
        self.mirrorable = whole.mirrorable

    def fitted(self, shape: tuple[int, int, int]) -> ClassSubset:
        """Return the same classes of the set to use in a geometry."""
        whole = self.whole.fitted(shape)
        return ClassSubset(whole=whole, classes=self.classes, which=self.which)

    def files(self, root: Path, split: str) -> Sequence[Path]:
        """Name the files of the whole set."""
        return self.whole.files(root, split)

    def prepare(self, root: Path, split: str) -> None:
        """Fetch the files of the whole set."""
        self.whole.prepare(root, split)

    def load(self, root: Path, split: str) -> ImageSet:
        """Read the images of these classes."""
        return self.among(self.whole.load(root, split))

    def among(self, found: ImageSet) -> ImageSet:
        """Return the images of these classes among those of the whole set.

        Raises:
            InvalidData: if there are none.
        """
        own = np.array(list(self.classes.values()), dtype=np.int64)
        chosen = np.flatnonzero(np.isin(found.labels, own))
        if not len(chosen):
            raise InvalidData(f"{self.info.name}: none of its {len(found):,} images is of these")
        labels = np.searchsorted(own, found.labels[chosen])
        return ImageSet(found.images[chosen], labels, found.note)


def choose_classes(dataset: Dataset, known: Mapping[str, int], asked: str) -> ClassSubset:
    """Return some classes of a data set.

    Args:
        dataset: the data set.
        known: labels by the names of its classes.
        asked: ``"3"``, ``"0,3-5"`` or, for all others, ``"!3"``.

    Raises:
        UserError: if the data set has no classes, or no such classes.
    """
    name = dataset.info.name
    if not known:
        raise UserError(f"data set '{name}' has no classes: '{name}[{asked}]' names none")
    text = asked.strip()
    others = text.startswith(ALL_BUT)
    named = set()
    for part in text.removeprefix(ALL_BUT).split(","):
        found = list(_members(part.strip(), known))
        if not found:
            there = f"'{name}' has the classes {compact(known)}"
            raise UserError(f"'{part.strip()}' in '{name}[{asked}]' is no class; {there}")
        named.update(found)
    chosen = {each: label for each, label in known.items() if (each in named) != others}
    if not chosen:
        raise UserError(f"'{name}[{asked}]' leaves no class; '{name}' has {compact(known)}")
    ascending = dict(sorted(chosen.items(), key=lambda item: item[1]))
    described = [each for each in known if each in named]
    which = f"{'class' if len(described) == 1 else 'classes'} {compact(described)}"
    return ClassSubset(
        whole=dataset, classes=ascending, which=f"all but {which}" if others else which
    )


def _members(part: str, known: Mapping[str, int]) -> Iterator[str]:
    """Yield the class of a name, or the classes from one number to another; none if one lacks."""
    first, dash, last = part.rpartition("-")
    if part in known:
        yield part
    elif dash and first.isdecimal() and last.isdecimal() and first in known and last in known:
        yield from (
            name for name in known if name.isdecimal() and int(first) <= int(name) <= int(last)
        )


def compact(names: Sequence[str] | Mapping[str, int]) -> str:
    """Return names in a row, three or more numbers that follow each other as ``0-5``."""
    runs: list[list[str]] = []
    for name in names:
        last = runs[-1][-1] if runs else ""
        follows = name.isdecimal() and last.isdecimal() and int(name) == int(last) + 1
        if follows:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)
