"""Small detectors: sound ones, ones that break their contract, and ones that watch the harness.

A plugin module; tests that need other processes install it, the others pass its objects on.
"""

from __future__ import annotations

import asyncio
import ctypes
import locale
import os
import random
import re
import signal
import sys
import warnings
from pathlib import Path

from oodbench.contracts import Detector, Info, Need, Trainable, hookimpl


def info(name: str) -> Info:
    return Info(name=name, summary="For tests.")


class Brightness(Detector):
    """Scores by the mean of an image; learns nothing."""

    info = info("brightness")
    needs = frozenset({Need.INPUTS})

    def __init__(self, *, scale: float = 1.0) -> None:
        self.scale = scale

    def score(self, batch):
        return self.scale * batch.inputs.mean((1, 2, 3))


class Confidence(Detector):
    """Scores by the largest logit; learns nothing."""

    info = info("confidence")
    needs = frozenset({Need.LOGITS})

    def score(self, batch):
        return -batch.logits.amax(1)


class LayerMeans(Detector):
    """Scores by the first layer's mean, less that of the images that it was fitted on."""

    info = info("layer-means")
    needs = frozenset({Need.LAYERS})
    reduced_by = frozenset({"scale"})

    def __init__(self, *, scale: float = 1.0, sign: float = 1.0, images: int = 0) -> None:
        self.scale = scale
        self.sign = sign
        self.images = images

    def fit_images(self):
        return self.images or None

    def reduce(self, layers):
        output = next(iter(layers.outputs.values()))
        return self.scale * output.flatten(1).mean(dim=1, keepdim=True).double()

    def fit(self, train, context):
        import torch

        self.mean_ = torch.cat([batch.reduced for batch in train]).mean(dim=0)
        self.count_ = len(train)
        return self

    def score(self, batch):
        return self.sign * (batch.reduced - self.mean_)[:, 0]


class FailsToReduce(LayerMeans):
    """Cannot make anything of layers."""

    info = info("fails-to-reduce")

    def reduce(self, layers):
        raise ValueError("no idea")


class Distance(Detector):
    """Scores by the distance to the mean of the training features; draws nothing."""

    info = info("distance")
    needs = frozenset({Need.FEATURES})

    def fit(self, train, context):
        import torch

        self.mean_ = torch.cat([batch.features for batch in train]).mean(0)
        return self

    def score(self, batch):
        return (batch.features - self.mean_).norm(dim=1)


class Drawn(Distance):
    """Scores by the distance to a point that is drawn by seed."""

    info = info("drawn")
    stochastic = True

    def fit(self, train, context):
        import torch

        super().fit(train, context)
        generator = context.generator()
        self.mean_ = self.mean_ + torch.randn(self.mean_.shape, generator=generator)
        for step in range(3):
            context.progress(step + 1, 3, loss=torch.tensor(1 / (step + 1)))
        return self


class FarFromDrawn(Detector):
    """Scores by the distance of an image to one that is drawn by seed."""

    info = info("far-from-drawn")
    needs = frozenset({Need.INPUTS})
    stochastic = True

    def fit(self, train, context):
        import torch

        self.image_ = torch.rand(context.shape, generator=context.generator())
        return self

    def score(self, batch):
        return (batch.inputs - self.image_).square().mean((1, 2, 3))


class Generator(Trainable):
    """A part: a random image, drawn by seed."""

    fit_needs = frozenset({Need.INPUTS})
    stochastic = True

    def __init__(self, *, size: int = 1) -> None:
        self.size = size

    def fit(self, train, context):
        import torch

        self.image_ = torch.rand(train.shape, generator=context.generator()) * self.size
        return self


class FirstOfTwo(Detector):
    """Scores by the distance to the image of a part that it shares with another detector."""

    info = info("first-of-two")
    needs = frozenset({Need.INPUTS})
    stochastic = True

    def parts(self):
        return {"generator": Generator()}

    def fit(self, train, context):
        import torch

        noise = torch.rand(train.shape, generator=context.generator(1))
        self.image_ = context.parts["generator"].image_ + noise
        return self

    def score(self, batch):
        return (batch.inputs - self.image_).abs().mean((1, 2, 3))


class SecondOfTwo(FirstOfTwo):
    info = info("second-of-two")


class RaisesInFit(Distance):
    info = info("raises-in-fit")

    def fit(self, train, context):
        raise ZeroDivisionError("no\nluck [today]")


class RaisesInScore(Brightness):
    info = info("raises-in-score")

    def score(self, batch):
        raise KeyError("missing")


class ReturnsNan(Brightness):
    info = info("returns-nan")

    def score(self, batch):
        scores = super().score(batch)
        scores[-1] = float("nan")
        return scores


class ReturnsWrongShape(Brightness):
    info = info("returns-wrong-shape")

    def score(self, batch):
        return super().score(batch)[:, None]


class ReturnsIntegers(Brightness):
    info = info("returns-integers")

    def score(self, batch):
        return super().score(batch).long()


class ReturnsList(Brightness):
    info = info("returns-list")

    def score(self, batch):
        return super().score(batch).tolist()


class ReturnsNothingFromFit(Distance):
    info = info("returns-nothing-from-fit")

    def fit(self, train, context):
        super().fit(train, context)


class UsesUndeclared(Brightness):
    info = info("uses-undeclared")

    def score(self, batch):
        return batch.logits.amax(1)


class RemembersFirstMean(Brightness):
    """Scores by the distance to the mean of the first batch that it scores."""

    info = info("remembers-first-mean")

    def score(self, batch):
        if not hasattr(self, "first"):
            self.first = batch.inputs.mean(0)
        return (batch.inputs - self.first).abs().mean((1, 2, 3))


class StandardisesLazily(Brightness):
    """Standardises scores by the mean and deviation of the first batch."""

    info = info("standardises-lazily")

    def score(self, batch):
        scores = super().score(batch)
        if not hasattr(self, "mean"):
            self.mean, self.deviation = scores.mean(), scores.std()
        return (scores - self.mean) / self.deviation


class RaisesWhenMade(Brightness):
    info = info("raises-when-made")

    def __init__(self) -> None:
        raise RuntimeError("no licence")


class HidesParameter(Brightness):
    info = info("hides-parameter")

    def __init__(self, *, hidden: int = 1) -> None:
        super().__init__()


class RaisesInParts(Brightness):
    info = info("raises-in-parts")

    def fit(self, train, context):
        return self

    def parts(self):
        raise LookupError("no parts")


class Exits(Brightness):
    info = info("exits")

    def score(self, batch):
        raise SystemExit("bye")


class Cancels(Brightness):
    info = info("cancels")

    def score(self, batch):
        raise asyncio.CancelledError("enough")


class Panic(BaseException):
    """What extension modules written in Rust raise when they panic."""


class Panics(Distance):
    info = info("panics")

    def fit(self, train, context):
        raise Panic("index out of bounds")


class PretendsInterrupt(Brightness):
    info = info("pretends-interrupt")

    def score(self, batch):
        raise KeyboardInterrupt


class ChangesProcess(Brightness):
    """Changes all that it can reach in its process, whenever it is called."""

    info = info("changes-process")

    def fit(self, train, context):
        change_process()
        return self

    def score(self, batch):
        scores = super().score(batch)
        change_process()
        return scores


def change_process():
    import numpy as np
    import torch

    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("medium")
    torch.set_flush_denormal(True)
    torch.set_num_threads(3)
    torch.backends.cudnn.enabled = False
    np.seterr(all="raise")
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    os.chdir("/")
    os.environ.clear()
    warnings.simplefilter("error")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.path.clear()
    sys.stderr = sys.stdout = None
    sys.setrecursionlimit(300)
    locale.setlocale(locale.LC_ALL, "C")


class Adds(Brightness):
    """Adds to what earlier fits left behind, if anything is."""

    info = info("adds")
    stochastic = True

    def fit(self, train, context):
        self.fits_ = getattr(self, "fits_", 0) + 1
        return self

    def score(self, batch):
        return super().score(batch) + self.fits_


class WatchesThreads(Detector):
    """Scores every image by the threads in fit, and in score."""

    info = info("watches-threads")

    def fit(self, train, context):
        import torch

        self.threads_ = torch.get_num_threads()
        return self

    def score(self, batch):
        import torch

        return torch.full((len(batch),), self.threads_ + torch.get_num_threads() / 1000)


class DiesOnce(Brightness):
    """Takes its process along when it is fitted for the first time."""

    info = info("dies-once")

    def __init__(self, *, marker: str = "") -> None:
        super().__init__()
        self.marker = marker

    def fit(self, train, context):
        if not Path(self.marker).exists():
            Path(self.marker).touch()
            os._exit(1)
        return self


class Ends(Brightness):
    """Ends its process without a word."""

    info = info("ends")

    def score(self, batch):
        os._exit(3)


class Crashes(Distance):
    """Reads where there is nothing."""

    info = info("crashes")

    def fit(self, train, context):
        ctypes.string_at(0)


class Hangs(Brightness):
    """Never comes back, and lets no other thread of its process run."""

    info = info("hangs")

    def score(self, batch):
        re.match(r"(a+)+$", "a" * 64 + "b")


class Hoards(Brightness):
    """Takes memory without end, of which a test gives it little."""

    info = info("hoards")

    def score(self, batch):
        held = []
        while True:
            held.append(bytearray(b"x") * 2**24)


@hookimpl
def oodbench_detectors():
    return [Brightness, Confidence, Distance, Drawn, FirstOfTwo, WatchesThreads, DiesOnce]
