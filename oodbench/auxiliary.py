"""Say of which OOD sets a classifier has learned, so that a table can mark them."""

from __future__ import annotations

import numpy as np

from oodbench.contracts import CustomClassifier
from oodbench.images import title_in
from oodbench.jobs import Plan, Request
from oodbench.store import Artifact, Store


def notes_on_auxiliary(request: Request, plan: Plan, store: Store) -> dict[str, str]:
    """Return a note for each OOD set that shares its source, or images, with the auxiliary set.

    Args:
        request: names the classifier, and what it learned from.
        plan: its jobs.
        store: where the images are, as they were fitted to the ID geometry.

    Returns:
        Notes by the title of the OOD set; none where there is nothing to say.
    """
    classifier = request.classifier
    name = classifier.auxiliary() if isinstance(classifier, CustomClassifier) else None
    if name is None:
        return {}
    auxiliary = request.auxiliary[name]
    title = title_in(auxiliary.dataset, request.shape)
    train = next(job for job in plan.jobs.values() if job.ref.stage == "train")
    found = store.find(*train.inputs["auxiliary"])
    learned = frozenset(_images(found)) if found else frozenset()
    notes = {}
    for predicted in plan.predicted:
        images = store.find(*plan.jobs[predicted.extract].inputs["images"])
        if predicted.split != "test" or images is None:
            continue
        own = [image in learned for image in _images(images)]
        texts = []
        if predicted.dataset == title:
            texts.append(f"the classifier learned to reject its {auxiliary.split} images")
        if any(own):
            texts.append(f"the classifier learned to reject {sum(own)} of these very images")
        if texts:
            notes[predicted.dataset] = "; ".join(texts)
    return notes


def _images(artifact: Artifact) -> list[bytes]:
    """Return the pixels of each prepared image."""
    images: np.ndarray = np.load(artifact / "images.npy", mmap_mode="r")
    return [image.tobytes() for image in images]
