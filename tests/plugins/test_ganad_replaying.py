"""An iteration of a training is recorded once on a GPU, and replayed."""

import pytest
import torch

from oodbench_ganad.replaying import WARM_UP, Replayed


class Walk:
    """A state that changes by what is given and by what is drawn."""

    def __init__(self, device):
        self.place = torch.zeros(3, device=device)
        self.draws = torch.Generator(device=device).manual_seed(0)
        self.calls = 0

    def step(self, given):
        self.calls += 1
        drawn = torch.rand(3, device=self.place.device, generator=self.draws)
        self.place.add_(given[0] + drawn)
        return self.place.sum()


def walked(device, replayed, steps=8):
    walk = Walk(device)
    step = Replayed(walk.step, walk.draws) if replayed else walk.step
    sums = [float(step([torch.full((3,), float(n), device=device)])) for n in range(steps)]
    return walk, sums


def test_without_a_gpu_the_function_is_called():
    walk, sums = walked("cpu", replayed=True)
    assert walk.calls == 8
    assert sums == walked("cpu", replayed=False)[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_replays_change_the_state_as_calls_do():
    walk, sums = walked("cuda", replayed=True)
    assert walk.calls == WARM_UP + 1
    assert sums == pytest.approx(walked("cuda", replayed=False)[1])
