"""The images of a generated set, in the form that the stage `prepare` leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from oodbench.contracts import Context, GeneratedDataset
from oodbench.images.geometry import check_images
from oodbench.stages import Work
from oodbench.stages.fit import restore_parts
from oodbench.stages.prepare import write_images

if TYPE_CHECKING:
    from oodbench.plan.specs import GenerateSpec


def run(spec: GenerateSpec, work: Work) -> None:
    """Make the images of ``spec["dataset"]`` by its fitted parts."""
    dataset: GeneratedDataset = spec["dataset"]
    context = Context(
        device=torch.device(work.device),
        seed=spec["selection_seed"],
        shape=spec["shape"],
        num_classes=spec["num_classes"],
        precision=spec["precision"],
        progress=work.progress,
    )
    context.parts = restore_parts(dataset, work, context)
    torch.manual_seed(spec["selection_seed"])
    with torch.no_grad():
        found = check_images(dataset.generate(context), dataset.info.name)
    write_images(found, np.arange(len(found)), spec, work)
