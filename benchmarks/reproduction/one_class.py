"""Table 11 of Králik et al., measured: published and measured AUROC of one-class problems.

    python benchmarks/reproduction/one_class.py RUN [RUN ...] --published FILE > PAGE.md

RUN is the folder of a run of a benchmark with folds, such as ``mnist-one-class``; FILE holds the
published figures, ``results/published/one-class.csv``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from kept import KeptRun, arguments, items

INTRODUCTION = """# Table 11: published and measured

Table 11 of Králik et al., "GAN-Based Anomaly Detection Tailored for Classifiers", Mathematics
12(10), 2024, https://doi.org/10.3390/math12101439, sets its detector beside nine others. Their
figures there are mean AUROCs of one-class problems: one class of a data set is normal, the test
images of the other nine are anomalies, and the mean is over the ten classes. The paper's own column
is the accuracy at 95 % on OOD sets, which is another problem. Here all detectors are measured on
the first one, by the runs named below; the second one is in the tables of the other runs.

Published figures are copied from the publications named beside them and were measured by others,
often with other images (sizes, normalisation), networks and choices of the best epoch. The figures
of CapsNet are of nine classes against one, in their publication. All in percent. Of several
published means of one detector, the first is compared.
"""

MEAN = "mean"
"""The name, in files of published figures, of the mean over the classes."""


def main() -> None:
    """Print the page."""
    given = arguments(__doc__)
    print("\n".join(page(given.runs, pd.read_csv(given.published))))


def page(runs: list[Path], published: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of the page.

    Args:
        runs: folders of runs with folds.
        published: columns ``source, table, url, detector, ood_dataset, percent, benchmark,
            measured_by``; ``ood_dataset`` is the title of a fold's ID set, or `MEAN`.
    """
    yield INTRODUCTION
    for run in map(KeptRun.read, runs):
        info, records = run.info, run.records
        same = published[published["benchmark"] == info["benchmark"]]
        yield run.heading()
        yield from _means(records, same, info)
        yield from _classes(records, same)
        yield from _deviations(info)
    yield from _sources(published)


def _means(records: pd.DataFrame, published: pd.DataFrame, info: dict[str, Any]) -> Iterator[str]:
    """Yield a row for each detector: its means, and what a fold takes."""
    columns = ("published", "measured", "difference", "over classes", "seconds a class")
    yield f"| detector | recipe | {' | '.join(columns)} |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: |"
    for name in records["detector"].unique():
        found = _by_class(records, name)
        mean = found.mean(skipna=False)
        printed = _of(published, name, MEAN)
        told = ", ".join(f"{row.percent:.1f} ({row.source})" for row in printed.itertuples())
        first = printed["percent"].iloc[0] if len(printed) else math.nan
        recipe = info["request"]["detectors"][name].get("recipe", "-")
        yield (
            f"| `{name}` | {recipe} | {told or '-'} | {_shown(mean)} | {_signed(mean - first)} | "
            f"{_shown(found.std())} | {_shown(_seconds(records, name), 0)} |"
        )
    yield ""


def _classes(records: pd.DataFrame, published: pd.DataFrame) -> Iterator[str]:
    """Yield the AUROC on each class, with what was published under it."""
    titles = {str(row.id_dataset): str(row.fold) for row in records.itertuples()}
    yield f"| AUROC | {' | '.join(titles.values())} |"
    yield "| --- |" + " ---: |" * len(titles)
    for name in records["detector"].unique():
        found = _by_class(records, name)
        yield f"| `{name}` | {' | '.join(_shown(found.get(title)) for title in titles)} |"
        own = published[(published["measured_by"] == name) & (published["ood_dataset"] != MEAN)]
        for (source, detector), rows in own.groupby(["source", "detector"], sort=False):
            printed = rows.set_index("ood_dataset")["percent"]
            cells = " | ".join(_shown(printed.get(title), 1) for title in titles)
            yield f"| {detector}, {source} | {cells} |"
    yield ""


def _deviations(info: dict[str, Any]) -> Iterator[str]:
    if info["deviations"]:
        yield "What deviates from the publications:\n"
        yield from items(info["deviations"], code=True)
        yield ""
    if unsuited := info.get("unsuited", {}):
        yield "Not applicable:\n"
        yield from items(unsuited, " ", code=True)
        yield ""


def _sources(published: pd.DataFrame) -> Iterator[str]:
    yield "## Sources\n"
    known = published[published["benchmark"].notna()]
    for (source, table, url), _ in known.groupby(["source", "table", "url"], sort=False):
        yield f"* {source}, Table {table}: {url}"


def _by_class(records: pd.DataFrame, detector: str) -> pd.Series[float]:
    """Return the AUROC in percent by the title of a fold's ID set, each the mean over seeds."""
    rows = records[(records["detector"] == detector) & records["ood_dataset"].notna()]
    return 100 * rows.groupby("id_dataset", sort=False)["auroc"].mean()


def _seconds(records: pd.DataFrame, detector: str) -> float:
    """Return the median seconds that a detector takes for a fold, to be fitted and to score."""
    rows = records[(records["detector"] == detector) & records["ood_dataset"].notna()]
    return float((rows["fit_seconds"] + rows["score_seconds"]).median())


def _of(published: pd.DataFrame, detector: str, title: str) -> pd.DataFrame:
    chosen = (published["measured_by"] == detector) & (published["ood_dataset"] == title)
    return published[chosen]


def _shown(value: float | None, digits: int = 2) -> str:
    return "-" if value is None or pd.isna(value) else f"{value:,.{digits}f}"


def _signed(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:+.2f}"


if __name__ == "__main__":
    main()
