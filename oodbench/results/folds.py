"""One fold of a run, chosen by its name."""

from __future__ import annotations

from pathlib import Path

from oodbench.errors import UserError
from oodbench.results.run import Run, read_run


def read_fold(directory: str | Path, fold: str | None) -> Run:
    """Return one fold of the run in a directory; without folds, the run.

    Args:
        directory: of the run.
        fold: its name; None for a run without folds.

    Raises:
        UserError: if there is no such fold, or none is named and the run has some.
        InvalidData: as `read_run`.
    """
    run = read_run(directory)
    folds = {part.fold: part for part in run.in_folds()}
    if fold in folds:
        return folds[fold]
    if None in folds:
        raise UserError(f"the run in '{directory}' has no folds; leave out --fold")
    names = ", ".join(map(str, folds))
    if fold is None:
        raise UserError(f"the run in '{directory}' has the folds {names}; name one by --fold")
    raise UserError(f"'{fold}' is no fold of the run in '{directory}', which has {names}")
