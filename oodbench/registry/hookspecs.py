"""The hooks by which plugins announce what they provide; each returns it and does no work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pluggy import HookspecMarker

from oodbench.contracts import GROUP, Classifier, Dataset, Detector, Figure

hookspec = HookspecMarker(GROUP)


@hookspec
def oodbench_detectors() -> Sequence[type[Detector]]:
    """Return the plugin's detector classes."""
    return ()


@hookspec
def oodbench_absent() -> Sequence[tuple[str, str]]:
    """Return the names of detectors that the plugin cannot provide, each with the reason."""
    return ()


@hookspec
def oodbench_datasets() -> Sequence[type[Dataset]]:
    """Return the plugin's data set classes."""
    return ()


@hookspec
def oodbench_classifiers() -> Sequence[type[Classifier]]:
    """Return the plugin's classifier classes."""
    return ()


@hookspec
def oodbench_weights() -> Sequence[str | Path]:
    """Return the paths of the plugin's folders of trained weights.

    See `oodbench.identity.pretrained`.
    """
    return ()


@hookspec
def oodbench_figures() -> Sequence[type[Figure]]:
    """Return the plugin's figure classes."""
    return ()


@hookspec
def oodbench_benchmarks() -> Sequence[str | Path]:
    """Return the paths of the plugin's benchmark definitions, TOML files."""
    return ()
