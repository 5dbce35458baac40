"""Show on the terminal which jobs run, how far they are, and how long they will take."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from oodbench.engine.worker import Outcome
from oodbench.jobs import Job, Ref
from oodbench.report.layout import printable


class Progress:
    """An observer that draws one bar a running job; off a terminal, it prints failures alone.

    Args:
        quiet: draw and print nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(file=sys.stderr, quiet=quiet)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[figures]}"),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._tasks: dict[Ref, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def started(self, job: Job) -> None:
        """Add a bar, without an end until the job tells one."""
        self._add(job, job.title)

    def progressed(self, job: Job, done: int, total: int, figures: Mapping[str, float]) -> None:
        """Move the bar of a job."""
        text = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        task = self._tasks[job.ref]
        if text:
            self._bars.update(task, completed=done, total=total, figures=_plain(text))
        else:
            self._bars.update(task, completed=done, total=total)

    def waiting(self, job: Job) -> None:
        """Add a bar that says that another run works on the job."""
        self._add(job, f"waiting for another run: {job.title}")

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Remove the bar; say so if the job failed, and what was noted about it."""
        self._remove(job)
        for text in outcome.notes:
            self._console.print(f"{_plain(job.title)}: {_plain(text)}", soft_wrap=True)
        if outcome.error and not outcome.is_users:
            text = f"[red]failed[/]: {_plain(job.title)}: {_plain(outcome.error)}"
            self._console.print(text, soft_wrap=True)

    def _add(self, job: Job, text: str) -> None:
        self._remove(job)  # the bar of a worker that was lost, or of the wait
        self._tasks[job.ref] = self._bars.add_task(_plain(text), total=None, figures="")

    def _remove(self, job: Job) -> None:
        task = self._tasks.pop(job.ref, None)
        if task is not None:
            self._bars.remove_task(task)


def _plain(text: str) -> str:
    """Return text in which nothing means anything to rich or to the terminal."""
    return printable(text).replace("[", r"\[")
