"""What the models of all libraries have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from oodbench.contracts import CustomClassifier, InvalidParameter, Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from oodbench_classifiers.wrappers import Wrapper


class LibraryModel(CustomClassifier):
    """A model of a library, by its name there.

    Weights of the library are taken where it has some for just as many classes as the ID set has:
    whether these are the same classes in the same order is for you to know, and the classifier's
    accuracy in the table tells. Else the model is trained here.

    Args:
        model: its name.
        pretrained: whether to take the library's weights where they fit.
        size: side that images are resized to, in the network; 0 leaves them as they are.
        epochs: passes over the training images.
        learning_rate: the highest of the cycle.
        shift: training images are moved by up to this many pixels in each direction.
        flip: whether training images are mirrored at random; by default where the ID set says that
            they keep their classes.
    """

    argument = "model"

    def __init__(
        self,
        *,
        model: str = "resnet18",
        pretrained: bool = True,
        size: int = 0,
        epochs: int = 10,
        learning_rate: float = 0.05,
        shift: int = 4,
        flip: bool | None = None,
    ) -> None:
        if epochs < 1 or min(shift, size) < 0 or learning_rate <= 0:
            raise ValueError(
                "epochs must be at least 1, shift and size at least 0, learning_rate above 0"
            )
        self.model = model
        self.pretrained = pretrained
        self.size = size
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.shift = shift
        self.flip = flip

    @property
    def recipe(self) -> Recipe:
        """Return the recipe."""
        return Recipe(epochs=self.epochs, learning_rate=self.learning_rate)

    def build(self, shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        """Return a new model of random weights.

        Raises:
            InvalidParameter: if there is no such model, or it does not take such images.
        """
        from oodbench_classifiers.wrappers import tried

        hint = f"try --set {self.info.name}.size=224"
        try:
            return tried(self.construct(num_classes), shape, num_classes, hint)
        except InvalidParameter as error:
            raise InvalidParameter(f"{self.full_name}: {error}") from error

    @abstractmethod
    def construct(self, num_classes: int) -> Wrapper:
        """Return the model, wrapped, with random weights.

        Raises:
            InvalidParameter: if there is no such model, or it has no head.
        """

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Mirror half of the images if `flip` says so, and move each by some whole pixels."""
        from oodbench_classifiers.augmentation import mirrored, shifted

        if self.flip:
            images = mirrored(images, generator)
        return shifted(images, self.shift, generator)
