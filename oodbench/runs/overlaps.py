"""Images that occur in several sets of a run, in the geometry of the ID set.

An OOD image that is an ID image has no right answer, one that a network learned to reject is too
easy, and those that two sets share count twice in their mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from oodbench.contracts import CustomClassifier
from oodbench.identity.pretrained import HASHES
from oodbench.images.geometry import title_in
from oodbench.plan.jobs import Plan, Ref
from oodbench.request.request import Request
from oodbench.store.artifacts import Store


@dataclass
class Overlaps:
    """What the sets of a run have in common.

    Attributes:
        notes: what to show with results on a set, by its title.
        repeated: why an OOD set has no images of its own, by its title.
    """

    notes: dict[str, str] = field(default_factory=dict)
    repeated: dict[str, str] = field(default_factory=dict)


def find_overlaps(request: Request, plan: Plan, store: Store) -> Overlaps:
    """Compare the images of all sets with each other, and with those that were learned from.

    Args:
        request: names the sets.
        plan: its jobs.
        store: where the prepared images are; what is not there is not compared.
    """
    sets = _tested(plan, store)
    test = sets.pop(request.titles()[0], _NONE)
    learned_from = (_hashes(ref, store) for ref in _training_images(plan))
    train = np.concatenate([_NONE, *learned_from])
    found = Overlaps()
    if both := _count(test, train):
        text = f"{both:,} of its {len(test):,} images are ID training images"
        found.notes[request.titles()[0]] = text
    learned = list(_learned(request, plan, store))
    for title, images in sets.items():
        if reason := _why_repeated(title, sets, np.concatenate([test, train]), found.repeated):
            found.repeated[title] = reason
            continue
        shared = {"ID test images": test, "ID training images": train}
        shared |= {f"images of {other}": sets[other] for other in sets if other != title}
        texts = [
            f"{count:,} of its {len(images):,} images are {what}"
            for what, others in shared.items()
            if (count := _count(images, others))
        ]
        for who, auxiliary, split, others in learned:
            if title == auxiliary:
                texts.append(f"{who} learned to reject its {split} images")
            if count := _count(images, others):
                texts.append(f"{who} learned to reject {count:,} of these very images")
        if texts:
            found.notes[title] = "; ".join(texts)
    return found


_NONE = np.empty(0, dtype=np.uint64)


def _why_repeated(
    title: str, sets: dict[str, np.ndarray], known: np.ndarray, repeated: dict[str, str]
) -> str:
    """Return why an OOD set has no images of its own; "" if it has some.

    Args:
        title: of the set.
        sets: hashes of the images of all OOD sets, in the order of the table.
        known: hashes of the ID images.
        repeated: the sets before it that have none.
    """
    images = sets[title]
    if _count(images, known) == len(images):
        return "all its images are ID images"
    for other in list(sets)[: list(sets).index(title)]:
        if other not in repeated and not len(np.setxor1d(images, sets[other])):
            return f"its images are those of {other}"
    return ""


def _count(images: np.ndarray, others: np.ndarray) -> int:
    return int(np.isin(images, others).sum())


def _tested(plan: Plan, store: Store) -> dict[str, np.ndarray]:
    """Return the hashes of the images of each set that is tested and is there, by its title."""
    images = {
        each.dataset: plan.jobs[each.extract].inputs["images"]
        for each in plan.predicted
        if each.split == "test"
    }
    found = {title: _hashes(ref, store) for title, ref in images.items()}
    return {title: hashes for title, hashes in found.items() if len(hashes)}


def _training_images(plan: Plan) -> set[Ref]:
    """Return the ID images that classifiers and detectors learned from, validation images too."""
    jobs = [plan.jobs[ref] for ref in plan.needed() if ref.stage in ("train", "fit")]
    roles = ("train", "validation")
    return {job.inputs[role] for job in jobs for role in roles if role in job.inputs}


def _learned(
    request: Request, plan: Plan, store: Store
) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Yield who learned from auxiliary images: the learner, their set, split and hashes."""
    found: dict[tuple[str, str], Ref] = {}
    for job in plan.jobs.values():
        if job.ref.stage == "train" and isinstance(request.classifier, CustomClassifier):
            name = request.classifier.auxiliary()
            if name is not None:
                found["the classifier", name] = job.inputs["auxiliary"]
    for scored in plan.scored:
        waiting = [fit] if (fit := plan.jobs[scored.score].inputs.get("fit")) else []
        while waiting:
            job = plan.jobs[waiting.pop()]
            waiting += [ref for role, ref in job.inputs.items() if role.startswith("part:")]
            if "auxiliary" in job.inputs:
                name = job.spec["trainable"].auxiliary()
                found[scored.detector, name] = job.inputs["auxiliary"]
    for (who, name), ref in found.items():
        source = request.auxiliary[name]
        title = title_in(source.dataset, request.shape)
        yield who, title, source.split, _hashes(ref, store)


def _hashes(ref: Ref, store: Store) -> np.ndarray:
    """Return the hashes of prepared images, (n,) uint64; none if they are not in the store."""
    artifact = store.find(*ref)
    return _NONE if artifact is None else np.load(artifact / HASHES)
