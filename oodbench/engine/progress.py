"""The progress display: running jobs, how far they are, and the time they will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from oodbench.plan.jobs import Job, Ref
from oodbench.report.layout import printable


@dataclass
class Tally:
    """Counts the jobs that are finished.

    Attributes:
        planned: all that are to be run.
        finished: those of them that are finished.
    """

    planned: int = 0
    finished: int = 0

    def line(self, job: Job, outcome: Outcome) -> str:
        """Count a job, and return a line with the time, the count and its outcome."""
        if outcome.error:
            return self.step(f"failed: {job.title}: {outcome.error}")
        return self.step(job.title, "by another run" if outcome.reused else outcome.seconds)

    def step(self, title: str, took: float | str = "") -> str:
        """Count whatever was done, and return such a line."""
        self.finished += 1
        count = f"{self.finished}/{max(self.planned, self.finished)}"
        duration = took if isinstance(took, str) else f"{took:.1f} s"
        return "  ".join(filter(None, (time.strftime("%H:%M:%S"), count, title, duration)))


class Progress:
    """An observer that draws one bar a running job; off a terminal, one line a finished job.

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
        self._tally = Tally()
        self._as_lines = not quiet and not self._console.is_terminal

    def __enter__(self) -> Self:
        if not self._bars.disable:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._bars.disable:  # older versions of Rich print an empty line even so
            self._bars.stop()

    def remarked(self, text: str) -> None:
        """Print a remark on the run as a whole."""
        self._print(printable(text))

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
        """Show that another run works on the job."""
        text = f"waiting for another run: {job.title}"
        self._add(job, text)
        if self._as_lines:
            self._print(f"{time.strftime('%H:%M:%S')}  {text}")

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Remove the bar; print a failure and the job's notes."""
        self._remove(job)
        for text in outcome.notes:
            self._console.print(f"{_plain(job.title)}: {_plain(text)}", soft_wrap=True)
        if outcome.is_users:
            return  # which ends the run with that message
        line = self._tally.line(job, outcome)
        if self._as_lines:
            self._print(line)
        elif outcome.error:
            text = f"[red]failed[/]: {_plain(job.title)}: {_plain(outcome.error)}"
            self._console.print(text, soft_wrap=True)

    def planned(self, jobs: int) -> None:
        """Count jobs, or steps, that are to be done."""
        self._tally.planned += jobs

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Callable[[], None]]:
        """Show a step, other than a run's job, that is done in the block.

        Args:
            title: what to call it.
            total: how often the function that is yielded will be called; None if that is unknown.
        """
        began = time.perf_counter()
        task = self._bars.add_task(_plain(title), total=total, figures="")
        try:
            yield lambda: self._bars.advance(task)
        finally:
            self._bars.remove_task(task)
        line = self._tally.step(title, time.perf_counter() - began)
        if self._as_lines:
            self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)

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
