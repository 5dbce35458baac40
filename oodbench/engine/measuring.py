"""The seconds and bytes of one job, measured in this process; long trainings are cut short.

A training that reports its progress is ended after a few seconds and keeps what it has learned by
then: the steps that are left take as long as those that were made, and whatever follows from the
network costs the same.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oodbench.contracts import CustomClassifier
from oodbench.engine.worker import Curves, perform
from oodbench.errors import describe
from oodbench.plan.jobs import Job, Ref
from oodbench.store.artifacts import Store
from oodbench.store.upkeep import size_of

TRAININGS = ("train", "fit")
"""The stages that are cut short."""


@dataclass(frozen=True)
class Measured:
    """What a job took, with those that were done in the same pass.

    Attributes:
        images: how many images the job handled.
        seconds: what it took, but for the steps between its first and its last report of progress;
            of the processor, unless it ran on a GPU, since others may be using the machine.
        pace: such seconds of one of these steps; 0 if it reported fewer than twice.
        total: how many steps there would have been; 0 if it did not say.
        first: the steps that were done by the first report.
        bytes: of its artifacts.
        forwarded: images that passed through a classifier.
        passed, busy: seconds that passed in all, and those that `seconds` and `pace` count.
        error: why the job failed; empty if it did not.
        errors: why it, and others in the same pass, failed.
    """

    images: int
    seconds: float = 0.0
    pace: float = 0.0
    total: int = 0
    first: int = 0
    bytes: int = 0
    forwarded: int = 0
    passed: float = 0.0
    busy: float = 0.0
    error: str = ""
    errors: Mapping[Ref, str] = field(default_factory=dict)


class Enough(Exception):
    """A training has shown how long a step takes."""


@dataclass
class Watch:
    """Note when progress is reported, and end a training after some seconds.

    Args:
        clock: tells the time.
        limit: seconds after the first report; None for any number.

    Attributes:
        reports: when how many steps of how many were done.
        spec: the arguments of the stage.
        module: the network that a classifier built.
    """

    clock: Callable[[], float]
    limit: float | None
    reports: list[tuple[float, int, int]] = field(default_factory=list)
    spec: Mapping[str, Any] = field(default_factory=dict)
    module: Any = None

    def begin(self, spec: Mapping[str, Any]) -> None:
        """Take note of the arguments of the stage, and of the network that it will build."""
        self.spec = spec
        if self.limit is not None and "trainable" not in spec:
            build = spec["classifier"].build

            def remembered(*arguments: Any) -> Any:
                self.module = build(*arguments)
                return self.module

            spec["classifier"].build = remembered

    def report(self, done: int, total: int) -> None:
        """Take note of progress.

        Raises:
            Enough: if a training has shown its pace.
        """
        now = self.clock()
        self.reports.append((now, done, total))
        began = self.reports[0][0]
        if self.limit is not None and done < total and now - began > self.limit:
            raise Enough

    def pace(self) -> tuple[float, int, int, int]:
        """Return seconds of a step, steps at the first report, steps from then on, and all steps.

        The last steps of a pass may be of a smaller batch, which takes longer in proportion, so
        that the median counts where there are few.
        """
        if not self.reports:
            return 0.0, 0, 0, 0
        _, first, total = self.reports[0]
        steps = self.reports[-1][1] - first
        paces = [
            (later[0] - sooner[0]) / (later[1] - sooner[1])
            for sooner, later in itertools.pairwise(self.reports)
            if later[1] > sooner[1]
        ]
        if steps <= 0:
            return 0.0, first, 0, total
        average = statistics.median if self.reports[-1][1] >= total else statistics.mean
        return average(paces), first, steps, total


class _Curves(Curves):
    """Pass every report on to a watch, at any rate."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(lambda *_: None)
        self._watch = watch

    def __call__(self, done: int, total: int, **figures: float) -> None:
        super().__call__(done, total, **figures)
        self._watch.report(done, total)


def measure(job: Job, store: Store, device: str, images: int, limit: float) -> Measured:
    """Run a job, and return what it took; its artifact is in the store unless it failed.

    Args:
        job: the job; its inputs are in the store.
        store: the store, which nothing else uses.
        device: ``"cpu"`` or ``"cuda"``.
        images: how many images the job handles.
        limit: seconds after which a training is cut short, from its first report of progress on.
    """
    clock = time.perf_counter if device == "cuda" else time.process_time
    watch = Watch(clock, limit if job.ref.stage in TRAININGS else None)
    began, started = time.perf_counter(), clock()
    errors: dict[Ref, str] = {}
    meta: Mapping[str, Any] = {}
    try:
        draft, companions = perform(job, store, device, _Curves(watch), watch.begin)
        meta = draft.meta
        for each, companion in zip(job.companions, companions, strict=True):
            if companion.error is not None:
                errors[each.ref] = describe(companion.error)
    except Enough:
        try:
            _keep(job, store, watch)
        except Exception as error:  # a plugin may have no state to keep in the middle
            errors[job.ref] = f"its training cannot be cut short: {describe(error)}"
    except Exception as error:  # a plugin may raise anything
        errors[job.ref] = describe(error)
    ended, passed = clock(), time.perf_counter() - began
    pace, first, steps, total = watch.pace()
    places = ["/".join(each.ref) for each in (job, *job.companions)]
    return Measured(
        images,
        max(ended - started - pace * steps, 0.0),
        pace=pace,
        total=total,
        first=first,
        bytes=size_of(store, places),
        forwarded=meta.get("forwarded", 0),
        passed=passed,
        busy=ended - started,
        error=errors.get(job.ref, ""),
        errors=errors,
    )


def _keep(job: Job, store: Store, watch: Watch) -> None:
    """Complete the artifact of a training that was cut short."""
    from oodbench.stages.fit import save_state
    from oodbench.stages.modules import save_module

    with store.create(*job.ref) as draft:
        if job.ref.stage == "fit":
            trainable = watch.spec["trainable"]
            save_state(trainable, draft)
            draft.meta.update(fit_seconds=0.0, remarks=[])
            return
        if isinstance(watch.spec["classifier"], CustomClassifier):
            watch.spec["classifier"].finish(watch.module)
        save_module(watch.module, draft)
        train = store.open(*job.inputs["train"])
        draft.meta.update(shape=train.meta["shape"], num_classes=train.meta["num_classes"])
