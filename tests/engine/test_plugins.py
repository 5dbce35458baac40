"""Plugins are found wherever a job holds them: those that ship, others, and the code of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sample_detectors as sample

from oodbench.engine.plugins import codes_of, third_party_modules, uses_shipped_alone
from oodbench.identity import keys
from oodbench.identity.sourcecode import SourceCode
from oodbench.images.sources import Source
from oodbench.plan.jobs import Job, Ref, Resources
from oodbench.registry.composition import compose
from oodbench_datasets.digits import Digits
from oodbench_posthoc.energy import Energy
from oodbench_posthoc.knn import NearestNeighbours
from oodbench_posthoc.react import RectifiedActivations


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
        ({"detector": compose([RectifiedActivations, Energy])()}, True),
        ({"detector": compose([RectifiedActivations, sample.Confidence])()}, False),
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


@pytest.mark.parametrize(
    ("detector", "is_other"),
    [
        (NearestNeighbours(), True),
        (compose([RectifiedActivations, NearestNeighbours])(), True),
        (sample.Brightness(), False),  # sent along
        (Digits(), False),
    ],
    ids=["plugin", "composition", "third-party", "other-package"],
)
def test_the_code_of_a_job_is_that_of_its_built_in_plugins(
    detector, is_other: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(Ref("score", "key"), "score", {"plugin": detector}, {}, Resources(1, 0.0))
    before, read = codes_of([job]), keys.read_source
    assert codes_of([job]) == before

    def changed(path: Path, *arguments: str) -> SourceCode:
        found = read(path, *arguments)
        is_posthoc = path.parent.name == "oodbench_posthoc"
        return replace(found, digest="changed") if is_posthoc else found

    monkeypatch.setattr(keys, "read_source", changed)
    assert (codes_of([job]) != before) is is_other
