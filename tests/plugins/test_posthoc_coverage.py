"""Every detector of pytorch-ood is there, or it is said why not."""

import inspect
from urllib.parse import urlsplit

import pytest
import pytorch_ood.api
import pytorch_ood.detector

from oodbench_posthoc import ABSENT, oodbench_detectors

ADAPTERS = {
    detector.original: detector for detector in oodbench_detectors() if "original" in vars(detector)
}

ABSENT_CLASSES = {
    "MCM": "mcm",
    "WeightedEBO": "webo",
}


def originals():
    found = {name: getattr(pytorch_ood.detector, name) for name in pytorch_ood.detector.__all__}
    return {name: cls for name, cls in found.items() if inspect.isclass(cls)}


def test_every_detector_of_pytorch_ood_is_accounted_for():
    assert ADAPTERS.keys() | ABSENT_CLASSES.keys() == originals().keys()
    assert set(ABSENT_CLASSES.values()) == ABSENT.keys()


def test_no_name_is_both_there_and_absent():
    assert not ABSENT.keys() & {adapter.info.name for adapter in ADAPTERS.values()}


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_paper_is_the_one_that_pytorch_ood_names(name):
    theirs = originals()[name].info.paper
    ours = ADAPTERS[name].info.paper
    if theirs is None:
        assert ours is None
    else:
        assert ours.title.casefold() == theirs.title.casefold()
        assert ours.year == theirs.year
        assert theirs.venue in (ours.venue, "arXiv")
        if urlsplit(ours.url).netloc == urlsplit(theirs.url).netloc:
            assert identifier(ours.url) == identifier(theirs.url)


def identifier(url):
    """Return what tells a paper from others in the addresses of one site."""
    return url.removesuffix(".pdf").rpartition("/")[2].rpartition("=")[2].partition("v2")[0]
