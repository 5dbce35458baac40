"""The comparison of two runs: what changed, whether beyond noise, and which inputs differ."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd

from oodbench.measures.paired import (
    Components,
    Estimate,
    Seeds,
    add_run_variance,
    components,
    covariance,
    delong_test,
    independent_runs,
    mean_components,
    run_variances,
)
from oodbench.report.layout import MISSING, Cell, Footnote, Report, Section, Table, clean, percent
from oodbench.report.values import flatten, show
from oodbench.results.columns import MEASURES
from oodbench.results.run import Run

CellName: TypeAlias = tuple[str, str, str, str]
"""ID set, OOD set, detector and classifier."""

INPUTS = ("request", "versions", "plugins", "hardware", "engine")
"""The parts of ``run.json`` that can explain a difference."""


@dataclass(frozen=True)
class Input:
    """An input that differs between two runs.

    Attributes:
        name: where it stands in ``run.json``.
        first: its value in the first run; None where it has none.
        second: its value in the second.
        concerns: the detector or OOD set that it is about; empty where it is about all.
    """

    name: str
    first: Any
    second: Any
    concerns: str = ""

    def __str__(self) -> str:
        return clean(f"{self.name}: {show(self.first)} → {show(self.second)}")


@dataclass(frozen=True)
class Change:
    """A detector on an OOD set whose figures differ between two runs.

    Attributes:
        name: of the cell.
        first: mean AUROC over the runs of the first; NaN if it has none.
        second: of the second.
        difference: second minus first, with its uncertainty; None where one of them has none.
        paired: whether both scored the same images.
        tested: number of differences that are judged together.
        inputs: what may explain it.
    """

    name: CellName
    first: float
    second: float
    difference: Estimate | None
    paired: bool
    tested: int
    inputs: tuple[Input, ...]

    @property
    def interval(self) -> tuple[float, float]:
        """Return the interval of the difference; those of all differences hold at once, in 95 %."""
        if self.difference is None:
            return math.nan, math.nan
        return self.difference.interval(self.tested)

    @property
    def verdict(self) -> str:
        """Return whether the difference is more than noise, so that its interval excludes 0."""
        if self.difference is None:
            return "only first" if math.isnan(self.second) else "only second"
        low, high = self.interval
        return "beyond noise" if low > 0 or high < 0 else "within noise"


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Attributes:
        changes: the cells whose figures differ, in the order of the first run.
        unchanged: number of cells whose every measure is equal.
        inputs: all inputs that differ.
    """

    changes: tuple[Change, ...]
    unchanged: int
    inputs: tuple[Input, ...]


def compare(first: Run, second: Run) -> Comparison:
    """Compare the figures of two runs, and the inputs that they were made from.

    Where both runs scored the same images the test of a difference is DeLong's paired one, else
    the images of the two are independent samples. Where seeds are shared the differences between
    runs of equal seeds tell how much is owed to seeds.

    Raises:
        InvalidData: if a file of a run is missing, damaged or something else.
    """
    inputs = tuple(_inputs(first.info, second.info))
    cells = [_cells(first), _cells(second)]
    names = list(dict.fromkeys([*cells[0], *cells[1]]))
    equal = [
        name for name in names if name in cells[0] and name in cells[1] and _equal(cells, name)
    ]
    scored = [
        {name: own for part in run.in_folds() for name, own in _components(part).items()}
        for run in (first, second)
    ]
    changed = [name for name in names if name not in equal]
    tested = sum(all(name in own for own in scored) for name in changed)
    return Comparison(
        tuple(
            _change(name, [own.get(name, {}) for own in scored], inputs, tested) for name in changed
        ),
        len(equal),
        inputs,
    )


def report(comparison: Comparison) -> Report:
    """Return a comparison as a table of what changed, and the inputs that differ beneath it."""
    has_folds = len({change.name[0] for change in comparison.changes}) > 1
    rows = tuple(_row(change, has_folds) for change in comparison.changes)
    titles = ("Test set", "Detector", "First", "Second", "Difference", "95 % interval", "Verdict")
    tables = (Table("AUROC in %", tuple(map(Cell, titles)), (rows,), labels=2),) if rows else ()
    changed = len(rows)
    heading = f"{changed} of {changed + comparison.unchanged} cells differ"
    return Report((Section(heading, tables),), tuple(map(Footnote, _notes(comparison))))


def _notes(comparison: Comparison) -> Iterator[str]:
    tested = [change for change in comparison.changes if change.difference is not None]
    if tested:
        unpaired = any(not change.paired for change in tested)
        yield (
            "Beyond noise: the 95 % interval excludes 0. The intervals of all "
            f"{len(tested):,} differences hold together (Bonferroni's correction), by DeLong's "
            "variance over images"
            + (
                ", paired where both runs scored the same; * marks where they did not"
                if unpaired
                else " that both runs scored"
            )
            + "; where several seeds are shared, their spread is part of the noise."
        )
        if any(_looks_otherwise(change) for change in tested):
            yield (
                "Differences are taken before rounding: the last digit may be another than that "
                "of the difference of the rounded figures."
            )
    if not comparison.inputs:
        yield "No input differs that the runs have noted down."
    for each in comparison.inputs:
        about = f" (concerns {each.concerns})" if each.concerns else ""
        yield clean(f"Differs: {each}{about}")
    unexplained = [change for change in comparison.changes if not change.inputs]
    if unexplained and comparison.inputs:
        names = ", ".join(f"{change.name[2]} on {change.name[1]}" for change in unexplained)
        yield clean(f"No input that differs explains the changes of {names}.")


def _row(change: Change, has_folds: bool) -> tuple[Cell, ...]:
    id_dataset, dataset, detector, _ = change.name
    if has_folds:
        dataset = f"{id_dataset} / {dataset}"
    figures = [
        Cell(MISSING if math.isnan(value) else percent(value))
        for value in (change.first, change.second)
    ]
    found = change.difference
    if found is None:
        spread = [Cell(MISSING), Cell(MISSING)]
    else:
        low, high = change.interval
        spread = [Cell(f"{100 * found.value:+.2f}"), Cell(f"{100 * low:+.2f} to {100 * high:+.2f}")]
    verdict = change.verdict + ("" if change.paired or found is None else "*")
    return (Cell(clean(dataset)), Cell(clean(detector)), *figures, *spread, Cell(verdict))


def _looks_otherwise(change: Change) -> bool:
    """Return whether the difference is not that of the figures as they are shown."""
    first, second = (float(percent(value)) for value in (change.first, change.second))
    shown = f"{100 * (change.second - change.first):.2f}"
    return float(shown) != round(second - first, 2)


def _cells(run: Run) -> dict[CellName, pd.DataFrame]:
    """Return the measures of each cell of the OOD sets, in the order of their seeds."""
    records = run.records[run.records["ood_dataset"] != ""]
    names = ["id_dataset", "ood_dataset", "detector", "classifier"]
    groups: Any = records.groupby(names, sort=False)
    columns = ["classifier_seed", "seed", "status", *MEASURES]
    return {
        tuple(name): rows[columns].sort_values(["classifier_seed", "seed"]).reset_index(drop=True)
        for name, rows in groups
    }


def _equal(cells: Sequence[Mapping[CellName, pd.DataFrame]], name: CellName) -> bool:
    return cells[0][name].equals(cells[1][name])


Scored: TypeAlias = tuple[str, Components]
"""A digest of which images were scored, and the components of the AUROC on them."""


def _components(run: Run) -> dict[CellName, dict[Seeds, Scored]]:
    """Return the components of each cell by seeds."""
    (id_dataset,) = run.records["id_dataset"].unique()
    scores = run.scores()
    tests = scores[scores["split"] == "test"]
    prints = run.info["request"]["fingerprints"]
    found: dict[CellName, dict[Seeds, Scored]] = {}
    fitted = ["detector", "classifier", "classifier_seed", "seed"]
    groups: Any = tests.groupby(fitted, sort=False, observed=True, dropna=False)
    for (detector, classifier, classifier_seed, seed), own in groups:
        parts = {
            str(title): part.sort_values("index")
            for title, part in own.groupby("dataset", observed=True)
        }
        known = parts.pop(str(id_dataset), None)
        if known is None:
            continue
        for title, part in parts.items():
            digests = (prints["test"], prints["ood"].get(title))
            images = json.dumps([*digests, known["index"].tolist(), part["index"].tolist()])
            result = components(known["score"].to_numpy(), [part["score"].to_numpy()])
            name = (str(id_dataset), title, str(detector), str(classifier))
            seeds = (int(classifier_seed), None if pd.isna(seed) else int(seed))
            found.setdefault(name, {})[seeds] = (images, result)
    return found


def _change(
    name: CellName, scored: Sequence[Mapping[Seeds, Scored]], inputs: Sequence[Input], tested: int
) -> Change:
    means = [mean_components([each for _, each in own.values()]) if own else None for own in scored]
    first, second = means
    areas = {
        "first": math.nan if first is None else first.area,
        "second": math.nan if second is None else second.area,
    }
    concerns = {"", name[1], name[2]}
    explaining = tuple(each for each in inputs if each.concerns in concerns)
    if first is None or second is None:
        return Change(
            name=name,
            **areas,
            difference=None,
            paired=False,
            tested=tested,
            inputs=explaining,
        )
    paired = len({images for own in scored for images, _ in own.values()}) == 1
    if paired:
        difference = delong_test(second, first)
    else:
        variance = sum(float(covariance([mean])[0, 0]) for mean in (first, second))
        difference = Estimate(second.area - first.area, variance)
    one, two = (
        independent_runs({seeds: each.area for seeds, (_, each) in own.items()}) for own in scored
    )
    groups = run_variances(one, two, paired=one.keys() == two.keys())
    difference = add_run_variance(difference, *groups)
    return Change(
        name=name,
        **areas,
        difference=difference,
        paired=paired,
        tested=tested,
        inputs=explaining,
    )


def _inputs(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Input]:
    """Yield what differs between the inputs that two runs have noted down."""
    flat = [
        dict(flatten({name: info[name] for name in INPUTS if name in info}))
        for info in (first, second)
    ]
    for path in dict.fromkeys([*flat[0], *flat[1]]):
        one, two = (values.get(path) for values in flat)
        if one != two:
            yield Input(".".join(path), one, two, _concern(path))


def _concern(path: tuple[str, ...]) -> str:
    """Return the detector or the OOD set that an input is about."""
    if path[:2] == ("request", "detectors") or path[:1] == ("plugins",):
        return path[2] if path[0] == "request" and len(path) > 2 else path[-1]
    if path[:3] == ("request", "fingerprints", "ood") and len(path) > 3:
        return path[3]
    return ""
