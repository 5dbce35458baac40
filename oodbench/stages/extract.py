"""The forward pass: images pass through a classifier once, for all detectors.

Writes ``logits.npy`` (n, k) and ``features.npy`` (n, d), both float32; ``positions.npy`` (n,)
int64, the positions within the prepared images; and of these ``labels.npy`` and ``indices.npy``.
Of no images, d and k are 0. Notes down ``count``, the number of images; ``forwarded``, how many
passed through the classifier; and the data set's ``note``. The backbone runs in the precision of
the run, the head always in float32: logits of lower precision tie by the thousand. Outputs that
are not finite are the classifier's fault, and an error here: no detector could make sense of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.lib.format import open_memmap

from oodbench.stages import Work
from oodbench.stages.finite import images_not_finite, refuse_outputs
from oodbench.stages.modules import autocast, load_classifier
from oodbench.stages.selection import positions_of

if TYPE_CHECKING:
    from oodbench.plan.specs import ExtractSpec


def run(spec: ExtractSpec, work: Work) -> None:
    """Pass the part ``spec["part"]`` of the images through ``spec["classifier"]``.

    Raises:
        PluginError: if features or logits are NaN or infinite.
    """
    module = load_classifier(spec["classifier"], work.inputs["classifier"], work.device)
    images = np.load(work.inputs["images"] / "images.npy", mmap_mode="r")
    positions = positions_of(spec["part"], len(images), spec["count"], spec["selection_seed"])
    files: dict[str, np.memmap] = {}
    forwarded, bad = 0, torch.zeros((), dtype=torch.int64, device=work.device)
    with torch.inference_mode():
        for start in range(0, len(positions), spec["batch_size"]):
            chosen = positions[start : start + spec["batch_size"]]
            batch = torch.from_numpy(images[chosen]).to(work.device).float().div_(255)
            batch = batch.contiguous(memory_format=torch.channels_last)
            with autocast(work.device, spec["precision"]):
                found = module.features(batch)  # type: ignore[operator]
            forwarded += len(batch)
            features = found.float()
            logits = module.head(features)  # type: ignore[operator]
            bad += images_not_finite(features, logits)
            for name, rows in (("features", features), ("logits", logits)):
                if start == 0:
                    shape = (len(positions), rows.shape[1])
                    files[name] = open_memmap(work.draft / f"{name}.npy", "w+", np.float32, shape)
                files[name][start : start + len(rows)] = rows.cpu().numpy()
            work.progress(start + len(chosen), len(positions))
    refuse_outputs(int(bad), forwarded, spec["classifier"].full_name)
    for name in ("features", "logits"):
        if name in files:
            files[name].flush()
        else:
            np.save(work.draft / f"{name}.npy", np.empty((0, 0), np.float32))
    np.save(work.draft / "positions.npy", positions)
    for name in ("labels.npy", "indices.npy"):
        np.save(work.draft / name, np.load(work.inputs["images"] / name)[positions])
    note = work.inputs["images"].meta["note"]
    work.draft.meta.update(count=len(positions), forwarded=forwarded, note=note)
