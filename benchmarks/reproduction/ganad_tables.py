"""The paper's Tables 3 to 10 and the measurements of runs, side by side.

    python benchmarks/reproduction/ganad_tables.py RUN [RUN ...] --published FILE > PAGE.md

RUN is the folder of a run of ``mnist-ganad`` or ``cifar10-ganad``, or on their ID sets;
several of an ID set show the spread over their generators. FILE holds the paper's figures,
``results/published/ganad-tables-3-to-10.csv``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from kept import KeptRun, arguments, items

from oodbench_ganad.recipes import recipe_for

MEASURES = {
    "AUROC": "auroc",
    "FPR95TPR": "fpr95",
    "Accuracy (0.95)": "acc95",
    "Accuracy (0.99)": "acc99",
}
"""The paper's measures, and the columns of our records."""

QUALITY = "generator.json"
"""The file of a run's folder that ``generator_quality.py`` writes."""

TRAINING_SETS = {"mnist": (60_000, (1, 28, 28)), "cifar10": (50_000, (3, 32, 32))}
"""Size and shape of the images of the paper's ID training sets."""

INTRODUCTION = """# GANAD: the paper's tables, and what was measured here

Paper: Králik et al., "GAN-Based Anomaly Detection Tailored for Classifiers", Mathematics 12(10),
2024, https://doi.org/10.3390/math12101439. Its figures are copied from its tables and were measured
by its authors; the others are measured by this project, by the runs named below. All in percent, as
mean (sample standard deviation) over independent trainings of AD on one generator and classifier.

"Accuracy" is in the row of the ID set the share of its test images that is accepted, else the share
of the set's images that is rejected, at the threshold that keeps 95 % or 99 % of 1,000 ID training
images. The paper's text names a threshold from as many generated anomalies too, but sets it by the
training images; so do we.

Table 11 of the paper compares AD with other methods. Its AD column holds Accuracy (0.95), though
the caption says AUROC; its FashionMNIST cell reads 94.96 where Table 5 has 94.86. The columns of
the other methods appear to be one-class AUROC within a data set, which is another task: they are
not comparable with it, and are not shown here.
"""


@dataclass(frozen=True)
class Cell:
    """Percent, as the mean and standard deviation over trainings; missing where there is none."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        if pd.isna(self.mean):
            return "-"
        spread = "" if pd.isna(self.deviation) else f" ({self.deviation:.2f})"
        return f"{self.mean:.2f}{spread}"


def main() -> None:
    """Print the page."""
    given = arguments(__doc__)
    print("\n".join(page(given.runs, pd.read_csv(given.published, comment="#"))))


def page(runs: list[Path], published: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of the page.

    Args:
        runs: folders of runs.
        published: columns ``table, id_dataset, measured_by, ood_dataset, measure, percent, std``.
    """
    yield INTRODUCTION
    measured: dict[str, list[pd.DataFrame]] = {}
    for run in map(KeptRun.read, runs):
        info, records = run.info, run.records
        records["ood_dataset"] = records["ood_dataset"].fillna("")
        id_dataset = records["id_dataset"].iloc[0]
        seeds = {
            name: own.get("generator_seed", 0) for name, own in info["request"]["detectors"].items()
        }
        records["generator"] = records["detector"].map(seeds)
        measured.setdefault(id_dataset, []).append(records)
        yield from _describe(run)
        same = published[published["id_dataset"] == id_dataset]
        for (number, name), table in same.groupby(["table", "measured_by"]):
            own = records[records["detector"] == name]
            if not own.empty:
                yield from _table(number, name, table, own)
        yield from _means(same, records)
        yield from _deviations(info)
    for id_dataset, all_records in measured.items():
        yield from _spreads(published[published["id_dataset"] == id_dataset], all_records)


def _describe(run: KeptRun) -> Iterator[str]:
    request = run.info["request"]
    yield run.heading()
    for name, parameters in request["detectors"].items():
        chosen = ", ".join(f"{key}={value}" for key, value in parameters.items())
        yield f"* `{name}`: {chosen}{_training(request, parameters)}"
    for name, parameters in request["classifier"].items():
        chosen = ", ".join(f"{key}={value}" for key, value in parameters.items())
        yield f"* classifier `{name}`: {chosen}"
    yield from _quality(run.folder / QUALITY)
    for title, origin in sorted(run.info.get("shipped", {}).items()):
        yield f"* {title}: shipped weights, trained {origin['finished'][:10]}"
    yield ""


def _quality(file: Path) -> Iterator[str]:
    """Yield what the classifier makes of the generator's images, if it was measured."""
    if file.exists():
        found = json.loads(file.read_text(encoding="utf-8"))
        yield (
            f"* the generator's images: of {found['images']:,} fakes {found['accuracy']:.1%} are "
            "classified as what they were made for; Fréchet distance of the classifier's features "
            f"from those of as many ID test images {found['distance']:.2f} (between the halves of "
            f"the ID test images {found['floor']:.2f})"
        )


def _training(request: dict[str, Any], parameters: dict[str, Any]) -> str:
    """Return how long the generator was trained, beside the paper's 1,500 epochs."""
    if "recipe" not in parameters:
        return ""
    images, shape = TRAINING_SETS[request["id"]]
    images -= request.get("validation_images", 0)
    recipe = recipe_for(parameters["recipe"], shape)
    steps = parameters["steps"] or recipe.generator_steps(images)
    epochs = steps * recipe.critic_steps * recipe.batch_size / images
    return f" ({steps:,} generator steps: {epochs:,.1f} epochs of the critic; the paper's: 1,500)"


def _table(number: int, name: str, published: pd.DataFrame, own: pd.DataFrame) -> Iterator[str]:
    """Yield the paper's table with what was measured, and the difference of the means."""
    yield f"### Table {number}: `{name}`\n"
    yield f"| set | {' | '.join(f'{each}: paper | measured | difference' for each in MEASURES)} |"
    yield "| --- |" + " ---: |" * (3 * len(MEASURES))
    id_title = own["id_dataset"].iloc[0]
    for title in published["ood_dataset"].unique():
        rows = own[own["ood_dataset"] == ("" if title == id_title else title)]
        cells = []
        for metric, column in MEASURES.items():
            chosen = (published["ood_dataset"] == title) & (published["measure"] == metric)
            cells += _compared(_published(published[chosen]), _measured(rows[column]))
        yield f"| {title} | {' | '.join(cells)} |"
    yield ""


def _spreads(published: pd.DataFrame, runs: list[pd.DataFrame]) -> Iterator[str]:
    """Yield how AUROCs differ between generators, and on one; the first run of each counts."""
    for (number, name), table in published.groupby(["table", "measured_by"]):
        owns: dict[object, pd.DataFrame] = {}
        for run in runs:
            for generator, own in run[run["detector"] == name].groupby("generator"):
                owns.setdefault(generator, own)
        if len(owns) < 2:
            continue
        yield f"### Table {number}: `{name}` over {len(owns)} generators\n"
        yield "AUROC: mean over generators, standard deviation over them, and over ADs.\n"
        yield "| set | paper | measured | over generators | over ADs |"
        yield "| --- |" + " ---: |" * 4
        printed = table[(table["measure"] == "AUROC") & table["percent"].notna()]
        for title in printed["ood_dataset"].unique():
            found = [
                _measured(own.loc[own["ood_dataset"] == title, "auroc"]) for own in owns.values()
            ]
            cells = pd.DataFrame(found)
            if cells["mean"].isna().any():  # a set that a run does not have
                continue
            paper = _published(printed[printed["ood_dataset"] == title])
            yield (
                f"| {title} | {paper} | {cells['mean'].mean():.2f} | {cells['mean'].std():.2f} | "
                f"{cells['deviation'].mean():.2f} |"
            )
        yield ""


def _means(published: pd.DataFrame, own: pd.DataFrame) -> Iterator[str]:
    """Yield the mean AUROC of each detector over the paper's sets that the run has."""
    own = own[own["auroc"].notna()]
    named = published["ood_dataset"].unique()
    sets = [each for each in named if each in set(own["ood_dataset"]) and "norm" not in each]
    if not sets:
        return
    yield f"Mean AUROC over {', '.join(sets)}:\n"
    yield "| detector | paper | measured |"
    yield "| --- | ---: | ---: |"
    printed = published[(published["measure"] == "AUROC") & published["ood_dataset"].isin(sets)]
    for name, rows in own[own["ood_dataset"].isin(sets)].groupby("detector", sort=False):
        means = pd.to_numeric(rows["auroc"]).groupby(rows["seed"].fillna(-1)).mean()
        paper = printed.loc[printed["measured_by"] == name, "percent"]
        shown = f"{paper.mean():.2f}" if len(paper) == len(sets) else "-"
        yield f"| `{name}` | {shown} | {_measured(means)} |"
    yield ""


def _published(rows: pd.DataFrame) -> Cell:
    if rows.empty:
        return Cell(float("nan"), float("nan"))
    return Cell(rows["percent"].iloc[0], rows["std"].iloc[0])


def _measured(values: pd.Series[float]) -> Cell:
    percent = 100 * pd.to_numeric(values)
    return Cell(percent.mean(), percent.std())


def _compared(paper: Cell, measured: Cell) -> list[str]:
    difference = measured.mean - paper.mean
    return [str(paper), str(measured), "-" if pd.isna(difference) else f"{difference:+.2f}"]


def _deviations(info: dict[str, Any]) -> Iterator[str]:
    yield "What deviates from the paper:\n"
    yield from items(info["deviations"], code=True)
    yield from items(info["notes"])
    yield from items(info["missing"], " is missing: ")
    yield ""


if __name__ == "__main__":
    main()
