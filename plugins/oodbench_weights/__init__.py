"""Pretrained weights, so that newcomers see what slow methods can do without training them.

Each folder was written by ``oodbench export``; its ``card.json`` says what trained it, on which
images and machine. ``oodbench run --retrain`` trains again instead.
"""

from __future__ import annotations

from pathlib import Path

from oodbench.contracts import hookimpl

FOLDER = Path(__file__).resolve().parent


@hookimpl
def oodbench_weights() -> list[Path]:
    """Return the folders of weights beside this module."""
    return sorted(path.parent for path in FOLDER.glob("*/card.json"))
