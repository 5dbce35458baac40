"""The near and far AUROCs that OpenOOD v1.5 publishes for CIFAR-10, beside those of a run.

    python -m oodbench_openood.reproduction RUN --published FILE [--reasons FILE] > PAGE.md

RUN is the folder of a run of ``cifar10``. The published figures are in
``results/published/openood-v1.5.csv``; ``results/openood-cifar10-reasons.csv`` says why measured
ones differ, in columns ``detector, reason``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

DETECTORS = {
    "OpenMax": "openmax",
    "MSP": "msp",
    "TempScale": "temperature-scaling",
    "ODIN": "odin",
    "MDS": "mahalanobis",
    "MDSEns": "multi-mahalanobis",
    "RMDS": "rmd",
    "Gram": "gram",
    "EBO": "energy",
    "GradNorm": "gradnorm",
    "ReAct": "react",
    "MLS": "maxlogit",
    "KLM": "klmatching",
    "VIM": "vim",
    "KNN": "knn",
    "DICE": "dice",
    "RankFeat": "rankfeat",
    "ASH": "ash",
    "SHE": "she",
    "GEN": "gen",
    "SCALE": "scale",
    "NAC": "nac-ue",
    "fDBD": "fdbd",
    "NCI": "nci",
}
"""OpenOOD's names of detectors, and ours."""

GROUPS = ("near", "far")

INTRODUCTION = """# CIFAR-10 beside OpenOOD v1.5

Published: mean AUROC over the sets of a group for a ResNet-18 (11 million weights, 100 epochs,
95.06 % accuracy), three trainings, from the project's public leaderboard; parameters of detectors
were chosen on its OOD validation images where its configuration searches them. Measured: the same
mean over those of the sets that the run has, with the parameters that `oodbench list` states, none
of which was chosen on OOD images. All in percent. Ranks are among the detectors below.
"""


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--published", type=Path, required=True, metavar="FILE")
    parser.add_argument("--reasons", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    reasons = {}
    if arguments.reasons:
        rows = pd.read_csv(arguments.reasons).itertuples()
        reasons = {str(row.detector): str(row.reason) for row in rows}
    print("\n".join(page(arguments.run, pd.read_csv(arguments.published), reasons)))


def page(run: Path, published: pd.DataFrame, reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the page.

    Args:
        run: folder of a run.
        published: columns ``id_dataset, detector, ood_dataset, measure, percent``;
            ``ood_dataset`` is a group.
        reasons: why published and measured figures of a detector differ.
    """
    info = json.loads((run / "run.json").read_text(encoding="utf-8"))
    records = pd.read_csv(run / "records.csv", keep_default_na=False, na_values=[""])
    groups = info["request"]["groups"]
    table = compared(records, groups, published)
    yield INTRODUCTION
    yield from _describe(run, info, records)
    for group in GROUPS:
        rank = table[f"{group} published"].corr(table[f"{group} measured"], method="spearman")
        yield f"* {group}: Spearman's rank correlation over {len(table)} detectors {rank:.2f}"
    yield ""
    yield "| detector | near: published | measured | ranks | far: published | measured | ranks |"
    yield "| --- |" + " ---: |" * 6
    ranks = table.rank(ascending=False)
    for name in table.sort_values("near published", ascending=False).index:
        cells = [_cells(table.loc[name], ranks.loc[name], group) for group in GROUPS]
        yield f"| `{name}` | {' | '.join(cells)} |"
    yield ""
    if reasons:
        yield "Where they differ, and why:\n"
        yield from (f"* `{name}`: {reasons[name]}" for name in table.index if name in reasons)


def compared(
    records: pd.DataFrame, groups: Mapping[str, list[str]], published: pd.DataFrame
) -> pd.DataFrame:
    """Return published and measured means over groups, in percent, by detectors of both.

    Args:
        records: of a run, with columns ``id_dataset, ood_dataset, detector, auroc``.
        groups: the titles of the OOD sets of each group.
        published: as for `page`.

    Returns:
        Rows by our detectors; columns ``near published``, ``near measured`` and so on.
    """
    same = published[published["id_dataset"].isin(records["id_dataset"].unique())]
    same = same[(same["measure"] == "AUROC") & same["detector"].isin(list(DETECTORS))]
    same = same.assign(detector=same["detector"].map(DETECTORS))
    printed = same.pivot_table("percent", "detector", "ood_dataset")
    columns = {}
    for group in GROUPS:
        rows = records[records["ood_dataset"].isin(groups[group])]
        by_set = rows.groupby(["detector", "ood_dataset"])["auroc"].mean()
        columns[f"{group} published"] = printed[group]
        columns[f"{group} measured"] = 100 * by_set.groupby("detector").mean()
    return pd.DataFrame(columns).dropna()


def _cells(percent: pd.Series[float], ranks: pd.Series[float], group: str) -> str:
    columns = f"{group} published", f"{group} measured"
    published, measured = (f"{percent[column]:.2f}" for column in columns)
    return f"{published} | {measured} | {' / '.join(f'{ranks[column]:.0f}' for column in columns)}"


def _describe(run: Path, info: Mapping[str, Any], records: pd.DataFrame) -> Iterator[str]:
    request = info["request"]
    accuracy = 100 * records.groupby("classifier_seed")["id_accuracy"].first()
    shown = ", ".join(f"{each:.2f}" for each in accuracy)
    (classifier,) = request["classifier"]
    images = f"{request['images_per_set']:,} images a set"
    yield f"Run `{run.name}`: `{classifier}`, accuracy {shown} %, {images}.\n"
    for group in GROUPS:
        yield f"* {group}: {', '.join(request['groups'][group])}"
    for title, note in info["notes"].items():
        yield f"* {title}: {note}"
    for title, reason in info["missing"].items():
        yield f"* {title} is missing: {reason}"
    yield ""


if __name__ == "__main__":
    main()
