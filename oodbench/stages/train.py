"""A classifier, trained by its recipe and loss, or with the weights that it already has.

Writes ``model.safetensors``; notes down ``shape``, ``num_classes`` and, if it was trained, the
training accuracy of the last epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from oodbench.contracts import Classifier, CustomClassifier, Need, PluginError, Stream
from oodbench.errors import InvalidData, UserError
from oodbench.identity.pretrained import origin_of
from oodbench.stages import Work
from oodbench.stages.finite import not_finite
from oodbench.stages.modules import save_module
from oodbench.stages.stream import training_stream
from oodbench.stages.teaching import teach
from oodbench.store.artifacts import Artifact

if TYPE_CHECKING:
    from oodbench.plan.specs import TrainSpec


def run(spec: TrainSpec, work: Work) -> None:
    """Train ``spec["classifier"]`` with ``spec["seed"]`` and ``spec["precision"]``.

    Shipped weights, ``spec["weights"]``, take the place of the training if they fit.

    Raises:
        InvalidData: if weights that existed already are not finite.
        PluginError: if those that were trained are not.
    """
    classifier: Classifier = spec["classifier"]
    origin = origin_of(classifier, spec["seed"], work.inputs)
    work.draft.meta["origin"] = origin
    if any(weights.adopt(origin, work.draft) for weights in spec["weights"]):
        return
    meta = work.inputs["train"].meta
    shape, num_classes = tuple(meta["shape"]), meta["num_classes"]
    torch.manual_seed(spec["seed"])
    module = classifier.build(shape, num_classes)
    custom = classifier if isinstance(classifier, CustomClassifier) else None
    loaded = custom is not None and custom.load(module, num_classes)
    if custom and custom.note:
        work.note(custom.note)
    if not loaded:
        _check_labels(work.inputs["train"])
        if custom:
            custom.begin(module, shape, num_classes)
        module.to(work.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        auxiliary = _stream("auxiliary", work) if "auxiliary" in work.inputs else None
        accuracy = teach(module, classifier, _stream("train", work), auxiliary, spec, work)
        work.draft.meta["train_accuracy"] = accuracy
        if custom:
            custom.finish(module)
    if bad := not_finite(module.state_dict()):
        if loaded:
            raise InvalidData(f"{classifier.full_name}: {bad}; give a file of sound weights")
        raise PluginError(f"training diverged: {bad}; lower the learning rate")
    save_module(module, work.draft)
    work.draft.meta.update(shape=list(shape), num_classes=num_classes)


def _stream(role: str, work: Work) -> Stream:
    inputs = {"train": work.inputs[role]}
    return training_stream(inputs, frozenset({Need.INPUTS}), 500, work.device)


def _check_labels(train: Artifact) -> None:
    """Raise `UserError` unless the labels are classes of the ID set, two of them at least."""
    found = np.unique(np.load(train / "labels.npy")).tolist()
    num_classes = train.meta["num_classes"]
    if len(found) < 2 or found[0] < 0 or found[-1] >= num_classes:
        raise UserError(
            f"the ID training images have the labels {found[:12]}; a classifier needs at least two "
            f"of the classes 0 to {num_classes - 1}, and nothing else"
        )
