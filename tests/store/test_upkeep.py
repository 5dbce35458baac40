"""A store is measured, examined and cleaned up without harm to what is kept or in use."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from oodbench.cli import main
from oodbench.errors import UserError
from oodbench.runs.evaluated import evaluate
from oodbench.store import upkeep
from oodbench.store.artifacts import DAY_SECONDS, Store
from oodbench.store.leases import Leases

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def filled(tmp_path: Path) -> Store:
    """Return a store of three artifacts of 1,000 bytes, one of them 40 days old."""
    store = Store(tmp_path / "store")
    for stage, key in (("fit", OLD), ("fit", NEW), ("score", OTHER)):
        with store.create(stage, key) as draft:
            (draft / "x.bin").write_bytes(b"x" * 1000)
    moment = time.time() - 40 * DAY_SECONDS
    os.utime(store.root / "fit" / OLD, (moment, moment))
    return store


@pytest.fixture
def command(filled: Store, capsys):
    """Return a function that types ``oodbench store ...``: exit code, output and errors."""

    def type_in(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["store", *words, "--store", str(filled.root)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return type_in


def left(store: Store) -> list[str]:
    return list(upkeep.places(store))


def test_the_extent_of_each_stage_and_of_unfinished_work_is_shown(filled, command) -> None:
    (filled.root / "checkpoints").mkdir()
    (filled.root / "checkpoints" / f"train-{OLD}").write_bytes(b"x" * 500)
    code, text, _ = command("status")
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()[2:]}
    assert code == 0
    assert rows["fit"][0] == "2"
    assert rows["checkpoints"] == ["1", "500", "bytes"]
    assert float(rows["fit"][1]) == pytest.approx(2 * float(rows["score"][1]), rel=0.1)


def test_damaged_artifacts_are_named_and_left_for_the_next_run(filled, command) -> None:
    assert command("verify")[:2] == (0, "verified: 3 artifacts are sound\n")
    (filled.root / "fit" / NEW / "x.bin").write_bytes(b"y" * 1000)
    (filled.root / "score" / OTHER).rename(filled.root / "score" / NEW)
    code, _, errors = command("verify")
    assert code == 1
    assert errors.splitlines()[:2] == [f"damaged: fit/{NEW}", f"damaged: score/{NEW}"]
    assert len(left(filled)) == 3


def test_old_artifacts_that_no_kept_run_names_are_removed(filled, command, tmp_path) -> None:
    assert "would remove 1 artifacts" in command("gc", "--dry-run")[1]
    assert len(left(filled)) == 3
    assert "removed 1 artifacts" in command("gc")[1]
    assert left(filled) == [f"fit/{NEW}", f"score/{OTHER}"]
    assert "removed 2 artifacts" in command("gc", "--older", "0d")[1]
    assert left(filled) == []


def test_what_a_kept_run_names_stays(drawable: Path, command, filled, tmp_path) -> None:
    folder = tmp_path / "kept" / "one"
    folder.mkdir(parents=True)
    info = json.loads((drawable / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(info | {"jobs": {f"fit/{OLD}": "fit"}}))
    command("gc", "--older", "0h", "--keep", str(tmp_path / "kept"))
    assert left(filled) == [f"fit/{OLD}"]


def test_kept_runs_of_scores_computed_elsewhere_need_no_artifacts(
    filled, command, tmp_path
) -> None:
    evaluate([0.1, 0.2], {"far": [0.9, 0.8]}, larger_is="ood", out=tmp_path / "kept" / "given")
    code, text, errors = command("gc", "--keep", str(tmp_path / "kept"))
    assert (code, errors) == (0, "")
    assert "removed 1 artifacts" in text


def test_nothing_is_removed_where_a_kept_run_names_no_artifacts(
    drawable: Path, command, filled, tmp_path
) -> None:
    info = json.loads((drawable / "run.json").read_text())
    del info["jobs"]
    (tmp_path / "run.json").write_text(json.dumps(info))
    code, _, errors = command("gc", "--older", "0h", "--keep", str(tmp_path))
    assert code == 2
    assert "does not name the artifacts that the run needs" in errors
    assert len(left(filled)) == 3


def test_nothing_is_removed_where_a_kept_run_cannot_be_read(filled, command, tmp_path) -> None:
    assert command("gc", "--keep", str(tmp_path / "none"))[0] == 2
    (tmp_path / "run.json").write_text("{")
    assert command("gc", "--keep", str(tmp_path))[0] != 0
    assert len(left(filled)) == 3


def test_artifacts_are_removed_by_name(filled, command) -> None:
    assert "removed 1 artifacts" in command("rm", f"fit/{NEW}")[1]
    assert "removed 2 artifacts" in command("rm", "fit", f"fit/{OLD}", "score")[1]
    assert left(filled) == []


@pytest.mark.parametrize("name", ["fits", f"fit/{OTHER}", "../store", "tmp", ""])
def test_a_name_of_nothing_is_refused(filled, command, name) -> None:
    code, _, errors = command("rm", name)
    assert code == 2
    assert "no artifact" in errors
    assert len(left(filled)) == 3


def test_nothing_is_removed_while_a_run_uses_the_store(filled) -> None:
    with Leases(filled.leases) as leases:
        leases.take("job")
        with pytest.raises(UserError, match="a run is using the store"):
            upkeep.remove(filled, left(filled))
    assert upkeep.remove(filled, left(filled)) > 3000


def test_a_folder_that_is_no_store_is_refused_and_not_made(tmp_path: Path, capsys) -> None:
    assert main(["store", "status", "--store", str(tmp_path / "none")]) == 2
    assert "there is no artifact store" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("action", ["status", "verify", "gc", "rm"])
def test_a_folder_of_other_files_is_no_store_and_loses_nothing(tmp_path, capsys, action) -> None:
    own = [tmp_path / "papers" / "thesis" / "text.md", tmp_path / "tmp" / "notes.md"]
    for path in own:
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        os.utime(path, (0, 0))
    os.utime(tmp_path / "papers" / "thesis", (0, 0))
    names = ["papers"] if action == "rm" else []
    assert main(["store", action, *names, "--store", str(tmp_path)]) == 2
    assert f"'{tmp_path / 'papers' / 'thesis'}' is no artifact" in capsys.readouterr().err
    assert all(path.read_text() == "mine" for path in own)


def test_hidden_files_in_a_store_are_no_artifacts(filled, command) -> None:
    (filled.root / "fit" / ".DS_Store").write_bytes(b"x")
    assert command("verify")[:2] == (0, "verified: 3 artifacts are sound\n")
    assert "removed 3 artifacts" in command("gc", "--older", "0d")[1]


def test_an_age_that_is_none_is_refused(capsys) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(["store", "gc", "--older", "month"])
    assert exit_code.value.code == 2
    assert "not an age such as" in capsys.readouterr().err
