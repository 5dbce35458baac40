"""Say which code determines what each kind of job puts out, so that it can count in keys."""

from __future__ import annotations

CODE = {
    "prepare": ("oodbench.stages.prepare", "oodbench.images", "oodbench.userdata"),
    "train": (
        "oodbench.stages.train",
        "oodbench.stages.teaching",
        "oodbench.stages.checkpoint",
        "oodbench.stages.modules",
        "oodbench.stages.selection",
        "oodbench.stages.stream",
        "oodbench.contracts.classifier",
        "oodbench.contracts.data",
        "oodbench.contracts.training",
        "oodbench.images",
    ),
    "generate": (
        "oodbench.stages.generate",
        "oodbench.stages.prepare",
        "oodbench.stages.checkpoint",
        "oodbench.stages.fit",
        "oodbench.stages.modules",
        "oodbench.stages.selection",
        "oodbench.stages.stream",
        "oodbench.contracts.data",
        "oodbench.contracts.detector",
        "oodbench.images",
        "oodbench.userdata",
    ),
    "extract": (
        "oodbench.stages.extract",
        "oodbench.stages.modules",
        "oodbench.stages.selection",
        "oodbench.images",
    ),
    "fit": (
        "oodbench.stages.fit",
        "oodbench.stages.checkpoint",
        "oodbench.contracts.data",
        "oodbench.contracts.detector",
        "oodbench.stages.modules",
        "oodbench.stages.stream",
        "oodbench.stages.selection",
        "oodbench.images",
    ),
    "score": (
        "oodbench.stages.score",
        "oodbench.contracts.data",
        "oodbench.contracts.detector",
        "oodbench.stages.fit",
        "oodbench.stages.forwards",
        "oodbench.stages.checkpoint",
        "oodbench.stages.modules",
        "oodbench.stages.stream",
        "oodbench.stages.selection",
        "oodbench.images",
    ),
    "evaluate": (
        "oodbench.stages.evaluate",
        "oodbench.measures.arrays",
        "oodbench.measures.evaluation",
        "oodbench.measures.intervals",
        "oodbench.measures.metrics",
        "oodbench.measures.paired",
    ),
}
"""The modules whose code determines what a kind of job puts out."""
