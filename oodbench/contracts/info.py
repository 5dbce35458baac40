"""The description of a plugin: its name, its publication and its deviations from that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""A registry name: lower case, digits and hyphens. Names become parts of paths."""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The publication that a plugin implements.

    Attributes:
        title: title of the publication.
        authors: as cited in running text, such as ``"Liu et al."``.
        venue: short name of the conference or journal.
        year: year of publication.
        url: where it can be read.

    Raises:
        ValueError: if the address is malformed.
    """

    title: str
    authors: str
    venue: str
    year: int
    url: str

    def __post_init__(self) -> None:
        urlsplit(self.url)  # raises ValueError, before a run is written that cannot be read

    def __str__(self) -> str:
        return f"{self.authors}: {self.title}. {self.venue} {self.year}"


@dataclass(frozen=True, kw_only=True)
class Info:
    """The description of a plugin in the registry, the tables and the leaderboard.

    Attributes:
        name: the registry name: lower case, digits and hyphens.
        summary: one sentence, shown by ``oodbench list``.
        title: the name as the literature writes it (``"FashionMNIST"``); `name` if empty.
        paper: the publication it implements, if there is one.
        deviations: each difference from that publication, one sentence each; shown with results.
    """

    name: str
    summary: str
    title: str = ""
    paper: Paper | None = None
    deviations: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Return the name to show in tables."""
        return self.title or self.name
