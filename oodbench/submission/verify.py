"""The verification of a run from elsewhere: its figures, its images and its protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oodbench.contracts.benchmark import NO_CLASSIFIER
from oodbench.errors import OodbenchError
from oodbench.measures.evaluation import recompute
from oodbench.results.columns import KEY, MEASURES
from oodbench.results.run import Run
from oodbench.submission.definition import Definition, ExpectedSet

TOLERANCE = 1e-9
"""How far a figure may be from that which the scores give, for rounding."""

_COUNTS = ("n_id", "n_ood", "ties")


@dataclass(frozen=True)
class Verdict:
    """The outcome of verifying a run.

    Attributes:
        misfits: what does not fit, one sentence each; empty where all does.
        unchecked: what could not be checked here, and why.
        figures: number of figures that were computed again.
    """

    misfits: tuple[str, ...]
    unchecked: tuple[str, ...]
    figures: int


def verify_folds(run: Run, definitions: Mapping[str, Definition]) -> Verdict:
    """Verify each fold of a run, see `verify`.

    Args:
        run: with or without folds.
        definitions: of the benchmark's folds by name; of one without folds by an empty name.

    Raises:
        InvalidData: if a file of the run is missing, damaged or something else.
    """
    parts = {part.fold or "": part for part in run.in_folds()}
    misfits = [_about(name, "was left out") for name in definitions if name not in parts]
    misfits += [_about(name, "is not the benchmark's") for name in parts if name not in definitions]
    verdicts = {
        name: verify(part, definitions[name]) for name, part in parts.items() if name in definitions
    }

    def said(kind: str) -> Iterator[str]:
        for name, verdict in verdicts.items():
            for sentence in getattr(verdict, kind):
                yield f"fold {name}: {sentence}" if name else sentence

    figures = sum(verdict.figures for verdict in verdicts.values())
    return Verdict((*misfits, *said("misfits")), tuple(said("unchecked")), figures)


def _about(fold: str, what: str) -> str:
    return f"the fold {fold} {what}" if fold else f"the run without folds {what}"


def verify(run: Run, definition: Definition) -> Verdict:
    """Compute every figure of a run again, and compare the run with a benchmark's definition.

    Raises:
        InvalidData: if a file of the run is missing, damaged or something else.
    """
    scores, predictions = run.scores(), run.predictions()
    try:
        again = recompute(
            scores, predictions, classified=NO_CLASSIFIER not in definition.classifier
        )
        figures = list(_check_figures(run.records, again))
    except (OodbenchError, ValueError) as error:
        again, figures = run.records.iloc[:0], [f"no figure can be computed: {error}"]
    protocol = list(_check_protocol(run, definition))
    images = [
        *_check_images(scores, ["detector", "classifier_seed", "seed"], definition),
        *_check_images(predictions, ["classifier_seed"], definition),
        *_check_labels(predictions, definition),
    ]
    unchecked = [f"the images of {title}: {why}" for title, why in definition.absent.items()]
    if definition.train is None:
        unchecked.append(f"the training images of {definition.id_title}, which are not here")
    misfits = dict.fromkeys([*protocol, *images, *figures])
    return Verdict(tuple(misfits), tuple(unchecked), int(again[MEASURES].notna().sum().sum()))


def _check_figures(records: pd.DataFrame, again: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each figure of the records that the scores do not give."""
    columns = [*MEASURES, *_COUNTS]
    claimed = _by_key(records[records["status"] == "ok"])
    computed = _by_key(again)
    for key, row in claimed.items():
        where = f"{key[2]} on {key[1] or key[0]} (seeds {key[4]}, {key[5]})"
        if key not in computed:
            yield f"there are no scores of {where}"
            continue
        for name in columns:
            told, found = row[name], computed[key][name]
            if pd.isna(told) and pd.isna(found):
                continue
            if pd.isna(told) or pd.isna(found) or abs(told - found) > TOLERANCE:
                yield f"{name} of {where}: the records have {told}, the scores give {found}"
    for key in computed.keys() - claimed.keys():
        yield f"there are scores, but no record, of {key[2]} on {key[1] or key[0]}"


def _by_key(records: pd.DataFrame) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = [{str(name): row[name] for name in row} for row in records.to_dict("records")]
    return {tuple("none" if pd.isna(row[name]) else row[name] for name in KEY): row for row in rows}


def _check_protocol(run: Run, definition: Definition) -> Iterator[str]:
    """Yield a sentence for each way in which the request is not the benchmark."""
    benchmark, request = definition.benchmark, run.info["request"]
    expected: dict[str, Any] = {
        "id": benchmark.id,
        "ood": list(benchmark.ood),
        "classifier": dict(definition.classifier),
        "images_per_set": benchmark.images_per_set,
        "calibration_images": benchmark.calibration_images,
        "validation_images": benchmark.held_out,
        "selection_seed": benchmark.selection_seed,
    }
    if "groups" in request:  # older runs had none
        expected["groups"] = definition.groups
    for name, value in expected.items():
        if (found := request.get(name, 0)) != value:  # older runs held no validation images out
            yield f"{name}: the run has {found}, benchmark '{benchmark.name}' {value}"
    for title in run.records["id_dataset"].unique():
        if title != definition.id_title:
            yield f"the ID set of the records is {title}, not {definition.id_title}"
    titles = set(run.records["ood_dataset"]) - {""}
    for title in sorted(titles - set(definition.ood_titles)):
        yield f"{title} is not an OOD set of benchmark '{benchmark.name}'"
    for title in sorted(set(definition.ood_titles) - titles):
        yield f"the OOD set {title} was left out"
    prints = request["fingerprints"]
    found = {definition.id_title: prints["test"], **prints["ood"]}
    for title, images in definition.sets.items():
        if title in found and found[title] != images.fingerprint:
            yield f"the images of {title} are not those of the benchmark (another fingerprint)"
    if definition.train is not None and prints["train"] != definition.train.fingerprint:
        yield f"the training images of {definition.id_title} are not those of the benchmark"


def _check_images(frame: pd.DataFrame, names: list[str], definition: Definition) -> Iterator[str]:
    """Yield a sentence for each set of which other images were used than the protocol draws."""
    columns = [*names, "dataset", "split"]
    for key, own in frame.groupby(columns, sort=False, observed=True, dropna=False):
        *_, title, split = key if isinstance(key, tuple) else (key,)
        indices = np.sort(own["index"].to_numpy())
        if split == "calibration":
            yield from _check_calibration(str(title), indices, definition)
        else:
            yield from _check_indices(str(title), indices, definition)


def _check_calibration(title: str, indices: np.ndarray, definition: Definition) -> Iterator[str]:
    """Yield a sentence if thresholds were not taken from the training images that are drawn."""
    if title != definition.id_title:
        yield f"thresholds were taken from images of {title}, not {definition.id_title}"
    expected = None if definition.train is None else definition.train.indices
    if expected is None:
        # How many training images there are is not known, so that they may be fewer.
        if len(indices) > definition.benchmark.calibration_images:
            yield f"thresholds were taken from {len(indices):,} images"
    elif not np.array_equal(indices, expected):
        yield (
            f"thresholds were taken from {len(indices):,} training images, which are not the "
            f"{len(expected):,} that the benchmark draws"
        )


def _check_indices(title: str, indices: np.ndarray, definition: Definition) -> Iterator[str]:
    images = definition.sets.get(title, ExpectedSet(""))
    at_most = definition.benchmark.images_per_set
    if images.indices is None:
        # Of a set that is not here this much is known: a small one is used in full.
        small = len(indices) < at_most
        if len(indices) > at_most or (small and not np.array_equal(indices, range(len(indices)))):
            yield f"{title}: {len(indices):,} images that the benchmark does not draw"
    elif len(indices) != len(images.indices):
        yield f"{title}: {len(indices):,} images instead of {len(images.indices):,}"
    elif not np.array_equal(indices, images.indices):
        yield f"{title}: other images than the benchmark draws"


def _check_labels(predictions: pd.DataFrame, definition: Definition) -> Iterator[str]:
    """Yield a sentence for each set whose images have other classes than here."""
    tests = predictions[predictions["split"] == "test"]
    for key, own in tests.groupby(["classifier_seed", "dataset"], sort=False, observed=True):
        title = str(key[1] if isinstance(key, tuple) else key)
        images = definition.sets.get(title)
        if images is None or images.labels is None or len(own) != len(images.labels):
            continue
        labels = own.sort_values("index")["label"].to_numpy()
        if not np.array_equal(labels, images.labels):
            yield f"{title}: the labels are not those of its images"
