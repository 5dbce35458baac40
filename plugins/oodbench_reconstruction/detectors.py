"""Detectors that score by how badly a network reconstructs an image."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import (
    Batch,
    Context,
    Detector,
    Info,
    InvalidParameter,
    Need,
    Paper,
    State,
    Stream,
)

if TYPE_CHECKING:
    from torch import Tensor

    from oodbench_reconstruction.networks import Reconstructing


class Reconstruction(Detector):
    """A detector by a network that learned to reconstruct ID training images.

    It sees the images alone, neither their classes nor the classifier.

    Args:
        latent: numbers that an image is squeezed into.
        steps: steps of the training; the time that it takes hardly depends on the data set.

    Raises:
        InvalidParameter: if one of them is less than 1.
    """

    family = "classical"
    needs = frozenset({Need.INPUTS})
    stochastic = True
    space: ClassVar = {"latent": (4, 8, 16, 32, 64)}

    def __init__(self, *, latent: int = 16, steps: int = 2_000) -> None:
        for name, value in (("latent", latent), ("steps", steps)):
            if value < 1:
                raise InvalidParameter(f"{name} must be a whole number of at least 1, not {value}")
        self.latent = latent
        self.steps = steps

    @abstractmethod
    def build(self, shape: tuple[int, int, int]) -> Reconstructing:
        """Return a new network for images of a geometry (c, h, w)."""

    def fit(self, train: Stream, context: Context) -> Self:
        """Train the network."""
        from oodbench_reconstruction.training import train_network

        self.network_ = self.build(train.shape).to(context.device)
        train_network(self.network_, train, self.steps, context)
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return how badly the network models the images: (n,) float64."""
        return self.network_.score(batch.inputs)

    def state(self) -> State:
        """Return the weights and buffers of the network."""
        return self.network_.state_dict()

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild the network and load its weights."""
        self.network_ = self.build(context.shape)
        self.network_.load_state_dict(dict(state))
        self.network_.to(context.device).eval().requires_grad_(False)
        return self


class Autoencoder(Reconstruction):
    """Score by the error of a convolutional autoencoder's reconstruction.

    s(x) = |x - g(f(x))|^2 / d, where the encoder f squeezes an image x of d values into a few
    numbers, from which the decoder g draws it again (section 3 of the paper).
    """

    info = Info(
        name="autoencoder",
        title="Autoencoder",
        summary="Large error of an autoencoder's reconstruction of the image",
        paper=Paper(
            title="Anomaly Detection Using Autoencoders with Nonlinear Dimensionality Reduction",
            authors="Sakurada and Yairi",
            venue="MLSDA",
            year=2014,
            url="https://doi.org/10.1145/2689746.2689747",
        ),
        deviations=(
            "The network is convolutional, for images; the paper's is for sensor readings.",
        ),
    )

    def build(self, shape: tuple[int, int, int]) -> Reconstructing:
        """Return a new autoencoder."""
        from oodbench_reconstruction.networks import ConvolutionalAutoencoder

        return ConvolutionalAutoencoder(shape, self.latent)


class VariationalAutoencoder(Reconstruction):
    """Score by the negative evidence lower bound of a variational autoencoder (VAE).

    s(x) = KL(q(z|x) | p(z)) - E_q[log p(x|z)], an upper bound of -log p(x) in nats (equation (3) of
    the paper). Encoder and decoder make q(z|x) and the mean of p(x|z), both of them normal with
    independent components; p(z) is standard normal. The expectation is a mean over draws that are
    the same for all images.
    """

    info = Info(
        name="vae",
        title="VAE",
        summary="Large negative evidence lower bound of a variational autoencoder",
        paper=Paper(
            title="Auto-Encoding Variational Bayes",
            authors="Kingma and Welling",
            venue="ICLR",
            year=2014,
            url="https://arxiv.org/abs/1312.6114",
        ),
        deviations=(
            "The network is convolutional, and the variance of pixels is a single learned number.",
            "The paper detects no outliers; the score is its objective.",
        ),
    )

    def build(self, shape: tuple[int, int, int]) -> Reconstructing:
        """Return a new variational autoencoder."""
        from oodbench_reconstruction.networks import ConvolutionalVae

        return ConvolutionalVae(shape, self.latent)
