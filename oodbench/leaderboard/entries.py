"""Read runs as entries: a detector, on the images and the classifier that it was compared on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import InvalidData, OodbenchError, UserError
from oodbench.measures.paired import Components, components
from oodbench.results import Run, read_run

TOLERANCE = 1e-9
"""How far a recorded AUROC may be from the one that the scores give, for rounding."""


@dataclass(frozen=True)
class Skipped:
    """A directory that is no part of the leaderboard, and why."""

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
        data: digest of the fingerprints of all data, and of which images of them were scored.
    """

    id_dataset: str
    classifier: str
    parameters: str
    sets: tuple[str, ...]
    data: str


@dataclass(frozen=True)
class Attempt:
    """One fitted detector: its seeds and the components of its AUROCs.

    Attributes:
        classifier_seed: seed of the classifier.
        seed: of the detector; None where it draws nothing.
        components: over the OOD sets of the protocol, in its order.
    """

    classifier_seed: int
    seed: int | None
    components: Components


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
        paper: the publication, as it is cited, and its address; empty where there is none.
        deviations: how it deviates from that.
        runs: directories of the runs.
        records: their rows of this detector.
        attempts: what succeeded on every OOD set.
    """

    protocol: Protocol
    sets: tuple[str, ...]
    benchmark: str
    groups: Mapping[str, tuple[str, ...]]
    detector: str
    parameters: str
    plugin: str
    paper: tuple[str, str]
    deviations: str
    runs: tuple[Path, ...]
    records: pd.DataFrame
    attempts: tuple[Attempt, ...]

    @property
    def identity(self) -> tuple[Protocol, str, str, str]:
        """Return what entries have in common that are different seeds of one another."""
        return self.protocol, self.detector, self.parameters, self.plugin

    @property
    def seeds(self) -> frozenset[tuple[int, int | None]]:
        """Return the pairs of classifier seed and seed that were computed."""
        return frozenset((each.classifier_seed, each.seed) for each in self.attempts)


def find_entries(roots: Iterable[Path]) -> tuple[list[Entry], list[Skipped]]:
    """Read every run in some folders, found by what is in them.

    Raises:
        UserError: if a folder does not exist.
    """
    entries: list[Entry] = []
    skipped = []
    for directory in _directories(roots):
        try:
            entries += read_entries(read_run(directory))
        except OodbenchError as error:
            skipped.append(Skipped(directory, str(error)))
    return merge(entries), skipped


def _directories(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield the directories that hold a ``run.json``, each once, in alphabetical order."""
    found = set()
    for root in roots:
        if not root.is_dir():
            raise UserError(f"'{root}' is not a folder")
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if "run.json" in files:
                found.add(Path(folder))
    yield from sorted(found)


def read_entries(run: Run) -> list[Entry]:
    """Return an entry for each detector of a run, its AUROCs computed anew from the scores.

    Raises:
        InvalidData: if the run does not say what it compared, or its records are not those of its
            scores.
    """
    try:
        return list(_entries(run))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        reason = f"its run.json lacks or has ill-formed content: {error!r}"
        raise InvalidData(f"'{run.directory}' is not a run of oodbench: {reason}") from error


def _entries(run: Run) -> Iterator[Entry]:
    request = run.info["request"]
    ((classifier, parameters),) = request["classifier"].items()
    records = run.records
    (id_dataset,) = records["id_dataset"].unique()
    if set(records["classifier"]) != {classifier}:
        raise InvalidData(
            f"'{run.directory}': its records name another classifier than its request"
        )
    sets = tuple(records.loc[records["ood_dataset"] != "", "ood_dataset"].unique())
    attempts, images = _attempts(run, id_dataset, tuple(sorted(sets)))
    settings = ("images_per_set", "calibration_images", "selection_seed")
    data = [request["fingerprints"], [request[name] for name in settings], images]
    protocol = Protocol(
        id_dataset, classifier, _as_json(parameters), tuple(sorted(sets)), _digest(data)
    )
    groups = {name: tuple(titles) for name, titles in request.get("groups", {}).items()}
    for detector, rows in records.groupby("detector", sort=False):
        name = str(detector)
        paper = run.info.get("papers", {}).get(name, {})
        yield Entry(
            protocol=protocol,
            sets=sets,
            benchmark=str(run.info["benchmark"]),
            groups=groups,
            detector=name,
            parameters=_as_json(request["detectors"].get(name, {})),
            plugin=str(run.info["plugins"].get(name, "unknown")),
            paper=(str(paper.get("citation", "")), str(paper.get("url", ""))),
            deviations=str(run.info["deviations"].get(name, "")),
            runs=(run.directory,),
            records=rows,
            attempts=tuple(attempts.get(name, ())),
        )


def _attempts(
    run: Run, id_dataset: str, sets: tuple[str, ...]
) -> tuple[dict[str, list[Attempt]], str]:
    """Return the attempts by detector, and a digest of which images were scored."""
    scores = run.scores()
    tests = scores[scores["split"] == "test"]
    attempts: dict[str, list[Attempt]] = {}
    images = set()
    fitted = ["detector", "classifier_seed", "seed"]
    groups: Any = tests.groupby(fitted, sort=False, observed=True, dropna=False)
    for (detector, classifier_seed, seed), own in groups:
        parts = {str(name): part for name, part in own.groupby("dataset", observed=True)}
        if set(parts) != {id_dataset, *sets}:
            continue  # failed on some set, as its records say
        ordered = {name: part.sort_values("index") for name, part in parts.items()}
        names = (id_dataset, *sets)
        images.add(_digest([_hash(ordered[name]["index"].to_numpy()) for name in names]))
        values = [ordered[name]["score"].to_numpy() for name in names]
        found = components(values[0], values[1:])
        attempt = Attempt(int(classifier_seed), None if pd.isna(seed) else int(seed), found)
        _compare_records(run, str(detector), attempt, sets)
        attempts.setdefault(str(detector), []).append(attempt)
    if len(images) > 1:
        raise InvalidData(f"'{run.directory}': its detectors were not scored on the same images")
    return attempts, images.pop() if images else ""


def _compare_records(run: Run, detector: str, attempt: Attempt, sets: tuple[str, ...]) -> None:
    """Raise `InvalidData` unless the records have the AUROCs that the scores give."""
    records = run.records
    rows = records[
        (records["detector"] == detector)
        & (records["classifier_seed"] == attempt.classifier_seed)
        & (
            (records["seed"] == attempt.seed)
            if attempt.seed is not None
            else records["seed"].isna()
        )
    ].set_index("ood_dataset")["auroc"]
    for title, area in zip(sets, attempt.components.areas, strict=True):
        recorded = float(rows[title])
        if not abs(recorded - area) <= TOLERANCE:
            raise InvalidData(
                f"'{run.directory}': the records have AUROC {recorded:.6f} for {detector} on "
                f"{title}, but its scores give {area:.6f}"
            )


def merge(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries with the seeds of several runs brought together.

    A run that repeats seeds of an entry with equal AUROCs adds its directory alone; one that has
    other figures for them becomes an entry of its own.
    """
    merged: list[Entry] = []
    by_identity: dict[Any, list[int]] = {}
    for entry in entries:
        places = by_identity.setdefault(entry.identity, [])
        for place in places:
            joined = _join(merged[place], entry)
            if joined is not None:
                merged[place] = joined
                break
        else:
            places.append(len(merged))
            merged.append(entry)
    return merged


def _join(first: Entry, second: Entry) -> Entry | None:
    """Return two entries as one; None if they contradict each other."""
    known = {(each.classifier_seed, each.seed): each.components.areas for each in first.attempts}
    for each in second.attempts:
        areas = known.get((each.classifier_seed, each.seed))
        if areas is not None and not np.array_equal(areas, each.components.areas):
            return None
    new = second.seeds - first.seeds
    failed = second.records["status"] == "failed"
    pairs = zip(second.records["classifier_seed"], second.records["seed"], strict=True)
    fresh = [(int(one), None if pd.isna(two) else int(two)) in new for one, two in pairs]
    return Entry(
        **{
            **vars(first),
            "runs": (*first.runs, *second.runs),
            "records": pd.concat([first.records, second.records[np.array(fresh) | failed]]),
            "attempts": (
                *first.attempts,
                *(each for each in second.attempts if (each.classifier_seed, each.seed) in new),
            ),
        }
    )


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _digest(value: Any) -> str:
    return hashlib.sha256(_as_json(value).encode()).hexdigest()


def _hash(indices: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(indices, dtype="<i8").tobytes()).hexdigest()
