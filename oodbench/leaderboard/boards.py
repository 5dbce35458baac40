"""The ranking of the entries of each protocol."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np

from oodbench.leaderboard.entries import COSTS, Attempt, Entry, Protocol, Row
from oodbench.measures.intervals import Summary, mean_auroc_interval, over_seeds
from oodbench.measures.paired import (
    Components,
    Estimate,
    Floats,
    Seeds,
    add_run_variance,
    covariance,
    independent_runs,
    mean_components,
    run_variances,
    two_sided_p,
)
from oodbench.measures.ranks import Friedman, friedman, holm, tied_ranks


@dataclass(frozen=True)
class Figure:
    """A measure over the runs of an entry, fractions in [0, 1]; NaN where there is none.

    Attributes:
        mean: over runs.
        std: sample standard deviation; NaN for a single run.
        low: lower end of the 95 % interval; NaN where none is computed.
        high: its upper end.
    """

    mean: float
    std: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Costs:
    """The costs of an entry; NaN where none was recorded.

    Times are medians, because the first use of a library includes its import; the others are means
    over runs.

    Attributes:
        fit_seconds: time to fit, the median over runs.
        images_per_second: images scored in a second, the forward pass apart; the median over sets
            and runs.
        peak_memory: most bytes in the memory of the process while it fitted and scored.
        peak_gpu_memory: most bytes that torch had on the GPU.
        parameters: numbers that the fitted detector keeps.
        forward_passes: how often an image passes through the classifier to be scored.
    """

    fit_seconds: float
    images_per_second: float
    peak_memory: float
    peak_gpu_memory: float
    parameters: float
    forward_passes: float


@dataclass(frozen=True)
class Standing:
    """Where an entry stands.

    Attributes:
        entry: what it is.
        rank: 1 is best, equal where no difference is supported; None where it failed on a set.
        mean_rank: mean over the OOD sets of its place among the ranked entries; NaN without rank.
        auroc: mean over OOD sets of the AUROC.
        groups: the same over the sets of a group, by its name.
        sets: the AUROC on each OOD set, by its title.
        fpr95: mean over OOD sets of the FPR95.
        accepted: share of ID test images accepted where 95 % of the calibration images are.
        runs: number of runs that succeeded.
        costs: what it took.
        risks: (c,) what an input costs in use, mean over runs; None where that is not known.
    """

    entry: Entry
    rank: int | None
    mean_rank: float
    auroc: Figure
    groups: Mapping[str, Figure]
    sets: Mapping[str, Figure]
    fpr95: Figure
    accepted: Figure
    runs: int
    costs: Costs
    risks: Floats | None


@dataclass(frozen=True)
class Board:
    """The standings of all entries of one protocol, best first.

    Attributes:
        name: of the benchmark.
        protocol: what they have in common.
        sets: titles of the OOD sets, in the order of the benchmark.
        groups: OOD sets by the name of their group.
        id_accuracy: the classifiers' accuracy on the ID test images.
        classifier_parameters: numbers that the classifier's weights are; None if not recorded.
        standings: ranked ones, then those that failed on a set.
        test: Friedman's over the OOD sets; None where nothing is ranked.
    """

    name: str
    protocol: Protocol
    sets: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    id_accuracy: Figure
    classifier_parameters: int | None
    standings: tuple[Standing, ...]
    test: Friedman | None

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the groups, then the titles of the OOD sets."""
        return (*self.groups, *self.sets)


def describe_parameters(content: str) -> str:
    """Return parameters, given as JSON, for a reader."""
    found = json.loads(content)
    return ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in found.items()
    )


def build_boards(entries: Iterable[Entry]) -> list[Board]:
    """Return a board for each protocol, in alphabetical order of their names."""
    by_protocol: dict[Protocol, list[Entry]] = {}
    for entry in entries:
        by_protocol.setdefault(entry.protocol, []).append(entry)
    boards = [_board(protocol, own) for protocol, own in by_protocol.items()]
    return sorted(
        boards,
        key=lambda each: (each.name, *astuple(each.protocol)),
    )


def _board(protocol: Protocol, entries: Sequence[Entry]) -> Board:
    complete = [entry for entry in entries if entry.attempts]
    means = [mean_components([each.components for each in entry.attempts]) for entry in complete]
    groups = _groups(entries)
    test = None
    ranked: list[Standing] = []
    if complete:
        ranks = tied_ranks([each.area for each in means], _adjusted(complete, means))
        test = friedman(np.stack([each.areas for each in means]))
        ranked = [
            replace(_standing(entry, mean, groups), rank=rank, mean_rank=float(mean_rank))
            for entry, mean, rank, mean_rank in zip(
                complete, means, ranks, test.mean_ranks, strict=True
            )
        ]
        ranked.sort(key=lambda each: (-each.auroc.mean, each.entry.detector))
    unranked = [_standing(entry, None, groups) for entry in entries if not entry.attempts]
    first = entries[0]
    trained: dict[int, dict[str, float]] = {}  # of each seed, those of the folds
    for entry in entries:
        for row in entry.records:
            if not math.isnan(row["id_accuracy"]):
                own = trained.setdefault(row["classifier_seed"], {})
                own[row["id_dataset"]] = row["id_accuracy"]
    return Board(
        first.benchmark,
        protocol,
        first.sets,
        groups,
        _figure(over_seeds([_mean([*trained[seed].values()]) for seed in sorted(trained)])),
        next((each.classifier_parameters for each in entries if each.classifier_parameters), None),
        (*ranked, *unranked),
        test,
    )


def _groups(entries: Iterable[Entry]) -> dict[str, tuple[str, ...]]:
    """Return the groups of OOD sets that any run names; where two differ, those of the first."""
    groups: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        for name, titles in entry.groups.items():
            groups.setdefault(name, titles)
    return groups


def _standing(
    entry: Entry, mean: Components | None, groups: Mapping[str, tuple[str, ...]]
) -> Standing:
    """Return a standing, as yet without rank; ``mean`` are the components over its runs."""
    order = entry.protocol.sets
    places = {title: order.index(title) for title in entry.sets}
    ok = [row for row in entry.records if row["status"] == "ok"]
    id_rows = [row for row in ok if not row["ood_dataset"]]
    ood_rows = [row for row in ok if row["ood_dataset"]]
    folds = len({row["id_dataset"] for row in entry.records})

    def area(titles: Sequence[str]) -> Figure:
        chosen = [places[title] for title in titles]
        if mean is None or not chosen:
            own = [row["auroc"] for row in ood_rows if row["ood_dataset"] in titles]
            return _figure(over_seeds(own)) if len(titles) == 1 else Figure(math.nan)
        return _area(entry.attempts, mean, chosen)

    return Standing(
        entry=entry,
        rank=None,
        mean_rank=math.nan,
        auroc=area(entry.sets),
        groups={name: area(titles) for name, titles in groups.items()},
        sets={title: area([title]) for title in entry.sets},
        fpr95=_figure(over_seeds(_by_run(ood_rows, "fpr95", len(order)))),
        accepted=_figure(over_seeds(_by_run(id_rows, "acc95", folds))),
        runs=len(entry.attempts),
        costs=_costs(entry.costs, id_rows, ood_rows),
        risks=_mean_risks(entry.attempts),
    )


def _mean_risks(attempts: Sequence[Attempt]) -> Floats | None:
    known = [each.risks for each in attempts if each.risks is not None]
    return np.mean(known, axis=0) if known and len(known) == len(attempts) else None


def _costs(noted: Sequence[Row], id_rows: Sequence[Row], ood_rows: Sequence[Row]) -> Costs:
    return Costs(
        fit_seconds=_median(_known(id_rows, "fit_seconds")),
        images_per_second=_median(_rates(id_rows, "n_id") + _rates(ood_rows, "n_ood")),
        **{name: _mean(_known(noted, name)) for name in COSTS},
    )


def _rates(rows: Sequence[Row], images: str) -> list[float]:
    """Return the images scored in a second, in each row that says how long it took."""
    return [row[images] / row["score_seconds"] for row in rows if (row["score_seconds"] or 0) > 0]


def _by_run(rows: Sequence[Row], name: str, count: int) -> list[float]:
    """Return the mean of a measure for each run that has it in so many rows."""
    values: dict[Seeds, list[float]] = {}
    for row in rows:
        values.setdefault((row["classifier_seed"], row["seed"]), []).extend(_known([row], name))
    return [_mean(own) for own in values.values() if len(own) == count]


def _known(rows: Sequence[Row], name: str) -> list[float]:
    """Return the values of a column that are there."""
    return [row[name] for row in rows if row[name] is not None and not math.isnan(row[name])]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan


def _area(attempts: Sequence[Attempt], mean: Components, sets: Sequence[int]) -> Figure:
    """Return the mean AUROC on some sets with its interval over images and runs."""
    own = mean.select(sets)
    areas = {each.seeds: float(np.mean(each.areas[list(sets)])) for each in attempts}
    runs = over_seeds(list(areas.values()))
    if runs.count == 1 or not runs.std > 0:
        return Figure(runs.mean, runs.std, *mean_auroc_interval(own))
    images = Estimate(own.area, float(covariance([own])[0, 0]))
    varying = list(independent_runs(areas).values())
    total = add_run_variance(images, [float(np.var(varying, ddof=1))], [len(varying)])
    return Figure(runs.mean, runs.std, *total.area_interval())


def _adjusted(entries: Sequence[Entry], means: Sequence[Components]) -> Floats:
    """Return Holm's p-values of the differences between all pairs of entries, (d, d)."""
    spread = covariance(means)
    areas = np.array([each.area for each in means])
    count = len(means)
    differences = areas[:, None] - areas
    variances = np.maximum(np.diag(spread)[:, None] + np.diag(spread) - 2 * spread, 0.0)
    p_values = two_sided_p(differences, variances)
    runs = [independent_runs({each.seeds: each.area for each in own.attempts}) for own in entries]
    for first, second in itertools.combinations(range(count), 2):
        one, two = runs[first], runs[second]
        # By classifier, which accounts for classifiers and seeds at once; the seeds of two
        # detectors have nothing in common.
        paired = len({seed for seed, _ in one}) > 1 and one.keys() == two.keys()
        groups = run_variances(one, two, paired=paired)
        if groups[0]:
            images = Estimate(differences[first, second], variances[first, second])
            p_values[first, second] = add_run_variance(images, *groups).p_value
    upper = np.triu_indices(count, 1)
    adjusted = np.ones((count, count))
    adjusted[upper] = holm(p_values[upper])
    return np.minimum(adjusted, adjusted.T)


def _figure(summary: Summary) -> Figure:
    return Figure(summary.mean, summary.std, summary.low, summary.high)
