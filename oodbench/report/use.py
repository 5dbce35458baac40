"""What detectors are worth in use: their costs where a share of the inputs is OOD."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from oodbench.errors import UserError
from oodbench.measures.arrays import Flags
from oodbench.measures.bootstrap import bootstrap_means, percentile_interval
from oodbench.measures.paired import Floats
from oodbench.measures.use import Outcomes, Use, image_costs, outcomes
from oodbench.report.derived import Scored, scored_runs
from oodbench.report.layout import (
    Cell,
    Footnote,
    Report,
    Section,
    Table,
    clean,
    name_section,
    percent,
)
from oodbench.results.run import Run

SAMPLES = 2_000
"""Samples of the images that intervals come from."""

EXAMPLE = "ood=10%,cost=5:1:1"

_NUMBER = r"(\d+\.?\d*|\.\d+)"

_FORM = re.compile(rf"ood={_NUMBER}(%?)(?:,cost={_NUMBER}:{_NUMBER}:{_NUMBER})?", re.ASCII)

NOTHING, EVERYTHING = "accept everything", "reject everything"
"""What needs no detector."""


def read_use(text: str) -> Use:
    """Read conditions such as `EXAMPLE`; without costs all mistakes cost the same.

    Raises:
        UserError: if the text is of another form, or the conditions are impossible.
    """
    match = _FORM.fullmatch("".join(text.split()))
    try:
        if match is None:
            raise ValueError("expected a share, and costs if they differ")
        share, percent, *costs = (part for part in match.groups() if part is not None)
        if not percent:
            raise ValueError("the share is given in %")
        return Use(float(share) / 100, *map(float, costs))
    except ValueError as error:
        raise UserError(
            f"cannot use '{text}': {error}; write 'ood=10%' for the share of the inputs that is "
            f"OOD, or '{EXAMPLE}' with the costs of an accepted OOD input, an accepted error and a "
            "rejected good input"
        ) from error


@dataclass(frozen=True)
class Fits:
    """The runs of one detector, which scored the same images as those of the others.

    Attributes:
        scored: scores of each run.
        outcomes: of each run.
    """

    scored: Sequence[Scored]
    outcomes: Sequence[Outcomes]

    def limits(self, use: Use) -> list[float]:
        """Return the best threshold of each run."""
        return [float(each.limits[each.best(use)]) for each in self.outcomes]

    def shares(self, use: Use) -> Floats:
        """Return the shares of `Outcomes` at the best thresholds, as means over runs, (3,)."""
        shares: Floats = np.mean([each.shares[each.best(use)] for each in self.outcomes], axis=0)
        return shares

    def costs(self, use: Use) -> list[Floats]:
        """Return what each image costs at the best thresholds, as means over runs, by set."""
        every = [
            image_costs(run.known, [*run.unknown.values()], _known(run), limit, use)
            for run, limit in zip(self.scored, self.limits(use), strict=True)
        ]
        return [np.mean(parts, axis=0) for parts in zip(*every, strict=True)]


def read_fits(run: Run) -> dict[str, Fits]:
    """Return the scored images of each detector that failed on no set.

    Raises:
        UserError: if the run does not say what the classifier takes the ID images for.
        InvalidData: if a file of the run is missing, damaged or something else.
    """
    sets = run.records.loc[run.records["ood_dataset"] != "", "ood_dataset"].unique()
    found: dict[str, list[Scored]] = {}
    for scored in scored_runs(run.records, run.scores(), run.predictions()):
        if scored.correct is None:
            raise UserError(
                f"'{run.directory}' lacks labels or predictions of ID images; costs "
                "depend on which of them the classifier gets right"
            )
        if all(title in scored.unknown for title in sets):
            ordered = {title: scored.unknown[title] for title in sets}
            found.setdefault(str(scored.run[0]), []).append(scored._replace(unknown=ordered))
    return {
        name: Fits(
            runs, [outcomes(each.known, [*each.unknown.values()], _known(each)) for each in runs]
        )
        for name, runs in found.items()
    }


def use_frame(run: Run, use: Use, samples: int = SAMPLES, threads: int = 1) -> pd.DataFrame:
    """Return one line a detector, the smallest risk first.

    The threshold of each fitted detector is the one with the smallest risk. Intervals are those of
    the paired, stratified bootstrap of the images at these thresholds.

    Args:
        run: a finished run.
        use: share and costs.
        samples: of the images.
        threads: samples are computed in as many threads.

    Returns:
        ``detector``, ``risk``, ``risk_low``, ``risk_high`` (cost of an input), ``above_best``,
        ``above_best_low``, ``above_best_high`` (difference to the first line),
        ``accepted_ood`` (share of the OOD images), ``accepted_error``, ``rejected_good`` (shares of
        the ID images).

    Raises:
        UserError: as `read_fits`, or if no detector succeeded on all sets.
        InvalidData: as `read_fits`.
    """
    fits = read_fits(run)
    if not fits:
        raise UserError(f"no detector of '{run.directory}' has scores of all OOD sets")
    costs = [
        np.stack(parts) for parts in zip(*(each.costs(use) for each in fits.values()), strict=True)
    ]
    risks = np.sum([part.mean(axis=1) for part in costs], axis=0)
    resampled = bootstrap_means(costs, samples=samples, threads=threads)
    best = int(np.argmin(risks))
    low, high = percentile_interval(resampled)
    low_above, high_above = percentile_interval(resampled - resampled[:, [best]])
    shares = np.stack([each.shares(use) for each in fits.values()])
    frame = pd.DataFrame(
        {
            "detector": list(fits),
            "risk": risks,
            "risk_low": low,
            "risk_high": high,
            "above_best": risks - risks[best],
            "above_best_low": low_above,
            "above_best_high": high_above,
            "accepted_ood": shares[:, 0],
            "accepted_error": shares[:, 1],
            "rejected_good": shares[:, 2],
        }
    )
    return frame.sort_values("risk", kind="stable", ignore_index=True)


def use_report(runs: Iterable[Run], use: Use, samples: int = SAMPLES, threads: int = 1) -> Report:
    """Return a table for each run: what its detectors cost in use, and what costs no detector.

    Arguments and errors are those of `use_frame`.
    """
    sections = []
    for run in runs:
        frame = use_frame(run, use, samples, threads)
        first = run.records.iloc[0]
        heading = name_section(first["id_dataset"], first["classifier"])
        sections.append(Section(heading, (_table(frame, _accuracy(run), use),)))
    return Report(tuple(sections), tuple(map(Footnote, _notes(samples))))


def without_detector(accuracy: float) -> dict[str, Floats]:
    """Return the shares of `Outcomes` where everything is accepted, and where nothing is.

    Args:
        accuracy: of the classifier.
    """
    return {
        NOTHING: np.array([1.0, 1 - accuracy, 0.0]),
        EVERYTHING: np.array([0.0, 0.0, accuracy]),
    }


def _table(frame: pd.DataFrame, accuracy: float, use: Use) -> Table:
    titles = (
        *("Detector", "Risk", "95 % interval", "Above the best", "95 % interval"),
        *("OOD accepted", "Errors accepted", "Good rejected"),
    )
    rows = [
        (
            Cell(clean(line["detector"])),
            Cell(percent(line["risk"]), best=number == 0),
            Cell(_interval(line, "risk")),
            Cell(percent(line["above_best"])),
            Cell(_interval(line, "above_best")),
            *(Cell(percent(line[n])) for n in ("accepted_ood", "accepted_error", "rejected_good")),
        )
        for number, line in enumerate(frame.to_dict("records"))
    ]
    best = float(frame["risk"].min())
    plain = [
        (
            Cell(name),
            Cell(percent(risk)),
            Cell(""),
            Cell(percent(risk - best)),
            Cell(""),
            *(Cell(percent(share)) for share in shares),
        )
        for name, shares in without_detector(accuracy).items()
        for risk in [float(shares @ use.weights)]
    ]
    costs = f"{use.accepted_ood:g} : {use.accepted_error:g} : {use.rejected_good:g}"
    caption = (
        f"Cost of 100 inputs of which {100 * use.share:g} are OOD; an accepted OOD input, an "
        f"accepted error and a rejected good input cost {costs}"
    )
    return Table(caption, tuple(map(Cell, titles)), (tuple(rows), tuple(plain)))


def _interval(line: Mapping[Hashable, Any], name: str) -> str:
    low, high = line[f"{name}_low"], line[f"{name}_high"]
    if name == "above_best":  # of the best itself it has no width
        return "" if low == high == 0 else f"{percent(low)} to {percent(high)}"
    return f"{percent(low)}–{percent(high)}"


def _accuracy(run: Run) -> float:
    """Return the classifier's accuracy on ID test images, the mean over its trainings."""
    known = run.records.dropna(subset="id_accuracy").drop_duplicates("classifier_seed")
    return float(known["id_accuracy"].mean())


def _notes(samples: int) -> Iterator[str]:
    yield (
        "Risk: expected cost of 100 inputs at the threshold with the smallest risk on these test "
        "images, which no user can know: a bound on what a detector can do, not a promise. The OOD "
        "inputs come from all OOD sets in equal parts."
    )
    yield (
        f"95 % intervals: from {samples:,} bootstrap samples of the images, the same for all "
        "detectors, at fixed thresholds; an interval above the best that includes 0.00 supports no "
        "difference."
    )
    yield (
        "OOD accepted: share of the OOD images. Errors accepted, good rejected: shares of the ID "
        "images that are misclassified and accepted, and classified right but rejected."
    )


def _known(scored: Scored) -> Flags:
    assert scored.correct is not None  # `read_fits` refuses the others
    return scored.correct
