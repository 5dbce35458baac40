"""A cluster of machines that share nothing but an object storage, and of which one is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import object_storage
import pandas as pd
import pytest
from conftest import kept_to_one_cpu

import oodbench
from oodbench.engine.worker import Outcome
from oodbench.plan.jobs import Job, Ref

pytestmark = pytest.mark.slow

TIMES = ["fit_seconds", "score_seconds"]

DIGITS = """
name = "small-digits"
id = "digits"
ood = ["glyphs", "photo-patches", "rotated-digits", "uniform", "gaussian"]
classifier = "preact-resnet"
images_per_set = 100
calibration_images = 100
validation_images = 100
[parameters.preact-resnet]
epochs = 1
width = 4
[parameters.ganad]
recipe = "tiny"
steps = 3
anomaly_steps = 3
"""

MACHINE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}

PLUGIN = """
from oodbench.contracts import Detector, Info, Need

class Alone(Detector):
    info = Info(name="alone", summary="Installed where the run is started, and nowhere else.")
    needs = frozenset({Need.INPUTS})

    def score(self, batch):
        return batch.inputs.mean((1, 2, 3))
"""


class Machines:
    """Three machines of one CPU, each with a cache folder of its own."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self._folder = folder
        self._count = 0
        self.cluster = Cluster()
        self.nodes = [self.add() for _ in range(3)]
        self.cluster.wait_for_nodes()

    def add(self):
        """Start a machine."""
        self._count += 1
        cache = self._folder / f"machine-{self._count}"
        return self.cluster.add_node(**MACHINE, env_vars={"XDG_CACHE_HOME": str(cache)})

    def lose(self) -> None:
        """Have the last machine die, with all its processes."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)


class Watch:
    """An observer that counts how often jobs start and end, and does something in the middle."""

    def __init__(self, after: int, happens: Callable[[], None]) -> None:
        self.starts: Counter[Ref] = Counter()
        self.ends: Counter[Ref] = Counter()
        self._after = after
        self._happens = happens

    def planned(self, jobs) -> None:
        pass

    def started(self, job: Job) -> None:
        self.starts[job.ref] += 1

    def progressed(self, job, done, total, figures) -> None:
        pass

    def waiting(self, job) -> None:
        pass

    def finished(self, job: Job, outcome: Outcome) -> None:
        self.ends[job.ref] += 1
        if self.ends.total() == self._after:
            self._happens()


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the folder of the caches of all machines, that of the run's own included."""
    folder = tmp_path_factory.mktemp("machines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # or on a busy computer workers would starve
        patch.setenv("XDG_CACHE_HOME", str(folder / "head"))
        yield folder


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_storage.bucket() as url:
        yield url


@pytest.fixture(scope="module")
def machines(bucket: str, folder: Path) -> Iterator[Machines]:
    """Start a cluster whose machines reach the bucket."""
    machines = Machines(folder)
    yield machines
    machines.cluster.shutdown()


def test_plugins_are_sent_to_machines_that_lack_them(
    machines: Machines, bucket: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "oodbench_alone"
    package.mkdir()
    (package / "__init__.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    from oodbench_alone import Alone

    run = oodbench.run(
        benchmark=str(tiny),
        detectors=[Alone()],
        device="cpu",
        data=tmp_path / "data",
        store=f"{bucket}/plugins",
        out=tmp_path / "run",
        ray_address=machines.cluster.address,
    )
    assert set(run.records["status"]) == {"ok"}


def test_when_a_machine_is_lost_its_jobs_alone_are_made_again(
    machines: Machines, bucket: str, tmp_path: Path, capfd
) -> None:
    (tmp_path / "digits.toml").write_text(DIGITS)
    settings = {
        "benchmark": str(tmp_path / "digits.toml"),
        "detectors": ["msp", "mahalanobis", "isolation-forest", "ganad"],
        "seeds": 3,
        "device": "cpu",
        "data": tmp_path / "data",
    }
    watch = Watch(40, machines.lose)
    capfd.readouterr()
    run = oodbench.run(
        **settings,
        store=f"{bucket}/prefix",
        out=tmp_path / "on-cluster",
        ray_address=machines.cluster.address,
        observer=watch,
    )
    assert capfd.readouterr() == ("", "")
    assert len(machines.nodes) == 2
    assert watch.ends.total() == len(watch.ends) == run.info["jobs_run"]
    assert watch.starts.total() - len(watch.starts) <= 1  # a machine has 1 CPU
    with kept_to_one_cpu():
        inline = oodbench.run(
            **settings, store=tmp_path / "store", out=tmp_path / "inline", engine="inline"
        )
    assert inline.info["jobs_run"] == run.info["jobs_run"]
    pd.testing.assert_frame_equal(
        run.records.drop(columns=TIMES), inline.records.drop(columns=TIMES), check_exact=True
    )
    pd.testing.assert_frame_equal(run.scores(), inline.scores(), check_exact=True)
