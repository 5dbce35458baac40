"""Check what tables say, in every format."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from oodbench.errors import UnknownName
from oodbench.report.tables import FORMATS, render
from oodbench.results.columns import records_frame

ANSI = re.compile(r"\x1b\[[0-9;]*m")
SETS = ["fashionmnist", "omniglot", "notmnist", "CIFAR-10-bw", "SVHN-bw", "uniform", "gaussian"]


def record(detector: str, ood: str, auroc: float | None, **others: Any) -> dict[str, Any]:
    """Return a record whose other measures follow from the AUROC."""
    row = {
        "id_dataset": "mnist",
        "ood_dataset": ood,
        "detector": detector,
        "classifier": "resnet",
        "classifier_seed": 0,
        "seed": None,
        "id_accuracy": 0.9945,
        "n_id": 10_000,
        "n_ood": 10_000 if ood else 0,
        "ties": 0.0,
    }
    if auroc is not None:
        row |= {"auroc": auroc, "auroc_low": auroc - 0.01, "auroc_high": auroc + 0.005}
        row |= {"fpr95": 1 - auroc, "acc95": auroc - 0.02, "acc99": auroc - 0.1}
    return row | others


def id_record(detector: str, acc95: float, **others: Any) -> dict[str, Any]:
    return record(detector, "", None, acc95=acc95, acc99=0.99, **others)


@pytest.fixture
def records() -> pd.DataFrame:
    """Three detectors on two sets: `ganad` with two seeds, `energy` and `msp` drawing nothing."""
    return records_frame(
        [
            id_record("ganad", 0.951, seed=0),
            record("ganad", "svhn", 0.97, seed=0),
            record("ganad", "uniform", 1.0, seed=0),
            id_record("ganad", 0.953, seed=1),
            record("ganad", "svhn", 0.99, seed=1),
            record("ganad", "uniform", 1.0, seed=1),
            id_record("energy", 0.9567),
            record("energy", "svhn", 0.9124),
            record("energy", "uniform", 1.0),
            id_record("msp", 0.9431),
            record("msp", "svhn", 0.9811, ties=0.02),
            record("msp", "uniform", None, status="failed", error="ValueError: NaN | in <b>"),
        ]
    )


def table(text: str, number: int) -> list[list[str]]:
    """Return the cells of a Markdown table."""
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    lines = [line for line in blocks[number].splitlines() if not line.startswith("|:")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_comparison_is_like_table_11(records: pd.DataFrame) -> None:
    assert table(render(records), 0) == [
        ["Test set", "ganad", "energy", "msp"],
        ["ID accepted (0.95)", "95.20 (0.14)", "95.67", "94.31"],
        ["svhn", "98.00 (1.41)", "91.24", "**98.11**†"],
        ["uniform", "**100.00** (0.00)", "**100.00**", "-"],
        ["mean", "**99.00** (0.71)", "95.62", "-"],
    ]


def test_details_are_like_tables_3_to_10(records: pd.DataFrame) -> None:
    header, *rows = table(render(records), 1)
    assert header[:5] == ["Test set", "Detector", "AUROC", "95 % interval", "FPR95"]
    assert header[5:] == ["Accuracy (0.95)", "Accuracy (0.99)"]
    assert rows[:6] == [
        ["mnist", "ganad", "-", "", "-", "95.20 (0.14)", "99.00 (0.00)"],
        ["", "energy", "-", "", "-", "95.67", "99.00"],
        ["", "msp", "-", "", "-", "94.31", "99.00"],
        ["svhn", "ganad", "98.00 (1.41)", "", "2.00 (1.41)", "96.00 (1.41)", "88.00 (1.41)"],
        ["", "energy", "91.24", "90.24–91.74", "8.76", "89.24", "81.24"],
        ["", "msp†", "**98.11**", "97.11–98.61", "**1.89**", "**96.11**", "**88.11**"],
    ]


GROUPS = {"mnist": {"near": ["svhn", "omniglot"], "far": ["uniform"], "none": ["omniglot"]}}


def test_groups_have_means_of_their_own(records: pd.DataFrame) -> None:
    both = [row | {"ood_dataset": "omniglot"} for row in [record("energy", "", 0.9876)]]
    text = render(pd.concat([records, records_frame(both)]), groups=GROUPS)
    assert table(text, 0)[2:] == [
        ["svhn", "98.00 (1.41)", "91.24", "**98.11**†"],
        ["uniform", "**100.00** (0.00)", "**100.00**", "-"],
        ["omniglot", "-", "98.76", "-"],
        ["near", "-", "95.00", "-"],
        ["far", "**100.00** (0.00)", "**100.00**", "-"],
        ["none", "-", "98.76", "-"],
        ["mean", "-", "96.67", "-"],
    ]
    assert "- near: mean over svhn, omniglot; far: mean over uniform; none:" in text


def test_sets_that_the_records_lack_are_in_no_group(records: pd.DataFrame) -> None:
    text = render(records, groups=GROUPS)
    assert "- near: mean over svhn; far: mean over uniform.\n" in text
    assert [row[0] for row in table(text, 0)][-3:] == ["near", "far", "mean"]


def test_details_of_groups_are_means_without_intervals(records: pd.DataFrame) -> None:
    *_, far, energy, _ = table(render(records, groups=GROUPS), 1)
    assert far[:3] == ["far", "ganad", "**100.00** (0.00)"]
    assert energy == ["", "energy", "**100.00**", "", "**0.00**", "**98.00**", "**90.00**"]


def test_groups_are_those_of_the_id_set(records: pd.DataFrame) -> None:
    text = render(records.assign(id_dataset="kmnist"), groups=GROUPS)
    assert text == render(records.assign(id_dataset="kmnist"))


def test_heading_states_the_accuracy_of_the_classifier(records: pd.DataFrame) -> None:
    assert render(records).startswith("## mnist, classifier resnet (accuracy 99.45 %)\n")
    second = records.assign(classifier_seed=1, id_accuracy=0.9965)
    heading = render(pd.concat([records, second])).splitlines()[0]
    assert heading == "## mnist, classifier resnet (accuracy 99.55 (0.14) %)"


def test_counts_of_runs_are_stated(records: pd.DataFrame) -> None:
    assert (
        "Mean (sample standard deviation) over runs. ganad: 2 seeds; energy, msp: 1 run. "
        "Runs that failed are left out."
    ) in render(records)
    both = pd.concat([records, records.assign(classifier_seed=1)])
    assert "ganad: 4 runs (2 classifiers × 2 seeds); energy, msp: 2 classifiers." in render(both)
    single = records[(records["detector"] == "energy")]
    assert "One run of each detector." in render(single)


def test_ties_above_one_percent_are_marked_and_explained(records: pd.DataFrame) -> None:
    assert "† More than 1 % of the scores behind the figure occur more than once" in render(records)
    untied = records.assign(ties=0.01)
    assert "†" not in render(untied)


def test_failures_are_listed_with_their_error(records: pd.DataFrame) -> None:
    assert render(records).endswith(
        "\nFailed:\n\n- msp on uniform: ValueError: NaN \\| in &lt;b&gt;\n"
    )
    everywhere = records.assign(status="failed", error="RuntimeError:\n out of\x1b[31m memory")
    text = render(everywhere, format="terminal")
    assert "Failed: ganad (seed 0, 1), energy, msp: RuntimeError: out of [31m memory" in ANSI.sub(
        "", text
    )
    assert "Failed" not in render(records[records["status"] == "ok"])


def test_notes_and_deviations_are_numbered_footnotes(records: pd.DataFrame) -> None:
    text = render(
        records,
        notes={"svhn": "4,000 images only.", "lsun": "Not shown."},
        deviations={"ganad": "Quick recipe. One generator.", "msp": ""},
    )
    assert table(text, 0)[0] == ["Test set", "ganad¹", "energy", "msp"]
    assert [row[0] for row in table(text, 0)] == [
        "Test set",
        "ID accepted (0.95)",
        "svhn²",
        "uniform",
        "mean",
    ]
    assert "- ¹ ganad: Quick recipe. One generator.\n- ² svhn: 4,000 images only.\n" in text
    assert "Not shown" not in text


def test_detectors_that_deviate_alike_share_a_footnote(records: pd.DataFrame) -> None:
    text = render(records, deviations={"ganad": "Quick recipe.", "msp": "Quick recipe."})
    assert table(text, 0)[0] == ["Test set", "ganad¹", "energy", "msp¹"]
    assert "- ¹ ganad, msp: Quick recipe.\n" in text


def test_a_sentence_that_detectors_share_is_printed_once(records: pd.DataFrame) -> None:
    text = render(
        records,
        deviations={
            "ganad": "Quick recipe. One generator.",
            "energy": "In float64. Quick recipe.",
            "msp": "Quick recipe. One generator.",
        },
        notes={"svhn": "Crops. Grey.", "uniform": "Grey."},
    )
    assert text.count("Quick recipe.") == text.count("One generator.") == text.count("Grey.") == 1
    assert table(text, 0)[0] == ["Test set", "ganad¹ ²", "energy¹ ³", "msp¹ ²"]
    assert (
        "- ¹ ganad, energy, msp: Quick recipe.\n- ² ganad, msp: One generator.\n"
        "- ³ energy: In float64.\n- ⁴ svhn: Crops.\n- ⁵ svhn, uniform: Grey.\n"
    ) in text


def test_an_error_that_detectors_share_is_printed_once(records: pd.DataFrame) -> None:
    failed = records.assign(status="failed", error="PluginError: no module named x")
    failing = render(failed).partition("Failed:")[2]
    assert failing == ("\n\n- ganad (seed 0, 1), energy, msp: PluginError: no module named x\n")


@pytest.mark.parametrize(
    ("share", "marked"), [(0.95, False), (0.98, False), (0.92, False), (0.9801, True), (0.0, True)]
)
def test_id_acceptance_further_than_3_points_from_its_target_is_a_footnote(
    records: pd.DataFrame, share: float, marked: bool
) -> None:
    records.loc[(records["detector"] == "msp") & (records["ood_dataset"] == ""), "acc95"] = share
    text = render(records)
    figure = f"{100 * share:.2f}"
    assert table(text, 0)[1][3] == table(text, 1)[3][5] == figure + ("‡" if marked else "")
    note = "- ‡ More than 3 percentage points from the target, so that Accuracy does not compare"
    assert (f"ID test images accepted in place of 95 %: msp {figure} %.\n" in text) == marked
    assert (note in text) == marked
    assert "\\ddag{}" in render(records, format="latex") or not marked


def test_id_acceptance_is_held_to_the_thresholds_that_are_shown(records: pd.DataFrame) -> None:
    records.loc[records["ood_dataset"] == "", "acc99"] = 0.9
    assert "in place of 99 %: ganad 90.00 %, energy 90.00 %, msp 90.00 %." in render(records)
    assert "‡" not in render(records, metrics=["auroc"])


def test_id_acceptance_off_target_says_in_which_section(records: pd.DataFrame) -> None:
    other = records.assign(id_dataset="cifar10")
    other.loc[other["ood_dataset"] == "", "acc95"] = 0.5
    text = render(pd.concat([records, other]))
    assert "- ‡ cifar10, classifier resnet (accuracy 99.45 %): More than 3" in text
    assert text.count("- ‡") == 1


def test_different_images_are_pointed_out(records: pd.DataFrame) -> None:
    assert "same images" not in render(records)
    records.loc[records["detector"] == "msp", "n_ood"] = 400
    assert "Not every figure is on the same images: of svhn, 400 and 10,000." in render(records)


def test_measures_can_be_chosen_and_the_first_is_compared(records: pd.DataFrame) -> None:
    text = render(records, metrics=["fpr95", "id_accuracy"])
    assert table(text, 0)[2] == ["svhn", "2.00 (1.41)", "8.76", "**1.89**†"]
    assert table(text, 1)[0] == ["Test set", "Detector", "FPR95", "Classifier"]
    assert "interval" not in text


def test_unknown_measures_and_formats_are_refused(records: pd.DataFrame) -> None:
    with pytest.raises(UnknownName, match="unknown measure 'aurok'; did you mean 'auroc'"):
        render(records, metrics=["aurok"])
    with pytest.raises(UnknownName, match="unknown table format 'htm'; did you mean 'html'"):
        render(records, format="htm")


def test_a_detector_alone_is_not_called_the_best(records: pd.DataFrame) -> None:
    assert "**" not in render(records[records["detector"] == "ganad"])


def test_each_id_set_and_classifier_has_its_own_tables(records: pd.DataFrame) -> None:
    other = records.assign(id_dataset="cifar10")
    headings = [line for line in render(pd.concat([records, other])).splitlines() if "##" in line]
    assert headings == [
        "## mnist, classifier resnet (accuracy 99.45 %)",
        "## cifar10, classifier resnet (accuracy 99.45 %)",
    ]


def test_csv_is_tidy_and_exact(records: pd.DataFrame) -> None:
    lines = pd.read_csv(io.StringIO(render(records, format="csv")))
    assert len(lines) == 3 * 3
    line = lines[(lines["detector"] == "ganad") & (lines["ood_dataset"] == "svhn")].iloc[0]
    assert (line["n_seeds"], line["auroc_mean"]) == (2, 0.98)
    assert line["auroc_std"] == pytest.approx(0.02 / 2**0.5, abs=1e-15)
    for measure in ("aupr_id", "aupr_ood", "fpr95", "fpr95_ood", "acc95", "acc99", "oscr", "aurc"):
        assert {f"{measure}_mean", f"{measure}_std"} <= set(lines)
    failed = lines[(lines["detector"] == "msp") & (lines["ood_dataset"] == "uniform")].iloc[0]
    assert failed["n_seeds"] == 0
    assert failed.filter(like="_mean").isna().all()


def many(detectors: list[str], seeds: int) -> pd.DataFrame:
    """Return records on seven sets; the first detector has several seeds."""
    rows = []
    for detector in detectors:
        for seed in range(seeds) if detector == detectors[0] else [None]:
            rows.append(id_record(detector, 0.95 + 0.001 * (seed or 0), seed=seed))
            rows += [record(detector, ood, 0.90 + 0.01 * (seed or 0), seed=seed) for ood in SETS]
    return records_frame(rows)


def test_the_terminal_shows_three_detectors_on_seven_sets_in_80_columns() -> None:
    text = render(
        many(["ganad", "energy", "maxlogit"], 8),
        format="terminal",
        notes={"SVHN-bw": "Some sentences about this set. " * 8},
    )
    assert max(len(line) for line in ANSI.sub("", text).splitlines()) <= 80


@pytest.mark.parametrize("width", [60, 80, 132])
def test_the_terminal_is_filled_and_no_figure_is_cut(width: int) -> None:
    names = ["energy (temperature 10.0, plugin samples 1.0)", "a-name-without-an-end-" * 4, "msp"]
    records = many(names, 8).assign(
        ood_dataset=lambda own: own["ood_dataset"].replace("SVHN-bw", "holidays in the snow " * 4)
    )
    text = render(
        records,
        format="terminal",
        width=width,
        notes={"uniform": "Some sentences about this set. " * 8},
    )
    lines = [line.rstrip() for line in ANSI.sub("", text).splitlines()]
    assert width - 12 < max(map(len, lines)) <= width
    words = " ".join(lines).split()
    figures = [f"{cell}" for cell in ("93.50", "90.00", "95.35", "95.00")]
    assert all(words.count(figure) >= 7 for figure in figures[:2])
    assert all(figure in words for figure in figures)


def test_widths_concern_the_terminal_alone(records: pd.DataFrame) -> None:
    for style in set(FORMATS) - {"terminal"}:
        assert render(records, format=style, width=60) == render(records, format=style)


def test_the_terminal_lines_up_decimal_points(records: pd.DataFrame) -> None:
    lines = ANSI.sub("", render(records, format="terminal")).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("svhn  "))
    assert [line[:54] for line in lines[start : start + 2]] == [
        "svhn                 98.00 (1.41)   91.24  98.11†",
        "uniform             100.00 (0.00)  100.00      -",
    ]


def test_the_terminal_prints_the_best_in_bold(records: pd.DataFrame) -> None:
    text = render(records, format="terminal")
    assert "\x1b[1m98.11\x1b[0m" in text
    assert "\x1b[1m91.24" not in text


def test_the_terminal_breaks_up_a_comparison_of_many_detectors() -> None:
    names = [f"detector-{number:02d}" for number in range(20)]
    lines = ANSI.sub("", render(many(names, 1), format="terminal")).splitlines()
    details = lines.index("Details in %")
    headings = [line for line in lines[:details] if line.startswith("Test set")]
    assert len(headings) == 5
    assert " ".join(heading.removeprefix("Test set") for heading in headings).split() == names
    assert max(map(len, lines)) <= 80


class Collector(HTMLParser):
    """Collect the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def hostile() -> pd.DataFrame:
    """Records whose every text tries to be markup."""
    texts = {"id_dataset": HOSTILE, "detector": f"{HOSTILE}&|_*[x](y)", "classifier": HOSTILE}
    return records_frame(
        [
            id_record("", 0.95) | texts,
            record("", f"{HOSTILE}$#", 0.9) | texts,
            record("", "svhn", None, status="failed", error=f"{HOSTILE}\\end{{table}}%") | texts,
        ]
    )


def test_html_shows_hostile_names_as_text(hostile: pd.DataFrame) -> None:
    page = Collector()
    text = render(
        hostile,
        format="html",
        notes={"svhn": f"{HOSTILE}<img src=x>"},
        deviations={f"{HOSTILE}&|_*[x](y)": HOSTILE},
    )
    page.feed(text)
    assert not {"script", "img", "a"} & set(page.tags)
    assert f"{HOSTILE}&|_*[x](y)" in page.text
    assert f"{HOSTILE}<img src=x>" in page.text


def test_markdown_shows_hostile_names_as_text(hostile: pd.DataFrame) -> None:
    text = render(hostile, notes={"svhn": HOSTILE})
    assert "<" not in text
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;&amp;\|\_\*\[x\](y)" in text


def test_latex_shows_hostile_names_as_text(hostile: pd.DataFrame) -> None:
    text = render(hostile, format="latex", notes={"svhn": HOSTILE})
    assert r"alert(1)\textless{}/script\textgreater{}\&\textbar{}\_*{[}x{]}(y)" in text
    assert r"\textbackslash{}end\{table\}\%" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2


def test_latex_uses_booktabs(records: pd.DataFrame) -> None:
    text = render(records, format="latex", deviations={"ganad": "Quick recipe."})
    assert r"Test set & ganad\textsuperscript{1} & energy & msp \\" in text
    assert r"svhn & 98.00 (1.41) & 91.24 & \textbf{98.11}\textsuperscript{\dag{}} \\" in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert rule in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.count(" & ") for line in rows} == {3, 6}


@pytest.mark.parametrize("name", FORMATS)
def test_records_without_rows_make_an_empty_report(name: str) -> None:
    assert "nan" not in render(records_frame([]), format=name)


def test_tables_need_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, oodbench.report.tables\n"
        "assert not {'torch', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
