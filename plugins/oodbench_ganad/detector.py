"""The detector GANAD."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, Paper, State, Stream, Trainable
from oodbench_ganad.gan import Wgan
from oodbench_ganad.recipes import RecipeName, check_parameters, recipe_for

if TYPE_CHECKING:
    from torch import Tensor

    from oodbench_ganad.anomaly import Examples
    from oodbench_ganad.recipes import Recipe

PAPER = Paper(
    title="GAN-Based Anomaly Detection Tailored for Classifiers",
    authors="Králik et al.",
    venue="Mathematics 12(10)",
    year=2024,
    url="https://doi.org/10.3390/math12101439",
)


class Ganad(Detector):
    """Tell images from the anomalies that a generator makes from seeds whose norm is too large.

    A conditional WGAN-GP learns to make images that the classifier recognises from standard normal
    seeds (`Wgan`). Seeds whose largest absolute coordinate is below 5 give fakes, seeds with a
    norm in [5, 6] give near anomalies. A network of the critic's architecture, AD, learns to
    tell them apart, and judges an image x together with the class C(x) that the classifier sees:

        score(x) = -AD(x, C(x)),

    equation (11) with its sign turned. All seeds of this detector share one generator.

    Args:
        recipe: how to train: ``"paper"`` (for a GPU), ``"fast"`` (minutes: grey images on a CPU,
            colour images on a GPU) or ``"tiny"`` (for images of about 8x8 pixels).
        alpha: weight of the adversarial loss against the classifier's, equation (2).
        steps: generator steps; those of the recipe if None.
        anomaly_steps: steps of AD; those of the recipe if None.
        generator_seed: seed of the generator's training, one for all seeds of the detector.

    Attributes:
        network_: AD in evaluation mode, from images and classes (n,) to logits (n,).
    """

    info = Info(
        name="ganad",
        title="GANAD",
        summary="A network that tells a GAN's images from those of seeds with large norms.",
        paper=PAPER,
        deviations=(
            "Recipe paper has the published numbers; fast (the default) and tiny take minutes: "
            "smaller networks, fewer steps at larger learning rates (AD's falls to 0), and for "
            "all steps of AD a supply of normal images and anomalies, in 8 bits. Tiny, and fast "
            "for grey images: no residual blocks, batches of 64, Adam's betas (0.5, 0.9) for "
            "the GAN, always 3 critic steps and seeds of length 64. Fast for colour images, on "
            "a GPU: networks and hinge loss after Miyato and Koyama (2018) in place of the "
            "WGAN-GP's, batches of 256, 2 critic steps, betas (0, 0.9), half of the fakes of a "
            "generator step classified, averaged weights of the generator, AD of a third of the "
            "critic's width.",
            "Where the paper is silent, fakes have standard normal seeds with a norm below 5, near "
            "anomalies random directions with norms uniform in [5, 6], the critic's fakes the "
            "classes of its real images, and AD is told the class that the classifier sees.",
        ),
    )
    needs = frozenset({Need.INPUTS, Need.LOGITS})
    fit_needs = frozenset({Need.CLASSIFIER})
    stochastic = True
    space: ClassVar = {"alpha": (0.25, 0.5, 0.75)}
    generator: ClassVar[type[Wgan]] = Wgan
    """The generator that it learns from."""

    def __init__(
        self,
        *,
        recipe: RecipeName = "fast",
        alpha: float = 0.5,
        steps: int | None = None,
        anomaly_steps: int | None = None,
        generator_seed: int = 0,
    ) -> None:
        check_parameters(alpha, steps, anomaly_steps)
        self.recipe = recipe
        self.alpha = alpha
        self.steps = steps
        self.anomaly_steps = anomaly_steps
        self.generator_seed = generator_seed

    def without_classifier(self) -> Detector | None:
        """Return GANAD of one class."""
        from oodbench_ganad.unclassified import without_classifier

        return without_classifier(self)

    def parts(self) -> dict[str, Trainable]:
        """Return the generator, the same for all seeds and all of GANAD's detectors."""
        return {
            "wgan": self.generator(
                recipe=self.recipe,
                alpha=self.alpha,
                steps=self.steps,
                generator_seed=self.generator_seed,
            )
        }

    def fit(self, train: Stream, context: Context) -> Self:
        """Train AD on images of the generator; the training images are not used again.

        Raises:
            InvalidParameter: if there is no such recipe.
            PluginError: if the training diverges.
        """
        from oodbench_ganad.anomaly import train_anomaly_detector
        from oodbench_ganad.networks import initialise, settle

        self._build(context)
        initialise(self.network_, context.generator(0))
        recipe = recipe_for(self.recipe, context.shape)
        steps = recipe.anomaly_steps if self.anomaly_steps is None else self.anomaly_steps
        examples = self._examples(train, recipe, context)
        train_anomaly_detector(self.network_, examples, recipe, steps, context)
        settle(self.network_)
        return self

    def _examples(self, train: Stream, recipe: Recipe, context: Context) -> Examples:
        """Return what AD learns from; variants add to it."""
        from oodbench_ganad.anomaly import Examples

        return Examples(context.parts["wgan"].generator_, recipe, context)

    def score(self, batch: Batch) -> Tensor:
        """Return -AD(x, C(x)), computed in float32: (n,)."""
        from oodbench_ganad.networks import judge

        return -judge(self.network_, batch)

    def state(self) -> State:
        """Return the weights of AD."""
        return dict(self.network_.state_dict())

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild AD and load its weights."""
        self._build(context)
        self.network_.load_state_dict(state)
        self.network_.eval()
        return self

    def _build(self, context: Context) -> None:
        from oodbench_ganad.networks import make_critic, place

        architecture = recipe_for(self.recipe, context.shape).detector
        network = make_critic(architecture, context.shape, context.num_classes)
        self.network_ = place(network, context.device)
