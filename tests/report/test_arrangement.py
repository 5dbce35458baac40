"""Tables in the rows and the order of published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from oodbench.cli import main
from oodbench.errors import UnknownName, UserError
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


def test_has_the_rows_and_the_order_of_table_11() -> None:
    text = render(records("Uniform", "CIFAR-10-bw", "FashionMNIST"), like="table11")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert rows == ["Test set", ":---------------", "MNIST accuracy", "FashionMNIST", "CIFAR-10-bw"]
    assert "\nAUROC in % on each OOD set; MNIST accuracy: Accuracy (0.95)\n" in text
    (header,) = [line for line in text.splitlines() if "Test set" in line]
    assert [name.strip() for name in header.split("|")[2:-1]] == ["ganad", "anogan", "msp"]


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
