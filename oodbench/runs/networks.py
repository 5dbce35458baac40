"""The artifacts from which the networks of a finished run can be restored.

The keys are noted down, because planning the request again finds them only as long as neither the
code nor the images have changed::

    train_images  the artifact of the prepared ID training images
    test_images   that of the ID test images; older runs have none
    validation_images  that of the validation images, if the benchmark holds some out
    classifiers   [{classifier_seed, artifact}]
    outputs       [{classifier_seed, dataset, split, artifact}], logits and features; the split
                  "rest" are the ID training images that are not "calibration", and
                  "validation" those that were held out
    detectors     [{classifier_seed, detector, seed, artifact, parts}]

An artifact is written as ``stage/key``. ``parts`` is ``{role: {artifact, parts}}``, and so on.
Detectors that learn nothing are not listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from oodbench.errors import FigureUnavailable
from oodbench.plan.jobs import Plan, Predicted, Ref


def list_artifacts(plan: Plan) -> dict[str, Any]:
    """Return what ``run.json`` says of a plan's artifacts, whether or not they were made."""
    outputs = [
        {
            "classifier_seed": predicted.classifier_seed,
            "dataset": predicted.dataset,
            "split": predicted.split,
            "artifact": _written(predicted.extract),
        }
        for predicted in plan.predicted
    ]
    for predicted in plan.predicted:
        if predicted.split == "calibration":
            outputs += _not_scored(predicted, plan)
    calibration = next(each for each in plan.predicted if each.split == "calibration")
    test = next(
        each
        for each in plan.predicted
        if (each.dataset, each.split) == (calibration.dataset, "test")
    )
    validation = {} if plan.validation is None else {"validation_images": _written(plan.validation)}
    return {
        "train_images": _images_of(plan, calibration),
        "test_images": _images_of(plan, test),
        **validation,
        "classifiers": list(_classifiers(plan)),
        "outputs": outputs,
        "detectors": list(_detectors(plan)),
    }


def _images_of(plan: Plan, predicted: Predicted) -> str:
    return _written(plan.jobs[predicted.extract].inputs["images"])


def _not_scored(calibration: Predicted, plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the entries of the ID images that a classifier passed and that are not scored."""
    known = plan.jobs[calibration.extract]
    scored = {each.extract for each in plan.predicted}
    for job in plan.jobs.values():
        if (
            job.ref.stage == known.ref.stage
            and job.ref not in scored
            and job.inputs.get("classifier") == known.inputs.get("classifier")
        ):
            is_rest = job.inputs["images"] == known.inputs["images"]
            yield {
                "classifier_seed": calibration.classifier_seed,
                "dataset": calibration.dataset,
                "split": "rest" if is_rest else "validation",
                "artifact": _written(job.ref),
            }


def _classifiers(plan: Plan) -> Iterator[dict[str, Any]]:
    for predicted in plan.predicted:
        if predicted.split == "calibration":
            trained = plan.jobs[predicted.extract].inputs.get("classifier")
            if trained is None:
                continue  # features and logits came from elsewhere, without a head
            yield {
                "classifier_seed": predicted.classifier_seed,
                "artifact": _written(trained),
            }


def _detectors(plan: Plan) -> Iterator[dict[str, Any]]:
    for scored in plan.scored:
        fit = plan.jobs[scored.score].inputs.get("fit")
        if scored.split == "calibration" and fit is not None:
            yield {
                "classifier_seed": scored.classifier_seed,
                "detector": scored.detector,
                "seed": scored.seed,
                **_fitted(plan, fit),
            }


def _fitted(plan: Plan, ref: Ref) -> dict[str, Any]:
    parts = {
        role.removeprefix("part:"): _fitted(plan, part)
        for role, part in plan.jobs[ref].inputs.items()
        if role.startswith("part:")
    }
    return {"artifact": _written(ref), "parts": parts}


def _written(ref: Ref) -> str:
    return "/".join(ref)


def artifacts_of(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the list in the content of a ``run.json``.

    Raises:
        FigureUnavailable: if an older version of oodbench wrote it.
    """
    if "artifacts" not in info:
        raise FigureUnavailable(
            "run.json does not say where the run's networks are: the run was made of scores, or by "
            "an older oodbench"
        )
    found: Mapping[str, Any] = info["artifacts"]
    return found
