"""What detectors make of layers is kept in the shared pass, and read by fit and score."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sample_detectors import FailsToReduce, LayerMeans
from stagework import SHARED, Bench, Small, TwoClasses, array, tensors

from oodbench.contracts import Need, PluginError
from oodbench.stages import Companion
from oodbench.stages.modules import load_classifier


def means(images: np.ndarray) -> np.ndarray:
    return images.mean(axis=(1, 2, 3))[:, None] / 255


def test_a_row_of_each_image_is_kept_in_the_detectors_dtype(bench: Bench, test, trained) -> None:
    made = bench.reduce(LayerMeans(), test, trained)
    assert array(made, "reduced").dtype == np.float64
    np.testing.assert_allclose(array(made, "reduced"), means(array(test, "images")), rtol=1e-5)
    layers = {"layers": {"maps": [1, 6, 6]}, "by_rule": False}
    assert made.meta == {"count": 60, "forwarded": 60, **layers}


def test_companions_of_a_pass_keep_the_same_and_pass_no_image(bench: Bench, test, trained) -> None:
    with bench.store.create("reduce", "one") as one, bench.store.create("reduce", "two") as two:
        spec = {**SHARED, "part": "all", "at_most": None}
        bench.companions = [
            Companion(spec | {"trainable": LayerMeans()}, one),
            Companion(spec | {"trainable": FailsToReduce()}, two),
        ]
        made = bench.extract(test, trained)
        sound, failed = bench.companions
        assert str(failed.error) == "no idea"
    bench.companions = []
    alone = bench.reduce(LayerMeans(), test, trained)
    reduced = bench.store.open("reduce", "one")
    np.testing.assert_array_equal(array(reduced, "reduced"), array(alone, "reduced"))
    assert sound.error is None
    assert (made.meta["forwarded"], reduced.meta["forwarded"]) == (60, 0)
    assert bench.store.find("reduce", "two") is None


def test_logits_are_the_same_with_companions(bench: Bench, test, trained) -> None:
    alone = bench.extract(test, trained)
    with bench.store.create("reduce", "one") as draft:
        spec = {**SHARED, "part": "all", "at_most": None, "trainable": LayerMeans()}
        bench.companions = [Companion(spec, draft)]
        made = bench.extract(test, trained)
    for name in ("logits", "features", "positions"):
        np.testing.assert_array_equal(array(made, name), array(alone, name))


def test_a_fit_reads_what_was_made_of_all_training_images(bench: Bench, train, trained) -> None:
    parts = {
        f"reduced:{part}": bench.reduce(LayerMeans(), train, trained, part)
        for part in ("calibration", "rest")
    }
    fitted = tensors(bench.fit(LayerMeans(), train=train, **parts), "state")
    expected = means(array(train, "images")).mean()
    assert fitted["mean_"].item() == pytest.approx(expected, rel=1e-6)


def test_a_fit_on_fewer_images_reads_as_many_of_each_class(bench: Bench, trained) -> None:
    class Uneven(TwoClasses):
        def load(self, root, split):
            loaded = super().load(root, split)
            loaded.labels[:] = 0
            loaded.labels[:4] = 1
            return loaded

    train = bench.prepare(Uneven(), "train")
    drawn = {
        count: bench.reduce(LayerMeans(), train, trained, at_most=count) for count in (6, 20, 99)
    }
    labels = {
        count: array(train, "labels")[array(made, "positions")] for count, made in drawn.items()
    }
    assert {count: (len(each), int(each.sum())) for count, each in labels.items()} == {
        6: (6, 3),
        20: (20, 4),
        99: (60, 4),
    }
    made = bench.fit(LayerMeans(images=6), train=train, **{"reduced:fit": drawn[6]})
    positions = array(drawn[6], "positions")
    expected = means(array(train, "images")[positions]).mean()
    assert tensors(made, "state")["mean_"].item() == pytest.approx(expected, rel=1e-6)


def test_scores_are_made_of_what_was_reduced_and_probed_anew(bench, train, test, trained) -> None:
    detector = LayerMeans(sign=-1.0)
    parts = {
        f"reduced:{part}": bench.reduce(detector, train, trained, part)
        for part in ("calibration", "rest")
    }
    fitted = bench.fit(detector, train=train, **parts)
    reduced = bench.reduce(detector, test, trained)
    scores = bench.score(detector, images=test, reduced=reduced, fit=fitted)
    mean = means(array(train, "images")).mean()
    expected = mean - means(array(test, "images"))[:, 0]
    np.testing.assert_allclose(array(scores, "scores"), expected, rtol=1e-4, atol=1e-6)
    inputs = {"images:0": test, "scores:0": scores, "fit": fitted, "classifier": trained}
    made = bench.probe(detector, parts=["all"], **inputs)
    assert (made.meta["probed"], made.meta["moved"], made.meta["forwarded"]) == (60, 0, 60)


class Slopes(LayerMeans):
    """Reduces a layer to the gradient of the sum of the logits."""

    needs = frozenset({Need.LAYERS, Need.LAYER_GRADIENTS})

    def differentiated(self, features, logits):
        return logits.sum(dim=1)

    def reduce(self, layers):
        return layers.gradients["maps"].flatten(1)


def test_gradients_are_taken_in_the_shared_pass(bench: Bench, test, trained) -> None:
    made = bench.reduce(Slopes(), test, trained)
    module = load_classifier(Small(), trained, "cpu")
    images = (torch.from_numpy(array(test, "images")) / 255).requires_grad_()
    (expected,) = torch.autograd.grad(module(images).sum(), images)
    np.testing.assert_allclose(array(made, "reduced"), expected.flatten(1), rtol=1e-4, atol=1e-6)


class ComparesBatches(LayerMeans):
    """Subtracts the mean of the batch."""

    def reduce(self, layers):
        found = super().reduce(layers)
        return found - found.mean()


def test_a_reduction_that_depends_on_the_batch_is_found(bench, train, test, trained) -> None:
    detector = ComparesBatches()
    reduced = bench.reduce(detector, test, trained)
    fit = bench.fit(
        detector, train=train, **{"reduced:fit": bench.reduce(detector, train, trained, at_most=9)}
    )
    scores = bench.score(detector, images=test, reduced=reduced, fit=fit)
    inputs = {"images:0": test, "scores:0": scores, "fit": fit, "classifier": trained}
    with pytest.raises(PluginError, match="scores depend on the other images of the batch"):
        bench.probe(detector, parts=["all"], **inputs)


class Returns(LayerMeans):
    """Returns something else than a row of numbers for each image."""

    def reduce(self, layers):
        found = super().reduce(layers)
        return {"flat": found[:, 0], "nan": found / 0 * 0, "list": found.tolist()}[self.kind]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("flat", r"reduce\(\) returned shape \(16,\) for 16 images, not \(16, r\)"),
        ("list", r"reduce\(\) returned list for 16 images"),
        ("nan", r"reduce\(\) returned NaN or infinity for 16 of 16 images"),
    ],
)
def test_rows_that_are_no_finite_numbers_are_refused(bench, test, trained, kind, message) -> None:
    detector = Returns()
    detector.kind = kind
    with pytest.raises(PluginError, match=message):
        bench.reduce(detector, test, trained)


def test_of_no_images_rows_are_empty(bench: Bench, train, trained) -> None:
    spec = {**SHARED, "part": "rest", "at_most": None, "trainable": LayerMeans(), "count": 60}
    made = bench.run("reduce", spec, images=train, classifier=trained)
    assert array(made, "reduced").shape == (0, 0)


def test_needs_of_layers_are_declared(bench: Bench, test, trained) -> None:
    class Undeclared(LayerMeans):
        needs = frozenset({Need.FEATURES})

        def fit(self, train, context):
            return self

    extracted = bench.extract(test, trained)
    fitted = bench.fit(Undeclared(), train=test, calibration=extracted, rest=extracted)
    with pytest.raises(PluginError, match=r"uses batch.reduced but does not declare Need.LAYERS"):
        bench.score(Undeclared(), images=test, extract=extracted, fit=fitted)
