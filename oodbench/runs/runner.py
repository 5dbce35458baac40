"""A run from end to end: resolve, plan, compute what is missing, write the run's files."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from oodbench.contracts import Benchmark
from oodbench.engine import Observer, Outcomes, find_pending
from oodbench.engine.progress import Progress
from oodbench.engine.runlog import RunLog
from oodbench.errors import OodbenchError, UserError, describe
from oodbench.identity.keys import digest
from oodbench.images.array_files import GIVEN
from oodbench.images.arrays import write_given
from oodbench.plan.jobs import Job, Plan, Ref
from oodbench.plan.planning import make_plan
from oodbench.registry.lookup import load_registry
from oodbench.report.tables import table_files
from oodbench.request.definitions import find_benchmark
from oodbench.request.options import ALL, ENGINES, Options, taking
from oodbench.request.request import Request
from oodbench.request.resolution import Resolved, resolve_folds
from oodbench.results.files import ROWS, require_readable
from oodbench.results.run import Run
from oodbench.runs.collector import Collector
from oodbench.runs.folder import (
    default_directory,
    make_directory,
    refuse_other_runs,
    try_to_write,
    write_new_run,
)
from oodbench.runs.folds import Folds, texts_by_name
from oodbench.runs.options import RunOptions
from oodbench.runs.overlaps import find_overlaps
from oodbench.runs.repeated import repeat
from oodbench.store.artifacts import Store
from oodbench.store.opening import open_store
from oodbench.store.paths import RUNS, expanded

KEPT = "results are kept: the same command resumes from here, also with another --out"
"""What to say when the end of a run fails."""

MANY_TRAININGS = 10
"""A run of all detectors with more trainings than this says how to name fewer detectors."""


@dataclass(frozen=True)
class Planned:
    """A planned request, and the part of it that is already in the store.

    Attributes:
        benchmark: the definition, with its folds.
        folds: the request and its jobs, by the name of the fold; one of no name without folds.
        pending: the jobs that are still to be run; those that folds share occur once.
        found: the jobs whose artifacts are in the store.
    """

    benchmark: Benchmark
    folds: Mapping[str, tuple[Resolved, Plan]]
    pending: list[Job]
    found: set[Ref]

    @property
    def resolved(self) -> Resolved:
        """Return the request, of the first fold."""
        return next(iter(self.folds.values()))[0]

    @property
    def plan(self) -> Plan:
        """Return the jobs of the first fold."""
        return next(iter(self.folds.values()))[1]

    def left_out(self) -> dict[str, dict[str, str]]:
        """Return the reasons of `Resolved` for what is left out, by name, with their folds."""
        return {
            kind: texts_by_name({fold: getattr(own, kind) for fold, (own, _) in self.folds.items()})
            for kind in ("missing", "broken", "unsuited")
        }

    def trainings(self) -> list[Job]:
        """Return the jobs that train something anew: those that draw random numbers to fit it."""
        return [
            job
            for job in self.pending
            if not job.spec.get("weights")
            and (
                job.ref.stage == "train"
                or (job.ref.stage == "fit" and job.spec["trainable"].stochastic)
            )
        ]

    def targets(self) -> Iterator[Ref]:
        """Yield the jobs whose artifacts the files of the run are made of."""
        for _, plan in self.folds.values():
            yield from plan.targets()


def plan_options(
    options: Options, store: Store, change: Callable[[Request], Request] | None = None
) -> Planned:
    """Resolve and plan a request, and look up what is in the store; nothing is run.

    Args:
        options: what is asked for.
        store: where artifacts are.
        change: is given the request of each fold, and returns the one to plan.
    """
    registry = load_registry()
    folds = {}
    for name, resolved in resolve_folds(options, registry).items():
        if change:
            resolved = dataclasses.replace(resolved, request=change(resolved.request))
        folds[name] = (resolved, make_plan(resolved.request))
    jobs = {ref: job for _, plan in folds.values() for ref, job in plan.jobs.items()}
    targets = [ref for _, plan in folds.values() for ref in plan.targets()]
    pending, found = find_pending(Plan(jobs), store, targets)
    planned = Planned(find_benchmark(options, registry), folds, pending, found)
    _refuse_too_many_scores(planned, jobs)
    return planned


def _refuse_too_many_scores(planned: Planned, jobs: Mapping[Ref, Job]) -> None:
    """Raise `UserError`, before hours of work, if the run's files could not be read."""
    scores = [each.score for _, plan in planned.folds.values() for each in plan.scored]
    request = planned.resolved.request
    if len(scores) * max(request.images_per_set, request.calibration_images) <= ROWS:
        return  # even if every set has as many images as were asked for
    from oodbench.runs.sizes import Sets  # imports torch

    needed = Plan(dict(jobs)).needed(scores)
    counts = Sets().sizes({ref: job for ref, job in jobs.items() if ref in needed})
    require_readable(sum(counts[score] for score in scores))


@taking(RunOptions)
def run(options: RunOptions) -> Run:
    """Compare OOD detectors on a benchmark, and leave the run's files.

    Returns:
        The finished run: records, scores and predictions as pandas objects.

    Raises:
        UserError: if the request cannot be served.
    """
    if options.locked is not None:
        options = repeat(options, load_registry())
    if isinstance(options.arrays, Mapping):
        with tempfile.TemporaryDirectory(prefix=GIVEN) as folder:
            (path := Path(folder) / "arrays").mkdir()
            write_given(path, options.arrays)
            return _run(dataclasses.replace(options, arrays=path))
    return _run(options)


def _run(options: RunOptions) -> Run:
    started = time.perf_counter()
    engine, timeout = options.engine, options.timeout
    if engine not in ENGINES:
        raise UserError(f"unknown engine '{engine}'; known: {', '.join(ENGINES)}")
    store = open_store(options.store)
    if timeout is not None and not timeout > 0:
        raise UserError(f"a job cannot end within {timeout:g} s; give --timeout more, or none")
    out = None if options.out is None else expanded(options.out)
    try_to_write(out or RUNS)
    planned = plan_options(options, store)
    key = digest([[*ref] for ref in planned.targets()])
    directory = out or default_directory(planned.benchmark.name, key)
    if options.locked is not None and directory.resolve() == expanded(options.locked).resolve():
        raise UserError(f"'{directory}' is the run to repeat; name another folder by --out")
    refuse_other_runs(directory, key, options.force)
    make_directory(directory)
    results = Outcomes(reused=planned.found)
    if engine == "auto":
        engine = "ray" if options.ray_address or pays_off(planned) else "inline"
    title = f"{planned.benchmark.name}, {engine}, store {store}"
    observer = options.observer or Progress(quiet=True)
    with RunLog(directory / "run.log", title, observer) as log:
        if options.detectors == (ALL,) and len(trainings := planned.trainings()) > MANY_TRAININGS:
            count = len(planned.resolved.request.detectors)
            log.remarked(
                f"all {count} detectors are compared, with {len(trainings)} trainings to do; "
                "name fewer, such as --detectors energy,msp"
            )
        compute(planned, store, engine, options.ray_address, timeout, log, results)
        collector = collect_all(planned, store, results)
        try:
            return _write(collector, directory, key, engine, options.force, started)
        except UserError as error:
            raise UserError(f"{error}; {KEPT}") from error
        except Exception as error:  # whatever it is, hours of work are not to seem lost
            reason = f"the run's files cannot be made: {describe(error)}"
            raise OodbenchError(f"{reason}; {KEPT}") from error


def collect_all(planned: Planned, store: Store, results: Outcomes) -> Collector | Folds:
    """Return what collects the results of all folds."""
    if "" in planned.folds:
        return _collect(*planned.folds[""], store, results)
    collectors = {}
    counted: set[Ref] = set()
    for name, (resolved, plan) in planned.folds.items():
        own = plan.jobs.keys()
        mine = Outcomes(
            (results.reused & own) - counted,
            (results.done & own) - counted,
            {ref: outcome for ref, outcome in results.failed.items() if ref in own},
            {ref: culprit for ref, culprit in results.blamed.items() if ref in own},
        )
        counted |= own
        collectors[name] = _collect(resolved, plan, store, mine)
    return Folds(planned.benchmark, collectors)


def _collect(resolved: Resolved, plan: Plan, store: Store, results: Outcomes) -> Collector:
    """Return what collects the results, without OOD sets that cannot be read or are repeated."""
    overlaps = find_overlaps(resolved.request, plan, store)
    lost = overlaps.repeated | _unread(plan, results)
    if lost:
        resolved, plan = resolved.without(lost), plan.without(lost)
        probes = {row.probe for row in plan.rows}
        kept = probes | plan.needed(ref for ref in plan.targets() if ref not in probes)
        failed = {ref: outcome for ref, outcome in results.failed.items() if ref in kept}
        results = dataclasses.replace(results, failed=failed)
    return Collector(resolved, plan, store, results, overlaps)


def _unread(plan: Plan, results: Outcomes) -> dict[str, str]:
    """Return why images of OOD sets could not be planned, by what tables call the sets."""
    images = {each.dataset: plan.jobs[each.extract].inputs["images"] for each in plan.predicted}
    return {
        title: results.failed[ref].error
        for title, ref in images.items()
        if ref in results.failed and results.failed[ref].is_users
    }


def compute(
    planned: Planned,
    store: Store,
    engine: str,
    ray_address: str | None,
    timeout: float | None,
    observer: Observer,
    results: Outcomes,
) -> None:
    """Run what a plan has to run; ``results`` is filled in, the other arguments are those of `run`.

    Raises:
        UserError: if the request or the data is at fault.
    """
    if not planned.pending:
        return
    request = planned.resolved.request
    device = "cuda" if request.gpus else "cpu"
    if engine == "inline":
        from oodbench.engine.inline import run_inline

        run_inline(planned.pending, store, device, observer, results, timeout)
    else:
        from oodbench.engine.ray import run_ray

        run_ray(
            planned.pending,
            store,
            device,
            observer,
            results,
            cpus=request.cpus,
            gpus=request.gpus,
            address=ray_address,
            timeout=timeout,
        )


def pays_off(planned: Planned) -> bool:
    """Return whether there is room, and work, for two trainings side by side.

    Starting Ray and its workers takes ten seconds or so, which scoring alone does not earn back,
    and fitting does if it draws random numbers, as training does: means and covariances take less.
    """
    request, slow = planned.resolved.request, planned.trainings()
    room = max(request.cpus // max((job.resources.cpus for job in slow), default=1), 1)
    light = [job for job in slow if job.resources.cpus == 1]
    return (len(light) > 1 and request.cpus > 1) or (len(slow) > 1 and room > 1)


def _write(
    collector: Collector | Folds,
    directory: Path,
    key: str,
    engine: str,
    force: bool,
    started: float,
) -> Run:
    records = collector.records()
    texts = table_files(records, **collector.texts())
    info = {"key": key, "engine": engine, **collector.info()}
    info["wall_seconds"] = round(time.perf_counter() - started, 3)
    scores, predictions = collector.scores(), collector.predictions()
    return write_new_run(
        directory,
        force=force,
        records=records,
        scores=scores,
        predictions=predictions,
        info=info,
        texts=texts,
    )
