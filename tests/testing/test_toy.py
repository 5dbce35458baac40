"""The toy problem that the kit fits detectors on."""

import pytest
import torch

from oodbench.contracts import Need, PluginError
from oodbench.testing import toy_problem

EVERYTHING = frozenset({Need.INPUTS, Need.LOGITS, Need.FEATURES})


def test_the_classifier_tells_the_classes_apart():
    problem = toy_problem()
    predicted = problem.classifier(problem.train_images).argmax(dim=1)
    assert torch.equal(predicted, problem.train_labels)


def test_logits_are_the_head_on_the_features():
    problem = toy_problem()
    batch = next(iter(problem.train(EVERYTHING)))
    torch.testing.assert_close(problem.classifier.head(batch.features), batch.logits)
    torch.testing.assert_close(problem.classifier(batch.inputs), batch.logits)


def test_a_stream_yields_every_image_in_order_each_time():
    stream = toy_problem().train(EVERYTHING)
    for _ in range(2):
        images = torch.cat([batch.inputs for batch in stream])
        assert torch.equal(images, toy_problem().train_images)


def test_a_shuffled_epoch_has_full_batches_of_different_images():
    stream = toy_problem().train(EVERYTHING)
    batches = list(stream.shuffled(64, torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in batches] == [64] * 4
    assert len(torch.cat([batch.inputs for batch in batches]).unique(dim=0)) == 256


def test_a_shuffled_epoch_keeps_images_and_labels_together():
    problem = toy_problem()
    for batch in problem.train(EVERYTHING).shuffled(100, torch.Generator().manual_seed(0)):
        assert torch.equal(problem.classifier(batch.inputs).argmax(dim=1), batch.labels)


def test_too_few_images_for_a_batch_are_an_error():
    with pytest.raises(ValueError, match="300 images do not fill a batch of 301"):
        next(toy_problem().train(EVERYTHING).shuffled(301, torch.Generator()))


def test_what_is_not_needed_is_not_there():
    batch = next(iter(toy_problem().train(frozenset({Need.LOGITS}))))
    with pytest.raises(PluginError, match=r"does not declare Need\.INPUTS"):
        _ = batch.inputs


def test_batches_to_be_scored_have_no_labels():
    problem = toy_problem()
    batch = problem.unlabelled(problem.id_images, EVERYTHING)
    assert batch.labels.eq(-1).all()
