"""A run of scores that were computed elsewhere: the same measures, tables and files."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from oodbench import hardware
from oodbench.errors import InvalidData, UserError, reason_of
from oodbench.identity.keys import digest
from oodbench.measures.arrays import DETECTOR_RUN
from oodbench.measures.evaluation import recompute
from oodbench.report.tables import table_files
from oodbench.results.columns import KEY, RECORD
from oodbench.results.run import Run
from oodbench.runs.folder import (
    default_directory,
    make_directory,
    refuse_other_runs,
    try_to_write,
    write_new_run,
)
from oodbench.runs.given import Direction, Given, conform, read_scores
from oodbench.runs.versions import versions
from oodbench.store.paths import RUNS, as_name, expanded

Values: TypeAlias = Sequence[float] | np.ndarray | Mapping[str, Sequence[float] | np.ndarray]
"""Scores of one detector, (n,); or of several, by name."""

NOTE = "scores computed elsewhere"
"""The note on the ID set."""


def evaluate(
    id_scores: str | Path | pd.DataFrame | Values,
    ood_scores: Mapping[str, Values] | None = None,
    *,
    larger_is: Direction,
    id_dataset: str = "ID",
    calibration_scores: Values | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> Run:
    """Evaluate scores that were computed elsewhere, and leave the files of a run.

    Args:
        id_scores: scores of the ID test inputs, (n,), or those of several detectors by name; or
            everything in one: a table with the columns of `oodbench.runs.given`, or the path of a
            CSV or Parquet file of one.
        ood_scores: scores by the name of the OOD set, each in the form of ``id_scores``.
        larger_is: "ood" or "id": what a larger score means. It is never guessed.
        id_dataset: name of the ID set, where ``id_scores`` are arrays.
        calibration_scores: scores of held-out ID inputs, from which the thresholds of `acc95` and
            `acc99` are taken; without them there are none of these measures.
        out: output folder (default: ``results/runs/<id>-<date>-<key>``).
        force: whether another run in the output folder may be replaced.

    Returns:
        The finished run.

    Raises:
        UserError: if the scores cannot be used, or the run cannot be written.
    """
    place, source = "the table of scores", "Python"
    if isinstance(id_scores, str | Path | pd.DataFrame) and (
        ood_scores is not None or calibration_scores is not None
    ):
        raise UserError("a table has all scores in it; leave out ood_scores and calibration_scores")
    if isinstance(id_scores, str | Path):
        path = expanded(id_scores)
        place, source = f"'{path}'", path.name
        table = read_scores(path)
    elif isinstance(id_scores, pd.DataFrame):
        table = id_scores
    else:
        table = _as_table(id_scores, ood_scores, id_dataset, calibration_scores)
    return evaluate_table(table, larger_is, place=place, source=source, out=out, force=force)


def evaluate_table(
    table: pd.DataFrame,
    larger_is: Direction,
    *,
    place: str,
    source: str,
    groups: Mapping[str, Sequence[str]] | None = None,
    notes: Mapping[str, str] | None = None,
    deviations: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> Run:
    """Evaluate a table of scores, and leave the files of a run.

    Args:
        table: columns as in `oodbench.runs.given`.
        larger_is: "ood" or "id": what a larger score means.
        place: where the scores came from, for the message of an error.
        source: and for ``run.json``.
        groups: OOD sets by the name of a group, of which tables show the mean.
        notes: what is worth knowing of a set, by its name.
        deviations: what is worth knowing of a detector, by its name.
        missing: why sets were left out, by name.
        out: output folder, as in `evaluate`.
        force: whether another run in the output folder may be replaced.

    Returns:
        The finished run.

    Raises:
        UserError: if the scores cannot be used, or the run cannot be written.
    """
    started = time.perf_counter()
    given = conform(table, larger_is, place)
    averaged = {name: list(sets) for name, sets in (groups or {}).items()}
    key = _key(given) if not averaged else digest([_key(given), averaged])
    name = as_name(given.id_dataset)
    directory = expanded(out) if out is not None else default_directory(name, key)
    try_to_write(RUNS if out is None else directory)
    refuse_other_runs(directory, key, force)
    make_directory(directory)
    records = _records(given)
    said = dict(notes or {})
    said[given.id_dataset] = "; ".join(filter(None, (NOTE, said.get(given.id_dataset))))
    info = {
        "key": key,
        "benchmark": name,
        "request": _request(given, records) | {"groups": averaged},
        "given": {"source": source, "larger_is": larger_is},
        "missing": dict(missing or {}),
        "notes": said,
        "deviations": dict(deviations or {}),
        "plugins": {},
        "hardware": hardware.describe(),
        "versions": versions(),
        "wall_seconds": round(time.perf_counter() - started, 3),
    }
    return write_new_run(
        directory,
        force=force,
        records=records,
        scores=given.scores,
        predictions=given.predictions,
        info=info,
        texts=table_files(
            records,
            notes=said,
            deviations=deviations or {},
            groups={given.id_dataset: averaged},
        ),
    )


def _as_table(
    id_scores: Values,
    ood_scores: Mapping[str, Values] | None,
    id_dataset: str,
    calibration_scores: Values | None,
) -> pd.DataFrame:
    """Return arrays of scores as a table with the columns of `oodbench.runs.given`.

    Raises:
        UserError: if no OOD set is named.
        InvalidData: if there are no scores of a set, or they are not one-dimensional.
    """
    if ood_scores is not None and not isinstance(ood_scores, Mapping):
        raise UserError(
            f"ood_scores is of type {type(ood_scores).__name__}, not a mapping from names of OOD "
            "sets to scores, such as {'SVHN': scores}"
        )
    if not ood_scores:
        raise UserError("name at least one OOD set, such as ood_scores={'SVHN': scores}")
    sets = [(id_dataset, "id", id_scores)]
    sets += [(name, "ood", scores) for name, scores in ood_scores.items()]
    if calibration_scores is not None:
        sets.append((id_dataset, "calibration", calibration_scores))
    if len({isinstance(scores, Mapping) for _, _, scores in sets}) > 1:
        raise InvalidData("the scores of all sets are arrays, or all are mappings from detectors")
    frames = []
    for dataset, split, scores in sets:
        by_detector = scores if isinstance(scores, Mapping) else {"detector": scores}
        for detector, values in by_detector.items():
            try:
                array = np.asarray(values)
            except ValueError as error:  # of rows of several lengths
                raise InvalidData(
                    f"the scores of '{dataset}' are no array: {reason_of(error)}"
                ) from error
            if not array.size:
                raise InvalidData(f"there are no scores of '{dataset}'")
            if array.ndim != 1:
                raise InvalidData(
                    f"the scores of '{dataset}' have shape {array.shape}; expected (n,)"
                )
            names = {"detector": detector, "dataset": dataset, "split": split}
            frames.append(pd.DataFrame({**names, "score": array}))
    return pd.concat(frames, ignore_index=True)


def _key(given: Given) -> str:
    """Return a digest of the scores and predictions."""
    return digest([_digest(given.scores), _digest(given.predictions)])


def _digest(frame: pd.DataFrame) -> str:
    found = hashlib.sha256()
    for name in frame:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            found.update(repr(list(column.cat.categories)).encode())
            column = column.cat.codes
        values = (
            column.to_numpy(dtype="int64", na_value=-1) if name == "seed" else column.to_numpy()
        )
        found.update(str(values.dtype).encode() + np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def _records(given: Given) -> pd.DataFrame:
    """Return the records; a failed one where a detector has no scores of an OOD set.

    Raises:
        InvalidData: if a measure cannot be computed.
    """
    found = recompute(given.scores, given.predictions, given.id_dataset)
    fitted = [name for name in KEY if name != "ood_dataset"]
    sets = pd.DataFrame({"ood_dataset": found["ood_dataset"].unique()})
    expected = found[fitted].drop_duplicates().merge(sets, how="cross")
    records = expected.merge(found, on=KEY, how="left")
    lacking = records["status"].isna()
    records.loc[lacking, "status"] = "failed"
    records.loc[lacking, "error"] = "there are no scores of this set"
    return records[list(RECORD)].astype(RECORD)


def _request(given: Given, records: pd.DataFrame) -> dict[str, Any]:
    """Return what ``run.json`` says was compared."""
    scores = given.scores
    sets = list(records.loc[records["ood_dataset"] != "", "ood_dataset"].unique())
    return {
        "id": given.id_dataset,
        "ood": sets,
        "detectors": {name: {} for name in records["detector"].unique()},
        "classifier": {str(scores["classifier"].iloc[0]): {}},
        "seeds": sorted(map(int, scores["seed"].dropna().unique())) or [0],
        "classifier_seeds": sorted(map(int, scores["classifier_seed"].unique())),
        "images_per_set": int(max(records["n_id"].max(), records["n_ood"].max())),
        "calibration_images": _most(scores[scores["split"] == "calibration"]),
        "selection_seed": 0,
        "fingerprints": {
            "train": _fingerprint(given, given.id_dataset, "calibration"),
            "test": _fingerprint(given, given.id_dataset, "test"),
            "ood": {name: _fingerprint(given, name, "test") for name in sets},
        },
    }


def _most(scores: pd.DataFrame) -> int:
    """Return the largest number of inputs that a detector scored, given scores of one set."""
    counts = scores.groupby(DETECTOR_RUN, observed=True, dropna=False).size()
    return 0 if counts.empty else int(counts.max())


def _fingerprint(given: Given, dataset: str, split: str) -> str:
    """Return a digest of all that is known of the inputs of a set: its name, and their indices."""
    scores = given.scores
    own = scores.loc[(scores["dataset"] == dataset) & (scores["split"] == split), "index"]
    return digest([dataset, split, hashlib.sha256(np.unique(own).tobytes()).hexdigest()])
