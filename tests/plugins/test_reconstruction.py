"""Detectors that score by how badly an image is reconstructed."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from oodbench.contracts import Batch, Context, InvalidParameter, PluginError
from oodbench.testing import fit, toy_problem
from oodbench.testing.toy import TensorStream
from oodbench_reconstruction.complexity import InputComplexity, compressed_sizes, lossless
from oodbench_reconstruction.detectors import Autoencoder, VariationalAutoencoder
from oodbench_reconstruction.networks import ConvolutionalAutoencoder, ConvolutionalVae
from oodbench_reconstruction.training import train_network

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 17, 30), (1, 5, 4)]
NETWORKS = [ConvolutionalAutoencoder, ConvolutionalVae]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("network", NETWORKS)
def test_networks_adapt_to_the_geometry(network, shape):
    images = torch.rand(3, *shape)
    made = network(shape, 6)
    assert made.decoder(torch.zeros(2, 6)).shape == (2, *shape)
    assert made.loss(images).shape == ()
    scores = made.score(images)
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64


def test_the_autoencoder_scores_by_the_squared_error_of_a_pixel():
    network = ConvolutionalAutoencoder((1, 8, 8), 2)
    images = torch.rand(4, 1, 8, 8)
    errors = ((network(images) - images).double() ** 2).flatten(1).mean(1)
    torch.testing.assert_close(network.score(images), errors)


def test_the_vae_scores_by_the_negative_bound():
    torch.manual_seed(0)
    network = ConvolutionalVae((1, 8, 8), 2)
    images = torch.rand(4, 1, 8, 8)
    mean, log_variance = network.encoder(images - 0.5).chunk(2, dim=1)
    deviation = (log_variance / 2).exp()
    posterior = torch.distributions.Normal(mean, deviation)
    prior = torch.distributions.Normal(0.0, 1.0)
    divergence = torch.distributions.kl_divergence(posterior, prior).sum(1)
    pixels = math.exp(network.log_variance.item() / 2)
    likelihoods = [
        torch.distributions.Normal(network.decoder(mean + deviation * noise), pixels)
        .log_prob(images)
        .flatten(1)
        .sum(1)
        for noise in network.noise
    ]
    expected = divergence - torch.stack(likelihoods).mean(0)
    torch.testing.assert_close(network.score(images), expected.double(), rtol=1e-5, atol=1e-3)


def test_the_loss_of_the_vae_is_its_score_by_value_of_pixels_on_average():
    torch.manual_seed(0)
    network = ConvolutionalVae((1, 8, 8), 2).eval()
    images = torch.rand(500, 1, 8, 8)
    loss = torch.stack([network.loss(images) for _ in range(20)]).mean()
    torch.testing.assert_close(loss, network.score(images).mean() / 64, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("network", NETWORKS)
def test_training_lowers_the_loss_and_reports_it(network):
    problem = toy_problem()
    torch.manual_seed(0)
    made = network((1, 8, 8), 8)
    reports = []
    context = problem.context(frozenset())
    context.progress = lambda done, total, loss: reports.append((done, total, loss))
    before = made.loss(problem.id_images).item()
    train_network(made, problem.train(Autoencoder.needs), 120, context)
    assert made.loss(problem.id_images).item() < 0.7 * before
    assert [done for done, _, _ in reports] == [50, 100, 120]
    assert not made.training


def test_a_training_that_diverges_says_so():
    problem = toy_problem()
    stream = problem.train(Autoencoder.needs)
    stream.whole.inputs.fill_(float("nan"))
    network = ConvolutionalAutoencoder((1, 8, 8), 2)
    with pytest.raises(PluginError, match="the training diverged by step 3 of 3"):
        train_network(network, stream, 3, problem.context(frozenset()))


def test_fewer_images_than_a_batch_are_enough():
    problem = toy_problem()
    whole = problem.unlabelled(problem.id_images[:10], Autoencoder.needs)
    stream = TensorStream(whole, shape=(1, 8, 8), num_classes=3)
    context = Context(torch.device("cpu"), 0, (1, 8, 8), 3)
    detector = Autoencoder(steps=2).fit(stream, context)
    assert detector.score(whole).shape == (10,)


def test_the_state_has_no_more_than_the_network():
    problem = toy_problem()
    state = fit(VariationalAutoencoder(latent=3, steps=2), problem).trainable.state()
    assert {name.partition(".")[0] for name in state} == {
        "encoder",
        "decoder",
        "log_variance",
        "noise",
    }


@pytest.mark.parametrize("detector", [Autoencoder, VariationalAutoencoder])
def test_numbers_that_make_no_sense_are_refused(detector):
    with pytest.raises(InvalidParameter, match="latent must be a whole number of at least 1"):
        detector(latent=0)
    with pytest.raises(InvalidParameter, match="steps must be a whole number of at least 1"):
        detector(steps=0)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 5, 4)], ids=str)
def test_input_complexity_is_the_bits_that_the_likelihood_takes_beyond_a_compressed_image(shape):
    torch.manual_seed(0)
    detector = InputComplexity(latent=2)
    vae = VariationalAutoencoder(latent=2)
    vae.network_ = vae.build(shape).eval()
    detector.fit(None, Context(torch.device("cpu"), 0, shape, 2, parts={"vae": vae}))
    images = torch.cat([torch.rand(2, *shape), torch.full((1, *shape), 0.5)])
    batch = Batch(torch.full((3,), -1), inputs=images)
    scores = detector.score(batch)
    pixels = (images * 255).round().byte().numpy()
    for score, bound, image in zip(scores, vae.score(batch), pixels, strict=True):
        picture = image[0] if len(image) == 1 else np.moveaxis(image, 0, 2)
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG", optimize=True)
        of_png = len(file.getvalue()) * 8
        assert score >= bound / math.log(2) + 8 * image.size - of_png - 1e-6
        assert min(compressed_sizes(image)) * 8 <= of_png
    flat, noisy = compressed_sizes(pixels[2]), compressed_sizes(pixels[0])
    assert min(flat) < min(noisy)


def test_images_are_compressed_without_loss():
    image = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG2000", **lossless(Image.fromarray(image)))
    assert (np.asarray(Image.open(file)) == image).all()
    assert compressed_sizes(image[None])[1] == len(file.getvalue())
