"""The settings of a detector that are worth trying."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from oodbench.contracts import Detector, parameters
from oodbench.errors import InvalidParameter, PluginError
from oodbench.registry.lookup import Entry


@dataclass(frozen=True)
class Candidate:
    """A detector with some settings.

    Attributes:
        name: name of the detector.
        settings: the parameters that are tuned.
        detector: the detector itself.
        number: 0 for what a run takes without tuning.
    """

    name: str
    settings: Mapping[str, Any]
    detector: Detector
    number: int

    @property
    def label(self) -> str:
        """Return a label that no other candidate has."""
        return f"{self.name} #{self.number}"


def list_candidates(
    entry: Entry[Detector],
    default: Detector,
    fixed: Collection[str],
    images: int,
    samples: int,
    seed: int,
) -> list[Candidate]:
    """Return the default and other settings from the space that the detector declares.

    All of them if they are not more than ``samples``, else so many that are drawn by seed without
    repetition. Settings that the detector refuses, because they do not fit one another, are left
    out, and those that need more training images than there are.

    Args:
        entry: the detector's class.
        default: the detector with the parameters that it has without tuning.
        fixed: parameters that keep their values.
        images: number of training images.
        samples: settings besides the default at most.
        seed: draws them.

    Raises:
        PluginError: if the space names what is no parameter.
    """
    present = parameters(default)
    if unknown := default.space.keys() - present.keys():
        raise PluginError(f"space names {sorted(unknown)}, which are not parameters")
    space = {name: values for name, values in default.space.items() if name not in fixed}
    start = {name: present[name] for name in space}
    grid = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    others = []
    for settings in grid:
        with suppress(InvalidParameter):
            detector = entry.create(**{**present, **settings})
            if settings != start and detector.least_images() <= images:
                others.append((settings, detector))
    if len(others) > samples:
        drawn = np.random.Generator(np.random.Philox(seed)).permutation(len(others))[:samples]
        others = [others[position] for position in np.sort(drawn)]
    return [
        Candidate(entry.name, settings, detector, number)
        for number, (settings, detector) in enumerate([(start, default), *others])
    ]
