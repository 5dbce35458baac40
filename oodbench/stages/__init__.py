"""The work of jobs: one module for each kind of job, each with ``run(spec, work)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from oodbench.store.artifacts import Artifact, Draft


@dataclass(frozen=True)
class Work:
    """Where a job runs.

    Attributes:
        inputs: the artifacts it reads, by role.
        draft: the artifact it writes.
        device: ``"cpu"`` or ``"cuda"``.
        checkpoint: a file that outlives the process, to go on from if it is killed.
        progress: called as ``progress(done, total, **figures)``.
    """

    inputs: Mapping[str, Artifact]
    draft: Draft
    device: str
    checkpoint: Path
    progress: Callable[..., None]

    def note(self, text: str) -> None:
        """Record a short note for the user about the job."""
        self.draft.meta.setdefault("notes", []).append(text)
