"""A finished run replayed: some images scored anew, and compared with the scores that it has.

Scores that follow from measures alone prove nothing: whoever invents scores gets measures that
agree with them. So the detectors of a run are fitted again and score some images of each set, drawn
by a seed that whoever made the run could not know.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from oodbench.contracts import Detector, GeneratedDataset
from oodbench.engine import Observer, Outcomes
from oodbench.images.shares import Sample
from oodbench.images.sources import Source
from oodbench.plan.jobs import Job, Plan, Ref
from oodbench.registry.lookup import load_registry
from oodbench.request.request import Request
from oodbench.results.run import Run
from oodbench.runs.options import RunOptions
from oodbench.runs.repeated import repeat
from oodbench.runs.runner import Planned, collect_all, compute, plan_options
from oodbench.store.artifacts import Store

TOLERANCE = 0.05
"""How far a score may be from the replayed one, in standard deviations of ID scores: networks on
another processor, or with another number of threads, differ by less."""

SPARED = 0.02
"""The share of images that may be further off: a prediction between two classes may tip over."""

_FITTED = ["detector", "classifier", "classifier_seed", "seed"]
_IMAGE = ["classifier", "classifier_seed", "dataset", "split", "index"]


@dataclass(frozen=True)
class Replay:
    """The outcome of a replay.

    Attributes:
        misfits: what scores otherwise than it should, one sentence each.
        unchecked: detectors and sets that could not be replayed, one sentence each.
        scores: number of scores that were compared.
    """

    misfits: tuple[str, ...]
    unchecked: tuple[str, ...]
    scores: int


def replay(
    run: Run, count: int, *, data: Path, store: Store, observer: Observer, seed: int | None = None
) -> Replay:
    """Score some images of each set of a run anew, and compare.

    Detectors that were trained in the run, and all detectors if the classifier was, are left out:
    their weights do not ship, and a training elsewhere gives other ones.

    Args:
        run: the run; installed plugins are made with the parameters that it names.
        count: how many images of each set to score.
        data: folder of images; nothing is downloaded.
        store: where artifacts are.
        observer: told about progress.
        seed: draws the images; None for one that nobody knows.

    Raises:
        UserError: if the run cannot be repeated here.
    """
    drawn = secrets.randbits(63) if seed is None else seed
    asked = RunOptions(locked=run.directory, data=data, download=False)
    options = repeat(asked, load_registry())

    def sampled(request: Request) -> Request:
        def of(source: Source) -> Source:
            if isinstance(source.dataset, GeneratedDataset):
                return source
            sample = Sample(request.images_per_set, request.selection_seed, count, drawn)
            return dataclasses.replace(source, share=sample)

        ood = [of(source) for source in request.ood]
        return dataclasses.replace(request, test=of(request.test), ood=ood)

    planned = plan_options(options, store, sampled)
    if others := list(_of_other_images(run, planned)):
        reason = "its images here are not those of the run, or are made with other parameters"
        return Replay((), tuple(f"{title}: {reason}" for title in others), 0)
    trained = set(_trained(planned))
    left = [
        each
        for each in options.detectors
        if isinstance(each, Detector) and each.info.name not in trained
    ]
    unchecked = [f"{name}: was trained in the run, and its weights do not ship" for name in trained]
    if not left:
        return Replay((), tuple(unchecked), 0)
    if trained:
        planned = plan_options(dataclasses.replace(options, detectors=left), store, sampled)
    compute(planned, store, "inline", None, None, observer, results := Outcomes())
    again = collect_all(planned, store, results)
    scores, predictions = again.scores().frame(), again.predictions().frame()
    told = run.scores()
    misfits: list[str] = []
    if len(predictions):  # there are none without a classifier
        misfits += check_predictions(run.predictions(), predictions)
    if len(scores):
        misfits += check_scores(told, scores)
    expected = told[~told["detector"].isin(trained)]
    unchecked += _lacking(expected, scores, _reasons(planned, results))
    return Replay(tuple(misfits), tuple(unchecked), len(scores))


def _reasons(planned: Planned, results: Outcomes) -> dict[str, str]:
    """Return why detectors and sets could not be had, by name."""
    reasons: dict[str, str] = {}
    for resolved, plan in planned.folds.values():
        for scored in plan.scored:
            culprit = results.blamed.get(scored.score, results.blamed.get(scored.probe))
            if culprit is not None:
                reasons[scored.detector] = results.failed[culprit].error
        reasons |= resolved.missing | resolved.broken | resolved.unsuited
    return reasons


def _lacking(told: pd.DataFrame, again: pd.DataFrame, reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each detector, each set, and each of one in the other, without scores.

    Args:
        told: the scores of a run.
        again: those of some of its images, computed anew.
        reasons: why some detectors and sets have none, by name.
    """
    lost: set[str] = set()
    for column in ("detector", "dataset"):
        found = set(again[column].unique())
        names = [str(name) for name in told[column].unique() if name not in found]
        lost.update(names)
        yield from (f"{name}: {reasons.get(name, 'could not be scored here')}" for name in names)
    pairs = [column for column in ("fold", "detector", "dataset") if column in told]
    done = {*again[pairs].drop_duplicates().itertuples(index=False, name=None)}
    for pair in told[pairs].drop_duplicates().itertuples(index=False, name=None):
        if pair not in done and lost.isdisjoint(pair):
            *_, detector, dataset = pair
            yield f"{detector} on {dataset}: {reasons.get(detector, 'could not be scored here')}"


def _of_other_images(run: Run, planned: Planned) -> Iterator[str]:
    """Yield the sets whose images here have other fingerprints than in a run, by title."""
    for part in run.in_folds():
        told = part.info["request"]["fingerprints"]
        request = planned.folds[part.fold or ""][0].request
        own = request.fingerprints()
        if any(told[split] != own[split] for split in ("train", "test")):
            yield request.titles()[0]
        for title, fingerprint in own["ood"].items():
            if told["ood"].get(title, fingerprint) != fingerprint:
                yield title


def _trained(planned: Planned) -> Iterator[str]:
    """Yield the detectors that depend on a training without weights that ship."""
    for _, plan in planned.folds.values():
        for scored in plan.scored:
            if any(_is_trained(job) for job in _before(scored.score, plan)):
                yield scored.detector


def _is_trained(job: Job) -> bool:
    if job.ref.stage == "train":
        return not job.spec["weights"]
    return bool(
        job.ref.stage == "fit" and job.spec["trainable"].stochastic and not job.spec["weights"]
    )


def _before(ref: Ref, plan: Plan) -> Iterator[Job]:
    """Yield a job and all that it is made of."""
    waiting, seen = [ref], set()
    while waiting:
        if (found := waiting.pop()) not in seen:
            seen.add(found)
            yield plan.jobs[found]
            waiting.extend(plan.jobs[found].inputs.values())


def _joined(told: pd.DataFrame, again: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return replayed rows with what the run has of the same images; missing where it has none."""
    keys = ["fold", *keys] if "fold" in again else keys
    return again.merge(told, on=keys, how="left", suffixes=("", "_told"), validate="one_to_one")


def check_predictions(told: pd.DataFrame, again: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each set of which images are classified otherwise.

    Args:
        told: the predictions of a run, columns as in `oodbench.results.columns.PREDICTION`.
        again: those of some of its images, computed anew.
    """
    joined = _joined(told, again, _IMAGE)
    for (seed, title), own in joined.groupby(["classifier_seed", "dataset"], observed=True):
        wrong = own["prediction"] != own["prediction_told"]
        if wrong.mean() > SPARED:
            yield (
                f"{title} (classifier seed {seed}): {wrong.sum()} of {len(own):,} images are "
                "classified otherwise"
            )


def check_scores(told: pd.DataFrame, again: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence for each detector and set of which images score otherwise.

    Args:
        told: the scores of a run, columns as in `oodbench.results.columns.SCORE`.
        again: those of some of its images, computed anew.
    """
    scores = _joined(told, again, [*_FITTED, "dataset", "split", "index"])
    folds = ["fold"] if "fold" in scores else []
    for key, fitted in scores.groupby([*folds, *_FITTED], sort=False, dropna=False, observed=True):
        is_known = fitted["split"] == "calibration"
        allowed = TOLERANCE * fitted.loc[is_known, "score"].std()
        *_, name, _, classifier_seed, seed = map(str, key)
        where = f"{name} (seeds {classifier_seed}, {seed.replace('<NA>', 'none')})"
        for (title, split), own in fitted.groupby(["dataset", "split"], sort=False, observed=True):
            off = ~((own["score"] - own["score_told"]).abs() <= allowed)  # missing ones are off
            if off.mean() > SPARED:
                first = own[off].iloc[0]
                yield (
                    f"{where} on {title} ({split}): {off.sum()} of {len(own):,} images score "
                    f"otherwise, the first, image {first['index']}, {first['score']:.6g} and not "
                    f"{first['score_told']:.6g}"
                )
