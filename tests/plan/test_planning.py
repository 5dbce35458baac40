"""A plan is a pure function of the request, and shares whatever can be shared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sample_detectors import (
    Brightness,
    Confidence,
    Distance,
    Drawn,
    FirstOfTwo,
    Generator,
    LayerMeans,
    SecondOfTwo,
)

from oodbench.contracts import Classifier, Dataset, Detector, GeneratedDataset, Info, Need, Recipe
from oodbench.images.sources import Source
from oodbench.plan.jobs import Plan, Ref, Resources
from oodbench.plan.planning import _Planner, make_plan
from oodbench.request.request import Request


class Images(Dataset):
    """A data set that is planned for and never read."""

    shape = (1, 8, 8)
    num_classes = 10

    def __init__(self, *, name: str) -> None:
        self.name = name
        self.info = Info(name=name, summary="")

    def load(self, root, split):
        raise NotImplementedError


class Network(Classifier):
    info = Info(name="network", summary="")

    def __init__(self, *, width: int = 1) -> None:
        self.width = width

    @property
    def recipe(self):
        return Recipe(epochs=1)

    def build(self, shape, num_classes):
        raise NotImplementedError


def source(name: str, split: str = "test", root: str = "data") -> Source:
    return Source(Images(name=name), split, Path(root), None, f"{name}-{split}")


REQUEST = Request(
    train=source("id", "train"),
    test=source("id"),
    ood=[source("far"), source("near")],
    classifier=Network(),
    detectors={"brightness": Brightness(), "confidence": Confidence()},
    cpus=2,
)


def plan(**changes: object) -> Plan:
    return make_plan(dataclasses.replace(REQUEST, **changes))


def titles(made: Plan, stage: str) -> list[str]:
    """Return the titles of the jobs of one kind that have to be run."""
    refs = made.needed()
    return [job.title for ref, job in made.jobs.items() if ref in refs and ref.stage == stage]


def keys(made: Plan, *stages: str) -> set[Ref]:
    return {ref for ref in made.needed() if ref.stage in stages}


def test_a_plan_is_the_same_every_time() -> None:
    assert list(plan().jobs) == list(plan().jobs)
    assert plan().rows == plan().rows


def test_planning_reads_no_images_and_builds_no_network() -> None:
    assert len(plan().jobs) > 10  # `Images` and `Network` raise if they are used


def test_inputs_come_before_the_jobs_that_need_them() -> None:
    made = plan(detectors={"two": FirstOfTwo(), "drawn": Drawn()}, seeds=(0, 1))
    order = {ref: number for number, ref in enumerate(made.jobs)}
    for ref, job in made.jobs.items():
        assert all(order[given] < order[ref] for given in job.inputs.values())


def test_rows_are_the_id_set_and_each_ood_set_for_every_detector() -> None:
    rows = [(row.detector, row.ood_dataset) for row in plan().rows]
    assert rows == [
        (detector, ood) for detector in ("brightness", "confidence") for ood in ("", "far", "near")
    ]


@pytest.mark.parametrize("name", ["train", "test"])
def test_an_ood_set_may_be_called_as_a_split_is(name: str) -> None:
    made = plan(ood=[source(name)])
    images = {job.title: ref for ref, job in made.jobs.items() if ref.stage == "prepare"}
    scored = {(each.dataset, each.split): made.jobs[each.score] for each in made.scored}
    assert scored["id", "test"].inputs["images"] == images["prepare id (test)"]
    assert scored["id", "calibration"].inputs["images"] == images["prepare id (train)"]
    assert scored[name, "test"].inputs["images"] == images[f"prepare {name} (test)"]
    assert [row.ood_dataset for row in made.rows if row.detector == "brightness"] == ["", name]


def test_each_training_of_a_detector_has_one_probe_over_all_sets() -> None:
    made = plan(detectors={"brightness": Brightness(), "drawn": Drawn()}, seeds=(0, 1))
    assert titles(made, "probe") == [
        "score images of all sets again by brightness",
        "score images of all sets again by drawn (seed 0)",
        "score images of all sets again by drawn (seed 1)",
    ]
    assert {row.probe for row in made.rows} == {each.probe for each in made.scored}
    for probe in {row.probe for row in made.rows}:
        inputs = made.jobs[probe].inputs
        scores = [ref for role, ref in inputs.items() if role.startswith("scores:")]
        assert scores == [each.score for each in made.scored if each.probe == probe]


def test_a_probe_does_without_an_ood_set_that_cannot_be_scored_but_not_without_the_id_set() -> None:
    made = plan(detectors={"confidence": Confidence()})
    (probe,) = {row.probe for row in made.rows}
    job = made.jobs[probe]
    required = {job.inputs[role] for role in job.inputs.keys() - job.optional}
    scores = {(each.dataset, each.split): each.score for each in made.scored}
    needed = {scores["id", "test"], scores["id", "calibration"]}
    assert {ref for ref in required if ref.stage == "score"} == needed


def test_id_test_images_are_passed_once_for_all_detectors_and_ood_sets() -> None:
    made = plan(detectors={"a": Confidence(), "b": Confidence(), "c": Distance()})
    assert titles(made, "extract") == [
        "forward pass over id",
        "forward pass over far",
        "forward pass over near",
        "forward pass over id (calibration)",
        "forward pass over id (rest)",
    ]


def test_detectors_that_learn_nothing_need_no_pass_over_the_training_images() -> None:
    assert titles(plan(), "extract") == [
        "forward pass over id",
        "forward pass over far",
        "forward pass over near",
        "forward pass over id (calibration)",
    ]
    assert titles(plan(), "fit") == []


def test_another_detector_leaves_the_other_jobs_as_they_were() -> None:
    more = plan(detectors={"drawn": Drawn(), **REQUEST.detectors, "two": FirstOfTwo()})
    assert plan().needed() < more.needed()
    for ref in plan().needed():
        assert plan().jobs[ref] == more.jobs[ref]


def test_another_ood_set_leaves_the_other_jobs_as_they_were() -> None:
    before, after = plan(), plan(ood=[source("new"), *REQUEST.ood])
    assert {ref for ref in before.needed() if ref.stage != "probe"} < after.needed()
    assert keys(before, "probe").isdisjoint(keys(after, "probe"))  # of images of all sets


def test_more_seeds_leave_the_other_jobs_as_they_were() -> None:
    detectors = {"drawn": Drawn(), **REQUEST.detectors}
    few = plan(detectors=detectors)
    more = plan(detectors=detectors, seeds=(3, 0), classifier_seeds=(1, 0))
    assert few.needed() < more.needed()


def test_what_draws_nothing_is_planned_once_for_all_seeds() -> None:
    made = plan(detectors={"distance": Distance(), "drawn": Drawn()}, seeds=(0, 3, 7))
    assert titles(made, "fit") == [
        "fit distance",
        "fit drawn (seed 0)",
        "fit drawn (seed 3)",
        "fit drawn (seed 7)",
    ]
    seeds = {(row.detector, row.seed) for row in made.rows}
    assert seeds == {("distance", None), ("drawn", 0), ("drawn", 3), ("drawn", 7)}


def test_a_part_that_detectors_share_is_planned_once_whatever_the_seed() -> None:
    detectors = {"one": FirstOfTwo(), "two": SecondOfTwo()}
    made = plan(detectors=detectors, seeds=(0, 1))
    fits = [job for job in made.jobs.values() if job.ref.stage == "fit"]
    parts = [job for job in fits if isinstance(job.spec["trainable"], Generator)]
    assert len(parts) == 1
    assert len(fits) == 5
    assert parts[0].ref in {ref for job in fits for ref in job.inputs.values()}


class Made(GeneratedDataset):
    info = Info(name="made", summary="")

    def parts(self):
        return {"generator": Generator()}

    def generate(self, context):
        raise NotImplementedError


def with_made_images(**changes: object) -> Plan:
    made = Source(Made(), "test", Path(), None, "made")
    return plan(ood=[made, source("far")], **changes)


def test_a_generated_set_is_made_by_the_part_that_detectors_share() -> None:
    made = with_made_images(detectors={"one": FirstOfTwo()}, seeds=(0, 1))
    assert titles(made, "generate") == ["make made"]
    fits = [job for job in made.jobs.values() if job.ref.stage == "fit"]
    assert sum(isinstance(job.spec["trainable"], Generator) for job in fits) == 1
    assert "score made by one (seed 1)" in titles(made, "score")
    assert [row.ood_dataset for row in made.rows][:3] == ["", "made", "far"]


def test_a_generated_set_is_made_for_each_classifier() -> None:
    made = with_made_images(classifier_seeds=(0, 1))
    rows = {row.classifier_seed: row for row in made.rows if row.ood_dataset == "made"}
    assert set(rows) == {0, 1}
    assert len(titles(made, "extract")) == 2 * 4


class OnAnother(Detector):
    """Asks for another detector as its part."""

    info = Info(name="on-another", summary="")
    needs = Drawn.needs
    stochastic = True

    def parts(self):
        return {"drawn": Drawn()}

    def fit(self, train, context):
        raise NotImplementedError

    def score(self, batch):
        raise NotImplementedError


def test_a_part_that_is_a_detector_draws_with_the_same_seed() -> None:
    made = plan(detectors={"drawn": Drawn(), "on": OnAnother()}, seeds=(0, 4))
    fits = {job.title: job for job in made.jobs.values() if job.ref.stage == "fit"}
    assert fits["fit on (seed 4)"].inputs["part:drawn"] == fits["fit drawn (seed 4)"].ref
    assert len(fits) == 4


class Exposed(Drawn):
    """Learns from another set as well."""

    def auxiliary(self):
        return "others"


def test_auxiliary_images_are_prepared_for_the_fit_alone() -> None:
    others = {"others": source("others", "train")}
    made = plan(detectors={"exposed": Exposed()}, auxiliary=others)
    (fit,) = [job for job in made.jobs.values() if job.ref.stage == "fit"]
    assert made.jobs[fit.inputs["auxiliary"]].title == "prepare others (train)"
    assert "forward pass over others" not in titles(made, "extract")


class Validated(Distance):
    """Is fitted on validation images too."""

    fit_needs = frozenset({Need.FEATURES, Need.VALIDATION})


def with_validation_images(at_most: int = 10, **changes: object) -> Plan:
    train, validation = source("id", "train").shared(at_most, 0)
    return plan(**{"train": train, "validation": validation, **changes})


def test_validation_images_are_prepared_always_and_passed_for_the_fits_that_ask_for_them() -> None:
    made = with_validation_images(detectors={"validated": Validated(), "distance": Distance()})
    fits = {job.title: job for job in made.jobs.values() if job.ref.stage == "fit"}
    validated = fits["fit validated"].inputs
    assert made.jobs[validated["validation"]].title == "prepare id (validation)"
    assert made.jobs[validated["extract"]].title == "forward pass over id (validation)"
    assert fits["fit distance"].inputs.items() < validated.items()
    assert "id" not in {each.dataset for each in made.scored if each.split == "validation"}
    unasked = with_validation_images()
    assert "prepare id (validation)" in titles(unasked, "prepare")
    assert "forward pass over id (validation)" not in titles(unasked, "extract")


class ValidatedAlone(Distance):
    """Is fitted on validation images and nothing else."""

    fit_needs = frozenset({Need.VALIDATION})


def test_a_fit_on_validation_images_alone_passes_no_training_image() -> None:
    made = with_validation_images(detectors={"validated": ValidatedAlone()})
    assert "forward pass over id (validation)" in titles(made, "extract")
    assert "forward pass over id (rest)" not in titles(made, "extract")


def test_the_classifier_is_trained_on_the_images_that_detectors_are_fitted_on() -> None:
    made = with_validation_images(detectors={"distance": Distance()})
    trained, fitted = (
        {job.inputs["train"] for job in made.jobs.values() if job.ref.stage == stage}
        for stage in ("train", "fit")
    )
    assert trained == fitted
    assert made.jobs[trained.pop()].spec["source"].share.is_validation is False


def test_another_number_of_validation_images_changes_every_training_and_fit() -> None:
    detectors = {"validated": Validated(), "distance": Distance()}
    found = [
        keys(made, "train", "fit")
        for made in (
            plan(detectors={"distance": Distance()}),
            with_validation_images(10, detectors=detectors),
            with_validation_images(11, detectors=detectors),
        )
    ]
    assert all(one.isdisjoint(other) for one in found for other in found if one is not other)


def test_each_classifier_seed_has_its_own_rows_and_jobs() -> None:
    made = plan(classifier_seeds=(0, 5))
    assert titles(made, "train") == ["train network (seed 0)", "train network (seed 5)"]
    assert [row.classifier_seed for row in made.rows] == [0] * 6 + [5] * 6
    assert len(keys(made, "prepare")) == 4
    assert len(keys(made, "score")) == 4 + 2 * 4  # brightness does not see the classifier


@pytest.mark.parametrize(
    ("changes", "unchanged"),
    [
        ({"classifier": Network(width=2)}, {"prepare"}),
        ({"classifier_seeds": (1,)}, {"prepare"}),
        ({"precision": "bfloat16"}, {"prepare"}),
        ({"selection_seed": 1}, set()),
        ({"images_per_set": 9}, {"train"}),
        ({"calibration_images": 9}, {"prepare", "train"}),
        ({"batch_size": 9}, {"prepare", "train", "fit"}),
        ({"seeds": (1,)}, {"prepare", "train", "extract"}),
        (
            {"detectors": {"drawn": Drawn(), "bright": Brightness(scale=2)}},
            {"prepare", "train", "extract"},
        ),
    ],
)
def test_what_changes_results_changes_keys(changes: dict, unchanged: set[str]) -> None:
    detectors = {"drawn": Drawn(), "bright": Brightness()}
    before, after = plan(detectors=detectors), plan(**{"detectors": detectors, **changes})
    for stage in ("prepare", "train", "extract", "score", "evaluate"):
        if stage in unchanged:
            assert keys(before, stage) == keys(after, stage), stage
        else:
            assert keys(before, stage) != keys(after, stage), stage


def test_other_data_change_every_key_that_depends_on_them() -> None:
    after = plan(ood=[source("far"), dataclasses.replace(source("near"), fingerprint="new")])
    changed = [job.title for ref, job in after.jobs.items() if ref not in plan().jobs]
    assert changed == [
        "prepare near (test)",
        "forward pass over near",
        "score near by brightness",
        "score images of all sets again by brightness",
        "evaluate brightness on near",
        "score near by confidence",
        "score images of all sets again by confidence",
        "evaluate confidence on near",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"train": source("id", "train", root="elsewhere")},
        {"ood": [dataclasses.replace(each, root=Path("elsewhere")) for each in REQUEST.ood]},
        {"detectors": {"mine": Brightness(), "yours": Confidence()}},
        {"cpus": 64},
        {"gpus": 4},
    ],
)
def test_names_places_and_hardware_are_no_part_of_keys(changes: dict) -> None:
    assert plan(**changes).needed() == plan().needed()


def test_the_resources_of_a_job_do_not_depend_on_what_else_is_planned() -> None:
    one = plan(detectors={"drawn": Drawn(), "two": FirstOfTwo()})
    many = plan(
        detectors={"drawn": Drawn(), "two": FirstOfTwo(), **REQUEST.detectors},
        seeds=tuple(range(9)),
        classifier_seeds=(0, 1),
    )
    for ref in one.needed():
        assert one.jobs[ref].resources == many.jobs[ref].resources


@pytest.mark.parametrize(
    ("cpus", "gpus", "heavy", "light"),
    [
        (1, 0, Resources(4, 0.0), Resources(1, 0.0)),
        (64, 0, Resources(4, 0.0), Resources(1, 0.0)),
        (64, 8, Resources(4, 1.0), Resources(1, 0.25)),
    ],
)
def test_passing_over_images_uses_several_cpus_and_a_fit_one(cpus, gpus, heavy, light) -> None:
    made = plan(cpus=cpus, gpus=gpus, detectors={"two": FirstOfTwo()})
    found = {job.title: job.resources for job in made.jobs.values()}
    assert found["train network (seed 0)"] == heavy
    assert found["forward pass over far"] == heavy
    assert found["fit generator of two (seed 0)"] == heavy
    assert found["fit two (seed 0)"] == light
    assert found["score far by two (seed 0)"] == Resources(heavy.cpus, light.gpus)
    assert found["evaluate two on far"] == Resources(1, 0.0)


def test_what_detectors_make_of_layers_is_kept_in_the_pass_that_yields_logits() -> None:
    made = plan(detectors={"means": LayerMeans(), "confidence": Confidence()})
    of_title = {job.title: job.passes for job in made.jobs.values()}
    for images in ("id", "far", "near", "id (calibration)", "id (rest)"):
        assert of_title[f"reduce layers of {images} for means"]
        assert (
            of_title[f"reduce layers of {images} for means"]
            == of_title[f"forward pass over {images}"]
        )
    assert len({each for each in of_title.values() if each}) == 5
    assert keys(plan(), "extract", "evaluate") <= keys(made, "extract") | keys(plan(), "evaluate")


def test_a_fit_on_fewer_images_passes_no_others() -> None:
    made = plan(detectors={"means": LayerMeans(images=100), "distance": Distance()})
    of_title = {job.title: job for job in made.jobs.values()}
    fit = of_title["fit means"]
    assert set(fit.inputs) == {"train", "reduced:fit"}
    drawn = made.jobs[fit.inputs["reduced:fit"]]
    assert drawn.title == "reduce layers of 100 id images for means"
    assert drawn.passes not in {job.passes for job in made.jobs.values() if job is not drawn}


def test_parameters_that_do_not_matter_to_a_reduction_are_no_part_of_its_key() -> None:
    one = plan(detectors={"means": LayerMeans()})
    other = plan(detectors={"means": LayerMeans(sign=-1.0)})
    third = plan(detectors={"means": LayerMeans(scale=2.0)})
    assert keys(one, "reduce") == keys(other, "reduce")
    assert keys(one, "score").isdisjoint(keys(other, "score"))
    assert keys(one, "reduce").isdisjoint(keys(third, "reduce"))


@pytest.mark.parametrize("changed", ["split", "fingerprint"])
def test_a_source_identifies_itself_in_the_key_of_its_job(changed: str) -> None:
    other = dataclasses.replace(source("far"), **{changed: "another"})
    titles = {job.title: ref for ref, job in plan(ood=[other]).jobs.items()}
    assert titles[f"prepare far ({other.split})"] not in plan().jobs


def test_every_value_of_a_spec_counts_in_the_key_of_its_job() -> None:
    planner = _Planner(REQUEST)
    for job in list(planner.plan.jobs.values()):
        for name in job.spec:
            spec = {**job.spec, name: "another"}
            ref = planner._add(job.ref.stage, job.title, spec, job.inputs, job.resources)
            assert ref != job.ref, (job.ref.stage, name)
