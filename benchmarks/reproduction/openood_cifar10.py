"""The near and far AUROCs that OpenOOD v1.5 publishes for CIFAR-10, beside those of a run.

    python benchmarks/reproduction/openood_cifar10.py RUN --published FILE > PAGE.md

RUN is the folder of a run of ``cifar10``; FILE holds the published figures,
``results/published/openood-v1.5.csv``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
from feature_norms import NORMS
from kept import KeptRun, arguments, items

SETS = {
    "near": ("CIFAR-100", "TinyImageNet"),
    "far": ("MNIST-resized", "SVHN", "Textures", "Places365"),
}
"""The sets of the published groups, by our titles."""

REASONS = Path(__file__).with_name("openood_cifar10.csv")
"""Why published and measured figures of a detector differ: columns ``detector, reason``."""

INTRODUCTION = """# CIFAR-10 beside OpenOOD v1.5

Published: mean AUROC over the sets of a group for a ResNet-18 (11 million weights, 100 epochs,
95.06 % accuracy), mostly of three trainings, from the project's public leaderboard; parameters of
detectors are chosen on its OOD validation images where its configuration searches them. Measured:
the mean over those of the same sets that the run has, with the authors' defaults, as `oodbench list
--detectors` states them. No OOD test image was used. All in percent. Ranks are among the detectors
below.
"""


def main() -> None:
    """Print the page."""
    given = arguments(__doc__, runs=1)
    reasons = {str(row.detector): str(row.reason) for row in pd.read_csv(REASONS).itertuples()}
    print("\n".join(page(given.runs[0], pd.read_csv(given.published), reasons)))


def page(run: Path, published: pd.DataFrame, reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the page.

    Args:
        run: folder of a run.
        published: columns ``id_dataset, measured_by, ood_dataset, measure, percent``;
            ``ood_dataset`` is a group.
        reasons: why published and measured figures differ, by detectors of both.

    Raises:
        KeyError: if there is a reason for a detector that is not compared.
    """
    kept = KeptRun.read(run)
    table = compared(kept.records, published)
    yield INTRODUCTION
    yield from _describe(kept)
    for group in SETS:
        rank = table[f"{group} published"].corr(table[f"{group} measured"], method="spearman")
        yield f"* {group}: Spearman's rank correlation over {len(table)} detectors {rank:.2f}"
    yield ""
    yield "| detector | near: published | measured | ranks | far: published | measured | ranks |"
    yield "| --- |" + " ---: |" * 6
    ranks = table.rank(ascending=False, method="min")
    for name in table.sort_values("near published", ascending=False).index:
        cells = [_cells(table.loc[name], ranks.loc[name], group) for group in SETS]
        yield f"| `{name}` | {' | '.join(cells)} |"
    yield ""
    if reasons:
        yield from _features(run)
        yield "Where they differ, and why:\n"
        more = [table[f"{group} measured"] - table[f"{group} published"] for group in SETS]
        for name, reason in reasons.items():
            near, far = (each[name] for each in more)
            yield f"* `{name}` ({near:+.1f}, {far:+.1f}): {reason}"


def compared(records: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Return published and measured means over groups, in percent, by detectors of both.

    Args:
        records: of a run, with columns ``id_dataset, ood_dataset, detector, auroc``.
        published: as for `page`.

    Returns:
        Rows by our detectors that have every set; columns ``near published``, ``near measured``
        and so on.
    """
    same = published[published["id_dataset"].isin(records["id_dataset"].unique())]
    same = same[(same["measure"] == "AUROC") & same["measured_by"].notna()]
    printed = same.pivot_table("percent", "measured_by", "ood_dataset")
    by_set = records.pivot_table("auroc", "detector", "ood_dataset")
    columns = {}
    for group, titles in SETS.items():
        columns[f"{group} published"] = printed[group]
        own = by_set[[title for title in titles if title in by_set]]
        columns[f"{group} measured"] = 100 * own.mean(axis=1, skipna=False)
    return pd.DataFrame(columns).dropna()


def _cells(percent: pd.Series[float], ranks: pd.Series[float], group: str) -> str:
    columns = f"{group} published", f"{group} measured"
    published, measured = (f"{percent[column]:.2f}" for column in columns)
    return f"{published} | {measured} | {' / '.join(f'{ranks[column]:.0f}' for column in columns)}"


def _features(run: Path) -> Iterator[str]:
    """Yield what is known of the sizes of features, where it was measured."""
    if (run / NORMS).exists():
        yield "Features by set, of the first classifier (`feature_norms.py`):\n"
        yield pd.read_csv(run / NORMS).to_markdown(index=False)
        yield ""


def _describe(run: KeptRun) -> Iterator[str]:
    request = run.info["request"]
    accuracy = 100 * run.records.groupby("classifier_seed")["id_accuracy"].first()
    shown = ", ".join(f"{each:.2f}" for each in accuracy)
    (classifier,) = request["classifier"]
    images = f"{request['images_per_set']:,} images a set"
    yield f"Run `{run.folder.name}`: `{classifier}`, accuracy {shown} %, {images}.\n"
    found = set(run.records["ood_dataset"])
    for group, titles in SETS.items():
        missing = [title for title in titles if title not in found]
        without = f", without {', '.join(missing)}" if missing else ""
        yield f"* {group}: {', '.join(title for title in titles if title in found)}{without}"
    yield from items(run.info["notes"])
    yield ""


if __name__ == "__main__":
    main()
