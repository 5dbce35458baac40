"""Share small distributions of plugins, a tiny benchmark, and a store with its classifier."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

os.environ.pop("COLUMNS", None)  # sentences are read as lines
if "PYTEST_XDIST_WORKER" in os.environ:  # two processes of two threads each wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OODBENCH_IN_PROCESS", "1")  # tests of the other process unset it

TINY = """
name = "tiny"
id = "digits"
ood = ["uniform", "photo-patches"]
classifier = "preact-resnet"
images_per_set = 200
calibration_images = 100
validation_images = 100
[parameters.preact-resnet]
epochs = 1
width = 4
"""
"""A benchmark that takes seconds and passes 700 images through its classifier."""


THREE = """
name = "three"
id = "digits[{digit}]"
ood = ["digits[!{digit}]", "uniform"]
classifier = "none"
images_per_set = 100
validation_images = 0
calibration_images = 50

[folds]
digit = ["0", "3", "8"]
"""
"""A benchmark of three folds, without a classifier."""


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the definition of three folds."""
    path = tmp_path_factory.mktemp("three") / "three.toml"
    path.write_text(THREE)
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the tiny benchmark's definition."""
    path = tmp_path_factory.mktemp("benchmarks") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def store(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store that tests share, with the tiny benchmark's classifier.

    It is trained here, by one thread: what comes out depends on the number of threads.
    """
    import oodbench

    folder = tmp_path_factory.mktemp("store")
    with kept_to_one_cpu():
        oodbench.run(
            benchmark=str(tiny),
            detectors=["msp"],
            store=folder,
            out=tmp_path_factory.mktemp("runs") / "first",
            engine="inline",
            device="cpu",
        )
    return folder


@pytest.fixture(scope="session")
def drawable(tiny: Path, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run, in the shared store, that figures can be drawn of."""
    import oodbench

    folder = tmp_path_factory.mktemp("runs") / "drawable"
    oodbench.run(
        benchmark=str(tiny),
        detectors=["ganad", "energy"],
        seeds=2,
        parameters={"ganad": {"recipe": "tiny", "steps": 3, "anomaly_steps": 3}},
        store=store,
        out=folder,
        engine="inline",
        device="cpu",
        precision="float32",
    )
    return folder


@contextmanager
def kept_to_one_cpu() -> Iterator[Callable[[int], None]]:
    """Keep this process, and those that it starts, to one CPU; yield a function to take another.

    On a busy machine, a training of tiny networks with two threads waits for the second one most
    of the time.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield lambda number: None
        return
    cpus = os.sched_getaffinity(0)
    first = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

    def take(number: int) -> None:
        os.sched_setaffinity(0, {sorted(cpus)[(first + number) % len(cpus)]})

    take(0)
    try:
        yield take
    finally:
        os.sched_setaffinity(0, cpus)


@pytest.fixture
def one_cpu() -> Iterator[Callable[[int], None]]:
    """Keep a test to one CPU, and return a function to take another."""
    with kept_to_one_cpu() as take:
        yield take


def write_distribution(folder: Path, name: str, source: str, version: str = "1.0") -> None:
    """Write what installing a plugin leaves: a module, and metadata that names its entry point.

    Args:
        folder: to be put on the import path.
        name: of the entry point and of the module; the distribution is called ``<name>-dist``.
        source: of the module.
        version: of the distribution.
    """
    (folder / f"{name}.py").write_text(source)
    metadata = folder / f"{name}_dist-{version}.dist-info"
    metadata.mkdir()
    text = f"Metadata-Version: 2.1\nName: {name}-dist\nVersion: {version}\n"
    (metadata / "METADATA").write_text(text)
    (metadata / "entry_points.txt").write_text(f"[oodbench]\n{name} = {name}\n")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install plugins, for this test and for the processes that it starts; return their folder."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    installed = []

    def write(name: str, source: str, version: str = "1.0") -> Path:
        write_distribution(folder, name, source, version)
        installed.append(name)
        importlib.invalidate_caches()
        return folder

    yield write
    for name in installed:
        sys.modules.pop(name, None)
