"""The engine that is chosen where none is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

import oodbench
from oodbench import hardware


def test_fits_that_draw_nothing_do_not_start_ray(
    tiny: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "count_cpus", lambda: 2)
    finished = oodbench.run(
        benchmark=str(tiny),
        detectors=["mahalanobis", "rmd"],
        store=store,
        out=tmp_path / "run",
        data=tmp_path / "data",
        device="cpu",
    )
    assert finished.info["engine"] == "inline"
    assert set(finished.records["status"]) == {"ok"}
