"""The records of several runs in one table, kept apart where their conditions differ."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from oodbench.errors import UserError
from oodbench.report.conditions import conditions_of
from oodbench.report.values import flatten, show
from oodbench.results.columns import KEY, MEASURES
from oodbench.results.run import Run

_COMPARED = [*MEASURES, "n_id", "n_ood", "ties", "status"]


def combine(runs: Iterable[Run]) -> pd.DataFrame:
    """Return the records of several runs as one table; a shared row occurs once.

    Raises:
        UserError: if two runs have different measures in the same row.
    """
    sources = [run.records.assign(source=str(run.directory)) for run in runs]
    everything = pd.concat(sources, ignore_index=True)
    distinct = everything.drop_duplicates([*KEY, *_COMPARED], ignore_index=True)
    conflicts = distinct[distinct.duplicated(KEY, keep=False)]
    if not conflicts.empty:
        raise UserError(_describe_conflict(conflicts))
    return distinct.drop(columns="source")


def texts_of(runs: Iterable[Run]) -> dict[str, Any]:
    """Return the notes, deviations, groups and folds of runs, as `render` of tables wants them.

    Where two runs say different things about one data set or detector, both are said.
    """
    runs = list(runs)
    said: dict[str, dict[str, str]] = {}
    for kind in ("notes", "deviations"):
        found: dict[str, dict[str, None]] = {}
        for run in runs:
            for name, text in run.info.get(kind, {}).items():
                found.setdefault(name, {})[text] = None
        said[kind] = {name: " ".join(filter(None, texts)) for name, texts in found.items()}
    folds = {
        title: run.info["benchmark"]
        for run in runs
        if "folds" in run.info
        for title in run.records["id_dataset"].unique()
    }
    return {**said, "groups": _groups(runs), "folds": folds}


def _groups(runs: Iterable[Run]) -> dict[str, dict[str, list[str]]]:
    """Return the groups of OOD sets that runs average over, by the ID set and the group's name."""
    found: dict[str, dict[str, list[str]]] = {}
    for run in runs:
        for id_dataset in run.records["id_dataset"].unique():
            own = found.setdefault(id_dataset, {})
            for group, titles in run.info.get("request", {}).get("groups", {}).items():
                own[group] = list(dict.fromkeys([*own.get(group, []), *titles]))
    return found


def tell_apart(runs: Sequence[Run]) -> list[Run]:
    """Return runs in which one name means one thing, so that they can be combined.

    Classifiers of one name on one ID set are the same if their parameters, the images, their
    selection and the accuracy of equal seeds are; detectors of one name on one classifier if their
    parameters and their plugin are. The names of others get what differs in brackets, and else
    the run's folder.
    """
    groups = _group([_basis(run) for run in runs])
    classifiers = [_classifier(run, group) for run, group in zip(runs, groups, strict=True)]
    detectors = [
        _detector(run, name, group)
        for run, group in zip(runs, groups, strict=True)
        for name in run.records["detector"].unique()
    ]
    labels = iter(labels_of(detectors))
    named = []
    for run, label in zip(runs, labels_of(classifiers), strict=True):
        own = {name: next(labels) for name in run.records["detector"].unique()}
        records = run.records.assign(classifier=label).replace({"detector": own})
        said = {own.get(name, name): text for name, text in run.info.get("deviations", {}).items()}
        named.append(replace(run, records=records, info=run.info | {"deviations": said}))
    return named


@dataclass(frozen=True)
class _Basis:
    """What runs must share to stand in one section of a table.

    Attributes:
        equal: names of ID set and classifier, its parameters, and which images are scored.
        shared: fingerprints, accuracies and the precision of networks, which may be there for one
            of two runs alone.
    """

    equal: Mapping[str, Any]
    shared: Mapping[tuple[str, Hashable], Any]

    def agrees(self, other: _Basis) -> bool:
        """Return whether two runs can stand in one section."""
        both = self.shared.keys() & other.shared.keys()
        return self.equal == other.equal and all(
            self.shared[name] == other.shared[name] for name in both
        )


def _basis(run: Run) -> _Basis:
    request = run.info["request"]
    conditions = conditions_of(request)
    rows = run.records[run.records["ood_dataset"] == ""].dropna(subset="id_accuracy")
    names = zip(rows["id_dataset"], rows["classifier_seed"], strict=True)
    accuracies = zip(names, rows["id_accuracy"], strict=True)
    return _Basis(
        {"id_dataset": run.records["id_dataset"].iloc[0], **vars(conditions), "fingerprints": None},
        {("images", path): value for path, value in flatten(conditions.fingerprints)}
        | {("accuracy", name): accuracy for name, accuracy in accuracies}
        | {("precision", name): value for name, value in _precision(request).items()},
    )


def _precision(request: Mapping[str, Any]) -> dict[str, str]:
    """Return the setting of the networks' precision; none for an older run, which lacks it."""
    return {name: value for name, value in request.items() if name == "precision"}


def _group(bases: Sequence[_Basis]) -> list[int]:
    """Return a number for each run, equal where runs stand in one section."""
    sections: list[list[_Basis]] = []
    numbers = []
    for basis in bases:
        fitting = (each for each in sections if all(basis.agrees(other) for other in each))
        section = next(fitting, None)
        if section is None:
            sections.append(section := [])
        section.append(basis)
        numbers.append(next(n for n, each in enumerate(sections) if each is section))
    return numbers


@dataclass(frozen=True)
class Variant:
    """Something with a name that others may have too.

    Attributes:
        name: its name.
        among: where the name should mean one thing.
        identity: equal where two variants are the same.
        settings: by what variants are told apart, if they are not.
        run: the folder of the run that it is in.
    """

    name: str
    among: Hashable
    identity: Hashable
    settings: Mapping[str, Any]
    run: str


def _classifier(run: Run, group: int) -> Variant:
    conditions = conditions_of(run.info["request"])
    name, id_dataset = (str(run.records[key].iloc[0]) for key in ("classifier", "id_dataset"))
    settings = {**conditions.settings, **_precision(run.info["request"])}
    selection = {key.replace("_", " "): value for key, value in settings.items()}
    values = {" ".join(path): value for path, value in flatten(conditions.parameters)}
    return Variant(name, id_dataset, group, values | selection, str(run.directory))


def _detector(run: Run, name: str, group: int) -> Variant:
    values = dict(run.info["request"]["detectors"].get(name, {}))
    values["plugin"] = run.info["plugins"].get(name)
    identity = json.dumps(values, sort_keys=True)
    return Variant(name, group, identity, values, str(run.directory))


def labels_of(variants: Sequence[Variant]) -> list[str]:
    """Return the name of each variant, with what differs where several have one name."""
    found: dict[tuple[str, Hashable], dict[Hashable, Variant]] = {}
    for each in variants:
        found.setdefault((each.name, each.among), {}).setdefault(each.identity, each)
    labels = {
        (*key, identity): label
        for key, alike in found.items()
        for identity, label in zip(alike, _describe([*alike.values()]), strict=True)
    }
    return [labels[each.name, each.among, each.identity] for each in variants]


def _describe(alike: Sequence[Variant]) -> list[str]:
    """Return labels for different variants of one name."""
    if len(alike) == 1:
        return [alike[0].name]
    texts = [
        [
            f"{name} {show(value)}"
            for name, value in each.settings.items()
            if any(other.settings.get(name) != value for other in alike)
        ]
        for each in alike
    ]
    if len({*map(tuple, texts)}) < len(alike) or not all(texts):
        texts = [[*text, f"run {each.run}"] for text, each in zip(texts, alike, strict=True)]
    return [f"{each.name} ({', '.join(text)})" for text, each in zip(texts, alike, strict=True)]


def _describe_conflict(conflicts: pd.DataFrame) -> str:
    """Return a sentence about the first of the records that share a key but not their measures."""
    _, rows = next(iter(conflicts.groupby(KEY, sort=False, dropna=False)))
    row, directories = rows.iloc[0], "' and '".join(rows["source"])
    return (
        f"'{directories}' have different results for {row['detector']} on "
        f"{row['ood_dataset'] or row['id_dataset']} (ID {row['id_dataset']}, classifier "
        f"{row['classifier']}, seeds {row['classifier_seed']} and {row['seed']}); "
        "show them in separate tables"
    )
