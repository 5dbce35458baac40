"""The weights that ship fit the images that their benchmarks train on."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import oodbench_weights
from oodbench.identity.half import SUFFIX, widen
from oodbench.identity.pretrained import TRAINED_ON
from oodbench.plan.planning import make_plan
from oodbench.registry.lookup import load_registry
from oodbench.request.options import Options
from oodbench.request.resolution import resolve
from oodbench.stages import Work, prepare
from oodbench.store.artifacts import Store, digest_file

CARDS = {
    folder.name: json.loads((folder / "card.json").read_text())
    for folder in oodbench_weights.oodbench_weights()
}
BENCHMARKS = sorted({card["run"]["benchmark"] for card in CARDS.values()})


def prepared(benchmark: str, folder: Path) -> dict[str, str]:
    """Return the digests of the prepared training images of a benchmark."""
    data = Path(os.environ.get("OODBENCH_DATA", folder))
    options = Options(
        benchmark=benchmark, detectors=["msp"], ood=["uniform"], data=data, download=False
    )
    request = resolve(options, load_registry()).request
    plan = make_plan(request)
    (train,) = {job.inputs["train"] for job in plan.jobs.values() if job.ref.stage == "train"}
    store = Store(folder / "store")
    with store.create(*train) as draft:
        work = Work({}, draft, "cpu", store.checkpoint(*train), lambda *_: None)
        prepare.run(plan.jobs[train].spec, work)
    return dict(store.open(*train).files)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_shipped_weights_were_trained_on_the_images_of_their_benchmark(
    benchmark: str, tmp_path: Path
) -> None:
    if benchmark != "digits" and "OODBENCH_DATA" not in os.environ:
        pytest.skip("there are no images: set OODBENCH_DATA")
    files = prepared(benchmark, tmp_path)
    for name, card in CARDS.items():
        if card["run"]["benchmark"] == benchmark:
            expected = card["origin"]["inputs"]["train"]
            assert {file: files[file] for file in expected} == expected, name


def adopted(name: str, folder: Path) -> dict[str, str]:
    """Return the digests of the files that a run gets, in 32 bits of those that ship in 16."""
    card = CARDS[name]
    if not card.get("half"):
        return dict(card["files"])
    digests = {}
    for file in card["files"]:
        copy = widen if file.endswith(SUFFIX) else shutil.copyfile
        copy(Path(oodbench_weights.FOLDER) / name / file, folder / file)
        digests[file] = digest_file(folder / file)
    return digests


def test_shipped_weights_were_trained_on_each_other(tmp_path: Path) -> None:
    files = [adopted(name, tmp_path) for name in CARDS]
    for name, card in CARDS.items():
        for role, expected in card["origin"]["inputs"].items():
            assert role.startswith(TRAINED_ON)
            if role == "classifier" or role.startswith("part:"):
                assert expected in files, f"{name}: its {role} does not ship"
