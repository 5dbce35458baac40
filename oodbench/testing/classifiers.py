"""Checks of a classifier, on random images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oodbench.contracts import Classifier, CustomClassifier, Recipe, TrainingStep
from oodbench.testing import common
from oodbench.testing.common import Step, Subject

SHAPES = ((1, 28, 28), (3, 32, 32))
"""Image shapes that every classifier must support."""

NUM_CLASSES = 7
COUNT = 6
"""Images in the batch that modules are tried on."""


class ClassifierSubject(Subject):
    """A classifier under test, with the modules that several checks share.

    Args:
        classifier: a classifier with the parameters to test it with.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self.classifier = classifier
        self.built = Step("build", self._build_all)

    def _build_all(self) -> dict[tuple[int, int, int], Any]:
        self.constructed.result()
        return {shape: self.build(shape) for shape in SHAPES}

    def build(self, shape: tuple[int, int, int], seed: int = 0) -> nn.Module:
        """Return a new module in evaluation mode, its weights drawn by seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = self.classifier.build(shape, NUM_CLASSES)
        assert isinstance(module, nn.Module), f"build returned a {type(module).__name__}"
        return module.eval()


def random_images(shape: tuple[int, int, int]) -> Tensor:
    """Return images of noise: (6, c, h, w) float32 in [0, 1]."""
    return torch.rand(COUNT, *shape, generator=torch.Generator().manual_seed(0))


def check_recipe(subject: ClassifierSubject) -> None:
    """Check that the recipe can be followed."""
    subject.constructed.result()
    recipe = subject.classifier.recipe
    assert isinstance(recipe, Recipe), f"recipe is a {type(recipe).__name__}"
    assert recipe.epochs >= 1, f"recipe.epochs is {recipe.epochs}"
    assert recipe.batch_size >= 1, f"recipe.batch_size is {recipe.batch_size}"
    assert recipe.learning_rate > 0, f"recipe.learning_rate is {recipe.learning_rate}"
    assert 0 <= recipe.label_smoothing < 1, f"recipe.label_smoothing is {recipe.label_smoothing}"


def check_outputs(subject: ClassifierSubject) -> None:
    """Check that features are (n, d), logits (n, k), and the module the head on the features."""
    for shape, module in subject.built.run().items():
        images = random_images(shape)
        with torch.no_grad():
            features, logits = module.features(images), module(images)
            assert features.ndim == 2, f"features have shape {tuple(features.shape)}, not (n, d)"
            assert len(features) == COUNT, f"{COUNT} images have {len(features)} features"
            expected = (COUNT, NUM_CLASSES)
            assert logits.shape == expected, f"logits are {tuple(logits.shape)}, not {expected}"
            assert bool(logits.isfinite().all()), "logits are not finite"
            same = torch.allclose(module.head(features), logits, rtol=1e-4, atol=1e-5)
            assert same, "forward(x) is not head(features(x))"


def check_images_are_independent(subject: ClassifierSubject) -> None:
    """Check that in evaluation mode an image's logits do not depend on the rest of the batch."""
    for shape, module in subject.built.result().items():
        images = random_images(shape)
        with torch.no_grad():
            together = module(images)
            alone = torch.cat([module(image[None]) for image in images])
        same = torch.allclose(together, alone, rtol=1e-3, atol=1e-4)
        assert same, "the logits of an image depend on the other images of its batch"


def check_seed(subject: ClassifierSubject) -> None:
    """Check that the weights are drawn from torch's global generator only."""
    for shape, module in subject.built.result().items():
        weights = module.state_dict()
        again, other = subject.build(shape, 0).state_dict(), subject.build(shape, 1).state_dict()
        assert all(torch.equal(weights[name], again[name]) for name in weights), (
            "two modules built with one seed have different weights"
        )
        assert any(not torch.equal(weights[name], other[name]) for name in weights), (
            "modules built with different seeds have the same weights"
        )


def check_training(subject: ClassifierSubject) -> None:
    """Check that a step of training reaches every weight, and that nothing is left behind."""
    for shape in subject.built.result():
        module = subject.build(shape)
        names = module.state_dict().keys()
        torch.autograd.backward(_loss_of_last_step(subject.classifier, module, shape))
        unreached = [
            name
            for name, weight in module.named_parameters()
            if weight.requires_grad and (weight.grad is None or not weight.grad.isfinite().all())
        ]
        assert not unreached, f"no finite gradient reaches {unreached}"
        if isinstance(subject.classifier, CustomClassifier):
            subject.classifier.finish(module)
        changed = sorted(names ^ module.state_dict().keys())
        assert not changed, f"after finish(), the module differs from a new one in {changed}"


def _loss_of_last_step(classifier: Classifier, module: Any, shape: tuple[int, int, int]) -> Tensor:
    """Return the loss of the last step of a training, in which every part of it counts."""
    images, labels = random_images(shape), torch.arange(COUNT) % NUM_CLASSES
    if not isinstance(classifier, CustomClassifier):
        return F.cross_entropy(module.train()(images), labels)
    classifier.begin(module, shape, NUM_CLASSES)
    step = TrainingStep(
        module=module.train(),
        images=images,
        labels=labels,
        auxiliary=images.flip(0) if classifier.auxiliary() else None,
        done=0.999,
        generator=torch.Generator().manual_seed(0),
        features=module.features,
    )
    loss, logits = classifier.objective(step)
    assert loss.ndim == 0, f"objective returns a loss of shape {tuple(loss.shape)}, not a scalar"
    assert len(logits) >= COUNT, f"objective returns {len(logits)} logits for {COUNT} images"
    return loss


def check_weights_can_be_kept(subject: ClassifierSubject) -> None:
    """Check that the weights can be written as safetensors: tensors only, none of them shared."""
    for module in subject.built.result().values():
        try:
            safetensors.torch.save(module.state_dict())
        except (RuntimeError, ValueError) as error:
            raise AssertionError(f"the weights cannot be written: {error}") from error


def check_augmentation(subject: ClassifierSubject) -> None:
    """Check that augmentation keeps shape and range, and draws from the given generator only."""
    subject.constructed.result()
    for shape in SHAPES:
        images = random_images(shape)
        first, second = (
            subject.classifier.augment(images.clone(), torch.Generator().manual_seed(0))
            for _ in range(2)
        )
        assert first.shape == images.shape, f"augment turns {shape} into {tuple(first.shape)}"
        assert first.dtype == torch.float32, f"augmented images are {first.dtype}"
        low, high = float(first.min()), float(first.max())
        assert low >= 0, f"augmented images reach {low}, below 0"
        assert high <= 1, f"augmented images reach {high}, above 1"
        assert torch.equal(first, second), (
            "augment draws random numbers from another source than the generator"
        )


CHECKS: Sequence[Callable[[ClassifierSubject], None]] = (
    *common.CHECKS,
    check_recipe,
    check_outputs,
    check_images_are_independent,
    check_seed,
    check_training,
    check_weights_can_be_kept,
    check_augmentation,
)
