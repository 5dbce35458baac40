"""Pretrained weights that a plugin ships, used in place of training.

A plugin may bring folders of trained weights (hook ``oodbench_weights``). A folder holds the files
of one artifact and ``card.json``::

    origin    what was trained: class, parameters and seed, and the SHA-256 of what it was trained
              on (images, classifier, parts)
    files     the SHA-256 of the files
    meta      what the training noted down
    half      whether the files hold in 16 bits what was trained in 32, for half the size; left out
              where they do not
    run       the request, versions, hardware and date of the run that trained it

Weights are taken when a run asks for the same class, parameters and seed, and when the job then
finds that its inputs are the same to the last bit; else they are trained. There may be several of
one class, parameters and seed, trained on different images. Code and versions may differ: the card
says which made them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.contracts import DerivedClassifier, parameters
from oodbench.errors import PluginError, UserError
from oodbench.identity.half import SUFFIX, narrow, widen
from oodbench.identity.keys import Identified, digest, plain
from oodbench.store.artifacts import Artifact, Draft, digest_file

CARD = "card.json"

TRAINED_ON = ("train", "validation", "classifier", "part:", "auxiliary")
"""The inputs, by how their roles begin, that weights depend on."""

HASHES = "hashes.npy"
"""The file of hashes of prepared images, on which no weights depend."""


@dataclass(frozen=True)
class Weights(Identified):
    """One folder of shipped weights.

    Attributes:
        directory: the folder.
        card: the content of ``card.json``.
    """

    directory: Path
    card: Mapping[str, Any]

    def identity(self) -> str:
        """Return the digest of the files."""
        return digest(self.card["files"])

    def adopt(self, origin: Mapping[str, Any], draft: Draft) -> bool:
        """Copy the weights into an artifact if they have just the origin that is asked for.

        Args:
            origin: as returned by `origin_of`.
            draft: the artifact.

        Raises:
            PluginError: if a file is not what the card says.
        """
        if self.card["origin"] != origin:
            return False
        for name, expected in self.card["files"].items():
            if Path(name).name != name or digest_file(self.directory / name) != expected:
                raise PluginError(f"shipped weights are damaged: {self.directory / name}")
            copy = widen if self.card.get("half") and name.endswith(SUFFIX) else shutil.copyfile
            copy(self.directory / name, draft / name)
        draft.meta.update(self.card["meta"], shipped=self.card["run"])
        return True


def read_weights(directory: Path) -> tuple[str, Weights]:
    """Return shipped weights, and the key by which `identity_of` finds them.

    Raises:
        OSError, ValueError, KeyError: if the card is missing or malformed.
    """
    card = json.loads((directory / CARD).read_text(encoding="utf-8"))
    for part in ("files", "meta", "run"):
        dict(card[part])
    origin = {name: value for name, value in card["origin"].items() if name != "inputs"}
    return digest(origin), Weights(directory, card)


def identity_of(plugin: object, seed: int) -> dict[str, Any]:
    """Return what a plugin object would train, whatever its code and the images are."""
    cls = type(plugin)
    identity = {
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "parameters": plain(parameters(plugin)),
        "seed": seed,
    }
    if isinstance(plugin, DerivedClassifier):
        identity["base"] = identity_of(plugin.base, seed)
    return identity


def origin_of(plugin: object, seed: int, inputs: Mapping[str, Artifact]) -> dict[str, Any]:
    """Return what a plugin object trains, and the digests of what it trains on."""
    trained_on = {
        role: {name: sha256 for name, sha256 in artifact.files.items() if name != HASHES}
        for role, artifact in sorted(inputs.items())
        if role.startswith(TRAINED_ON)
    }
    return {**identity_of(plugin, seed), "inputs": trained_on}


def export(artifact: Artifact, run: Mapping[str, Any], directory: Path, half: bool = False) -> None:
    """Write a trained artifact as a folder that a plugin can ship.

    Args:
        artifact: of a classifier, a detector or a part.
        run: what to say of the run that trained it.
        directory: the folder; made if it is not there.
        half: whether to keep weights in 16 bits.

    Raises:
        UserError: if 16 bits cannot hold them.
    """
    directory.mkdir(parents=True, exist_ok=True)
    meta = {name: value for name, value in artifact.meta.items() if name not in _OF_THE_JOB}
    for name in artifact.files:
        copy = narrow if half and name.endswith(SUFFIX) else shutil.copyfile
        try:
            copy(artifact / name, directory / name)
        except ValueError as error:
            raise UserError(f"{error}; export without --half") from error
    card = {
        "origin": artifact.meta["origin"],
        "files": {name: digest_file(directory / name) for name in artifact.files},
        "meta": meta,
        **({"half": True} if half else {}),
        "run": run,
    }
    (directory / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


_OF_THE_JOB = ("origin", "title", "seconds", "finished", "device", "cpus", "curves", "shipped")
