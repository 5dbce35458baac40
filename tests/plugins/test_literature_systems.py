"""The checks of single systems of the literature."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from oodbench.contracts import Context, PluginError
from oodbench.testing import fit, toy_problem
from oodbench_literature.adgan import Adgan, AdganSearch
from oodbench_literature.anogan import Anogan
from oodbench_literature.capsnet import CapsnetPp, CapsnetRe, Capsules
from oodbench_literature.cavga import Cavga
from oodbench_literature.egbad import Egbad
from oodbench_literature.f_anogan import FAnogan
from oodbench_literature.gamma_vae_grad import GammaVaeGrad
from oodbench_literature.ganomaly import Ganomaly
from oodbench_literature.lsa import Lsa
from oodbench_literature.networks.capsnet import margin_loss, route, squash
from oodbench_literature.networks.cavga import CavgaNetwork, attend, divergence
from oodbench_literature.networks.gamma_vae import GammaVae
from oodbench_literature.networks.gan import gradient_penalty
from oodbench_literature.networks.lsa import Estimator
from oodbench_literature.networks.ocgan import Rivals
from oodbench_literature.ocgan import Ocgan
from oodbench_literature.ulslm import Ulslm


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


def test_mined_codes_move_to_where_the_classifier_finds_images_out_of_class(problem):
    torch.manual_seed(0)
    recipe = Ocgan.recipes["tiny"]
    network = fitted(Ocgan(recipe="tiny"), problem)
    rivals = Rivals((1, 8, 8), recipe).eval()
    codes = 2 * torch.rand(40, recipe.latent) - 1
    mined = network.mine(codes, rivals.classifier)
    before, after = (rivals.classifier(network.decoder(each)) for each in (codes, mined))
    assert (after < before).float().mean() > 0.9
    assert mined.abs().max() <= 1
    away = (mined - codes).norm(dim=1)
    assert (away <= recipe.mining_steps * recipe.mining_rate + 1e-5).all()


def test_codes_of_ocgan_lie_in_the_cube_and_fill_it(problem):
    network = fitted(Ocgan(recipe="tiny"), problem)
    codes = network.encode(problem.id_images)
    assert codes.abs().max() <= 1
    assert codes.std() > 0.2


class Quadratic(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(16, 16, dtype=torch.float64))

    def forward(self, images):
        flat = images.flatten(1)
        return (flat @ self.weight * flat).sum(dim=1).tanh()


def test_the_gradient_penalty_is_that_of_finite_differences():
    torch.manual_seed(0)
    critic, images = Quadratic(), torch.rand(5, 1, 4, 4, dtype=torch.float64)
    step = 1e-6
    basis = step * torch.eye(16, dtype=torch.float64).reshape(16, 1, 1, 4, 4)
    rises = torch.stack([(critic(images + e) - critic(images - e)) / (2 * step) for e in basis])
    expected = (rises.norm(dim=0) - 1).square().mean()
    penalty = gradient_penalty(critic, images)
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-5)
    (slope,) = torch.autograd.grad(penalty, critic.weight)
    moved = torch.zeros_like(slope)
    moved[2, 3] = step
    critic.weight.data += moved
    above = gradient_penalty(critic, images)
    critic.weight.data -= 2 * moved
    below = gradient_penalty(critic, images)
    assert slope[2, 3].item() == pytest.approx((above - below).item() / (2 * step), rel=1e-4)


@pytest.mark.parametrize("kind", [Anogan, Adgan])
def test_searches_in_the_latent_space_never_raise_the_loss(kind, problem):
    network = fitted(kind(recipe="tiny", steps=60), problem)
    images = problem.id_images[:20]
    starts = network.starts(images)
    before = torch.stack([network.loss(images)(each) for each in starts.unbind(dim=1)], dim=1)
    found = network.search(images)
    assert found.shape == starts.shape[:2]
    assert (found <= before + 1e-6).all()
    assert found.mean() < before.mean()


def test_anogan_starts_from_the_nearest_images_of_its_generator(problem):
    network = fitted(Anogan(recipe="tiny", steps=20), problem)
    images = problem.id_images[:5]
    made = network.gan.generator(network.bank)
    errors = (images[:, None] - made[None]).square().sum(dim=(2, 3, 4))
    assert torch.equal(network.starts(images)[:, 0], network.bank[errors.argmin(dim=1)])


def test_adgan_adapts_a_generator_of_its_own_in_each_search(problem):
    network = fitted(Adgan(recipe="tiny", steps=20), problem)
    images = problem.id_images[:3]
    fixed = network.search(images)
    network.numbers = AdganSearch(
        starts=2, steps=3, rate=0.25, betas=(0.5, 0.999), weights_rate=1e-3
    )
    adapted = network.adapt(images)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    assert (adapted < fixed + 1e-3).all()
    assert adapted.mean() < fixed.mean()
    torch.testing.assert_close(network.score(images), adapted.mean(dim=1))
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_an_adapted_search_is_that_of_adam_on_a_copy(problem):
    network = fitted(Adgan(recipe="tiny", steps=20), problem)
    network.numbers = AdganSearch(
        starts=2, steps=3, rate=0.25, betas=(0.5, 0.999), weights_rate=1e-3
    )
    image = problem.id_images[:1]
    expected = []
    for start in network.bank:
        generator = copy.deepcopy(network.gan.generator).requires_grad_()
        point = start[None].clone().requires_grad_()
        adam = torch.optim.Adam(
            [{"params": [point], "lr": 0.25}, {"params": generator.parameters(), "lr": 1e-3}],
            betas=(0.5, 0.999),
        )
        losses = []
        for _ in range(4):
            loss = (generator(point) - image).square().mean()
            losses.append(loss.item())
            adam.zero_grad()
            loss.backward()
            adam.step()
        expected.append(min(losses))
    torch.testing.assert_close(
        network.adapt(image)[0], torch.tensor(expected), rtol=1e-4, atol=1e-6
    )


def test_f_anogan_scores_by_pixels_and_features(problem):
    network = fitted(FAnogan(recipe="tiny", steps=5), problem)
    images = problem.id_images[:4]
    made = network.gan.generator(network.encoder(images))
    pixels = ((2 * made - 1) - (2 * images - 1)).flatten(1).square().mean(dim=1)
    features = network.gan.discriminator.features
    of_features = (features(made) - features(images)).square().mean(dim=1)
    torch.testing.assert_close(network.score(images), pixels + of_features)


@pytest.mark.parametrize("kind", [Anogan, FAnogan, Adgan])
def test_another_seed_of_the_generator_gives_another_generator(kind):
    first, second = (kind(recipe="tiny", generator_seed=seed).parts()["gan"] for seed in (0, 1))
    assert vars(first) | {"generator_seed": 1} == vars(second)


def test_egbad_compares_pairs_with_the_vector_of_the_image(problem):
    network = fitted(Egbad(recipe="tiny", steps=5), problem)
    images = problem.id_images[:4]
    vectors = network.encoder(images)
    made = network.generator(vectors)
    pixels = 2 * (images - made).flatten(1).abs().sum(dim=1)
    features = network.discriminator.features
    difference = (features(images, vectors) - features(made, vectors)).abs().sum(dim=1)
    torch.testing.assert_close(network.score(images), 0.9 * pixels + 0.1 * difference)


def test_the_couplings_of_a_capsule_sum_to_one_over_the_classes():
    predictions = torch.randn(4, 6, 3, 5, generator=torch.Generator().manual_seed(0))
    capsules, couplings = route(predictions, 3)
    torch.testing.assert_close(couplings.sum(dim=2), torch.ones(4, 6))
    assert couplings.std() > 0.01
    total = (couplings[..., None] * predictions).sum(dim=1)
    torch.testing.assert_close(capsules, squash(total))


def test_a_squashed_vector_keeps_its_direction_and_is_shorter_than_one():
    vectors = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    squashed = squash(vectors)
    torch.testing.assert_close(squashed.norm(dim=1), torch.tensor([25 / 26, 0.25 / 1.25, 0.0]))
    torch.testing.assert_close(squashed[0] / squashed[0].norm(), vectors[0] / 5)
    point = torch.zeros(1, 2, requires_grad=True)
    squash(point).sum().backward()
    assert point.grad.isfinite().all()


def test_the_margin_loss_is_that_of_the_formula():
    lengths = torch.tensor([[0.8, 0.3], [0.95, 0.05]])
    loss = margin_loss(lengths, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(
        ((0.1**2 + 0.5 * 0.2**2) + (0.85**2 + 0.5 * 0.85**2)) / 2, rel=1e-5
    )


def test_both_capsule_detectors_share_one_network_that_learns_the_classes(problem):
    first, second = (kind(recipe="tiny").parts()["capsules"] for kind in (CapsnetPp, CapsnetRe))
    assert vars(first) == vars(second)
    network = fit(Capsules(recipe="tiny"), problem).trainable.network_
    found = network(problem.train_images).norm(dim=2).argmax(dim=1)
    assert (found == problem.train_labels).float().mean() > 0.95


def test_capsnet_pp_needs_two_classes():
    with pytest.raises(PluginError, match="needs at least 2 classes"):
        CapsnetPp().fit(None, Context(torch.device("cpu"), 0, (1, 8, 8), 1))


def test_a_black_image_has_a_finite_error(problem):
    detector = fit(CapsnetRe(recipe="tiny", steps=2), problem)
    assert detector.trainable.score(detector.batch(torch.zeros(1, 1, 8, 8))).isfinite().all()


def test_attention_is_that_of_grad_cam():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 4, 4, requires_grad=True)
    mix = torch.nn.Conv2d(3, 5, 1)
    code = mix(maps).square()
    (gradient,) = torch.autograd.grad(code.sum(), maps, retain_graph=True)
    expected = torch.einsum("nf,nfhw->nhw", gradient.mean(dim=(2, 3)), maps).sigmoid()
    attention = attend(code, maps)
    torch.testing.assert_close(attention, expected)
    attention.sum().backward()
    assert mix.weight.grad.abs().sum() > 0


def test_the_divergence_of_a_spatial_code_is_that_of_normal_distributions():
    mean, log_variance = torch.randn(2, 3, 2, 2, 2).unbind()
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=(1, 2, 3))
    torch.testing.assert_close(divergence(mean, log_variance), expected)


def test_the_loss_of_attention_makes_it_rise(problem):
    train = problem.train(Cavga.needs)
    last = []
    for weight in (0.0, 100.0):
        recipe = replace(Cavga.recipes["tiny"], attention_weight=weight)
        context = problem.context(Cavga.needs)
        context.progress = lambda done, total, **losses: last.append(losses["attention"])
        torch.manual_seed(0)
        CavgaNetwork((1, 8, 8), recipe).learn(train, 50, context)
    without, with_loss = last
    assert with_loss > without + 0.1


def test_the_judges_of_ulslm_are_its_functions(problem):
    network = fitted(Ulslm(recipe="tiny", steps=5), problem)
    images = problem.id_images
    rivals = network.rival(images)
    expected = {
        "distance": (rivals - images).square().flatten(1).mean(dim=1),
        "comparator": -network.comparator(torch.cat([images, rivals], dim=1)),
        "indicator": -network.indicator(images),
    }
    for judge, scores in expected.items():
        network.judge = judge
        torch.testing.assert_close(network.score(images), scores)
