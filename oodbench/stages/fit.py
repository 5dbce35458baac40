"""The fit of a detector, or of a part that detectors share, on ID training images.

Writes what it learned: ``state.safetensors`` and ``state.json``; notes down ``fit_seconds``, parts
included, and the ``remarks`` of what was fitted.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors.torch import load_file, save_file

from oodbench.contracts import Context, GeneratedDataset, Need, PluginError, Trainable
from oodbench.contracts.detector import require_images
from oodbench.identity.pretrained import origin_of
from oodbench.images.shares import LEAST_PER_CLASS
from oodbench.stages import Work
from oodbench.stages.checkpoint import FileCheckpoint
from oodbench.stages.modules import load_classifier
from oodbench.stages.stream import training_stream, validation_stream
from oodbench.store.artifacts import Artifact, Draft

if TYPE_CHECKING:
    from oodbench.plan.specs import FitSpec, ProbeSpec, ScoreSpec

Fitted = TypeVar("Fitted", bound=Trainable)


def run(spec: FitSpec, work: Work) -> None:
    """Fit ``spec["trainable"]`` with ``spec["seed"]`` and ``spec["precision"]``.

    Shipped weights, ``spec["weights"]``, take the place of the training if they fit.

    Raises:
        PluginError: if there are too few training images, or ``fit`` does not return the object.
    """
    trainable: Trainable = spec["trainable"]
    origin = origin_of(trainable, spec["seed"], work.inputs)
    work.draft.meta["origin"] = origin
    if any(weights.adopt(origin, work.draft) for weights in spec["weights"]):
        return
    at_once = spec["batch_size"]
    needs = trainable.needs_to_fit()
    stream = training_stream(work.inputs, needs, at_once, work.device)
    require_images(trainable, len(stream))
    context = make_context(spec, work, stream.shape, stream.num_classes)
    if "validation" in work.inputs:
        if not work.inputs["validation"].meta["count"]:
            raise PluginError(
                "it is fitted on validation images, and no class has the "
                f"{LEAST_PER_CLASS} training images that it takes to hold one out"
            )
        held_out = validation_stream(work.inputs, needs | trainable.needs, at_once, work.device)
        context = replace(context, _validation=held_out)
    context.parts = restore_parts(trainable, work, context)
    if "auxiliary" in work.inputs:
        chosen = {"train": work.inputs["auxiliary"]}
        images = frozenset({Need.INPUTS})
        context.auxiliary = training_stream(chosen, images, at_once, work.device)
    torch.manual_seed(spec["seed"])  # building modules, to restore weights into, drew from it
    started = time.perf_counter()
    fitted = trainable.fit(stream, context)
    if work.device == "cuda":
        torch.cuda.synchronize()  # what is queued is work of the fit
    seconds = time.perf_counter() - started
    if fitted is not trainable:
        raise PluginError(f"{type(trainable).__name__}.fit() must return self")
    save_state(trainable, work.draft)
    shared = sum(
        artifact.meta["fit_seconds"]
        for role, artifact in work.inputs.items()
        if role.startswith("part:")
    )
    work.draft.meta.update(fit_seconds=seconds + shared, remarks=list(trainable.remarks()))


def make_context(
    spec: FitSpec | ScoreSpec | ProbeSpec, work: Work, shape: tuple[int, int, int], num_classes: int
) -> Context:
    """Return the context of a fit or score job."""
    classifier = spec["classifier"]
    module = None
    if classifier is not None:
        module = load_classifier(classifier, work.inputs["classifier"], work.device)
    return Context(
        device=torch.device(work.device),
        seed=spec["seed"],
        shape=shape,
        num_classes=num_classes,
        layers=_layers_of(work),
        precision=spec["precision"],
        checkpoint=FileCheckpoint(work.checkpoint, work.note),
        progress=work.progress,
        _classifier=module,
    )


def _layers_of(work: Work) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the layers' outputs, if the job reads what was made of them."""
    made = (artifact for role, artifact in work.inputs.items() if role.startswith("reduced"))
    found = next(made, None)
    return {} if found is None else {k: tuple(v) for k, v in found.meta["layers"].items()}


def restore_parts(
    owner: Trainable | GeneratedDataset, work: Work, context: Context
) -> dict[str, Trainable]:
    """Return the fitted parts that a detector, a part or a generated set asks for."""
    return {
        role: restore(part, work.inputs[f"part:{role}"], context)
        for role, part in owner.parts().items()
    }


def save_state(trainable: Trainable, draft: Draft) -> None:
    """Write the state of a detector or part: tensors as safetensors, the rest as JSON."""
    state = trainable.state()
    tensors = {
        name: value.detach().contiguous().cpu().clone()
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }
    scalars = {name: value for name, value in state.items() if name not in tensors}
    save_file(tensors, draft / "state.safetensors")
    (draft / "state.json").write_text(json.dumps(scalars), encoding="utf-8")


def restore(trainable: Fitted, fitted: Artifact, context: Context) -> Fitted:
    """Return a detector or part with what it learned."""
    tensors = load_file(fitted / "state.safetensors")
    scalars = json.loads((fitted / "state.json").read_text(encoding="utf-8"))
    return trainable.restore({**tensors, **scalars}, context)
