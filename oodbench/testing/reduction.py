"""Checks of what a detector makes of the outputs of layers."""

from __future__ import annotations

from unittest import SkipTest

import torch
from torch import Tensor

from oodbench.contracts import FEATURES, Layers, Need, PluginError
from oodbench.stages.passing import wants_gradients
from oodbench.testing.common import copy_of
from oodbench.testing.subject import DetectorSubject, assert_same

TOGETHER = 7
"""Images that are reduced at a time, to be compared with all of them at once."""

TOKENS, WIDTH = 5, 6
"""Shape of the outputs of a transformer's layers for an image."""


def check_reduction(subject: DetectorSubject) -> None:
    """Check that ``reduce`` makes of an image what it makes of it in any other batch."""
    _require_layers(subject)
    problem, images = subject.problem, subject.images
    whole = problem.reduce(images, copy_of(subject.detector))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    for positions in order.split(TOGETHER):
        found = problem.reduce(images[positions], copy_of(subject.detector))
        assert found.shape == (len(positions), whole.shape[1]), (
            f"reduce() returns {found.shape[1]} numbers for an image of {len(positions)}, and "
            f"{whole.shape[1]} in a batch of {len(images)}"
        )
        when = "reduce() must not depend on the other images of a batch, or on earlier ones"
        assert_same(found.double(), whole[positions].double(), whole.double(), when)


def check_reduction_keeps_layers(subject: DetectorSubject) -> None:
    """Check that ``reduce`` does not write into the outputs of layers, which others read too."""
    _require_layers(subject)
    detector = copy_of(subject.detector)
    passed = subject.problem.network(subject.images, gradients=wants_gradients(detector))
    layers = passed.layers(detector if wants_gradients(detector) else None)
    tensors = {**layers.outputs, FEATURES: layers.features, "logits": layers.logits}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    with torch.no_grad():
        detector.reduce(layers)
    changed = [name for name, tensor in tensors.items() if not torch.equal(tensor, before[name])]
    assert not changed, f"reduce() writes into the layers {changed}"


def check_tokens(subject: DetectorSubject) -> None:
    """Check that ``reduce`` works on the tokens of a transformer, or says that it cannot."""
    _require_layers(subject)
    detector, count = copy_of(subject.detector), 4
    try:
        with torch.no_grad():
            found = detector.reduce(_tokens(count, wants_gradients(detector)))
    except PluginError:
        return
    assert found.ndim == 2, f"reduce() returns shape {tuple(found.shape)} of tokens"
    assert len(found) == count, f"reduce() returns {len(found)} rows for tokens of {count} images"
    assert bool(found.isfinite().all()), "reduce() returns NaN or infinity of tokens"


def _require_layers(subject: DetectorSubject) -> None:
    subject.constructed.result()
    detector = subject.detector
    if Need.LAYERS not in {*detector.needs, *detector.needs_to_fit()}:
        raise SkipTest("the detector reads no layers")


def _tokens(count: int, gradients: bool) -> Layers:
    """Return what two layers of a transformer put out for images of noise."""
    generator = torch.Generator().manual_seed(0)

    def draw() -> dict[str, Tensor]:
        shape = (count, TOKENS, WIDTH)
        return {f"block{number}": torch.randn(shape, generator=generator) for number in (1, 2)}

    features, logits = torch.randn(2, count, WIDTH, generator=generator)
    slopes = {**draw(), FEATURES: features} if gradients else None
    return Layers(draw(), features, logits, slopes, lambda _, output: output.mean(dim=1))
