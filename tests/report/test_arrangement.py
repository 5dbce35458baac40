"""Tables in the rows and the order of published ones."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from oodbench.cli import main
from oodbench.errors import UnknownName, UserError
from oodbench.report.arrangement import arrangement
from oodbench.report.tables import FORMATS, render
from oodbench.results.columns import records_frame

RUN = Path(__file__).parents[2] / "results" / "mnist"


def records(*sets: str):
    key = {"id_dataset": "MNIST", "classifier": "net", "classifier_seed": 0}
    return records_frame(
        {**key, "ood_dataset": title, "detector": name, "auroc": 0.9, "acc95": 0.95, "ties": 0.0}
        for name in ("msp", "anogan", "ganad")
        for title in ("", *sets)
    )


def cells(line: str) -> list[str]:
    """Return the cells of a line of a Markdown table."""
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_has_the_rows_and_the_order_of_table_11() -> None:
    text = render(records("Uniform", "CIFAR-10-bw", "FashionMNIST"), like="table11")
    header, _, *rows = [cells(line) for line in text.splitlines() if line.startswith("|")]
    assert header == ["Test set", "ganad", "anogan", "msp"]
    assert [row[0] for row in rows[:3]] == ["MNIST accuracy", "FashionMNIST", "CIFAR-10-bw"]
    assert "\nAUROC in % on each OOD set; MNIST accuracy: Accuracy (0.95)\n" in text


def test_what_the_paper_prints_is_in_rows_of_its_own() -> None:
    text = render(records("CIFAR-10-bw", "FashionMNIST"), like="table11")
    rows = [cells(line) for line in text.splitlines() if "printed" in line]
    assert rows == [
        ["MNIST, printed", "95.7", "93.7", "-"],
        ["FashionMNIST, printed", "94.96", "-", "-"],
        ["CIFAR-10-bw, printed", "90.5", "61.2", "-"],
    ]
    assert "Printed: what the paper's Table 11 has in that place." in text


def test_nothing_is_printed_for_another_id_set_or_measure() -> None:
    known = records("FashionMNIST")
    assert "printed" not in render(known.assign(id_dataset="FashionMNIST"), like="table11")
    assert "printed" not in render(known.assign(fpr95=0.2), like="table11", metrics=("fpr95",))


def test_what_is_printed_is_in_the_kept_file_of_published_figures() -> None:
    like = arrangement("table11")
    printed = {
        (title, name): percent
        for title, row in like.printed.items()
        for name, percent in row.items()
    }
    kept = pd.read_csv(RUN.parent / "published" / "ganad-table-11.csv")
    keys = zip(kept["ood_dataset"], kept["measured_by"], strict=True)
    assert printed == dict(zip(keys, kept["percent"], strict=True))
    assert set(like.columns) == {name for _, name in printed}


@pytest.mark.parametrize("style", FORMATS)
def test_every_format_leaves_other_sets_out(style: str) -> None:
    text = render(records("Uniform", "FashionMNIST"), like="table11", format=style)
    assert "FashionMNIST" in text
    assert "Uniform" not in text


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(UnknownName, match="did you mean 'table11'"):
        render(records("FashionMNIST"), like="table12")


def test_a_run_on_other_sets_is_refused() -> None:
    with pytest.raises(UserError, match="the run has no row of that table"):
        render(records("Uniform"), like="table11")


def test_the_command_prints_it(capsys) -> None:
    assert main(["table", str(RUN), "--like", "table11", "--format", "latex"]) == 0
    output = capsys.readouterr().out
    assert output.count(r"\toprule") == 1
    assert "CIFAR-10-bw" in output
