"""The files of a run, exchanged all at once."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oodbench.errors import UserError, reason_of
from oodbench.results.files import RUN
from oodbench.store.artifacts import digest_file
from oodbench.store.paths import printable

_WRITING = ".writing-"

ABANDONED_SECONDS = 24 * 3600
"""Unfinished files older than this are left over from a run that was killed."""


@contextmanager
def exchanged(directory: Path, info: Mapping[str, Any], kept: Mapping[str, str]) -> Iterator[Path]:
    """Give an empty folder whose files then become those of the run, its ``run.json`` the last.

    Args:
        directory: of the run, made if missing.
        info: what ``run.json`` says.
        kept: checksums of the files that stay, by name.

    Raises:
        UserError: if the directory cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(directory)
        with tempfile.TemporaryDirectory(dir=directory, prefix=_WRITING) as name:
            new = Path(name)
            yield new
            files = {path.name: digest_file(path) for path in sorted(new.iterdir())}
            content = {**info, "files": dict(sorted({**kept, **files}.items()))}
            text = json.dumps(_printable(content), indent=2, allow_nan=False)
            (new / RUN).write_text(text + "\n", encoding="utf-8")
            # Without run.json the directory counts as unfinished while files are exchanged.
            (directory / RUN).unlink(missing_ok=True)
            for file_name in [*files, RUN]:
                (new / file_name).replace(directory / file_name)
    except OSError as error:
        place = _final_place(directory, error.filename2 or error.filename)
        raise UserError(f"cannot write the run to '{place}': {reason_of(error)}") from error


def _final_place(directory: Path, written: object) -> Path:
    """Return the place in a run's directory of what an error names, where files are exchanged."""
    path = Path(str(written)).absolute()
    if not path.is_relative_to(directory.absolute()):
        return directory
    parts = path.relative_to(directory.absolute()).parts
    return directory.joinpath(*(part for part in parts if not part.startswith(_WRITING)))


def _printable(value: Any) -> Any:
    """Return a value of JSON whose texts can be read back, names of files included."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(name)): _printable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(each) for each in value]
    return value


def _remove_abandoned(directory: Path) -> None:
    """Remove the leftovers of runs that were killed while writing; others may be writing now."""
    for place in directory.glob(f"{_WRITING}*"):
        try:
            if time.time() - place.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(place)
        except FileNotFoundError:
            continue  # its run has ended in the meantime
