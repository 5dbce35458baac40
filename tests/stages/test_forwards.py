"""Images that pass through a classifier are counted once a pass, whichever way they take."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from oodbench.stages.forwards import Forwards


class WithMethod(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3, 4)
        self.head = nn.Linear(4, 2)

    def features(self, x):
        return self.stem(x)

    def forward(self, x):
        return self.head(self.features(x))


class WithModule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Linear(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.features(x))


IMAGES = torch.ones(5, 3)
every_kind = pytest.mark.parametrize("kind", [WithMethod, WithModule])


@every_kind
def test_a_pass_counts_once_whether_the_whole_is_called_or_its_features(kind) -> None:
    module = kind()
    forwards = Forwards(module)
    module(IMAGES)
    assert forwards.images == 5
    module.features(IMAGES[:2])
    assert forwards.images == 5 + 2
    module.head(torch.ones(9, 4))
    assert forwards.images == 5 + 2


@every_kind
def test_a_pass_that_fails_counts_and_does_not_affect_later_ones(kind) -> None:
    module = kind()
    forwards = Forwards(module)
    with pytest.raises(RuntimeError):
        module(torch.ones(5, 7))
    module(IMAGES)
    assert forwards.images == 5 + 5


@every_kind
def test_a_copy_computes_with_its_own_weights_and_is_counted(kind) -> None:
    module = kind()
    forwards = Forwards(module)
    copied = copy.deepcopy(module)
    with torch.no_grad():
        copied.head.bias += 1
    torch.testing.assert_close(copied(IMAGES), module(IMAGES) + 1)
    torch.testing.assert_close(copied.features(IMAGES), module.features(IMAGES))
    assert forwards.images == 4 * 5


@every_kind
def test_counting_changes_no_output(kind) -> None:
    module = kind()
    expected = module(IMAGES)
    Forwards(module)
    assert torch.equal(module(IMAGES), expected)


def test_without_a_classifier_nothing_is_counted() -> None:
    assert Forwards(None).images == 0
