"""The footnotes of tables: notes, deviations, counts, definitions and failures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from oodbench.report.columns import COLUMNS
from oodbench.report.layout import Footnote, clean, percent
from oodbench.report.summary import RUN, has_accepted, has_single_runs

DAGGER = "†"
"""Marks a figure of tied scores."""

TIES_WORTH_A_MARK = 0.01
"""The share of tied scores above which a figure is marked."""


_SENTENCE_END = re.compile(r"(?<=[.!?]) +(?=[A-Z])")


@dataclass(frozen=True)
class Marks:
    """The numbered footnotes, and the marks of the names that they are about."""

    detectors: Mapping[str, tuple[str, ...]]
    datasets: Mapping[str, tuple[str, ...]]
    footnotes: tuple[Footnote, ...]


def number_footnotes(
    records: pd.DataFrame,
    notes: Mapping[str, str],
    deviations: Mapping[str, str],
    folds: Mapping[str, str] | None = None,
) -> Marks:
    """Number the footnotes on detectors and data sets in the order in which a reader meets them.

    Args:
        records: columns as in `oodbench.results.columns.RECORD`.
        notes: a sentence about a data set, by its name.
        deviations: how a detector deviates from its paper, by its name.
        folds: names of benchmarks with folds, by the titles of the ID sets of their folds.
    """
    texts = {"detector": deviations, "dataset": notes}
    names: dict[str, list[str]] = {
        "detector": list(records["detector"].unique()),
        "dataset": [*records["id_dataset"].unique(), *records["ood_dataset"].unique()],
    }
    footnotes: list[Footnote] = []
    marks: dict[str, dict[str, tuple[str, ...]]] = {"detector": {}, "dataset": {}}
    for kind in names:
        own = [(name, texts[kind].get(name, "")) for name in dict.fromkeys(names[kind])]
        for about, text in by_sentence(own):
            mark = str(len(footnotes) + 1)
            named = ", ".join(_with_benchmarks(about, folds or {}))
            footnotes.append(Footnote(clean(f"{named}: {text}"), mark))
            for name in about:
                marks[kind][name] = (*marks[kind].get(name, ()), mark)
    return Marks(marks["detector"], marks["dataset"], tuple(footnotes))


def _with_benchmarks(titles: Sequence[str], folds: Mapping[str, str]) -> list[str]:
    """Return titles, with the name of a benchmark in place of the ID sets of all its folds."""
    found = dict.fromkeys(titles)
    for benchmark in dict.fromkeys(folds.values()):
        own = [title for title, name in folds.items() if name == benchmark]
        if all(title in found for title in own):
            rest = [title for title in found if title not in own]
            found = dict.fromkeys([benchmark, *rest])
    return list(found)


def by_sentence(texts: Iterable[tuple[str, str]]) -> list[tuple[tuple[str, ...], str]]:
    """Return texts without repetition: names, and the sentences that just these names share.

    Args:
        texts: a name and what there is to say about it, in order; a name may occur repeatedly.
    """
    names: dict[str, dict[str, None]] = {}
    for name, text in texts:
        for sentence in _SENTENCE_END.split(text.strip()):
            names.setdefault(sentence, {})[name] = None
    found: dict[tuple[str, ...], list[str]] = {}
    for sentence, about in names.items():
        if sentence:
            found.setdefault(tuple(about), []).append(sentence)
    return [(about, " ".join(sentences)) for about, sentences in found.items()]


def general_footnotes(
    records: pd.DataFrame, metrics: Sequence[str], interval: str
) -> tuple[Footnote, ...]:
    """Return the footnotes on ties, counts of runs and images, and definitions."""
    return (
        *_ties(records),
        Footnote(_runs(records)),
        *_different_images(records),
        *([Footnote(prevalence_note(records))] if _shows_aupr(metrics) else []),
        Footnote(_definitions(records, metrics, interval)),
    )


def prevalence_note(records: pd.DataFrame) -> str:
    """Return a sentence on how the ratio of images affects AUPR in these sets."""
    ood = records[(records["ood_dataset"] != "") & (records["status"] == "ok")]
    shares = (ood["n_ood"] / (ood["n_id"] + ood["n_ood"])).dropna()
    ends = list(dict.fromkeys(f"{percent(share)} %" for share in (shares.min(), shares.max())))
    chance = f", for AUPR-OOD {' to '.join(ends)} here" if len(shares) else ""
    return (
        "AUPR depends on the ratio of ID to OOD images: chance has the share of the positive "
        f"images{chance}, and figures compare only between sets of one ratio. AUPR (1:1) weights "
        "both kinds as if there were as many of each, and chance has 50 % (Siblini et al., Master "
        "your Metrics with Calibration, IDA 2020)."
    )


def _shows_aupr(metrics: Sequence[str]) -> bool:
    return any(name.startswith("aupr") for name in metrics)


def failures(records: pd.DataFrame) -> tuple[str, ...]:
    """Return a sentence for each error: which detector failed where, and the message."""
    failed = records[records["status"] == "failed"]
    about: dict[str, list[str]] = {}
    for (error, detector), rows in failed.groupby(["error", "detector"], sort=False):
        seeds = ", ".join(str(seed) for seed in rows["seed"].dropna().unique())
        who = f"{detector} (seed {seeds})" if seeds else str(detector)
        if len(rows) < (records["detector"] == detector).sum():
            sets = rows["ood_dataset"].where(rows["ood_dataset"] != "", rows["id_dataset"])
            who += f" on {', '.join(sets.unique())}"
        about.setdefault(str(error) or "no reason is recorded", []).append(who)
    return tuple(clean(f"{', '.join(names)}: {error}") for error, names in about.items())


def _ties(records: pd.DataFrame) -> Iterator[Footnote]:
    if (records["ties"] > TIES_WORTH_A_MARK).any():
        yield Footnote(
            f"More than {100 * TIES_WORTH_A_MARK:.0f} % of the scores behind the figure occur more "
            "than once: images with equal scores cross a threshold together, and AUROC counts a "
            "tie as half.",
            DAGGER,
        )


def _runs(records: pd.DataFrame) -> str:
    """Return a sentence on the number of runs behind each detector's figures."""
    detectors: dict[str, list[str]] = {}
    for detector, rows in records.groupby("detector", sort=False):
        detectors.setdefault(_count_runs(rows), []).append(str(detector))
    counts = "; ".join(f"{', '.join(names)}: {count}" for count, names in detectors.items())
    if set(detectors) == {"1 run"}:
        return "One run of each detector."
    text = f"Mean (sample standard deviation) over runs. {clean(counts)}."
    if (records["status"] == "failed").any():
        text += " Runs that failed are left out."
    return text


def _count_runs(rows: pd.DataFrame) -> str:
    """Return the number of runs of one detector, and how it is made up."""
    ways = rows[["id_dataset", "classifier"]].drop_duplicates()
    count = len(rows[["id_dataset", "classifier", *RUN]].drop_duplicates()) // len(ways)
    classifiers, seeds = rows["classifier_seed"].nunique(), max(rows["seed"].nunique(), 1)
    if count == 1:
        return "1 run"
    if count == seeds:
        return f"{count} seeds"
    if count == classifiers:
        return f"{count} classifiers"
    product = f" ({classifiers} classifiers × {seeds} seeds)"
    return f"{count} runs{product if count == classifiers * seeds else ''}"


def _different_images(records: pd.DataFrame) -> Iterator[Footnote]:
    """Yield a warning for each set whose images were not as many for every detector."""
    for name, column in (("id_dataset", "n_id"), ("ood_dataset", "n_ood")):
        for dataset, counts in records.groupby(["id_dataset", name], sort=False)[column]:
            different = sorted(counts[counts > 0].unique())
            if len(different) > 1:
                numbers = " and ".join(f"{number:,}" for number in different)
                label = clean(str(dataset[-1]))
                yield Footnote(f"Not every figure is on the same images: of {label}, {numbers}.")


def _definitions(records: pd.DataFrame, metrics: Sequence[str], interval: str) -> str:
    # The comparison shows acc95 of the ID set, whatever else is shown, if there is one.
    names = [*metrics, "acc95"] if has_accepted(records) else metrics
    definitions = list(dict.fromkeys(COLUMNS[name].definition for name in names))
    if "auroc" in metrics and interval and has_single_runs(records):
        way = f"{interval}, over the choice of images, for single runs"
        definitions.append(f"95 % interval: {way}")
    return "; ".join(definitions) + "."
