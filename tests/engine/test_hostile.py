"""Detectors that take down what they can lose their own rows; the others' rows are as without."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sample_detectors as sample

import oodbench
from oodbench.contracts import Detector
from oodbench.engine import child, memory
from oodbench.engine.inline import IN_PROCESS
from oodbench.results.columns import RECORD

ENGINES = ["inline", "ray"]
COMPARED = [name for name in RECORD if name not in ("fit_seconds", "score_seconds")]
FREE = 2**29
"""The memory that tests say is free."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes end by signals")


class HangsInFit(sample.Distance):
    info = sample.info("hangs-in-fit")

    def fit(self, train, context):
        return sample.Hangs().score(None)


class HoardsInFit(sample.Distance):
    info = sample.info("hoards-in-fit")

    def fit(self, train, context):
        return sample.Hoards().score(None)


@pytest.fixture
def run(tiny: Path, store: Path, tmp_path: Path, one_cpu, monkeypatch) -> Callable:
    """Return a function that runs the tiny benchmark with third-party detectors kept apart."""
    monkeypatch.delenv(IN_PROCESS)
    folders = (Path(sample.__file__).parent, Path(__file__).parent)
    for folder in folders:  # for the workers
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)

    def run_tiny(detectors: list[Detector], name: str, **options) -> oodbench.Run:
        return oodbench.run(
            benchmark=str(tiny),
            detectors=detectors,
            store=store,
            out=tmp_path / name,
            data=tmp_path / "data",
            device="cpu",
            **options,
        )

    return run_tiny


def check(run, engine: str, hostile: dict[Detector, str], **options) -> None:
    """Check that hostile detectors fail with their errors, and the others are as without them."""
    sound = [sample.Confidence(), sample.Drawn()]
    detectors = [sample.ChangesProcess(), *hostile, *sound]
    mixed = run(detectors, "mixed", engine=engine, **options).records.set_index("detector")
    alone = run(sound, "alone", engine="inline", force=True).records.set_index("detector")
    for detector, error in hostile.items():
        own = mixed.loc[[detector.info.name]]
        assert set(own["status"]) == {"failed"}
        assert own["error"].str.contains(error, regex=False).all(), own["error"].tolist()
    assert set(mixed.loc["changes-process", "status"]) == {"ok"}
    columns = [name for name in COMPARED if name != "detector"]
    for detector in sound:
        found, expected = (
            frame.loc[detector.info.name, columns].astype("str").to_numpy().tolist()
            for frame in (mixed, alone)
        )
        assert found == expected


LOST = {
    "inline": "its process was ended by SIGSEGV",
    "ray": "its process was lost 2 times: ",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_crash_and_changed_settings_harm_no_other(run, engine: str) -> None:
    hostile = {sample.Crashes(): LOST[engine], sample.Panics(): "Panic: index out of bounds"}
    check(run, engine, hostile)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_all_that_detectors_can_do_harms_no_other(run, engine: str, monkeypatch) -> None:
    ended = {**LOST, "inline": "its process ended with exit code 3"}
    hostile = {
        sample.Crashes(): LOST[engine],
        sample.Ends(): ended[engine],
        HangsInFit(): "took longer than 20 s (--timeout)",
        sample.Cancels(): "CancelledError: enough",
        sample.Panics(): "Panic: index out of bounds",
        sample.Exits(): "SystemExit: bye",
        sample.PretendsInterrupt(): "KeyboardInterrupt",
        sample.ReturnsNan(): "NaN or infinite",
    }
    check(run, engine, hostile, timeout=20)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_without_end_harms_no_other(run, monkeypatch) -> None:
    monkeypatch.setattr(child, "free_memory", lambda: FREE)
    monkeypatch.setattr(memory, "free_memory", lambda: FREE)
    check(run, "inline", {HoardsInFit(): "GiB of memory, 95% of what was free"})
