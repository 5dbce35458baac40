"""The runs and packs in folders, read as entries of the leaderboard."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow

from oodbench.errors import InvalidData, OodbenchError, UserError
from oodbench.leaderboard.entries import (
    COSTS,
    Attempt,
    Entry,
    Protocol,
    Row,
    Skipped,
    merge,
    share_protocols,
)
from oodbench.leaderboard.inuse import smallest_risks
from oodbench.leaderboard.scores import Scored, judge, take_apart
from oodbench.measures.paired import components
from oodbench.report.conditions import conditions_of
from oodbench.results.files import RUN, read_info
from oodbench.results.run import read_prediction_table, read_rows, read_score_table

TOLERANCE = 1e-9
"""How far a recorded AUROC may be from the one that the scores give, for rounding."""

PACK = ".zip"

OpenPack: TypeAlias = Callable[[Path], AbstractContextManager[Path]]
"""Gives the folder of a pack's run while it is read; raises `OodbenchError` unless it verifies."""


def find_entries(
    roots: Iterable[Path], open_pack: OpenPack | None = None
) -> tuple[list[Entry], list[Skipped]]:
    """Read every run and every pack in some folders, found by their content.

    Args:
        roots: the folders.
        open_pack: verifies and opens a pack; without it packs are left out.

    Raises:
        UserError: if a folder does not exist.
    """
    entries: list[Entry] = []
    skipped = []
    for path in _find(roots):
        try:
            entries += _read(path, open_pack)
        except OodbenchError as error:
            skipped.append(Skipped(path, str(error)))
        except Exception as error:  # one run of many; those that can be read are still compared
            skipped.append(Skipped(path, f"an unexpected error, please report it: {error!r}"))
    return merge(share_protocols(entries)), skipped


def _read(path: Path, open_pack: OpenPack | None) -> list[Entry]:
    """Return the entries of a run's folder or of a pack."""
    if path.is_dir():
        return read_entries(path)
    if open_pack is None:
        raise InvalidData(f"'{path}' was not verified")
    with open_pack(path) as folder:
        return read_entries(folder, path)


def _find(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield folders that hold a ``run.json``, and packs, each once, in alphabetical order."""
    found = set()
    for root in roots:
        if not root.is_dir():
            raise UserError(f"'{root}' is not a folder")
        for name, folders, files in os.walk(root):
            folder = Path(name)
            folders[:] = [each for each in folders if not each.startswith(".")]
            if RUN in files:
                found.add(folder)
            found.update(folder / file for file in files if file.endswith(PACK))
    yield from sorted(found)


def read_entries(directory: Path, pack: Path | None = None) -> list[Entry]:
    """Return an entry for each detector of a run, its AUROCs computed anew from the scores.

    Args:
        directory: of the run.
        pack: where it came from.

    Raises:
        UserError: if the directory holds no finished run.
        InvalidData: if a file is damaged, or its records are not those of its scores.
    """
    info = read_info(directory)
    return list(_entries(directory, info, read_rows(directory, info), pack or directory))


def _entries(
    directory: Path, info: Mapping[str, Any], rows: Sequence[Row], source: Path
) -> Iterator[Entry]:
    request = info["request"]
    conditions = conditions_of(request)
    classifier = conditions.classifier
    (id_dataset,) = {row["id_dataset"] for row in rows}
    if {row["classifier"] for row in rows} != {classifier}:
        raise InvalidData(f"'{directory}': its records name another classifier than its request")
    sets = tuple(dict.fromkeys(row["ood_dataset"] for row in rows if row["ood_dataset"]))
    ordered = tuple(sorted(sets))
    attempts, images = _attempts(directory, info, (id_dataset, *ordered))
    _compare_records(directory, rows, attempts, ordered)
    data = _digest([conditions.fingerprints, list(conditions.settings.values())])
    parameters = _as_json(conditions.parameters)
    protocol = Protocol(id_dataset, classifier, parameters, ordered, data, images)
    by_detector: dict[str, list[Row]] = {}
    for row in rows:
        by_detector.setdefault(row["detector"], []).append(row)
    for name, own in by_detector.items():
        paper, noted = (info.get(each, {}).get(name, {}) for each in ("papers", "costs"))
        yield Entry(
            protocol=protocol,
            sets=sets,
            benchmark=info["benchmark"],
            groups=_groups(request, sets),
            detector=name,
            parameters=_as_json(request["detectors"].get(name, {})),
            plugin=info["plugins"].get(name, "unknown"),
            paper=(paper.get("citation", ""), paper.get("url", "")),
            deviations=info["deviations"].get(name, ""),
            runs=(source,),
            records=tuple(own),
            classifier_parameters=info.get("classifier_parameters"),
            costs=({each: noted.get(each) for each in COSTS},),
            attempts=tuple(attempts.get(name, ())),
        )


def _groups(request: Mapping[str, Any], sets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the groups of OOD sets that a request names, with the sets that the run has."""
    named = {
        group: tuple(title for title in titles if title in sets)
        for group, titles in request.get("groups", {}).items()
    }
    return {group: titles for group, titles in named.items() if titles}


def _attempts(
    directory: Path, info: Mapping[str, Any], titles: Sequence[str]
) -> tuple[dict[str, list[Attempt]], str]:
    """Return the attempts by detector, and a digest of which images were scored.

    Args:
        directory: of the run.
        info: what its ``run.json`` says.
        titles: of the ID set and the OOD sets.
    """
    attempts: dict[str, list[Attempt]] = {}
    images = set()
    try:
        judged = judge(read_prediction_table(directory, info), titles[0])
        for (detector, classifier_seed, seed), parts in take_apart(
            read_score_table(directory, info)
        ):
            if parts.keys() != set(titles):
                continue  # failed on some set, as its records say
            images.add(_digest([_hash(parts[title]) for title in titles]))
            known, *unknown = (parts[title].score for title in titles)
            classifier = judged.get(classifier_seed)
            correct = None if classifier is None else classifier.of(parts[titles[0]])
            attempt = Attempt(
                classifier_seed,
                seed,
                components(known, unknown),
                None if correct is None else smallest_risks(known, unknown, correct),
            )
            attempts.setdefault(detector, []).append(attempt)
    except (ValueError, pyarrow.ArrowException) as error:
        raise InvalidData(f"'{directory}': its scores are ill-formed: {error}") from error
    if len(images) > 1:
        raise InvalidData(f"'{directory}': its detectors were not scored on the same images")
    return attempts, images.pop() if images else ""


def _compare_records(
    directory: Path,
    rows: Sequence[Row],
    attempts: Mapping[str, Sequence[Attempt]],
    sets: Sequence[str],
) -> None:
    """Raise `InvalidData` unless the records have the AUROCs that the scores give."""
    names = ("detector", "classifier_seed", "seed", "ood_dataset")
    recorded = {tuple(row[name] for name in names): row["auroc"] for row in rows}
    for detector, own in attempts.items():
        for attempt in own:
            for title, area in zip(sets, attempt.areas, strict=True):
                told = recorded.get((detector, *attempt.seeds, title), math.nan)
                if not abs(told - area) <= TOLERANCE:
                    raise InvalidData(
                        f"'{directory}': the records have AUROC {told:.6f} for {detector} on "
                        f"{title}, but its scores give {area:.6f}"
                    )


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _digest(value: Any) -> str:
    return hashlib.sha256(_as_json(value).encode()).hexdigest()


def _hash(scored: Scored) -> str:
    return hashlib.sha256(np.ascontiguousarray(scored.index, dtype="<i8").tobytes()).hexdigest()
