"""Classifiers made from what users ask for, and their description in keys and records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oodbench.contracts import (
    Classifier,
    Dataset,
    DerivedClassifier,
    Detector,
    GeneratedDataset,
    Info,
    Need,
    Recipe,
    Trainable,
    parameters,
)
from oodbench.contracts.benchmark import NO_CLASSIFIER
from oodbench.errors import PluginError, UserError, describe
from oodbench.identity.keys import digest, identify, plain
from oodbench.registry.isolation import isolated
from oodbench.registry.lookup import Registry
from oodbench.request.arrays import GivenClassifier
from oodbench.request.user_weights import (
    SAFE,
    UserCheckpoint,
    UserCheckpoints,
    find_weights,
    is_checkpoint,
)

if TYPE_CHECKING:
    from torch import nn

Parameters = Mapping[str, Mapping[str, Any]]

SERVES = {
    Need.LOGITS: "logits",
    Need.FEATURES: "features",
    Need.LAYERS: "layers",
    Need.LAYER_GRADIENTS: "gradients",
    Need.CLASSIFIER: "passes",
}
"""What a classifier serves detectors with."""


class NoClassifier(Classifier):
    """The absence of a classifier."""

    info = Info(name=NO_CLASSIFIER, summary="No classifier.")

    @property
    def recipe(self) -> Recipe:
        """Return a recipe without any training."""
        return Recipe(epochs=0)

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Raise an error: there is nothing to build.

        Raises:
            PluginError: always.
        """
        raise PluginError("there is no classifier")


def leave_out_unclassified(detectors: dict[str, Detector]) -> dict[str, str]:
    """Remove the detectors that need a classifier; return them with the reason, by name.

    Those that have another one for this are replaced by that.

    Raises:
        UserError: if none is left.
    """
    unsuited: dict[str, str] = {}
    for name, detector in list(detectors.items()):
        try:
            with isolated():
                other = detector.without_classifier() if why_unclassified(detector) else None
        except Exception as error:  # third-party code may raise anything
            unsuited[name] = describe(error)
        else:
            detectors[name] = other or detector
            unsuited[name] = why_unclassified(detectors[name])
    unsuited = {name: reason for name, reason in unsuited.items() if reason}
    for name in unsuited:
        del detectors[name]
    if unsuited and not detectors:
        texts = "; ".join(f"{name} {reason}" for name, reason in unsuited.items())
        raise UserError(f"no detector can run without a classifier: {texts}")
    return unsuited


def why_unclassified(owner: Trainable | Dataset) -> str:
    """Return why a detector, a generated set or a part needs a classifier; "" if it does not."""
    if isinstance(owner, Trainable):
        needs = owner.needs | owner.needs_to_fit()
        if missing := [what for need, what in SERVES.items() if need in needs]:
            return f"needs {' and '.join(missing)} of a classifier, and there is none"
    parts = owner.parts().values() if isinstance(owner, Trainable | GeneratedDataset) else ()
    return next(filter(None, map(why_unclassified, parts)), "")


def names_of(name: str, arch: str | None, registry: Registry, chosen: Parameters) -> list[str]:
    """Return the registered names of a classifier: its own, and its network's.

    Args:
        name: as for `make_classifier`.
        arch: as for `make_classifier`.
        registry: as for `make_classifier`.
        chosen: as for `make_classifier`.

    Raises:
        UserError: if there is no such classifier.
    """
    if name == NO_CLASSIFIER:
        return []
    if is_checkpoint(name):
        return names_of(arch, None, registry, chosen) if arch else []
    entry = registry.classifiers[name]
    if not issubclass(entry.target, DerivedClassifier):
        return [entry.name]
    values = {**entry.defaults(), **chosen.get(entry.name, {}), **entry.given}
    return [entry.name, *names_of(values["network"], None, registry, chosen)]


def make_classifier(
    name: str, registry: Registry, chosen: Parameters, arch: str | None = None
) -> Classifier:
    """Return the classifier of a name, or of a file of weights.

    Args:
        name: of a registered classifier, with an argument after a slash where it takes one
            (``"outlier-exposure/resnet18"``); the path of a file of weights, or of the folder of
            several seeds; or `NO_CLASSIFIER`.
        registry: finds classifiers.
        chosen: parameters by the names that `names_of` returns.
        arch: the name of the classifier whose network the file is of.

    Raises:
        UserError: if there is none, it cannot be made, or a parameter does not fit.
    """
    if is_checkpoint(name):
        return _make_checkpoint(name, registry, chosen, arch)
    if arch is not None:
        raise UserError(f"--arch is for files of weights (*{SAFE}), which '{name}' is not")
    if name == NO_CLASSIFIER:
        return NoClassifier()
    entry = registry.classifiers[name]
    try:
        with isolated():
            made = entry.create(**chosen.get(entry.name, {}))
            if isinstance(made, DerivedClassifier):
                made.on(make_classifier(made.network, registry, chosen))
            digest(identify(made))
    except UserError:
        raise
    except PluginError as error:
        raise UserError(str(error)) from error
    except Exception as error:  # a third-party constructor may raise anything
        raise UserError(f"classifier '{name}' cannot be made: {describe(error)}") from error
    return made


def _make_checkpoint(
    path: str, registry: Registry, chosen: Parameters, arch: str | None
) -> Classifier:
    found = find_weights(path, arch or "")
    if arch is None:
        raise UserError(
            f"{path}: name the classifier whose network these weights belong to: --arch"
        )
    return found.on(make_classifier(arch, registry, chosen))


BASE = "base"
"""Where the record of a derived classifier holds that of the other one."""


def record(classifier: Classifier) -> dict[str, Any]:
    """Return the entry of a classifier in ``run.json``: ``{name: parameters}``."""
    values = plain(parameters(classifier))
    if isinstance(classifier, UserCheckpoint | UserCheckpoints):
        values["path"] = classifier.full_name  # where it lay is nobody's business
    if isinstance(classifier, DerivedClassifier):
        values[BASE] = record(classifier.base)
    return {classifier.full_name: values}


def remake(recorded: Mapping[str, Any], registry: Registry) -> Classifier:
    """Return a classifier from its `record`; files of weights need not exist any more.

    Raises:
        UserError: if it cannot be made any more.
    """
    ((name, values),) = recorded.items()
    own = {key: value for key, value in values.items() if key != BASE}
    if name == NO_CLASSIFIER and not own:
        return NoClassifier()
    if own.keys() == parameters(GivenClassifier()).keys():
        made: Classifier = GivenClassifier(**own)
    elif own.keys() == parameters(UserCheckpoint()).keys():
        several = isinstance(own["sha256"], Mapping)
        made = UserCheckpoints(**own) if several else UserCheckpoint(**own)
    else:
        made = registry.classifiers[name].create(**own)
    if isinstance(made, DerivedClassifier):
        made.on(remake(values[BASE], registry))
    return made
