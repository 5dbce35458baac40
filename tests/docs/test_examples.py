"""The examples of the guides to arrays and scores run as they stand."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from following import blocks

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


def test_scores_of_openoods_python_interface(here: Path) -> None:
    import numpy as np

    given = [np.zeros(9, int), np.arange(9.0), np.zeros(9, int)]
    scores = {"id": {"test": given}, "ood": {"near": {}, "far": {"svhn": given}}}
    names: dict[str, object] = {"np": np, "Path": Path}
    run_block("tasks/own-scores.md", 1, names)
    names["save"](SimpleNamespace(scores=scores), "cifar10", "results/msp")
    (run,) = oodbench.import_openood("results", out="runs").runs
    assert run.records["auroc"].tolist()[1] == 0.5
