"""The cost model: what a planned run will take, from a short calibration.

A job takes seconds that depend on the images that it handles, and seconds for each step that it
reports. The former are extrapolated from two measured numbers of images; steps are counted, and
each takes what it took in the calibration. Bytes grow with the images in proportion.
"""

from __future__ import annotations

import bisect
import heapq
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from oodbench.engine.measuring import Measured
from oodbench.plan.jobs import Job, Plan, Ref, Resources
from oodbench.runs.calibration import Calibration, Kinds, Unit, calibrate, units_of
from oodbench.runs.runner import Planned, pays_off
from oodbench.runs.sizes import Sets
from oodbench.store.artifacts import Store

PASSES = ("extract", "reduce")
"""The stages in which images pass through a classifier for all detectors together."""

RAY_SECONDS = 10.0
"""What it takes to start Ray and its workers."""

RECORD_SECONDS = 0.012
"""What it takes a processor to tabulate a record and to write its scores."""

STEEPEST = 2.0
"""Exponent at most by which seconds are taken to grow with images."""


@dataclass(frozen=True)
class Cost:
    """What some jobs will take.

    Attributes:
        title: what to call them.
        jobs: their number.
        seconds: that pass, one job after another.
        processor: seconds of the processor, threads together; on a GPU the same as `seconds`.
        bytes: that the store grows by.
    """

    title: str
    jobs: int
    seconds: float
    processor: float
    bytes: int

    def __add__(self, other: Cost) -> Cost:
        """Return the costs of both under the title of this one."""
        return Cost(
            self.title,
            self.jobs + other.jobs,
            self.seconds + other.seconds,
            self.processor + other.processor,
            self.bytes + other.bytes,
        )


@dataclass(frozen=True)
class Estimate:
    """What a planned run will take.

    Attributes:
        costs: of jobs of the same kind, the most expensive first.
        images: distinct images that pass.
        forwarded: images that pass through classifiers for all detectors together.
        forwarded_again: images that detectors pass themselves, when they score and are probed.
        bytes: that the store will grow by.
        seconds: from the start of the run to its files.
        processes: jobs at most that are expected to run at the same time.
        left_out: why some jobs could not be measured, by title.
        calibration: seconds that the calibration took.
    """

    costs: Sequence[Cost]
    images: int
    forwarded: int
    forwarded_again: int
    bytes: int
    seconds: float
    processes: int
    left_out: Mapping[str, str]
    calibration: float

    def shortened(self, lines: int) -> list[Cost]:
        """Return the most expensive costs, and the sum of all others if there are more."""
        if len(self.costs) <= lines:
            return list(self.costs)
        shown, others = self.costs[: lines - 1], self.costs[lines - 1 :]
        return [*shown, sum(others, Cost(f"{len(others)} others", 0, 0.0, 0.0, 0))]


def estimate(planned: Planned, store: Store, planning: float = 0.0) -> Estimate:
    """Return what a planned run will take on this machine.

    Args:
        planned: the run.
        store: where artifacts are; nothing is written there.
        planning: seconds that planning it took, as the run will plan again.

    Raises:
        UserError: if images that cannot be left out are damaged.
    """
    jobs = {ref: job for _, plan in planned.folds.values() for ref, job in plan.jobs.items()}
    sets, kinds = Sets(), Kinds()
    request = planned.resolved.request
    pending = [job.bounded(request.cpus) for job in planned.pending]
    counts = sets.sizes(_with_inputs(pending, jobs))
    units = units_of(pending)
    calibration = Calibration()
    if pending:
        resolved, plan = max(
            planned.folds.values(),
            key=lambda fold: sum(job.ref in fold[1].jobs for job in pending),
        )
        own = [job for job in pending if job.ref in plan.jobs]
        calibration = calibrate(resolved.request, plan, own, store, sets, kinds)
    model = Model(calibration, kinds, sets)
    prices = [model.price(unit, counts[unit[0].ref]) for unit in units]
    parallel = bool(pending) and pays_off(planned)
    costs = _by_group(units, prices)
    rows = sum(len(plan.rows) for _, plan in planned.folds.values())
    files = Cost(
        "plan, tables and files",
        0,
        planning + model.stretch * RECORD_SECONDS * rows,
        RECORD_SECONDS * rows,
        0,
    )
    seconds = sum(price.seconds for price in prices)
    processes = 1
    if parallel:
        room = Resources(request.cpus, request.gpus)
        seconds, processes = schedule(units, [price.seconds for price in prices], room)
        seconds += RAY_SECONDS
    own_passes = [
        price.forwarded
        for unit, price in zip(units, prices, strict=True)
        if unit[0].ref.stage not in PASSES
    ]
    return Estimate(
        costs=sorted([*costs, files], key=lambda cost: -cost.seconds),
        images=_distinct(pending, counts),
        forwarded=sum(price.forwarded for price in prices) - sum(own_passes),
        forwarded_again=sum(own_passes),
        bytes=sum(price.bytes for price in prices),
        seconds=seconds + files.seconds,
        processes=processes,
        left_out=model.left_out,
        calibration=calibration.seconds,
    )


def _with_inputs(pending: Sequence[Job], jobs: Mapping[Ref, Job]) -> dict[Ref, Job]:
    """Return jobs and all that they depend on, inputs before those that need them."""
    needed = Plan(dict(jobs)).needed(job.ref for job in pending)
    return {ref: job for ref, job in jobs.items() if ref in needed}


@dataclass(frozen=True)
class Price:
    """What a job takes, with those in the same pass."""

    seconds: float = 0.0
    processor: float = 0.0
    bytes: int = 0
    forwarded: int = 0


class Model:
    """What jobs take on any number of images, from what some took on few.

    Attributes:
        left_out: why some jobs could not be measured, by title.
        stretch: seconds that pass for one of the processor, over all that was measured.
    """

    def __init__(self, calibration: Calibration, kinds: Kinds, sets: Sets) -> None:
        self._calibration = calibration
        self._kinds = kinds
        self._sets = sets
        of_stage: dict[str, list[Measured]] = defaultdict(list)
        for measured in calibration.rounds:
            for kind, each in measured.items():
                of_stage[kind[0]].append(each)
        self._stretch = {stage: _stretch(found) for stage, found in of_stage.items()}
        self.stretch = _stretch(each for found in of_stage.values() for each in found)
        self.left_out: dict[str, str] = {}

    def price(self, unit: Unit, images: int) -> Price:
        """Return what a unit takes on some images."""
        job = unit[0]
        adopted = self._calibration.adopted.get(job.ref)
        if adopted is not None:
            return Price(adopted.passed, adopted.busy, adopted.bytes)
        if job.ref.stage == "prepare":
            if job.ref in self._sets.lost:
                self.left_out[job.title] = self._sets.lost[job.ref]
                return Price()
            return Price(*self._sets.cost(job, images))
        measured = self._measured(unit)
        usable = [each for each in measured if not each.error]
        if not usable:
            reason = measured[-1].error if measured else "nothing like it could be measured"
            self.left_out.setdefault(group_of(job), reason)
            return Price()
        last = usable[-1]
        before = [each for each in usable if each.images != last.images] or [last]
        price = extrapolate((before[-1], last), images)
        return replace(price, seconds=self._stretch[job.ref.stage] * price.processor)

    def _measured(self, unit: Unit) -> list[Measured]:
        """Return what was measured of a kind of jobs; if nothing was, of others of the stage."""
        kind = self._kinds.of(unit)
        rounds = self._calibration.rounds
        found = [each[kind] for each in rounds if kind in each]
        if found:
            return found
        similar = {other for each in rounds for other in each if other[0] == kind[0]}
        other = min(similar, default=kind)
        return [each[other] for each in rounds if other in each]


def _stretch(measured: Iterable[Measured]) -> float:
    """Return how many seconds passed for one that was counted."""
    found = list(measured)
    busy = sum(each.busy for each in found)
    return sum(each.passed for each in found) / busy if busy else 1.0


def extrapolate(measured: tuple[Measured, Measured], images: int) -> Price:
    """Return what a job takes on some images, given what it took on two numbers of them."""
    last = measured[1]
    sizes = (measured[0].images, last.images)
    rest = [max(each.seconds - last.pace * each.first, 0.0) for each in measured]
    steps = _line(sizes, [each.total for each in measured], images)
    return Price(
        processor=_curve(sizes, rest, images) + last.pace * steps,
        bytes=round(_line(sizes, [each.bytes for each in measured], images)),
        forwarded=round(last.forwarded * images / last.images) if last.images else 0,
    )


def _line(x: tuple[int, int], y: Sequence[float], at: int) -> float:
    """Return the value at a place of the line through two points; it does not fall below both."""
    if x[0] == x[1]:
        return y[1]
    slope = (y[1] - y[0]) / (x[1] - x[0])
    return max(y[1] + slope * (at - x[1]), min(y))


def _curve(x: tuple[int, int], y: Sequence[float], at: int) -> float:
    """Return what `_line` does, but where growth is more than proportional, the value of a power.

    Its exponent is halfway between that of the two points and 1, since what grows like a square
    while there are few images, as the decomposition of a matrix, may grow in proportion later.
    """
    if min(*x, *y) > 0 and y[1] / y[0] > x[1] / x[0] > 1:
        power = min(math.log(y[1] / y[0]) / math.log(x[1] / x[0]), STEEPEST)
        return float(y[1] * (at / x[1]) ** ((1 + power) / 2))
    return _line(x, y, at)


def schedule(units: Sequence[Unit], seconds: Sequence[float], room: Resources) -> tuple[float, int]:
    """Return how long jobs take that start as soon as there is room, and how many run at a time."""
    place = {job.ref: number for number, unit in enumerate(units) for job in unit}
    after: list[list[int]] = [[] for _ in units]
    missing: list[int] = []
    for number, unit in enumerate(units):
        before = {place[ref] for job in unit for ref in job.inputs.values() if ref in place}
        missing.append(len(before))
        for each in before:
            after[each].append(number)
    ready = [number for number, count in enumerate(missing) if not count]
    running: list[tuple[float, int]] = []
    cpus, gpus, now, most = float(room.cpus), float(room.gpus), 0.0, 1
    while ready or running:
        for number in list(ready):
            needs = units[number][0].resources
            if needs.cpus <= cpus and needs.gpus <= gpus:
                ready.remove(number)
                cpus, gpus = cpus - needs.cpus, gpus - needs.gpus
                heapq.heappush(running, (now + seconds[number], number))
        most = max(most, len(running))
        now, number = heapq.heappop(running)
        needs = units[number][0].resources
        cpus, gpus = cpus + needs.cpus, gpus + needs.gpus
        for each in after[number]:
            missing[each] -= 1
            if not missing[each]:
                bisect.insort(ready, each)
    return now, most


def _by_group(units: Sequence[Unit], prices: Sequence[Price]) -> list[Cost]:
    """Return the costs of jobs of the same kind."""
    costs: dict[str, Cost] = {}
    for unit, price in zip(units, prices, strict=True):
        title = group_of(unit[0])
        own = Cost(title, len(unit), price.seconds, price.processor, price.bytes)
        costs[title] = costs.get(title, Cost(title, 0, 0.0, 0.0, 0)) + own
    return list(costs.values())


_GROUPS = {
    "prepare": "prepare images",
    "rows": "read arrays",
    "arrays": "read arrays",
    "listing": "list labels",
    "extract": "forward passes",
    "reduce": "forward passes",
    "combine": "join the outputs of classifiers",
    "evaluate": "evaluate",
}
"""What to call the jobs of a stage where it does not matter what plugin they are of."""


def group_of(job: Job) -> str:
    """Return what to call a job and its like, whatever the set and the seed."""
    stage = job.ref.stage
    if stage in ("score", "probe"):
        return f"score by {_bare(job.title.rpartition(' by ')[2])}"
    return _GROUPS.get(stage, _bare(job.title))


def _bare(title: str) -> str:
    """Return a title without seed and fold."""
    return re.sub(r"( \(seed \d+\))?(, fold .*)?$", "", title)


def _distinct(pending: Sequence[Job], counts: Mapping[Ref, int]) -> int:
    """Return how many images pass, each counted once however many classifiers there are."""
    parts: dict[Ref, dict[object, int]] = {}
    for job in pending:
        if "images" in job.inputs and "part" in job.spec:
            own = parts.setdefault(job.inputs["images"], {})
            own[job.spec["part"]] = max(counts[job.ref], own.get(job.spec["part"], 0))
    return sum(min(counts[images], sum(own.values())) for images, own in parts.items())
