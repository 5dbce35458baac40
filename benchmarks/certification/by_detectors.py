"""The detectors of the distribution "detectors"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from .by_pytorch_ood import renamed
from .cases import Case
from .implementations import Parameters, computes

BY = "detectors"


def create(name: str, **settings: Any) -> Any:
    """Return a new detector of the library."""
    from detectors.methods import create_detector

    return create_detector(name, **settings)


FITTED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "klmatching": ("kl_matching", {}),
    "cosine": ("maxcosine", {}),
    "mahalanobis": ("mahalanobis", {}),
    "rmd": ("relative_mahalanobis", {}),
    "gmm": ("gmm", {}),
    "knn": ("knn_euclides", {"k": "neighbours"}),
    "vim": ("vim", {}),
    "react": ("react", {"p": "percentile"}),
}

UNFITTED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "msp": ("msp", {}),
    "maxlogit": ("max_logits", {}),
    "energy": ("energy", {"temperature": "temperature"}),
    "entropy": ("entropy", {}),
    "doctor": ("doctor", {"temperature": "temperature"}),
    "gradnorm": ("gradnorm", {"temperature": "temperature"}),
    "dice": ("dice", {"p": "sparsity"}),
}

IN_OUR_UNITS: Mapping[str, Callable[[Tensor, Case], Tensor]] = {
    "entropy": lambda scores, case: -scores,
    "doctor": lambda scores, case: scores / (1 - scores),
    "gradnorm": lambda scores, case: scores / case.num_classes,
}


def _unfitted(name: str, case: Case, ours: Parameters) -> Tensor:
    theirs, names = UNFITTED[name]
    with torch.enable_grad():
        made = create(theirs, model=case.flat().double(), **renamed(ours, **names))
        found = -made(case.scored.double()).detach()
    return IN_OUR_UNITS[name](found, case) if name in IN_OUR_UNITS else found


def _fitted(name: str, case: Case, ours: Parameters) -> Tensor:
    torch.manual_seed(0)
    theirs, names = FITTED[name]
    made = create(theirs, model=case.flat(), **renamed(ours, **names))
    train, labels = case.train, case.labels
    if name == "klmatching":
        train, labels = case.validation, case.validation_labels
    made.fit(DataLoader(TensorDataset(train, labels), batch_size=256))
    found = -made(case.scored)
    return found.sqrt() if name == "knn" else found


for _name in UNFITTED:
    computes(_name, by=BY)(partial(_unfitted, _name))
for _name in FITTED:
    computes(_name, by=BY)(partial(_fitted, _name))


@computes("odin", by=BY)
def _odin(case: Case, ours: Parameters) -> Tensor:
    settings: dict[str, Any] = renamed(ours, temperature="temperature", eps="step")
    made = create("odin", model=case.taken_apart(torch.float64), **settings)
    with torch.enable_grad():
        return -made(case.images).detach()


@computes("mcd", by=BY)
def _mcd(case: Case, ours: Parameters) -> Tensor:
    torch.manual_seed(0)
    network = case.dropping().network
    made = create("mcdropout", model=network, **renamed(ours, k="samples"))
    return -made(case.scored[:, None, None])
