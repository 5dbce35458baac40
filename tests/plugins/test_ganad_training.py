"""GANAD is trained as the paper says, repeatably, on images of any shape."""

import copy
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from oodbench.contracts import Batch, Checkpoint, Context, InvalidParameter, PluginError
from oodbench.testing.toy import TensorStream
from oodbench_ganad import anomaly, recipes, seeds, training
from oodbench_ganad.detector import Ganad
from oodbench_ganad.gan import Wgan
from oodbench_ganad.generated import GanadFakes
from oodbench_ganad.variants import GanadOe, GanadReal, WganCritic

SHAPE = (1, 8, 8)


class LinearClassifier(nn.Module):
    def __init__(self, shape, num_classes):
        super().__init__()
        weight = torch.randn(
            num_classes, torch.Size(shape).numel(), generator=torch.Generator().manual_seed(7)
        )
        self.register_buffer("weight", weight)

    def forward(self, images):
        return images.flatten(1) @ self.weight.T


def context(shape=SHAPE, num_classes=4, **settings):
    return Context(
        device=torch.device("cpu"),
        shape=shape,
        num_classes=num_classes,
        _classifier=LinearClassifier(shape, num_classes),
        **{"seed": 0, **settings},
    )


def stream(shape=SHAPE, num_classes=4, count=96):
    """Return images with a bright column whose place is the class."""
    labels = torch.arange(count) % num_classes
    images = 0.2 * torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))
    images[torch.arange(count), :, :, labels] += 0.8
    return TensorStream(Batch(labels, inputs=images), shape=shape, num_classes=num_classes)


def batch_to_score(images, num_classes=4):
    logits = LinearClassifier(images.shape[1:], num_classes)(images)
    return Batch(torch.full((len(images),), -1), inputs=images, logits=logits)


def fit(seed=0, steps=3, shape=SHAPE, num_classes=4, **settings):
    """Return the fitted generator and detector of a very short training."""
    detector = Ganad(recipe="tiny", steps=steps, anomaly_steps=steps)
    train = stream(shape, num_classes)
    wgan = detector.parts()["wgan"].fit(train, context(shape, num_classes, **settings))
    detector.fit(
        train, context(shape, num_classes, **{**settings, "seed": seed, "parts": {"wgan": wgan}})
    )
    return wgan, detector


@pytest.fixture(scope="module")
def fitted():
    return fit()


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(value, second[name]) for name, value in first.items()
    )


def test_the_same_seed_gives_the_same_weights_whatever_the_global_generator(fitted):
    torch.manual_seed(99)
    for before, after in zip(fitted, fit(), strict=True):
        assert same(before.state(), after.state())


def test_another_seed_gives_another_detector_on_the_same_generator(fitted):
    wgan, detector = fit(seed=1)
    assert same(wgan.state(), fitted[0].state())
    assert not same(detector.state(), fitted[1].state())


def test_all_seeds_and_anomaly_trainings_share_the_generator():
    first, second = (Ganad(steps=5, anomaly_steps=n).parts()["wgan"] for n in (1, 2))
    assert vars(first) == vars(second)
    assert vars(first) == {"recipe": "fast", "alpha": 0.5, "steps": 5, "generator_seed": 0}


@pytest.mark.parametrize("kind", [WganCritic, Ganad, GanadOe, GanadReal, GanadFakes])
def test_a_seed_of_the_generator_gives_another_generator(kind, fitted):
    part = kind(recipe="tiny", steps=3, generator_seed=1).parts()["wgan"]
    first, again = (copy.copy(part).fit(stream(), context()).state() for _ in "ab")
    assert same(first, again)
    assert not same(first, fitted[0].state())


def test_training_changes_every_weight_of_the_generator_and_the_critic(fitted):
    wgan, _ = fitted
    longer, _ = fit(steps=4)
    unchanged = [
        name
        for name, value in wgan.state().items()
        if value.is_floating_point() and torch.equal(value, longer.state()[name])
    ]
    assert set(unchanged) <= {"critic.end.bias"}  # it cancels in equation (7)


def test_a_generator_comes_back_from_its_state(fitted):
    wgan, _ = fitted
    restored = Wgan(recipe="tiny").restore(wgan.state(), context())
    drawn, classes = torch.randn(4, 64), torch.arange(4)
    assert torch.equal(restored.generator_(drawn, classes), wgan.generator_(drawn, classes))
    images = torch.rand(4, *SHAPE)
    assert torch.equal(restored.critic_(images, classes), wgan.critic_(images, classes))


def test_a_detector_comes_back_from_its_state(fitted):
    _, detector = fitted
    restored = Ganad(recipe="tiny").restore(detector.state(), context())
    batch = batch_to_score(torch.rand(5, *SHAPE))
    assert torch.equal(restored.score(batch), detector.score(batch))


def test_scores_are_one_float_an_image_and_minus_what_ad_says(fitted):
    _, detector = fitted
    images = torch.rand(5, *SHAPE)
    scores = detector.score(batch_to_score(images))
    predicted = LinearClassifier(SHAPE, 4)(images).argmax(dim=1)
    assert scores.shape == (5,)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, -detector.network_(images, predicted).detach())


class Kept(Checkpoint):
    """Saves whenever it is asked, and remembers."""

    def __init__(self):
        self.state = None

    def load(self):
        return self.state

    def is_due(self):
        return True

    def save(self, state):
        self.state = copy.deepcopy(state)


def interrupt(done, total, **figures):
    if done == 6:
        raise KeyboardInterrupt


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_interrupted_training_goes_on_to_the_same_weights(precision, monkeypatch):
    monkeypatch.setattr(training, "REPORT_EVERY", 2)
    train = stream(count=200)

    def train_to_the_end(**settings):
        return Wgan(recipe="tiny", steps=7).fit(train, context(precision=precision, **settings))

    kept = Kept()
    with pytest.raises(KeyboardInterrupt):
        train_to_the_end(checkpoint=kept, progress=interrupt)
    assert kept.state["generator_optimizer/done"] == 4
    resumed = []
    on = train_to_the_end(checkpoint=kept, progress=lambda done, *_, **__: resumed.append(done))
    assert resumed == [6, 7]
    assert same(on.state(), train_to_the_end().state())


@pytest.mark.parametrize("batches", [None, 3])
@pytest.mark.parametrize("kind", [Ganad, GanadReal, GanadOe])
def test_an_interrupted_training_of_ad_goes_on_to_the_same_weights(
    kind, batches, fitted, monkeypatch
):
    monkeypatch.setattr(anomaly, "REPORT_EVERY", 2)
    monkeypatch.setattr(recipes, "TINY", replace(recipes.TINY, anomaly_batches=batches))
    given = {"parts": {"wgan": fitted[0]}, "auxiliary": stream(count=50)}

    def train_to_the_end(**settings):
        detector = kind(recipe="tiny", anomaly_steps=7)
        return detector.fit(stream(count=200), context(**given, **settings))

    kept = Kept()
    with pytest.raises(KeyboardInterrupt):
        train_to_the_end(checkpoint=kept, progress=interrupt)
    assert kept.state["optimizer/done"] == 4
    resumed = []
    on = train_to_the_end(checkpoint=kept, progress=lambda done, *_, **__: resumed.append(done))
    assert resumed == [6, 7]
    assert same(on.state(), train_to_the_end().state())


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"steps": -1}, {"anomaly_steps": 0}, {"alpha": 1.5}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"at least 1|between 0 and 1"):
        Ganad(**wrong)


def test_ad_learns_to_score_near_anomalies_above_fakes():
    wgan, detector = fit(steps=150)
    classes = torch.arange(4).repeat(50)
    draws = torch.Generator().manual_seed(5)
    with torch.no_grad():
        images = anomaly.draw_images(wgan.generator_, 64, classes, draws)
    fakes, anomalies = detector.score(batch_to_score(images)).chunk(2)
    above = (anomalies[:, None] > fakes[None, :]).float().mean()
    assert above > 0.8


def test_ad_sees_ten_images_of_each_of_ten_classes():
    classes = anomaly.balanced_classes(100, context(num_classes=10))
    assert classes.bincount().tolist() == [10] * 10


def test_ad_sees_every_class_even_if_there_are_more_than_images():
    classes = anomaly.balanced_classes(100, context(num_classes=1000))
    assert classes.bincount().tolist() == [1] * 1000


def test_ad_sees_as_many_fakes_as_near_anomalies():
    classes = torch.arange(10).repeat(10)
    drawn = anomaly.draw_images(
        lambda drawn, classes: torch.cat([drawn, classes[:, None]], dim=1),
        64,
        classes,
        torch.Generator().manual_seed(0),
    )
    norms = seeds.chebyshev_norm(drawn[:, :64])
    assert (norms[:100] < 5).all()
    assert ((norms[100:] >= 5 - 1e-5) & (norms[100:] <= 6 + 1e-5)).all()
    assert drawn[:, 64].tolist() == [*classes.tolist(), *classes.tolist()]


def test_ad_is_told_the_class_that_the_classifier_sees(fitted):
    images, seen = anomaly.Examples(fitted[0].generator_, recipes.TINY, context()).draw()
    assert torch.equal(seen, LinearClassifier(SHAPE, 4)(images).argmax(dim=1))


@pytest.mark.parametrize(("num_classes", "share"), [(10, 1 / 2), (100, 1)])
def test_outliers_take_the_place_of_near_anomalies_of_every_class(num_classes, share):
    def generate(drawn, classes):
        return (classes[:, None, None, None] / num_classes).expand(-1, 1, 2, 2).clone()

    batch = Batch(torch.zeros(50, dtype=torch.int64), inputs=torch.full((50, 1, 2, 2), 7.0))
    outliers = TensorStream(batch, shape=(1, 2, 2), num_classes=num_classes)
    own = context((1, 2, 2), num_classes)
    examples = anomaly.Examples(generate, recipes.FAST, own, outliers=outliers)
    replaced = [examples.draw()[0][100:, 0, 0, 0] == 7 for _ in range(10)]
    assert all(each.sum() == 50 for each in replaced)
    classes = examples.classes[torch.stack(replaced).any(dim=0)].bincount(minlength=num_classes)
    assert (classes > 0).sum() > 0.95 * num_classes
    assert classes.sum() > 0.95 * 100 * share


def test_mixed_batches_hold_images_of_all_batches_at_their_places_with_their_classes(fitted):
    def examples():
        return anomaly.Examples(fitted[0].generator_, recipes.TINY, context())

    mixed = anomaly.MixedExamples(examples(), 3)
    again = examples()
    batches = [again.draw() for _ in range(3)]
    found = set()
    for _ in range(5):
        images, seen = mixed.draw()
        for place, (image, label) in enumerate(zip(images, seen, strict=True)):
            fits = [
                label == classes[place]
                and torch.allclose(image, made[place], atol=0.5 / 255 + 1e-6)
                for made, classes in batches
            ]
            assert any(fits)
            found.add(tuple(fits))
    assert len(found) >= 3


def test_as_many_batches_as_steps_are_not_mixed(fitted, monkeypatch):
    monkeypatch.setattr(anomaly, "MixedExamples", None)
    given = context(parts={"wgan": fitted[0]})
    Ganad(recipe="tiny", anomaly_steps=recipes.TINY.anomaly_batches).fit(stream(), given)
    with pytest.raises(TypeError):
        Ganad(recipe="tiny", anomaly_steps=recipes.TINY.anomaly_batches + 1).fit(stream(), given)


def test_a_generator_that_diverges_is_an_error():
    train = stream()
    train.whole.inputs[:] = float("nan")
    with pytest.raises(PluginError, match="generator diverged by step 2 of 2"):
        Wgan(recipe="tiny", steps=2).fit(train, context())


def test_a_detector_that_diverges_is_an_error(fitted):
    broken = Wgan(recipe="tiny").restore(fitted[0].state(), context())
    nn.init.constant_(broken.generator_.start[0].weight, float("nan"))
    with pytest.raises(PluginError, match="detector diverged by step 1 of 1"):
        Ganad(recipe="tiny", anomaly_steps=1).fit(stream(), context(parts={"wgan": broken}))


def test_an_unknown_recipe_is_an_error():
    with pytest.raises(InvalidParameter, match="it can be paper, fast, tiny"):
        Wgan(recipe="quick").fit(stream(), context())


def test_training_shows_its_figures():
    seen = []
    fit(progress=lambda done, total, **figures: seen.append((done, total, set(figures))))
    critic = {"critic_loss", "wasserstein", "penalty", "generator_loss", "fake_accuracy"}
    assert seen == [(3, 3, critic), (3, 3, {"anomaly_loss", "anomaly_accuracy"})]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 11), (3, 32, 32)], ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_images_of_any_shape_train_and_score(shape, precision):
    _, detector = fit(steps=1, shape=shape, num_classes=5, precision=precision)
    scores = detector.score(batch_to_score(torch.rand(3, *shape), num_classes=5))
    assert scores.shape == (3,)
    assert scores.isfinite().all()


def test_training_sets_smaller_than_a_batch_train():
    train = stream(count=7)
    assert Wgan(recipe="tiny", steps=1).fit(train, context()).generator_ is not None


@pytest.mark.parametrize(
    ("images", "shape", "steps"),
    [(60_000, (1, 28, 28), 300_000), (50_000, (3, 32, 32), 150_000)],
)
def test_the_papers_recipe_takes_1500_epochs_of_the_critic(images, shape, steps):
    recipe = recipes.recipe_for("paper", shape)
    assert recipe.generator_steps(images) == steps


def test_the_plugin_and_its_parts_are_made_without_importing_torch():
    code = (
        "import sys; from oodbench_ganad import oodbench_detectors; "
        "[kind().parts() for kind in oodbench_detectors()]; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
