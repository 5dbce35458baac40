"""Jobs of plugins that ship run in this process, and others apart, wherever the plugin is held."""

from __future__ import annotations

from pathlib import Path

import pytest
import sample_detectors as sample

from oodbench.engine.plugins import third_party_modules, uses_shipped_alone
from oodbench.images.sources import Source
from oodbench.plan.jobs import Job, Ref, Resources
from oodbench_datasets.digits import Digits
from oodbench_posthoc.energy import Energy


class Images(Digits):
    info = sample.info("images")


def source(dataset) -> Source:
    return Source(dataset, "test", Path(), None, "")


@pytest.mark.parametrize(
    ("spec", "shipped"),
    [
        ({"detector": Energy(), "seed": 0}, True),
        ({"detector": sample.Brightness(), "classifier": None}, False),
        ({"trainable": sample.Generator()}, False),
        ({"source": source(Digits())}, True),
        ({"source": source(Images())}, False),
        ({"detectors": {"energy": Energy(), "brightness": sample.Brightness()}}, False),
        ({"detectors": [Energy()]}, True),
    ],
)
def test_plugins_are_told_apart_by_their_distribution(spec, shipped: bool) -> None:
    job = Job(Ref("score", "key"), "score", spec, {}, Resources(1, 0.0))
    assert uses_shipped_alone(job) is shipped


def test_a_third_party_companion_takes_the_pass_into_another_process() -> None:
    spec = {"trainable": sample.LayerMeans()}
    companion = Job(Ref("reduce", "key"), "reduce", spec, {}, Resources(1, 0.0))
    job = Job(Ref("extract", "key"), "extract", {}, {}, Resources(1, 0.0), companions=(companion,))
    assert not uses_shipped_alone(job)


def test_the_modules_of_third_party_plugins_are_those_to_send_along() -> None:
    specs = [
        {"detectors": [Energy()], "source": source(Digits())},
        {"trainable": sample.Generator()},
        {"detector": sample.Brightness()},
    ]
    jobs = [Job(Ref("fit", "key"), "fit", spec, {}, Resources(1, 0.0)) for spec in specs]
    assert third_party_modules(jobs) == [sample]
    assert third_party_modules(jobs[:1]) == []
