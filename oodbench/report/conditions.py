"""The conditions of a run: its classifier and images, as ``run.json`` records them.

Figures of two runs compare only where all of this is equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SETTINGS = ("images_per_set", "calibration_images", "validation_images", "selection_seed")

_BEFORE = {"validation_images": 0}
"""Settings of runs that are older than the setting."""


@dataclass(frozen=True)
class Conditions:
    """What the figures of a run have in common.

    Attributes:
        classifier: its name.
        parameters: its parameters; of a file of weights also their digest.
        fingerprints: of the images: ``train``, ``test``, and by title ``ood``.
        settings: what says which of the images are scored, by name.
    """

    classifier: str
    parameters: Mapping[str, Any]
    fingerprints: Mapping[str, Any]
    settings: Mapping[str, int]


def conditions_of(request: Mapping[str, Any]) -> Conditions:
    """Return the conditions of a run from the request in its ``run.json``.

    Raises:
        KeyError, ValueError: if the request does not have them.
    """
    ((classifier, parameters),) = request["classifier"].items()
    settings = {name: {**_BEFORE, **request}[name] for name in _SETTINGS}
    return Conditions(classifier, parameters, request["fingerprints"], settings)
