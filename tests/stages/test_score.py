"""Every image gets one finite score, and the detector sees no labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sample_detectors import (
    Brightness,
    Confidence,
    Distance,
    RaisesInScore,
    ReturnsIntegers,
    ReturnsList,
    ReturnsNan,
    ReturnsWrongShape,
    UsesUndeclared,
)
from stagework import Bench, TwoClasses, array, tensors

from oodbench.contracts import PluginError


def test_scores_are_in_the_order_of_the_images(bench: Bench, test) -> None:
    made = bench.score(Brightness(), images=test)
    expected = array(test, "images").mean((1, 2, 3)) / 255
    np.testing.assert_allclose(array(made, "scores"), expected, rtol=1e-5)
    np.testing.assert_array_equal(array(made, "indices"), np.arange(60))
    assert array(made, "scores").dtype == np.float32
    assert made.meta["fit_seconds"] == 0
    assert made.meta["score_seconds"] > 0


def test_calibration_images_are_those_that_were_extracted(bench: Bench, train, trained) -> None:
    extracted = bench.extract(train, trained, "calibration")
    made = bench.score(Confidence(), "calibration", images=train, extract=extracted)
    np.testing.assert_array_equal(array(made, "indices"), array(extracted, "indices"))
    np.testing.assert_allclose(array(made, "scores"), -array(extracted, "logits").max(1))


def test_indices_are_positions_in_the_data_set(bench: Bench) -> None:
    images = bench.prepare(TwoClasses(), at_most=10)
    made = bench.score(Brightness(), images=images)
    np.testing.assert_array_equal(array(made, "indices"), array(images, "indices"))


def test_what_was_learned_is_used_and_its_time_noted(bench: Bench, train, test, trained) -> None:
    parts = {part: bench.extract(train, trained, part) for part in ("calibration", "rest")}
    fitted = bench.fit(Distance(), train=train, **parts)
    extracted = bench.extract(test, trained)
    made = bench.score(Distance(), images=test, extract=extracted, fit=fitted)
    mean = tensors(fitted, "state")["mean_"].numpy()
    expected = np.linalg.norm(array(extracted, "features") - mean, axis=1)
    np.testing.assert_allclose(array(made, "scores"), expected, rtol=1e-5)
    assert made.meta["fit_seconds"] == fitted.meta["fit_seconds"] > 0


def test_a_detector_may_come_back_as_another_object(bench: Bench, train, test, trained) -> None:
    class Reborn(Distance):
        def restore(self, state, context):
            return Distance().restore(state, context)

    parts = {part: bench.extract(train, trained, part) for part in ("calibration", "rest")}
    fitted = bench.fit(Distance(), train=train, **parts)
    extracted = bench.extract(test, trained)
    made = bench.score(Reborn(), images=test, extract=extracted, fit=fitted)
    same = bench.score(Distance(), images=test, extract=extracted, fit=fitted)
    np.testing.assert_array_equal(array(made, "scores"), array(same, "scores"))


def test_the_detector_sees_no_labels(bench: Bench, test) -> None:
    class Cheats(Brightness):
        def score(self, batch):
            return batch.labels.float()

    assert set(array(bench.score(Cheats(), images=test), "scores")) == {-1}


@pytest.mark.parametrize(
    ("made", "kept"),
    [(torch.bfloat16, np.float32), (torch.float32, np.float32), (torch.float64, np.float64)],
)
def test_scores_are_kept_in_float32_or_wider(bench: Bench, test, made, kept) -> None:
    class Typed(Brightness):
        def score(self, batch):
            return super().score(batch).to(made)

    assert array(bench.score(Typed(), images=test), "scores").dtype == kept


def test_progress_counts_images(bench: Bench, test) -> None:
    bench.score(Brightness(), images=test)
    assert [(done, total) for done, total, _ in bench.reports] == [
        (16, 60),
        (32, 60),
        (48, 60),
        (60, 60),
    ]


@pytest.mark.parametrize(
    ("detector", "complaint"),
    [
        (ReturnsNan(), "returned 1 scores of 16 that are NaN or infinite"),
        (ReturnsWrongShape(), r"returned shape \(16, 1\) for 16 images, not \(16,\)"),
        (ReturnsIntegers(), r"returned torch\.int64, not floating point"),
        (ReturnsList(), "returned a list, not a tensor"),
        (UsesUndeclared(), r"uses batch\.logits but does not declare Need\.LOGITS"),
    ],
)
def test_what_is_no_score_is_the_plugins_error(bench: Bench, test, detector, complaint) -> None:
    with pytest.raises(PluginError, match=complaint):
        bench.score(detector, images=test)


def test_what_a_detector_raises_is_passed_on(bench: Bench, test) -> None:
    with pytest.raises(KeyError, match="missing"):
        bench.score(RaisesInScore(), images=test)


class FillsOneBuffer(Brightness):
    """Returns a view of a buffer that the next batch overwrites."""

    def score(self, batch):
        if not hasattr(self, "_buffer"):
            self._buffer = torch.empty(100)
        view = self._buffer[: len(batch)]
        view.copy_(super().score(batch))
        return view


def test_a_buffer_that_a_detector_fills_again_overwrites_no_scores(bench: Bench, test) -> None:
    made, expected = (bench.score(each, images=test) for each in (FillsOneBuffer(), Brightness()))
    np.testing.assert_array_equal(array(made, "scores"), array(expected, "scores"))
