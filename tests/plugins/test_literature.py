"""What all systems of the literature share: recipes, trainings that resume, searches."""

from dataclasses import replace

import pytest
import torch

from oodbench.contracts import Checkpoint, Context, InvalidParameter, PluginError
from oodbench.testing import toy_problem
from oodbench_literature import oodbench_detectors
from oodbench_literature.blocks import Decoder, Discriminator, Encoder
from oodbench_literature.capsnet import Capsules
from oodbench_literature.ganomaly import Ganomaly
from oodbench_literature.networks.capsnet import CapsuleNetwork
from oodbench_literature.networks.searching import Searching
from oodbench_literature.search import adam_search, careful_descent
from oodbench_literature.system import Recipe, System

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 17, 30), (1, 5, 4)]
SYSTEMS = oodbench_detectors()


class Stopped(Exception):
    pass


class Killing(Checkpoint):
    """Keeps the state of each report, and ends the training after the first one."""

    saved = None
    ends = True

    def is_due(self):
        return True

    def save(self, state):
        self.saved = {
            name: value.clone() if isinstance(value, torch.Tensor) else value
            for name, value in state.items()
        }
        if self.ends:
            self.ends = False
            raise Stopped

    def load(self):
        return self.saved


def context(shape=(1, 8, 8), **settings):
    return Context(torch.device("cpu"), 0, shape, 3, **settings)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("smallest", [2, 4, 8])
def test_blocks_fit_images_of_any_shape(shape, smallest):
    recipe = Recipe(width=4, latent=5, smallest=smallest)
    images = torch.rand(3, *shape)
    vectors = Encoder(shape, recipe)(images)
    assert vectors.shape == (3, 5)
    made = Decoder(shape, recipe)(vectors)
    assert made.shape == images.shape
    assert 0 < made.min() < made.max() < 1
    assert Discriminator(shape, recipe)(images).shape == (3,)


@pytest.mark.parametrize("kind", [kind for kind in SYSTEMS if issubclass(kind, System)])
@pytest.mark.parametrize("recipe", ["paper", "fast"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=str)
def test_every_recipe_has_networks(kind, recipe, shape):
    network = kind(recipe=recipe).build(context(shape)).eval()
    if isinstance(network, Searching):
        network.numbers = replace(network.numbers, steps=1)
    images = torch.rand(2, *shape)
    with torch.no_grad():
        assert network.score(images).shape == (2,)


@pytest.mark.parametrize("recipe", ["paper", "fast"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=str)
def test_every_recipe_has_capsules(recipe, shape):
    network = CapsuleNetwork(shape, 3, Capsules.recipes[recipe])
    images = torch.rand(2, *shape)
    assert network(images).shape == (2, 3, 16)
    assert network.absence(images).shape == network.error(images).shape == (2,)


def test_a_recipe_counts_steps_or_epochs():
    assert Recipe(width=1, latent=1, steps=7).steps_on(6000) == 7
    assert Recipe(width=1, latent=1, epochs=2, batch_size=100).steps_on(6050) == 120
    assert Recipe(width=1, latent=1, epochs=2, batch_size=100).steps_on(30) == 2


@pytest.mark.parametrize("kind", SYSTEMS)
def test_parameters_that_make_no_sense_are_refused(kind):
    with pytest.raises(InvalidParameter, match=r"recipe is 'slow'; it can be paper, fast, tiny"):
        kind(recipe="slow")
    with pytest.raises(InvalidParameter, match="steps must be a whole number of at least 1"):
        kind(steps=0)


def test_a_training_resumes_as_if_it_had_not_been_ended():
    train = toy_problem().train(Ganomaly.needs)
    checkpoint = Killing()
    torch.manual_seed(0)
    with pytest.raises(Stopped):
        Ganomaly(recipe="tiny", steps=60).fit(train, context(checkpoint=checkpoint))
    torch.manual_seed(1)
    resumed = Ganomaly(recipe="tiny", steps=60).fit(train, context(checkpoint=checkpoint))
    torch.manual_seed(0)
    straight = Ganomaly(recipe="tiny", steps=60).fit(train, context())
    for name, value in straight.state().items():
        assert torch.equal(resumed.state()[name], value), name


def test_a_training_that_diverges_says_so():
    train = toy_problem().train(Ganomaly.needs)
    train.whole.inputs.fill_(float("nan"))
    with pytest.raises(PluginError, match="training of ganomaly diverged by step 2 of 2"):
        Ganomaly(recipe="tiny", steps=2).fit(train, context())


def test_fewer_images_than_a_batch_are_enough():
    problem = toy_problem()
    train = problem.train(Ganomaly.needs)
    few = type(train)(
        problem.unlabelled(problem.id_images[:10], Ganomaly.needs), shape=(1, 8, 8), num_classes=3
    )
    assert Ganomaly(recipe="tiny", steps=2).fit(few, context()).network_ is not None


def curved(points):
    return (points.flatten(1) ** 2 - 1).square().sum(dim=1) + points.flatten(1).sum(dim=1).sin()


def test_a_search_by_adam_ends_no_higher_than_it_started():
    start = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, least = adam_search(curved, start, 30, rate=2.0)
    torch.testing.assert_close(least, curved(found))
    assert (least <= curved(start)).all()
    assert least.mean() < curved(start).mean() - 1


def test_a_search_of_many_is_that_of_each():
    start = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    together, _ = adam_search(curved, start, 10, rate=0.1)
    alone = torch.cat([adam_search(curved, each, 10, rate=0.1)[0] for each in start.split(1)])
    torch.testing.assert_close(together, alone)


def test_a_careful_descent_never_raises_the_loss():
    start = torch.rand(20, 1, 2, 2, generator=torch.Generator().manual_seed(0))

    def look(images):
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            losses = curved(4 * images - 2)
            (gradient,) = torch.autograd.grad(losses.sum(), images)
        return losses.detach(), gradient

    before = look(start)[0]
    for steps in (1, 2, 5, 20):
        image, loss = careful_descent(look, start, steps, rate=0.5)
        torch.testing.assert_close(loss, look(image)[0])
        assert (loss <= before).all()
        assert image.min() >= 0
        assert image.max() <= 1
        before = loss
    assert before.mean() < look(start)[0].mean() - 1
