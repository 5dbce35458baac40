"""GANAD's variants differ from it in just what the paper says, and share its generator."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_ganad_training import SHAPE, batch_to_score, context, same, stream

from oodbench.contracts import Batch, Need
from oodbench.testing import fit, toy_problem
from oodbench.testing.toy import TensorStream
from oodbench_ganad.anomaly import Examples
from oodbench_ganad.detector import Ganad
from oodbench_ganad.gan import Wgan
from oodbench_ganad.generated import GanadAnomalies, GanadFakes
from oodbench_ganad.recipes import TINY
from oodbench_ganad.seeds import chebyshev_norm
from oodbench_ganad.variants import GanadJoint, GanadOe, GanadReal, WganCritic

SETTINGS = {"recipe": "tiny", "steps": 3, "anomaly_steps": 3}


@pytest.fixture(scope="module")
def wgan():
    return Wgan(recipe="tiny", steps=3).fit(stream(), context())


def pixels(train):
    return torch.cat([batch.inputs for batch in train])


def with_logits(images):
    """Return images as a stream with the logits of the classifier of `context`."""
    return TensorStream(batch_to_score(images), shape=SHAPE, num_classes=4)


def test_all_variants_and_sets_share_one_generator():
    parts = [
        GanadOe(**SETTINGS).parts()["wgan"],
        GanadReal(**SETTINGS).parts()["wgan"],
        WganCritic(recipe="tiny", steps=3).parts()["wgan"],
        GanadFakes(recipe="tiny", steps=3).parts()["wgan"],
        GanadJoint(**SETTINGS).parts()["ganad"].parts()["wgan"],
    ]
    expected = vars(Ganad(**SETTINGS).parts()["wgan"])
    assert all(type(part) is Wgan and vars(part) == expected for part in parts)


def test_the_critic_is_that_of_the_generator(wgan):
    detector = WganCritic(recipe="tiny").fit(stream(), context(parts={"wgan": wgan}))
    batch = batch_to_score(torch.rand(5, *SHAPE))
    expected = -wgan.critic_(batch.inputs, batch.logits.argmax(1))
    torch.testing.assert_close(detector.score(batch), expected)


def test_real_images_take_the_place_of_all_fakes_and_of_nothing_else(wgan):
    train = stream(count=200)
    drawn, _ = Examples(wgan.generator_, TINY, context(), real=train).draw()
    plain, _ = Examples(wgan.generator_, TINY, context()).draw()
    half = len(drawn) // 2
    known = pixels(train)
    assert all((image == known).flatten(1).all(1).any() for image in drawn[:half])
    assert torch.equal(drawn[half:], plain[half:])


def test_auxiliary_images_are_half_of_the_anomalies(wgan):
    images = torch.full((100, *SHAPE), 0.25)
    outliers = TensorStream(
        Batch(torch.full((100,), -1), inputs=images), shape=SHAPE, num_classes=4
    )
    drawn, _ = Examples(wgan.generator_, TINY, context(), outliers=outliers).draw()
    auxiliary = (drawn == 0.25).flatten(1).all(1)
    half = len(drawn) // 2
    assert auxiliary[:half].sum() == 0
    assert auxiliary[half:].sum() == half // 2


@pytest.mark.parametrize(("variant", "extra"), [(GanadReal, {}), (GanadOe, {"auxiliary": True})])
def test_a_variant_trains_another_network_than_ganad(wgan, variant, extra):
    given = {"auxiliary": stream()} if extra else {}
    ganad = Ganad(**SETTINGS).fit(stream(), context(parts={"wgan": wgan}))
    other = variant(**SETTINGS).fit(stream(), context(parts={"wgan": wgan}, **given))
    assert not same(ganad.state(), other.state())


def joint(wgan):
    ganad = Ganad(**SETTINGS).fit(stream(), context(parts={"wgan": wgan}))
    images = pixels(stream(count=400))
    detector = GanadJoint(**SETTINGS)
    detector.fit(stream(), context(parts={"ganad": ganad}, _validation=with_logits(images)))
    return detector, ganad, batch_to_score(images)


def test_the_joint_score_is_1_where_either_reaches_its_border(wgan):
    detector, ganad, batch = joint(wgan)
    anomaly, energy = ganad.score(batch), -batch.logits.logsumexp(1)
    scores = detector.score(batch)
    beyond = (anomaly > anomaly.quantile(0.95)) | (energy > energy.quantile(0.95))
    assert torch.equal(scores > 1, beyond)


def test_the_joint_score_is_0_where_both_are_typical(wgan):
    detector, ganad, batch = joint(wgan)
    anomaly, energy = ganad.score(batch), -batch.logits.logsumexp(1)
    scores = detector.score(batch)
    typical = (anomaly <= anomaly.quantile(0.5)) & (energy <= energy.quantile(0.5))
    assert torch.equal(scores <= 0, typical)


def test_a_joint_detector_comes_back_from_its_state(wgan):
    detector, _, _ = joint(wgan)
    restored = GanadJoint(**SETTINGS).restore(detector.state(), context())
    batch = batch_to_score(torch.rand(5, *SHAPE))
    assert torch.equal(restored.score(batch), detector.score(batch))


@pytest.mark.parametrize("made", [GanadFakes, GanadAnomalies])
def test_a_generated_set_has_the_number_of_images_that_was_asked_for(wgan, made):
    images = made(recipe="tiny", count=33).generate(context(parts={"wgan": wgan}))
    assert images.images.shape == (33, *SHAPE[1:])
    assert images.images.dtype == np.uint8
    assert set(images.labels) == {-1}


def test_generated_sets_are_the_same_every_time(wgan):
    first, second = (
        GanadFakes(recipe="tiny", count=9).generate(context(parts={"wgan": wgan})) for _ in "ab"
    )
    assert np.array_equal(first.images, second.images)


def test_anomalies_have_norms_that_ad_was_not_trained_on():
    draws = torch.Generator().manual_seed(0)
    norms = chebyshev_norm(GanadAnomalies().draw(500, 64, draws))
    assert 6 <= norms.min() < 6.05
    assert 6.95 < norms.max() <= 7


def test_colour_images_are_generated_with_their_channels_last():
    shape = (3, 8, 8)
    wgan = Wgan(recipe="tiny", steps=1).fit(stream(shape), context(shape))
    made = GanadFakes(recipe="tiny", count=5).generate(context(shape, parts={"wgan": wgan}))
    assert made.images.shape == (5, 8, 8, 3)


@pytest.mark.parametrize("made", [GanadFakes, GanadAnomalies])
def test_a_set_of_no_images_is_refused(made):
    with pytest.raises(ValueError, match="count must be at least 1, not 0"):
        made(count=0)


@pytest.mark.parametrize("detector", [Ganad, GanadReal])
def test_without_a_classifier_generator_and_detector_know_one_class(detector):
    alone = detector(recipe="tiny", steps=3, anomaly_steps=3).without_classifier()
    assert alone.info.name == detector.info.name
    assert not {Need.LOGITS, Need.CLASSIFIER} & (alone.needs | alone.needs_to_fit())
    assert not {Need.LOGITS, Need.CLASSIFIER} & alone.parts()["wgan"].needs

    def scores(labels):
        problem = replace(toy_problem(), train_labels=labels)
        images = Batch(torch.full((100,), -1), inputs=problem.id_images)
        return fit(alone, problem).trainable.score(images)

    labels = toy_problem().train_labels
    as_they_are = scores(labels)
    assert torch.equal(scores(labels.flip(0)), as_they_are)
    assert as_they_are.isfinite().all()


def test_a_variant_that_needs_a_classifier_has_none_without():
    assert GanadOe().without_classifier() is None
