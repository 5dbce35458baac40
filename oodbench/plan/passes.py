"""The passes of images through classifiers, and what is kept of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from oodbench.contracts import Detector, Need, Trainable, parameters
from oodbench.identity.keys import digest
from oodbench.images.sources import Source
from oodbench.plan.jobs import Ref, Resources
from oodbench.plan.specs import ArraysSpec, CombineSpec, ExtractSpec, Part, ReduceSpec
from oodbench.request.request import Request

FROM_CLASSIFIER = frozenset({Need.LOGITS, Need.FEATURES})

PASSES = frozenset({Need.INPUTS, Need.CLASSIFIER})
"""What a detector needs that passes images through the classifier itself."""


class Split(NamedTuple):
    """Images of one data set: ``kind`` is "train", "validation" or "test", or else "ood".

    The first three are of the ID set.
    """

    kind: str
    title: str


@dataclass(frozen=True)
class Extracted:
    """A trained classifier, if there is one, its outputs for each split, and for other images."""

    seed: int
    trained: Ref | None
    splits: Mapping[Split, Ref]
    rest: Ref
    validation: Ref | None = None
    predictions: Ref | None = None  # for the ID test images, where splits do not hold them

    @property
    def train(self) -> Ref:
        """Return the classifier, for what cannot do without."""
        assert self.trained is not None
        return self.trained


def suffix(seed: int | None) -> str:
    """Return what follows the name of what draws with a seed in titles."""
    return "" if seed is None else f" (seed {seed})"


def seed_of_part(part: Trainable, seed: int | None) -> int | None:
    """Return the seed that a part draws with, given that of the detector that asks for it."""
    if not part.stochastic:
        return None
    return seed or 0 if isinstance(part, Detector) else 0


def describe(split: Split, part: str) -> str:
    """Return what to call a part of a split in titles."""
    named = split.kind if split.kind == "validation" else part
    return split.title + ("" if named == "all" else f" ({named})")


class Passes:
    """Plans what is kept of passes.

    Args:
        request: what is planned.
        images: the prepared images of each split; it may still be filled.
        add: adds a job to the plan, given stage, title, spec, inputs, resources and pass.
        resources: what a pass occupies.
    """

    def __init__(
        self,
        request: Request,
        images: Mapping[Split, Ref],
        add: Callable[..., Ref],
        resources: Resources,
    ) -> None:
        self._request = request
        self._images = images
        self._add = add
        self._resources = resources

    def together(
        self, members: Sequence[Extracted], splits: Sequence[Split], tested: Split
    ) -> Extracted:
        """Plan the logits of several classifiers side by side, as the outputs of the first.

        Args:
            members: the outputs of each.
            splits: of which images; of those that classifiers make, each makes its own.
            tested: the ID test images, for which their probabilities are averaged too.
        """
        first = members[0]
        of_all = {split: [member.splits[split] for member in members] for split in splits}
        held_out = [member.validation for member in members if member.validation is not None]
        return Extracted(
            first.seed,
            first.trained,
            {split: self._combine(split.title, refs) for split, refs in of_all.items()},
            self._combine("the rest of the training images", [each.rest for each in members]),
            self._combine("validation images", held_out) if held_out else None,
            self._combine(tested.title, of_all[tested], averaged=True),
        )

    def _combine(self, name: str, refs: Sequence[Ref], *, averaged: bool = False) -> Ref:
        spec: CombineSpec = {"averaged": averaged}
        inputs = {f"member:{number}": ref for number, ref in enumerate(refs)}
        how = "average" if averaged else "join"
        title = f"{how} the outputs of {len(refs)} classifiers for {name}"
        return self._add("combine", title, spec, inputs, Resources(1, 0.0))

    def extract(self, train: Ref | None, split: Split, part: str) -> Ref:
        """Plan the logits and features of a part of a split.

        Args:
            train: the classifier; None without one, or where arrays came without its head.
            split: of the images.
            part: as in `Part`.
        """
        spec: ExtractSpec = {"classifier": self._request.classifier, **self.part(part)}
        inputs = {"images": self._images[split]} | ({"classifier": train} if train else {})
        if self._request.on_arrays:
            given: ArraysSpec = {"source": self._source(split), **spec}
            title = f"read {describe(split, part)}"
            return self._add("arrays", title, given, inputs, Resources(1, 0.0))
        if train is None:
            title = f"list {describe(split, part)}"
            return self._add("listing", title, self.part(part), inputs, Resources(1, 0.0))
        title = f"forward pass over {describe(split, part)}"
        passes = _identify(inputs, part, None)
        return self._add("extract", title, spec, inputs, self._resources, passes=passes)

    def reduce(
        self,
        name: str,
        trainable: Trainable,
        train: Ref,
        split: Split,
        part: str,
        at_most: int | None = None,
    ) -> Ref:
        """Plan what a detector makes of layers, in the pass that yields logits if it is the same.

        Args:
            name: of the detector.
            trainable: the detector.
            train: as of `extract`.
            split: as of `extract`.
            part: as of `extract`.
            at_most: images that pass at most; None for all of the part.
        """
        spec: ReduceSpec = {
            "classifier": self._request.classifier,
            "trainable": _for_reduction(trainable),
            "at_most": at_most,
            **self.part(part),
        }
        images = describe(split, part) if at_most is None else f"{at_most} {split.title} images"
        inputs = {"images": self._images[split], "classifier": train}
        passes = _identify(inputs, part, at_most)
        title = f"reduce layers of {images} for {name}"
        return self._add("reduce", title, spec, inputs, self._resources, passes=passes)

    def reduce_training(
        self, name: str, trainable: Trainable, train: Ref, split: Split
    ) -> dict[str, Ref]:
        """Plan what ``fit`` reads of the layers of training images, by its roles there."""
        at_most = trainable.fit_images()
        if at_most is None:
            return {
                f"reduced:{part}": self.reduce(name, trainable, train, split, part)
                for part in ("calibration", "rest")
            }
        drawn = self.reduce(name, trainable, train, split, "all", at_most)
        return {"reduced:fit": drawn}

    def _source(self, split: Split) -> Source:
        """Return the source of a split."""
        request = self._request
        known = {"train": request.train, "test": request.test, "validation": request.validation}
        ood = dict(zip(request.titles()[1:], request.ood, strict=True))
        found = ood[split.title] if split.kind == "ood" else known[split.kind]
        assert found is not None
        return found

    def part(self, part: str) -> Part:
        """Return the arguments that say which images pass, and how."""
        return {
            "part": part,
            "count": self._request.calibration_images,
            "selection_seed": self._request.selection_seed,
            "precision": self._request.precision,
            "batch_size": self._request.batch_size,
        }


def _identify(inputs: Mapping[str, Ref], part: str, at_most: int | None) -> str:
    """Return what tells a pass from the others of a plan, whatever is kept of it."""
    return digest([inputs, part, at_most])


def _for_reduction(trainable: Trainable) -> Trainable:
    """Return a detector with defaults for the parameters that its reduction does not depend on."""
    if trainable.reduced_by is None:
        return trainable
    given = parameters(trainable)
    return type(trainable)(**{name: given[name] for name in sorted(trainable.reduced_by)})
