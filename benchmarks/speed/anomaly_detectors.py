"""Measure a training step of eight anomaly detectors, one after another and stacked into one.

    python benchmarks/speed/anomaly_detectors.py [--json FILE]

A step takes every AD forwards and backwards over 100 fakes and 100 near anomalies of its own
(28x28 pixels, section 4.4 of the paper) and then its Adam. Stacked, ``torch.func.vmap`` turns eight
networks into grouped convolutions, which would save launches; here it shows what that gives.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from common import Figures, machine, spread, write_figures
from tabulate import tabulate
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from oodbench import hardware
from oodbench_ganad.networks import Critic, initialise, place
from oodbench_ganad.recipes import FAST, MNIST, Architecture

SHAPE = (1, 28, 28)
CLASSES = 10
DETECTORS = 8
IMAGES = 200


class OneHotCritic(nn.Module):
    """A critic that takes classes as one-hot vectors: `vmap` has no rule for making those."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.class_map = critic.class_map
        self.body = critic.body
        self.end = critic.end

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        """Map (n, c, h, w) and (n, k) to (n,)."""
        maps = self.class_map(condition).to(images.dtype)
        values: Tensor = self.end(self.body(torch.cat([images, maps], dim=1))).squeeze(1)
        return values


def main() -> None:
    """Measure both ways for the networks of both recipes, in turns."""
    arguments = _parse()
    torch.set_num_threads(arguments.threads)
    rows, figures = [], {}
    for recipe, architecture in (("fast", FAST.architecture), ("paper", MNIST)):
        measured = _measure(architecture, arguments)
        rows += [
            (recipe, way, statistics.median(each), min(each), max(each), len(each))
            for way, each in measured.items()
        ]
        figures |= _figures(recipe, measured)
    print(
        tabulate(
            rows, ["networks", "a step of 8", "median s", "min s", "max s", "n"], floatfmt=".3f"
        )
    )
    figures |= {"threads": arguments.threads, "repetitions": arguments.repetitions, **machine()}
    write_figures(figures, arguments.json)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--threads", type=int, default=hardware.count_cpus())
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def _measure(architecture: Architecture, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Return the seconds of each repetition, by way."""
    device = arguments.device
    draws = torch.Generator().manual_seed(0)
    critics = []
    for _ in range(DETECTORS):
        critic = Critic(architecture, SHAPE, CLASSES)
        initialise(critic, draws)
        critics.append(place(OneHotCritic(critic), device))
    images = torch.rand(DETECTORS, IMAGES, *SHAPE, generator=draws).to(device)
    drawn = torch.randint(CLASSES, (DETECTORS, IMAGES), generator=draws)
    classes = F.one_hot(drawn, CLASSES).float().to(device)
    is_normal = torch.arange(IMAGES, device=device).lt(IMAGES // 2).float()
    examples = (images, classes, is_normal.expand(DETECTORS, -1))
    ways = {
        "stacked": _stacked(copy.deepcopy(critics), *examples),
        "one after another": _one_after_another(critics, *examples),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(arguments.repetitions + 1):
        for name, step in ways.items():
            started = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repetition > 0:  # the first call sets up what later ones reuse
                seconds[name].append(time.perf_counter() - started)
    return seconds


def _one_after_another(
    critics: list[nn.Module], images: Tensor, classes: Tensor, is_normal: Tensor
) -> Callable[[], None]:
    optimizers = [torch.optim.Adam(critic.parameters(), fused=True) for critic in critics]

    def step() -> None:
        for index, (critic, optimizer) in enumerate(zip(critics, optimizers, strict=True)):
            with _bfloat16(images):
                logits = critic(images[index], classes[index]).float()
            loss = F.binary_cross_entropy_with_logits(logits, is_normal[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return step


def _stacked(
    critics: list[nn.Module], images: Tensor, classes: Tensor, is_normal: Tensor
) -> Callable[[], None]:
    weights, buffers = stack_module_state(critics)
    optimizer = torch.optim.Adam(weights.values(), fused=True)
    skeleton = critics[0].to("meta")

    def forward(own: tuple[dict[str, Tensor], dict[str, Tensor]], *example: Tensor) -> Tensor:
        values: Tensor = functional_call(skeleton, own, example)
        return values

    def step() -> None:
        with _bfloat16(images):
            logits = vmap(forward)((weights, buffers), images, classes).float()
        losses = F.binary_cross_entropy_with_logits(logits, is_normal, reduction="none")
        optimizer.zero_grad()
        losses.mean(dim=1).sum().backward()
        optimizer.step()

    return step


def _bfloat16(images: Tensor) -> torch.autocast:
    return torch.autocast(images.device.type, dtype=torch.bfloat16)


def _figures(recipe: str, measured: dict[str, list[float]]) -> Figures:
    apart, stacked = measured["one after another"], measured["stacked"]
    return {
        f"ratio_{recipe}": round(statistics.median(apart) / statistics.median(stacked), 2),
        **spread(f"{recipe}_apart", apart),
        **spread(f"{recipe}_stacked", stacked),
    }


if __name__ == "__main__":
    main()
