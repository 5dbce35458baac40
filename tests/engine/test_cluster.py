"""A cluster of machines that share nothing but an object storage, and what happens to it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import object_storage
import pandas as pd
import pytest
from conftest import kept_to_one_cpu

import oodbench
from oodbench.engine.worker import Outcome
from oodbench.errors import UserError
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

    def add(self, **variables: str):
        """Start a machine with a cache folder of its own, and environment variables."""
        self._count += 1
        cache = self._folder / f"machine-{self._count}"
        variables = {"XDG_CACHE_HOME": str(cache), **variables}
        return self.cluster.add_node(**MACHINE, env_vars=variables)

    def lose(self) -> None:
        """Have the last machine die, with all its processes."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def lose_head(self) -> None:
        """Have the process die that holds the cluster together."""
        (head,) = self.cluster.head_node.all_processes["gcs_server"]
        head.process.kill()

    def kill_worker(self) -> None:
        """Kill a process that runs jobs, as a machine does that is short of memory."""
        raylets = [str(node.all_processes["raylet"][0].process.pid) for node in self.nodes]
        busy = ["-P", ",".join(raylets), "-f", "^ray::_execute_remotely"]
        subprocess.run(["pkill", "-KILL", "-n", *busy], check=True)


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


def test_a_machine_with_other_code_is_refused(
    folder: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "oodbench"
    shutil.copytree(Path(oodbench.__file__).parent, other)
    for path in (other / "stages").glob("*.py"):
        path.write_text(f"{path.read_text()}\nCHANGED = True\n")
    machines = Machines(folder)
    machines.add(PYTHONPATH=str(other.parent))
    monkeypatch.chdir(tmp_path)  # workers import from the working directory first
    try:
        with pytest.raises(UserError, match="has another version of oodbench"):
            oodbench.run(
                benchmark=str(tiny),
                detectors=["msp", "energy", "maxlogit"],
                device="cpu",
                data=tmp_path / "data",
                store=tmp_path / "store",
                out=tmp_path / "run",
                ray_address=machines.cluster.address,
            )
    finally:
        machines.cluster.shutdown()


@pytest.fixture(scope="module")
def settings(folder: Path) -> dict[str, Any]:
    """Return the options of a run of about a hundred jobs."""
    path = folder / "digits.toml"
    path.write_text(DIGITS)
    detectors = ["msp", "mahalanobis", "isolation-forest", "ganad"]
    return {
        "benchmark": str(path),
        "detectors": detectors,
        "seeds": 3,
        "device": "cpu",
        "data": folder / "data",
    }


@pytest.fixture(scope="module")
def inline(settings: dict[str, Any], folder: Path) -> oodbench.Run:
    """Return that run, made without a cluster."""
    with kept_to_one_cpu():
        return oodbench.run(
            **settings, store=folder / "store", out=folder / "inline", engine="inline"
        )


def assert_same(run: oodbench.Run, inline: oodbench.Run) -> None:
    pd.testing.assert_frame_equal(
        run.records.drop(columns=TIMES), inline.records.drop(columns=TIMES), check_exact=True
    )
    pd.testing.assert_frame_equal(run.scores(), inline.scores(), check_exact=True)


@pytest.mark.parametrize("lost", ["machine", "worker"])
def test_when_a_machine_or_a_worker_is_lost_its_jobs_alone_are_made_again(
    machines: Machines, bucket: str, settings, inline: oodbench.Run, lost: str, tmp_path, capfd
) -> None:
    happens = {"machine": machines.lose, "worker": machines.kill_worker}[lost]
    before, watch = len(machines.nodes), Watch(40, happens)
    capfd.readouterr()
    run = oodbench.run(
        **settings,
        store=f"{bucket}/{lost}",
        out=tmp_path / "on-cluster",
        ray_address=machines.cluster.address,
        observer=watch,
    )
    assert capfd.readouterr() == ("", "")
    assert len(machines.nodes) == before - (lost == "machine")
    assert watch.ends.total() == len(watch.ends) == run.info["jobs_run"]
    made_again = watch.starts.total() - len(watch.starts)  # a machine has 1 CPU, and may be idle
    assert made_again == 1 or (made_again == 0 and lost == "machine")
    assert inline.info["jobs_run"] == run.info["jobs_run"]
    assert_same(run, inline)


def test_when_the_head_is_lost_the_run_says_so_and_another_cluster_goes_on(
    bucket: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    settings = {**settings, "parameters": {"ganad": {"steps": 300}}}  # or it ends without the head
    store, out = f"{bucket}/head", tmp_path / "on-cluster"
    first = Machines(tmp_path / "first")
    command = [
        *(Path(sys.executable).parent / "oodbench", "run", "--set", "ganad.steps=300"),
        *("--benchmark", settings["benchmark"], "--detectors", ",".join(settings["detectors"])),
        *("--seeds", "3", "--device", "cpu", "--data", settings["data"]),
        *("--store", store, "--out", out, "--ray-address", first.cluster.address),
    ]
    # in a process of its own, which Ray may end
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert running.stderr
        running.stderr.readline()  # of the first job
        first.lose_head()
        _, errors = running.communicate(timeout=300)
    finally:
        running.kill()
        first.cluster.shutdown()
    assert running.returncode == 2
    said = " ".join(errors.split())
    assert re.search("head at .* is out of reach; the same command resumes", said)
    second = Machines(tmp_path / "second")
    try:
        run = oodbench.run(**settings, store=store, out=out, ray_address=second.cluster.address)
    finally:
        second.cluster.shutdown()
    with kept_to_one_cpu():
        inline = oodbench.run(
            **settings, store=tmp_path / "store", out=tmp_path / "inline", engine="inline"
        )
    assert run.info["jobs_reused"] > 0
    assert run.info["jobs_run"] + run.info["jobs_reused"] <= inline.info["jobs_run"]
    assert_same(run, inline)
