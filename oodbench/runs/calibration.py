"""A short calibration: the jobs of a plan on a few images, in a store that is thrown away.

One job of each kind is run: the scores of a detector on one set tell what they cost on another.
That is done for few images and then for four times as many, again and again while it takes
seconds; what the jobs take on all images follows from the last two rounds.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from oodbench.engine.measuring import TRAININGS, Measured, measure
from oodbench.errors import UserError
from oodbench.hardware import count_cpus
from oodbench.identity.keys import digest, identify
from oodbench.plan.jobs import Job, Plan, Ref
from oodbench.plan.planning import make_plan
from oodbench.request.request import Request
from oodbench.runs.sizes import Sets
from oodbench.runs.trained import Trained, copy
from oodbench.store.artifacts import Store

SECONDS = 20.0
"""How long rounds go on, after the first two; of the processor, unless jobs run on a GPU."""

TRAINING_SECONDS = 2.0
"""After which a training is cut short."""

TRAINING_IMAGES, TEST_BATCHES, GROWTH = 128, 0.5, 4
"""ID training images and batches of each test set in the first round, and their growth.

So the second round times a whole batch, after one in which things are loaded.
"""

_VARYING = frozenset(
    {"seed", "part", "parts", "count", "selection_seed", "at_most", "weights", "source"}
)
"""Arguments of jobs that tell apart two of one kind."""

Kind = tuple[str, ...]
Unit = Sequence[Job]
"""A job, and those that are done in the same pass."""


def units_of(jobs: Iterable[Job]) -> list[Unit]:
    """Return jobs with those that are done in the same pass, in order."""
    units: dict[object, list[Job]] = {}
    for job in jobs:
        units.setdefault(job.passes or job.ref, []).append(job)
    return list(units.values())


class Kinds:
    """Tells jobs apart by what they compute, whatever the set and the seed."""

    def __init__(self) -> None:
        self._known: dict[int, Any] = {}

    def of(self, unit: Unit) -> Kind:
        """Return the kind of a unit: its stage first."""
        return (unit[0].ref.stage, *(self._of(job) for job in unit))

    def _of(self, job: Job) -> str:
        roles = sorted({role.partition(":")[0] for role in job.inputs})
        plugins = {
            name: self._identify(value) for name, value in job.spec.items() if name not in _VARYING
        }
        return digest([job.ref.stage, roles, plugins])

    def _identify(self, value: object) -> Any:
        """Return what identifies a value, looked up once for each object."""
        if id(value) not in self._known:
            self._known[id(value)] = (value, identify(value))  # kept, so that its id stays
        return self._known[id(value)][1]


@dataclasses.dataclass
class Calibration:
    """What one job of each kind took.

    Attributes:
        rounds: what was measured in each round, by kind.
        adopted: what it took to copy shipped weights, by job.
        seconds: how long the calibration took.
    """

    rounds: list[dict[Kind, Measured]] = dataclasses.field(default_factory=list)
    adopted: dict[Ref, Measured] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0


def calibrate(
    request: Request,
    plan: Plan,
    pending: Sequence[Job],
    store: Store,
    sets: Sets,
    kinds: Kinds,
) -> Calibration:
    """Run some jobs of a plan on a few images.

    Args:
        request: what is planned.
        plan: its jobs.
        pending: those of them that are still to be run.
        store: where the artifacts of others are; nothing is written there.
        sets: reads and counts images.
        kinds: tells jobs apart.
    """
    started = time.perf_counter()
    found = Calibration()
    chosen: dict[Kind, Unit] = {}
    for unit in units_of(pending):
        if unit[0].ref.stage != "prepare":  # reading a set was timed when images were counted
            chosen.setdefault(kinds.of(unit), unit)
    train, test = _first_size(request), math.ceil(TEST_BATCHES * request.batch_size)
    with tempfile.TemporaryDirectory(prefix="oodbench-") as folder:
        scratch = Store(Path(folder) / "trained")
        trained = Trained(plan.jobs, store, scratch, sets, "cuda" if request.gpus else "cpu")
        found.adopted = trained.adopt(pending)
        before: dict[Ref, int] = {}
        while True:
            small = _shrunk(request, train, test, sets)
            with tempfile.TemporaryDirectory(dir=folder) as place:
                this = _Round(plan, small, list(chosen.values()), trained, Store(Path(place)), sets)
                if list(this.sizes.values()) == list(before.values()):
                    break  # all images are taken already
                found.rounds.append(this.run(kinds))
            before, train, test = this.sizes, GROWTH * train, GROWTH * test
            took = [sum(each.busy for each in rounded.values()) for rounded in found.rounds]
            if len(took) > 1 and sum(took) + GROWTH * took[-1] > SECONDS:
                break
    found.seconds = time.perf_counter() - started
    return found


def _first_size(request: Request) -> int:
    """Return how many training images the first round takes."""
    least = [each.least_images() for each in request.detectors.values()]
    return max(TRAINING_IMAGES, 2 * request.train.dataset.num_classes, *least)


def _shrunk(request: Request, train: int, test: int, sets: Sets) -> Plan:
    """Return the plan of a request with fewer images, which has the same jobs in the same order."""
    shape, seed = request.shape, request.selection_seed
    held_out = request.validation
    plan = make_plan(
        dataclasses.replace(
            request,
            train=sets.few(request.train, shape, train, seed),
            validation=held_out and sets.few(held_out, shape, test, seed + 1),
            auxiliary={
                name: sets.few(source, shape, train, seed)
                for name, source in request.auxiliary.items()
            },
            images_per_set=min(test, request.images_per_set),
            calibration_images=min(train // 4, request.calibration_images),
        )
    )
    for ref, job in plan.jobs.items():
        if ref.stage == "rows" and job.spec["at_most"] is None:  # arrays have no shares
            plan.jobs[ref] = dataclasses.replace(job, spec={**job.spec, "at_most": train})
    return plan


class _Round:
    """Some units of a plan, run on few images with all that they cannot do without.

    Args:
        plan: the jobs.
        small: the same jobs on few images.
        chosen: the units of the plan.
        trained: the networks of the plan that need no training.
        store: where artifacts are made.
        sets: reads and counts images.

    Attributes:
        sizes: how many images each job handles that is needed.
    """

    def __init__(
        self,
        plan: Plan,
        small: Plan,
        chosen: Sequence[Unit],
        trained: Trained,
        store: Store,
        sets: Sets,
    ) -> None:
        self._plan, self._small = plan, small
        self._trained, self._store, self._sets = trained, store, sets
        self._own = dict(zip(small.jobs, plan.jobs, strict=True))
        twins = {ref: small.jobs[twin] for twin, ref in self._own.items()}
        self._units = {twins[unit[0].ref].ref: [twins[job.ref] for job in unit] for unit in chosen}
        refs = (job.ref for unit in self._units.values() for job in unit)
        needed = small.needed(refs, optional=False)
        self.sizes = sets.sizes({ref: job for ref, job in small.jobs.items() if ref in needed})
        self._failed: dict[Ref, str] = {}

    def run(self, kinds: Kinds) -> dict[Kind, Measured]:
        """Return what jobs took, of each kind the one that handled most images."""
        measured: dict[Kind, Measured] = {}
        done: set[Ref] = set()
        for ref in self.sizes:
            if ref in done:
                continue
            unit = self._units.get(ref, [self._small.jobs[ref]])
            done |= {job.ref for job in unit}
            found = self._do(unit)
            if found is not None:
                kind = kinds.of([self._plan.jobs[self._own[job.ref]] for job in unit])
                if kind not in measured or measured[kind].images < found.images:
                    measured[kind] = found
        return measured

    def _do(self, unit: Unit) -> Measured | None:
        """Run a unit; return what it took, unless its artifact is copied or prepared apart."""
        job, ref = unit[0], unit[0].ref
        known = self._trained.find(self._own[ref]) if ref.stage in TRAININGS else None
        if known is not None:
            copy(known, ref, self._store)
            return None
        if ref.stage == "prepare":
            try:
                self._sets.prepare(job, self._store)
            except UserError as error:
                self._failed[ref] = str(error)
            return None
        images = self.sizes[ref]
        lost = (self._failed[each] for each in job.required.values() if each in self._failed)
        if reason := next(lost, ""):
            self._failed |= {each.ref: reason for each in unit}
            return Measured(images, error=reason)
        together = dataclasses.replace(job, companions=tuple(unit[1:]))
        found = measure(
            together.bounded(count_cpus()),
            self._store,
            self._trained.device,
            images,
            TRAINING_SECONDS,
        )
        self._failed |= found.errors
        return found
