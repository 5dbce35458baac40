"""The code that determines the output of each kind of job, which counts in keys."""

from __future__ import annotations

from pathlib import Path

from oodbench.identity.sourcecode import HARNESS, read_source
from oodbench.store.paths import PACKAGE

BORDER = (
    "contracts.info",
    "errors",
    "hardware",
    "identity",
    "registry",
    "results",
    "store",
)
"""The modules of the harness at which the search ends, since they determine no byte of an artifact.

They describe plugins and word errors, say what the machine has and where things lie, name
artifacts, load and guard plugins (whose code counts where they take part), copy weights (which
count by their digest), and read and write the files of runs and of the store. Counting them would
make every training stale with a message.
"""


def stage_code(stage: str) -> list[str]:
    """Return the digests of the code that a kind of job computes with, in no order of meaning.

    That is the module of the stage and all that it imports of the harness, up to `BORDER`, itself
    or by way of others. Where a module lies is no part of it.
    """
    return sorted(read_source(path).digest for path in stage_files(stage))


def stage_files(stage: str) -> set[Path]:
    """Return the files of that code."""
    found: set[Path] = set()
    waiting = {f"{HARNESS}.stages.{stage}"}
    while waiting:
        path, name = _locate(waiting.pop())
        if path is None or _is_beyond(path):
            continue
        imports = read_source(path).imports
        passed_on = [each for each in imports if name and each.endswith(f".{name}")]
        if path.name == "__init__.py" and passed_on:
            waiting.update(passed_on)  # the package offers what another module defines
        elif path not in found:
            found.add(path)
            prefixes = {each.rpartition(".")[0] for each in imports}
            waiting.update(each for each in imports - prefixes if each.startswith(f"{HARNESS}."))
    return found


def _is_beyond(path: Path) -> bool:
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    return any(f"{name}.".startswith(f"{each}.") for each in BORDER)


def _locate(name: str) -> tuple[Path | None, str]:
    """Return the file of a module, or of the one that defines a name, and the name within it."""
    parts = name.split(".")[1:]
    for count in range(len(parts), 0, -1):
        place = PACKAGE.joinpath(*parts[:count])
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return path, ".".join(parts[count:])
    return None, ""
