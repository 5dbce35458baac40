"""The data sets of OpenOOD v1.5's benchmarks, read by its image lists, and its networks.

Zhang et al., "OpenOOD v1.5: Enhanced Benchmark for Out-of-Distribution Detection", DMLR 2024,
https://arxiv.org/abs/2306.09301.
"""

from __future__ import annotations

from oodbench.contracts import Classifier, Dataset, hookimpl
from oodbench_openood.large import (
    INaturalist,
    LargeTextures,
    Ninco,
    OpenImageO,
    OpenOodImageNet,
    OpenOodImageNet200,
    OpenOodImageNet200Validation,
    OpenOodImageNetValidation,
    SsbHard,
)
from oodbench_openood.places import Places365
from oodbench_openood.published import OpenOOD, PytorchOOD
from oodbench_openood.small import (
    OpenOodCifar10,
    OpenOodCifar10Validation,
    OpenOodCifar100,
    OpenOodCifar100Validation,
    OpenOodMnist,
    OpenOodPlaces365,
    OpenOodSvhn,
    OpenOodTextures,
    OpenOodTinyImageNet,
)


@hookimpl
def oodbench_datasets() -> tuple[type[Dataset], ...]:
    """Return every data set class of this package."""
    return (
        Places365,
        OpenOodCifar10,
        OpenOodCifar10Validation,
        OpenOodCifar100,
        OpenOodCifar100Validation,
        OpenOodTinyImageNet,
        OpenOodMnist,
        OpenOodSvhn,
        OpenOodTextures,
        OpenOodPlaces365,
        OpenOodImageNet,
        OpenOodImageNetValidation,
        OpenOodImageNet200,
        OpenOodImageNet200Validation,
        SsbHard,
        Ninco,
        INaturalist,
        LargeTextures,
        OpenImageO,
    )


@hookimpl
def oodbench_classifiers() -> list[type[Classifier]]:
    """Return the networks whose published weights can be loaded."""
    return [OpenOOD, PytorchOOD]
