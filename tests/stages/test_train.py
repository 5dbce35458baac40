"""Classifiers learn by their recipe, the same by the same seed; bad training data are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from stagework import Bench, Small, TwoClasses, tensors

from oodbench.contracts import CustomClassifier, ImageSet, PluginError, Recipe
from oodbench.errors import InvalidData, UserError
from oodbench.stages import checkpoint
from oodbench.stages.modules import WEIGHTS, load_classifier


def weights(artifact) -> dict[str, torch.Tensor]:
    return tensors(artifact, WEIGHTS.removesuffix(".safetensors"))


def test_a_classifier_learns_to_tell_the_classes_apart(bench: Bench, train) -> None:
    trained = bench.train(train, Small(epochs=30))
    assert trained.meta["train_accuracy"] > 0.95
    assert trained.meta["shape"] == [1, 6, 6]
    assert trained.meta["num_classes"] == 2


def test_the_same_seed_gives_the_same_weights(bench: Bench, train) -> None:
    first, again, other = (weights(bench.train(train, seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    ("momentum", "optimizer"), [(0.9, None), (0.0, None), (0.9, torch.optim.AdamW)]
)
def test_a_training_that_was_killed_goes_on_to_the_same_weights(
    bench: Bench, train, monkeypatch: pytest.MonkeyPatch, momentum: float, optimizer
) -> None:
    class Shaken(Small):
        """Draws from the generator of the training, and from the global one."""

        recipe = Recipe(epochs=5, batch_size=20, learning_rate=0.1, momentum=momentum)

        def augment(self, images, generator):
            return images + 0.1 * torch.rand((), generator=generator) + 0.1 * torch.rand(())

        def optimizer(self, module):
            return optimizer(module.parameters()) if optimizer else super().optimizer(module)

    whole = bench.train(train, Shaken())
    reports, keep = len(bench.reports), bench._report
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", -1)

    def kill(done: int, total: int, **figures: float) -> None:
        keep(done, total, **figures)
        if done == 9 and figures.keys() == {"accuracy"}:
            raise Killed

    monkeypatch.setattr(bench, "_report", kill)
    with pytest.raises(Killed):
        bench.train(train, Shaken())
    monkeypatch.setattr(bench, "_report", keep)
    bench._made -= 1  # the same job again
    resumed = bench.train(train, Shaken())
    assert len(bench.reports) < reports
    assert resumed.meta["train_accuracy"] == whole.meta["train_accuracy"]
    first, second = weights(whole), weights(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_classifier_may_bring_its_optimizer(bench: Bench, train) -> None:
    class Other(Small):
        def optimizer(self, module):
            return torch.optim.Adam(module.parameters(), lr=0.01)

    found, usual = weights(bench.train(train, Other())), weights(bench.train(train, Small()))
    assert not any(torch.equal(found[name], usual[name]) for name in found)


def test_the_learning_rate_rises_for_the_share_of_steps_that_the_recipe_says(
    bench: Bench, train
) -> None:
    rates = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            super().step(closure)

    class Short(Small):
        recipe = Recipe(epochs=10, batch_size=20, learning_rate=0.1, warmup=0.2)

        def optimizer(self, module):
            return Watched(module.parameters(), lr=self.recipe.learning_rate)

    bench.train(train, Short())
    assert rates.index(max(rates)) == 5  # of 30 steps: the last of the first 0.2
    assert max(rates) == pytest.approx(0.1)


def flip(path: Path) -> None:
    """Change a bit of a weight, which leaves a checkpoint readable."""
    content = bytearray(path.read_bytes())
    content[-200] ^= 0b100
    path.write_bytes(content)


def without_metadata(path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, path)


@pytest.mark.parametrize("damage", [flip, without_metadata])
def test_a_training_whose_checkpoint_is_damaged_starts_again(
    bench: Bench, train, monkeypatch: pytest.MonkeyPatch, damage
) -> None:
    whole = bench.train(train)
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", -1)
    interrupted = bench.train(train)
    bench._made -= 1  # the same job again
    path = bench.store.checkpoint("train", interrupted.directory.name)
    shutil.rmtree(interrupted.directory)
    damage(path)
    repeated = bench.train(train)
    assert repeated.meta["notes"] == ["started from the beginning: its checkpoint is damaged"]
    first, second = weights(whole), weights(repeated)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_global_generator_does_not_matter(bench: Bench, train) -> None:
    first = weights(bench.train(train))
    torch.rand(7)
    assert all(
        torch.equal(first[name], value) for name, value in weights(bench.train(train)).items()
    )


def test_a_trained_classifier_comes_back_frozen_and_in_evaluation_mode(bench, trained) -> None:
    module = load_classifier(Small(), trained, "cpu")
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    stored = weights(trained)
    assert all(torch.equal(value, stored[name]) for name, value in module.state_dict().items())


def test_progress_ends_with_the_last_step(bench: Bench, train) -> None:
    bench.train(train, Small(epochs=2))
    steps = [(done, total) for done, total, _ in bench.reports]
    assert steps[0] == (0, 6)
    assert steps[-1] == (6, 6)
    assert steps == sorted(steps)
    figures = {name for *_, found in bench.reports for name in found}
    assert figures == {"loss", "accuracy"}


def test_fewer_images_than_a_batch_are_one_batch(bench: Bench) -> None:
    trained = bench.train(bench.prepare(TwoClasses(count=6), "train"), Small(epochs=1))
    assert len(bench.reports) == 2
    assert trained.meta["train_accuracy"] in {correct / 6 for correct in range(7)}


def test_images_are_augmented_in_unit_range_by_the_seed(bench: Bench, train) -> None:
    seen = []

    class Augmenting(Small):
        def augment(self, images, generator):
            seen.append((images.min().item(), images.max().item(), images.shape))
            return images + torch.rand((), generator=generator)

    plain, first, again = (
        weights(bench.train(train, classifier))
        for classifier in (Small(), Augmenting(), Augmenting())
    )
    assert not torch.equal(plain["head.weight"], first["head.weight"])
    assert torch.equal(first["head.weight"], again["head.weight"])
    assert all(low >= 0 and high <= 1 and shape == (20, 1, 6, 6) for low, high, shape in seen)


class Labelled(TwoClasses):
    """Images with given labels."""

    def __init__(self, *, labels: list[int]) -> None:
        super().__init__(count=len(labels))
        self.labels = labels

    def load(self, root, split):
        return ImageSet(super().load(root, split).images, np.array(self.labels))


@pytest.mark.parametrize("labels", [[1] * 8, [-1] * 8, [0, 1, -1, 1], [0, 1, 2, 1]])
def test_labels_that_are_no_classes_are_the_users_error(bench: Bench, labels: list[int]) -> None:
    images = bench.prepare(Labelled(labels=labels), "train")
    with pytest.raises(UserError, match="needs at least two of the classes 0 to 1, and nothing"):
        bench.train(images)


def test_a_training_that_diverges_is_the_plugins_error(bench: Bench, train) -> None:
    with pytest.raises(PluginError, match="training diverged in epoch"):
        bench.train(train, Small(learning_rate=1e30))


class LastStepDiverges(CustomClassifier, Small):
    """Its loss is finite to the last, and its last gradient is not."""

    recipe = Recipe(epochs=1, batch_size=60)

    def loss(self, logits, labels, done):
        return (logits * 0).sum().sqrt()


def test_weights_that_are_not_finite_after_training_are_the_plugins_error(bench, train) -> None:
    message = r"training diverged: .* of its 314 weights are NaN or infinite"
    with pytest.raises(PluginError, match=message):
        bench.train(train, LastStepDiverges())


class LoadsNan(CustomClassifier, Small):
    """Comes with weights, one of which is NaN."""

    def load(self, module, num_classes):
        module.head.weight[0, 0] = float("nan")
        return True


def test_given_weights_that_are_not_finite_are_the_users_error(bench: Bench, train) -> None:
    message = r"small: 1 of its 314 weights are NaN or infinite \(head.weight\)"
    with torch.no_grad(), pytest.raises(InvalidData, match=message):
        bench.train(train, LoadsNan())
