"""Entries: the runs of one detector on the same images and classifier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from oodbench.measures.paired import Components, Floats, Seeds

Row: TypeAlias = Mapping[str, Any]
"""A record, see `oodbench.results.run.read_rows`."""

COSTS = ("peak_memory", "peak_gpu_memory", "parameters", "forward_passes")
"""What ``run.json`` notes down of each detector's costs, see `oodbench.runs.costs`."""


@dataclass(frozen=True)
class Skipped:
    """A run or a pack that was left out of the leaderboard, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Protocol:
    """What must be equal for figures to be compared; two protocols are two tables.

    Attributes:
        id_dataset: title of the ID set.
        classifier: name of the classifier.
        parameters: of the classifier, as JSON.
        sets: titles of the OOD sets, in alphabetical order.
        data: digest of the fingerprints of all data, and of what says which images are scored.
        images: digest of which images were scored; empty where no detector scored every set.
    """

    id_dataset: str
    classifier: str
    parameters: str
    sets: tuple[str, ...]
    data: str
    images: str


@dataclass(frozen=True)
class Attempt:
    """One fitted detector: its seeds and the components of its AUROCs.

    Attributes:
        classifier_seed: seed of the classifier.
        seed: of the detector; None where it draws nothing.
        components: over the OOD sets of the protocol, in its order.
        risks: (c,) what an input costs in use, see `oodbench.leaderboard.inuse`; None where it is
            not known which ID images the classifier gets wrong.
    """

    classifier_seed: int
    seed: int | None
    components: Components
    risks: Floats | None = None

    @property
    def seeds(self) -> Seeds:
        """Return both seeds."""
        return self.classifier_seed, self.seed

    @cached_property
    def areas(self) -> Floats:
        """Return the AUROC on each OOD set, (k,)."""
        return self.components.areas

    @cached_property
    def area(self) -> float:
        """Return the mean AUROC over the OOD sets."""
        return self.components.area


@dataclass(frozen=True)
class Entry:
    """A detector with its parameters and version, as one or several runs compared it.

    Attributes:
        protocol: what it was compared on.
        sets: titles of the OOD sets, in the order of the benchmark.
        benchmark: name of the benchmark.
        groups: OOD sets by the name of their group, such as near and far; often none.
        detector: its name.
        parameters: as JSON.
        plugin: distribution that it came from, with its version.
        precision: of the networks; empty for older runs, which do not tell it.
        paper: the publication, as it is cited, and its address; empty where there is none.
        deviations: how it deviates from that.
        runs: folders of runs, and packs that were verified.
        records: their rows of this detector.
        costs: `COSTS` as each run noted them down; None where it did not.
        classifier_parameters: numbers that the classifier's weights are; None if not recorded.
        attempts: what succeeded on every OOD set.
    """

    protocol: Protocol
    sets: tuple[str, ...]
    benchmark: str
    groups: Mapping[str, tuple[str, ...]]
    detector: str
    parameters: str
    plugin: str
    precision: str
    paper: tuple[str, str]
    deviations: str
    runs: tuple[Path, ...]
    records: tuple[Row, ...]
    costs: tuple[Row, ...]
    classifier_parameters: int | None
    attempts: tuple[Attempt, ...]

    @property
    def identity(self) -> tuple[Protocol, str, str, str, str]:
        """Return the identity that entries share if they differ only in their seeds."""
        return self.protocol, self.detector, self.parameters, self.plugin, self.precision


def share_protocols(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries, those that nothing says the scored images of with the protocol of their like.

    In their runs, every detector failed on some set.
    """
    known = [entry.protocol for entry in entries if entry.protocol.images]
    alike = {replace(protocol, images=""): protocol for protocol in reversed(known)}
    return [replace(entry, protocol=alike.get(entry.protocol, entry.protocol)) for entry in entries]


def merge(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries with the seeds of several runs brought together.

    A run that repeats seeds of an entry with equal AUROCs adds its directory alone; one that has
    other figures for them becomes an entry of its own.
    """
    merged: list[_Merged] = []
    by_identity: dict[Any, list[_Merged]] = {}
    for entry in entries:
        others = by_identity.setdefault(entry.identity, [])
        areas = {each.seeds: tuple(each.areas) for each in entry.attempts}
        joined = next((other for other in others if other.agrees(areas)), None)
        if joined is None:
            joined = _Merged(entry)
            others.append(joined)
            merged.append(joined)
        joined.add(entry, areas)
    return [each.entry() for each in merged]


_Areas: TypeAlias = dict[Seeds, tuple[float, ...]]


@dataclass
class _Merged:
    """Entries that do not contradict each other, and the AUROCs of their attempts."""

    first: Entry
    areas: _Areas = field(default_factory=dict)
    runs: list[Path] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)
    costs: list[Row] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    def agrees(self, areas: _Areas) -> bool:
        """Return whether the seeds that both have give the same AUROCs."""
        return all(self.areas.get(seeds, own) == own for seeds, own in areas.items())

    def add(self, entry: Entry, areas: _Areas) -> None:
        """Add an entry that agrees; of seeds that are known only what failed is new."""
        is_first = not self.runs
        new = areas.keys() - self.areas.keys()
        # Of seeds that failed on some set before, the sets that were scored are here once more.
        self.records = [
            row
            for row in self.records
            if row["status"] == "failed" or (row["classifier_seed"], row["seed"]) not in new
        ]
        self.areas.update(areas)
        self.runs += entry.runs
        self.costs += entry.costs
        self.attempts += [each for each in entry.attempts if each.seeds in new]
        self.records += [
            row
            for row in entry.records
            if is_first or row["status"] == "failed" or (row["classifier_seed"], row["seed"]) in new
        ]

    def entry(self) -> Entry:
        """Return all as one entry."""
        return replace(
            self.first,
            runs=tuple(self.runs),
            records=tuple(self.records),
            costs=tuple(self.costs),
            attempts=tuple(self.attempts),
        )
