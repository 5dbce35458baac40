"""Turn a request into jobs with content keys: a graph, in which nothing is run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from oodbench.classifiers import identify
from oodbench.contracts import CustomClassifier, Detector, GeneratedDataset, Need, Trainable
from oodbench.jobs import Job, Plan, Predicted, Ref, Request, Resources, Row, Scored
from oodbench.keys import digest, plugin_key
from oodbench.pretrained import Weights, identity_of
from oodbench.sources import Source
from oodbench.stagecode import stage_code

HEAVY_CPUS = 4
"""CPUs at most for one training or forward pass; the small networks here gain little from more."""

FROM_CLASSIFIER = frozenset({Need.LOGITS, Need.FEATURES})

PASSES = frozenset({Need.INPUTS, Need.CLASSIFIER})
"""What a detector needs that passes images through the classifier itself."""


def make_plan(request: Request) -> Plan:
    """Return the plan of a request: a pure function of it and of the code of plugins and stages."""
    return _Planner(request).plan


def _key(weights: Weights | None) -> dict[str, str]:
    return {"weights": weights.digest} if weights else {}


def _seed_of_part(part: Trainable, seed: int | None) -> int | None:
    """Return the seed that a part draws with, given that of the detector that asks for it."""
    if not part.stochastic:
        return None
    return seed or 0 if isinstance(part, Detector) else 0


class _Split(NamedTuple):
    """Images of one data set: ``kind`` is "train" or "test", both of the ID set, or "ood"."""

    kind: str
    title: str


@dataclass(frozen=True)
class _Extracted:
    """A trained classifier and what it yields of each split."""

    seed: int
    train: Ref
    splits: Mapping[_Split, Ref]
    rest: Ref


class _Planner:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.plan = Plan()
        device_share = 1.0 if request.gpus else 0.0
        self._heavy = Resources(min(request.cpus, HEAVY_CPUS), device_share)
        self._light = Resources(1, device_share / 4)
        self._shared = Resources(self._heavy.cpus, device_share / 4)
        self._plain = Resources(1, 0.0)
        self._code = functools.cache(stage_code)
        self._classifier = request.classifier.full_name
        self._detector_keys = {name: plugin_key(each) for name, each in request.detectors.items()}
        id_title, *self._ood_titles = request.titles()
        self._train, self._test = _Split("train", id_title), _Split("test", id_title)
        self._generated = {
            _Split("ood", title): source.dataset
            for title, source in zip(self._ood_titles, request.ood, strict=True)
            if isinstance(source.dataset, GeneratedDataset)
        }
        self._images = self._prepare_all()
        for seed in request.classifier_seeds:
            self._plan_classifier(seed)

    def _add(
        self,
        stage: str,
        title: str,
        spec: Mapping[str, Any],
        inputs: Mapping[str, Ref],
        resources: Resources,
        identity: Mapping[str, Any],
    ) -> Ref:
        content = {
            "stage": stage,
            "code": self._code(stage),
            "identity": identity,
            "inputs": {role: ref.key for role, ref in inputs.items()},
        }
        ref = Ref(stage, digest(content))
        self.plan.jobs.setdefault(ref, Job(ref, title, spec, inputs, resources))
        return ref

    def _prepare_all(self) -> dict[_Split, Ref]:
        request = self.request
        images = {
            self._train: self._prepare(request.train, None),
            self._test: self._prepare(request.test, request.images_per_set),
        }
        for title, source in zip(self._ood_titles, request.ood, strict=True):
            if _Split("ood", title) not in self._generated:
                images[_Split("ood", title)] = self._prepare(source, request.images_per_set)
        return images

    def _generate(self, title: str, dataset: GeneratedDataset, extracted: _Extracted) -> Ref:
        """Plan images that are made by parts, which may have learned from a classifier."""
        name = dataset.info.name
        plain = {
            "shape": list(self.request.shape),
            "num_classes": self.request.train.dataset.num_classes,
            "at_most": self.request.images_per_set,
            "seed": self.request.selection_seed,
            "precision": self.request.precision,
        }
        return self._add(
            "generate",
            f"make {title}",
            plain | {"dataset": dataset},
            self._fit_parts(name, dataset, None, extracted),
            self._light,
            plain | {"dataset": plugin_key(dataset)},
        )

    def _prepare(self, source: Source, at_most: int | None) -> Ref:
        plain = {
            "split": source.split,
            "shape": list(self.request.shape),
            "num_classes": self.request.train.dataset.num_classes,
            "at_most": at_most,
            "seed": self.request.selection_seed,
        }
        return self._add(
            "prepare",
            f"prepare {source.dataset.info.name} ({source.split})",
            plain | {"source": source},
            {},
            self._plain,
            plain | {"fingerprint": source.fingerprint},
        )

    def _plan_classifier(self, seed: int) -> None:
        request = self.request
        train = self._plan_training(seed)
        splits = {
            split: self._extract(train, split, "all")
            for split in self._images
            if split != self._train and split not in self._generated
        }
        splits[self._train] = self._extract(train, self._train, "calibration")
        rest = self._extract(train, self._train, "rest")
        extracted = _Extracted(seed, train, splits, rest)
        for split, dataset in self._generated.items():
            self._images[split] = self._generate(split.title, dataset, extracted)
            splits[split] = self._extract(train, split, "all")
        extracted = dataclasses.replace(extracted, splits=self._in_order(splits))
        self._list_predictions(extracted)
        for name, detector in request.detectors.items():
            for detector_seed in request.seeds if detector.stochastic else (None,):
                self._plan_detector(name, detector, detector_seed, extracted)

    def _plan_training(self, seed: int) -> Ref:
        classifier = self.request.classifier
        plain = {"seed": seed, "precision": self.request.precision}
        weights = self._shipped(classifier, seed)
        inputs = {"train": self._prepare(self.request.taught or self.request.train, None)}
        auxiliary = classifier.auxiliary() if isinstance(classifier, CustomClassifier) else None
        if auxiliary:
            inputs["auxiliary"] = self._prepare(self.request.auxiliary[auxiliary], None)
        return self._add(
            "train",
            f"train {self._classifier} (seed {seed})",
            plain | {"classifier": classifier, "weights": weights},
            inputs,
            self._heavy,
            plain | _key(weights) | {"classifier": identify(classifier)},
        )

    def _in_order(self, splits: Mapping[_Split, Ref]) -> dict[_Split, Ref]:
        """Return what belongs to splits in the order of the table."""
        ood = [_Split("ood", title) for title in self._ood_titles]
        return {split: splits[split] for split in (self._test, *ood, self._train)}

    def _extract(self, train: Ref, split: _Split, part: str) -> Ref:
        request = self.request
        plain = {
            "part": part,
            "count": request.calibration_images,
            "seed": request.selection_seed,
            "precision": request.precision,
            "batch_size": request.batch_size,
        }
        title = split.title + ("" if part == "all" else f" ({part})")
        return self._add(
            "extract",
            f"forward pass over {title}",
            plain | {"classifier": request.classifier},
            {"images": self._images[split], "classifier": train},
            self._heavy,
            plain,
        )

    def _list_predictions(self, extracted: _Extracted) -> None:
        for split, ref in extracted.splits.items():
            self.plan.predicted.append(
                Predicted(
                    self._classifier,
                    extracted.seed,
                    split.title,
                    "calibration" if split == self._train else "test",
                    ref,
                )
            )

    def _fit(self, name: str, trainable: Trainable, seed: int | None, extracted: _Extracted) -> Ref:
        """Plan the fit of a detector or part, after the parts that it asks for."""
        needs = trainable.needs_to_fit()
        inputs = {"train": self._images[self._train]}
        inputs |= self._fit_parts(name, trainable, seed, extracted)
        if needs & FROM_CLASSIFIER:
            inputs |= {"calibration": extracted.splits[self._train], "rest": extracted.rest}
        if auxiliary := trainable.auxiliary():
            inputs["auxiliary"] = self._prepare(self.request.auxiliary[auxiliary], None)
        plain = {"seed": seed or 0, "precision": self.request.precision}
        weights = self._shipped(trainable, seed or 0)
        classifier = self._with_classifier(trainable, inputs, extracted)
        return self._add(
            "fit",
            f"fit {name}" + ("" if seed is None else f" (seed {seed})"),
            plain | {"trainable": trainable, "weights": weights} | classifier,
            inputs,
            self._resources(trainable),
            plain | _key(weights) | {"trainable": plugin_key(trainable)},
        )

    def _fit_parts(
        self,
        name: str,
        owner: Trainable | GeneratedDataset,
        seed: int | None,
        extracted: _Extracted,
    ) -> dict[str, Ref]:
        return {
            f"part:{role}": self._fit(
                f"{role} of {name}", part, _seed_of_part(part, seed), extracted
            )
            for role, part in owner.parts().items()
        }

    def _shipped(self, plugin: object, seed: int) -> Weights | None:
        return self.request.weights.get(digest(identity_of(plugin, seed)))

    def _with_classifier(
        self, trainable: Trainable, inputs: dict[str, Ref], extracted: _Extracted
    ) -> dict[str, Any]:
        """Add the classifier to the inputs and return it, where ``trainable`` needs it."""
        needs = trainable.needs | trainable.needs_to_fit()
        if Need.CLASSIFIER not in needs:
            return {"classifier": None}
        inputs["classifier"] = extracted.train
        return {"classifier": self.request.classifier}

    def _resources(self, trainable: Trainable) -> Resources:
        """Fits without passes of the training images through the classifier run side by side."""
        if not isinstance(trainable, Detector):
            return self._heavy  # all seeds and detectors wait for a part
        return self._shared if trainable.needs_to_fit() >= PASSES else self._light

    def _plan_detector(
        self, name: str, detector: Detector, seed: int | None, extracted: _Extracted
    ) -> None:
        fit = self._fit(name, detector, seed, extracted) if detector.learns() else None
        scores = {
            split: self._score(name, detector, seed, fit, split, extracted)
            for split in extracted.splits
        }
        key = (name, self._classifier, extracted.seed, seed)
        for split, ref in scores.items():
            part = "calibration" if split == self._train else "test"
            self.plan.scored.append(Scored(*key, split.title, part, ref))
        for split in scores:
            if split != self._train:
                evaluate = self._evaluate(name, split, scores, extracted)
                ood = split.title if split.kind == "ood" else ""
                self.plan.rows.append(Row(self._test.title, ood, *key, evaluate, scores[split]))

    def _score(
        self,
        name: str,
        detector: Detector,
        seed: int | None,
        fit: Ref | None,
        split: _Split,
        extracted: _Extracted,
    ) -> Ref:
        request = self.request
        inputs = {"images": self._images[split]}
        if fit is not None:
            inputs["fit"] = fit
        if detector.needs & FROM_CLASSIFIER:
            inputs["extract"] = extracted.splits[split]
        plain = {
            "part": "calibration" if split == self._train else "all",
            "count": request.calibration_images,
            "selection_seed": request.selection_seed,
            "seed": seed or 0,
            "precision": request.precision,
            "batch_size": request.batch_size,
        }
        spec = plain | {"detector": detector, **self._with_classifier(detector, inputs, extracted)}
        title = split.title + (" (calibration)" if split == self._train else "")
        suffix = "" if seed is None else f" (seed {seed})"
        return self._add(
            "score",
            f"score {title} by {name}{suffix}",
            spec,
            inputs,
            self._shared,
            plain | {"detector": self._detector_keys[name]},
        )

    def _evaluate(
        self, name: str, split: _Split, scores: Mapping[_Split, Ref], extracted: _Extracted
    ) -> Ref:
        inputs = {  # of several that failed the first is blamed: the classifier, then the detector
            "id_extract": extracted.splits[self._test],
            "id": scores[self._test],
            "calibration": scores[self._train],
        }
        if split.kind == "ood":
            inputs["ood"] = scores[split]
        title = f"evaluate {name} on {split.title}"
        return self._add("evaluate", title, {}, inputs, self._plain, {})
