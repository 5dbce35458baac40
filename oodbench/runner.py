"""A run from end to end: resolve, plan, compute what is missing, write the run's files."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench import registry
from oodbench.collect import Collector
from oodbench.contracts import Benchmark, Detector
from oodbench.engine import ENGINES, Observer, Results, find_pending
from oodbench.engine.progress import Progress
from oodbench.engine.runlog import RunLog
from oodbench.errors import InvalidData, OodbenchError, UserError, describe
from oodbench.jobs import Job, Plan, Ref
from oodbench.keys import digest
from oodbench.leases import leased
from oodbench.overlaps import find_overlaps
from oodbench.paths import RUNS, data_folder, store_folder
from oodbench.plan import make_plan
from oodbench.report.tables import table_files
from oodbench.request import Options, Resolved, resolve
from oodbench.results import Run, read_run, write_run
from oodbench.runfiles import read_info
from oodbench.store import Store

WRITING = ".writing"
"""The lease, in a run's folder, of the process that writes the run's files."""

KEPT = "what was computed is kept: the same command goes on from here, also with another --out"
"""What to say when the end of a run fails."""


@dataclass(frozen=True)
class Prepared:
    """A planned request and what of it is in the store.

    Attributes:
        resolved: the request.
        plan: its jobs.
        pending: the jobs that are still to be run.
        found: the jobs whose artifacts are in the store.
    """

    resolved: Resolved
    plan: Plan
    pending: list[Job]
    found: set[Ref]


def prepare(options: Options, store: Store) -> Prepared:
    """Resolve and plan a request, and look up what is in the store; nothing is run."""
    resolved = resolve(options, registry.load())
    plan = make_plan(resolved.request)
    pending, found = find_pending(plan, store, plan.targets())
    return Prepared(resolved, plan, pending, found)


def run(
    id: str | Path | None = None,  # noqa: A002 (the command line's name for it)
    detectors: Sequence[str | Detector] = ("all",),
    *,
    benchmark: str | Path | None = None,
    ood: Sequence[str | Path] | None = None,
    classifier: str | Path | None = None,
    arch: str | None = None,
    images: int | None = None,
    seeds: int | Sequence[int] = 1,
    classifier_seeds: int | Sequence[int] = 1,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    data: str | Path | None = None,
    store: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    engine: str = "auto",
    ray_address: str | None = None,
    download: bool = True,
    retrain: bool = False,
    force: bool = False,
    timeout: float | None = None,
    observer: Observer | None = None,
) -> Run:
    """Compare OOD detectors on a benchmark, and leave the run's files.

    Args:
        id: name of a benchmark or of an ID data set, or a path to images.
        detectors: names, or detector objects of your own; ``"all"`` for every registered one.
        benchmark: name of a benchmark or path of a TOML file.
        ood: names of data sets or paths to images, in place of the benchmark's OOD sets.
        classifier: name of the classifier, in place of the benchmark's; or a file of its weights.
        arch: name of the classifier whose network that file is of.
        images: images of the ID test set, and of each OOD set, that are used at most, in place of
            the benchmark's number.
        seeds: seeds of what detectors draw; a number n means 0 to n - 1.
        classifier_seeds: seeds of the classifiers; likewise.
        parameters: parameters by plugin name: ``{"ganad": {"recipe": "paper"}}``.
        data: where images live; a user cache folder by default.
        store: where what was computed is kept; a user cache folder by default.
        out: where the run's files go; ``results/runs/<id>-<date>-<key>`` by default.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        precision: of networks: ``"auto"``, ``"bfloat16"`` or ``"float32"``.
        batch_size: images in a forward pass; by default what suits the device.
        engine: ``"auto"``, ``"inline"`` or ``"ray"``; the records are the same.
        ray_address: address of a Ray cluster that shares ``data`` and ``store``.
        download: whether to fetch images that are not there.
        retrain: whether to train even what there are shipped weights of.
        force: whether to replace another request's run in ``out``.
        timeout: seconds that a job may take; one that takes longer fails, and others go on. By
            default there is no limit.
        observer: told what happens; nothing is shown by default.

    Returns:
        The finished run: records, scores and predictions as pandas objects.

    Raises:
        UserError: if the request cannot be served.
    """
    options = Options(
        id=_as_text(id),
        benchmark=_as_text(benchmark),
        detectors=detectors,
        ood=None if ood is None else [str(name) for name in ood],
        classifier=_as_text(classifier),
        arch=arch,
        images=images,
        seeds=seeds,
        classifier_seeds=classifier_seeds,
        parameters=parameters or {},
        data=data_folder(data),
        device=device,
        precision=precision,
        batch_size=batch_size,
        download=download,
        retrain=retrain,
    )
    return run_options(
        options,
        store=store_folder(store),
        out=None if out is None else Path(out).expanduser(),
        engine=engine,
        ray_address=ray_address,
        force=force,
        timeout=timeout,
        observer=observer or Progress(quiet=True),
    )


def _as_text(name: str | Path | None) -> str | None:
    return None if name is None else str(name)


def run_options(
    options: Options,
    *,
    store: Path,
    out: Path | None,
    engine: str,
    ray_address: str | None,
    force: bool,
    timeout: float | None = None,
    observer: Observer,
) -> Run:
    """Run options; the arguments are those of `run`."""
    started = time.perf_counter()
    if engine not in ENGINES:
        raise UserError(f"unknown engine '{engine}'; known: {', '.join(ENGINES)}")
    opened = Store(store)
    if timeout is not None and not timeout > 0:
        raise UserError(f"a job cannot end within {timeout:g} s; give --timeout more, or none")
    _try_to_write(out or RUNS)
    prepared = prepare(options, opened)
    key = digest([[*ref] for ref in prepared.plan.targets()])
    directory = out or _default_directory(prepared.resolved.benchmark, key)
    _refuse_other_runs(directory, key, force)
    _make_directory(directory)
    results = Results(reused=prepared.found)
    if engine == "auto":
        engine = "ray" if ray_address or _pays_off(prepared) else "inline"
    title = f"{prepared.resolved.benchmark.name}, {engine}, store {store}"
    with RunLog(directory / "run.log", title, observer) as log:
        _compute(prepared, opened, engine, ray_address, timeout, log, results)
        collector = _collect(prepared.resolved, prepared.plan, opened, results)
        try:
            return _write(collector, directory, key, engine, force, started)
        except UserError as error:
            raise UserError(f"{error}; {KEPT}") from error
        except Exception as error:  # whatever it is, hours of work are not to seem lost
            reason = f"the run's files cannot be made: {describe(error)}"
            raise OodbenchError(f"{reason}; {KEPT}") from error


def _collect(resolved: Resolved, plan: Plan, store: Store, results: Results) -> Collector:
    """Return what collects the results, without OOD sets that cannot be read or are repeated."""
    overlaps = find_overlaps(resolved.request, plan, store)
    lost = overlaps.repeated | _unread(plan, results)
    if lost:
        resolved = resolved.without(lost)
        plan = make_plan(resolved.request)
        failed = {ref: outcome for ref, outcome in results.failed.items() if ref in plan.jobs}
        results = dataclasses.replace(results, failed=failed)
    return Collector(resolved, plan, store, results, overlaps)


def _unread(plan: Plan, results: Results) -> dict[str, str]:
    """Return why images of OOD sets could not be prepared, by what tables call the sets."""
    images = {each.dataset: plan.jobs[each.extract].inputs["images"] for each in plan.predicted}
    return {
        title: results.failed[ref].error
        for title, ref in images.items()
        if ref in results.failed and results.failed[ref].is_users
    }


def _default_directory(benchmark: Benchmark, key: str) -> Path:
    return RUNS / f"{benchmark.name}-{time.strftime('%Y-%m-%d')}-{key[:8]}"


def _refuse_other_runs(directory: Path, key: str, force: bool) -> None:
    try:
        found = read_info(directory)["key"]
    except InvalidData:
        found = None
    except UserError:
        return
    if found != key and not force:
        raise UserError(
            f"{directory} holds the run of another request (or of other data or plugin versions); "
            "name another --out, or --force to replace it"
        )


def _try_to_write(directory: Path) -> None:
    """Find out if the run cannot be written before images are fetched; nothing is left behind."""
    place = directory
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise UserError(f"cannot write the run to '{directory}': {error.strerror}") from error


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write the run to '{directory}': {error.strerror}") from error


def _compute(
    prepared: Prepared,
    store: Store,
    engine: str,
    ray_address: str | None,
    timeout: float | None,
    observer: Observer,
    results: Results,
) -> None:
    if not prepared.pending:
        return
    request = prepared.resolved.request
    device = "cuda" if request.gpus else "cpu"
    if engine == "inline":
        from oodbench.engine.inline import run_inline

        run_inline(prepared.pending, store, device, observer, results, timeout)
    else:
        from oodbench.engine.ray import run_ray

        run_ray(
            prepared.pending,
            store,
            device,
            observer,
            results,
            cpus=request.cpus,
            gpus=request.gpus,
            address=ray_address,
            timeout=timeout,
        )


def _pays_off(prepared: Prepared) -> bool:
    """Return whether there is room, and work, for two trainings side by side.

    Starting Ray and its workers takes ten seconds or so, which scoring alone does not earn back,
    and fitting does if it draws random numbers, as training does: means and covariances take less.
    """
    request = prepared.resolved.request
    slow = [
        job
        for job in prepared.pending
        if not job.spec.get("weights")
        and (
            job.ref.stage == "train"
            or (job.ref.stage == "fit" and job.spec["trainable"].stochastic)
        )
    ]
    room = max(request.cpus // max((job.resources.cpus for job in slow), default=1), 1)
    light = [job for job in slow if job.resources.cpus == 1]
    return (len(light) > 1 and request.cpus > 1) or (len(slow) > 1 and room > 1)


def _write(
    collector: Collector, directory: Path, key: str, engine: str, force: bool, started: float
) -> Run:
    records = collector.records()
    texts = table_files(
        records,
        notes=collector.notes,
        deviations=collector.deviations(),
        groups=collector.groups(),
    )
    info = {"key": key, "engine": engine, **collector.info()}
    info["wall_seconds"] = round(time.perf_counter() - started, 3)
    scores, predictions = collector.scores(), collector.predictions()
    with leased(directory, WRITING):  # or two runs would exchange each other's files
        _refuse_other_runs(directory, key, force)
        write_run(
            directory,
            records=records,
            scores=scores,
            predictions=predictions,
            info=info,
            texts=texts,
        )
        return read_run(directory)
