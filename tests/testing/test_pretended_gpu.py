"""The pretended GPU has values, and refuses what a GPU refuses."""

import pandas as pd
import pytest
import torch
from torch import nn

import oodbench
from oodbench.engine import inline
from oodbench.testing.pretended_gpu import DEVICE, pretended_gpu


@pytest.fixture
def gpu():
    with pretended_gpu() as device:
        yield device


def test_new_tensors_are_where_they_are_asked_for(gpu):
    there = [torch.zeros(3, device=gpu), torch.tensor([1.0], device=gpu), torch.ones(2).to(gpu)]
    assert [each.device.type for each in there] == [DEVICE] * 3
    assert {(each + 1).device.type for each in there} == {DEVICE}
    assert torch.zeros(3).device.type == "cpu"


def test_values_can_be_read(gpu):
    numbers = torch.arange(4.0, device=gpu)
    assert numbers.sum().item() == 6
    assert numbers.tolist() == [0, 1, 2, 3]
    assert bool((numbers >= 0).all())
    assert numbers.cpu().numpy().tolist() == [0, 1, 2, 3]


def test_a_network_learns_as_on_the_cpu():
    def losses(device: str) -> list[float]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
        inputs, targets = torch.randn(16, 3).to(device), torch.randn(16, 1).to(device)
        adam = torch.optim.Adam(network.to(device).parameters(), lr=0.1)
        found = []
        for _ in range(5):
            loss = nn.functional.mse_loss(network(inputs), targets)
            adam.zero_grad()
            loss.backward()
            adam.step()
            found.append(loss.item())
        return found

    with pretended_gpu() as device:
        assert losses(device) == losses("cpu")


@pytest.mark.parametrize(
    "mixed",
    [
        pytest.param(lambda here, there: here + there, id="add"),
        pytest.param(lambda here, there: torch.cat([here, there]), id="cat"),
        pytest.param(lambda here, there: here @ there, id="matrix product"),
        pytest.param(lambda here, there: here[there.long()], id="indices on the GPU"),
        pytest.param(lambda here, there: torch.where(there > 0, there, here), id="where"),
        pytest.param(lambda here, there: there.add_(here), id="in place"),
    ],
)
def test_tensors_of_two_devices_do_not_mix(gpu, mixed):
    with pytest.raises(RuntimeError, match="same device"):
        mixed(torch.ones(3), torch.ones(3, device=gpu))


def test_one_number_indices_and_copies_may_come_from_the_cpu(gpu):
    there = torch.ones(3, device=gpu)
    assert (there * torch.tensor(2.0)).tolist() == [2, 2, 2]
    there[torch.tensor([0, 2])] = 5
    there[1:2] = torch.tensor([7.0])
    assert there[torch.tensor([2, 1])].tolist() == [5, 7]
    assert there[[0, 1]].tolist() == [5, 7]
    assert there.view(1, 3)[:, (0, -1)].tolist() == [[5, 5]]


def test_a_generator_draws_on_its_own_device_alone(gpu):
    assert torch.rand(2, device=gpu, generator=torch.Generator(gpu)).device.type == DEVICE
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(2, device=gpu, generator=torch.Generator())
    with pytest.raises(RuntimeError, match="generator"):
        torch.randperm(2, generator=torch.Generator(gpu))


@pytest.mark.slow
def test_a_run_on_it_has_the_figures_of_a_run_on_the_cpu(tiny, tmp_path, monkeypatch):
    def run(name: str) -> pd.DataFrame:
        made = oodbench.run(
            benchmark=str(tiny),
            detectors=["energy", "knn", "mahalanobis", "odin", "react"],
            engine="inline",
            device="cpu",
            precision="float32",
            store=tmp_path / name,
            out=tmp_path / f"{name}-run",
        )
        assert set(made.records["status"]) == {"ok"}
        return made.records

    cpu = run("cpu")
    run_inline = inline.run_inline
    monkeypatch.setenv(inline.IN_PROCESS, "1")
    monkeypatch.setattr(
        inline,
        "run_inline",
        lambda jobs, store, _, *rest: run_inline(jobs, store, DEVICE, *rest),
    )
    with pretended_gpu():
        gpu = run("gpu")
    pd.testing.assert_series_equal(cpu["auroc"], gpu["auroc"], atol=0.002, rtol=0)
