"""Tuning from end to end: resolve, list candidates, run their trials, choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oodbench.contracts import Benchmark, Need
from oodbench.engine import Observer, Outcomes
from oodbench.engine.inline import run_inline
from oodbench.errors import PluginError, UserError
from oodbench.identity.keys import digest
from oodbench.plan.jobs import Ref
from oodbench.registry.composition import parameters_for
from oodbench.registry.lookup import Registry, load_registry
from oodbench.request.detectors import asks_for
from oodbench.request.options import ENGINES, Options
from oodbench.request.resolution import Resolved
from oodbench.store.artifacts import Store
from oodbench.store.opening import open_store
from oodbench.tuning.candidates import Candidate, list_candidates
from oodbench.tuning.outcome import Tried, Tuned, tuned_benchmark
from oodbench.tuning.raytune import run_trials
from oodbench.tuning.trials import Search, plan_search
from oodbench.tuning.validation import find_validation

SAMPLES = 32
"""Settings of a detector that are tried, besides its default, unless a user says otherwise."""

IMAGES = 1_000
"""Images of each validation set, unless a user says otherwise."""


@dataclass(frozen=True)
class Tuning:
    """The outcome of tuning.

    Attributes:
        benchmark: the benchmark, with the best settings as parameters.
        found: what was found for each detector that has something to tune.
        detectors: all detectors that can be run, tuned or not.
        untunable: those that declare nothing to tune, whose parameters were all given, or that are
            fitted on validation images themselves.
        broken: detectors that cannot be loaded, made or planned, with the reason.
        unsuited: detectors that need a classifier where there is none, with the reason.
        sets: what tables call the validation outliers.
        missing: validation outliers whose images cannot be had, with the reason.
        key: what identifies the search.
    """

    benchmark: Benchmark
    found: Sequence[Tuned]
    detectors: Sequence[str]
    untunable: Sequence[str]
    broken: dict[str, str]
    unsuited: dict[str, str]
    sets: Sequence[str]
    missing: dict[str, str]
    key: str


def tune(
    options: Options,
    *,
    outliers: Sequence[str] | None,
    samples: int = SAMPLES,
    images: int = IMAGES,
    store: str | Path | None,
    engine: str = "auto",
    ray_address: str | None = None,
    observer: Observer,
) -> Tuning:
    """Choose the settings of detectors by their mean AUROC on validation data.

    Args:
        options: as of a run; parameters that they give are kept, and ``ood`` are the test sets.
        outliers: names of data sets, or paths to images, that no benchmark tests; None for those
            that the benchmark declares.
        samples: settings of each detector that are tried besides its default at most.
        images: images of each validation set at most.
        store: where what was computed is kept, as a user calls it.
        engine: ``"auto"``, ``"inline"`` or ``"ray"``; what is found is the same.
        ray_address: address of a Ray cluster that shares data and store.
        observer: told what happens.

    Raises:
        UserError: if the request cannot be served.
    """
    if engine not in ENGINES:
        raise UserError(f"unknown engine '{engine}'; known: {', '.join(ENGINES)}")
    if samples < 1:
        raise UserError(f"--samples must be at least 1, not {samples}")
    known = load_registry()
    validation = find_validation(options, outliers, images, known)
    resolved, benchmark = validation.resolved, validation.benchmark
    seed = benchmark.selection_seed
    candidates, broken = _list_all(resolved, options, known, samples, seed)
    tunable = {each.name for each in candidates if each.number}
    if not tunable:
        reasons = (f"{name}: {reason}" for name, reason in broken.items())
        raise UserError("; ".join(["none of these detectors has parameters to tune", *reasons]))
    candidates = [each for each in candidates if each.name in tunable]
    opened = open_store(store)
    search = plan_search(resolved.request, candidates, opened)
    chosen = _choose_engine(engine, ray_address, search)
    failed = _run(search, opened, chosen, ray_address, observer)
    found = _gather(search, failed, opened)
    return Tuning(
        benchmark=tuned_benchmark(benchmark, options.parameters or {}, found),
        found=found,
        detectors=list(resolved.request.detectors),
        untunable=[
            name for name in resolved.request.detectors if name not in tunable | broken.keys()
        ],
        broken=resolved.broken | broken,
        unsuited=resolved.unsuited,
        sets=resolved.request.titles()[1:],
        missing=resolved.missing,
        key=_key(search),
    )


def _list_all(
    resolved: Resolved, options: Options, known: Registry, samples: int, seed: int
) -> tuple[list[Candidate], dict[str, str]]:
    """Return the settings to try, and why there are none of some detectors, by name."""
    train = resolved.request.train
    images = len(train.positions(train.load().labels))
    found: list[Candidate] = []
    broken = {}
    for name, default in resolved.request.detectors.items():
        if asks_for(default, Need.VALIDATION):
            continue  # or it would have seen what it is chosen by
        fixed = parameters_for(type(default), options.parameters or {})
        try:
            found += list_candidates(known.detectors[name], default, fixed, images, samples, seed)
        except PluginError as error:
            broken[name] = str(error)
    return found, broken


def _choose_engine(engine: str, address: str | None, search: Search) -> str:
    """Return ``"ray"`` where trials can run side by side, if the user leaves the choice open."""
    if engine != "auto":
        return engine
    side_by_side = search.request.cpus > 1 and len(search.pending) > 1
    return "ray" if address or side_by_side else "inline"


def _run(
    search: Search, store: Store, engine: str, address: str | None, observer: Observer
) -> dict[str, str]:
    """Compute what is missing.

    Args:
        search: the trials.
        store: where artifacts are; on a cluster, a folder that all machines share.
        engine: ``"inline"`` or ``"ray"``.
        address: of a running Ray cluster; None starts Ray on this machine.
        observer: told what happens.

    Returns:
        Why candidates failed, by their labels.

    Raises:
        UserError: if the request or the data is at fault.
    """
    device = "cuda" if search.request.gpus else "cpu"
    results = Outcomes()
    run_inline(search.shared, store, device, observer, results)
    for outcome in results.failed.values():
        if outcome.is_users:
            raise UserError(outcome.error)
    if engine == "inline":
        own = [job for trial in search.pending for job in trial.jobs]
        run_inline(own, store, device, observer, results)
    failed = {
        trial.candidate.label: reason
        for trial in search.trials
        if (reason := trial.why_failed(results))
    }
    if engine == "ray":
        ready = [trial for trial in search.pending if trial.candidate.label not in failed]
        failed |= run_trials(ready, search.request, store, device, address, observer)
    return failed


def _gather(search: Search, failed: dict[str, str], store: Store) -> list[Tuned]:
    """Return the tried settings of each detector, in the order of the candidates."""
    tried: dict[str, list[Tried]] = {}
    for trial in search.trials:
        candidate = trial.candidate
        error = failed.get(candidate.label, "")
        auroc = {} if error else trial.measure(store)
        tried.setdefault(candidate.name, []).append(Tried(candidate.settings, auroc, error))
    return [Tuned(name, settings) for name, settings in tried.items()]


def _key(search: Search) -> str:
    refs: list[Ref] = [ref for trial in search.trials for ref in trial.targets()]
    return digest([[*ref] for ref in refs])
