"""The outputs of a run's jobs, collected: records, scores, predictions and their provenance."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from oodbench import hardware
from oodbench.contracts import Need, parameters
from oodbench.engine import Outcomes
from oodbench.errors import StoreError
from oodbench.identity.keys import plain
from oodbench.images.npy import ArrayFile, predicted_classes
from oodbench.plan.jobs import Plan, Ref
from oodbench.request.classifiers import NoClassifier, record
from oodbench.request.detectors import asks_for
from oodbench.request.resolution import Resolved
from oodbench.results.columns import PREDICTION, SCORE, records_frame
from oodbench.results.parts import Parts
from oodbench.runs.costs import classifier_parameters, costs_of
from oodbench.runs.networks import list_artifacts
from oodbench.runs.overlaps import Overlaps
from oodbench.runs.remarks import remarks_of
from oodbench.runs.versions import versions
from oodbench.store.artifacts import Artifact, Store
from oodbench.store.validation import LENGTH

SEEN = "the classifier was trained elsewhere, and may have seen the validation images that"

MIRRORED = "the classifier was trained on mirrored images too, which may be of another class"

UNCLASSIFIED = "not applicable, since there is no classifier"

GIVEN = "features and logits computed elsewhere"


class Collector:
    """Read the artifacts of a run.

    Args:
        resolved: the request.
        plan: its jobs.
        store: where their artifacts are.
        results: what became of them.
        overlaps: what sets have in common.
    """

    def __init__(
        self, resolved: Resolved, plan: Plan, store: Store, results: Outcomes, overlaps: Overlaps
    ) -> None:
        self._resolved = resolved
        self._plan = plan
        self._store = store
        self._results = results
        self._overlaps = overlaps

    @cached_property
    def _made(self) -> dict[Ref, Artifact]:
        """All that the figures follow from and that the store still has, in this run or before."""
        found = {}
        for ref in sorted(self._plan.needed()):
            with suppress(StoreError):  # what was not made, or was removed since
                found[ref] = self._store.open(*ref)
        return found

    def records(self) -> pd.DataFrame:
        """Return one record for each row of the plan, failed ones included."""
        return records_frame([*self._planned_records(), *self._broken_records()])

    def _planned_records(self) -> Iterator[dict[str, Any]]:
        for row in self._plan.rows:
            key = {
                "id_dataset": row.id_dataset,
                "ood_dataset": row.ood_dataset,
                "detector": row.detector,
                "classifier": row.classifier,
                "classifier_seed": row.classifier_seed,
                "seed": row.seed,
            }
            blamed = self._results.blamed
            culprit = blamed.get(row.evaluate, blamed.get(row.probe))
            if culprit is None:
                path = self._store.open(*row.evaluate) / "measures.json"
                yield key | json.loads(path.read_text(encoding="utf-8"))
            else:
                error = f"{self._plan.jobs[culprit].title}: {self._results.failed[culprit].error}"[
                    :LENGTH
                ]
                yield key | {"status": "failed", "error": error}

    def _broken_records(self) -> Iterator[dict[str, Any]]:
        """Yield the failed records of detectors whose plugin could not be loaded."""
        request = self._resolved.request
        id_dataset, *ood = request.titles()
        for name, reason in self._resolved.broken.items():
            for classifier_seed in request.classifier_seeds:
                for ood_dataset in ("", *ood):
                    yield {
                        "id_dataset": id_dataset,
                        "ood_dataset": ood_dataset,
                        "detector": name,
                        "classifier": request.classifier.full_name,
                        "classifier_seed": classifier_seed,
                        "seed": None,
                        "status": "failed",
                        "error": reason,
                    }

    def scores(self) -> Parts:
        """Return the score of every image, columns as in `SCORE`."""
        return Parts(SCORE, self._scores)

    def _scores(self) -> Iterator[pd.DataFrame]:
        for scored in self._plan.scored:
            if not self._results.blamed.keys().isdisjoint((scored.score, scored.probe)):
                continue
            artifact = self._store.open(*scored.score)
            values = np.load(artifact / "scores.npy")
            columns = {
                "detector": scored.detector,
                "classifier": scored.classifier,
                "classifier_seed": scored.classifier_seed,
                "seed": pd.array([scored.seed] * len(values), dtype="Int64"),
                "dataset": scored.dataset,
                "split": scored.split,
                "index": np.load(artifact / "indices.npy"),
                "score": values,
            }
            yield pd.DataFrame(columns)

    def predictions(self) -> Parts:
        """Return label and predicted class of every image, columns as in `PREDICTION`."""
        return Parts(PREDICTION, self._predictions)

    def _predictions(self) -> Iterator[pd.DataFrame]:
        for predicted in self._plan.predicted:
            if predicted.extract in self._results.blamed:
                continue
            artifact = self._store.open(*predicted.extract)
            logits = ArrayFile.open(artifact / "logits.npy")
            if not logits.shape[1]:
                continue  # features came from elsewhere, and no classifier with them
            columns = {
                "classifier": predicted.classifier,
                "classifier_seed": predicted.classifier_seed,
                "dataset": predicted.dataset,
                "split": predicted.split,
                "index": np.load(artifact / "indices.npy"),
                "label": np.load(artifact / "labels.npy"),
                "prediction": predicted_classes(logits),
            }
            yield pd.DataFrame(columns)

    @cached_property
    def notes(self) -> dict[str, str]:
        """The notes of data sets about their images, by title."""
        notes = {}
        for predicted in self._plan.predicted:
            if predicted.extract not in self._results.blamed:
                note = self._store.open(*predicted.extract).meta["note"]
                if note and predicted.split == "test":
                    notes[predicted.dataset] = note
        request = self._resolved.request
        if request.classifier.flip and not request.train.dataset.mirrorable:
            _append(notes, request.titles()[0], MIRRORED)
        if names := self._validated_elsewhere():
            *others, last = names
            all_names = f"{', '.join(others)} and {last}" if others else last
            text = f"{SEEN} {all_names} {'are' if others else 'is'} fitted on"
            _append(notes, request.titles()[0], text)
        if request.on_arrays:
            _append(notes, request.titles()[0], f"{GIVEN}; the head: {self._resolved.head}")
        if isinstance(request.classifier, NoClassifier) and self._resolved.unsuited:
            text = f"{UNCLASSIFIED}: {', '.join(self._resolved.unsuited)}"
            _append(notes, request.titles()[0], text)
        for title, text in self._overlaps.notes.items():
            _append(notes, title, text)
        return notes

    def _validated_elsewhere(self) -> list[str]:
        """Return the detectors fitted on images that the classifier may have been trained on."""
        trained = [each for ref, each in self._made.items() if ref.stage == "train"]
        of_run = self._resolved.benchmark.held_out and not self._resolved.request.on_arrays
        if not of_run or all("train_accuracy" in each.meta for each in trained):
            return []
        detectors = self._resolved.request.detectors.items()
        return [name for name, detector in detectors if asks_for(detector, Need.VALIDATION)]

    def texts(self) -> dict[str, Any]:
        """Return notes, deviations and groups, as tables show them."""
        return {"notes": self.notes, "deviations": self.deviations(), "groups": self.groups()}

    def groups(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Return the groups of OOD sets to average over, by the title of the ID set."""
        return {self._resolved.request.titles()[0]: self._resolved.groups}

    def papers(self) -> dict[str, dict[str, str]]:
        """Return the publications that detectors implement, by name."""
        papers = {
            name: detector.info.paper for name, detector in self._resolved.request.detectors.items()
        }
        return {
            name: {"citation": str(paper), "url": paper.url}
            for name, paper in papers.items()
            if paper is not None
        }

    def deviations(self) -> dict[str, str]:
        """Return deviations from papers and defaults, remarks of fits, and layers read, by name."""
        remarks = remarks_of(self._plan, self._made)
        found = {
            name: " ".join([*detector.info.deviations, *_chosen(detector), *remarks.get(name, ())])
            for name, detector in self._resolved.request.detectors.items()
        }
        return {name: text for name, text in found.items() if text}

    def shipped(self) -> dict[str, Any]:
        """Return the origins of the pretrained weights used, by the jobs that they replaced."""
        found = {}
        for ref, artifact in self._made.items():
            if ref.stage in ("train", "fit"):
                run = artifact.meta.get("shipped")
                if run:
                    found[self._plan.jobs[ref].title] = run
        return found

    def info(self) -> dict[str, Any]:
        """Return the entries of ``run.json`` about the request, the machine and the jobs."""
        failures = {
            "/".join(ref): {"job": self._plan.jobs[ref].title, "trace": outcome.trace[-LENGTH:]}
            for ref, outcome in self._results.failed.items()
        }
        return {
            "benchmark": self._resolved.benchmark.name,
            "request": self._request(),
            "missing": self._resolved.missing,
            "broken": self._resolved.broken,
            "unsuited": self._resolved.unsuited,
            "classes": self._resolved.request.classes(),
            "notes": self.notes,
            "papers": self.papers(),
            "deviations": self.deviations(),
            "shipped": self.shipped(),
            "failures": failures,
            "hardware": hardware.describe(),
            "versions": versions(),
            "plugins": self._resolved.distributions,
            "costs": costs_of(self._plan, self._store, set(self._results.blamed)),
            "classifier_parameters": classifier_parameters(self._plan, self._store),
            "jobs": {"/".join(ref): self._plan.jobs[ref].title for ref in self._made},
            "artifacts": list_artifacts(self._plan),
            "jobs_run": len(self._results.done),
            "jobs_reused": len(self._results.reused),
            **self._count_images(),
        }

    def _request(self) -> dict[str, Any]:
        request, benchmark = self._resolved.request, self._resolved.benchmark
        return {
            "id": benchmark.id,
            "ood": list(benchmark.ood),
            "groups": {name: list(titles) for name, titles in self._resolved.groups.items()},
            "datasets": plain(self._resolved.datasets),
            "detectors": {
                name: plain(parameters(each)) for name, each in request.detectors.items()
            },
            "classifier": record(request.classifier),
            "seeds": list(request.seeds),
            "classifier_seeds": list(request.classifier_seeds),
            "images_per_set": request.images_per_set,
            "calibration_images": request.calibration_images,
            "validation_images": benchmark.held_out,
            "selection_seed": request.selection_seed,
            "precision": request.precision,
            "batch_size": request.batch_size,
            "fingerprints": request.fingerprints(),
        }

    def _count_images(self) -> dict[str, int]:
        """Count the distinct images of the run, and the forward passes that it made.

        ``distinct_images`` are those that classifiers see, however many of them and of detectors
        there are. ``images_forwarded`` passed through classifiers for all detectors together, and
        ``images_forwarded_by_detectors`` when detectors called the classifier while they scored;
        ``images_forwarded_by_probes`` when they scored some images again, but for probes that are
        not kept.
        """
        distinct: dict[Ref, np.ndarray] = {}
        for ref, found in self._made.items():
            if ref.stage in ("extract", "reduce"):
                images = self._plan.jobs[ref].inputs["images"]
                with suppress(StoreError):  # nobody needed it, nor verified it
                    positions = np.load(found / "positions.npy")
                    distinct[images] = np.union1d(distinct.get(images, positions), positions)
        return {
            "distinct_images": sum(map(len, distinct.values())),
            "images_forwarded": self._forwarded("extract") + self._forwarded("reduce"),
            "images_forwarded_by_detectors": self._forwarded("score"),
            "images_forwarded_by_probes": self._forwarded("probe"),
        }

    def _forwarded(self, stage: str) -> int:
        """Return the images that passed through classifiers in the jobs of a stage in this run."""
        count = 0
        for ref in self._results.done:
            if ref.stage == stage:
                with suppress(StoreError):  # a probe that was not kept
                    count += self._store.open(*ref).meta["forwarded"]
        return count


def _append(notes: dict[str, str], title: str, text: str) -> None:
    notes[title] = f"{notes[title]}; {text}" if title in notes else text


def _chosen(plugin: object) -> list[str]:
    """Return a sentence on the parameters that are not the plugin's defaults, if there are any."""
    defaults = inspect.signature(type(plugin)).parameters
    chosen = [
        f"{name}={plain(value)}"
        for name, value in parameters(plugin).items()
        if value != defaults[name].default
    ]
    return [f"Here with {', '.join(chosen)}."] if chosen else []
