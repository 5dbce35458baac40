"""The networks of a run, restored from the artifacts that ``run.json`` names."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from oodbench.contracts import Context, Detector, Trainable
from oodbench.errors import FigureUnavailable, UserError, describe
from oodbench.registry.isolation import isolated
from oodbench.registry.lookup import Registry
from oodbench.request.classifiers import remake
from oodbench.runs.networks import artifacts_of
from oodbench.stages.fit import restore
from oodbench.stages.modules import load_classifier
from oodbench.store.artifacts import Artifact, Store

DEVICE = "cpu"
"""Figures are drawn on any machine and are the same everywhere."""


@dataclass(frozen=True)
class Fitted:
    """A detector or part, constructed but not restored yet.

    Attributes:
        trainable: with the parameters that it had in the run.
        entry: what ``run.json`` says of its artifacts; None if it learns nothing.
        seed: of its fit.
    """

    trainable: Trainable
    entry: Mapping[str, Any] | None
    seed: int

    def parts(self) -> dict[str, Fitted]:
        """Return its parts by role."""
        entries = self.entry["parts"] if self.entry else {}
        return {
            role: Fitted(part, entries[role], 0)
            for role, part in self.trainable.parts().items()
            if role in entries
        }

    def find(self, role: str) -> Fitted | None:
        """Return the part called ``role``, or that of a part; None if there is none."""
        parts = self.parts()
        if role in parts:
            return parts[role]
        return next((found for each in parts.values() if (found := each.find(role))), None)


class Restorer:
    """Restores the classifier, detectors and parts of a run.

    Args:
        info: the content of ``run.json``.
        store: where the run's artifacts are.
        registry: the installed plugins.
    """

    def __init__(self, info: Mapping[str, Any], store: Store, registry: Registry) -> None:
        self._info = info
        self._store = store
        self._registry = registry
        self.classifier_seed: int = info["request"]["classifier_seeds"][0]

    def open(self, written: str, what: str) -> Artifact:
        """Return an artifact by its place, ``stage/key``.

        Raises:
            FigureUnavailable: if it is not there; the message begins with ``what``.
        """
        artifact = self._store.find_written(written)
        if artifact is None:
            raise FigureUnavailable(
                f"{what} is not in the store '{self._store}'; name the store of the run "
                "(--store), or repeat the run"
            )
        return artifact

    def train_images(self) -> Artifact:
        """Return the artifact of the ID training images."""
        return self.open(artifacts_of(self._info)["train_images"], "the set of training images")

    def outputs(self, dataset: str, split: str) -> Artifact:
        """Return the artifact of the classifier's outputs for a data set."""
        for entry in self._of_classifier("outputs"):
            if (entry["dataset"], entry["split"]) == (dataset, split):
                return self.open(entry["artifact"], f"the classifier's output on {dataset}")
        raise FigureUnavailable(f"the run has no {split} images of {dataset}")

    def _of_classifier(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the entries of one kind that belong to the classifier of the first seed."""
        entries = artifacts_of(self._info)[kind]
        return [each for each in entries if each["classifier_seed"] == self.classifier_seed]

    @functools.cached_property
    def trained(self) -> Artifact:
        """The artifact of the classifier.

        Raises:
            FigureUnavailable: if it is not there, or the run has none.
        """
        entries = self._of_classifier("classifiers")
        if not entries:
            raise FigureUnavailable("the run has no classifier")
        return self.open(entries[0]["artifact"], "the classifier")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(c, h, w) of the images."""
        channels, height, width = self._geometry["shape"]
        return channels, height, width

    @property
    def num_classes(self) -> int:
        """Number of classes of the ID set."""
        return int(self._geometry["num_classes"])

    @property
    def _geometry(self) -> Mapping[str, Any]:
        """What is noted down of the ID set with the classifier, and with the training images."""
        is_classified = bool(self._of_classifier("classifiers"))
        return (self.trained if is_classified else self.train_images()).meta

    @functools.cached_property
    def classifier(self) -> nn.Module:
        """The trained classifier, in evaluation mode."""
        recorded = self._info["request"]["classifier"]
        made = remake(recorded, self._registry)
        try:
            return load_classifier(made, self.trained, DEVICE)
        except (RuntimeError, KeyError, OSError) as error:
            raise _unreadable(next(iter(recorded)), error) from error

    def detector(self, name: str) -> Fitted:
        """Return a detector as it was in the run, its first seed.

        Raises:
            FigureUnavailable: if it cannot be made any more.
        """
        entries = [each for each in self._of_classifier("detectors") if each["detector"] == name]
        try:
            made = self._registry.detectors[name].create(**self._info["request"]["detectors"][name])
        except UserError as error:
            raise FigureUnavailable(
                f"{name} cannot be made as it was in the run: {error}"
            ) from error
        if not entries:
            return Fitted(made, None, 0)
        return Fitted(made, entries[0], entries[0]["seed"] or 0)

    def restore(self, fitted: Fitted) -> Trainable:
        """Return a detector or part with its learned state.

        Raises:
            FigureUnavailable: if that is not in the store, or of another version of the plugin.
        """
        if fitted.entry is None:
            return fitted.trainable
        name = type(fitted.trainable).__name__
        artifact = self.open(fitted.entry["artifact"], f"the fitted {name}")
        try:
            with isolated():
                return restore(fitted.trainable, artifact, self._context(fitted.seed))
        except Exception as error:  # a plugin's code, given what another version of it wrote
            raise _unreadable(name, error) from error

    def restored_detector(self, name: str) -> Detector:
        """Return a detector with its learned state."""
        found = self.restore(self.detector(name))
        assert isinstance(found, Detector)
        return found

    def _context(self, seed: int) -> Context:
        return Context(
            device=torch.device(DEVICE),
            seed=seed,
            shape=self.shape,
            num_classes=self.num_classes,
            _classifier=self.classifier,
        )


def _unreadable(name: str, error: Exception) -> FigureUnavailable:
    return FigureUnavailable(
        f"what {name} learned in the run cannot be read by the installed version; repeat the run "
        f"({describe(error)})"
    )
