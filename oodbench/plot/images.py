"""The images of a run, found again and verified to be the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from oodbench.contracts import Dataset, GeneratedDataset
from oodbench.errors import OodbenchError
from oodbench.images.geometry import title_in, to_geometry
from oodbench.images.sources import Source, locate
from oodbench.registry.lookup import Registry
from oodbench.report.gallery import Images, Pixels
from oodbench.request.datasets import make_dataset
from oodbench.results.run import Run


def find_images(run: Run, registry: Registry, root: Path) -> dict[str, Images]:
    """Return the test images of a run's data sets, by title.

    Sets are left out that a plugin or the data folder lacks, whose images are generated, or whose
    images are not, by their fingerprint, those of the run.

    Args:
        run: the run.
        registry: the installed plugins.
        root: the data folder; nothing is fetched into it.
    """
    request = run.info["request"]
    known = registry.benchmarks
    benchmark = str(run.info.get("benchmark", ""))
    parameters = dict(known[benchmark].target.parameters) if benchmark in known else {}
    parameters |= request.get("datasets", {})
    try:
        id_dataset = make_dataset(request["id"], registry, parameters)
    except OodbenchError:
        return {}
    prints = request["fingerprints"]
    wanted = {id_dataset.info.label: prints["test"], **prints["ood"]}
    found: dict[str, Images] = {}
    for name in (request["id"], *request["ood"]):
        try:
            dataset = make_dataset(name, registry, parameters).fitted(id_dataset.shape)
            title = title_in(dataset, id_dataset.shape)
            source = _locate(dataset, root)
        except OodbenchError:
            continue
        if source is not None and source.fingerprint == wanted.get(title):
            found[title] = _Loader(source, id_dataset.shape)
    return found


def _locate(dataset: Dataset, root: Path) -> Source | None:
    if isinstance(dataset, GeneratedDataset):
        return None
    return locate(dataset, "test", root, download=False)


class _Loader:
    """A data set that is read when its images are needed, which are fitted to the ID geometry."""

    def __init__(self, source: Source, shape: tuple[int, int, int]) -> None:
        self._source = source
        self._shape = shape
        self._images: Any = None

    def __call__(self, positions: np.ndarray) -> Pixels:
        """Return images, (n, c, h, w) uint8, by their positions (n,)."""
        if self._images is None:
            self._images = self._source.load().images
        return to_geometry(self._images[positions], self._shape)
