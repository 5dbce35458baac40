"""Write a run's ``run.log``: which jobs ran when, how long they took, and why some failed."""

from __future__ import annotations

import logging
import textwrap
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from oodbench.engine import Observer
from oodbench.engine.progress import Tally
from oodbench.engine.worker import Outcome
from oodbench.plan.jobs import Job

_LOGGER = logging.getLogger("oodbench")


class RunLog:
    """An observer that logs to a file and passes everything on to another observer.

    A log that cannot be written, as on a full disk, ends no run.

    Args:
        path: of the file; a run that is resumed goes on in it.
        title: what to call the run in its first line.
        observer: is told the same.
    """

    def __init__(self, path: Path, title: str, observer: Observer) -> None:
        self._path = path
        self._title = title
        self._observer = observer
        self._tally = Tally()
        self._handler = _Handler(self._write)

    def __enter__(self) -> Self:
        _LOGGER.addHandler(self._handler)
        self._level = _LOGGER.level
        _LOGGER.setLevel(logging.INFO)
        self._began = time.perf_counter()
        self._write(f"{time.strftime('%Y-%m-%d')}  oodbench {version('oodbench')}: {self._title}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _LOGGER.removeHandler(self._handler)
        _LOGGER.setLevel(self._level)
        seconds = time.perf_counter() - self._began
        if error is None:
            self._write(f"finished after {seconds:.1f} s\n")
        elif isinstance(error, KeyboardInterrupt):
            self._write(f"interrupted after {seconds:.1f} s\n")
        else:
            text = "".join(traceback.format_exception(error))
            self._write(f"stopped after {seconds:.1f} s\n{text}")

    def planned(self, jobs: int) -> None:
        """Take note of jobs to be run."""
        self._tally.planned += jobs
        self._observer.planned(jobs)

    def remarked(self, text: str) -> None:
        """Write a remark on the run as a whole."""
        self._write(text)
        self._observer.remarked(text)

    def started(self, job: Job) -> None:
        """Pass it on."""
        self._observer.started(job)

    def progressed(self, job: Job, done: int, total: int, figures: Mapping[str, float]) -> None:
        """Pass it on."""
        self._observer.progressed(job, done, total, figures)

    def waiting(self, job: Job) -> None:
        """Pass it on."""
        self._observer.waiting(job)

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Write a line about the job, and the traceback if it failed."""
        self._write(self._tally.line(job, outcome))
        for text in (*outcome.notes, outcome.trace):
            if text:
                self._write(textwrap.indent(text.rstrip(), "    "))
        self._observer.finished(job, outcome)

    def _write(self, text: str) -> None:
        with (
            suppress(OSError),
            self._path.open("a", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.write(f"{text}\n")


class _Handler(logging.Handler):
    """Writes what is logged in the course of a run."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().rstrip()
        self._write(f"{time.strftime('%H:%M:%S')}  {textwrap.indent(text, '    ').lstrip()}")
