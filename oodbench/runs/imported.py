"""Runs of the results that OpenOOD leaves: of its score files, and published figures of its tables.

The tests of all detectors on one network make one run, and folders of seeds its classifier seeds.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from oodbench.errors import UserError, reason_of
from oodbench.measures.metrics import auroc
from oodbench.results.columns import PUBLISHED
from oodbench.results.run import Run
from oodbench.runs.evaluated import evaluate_table
from oodbench.runs.openood import (
    MEANS,
    MEASURES,
    Printed,
    Scored,
    find_pickles,
    find_printed,
    find_scored,
)
from oodbench.store.paths import RUNS, as_name, distinct_names, expanded, printable

FIGURES = "openood-tables.csv"
"""The file of published figures, in the output folder."""

UNCHANGED = ("msp", "ebo", "mls")
"""OpenOOD's names of detectors that leave the classifier, and so its predictions, as they are."""

ROUNDING = 0.0051
"""What a table's AUROC in percent may differ by from that of the scores."""

PROTOCOL = (
    "Printed by OpenOOD. There are no scores of it, and so neither intervals nor paired tests, "
    "thresholds, OSCR or areas under risk-coverage curves."
)


class Imported(NamedTuple):
    """What became of a folder of OpenOOD's results.

    Attributes:
        runs: of the score files.
        figures: the file of published figures that was made of tables without scores, or None.
        pickles: scores that are pickles, which could run code and were not opened.
    """

    runs: list[Run]
    figures: Path | None
    pickles: list[Path]


class _Part(NamedTuple):
    """The scores of a detector and a seed, with the names that a run has for them."""

    tested: Scored
    id_set: str
    scores: pd.DataFrame
    shifted: list[str]
    left_out: list[str]


def import_openood(
    folder: str | Path,
    *,
    id_dataset: str = "",
    out: str | Path | None = None,
    force: bool = False,
) -> Imported:
    """Make runs of the score files that OpenOOD left in a folder, at any depth.

    Tables without score files become a file of published figures, which a leaderboard shows apart.
    Scores that are pickles are not opened.

    Args:
        folder: such as OpenOOD's ``results``, or a part of it.
        id_dataset: name of the ID set, where neither labels nor the folder's name tell it.
        out: the folder that the folders of runs are put into (default: ``results/runs``).
        force: whether other runs in these folders, and other published figures, may be replaced.

    Raises:
        UserError: if there is nothing to import, or it cannot be used.
    """
    place = expanded(folder)
    if not place.is_dir():
        raise UserError(f"'{place}' is not a folder")
    scored, pickles = find_scored(place), list(find_pickles(place))
    tables = find_printed(place, scored)
    if not scored and not tables:
        reason = f"its {len(pickles):,} pickles of scores could run code" if pickles else "none"
        raise UserError(
            f"'{place}' has no score files or tables of OpenOOD that are read ({reason}): looked "
            "for .npz files of conf, pred and label, and for tables such as ood.csv"
        )
    target = RUNS if out is None else expanded(out)
    published = _published(tables, place, id_dataset)
    if tables:
        _refuse_other_figures(target / FIGURES, published, force)
    groups: dict[str, list[_Part]] = {}
    for each in scored:
        part = _read(each, each.id_set(id_dataset))
        groups.setdefault(f"{each.test.trained or part.id_set} {each.test.scheme}", []).append(part)
    names = distinct_names(groups, as_name)
    runs = [_run(parts, place, target / names[title], force) for title, parts in groups.items()]
    if not tables:
        return Imported(runs, None, pickles)
    _publish(target / FIGURES, published)
    return Imported(runs, target / FIGURES, pickles)


def _read(scored: Scored, id_set: str) -> _Part:
    """Return the scores of a test with the columns of `oodbench.runs.given`, and their sets."""
    listed = {name for members in scored.groups.values() for name in members}
    labelled = [
        name
        for name, found in scored.sets.items()
        if name not in listed and name != id_set and (found["label"] >= 0).all()
    ]
    full = scored.test.scheme == "fsood"
    shifted, left_out = (labelled, []) if full else ([], labelled)
    title = f"{id_set}-fs" if shifted else id_set
    order = [id_set, *shifted, *(name for name in scored.sets if name not in {id_set, *labelled})]
    frames, count = [], 0
    for name in order:
        found, is_id = scored.sets[name], name in (id_set, *shifted)
        size = len(found["conf"])
        columns = {
            "dataset": title if is_id else name,
            "split": "id" if is_id else "ood",
            "index": np.arange(size) + (count if is_id else 0),
            "score": found["conf"],
            "label": found["label"] if is_id else -1,
            "prediction": found["pred"],
        }
        count += size if is_id else 0
        frames.append(pd.DataFrame(columns))
    scores = pd.concat(frames, ignore_index=True).assign(
        detector=scored.test.detector, classifier_seed=scored.test.classifier_seed
    )
    return _Part(scored, title, scores, shifted, left_out)


def _run(parts: Sequence[_Part], place: Path, directory: Path, force: bool) -> Run:
    """Make a run of the tests on one network."""
    first = parts[0]
    network = first.tested.test.trained.removeprefix(first.id_set.removesuffix("-fs")).strip("_")
    frames, deviations = _with_common_predictions(parts)
    notes = _disagreements(parts)
    if first.shifted:
        said = f"full-spectrum: with the images of {', '.join(first.shifted)}"
        notes[first.id_set] = "; ".join(filter(None, (said, notes.get(first.id_set))))
    reason = "has labels: ID images with a shift of covariates count in full-spectrum tests alone"
    table = pd.concat(frames, ignore_index=True)
    groups = {
        name: members
        for name, listed in next(filter(None, (each.tested.groups for each in parts)), {}).items()
        if name != "mean" and (members := [each for each in listed if each in first.tested.sets])
    }
    return evaluate_table(
        table.assign(classifier=network or "unknown"),
        "id",
        place=f"'{place}'",
        source=f"OpenOOD, {printable(place.resolve().name)}",
        groups=groups,
        notes=notes,
        deviations=deviations,
        missing={name: reason for part in parts for name in part.left_out},
        out=directory,
        force=force,
    )


def _with_common_predictions(
    parts: Sequence[_Part],
) -> tuple[list[pd.DataFrame], dict[str, str]]:
    """Return the scores of each part with the predictions of one detector for each classifier.

    Detectors that change the classifier predict other classes, but a run has those of the
    classifier itself.

    Returns:
        The scores, and a note by the name of each detector that predicts otherwise.
    """
    ranks = {name: rank for rank, name in enumerate(UNCHANGED)}
    own: dict[int, _Part] = {}
    for part in sorted(parts, key=lambda part: ranks.get(part.tested.test.detector, len(ranks))):
        own.setdefault(part.tested.test.classifier_seed, part)
    key = ["dataset", "index"]
    frames, changed = [], Counter[tuple[str, str]]()
    for part in parts:
        test, frame = part.tested.test, part.scores
        plain = own[test.classifier_seed]
        known = frame[key].merge(plain.scores[[*key, "prediction"]], on=key, how="left")
        found = known["prediction"].fillna(frame["prediction"]).astype("int64")
        pair = (test.detector, plain.tested.test.detector)
        changed[pair] += int((found != frame["prediction"]).sum())
        frames.append(frame.assign(prediction=found))
    return frames, {
        name: f"predicts other classes than {other} for {count:,} inputs; measures of the "
        f"classifier are of the predictions of {other}"
        for (name, other), count in changed.items()
        if count
    }


def _disagreements(parts: Iterable[_Part]) -> dict[str, str]:
    """Return a note by the name of each set whose AUROC in a table is not that of the scores."""
    found: dict[str, list[str]] = {}
    for part in parts:
        scores = -part.scores.set_index("dataset")["score"]
        for name, printed in part.tested.aurocs.items():
            if name not in scores.index or name == part.id_set:
                continue
            own = 100 * auroc(scores[part.id_set].to_numpy(), scores[name].to_numpy())
            if abs(own - printed) > ROUNDING:
                found.setdefault(name, []).append(
                    f"the table of {part.tested.test.detector} has AUROC {printed:.2f}, where its "
                    f"scores give {own:.2f}"
                )
    return {name: "; ".join(said) for name, said in found.items()}


def _published(tables: Sequence[Printed], place: Path, id_dataset: str) -> str:
    """Return the figures of tables as a file of published figures, for `oodbench leaderboard`.

    Raises:
        UserError: if the ID set of one is unknown.
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, PUBLISHED, restval="", lineterminator="\n")
    writer.writeheader()
    for table in tables:
        writer.writerows(_figures(table, place, id_dataset))
    return file.getvalue()


def _refuse_other_figures(path: Path, text: str, force: bool) -> None:
    """Raise `UserError` if a file holds other figures, unless it may be replaced."""
    try:
        is_other = path.read_bytes() != text.encode()
    except OSError:
        return  # there is none, or writing it will say what is wrong
    if is_other and not force:
        raise UserError(
            f"'{path}' holds the figures of other tables; name another --out, or use --force to "
            "replace it"
        )


def _publish(path: Path, text: str) -> None:
    """Write a file of published figures.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise UserError(f"cannot write to '{path}': {reason_of(error)}") from error


def _figures(table: Printed, place: Path, id_dataset: str) -> Iterable[Mapping[str, str]]:
    """Yield the figures of a table."""
    name = id_dataset or table.test.id_dataset
    if not name:
        raise UserError(f"'{table.path}' does not say what the ID set is; name it: --id NAME")
    shared = {
        "source": f"OpenOOD, {printable(place.resolve().name)}",
        "table": printable(table.path.relative_to(place).as_posix()),
        "id_dataset": name,
        "detector": table.test.detector,
        "protocol": PROTOCOL,
    }
    for row in table.rows:
        for measure in MEASURES:
            percent, _, std = row.cells[measure].partition("±")
            yield shared | {
                "ood_dataset": MEANS.get(row.dataset, row.dataset),
                "measure": measure,
                "percent": percent.strip(),
                "std": std.strip(),
            }
