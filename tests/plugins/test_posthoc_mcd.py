"""The detector that drops neurons of a classifier."""

import pytest
import torch
from pytorch_ood import detector as pytorch_ood
from torch import nn

from oodbench.contracts import Batch, Context, InvalidParameter, PluginError
from oodbench.testing import fit, toy_problem
from oodbench_posthoc.mcd import MonteCarloDropout

PROBLEM = toy_problem()
IMAGES = torch.cat([PROBLEM.id_images, PROBLEM.ood_images])


def scores_of(detector, seed=0):
    fitted = fit(detector, PROBLEM, seed=seed)
    with torch.no_grad():
        return fitted.restored().score(fitted.batch(IMAGES))


@pytest.mark.parametrize("mode", ["var", "mean"])
def test_with_many_networks_the_mean_over_images_is_as_in_pytorch_ood(mode):
    theirs = pytorch_ood.MCD(PROBLEM.context(MonteCarloDropout.needs).classifier, 1000, mode)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = theirs.predict(IMAGES).double().mean()
    found = scores_of(MonteCarloDropout(samples=1000, mode=mode)).mean()
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0)


def test_another_seed_draws_other_networks():
    scores = scores_of(MonteCarloDropout())
    assert torch.equal(scores, scores_of(MonteCarloDropout()))
    assert not torch.equal(scores, scores_of(MonteCarloDropout(), seed=1))


class Maps(nn.Module):
    """A classifier that drops whole maps."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout2d(0.5)
        self.seen = []

    def forward(self, images):
        self.seen.append(self.dropout(images))
        return self.seen[-1].sum(dim=(2, 3))


def test_where_maps_are_dropped_they_are_dropped_whole():
    classifier = Maps().eval()
    context = Context(torch.device("cpu"), 0, (8, 3, 3), 8, _classifier=classifier)
    detector = MonteCarloDropout(samples=4).restore({"seed": 0}, context)
    detector.score(Batch(torch.tensor([-1, -1]), inputs=torch.ones(2, 8, 3, 3)))
    for maps in classifier.seen:
        assert set(maps.unique().tolist()) == {0.0, 2.0}
        assert torch.equal(maps, maps[:1, :, :1, :1].expand(2, 8, 3, 3))
    assert not classifier.dropout._forward_hooks


def test_a_classifier_without_dropout_is_refused():
    context = Context(torch.device("cpu"), 0, (1, 8, 8), 3, _classifier=nn.Linear(64, 3))
    with pytest.raises(PluginError, match="needs a classifier with dropout, and this one has no"):
        MonteCarloDropout().restore({"seed": 0}, context)


def test_it_is_not_among_all_posthoc():
    assert MonteCarloDropout.family == ""


def test_parameters_that_mean_nothing_are_refused():
    with pytest.raises(InvalidParameter, match="samples must be at least 2"):
        MonteCarloDropout(samples=1)
    with pytest.raises(InvalidParameter, match="mode must be one of var, mean"):
        MonteCarloDropout(mode="max")
