"""What a detector makes of the outputs of a classifier's layers, image by image.

Writes ``reduced.npy`` (n, r), of the detector's dtype, and ``positions.npy`` (n,) int64, the
positions within the prepared images. Of no images, r is 0. Notes down ``count``; ``layers``, the
shapes of their outputs by name; ``by_rule``, whether a rule found them; and ``forwarded``: 0 where
another job has passed the images and this one was its companion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodbench.stages import Work
from oodbench.stages.passing import Reduced, pass_images

if TYPE_CHECKING:
    from oodbench.plan.specs import ReduceSpec


def run(spec: ReduceSpec, work: Work) -> None:
    """Reduce the part ``spec["part"]`` of the images, or at most ``spec["at_most"]`` of them.

    Raises:
        PluginError: if there are no layers, or the detector makes anything but finite numbers.
    """
    pass_images(spec, work, Reduced(work.draft, spec["trainable"]), spec["at_most"])
