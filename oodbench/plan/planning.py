"""The plan of a request: its jobs with content keys, a graph in which nothing is run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from oodbench.contracts import (
    Classifier,
    CustomClassifier,
    Detector,
    GeneratedDataset,
    Need,
    Trainable,
)
from oodbench.hardware import BATCH_SIZES
from oodbench.identity.keys import digest, identify
from oodbench.identity.pretrained import Weights, identity_of
from oodbench.identity.stagecode import stage_code
from oodbench.images.sources import Source
from oodbench.plan.jobs import Job, Plan, Predicted, Ref, Resources, Row, Scored
from oodbench.plan.passes import (
    FROM_CLASSIFIER,
    PASSES,
    Extracted,
    Passes,
    Split,
    describe,
    seed_of_part,
    suffix,
)
from oodbench.plan.probes import probe_of
from oodbench.plan.specs import (
    FitSpec,
    GenerateSpec,
    PrepareSpec,
    ScoreSpec,
    Selection,
    Spec,
    TrainSpec,
)
from oodbench.request.arrays import GivenClassifier
from oodbench.request.classifiers import NoClassifier
from oodbench.request.request import Request

HEAVY_CPUS = 4
"""CPUs at most for one training, forward pass or set of pictures to decode; the small networks here
gain little from more."""


def make_plan(request: Request) -> Plan:
    """Return the plan of a request: a pure function of it and of the code of plugins and stages."""
    return _Planner(request).plan


class _Planner:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.plan = Plan()
        device_share = 1.0 if request.gpus else 0.0
        self._heavy = Resources(HEAVY_CPUS, device_share)
        self._light = Resources(1, device_share / 4)
        self._shared = Resources(self._heavy.cpus, device_share / 4)
        self._plain = Resources(1, 0.0)
        self._decoding = Resources(self._heavy.cpus, 0.0)
        self._code = functools.cache(stage_code)
        self._identities: dict[int, tuple[object, Any]] = {}
        self._classifier = request.classifier.full_name
        id_title, *self._ood_titles = request.titles()
        self._in_fold = f", fold {request.fold}" if request.fold else ""
        self._train, self._test = Split("train", id_title), Split("test", id_title)
        self._validation = Split("validation", id_title)
        self._generated = {
            Split("ood", title): source.dataset
            for title, source in zip(self._ood_titles, request.ood, strict=True)
            if isinstance(source.dataset, GeneratedDataset)
        }
        self._images = self._prepare_all()
        self._passes = Passes(request, self._images, self._add, self._heavy)
        self._plan_ensembles([self._plan_classifier(seed) for seed in request.classifier_seeds])

    def _add(
        self,
        stage: str,
        title: str,
        spec: Spec,
        inputs: Mapping[str, Ref],
        resources: Resources,
        *,
        is_vital: bool = False,
        optional: frozenset[str] = frozenset(),
        passes: str = "",
    ) -> Ref:
        content = {
            "stage": stage,
            "code": self._code(stage),
            "spec": {name: self._identify(value) for name, value in spec.items()},
            "inputs": {role: ref.key for role, ref in inputs.items()},
        }
        ref = Ref(stage, digest(content))
        job = Job(ref, title, spec, inputs, resources, is_vital, optional, passes)
        self.plan.jobs.setdefault(ref, job)
        return ref

    def _identify(self, value: object) -> Any:
        """Return what identifies a value, looked up once for each object."""
        if id(value) not in self._identities:
            self._identities[id(value)] = (value, identify(value))  # kept, so that its id stays
        return self._identities[id(value)][1]

    def _prepare_all(self) -> dict[Split, Ref]:
        request = self.request
        images = {
            self._train: self._prepare(request.train, None, is_vital=True),
            self._test: self._prepare(request.test, request.images_per_set, is_vital=True),
        }
        if request.validation is not None:
            images[self._validation] = self._prepare(request.validation, None)
            self.plan.validation = images[self._validation]
        for title, source in zip(self._ood_titles, request.ood, strict=True):
            if Split("ood", title) not in self._generated:
                images[Split("ood", title)] = self._prepare(source, request.images_per_set)
        return images

    def _generate(self, title: str, dataset: GeneratedDataset, extracted: Extracted) -> Ref:
        """Plan the generation of images by parts, which may have learned from a classifier."""
        name = dataset.info.name
        spec: GenerateSpec = {
            "dataset": dataset,
            "precision": self.request.precision,
            **self._selection(self.request.images_per_set),
        }
        parts = self._fit_parts(name, dataset, None, extracted)
        return self._add("generate", f"make {title}", spec, parts, self._light)

    def _prepare(self, source: Source, at_most: int | None, *, is_vital: bool = False) -> Ref:
        spec: PrepareSpec = {"source": source, **self._selection(at_most)}
        title = f"prepare {source.dataset.info.name} ({source.part})"
        stage = "rows" if self.request.on_arrays else "prepare"
        resources = self._plain if source.pack or stage == "rows" else self._decoding
        return self._add(stage, title, spec, {}, resources, is_vital=is_vital)

    def _selection(self, at_most: int | None) -> Selection:
        return {
            "shape": self.request.shape,
            "num_classes": self.request.train.dataset.num_classes,
            "at_most": at_most,
            "selection_seed": self.request.selection_seed,
        }

    def _plan_classifier(self, seed: int) -> Extracted:
        train = self._plan_training(seed)
        splits = {
            split: self._passes.extract(train, split, "all")
            for split in self._images
            if split != self._train and split not in self._generated
        }
        validation = splits.pop(self._validation, None)
        splits[self._train] = self._passes.extract(train, self._train, "calibration")
        rest = self._passes.extract(train, self._train, "rest")
        extracted = Extracted(seed, train, splits, rest, validation)
        for split, dataset in self._generated.items():
            self._images[split] = self._generate(split.title, dataset, extracted)
            splits[split] = self._passes.extract(train, split, "all")
        extracted = dataclasses.replace(extracted, splits=self._in_order(splits))
        self._list_predictions(extracted)
        self._plan_detectors(extracted, ensembles=False)
        return extracted

    def _plan_detectors(self, extracted: Extracted, *, ensembles: bool) -> None:
        for name, detector in self.request.detectors.items():
            if detector.ensemble == ensembles:
                for detector_seed in self.request.seeds if detector.stochastic else (None,):
                    self._plan_detector(name, detector, detector_seed, extracted)

    def _plan_ensembles(self, members: Sequence[Extracted]) -> None:
        """Plan the detectors that score by all classifiers, in the rows of the first one."""
        if any(detector.ensemble for detector in self.request.detectors.values()):
            given = [split for split in members[0].splits if split not in self._generated]
            together = self._passes.together(members, given, self._test)
            self._plan_detectors(together, ensembles=True)

    def _plan_training(self, seed: int) -> Ref | None:
        classifier = self.request.classifier_of(seed)
        headless = isinstance(classifier, GivenClassifier) and not classifier.head
        if headless or isinstance(classifier, NoClassifier):
            return None
        spec: TrainSpec = {
            "classifier": classifier,
            "weights": self._shipped(classifier, seed),
            "seed": seed,
            "precision": self.request.precision,
        }
        inputs = {"train": self._images[self._train]}
        auxiliary = classifier.auxiliary() if isinstance(classifier, CustomClassifier) else None
        if auxiliary:
            source = self.request.auxiliary[auxiliary]
            inputs["auxiliary"] = self._prepare(source, None, is_vital=True)
        how = "read the head of" if self.request.on_arrays else "train"
        title = f"{how} {self._classifier} (seed {seed}){self._in_fold}"
        return self._add("train", title, spec, inputs, self._heavy, is_vital=True)

    def _in_order(self, splits: Mapping[Split, Ref]) -> dict[Split, Ref]:
        """Return what belongs to splits in the order of the table."""
        ood = [Split("ood", title) for title in self._ood_titles]
        return {split: splits[split] for split in (self._test, *ood, self._train)}

    def _list_predictions(self, extracted: Extracted) -> None:
        for split, ref in extracted.splits.items():
            part = "calibration" if split == self._train else "test"
            predicted = Predicted(self._classifier, extracted.seed, split.title, part, ref)
            self.plan.predicted.append(predicted)

    def _fit(self, name: str, trainable: Trainable, seed: int | None, extracted: Extracted) -> Ref:
        """Plan the fit of a detector or part, after the parts that it asks for."""
        needs = trainable.needs_to_fit()
        inputs = {"train": self._images[self._train]}
        inputs |= self._fit_parts(name, trainable, seed, extracted)
        if needs & FROM_CLASSIFIER:
            inputs |= {"calibration": extracted.splits[self._train], "rest": extracted.rest}
        if Need.LAYERS in needs:
            inputs |= self._passes.reduce_training(name, trainable, extracted.train, self._train)
        if Need.VALIDATION in needs:
            inputs |= self._held_out(name, trainable, extracted)
        if auxiliary := trainable.auxiliary():
            inputs["auxiliary"] = self._prepare(self.request.auxiliary[auxiliary], None)
        spec: FitSpec = {
            "trainable": trainable,
            "weights": self._shipped(trainable, seed or 0),
            "classifier": self._with_classifier(trainable, inputs, extracted),
            "seed": seed or 0,
            "precision": self.request.precision,
            "batch_size": BATCH_SIZES["cuda" if self.request.gpus else "cpu"],
        }
        resources = self._resources(trainable)
        title = f"fit {name}{suffix(seed)}{self._in_fold}"
        return self._add("fit", title, spec, inputs, resources)

    def _held_out(self, name: str, trainable: Trainable, extracted: Extracted) -> dict[str, Ref]:
        """Return the validation images, and what the classifier makes of them where needed."""
        if extracted.validation is None:
            return {}
        needs, split = trainable.needs | trainable.needs_to_fit(), self._validation
        inputs = {"validation": self._images[split]}
        if needs & FROM_CLASSIFIER:
            inputs["extract"] = extracted.validation
        if Need.LAYERS in needs:
            reduced = self._passes.reduce(name, trainable, extracted.train, split, "all")
            inputs["reduced:validation"] = reduced
        return inputs

    def _fit_parts(
        self,
        name: str,
        owner: Trainable | GeneratedDataset,
        seed: int | None,
        extracted: Extracted,
    ) -> dict[str, Ref]:
        return {
            f"part:{role}": self._fit(
                f"{role} of {name}", part, seed_of_part(part, seed), extracted
            )
            for role, part in owner.parts().items()
        }

    def _shipped(self, plugin: object, seed: int) -> tuple[Weights, ...]:
        return self.request.weights.get(digest(identity_of(plugin, seed)), ())

    def _with_classifier(
        self, trainable: Trainable, inputs: dict[str, Ref], extracted: Extracted
    ) -> Classifier | None:
        """Add the classifier to the inputs and return it, where ``trainable`` needs it."""
        needs = trainable.needs | trainable.needs_to_fit()
        if Need.CLASSIFIER not in needs:
            return None
        inputs["classifier"] = extracted.train
        return self.request.classifier

    def _resources(self, trainable: Trainable) -> Resources:
        """Fits without passes of the training images through the classifier run side by side."""
        if not isinstance(trainable, Detector):
            return self._heavy  # all seeds and detectors wait for a part
        return self._shared if trainable.needs_to_fit() >= PASSES else self._light

    def _plan_detector(
        self, name: str, detector: Detector, seed: int | None, extracted: Extracted
    ) -> None:
        fit = self._fit(name, detector, seed, extracted) if detector.learns() else None
        scores = {
            split: self._score(name, detector, seed, fit, split, extracted)
            for split in extracted.splits
        }
        probe = self._probe(name, seed, scores, extracted)
        key = (name, self._classifier, extracted.seed, seed)
        for split, ref in scores.items():
            part = "calibration" if split == self._train else "test"
            self.plan.scored.append(Scored(*key, split.title, part, ref, probe))
        for split, ref in scores.items():
            if split != self._train:
                evaluate = self._evaluate(name, split, scores, extracted)
                ood = split.title if split.kind == "ood" else ""
                self.plan.rows.append(Row(self._test.title, ood, *key, evaluate, ref, probe))

    def _score(
        self,
        name: str,
        detector: Detector,
        seed: int | None,
        fit: Ref | None,
        split: Split,
        extracted: Extracted,
    ) -> Ref:
        inputs = {"images": self._images[split]}
        if fit is not None:
            inputs["fit"] = fit
        if detector.needs & FROM_CLASSIFIER:
            inputs["extract"] = extracted.splits[split]
        part = "calibration" if split == self._train else "all"
        if Need.LAYERS in detector.needs:
            inputs["reduced"] = self._passes.reduce(name, detector, extracted.train, split, part)
        spec: ScoreSpec = {
            "detector": detector,
            "classifier": self._with_classifier(detector, inputs, extracted),
            "seed": seed or 0,
            **self._passes.part(part),
        }
        title = f"score {describe(split, part)} by {name}{suffix(seed)}"
        return self._add("score", title, spec, inputs, self._shared)

    def _probe(
        self, name: str, seed: int | None, scores: Mapping[Split, Ref], extracted: Extracted
    ) -> Ref:
        scoring = [self.plan.jobs[ref] for ref in scores.values()]
        spec, inputs, optional = probe_of(scoring, (scores[self._test], scores[self._train]))
        if Need.LAYERS in spec["detector"].needs:
            spec["network"], inputs["classifier"] = self.request.classifier, extracted.train
        title = f"score images of all sets again by {name}{suffix(seed)}{self._in_fold}"
        return self._add("probe", title, spec, inputs, self._shared, optional=optional)

    def _evaluate(
        self, name: str, split: Split, scores: Mapping[Split, Ref], extracted: Extracted
    ) -> Ref:
        inputs = {  # of several that failed the first is blamed: the classifier, then the detector
            "id_extract": extracted.predictions or extracted.splits[self._test],
            "id": scores[self._test],
            "calibration": scores[self._train],
        }
        if split.kind == "ood":
            inputs["ood"] = scores[split]
        title = f"evaluate {name} on {split.title}"
        return self._add("evaluate", title, {}, inputs, self._plain)
