"""Detectors made from what users ask for: names, families of names, and objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oodbench.contracts import Detector, Need, Trainable
from oodbench.errors import PluginError, UnknownName, UserError, describe
from oodbench.identity.keys import digest, identify
from oodbench.registry.composition import parameters_for
from oodbench.registry.isolation import isolated
from oodbench.registry.lookup import Registry
from oodbench.request.options import ALL

FAMILY = "all-"
"""Asks, before the name of a family, for every registered detector of it."""


def find_detectors(
    asked: Sequence[str | Detector], registry: Registry, *, classifiers: int = 1
) -> tuple[dict[str, Detector | None], dict[str, str]]:
    """Return the detectors by name, None where the registry has the class, and the broken ones.

    Args:
        asked: names, `ALL`, families, and objects.
        registry: finds detectors.
        classifiers: how many are trained; of one alone, ensembles are to be named one by one.

    Raises:
        UserError: if nothing is named, or what is named is unknown.
    """
    found: dict[str, Detector | None] = {}
    broken: dict[str, str] = {}
    named: set[str] = set()  # one by one, not as members of a family
    for detector in asked:
        if isinstance(detector, Detector):
            name = detector.info.name
            if name in named:
                raise UserError(f"two detectors are called '{name}'")
            found[name] = detector
            named.add(name)
        elif detector == ALL:
            every = [
                name
                for name in registry.detectors
                if classifiers > 1 or not registry.detectors[name].target.ensemble
            ]
            found = found | {name: found.get(name) for name in every}
        elif detector.startswith(FAMILY) and detector not in registry.detectors:
            found = found | {name: found.get(name) for name in _family(detector, registry)}
        elif detector not in registry.detectors and (reason := registry.why_missing(detector)):
            broken[detector] = reason
        elif found.setdefault(name := registry.detectors[detector].name, None) is None:
            named.add(name)
        else:
            raise UserError(f"two detectors are called '{name}'")
    if not found and not broken:
        raise UserError("name at least one detector: --detectors energy,msp")
    return found, broken


def _family(asked: str, registry: Registry) -> list[str]:
    """Return the names of the detectors that ``all-<family>`` asks for."""
    families = {name: registry.detectors[name].target.family for name in registry.detectors}
    found = [name for name, family in families.items() if FAMILY + family == asked]
    if not found:
        known = {FAMILY + family for family in families.values() if family}
        raise UnknownName("family of detectors", asked, known)
    return found


def make_detectors(
    found: Mapping[str, Detector | None],
    registry: Registry,
    parameters: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Detector], dict[str, str]]:
    """Return the detectors as objects, and the reasons of those that break before they are used.

    Args:
        found: what `find_detectors` found.
        registry: makes detectors.
        parameters: by their names.

    Raises:
        UserError: if a parameter does not fit.
    """
    made: dict[str, Detector] = {}
    broken: dict[str, str] = {}
    for name, detector in found.items():
        try:
            with isolated():
                if detector is None:
                    entry = registry.detectors[name]
                    detector = entry.create(**parameters_for(entry.target, parameters))
                _check_plannable(detector)
        except UserError:
            raise
        except Exception as error:  # a third-party constructor may raise anything
            broken[name] = describe(error)
        else:
            made[name] = detector
    return made, broken


def leave_out_unvalidated(
    detectors: dict[str, Detector], broken: dict[str, str], reason: str
) -> None:
    """Move detectors that are fitted on validation images to ``broken``, where there are none."""
    for name, detector in list(detectors.items()):
        if asks_for(detector, Need.VALIDATION):
            broken[name] = f"it is fitted on validation images, and {reason}"
            del detectors[name]


def asks_for(trainable: Trainable, need: Need) -> bool:
    """Return whether a detector, or one of its parts, needs something to be fitted."""
    parts = trainable.parts().values()
    return need in trainable.needs_to_fit() or any(asks_for(part, need) for part in parts)


def _check_plannable(trainable: Trainable) -> None:
    """Raise what planning would raise if a detector or one of its parts cannot be planned."""
    for name in ("needs", "fit_needs"):
        value = getattr(trainable, name)
        optional = name == "fit_needs" and value is None
        if not optional and not (
            isinstance(value, frozenset) and all(isinstance(each, Need) for each in value)
        ):
            raise PluginError(
                f"{type(trainable).__name__}.{name} must be a frozenset of Need, not {value!r}"
            )
    trainable.auxiliary()
    digest(identify(trainable))
    for part in trainable.parts().values():
        _check_plannable(part)
