"""Input complexity: the likelihood of an image, corrected by how well it can be compressed."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, State, Stream
from oodbench_reconstruction.detectors import VariationalAutoencoder

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor


class InputComplexity(Detector):
    """Score by the likelihood of an image, corrected by its complexity (Serra et al.).

    s(x) = -log2 p(x) - L(x), in bits, where L(x) is the size of the image compressed without loss,
    the smaller one of PNG and JPEG 2000 (section 3 of the paper). Of p the bound of a variational
    autoencoder is taken, the same one as the detector vae trains; its density of pixels in [0, 1]
    is a probability of 8-bit pixels when it is multiplied by 1/256 for each.

    Args:
        latent: as of vae.
        steps: as of vae.

    Raises:
        InvalidParameter: if one of them is less than 1.
    """

    family = "classical"
    needs = frozenset({Need.INPUTS})
    info = Info(
        name="input-complexity",
        title="Input complexity",
        summary="Low likelihood of the image, by a VAE, beyond what its compressed size explains",
        paper=Paper(
            title="Input Complexity and Out-of-distribution Detection with Likelihood-based "
            "Generative Models",
            authors="Serra et al.",
            venue="ICLR",
            year=2020,
            url="https://arxiv.org/abs/1909.11480",
        ),
        deviations=(
            "The likelihood is the bound of a VAE; the paper's models are Glow and PixelCNN++.",
            "The compressors are PNG and JPEG 2000, without the paper's FLIF.",
            "Sizes include the headers of the formats, which are the same for all images.",
        ),
    )
    stochastic = True
    space: ClassVar = VariationalAutoencoder.space
    vae_: VariationalAutoencoder

    def __init__(self, *, latent: int = 16, steps: int = 2_000) -> None:
        self.latent = latent
        self.steps = steps
        self._vae()  # refuses values that mean nothing

    def _vae(self) -> VariationalAutoencoder:
        return VariationalAutoencoder(latent=self.latent, steps=self.steps)

    def parts(self) -> Mapping[str, VariationalAutoencoder]:
        """Return the VAE, which is trained once for this detector and for vae."""
        return {"vae": self._vae()}

    def fit(self, train: Stream, context: Context) -> Self:
        """Take the trained VAE."""
        self.vae_ = context.parts["vae"]
        return self

    def state(self) -> State:
        """Return the state of the VAE."""
        return self.vae_.state()

    def restore(self, state: State, context: Context) -> Self:
        """Restore the VAE."""
        self.vae_ = self._vae().restore(state, context)
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return the bits of the likelihood beyond those of the compressed image: (n,) float64."""
        import torch

        images = batch.inputs
        pixels = (images * 255).round().byte().cpu().numpy()
        sizes = [8.0 * min(compressed_sizes(image)) for image in pixels]
        bits: Tensor = self.vae_.score(batch) / math.log(2) + 8 * images[0].numel()
        return bits - torch.tensor(sizes, dtype=torch.float64, device=images.device)


def compressed_sizes(image: np.ndarray) -> list[int]:
    """Return the bytes that an image (c, h, w) uint8 with 1 or 3 channels takes.

    By PNG, and by JPEG 2000 without loss.
    """
    from PIL import Image

    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    sizes = []
    for name, options in (("PNG", {"optimize": True}), ("JPEG2000", lossless(picture))):
        file = io.BytesIO()
        picture.save(file, name, **options)
        sizes.append(file.tell())
    return sizes


def lossless(picture: Image.Image) -> dict[str, Any]:
    """Return the options of JPEG 2000 for a picture.

    Wavelets halve its sides five times, as is usual, or as often as they can be halved.
    """
    halvings = min(5, int(math.log2(min(picture.size))))
    return {"irreversible": False, "no_jp2": True, "num_resolutions": halvings + 1}
