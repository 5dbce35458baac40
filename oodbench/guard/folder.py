"""The folder of a guard, written and read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.errors import InvalidData, UserError, reason_of
from oodbench.identity.keys import digest
from oodbench.store.artifacts import Artifact, digest_file

CARD = "card.json"
CALIBRATION = "calibration.safetensors"
CLASSIFIER, DETECTOR = "classifier", "detector"

VERSION = 1
"""The version of the folder's form."""


@dataclass(frozen=True)
class Folder:
    """A guard's folder whose files are as its card says.

    Attributes:
        path: the folder.
        card: the content of ``card.json``.
    """

    path: Path
    card: Mapping[str, Any]

    def part(self, name: str) -> Artifact | None:
        """Return the files in a folder within as an artifact; None if there are none."""
        files = {
            file.removeprefix(f"{name}/"): sha256
            for file, sha256 in self.card["files"].items()
            if file.startswith(f"{name}/")
        }
        meta = {key: self.card["images"][key] for key in ("shape", "num_classes")}
        return Artifact(self.path / name, meta, files) if files else None


def copy_part(artifact: Artifact, names: tuple[str, ...], folder: Path) -> None:
    """Copy files of an artifact into a folder, which is made."""
    folder.mkdir(parents=True)
    for name in names:
        shutil.copyfile(artifact / name, folder / name)


def write_card(path: Path, card: Mapping[str, Any]) -> Folder:
    """Write the card of the files that lie in a guard's folder, and return that."""
    files = {
        file.relative_to(path).as_posix(): digest_file(file)
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != CARD
    }
    content = {"version": VERSION, **card, "files": files}
    content["sha256"] = digest(content)
    (path / CARD).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
    return Folder(path, content)


def read_folder(path: Path) -> Folder:
    """Return a guard's folder, every file of which agrees with its checksum.

    Raises:
        UserError: if there is no guard.
        InvalidData: if it is damaged, or of a later version of oodbench.
    """
    try:
        card = json.loads((path / CARD).read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"'{path}' holds no guard; 'oodbench export --guard' writes one") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidData(f"'{path / CARD}' cannot be read: {reason_of(error)}") from error
    if not isinstance(card, dict) or card.pop("sha256", None) != digest(card):
        raise InvalidData(f"'{path / CARD}' is not as it was written; export the guard again")
    if card["version"] != VERSION:
        raise InvalidData(
            f"'{path}' is a guard of version {card['version']}, and this oodbench reads version "
            f"{VERSION}; install the one that wrote it"
        )
    for name, sha256 in card["files"].items():
        if not _is_sound(path / name, sha256):
            raise InvalidData(f"'{path / name}' is missing or damaged; export the guard again")
    return Folder(path, card)


def _is_sound(file: Path, sha256: str) -> bool:
    try:
        return digest_file(file) == sha256
    except OSError:
        return False
