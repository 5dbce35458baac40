"""The forward pass: images pass through a classifier once, for all detectors.

Writes ``logits.npy`` (n, k) and ``features.npy`` (n, d), both float32; ``positions.npy`` (n,)
int64, the positions within the prepared images; and of these ``labels.npy`` and ``indices.npy``.
Of no images, d and k are 0. Notes down ``count``, the number of images; ``forwarded``, how many
passed through the classifier; and the data set's ``note``. The backbone runs in the precision of
the run, the head always in float32: logits of lower precision tie by the thousand. Outputs that
are not finite are the classifier's fault, and an error here: no detector could make sense of them.

What detectors make of the outputs of layers is kept in the same pass, by the companions of a job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from oodbench.stages import Work
from oodbench.stages.finite import refuse_outputs
from oodbench.stages.passing import Outputs, pass_images

if TYPE_CHECKING:
    from oodbench.plan.specs import ExtractSpec


def run(spec: ExtractSpec, work: Work) -> None:
    """Pass the part ``spec["part"]`` of the images through ``spec["classifier"]``.

    Raises:
        PluginError: if features or logits are NaN or infinite.
    """
    outputs = Outputs(work.draft)
    pass_images(spec, work, outputs)
    refuse_outputs(int(outputs.bad), work.draft.meta["count"], spec["classifier"].full_name)
    images, positions = work.inputs["images"], np.load(work.draft / "positions.npy")
    for name in ("labels.npy", "indices.npy"):
        np.save(work.draft / name, np.load(images / name)[positions])
    work.draft.meta["note"] = images.meta["note"]
