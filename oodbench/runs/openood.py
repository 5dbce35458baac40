"""What OpenOOD's tests leave: score files and tables, found and read; nothing is unpickled.

A test leaves a folder for each detector and seed of the classifier, and in it ``ood.csv`` and a
file for each set (OpenOOD v1.5; v1.0 has no folders of seed and scheme)::

    cifar10_resnet18_32x32_test_ood_ood_msp_default/s0/ood/scores/cifar10.npz

Its arrays are ``conf``, larger = more likely ID, ``pred``, and ``label``, -1 in OOD sets. Where a
test is full-spectrum (``fsood``), ID images with a shift of covariates count as ID.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from oodbench.errors import InvalidData, UserError, reason_of
from oodbench.images.array_files import read_arrays
from oodbench.results.files import RECORDS_BYTES
from oodbench.store.validation import require_size

ARRAYS = ("conf", "pred", "label")

SCHEMES = ("ood", "fsood")

TABLE = "ood.csv"

_EXPERIMENT = re.compile(
    r"(?P<trained>.+)_test_[a-z0-9]+_(?P<evaluator>[a-z0-9]+)_(?P<detector>.+?)(_default)?"
)
"""The name of a test's folder: ID set and network, pipeline, evaluator, detector and a mark."""


class Tested(NamedTuple):
    """Which detector was tested on which classifier.

    Attributes:
        trained: ID set and network, joined by an underscore; empty where it is not known.
        detector: its name, as OpenOOD calls it.
        classifier_seed: of the network.
        scheme: one of `SCHEMES`.
    """

    trained: str
    detector: str
    classifier_seed: int
    scheme: str

    @property
    def id_dataset(self) -> str:
        """Return the first part of what was trained, which is the ID set in OpenOOD's names."""
        return self.trained.partition("_")[0]


class Scored(NamedTuple):
    """The score files of a test.

    Attributes:
        place: their folder.
        test: whose they are.
        sets: the arrays `ARRAYS`, (n,) each, by the name of the set.
        groups: the OOD sets of the table beside them, by the name of their group.
        aurocs: that it has, in percent, by the name of the set.
    """

    place: Path
    test: Tested
    sets: dict[str, dict[str, np.ndarray]]
    groups: dict[str, list[str]]
    aurocs: dict[str, float]

    def id_set(self, chosen: str) -> str:
        """Return the name of the ID set: the one chosen, or the labelled one that was trained on.

        Raises:
            UserError: if it is not there, or the files do not tell.
        """
        labelled = [name for name, found in self.sets.items() if (found["label"] >= 0).all()]
        if chosen:
            if chosen not in labelled:
                raise UserError(
                    f"'{self.place}' has no scores of '{chosen}' with labels; sets with labels: "
                    f"{', '.join(labelled) or 'none'}"
                )
            return chosen
        fitting = [name for name in labelled if f"{self.test.trained}_".startswith(f"{name}_")]
        if fitting:
            return max(fitting, key=len)
        if len(labelled) != 1:
            found = f"several sets have labels ({', '.join(labelled)})"
            raise UserError(
                f"'{self.place}': {found if labelled else 'no set has labels'}, by which the ID "
                "set is recognized; name it: --id NAME"
            )
        return labelled[0]


class Row(NamedTuple):
    """A line of a table: its cells by the measure's name, such as ``91.32`` or ``91.32 ± 0.10``."""

    dataset: str
    cells: dict[str, str]


class Printed(NamedTuple):
    """A table without score files beside it."""

    path: Path
    test: Tested
    rows: list[Row]


MEASURES = ("FPR@95", "AUROC", "AUPR_IN", "AUPR_OUT")
"""The columns of a table that are read."""

MEANS = {"nearood": "near", "farood": "far", "mean": "mean"}
"""The lines of a table that are means over sets, with the name of their group."""


def find_scored(folder: Path) -> list[Scored]:
    """Return the tests in a folder, at any depth, that left score files.

    Raises:
        InvalidData: if a score file is damaged, or not as OpenOOD writes them.
    """
    places: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*.npz")):
        places.setdefault(path.parent, []).append(path)
    found = []
    for place, paths in places.items():
        sets = {path.stem: arrays for path in paths if (arrays := _read_scores(path))}
        if sets:
            above = place.parent if place.name == "scores" else place
            rows = read_table(above / TABLE)
            aurocs = {row.dataset: float(row.cells["AUROC"].partition("±")[0]) for row in rows}
            found.append(Scored(place, _named(place), sets, groups_of(rows), aurocs))
    return found


def find_printed(folder: Path, scored: Sequence[Scored]) -> list[Printed]:
    """Return the tables in a folder, at any depth, of tests whose scores are not there."""
    known = {each.place for each in scored} | {each.place.parent for each in scored}
    found = []
    for path in sorted(folder.rglob("*.csv")):
        if path.parent in known or not (rows := read_table(path)):
            continue
        test = _named(path.parent)
        if path.name != TABLE:  # of the script eval_ood.py: mean and deviation over the seeds
            trained = path.absolute().parents[1].name if path.parent.name in SCHEMES else ""
            test = Tested(trained, path.stem, 0, test.scheme)
        found.append(Printed(path, test, rows))
    return found


def read_table(path: Path) -> list[Row]:
    """Return the lines of a table, of those about one set the last; none if it is no such file."""
    try:
        require_size(path, RECORDS_BYTES)
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            if not names or names[0] not in ("dataset", "") or not {*MEASURES} <= {*names}:
                return []
            lines = list(reader)
    except (OSError, UserError, csv.Error):
        return []
    rows: dict[str, Row] = {}
    for line in lines:
        cells = {name: line[name] or "" for name in MEASURES}
        try:
            [float(part) for cell in cells.values() for part in cell.split("±")]
        except ValueError:
            continue
        rows[line[names[0]]] = Row(line[names[0]], cells)
    return list(rows.values())


def groups_of(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the OOD sets of a table by group; the line of its mean follows the sets of one."""
    groups: dict[str, list[str]] = {}
    members: list[str] = []
    for row in rows:
        if row.dataset in MEANS:
            groups[MEANS[row.dataset]] = members
            members = []
        else:
            members.append(row.dataset)
    return groups


def find_pickles(folder: Path) -> Iterator[Path]:
    """Yield the pickles of scores in a folder, at any depth, which are not opened."""
    return (path for path in sorted(folder.rglob("*.pkl")) if path.parent.name == "scores")


def _read_scores(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a score file; nothing if it is a file of other arrays.

    Raises:
        InvalidData: if it is damaged, or an array is missing or of another kind.
    """
    found = read_arrays(path, ARRAYS)
    if "conf" not in found:
        return {}
    for name in ARRAYS:
        if name not in found:
            raise InvalidData(f"{path}: no array named '{name}' in it")
        kinds = "fiu" if name == "conf" else "iu"
        if found[name].shape != (len(found["conf"]),) or found[name].dtype.kind not in kinds:
            array = found[name]
            raise InvalidData(f"{path}: {name} is {array.dtype} {array.shape}, not numbers (n,)")
    if not len(found["conf"]):
        raise InvalidData(f"{path}: holds no scores")
    if bad := int((~np.isfinite(found["conf"])).sum()):
        raise InvalidData(
            f"{path}: {bad:,} of {len(found['conf']):,} values of conf are not finite; remove the "
            "folder of this test"
        )
    return found


def _named(place: Path) -> Tested:
    """Return what the folder of a test says of it."""
    try:
        parts = list(place.resolve().parts)
    except (OSError, RuntimeError) as error:
        raise InvalidData(f"'{place}' cannot be read: {reason_of(error)}") from error
    scheme = ""
    seed = 0
    if parts[-1] == "scores":
        parts.pop()
    if parts[-1] in SCHEMES:
        scheme = parts.pop()
    if numbered := re.fullmatch(r"s(\d{1,9})", parts[-1]):
        seed = int(numbered[1])
        parts.pop()
    named = _EXPERIMENT.fullmatch(parts[-1])
    if named is None:
        return Tested("", parts[-1], seed, scheme or "ood")
    evaluator = named["evaluator"] if named["evaluator"] in SCHEMES else "ood"
    return Tested(named["trained"], named["detector"], seed, scheme or evaluator)
