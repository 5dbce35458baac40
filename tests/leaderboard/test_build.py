"""The leaderboard's files: the same bytes for the same runs, escaped, and asking nobody."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_runs import make_run

from oodbench.errors import InvalidData, UserError
from oodbench.leaderboard.boards import build_boards
from oodbench.leaderboard.build import Leaderboard, read_leaderboard
from oodbench.leaderboard.finding import find_entries
from oodbench.leaderboard.published import find_published
from oodbench.leaderboard.texts import write_markdown
from oodbench.results.columns import PUBLISHED

SCRIPT = "<script>alert(1)</script>"
FILES = ["index.html", "leaderboard.md", "leaderboard.csv", "leaderboard.tex"]


class Page(HTMLParser):
    """Collect the tags of a page, the addresses that it names, and the text of its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.cells: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.ids += [values["id"]] if values.get("id") else []
        self.addresses += [values[name] for name in ("href", "src", "action") if values.get(name)]
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells and self.tags[-1] not in ("script", "style"):
            self.cells[-1] += data


def build(folder: Path, out: Path) -> dict[str, str]:
    read_leaderboard([folder]).write(out)
    return {name: (out / name).read_text(encoding="utf-8") for name in FILES}


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "one")
    make_run(tmp_path / "runs" / "two", {"ganad": 2.0}, seeds=(0, 1))
    first = build(tmp_path / "runs", tmp_path / "site")
    assert first == build(tmp_path / "runs", tmp_path / "site")


def test_id_acceptance_off_target_is_marked_and_explained(tmp_path: Path) -> None:
    made = make_run(tmp_path / "made", {"energy": 1.0, "msp": 0.5})
    share = made.records["detector"].map({"energy": 0.95, "msp": 0.5})
    make_run(
        tmp_path / "runs", {"energy": 1.0, "msp": 0.5}, records=made.records.assign(acc95=share)
    )
    texts = build(tmp_path / "runs", tmp_path / "site")
    sentence = "ID test images accepted in place of 95 %: msp 50.00 %."
    assert sentence in texts["leaderboard.md"]
    assert sentence in texts["index.html"]
    assert "50.00‡ |" in texts["leaderboard.md"]
    assert "95.00 |" in texts["leaderboard.md"]
    assert "50.00‡\n" in Page(texts["index.html"]).cells


def test_a_sentence_that_detectors_share_is_printed_once(tmp_path: Path) -> None:
    said = {"energy": "Quick recipe. In float64.", "msp": "Quick recipe."}
    make_run(tmp_path / "runs", {"energy": 1.0, "msp": 0.5}, deviations=said)
    text = build(tmp_path / "runs", tmp_path / "site")["leaderboard.md"]
    assert "- energy, msp: Quick recipe.\n- energy: In float64.\n" in text


def test_what_holds_for_some_entries_of_a_detector_names_them(tmp_path: Path) -> None:
    make_run(tmp_path / "one", {"energy": 1.0}, deviations={"energy": "Quick. In float64."})
    make_run(
        tmp_path / "two",
        {"energy": 1.0},
        benchmark="other",
        request={"images_per_set": 61},
        deviations={"energy": "Quick. Half the images."},
    )
    text = write_markdown(build_boards(find_entries([tmp_path])[0]), [])
    assert "- energy: Quick.\n" in text
    assert "- energy on made: In float64.\n" in text
    assert "- energy on other: Half the images.\n" in text


def test_every_file_has_every_detector(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", {"energy": 1.0, "msp": 0.5})
    for text in build(tmp_path / "runs", tmp_path / "site").values():
        assert "energy" in text
        assert "msp" in text


def test_a_detector_called_like_a_script_does_no_harm(tmp_path: Path) -> None:
    make_run(
        tmp_path / "runs",
        {SCRIPT: 1.0, "msp": 0.5},
        benchmark=SCRIPT,
        deviations={SCRIPT: f"{SCRIPT} \"'"},
        plugins={SCRIPT: SCRIPT},
        papers={SCRIPT: {"citation": SCRIPT, "url": "javascript:alert(1)"}},
    )
    texts = build(tmp_path / "runs", tmp_path / "site")
    page = Page(texts["index.html"])
    assert page.tags.count("script") == 2  # the library and our own
    assert "javascript:alert(1)" not in page.addresses
    assert any(SCRIPT in cell for cell in page.cells)
    assert SCRIPT not in texts["leaderboard.md"]


def test_the_page_asks_no_outside_address(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a run")
    text = build(tmp_path / "runs", tmp_path / "site")["index.html"]
    page = Page(text)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not re.search(r"@import|url\(", text.partition("</style>")[0])
    assert not [each for each in page.addresses if ":" in each or each.startswith("//")]
    assert "default-src 'none'" in text


def test_links_lead_to_the_files_of_the_runs(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a run")
    text = build(tmp_path / "runs", tmp_path / "site")["index.html"]
    page = Page(text)
    assert "../runs/a%20run/records.csv" in page.addresses
    assert {each[1:] for each in page.addresses if each.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_a_paper_is_linked(tmp_path: Path) -> None:
    papers = {"energy": {"citation": "Liu et al. NeurIPS 2020", "url": "https://arxiv.org/abs/1"}}
    make_run(tmp_path / "runs", papers=papers)
    page = Page(build(tmp_path / "runs", tmp_path / "site")["index.html"])
    assert "https://arxiv.org/abs/1" in page.addresses


def test_what_was_left_out_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs" / "broken").mkdir(parents=True)
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    text = build(tmp_path / "runs", tmp_path / "site")["index.html"]
    assert "Left out" in text
    assert "../runs/broken" in text


def test_the_csv_has_fractions_for_each_set_and_the_mean(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs", {"energy": 1.0})
    text = build(tmp_path / "runs", tmp_path / "site")["leaderboard.csv"]
    rows = {row["ood_dataset"]: row for row in csv.DictReader(io.StringIO(text))}
    assert list(rows) == ["Glyphs", "Uniform", "(mean)"]
    records = run.records.set_index("ood_dataset")["auroc"]
    assert float(rows["Glyphs"]["auroc_mean"]) == pytest.approx(records["Glyphs"])
    assert rows["(mean)"]["rank"] == "1"


def test_costs_are_shown_and_those_not_recorded_are_dashes(tmp_path: Path) -> None:
    costs = {"energy": {"peak_memory": 812_300_000, "parameters": 1234, "forward_passes": 3.0}}
    make_run(tmp_path / "runs" / "new", {"energy": 2.0}, costs=costs, classifier_parameters=78_000)
    make_run(tmp_path / "runs" / "old", {"msp": 1.0})
    texts = build(tmp_path / "runs", tmp_path / "site")
    lines = [line for line in texts["leaderboard.md"].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.split("|")[-4:-1]] for line in lines]
    assert cells[0] == ["Memory (MB)", "Parameters", "Passes"]
    assert cells[2:] == [["812", "1,234", "3"], ["-", "-", "-"]]
    assert "Classifier net: 78,000 weights; width 4." in texts["leaderboard.md"]
    first, *_ = csv.DictReader(io.StringIO(texts["leaderboard.csv"]))
    assert (float(first["peak_memory"]), float(first["fit_seconds"])) == (812_300_000, 2.0)


def test_latex_has_the_groups_in_booktabs(tmp_path: Path) -> None:
    groups = {"near": ["Glyphs"], "far": ["Uniform"]}
    make_run(tmp_path / "runs", {"energy": 1.0}, request={"groups": groups})
    text = build(tmp_path / "runs", tmp_path / "site")["leaderboard.tex"]
    assert r"\toprule" in text
    assert "AUROC & 95 \\% interval & near & far & Glyphs & Uniform & FPR95" in text


def publish(folder: Path, **changes: str) -> None:
    row = dict.fromkeys(PUBLISHED, "")
    row |= {"source": "Some et al. 2020", "table": "3", "id_dataset": "Digits"}
    row |= {"detector": "their-ad", "ood_dataset": "Uniform", "measure": "AUROC"}
    row |= {"percent": "99.99", "std": "0.01", "protocol": "Another network.", **changes}
    folder.mkdir(exist_ok=True)
    with (folder / "figures.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, PUBLISHED)
        writer.writeheader()
        writer.writerow(row)


def test_published_figures_stand_apart_and_are_not_ranked(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "run", {"energy": 1.0})
    publish(tmp_path / "runs" / "published", note="The caption says otherwise.")
    texts = build(tmp_path / "runs", tmp_path / "site")
    (standings, apart) = re.findall(r"<table.*?</table>", texts["index.html"], re.DOTALL)
    assert "their-ad" not in standings
    assert "their-ad" in apart
    assert "99.99 (0.01)" in apart
    assert "not ranked" in apart
    assert "Another network. The caption says otherwise." in texts["index.html"]
    assert "their-ad" not in texts["leaderboard.csv"]


def test_published_figures_of_a_group_stand_in_its_column(tmp_path: Path) -> None:
    groups = {"near": ["Glyphs"], "far": ["Uniform"]}
    make_run(tmp_path / "runs" / "run", {"energy": 1.0}, request={"groups": groups})
    publish(tmp_path / "runs" / "published", ood_dataset="far", std="")
    page = build(tmp_path / "runs", tmp_path / "site")["index.html"]
    (_, apart) = re.findall(r"<table.*?</table>", page, re.DOTALL)
    assert re.findall(r"<t[hd](?: [^>]*)?>([^<]*)", apart) == [
        *("Detector", "Source", "AUROC", "far"),
        *("their-ad", "Some et al. 2020, Table 3", "99.99"),
    ]


def test_a_published_method_has_one_row_with_its_measures_side_by_side(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "run", {"energy": 1.0})
    publish(tmp_path / "runs" / "one", std="")
    publish(tmp_path / "runs" / "two", std="", measure="FPR95", percent="1.50")
    publish(tmp_path / "runs" / "three", std="", detector="other", ood_dataset="Glyphs")
    page = build(tmp_path / "runs", tmp_path / "site")["index.html"]
    (_, apart) = re.findall(r"<table.*?</table>", page, re.DOTALL)
    cells = re.findall(r"<t[hd](?: [^>]*)?>([^<]*)", apart)
    assert cells[:7] == ["Detector", "Source", "AUROC", "FPR95", "Glyphs", "Uniform", "Uniform"]
    assert cells[7:12] == ["their-ad", "Some et al. 2020, Table 3", "-", "99.99", "1.50"]
    assert cells[12:] == ["other", "Some et al. 2020, Table 3", "99.99", "-", "-"]


def test_boards_of_one_name_are_told_apart_by_the_classifiers_parameters(tmp_path: Path) -> None:
    for width in (4, 8):
        classifier = {"net": {"width": width}}
        make_run(tmp_path / "runs" / str(width), {"msp": 1.0}, request={"classifier": classifier})
    page = build(tmp_path / "runs", tmp_path / "site")["index.html"]
    headings = re.findall(r'<h2 id="board-\d-title">([^<]*)', page)
    assert [heading.partition(", accuracy")[0] for heading in headings] == [
        "made: Digits, net (width 4)",
        "made: Digits, net (width 8)",
    ]


def test_the_difference_stands_below_a_published_figure_of_the_same_protocol(
    tmp_path: Path,
) -> None:
    make_run(tmp_path / "runs" / "run", {"energy": 1.0, "msp": 2.0})
    publish(tmp_path / "runs" / "published", benchmark="made", measured_by="energy")
    texts = build(tmp_path / "runs", tmp_path / "site")
    entries = csv.DictReader(io.StringIO(texts["leaderboard.csv"]))
    (ours,) = [
        100 * float(row["auroc_mean"])
        for row in entries
        if (row["detector"], row["ood_dataset"]) == ("energy", "Uniform")
    ]
    lines = [line for line in texts["leaderboard.md"].splitlines() if "Table 3" in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:2]]
    difference = f"{ours - 99.99:+.2f}"
    assert cells == [
        ["their-ad", "Some et al. 2020, Table 3", "AUROC", "-", "99.99 (0.01)"],
        ["energy", "measured here, minus Table 3", "AUROC, difference", "-", difference],
    ]
    (_, apart) = re.findall(r"<table.*?</table>", texts["index.html"], re.DOTALL)
    assert f"<td>{difference}</td>" in apart


@pytest.mark.parametrize(
    "changes", [{"benchmark": "other"}, {"measured_by": "msp"}, {"measure": "FPR95TPR"}]
)
def test_no_difference_to_what_is_measured_otherwise(tmp_path: Path, changes) -> None:
    make_run(tmp_path / "runs" / "run", {"energy": 1.0})
    same = {"benchmark": "made", "measured_by": "energy", "measure": "AUROC"}
    publish(tmp_path / "runs" / "published", **same | changes)
    assert "measured here" not in build(tmp_path / "runs", tmp_path / "site")["leaderboard.md"]


def test_published_figures_of_another_id_set_are_not_shown(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "run")
    publish(tmp_path / "runs" / "published", id_dataset="MNIST")
    assert "their-ad" not in build(tmp_path / "runs", tmp_path / "site")["index.html"]


def test_what_is_named_like_published_figures_and_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    assert find_published([tmp_path]) == []


def test_a_leaderboard_that_cannot_be_written_says_which_file(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    with pytest.raises(UserError, match=r"to '.*/index\.html': Is a directory$"):
        Leaderboard([], [], []).write(tmp_path)


@pytest.mark.parametrize("value", ["many", "101", "-1"])
def test_an_ill_formed_published_figure_is_refused(tmp_path: Path, value: str) -> None:
    publish(tmp_path / "published", percent=value)
    with pytest.raises(InvalidData, match="line 2"):
        read_leaderboard([tmp_path])
