"""The folder that a run is written to."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from oodbench.errors import InvalidData, UserError
from oodbench.results.files import read_info
from oodbench.results.parts import Parts
from oodbench.results.run import Run, read_run, write_run
from oodbench.store.leases import leased
from oodbench.store.paths import RUNS

WRITING = ".writing"
"""The lease, in a run's folder, of the process that writes the run's files."""


def default_directory(name: str, key: str) -> Path:
    """Return the folder of a run for which none is named.

    Args:
        name: of the benchmark.
        key: of the run.
    """
    return RUNS / f"{name}-{time.strftime('%Y-%m-%d')}-{key[:8]}"


def refuse_other_runs(directory: Path, key: str, force: bool) -> None:
    """Raise `UserError` if a folder holds a run with another key, unless it may be replaced."""
    try:
        found = read_info(directory)["key"]
    except InvalidData:
        found = None
    except UserError:
        return
    if found != key and not force:
        raise UserError(
            f"{directory} holds the run of another request (or of other data or plugin versions); "
            "name another --out, or use --force to replace it"
        )


def try_to_write(directory: Path) -> None:
    """Find out if the run cannot be written before work is done; nothing is left behind.

    Raises:
        UserError: if it cannot.
    """
    place = directory
    try:
        while not place.exists() and place != place.parent:
            place = place.parent
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise UserError(f"cannot write the run to '{directory}': {error.strerror}") from error


def make_directory(directory: Path) -> None:
    """Make the folder if it is missing.

    Raises:
        UserError: if it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write the run to '{directory}': {error.strerror}") from error


def write_new_run(
    directory: Path,
    *,
    force: bool,
    records: pd.DataFrame,
    scores: pd.DataFrame | Parts,
    predictions: pd.DataFrame | Parts,
    info: Mapping[str, Any],
    texts: Mapping[str, str],
) -> Run:
    """Write a run's files, see `oodbench.results.run.write_run`, and read them back.

    Args:
        directory: of the run; it exists.
        force: whether another run there may be replaced.
        records: columns as in `RECORD`.
        scores: columns as in `SCORE`.
        predictions: columns as in `PREDICTION`.
        info: what ``run.json`` says; its ``key`` tells runs apart.
        texts: further files by name.

    Raises:
        UserError: if another run is there, or this one cannot be written, or not be read again.
    """
    with leased(directory, WRITING):  # or two runs would exchange each other's files
        refuse_other_runs(directory, info["key"], force)
        write_run(
            directory,
            records=records,
            scores=scores,
            predictions=predictions,
            info=info,
            texts=texts,
        )
        return read_run(directory)
