"""Jobs, and the plan that they make up.

The kinds of job, and what they take in::

    prepare   images of a source, selected and fitted to the ID geometry
    rows      rows of a file of arrays, selected, in the place of prepare
    train     a classifier                       <- prepare (ID train, auxiliary)
    generate  images by a part                   <- fit
    extract   logits and features of images      <- prepare, train
    arrays    those features and logits          <- rows, train, in the place of extract
    listing   labels without a classifier        <- prepare, in the place of extract
    reduce    what a detector makes of layers    <- prepare, train
    fit       a detector, or a part of several   <- prepare (ID train), train, extract, reduce, fit
    score     one score an image                 <- prepare, train, extract, reduce, fit
    probe     that scores are of one image       <- score, and all that it is made of
    evaluate  the measures of one row            <- score, extract
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Resources:
    """What a job occupies while it runs.

    The number of CPUs is also its number of threads, which may change results in the last digit.
    So it depends on the kind of job and on the machines, never on what else there is to do.

    Attributes:
        cpus: as many as the job makes use of; the engine gives it fewer where machines are smaller.
        gpus: GPUs, or the share of one.
    """

    cpus: int
    gpus: float


class Ref(NamedTuple):
    """Where a job's artifact is in the store."""

    stage: str
    key: str


@dataclass(frozen=True)
class Job:
    """Something to compute.

    Attributes:
        ref: kind of job and content key.
        title: what to call it in the progress display and in messages.
        spec: arguments of the stage's ``run``: plugin objects and plain values.
        inputs: the artifacts it reads, by role.
        resources: what it occupies.
        is_vital: whether no other job has a meaning if the user's data or weights fail this one.
        optional: roles of inputs that it does without where they could not be made; its artifact
            is then not kept.
        passes: what passes through which classifier; jobs that have it in common are done in one
            pass. Empty for other jobs.
        companions: the other jobs that are to be done in the same pass now.
    """

    ref: Ref
    title: str
    spec: Mapping[str, Any]
    inputs: Mapping[str, Ref]
    resources: Resources
    is_vital: bool = False
    optional: frozenset[str] = frozenset()
    passes: str = ""
    companions: tuple[Job, ...] = ()

    @property
    def required(self) -> dict[str, Ref]:
        """The inputs that it cannot do without, by role."""
        return {role: ref for role, ref in self.inputs.items() if role not in self.optional}

    def bounded(self, cpus: int) -> Job:
        """Return the job as it runs on a machine of so many CPUs."""
        return replace(self, resources=replace(self.resources, cpus=min(self.resources.cpus, cpus)))


@dataclass(frozen=True)
class Row:
    """A row of the records and the jobs that its figures come from.

    ``ood_dataset`` is empty in the row of the ID set itself; ``seed`` is None for a detector that
    draws nothing. A row counts only if its `probe` succeeds too.
    """

    id_dataset: str
    ood_dataset: str
    detector: str
    classifier: str
    classifier_seed: int
    seed: int | None
    evaluate: Ref
    score: Ref
    probe: Ref


@dataclass(frozen=True)
class Scored:
    """The scores of one split of a data set, for the files of a run, and the probe of them."""

    detector: str
    classifier: str
    classifier_seed: int
    seed: int | None
    dataset: str
    split: str
    score: Ref
    probe: Ref


@dataclass(frozen=True)
class Predicted:
    """The logits of one split of a data set, for the files of a run."""

    classifier: str
    classifier_seed: int
    dataset: str
    split: str
    extract: Ref


@dataclass
class Plan:
    """Jobs, and what the files of the run are made of.

    Attributes:
        jobs: every job by its reference, inputs before those that need them.
        rows: the rows of the records, in the order of the table.
        scored: the scores that the run keeps.
        predicted: the predictions that the run keeps.
        validation: the validation images, from which guards get their thresholds; None without.
    """

    jobs: dict[Ref, Job] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    predicted: list[Predicted] = field(default_factory=list)
    validation: Ref | None = None

    def targets(self) -> Iterator[Ref]:
        """Yield the jobs whose artifacts the files of the run are made of."""
        yield from (row.evaluate for row in self.rows)
        for scored in self.scored:
            yield from (scored.score, scored.probe)
        yield from (predicted.extract for predicted in self.predicted)
        if self.validation is not None:
            yield self.validation

    def without(self, titles: Collection[str]) -> Plan:
        """Return the plan of the files without some OOD sets, given what tables call the sets.

        Its jobs are the same: detectors were probed with these sets too.
        """
        return Plan(
            self.jobs,
            [row for row in self.rows if row.ood_dataset not in titles],
            [scored for scored in self.scored if scored.dataset not in titles],
            [predicted for predicted in self.predicted if predicted.dataset not in titles],
            self.validation,
        )

    def needed(self, targets: Iterable[Ref] | None = None, *, optional: bool = True) -> set[Ref]:
        """Return targets, by default those of the run, and all jobs they depend on.

        Args:
            targets: the jobs asked for.
            optional: whether inputs count that a job does without.
        """
        found: set[Ref] = set()
        waiting = list(self.targets() if targets is None else targets)
        while waiting:
            ref = waiting.pop()
            if ref not in found:
                found.add(ref)
                job = self.jobs[ref]
                waiting.extend((job.inputs if optional else job.required).values())
        return found
