"""Packs enter the leaderboard if they verify; others are left out, and the reason is given."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import oodbench
from oodbench.errors import InvalidData
from oodbench.leaderboard.build import read_leaderboard
from oodbench.measures.evaluation import recompute
from oodbench.results.run import Run, read_run, write_run
from oodbench.store.paths import data_folder
from oodbench.submission.admission import Verifier
from oodbench.submission.pack import write_pack

ID, UNIFORM = "Digits", "Uniform"


@pytest.fixture(scope="module")
def honest(tiny: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of the tiny benchmark."""
    folder = tmp_path_factory.mktemp("runs") / "honest"
    oodbench.run(
        benchmark=str(tiny),
        detectors=["msp"],
        store=store,
        out=folder,
        engine="inline",
        device="cpu",
    )
    return read_run(folder)


@pytest.fixture(scope="module")
def verifier(tiny: Path) -> Verifier:
    return Verifier(data_folder(None), str(tiny))


class Forgery:
    """A run's content, to be changed."""

    def __init__(self, run: Run) -> None:
        self.records = run.records.copy()
        self.scores, self.predictions = run.scores(), run.predictions()
        self.info: dict[str, Any] = copy.deepcopy(run.info)
        del self.info["files"]

    def recompute(self) -> None:
        """Make the records follow from the scores."""
        self.records = recompute(self.scores, self.predictions).assign(fit_seconds=0.0)

    def pack(self, folder: Path) -> Path:
        """Write a pack whose checksums are in order."""
        write_run(folder / "run", **vars(self))
        pack = folder / "packs" / "theirs.zip"
        pack.parent.mkdir()
        write_pack(read_run(folder / "run"), pack)
        return pack


def change_a_score(forged: Forgery) -> None:
    own = forged.scores["dataset"] == UNIFORM
    forged.scores.loc[forged.scores.index[own][0], "score"] = -9.0


def use_another_data_set(forged: Forgery) -> None:
    forged.info["request"]["fingerprints"]["ood"][UNIFORM] = "f" * 64


def drop_images(forged: Forgery) -> None:
    first = forged.scores.loc[forged.scores["dataset"] == UNIFORM, "index"][:20]
    for name in ("scores", "predictions"):
        frame: pd.DataFrame = getattr(forged, name)
        kept = (frame["dataset"] != UNIFORM) | ~frame["index"].isin(first)
        setattr(forged, name, frame[kept])
    forged.recompute()


def swap_id_and_ood(forged: Forgery) -> None:
    names = {ID: UNIFORM, UNIFORM: ID}
    for frame in (forged.scores, forged.predictions):
        test, titles = frame["split"] == "test", frame["dataset"].astype("str")
        frame["dataset"] = titles.where(~test, titles.replace(names))


CHEATS = [
    (change_a_score, f"auroc of msp on {UNIFORM} "),
    (use_another_data_set, f"the images of {UNIFORM} are not those of the benchmark"),
    (drop_images, f"{UNIFORM}: 180 images instead of 200"),
    (swap_id_and_ood, f"auroc of msp on {UNIFORM} "),
]


def test_a_pack_of_an_honest_run_is_opened(honest: Run, verifier: Verifier, tmp_path: Path) -> None:
    pack = Forgery(honest).pack(tmp_path)
    with verifier.open(pack) as folder:
        assert read_run(folder).records.equals(honest.records)
    assert not folder.exists()


@pytest.mark.parametrize(("cheat", "reason"), CHEATS)
def test_a_forged_pack_is_left_out_of_the_leaderboard_with_the_reason(
    honest: Run,
    verifier: Verifier,
    tmp_path: Path,
    cheat: Callable[[Forgery], None],
    reason: str,
) -> None:
    forged = Forgery(honest)
    cheat(forged)
    pack = forged.pack(tmp_path / "forged")
    found = read_leaderboard([pack.parent], verifier.open)
    (skipped,) = found.skipped
    assert skipped.path == pack
    assert f"does not fit: {reason}" in skipped.reason
    assert found.boards == []
    found.write(tmp_path / "site")
    assert reason in (tmp_path / "site" / "index.html").read_text()


def test_an_honest_pack_stands_beside_the_runs_of_ones_own(
    honest: Run, verifier: Verifier, tmp_path: Path
) -> None:
    write_pack(honest, tmp_path / "theirs.zip")
    found = read_leaderboard([tmp_path, honest.directory], verifier.open)
    ((standing,),) = [board.standings for board in found.boards]
    assert found.skipped == []
    assert {*standing.entry.runs} == {tmp_path / "theirs.zip", honest.directory}
    found.write(tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    assert "theirs.zip (verified pack)" in page
    assert "honest (own run)" in page


def test_without_a_verifier_packs_are_left_out(honest: Run, tmp_path: Path) -> None:
    write_pack(honest, tmp_path / "theirs.zip")
    found = read_leaderboard([tmp_path])
    assert found.boards == []
    (skipped,) = found.skipped
    assert skipped.reason == "was not verified"


def test_what_is_no_pack_is_named(verifier: Verifier, tmp_path: Path) -> None:
    (tmp_path / "notes.zip").write_bytes(b"no archive")
    with pytest.raises(InvalidData, match=r"notes\.zip"), verifier.open(tmp_path / "notes.zip"):
        pass


def test_a_pack_of_no_installed_benchmark_is_refused(honest: Run, tmp_path: Path) -> None:
    write_pack(honest, tmp_path / "theirs.zip")
    verifier = Verifier(data_folder(None))
    with pytest.raises(InvalidData, match="'tiny', which is not an installed benchmark"):
        verifier.open(tmp_path / "theirs.zip").__enter__()
