"""The examples of the guides to arrays and scores run as they stand."""

import re
from pathlib import Path

import pytest
from following import SITE, blocks

import oodbench


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def run_block(page: str, number: int, names: dict[str, object] | None = None) -> None:
    found = [block.text for block in blocks(page) if block.language == "python"]
    exec(compile(found[number], page, "exec"), {} if names is None else names)


def test_features_and_logits_of_an_mlp_on_a_table(here: Path, capsys) -> None:
    run_block("tasks/own-arrays.md", 0)
    records = oodbench.read_run(here / "tabular").records
    assert (records["status"] == "ok").all()
    assert (records["id_accuracy"] > 0.9).all()
    assert "fitted by least squares" in oodbench.read_run(here / "tabular").info["notes"]["ID"]
    assert "gaussian" in capsys.readouterr().out


def test_sentence_embeddings_of_texts(here: Path) -> None:
    pytest.importorskip("all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    run_block("tasks/own-arrays.md", 1)
    run = oodbench.read_run(here / "texts")
    assert (run.records["status"] == "ok").all()
    assert (run.records["id_accuracy"] > 0.7).all()
    assert (run.table() > 0.7).all(axis=None)


def test_scores_in_memory(here: Path, capsys) -> None:
    run_block("tasks/own-scores.md", 0)
    assert oodbench.read_run(here / "results" / "mine").records["n_ood"].tolist() == [0, 800, 900]
    assert "Textures" in capsys.readouterr().out


def test_scores_in_the_files_of_openood(here: Path) -> None:
    import numpy as np

    (here / "scores").mkdir()
    for name in ("cifar10", "svhn"):
        values = {"conf": np.arange(9.0), "pred": np.zeros(9, int), "label": np.zeros(9, int)}
        np.savez(here / "scores" / f"{name}.npz", **values)
    text = (SITE / "tasks" / "own-scores.md").read_text(encoding="utf-8")
    (call,) = re.findall(r"^`(oodbench\.evaluate\(pd\..*)`$", text, re.MULTILINE)
    names: dict[str, object] = {"np": np, "oodbench": oodbench}
    run_block("tasks/own-scores.md", 1, names)
    assert eval(call, names).records["auroc"].tolist()[1] == 0.5
