"""A user's own weights, named by the path of a file or of the folders of several seeds."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.contracts import DerivedClassifier, Info
from oodbench.errors import InvalidData, UserError, one_line, reason_of
from oodbench.identity.keys import Identified, plugin_key
from oodbench.store.artifacts import digest_file
from oodbench.store.paths import expanded, printable

if TYPE_CHECKING:
    from torch import nn

SAFE = ".safetensors"

PICKLED = frozenset({".bin", ".ckpt", ".pkl", ".pt", ".pth", ".tar"})
"""Suffixes of the files of `torch.save`, of which only the tensors are read."""

SAFE_TORCH = (2, 6)
"""The version of torch from which on such a file can run no code while its tensors are read."""

ADVICE = "save network.state_dict() by torch.save"
"""What to do where a file holds something else."""

NESTED = ("state_dict", "model_state_dict", "model")
"""Names under which training scripts save a state dictionary beside other things."""

PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "backbone.")
"""What training scripts put in front of every name of a state dictionary."""


BEST = "best.ckpt"
"""The file in the folder of a seed that is read where there are several."""


def is_checkpoint(name: str) -> bool:
    """Return whether the name of a classifier means a file of weights, or folders of them."""
    return Path(name).suffix in {SAFE, *PICKLED} or bool(_seed_folders(name))


def _seed_folders(path: str) -> dict[str, Path]:
    """Return the folders ``s0``, ``s1``, ... in a folder, by seed; none where it is no folder."""
    try:
        found = [each for each in expanded(path).iterdir() if each.is_dir()]
    except (OSError, ValueError):  # of a name with a zero in it
        return {}
    names = {each.name.removeprefix("s"): each for each in found if each.name.startswith("s")}
    seeds = sorted((name for name in names if name.isdecimal() and name == str(int(name))), key=int)
    return {seed: names[seed] for seed in seeds}


def _weights_in(folder: Path) -> Path:
    """Return the file of weights in the folder of a seed: `BEST`, or the only one.

    Raises:
        UserError: if there is none, or it is not said which.
    """
    try:
        files = [each for each in folder.iterdir() if each.suffix in {SAFE, *PICKLED}]
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}") from error
    best = [each for each in files if each.name == BEST] or files
    if len(best) != 1:
        raise UserError(f"{folder}: has {len(best)} files of weights; leave one, or name it {BEST}")
    return best[0]


def digest_checkpoint(path: str) -> str:
    """Return the SHA-256 of a file of weights.

    Raises:
        UserError: if it is not there, or of a kind that is not read.
    """
    found = version("torch")
    if Path(path).suffix in PICKLED and tuple(map(int, found.split(".")[:2])) < SAFE_TORCH:
        raise UserError(
            f"{path}: with torch {found} this file could run any code when it is read; install "
            f"torch 2.6 or later, or save the weights as {SAFE}"
        )
    try:
        return digest_file(expanded(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


class UserCheckpoint(DerivedClassifier, Identified):
    """Weights of the user's own for the network of a registered classifier.

    The file is a state dictionary, as safetensors or of `torch.save`. Its names are those of the
    module that the classifier builds, or of the module ``network`` within, where it wraps a
    library's model; what is in front of all names (`PREFIXES`) is left out.

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
        if digest_checkpoint(self.path) != self.sha256:
            raise InvalidData(f"{self.path}: was changed since the run began")
        state = {self.base.weight_name(name): value for name, value in _read(self.path).items()}
        target = getattr(module, "network", module)
        known = (module.state_dict().keys(), target.state_dict().keys())
        prefix = ""
        while state.keys() not in known and (found := _common_prefix(state)):
            state = {name.removeprefix(found): value for name, value in state.items()}
            prefix += found
        if state.keys() == known[0]:
            target = module
        self.note = f"'{prefix}' was left out in front of the names of the weights" * bool(prefix)
        problem = _mismatch(state, target, module, num_classes)
        if problem:
            raise InvalidData(f"{self.path}: does not fit {self.network}: {one_line(problem)}")
        target.load_state_dict(state)
        return True


class UserCheckpoints(DerivedClassifier, Identified):
    """A file of the user's own weights for each classifier seed, as OpenOOD keeps its runs.

    Args:
        path: of the folder, in which ``s0``, ``s1``, ... hold a file each.
        network: name of the classifier.
        sha256: digests of the files, by seed.
    """

    argument = "path"
    info = Info(name="checkpoints", summary="Weights of the user's own, of several seeds.")

    def __init__(
        self, *, path: str = "", network: str = "", sha256: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self.network = network
        self.sha256 = sha256 or {}

    @property
    def full_name(self) -> str:
        """Return the name of the folder."""
        return printable(expanded(self.path).resolve().name)

    def identity(self) -> Any:
        """Return what identifies it: the bytes of the files, and not their place."""
        key = plugin_key(self)
        del key["parameters"]["path"]
        return key

    def of_seed(self, seed: int) -> UserCheckpoint:
        """Return the weights of a classifier seed.

        Raises:
            UserError: if there are none.
        """
        if str(seed) not in self.sha256:
            found = ", ".join(f"s{each}" for each in self.sha256)
            raise UserError(
                f"{self.path}: has no folder s{seed} for classifier seed {seed}, only {found}"
            )
        path = _weights_in(_seed_folders(self.path)[str(seed)])
        checkpoint = UserCheckpoint(
            path=str(path), network=self.network, sha256=self.sha256[str(seed)]
        )
        return checkpoint.on(self.base)


def find_weights(path: str, network: str) -> UserCheckpoint | UserCheckpoints:
    """Return the user's own weights at a path, for the network of a classifier.

    Raises:
        UserError: if they are not there, or of a kind that is not read.
    """
    if folders := _seed_folders(path):
        digests = {
            seed: digest_checkpoint(str(_weights_in(each))) for seed, each in folders.items()
        }
        return UserCheckpoints(path=path, network=network, sha256=digests)
    return UserCheckpoint(path=path, network=network, sha256=digest_checkpoint(path))


def _read(path: str) -> Mapping[str, Any]:
    """Return the tensors in a file of weights, by name.

    Raises:
        InvalidData: if it is damaged, or holds something else.
    """
    import torch

    found = _read_safetensors(path) if Path(path).suffix == SAFE else _read_pickled(path)
    while isinstance(found, Mapping) and (inner := [found[key] for key in NESTED if key in found]):
        found = inner[0]
    if not isinstance(found, Mapping) or not all(map(torch.is_tensor, found.values())):
        raise InvalidData(f"{path}: there is no state dictionary in it; {ADVICE}")
    return {str(name): value for name, value in found.items()}


def _read_safetensors(path: str) -> Any:
    from safetensors.torch import load_file

    try:
        return load_file(expanded(path))
    except Exception as error:  # the reader raises anything on files that are not its own
        raise InvalidData(f"{path}: not a safetensors file: {reason_of(error)}") from error


def _read_pickled(path: str) -> Any:
    """Return what `torch.save` wrote, if that is nothing but tensors and containers of them.

    Raises:
        InvalidData: in our words, since torch advises to read all else by running its code.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of files that are refused below
            return torch.load(expanded(path), map_location="cpu", weights_only=True)
    except Exception as error:  # the reader raises anything on files that are not its own
        refused = r"GLOBAL (\S{1,200}) (?:was not an allowed global|whose module)"
        if found := re.search(refused, str(error)):
            name = one_line(found[1])
            raise InvalidData(
                f"{path}: holds an object of class {name}, not only tensors; {ADVICE}"
            ) from error
        raise InvalidData(f"{path}: not a file of torch.save, or damaged; {ADVICE}") from error


def _common_prefix(names: Iterable[str]) -> str:
    """Return which of `PREFIXES` all names begin with; "" if there is none."""
    return next((each for each in PREFIXES if all(n.startswith(each) for n in names)), "")


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
