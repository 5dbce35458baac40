"""The contract of a benchmark: an ID set, its OOD sets and the classifier to protect."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

NO_CLASSIFIER = "none"
"""Names no classifier: detectors judge images alone, and those that need more do not apply."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """An ID set, its OOD sets and a classifier. Written as a TOML file with the keys below.

    Attributes:
        name: registry name.
        id: name of the ID data set; some classes of it stand in brackets, as in ``"mnist[0-5]"``.
        ood: names of the OOD data sets, in the order of the table; classes as in ``id``.
        groups: some of them by the name of a group, such as ``{"near": ("cifar100",)}``; tables
            show the mean over each group.
        classifier: name of the classifier; ``"none"`` where detectors protect none.
        summary: one sentence, shown by ``oodbench list``.
        images_per_set: images of an OOD set, and of the ID test set, that are used at most.
        calibration_images: ID training images that thresholds are taken from.
        validation_images: ID training images at most that are held out: neither the classifier nor
            any detector learns from them, but for what papers fit on held-out images. As many of
            each class as possible, and at most a fifth of each; 0 holds none out.
        validation_set: name of a data set whose test images are the validation images, in place of
            held-out ones; empty for none.
        selection_seed: draws all these images; the same for every detector and seed.
        validation: names of the data sets that detectors are tuned against, none of them among
            ``ood``; empty for those that ship for it.
        arrays: the folder of features and logits that take the place of images, relative to the
            TOML file; `id` and `classifier` then are what tables call them, and `ood` names files.
        folds: a key and its values, as in ``{"digit": ("0", "1")}``: the definition is run once for
            each, with the value in place of ``{digit}`` in the names of data sets.
        parameters: parameters of the plugins by name: ``{"preact-resnet": {"epochs": 3}}``.
    """

    name: str
    id: str
    ood: tuple[str, ...]
    classifier: str
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    summary: str = ""
    images_per_set: int = 10_000
    calibration_images: int = 1_000
    validation_images: int = 1_000
    validation_set: str = ""
    selection_seed: int = 0
    validation: tuple[str, ...] = ()
    arrays: str = ""
    folds: dict[str, tuple[str, ...]] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    @property
    def held_out(self) -> int:
        """The ID training images that are held out at most."""
        return 0 if self.validation_set else self.validation_images

    def with_ood(self, ood: Sequence[str]) -> Self:
        """Return the benchmark with other OOD sets; its groups keep those that it had before."""
        return replace(self, ood=tuple(ood), groups=self.groups_among(ood))

    def groups_among(self, names: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the groups restricted to these OOD sets, without empty groups."""
        kept = {
            group: tuple(name for name in members if name in names)
            for group, members in self.groups.items()
        }
        return {group: members for group, members in kept.items() if members}

    def by_fold(self) -> dict[str, Self]:
        """Return the definition of each fold, by its name; none without folds."""
        return {value: self._filled(key, value) for key, own in self.folds.items() for value in own}

    def _filled(self, key: str, value: str) -> Self:
        def fill(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(name.replace(f"{{{key}}}", value) for name in names)

        (id_dataset, validation_set) = fill((self.id, self.validation_set))
        return replace(
            self,
            id=id_dataset,
            ood=fill(self.ood),
            groups={group: fill(names) for group, names in self.groups.items()},
            validation_set=validation_set,
            validation=fill(self.validation),
            folds={},
        )
