"""The versions of packages that a run notes down."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "numpy",
    "oodbench",
    "pandas",
    "pytorch-ood",
    "ray",
    "scikit-learn",
    "torch",
    "torchvision",
)
"""Packages whose versions a run notes down."""


def versions() -> dict[str, str]:
    """Return the installed versions of `PACKAGES`."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # Ray may be left out where the inline engine is all that is used
    return found
