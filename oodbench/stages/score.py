"""The scores of images by a detector.

Writes ``scores.npy`` (n,), as computed, float32 or wider, and ``indices.npy`` (n,) int64, the
positions in the data set; notes down ``score_seconds``, ``fit_seconds`` and ``forwarded``, the
images that the detector itself passed through the classifier.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from oodbench.contracts import Batch, Detector, PluginError
from oodbench.stages import Work
from oodbench.stages.fit import make_context, restore
from oodbench.stages.forwards import Forwards
from oodbench.stages.selection import positions_of
from oodbench.stages.stream import scoring_stream

if TYPE_CHECKING:
    from oodbench.plan.specs import ScoreSpec


def run(spec: ScoreSpec, work: Work) -> None:
    """Score the part ``spec["part"]`` of the images by ``spec["detector"]``."""
    detector: Detector = spec["detector"]
    stream = scoring_stream(spec, work.inputs, detector.needs, work.device)
    fitted = work.inputs.get("fit")
    context = make_context(spec, work, stream.shape, stream.num_classes)
    forwards = Forwards(context._classifier)
    if fitted is not None:
        detector = restore(detector, fitted, context)
    torch.manual_seed(spec["seed"])  # for detectors that draw while they score
    scores = torch.empty(len(stream))  # a tensor for each batch would leave gaps in the memory
    seconds, done = 0.0, 0
    with torch.no_grad():
        for batch in stream:
            started = time.perf_counter()
            found = checked(detector.score(batch), batch)
            if found.dtype != scores.dtype:  # they are as wide as the widest
                scores = scores.double()
            scores[done : done + len(batch)] = found
            seconds += time.perf_counter() - started
            done += len(batch)
            work.progress(done, len(stream))
    indices = np.load(work.inputs["images"] / "indices.npy")
    chosen = positions_of(spec["part"], len(indices), spec["count"], spec["selection_seed"])
    np.save(work.draft / "scores.npy", scores.numpy())
    np.save(work.draft / "indices.npy", indices[chosen])
    work.draft.meta.update(
        score_seconds=seconds,
        fit_seconds=0.0 if fitted is None else fitted.meta["fit_seconds"],
        forwarded=forwards.images,
    )


def checked(scores: Tensor, batch: Batch) -> Tensor:
    """Return a copy of a detector's scores, in float32 or wider.

    It is a copy because a detector may fill the same tensor again for the next batch.

    Raises:
        PluginError: if they are not one finite number an image.
    """
    if not isinstance(scores, torch.Tensor):
        raise PluginError(f"score() returned a {type(scores).__name__}, not a tensor")
    if scores.shape != (len(batch),):
        raise PluginError(
            f"score() returned shape {tuple(scores.shape)} for {len(batch)} images, "
            f"not ({len(batch)},)"
        )
    if not scores.is_floating_point():
        raise PluginError(f"score() returned {scores.dtype}, not floating point")
    bad = int((~torch.isfinite(scores)).sum())
    if bad:
        raise PluginError(f"score() returned {bad} scores of {len(batch)} that are NaN or infinite")
    wide = torch.float64 if scores.dtype == torch.float64 else torch.float32
    return scores.detach().to(wide, copy=True)
