"""A user's own weights, named by a path, as a classifier without a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.contracts import DerivedClassifier, Info
from oodbench.errors import InvalidData, UserError
from oodbench.keys import Identified, plugin_key
from oodbench.paths import printable
from oodbench.store import digest_file

if TYPE_CHECKING:
    from torch import nn

SAFE = ".safetensors"
"""Suffix of the files that are read."""

PICKLED = frozenset({".bin", ".ckpt", ".pkl", ".pt", ".pth", ".tar"})
"""Suffixes of files that hold pickled objects, which run any code when they are read."""


def is_checkpoint(name: str) -> bool:
    """Return whether the name of a classifier means a file of weights."""
    return Path(name).suffix in {SAFE, *PICKLED}


def digest_checkpoint(path: str) -> str:
    """Return the SHA-256 of a file of weights.

    Raises:
        UserError: if it is not there, or of a kind that is not read.
    """
    if Path(path).suffix in PICKLED:
        raise UserError(
            f"{path}: a pickled file runs any code when it is read, so that it is not; where you "
            "trust it, convert it: safetensors.torch.save_file(torch.load("
            f"{Path(path).name!r}, weights_only=True), {Path(path).with_suffix(SAFE).name!r})"
        )
    try:
        return digest_file(Path(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


class UserCheckpoint(DerivedClassifier, Identified):
    """Weights of the user's own for the network of a registered classifier.

    The file is a state dictionary as safetensors. Its names are those of the module that the
    classifier builds, or of the module ``network`` within, where it wraps a library's model.

    Args:
        path: of the file.
        network: name of the classifier.
        sha256: digest of the file.
    """

    argument = "path"
    info = Info(name="checkpoint", summary="Weights of the user's own.")

    def __init__(self, *, path: str = "", network: str = "", sha256: str = "") -> None:
        self.path = path
        self.network = network
        self.sha256 = sha256

    @property
    def full_name(self) -> str:
        """Return the name of the file."""
        return printable(Path(self.path).name)

    def identity(self) -> Any:
        """Return what identifies it: the bytes of the file, and not its place."""
        key = plugin_key(self)
        del key["parameters"]["path"]
        return key

    def load(self, module: nn.Module, num_classes: int) -> bool:
        """Read the file into a module.

        Raises:
            InvalidData: if it is damaged, was changed meanwhile, or does not fit the module.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if digest_checkpoint(self.path) != self.sha256:
            raise InvalidData(f"{self.path}: was changed since the run began")
        try:
            state = load_file(self.path)
        except (SafetensorError, ValueError) as error:
            raise InvalidData(f"{self.path}: not a safetensors file: {error}") from error
        target: Any = getattr(module, "network", module)
        if state.keys() == module.state_dict().keys():
            target = module
        problem = _mismatch(state, target, module, num_classes)
        if problem:
            raise InvalidData(f"{self.path}: does not fit {self.network}: {problem}")
        target.load_state_dict(state)
        return True


def _mismatch(state: Mapping[str, Any], target: nn.Module, module: Any, num_classes: int) -> str:
    """Return why a state dictionary does not fit, in a few words; "" if it does.

    Args:
        state: the tensors by name.
        target: the module to load them into.
        module: the classifier, of which that is all or a part.
        num_classes: classes of the ID set.
    """
    expected = target.state_dict()
    missing, unexpected = expected.keys() - state.keys(), state.keys() - expected.keys()
    kinds = (("missing", missing), ("unexpected", unexpected))
    problems = [f"{kind} {_first(names)}" for kind, names in kinds if names]
    if problems:
        return "; ".join(problems)
    head = {id(parameter) for parameter in module.head.parameters()}
    heads = {name for name, parameter in target.named_parameters() if id(parameter) in head}
    for name, value in expected.items():
        found = tuple(state[name].shape)
        if found != tuple(value.shape) and name in heads:
            return f"it tells {found[0]} classes apart, and the ID set has {num_classes}"
        if found != tuple(value.shape):
            return f"{name} has shape {found}, not {tuple(value.shape)}"
    return ""


def _first(names: set[str], count: int = 3) -> str:
    """Name the first few, and how many more there are."""
    more = len(names) - count
    return ", ".join(sorted(names)[:count]) + (f" and {more} more" if more > 0 else "")
