"""Make the images of a generated set; leaves what the stage `prepare` leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from oodbench.contracts import Context, GeneratedDataset
from oodbench.images import check_images, select, to_geometry
from oodbench.stages import Work
from oodbench.stages.fit import restore_parts


def run(spec: Mapping[str, Any], work: Work) -> None:
    """Make the images of ``spec["dataset"]`` by its fitted parts."""
    dataset: GeneratedDataset = spec["dataset"]
    shape = tuple(spec["shape"])
    context = Context(
        device=torch.device(work.device),
        seed=spec["seed"],
        shape=shape,
        num_classes=spec["num_classes"],
        precision=spec["precision"],
        progress=work.progress,
    )
    context.parts = restore_parts(dataset, work, context)
    torch.manual_seed(spec["seed"])
    with torch.no_grad():
        found = check_images(dataset.generate(context), dataset.info.name)
    indices = select(len(found), spec["at_most"], spec["seed"])
    np.save(work.draft / "images.npy", to_geometry(found.images[indices], shape))
    np.save(work.draft / "labels.npy", found.labels[indices])
    np.save(work.draft / "indices.npy", indices)
    work.draft.meta.update(
        shape=list(shape), num_classes=spec["num_classes"], count=len(indices), note=found.note
    )
