"""The runs and packs in folders, read as entries of the leaderboard."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow
import pyarrow.compute

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
from oodbench.leaderboard.scores import Fitted, Scored, judge, take_apart
from oodbench.measures.paired import components, side_by_side
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
            skipped.append(Skipped(path, _without(path, str(error))))
        except Exception as error:  # one run of many; those that can be read are still compared
            skipped.append(Skipped(path, f"an unexpected error, please report it: {error!r}"))
    return merge(share_protocols(entries)), skipped


def _without(path: Path, reason: str) -> str:
    """Return why a run or pack was left out, without its path, which stands beside it."""
    named = re.escape(str(path))
    reason = re.sub(rf"^('{named}'(: | )|{named}: )", "", reason)
    return re.sub(rf"(^|'){named}/", r"\1", reason)


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
    if {row["classifier"] for row in rows} != {classifier}:
        raise InvalidData(f"'{directory}': its records name another classifier than its request")
    folds = _folds(rows)
    rows = [_named(row, folds) for row in rows]
    sets = tuple(dict.fromkeys(row["ood_dataset"] for row in rows if row["ood_dataset"]))
    ordered = tuple(sorted(sets))
    attempts, images = _attempts(directory, info, folds)
    _compare_records(directory, rows, attempts, ordered)
    prints: Any = conditions.fingerprints
    id_dataset = str(rows[0]["id_dataset"])
    if "folds" in info:
        prints = {name: fold["fingerprints"] for name, fold in info["folds"].items()}
        id_dataset = request["id"]
    data = _digest([prints, list(conditions.settings.values())])
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
            precision=request.get("precision", ""),
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


_Folds: TypeAlias = Mapping[str, tuple[str, tuple[str, ...]]]
"""The titles of the ID set and the OOD sets of each fold, by its name."""


def _folds(rows: Sequence[Row]) -> _Folds:
    """Return the folds of records, in their order; without folds, one of no name."""
    titles: dict[str, tuple[str, dict[str, None]]] = {}
    for row in rows:
        _, sets = titles.setdefault(row.get("fold", ""), (row["id_dataset"], {}))
        if row["ood_dataset"]:
            sets[row["ood_dataset"]] = None
    return {name: (id_dataset, tuple(sets)) for name, (id_dataset, sets) in titles.items()}


def _named(row: Row, folds: _Folds) -> Row:
    """Return a record whose OOD set has a name that no set of another fold has.

    A fold with one OOD set is called by its ID set.
    """
    if not row["ood_dataset"] or not row.get("fold"):
        return row
    return {**row, "ood_dataset": _name_in(row["fold"], row["ood_dataset"], folds)}


def _name_in(fold: str, title: str, folds: _Folds) -> str:
    id_dataset, sets = folds[fold]
    if not fold:
        return title
    return id_dataset if len(sets) == 1 else f"{id_dataset} / {title}"


def _attempts(
    directory: Path, info: Mapping[str, Any], folds: _Folds
) -> tuple[dict[str, list[Attempt]], str]:
    """Return the attempts by detector, and a digest of which images were scored.

    Args:
        directory: of the run.
        info: what its ``run.json`` says.
        folds: the titles of their sets; attempts have all OOD sets in alphabetical order.
    """
    scores, predictions = read_score_table(directory, info), read_prediction_table(directory, info)
    parts: dict[Fitted, list[Attempt]] = {}
    images: list[str] = []
    names: list[str] = []
    try:
        for fold, (id_dataset, own_sets) in folds.items():
            own, judged = _of_fold(scores, fold), _of_fold(predictions, fold)
            titles = sorted(own_sets)
            names += [_name_in(fold, title, folds) for title in titles]
            digests = set()
            for attempt, detector, digest in _attempts_in(own, judged, [id_dataset, *titles]):
                parts.setdefault((detector, *attempt.seeds), []).append(attempt)
                digests.add(digest)
            if len(digests) > 1:
                raise InvalidData(
                    f"'{directory}': its detectors were not scored on the same images"
                )
            images += digests
    except (ValueError, pyarrow.ArrowException) as error:
        raise InvalidData(f"'{directory}': its scores are ill-formed: {error}") from error
    order = sorted(range(len(names)), key=names.__getitem__)
    attempts: dict[str, list[Attempt]] = {}
    for (detector, *_), own_parts in parts.items():
        if len(own_parts) == len(folds):
            attempts.setdefault(detector, []).append(_together(own_parts, order))
    if not attempts:
        return {}, ""
    return attempts, images[0] if len(folds) == 1 else _digest(images)


def _of_fold(table: pyarrow.Table, fold: str) -> pyarrow.Table:
    return table.filter(pyarrow.compute.equal(table["fold"], fold)) if fold else table


def _attempts_in(
    scores: pyarrow.Table, predictions: pyarrow.Table, titles: Sequence[str]
) -> Iterator[tuple[Attempt, str, str]]:
    """Yield what scored every set of a fold, with its detector and a digest of the images.

    Args:
        scores: of the fold.
        predictions: of the fold.
        titles: of the ID set and the OOD sets.
    """
    judged = judge(predictions, titles[0])
    for (detector, classifier_seed, seed), parts in take_apart(scores):
        if parts.keys() != set(titles):
            continue  # failed on some set, as its records say
        known, *unknown = (parts[title].score for title in titles)
        classifier = judged.get(classifier_seed)
        correct = None if classifier is None else classifier.of(parts[titles[0]])
        attempt = Attempt(
            classifier_seed,
            seed,
            components(known, unknown),
            None if correct is None else smallest_risks(known, unknown, correct),
        )
        yield attempt, detector, _digest([_hash(parts[title]) for title in titles])


def _together(folds: Sequence[Attempt], order: Sequence[int]) -> Attempt:
    """Return one attempt in all folds, its OOD sets in an order; risks are means over folds."""
    first = folds[0]
    if len(folds) == 1:
        return first
    found = side_by_side([each.components for each in folds]).select(order)
    risks = [each.risks for each in folds if each.risks is not None]
    mean = np.mean(risks, axis=0) if len(risks) == len(folds) else None
    return Attempt(first.classifier_seed, first.seed, found, mean)


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
