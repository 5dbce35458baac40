"""The trials of candidates: validation images scored one after the other, or by Ray Tune.

A trial is what no other candidate needs: its fit and its scores. What several need, such as the
classifier and its pass over the images, is computed once, before them. All of it is kept in the
store: the same tuning again computes nothing.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from oodbench.engine import Outcomes, find_pending
from oodbench.measures.metrics import auroc
from oodbench.plan.jobs import Job, Plan, Ref
from oodbench.plan.planning import make_plan
from oodbench.request.request import Request
from oodbench.store.artifacts import Store
from oodbench.tuning.candidates import Candidate


@dataclass(frozen=True)
class Trial:
    """A candidate and the jobs that score validation images by it.

    Attributes:
        candidate: what is tried.
        inside: the scores of the held-out ID images.
        outside: the scores of the outliers, by what tables call the set.
        jobs: what is to be computed for this candidate alone.
    """

    candidate: Candidate
    inside: Ref
    outside: Mapping[str, Ref]
    jobs: Sequence[Job] = ()

    def targets(self) -> list[Ref]:
        """Return the scores."""
        return [self.inside, *self.outside.values()]

    def measure(self, store: Store) -> dict[str, float]:
        """Return the AUROC on each set of outliers, from scores that are in the store."""
        inside = _scores(store, self.inside)
        return {title: auroc(inside, _scores(store, ref)) for title, ref in self.outside.items()}

    def why_failed(self, results: Outcomes) -> str:
        """Return why it failed or is bound to fail; empty otherwise."""
        refs = [*self.targets(), *(ref for job in self.jobs for ref in job.inputs.values())]
        blamed = [results.blamed[ref] for ref in refs if ref in results.blamed]
        return results.failed[blamed[0]].error if blamed else ""


def _scores(store: Store, ref: Ref) -> np.ndarray:
    found: np.ndarray = np.load(store.open(*ref) / "scores.npy")
    return found


@dataclass(frozen=True)
class Search:
    """Trials, and the jobs that several of them need.

    Attributes:
        trials: one for each candidate.
        shared: the jobs to be computed before them, in order.
        request: what to compare.
    """

    trials: Sequence[Trial]
    shared: Sequence[Job]
    request: Request

    @property
    def pending(self) -> list[Trial]:
        """Return the trials that are not in the store yet."""
        return [trial for trial in self.trials if trial.jobs]


def plan_search(request: Request, candidates: Sequence[Candidate], store: Store) -> Search:
    """Plan the trials of some candidates; nothing is run.

    Args:
        request: held-out images as the ID test set, outliers as OOD sets; its detectors are
            replaced by the candidates.
        candidates: what to try.
        store: where what was computed is.
    """
    detectors = {each.label: each.detector for each in candidates}
    plan = make_plan(dataclasses.replace(request, detectors=detectors))
    trials = [_trial(candidate, plan) for candidate in candidates]
    users = Counter(ref for trial in trials for ref in plan.needed(trial.targets()))
    todo, _ = find_pending(plan, store, [ref for trial in trials for ref in trial.targets()])
    own = [job for job in todo if users[job.ref] == 1]
    planned = [
        dataclasses.replace(
            trial, jobs=[job for job in own if job.ref in plan.needed(trial.targets())]
        )
        for trial in trials
    ]
    return Search(planned, [job for job in todo if users[job.ref] > 1], request)


def _trial(candidate: Candidate, plan: Plan) -> Trial:
    inside, *outside = (
        (each.dataset, each.score)
        for each in plan.scored
        if each.detector == candidate.label and each.split == "test"
    )
    return Trial(candidate, inside[1], dict(outside))
