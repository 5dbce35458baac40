"""The work of jobs: one module for each kind of job, each with ``run(spec, work)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.store.artifacts import Artifact, Draft


@dataclass(eq=False)
class Companion:
    """Another job that is done in the same pass over the images.

    Attributes:
        spec: its arguments.
        draft: the artifact it writes.
        error: why it failed.
    """

    spec: Mapping[str, Any]
    draft: Draft
    error: Exception | None = None

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something for this job alone, unless it has failed already."""
        if self.error is None:
            try:
                action()
            except Exception as error:  # a plugin loses its own rows alone, whatever it raises
                self.error, self.draft.keep = error, False


@dataclass(frozen=True)
class Work:
    """Where a job runs.

    Attributes:
        inputs: the artifacts it reads, by role.
        draft: the artifact it writes.
        device: ``"cpu"`` or ``"cuda"``.
        checkpoint: a file that outlives the process, to go on from if it is killed.
        progress: called as ``progress(done, total, **figures)``.
        companions: other jobs that are done in the same pass, with the same inputs.
        cpus: how many processes it may keep busy.
    """

    inputs: Mapping[str, Artifact]
    draft: Draft
    device: str
    checkpoint: Path
    progress: Callable[..., None]
    companions: Sequence[Companion] = ()
    cpus: int = 1

    def note(self, text: str) -> None:
        """Record a short note for the user about the job."""
        self.draft.meta.setdefault("notes", []).append(text)
