"""The paper's other ways to train and use GANAD's discriminator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from oodbench.contracts import Batch, Context, Detector, Info, Need, State, Stream, Trainable
from oodbench_ganad.detector import PAPER, Ganad
from oodbench_ganad.gan import Wgan
from oodbench_ganad.recipes import RecipeName, check_parameters, recipe_for

if TYPE_CHECKING:
    from torch import Tensor

    from oodbench_ganad.anomaly import Examples
    from oodbench_ganad.recipes import Recipe

CHOICES = Ganad.info.deviations[1]
"""What all variants decide where the paper is silent."""


class WganCritic(Detector):
    """Score images by the critic of the WGAN-GP, which was not trained on anomalies.

    Sections 4.2 and 4.3, Tables 3 and 4: score(x) = -D(x, C(x)).

    Args:
        recipe: as of `Ganad`.
        alpha: as of `Ganad`.
        steps: as of `Ganad`.
        generator_seed: as of `Ganad`.
    """

    info = Info(
        name="wgan-critic",
        title="WGAN critic",
        summary="The critic of GANAD's generator, not trained for anomalies.",
        paper=PAPER,
        deviations=Ganad.info.deviations,
    )
    needs = frozenset({Need.INPUTS, Need.LOGITS})
    fit_needs = frozenset()

    def __init__(
        self,
        *,
        recipe: RecipeName = "fast",
        alpha: float = 0.5,
        steps: int | None = None,
        generator_seed: int = 0,
    ) -> None:
        check_parameters(alpha, steps)
        self.recipe = recipe
        self.alpha = alpha
        self.steps = steps
        self.generator_seed = generator_seed

    def parts(self) -> dict[str, Trainable]:
        """Return the generator and critic that GANAD's detectors share."""
        return {
            "wgan": Wgan(
                recipe=self.recipe,
                alpha=self.alpha,
                steps=self.steps,
                generator_seed=self.generator_seed,
            )
        }

    def fit(self, train: Stream, context: Context) -> Self:
        """Take the critic; it is trained already."""
        self.critic_ = context.parts["wgan"].critic_
        return self

    def score(self, batch: Batch) -> Tensor:
        """Return -D(x, C(x)), computed in float32: (n,)."""
        from oodbench_ganad.networks import judge

        return -judge(self.critic_, batch)

    def state(self) -> State:
        """Return the weights of the critic."""
        return dict(self.critic_.state_dict())

    def restore(self, state: State, context: Context) -> Self:
        """Rebuild the critic and load its weights."""
        from oodbench_ganad.networks import make_critic, place

        described = recipe_for(self.recipe, context.shape).architecture
        critic = make_critic(described, context.shape, context.num_classes)
        critic = place(critic, context.device)
        critic.load_state_dict(state)
        self.critic_ = critic.eval()
        return self


class GanadReal(Ganad):
    """Train AD on real ID training images in place of fakes.

    Section 5, Tables 9 and 10; the parameters are those of `Ganad`. The real images of a step are
    drawn at random, so that classes are as frequent as in the training set.
    """

    info = Info(
        name="ganad-real",
        title="GANAD (real)",
        summary="GANAD with ID training images in place of the generator's fakes.",
        paper=PAPER,
        deviations=Ganad.info.deviations,
    )
    fit_needs = frozenset({Need.INPUTS, Need.CLASSIFIER})

    def _examples(self, train: Stream, recipe: Recipe, context: Context) -> Examples:
        from oodbench_ganad.anomaly import Examples

        return Examples(context.parts["wgan"].generator_, recipe, context, real=train)


class GanadOe(Ganad):
    """Train AD on near anomalies mixed with real images of an auxiliary set (outlier exposure).

    Section 5, Tables 7 and 8. The paper does not say in which proportion; here half of the
    anomalies of a step are the auxiliary set's.

    Args:
        recipe: as of `Ganad`.
        alpha: as of `Ganad`.
        steps: as of `Ganad`.
        anomaly_steps: as of `Ganad`.
        generator_seed: as of `Ganad`.
        outliers: name of the auxiliary data set; its training split is used.
    """

    info = Info(
        name="ganad-oe",
        title="GANAD (OE)",
        summary="GANAD with an auxiliary set mixed into its anomalies.",
        paper=PAPER,
        deviations=(
            *Ganad.info.deviations,
            "Half of the anomalies are training images of the auxiliary set (SVHN by default): "
            "results on that set's test images say nothing about unknown anomalies.",
        ),
    )

    def __init__(
        self,
        *,
        recipe: RecipeName = "fast",
        alpha: float = 0.5,
        steps: int | None = None,
        anomaly_steps: int | None = None,
        generator_seed: int = 0,
        outliers: str = "svhn",
    ) -> None:
        super().__init__(
            recipe=recipe,
            alpha=alpha,
            steps=steps,
            anomaly_steps=anomaly_steps,
            generator_seed=generator_seed,
        )
        self.outliers = outliers

    def auxiliary(self) -> str:
        """Return the name of the auxiliary data set."""
        return self.outliers

    def _examples(self, train: Stream, recipe: Recipe, context: Context) -> Examples:
        from oodbench_ganad.anomaly import Examples

        generator = context.parts["wgan"].generator_
        return Examples(generator, recipe, context, outliers=context.auxiliary)


class GanadJoint(Detector):
    """Reject what AD or the classifier's energy finds anomalous.

    The paper looks at both the classifier's confidence and AD's score (Figures 8 and 9) and notes
    that each knows anomalies that the other does not; it names no rule. Here both scores s,
    -AD(x, C(x)) and the negative log-sum-exp of the logits, are brought to one scale by their
    median m and 95 % quantile q on ID validation images, which the classifier has not seen either,

        z(s) = (s - m) / (q - m),

    so that 1 is the border of the most anomalous 5 % of these images by either, and

        score(x) = max(z(-AD(x, C(x))), z(energy(x))).

    Args:
        recipe: as of `Ganad`.
        alpha: as of `Ganad`.
        steps: as of `Ganad`.
        anomaly_steps: as of `Ganad`.
        generator_seed: as of `Ganad`.
    """

    info = Info(
        name="ganad-joint",
        title="GANAD (joint)",
        summary="The larger of GANAD's and energy's score, scaled on validation images.",
        paper=PAPER,
        deviations=(
            *Ganad.info.deviations,
            "The rule that joins both scores is ours; the paper shows them side by side.",
        ),
    )
    needs = frozenset({Need.INPUTS, Need.LOGITS})
    fit_needs = frozenset({Need.VALIDATION})
    stochastic = True

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

    def parts(self) -> dict[str, Trainable]:
        """Return GANAD, to be fitted with the same seed."""
        return {"ganad": self._ganad()}

    def _ganad(self) -> Ganad:
        return Ganad(
            recipe=self.recipe,
            alpha=self.alpha,
            steps=self.steps,
            anomaly_steps=self.anomaly_steps,
            generator_seed=self.generator_seed,
        )

    def fit(self, train: Stream, context: Context) -> Self:
        """Find median and 95 % quantile of both scores on the ID validation images."""
        import torch

        self.ganad_ = context.parts["ganad"]
        scores = torch.cat([self._both(batch) for batch in context.validation], dim=1)
        levels = torch.tensor([0.5, 0.95], device=scores.device)
        self.scale_ = scores.quantile(levels, dim=1).T.contiguous().cpu()
        return self

    def _both(self, batch: Batch) -> Tensor:
        """Return -AD and the energy: (2, n) float32."""
        import torch

        anomaly = self.ganad_.score(batch)
        return torch.stack([anomaly, -batch.logits.to(anomaly.device).logsumexp(dim=1)])

    def score(self, batch: Batch) -> Tensor:
        """Return the larger of both scaled scores: (n,) float32."""
        both = self._both(batch)
        median, border = self.scale_.to(both.device).unbind(dim=1)
        scaled = (both - median[:, None]) / (border - median)[:, None]
        return scaled.amax(dim=0)

    def state(self) -> State:
        """Return the weights of AD, and median and quantile of either score as ``scale``."""
        return {"scale": self.scale_} | {
            f"ganad.{name}": value for name, value in self.ganad_.state().items()
        }

    def restore(self, state: State, context: Context) -> Self:
        """Restore AD and the scale."""
        import torch

        weights = {
            name.removeprefix("ganad."): value
            for name, value in state.items()
            if name.startswith("ganad.")
        }
        self.ganad_ = self._ganad().restore(weights, context)
        scale = state["scale"]
        assert isinstance(scale, torch.Tensor)
        self.scale_ = scale
        return self
