"""Each way to break the contract of a classifier is found, by the check that is about it."""

import pytest
import torch
from outcomes import failures
from torch import nn

from oodbench.contracts import Classifier, CustomClassifier, Info, Recipe
from oodbench.testing import checks


class Module(nn.Module):
    def __init__(self, channels, num_classes):
        super().__init__()
        self.convolution = nn.Conv2d(channels, 5, kernel_size=3, stride=2)
        self.head = nn.Linear(5, num_classes)

    def features(self, x):
        return self.convolution(2 * x - 1).relu().mean(dim=(2, 3))

    def forward(self, x):
        return self.head(self.features(x))


class Sound(Classifier):
    """A convolution and a head."""

    info = Info(name="sound", summary="A convolution and a head")
    module = Module

    def __init__(self, *, epochs=1):
        self.epochs = epochs

    @property
    def recipe(self):
        return Recipe(epochs=self.epochs)

    def build(self, shape, num_classes):
        return self.module(shape[0], num_classes)

    def augment(self, images, generator):
        flipped = torch.rand(len(images), generator=generator) < 0.5
        return torch.where(flipped[:, None, None, None], images.flip(3), images)


class Unnamed(Sound):
    info = Info(name="", summary="A convolution and a head")


class Converting(Sound):
    def __init__(self, *, epochs=1):
        self.epochs = float(epochs)

    @property
    def recipe(self):
        return Recipe(epochs=1)


class NotToBePickled(Sound):
    def __reduce__(self):
        raise TypeError("cannot pickle a lock")


class NotTrained(Sound):
    @property
    def recipe(self):
        return Recipe(epochs=0)


class SpatialFeatures(Sound):
    class module(Module):  # noqa: N801
        def features(self, x):
            return self.convolution(x).relu()

        def forward(self, x):
            return self.head(self.features(x).mean(dim=(2, 3)))


class ShortHead(Sound):
    def build(self, shape, num_classes):
        return Module(shape[0], num_classes - 1)


class Probabilities(Sound):
    class module(Module):  # noqa: N801
        def forward(self, x):
            return super().forward(x).softmax(dim=1)


class NotAModule(Sound):
    def build(self, shape, num_classes):
        return lambda x: x.mean(dim=(1, 2, 3))


class BatchStatistics(Sound):
    class module(Module):  # noqa: N801
        def features(self, x):
            features = super().features(x)
            return features - features.mean(dim=0)


class SeedOfItsOwn(Sound):
    def build(self, shape, num_classes):
        torch.manual_seed(5)
        return super().build(shape, num_classes)


class NoSeed(Sound):
    def build(self, shape, num_classes):
        torch.seed()
        return super().build(shape, num_classes)


class DeadWeights(Sound):
    class module(Module):  # noqa: N801
        def __init__(self, channels, num_classes):
            super().__init__(channels, num_classes)
            self.unused = nn.Linear(2, 2)


class SharedWeights(Sound):
    class module(Module):  # noqa: N801
        def __init__(self, channels, num_classes):
            super().__init__(channels, num_classes)
            self.again = self.head


class Projecting(CustomClassifier, Sound):
    """Adds to the network what its training alone needs, and removes it."""

    def begin(self, module, shape, num_classes):
        module.projection = nn.Linear(5, 2)

    def objective(self, step):
        loss, logits = super().objective(step)
        points = step.module.projection(step.features(step.images))
        return loss + points.square().mean(), logits

    def finish(self, module):
        del module.projection


class LeavingBehind(Projecting):
    def finish(self, module):
        pass


class ForgettingTheProjection(Projecting):
    def objective(self, step):
        return CustomClassifier.objective(self, step)


class LossOfEach(Projecting):
    def objective(self, step):
        loss, logits = super().objective(step)
        return loss * torch.ones(len(logits)), logits


class FewLogits(Projecting):
    def objective(self, step):
        loss, logits = super().objective(step)
        return loss, logits[1:]


class Brightening(Sound):
    def augment(self, images, generator):
        return images * 1.5


class Darkening(Sound):
    def augment(self, images, generator):
        return images - 0.5


class Cropping(Sound):
    def augment(self, images, generator):
        return images[:, :, 1:]


class AugmentingFromElsewhere(Sound):
    def augment(self, images, generator):
        return super().augment(images, torch.default_generator)


BROKEN = [
    (Unnamed, "info"),
    (Converting, "constructor"),
    (NotToBePickled, "pickling"),
    (NotTrained, "recipe"),
    (SpatialFeatures, "outputs"),
    (ShortHead, "outputs"),
    (Probabilities, "outputs"),
    (NotAModule, "outputs"),
    (BatchStatistics, "images_are_independent"),
    (SeedOfItsOwn, "seed"),
    (NoSeed, "seed"),
    (DeadWeights, "training"),
    (LeavingBehind, "training"),
    (ForgettingTheProjection, "training"),
    (LossOfEach, "training"),
    (FewLogits, "training"),
    (SharedWeights, "weights_can_be_kept"),
    (Brightening, "augmentation"),
    (Darkening, "augmentation"),
    (Cropping, "augmentation"),
    (AugmentingFromElsewhere, "augmentation"),
]


@pytest.mark.parametrize("sound", [Sound(epochs=3), Projecting()])
def test_a_sound_classifier_passes(sound):
    assert failures(sound) == {}


@pytest.mark.parametrize(("broken", "name"), BROKEN, ids=lambda item: getattr(item, "__name__", ""))
def test_one_fault_fails_one_check(broken, name):
    assert list(failures(broken())) == [name]


def test_every_check_is_shown_to_fail():
    assert {check.name for check in checks(Sound())} == {name for _, name in BROKEN}
