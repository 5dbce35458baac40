"""The checks of single systems of the literature."""

import math

import pytest
import torch

from oodbench.contracts import Context
from oodbench.testing import fit, toy_problem
from oodbench_literature.gamma_vae_grad import GammaVaeGrad
from oodbench_literature.ganomaly import Ganomaly
from oodbench_literature.lsa import Lsa
from oodbench_literature.networks.gamma_vae import GammaVae
from oodbench_literature.networks.lsa import Estimator


@pytest.fixture(scope="module")
def problem():
    return toy_problem()


def fitted(system, problem):
    return fit(system, problem).trainable.network_


def test_ganomaly_scores_by_the_mean_difference_of_latent_vectors(problem):
    network = fitted(Ganomaly(recipe="tiny", steps=3), problem)
    images = problem.id_images
    first = network.encoder(images)
    difference = (first - network.second(network.decoder(first))).double().numpy()
    torch.testing.assert_close(
        network.score(images).double(), torch.tensor(abs(difference).mean(axis=1))
    )
    network.squared = True
    torch.testing.assert_close(
        network.score(images).double(), torch.tensor((difference**2).mean(axis=1))
    )


def test_an_output_of_the_estimator_depends_on_earlier_elements_alone():
    torch.manual_seed(0)
    estimator = Estimator(elements=6, channels=3, bins=4)
    code = torch.rand(2, 6)
    for changed in range(6):
        other = code.clone()
        other[:, changed] = 1 - other[:, changed]
        moved = (estimator(other) != estimator(code)).any(dim=2).any(dim=0)
        assert not moved[: changed + 1].any()
        assert moved[changed + 1 :].all()


def test_the_masks_of_the_estimator_hold_after_training(problem):
    network = fitted(Lsa(recipe="tiny", steps=20), problem)
    code = torch.rand(1, 8)
    jacobian = torch.autograd.functional.jacobian(
        lambda each: network.estimator(each)[0].sum(dim=1), code
    )[:, 0]
    assert torch.equal(jacobian.triu(), torch.zeros(8, 8))
    assert (jacobian.tril(-1) != 0).sum() == 28


def test_the_surprisal_starts_near_that_of_equal_bins():
    torch.manual_seed(0)
    estimator = Estimator(elements=64, channels=8, bins=100)
    surprisal = estimator.surprisal(torch.rand(20, 64))
    assert surprisal.mean().item() == pytest.approx(64 * math.log(100), rel=0.02)


def test_lsa_adds_both_terms_on_the_scale_of_training_images(problem):
    network = fitted(Lsa(recipe="tiny"), problem)
    terms = network.terms(problem.train_images).double()
    expected = sum(
        (term - term.quantile(0.05)) / (term.quantile(0.95) - term.quantile(0.05)) for term in terms
    )
    scores = network.score(problem.train_images).double()
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)


def test_the_surprisal_sends_gradients_to_the_encoder(problem):
    network = Lsa(recipe="tiny").build(Context(torch.device("cpu"), 0, (1, 8, 8), 3))
    network.terms(problem.id_images)[1].sum().backward()
    assert any(weight.grad.abs().sum() > 0 for weight in network.encoder.parameters())


def test_the_search_of_gamma_vae_grad_never_raises_the_energy(problem):
    network = fitted(GammaVaeGrad(recipe="tiny"), problem)
    images = torch.cat([problem.id_images, problem.ood_images])
    found = network.search(images)
    assert found.min() >= 0
    assert found.max() <= 1
    assert (network.energy(found, images) <= network.energy(images, images)).all()
    moved = (found - images).square().sum(dim=(1, 2, 3))
    assert moved[:100].median() < moved[100:].median()


def test_a_step_of_gamma_vae_grad_is_that_of_the_formula():
    torch.manual_seed(0)
    recipe = GammaVaeGrad.recipes["tiny"]
    network = GammaVae((1, 8, 8), recipe, moved=True)
    images = torch.rand(2, 1, 8, 8)
    gamma = network.log_variance.exp()

    def energy(each):
        error = (each - network(each)).square().sum() / (2 * gamma)
        return error + recipe.closeness * (each - images).abs().sum()

    gradient = torch.autograd.functional.jacobian(energy, images)
    weights = (images - network(images)).square()
    expected = (images - recipe.step * gamma * gradient * weights).clamp(0, 1)
    network.recipe = type(recipe)(**{**vars(recipe), "iterations": 1})
    torch.testing.assert_close(network.search(images), expected, rtol=1e-4, atol=1e-4)
