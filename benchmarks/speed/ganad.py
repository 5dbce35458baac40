"""Measure one generator iteration of GANAD against a plain implementation of the same.

    python benchmarks/speed/ganad.py [--kernels] [--json FILE]

An iteration is three critic steps and one generator step of the paper's MNIST networks (Table 1,
batch 100) with the paper's classifier in the loop, on random images. The plain implementation is
what one would write down from the paper: float32, NCHW, upsampling and pooling apart from the
convolutions, the critic called for real images, fakes and the points between them in turn, and a
graph wherever one arises. Both have the same weights at first and are measured in turns. What
limits GANAD's own iteration is shown by ``--kernels``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import ganad_kernels
import torch
import torch.nn.functional as F
from common import Figures, machine, spread, write_figures
from tabulate import tabulate
from torch import Tensor, nn

from oodbench import hardware
from oodbench.contracts import Batch, Context
from oodbench_classifiers.preact_resnet import PreactResNet
from oodbench_ganad.layers import (
    LEAK,
    AveragePool,
    Convolution,
    DownConvolution,
    LeakyReLU,
    UpConvolution,
)
from oodbench_ganad.networks import Critic, Generator, initialise, place
from oodbench_ganad.recipes import PAPER_GREY
from oodbench_ganad.training import AdversarialTraining

SHAPE = (1, 28, 28)
CLASSES = 10
ALPHA = 0.5


def main() -> None:
    arguments = _parse()
    torch.set_num_threads(arguments.threads)
    precision = hardware.resolve_precision("auto", gpus=0)
    ways = {
        "plain, float32": plain_iteration(),
        "ours, float32": our_iteration("float32"),
        f"ours, by default ({precision})": our_iteration(precision),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(arguments.repetitions + 1):
        for name, iterate in ways.items():
            started = time.perf_counter()
            iterate()
            if repetition > 0:  # the first call sets up what later ones reuse
                seconds[name].append(time.perf_counter() - started)
    figures = _show(seconds, arguments, precision)
    if arguments.kernels:
        rows = ganad_kernels.measure(our_iteration(precision), arguments.repetitions)
        print(f"\n{ganad_kernels.table(rows)}")
        figures |= ganad_kernels.figures(rows)
    write_figures(figures, arguments.json)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--threads", type=int, default=hardware.count_cpus())
    parser.add_argument("--kernels", action="store_true", help="show what limits an iteration")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def our_iteration(precision: str) -> Callable[[], None]:
    """Return a function that makes one iteration of GANAD's own training."""
    generator, critic, classifier, batch = _setting()
    context = Context(
        device=torch.device("cpu"),
        seed=0,
        shape=SHAPE,
        num_classes=CLASSES,
        precision=precision,
        _classifier=place(classifier, torch.device("cpu")),
    )
    training = AdversarialTraining(
        place(generator, context.device),
        place(critic, context.device),
        PAPER_GREY,
        ALPHA,
        steps=1_000_000,
        context=context,
    )

    def iterate() -> None:
        for _ in range(PAPER_GREY.critic_steps):
            training.critic_step(batch.inputs, batch.labels)
        training.generator_step(PAPER_GREY.batch_size)

    return iterate


def plain_iteration() -> Callable[[], None]:
    """Return a function that makes one iteration of the plain implementation."""
    generator, critic, classifier, batch = _setting()
    training = PlainTraining(PlainGenerator(generator), PlainCritic(critic), classifier)

    def iterate() -> None:
        for _ in range(PAPER_GREY.critic_steps):
            training.critic_step(batch.inputs, batch.labels)
        training.generator_step()

    return iterate


def _setting() -> tuple[Generator, Critic, nn.Module, Batch]:
    """Return networks with the same weights, and the same images, at every call."""
    torch.manual_seed(0)
    draws = torch.Generator().manual_seed(0)
    generator = Generator(PAPER_GREY.architecture, SHAPE, CLASSES)
    critic = Critic(PAPER_GREY.architecture, SHAPE, CLASSES)
    initialise(generator, draws)
    initialise(critic, draws)
    classifier = PreactResNet().build(SHAPE, CLASSES).eval().requires_grad_(False)
    size = PAPER_GREY.batch_size
    images = torch.rand(size, *SHAPE, generator=draws)
    return generator, critic, classifier, Batch(torch.arange(size) % CLASSES, inputs=images)


class PlainGenerator(nn.Module):
    """Compute what a generator computes, in NCHW and one operation after the other."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.start = generator.start
        self.body = _plain(generator.body)

    def forward(self, seeds: Tensor, classes: Tensor) -> Tensor:
        """Return images (n, 1, 28, 28)."""
        condition = F.one_hot(classes, CLASSES).float()
        return torch.sigmoid(self.body(self.start(torch.cat([seeds, condition], dim=1))))


class PlainCritic(nn.Module):
    """Compute what a critic computes, in NCHW and one operation after the other."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.class_map = critic.class_map
        self.body = _plain(critic.body)
        self.end = critic.end

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        """Return one value an image: (n, 1)."""
        condition = F.one_hot(classes, CLASSES).float()
        return self.end(self.body(torch.cat([images, self.class_map(condition)], dim=1)))


class PlainUpConvolution(nn.Conv2d):
    """Upsample, then convolve."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, d, 2 h, 2 w)."""
        return super().forward(F.interpolate(x, scale_factor=2, mode="nearest"))


class PlainDownConvolution(nn.Conv2d):
    """Convolve, then pool."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, d, h // 2, w // 2)."""
        return F.avg_pool2d(super().forward(x), 2)


def _plain(body: nn.Module) -> nn.Module:
    """Put plain layers with the same weights in the place of those of GANAD, in place."""
    kinds = {
        Convolution: nn.Conv2d,
        UpConvolution: PlainUpConvolution,
        DownConvolution: PlainDownConvolution,
    }
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if type(child) in kinds:
                new = kinds[type(child)](child.in_channels, child.out_channels, 3, padding=1)
                new.load_state_dict(child.state_dict())
                setattr(parent, name, new)
            elif isinstance(child, LeakyReLU):
                setattr(parent, name, nn.LeakyReLU(LEAK))
            elif isinstance(child, AveragePool):
                setattr(parent, name, nn.AvgPool2d(2))
    return body


class PlainTraining:
    """Train generator and critic as one would write it down."""

    def __init__(self, generator: nn.Module, critic: nn.Module, classifier: nn.Module) -> None:
        self.generator = generator
        self.critic = critic
        self.classifier = classifier
        rate = PAPER_GREY.learning_rate
        self.generator_optimizer = torch.optim.Adam(generator.parameters(), lr=rate)
        self.critic_optimizer = torch.optim.Adam(critic.parameters(), lr=rate)

    def critic_step(self, real: Tensor, classes: Tensor) -> None:
        """Take one step down equation (7)."""
        fakes = self.generator(self._seeds(), classes).detach()
        mixing = torch.rand(len(real), 1, 1, 1)
        between = (mixing * fakes + (1 - mixing) * real).requires_grad_()
        total = self.critic(between, classes).sum()
        (gradients,) = torch.autograd.grad(total, between, create_graph=True)
        penalty = ((gradients.flatten(1).norm(dim=1) - 1) ** 2).mean()
        distance = self.critic(real, classes).mean() - self.critic(fakes, classes).mean()
        loss = PAPER_GREY.penalty_weight * penalty - distance
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()

    def generator_step(self) -> None:
        """Take one step down equation (2)."""
        classes = torch.randint(CLASSES, (PAPER_GREY.batch_size,))
        fakes = self.generator(self._seeds(), classes)
        logits = self.classifier(fakes)
        adversarial = -self.critic(fakes, logits.argmax(dim=1)).mean()
        loss = ALPHA * adversarial + (1 - ALPHA) * F.cross_entropy(logits, classes)
        self.generator_optimizer.zero_grad()
        loss.backward()
        self.generator_optimizer.step()

    def _seeds(self) -> Tensor:
        return torch.randn(PAPER_GREY.batch_size, PAPER_GREY.architecture.seed_length)


def _show(
    seconds: dict[str, list[float]], arguments: argparse.Namespace, precision: str
) -> Figures:
    """Print the comparison, and return its figures."""
    plain, ours_float32, ours = seconds.values()
    slowest = statistics.median(plain)
    rows = [
        (name, median, min(each), max(each), slowest / median, len(each))
        for name, each in seconds.items()
        for median in [statistics.median(each)]
    ]
    header = ["one iteration", "median s", "min s", "max s", "times faster", "n"]
    print(tabulate(rows, header, floatfmt=".3f"))
    return {
        "ratio": round(slowest / statistics.median(ours), 2),
        "ratio_float32": round(slowest / statistics.median(ours_float32), 2),
        **spread("plain", plain),
        **spread("ours_float32", ours_float32),
        **spread("ours", ours),
        "precision": precision,
        "batch_size": PAPER_GREY.batch_size,
        "critic_steps": PAPER_GREY.critic_steps,
        "threads": arguments.threads,
        "repetitions": arguments.repetitions,
        **machine(),
    }


if __name__ == "__main__":
    main()
